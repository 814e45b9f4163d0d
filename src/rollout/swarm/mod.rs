//! What a Docker Swarm service update decides: the reconciler, the updater with its workers and its failure monitor, and
//! the restart supervisor.
//!
//! Sources: `manager/orchestrator/{replicated,update,restart}` of moby/swarmkit, `daemon/cluster/executor/container` of
//! moby/moby. A task is an instance here, RUNNING is ready, because a task with a health check is RUNNING only once that
//! passed, and a node is a zone. What the original's events set off happens here within one moment: first the
//! supervisor, then the reconciler, then the updater.
//!
//! Swarm has no command that pauses an update. Where somebody pauses the rollout all the same, workers finish the slots
//! they are at and take no others, and nobody looks at failures, until it is resumed.

mod restart;
mod scale;
mod updater;

pub use restart::{Condition, RESTART_DELAY, RestartPolicy, SlotHistory};
pub use scale::{Occupied, in_order_of_keeping};

use super::{Action, Command, Decision, Facts, Restart, Status, View, earlier};
use crate::fleet::{InstanceId, Phase, Slot, Version};
use crate::time::SimTime;
use std::collections::BTreeMap;
use std::time::Duration;
use updater::Run;

/// `--stop-grace-period` where none is given.
pub const GRACE: Duration = Duration::from_secs(10);

/// `--update-monitor` where none is given.
pub const MONITOR: Duration = Duration::from_secs(5);

/// What the daemon sleeps between taking a container out of the routing mesh and stopping it, so that all nodes hear of
/// it.
pub const GOSSIP_CONVERGENCE: Duration = Duration::from_secs(2);

/// What the agent backs off before it stops a task whose process runs.
pub const AGENT_BACK_OFF: Duration = Duration::from_secs(1);

/// From a task being told to stop until its process is.
pub const STOP_LATENCY: Duration = AGENT_BACK_OFF.saturating_add(GOSSIP_CONVERGENCE);

/// How long a new task waits for the old one to stop before it starts all the same.
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

/// What an update changes in the service's specification.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Change {
    /// The image, or anything else that a task is made of.
    #[default]
    Image,
    /// Nothing but the counter of `--force`.
    Force,
    /// Nothing but what the image is pulled with: `--with-registry-auth`.
    PullCredentials,
    /// Nothing but `--constraint-add` and the like.
    Placement,
}

impl Change {
    /// Whether a task in this phase, on a node that satisfies the new constraints or does not, must be replaced.
    pub fn replaces(self, phase: Phase, node_satisfies: bool) -> bool {
        match self {
            Change::Image | Change::Force => true,
            // A task that has its image does not need the credentials any more.
            Change::PullCredentials => {
                !matches!(phase, Phase::Prepared | Phase::Starting | Phase::Ready | Phase::Unready)
            }
            Change::Placement => !node_satisfies,
        }
    }
}

/// A service's settings.
#[derive(Clone, Debug, PartialEq)]
pub struct Settings {
    /// For the update.
    pub update: UpdateConfig,
    /// For a rollback, automatic or by hand.
    pub rollback: UpdateConfig,
    /// How failed tasks are replaced.
    pub restart: RestartPolicy,
    /// In what the versions differ. All nodes satisfy all constraints.
    pub change: Change,
    /// From a task being told to stop until its process is.
    pub stop_latency: Duration,
    /// What is typed while the update is under way.
    pub commands: Vec<Command>,
}

/// What the orchestrator holds between two decisions.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Memory {
    /// The service as it was asked for last.
    spec: Option<Spec>,
    state: State,
    /// The service has changed since the reconciler looked at it.
    is_changed: bool,
    run: Option<Run>,
    /// Slots that are still to hold another version than the target.
    behind: [u32; Version::COUNT],
    /// Tasks that are prepared and not started yet, by id.
    delays: Vec<DelayedStart>,
    /// Replacements in each slot, where their number is limited.
    history: BTreeMap<Slot, SlotHistory>,
    /// The last task of each slot in which one ended and was not replaced.
    dead: BTreeMap<Slot, InstanceId>,
}

/// What makes a specification another one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Spec {
    revision: u32,
    desired: u32,
}

/// `UpdateStatus.State`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum State {
    /// There was nothing to replace since the specification changed.
    #[default]
    Absent,
    Updating,
    Paused,
    Completed,
    RollbackStarted,
    RollbackPaused,
    RollbackCompleted,
}

/// A task that waits for its start.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct DelayedStart {
    task: InstanceId,
    since: SimTime,
    until: SimTime,
    /// It waits for this one to stop, but not for ever.
    waits_for: Option<InstanceId>,
}

