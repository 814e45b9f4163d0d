//! What an Argo Rollout decides: canary with and without a traffic router, and blue/green.
//!
//! Sources: `rollout/{canary,bluegreen,trafficrouting,replicaset,analysis,pause,sync}.go`, `utils/replicaset/canary.go`,
//! `utils/conditions/conditions.go`, `utils/defaults/defaults.go` and `analysis/analysis.go` of argoproj/argo-rollouts
//! (1.8); for the order of a blue/green update, and for a canary that is never scaled down after an abort, its
//! documentation.
//!
//! The controller makes passes, and one kind of change in each: it sets the traffic router's weight, measures, sizes the
//! stable set, the new one or the others, pauses, and goes on to the next step (`canary`, `blue_green`). ReplicaSets
//! follow their sizes as Kubernetes' controller of them does, here at once, and pods live as its kubelet lets them. The
//! stable version is the one that was promoted last; asking for it again skips all steps. A failed analysis *aborts*: the
//! requests go back to the stable version while the new one is still asked for.

mod analysis;
mod blue_green;
mod canary;
mod counts;
mod pass;
mod steps;

pub use analysis::{CONSECUTIVE_ERRORS, Counts, Limits, Measures, Metric, Phase, Run};
pub use blue_green::new_set_size;
pub use counts::{
    Enough, MAX_WEIGHT, Routed, Set, Sizes, approximate, at_desired, basic, is_there, part, weight_on_abort,
};
pub use steps::{CanaryScale, Step, scale_at, weight_at, weight_before};

use super::kubernetes::{Bound, Bounds, GRACE, PRE_STOP_EXTENSION, RESTART};
use super::{Answers, Command, Decision, Facts, Resolved, Restart, Split, View, as_written};
use crate::fleet::Version;
use crate::time::SimTime;
use pass::Pass;
pub use pass::{is_within_window, size_after_abort, size_while_kept};
use std::time::Duration;

/// `progressDeadlineSeconds` where none is given.
pub const PROGRESS_DEADLINE: Duration = Duration::from_mins(10);

/// `scaleDownDelaySeconds` and `abortScaleDownDelaySeconds` where none is given.
pub const SCALE_DOWN_DELAY: Duration = Duration::from_secs(30);

/// A Rollout's settings.
#[derive(Clone, Debug, PartialEq)]
pub struct Settings {
    /// `spec.strategy`.
    pub kind: Kind,
    /// `minReadySeconds`.
    pub min_ready: Duration,
    /// `progressDeadlineSeconds`.
    pub progress_deadline: Duration,
    /// `progressDeadlineAbort`.
    pub progress_deadline_abort: bool,
    /// `rollbackWindow.revisions`: going back over fewer revisions than that skips steps, pauses and analyses; 0: never.
    pub rollback_window: u32,
    /// `scaleDownDelaySeconds`: how long a set is kept that got requests until now.
    pub scale_down_delay: Duration,
    /// `abortScaleDownDelaySeconds`: how long an aborted one is kept once the stable set is whole; zero: for ever; `None`:
    /// [`SCALE_DOWN_DELAY`], but not with `dynamicStableScale`.
    pub abort_scale_down_delay: Option<Duration>,
    /// What is typed while the rollout is under way.
    pub commands: Vec<Command>,
}

/// How the new version gets its share.
#[derive(Clone, Debug, PartialEq)]
pub enum Kind {
    /// Step by step.
    Canary(Canary),
    /// All at once, by a switch.
    BlueGreen(BlueGreen),
}

/// `spec.strategy.canary`.
#[derive(Clone, Debug, PartialEq)]
pub struct Canary {
    /// `maxSurge`; nothing to a traffic router.
    pub max_surge: Bound,
    /// `maxUnavailable`; the same.
    pub max_unavailable: Bound,
    /// `steps`, in order.
    pub steps: Vec<Step>,
    /// Whether a traffic router sets the weights; else the number of instances does.
    pub traffic_routing: bool,
    /// `dynamicStableScale`: the stable set shrinks as its requests go.
    pub dynamic_stable_scale: bool,
    /// `minPodsPerReplicaSet`.
    pub min_pods: u32,
    /// `replicaProgressThreshold`; `None`: all.
    pub enough: Option<Enough>,
    /// `analysis`, which goes on in the background; without metrics there is none.
    pub analysis: Vec<Metric>,
    /// `analysis.startingStep`: from which step on, counted from 0.
    pub analysis_from: usize,
}

