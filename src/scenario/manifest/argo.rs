//! Argo Rollouts.
//!
//! Sources: `utils/defaults/defaults.go`, `utils/conditions/conditions.go` and `utils/replicaset/replicaset.go` of
//! argoproj/argo-rollouts. Without a traffic router the two sets are sized within maxSurge and maxUnavailable, which
//! resolve as a Deployment's; with one the canary is sized by its weight.

use super::analysis::{AnalysisReference, Templates};
use super::kubernetes::{A_QUARTER, reference, refuse_part};
use super::pods::{PodTemplate, fact};
use super::section::{Notes, Section, Setting};
use super::sets::map;
use super::tree::{Node, Scalar, Value};
use super::values::{CountOrPercent, Seconds, boolean, count, count_or_percent, duration_or_seconds, seconds, word};
use super::{Spec, Workload};
use crate::rollout::kubernetes::{Bound, Bounds};
use serde_json::{Map, Value as Json, json};
use std::collections::BTreeMap;
use std::time::Duration;

/// `scaleDownDelaySeconds` where none is given and traffic is switched.
const SCALE_DOWN_DELAY: Seconds = Seconds::whole(30);

/// The most steps of a canary, as in a scenario.
const MOST_STEPS: usize = 1_000;

/// A Rollout.
#[derive(Clone, Debug, PartialEq)]
pub struct Rollout {
    /// `replicas`.
    pub replicas: Setting<u32>,
    /// `minReadySeconds`.
    pub min_ready: Setting<Seconds>,
    /// `progressDeadlineSeconds`.
    pub progress_deadline: Setting<Seconds>,
    /// `progressDeadlineAbort`.
    pub progress_deadline_abort: Setting<bool>,
    /// `rollbackWindow.revisions`.
    pub rollback_window: Setting<u32>,
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
    /// The line of `trafficRouting`, counted from 1.
    pub routing_line: usize,
    /// `dynamicStableScale`.
    pub dynamic_stable_scale: Setting<bool>,
    /// Whether there is a `pingPong`.
    pub ping_pong: bool,
    /// `scaleDownDelaySeconds`; only with a traffic router.
    pub scale_down_delay: Setting<Seconds>,
    /// `abortScaleDownDelaySeconds`; the same.
    pub abort_scale_down_delay: Setting<Seconds>,
    /// `minPodsPerReplicaSet`; the same.
    pub min_pods: Setting<u32>,
    /// `replicaProgressThreshold`.
    pub enough: Setting<CountOrPercent>,
    /// `analysis`, in the background.
    pub analysis: Option<AnalysisReference>,
    /// `analysis.startingStep`.
    pub analysis_from: Setting<u32>,
}

/// A step of a canary.
#[derive(Clone, Debug, PartialEq)]
pub enum Step {
    /// `setWeight`, in percent.
    SetWeight(Setting<u32>),
    /// `pause`; without a duration until somebody resumes.
    Pause(Setting<Seconds>),
    /// `setCanaryScale`.
    SetCanaryScale(SetCanaryScale),
    /// `analysis`.
    Analysis(AnalysisReference),
    /// Another step by its key, as it is written.
    Other(String, Json, usize),
}

/// `setCanaryScale`.
#[derive(Clone, Debug, PartialEq)]
pub struct SetCanaryScale {
    /// `replicas`.
    pub replicas: Setting<u32>,
    /// `weight`.
    pub weight: Setting<u32>,
    /// `matchTrafficWeight`.
    pub match_traffic_weight: Setting<bool>,
    written: Json,
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
    /// `scaleDownDelayRevisionLimit`.
    pub kept_revisions: Setting<u32>,
    /// `abortScaleDownDelaySeconds`.
    pub abort_scale_down_delay: Setting<Seconds>,
    /// `prePromotionAnalysis`.
    pub pre_promotion: Option<AnalysisReference>,
    /// `postPromotionAnalysis`.
    pub post_promotion: Option<AnalysisReference>,
}

