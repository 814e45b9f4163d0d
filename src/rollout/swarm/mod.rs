//! What a Docker Swarm service update decides: the reconciler, the updater with its workers and its failure monitor,
//! and the restart supervisor.
//!
//! Sources: `manager/orchestrator/{replicated,update,restart}` of moby/swarmkit at 3e72cb64,
//! `daemon/cluster/executor/container` of moby/moby. A task is an instance here, RUNNING is ready, because a task with
//! a health check is RUNNING only once that passed, and a node is a zone. The original's threads react to the same
//! events at once; where nothing says how long each takes ([`Manager`]), the updater's are first, which act on the
//! event of a task itself: the event loop with the supervisor and the reconciler waits for the end of its batch.
//!
//! Swarm has no command that pauses an update. Where somebody pauses the rollout all the same, workers finish the slots
//! they are at and take no others, and nobody looks at failures, until it is resumed.

mod delays;
mod event_loop;
mod restart;
mod scale;
mod updater;

#[cfg(test)]
mod tests;

pub use event_loop::oldest_first;
pub use restart::{Condition, Ended, RESTART_DELAY, Replacement, RestartPolicy, SpecVersion, Supervisor};
pub use scale::{Occupied, in_order_of_keeping};

use super::{Action, Command, Decision, Facts, Resolved, Restart, Status, View, as_written, earlier};
use crate::fleet::{InstanceId, Phase, Slot, Version};
use crate::time::SimTime;
use delays::{DelayedStart, Delays};
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

impl Order {
    /// The original's word.
    pub const fn name(self) -> &'static str {
        match self {
            Order::StopFirst => "stop-first",
            Order::StartFirst => "start-first",
        }
    }
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

impl FailureAction {
    /// The original's word.
    pub const fn name(self) -> &'static str {
        match self {
            FailureAction::Pause => "pause",
            FailureAction::Continue => "continue",
            FailureAction::Rollback => "rollback",
        }
    }
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
    /// The monitoring period after the last slot: a delay at least as long stretches it to the delay and a second.
    fn last_monitor(&self) -> Duration {
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

/// How long the manager takes for what it reacts to. Its threads work side by side, but each change of the store is
/// made alone: who comes later waits.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Manager {
    /// From the end of a task, or a change of the service, until the event loop with the supervisor and the reconciler
    /// turns to it.
    pub event_loop: Duration,
    /// From a change of a task until the updater or its worker turns to it, or whoever starts what waited for it.
    pub updater: Duration,
    /// What a change of the store takes.
    pub change: Duration,
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
    /// What the manager itself takes.
    pub manager: Manager,
    /// What is typed while the update is under way.
    pub commands: Vec<Command>,
}

/// What the orchestrator holds between two decisions.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Memory {
    /// The service as it was asked for last.
    spec: Option<Spec>,
    /// The specification that a rollback goes back to.
    previous: SpecVersion,
    /// From which task on each specification was in force, in the order of time; the tasks before the first one are of
    /// the specification before the rollout.
    in_force: Vec<(InstanceId, SpecVersion)>,
    state: State,
    /// Since when the service has changes that the reconciler has not seen.
    changed_at: Option<SimTime>,
    /// When the last change of the store was made.
    stored_at: SimTime,
    run: Option<Box<Run>>,
    /// Slots that are still to hold another version than the target.
    behind: [u32; Version::COUNT],
    /// Tasks that are prepared and not started yet.
    delays: Delays,
    restarts: Supervisor,
}

/// What makes a specification another one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Spec {
    version: SpecVersion,
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

/// A decision in the making.
struct Turn<'a> {
    view: &'a View<'a>,
    actions: Vec<Action>,
    ask_again: Option<SimTime>,
    next_id: u32,
    /// Nothing that is remembered has changed.
    settled: bool,
}

impl<'a> Turn<'a> {
    fn new(view: &'a View<'a>) -> Self {
        Turn { view, actions: Vec::new(), ask_again: None, next_id: view.fleet.len() as u32, settled: true }
    }

    /// Whether a moment has come; until then the orchestrator wishes to be asked again.
    fn has_come(&mut self, at: SimTime) -> bool {
        let has_come = self.view.now >= at;
        if !has_come {
            self.ask_again = earlier(self.ask_again, Some(at));
        }
        has_come
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
        memory.restarts.forget(slot);
        let id = InstanceId(self.next_id);
        self.next_id += 1;
        id
    }
}

