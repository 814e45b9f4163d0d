//! How a balancer is written. The comments are the descriptions of the published schema.

use super::raw_delay::Delay;
use super::units::{Count, Number, Share, Span, Table, Tabled, WordOr};
use super::words::{ChoiceWord, DiscoveryWord, FailuresWord, RedispatchWord, TiesWord};
use schemars::JsonSchema;
use serde::Deserialize;

/// Who distributes the requests.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Balancer {
    /// How many balancers there are, each with a view of its own; each request meets one of them. Default: 1.
    #[schemars(range(min = 1, max = 1_000))]
    pub count: Option<Count>,
    /// How an instance is chosen. Default: "round-robin".
    pub policy: Option<WordOr<ChoiceWord, Choice>>,
    /// How much of the traffic an instance of a new version gets, compared with one of the old version. Default: 1.
    #[schemars(range(min = 0.001, max = 1_000))]
    pub new_weight: Option<Number>,
    /// "service": balancers are told of each instance; "static": they know the places by configuration, whoever stands
    /// there, and find out for themselves who answers. Default: "service".
    pub discovery: Option<DiscoveryWord>,
    /// How long news of an instance take to reach a balancer. Default: "0s".
    pub propagation: Option<Delay>,
    /// Whether requests that are open at an instance when a balancer removes it may finish. Default: true.
    pub draining: Option<bool>,
    /// How many instances each balancer keeps to, each its own. Absent: all.
    #[schemars(range(min = 1, max = 100_000))]
    pub subset: Option<Count>,
    /// Newcomers get less at first. Absent: they do not.
    pub slow_start: Option<Table<SlowStart>>,
    /// How balancers find out by themselves whether an instance answers. Absent: they do not.
    pub health_check: Option<Table<HealthCheck>>,
    /// Whom they leave out for a while because of failed requests. Absent: nobody.
    pub ejection: Option<Table<Ejection>>,
    /// Health is ignored while a smaller share than this of those listed is healthy and not ejected. Default: "0%".
    pub panic_threshold: Option<Share>,
    /// Whether instances on their way out are used while nobody else is listed. Default: false.
    pub fallback_to_terminating: Option<bool>,
    /// What happens when an instance does not take a request. Absent: the attempt fails.
    pub connect: Option<Table<Connect>>,
    /// Requests that one balancer has open at one instance at most; further ones wait in the balancer. Absent: any number.
    #[schemars(range(min = 1, max = 100_000))]
    pub max_connections: Option<Count>,
    /// Requests that may wait in one balancer, 0 to 1,000,000; with max_connections only. Default: 1,000.
    #[schemars(range(max = 1_000_000))]
    pub queue: Option<Count>,
}

/// A choice with settings: exactly one of these.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(extend("minProperties" = 1, "maxProperties" = 1))]
pub(super) struct Choice {
    /// One with the fewest open requests.
    pub least_connections: Option<Table<LeastConnections>>,
    /// The one with the fewest open requests among several distinct random ones.
    pub least_request: Option<Table<LeastRequest>>,
    /// The one of two that was faster lately and has less to do.
    pub peak_ewma: Option<Table<PeakEwma>>,
    /// The same instance for the same key, as long as that one does not have too much to do.
    pub consistent_hash: Option<Table<ConsistentHash>>,
}

impl Tabled for Choice {
    const WHAT: &'static str =
        r#"a word such as "round-robin", or a table such as { least_request = { choices = 3 } }"#;
}

/// One with the fewest open requests.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct LeastConnections {
    /// Which of several with equally few: any at "random", or in "turns" the one where longest nothing began or ended.
    pub ties: TiesWord,
}

/// The one with the fewest open requests among several distinct random ones.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct LeastRequest {
    /// How many are looked at.
    #[schemars(range(min = 2, max = 100))]
    pub choices: Count,
}

