//! How the settings of an Argo Rollout are written, and what must hold of them.

use super::bounds::{count, positive, share_or, span_or};
use super::commands::commands;
use super::place::{Checked, Place};
use super::raw_argo as raw;
use super::units::{Count, CountOrShare, Number, Table};
use crate::rollout::Test;
use crate::rollout::argo::{
    BlueGreen, Canary, CanaryScale, Enough, Kind, Limits, MAX_WEIGHT, Measures, Metric, PROGRESS_DEADLINE,
    SCALE_DOWN_DELAY, Settings, Step,
};
use crate::rollout::kubernetes::{Bound, resolve_fenceposts};
use std::time::Duration;

/// The largest span in whole seconds: 366 days.
const LONGEST_S: u32 = 31_622_400;

const MOST_STEPS: usize = 1_000;
const MOST_METRICS: usize = 100;

/// `maxSurge` and `maxUnavailable` where none is given.
const A_QUARTER: CountOrShare = CountOrShare(Bound::Percent(25));

pub(super) fn argo(place: &Place, raw: raw::Argo, instances: u32) -> Checked<Settings> {
    let seconds = |key: &str, written: Option<Count>| {
        let span = |written| count(&place.key(key), written, 0..=LONGEST_S).map(|s| Duration::from_secs(s.into()));
        written.map(span).transpose()
    };
    let min_ready = seconds("min_ready_seconds", raw.min_ready_seconds)?.unwrap_or_default();
    let progress_deadline = seconds("progress_deadline_seconds", raw.progress_deadline_seconds)?;
    let progress_deadline = progress_deadline.unwrap_or(PROGRESS_DEADLINE);
    let exceeds = progress_deadline > min_ready;
    place.key("progress_deadline_seconds").holds(exceeds, "must exceed min_ready_seconds")?;
    let kind = match (raw.canary, raw.blue_green) {
        (Some(_), Some(_)) => return Err(place.breaks("must hold exactly one of canary, blue_green")),
        (None, Some(Table(raw))) => Kind::BlueGreen(blue_green(&place.key("blue_green"), raw)?),
        (raw, None) => {
            let Table(raw) = raw.unwrap_or(Table(raw::Canary::default()));
            Kind::Canary(canary(&place.key("canary"), raw, instances)?)
        }
    };
    let delay = seconds("scale_down_delay_seconds", raw.scale_down_delay_seconds)?;
    let abort_delay = seconds("abort_scale_down_delay_seconds", raw.abort_scale_down_delay_seconds)?;
    let is_basic = matches!(&kind, Kind::Canary(canary) if !canary.traffic_routing);
    for (key, given) in [("scale_down_delay_seconds", delay), ("abort_scale_down_delay_seconds", abort_delay)] {
        let is_of_use = given.is_none() || !is_basic;
        place.key(key).holds(is_of_use, "must be absent for a canary without traffic_routing")?;
    }
    let window = |written| count(&place.key("rollback_window"), written, 0..=1_000);
    Ok(Settings {
        kind,
        min_ready,
        progress_deadline,
        progress_deadline_abort: raw.progress_deadline_abort.unwrap_or(false),
        rollback_window: raw.rollback_window.map_or(Ok(0), window)?,
        scale_down_delay: delay.unwrap_or(SCALE_DOWN_DELAY),
        abort_scale_down_delay: abort_delay,
        commands: commands(&place.key("commands"), raw.commands)?,
    })
}

