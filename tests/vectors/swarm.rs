//! Docker Swarm: adapters for what the supervisor, the updater and the reconciler decide, and a fleet in which tasks do
//! at once what they do.

use super::Played;
use rollsim::fleet::{Fleet, InstanceId, Launch, Phase, Slot, Version};
use rollsim::rollout::swarm::{
    Change, Condition, Ended, FailureAction, Manager, Memory, Occupied, Order, RestartPolicy, STOP_LATENCY, Settings,
    SpecVersion, Supervisor, UpdateConfig, in_order_of_keeping, oldest_first,
};
use rollsim::rollout::{Action, Answers, View};
use rollsim::time::SimTime;
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::time::Duration;

pub(crate) const NOT_KEPT: &[(&str, &str)] = &[
    ("node_keeps_task", "beyond its being up or down: nobody pauses, drains or deletes a node"),
    ("global_service_event", "services are replicated ones"),
    ("task_history", "tasks that are gone are not stored"),
];

pub(crate) const PLAYED: &[Played] = &[
    ("swarm-service-update-005", || not_replaced_for(Change::PullCredentials, 1, Order::StartFirst)),
    ("swarm-service-update-007", || not_replaced_for(Change::Placement, 0, Order::StopFirst)),
    ("swarm-service-update-008", || paused_at_the_first_failure().outcome()),
    ("swarm-service-update-009", paused_and_asked_again),
    ("swarm-service-update-010", paused_and_asked_for_another),
    ("swarm-service-update-011", old_tasks_that_never_stop),
    ("swarm-service-update-012", started_first),
    ("swarm-update-with-rollback-002", || rolled_back(FailureAction::Pause, true)),
    ("swarm-update-with-rollback-003", || rolled_back(FailureAction::Pause, false)),
    ("swarm-update-with-rollback-005", || rolled_back(FailureAction::Continue, false)),
    ("swarm-update-with-rollback-006", || rolled_back(FailureAction::Continue, true)),
    ("swarm-update-with-rollback-007", || rolled_back(FailureAction::Continue, false)),
];

pub(crate) fn answer(function: &str, inputs: &Value) -> Option<Value> {
    match function {
        "task_dirty" => task_dirty(inputs),
        "only_placement_differs" => only_placement_differs(inputs),
        "restart_decision" => restart_decision(inputs),
        "scale_down_choice" => scale_down_choice(inputs),
        "task_sort" => task_sort(inputs),
        "startup_reconcile" => startup_reconcile(inputs),
        "node_keeps_task" => node_keeps_task(inputs),
        _ => None,
    }
}

fn task_dirty(inputs: &Value) -> Option<Value> {
    let (change, node_satisfies) = match inputs["difference"].as_str()? {
        "none" => return Some(json!({ "dirty": false })), // It is of the same version.
        "image" => (Change::Image, true),
        "placement_constraint_not_satisfied_by_node" => (Change::Placement, false),
        "placement_constraint_satisfied_by_node" => (Change::Placement, true),
        _ => return None,
    };
    Some(json!({ "dirty": change.replaces(Phase::Ready, node_satisfies) }))
}

/// Only a difference in nothing but placement can leave a task on the node that it is on.
fn only_placement_differs(inputs: &Value) -> Option<Value> {
    let differences = inputs["differences"].as_array()?;
    let may_stay = |difference: &Value| {
        let change = match difference.as_str()? {
            "placement_constraints" => Change::Placement,
            "image" => Change::Image,
            _ => return None,
        };
        Some(!change.replaces(Phase::Ready, true))
    };
    let all: Option<Vec<bool>> = differences.iter().map(may_stay).collect();
    Some(json!({ "only_placement": !differences.is_empty() && all?.into_iter().all(|may| may) }))
}

