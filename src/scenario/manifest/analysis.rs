//! The analyses of Argo Rollouts: which templates one refers to, and what those of the same file measure
//! (`AnalysisTemplateSpec` in `pkg/apis/rollouts/v1alpha1/analysis_types.go` of argoproj/argo-rollouts).
//!
//! A template says how often it measures and what it forgives. What it measures is a query to some monitoring system: that
//! is taken only where it compares what `export` writes, and assumed otherwise.

use super::section::{Notes, Section, Setting};
use super::tree::{Entry, Node};
use super::values::{Seconds, count, duration_or_seconds, loose_count};
use crate::rollout::argo::Limits;
use humantime::format_duration;
use serde_json::Value as Json;
use std::collections::BTreeMap;
use std::fmt::Write;
use std::sync::Arc;
use std::time::Duration;

/// What is assumed of a metric whose query is some system's.
const ASSUMED_FAILED: &str = "max_failed = \"5%\"";
/// What is assumed of a job.
const ASSUMED_TEST: &str = "test = { takes = \"1m\", finds = \"100%\" }";
/// What is assumed of how often a metric is measured whose template is elsewhere.
const ASSUMED_TIMES: &str = ", interval = \"1m\"";
const ASSUMED_COUNT: &str = ", count = 5";
const ASSUMED_MEASUREMENTS: u32 = 5;

/// The most metrics of an analysis, as in a scenario.
const MOST_METRICS: usize = 100;

/// Where an analysis stands, and what it refers to.
#[derive(Clone, Debug, PartialEq)]
pub struct AnalysisReference {
    /// The line of its key, counted from 1.
    pub line: usize,
    /// The path of keys to it.
    pub field: String,
    /// The names of its templates.
    pub templates: Vec<String>,
    pub(super) written: Json,
    /// What those measure, shared with all who refer to them; `None`: one of them is not in the file.
    metrics: Option<Vec<Arc<[TemplateMetric]>>>,
}

/// A metric of a template.
#[derive(Clone, Debug, Default, PartialEq)]
struct TemplateMetric {
    is_job: bool,
    condition: Option<Condition>,
    initial_delay: Option<Seconds>,
    interval: Option<Seconds>,
    count: Option<u32>,
    failures: Option<i64>,
    inconclusive: Option<u32>,
    consecutive_errors: Option<u32>,
    consecutive_successes: Option<u32>,
}

/// What `export` writes as a condition of success.
#[derive(Clone, Debug, PartialEq)]
struct Condition {
    at_least: String,
    max_failed: String,
    max_late: String,
}

/// The condition of success of a metric about requests, in shares.
pub(super) fn success(at_least: u64, max_failed: f64, max_late: f64) -> String {
    format!("result.attempts >= {at_least} && result.failed <= {max_failed} && result.late <= {max_late}")
}

/// Its condition of failure: with fewer attempts neither holds, and the measurement is inconclusive.
pub(super) fn failure(at_least: u64, max_failed: f64, max_late: f64) -> String {
    format!("result.attempts >= {at_least} && (result.failed > {max_failed} || result.late > {max_late})")
}

impl Condition {
    /// Understands what [`success`] writes.
    fn read(text: &str) -> Option<Self> {
        let mut parts = text.split(" && ");
        let mut number = |start: &str| {
            let number = parts.next()?.strip_prefix(start)?.trim();
            number.parse::<f64>().ok().filter(|number| number.is_finite() && *number >= 0.0)?;
            Some(number.to_owned())
        };
        let at_least = number("result.attempts >= ")?;
        let (max_failed, max_late) = (number("result.failed <= ")?, number("result.late <= ")?);
        let is_count = at_least.bytes().all(|byte| byte.is_ascii_digit());
        let is_all = parts.next().is_none() && is_count;
        is_all.then_some(Condition { at_least, max_failed, max_late })
    }
}

