//! One run of the updater: its workers, and the failures that it looks at.

use super::{DelayedStart, FailureAction, Memory, Order, Settings, SpecVersion, State, Turn, UpdateConfig};
use crate::bits::Numbers;
use crate::by_number::ByNumber;
use crate::fleet::{Instance, InstanceId, Slot};
use crate::rollout::agenda::Agenda;
use crate::rollout::{View, earlier};
use crate::time::SimTime;
use std::collections::BTreeSet;
use std::ops::Range;
use std::sync::Arc;
use std::time::Duration;

/// What was wanted of a task (`DesiredState`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Wanted {
    /// To be prepared, and started later.
    Ready,
    Running,
    /// Nothing any more: it has ended.
    Ended,
}

/// A task of a dirty slot as it was when the run began. What has become of it since, such as its end and its
/// replacement, the workers find out only where they stop it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Held {
    pub(super) task: InstanceId,
    pub(super) slot: Slot,
    pub(super) wanted: Wanted,
    /// It is not what the specification asks for.
    pub(super) is_dirty: bool,
}

/// One run of the updater.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Run {
    /// What it works towards.
    pub(super) spec: SpecVersion,
    /// It works by the rollback's configuration.
    is_rollback: bool,
    /// What the dirty slots held, slot after slot, in the order in which they are taken.
    held: Arc<[Held]>,
    /// How many of them were handed out.
    taken: usize,
    /// How many slots they are in.
    dirty: u32,
    /// Slots that a worker is at, by the place of what they held.
    in_work: ByNumber<u32, Work>,
    /// Those that it was given, and has not begun.
    beginning: BTreeSet<u32>,
    /// Those in which it waits for a task.
    waiting: ByNumber<InstanceId, u32>,
    /// Those begun that are to be looked at.
    agenda: Agenda<u32>,
    /// Tasks that this run created and whose failure would still count.
    watched: Numbers,
    /// Those of them that are to be judged.
    failing: Agenda<InstanceId>,
    /// Failures that count.
    failures: u32,
    /// When the last monitoring period ends; `None` while workers are busy.
    monitored_until: Option<SimTime>,
    /// Its failure rule holds: what is in work is finished, and nothing else.
    is_stopped: bool,
    /// Since when it has that to say.
    speaks_since: Option<SimTime>,
}

/// A worker at a slot.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Work {
    /// What the slot held.
    held: Range<usize>,
    step: Step,
}

/// What a worker is at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Step {
    /// It was given the slot.
    Begins { since: SimTime },
    /// It waits until the delay of the slot's task is over and, where it has created it, until it runs.
    Waits { task: InstanceId, is_new: bool },
    /// It pauses after the slot.
    Pauses { until: SimTime },
}

/// Whether what a worker waits for has come.
enum Through {
    Yes,
    /// It will have then.
    At(SimTime),
    /// Not before something happens to the task.
    No,
}

impl Run {
    pub(super) fn new(spec: SpecVersion, is_rollback: bool, held: Arc<[Held]>, dirty: u32) -> Self {
        Run {
            spec,
            is_rollback,
            held,
            taken: 0,
            dirty,
            in_work: ByNumber::default(),
            beginning: BTreeSet::new(),
            waiting: ByNumber::default(),
            agenda: Agenda::default(),
            watched: Numbers::default(),
            failing: Agenda::default(),
            failures: 0,
            monitored_until: None,
            is_stopped: false,
            speaks_since: None,
        }
    }