/// `spec.strategy.blueGreen`.
#[derive(Clone, Debug, PartialEq)]
pub struct BlueGreen {
    /// `autoPromotionEnabled`.
    pub auto_promotion: bool,
    /// `autoPromotionSeconds`: how long it pauses before the switch, whatever `autoPromotionEnabled` says.
    pub auto_promotion_after: Option<Duration>,
    /// `previewReplicaCount`: how large the new set is until then; `None`: as large as the service.
    pub preview_replicas: Option<u32>,
    /// `prePromotionAnalysis`; without metrics there is none.
    pub pre_promotion: Vec<Metric>,
    /// `postPromotionAnalysis`; the same.
    pub post_promotion: Vec<Metric>,
    /// `scaleDownDelayRevisionLimit`: how many sets are kept by the delay; `None`: all.
    pub kept_revisions: Option<u32>,
}

impl Canary {
    /// The bounds of the sizes without a traffic router.
    pub fn bounds(&self, desired: u32) -> Bounds {
        Bounds::resolve(self.max_surge, self.max_unavailable, desired)
    }
}

/// What the Rollout's object and its ReplicaSets hold.
#[expect(clippy::struct_excessive_bools, reason = "so has the original's status")]
#[derive(Clone, Debug, PartialEq)]
pub struct Memory {
    revision: u32,
    /// What is asked for.
    target: Version,
    /// `status.stableRS`.
    stable: Version,
    /// The sizes of the sets by version.
    sizes: [u32; Version::COUNT],
    /// When a version was asked for last, as a revision.
    revisions: [u32; Version::COUNT],
    /// `scale-down-deadline` of the sets.
    leaves_at: [Option<SimTime>; Version::COUNT],
    /// How many instances are desired, as far as the sets were sized for it.
    sized_for: u32,
    /// `status.currentStepIndex`.
    step: usize,
    pause: Option<Pause>,
    /// `status.controllerPause`: the pause that belongs here was begun.
    has_paused: bool,
    aborted: bool,
    /// Who `weight` is of.
    weighted: Version,
    /// The weight that the traffic router has, in hundredths.
    weight: u32,
    /// What the balancers were told last.
    split: Split,
    /// Who the active service of blue/green selects.
    active: Version,
    /// `status.blueGreen.scaleUpPreviewCheckPoint`.
    may_grow: bool,
    /// It goes back to a set that is still there: nothing is waited for.
    fast: bool,
    /// The analysis of the step, or before the switch.
    analysis: Option<(Run, Phase)>,
    /// The analysis in the background, or after the switch.
    background: Option<(Run, Phase)>,
    /// What the new version had answered when its weight was reached.
    answered: Answers,
    promotions: u32,
    aborts: u32,
    progress: Progress,
    /// Nobody waits for progress: it is paused, aborted or done.
    rests: bool,
    /// The progress deadline is over.
    is_late: bool,
    completed: bool,
}

/// Why the controller pauses, and since when.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Pause {
    since: SimTime,
    inconclusive: bool,
}

/// What counts as progress when it changes (`RolloutProgressing`), and when it did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Progress {
    at: SimTime,
    updated: u32,
    old: u32,
    ready: u32,
    available: u32,
    step: usize,
    stable: Version,
    active: Version,
}

