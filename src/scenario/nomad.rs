//! How the settings of a Nomad group are written, and what must hold of them.

use super::bounds::{count, span_or};
use super::commands::commands;
use super::place::{Checked, Place};
use super::raw_nomad::Nomad;
use super::units::Count;
use crate::rollout::nomad::{
    DelayFunction, EVALUATION_BATCH, Invalid, Limit, ReschedulePolicy, RestartPolicy, Settings, Update,
};
use std::time::Duration;

/// The shortest delay of a rescheduling (`ReschedulePolicyMinDelay`).
const LEAST_DELAY: Duration = Duration::from_secs(5);

pub(super) fn nomad(place: &Place, raw: Nomad, default_delay: Option<Duration>) -> Checked<Settings> {
    Ok(Settings {
        update: update(place, &raw)?,
        restart: restart(place, &raw, default_delay)?,
        reschedule: reschedule(place, &raw)?,
        shutdown_delay: span_or(raw.shutdown_delay, Duration::ZERO),
        evaluation_batch: span_or(raw.evaluation_batch, EVALUATION_BATCH),
        commands: commands(&place.key("commands"), raw.commands)?,
    })
}

fn update(place: &Place, raw: &Nomad) -> Checked<Update> {
    let original = Update::default();
    let count_or = |key: &str, written: Option<Count>, default: u32| {
        written.map_or(Ok(default), |written| count(&place.key(key), written, 0..=100_000))
    };
    let update = Update {
        max_parallel: count_or("max_parallel", raw.max_parallel, original.max_parallel)?,
        canary: count_or("canary", raw.canary, original.canary)?,
        health_check: raw.health_check.map_or(original.health_check, |word| word.0),
        on_update: raw.on_update.map_or(original.on_update, |word| word.0),
        min_healthy_time: span_or(raw.min_healthy_time, original.min_healthy_time),
        healthy_deadline: span_or(raw.healthy_deadline, original.healthy_deadline),
        progress_deadline: span_or(raw.progress_deadline, original.progress_deadline),
        auto_revert: raw.auto_revert.unwrap_or(original.auto_revert),
        auto_promote: raw.auto_promote.unwrap_or(original.auto_promote),
    };
    if let Some(rule) = update.invalid().first() {
        let (key, problem) = match rule {
            Invalid::HealthyDeadlineNotPositive => ("healthy_deadline", "must exceed 0"),
            Invalid::MinHealthyTimeNotBelowHealthyDeadline => {
                ("min_healthy_time", "must be shorter than healthy_deadline")
            }
            Invalid::HealthyDeadlineNotBelowProgressDeadline => {
                ("healthy_deadline", "must be shorter than progress_deadline, unless that is 0")
            }
            Invalid::AutoPromoteWithoutCanary => ("auto_promote", "must be false unless canary exceeds 0"),
        };
        return Err(place.key(key).breaks(problem));
    }
    Ok(update)
}

fn restart(place: &Place, raw: &Nomad, default_delay: Option<Duration>) -> Checked<RestartPolicy> {
    let original = RestartPolicy::default();
    let attempts = |written: Count| count(&place.key("restart_attempts"), written, 0..=1_000_000);
    Ok(RestartPolicy {
        attempts: raw.restart_attempts.map_or(Ok(original.attempts), attempts)?,
        interval: span_or(raw.restart_interval, original.interval),
        delay: span_or(raw.restart_delay, default_delay.unwrap_or(original.delay)),
    })
}

fn reschedule(place: &Place, raw: &Nomad) -> Checked<ReschedulePolicy> {
    let original = ReschedulePolicy::default();
    let interval_at = place.key("reschedule_interval");
    let limit = match (raw.reschedule_attempts, raw.reschedule_interval) {
        (None, None) => None,
        (Some(written), Some(interval)) => {
            let attempts = count(&place.key("reschedule_attempts"), written, 0..=1_000_000)?;
            Some(Limit { attempts, interval: interval.0 })
        }
        (Some(_), None) => return Err(interval_at.breaks("must be given with reschedule_attempts")),
        (None, Some(_)) => return Err(interval_at.breaks("must be absent without reschedule_attempts")),
    };
    let delay = span_or(raw.reschedule_delay, original.delay);
    let delay_function = raw.reschedule_delay_function.map_or(original.delay_function, |word| word.0);
    let max_delay = span_or(raw.reschedule_max_delay, original.max_delay);
    place.key("reschedule_delay").holds(delay >= LEAST_DELAY, "must be at least 5s")?;
    let is_bounded = delay_function == DelayFunction::Constant || max_delay >= delay;
    place.key("reschedule_max_delay").holds(is_bounded, "must be at least reschedule_delay")?;
    Ok(ReschedulePolicy { delay, delay_function, max_delay, limit })
}
