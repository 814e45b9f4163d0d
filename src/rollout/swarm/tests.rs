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
        manager: Manager::default(),
        commands: Vec::new(),
    }
}

fn slots(count: u32) -> Vec<Slot> {
    (0..count).map(Slot).collect()
}

/// A fleet and its orchestrator: what is decided is done at once, and nothing else.
struct Played {
    settings: Settings,
    fleet: Fleet,
    memory: Memory,
    now: SimTime,
    desired: u32,
    target: Version,
    revision: u32,
    rolling_back: bool,
    /// When the orchestrator wishes to be asked again.
    ask_again: Option<SimTime>,
    state: &'static str,
}

impl Played {
    /// A fleet that is told to bring the new version.
    fn new(letters: &str, settings: Settings) -> Self {
        Played {
            settings,
            fleet: drawn::fleet(letters),
            memory: Memory::default(),
            now: SimTime::START + Duration::from_mins(1),
            desired: letters.len() as u32,
            target: Version::NEW,
            revision: 1,
            rolling_back: false,
            ask_again: None,
            state: "",
        }
    }

    /// Lets time pass.
    fn after(&mut self, seconds: f64) -> &mut Self {
        self.now = self.now + Duration::from_secs_f64(seconds);
        self
    }

    /// Another version is asked for.
    fn aim_at(&mut self, target: Version, rolling_back: bool) -> &mut Self {
        (self.target, self.rolling_back) = (target, rolling_back);
        self.revision += 1;
        self
    }

    /// Some instances enter phases, one after the other.
    fn enters(&mut self, id: u32, phases: &[Phase]) -> &mut Self {
        for phase in phases {
            self.fleet.enter(InstanceId(id), *phase, self.now);
        }
        self
    }

    /// What the orchestrator does now, until it is content.
    #[track_caller]
    fn does(&mut self, then: &str) -> &mut Self {
        let mut all = Vec::new();
        for _ in 0..100 {
            let slots = slots(20);
            let view = View {
                now: self.now,
                desired: self.desired,
                target: self.target,
                revision: self.revision,
                rolling_back: self.rolling_back,
                ..shown(&self.fleet, self.desired, &slots)
            };
            let decision = self.settings.decide(&view, &mut self.memory);
            let is_content = decision.actions.is_empty() && decision.settled;
            self.fleet.forget_changes();
            (self.ask_again, self.state) = (decision.ask_again, decision.reported);
            decision.actions.iter().for_each(|action| self.perform(*action));
            all.extend(decision.actions);
            if decision.roll_back {
                self.aim_at(Version::OLD, true);
            } else if is_content {
                assert_eq!(written(&all), then, "after {:?}", self.now.since(SimTime::START));
                return self;
            }
        }
        panic!("never content: {}", written(&all));
    }

    /// What runs takes its time to stop; all else is done at once.
    fn perform(&mut self, action: Action) {
        match action {
            Action::Launch { version, slot, hold, held_out } => {
                let launch = crate::fleet::Launch { version, slot, rank: 0, held_out };
                let id = self.fleet.launch(self.now, launch);
                self.fleet.enter(id, Phase::Prepared, self.now);
                if !hold {
                    self.fleet.enter(id, Phase::Starting, self.now);
                }
            }
            Action::Start(id) if self.fleet[id].phase() == Phase::Prepared => {
                self.fleet.enter(id, Phase::Starting, self.now);
            }
            Action::Terminate { instance, .. } => {
                let runs = matches!(self.fleet[instance].phase(), Phase::Starting | Phase::Ready);
                let next = if runs { Phase::Stopping } else { Phase::Gone };
                self.fleet.enter(instance, next, self.now);
            }
            Action::Start(_) | Action::TakeOut(_) | Action::PutBack(_) | Action::Split(_) => {}
        }
    }
}

const RAN: &[Phase] = &[Phase::Ready];
const FAILED: &[Phase] = &[Phase::Down];
const STOPPED: &[Phase] = &[Phase::Gone];

