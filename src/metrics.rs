//! A history's numbers: pure functions of the facts of one run. A new metric is added here and nowhere else.

use crate::by_number::ByNumber;
use crate::fleet::{InstanceId, Phase, Version, available_at};
use crate::history::{Cause, Change, History, Latencies, Ledger, Outcome, Window};
use crate::rollout::Strategy;
use crate::scenario::{NamedStrategy, Scenario, Study};
use crate::time::{SimTime, nanos};
use serde::{Deserialize, Serialize};
use std::time::Duration;

/// One run in figures: a row of `replications.csv`. Times are seconds, latencies milliseconds; figures without
/// another word are of the observation window.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct RunMetrics {
    /// The strategy's name.
    pub strategy: String,
    /// Which run, counted from 0.
    pub replication: u32,
    /// How the rollout ended.
    pub outcome: String,
    /// From the beginning of the rollout to where the orchestrator calls it done (or rolled back); empty while it is
    /// not.
    pub duration_s: Option<f64>,
    /// Served ÷ (served + lost), by requests as their clients see them.
    pub availability: f64,
    /// The lowest availability of a whole minute.
    pub worst_minute_availability: f64,
    /// Requests that arrived.
    pub arrivals: u64,
    /// Requests answered well.
    pub served: u64,
    /// Requests lost.
    pub lost: u64,
    /// Requests not ended when the run did.
    pub open: u64,
    /// Lost because no endpoint was known.
    pub lost_no_endpoint: u64,
    /// Lost because they were sent to an instance that did not take them.
    pub lost_stale_endpoint: u64,
    /// Lost because they were cut off by a kill or a removal.
    pub lost_cut_off: u64,
    /// Lost because a queue was full.
    pub lost_queue_full: u64,
    /// Lost because the client gave up while they waited.
    pub lost_timed_out_waiting: u64,
    /// Lost because the client gave up while they were served.
    pub lost_timed_out_in_service: u64,
    /// Lost because the client lost patience while they waited.
    pub lost_abandoned: u64,
    /// Lost because they were dropped after they had waited too long.
    pub lost_shed: u64,
    /// Lost to errors such as all versions give.
    pub lost_error: u64,
    /// Lost to a defect of the new version.
    pub lost_defect: u64,
    /// Lost in a crash.
    pub lost_crash: u64,
    /// Lost because the version that served them cannot read the schema of the database.
    pub lost_wrong_schema: u64,
    /// Lost because their clients were of another version than the instances that served them.
    pub lost_wrong_version: u64,
    /// Served later than their target.
    pub late: u64,
    /// From the beginning of the rollout to the first loss; empty where nothing was lost.
    pub first_lost_s: Option<f64>,
    /// Attempts ÷ requests over the whole run.
    pub attempts_per_request: f64,
    /// Mean latency of served requests.
    pub mean_ms: f64,
    /// Median latency.
    pub p50_ms: f64,
    /// 95 % quantile of latency.
    pub p95_ms: f64,
    /// 99 % quantile of latency.
    pub p99_ms: f64,
    /// 99.9 % quantile of latency.
    pub p999_ms: f64,
    /// The share of attempts that waited before they were served, among those whose service began.
    pub waited_share: f64,
    /// Mean wait of all of them, those that did not wait included.
    pub mean_wait_ms: f64,
    /// The most attempts that waited at once, in the queues of instances and balancers.
    pub most_waiting: u64,
    /// Busy workers ÷ workers of ready instances, at the beginnings of the intervals.
    pub utilisation: f64,
    /// Availability in the baseline window.
    pub baseline_availability: f64,
    /// Median latency in the baseline window.
    pub baseline_p50_ms: f64,
    /// 95 % quantile of latency in the baseline window.
    pub baseline_p95_ms: f64,
    /// 99 % quantile of latency in the baseline window.
    pub baseline_p99_ms: f64,
    /// The fewest ready instances.
    pub least_ready: u32,
    /// The same as a share of the desired instances.
    pub least_ready_share: f64,
    /// The most instances that existed at once, those on their way out included.
    pub most_instances: u32,
    /// Instance-seconds beyond the desired number.
    pub extra_instance_s: f64,
    /// Ready instances missing below the desired number, integrated over the window.
    pub shortfall_instance_s: f64,
    /// How long several versions served side by side.
    pub mixed_version_s: f64,
    /// Requests served by the new version before a rollback was asked for; empty without one.
    pub new_served_before_rollback: Option<u64>,
    /// From the first trouble of the new version to the rollback; empty without one.
    pub detect_s: Option<f64>,
    /// From that rollback to the old version being everywhere again; empty while it is not.
    pub restore_s: Option<f64>,
}