impl AnalysisReference {
    /// The analysis under a key of a step.
    pub(super) fn read(around: &mut Section<'_>, key: &'static str, entry: &Entry, notes: &mut Notes) -> Self {
        let mut section = around.section(key, notes);
        Self::of_section(&mut section, entry, notes)
    }

    /// The analysis under a key, if there is one.
    pub(super) fn optional(around: &mut Section<'_>, key: &'static str, notes: &mut Notes) -> Option<Self> {
        let entry = around.entry(key)?;
        Some(Self::read(around, key, entry, notes))
    }

    /// The analysis in the background of a canary, and the step that it starts at.
    pub(super) fn background(canary: &mut Section<'_>, notes: &mut Notes) -> (Option<Self>, Setting<u32>) {
        let entry = canary.entry("analysis");
        let mut section = canary.section("analysis", notes);
        let starts = section.setting("startingStep", None, count, notes);
        let analysis = entry.map(|entry| Self::of_section(&mut section, entry, notes));
        (analysis, starts)
    }

    fn of_section(section: &mut Section<'_>, entry: &Entry, notes: &mut Notes) -> Self {
        let templates = section.list("templates", notes);
        let names = templates.iter().filter_map(|template| template.text_at("templateName")).map(str::to_owned);
        let names: Vec<String> = names.collect();
        section.ignore_rest(notes);
        let (field, written) = (section.place.clone(), entry.node.to_json());
        AnalysisReference { line: entry.line, field, templates: names, written, metrics: None }
    }

    /// Looks its templates up.
    pub(super) fn resolve(&mut self, templates: &Templates, notes: &mut Notes) {
        let found: Option<Vec<_>> = self.templates.iter().map(|name| templates.0.get(name).cloned()).collect();
        let count = |found: &Vec<Arc<[TemplateMetric]>>| found.iter().map(|metrics| metrics.len()).sum::<usize>();
        if found.as_ref().is_some_and(|found| count(found) > MOST_METRICS) {
            notes.breaks(self.line, &self.field, "must come to at most 100 metrics");
        } else {
            self.metrics = found.filter(|found| count(found) > 0);
        }
    }

    /// The metrics in the scenario's words; `goes_on`: they may have no end.
    pub(super) fn words(&self, goes_on: bool) -> String {
        let count = if goes_on { "" } else { ASSUMED_COUNT };
        let of_metrics = |all: &Vec<Arc<[TemplateMetric]>>| {
            all.iter()
                .flat_map(|metrics| metrics.iter())
                .map(|metric| metric.words(goes_on))
                .collect::<Vec<_>>()
                .join(", ")
        };
        let all = self.metrics.as_ref().map(of_metrics);
        format!("[{}]", all.unwrap_or_else(|| format!("{{ {ASSUMED_FAILED}{ASSUMED_TIMES}{count} }}")))
    }

    /// How long it may take that is in the way of an update.
    pub(super) fn takes(&self) -> Duration {
        let of_metric = |metric: &TemplateMetric| {
            let interval = metric.interval.map_or(Duration::from_mins(1), |span| span.0);
            let delay = metric.initial_delay.map_or(Duration::ZERO, |span| span.0);
            interval.saturating_mul(metric.count.unwrap_or(ASSUMED_MEASUREMENTS)).saturating_add(delay)
        };
        let unknown = Duration::from_mins(ASSUMED_MEASUREMENTS.into());
        let all = self.metrics.iter().flatten().flat_map(|metrics| metrics.iter());
        all.map(of_metric).max().unwrap_or(unknown)
    }

    /// What of that is assumed; empty: nothing.
    pub(super) fn assumptions(&self) -> String {
        let Some(metrics) = &self.metrics else {
            return format!("assumed: templates {} are not in this file", self.templates.join(", "));
        };
        let is_known = |metric: &TemplateMetric| metric.condition.is_some() && !metric.is_job;
        if metrics.iter().flat_map(|metrics| metrics.iter()).all(is_known) {
            String::new()
        } else {
            "assumed: what its query or job comes to".to_owned()
        }
    }
}

