//! Every strategy over every replication, in parallel. What is added up across runs is whole numbers, and what is not
//! is kept run by run in order, so the result does not depend on the number of threads.

use super::{
    BudgetLine, Differences, Header, LossRow, Results, SeriesRow, Span, StrategyResults, Summary, TimelineRow, Verdict,
};
use crate::engine;
use crate::fleet::{Phase, Version};
use crate::history::{Cause, Change, History, Interval, LossKey, Outcome};
use crate::metrics::{
    FleetPoint, RunMetrics, availability_of, fleet_points, measure, quantile_ms, ready_by_interval, stretches,
};
use crate::scenario::{Budget, NamedStrategy, Scenario, Study};
use crate::stats::{Estimate, Sample, upper_bound_of_none};
use crate::time::SimTime;
use rayon::prelude::*;
use std::collections::BTreeMap;
use std::sync::Mutex;

/// Told after each run, from whichever thread made it.
pub type Progress<'a> = &'a (dyn Fn() + Sync);

/// Runs a scenario's study.
pub fn replicate(scenario: &Scenario, progress: Progress<'_>) -> Results {
    let pools: Vec<Mutex<Pool>> = scenario.strategies.iter().map(|_| Mutex::new(Pool::default())).collect();
    let replications = scenario.study.replications.get();
    // All strategies of one replication side by side: long and short ones mix, whatever the number of threads.
    let jobs: Vec<(u32, usize)> =
        (0..replications).flat_map(|run| (0..scenario.strategies.len()).map(move |place| (run, place))).collect();
    let runs: Vec<RunMetrics> = jobs
        .into_par_iter()
        .with_max_len(1)
        .map(|(replication, place)| {
            let strategy = &scenario.strategies[place];
            let history = engine::run(scenario, &strategy.strategy, replication);
            let points = fleet_points(&history, &strategy.strategy);
            let metrics = measure(&history, &points, scenario, strategy, replication);
            let mut pool = pools[place].lock().expect("no run panics while it adds up");
            pool.add(history, points, &scenario.study, replication);
            drop(pool);
            progress();
            metrics
        })
        .collect();
    let mut by_strategy = vec![Vec::with_capacity(replications as usize); scenario.strategies.len()];
    for (place, run) in runs.into_iter().enumerate() {
        by_strategy[place % scenario.strategies.len()].push(run);
    }
    let against = by_strategy[scenario.study.against].clone();
    let strategies = scenario
        .strategies
        .iter()
        .enumerate()
        .zip(by_strategy.into_iter().zip(pools))
        .map(|((place, strategy), (runs, pool))| {
            let pool = pool.into_inner().expect("no run panics while it adds up");
            let other = (place != scenario.study.against).then_some(&against[..]);
            gather(scenario, strategy, runs, &pool, other)
        })
        .collect();
    Results { header: header(scenario), strategies }
}

fn header(scenario: &Scenario) -> Header {
    let study = &scenario.study;
    Header {
        version: env!("CARGO_PKG_VERSION").to_owned(),
        scenario: scenario.name.clone(),
        scenario_hash: format!("{:016x}", scenario.hash),
        seed: study.seed,
        replications: study.replications.get(),
        confidence: study.confidence,
        instances: scenario.service.instances.get(),
        baseline_s: study.baseline.as_secs_f64(),
        window_s: study.window.as_secs_f64(),
        interval_s: study.interval.as_secs_f64(),
        against: scenario.strategies[study.against].name.clone(),
    }
}

/// What the runs of one strategy add up to. Only whole numbers are added, so the order of the runs does not matter.
#[derive(Debug, Default)]
struct Pool {
    intervals: Vec<PooledInterval>,
    losses: BTreeMap<LossKey, u64>,
    /// Replication 0, of which the details are kept.
    sample: Option<(Vec<Change>, Vec<FleetPoint>)>,
}

#[derive(Debug, Default)]
struct PooledInterval {
    requests: Interval,
    ready_nanos: u128,
    least_ready: u32,
    /// Availability run by run, in no order.
    availability: Vec<f32>,
}

impl Pool {
    fn add(&mut self, history: History, points: Vec<FleetPoint>, study: &Study, replication: u32) {
        let ready = ready_by_interval(&points, study, history.intervals.len());
        if self.intervals.is_empty() {
            let empty = || PooledInterval { least_ready: u32::MAX, ..PooledInterval::default() };
            self.intervals.resize_with(history.intervals.len(), empty);
        }
        for (pooled, (interval, ready)) in self.intervals.iter_mut().zip(history.intervals.iter().zip(ready)) {
            pooled.requests.ledger.add(&interval.ledger);
            pooled.requests.latency.add(&interval.latency).expect("the histogram grows");
            pooled.ready_nanos += ready.nanos;
            pooled.least_ready = pooled.least_ready.min(ready.least);
            if interval.ledger.served + interval.ledger.lost_in_all() > 0 {
                pooled.availability.push(availability_of(&interval.ledger) as f32);
            }
        }
        for (key, requests) in history.losses {
            *self.losses.entry(key).or_default() += requests;
        }
        if replication == 0 {
            self.sample = Some((history.changes, points));
        }
    }
}

