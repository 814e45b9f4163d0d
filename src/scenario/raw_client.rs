//! How clients are written. The comments are the descriptions of the published schema.

use super::raw_delay::Delay;
use super::units::{Count, Number, Share, Span, Table};
use schemars::JsonSchema;
use serde::Deserialize;

/// What clients do when an answer is late or bad.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Client {
    /// How long one attempt may take. Absent: for ever.
    pub timeout: Option<Span>,
    /// Whether the work ends when its client gives up; otherwise the instance works on for nobody. Default: false.
    pub cancels: Option<bool>,
    /// How long an attempt waits in queues before its client gives up. Absent: for ever.
    pub patience: Option<Delay>,
    /// Further attempts. Absent: none.
    pub retries: Option<Table<Retries>>,
}

/// When and how often a failed attempt is repeated.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Retries {
    /// Attempts in all, the first one included, 1 to 100.
    #[schemars(range(min = 1, max = 100))]
    pub attempts: Count,
    /// Pause before the second attempt; doubled for each further one. Default: "0s".
    pub backoff: Option<Span>,
    /// Longest pause. Default: "1m".
    pub backoff_limit: Option<Span>,
    /// The share of the pause that is drawn at random. Default: "0%".
    pub jitter: Option<Share>,
    /// What keeps all clients together from too many retries. Absent: nothing.
    pub budget: Option<Table<RetryBudget>>,
}

/// What keeps clients from too many retries: exactly one of these, for all clients together.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(extend("minProperties" = 1, "maxProperties" = 1))]
pub(super) struct RetryBudget {
    /// Retries under way are at most a share of the requests under way.
    pub active: Option<Table<Active>>,
    /// A retry takes a token, a served attempt puts a part of one back.
    pub tokens: Option<Table<Bucket>>,
    /// A failed attempt takes a token, a served one puts a part of one back; retries are allowed while more than half of
    /// the tokens are left.
    pub throttle: Option<Table<Bucket>>,
}

/// Retries under way are at most a share of the requests under way.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Active {
    /// The share.
    pub share: Share,
    /// So many are always allowed. Default: 3.
    #[schemars(range(max = 1_000_000))]
    pub at_least: Option<Count>,
}

/// Tokens.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Bucket {
    /// The most tokens, and how many there are at the start.
    #[schemars(range(min = 1, max = 1_000_000))]
    pub size: Number,
    /// What a served attempt puts back.
    #[schemars(range(min = 0, max = 1_000_000))]
    pub deposit: Number,
}