fn restart_decision(inputs: &Value) -> Option<Value> {
    let written = &inputs["policy"];
    let millis = |key: &str| written[key].as_u64().map_or(Duration::ZERO, Duration::from_millis);
    let policy = RestartPolicy {
        condition: match written["condition"].as_str()? {
            "any" => Condition::Any,
            "on_failure" => Condition::OnFailure,
            "none" => Condition::None,
            _ => return None,
        },
        delay: millis("delay_ms"),
        max_attempts: written["max_attempts"].as_u64().unwrap_or(0) as u32,
        window: millis("window_ms"),
    };
    let (slot, mut supervisor) = (Slot(1), Supervisor::default());
    let (mut now, mut spec) = (SimTime::START + Duration::from_hours(1), SpecVersion(1));
    let (mut restarted, mut delay) = (false, Duration::ZERO);
    for (task, event) in inputs["history"].as_array()?.iter().enumerate() {
        now = now + Duration::from_millis(event["after_ms"].as_u64().unwrap_or(0)) + Duration::from_millis(1);
        restarted = match event["event"].as_str()? {
            how @ ("failed" | "completed") => {
                let ended = Ended { task: InstanceId(task as u32), spec, at: now, well: how == "completed" };
                let replacement = supervisor.ended(&policy, slot, ended, spec, now);
                delay = replacement.map_or(delay, |replacement| replacement.starts_after);
                replacement.is_some()
            }
            "service_update" => {
                let is_another = event["spec_changed"] == true || event["force"] == true;
                spec.0 += u32::from(is_another);
                // An update takes care of what was given up, where that is outdated.
                let is_outdated = |ended: Ended| ended.spec != spec && Change::Force.replaces(Phase::Gone, true);
                supervisor.given_up(false).any(|(_, ended)| is_outdated(ended))
            }
            _ => return None,
        };
    }
    let delay = delay.as_millis() as u64;
    Some(json!({ "restart": restarted, "initial_desired": "ready", "min_delay_before_running_ms": delay }))
}

fn scale_down_choice(inputs: &Value) -> Option<Value> {
    let tasks = inputs["tasks"].as_array()?;
    let slot_of = |task: &Value| task["slot"].as_u64().map(|slot| Slot(slot as u32));
    let slots: BTreeSet<Slot> = tasks.iter().map(slot_of).collect::<Option<_>>()?;
    let occupied = |slot: &Slot| {
        let held: Vec<&Value> = tasks.iter().filter(|task| slot_of(task) == Some(*slot)).collect();
        let node = held[0]["node"].as_str().and_then(|node| node.trim_start_matches("node").parse().ok());
        let runs = held.iter().any(|task| task["state"] == "running");
        Occupied { slot: *slot, runs, node: node.filter(|_| held.len() == 1) }
    };
    let removed = in_order_of_keeping(slots.iter().map(occupied).collect())
        .split_off((inputs["replicas"].as_u64()? as usize).min(slots.len()));
    let goes = |task: &&Value| slot_of(task).is_some_and(|slot| removed.contains(&slot));
    Some(json!({ "removed": tasks.iter().filter(goes).map(|task| task["id"].clone()).collect::<Vec<_>>() }))
}

fn task_sort(inputs: &Value) -> Option<Value> {
    let tasks = inputs["tasks"].as_array()?;
    let at = |task: &Value| Some(SimTime::START + Duration::from_secs(task["timestamp_s"].as_u64()?));
    let timed = |(place, task): (usize, &Value)| Some((at(task)?, InstanceId(place as u32)));
    let is_plain = tasks.iter().all(|task| task.as_object().is_some_and(|keys| keys.len() == 2));
    let timed: Option<Vec<(SimTime, InstanceId)>> = tasks.iter().enumerate().map(timed).collect();
    let order = oldest_first(timed.filter(|_| is_plain)?);
    Some(json!({ "order": order.iter().map(|(_, id)| tasks[id.index()]["id"].clone()).collect::<Vec<_>>() }))
}

/// What the manager does at once about the tasks that it finds.
fn startup_reconcile(inputs: &Value) -> Option<Value> {
    if inputs["mode"] != "replicated" {
        return None;
    }
    let mut service = Service::new(0, UpdateConfig::default(), |_, _| false);
    service.settings.restart = RestartPolicy::default();
    service.replicas = inputs["replicas"].as_u64()? as u32;
    for task in inputs["tasks"].as_array()? {
        if task["desired"] != "running" {
            return None;
        }
        // Slots of the vectors are counted from 1.
        let slot = Slot(task["slot"].as_u64()?.checked_sub(1)? as u32);
        service.finds(slot, task["state"].as_str()?, task["node"].as_str()?)?;
    }
    let found = service.fleet.len();
    service.decide_at_once();
    let live = |(id, _): &(InstanceId, _)| id.index() < found;
    let kept = service.fleet.all_live().filter(live).count();
    let created = service.fleet.len() - found;
    Some(json!({ "shut_down": found - kept, "created": created, "live": service.fleet.all_live().count() }))
}

fn node_keeps_task(inputs: &Value) -> Option<Value> {
    let (state, node) = match (inputs["availability"].as_str(), inputs["node_state"].as_str()) {
        (Some("active"), Some(node @ ("ready" | "down"))) => ("running", node),
        (None, None) => ("new", "ready"), // It is assigned to none yet.
        _ => return None,
    };
    let mut service = Service::new(0, UpdateConfig::default(), |_, _| false);
    service.settings.restart = RestartPolicy::default();
    service.replicas = 1;
    service.finds(Slot(0), state, node)?;
    service.decide_at_once();
    Some(json!({ "keeps": service.fleet.live(Version::OLD) == 1 && service.fleet.len() == 1 }))
}

