//! The words of a scenario file, before anything is checked across fields. The comments are the descriptions of the
//! published schema.

use super::raw_delay::Delay;
use super::units::{Count, CountOrShare, Named, Number, Share, Span, Table, Tabled, WordOr};
use super::words::{
    AnswerWord, CauseWord, ChangeWord, CommandWord, ConditionWord, DatabaseStepWord, DeploymentWord, DisciplineWord,
    FailureWord, OrderWord, OutcomeWord, PolicyWord, ReplacementWord, RollbackFailureWord, ShapeWord, VerdictWord,
};
use schemars::JsonSchema;
use serde::Deserialize;

/// A fleet, its traffic, a release, and the strategies to compare. Durations are strings such as "250ms", "30s" or
/// "5m", shares are strings such as "25%".
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Scenario {
    /// The fleet before the rollout.
    pub service: Table<Service>,
    /// Requests on their way to the service. Exactly one of rate, steps, diurnal, trace and users says how many.
    pub traffic: Table<super::raw_traffic::Traffic>,
    /// What clients do when an answer is late or bad.
    pub client: Option<Table<super::raw_client::Client>>,
    /// Who distributes the requests.
    pub balancer: Option<Table<super::raw_balancer::Balancer>>,
    /// What is rolled out, and how long each step of it takes.
    pub release: Table<Release>,
    /// The strategies to compare: [strategy.<name>.<orchestrator>], at least one.
    #[serde(default)]
    #[schemars(extend("minProperties" = 1, "propertyNames" = { "pattern": "^[A-Za-z0-9._-]{1,60}$" }))]
    pub strategy: Named<Orchestrator>,
    /// Who judges the release, and what happens then.
    pub rollback: Option<Table<Rollback>>,
    /// What breaks, whatever is rolled out.
    pub faults: Option<Table<Faults>>,
    /// What every strategy is held to.
    pub budget: Option<Table<Budget>>,
    /// How it is measured.
    pub study: Table<Study>,
    /// What the author says will come out: [expect.<strategy>].
    #[serde(default)]
    pub expect: Named<Expect>,
}

/// The fleet before the rollout.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Service {
    /// Desired instances, 1 to 100,000.
    #[schemars(range(min = 1, max = 100_000))]
    pub instances: Count,
    /// Requests that one instance serves at once, 1 to 100,000.
    #[schemars(range(min = 1, max = 100_000))]
    pub workers: Count,
    /// Requests that may wait in one instance, 0 to 1,000,000; the next one is refused.
    #[schemars(range(max = 1_000_000))]
    pub queue: Count,
    /// Failure domains over which instances are spread, at most as many as instances. Default: 1.
    #[schemars(range(min = 1, max = 100_000))]
    pub zones: Option<Count>,
    /// How an instance's workers share its requests. Default: "fifo".
    pub discipline: Option<DisciplineWord>,
    /// A request that has waited longer in an instance when a worker becomes free is dropped; with "fifo" only. Absent:
    /// none is.
    pub shed_after: Option<Span>,
    /// The share of requests that any instance answers with an error, whatever its version. Default: "0%".
    pub error_rate: Option<Share>,
}

