//! Amazon ECS: services of CloudFormation templates, services and task definitions as the command line writes them.
//!
//! Sources: the API reference of ECS (CreateService, DeploymentConfiguration, DeploymentCircuitBreaker,
//! ContainerDefinition) and of Elastic Load Balancing (TargetGroup). The minimum rounds up, the maximum rounds down.

use super::cloudformation::{Template, referred};
use super::pods::fact;
use super::section::{Notes, Section, Setting, Spelling};
use super::sets::map;
use super::tree::{Entry, Node};
use super::values::{Seconds, loose_boolean, loose_count, loose_seconds, word};
use super::{Obstacle, Others, Spec, Workload};
use serde_json::{Map, Value as Json, json};
use std::collections::BTreeMap;

/// `stopTimeout` where none is given.
const STOP_TIMEOUT: Seconds = Seconds::whole(30);

const SCHEDULING: [&str; 2] = ["REPLICA", "DAEMON"];
const CONTROLLERS: [&str; 3] = ["ECS", "CODE_DEPLOY", "EXTERNAL"];
const STRATEGIES: [&str; 4] = ["ROLLING", "BLUE_GREEN", "LINEAR", "CANARY"];
const THRESHOLDS: [&str; 3] = ["BOUNDED_PERCENT", "UNBOUNDED_PERCENT", "COUNT"];

/// A service.
#[derive(Clone, Debug, PartialEq)]
pub struct EcsService {
    /// `DesiredCount`; none for a service with a task a node.
    pub desired: Setting<u32>,
    /// Where that comes from.
    pub desired_source: String,
    /// `SchedulingStrategy`.
    pub scheduling: Setting<&'static str>,
    /// `DeploymentController.Type`.
    pub controller: Setting<&'static str>,
    /// `DeploymentConfiguration.Strategy`.
    pub strategy: Setting<&'static str>,
    /// `MinimumHealthyPercent`.
    pub minimum_healthy_percent: Setting<u32>,
    /// `MaximumPercent`.
    pub maximum_percent: Setting<u32>,
    /// `DeploymentCircuitBreaker`.
    pub circuit_breaker: Option<EcsCircuitBreaker>,
    /// `BakeTimeInMinutes`.
    pub bake_time: Setting<u32>,
    /// `HealthCheckGracePeriodSeconds`.
    pub health_check_grace: Setting<Seconds>,
    /// The longest `StopTimeout` of a container.
    pub stop_timeout: Setting<Seconds>,
    /// The slowest health check of a container.
    pub container_check: Option<TaskHealthCheck>,
    /// Where its load balancers are named, counted from 1, if it has any.
    pub load_balancers: Option<usize>,
    /// The target group behind its load balancer, where the template has it.
    pub target_group: Option<TargetGroup>,
    /// The condition under which it exists.
    pub condition: Option<String>,
}

/// A circuit breaker, on or off.
#[derive(Clone, Debug, PartialEq)]
pub struct EcsCircuitBreaker {
    /// `Enable`.
    pub enable: Setting<bool>,
    /// `Rollback`.
    pub rollback: Setting<bool>,
    /// `ThresholdConfiguration.Type`.
    pub threshold_type: Setting<&'static str>,
    /// `ThresholdConfiguration.Value`.
    pub threshold_value: Setting<u32>,
    /// `ResetOnHealthyTask`.
    pub reset_on_healthy_task: Setting<bool>,
}

/// A target group.
#[derive(Clone, Debug, PartialEq)]
pub struct TargetGroup {
    /// `HealthCheckIntervalSeconds`.
    pub interval: Setting<Seconds>,
    /// `HealthCheckTimeoutSeconds`.
    pub timeout: Setting<Seconds>,
    /// `HealthyThresholdCount`.
    pub healthy: Setting<u32>,
    /// `UnhealthyThresholdCount`.
    pub unhealthy: Setting<u32>,
    /// `deregistration_delay.timeout_seconds`.
    pub deregistration_delay: Setting<Seconds>,
}

/// A task definition: what runs, but neither how many nor how they are replaced.
#[derive(Clone, Debug, PartialEq)]
pub struct TaskDefinition {
    /// Its containers.
    pub containers: Vec<TaskContainer>,
}

