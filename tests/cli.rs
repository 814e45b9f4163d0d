//! Does the program do what its help says? The built binary is run as a user would run it: what it prints, what it
//! writes, and how it exits.

#[path = "cli/conformance.rs"]
mod conformance;
#[path = "cli/desk.rs"]
mod desk;
#[path = "cli/validate.rs"]
mod validate;

use desk::{Desk, exits, stderr, stdout};
use std::fs;
use std::path::Path;
use std::process::{Command, Output, Stdio};
use std::time::Duration;

/// A scenario that takes no time. The rollouts last 14, 7 and 7 s, because no request is open when one begins.
const SMALL: &str = r#"[service]
instances = 4
workers = 2
queue = 8
zones = 2
[traffic]
rate = 5
arrivals = "deterministic"
work = { uniform = { low = "20ms", high = "90ms" } }
[client]
timeout = "2s"
[release]
start = "7s"
grace = "10s"
ready_probe = { period = "1s" }
[strategy.by-halves.kubernetes]
control_plane = { at_once = true }
max_surge = 0
max_unavailable = "50%"
[strategy.at-once.kubernetes]
control_plane = { at_once = true }
type = "Recreate"
[strategy.a-walk.octopus]
window_size = 4
[study]
replications = 4
warm_up = "1s"
baseline = "4s"
window = "60s"
interval = "2s"
"#;

/// The small scenario's one strategy that loses nothing.
fn only_by_halves() -> String {
    let at_once = SMALL.find("[strategy.at-once").expect("the second strategy");
    let study = SMALL.find("[study]").expect("what follows the strategies");
    format!("{}{}", &SMALL[..at_once], &SMALL[study..])
}

const DATA: [&str; 6] =
    ["classes.csv", "losses.csv", "replications.csv", "summary.json", "timeline.csv", "timeseries.csv"];

#[test]
fn help_names_the_commands_and_the_exit_codes() {
    let desk = Desk::with("small.toml", SMALL);
    let help = desk.rollsim(&["--help"]);
    exits(&help, 0);
    let text = stdout(&help);
    for word in
        ["run", "check", "conformance", "validate", "import", "schema", "Exit codes:", "scenarios/quickstart.toml"]
    {
        assert!(text.contains(word), "`{word}` is missing in\n{text}");
    }
    for (command, flags) in [
        ("run", &["--replications", "--seed", "--threads", "--quiet", "--out", "--json", "--no-plots"][..]),
        ("check", &["--replications", "--seed", "--threads", "--quiet"]),
        ("conformance", &["--verbose", "--fit", "--threads"]),
        ("validate", &["--quick", "--verbose", "--json", "--scenario", "--threads", "--quiet"]),
        ("import", &["--name", "--out", "--json", "--quiet"]),
        ("schema", &["--help"]),
    ] {
        let help = desk.rollsim(&[command, "--help"]);
        exits(&help, 0);
        for flag in flags {
            assert!(stdout(&help).contains(flag), "`{flag}` is missing in the help of {command}");
        }
    }
    exits(&desk.rollsim(&["--version"]), 0);
    exits(&desk.rollsim(&["deploy"]), 2);
    exits(&desk.rollsim(&["run", "small.toml", "--replications", "1"]), 2);
    assert_eq!(desk.names("."), ["small.toml"], "help writes nothing");
}

#[test]
fn a_run_prints_a_table_and_writes_its_data() {
    let desk = Desk::with("small.toml", SMALL);
    let run = desk.rollsim(&["run", "small.toml", "--no-plots"]);
    exits(&run, 0);
    let table = stdout(&run);
    let rows =
        ["by-halves", "at-once", "a-walk"].map(|name| table.find(name).unwrap_or_else(|| panic!("{name}\n{table}")));
    assert!(rows.is_sorted(), "the rows are in the order of the file\n{table}");
    assert_eq!(desk.names("output/small"), DATA);
    let wrote = stderr(&run);
    assert!(DATA.iter().all(|name| wrote.contains(name)), "{wrote}");
    assert!(wrote.starts_with(&format!("wrote {}: ", Path::new("output").join("small").display())), "{wrote}");
}

