use super::*;
use crate::rollout::{Status, Test, Walk};
use std::ops::Range;

fn settings(kind: Kind) -> Settings {
    Settings {
        kind,
        min_ready: Duration::ZERO,
        progress_deadline: PROGRESS_DEADLINE,
        progress_deadline_abort: false,
        rollback_window: 0,
        scale_down_delay: SCALE_DOWN_DELAY,
        abort_scale_down_delay: None,
        commands: Vec::new(),
    }
}

fn canary(steps: Vec<Step>) -> Canary {
    Canary {
        max_surge: Bound::Count(2),
        max_unavailable: Bound::Count(0),
        steps,
        traffic_routing: false,
        dynamic_stable_scale: false,
        min_pods: 0,
        enough: None,
        analysis: Vec::new(),
        analysis_from: 0,
    }
}

fn basic_canary(steps: Vec<Step>) -> Settings {
    settings(Kind::Canary(canary(steps)))
}

fn routed_canary(steps: Vec<Step>) -> Settings {
    settings(Kind::Canary(Canary { traffic_routing: true, ..canary(steps) }))
}

fn dynamic_canary(steps: Vec<Step>) -> Settings {
    let of_kind = Canary { traffic_routing: true, dynamic_stable_scale: true, ..canary(steps) };
    settings(Kind::Canary(of_kind))
}

fn blue_green() -> BlueGreen {
    BlueGreen {
        auto_promotion: true,
        auto_promotion_after: None,
        preview_replicas: None,
        pre_promotion: Vec::new(),
        post_promotion: Vec::new(),
        kept_revisions: None,
    }
}

/// At most one in a hundred may fail.
fn metric() -> Metric {
    Metric {
        measures: Measures::Answers { max_failed: 0.01, max_late: 1.0, at_least: 10 },
        initial_delay: Duration::ZERO,
        interval: None,
        count: None,
        limits: Limits::default(),
    }
}

fn pause(seconds: u64) -> Step {
    Step::Pause(Some(Duration::from_secs(seconds)))
}

fn start(walk: &mut Walk, ids: Range<u32>) {
    ids.for_each(|id| walk.starts(id));
}

fn answered(walk: &mut Walk, good: u64, failed: u64) {
    let answers = &mut walk.answers[Version::NEW.index()];
    answers.good += good;
    answers.failed += failed;
}

#[test]
fn without_a_router_pods_approximate_the_weight_within_the_bounds() {
    let mut walk = Walk::new("oooooooooo", basic_canary(vec![Step::SetWeight(20), Step::Pause(None)]));
    assert_eq!(walk.at(0), "+ +");
    walk.stands(Status::Progressing, "Progressing", 10, 2);
    start(&mut walk, 10..12);
    assert_eq!(walk.at(1), "-0 -1");
    walk.stands(Status::Paused, "Paused", 8, 2);
    assert_eq!(walk.at(1_000), "");
    walk.promotions = 1;
    assert_eq!(walk.at(1_001), "+ +");
    walk.stands(Status::Progressing, "Progressing", 8, 4);
    start(&mut walk, 12..14);
    assert_eq!(walk.at(1_002), "-2 -3 + +");
    start(&mut walk, 14..16);
    assert_eq!(walk.at(1_003), "-4 -5 + +");
    start(&mut walk, 16..18);
    assert_eq!(walk.at(1_004), "-6 -7 + +");
    start(&mut walk, 18..20);
    assert_eq!(walk.at(1_005), "-8 -9");
    walk.stands(Status::Completed, "Healthy", 0, 10);
}

#[test]
fn a_router_gives_the_canary_its_weight_while_the_stable_set_stays_whole() {
    let steps = vec![Step::SetWeight(25), pause(60), Step::SetWeight(50)];
    let mut walk = Walk::new("oooo", routed_canary(steps));
    assert_eq!(walk.at(0), "+");
    walk.starts(4);
    assert_eq!(walk.at(5), "split[75, 25]");
    walk.stands(Status::Progressing, "Paused", 4, 1);
    assert_eq!(walk.at(64), "");
    assert_eq!(walk.at(65), "+");
    walk.starts(5);
    assert_eq!(walk.at(70), "split[50, 50] + +");
    start(&mut walk, 6..8);
    assert_eq!(walk.at(75), "split[0, 1]");
    walk.stands(Status::Completed, "Healthy", 4, 4);
    assert_eq!(walk.at(104), "");
    assert_eq!(walk.at(105), "-0 -1 -2 -3");
}

