//! Is a run a pure function? One thread finds what eight find, byte for byte; a run repeats itself; and two
//! strategies meet the same requests and the same starts.

use rollsim::engine;
use rollsim::fleet::{Phase, Version};
use rollsim::history::{History, Outcome};
use rollsim::report::files;
use rollsim::scenario::{Scenario, parse};
use rollsim::study::{Results, replicate};
use rollsim::time::SimTime;
use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::time::Duration;

/// Everything that is drawn anywhere is drawn here.
const FLEET: &str = r#"
[service]
instances = 6
workers = 2
queue = 8
zones = 3
[traffic]
rate = 60
work = { lognormal = { median = "100ms", p95 = "400ms" } }
[client]
timeout = "1s"
retries = { attempts = 3, backoff = "100ms", jitter = "100%" }
[balancer]
policy = "power-of-two"
propagation = { lognormal = { median = "500ms", p95 = "2s" } }
[release]
pull = { uniform = { low = "1s", high = "3s" } }
start = { gamma = { shape = 2, mean = "4s" } }
ready_probe = { period = "1s", failure_threshold = 60 }
warm_up = { factor = 2.0, over = "20s" }
pre_stop = "1s"
grace = "10s"
stop = { exponential = { mean = "500ms" } }
defect = { chance = "30%", error_rate = "20%", failed_start = "20%" }
[faults]
crash = { mtbf = "5m", repair = { exponential = { mean = "10s" } } }
outage = { at = "20s", share = "30%", repair = "15s" }
[rollback]
policy = { operator = { notices_after = { exponential = { mean = "30s" } }, alarm = "50%" } }
[budget]
availability = "99%"
[strategy.surge.kubernetes]
control_plane = { at_once = true }
max_surge = 2
max_unavailable = 0
[strategy.replace.kubernetes]
control_plane = { at_once = true }
max_surge = 0
max_unavailable = 2
[strategy.swarm.swarm]
update = { parallelism = 2, order = "start-first" }
[strategy.octopus.octopus]
window_size = 2
take_out = "2s"
test = { takes = "10s", finds = "50%" }
[study]
replications = 6
warm_up = "5s"
baseline = "10s"
window = "3m"
interval = "7s"
"#;

fn fleet() -> Scenario {
    parse(FLEET, Path::new("fleet.toml")).unwrap_or_else(|error| panic!("{error}"))
}

fn on_threads(threads: usize) -> Results {
    let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().expect("a pool of threads");
    pool.install(|| replicate(&fleet(), &|| {}))
}

/// The files of a study by name.
fn written(results: &Results) -> BTreeMap<String, Vec<u8>> {
    let folder = tempfile::tempdir().expect("a folder");
    let paths = files::write(results, folder.path(), false).expect("the folder takes files");
    let name = |path: &Path| path.file_name().expect("a name").to_string_lossy().into_owned();
    paths.iter().map(|path| (name(path), fs::read(path).expect("it was written"))).collect()
}

#[test]
fn the_number_of_threads_changes_nothing() {
    let alone = on_threads(1);
    let files = written(&alone);
    assert!(files.len() >= 4 && files.values().all(|content| !content.is_empty()), "{:?}", files.keys());
    for threads in [2, 8] {
        let together = on_threads(threads);
        assert!(together == alone, "{threads} threads find something else than one");
        assert!(files::summary_json(&together) == files::summary_json(&alone), "summary.json on {threads} threads");
        for (name, content) in written(&together) {
            assert!(content == files[&name], "{name} differs between 1 and {threads} threads");
        }
    }
}

/// All facts of a run as a text.
fn facts(history: &History) -> String {
    let latencies = |latency: &rollsim::history::Latencies| -> Vec<(u64, u64)> {
        latency.iter_recorded().map(|value| (value.value_iterated_to(), value.count_at_value())).collect()
    };
    let intervals: Vec<_> = history
        .intervals
        .iter()
        .map(|interval| (interval.ledger, interval.load, latencies(&interval.latency)))
        .collect();
    let windows = [&history.baseline, &history.window]
        .map(|window| (window.all.ledger, latencies(&window.all.latency), window.all.latency_sum, window.served_by));
    let ends = (history.outcome, history.ended_at, history.rollback_at, history.trouble_at, history.events);
    format!(
        "{:?}\n{:?}\n{:?}\n{:?}\n{:?}\n{intervals:?}\n{windows:?}\n{ends:?}",
        history.changes, history.wanted, history.ledger, history.attempts, history.harm,
    )
}

