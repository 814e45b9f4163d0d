use super::*;
use crate::rollout::{Status, Walk};

fn seconds(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

/// Healthy once the process runs, so that nothing but what is decided here takes time.
fn update(max_parallel: u32) -> Update {
    Update { max_parallel, health_check: HealthCheck::TaskStates, min_healthy_time: seconds(10), ..Update::default() }
}

fn settings(update: Update) -> Settings {
    let restart = RestartPolicy { attempts: 0, ..RestartPolicy::default() };
    let (reschedule, shutdown_delay) = (ReschedulePolicy::default(), Duration::ZERO);
    Settings { update, restart, reschedule, shutdown_delay, evaluation_batch: EVALUATION_BATCH, commands: Vec::new() }
}

fn with_canary(auto_promote: bool) -> Settings {
    settings(Update { canary: 1, auto_promote, ..update(2) })
}

#[test]
fn the_lowest_names_go_first_and_the_next_ones_when_those_are_healthy() {
    let mut walk = Walk::new("oooo", settings(update(2)));
    assert_eq!(walk.at(0), "-0 + -1 +");
    walk.stands(Status::Progressing, "running", 2, 2);
    walk.starts(4);
    assert_eq!((walk.at(9), walk.at(10)), (String::new(), String::new()), "healthy now, and evaluated in a second");
    assert_eq!(walk.at(11), "-2 +", "the other one is of unknown health, and counts");
    walk.starts(5);
    walk.starts(6);
    walk.at(21);
    assert_eq!(walk.at(22), "-3 +");
    walk.starts(7);
    walk.at(32);
    walk.stands(Status::Progressing, "running", 0, 4);
    walk.at(33);
    walk.stands(Status::Completed, "successful", 0, 4);
}

#[test]
fn one_evaluation_serves_those_that_are_healthy_within_a_second() {
    let mut walk = Walk::new("oooo", settings(update(2)));
    walk.at(0);
    walk.starts(4);
    walk.starts(5);
    walk.at(10);
    assert_eq!(walk.at(11), "-2 + -3 +");
}

#[test]
fn without_an_update_block_all_are_replaced_at_once_and_there_is_no_deployment() {
    let mut walk = Walk::new("ooo", settings(Update { canary: 1, auto_revert: true, ..update(0) }));
    assert_eq!(walk.at(0), "-0 + -1 + -2 +");
    walk.stands(Status::Progressing, "pending", 0, 3);
    for id in 3..6 {
        walk.starts(id);
    }
    assert_eq!(walk.at(1), "");
    walk.stands(Status::Completed, "complete", 0, 3);
}

#[test]
fn a_canary_comes_beside_the_others_and_waits_for_its_promotion() {
    let mut walk = Walk::new("ooo", with_canary(false));
    assert_eq!(walk.at(0), "+");
    assert_eq!(walk.fleet[InstanceId(3)].slot.0, 0, "with the name of the one that it may replace");
    walk.stands(Status::Progressing, "running", 3, 1);
    walk.starts(3);
    walk.at(10);
    assert_eq!(walk.at(11), "");
    walk.stands(Status::Paused, "needs promotion", 3, 1);
    assert_eq!(walk.at(100_000), "", "which has time");
    walk.stands(Status::Paused, "needs promotion", 3, 1);
    walk.promotions = 1;
    assert_eq!(walk.at(100_001), "-0 -1 + -2 +");
    walk.stands(Status::Progressing, "running", 0, 3);
}

#[test]
fn a_promotion_that_comes_early_is_made_once_the_canaries_are_healthy() {
    let mut walk = Walk::new("oo", with_canary(false));
    walk.at(0);
    walk.promotions = 1;
    assert_eq!(walk.at(1), "");
    walk.starts(2);
    assert_eq!(walk.at(11), "-0 -1 +");
}

#[test]
fn canaries_are_promoted_by_themselves_where_that_is_asked_for() {
    let mut walk = Walk::new("oo", with_canary(true));
    walk.at(0);
    walk.starts(2);
    assert_eq!(walk.at(10), "-0 -1 +");
    walk.starts(3);
    walk.at(20);
    walk.at(21);
    walk.stands(Status::Completed, "successful", 0, 2);
}

#[test]
fn a_missing_one_among_canaries_is_placed_of_the_version_before() {
    let mut walk = Walk::new("oo", with_canary(false));
    walk.at(0);
    walk.breaks(1);
    assert_eq!((walk.at(19).as_str(), walk.at(20).as_str()), ("", "-1 +old"), "a node is down after a while");
    walk.stands(Status::Progressing, "running", 2, 1);
}

#[test]
fn while_one_is_unhealthy_nothing_else_moves_until_it_is_rescheduled() {
    let mut walk = Walk::new("oooo", settings(update(2)));
    walk.at(0);
    walk.starts(4);
    walk.ends(5);
    assert_eq!(walk.at(0), "-5", "its task is over");
    walk.stands(Status::Progressing, "running", 2, 2);
    walk.at(10);
    assert_eq!((walk.at(11).as_str(), walk.at(28).as_str()), ("", ""));
    assert_eq!(walk.at(30), "-2 + +", "and the healthy one leaves room for another");
    walk.ends(7);
    walk.at(30);
    assert_eq!((walk.at(88).as_str(), walk.at(90).as_str()), ("", "+"), "twice as long the next time");
}

#[test]
fn tasks_are_started_again_before_their_allocation_fails() {
    let restart = RestartPolicy { attempts: 1, ..RestartPolicy::default() };
    let mut walk = Walk::new("oo", Settings { restart, ..settings(update(1)) });
    walk.at(0);
    walk.starts(2);
    walk.at(5);
    walk.ends(2);
    assert_eq!(walk.at(5), "");
    walk.fleet.enter(InstanceId(2), Phase::Starting, walk.now);
    assert_eq!((walk.at(10), walk.at(14)), (String::new(), String::new()), "its time begins anew");
    walk.ends(2);
    assert_eq!(walk.at(14), "-2");
    walk.stands(Status::Progressing, "running", 1, 1);
}

#[test]
fn health_is_decided_once() {
    let mut walk = Walk::new("oo", settings(update(1)));
    walk.at(0);
    walk.starts(2);
    walk.at(10);
    walk.ends(2);
    assert_eq!(walk.at(10), "-2 -1 +", "it has failed, and the next one is replaced all the same");
    walk.starts(3);
    walk.at(20);
    assert_eq!(walk.at(40), "+", "once the deployment is over it is replaced");
    walk.stands(Status::Completed, "successful", 0, 2);
}

#[test]
fn the_deadline_fails_a_deployment_that_does_not_progress() {
    let mut walk = Walk::new("ooo", settings(update(1)));
    walk.at(0);
    walk.starts(3);
    walk.at(10);
    walk.at(11);
    walk.stands(Status::Progressing, "running", 1, 2);
    walk.at(609);
    walk.stands(Status::Progressing, "running", 1, 2);
    assert_eq!(walk.at(610), "", "600 s after the last one became healthy");
    walk.stands(Status::Failed, "failed", 1, 2);
    walk.starts(4);
    assert_eq!((walk.at(620), walk.at(700)), (String::new(), String::new()));
    walk.stands(Status::Failed, "failed", 1, 2);
}

#[test]
fn an_unhealthy_one_that_runs_stays_until_the_deployment_is_over() {
    let never_healthy = Update { health_check: HealthCheck::Checks, ..update(1) };
    let mut walk = Walk::new("oo", settings(never_healthy));
    walk.at(0);
    for phase in [Phase::Prepared, Phase::Starting] {
        walk.fleet.enter(InstanceId(2), phase, walk.now);
    }
    walk.at(299);
    assert_eq!((walk.at(300).as_str(), walk.at(301).as_str()), ("", ""));
    walk.fleet.enter(InstanceId(2), Phase::Ready, walk.now);
    assert_eq!(walk.at(400), "", "that comes too late");
    walk.at(600);
    walk.stands(Status::Failed, "failed", 1, 1);
}

#[test]
fn checks_are_looked_up_now_and_then() {
    let mut walk = Walk::new("oo", settings(Update { health_check: HealthCheck::Checks, ..update(1) }));
    walk.at(0);
    walk.now = walk.now + Duration::from_millis(1_100);
    walk.starts(2);
    walk.at(2);
    walk.at(11);
    assert_eq!(walk.at(12), "", "found at 1.5 s, healthy at 11.5 s, and evaluated at 12.5 s");
    assert_eq!(walk.at(13), "-1 +");
    let mut walk = Walk::new("oo", settings(Update { health_check: HealthCheck::Manual, ..update(1) }));
    walk.at(0);
    walk.starts(2);
    assert_eq!((walk.at(599).as_str(), walk.at(600).as_str()), ("", ""));
    walk.stands(Status::Failed, "failed", 1, 1);
}

#[test]
fn without_a_deadline_the_first_unhealthy_one_fails_the_deployment() {
    let mut walk = Walk::new("ooo", settings(Update { progress_deadline: Duration::ZERO, ..update(1) }));
    walk.at(0);
    walk.ends(3);
    assert_eq!(walk.at(1), "-3");
    walk.stands(Status::Failed, "failed", 2, 1);
    assert_eq!(walk.at(10_000), "", "nobody replaces what is a part of it");
}

#[test]
fn who_may_not_be_rescheduled_any_more_fails_the_deployment() {
    let limit = Some(Limit { attempts: 0, interval: seconds(60) });
    let reschedule = ReschedulePolicy { limit, ..ReschedulePolicy::default() };
    let mut walk = Walk::new("ooo", Settings { reschedule, ..settings(update(1)) });
    walk.at(0);
    walk.ends(3);
    walk.at(1);
    walk.stands(Status::Failed, "failed", 2, 1);
}

#[test]
fn a_failed_deployment_goes_back_to_the_stable_version_and_not_further() {
    let reverts = Update { progress_deadline: Duration::ZERO, auto_revert: true, ..update(2) };
    let mut walk = Walk::new("ooo", settings(reverts));
    walk.at(0);
    walk.starts(3);
    walk.ends(4);
    assert_eq!(walk.at(1), "-4 -3 +old +old", "who is old stays, and must be healthy once more");
    walk.stands(Status::Progressing, "running", 3, 0);
    walk.starts(5);
    walk.ends(6);
    walk.at(2);
    walk.stands(Status::Failed, "failed", 3, 0);
    assert_eq!(walk.at(10_000), "");
}

#[test]
fn unpromoted_canaries_of_a_failed_deployment_are_stopped() {
    let fails = Update { canary: 2, progress_deadline: Duration::ZERO, ..update(1) };
    let mut walk = Walk::new("ooo", settings(fails));
    assert_eq!(walk.at(0), "+ +");
    walk.starts(3);
    walk.ends(4);
    assert_eq!(walk.at(1), "-4 -3");
    walk.stands(Status::Failed, "failed", 3, 0);
}

#[test]
fn a_pause_holds_the_deployment_and_its_deadline() {
    let mut walk = Walk::new("ooo", settings(update(1)));
    walk.at(0);
    walk.halted = true;
    walk.starts(3);
    walk.at(1);
    walk.stands(Status::Paused, "paused", 2, 1);
    walk.at(10);
    assert_eq!((walk.at(11).as_str(), walk.at(10_000).as_str()), ("", ""));
    walk.stands(Status::Paused, "paused", 2, 1);
    walk.halted = false;
    assert_eq!(walk.at(10_001), "-1 +");
    walk.at(10_600);
    walk.stands(Status::Progressing, "running", 1, 2);
    walk.at(10_601);
    walk.stands(Status::Failed, "failed", 1, 2);
}

#[test]
fn another_version_cancels_the_deployment_and_begins_over_whatever_is_there() {
    let mut walk = Walk::new("ooo", settings(update(2)));
    walk.at(0);
    walk.starts(3);
    (walk.target, walk.revision) = (Version(2), 2);
    assert_eq!(walk.at(1), "-3 +old -4 +old", "the lowest names once more");
    assert_eq!(walk.wanted[..3], [1, 0, 2]);
    // Back to the first version: who runs it already stays where it is.
    (walk.target, walk.revision, walk.rolling_back) = (Version::OLD, 3, true);
    assert_eq!(walk.at(2), "-5 +old -6 +old");
    assert_eq!(walk.wanted[..3], [3, 0, 0]);
    walk.starts(7);
    walk.starts(8);
    walk.at(12);
    walk.at(13);
    walk.stands(Status::Completed, "successful", 3, 0);
}

#[test]
fn scaling_is_another_registration() {
    let mut walk = Walk::new("ooo", settings(update(1)));
    walk.at(0);
    walk.starts(3);
    walk.desired = 5;
    assert_eq!(walk.at(1), "+ +", "what is missing is placed at once, and uses up the budget");
    walk.stands(Status::Progressing, "running", 2, 3);
    walk.desired = 2;
    assert_eq!(walk.at(2), "-2 -4 -5 -1 +", "the highest names go");
    walk.stands(Status::Progressing, "running", 0, 2);
}
