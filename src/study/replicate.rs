//! Every strategy over every replication, in parallel. What is added up across runs is whole numbers, and what is not
//! is kept run by run in order, so the result does not depend on the number of threads.

use super::context::{Context, grace_s};
use super::rows::{classes, losses, series, spans, timeline};
use super::{BudgetLine, Differences, Header, Results, StrategyResults, Summary, Verdict};
use crate::engine;
use crate::history::{Cause, Change, ClassCounts, HarmKey, History, Interval, Outcome};
use crate::metrics::{FleetPoint, RunMetrics, availability_of, fleet_points, measure, ready_by_interval};
use crate::scenario::{Budget, NamedStrategy, Scenario, Study};
use crate::stats::{Estimate, Sample, upper_bound_of_none};
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
    let pools: Vec<Pool> =
        pools.into_iter().map(|pool| pool.into_inner().expect("no run panics while it adds up")).collect();
    let strategies = by_strategy
        .into_par_iter()
        .zip(&pools)
        .enumerate()
        .map(|(place, (runs, pool))| {
            let other = (place != scenario.study.against).then_some(&against[..]);
            gather(scenario, &scenario.strategies[place], runs, pool, other)
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
        context: Context::of(scenario),
    }
}

/// What the runs of one strategy add up to. Only whole numbers are added, so the order of the runs does not matter.
#[derive(Debug, Default)]
pub(super) struct Pool {
    pub(super) intervals: Vec<PooledInterval>,
    harm: BTreeMap<HarmKey, u64>,
    /// By class.
    classes: Vec<ClassCounts>,
    /// Replication 0, of which the details are kept.
    sample: Option<(Vec<Change>, Vec<FleetPoint>)>,
}

#[derive(Debug, Default)]
pub(super) struct PooledInterval {
    pub(super) requests: Interval,
    pub(super) ready_nanos: u128,
    pub(super) least_ready: u32,
    /// Availability run by run, in no order.
    pub(super) availability: Vec<f32>,
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
            pooled.requests.load.add(&interval.load);
            pooled.requests.latency.add(&interval.latency).expect("the histogram grows");
            pooled.ready_nanos += ready.nanos;
            pooled.least_ready = pooled.least_ready.min(ready.least);
            if interval.ledger.served + interval.ledger.lost_in_all() > 0 {
                pooled.availability.push(availability_of(&interval.ledger) as f32);
            }
        }
        for (key, requests) in history.harm {
            *self.harm.entry(key).or_default() += requests;
        }
        let window = history.window;
        let classes = if window.classes.is_empty() { vec![window.all] } else { window.classes };
        self.classes.resize_with(classes.len(), ClassCounts::default);
        for (pooled, class) in self.classes.iter_mut().zip(classes) {
            pooled.ledger.add(&class.ledger);
            pooled.late += class.late;
            pooled.latency_sum += class.latency_sum;
            pooled.latency.add(&class.latency).expect("the histogram grows");
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
        grace_s: grace_s(scenario, strategy),
        summary: summarise(&runs, against, &scenario.study, &scenario.budget),
        series: series(&strategy.name, &scenario.study, pool),
        losses: losses(&strategy.name, &pool.harm, scenario),
        classes: classes(&strategy.name, &pool.classes, scenario),
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
        late: of(|run| run.late as f64),
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

/// The cause that most requests were lost to, and its share; the first of the list among equals.
fn main_cause(runs: &[RunMetrics]) -> Option<(Cause, f64)> {
    let total = |cause: Cause| runs.iter().map(|run| run.lost_to(cause)).sum::<u64>();
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
