//! What both kinds of a Rollout have in common: news, pauses, aborts, delays before a set is scaled down, progress, and
//! ReplicaSets that follow their sizes.

use super::analysis::{Metric, Phase, Run};
use super::counts::Set;
use super::{Kind, Memory, Pause, Progress, SCALE_DOWN_DELAY, Settings, Step};
use crate::fleet::{Phase as Life, Version, available_at};
use crate::rollout::kubernetes::first_to_go;
use crate::rollout::{Action, Decision, Split, Status, View, earlier};
use crate::time::SimTime;
use std::time::Duration;

/// Whether going back is so short that nothing is waited for (`isRollbackWithinWindow`): to an older set, with fewer
/// than `rollbackWindow.revisions` between it and the stable one.
pub fn is_within_window(is_older: bool, between: u32, revisions: u32) -> bool {
    is_older && between < revisions
}

/// The size of a set of an aborted update: `wanted`, unless it is kept. `delay`: `None` where it is not kept, zero for ever;
/// `is_over`: whether its deadline has come, if it has one yet.
pub fn size_after_abort(size: u32, wanted: u32, delay: Option<Duration>, is_over: Option<bool>) -> u32 {
    match (delay, is_over) {
        (None, _) => wanted,
        (Some(delay), Some(true)) if !delay.is_zero() => 0,
        (Some(_), _) => size,
    }
}

/// The size of a set that gets no requests any more (`scaleDownDelayHelper`): its own until its delay is over, unless
/// `limit` sets were kept before it.
pub fn size_while_kept(size: u32, kept: &mut u32, limit: Option<u32>, is_over: bool) -> u32 {
    if is_over || limit.is_some_and(|limit| *kept >= limit) {
        return 0;
    }
    *kept += 1;
    size
}

/// A pass under way.
pub(super) struct Pass<'a> {
    pub settings: &'a Settings,
    pub view: &'a View<'a>,
    pub memory: &'a mut Memory,
    before: Memory,
    pub actions: Vec<Action>,
    pub ask_again: Option<SimTime>,
}

impl<'a> Pass<'a> {
    pub(super) fn new(settings: &'a Settings, view: &'a View<'a>, memory: &'a mut Memory) -> Self {
        let before = memory.clone();
        Pass { settings, view, memory, before, actions: Vec::new(), ask_again: None }
    }

    /// Whether this moment has come; else the controller looks again then.
    pub(super) fn has_come(&mut self, at: SimTime) -> bool {
        if self.view.now < at {
            self.ask_again = earlier(self.ask_again, Some(at));
        }
        self.view.now >= at
    }

    // --- what there is
    // -----------------------------------------------------------------------------------------------

    /// The set of a version.
    pub(super) fn set(&mut self, version: Version) -> Set {
        let (min_ready, view) = (self.settings.min_ready, self.view);
        let mut available = view.fleet.count(version, Life::Ready);
        if !min_ready.is_zero() {
            let available_at = |since| available_at(since, min_ready, true);
            let (later, first) = view.fleet.ready(version).later(|since| available_at(since) <= view.now);
            available -= later;
            first.map(|since| self.has_come(available_at(since)));
        }
        Set { size: self.memory.sizes[version.index()], available, created: view.fleet.live(version) }
    }

    /// All versions that are neither stable nor asked for and still have a size, the one that was asked for last first.
    pub(super) fn others(&self) -> Vec<Version> {
        let Memory { target, stable, sizes, revisions, .. } = &self.memory;
        let is_other = |version: &Version| version != target && version != stable && sizes[version.index()] > 0;
        let mut others: Vec<Version> = Version::all().filter(is_other).collect();
        others.sort_by_key(|version| std::cmp::Reverse(revisions[version.index()]));
        others
    }

    /// What was asked for last is the stable version.
    pub(super) fn is_promoted(&self) -> bool {
        self.memory.stable == self.memory.target
    }

