//! One good file that says everything, and edits of it that break one rule each.

use super::{load, parse, schema};
use crate::distribution::{Delay, Distribution};
use crate::rollback::{Operator, Policy, Verdict};
use crate::rollout::kubernetes::{self, Kind};
use crate::rollout::swarm::{FailureAction, Order, UpdateConfig};
use crate::rollout::{Restart, Strategy, octopus, swarm};
use crate::scenario::*;
use std::fs;
use std::path::Path;
use std::time::Duration;

const FULL: &str = r#"[service]
instances = 12
workers = 8
queue = 64
zones = 3

[traffic]
rate = 900
arrivals = "deterministic"
work = { lognormal = { median = "20ms", p95 = "90ms" } }

[client]
timeout = "2s"
retries = { attempts = 3, backoff = "100ms", backoff_limit = "10s", jitter = "50%" }

[balancer]
policy = "power-of-two"
propagation = "300ms"
draining = false

[release]
pull = { uniform = { low = "1s", high = "3s" } }
start = { gamma = { shape = 2, mean = "8s" } }
ready_probe = { initial_delay = "2s", period = "5s", success_threshold = 1, failure_threshold = 4 }
warm_up = { factor = 3.0, over = "60s", shape = "exponential" }
drain = "30s"
pre_stop = "5s"
grace = "20s"
stop = { exponential = { mean = "1s" } }
restart = { initial = "10s", longest = "5m", reset_after = "10m" }
slowdown = 1.25
defect = { chance = "5%", appears_after = "1s", error_rate = "20%", slowdown = 1.5, failed_start = "30%", never_ready = true, crash_after = "20s" }

[strategy.zebra.kubernetes]
max_surge = "25%"
max_unavailable = 0
type = "RollingUpdate"
min_ready_seconds = 5
progress_deadline_seconds = 2147483647
controller_latency = "12ms"
undo_after = "45s"

[strategy.anew.kubernetes]
type = "Recreate"

[strategy.swarm.swarm]
update = { parallelism = 2, delay = "10s", monitor = "6s", max_failure_ratio = 0.1, failure_action = "rollback", order = "start-first" }
rollback = { failure_action = "continue" }
restart_delay = "6s"
stop_latency = "0s"
rollback_after = "40s"

[strategy."octo.1".octopus]
window_size = 1
take_out = "2s"
test = { takes = "10s", finds = "90%" }
put_back = "1s"
put_back_always = true
redeploy_after = "3m"

[rollback]
policy = { operator = { notices_after = { weibull = { shape = 1.5, scale = "2m" } }, then = "pause", alarm = "1%" } }

[faults]
crash = { mtbf = "30d", repair = { pareto = { minimum = "1m", shape = 2 } }, share = "20%" }
outage = { at = "5m", zone = 2, repair = "3m" }

[budget]
availability = "99.95%"
p99 = "400ms"
duration = "15m"
lost = 100
least_ready = "75%"

[study]
replications = 200
seed = 7
warm_up = "20s"
baseline = "40s"
window = "10m"
interval = "2s"
confidence = "99%"
against = "anew"

[expect.anew]
outcome = "completed"
duration = ["30s", "40s"]
lost = [0, 10.5]
least_ready = 2
most_instances = 4
main_cause = "stale_endpoint"
"#;

const SMALL: &str = r#"[service]
instances = 4
workers = 1
queue = 0
[traffic]
rate = 1.5
work = "20ms"
[release]
start = "8s"
[strategy.default.kubernetes]
[study]
replications = 2
window = "90s"
"#;

fn read(text: &str) -> Scenario {
    parse(text, Path::new("fleet.toml")).unwrap_or_else(|error| panic!("{error}"))
}

fn problem(text: &str) -> String {
    match parse(text, Path::new("fleet.toml")) {
        Ok(_) => "nothing".to_owned(),
        Err(error) => error.to_string(),
    }
}

/// The full file with one edit is refused with exactly this message.
#[track_caller]
fn rejects(from: &str, to: &str, then: &str) {
    assert_eq!(
        FULL.matches(from).count(),
        1,
        "`{from}` must stand in the file exactly once"
    );
    assert_eq!(problem(&FULL.replace(from, to)), format!("fleet.toml:{then}"));
}