#[test]
fn a_run_draws_what_it_says_it_draws() {
    let desk = Desk::with("small.toml", SMALL);
    let run = desk.rollsim(&["run", "small.toml", "--out", "here", "--replications", "2"]);
    exits(&run, 0);
    let remarks = stderr(&run);
    let plots = remarks.lines().find_map(|line| line.strip_prefix("plots, each as .svg and .png: "));
    let mut named: Vec<String> = DATA.map(ToOwned::to_owned).into();
    for plot in plots.unwrap_or_else(|| panic!("no plots in\n{remarks}")).split(", ") {
        named.extend([format!("{plot}.svg"), format!("{plot}.png")]);
    }
    named.sort();
    assert_eq!(desk.names("here"), named);
    assert!(named.contains(&"overview.png".to_owned()));
}

#[test]
fn quiet_says_nothing_but_the_results() {
    let desk = Desk::with("small.toml", SMALL);
    let run = desk.rollsim(&["run", "small.toml", "--no-plots", "--quiet"]);
    exits(&run, 0);
    assert_eq!(stderr(&run), "");
}

#[test]
fn json_is_what_summary_json_holds() {
    let desk = Desk::with("small.toml", SMALL);
    let run = desk.rollsim(&["run", "small.toml", "--no-plots", "--json", "--out", "here"]);
    exits(&run, 0);
    let written = fs::read_to_string(desk.path("here/summary.json")).expect("it was written");
    assert_eq!(stdout(&run), written);
    let summary: serde_json::Value = serde_json::from_str(&written).expect("JSON");
    let names: Vec<&str> =
        summary["strategies"].as_array().expect("a list").iter().filter_map(|one| one["name"].as_str()).collect();
    assert_eq!(names, ["by-halves", "at-once", "a-walk"]);
    assert_eq!(summary["replications"], 4);
}

#[test]
fn flags_stand_in_for_the_scenario_and_threads_change_nothing() {
    let desk = Desk::with("small.toml", SMALL);
    let json = |flags: &[&str]| {
        let run = desk.rollsim(&[&["run", "small.toml", "--no-plots", "--json", "--quiet"], flags].concat());
        exits(&run, 0);
        stdout(&run)
    };
    assert_eq!(json(&["--threads", "1"]), json(&["--threads", "4"]));
    assert_eq!(json(&["--seed", "1"]), json(&[]));
    assert_ne!(json(&["--seed", "2"]), json(&[]));
    let summary: serde_json::Value =
        serde_json::from_str(&json(&["--replications", "3", "--seed", "9"])).expect("JSON");
    assert_eq!((&summary["replications"], &summary["seed"]), (&3.into(), &9.into()));
}