    fn config<'a>(&self, settings: &'a Settings) -> &'a UpdateConfig {
        if self.is_rollback { &settings.rollback } else { &settings.update }
    }

    fn is_over(&self) -> bool {
        self.is_stopped && self.speaks_since.is_none() && self.in_work.is_empty()
    }

    fn all_taken(&self) -> bool {
        self.taken == self.held.len()
    }

    /// Gives the next slots to the workers that are free.
    fn give_slots(&mut self, turn: &mut Turn<'_>, memory: &mut Memory, config: &UpdateConfig) {
        let workers = if config.parallelism == 0 { usize::MAX } else { config.parallelism as usize };
        while !self.is_stopped && self.in_work.len() < workers {
            let Some(held) = self.next_slot() else { return };
            self.taken = held.end;
            let version = turn.view.fleet[self.held[held.start].task].version;
            if version != turn.view.target {
                memory.behind[version.index()] = memory.behind[version.index()].saturating_sub(1);
            }
            let place = held.start as u32;
            self.beginning.insert(place);
            self.in_work.insert(place, Work { held, step: Step::Begins { since: turn.view.now } });
            turn.settled = false;
        }
    }

    /// The next slot, as the place of what it held.
    fn next_slot(&self) -> Option<Range<usize>> {
        let left = &self.held[self.taken..];
        let slot = left.first()?.slot;
        let count = left.iter().take_while(|held| held.slot == slot).count();
        Some(self.taken..self.taken + count)
    }

    /// Something has happened to a task.
    pub(super) fn hear(&mut self, id: InstanceId) {
        if let Some(place) = self.waiting.get(id) {
            self.agenda.call(*place);
        }
        if self.watched.contains(id.0) {
            self.failing.call(id);
        }
    }

    /// When something is to be looked at even if nothing happens to it.
    pub(super) fn wakes_next(&mut self, now: SimTime) -> Option<SimTime> {
        earlier(self.agenda.wakes_next(now), self.failing.wakes_next(now))
    }

    /// A worker is at another step, or free.
    fn goes_on(&mut self, turn: &mut Turn<'_>, place: u32, step: Step) {
        turn.settled = false;
        match step {
            Step::Pauses { until } if until <= turn.view.now => {
                self.in_work.remove(place);
                return;
            }
            Step::Pauses { until } => self.agenda.wake_at(until, place),
            Step::Waits { task, .. } => {
                self.waiting.insert(task, place);
                self.agenda.call(place);
            }
            Step::Begins { .. } => unreachable!("nobody begins twice"),
        }
        self.in_work.get_mut(place).expect("it is in work").step = step;
    }

    /// Whether more than the tolerated share of the tasks failed before they ran or soon after.
    ///
    /// The original looks only while it has slots to hand out, and again once all workers are done. What fails while
    /// the last slots are in work is judged late, and "soon after" is measured when it looks.
    fn failed_too_often(&mut self, turn: &mut Turn<'_>, config: &UpdateConfig, reaction: Duration) -> bool {
        let monitor = match (self.all_taken(), self.in_work.is_empty()) {
            _ if config.failure_action == FailureAction::Continue => return false,
            (true, false) => return false,
            (true, true) => config.last_monitor(),
            (false, _) => config.monitor,
        };
        let now = turn.view.now;
        let mut failures = 0;
        while let Some(id) = self.failing.next(now) {
            let task = &turn.view.fleet[id];
            match failed_at(task) {
                Some(failed) if failed + reaction > now => self.failing.wake_at(failed + reaction, id),
                Some(failed) => {
                    // The worker left the task when it ran or failed, whichever came first.
                    failures += u32::from(now.since(ran_at(task).unwrap_or(failed)) <= monitor);
                    self.watched.remove(id.0);
                    turn.settled = false;
                }
                None => {}
            }
        }
        self.failures += failures;
        // Single precision, as in the original: 29 of 100 do not exceed 0.29.
        failures > 0 && self.failures as f32 / self.dirty as f32 > config.max_failure_ratio as f32
    }
}

/// When a task ran, unless it failed before.
fn ran_at(task: &Instance) -> Option<SimTime> {
    task.first_ready.filter(|ran| task.first_failure.is_none_or(|failure| *ran <= failure))
}

/// When a task failed, if anybody can know: a node that is silent reports nothing.
fn failed_at(task: &Instance) -> Option<SimTime> {
    task.first_failure.filter(|_| !task.under_repair)
}

impl Settings {
    /// Brings the slots in work forward, and frees the workers that are done.
    pub(super) fn advance_workers(&self, turn: &mut Turn<'_>, memory: &mut Memory) {
        let Some(mut run) = memory.run.take() else { return };
        let config = run.config(self);
        let now = turn.view.now;
        while let Some(place) = run.agenda.next(now) {
            let Some(Work { held, step }) = run.in_work.get(place).cloned() else { continue };
            let Step::Waits { task, is_new } = step else {
                run.goes_on(turn, place, step);
                continue;
            };
            match self.is_through(turn, memory, task, is_new, config.order) {
                Through::At(at) => run.agenda.wake_at(at, place),
                Through::No => {}
                Through::Yes => {
                    if is_new && config.order == Order::StartFirst && ran_at(&turn.view.fleet[task]).is_some() {
                        let old = to_be_stopped(turn.view, &run.held[held], None);
                        turn.terminate_all(&old.unwrap_or_default());
                    }
                    run.waiting.remove(task);
                    run.goes_on(turn, place, Step::Pauses { until: now + config.delay });
                }
            }
        }
        memory.run = Some(run).filter(|run| !run.is_over());
    }

