//! What a Docker Swarm service update decides: its workers, its failure monitor and its rollback.
//!
//! Sources: `manager/orchestrator/update/updater.go` of moby/swarmkit, `daemon/cluster/executor/container` of
//! moby/moby. A task is an instance here and RUNNING is ready, because a task with a health check is RUNNING only
//! once that passed. The restart supervisor's replacement of a failed task is the same instance started again; as in
//! the original it is not watched.

use super::{Action, Command, Decision, Restart, Status, View, earlier};
use crate::fleet::{InstanceId, Phase, Slot, Version};
use crate::time::SimTime;
use std::time::Duration;

/// `--stop-grace-period` where none is given.
pub const GRACE: Duration = Duration::from_secs(10);

/// `--restart-delay` where none is given.
pub const RESTART_DELAY: Duration = Duration::from_secs(5);

/// `--update-monitor` where none is given.
pub const MONITOR: Duration = Duration::from_secs(5);

/// What the daemon sleeps between taking a container out of the routing mesh and stopping it.
pub const STOP_LATENCY: Duration = Duration::from_secs(2);

/// How long a worker waits for the old task to stop before it starts the new one all the same.
const OLD_TASK_STOP_WAIT: Duration = Duration::from_mins(1);

/// Which of the two tasks of a slot moves first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Order {
    /// The old one stops before the new one starts.
    StopFirst,
    /// The new one runs before the old one is told to stop.
    StartFirst,
}

/// What happens when more of the tasks fail than the ratio allows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FailureAction {
    /// Stop and wait for somebody.
    Pause,
    /// Do not look at failures at all.
    Continue,
    /// Go back to the version before, under the rollback's configuration.
    Rollback,
}

/// `--update-*` or `--rollback-*`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct UpdateConfig {
    /// Workers; 0: one for each slot.
    pub parallelism: u32,
    /// Pause of a worker after each slot.
    pub delay: Duration,
    /// How long a task is watched once it runs.
    pub monitor: Duration,
    /// The share of failed tasks that is still tolerated.
    pub max_failure_ratio: f64,
    /// What happens beyond it.
    pub failure_action: FailureAction,
    /// Which task of a slot moves first.
    pub order: Order,
}

impl Default for UpdateConfig {
    /// The original's defaults.
    fn default() -> Self {
        UpdateConfig {
            parallelism: 1,
            delay: Duration::ZERO,
            monitor: MONITOR,
            max_failure_ratio: 0.0,
            failure_action: FailureAction::Pause,
            order: Order::StopFirst,
        }
    }
}

impl UpdateConfig {
    /// The monitoring period in force: a delay at least as long stretches it to the delay and a second.
    fn monitor_in_force(&self) -> Duration {
        if self.delay >= self.monitor { self.delay + Duration::from_secs(1) } else { self.monitor }
    }
}

/// A service's settings.
#[derive(Clone, Debug, PartialEq)]
pub struct Settings {
    /// For the update.
    pub update: UpdateConfig,
    /// For a rollback, automatic or by hand.
    pub rollback: UpdateConfig,
    /// Delay before a failed task is started again.
    pub restart_delay: Duration,
    /// The daemon's own sleep before it stops a container.
    pub stop_latency: Duration,
    /// What is typed while the update is under way.
    pub commands: Vec<Command>,
}

/// What the updater holds between two decisions.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Memory {
    update: Option<Update>,
}

/// One run of the updater.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Update {
    target: Version,
    /// Slots that no worker has taken yet, the next one last.
    waiting: Vec<Slot>,
    /// Slots that a worker is at.
    in_work: Vec<Work>,
    /// Tasks that this update created and whose failure has not been looked at.
    watched: Vec<InstanceId>,
    /// Failures that count.
    failures: u32,
    /// How many slots were dirty when the update began.
    dirty: u32,
    /// When the last worker finished.
    finished_at: SimTime,
    state: State,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Work {
    slot: Slot,
    since: SimTime,
    task: InstanceId,
    /// The task did not start yet, because the old one has to stop first.
    held: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Updating,
    Paused,
    Completed,
}

