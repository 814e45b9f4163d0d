//! The guard of speed that does not depend on a machine's mood: what the engine does for a few reference runs, counted, and held to
//! what was recorded in `guard.toml`. More than 2 % more is a failure; more than 2 % less must be recorded, so that nobody
//! loses it again:
//!
//! ```sh
//! ROLLSIM_RECORD=1 cargo test --test guard
//! ```
//!
//! Counts know nothing of what each step costs; `cargo bench --bench ratios` measures that.

use rollsim::engine;
use rollsim::history::Effort;
use rollsim::scenario::{Scenario, load, parse};
use std::collections::BTreeMap;
use std::fmt::Write;
use std::fs;
use std::path::Path;

/// The least change that counts.
const TOLERANCE: f64 = 0.02;

/// What is counted of a run, by name.
type Counts = BTreeMap<String, u64>;

fn reference(instances: u32, rate: f64, balancer: &str, rest: &str) -> Scenario {
    let text = format!(
        r#"
[service]
instances = {instances}
workers = 8
queue = 64
[traffic]
rate = {rate}
work = {{ lognormal = {{ median = "21.2ms", p95 = "84.6ms" }} }}
[client]
timeout = "2s"
retries = {{ attempts = 2, backoff = "100ms" }}
[balancer]
{balancer}
[release]
start = {{ uniform = {{ low = "3s", high = "8s" }} }}
grace = "20s"
pre_stop = "2s"
{rest}
[study]
replications = 2
warm_up = "1s"
baseline = "5s"
window = "2m"
"#
    );
    parse(&text, Path::new("reference.toml")).expect("the reference is sound")
}

/// The runs, each with what it stands for.
fn runs() -> Vec<(&'static str, Scenario)> {
    let shipped = |name: &str| {
        load(&Path::new(env!("CARGO_MANIFEST_DIR")).join("scenarios").join(name)).expect("a shipped scenario")
    };
    let features = r#"policy = "power-of-two"
count = 3
propagation = "1s"
health_check = { period = "1s" }
slow_start = { window = "10s" }"#;
    let kubernetes = "[strategy.s.kubernetes]\nmax_surge = \"10%\"\nmax_unavailable = 0";
    let warm = format!("warm_up = {{ factor = 2.0, over = \"20s\" }}\n{kubernetes}");
    vec![
        ("quickstart", shipped("quickstart.toml")),
        ("plain", reference(50, 50.0 * 186.667, "policy = \"power-of-two\"", kubernetes)),
        ("features", reference(50, 50.0 * 186.667, features, &warm)),
        ("least-connections", reference(50, 50.0 * 186.667, "policy = \"least-connections\"", kubernetes)),
        ("kubernetes-1000", reference(1_000, 0.1, "", kubernetes)),
        ("swarm-500", reference(500, 0.1, "", "[strategy.s.swarm]\nupdate = { parallelism = 50, delay = \"1s\" }")),
        ("waves-1000", reference(1_000, 0.1, "", "[strategy.s.waves]\nsize = 100\nsoak = \"1s\"")),
        ("ecs-500", reference(500, 0.1, "", "[strategy.s.ecs]")),
    ]
}

fn count(scenario: &Scenario) -> Counts {
    let mut counts = Counts::new();
    for strategy in &scenario.strategies {
        let history = engine::run(scenario, &strategy.strategy, 0);
        let Effort { control_events, decisions, request_events, sent_singly } = history.effort;
        let all = [
            ("control_events", control_events),
            ("decisions", decisions),
            ("request_events", request_events),
            ("sent_singly", sent_singly),
        ];
        for (name, count) in all {
            *counts.entry(name.to_owned()).or_default() += count;
        }
    }
    counts
}

#[test]
fn the_engine_does_no_more_than_it_did() {
    let counted: BTreeMap<&str, Counts> = runs().iter().map(|(name, scenario)| (*name, count(scenario))).collect();
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests").join("guard.toml");
    if std::env::var_os("ROLLSIM_RECORD").is_some() {
        let mut text = "# What the engine does for each reference run; see guard.rs.\n".to_owned();
        for (run, counts) in &counted {
            write!(text, "\n[{run}]\n").expect("text grows");
            for (name, count) in counts {
                writeln!(text, "{name} = {count}").expect("text grows");
            }
        }
        fs::write(&path, text).expect("the record can be written");
        return;
    }
    let text = fs::read_to_string(&path).expect("there is a record");
    let recorded: BTreeMap<String, Counts> = toml::from_str(&text).expect("the record is TOML");
    assert_eq!(recorded.keys().collect::<Vec<_>>(), counted.keys().collect::<Vec<_>>(), "each run is recorded");
    let mut changes = Vec::new();
    for (run, counts) in &counted {
        for (name, count) in counts {
            let before = recorded[*run][name];
            let change = (*count as f64 + 1.0) / (before as f64 + 1.0) - 1.0;
            if change.abs() > TOLERANCE && count.abs_diff(before) > 1 {
                let what = if change > 0.0 { "more than" } else { "less, to be recorded, than" };
                changes.push(format!("{run}: {name} {count}, which is {what} {before}"));
            }
        }
    }
    assert!(changes.is_empty(), "\n{}", changes.join("\n"));
}