fn canary(place: &Place, raw: raw::Canary, instances: u32) -> Checked<Canary> {
    let CountOrShare(max_surge) = raw.max_surge.unwrap_or(A_QUARTER);
    let CountOrShare(max_unavailable) = raw.max_unavailable.unwrap_or(A_QUARTER);
    let surge_at = place.key("max_surge");
    let is_zero = |bound| matches!(bound, Bound::Count(0) | Bound::Percent(0));
    let is_possible = !is_zero(max_surge) || !is_zero(max_unavailable);
    surge_at.holds(is_possible, "must exceed 0 when max_unavailable is 0, or no step is possible")?;
    let is_share_of_all = !matches!(max_unavailable, Bound::Percent(101..));
    place.key("max_unavailable").holds(is_share_of_all, "must be at most 100%")?;
    let (surge, _) = resolve_fenceposts(max_surge, max_unavailable, instances);
    surge_at.holds(i32::try_from(surge).is_ok(), "must come to at most 2,147,483,647 instances")?;
    let traffic_routing = raw.traffic_routing.unwrap_or(false);
    let dynamic_stable_scale = raw.dynamic_stable_scale.unwrap_or(false);
    let only = "must be absent without traffic_routing = true";
    place.key("dynamic_stable_scale").holds(traffic_routing || !dynamic_stable_scale, only)?;
    let pods_at = place.key("min_pods_per_replica_set");
    pods_at.holds(traffic_routing || raw.min_pods_per_replica_set.is_none(), only)?;
    let analysis = metrics(&place.key("analysis"), raw.analysis, true)?;
    let starts_at = place.key("analysis_starting_step");
    let is_of_use = raw.analysis_starting_step.is_none() || !analysis.is_empty();
    starts_at.holds(is_of_use, "must be absent without an analysis")?;
    let steps_at = place.key("steps");
    let raw_steps = raw.steps.unwrap_or_default();
    steps_at.holds(raw_steps.len() <= MOST_STEPS, "must hold at most 1,000 steps")?;
    let one = |(index, Table(raw))| step(&steps_at.index(index), raw, traffic_routing);
    let steps: Vec<Step> = raw_steps.into_iter().enumerate().map(one).collect::<Checked<_>>()?;
    let enough = |CountOrShare(bound)| match bound {
        Bound::Count(pods) => Enough::Pods(pods),
        Bound::Percent(percent) => Enough::Percent(percent),
    };
    Ok(Canary {
        max_surge,
        max_unavailable,
        steps,
        traffic_routing,
        dynamic_stable_scale,
        min_pods: raw.min_pods_per_replica_set.map_or(Ok(0), |written| count(&pods_at, written, 0..=100_000))?,
        enough: raw.replica_progress_threshold.map(enough),
        analysis,
        analysis_from: raw.analysis_starting_step.map_or(Ok(0), |written| count(&starts_at, written, 0..=1_000))?
            as usize,
    })
}

fn step(place: &Place, raw: raw::Step, traffic_routing: bool) -> Checked<Step> {
    let one = "must hold exactly one of set_weight, pause, set_canary_scale, analysis";
    match (raw.set_weight, raw.pause, raw.set_canary_scale, raw.analysis) {
        (Some(written), None, None, None) => {
            let at = place.key("set_weight");
            at.holds(written.0 <= MAX_WEIGHT.into(), "must be at most 100")?;
            Ok(Step::SetWeight(written.0 as u32))
        }
        (None, Some(Table(pause)), None, None) => Ok(Step::Pause(pause.duration.map(|span| span.0))),
        (None, None, Some(Table(raw)), None) => {
            let at = place.key("set_canary_scale");
            at.holds(traffic_routing, "must be absent without traffic_routing = true")?;
            canary_scale(&at, &raw).map(Step::SetCanaryScale)
        }
        (None, None, None, Some(raw)) => {
            let at = place.key("analysis");
            at.holds(!raw.is_empty(), "must hold at least one metric")?;
            metrics(&at, Some(raw), false).map(Step::Analysis)
        }
        _ => Err(place.breaks(one)),
    }
}

fn canary_scale(place: &Place, raw: &raw::CanaryScale) -> Checked<CanaryScale> {
    match (raw.replicas, raw.weight, raw.match_traffic_weight) {
        (Some(written), None, None) => count(&place.key("replicas"), written, 0..=100_000).map(CanaryScale::Replicas),
        (None, Some(written), None) => count(&place.key("weight"), written, 0..=10_000).map(CanaryScale::Weight),
        (None, None, Some(true)) => Ok(CanaryScale::MatchTrafficWeight),
        _ => Err(place.breaks("must hold exactly one of replicas, weight and match_traffic_weight = true")),
    }
}