impl RunMetrics {
    /// Requests lost by this cause.
    pub fn lost_to(&self, cause: Cause) -> u64 {
        match cause {
            Cause::NoEndpoint => self.lost_no_endpoint,
            Cause::StaleEndpoint => self.lost_stale_endpoint,
            Cause::CutOff => self.lost_cut_off,
            Cause::QueueFull => self.lost_queue_full,
            Cause::TimedOutWaiting => self.lost_timed_out_waiting,
            Cause::TimedOutInService => self.lost_timed_out_in_service,
            Cause::Abandoned => self.lost_abandoned,
            Cause::Shed => self.lost_shed,
            Cause::Error => self.lost_error,
            Cause::Defect => self.lost_defect,
            Cause::Crash => self.lost_crash,
            Cause::WrongSchema => self.lost_wrong_schema,
            Cause::WrongVersion => self.lost_wrong_version,
        }
    }
}

/// The fleet from a moment on, until the next point.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct FleetPoint {
    /// When.
    pub at: SimTime,
    /// Wanted, by version.
    pub desired: [u32; Version::COUNT],
    /// Ready and in the balancers, by version.
    pub ready: [u32; Version::COUNT],
    /// Existing and not on their way out, by version.
    pub total: [u32; Version::COUNT],
    /// On their way out.
    pub terminating: u32,
    /// Available as the orchestrator counts it.
    pub available: u32,
}

impl FleetPoint {
    /// Ready instances of all versions.
    pub fn all_ready(&self) -> u32 {
        self.ready.iter().sum()
    }

    /// Instances that exist, those on their way out included.
    pub fn existing(&self) -> u32 {
        self.total.iter().sum::<u32>() + self.terminating
    }
}

/// The fleet at every moment at which it changed, from the start of the run.
pub fn fleet_points(history: &History, strategy: &Strategy) -> Vec<FleetPoint> {
    let mut moments: Vec<SimTime> = history.changes.iter().map(|change| change.at).collect();
    moments.extend(history.wanted.iter().map(|wanted| wanted.at));
    let available = availability(history, strategy);
    moments.extend(available.iter().map(|(at, _)| *at));
    moments.sort_unstable();
    moments.dedup();
    let (mut changes, mut wanted) = (history.changes.iter().peekable(), history.wanted.iter().peekable());
    let mut available = available.into_iter().peekable();
    let mut last: ByNumber<InstanceId, Change> = ByNumber::default();
    let mut point = FleetPoint::default();
    let mut available_now = 0;
    let mut points = Vec::with_capacity(moments.len());
    for at in moments {
        while let Some(change) = changes.next_if(|change| change.at <= at) {
            if let Some(before) = last.insert(change.instance, *change) {
                count(&mut point, &before, u32::wrapping_sub);
            }
            count(&mut point, change, u32::wrapping_add);
            if change.to == Phase::Gone {
                last.remove(change.instance);
            }
        }
        while let Some(wanted) = wanted.next_if(|wanted| wanted.at <= at) {
            point.desired = wanted.desired;
        }
        while let Some((_, change)) = available.next_if(|(from, _)| *from <= at) {
            available_now += change;
        }
        point.at = at;
        point.available = u32::try_from(available_now).expect("no instance leaves that did not come");
        points.push(point);
    }
    points
}

/// Counts an instance in or out.
fn count(point: &mut FleetPoint, change: &Change, by: fn(u32, u32) -> u32) {
    let version = change.version.index();
    if change.listed {
        point.ready[version] = by(point.ready[version], 1);
    }
    if change.to.is_terminating() {
        point.terminating = by(point.terminating, 1);
    } else if change.to.is_live() {
        point.total[version] = by(point.total[version], 1);
    }
}

/// By how much the number of available instances changes, and when, in the order of time.
fn availability(history: &History, strategy: &Strategy) -> Vec<(SimTime, i64)> {
    let (min_ready, whole_seconds) = strategy.facts().min_ready();
    let mut since: ByNumber<InstanceId, SimTime> = ByNumber::default();
    let mut steps = Vec::new();
    let mut stay = |from: SimTime, to: Option<SimTime>| {
        let from = available_at(from, min_ready, whole_seconds);
        if to.is_none_or(|to| from < to) {
            steps.push((from, 1));
            steps.extend(to.map(|to| (to, -1)));
        }
    };
    for change in &history.changes {
        if change.listed {
            if !since.contains(change.instance) {
                since.insert(change.instance, change.at);
            }
        } else if let Some(from) = since.remove(change.instance) {
            stay(from, Some(change.at));
        }
    }
    for from in since.values() {
        stay(*from, None);
    }
    steps.sort_unstable();
    steps
}

