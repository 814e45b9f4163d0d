//! Argo Rollouts.
//!
//! Sources: `utils/defaults/defaults.go`, `utils/conditions/conditions.go` and `utils/replicaset/replicaset.go` of
//! argoproj/argo-rollouts. Without a traffic router the two sets are sized within maxSurge and maxUnavailable, which
//! resolve as a Deployment's; with one the canary is sized by its weight.

use super::kubernetes::{A_QUARTER, reference, refuse_part};
use super::pods::{PodTemplate, fact};
use super::section::{Notes, Section, Setting};
use super::sets::map;
use super::tree::{Node, Scalar, Value};
use super::values::{CountOrPercent, Seconds, boolean, count, count_or_percent, duration_or_seconds, seconds};
use super::{Spec, Workload};
use crate::rollout::kubernetes::{Bound, Bounds};
use serde_json::{Map, Value as Json, json};
use std::collections::BTreeMap;

/// `scaleDownDelaySeconds` where none is given and traffic is switched.
const SCALE_DOWN_DELAY: Seconds = Seconds::whole(30);

/// A Rollout.
#[derive(Clone, Debug, PartialEq)]
pub struct Rollout {
    /// `replicas`.
    pub replicas: Setting<u32>,
    /// `minReadySeconds`.
    pub min_ready: Setting<Seconds>,
    /// `progressDeadlineSeconds`.
    pub progress_deadline: Setting<Seconds>,
    /// `revisionHistoryLimit`.
    pub history: Setting<u32>,
    /// How the new version gets its share; `None` where neither way is written.
    pub strategy: Option<RolloutStrategy>,
    /// The object that has the pod template, as `Kind/name`.
    pub workload_ref: Option<String>,
    /// Its pods.
    pub pods: PodTemplate,
}

/// How the new version of a Rollout gets its share.
#[derive(Clone, Debug, PartialEq)]
pub enum RolloutStrategy {
    /// Step by step.
    Canary(Canary),
    /// All at once, by a switch.
    BlueGreen(BlueGreen),
}

/// `strategy.canary`.
#[derive(Clone, Debug, PartialEq)]
pub struct Canary {
    /// `maxSurge`.
    pub max_surge: Setting<CountOrPercent>,
    /// `maxUnavailable`.
    pub max_unavailable: Setting<CountOrPercent>,
    /// `steps`, in order.
    pub steps: Vec<Step>,
    /// The traffic routers by name; empty: weights are approximated by pods.
    pub traffic_routers: Vec<String>,
    /// `dynamicStableScale`.
    pub dynamic_stable_scale: Setting<bool>,
    /// Whether there is a `pingPong`.
    pub ping_pong: bool,
    /// `scaleDownDelaySeconds`; only with a traffic router.
    pub scale_down_delay: Setting<Seconds>,
}

/// A step of a canary.
#[derive(Clone, Debug, PartialEq)]
pub enum Step {
    /// `setWeight`, in percent.
    SetWeight(Setting<u32>),
    /// `pause`; without a duration until somebody resumes.
    Pause(Option<Seconds>),
    /// Another step by its key, as it is written.
    Other(String, Json),
}

/// `strategy.blueGreen`.
#[derive(Clone, Debug, PartialEq)]
pub struct BlueGreen {
    /// `autoPromotionEnabled`.
    pub auto_promotion: Setting<bool>,
    /// `autoPromotionSeconds`.
    pub auto_promotion_after: Setting<Seconds>,
    /// `previewReplicaCount`.
    pub preview_replicas: Setting<u32>,
    /// `scaleDownDelaySeconds`.
    pub scale_down_delay: Setting<Seconds>,
}