/// A decision in the making.
struct Turn<'a> {
    view: &'a View<'a>,
    actions: Vec<Action>,
    ask_again: Option<SimTime>,
    next_id: u32,
}

impl Turn<'_> {
    fn ask_at(&mut self, at: SimTime) {
        self.ask_again = earlier(self.ask_again, Some(at));
    }

    fn terminate(&mut self, instance: InstanceId) {
        self.actions.push(Action::Terminate { instance, drain: true });
    }

    fn terminate_all(&mut self, instances: &[InstanceId]) {
        for instance in instances {
            self.terminate(*instance);
        }
    }

    /// A new task of the target; held: it starts once its delay is over.
    fn launch(&mut self, memory: &mut Memory, slot: Slot, hold: bool) -> InstanceId {
        self.actions.push(Action::Launch { version: self.view.target, slot: Some(slot), hold, held_out: false });
        memory.dead.remove(&slot);
        let id = InstanceId(self.next_id);
        self.next_id += 1;
        id
    }
}

impl Memory {
    fn delay_of(&self, task: InstanceId) -> Result<usize, usize> {
        self.delays.binary_search_by_key(&task, |delay| delay.task)
    }

    /// Delays a start; a delay that the task had already is over.
    fn delay(&mut self, delay: DelayedStart) {
        match self.delay_of(delay.task) {
            Ok(place) => self.delays[place] = delay,
            Err(place) => self.delays.insert(place, delay),
        }
    }

    fn change_state(&mut self, state: State) {
        self.state = state;
        self.is_changed = true;
    }

    fn complete(&mut self) {
        let is_rollback = self.state == State::RollbackStarted;
        self.change_state(if is_rollback { State::RollbackCompleted } else { State::Completed });
    }

    fn pause(&mut self) {
        let is_rollback = self.state == State::RollbackStarted;
        self.change_state(if is_rollback { State::RollbackPaused } else { State::Paused });
    }

    /// Starts every task whose delay is over.
    fn start_due(&mut self, turn: &mut Turn<'_>) {
        let fleet = turn.view.fleet;
        self.delays.retain(|delay| {
            if !fleet[delay.task].phase().is_live() {
                return false;
            }
            let waits = delay.waits_for.is_some_and(|old| fleet[old].phase() != Phase::Gone);
            let due_at = if waits { delay.until.max(delay.since + OLD_TASK_STOP_WAIT) } else { delay.until };
            if turn.view.now < due_at {
                turn.ask_at(due_at);
                return true;
            }
            turn.actions.push(Action::Start(delay.task));
            false
        });
    }
}

impl Facts for Settings {
    fn name(&self) -> &'static str {
        "swarm"
    }

    fn commands(&self) -> &[Command] {
        &self.commands
    }

    /// Swarm replaces the task instead.
    fn restarts_in_place(&self, _given: Option<Restart>) -> Option<Restart> {
        None
    }

    fn grace(&self) -> Option<Duration> {
        Some(GRACE)
    }

    fn stop_latency(&self) -> Duration {
        self.stop_latency
    }

    fn kills_unhealthy(&self) -> bool {
        true
    }

    /// As `--update-failure-action continue`.
    fn ignore_failures(&mut self) {
        self.update.failure_action = FailureAction::Continue;
    }
}

impl Settings {
    /// What is remembered before the rollout: nothing.
    pub fn memory(&self, _desired: u32) -> Memory {
        Memory::default()
    }

    /// One decision.
    pub fn decide(&self, view: &View<'_>, before: &Memory) -> Decision<Memory> {
        let mut memory = before.clone();
        let mut turn = Turn { view, actions: Vec::new(), ask_again: None, next_id: view.fleet.len() as u32 };
        let spec = Spec { revision: view.revision, desired: view.desired };
        if memory.spec != Some(spec) {
            let is_asked_for = memory.spec.is_none_or(|before| before.revision != spec.revision);
            memory.spec = Some(spec);
            memory.change_state(if is_asked_for && view.rolling_back { State::RollbackStarted } else { State::Absent });
            memory.run = None; // Its workers drop what they have in hand; what is prepared starts all the same.
        }
        memory.start_due(&mut turn);
        let replaced = self.replace_failed(&mut turn, &mut memory);
        let mut roll_back = false;
        if !replaced {
            if std::mem::take(&mut memory.is_changed) {
                self.reconcile(&mut turn, &mut memory);
            }
            roll_back = self.work(&mut turn, &mut memory);
        }
        let is_pending = memory.state == State::Absent && memory.is_changed;
        let (status, reported) = match memory.state {
            State::Absent if is_pending => (Status::Progressing, "updating"),
            State::Updating if view.halted => (Status::Paused, "updating"),
            State::RollbackStarted if view.halted => (Status::Paused, "rollback_started"),
            State::Updating => (Status::Progressing, "updating"),
            State::RollbackStarted => (Status::Progressing, "rollback_started"),
            State::Paused => (Status::Paused, "paused"),
            State::RollbackPaused => (Status::Paused, "rollback_paused"),
            // The original says nothing where nothing had to be replaced.
            State::Absent | State::Completed => (Status::Completed, "completed"),
            State::RollbackCompleted => (Status::Completed, "rollback_completed"),
        };
        let mut desired = memory.behind;
        let behind = desired.iter().sum();
        desired[view.target.index()] += view.desired.saturating_sub(behind);
        let Turn { actions, ask_again, .. } = turn;
        Decision { actions, memory, ask_again, status, reported, desired, roll_back }
    }

