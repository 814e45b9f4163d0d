//! Argo Rollouts: adapters for the sizes of sets, the steps, what is kept after a switch or an abort, and the verdict on a
//! metric.

use rollsim::rollout::argo::{
    CanaryScale, Counts, Enough, Limits, MAX_WEIGHT, Phase, Routed, Set, Step, approximate, at_desired, basic,
    is_there, is_within_window, new_set_size, part, scale_at, size_after_abort, size_while_kept, weight_at,
    weight_on_abort,
};
use rollsim::rollout::kubernetes::{Bound, Bounds, resolve_fenceposts};
use serde_json::{Value, json};
use std::time::Duration;

pub(crate) const NOT_KEPT: &[(&str, &str)] = &[(
    "migrate_deployment_progressively",
    "a Deployment that a Rollout takes over is scaled down once, outside any rollout",
)];

pub(crate) fn answer(function: &str, inputs: &Value) -> Option<Value> {
    match function {
        "approximate_weighted_counts" => approximated(inputs),
        "basic_canary_counts" => basic_counts(inputs),
        "at_desired_counts_basic" => at_desired_basic(inputs),
        "traffic_routed_canary_counts" => routed_counts(inputs),
        "dynamic_stable_scale_counts" => dynamic_counts(inputs),
        "desired_canary_weight_on_abort" => weight_after_abort(inputs),
        "traffic_weight_to_replicas" => {
            let size = part(count(inputs, "replicas")?, count(inputs, "weight")?, count(inputs, "max_weight")?);
            Some(json!({ "replicas": size }))
        }
        "current_set_weight" => current_weight(inputs),
        "canary_replicas_or_weight" => replicas_or_weight(inputs),
        "replicas_for_scale_down" => {
            let counts = set(&inputs["rs"])?.map_or(0, |set| set.counts(inputs["ignore_availability"] == true));
            Some(json!({ "replicas": counts }))
        }
        "all_desired_available" => {
            let is_there = is_there(set(&inputs["rs"])??, count(inputs, "desired")?, None);
            Some(json!({ "ok": is_there }))
        }
        "replica_progress_threshold_met" => {
            let available = count(&inputs["rs"], "available")?;
            let is_met = enough(&inputs["threshold"])??.is_met(available, count(inputs, "desired")?);
            Some(json!({ "met": is_met }))
        }
        "should_full_promote_canary" => {
            let canary = set(&inputs["canary"])??;
            let is_there = is_there(canary, count(inputs, "replicas")?, enough(&inputs["threshold"])?);
            Some(json!({ "promote": inputs["steps_done"] == true && is_there }))
        }
        "rollback_within_window" => within_window(inputs),
        "resolve_fenceposts" => {
            let (surge, unavailable) = bounds(inputs)?;
            let (surge, unavailable) = resolve_fenceposts(surge, unavailable, count(inputs, "desired")?);
            Some(json!({ "max_surge": surge, "max_unavailable": unavailable, "error": false }))
        }
        "max_surge" | "max_unavailable" => resolved(inputs),
        "blue_green_new_rs_replicas" => new_set(inputs),
        "blue_green_reconcile_new_rs" => reconciled_new(inputs),
        "blue_green_reconcile_old_rs" => {
            let size = count(inputs, "old_rs_replicas")?;
            let limit = optional(inputs, "scale_down_delay_revision_limit")?;
            let kept = size_while_kept(size, &mut 0, limit, false);
            Some(json!({ "scaled": kept != size, "old_rs_replicas": kept }))
        }
        "analysis_metric_phase" => metric_phase(inputs),
        _ => None,
    }
}

fn count(table: &Value, key: &str) -> Option<u32> {
    u32::try_from(table[key].as_u64()?).ok()
}

/// The outer `None`: not understood.
#[expect(clippy::option_option, reason = "not understood, or none")]
fn optional(table: &Value, key: &str) -> Option<Option<u32>> {
    if table[key].is_null() { Some(None) } else { count(table, key).map(Some) }
}