/// The stretches of a part of the run between its points: from, to, and how the fleet was.
pub fn stretches(
    points: &[FleetPoint],
    from: SimTime,
    to: SimTime,
) -> impl Iterator<Item = (SimTime, SimTime, &FleetPoint)> {
    let first = points.partition_point(|point| point.at <= from).saturating_sub(1);
    let ends = move |place: usize| points.get(place + 1).map_or(SimTime::NEVER, |next| next.at);
    points
        .iter()
        .enumerate()
        .skip(first)
        .take_while(move |(_, point)| point.at < to)
        .map(move |(place, point)| (point.at.max(from), ends(place).min(to), point))
}

/// Ready instances over one interval of the time series.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ReadyInInterval {
    /// Instance-nanoseconds.
    pub nanos: u128,
    /// The fewest at any moment.
    pub least: u32,
}

/// Ready instances by interval of the time series.
pub fn ready_by_interval(points: &[FleetPoint], study: &Study, intervals: usize) -> Vec<ReadyInInterval> {
    let length = nanos(study.interval);
    let begins = nanos(study.series_from());
    let ends = nanos(study.ends_at());
    let mut ready = vec![ReadyInInterval { nanos: 0, least: u32::MAX }; intervals];
    for (from, to, point) in stretches(points, SimTime::from_nanos(begins), SimTime::from_nanos(ends)) {
        let (mut from, to) = (from.nanos(), to.nanos());
        while from < to {
            let place = ((from - begins) / length) as usize;
            let until = (begins + (place as u64 + 1) * length).min(to);
            ready[place].nanos += u128::from(until - from) * u128::from(point.all_ready());
            ready[place].least = ready[place].least.min(point.all_ready());
            from = until;
        }
    }
    ready
}

/// Served ÷ (served + lost); 1 where nothing ended.
pub fn availability_of(ledger: &Ledger) -> f64 {
    let ended = ledger.served + ledger.lost_in_all();
    if ended == 0 { 1.0 } else { ledger.served as f64 / ended as f64 }
}

/// A quantile of latencies in milliseconds; 0 where nothing was served.
pub fn quantile_ms(latency: &Latencies, quantile: f64) -> f64 {
    if latency.is_empty() { 0.0 } else { latency.value_at_quantile(quantile) as f64 / 1000.0 }
}

/// One run in figures.
pub fn measure(
    history: &History,
    points: &[FleetPoint],
    scenario: &Scenario,
    strategy: &NamedStrategy,
    replication: u32,
) -> RunMetrics {
    let study = &scenario.study;
    let rollout_at = SimTime::START + study.rollout_at();
    let ends_at = SimTime::START + study.ends_at();
    let desired = scenario.service.instances.get();
    let fleet = FleetFigures::of(stretches(points, rollout_at, ends_at), desired);
    let Window { all, waits, .. } = &history.window;
    let (ledger, latency) = (&all.ledger, &all.latency);
    let lost = |cause: Cause| ledger.lost[cause.index()];
    let ended_well = matches!(history.outcome, Outcome::Completed | Outcome::RolledBack);
    let seconds_since = |from: SimTime, to: SimTime| to.since(from).as_secs_f64();
    let restored_at = history.ended_at.filter(|_| history.outcome == Outcome::RolledBack);
    let trouble_at = history.trouble_at;
    let baseline = &history.baseline.all;
    RunMetrics {
        strategy: strategy.name.clone(),
        replication,
        outcome: history.outcome.name().to_owned(),
        duration_s: history.ended_at.filter(|_| ended_well).map(|at| seconds_since(rollout_at, at)),
        availability: availability_of(ledger),
        worst_minute_availability: worst_minute(history, study),
        arrivals: ledger.arrivals,
        served: ledger.served,
        lost: ledger.lost_in_all(),
        open: ledger.open,
        lost_no_endpoint: lost(Cause::NoEndpoint),
        lost_stale_endpoint: lost(Cause::StaleEndpoint),
        lost_cut_off: lost(Cause::CutOff),
        lost_queue_full: lost(Cause::QueueFull),
        lost_timed_out_waiting: lost(Cause::TimedOutWaiting),
        lost_timed_out_in_service: lost(Cause::TimedOutInService),
        lost_abandoned: lost(Cause::Abandoned),
        lost_shed: lost(Cause::Shed),
        lost_error: lost(Cause::Error),
        lost_defect: lost(Cause::Defect),
        lost_crash: lost(Cause::Crash),
        lost_wrong_schema: lost(Cause::WrongSchema),
        lost_wrong_version: lost(Cause::WrongVersion),
        late: all.late,
        first_lost_s: history.first_lost_at.map(|at| seconds_since(rollout_at, at)),
        attempts_per_request: history.attempts.sent as f64 / history.ledger.arrivals.max(1) as f64,
        mean_ms: all.latency_sum as f64 / ledger.served.max(1) as f64 / 1e6,
        p50_ms: quantile_ms(latency, 0.5),
        p95_ms: quantile_ms(latency, 0.95),
        p99_ms: quantile_ms(latency, 0.99),
        p999_ms: quantile_ms(latency, 0.999),
        waited_share: waits.waited as f64 / waits.begun.max(1) as f64,
        mean_wait_ms: waits.sum as f64 / waits.begun.max(1) as f64 / 1e6,
        most_waiting: history.most_waiting,
        utilisation: utilisation(history, points, scenario),
        baseline_availability: availability_of(&baseline.ledger),
        baseline_p50_ms: quantile_ms(&baseline.latency, 0.5),
        baseline_p95_ms: quantile_ms(&baseline.latency, 0.95),
        baseline_p99_ms: quantile_ms(&baseline.latency, 0.99),
        least_ready: fleet.least_ready,
        least_ready_share: f64::from(fleet.least_ready) / f64::from(desired),
        most_instances: fleet.most_instances,
        extra_instance_s: fleet.extra_s,
        shortfall_instance_s: fleet.shortfall_s,
        mixed_version_s: fleet.mixed_s,
        new_served_before_rollback: history.new_served_before_rollback,
        detect_s: history
            .rollback_at
            .and_then(|at| trouble_at.filter(|trouble| *trouble <= at).map(|trouble| seconds_since(trouble, at))),
        restore_s: history.rollback_at.zip(restored_at).map(|(from, to)| seconds_since(from, to)),
    }
}