/// What is rolled out, and how long each step of it takes.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Release {
    /// Fetching the image or package, on each launch. Default: "0s".
    pub pull: Option<Delay>,
    /// From the process's start to where it could serve.
    pub start: Delay,
    /// How readiness is found out. Absent: at once.
    pub ready_probe: Option<Table<Probe>>,
    /// A started process is slow at first. Absent: it is not.
    pub warm_up: Option<Table<WarmUp>>,
    /// Deregistration delay: an instance on its way out serves this much longer. Default: "0s".
    pub drain: Option<Span>,
    /// Whether the deregistration delay ends as soon as the instance has no request left and no balancer would send one.
    /// Default: false.
    pub drain_ends_when_idle: Option<bool>,
    /// The preStop hook: further time in which it still serves, within the grace period. Default: "0s".
    pub pre_stop: Option<Span>,
    /// From the beginning of preStop to the kill. Absent: the orchestrator's own default; Octopus, waves and
    /// shift have none.
    pub grace: Option<Span>,
    /// What the process needs to exit once it was told to stop and has no request left. Default: "0s".
    pub stop: Option<Delay>,
    /// How crashed processes are started again in their place. Absent: by the orchestrator's own rule. Swarm, which
    /// replaces tasks instead, and Nomad take of it only `initial`, as the default of their restart_delay; ECS replaces
    /// tasks at once, and takes nothing of it.
    pub restart: Option<Table<Restart>>,
    /// A factor on the work of the new version's requests. Default: 1.
    #[schemars(range(max = 1_000_000))]
    pub slowdown: Option<Number>,
    /// What is wrong with the new version. Absent: nothing.
    pub defect: Option<Table<Defect>>,
    /// The change of the database's schema that belongs to it. Absent: there is none.
    pub database: Option<Table<Database>>,
    /// What happens where a client of one version meets the other. Absent: nothing.
    pub skew: Option<Table<Skew>>,
}

/// A change of the database's schema.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Database {
    /// When it comes: before the rollout, which waits for it; during it, both beginning together; after it.
    pub step: DatabaseStepWord,
    /// How long it takes; the new schema is in force from its end on.
    pub takes: Delay,
    /// The share of the old version's requests that fail with the new schema. Default: "0%", it is backward compatible.
    pub old_fails: Option<Share>,
    /// The share of the new version's requests that fail with the old schema. Default: "100%".
    pub new_fails: Option<Share>,
    /// How long taking it back takes in a rollback: after it where the step came before, and together with it otherwise.
    /// Absent: it cannot be taken back.
    pub undo: Option<Delay>,
}

/// Clients that were served by one version and meet the other.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Skew {
    /// The share of the requests of the old version's clients that fail at a newer instance. Default: "0%".
    pub old_meets_new: Option<Share>,
    /// The share of the requests of newer versions' clients that fail at an old instance. Default: "0%".
    pub new_meets_old: Option<Share>,
    /// How long ago a client was served last, in the mean.
    pub memory: Span,
}

/// A readiness probe.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Probe {
    /// From the process's start to the first probe. Default: "0s".
    pub initial_delay: Option<Span>,
    /// Between two probes.
    pub period: Span,
    /// Passes in a row that make an instance ready, or ready again. Default: 1.
    #[schemars(range(min = 1, max = 1_000_000))]
    pub success_threshold: Option<Count>,
    /// Failures in a row that make a ready instance unready; an orchestrator that watches health kills a starting one.
    /// Default: 3.
    #[schemars(range(min = 1, max = 1_000_000))]
    pub failure_threshold: Option<Count>,
}

/// Service time right after a start, as a factor on the work.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct WarmUp {
    /// The factor at the start, 1 or more.
    #[schemars(range(min = 1, max = 1_000_000))]
    pub factor: Number,
    /// How long it takes to come down to 1: all of it for a linear curve, the time constant of an exponential one. Exactly
    /// one of over and over_requests is given.
    pub over: Option<Span>,
    /// How many requests the process must have begun with for that.
    #[schemars(range(min = 1, max = 1_000_000_000))]
    pub over_requests: Option<Count>,
    /// How it comes down. Default: "linear".
    pub shape: Option<ShapeWord>,
}

/// How crashed processes are started again.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Restart {
    /// Delay before the first restart; doubled for each further one.
    pub initial: Span,
    /// The delay grows up to this.
    pub longest: Span,
    /// A process that ran this long counts as sound: the next delay is the initial one again.
    pub reset_after: Span,
}

