//! A strategy as a CloudFormation template in YAML.

use super::export::{commands, rounded, whole};
use crate::rollout::ecs::{CircuitBreaker, Settings};
use crate::scenario::{Probe, Scenario};
use std::fmt::Write;
use std::time::Duration;

/// What a template of a service cannot say.
pub(super) fn beside_template(scenario: &Scenario, settings: &Settings) -> Vec<String> {
    let release = &scenario.release;
    let alarm = settings.alarm.map(|_| "the alarm, which is CloudWatch's".to_owned());
    let quota = settings.quota.map(|quota| format!("the cluster's room for {quota} tasks"));
    let pre_stop = (!release.pre_stop.is_zero()).then(|| "the preStop hook, which ECS does not have".to_owned());
    let initial_delay = release.ready_probe.filter(|probe| !probe.initial_delay.is_zero());
    let initial_delay = initial_delay.map(|_| "the initial delay of the probe, which no target group has".to_owned());
    let is_undrained = release.ready_probe.is_none() && !release.drain.is_zero();
    let drain = is_undrained.then(|| "the deregistration delay, where there is no target group".to_owned());
    let others = [alarm, quota, pre_stop, initial_delay, drain, commands(&settings.commands)];
    others.into_iter().flatten().collect()
}

pub(super) fn template(scenario: &Scenario, name: &str, settings: &Settings) -> String {
    let release = &scenario.release;
    let mut text = format!(
        "AWSTemplateFormatVersion: \"2010-09-09\"\nResources:\n  Service:\n    Type: AWS::ECS::Service\n    Properties:\n      \
         ServiceName: {name}\n      Cluster: CLUSTER\n      TaskDefinition: !Ref TaskDefinition\n      DesiredCount: {}\n",
        scenario.service.instances
    );
    let mut line = |line: &str| {
        let _ = writeln!(text, "{line}");
    };
    deployment(settings, &mut line);
    let grace = settings.health_check_grace_period;
    if !grace.is_zero() {
        line(&format!("      HealthCheckGracePeriodSeconds: {}", whole(grace)));
    }
    if release.ready_probe.is_some() {
        line("      LoadBalancers:");
        line(&format!("        - ContainerName: {name}\n          ContainerPort: 80 # or whichever it is"));
        line("          TargetGroupArn: !Ref TargetGroup");
    } else {
        line("      # Nobody asks whether a task is healthy: it counts as such 40 s after it began to run.");
    }
    line("  TaskDefinition:\n    Type: AWS::ECS::TaskDefinition\n    Properties:\n      ContainerDefinitions:");
    line(&format!("        - Name: {name}\n          Image: IMAGE"));
    if let Some(grace) = release.grace {
        line(&format!("          StopTimeout: {}{}", whole(grace), rounded(grace)));
    }
    if let Some(probe) = release.ready_probe {
        target_group(probe, release.drain, &mut line);
    }
    text
}

fn deployment(settings: &Settings, line: &mut impl FnMut(&str)) {
    line("      DeploymentConfiguration:");
    line(&format!("        MinimumHealthyPercent: {}", settings.minimum_healthy_percent));
    line(&format!("        MaximumPercent: {}", settings.maximum_percent));
    let by_default = settings.alarm.map_or(Duration::ZERO, |alarm| alarm.looks_back());
    if settings.bake_time != by_default {
        line(&format!("        BakeTimeInMinutes: {}", whole(settings.bake_time).div_ceil(60)));
    }
    let CircuitBreaker { threshold, reset_on_healthy_task, rollback } = settings.circuit_breaker.unwrap_or_default();
    line(&format!("        DeploymentCircuitBreaker:\n          Enable: {}", settings.circuit_breaker.is_some()));
    line(&format!("          Rollback: {rollback}\n          ResetOnHealthyTask: {reset_on_healthy_task}"));
    let (of, value) = (threshold.of.name(), threshold.value);
    line(&format!("          ThresholdConfiguration:\n            Type: {of}\n            Value: {value}"));
}

fn target_group(probe: Probe, drain: Duration, line: &mut impl FnMut(&str)) {
    let Probe { period, thresholds, .. } = probe;
    line("  TargetGroup:\n    Type: AWS::ElasticLoadBalancingV2::TargetGroup\n    Properties:");
    line("      Protocol: HTTP # or however it is asked\n      Port: 80\n      VpcId: VPC\n      TargetType: ip");
    line(&format!("      HealthCheckIntervalSeconds: {}{}", whole(period).max(1), rounded(period)));
    line(&format!("      HealthyThresholdCount: {}", thresholds.success));
    line(&format!("      UnhealthyThresholdCount: {}", thresholds.failure));
    line("      TargetGroupAttributes:\n        - Key: deregistration_delay.timeout_seconds");
    line(&format!("          Value: \"{}\"{}", whole(drain), rounded(drain)));
}
