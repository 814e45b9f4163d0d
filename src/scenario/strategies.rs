//! How orchestrators' settings are written: in each one's own words, resolved against the size of the service.

use super::bounds::{at_least_one, count, span_or};
use super::commands::commands;
use super::place::{Checked, Place};
use super::raw;
use super::units::{Count, CountOrShare, LONGEST, Named, Table};
use super::words::DeploymentType;
use super::{NamedStrategy, Service};
use crate::rollout::kubernetes::{self, Bound, resolve_fenceposts};
use crate::rollout::swarm::{FailureAction, UpdateConfig};
use crate::rollout::{Strategy, octopus, swarm};
use std::time::Duration;

const MOST_STRATEGIES: usize = 1_000;

/// `progressDeadlineSeconds` that Kubernetes takes for none.
const NO_DEADLINE: u64 = i32::MAX as u64;

/// The strategies of a file, at least one.
pub(super) fn strategies(
    place: &Place,
    raw: Named<raw::Orchestrator>,
    service: &Service,
    restart: Option<&Table<raw::Restart>>,
) -> Checked<Vec<NamedStrategy>> {
    // Swarm's supervisor knows one delay.
    let restart_delay = restart.map_or(swarm::RESTART_DELAY, |Table(restart)| restart.initial.0);
    place.holds(!raw.0.is_empty(), "at least one strategy must be given")?;
    place.holds(raw.0.len() <= MOST_STRATEGIES, "must hold at most 1,000 strategies")?;
    let one = |(name, raw): (String, raw::Orchestrator)| {
        let place = place.key(&name);
        place.holds(is_name(&name), "must have a name of 1 to 60 letters, digits, `-`, `_` and `.`")?;
        let strategy = strategy(&place, raw, service.instances.get(), restart_delay)?;
        Ok(NamedStrategy { name, strategy })
    };
    raw.0.into_iter().map(one).collect()
}

fn is_name(name: &str) -> bool {
    let may_stand = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
    (1..=60).contains(&name.len()) && name.chars().all(may_stand)
}

fn strategy(place: &Place, raw: raw::Orchestrator, instances: u32, restart_delay: Duration) -> Checked<Strategy> {
    match (raw.kubernetes, raw.swarm, raw.octopus) {
        (Some(Table(raw)), None, None) => {
            kubernetes(&place.key("kubernetes"), raw, instances).map(Strategy::Kubernetes)
        }
        (None, Some(Table(raw)), None) => swarm(&place.key("swarm"), raw, restart_delay).map(Strategy::Swarm),
        (None, None, Some(Table(raw))) => octopus(&place.key("octopus"), raw).map(Strategy::Octopus),
        _ => Err(place.breaks("must hold exactly one of kubernetes, swarm, octopus")),
    }
}