/// What is wrong with the new version: at least one of error_rate, slowdown, failed_start, never_ready and
/// crash_after, unready.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Defect {
    /// The chance that an instance carries it. Default: "100%".
    pub chance: Option<Share>,
    /// How long after its process is up it begins to show in requests. Default: "0s".
    pub appears_after: Option<Span>,
    /// The share of requests that it answers with an error.
    pub error_rate: Option<Share>,
    /// A factor on the work of its requests.
    #[schemars(range(max = 1_000_000))]
    pub slowdown: Option<Number>,
    /// The chance that a start ends with the process gone instead of serving.
    pub failed_start: Option<Share>,
    /// It never passes its readiness probe.
    pub never_ready: Option<bool>,
    /// Its process ends unasked this long after it was up, each time.
    pub crash_after: Option<Delay>,
    /// It stops passing its readiness probe for a while, again and again, and serves what reaches it all the same. Where
    /// no probe is given, that is known at once.
    pub unready: Option<Table<Unready>>,
}

/// Lapses of readiness.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Unready {
    /// How long it is ready first, each time.
    pub after: Delay,
    /// How long it does not pass its probe then, each time.
    pub lasts: Delay,
}

/// A strategy: exactly one orchestrator with its settings.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(extend("minProperties" = 1, "maxProperties" = 1))]
pub(super) struct Orchestrator {
    /// A Kubernetes Deployment.
    pub kubernetes: Option<Table<Kubernetes>>,
    /// A Docker Swarm service update.
    pub swarm: Option<Table<Swarm>>,
    /// An Octopus rolling step.
    pub octopus: Option<Table<Octopus>>,
    /// A rollout in waves.
    pub waves: Option<Table<super::raw_waves::Waves>>,
    /// A rollout by traffic shifting: blue/green, weighted canary.
    pub shift: Option<Table<super::raw_shift::Shift>>,
    /// A group of a Nomad service job.
    pub nomad: Option<Table<super::raw_nomad::Nomad>>,
    /// An Argo Rollout.
    pub argo: Option<Table<super::raw_argo::Argo>>,
    /// A rolling update of an Amazon ECS service.
    pub ecs: Option<Table<super::raw_ecs::Ecs>>,
}

/// What somebody types while the rollout is under way. It waits for those before it, and for its moment: exactly one of
/// after, when_ready, when_stuck and when_paused.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Command {
    /// So long after the rollout began.
    pub after: Option<Span>,
    /// As soon as so many instances of the version that was asked for last are ready.
    #[schemars(range(min = 1, max = 100_000))]
    pub when_ready: Option<Count>,
    /// As soon as the orchestrator reports that the rollout is stuck.
    pub when_stuck: Option<bool>,
    /// As soon as the orchestrator reports that it waits for somebody.
    pub when_paused: Option<bool>,
    /// What is asked for. "undo" goes back to the version before; Swarm and Nomad take back the last change, be it a
    /// scale. "promote" is for Nomad's canaries, and is tried until all of them are healthy, and for the pauses of Argo
    /// Rollouts; "abort" gives the new version of a Rollout up.
    #[serde(rename = "do")]
    pub what: CommandWord,
    /// How many instances; with "scale" only.
    #[schemars(range(min = 1, max = 100_000))]
    pub instances: Option<Count>,
    /// Which version, in the order of their release: 1 is the old one, 2 the new one, 3 to 8 are further ones without
    /// the release's defect; with "deploy" only.
    #[schemars(range(min = 1, max = 8))]
    pub version: Option<Count>,
}

