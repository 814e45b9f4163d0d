//! The manager's event loop: the restart supervisor, which answers for single tasks, and the reconciler, which answers
//! for the service as a whole.

use super::updater::{Held, Run, Wanted};
use super::{DelayedStart, Ended, Memory, Occupied, Settings, State, Turn, in_order_of_keeping};
use crate::fleet::{InstanceId, Phase, Slot, Version};
use crate::rollout::View;
use crate::time::SimTime;
use std::time::Duration;

/// A node is down when it has missed three heartbeats of five seconds; its tasks are replaced elsewhere. Until then the
/// manager knows nothing of its end.
const NODE_DOWN_AFTER: Duration = Duration::from_secs(15);

/// The tasks of a slot that an update is about, oldest first.
type Tasks = Vec<(InstanceId, Wanted)>;

impl Settings {
    /// Does what has come up, in the order in which it came up: first the tasks that ended before the service changed,
    /// then what that change demands. Returns whether tasks were replaced.
    pub(super) fn run_event_loop(&self, turn: &mut Turn<'_>, memory: &mut Memory) -> bool {
        let mut has_acted = false;
        for (at, id) in ended(turn) {
            if memory.delays.contains(id) {
                continue; // It ended before its own delay was over, and is replaced then.
            }
            let comes_first = memory.changed_at.is_none_or(|changed| at <= changed);
            if !comes_first || !memory.has_stored(turn, &self.manager, at + self.manager.event_loop) {
                break;
            }
            self.replace(turn, memory, id);
            has_acted = true;
        }
        if let Some(changed) = memory.changed_at.filter(|_| !has_acted)
            && memory.has_stored(turn, &self.manager, changed + self.manager.event_loop)
        {
            memory.changed_at = None;
            turn.settled = false;
            self.reconcile(turn, memory);
        }
        has_acted
    }

    /// The restart supervisor: a task that ended is sent away, and replaced by one of the current specification where
    /// the policy says so.
    fn replace(&self, turn: &mut Turn<'_>, memory: &mut Memory, id: InstanceId) {
        turn.terminate(id);
        let view = turn.view;
        let task = &view.fleet[id];
        // No process of the simulation ends because its work is done.
        let ended = Ended { task: id, spec: memory.spec_version_of(id), at: task.since(), well: false };
        let (spec, slot) = (memory.spec_version(), task.slot);
        if let Some(replacement) = memory.restarts.ended(&self.restart, slot, ended, spec, view.now) {
            let task = turn.launch(memory, slot, true);
            let until = view.now + replacement.starts_after;
            memory.delays.insert(DelayedStart { task, since: view.now, until, waits_for: None });
        }
    }

    /// The reconciler: an update over the slots in use, and as many slots as the service is to have.
    fn reconcile(&self, turn: &mut Turn<'_>, memory: &mut Memory) {
        let slots = updatable(turn.view, memory);
        let desired = turn.view.desired as usize;
        if slots.len() <= desired {
            self.update(turn, memory, &slots);
            let mut in_use = slots.iter().map(|(slot, _)| *slot).peekable();
            let mut missing = desired - slots.len();
            for slot in (0..).map(Slot) {
                if missing == 0 {
                    break;
                }
                if in_use.next_if_eq(&slot).is_none() {
                    turn.launch(memory, slot, false);
                    missing -= 1;
                }
            }
            return;
        }
        let fleet = turn.view.fleet;
        let occupied = |(slot, tasks): &(Slot, Tasks)| Occupied {
            slot: *slot,
            runs: tasks.iter().any(|(id, _)| matches!(fleet[*id].phase(), Phase::Ready | Phase::Unready)),
            node: (tasks.len() == 1).then(|| fleet[tasks[0].0].zone),
        };
        let mut removed = in_order_of_keeping(slots.iter().map(occupied).collect()).split_off(desired);
        removed.sort_unstable();
        let is_removed = |slot: &Slot| removed.binary_search(slot).is_ok();
        let (surplus, kept): (Vec<_>, Vec<_>) = slots.into_iter().partition(|(slot, _)| is_removed(slot));
        for (slot, tasks) in surplus {
            memory.restarts.forget(slot);
            tasks.iter().filter(|(id, _)| fleet[*id].phase().is_live()).for_each(|(id, _)| turn.terminate(*id));
        }
        self.update(turn, memory, &kept);
    }

