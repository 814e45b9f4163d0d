//! Do rollouts without chance last what a person with a pencil finds? What chance plays a part in is `validate.rs`.

use rollsim::engine;
use rollsim::fleet::{Phase, Version};
use rollsim::history::{Cause, End, Ended, Outcome};
use rollsim::metrics::{FleetPoint, RunMetrics, fleet_points, measure};
use rollsim::scenario::{Scenario, parse};
use rollsim::time::SimTime;
use std::path::Path;

fn read(text: &str) -> Scenario {
    parse(text, Path::new("theory.toml")).unwrap_or_else(|error| panic!("{error}\n{text}"))
}

/// A rollout that is worked out by hand: hardly a request, and every step of it takes a given time.
struct Walk<'a> {
    instances: u32,
    /// The lines of `[release]`.
    release: &'a str,
    /// The orchestrator's table, the strategy's name left out.
    strategy: &'a str,
}

impl Walk<'_> {
    fn scenario(&self) -> Scenario {
        let Walk { instances, release, strategy } = self;
        read(&format!(
            r#"
            [service]
            instances = {instances}
            workers = 8
            queue = 64
            [traffic]
            rate = 0.001
            arrivals = "deterministic"
            work = "10ms"
            [release]
            grace = "30s"
            {release}
            [strategy.walk.{strategy}
            [study]
            replications = 2
            warm_up = "0s"
            baseline = "1s"
            window = "1h"
            interval = "10s"
            "#
        ))
    }

    fn figures(&self) -> RunMetrics {
        let scenario = self.scenario();
        let named = &scenario.strategies[0];
        let history = engine::run(&scenario, &named.strategy, 0);
        measure(&history, &fleet_points(&history, &named.strategy), &scenario, named, 0)
    }

    /// The rollout ends like this after exactly so many seconds.
    #[track_caller]
    fn ends(&self, outcome: Outcome, seconds: f64) {
        let figures = self.figures();
        assert_eq!(figures.outcome, outcome.name());
        let found = figures.duration_s.expect("it came to its end");
        assert!((found - seconds).abs() < 1e-9, "{found} s instead of {seconds} s");
    }

    #[track_caller]
    fn lasts(&self, seconds: f64) {
        self.ends(Outcome::Completed, seconds);
    }
}

