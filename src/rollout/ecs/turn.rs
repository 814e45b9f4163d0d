//! A decision under way: how each task is, what that means for the deployment, and what starts and stops.

use super::alarm::State;
use super::roster::{Health, Side};
use super::{Deployment, HEALTHY_WITHOUT_CHECK, HOST_DOWN_AFTER, Memory, Settings, Standing, Young};
use crate::fleet::{Instance, InstanceId, Phase, Version};
use crate::rollout::{Action, Decision, Status, View, earlier};
use crate::time::SimTime;
use std::time::Duration;

pub(super) struct Turn<'a> {
    settings: &'a Settings,
    view: &'a View<'a>,
    memory: &'a mut Memory,
    before: (Deployment, (Version, u32), Option<State>),
    actions: Vec<Action>,
    launched: u32,
    /// Tasks that have ended, and are gone as soon as that is said.
    ended: u32,
    /// How many tasks of each version there are beyond those of the fleet, by the actions so far.
    more: [i64; Version::COUNT],
    ask_again: Option<SimTime>,
    roll_back: bool,
}

impl<'a> Turn<'a> {
    pub(super) fn new(settings: &'a Settings, view: &'a View<'a>, memory: &'a mut Memory) -> Self {
        Turn {
            settings,
            view,
            before: memory.outline(),
            memory,
            actions: Vec::new(),
            launched: 0,
            ended: 0,
            more: [0; Version::COUNT],
            ask_again: None,
            roll_back: false,
        }
    }

    /// Whether a moment has come; until then the scheduler wishes to be asked again.
    fn has_come(&mut self, at: SimTime) -> bool {
        let has_come = self.view.now >= at;
        if !has_come {
            self.ask_again = earlier(self.ask_again, Some(at));
        }
        has_come
    }

    fn is_in_progress(&self) -> bool {
        matches!(self.memory.deployment.standing, Standing::InProgress | Standing::Baking(_))
    }

    /// Somebody may have asked for a version since.
    pub(super) fn begin_a_deployment(&mut self) {
        let revision = self.view.revision;
        if self.memory.deployment.revision != revision {
            let heeds_alarm = self.memory.alarm.is_none_or(|alarm| !alarm.is_on);
            let standing = Standing::InProgress;
            self.memory.deployment = Deployment { revision, standing, failed: 0, heeds_alarm };
        }
    }

    // --- tasks
    // ---------------------------------------------------------------------------------------------------------

    /// Looks at the tasks to which something has happened, and at those whose time has come; at all of them where another
    /// version is asked for.
    pub(super) fn look_at_tasks(&mut self) {
        let View { fleet, target, now, .. } = *self.view;
        let is_turned = std::mem::replace(&mut self.memory.sides_of, target) != target;
        let mut due = fleet.changed().to_vec();
        if is_turned {
            due.extend(self.memory.roster.ids());
        }
        while let Some(id) = self.memory.agenda.next(now) {
            due.push(id);
        }
        due.sort_unstable();
        due.dedup();
        for id in &due {
            self.follow_if_young(*id);
        }
        for id in due {
            self.look_at(id);
        }
    }

    fn look_at(&mut self, id: InstanceId) {
        let View { fleet, target, .. } = *self.view;
        let task = &fleet[id];
        if !task.phase().is_live() {
            self.memory.agenda.strike(id);
            self.memory.roster.remove(id, task);
            return;
        }
        let known_at = if task.under_repair { task.since() + HOST_DOWN_AFTER } else { task.since() };
        let has_ended = task.phase() == Phase::Down && self.has_come_for(id, known_at);
        let health = if has_ended { None } else { Some(self.health(id)) };
        self.memory.roster.put(id, task, target, health);
        if has_ended {
            // A task whose host is lost has failed its checks; who ends by itself fails none that it had passed.
            let was_healthy = self.memory.young.get(id).is_none_or(|young| young.was_healthy);
            if task.under_repair || !was_healthy {
                self.count_failure(task);
            }
            self.ended += 1;
            self.terminate(id);
        }
    }

    /// Whether a moment has come; until then it is wished to look at a task again.
    fn has_come_for(&mut self, id: InstanceId, at: SimTime) -> bool {
        let has_come = self.view.now >= at;
        if !has_come {
            self.memory.agenda.wake_at(at, id);
        }
        has_come
    }

