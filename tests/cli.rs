//! Does the program do what its help says? The built binary is run as a user would run it: what it prints, what it
//! writes, and how it exits.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use tempfile::TempDir;

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

/// A folder with a scenario in it, in which the program is run.
struct Desk(TempDir);

impl Desk {
    fn with(name: &str, scenario: &str) -> Self {
        let desk = Desk(tempfile::tempdir().expect("a folder"));
        fs::write(desk.path(name), scenario).expect("a file");
        desk
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_rollsim"));
        command.current_dir(self.0.path()).args(arguments);
        command
    }

    fn rollsim(&self, arguments: &[&str]) -> Output {
        self.command(arguments).output().expect("the program starts")
    }

    /// The names in a folder, in order.
    fn names(&self, folder: &str) -> Vec<String> {
        let Ok(entries) = fs::read_dir(self.path(folder)) else { return Vec::new() };
        let name = |entry: fs::DirEntry| entry.file_name().to_string_lossy().into_owned();
        let mut names: Vec<String> = entries.map(|entry| name(entry.expect("an entry"))).collect();
        names.sort();
        names
    }
}

fn stdout(output: &Output) -> String {
    String::from_utf8(output.stdout.clone()).expect("text")
}

fn stderr(output: &Output) -> String {
    String::from_utf8(output.stderr.clone()).expect("text")
}

#[track_caller]
fn exits(output: &Output, code: i32) {
    assert_eq!(output.status.code(), Some(code), "{}{}", stdout(output), stderr(output));
}

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

// --- conformance
// ------------------------------------------------------------------------------------------------------------------

/// A case of one instance that is replaced in two seconds, in one repetition.
const META: &str = r#"{
 "orchestrator": "kubernetes",
 "results": [
  {
   "rep": 1,
   "end_ms": 4000,
   "start_offset_in_second_ms": 50,
   "rollout_complete_ms": 2010
  }
 ],
 "scenario": {
  "replicas": 1,
  "strategy": "RollingUpdate",
  "max_surge": "1",
  "max_unavailable": 0,
  "min_ready_seconds": 0,
  "progress_deadline_seconds": 600,
  "versions": {
   "v1": { "ready_ms": 2000, "term_ms": 1000 },
   "v2": { "ready_ms": 2000, "term_ms": 1000 }
  },
  "actions": []
 }
}
"#;
const PODS: &str = "version,ordinal,ready_delay_ms,created_ms,ready_ms,delete_ms,gone_ms
v1,-1,200,,0.0,2020.0,3020.0
v2,0,2000,10.0,2010.0,,
";
const TRACE: &str = "t_ms,old_replicas_spec,new_replicas_spec,old_ready,new_ready,old_total,new_total,terminating,condition_progressing_reason
0.0,1,0,1,0,1,0,0,NewReplicaSetAvailable
10.0,1,1,1,0,1,1,0,ReplicaSetUpdated
2010.0,1,1,1,1,1,1,0,ReplicaSetUpdated
2020.0,0,1,0,1,0,1,1,NewReplicaSetAvailable
3020.0,0,1,0,1,0,1,0,NewReplicaSetAvailable
";

/// A desk with one case at `set/one`.
fn recorded() -> Desk {
    let desk = Desk(tempfile::tempdir().expect("a folder"));
    fs::create_dir_all(desk.path("set/one")).expect("a folder");
    for (name, text) in [("meta.json", META), ("pods.r1.csv", PODS), ("trace.r1.csv", TRACE)] {
        fs::write(desk.path("set/one").join(name), text).expect("a file");
    }
    desk
}

/// The case with one edit of one of its files.
fn edited(file: &str, from: &str, to: &str) -> Desk {
    let desk = recorded();
    let path = desk.path("set/one").join(file);
    let text = fs::read_to_string(&path).expect("the file");
    assert!(text.contains(from), "{from} is not in {file}");
    fs::write(path, text.replacen(from, to, 1)).expect("a file");
    desk
}

