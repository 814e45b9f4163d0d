//! Made-up results for tests: plausible in shape, and the same every time.

use crate::history::{Cause, Outcome};
use crate::metrics::RunMetrics;
use crate::stats::Estimate;
use crate::study::{Context, Header, Results, SeriesRow, Span, StrategyResults, Summary, TimelineRow};

/// Name, orchestrator, instances replaced at once, whether the new ones start first, share lost meanwhile, whether it
/// ends.
const KINDS: [(&str, &str, u32, bool, f64, bool); 8] = [
    ("k8s-default", "kubernetes", 3, true, 0.004, true),
    ("k8s-surge-1", "kubernetes", 1, true, 0.000_6, true),
    ("k8s-recreate", "kubernetes", 12, false, 0.62, true),
    ("swarm-stop-first", "swarm", 2, false, 0.03, true),
    ("swarm-start-first", "swarm", 2, true, 0.0, true),
    ("octopus-window-1", "octopus", 1, false, 0.011, true),
    ("octopus-window-4", "octopus", 4, false, 0.09, true),
    ("k8s-broken-image", "kubernetes", 3, true, 0.02, false),
];
const INSTANCES: u32 = 12;
const WINDOW: f64 = 600.0;
const BASELINE: f64 = 60.0;

/// A number from 0 to 1 that looks like chance.
fn noise(n: u32) -> f64 {
    f64::from(n.wrapping_mul(2_654_435_761).rotate_left(13).wrapping_mul(2_246_822_519) >> 8) / f64::from(1_u32 << 24)
}

fn around(mean: f64, half: f64) -> Estimate {
    Estimate { mean, low: mean - half, high: mean + half }
}

/// A study of some strategies over 5-second intervals.
pub(crate) fn study(strategies: u32) -> Results {
    Results {
        header: Header {
            version: "0.1.0".into(),
            scenario: "quickstart".into(),
            scenario_hash: "0123456789abcdef".into(),
            seed: 1,
            replications: 40,
            confidence: 0.95,
            instances: INSTANCES,
            baseline_s: BASELINE,
            window_s: WINDOW,
            interval_s: 5.0,
            against: "k8s-default".into(),
            context: Context::default(),
        },
        strategies: (0..strategies).map(strategy).collect(),
    }
}

fn strategy(number: u32) -> StrategyResults {
    let (name, orchestrator, batch, starts_first, lost, ends) = KINDS[number as usize % KINDS.len()];
    let round = number / KINDS.len() as u32;
    let name = if round == 0 { name.to_owned() } else { format!("{name}-{round}") };
    let (spans, duration) = spans(number, batch, starts_first, ends);
    let requests = 120_000.0;
    let lost_mean = lost * requests * (duration / WINDOW) * (1.0 + 0.1 * f64::from(round));
    let p99 = 120.0 + 900.0 * lost.min(0.3);
    let shown_duration = ends.then_some(around(duration, duration * 0.02));
    StrategyResults {
        grace_s: 30.0,
        summary: Summary {
            availability: around(1.0 - lost_mean / requests, 0.08 * lost_mean / requests),
            worst_minute_availability: around(1.0 - lost, 0.0),
            lost: around(lost_mean, 0.12 * lost_mean),
            late: around(0.5 * lost_mean, 0.06 * lost_mean),
            main_cause: (lost > 0.0).then_some((Cause::StaleEndpoint, 0.5)),
            p50_ms: around(42.0, 1.0),
            p95_ms: around(90.0, 2.0),
            p99_ms: around(p99, 5.0),
            p999_ms: around(p99 * 2.0, 20.0),
            baseline_p50_ms: around(40.0, 1.0),
            baseline_p95_ms: around(80.0, 1.0),
            baseline_p99_ms: around(110.0, 2.0),
            duration_s: shown_duration,
            least_ready: INSTANCES - if starts_first { 0 } else { batch },
            least_ready_share: around(0.8, 0.01),
            most_instances: INSTANCES + if starts_first { batch } else { 0 },
            extra_instance_s: around(100.0, 3.0),
            mixed_version_s: around(duration * 0.8, 3.0),
            outcomes: if ends {
                vec![(Outcome::Completed, 40)]
            } else {
                vec![(Outcome::Stuck, 38), (Outcome::Completed, 2)]
            },
            against: None,
            budget: Vec::new(),
        },
        runs: (0..40).map(|run| metrics(&name, run, lost_mean, ends.then_some(duration))).collect(),
        series: series(&name, number, 5.0, (lost, duration)),
        losses: Vec::new(),
        classes: Vec::new(),
        timeline: timeline(&name, &spans),
        spans,
        name,
        orchestrator: orchestrator.into(),
    }
}

