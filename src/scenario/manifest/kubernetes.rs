//! Kubernetes objects, and the Deployments among them.
//!
//! Sources: `pkg/apis/apps/v1/defaults.go` and `pkg/apis/apps/validation/validation.go` of kubernetes/kubernetes (1.36);
//! what percentages come to is [`resolve_fenceposts`](crate::rollout::kubernetes::resolve_fenceposts).

use super::pods::PodTemplate;
use super::section::{Notes, Section, Setting};
use super::tree::{Entry, Node};
use super::values::{CountOrPercent, Seconds, boolean, count, count_or_percent, meaning, seconds};
use super::{Obstacle, Others, Spec, Workload, argo, flagger, sets};
use crate::rollout::kubernetes::PodReplacement;
use crate::rollout::kubernetes::{Bound, Bounds};
use crate::scenario::words::DeploymentType;
use serde_json::{Value as Json, json};
use std::collections::BTreeMap;
use std::fmt;

/// `progressDeadlineSeconds` where none is given.
const PROGRESS_DEADLINE: Seconds = Seconds::whole(600);

/// `maxSurge` and `maxUnavailable` where none is given.
pub(super) const A_QUARTER: CountOrPercent = CountOrPercent(Bound::Percent(25));

/// A Deployment.
#[derive(Clone, Debug, PartialEq)]
pub struct Deployment {
    /// `replicas`.
    pub replicas: Setting<u32>,
    /// Whether there is a `strategy`.
    pub strategy_written: bool,
    /// `strategy.type`.
    pub kind: Setting<DeploymentType>,
    /// `maxSurge`; without effect unless the type is RollingUpdate.
    pub max_surge: Setting<CountOrPercent>,
    /// `maxUnavailable`; without effect unless the type is RollingUpdate.
    pub max_unavailable: Setting<CountOrPercent>,
    /// `minReadySeconds`.
    pub min_ready: Setting<Seconds>,
    /// `progressDeadlineSeconds`.
    pub progress_deadline: Setting<Seconds>,
    /// `podReplacementPolicy` (KEP-3973).
    pub replacement: Setting<PodReplacement>,
    /// `paused`.
    pub paused: Setting<bool>,
    /// Its pods.
    pub pods: PodTemplate,
}

impl fmt::Display for DeploymentType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            DeploymentType::RollingUpdate => "RollingUpdate",
            DeploymentType::Recreate => "Recreate",
        })
    }
}

/// Whether a document is a Kubernetes object.
pub(super) fn is_object(document: &Node) -> bool {
    document.text_at("kind").is_some() && document.text_at("apiVersion").is_some()
}

/// The objects of documents, those in lists included.
fn objects(documents: &[Node]) -> Vec<&Node> {
    let mut objects = Vec::new();
    for document in documents {
        let items =
            document.get("items").filter(|_| document.text_at("kind").is_some_and(|kind| kind.ends_with("List")));
        match items {
            Some(items) => objects.extend(items.elements()),
            None => objects.push(document),
        }
    }
    objects
}

/// The workloads among the objects, and the other objects by kind.
pub(super) fn read(documents: &[Node]) -> (Vec<Workload>, BTreeMap<String, Others>) {
    let objects = objects(documents);
    let mut workloads = Vec::new();
    let mut others = BTreeMap::new();
    for object in &objects {
        let kind = object.text_at("kind").unwrap_or("object without a kind");
        let group = object.text_at("apiVersion").unwrap_or_default().split('/').next().unwrap_or_default();
        let read: fn(&Node, &mut Section<'_>, &mut Notes) -> Spec = match (kind, group) {
            ("Deployment", _) => deployment,
            ("StatefulSet", _) => sets::stateful_set,
            ("DaemonSet", _) => sets::daemon_set,
            ("HorizontalPodAutoscaler", _) => sets::autoscaler,
            ("PodDisruptionBudget", _) => sets::disruption_budget,
            ("Rollout", "argoproj.io") => argo::rollout,
            ("Canary", "flagger.app") => flagger::canary,
            _ => {
                Others::count(&mut others, kind, object.line);
                continue;
            }
        };
        workloads.push(workload(object, kind, read));
    }
    argo::resolve_references(&mut workloads, &objects);
    (workloads, others)
}