#[test]
fn a_recording_that_is_reproduced_exits_0_and_one_that_is_not_1() {
    let desk = recorded();
    let agrees = desk.rollsim(&["conformance", "set"]);
    exits(&agrees, 0);
    assert!(stdout(&agrees).ends_with("\n1 of 1 cases agree\n"), "{}", stdout(&agrees));
    exits(&desk.rollsim(&["conformance", "set/one", "."]), 0);
    let shown = desk.rollsim(&["conformance", "--verbose", "set"]);
    assert!(stdout(&shown).contains("(1 1 1 0 1 1)"), "{}", stdout(&shown));
    let threads = |count| stdout(&desk.rollsim(&["conformance", "set", "--threads", count]));
    assert_eq!(threads("1"), threads("3"));
    let fitted = desk.rollsim(&["conformance", "--fit", "set"]);
    exits(&fitted, 0);
    assert!(stdout(&fitted).contains("const KUBERNETES: Constants = Constants::Kubernetes {"), "{}", stdout(&fitted));

    let slower = edited("meta.json", "\"rollout_complete_ms\": 2010", "\"rollout_complete_ms\": 3900");
    let differs = slower.rollsim(&["conformance", "set"]);
    exits(&differs, 1);
    assert!(stdout(&differs).contains("instead of 3.90 s to 3.90 s (-4"), "{}", stdout(&differs));
    assert!(stdout(&differs).ends_with("\n0 of 1 cases agree\n"), "{}", stdout(&differs));
}

/// A recorded load balancer: nobody restarts anything, and everything is answered in about 11 ms.
const BALANCER: &str = r#"{
 "client": "keep-alive, 8 s timeout",
 "lb_config": "backend b\n balance roundrobin\n server s0 127.0.0.1:1\n server s1 127.0.0.1:2\n",
 "results": [
  {
   "rep": 1,
   "ok_per_backend": [400, 400],
   "phases": {
    "before": { "ok": 200, "errors": 0, "e502": 0, "e503": 0, "e504": 0, "client_timeouts": 0, "mean_ms": 11, "p50_ms": 11, "p95_ms": 12, "p99_ms": 12 },
    "during": { "ok": 0, "errors": 0, "e502": 0, "e503": 0, "e504": 0, "client_timeouts": 0, "mean_ms": 0, "p50_ms": 0, "p95_ms": 0, "p99_ms": 0 },
    "after": { "ok": 0, "errors": 0, "e502": 0, "e503": 0, "e504": 0, "client_timeouts": 0, "mean_ms": 0, "p50_ms": 0, "p95_ms": 0, "p99_ms": 0 }
   }
  }
 ],
 "scenario": {
  "lb": "haproxy",
  "backends": 2,
  "concurrency_per_backend": 4,
  "service_mean_ms": 10,
  "service_dist": "det",
  "rate_rps": 50,
  "window": 0,
  "mode": "none",
  "drain_timeout_s": 0,
  "gap_before_start_s": 0,
  "startup_delay_s": 1,
  "settle_after_ready_s": 0,
  "pre_s": 5,
  "post_s": 0
 }
}
"#;

/// A desk with this case at `set/two`, with one edit.
fn balancer(from: &str, to: &str) -> Desk {
    let desk = Desk(tempfile::tempdir().expect("a folder"));
    fs::create_dir_all(desk.path("set/two")).expect("a folder");
    assert!(BALANCER.contains(from), "{from} is not in the file");
    fs::write(desk.path("set/two/meta.json"), BALANCER.replacen(from, to, 1)).expect("a file");
    desk
}

#[test]
fn a_recorded_balancer_agrees_or_differs_like_a_rollout() {
    let agrees = balancer("", "").rollsim(&["conformance", "set"]);
    exits(&agrees, 0);
    assert!(stdout(&agrees).ends_with("\n1 of 1 cases agree\n"), "{}", stdout(&agrees));
    let slower = balancer("\"p95_ms\": 12", "\"p95_ms\": 30");
    let differs = slower.rollsim(&["conformance", "set"]);
    exits(&differs, 1);
    assert!(stdout(&differs).contains("before: p95: r1 has 30.0 ms, simulated is 11.6 ms to"), "{}", stdout(&differs));
    let shown = slower.rollsim(&["conformance", "--verbose", "set"]);
    assert!(stdout(&shown).contains("simulated 1 %"), "{}", stdout(&shown));
    let both = recorded();
    fs::create_dir(both.path("set/two")).expect("a folder");
    fs::write(both.path("set/two/meta.json"), BALANCER).expect("a file");
    let said = both.rollsim(&["conformance", "set"]);
    let summed_up = "\n2 of 2 cases agree (kubernetes 1 of 1, balancers 1 of 1)\n";
    assert!(stdout(&said).ends_with(summed_up), "{}", stdout(&said));
}

