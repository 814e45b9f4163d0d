//! Does `run` say why? Each kind of sentence is triggered by a small scenario in which its cause is made, and is not said once
//! the cause is taken away.

use rollsim::report::why;
use rollsim::scenario::parse;
use rollsim::study::replicate;
use std::path::Path;

/// Four instances with two workers each at half of their capacity, one of which is replaced after the other.
const CALM: &str = r#"
[service]
instances = 4
workers = 2
queue = 8
[traffic]
rate = 80.0
work = { exponential = { mean = "50ms" } }
[balancer]
policy = "least-connections"
[release]
start = "5s"
pre_stop = "5s"
grace = "20s"
[strategy.x.kubernetes]
max_surge = 1
max_unavailable = 0
[study]
replications = 2
warm_up = "5s"
baseline = "10s"
window = "1m"
"#;

/// A scenario with some of its lines replaced.
fn edited(edits: &[(&str, &str)]) -> String {
    edits.iter().fold(CALM.to_owned(), |text, (from, to)| {
        assert!(text.contains(from), "`{from}` stands in the scenario");
        text.replacen(from, to, 1)
    })
}

fn sentences(edits: &[(&str, &str)]) -> String {
    let scenario = parse(&edited(edits), Path::new("case.toml")).unwrap_or_else(|error| panic!("{error}"));
    why::sentences(&replicate(&scenario, &|| {})).join("\n")
}

/// The first edits make the cause, and the sentence is said; with the second ones in their place it is not.
#[track_caller]
fn says(sentence: &str, with: &[(&str, &str)], but_not_with: &[(&str, &str)]) {
    let said = sentences(with);
    assert!(said.contains(sentence), "`{sentence}` is not in:\n{said}");
    let otherwise = sentences(but_not_with);
    let kind: String = sentence.split(':').next().expect("a beginning").to_owned();
    assert!(!otherwise.contains(&kind), "`{kind}` is in:\n{otherwise}");
}

#[test]
fn a_calm_rollout_needs_no_sentence() {
    assert_eq!(sentences(&[]), "");
}

#[test]
fn stopped_instances_that_are_not_forgotten_yet() {
    let late = ("[balancer]", "[balancer]\npropagation = \"8s\"");
    says(
        "requests lost in a rollout went to stopped instances that balancers had not yet forgotten: preStop 5 s is shorter than the propagation p99 of 8 s",
        &[late],
        &[late, ("pre_stop = \"5s\"", "pre_stop = \"9s\"")],
    );
    says(
        "a drain of 2 s is shorter",
        &[late, ("pre_stop = \"5s\"", "drain = \"2s\"")],
        &[late, ("pre_stop = \"5s\"", "drain = \"9s\"")],
    );
    says("no drain and no preStop are shorter", &[late, ("pre_stop = \"5s\"\n", "")], &[("pre_stop = \"5s\"\n", "")]);
}

#[test]
fn instances_that_go_down_before_anybody_hears_of_it() {
    let crash = ("[study]", "[faults]\noutage = { at = \"1s\", instances = 1, repair = \"10s\" }\n[study]");
    let late = ("[balancer]", "[balancer]\npropagation = \"4s\"");
    says("went to instances that were down, before balancers had noticed", &[crash, late], &[crash]);
}

const OCTOPUS: (&str, &str) =
    ("[strategy.x.kubernetes]\nmax_surge = 1\nmax_unavailable = 0", "[strategy.x.octopus]\nwindow_size = 1");

#[test]
fn places_of_which_nobody_tells() {
    let told = ("[balancer]", "[balancer]\ndiscovery = \"static\"");
    says("and which they do not check", &[OCTOPUS, told], &[OCTOPUS]);
    let checked = ("[balancer]", "[balancer]\ndiscovery = \"static\"\nhealth_check = { period = \"1s\" }");
    says("of which nobody tells the balancers: their checks notice within 3 s", &[OCTOPUS, checked], &[OCTOPUS]);
}

