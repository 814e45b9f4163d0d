//! A strategy as an Argo Rollout, with a template for each of its analyses.

use super::analysis::{failure, success};
use super::export::{commands, go, template};
use crate::rollout::argo::{BlueGreen, Canary, CanaryScale, Enough, Kind, Limits, Measures, Metric, Settings, Step};
use crate::scenario::Scenario;
use std::fmt::Write;
use std::time::Duration;

/// What a manifest cannot say.
pub(super) fn beside_rollout(settings: &Settings) -> Vec<String> {
    let all = analyses(settings);
    let is_test = |metric: &Metric| matches!(metric.measures, Measures::Test(_));
    let tests = all.iter().any(|(_, metrics)| metrics.iter().any(is_test));
    let tests = tests.then(|| "how long a test takes and what it finds: that is its job's".to_owned());
    let router = matches!(&settings.kind, Kind::Canary(canary) if canary.traffic_routing);
    let router = router.then(|| "which traffic router there is, and its own settings".to_owned());
    [tests, router, commands(&settings.commands)].into_iter().flatten().collect()
}

/// The analyses by the ends of their templates' names.
fn analyses(settings: &Settings) -> Vec<(String, &Vec<Metric>)> {
    let mut all = Vec::new();
    match &settings.kind {
        Kind::BlueGreen(BlueGreen { pre_promotion, post_promotion, .. }) => {
            all.push(("before".to_owned(), pre_promotion));
            all.push(("after".to_owned(), post_promotion));
        }
        Kind::Canary(Canary { analysis, steps, .. }) => {
            all.push(("background".to_owned(), analysis));
            for (at, step) in steps.iter().enumerate() {
                if let Step::Analysis(metrics) = step {
                    all.push((format!("step-{at}"), metrics));
                }
            }
        }
    }
    all.retain(|(_, metrics)| !metrics.is_empty());
    all
}

pub(super) fn rollout(scenario: &Scenario, name: &str, settings: &Settings) -> String {
    let mut text = format!(
        "apiVersion: argoproj.io/v1alpha1\nkind: Rollout\nmetadata:\n  name: {name}\nspec:\n  replicas: {}\n  minReadySeconds: {}\n  \
         progressDeadlineSeconds: {}\n  progressDeadlineAbort: {}\n",
        scenario.service.instances,
        settings.min_ready.as_secs(),
        settings.progress_deadline.as_secs(),
        settings.progress_deadline_abort,
    );
    if settings.rollback_window > 0 {
        let _ = writeln!(text, "  rollbackWindow:\n    revisions: {}", settings.rollback_window);
    }
    text.push_str("  strategy:\n");
    match &settings.kind {
        Kind::Canary(of_kind) => canary(&mut text, name, settings, of_kind),
        Kind::BlueGreen(of_kind) => blue_green(&mut text, name, settings, of_kind),
    }
    text.push_str(&template(&scenario.release, name));
    for (end, metrics) in analyses(settings) {
        let _ = write!(
            text,
            "---\napiVersion: argoproj.io/v1alpha1\nkind: AnalysisTemplate\nmetadata:\n  name: {name}-{end}\nspec:\n  metrics:\n"
        );
        for (at, one) in metrics.iter().enumerate() {
            metric(&mut text, at, one);
        }
    }
    text
}

fn delays(text: &mut String, settings: &Settings) {
    let _ = writeln!(text, "      scaleDownDelaySeconds: {}", settings.scale_down_delay.as_secs());
    if let Some(delay) = settings.abort_scale_down_delay {
        let _ = writeln!(text, "      abortScaleDownDelaySeconds: {}", delay.as_secs());
    }
}

