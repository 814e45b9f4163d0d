//! One good file that says everything, one that says no more than it must, and the files beside them.

mod argo;
mod ecs;
mod mistakes;
mod plane;
mod shift;
mod waves;

use super::{load, parse, schema};
use crate::distribution::{Delay, Distribution};
use crate::rollback::{Operator, Policy, Verdict};
use crate::rollout::kubernetes::{self, Bound, ControlPlane, Kind, Limit, PodReplacement};
use crate::rollout::swarm::{FailureAction, Order, UpdateConfig};
use crate::rollout::{Command, Restart, Strategy, Test, What, When, octopus, swarm};
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
control_plane = { watch = "2ms", pass = "12ms", call = "3ms", create = "1ms", qps = 50, burst = 60 }
commands = [{ after = "45s", do = "undo" }]

[strategy.anew.kubernetes]
type = "Recreate"

[strategy.swarm.swarm]
update = { parallelism = 2, delay = "10s", monitor = "6s", max_failure_ratio = 0.1, failure_action = "rollback", order = "start-first" }
rollback = { failure_action = "continue" }
restart_delay = "6s"
restart_condition = "on-failure"
restart_max_attempts = 7
restart_window = "1m"
change = "force"
stop_latency = "0s"
commands = [{ after = "40s", do = "undo" }]

[strategy."octo.1".octopus]
window_size = 1
take_out = "2s"
test = { takes = "10s", finds = "90%" }
put_back = "1s"
put_back_always = true
commands = [{ after = "3m", do = "undo" }]

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

fn undo_after(s: u64) -> Command {
    Command { when: When::After(seconds(s)), what: What::Undo }
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
    let service = Service { workers: count(8), queue: 64, zones: count(3), ..Service::plain(count(12)) };
    assert_eq!(scenario.service, service);
    let work = Delay::Drawn(Distribution::log_normal(0.02, 0.09));
    let profile = Profile::constant(900.0).expect("a good rate");
    let load = Load::Open { profile, arrivals: Arrivals::Deterministic };
    // What takes longer than the budget's p99 is late.
    let all = Class { name: "all".to_owned(), share: 1.0, work, target: Some(Duration::from_millis(400)) };
    assert_eq!(scenario.traffic, Traffic { load, classes: vec![all] });
    let retries = Retries {
        attempts: count(3),
        backoff: Duration::from_millis(100),
        backoff_limit: seconds(10),
        jitter: 0.5,
        budget: None,
    };
    assert_eq!(scenario.client, Client { timeout: Some(seconds(2)), retries, ..Client::PATIENT });
    let propagation = Delay::Fixed(Duration::from_millis(300));
    let plain = Balancer::plain(Choice::POWER_OF_TWO);
    assert_eq!(scenario.balancer, Balancer { propagation, draining: false, queue: 1_000, ..plain });
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
            thresholds: Thresholds { success: count(1), failure: count(4) },
        }),
        warm_up: Some(WarmUp { factor: 3.0, over: WarmUpOver::Time(seconds(60)), shape: WarmUpShape::Exponential }),
        drain: seconds(30),
        drain_ends_when_idle: false,
        pre_stop: seconds(5),
        grace: Some(seconds(20)),
        stop: Delay::Drawn(Distribution::Exponential { mean: 1.0 }),
        restart: Some(Restart { initial: seconds(10), longest: seconds(300), reset_after: seconds(600) }),
        slowdown: 1.25,
        defect: Some(Defect {
            chance: 0.05,
            appears_after: seconds(1),
            error_rate: 0.2,
            slowdown: 1.5,
            failed_start: 0.3,
            never_ready: true,
            crash_after: Some(fixed(20)),
            unready: None,
        }),
        database: None,
        skew: None,
        recorded: None,
    };
    assert_eq!(read(FULL).release, release);
}

