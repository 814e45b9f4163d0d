//! Orchestrators' own arithmetic, checked where it lives, and rollouts without chance that follow from it.

use super::draft::Times;
use super::{Figure, Reader, Reading, computed};
use crate::rollout::argo::{MAX_WEIGHT, approximate};
use crate::rollout::kubernetes::{Bound, resolve_fenceposts};
use crate::scenario::manifest::{self, Workload};
use serde_json::{Map, json};
use std::path::Path;

/// Reads an orchestrator's rule.
pub(super) fn read(reader: &mut Reader<'_>) -> Reading {
    if reader.params.has("setWeight") {
        return canary(reader);
    }
    if reader.params.has("minimumHealthyPercent") || reader.params.has("maximumPercent") {
        return ecs(reader);
    }
    if !reader.params.has("maxSurge") || !reader.params.has("maxUnavailable") {
        return Ok(None);
    }
    let (Some(surge), Some(unavailable)) = (reader.params.typed("maxSurge"), reader.params.typed("maxUnavailable"))
    else {
        return Ok(None);
    };
    if reader.asks_for(&["resolved surge"]) {
        return fenceposts(reader, &surge, &unavailable);
    }
    deployment(reader, &surge, &unavailable)
}

/// The sizes that Argo Rollouts takes for a weight without a traffic router.
fn canary(reader: &mut Reader<'_>) -> Reading {
    let (replicas, weight) = (reader.params.count("replicas")?, reader.params.count("setWeight")?);
    let surge = reader.params.typed("maxSurge").and_then(|surge| bound(&surge));
    let (Some(replicas), Some(weight), Some(surge)) = (replicas, weight, surge) else { return Ok(None) };
    if !reader.asks_for(&["canary/stable counts"]) || weight > MAX_WEIGHT {
        return Ok(None);
    }
    let sizes = approximate(replicas, weight, MAX_WEIGHT, surge.of(replicas, true));
    Ok(Some(computed([f64::from(sizes.canary), f64::from(sizes.stable)])))
}

/// What the reader of Amazon ECS services makes of a service's percentages.
fn ecs(reader: &mut Reader<'_>) -> Reading {
    let desired = reader.params.count("desired")?;
    let mut configuration = Map::new();
    for key in ["minimumHealthyPercent", "maximumPercent"] {
        if let Some(percent) = reader.params.count(key)? {
            configuration.insert(key.to_owned(), json!(percent));
        }
    }
    let count = if reader.asks_for(&["may stop before any start"]) {
        "max_unavailable_count"
    } else if reader.asks_for(&["may start before any stop"]) {
        "max_surge_count"
    } else {
        return Ok(None);
    };
    let service = json!({ "desiredCount": desired, "deploymentConfiguration": configuration });
    let service = manifest::read(&service.to_string(), Path::new("service.json"))?;
    let facts = service.workloads.first().map(Workload::facts);
    let count = facts.and_then(|facts| facts.get(count)?.as_f64());
    Ok(count.map(|count| computed([count])))
}

/// A count or a share as Kubernetes reads it.
fn bound(text: &str) -> Option<Bound> {
    text.parse().map(Bound::Count).ok().or_else(|| text.parse().ok())
}

fn fenceposts(reader: &mut Reader<'_>, surge: &str, unavailable: &str) -> Reading {
    let replicas = reader.params.count("replicas")?;
    let (Some(replicas), Some(surge), Some(unavailable)) = (replicas, bound(surge), bound(unavailable)) else {
        return Ok(None);
    };
    let (surge, unavailable) = resolve_fenceposts(surge, unavailable, replicas);
    Ok(Some(computed([f64::from(surge), f64::from(unavailable)])))
}

/// How long one start takes.
const START_S: f64 = 7.0;

/// A Deployment whose pods start in a constant time, or never become ready.
fn deployment(reader: &mut Reader<'_>, surge: &str, unavailable: &str) -> Reading {
    let params = &mut *reader.params;
    params.pass_over(&["startup", "before"]);
    let is_stuck = params.flag("new_never_ready").unwrap_or(false);
    let scaled = (params.at_least_one("replicas_from")?, params.at_least_one("replicas_to")?);
    let (replicas, commands) = match (params.at_least_one("replicas")?, scaled) {
        (Some(replicas), (None, None)) => (replicas, String::new()),
        (None, (Some(from), Some(to))) => {
            (from, format!("commands = [{{ after = \"10s\", do = \"scale\", instances = {to} }}]\n"))
        }
        _ => return Ok(None),
    };
    let sizes = [Figure::InstancesAtTheEnd(1), Figure::InstancesAtTheEnd(0)];
    let (defect, figures) = if reader.asks_for(&["duration / startup time"]) && !is_stuck && commands.is_empty() {
        ("", vec![Figure::Duration { unit_s: START_S }, Figure::LeastReady, Figure::MostInstances])
    } else if reader.asks_for(&["when stuck"]) && is_stuck || reader.asks_for(&["mid-rollout"]) && !commands.is_empty()
    {
        ("defect = { never_ready = true }\n", sizes.to_vec())
    } else {
        return Ok(None);
    };
    let quoted = |bound: &str| if bound.ends_with('%') { format!("\"{bound}\"") } else { bound.to_owned() };
    let times = Times::tenths(0.0, START_S * f64::from(replicas + 10), 2);
    let text = format!(
        "[service]\ninstances = {replicas}\nworkers = 1\nqueue = 0\n\
         [traffic]\nrate = 0.001\nwork = \"1ms\"\n\
         [release]\nstart = \"{START_S}s\"\n{defect}\
         [strategy.rolling.kubernetes]\ncontrol_plane = {{ at_once = true }}\nmax_surge = {}\nmax_unavailable = {}\n\
         {commands}{}",
        quoted(surge),
        quoted(unavailable),
        times.study(),
    );
    reader.simulate(text, figures)
}