#[test]
fn a_dynamic_stable_set_shrinks_as_its_requests_go_and_grows_before_it_gets_them_back() {
    let mut walk = Walk::new("oooo", dynamic_canary(vec![Step::SetWeight(50), Step::Pause(None)]));
    assert_eq!(walk.at(0), "+ +");
    start(&mut walk, 4..6);
    assert_eq!(walk.at(1), "split[50, 50] -0 -1");
    walk.stands(Status::Paused, "Paused", 2, 2);
    walk.aborts = 1;
    // Two of four can take half, and the canary keeps what it has while it has the other half.
    assert_eq!(walk.at(10), "+old +old");
    walk.stands(Status::Failed, "Degraded", 4, 2);
    walk.starts(6);
    assert_eq!(walk.at(20), "split[75, 25] -4");
    walk.starts(7);
    assert_eq!(walk.at(30), "split[1, 0] -5");
    walk.stands(Status::Failed, "Degraded", 4, 0);
}

#[test]
fn going_back_to_the_stable_version_skips_steps_and_balances_requests() {
    let mut walk = Walk::new("oooo", dynamic_canary(vec![Step::SetWeight(50), Step::Pause(None)]));
    walk.at(0);
    start(&mut walk, 4..6);
    walk.at(1);
    (walk.target, walk.revision, walk.rolling_back) = (Version::OLD, 2, true);
    assert_eq!(walk.at(10), "+old +old");
    walk.stands(Status::Progressing, "Progressing", 4, 2);
    walk.starts(6);
    assert_eq!(walk.at(20), "split[75, 25] -4");
    walk.starts(7);
    assert_eq!(walk.at(30), "split[1, 0]");
    walk.stands(Status::Completed, "Healthy", 4, 1);
    assert_eq!(walk.at(60), "-5");
}

#[test]
fn a_failed_analysis_aborts_and_the_canary_is_kept_for_a_while() {
    let mut walk = Walk::new("oo", routed_canary(vec![Step::SetWeight(50), Step::Analysis(vec![metric()])]));
    assert_eq!(walk.at(0), "+");
    walk.starts(2);
    assert_eq!(walk.at(1), "split[50, 50]");
    // A query that finds nothing is an error, and is repeated ten seconds later.
    walk.stands(Status::Progressing, "Progressing", 2, 1);
    answered(&mut walk, 90, 10);
    assert_eq!(walk.at(10), "");
    assert_eq!(walk.at(11), "split[1, 0]");
    walk.stands(Status::Failed, "Degraded", 2, 1);
    assert_eq!(walk.at(40), "");
    assert_eq!(walk.at(41), "-2");
    walk.stands(Status::Failed, "Degraded", 2, 0);
}

#[test]
fn an_aborted_canary_may_stay_for_ever() {
    let stays = Settings { abort_scale_down_delay: Some(Duration::ZERO), ..routed_canary(vec![Step::SetWeight(50)]) };
    let mut walk = Walk::new("oo", stays);
    walk.at(0);
    walk.aborts = 1;
    assert_eq!(walk.at(1), "");
    walk.starts(2);
    assert_eq!(walk.at(100_000), "");
    walk.stands(Status::Failed, "Degraded", 2, 1);
}

#[test]
fn without_a_router_an_abort_moves_pods_back_within_the_bounds() {
    let mut walk = Walk::new("oooo", basic_canary(vec![Step::SetWeight(50), Step::Pause(None)]));
    assert_eq!(walk.at(0), "+ +");
    start(&mut walk, 4..6);
    assert_eq!(walk.at(1), "-0 -1");
    walk.aborts = 1;
    assert_eq!(walk.at(2), "+old +old");
    walk.starts(6);
    assert_eq!(walk.at(3), "-4");
    walk.starts(7);
    assert_eq!(walk.at(4), "-5");
    walk.stands(Status::Failed, "Degraded", 4, 0);
}