    /// The restart supervisor: a task that ended is sent away, and replaced by one of the current specification where the
    /// policy says so. What waits for a repair of its place is left alone.
    fn replace_failed(&self, turn: &mut Turn<'_>, memory: &mut Memory) -> bool {
        let view = turn.view;
        if Version::all().all(|version| view.fleet.count(version, Phase::Down) == 0) {
            return false;
        }
        let ended = view.fleet.all_live().filter(|(_, task)| task.phase() == Phase::Down && !task.under_repair);
        let mut replaced = false;
        for (id, task) in ended {
            if memory.delay_of(id).is_ok() {
                continue; // It ended before its own delay was over, and is replaced then.
            }
            replaced = true;
            turn.terminate(id);
            if !self.is_to_be_replaced(view, memory, id) {
                memory.dead.insert(task.slot, id);
                continue;
            }
            let slot = task.slot;
            let task = turn.launch(memory, slot, true);
            let until = view.now + self.restart.delay;
            memory.delay(DelayedStart { task, since: view.now, until, waits_for: None });
            if self.restart.max_attempts > 0 {
                memory.history.entry(slot).or_default().record(&self.restart, view.target, view.now);
            }
        }
        replaced
    }

    /// Whether the restart policy demands a replacement of a task that has ended, or was told to.
    fn is_to_be_replaced(&self, view: &View<'_>, memory: &Memory, id: InstanceId) -> bool {
        let task = &view.fleet[id];
        let ended_at = task.first_failure.unwrap_or(task.since());
        self.restart.replaces(false, task.version, ended_at, memory.history.get(&task.slot))
    }

    /// Whether a task is not what the current specification asks for.
    fn is_dirty(&self, view: &View<'_>, id: InstanceId) -> bool {
        let task = &view.fleet[id];
        task.version != view.target && self.change.replaces(task.phase(), true)
    }