/// A set whose size is not given has one instance, as the API's default is.
#[expect(clippy::option_option, reason = "not understood, or none")]
fn set(written: &Value) -> Option<Option<Set>> {
    if written.is_null() {
        return Some(None);
    }
    let size = optional(written, "replicas")?.unwrap_or(1);
    let created = optional(written, "created")?.unwrap_or(size);
    Some(Some(Set { size, available: count(written, "available")?, created }))
}

fn bound(written: &Value) -> Option<Bound> {
    match written {
        Value::Null => Some(Bound::Count(0)),
        Value::String(text) => text.parse().ok(),
        number => Some(Bound::Count(u32::try_from(number.as_u64()?).ok()?)),
    }
}

fn bounds(inputs: &Value) -> Option<(Bound, Bound)> {
    Some((bound(&inputs["max_surge"])?, bound(&inputs["max_unavailable"])?))
}

#[expect(clippy::option_option, reason = "not understood, or none")]
fn enough(written: &Value) -> Option<Option<Enough>> {
    let value = || count(written, "value");
    match written["type"].as_str() {
        None => written.is_null().then_some(None),
        Some("percentage") => Some(Some(Enough::Percent(value()?))),
        Some("pods") => Some(Some(Enough::Pods(value()?))),
        Some(_) => None,
    }
}

// --- sizes
// --------------------------------------------------------------------------------------------------------------

fn approximated(inputs: &Value) -> Option<Value> {
    let of = |key| count(inputs, key);
    let sizes = approximate(of("replicas")?, of("weight")?, of("max_weight")?, of("max_surge")?);
    Some(json!({ "canary": sizes.canary, "stable": sizes.stable }))
}

/// The sets of a canary without a traffic router; a stable set that is the canary is none.
struct Sets {
    bounds: Bounds,
    weight: u32,
    canary: Option<Set>,
    stable: Option<Set>,
    older: Vec<Set>,
}

fn sets(inputs: &Value) -> Option<Sets> {
    let (surge, unavailable) = bounds(inputs)?;
    let is_same = inputs["stable"] == "same_as_canary";
    let older = inputs["older"].as_array()?.iter().map(|older| set(older)?).collect::<Option<_>>()?;
    Some(Sets {
        bounds: Bounds::resolve(surge, unavailable, count(inputs, "replicas")?),
        weight: match (inputs["promote_full"] == true, inputs["abort"] == true) {
            (true, _) => MAX_WEIGHT,
            (false, true) => 0,
            (false, false) => count(inputs, "set_weight")?,
        },
        canary: set(&inputs["canary"])?,
        stable: if is_same { None } else { set(&inputs["stable"])? },
        older,
    })
}

fn basic_counts(inputs: &Value) -> Option<Value> {
    let Sets { bounds, weight, canary, stable, older } = sets(inputs)?;
    let sizes = basic(&bounds, weight, canary, stable, older.iter().map(|set| set.size).sum());
    Some(json!({ "canary": sizes.canary, "stable": sizes.stable }))
}

fn at_desired_basic(inputs: &Value) -> Option<Value> {
    let Sets { bounds, weight, canary, stable, older } = sets(inputs)?;
    let sizes = basic(&bounds, weight, canary, stable, older.iter().map(|set| set.size).sum());
    let others = older.iter().map(|set| set.available).sum();
    Some(json!({ "at_desired": at_desired(sizes, canary?, stable, None, others) }))
}

fn scale(written: &Value) -> Option<CanaryScale> {
    match (optional(written, "replicas")?, optional(written, "weight")?) {
        _ if written["match_traffic_weight"] == true => Some(CanaryScale::MatchTrafficWeight),
        (Some(replicas), _) => Some(CanaryScale::Replicas(replicas)),
        (None, weight) => weight.map(CanaryScale::Weight),
    }
}

