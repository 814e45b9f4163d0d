//! Strategies as the settings of a real orchestrator's file: the way back from a study to a deployment.
//!
//! What is written is a whole object, so that it can be imported again and gives the same strategy. Placeholders stand for
//! what no scenario knows: images, labels, and how a probe asks.

use super::{export_argo, export_ecs, export_nomad};
use crate::rollout::kubernetes::{self, Kind};
use crate::rollout::swarm::{self, UpdateConfig};
use crate::rollout::{Strategy, What};
use crate::scenario::{NamedStrategy, Probe, Release, Scenario};
use std::fmt::Write;
use std::time::Duration;

/// Whose file it is to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// A Kubernetes Deployment.
    Kubernetes,
    /// A service of a Docker stack.
    Swarm,
    /// A job of Nomad's.
    Nomad,
    /// An Argo Rollout.
    Argo,
    /// A CloudFormation template with an ECS service.
    Ecs,
}

impl Format {
    /// All of them.
    pub const ALL: [Format; 5] = [Format::Kubernetes, Format::Swarm, Format::Nomad, Format::Argo, Format::Ecs];

    /// The orchestrator's name.
    pub const fn name(self) -> &'static str {
        match self {
            Format::Kubernetes => "kubernetes",
            Format::Swarm => "swarm",
            Format::Nomad => "nomad",
            Format::Argo => "argo",
            Format::Ecs => "ecs",
        }
    }
}

/// A strategy's settings, and those of the release that belong to the same file. `None` where the strategy is not that
/// orchestrator's.
pub fn export(scenario: &Scenario, strategy: &NamedStrategy, format: Format) -> Option<String> {
    let named = |settings: String, left_out: Vec<String>| {
        let mut text = format!("# strategy `{}` of scenario `{}`\n", strategy.name, scenario.name);
        for what in left_out {
            let _ = writeln!(text, "# not in here: {what}");
        }
        text + &settings
    };
    match (format, &strategy.strategy) {
        (Format::Kubernetes, Strategy::Kubernetes(settings)) => {
            Some(named(deployment(scenario, strategy, settings), beside_deployment(settings)))
        }
        (Format::Swarm, Strategy::Swarm(settings)) => {
            Some(named(stack(scenario, strategy, settings), beside_stack(settings)))
        }
        (Format::Nomad, Strategy::Nomad(settings)) => {
            let left_out = export_nomad::beside_job(scenario, settings);
            Some(named(export_nomad::job(scenario, &object_name(strategy), settings), left_out))
        }
        (Format::Argo, Strategy::Argo(settings)) => {
            let left_out = export_argo::beside_rollout(settings);
            Some(named(export_argo::rollout(scenario, &object_name(strategy), settings), left_out))
        }
        (Format::Ecs, Strategy::Ecs(settings)) => {
            let left_out = export_ecs::beside_template(scenario, settings);
            Some(named(export_ecs::template(scenario, &object_name(strategy), settings), left_out))
        }
        _ => None,
    }
}

/// A name that all orchestrators take.
fn object_name(strategy: &NamedStrategy) -> String {
    let allowed = |c: char| if c.is_ascii_alphanumeric() { c.to_ascii_lowercase() } else { '-' };
    let name: String = strategy.name.chars().map(allowed).collect();
    let name = name.trim_matches('-');
    if name.is_empty() { "web".to_owned() } else { name.to_owned() }
}

pub(super) fn commands(commands: &[crate::rollout::Command]) -> Option<String> {
    let typed = |what: &What| match what {
        What::Pause => "pause",
        What::Resume => "resume",
        What::Promote => "promote",
        What::Abort => "abort",
        What::Undo => "undo",
        What::Deploy(_) => "deploy",
        What::Scale(_) => "scale",
    };
    let all: Vec<&str> = commands.iter().map(|command| typed(&command.what)).collect();
    (!all.is_empty()).then(|| format!("what people type ({})", all.join(", ")))
}

// --- Kubernetes
// ---------------------------------------------------------------------------------------------------------------

fn beside_deployment(settings: &kubernetes::Settings) -> Vec<String> {
    let quota =
        settings.quota.map(|quota| format!("the quota of {quota} pods, which is the namespace's (ResourceQuota)"));
    let control_plane = (settings.control_plane != kubernetes::ControlPlane::default())
        .then(|| "the latencies and limits of the control plane".to_owned());
    [quota, control_plane, commands(&settings.commands)].into_iter().flatten().collect()
}

fn deployment(scenario: &Scenario, strategy: &NamedStrategy, settings: &kubernetes::Settings) -> String {
    let release = &scenario.release;
    let name = object_name(strategy);
    let mut text = format!(
        "apiVersion: apps/v1\nkind: Deployment\nmetadata:\n  name: {name}\nspec:\n  replicas: {}\n  minReadySeconds: {}\n  \
         progressDeadlineSeconds: {}\n  strategy:\n",
        scenario.service.instances,
        settings.min_ready.as_secs(),
        settings.progress_deadline.map_or(i32::MAX as u64, |deadline| deadline.as_secs()),
    );
    let mut line = |line: &str| {
        text.push_str(line);
        text.push('\n');
    };
    match settings.kind {
        Kind::Recreate => line("    type: Recreate"),
        Kind::RollingUpdate { max_surge, max_unavailable } => {
            line("    type: RollingUpdate");
            line("    rollingUpdate:");
            line(&format!("      maxSurge: {max_surge}"));
            line(&format!("      maxUnavailable: {max_unavailable}"));
        }
    }
    if let Some(policy) = settings.replacement {
        line(&format!("  podReplacementPolicy: {}", policy.name()));
    }
    text + &template(release, &name)
}

