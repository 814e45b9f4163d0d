//! How orchestrators' settings are written: in each one's own words, resolved against the size of the service.

use super::argo::argo;
use super::bounds::{at_least_one, count, positive, share_or, span_or};
use super::commands::commands;
use super::delays::{Sources, delay};
use super::ecs::ecs;
use super::manifest::{at_its_own_place, fill_argo, fill_ecs, fill_kubernetes, fill_nomad, fill_swarm};
use super::nomad::nomad;
use super::place::{Checked, Place};
use super::raw;
use super::units::{Count, CountOrShare, LONGEST, Named, Share, Table};
use super::words::{AnswerKind, DeploymentType};
use super::{NamedStrategy, Service, raw_shift, raw_waves};
use crate::rollout::kubernetes::{self, Bound, ControlPlane, Limit, resolve_fenceposts};
use crate::rollout::swarm::{FailureAction, UpdateConfig};
use crate::rollout::waves::Portion;
use crate::rollout::{OnFailure, Strategy, Test, octopus, shift, swarm, waves};
use std::num::NonZeroU32;
use std::time::Duration;

const MOST_STRATEGIES: usize = 1_000;

/// `progressDeadlineSeconds` that Kubernetes takes for none.
const NO_DEADLINE: u64 = i32::MAX as u64;

/// The strategies of a file, at least one.
pub(super) fn strategies(
    place: &Place,
    raw: Named<raw::Orchestrator>,
    service: &Service,
    release: &raw::Release,
    sources: &mut Sources<'_>,
) -> Checked<Vec<NamedStrategy>> {
    place.holds(!raw.0.is_empty(), "at least one strategy must be given")?;
    place.holds(raw.0.len() <= MOST_STRATEGIES, "must hold at most 1,000 strategies")?;
    let mut one = |(name, raw): (String, raw::Orchestrator)| {
        let place = place.key(&name);
        place.holds(is_name(&name), "must have a name of 1 to 60 letters, digits, `-`, `_` and `.`")?;
        let strategy = strategy(&place, raw, service, release, sources)?;
        Ok(NamedStrategy { name, strategy })
    };
    raw.0.into_iter().map(&mut one).collect()
}

fn is_name(name: &str) -> bool {
    let may_stand = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
    (1..=60).contains(&name.len()) && name.chars().all(may_stand)
}

fn strategy(
    place: &Place,
    raw: raw::Orchestrator,
    service: &Service,
    release: &raw::Release,
    sources: &mut Sources<'_>,
) -> Checked<Strategy> {
    let instances = service.instances.get();
    // Swarm's supervisor and Nomad's clients know one delay.
    let restart_delay = release.restart.as_ref().map(|Table(restart)| restart.initial.0);
    let mut found = Vec::new();
    if let Some(Table(raw)) = raw.kubernetes {
        let place = place.key("kubernetes");
        let settings = kubernetes(&place, fill_kubernetes(&place, raw, sources)?, instances);
        let settings = settings.map_err(|mistake| at_its_own_place(mistake, &sources.manifests))?;
        found.push(Strategy::Kubernetes(settings));
    }
    if let Some(Table(raw)) = raw.swarm {
        let place = place.key("swarm");
        let restart_delay = restart_delay.unwrap_or(swarm::RESTART_DELAY);
        let settings = swarm(&place, fill_swarm(&place, raw, sources)?, restart_delay);
        let settings = settings.map_err(|mistake| at_its_own_place(mistake, &sources.manifests))?;
        found.push(Strategy::Swarm(settings));
    }
    if let Some(Table(raw)) = raw.octopus {
        found.push(Strategy::Octopus(octopus(&place.key("octopus"), raw, sources)?));
    }
    if let Some(Table(raw)) = raw.waves {
        found.push(Strategy::Waves(waves(&place.key("waves"), raw, service.zones, sources)?));
    }
    if let Some(Table(raw)) = raw.shift {
        found.push(Strategy::Shift(shift(&place.key("shift"), raw, sources)?));
    }
    if let Some(Table(raw)) = raw.nomad {
        let place = place.key("nomad");
        let settings = nomad(&place, fill_nomad(&place, raw, sources)?, restart_delay);
        found.push(Strategy::Nomad(settings.map_err(|mistake| at_its_own_place(mistake, &sources.manifests))?));
    }
    if let Some(Table(raw)) = raw.argo {
        let place = place.key("argo");
        let settings = argo(&place, fill_argo(&place, raw, sources)?, instances);
        found.push(Strategy::Argo(settings.map_err(|mistake| at_its_own_place(mistake, &sources.manifests))?));
    }
    if let Some(Table(raw)) = raw.ecs {
        let place = place.key("ecs");
        let settings = ecs(&place, fill_ecs(&place, raw, sources)?, release.ready_probe.is_some());
        found.push(Strategy::Ecs(settings.map_err(|mistake| at_its_own_place(mistake, &sources.manifests))?));
    }
    let one_of = "must hold exactly one of kubernetes, swarm, octopus, waves, shift, nomad, argo, ecs";
    place.holds(found.len() == 1, one_of)?;
    Ok(found.remove(0))
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
        replacement: raw.pod_replacement_policy.map(|word| word.0),
        quota: raw.quota.map(|written| count(&place.key("quota"), written, 1..=u32::MAX)).transpose()?,
        control_plane: control_plane(&place.key("control_plane"), raw.control_plane.as_ref())?,
        commands: commands(&place.key("commands"), raw.commands)?,
    })
}