fn blue_green(place: &Place, raw: raw::BlueGreen) -> Checked<BlueGreen> {
    let after = |written| count(&place.key("auto_promotion_seconds"), written, 0..=LONGEST_S);
    let after = raw.auto_promotion_seconds.map(after).transpose()?.filter(|seconds| *seconds > 0);
    let preview = |written| count(&place.key("preview_replica_count"), written, 1..=100_000);
    let limit = |written| count(&place.key("scale_down_delay_revision_limit"), written, 0..=1_000);
    Ok(BlueGreen {
        auto_promotion: raw.auto_promotion_enabled.unwrap_or(true),
        auto_promotion_after: after.map(|seconds| Duration::from_secs(seconds.into())),
        preview_replicas: raw.preview_replica_count.map(preview).transpose()?,
        pre_promotion: metrics(&place.key("pre_promotion_analysis"), raw.pre_promotion_analysis, false)?,
        post_promotion: metrics(&place.key("post_promotion_analysis"), raw.post_promotion_analysis, false)?,
        kept_revisions: raw.scale_down_delay_revision_limit.map(limit).transpose()?,
    })
}

fn metrics(place: &Place, raw: Option<Vec<Table<raw::Metric>>>, may_go_on: bool) -> Checked<Vec<Metric>> {
    let raw = raw.unwrap_or_default();
    place.holds(raw.len() <= MOST_METRICS, "must hold at most 100 metrics")?;
    let one = |(index, Table(raw))| metric(&place.index(index), &raw, may_go_on);
    raw.into_iter().enumerate().map(one).collect()
}

fn metric(place: &Place, raw: &raw::Metric, may_go_on: bool) -> Checked<Metric> {
    let limits = Limits::default();
    let up_to = |key: &str, written: Option<Count>, default: u32| {
        written.map_or(Ok(default), |written| count(&place.key(key), written, 0..=1_000_000))
    };
    let metric = Metric {
        measures: measures(place, raw)?,
        initial_delay: span_or(raw.initial_delay, Duration::ZERO),
        interval: raw.interval.map(|span| positive(&place.key("interval"), span)).transpose()?,
        count: raw.count.map(|written| count(&place.key("count"), written, 1..=1_000_000)).transpose()?,
        limits: Limits {
            failures: raw.failure_limit.map_or(Ok(limits.failures), |n| failures(&place.key("failure_limit"), n))?,
            inconclusive: up_to("inconclusive_limit", raw.inconclusive_limit, limits.inconclusive)?,
            consecutive_errors: up_to(
                "consecutive_error_limit",
                raw.consecutive_error_limit,
                limits.consecutive_errors,
            )?,
            consecutive_successes: up_to("consecutive_success_limit", raw.consecutive_success_limit, 0)?,
        },
    };
    let has_interval = metric.interval.is_some() || metric.count.is_none_or(|count| count == 1);
    place.key("interval").holds(has_interval, "must be given when count exceeds 1")?;
    place.key("count").holds(may_go_on || metric.ends(), "must be given, or the analysis never ends")?;
    Ok(metric)
}

fn measures(place: &Place, raw: &raw::Metric) -> Checked<Measures> {
    let is_of_answers = raw.max_failed.is_some() || raw.max_late.is_some();
    if let Some(Table(test)) = &raw.test {
        let is_alone = !is_of_answers && raw.at_least.is_none();
        place.key("test").holds(is_alone, "must stand without max_failed, max_late and at_least")?;
        return Ok(Measures::Test(Test { takes: test.takes.0, finds: test.finds.0 }));
    }
    place.holds(is_of_answers, "must hold a test, or at least one of max_failed and max_late")?;
    let at_least = raw.at_least.map_or(1, |count| count.0);
    place.key("at_least").holds(at_least <= 1_000_000_000, "must be at most 1,000,000,000")?;
    Ok(Measures::Answers { max_failed: share_or(raw.max_failed, 1.0), max_late: share_or(raw.max_late, 1.0), at_least })
}

fn failures(place: &Place, Number(limit): Number) -> Checked<Option<u32>> {
    let is_whole = limit.fract() == 0.0 && (-1.0..=1e6).contains(&limit);
    place.holds(is_whole, "must be a whole number from -1 to 1,000,000")?;
    Ok((limit >= 0.0).then_some(limit as u32))
}
