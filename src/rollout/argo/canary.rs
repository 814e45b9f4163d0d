//! A canary's pass (`rollout/canary.go`, `rollout/trafficrouting.go`).

use super::analysis::Phase;
use super::counts::{MAX_WEIGHT, Routed, Set, Sizes, approximate, at_desired, basic, is_there, part, weight_on_abort};
use super::pass::Pass;
use super::steps::{CanaryScale, Step, scale_at, weight_at, weight_before, weights};
use super::{Canary, as_written};
use crate::fleet::Version;
use crate::rollout::{Resolved, Split};

impl Canary {
    pub(super) fn resolves(&self, desired: u32) -> Vec<Resolved> {
        let mut all = Vec::new();
        if !self.traffic_routing {
            let bounds = self.bounds(desired);
            let surge = format!("up to {} instances are asked for, {} more than desired", bounds.most(), bounds.surge);
            all.push(Resolved::new("maxSurge", self.max_surge, surge));
            let least =
                format!("at least {} available, {} fewer than desired", bounds.least_available(), bounds.unavailable);
            all.push(Resolved::new("maxUnavailable", self.max_unavailable, least));
        }
        for (at, step) in self.steps.iter().enumerate() {
            all.push(match step {
                Step::SetWeight(weight) => Resolved::new("setWeight", format!("{weight}%"), self.means(desired, at)),
                Step::Pause(None) => Resolved::new("pause", "{}", "until somebody types promote"),
                Step::Pause(Some(span)) => Resolved::new("pause", as_written(*span), "watched for that long"),
                Step::SetCanaryScale(CanaryScale::Replicas(count)) => {
                    Resolved::new("setCanaryScale", count, "new ones, whatever the weight")
                }
                Step::SetCanaryScale(CanaryScale::Weight(weight)) => {
                    let count = part(desired, *weight, MAX_WEIGHT);
                    Resolved::new(
                        "setCanaryScale",
                        format!("{weight}%"),
                        format!("{count} new ones, whatever the weight"),
                    )
                }
                Step::SetCanaryScale(CanaryScale::MatchTrafficWeight) => {
                    Resolved::new("setCanaryScale", "matchTrafficWeight", "as large as the weight needs, again")
                }
                Step::Analysis(metrics) => {
                    Resolved::new("analysis", metrics.len(), "metrics; one that fails aborts the update")
                }
            });
        }
        if !self.analysis.is_empty() {
            let means = "metrics in the background; one that fails aborts the update";
            all.push(Resolved::new("analysis", self.analysis.len(), means));
        }
        all
    }

    /// What a weight comes to.
    fn means(&self, desired: u32, at: usize) -> String {
        let weight = weight_at(&self.steps, at);
        let Sizes { canary, stable } = if self.traffic_routing {
            let dynamic = self.dynamic_stable_scale.then_some(weight);
            self.routed(desired, at, weight, dynamic).sizes()
        } else {
            approximate(desired, weight, MAX_WEIGHT, self.bounds(desired).surge)
        };
        format!("{canary} new and {stable} old ones")
    }

    /// The sizes that a traffic router needs at a step.
    fn routed(&self, replicas: u32, step: usize, weight: u32, dynamic: Option<u32>) -> Routed {
        let (scale, weight) = match scale_at(&self.steps, step) {
            Some(CanaryScale::Replicas(count)) => (Some(count), weight),
            Some(CanaryScale::Weight(weight)) => (None, weight),
            Some(CanaryScale::MatchTrafficWeight) | None => (None, weight),
        };
        Routed { replicas, scale, weight, dynamic, aborted: false, min_pods: self.min_pods }
    }
}

