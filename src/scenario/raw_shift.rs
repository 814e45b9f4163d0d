//! How a rollout by traffic shifting is written. The comments are the descriptions of the published schema.

use super::raw::Command;
use super::raw_delay::Delay;
use super::raw_waves::WavesTest;
use super::units::{Count, Share, Span, Table};
use super::words::{CapacityWord, OnFailureWord};
use schemars::JsonSchema;
use serde::Deserialize;

/// A rollout by traffic shifting: a second fleet is built beside the first one, and requests move over to it in steps. One step
/// of "100%" is blue/green, several are a weighted canary.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Shift {
    /// The share of the requests that the new version gets, step by step, in whole percent: rising, the last one "100%".
    /// Default: one step of all.
    pub steps: Option<Vec<Share>>,
    /// How large the fleets are. Default: "double".
    pub capacity: Option<CapacityWord>,
    /// How long the new fleet of a step may take to become ready before the rollout fails. Absent: for ever.
    pub deadline: Option<Span>,
    /// What is run on all of the new fleet before its first request. Absent: nothing.
    pub test: Option<Table<WavesTest>>,
    /// How long each step is watched. Default: "0s".
    pub soak: Option<Span>,
    /// What the new version's answers are held to in each soak. Absent: nothing.
    pub analysis: Option<Table<Analysis>>,
    /// Who must let the rollout go on. Absent: nobody.
    pub gate: Option<Table<Gate>>,
    /// How long the old fleet is kept after the last step. Default: "30s".
    pub keep_old: Option<Span>,
    /// What happens when a process of the new version ends, a test or an analysis finds something, or the deadline is over.
    /// Default: "roll-back".
    pub on_failure: Option<OnFailureWord>,
    /// What people type while the rollout is under way, in order.
    pub commands: Option<Vec<Table<Command>>>,
}

/// What the new version's answers are held to: at least one of max_failed and max_late.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Analysis {
    /// The largest share of attempts that may fail. Default: "100%".
    pub max_failed: Option<Share>,
    /// The largest share of answers that may come later than the target of their class. Default: "100%".
    pub max_late: Option<Share>,
    /// With fewer attempts nothing is concluded. Default: 100.
    #[schemars(range(max = 1_000_000_000))]
    pub at_least: Option<Count>,
    /// How often it is judged, by what was answered since the time before. Absent: when the soak ends.
    pub every: Option<Span>,
}

/// A human who lets the rollout go on after a step.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Gate {
    /// After which step, counted from 1; after the last one nobody is asked.
    #[schemars(range(min = 1, max = 100))]
    pub after_step: Count,
    /// From the end of that step to the answer.
    pub answers_after: Delay,
}
