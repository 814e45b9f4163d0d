//! How an Amazon ECS service is written, and the mistakes that can be made in it.

use super::{SMALL, problem, read, seconds};
use crate::rollout::ecs::{Alarm, CircuitBreaker, Settings, Threshold, ThresholdType};
use crate::rollout::{Command, Strategy, What, When};
use std::time::Duration;

/// Every setting, none of them at its default.
const ECS: &str = r#"minimum_healthy_percent = 50
maximum_percent = 150
health_check_grace_period_seconds = 60
circuit_breaker = { rollback = true, threshold_type = "COUNT", threshold_value = 7, reset_on_healthy_task = false }
alarm = { max_failed = "1%", max_late = "5%", period = "30s", datapoints = 3, rollback = true }
bake_time_in_minutes = 4
quota = 20
commands = [{ after = "1h", do = "undo" }]
"#;

/// A small file with such a strategy that has these settings.
fn with(settings: &str) -> String {
    SMALL.replace("kubernetes]\n", &format!("ecs]\n{settings}"))
}

fn settings_of(text: &str) -> Settings {
    let Strategy::Ecs(settings) = read(text).strategies[0].strategy.clone() else { panic!("ECS was written") };
    settings
}

fn settings(written: &str) -> Settings {
    settings_of(&with(written))
}

#[test]
fn ecs_is_as_written() {
    let expected = Settings {
        minimum_healthy_percent: 50,
        maximum_percent: 150,
        health_check_grace_period: seconds(60),
        has_health_check: false,
        circuit_breaker: Some(CircuitBreaker {
            threshold: Threshold { of: ThresholdType::Count, value: 7 },
            reset_on_healthy_task: false,
            rollback: true,
        }),
        alarm: Some(Alarm { max_failed: 0.01, max_late: 0.05, period: seconds(30), datapoints: 3, rollback: true }),
        bake_time: seconds(240),
        quota: Some(20),
        commands: vec![Command { when: When::After(seconds(3_600)), what: What::Undo }],
    };
    assert_eq!(settings(ECS), expected);
    let probed = with(ECS).replace("\"8s\"", "\"8s\"\nready_probe = { period = \"30s\" }");
    assert_eq!(settings_of(&probed), Settings { has_health_check: true, ..expected });
}

#[test]
fn what_is_left_out_of_ecs_has_its_default() {
    let expected = Settings {
        minimum_healthy_percent: 100,
        maximum_percent: 200,
        health_check_grace_period: Duration::ZERO,
        has_health_check: false,
        circuit_breaker: None,
        alarm: None,
        bake_time: Duration::ZERO,
        quota: None,
        commands: Vec::new(),
    };
    assert_eq!(settings(""), expected);
    assert_eq!(settings("circuit_breaker = {}\n").circuit_breaker, Some(CircuitBreaker::default()));
    assert_eq!(settings("circuit_breaker = { enable = false }\n").circuit_breaker, None);
    let alarmed = settings("alarm = { max_late = \"5%\" }\n");
    let alarm = Alarm { max_failed: 1.0, max_late: 0.05, period: seconds(60), datapoints: 1, rollback: false };
    assert_eq!(
        (alarmed.alarm, alarmed.bake_time),
        (Some(alarm), seconds(60)),
        "it bakes as long as its alarm looks back"
    );
}

/// The settings with one edit are refused with this message, at the line of its first key.
#[track_caller]
fn refused(from: &str, to: &str, then: &str) {
    assert_eq!(ECS.matches(from).count(), 1, "`{from}` must stand in the settings exactly once");
    let text = with(&ECS.replace(from, to));
    let key = then.split(['.', ':']).next().expect("a key");
    let at = text.lines().position(|line| line.starts_with(key)).expect("it stands there") + 1;
    assert_eq!(problem(&text), format!("fleet.toml:{at}: strategy.default.ecs.{then}"));
}

#[test]
fn ecs_holds_together() {
    refused(
        "minimum_healthy_percent = 50",
        "minimum_healthy_percent = 101",
        "minimum_healthy_percent: must be from 0 to 100",
    );
    refused("maximum_percent = 150", "maximum_percent = 99", "maximum_percent: must be from 100 to 10,000");
    let blocked = "maximum_percent: must exceed 100 when minimum_healthy_percent is 100, or no step is possible";
    refused("= 50\nmaximum_percent = 150", "= 100\nmaximum_percent = 100", blocked);
    refused("seconds = 60", "seconds = 31622401", "health_check_grace_period_seconds: must be from 0 to 31,622,400");
    let value = "circuit_breaker.threshold_value: must be";
    refused("threshold_value = 7", "threshold_value = 0", &format!("{value} from 1 to 100,000"));
    refused(", threshold_value = 7", "", &format!("{value} given with threshold_type = \"COUNT\""));
    let words = "\"BOUNDED_PERCENT\", \"UNBOUNDED_PERCENT\", \"COUNT\"";
    refused("\"COUNT\"", "\"SHARE\"", &format!("circuit_breaker.threshold_type: must be one of {words}"));
    let nothing = "alarm: must hold at least one of max_failed and max_late";
    refused(r#"max_failed = "1%", max_late = "5%", "#, "", nothing);
    refused("period = \"30s\"", "period = \"0s\"", "alarm.period: must exceed 0");
    refused("datapoints = 3", "datapoints = 0", "alarm.datapoints: must be from 1 to 1,000");
    refused("minutes = 4", "minutes = 1441", "bake_time_in_minutes: must be from 0 to 1,440");
    refused("quota = 20", "quota = 0", "quota: must be from 1 to 4,294,967,295");
}