impl Facts for Settings {
    fn name(&self) -> &'static str {
        "argo"
    }

    fn commands(&self) -> &[Command] {
        &self.commands
    }

    fn commands_mut(&mut self) -> &mut Vec<Command> {
        &mut self.commands
    }

    fn resolves(&self, desired: u32) -> Vec<Resolved> {
        let mut all = match &self.kind {
            Kind::Canary(canary) => canary.resolves(desired),
            Kind::BlueGreen(blue_green) => blue_green.resolves(desired),
        };
        if self.splits_requests() {
            let kept = as_written(self.scale_down_delay);
            all.push(Resolved::new("scaleDownDelaySeconds", kept, "from the promotion until the old ones leave"));
        }
        let then = if self.progress_deadline_abort { "then it is aborted" } else { "then it is called degraded" };
        let without = format!("without progress; {then}");
        all.push(Resolved::new("progressDeadlineSeconds", as_written(self.progress_deadline), without));
        all
    }

    fn restarts_in_place(&self, given: Option<Restart>) -> Option<Restart> {
        given.or(Some(RESTART))
    }

    fn grace(&self) -> Option<Duration> {
        Some(GRACE)
    }

    fn least_time_to_stop(&self) -> Duration {
        PRE_STOP_EXTENSION
    }

    fn min_ready(&self) -> (Duration, bool) {
        (self.min_ready, true)
    }

    fn splits_requests(&self) -> bool {
        match &self.kind {
            Kind::Canary(canary) => canary.traffic_routing,
            Kind::BlueGreen(_) => true,
        }
    }

    fn deadline(&self) -> Option<Duration> {
        Some(self.progress_deadline)
    }

    fn ignore_failures(&mut self) {
        self.progress_deadline_abort = false;
        self.for_each_metric(Metric::ignore_failures);
    }

    fn judges_answers(&self) -> bool {
        match &self.kind {
            Kind::BlueGreen(BlueGreen { pre_promotion, post_promotion, .. }) => {
                !pre_promotion.is_empty() || !post_promotion.is_empty()
            }
            Kind::Canary(Canary { analysis, steps, .. }) => {
                !analysis.is_empty() || steps.iter().any(|step| matches!(step, Step::Analysis(_)))
            }
        }
    }

    fn expect_no_answers(&mut self) {
        self.for_each_metric(Metric::expect_no_answers);
    }
}

impl Settings {
    fn for_each_metric(&mut self, change: impl FnMut(&mut Metric)) {
        match &mut self.kind {
            Kind::BlueGreen(BlueGreen { pre_promotion, post_promotion, .. }) => {
                pre_promotion.iter_mut().chain(post_promotion).for_each(change);
            }
            Kind::Canary(Canary { analysis, steps, .. }) => {
                let of_steps = steps.iter_mut().filter_map(|step| match step {
                    Step::Analysis(metrics) => Some(metrics),
                    _ => None,
                });
                of_steps.flatten().chain(analysis).for_each(change);
            }
        }
    }

    /// What is remembered before the rollout: the old version is stable.
    pub fn memory(&self, desired: u32) -> Memory {
        let mut sizes = [0; Version::COUNT];
        sizes[Version::OLD.index()] = desired;
        let stable = Version::OLD;
        let progress = Progress {
            at: SimTime::START,
            updated: desired,
            old: 0,
            ready: desired,
            available: desired,
            step: 0,
            stable,
            active: stable,
        };
        Memory {
            revision: 0,
            target: stable,
            stable,
            sizes,
            revisions: [0; Version::COUNT],
            leaves_at: [None; Version::COUNT],
            sized_for: desired,
            step: 0,
            pause: None,
            has_paused: false,
            aborted: false,
            weighted: stable,
            weight: 0,
            split: Split::all_to(stable),
            active: stable,
            may_grow: false,
            fast: false,
            analysis: None,
            background: None,
            answered: Answers::default(),
            promotions: 0,
            aborts: 0,
            progress,
            rests: true,
            is_late: false,
            completed: true,
        }
    }

    /// One decision: a pass of the controller.
    pub fn decide(&self, view: &View<'_>, memory: &mut Memory) -> Decision {
        let mut pass = Pass::new(self, view, memory);
        pass.hear();
        match &self.kind {
            Kind::Canary(canary) => pass.canary(canary),
            Kind::BlueGreen(blue_green) => pass.blue_green(blue_green),
        }
        pass.note_progress();
        pass.follow_the_sizes();
        pass.decision()
    }
}

#[cfg(test)]
mod tests;