#[test]
fn quota_and_replacement_policy_are_as_written() {
    let limited = FULL.replace(
        "min_ready_seconds",
        "quota = 20\npod_replacement_policy = \"TerminationComplete\"\nmin_ready_seconds",
    );
    let Strategy::Kubernetes(settings) = read(&limited).strategies[0].strategy.clone() else {
        panic!("a Deployment was written")
    };
    assert_eq!((settings.quota, settings.replacement), (Some(20), Some(PodReplacement::TerminationComplete)));
}

#[test]
fn the_strategies_keep_their_order_and_words() {
    let scenario = read(FULL);
    let names: Vec<&str> = scenario.strategies.iter().map(|named| named.name.as_str()).collect();
    assert_eq!(names, ["zebra", "anew", "swarm", "octo.1"]);
    let strategies: Vec<Strategy> = scenario.strategies.into_iter().map(|named| named.strategy).collect();
    let rolling = kubernetes::Settings {
        kind: Kind::RollingUpdate { max_surge: Bound::Percent(25), max_unavailable: Bound::Count(0) },
        min_ready: seconds(5),
        progress_deadline: None,
        replacement: None,
        quota: None,
        control_plane: ControlPlane {
            watch: Duration::from_millis(2),
            pass: Duration::from_millis(12),
            call: Duration::from_millis(3),
            create: Duration::from_millis(1),
            limit: Some(Limit { qps: 50.0, burst: 60 }),
            ..ControlPlane::AT_ONCE
        },
        commands: vec![undo_after(45)],
    };
    let recreate = kubernetes::Settings {
        kind: Kind::Recreate,
        min_ready: Duration::ZERO,
        progress_deadline: Some(seconds(600)),
        replacement: None,
        quota: None,
        control_plane: ControlPlane::default(),
        commands: Vec::new(),
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
        rollback: UpdateConfig { failure_action: FailureAction::Continue, ..UpdateConfig::default() },
        restart: swarm::RestartPolicy {
            condition: swarm::Condition::OnFailure,
            delay: seconds(6),
            max_attempts: 7,
            window: seconds(60),
        },
        change: swarm::Change::Force,
        stop_latency: Duration::ZERO,
        manager: swarm::Manager::default(),
        commands: vec![undo_after(40)],
    };
    let octopus = octopus::Settings {
        window_size: 1,
        take_out: Some(seconds(2)),
        test: Some(Test { takes: seconds(10), finds: 0.9 }),
        put_back: seconds(1),
        put_back_always: true,
        step_timeout: None,
        guidance: None,
        skip_unavailable: false,
        commands: vec![undo_after(180)],
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
        mtbf: seconds(30 * 86_400),
        repair: Delay::Drawn(Distribution::Pareto { minimum: 60.0, shape: 2.0 }),
        hits: Hits::Share(0.2),
        crews: None,
    };
    let outage = Outage { at: seconds(300), whom: Whom::Zone(2), repair: fixed(180), silent: false };
    assert_eq!(scenario.faults, Faults { crash: Some(crash), outage: Some(outage), slow: Vec::new() });
    let notices_after = Delay::Drawn(Distribution::Weibull { shape: 1.5, scale: 120.0 });
    let operator = Operator { notices_after, then: Verdict::Pause, alarm: Some(0.01) };
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
        keeps_log: false,
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
    let Load::Open { arrivals, .. } = scenario.traffic.load else { panic!("a rate was written") };
    assert_eq!((arrivals, scenario.traffic.classes[0].target), (Arrivals::Poisson, None));
    assert_eq!(scenario.client, Client::PATIENT);
    assert_eq!(scenario.balancer, Balancer { queue: 1_000, ..Balancer::plain(Choice::RoundRobin) });
    assert_eq!(scenario.release.slowdown.to_bits(), 1f64.to_bits());
    assert_eq!(scenario.faults, Faults::default());
    assert_eq!(scenario.rollback, Policy::Orchestrator);
    let Strategy::Kubernetes(settings) = scenario.strategies[0].strategy.clone() else {
        panic!("a Deployment was written")
    };
    let quarter = Bound::Percent(25);
    assert_eq!(settings.kind, Kind::RollingUpdate { max_surge: quarter, max_unavailable: quarter });
    let study = scenario.study;
    assert_eq!((study.seed, study.against, study.interval), (1, 0, seconds(1)));
    assert_eq!((study.warm_up, study.baseline), (seconds(30), seconds(60)));
    assert_eq!(study.confidence.to_bits(), 0.95f64.to_bits());
    let longer = read(&SMALL.replace("90s", "10m 1s")).study;
    assert_eq!(longer.interval, seconds(6));
    let shorter = read(&SMALL.replace("90s", "500ms")).study;
    assert_eq!(shorter.interval, Duration::from_millis(500));
    let windowless = SMALL.replace("kubernetes", "octopus").replace("\"8s\"", "\"8s\"\ngrace = \"9s\"");
    let Strategy::Octopus(settings) = read(&windowless).strategies[0].strategy.clone() else {
        panic!("Octopus was written")
    };
    assert_eq!(settings.window_size, 10);
}