pub(super) fn rollout(_: &Node, spec: &mut Section<'_>, notes: &mut Notes) -> Spec {
    let replicas = spec.setting("replicas", Some(1), count, notes);
    let min_ready = spec.setting("minReadySeconds", Some(Seconds::whole(0)), seconds, notes);
    let progress_deadline = spec.setting("progressDeadlineSeconds", Some(Seconds::whole(600)), seconds, notes);
    let progress_deadline_abort = spec.setting("progressDeadlineAbort", Some(false), boolean, notes);
    let rollback_window = spec.section("rollbackWindow", notes).setting("revisions", None, count, notes);
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
    Spec::Rollout(Rollout {
        replicas,
        min_ready,
        progress_deadline,
        progress_deadline_abort,
        rollback_window,
        history,
        strategy: chosen,
        workload_ref,
        pods,
    })
}

/// Gives Rollouts that refer to other objects of the file what those say: their pods, and what their analyses measure.
pub(super) fn resolve_references(workloads: &mut [Workload], objects: &[&Node]) {
    let templates = Templates::of(objects);
    let specs: BTreeMap<String, &Node> = objects.iter().filter_map(|object| named_spec(object)).collect();
    for workload in workloads {
        let Spec::Rollout(rollout) = &mut workload.spec else { continue };
        for analysis in rollout.analyses() {
            analysis.resolve(&templates, &mut workload.notes);
        }
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
        let routing = canary.entry("trafficRouting");
        let routing_line = routing.map_or(canary.line, |entry| entry.line);
        let routing = routing.map(|entry| &entry.node);
        let tables = routing.map_or(&[][..], Node::entries).iter();
        let tables = tables.filter(|entry| matches!(entry.node.value, Value::Table(_)));
        let traffic_routers: Vec<String> = tables.map(|entry| entry.key.clone()).collect();
        let place = canary.key("steps");
        let steps = canary.list("steps", notes);
        if steps.len() > MOST_STEPS {
            notes.breaks(steps[MOST_STEPS].line, &place, "must hold at most 1,000 steps");
        }
        let steps = steps.iter().map(|step| Step::read(step, &place, notes)).collect();
        let default = (!traffic_routers.is_empty()).then_some(SCALE_DOWN_DELAY);
        let (analysis, analysis_from) = AnalysisReference::background(&mut canary, notes);
        let read = Canary {
            max_surge,
            max_unavailable,
            steps,
            dynamic_stable_scale: canary.setting("dynamicStableScale", Some(false), boolean, notes),
            ping_pong: canary.entry("pingPong").is_some(),
            scale_down_delay: canary.setting("scaleDownDelaySeconds", default, seconds, notes),
            abort_scale_down_delay: canary.setting("abortScaleDownDelaySeconds", None, seconds, notes),
            min_pods: canary.setting("minPodsPerReplicaSet", None, count, notes),
            enough: threshold(&mut canary.section("replicaProgressThreshold", notes), notes),
            analysis,
            analysis_from,
            traffic_routers,
            routing_line,
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
            return Step::Other("step".to_owned(), step.to_json(), step.line);
        };
        match entry.key.as_str() {
            "setWeight" => Step::SetWeight(section.setting("setWeight", None, count, notes)),
            "pause" => {
                let mut pause = section.section("pause", notes);
                let line = if pause.is_written() { pause.line } else { entry.line };
                let setting = pause.setting("duration", None, duration_or_seconds, notes);
                Step::Pause(if setting.is_written() { setting } else { Setting { line, ..setting } })
            }
            "setCanaryScale" => {
                let mut scale = section.section("setCanaryScale", notes);
                let read = SetCanaryScale {
                    replicas: scale.setting("replicas", None, count, notes),
                    weight: scale.setting("weight", None, count, notes),
                    match_traffic_weight: scale.setting("matchTrafficWeight", None, boolean, notes),
                    written: entry.node.to_json(),
                };
                scale.ignore_rest(notes);
                Step::SetCanaryScale(read)
            }
            "analysis" => Step::Analysis(AnalysisReference::read(&mut section, "analysis", entry, notes)),
            other @ ("setHeaderRoute" | "setMirrorRoute") => {
                notes.ignores(entry.line, format!("{place}.{other}"), "");
                Step::Other(other.to_owned(), entry.node.to_json(), entry.line)
            }
            other => Step::Other(other.to_owned(), entry.node.to_json(), entry.line),
        }
    }

    fn facts(&self) -> Json {
        match self {
            Step::SetWeight(weight) => json!({ "set_weight": weight.effective }),
            Step::Pause(span) => match span.effective {
                None => json!({ "pause": "until resumed" }),
                Some(span) => json!({ "pause": span.scalar() }),
            },
            Step::SetCanaryScale(scale) => json!({ "set_canary_scale": scale.written }),
            Step::Analysis(analysis) => json!({ "analysis": analysis.written }),
            Step::Other(key, written, _) => json!({ snake_case(key): written }),
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
            kept_revisions: blue_green.setting("scaleDownDelayRevisionLimit", None, count, notes),
            abort_scale_down_delay: blue_green.setting("abortScaleDownDelaySeconds", None, seconds, notes),
            pre_promotion: AnalysisReference::optional(&mut blue_green, "prePromotionAnalysis", notes),
            post_promotion: AnalysisReference::optional(&mut blue_green, "postPromotionAnalysis", notes),
        };
        blue_green.ignore_rest(notes);
        read
    }
}

