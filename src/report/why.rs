//! Why requests were lost or late: the sentences that follow from the account, with the settings that explain it.
//!
//! Of all strategies, the two largest findings on losses are told and the largest one on late requests. A finding is a cause with
//! the circumstance that made it possible; where no circumstance fits, the bare cause is told.

use super::table::{grouped, percent, seconds};
use crate::fleet::Version;
use crate::history::{Cause, Delayed, Outcome};
use crate::study::{Context, LossRow, Results, StrategyResults};

/// How many findings on losses are told, and how many on late requests.
const LOST: usize = 2;
const LATE: usize = 1;
/// Findings below this share of a strategy's losses are not worth a sentence.
const LEAST_SHARE: f64 = 0.05;

/// The sentences, largest finding first; empty where nothing was lost or late.
pub fn sentences(results: &Results) -> Vec<String> {
    let case = |strategy| Case { strategy, context: &results.header.context, instances: results.header.instances };
    let cases: Vec<Case<'_>> = results.strategies.iter().map(case).collect();
    let mut lost: Vec<Finding> = cases.iter().flat_map(Case::losses).collect();
    let mut late: Vec<Finding> = cases.iter().flat_map(Case::delays).collect();
    for findings in [&mut lost, &mut late] {
        findings.sort_by(|a, b| b.requests.total_cmp(&a.requests).then_with(|| a.text.cmp(&b.text)));
    }
    tell(lost, LOST).chain(tell(late, LATE)).collect()
}

/// The largest findings, each cause once, with those strategies in which it is found as well.
fn tell(findings: Vec<Finding>, most: usize) -> impl Iterator<Item = String> {
    let mut told: Vec<(Finding, Vec<String>)> = Vec::new();
    for finding in findings {
        if let Some((_, others)) = told.iter_mut().find(|(first, _)| first.kind == finding.kind) {
            others.push(finding.strategy);
        } else if told.len() < most {
            told.push((finding, Vec::new()));
        }
    }
    told.into_iter().map(|(finding, others)| match others.as_slice() {
        [] => format!("{}.", finding.text),
        [one] => format!("{}. So it is in {one}, to a smaller extent.", finding.text),
        several => format!("{}. So it is in {} other strategies, to a smaller extent.", finding.text, several.len()),
    })
}

/// One thing that can be said of one strategy.
struct Finding {
    strategy: String,
    /// Findings of one kind are told once.
    kind: Kind,
    /// Requests that it explains, in one rollout.
    requests: f64,
    text: String,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Lost(Cause),
    Late(Delayed),
}

/// A strategy and what is known of it.
#[derive(Clone, Copy)]
struct Case<'a> {
    strategy: &'a StrategyResults,
    context: &'a Context,
    instances: u32,
}