impl Pass<'_> {
    pub(super) fn canary(&mut self, canary: &Canary) {
        self.remove_deadlines();
        if canary.traffic_routing {
            self.route(canary);
        }
        self.analyse_canary(canary);
        let is_scaled = self.memory.sized_for != self.view.desired;
        let is_halted = self.is_halted();
        let mut is_resized = false;
        if !is_halted || is_scaled {
            is_resized = self.resize_canary(canary);
            if !is_resized {
                self.memory.sized_for = self.view.desired;
            }
        }
        if is_halted || is_resized {
            return;
        }
        if let Some(Step::Pause(_)) = canary.steps.get(self.memory.step)
            && !self.memory.has_paused
            && !self.memory.aborted
            && !self.is_promoted()
        {
            self.pause(false);
        }
        self.settle_canary(canary);
    }

    /// The sizes that the sets are to have after this pass.
    fn sizes(&mut self, canary: &Canary) -> Sizes {
        let (target, stable) = (self.memory.target, self.memory.stable);
        let new = self.set(target);
        let old = (stable != target).then(|| self.set(stable));
        if canary.traffic_routing {
            return self.routed_sizes(canary, new, old);
        }
        let older = self.others().iter().map(|version| self.memory.sizes[version.index()]).sum();
        let weight = if self.memory.aborted { 0 } else { weight_at(&canary.steps, self.memory.step) };
        basic(&canary.bounds(self.view.desired), weight, Some(new), old, older)
    }

    fn routed_sizes(&mut self, canary: &Canary, new: Set, old: Option<Set>) -> Sizes {
        let desired = self.view.desired;
        let Some(old) = old else { return Sizes { canary: desired, stable: 0 } };
        let weight = weight_at(&canary.steps, self.memory.step);
        let dynamic = canary.dynamic_stable_scale.then_some(self.memory.weight);
        if !self.memory.aborted {
            return canary.routed(desired, self.memory.step, weight, dynamic).sizes();
        }
        let keeps_canary = self.settings.abort_scale_down_delay.is_some_and(|delay| !delay.is_zero());
        let weight = match dynamic {
            Some(_) => weight_on_abort(desired, weights(&canary.steps), new, old, keeps_canary),
            None => 0,
        };
        Routed { replicas: desired, scale: None, weight, dynamic, aborted: true, min_pods: canary.min_pods }.sizes()
    }

    /// Makes one kind of change: the stable set, the new one, or the others; whether there was one.
    fn resize_canary(&mut self, canary: &Canary) -> bool {
        let sizes = self.sizes(canary);
        let (target, stable) = (self.memory.target, self.memory.stable);
        if stable != target && self.resize(stable, sizes.stable) {
            return true;
        }
        let size = self.kept_after_abort(sizes.canary);
        self.resize(target, size) || self.shrink_others(canary)
    }

    /// Sets that are neither stable nor asked for (`scaleDownOldReplicaSetsForCanary`): without a traffic router those get
    /// requests, and shrink as availability allows; with one the set that was stable until now is kept for a while, and one
    /// that was overtaken goes at once.
    fn shrink_others(&mut self, canary: &Canary) -> bool {
        let others = self.others();
        let mut is_resized = false;
        for version in &others {
            let set = self.set(*version);
            // What does not work goes first.
            if set.available < set.size && !canary.traffic_routing {
                is_resized |= self.resize(*version, set.available);
            }
        }
        let mut available = 0;
        for version in Version::all() {
            available += self.set(version).available;
        }
        let least = canary.bounds(self.view.desired).least_available();
        let mut may_go = available.saturating_sub(least);
        let mut kept = 0;
        for version in others {
            let size = self.memory.sizes[version.index()];
            if may_go == 0 {
                break;
            }
            let left = if !canary.traffic_routing {
                size.saturating_sub(may_go)
            } else if self.memory.weighted == version && self.memory.weight > 0 {
                size.min(part(self.view.desired, self.memory.weight, MAX_WEIGHT))
            } else if self.is_promoted() || self.memory.leaves_at[version.index()].is_some() {
                self.kept_for_a_while(version, &mut kept, None)
            } else {
                0
            };
            may_go = may_go.saturating_sub(size - left);
            is_resized |= self.resize(version, left);
        }
        is_resized
    }

    // --- requests
    // ----------------------------------------------------------------------------------------------------

    /// Sets the traffic router's weight.
    fn route(&mut self, canary: &Canary) {
        let (target, stable) = (self.memory.target, self.memory.stable);
        let goes_back = self.is_promoted() && canary.dynamic_stable_scale && self.memory.weighted != target;
        if goes_back && self.memory.weight > 0 {
            // The one before gives its requests up as the stable set can take them.
            self.memory.weight = self.weight_that_stable_leaves();
        } else {
            let weight = self.new_weight(canary);
            (self.memory.weighted, self.memory.weight) = (target, weight);
        }
        let split = match self.memory.weight {
            0 => Split::all_to(stable),
            MAX_WEIGHT => Split::all_to(self.memory.weighted),
            weight => Split::between(self.memory.weighted, weight, MAX_WEIGHT, stable),
        };
        self.split(split);
    }

    fn new_weight(&mut self, canary: &Canary) -> u32 {
        let step = self.memory.step;
        if self.is_promoted() {
            0
        } else if self.memory.aborted {
            if canary.dynamic_stable_scale { self.weight_that_stable_leaves() } else { 0 }
        } else if self.set(self.memory.target).available == 0 || canary.steps.is_empty() {
            0
        } else if !self.is_at_desired_sizes(canary) {
            // So whoever comes back within the window gets the last step's weight from its first available pod on.
            weight_before(&canary.steps, step)
        } else {
            weight_at(&canary.steps, step)
        }
    }

    /// What the stable set cannot take yet, and never more than now (`calculateDesiredWeightOnAbortOrStableRollback`).
    fn weight_that_stable_leaves(&mut self) -> u32 {
        let available = u64::from(self.set(self.memory.stable).available);
        let taken = available * u64::from(MAX_WEIGHT) / u64::from(self.view.desired.max(1));
        MAX_WEIGHT.saturating_sub(u32::try_from(taken).unwrap_or(MAX_WEIGHT)).min(self.memory.weight)
    }

    // --- steps
    // -------------------------------------------------------------------------------------------------------

    /// Whether the sets are as large as the step wants them and the new one is available
    /// (`AtDesiredReplicaCountsForCanary`). Of the stable set it is enough that its instances were created.
    fn is_at_desired_sizes(&mut self, canary: &Canary) -> bool {
        let sizes = self.sizes(canary);
        let (target, stable) = (self.memory.target, self.memory.stable);
        let (new, old) = (self.set(target), self.set(stable));
        let matters = !(canary.traffic_routing && canary.dynamic_stable_scale);
        let mut others = 0;
        if !canary.traffic_routing {
            for version in self.others() {
                others += self.set(version).available;
            }
        }
        at_desired(sizes, new, matters.then_some(old), canary.enough, others)
    }

    fn analyse_canary(&mut self, canary: &Canary) {
        let step = self.memory.step;
        if self.memory.aborted || self.is_promoted() || step >= canary.steps.len() {
            return;
        }
        if !canary.analysis.is_empty() && step >= canary.analysis_from {
            let run = self.memory.background.take();
            let (run, phase) = self.analyse(run, &canary.analysis);
            self.memory.background = Some((run, phase));
            self.obey(phase);
        }
        if let Some(Step::Analysis(metrics)) = canary.steps.get(step)
            && !self.memory.aborted
        {
            let run = self.memory.analysis.take();
            let (run, phase) = self.analyse(run, metrics);
            self.memory.analysis = Some((run, phase));
            self.obey(phase);
        }
    }

    /// Whether what the step asks for is done.
    fn has_done_step(&mut self, canary: &Canary) -> bool {
        match canary.steps.get(self.memory.step) {
            None => false,
            Some(Step::Pause(span)) => self.has_paused_for(*span),
            Some(Step::SetWeight(_) | Step::SetCanaryScale(_)) => self.is_at_desired_sizes(canary),
            Some(Step::Analysis(_)) => matches!(self.memory.analysis, Some((_, Phase::Successful))),
        }
    }

    fn settle_canary(&mut self, canary: &Canary) {
        let desired = self.view.desired;
        let new = self.set(self.memory.target);
        if !self.is_promoted() {
            let is_through = self.memory.step >= canary.steps.len() || self.is_within_window();
            if self.memory.aborted {
                self.memory.step = 0;
            } else if is_through && is_there(new, desired, canary.enough) {
                self.promote();
                self.memory.step = canary.steps.len();
            } else if self.has_done_step(canary) {
                self.next_step();
            }
            return;
        }
        let all_is_there = new.size == desired && new.available >= desired;
        let is_alone = canary.traffic_routing || self.others().is_empty();
        let is_routed = !canary.traffic_routing || self.memory.weight == 0;
        self.memory.completed |= all_is_there && is_alone && is_routed && self.memory.sized_for == desired;
    }
}