impl TemplateMetric {
    fn words(&self, goes_on: bool) -> String {
        let mut words = match &self.condition {
            _ if self.is_job => ASSUMED_TEST.to_owned(),
            Some(Condition { at_least, max_failed, max_late }) => {
                let (failed, late) = (percent(max_failed), percent(max_late));
                format!("max_failed = \"{failed}%\", max_late = \"{late}%\", at_least = {at_least}")
            }
            None => ASSUMED_FAILED.to_owned(),
        };
        let mut add = |key: &str, value: Option<String>| {
            if let Some(value) = value {
                let _ = write!(words, ", {key} = {value}");
            }
        };
        let span = |span: Option<Seconds>| span.map(|Seconds(span)| format!("\"{}\"", format_duration(span)));
        let limits = Limits::default();
        add("initial_delay", span(self.initial_delay.filter(|delay| !delay.0.is_zero())));
        add("interval", span(self.interval));
        add("count", self.count.map(|count| count.to_string()));
        add("failure_limit", self.failures.filter(|limit| *limit != 0).map(|limit| limit.max(-1).to_string()));
        add("inconclusive_limit", self.inconclusive.filter(|limit| *limit > 0).map(|limit| limit.to_string()));
        let errors = self.consecutive_errors.filter(|limit| *limit != limits.consecutive_errors);
        add("consecutive_error_limit", errors.map(|limit| limit.to_string()));
        let successes = self.consecutive_successes.filter(|limit| *limit > 0);
        add("consecutive_success_limit", successes.map(|limit| limit.to_string()));
        if !goes_on && self.interval.is_some() && self.count.is_none() {
            words.push_str(ASSUMED_COUNT);
        }
        format!("{{ {words} }}")
    }
}

/// A share in percent, in as few digits as mean the same; at most all.
fn percent(share: &str) -> String {
    let share = share.parse::<f64>().map_or(1.0, |share| share.min(1.0));
    let written = |digits: usize| format!("{:.digits$}", share * 100.0);
    let means_it = |text: &String| format!("{text}e-2").parse() == Ok(share);
    (0..20).map(written).find(means_it).unwrap_or_else(|| written(20))
}

/// The templates of a file by name.
pub(super) struct Templates(BTreeMap<String, Arc<[TemplateMetric]>>);

impl Templates {
    pub(super) fn of(objects: &[&Node]) -> Self {
        let is_template =
            |object: &&&Node| matches!(object.text_at("kind"), Some("AnalysisTemplate" | "ClusterAnalysisTemplate"));
        let named = |object: &&Node| {
            let name = object.get("metadata").and_then(|metadata| metadata.text_at("name"))?;
            let metrics = object.get("spec")?.get("metrics")?.elements();
            Some((name.to_owned(), metrics.iter().map(metric).collect()))
        };
        Templates(objects.iter().filter(is_template).filter_map(named).collect())
    }
}

/// What cannot be read, as an argument that is filled in later, is left out.
fn metric(node: &Node) -> TemplateMetric {
    let counted = |key: &str| node.get(key).and_then(Node::scalar).and_then(|scalar| loose_count(scalar).ok());
    let span = |key: &str| node.get(key).and_then(Node::scalar).and_then(|scalar| duration_or_seconds(scalar).ok());
    let failures = node.get("failureLimit").and_then(Node::scalar);
    TemplateMetric {
        is_job: node.get("provider").is_some_and(|provider| provider.get("job").is_some()),
        condition: node.text_at("successCondition").and_then(Condition::read),
        initial_delay: span("initialDelay"),
        interval: span("interval").filter(|span| !span.0.is_zero()),
        count: counted("count").filter(|count| *count > 0),
        failures: failures.and_then(|scalar| scalar.to_string().trim_matches('"').parse().ok()),
        inconclusive: counted("inconclusiveLimit"),
        consecutive_errors: counted("consecutiveErrorLimit"),
        consecutive_successes: counted("consecutiveSuccessLimit"),
    }
}
