//! What a workload says of starting and stopping its instances, in the words of `[release]`.

use super::section::Setting;
use super::swarm::HealthCheck;
use super::values::Seconds;
use super::{Deployment, NomadCheck, Rollout, Supported, pods};
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
                ReleaseSays { ready_probe: readiness, pre_stop, unknown_pre_stop: unknown, grace: said(&pods.grace) }
            }
            Supported::Swarm(service) => ReleaseSays {
                ready_probe: service.health_check.as_ref().and_then(of_health_check),
                pre_stop: None,
                unknown_pre_stop: None,
                grace: said(&service.grace),
            },
            Supported::Nomad(group) => ReleaseSays {
                ready_probe: group.slowest_check().and_then(of_check),
                pre_stop: None,
                unknown_pre_stop: None,
                grace: said(&group.kill_timeout),
            },
        }
    }
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
