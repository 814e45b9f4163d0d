//! How an Argo Rollout is written, and the mistakes that can be made in it.

use super::{SMALL, problem, read, seconds};
use crate::rollout::argo::{
    BlueGreen, Canary, CanaryScale, Enough, Kind, Limits, Measures, Metric, PROGRESS_DEADLINE, SCALE_DOWN_DELAY,
    Settings, Step,
};
use crate::rollout::kubernetes::Bound;
use crate::rollout::{Command, Strategy, Test, What, When};
use std::time::Duration;

/// Every setting of a canary, none of them at its default.
const CANARY: &str = r#"min_ready_seconds = 5
progress_deadline_seconds = 100
progress_deadline_abort = true
rollback_window = 2
scale_down_delay_seconds = 40
abort_scale_down_delay_seconds = 0
commands = [{ when_paused = true, do = "promote" }, { after = "1h", do = "abort" }]
[strategy.default.argo.canary]
max_surge = 3
max_unavailable = "10%"
traffic_routing = true
dynamic_stable_scale = true
min_pods_per_replica_set = 2
replica_progress_threshold = "90%"
analysis_starting_step = 1
analysis = [{ max_late = "5%", interval = "1m" }]
steps = [
  { set_weight = 20 },
  { pause = {} },
  { pause = { duration = "10m" } },
  { set_canary_scale = { replicas = 4 } },
  { set_canary_scale = { weight = 150 } },
  { set_canary_scale = { match_traffic_weight = true } },
  { analysis = [{ max_failed = "1%", at_least = 9, initial_delay = "3s", interval = "2s", count = 7, failure_limit = -1, inconclusive_limit = 2, consecutive_error_limit = 5, consecutive_success_limit = 6 }] },
]
"#;

/// The same of blue/green.
const BLUE_GREEN: &str = r#"[strategy.default.argo.blue_green]
auto_promotion_enabled = false
auto_promotion_seconds = 60
preview_replica_count = 1
pre_promotion_analysis = [{ test = { takes = "10s", finds = "90%" } }]
post_promotion_analysis = [{ max_failed = "2%" }]
scale_down_delay_revision_limit = 1
"#;

fn with(settings: &str) -> String {
    SMALL.replace("[strategy.default.kubernetes]\n", &format!("[strategy.default.argo]\n{settings}"))
}

fn settings(written: &str) -> Settings {
    let Strategy::Argo(settings) = read(&with(written)).strategies[0].strategy.clone() else {
        panic!("a Rollout was written")
    };
    settings
}

fn metric(measures: Measures) -> Metric {
    Metric { measures, initial_delay: Duration::ZERO, interval: None, count: None, limits: Limits::default() }
}

#[test]
fn a_canary_is_as_written() {
    let answers = |max_failed, max_late, at_least| Measures::Answers { max_failed, max_late, at_least };
    let limits = Limits { failures: None, inconclusive: 2, consecutive_errors: 5, consecutive_successes: 6 };
    let every = |span, metric: Metric| Metric { interval: Some(seconds(span)), ..metric };
    let analysis =
        Metric { initial_delay: seconds(3), count: Some(7), limits, ..every(2, metric(answers(0.01, 1.0, 9))) };
    let expected = Settings {
        kind: Kind::Canary(Canary {
            max_surge: Bound::Count(3),
            max_unavailable: Bound::Percent(10),
            steps: vec![
                Step::SetWeight(20),
                Step::Pause(None),
                Step::Pause(Some(seconds(600))),
                Step::SetCanaryScale(CanaryScale::Replicas(4)),
                Step::SetCanaryScale(CanaryScale::Weight(150)),
                Step::SetCanaryScale(CanaryScale::MatchTrafficWeight),
                Step::Analysis(vec![analysis]),
            ],
            traffic_routing: true,
            dynamic_stable_scale: true,
            min_pods: 2,
            enough: Some(Enough::Percent(90)),
            analysis: vec![every(60, metric(answers(1.0, 0.05, 1)))],
            analysis_from: 1,
        }),
        min_ready: seconds(5),
        progress_deadline: seconds(100),
        progress_deadline_abort: true,
        rollback_window: 2,
        scale_down_delay: seconds(40),
        abort_scale_down_delay: Some(Duration::ZERO),
        commands: vec![
            Command { when: When::Paused, what: What::Promote },
            Command { when: When::After(seconds(3_600)), what: What::Abort },
        ],
    };
    assert_eq!(settings(CANARY), expected);
}

#[test]
fn blue_green_is_as_written() {
    let answers = Measures::Answers { max_failed: 0.02, max_late: 1.0, at_least: 1 };
    let expected = Kind::BlueGreen(BlueGreen {
        auto_promotion: false,
        auto_promotion_after: Some(seconds(60)),
        preview_replicas: Some(1),
        pre_promotion: vec![metric(Measures::Test(Test { takes: seconds(10), finds: 0.9 }))],
        post_promotion: vec![metric(answers)],
        kept_revisions: Some(1),
    });
    assert_eq!(settings(BLUE_GREEN).kind, expected);
}

