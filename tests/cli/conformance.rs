//! Recordings: what agrees, what differs, and what mistakes in them are told as.

use super::desk::{Desk, exits, stderr, stdout};
use std::fs;

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
