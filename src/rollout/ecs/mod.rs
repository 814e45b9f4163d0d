//! What Amazon ECS decides about a service whose deployments are rolling updates.
//!
//! The service is closed, so the source is AWS's documentation: of the developer guide "Deploy Amazon ECS services by
//! replacing tasks", "Best practices for Amazon ECS service parameters" (walks of six tasks), "Amazon ECS services"
//! (unhealthy tasks), "How the Amazon ECS deployment circuit breaker detects failures", "How CloudWatch alarms detect
//! Amazon ECS deployment failures" and "Update Amazon ECS service parameters" (zones); of the API reference
//! DeploymentConfiguration, ThresholdConfiguration and Deployment (`failedTasks`). A task is an instance here; it is
//! PENDING until its process begins, and RUNNING from then on, boot included; its host is a place, which is down while it
//! is under repair. The release's readiness probe is its health check, be it the container's or the target group's.
//!
//! Told there, in short: as many old tasks stop at once as the minimum leaves, and as many new ones start as the maximum
//! leaves; tasks on their way out count, so that slow ones hold new ones back. A task counts as healthy once its check
//! passes; without any, 40 s after it began to run. One that is found unhealthy after its grace period is replaced: the
//! replacement comes first where there is room for it, otherwise one unhealthy task after the other goes.
//!
//! Settled where the documentation leaves it open: the scheduler itself takes no time; a task that ends before it was ever
//! healthy counts as failed, and one that was healthy and ends by itself only makes room; failures are counted when tasks
//! stop; tasks of an older deployment that end are not replaced by their like, and those that were not healthy yet go at
//! once; a failed deployment neither starts nor stops tasks; tasks of the version that is asked for again are kept; a
//! deployment is complete when no other version's task exists; a host that is down is found out by the default checks of
//! a target group, until when its task is neither healthy nor unhealthy; whoever pauses the rollout, which ECS knows
//! nothing of, keeps the scheduler from all it would do. Absent: the throttle on tasks that never reach RUNNING, for here
//! all do, and restarts of containers inside a task, which are off by default.

mod alarm;
mod breaker;
mod roster;
mod turn;

#[cfg(test)]
mod tests;

pub use alarm::Alarm;
pub use breaker::{CircuitBreaker, Threshold, ThresholdType};

use super::agenda::Agenda;
use super::{Command, Decision, Facts, Resolved, Restart, View, as_written};
use crate::by_number::ByNumber;
use crate::fleet::{InstanceId, Version};
use crate::time::SimTime;
use roster::Roster;
use std::time::Duration;
use turn::Turn;

/// `stopTimeout` of a container where none is given.
pub const STOP_TIMEOUT: Duration = Duration::from_secs(30);

/// From RUNNING until a task without any health check counts as healthy.
pub const HEALTHY_WITHOUT_CHECK: Duration = Duration::from_secs(40);

/// `minimumHealthyPercent` where none is given.
pub const MINIMUM_HEALTHY_PERCENT: u32 = 100;

/// `maximumPercent` where none is given.
pub const MAXIMUM_PERCENT: u32 = 200;

/// From the end of a host until its tasks are found out: two checks of a target group, 30 s apart, that time out after
/// 5 s.
const HOST_DOWN_AFTER: Duration = Duration::from_secs(65);

/// A service's settings.
#[derive(Clone, Debug, PartialEq)]
pub struct Settings {
    /// `minimumHealthyPercent`: so many tasks must stay healthy, in percent of the desired count, rounded up.
    pub minimum_healthy_percent: u32,
    /// `maximumPercent`: so many tasks there may be, in percent of the desired count, rounded down.
    pub maximum_percent: u32,
    /// `healthCheckGracePeriodSeconds`: for so long after it began to run, nobody minds that a task fails its check.
    pub health_check_grace_period: Duration,
    /// Whether tasks have a health check.
    pub has_health_check: bool,
    /// The deployment circuit breaker; `None`: it is off.
    pub circuit_breaker: Option<CircuitBreaker>,
    /// The CloudWatch alarm that fails a deployment; `None`: there is none.
    pub alarm: Option<Alarm>,
    /// From the steady state to the end of the deployment, while its alarm is still heeded.
    pub bake_time: Duration,
    /// How many tasks the cluster has room for; `None`: for as many as are asked for.
    pub quota: Option<u32>,
    /// What is typed while the deployment is under way.
    pub commands: Vec<Command>,
}

/// What the service scheduler holds between two decisions.
#[derive(Clone, Debug, PartialEq)]
pub struct Memory {
    deployment: Deployment,
    /// What the last completed deployment brought about, and how many tasks were desired then.
    completed: (Version, u32),
    /// All tasks by how they are, the version that is asked for being this one; and those to look at later.
    roster: Roster,
    sides_of: Version,
    agenda: Agenda<InstanceId>,
    /// Tasks that were not healthy yet, or are within their grace period.
    young: ByNumber<InstanceId, Young>,
    /// The alarm since the rollout began.
    alarm: Option<alarm::State>,
}

impl Memory {
    /// What a decision may change that the next one, of the same moment, could go by.
    fn outline(&self) -> (Deployment, (Version, u32), Option<alarm::State>) {
        (self.deployment, self.completed, self.alarm)
    }
}

