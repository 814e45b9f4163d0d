//! How offered load is written. The comments are the descriptions of the published schema.

use super::raw_delay::Delay;
use super::units::{Count, Named, Number, Share, Span, Table, Tabled, WordOr};
use super::words::ArrivalsWord;
use schemars::JsonSchema;
use serde::Deserialize;

/// Requests on their way to the service.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(extend(
    "oneOf" = [
        { "required": ["rate"] }, { "required": ["steps"] }, { "required": ["diurnal"] }, { "required": ["trace"] },
        { "required": ["users"] }
    ],
    "anyOf" = [{ "required": ["work"] }, { "required": ["class"] }]
))]
pub(super) struct Traffic {
    /// Requests per second, always the same.
    #[schemars(range(max = 10_000_000))]
    pub rate: Option<Number>,
    /// Requests per second that change at given moments.
    #[schemars(length(min = 1))]
    pub steps: Option<Vec<Table<LoadStep>>>,
    /// Requests per second that swing with the time of day.
    pub diurnal: Option<Table<Diurnal>>,
    /// Requests per second as they were recorded.
    pub trace: Option<Table<Trace>>,
    /// So many users, each of whom asks again some time after the last answer; needs think.
    #[schemars(range(min = 1, max = 1_000_000))]
    pub users: Option<Count>,
    /// From an answer to the same user's next request; with users only.
    pub think: Option<Delay>,
    /// How the gaps between requests behave; not with users. Default: "poisson".
    pub arrivals: Option<WordOr<ArrivalsWord, Arrivals>>,
    /// What one request costs a warm instance of the old version. Absent: each class says it.
    pub work: Option<Delay>,
    /// A request that takes longer is late. Absent: the p99 of the budget, if there is one.
    pub target: Option<Span>,
    /// Kinds of requests: [traffic.class.<name>], with shares that come to 100 %. Absent: all are alike.
    #[serde(default)]
    #[schemars(extend("minProperties" = 1, "propertyNames" = { "pattern": "^[A-Za-z0-9._-]{1,60}$" }))]
    pub class: Named<Class>,
}

/// A kind of requests.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Class {
    /// The share of requests that are of this kind.
    pub share: Share,
    /// What one of them costs a warm instance of the old version. Default: that of traffic.
    pub work: Option<Delay>,
    /// One that takes longer is late. Default: that of traffic.
    pub target: Option<Span>,
}

/// Arrivals with settings.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Arrivals {
    /// Random bursts; the rate is the mean of bursts and lulls together.
    pub bursty: Table<Bursts>,
}

impl Tabled for Arrivals {
    const WHAT: &'static str =
        r#""poisson", "deterministic", or a table { bursty = { peak = 4.0, lasts = "2s", every = "20s" } }"#;
}

/// Random bursts.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Bursts {
    /// How many times the mean rate a burst has; above 1.
    #[schemars(range(min = 1, max = 1_000_000))]
    pub peak: Number,
    /// How long a burst lasts in the mean.
    pub lasts: Span,
    /// From the beginning of a burst to that of the next in the mean; at least peak × lasts.
    pub every: Span,
}

/// From a moment on, so many requests per second.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct LoadStep {
    /// From the start of the run; "0s" for the first step.
    pub from: Span,
    /// Requests per second.
    #[schemars(range(min = 0, max = 10_000_000))]
    pub rate: Number,
}

/// A cosine: mean × (1 + amplitude × cos(2π (t − peak_at) / period)).
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Diurnal {
    /// Requests per second, over a whole period.
    #[schemars(range(max = 10_000_000))]
    pub mean: Number,
    /// How far the rate swings to each side, as a share of the mean.
    pub amplitude: Share,
    /// Default: "24h".
    pub period: Option<Span>,
    /// When in the period the rate is highest.
    pub peak_at: Span,
    /// When in the period the run starts.
    pub starts_at: Span,
}

/// Requests as they were counted, in a CSV file with the header timestamp,value.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Trace {
    /// The CSV file, relative to the scenario file.
    pub path: String,
    /// Over how long each value was counted.
    pub interval: Span,
    /// A factor on all rates. Default: 1.
    pub scale: Option<Number>,
    /// Where in the trace the run starts. Default: "0s".
    pub from: Option<Span>,
    /// Whether the trace begins again after its end. Default: false, and the trace must cover the run.
    pub repeat: Option<bool>,
}