impl Memory {
    /// The specification may be another one than before.
    fn note_the_specification(&mut self, turn: &mut Turn<'_>) {
        let view = turn.view;
        let before = self.spec;
        if before.is_some_and(|spec| (spec.revision, spec.desired) == (view.revision, view.desired)) {
            return;
        }
        turn.settled = false;
        let in_force = self.spec_version();
        let is_asked_for = before.is_none_or(|spec| spec.revision != view.revision);
        let rolls_back = is_asked_for && view.rolling_back;
        let newest = self.in_force.iter().map(|(_, version)| *version).max().unwrap_or_default();
        let version = if rolls_back { self.previous } else { SpecVersion(newest.0 + 1) };
        self.previous = in_force;
        self.in_force.push((InstanceId(view.fleet.len() as u32), version));
        self.spec = Some(Spec { version, revision: view.revision, desired: view.desired });
        self.change_state(view, if rolls_back { State::RollbackStarted } else { State::Absent });
    }

    /// The specification in force.
    fn spec_version(&self) -> SpecVersion {
        self.spec.map_or(SpecVersion::default(), |spec| spec.version)
    }

    /// The specification that a task was created from.
    fn spec_version_of(&self, task: InstanceId) -> SpecVersion {
        let later = self.in_force.partition_point(|(from, _)| *from <= task);
        later.checked_sub(1).map_or(SpecVersion::default(), |place| self.in_force[place].1)
    }

    fn change_state(&mut self, view: &View<'_>, state: State) {
        self.state = state;
        self.changed_at = Some(view.now);
    }

    fn complete(&mut self, view: &View<'_>) {
        let is_rollback = self.state == State::RollbackStarted;
        self.change_state(view, if is_rollback { State::RollbackCompleted } else { State::Completed });
    }

    fn pause(&mut self, view: &View<'_>) {
        let is_rollback = self.state == State::RollbackStarted;
        self.change_state(view, if is_rollback { State::RollbackPaused } else { State::Paused });
    }

    /// Something has happened to tasks.
    fn hear(&mut self, view: &View<'_>) {
        for id in view.fleet.changed() {
            self.delays.hear(*id);
            if let Some(run) = &mut self.run {
                run.hear(*id);
            }
        }
    }

    /// The store is changed by somebody who turned to it at a moment; otherwise, when it can be.
    fn store(&mut self, turn: &mut Turn<'_>, manager: &Manager, at: SimTime) -> Result<(), SimTime> {
        let stored_at = at.max(self.stored_at) + manager.change;
        if turn.view.now < stored_at {
            return Err(stored_at);
        }
        self.stored_at = stored_at;
        turn.settled = false;
        Ok(())
    }

    /// Whether that has happened; until then the orchestrator wishes to be asked again.
    fn has_stored(&mut self, turn: &mut Turn<'_>, manager: &Manager, at: SimTime) -> bool {
        self.store(turn, manager, at).map_err(|at| turn.has_come(at)).is_ok()
    }

    /// Starts every task whose delay is over.
    fn start_due(&mut self, turn: &mut Turn<'_>, manager: &Manager) {
        let fleet = turn.view.fleet;
        while let Some(delay) = self.delays.next(turn.view.now) {
            if fleet[delay.task].phase().is_live() {
                let at_the_latest = delay.until.max(delay.since + OLD_TASK_STOP_WAIT);
                let over_at = match delay.waits_for.map(|old| &fleet[old]) {
                    Some(old) if old.phase() == Phase::Gone => delay.until.max(old.since() + manager.updater),
                    Some(_) => at_the_latest,
                    None => delay.until,
                };
                if let Err(at) = self.store(turn, manager, over_at.min(at_the_latest)) {
                    self.delays.wake_at(at, delay.task);
                    continue;
                }
                turn.actions.push(Action::Start(delay.task));
            }
            self.delays.remove(delay.task);
            turn.settled = false;
            if let Some(run) = &mut self.run {
                run.hear(delay.task);
            }
        }
    }

    /// The state in the original's own word.
    fn reported(&self) -> &'static str {
        match self.state {
            State::Absent if self.changed_at.is_some() => "updating",
            State::Updating => "updating",
            State::Paused => "paused",
            State::RollbackStarted => "rollback_started",
            State::RollbackPaused => "rollback_paused",
            // The original says nothing where nothing had to be replaced.
            State::Absent | State::Completed => "completed",
            State::RollbackCompleted => "rollback_completed",
        }
    }

    fn status(&self, view: &View<'_>) -> Status {
        match self.state {
            State::Updating | State::RollbackStarted if view.halted => Status::Paused,
            State::Absent if self.changed_at.is_some() => Status::Progressing,
            State::Updating | State::RollbackStarted => Status::Progressing,
            State::Paused | State::RollbackPaused => Status::Paused,
            State::Absent | State::Completed | State::RollbackCompleted => Status::Completed,
        }
    }

    /// How many instances of each version are wanted now.
    fn desired(&self, view: &View<'_>) -> [u32; Version::COUNT] {
        let mut desired = self.behind;
        let behind = desired.iter().sum();
        desired[view.target.index()] += view.desired.saturating_sub(behind);
        desired
    }
}