/// The selector and the pods of a Deployment or a Rollout.
pub(super) fn template(release: &Release, name: &str) -> String {
    let mut text = String::new();
    let mut line = |line: &str| {
        text.push_str(line);
        text.push('\n');
    };
    line(&format!("  selector:\n    matchLabels:\n      app: {name}"));
    line(&format!("  template:\n    metadata:\n      labels:\n        app: {name}\n    spec:"));
    if let Some(grace) = release.grace {
        line(&format!("      terminationGracePeriodSeconds: {}{}", whole(grace), rounded(grace)));
    }
    line(&format!("      containers:\n        - name: {name}\n          image: IMAGE"));
    if let Some(Probe { initial_delay, period, thresholds }) = release.ready_probe {
        line("          readinessProbe:\n            httpGet: { path: /, port: 80 } # or however it is asked");
        line(&format!("            initialDelaySeconds: {}{}", whole(initial_delay), rounded(initial_delay)));
        line(&format!("            periodSeconds: {}{}", whole(period).max(1), rounded(period)));
        line(&format!("            successThreshold: {}", thresholds.success));
        line(&format!("            failureThreshold: {}", thresholds.failure));
    }
    if !release.pre_stop.is_zero() {
        let (seconds, rounded) = (whole(release.pre_stop), rounded(release.pre_stop));
        line(&format!(
            "          lifecycle:\n            preStop:\n              sleep: {{ seconds: {seconds} }}{rounded}"
        ));
    }
    text
}

/// Whole seconds, rounded up: Kubernetes and AWS know no others.
pub(super) fn whole(span: Duration) -> u64 {
    span.as_secs() + u64::from(span.subsec_nanos() > 0)
}

pub(super) fn rounded(span: Duration) -> String {
    if span.subsec_nanos() == 0 {
        String::new()
    } else {
        format!(" # {}, rounded up", humantime::format_duration(span))
    }
}

// --- Docker Swarm
// -------------------------------------------------------------------------------------------------------------

fn beside_stack(settings: &swarm::Settings) -> Vec<String> {
    let change = (settings.change != swarm::Change::default()).then(|| "what is changed beside the image".to_owned());
    let latency = (settings.stop_latency != swarm::STOP_LATENCY).then(|| "the daemon's own stop latency".to_owned());
    let monitor = [("update", &settings.update), ("rollback", &settings.rollback)]
        .into_iter()
        .filter(|(_, config)| config.monitor.is_zero())
        .map(|(name, _)| format!("the {name}'s monitor of 0, which Docker takes for its default, 5s"));
    let others = [change, latency, commands(&settings.commands)];
    others.into_iter().flatten().chain(monitor).collect()
}

fn stack(scenario: &Scenario, strategy: &NamedStrategy, settings: &swarm::Settings) -> String {
    let release = &scenario.release;
    let mut text = format!("version: \"3.8\"\nservices:\n  {}:\n    image: IMAGE\n", object_name(strategy));
    let mut line = |line: String| {
        text.push_str(&line);
        text.push('\n');
    };
    if let Some(grace) = release.grace {
        line(format!("    stop_grace_period: {}", go(grace)));
    }
    if let Some(Probe { period, thresholds, .. }) = release.ready_probe {
        line("    healthcheck:\n      test: [\"CMD\", \"true\"] # or however it is asked".to_owned());
        line(format!("      interval: {}\n      retries: {}", go(period), thresholds.failure));
    }
    line(format!("    deploy:\n      replicas: {}", scenario.service.instances));
    for (name, config) in [("update_config", &settings.update), ("rollback_config", &settings.rollback)] {
        let UpdateConfig { parallelism, delay, monitor, max_failure_ratio, failure_action, order } = config;
        line(format!("      {name}:\n        parallelism: {parallelism}\n        delay: {}", go(*delay)));
        line(format!("        failure_action: {}", failure_action.name()));
        if !monitor.is_zero() {
            line(format!("        monitor: {}", go(*monitor)));
        }
        line(format!("        max_failure_ratio: {max_failure_ratio}\n        order: {}", order.name()));
    }
    let swarm::RestartPolicy { condition, delay, max_attempts, window } = settings.restart;
    line(format!("      restart_policy:\n        condition: {}\n        delay: {}", condition.name(), go(delay)));
    line(format!("        max_attempts: {max_attempts}\n        window: {}", go(window)));
    text
}

/// A span as Go reads it.
pub(super) fn go(span: Duration) -> String {
    match (span.as_secs(), span.subsec_nanos()) {
        (seconds, 0) => format!("{seconds}s"),
        (_, nanos) if nanos % 1_000_000 == 0 => format!("{}ms", span.as_millis()),
        _ => format!("{}ns", span.as_nanos()),
    }
}
