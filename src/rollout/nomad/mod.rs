//! What HashiCorp Nomad decides about one group of a service job: the scheduler's reconciler, the deployment watcher, and
//! what clients say of allocations' health.
//!
//! Sources, of hashicorp/nomad: `scheduler/reconciler/reconcile_cluster.go` and `filters.go` (a pass over the
//! allocations), `scheduler/generic_sched.go` (what becomes of it), `nomad/deploymentwatcher` (promotion, failure,
//! revert), `nomad/state` (`updateDeploymentWithAlloc`: counts and the progress deadline), `client/allochealth` (health),
//! `client/allocrunner/taskrunner/restarts`, `nomad/structs` (defaults, rescheduling). An allocation is an instance here,
//! its name index a slot; a node is a place, which is down while it is under repair; a client sees a task run from the
//! start of its process on, and its check pass while the instance is ready. An allocation whose task failed for good
//! is gone from the fleet at once, and stays in the memory until it is replaced.
//!
//! Each registration of the job, be it for a version or for a count, cancels the deployment under way, and begins one of
//! its own over whatever is there: who runs the version already is updated in place, and must be healthy once more.
//!
//! Settled where the sources leave it open, or where time is short of them: servers and clients take no time but for
//! the batching of evaluations and the lookups of checks; a restart is delayed without the random quarter; with
//! `health_check = "manual"` nobody says that an allocation is healthy, so that a deployment that has used its
//! `max_parallel` stands still until its deadline; whoever types `promote` before all canaries are healthy tries until
//! they are; and the end of a deployment is evaluated, so that those which failed after they had been healthy are
//! replaced then.

mod deployment;
mod health;
mod names;
mod policies;
mod reconciler;
mod turn;

#[cfg(test)]
mod tests;

pub use deployment::{
    Deployment, Failure, GroupState, Revert, Standing, Unhealthy, progress_cutoff, promotes_itself, revert, unhealthy,
};
pub use health::{CHECK_LOOKUP, CheckStatus, OnUpdate, checks_pass};
pub use policies::{DelayFunction, Limit, ReschedulePolicy, RestartPolicy, Tracker};
pub use reconciler::{Alloc, Annotations, Change, Client, Group, Node, Part, Place, Plan, reconcile};

use super::agenda::Agenda;
use super::{Command, Decision, Facts, Resolved, Restart, View, as_written};
use crate::by_number::ByNumber;
use crate::fleet::{InstanceId, Phase, Version};
use crate::time::SimTime;
use health::Seen;
use policies::Restarts;
use std::time::Duration;
use turn::Turn;

/// `kill_timeout` where none is given.
pub const KILL_TIMEOUT: Duration = Duration::from_secs(5);

/// From an allocation's change of health to the evaluation, so that one serves several (`perJobEvalBatchPeriod`).
pub const EVALUATION_BATCH: Duration = Duration::from_secs(1);

/// From the end of a node until the servers take it for down: a heartbeat of at least 10 s, and as much grace.
const NODE_DOWN_AFTER: Duration = Duration::from_secs(20);

/// `health_check`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HealthCheck {
    /// All tasks run and all checks pass.
    Checks,
    /// All tasks run.
    TaskStates,
    /// Somebody says so.
    Manual,
}

impl HealthCheck {
    /// All of them.
    pub const ALL: [HealthCheck; 3] = [HealthCheck::Checks, HealthCheck::TaskStates, HealthCheck::Manual];

    /// The original's word.
    pub const fn name(self) -> &'static str {
        match self {
            HealthCheck::Checks => "checks",
            HealthCheck::TaskStates => "task_states",
            HealthCheck::Manual => "manual",
        }
    }
}