// --- the fleet
// -------------------------------------------------------------------------------------------------------

/// A service whose tasks do at once whatever they do.
struct Service {
    settings: Settings,
    fleet: Fleet,
    memory: Memory,
    now: SimTime,
    replicas: u32,
    target: Version,
    revision: u32,
    rolling_back: bool,
    /// Whether a task, the n-th of its version, fails instead of running.
    fails: fn(Version, u32) -> bool,
    /// Whether tasks that are told to stop do.
    stops: bool,
    reported: &'static str,
}

impl Service {
    /// A service with as many old tasks, and nobody who restarts them.
    fn new(replicas: u32, update: UpdateConfig, fails: fn(Version, u32) -> bool) -> Self {
        let mut fleet = Fleet::new(1);
        for slot in (0..replicas).map(Slot) {
            let launch = Launch { version: Version::OLD, slot: Some(slot), rank: 0, held_out: false };
            let id = fleet.launch(SimTime::START, launch);
            for phase in [Phase::Prepared, Phase::Starting, Phase::Ready] {
                fleet.enter(id, phase, SimTime::START);
            }
        }
        let settings = Settings {
            update,
            rollback: UpdateConfig { failure_action: FailureAction::Pause, ..update },
            restart: RestartPolicy { condition: Condition::None, ..RestartPolicy::default() },
            change: Change::Image,
            stop_latency: STOP_LATENCY,
            manager: Manager::default(),
            commands: Vec::new(),
        };
        let now = SimTime::START + Duration::from_hours(1);
        let (target, memory) = (Version::OLD, Memory::default());
        let (revision, rolling_back, stops, reported) = (0, false, true, "");
        Service { settings, fleet, memory, now, replicas, target, revision, rolling_back, fails, stops, reported }
    }

    /// A task that is there already; `None` where no instance is in such a state.
    fn finds(&mut self, slot: Slot, state: &str, node: &str) -> Option<()> {
        let phases: &[Phase] = match (state, node) {
            ("new" | "pending" | "assigned", "ready") => &[],
            ("ready", "ready") => &[Phase::Prepared],
            ("starting", "ready") => &[Phase::Prepared, Phase::Starting],
            ("running", "ready") => &[Phase::Prepared, Phase::Starting, Phase::Ready],
            ("failed", "ready") | ("running", "down") => &[Phase::Prepared, Phase::Starting, Phase::Ready, Phase::Down],
            _ => return None,
        };
        let launch = Launch { version: Version::OLD, slot: Some(slot), rank: 0, held_out: false };
        let id = self.fleet.launch(SimTime::START, launch);
        for phase in phases {
            self.fleet.enter(id, *phase, SimTime::START);
        }
        if node == "down" {
            self.fleet.note_repair(id); // It has been silent for an hour.
        }
        Some(())
    }

    fn aim_at(&mut self, target: Version, rolling_back: bool) {
        (self.target, self.rolling_back) = (target, rolling_back);
        self.revision += 1;
    }

    /// Lets time pass until nothing is left to do.
    fn settle(&mut self) {
        while let Some(at) = self.decide_at_once() {
            self.now = at;
        }
    }

    /// All that is decided now. Returns when the orchestrator wishes to be asked again.
    fn decide_at_once(&mut self) -> Option<SimTime> {
        let order: Vec<Slot> = (0..self.replicas).map(Slot).collect();
        for _ in 0..10_000 {
            let view = View {
                now: self.now,
                fleet: &self.fleet,
                desired: self.replicas,
                target: self.target,
                revision: self.revision,
                rolling_back: self.rolling_back,
                halted: false,
                answers: &Answers::NONE,
                promotions: 0,
                aborts: 0,
                slot_order: &order,
            };
            let decision = self.settings.decide(&view, &mut self.memory);
            let is_content = decision.actions.is_empty() && decision.settled;
            self.fleet.forget_changes();
            self.reported = decision.reported;
            decision.actions.into_iter().for_each(|action| self.perform(action));
            if decision.roll_back {
                self.aim_at(Version::OLD, true);
            } else if is_content {
                return decision.ask_again;
            }
        }
        panic!("never content");
    }

    fn perform(&mut self, action: Action) {
        match action {
            Action::Launch { version, slot, hold, held_out } => {
                let id = self.fleet.launch(self.now, Launch { version, slot, rank: 0, held_out });
                self.fleet.enter(id, Phase::Prepared, self.now);
                if !hold {
                    self.start(id);
                }
            }
            Action::Start(id) => self.start(id),
            Action::Terminate { instance, .. } => self.stop(instance),
            Action::TakeOut(_) | Action::PutBack(_) | Action::Split(_) => unreachable!("Swarm does not"),
        }
    }