fn canary(text: &mut String, name: &str, settings: &Settings, canary: &Canary) {
    let mut line = |line: String| {
        text.push_str(&line);
        text.push('\n');
    };
    line("    canary:".to_owned());
    line(format!("      maxSurge: {}", canary.max_surge));
    line(format!("      maxUnavailable: {}", canary.max_unavailable));
    if canary.traffic_routing {
        line(format!("      canaryService: {name}-canary\n      stableService: {name}-stable"));
        line(format!("      trafficRouting:\n        nginx: {{ stableIngress: {name} }} # or another router"));
        line(format!("      dynamicStableScale: {}", canary.dynamic_stable_scale));
        if canary.min_pods > 0 {
            line(format!("      minPodsPerReplicaSet: {}", canary.min_pods));
        }
    }
    if let Some(enough) = canary.enough {
        let (kind, value) = match enough {
            Enough::Pods(pods) => ("Pods", pods),
            Enough::Percent(percent) => ("Percentage", percent),
        };
        line(format!("      replicaProgressThreshold: {{ type: {kind}, value: {value} }}"));
    }
    if !canary.analysis.is_empty() {
        line("      analysis:".to_owned());
        line(format!("        startingStep: {}", canary.analysis_from));
        line(format!("        templates: [{{ templateName: {name}-background }}]"));
    }
    if !canary.steps.is_empty() {
        line("      steps:".to_owned());
    }
    for (at, step) in canary.steps.iter().enumerate() {
        line(format!(
            "        - {}",
            match step {
                Step::SetWeight(weight) => format!("setWeight: {weight}"),
                Step::Pause(None) => "pause: {}".to_owned(),
                Step::Pause(Some(span)) => format!("pause: {{ duration: {} }}", go(*span)),
                Step::SetCanaryScale(CanaryScale::Replicas(count)) =>
                    format!("setCanaryScale: {{ replicas: {count} }}"),
                Step::SetCanaryScale(CanaryScale::Weight(weight)) => format!("setCanaryScale: {{ weight: {weight} }}"),
                Step::SetCanaryScale(CanaryScale::MatchTrafficWeight) => {
                    "setCanaryScale: { matchTrafficWeight: true }".to_owned()
                }
                Step::Analysis(_) => format!("analysis: {{ templates: [{{ templateName: {name}-step-{at} }}] }}"),
            }
        ));
    }
    if canary.traffic_routing {
        delays(text, settings);
    }
}

fn blue_green(text: &mut String, name: &str, settings: &Settings, blue_green: &BlueGreen) {
    let _ = write!(
        text,
        "    blueGreen:\n      activeService: {name}\n      previewService: {name}-preview\n      autoPromotionEnabled: {}\n",
        blue_green.auto_promotion
    );
    let mut say = |key: &str, value: Option<String>| {
        if let Some(value) = value {
            let _ = writeln!(text, "      {key}: {value}");
        }
    };
    let analysed = |metrics: &[Metric], end: &str| {
        (!metrics.is_empty()).then(|| format!("{{ templates: [{{ templateName: {name}-{end} }}] }}"))
    };
    say("autoPromotionSeconds", blue_green.auto_promotion_after.map(|span| span.as_secs().to_string()));
    say("previewReplicaCount", blue_green.preview_replicas.map(|count| count.to_string()));
    say("scaleDownDelayRevisionLimit", blue_green.kept_revisions.map(|count| count.to_string()));
    say("prePromotionAnalysis", analysed(&blue_green.pre_promotion, "before"));
    say("postPromotionAnalysis", analysed(&blue_green.post_promotion, "after"));
    delays(text, settings);
}

fn metric(text: &mut String, at: usize, metric: &Metric) {
    let _ = writeln!(text, "    - name: metric-{at}");
    let mut line = |line: String| {
        text.push_str("      ");
        text.push_str(&line);
        text.push('\n');
    };
    let span = |span: Duration| go(span);
    if !metric.initial_delay.is_zero() {
        line(format!("initialDelay: {}", span(metric.initial_delay)));
    }
    if let Some(interval) = metric.interval {
        line(format!("interval: {}", span(interval)));
    }
    if let Some(count) = metric.count {
        line(format!("count: {count}"));
    }
    let Limits { failures, inconclusive, consecutive_errors, consecutive_successes } = metric.limits;
    line(format!("failureLimit: {}", failures.map_or(-1, i64::from)));
    line(format!("inconclusiveLimit: {inconclusive}\n      consecutiveErrorLimit: {consecutive_errors}"));
    line(format!("consecutiveSuccessLimit: {consecutive_successes}"));
    match metric.measures {
        Measures::Answers { max_failed, max_late, at_least } => {
            line(format!("successCondition: \"{}\"", success(at_least, max_failed, max_late)));
            line(format!("failureCondition: \"{}\"", failure(at_least, max_failed, max_late)));
            line("provider:\n        web: # or another that tells the new version's attempts, and the shares of failed and late ones".to_owned());
            line("    url: URL\n          jsonPath: \"{$}\"".to_owned());
        }
        Measures::Test(_) => {
            line("provider:\n        job: { spec: { template: {} } } # the test".to_owned());
        }
    }
}