    /// Begins an update over the slots that are dirty, unless one works towards this already, or the update is paused.
    fn update(&self, turn: &Turn<'_>, memory: &mut Memory, slots: &[(Slot, Tasks)]) {
        let spec = memory.spec_version();
        if memory.run.as_ref().is_some_and(|run| run.spec == spec) {
            return;
        }
        // Its workers drop what they have in hand; what is prepared starts all the same.
        memory.run = None;
        if matches!(memory.state, State::Paused | State::RollbackPaused) {
            return;
        }
        let view = turn.view;
        memory.behind = [0; Version::COUNT];
        for (_, tasks) in slots {
            let version = view.fleet[tasks[0].0].version;
            memory.behind[version.index()] += u32::from(version != view.target);
        }
        let is_dirty = |tasks: &Tasks| tasks.len() > 1 || self.is_dirty(view, tasks[0].0);
        let dirty = slots.iter().filter(|(_, tasks)| is_dirty(tasks)).count() as u32;
        if dirty == 0 {
            if matches!(memory.state, State::Updating | State::RollbackStarted) {
                memory.complete(view);
            }
            return;
        }
        let mut held = Vec::with_capacity(slots.len());
        for slot in view.slot_order {
            let found = slots.binary_search_by_key(slot, |(slot, _)| *slot).ok().map(|place| &slots[place].1);
            let tasks = found.into_iter().filter(|tasks| is_dirty(tasks)).flatten();
            held.extend(tasks.map(|(task, wanted)| Held {
                task: *task,
                slot: *slot,
                wanted: *wanted,
                is_dirty: self.is_dirty(view, *task),
            }));
        }
        memory.run = Some(Box::new(Run::new(spec, memory.state == State::RollbackStarted, held.into(), dirty)));
        if memory.state == State::Absent {
            memory.state = State::Updating;
        }
    }
}

/// The tasks that have ended and are still wanted, with the moment at which the manager can know, in the order of time.
fn ended(turn: &mut Turn<'_>) -> Vec<(SimTime, InstanceId)> {
    let fleet = turn.view.fleet;
    let mut ended = Vec::new();
    for id in fleet.down() {
        let task = &fleet[id];
        let known_at = if task.under_repair { task.since() + NODE_DOWN_AFTER } else { task.since() };
        if turn.has_come(known_at) {
            ended.push((known_at, id));
        }
    }
    oldest_first(ended)
}

/// Tasks by the time of their last change (`TasksByTimestamp`); of equal ones the one that was created first is first.
pub fn oldest_first(mut tasks: Vec<(SimTime, InstanceId)>) -> Vec<(SimTime, InstanceId)> {
    tasks.sort_unstable();
    tasks
}

/// The slots in use, in order, with the tasks that an update is about: those that are wanted, or else the last one that
/// was not replaced when it ended (`UpdatableTasksInSlot`).
fn updatable(view: &View<'_>, memory: &Memory) -> Vec<(Slot, Tasks)> {
    let wanted = |id| if memory.delays.contains(id) { Wanted::Ready } else { Wanted::Running };
    let mut tasks: Vec<(Slot, InstanceId, Wanted)> =
        view.fleet.all_live().map(|(id, task)| (task.slot, id, wanted(id))).collect();
    let is_empty = |slot: Slot| view.fleet.live_in_slot(slot).next().is_none();
    let given_up = memory.restarts.given_up(memory.state == State::RollbackStarted);
    tasks.extend(given_up.filter(|(slot, _)| is_empty(*slot)).map(|(slot, ended)| (slot, ended.task, Wanted::Ended)));
    tasks.sort_unstable_by_key(|(slot, id, _)| (*slot, *id));
    let in_slot = |tasks: &[(Slot, InstanceId, Wanted)]| {
        (tasks[0].0, tasks.iter().map(|(_, id, wanted)| (*id, *wanted)).collect())
    };
    tasks.chunk_by(|a, b| a.0 == b.0).map(in_slot).collect()
}