#[test]
fn too_little_is_inconclusive_and_waits_for_somebody() {
    let every_minute = Metric { interval: Some(Duration::from_mins(1)), count: Some(2), ..metric() };
    let steps = vec![Step::SetWeight(50), pause(30), Step::Analysis(vec![every_minute]), pause(10)];
    let mut walk = Walk::new("oo", routed_canary(steps));
    walk.at(0);
    walk.starts(2);
    walk.at(0);
    // What was answered during the pause counts.
    answered(&mut walk, 5, 0);
    assert_eq!(walk.at(30), "");
    walk.stands(Status::Paused, "Paused", 2, 1);
    walk.promotions = 1;
    assert_eq!(walk.at(100), "");
    walk.stands(Status::Progressing, "Paused", 2, 1);
    assert_eq!(walk.at(110), "+");
}

#[test]
fn a_background_analysis_goes_on_from_its_step_until_the_last_one_is_done() {
    let every_minute =
        Metric { interval: Some(Duration::from_mins(1)), initial_delay: Duration::from_mins(1), ..metric() };
    let steps = vec![Step::SetWeight(50), pause(300), Step::SetWeight(100)];
    let of_kind = Canary { traffic_routing: true, analysis: vec![every_minute], analysis_from: 1, ..canary(steps) };
    let mut walk = Walk::new("oo", settings(Kind::Canary(of_kind)));
    walk.at(0);
    walk.starts(2);
    walk.at(10);
    for minute in 1..4 {
        answered(&mut walk, 100, 1);
        assert_eq!(walk.at(10 + 60 * minute), "");
    }
    answered(&mut walk, 100, 2);
    assert_eq!(walk.at(249), "");
    assert_eq!(walk.at(250), "split[1, 0]");
    walk.stands(Status::Failed, "Degraded", 2, 1);
}

#[test]
fn blue_green_previews_waits_and_switches() {
    let of_kind = BlueGreen { auto_promotion: false, preview_replicas: Some(1), ..blue_green() };
    let mut walk = Walk::new("oo", settings(Kind::BlueGreen(of_kind)));
    assert_eq!(walk.at(0), "+");
    walk.starts(2);
    assert_eq!(walk.at(1), "");
    walk.stands(Status::Paused, "Paused", 2, 1);
    walk.promotions = 1;
    assert_eq!(walk.at(5), "+");
    walk.stands(Status::Progressing, "Progressing", 2, 2);
    walk.starts(3);
    assert_eq!(walk.at(6), "split[0, 1]");
    walk.stands(Status::Completed, "Healthy", 2, 2);
    assert_eq!(walk.at(35), "");
    assert_eq!(walk.at(36), "-0 -1");
}

#[test]
fn going_back_within_the_delay_switches_at_once() {
    let of_kind = BlueGreen { auto_promotion_after: Some(Duration::from_mins(1)), ..blue_green() };
    let mut walk = Walk::new("oo", settings(Kind::BlueGreen(of_kind)));
    walk.at(0);
    start(&mut walk, 2..4);
    walk.at(1);
    walk.stands(Status::Progressing, "Paused", 2, 2);
    assert_eq!(walk.at(61), "split[0, 1]");
    (walk.target, walk.revision, walk.rolling_back) = (Version::OLD, 2, true);
    assert_eq!(walk.at(80), "split[1, 0]");
    walk.stands(Status::Completed, "Healthy", 2, 2);
    assert_eq!(walk.at(110), "-2 -3");
}

#[test]
fn nobody_is_asked_before_all_requests_go_back_to_the_stable_version() {
    let long = Metric { initial_delay: Duration::from_hours(1), ..metric() };
    let of_kind = BlueGreen { auto_promotion: false, post_promotion: vec![long], ..blue_green() };
    let mut walk = Walk::new("oo", settings(Kind::BlueGreen(of_kind)));
    walk.at(0);
    start(&mut walk, 2..4);
    walk.at(1);
    walk.promotions = 1;
    assert_eq!(walk.at(2), "split[0, 1]");
    walk.stands(Status::Progressing, "Progressing", 2, 2);
    (walk.target, walk.revision, walk.rolling_back, walk.promotions) = (Version::OLD, 2, true, 0);
    assert_eq!(walk.at(3), "split[1, 0]");
    walk.stands(Status::Completed, "Healthy", 2, 2);
    assert_eq!(walk.at(33), "-2 -3");
}

