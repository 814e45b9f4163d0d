//! A blue/green update's pass (`rollout/bluegreen.go`).

use super::pass::Pass;
use super::{BlueGreen, as_written};
use crate::rollout::{Resolved, Split};

/// The size of the new set (`NewRSNewReplicas`): the preview's, where another set is active, until it may grow
/// (`scaleUpPreviewCheckPoint`).
pub fn new_set_size(replicas: u32, preview: Option<u32>, another_is_active: bool, may_grow: bool) -> u32 {
    preview.filter(|_| another_is_active && !may_grow).unwrap_or(replicas)
}

impl BlueGreen {
    pub(super) fn resolves(&self, desired: u32) -> Vec<Resolved> {
        let mut all = Vec::new();
        let size = self.preview_replicas.unwrap_or(desired);
        let beside = format!("{size} new beside {desired} old ones before the switch");
        all.push(match self.preview_replicas {
            Some(preview) => Resolved::new("previewReplicaCount", preview, beside),
            None => Resolved::new("previewReplicaCount", "absent", beside),
        });
        if !self.pre_promotion.is_empty() {
            let means = "metrics before the switch; one that fails aborts the update";
            all.push(Resolved::new("prePromotionAnalysis", self.pre_promotion.len(), means));
        }
        all.push(match (self.auto_promotion_after, self.auto_promotion) {
            (Some(after), _) => {
                Resolved::new("autoPromotionSeconds", as_written(after), "then all requests are switched")
            }
            (None, true) => Resolved::new("autoPromotionEnabled", true, "all requests are switched at once"),
            (None, false) => Resolved::new("autoPromotionEnabled", false, "until somebody types promote"),
        });
        if !self.post_promotion.is_empty() {
            let means = "metrics after the switch; one that fails switches back";
            all.push(Resolved::new("postPromotionAnalysis", self.post_promotion.len(), means));
        }
        all
    }
}

impl Pass<'_> {
    pub(super) fn blue_green(&mut self, blue_green: &BlueGreen) {
        self.remove_deadlines();
        self.memory.fast |= self.is_within_window();
        let is_halted = self.is_halted();
        if !is_halted || self.memory.sized_for != self.view.desired {
            self.resize_blue_green(blue_green);
            self.memory.sized_for = self.view.desired;
        }
        if !is_halted {
            self.prepare_the_switch(blue_green);
        }
        if self.memory.aborted {
            self.memory.active = self.memory.stable;
        }
        self.split(Split::all_to(self.memory.active));
        if !is_halted {
            self.settle_blue_green(blue_green);
        }
    }

    fn resize_blue_green(&mut self, blue_green: &BlueGreen) {
        let (target, desired) = (self.memory.target, self.view.desired);
        self.resize(self.memory.active, desired);
        self.resize(self.memory.stable, desired);
        if target != self.memory.active && target != self.memory.stable {
            let may_grow = self.memory.may_grow || self.memory.fast;
            let size = new_set_size(desired, blue_green.preview_replicas, true, may_grow);
            let size = self.kept_after_abort(size);
            self.resize(target, size);
        }
        let mut kept = 0;
        let active = self.memory.active;
        for version in self.others().into_iter().filter(|version| *version != active) {
            let size = self.kept_for_a_while(version, &mut kept, blue_green.kept_revisions);
            self.resize(version, size);
        }
    }

    /// Whether the new set is as large as it is to be for now, and available.
    fn is_saturated(&mut self) -> bool {
        let new = self.set(self.memory.target);
        new.size > 0 && new.available == new.size && new.created == new.size
    }

    /// Analysis, pause, growth, switch: what is due of them.
    fn prepare_the_switch(&mut self, blue_green: &BlueGreen) {
        let is_due = !self.memory.aborted && self.memory.active != self.memory.target;
        if !is_due || !self.is_saturated() {
            return;
        }
        if !self.memory.fast && !self.memory.may_grow {
            if !blue_green.pre_promotion.is_empty() {
                let run = self.memory.analysis.take();
                let (run, phase) = self.analyse(run, &blue_green.pre_promotion);
                self.memory.analysis = Some((run, phase));
                if !self.obey(phase) {
                    return;
                }
            }
            let pauses = !blue_green.auto_promotion || blue_green.auto_promotion_after.is_some();
            if pauses && !self.memory.has_paused {
                self.pause(false);
            }
            if pauses && !self.has_paused_for(blue_green.auto_promotion_after) {
                return;
            }
            (self.memory.pause, self.memory.may_grow) = (None, true);
        }
        if self.memory.sizes[self.memory.target.index()] == self.view.desired {
            self.memory.active = self.memory.target;
            self.memory.answered = self.view.answers[self.memory.target.index()];
            self.memory.has_paused = false;
        }
    }

    fn settle_blue_green(&mut self, blue_green: &BlueGreen) {
        let desired = self.view.desired;
        if self.is_promoted() {
            let new = self.set(self.memory.target);
            let is_there = new.size == desired && new.available >= desired;
            self.memory.completed |= is_there && self.memory.active == self.memory.target;
            return;
        }
        if self.memory.aborted || self.memory.active != self.memory.target {
            return;
        }
        if !self.memory.fast && !blue_green.post_promotion.is_empty() {
            let run = self.memory.background.take();
            let (run, phase) = self.analyse(run, &blue_green.post_promotion);
            self.memory.background = Some((run, phase));
            if !self.obey(phase) {
                return;
            }
        }
        self.promote();
    }
}