/// The `update` block.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Update {
    /// How many allocations of unknown health there may be; 0: the block is switched off, and all are replaced at once.
    pub max_parallel: u32,
    /// How many are placed beside the others first, and wait for their promotion.
    pub canary: u32,
    /// Who says that an allocation is healthy.
    pub health_check: HealthCheck,
    /// `on_update` of its checks.
    pub on_update: OnUpdate,
    /// How long all must be well without a break.
    pub min_healthy_time: Duration,
    /// How long after it was placed an allocation must be healthy.
    pub healthy_deadline: Duration,
    /// How long after the last one became healthy another one must be; zero: the first unhealthy one ends it.
    pub progress_deadline: Duration,
    /// A failed deployment goes back to the latest stable version.
    pub auto_revert: bool,
    /// Healthy canaries are promoted by themselves.
    pub auto_promote: bool,
}

impl Default for Update {
    /// The original's defaults.
    fn default() -> Self {
        Update {
            max_parallel: 1,
            canary: 0,
            health_check: HealthCheck::Checks,
            on_update: OnUpdate::RequireHealthy,
            min_healthy_time: Duration::from_secs(10),
            healthy_deadline: Duration::from_mins(5),
            progress_deadline: Duration::from_mins(10),
            auto_revert: false,
            auto_promote: false,
        }
    }
}

/// What an `update` block must not say (`UpdateStrategy.Validate`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Invalid {
    /// No allocation could ever become healthy.
    HealthyDeadlineNotPositive,
    /// No allocation could become healthy in time.
    MinHealthyTimeNotBelowHealthyDeadline,
    /// The deployment could fail before an allocation is due.
    HealthyDeadlineNotBelowProgressDeadline,
    /// There would be nothing to promote.
    AutoPromoteWithoutCanary,
}

impl Update {
    /// What is wrong between the settings. Where the block is switched off nobody looks.
    pub fn invalid(&self) -> Vec<Invalid> {
        let is_bounded = !self.progress_deadline.is_zero();
        let rules = [
            (self.healthy_deadline.is_zero(), Invalid::HealthyDeadlineNotPositive),
            (self.min_healthy_time >= self.healthy_deadline, Invalid::MinHealthyTimeNotBelowHealthyDeadline),
            (
                is_bounded && self.healthy_deadline >= self.progress_deadline,
                Invalid::HealthyDeadlineNotBelowProgressDeadline,
            ),
            (self.auto_promote && self.canary == 0, Invalid::AutoPromoteWithoutCanary),
        ];
        let broken = rules.into_iter().filter(|(is_broken, _)| *is_broken && self.max_parallel > 0);
        broken.map(|(_, rule)| rule).collect()
    }
}

/// A group's settings.
#[derive(Clone, Debug, PartialEq)]
pub struct Settings {
    /// How it is updated.
    pub update: Update,
    /// How often a failed task is started again where it is.
    pub restart: RestartPolicy,
    /// How failed allocations are replaced.
    pub reschedule: ReschedulePolicy,
    /// From being deregistered to being told to stop.
    pub shutdown_delay: Duration,
    /// From a change of health to the evaluation.
    pub evaluation_batch: Duration,
    /// What is typed while the deployment is under way.
    pub commands: Vec<Command>,
}

/// What the servers hold between two decisions.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Memory {
    /// The job as it was registered last.
    job: Job,
    /// The latest stable version of the job: a deployment of it was successful, or it is from before the rollout.
    stable: Spec,
    /// The job as of the latest deployment that was promoted, or had no canaries: who is missing among canaries is
    /// placed of it.
    settled: Job,
    /// The latest deployment, and the registration that it is of.
    deployment: Option<(u32, Standing, GroupState)>,
    /// By allocation: what is known of it; of those from before the rollout nothing is unless something happened.
    records: Vec<Record>,
    /// Allocations of the deployment whose clients have not said yet how they are, and when they look again.
    unknown: ByNumber<InstanceId, Seen>,
    agenda: Agenda<InstanceId>,
    /// Those that the last evaluation was about, and how they stood: the next one uses their memory again.
    evaluated: (Vec<InstanceId>, Vec<reconciler::Alloc>),
    /// Allocations that have failed and were not replaced yet, by id.
    failed: Vec<InstanceId>,
    /// When the job is evaluated next.
    evaluate_at: Option<SimTime>,
    /// Whoever paused the rollout has paused a deployment by it.
    has_paused: bool,
    /// How many promotions were made.
    promotions: u32,
    /// The last registration that was brought about without a deployment.
    done_without: u32,
}

