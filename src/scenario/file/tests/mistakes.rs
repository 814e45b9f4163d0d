//! Edits of a good file, each breaking one rule, and what is no scenario at all. Messages are compared whole.

use super::{FULL, SMALL, octopus_with, problem, read, seconds};
use crate::rollback::Policy;
use crate::rollout::Strategy;
use crate::rollout::kubernetes::{Bound, Kind};
use crate::scenario::{Load, Piece};

/// The full file with one edit is refused with exactly this message.
#[track_caller]
fn rejects(from: &str, to: &str, then: &str) {
    assert_eq!(FULL.matches(from).count(), 1, "`{from}` must stand in the file exactly once");
    assert_eq!(problem(&FULL.replace(from, to)), format!("fleet.toml:{then}"));
}

#[test]
fn unknown_keys_are_mistakes() {
    rejects("workers =", "worker =", "3: service.worker: unknown key, did you mean `workers`?");
    rejects(
        "max_surge = \"25%\"",
        "maxSurge = 1",
        "35: strategy.zebra.kubernetes.maxSurge: unknown key, did you mean `max_surge`?",
    );
    rejects(
        "zones = 3",
        "size = 3",
        "5: service.size: unknown key, expected one of instances, workers, queue, zones, discipline, shed_after, error_rate",
    );
    rejects("[budget]", "[budgets]", "72: budgets: unknown key, did you mean `budget`?");
    rejects("{ lognormal", "{ lognorml", "10: traffic.work.lognorml: unknown key, did you mean `lognormal`?");
    rejects("finds =", "find =", "60: strategy.\"octo.1\".octopus.test.find: unknown key, did you mean `finds`?");
    rejects("[expect.anew]", "[expect.anw]", "89: expect.anw: must name a strategy, did you mean `anew`?");
    rejects(
        ".swarm.swarm]",
        ".swarm.mesos]",
        "46: strategy.swarm.mesos: unknown key, expected one of kubernetes, swarm, octopus, waves, shift, nomad, argo, ecs",
    );
    rejects(
        "zones = 3",
        "zones = 3\n\"\\u001b[2J\" = 1",
        "6: service.\"\\u{1b}[2J\": unknown key, expected one of instances, workers, queue, zones, discipline, shed_after, error_rate",
    );
}

#[test]
fn manifests_are_files_that_can_be_read() {
    rejects(
        "restart_delay = \"6s\"",
        "name = \"web\"",
        "49: strategy.swarm.swarm.name: must be absent without manifest",
    );
    rejects(
        "type = \"RollingUpdate\"",
        "name = \"web\"",
        "37: strategy.zebra.kubernetes.name: must be absent without manifest",
    );
    rejects(
        "type = \"RollingUpdate\"",
        "manifest = \"\"",
        "37: strategy.zebra.kubernetes.manifest: must be the path of a file",
    );
    rejects("type = \"RollingUpdate\"", "manifest = 1", "37: strategy.zebra.kubernetes.manifest: must be a string");
    rejects(
        "type = \"RollingUpdate\"",
        "manifest = \"nowhere.yaml\"",
        "37: strategy.zebra.kubernetes.manifest: must name a file that can be read: nowhere.yaml: No such file or directory (os error 2)",
    );
}

#[test]
fn what_must_be_there_is_missed() {
    rejects("queue = 64\n", "", "1: service.queue: must be given");
    rejects("period = \"5s\", ", "", "24: release.ready_probe.period: must be given");
    rejects(", p95 = \"90ms\"", "", "10: traffic.work.lognormal.p95: must be given");
    rejects("[study]\n", "[study2]\n", "79: study2: unknown key, did you mean `study`?");
    rejects(
        "grace = \"20s\"\n",
        "",
        "21: release.grace: must be given, for Octopus, waves and shift have no default of their own",
    );
    assert_eq!(problem(""), "fleet.toml:1: service: must be given");
    let idle = SMALL.replace("[strategy.default.kubernetes]\n", "");
    assert_eq!(problem(&idle), "fleet.toml:1: strategy: at least one strategy must be given");
}

