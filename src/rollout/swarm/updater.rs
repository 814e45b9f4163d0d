//! One run of the updater: its workers, and the failures that it looks at.

use super::{DelayedStart, FailureAction, Memory, Order, Settings, State, Turn, UpdateConfig};
use crate::fleet::{Instance, InstanceId};
use crate::rollout::View;
use crate::time::SimTime;
use std::ops::Range;
use std::sync::Arc;

/// One run of the updater.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Run {
    /// It works by the rollback's configuration.
    is_rollback: bool,
    /// What the dirty slots held when the run began, slot after slot, in the order in which they are taken. What has
    /// come since, such as a replacement of a failed task, the workers do not know.
    tasks: Arc<[InstanceId]>,
    /// How many of them were handed out.
    taken: usize,
    /// How many slots they are in.
    dirty: u32,
    /// Slots that a worker is at.
    in_work: Vec<Work>,
    /// Tasks that this run created and whose failure would still count.
    watched: Vec<InstanceId>,
    /// Failures that count.
    failures: u32,
    /// When the last monitoring period ends; `None` while workers are busy.
    monitored_until: Option<SimTime>,
    /// Its failure rule has spoken: what is in work is finished, and nothing else.
    is_stopped: bool,
}

/// A worker at a slot.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Work {
    /// What the slot held.
    slot: Range<usize>,
    /// What it is to hold.
    task: InstanceId,
    /// This worker has created the task, and waits until it runs.
    is_new: bool,
    /// The end of the pause after the slot, once all else is done.
    free_at: Option<SimTime>,
}

impl Run {
    pub(super) fn new(is_rollback: bool, tasks: Arc<[InstanceId]>, dirty: u32) -> Self {
        Run {
            is_rollback,
            tasks,
            taken: 0,
            dirty,
            in_work: Vec::new(),
            watched: Vec::new(),
            failures: 0,
            monitored_until: None,
            is_stopped: false,
        }
    }

    fn all_taken(&self) -> bool {
        self.taken == self.tasks.len()
    }

    /// The next slot, as the place of its tasks.
    fn next_slot(&self, view: &View<'_>) -> Option<Range<usize>> {
        let slot = view.fleet[*self.tasks.get(self.taken)?].slot;
        let left = &self.tasks[self.taken..];
        let count = left.iter().take_while(|id| view.fleet[**id].slot == slot).count();
        Some(self.taken..self.taken + count)
    }

    /// Whether more than the tolerated share of the tasks failed before they ran or soon after.
    ///
    /// The original looks only while it has slots to hand out, and again once all workers are done. What fails while the
    /// last slots are in work is judged late, and "soon after" is measured when it looks.
    fn failed_too_often(&mut self, view: &View<'_>, config: &UpdateConfig) -> bool {
        let looks = !self.all_taken() || self.in_work.is_empty();
        if !looks || config.failure_action == FailureAction::Continue {
            return false;
        }
        let monitor = config.monitor_in_force();
        let mut failures = 0;
        self.watched.retain(|id| {
            let task = &view.fleet[*id];
            // The worker left the task when it ran or failed, whichever came first.
            let left_at = ran_at(task).or(task.first_failure);
            let is_past = left_at.is_some_and(|at| view.now.since(at) > monitor);
            failures += u32::from(!is_past && task.first_failure.is_some());
            !is_past && task.first_failure.is_none()
        });
        self.failures += failures;
        // Single precision, as in the original: 29 of 100 do not exceed 0.29.
        failures > 0 && self.failures as f32 / self.dirty as f32 > config.max_failure_ratio as f32
    }
}

/// When a task ran, unless it failed before.
fn ran_at(task: &Instance) -> Option<SimTime> {
    task.first_ready.filter(|ran| task.first_failure.is_none_or(|failure| *ran <= failure))
}

impl Settings {
    /// Brings the updater's run forward as far as it goes now. Returns whether the version before is to be brought back.
    pub(super) fn work(&self, turn: &mut Turn<'_>, memory: &mut Memory) -> bool {
        let Some(mut run) = memory.run.take() else { return false };
        let config = if run.is_rollback { &self.rollback } else { &self.update };
        self.advance_workers(turn, memory, &mut run, config);
        if run.is_stopped {
            memory.run = Some(run).filter(|run| !run.in_work.is_empty());
            return false;
        }
        if turn.view.halted {
            memory.run = Some(run);
            return false;
        }
        if run.failed_too_often(turn.view, config) {
            run.is_stopped = true;
            memory.run = Some(run);
            // A rollback is never rolled back.
            if config.failure_action == FailureAction::Rollback && memory.state != State::RollbackStarted {
                return true;
            }
            memory.pause();
            return false;
        }
        self.take_slots(turn, memory, &mut run, config);
        if run.all_taken() && run.in_work.is_empty() {
            let until = *run.monitored_until.get_or_insert(turn.view.now + config.monitor_in_force());
            if turn.view.now >= until {
                memory.complete();
                return false;
            }
            turn.ask_at(until);
        }
        memory.run = Some(run);
        false
    }