fn metrics(strategy: &str, replication: u32, lost: f64, duration_s: Option<f64>) -> RunMetrics {
    let part = |share: f64| (lost * share).round() as u64;
    RunMetrics {
        strategy: strategy.into(),
        replication,
        outcome: "completed".into(),
        duration_s,
        availability: 1.0,
        worst_minute_availability: 1.0,
        arrivals: 120_000,
        served: 120_000 - part(1.0),
        lost: part(1.0),
        open: 0,
        lost_no_endpoint: if lost > 5_000.0 { part(0.4) } else { 0 },
        lost_stale_endpoint: part(if lost > 5_000.0 { 0.1 } else { 0.5 }),
        lost_cut_off: part(0.3),
        lost_queue_full: part(0.1),
        lost_timed_out_waiting: part(0.05),
        lost_timed_out_in_service: part(0.03),
        lost_abandoned: 0,
        lost_shed: 0,
        lost_error: 0,
        lost_defect: part(0.01),
        lost_crash: part(0.01),
        lost_wrong_schema: part(0.01),
        lost_wrong_version: part(0.01),
        late: part(0.5),
        first_lost_s: (lost > 0.0).then_some(3.0),
        attempts_per_request: 1.0,
        mean_ms: 40.0,
        p50_ms: 40.0,
        p95_ms: 80.0,
        p99_ms: 110.0,
        p999_ms: 200.0,
        waited_share: 0.1,
        mean_wait_ms: 1.0,
        most_waiting: 20,
        utilisation: 0.5,
        baseline_availability: 1.0,
        baseline_p50_ms: 40.0,
        baseline_p95_ms: 80.0,
        baseline_p99_ms: 110.0,
        least_ready: 10,
        least_ready_share: 0.8,
        most_instances: 14,
        extra_instance_s: 100.0,
        shortfall_instance_s: 10.0,
        mixed_version_s: 100.0,
        new_served_before_rollback: None,
        detect_s: None,
        restore_s: None,
    }
}