/// What a decision may change that the next one, of the same moment, could go by, but for records.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Outline {
    job: Job,
    deployment: Option<(u32, Standing, GroupState)>,
    evaluate_at: Option<SimTime>,
    has_paused: bool,
    promotions: u32,
    done_without: u32,
}

impl Memory {
    fn outline(&self) -> Outline {
        let Memory { job, deployment, evaluate_at, has_paused, promotions, done_without, .. } = *self;
        Outline { job, deployment, evaluate_at, has_paused, promotions, done_without }
    }

    /// A client looks at an allocation.
    fn look_at(&mut self, alloc: InstanceId, seen: Seen) {
        self.unknown.insert(alloc, seen);
        self.agenda.call(alloc);
    }

    /// Nobody looks at any more.
    fn look_at_nothing(&mut self) {
        self.unknown = ByNumber::default();
        self.agenda = Agenda::default();
    }
}

/// What is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Spec {
    version: Version,
    count: u32,
}

/// A registration of the job.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Job {
    /// Its number; 0 is from before the rollout.
    registration: u32,
    revision: u32,
    spec: Spec,
}

/// What the servers know of an allocation.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Record {
    /// The registration that it is of.
    registration: u32,
    /// The deployment that it is of; 0: none.
    deployment: u32,
    canary: bool,
    healthy: Option<bool>,
    may_reschedule: bool,
    /// Failures of its task that were answered.
    failures: u32,
    restarts: Option<Restarts>,
    failed_at: Option<SimTime>,
    tracker: Tracker,
}

impl Record {
    const NOTHING: Record = Record {
        registration: 0,
        deployment: 0,
        canary: false,
        healthy: None,
        may_reschedule: false,
        failures: 0,
        restarts: None,
        failed_at: None,
        tracker: Tracker::NOTHING,
    };
}

impl Facts for Settings {
    fn name(&self) -> &'static str {
        "nomad"
    }

    fn commands(&self) -> &[Command] {
        &self.commands
    }

    fn commands_mut(&mut self) -> &mut Vec<Command> {
        &mut self.commands
    }

    fn resolves(&self, desired: u32) -> Vec<Resolved> {
        let Update { max_parallel, canary, .. } = self.update;
        let mut all = Vec::new();
        if max_parallel == 0 {
            let means = format!("no update block is in force: all {desired} at once, and no deployment");
            all.push(Resolved::new("max_parallel", max_parallel, means));
        } else {
            let at_once = max_parallel.min(desired);
            let means = format!("{at_once} of {desired} at once, counted until they are healthy");
            all.push(Resolved::new("max_parallel", max_parallel, means));
            let means = match (canary, self.update.auto_promote) {
                (0, _) => "none".to_owned(),
                (_, true) => format!("{canary} beside the others, promoted once they are healthy"),
                (_, false) => format!("{canary} beside the others, until somebody types promote"),
            };
            all.push(Resolved::new("canary", canary, means));
            all.extend(self.resolved_health());
        }
        let RestartPolicy { attempts, interval, delay } = self.restart;
        let means = format!("restarts within {}, {} after a failure each", as_written(interval), as_written(delay));
        all.push(Resolved::new("restart attempts", attempts, means));
        let ReschedulePolicy { delay, delay_function, max_delay, limit } = self.reschedule;
        let most = limit.map_or_else(
            || "without limit".to_owned(),
            |limit| format!("{} times within {}", limit.attempts, as_written(limit.interval)),
        );
        let grows = match delay_function {
            DelayFunction::Constant => String::new(),
            _ => format!(", up to {}", as_written(max_delay)),
        };
        let means = format!("{}{grows}, {most}", delay_function.name());
        all.push(Resolved::new("reschedule delay", as_written(delay), means));
        if !self.shutdown_delay.is_zero() {
            let means = "out of Consul for that long before it is told to stop";
            all.push(Resolved::new("shutdown_delay", as_written(self.shutdown_delay), means));
        }
        all
    }

    /// So long as the policy allows; the rest is decided here.
    fn restarts_in_place(&self, _given: Option<Restart>) -> Option<Restart> {
        let RestartPolicy { attempts, delay, .. } = self.restart;
        (attempts > 0).then_some(Restart { initial: delay, longest: delay, reset_after: Duration::ZERO })
    }

    fn grace(&self) -> Option<Duration> {
        Some(KILL_TIMEOUT)
    }

    /// A task that runs leaves Consul first.
    fn stop_latency(&self, phase: Phase) -> Duration {
        match phase {
            Phase::Pulling | Phase::Prepared => Duration::ZERO,
            _ => self.shutdown_delay,
        }
    }

    /// `nomad job revert` brings back the count, too.
    fn scaling_can_be_undone(&self) -> bool {
        true
    }

    fn deadline(&self) -> Option<Duration> {
        let Update { max_parallel, progress_deadline, .. } = self.update;
        (max_parallel > 0 && !progress_deadline.is_zero()).then_some(progress_deadline)
    }

    fn relies_on_a_health_check(&self) -> Option<&'static str> {
        (self.update.max_parallel > 0 && self.update.health_check == HealthCheck::Checks).then_some("min_healthy_time")
    }

    fn reverts_to(&self, memory: &super::Memory) -> Option<(Version, u32)> {
        let super::Memory::Nomad(memory) = memory else { return None };
        Some((memory.stable.version, memory.stable.count))
    }

    fn ignore_failures(&mut self) {
        self.update.auto_revert = false;
    }
}