/// A small file with an Octopus strategy that has these settings.
fn octopus_with(settings: &str) -> String {
    let octopus = SMALL.replace("kubernetes]", &format!("octopus]\n{settings}"));
    octopus.replace("\"8s\"", "\"8s\"\ngrace = \"9s\"")
}

#[test]
fn whoever_is_asked_about_failures_is_as_written() {
    let guidance = |settings: &str| {
        let scenario = read(&octopus_with(settings));
        let Strategy::Octopus(settings) = scenario.strategies[0].strategy.clone() else {
            panic!("Octopus was written")
        };
        (settings.guidance, settings.step_timeout, settings.skip_unavailable)
    };
    assert_eq!(guidance(""), (None, None, false));
    let answers_after = Delay::Fixed(seconds(120));
    let retries = octopus::Guidance { answers_after, answer: octopus::Answer::Retry { most: 10 } };
    let written = r#"guided_failure = { answers_after = "2m", answer = "retry" }"#;
    assert_eq!(guidance(written).0, Some(retries));
    let answers_after = Delay::Drawn(Distribution::Exponential { mean: 180.0 });
    let excludes = octopus::Guidance { answers_after, answer: octopus::Answer::Exclude };
    let written = r#"guided_failure = { answers_after = { exponential = { mean = "3m" } }, answer = "exclude" }
step_timeout = "90s"
skip_unavailable = true"#;
    assert_eq!(guidance(written), (Some(excludes), Some(seconds(90)), true));
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
        let Load::Open { profile, .. } = traced(rest).expect(rest).traffic.load else { panic!("a trace was written") };
        let pieces: Vec<(u64, f64)> =
            profile.pieces().iter().map(|piece| (piece.starts.as_secs(), piece.rate)).collect();
        (pieces, profile.period().map(|period| period.as_secs()))
    };
    // The run lasts three minutes.
    assert_eq!(told(""), (vec![(0, 1.0), (60, 2.0), (120, 0.0)], None));
    assert_eq!(told(", from = \"1m\", scale = 2"), (vec![(0, 4.0), (60, 0.0), (120, 2.0)], None));
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
    assert_eq!(refused(", scale = 0"), "fleet.toml:6: traffic.trace.scale: must be above 0 and at most 1,000,000");
}

#[test]
fn mistakes_in_other_files_name_them() {
    let traced = SMALL.replace("rate = 1.5", "trace = { path = \"requests.csv\", interval = \"1m\" }");
    let problem = |content: &str| load_beside(&traced, &[("requests.csv", content)]).expect_err(content);
    assert_eq!(problem("timestamp,value\n0,x\n"), "requests.csv:2: value: must be a number, 0 or more");
    assert_eq!(
        problem("timestamp,value\n0,0\n60,0\n600,0\n"),
        "fleet.toml:6: traffic.trace.path: must hold at least one value above 0 within the run"
    );
    let missing = load_beside(&traced, &[]).expect_err("no trace");
    let told = "fleet.toml:6: traffic.trace.path: must name a file that can be read: requests.csv: ";
    assert!(missing.starts_with(told), "{missing}");
}