#[test]
fn min_ready_seconds_count_from_a_whole_second() {
    // Ready at x.6 s and cut to x s, a pod is available at x + 2 s: 4 s a step, four steps.
    let strategy =
        "kubernetes]\ncontrol_plane = { at_once = true }\nmax_surge = 1\nmax_unavailable = 0\nmin_ready_seconds = 2";
    Walk { instances: 4, release: r#"start = "2600ms""#, strategy }.lasts(16.0);
    // A start of whole seconds loses nothing.
    Walk { instances: 4, release: r#"start = "3s""#, strategy }.lasts(20.0);
}

#[test]
fn recreate_stops_everything_and_then_starts_everything() {
    let strategy = r#"kubernetes]
control_plane = { at_once = true }
        type = "Recreate""#;
    let lasts = |release: &str, seconds| Walk { instances: 10, release, strategy }.lasts(seconds);
    lasts("start = \"7s\"", 7.0);
    lasts("start = \"7s\"\nstop = \"4s\"", 11.0);
    lasts("start = \"7s\"\nstop = \"4s\"\npre_stop = \"3s\"\npull = \"2s\"", 16.0);
    // The kill comes 30 s after preStop began, however long the process would take.
    lasts("start = \"7s\"\nstop = \"5m\"\npre_stop = \"3s\"", 37.0);
}

#[test]
fn a_probe_sees_readiness_at_its_own_moments() {
    // Up after 7 s; probed at 2, 7, 12 s: the second pass is at 12 s.
    let release = "start = \"7s\"\nready_probe = { initial_delay = \"2s\", period = \"5s\", success_threshold = 2 }";
    let strategy = r#"kubernetes]
control_plane = { at_once = true }
        type = "Recreate""#;
    Walk { instances: 3, release, strategy }.lasts(12.0);
}

/// When the only new pod, which is up after 3 s and probed every 5 s, turns ready or unready, seconds after the rollout
/// began, until a minute is over.
#[track_caller]
fn turns(unready: &str, probe: &str, then: &[(f64, Phase)]) {
    let release = format!("start = \"3s\"\n{probe}\ndefect = {{ unready = {{ {unready} }} }}");
    let walk = Walk { instances: 1, release: &release, strategy: "kubernetes]\ncontrol_plane = { at_once = true }" };
    let scenario = walk.scenario();
    let history = engine::run(&scenario, &scenario.strategies[0].strategy, 0);
    let began = SimTime::START + scenario.study.rollout_at();
    let of_new = history.changes.iter().filter(|change| change.version == Version::NEW);
    let turns = of_new.filter(|change| matches!(change.to, Phase::Ready | Phase::Unready));
    let found: Vec<(f64, Phase)> = turns
        .map(|change| (change.at.since(began).as_secs_f64(), change.to))
        .take_while(|(at, _)| *at < 60.0)
        .collect();
    assert_eq!(found, then);
}

#[test]
fn readiness_is_lost_and_won_probe_by_probe() {
    use Phase::{Ready, Unready};
    let probe = r#"ready_probe = { period = "5s", failure_threshold = 3 }"#;
    // It passes at 5 s. From 12 s on it fails, at 15, 20 and 25 s; from 32 s on it passes, at 35 s. Then the same again.
    turns(r#"after = "7s", lasts = "20s""#, probe, &[(5.0, Ready), (25.0, Unready), (35.0, Ready), (55.0, Unready)]);
    // Of two failures nobody hears.
    turns(r#"after = "7s", lasts = "9s""#, probe, &[(5.0, Ready)]);
    // Nor does one pass make up for failures.
    let twice = r#"ready_probe = { period = "5s", failure_threshold = 2, success_threshold = 2 }"#;
    turns(r#"after = "4s", lasts = "12s""#, twice, &[(10.0, Ready), (20.0, Unready), (35.0, Ready), (45.0, Unready)]);
    // Without a probe all of it is known at once.
    turns(r#"after = "17s", lasts = "20s""#, "", &[(3.0, Ready), (20.0, Unready), (40.0, Ready), (57.0, Unready)]);
}

#[test]
fn an_undone_rollout_goes_back_what_it_went() {
    // After 22 s four new pods serve (5, 10, 15, 20 s) and a fifth starts, which goes at once; four more starts bring
    // the old back.
    let strategy = "kubernetes]\ncontrol_plane = { at_once = true }\nmax_surge = 1\nmax_unavailable = 0\ncommands = [{ after = \"22s\", do = \"undo\" }]";
    Walk { instances: 10, release: r#"start = "5s""#, strategy }.ends(Outcome::RolledBack, 22.0 + 4.0 * 5.0);
}

#[test]
fn a_deployment_that_never_becomes_ready_stands_still_and_is_stuck() {
    let release = "start = \"5s\"\ndefect = { never_ready = true }";
    let walk = Walk { instances: 10, release, strategy: "kubernetes]\ncontrol_plane = { at_once = true }" };
    let scenario = walk.scenario();
    let strategy = &scenario.strategies[0].strategy;
    let history = engine::run(&scenario, strategy, 0);
    assert_eq!(history.outcome, Outcome::Stuck);
    // progressDeadlineSeconds is 600 s, and the controller looks a second later.
    let stuck_at = SimTime::START + scenario.study.rollout_at() + std::time::Duration::from_secs(601);
    assert_eq!(history.ended_at, Some(stuck_at));
    let at_the_end = *fleet_points(&history, strategy).last().expect("the fleet changed");
    let of = |old, new| std::array::from_fn(|version| [old, new, 0][version.min(2)]);
    let stands =
        FleetPoint { desired: of(8, 5), ready: of(8, 0), total: of(8, 5), terminating: 0, available: 8, ..at_the_end };
    assert_eq!(at_the_end, stands);
}

#[test]
fn a_process_that_ends_and_starts_without_a_pause_cuts_the_run_short() {
    let restart = r#"restart = { initial = "0s", longest = "0s", reset_after = "0s" }"#;
    let release = format!("start = \"0s\"\ndefect = {{ failed_start = \"100%\" }}\n{restart}");
    let walk = Walk { instances: 2, release: &release, strategy: "kubernetes]\ncontrol_plane = { at_once = true }" };
    assert_eq!(walk.figures().outcome, Outcome::CutShort.name());
}

const SWARM_TASK: &str = "start = \"3s\"\nstop = \"1s\"";

#[test]
fn a_swarm_update_stops_first() {
    let lasts = |update: &str, seconds| {
        let strategy = format!("swarm]\nupdate = {{ {update} }}");
        Walk { instances: 4, release: SWARM_TASK, strategy: &strategy }.lasts(seconds);
    };
    // A slot takes the agent's 1 s, the daemon's 2 s, 1 s of stopping and 3 s of starting; at the end the last tasks are
    // watched for 5 s.
    let slot = 1.0 + 2.0 + 1.0 + 3.0;
    lasts("parallelism = 1", 4.0 * slot + 5.0);
    lasts("parallelism = 2", 2.0 * slot + 5.0);
    lasts("parallelism = 0", slot + 5.0);
    lasts(r#"monitor = "20s""#, 4.0 * slot + 20.0);
    // The delay comes after every slot, the last one included.
    lasts(r#"delay = "4s""#, 4.0 * (slot + 4.0) + 5.0);
    // A delay as long as the monitor stretches that to the delay and a second.
    lasts(r#"delay = "5s""#, 4.0 * (slot + 5.0) + 6.0);
    lasts(r#"delay = "10s", parallelism = 2"#, 2.0 * (slot + 10.0) + 11.0);
}

#[test]
fn a_swarm_update_pulls_while_the_old_task_stops() {
    let release = "start = \"3s\"\nstop = \"1s\"\npull = \"10s\"";
    Walk { instances: 4, release, strategy: "swarm]" }.lasts(4.0 * (10.0 + 3.0) + 5.0);
    Walk { instances: 4, release: SWARM_TASK, strategy: "swarm]\nstop_latency = \"0s\"" }
        .lasts(4.0 * (1.0 + 3.0) + 5.0);
}

#[test]
fn a_swarm_update_that_starts_first_waits_for_no_stop() {
    let strategy = "swarm]\nupdate = { order = \"start-first\" }";
    let walk = Walk { instances: 4, release: SWARM_TASK, strategy };
    walk.lasts(4.0 * 3.0 + 5.0);
    assert_eq!(walk.figures().least_ready, 4);
}

#[test]
fn a_swarm_rollback_by_hand_goes_one_by_one() {
    // Three slots are done after 7 s, and a rollback stops and starts each of them once more.
    let strategy =
        "swarm]\nupdate = { parallelism = 4, monitor = \"1m\" }\ncommands = [{ after = \"40s\", do = \"undo\" }]";
    Walk { instances: 3, release: SWARM_TASK, strategy }.ends(Outcome::RolledBack, 40.0 + 3.0 * 7.0 + 5.0);
}

#[test]
fn a_swarm_update_begins_anew_when_the_service_grows() {
    // The first slot is done after 7 s, and the second one's task starts by itself. What is missing after 10 s is new at
    // once, and the other two slots take 7 s each.
    let strategy = "swarm]\ncommands = [{ after = \"10s\", do = \"scale\", instances = 6 }]";
    Walk { instances: 4, release: SWARM_TASK, strategy }.lasts(10.0 + 2.0 * 7.0 + 5.0);
}

#[test]
fn a_swarm_undo_takes_back_the_last_change_whichever_it_was() {
    let ends_with = |commands: &str, release: &str, reported: &str, new: u32, old: u32| {
        let update = "update = { failure_action = \"rollback\" }\nrollback = { failure_action = \"continue\" }";
        let strategy = format!("swarm]\n{update}\ncommands = [{commands}]");
        let scenario = Walk { instances: 4, release, strategy: &strategy }.scenario();
        let strategy = &scenario.strategies[0].strategy;
        let history = engine::run(&scenario, strategy, 0);
        let last = *fleet_points(&history, strategy).last().expect("the fleet changed");
        let word = history.reported.last().expect("it reports").word;
        assert_eq!((word, last.desired[1], last.desired[0]), (reported, new, old), "{commands}");
    };
    let (scale, undo) = ("{ after = \"5s\", do = \"scale\", instances = 6 }", "{ after = \"60s\", do = \"undo\" }");
    ends_with(scale, SWARM_TASK, "completed", 6, 0);
    ends_with(undo, SWARM_TASK, "rollback_completed", 0, 4);
    ends_with(&format!("{scale}, {undo}"), SWARM_TASK, "rollback_completed", 4, 0);
    let twice = "{ after = \"61s\", do = \"undo\" }";
    ends_with(&format!("{scale}, {undo}, {twice}"), SWARM_TASK, "rollback_completed", 6, 0);
    // The failure rule does the same: who scales in mid-update gets the new version everywhere, though it fails.
    let fails = &format!("{SWARM_TASK}\ndefect = {{ crash_after = \"4s\" }}");
    ends_with("", fails, "rollback_completed", 0, 4);
    ends_with(scale, fails, "rollback_completed", 4, 0);
}

#[test]
fn a_swarm_task_without_a_process_stops_without_the_agents_back_off() {
    // Undone at 2 s, while the new tasks are prepared and wait: each of them takes 2 s to stop and 3 s to start.
    let strategy = "swarm]\nupdate = { parallelism = 0 }\nrollback = { parallelism = 0 }\ncommands = [{ after = \"2s\", do = \"undo\" }]";
    Walk { instances: 3, release: SWARM_TASK, strategy }.ends(Outcome::RolledBack, 2.0 + 2.0 + 3.0 + 5.0);
}

#[test]
fn swarm_replaces_elsewhere_what_is_on_a_node_that_is_down() {
    // The outage is over after an hour. The manager notices after 15 s, waits for the restart delay of 5 s, and the
    // replacements start for 3 s.
    let strategy = "swarm]\n[faults]\noutage = { at = \"60s\", instances = 2, repair = \"1h\" }";
    let scenario = Walk { instances: 4, release: SWARM_TASK, strategy }.scenario();
    let history = engine::run(&scenario, &scenario.strategies[0].strategy, 0);
    let began = SimTime::START + scenario.study.rollout_at();
    let back = history.changes.iter().rfind(|change| change.to == Phase::Ready).expect("they come back");
    assert_eq!(back.at.since(began), std::time::Duration::from_secs(60 + 15 + 5 + 3));
}

#[test]
fn a_swarm_update_that_is_halted_finishes_the_slot_in_work() {
    let strategy = "swarm]\ncommands = [{ after = \"10s\", do = \"pause\" }, { after = \"30s\", do = \"resume\" }]";
    Walk { instances: 4, release: SWARM_TASK, strategy }.lasts(30.0 + 2.0 * 7.0 + 5.0);
}

#[test]
fn a_swarm_rollback_that_leaves_two_tasks_in_a_slot_reads_completed_in_the_end() {
    // The first new task fails after 19 s, seen once the last slot is done after 24 s. The rollback takes both slots; when
    // the other new task fails after 31 s, the supervisor replaces it beside the rollback's own task, which runs from 32 s
    // on. The rollback is completed after 37 s, and one more update makes do with one of the two: it pauses for 4 s and
    // watches for 20 s, as an update does.
    let update =
        "parallelism = 1, delay = \"4s\", monitor = \"20s\", failure_action = \"rollback\", order = \"start-first\"";
    let rollback = "parallelism = 0, order = \"start-first\"";
    let strategy = format!("swarm]\nupdate = {{ {update} }}\nrollback = {{ {rollback} }}");
    let release = "start = \"8s\"\ndefect = { crash_after = \"11s\" }";
    let scenario = Walk { instances: 2, release, strategy: &strategy }.scenario();
    let history = engine::run(&scenario, &scenario.strategies[0].strategy, 0);
    let began = SimTime::START + scenario.study.rollout_at();
    let reported: Vec<(u64, &str)> =
        history.reported.iter().map(|report| (report.at.since(began).as_secs(), report.word)).collect();
    let in_turn = [(0, "updating"), (24, "rollback_started"), (37, "rollback_completed"), (61, "completed")];
    assert_eq!(reported, in_turn);
    assert_eq!(history.outcome, Outcome::RolledBack);
}

#[test]
fn an_octopus_window_slides() {
    let lasts = |instances, settings: &str, release: &str, seconds| {
        let strategy = format!("octopus]\n{settings}");
        Walk { instances, release, strategy: &strategy }.lasts(seconds);
    };
    lasts(100, "window_size = 10", r#"start = "60s""#, 600.0);
    // Without a window, ten at a time.
    lasts(100, "", r#"start = "60s""#, 600.0);
    lasts(10, "window_size = 3", "start = \"5s\"\nstop = \"1s\"\npull = \"2s\"", 4.0 * (1.0 + 2.0 + 5.0));
    let children =
        "window_size = 3\ntake_out = \"2s\"\ntest = { takes = \"15s\", finds = \"100%\" }\nput_back = \"1s\"";
    lasts(10, children, "start = \"5s\"\nstop = \"1s\"\ndrain = \"4s\"", 4.0 * (2.0 + 4.0 + 1.0 + 5.0 + 15.0 + 1.0));
    // The release before comes back the same way.
    let redeployed = Walk {
        instances: 10,
        release: r#"start = "5s""#,
        strategy: "octopus]\nwindow_size = 5\ncommands = [{ after = \"1m\", do = \"undo\" }]",
    };
    redeployed.ends(Outcome::RolledBack, 60.0 + 2.0 * 5.0);
}

#[test]
fn waves_wait_for_one_another() {
    let lasts = |instances, settings: &str, release: &str, seconds| {
        let strategy = format!("waves]\n{settings}");
        Walk { instances, release, strategy: &strategy }.lasts(seconds);
    };
    let start = r#"start = "5s""#;
    lasts(10, "size = 3", start, 4.0 * 5.0);
    // 1, 2, 4 and 3 of 10.
    lasts(10, "growth = 2", start, 4.0 * 5.0);
    // A quarter of 10 are 3, and 30 % that stay are 3: waves of 3, 3 and 1.
    lasts(10, "size = \"25%\"\npartition = \"30%\"", start, 3.0 * 5.0);
    let all = "size = 5\ntake_out = \"2s\"\nput_back = \"1s\"\ngap = \"3s\"\nsoak = \"1m\"\n\
        test = { takes = \"15s\", finds = \"100%\" }\ngate = { after_wave = 1, answers_after = \"5m\" }";
    let wave = 2.0 + 4.0 + 1.0 + 3.0 + 5.0 + 1.0 + 15.0 + 60.0;
    lasts(10, all, "start = \"5s\"\nstop = \"1s\"\ndrain = \"4s\"", 2.0 * wave + 300.0);
    // What is idle does not drain.
    let idle = "start = \"5s\"\nstop = \"1s\"\ndrain = \"4s\"\ndrain_ends_when_idle = true";
    lasts(10, all, idle, 2.0 * (wave - 4.0) + 300.0);
    // After 12 s two waves of 5 are done. A rollback goes the same way, but nothing soaks.
    let undone = Walk {
        instances: 10,
        release: start,
        strategy: "waves]\nsize = 5\nsoak = \"1s\"\ncommands = [{ after = \"1m\", do = \"undo\" }]",
    };
    undone.ends(Outcome::RolledBack, 60.0 + 2.0 * 5.0);
}

/// The requests that a single instance loses when it fails 1.35 s into the run for a second, ten requests coming each second.
#[track_caller]
fn loses(ejection: &str, requests: u64) {
    let scenario = read(&format!(
        r#"
        [service]
        instances = 1
        workers = 8
        queue = 64
        [traffic]
        rate = 10
        arrivals = "deterministic"
        work = "10ms"
        [balancer]
        {ejection}
        [release]
        start = "0s"
        grace = "1s"
        [faults]
        outage = {{ at = "350ms", instances = 1, repair = "1s" }}
        [strategy.none.waves]
        partition = "100%"
        [study]
        replications = 2
        warm_up = "0s"
        baseline = "1s"
        window = "1m"
        "#
    ));
    let history = engine::run(&scenario, &scenario.strategies[0].strategy, 0);
    assert_eq!(history.window.all.ledger.lost_in_all(), requests, "{:?}", history.window.all.ledger);
}

#[test]
fn an_ejection_outlasts_the_failure() {
    // Down from 1.35 s to 2.35 s: ten requests, from the one at 1.4 s on.
    let down = r#"discovery = "static""#;
    loses(down, 10);
    let ejects = |more: &str| {
        format!("{down}\nejection = {{ consecutive_errors = 1, counts = \"connect\", lasts = \"10s\"{more} }}")
    };
    loses(&ejects(""), 100);
    // The failure in second 1 counts until second 11 is over.
    loses(&ejects(", whole_seconds = true"), 106);
    loses(&ejects(", whole_seconds = true, trial = true"), 106);
    // Two errors eject until 2.0 s, and two more until 2.6 s; where the first one after that is a trial, it ejects until 2.5 s.
    let short = "{ consecutive_errors = 2, counts = \"connect\", lasts = \"500ms\"";
    loses(&format!("{down}\nejection = {short} }}"), 12);
    loses(&format!("{down}\nejection = {short}, trial = true }}"), 11);
}

/// When the last of four dead instances is noticed by its checks, which come every eight seconds, in each of some runs.
fn last_noticed_s(check: &str) -> Vec<f64> {
    let mut scenario = read(&format!(
        r#"
        [service]
        instances = 4
        workers = 8
        queue = 64
        [traffic]
        rate = 50
        arrivals = "deterministic"
        work = "1ms"
        [balancer]
        discovery = "static"
        health_check = {{ period = "8s", failure_threshold = 1{check} }}
        [release]
        start = "0s"
        grace = "1s"
        [faults]
        outage = {{ at = "0s", share = "100%", repair = "10m" }}
        [strategy.none.waves]
        partition = "100%"
        [study]
        replications = 2
        warm_up = "0s"
        baseline = "10s"
        window = "20s"
        "#
    ));
    scenario.study.keeps_log = true;
    let met = |ended: &&Ended| ended.how == End::Lost(Cause::StaleEndpoint);
    let last = |run| {
        let history = engine::run(&scenario, &scenario.strategies[0].strategy, run);
        history.log.iter().rfind(met).expect("some met them").at.as_secs_f64() - 10.0
    };
    (0..20).map(last).collect()
}

#[test]
fn spread_checks_come_one_after_the_other() {
    // Of four checks in eight seconds the last one comes in the last two of them.
    let spread = last_noticed_s(", spread = true");
    assert!(spread.iter().all(|at| (5.9..8.0).contains(at)), "{spread:?}");
    let at_random = last_noticed_s("");
    assert!(at_random.iter().any(|at| *at < 5.9), "{at_random:?}");
}
