//! What does a rollout do before any traffic? Numbers, steps and durations worked out by hand, and each warning once
//! where it must come and once where it must not.

use rollsim::explain::{Explained, Kind, assumed, explain};
use rollsim::scenario::parse;
use std::path::Path;

/// Ten instances that start in 10 s and stop in 1 s, and what is put in place of their keys.
fn scenario(service: &str, release: &str, balancer: &str, strategy: &str) -> String {
    let instances = if service.contains("instances") { "" } else { "instances = 10" };
    format!(
        "[service]\n{instances}\nworkers = 2\nqueue = 10\n{service}\n\
         [traffic]\nrate = 10.0\nwork = \"20ms\"\n\
         [release]\nstart = \"10s\"\nstop = \"1s\"\n{release}\n\
         [balancer]\npropagation = \"0s\"\n{balancer}\n\
         [strategy.case.{strategy}\n\
         [study]\nreplications = 2\nwindow = \"10m\"\n"
    )
}

fn explained(text: &str) -> Explained {
    let scenario = parse(text, Path::new("case.toml")).unwrap_or_else(|error| panic!("{error}\n{text}"));
    explain(&scenario).strategies.remove(0)
}

fn kubernetes(settings: &str) -> Explained {
    explained(&scenario("", "", "", &format!("kubernetes]\n{settings}")))
}

/// The text of the warning of a kind.
fn warning(explained: &Explained, kind: Kind) -> Option<&str> {
    let mut of_kind = explained.warnings.iter().filter(|warning| warning.kind == kind);
    let first = of_kind.next();
    assert!(of_kind.next().is_none(), "told once");
    first.map(|warning| warning.text.as_str())
}

#[track_caller]
fn warns(explained: &Explained, kind: Kind, of: &str) {
    let text = warning(explained, kind).unwrap_or_else(|| panic!("{kind:?} is not among {:?}", explained.warnings));
    assert!(text.contains(of), "`{text}` does not tell of `{of}`");
}

#[track_caller]
fn is_content(explained: &Explained, kind: Kind) {
    assert_eq!(warning(explained, kind), None);
}

const AT_ONCE: &str = "control_plane = { at_once = true }";

#[test]
fn shares_are_resolved_as_kubernetes_rounds_them() {
    let explained = kubernetes("max_surge = \"25%\"\nmax_unavailable = \"25%\"");
    let means = |setting| {
        let row = explained.resolved.iter().find(|row| row.setting == setting).expect("it is told");
        (row.written.as_str(), row.means.as_str())
    };
    assert_eq!(means("strategy"), ("RollingUpdate", "8 to 13 pods, 8 of them available"));
    assert_eq!(means("maxSurge"), ("25%", "3: 25 % of 10, rounded up"));
    assert_eq!(means("maxUnavailable"), ("25%", "2: 25 % of 10, rounded down"));
    let none = kubernetes("max_surge = 0\nmax_unavailable = \"5%\"");
    let one = none.resolved.iter().find(|row| row.setting == "maxUnavailable").expect("it is told");
    assert_eq!(one.means, "1: 5 % of 10, rounded down, but one where both come to none");
}

/// 3 + 2 at once, then 5, then the 5 that room is left for: two rounds of 10 s.
#[test]
fn steps_and_durations_are_those_worked_out_by_hand() {
    let explained = kubernetes(AT_ONCE);
    let steps: Vec<_> =
        explained.steps.iter().map(|step| (step.at_ms, step.old_ready, step.new_ready, step.coming)).collect();
    assert_eq!(
        steps,
        [(0, 8, 0, 5), (1_000, 8, 0, 5), (10_000, 3, 5, 5), (11_000, 3, 5, 5), (20_000, 0, 10, 0), (21_000, 0, 10, 0)]
    );
    assert_eq!(
        (explained.steps[2].what.new_ready, explained.steps[2].what.old_leave, explained.steps[2].what.new_created),
        (5, 5, 5)
    );
    let is_20 = |duration: Option<f64>| duration.is_some_and(|duration| (duration - 20.0).abs() < 0.01);
    assert!(is_20(explained.typical_s) && is_20(explained.best_s) && is_20(explained.rollback_s), "{explained:?}");
    assert!(is_20(explained.expected_s.map(|expected| expected.mean)));
    assert_eq!((explained.least_ready, explained.most_beside_leaving, explained.most_instances), (8, 13, 18));
}

