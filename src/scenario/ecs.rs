//! How the settings of an Amazon ECS service are written, and what must hold of them.

use super::bounds::{count, positive, share_or};
use super::commands::commands;
use super::place::{Checked, Place};
use super::raw_ecs::{self, Ecs};
use super::units::{Count, LONGEST, Table};
use crate::rollout::ecs::{
    Alarm, CircuitBreaker, MAXIMUM_PERCENT, MINIMUM_HEALTHY_PERCENT, Settings, Threshold, ThresholdType,
};
use std::ops::RangeInclusive;
use std::time::Duration;

/// `period` of an alarm where none is given.
const PERIOD: Duration = Duration::from_mins(1);

pub(super) fn ecs(place: &Place, raw: Ecs, has_health_check: bool) -> Checked<Settings> {
    let count_or = |key: &str, written: Option<Count>, bounds: RangeInclusive<u32>, default: u32| {
        written.map_or(Ok(default), |written| count(&place.key(key), written, bounds))
    };
    let minimum = count_or("minimum_healthy_percent", raw.minimum_healthy_percent, 0..=100, MINIMUM_HEALTHY_PERCENT)?;
    let maximum = count_or("maximum_percent", raw.maximum_percent, 100..=10_000, MAXIMUM_PERCENT)?;
    let is_possible = minimum < 100 || maximum > 100;
    let problem = "must exceed 100 when minimum_healthy_percent is 100, or no step is possible";
    place.key("maximum_percent").holds(is_possible, problem)?;
    let longest = u32::try_from(LONGEST.as_secs()).expect("a year has fewer seconds");
    let grace_s = count_or("health_check_grace_period_seconds", raw.health_check_grace_period_seconds, 0..=longest, 0)?;
    let breaker_at = place.key("circuit_breaker");
    let circuit_breaker = raw.circuit_breaker.map(|Table(raw)| circuit_breaker(&breaker_at, &raw)).transpose()?;
    let alarm = raw.alarm.map(|Table(raw)| alarm(&place.key("alarm"), &raw)).transpose()?;
    let looks_back = alarm.map_or(Duration::ZERO, |alarm| alarm.looks_back());
    let minutes = |written| count(&place.key("bake_time_in_minutes"), written, 0..=1_440);
    let minutes = raw.bake_time_in_minutes.map(minutes).transpose()?;
    Ok(Settings {
        minimum_healthy_percent: minimum,
        maximum_percent: maximum,
        health_check_grace_period: Duration::from_secs(grace_s.into()),
        has_health_check,
        circuit_breaker: circuit_breaker.flatten(),
        alarm,
        bake_time: minutes.map_or(looks_back, |minutes| Duration::from_mins(minutes.into())),
        quota: raw.quota.map(|written| count(&place.key("quota"), written, 1..=u32::MAX)).transpose()?,
        commands: commands(&place.key("commands"), raw.commands)?,
    })
}

fn circuit_breaker(place: &Place, raw: &raw_ecs::CircuitBreaker) -> Checked<Option<CircuitBreaker>> {
    let original = CircuitBreaker::default();
    let of = raw.threshold_type.map_or(original.threshold.of, |word| word.0);
    let value_at = place.key("threshold_value");
    let is_given = of != ThresholdType::Count || raw.threshold_value.is_some();
    value_at.holds(is_given, r#"must be given with threshold_type = "COUNT""#)?;
    let value = |written| count(&value_at, written, 1..=100_000);
    let value = raw.threshold_value.map_or(Ok(original.threshold.value), value)?;
    let breaker = CircuitBreaker {
        threshold: Threshold { of, value },
        reset_on_healthy_task: raw.reset_on_healthy_task.unwrap_or(original.reset_on_healthy_task),
        rollback: raw.rollback.unwrap_or(original.rollback),
    };
    Ok(raw.enable.unwrap_or(true).then_some(breaker))
}

fn alarm(place: &Place, raw: &raw_ecs::Alarm) -> Checked<Alarm> {
    let is_held = raw.max_failed.is_some() || raw.max_late.is_some();
    place.holds(is_held, "must hold at least one of max_failed and max_late")?;
    let datapoints = |written| count(&place.key("datapoints"), written, 1..=1_000);
    Ok(Alarm {
        max_failed: share_or(raw.max_failed, 1.0),
        max_late: share_or(raw.max_late, 1.0),
        period: raw.period.map_or(Ok(PERIOD), |span| positive(&place.key("period"), span))?,
        datapoints: raw.datapoints.map_or(Ok(1), datapoints)?,
        rollback: raw.rollback.unwrap_or(false),
    })
}