#[test]
fn values_have_their_kinds() {
    rejects("instances = 12", "instances = \"12\"", "2: service.instances: must be a whole number, 0 or more");
    rejects("instances = 12", "instances = -12", "2: service.instances: must be a whole number, 0 or more");
    rejects("instances = 12", "instances = 1e2", "2: service.instances: must be a whole number, 0 or more");
    rejects("instances = 12", "instances = 0", "2: service.instances: must be from 1 to 100,000");
    rejects("seed = 7", "seed = 99999999999999999999999999999999999999999", "81: study.seed: must fit in 64 bits");
    rejects("rate = 900", "rate = \"900\"", "8: traffic.rate: must be a number");
    rejects("rate = 900", "rate = nan", "8: traffic.rate: must be finite");
    rejects("\"deterministic\"", "\"bursty\"", "9: traffic.arrivals: must be \"poisson\" or \"deterministic\"");
    rejects(
        "\"deterministic\"",
        "{ poisson = {} }",
        "9: traffic.arrivals.poisson: unknown key, expected one of bursty",
    );
    rejects("\"exponential\" }", "1 }", "25: release.warm_up.shape: must be \"linear\" or \"exponential\"");
    rejects(
        "\"power-of-two\"",
        "\"ewma\"",
        "17: balancer.policy: must be one of \"round-robin\", \"random\", \"least-connections\", \"power-of-two\", \"join-idle-queue\", \"peak-ewma\"",
    );
    rejects("draining = false", "draining = 0", "19: balancer.draining: must be true or false");
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
    rejects("mtbf = \"30d\"", "mtbf = \"367d\"", "69: faults.crash.mtbf: must be at most 366 days");
    rejects("jitter = \"50%\"", "jitter = 0.5", "14: client.retries.jitter: must be a share such as \"25%\"");
    rejects("jitter = \"50%\"", "jitter = \"150%\"", "14: client.retries.jitter: must be at most 100%");
    rejects("retries = {", "retries = 3 # {", "14: client.retries: must be a table");
    rejects("timeout = \"2s\"", "timeout = \"2s\"\n[release2]", "14: release2: unknown key, did you mean `release`?");
    rejects("duration = [\"30s\", \"40s\"]", "duration = \"30s\"", "91: expect.anew.duration: must be a list");
    let listed = SMALL.replace("[service]\ninstances = 4\nworkers = 1\nqueue = 0\n", "service = [4, 1, 0, 1]\n");
    assert_eq!(problem(&listed), "fleet.toml:1: service: must be a table");
    let worded = SMALL.replace("[strategy.default.kubernetes]\n", "[strategy]\ndefault = 1\n");
    assert_eq!(problem(&worded), "fleet.toml:11: strategy.default: must be a table");
}

#[test]
fn the_fleet_and_its_traffic_hold_together() {
    rejects(
        "instances = 12\nworkers = 8\nqueue = 64",
        "instances = 100000\nworkers = 8\nqueue = 500",
        "4: service.queue: instances × (workers + queue) must be at most 20,000,000, or open requests could exhaust the memory",
    );
    rejects("zones = 3", "zones = 13", "5: service.zones: must be at most the number of instances");
    let exactly_one = "7: traffic: must hold exactly one of rate, steps, diurnal, trace, users";
    rejects("rate = 900\n", "", exactly_one);
    rejects("rate = 900\n", "rate = 900\nsteps = []\n", exactly_one);
    rejects("rate = 900", "rate = 0", "8: traffic.rate: must be above 0 and at most 10,000,000 requests per second");
    rejects("rate = 900", "rate = 1e8", "8: traffic.rate: must be above 0 and at most 10,000,000 requests per second");
    rejects("rate = 900", "steps = []", "8: traffic.steps: must hold at least one rate above 0");
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
    let written = FULL.replace("rate = 900", &steps("{ from = \"0s\", rate = 5 }, { from = \"5m\", rate = 9.5 }"));
    let pieces = [(0, 5.0), (300, 9.5)].map(|(starts, rate)| Piece { starts: seconds(starts), rate });
    let Load::Open { profile, .. } = read(&written).traffic.load else { panic!("steps were written") };
    assert_eq!(profile.pieces(), pieces);
}