fn routed_counts(inputs: &Value) -> Option<Value> {
    let aborted = inputs["abort"] == true;
    let keeps_for_ever = inputs["abort_scale_down_delay_s"] == 0;
    if inputs["dynamic_stable_scale"] == true || aborted && keeps_for_ever {
        return None;
    }
    let written = &inputs["set_canary_scale"];
    let scale = if written.is_null() || aborted { None } else { Some(scale(written)?) };
    let is_full = inputs["promote_full"] == true;
    let weight = if is_full { MAX_WEIGHT } else { count(inputs, "set_weight")? };
    let (scale, weight) = match scale.filter(|_| !is_full) {
        Some(CanaryScale::Replicas(replicas)) => (Some(replicas), weight),
        Some(CanaryScale::Weight(weight)) => (None, weight),
        Some(CanaryScale::MatchTrafficWeight) | None => (None, weight),
    };
    let min_pods = optional(inputs, "min_pods_per_rs")?.unwrap_or(0);
    let sizes =
        Routed { replicas: count(inputs, "replicas")?, scale, weight, dynamic: None, aborted, min_pods }.sizes();
    Some(json!({ "canary": sizes.canary, "stable": sizes.stable }))
}

fn listed_weights(written: &Value) -> Option<Vec<u32>> {
    written.as_array()?.iter().map(|weight| u32::try_from(weight.as_u64()?).ok()).collect()
}

fn dynamic_counts(inputs: &Value) -> Option<Value> {
    let replicas = count(inputs, "replicas")?;
    let weights = listed_weights(&inputs["set_weight_steps"])?;
    let actual = if inputs["actual_weights"].is_null() { 0 } else { count(&inputs["actual_weights"], "canary")? };
    let aborted = inputs["abort"] == true;
    let weight = match (aborted, set(&inputs["canary"])?.zip(set(&inputs["stable"])?)) {
        (true, Some((canary, stable))) => weight_on_abort(replicas, weights.into_iter(), canary, stable, false),
        (true, None) => 0,
        (false, _) => *weights.first()?,
    };
    let sizes = Routed { replicas, scale: None, weight, dynamic: Some(actual), aborted, min_pods: 0 }.sizes();
    Some(json!({ "canary": sizes.canary, "stable": sizes.stable }))
}

fn weight_after_abort(inputs: &Value) -> Option<Value> {
    if inputs["dynamic_stable_scale"] != true || inputs["abort"] != true {
        return None;
    }
    let weights = listed_weights(&inputs["steps"])?.into_iter();
    let (canary, stable) = (set(&inputs["canary"])??, set(&inputs["stable"])??);
    let keeps_canary = optional(inputs, "abort_scale_down_delay_s")?.is_some_and(|delay| delay > 0);
    Some(json!({ "weight": weight_on_abort(count(inputs, "replicas")?, weights, canary, stable, keeps_canary) }))
}

fn resolved(inputs: &Value) -> Option<Value> {
    // Blue/green knows neither.
    if inputs["strategy"] == "blue_green" {
        return Some(json!({ "max_surge": 0, "max_unavailable": 0 }));
    }
    let (surge, unavailable) = bounds(inputs)?;
    let bounds = Bounds::resolve(surge, unavailable, optional(inputs, "replicas")?.unwrap_or(1));
    Some(json!({ "max_surge": bounds.surge, "max_unavailable": bounds.unavailable }))
}

fn new_set(inputs: &Value) -> Option<Value> {
    let preview = optional(inputs, "preview_replica_count")?;
    let another_is_active = !inputs["active"].is_null() && inputs["active"] != inputs["new_rs"];
    let has_just_changed = inputs["recorded_current"] != inputs["new_rs"];
    let may_grow = inputs["scale_up_checkpoint"] == true && !has_just_changed || inputs["promote_full"] == true;
    let size = new_set_size(count(inputs, "replicas")?, preview, another_is_active, may_grow);
    Some(json!({ "replicas": size }))
}