#[test]
fn a_run_repeats_itself() {
    let scenario = fleet();
    for named in &scenario.strategies {
        for replication in 0..3 {
            let run = || facts(&engine::run(&scenario, &named.strategy, replication));
            assert!(run() == run(), "{}, replication {replication}", named.name);
        }
    }
}

#[test]
fn another_seed_or_replication_is_another_run() {
    let scenario = fleet();
    let mut reseeded = fleet();
    reseeded.study.seed += 1;
    let strategy = &scenario.strategies[0].strategy;
    let run = |scenario: &Scenario, replication| facts(&engine::run(scenario, strategy, replication));
    assert!(run(&scenario, 0) != run(&scenario, 1), "two replications are the same");
    assert!(run(&scenario, 0) != run(&reseeded, 0), "two seeds are the same");
    assert!(replicate(&scenario, &|| {}) != replicate(&reseeded, &|| {}), "two seeds give one study");
}

/// How long each new instance pulled and started for the first time, in the order of launch; `None` where it did not
/// get there.
fn first_starts(history: &History) -> Vec<Option<Duration>> {
    let mut launched: Vec<(u32, SimTime)> = Vec::new();
    let mut pulled: BTreeMap<u32, SimTime> = BTreeMap::new();
    let mut starts: BTreeMap<u32, Duration> = BTreeMap::new();
    let mut started: BTreeMap<u32, SimTime> = BTreeMap::new();
    for change in history.changes.iter().filter(|change| change.version == Version::NEW) {
        let id = change.instance.0;
        match change.to {
            Phase::Pulling => launched.push((id, change.at)),
            Phase::Prepared => {
                pulled.insert(id, change.at);
            }
            Phase::Starting => {
                started.entry(id).or_insert(change.at);
            }
            Phase::Ready if !starts.contains_key(&id) => {
                starts.insert(id, change.at.since(started[&id]));
            }
            _ => {}
        }
    }
    // A task of Swarm may wait between its image and its start, and that is the strategy's doing.
    launched.iter().map(|(id, at)| Some(pulled.get(id)?.since(*at) + *starts.get(id)?)).collect()
}

#[test]
fn strategies_meet_the_same_luck() {
    // A sound release that is ready as soon as it is up: what differs is the strategies' doing alone.
    let mut scenario = fleet();
    scenario.release.defect = None;
    scenario.release.ready_probe = None;
    scenario.faults = rollsim::scenario::Faults::default();
    scenario.rollback = rollsim::rollback::Policy::Orchestrator;
    for replication in 0..5 {
        let histories: Vec<History> =
            scenario.strategies.iter().map(|named| engine::run(&scenario, &named.strategy, replication)).collect();
        let arrivals = |history: &History| -> Vec<u64> {
            history.intervals.iter().map(|interval| interval.ledger.arrivals).collect()
        };
        let first = first_starts(&histories[0]);
        assert_eq!(first.iter().flatten().count(), 6, "six new instances start");
        assert!(first.windows(2).all(|pair| pair[0] != pair[1]), "each has its own luck: {first:?}");
        for (history, named) in histories.iter().zip(&scenario.strategies) {
            assert_eq!(arrivals(history), arrivals(&histories[0]), "{}", named.name);
            assert_eq!(first_starts(history), first, "{}, replication {replication}", named.name);
        }
    }
}

/// Other figures here mean other published results: a change of the draws, of the order of events, or of how much work a run
/// is. Whoever means it gives the old and the new figures in the commit.
#[test]
fn the_reference_run_is_golden() {
    let scenario = fleet();
    let history = engine::run(&scenario, &scenario.strategies[0].strategy, 0);
    let figures =
        (history.events, history.attempts.sent, history.window.all.latency_sum, history.changes.len(), history.outcome);
    assert_eq!(figures, (27_490, 15_127, 2_878_989_684_527, 87, Outcome::RolledBack));
}