#[test]
fn distributions_hold_together() {
    rejects("p95 = \"90ms\"", "p95 = \"20ms\"", "10: traffic.work.lognormal.p95: must exceed the median");
    rejects("{ lognormal = { median = \"20ms\", p95 = \"90ms\" } }", "\"0s\"", "10: traffic.work: must take time");
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
    rejects("propagation = \"300ms\"", "propagation = 2014-04-10", "18: balancer.propagation: must not be a date");
    rejects(
        "low = \"1s\", high = \"3s\"",
        "low = \"3s\", high = \"3s\"",
        "22: release.pull.uniform.high: must exceed low",
    );
    rejects("shape = 2, mean", "shape = 0, mean", "23: release.start.gamma.shape: must be from 0.01 to 1,000,000");
    rejects("mean = \"8s\"", "mean = \"0s\"", "23: release.start.gamma.mean: must exceed 0");
    rejects(
        "exponential = { mean = \"1s\" }",
        "exponential = { mean = \"0s\" }",
        "29: release.stop.exponential.mean: must exceed 0",
    );
    let refused = "29: release.stop.hyperexponential";
    for (settings, then) in [
        (r#"mean = "0s", scv = 4"#, ".mean: must exceed 0"),
        (r#"mean = "1s", scv = 1"#, ".scv: must be from 1.001 to 1,000,000"),
        (r#"mean = "1s", scv = nan"#, ".scv: must be finite"),
        (r#"mean = "1s""#, ".scv: must be given"),
        ("scv = 4", ".mean: must be given"),
    ] {
        let written = format!("hyperexponential = {{ {settings} }}");
        rejects(r#"exponential = { mean = "1s" }"#, &written, &format!("{refused}{then}"));
    }
    rejects("shape = 1.5,", "shape = inf,", "66: rollback.policy.operator.notices_after.weibull.shape: must be finite");
    rejects("minimum = \"1m\"", "minimum = \"0s\"", "69: faults.crash.repair.pareto.minimum: must exceed 0");
    rejects(
        "{ exponential = { mean = \"1s\" } }",
        "{ empirical = \"\" }",
        "29: release.stop.empirical: must be the path of a CSV file",
    );
}

#[test]
fn the_release_holds_together() {
    rejects("period = \"5s\"", "period = \"0s\"", "24: release.ready_probe.period: must exceed 0");
    rejects(
        "success_threshold = 1",
        "success_threshold = 0",
        "24: release.ready_probe.success_threshold: must be from 1 to 1,000,000",
    );
    rejects("factor = 3.0", "factor = 0.5", "25: release.warm_up.factor: must be at least 1");
    rejects("over = \"60s\"", "over = \"0s\"", "25: release.warm_up.over: must exceed 0");
    rejects("over = \"60s\", ", "", "25: release.warm_up: must hold exactly one of over, over_requests");
    rejects("longest = \"5m\"", "longest = \"5s\"", "30: release.restart.longest: must be at least the initial delay");
    rejects("slowdown = 1.25", "slowdown = 0", "31: release.slowdown: must be above 0 and at most 1,000,000");
    rejects(
        ", error_rate = \"20%\", slowdown = 1.5, failed_start = \"30%\", never_ready = true, crash_after = \"20s\"",
        "",
        "32: release.defect: must hold at least one of error_rate, slowdown, failed_start, never_ready, crash_after, unready",
    );
    rejects("attempts = 3", "attempts = 101", "14: client.retries.attempts: must be from 1 to 100");
    rejects(
        "backoff_limit = \"10s\"",
        "backoff_limit = \"10ms\"",
        "14: client.retries.backoff_limit: must be at least the backoff",
    );
    rejects("timeout = \"2s\"", "timeout = \"0s\"", "13: client.timeout: must exceed 0");
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
        "max_unavailable = 0",
        "max_unavailable = \"101%\"",
        &format!("36: {zebra}.max_unavailable: must be at most 100%"),
    );
    rejects(
        "type = \"Recreate\"",
        "type = \"Recreate\"\nmax_surge = 1",
        "45: strategy.anew.kubernetes.max_surge: must be absent when type is \"Recreate\"",
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
        "48: strategy.swarm.swarm.rollback.failure_action: must be \"pause\" or \"continue\"",
    );
    rejects(
        "max_failure_ratio = 0.1",
        "max_failure_ratio = 1.1",
        "47: strategy.swarm.swarm.update.max_failure_ratio: must be from 0 to 1",
    );
    rejects(
        "window_size = 1",
        "window_size = 0",
        "58: strategy.\"octo.1\".octopus.window_size: must be from 1 to 100,000",
    );
    rejects("take_out = \"2s\"\n", "", "60: strategy.\"octo.1\".octopus.put_back: must be absent without take_out");
    rejects(
        "[strategy.anew.kubernetes]\ntype = \"Recreate\"",
        "[strategy.zebra.octopus]",
        "34: strategy.zebra: must hold exactly one of kubernetes, swarm, octopus, waves, shift, nomad, argo, ecs",
    );
    rejects(
        "[strategy.\"octo.1\".octopus]",
        "[strategy.\"octo 1\".octopus]",
        "57: strategy.\"octo 1\": must have a name of 1 to 60 letters, digits, `-`, `_` and `.`",
    );
    let crowd = FULL.replace("instances = 12", "instances = 100000").replace("\"25%\"", "\"2147483647%\"");
    let too_many = "must come to at most 2,147,483,647 instances";
    assert_eq!(problem(&crowd), format!("fleet.toml:35: {zebra}.max_surge: {too_many}"));
    let rounded_to_nothing =
        FULL.replace("max_surge = \"25%\"\nmax_unavailable = 0", "max_surge = 0\nmax_unavailable = \"1%\"");
    let Strategy::Kubernetes(settings) = read(&rounded_to_nothing).strategies[0].strategy.clone() else {
        panic!("a Deployment")
    };
    let (max_surge, max_unavailable) = (Bound::Count(0), Bound::Percent(1));
    assert_eq!(settings.kind, Kind::RollingUpdate { max_surge, max_unavailable });
}

#[test]
fn faults_and_judges_hold_together() {
    let exactly_one = "70: faults.outage: must hold exactly one of share, instances, zone";
    rejects("zone = 2, ", "", exactly_one);
    rejects("zone = 2, ", "zone = 2, instances = 1, ", exactly_one);
    rejects("zone = 2, ", "zone = 3, ", "70: faults.outage.zone: must be from 0 to 2");
    rejects("zone = 2, ", "instances = 13, ", "70: faults.outage.instances: must be from 1 to 12");
    rejects("mtbf = \"30d\"", "mtbf = \"0s\"", "69: faults.crash.mtbf: must exceed 0");
    let policy = "policy = { operator = { notices_after = { weibull = { shape = 1.5, scale = \"2m\" } }, then = \"pause\", alarm = \"1%\" } }";
    rejects(policy, "policy = \"nobody\"", "66: rollback.policy: must be one of \"orchestrator\", \"none\", \"pause\"");
    rejects(policy, "policy = { judge = {} }", "66: rollback.policy.judge: unknown key, expected one of operator");
    rejects(
        policy,
        "policy = 1",
        "66: rollback.policy: must be \"orchestrator\", \"none\", \"pause\", or a table { operator = { ... } }",
    );
    for (written, then) in [("none", Policy::None), ("pause", Policy::Pause), ("orchestrator", Policy::Orchestrator)] {
        assert_eq!(read(&FULL.replace(policy, &format!("policy = {written:?}"))).rollback, then);
    }
}

#[test]
fn the_study_holds_together() {
    rejects("replications = 200", "replications = 1", "80: study.replications: must be from 2 to 100,000");
    rejects("baseline = \"40s\"", "baseline = \"0s\"", "83: study.baseline: must exceed 0");
    rejects("window = \"10m\"", "window = \"0s\"", "84: study.window: must exceed 0");
    rejects(
        "window = \"10m\"",
        "window = \"366d\"",
        "84: study.window: must come to at most 366 days together with warm_up and baseline",
    );
    rejects("interval = \"2s\"", "interval = \"0s\"", "85: study.interval: must exceed 0");
    rejects("interval = \"2s\"", "interval = \"11m\"", "85: study.interval: must be at most the window");
    rejects(
        "interval = \"2s\"",
        "interval = \"1ms\"",
        "85: study.interval: must be long enough for at most 100,000 in baseline and window",
    );
    rejects(
        "replications = 200",
        "replications = 100000",
        "85: study.interval: must come to at most 50,000,000 intervals over all runs: choose a longer interval or fewer replications",
    );
    rejects("confidence = \"99%\"", "confidence = \"49%\"", "86: study.confidence: must be from 50% to 99.99%");
    rejects(
        "against = \"anew\"",
        "against = \"zebr\"",
        "87: study.against: must name a strategy, did you mean `zebra`?",
    );
    rejects("against = \"anew\"", "against = \"blue\"", "87: study.against: must name a strategy");
    rejects("lost = [0, 10.5]", "lost = [0]", "92: expect.anew.lost: must be two values, from and to");
    rejects(
        "lost = [0, 10.5]",
        "lost = [5, 1]",
        "92: expect.anew.lost: must be [from, to] with from at most to, and not negative",
    );
    rejects(
        "main_cause = \"stale_endpoint\"",
        "main_cause = 1",
        "95: expect.anew.main_cause: must be one of \"no_endpoint\", \"stale_endpoint\", \"cut_off\", \"queue_full\", \"timed_out_waiting\", \"timed_out_in_service\", \"abandoned\", \"shed\", \"error\", \"defect\", \"crash\", \"wrong_schema\", \"wrong_version\"",
    );
}

#[test]
fn what_is_no_toml_has_a_line() {
    rejects("zones = 3", "zones = 3\nzones = 4", "6: duplicate key");
    rejects("zones = 3", "zones = ", "5: string values must be quoted, expected literal string");
    rejects("[budget]", "[budget", "72: unclosed table, expected `]`");
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
    assert_eq!(problem(&" ".repeat(1 << 21)), "fleet.toml:1: must be a file of at most 1 MiB");
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
            assert!(!problem.contains('\n') && !problem.contains("invalid type"), "{problem}");
        }
    }
}

#[test]
fn whoever_is_asked_about_failures_answers_one_way() {
    let refused = |settings: &str, then: &str| {
        let text = octopus_with(settings);
        let line = text.lines().position(|line| line == settings).expect("it was written") + 1;
        assert_eq!(problem(&text), format!("fleet.toml:{line}: strategy.default.octopus.{then}"));
    };
    refused(
        r#"guided_failure = { answers_after = "2m", answer = "ignore", retries = 3 }"#,
        r#"guided_failure.retries: must be absent unless answer = "retry""#,
    );
    refused(
        r#"guided_failure = { answers_after = "2m", answer = "retry", retries = 11 }"#,
        "guided_failure.retries: must be from 1 to 10",
    );
    refused(
        r#"guided_failure = { answers_after = "2m", answer = "shrug" }"#,
        r#"guided_failure.answer: must be one of "fail", "retry", "ignore", "exclude""#,
    );
    refused(r#"guided_failure = { answer = "fail" }"#, "guided_failure.answers_after: must be given");
    refused(r#"step_timeout = "0s""#, "step_timeout: must exceed 0");
}