#[test]
fn the_best_case_is_faster_than_the_typical_one_and_free_of_defects() {
    let release = "pull = { exponential = { mean = \"20s\" } }\ndefect = { chance = \"100%\", never_ready = true }";
    let explained = explained(&scenario("", release, "", &format!("kubernetes]\n{AT_ONCE}")));
    assert_eq!((explained.outcome, explained.typical_s), ("unfinished", None));
    // Two rounds of 10 s and of the 5 % quantile of 20 s, -ln 0.95 × 20 s.
    let best = explained.best_s.expect("without the defect it completes");
    assert!((best - 22.05).abs() < 0.2, "{best}");
}

#[test]
fn the_bounds_of_ecs_are_resolved_as_it_rounds_them() {
    let ecs = |service: &str, settings: &str| {
        explained(&scenario(service, "ready_probe = { period = \"5s\" }", "", &format!("ecs]\n{settings}")))
    };
    let bounds = "minimum_healthy_percent = 75\nmaximum_percent = 125\n";
    let explained_ecs = ecs("", &format!("{bounds}circuit_breaker = {{ rollback = true }}"));
    let told: Vec<_> = explained_ecs.resolved.iter().map(|row| (row.setting, row.means.as_str())).collect();
    assert_eq!(
        told,
        [
            ("minimumHealthyPercent", "8: 75 % of 10, rounded up; so many stay healthy"),
            ("maximumPercent", "12: 125 % of 10, rounded down; stopping tasks count"),
            (
                "deploymentCircuitBreaker",
                "5 failed tasks without a healthy one between them fail the deployment, and the last completed deployment comes back"
            ),
        ]
    );
    assert_eq!((explained_ecs.least_ready, explained_ecs.most_instances), (8, 12));
    is_content(&explained_ecs, Kind::CannotMove);
    // Of two, 75 % are two and 125 % are two.
    let stuck = ecs("instances = 2", bounds);
    warns(&stuck, Kind::CannotMove, "0 of 2 instances run the new version");
    assert!(stuck.resolved[1].means.ends_with("so that nothing can move"), "{:?}", stuck.resolved);
    warns(&ecs("", "quota = 10"), Kind::CannotMove, "the quota has room for 10");
    // Without a check all ten are healthy after 40 s, and the old ones are gone 1 s later.
    let unchecked = explained(&scenario("", "", "", "ecs]"));
    assert!(unchecked.typical_s.is_some_and(|typical| (typical - 41.0).abs() < 0.01), "{unchecked:?}");
}

#[test]
fn a_rollout_that_stands_still_cannot_move() {
    let never = "defect = { chance = \"100%\", never_ready = true }";
    let explained_never = explained(&scenario("", never, "", &format!("kubernetes]\n{AT_ONCE}")));
    warns(&explained_never, Kind::CannotMove, "0 of 10 instances run the new version");
    warns(&kubernetes("max_unavailable = 0\nquota = 10"), Kind::CannotMove, "the quota has room for 10");
    is_content(&kubernetes("max_unavailable = 0\nquota = 12"), Kind::CannotMove);
    is_content(&kubernetes(""), Kind::CannotMove);
}

#[test]
fn a_window_that_is_too_short_is_told_from_standing_still() {
    let slow =
        scenario("", "", "", "waves]\nsize = 1\ngap = \"1m\"").replace("[release]\n", "[release]\ngrace = \"30s\"\n");
    let explained_slow = explained(&slow);
    warns(&explained_slow, Kind::WindowTooShort, "not done within the window of 10 min: 8 of 10");
    is_content(&explained_slow, Kind::CannotMove);
    is_content(&explained(&slow.replace("\"10m\"", "\"1h\"")), Kind::WindowTooShort);
}

#[test]
fn surge_needs_room() {
    warns(&kubernetes("max_surge = 1\nmax_unavailable = 0"), Kind::NeedsRoom, "room for 1 more: 11 instances at once");
    is_content(&kubernetes("max_surge = 0\nmax_unavailable = 1"), Kind::NeedsRoom);
}

