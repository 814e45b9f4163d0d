//! What becomes of manifests in scenarios: `import` writes one that loads, runs and says the same as `manifest =`.

use super::expected::collections;
use rand::{RngExt, SeedableRng, rngs::Xoshiro256PlusPlus};
use rollsim::scenario::manifest::{self, Manifest, Spec, Workload};
use rollsim::scenario::{self, NamedStrategy, Scenario};
use rollsim::study::replicate;
use std::fs;
use std::num::NonZeroU32;
use std::path::Path;

/// What `--name` must say to mean a workload.
fn name(workload: &Workload) -> String {
    format!("{}/{}", workload.kind, workload.name.as_deref().unwrap_or_default())
}

fn parsed(text: &str, folder: &Path) -> Scenario {
    scenario::parse(text, &folder.join("imported.toml")).unwrap_or_else(|error| panic!("{error}\n{text}"))
}

/// The scenario's one strategy, read from the manifest instead.
fn by_manifest(text: &str, workload: &Workload, manifest: &Path) -> Scenario {
    let orchestrator = match workload.kind.as_str() {
        "swarm service" => "swarm",
        "nomad group" => "nomad",
        "Rollout" => "argo",
        "AWS::ECS::Service" | "ECS service" => "ecs",
        _ => "kubernetes",
    };
    let from = text.find("[strategy.").expect("a strategy");
    let to = text.find("[study]").expect("a study");
    let file = manifest.file_name().expect("a name").to_string_lossy().into_owned();
    let strategy = format!("[strategy.it.{orchestrator}]\nmanifest = {file:?}\nname = {:?}\n\n", name(workload));
    let folder = manifest.parent().expect("a folder");
    parsed(&format!("{}{strategy}{}", &text[..from], &text[to..]), folder)
}

/// Every workload that is supported runs, and all others end with their place. How many of each there are.
fn import_all(manifest: &Manifest) -> (u32, u32) {
    let (mut ran, mut refused) = (0, 0);
    for workload in &manifest.workloads {
        let title = format!("{}: {}", manifest.file.display(), workload.title());
        match manifest::import(manifest, Some(&name(workload))) {
            Ok(imported) => {
                let text = imported.text;
                let mut scenario = parsed(&text, Path::new(""));
                let taken = by_manifest(&text, workload, &manifest.file);
                // What people type stands in no manifest.
                let [imported, taken] = [&scenario, &taken].map(|s| strategy(s).clone().with_commands(Vec::new()));
                assert_eq!(imported, taken, "{title}: both ways say the same\n{text}");
                scenario.study.replications = NonZeroU32::new(2).expect("not 0");
                let results = replicate(&scenario, &|| {});
                let outcomes = &results.strategies[0].summary.outcomes;
                let outcomes = outcomes.iter().map(|(outcome, _)| outcome.name()).collect::<Vec<_>>();
                assert_eq!(outcomes, ["completed"], "{title}\n{text}");
                ran += 1;
            }
            Err(error) => {
                let place = format!("{}:", manifest.file.display());
                assert!(error.to_string().starts_with(&place) && error.line > 0, "{title}: {error}");
                let is_simulated = match &workload.spec {
                    Spec::Deployment(_) | Spec::SwarmService(_) | Spec::Rollout(_) => true,
                    Spec::NomadGroup(group) => group.job_type.effective == Some("service"),
                    Spec::EcsService(service) => {
                        let words = [&service.scheduling, &service.controller, &service.strategy];
                        words.map(|word| word.effective) == [Some("REPLICA"), Some("ECS"), Some("ROLLING")]
                    }
                    _ => false,
                };
                let is_sound = workload.notes.problem.is_none() && manifest.problem.is_none();
                let is_zero = workload.facts().get("replicas").is_some_and(|replicas| *replicas == 0);
                assert!(!(is_simulated && is_sound) || is_zero, "{title}: {error}");
                refused += 1;
            }
        }
    }
    (ran, refused)
}

fn strategy(scenario: &Scenario) -> &rollsim::rollout::Strategy {
    let [NamedStrategy { strategy, .. }] = scenario.strategies.as_slice() else { panic!("one strategy") };
    strategy
}

#[test]
fn every_importable_workload_becomes_a_scenario_that_runs() {
    let (mut ran, mut refused) = (0, 0);
    for collection in collections() {
        for path in collection.paths() {
            let manifest = manifest::load(&path).unwrap_or_else(|error| panic!("{error}"));
            let (these_ran, these_refused) = import_all(&manifest);
            ran += these_ran;
            refused += these_refused;
        }
    }
    println!("{ran} workloads ran, {refused} were refused");
    assert!(ran >= 30 && refused >= 10, "{ran} ran, {refused} were refused");
}