/// A Kubernetes Deployment.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Kubernetes {
    /// A file with the Deployment, relative to the scenario file. Of it are type, max_surge, max_unavailable,
    /// min_ready_seconds and progress_deadline_seconds, unless they are given here; replicas, probes, grace period and
    /// preStop are those of [service] and [release].
    pub manifest: Option<String>,
    /// Which Deployment of the manifest. Default: the only one.
    pub name: Option<String>,
    /// `strategy.type`. Default: "RollingUpdate".
    #[serde(rename = "type")]
    pub kind: Option<DeploymentWord>,
    /// How many more than desired may be asked for; a share rounds up. Default: "25%".
    pub max_surge: Option<CountOrShare>,
    /// How many fewer than desired may be available; a share rounds down. Default: "25%".
    pub max_unavailable: Option<CountOrShare>,
    /// `minReadySeconds`. Default: 0.
    #[schemars(range(max = 31_622_400))]
    pub min_ready_seconds: Option<Count>,
    /// `progressDeadlineSeconds`, more than min_ready_seconds; 2147483647 means never. Default: 600.
    pub progress_deadline_seconds: Option<Count>,
    /// Whether terminating pods hold room. Default: those of a RollingUpdate do not, those of a Recreate do.
    pub pod_replacement_policy: Option<ReplacementWord>,
    /// How many pods the namespace may hold, terminating ones included. Absent: as many as are asked for.
    #[schemars(range(min = 1))]
    pub quota: Option<Count>,
    /// How fast the controllers work.
    pub control_plane: Option<Table<ControlPlane>>,
    /// What people type while the rollout is under way, in order.
    pub commands: Option<Vec<Table<Command>>>,
}

/// How fast Kubernetes' controllers work. The defaults are those of a small idle cluster.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct ControlPlane {
    /// They take no time and may write without limit; then nothing else is given.
    pub at_once: Option<bool>,
    /// From a change of an object until a controller begins to work on it. Default: "1ms".
    pub watch: Option<Span>,
    /// What a pass of the Deployment controller takes before its first request. Default: "1ms".
    pub pass: Option<Span>,
    /// What a request to the API server takes. Default: "7ms".
    pub call: Option<Span>,
    /// What each of several pods that are created at the same time adds to that. Default: "2ms".
    pub create: Option<Span>,
    /// `--kube-api-qps`: writes a second of each controller, 0.001 to 1,000,000. Default: 20.
    #[schemars(range(min = 0.001, max = 1_000_000))]
    pub qps: Option<Number>,
    /// `--kube-api-burst`: writes that a controller may make at once after a pause. Default: 30.
    #[schemars(range(min = 1, max = 1_000_000))]
    pub burst: Option<Count>,
}

/// A Docker Swarm service update.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Swarm {
    /// A stack file with the service, relative to the scenario file. Of it are update, rollback and restart_*, unless they
    /// are given here, key by key; replicas, health check and grace period are those of [service] and [release].
    pub manifest: Option<String>,
    /// Which service of the manifest. Default: the only one.
    pub name: Option<String>,
    /// `--update-*`.
    pub update: Option<Table<SwarmUpdate<FailureWord>>>,
    /// `--rollback-*`.
    pub rollback: Option<Table<SwarmUpdate<RollbackFailureWord>>>,
    /// In what the versions differ. Tasks that have their image are kept where only the credentials for it change; nodes
    /// satisfy all constraints, so all tasks are kept where only placement does. Default: "image".
    pub change: Option<ChangeWord>,
    /// `--restart-condition`: which tasks that ended are replaced. Default: "any".
    pub restart_condition: Option<ConditionWord>,
    /// `--restart-delay`: from a failure until the replacement starts. Default: "5s", or `initial` of release.restart.
    pub restart_delay: Option<Span>,
    /// `--restart-max-attempts`: replacements of a slot after which it is given up; 0: never. Default: 0.
    #[schemars(range(max = 1_000_000))]
    pub restart_max_attempts: Option<Count>,
    /// `--restart-window`: only replacements this young count; "0s": all of them. Default: "0s".
    pub restart_window: Option<Span>,
    /// From a task being told to stop until its process is: the agent's back-off of 1 s and the daemon's sleep of 2 s.
    /// Default: "3s".
    pub stop_latency: Option<Span>,
    /// What people type while the rollout is under way, in order. Swarm itself has no pause: it is taken to keep workers
    /// from further slots.
    pub commands: Option<Vec<Table<Command>>>,
}

