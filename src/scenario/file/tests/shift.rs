//! How a rollout by traffic shifting is written, and the mistakes that can be made in it.

use super::{SMALL, fixed, problem, read, seconds};
use crate::rollout::shift::{Analysis, Capacity, Gate, KEEP_OLD, Settings};
use crate::rollout::{Command, OnFailure, Strategy, Test, What, When};
use std::num::NonZeroU32;
use std::time::Duration;

/// Every setting, none of them at its default.
const SHIFT: &str = r#"steps = ["5%", "50%", "100%"]
capacity = "grown"
deadline = "10m"
test = { takes = "10s", finds = "90%" }
soak = "5m"
analysis = { max_failed = "1%", max_late = "5%", at_least = 50, every = "30s" }
gate = { after_step = 1, answers_after = "10m" }
keep_old = "1h"
on_failure = "stop"
commands = [{ after = "1h", do = "undo" }]
"#;

/// A small file with such a strategy that has these settings.
fn with(settings: &str) -> String {
    let shift = SMALL.replace("kubernetes]\n", &format!("shift]\n{settings}"));
    shift.replace("\"8s\"", "\"8s\"\ngrace = \"9s\"")
}

fn settings(written: &str) -> Settings {
    let Strategy::Shift(settings) = read(&with(written)).strategies[0].strategy.clone() else {
        panic!("traffic shifting was written")
    };
    settings
}

#[test]
fn shifting_is_as_written() {
    let expected = Settings {
        steps: vec![5, 50, 100],
        capacity: Capacity::Grown,
        deadline: Some(seconds(600)),
        test: Some(Test { takes: seconds(10), finds: 0.9 }),
        soak: seconds(300),
        analysis: Some(Analysis { max_failed: 0.01, max_late: 0.05, at_least: 50, every: Some(seconds(30)) }),
        gate: Some(Gate { after_step: NonZeroU32::MIN, answers_after: fixed(600) }),
        keep_old: seconds(3_600),
        on_failure: OnFailure::Stop,
        commands: vec![Command { when: When::After(seconds(3_600)), what: What::Undo }],
    };
    assert_eq!(settings(SHIFT), expected);
    assert_eq!(settings(&SHIFT.replace("grown", "exchanged")).capacity, Capacity::Exchanged);
}

#[test]
fn what_is_left_out_of_shifting_has_its_default() {
    let expected = Settings {
        steps: vec![100],
        capacity: Capacity::Double,
        deadline: None,
        test: None,
        soak: Duration::ZERO,
        analysis: None,
        gate: None,
        keep_old: KEEP_OLD,
        on_failure: OnFailure::RollBack,
        commands: Vec::new(),
    };
    assert_eq!(settings(""), expected);
    let analysis = settings("soak = \"1s\"\nanalysis = { max_failed = \"1%\" }\n").analysis;
    assert_eq!(analysis, Some(Analysis { max_failed: 0.01, max_late: 1.0, at_least: 100, every: None }));
}

#[track_caller]
fn refused(from: &str, to: &str, then: &str) {
    assert_eq!(SHIFT.matches(from).count(), 1, "`{from}` must stand in the settings exactly once");
    let text = with(&SHIFT.replace(from, to));
    let at = text.lines().position(|line| line.contains(to)).expect("it stands there") + 1;
    assert_eq!(problem(&text), format!("fleet.toml:{at}: strategy.default.shift.{then}"));
}

#[test]
fn shifting_holds_together() {
    refused(r#""5%", "50%""#, r#""50%", "5%""#, "steps: must rise, and end with 100%");
    refused(r#", "100%"]"#, r#", "99%"]"#, "steps: must rise, and end with 100%");
    refused(r#"["5%","#, r#"["0.5%","#, "steps[0]: must be from 1% to 100%, in whole percent");
    refused(r#"["5%","#, r#"["2.5%","#, "steps[0]: must be from 1% to 100%, in whole percent");
    refused(r#"steps = ["5%", "50%", "100%"]"#, "steps = []", "steps: must hold 1 to 100 shares");
    refused(r#"deadline = "10m""#, r#"deadline = "0s""#, "deadline: must exceed 0");
    refused(r#"every = "30s""#, r#"every = "0s""#, "analysis.every: must exceed 0");
    let nothing = "analysis: must hold at least one of max_failed and max_late";
    refused(r#"analysis = { max_failed = "1%", max_late = "5%", "#, "analysis = { ", nothing);
    refused("at_least = 50", "at_least = 1000000001", "analysis.at_least: must be at most 1,000,000,000");
    refused("after_step = 1", "after_step = 0", "gate.after_step: must be from 1 to 100");
    let soakless = SHIFT.replace("soak = \"5m\"\n", "");
    let text = with(&soakless);
    let at = text.lines().position(|line| line.starts_with("analysis")).expect("it stands there") + 1;
    assert_eq!(
        problem(&text),
        format!("fleet.toml:{at}: strategy.default.shift.analysis: must be absent without a soak")
    );
}