fn gather(
    scenario: &Scenario,
    strategy: &NamedStrategy,
    runs: Vec<RunMetrics>,
    pool: &Pool,
    against: Option<&[RunMetrics]>,
) -> StrategyResults {
    let (changes, points) = pool.sample.as_ref().expect("there is a replication 0");
    StrategyResults {
        name: strategy.name.clone(),
        orchestrator: strategy.strategy.facts().name().to_owned(),
        summary: summarise(&runs, against, &scenario.study, &scenario.budget),
        series: series(&strategy.name, &scenario.study, pool),
        losses: losses(&strategy.name, &pool.losses, runs.len()),
        timeline: timeline(&strategy.name, points, &scenario.study),
        spans: spans(changes, &scenario.study),
        runs,
    }
}

/// Estimates over the replications of one strategy, and its differences to another one's.
fn summarise(runs: &[RunMetrics], against: Option<&[RunMetrics]>, study: &Study, budget: &Budget) -> Summary {
    let of = |value: fn(&RunMetrics) -> f64| sample(runs, value).estimate(study.confidence);
    let durations: Vec<f64> = runs.iter().filter_map(|run| run.duration_s).collect();
    let mut summary = Summary {
        availability: availability_estimate(runs, study.confidence),
        worst_minute_availability: of(|run| run.worst_minute_availability),
        lost: of(|run| run.lost as f64),
        main_cause: main_cause(runs),
        p50_ms: of(|run| run.p50_ms),
        p95_ms: of(|run| run.p95_ms),
        p99_ms: of(|run| run.p99_ms),
        p999_ms: of(|run| run.p999_ms),
        baseline_p50_ms: of(|run| run.baseline_p50_ms),
        baseline_p95_ms: of(|run| run.baseline_p95_ms),
        baseline_p99_ms: of(|run| run.baseline_p99_ms),
        duration_s: Sample::new(durations).map(|sample| sample.estimate(study.confidence)),
        least_ready: runs.iter().map(|run| run.least_ready).min().expect("there are runs"),
        least_ready_share: of(|run| run.least_ready_share),
        most_instances: runs.iter().map(|run| run.most_instances).max().expect("there are runs"),
        extra_instance_s: of(|run| run.extra_instance_s),
        mixed_version_s: of(|run| run.mixed_version_s),
        outcomes: outcomes(runs),
        against: against.map(|other| differences(runs, other, study.confidence)),
        budget: Vec::new(),
    };
    summary.budget = judge(&summary, runs, budget);
    summary
}

fn sample(runs: &[RunMetrics], value: impl Fn(&RunMetrics) -> f64) -> Sample {
    Sample::new(runs.iter().map(value).collect()).expect("a study has two replications or more, with finite figures")
}

/// Requests that had not ended when the run did could all have been lost yet, or served. Where no request at all was lost, the t
/// interval has no width, and the number of requests bounds what could be lost one by one.
fn availability_estimate(runs: &[RunMetrics], confidence: f64) -> Estimate {
    let estimate = sample(runs, |run| run.availability).estimate(confidence);
    let sum = |of: fn(&RunMetrics) -> u64| runs.iter().map(of).sum::<u64>() as f64;
    let (served, open, arrivals) = (sum(|run| run.served), sum(|run| run.open), sum(|run| run.arrivals));
    let (worst, best) = if open > 0.0 { (served / arrivals, (served + open) / arrivals) } else { (1.0, 0.0) };
    let nothing_lost = runs.iter().all(|run| run.lost == 0);
    let unseen = if nothing_lost { upper_bound_of_none(served as u64, confidence) } else { 0.0 };
    Estimate {
        mean: estimate.mean,
        low: estimate.low.min(worst).min(1.0 - unseen).clamp(0.0, 1.0),
        high: estimate.high.max(best).clamp(0.0, 1.0),
    }
}

fn differences(runs: &[RunMetrics], other: &[RunMetrics], confidence: f64) -> Differences {
    let of = |value: fn(&RunMetrics) -> f64| sample(runs, value).minus(&sample(other, value)).estimate(confidence);
    let ended = runs.iter().zip(other).filter_map(|(run, other)| Some(run.duration_s? - other.duration_s?));
    Differences {
        availability: of(|run| run.availability),
        lost: of(|run| run.lost as f64),
        p99_ms: of(|run| run.p99_ms),
        duration_s: Sample::new(ended.collect()).map(|sample| sample.estimate(confidence)),
        extra_instance_s: of(|run| run.extra_instance_s),
    }
}

