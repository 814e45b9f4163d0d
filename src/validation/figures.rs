//! What is read off a run to be held against a point. All of it stands in the files that `run` writes too, or can be
//! counted from them.

use crate::history::{Cause, History, Latencies};
use crate::metrics::{FleetPoint, RunMetrics, stretches};
use crate::scenario::{Scenario, Study};
use crate::time::{SimTime, nanos};
use std::time::Duration;

/// A number that a run comes to, of the observation window where nothing else is said. Times are told in a unit of so many
/// seconds.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Figure {
    /// Mean response of served requests: of all, or of a class by its place in the list.
    MeanResponse { unit_s: f64, class: Option<usize> },
    /// A quantile of the response of served requests.
    ResponseQuantile { quantile: f64, unit_s: f64 },
    /// The share of requests that waited before they were served or their clients lost patience.
    WaitedShare,
    /// Mean time in the queue of all that arrived, by Little's law: mean number that waits ÷ rate of arrival (a second).
    MeanWait { rate: f64, unit_s: f64 },
    /// A quantile of the wait of those that were served.
    WaitQuantile { quantile: f64, unit_s: f64 },
    /// The share of served requests that waited no longer than so many seconds.
    ServedWithin { seconds: f64 },
    /// The share of requests that were lost by one cause.
    LostShare(Cause),
    /// Requests lost by one cause, of the whole run, by so many.
    LostBy { cause: Cause, each: f64 },
    /// Requests lost by one cause, of the whole run, as a share of those that were open when the rollout began.
    LostOfOpen(Cause),
    /// Busy workers ÷ workers.
    Utilisation,
    /// Mean number that waits, at the beginnings of the intervals.
    MeanWaiting,
    /// Mean number that is under way, at the beginnings of the intervals.
    MeanOpen,
    /// Variance of that number, over the intervals of one run, which must be far apart.
    VarianceOfOpen,
    /// The most that waited at once.
    MostWaiting,
    /// From a moment after the rollout began to the beginning of the first interval, from there on, in which nothing waits.
    EmptyAfter { moment: Duration, unit_s: f64 },
    /// Median response of those that arrived in the interval that begins so long after the rollout did, less their work.
    WaitAt { moment: Duration, work_s: f64, unit_s: f64 },
    /// The share of time in which at least so many instances were ready.
    TimeWithReady(u32),
    /// Mean number of ready instances, as a part of so many.
    MeanReady { of: f64 },
    /// Mean number of instances that are missing below the desired number.
    MeanMissing,
    /// Attempts ÷ requests.
    AttemptsPerRequest,
    /// Served ÷ (served + lost).
    Availability,
    /// The same for requests that arrived in the last so many seconds.
    AvailabilityOfLast { seconds: f64 },
    /// From the beginning of the rollout to the first loss, in whole periods since the start of the run.
    PeriodsToFirstLoss { period_s: f64 },
    /// Until the orchestrator calls the rollout done.
    Duration { unit_s: f64 },
    /// The fewest ready instances.
    LeastReady,
    /// The most instances that existed at once.
    MostInstances,
    /// Instances of a version at the end, by its place: 0 is the old one.
    InstancesAtTheEnd(usize),
}

/// A run that has come to its end.
#[derive(Clone, Copy, Debug)]
pub(super) struct Run<'a> {
    pub(super) scenario: &'a Scenario,
    pub(super) history: &'a History,
    pub(super) points: &'a [FleetPoint],
    pub(super) metrics: &'a RunMetrics,
}

impl Figure {
    /// What a run comes to; `None` where it did not come so far.
    pub(super) fn of(self, run: Run<'_>) -> Option<f64> {
        let Run { history, metrics, .. } = run;
        let lost = |cause: Cause| history.ledger.lost[cause.index()] as f64;
        match self {
            Figure::MeanResponse { unit_s, class } => run.mean_response_s(class).map(|mean| mean / unit_s),
            Figure::ResponseQuantile { quantile, unit_s } => {
                let seconds = quantile_s(&history.window.all.latency, quantile)?;
                Some(seconds / unit_s)
            }
            Figure::WaitedShare => run.waited_share(),
            Figure::MeanWait { rate, unit_s } => Some(run.mean_waiting()? / rate / unit_s),
            Figure::WaitQuantile { quantile, unit_s } => run.wait_quantile_s(quantile).map(|wait| wait / unit_s),
            Figure::ServedWithin { seconds } => run.served_within(seconds),
            Figure::LostShare(cause) => share(metrics.lost_to(cause), metrics.arrivals),
            Figure::LostBy { cause, each } => Some(lost(cause) / each),
            Figure::LostOfOpen(cause) => {
                let open = run.intervals().next()?.1.load.open;
                (open > 0).then(|| lost(cause) / open as f64)
            }
            Figure::Utilisation => Some(metrics.utilisation),
            Figure::MeanWaiting => run.mean_waiting(),
            Figure::MeanOpen => mean(run.open()),
            Figure::VarianceOfOpen => variance(run.open()),
            Figure::MostWaiting => Some(metrics.most_waiting as f64),
            Figure::EmptyAfter { moment, unit_s } => run.empty_after_s(moment).map(|after| after / unit_s),
            Figure::WaitAt { moment, work_s, unit_s } => {
                run.response_at_s(moment).map(|response| (response - work_s) / unit_s)
            }
            Figure::TimeWithReady(least) => run.time_with(|point| f64::from(u8::from(point.all_ready() >= least))),
            Figure::MeanReady { of } => run.time_with(|point| f64::from(point.all_ready()) / of),
            Figure::MeanMissing => Some(metrics.shortfall_instance_s / run.study().window.as_secs_f64()),
            Figure::AttemptsPerRequest => Some(metrics.attempts_per_request),
            Figure::Availability => Some(metrics.availability),
            Figure::AvailabilityOfLast { seconds } => run.availability_of_last(seconds),
            Figure::PeriodsToFirstLoss { period_s } => {
                let since_start = metrics.first_lost_s? + run.study().rollout_at().as_secs_f64();
                Some((since_start / period_s).round())
            }
            Figure::Duration { unit_s } => metrics.duration_s.map(|duration| duration / unit_s),
            Figure::LeastReady => Some(f64::from(metrics.least_ready)),
            Figure::MostInstances => Some(f64::from(metrics.most_instances)),
            Figure::InstancesAtTheEnd(version) => run.points.last().map(|point| f64::from(point.total[version])),
        }
    }
}

