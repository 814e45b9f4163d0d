//! What a Rollout says, in the scenario's words: a line each, so that an import and a strategy's `manifest =` say the same.

use super::analysis::AnalysisReference;
use super::argo::{BlueGreen, Canary, Rollout, RolloutStrategy, Step};
use super::section::Setting;
use super::values::{CountOrPercent, Seconds};
use humantime::format_duration;
use std::fmt;

/// A key of a table of the scenario, and where its value comes from.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Word {
    pub(super) key: &'static str,
    /// As TOML.
    pub(super) value: String,
    pub(super) origin: Origin,
}

/// Where a value comes from.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Origin {
    /// The line of the manifest, counted from 1; `None` for a default.
    pub(super) line: Option<usize>,
    pub(super) field: String,
    /// What is assumed; empty: nothing.
    pub(super) assumes: String,
}

/// A step, or the value of another list.
pub(super) type Element = (String, Origin);

/// The tables of a Rollout.
pub(super) struct Words {
    /// Of the strategy itself.
    pub(super) own: Vec<Word>,
    /// "canary" or "blue_green".
    pub(super) kind: &'static str,
    /// Of that table.
    pub(super) of_kind: Vec<Word>,
    /// The steps of a canary.
    pub(super) steps: Vec<Element>,
    /// Pauses that somebody must end.
    pub(super) open_pauses: usize,
}

impl Words {
    fn empty() -> Self {
        Words { own: Vec::new(), kind: "canary", of_kind: Vec::new(), steps: Vec::new(), open_pauses: 0 }
    }

    pub(super) fn of(rollout: &Rollout) -> Self {
        let mut words = Words::empty();
        let own = &mut words.own;
        let whole = |Seconds(span): Seconds| span.as_secs();
        say(own, "min_ready_seconds", &rollout.min_ready, whole);
        say(own, "progress_deadline_seconds", &rollout.progress_deadline, whole);
        say(own, "progress_deadline_abort", &rollout.progress_deadline_abort, |yes| yes);
        say(own, "rollback_window", &rollout.rollback_window, |count| count);
        match &rollout.strategy {
            None => {}
            Some(RolloutStrategy::Canary(canary)) => words.canary(canary),
            Some(RolloutStrategy::BlueGreen(blue_green)) => words.blue_green(blue_green),
        }
        words
    }

    fn canary(&mut self, canary: &Canary) {
        let is_routed = !canary.traffic_routers.is_empty();
        let whole = |Seconds(span): Seconds| span.as_secs();
        if is_routed {
            say(&mut self.own, "scale_down_delay_seconds", &canary.scale_down_delay, whole);
            say(&mut self.own, "abort_scale_down_delay_seconds", &canary.abort_scale_down_delay, whole);
        }
        let of_kind = &mut self.of_kind;
        say(of_kind, "max_surge", &canary.max_surge, bound);
        say(of_kind, "max_unavailable", &canary.max_unavailable, bound);
        if is_routed {
            let origin =
                Origin { line: Some(canary.routing_line), field: "trafficRouting".to_owned(), assumes: String::new() };
            of_kind.push(Word { key: "traffic_routing", value: "true".to_owned(), origin });
            say(of_kind, "dynamic_stable_scale", &canary.dynamic_stable_scale, |yes| yes);
            say(of_kind, "min_pods_per_replica_set", &canary.min_pods, |count| count);
        }
        say(of_kind, "replica_progress_threshold", &canary.enough, bound);
        if let Some(analysis) = &canary.analysis {
            of_kind.push(analysed("analysis", analysis, true));
            say(of_kind, "analysis_starting_step", &canary.analysis_from, |step| step);
        }
        for step in &canary.steps {
            self.open_pauses += usize::from(matches!(step, Step::Pause(span) if span.effective.is_none()));
            self.steps.extend(element(step, is_routed));
        }
    }