#[test]
fn a_single_instance_is_down() {
    let single = |strategy: &str| explained(&scenario("instances = 1", "", "", strategy));
    // The new one starts in 10 s as soon as the old one, 1 s later, is gone.
    warns(
        &single(&format!("kubernetes]\ntype = \"Recreate\"\n{AT_ONCE}")),
        Kind::NobodyReady,
        "the only instance is down at once, for 11 s",
    );
    is_content(&single("kubernetes]"), Kind::NobodyReady);
    warns(&kubernetes("type = \"Recreate\""), Kind::NobodyReady, "all 10 instances are down");
}

#[test]
fn terminating_instances_exceed_the_quota() {
    let slow_stop = |quota: u32| {
        let strategy = format!("kubernetes]\nmax_surge = 3\nmax_unavailable = 0\nquota = {quota}");
        explained(&scenario("", "pre_stop = \"15s\"", "", &strategy))
    };
    warns(&slow_stop(13), Kind::QuotaExceeded, "exceed the quota of 13: 13 at once fit, 19");
    is_content(&slow_stop(19), Kind::QuotaExceeded);
    is_content(&kubernetes(""), Kind::QuotaExceeded);
}

#[test]
fn a_deadline_shorter_than_one_start() {
    warns(
        &kubernetes("progress_deadline_seconds = 8"),
        Kind::DeadlineTooShort,
        "deadline of 8 s is shorter than one start, which takes 10 s",
    );
    is_content(&kubernetes("progress_deadline_seconds = 11"), Kind::DeadlineTooShort);
    // Probes at 5 s and 11 s after the start, of which the second one passes.
    let probed = |deadline: u32| {
        let release = "ready_probe = { initial_delay = \"5s\", period = \"6s\" }";
        explained(&scenario("", release, "", &format!("kubernetes]\nprogress_deadline_seconds = {deadline}")))
    };
    warns(&probed(10), Kind::DeadlineTooShort, "which takes 11 s");
    is_content(&probed(12), Kind::DeadlineTooShort);
}

#[test]
fn rolling_back_takes_as_long() {
    warns(&kubernetes(AT_ONCE), Kind::SlowRollback, "rolling back takes 20 s, and rolling forward 20 s");
    let swarm = |rollback: &str| {
        explained(&scenario(
            "",
            "",
            "",
            &format!("swarm]\nupdate = {{ parallelism = 1 }}\nrollback = {{ {rollback} }}"),
        ))
    };
    warns(&swarm("parallelism = 1"), Kind::SlowRollback, "rolling back takes");
    is_content(&swarm("parallelism = 0"), Kind::SlowRollback);
}

#[test]
fn pre_stop_is_shorter_than_the_propagation() {
    let told = |pre_stop: &str, more: &str| {
        let text = scenario("", &format!("pre_stop = \"{pre_stop}\""), "", "kubernetes]\n");
        explained(&text.replace("propagation = \"0s\"", &format!("propagation = \"3s\"\n{more}")))
    };
    warns(
        &told("2s", ""),
        Kind::StaleEndpoints,
        "for 2 s (drain, preStop), which is shorter than the propagation p99 of 3 s",
    );
    is_content(&told("3s", ""), Kind::StaleEndpoints);
    // Swarm itself takes 3 s until it tells a process to stop.
    let text = scenario("", "", "", "swarm]\n").replace("propagation = \"0s\"", "propagation = \"3s\"");
    is_content(&explained(&text), Kind::StaleEndpoints);
}

#[test]
fn grace_is_shorter_than_what_is_to_end_in_it() {
    let with = |grace: &str| {
        explained(
            &scenario("", &format!("grace = \"{grace}\"\npre_stop = \"5s\""), "", "kubernetes]\n")
                .replace("stop = \"1s\"\n", "stop = \"3s\"\n"),
        )
    };
    warns(
        &with("5s"),
        Kind::GraceTooShort,
        "a grace of 5 s is shorter than what is to end in it: preStop 5 s, requests 20 ms (p99), stop 3 s (p99)",
    );
    is_content(&with("9s"), Kind::GraceTooShort);
}