impl Settings {
    /// One decision of the updater.
    pub fn decide(&self, view: &View<'_>, before: &Memory) -> Decision<Memory> {
        let mut update = match &before.update {
            Some(update) if update.target == view.target => update.clone(),
            _ => Update::begin(view),
        };
        let config = if view.rolling_back { &self.rollback } else { &self.update };
        let mut actions = Vec::new();
        let mut roll_back = false;
        let watches = update.state == State::Updating && !view.halted;
        if watches && config.failure_action != FailureAction::Continue && update.failed_too_often(view, config) {
            match config.failure_action {
                FailureAction::Continue => unreachable!("nobody looks"),
                FailureAction::Rollback if !view.rolling_back => roll_back = true,
                FailureAction::Pause | FailureAction::Rollback => update.state = State::Paused,
            }
        }
        let mut ask_again = None;
        let stopped = view.halted || roll_back || update.state != State::Updating;
        // Workers that are under way come to the end of their slot even when the update was stopped.
        update.advance_workers(view, config, &mut actions, &mut ask_again);
        if !stopped {
            update.take_slots(view, config, &mut actions, &mut ask_again);
            if update.waiting.is_empty() && update.in_work.is_empty() {
                let completed_at = update.finished_at + config.monitor_in_force();
                if view.now >= completed_at {
                    update.state = State::Completed;
                } else {
                    ask_again = earlier(ask_again, Some(completed_at));
                }
            }
        }
        let status = match update.state {
            State::Completed => Status::Completed,
            State::Paused => Status::Paused,
            State::Updating if view.halted => Status::Paused,
            State::Updating => Status::Progressing,
        };
        let mut desired = [0; Version::COUNT];
        desired[view.target.others().next().expect("there are several").index()] = update.waiting.len() as u32;
        desired[view.target.index()] = view.desired - update.waiting.len() as u32;
        let memory = Memory { update: Some(update) };
        let reported = match (status, view.rolling_back) {
            (Status::Completed, false) => "completed",
            (Status::Completed, true) => "rollback_completed",
            (Status::Paused, false) => "paused",
            (Status::Paused, true) => "rollback_paused",
            (_, false) => "updating",
            (_, true) => "rollback_started",
        };
        Decision { actions, memory, ask_again, status, reported, desired, roll_back }
    }

    /// The restart supervisor's rule: the same delay each time.
    pub fn restart(&self) -> Restart {
        Restart { initial: self.restart_delay, longest: self.restart_delay, reset_after: Duration::ZERO }
    }

    /// The same service with `--update-failure-action continue`.
    #[must_use]
    pub fn without_failure_rule(mut self) -> Self {
        self.update.failure_action = FailureAction::Continue;
        self
    }
}

impl Update {
    /// A new run over the slots that are dirty: they hold another version, or more than one task, or none.
    fn begin(view: &View<'_>) -> Self {
        let mut clean = vec![0u32; view.desired as usize];
        let mut live = vec![0u32; view.desired as usize];
        for (_, task) in view.fleet.all_live() {
            live[task.slot.0 as usize] += 1;
            clean[task.slot.0 as usize] += u32::from(task.version == view.target);
        }
        let is_dirty = |slot: &Slot| live[slot.0 as usize] != 1 || clean[slot.0 as usize] != 1;
        let waiting: Vec<Slot> = view.slot_order.iter().rev().copied().filter(is_dirty).collect();
        let is_content = waiting.is_empty();
        Update {
            target: view.target,
            dirty: waiting.len() as u32,
            waiting,
            in_work: Vec::new(),
            watched: Vec::new(),
            failures: 0,
            finished_at: view.now,
            // Without a dirty slot there is nothing to wait for.
            state: if is_content { State::Completed } else { State::Updating },
        }
    }

    /// Whether more than the tolerated share of the tasks failed before they ran or soon after.
    ///
    /// The original looks only while it has slots to hand out, and again once all workers are done. What fails while the last slots
    /// are in work is judged late, and "soon after" is measured when it looks.
    fn failed_too_often(&mut self, view: &View<'_>, config: &UpdateConfig) -> bool {
        if self.waiting.is_empty() && !self.in_work.is_empty() {
            return false;
        }
        let monitor = config.monitor_in_force();
        let mut failures = 0;
        self.watched.retain(|id| {
            let task = &view.fleet[*id];
            let Some(failure) = task.first_failure else { return true };
            let counts = task.first_ready.is_none_or(|ran| failure < ran || view.now.since(ran) <= monitor);
            failures += u32::from(counts);
            false
        });
        self.failures += failures;
        // Single precision, as in the original: 29 of 100 do not exceed 0.29.
        self.failures > 0 && self.failures as f32 / self.dirty as f32 > config.max_failure_ratio as f32
    }

    /// Brings the slots in work forward, and frees the workers that are done.
    fn advance_workers(
        &mut self,
        view: &View<'_>,
        config: &UpdateConfig,
        actions: &mut Vec<Action>,
        ask_again: &mut Option<SimTime>,
    ) {
        let mut in_work = std::mem::take(&mut self.in_work);
        in_work.retain_mut(|work| {
            let task = &view.fleet[work.task];
            if work.held {
                let old_is_there = view.fleet.in_slot(work.slot).any(|(id, _)| id != work.task);
                let waited_until = work.since + OLD_TASK_STOP_WAIT;
                if old_is_there && view.now < waited_until {
                    *ask_again = earlier(*ask_again, Some(waited_until));
                    return true;
                }
                work.held = false;
                actions.push(Action::Start(work.task));
                return true;
            }
            // A worker leaves a task once it runs or has failed; what it does after a restart is not the worker's business.
            let ran_first = task.first_ready.filter(|ran| task.first_failure.is_none_or(|failure| *ran <= failure));
            let ran_at = match (ran_first, task.first_failure) {
                (Some(ran), _) => ran.max(work.since),
                (None, Some(failure)) => failure.max(work.since),
                (None, None) if task.phase() == Phase::Gone => task.since(),
                (None, None) => return true,
            };
            if ran_first.is_some() {
                let others = view.fleet.live_in_slot(work.slot).filter(|(id, _)| *id != work.task);
                actions.extend(others.map(|(instance, _)| Action::Terminate { instance, drain: true }));
            }
            let free_at = ran_at + config.delay;
            if view.now < free_at {
                *ask_again = earlier(*ask_again, Some(free_at));
                return true;
            }
            self.finished_at = self.finished_at.max(free_at);
            false
        });
        self.in_work = in_work;
    }

