//! Tasks that are prepared and wait for their start.

use crate::by_number::ByNumber;
use crate::fleet::InstanceId;
use crate::rollout::agenda::Agenda;
use crate::time::SimTime;

/// A task that waits for its start.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct DelayedStart {
    pub(super) task: InstanceId,
    pub(super) since: SimTime,
    pub(super) until: SimTime,
    /// It waits for this one to stop, but not for ever.
    pub(super) waits_for: Option<InstanceId>,
}

/// All of them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Delays {
    by_task: ByNumber<InstanceId, DelayedStart>,
    /// By the task that stops, the one that waits for it.
    waits: ByNumber<InstanceId, InstanceId>,
    agenda: Agenda<InstanceId>,
}

impl Delays {
    pub(super) fn contains(&self, task: InstanceId) -> bool {
        self.by_task.contains(task)
    }

    /// Delays a start; a delay that the task had already is over.
    pub(super) fn insert(&mut self, delay: DelayedStart) {
        self.remove(delay.task);
        self.by_task.insert(delay.task, delay);
        if let Some(old) = delay.waits_for {
            let other = self.waits.insert(old, delay.task);
            debug_assert_eq!(other, None, "{old:?} was told to stop once, and for one task");
        }
        self.agenda.call(delay.task);
    }

    pub(super) fn remove(&mut self, task: InstanceId) {
        self.agenda.strike(task);
        let delay = self.by_task.remove(task);
        delay.and_then(|delay| delay.waits_for).map(|old| self.waits.remove(old));
    }

    /// Something has happened to a task.
    pub(super) fn hear(&mut self, id: InstanceId) {
        if self.contains(id) {
            self.agenda.call(id);
        }
        if let Some(task) = self.waits.get(id) {
            self.agenda.call(*task);
        }
    }

    /// The next one to look at, by task.
    pub(super) fn next(&mut self, now: SimTime) -> Option<DelayedStart> {
        self.agenda.next(now).and_then(|task| self.by_task.get(task)).copied()
    }

    pub(super) fn wake_at(&mut self, at: SimTime, task: InstanceId) {
        self.agenda.wake_at(at, task);
    }

    pub(super) fn wakes_next(&mut self, now: SimTime) -> Option<SimTime> {
        self.agenda.wakes_next(now)
    }
}