fn workload(object: &Node, kind: &str, read: fn(&Node, &mut Section<'_>, &mut Notes) -> Spec) -> Workload {
    let metadata = |key| object.get("metadata").and_then(|metadata| metadata.text_at(key)).map(ToOwned::to_owned);
    let mut notes = Notes::default();
    let mut top = Section::of("", object);
    for key in ["apiVersion", "kind", "metadata", "status"] {
        top.entry(key);
    }
    let mut spec = top.section("spec", &mut notes);
    let what = read(object, &mut spec, &mut notes);
    spec.ignore_rest(&mut notes);
    top.ignore_rest(&mut notes);
    Workload {
        name: metadata("name"),
        namespace: metadata("namespace"),
        kind: kind.to_owned(),
        api_version: object.text_at("apiVersion").map(ToOwned::to_owned),
        line: object.entry("kind").map_or(object.line, |entry| entry.line),
        spec: what,
        notes,
    }
}

/// Refuses an object that is only part of one, to be laid over another: it runs nothing.
pub(super) fn refuse_part(kind: &str, spec: &mut Section<'_>, pods: &PodTemplate, notes: &mut Notes) {
    let selects = spec.entry("selector").is_some();
    if !pods.is_whole(selects) {
        let field = spec.key("template.spec.containers");
        let problem = format!("must be given with their images: this is a patch of a {kind}, not a whole one");
        notes.stops(Obstacle::Patch, spec.line, &field, problem);
    }
}

fn deployment(_: &Node, spec: &mut Section<'_>, notes: &mut Notes) -> Spec {
    let replicas = spec.setting("replicas", Some(1), count, notes);
    let mut strategy = spec.section("strategy", notes);
    let kind = strategy.setting("type", Some(DeploymentType::RollingUpdate), deployment_type, notes);
    let mut rolling = strategy.section("rollingUpdate", notes);
    let is_rolling = kind.effective != Some(DeploymentType::Recreate);
    let default = is_rolling.then_some(A_QUARTER);
    let max_surge = rolling.setting("maxSurge", default, count_or_percent, notes);
    let max_unavailable = rolling.setting("maxUnavailable", default, count_or_percent, notes);
    if is_rolling {
        refuse_impossible(&rolling, &max_surge, &max_unavailable, notes);
    } else if rolling.is_written() {
        notes.breaks(rolling.line, &rolling.place, "must be absent when type is \"Recreate\"");
    }
    rolling.ignore_rest(notes);
    strategy.ignore_rest(notes);
    let min_ready = spec.setting("minReadySeconds", Some(Seconds::whole(0)), seconds, notes);
    let progress_deadline = spec.setting("progressDeadlineSeconds", Some(PROGRESS_DEADLINE), seconds, notes);
    if progress_deadline.effective.zip(min_ready.effective).is_some_and(|(deadline, ready)| deadline <= ready) {
        let field = spec.key("progressDeadlineSeconds");
        notes.breaks(progress_deadline.line, &field, "must exceed minReadySeconds");
    }
    let replacement = spec.setting("podReplacementPolicy", None, replacement_policy, notes);
    let paused = spec.setting("paused", Some(false), boolean, notes);
    if paused.effective == Some(true) {
        notes.breaks(paused.line, &spec.key("paused"), "must be false, or nothing is rolled out");
    }
    let pods = PodTemplate::read(&mut spec.section("template", notes), notes);
    refuse_part("Deployment", spec, &pods, notes);
    Spec::Deployment(Deployment {
        replicas,
        strategy_written: strategy.is_written(),
        kind,
        max_surge,
        max_unavailable,
        min_ready,
        progress_deadline,
        replacement,
        paused,
        pods,
    })
}

fn deployment_type(scalar: &super::Scalar) -> Result<DeploymentType, String> {
    meaning(scalar, &[("RollingUpdate", DeploymentType::RollingUpdate), ("Recreate", DeploymentType::Recreate)])
}

fn replacement_policy(scalar: &super::Scalar) -> Result<PodReplacement, String> {
    use PodReplacement::{TerminationComplete, TerminationStarted};
    meaning(scalar, &[TerminationStarted, TerminationComplete].map(|policy| (policy.name(), policy)))
}

/// What the API server refuses of the bounds of a rolling update.
fn refuse_impossible(
    rolling: &Section<'_>,
    max_surge: &Setting<CountOrPercent>,
    max_unavailable: &Setting<CountOrPercent>,
    notes: &mut Notes,
) {
    let is_zero = |setting: &Setting<CountOrPercent>| {
        matches!(setting.effective, Some(CountOrPercent(Bound::Count(0) | Bound::Percent(0))))
    };
    if is_zero(max_surge) && is_zero(max_unavailable) {
        let field = rolling.key("maxUnavailable");
        notes.breaks(max_unavailable.line, &field, "must exceed 0 when maxSurge is 0, or no step is possible");
    }
    if matches!(max_unavailable.effective, Some(CountOrPercent(Bound::Percent(101..)))) {
        notes.breaks(max_unavailable.line, &rolling.key("maxUnavailable"), "must be at most 100%");
    }
}

impl Deployment {
    /// How many instances a rolling update may have too many and too few; none for Recreate, or where a setting is
    /// wrong.
    pub fn bounds(&self) -> Option<Bounds> {
        let is_rolling = self.kind.effective == Some(DeploymentType::RollingUpdate);
        let (surge, unavailable) = (self.max_surge.effective?, self.max_unavailable.effective?);
        is_rolling.then_some(Bounds::resolve(surge.0, unavailable.0, self.replicas.effective?))
    }

    pub(super) fn facts(&self) -> serde_json::Map<String, Json> {
        let mut facts = serde_json::Map::new();
        let mut say = |key: &str, value: Json| facts.insert(key.to_owned(), value);
        say("replicas", json!(self.replicas.effective));
        say("replicas_written", json!(self.replicas.written));
        let kind = self.kind.effective.map(|kind| kind.to_string());
        say("strategy_type", json!(kind.or_else(|| self.kind.written.as_ref().map(ToString::to_string))));
        say("strategy_written", self.strategy_written.into());
        let bounds = self.bounds();
        let is_recreate = self.kind.effective == Some(DeploymentType::Recreate);
        for (name, setting, count) in [
            ("max_surge", &self.max_surge, bounds.map(|bounds| bounds.surge)),
            ("max_unavailable", &self.max_unavailable, bounds.map(|bounds| bounds.unavailable)),
        ] {
            say(&format!("{name}_written"), json!(setting.written));
            if !is_recreate {
                say(&format!("{name}_effective"), json!(setting.effective.map(CountOrPercent::scalar)));
            }
            say(&format!("{name}_count"), json!(count));
        }
        let least = bounds.map(|bounds| bounds.desired - bounds.unavailable);
        say("min_available", json!(least.or(is_recreate.then_some(0))));
        let most = bounds.map(|bounds| bounds.most());
        say("max_total", json!(most.or(self.replicas.effective.filter(|_| is_recreate))));
        say("min_ready_seconds", super::pods::fact(&self.min_ready));
        say("progress_deadline_seconds", super::pods::fact(&self.progress_deadline));
        say("paused", json!(self.paused.effective));
        self.pods.facts(&mut facts);
        facts
    }
}

/// The `metadata.name` or the like that an object refers to, as `Kind/name`.
pub(super) fn reference(entry: Option<&Entry>) -> Option<String> {
    let node = &entry?.node;
    // In a template the name may be an expression.
    let name = node.text_at("name").or_else(|| node.get("name").map(|_| "(template)"))?;
    Some(format!("{}/{name}", node.text_at("kind")?))
}
