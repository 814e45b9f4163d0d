//! A decision under way: how each task is, what that means for the deployment, and what starts and stops.

use super::alarm::State;
use super::{Deployment, HEALTHY_WITHOUT_CHECK, HOST_DOWN_AFTER, Memory, Settings, Standing, Young};
use crate::fleet::{Instance, InstanceId, Phase, Version};
use crate::rollout::{Action, Decision, Status, View, earlier};
use crate::time::SimTime;
use std::cmp::Reverse;
use std::time::Duration;

/// How the scheduler finds a task.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Health {
    Healthy,
    /// PENDING, not checked often enough, or forgiven for now.
    Undecided,
    Unhealthy,
}

/// Tasks of one side of a deployment, by how they are.
#[derive(Debug, Default)]
struct Tasks {
    healthy: Vec<InstanceId>,
    undecided: Vec<InstanceId>,
    unhealthy: Vec<InstanceId>,
}

impl Tasks {
    fn of(&mut self, health: Health) -> &mut Vec<InstanceId> {
        match health {
            Health::Healthy => &mut self.healthy,
            Health::Undecided => &mut self.undecided,
            Health::Unhealthy => &mut self.unhealthy,
        }
    }
}

fn count(tasks: &[InstanceId]) -> u32 {
    tasks.len() as u32
}