#[test]
fn what_is_left_out_of_a_rollout_has_its_default() {
    let expected = Settings {
        kind: Kind::Canary(Canary {
            max_surge: Bound::Percent(25),
            max_unavailable: Bound::Percent(25),
            steps: Vec::new(),
            traffic_routing: false,
            dynamic_stable_scale: false,
            min_pods: 0,
            enough: None,
            analysis: Vec::new(),
            analysis_from: 0,
        }),
        min_ready: Duration::ZERO,
        progress_deadline: PROGRESS_DEADLINE,
        progress_deadline_abort: false,
        rollback_window: 0,
        scale_down_delay: SCALE_DOWN_DELAY,
        abort_scale_down_delay: None,
        commands: Vec::new(),
    };
    assert_eq!(settings(""), expected);
    assert_eq!(settings("[strategy.default.argo.canary]\n"), expected);
    let blue_green = BlueGreen {
        auto_promotion: true,
        auto_promotion_after: None,
        preview_replicas: None,
        pre_promotion: Vec::new(),
        post_promotion: Vec::new(),
        kept_revisions: None,
    };
    assert_eq!(settings("[strategy.default.argo.blue_green]\n").kind, Kind::BlueGreen(blue_green));
}

#[track_caller]
fn refused(all: &str, from: &str, to: &str, then: &str) {
    assert_eq!(all.matches(from).count(), 1, "`{from}` must stand in the settings exactly once");
    let text = with(&all.replace(from, to));
    let at = text.lines().position(|line| line.contains(to)).expect("it stands there") + 1;
    assert_eq!(problem(&text), format!("fleet.toml:{at}: strategy.default.argo{then}"));
}

#[test]
fn mistakes_in_a_canary_are_told() {
    for (from, to, then) in [
        (
            "progress_deadline_seconds = 100",
            "progress_deadline_seconds = 5",
            ".progress_deadline_seconds: must exceed min_ready_seconds",
        ),
        ("rollback_window = 2", "rollback_window = 1001", ".rollback_window: must be from 0 to 1,000"),
        ("max_surge = 3", "max_surge = 3000000000", ".canary.max_surge: must be at most 2,147,483,647"),
        ("max_unavailable = \"10%\"", "max_unavailable = \"101%\"", ".canary.max_unavailable: must be at most 100%"),
        ("set_weight = 20", "set_weight = 101", ".canary.steps[0].set_weight: must be at most 100"),
        (
            "{ set_weight = 20 }",
            "{ set_weight = 20, pause = {} }",
            ".canary.steps[0]: must hold exactly one of set_weight, pause, set_canary_scale, analysis",
        ),
        (
            "{ replicas = 4 }",
            "{ replicas = 4, weight = 3 }",
            ".canary.steps[3].set_canary_scale: must hold exactly one of replicas, weight and match_traffic_weight = true",
        ),
        (
            "max_late = \"5%\"",
            "at_least = 5",
            ".canary.analysis[0]: must hold a test, or at least one of max_failed and max_late",
        ),
        (", count = 7", "", ".canary.steps[6].analysis[0].count: must be given, or the analysis never ends"),
        ("interval = \"2s\", ", "", ".canary.steps[6].analysis[0].interval: must be given when count exceeds 1"),
        (
            "failure_limit = -1",
            "failure_limit = -2",
            ".canary.steps[6].analysis[0].failure_limit: must be a whole number from -1 to 1,000,000",
        ),
        ("interval = \"1m\"", "interval = \"0s\"", ".canary.analysis[0].interval: must exceed 0"),
        (
            "analysis = [{ max_late = \"5%\", interval = \"1m\" }]\n",
            "",
            ".canary.analysis_starting_step: must be absent without an analysis",
        ),
    ] {
        if to.is_empty() {
            let told = problem(&with(&CANARY.replacen(from, to, 1)));
            assert!(told.ends_with(&format!("strategy.default.argo{then}")), "{told}");
        } else {
            refused(CANARY, from, to, then);
        }
    }
}

#[test]
fn what_needs_a_router_is_told() {
    let only = "must be absent without traffic_routing = true";
    let without = CANARY.replace("traffic_routing = true", "traffic_routing = false");
    refused(
        &without,
        "dynamic_stable_scale = true",
        "dynamic_stable_scale = true ",
        &format!(".canary.dynamic_stable_scale: {only}"),
    );
    let without = without.replace("dynamic_stable_scale = true\n", "");
    refused(
        &without,
        "min_pods_per_replica_set = 2",
        "min_pods_per_replica_set = 2 ",
        &format!(".canary.min_pods_per_replica_set: {only}"),
    );
    let without = without.replace("min_pods_per_replica_set = 2\n", "");
    refused(&without, "{ replicas = 4 }", "{ replicas = 4  }", &format!(".canary.steps[3].set_canary_scale: {only}"));
    let plain = "scale_down_delay_seconds = 40\n";
    let then = ".scale_down_delay_seconds: must be absent for a canary without traffic_routing";
    refused(plain, "scale_down_delay_seconds = 40", "scale_down_delay_seconds = 4", then);
}

#[test]
fn mistakes_in_blue_green_are_told() {
    refused(
        BLUE_GREEN,
        "preview_replica_count = 1",
        "preview_replica_count = 0",
        ".blue_green.preview_replica_count: must be from 1 to 100,000",
    );
    refused(
        BLUE_GREEN,
        "{ test = { takes = \"10s\", finds = \"90%\" } }",
        "{ test = { takes = \"10s\", finds = \"90%\" }, max_late = \"1%\" }",
        ".blue_green.pre_promotion_analysis[0].test: must stand without max_failed, max_late and at_least",
    );
    let both = format!("{BLUE_GREEN}[strategy.default.argo.canary]\n");
    assert!(problem(&with(&both)).ends_with("strategy.default.argo: must hold exactly one of canary, blue_green"));
}