    fn blue_green(&mut self, blue_green: &BlueGreen) {
        let whole = |Seconds(span): Seconds| span.as_secs();
        self.kind = "blue_green";
        say(&mut self.own, "scale_down_delay_seconds", &blue_green.scale_down_delay, whole);
        say(&mut self.own, "abort_scale_down_delay_seconds", &blue_green.abort_scale_down_delay, whole);
        let of_kind = &mut self.of_kind;
        say(of_kind, "auto_promotion_enabled", &blue_green.auto_promotion, |yes| yes);
        say(of_kind, "auto_promotion_seconds", &blue_green.auto_promotion_after, whole);
        say(of_kind, "preview_replica_count", &blue_green.preview_replicas, |count| count);
        say(of_kind, "scale_down_delay_revision_limit", &blue_green.kept_revisions, |count| count);
        let analyses = [
            ("pre_promotion_analysis", &blue_green.pre_promotion),
            ("post_promotion_analysis", &blue_green.post_promotion),
        ];
        for (key, analysis) in analyses {
            of_kind.extend(analysis.as_ref().map(|analysis| analysed(key, analysis, false)));
        }
        let waits = blue_green.auto_promotion.effective == Some(false);
        let ends = blue_green.auto_promotion_after.effective.is_some_and(|span| !span.0.is_zero());
        self.open_pauses = usize::from(waits && !ends);
    }
}

fn say<T: Copy, V: fmt::Display>(
    words: &mut Vec<Word>,
    key: &'static str,
    setting: &Setting<T>,
    shown: impl Fn(T) -> V,
) {
    if let Some(value) = setting.effective {
        words.push(Word { key, value: shown(value).to_string(), origin: origin(setting) });
    }
}

fn origin<T>(setting: &Setting<T>) -> Origin {
    let line = setting.is_written().then_some(setting.line);
    Origin { line, field: setting.field.clone(), assumes: String::new() }
}

fn bound(bound: CountOrPercent) -> String {
    let text = bound.to_string();
    if text.ends_with('%') { format!("\"{text}\"") } else { text }
}

fn origin_of_analysis(analysis: &AnalysisReference) -> Origin {
    Origin { line: Some(analysis.line), field: analysis.field.clone(), assumes: analysis.assumptions() }
}

fn analysed(key: &'static str, analysis: &AnalysisReference, goes_on: bool) -> Word {
    Word { key, value: analysis.words(goes_on), origin: origin_of_analysis(analysis) }
}

/// A step; `None` for one that changes nothing here.
fn element(step: &Step, is_routed: bool) -> Option<Element> {
    match step {
        Step::SetWeight(weight) => Some((format!("{{ set_weight = {} }}", weight.effective?), origin(weight))),
        Step::Pause(span) => {
            let duration = span
                .effective
                .map_or_else(String::new, |Seconds(span)| format!(" duration = \"{}\" ", format_duration(span)));
            Some((format!("{{ pause = {{{duration}}} }}"), Origin { line: Some(span.line), ..origin(span) }))
        }
        // Without a traffic router it is of no use to the original.
        Step::SetCanaryScale(_) if !is_routed => None,
        Step::SetCanaryScale(scale) => {
            let (words, setting) = match (scale.match_traffic_weight.effective, scale.replicas.effective) {
                (Some(true), _) => ("match_traffic_weight = true".to_owned(), origin(&scale.match_traffic_weight)),
                (_, Some(replicas)) => (format!("replicas = {replicas}"), origin(&scale.replicas)),
                (_, None) => (format!("weight = {}", scale.weight.effective?), origin(&scale.weight)),
            };
            Some((format!("{{ set_canary_scale = {{ {words} }} }}"), setting))
        }
        Step::Analysis(analysis) => {
            Some((format!("{{ analysis = {} }}", analysis.words(false)), origin_of_analysis(analysis)))
        }
        Step::Other(..) => None,
    }
}
