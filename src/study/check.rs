//! What a CI job wants to know: whether every strategy keeps the budget, and whether what the scenario says comes
//! out.

use super::{Results, StrategyResults, Verdict};
use crate::history::Outcome;
use crate::scenario::{Expectation, Scenario};

/// The worst verdict over all strategies and lines of the budget: missed before undecided before holds.
pub fn verdict(results: &Results) -> Verdict {
    let lines = || results.strategies.iter().flat_map(|strategy| &strategy.summary.budget);
    let any = |verdict: Verdict| lines().any(|line| line.verdict == verdict);
    [Verdict::Missed, Verdict::Undecided].into_iter().find(|verdict| any(*verdict)).unwrap_or(Verdict::Holds)
}

/// Something that came out otherwise than the scenario says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Surprise {
    /// The strategy.
    pub strategy: String,
    /// What was expected of, in the scenario's word.
    pub what: &'static str,
    /// What the scenario says.
    pub expected: String,
    /// What came out.
    pub found: String,
}

impl std::fmt::Display for Surprise {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}: {}: expected {}, found {}", self.strategy, self.what, self.expected, self.found)
    }
}

/// Everything that came out otherwise than the scenario's `[expect]` tables say.
pub fn surprises(scenario: &Scenario, results: &Results) -> Vec<Surprise> {
    let of = |expectation: &Expectation| compare(expectation, &results.strategies[expectation.strategy]);
    scenario.expectations.iter().flat_map(of).collect()
}

fn compare(expected: &Expectation, found: &StrategyResults) -> Vec<Surprise> {
    let mut surprises = Vec::new();
    let mut note = |what: &'static str, holds: bool, expected: String, found_text: String| {
        if !holds {
            surprises.push(Surprise { strategy: found.name.clone(), what, expected, found: found_text });
        }
    };
    let summary = &found.summary;
    if let Some(outcome) = &expected.outcome {
        let names: Vec<&str> = summary.outcomes.iter().map(|(outcome, _): &(Outcome, u32)| outcome.name()).collect();
        note("outcome", names == [outcome], outcome.clone(), names.join(", "));
    }
    let within = |[low, high]: [f64; 2], value: f64| (low..=high).contains(&value);
    if let Some(bounds) = expected.duration_s {
        let mean = summary.duration_s.map(|duration| duration.mean);
        let found = mean.map_or_else(|| "no end".to_owned(), |mean| format!("{mean:.3} s"));
        note("duration", mean.is_some_and(|mean| within(bounds, mean)), range(bounds, " s"), found);
    }
    if let Some(bounds) = expected.lost {
        let mean = summary.lost.mean;
        note("lost", within(bounds, mean), range(bounds, ""), format!("{mean:.3}"));
    }
    if let Some(least) = expected.least_ready {
        let found = summary.least_ready;
        note("least_ready", found == least, least.to_string(), found.to_string());
    }
    if let Some(most) = expected.most_instances {
        let found = summary.most_instances;
        note("most_instances", found == most, most.to_string(), found.to_string());
    }
    if let Some(cause) = &expected.main_cause {
        let found = summary.main_cause.map_or("none", |(cause, _)| cause.name());
        note("main_cause", found == cause, cause.clone(), found.to_owned());
    }
    surprises
}

fn range([low, high]: [f64; 2], unit: &str) -> String {
    format!("{low} to {high}{unit}")
}