#[test]
fn nobody_is_ready_or_may_be_used() {
    let all_at_once = ("max_surge = 1\nmax_unavailable = 0", "type = \"Recreate\"");
    says("found no instance at all: at the worst, none of 4 was ready", &[all_at_once], &[]);
    let ejects = "[balancer]\nejection = { consecutive_errors = 1, lasts = \"10s\" }";
    let errors = ("queue = 8", "queue = 8\nerror_rate = \"30%\"");
    says(
        "found no instance that could be used, though 4 of 4 were ready at the least: balancers leave out whoever failed for 10 s, and there is no panic threshold",
        &[("[balancer]", ejects), errors],
        &[("[balancer]", &format!("{ejects}\npanic_threshold = \"50%\"")), errors],
    );
}

#[test]
fn the_rest_of_the_fleet_cannot_carry_the_load() {
    let two_down = ("max_surge = 1\nmax_unavailable = 0", "max_surge = 0\nmax_unavailable = 3");
    says(
        "met full queues: at the fewest, 1 of 4 instances were ready, of which the offered load needs 200 %",
        &[two_down],
        &[],
    );
    let cold = ("start = \"5s\"", "start = \"5s\"\nwarm_up = { factor = 20.0, over = \"30s\" }");
    says(
        "of which the offered load needs 50 %, and new ones take up to 20.0 times as long",
        &[cold, ("policy = \"least-connections\"", "policy = \"round-robin\"")],
        &[],
    );
    let hasty = ("[balancer]", "[client]\ntimeout = \"300ms\"\n[balancer]");
    let long_queue = ("queue = 8", "queue = 100");
    says("waited longer than the time-out of 300 ms: at the fewest, 1 of 4", &[two_down, hasty, long_queue], &[]);
    let impatient = ("[balancer]", "[client]\npatience = \"100ms\"\ncancels = true\n[balancer]");
    says("waited longer than their clients' patience of 100 ms: at the fewest, 1 of 4", &[two_down, impatient], &[]);
    let sheds = ("queue = 8", "queue = 100\nshed_after = \"200ms\"");
    says("were dropped after they had waited 200 ms: at the fewest, 1 of 4", &[two_down, sheds], &[sheds]);
}

#[test]
fn answers_that_come_too_late_for_the_time_out() {
    let timeout = ("[balancer]", "[client]\ntimeout = \"500ms\"\n[balancer]");
    let cold = ("start = \"5s\"", "start = \"5s\"\nwarm_up = { factor = 20.0, over = \"30s\" }");
    let few = ("rate = 80.0", "rate = 4.0");
    says(
        "were not done within the time-out of 500 ms: instances that are not warm take up to 20.0 times as long",
        &[timeout, cold, few],
        &[timeout],
    );
    let long = ("mean = \"50ms\"", "mean = \"400ms\"");
    says("were not done within the time-out of 500 ms: the p99 of their work is 1.8 s", &[timeout, long, few], &[few]);
}

#[test]
fn requests_that_are_cut_off() {
    let long = ("work = { exponential = { mean = \"50ms\" } }", "work = \"8s\"");
    let few = ("rate = 80.0", "rate = 1.0");
    says(
        "were cut off when their instances were killed: the 2 s that they had after preStop are short for a work whose p99 is 8 s",
        &[long, few, ("grace = \"20s\"", "grace = \"6s\"")],
        &[long, few],
    );
    says(
        "because balancers close what is open at an instance that they remove",
        &[("[balancer]", "[balancer]\ndraining = false")],
        &[],
    );
}

#[test]
fn errors_crashes_and_the_zone_of_an_outage() {
    let errors = ("queue = 8", "queue = 8\nerror_rate = \"1%\"");
    says("errors that instances of every version give", &[errors], &[]);
    let defect = ("grace = \"20s\"", "grace = \"20s\"\ndefect = { error_rate = \"10%\" }");
    says("were answered with errors by the new version, which nobody rolled back", &[defect], &[errors]);
    let aborts = "[strategy.x.argo.canary]\nsteps = [{ analysis = [{ max_failed = \"1%\", initial_delay = \"10s\" }] }]\ntraffic_routing = true";
    let aborts = aborts.replace("steps = [", "steps = [{ set_weight = 25 }, ");
    let strategy = "[strategy.x.kubernetes]\nmax_surge = 1\nmax_unavailable = 0";
    let given_up = "the rollout failed, and nobody asked for the old one";
    says(given_up, &[defect, (strategy, &aborts)], &[defect]);
    let operator = "[rollback]\npolicy = { operator = { notices_after = \"12s\", alarm = \"0.1%\" } }\n[study]";
    let said = sentences(&[defect, ("[study]", operator)]);
    assert!(said.contains("by the new version: it was rolled back"), "{said}");
    let outage = ("[study]", "[faults]\noutage = { at = \"1s\", zone = 1, repair = \"10s\" }\n[study]");
    let zones = ("queue = 8", "queue = 8\nzones = 2");
    says("open at instances whose process ended unasked, nearly all of them in zone 1", &[outage, zones], &[zones]);
}