    fn start(&mut self, id: InstanceId) {
        if self.fleet[id].phase() == Phase::Prepared {
            let task = &self.fleet[id];
            let fails = (self.fails)(task.version, task.ordinal);
            self.fleet.enter(id, Phase::Starting, self.now);
            self.fleet.enter(id, if fails { Phase::Down } else { Phase::Ready }, self.now);
        }
    }

    fn stop(&mut self, id: InstanceId) {
        if self.fleet[id].phase() == Phase::Ready {
            self.fleet.enter(id, Phase::Stopping, self.now);
        }
        if self.stops || self.fleet[id].phase() != Phase::Stopping {
            self.fleet.enter(id, Phase::Gone, self.now);
        }
    }

    /// The newest task of each slot, by version, and what is reported.
    fn outcome(&self) -> Value {
        let newest = |slot| self.fleet.all().filter(|(_, task)| task.slot == slot).last().expect("it had one").1;
        let new = (0..self.replicas).filter(|slot| newest(Slot(*slot)).version > Version::OLD).count() as u32;
        json!({ "slots": self.replicas, "new_tasks": new, "old_tasks": self.replicas - new, "state": self.reported })
    }
}

fn update(parallelism: u32, delay_ms: u64, monitor_ms: u64) -> UpdateConfig {
    let (delay, monitor) = (Duration::from_millis(delay_ms), Duration::from_millis(monitor_ms));
    UpdateConfig { parallelism, delay, monitor, ..UpdateConfig::default() }
}

fn not_replaced_for(change: Change, parallelism: u32, order: Order) -> Value {
    let mut service = Service::new(3, UpdateConfig { order, ..update(parallelism, 10, 50) }, |_, _| false);
    service.settings.change = change;
    service.aim_at(Version::NEW, false);
    service.settle();
    service.outcome()
}

fn paused_at_the_first_failure() -> Service {
    let mut service = Service::new(3, update(1, 500, 500), |version, _| version > Version::OLD);
    service.aim_at(Version::NEW, false);
    service.settle();
    service
}

/// The same specification once more is no other one.
fn paused_and_asked_again() -> Value {
    let mut service = paused_at_the_first_failure();
    service.now = service.now + Duration::from_mins(1);
    service.settle();
    service.outcome()
}

fn paused_and_asked_for_another() -> Value {
    let mut service = paused_at_the_first_failure();
    service.settings.update.failure_action = FailureAction::Continue;
    service.aim_at(Version(2), false);
    service.settle();
    service.outcome()
}

/// The wait of the vector is shorter than production's minute; what it says is told in that minute.
fn old_tasks_that_never_stop() -> Value {
    let mut service = Service::new(3, update(0, 0, 50), |_, _| false);
    service.stops = false;
    let began = service.now;
    service.aim_at(Version::NEW, false);
    service.settle();
    let monitor = Duration::from_millis(50);
    let waits = service.now.since(began).saturating_sub(monitor).as_secs_f64() / 60.0;
    let outcome = service.outcome();
    json!({ "new_tasks": outcome["new_tasks"], "old_tasks": outcome["old_tasks"], "min_elapsed_ms": waits * 100.0 })
}

fn started_first() -> Value {
    let mut service = Service::new(3, UpdateConfig { order: Order::StartFirst, ..update(1, 10, 50) }, |_, _| false);
    service.stops = false;
    service.aim_at(Version::NEW, false);
    service.settle();
    let all = |version: Version, phase: Phase| service.fleet.count(version, phase) == 3;
    json!({
        "running_tasks": service.fleet.existing().count(),
        "old_desired": if all(Version::OLD, Phase::Stopping) { "shutdown" } else { "running" },
        "new_desired": if all(Version::NEW, Phase::Ready) { "running" } else { "shutdown" },
    })
}

/// Of four tasks the first new one fails, the second runs and the third fails; those of the rollback all fail, or run.
fn rolled_back(failure_action: FailureAction, fails_again: bool) -> Value {
    let config = UpdateConfig { max_failure_ratio: 0.4, ..update(1, 10, 500) };
    let fails: fn(Version, u32) -> bool = if fails_again {
        |version, nth| version == Version::OLD || nth != 1
    } else {
        |version, nth| version > Version::OLD && nth != 1
    };
    let mut service = Service::new(4, UpdateConfig { failure_action: FailureAction::Rollback, ..config }, fails);
    service.settings.rollback = UpdateConfig { failure_action, ..config };
    service.aim_at(Version::NEW, false);
    service.settle();
    json!({
        "new_tasks_created_before_rollback": service.fleet.launched(Version::NEW),
        "old_version_tasks_recreated": service.fleet.launched(Version::OLD) - 4,
        "final_state": service.reported,
    })
}