fn lost_to(run: &RunMetrics, cause: Cause) -> u64 {
    match cause {
        Cause::NoEndpoint => run.lost_no_endpoint,
        Cause::StaleEndpoint => run.lost_stale_endpoint,
        Cause::CutOff => run.lost_cut_off,
        Cause::QueueFull => run.lost_queue_full,
        Cause::TimedOutWaiting => run.lost_timed_out_waiting,
        Cause::TimedOutInService => run.lost_timed_out_in_service,
        Cause::Defect => run.lost_defect,
        Cause::Crash => run.lost_crash,
    }
}

/// The cause that most requests were lost to, and its share; the first of the list among equals.
fn main_cause(runs: &[RunMetrics]) -> Option<(Cause, f64)> {
    let total = |cause: Cause| runs.iter().map(|run| lost_to(run, cause)).sum::<u64>();
    let all: u64 = runs.iter().map(|run| run.lost).sum();
    let main = Cause::ALL.into_iter().rev().max_by_key(|cause| total(*cause))?;
    (all > 0).then(|| (main, total(main) as f64 / all as f64))
}

fn outcomes(runs: &[RunMetrics]) -> Vec<(Outcome, u32)> {
    let count = |outcome: Outcome| runs.iter().filter(|run| run.outcome == outcome.name()).count() as u32;
    let mut counts: Vec<(Outcome, u32)> = Outcome::ALL.into_iter().map(|outcome| (outcome, count(outcome))).collect();
    counts.retain(|(_, count)| *count > 0);
    counts.sort_by_key(|(_, count)| std::cmp::Reverse(*count));
    counts
}

/// Every line of the budget, held against its estimate. A rollout that did not complete misses a limit on its
/// duration.
fn judge(summary: &Summary, runs: &[RunMetrics], budget: &Budget) -> Vec<BudgetLine> {
    let mut lines = Vec::new();
    if let Some(limit) = budget.availability {
        let estimate = summary.availability;
        let verdict = verdict(estimate.low >= limit, estimate.high < limit);
        lines.push(BudgetLine { what: "availability".to_owned(), limit, estimate: Some(estimate), verdict });
    }
    if let Some(limit) = budget.least_ready {
        // Ready capacity is promised for each rollout, not on the average.
        let missed = runs.iter().any(|run| run.least_ready_share < limit);
        let estimate = Some(summary.least_ready_share);
        lines.push(BudgetLine { what: "least_ready".to_owned(), limit, estimate, verdict: verdict(!missed, missed) });
    }
    let mut at_most = |what: &str, limit: Option<f64>, estimate: Option<Estimate>, possible: bool| {
        let Some(limit) = limit else { return };
        let holds = possible && estimate.is_some_and(|estimate| estimate.high <= limit);
        let missed = !possible || estimate.is_some_and(|estimate| estimate.low > limit);
        lines.push(BudgetLine { what: what.to_owned(), limit, estimate, verdict: verdict(holds, missed) });
    };
    let p99 = budget.p99.map(|limit| limit.as_secs_f64() * 1e3);
    // Where nothing was served there is no latency that could keep a limit.
    at_most("p99_ms", p99, Some(summary.p99_ms), runs.iter().all(|run| run.served > 0));
    at_most("lost", budget.lost.map(|limit| limit as f64), Some(summary.lost), true);
    let all_completed = runs.iter().all(|run| run.outcome == Outcome::Completed.name());
    at_most("duration_s", budget.duration.map(|limit| limit.as_secs_f64()), summary.duration_s, all_completed);
    lines
}

fn verdict(holds: bool, missed: bool) -> Verdict {
    match (holds, missed) {
        (true, _) => Verdict::Holds,
        (false, true) => Verdict::Missed,
        (false, false) => Verdict::Undecided,
    }
}