/// `type` and `value` of a `replicaProgressThreshold`.
fn threshold(section: &mut Section<'_>, notes: &mut Notes) -> Setting<CountOrPercent> {
    let kind = section.setting("type", None, |scalar| word(scalar, &["Pods", "Percentage"]), notes);
    let value = section.setting("value", None, count, notes);
    let bound = value
        .effective
        .zip(kind.effective)
        .map(|(value, kind)| CountOrPercent(if kind == "Pods" { Bound::Count(value) } else { Bound::Percent(value) }));
    Setting { field: value.field, written: value.written, line: value.line, effective: bound }
}

impl Rollout {
    /// All analyses that it refers to.
    fn analyses(&mut self) -> Vec<&mut AnalysisReference> {
        match &mut self.strategy {
            None => Vec::new(),
            Some(RolloutStrategy::BlueGreen(blue_green)) => {
                blue_green.pre_promotion.iter_mut().chain(&mut blue_green.post_promotion).collect()
            }
            Some(RolloutStrategy::Canary(canary)) => {
                let steps = canary.steps.iter_mut().filter_map(|step| match step {
                    Step::Analysis(analysis) => Some(analysis),
                    _ => None,
                });
                steps.chain(&mut canary.analysis).collect()
            }
        }
    }

    /// How many pods are exchanged at once where nothing else waits.
    pub(super) fn at_once(&self) -> u32 {
        match &self.strategy {
            Some(RolloutStrategy::Canary(canary)) if canary.traffic_routers.is_empty() => {
                let bounds = canary.bounds(self.replicas.effective);
                bounds.map_or(1, |bounds| bounds.surge.saturating_add(bounds.unavailable))
            }
            // All of a set at once, but a set for each step.
            Some(RolloutStrategy::Canary(canary)) => {
                let weights = canary.steps.iter().filter(|step| matches!(step, Step::SetWeight(_))).count() as u32;
                self.replicas.effective.unwrap_or(1) / (weights + 1)
            }
            _ => self.replicas.effective.unwrap_or(1),
        }
    }

    /// What it waits for beside pods: pauses, analyses, delays before a set is scaled down.
    pub(super) fn waits(&self) -> Duration {
        let span = |setting: &Setting<Seconds>| setting.effective.map_or(Duration::ZERO, |span| span.0);
        let takes = |analysis: &AnalysisReference| analysis.takes();
        match &self.strategy {
            None => Duration::ZERO,
            Some(RolloutStrategy::BlueGreen(blue_green)) => {
                let analyses = blue_green.pre_promotion.iter().chain(&blue_green.post_promotion);
                let analyses = analyses.map(takes).fold(Duration::ZERO, Duration::saturating_add);
                let waits = span(&blue_green.auto_promotion_after).saturating_add(span(&blue_green.scale_down_delay));
                analyses.saturating_add(waits)
            }
            Some(RolloutStrategy::Canary(canary)) => {
                let waits = canary.steps.iter().map(|step| match step {
                    Step::Pause(pause) => span(pause),
                    Step::Analysis(analysis) => takes(analysis),
                    _ => Duration::ZERO,
                });
                waits.fold(span(&canary.scale_down_delay), Duration::saturating_add)
            }
        }
    }

    /// A step that is not simulated and would change what happens: its key and its line.
    pub(super) fn unknown_step(&self) -> Option<(&str, usize)> {
        let Some(RolloutStrategy::Canary(canary)) = &self.strategy else { return None };
        canary.steps.iter().find_map(|step| match step {
            Step::Other(key, _, line) if !matches!(key.as_str(), "setHeaderRoute" | "setMirrorRoute") => {
                Some((key.as_str(), *line))
            }
            _ => None,
        })
    }

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