#[test]
fn csv_files_keep_their_headers() {
    let desk = Desk::with("small.toml", SMALL);
    exits(&desk.rollsim(&["run", "small.toml", "--no-plots", "--out", "here"]), 0);
    for (name, header) in [
        (
            "timeline.csv",
            "strategy,t_s,old_desired,new_desired,old_ready,new_ready,old_total,new_total,terminating,available",
        ),
        ("losses.csv", "strategy,fate,cause,version,step,zone,class,requests,requests_per_rollout"),
        (
            "timeseries.csv",
            "strategy,t_s,arrivals,served,lost_no_endpoint,lost_stale_endpoint,lost_cut_off,lost_queue_full,\
             lost_timed_out_waiting,lost_timed_out_in_service,lost_abandoned,lost_shed,lost_error,lost_defect,lost_crash,\
             lost_wrong_schema,lost_wrong_version,\
             availability,availability_p05,availability_p95,p50_ms,p95_ms,p99_ms,ready,least_ready,open,waiting,busy",
        ),
        (
            "replications.csv",
            "strategy,replication,outcome,duration_s,availability,worst_minute_availability,arrivals,served,lost,open,\
             lost_no_endpoint,lost_stale_endpoint,lost_cut_off,lost_queue_full,lost_timed_out_waiting,\
             lost_timed_out_in_service,lost_abandoned,lost_shed,lost_error,lost_defect,lost_crash,lost_wrong_schema,\
             lost_wrong_version,late,first_lost_s,\
             attempts_per_request,mean_ms,p50_ms,p95_ms,p99_ms,p999_ms,waited_share,mean_wait_ms,most_waiting,utilisation,\
             baseline_availability,baseline_p50_ms,baseline_p95_ms,baseline_p99_ms,least_ready,least_ready_share,\
             most_instances,extra_instance_s,shortfall_instance_s,mixed_version_s,new_served_before_rollback,detect_s,\
             restore_s",
        ),
    ] {
        let text = fs::read_to_string(desk.path("here").join(name)).expect("it was written");
        assert_eq!(text.lines().next(), Some(header), "{name}");
    }
    // Four runs of three strategies; and where nothing is lost, the header of losses.csv stays.
    let runs = fs::read_to_string(desk.path("here/replications.csv")).expect("it was written");
    assert_eq!(runs.lines().count(), 1 + 4 * 3);
    let desk = Desk::with("calm.toml", &only_by_halves());
    exits(&desk.rollsim(&["run", "calm.toml", "--no-plots", "--out", "here"]), 0);
    let losses = fs::read_to_string(desk.path("here/losses.csv")).expect("it was written");
    assert_eq!(losses, "strategy,fate,cause,version,step,zone,class,requests,requests_per_rollout\n");
}

#[test]
fn the_schema_is_json() {
    let schema = Desk::with("small.toml", SMALL).rollsim(&["schema"]);
    exits(&schema, 0);
    let schema: serde_json::Value = serde_json::from_str(&stdout(&schema)).expect("JSON");
    assert!(schema["properties"]["service"].is_object() && jsonschema::validator_for(&schema).is_ok());
}

// --- check
// -----------------------------------------------------------------------------------------------------------

/// What `check` says of the small scenario with a few more lines.
fn checked(lines: &str) -> Output {
    let desk = Desk::with("small.toml", &format!("{SMALL}{lines}"));
    let output = desk.rollsim(&["check", "small.toml", "--quiet"]);
    assert_eq!(desk.names("."), ["small.toml"], "check writes nothing");
    output
}

#[test]
fn a_budget_that_is_kept_is_no_news() {
    let check = checked("[budget]\nduration = \"20s\"\n");
    exits(&check, 0);
    let holds = [("by-halves", "14.0"), ("at-once", "7.0"), ("a-walk", "7.0")].map(|(name, s)| {
        format!("{name}: duration: {s} s (95 % interval {s} to {s}) holds the budget of at most 20.0 s\n")
    });
    assert_eq!(stdout(&check), holds.concat());
}

#[test]
fn a_missed_budget_is_said_in_a_sentence() {
    let check = checked("[budget]\nduration = \"10s\"\n");
    exits(&check, 1);
    let sentence = "by-halves: duration: 14.0 s (95 % interval 14.0 to 14.0) misses the budget of at most 10.0 s";
    assert!(stdout(&check).lines().any(|line| line == sentence), "{}", stdout(&check));
}

#[test]
fn too_few_requests_decide_nothing() {
    // By halves nothing is lost, but some hundred requests do not prove five nines.
    let lines = "[budget]\navailability = \"99.999%\"\n";
    let desk = Desk::with("small.toml", &format!("{}{lines}", only_by_halves()));
    let check = desk.rollsim(&["check", "small.toml"]);
    exits(&check, 3);
    let line = stdout(&check);
    assert!(line.starts_with("by-halves: availability: 100.0000 % (95 % interval "), "{line}");
    assert!(line.ends_with(" to 100.0000) cannot be told from the budget of at least 99.9990 %\n"), "{line}");
}