    /// Free workers take the next slots.
    fn take_slots(
        &mut self,
        view: &View<'_>,
        config: &UpdateConfig,
        actions: &mut Vec<Action>,
        ask_again: &mut Option<SimTime>,
    ) {
        let workers = if config.parallelism == 0 { usize::MAX } else { config.parallelism as usize };
        let mut next_id = view.fleet.len() as u32;
        while self.in_work.len() < workers {
            let Some(slot) = self.waiting.pop() else { break };
            let clean = view.fleet.live_in_slot(slot).find(|(_, task)| task.version == self.target);
            let others = view.fleet.live_in_slot(slot).filter(|(id, _)| Some(*id) != clean.map(|(id, _)| id));
            let others = others.map(|(instance, _)| Action::Terminate { instance, drain: true });
            // A task of the slot that already is what is wanted is kept, and the others go.
            if let Some((task, _)) = clean {
                actions.push(Action::Start(task));
                actions.extend(others);
                self.in_work.push(Work { slot, since: view.now, task, held: false });
                *ask_again = earlier(*ask_again, Some(view.now + config.delay));
                continue;
            }
            let held = config.order == Order::StopFirst;
            actions.push(Action::Launch { version: self.target, slot: Some(slot), hold: held, held_out: false });
            if held {
                actions.extend(others);
            }
            let task = InstanceId(next_id);
            next_id += 1;
            self.watched.push(task);
            self.in_work.push(Work { slot, since: view.now, task, held });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fleet::drawn;
    use crate::rollout::{shown, written};

    fn settings(update: UpdateConfig) -> Settings {
        let rollback = UpdateConfig::default();
        Settings { update, rollback, restart_delay: RESTART_DELAY, stop_latency: STOP_LATENCY, commands: Vec::new() }
    }

    fn slots(count: u32) -> Vec<Slot> {
        (0..count).map(Slot).collect()
    }

    #[track_caller]
    fn first_decision(letters: &str, parallelism: u32, order: Order, then: &str) {
        let fleet = drawn::fleet(letters);
        let update = UpdateConfig { parallelism, order, ..UpdateConfig::default() };
        let slots = slots(letters.len() as u32);
        let view = shown(&fleet, letters.len() as u32, &slots);
        let decision = settings(update).decide(&view, &Memory::default());
        assert_eq!(written(&decision.actions), then);
    }

    #[test]
    fn workers_take_the_first_dirty_slots() {
        use Order::{StartFirst, StopFirst};
        first_decision("oooo", 1, StopFirst, "+held -0");
        first_decision("oooo", 2, StopFirst, "+held -0 +held -1");
        first_decision("oooo", 0, StartFirst, "+ + + +");
        first_decision("noon", 1, StartFirst, "+");
        first_decision("nnnn", 1, StopFirst, "");
    }

    /// A task in slot 0 that failed so long after it ran, looked at when it fails; `None`: it never ran.
    fn fails(ran_and_failed_after: Option<u64>, config: &UpdateConfig, dirty: u32) -> bool {
        let mut fleet = drawn::fleet("b");
        let at = |second| SimTime::START + Duration::from_secs(second);
        let id = InstanceId(0);
        if let Some(after) = ran_and_failed_after {
            fleet.enter(id, Phase::Ready, at(1));
            fleet.enter(id, Phase::Down, at(1 + after));
        } else {
            fleet.enter(id, Phase::Down, at(1));
        }
        let slots = slots(1);
        let view = View { now: at(1 + ran_and_failed_after.unwrap_or(0)), ..shown(&fleet, 1, &slots) };
        let mut update = Update { watched: vec![id], dirty, ..Update::begin(&view) };
        update.failed_too_often(&view, config)
    }

    #[test]
    fn a_failure_counts_before_running_and_within_the_monitoring_period() {
        let config = UpdateConfig::default();
        assert!(fails(None, &config, 1));
        assert!(fails(Some(5), &config, 1));
        assert!(!fails(Some(6), &config, 1));
        // A delay as long as the monitor stretches it to the delay and a second.
        assert!(fails(Some(6), &UpdateConfig { delay: Duration::from_secs(5), ..config }, 1));
    }

    #[test]
    fn the_ratio_must_be_exceeded() {
        let config = UpdateConfig { max_failure_ratio: 0.25, ..UpdateConfig::default() };
        assert!(!fails(None, &config, 4));
        assert!(fails(None, &config, 3));
    }
}