fn series(name: &str, number: u32, interval: f64, (lost, duration): (f64, f64)) -> Vec<SeriesRow> {
    let intervals = ((BASELINE + WINDOW) / interval) as u32;
    let row = |n: u32| {
        let t_s = -BASELINE + f64::from(n) * interval;
        let busy = if (0.0..duration).contains(&t_s) { 1.0 } else { 0.0 };
        // A wave for the batches.
        let wave =
            busy * (0.4 + 0.6 * (1.0 - ((t_s / 31.0).fract() * 2.0 - 1.0).abs()) + 0.25 * noise(n + 977 * number));
        let availability = (1.0 - lost * wave).clamp(0.0, 1.0);
        let latency = 1.0 + 0.05 * noise(3 * n + number) + wave * (0.3 + 4.0 * lost.min(0.4));
        // Nobody is served while a fleet is down as a whole.
        let none = lost > 0.5 && wave > 0.9;
        SeriesRow {
            strategy: name.into(),
            t_s,
            arrivals: 1_000.0,
            served: 1_000.0 * availability,
            lost_no_endpoint: 0.0,
            lost_stale_endpoint: 1_000.0 * (1.0 - availability),
            lost_cut_off: 0.0,
            lost_queue_full: 0.0,
            lost_timed_out_waiting: 0.0,
            lost_timed_out_in_service: 0.0,
            lost_abandoned: 0.0,
            lost_shed: 0.0,
            lost_error: 0.0,
            lost_defect: 0.0,
            lost_crash: 0.0,
            lost_wrong_schema: 0.0,
            lost_wrong_version: 0.0,
            availability: Some(availability),
            availability_p05: Some((1.0 - lost * wave * 1.5).max(0.0)),
            availability_p95: Some(1.0 - (lost * wave * 0.4).min(1.0)),
            p50_ms: (!none).then_some(40.0 * latency),
            p95_ms: (!none).then_some(80.0 * latency * latency),
            p99_ms: (!none).then_some(110.0 * latency * latency * (1.0 + 0.2 * noise(7 * n + number))),
            ready: 12.0,
            least_ready: 11,
            open: 40.0,
            waiting: 2.0,
            busy: 38.0,
        }
    };
    (0..intervals).map(row).collect()
}

/// Batch after batch: pull, start, serve; drain, stop.
fn spans(number: u32, batch: u32, starts_first: bool, ends: bool) -> (Vec<Span>, f64) {
    let mut spans = Vec::new();
    let mut begin = 0.0;
    let mut end: f64 = 0.0;
    for slot in 0..INSTANCES {
        let stay = |instance: u32, version: &str, phase: &str, from_s: f64, to_s: f64| Span {
            instance,
            slot,
            version: version.into(),
            phase: phase.into(),
            from_s,
            to_s: to_s.min(WINDOW),
        };
        let own = 5.0 * noise(slot + 100 * number);
        let (lead, rest) = (if starts_first { 0.0 } else { 12.0 + own }, if starts_first { 34.0 + own } else { 0.0 });
        let up = begin + lead + 8.0 + 22.0 + own;
        let fails = !ends && slot >= batch;
        if fails {
            spans.push(stay(slot, "old", "ready", 0.0, WINDOW));
            if slot >= 2 * batch {
                continue;
            }
            let mut at = begin;
            while at < WINDOW - 60.0 {
                spans.push(stay(INSTANCES + slot, "new", "starting", at, at + 12.0 + own));
                spans.push(stay(INSTANCES + slot, "new", "down", at + 12.0 + own, at + 40.0 + own));
                at += 40.0 + own;
            }
            continue;
        }
        spans.push(stay(slot, "old", "ready", 0.0, begin + rest));
        spans.push(stay(slot, "old", "draining", begin + rest, begin + rest + 7.0));
        spans.push(stay(slot, "old", "stopping", begin + rest + 7.0, begin + rest + 12.0));
        spans.push(stay(INSTANCES + slot, "new", "pulling", begin + lead, begin + lead + 8.0));
        spans.push(stay(INSTANCES + slot, "new", "starting", begin + lead + 8.0, up));
        spans.push(stay(INSTANCES + slot, "new", "ready", up, WINDOW));
        end = end.max(up).max(begin + rest + 12.0);
        begin = if (slot + 1) % batch == 0 { end } else { begin };
    }
    spans.retain(|span| span.to_s > span.from_s);
    (spans, if ends { end } else { WINDOW })
}