/// How tasks are replaced.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "SwarmUpdate{A}")]
pub(super) struct SwarmUpdate<A> {
    /// Workers; 0: one for each slot. Default: 1.
    #[schemars(range(max = 100_000))]
    pub parallelism: Option<Count>,
    /// Pause of a worker after each slot. Default: "0s".
    pub delay: Option<Span>,
    /// How long a task is watched once it runs. Default: "5s".
    pub monitor: Option<Span>,
    /// The share of failed tasks that is still tolerated, 0 to 1. Default: 0.
    #[schemars(range(min = 0, max = 1))]
    pub max_failure_ratio: Option<Number>,
    /// What happens beyond it. Default: "pause".
    pub failure_action: Option<A>,
    /// Which task of a slot moves first. Default: "stop-first".
    pub order: Option<OrderWord>,
}

/// An Octopus rolling step.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Octopus {
    /// Targets in flight at once. Default: 10, as without a window.
    #[schemars(range(min = 1, max = 100_000))]
    pub window_size: Option<Count>,
    /// How long taking a target out of the balancer takes. Absent: there is no such child step.
    pub take_out: Option<Span>,
    /// The child step that tests a target before it is put back. Absent: there is none.
    pub test: Option<Table<OctopusTest>>,
    /// How long putting a target back takes; only with take_out. Default: "0s".
    pub put_back: Option<Span>,
    /// The put-back step runs on a target whose child step failed, too; only with take_out. Default: false.
    pub put_back_always: Option<bool>,
    /// How long one child step may take on one target; then it fails. Absent: for ever.
    pub step_timeout: Option<Span>,
    /// Whoever is asked whenever a child step fails. Absent: nobody, and the deployment fails.
    pub guided_failure: Option<Table<GuidedFailure>>,
    /// A target that cannot be reached when its turn comes is left for when it is back. Default: false, and the
    /// deployment fails.
    pub skip_unavailable: Option<bool>,
    /// What people type while the rollout is under way, in order.
    pub commands: Option<Vec<Table<Command>>>,
}

/// A test of one target.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct OctopusTest {
    /// How long it runs.
    pub takes: Span,
    /// The chance that it finds a defect that shows by then.
    pub finds: Share,
}

/// Guided failure: no further target starts until a human has answered.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct GuidedFailure {
    /// From the failure to the answer.
    pub answers_after: Delay,
    /// "fail"; "retry" runs the child step again; "ignore" goes on with the next one; "exclude" leaves the target as it
    /// is and goes on with the others.
    pub answer: AnswerWord,
    /// How often the answer is "retry" for one child step on one target, before it is "fail"; with "retry" only.
    /// Default: 10, which Octopus allows at most.
    #[schemars(range(min = 1, max = 10))]
    pub retries: Option<Count>,
}

/// Who judges the release, and what happens then.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Rollback {
    /// "orchestrator", "none", "pause", or a human who watches. Default: "orchestrator".
    pub policy: Option<WordOr<PolicyWord, Judge>>,
}

/// A judge with settings.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Judge {
    /// The orchestrator's own failure rule, and a human who notices some time after the first evidence.
    pub operator: Table<Operator>,
}

impl Tabled for Judge {
    const WHAT: &'static str = r#""orchestrator", "none", "pause", or a table { operator = { ... } }"#;
}

/// A human who watches the rollout.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Operator {
    /// From the first evidence to the act.
    pub notices_after: Delay,
    /// What the human does. Default: "roll-back".
    pub then: Option<VerdictWord>,
    /// The share of requests lost within one interval that counts as evidence. Absent: only instances are watched.
    pub alarm: Option<Share>,
}

/// What breaks, whatever is rolled out.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Faults {
    /// Crashes at random.
    pub crash: Option<Table<Crash>>,
    /// Instances that go down at a given moment.
    pub outage: Option<Table<Outage>>,
    /// Instances that are slow for a while.
    pub slow: Option<Vec<Table<Slow>>>,
}