impl Facts for Settings {
    fn name(&self) -> &'static str {
        "swarm"
    }

    fn commands(&self) -> &[Command] {
        &self.commands
    }

    fn commands_mut(&mut self) -> &mut Vec<Command> {
        &mut self.commands
    }

    fn resolves(&self, desired: u32) -> Vec<Resolved> {
        let of = |names: [&'static str; 6], config: &UpdateConfig| {
            let UpdateConfig { parallelism, delay, monitor, max_failure_ratio, failure_action, order } = *config;
            let workers = if parallelism == 0 { desired } else { parallelism.min(desired) };
            let tolerated =
                (0..=desired).rev().find(|failed| f64::from(*failed) <= max_failure_ratio * f64::from(desired));
            let first = match order {
                Order::StopFirst => "the old task of a slot goes before the new one starts",
                Order::StartFirst => "the new task of a slot runs before the old one goes",
            };
            [
                Resolved::new(names[0], parallelism, format!("{workers} of {desired} slots at once")),
                Resolved::new(names[1], as_written(delay), "pause of a worker after each slot, the last one included"),
                Resolved::new(names[2], as_written(monitor), "how long a task is watched for failure once it runs"),
                Resolved::new(
                    names[3],
                    max_failure_ratio,
                    format!("{} failed tasks are tolerated", tolerated.unwrap_or(0)),
                ),
                Resolved::new(names[4], failure_action.name(), "what happens when more fail"),
                Resolved::new(names[5], order.name(), first),
            ]
        };
        let update = ["parallelism", "delay", "monitor", "max_failure_ratio", "failure_action", "order"];
        let rollback = [
            "rollback parallelism",
            "rollback delay",
            "rollback monitor",
            "rollback max_failure_ratio",
            "rollback failure_action",
            "rollback order",
        ];
        let rolls_back_otherwise = self.rollback != self.update;
        let back = rolls_back_otherwise.then(|| of(rollback, &self.rollback));
        of(update, &self.update).into_iter().chain(back.into_iter().flatten()).collect()
    }

    fn relies_on_a_health_check(&self) -> Option<&'static str> {
        Some(self.update.order.name())
    }

    /// Swarm replaces the task instead.
    fn restarts_in_place(&self, _given: Option<Restart>) -> Option<Restart> {
        None
    }

    fn grace(&self) -> Option<Duration> {
        Some(GRACE)
    }

    /// The agent backs off only from a process.
    fn stop_latency(&self, phase: Phase) -> Duration {
        match phase {
            Phase::Pulling | Phase::Prepared => self.stop_latency.saturating_sub(AGENT_BACK_OFF),
            _ => self.stop_latency,
        }
    }

    /// The number of tasks is a part of the specification.
    fn scaling_can_be_undone(&self) -> bool {
        true
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

    /// One decision. Whoever acts leaves the others to the next one, which sees the fleet as the actions leave it.
    pub fn decide(&self, view: &View<'_>, memory: &mut Memory) -> Decision {
        let mut turn = Turn::new(view);
        memory.note_the_specification(&mut turn);
        memory.hear(view);
        memory.start_due(&mut turn, &self.manager);
        let mut roll_back = false;
        if turn.actions.is_empty() {
            self.advance_workers(&mut turn, memory);
        }
        if turn.actions.is_empty() {
            roll_back = self.look_at_failures(&mut turn, memory);
        }
        if turn.actions.is_empty() && !roll_back {
            let replaced = self.run_event_loop(&mut turn, memory);
            if !replaced {
                self.hand_out_slots(&mut turn, memory);
            }
        }
        let (status, reported, desired) = (memory.status(view), memory.reported(), memory.desired(view));
        let of_run = memory.run.as_mut().and_then(|run| run.wakes_next(view.now));
        let ask_again = [turn.ask_again, memory.delays.wakes_next(view.now), of_run].into_iter().flatten().min();
        let Turn { actions, settled, .. } = turn;
        Decision { actions, settled, ask_again, status, reported, desired, roll_back }
    }

    /// Whether a task is not what the current specification asks for.
    fn is_dirty(&self, view: &View<'_>, id: InstanceId) -> bool {
        let task = &view.fleet[id];
        task.version != view.target && self.change.replaces(task.phase(), true)
    }
}