    /// Whether a worker has seen its slot's task run or end, if it waits for that, however long that takes.
    fn is_through(
        &self,
        turn: &mut Turn<'_>,
        memory: &mut Memory,
        task: InstanceId,
        is_new: bool,
        order: Order,
    ) -> Through {
        if memory.delays.contains(task) {
            return Through::No;
        }
        let task = &turn.view.fleet[task];
        let reaction = self.manager.updater;
        let known = match (ran_at(task), failed_at(task)) {
            _ if !is_new => Ok(()),
            // It has the old task to stop.
            (Some(at), _) if order == Order::StartFirst => memory.store(turn, &self.manager, at + reaction),
            (Some(at), _) | (None, Some(at)) if at + reaction > turn.view.now => Err(at + reaction),
            (None, None) if task.phase().is_live() => return Through::No,
            _ => Ok(()),
        };
        known.map_or_else(Through::At, |()| Through::Yes)
    }

    /// The updater's own failure rule. Returns whether the version before is to be brought back.
    pub(super) fn look_at_failures(&self, turn: &mut Turn<'_>, memory: &mut Memory) -> bool {
        let Some(mut run) = take_run(turn, memory) else { return false };
        let config = run.config(self);
        if !run.is_stopped && run.failed_too_often(turn, config, self.manager.updater) {
            run.is_stopped = true;
            run.speaks_since = Some(turn.view.now);
            turn.settled = false;
        }
        let speaks = run.speaks_since.is_some_and(|since| memory.has_stored(turn, &self.manager, since));
        run.speaks_since = run.speaks_since.filter(|_| !speaks);
        memory.run = Some(run).filter(|run| !run.is_over());
        // A rollback is never rolled back.
        let rolls_back = config.failure_action == FailureAction::Rollback && memory.state != State::RollbackStarted;
        if speaks && !rolls_back {
            memory.pause(turn.view);
        }
        speaks && rolls_back
    }

    /// Free workers take the next slots, and once all are done the update is, after a last monitoring period.
    pub(super) fn hand_out_slots(&self, turn: &mut Turn<'_>, memory: &mut Memory) {
        let Some(mut run) = take_run(turn, memory) else { return };
        let config = run.config(self);
        loop {
            run.give_slots(turn, memory, config);
            let mut has_begun = false;
            for place in std::mem::take(&mut run.beginning) {
                let Some(Work { held, step: Step::Begins { since } }) = run.in_work.get(place).cloned() else {
                    unreachable!("it has not begun")
                };
                if memory.has_stored(turn, &self.manager, since) {
                    let step = begin(turn, memory, &mut run, held, config);
                    // Where there is nothing to wait for, the worker may be free again at once.
                    run.goes_on(turn, place, step);
                    has_begun = true;
                } else {
                    run.beginning.insert(place);
                }
            }
            if !has_begun {
                break;
            }
        }
        if run.all_taken() && run.in_work.is_empty() && !run.is_stopped {
            let until = *run.monitored_until.get_or_insert(turn.view.now + config.last_monitor());
            if turn.has_come(until) {
                memory.complete(turn.view);
                turn.settled = false;
                return;
            }
        }
        memory.run = Some(run);
    }
}

/// The run, where it works towards what is asked for now, and nobody has halted it.
fn take_run(turn: &Turn<'_>, memory: &mut Memory) -> Option<Box<Run>> {
    let in_force = memory.spec_version();
    memory.run.take_if(|run| !turn.view.halted && run.spec == in_force)
}