fn series(name: &str, study: &Study, pool: &Pool) -> Vec<SeriesRow> {
    let replications = f64::from(study.replications.get());
    let from_s = study.series_from().as_secs_f64() - study.rollout_at().as_secs_f64();
    let interval_s = study.interval.as_secs_f64();
    let ends_s = study.window.as_secs_f64();
    let row = |(place, pooled): (usize, &PooledInterval)| {
        let t_s = from_s + place as f64 * interval_s;
        let ledger = &pooled.requests.ledger;
        let lost = |cause: Cause| ledger.lost[cause.index()] as f64 / replications;
        let latency = &pooled.requests.latency;
        let quantile = |q: f64| (!latency.is_empty()).then(|| quantile_ms(latency, q));
        let mut shares = pooled.availability.clone();
        shares.sort_unstable_by(f32::total_cmp);
        let length_s = interval_s.min(ends_s - t_s);
        SeriesRow {
            strategy: name.to_owned(),
            t_s,
            arrivals: ledger.arrivals as f64 / replications,
            served: ledger.served as f64 / replications,
            lost_no_endpoint: lost(Cause::NoEndpoint),
            lost_stale_endpoint: lost(Cause::StaleEndpoint),
            lost_cut_off: lost(Cause::CutOff),
            lost_queue_full: lost(Cause::QueueFull),
            lost_timed_out_waiting: lost(Cause::TimedOutWaiting),
            lost_timed_out_in_service: lost(Cause::TimedOutInService),
            lost_defect: lost(Cause::Defect),
            lost_crash: lost(Cause::Crash),
            availability: (!shares.is_empty()).then(|| availability_of(ledger)),
            availability_p05: nearest_rank(&shares, 0.05),
            availability_p95: nearest_rank(&shares, 0.95),
            p50_ms: quantile(0.5),
            p95_ms: quantile(0.95),
            p99_ms: quantile(0.99),
            ready: pooled.ready_nanos as f64 / 1e9 / length_s / replications,
            least_ready: pooled.least_ready,
        }
    };
    pool.intervals.iter().enumerate().map(row).collect()
}

/// The quantile of sorted values by nearest rank: the smallest one that at least this share does not exceed.
fn nearest_rank(sorted: &[f32], quantile: f64) -> Option<f64> {
    let rank = (quantile * sorted.len() as f64).ceil() as usize;
    sorted.get(rank.max(1) - 1).map(|value| f64::from(*value))
}

fn losses(name: &str, pooled: &BTreeMap<LossKey, u64>, replications: usize) -> Vec<LossRow> {
    let mut order: Vec<(&LossKey, &u64)> = pooled.iter().collect();
    order.sort_by_key(|(key, requests)| (std::cmp::Reverse(**requests), **key));
    let row = |(key, requests): (&LossKey, &u64)| LossRow {
        strategy: name.to_owned(),
        cause: key.cause.name().to_owned(),
        version: key.version.map_or_else(|| "none".to_owned(), |version| version.to_string()),
        step: key.step,
        requests: *requests,
        requests_per_rollout: *requests as f64 / replications as f64,
    };
    order.into_iter().map(row).collect()
}

fn timeline(name: &str, points: &[FleetPoint], study: &Study) -> Vec<TimelineRow> {
    let rollout_at = SimTime::START + study.rollout_at();
    let (old, new) = (Version::OLD.index(), Version::NEW.index());
    let row = |(from, _, point): (SimTime, SimTime, &FleetPoint)| TimelineRow {
        strategy: name.to_owned(),
        t_s: from.since(rollout_at).as_secs_f64(),
        old_desired: point.desired[old],
        new_desired: point.desired[new],
        old_ready: point.ready[old],
        new_ready: point.ready[new],
        old_total: point.total[old],
        new_total: point.total[new],
        terminating: point.terminating,
        available: point.available,
    };
    stretches(points, rollout_at, SimTime::START + study.ends_at()).map(row).collect()
}

/// What each instance did from the beginning of the rollout on.
fn spans(changes: &[Change], study: &Study) -> Vec<Span> {
    let rollout_at = SimTime::START + study.rollout_at();
    let ends_at = SimTime::START + study.ends_at();
    let mut open: BTreeMap<u32, Change> = BTreeMap::new();
    let mut spans = Vec::new();
    let mut close = |change: &Change, to: SimTime| {
        let (from, to) = (change.at.clamp(rollout_at, ends_at), to.clamp(rollout_at, ends_at));
        if from < to && change.to != Phase::Gone {
            let out_of_balancers = change.to == Phase::Ready && !change.listed;
            spans.push(Span {
                instance: change.instance.0,
                slot: change.slot.0,
                version: change.version.to_string(),
                phase: if out_of_balancers { "taken out" } else { change.to.name() }.to_owned(),
                from_s: from.since(rollout_at).as_secs_f64(),
                to_s: to.since(rollout_at).as_secs_f64(),
            });
        }
    };
    for change in changes {
        if let Some(before) = open.insert(change.instance.0, *change) {
            close(&before, change.at);
        }
    }
    for change in open.values() {
        close(change, ends_at);
    }
    spans.sort_by(|a, b| (a.instance, a.from_s).partial_cmp(&(b.instance, b.from_s)).expect("times are finite"));
    spans
}