fn reconciled_new(inputs: &Value) -> Option<Value> {
    let (replicas, size) = (count(inputs, "replicas")?, count(inputs, "new_rs_replicas")?);
    let delay = optional(inputs, "abort_scale_down_delay_s")?.unwrap_or(30);
    let delay = (inputs["abort"] == true).then_some(Duration::from_secs(delay.into()));
    let is_over = match inputs["scale_down_deadline"].as_str() {
        None => None,
        Some("pending") => Some(false),
        Some("passed") => Some(true),
        Some(_) => return None,
    };
    let after = size_after_abort(size, replicas, delay, is_over);
    Some(json!({ "scaled": after != size, "new_rs_replicas": after }))
}

// --- steps
// --------------------------------------------------------------------------------------------------------------

fn steps(inputs: &Value) -> Option<Vec<Step>> {
    let step = |written: &Value| {
        if written.get("set_weight").is_some() {
            return Some(Step::SetWeight(count(written, "set_weight")?));
        }
        if let Some(written) = written.get("set_canary_scale") {
            return Some(Step::SetCanaryScale(scale(written)?));
        }
        written.get("pause").map(|_| Step::Pause(None))
    };
    inputs["steps"].as_array()?.iter().map(step).collect()
}

fn current_weight(inputs: &Value) -> Option<Value> {
    let steps = steps(inputs)?;
    let at = optional(inputs, "current_step")?.map_or(0, |at| at as usize);
    let weight = if inputs["abort"] == true { 0 } else { weight_at(&steps, at) };
    Some(json!({ "weight": weight }))
}

fn replicas_or_weight(inputs: &Value) -> Option<Value> {
    if inputs["strategy"] == "blue_green" || inputs["has_stable"] == false {
        return Some(json!({ "replicas": null, "weight": MAX_WEIGHT }));
    }
    if inputs["abort"] == true {
        return None;
    }
    let steps = steps(inputs)?;
    let at = optional(inputs, "current_step")?.map_or(0, |at| at as usize);
    let is_routed = inputs["strategy"] == "canary_traffic_routed";
    Some(match scale_at(&steps, at).filter(|_| is_routed) {
        Some(CanaryScale::Replicas(replicas)) => json!({ "replicas": replicas, "weight": 0 }),
        Some(CanaryScale::Weight(weight)) => json!({ "replicas": null, "weight": weight }),
        Some(CanaryScale::MatchTrafficWeight) | None => json!({ "replicas": null, "weight": weight_at(&steps, at) }),
    })
}

fn within_window(inputs: &Value) -> Option<Value> {
    let sets = inputs["replica_sets"].as_array()?;
    let age = |name: &Value| sets.iter().find(|set| set["name"] == *name)?["age_s"].as_u64();
    let (stable, new) = (age(&inputs["stable"])?, age(&inputs["new"])?);
    let is_between = |set: &&Value| {
        let age = set["age_s"].as_u64();
        set["experiment"] != true && age.is_some_and(|age| age > stable && age < new)
    };
    let between = u32::try_from(sets.iter().filter(is_between).count()).ok()?;
    Some(json!({ "within": is_within_window(new > stable, between, count(inputs, "window_revisions")?) }))
}

// --- analysis
// -----------------------------------------------------------------------------------------------------------

fn metric_phase(inputs: &Value) -> Option<Value> {
    let (limits, result) = (&inputs["limits"], &inputs["result"]);
    let failures = limits["failure_limit"].as_i64()?;
    let limits_of = Limits {
        failures: u32::try_from(failures).ok(),
        inconclusive: count(limits, "inconclusive_limit")?,
        consecutive_errors: count(limits, "consecutive_error_limit")?,
        consecutive_successes: count(limits, "consecutive_success_limit")?,
    };
    let counts = Counts {
        count: count(result, "count")?,
        failed: count(result, "failed")?,
        inconclusive: count(result, "inconclusive")?,
        consecutive_errors: count(result, "consecutive_error")?,
        consecutive_successes: count(result, "consecutive_success")?,
    };
    let phase = match limits_of.phase(optional(limits, "count")?, &counts, inputs["terminating"] == true) {
        Phase::Running => "running",
        Phase::Successful => "successful",
        Phase::Inconclusive => "inconclusive",
        Phase::Error => "error",
        Phase::Failed => "failed",
    };
    Some(json!({ "phase": phase }))
}
