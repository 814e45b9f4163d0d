//! The words of an Argo Rollout in a scenario file. The comments are the descriptions of the published schema.

use super::raw::Command;
use super::raw_waves::WavesTest;
use super::units::{Count, CountOrShare, Number, Share, Span, Table};
use schemars::JsonSchema;
use serde::Deserialize;

/// An Argo Rollout: exactly one of canary and blue_green, of which the former is the default.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Argo {
    /// A manifest with the Rollout, relative to the scenario file. Of it are all settings here but commands, unless they are
    /// given here; replicas, probes, grace and preStop are those of [service] and [release].
    pub manifest: Option<String>,
    /// Which Rollout of the manifest. Default: the only one.
    pub name: Option<String>,
    /// How long a pod must be ready to count as available, in whole seconds. Default: 0.
    #[schemars(range(max = 31_622_400))]
    pub min_ready_seconds: Option<Count>,
    /// How long nothing may come on before the update is called degraded, more than min_ready_seconds. Default: 600.
    #[schemars(range(max = 31_622_400))]
    pub progress_deadline_seconds: Option<Count>,
    /// It is aborted then. Default: false.
    pub progress_deadline_abort: Option<bool>,
    /// `rollbackWindow.revisions`: going back over fewer revisions than that skips steps, pauses and analyses. Default: 0.
    #[schemars(range(max = 1_000))]
    pub rollback_window: Option<Count>,
    /// How long a set is kept that got requests until now; not of a canary without a traffic router. Default: 30.
    #[schemars(range(max = 31_622_400))]
    pub scale_down_delay_seconds: Option<Count>,
    /// How long the new set is kept after an abort; 0: for ever. Not of a canary without a traffic router. Default: 30, or with
    /// dynamic_stable_scale not at all.
    #[schemars(range(max = 31_622_400))]
    pub abort_scale_down_delay_seconds: Option<Count>,
    /// Step by step.
    pub canary: Option<Table<Canary>>,
    /// All at once, by a switch.
    pub blue_green: Option<Table<BlueGreen>>,
    /// What people type while the rollout is under way, in order: "promote" ends a pause, or else the step; "abort" gives
    /// the new version up.
    pub commands: Option<Vec<Table<Command>>>,
}

/// A canary.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Canary {
    /// How many more than desired may be asked for, a count or a share rounded up; nothing to a traffic router. Default:
    /// "25%".
    pub max_surge: Option<CountOrShare>,
    /// How many fewer than desired may be available, a count or a share rounded down; the same. Default: "25%".
    pub max_unavailable: Option<CountOrShare>,
    /// The steps, at most 1,000. Default: none, and the new version is rolled out at once.
    pub steps: Option<Vec<Table<Step>>>,
    /// A traffic router sets the weights; else the numbers of pods do. Default: false.
    pub traffic_routing: Option<bool>,
    /// The stable set shrinks as its requests go; only with traffic_routing. Default: false.
    pub dynamic_stable_scale: Option<bool>,
    /// How small a set that is not empty may be; only with traffic_routing. Default: 0.
    #[schemars(range(max = 100_000))]
    pub min_pods_per_replica_set: Option<Count>,
    /// How many available pods are enough for a step, a count or a share. Default: all.
    pub replica_progress_threshold: Option<CountOrShare>,
    /// Metrics that are measured in the background, while there are steps.
    pub analysis: Option<Vec<Table<Metric>>>,
    /// From which step on they are, counted from 0. Default: 0.
    #[schemars(range(max = 1_000))]
    pub analysis_starting_step: Option<Count>,
}

/// A step of a canary: exactly one of its keys.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Step {
    /// The new version's share of the requests, in hundredths.
    #[schemars(range(max = 100))]
    pub set_weight: Option<Count>,
    /// A pause.
    pub pause: Option<Table<Pause>>,
    /// The size of the new set, whatever the weight; only with traffic_routing.
    pub set_canary_scale: Option<Table<CanaryScale>>,
    /// Metrics that must pass, or the update is aborted.
    pub analysis: Option<Vec<Table<Metric>>>,
}

/// A pause.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Pause {
    /// How long. Absent: until somebody types promote.
    pub duration: Option<Span>,
}

/// The size of a canary: exactly one of its keys.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct CanaryScale {
    /// So many.
    #[schemars(range(max = 100_000))]
    pub replicas: Option<Count>,
    /// So many hundredths of the desired instances.
    #[schemars(range(max = 10_000))]
    pub weight: Option<Count>,
    /// As large as the weight needs, again; only true.
    pub match_traffic_weight: Option<bool>,
}

/// A blue/green update.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct BlueGreen {
    /// Nobody is asked before the switch. Default: true.
    pub auto_promotion_enabled: Option<bool>,
    /// How long it pauses before the switch, whatever auto_promotion_enabled says. Absent: not, or until somebody types
    /// promote.
    #[schemars(range(max = 31_622_400))]
    pub auto_promotion_seconds: Option<Count>,
    /// How large the new set is until then. Absent: as large as the service.
    #[schemars(range(min = 1, max = 100_000))]
    pub preview_replica_count: Option<Count>,
    /// Metrics that must pass before the switch.
    pub pre_promotion_analysis: Option<Vec<Table<Metric>>>,
    /// Metrics that must pass after it, or it is switched back.
    pub post_promotion_analysis: Option<Vec<Table<Metric>>>,
    /// How many sets are kept for scale_down_delay_seconds. Absent: all.
    #[schemars(range(max = 1_000))]
    pub scale_down_delay_revision_limit: Option<Count>,
}

/// A metric of an analysis: a test, or what the new version answers.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Metric {
    /// The largest share of attempts that may fail. Default: "100%".
    pub max_failed: Option<Share>,
    /// The largest share of answers that may come later than the target of their class. Default: "100%".
    pub max_late: Option<Share>,
    /// With fewer attempts a measurement is inconclusive; without any it is an error, unless none are needed. Default: 1.
    #[schemars(range(max = 1_000_000_000))]
    pub at_least: Option<Count>,
    /// A job that tests the new version, instead of these.
    pub test: Option<Table<WavesTest>>,
    /// From the beginning of the analysis to the first measurement. Default: "0s".
    pub initial_delay: Option<Span>,
    /// From one measurement to the next. Absent: there is one.
    pub interval: Option<Span>,
    /// After so many measurements the metric passes. Default: one, or with an interval as many as there is time for, which
    /// only a canary's analysis in the background may have.
    #[schemars(range(min = 1, max = 1_000_000))]
    pub count: Option<Count>,
    /// More failures than that abort the update; -1: none does. Default: 0.
    pub failure_limit: Option<Number>,
    /// More inconclusive measurements than that pause it until somebody types promote. Default: 0.
    #[schemars(range(max = 1_000_000))]
    pub inconclusive_limit: Option<Count>,
    /// More errors in a row than that abort the update. Default: 4.
    #[schemars(range(max = 1_000_000))]
    pub consecutive_error_limit: Option<Count>,
    /// So many successes in a row pass it; 0: that is not asked for. Default: 0.
    #[schemars(range(max = 1_000_000))]
    pub consecutive_success_limit: Option<Count>,
}
