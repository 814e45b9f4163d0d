//! How a rollout in waves is written. The comments are the descriptions of the published schema.

use super::raw::Command;
use super::raw_delay::Delay;
use super::units::{Count, CountOrShare, Number, Share, Span, Table};
use super::words::OnFailureWord;
use schemars::JsonSchema;
use serde::Deserialize;

/// A rollout in waves: instances are replaced in their places, and the next wave begins when the whole wave before is done.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Waves {
    /// Instances in the first wave, 1 to 100,000 or up to "100%"; a share of the service rounds up. Default: 1.
    pub size: Option<CountOrShare>,
    /// Each wave is so many times as large as the one before, rounded up. Default: 1.
    #[schemars(range(min = 1, max = 1_000))]
    pub growth: Option<Number>,
    /// Whether each step, such as stopping, is over for the whole wave before the next one begins; otherwise each instance
    /// goes on by itself. Default: false.
    pub in_step: Option<bool>,
    /// Whether no wave spans zones: zone 0 comes first, then zone 1, and so on. Default: false.
    pub by_zone: Option<bool>,
    /// So many instances, those in the places with the highest numbers, stay at the old version; a share of the service
    /// rounds up. Default: 0.
    pub partition: Option<CountOrShare>,
    /// How long taking an instance out of the balancers takes; then it drains. Absent: it is not taken out, and the
    /// deregistration delay is not waited for.
    pub take_out: Option<Span>,
    /// How long putting a ready instance back takes; only with take_out. Default: "0s".
    pub put_back: Option<Span>,
    /// Between a process's exit and the start of the next one in its place. Default: "0s".
    pub gap: Option<Span>,
    /// What is run after each wave on all of its instances, before the soak. Absent: nothing.
    pub test: Option<Table<WavesTest>>,
    /// How long each wave is watched before the next one begins. Default: "0s".
    pub soak: Option<Span>,
    /// Who must let the rollout go on. Absent: nobody.
    pub gate: Option<Table<Gate>>,
    /// What happens when the process of an instance ends before its wave is over, or when the instance does not pass the
    /// test. Default: "stop".
    pub on_failure: Option<OnFailureWord>,
    /// What people type while the rollout is under way, in order.
    pub commands: Option<Vec<Table<Command>>>,
}

/// A test of the instances of a wave.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct WavesTest {
    /// How long it runs. An instance must be ready when it ends.
    pub takes: Span,
    /// The chance that it finds a defect that shows by then.
    pub finds: Share,
}

/// A human who lets the rollout go on after a wave.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Gate {
    /// After which wave, counted from 1; after the last one nobody is asked.
    #[schemars(range(min = 1, max = 100_000))]
    pub after_wave: Count,
    /// From the end of that wave to the answer.
    pub answers_after: Delay,
}