#[test]
fn analyses_stand_before_and_after_the_switch() {
    let test = Metric { measures: Measures::Test(Test { takes: Duration::from_secs(20), finds: 1.0 }), ..metric() };
    let of_kind = BlueGreen { pre_promotion: vec![test], post_promotion: vec![metric()], ..blue_green() };
    let mut walk = Walk::new("oo", settings(Kind::BlueGreen(of_kind)));
    walk.at(0);
    start(&mut walk, 2..4);
    assert_eq!(walk.at(1), "");
    assert_eq!(walk.at(20), "");
    assert_eq!(walk.at(21), "split[0, 1]");
    walk.stands(Status::Progressing, "Progressing", 2, 2);
    answered(&mut walk, 10, 10);
    assert_eq!(walk.at(31), "split[1, 0]");
    walk.stands(Status::Failed, "Degraded", 2, 2);
    assert_eq!(walk.at(61), "-2 -3");
}

#[test]
fn a_version_that_is_overtaken_goes_first() {
    let mut walk = Walk::new("oooo", basic_canary(vec![Step::SetWeight(50), Step::Pause(None)]));
    walk.at(0);
    start(&mut walk, 4..6);
    walk.at(1);
    (walk.target, walk.revision) = (Version(2), 2);
    // Room for two more; nothing shrinks before the one between is gone.
    assert_eq!(walk.at(2), "+old +old");
    start(&mut walk, 6..8);
    assert_eq!(walk.at(3), "-4 -5");
    walk.stands(Status::Paused, "Paused", 2, 0);
}

#[test]
fn with_a_router_who_is_overtaken_loses_its_requests_and_goes_at_once() {
    let mut walk = Walk::new("oooo", routed_canary(vec![Step::SetWeight(50), Step::Pause(None)]));
    walk.at(0);
    start(&mut walk, 4..6);
    assert_eq!(walk.at(1), "split[50, 50]");
    (walk.target, walk.revision) = (Version(2), 2);
    assert_eq!(walk.at(2), "split[1, 0] +old +old -4 -5");
}

#[test]
fn nothing_that_comes_on_is_late() {
    let deadline = Settings { progress_deadline: Duration::from_mins(1), ..basic_canary(vec![Step::Pause(None)]) };
    let mut walk = Walk::new("oo", deadline.clone());
    walk.at(0);
    walk.stands(Status::Paused, "Paused", 2, 0);
    walk.at(1_000);
    walk.stands(Status::Paused, "Paused", 2, 0);
    walk.promotions = 1;
    assert_eq!(walk.at(1_000), "+ +");
    walk.at(1_060);
    walk.stands(Status::Progressing, "Progressing", 2, 2);
    walk.at(1_061);
    walk.stands(Status::Stuck, "Degraded", 2, 2);
    walk.starts(2);
    assert_eq!(walk.at(1_062), "-0");
    walk.stands(Status::Progressing, "Progressing", 1, 2);

    let aborts = Settings { progress_deadline_abort: true, ..deadline };
    let mut walk = Walk::new("oo", aborts);
    walk.at(0);
    walk.promotions = 1;
    walk.at(1);
    assert_eq!(walk.at(62), "-2 -3");
    walk.stands(Status::Failed, "Degraded", 2, 0);
}

#[test]
fn nothing_goes_on_while_it_is_paused_by_hand() {
    let mut walk = Walk::new("oo", routed_canary(vec![Step::SetWeight(50)]));
    walk.halted = true;
    assert_eq!(walk.at(0), "");
    walk.stands(Status::Paused, "Paused", 2, 0);
    walk.desired = 3;
    assert_eq!(walk.at(1), "+old + +");
    walk.halted = false;
    start(&mut walk, 2..5);
    assert_eq!(walk.at(2), "split[50, 50] +");
}

#[test]
fn scale_of_a_canary_is_its_own_where_that_is_asked_for() {
    let scale = |scale| Step::SetCanaryScale(scale);
    let steps = vec![
        scale(CanaryScale::Replicas(3)),
        Step::SetWeight(10),
        scale(CanaryScale::Weight(50)),
        scale(CanaryScale::MatchTrafficWeight),
        Step::Pause(None),
    ];
    let mut walk = Walk::new("oooo", routed_canary(steps));
    assert_eq!(walk.at(0), "+ + +");
    start(&mut walk, 4..7);
    // Nobody keeps the three: what they are sized by has changed by the end of the moment.
    assert_eq!(walk.at(1), "split[90, 10] -4 -5");
    walk.stands(Status::Paused, "Paused", 4, 1);
}
