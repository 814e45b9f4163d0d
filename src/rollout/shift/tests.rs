use super::*;
use crate::rollout::Walk;

fn plain() -> Settings {
    Settings {
        steps: vec![100],
        capacity: Capacity::Double,
        deadline: None,
        test: None,
        soak: Duration::ZERO,
        analysis: None,
        gate: None,
        keep_old: Duration::from_secs(30),
        on_failure: OnFailure::RollBack,
        commands: Vec::new(),
    }
}

fn start(walk: &mut Walk, ids: std::ops::Range<u32>) {
    ids.for_each(|id| walk.starts(id));
}

#[test]
fn blue_green_switches_once_the_whole_new_fleet_is_ready() {
    let mut walk = Walk::new("ooo", plain());
    assert_eq!(walk.at(0), "+ + +");
    walk.stands(Status::Progressing, "growing", 3, 3);
    start(&mut walk, 3..5);
    assert_eq!(walk.at(5), "");
    walk.starts(5);
    assert_eq!(walk.at(6), "split[0, 100]");
    walk.stands(Status::Progressing, "keeping", 3, 3);
    assert_eq!(walk.at(35), "");
    assert_eq!(walk.at(36), "-2 -1 -0");
    walk.stands(Status::Completed, "completed", 0, 3);
}

#[test]
fn a_canary_grows_with_its_share_and_soaks_at_each_step() {
    let settings = Settings {
        steps: vec![10, 50, 100],
        capacity: Capacity::Grown,
        soak: Duration::from_mins(1),
        gate: Some(Gate { after_step: NonZeroU32::MIN, answers_after: Delay::Fixed(Duration::from_secs(100)) }),
        ..plain()
    };
    let mut walk = Walk::new("oooo", settings);
    assert_eq!(walk.at(0), "+");
    walk.starts(4);
    assert_eq!(walk.at(10), "split[90, 10]");
    walk.stands(Status::Progressing, "soaking", 4, 1);
    assert_eq!(walk.at(70), "");
    walk.stands(Status::Paused, "gated", 4, 1);
    assert_eq!(walk.at(170), "+");
    walk.stands(Status::Progressing, "growing", 4, 2);
    walk.starts(5);
    assert_eq!(walk.at(171), "split[50, 50]");
    assert_eq!(walk.at(231), "+ +");
    start(&mut walk, 6..8);
    assert_eq!(walk.at(232), "split[0, 100]");
    assert_eq!(walk.at(292), "");
    assert_eq!(walk.at(322), "-3 -2 -1 -0");
}

#[test]
fn exchanged_fleets_need_no_room_but_for_the_step_under_way() {
    let settings =
        Settings { steps: vec![25, 50, 100], capacity: Capacity::Exchanged, soak: Duration::from_secs(10), ..plain() };
    let mut walk = Walk::new("oooo", settings);
    assert_eq!(walk.at(0), "+");
    walk.starts(4);
    assert_eq!(walk.at(1), "split[75, 25]");
    assert_eq!(walk.at(11), "-3 +");
    walk.starts(5);
    assert_eq!(walk.at(12), "split[50, 50]");
    assert_eq!(walk.at(22), "-2 + +");
    start(&mut walk, 6..8);
    assert_eq!(walk.at(23), "split[0, 100]");
    assert_eq!(walk.at(33), "");
    assert_eq!(walk.at(63), "-1 -0");
}

#[test]
fn a_failure_gives_all_requests_back_at_once() {
    let settings = Settings { steps: vec![50, 100], soak: Duration::from_mins(1), ..plain() };
    let mut walk = Walk::new("oo", settings);
    assert_eq!(walk.at(0), "+ +");
    start(&mut walk, 2..4);
    assert_eq!(walk.at(1), "split[50, 50]");
    walk.ends(3);
    assert_eq!(walk.at(20), "split[100, 0]");
    walk.stands(Status::Progressing, "keeping", 2, 2);
    assert_eq!(walk.at(50), "-3 -2");
    walk.stands(Status::Completed, "completed", 2, 0);
}