#[test]
fn an_empirical_distribution_is_read_beside_the_scenario() {
    let text = SMALL.replace("\"8s\"", "{ empirical = \"starts.csv\" }");
    let scenario = load_beside(&text, &[("starts.csv", "seconds\n9\n7.5\n")]).expect("a good file");
    assert_eq!(scenario.release.start, Delay::Drawn(Distribution::Empirical([7.5, 9.0].into())));
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
    assert_eq!(told(Path::new("/dev/zero")), "/dev/zero:1: must be a file of at most 1 MiB");
}

#[test]
fn the_schema_knows_what_the_reader_knows() {
    let schema = schema().to_value();
    let validator = jsonschema::validator_for(&schema).expect("a good schema");
    let json = |text: &str| toml::from_str::<serde_json::Value>(text).expect("TOML");
    for text in [FULL, SMALL] {
        let problems: Vec<String> =
            validator.iter_errors(&json(text)).map(|error| format!("{}: {error}", error.instance_path())).collect();
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
        assert!(!validator.is_valid(&json(&FULL.replace(from, to))), "`{to}` for `{from}`");
    }
    assert!(!validator.is_valid(&json(&SMALL.replace("[strategy.default.kubernetes]\n", ""))));
    assert!(!validator.is_valid(&json(&SMALL.replace("[strategy.default.kubernetes]\n", "[strategy]\n"))));
    let text = serde_json::to_string_pretty(&schema).expect("a schema");
    assert!(!text.contains("null"), "{text}");
    assert_eq!(schema["$schema"], "https://json-schema.org/draft/2020-12/schema");
    assert_eq!(schema["$defs"]["Service"]["additionalProperties"], false);
}

#[test]
fn a_hyperexponential_is_as_written() {
    let text = SMALL.replace(r#"start = "8s""#, r#"start = { hyperexponential = { mean = "8s", scv = 4 } }"#);
    let then = Delay::Drawn(Distribution::balanced_hyperexponential(8.0, 4.0));
    assert_eq!(read(&text).release.start, then);
}

#[test]
fn versions_that_cannot_live_together_are_as_written() {
    let with = |words: &str| SMALL.replace("\"8s\"", &format!("\"8s\"\n{words}"));
    let release = |words: &str| read(&with(words)).release;
    let database = release(
        "database = { step = \"after\", takes = \"1m\", old_fails = \"5%\", new_fails = \"50%\", undo = \"2m\" }",
    );
    let (step, undo) = (DatabaseStep::After, Some(fixed(120)));
    let expected = Database { step, takes: fixed(60), old_fails: 0.05, new_fails: 0.5, undo };
    assert_eq!(database.database, Some(expected.clone()));
    let plain = Database { step: DatabaseStep::Before, old_fails: 0.0, new_fails: 1.0, undo: None, ..expected };
    assert_eq!(release("database = { step = \"before\", takes = \"1m\" }").database, Some(plain));
    let skew = release("skew = { new_meets_old = \"3%\", memory = \"1m\" }").skew;
    assert_eq!(skew, Some(Skew { old_meets_new: 0.0, new_meets_old: 0.03, memory: seconds(60) }));
    let refused = |words: &str| problem(&with(words)).split_once(": ").expect("a place").1.to_owned();
    let nothing = "release.skew: must hold at least one of old_meets_new and new_meets_old";
    assert_eq!(refused("skew = { memory = \"1m\" }"), nothing);
    assert_eq!(refused("skew = { new_meets_old = \"3%\", memory = \"0s\" }"), "release.skew.memory: must exceed 0");
    let words = r#"release.database.step: must be one of "before", "during", "after""#;
    assert_eq!(refused("database = { step = \"never\", takes = \"1m\" }"), words);
}