#[track_caller]
fn first_decision(letters: &str, parallelism: u32, order: Order, then: &str) {
    let update = UpdateConfig { parallelism, order, ..UpdateConfig::default() };
    Played::new(letters, settings(update)).does(then);
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

/// What is done about a fleet that is to have so many instances.
#[track_caller]
fn scaled(letters: &str, desired: u32, then: &str) {
    let mut played = Played::new(letters, settings(UpdateConfig::default()));
    played.desired = desired;
    played.does(then);
}

#[test]
fn missing_slots_are_filled_at_once_and_surplus_ones_emptied() {
    //     given  desired then
    scaled("nnn", 5, "+ +");
    scaled("nnnnn", 3, "-3 -4");
    scaled("bnnnn", 3, "-0 -4"); // What does not run goes first.
    scaled("onnn", 2, "-2 -3 +held -0"); // The slots that stay are updated.
}

#[test]
fn a_new_task_waits_for_the_old_one_but_no_longer_than_a_minute() {
    let mut played = Played::new("oo", settings(UpdateConfig::default()));
    played.does("+held -0").after(59.9).does("").after(0.1).does("start2");
    // The old one is still there; the next slot waits until the new one runs, however long that takes.
    played.after(3_600.0).does("").enters(2, RAN).does("+held -1");
    played.after(1.0).enters(1, STOPPED).does("start3");
}

#[test]
fn a_slot_takes_its_delay_and_the_last_one_does_too() {
    let update = UpdateConfig { delay: Duration::from_secs(3), ..UpdateConfig::default() };
    let mut played = Played::new("oo", settings(update));
    played.does("+held -0").enters(0, STOPPED).does("start2").enters(2, RAN).does("");
    played.after(3.0).does("+held -1").enters(1, STOPPED).does("start3").enters(3, RAN).does("");
    played.after(3.0).does("").after(4.9).does("");
    assert_eq!(played.state, "updating");
    played.after(0.1).does("");
    assert_eq!(played.state, "completed");
}

#[test]
fn a_start_first_update_does_not_wait_for_the_old_task_to_stop() {
    let update = UpdateConfig { order: Order::StartFirst, ..UpdateConfig::default() };
    let mut played = Played::new("oo", settings(update));
    played.does("+").enters(2, RAN).does("-0 +").enters(3, RAN).does("-1");
}

fn failing(failure_action: FailureAction, order: Order) -> Settings {
    settings(UpdateConfig { failure_action, order, ..UpdateConfig::default() })
}

#[test]
fn a_pause_ends_the_update_but_not_the_restarts() {
    let mut played = Played::new("ooo", failing(FailureAction::Pause, Order::StopFirst));
    played.does("+held -0").enters(0, STOPPED).does("start3");
    // The failure frees the worker, but no slot is handed out any more. The supervisor replaces what failed.
    played.enters(3, FAILED).does("-3 +held");
    assert_eq!(played.state, "paused");
    played.after(5.0).does("start4").enters(4, FAILED).does("-4 +held").after(3_600.0).does("start5");
    // Another version is taken up anew, over all slots.
    played.enters(5, RAN).aim_at(Version(2), false).does("+old -5");
}

#[test]
fn an_update_that_continues_takes_every_slot() {
    let mut played = Played::new("oo", failing(FailureAction::Continue, Order::StopFirst));
    played.does("+held -0").enters(0, STOPPED).does("start2").enters(2, FAILED).does("-2 +held +held -1");
    played.enters(1, STOPPED).does("start4").enters(4, FAILED).does("-4 +held").after(5.0).does("start3 start5");
    assert_eq!(played.state, "completed", "the monitoring period is waited for all the same");
}

#[test]
fn a_rollback_comes_before_the_supervisor_and_goes_by_its_own_configuration() {
    let mut service = failing(FailureAction::Rollback, Order::StopFirst);
    service.rollback = UpdateConfig { parallelism: 0, order: Order::StartFirst, ..UpdateConfig::default() };
    let mut played = Played::new("ooo", service);
    played.does("+held -0").enters(0, STOPPED).does("start3").enters(3, RAN).does("+held -1");
    // The failed task is replaced by one of the version before, which waits for its delay. The slot that was stopped
    // for an update is dirty, and what is prepared there is stopped once the old version runs there.
    played.enters(3, FAILED).does("-3 +old +old");
    assert_eq!(played.state, "rollback_started");
    played.enters(6, RAN).does("-4").after(5.0).does("start5").enters(5, RAN).does("");
    assert_eq!(played.state, "rollback_completed");
}

#[test]
fn a_failing_rollback_is_paused() {
    let mut service = failing(FailureAction::Rollback, Order::StopFirst);
    service.update.parallelism = 2;
    let mut played = Played::new("oooo", service);
    played.does("+held -0 +held -1").enters(0, STOPPED).enters(1, STOPPED).does("start4 start5");
    played.enters(4, RAN).does("+held -2").enters(5, FAILED).does("-5 +old +old -4");
    assert_eq!(played.state, "rollback_started");
    played.enters(4, STOPPED).does("start8").enters(8, FAILED).does("-8 +old");
    assert_eq!(played.state, "rollback_paused");
}

#[test]
fn workers_know_a_slot_as_it_was_when_the_update_began() {
    // The task of the second slot fails before the worker comes to it: somebody else has stopped it, and the slot is
    // given up. What the supervisor made of it is of the new version anyhow.
    let mut played = Played::new("ooo", settings(UpdateConfig::default()));
    played.does("+held -0").enters(1, FAILED).does("-1 +held").enters(0, STOPPED).does("start3");
    played.enters(3, RAN).does("+held -2");
}

#[test]
fn a_slot_whose_last_task_is_not_replaced_is_left_to_the_next_update() {
    let never = RestartPolicy { condition: Condition::None, ..RestartPolicy::default() };
    let mut played = Played::new("wo", Settings { restart: never, ..settings(UpdateConfig::default()) });
    // The slot's last task is outdated: the update takes the slot, and waits for nobody there.
    played.does("-0 +held start2").enters(2, RAN).does("+held -1");
    // But a rollback leaves no slot empty: the reconciler fills it at once.
    let mut played = Played::new("xo", Settings { restart: never, ..settings(UpdateConfig::default()) });
    played.does("-0 +held -1");
    played.aim_at(Version::OLD, true).does("+old +old -2 start4");
}

#[test]
fn another_version_in_mid_update_takes_all_slots_anew() {
    let mut played = Played::new("ooo", settings(UpdateConfig::default()));
    played.does("+held -0").enters(0, STOPPED).does("start3").enters(3, RAN).does("+held -1");
    // The second slot's new task is not the newest one any more, but starts when its old one has stopped.
    played.aim_at(Version(2), false).does("+old -3").enters(1, STOPPED).does("start4");
    played.enters(3, STOPPED).does("start5").enters(5, RAN).does("+old -4");
}

#[test]
fn scaling_in_mid_update_begins_it_anew_over_what_is_left() {
    let mut played = Played::new("oooo", settings(UpdateConfig::default()));
    played.does("+held -0").enters(0, STOPPED).does("start4").enters(4, RAN).does("+held -1");
    played.desired = 5;
    // What is missing is new at once; the slot in work starts by itself, and the next one is taken.
    played.does("+ +held -2");
    played.desired = 3;
    // Of the slots without a running task the lowest one is kept. The other one that stays is updated.
    played.does("-7 -6 +held -3").enters(1, STOPPED).does("start5");
}

fn failed(policy: RestartPolicy) -> Played {
    let mut played = Played::new("nnn", Settings { restart: policy, ..settings(UpdateConfig::default()) });
    played.enters(1, FAILED);
    played
}

#[test]
fn a_failed_task_is_replaced_by_one_that_starts_later() {
    let mut played = failed(RestartPolicy::default());
    played.does("-1 +held").after(4.9).does("").after(0.1).does("start3");
}

#[test]
fn a_failed_task_stays_down_where_nothing_is_restarted() {
    failed(RestartPolicy { condition: Condition::None, ..RestartPolicy::default() }).does("-1");
}

#[test]
fn attempts_are_counted_until_the_specification_changes() {
    let mut played = failed(RestartPolicy { max_attempts: 1, ..RestartPolicy::default() });
    played.does("-1 +held").after(5.0).does("start3").enters(3, FAILED).does("-3");
    // A task that was created before the service grew is of the specification before; its replacement is not.
    let mut played = failed(RestartPolicy { max_attempts: 1, ..RestartPolicy::default() });
    played.does("-1 +held").after(5.0).does("start3");
    played.desired = 4;
    played.does("+").enters(4, FAILED).does("-4 +held").after(5.0).does("start5").enters(5, FAILED).does("-5");
}

#[test]
fn a_node_that_is_silent_is_down_after_three_heartbeats() {
    let mut played = failed(RestartPolicy::default());
    played.fleet.note_repair(InstanceId(1));
    played.does("").after(14.9).does("").after(0.1).does("-1 +held").after(5.0).does("start3");
}

#[test]
fn a_change_that_tasks_need_not_know_replaces_none() {
    for (change, then) in [(Change::Force, "+held -0"), (Change::PullCredentials, ""), (Change::Placement, "")] {
        let mut played = Played::new("oob", Settings { change, ..settings(UpdateConfig::default()) });
        played.does(then);
    }
}

#[test]
fn a_manager_that_takes_its_time_does_one_thing_after_the_other() {
    let millis = Duration::from_millis;
    let manager = Manager { event_loop: millis(10), updater: millis(30), change: millis(5) };
    let mut played = Played::new("nno", Settings { manager, ..failing(FailureAction::Rollback, Order::StopFirst) });
    let begun = played.now;
    // The reconciler looks after 10 + 5 ms, and the worker creates a task 5 ms later.
    played.does("").after(0.015).does("").after(0.005).does("+held -2");
    assert_eq!(played.now.since(begun), millis(20));
    // Both failures are replaced, one after the other, before the updater speaks.
    played.after(1.0).enters(0, FAILED).enters(1, FAILED).does("");
    played.after(0.015).does("-0 +held").after(0.005).does("-1 +held");
    // The old task's end is seen after 30 ms, and answered 5 ms later.
    played.after(1.0).enters(2, STOPPED).after(0.034).does("").after(0.001).does("start3");
    // The rollback comes 35 ms after the failure, and the supervisor was first.
    played.after(1.0).enters(3, FAILED).after(0.015).does("-3 +held").after(0.015).does("");
    assert_eq!(played.state, "updating");
    played.after(0.005).does("");
    assert_eq!(played.state, "rollback_started");
}