/// Busy workers as a share of those of ready instances, at the beginnings of the intervals of the observation window; 0 where
/// none is ready.
fn utilisation(history: &History, points: &[FleetPoint], scenario: &Scenario) -> f64 {
    let study = &scenario.study;
    let before = study.intervals_before_rollout();
    let (mut busy, mut workers) = (0, 0);
    for (interval, place) in history.intervals.iter().zip(0..).skip(before as usize) {
        let at = SimTime::START + study.series_from() + Duration::from_nanos(nanos(study.interval) * place);
        let point = points.partition_point(|point| point.at <= at).checked_sub(1);
        let ready = point.map_or(0, |point| points[point].all_ready());
        busy += interval.load.busy;
        workers += u64::from(ready) * u64::from(scenario.service.workers.get());
    }
    if workers == 0 { 0.0 } else { busy as f64 / workers as f64 }
}

/// What the fleet looked like over the observation window.
struct FleetFigures {
    least_ready: u32,
    most_instances: u32,
    extra_s: f64,
    shortfall_s: f64,
    mixed_s: f64,
}

impl FleetFigures {
    fn of<'a>(stretches: impl Iterator<Item = (SimTime, SimTime, &'a FleetPoint)>, desired: u32) -> Self {
        let mut figures =
            FleetFigures { least_ready: u32::MAX, most_instances: 0, extra_s: 0.0, shortfall_s: 0.0, mixed_s: 0.0 };
        for (from, to, point) in stretches {
            let seconds = to.since(from).as_secs_f64();
            let (ready, existing) = (point.all_ready(), point.existing());
            figures.least_ready = figures.least_ready.min(ready);
            figures.most_instances = figures.most_instances.max(existing);
            figures.extra_s += f64::from(existing.saturating_sub(desired)) * seconds;
            figures.shortfall_s += f64::from(desired.saturating_sub(ready)) * seconds;
            if point.ready.iter().filter(|ready| **ready > 0).count() > 1 {
                figures.mixed_s += seconds;
            }
        }
        figures
    }
}

/// The lowest availability of a whole minute of the observation window, minutes counted from the beginning of the
/// rollout; intervals that do not fit into a minute are minutes of their own.
fn worst_minute(history: &History, study: &Study) -> f64 {
    let before = study.intervals_before_rollout() as usize;
    let in_a_minute = (Duration::from_mins(1).as_nanos() / study.interval.as_nanos()).max(1) as usize;
    let minutes = history.intervals[before..].chunks(in_a_minute);
    let availability = minutes.map(|minute| {
        let mut ledger = Ledger::default();
        for interval in minute {
            ledger.add(&interval.ledger);
        }
        availability_of(&ledger)
    });
    availability.fold(1.0, f64::min)
}
