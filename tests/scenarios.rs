//! Do the examples do what they say? Each file in `scenarios/` loads, keeps the published schema, runs, and meets the
//! expectations that are written in it.

use rollsim::scenario::{Scenario, load, schema};
use rollsim::study::{check, replicate};
use std::fs;
use std::num::NonZeroU32;
use std::path::{Path, PathBuf};

/// An example with more runs than this is cut short.
const MOST_REPLICATIONS: u32 = 8;

/// What one replication may cost, in requests, before the runs are cut short.
const CHEAP_REQUESTS: f64 = 50_000.0;

/// Requests of two replications that are too many for a test.
const LONG_REQUESTS: f64 = 100_000_000.0;

fn examples() -> Vec<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("scenarios");
    let entries = fs::read_dir(folder).expect("the folder of scenarios");
    let mut paths: Vec<PathBuf> = entries.map(|entry| entry.expect("an entry").path()).collect();
    paths.retain(|path| path.extension().is_some_and(|ending| ending == "toml"));
    paths.sort();
    paths
}

fn name(path: &Path) -> String {
    path.file_name().expect("a name").to_string_lossy().into_owned()
}

fn example(path: &Path) -> Scenario {
    load(path).unwrap_or_else(|error| panic!("{error}"))
}

#[test]
fn there_are_enough_examples_and_each_says_what_comes_out() {
    let examples = examples();
    assert!(examples.len() >= 8, "{} examples", examples.len());
    for path in examples.iter().filter(|path| name(path) != "quickstart.toml") {
        assert!(!example(path).expectations.is_empty(), "{} says nothing of what will come out", name(path));
    }
}

#[test]
fn every_example_keeps_the_schema() {
    let schema = serde_json::to_value(schema()).expect("a schema is JSON");
    let validator = jsonschema::validator_for(&schema).expect("a sound schema");
    for path in examples() {
        let text = fs::read_to_string(&path).expect("a file of text");
        let document: serde_json::Value = toml::from_str(&text).expect("TOML");
        let errors: Vec<String> =
            validator.iter_errors(&document).map(|error| format!("{}: {error}", error.instance_path())).collect();
        assert!(errors.is_empty(), "{}: {errors:?}", name(&path));
    }
}

#[test]
fn the_schema_refuses_what_is_misspelt() {
    let schema = serde_json::to_value(schema()).expect("a schema is JSON");
    let validator = jsonschema::validator_for(&schema).expect("a sound schema");
    let text = fs::read_to_string(&examples()[0]).expect("a file of text");
    let edited = text.replacen("instances =", "instance =", 1);
    assert_ne!(text, edited, "the example names its instances");
    let document: serde_json::Value = toml::from_str(&edited).expect("TOML");
    assert!(!validator.is_valid(&document));
}

/// Whether a test can wait for a scenario; the others are checked by `.ci/run`, in a release build.
fn is_short(scenario: &Scenario) -> bool {
    requests(scenario) * 2.0 <= LONG_REQUESTS
}

/// Requests of a replication of all strategies.
fn requests(scenario: &Scenario) -> f64 {
    scenario.traffic.load.peak() * scenario.study.ends_at().as_secs_f64() * scenario.strategies.len() as f64
}

/// The most replications that are run for a test.
fn affordable(scenario: &Scenario) -> NonZeroU32 {
    let is_cheap = requests(scenario) <= CHEAP_REQUESTS;
    let most = NonZeroU32::new(MOST_REPLICATIONS).expect("not 0");
    if is_cheap { scenario.study.replications } else { scenario.study.replications.min(most) }
}

#[test]
fn every_example_meets_its_expectations() {
    let mut surprises = Vec::new();
    for path in examples() {
        let mut scenario = example(&path);
        if !is_short(&scenario) {
            assert_eq!(name(&path), "planner.toml", "`.ci/run` checks it");
            continue;
        }
        scenario.study.replications = affordable(&scenario);
        let results = replicate(&scenario, &|| {});
        let found = check::surprises(&scenario, &results);
        surprises.extend(found.into_iter().map(|surprise| format!("{}: {surprise}", name(&path))));
    }
    assert!(surprises.is_empty(), "\n{}", surprises.join("\n"));
}