#[test]
fn mistakes_in_recorded_balancers_are_told_with_their_line() {
    #[track_caller]
    fn rejects(from: &str, to: &str, told: &str) {
        let rejected = balancer(from, to).rollsim(&["conformance", "set"]);
        exits(&rejected, 2);
        assert_eq!(stderr(&rejected).trim_end(), format!("set/two/meta.json:{told}"));
    }
    rejects("\"haproxy\"", "\"envoy\"", "16: scenario.lb: must be haproxy or nginx");
    rejects("roundrobin", "uri", "3: lb_config: must balance by roundrobin, static-rr, leastconn or random, not `uri`");
    rejects(
        "\"mode\": \"none\"",
        "\"mode\": \"term\"",
        "22: scenario.window: must be at least 1 unless mode is \"none\"",
    );
    rejects("[400, 400]", "[400]", "7: results.ok_per_backend: must hold a count for each backend");
    rejects(
        "\"pre_s\": 5",
        "\"pre_s\": 1",
        "28: scenario.pre_s: must be more than the first second, which is not looked at",
    );
    let too_many = "21: scenario.rate_rps: must be above 0, and come to at most a million requests";
    rejects("\"rate_rps\": 50", "\"rate_rps\": 0", too_many);
    rejects("\"rate_rps\": 50", "\"rate_rps\": 1e9", too_many);
    rejects("\"backends\": 2", "\"backends\": 0", "17: scenario.backends: must be a whole number from 1 to 1000");
    rejects(
        "\"service_mean_ms\": 10",
        "\"service_mean_ms\": -1",
        "19: scenario.service_mean_ms: must be milliseconds from 0 to 3,600,000",
    );
}

#[test]
fn mistakes_in_recordings_are_told_with_their_line() {
    #[track_caller]
    fn rejects(file: &str, from: &str, to: &str, told: &str) {
        let rejected = edited(file, from, to).rollsim(&["conformance", "set"]);
        exits(&rejected, 2);
        assert_eq!(stderr(&rejected).trim_end(), format!("set/one/{told}"));
        assert_eq!(stdout(&rejected), "");
    }
    let meta = |from, to, told: &str| rejects("meta.json", from, to, told);
    meta("\"kubernetes\"", "\"nomad\"", "meta.json:2: orchestrator: must name kubernetes or swarm");
    meta(
        "\"replicas\": 1",
        "\"replicas\": 0",
        "meta.json:12: scenario.replicas: must be a whole number from 1 to 1000",
    );
    meta(
        "\"replicas\": 1",
        "\"replicas\": \"many\"",
        "meta.json:12: scenario.replicas: must be a number, not string \"many\"",
    );
    meta(
        "\"end_ms\": 4000",
        "\"end_ms\": 1e300",
        "meta.json:6: results[0].end_ms: must be milliseconds from 0 to 3,600,000",
    );
    meta("\"end_ms\": 4000,", "", "meta.json:9: results[0]: `end_ms` must be given");
    meta("\"v2\"", "\"v9\"", "meta.json:20: scenario.versions.v9: must be a version from v1 to v8");
    meta(
        "\"actions\": []",
        "\"actions\": [{ \"do\": \"pause\" }]",
        "meta.json:22: scenario.actions[0]: must hold one of at_ms, when_new_ready_ge and when_reason: \"ProgressDeadlineExceeded\"",
    );
    meta("\n}\n", "\n", "meta.json:24: must be JSON: EOF while parsing an object");
    let pods = |from, to, told: &str| rejects("pods.r1.csv", from, to, told);
    pods("10.0,2010.0", "10.0,soon", "pods.r1.csv:3: ready_ms: must be milliseconds within an hour");
    pods("10.0,2010.0", "nan,2010.0", "pods.r1.csv:3: created_ms: must be milliseconds within an hour");
    pods("v2,0", "v2,-2", "pods.r1.csv:3: ordinal: must be a whole number from 0 to 1000000");
    pods("v2,0", "v3,0", "pods.r1.csv:3: version: must be one of scenario.versions in meta.json");
    pods("v2,0", "v1,-1", "pods.r1.csv:3: ordinal: must be -1 for as many pods as there are replicas");
    pods(",ordinal", ",order", "pods.r1.csv:1: ordinal: must be a column");
    pods("v2,0,", "v2,", "pods.r1.csv:3: must have as many fields as the header");
    let trace = |from, to, told: &str| rejects("trace.r1.csv", from, to, told);
    trace("10.0,1,1", "10.0,1,x", "trace.r1.csv:3: new_replicas_spec: must be a whole number from 0 to 1000000");
    trace("2020.0", "20.0", "trace.r1.csv:5: t_ms: must not be earlier than in the row before");
    trace("0.0,1,0", "-1,1,0", "trace.r1.csv:2: t_ms: must be milliseconds from 0 to 3,600,000");
}