    /// Since when a young task runs, and whether it was healthy. Tasks are followed from their launch on, and anew when
    /// their host comes back.
    fn follow_if_young(&mut self, id: InstanceId) {
        let View { fleet, now, target, .. } = *self.view;
        let task = &fleet[id];
        if task.phase() == Phase::Starting {
            let runs_since = Some(task.since());
            let was_healthy = self.memory.young.get(id).is_none_or(|young| young.was_healthy);
            self.memory.young.insert(id, Young { runs_since, was_healthy });
        }
        let Some(mut young) = self.memory.young.remove(id).filter(|_| task.phase().is_live()) else { return };
        if !matches!(task.phase(), Phase::Pulling | Phase::Prepared) {
            young.runs_since = young.runs_since.or(Some(task.since()));
        }
        self.memory.young.insert(id, young);
        if !young.was_healthy && self.health(id) == Health::Healthy {
            young.was_healthy = true;
            let resets = self.settings.circuit_breaker.is_some_and(|breaker| breaker.reset_on_healthy_task);
            if task.version == target && resets && self.is_in_progress() {
                self.memory.deployment.failed = 0;
            }
        }
        let is_young = young.runs_since.is_none_or(|since| since + self.youth() > now);
        if young.was_healthy && !is_young {
            self.memory.young.remove(id);
        } else {
            self.memory.young.insert(id, young);
        }
    }

    fn health(&mut self, id: InstanceId) -> Health {
        let task = &self.view.fleet[id];
        let young = self.memory.young.get(id);
        let (phase, runs_since) = (task.phase(), young.map(|young| young.runs_since.unwrap_or(self.view.now)));
        if matches!(phase, Phase::Pulling | Phase::Prepared | Phase::Down) {
            return Health::Undecided;
        }
        if !self.settings.has_health_check {
            let is_old_enough = runs_since.is_none_or(|since| self.has_come_for(id, since + self.youth()));
            return if is_old_enough { Health::Healthy } else { Health::Undecided };
        }
        if phase == Phase::Ready {
            return Health::Healthy;
        }
        let is_failing = phase == Phase::Unready || task.fails_checks;
        if is_failing && runs_since.is_none_or(|since| self.has_come_for(id, since + self.youth())) {
            Health::Unhealthy
        } else {
            Health::Undecided
        }
    }

    /// For how long after it began to run a task is taken for more, or less, than it shows.
    fn youth(&self) -> Duration {
        if self.settings.has_health_check { self.settings.health_check_grace_period } else { HEALTHY_WITHOUT_CHECK }
    }

    fn count_failure(&mut self, task: &Instance) {
        if self.is_in_progress() && task.version == self.view.target {
            self.memory.deployment.failed += 1;
        }
    }

    // --- what fails a deployment
    // ---------------------------------------------------------------------------------------

    pub(super) fn look_at_the_alarm(&mut self) {
        let Some(alarm) = self.settings.alarm else { return };
        let View { now, answers, .. } = *self.view;
        let state = self.memory.alarm.unwrap_or_else(|| State::new(now, answers));
        let state = if self.has_come(state.next(&alarm)) { state.measured(&alarm, now, answers) } else { state };
        self.has_come(state.next(&alarm));
        self.memory.alarm = Some(state);
        let Deployment { heeds_alarm, .. } = self.memory.deployment;
        if state.is_on && heeds_alarm && self.is_in_progress() {
            self.fail(alarm.rollback);
        }
    }

    pub(super) fn break_the_circuit(&mut self) {
        let Some(breaker) = self.settings.circuit_breaker else { return };
        let Deployment { standing, failed, .. } = self.memory.deployment;
        if standing == Standing::InProgress && failed >= breaker.threshold.tasks(self.view.desired) {
            self.fail(breaker.rollback);
        }
    }

    /// Where no other version was ever completed there is nothing to go back to.
    fn fail(&mut self, rollback: bool) {
        self.memory.deployment.standing = Standing::Failed;
        self.roll_back |= rollback && self.memory.completed.0 != self.view.target;
    }

    // --- the scheduler
    // -------------------------------------------------------------------------------------------------