pub(super) fn rollout(_: &Node, spec: &mut Section<'_>, notes: &mut Notes) -> Spec {
    let replicas = spec.setting("replicas", Some(1), count, notes);
    let min_ready = spec.setting("minReadySeconds", Some(Seconds::whole(0)), seconds, notes);
    let progress_deadline = spec.setting("progressDeadlineSeconds", Some(Seconds::whole(600)), seconds, notes);
    let history = spec.setting("revisionHistoryLimit", Some(10), count, notes);
    let mut strategy = spec.section("strategy", notes);
    let canary = strategy.section("canary", notes);
    let blue_green = strategy.section("blueGreen", notes);
    let chosen = match (canary.is_written(), blue_green.is_written()) {
        (true, false) => Some(RolloutStrategy::Canary(Canary::read(canary, notes))),
        (false, true) => Some(RolloutStrategy::BlueGreen(BlueGreen::read(blue_green, notes))),
        _ => {
            notes.breaks(strategy.line, &strategy.place, "must hold exactly one of canary, blueGreen");
            None
        }
    };
    strategy.ignore_rest(notes);
    let workload_ref = reference(spec.entry("workloadRef"));
    let pods = PodTemplate::read(&mut spec.section("template", notes), notes);
    if workload_ref.is_none() {
        refuse_part("Rollout", spec, &pods, notes);
    }
    Spec::Rollout(Rollout { replicas, min_ready, progress_deadline, history, strategy: chosen, workload_ref, pods })
}

/// Gives Rollouts that refer to another object of the file that one's pods.
pub(super) fn resolve_references(workloads: &mut [Workload], objects: &[&Node]) {
    let specs: BTreeMap<String, &Node> = objects.iter().filter_map(|object| named_spec(object)).collect();
    for workload in workloads {
        let Spec::Rollout(rollout) = &mut workload.spec else { continue };
        let Some(spec) = rollout.workload_ref.as_ref().and_then(|reference| specs.get(reference)) else { continue };
        let notes = &mut workload.notes;
        rollout.pods = PodTemplate::read(&mut Section::of("spec", spec).section("template", notes), notes);
    }
}

/// The `Kind/name` of an object, and its spec.
fn named_spec(object: &Node) -> Option<(String, &Node)> {
    let name = object.get("metadata").and_then(|metadata| metadata.text_at("name"))?;
    Some((format!("{}/{name}", object.text_at("kind")?), object.get("spec")?))
}

/// As for a Deployment, but a count in quotes is a percentage.
fn bound(scalar: &Scalar) -> Result<CountOrPercent, String> {
    let percent = if let Scalar::Text(text) = scalar { text.parse().ok() } else { None };
    percent.map_or_else(|| count_or_percent(scalar), |percent| Ok(CountOrPercent(Bound::Percent(percent))))
}

impl Canary {
    fn read(mut canary: Section<'_>, notes: &mut Notes) -> Self {
        let max_surge = canary.setting("maxSurge", Some(A_QUARTER), bound, notes);
        let max_unavailable = canary.setting("maxUnavailable", Some(A_QUARTER), bound, notes);
        let routing = canary.entry("trafficRouting").map(|entry| &entry.node);
        let tables = routing.map_or(&[][..], Node::entries).iter();
        let tables = tables.filter(|entry| matches!(entry.node.value, Value::Table(_)));
        let traffic_routers: Vec<String> = tables.map(|entry| entry.key.clone()).collect();
        let place = canary.key("steps");
        let steps = canary.list("steps", notes).iter().map(|step| Step::read(step, &place, notes)).collect();
        let default = (!traffic_routers.is_empty()).then_some(SCALE_DOWN_DELAY);
        let read = Canary {
            max_surge,
            max_unavailable,
            steps,
            dynamic_stable_scale: canary.setting("dynamicStableScale", Some(false), boolean, notes),
            ping_pong: canary.entry("pingPong").is_some(),
            scale_down_delay: canary.setting("scaleDownDelaySeconds", default, seconds, notes),
            traffic_routers,
        };
        canary.ignore_rest(notes);
        read
    }

    /// How many pods there may be too many and too few without a traffic router.
    fn bounds(&self, replicas: Option<u32>) -> Option<Bounds> {
        let (surge, unavailable) = (self.max_surge.effective?, self.max_unavailable.effective?);
        Some(Bounds::resolve(surge.0, unavailable.0, replicas?))
    }
}