fn seconds(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

fn fixed(span: u64) -> Delay {
    Delay::Fixed(seconds(span))
}

#[test]
fn the_fleet_and_its_clients_are_as_written() {
    let scenario = read(FULL);
    assert_eq!(scenario.name, "fleet");
    let count = |count| NonZeroU32::new(count).expect("not 0");
    assert_eq!(
        scenario.service,
        Service {
            instances: count(12),
            workers: count(8),
            queue: 64,
            zones: count(3)
        }
    );
    let work = Delay::Drawn(Distribution::log_normal(0.02, 0.09));
    let profile = Profile::constant(900.0).expect("a good rate");
    assert_eq!(
        scenario.traffic,
        Traffic {
            profile,
            arrivals: Arrivals::Deterministic,
            work
        }
    );
    let retries = Retries {
        attempts: count(3),
        backoff: Duration::from_millis(100),
        backoff_limit: seconds(10),
        jitter: 0.5,
    };
    assert_eq!(
        scenario.client,
        Client {
            timeout: Some(seconds(2)),
            retries
        }
    );
    let propagation = Delay::Fixed(Duration::from_millis(300));
    assert_eq!(
        scenario.balancer,
        Balancer {
            policy: Choice::PowerOfTwo,
            propagation,
            draining: false
        }
    );
}

#[test]
fn the_release_is_as_written() {
    let count = |count| NonZeroU32::new(count).expect("not 0");
    let release = Release {
        pull: Delay::Drawn(Distribution::Uniform { low: 1.0, high: 3.0 }),
        start: Delay::Drawn(Distribution::Gamma { shape: 2.0, scale: 4.0 }),
        ready_probe: Some(Probe {
            initial_delay: seconds(2),
            period: seconds(5),
            success_threshold: count(1),
            failure_threshold: count(4),
        }),
        warm_up: Some(WarmUp {
            factor: 3.0,
            over: seconds(60),
            shape: WarmUpShape::Exponential,
        }),
        drain: seconds(30),
        pre_stop: seconds(5),
        grace: Some(seconds(20)),
        stop: Delay::Drawn(Distribution::Exponential { mean: 1.0 }),
        restart: Some(Restart {
            initial: seconds(10),
            longest: seconds(300),
            reset_after: seconds(600),
        }),
        slowdown: 1.25,
        defect: Some(Defect {
            chance: 0.05,
            appears_after: seconds(1),
            error_rate: 0.2,
            slowdown: 1.5,
            failed_start: 0.3,
            never_ready: true,
            crash_after: Some(fixed(20)),
        }),
    };
    assert_eq!(read(FULL).release, release);
}

#[test]
fn the_strategies_keep_their_order_and_words() {
    let scenario = read(FULL);
    let names: Vec<&str> = scenario.strategies.iter().map(|named| named.name.as_str()).collect();
    assert_eq!(names, ["zebra", "anew", "swarm", "octo.1"]);
    let strategies: Vec<Strategy> = scenario.strategies.into_iter().map(|named| named.strategy).collect();
    let rolling = kubernetes::Settings {
        kind: Kind::RollingUpdate {
            max_surge: 3,
            max_unavailable: 0,
        },
        min_ready: seconds(5),
        progress_deadline: None,
        controller_latency: Duration::from_millis(12),
        undo_after: Some(seconds(45)),
    };
    let recreate = kubernetes::Settings {
        kind: Kind::Recreate,
        min_ready: Duration::ZERO,
        progress_deadline: Some(seconds(600)),
        controller_latency: Duration::ZERO,
        undo_after: None,
    };
    let swarm = swarm::Settings {
        update: UpdateConfig {
            parallelism: 2,
            delay: seconds(10),
            monitor: seconds(6),
            max_failure_ratio: 0.1,
            failure_action: FailureAction::Rollback,
            order: Order::StartFirst,
        },
        rollback: UpdateConfig {
            failure_action: FailureAction::Continue,
            ..UpdateConfig::default()
        },
        restart_delay: seconds(6),
        stop_latency: Duration::ZERO,
        rollback_after: Some(seconds(40)),
    };
    let octopus = octopus::Settings {
        window_size: 1,
        take_out: Some(seconds(2)),
        test: Some(octopus::Test {
            takes: seconds(10),
            finds: 0.9,
        }),
        put_back: seconds(1),
        put_back_always: true,
        redeploy_after: Some(seconds(180)),
    };
    let expected = [
        Strategy::Kubernetes(rolling),
        Strategy::Kubernetes(recreate),
        Strategy::Swarm(swarm),
        Strategy::Octopus(octopus),
    ];
    assert_eq!(strategies, expected);
}

#[test]
fn what_breaks_and_how_it_is_judged_are_as_written() {
    let scenario = read(FULL);
    let crash = Crash {
        mtbf: Duration::from_hours(720),
        repair: Delay::Drawn(Distribution::Pareto {
            minimum: 60.0,
            shape: 2.0,
        }),
        hits: Hits::Share(0.2),
    };
    let outage = Outage {
        at: seconds(300),
        whom: Whom::Zone(2),
        repair: fixed(180),
    };
    assert_eq!(
        scenario.faults,
        Faults {
            crash: Some(crash),
            outage: Some(outage)
        }
    );
    let notices_after = Delay::Drawn(Distribution::Weibull {
        shape: 1.5,
        scale: 120.0,
    });
    let operator = Operator {
        notices_after,
        then: Verdict::Pause,
        alarm: Some(0.01),
    };
    assert_eq!(scenario.rollback, Policy::Operator(operator));
    let budget = Budget {
        availability: Some(0.9995),
        p99: Some(Duration::from_millis(400)),
        duration: Some(seconds(900)),
        lost: Some(100),
        least_ready: Some(0.75),
    };
    assert_eq!(scenario.budget, budget);
    let study = Study {
        replications: NonZeroU32::new(200).expect("not 0"),
        seed: 7,
        warm_up: seconds(20),
        baseline: seconds(40),
        window: seconds(600),
        interval: seconds(2),
        confidence: 0.99,
        against: 1,
    };
    assert_eq!(scenario.study, study);
    let expectation = Expectation {
        strategy: 1,
        outcome: Some("completed".to_owned()),
        duration_s: Some([30.0, 40.0]),
        lost: Some([0.0, 10.5]),
        least_ready: Some(2),
        most_instances: Some(4),
        main_cause: Some("stale_endpoint".to_owned()),
    };
    assert_eq!(scenario.expectations, [expectation]);
}

#[test]
fn what_is_left_out_has_its_default() {
    let scenario = read(SMALL);
    assert_eq!(scenario.service.zones, NonZeroU32::MIN);
    assert_eq!(scenario.traffic.arrivals, Arrivals::Poisson);
    assert_eq!(scenario.client.timeout, None);
    assert_eq!(scenario.client.retries.attempts, NonZeroU32::MIN);
    let balancer = Balancer {
        policy: Choice::RoundRobin,
        propagation: Delay::NONE,
        draining: true,
    };
    assert_eq!(scenario.balancer, balancer);
    assert_eq!(scenario.release.slowdown.to_bits(), 1f64.to_bits());
    assert_eq!(scenario.faults, Faults::default());
    assert_eq!(scenario.rollback, Policy::Orchestrator);
    let Strategy::Kubernetes(settings) = scenario.strategies[0].strategy else {
        panic!("a Deployment was written")
    };
    assert_eq!(
        settings.kind,
        Kind::RollingUpdate {
            max_surge: 1,
            max_unavailable: 1
        }
    );
    let study = scenario.study;
    assert_eq!((study.seed, study.against, study.interval), (1, 0, seconds(1)));
    assert_eq!((study.warm_up, study.baseline), (seconds(30), seconds(60)));
    assert_eq!(study.confidence.to_bits(), 0.95f64.to_bits());
    let longer = read(&SMALL.replace("90s", "10m 1s")).study;
    assert_eq!(longer.interval, seconds(6));
    let shorter = read(&SMALL.replace("90s", "500ms")).study;
    assert_eq!(shorter.interval, Duration::from_millis(500));
    let windowless = SMALL
        .replace("kubernetes", "octopus")
        .replace("\"8s\"", "\"8s\"\ngrace = \"9s\"");
    let Strategy::Octopus(settings) = read(&windowless).strategies[0].strategy else {
        panic!("Octopus was written")
    };
    assert_eq!(settings.window_size, 10);
}

#[test]
fn unknown_keys_are_mistakes() {
    rejects(
        "workers =",
        "worker =",
        "3: service.worker: unknown key, did you mean `workers`?",
    );
    rejects(
        "max_surge = \"25%\"",
        "maxSurge = 1",
        "42: strategy.zebra.kubernetes.maxSurge: unknown key, did you mean `max_surge`?",
    );
    rejects(
        "zones = 3",
        "size = 3",
        "5: service.size: unknown key, expected one of instances, workers, queue, zones",
    );
    rejects(
        "[budget]",
        "[budgets]",
        "79: budgets: unknown key, did you mean `budget`?",
    );
    rejects(
        "{ lognormal",
        "{ lognorml",
        "10: traffic.work.lognorml: unknown key, did you mean `lognormal`?",
    );
    rejects(
        "finds =",
        "find =",
        "68: strategy.\"octo.1\".octopus.test.find: unknown key, did you mean `finds`?",
    );
    rejects(
        "[expect.anew]",
        "[expect.anw]",
        "97: expect.anw: must name a strategy, did you mean `anew`?",
    );
    rejects(
        ".swarm.swarm]",
        ".swarm.nomad]",
        "57: strategy.swarm.nomad: unknown key, expected one of kubernetes, swarm, octopus",
    );
    rejects(
        "zones = 3",
        "zones = 3\n\"\\u001b[2J\" = 1",
        "6: service.\"\\u{1b}[2J\": unknown key, expected one of instances, workers, queue, zones",
    );
}

#[test]
fn what_must_be_there_is_missed() {
    rejects("queue = 64\n", "", "1: service.queue: must be given");
    rejects("period = \"5s\", ", "", "24: release.ready_probe.period: must be given");
    rejects(", p95 = \"90ms\"", "", "10: traffic.work.lognormal.p95: must be given");
    rejects(
        "[study]\n",
        "[study2]\n",
        "86: study2: unknown key, did you mean `study`?",
    );
    rejects(
        "grace = \"20s\"\n",
        "",
        "21: release.grace: must be given, for Octopus has no default of its own",
    );
    assert_eq!(problem(""), "fleet.toml:1: service: must be given");
    let idle = SMALL.replace("[strategy.default.kubernetes]\n", "");
    assert_eq!(
        problem(&idle),
        "fleet.toml:1: strategy: at least one strategy must be given"
    );
}

#[test]
fn values_have_their_kinds() {
    rejects(
        "instances = 12",
        "instances = \"12\"",
        "2: service.instances: must be a whole number, 0 or more",
    );
    rejects(
        "instances = 12",
        "instances = -12",
        "2: service.instances: must be a whole number, 0 or more",
    );
    rejects(
        "instances = 12",
        "instances = 1e2",
        "2: service.instances: must be a whole number, 0 or more",
    );
    rejects(
        "instances = 12",
        "instances = 0",
        "2: service.instances: must be from 1 to 100,000",
    );
    rejects(
        "seed = 7",
        "seed = 99999999999999999999999999999999999999999",
        "88: study.seed: must fit in 64 bits",
    );
    rejects("rate = 900", "rate = \"900\"", "8: traffic.rate: must be a number");
    rejects("rate = 900", "rate = nan", "8: traffic.rate: must be finite");
    rejects(
        "\"deterministic\"",
        "\"bursty\"",
        "9: traffic.arrivals: must be \"poisson\" or \"deterministic\"",
    );
    rejects(
        "\"deterministic\"",
        "{ poisson = {} }",
        "9: traffic.arrivals: must be \"poisson\" or \"deterministic\"",
    );
    rejects(
        "\"exponential\" }",
        "1 }",
        "25: release.warm_up.shape: must be \"linear\" or \"exponential\"",
    );
    rejects(
        "\"power-of-two\"",
        "\"ewma\"",
        "17: balancer.policy: must be one of \"round-robin\", \"random\", \"least-connections\", \"power-of-two\"",
    );
    rejects(
        "draining = false",
        "draining = 0",
        "19: balancer.draining: must be true or false",
    );
    rejects(
        "timeout = \"2s\"",
        "timeout = 2",
        "13: client.timeout: must be a duration such as \"250ms\", \"30s\" or \"5m\"",
    );
    rejects(
        "timeout = \"2s\"",
        "timeout = 2014-04-10",
        "13: client.timeout: must be a duration such as \"250ms\", \"30s\" or \"5m\"",
    );
    rejects(
        "timeout = \"2s\"",
        "timeout = \"2 sex\"",
        "13: client.timeout: must be a duration such as \"250ms\", \"30s\" or \"5m\"",
    );
    rejects(
        "mtbf = \"30d\"",
        "mtbf = \"367d\"",
        "76: faults.crash.mtbf: must be at most 366 days",
    );
    rejects(
        "jitter = \"50%\"",
        "jitter = 0.5",
        "14: client.retries.jitter: must be a share such as \"25%\"",
    );
    rejects(
        "jitter = \"50%\"",
        "jitter = \"150%\"",
        "14: client.retries.jitter: must be at most 100%",
    );
    rejects("retries = {", "retries = 3 # {", "14: client.retries: must be a table");
    rejects(
        "timeout = \"2s\"",
        "timeout = \"2s\"\n[release2]",
        "14: release2: unknown key, did you mean `release`?",
    );
    rejects(
        "duration = [\"30s\", \"40s\"]",
        "duration = \"30s\"",
        "99: expect.anew.duration: must be a list",
    );
    let listed = SMALL.replace(
        "[service]\ninstances = 4\nworkers = 1\nqueue = 0\n",
        "service = [4, 1, 0, 1]\n",
    );
    assert_eq!(problem(&listed), "fleet.toml:1: service: must be a table");
    let worded = SMALL.replace("[strategy.default.kubernetes]\n", "[strategy]\ndefault = 1\n");
    assert_eq!(problem(&worded), "fleet.toml:11: strategy.default: must be a table");
}

#[test]
fn the_fleet_and_its_traffic_hold_together() {
    rejects(
        "instances = 12\nworkers = 8\nqueue = 64",
        "instances = 100000\nworkers = 8\nqueue = 500",
        "4: service.queue: instances × (workers + queue) must be at most 50,000,000, or open requests could exhaust the memory",
    );
    rejects(
        "zones = 3",
        "zones = 13",
        "5: service.zones: must be at most the number of instances",
    );
    let exactly_one = "7: traffic: must hold exactly one of rate, steps, diurnal, trace";
    rejects("rate = 900\n", "", exactly_one);
    rejects("rate = 900\n", "rate = 900\nsteps = []\n", exactly_one);
    rejects(
        "rate = 900",
        "rate = 0",
        "8: traffic.rate: must be above 0 and at most 10,000,000 requests per second",
    );
    rejects(
        "rate = 900",
        "rate = 1e8",
        "8: traffic.rate: must be above 0 and at most 10,000,000 requests per second",
    );
    rejects(
        "rate = 900",
        "steps = []",
        "8: traffic.steps: must hold at least one rate above 0",
    );
    let steps = |steps: &str| format!("steps = [{steps}]");
    rejects(
        "rate = 900",
        &steps("\n{ from = \"0s\", rate = 500 },\n{ from = \"1s\", rate = 5 },\n{ from = \"1s\", rate = 9 }"),
        "11: traffic.steps[2].from: must be later than the step before",
    );
    rejects(
        "rate = 900",
        &steps("{ from = \"1s\", rate = 500 }"),
        "8: traffic.steps[0].from: must be \"0s\" for the first step",
    );
    rejects(
        "rate = 900",
        &steps("{ from = \"0s\", rate = -1 }"),
        "8: traffic.steps[0].rate: must be from 0 to 10,000,000 requests per second",
    );
    rejects(
        "rate = 900",
        &steps("{ from = \"0s\", rte = 1 }"),
        "8: traffic.steps[0].rte: unknown key, did you mean `rate`?",
    );
    rejects(
        "rate = 900",
        "diurnal = { mean = 900, amplitude = \"40%\", peak_at = \"25h\", starts_at = \"10h\" }",
        "8: traffic.diurnal.peak_at: must be within the period",
    );
    let written = FULL.replace(
        "rate = 900",
        &steps("{ from = \"0s\", rate = 5 }, { from = \"5m\", rate = 9.5 }"),
    );
    let pieces = [(0, 5.0), (300, 9.5)].map(|(starts, rate)| Piece {
        starts: seconds(starts),
        rate,
    });
    assert_eq!(read(&written).traffic.profile.pieces(), pieces);
}

#[test]
fn distributions_hold_together() {
    rejects(
        "p95 = \"90ms\"",
        "p95 = \"20ms\"",
        "10: traffic.work.lognormal.p95: must exceed the median",
    );
    rejects(
        "{ lognormal = { median = \"20ms\", p95 = \"90ms\" } }",
        "\"0s\"",
        "10: traffic.work: must take time",
    );
    rejects(
        "{ lognormal = { median = \"20ms\", p95 = \"90ms\" } }",
        "{}",
        "10: traffic.work: must name exactly one distribution",
    );
    rejects(
        "median = \"20ms\", p95 = \"90ms\" } }",
        "median = \"20ms\", p95 = \"90ms\" }, gamma = 1 }",
        "10: traffic.work: must name exactly one distribution",
    );
    rejects(
        "propagation = \"300ms\"",
        "propagation = 300",
        "18: balancer.propagation: must be a duration such as \"30s\", or a distribution such as { exponential = { mean = \"30s\" } }",
    );
    rejects(
        "propagation = \"300ms\"",
        "propagation = \"300\"",
        "18: balancer.propagation: must be a duration such as \"250ms\", \"30s\" or \"5m\"",
    );
    rejects(
        "propagation = \"300ms\"",
        "propagation = 2014-04-10",
        "18: balancer.propagation: must not be a date",
    );
    rejects(
        "low = \"1s\", high = \"3s\"",
        "low = \"3s\", high = \"3s\"",
        "22: release.pull.uniform.high: must exceed low",
    );
    rejects(
        "shape = 2, mean",
        "shape = 0, mean",
        "23: release.start.gamma.shape: must be from 0.01 to 1,000,000",
    );
    rejects(
        "mean = \"8s\"",
        "mean = \"0s\"",
        "23: release.start.gamma.mean: must exceed 0",
    );
    rejects(
        "exponential = { mean = \"1s\" }",
        "exponential = { mean = \"0s\" }",
        "29: release.stop.exponential.mean: must exceed 0",
    );
    rejects(
        "shape = 1.5,",
        "shape = inf,",
        "73: rollback.policy.operator.notices_after.weibull.shape: must be finite",
    );
    rejects(
        "minimum = \"1m\"",
        "minimum = \"0s\"",
        "76: faults.crash.repair.pareto.minimum: must exceed 0",
    );
    rejects(
        "{ exponential = { mean = \"1s\" } }",
        "{ empirical = \"\" }",
        "29: release.stop.empirical: must be the path of a CSV file",
    );
}

#[test]
fn the_release_holds_together() {
    rejects(
        "period = \"5s\"",
        "period = \"0s\"",
        "24: release.ready_probe.period: must exceed 0",
    );
    rejects(
        "success_threshold = 1",
        "success_threshold = 0",
        "24: release.ready_probe.success_threshold: must be from 1 to 1,000,000",
    );
    rejects(
        "factor = 3.0",
        "factor = 0.5",
        "25: release.warm_up.factor: must be at least 1",
    );
    rejects(
        "over = \"60s\"",
        "over = \"0s\"",
        "25: release.warm_up.over: must exceed 0",
    );
    rejects(
        "longest = \"5m\"",
        "longest = \"5s\"",
        "30: release.restart.longest: must be at least the initial delay",
    );
    rejects(
        "slowdown = 1.25",
        "slowdown = 0",
        "31: release.slowdown: must be above 0 and at most 1,000,000",
    );
    rejects(
        ", error_rate = \"20%\", slowdown = 1.5, failed_start = \"30%\", never_ready = true, crash_after = \"20s\"",
        "",
        "32: release.defect: must hold at least one of error_rate, slowdown, failed_start, never_ready, crash_after",
    );
    rejects(
        "attempts = 3",
        "attempts = 101",
        "14: client.retries.attempts: must be from 1 to 100",
    );
    rejects(
        "backoff_limit = \"10s\"",
        "backoff_limit = \"10ms\"",
        "14: client.retries.backoff_limit: must be at least the backoff",
    );
    rejects(
        "timeout = \"2s\"",
        "timeout = \"0s\"",
        "13: client.timeout: must exceed 0",
    );
}

#[test]
fn strategies_hold_together() {
    let zebra = "strategy.zebra.kubernetes";
    rejects(
        "max_surge = \"25%\"",
        "max_surge = 0",
        &format!("35: {zebra}.max_surge: must exceed 0 when max_unavailable is 0, or no step is possible"),
    );
    rejects(
        "max_surge = \"25%\"",
        "max_surge = \"0%\"",
        &format!("35: {zebra}.max_surge: must exceed 0 when max_unavailable is 0, or no step is possible"),
    );
    rejects(
        "max_surge = \"25%\"",
        "max_surge = \"2.5%\"",
        &format!("35: {zebra}.max_surge: must be a count, or a whole percentage such as \"25%\""),
    );
    rejects(
        "max_surge = \"25%\"",
        "max_surge = -1",
        &format!("35: {zebra}.max_surge: must be a count, or a whole percentage such as \"25%\""),
    );
    rejects(
        "max_surge = \"25%\"",
        "max_surge = \"2147483647%\"",
        &format!("35: {zebra}.max_surge: must come to at most 2,147,483,647 instances"),
    );
    rejects(
        "max_unavailable = 0",
        "max_unavailable = \"101%\"",
        &format!("36: {zebra}.max_unavailable: must be at most 100%"),
    );
    rejects(
        "type = \"Recreate\"",
        "type = \"Recreate\"\nmax_surge = 1",
        "44: strategy.anew.kubernetes.max_surge: must be absent when type is \"Recreate\"",
    );
    rejects(
        "progress_deadline_seconds = 2147483647",
        "progress_deadline_seconds = 5",
        &format!("39: {zebra}.progress_deadline_seconds: must exceed min_ready_seconds"),
    );
    rejects(
        "progress_deadline_seconds = 2147483647",
        "progress_deadline_seconds = 2147483646",
        &format!("39: {zebra}.progress_deadline_seconds: must be at most 31,622,400, or 2147483647 for none"),
    );
    rejects(
        "failure_action = \"continue\"",
        "failure_action = \"rollback\"",
        "47: strategy.swarm.swarm.rollback.failure_action: must be \"pause\" or \"continue\"",
    );
    rejects(
        "max_failure_ratio = 0.1",
        "max_failure_ratio = 1.1",
        "46: strategy.swarm.swarm.update.max_failure_ratio: must be from 0 to 1",
    );
    rejects(
        "window_size = 1",
        "window_size = 0",
        "53: strategy.\"octo.1\".octopus.window_size: must be from 1 to 100,000",
    );
    rejects(
        "take_out = \"2s\"\n",
        "",
        "55: strategy.\"octo.1\".octopus.put_back: must be absent without take_out",
    );
    rejects(
        "[strategy.anew.kubernetes]",
        "[strategy.zebra.octopus]",
        "34: strategy.zebra: must hold exactly one of kubernetes, swarm, octopus",
    );
    rejects(
        "[strategy.\"octo.1\".octopus]",
        "[strategy.\"octo 1\".octopus]",
        "52: strategy.\"octo 1\": must have a name of 1 to 60 letters, digits, `-`, `_` and `.`",
    );
    let rounded_to_nothing = FULL.replace(
        "max_surge = \"25%\"\nmax_unavailable = 0",
        "max_surge = 0\nmax_unavailable = \"1%\"",
    );
    let Strategy::Kubernetes(settings) = read(&rounded_to_nothing).strategies[0].strategy else {
        panic!("a Deployment")
    };
    assert_eq!(
        settings.kind,
        Kind::RollingUpdate {
            max_surge: 0,
            max_unavailable: 1
        }
    );
}

#[test]
fn faults_and_judges_hold_together() {
    let exactly_one = "77: faults.outage: must hold exactly one of share, instances, zone";
    rejects("zone = 2, ", "", exactly_one);
    rejects("zone = 2, ", "zone = 2, instances = 1, ", exactly_one);
    rejects(
        "zone = 2, ",
        "zone = 3, ",
        "77: faults.outage.zone: must be from 0 to 2",
    );
    rejects(
        "zone = 2, ",
        "instances = 13, ",
        "77: faults.outage.instances: must be from 1 to 12",
    );
    rejects(
        "mtbf = \"30d\"",
        "mtbf = \"0s\"",
        "76: faults.crash.mtbf: must exceed 0",
    );
    let policy = "policy = { operator = { notices_after = { weibull = { shape = 1.5, scale = \"2m\" } }, then = \"pause\", alarm = \"1%\" } }";
    rejects(
        policy,
        "policy = \"nobody\"",
        "73: rollback.policy: must be one of \"orchestrator\", \"none\", \"pause\"",
    );
    rejects(
        policy,
        "policy = { judge = {} }",
        "73: rollback.policy.judge: unknown key, expected one of operator",
    );
    rejects(
        policy,
        "policy = 1",
        "73: rollback.policy: must be \"orchestrator\", \"none\", \"pause\", or a table { operator = { ... } }",
    );
    for (written, then) in [
        ("none", Policy::None),
        ("pause", Policy::Pause),
        ("orchestrator", Policy::Orchestrator),
    ] {
        assert_eq!(
            read(&FULL.replace(policy, &format!("policy = {written:?}"))).rollback,
            then
        );
    }
}

#[test]
fn the_study_holds_together() {
    rejects(
        "replications = 200",
        "replications = 1",
        "87: study.replications: must be from 2 to 100,000",
    );
    rejects(
        "baseline = \"40s\"",
        "baseline = \"0s\"",
        "90: study.baseline: must exceed 0",
    );
    rejects("window = \"10m\"", "window = \"0s\"", "91: study.window: must exceed 0");
    rejects(
        "window = \"10m\"",
        "window = \"366d\"",
        "91: study.window: must come to at most 366 days together with warm_up and baseline",
    );
    rejects(
        "interval = \"2s\"",
        "interval = \"0s\"",
        "92: study.interval: must exceed 0",
    );
    rejects(
        "interval = \"2s\"",
        "interval = \"11m\"",
        "92: study.interval: must be at most the window",
    );
    rejects(
        "interval = \"2s\"",
        "interval = \"1ms\"",
        "92: study.interval: must be long enough for at most 100,000 in baseline and window",
    );
    rejects(
        "replications = 200",
        "replications = 100000",
        "92: study.interval: must come to at most 50,000,000 intervals over all runs: choose a longer interval or fewer replications",
    );
    rejects(
        "confidence = \"99%\"",
        "confidence = \"49%\"",
        "93: study.confidence: must be from 50% to 99.99%",
    );
    rejects(
        "against = \"anew\"",
        "against = \"zebr\"",
        "94: study.against: must name a strategy, did you mean `zebra`?",
    );
    rejects(
        "against = \"anew\"",
        "against = \"blue\"",
        "94: study.against: must name a strategy",
    );
    rejects(
        "lost = [0, 10.5]",
        "lost = [0]",
        "100: expect.anew.lost: must be two values, from and to",
    );
    rejects(
        "lost = [0, 10.5]",
        "lost = [5, 1]",
        "100: expect.anew.lost: must be [from, to] with from at most to, and not negative",
    );
    rejects(
        "main_cause = \"stale_endpoint\"",
        "main_cause = 1",
        "103: expect.anew.main_cause: must be one of \"no_endpoint\", \"stale_endpoint\", \"cut_off\", \"queue_full\", \"timed_out_waiting\", \"timed_out_in_service\", \"defect\", \"crash\"",
    );
}

#[test]
fn what_is_no_toml_has_a_line() {
    rejects("zones = 3", "zones = 3\nzones = 4", "6: duplicate key");
    rejects(
        "zones = 3",
        "zones = ",
        "5: string values must be quoted, expected literal string",
    );
    rejects("[budget]", "[budget", "79: unclosed table, expected `]`");
}

/// None of these may panic, hang or overflow the stack.
#[test]
fn hostile_input_is_refused() {
    for text in [
        format!("a = {}", "[".repeat(100_000)),
        format!("a = {}{}", "[".repeat(100_000), "]".repeat(100_000)),
        "{a=".repeat(100_000),
        format!("a = {}", "{a=".repeat(100_000)),
        format!("{}a = 1", "a.".repeat(200_000)),
        format!("[{}a]", "a.".repeat(200_000)),
        format!("a = [{}]", "1,".repeat(500_000)),
        format!("{} = 1", "a".repeat(1_000_000)),
        format!("service = \"{}\"", "a".repeat(1_000_000)),
        "\0".repeat(1000),
        "[[service]]\n".repeat(10_000),
        "[strategy.\"\"]".to_owned(),
    ] {
        let problem = problem(&text);
        assert!(problem.len() < 1000 && problem.starts_with("fleet.toml:"), "{problem}");
        assert!(!problem.contains('\n'), "{problem}");
    }
    assert_eq!(
        problem(&" ".repeat(1 << 21)),
        "fleet.toml:1: must be a file of at most 1 MiB"
    );
}

/// Every prefix, and every file with one byte overwritten, is either good or refused on one line.
#[test]
fn damaged_files_are_refused() {
    for at in 0..FULL.len() {
        problem(&FULL[..at]);
        for byte in ["\"", "[", "}", "=", "\n", "9", "\u{0}"] {
            let damaged = format!("{}{byte}{}", &FULL[..at], &FULL[at + 1..]);
            let problem = problem(&damaged);
            assert!(problem == "nothing" || problem.starts_with("fleet.toml:"), "{problem}");
            assert!(
                !problem.contains('\n') && !problem.contains("invalid type"),
                "{problem}"
            );
        }
    }
}

/// Loads a scenario file beside these other files.
fn load_beside(text: &str, others: &[(&str, &str)]) -> Result<Scenario, String> {
    let folder = tempfile::tempdir().expect("a folder for the test");
    for (name, content) in others {
        fs::write(folder.path().join(name), content).expect("a file for the test");
    }
    let path = folder.path().join("fleet.toml");
    fs::write(&path, text).expect("a file for the test");
    let away = format!("{}/", folder.path().display());
    load(&path).map_err(|error| error.to_string().replace(&away, ""))
}

#[test]
fn a_trace_is_read_beside_the_scenario() {
    let traced = |rest: &str| {
        let trace = format!("trace = {{ path = \"requests.csv\", interval = \"1m\"{rest} }}");
        load_beside(
            &SMALL.replace("rate = 1.5", &trace),
            &[("requests.csv", "timestamp,value\n0,60\n60,120\n120,0\n180,60\n")],
        )
    };
    let told = |rest: &str| {
        let profile = traced(rest).expect(rest).traffic.profile;
        let pieces: Vec<(u64, f64)> = profile
            .pieces()
            .iter()
            .map(|piece| (piece.starts.as_secs(), piece.rate))
            .collect();
        (pieces, profile.period().map(|period| period.as_secs()))
    };
    // The run lasts three minutes.
    assert_eq!(told(""), (vec![(0, 1.0), (60, 2.0), (120, 0.0)], None));
    assert_eq!(
        told(", from = \"1m\", scale = 2"),
        (vec![(0, 4.0), (60, 0.0), (120, 2.0)], None)
    );
    let round = vec![(0, 0.0), (30, 1.0), (90, 1.0), (150, 2.0), (210, 0.0)];
    assert_eq!(told(", from = \"150s\", repeat = true"), (round, Some(240)));
    let refused = |rest: &str| traced(rest).expect_err(rest);
    assert_eq!(
        refused(", from = \"90s\""),
        "fleet.toml:6: traffic.trace: must cover the run of 3m, but 2m 30s are left of it; shorten the run, or set repeat = true"
    );
    assert_eq!(
        refused(", from = \"4m\""),
        "fleet.toml:6: traffic.trace.from: must be within the trace, which lasts 4m"
    );
    assert_eq!(
        refused(", scale = 0"),
        "fleet.toml:6: traffic.trace.scale: must be above 0 and at most 1,000,000"
    );
}

#[test]
fn mistakes_in_other_files_name_them() {
    let traced = SMALL.replace("rate = 1.5", "trace = { path = \"requests.csv\", interval = \"1m\" }");
    let problem = |content: &str| load_beside(&traced, &[("requests.csv", content)]).expect_err(content);
    assert_eq!(
        problem("timestamp,value\n0,x\n"),
        "requests.csv:2: value: must be a number, 0 or more"
    );
    assert_eq!(
        problem("timestamp,value\n0,0\n600,0\n"),
        "fleet.toml:6: traffic.trace.path: must hold at least one value above 0 within the run"
    );
    let missing = load_beside(&traced, &[]).expect_err("no trace");
    assert!(missing.starts_with("requests.csv: "), "{missing}");
}

#[test]
fn an_empirical_distribution_is_read_beside_the_scenario() {
    let text = SMALL.replace("\"8s\"", "{ empirical = \"starts.csv\" }");
    let scenario = load_beside(&text, &[("starts.csv", "seconds\n9\n7.5\n")]).expect("a good file");
    assert_eq!(
        scenario.release.start,
        Delay::Drawn(Distribution::Empirical([7.5, 9.0].into()))
    );
    let other = load_beside(&text, &[("starts.csv", "seconds\n9\n7.6\n")]).expect("a good file");
    assert_ne!(scenario.hash, other.hash);
    assert_ne!(scenario.hash, read(SMALL).hash);
    assert_eq!(read(SMALL).hash, read(SMALL).hash);
    let idle = SMALL.replace("\"20ms\"", "{ empirical = \"starts.csv\" }");
    let problem = load_beside(&idle, &[("starts.csv", "seconds\n0\n")]).expect_err("no work");
    assert_eq!(problem, "fleet.toml:7: traffic.work: must take time");
}

#[test]
fn files_that_are_no_text_are_refused() {
    let folder = tempfile::tempdir().expect("a folder for the test");
    let path = folder.path().join("fleet.toml");
    fs::write(&path, b"[service]\ninstances = \xff\n").expect("a file for the test");
    let told = |path: &Path| load(path).expect_err("no text").to_string();
    assert_eq!(told(&path), format!("{}:2: must be UTF-8", path.display()));
    assert!(matches!(load(&folder.path().join("none.toml")), Err(LoadError::Io(..))));
    #[cfg(unix)]
    assert_eq!(
        told(Path::new("/dev/zero")),
        "/dev/zero:1: must be a file of at most 1 MiB"
    );
}

#[test]
fn the_schema_knows_what_the_reader_knows() {
    let schema = schema().to_value();
    let validator = jsonschema::validator_for(&schema).expect("a good schema");
    let json = |text: &str| toml::from_str::<serde_json::Value>(text).expect("TOML");
    for text in [FULL, SMALL] {
        let problems: Vec<String> = validator
            .iter_errors(&json(text))
            .map(|error| format!("{}: {error}", error.instance_path()))
            .collect();
        assert_eq!(problems, Vec::<String>::new());
    }
    for (from, to) in [
        ("workers = 8", "worker = 8"),
        ("queue = 64\n", ""),
        ("instances = 12", "instances = 0"),
        ("instances = 12", "instances = \"12\""),
        ("rate = 900\n", ""),
        ("\"deterministic\"", "\"bursty\""),
        ("timeout = \"2s\"", "timeout = 2"),
        ("timeout = \"2s\"", "timeout = \"2\""),
        ("jitter = \"50%\"", "jitter = \"half\""),
        ("max_surge = \"25%\"", "max_surge = \"2.5%\""),
        ("{ lognormal", "{ lognorml"),
        ("zone = 2, ", ""),
        ("[strategy.anew.kubernetes]", "[strategy.zebra.octopus]"),
        ("lost = [0, 10.5]", "lost = [0]"),
    ] {
        assert!(
            !validator.is_valid(&json(&FULL.replace(from, to))),
            "`{to}` for `{from}`"
        );
    }
    let text = serde_json::to_string_pretty(&schema).expect("a schema");
    assert!(!text.contains("null"), "{text}");
    assert_eq!(schema["$schema"], "https://json-schema.org/draft/2020-12/schema");
    assert_eq!(schema["$defs"]["Service"]["additionalProperties"], false);
}