    /// Whether it goes back over few enough revisions (`isRollbackWithinWindow`).
    pub(super) fn is_within_window(&self) -> bool {
        let Memory { target, stable, .. } = *self.memory;
        let between = u32::from(stable.0.saturating_sub(target.0)).saturating_sub(1);
        is_within_window(target < stable, between, self.settings.rollback_window)
    }

    /// Gives a set a size; whether that is news.
    pub(super) fn resize(&mut self, version: Version, size: u32) -> bool {
        let before = std::mem::replace(&mut self.memory.sizes[version.index()], size);
        before != size
    }

    // --- what happened outside
    // ---------------------------------------------------------------------------------------

    /// Notes what was asked for, and what was typed.
    pub(super) fn hear(&mut self) {
        let view = self.view;
        if self.memory.revision != view.revision {
            self.begin_anew();
        }
        self.memory.completed &= self.memory.sized_for == view.desired;
        while self.memory.promotions < view.promotions {
            self.memory.promotions += 1;
            self.promote_by_hand();
        }
        if self.memory.aborts < view.aborts {
            self.memory.aborts = view.aborts;
            self.abort();
        }
    }

    /// The pod template changed: `resetRolloutStatus`.
    fn begin_anew(&mut self) {
        let view = self.view;
        let memory = &mut *self.memory;
        (memory.revision, memory.target) = (view.revision, view.target);
        memory.revisions[view.target.index()] = view.revision;
        (memory.pause, memory.has_paused, memory.aborted) = (None, false, false);
        (memory.promotions, memory.aborts) = (0, 0);
        (memory.analysis, memory.background) = (None, None);
        (memory.may_grow, memory.is_late, memory.completed) = (false, false, false);
        memory.fast = memory.leaves_at[view.target.index()].is_some() || memory.stable == view.target;
        memory.answered = view.answers[view.target.index()];
        memory.progress.at = view.now;
        memory.step = 0;
        if let Kind::Canary(canary) = &self.settings.kind
            && (self.is_promoted() || self.is_within_window())
        {
            self.memory.step = canary.steps.len();
        }
    }

    /// `kubectl argo rollouts promote`: a pause is over, or else the step.
    fn promote_by_hand(&mut self) {
        let is_promoted = self.is_promoted();
        let memory = &mut *self.memory;
        match memory.pause.take() {
            Some(Pause { inconclusive: true, .. }) => {
                self.next_step();
                self.memory.background.take_if(|(_, phase)| *phase == Phase::Inconclusive);
            }
            Some(_) => {}
            None if memory.aborted || is_promoted => {}
            None => {
                if let Kind::Canary(canary) = &self.settings.kind
                    && memory.step < canary.steps.len()
                {
                    self.next_step();
                }
            }
        }
    }

    /// The new version is given up while it is still asked for.
    pub(super) fn abort(&mut self) {
        if !self.is_promoted() {
            self.memory.aborted = true;
            (self.memory.pause, self.memory.has_paused) = (None, false);
            (self.memory.analysis, self.memory.background) = (None, None);
        }
    }

    /// The next step begins.
    pub(super) fn next_step(&mut self) {
        if let Kind::Canary(canary) = &self.settings.kind
            && matches!(canary.steps.get(self.memory.step), Some(Step::SetWeight(_)))
        {
            self.memory.answered = self.view.answers[self.memory.target.index()];
        }
        self.memory.step += usize::from(matches!(self.settings.kind, Kind::Canary(_)));
        (self.memory.pause, self.memory.has_paused, self.memory.analysis) = (None, false, None);
    }

    // --- pauses and analyses
    // -----------------------------------------------------------------------------------------

    pub(super) fn pause(&mut self, inconclusive: bool) {
        self.memory.pause = Some(Pause { since: self.view.now, inconclusive });
        self.memory.has_paused = true;
    }

    /// Whether nothing is to go on (`haltProgress`): somebody paused the Rollout, or an analysis was inconclusive.
    pub(super) fn is_halted(&self) -> bool {
        self.view.halted || self.memory.pause.is_some_and(|pause| pause.inconclusive)
    }