/// The latest deployment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Deployment {
    revision: u32,
    standing: Standing,
    /// Its tasks that failed, as the circuit breaker counts them.
    failed: u32,
    /// The alarm was not on when it began: one that was says nothing of it.
    heeds_alarm: bool,
}

/// `rolloutState`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Standing {
    InProgress,
    /// Still in progress, but in its steady state since this moment.
    Baking(SimTime),
    Completed,
    Failed,
}

/// A task that has to show first what it is worth.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Young {
    /// Since when it is RUNNING.
    runs_since: Option<SimTime>,
    was_healthy: bool,
}

impl Facts for Settings {
    fn name(&self) -> &'static str {
        "ecs"
    }

    fn commands(&self) -> &[Command] {
        &self.commands
    }

    fn commands_mut(&mut self) -> &mut Vec<Command> {
        &mut self.commands
    }

    fn resolves(&self, desired: u32) -> Vec<Resolved> {
        let Settings { minimum_healthy_percent: minimum, maximum_percent: maximum, .. } = *self;
        let (least, most) = (self.minimum(desired), self.maximum(desired));
        let means = format!("{least}: {minimum} % of {desired}, rounded up; so many stay healthy");
        let mut all = vec![Resolved::new("minimumHealthyPercent", format!("{minimum}%"), means)];
        let stands_still = if least >= desired && most <= desired { ", so that nothing can move" } else { "" };
        let means = format!("{most}: {maximum} % of {desired}, rounded down; stopping tasks count{stands_still}");
        all.push(Resolved::new("maximumPercent", format!("{maximum}%"), means));
        if !self.has_health_check {
            let means = "a task counts as healthy so long after it began to run, whatever it does";
            all.push(Resolved::new("health check", "none", format!("{}: {means}", as_written(HEALTHY_WITHOUT_CHECK))));
        } else if !self.health_check_grace_period.is_zero() {
            let grace = as_written(self.health_check_grace_period);
            let means = "from RUNNING on, in which nobody minds a failing check";
            all.push(Resolved::new("healthCheckGracePeriodSeconds", grace, means));
        }
        let breaker = self.circuit_breaker.map_or_else(
            || ("off".to_owned(), "a deployment whose tasks fail goes on for ever".to_owned()),
            |breaker| (breaker.threshold.to_string(), breaker.means(desired)),
        );
        all.push(Resolved::new("deploymentCircuitBreaker", breaker.0, breaker.1));
        if let Some(alarm) = &self.alarm {
            all.push(Resolved::new("alarms", alarm.to_string(), alarm.means()));
        }
        if !self.bake_time.is_zero() {
            let means = "in the steady state, until the deployment is complete";
            all.push(Resolved::new("bakeTimeInMinutes", as_written(self.bake_time), means));
        }
        if let Some(quota) = self.quota {
            all.push(Resolved::new("quota", quota, "tasks that the cluster has room for, stopping ones included"));
        }
        all
    }

    /// The scheduler replaces tasks instead.
    fn restarts_in_place(&self, _given: Option<Restart>) -> Option<Restart> {
        None
    }

    fn grace(&self) -> Option<Duration> {
        Some(STOP_TIMEOUT)
    }

    fn hears_of_failing_starts(&self) -> bool {
        true
    }

    fn quota(&self) -> Option<u32> {
        self.quota
    }

    fn lift_quota(&mut self) {
        self.quota = None;
    }

    fn reverts_to(&self, memory: &super::Memory) -> Option<(Version, u32)> {
        let super::Memory::Ecs(memory) = memory else { return None };
        Some(memory.completed)
    }

    fn judges_answers(&self) -> bool {
        self.alarm.is_some()
    }

    fn ignore_failures(&mut self) {
        (self.circuit_breaker, self.alarm) = (None, None);
    }
}

impl Settings {
    /// How many tasks must stay healthy, of so many.
    pub fn minimum(&self, desired: u32) -> u32 {
        let rounded_up = (u64::from(self.minimum_healthy_percent) * u64::from(desired)).div_ceil(100);
        u32::try_from(rounded_up).unwrap_or(u32::MAX)
    }

    /// How many tasks there may be, of so many.
    pub fn maximum(&self, desired: u32) -> u32 {
        let rounded_down = u64::from(self.maximum_percent) * u64::from(desired) / 100;
        u32::try_from(rounded_down).unwrap_or(u32::MAX)
    }

    /// What is remembered before the rollout: the old version's deployment is complete.
    pub fn memory(&self, desired: u32) -> Memory {
        let standing = Standing::Completed;
        Memory {
            deployment: Deployment { revision: 0, standing, failed: 0, heeds_alarm: true },
            completed: (Version::OLD, desired),
            roster: Roster::default(),
            sides_of: Version::OLD,
            agenda: Agenda::default(),
            young: ByNumber::default(),
            alarm: None,
        }
    }

    /// One decision: how tasks and the alarm are, whether the deployment has failed, and what starts and stops.
    pub fn decide(&self, view: &View<'_>, memory: &mut Memory) -> Decision {
        let mut turn = Turn::new(self, view, memory);
        turn.begin_a_deployment();
        turn.look_at_tasks();
        turn.look_at_the_alarm();
        turn.break_the_circuit();
        turn.schedule();
        turn.complete();
        turn.decision()
    }
}
