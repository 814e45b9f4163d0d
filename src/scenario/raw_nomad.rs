//! The words of a Nomad group in a scenario file. The comments are the descriptions of the published schema.

use super::raw::Command;
use super::units::{Count, Span, Table};
use super::words::{DelayFunctionWord, HealthCheckWord, OnUpdateWord};
use schemars::JsonSchema;
use serde::Deserialize;

/// A group of a Nomad service job.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Nomad {
    /// A job file with the group, relative to the scenario file. Of it are all settings here but evaluation_batch and
    /// commands, unless they are given here; count and kill_timeout are those of [service] and [release].
    pub manifest: Option<String>,
    /// Which group of the manifest, as `job/group`. Default: the only one.
    pub name: Option<String>,
    /// How many allocations of unknown health there may be; 0 switches the update block off, and all are replaced at
    /// once. Default: 1.
    #[schemars(range(max = 100_000))]
    pub max_parallel: Option<Count>,
    /// How many are placed beside the others first, and wait for their promotion. Default: 0.
    #[schemars(range(max = 100_000))]
    pub canary: Option<Count>,
    /// Who says that an allocation is healthy: "checks", once it is ready; "task_states", once its process runs, boot
    /// included; "manual", nobody. Default: "checks".
    pub health_check: Option<HealthCheckWord>,
    /// What the readiness probe means for health with "checks": "ignore" makes of it "task_states". A probe knows no
    /// warnings, so that "ignore_warnings" is "require_healthy". Default: "require_healthy".
    pub on_update: Option<OnUpdateWord>,
    /// How long all must be well without a break, less than healthy_deadline. Default: "10s".
    pub min_healthy_time: Option<Span>,
    /// How long after its placement an allocation must be healthy, less than progress_deadline. Default: "5m".
    pub healthy_deadline: Option<Span>,
    /// How long after the last one became healthy another one must be, or the deployment fails; "0s": the first unhealthy
    /// one fails it. Default: "10m".
    pub progress_deadline: Option<Span>,
    /// A failed deployment goes back to the latest stable version. Default: false.
    pub auto_revert: Option<bool>,
    /// Healthy canaries are promoted by themselves; only with canary. Default: false.
    pub auto_promote: Option<bool>,
    /// `restart` with mode "fail": how often a failed task is started again within restart_interval. Default: 2.
    #[schemars(range(max = 1_000_000))]
    pub restart_attempts: Option<Count>,
    /// Default: "30m".
    pub restart_interval: Option<Span>,
    /// From a failure to the next start. Default: "15s", or `initial` of release.restart.
    pub restart_delay: Option<Span>,
    /// `reschedule`: from the failure of an allocation to its replacement, at least "5s". Default:
    /// "30s".
    pub reschedule_delay: Option<Span>,
    /// How that grows with each further one. Default: "exponential".
    pub reschedule_delay_function: Option<DelayFunctionWord>,
    /// It grows up to this. Default: "1h".
    pub reschedule_max_delay: Option<Span>,
    /// How often an allocation is replaced within reschedule_interval. Absent: without limit.
    #[schemars(range(max = 1_000_000))]
    pub reschedule_attempts: Option<Count>,
    /// Only with reschedule_attempts, and then given.
    pub reschedule_interval: Option<Span>,
    /// From being deregistered to being told to stop. Default: "0s".
    pub shutdown_delay: Option<Span>,
    /// From an allocation's change of health to the evaluation that takes it up. Default: "1s".
    pub evaluation_batch: Option<Span>,
    /// What people type while the deployment is under way, in order.
    pub commands: Option<Vec<Table<Command>>>,
}