#[test]
fn an_expectation_that_fails_is_told() {
    let check = checked("[expect.at-once]\noutcome = \"completed\"\nleast_ready = 3\n");
    exits(&check, 1);
    assert_eq!(stdout(&check), "at-once: least_ready: expected 3, found 0\n");
    let check = checked("[expect.at-once]\noutcome = \"completed\"\nduration = [\"7s\", \"7s\"]\nleast_ready = 0\n");
    exits(&check, 0);
    assert_eq!(stdout(&check), "all that the scenario expects came out\n");
}

#[test]
fn without_a_budget_there_is_nothing_to_check() {
    let check = checked("");
    exits(&check, 2);
    assert_eq!(stderr(&check), "small.toml:1: budget: must be given, or there is nothing to check\n");
}

// --- import
// ----------------------------------------------------------------------------------------------------------

const DEPLOYMENT: &str = "apiVersion: apps/v1
kind: Deployment
metadata: { name: web }
spec:
  replicas: 2
  selector: {}
  template: { spec: { containers: [{ name: web, image: web }] } }
";

// --- explain
// -----------------------------------------------------------------------------------------------------------------------

#[test]
fn explain_tells_what_a_scenario_will_do() {
    let desk = Desk::with("small.toml", SMALL);
    let output = desk.rollsim(&["explain", "small.toml"]);
    exits(&output, 0);
    let told = stdout(&output);
    for what in [
        "by-halves (kubernetes)",
        "2: 50 % of 4, rounded down",
        "completed after 14 s",
        "warning: all 4 instances are down",
    ] {
        assert!(told.contains(what), "{what} is missing:\n{told}");
    }
    let one = stdout(&desk.rollsim(&["explain", "small.toml", "--strategy", "a-walk"]));
    assert!(one.contains("a-walk (octopus)") && !one.contains("by-halves"), "{one}");
    let json = desk.rollsim(&["explain", "small.toml", "--json"]);
    let json: serde_json::Value = serde_json::from_slice(&json.stdout).expect("JSON");
    assert_eq!(json["strategies"][0]["typical_s"], 14.0);
    assert_eq!(json["strategies"][1]["warnings"][0]["kind"], "nobody-ready");
    assert_eq!(desk.names("."), ["small.toml"], "nothing is written");
}

#[test]
fn explain_takes_strategies_alone_and_real_files() {
    let desk = Desk::with("alone.toml", "[strategy.mine.swarm]\nupdate = { order = \"start-first\" }\n");
    let output = desk.rollsim(&["explain", "alone.toml"]);
    exits(&output, 0);
    assert!(stderr(&output).contains("assumed: 10 instances"), "{}", stderr(&output));
    assert!(
        stdout(&output).contains("warning: start-first protects nothing without a health check"),
        "{}",
        stdout(&output)
    );
    let deployment = "apiVersion: apps/v1\nkind: Deployment\nmetadata: { name: web }\nspec:\n  replicas: 3\n  selector: { matchLabels: { a: b } }\n  \
                      template:\n    metadata: { labels: { a: b } }\n    spec: { containers: [{ name: c, image: i }] }\n";
    fs::write(desk.path("web.yaml"), deployment).expect("a file");
    let output = desk.rollsim(&["explain", "web.yaml"]);
    exits(&output, 0);
    assert!(stdout(&output).contains("1: 25 % of 3, rounded up"), "{}", stdout(&output));
}

#[test]
fn explain_prints_settings_to_be_pasted() {
    let desk = Desk::with("small.toml", SMALL);
    let output = desk.rollsim(&["explain", "small.toml", "--as", "kubernetes", "--strategy", "by-halves"]);
    exits(&output, 0);
    assert!(stdout(&output).contains("      maxSurge: 0\n      maxUnavailable: 50%\n"), "{}", stdout(&output));
    let several = desk.rollsim(&["explain", "small.toml", "--as", "kubernetes"]);
    exits(&several, 2);
    assert!(stderr(&several).contains("--strategy must say which one of by-halves, at-once"), "{}", stderr(&several));
    let none = desk.rollsim(&["explain", "small.toml", "--as", "swarm"]);
    exits(&none, 2);
    assert!(stderr(&none).contains("no strategy here is one of swarm"), "{}", stderr(&none));
    exits(&desk.rollsim(&["explain", "small.toml", "--as", "chef"]), 2);
}