    pub(super) fn schedule(&mut self) {
        let is_held = self.view.halted && self.is_in_progress();
        if is_held || self.memory.deployment.standing == Standing::Failed {
            return;
        }
        let View { desired, fleet, .. } = *self.view;
        let minimum = self.settings.minimum(desired);
        let most = self.settings.maximum(desired).min(self.settings.quota.unwrap_or(u32::MAX));
        let existing = fleet.existing_count() as u32 - self.ended;
        let room = most.saturating_sub(existing);
        let roster = &self.memory.roster;
        let [healthy, undecided, unhealthy] =
            [Health::Healthy, Health::Undecided, Health::Unhealthy].map(|health| roster.count(Side::Wanted, health));
        let all_healthy = healthy + roster.count(Side::Other, Health::Healthy);
        let running = all_healthy + unhealthy + roster.count(Side::Other, Health::Unhealthy);
        let missing = desired.saturating_sub(healthy + undecided);

        // Those of other versions, as the minimum allows.
        self.stop(Side::Other, Health::Undecided, u32::MAX);
        self.stop(Side::Other, Health::Unhealthy, running.saturating_sub(minimum));
        self.stop(Side::Other, Health::Healthy, all_healthy.saturating_sub(minimum));

        // Too many of them: whoever does not serve goes first.
        let excess = (healthy + undecided).saturating_sub(desired);
        self.stop(Side::Wanted, Health::Undecided, excess);
        self.stop(Side::Wanted, Health::Healthy, excess.saturating_sub(undecided));

        // Unhealthy ones, once their replacements are known to be healthy or not, or for want of room.
        let surplus = (healthy + unhealthy).saturating_sub(desired);
        let waits_for_room = missing > 0 && room == 0 && undecided == 0 && self.nobody_leaves();
        let makes_room = u32::from(waits_for_room && running > minimum);
        for id in self.first_to_stop(Side::Wanted, Health::Unhealthy, surplus.max(makes_room)) {
            self.count_failure(&self.view.fleet[id]);
            self.terminate(id);
        }

        for _ in 0..missing.min(room) {
            self.launch();
        }
    }

    fn nobody_leaves(&self) -> bool {
        self.actions.is_empty() && self.view.fleet.terminating() == 0
    }

    fn stop(&mut self, side: Side, health: Health, most: u32) {
        for id in self.first_to_stop(side, health, most) {
            self.terminate(id);
        }
    }

    fn first_to_stop(&self, side: Side, health: Health, most: u32) -> Vec<InstanceId> {
        self.memory.roster.first_to_stop(self.view.fleet, side, health, most)
    }

    fn launch(&mut self) {
        let version = self.view.target;
        self.actions.push(Action::Launch { version, slot: None, hold: false, held_out: false });
        self.more[version.index()] += 1;
        let id = InstanceId(self.view.fleet.len() as u32 + self.launched);
        self.launched += 1;
        self.memory.young.insert(id, Young { runs_since: None, was_healthy: false });
    }

    /// It leaves its target group before it is told to stop.
    fn terminate(&mut self, id: InstanceId) {
        self.actions.push(Action::Terminate { instance: id, drain: true });
        self.more[self.view.fleet[id].version.index()] -= 1;
    }

    /// In its steady state the deployment bakes, and is complete after that.
    pub(super) fn complete(&mut self) {
        let View { target, desired, fleet, now, .. } = *self.view;
        let is_steady = self.actions.is_empty()
            && self.memory.roster.count(Side::Wanted, Health::Healthy) == desired
            && target.others().all(|version| !fleet.exists(version));
        if self.memory.deployment.standing == Standing::InProgress && is_steady {
            self.memory.deployment.standing = Standing::Baking(now);
        }
        if let Standing::Baking(since) = self.memory.deployment.standing
            && self.has_come(since + self.settings.bake_time)
        {
            self.memory.deployment.standing = Standing::Completed;
            self.memory.completed = (target, desired);
        }
    }

    pub(super) fn decision(self) -> Decision {
        let (status, reported) = match self.memory.deployment.standing {
            Standing::Completed => (Status::Completed, "COMPLETED"),
            Standing::Failed if self.roll_back => (Status::Progressing, "ROLLBACK_REQUESTED"),
            Standing::Failed => (Status::Failed, "FAILED"),
            Standing::InProgress | Standing::Baking(_) if self.view.halted => (Status::Paused, "PAUSED"),
            Standing::InProgress | Standing::Baking(_) => (Status::Progressing, "IN_PROGRESS"),
        };
        let fleet = self.view.fleet;
        let mut desired = self.more;
        for version in Version::all() {
            desired[version.index()] += i64::from(fleet.live(version));
        }
        let desired = desired.map(|count| u32::try_from(count).expect("nobody is sent away who is not there"));
        let Turn { actions, memory, before, roll_back, .. } = self;
        let ask_again = earlier(self.ask_again, memory.agenda.wakes_next(self.view.now));
        Decision { actions, settled: memory.outline() == before, ask_again, status, reported, desired, roll_back }
    }
}