#[test]
fn versions_that_cannot_live_together() {
    let database = |settings: &str| format!("grace = \"20s\"\ndatabase = {{ takes = \"10s\", {settings} }}");
    let with = |text: &str| sentences(&[("grace = \"20s\"", text)]);
    let breaking = database("step = \"before\", old_fails = \"50%\"");
    let compatible = database("step = \"before\"");
    let old_fails = "met the old version, which cannot read the new schema: that change is not backward compatible";
    says(old_fails, &[("grace = \"20s\"", &breaking)], &[("grace = \"20s\"", &compatible)]);
    let late = database("step = \"after\"");
    let new_fails = "met the new version before the schema that it needs";
    says(new_fails, &[("grace = \"20s\"", &late)], &[("grace = \"20s\"", &compatible)]);
    let undo = ("max_surge = 1", "commands = [{ after = \"25s\", do = \"undo\" }]\nmax_surge = 1");
    let final_one = "a rollback does not bring the old schema back";
    assert!(sentences(&[("grace = \"20s\"", &breaking), undo]).contains(final_one));
    let reversible = database("step = \"before\", old_fails = \"50%\", undo = \"5s\"");
    assert!(!sentences(&[("grace = \"20s\"", &reversible), undo]).contains(final_one));
    let skew = "grace = \"20s\"\nskew = { new_meets_old = \"50%\", memory = \"10s\" }";
    let harmless = "grace = \"20s\"\nskew = { new_meets_old = \"0%\", memory = \"10s\" }";
    let skewed = "came from clients of another version than the instances that they met";
    assert!(with(skew).contains(skewed), "{}", with(skew));
    assert!(!with(harmless).contains(skewed));
}

#[test]
fn late_requests() {
    let target = ("[traffic]", "[traffic]\ntarget = \"400ms\"");
    assert!(!sentences(&[]).contains("late"), "without a target nothing is late");
    let two_down = ("max_surge = 1\nmax_unavailable = 0", "max_surge = 0\nmax_unavailable = 2");
    says(
        "waited: at the fewest, 2 of 4 instances were ready, of which the offered load needs 100 %",
        &[target, two_down],
        &[two_down],
    );
    let cold = ("start = \"5s\"", "start = \"5s\"\nwarm_up = { factor = 20.0, over = \"30s\" }");
    let few = ("rate = 80.0", "rate = 4.0");
    says(
        "met instances that were not warm yet, which take up to 20.0 times as long in their first 30 s",
        &[target, cold, few],
        &[target, few],
    );
    let slow = ("start = \"5s\"", "start = \"5s\"\nslowdown = 10.0");
    says("met slow instances: a slower version, a defect, or a fault", &[target, slow, few], &[target, few]);
    let retries = ("[balancer]", "[client]\nretries = { attempts = 3, backoff = \"500ms\" }\n[balancer]");
    let errors = ("queue = 8", "queue = 8\nerror_rate = \"10%\"");
    says(
        "were late because an attempt had failed: clients make up to 3",
        &[target, retries, errors],
        &[target, retries],
    );
    let connect = "[balancer]\ndiscovery = \"static\"\nconnect = { retries = 9, pause = \"1s\" }";
    says(
        "waited for an instance that did not take them: balancers try the same one again after 1 s",
        &[target, OCTOPUS, ("[balancer]", connect)],
        &[target, OCTOPUS],
    );
    let short = ("[traffic]", "[traffic]\ntarget = \"100ms\"");
    says(
        "were late by their own work: the target of 100 ms is short for a work whose p99 is",
        &[short, few],
        &[target, few],
    );
}