#[test]
fn explain_tells_mistakes_with_their_place() {
    let desk = Desk::with("alone.toml", "[strategy.mine.swarm]\nupdate = { oder = 1 }\n");
    let output = desk.rollsim(&["explain", "alone.toml"]);
    exits(&output, 2);
    assert!(stderr(&output).contains("alone.toml:2:"), "{}", stderr(&output));
    fs::write(desk.path("small.toml"), SMALL).expect("a file");
    let output = desk.rollsim(&["explain", "small.toml", "--strategy", "other"]);
    exits(&output, 2);
    assert!(stderr(&output).contains("must be one of by-halves, at-once, a-walk"), "{}", stderr(&output));
    exits(&desk.rollsim(&["explain", "absent.toml"]), 4);
    exits(&desk.rollsim(&["explain", "small.toml", "--name", "web"]), 2);
}

#[test]
fn a_manifest_becomes_a_scenario_that_runs() {
    let desk = Desk::with("web.yaml", DEPLOYMENT);
    let printed = desk.rollsim(&["import", "web.yaml"]);
    exits(&printed, 0);
    let remarks = stderr(&printed);
    assert!(remarks.starts_with("web.yaml: took spec: replicas = 2 (5)\nweb.yaml: assumed "), "{remarks}");
    let written = desk.rollsim(&["import", "web.yaml", "--out", "web.toml", "--quiet"]);
    exits(&written, 0);
    assert_eq!((stdout(&written), stderr(&written)), (String::new(), String::new()));
    assert_eq!(fs::read_to_string(desk.path("web.toml")).expect("it was written"), stdout(&printed));
    let run = desk.rollsim(&["run", "web.toml", "--replications", "2", "--no-plots"]);
    exits(&run, 0);
    assert!(stdout(&run).contains("completed"), "{}", stdout(&run));
}

#[test]
fn import_loses_no_scenario_and_tells_what_it_cannot_use() {
    let desk = Desk::with("web.yaml", DEPLOYMENT);
    let told = |arguments: &[&str], code: i32, then: &str| {
        let output = desk.rollsim(arguments);
        exits(&output, code);
        assert_eq!((stdout(&output).as_str(), stderr(&output).as_str()), ("", then), "{arguments:?}");
    };
    fs::write(desk.path("there.toml"), "mine").expect("a file");
    told(&["import", "web.yaml", "--out", "there.toml"], 2, "--out: there.toml must not exist yet\n");
    assert_eq!(fs::read_to_string(desk.path("there.toml")).expect("a file"), "mine");
    told(&["import", "web.yaml", "--name", "wep"], 2, "web.yaml:1: must hold a workload `wep`, did you mean `web`?\n");
    told(&["import", "no.yaml"], 4, "no.yaml: No such file or directory (os error 2)\n");
    fs::write(desk.path("chart.yaml"), "a: 1\nname: {{ .Values.name }}\nkind: Deployment\napiVersion: v1\n")
        .expect("a file");
    let rendered = "chart.yaml:2: must be rendered first: this is a template\n";
    told(&["import", "chart.yaml"], 2, rendered);
    let literal = desk.rollsim(&["import", "chart.yaml", "--json"]);
    exits(&literal, 2);
    assert_eq!(stderr(&literal), rendered);
    let literal: serde_json::Value = serde_json::from_str(&stdout(&literal)).expect("JSON");
    assert_eq!((&literal["status"], &literal["workloads"][0]["kind"]), (&"template".into(), &"Deployment".into()));
}