    /// Whether a pause of so long was made. Its beginning is kept in whole seconds.
    pub(super) fn has_paused_for(&mut self, span: Option<Duration>) -> bool {
        match (self.memory.pause, span) {
            (None, _) => self.memory.has_paused,
            (Some(_), None) => false,
            (Some(pause), Some(span)) => self.has_come(pause.since.whole_second() + span),
        }
    }

    /// Goes on with an analysis, which begins where it has not, and does what its verdict demands. How it stands.
    pub(super) fn analyse(&mut self, run: Option<(Run, Phase)>, metrics: &[Metric]) -> (Run, Phase) {
        let (now, before) = (self.view.now, self.memory.answered);
        let (mut run, mut phase) = run.unwrap_or_else(|| (Run::begin(metrics, now, before), Phase::Running));
        if phase == Phase::Running {
            phase = run.measure(metrics, self.memory.target, self.view, &mut self.ask_again);
        }
        (run, phase)
    }

    /// What a verdict demands; whether the update may go on.
    pub(super) fn obey(&mut self, phase: Phase) -> bool {
        match phase {
            Phase::Failed | Phase::Error => self.abort(),
            Phase::Inconclusive if !self.memory.pause.is_some_and(|pause| pause.inconclusive) => self.pause(true),
            _ => {}
        }
        phase == Phase::Successful
    }

    // --- delays before a set is scaled down
    // --------------------------------------------------------------------------

    /// How long an aborted set is kept (`shouldDelayScaleDownOnAbort`); `None`: it is not kept. The beginning of that is when
    /// the stable set is whole.
    fn abort_delay(&self) -> Option<Duration> {
        let is_dynamic = match &self.settings.kind {
            Kind::Canary(canary) if !canary.traffic_routing => return None,
            Kind::Canary(canary) => canary.dynamic_stable_scale,
            Kind::BlueGreen(_) => false,
        };
        let given = self.settings.abort_scale_down_delay;
        given.or((!is_dynamic).then_some(SCALE_DOWN_DELAY)).filter(|_| self.memory.aborted && !self.is_promoted())
    }

    /// Sets that are stable or asked for lose their deadline (`removeScaleDownDeadlines`).
    pub(super) fn remove_deadlines(&mut self) {
        let Memory { target, stable, .. } = *self.memory;
        self.memory.leaves_at[stable.index()] = None;
        if self.abort_delay().is_none() {
            self.memory.leaves_at[target.index()] = None;
        }
    }

    /// The size of the new set, which is `size` unless it is kept after an abort.
    pub(super) fn kept_after_abort(&mut self, size: u32) -> u32 {
        let target = self.memory.target;
        let kept = self.memory.sizes[target.index()];
        let delay = self.abort_delay();
        if let Some(delay) = delay.filter(|delay| !delay.is_zero())
            && self.memory.leaves_at[target.index()].is_none()
            && self.set(self.memory.stable).available == self.view.desired
        {
            self.memory.leaves_at[target.index()] = Some(self.view.now + delay);
        }
        let is_over = delay.and_then(|_| self.memory.leaves_at[target.index()]).map(|at| self.has_come(at));
        size_after_abort(kept, size, delay, is_over)
    }

    /// The size of a set that gets no requests any more; `kept`: how many sets were kept before it.
    pub(super) fn kept_for_a_while(&mut self, version: Version, kept: &mut u32, limit: Option<u32>) -> u32 {
        let place = version.index();
        let at = *self.memory.leaves_at[place].get_or_insert(self.view.now + self.settings.scale_down_delay);
        let is_over = self.has_come(at);
        size_while_kept(self.memory.sizes[place], kept, limit, is_over)
    }

    // --- requests
    // ----------------------------------------------------------------------------------------------------