    /// The reconciler: an update over the slots in use, and as many slots as the service is to have.
    fn reconcile(&self, turn: &mut Turn<'_>, memory: &mut Memory) {
        let view = turn.view;
        let mut tasks: Vec<(Slot, InstanceId)> = view.fleet.all_live().map(|(id, task)| (task.slot, id)).collect();
        // A slot whose last task ended for good is in use, too, and updated where it is outdated. But a rollback fills it.
        if memory.state != State::RollbackStarted {
            let is_empty = |slot: Slot| view.fleet.live_in_slot(slot).next().is_none();
            tasks.extend(memory.dead.iter().filter(|(slot, _)| is_empty(**slot)).map(|(slot, id)| (*slot, *id)));
        }
        tasks.sort_unstable();
        let slots: Vec<&[(Slot, InstanceId)]> = tasks.chunk_by(|a, b| a.0 == b.0).collect();
        let desired = view.desired as usize;
        if slots.len() <= desired {
            self.update(turn, memory, &slots);
            let mut in_use = slots.iter().map(|tasks| tasks[0].0).peekable();
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
        let occupied = |tasks: &&[(Slot, InstanceId)]| Occupied {
            slot: tasks[0].0,
            runs: tasks.iter().any(|(_, id)| matches!(view.fleet[*id].phase(), Phase::Ready | Phase::Unready)),
            node: (tasks.len() == 1).then(|| view.fleet[tasks[0].1].zone),
        };
        let mut removed = in_order_of_keeping(slots.iter().map(occupied).collect()).split_off(desired);
        removed.sort_unstable();
        let is_removed = |tasks: &[(Slot, InstanceId)]| removed.binary_search(&tasks[0].0).is_ok();
        let kept: Vec<&[(Slot, InstanceId)]> = slots.iter().filter(|tasks| !is_removed(tasks)).copied().collect();
        for (slot, id) in slots.iter().filter(|tasks| is_removed(tasks)).copied().flatten() {
            memory.dead.remove(slot);
            if view.fleet[*id].phase().is_live() {
                turn.terminate(*id);
            }
        }
        self.update(turn, memory, &kept);
    }

    /// Begins an update over the slots that are dirty, unless one is under way or the update is paused.
    fn update(&self, turn: &Turn<'_>, memory: &mut Memory, slots: &[&[(Slot, InstanceId)]]) {
        if memory.run.is_some() || matches!(memory.state, State::Paused | State::RollbackPaused) {
            return;
        }
        let view = turn.view;
        memory.behind = [0; Version::COUNT];
        for tasks in slots {
            let version = view.fleet[tasks[0].1].version;
            memory.behind[version.index()] += u32::from(version != view.target);
        }
        let is_dirty = |tasks: &[(Slot, InstanceId)]| tasks.len() > 1 || self.is_dirty(view, tasks[0].1);
        let dirty = slots.iter().filter(|tasks| is_dirty(tasks)).count() as u32;
        if dirty == 0 {
            if matches!(memory.state, State::Updating | State::RollbackStarted) {
                memory.complete();
            }
            return;
        }
        let mut tasks = Vec::with_capacity(slots.len());
        for slot in view.slot_order {
            let found = slots.binary_search_by_key(slot, |tasks| tasks[0].0).ok().map(|place| slots[place]);
            tasks.extend(found.filter(|tasks| is_dirty(tasks)).into_iter().flatten().map(|(_, id)| *id));
        }
        memory.run = Some(Run::new(memory.state == State::RollbackStarted, tasks.into(), dirty));
        if memory.state == State::Absent {
            memory.state = State::Updating;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fleet::{Fleet, drawn};
    use crate::rollout::{shown, written};

    fn settings(update: UpdateConfig) -> Settings {
        Settings {
            update,
            rollback: UpdateConfig::default(),
            restart: RestartPolicy::default(),
            change: Change::default(),
            stop_latency: STOP_LATENCY,
            commands: Vec::new(),
        }
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

    /// What is done about a fleet that is to have so many instances, until the orchestrator is content.
    #[track_caller]
    fn scaled(letters: &str, desired: u32, then: &str) {
        let fleet = drawn::fleet(letters);
        let slots = slots(letters.len().max(desired as usize) as u32);
        let decision = settings(UpdateConfig::default()).decide(&shown(&fleet, desired, &slots), &Memory::default());
        assert_eq!(written(&decision.actions), then);
    }

    #[test]
    fn missing_slots_are_filled_at_once_and_surplus_ones_emptied() {
        //     given  desired then
        scaled("nnn", 5, "+ +");
        scaled("nnnnn", 3, "-3 -4");
        scaled("bnnnn", 3, "-0 -4"); // What does not run goes first.
        scaled("onnn", 2, "-2 -3 +held -0"); // The slots that stay are updated.
    }

    fn failed(policy: RestartPolicy) -> (Settings, Fleet) {
        let mut fleet = drawn::fleet("nnn");
        fleet.enter(InstanceId(1), Phase::Down, SimTime::START + Duration::from_mins(1));
        (Settings { restart: policy, ..settings(UpdateConfig::default()) }, fleet)
    }

    #[test]
    fn a_failed_task_is_replaced_by_one_that_starts_later() {
        let (settings, fleet) = failed(RestartPolicy::default());
        let slots = slots(3);
        let decision = settings.decide(&shown(&fleet, 3, &slots), &Memory::default());
        assert_eq!(written(&decision.actions), "-1 +held");
        let delay = decision.memory.delays[0];
        assert_eq!((delay.task, delay.until), (InstanceId(3), SimTime::START + Duration::from_secs(65)));
    }

    #[test]
    fn a_failed_task_stays_down_where_nothing_is_restarted_or_its_place_is_repaired() {
        let (settings, mut fleet) = failed(RestartPolicy { condition: Condition::None, ..RestartPolicy::default() });
        let slots = slots(3);
        let decision = settings.decide(&shown(&fleet, 3, &slots), &Memory::default());
        assert_eq!(written(&decision.actions), "-1");
        fleet.note_repair(InstanceId(1));
        assert_eq!(written(&settings.decide(&shown(&fleet, 3, &slots), &Memory::default()).actions), "");
    }

    #[test]
    fn a_change_that_tasks_need_not_know_replaces_none() {
        let fleet = drawn::fleet("oob");
        let slots = slots(3);
        for (change, then) in [(Change::Force, "+held -0"), (Change::PullCredentials, ""), (Change::Placement, "")] {
            let settings = Settings { change, ..settings(UpdateConfig::default()) };
            let decision = settings.decide(&shown(&fleet, 3, &slots), &Memory::default());
            assert_eq!(written(&decision.actions), then, "{change:?}");
        }
    }
}