fn control_plane(place: &Place, raw: Option<&Table<raw::ControlPlane>>) -> Checked<ControlPlane> {
    let defaults = ControlPlane::default();
    let Some(Table(raw)) = raw else { return Ok(defaults) };
    if raw.at_once == Some(true) {
        let given = [raw.watch, raw.pass, raw.call, raw.create].iter().any(Option::is_some);
        let is_alone = !given && raw.qps.is_none() && raw.burst.is_none();
        place.key("at_once").holds(is_alone, "must stand alone")?;
        return Ok(ControlPlane::AT_ONCE);
    }
    let limit = defaults.limit.expect("controllers are limited where nothing else is said");
    let qps = raw.qps.map_or(limit.qps, |number| number.0);
    place.key("qps").holds((0.001..=1e6).contains(&qps), "must be from 0.001 to 1,000,000")?;
    let burst = raw.burst.map(|written| count(&place.key("burst"), written, 1..=1_000_000));
    Ok(ControlPlane {
        watch: span_or(raw.watch, defaults.watch),
        pass: span_or(raw.pass, defaults.pass),
        create: span_or(raw.create, defaults.create),
        call: span_or(raw.call, defaults.call),
        limit: Some(Limit { qps, burst: burst.transpose()?.unwrap_or(limit.burst) }),
        ..defaults
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
        manager: swarm::Manager::default(),
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

fn octopus(place: &Place, raw: raw::Octopus, sources: &mut Sources<'_>) -> Checked<octopus::Settings> {
    let window = |count: Count| at_least_one(&place.key("window_size"), count, 100_000).map(Into::into);
    let takes_out = raw.take_out.is_some();
    let without = "must be absent without take_out";
    let guided_at = place.key("guided_failure");
    place.key("put_back").holds(takes_out || raw.put_back.is_none(), without)?;
    place.key("put_back_always").holds(takes_out || raw.put_back_always.is_none(), without)?;
    Ok(octopus::Settings {
        window_size: raw.window_size.map_or(Ok(octopus::WITHOUT_WINDOW), window)?,
        take_out: raw.take_out.map(|span| span.0),
        test: raw.test.map(|Table(test)| Test { takes: test.takes.0, finds: test.finds.0 }),
        put_back: span_or(raw.put_back, Duration::ZERO),
        put_back_always: raw.put_back_always.unwrap_or(false),
        step_timeout: raw.step_timeout.map(|span| positive(&place.key("step_timeout"), span)).transpose()?,
        guidance: raw.guided_failure.map(|Table(raw)| guidance(&guided_at, raw, sources)).transpose()?,
        skip_unavailable: raw.skip_unavailable.unwrap_or(false),
        commands: commands(&place.key("commands"), raw.commands)?,
    })
}

fn guidance(place: &Place, raw: raw::GuidedFailure, sources: &mut Sources<'_>) -> Checked<octopus::Guidance> {
    let retries_at = place.key("retries");
    let kind = raw.answer.0;
    let belongs = raw.retries.is_none() || kind == AnswerKind::Retry;
    retries_at.holds(belongs, r#"must be absent unless answer = "retry""#)?;
    let within = |written| count(&retries_at, written, 1..=octopus::MOST_RETRIES);
    let most = raw.retries.map_or(Ok(octopus::MOST_RETRIES), within)?;
    let answer = match kind {
        AnswerKind::Fail => octopus::Answer::Fail,
        AnswerKind::Retry => octopus::Answer::Retry { most },
        AnswerKind::Ignore => octopus::Answer::Ignore,
        AnswerKind::Exclude => octopus::Answer::Exclude,
    };
    Ok(octopus::Guidance { answers_after: delay(&place.key("answers_after"), raw.answers_after, sources)?, answer })
}

fn waves(
    place: &Place,
    raw: raw_waves::Waves,
    zones: NonZeroU32,
    sources: &mut Sources<'_>,
) -> Checked<waves::Settings> {
    let size_at = place.key("size");
    let size = raw.size.map_or(Ok(Portion::Count(1)), |size| portion(&size_at, size))?;
    size_at.holds(!matches!(size, Portion::Count(0) | Portion::Percent(0)), "must exceed 0")?;
    let growth = raw.growth.map_or(1.0, |number| number.0);
    place.key("growth").holds((1.0..=1_000.0).contains(&growth), "must be from 1 to 1,000")?;
    let by_zone = raw.by_zone.unwrap_or(false);
    place
        .key("by_zone")
        .holds(!by_zone || zones > NonZeroU32::MIN, "only a service with several zones has an order of them")?;
    let partition_at = place.key("partition");
    let (takes_out, gate_at) = (raw.take_out.is_some(), place.key("gate"));
    place.key("put_back").holds(takes_out || raw.put_back.is_none(), "must be absent without take_out")?;
    Ok(waves::Settings {
        size,
        growth,
        in_step: raw.in_step.unwrap_or(false),
        zones: if by_zone { zones } else { NonZeroU32::MIN },
        partition: raw.partition.map_or(Ok(Portion::Count(0)), |partition| portion(&partition_at, partition))?,
        take_out: raw.take_out.map(|span| span.0),
        put_back: span_or(raw.put_back, Duration::ZERO),
        gap: span_or(raw.gap, Duration::ZERO),
        test: raw.test.map(|Table(test)| Test { takes: test.takes.0, finds: test.finds.0 }),
        soak: span_or(raw.soak, Duration::ZERO),
        gate: raw.gate.map(|Table(raw)| gate(&gate_at, raw, sources)).transpose()?,
        on_failure: raw.on_failure.map_or(OnFailure::default(), |word| word.0),
        commands: commands(&place.key("commands"), raw.commands)?,
    })
}

fn portion(place: &Place, CountOrShare(bound): CountOrShare) -> Checked<Portion> {
    let (portion, holds) = match bound {
        Bound::Count(count) => (Portion::Count(count), count <= 100_000),
        Bound::Percent(percent) => (Portion::Percent(percent), percent <= 100),
    };
    place.holds(holds, "must be at most 100,000, or at most 100%").map(|()| portion)
}

fn gate(place: &Place, raw: raw_waves::Gate, sources: &mut Sources<'_>) -> Checked<waves::Gate> {
    Ok(waves::Gate {
        after_wave: at_least_one(&place.key("after_wave"), raw.after_wave, 100_000)?,
        answers_after: delay(&place.key("answers_after"), raw.answers_after, sources)?,
    })
}

fn shift(place: &Place, raw: raw_shift::Shift, sources: &mut Sources<'_>) -> Checked<shift::Settings> {
    let steps = shares_of(&place.key("steps"), raw.steps)?;
    let (soak, soaks) = (span_or(raw.soak, Duration::ZERO), raw.soak.is_some_and(|span| !span.0.is_zero()));
    let (analysis_at, gate_at) = (place.key("analysis"), place.key("gate"));
    analysis_at.holds(soaks || raw.analysis.is_none(), "must be absent without a soak")?;
    Ok(shift::Settings {
        steps,
        capacity: raw.capacity.map_or(shift::Capacity::default(), |word| word.0),
        deadline: raw.deadline.map(|span| positive(&place.key("deadline"), span)).transpose()?,
        test: raw.test.map(|Table(test)| Test { takes: test.takes.0, finds: test.finds.0 }),
        soak,
        analysis: raw.analysis.map(|Table(raw)| analysis(&analysis_at, &raw)).transpose()?,
        gate: raw.gate.map(|Table(raw)| step_gate(&gate_at, raw, sources)).transpose()?,
        keep_old: span_or(raw.keep_old, shift::KEEP_OLD),
        on_failure: raw.on_failure.map_or(OnFailure::RollBack, |word| word.0),
        commands: commands(&place.key("commands"), raw.commands)?,
    })
}

/// Shares in whole percent that rise to all.
fn shares_of(place: &Place, raw: Option<Vec<Share>>) -> Checked<Vec<u32>> {
    let Some(raw) = raw else { return Ok(vec![100]) };
    place.holds((1..=100).contains(&raw.len()), "must hold 1 to 100 shares")?;
    let percent = |(index, share): (usize, Share)| {
        let percent = share.0 * 100.0;
        let is_whole = (percent - percent.round()).abs() < 1e-9;
        place.index(index).holds(is_whole && percent >= 1.0, "must be from 1% to 100%, in whole percent")?;
        Ok(percent.round() as u32)
    };
    let shares: Vec<u32> = raw.into_iter().enumerate().map(percent).collect::<Checked<_>>()?;
    place.holds(shares.is_sorted_by(|a, b| a < b) && shares.ends_with(&[100]), "must rise, and end with 100%")?;
    Ok(shares)
}

fn analysis(place: &Place, raw: &raw_shift::Analysis) -> Checked<shift::Analysis> {
    let is_held = raw.max_failed.is_some() || raw.max_late.is_some();
    place.holds(is_held, "must hold at least one of max_failed and max_late")?;
    let at_least = raw.at_least.map_or(100, |count| count.0);
    place.key("at_least").holds(at_least <= 1_000_000_000, "must be at most 1,000,000,000")?;
    Ok(shift::Analysis {
        max_failed: share_or(raw.max_failed, 1.0),
        max_late: share_or(raw.max_late, 1.0),
        at_least,
        every: raw.every.map(|span| positive(&place.key("every"), span)).transpose()?,
    })
}

fn step_gate(place: &Place, raw: raw_shift::Gate, sources: &mut Sources<'_>) -> Checked<shift::Gate> {
    Ok(shift::Gate {
        after_step: at_least_one(&place.key("after_step"), raw.after_step, 100)?,
        answers_after: delay(&place.key("answers_after"), raw.answers_after, sources)?,
    })
}