/// A container of a task definition.
#[derive(Clone, Debug, PartialEq)]
pub struct TaskContainer {
    /// Its name.
    pub name: Option<String>,
    /// `StopTimeout`.
    pub stop_timeout: Setting<Seconds>,
    /// `HealthCheck`.
    pub health_check: Option<TaskHealthCheck>,
}

/// A health check of a container.
#[derive(Clone, Debug, PartialEq)]
pub struct TaskHealthCheck {
    /// `Interval`.
    pub interval: Setting<Seconds>,
    /// `Timeout`.
    pub timeout: Setting<Seconds>,
    /// `Retries`.
    pub retries: Setting<u32>,
    /// `StartPeriod`.
    pub start_period: Setting<Seconds>,
}

/// The services of a CloudFormation template, or its task definitions where it has none; and the other resources by
/// type.
pub(super) fn read_template(document: &Node) -> (Vec<Workload>, BTreeMap<String, Others>) {
    let template = Template::new(document);
    let mut services = Vec::new();
    let mut definitions = Vec::new();
    let mut others = BTreeMap::new();
    for resource in template.resources() {
        let kind = resource.node.text_at("Type").unwrap_or("resource without a type");
        match kind {
            "AWS::ECS::Service" => services.push(service_resource(resource, &template)),
            "AWS::ECS::TaskDefinition" => definitions.push(resource),
            _ => Others::count(&mut others, kind, resource.line),
        }
    }
    if services.is_empty() {
        services.extend(definitions.iter().map(|resource| {
            let properties = resource.node.get("Properties").map(|properties| template.resolved(properties));
            let properties = properties.unwrap_or_else(|| resource.node.clone());
            task_definition(Some(resource.key.clone()), resource.line, &properties, Spelling::Same)
        }));
    }
    (services, others)
}

/// Whether a document is a service or a task definition as the command line writes it, alone or under the name of its
/// kind.
pub(super) fn is_plain(document: &Node) -> bool {
    !plain_services(document).is_empty() || plain_definition(document).is_some()
}

/// The services and task definitions of such a document.
pub(super) fn read_plain(document: &Node) -> Vec<Workload> {
    let mut workloads: Vec<Workload> = plain_services(document).into_iter().map(plain_service).collect();
    if let Some(definition) = plain_definition(document) {
        let name = definition.text_at("family").map(ToOwned::to_owned);
        workloads.push(task_definition(name, definition.line, definition, Spelling::SmallFirst));
    }
    workloads
}

fn plain_services(document: &Node) -> Vec<&Node> {
    let is_service = |node: &&Node| node.get("serviceName").is_some() || node.get("desiredCount").is_some();
    if is_service(&document) {
        return vec![document];
    }
    let single = document.get("service").into_iter();
    let several = document.get("services").map_or(&[][..], Node::elements).iter();
    single.chain(several).filter(is_service).collect()
}

fn plain_definition(document: &Node) -> Option<&Node> {
    [Some(document), document.get("taskDefinition")]
        .into_iter()
        .flatten()
        .find(|it| it.get("containerDefinitions").is_some())
}

fn plain_service(service: &Node) -> Workload {
    let mut notes = Notes::default();
    let source = if service.get("desiredCount").is_some() { "literal" } else { "default" };
    let section = Section::of("", service).spelt(Spelling::SmallFirst);
    let read = EcsService::read(section, source.to_owned(), &mut notes);
    Workload {
        name: service.text_at("serviceName").map(ToOwned::to_owned),
        namespace: None,
        kind: "ECS service".to_owned(),
        api_version: None,
        line: service.line,
        spec: Spec::EcsService(read),
        notes,
    }
}

