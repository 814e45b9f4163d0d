use super::*;
use crate::fleet::drawn;
use crate::rollout::{Walk, shown};

fn seconds(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

fn settings(window_size: u32) -> Settings {
    Settings {
        window_size,
        take_out: Some(Duration::ZERO),
        test: None,
        put_back: Duration::ZERO,
        put_back_always: false,
        step_timeout: None,
        guidance: None,
        skip_unavailable: false,
        commands: Vec::new(),
    }
}

fn guided(answer: Answer) -> Settings {
    let guidance = Guidance { answers_after: Delay::Fixed(seconds(60)), answer };
    Settings { guidance: Some(guidance), ..settings(1) }
}

#[test]
fn a_window_of_targets_is_taken_in_order() {
    assert_eq!(Walk::new("oooo", settings(2)).at(0), "out0 out1 -0 -1 + +");
    let slow = Settings { take_out: Some(seconds(1)), ..settings(3) };
    assert_eq!(Walk::new("oooo", slow).at(0), "out0 out1 out2");
    let careless = Settings { take_out: None, ..settings(1) };
    let fleet = drawn::fleet("oo");
    let decision = careless.decide(&shown(&fleet, 2, &[]), &mut careless.memory(2));
    assert_eq!(decision.actions, [Action::Terminate { instance: InstanceId(0), drain: false }]);
}

#[test]
fn the_next_target_starts_as_soon_as_any_one_is_done() {
    let mut walk = Walk::new("oooo", settings(2));
    walk.at(0);
    walk.starts(5);
    assert_eq!(walk.at(1), "in5 out2 -2 +");
    walk.stands(Status::Progressing, "Executing", 1, 3);
    walk.starts(4);
    walk.starts(6);
    assert_eq!(walk.at(2), "in4 in6 out3 -3 +");
    walk.starts(7);
    assert_eq!(walk.at(3), "in7");
    walk.stands(Status::Completed, "Success", 0, 4);
}

#[test]
fn a_failed_child_step_leaves_the_target_out_and_starts_no_other() {
    for (put_back_always, then) in [(false, ""), (true, "in3")] {
        let mut walk = Walk::new("ooo", Settings { put_back_always, ..settings(2) });
        walk.at(0);
        walk.ends(3);
        assert_eq!(walk.at(1), then);
        walk.stands(Status::Progressing, "Executing", 1, 2);
        walk.starts(4);
        assert_eq!(walk.at(2), "in4", "the one in flight runs to its end");
        walk.stands(Status::Failed, "Failed", 1, 2);
    }
}

#[test]
fn a_test_fails_where_the_target_is_not_ready() {
    let test = Some(Test { takes: seconds(10), finds: 1.0 });
    let mut walk = Walk::new("oo", Settings { test, ..settings(1) });
    walk.at(0);
    walk.starts(2);
    assert_eq!((walk.at(1), walk.at(10)), (String::new(), String::new()));
    walk.fleet.enter(InstanceId(2), Phase::Unready, walk.now);
    assert_eq!(walk.at(11), "");
    walk.stands(Status::Failed, "Failed", 1, 1);
}

#[test]
fn a_process_that_neither_comes_up_nor_ends_is_waited_for_until_the_time_out() {
    let mut walk = Walk::new("oo", settings(1));
    assert_eq!((walk.at(0).as_str(), walk.at(100_000).as_str()), ("out0 -0 +", ""));
    walk.stands(Status::Progressing, "Executing", 1, 1);
    let mut walk = Walk::new("oo", Settings { step_timeout: Some(seconds(9)), ..settings(1) });
    walk.at(0);
    walk.at(8);
    walk.stands(Status::Progressing, "Executing", 1, 1);
    assert_eq!(walk.at(9), "");
    walk.stands(Status::Failed, "Failed", 1, 1);
    // What takes exactly so long is done.
    let take_out = Some(seconds(9));
    let mut walk = Walk::new("oo", Settings { step_timeout: take_out, take_out, ..settings(1) });
    assert_eq!((walk.at(0).as_str(), walk.at(9).as_str()), ("out0", "-0 +"));
    let mut walk = Walk::new("oo", Settings { step_timeout: Some(seconds(8)), take_out, ..settings(1) });
    assert_eq!((walk.at(0).as_str(), walk.at(8).as_str()), ("out0", ""));
    walk.stands(Status::Failed, "Failed", 2, 0);
}

/// The first of two targets fails to start under guidance: what is done a minute later.
fn answered(answer: Answer) -> (Walk, String) {
    let mut walk = Walk::new("oo", guided(answer));
    walk.at(0);
    walk.ends(2);
    assert_eq!((walk.at(1).as_str(), walk.at(60).as_str()), ("", ""));
    walk.stands(Status::Paused, "Paused", 1, 1);
    let then = walk.at(61);
    (walk, then)
}

#[test]
fn a_human_fails_ignores_or_excludes() {
    let (walk, then) = answered(Answer::Fail);
    assert_eq!(then, "");
    walk.stands(Status::Failed, "Failed", 1, 1);
    // Ignored is the child step: the next one puts back what is there.
    let (walk, then) = answered(Answer::Ignore);
    assert_eq!(then, "in2 out1 -1 +");
    walk.stands(Status::Progressing, "Executing", 0, 2);
    let (mut walk, then) = answered(Answer::Exclude);
    assert_eq!(then, "out1 -1 +");
    walk.starts(3);
    assert_eq!(walk.at(62), "in3");
    walk.stands(Status::Completed, "Success", 0, 2);
}

#[test]
fn a_human_retries_so_often_and_then_fails() {
    let (mut walk, then) = answered(Answer::Retry { most: 2 });
    assert_eq!(then, "-2 +");
    walk.stands(Status::Progressing, "Executing", 1, 1);
    walk.ends(3);
    assert_eq!((walk.at(62).as_str(), walk.at(122).as_str()), ("", "-3 +"));
    walk.ends(4);
    assert_eq!((walk.at(123).as_str(), walk.at(183).as_str()), ("", ""));
    walk.stands(Status::Failed, "Failed", 1, 1);
    let (mut walk, _) = answered(Answer::Retry { most: 1 });
    walk.starts(3);
    assert_eq!(walk.at(62), "in3 out1 -1 +");
}

#[test]
fn while_a_human_is_asked_those_in_flight_go_on_and_no_other_starts() {
    let mut walk = Walk::new("ooo", Settings { window_size: 2, ..guided(Answer::Exclude) });
    walk.at(0);
    walk.ends(3);
    walk.at(1);
    walk.starts(4);
    assert_eq!(walk.at(2), "in4");
    walk.stands(Status::Paused, "Paused", 1, 2);
    assert_eq!(walk.at(61), "out2 -2 +");
}

#[test]
fn a_target_out_of_reach_fails_or_is_left_for_later() {
    let mut walk = Walk::new("oo", settings(1));
    walk.breaks(0);
    assert_eq!(walk.at(0), "");
    walk.stands(Status::Failed, "Failed", 2, 0);
    let mut walk = Walk::new("ooo", Settings { skip_unavailable: true, ..settings(1) });
    walk.breaks(0);
    assert_eq!(walk.at(0), "out1 -1 +");
    walk.starts(3);
    assert_eq!(walk.at(1), "in3 out2 -2 +");
    walk.starts(4);
    assert_eq!(walk.at(2), "in4");
    walk.stands(Status::Completed, "Success", 1, 2);
    walk.fleet.enter(InstanceId(0), Phase::Starting, walk.now);
    assert_eq!(walk.at(3), "out0 -0 +");
    walk.starts(5);
    assert_eq!(walk.at(4), "in5");
    walk.stands(Status::Completed, "Success", 0, 3);
    // A process that merely ended leaves the target within reach.
    let mut walk = Walk::new("oo", settings(1));
    walk.ends(0);
    assert_eq!(walk.at(0), "out0 -0 +");
}

#[test]
fn another_release_waits_for_those_in_flight_and_begins_anew() {
    let mut walk = Walk::new("ooo", settings(1));
    walk.at(0);
    (walk.target, walk.revision) = (Version(2), 2);
    assert_eq!(walk.at(1), "");
    walk.stands(Status::Progressing, "Cancelling", 2, 1);
    walk.starts(3);
    assert_eq!(walk.at(2), "in3 out3 -3 +old");
    assert_eq!(walk.wanted[..3], [2, 0, 1]);
    // The same release once more is another task, and goes to all targets.
    (walk.target, walk.revision) = (Version::NEW, 3);
    walk.starts(4);
    assert_eq!(walk.at(3), "in4 out4 -4 +");
}

#[test]
fn a_target_is_added_at_the_end_and_removed_at_once() {
    let mut walk = Walk::new("oo", settings(2));
    walk.at(0);
    walk.desired = 3;
    assert_eq!(walk.at(1), "");
    walk.starts(2);
    assert_eq!(walk.at(2), "in2 +");
    walk.stands(Status::Progressing, "Executing", 0, 3);
    walk.desired = 1;
    assert_eq!(walk.at(3), "-3 -4");
    walk.stands(Status::Completed, "Success", 0, 1);
    walk.desired = 2;
    assert_eq!(walk.at(4), "+");
    walk.stands(Status::Progressing, "Executing", 0, 2);
}