/// The one of two that was faster lately and has less to do.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct PeakEwma {
    /// The time constant of the average. Default: "10s".
    pub decay: Option<Span>,
}

/// The same instance for the same key.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct ConsistentHash {
    /// How many different keys requests have, equally likely.
    #[schemars(range(min = 1, max = 1_000_000_000))]
    pub keys: Count,
    /// An instance has at most this times its even share of the open requests. Default: 1.25.
    #[schemars(range(min = 1.001, max = 1_000_000))]
    pub bound: Option<Number>,
}

/// Newcomers get less at first: max(least, (age / window) ^ (1 / aggression)) of their weight.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct SlowStart {
    /// How long it takes.
    pub window: Span,
    /// 1: linear in time; above it faster at first. Default: 1.
    #[schemars(range(min = 0.01, max = 100))]
    pub aggression: Option<Number>,
    /// The least share of the full weight, more than "0%". Default: "10%".
    pub least: Option<Share>,
}

/// How a balancer finds out by itself whether an instance answers.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct HealthCheck {
    /// Between two checks of one instance by one balancer.
    pub period: Span,
    /// How long an answer may take. Default: "1s".
    pub timeout: Option<Span>,
    /// When the first check comes after an instance is listed. Absent: at a random moment of the first period.
    pub phase: Option<Span>,
    /// Whether each instance has its own moment in every period instead, evenly spread in the order of their numbers, as
    /// HAProxy checks. Default: false.
    pub spread: Option<bool>,
    /// Passes in a row after which an instance is healthy. Default: 1.
    #[schemars(range(min = 1, max = 1_000_000))]
    pub success_threshold: Option<Count>,
    /// Failures in a row after which it is not. Default: 3.
    #[schemars(range(min = 1, max = 1_000_000))]
    pub failure_threshold: Option<Count>,
    /// Whether an instance counts as healthy until its checks say otherwise; if not, its first pass makes it so. Default:
    /// true.
    pub assume_healthy: Option<bool>,
    /// What a check costs the instance, where it waits like a request. Absent: it is answered beside the queue.
    pub work: Option<Span>,
    /// The share of checks that fail for reasons of their own. Default: "0%".
    pub false_failures: Option<Share>,
}

/// Whom a balancer leaves out for a while because of failed requests.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Ejection {
    /// Failures in a row that eject an instance. Default: 5.
    #[schemars(range(min = 1, max = 1_000_000))]
    pub consecutive_errors: Option<Count>,
    /// A failure later than this after the first of its row begins a new row. Absent: none does.
    pub within: Option<Span>,
    /// How long it is left out. Default: "30s".
    pub lasts: Option<Delay>,
    /// Whether moments count in whole seconds of the clock, as nginx counts them: it ends with the first whole second that is
    /// more than that later than the second of the failure. Default: false.
    pub whole_seconds: Option<bool>,
    /// Whether the n-th ejection lasts n times as long. Default: false.
    pub grows: Option<bool>,
    /// Whether one request at a time is let through afterwards, until one has not failed. Default: false.
    pub trial: Option<bool>,
    /// "connect": only that it did not take the request; "all": also errors, full queues, time-outs and cut connections.
    /// Default: "all".
    pub counts: Option<FailuresWord>,
    /// The share of those listed that may be left out at once; one always may. Default: "100%".
    pub most: Option<Share>,
}

/// What happens when an instance does not take a request.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Connect {
    /// How long a balancer waits for an instance that does not even refuse. Default: "1s".
    pub timeout: Option<Span>,
    /// Further tries of one request, 0 to 100. Default: 0.
    #[schemars(range(max = 100))]
    pub retries: Option<Count>,
    /// Pause before a further try at the same instance; with redispatch = "same" only. Default: "0s".
    pub pause: Option<Span>,
    /// Where a further try goes: to the "same" instance, at once to an "other" choice, or to one that is "untried".
    /// Default: "same".
    pub redispatch: Option<RedispatchWord>,
}