fn service_resource(resource: &Entry, template: &Template<'_>) -> Workload {
    let mut notes = Notes::default();
    let written = resource.node.get("Properties");
    let resolved = written.map(|properties| template.resolved(properties));
    let place = format!("Resources.{}.Properties", resource.key);
    let section = match &resolved {
        Some(properties) => Section::of(place, properties),
        None => Section::absent(place, resource.line),
    };
    let raw = |key| written.and_then(|properties| properties.get(key));
    let mut service = EcsService::read(section, source_of(raw("DesiredCount")), &mut notes);
    let definition = raw("TaskDefinition").and_then(|task| template.resource(task, "AWS::ECS::TaskDefinition"));
    let properties = definition.and_then(|task| task.get("Properties")).map(|task| template.resolved(task));
    if let Some(properties) = properties {
        let containers = task_containers(Section::of("TaskDefinition", &properties), &mut notes);
        service.stop_timeout = longest_stop(&containers);
        let checks = containers.into_iter().filter_map(|container| container.health_check);
        service.container_check = checks.max_by_key(|check| check.interval.effective);
    }
    let balancers = raw("LoadBalancers").map_or(&[][..], Node::elements).iter();
    let mut groups = balancers.filter_map(|balancer| balancer.get("TargetGroupArn"));
    let group = groups.find_map(|group| template.resource(group, "AWS::ElasticLoadBalancingV2::TargetGroup"));
    let properties = group.and_then(|group| group.get("Properties")).map(|group| template.resolved(group));
    service.target_group = properties.map(|group| TargetGroup::read(&group, &mut notes));
    service.condition = resource.node.text_at("Condition").map(ToOwned::to_owned);
    Workload {
        name: Some(resource.key.clone()),
        namespace: None,
        kind: "AWS::ECS::Service".to_owned(),
        api_version: None,
        line: resource.line,
        spec: Spec::EcsService(service),
        notes,
    }
}

fn source_of(written: Option<&Node>) -> String {
    match written.map(|node| (referred(node), node.tag.is_none() && node.scalar().is_some())) {
        None => "default".to_owned(),
        Some((Some(parameter), _)) => format!("parameter {parameter}"),
        Some((None, true)) => "literal".to_owned(),
        Some((None, false)) => "expression".to_owned(),
    }
}

impl EcsService {
    fn read(mut service: Section<'_>, desired_source: String, notes: &mut Notes) -> Self {
        for key in ["ServiceName", "TaskDefinition"] {
            service.entry(key);
        }
        let load_balancers = service.entry("LoadBalancers").filter(|entry| !entry.node.elements().is_empty());
        let load_balancers = load_balancers.map(|entry| entry.line);
        let scheduling =
            service.setting("SchedulingStrategy", Some("REPLICA"), |scalar| word(scalar, &SCHEDULING), notes);
        let is_daemon = scheduling.effective == Some("DAEMON");
        let desired = service.setting("DesiredCount", (!is_daemon).then_some(1), loose_count, notes);
        let mut controller = service.section("DeploymentController", notes);
        let controller = controller.setting("Type", Some("ECS"), |scalar| word(scalar, &CONTROLLERS), notes);
        let mut deployment = service.section("DeploymentConfiguration", notes);
        let minimum =
            deployment.setting("MinimumHealthyPercent", Some(if is_daemon { 0 } else { 100 }), loose_count, notes);
        let maximum = deployment.setting("MaximumPercent", Some(if is_daemon { 100 } else { 200 }), loose_count, notes);
        let strategy = deployment.setting("Strategy", Some("ROLLING"), |scalar| word(scalar, &STRATEGIES), notes);
        let bake_time = deployment.setting("BakeTimeInMinutes", None, loose_count, notes);
        let breaker = deployment.section("DeploymentCircuitBreaker", notes);
        let circuit_breaker = breaker.is_written().then(|| EcsCircuitBreaker::read(breaker, notes));
        deployment.ignore_rest(notes);
        let health_check_grace =
            service.setting("HealthCheckGracePeriodSeconds", Some(Seconds::whole(0)), loose_seconds, notes);
        service.ignore_rest(notes);
        EcsService {
            desired,
            desired_source,
            scheduling,
            controller,
            strategy,
            minimum_healthy_percent: minimum,
            maximum_percent: maximum,
            circuit_breaker,
            bake_time,
            health_check_grace,
            stop_timeout: longest_stop(&[]),
            container_check: None,
            load_balancers,
            target_group: None,
            condition: None,
        }
    }

    /// How many tasks must stay healthy: rounds up.
    pub fn minimum_healthy(&self) -> Option<u32> {
        let hundredfold = u64::from(self.minimum_healthy_percent.effective?) * u64::from(self.desired.effective?);
        u32::try_from(hundredfold.div_ceil(100)).ok()
    }

    /// How many tasks there may be: rounds down.
    pub fn maximum(&self) -> Option<u32> {
        let hundredfold = u64::from(self.maximum_percent.effective?) * u64::from(self.desired.effective?);
        u32::try_from(hundredfold / 100).ok()
    }

