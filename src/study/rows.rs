//! The rows of a study's tables, from what its runs add up to.

use super::replicate::{Pool, PooledInterval};
use super::{ClassRow, LossRow, SeriesRow, Span, TimelineRow};
use crate::by_number::ByNumber;
use crate::fleet::{InstanceId, Phase, Version};
use crate::history::{Cause, Change, ClassCounts, HarmKey};
use crate::metrics::{FleetPoint, availability_of, quantile_ms, stretches};
use crate::scenario::{Class, Scenario, Study};
use crate::time::SimTime;
use std::collections::BTreeMap;

pub(super) fn series(name: &str, study: &Study, pool: &Pool) -> Vec<SeriesRow> {
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
            lost_abandoned: lost(Cause::Abandoned),
            lost_shed: lost(Cause::Shed),
            lost_error: lost(Cause::Error),
            lost_defect: lost(Cause::Defect),
            lost_crash: lost(Cause::Crash),
            lost_wrong_schema: lost(Cause::WrongSchema),
            lost_wrong_version: lost(Cause::WrongVersion),
            availability: (!shares.is_empty()).then(|| availability_of(ledger)),
            availability_p05: nearest_rank(&shares, 0.05),
            availability_p95: nearest_rank(&shares, 0.95),
            p50_ms: quantile(0.5),
            p95_ms: quantile(0.95),
            p99_ms: quantile(0.99),
            ready: pooled.ready_nanos as f64 / 1e9 / length_s / replications,
            least_ready: pooled.least_ready,
            open: pooled.requests.load.open as f64 / replications,
            waiting: pooled.requests.load.waiting as f64 / replications,
            busy: pooled.requests.load.busy as f64 / replications,
        }
    };
    pool.intervals.iter().enumerate().map(row).collect()
}

/// The quantile of sorted values by nearest rank: the smallest one that at least this share does not exceed.
fn nearest_rank(sorted: &[f32], quantile: f64) -> Option<f64> {
    let rank = (quantile * sorted.len() as f64).ceil() as usize;
    sorted.get(rank.max(1) - 1).map(|value| f64::from(*value))
}

pub(super) fn losses(name: &str, pooled: &BTreeMap<HarmKey, u64>, scenario: &Scenario) -> Vec<LossRow> {
    let mut order: Vec<(&HarmKey, &u64)> = pooled.iter().collect();
    order.sort_by_key(|(key, requests)| (std::cmp::Reverse(**requests), **key));
    let row = |(key, requests): (&HarmKey, &u64)| LossRow {
        strategy: name.to_owned(),
        fate: key.harm.fate().to_owned(),
        cause: key.harm.cause().to_owned(),
        version: key.version.map_or_else(|| "none".to_owned(), |version| version.to_string()),
        step: key.step,
        zone: key.zone,
        class: scenario.traffic.classes[usize::from(key.class)].name.clone(),
        requests: *requests,
        requests_per_rollout: *requests as f64 / f64::from(scenario.study.replications.get()),
    };
    order.into_iter().map(row).collect()
}

pub(super) fn classes(name: &str, pooled: &[ClassCounts], scenario: &Scenario) -> Vec<ClassRow> {
    let replications = f64::from(scenario.study.replications.get());
    let row = |(counts, class): (&ClassCounts, &Class)| {
        let ClassCounts { ledger, late, latency, latency_sum } = counts;
        let quantile = |q: f64| (!latency.is_empty()).then(|| quantile_ms(latency, q));
        ClassRow {
            strategy: name.to_owned(),
            class: class.name.clone(),
            arrivals: ledger.arrivals as f64 / replications,
            served: ledger.served as f64 / replications,
            lost: ledger.lost_in_all() as f64 / replications,
            late: *late as f64 / replications,
            availability: availability_of(ledger),
            target_ms: class.target.map(|target| target.as_secs_f64() * 1e3),
            mean_ms: (ledger.served > 0).then(|| *latency_sum as f64 / ledger.served as f64 / 1e6),
            p50_ms: quantile(0.5),
            p95_ms: quantile(0.95),
            p99_ms: quantile(0.99),
            p999_ms: quantile(0.999),
        }
    };
    pooled.iter().zip(&scenario.traffic.classes).map(row).collect()
}

pub(super) fn timeline(name: &str, points: &[FleetPoint], study: &Study) -> Vec<TimelineRow> {
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
pub(super) fn spans(changes: &[Change], study: &Study) -> Vec<Span> {
    let rollout_at = SimTime::START + study.rollout_at();
    let ends_at = SimTime::START + study.ends_at();
    let mut open: ByNumber<InstanceId, Change> = ByNumber::default();
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
        if let Some(before) = open.insert(change.instance, *change) {
            close(&before, change.at);
        }
    }
    for change in open.values() {
        close(change, ends_at);
    }
    spans.sort_by(|a, b| (a.instance, a.from_s).partial_cmp(&(b.instance, b.from_s)).expect("times are finite"));
    spans
}