impl<'a> Run<'a> {
    fn study(self) -> &'a Study {
        &self.scenario.study
    }

    fn mean_response_s(self, class: Option<usize>) -> Option<f64> {
        let window = &self.history.window;
        let counts = class.map_or(Some(&window.all), |class| window.classes.get(class))?;
        (counts.ledger.served > 0).then(|| counts.latency_sum as f64 / counts.ledger.served as f64 / 1e9)
    }

    fn waited_share(self) -> Option<f64> {
        let waits = &self.history.window.waits;
        let abandoned = self.metrics.lost_abandoned;
        share(waits.waited + abandoned, waits.begun + abandoned)
    }

    fn wait_quantile_s(self, quantile: f64) -> Option<f64> {
        let waits = &self.history.window.waits;
        let at_once = 1.0 - share(waits.waited, waits.begun)?;
        if quantile <= at_once { Some(0.0) } else { quantile_s(&waits.waits, (quantile - at_once) / (1.0 - at_once)) }
    }

    fn served_within(self, seconds: f64) -> Option<f64> {
        let waits = &self.history.window.waits;
        let soon = waits.waits.count_between(0, (seconds * 1e6) as u64);
        share(waits.begun - waits.waited + soon, waits.begun)
    }

    /// The intervals of the observation window, and when after the rollout each begins.
    fn intervals(self) -> impl Iterator<Item = (Duration, &'a crate::history::Interval)> {
        let study = self.study();
        let before = study.intervals_before_rollout() as usize;
        let begins = |place: u64| Duration::from_nanos(nanos(study.interval) * place);
        (0..).map(begins).zip(&self.history.intervals[before..])
    }

    fn open(self) -> impl Iterator<Item = f64> {
        self.intervals().map(|(_, interval)| interval.load.open as f64)
    }

    fn mean_waiting(self) -> Option<f64> {
        mean(self.intervals().map(|(_, interval)| interval.load.waiting as f64))
    }

    fn empty_after_s(self, moment: Duration) -> Option<f64> {
        let empty = self.intervals().find(|(begins, interval)| *begins >= moment && interval.load.waiting == 0);
        empty.map(|(begins, _)| begins.saturating_sub(moment).as_secs_f64())
    }

    fn response_at_s(self, moment: Duration) -> Option<f64> {
        let (_, interval) = self.intervals().find(|(begins, _)| *begins >= moment)?;
        quantile_s(&interval.latency, 0.5)
    }

    fn availability_of_last(self, seconds: f64) -> Option<f64> {
        let from = self.study().window.saturating_sub(Duration::from_secs_f64(seconds));
        let last = self.intervals().filter(|(begins, _)| *begins >= from);
        let (served, arrivals) =
            last.fold((0, 0), |sum, (_, interval)| (sum.0 + interval.ledger.served, sum.1 + interval.ledger.arrivals));
        share(served, arrivals)
    }

    /// The mean over time of something that the fleet is.
    fn time_with(self, of: impl Fn(&FleetPoint) -> f64) -> Option<f64> {
        let (from, to) = (SimTime::START + self.study().rollout_at(), SimTime::START + self.study().ends_at());
        let (sum, time) = stretches(self.points, from, to).fold((0.0, 0.0), |(sum, time), (from, to, point)| {
            let lasts = to.since(from).as_secs_f64();
            (sum + of(point) * lasts, time + lasts)
        });
        (time > 0.0).then(|| sum / time)
    }
}

fn share(part: u64, all: u64) -> Option<f64> {
    (all > 0).then(|| part as f64 / all as f64)
}

fn quantile_s(latency: &Latencies, quantile: f64) -> Option<f64> {
    (!latency.is_empty()).then(|| latency.value_at_quantile(quantile) as f64 / 1e6)
}

fn mean(values: impl Iterator<Item = f64>) -> Option<f64> {
    let (sum, count) = values.fold((0.0, 0u64), |(sum, count), value| (sum + value, count + 1));
    (count > 0).then(|| sum / count as f64)
}

fn variance(values: impl Iterator<Item = f64>) -> Option<f64> {
    let values: Vec<f64> = values.collect();
    let mean = mean(values.iter().copied())?;
    let squares: f64 = values.iter().map(|value| (value - mean) * (value - mean)).sum();
    (values.len() > 1).then(|| squares / (values.len() as f64 - 1.0))
}
