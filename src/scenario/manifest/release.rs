//! What a workload says of starting and stopping its instances, in the words of `[release]`.

use super::section::Setting;
use super::swarm::HealthCheck;
use super::values::Seconds;
use super::{Deployment, EcsService, NomadCheck, Rollout, Supported, TaskHealthCheck, pods};
use crate::probe::Thresholds;
use crate::scenario::Probe;
use std::num::NonZeroU32;
use std::time::Duration;

/// A value and where it comes from.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Said<T> {
    pub(super) value: T,
    /// The line of the manifest, counted from 1; `None` for a default of the orchestrator.
    pub(super) line: Option<usize>,
    /// The path of keys in the manifest's own words.
    pub(super) field: String,
}

/// What of a manifest belongs to `[release]`.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct ReleaseSays {
    pub(super) ready_probe: Option<Said<Probe>>,
    pub(super) pre_stop: Option<Said<Duration>>,
    /// The line of a preStop hook that does not say how long it takes.
    pub(super) unknown_pre_stop: Option<usize>,
    pub(super) grace: Option<Said<Duration>>,
    /// The deregistration delay of a load balancer, which ends when no request is left.
    pub(super) drain: Option<Said<Duration>>,
}

impl ReleaseSays {
    pub(super) fn of(workload: Supported<'_>) -> Self {
        match workload {
            Supported::Kubernetes(Deployment { pods, .. }) | Supported::Argo(Rollout { pods, .. }) => {
                let readiness = pods.slowest_readiness().and_then(|(_, probe)| of_probe(probe));
                let pre_stop = pods.longest_sleep().map(|(hook, sleep)| Said {
                    value: sleep.0,
                    line: Some(hook.line),
                    field: "preStop".to_owned(),
                });
                let hooks = pods.containers.iter().filter_map(|container| container.pre_stop.as_ref());
                let unknown = hooks.filter(|hook| hook.sleep.is_none()).map(|hook| hook.line).next();
                ReleaseSays {
                    ready_probe: readiness,
                    pre_stop,
                    unknown_pre_stop: unknown,
                    grace: said(&pods.grace),
                    drain: None,
                }
            }
            Supported::Swarm(service) => ReleaseSays {
                ready_probe: service.health_check.as_ref().and_then(of_health_check),
                pre_stop: None,
                unknown_pre_stop: None,
                grace: said(&service.grace),
                drain: None,
            },
            Supported::Nomad(group) => ReleaseSays {
                ready_probe: group.slowest_check().and_then(of_check),
                pre_stop: None,
                unknown_pre_stop: None,
                grace: said(&group.kill_timeout),
                drain: None,
            },
            Supported::Ecs(service) => ReleaseSays {
                ready_probe: slower(of_target_group(service), service.container_check.as_ref().and_then(of_container)),
                pre_stop: None,
                unknown_pre_stop: None,
                grace: said(&service.stop_timeout),
                drain: deregistration_delay(service),
            },
        }
    }
}

/// Of two checks that both must pass, the one that asks later.
fn slower(a: Option<Said<Probe>>, b: Option<Said<Probe>>) -> Option<Said<Probe>> {
    let asks_at = |said: &Said<Probe>| said.value.initial_delay + said.value.period;
    [b, a].into_iter().flatten().max_by_key(asks_at)
}

fn said(setting: &Setting<Seconds>) -> Option<Said<Duration>> {
    let line = setting.is_written().then_some(setting.line);
    setting.effective.map(|span| Said { value: span.0, line, field: setting.field.clone() })
}

/// A readiness probe. What it takes itself is not simulated.
fn of_probe(probe: &pods::Probe) -> Option<Said<Probe>> {
    let value = Probe {
        initial_delay: probe.initial_delay.effective?.0,
        period: probe.period.effective?.0,
        thresholds: Thresholds {
            success: NonZeroU32::new(probe.success_threshold.effective?)?,
            failure: NonZeroU32::new(probe.failure_threshold.effective?)?,
        },
    };
    Some(Said { value, line: Some(probe.line), field: "readinessProbe".to_owned() })
}

