//! Flagger's Canary objects.
//!
//! Sources: `pkg/apis/flagger/v1beta1/canary.go` (defaults) and `pkg/controller/scheduler.go` of fluxcd/flagger: the
//! weight grows by a step as long as it is below maxWeight, so it may pass it, but never 100.

use super::Spec;
use super::kubernetes::reference;
use super::pods::fact;
use super::section::{Notes, Section, Setting};
use super::sets::map;
use super::tree::{Node, Scalar};
use super::values::{Seconds, boolean, count, duration, seconds};
use serde_json::{Map, Value as Json, json};

/// A Canary.
#[derive(Clone, Debug, PartialEq)]
pub struct FlaggerCanary {
    /// Whose rollout it steers, as `Kind/name`.
    pub target: Option<String>,
    /// The autoscaler's name.
    pub autoscaler: Option<String>,
    /// `progressDeadlineSeconds`.
    pub progress_deadline: Setting<Seconds>,
    /// `skipAnalysis`.
    pub skip_analysis: Setting<bool>,
    /// `analysis.interval`.
    pub interval: Setting<Seconds>,
    /// `analysis.threshold`: so many failed checks.
    pub threshold: Setting<u32>,
    /// `analysis.maxWeight`, in percent.
    pub max_weight: Setting<u32>,
    /// `analysis.stepWeight`, in percent.
    pub step_weight: Setting<u32>,
    /// `analysis.stepWeights`, in percent.
    pub step_weights: Vec<u32>,
    /// `analysis.iterations`: checks without shifting traffic by weight.
    pub iterations: Setting<u32>,
    /// What is checked.
    pub metrics: Vec<FlaggerMetric>,
    /// How many webhooks there are.
    pub webhooks: usize,
}

/// A metric and what it must keep.
#[derive(Clone, Debug, PartialEq)]
pub struct FlaggerMetric {
    /// Its name.
    pub name: Option<String>,
    /// `interval`.
    pub interval: Setting<Seconds>,
    /// `thresholdRange.min`.
    pub min: Option<Scalar>,
    /// `thresholdRange.max`.
    pub max: Option<Scalar>,
    /// `threshold`, the older form.
    pub threshold: Option<Scalar>,
}

pub(super) fn canary(_: &Node, spec: &mut Section<'_>, notes: &mut Notes) -> Spec {
    let target = reference(spec.entry("targetRef"));
    let autoscaler = spec.entry("autoscalerRef").and_then(|entry| entry.node.text_at("name"));
    let progress_deadline = spec.setting("progressDeadlineSeconds", Some(Seconds::whole(600)), seconds, notes);
    let skip_analysis = spec.setting("skipAnalysis", Some(false), boolean, notes);
    let mut analysis = spec.section("analysis", notes);
    let place = analysis.key("metrics");
    let metrics =
        analysis.list("metrics", notes).iter().map(|metric| FlaggerMetric::read(metric, &place, notes)).collect();
    let place = analysis.key("stepWeights");
    let weights = analysis.list("stepWeights", notes).iter();
    let step_weights: Vec<u32> = weights.filter_map(|weight| step_weight(weight, &place, notes)).collect();
    let canary = FlaggerCanary {
        target,
        autoscaler: autoscaler.map(ToOwned::to_owned),
        progress_deadline,
        skip_analysis,
        interval: analysis.setting("interval", Some(Seconds::whole(60)), duration, notes),
        threshold: analysis.setting("threshold", Some(1), count, notes),
        max_weight: analysis.setting("maxWeight", step_weights.last().copied().or(Some(100)), count, notes),
        step_weight: analysis.setting("stepWeight", None, count, notes),
        iterations: analysis.setting("iterations", None, count, notes),
        step_weights,
        metrics,
        webhooks: analysis.list("webhooks", notes).len(),
    };
    analysis.ignore_rest(notes);
    Spec::Canary(canary)
}

fn step_weight(weight: &Node, place: &str, notes: &mut Notes) -> Option<u32> {
    let read = weight.scalar().ok_or_else(|| "must be whole numbers".to_owned()).and_then(count);
    read.map_err(|problem| notes.breaks(weight.line, place, problem)).ok()
}

impl FlaggerMetric {
    fn read(metric: &Node, place: &str, notes: &mut Notes) -> Self {
        let mut section = Section::of(place, metric);
        let range = |key| metric.get("thresholdRange").and_then(|range| range.get(key)?.scalar().cloned());
        FlaggerMetric {
            name: metric.text_at("name").map(ToOwned::to_owned),
            interval: section.setting("interval", None, duration, notes),
            min: range("min"),
            max: range("max"),
            threshold: metric.get("threshold").and_then(|threshold| threshold.scalar().cloned()),
        }
    }

    fn facts(&self) -> Json {
        json!({
            "name": self.name,
            "interval": fact(&self.interval),
            "min": self.min,
            "max": self.max,
            "old_threshold": self.threshold,
        })
    }
}

impl FlaggerCanary {
    /// The weights that the new version goes through, in percent.
    pub fn weights(&self) -> Vec<u32> {
        let Some(step) = self.step_weight.effective.filter(|step| *step > 0 && self.step_weights.is_empty()) else {
            return self.step_weights.clone();
        };
        let most = self.max_weight.effective.unwrap_or(100).min(100);
        (1..=most.div_ceil(step)).map(|steps| (steps * step).min(100)).collect()
    }

    fn kind(&self) -> Option<&'static str> {
        if !self.step_weights.is_empty() {
            Some("stepWeights")
        } else if self.step_weight.is_written() {
            Some("stepWeight")
        } else {
            self.iterations.is_written().then_some("iterations")
        }
    }

    pub(super) fn facts(&self) -> Map<String, Json> {
        let mut facts = map(json!({ "target": self.target }));
        // Without steps, as in a template, nothing can be said of them.
        let Some(kind) = self.kind() else { return facts };
        let weights = self.weights();
        let ticks = self.iterations.effective.map_or(weights.len(), |iterations| iterations as usize);
        let shortest = self.interval.effective.map(|interval| Scalar::number(interval.0.as_secs_f64() * ticks as f64));
        facts.extend(map(json!({
            "autoscaler": self.autoscaler,
            "strategy_type": kind,
            "interval_seconds": fact(&self.interval),
            "threshold": self.threshold.effective,
            "max_weight": self.max_weight.effective,
            "weights": weights,
            "ticks": ticks,
            "shortest_analysis_seconds": shortest,
            "progress_deadline_seconds": fact(&self.progress_deadline),
            "skip_analysis": self.skip_analysis.effective,
            "metrics": self.metrics.iter().map(FlaggerMetric::facts).collect::<Vec<_>>(),
            "webhooks": self.webhooks,
        })));
        facts
    }
}