/// A worker begins a slot; its next step.
fn begin(turn: &mut Turn<'_>, memory: &mut Memory, run: &mut Run, held: Range<usize>, config: &UpdateConfig) -> Step {
    let now = turn.view.now;
    let held = &Arc::clone(&run.held)[held];
    let is_done = Step::Pauses { until: now + config.delay };
    let clean = |wanted| move |held: &&Held| !held.is_dirty && held.wanted == wanted;
    let running = held.iter().find(clean(Wanted::Running));
    let kept = running.or_else(|| held.iter().rfind(clean(Wanted::Ready)));
    let old = to_be_stopped(turn.view, held, kept.map(|kept| kept.task));
    if let Some(kept) = kept {
        // The slot has what it needs: the others go.
        let Ok(old) = old else { return is_done };
        turn.terminate_all(&old);
        if kept.wanted == Wanted::Running {
            return is_done;
        }
        memory.delays.insert(DelayedStart { task: kept.task, since: now, until: now, waits_for: old.last().copied() });
        return Step::Waits { task: kept.task, is_new: false };
    }
    let task = match config.order {
        Order::StartFirst => turn.launch(memory, held[0].slot, false),
        Order::StopFirst => {
            let Ok(old) = old else { return is_done };
            let task = turn.launch(memory, held[0].slot, true);
            turn.terminate_all(&old);
            memory.delays.insert(DelayedStart { task, since: now, until: now, waits_for: old.last().copied() });
            task
        }
    };
    if config.failure_action != FailureAction::Continue {
        run.watched.insert(task.0);
    }
    Step::Waits { task, is_new: true }
}

/// All tasks that were to be stopped were stopped already by somebody else: the original gives the slot up.
#[derive(Debug)]
struct TooLate;

/// Which tasks of a slot are told to stop, but for one that is kept. A new task waits for the last of them.
fn to_be_stopped(view: &View<'_>, held: &[Held], kept: Option<InstanceId>) -> Result<Vec<InstanceId>, TooLate> {
    let unwanted = held.iter().filter(|held| held.wanted != Wanted::Ended && Some(held.task) != kept);
    let (old, stopped): (Vec<InstanceId>, Vec<InstanceId>) =
        unwanted.map(|held| held.task).partition(|id| view.fleet[*id].phase().is_live());
    if old.is_empty() && !stopped.is_empty() { Err(TooLate) } else { Ok(old) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fleet::{Phase, drawn};
    use crate::rollout::shown;

    /// A task in slot 0 that failed so long after it ran, looked at when it fails; `None`: it never ran. `slots_left`:
    /// the updater still has slots to hand out.
    fn fails(ran_and_failed_after: Option<u64>, config: &UpdateConfig, dirty: u32, slots_left: bool) -> bool {
        let mut fleet = drawn::fleet("bo");
        let at = |second| SimTime::START + Duration::from_secs(second);
        let id = InstanceId(0);
        if let Some(after) = ran_and_failed_after {
            fleet.enter(id, Phase::Ready, at(1));
            fleet.enter(id, Phase::Down, at(1 + after));
        } else {
            fleet.enter(id, Phase::Down, at(1));
        }
        let slots = [Slot(0), Slot(1)];
        let view = View { now: at(1 + ran_and_failed_after.unwrap_or(0)), ..shown(&fleet, 2, &slots) };
        let held = Held { task: InstanceId(1), slot: Slot(1), wanted: Wanted::Running, is_dirty: true };
        let held: &[Held] = if slots_left { &[held] } else { &[] };
        let mut run = Run::new(SpecVersion(1), false, held.into(), dirty);
        run.watched.insert(id.0);
        run.hear(id);
        run.failed_too_often(&mut Turn::new(&view), config, Duration::ZERO)
    }

    #[test]
    fn a_failure_counts_before_running_and_within_the_monitoring_period() {
        let config = UpdateConfig::default();
        assert!(fails(None, &config, 1, false));
        assert!(fails(Some(5), &config, 1, false));
        assert!(!fails(Some(6), &config, 1, false));
        assert!(!fails(None, &UpdateConfig { failure_action: FailureAction::Continue, ..config }, 1, false));
    }

    #[test]
    fn a_delay_stretches_the_monitoring_period_after_the_last_slot_only() {
        let config = UpdateConfig { delay: Duration::from_secs(5), ..UpdateConfig::default() };
        assert!(fails(Some(6), &config, 1, false));
        assert!(!fails(Some(6), &config, 1, true));
        assert!(fails(Some(5), &config, 1, true));
    }

    #[test]
    fn the_ratio_must_be_exceeded() {
        let config = UpdateConfig { max_failure_ratio: 0.25, ..UpdateConfig::default() };
        assert!(!fails(None, &config, 4, false));
        assert!(fails(None, &config, 3, false));
    }
}