impl Step {
    fn read(step: &Node, place: &str, notes: &mut Notes) -> Self {
        let mut section = Section::of(place, step);
        let Some(entry) = step.entries().first() else {
            notes.breaks(step.line, place, "must be a step");
            return Step::Other("step".to_owned(), step.to_json());
        };
        match entry.key.as_str() {
            "setWeight" => Step::SetWeight(section.setting("setWeight", None, count, notes)),
            "pause" => {
                let mut pause = section.section("pause", notes);
                Step::Pause(pause.setting("duration", None, duration_or_seconds, notes).effective)
            }
            other => Step::Other(other.to_owned(), entry.node.to_json()),
        }
    }

    fn facts(&self) -> Json {
        match self {
            Step::SetWeight(weight) => json!({ "set_weight": weight.effective }),
            Step::Pause(None) => json!({ "pause": "until resumed" }),
            Step::Pause(Some(span)) => json!({ "pause": span.scalar() }),
            Step::Other(key, written) => json!({ snake_case(key): written }),
        }
    }
}

fn snake_case(words: &str) -> String {
    let mut snake = String::new();
    for c in words.chars() {
        if c.is_ascii_uppercase() {
            snake.push('_');
        }
        snake.push(c.to_ascii_lowercase());
    }
    snake
}

impl BlueGreen {
    fn read(mut blue_green: Section<'_>, notes: &mut Notes) -> Self {
        let read = BlueGreen {
            auto_promotion: blue_green.setting("autoPromotionEnabled", Some(true), boolean, notes),
            auto_promotion_after: blue_green.setting("autoPromotionSeconds", None, seconds, notes),
            preview_replicas: blue_green.setting("previewReplicaCount", None, count, notes),
            scale_down_delay: blue_green.setting("scaleDownDelaySeconds", Some(SCALE_DOWN_DELAY), seconds, notes),
        };
        blue_green.ignore_rest(notes);
        read
    }
}

impl Rollout {
    pub(super) fn facts(&self) -> Map<String, Json> {
        let mut facts = map(json!({
            "replicas": self.replicas.effective,
            "replicas_written": self.replicas.written,
            "min_ready_seconds": fact(&self.min_ready),
            "progress_deadline_seconds": fact(&self.progress_deadline),
            "revision_history_limit": self.history.effective,
        }));
        let strategy = match &self.strategy {
            Some(RolloutStrategy::Canary(canary)) => self.canary_facts(canary),
            Some(RolloutStrategy::BlueGreen(blue_green)) => json!({
                "strategy_type": "blueGreen",
                "auto_promotion_enabled": blue_green.auto_promotion.effective,
                "auto_promotion_seconds": fact(&blue_green.auto_promotion_after),
                "preview_replica_count": blue_green.preview_replicas.effective,
                "scale_down_delay_seconds": fact(&blue_green.scale_down_delay),
                "max_total": self.replicas.effective.map(|replicas| replicas.saturating_mul(2)),
            }),
            None => json!({ "strategy_type": null }),
        };
        facts.extend(map(strategy));
        if let Some(reference) = &self.workload_ref {
            facts.insert("workload_ref".to_owned(), json!(reference));
        }
        self.pods.facts(&mut facts);
        facts
    }

    fn canary_facts(&self, canary: &Canary) -> Json {
        let bounds = canary.bounds(self.replicas.effective);
        let routers = (!canary.traffic_routers.is_empty()).then_some(&canary.traffic_routers);
        json!({
            "strategy_type": "canary",
            "max_surge_written": canary.max_surge.written,
            "max_surge_count": bounds.map(|bounds| bounds.surge),
            "max_unavailable_written": canary.max_unavailable.written,
            "max_unavailable_count": bounds.map(|bounds| bounds.unavailable),
            "min_available": bounds.map(|bounds| bounds.least_available()),
            "max_total_basic": bounds.map(|bounds| bounds.most()),
            "steps": canary.steps.iter().map(Step::facts).collect::<Vec<_>>(),
            "traffic_routing": routers,
            "dynamic_stable_scale": canary.dynamic_stable_scale.effective,
            "ping_pong": canary.ping_pong,
            "scale_down_delay_seconds": fact(&canary.scale_down_delay),
        })
    }
}