impl Case<'_> {
    fn losses(&self) -> Vec<Finding> {
        let all = self.in_a_rollout("lost", |_| true);
        let found = Cause::ALL.into_iter().filter_map(|cause| {
            let requests = self.in_a_rollout("lost", |row| row == cause.name());
            let opening = format!("{} of the {} requests lost in a rollout", share(requests, all), count(all));
            self.finding(Kind::Lost(cause), (requests, all), &opening, &self.loss(cause))
        });
        found.collect()
    }

    fn delays(&self) -> Vec<Finding> {
        let all = self.in_a_rollout("late", |_| true);
        let found = Delayed::ALL.into_iter().filter_map(|delayed| {
            let requests = self.in_a_rollout("late", |row| row == delayed.name());
            let opening = format!("{} of the {} late requests of a rollout", share(requests, all), count(all));
            self.finding(Kind::Late(delayed), (requests, all), &opening, &self.delay(delayed))
        });
        found.collect()
    }

    /// Requests of a fate in one rollout, by cause.
    fn in_a_rollout(&self, fate: &str, is_meant: impl Fn(&str) -> bool) -> f64 {
        let rows = self.strategy.losses.iter().filter(|row| row.fate == fate && is_meant(&row.cause));
        rows.map(|row| row.requests_per_rollout).sum()
    }

    fn finding(&self, kind: Kind, (requests, all): (f64, f64), opening: &str, rest: &str) -> Option<Finding> {
        let is_worth_it = requests > 0.0 && requests >= LEAST_SHARE * all;
        is_worth_it.then(|| Finding {
            strategy: self.strategy.name.clone(),
            kind,
            requests,
            text: format!("{}: {opening} {rest}{}", self.strategy.name, self.place(kind)),
        })
    }

    /// Where it happened, if nearly all of it happened in one of several zones.
    fn place(&self, kind: Kind) -> String {
        let (fate, cause) = match kind {
            Kind::Lost(cause) => ("lost", cause.name()),
            Kind::Late(delayed) => ("late", delayed.name()),
        };
        let rows = || self.strategy.losses.iter().filter(move |row| row.fate == fate && row.cause == cause);
        let all: u64 = rows().map(|row| row.requests).sum();
        if self.context.zones == 1 {
            return String::new();
        }
        let in_zone = |zone: u32| rows().filter(|row| row.zone == Some(zone)).map(|row| row.requests).sum::<u64>();
        let most = (0..self.context.zones).find(|zone| in_zone(*zone) * 10 >= all * 9);
        most.map_or_else(String::new, |zone| format!(", nearly all of them in zone {zone}"))
    }

    /// What became of requests lost by a cause, and why.
    fn loss(&self, cause: Cause) -> String {
        match cause {
            Cause::StaleEndpoint => self.stale_endpoint(),
            Cause::NoEndpoint => self.no_endpoint(),
            Cause::QueueFull => format!("met full queues: {}", self.load()),
            Cause::TimedOutWaiting => format!("waited longer than {}: {}", self.timeout(), self.load()),
            Cause::TimedOutInService => format!("were not done within {}: {}", self.timeout(), self.slowness()),
            Cause::CutOff => self.cut_off(),
            Cause::Abandoned => {
                let patience = self.context.patience_s.map_or_else(String::new, |mean| format!(" of {}", span(mean)));
                format!("waited longer than their clients' patience{patience}: {}", self.load())
            }
            Cause::Shed => {
                let limit = self.context.shed_after_s.map_or_else(String::new, |limit| format!(" {}", span(limit)));
                format!("were dropped after they had waited{limit}: {}", self.load())
            }
            Cause::Error => "were answered with errors that instances of every version give".to_owned(),
            Cause::Defect => self.defect(),
            Cause::Crash => "were open at instances whose process ended unasked".to_owned(),
            Cause::WrongSchema => self.wrong_schema(),
            Cause::WrongVersion => {
                "came from clients of another version than the instances that they met: the versions cannot live together".to_owned()
            }
        }
    }

    /// What made requests late.
    fn delay(&self, delayed: Delayed) -> String {
        let Context { warm_up_factor, warm_up_s, connect_pause_s, target_s, work_p99_s, attempts, .. } = self.context;
        match delayed {
            Delayed::Waiting => format!("waited: {}", self.load()),
            Delayed::Cold => {
                let over =
                    warm_up_s.map_or_else(|| "at first".to_owned(), |over| format!("in their first {}", span(over)));
                let factor = warm_up_factor.unwrap_or(1.0);
                format!("met instances that were not warm yet, which take up to {factor:.1} times as long {over}")
            }
            Delayed::Slow => "met slow instances: a slower version, a defect, or a fault".to_owned(),
            Delayed::Retried => format!("were late because an attempt had failed: clients make up to {attempts}"),
            Delayed::Connecting => match connect_pause_s {
                Some(pause) => format!(
                    "waited for an instance that did not take them: balancers try the same one again after {}",
                    span(*pause)
                ),
                None => "waited for an instance that gave no answer".to_owned(),
            },
            Delayed::Work => {
                let target = target_s.map_or_else(String::new, |target| format!(" of {}", span(target)));
                format!(
                    "were late by their own work: the target{target} is short for a work whose p99 is {}",
                    span(*work_p99_s)
                )
            }
        }
    }

    fn stale_endpoint(&self) -> String {
        let Context { drain_s, pre_stop_s, propagation_p99_s, is_told, noticed_within_s, .. } = self.context;
        let serves_on = drain_s + pre_stop_s;
        match (is_told, noticed_within_s) {
            (true, _) if serves_on < *propagation_p99_s => format!(
                "went to stopped instances that balancers had not yet forgotten: {} shorter than the propagation p99 of {}",
                self.serves_on(),
                span(*propagation_p99_s)
            ),
            (true, _) => "went to instances that were down, before balancers had noticed".to_owned(),
            (false, Some(within)) => format!(
                "went to instances that were down, of which nobody tells the balancers: their checks notice within {}",
                span(*within)
            ),
            (false, None) => {
                "went to instances that were down, of which nobody tells the balancers, and which they do not check"
                    .to_owned()
            }
        }
    }

    /// How long an instance on its way out serves on, in words.
    fn serves_on(&self) -> String {
        let Context { drain_s, pre_stop_s, .. } = self.context;
        match (*drain_s > 0.0, *pre_stop_s > 0.0) {
            (true, true) => format!("drain and preStop of {} together are", span(drain_s + pre_stop_s)),
            (true, false) => format!("a drain of {} is", span(*drain_s)),
            (false, true) => format!("preStop {} is", span(*pre_stop_s)),
            (false, false) => "no drain and no preStop are".to_owned(),
        }
    }

    fn no_endpoint(&self) -> String {
        let least = self.strategy.summary.least_ready;
        let instances = self.instances;
        if least == 0 {
            return format!("found no instance at all: at the worst, none of {instances} was ready");
        }
        let Context { ejection_s, panic_threshold, noticed_within_s, .. } = self.context;
        let out = match (ejection_s, noticed_within_s) {
            (Some(lasts), _) => format!("balancers leave out whoever failed for {}", span(*lasts)),
            (None, Some(_)) => "health checks took all of them out".to_owned(),
            (None, None) => "news of them came late".to_owned(),
        };
        let panics = if *panic_threshold > 0.0 { "" } else { ", and there is no panic threshold" };
        format!(
            "found no instance that could be used, though {least} of {instances} were ready at the least: {out}{panics}"
        )
    }

    fn cut_off(&self) -> String {
        if !self.context.draining {
            return "were cut off, because balancers close what is open at an instance that they remove".to_owned();
        }
        format!(
            "were cut off when their instances were killed: the {} that they had after preStop are short for a work whose p99 is {}",
            span(self.strategy.grace_s),
            span(self.context.work_p99_s)
        )
    }

    fn defect(&self) -> String {
        let detected: Vec<f64> = self.strategy.runs.iter().filter_map(|run| run.detect_s).collect();
        let runs = &self.strategy.runs;
        if detected.is_empty() && !runs.is_empty() && runs.iter().all(|run| run.outcome == Outcome::Failed.name()) {
            return "were answered with errors by the new version: the rollout failed, and nobody asked for the old one"
                .to_owned();
        }
        if detected.is_empty() {
            return "were answered with errors by the new version, which nobody rolled back".to_owned();
        }
        let mean = detected.iter().sum::<f64>() / detected.len() as f64;
        format!(
            "were answered with errors by the new version: it was rolled back {} after the first trouble",
            span(mean)
        )
    }

    /// Which version could not read the schema, and whether that ends.
    fn wrong_schema(&self) -> String {
        let of_old = |row: &&LossRow| row.version == Version::OLD.to_string();
        let rows = || self.strategy.losses.iter().filter(|row| row.cause == Cause::WrongSchema.name());
        let (old, all) =
            (rows().filter(of_old).map(|row| row.requests).sum::<u64>(), rows().map(|row| row.requests).sum());
        if old * 2 < all {
            return "met the new version before the schema that it needs".to_owned();
        }
        let rolled_back = self.strategy.runs.iter().any(|run| run.detect_s.is_some());
        match (rolled_back, self.context.schema_can_go_back) {
            (true, false) => {
                "met the old version, which cannot read the new schema: a rollback does not bring the old schema back"
            }
            _ => "met the old version, which cannot read the new schema: that change is not backward compatible",
        }
        .to_owned()
    }

    fn timeout(&self) -> String {
        self.context
            .timeout_s
            .map_or_else(|| "the time-out".to_owned(), |timeout| format!("the time-out of {}", span(timeout)))
    }

    /// How much of its capacity the fleet needs where fewest are ready, and what else takes capacity away.
    fn load(&self) -> String {
        let least = self.strategy.summary.least_ready;
        let capacity = f64::from(least) * f64::from(self.context.workers);
        let ready = format!("at the fewest, {least} of {} instances were ready", self.instances);
        if least == 0 {
            return ready;
        }
        let load = self.context.offered_load / capacity;
        let cold = self.context.warm_up_factor.filter(|_| load < 1.0);
        let cold =
            cold.map_or_else(String::new, |factor| format!(", and new ones take up to {factor:.1} times as long"));
        format!("{ready}, of which the offered load needs {}{cold}", percent(load, 0))
    }

    fn slowness(&self) -> String {
        match self.context.warm_up_factor {
            Some(factor) => format!("instances that are not warm take up to {factor:.1} times as long"),
            None => format!("the p99 of their work is {}", span(self.context.work_p99_s)),
        }
    }
}

fn share(part: f64, all: f64) -> String {
    percent(part / all, 0)
}

/// A number of requests; small ones with a digit after the point.
fn count(requests: f64) -> String {
    grouped(requests, usize::from(requests < 10.0))
}

/// A span in words; below a second in milliseconds.
fn span(span_s: f64) -> String {
    if span_s > 0.0 && span_s < 1.0 { format!("{:.0} ms", span_s * 1e3) } else { seconds(span_s) }
}