    /// What of it is not a rolling update by ECS itself, and the line that says so.
    pub(super) fn unsupported(&self) -> Option<(usize, &'static str)> {
        let is = |setting: &Setting<&'static str>, word: &str| setting.effective == Some(word);
        let (scheduling, controller, strategy) = (&self.scheduling, &self.controller, &self.strategy);
        let found = [
            (scheduling, is(scheduling, "REPLICA"), "ECS services with a task on each instance"),
            (controller, !is(controller, "CODE_DEPLOY"), "ECS services that CodeDeploy deploys"),
            (controller, is(controller, "ECS"), "ECS services that somebody else deploys"),
            (strategy, is(strategy, "ROLLING"), "blue/green, linear and canary deployments of ECS"),
        ];
        found.into_iter().find(|(_, is_rolling, _)| !is_rolling).map(|(setting, _, what)| (setting.line, what))
    }

    fn strategy_type(&self) -> Option<String> {
        Some(match (self.controller.effective?, self.strategy.effective?) {
            ("ECS", "ROLLING") => "ECS rolling update".to_owned(),
            ("ECS", other) => format!("ECS {other}"),
            ("CODE_DEPLOY", _) => "CodeDeploy".to_owned(),
            (other, _) => other.to_owned(),
        })
    }

    pub(super) fn facts(&self) -> Map<String, Json> {
        let desired = self.desired.effective;
        let surge = self.maximum().zip(desired).map(|(most, desired)| most.saturating_sub(desired));
        let unavailable = self.minimum_healthy().zip(desired).map(|(least, desired)| desired.saturating_sub(least));
        let breaker = self.circuit_breaker.as_ref();
        let mut facts = map(json!({
            "replicas": desired,
            "replicas_source": self.desired_source,
            "strategy_type": self.strategy_type(),
            "minimum_healthy_percent_written": as_number(&self.minimum_healthy_percent),
            "minimum_healthy_count": self.minimum_healthy(),
            "maximum_percent_written": as_number(&self.maximum_percent),
            "maximum_count": self.maximum(),
            "circuit_breaker": breaker.map(|breaker| {
                json!({ "enable": breaker.enable.effective, "rollback": breaker.rollback.effective })
            }),
            "health_check_grace_seconds": fact(&self.health_check_grace),
            "stop_timeout_seconds": fact(&self.stop_timeout),
            "max_surge_count": surge,
            "max_unavailable_count": unavailable,
        }));
        if let Some(group) = &self.target_group {
            facts.insert("target_group".to_owned(), group.facts());
        }
        if let Some(condition) = &self.condition {
            facts.insert("condition".to_owned(), json!(condition));
        }
        facts
    }
}

impl EcsCircuitBreaker {
    fn read(mut breaker: Section<'_>, notes: &mut Notes) -> Self {
        let mut threshold = breaker.section("ThresholdConfiguration", notes);
        let default = THRESHOLDS[0];
        let threshold_type = threshold.setting("Type", Some(default), |scalar| word(scalar, &THRESHOLDS), notes);
        // Whoever writes a type writes a value.
        let default = (!threshold_type.is_written()).then_some(50);
        let threshold_value = threshold.setting("Value", default, loose_count, notes);
        threshold.ignore_rest(notes);
        let read = EcsCircuitBreaker {
            enable: breaker.setting("Enable", Some(false), loose_boolean, notes),
            rollback: breaker.setting("Rollback", Some(false), loose_boolean, notes),
            threshold_type,
            threshold_value,
            reset_on_healthy_task: breaker.setting("ResetOnHealthyTask", Some(true), loose_boolean, notes),
        };
        breaker.ignore_rest(notes);
        read
    }
}

/// What is written as the number that it is.
fn as_number(setting: &Setting<u32>) -> Option<u32> {
    setting.effective.filter(|_| setting.is_written())
}

