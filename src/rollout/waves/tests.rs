use super::*;
use crate::fleet::{Launch, drawn};
use crate::rollout::{Walk, shown};

fn seconds(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

fn settings(size: u32) -> Settings {
    Settings {
        size: Portion::Count(size),
        growth: 1.0,
        in_step: false,
        zones: NonZeroU32::MIN,
        partition: Portion::Count(0),
        take_out: None,
        put_back: Duration::ZERO,
        gap: Duration::ZERO,
        test: None,
        soak: Duration::ZERO,
        gate: None,
        on_failure: OnFailure::Stop,
        commands: Vec::new(),
    }
}

fn taken_out(size: u32) -> Settings {
    Settings { take_out: Some(Duration::ZERO), ..settings(size) }
}

fn tested(on_failure: OnFailure) -> Settings {
    let test = Some(Test { takes: seconds(10), finds: 1.0 });
    Settings { test, on_failure, ..settings(1) }
}

/// What is done where everything that starts is up a second later: one moment an entry, until nothing is done any more.
#[track_caller]
fn goes(letters: &str, settings: Settings, then: &[&str]) {
    let mut walk = Walk::new(letters, settings);
    let mut done = Vec::new();
    for second in 0..100 {
        let moment = walk.at(second);
        let starting: Vec<u32> = walk
            .fleet
            .existing()
            .filter(|(_, instance)| instance.phase() == Phase::Pulling)
            .map(|(id, _)| id.0)
            .collect();
        if moment.is_empty() && starting.is_empty() {
            break;
        }
        done.push(moment);
        for id in starting {
            walk.starts(id);
        }
    }
    assert_eq!(done, then);
}

#[test]
fn a_wave_begins_when_the_one_before_is_done() {
    goes("oooo", settings(2), &["-0 -1 + +", "-2 -3 + +"]);
    goes("ooo", taken_out(2), &["out0 out1 -0 -1 + +", "in3 in4 out2 -2 +", "in5"]);
    let mut walk = Walk::new("oooo", taken_out(2));
    walk.at(0);
    walk.starts(5);
    assert_eq!(walk.at(1), "in5", "one of two is not the wave");
    walk.stands(Status::Progressing, "replacing", 2, 2);
    walk.starts(4);
    assert_eq!(walk.at(2), "in4 out2 out3 -2 -3 + +");
}

#[test]
fn waves_have_their_sizes() {
    let share = |percent| Settings { size: Portion::Percent(percent), ..settings(1) };
    goes("ooooo", share(25), &["-0 -1 + +", "-2 -3 + +", "-4 +"]);
    goes("ooo", share(100), &["-0 -1 -2 + + +"]);
    goes("ooooooo", Settings { growth: 2.0, ..settings(1) }, &["-0 +", "-1 -2 + +", "-3 -4 -5 -6 + + + +"]);
    goes("oooooo", Settings { growth: 1.5, ..settings(1) }, &["-0 +", "-1 -2 + +", "-3 -4 -5 + + +"]);
    // 10 × 1.1 is 11, whatever the binary digits say.
    let mut walk = Walk::new(&"o".repeat(22), Settings { growth: 1.1, ..settings(10) });
    walk.at(0);
    (22..32).for_each(|id| walk.starts(id));
    assert_eq!(walk.at(1).matches('+').count(), 11);
}

#[test]
fn no_wave_spans_zones_and_the_last_places_stay() {
    let by_zone = Settings { zones: NonZeroU32::new(2).expect("not 0"), ..settings(2) };
    goes("ooooo", by_zone, &["-0 -2 + +", "-4 +", "-1 -3 + +"]);
    goes("ooo", Settings { partition: Portion::Count(2), ..settings(9) }, &["-0 +"]);
    goes("ooo", Settings { partition: Portion::Percent(50), ..settings(9) }, &["-0 +"]);
    let mut walk = Walk::new("oo", Settings { partition: Portion::Count(2), ..settings(9) });
    assert_eq!(walk.at(0), "");
    walk.stands(Status::Completed, "completed", 2, 0);
}

#[test]
fn every_step_takes_its_time() {
    let slow = Settings { take_out: Some(seconds(5)), put_back: seconds(3), gap: seconds(2), ..settings(1) };
    let mut walk = Walk::new("oo", slow);
    assert_eq!([0, 4, 5, 6, 7].map(|second| walk.at(second)), ["out0", "", "-0", "", "+"]);
    walk.starts(2);
    assert_eq!([8, 10, 11].map(|second| walk.at(second)), ["", "", "in2 out1"]);
    let fleet = drawn::fleet("o");
    for (settings, drain) in [(settings(1), false), (taken_out(1), true)] {
        let decision = settings.decide(&shown(&fleet, 1, &[]), &mut settings.memory(1));
        assert_eq!(decision.actions.last(), Some(&Action::Terminate { instance: InstanceId(0), drain }));
    }
}

#[test]
fn a_wave_may_go_in_step() {
    let mut walk = Walk::new("oooo", Settings { in_step: true, gap: seconds(1), ..taken_out(2) });
    assert_eq!(walk.at(0), "out0 out1 -0 -1");
    assert_eq!(walk.at(1), "+ +");
    walk.starts(4);
    assert_eq!(walk.at(2), "", "it is put back when the other one is ready, too");
    walk.starts(5);
    assert_eq!(walk.at(3), "in4 in5 out2 out3 -2 -3");
    // Who has failed keeps nobody waiting.
    walk.at(4);
    walk.starts(6);
    assert_eq!(walk.at(5), "");
    walk.ends(7);
    assert_eq!(walk.at(6), "in6");
    walk.stands(Status::Failed, "failed", 0, 4);
    // A process that takes its time to stop holds up the others' starts.
    for (in_step, then) in [(true, ["-0 -1", "", "+ +"]), (false, ["-0 -1 +", "", "+"])] {
        let mut walk = Walk::new("oo", Settings { in_step, ..settings(2) });
        let slow = Launch { version: Version::OLD, slot: Some(Slot(1)), rank: 0, held_out: false };
        let slow = walk.fleet.launch(walk.now, slow);
        walk.fleet.enter(slow, Phase::Stopping, walk.now);
        let done = [0, 1].map(|second| walk.at(second));
        walk.fleet.enter(slow, Phase::Gone, walk.now);
        assert_eq!([&done[0], &done[1], &walk.at(2)], then);
    }
}

#[test]
fn a_wave_soaks_and_then_a_human_lets_it_go_on() {
    let gate = |after_wave| Gate {
        after_wave: NonZeroU32::new(after_wave).expect("not 0"),
        answers_after: Delay::Fixed(seconds(60)),
    };
    let mut walk = Walk::new("ooo", Settings { soak: seconds(10), gate: Some(gate(1)), ..settings(1) });
    walk.at(0);
    walk.starts(3);
    assert_eq!([1, 10].map(|second| walk.at(second)), ["", ""]);
    walk.stands(Status::Progressing, "soaking", 2, 1);
    assert_eq!(walk.at(11), "");
    walk.stands(Status::Paused, "gated", 2, 1);
    assert_eq!([70, 71].map(|second| walk.at(second)), ["", "-1 +"]);
    walk.starts(4);
    assert_eq!([72, 81, 82].map(|second| walk.at(second)), ["", "", "-2 +"], "one wave has a gate");
    // After the last wave nobody is asked.
    let mut walk = Walk::new("o", Settings { gate: Some(gate(1)), ..settings(1) });
    walk.at(0);
    walk.starts(1);
    walk.at(1);
    walk.stands(Status::Completed, "completed", 0, 1);
}

#[test]
fn the_last_soak_counts() {
    let mut walk = Walk::new("o", Settings { soak: seconds(10), ..settings(1) });
    walk.at(0);
    walk.starts(1);
    walk.at(1);
    walk.stands(Status::Progressing, "soaking", 0, 1);
    walk.at(11);
    walk.stands(Status::Completed, "completed", 0, 1);
}

#[test]
fn a_failure_stops_the_rollout_once_its_wave_is_done() {
    let mut walk = Walk::new("oooo", taken_out(2));
    walk.at(0);
    walk.ends(4);
    assert_eq!(walk.at(1), "", "who failed stays out");
    walk.stands(Status::Progressing, "replacing", 2, 2);
    walk.starts(5);
    assert_eq!(walk.at(2), "in5");
    walk.stands(Status::Failed, "failed", 2, 2);
    assert_eq!(walk.at(100), "");
}

#[test]
fn a_failure_while_it_soaks_counts() {
    let mut walk = Walk::new("oo", Settings { soak: seconds(10), ..settings(1) });
    walk.at(0);
    walk.starts(2);
    walk.at(1);
    walk.ends(2);
    assert_eq!(walk.at(5), "");
    walk.stands(Status::Failed, "failed", 1, 1);
    let mut walk = Walk::new("oo", settings(1));
    walk.at(0);
    walk.starts(2);
    assert_eq!(walk.at(1), "-1 +");
    walk.ends(2);
    walk.starts(3);
    walk.at(2);
    walk.stands(Status::Completed, "completed", 0, 2);
}

#[test]
fn a_failure_may_be_passed_over() {
    let mut walk = Walk::new("ooo", Settings { on_failure: OnFailure::Continue, ..taken_out(1) });
    walk.at(0);
    walk.ends(3);
    assert_eq!(walk.at(1), "in3 out1 -1 +");
}

#[test]
fn a_failure_may_bring_back_the_version_before() {
    let mut walk = Walk::new("ooo", Settings { on_failure: OnFailure::RollBack, soak: seconds(60), ..taken_out(1) });
    walk.at(0);
    walk.starts(3);
    walk.at(1);
    assert_eq!(walk.at(61), "out1 -1 +");
    walk.ends(4);
    // Who does not serve goes first; nothing soaks.
    assert_eq!(walk.at(62), "out4 -4 +old");
    walk.starts(5);
    assert_eq!(walk.at(63), "in5 out3 -3 +old");
    walk.starts(6);
    assert_eq!(walk.at(64), "in6");
    walk.stands(Status::Completed, "completed", 3, 0);
}

#[test]
fn a_rollback_that_fails_is_not_rolled_back() {
    let mut walk = Walk::new("oo", Settings { on_failure: OnFailure::RollBack, ..settings(1) });
    walk.at(0);
    walk.ends(2);
    assert_eq!(walk.at(1), "-2 +old");
    walk.ends(3);
    assert_eq!(walk.at(2), "");
    walk.stands(Status::Failed, "failed", 2, 0);
}

#[test]
fn a_test_fails_who_is_not_ready_or_found_out() {
    let mut walk = Walk::new("oo", tested(OnFailure::Stop));
    walk.at(0);
    walk.starts(2);
    walk.at(1);
    walk.stands(Status::Progressing, "testing", 1, 1);
    walk.fleet.enter(InstanceId(2), Phase::Unready, walk.now);
    assert_eq!(walk.at(11), "");
    walk.stands(Status::Failed, "failed", 1, 1);
    for (shows_at, then) in [(11, "-2 +old"), (12, "-1 +")] {
        let mut walk = Walk::new("oo", tested(OnFailure::RollBack));
        walk.at(0);
        walk.starts(2);
        walk.at(1);
        walk.fleet.note_started(InstanceId(2), walk.now, Some(SimTime::START + seconds(shows_at)));
        assert_eq!(walk.at(11), then, "a defect that shows after {shows_at} s");
    }
}

#[test]
fn a_version_that_is_asked_for_takes_over_at_once() {
    let mut walk = Walk::new("oooo", Settings { take_out: Some(seconds(5)), ..settings(2) });
    walk.at(0);
    (walk.target, walk.revision) = (Version::OLD, 2);
    assert_eq!(walk.at(1), "in0 in1", "who was taken out stays");
    walk.stands(Status::Completed, "completed", 4, 0);
    let mut walk = Walk::new("ooo", Settings { gap: seconds(5), ..settings(1) });
    walk.at(0);
    walk.at(4);
    (walk.target, walk.revision) = (Version(2), 2);
    // The empty place is the first wave.
    assert_eq!(walk.at(4), "");
    walk.stands(Status::Progressing, "replacing", 2, 0);
    assert_eq!(walk.at(9), "+old");
    assert_eq!(walk.wanted[..3], [2, 0, 1]);
    walk.starts(3);
    assert_eq!(walk.at(10), "-1");
}

#[test]
fn who_comes_up_for_a_version_that_is_asked_for_again_goes_on() {
    let mut walk = Walk::new("ooo", taken_out(2));
    walk.at(0);
    (walk.target, walk.revision) = (Version(2), 2);
    walk.fleet.enter(InstanceId(3), Phase::Gone, walk.now);
    assert_eq!(walk.at(1), "+old", "the empty place is the first wave");
    (walk.target, walk.revision) = (Version::NEW, 3);
    assert_eq!(walk.at(2), "", "one is on its way");
    walk.starts(4);
    assert_eq!(walk.at(3), "in4 out5 out2 -5 -2 + +", "and then what does not serve goes first");
}

#[test]
fn who_waits_for_a_human_or_is_halted_stays_so() {
    let mut walk = Walk::new("oo", settings(1));
    walk.at(0);
    walk.halted = true;
    walk.starts(2);
    assert_eq!(walk.at(1), "");
    walk.stands(Status::Paused, "paused", 1, 1);
    walk.halted = false;
    assert_eq!(walk.at(2), "-1 +");
}

#[test]
fn a_place_under_repair_is_left_for_when_it_is_back() {
    let mut walk = Walk::new("ooo", settings(1));
    walk.breaks(0);
    assert_eq!(walk.at(0), "-1 +");
    walk.starts(3);
    assert_eq!(walk.at(1), "-2 +");
    walk.starts(4);
    assert_eq!(walk.at(2), "");
    walk.stands(Status::Progressing, "waiting", 1, 2);
    walk.fleet.enter(InstanceId(0), Phase::Starting, walk.now);
    assert_eq!(walk.at(3), "-0 +");
    let mut walk = Walk::new("oo", Settings { take_out: Some(seconds(5)), ..settings(1) });
    walk.at(0);
    walk.breaks(0);
    assert_eq!(walk.at(1), "in0 out1");
    // A process that merely ended leaves its place within reach.
    let mut walk = Walk::new("oo", settings(1));
    walk.ends(0);
    assert_eq!(walk.at(0), "-0 +");
}

#[test]
fn a_service_grows_and_shrinks_beside_the_waves() {
    let mut walk = Walk::new("oo", taken_out(1));
    walk.at(0);
    walk.desired = 3;
    assert_eq!(walk.at(1), "+");
    walk.stands(Status::Progressing, "replacing", 1, 2);
    walk.starts(2);
    assert_eq!(walk.at(2), "in2 out1 -1 +");
    walk.desired = 1;
    assert_eq!(walk.at(3), "-4 -3");
    walk.stands(Status::Completed, "completed", 0, 1);
    walk.desired = 2;
    assert_eq!(walk.at(4), "+");
    walk.stands(Status::Progressing, "waiting", 0, 2);
    walk.starts(5);
    walk.at(5);
    walk.stands(Status::Completed, "completed", 0, 2);
    // Places that keep what they have get the oldest version that is there.
    let mut walk = Walk::new("oo", Settings { partition: Portion::Count(1), ..settings(1) });
    walk.at(0);
    walk.starts(2);
    walk.desired = 3;
    assert_eq!(walk.at(1), "+old -1 +");
}
