//! A strategy as a Nomad job in HCL.

use super::export::{commands, go};
use crate::rollout::nomad::{
    EVALUATION_BATCH, HealthCheck, Limit, OnUpdate, ReschedulePolicy, RestartPolicy, Settings,
};
use crate::scenario::{Probe, Scenario};
use std::fmt::Write;

/// What a job file cannot say.
pub(super) fn beside_job(scenario: &Scenario, settings: &Settings) -> Vec<String> {
    let release = &scenario.release;
    let batch = (settings.evaluation_batch != EVALUATION_BATCH).then(|| "the servers' own batching".to_owned());
    let pre_stop = (!release.pre_stop.is_zero()).then(|| "the preStop hook, which Nomad does not have".to_owned());
    let initial_delay = release.ready_probe.filter(|probe| !probe.initial_delay.is_zero());
    let initial_delay = initial_delay.map(|_| "the initial delay of the probe, which Consul does not have".to_owned());
    let is_asked = release.ready_probe.is_some();
    let is_own = settings.update.on_update == OnUpdate::default() || is_asked;
    let on_update = (!is_own).then(|| "on_update, where there is no check".to_owned());
    [batch, pre_stop, initial_delay, on_update, commands(&settings.commands)].into_iter().flatten().collect()
}

pub(super) fn job(scenario: &Scenario, name: &str, settings: &Settings) -> String {
    let update = &settings.update;
    let release = &scenario.release;
    let mut text = format!("job \"{name}\" {{\n  type = \"service\"\n\n  group \"{name}\" {{\n");
    let mut line = |line: String| {
        let _ = writeln!(text, "    {line}");
    };
    line(format!("count          = {}", scenario.service.instances));
    line(format!("shutdown_delay = \"{}\"", go(settings.shutdown_delay)));
    line("\n    update {".to_owned());
    line(format!("  max_parallel      = {}", update.max_parallel));
    line(format!("  canary            = {}", update.canary));
    line(format!("  health_check      = \"{}\"", update.health_check.name()));
    line(format!("  min_healthy_time  = \"{}\"", go(update.min_healthy_time)));
    line(format!("  healthy_deadline  = \"{}\"", go(update.healthy_deadline)));
    line(format!("  progress_deadline = \"{}\"", go(update.progress_deadline)));
    line(format!("  auto_revert       = {}", update.auto_revert));
    line(format!("  auto_promote      = {}", update.auto_promote));
    let RestartPolicy { attempts, interval, delay } = settings.restart;
    line(format!("}}\n\n    restart {{\n      attempts = {attempts}"));
    line(format!("  interval = \"{}\"\n      delay    = \"{}\"\n      mode     = \"fail\"", go(interval), go(delay)));
    let ReschedulePolicy { delay, delay_function, max_delay, limit } = settings.reschedule;
    line(format!("}}\n\n    reschedule {{\n      delay          = \"{}\"", go(delay)));
    line(format!("  delay_function = \"{}\"\n      max_delay      = \"{}\"", delay_function.name(), go(max_delay)));
    match limit {
        None => line("  unlimited      = true".to_owned()),
        Some(Limit { attempts, interval }) => {
            line(format!("  unlimited      = false\n      attempts       = {attempts}"));
            line(format!("  interval       = \"{}\"", go(interval)));
        }
    }
    line("}".to_owned());
    if let Some(Probe { period, thresholds, .. }) = release.ready_probe {
        line("\n    service {\n      check {\n        type     = \"http\" # or however it is asked".to_owned());
        line(format!("    path     = \"/\"\n        timeout  = \"2s\"\n        interval = \"{}\"", go(period)));
        line(format!("    success_before_passing   = {}", thresholds.success.get() - 1));
        line(format!("    failures_before_critical = {}", thresholds.failure.get() - 1));
        line(format!("    on_update = \"{}\"\n      }}\n    }}", update.on_update.name()));
    } else if update.health_check == HealthCheck::Checks {
        line("# No check is asked: what runs is healthy.".to_owned());
    }
    line(format!("\n    task \"{name}\" {{\n      driver = \"docker\""));
    if let Some(grace) = release.grace {
        line(format!("  kill_timeout = \"{}\"", go(grace)));
    }
    line("  config {\n        image = \"IMAGE\"\n      }\n    }\n  }\n}".to_owned());
    text
}
