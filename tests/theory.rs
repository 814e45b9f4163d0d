//! Do runs come out as they can be worked out? Rollouts without chance must last what a person with a pencil finds;
//! queues with chance must lie within four standard errors of their formulas on each of five seeds.

use rayon::prelude::*;
use rollsim::engine;
use rollsim::fleet::Phase;
use rollsim::history::{Cause, History, Outcome};
use rollsim::metrics::{FleetPoint, RunMetrics, fleet_points, measure};
use rollsim::scenario::{Scenario, parse};
use rollsim::stats::Sample;
use rollsim::time::SimTime;
use std::path::Path;

fn read(text: &str) -> Scenario {
    parse(text, Path::new("theory.toml")).unwrap_or_else(|error| panic!("{error}\n{text}"))
}

// --- rollouts without chance
// -----------------------------------------------------------------------------------------

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

/// How many starts a Deployment's rollout lasts, the fewest instances that serve, and the most that exist.
#[track_caller]
fn waves(instances: u32, surge: &str, unavailable: &str, then: [u32; 3]) {
    let strategy = format!(
        "kubernetes]\ncontrol_plane = {{ at_once = true }}\nmax_surge = {surge}\nmax_unavailable = {unavailable}"
    );
    let figures = Walk { instances, release: r#"start = "7s""#, strategy: &strategy }.figures();
    let duration = figures.duration_s.expect("it completes");
    let starts = [2, 3, 10].into_iter().find(|starts| (duration - 7.0 * f64::from(*starts)).abs() < 1e-9);
    let found = [starts.unwrap_or(0), figures.least_ready, figures.most_instances];
    assert_eq!(found, then, "{instances} instances, {surge} / {unavailable}: {duration} s");
}

#[test]
fn a_deployment_moves_in_waves() {
    //    replicas surge     unavailable  starts, least ready, most instances
    waves(10, r#""25%""#, r#""25%""#, [2, 8, 13]);
    waves(100, r#""25%""#, r#""25%""#, [2, 75, 125]);
    waves(50, r#""25%""#, r#""25%""#, [2, 38, 63]);
    waves(7, r#""25%""#, r#""25%""#, [3, 6, 9]);
    waves(20, r#""20%""#, r#""20%""#, [3, 16, 24]);
    waves(10, "1", "0", [10, 10, 11]);
    waves(10, "0", "1", [10, 9, 10]);
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

// --- chance
// ----------------------------------------------------------------------------------------------------------

const SEEDS: [u64; 5] = [1, 2, 3, 4, 5];

/// The most that a standard error may be, as a share of the theory: above it a test would say nothing.
const LARGEST_RELATIVE_ERROR: f64 = 0.02;

/// The mean over replications lies within four standard errors of the theory on each of five seeds.
#[track_caller]
fn meets(theory: f64, scenario: &Scenario, measured: impl Fn(&History) -> f64 + Sync) {
    for seed in SEEDS {
        let mut scenario = scenario.clone();
        scenario.study.seed = seed;
        let replications = 0..scenario.study.replications.get();
        let strategy = &scenario.strategies[0].strategy;
        let values: Vec<f64> =
            replications.into_par_iter().map(|run| measured(&engine::run(&scenario, strategy, run))).collect();
        let sample = Sample::new(values).expect("there are replications, and they are finite");
        let (mean, error) = (sample.mean(), sample.standard_error());
        println!("seed {seed}: {mean:.5} ± {error:.5}, theory {theory:.5}, z = {:+.2}", (mean - theory) / error);
        assert!((mean - theory).abs() <= 4.0 * error, "seed {seed}: {mean} ± {error}, theory {theory}");
        assert!(error <= LARGEST_RELATIVE_ERROR * theory, "seed {seed}: ± {error} proves little of {theory}");
    }
}

/// One unit of work.
const UNIT_S: f64 = 0.010;

/// A queueing system; times are told in units of work.
#[derive(Clone)]
struct Queue<'a> {
    instances: u32,
    workers: u32,
    /// Places in the queue of one instance.
    places: u32,
    /// Requests a unit of work, over all instances.
    load: f64,
    arrivals: &'a str,
    work: &'a str,
    policy: &'a str,
    /// Simulated units of work in which arrivals are measured.
    measured: f64,
    /// Units before that.
    warm_up: f64,
}

const EXPONENTIAL: &str = r#"{ exponential = { mean = "10ms" } }"#;

/// One server, Markovian, endless.
const SINGLE: Queue<'_> = Queue {
    instances: 1,
    workers: 1,
    places: 100_000,
    load: 0.0,
    arrivals: "poisson",
    work: EXPONENTIAL,
    policy: "round-robin",
    measured: 40_000.0,
    warm_up: 5_000.0,
};

impl Queue<'_> {
    /// A rollout begins where the measuring ends, and its first instance starts when all is over: it does nothing to
    /// the queue.
    fn scenario(&self) -> Scenario {
        let Queue { instances, workers, places, arrivals, work, policy, .. } = self;
        let rate = self.load / UNIT_S;
        let millis = |units: f64| (units * UNIT_S * 1000.0) as u64;
        let (warm_up, measured) = (millis(self.warm_up), millis(self.measured));
        read(&format!(
            r#"
            [service]
            instances = {instances}
            workers = {workers}
            queue = {places}
            [traffic]
            rate = {rate}
            arrivals = "{arrivals}"
            work = {work}
            [balancer]
            policy = "{policy}"
            [release]
            start = "1h"
            [strategy.idle.kubernetes]
            control_plane = {{ at_once = true }}
            max_surge = 1
            max_unavailable = 0
            [study]
            replications = 24
            warm_up = "{warm_up}ms"
            baseline = "{measured}ms"
            window = "5s"
            interval = "5s"
            "#
        ))
    }

    #[track_caller]
    fn has_mean_response(&self, theory: f64) {
        meets(theory, &self.scenario(), |history| {
            let baseline = &history.baseline.all;
            assert_eq!(baseline.ledger.open, 0, "all that was measured has ended");
            baseline.latency_sum as f64 / baseline.ledger.served as f64 / 1e9 / UNIT_S
        });
    }

    #[track_caller]
    fn has_quantile(&self, quantile: f64, theory: f64) {
        meets(theory, &self.scenario(), |history| {
            history.baseline.all.latency.value_at_quantile(quantile) as f64 / 1e6 / UNIT_S
        });
    }

    #[track_caller]
    fn refuses(&self, theory: f64) {
        meets(theory, &self.scenario(), |history| {
            let ledger = &history.baseline.all.ledger;
            assert_eq!(ledger.lost_in_all(), ledger.lost[Cause::QueueFull.index()]);
            ledger.lost_in_all() as f64 / ledger.arrivals as f64
        });
    }
}

/// The published value of a formula, to the digits that were printed.
#[track_caller]
fn published(formula: f64, printed: f64) -> f64 {
    assert!((formula / printed - 1.0).abs() < 1e-5, "the formula gives {formula}, printed is {printed}");
    formula
}

/// The share of requests that find all servers taken and leave (Erlang 1917).
fn erlang_b(servers: u32, offered: f64) -> f64 {
    (1..=servers).fold(1.0, |blocked, servers| offered * blocked / (f64::from(servers) + offered * blocked))
}

/// The share of requests that find all servers taken and wait (Erlang 1917).
fn erlang_c(servers: u32, offered: f64) -> f64 {
    let blocked = erlang_b(servers, offered);
    blocked / (1.0 - offered / f64::from(servers) * (1.0 - blocked))
}

/// Mean response of M/M/c, in units of work.
fn mmc_response(servers: u32, offered: f64) -> f64 {
    1.0 + erlang_c(servers, offered) / (f64::from(servers) - offered)
}

/// The stationary distribution of the number in an M/M/c with `places` in all.
fn mmck(servers: u32, places: u32, offered: f64) -> Vec<f64> {
    let mut weights = vec![1.0];
    for number in 1..=places {
        weights.push(weights[number as usize - 1] * offered / f64::from(number.min(servers)));
    }
    let total: f64 = weights.iter().sum();
    weights.into_iter().map(|weight| weight / total).collect()
}

#[test]
fn one_server_with_random_arrivals() {
    let queue = |load| Queue { load, ..SINGLE };
    queue(0.8).has_mean_response(1.0 / (1.0 - 0.8));
    Queue { measured: 120_000.0, warm_up: 10_000.0, ..queue(0.9) }.has_mean_response(1.0 / (1.0 - 0.9));
    // The response is exponential, too.
    let p99 = published(libm::log(100.0) / (1.0 - 0.8), 23.0259);
    Queue { measured: 80_000.0, ..queue(0.8) }.has_quantile(0.99, p99);
}

#[test]
fn several_servers_behind_one_queue() {
    let queue = |workers, load| Queue { workers, load, measured: 10_000.0, ..SINGLE };
    queue(10, 8.0).has_mean_response(published(mmc_response(10, 8.0), 1.20459));
    queue(2, 1.4).has_mean_response(published(mmc_response(2, 1.4), 1.960_784));
    // With one server too many for the load and no more, P(response > t) = exp(-t) (1 + t P(wait)).
    let p99: f64 = 6.24988;
    let tail = libm::exp(-p99) * (1.0 + p99 * erlang_c(10, 9.0));
    assert!((tail - 0.01).abs() < 1e-6, "{tail}");
    queue(10, 9.0).has_quantile(0.99, p99);
}

#[test]
fn one_server_with_other_work() {
    // Pollaczek, Khinchine: 1 + ρ (1 + SCV) / 2 / (1 - ρ).
    let response = |load: f64, scv: f64| 1.0 + load * (1.0 + scv) / 2.0 / (1.0 - load);
    // A log-normal of mean 1 and SCV 2: σ² = ln 3, median exp(-σ²/2), p95 = median × exp(1.6448536 σ).
    let variance = libm::log(3.0);
    let median = libm::exp(-variance / 2.0);
    let p95 = median * libm::exp(1.644_853_626_951 * libm::sqrt(variance));
    let nanos = |units: f64| (units * UNIT_S * 1e9) as u64;
    let work = format!(r#"{{ lognormal = {{ median = "{}ns", p95 = "{}ns" }} }}"#, nanos(median), nanos(p95));
    Queue { load: 0.7, work: &work, measured: 80_000.0, ..SINGLE }
        .has_mean_response(published(response(0.7, 2.0), 4.5));
    Queue { load: 0.8, work: r#""10ms""#, ..SINGLE }.has_mean_response(published(response(0.8, 0.0), 3.0));
}

#[test]
fn one_server_with_evenly_spaced_arrivals() {
    // σ = exp(-(1 - σ) 1.25) is the share of arrivals that wait; the response is exponential with mean 1 / (1 - σ).
    let waits = (0..200).fold(0.5, |share: f64, _| libm::exp(-(1.0 - share) * 1.25));
    let response = published(1.0 / (1.0 - waits), 2.69273);
    Queue { load: 0.8, arrivals: "deterministic", ..SINGLE }.has_mean_response(response);
}

#[test]
fn what_finds_no_place_is_refused() {
    // Erlang's own: nobody waits.
    let erlang = |workers, load| Queue { workers, places: 0, load, measured: 20_000.0, ..SINGLE };
    erlang(10, 5.0).refuses(published(erlang_b(10, 5.0), 0.018_384_6));
    erlang(20, 12.03).refuses(published(erlang_b(20, 12.03), 0.009_995_87));
    // One server and nine who wait.
    let distribution = mmck(1, 10, 0.9);
    Queue { places: 9, load: 0.9, ..SINGLE }.refuses(published(distribution[10], 0.050_813_7));
    // Four servers, six who wait, more load than they can serve: Little's law gives the response of those who get in.
    let distribution = mmck(4, 10, 4.8);
    let in_system: f64 = (0..).zip(&distribution).map(|(number, share)| f64::from(number) * share).sum();
    let response = published(in_system / (4.8 * (1.0 - distribution[10])), 1.86456);
    Queue { workers: 4, places: 6, load: 4.8, measured: 4_000.0, ..SINGLE }.has_mean_response(response);
}

#[test]
fn several_queues_behind_a_balancer() {
    let fleet = |instances, load_of_one: f64, policy| Queue {
        instances,
        load: f64::from(instances) * load_of_one,
        policy,
        measured: 10_000.0,
        ..SINGLE
    };
    // Every second arrival of a Poisson process: an Erlang-2 queue in front of one server (E2/M/1).
    let transform = |share: f64| libm::pow(1.4 / (1.4 + 1.0 - share), 2.0);
    let waits = (0..500).fold(0.5, |share, _| transform(share));
    fleet(2, 0.7, "round-robin").has_mean_response(published(1.0 / (1.0 - waits), 2.60062));
    // Joining the shorter queue, from the balance equations of the truncated chain.
    Queue { measured: 60_000.0, ..fleet(2, 0.9, "least-connections") }.has_mean_response(5.47491);
    fleet(10, 0.9, "least-connections").has_mean_response(1.91993);
    // A random choice splits a Poisson process into independent ones.
    fleet(10, 0.7, "random").has_mean_response(1.0 / (1.0 - 0.7));
}

/// The shorter of two random queues among 100 (Mitzenmacher 2001 for the limit; these are for 100).
#[test]
fn the_power_of_two_choices() {
    let fleet = |load: f64| Queue {
        instances: 100,
        load: 100.0 * load,
        policy: "power-of-two",
        measured: 800.0,
        warm_up: 300.0,
        ..SINGLE
    };
    fleet(0.7).has_mean_response(1.6202);
    fleet(0.9).has_mean_response(2.6454);
}

#[test]
fn a_window_slides_over_deployments_of_random_length() {
    // Of 100 deployments, 100 - w end at rate w, and the last w one by one: (100 - w) / w + H(w).
    for (window, printed) in [(10, 11.929), (25, 6.81596)] {
        let harmonic: f64 = (1..=window).map(|part| 1.0 / f64::from(part)).sum();
        let theory = published(f64::from(100 - window) / f64::from(window) + harmonic, printed);
        let strategy = format!("octopus]\nwindow_size = {window}");
        let release = r#"start = { exponential = { mean = "10s" } }"#;
        let mut scenario = Walk { instances: 100, release, strategy: &strategy }.scenario();
        scenario.study.replications = std::num::NonZeroU32::new(200).expect("not 0");
        let rollout_at = SimTime::START + scenario.study.rollout_at();
        meets(theory, &scenario, |history| {
            assert_eq!(history.outcome, Outcome::Completed);
            history.ended_at.expect("it completed").since(rollout_at).as_secs_f64() / 10.0
        });
    }
}

#[test]
fn waves_wait_for_their_slowest_deployment() {
    // The longest of w deployments lasts H(w), and there are n / w waves of them.
    let harmonic: f64 = (1..=10).map(|part| 1.0 / f64::from(part)).sum();
    let release = r#"start = { exponential = { mean = "10s" } }"#;
    let mut scenario = Walk { instances: 100, release, strategy: "waves]\nsize = 10" }.scenario();
    scenario.study.replications = std::num::NonZeroU32::new(200).expect("not 0");
    let rollout_at = SimTime::START + scenario.study.rollout_at();
    meets(published(10.0 * harmonic, 29.2897), &scenario, |history| {
        assert_eq!(history.outcome, Outcome::Completed);
        history.ended_at.expect("it completed").since(rollout_at).as_secs_f64() / 10.0
    });
}

#[test]
fn retries_hide_errors_and_cost_attempts() {
    // The defect is everywhere from the beginning of the rollout, a millisecond into the run.
    let scenario = read(
        r#"
        [service]
        instances = 2
        workers = 1000
        queue = 0
        [traffic]
        rate = 500
        work = "10ms"
        [client]
        retries = { attempts = 3 }
        [release]
        start = "0s"
        defect = { error_rate = "35%" }
        [strategy.at-once.kubernetes]
        control_plane = { at_once = true }
        type = "Recreate"
        [study]
        replications = 24
        warm_up = "0s"
        baseline = "1ms"
        window = "20s"
        "#,
    );
    let errors: f64 = 0.35;
    meets(published(1.0 + errors + errors * errors, 1.4725), &scenario, |history| {
        history.attempts.sent as f64 / history.ledger.arrivals as f64
    });
    meets(published(1.0 - errors * errors * errors, 0.957_125), &scenario, |history| {
        let ledger = &history.window.all.ledger;
        ledger.served as f64 / (ledger.served + ledger.lost_in_all()) as f64
    });
}