#[test]
fn a_failure_stops_it_where_that_is_asked_for() {
    let settings = Settings { on_failure: OnFailure::Stop, soak: Duration::from_mins(1), ..plain() };
    let mut walk = Walk::new("oo", settings);
    walk.at(0);
    start(&mut walk, 2..4);
    assert_eq!(walk.at(1), "split[0, 100]");
    walk.ends(3);
    assert_eq!(walk.at(20), "");
    walk.stands(Status::Failed, "failed", 2, 2);
    assert_eq!(walk.at(500), "");
}

#[test]
fn a_new_fleet_that_takes_too_long_fails() {
    let settings = Settings { deadline: Some(Duration::from_secs(30)), on_failure: OnFailure::Stop, ..plain() };
    let mut walk = Walk::new("oo", settings);
    walk.at(0);
    walk.starts(2);
    walk.at(29);
    walk.stands(Status::Progressing, "growing", 2, 2);
    walk.at(30);
    walk.stands(Status::Failed, "failed", 2, 2);
}

#[test]
fn nothing_goes_on_while_it_is_paused() {
    let mut walk = Walk::new("oo", plain());
    walk.at(0);
    walk.halted = true;
    start(&mut walk, 2..4);
    assert_eq!(walk.at(10), "");
    walk.stands(Status::Paused, "paused", 2, 2);
    walk.halted = false;
    assert_eq!(walk.at(20), "split[0, 100]");
}

#[test]
fn a_third_version_is_rolled_out_beside_the_one_that_has_most_requests() {
    let settings = Settings { steps: vec![25, 100], soak: Duration::from_mins(1), ..plain() };
    let mut walk = Walk::new("oo", settings);
    walk.at(0);
    start(&mut walk, 2..4);
    assert_eq!(walk.at(1), "split[75, 25]");
    (walk.target, walk.revision) = (Version(2), 2);
    // Those of the second version stay until the third one gets requests: balancers may not have heard yet.
    assert_eq!(walk.at(10), "split[100, 0] +old +old");
    start(&mut walk, 4..6);
    assert_eq!(walk.at(11), "split[75, 0] -3 -2");
}

#[test]
fn an_analysis_judges_shares_and_says_nothing_of_few_answers() {
    let analysis = Analysis { max_failed: 0.02, max_late: 0.1, at_least: 100, every: None };
    let answered = |good, late, failed| analysis.passes(Answers::default(), Answers { good, late, failed });
    assert_eq!(answered(98, 9, 2), Some(true));
    assert_eq!(answered(97, 9, 3), Some(false));
    assert_eq!(answered(100, 11, 0), Some(false));
    assert_eq!(answered(49, 49, 50), None);
    let nothing = Analysis { at_least: 0, ..analysis };
    assert_eq!(nothing.passes(Answers::default(), Answers::default()), None);
}

#[test]
fn a_third_version_waits_until_one_fleet_can_take_all_requests() {
    let settings =
        Settings { steps: vec![50, 100], capacity: Capacity::Grown, soak: Duration::from_mins(1), ..plain() };
    let mut walk = Walk::new("oo", settings);
    assert_eq!(walk.at(0), "+");
    walk.starts(2);
    assert_eq!(walk.at(1), "split[50, 50]");
    (walk.target, walk.revision) = (Version(2), 2);
    assert_eq!(walk.at(10), "+");
    walk.starts(3);
    assert_eq!(walk.at(20), "split[0, 100] +old");
    walk.starts(4);
    assert_eq!(walk.at(30), "split[0, 50] -1 -0");
}

#[test]
fn whoever_still_starts_when_the_test_begins_is_not_tested() {
    let test = Test { takes: Duration::ZERO, finds: 1.0 };
    let settings = Settings {
        steps: vec![50, 100],
        capacity: Capacity::Grown,
        test: Some(test),
        soak: Duration::from_mins(1),
        ..plain()
    };
    let mut walk = Walk::new("oo", settings);
    assert_eq!(walk.at(0), "+");
    walk.starts(2);
    assert_eq!(walk.at(1), "split[50, 50]");
    assert_eq!(walk.at(61), "+");
    (walk.target, walk.revision) = (Version::OLD, 2);
    assert_eq!(walk.at(62), "split[100, 0]");
    // What the first step needs is there; the other one was launched for the second.
    (walk.target, walk.revision) = (Version::NEW, 3);
    assert_eq!(walk.at(63), "split[50, 50] -3");
    walk.stands(Status::Progressing, "soaking", 2, 1);
}