#[test]
fn without_a_health_check_an_order_protects_nothing() {
    let swarm = |release: &str, order: &str| {
        explained(&scenario("", release, "", &format!("swarm]\nupdate = {{ order = \"{order}\" }}")))
    };
    warns(&swarm("", "stop-first"), Kind::NoHealthCheck, "stop-first protects nothing");
    warns(&swarm("", "start-first"), Kind::NoHealthCheck, "start-first protects nothing");
    is_content(&swarm("ready_probe = { period = \"5s\" }", "stop-first"), Kind::NoHealthCheck);
    is_content(&kubernetes(""), Kind::NoHealthCheck);
}

#[test]
fn the_share_of_the_requests_is_told_step_by_step() {
    let text = scenario("", "", "", "shift]\nsteps = [\"10%\", \"100%\"]\ncapacity = \"grown\"\nsoak = \"1m\"");
    let explained = explained(&text.replace("[release]\n", "[release]\ngrace = \"30s\"\n"));
    let told = explained.steps.iter().filter_map(|step| Some((step.at_ms, step.what.new_share?, step.new_ready)));
    // One new instance after 10 s, a minute of soaking, the other nine after 10 s more.
    assert_eq!(told.collect::<Vec<_>>(), [(10_000, 10, 1), (80_000, 100, 10)]);
    assert!(kubernetes(AT_ONCE).steps.iter().all(|step| step.what.new_share.is_none()));
}

/// One new instance after 10 s gets 10 %, a minute later five get half; the analysis, which nobody's requests stand in the way
/// of, takes three measurements; the other five come up, and the old ones leave half a minute after the end.
#[test]
fn a_rollout_of_argo_is_told_without_traffic() {
    let steps = "{ set_weight = 10 }, { pause = { duration = \"1m\" } }, { set_weight = 50 }, \
                 { analysis = [{ max_failed = \"1%\", interval = \"10s\", count = 3 }] }";
    let explained =
        explained(&scenario("", "", "", &format!("argo.canary]\ntraffic_routing = true\nsteps = [{steps}]")));
    let told = explained.steps.iter().filter_map(|step| Some((step.at_ms, step.what.new_share?, step.new_ready)));
    assert_eq!(told.collect::<Vec<_>>(), [(10_000, 10, 1), (80_000, 50, 5), (110_000, 100, 10)]);
    assert_eq!((explained.outcome, explained.reported), ("completed", Some("Healthy")));
    assert!(explained.typical_s.is_some_and(|typical| (typical - 110.0).abs() < 0.01), "{explained:?}");
    assert_eq!((explained.least_ready, explained.most_beside_leaving), (10, 20));
    let means = |setting| explained.resolved.iter().find(|row| row.setting == setting).map(|row| row.means.as_str());
    assert_eq!(means("setWeight"), Some("1 new and 10 old ones"));
    warns(&explained, Kind::NeedsRoom, "room for 10 more");
}

#[test]
fn the_old_version_cannot_read_the_new_schema() {
    let with = |database: &str| {
        let release = format!("database = {{ takes = \"1m\", {database} }}");
        explained(&scenario("", &release, "", &format!("kubernetes]\n{AT_ONCE}")))
    };
    let breaking = with("step = \"before\", old_fails = \"40%\"");
    warns(&breaking, Kind::WrongSchema, "40 % of the old version's requests fail with the new schema");
    warns(&breaking, Kind::WrongSchema, "a rollback does not bring the old schema back");
    assert!(
        breaking.typical_s.is_some_and(|typical| (typical - 80.0).abs() < 0.01),
        "a minute, then two rounds of 10 s"
    );
    is_content(&with("step = \"before\""), Kind::WrongSchema);
    // By then no old instance is left, and the step can be taken back.
    is_content(&with("step = \"after\", old_fails = \"40%\", undo = \"1m\""), Kind::WrongSchema);
}

#[test]
fn a_file_of_strategies_alone_is_completed() {
    let (text, missing) = assumed::completed("[strategy.a.kubernetes]\nmax_surge = 1\n");
    assert_eq!(missing, ["service", "traffic", "release", "study"]);
    assert_eq!(explained(&text).orchestrator, "kubernetes");
    let whole_scenario = scenario("", "", "", "kubernetes]\n");
    for whole in [whole_scenario.as_str(), "[service]\n[strategy.a.kubernetes]\n", "[study]\n", "no TOML"] {
        assert_eq!(assumed::completed(whole), (whole.to_owned(), Vec::new()));
    }
}
