//! The Kubernetes objects beside Deployments that decide about a rollout: StatefulSets, DaemonSets, autoscalers and
//! disruption budgets.
//!
//! Sources: `pkg/apis/apps/v1/defaults.go`, `pkg/apis/apps/validation/validation.go`,
//! `pkg/controller/statefulset/stateful_set_utils.go` (`getStatefulSetMaxUnavailable`) and
//! `pkg/controller/daemon/util/daemonset_util.go` of kubernetes/kubernetes (1.36).

use super::Spec;
use super::kubernetes::{reference, refuse_part};
use super::pods::{PodTemplate, fact};
use super::section::{Notes, Section, Setting};
use super::tree::{Node, Scalar, Value};
use super::values::{CountOrPercent, Seconds, count, count_or_percent, seconds, word};
use crate::rollout::kubernetes::Bound;
use serde_json::{Map, Value as Json, json};

/// A StatefulSet, of Kubernetes or in its form (OpenKruise).
#[derive(Clone, Debug, PartialEq)]
pub struct StatefulSet {
    /// `replicas`.
    pub replicas: Setting<u32>,
    /// Whether there is an `updateStrategy`.
    pub strategy_written: bool,
    /// `updateStrategy.type`: RollingUpdate or OnDelete.
    pub kind: Setting<&'static str>,
    /// `partition`: pods with a lower ordinal stay as they are.
    pub partition: Setting<u32>,
    /// `maxUnavailable`.
    pub max_unavailable: Setting<CountOrPercent>,
    /// `podManagementPolicy`: OrderedReady or Parallel.
    pub pod_management: Setting<&'static str>,
    /// `minReadySeconds`.
    pub min_ready: Setting<Seconds>,
    /// Its pods.
    pub pods: PodTemplate,
}

const UPDATE_TYPES: [&str; 2] = ["RollingUpdate", "OnDelete"];
const ONE: CountOrPercent = CountOrPercent(Bound::Count(1));
const NONE: CountOrPercent = CountOrPercent(Bound::Count(0));

pub(super) fn stateful_set(_: &Node, spec: &mut Section<'_>, notes: &mut Notes) -> Spec {
    let replicas = spec.setting("replicas", Some(1), count, notes);
    let mut strategy = spec.section("updateStrategy", notes);
    let kind = strategy.setting("type", Some("RollingUpdate"), |scalar| word(scalar, &UPDATE_TYPES), notes);
    let mut rolling = strategy.section("rollingUpdate", notes);
    let partition = rolling.setting("partition", Some(0), count, notes);
    let max_unavailable = rolling.setting("maxUnavailable", Some(ONE), count_or_percent, notes);
    if matches!(max_unavailable.effective, Some(CountOrPercent(Bound::Count(0) | Bound::Percent(0)))) {
        notes.breaks(max_unavailable.line, &rolling.key("maxUnavailable"), "must exceed 0");
    }
    rolling.ignore_rest(notes);
    strategy.ignore_rest(notes);
    let policies = |scalar: &Scalar| word(scalar, &["OrderedReady", "Parallel"]);
    let pod_management = spec.setting("podManagementPolicy", Some("OrderedReady"), policies, notes);
    let min_ready = spec.setting("minReadySeconds", Some(Seconds::whole(0)), seconds, notes);
    let pods = PodTemplate::read(&mut spec.section("template", notes), notes);
    refuse_part("StatefulSet", spec, &pods, notes);
    let strategy_written = strategy.is_written();
    Spec::StatefulSet(StatefulSet {
        replicas,
        strategy_written,
        kind,
        partition,
        max_unavailable,
        pod_management,
        min_ready,
        pods,
    })
}

impl StatefulSet {
    /// How many pods a rollout replaces: those from the partition on. None where pods wait to be deleted by hand.
    pub fn pods_updated(&self) -> Option<u32> {
        let is_rolling = self.kind.effective == Some("RollingUpdate");
        Some(self.replicas.effective?.saturating_sub(self.partition.effective?)).filter(|_| is_rolling)
    }

    /// How many pods may be unavailable: a share rounds down, but comes to at least 1.
    pub fn max_unavailable_count(&self) -> Option<u32> {
        let is_rolling = self.kind.effective == Some("RollingUpdate");
        let bound = self.max_unavailable.effective?.0;
        Some(bound.of(self.replicas.effective?, false).max(1)).filter(|_| is_rolling)
    }