/// A Deployment drawn at random, sound but for rules that are checked elsewhere.
fn deployment(random: &mut Xoshiro256PlusPlus) -> String {
    let mut text = "apiVersion: apps/v1\nkind: Deployment\nmetadata: { name: drawn }\nspec:\n".to_owned();
    let mut maybe = |line: &str| {
        if random.random_bool(0.6) {
            text.push_str(line);
        }
    };
    maybe("  replicas: 7\n");
    maybe("  minReadySeconds: 4\n");
    maybe("  progressDeadlineSeconds: 90\n");
    match random.random_range(0..5) {
        0 => text.push_str("  strategy: { type: Recreate }\n"),
        1 => text.push_str("  strategy: { rollingUpdate: { maxSurge: 30%, maxUnavailable: 0 } }\n"),
        2 => text.push_str("  strategy: { type: RollingUpdate, rollingUpdate: { maxUnavailable: 2 } }\n"),
        3 => text.push_str("  strategy: { rollingUpdate: { maxSurge: 100% } }\n"),
        _ => {}
    }
    text.push_str("  selector: {}\n  template:\n    spec:\n");
    if random.random_bool(0.5) {
        text.push_str("      terminationGracePeriodSeconds: 45\n");
    }
    text.push_str("      containers:\n      - name: a\n        image: a\n");
    if random.random_bool(0.5) {
        text.push_str("        readinessProbe: { initialDelaySeconds: 3, periodSeconds: 2, successThreshold: 2 }\n");
    }
    if random.random_bool(0.5) {
        text.push_str("        lifecycle: { preStop: { sleep: { seconds: 5 } } }\n");
    }
    text
}

/// A stack file with one service drawn at random.
fn stack(random: &mut Xoshiro256PlusPlus) -> String {
    let mut text = "services:\n  drawn:\n    image: a\n".to_owned();
    if random.random_bool(0.5) {
        text.push_str("    stop_grace_period: 1m10s\n");
    }
    if random.random_bool(0.3) {
        text.push_str("    healthcheck: { test: curl, interval: 4s, retries: 2, start_period: 9s }\n");
    }
    text.push_str("    deploy:\n      replicas: 5\n");
    for config in ["update_config", "rollback_config"] {
        if random.random_bool(0.7) {
            let parallelism = random.random_range(0..9);
            let order = ["stop-first", "start-first"][random.random_range(0..2)];
            let action = ["pause", "continue"][random.random_range(0..2)];
            let values = format!("parallelism: {parallelism}, order: {order}, failure_action: {action}");
            text = format!("{text}      {config}: {{ {values}, delay: 1500ms, max_failure_ratio: 0.25 }}\n");
        }
    }
    if random.random_bool(0.5) {
        text.push_str("      restart_policy: { condition: on-failure, max_attempts: 3, window: 2m }\n");
    }
    text
}

/// What the command line takes, or tells, of an ECS service drawn at random.
fn service(random: &mut Xoshiro256PlusPlus) -> String {
    let mut text = "{ \"serviceName\": \"drawn\", \"desiredCount\": 5".to_owned();
    if random.random_bool(0.5) {
        text.push_str(", \"loadBalancers\": [{ \"targetGroupArn\": \"a\", \"containerPort\": 80 }]");
        text.push_str(", \"healthCheckGracePeriodSeconds\": 20");
    }
    let minimum = random.random_range(0..=100);
    let maximum = random.random_range(120..=300);
    let bounds = format!("\"minimumHealthyPercent\": {minimum}, \"maximumPercent\": {maximum}");
    text = format!("{text}, \"deploymentConfiguration\": {{ {bounds}");
    if random.random_bool(0.7) {
        let enable = random.random_bool(0.7);
        let threshold = "\"thresholdConfiguration\": { \"type\": \"COUNT\", \"value\": 4 }";
        text = format!(
            "{text}, \"deploymentCircuitBreaker\": {{ \"enable\": {enable}, \"rollback\": true, {threshold} }}"
        );
    }
    text + ", \"bakeTimeInMinutes\": 1 } }"
}

#[test]
fn drawn_manifests_are_imported_too() {
    let folder = tempfile::tempdir().expect("a folder");
    let mut random = Xoshiro256PlusPlus::seed_from_u64(1);
    for case in 0..60 {
        let (file, text) = match case % 3 {
            0 => ("d.yaml", deployment(&mut random)),
            1 => ("s.yml", stack(&mut random)),
            _ => ("service.json", service(&mut random)),
        };
        let path = folder.path().join(file);
        fs::write(&path, &text).expect("a file");
        let manifest = manifest::load(&path).unwrap_or_else(|error| panic!("{error}\n{text}"));
        assert_eq!(import_all(&manifest), (1, 0), "{text}");
    }
}

#[test]
fn names_and_values_cannot_break_out_of_a_comment() {
    let text =
        "services:\n  \"evil\\n[study]\\nseed = 1 #\\u0085\\u2028\":\n    \"x\\ny\": 1\n    deploy: { replicas: 2 }\n";
    let manifest = manifest::read(text, Path::new("stack.yml")).expect("a stack");
    let imported = manifest::import(&manifest, None).expect("a scenario");
    parsed(&imported.text, Path::new(""));
    assert_eq!(imported.text.matches("\n[study]").count(), 1, "{}", imported.text);
}