    /// Tells the balancers how to split requests, if that is news.
    pub(super) fn split(&mut self, split: Split) {
        if split != self.memory.split {
            self.memory.split = split;
            self.actions.push(Action::Split(split));
        }
    }

    // --- the end of a pass
    // -------------------------------------------------------------------------------------------

    /// The update is done: what is asked for is stable (`promoteStable`).
    pub(super) fn promote(&mut self) {
        self.memory.stable = self.memory.target;
        (self.memory.pause, self.memory.has_paused, self.memory.may_grow) = (None, false, false);
        (self.memory.analysis, self.memory.background, self.memory.fast) = (None, None, false);
    }

    /// Notes progress, and the lack of it: neither a pause nor what is done or aborted is late.
    pub(super) fn note_progress(&mut self) {
        let (target, view) = (self.memory.target, self.view);
        let before = self.memory.progress;
        let new = self.set(target);
        let old = target.others().map(|version| view.fleet.live(version)).sum();
        let Memory { step, stable, active, .. } = self.memory;
        let (updated, available) = (new.created, new.available);
        let ready = view.fleet.count(target, Life::Ready);
        let (step, stable, active) = (*step, *stable, *active);
        let now = Progress { at: before.at, updated, old, ready, available, step, stable, active };
        let has_come_on = updated != before.updated
            || old < before.old
            || ready > before.ready
            || available > before.available
            || (step, stable, active) != (before.step, before.stable, before.active);
        let rests = self.memory.completed || self.memory.aborted || self.memory.pause.is_some() || view.halted;
        self.memory.progress = now;
        if has_come_on {
            self.memory.progress.at = view.now;
            self.memory.is_late = false;
        }
        if std::mem::replace(&mut self.memory.rests, rests) && !rests {
            self.memory.progress.at = view.now;
        }
        if rests {
            self.memory.is_late = false;
        } else {
            // As for a Deployment: kept in whole seconds, and looked at a second after it.
            let deadline = self.settings.progress_deadline + Duration::from_secs(1);
            let at = self.memory.progress.at.whole_second() + deadline;
            if !self.memory.is_late && self.has_come(at) {
                self.memory.is_late = true;
                if self.settings.progress_deadline_abort {
                    self.abort();
                }
            }
        }
    }

    /// Creates and deletes instances until each set is as large as its size says.
    pub(super) fn follow_the_sizes(&mut self) {
        let view = self.view;
        for version in Version::all() {
            let (live, size) = (view.fleet.live(version), self.memory.sizes[version.index()]);
            let launch = Action::Launch { version, slot: None, hold: false, held_out: false };
            self.actions.extend((live..size).map(|_| launch));
            if live > size {
                let going = first_to_go(view, version, (live - size) as usize);
                self.actions.extend(going.into_iter().map(|instance| Action::Terminate { instance, drain: true }));
            }
        }
    }

    pub(super) fn decision(self) -> Decision {
        let Pass { memory, before, actions, ask_again, view, .. } = self;
        let waits_for_somebody = match (&self.settings.kind, memory.pause) {
            _ if view.halted => true,
            (_, None) => false,
            (_, Some(Pause { inconclusive: true, .. })) => true,
            (Kind::BlueGreen(blue_green), Some(_)) => blue_green.auto_promotion_after.is_none(),
            (Kind::Canary(canary), Some(_)) => matches!(canary.steps.get(memory.step), Some(Step::Pause(None))),
        };
        let (status, reported) = match () {
            () if memory.completed => (Status::Completed, "Healthy"),
            () if memory.aborted => (Status::Failed, "Degraded"),
            () if waits_for_somebody => (Status::Paused, "Paused"),
            () if memory.pause.is_some() => (Status::Progressing, "Paused"),
            () if memory.is_late => (Status::Stuck, "Degraded"),
            () => (Status::Progressing, "Progressing"),
        };
        let desired = memory.sizes;
        Decision { actions, settled: *memory == before, ask_again, status, reported, desired, roll_back: false }
    }
}