/// The fleet at every beginning and end of a span.
fn timeline(strategy: &str, spans: &[Span]) -> Vec<TimelineRow> {
    let mut moments: Vec<f64> =
        spans.iter().flat_map(|span| [span.from_s, span.to_s]).filter(|t| *t < WINDOW).collect();
    moments.sort_by(f64::total_cmp);
    moments.dedup();
    let row = |t_s: f64| {
        let present = |version: &str, phases: &[&str]| {
            let now = |span: &&Span| span.from_s <= t_s && t_s < span.to_s;
            let such = |span: &&Span| span.version == version && phases.contains(&span.phase.as_str());
            spans.iter().filter(now).filter(such).count() as u32
        };
        let live = ["pulling", "starting", "down", "ready"];
        let out = ["draining", "stopping"];
        TimelineRow {
            strategy: strategy.into(),
            t_s,
            old_desired: 0,
            new_desired: INSTANCES,
            old_ready: present("old", &["ready"]),
            new_ready: present("new", &["ready"]),
            old_total: present("old", &live),
            new_total: present("new", &live),
            terminating: present("old", &out) + present("new", &out),
            available: 0,
        }
    };
    moments.into_iter().map(row).collect()
}

/// The same study with this many intervals.
pub(crate) fn lengthen(results: &mut Results, intervals: u32) {
    let interval = (BASELINE + WINDOW) / f64::from(intervals);
    results.header.interval_s = interval;
    for (number, strategy) in (0..).zip(&mut results.strategies) {
        strategy.series = series(&strategy.name, number, interval, (0.05, WINDOW));
    }
}

/// Studies that tempt a picture to fail.
pub(crate) fn odd() -> Vec<Results> {
    let mut spotless = study(5);
    let mut endless = study(6);
    let mut empty = study(3);
    let mut narrow = study(1);
    let mut long_names = study(7);
    let mut broken = study(2);
    for strategy in &mut spotless.strategies {
        strategy.summary.lost = around(0.0, 0.0);
        strategy.summary.availability = around(1.0, 0.0);
        strategy.runs.iter_mut().for_each(|run| *run = metrics("", 0, 0.0, Some(90.0)));
        for row in &mut strategy.series {
            (row.availability, row.availability_p05, row.availability_p95) = (Some(1.0), Some(1.0), Some(1.0));
        }
    }
    for strategy in &mut endless.strategies {
        strategy.summary.duration_s = None;
        strategy.summary.outcomes = vec![(Outcome::Unfinished, 40)];
        strategy.runs.iter_mut().for_each(|run| run.duration_s = None);
    }
    for strategy in &mut empty.strategies {
        strategy.series.clear();
        strategy.timeline.clear();
        strategy.spans.clear();
        strategy.runs.clear();
        strategy.summary.outcomes.clear();
    }
    for strategy in &mut narrow.strategies {
        strategy.series.truncate(1);
        strategy.timeline.truncate(1);
        strategy.spans.truncate(1);
        strategy.spans[0].to_s = strategy.spans[0].from_s;
        strategy.summary.duration_s = Some(around(0.0, 0.0));
    }
    narrow.header.interval_s = 0.0;
    narrow.header.window_s = 0.0;
    for (strategy, letter) in long_names.strategies.iter_mut().zip('a'..) {
        strategy.name =
            format!("{letter}-strategy-with-the-longest-name-that-a-file-may-hold-{letter}{letter}{letter}{letter}");
    }
    for strategy in &mut broken.strategies {
        strategy.summary.lost = around(f64::NAN, f64::INFINITY);
        strategy.summary.availability = around(f64::NAN, 0.0);
        strategy.summary.p99_ms = around(f64::INFINITY, 0.0);
        strategy.summary.baseline_p99_ms = around(f64::NAN, 0.0);
        strategy.summary.duration_s = Some(around(f64::NAN, f64::NAN));
        for (place, row) in strategy.series.iter_mut().enumerate() {
            row.availability = (place % 3 == 0).then_some(f64::NAN);
            row.p99_ms = (place % 2 == 0).then_some(0.0);
        }
    }
    let mut crowd = study(1);
    let pattern = crowd.strategies[0].spans.clone();
    crowd.strategies[0].spans = (0..40)
        .flat_map(|n| {
            pattern.iter().cloned().map(move |mut span| {
                span.instance += 24 * n;
                span
            })
        })
        .collect();
    vec![spotless, endless, empty, narrow, long_names, broken, crowd, study(13)]
}