    pub(super) fn facts(&self) -> Map<String, Json> {
        let mut facts = map(json!({
            "replicas": self.replicas.effective,
            "replicas_written": self.replicas.written,
            "strategy_type": self.kind.written.clone().or_else(|| self.kind.effective.map(|kind| Scalar::Text(kind.to_owned()))),
            "strategy_written": self.strategy_written,
            "partition": self.partition.effective,
            "partition_written": self.partition.written,
            "pods_updated": self.pods_updated(),
            "max_unavailable_written": self.max_unavailable.written,
            "max_unavailable_count": self.max_unavailable_count(),
            "max_surge_count": 0,
            "pod_management_policy": self.pod_management.written.clone()
                .or_else(|| self.pod_management.effective.map(|policy| Scalar::Text(policy.to_owned()))),
            "min_ready_seconds": fact(&self.min_ready),
        }));
        self.pods.facts(&mut facts);
        facts
    }
}

/// A DaemonSet: a pod a node.
#[derive(Clone, Debug, PartialEq)]
pub struct DaemonSet {
    /// Whether there is an `updateStrategy`.
    pub strategy_written: bool,
    /// `updateStrategy.type`: RollingUpdate or OnDelete.
    pub kind: Setting<&'static str>,
    /// `maxSurge`.
    pub max_surge: Setting<CountOrPercent>,
    /// `maxUnavailable`.
    pub max_unavailable: Setting<CountOrPercent>,
    /// `minReadySeconds`.
    pub min_ready: Setting<Seconds>,
    /// Its pods.
    pub pods: PodTemplate,
}

pub(super) fn daemon_set(_: &Node, spec: &mut Section<'_>, notes: &mut Notes) -> Spec {
    let mut strategy = spec.section("updateStrategy", notes);
    let kind = strategy.setting("type", Some("RollingUpdate"), |scalar| word(scalar, &UPDATE_TYPES), notes);
    let mut rolling = strategy.section("rollingUpdate", notes);
    let max_surge = rolling.setting("maxSurge", Some(NONE), count_or_percent, notes);
    let max_unavailable = rolling.setting("maxUnavailable", Some(ONE), count_or_percent, notes);
    rolling.ignore_rest(notes);
    strategy.ignore_rest(notes);
    let min_ready = spec.setting("minReadySeconds", Some(Seconds::whole(0)), seconds, notes);
    let pods = PodTemplate::read(&mut spec.section("template", notes), notes);
    refuse_part("DaemonSet", spec, &pods, notes);
    let strategy_written = strategy.is_written();
    Spec::DaemonSet(DaemonSet { strategy_written, kind, max_surge, max_unavailable, min_ready, pods })
}

/// Fleets of nodes for which [`DaemonSet::facts`] tells what its bounds come to.
const NODES: [u32; 4] = [3, 10, 25, 100];

impl DaemonSet {
    /// `maxSurge` and `maxUnavailable` as counts on so many nodes: both round up.
    pub fn bounds(&self, nodes: u32) -> Option<(u32, u32)> {
        Some((self.max_surge.effective?.0.of(nodes, true), self.max_unavailable.effective?.0.of(nodes, true)))
    }

    pub(super) fn facts(&self) -> Map<String, Json> {
        let on = |nodes: u32| {
            let bounds = self.bounds(nodes);
            json!({ "max_surge": bounds.map(|it| it.0), "max_unavailable": bounds.map(|it| it.1) })
        };
        let resolved: Map<String, Json> = NODES.into_iter().map(|nodes| (nodes.to_string(), on(nodes))).collect();
        let mut facts = map(json!({
            "replicas": null,
            "strategy_type": self.kind.effective,
            "strategy_written": self.strategy_written,
            "max_surge_written": self.max_surge.written,
            "max_surge_effective": self.max_surge.effective.map(CountOrPercent::scalar),
            "max_unavailable_written": self.max_unavailable.written,
            "max_unavailable_effective": self.max_unavailable.effective.map(CountOrPercent::scalar),
            "resolved_by_nodes": resolved,
            "min_ready_seconds": fact(&self.min_ready),
        }));
        self.pods.facts(&mut facts);
        facts
    }
}