#[test]
fn folders_without_cases_exit_2_and_folders_that_cannot_be_read_4() {
    let desk = recorded();
    fs::create_dir(desk.path("empty")).expect("a folder");
    let empty = desk.rollsim(&["conformance", "empty"]);
    exits(&empty, 2);
    assert_eq!(stderr(&empty), "empty: must hold a meta.json, or folders that do\n");
    let absent = desk.rollsim(&["conformance", "absent"]);
    exits(&absent, 4);
    assert!(stderr(&absent).starts_with("absent: "), "{}", stderr(&absent));
    fs::remove_file(desk.path("set/one/pods.r1.csv")).expect("it was there");
    let torn = desk.rollsim(&["conformance", "set"]);
    exits(&torn, 4);
    assert!(stderr(&torn).starts_with("set/one/pods.r1.csv: "), "{}", stderr(&torn));
    fs::create_dir(desk.path("set/one/pods.r1.csv")).expect("a folder in the place of a file");
    let folder = desk.rollsim(&["conformance", "set"]);
    exits(&folder, 2);
    assert_eq!(stderr(&folder), "set/one/pods.r1.csv:1: must be a file\n");
}

// --- validate
// ------------------------------------------------------------------------------------------------------------------

/// A queue, a formula, and something that no model understands.
const POINTS: &str = r#"[
 { "id": "queue", "source": "M/M/1", "quantity": "mean response time", "params": { "lambda_": 0.5, "mu": 1 },
   "value": 2.0, "kind": "scenario", "tol_rel": 0.05 },
 { "id": "copies", "source": "independent copies", "quantity": "P(both copies slow)",
   "params": { "p_slow": 0.01, "copies": 2 }, "value": 0.0001, "kind": "formula", "z_only": true }
]
"#;

#[test]
fn points_that_hold_exit_0_and_others_1() {
    let desk = Desk::with("points.json", POINTS);
    let holds = desk.rollsim(&["validate", "--quick", "points.json"]);
    exits(&holds, 0);
    assert!(stdout(&holds).ends_with("\n2 of 2 points hold\n"), "{}", stdout(&holds));
    assert_eq!(stderr(&holds), "");
    let shown = desk.rollsim(&["validate", "--quick", "--verbose", "points.json"]);
    assert!(stdout(&shown).starts_with("queue, seed 1, "), "{}", stdout(&shown));
    let threads = |count| stdout(&desk.rollsim(&["validate", "--quick", "--json", "points.json", "--threads", count]));
    assert_eq!(threads("1"), threads("3"));
    assert!(threads("1").contains("\"verdict\": \"holds\""), "{}", threads("1"));

    let differs = Desk::with("points.json", &POINTS.replace("2.0", "3.0"));
    let differs = differs.rollsim(&["validate", "--quick", "points.json"]);
    exits(&differs, 1);
    assert!(stdout(&differs).ends_with("\n1 of 2 points hold\ndiffers: 1 (queue)\n"), "{}", stdout(&differs));
    let unknown =
        Desk::with("points.json", &POINTS.replace("P(both copies slow)", "P(both)").replace("copies\": 2", "c\": 2"));
    let unknown = unknown.rollsim(&["validate", "--quick", "points.json"]);
    exits(&unknown, 1);
    assert!(stdout(&unknown).ends_with("\nnot understood: 1 (copies)\n"), "{}", stdout(&unknown));
}

#[test]
fn a_point_can_be_had_as_a_scenario_file() {
    let desk = Desk::with("points.json", POINTS);
    let scenario = desk.rollsim(&["validate", "points.json", "--scenario", "queue"]);
    exits(&scenario, 0);
    fs::write(desk.path("queue.toml"), stdout(&scenario)).expect("a file");
    exits(&desk.rollsim(&["run", "queue.toml", "--replications", "2", "--no-plots"]), 0);
    let computed = desk.rollsim(&["validate", "points.json", "--scenario", "copies"]);
    exits(&computed, 2);
    assert_eq!(stderr(&computed), "--scenario: copies is not run as a scenario\n");
    let absent = desk.rollsim(&["validate", "points.json", "--scenario", "absent"]);
    exits(&absent, 2);
    assert_eq!(stderr(&absent), "--scenario: no point is called \"absent\"\n");
}

#[test]
fn mistakes_in_points_exit_2_and_files_that_cannot_be_read_4() {
    let desk = Desk::with("points.json", &POINTS.replace("0.5", "\"half\""));
    let mistake = desk.rollsim(&["validate", "points.json"]);
    exits(&mistake, 2);
    assert_eq!(stderr(&mistake), "points.json:2: queue.params.lambda_: must be a number\n");
    let absent = desk.rollsim(&["validate", "absent.json"]);
    exits(&absent, 4);
    assert!(stderr(&absent).starts_with("absent.json: "), "{}", stderr(&absent));
}