impl Settings {
    /// The settings of an update in force that are about health and failure.
    fn resolved_health(&self) -> Vec<Resolved> {
        let Update { health_check, min_healthy_time, healthy_deadline, progress_deadline, auto_revert, .. } =
            self.update;
        let who = match health_check {
            HealthCheck::Checks => "tasks run and checks pass",
            HealthCheck::TaskStates => "tasks run, whatever checks find",
            HealthCheck::Manual => "nobody says so, and it stands still",
        };
        let fails = if progress_deadline.is_zero() {
            "the first unhealthy one fails the deployment"
        } else {
            "the deployment fails when no further one is healthy by then"
        };
        let then = if auto_revert {
            "a failed deployment goes back to the latest stable version"
        } else {
            "it stays as it is"
        };
        vec![
            Resolved::new("health_check", health_check.name(), format!("healthy: {who}")),
            Resolved::new("min_healthy_time", as_written(min_healthy_time), "so long without a break"),
            Resolved::new("healthy_deadline", as_written(healthy_deadline), "unhealthy when it takes longer"),
            Resolved::new("progress_deadline", as_written(progress_deadline), fails),
            Resolved::new("auto_revert", auto_revert, then),
        ]
    }

    /// What is remembered before the rollout: the job runs, and is stable.
    pub fn memory(&self, desired: u32) -> Memory {
        let job = Job { registration: 0, revision: 0, spec: Spec { version: Version::OLD, count: desired } };
        Memory {
            job,
            stable: job.spec,
            settled: job,
            deployment: None,
            records: Vec::new(),
            unknown: ByNumber::default(),
            evaluated: Default::default(),
            agenda: Agenda::default(),
            failed: Vec::new(),
            evaluate_at: None,
            has_paused: false,
            promotions: 0,
            done_without: 0,
        }
    }

    /// One decision: clients tell, the deployment watcher looks, and the scheduler evaluates the job where that is due.
    pub fn decide(&self, view: &View<'_>, memory: &mut Memory) -> Decision {
        let mut turn = Turn::new(self, view, memory);
        turn.register();
        turn.hear_of_tasks();
        turn.hear_of_health();
        turn.watch();
        turn.evaluate_where_due();
        turn.decision()
    }
}