/// A HorizontalPodAutoscaler: who decides how many replicas there are.
#[derive(Clone, Debug, PartialEq)]
pub struct Autoscaler {
    /// Whom it scales, as `Kind/name`.
    pub target: Option<String>,
    /// `minReplicas`.
    pub min_replicas: Setting<u32>,
    /// `maxReplicas`.
    pub max_replicas: Setting<u32>,
    /// What it looks at.
    pub metrics: Vec<Metric>,
    /// `behavior`, as it is written.
    pub behavior: Option<Json>,
}

/// What an autoscaler looks at.
#[derive(Clone, Debug, PartialEq)]
pub struct Metric {
    /// `type`.
    pub kind: Option<String>,
    /// The name of the resource or metric.
    pub name: Option<String>,
    /// `averageUtilization`, in percent.
    pub utilization: Option<Scalar>,
    /// `averageValue` or `value`.
    pub value: Option<Scalar>,
}

pub(super) fn autoscaler(_: &Node, spec: &mut Section<'_>, notes: &mut Notes) -> Spec {
    let target = reference(spec.entry("scaleTargetRef"));
    let min_replicas = spec.setting("minReplicas", Some(1), count, notes);
    let max_replicas = spec.setting("maxReplicas", None, count, notes);
    let mut metrics: Vec<Metric> = spec.list("metrics", notes).iter().map(Metric::read).collect();
    // autoscaling/v1 knows one metric only.
    if let Some(entry) = spec.entry("targetCPUUtilizationPercentage") {
        metrics.push(Metric {
            kind: Some("Resource".to_owned()),
            name: Some("cpu".to_owned()),
            utilization: entry.node.scalar().cloned(),
            value: None,
        });
    }
    let behavior = spec.entry("behavior").map(|entry| entry.node.to_json());
    Spec::Autoscaler(Autoscaler { target, min_replicas, max_replicas, metrics, behavior })
}

impl Metric {
    fn read(metric: &Node) -> Self {
        // What is measured stands under the only table there is: resource, pods, object, external, containerResource.
        let source = metric.entries().iter().find(|entry| matches!(entry.node.value, Value::Table(_)));
        let source = source.map(|entry| &entry.node);
        let name = source.and_then(|source| source.text_at("name").or_else(|| source.get("metric")?.text_at("name")));
        let target = source.and_then(|source| source.get("target"));
        let target = |key| target.and_then(|target| target.get(key)?.scalar().cloned());
        Metric {
            kind: metric.text_at("type").map(ToOwned::to_owned),
            name: name.map(ToOwned::to_owned),
            utilization: target("averageUtilization"),
            value: target("averageValue").or_else(|| target("value")),
        }
    }

    fn facts(&self) -> Json {
        json!({ "type": self.kind, "name": self.name, "utilization": self.utilization, "value": self.value })
    }
}

impl Autoscaler {
    pub(super) fn facts(&self) -> Map<String, Json> {
        map(json!({
            "target": self.target,
            "min_replicas": self.min_replicas.effective,
            "max_replicas": self.max_replicas.effective,
            "metrics": self.metrics.iter().map(Metric::facts).collect::<Vec<_>>(),
            "behavior": self.behavior,
        }))
    }
}

/// A PodDisruptionBudget: a bound on evictions, which a rolling update does not ask.
#[derive(Clone, Debug, PartialEq)]
pub struct DisruptionBudget {
    /// `minAvailable`.
    pub min_available: Setting<CountOrPercent>,
    /// `maxUnavailable`.
    pub max_unavailable: Setting<CountOrPercent>,
    /// `selector.matchLabels`, as it is written.
    pub selector: Option<Json>,
}

pub(super) fn disruption_budget(_: &Node, spec: &mut Section<'_>, notes: &mut Notes) -> Spec {
    let selector = spec.entry("selector").and_then(|entry| entry.node.get("matchLabels"));
    Spec::DisruptionBudget(DisruptionBudget {
        min_available: spec.setting("minAvailable", None, count_or_percent, notes),
        max_unavailable: spec.setting("maxUnavailable", None, count_or_percent, notes),
        selector: selector.map(Node::to_json),
    })
}

impl DisruptionBudget {
    pub(super) fn facts(&self) -> Map<String, Json> {
        map(json!({
            "min_available_written": self.min_available.written,
            "max_unavailable_written": self.max_unavailable.written,
            "selector": self.selector,
        }))
    }
}

/// The entries of a JSON table.
pub(super) fn map(table: Json) -> Map<String, Json> {
    if let Json::Object(entries) = table { entries } else { Map::new() }
}