fn kubernetes(place: &Place, raw: raw::Kubernetes, instances: u32) -> Checked<kubernetes::Settings> {
    let kind = match raw.kind.map_or(DeploymentType::RollingUpdate, |word| word.0) {
        DeploymentType::RollingUpdate => rolling_update(place, &raw, instances)?,
        DeploymentType::Recreate => {
            for (key, given) in [("max_surge", raw.max_surge), ("max_unavailable", raw.max_unavailable)] {
                place.key(key).holds(given.is_none(), r#"must be absent when type is "Recreate""#)?;
            }
            kubernetes::Kind::Recreate
        }
    };
    let longest_s = LONGEST.as_secs();
    let min_ready_s = raw.min_ready_seconds.map_or(0, |count| count.0);
    place.key("min_ready_seconds").holds(min_ready_s <= longest_s, "must be at most 31,622,400, which is 366 days")?;
    let deadline_s = raw.progress_deadline_seconds.map_or(kubernetes::PROGRESS_DEADLINE.as_secs(), |count| count.0);
    let deadline_at = place.key("progress_deadline_seconds");
    let is_bounded = deadline_s <= longest_s || deadline_s == NO_DEADLINE;
    deadline_at.holds(is_bounded, "must be at most 31,622,400, or 2147483647 for none")?;
    deadline_at.holds(deadline_s > min_ready_s, "must exceed min_ready_seconds")?;
    Ok(kubernetes::Settings {
        kind,
        min_ready: Duration::from_secs(min_ready_s),
        progress_deadline: (deadline_s != NO_DEADLINE).then_some(Duration::from_secs(deadline_s)),
        replacement: kubernetes::PodReplacement::default(),
        quota: None,
        control_plane: kubernetes::ControlPlane {
            pass: span_or(raw.controller_latency, Duration::ZERO),
            ..kubernetes::ControlPlane::AT_ONCE
        },
        commands: commands(&place.key("commands"), raw.commands)?,
    })
}

/// `maxSurge` and `maxUnavailable` where none is given.
const A_QUARTER: CountOrShare = CountOrShare(Bound::Percent(25));

fn rolling_update(place: &Place, raw: &raw::Kubernetes, instances: u32) -> Checked<kubernetes::Kind> {
    let CountOrShare(surge) = raw.max_surge.unwrap_or(A_QUARTER);
    let CountOrShare(unavailable) = raw.max_unavailable.unwrap_or(A_QUARTER);
    let surge_at = place.key("max_surge");
    let is_zero = |bound| matches!(bound, Bound::Count(0) | Bound::Percent(0));
    let is_possible = !is_zero(surge) || !is_zero(unavailable);
    surge_at.holds(is_possible, "must exceed 0 when max_unavailable is 0, or no step is possible")?;
    let is_share_of_all = !matches!(unavailable, Bound::Percent(101..));
    place.key("max_unavailable").holds(is_share_of_all, "must be at most 100%")?;
    let (max_surge, _) = resolve_fenceposts(surge, unavailable, instances);
    let fits = i32::try_from(max_surge).is_ok();
    surge_at.holds(fits, "must come to at most 2,147,483,647 instances")?;
    Ok(kubernetes::Kind::RollingUpdate { max_surge: surge, max_unavailable: unavailable })
}

fn swarm(place: &Place, raw: raw::Swarm, default_delay: Duration) -> Checked<swarm::Settings> {
    let restart = restart_policy(&place.key("restart_max_attempts"), &raw, default_delay)?;
    let update = raw.update.map(|Table(raw)| update_config(&place.key("update"), &raw, |word| word.0));
    let rollback = raw.rollback.map(|Table(raw)| update_config(&place.key("rollback"), &raw, |word| word.0));
    Ok(swarm::Settings {
        update: update.transpose()?.unwrap_or_default(),
        rollback: rollback.transpose()?.unwrap_or_default(),
        restart,
        change: raw.change.map_or(swarm::Change::default(), |word| word.0),
        stop_latency: span_or(raw.stop_latency, swarm::STOP_LATENCY),
        commands: commands(&place.key("commands"), raw.commands)?,
    })
}

fn restart_policy(attempts_at: &Place, raw: &raw::Swarm, default_delay: Duration) -> Checked<swarm::RestartPolicy> {
    let original = swarm::RestartPolicy::default();
    let attempts = |written: Count| count(attempts_at, written, 0..=1_000_000);
    Ok(swarm::RestartPolicy {
        condition: raw.restart_condition.map_or(original.condition, |word| word.0),
        delay: span_or(raw.restart_delay, default_delay),
        max_attempts: raw.restart_max_attempts.map_or(Ok(original.max_attempts), attempts)?,
        window: span_or(raw.restart_window, original.window),
    })
}

fn update_config<A: Copy>(
    place: &Place,
    raw: &raw::SwarmUpdate<A>,
    action: impl Fn(A) -> FailureAction,
) -> Checked<UpdateConfig> {
    let original = UpdateConfig::default();
    let workers = |written: Count| count(&place.key("parallelism"), written, 0..=100_000);
    let max_failure_ratio = raw.max_failure_ratio.map_or(original.max_failure_ratio, |number| number.0);
    place.key("max_failure_ratio").holds((0.0..=1.0).contains(&max_failure_ratio), "must be from 0 to 1")?;
    Ok(UpdateConfig {
        parallelism: raw.parallelism.map_or(Ok(original.parallelism), workers)?,
        delay: span_or(raw.delay, original.delay),
        monitor: span_or(raw.monitor, original.monitor),
        max_failure_ratio,
        failure_action: raw.failure_action.map_or(original.failure_action, action),
        order: raw.order.map_or(original.order, |word| word.0),
    })
}

fn octopus(place: &Place, raw: raw::Octopus) -> Checked<octopus::Settings> {
    let window = |count: Count| at_least_one(&place.key("window_size"), count, 100_000).map(Into::into);
    let takes_out = raw.take_out.is_some();
    let without = "must be absent without take_out";
    place.key("put_back").holds(takes_out || raw.put_back.is_none(), without)?;
    place.key("put_back_always").holds(takes_out || raw.put_back_always.is_none(), without)?;
    Ok(octopus::Settings {
        window_size: raw.window_size.map_or(Ok(octopus::WITHOUT_WINDOW), window)?,
        take_out: raw.take_out.map(|span| span.0),
        test: raw.test.map(|Table(test)| octopus::Test { takes: test.takes.0, finds: test.finds.0 }),
        put_back: span_or(raw.put_back, Duration::ZERO),
        put_back_always: raw.put_back_always.unwrap_or(false),
        commands: commands(&place.key("commands"), raw.commands)?,
    })
}