impl TargetGroup {
    fn read(properties: &Node, notes: &mut Notes) -> Self {
        let mut group = Section::of("TargetGroup", properties);
        let attributes = properties.get("TargetGroupAttributes").map_or(&[][..], Node::elements).iter();
        let mut delays = attributes.filter(|it| it.text_at("Key") == Some("deregistration_delay.timeout_seconds"));
        let default = Some(Seconds::whole(300));
        let deregistration_delay = match delays.next() {
            Some(delay) => {
                Section::of("TargetGroup.deregistration_delay", delay).setting("Value", default, loose_seconds, notes)
            }
            None => group.setting("deregistration_delay", default, loose_seconds, notes),
        };
        TargetGroup {
            interval: group.setting("HealthCheckIntervalSeconds", Some(Seconds::whole(30)), loose_seconds, notes),
            timeout: group.setting("HealthCheckTimeoutSeconds", Some(Seconds::whole(5)), loose_seconds, notes),
            healthy: group.setting("HealthyThresholdCount", Some(5), loose_count, notes),
            unhealthy: group.setting("UnhealthyThresholdCount", Some(2), loose_count, notes),
            deregistration_delay,
        }
    }

    fn facts(&self) -> Json {
        json!({
            "interval": fact(&self.interval),
            "timeout": fact(&self.timeout),
            "healthy": self.healthy.effective,
            "unhealthy": self.unhealthy.effective,
            "deregistration_delay_seconds": fact(&self.deregistration_delay),
        })
    }
}

fn task_definition(name: Option<String>, line: usize, properties: &Node, spelling: Spelling) -> Workload {
    let mut notes = Notes::default();
    let containers = task_containers(Section::of("", properties).spelt(spelling), &mut notes);
    let problem = "must be a service: a task definition says neither how many there are nor how they are replaced";
    notes.stops(Obstacle::NoService, line, "", problem);
    Workload {
        name,
        namespace: None,
        kind: "task definition".to_owned(),
        api_version: None,
        line,
        spec: Spec::TaskDefinition(TaskDefinition { containers }),
        notes,
    }
}

fn task_containers(mut definition: Section<'_>, notes: &mut Notes) -> Vec<TaskContainer> {
    let place = definition.key("ContainerDefinitions");
    let spelling = definition.spelling();
    let containers = definition.list("ContainerDefinitions", notes).iter();
    containers.map(|container| TaskContainer::read(Section::of(&place, container).spelt(spelling), notes)).collect()
}

fn longest_stop(containers: &[TaskContainer]) -> Setting<Seconds> {
    let longest = containers.iter().map(|container| &container.stop_timeout).max_by_key(|stop| stop.effective);
    let default = || Setting { field: "StopTimeout".to_owned(), written: None, line: 1, effective: Some(STOP_TIMEOUT) };
    longest.cloned().unwrap_or_else(default)
}

impl TaskContainer {
    fn read(mut container: Section<'_>, notes: &mut Notes) -> Self {
        let name = container.entry("Name").and_then(|entry| entry.node.text()).map(ToOwned::to_owned);
        let check = container.section("HealthCheck", notes);
        let health_check = check.is_written().then(|| TaskHealthCheck::read(check, notes));
        let stop_timeout = container.setting("StopTimeout", Some(STOP_TIMEOUT), loose_seconds, notes);
        TaskContainer { name, stop_timeout, health_check }
    }

    fn facts(&self) -> Json {
        let check = self.health_check.as_ref().map(|check| {
            json!({
                "interval": fact(&check.interval),
                "timeout": fact(&check.timeout),
                "retries": check.retries.effective,
                "start_period": fact(&check.start_period),
            })
        });
        json!({
            "container": self.name,
            "stop_timeout_seconds": fact(&self.stop_timeout),
            "health_check": check,
        })
    }
}

impl TaskHealthCheck {
    fn read(mut check: Section<'_>, notes: &mut Notes) -> Self {
        TaskHealthCheck {
            interval: check.setting("Interval", Some(Seconds::whole(30)), loose_seconds, notes),
            timeout: check.setting("Timeout", Some(Seconds::whole(5)), loose_seconds, notes),
            retries: check.setting("Retries", Some(3), loose_count, notes),
            start_period: check.setting("StartPeriod", Some(Seconds::whole(0)), loose_seconds, notes),
        }
    }
}

impl TaskDefinition {
    pub(super) fn facts(&self) -> Map<String, Json> {
        map(json!({
            "replicas": null,
            "containers": self.containers.iter().map(TaskContainer::facts).collect::<Vec<_>>(),
        }))
    }
}
