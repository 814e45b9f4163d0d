//! Does the fast engine agree with the plain one, for which every end of a service is an event? All facts of a run as
//! lines, which must be the same to the bit.

use super::promises::Case;
use rollsim::engine;
use rollsim::history::{ClassCounts, History, Latencies, Window};
use rollsim::scenario::{Scenario, load, parse};
use std::path::Path;

/// Runs a case both ways. How many requests it had.
pub(super) fn agree(number: u64) -> Result<u64, String> {
    let case = Case::draw(number);
    let scenario = parse(&case.text, Path::new("case.toml")).map_err(|error| error.to_string())?;
    compare(&scenario, 0).map_err(|difference| format!("case {number}:\n{difference}\n{}", case.text))
}

/// Runs the strategies of a scenario file both ways. How many requests they had.
pub(super) fn agree_on(file: &Path) -> Result<u64, String> {
    let scenario = load(file).map_err(|error| error.to_string())?;
    let compared = (0..scenario.strategies.len()).map(|strategy| compare(&scenario, strategy));
    compared.sum::<Result<u64, String>>().map_err(|difference| format!("{}: {difference}", file.display()))
}

fn compare(scenario: &Scenario, strategy: usize) -> Result<u64, String> {
    let strategy = &scenario.strategies[strategy].strategy;
    let fast = engine::run(scenario, strategy, 0);
    let plain = engine::run_event_by_event(scenario, strategy, 0);
    match facts(&fast).into_iter().zip(facts(&plain)).find(|(fast, plain)| fast != plain) {
        Some((fast, plain)) => Err(format!("{fast}\nand not\n{plain}")),
        None => Ok(fast.ledger.arrivals),
    }
}

fn facts(history: &History) -> Vec<String> {
    let mut lines: Vec<String> = history.changes.iter().map(|change| format!("{change:?}")).collect();
    lines.push(format!("changes: {}", lines.len()));
    lines.push(format!("{:?} {:?} {:?}", history.wanted, history.asked, history.reported));
    lines.push(format!("{:?} {:?}", history.splits, history.schema_changed));
    lines.push(format!("{:?} {:?}", history.ledger, history.attempts));
    lines.push(format!("baseline: {}", window(&history.baseline)));
    lines.push(format!("window: {}", window(&history.window)));
    for (number, interval) in history.intervals.iter().enumerate() {
        let latency = latencies(&interval.latency);
        lines.push(format!("interval {number}: {:?} {:?} {latency}", interval.ledger, interval.load));
    }
    lines.push(format!("{:?} {}", history.harm, history.most_waiting));
    lines.push(format!("{:?} {:?} {:?}", history.outcome, history.ended_at, history.first_lost_at));
    lines.push(format!("{:?} {:?}", history.rollback_at, history.new_served_before_rollback));
    lines.push(format!("{:?} {}", history.trouble_at, history.events));
    lines
}

fn window(window: &Window) -> String {
    let waits = &window.waits;
    let classes: Vec<String> = window.classes.iter().map(counts).collect();
    let waited = format!("{} {} {} {}", waits.begun, waits.waited, waits.sum, latencies(&waits.waits));
    format!("{} {classes:?} {waited} {:?}", counts(&window.all), window.served_by)
}

fn counts(all: &ClassCounts) -> String {
    format!("{:?} {} {} {}", all.ledger, all.late, all.latency_sum, latencies(&all.latency))
}

fn latencies(latency: &Latencies) -> String {
    let counts = latency.iter_recorded().map(|value| (value.value_iterated_to(), value.count_at_value()));
    format!("{} {} {:?}", latency.min(), latency.max(), counts.collect::<Vec<_>>())
}