/// Instances that are slow for a while: exactly one of share, instances and zone says which.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(extend("oneOf" = [{ "required": ["share"] }, { "required": ["instances"] }, { "required": ["zone"] }]))]
pub(super) struct Slow {
    /// When it begins, after the rollout did.
    pub at: Span,
    /// How long it lasts.
    pub lasts: Span,
    /// A factor on the work of requests that begin with it.
    #[schemars(range(max = 1_000_000))]
    pub factor: Number,
    /// A share of all, rounded up, chosen at random.
    pub share: Option<Share>,
    /// So many, chosen at random.
    #[schemars(range(min = 1, max = 100_000))]
    pub instances: Option<Count>,
    /// All in this zone, counted from 0.
    pub zone: Option<Count>,
}

/// Crashes at random.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Crash {
    /// Mean time between failures, of one instance or, with a share, of the fleet as a whole.
    pub mtbf: Span,
    /// How long until a place that crashed can be started again.
    pub repair: Delay,
    /// The share of all instances that one crash hits, rounded up. Absent: one instance.
    pub share: Option<Share>,
    /// How many places can be under repair at once; the others wait. Absent: all.
    #[schemars(range(min = 1, max = 100_000))]
    pub crews: Option<Count>,
}

/// Instances that go down together: exactly one of share, instances and zone says which.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(extend("oneOf" = [{ "required": ["share"] }, { "required": ["instances"] }, { "required": ["zone"] }]))]
pub(super) struct Outage {
    /// When, after the rollout began.
    pub at: Span,
    /// A share of all, rounded up, chosen at random.
    pub share: Option<Share>,
    /// So many, chosen at random.
    #[schemars(range(min = 1, max = 100_000))]
    pub instances: Option<Count>,
    /// All in this zone, counted from 0.
    pub zone: Option<Count>,
    /// How long until they can be started again.
    pub repair: Delay,
    /// Whether they do not even refuse connections, as hosts that are cut off do. Default: false.
    pub silent: Option<bool>,
}

/// What every strategy is held to.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Budget {
    /// Least availability.
    pub availability: Option<Share>,
    /// Highest 99 % quantile of latency over the observation window.
    pub p99: Option<Span>,
    /// Longest rollout; one that does not complete misses it.
    pub duration: Option<Span>,
    /// Most requests lost in the observation window.
    pub lost: Option<Count>,
    /// Least ready capacity as a share of the desired instances.
    pub least_ready: Option<Share>,
}

/// How it is measured.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Study {
    /// Runs of each strategy, each with its own luck, 2 to 100,000.
    #[schemars(range(min = 2, max = 100_000))]
    pub replications: Count,
    /// The seed of all luck. Default: 1.
    pub seed: Option<Count>,
    /// From the start of a run until it counts as steady. Default: "30s".
    pub warm_up: Option<Span>,
    /// The baseline window, before the rollout. Default: "60s".
    pub baseline: Option<Span>,
    /// The observation window, from the beginning of the rollout; the same for all strategies.
    pub window: Span,
    /// Length of one interval of the time series. Default: a 120th of the window, rounded up to whole seconds.
    pub interval: Option<Span>,
    /// Confidence of all intervals, "50%" to "99.99%". Default: "95%".
    pub confidence: Option<Share>,
    /// The strategy that the others are compared with. Default: the first.
    pub against: Option<String>,
}

/// What the author says will come out for one strategy.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Expect {
    /// How every replication ends.
    pub outcome: Option<OutcomeWord>,
    /// Bounds of the mean rollout duration.
    #[schemars(length(equal = 2))]
    pub duration: Option<Vec<Span>>,
    /// Bounds of the mean number of requests lost in the observation window.
    #[schemars(length(equal = 2))]
    pub lost: Option<Vec<Number>>,
    /// The least number of ready instances over all replications.
    pub least_ready: Option<Count>,
    /// The most instances that existed at once over all replications, those on their way out included.
    pub most_instances: Option<Count>,
    /// The most frequent cause of loss.
    pub main_cause: Option<CauseWord>,
}