    /// Brings the slots in work forward, and frees the workers that are done.
    fn advance_workers(&self, turn: &mut Turn<'_>, memory: &Memory, run: &mut Run, config: &UpdateConfig) {
        let mut in_work = std::mem::take(&mut run.in_work);
        in_work.retain_mut(|work| {
            if work.free_at.is_none() {
                if memory.delay_of(work.task).is_ok() {
                    return true;
                }
                let task = &turn.view.fleet[work.task];
                let ran = ran_at(task).is_some();
                let is_over = ran || task.first_failure.is_some() || !task.phase().is_live();
                if work.is_new && !is_over {
                    return true; // However long it takes.
                }
                if work.is_new && ran && config.order == Order::StartFirst {
                    let (old, _) = self.to_be_removed(turn.view, memory, &run.tasks[work.slot.clone()], None);
                    turn.terminate_all(&old);
                }
                work.free_at = Some(turn.view.now + config.delay);
            }
            let free_at = work.free_at.expect("it was just set");
            let is_busy = turn.view.now < free_at;
            if is_busy {
                turn.ask_at(free_at);
            }
            is_busy
        });
        run.in_work = in_work;
    }

    /// Which tasks of a slot are told to stop, and the one that a new task waits for; `Err` where the original gives the
    /// slot up, because the restart supervisor was faster.
    fn to_be_removed(
        &self,
        view: &View<'_>,
        memory: &Memory,
        tasks: &[InstanceId],
        kept: Option<InstanceId>,
    ) -> (Vec<InstanceId>, Result<Option<InstanceId>, ()>) {
        let mut told = Vec::new();
        let mut last = None;
        let mut was_faster = false;
        for id in tasks.iter().copied().filter(|id| Some(*id) != kept) {
            if view.fleet[id].phase().is_live() {
                told.push(id);
                last = Some(id);
            } else if self.is_to_be_replaced(view, memory, id) {
                was_faster = true;
            } else {
                last = Some(id);
            }
        }
        (told, if was_faster && last.is_none() { Err(()) } else { Ok(last) })
    }

    /// Free workers take the next slots.
    fn take_slots(&self, turn: &mut Turn<'_>, memory: &mut Memory, run: &mut Run, config: &UpdateConfig) {
        let view = turn.view;
        let workers = if config.parallelism == 0 { usize::MAX } else { config.parallelism as usize };
        while run.in_work.len() < workers {
            let Some(slot) = run.next_slot(view) else { break };
            run.taken = slot.end;
            let first = &view.fleet[run.tasks[slot.start]];
            if first.version != view.target {
                memory.behind[first.version.index()] = memory.behind[first.version.index()].saturating_sub(1);
            }
            let work = self.take(turn, memory, run, slot, config);
            let free_at = view.now + config.delay;
            match work {
                Some(work) => run.in_work.push(work),
                // There is nothing to wait for but the pause.
                None if config.delay.is_zero() => {}
                None => {
                    let task = run.tasks[run.taken - 1];
                    run.in_work.push(Work { slot: 0..0, task, is_new: false, free_at: Some(free_at) });
                    turn.ask_at(free_at);
                }
            }
        }
    }

    /// A worker begins a slot; `None`: it is done with it at once.
    fn take(
        &self,
        turn: &mut Turn<'_>,
        memory: &mut Memory,
        run: &mut Run,
        slot: Range<usize>,
        config: &UpdateConfig,
    ) -> Option<Work> {
        let view = turn.view;
        let tasks = Arc::clone(&run.tasks);
        let tasks = &tasks[slot.clone()];
        let clean = |id: &&InstanceId| view.fleet[**id].phase().is_live() && !self.is_dirty(view, **id);
        let is_held = |id: &&InstanceId| memory.delay_of(**id).is_ok();
        let running = tasks.iter().filter(clean).find(|id| !is_held(id));
        if let Some(kept) = running.or_else(|| tasks.iter().rfind(clean)).copied() {
            // The slot has what it needs: the others go.
            let (old, waits_for) = self.to_be_removed(view, memory, tasks, Some(kept));
            let waits_for = waits_for.ok()?;
            turn.terminate_all(&old);
            if running.is_some() {
                return None;
            }
            memory.delay(DelayedStart { task: kept, since: view.now, until: view.now, waits_for });
            return Some(Work { slot, task: kept, is_new: false, free_at: None });
        }
        let task = match config.order {
            Order::StartFirst => turn.launch(memory, view.fleet[tasks[0]].slot, false),
            Order::StopFirst => {
                let (old, waits_for) = self.to_be_removed(view, memory, tasks, None);
                let waits_for = waits_for.ok()?;
                let task = turn.launch(memory, view.fleet[tasks[0]].slot, true);
                turn.terminate_all(&old);
                memory.delay(DelayedStart { task, since: view.now, until: view.now, waits_for });
                task
            }
        };
        if config.failure_action != FailureAction::Continue {
            run.watched.push(task);
        }
        Some(Work { slot, task, is_new: true, free_at: None })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fleet::{Phase, Slot, drawn};
    use crate::rollout::shown;
    use std::time::Duration;

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
        let slots = [Slot(0)];
        let view = View { now: at(1 + ran_and_failed_after.unwrap_or(0)), ..shown(&fleet, 1, &slots) };
        let mut run = Run { watched: vec![id], ..Run::new(false, Arc::from([]), dirty) };
        run.failed_too_often(&view, config)
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
