//! The words of an Amazon ECS service in a scenario file. The comments are the descriptions of the published schema.

use super::raw::Command;
use super::units::{Count, Share, Span, Table};
use super::words::ThresholdWord;
use schemars::JsonSchema;
use serde::Deserialize;

/// A rolling update of an Amazon ECS service. The readiness probe of [release] is its tasks' health check, of which a new task
/// needs to pass but one; without a probe a task counts as healthy 40 s after it began to run.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Ecs {
    /// A CloudFormation template or a service as JSON, relative to the scenario file. Of it are all settings here but alarm,
    /// quota and commands, unless they are given here; desired count, stop timeout, health check and deregistration delay
    /// are those of [service] and [release].
    pub manifest: Option<String>,
    /// Which service of the manifest. Default: the only one.
    pub name: Option<String>,
    /// So many tasks must stay healthy, in percent of the desired count, rounded up. Default: 100.
    #[schemars(range(max = 100))]
    pub minimum_healthy_percent: Option<Count>,
    /// So many tasks there may be, stopping ones included, in percent of the desired count, rounded down; above 100 where
    /// minimum_healthy_percent is 100. Default: 200.
    #[schemars(range(min = 100, max = 10_000))]
    pub maximum_percent: Option<Count>,
    /// For so long after it began to run, nobody minds that a task fails its health check. Default: 0.
    #[schemars(range(max = 31_622_400))]
    pub health_check_grace_period_seconds: Option<Count>,
    /// The deployment circuit breaker. Absent: off.
    pub circuit_breaker: Option<Table<CircuitBreaker>>,
    /// The CloudWatch alarm that a deployment is watched by. Absent: none.
    pub alarm: Option<Table<Alarm>>,
    /// From the steady state to the end of the deployment, while its alarm is still heeded. Default: as far as the alarm looks
    /// back, 0 without one.
    #[schemars(range(max = 1_440))]
    pub bake_time_in_minutes: Option<Count>,
    /// How many tasks the cluster has room for, stopping ones included. Absent: for as many as are asked for.
    #[schemars(range(min = 1))]
    pub quota: Option<Count>,
    /// What people type while the deployment is under way, in order.
    pub commands: Option<Vec<Table<Command>>>,
}

/// The deployment circuit breaker.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct CircuitBreaker {
    /// Default: true.
    pub enable: Option<bool>,
    /// The version of the last completed deployment is asked for again. Default: false.
    pub rollback: Option<bool>,
    /// What the threshold counts: "BOUNDED_PERCENT" of the desired count, from 3 to 200; "UNBOUNDED_PERCENT" of it;
    /// "COUNT", tasks. Default: "BOUNDED_PERCENT".
    pub threshold_type: Option<ThresholdWord>,
    /// So many failed tasks fail the deployment; shares round up. With "COUNT" to be given. Default: 50.
    #[schemars(range(min = 1, max = 100_000))]
    pub threshold_value: Option<Count>,
    /// A task that becomes healthy sets the count of failed ones back. Default: true.
    pub reset_on_healthy_task: Option<bool>,
}

/// An alarm on what all versions answer: at least one of max_failed and max_late.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Alarm {
    /// The largest share of attempts that may fail in a period. Default: "100%".
    pub max_failed: Option<Share>,
    /// The largest share of answers that may come later than the target of their class. Default: "100%".
    pub max_late: Option<Share>,
    /// How long each datapoint is counted. Default: "1m".
    pub period: Option<Span>,
    /// So many datapoints in a row must be too high. Default: 1.
    #[schemars(range(min = 1, max = 1_000))]
    pub datapoints: Option<Count>,
    /// The version of the last completed deployment is asked for again. Default: false.
    pub rollback: Option<bool>,
}