pub(super) struct Turn<'a> {
    settings: &'a Settings,
    view: &'a View<'a>,
    memory: &'a mut Memory,
    before: Memory,
    /// Tasks of the version that is asked for, and of the others.
    wanted: Tasks,
    others: Tasks,
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
            before: memory.clone(),
            memory,
            wanted: Tasks::default(),
            others: Tasks::default(),
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

    pub(super) fn look_at_tasks(&mut self) {
        self.follow_the_young();
        let fleet = self.view.fleet;
        for (id, task) in fleet.all_live() {
            let has_ended =
                task.phase() == Phase::Down && (!task.under_repair || self.has_come(task.since() + HOST_DOWN_AFTER));
            if has_ended {
                // A task whose host is lost has failed its checks; who ends by itself fails none that it had passed.
                let was_healthy = self.young(id).is_none_or(|young| young.was_healthy);
                if task.under_repair || !was_healthy {
                    self.count_failure(task);
                }
                self.ended += 1;
                self.terminate(id);
                continue;
            }
            let health = self.health(id, task);
            let side = if task.version == self.view.target { &mut self.wanted } else { &mut self.others };
            side.of(health).push(id);
        }
    }

    fn young(&self, id: InstanceId) -> Option<&Young> {
        let place = self.memory.young.binary_search_by_key(&id, |young| young.id);
        place.ok().map(|place| &self.memory.young[place])
    }

    /// Since when young tasks run, and whether they were healthy. Tasks are followed from their launch on, and anew when
    /// their host comes back.
    fn follow_the_young(&mut self) {
        let fleet = self.view.fleet;
        if Version::all().any(|version| fleet.count(version, Phase::Starting) > 0) {
            for (id, task) in fleet.all_live().filter(|(_, task)| task.phase() == Phase::Starting) {
                let young = Young { id, runs_since: Some(task.since()), was_healthy: true };
                match self.memory.young.binary_search_by_key(&id, |young| young.id) {
                    Ok(place) => self.memory.young[place].runs_since = young.runs_since,
                    Err(place) => self.memory.young.insert(place, young),
                }
            }
        }
        let mut young = std::mem::take(&mut self.memory.young);
        let mut has_new_healthy = false;
        young.retain_mut(|young| {
            let task = &fleet[young.id];
            if !task.phase().is_live() {
                return false;
            }
            if !matches!(task.phase(), Phase::Pulling | Phase::Prepared) {
                young.runs_since = young.runs_since.or(Some(task.since()));
            }
            if !young.was_healthy && self.health_of(task, Some(young)) == Health::Healthy {
                young.was_healthy = true;
                has_new_healthy |= task.version == self.view.target;
            }
            let is_young = young.runs_since.is_none_or(|since| since + self.youth() > self.view.now);
            !young.was_healthy || is_young
        });
        self.memory.young = young;
        let resets = self.settings.circuit_breaker.is_some_and(|breaker| breaker.reset_on_healthy_task);
        if has_new_healthy && resets && self.is_in_progress() {
            self.memory.deployment.failed = 0;
        }
    }

    fn health(&mut self, id: InstanceId, task: &Instance) -> Health {
        let young = self.young(id).copied();
        self.health_of(task, young.as_ref())
    }

    fn health_of(&mut self, task: &Instance, young: Option<&Young>) -> Health {
        let (phase, runs_since) = (task.phase(), young.map(|young| young.runs_since.unwrap_or(self.view.now)));
        if matches!(phase, Phase::Pulling | Phase::Prepared | Phase::Down) {
            return Health::Undecided;
        }
        if !self.settings.has_health_check {
            let is_old_enough = runs_since.is_none_or(|since| self.has_come(since + self.youth()));
            return if is_old_enough { Health::Healthy } else { Health::Undecided };
        }
        if phase == Phase::Ready {
            return Health::Healthy;
        }
        let is_failing = phase == Phase::Unready || task.fails_checks;
        if is_failing && runs_since.is_none_or(|since| self.has_come(since + self.youth())) {
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
        let (wanted, others) = (std::mem::take(&mut self.wanted), std::mem::take(&mut self.others));
        let [healthy, undecided, unhealthy] =
            [&wanted.healthy, &wanted.undecided, &wanted.unhealthy].map(|it| count(it));
        let all_healthy = healthy + count(&others.healthy);
        let running = all_healthy + unhealthy + count(&others.unhealthy);
        let missing = desired.saturating_sub(healthy + undecided);

        // Those of other versions, as the minimum allows.
        self.stop(&others.undecided, count(&others.undecided));
        self.stop(&others.unhealthy, running.saturating_sub(minimum));
        self.stop(&others.healthy, all_healthy.saturating_sub(minimum));

        // Too many of them: whoever does not serve goes first.
        let excess = (healthy + undecided).saturating_sub(desired);
        self.stop(&wanted.undecided, excess);
        self.stop(&wanted.healthy, excess.saturating_sub(undecided));

        // Unhealthy ones, once their replacements are known to be healthy or not, or for want of room.
        let surplus = (healthy + unhealthy).saturating_sub(desired);
        let waits_for_room = missing > 0 && room == 0 && undecided == 0 && self.nobody_leaves();
        let makes_room = u32::from(waits_for_room && running > minimum);
        self.stop_unhealthy(&wanted.unhealthy, surplus.max(makes_room));

        for _ in 0..missing.min(room) {
            self.launch();
        }
        (self.wanted, self.others) = (wanted, others);
    }

    fn nobody_leaves(&self) -> bool {
        self.actions.is_empty() && self.view.fleet.terminating() == 0
    }

    fn stop_unhealthy(&mut self, tasks: &[InstanceId], most: u32) {
        for id in self.in_order(tasks, most) {
            self.count_failure(&self.view.fleet[id]);
            self.terminate(id);
        }
    }

    fn stop(&mut self, tasks: &[InstanceId], most: u32) {
        for id in self.in_order(tasks, most) {
            self.terminate(id);
        }
    }

    /// Who stops: each time somebody in a zone with the most tasks, at random.
    fn in_order(&self, tasks: &[InstanceId], most: u32) -> Vec<InstanceId> {
        let fleet = self.view.fleet;
        if most >= count(tasks) {
            return tasks.to_vec();
        }
        let zone_of = |id: &InstanceId| fleet[*id].zone as usize;
        let zones = 1 + fleet.all_live().map(|(_, task)| task.zone as usize).max().unwrap_or(0);
        let mut in_zone = vec![0_u32; zones];
        fleet.all_live().for_each(|(_, task)| in_zone[task.zone as usize] += 1);
        // Of each zone those that may be chosen, the first one last.
        let order = |id: &InstanceId| (fleet[*id].rank, *id);
        let mut left: Vec<Vec<InstanceId>> = vec![Vec::new(); zones];
        for id in tasks {
            left[zone_of(id)].push(*id);
        }
        for ids in &mut left {
            ids.sort_unstable_by_key(|id| Reverse(order(id)));
        }
        let mut chosen = Vec::new();
        for _ in 0..most {
            let first =
                left.iter().filter_map(|ids| ids.last()).max_by_key(|id| (in_zone[zone_of(id)], Reverse(order(id))));
            let id = *first.expect("fewer are chosen than there are");
            left[zone_of(&id)].pop();
            in_zone[zone_of(&id)] -= 1;
            chosen.push(id);
        }
        chosen
    }

    fn launch(&mut self) {
        let version = self.view.target;
        self.actions.push(Action::Launch { version, slot: None, hold: false, held_out: false });
        self.more[version.index()] += 1;
        let id = InstanceId(self.view.fleet.len() as u32 + self.launched);
        self.launched += 1;
        self.memory.young.push(Young { id, runs_since: None, was_healthy: false });
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
            && count(&self.wanted.healthy) == desired
            && fleet.existing().all(|(_, task)| task.version == target);
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
        let Turn { actions, memory, before, ask_again, roll_back, .. } = self;
        Decision { actions, settled: *memory == before, ask_again, status, reported, desired, roll_back }
    }
}