/// A check of Consul's, which begins at a random moment of its first interval; here with the service.
fn of_check(check: &NomadCheck) -> Option<Said<Probe>> {
    let further = |setting: &Setting<u32>| NonZeroU32::new(setting.effective?.saturating_add(1).min(1_000_000));
    let thresholds = Thresholds {
        success: further(&check.success_before_passing)?,
        failure: further(&check.failures_before_critical)?,
    };
    let value = Probe { initial_delay: Duration::ZERO, period: check.interval.effective?.0, thresholds };
    Some(Said { value, line: Some(check.line), field: "check".to_owned() })
}

/// `start_interval` where none is given and there is a `start_period`.
const START_INTERVAL: Duration = Duration::from_secs(5);

/// A health check as a readiness probe: Docker asks first one interval after the start, and failures count from the end
/// of `start_period` on; until then it asks every `start_interval` (`daemon/health.go` of moby/moby).
fn of_health_check(check: &HealthCheck) -> Option<Said<Probe>> {
    let start_period = check.start_period.effective?.0;
    let interval = check.interval.effective?.0;
    let start_interval = check.start_interval.effective.map(|span| span.0).filter(|span| !span.is_zero());
    let period = if start_period.is_zero() { interval } else { start_interval.unwrap_or(START_INTERVAL) };
    let forgiven = start_period.as_nanos() / period.as_nanos();
    let counted = u128::from(check.retries.effective?) * interval.as_nanos().div_ceil(period.as_nanos());
    let failures = u32::try_from(forgiven + counted).unwrap_or(u32::MAX).clamp(1, 1_000_000);
    let thresholds = Thresholds { success: NonZeroU32::MIN, failure: NonZeroU32::new(failures)? };
    let value = Probe { initial_delay: period, period, thresholds };
    Some(Said { value, line: Some(check.line), field: "healthcheck".to_owned() })
}

/// A target group as Elastic Load Balancing makes it where nothing else is said: interval, healthy and unhealthy threshold,
/// deregistration delay.
const TARGET_GROUP: (Duration, u32, u32, Duration) = (Duration::from_secs(30), 5, 2, Duration::from_mins(5));

/// The health check of the target group, which asks first when the task is registered. One that is not in the file is
/// assumed to be as it is made by default.
fn of_target_group(service: &EcsService) -> Option<Said<Probe>> {
    service.load_balancers?;
    let (interval, healthy, unhealthy, _) = TARGET_GROUP;
    let (line, period, success, failure) = match &service.target_group {
        None => (None, interval, healthy, unhealthy),
        Some(group) => {
            let period = group.interval.effective?.0;
            (Some(group.interval.line), period, group.healthy.effective?, group.unhealthy.effective?)
        }
    };
    let thresholds = Thresholds { success: NonZeroU32::new(success)?, failure: NonZeroU32::new(failure)? };
    let value = Probe { initial_delay: Duration::ZERO, period, thresholds };
    Some(Said { value, line, field: "TargetGroup".to_owned() })
}

fn deregistration_delay(service: &EcsService) -> Option<Said<Duration>> {
    service.load_balancers?;
    match &service.target_group {
        None => Some(Said { value: TARGET_GROUP.3, line: None, field: "deregistration_delay".to_owned() }),
        Some(group) => said(&group.deregistration_delay),
    }
}

/// A container's health check as a readiness probe: the first one comes an interval after the start, and failures count
/// from the end of the start period on.
fn of_container(check: &TaskHealthCheck) -> Option<Said<Probe>> {
    let period = check.interval.effective?.0;
    let forgiven = check.start_period.effective?.0.as_nanos() / period.as_nanos().max(1);
    let failures = u32::try_from(forgiven + u128::from(check.retries.effective?)).unwrap_or(u32::MAX);
    let thresholds = Thresholds { success: NonZeroU32::MIN, failure: NonZeroU32::new(failures.clamp(1, 1_000_000))? };
    let value = Probe { initial_delay: period, period, thresholds };
    Some(Said { value, line: Some(check.interval.line), field: "HealthCheck".to_owned() })
}