#[test]
fn strategies_tell_what_they_take_from_a_manifest() {
    let desk = Desk::with("web.yaml", DEPLOYMENT);
    let by_halves = only_by_halves();
    let keys = "max_surge = 0\nmax_unavailable = \"50%\"";
    assert_eq!(by_halves.matches(keys).count(), 1);
    fs::write(desk.path("fleet.toml"), by_halves.replace(keys, "manifest = \"web.yaml\"")).expect("a file");
    let run = desk.rollsim(&["check", "fleet.toml"]);
    let not_used = "web.yaml:5: spec.replicas = 2 is not used: service.instances is 4\n";
    assert!(stderr(&run).starts_with("web.yaml: assumed ") && stderr(&run).contains(not_used), "{}", stderr(&run));
    let quiet = desk.rollsim(&["run", "fleet.toml", "--quiet", "--no-plots"]);
    exits(&quiet, 0);
    assert_eq!(stderr(&quiet), "");
}

/// A process that may use so much memory and no more ends all the same.
#[cfg(unix)]
#[test]
fn hostile_manifests_need_little_memory() {
    let desk = Desk::with("list.yaml", &format!("[{}", "a, ".repeat(1_300_000)));
    fs::write(desk.path("huge.yaml"), "a: 1\n".repeat(20 << 20)).expect("a file of 100 MB");
    for (file, then) in [
        ("list.yaml", "list.yaml:1: must hold at most 200,000 values\n"),
        ("huge.yaml", "huge.yaml:1: must be a file of at most 4 MiB\n"),
    ] {
        let limited = format!("ulimit -v 262144; exec {} import {file}", env!("CARGO_BIN_EXE_rollsim"));
        let output = Command::new("sh").current_dir(desk.0.path()).args(["-c", &limited]).output().expect("a shell");
        exits(&output, 2);
        assert_eq!(stderr(&output), then);
    }
}

// --- mistakes
// --------------------------------------------------------------------------------------------------------

/// The small scenario with one edit is refused with exactly this message, and nothing is written.
#[track_caller]
fn rejects(from: &str, to: &str, then: &str) {
    assert_eq!(SMALL.matches(from).count(), 1, "`{from}` must stand in the file exactly once");
    let desk = Desk::with("bad.toml", &SMALL.replace(from, to));
    for arguments in [&["run", "bad.toml"][..], &["run", "bad.toml", "--json", "--out", "here"], &["check", "bad.toml"]]
    {
        let output = desk.rollsim(arguments);
        exits(&output, 2);
        assert_eq!(stderr(&output), format!("bad.toml:{then}\n"));
        assert_eq!(stdout(&output), "");
        assert_eq!(desk.names("."), ["bad.toml"], "nothing is written");
    }
}

#[test]
fn every_kind_of_mistake_is_told_with_its_place() {
    rejects(
        "max_surge",
        "max_surg",
        "18: strategy.by-halves.kubernetes.max_surg: unknown key, did you mean `max_surge`?",
    );
    rejects(
        "zones = 2",
        "size = 2",
        "5: service.size: unknown key, expected one of instances, workers, queue, zones, discipline, shed_after, error_rate",
    );
    rejects("queue = 8\n", "", "1: service.queue: must be given");
    rejects("instances = 4", "instances = \"4\"", "2: service.instances: must be a whole number, 0 or more");
    rejects("instances = 4", "instances = 0", "2: service.instances: must be from 1 to 100,000");
    rejects("zones = 2", "zones = 5", "5: service.zones: must be at most the number of instances");
    rejects("rate = 5\n", "", "6: traffic: must hold exactly one of rate, steps, diurnal, trace, users");
    rejects("high = \"90ms\"", "high = \"20ms\"", "9: traffic.work.uniform.high: must exceed low");
    rejects(
        "timeout = \"2s\"",
        "timeout = 2",
        "11: client.timeout: must be a duration such as \"250ms\", \"30s\" or \"5m\"",
    );
    rejects(
        "\"50%\"",
        "0",
        "18: strategy.by-halves.kubernetes.max_surge: must exceed 0 when max_unavailable is 0, or no step is possible",
    );
    rejects(
        "grace = \"10s\"\n",
        "",
        "12: release.grace: must be given, for Octopus, waves and shift have no default of their own",
    );
    rejects(
        "\"Recreate\"",
        "\"Rolling\"",
        "22: strategy.at-once.kubernetes.type: must be \"RollingUpdate\" or \"Recreate\"",
    );
    rejects("replications = 4", "replications = 1", "26: study.replications: must be from 2 to 100,000");
    rejects(
        "interval = \"2s\"",
        "interval = \"2s\"\nagainst = \"at-one\"",
        "31: study.against: must name a strategy, did you mean `at-once`?",
    );
}

