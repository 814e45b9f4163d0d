//! The rules, as AWS's documentation tells them, on fleets small enough to be followed by hand.

use super::alarm::State;
use super::*;
use crate::fleet::{Fleet, Launch, Phase, Slot};
use crate::rollout::{Answers, Status, Walk, shown, written};

fn seconds(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

fn settings(minimum_healthy_percent: u32, maximum_percent: u32) -> Settings {
    Settings {
        minimum_healthy_percent,
        maximum_percent,
        health_check_grace_period: Duration::ZERO,
        has_health_check: true,
        circuit_breaker: None,
        alarm: None,
        bake_time: Duration::ZERO,
        quota: None,
        commands: Vec::new(),
    }
}

fn with_breaker(breaker: CircuitBreaker) -> Settings {
    Settings { circuit_breaker: Some(breaker), ..settings(100, 200) }
}

impl Walk {
    /// The process of a task begins, and is not up yet.
    fn begins(&mut self, id: u32) {
        for phase in [Phase::Prepared, Phase::Starting] {
            self.fleet.enter(InstanceId(id), phase, self.now);
        }
    }

    fn all_start(&mut self, ids: impl IntoIterator<Item = u32>) {
        ids.into_iter().for_each(|id| self.starts(id));
    }

    /// Another version is asked for.
    fn is_asked_for(&mut self, version: Version) {
        (self.target, self.revision) = (version, self.revision + 1);
    }
}

/// "Best practices for Amazon ECS service parameters": six tasks where there is room for eight.
#[test]
fn six_tasks_in_a_cluster_with_room_for_eight_go_two_by_two() {
    let mut walk = Walk::new("oooooo", Settings { quota: Some(8), ..settings(100, 200) });
    assert_eq!(walk.at(0), "+ +");
    walk.all_start([6, 7]);
    assert_eq!(walk.at(1), "-0 -1 + +");
    walk.all_start([8, 9]);
    assert_eq!(walk.at(2), "-2 -3 + +");
    walk.stands(Status::Progressing, "IN_PROGRESS", 2, 6);
    walk.all_start([10, 11]);
    assert_eq!(walk.at(3), "-4 -5");
    walk.stands(Status::Completed, "COMPLETED", 0, 6);
}

/// The same page: with a minimum of 50 % three stop at once, five start, the other three stop, and the last one starts.
#[test]
fn with_half_of_them_the_same_six_take_two_steps() {
    let mut walk = Walk::new("oooooo", Settings { quota: Some(8), ..settings(50, 200) });
    assert_eq!(walk.at(0), "-0 -1 -2 + + + + +");
    walk.all_start(6..11);
    assert_eq!(walk.at(1), "-3 -4 -5 +");
    walk.starts(11);
    walk.at(2);
    walk.stands(Status::Completed, "COMPLETED", 0, 6);
}

/// "Deploy Amazon ECS services by replacing tasks", and what it says of 75 % and of 125 % of two.
#[test]
fn the_minimum_rounds_up_and_the_maximum_down() {
    for (percent, desired, minimum) in [(50, 4, 2), (75, 2, 2), (50, 5, 3), (100, 7, 7), (0, 9, 0)] {
        assert_eq!(settings(percent, 200).minimum(desired), minimum);
    }
    for (percent, desired, maximum) in [(200, 4, 8), (125, 2, 2), (125, 3, 3), (125, 4, 5), (150, 3, 4)] {
        assert_eq!(settings(100, percent).maximum(desired), maximum);
    }
    assert_eq!(Walk::new("oo", settings(75, 125)).at(0), "", "nothing may stop, and nothing may start");
    assert_eq!(Walk::new("ooo", settings(100, 125)).at(0), "");
    assert_eq!(Walk::new("oooo", settings(100, 125)).at(0), "+");
    assert_eq!(Walk::new("oooo", settings(50, 100)).at(0), "-0 -1 + +");
    assert_eq!(Walk::new("oooo", settings(0, 100)).at(0), "-0 -1 -2 -3 + + + +");
}

fn decided(settings: &Settings, letters: &str, desired: u32) -> String {
    let fleet = crate::fleet::drawn::fleet(letters);
    written(&settings.decide(&shown(&fleet, desired, &[]), &mut settings.memory(desired)).actions)
}

#[test]
fn tasks_on_their_way_out_hold_new_ones_back() {
    let bounds = settings(50, 150);
    assert_eq!(decided(&bounds, "oo", 4), "+ + + +");
    assert_eq!(decided(&bounds, "oodd", 4), "+ +");
    assert_eq!(decided(&bounds, "oodddd", 4), "");
    // Who has ended by itself does not: it is gone as soon as that is said.
    assert_eq!(decided(&bounds, "oodddw", 4), "-5 +");
}

#[test]
fn old_tasks_stay_until_as_many_new_ones_are_healthy() {
    let mut walk = Walk::new("oooo", settings(100, 200));
    assert_eq!(walk.at(0), "+ + + +");
    walk.begins(4);
    assert_eq!(walk.at(1), "", "RUNNING is not healthy yet");
    walk.fleet.enter(InstanceId(4), Phase::Ready, walk.now);
    assert_eq!(walk.at(2), "-0");
    walk.all_start(5..8);
    assert_eq!(walk.at(3), "-1 -2 -3");
    walk.stands(Status::Completed, "COMPLETED", 0, 4);
}

/// API reference, `minimumHealthyPercent`: without any health check 40 s of RUNNING are enough.
#[test]
fn without_a_check_a_task_is_healthy_after_40_s() {
    let mut walk = Walk::new("oo", Settings { has_health_check: false, ..settings(100, 200) });
    walk.at(0);
    walk.begins(2);
    walk.starts(3);
    assert_eq!((walk.at(1), walk.at(39)), (String::new(), String::new()));
    assert_eq!(walk.at(40), "-0 -1");
    walk.stands(Status::Completed, "COMPLETED", 0, 2);
}

#[test]
fn within_the_grace_period_nobody_minds_a_failing_check() {
    let mut walk = Walk::new("oo", Settings { health_check_grace_period: seconds(60), ..settings(100, 200) });
    walk.at(0);
    for id in [2, 3] {
        walk.begins(id);
    }
    walk.at(0);
    for id in [2, 3] {
        walk.fleet.note_failing_checks(InstanceId(id));
    }
    assert_eq!((walk.at(30), walk.at(59)), (String::new(), String::new()));
    assert_eq!(walk.at(60), "-2 +", "one at a time, for there is room for no other");
    walk.starts(4);
    assert_eq!(walk.at(61), "-0 +", "an old one's room is as good");
    assert_eq!(walk.at(62), "", "and the other unhealthy one waits for what becomes of that");
}

/// "Amazon ECS services": a replacement starts first, and the unhealthy task stops when that is healthy.
#[test]
fn a_replacement_comes_before_an_unhealthy_task_goes() {
    let mut walk = Walk::new("nnn", settings(100, 200));
    walk.at(0);
    walk.stands(Status::Completed, "COMPLETED", 0, 3);
    walk.fleet.enter(InstanceId(1), Phase::Unready, walk.now);
    assert_eq!(walk.at(1), "+");
    walk.starts(3);
    assert_eq!(walk.at(2), "-1");
    // One whose replacement is unhealthy, too: either goes, and the next replacement comes.
    walk.fleet.enter(InstanceId(0), Phase::Unready, walk.now);
    assert_eq!(walk.at(3), "+");
    walk.begins(4);
    walk.fleet.note_failing_checks(InstanceId(4));
    assert_eq!(walk.at(4), "-0 +");
    // One that recovers makes its replacement one too many.
    walk.fleet.enter(InstanceId(4), Phase::Ready, walk.now);
    assert_eq!(walk.at(5), "-5");
}

/// The same page, and `minimumHealthyPercent`: where the maximum leaves no room, unhealthy tasks go one by one, and only
/// so many that the minimum still runs.
#[test]
fn for_want_of_room_unhealthy_tasks_go_one_by_one() {
    let unhealthy = |minimum: u32| {
        let mut walk = Walk::new("nnnn", settings(minimum, 100));
        walk.at(0);
        for id in [0, 1, 2] {
            walk.fleet.enter(InstanceId(id), Phase::Unready, walk.now);
        }
        walk
    };
    let mut walk = unhealthy(50);
    assert_eq!(walk.at(1), "-0 +");
    walk.starts(4);
    assert_eq!(walk.at(2), "-1 +");
    assert_eq!(unhealthy(99).at(1), "", "99 % of four are four, and four run");
}

#[test]
fn tasks_that_end_are_replaced_at_once() {
    let mut walk = Walk::new("nnn", settings(100, 200));
    walk.at(0);
    walk.ends(2);
    assert_eq!(walk.at(1), "-2 +");
    walk.breaks(0);
    assert_eq!((walk.at(2), walk.at(65)), (String::new(), String::new()), "nobody has found out");
    assert_eq!(walk.at(66), "-0 +");
}

#[test]
fn too_many_tasks_stop_where_most_of_them_are() {
    let mut fleet = Fleet::new(2);
    for slot in [1, 0, 2, 4] {
        let launch = Launch { version: Version::NEW, slot: Some(Slot(slot)), rank: 0, held_out: false };
        let id = fleet.launch(SimTime::START, launch);
        for phase in [Phase::Prepared, Phase::Starting, Phase::Ready] {
            fleet.enter(id, phase, SimTime::START);
        }
    }
    let settings = settings(50, 200);
    let stopped = |desired| written(&settings.decide(&shown(&fleet, desired, &[]), &mut settings.memory(4)).actions);
    assert_eq!((stopped(3).as_str(), stopped(2).as_str()), ("-1", "-1 -2"), "the first one is alone in its zone");
    assert_eq!(stopped(1), "-1 -2 -0", "a tie goes by the order among equals");
}

/// "How the Amazon ECS deployment circuit breaker detects failures", and ThresholdConfiguration.
#[test]
fn the_threshold_is_half_of_the_tasks_between_3_and_200() {
    for (desired, tasks) in [(1, 3), (6, 3), (7, 4), (25, 13), (400, 200), (800, 200)] {
        assert_eq!(Threshold::default().tasks(desired), tasks, "of {desired}");
    }
    let threshold = |of, value| Threshold { of, value };
    assert_eq!(threshold(ThresholdType::UnboundedPercent, 50).tasks(800), 400);
    assert_eq!(threshold(ThresholdType::UnboundedPercent, 1).tasks(10), 1);
    assert_eq!(threshold(ThresholdType::Count, 5).tasks(800), 5);
}

#[test]
fn the_third_failed_task_of_four_breaks_the_circuit() {
    let mut walk = Walk::new("oooo", with_breaker(CircuitBreaker::default()));
    walk.at(0);
    walk.ends(4);
    walk.ends(5);
    assert_eq!(walk.at(1), "-4 -5 + +");
    walk.ends(6);
    assert_eq!(walk.at(2), "-6", "and nothing starts any more");
    walk.stands(Status::Failed, "FAILED", 4, 3);
    walk.all_start([7, 8, 9]);
    assert_eq!(walk.at(3), "", "nor stops");
    walk.stands(Status::Failed, "FAILED", 4, 3);
}

#[test]
fn a_broken_circuit_brings_the_last_completed_deployment_back() {
    let mut walk = Walk::new("oooo", with_breaker(CircuitBreaker { rollback: true, ..CircuitBreaker::default() }));
    walk.at(0);
    for id in [4, 5, 6] {
        walk.ends(id);
    }
    assert_eq!(walk.at(1), "-4 -5 -6 -7");
    assert!(walk.rolling_back);
    walk.stands(Status::Completed, "COMPLETED", 4, 0);

    // What was asked for before is not gone back to where it never was complete.
    let mut overtaken = Walk::new("oooo", with_breaker(CircuitBreaker { rollback: true, ..CircuitBreaker::default() }));
    overtaken.at(0);
    overtaken.is_asked_for(Version(2));
    assert_eq!(overtaken.at(1), "-4 -5 -6 -7 +old +old +old +old", "which are of the third version");
    assert_eq!(overtaken.strategy.facts().reverts_to(&overtaken.memory), Some((Version::OLD, 4)));
    overtaken.all_start(8..12);
    overtaken.at(2);
    assert_eq!(overtaken.strategy.facts().reverts_to(&overtaken.memory), Some((Version(2), 4)));
}

#[test]
fn without_anything_to_go_back_to_a_failed_deployment_stands() {
    let mut walk = Walk::new("oooo", with_breaker(CircuitBreaker { rollback: true, ..CircuitBreaker::default() }));
    (walk.target, walk.desired) = (Version::OLD, 8);
    walk.at(0);
    for id in [4, 5, 6, 7] {
        walk.ends(id);
    }
    walk.at(1);
    walk.stands(Status::Failed, "FAILED", 4, 0);
    assert!(!walk.rolling_back);
}

#[test]
fn a_healthy_task_sets_the_count_back_unless_told_otherwise() {
    let two_fail_twice = |reset_on_healthy_task: bool| {
        let breaker = CircuitBreaker { reset_on_healthy_task, ..CircuitBreaker::default() };
        let mut walk = Walk::new("oooo", with_breaker(breaker));
        walk.at(0);
        walk.ends(4);
        walk.ends(5);
        walk.at(1);
        walk.starts(6);
        assert_eq!(walk.at(2), "-0");
        walk.ends(7);
        walk.ends(8);
        walk.at(3);
        walk.status
    };
    assert_eq!(two_fail_twice(true), Status::Progressing);
    assert_eq!(two_fail_twice(false), Status::Failed);
}

#[test]
fn tasks_count_as_failed_when_their_checks_do_and_not_when_they_end_after_that() {
    let breaker = |value| CircuitBreaker {
        threshold: Threshold { of: ThresholdType::Count, value },
        reset_on_healthy_task: false,
        ..CircuitBreaker::default()
    };
    let mut walk = Walk::new("oo", with_breaker(breaker(1)));
    walk.at(0);
    walk.starts(2);
    assert_eq!(walk.at(1), "-0");
    walk.ends(2);
    assert_eq!(walk.at(2), "-2 +");
    walk.stands(Status::Progressing, "IN_PROGRESS", 1, 2);

    let mut walk = Walk::new("oo", with_breaker(breaker(1)));
    walk.at(0);
    for id in [2, 3] {
        walk.begins(id);
        walk.fleet.note_failing_checks(InstanceId(id));
    }
    assert_eq!(walk.at(1), "-2", "it counts when it stops");
    walk.stands(Status::Failed, "FAILED", 2, 1);
}

const ALARM: Alarm =
    Alarm { max_failed: 0.1, max_late: 1.0, period: Duration::from_mins(1), datapoints: 2, rollback: true };

fn answered(good: u64, failed: u64) -> [Answers; Version::COUNT] {
    let mut answers = Answers::NONE;
    answers[0] = Answers { good: good / 2, late: 0, failed };
    answers[1] = Answers { good: good - good / 2, late: 0, failed: 0 };
    answers
}

#[test]
fn an_alarm_goes_on_after_so_many_bad_datapoints_in_a_row() {
    let minute = |minute: u64| SimTime::START + Duration::from_mins(minute);
    let state = State::new(minute(0), &answered(100, 90));
    assert_eq!(state.next(&ALARM), minute(1));
    let bad = state.measured(&ALARM, minute(1), &answered(180, 110));
    assert!(!bad.is_on, "20 of 100, once");
    let good = bad.measured(&ALARM, minute(2), &answered(270, 120));
    let bad = good.measured(&ALARM, minute(3), &answered(270, 121));
    assert!(!bad.is_on, "10 of 100 are not too many");
    let bad = bad.measured(&ALARM, minute(4), &answered(270, 122));
    assert!(bad.is_on);
    assert!(!bad.measured(&ALARM, minute(5), &answered(270, 122)).is_on, "no requests are no failures");
    let late = Alarm { max_failed: 1.0, max_late: 0.0, datapoints: 1, ..ALARM };
    let mut answers = answered(10, 0);
    answers[1].late = 1;
    assert!(State::new(minute(0), &Answers::NONE).measured(&late, minute(1), &answers).is_on);
}

#[test]
fn an_alarm_that_goes_on_fails_the_deployment_while_it_bakes_too() {
    let settings = Settings { alarm: Some(ALARM), bake_time: ALARM.looks_back(), ..settings(100, 200) };
    let fleet = crate::fleet::drawn::fleet("nn");
    let at = |minute: u64, revision: u32, answers: &[Answers; Version::COUNT], memory: &mut Memory| {
        let now = SimTime::START + Duration::from_mins(minute);
        settings.decide(&View { now, revision, answers, ..shown(&fleet, 2, &[]) }, memory)
    };
    let mut memory = settings.memory(2);
    let begun = at(0, 1, &answered(0, 0), &mut memory);
    assert_eq!((begun.status, begun.ask_again), (Status::Progressing, Some(SimTime::START + Duration::from_mins(1))));
    at(1, 1, &answered(0, 9), &mut memory);
    let sound = at(2, 1, &answered(900, 9), &mut memory.clone());
    assert_eq!(sound.status, Status::Completed, "it has baked for two minutes");
    let twice = at(2, 1, &answered(0, 18), &mut memory);
    assert_eq!((twice.reported, twice.roll_back), ("ROLLBACK_REQUESTED", true));
    // An alarm that is on when a deployment begins says nothing of it.
    let next = at(2, 2, &answered(0, 18), &mut memory);
    assert_eq!(next.reported, "IN_PROGRESS");
    let next = at(3, 2, &answered(0, 27), &mut memory);
    assert_eq!((next.reported, next.roll_back), ("IN_PROGRESS", false));
    assert_eq!(at(4, 2, &answered(0, 36), &mut memory).status, Status::Completed);
}

#[test]
fn a_deployment_bakes_before_it_is_complete() {
    let mut walk = Walk::new("oo", Settings { bake_time: seconds(60), ..settings(100, 200) });
    walk.at(0);
    walk.all_start([2, 3]);
    assert_eq!(walk.at(5), "-0 -1");
    walk.stands(Status::Progressing, "IN_PROGRESS", 0, 2);
    walk.at(64);
    walk.stands(Status::Progressing, "IN_PROGRESS", 0, 2);
    walk.at(65);
    walk.stands(Status::Completed, "COMPLETED", 0, 2);
}

#[test]
fn whoever_pauses_it_keeps_the_scheduler_from_all_it_would_do() {
    let mut walk = Walk::new("oo", settings(100, 200));
    walk.at(0);
    walk.all_start([2, 3]);
    walk.halted = true;
    assert_eq!(walk.at(1), "");
    walk.stands(Status::Paused, "PAUSED", 2, 2);
    walk.halted = false;
    assert_eq!(walk.at(2), "-0 -1");
}

#[test]
fn a_service_follows_its_desired_count() {
    let mut walk = Walk::new("oooo", settings(100, 200));
    walk.at(0);
    walk.all_start([4, 5, 6]);
    walk.desired = 2;
    assert_eq!(walk.at(1), "-0 -1 -2 -3 -7 -4", "two are enough; whoever does not serve goes first");
    walk.stands(Status::Completed, "COMPLETED", 0, 2);
    walk.desired = 3;
    assert_eq!(walk.at(2), "+");
}