#[test]
fn a_file_that_is_no_toml_is_told_with_its_line() {
    let desk = Desk::with("bad.toml", "[service]\ninstances = = 4\n");
    let output = desk.rollsim(&["run", "bad.toml"]);
    exits(&output, 2);
    assert!(stderr(&output).starts_with("bad.toml:2: "), "{}", stderr(&output));
    assert_eq!(stderr(&output).lines().count(), 1, "one mistake, one line: {}", stderr(&output));
}

#[test]
fn wrong_input_leaves_earlier_results_alone() {
    let desk = Desk::with("small.toml", SMALL);
    exits(&desk.rollsim(&["run", "small.toml", "--no-plots", "--out", "here"]), 0);
    let before = fs::read(desk.path("here/summary.json")).expect("it was written");
    fs::write(desk.path("small.toml"), SMALL.replace("rate", "rat")).expect("a file");
    exits(&desk.rollsim(&["run", "small.toml", "--no-plots", "--out", "here"]), 2);
    assert_eq!(fs::read(desk.path("here/summary.json")).expect("it is still there"), before);
    assert_eq!(desk.names("here"), DATA);
}

#[test]
fn what_the_world_refuses_is_no_mistake_of_the_input() {
    let desk = Desk::with("small.toml", SMALL);
    let missing = desk.rollsim(&["run", "none.toml"]);
    exits(&missing, 4);
    assert!(stderr(&missing).starts_with("none.toml: "), "{}", stderr(&missing));
    // A folder below a file cannot be made.
    let unwritable = desk.rollsim(&["run", "small.toml", "--no-plots", "--out", "small.toml/below"]);
    exits(&unwritable, 4);
    assert!(stderr(&unwritable).starts_with("small.toml/below"), "{}", stderr(&unwritable));
    assert_eq!(desk.names("."), ["small.toml"]);
}

#[test]
fn a_run_that_is_interrupted_leaves_nothing() {
    let desk = Desk::with("small.toml", SMALL);
    let arguments = ["run", "small.toml", "--quiet", "--replications", "100000", "--out", "far/below"];
    let mut child = desk.command(&arguments).spawn().expect("the program starts");
    std::thread::sleep(Duration::from_millis(500)); // Long enough for whatever comes before a study.
    assert_eq!(child.try_wait().expect("it can be asked"), None, "it is at work");
    child.kill().expect("it goes");
    child.wait().expect("it is gone");
    assert_eq!(desk.names("."), ["small.toml"]);
}

#[test]
fn a_reader_who_leaves_causes_no_panic() {
    let desk = Desk::with("small.toml", &format!("{SMALL}[budget]\nduration = \"20s\"\n"));
    for arguments in
        [&["run", "small.toml", "--no-plots", "--json"][..], &["check", "small.toml"], &["schema"], &["--help"]]
    {
        let mut child =
            desk.command(arguments).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("the program starts");
        drop(child.stdout.take());
        let output = child.wait_with_output().expect("it ends");
        assert!(!stderr(&output).contains("panicked"), "{arguments:?}: {}", stderr(&output));
        assert!(matches!(output.status.code(), Some(0 | 4)), "{arguments:?}: {:?}", output.status);
    }
}
