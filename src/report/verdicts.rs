//! How recordings and their replays compare, for a terminal.

use super::table::new_table;
use crate::conformance::balancers::Compared;
use crate::conformance::{Fit, Judged, Pair, Plateau, Set, Sides, Verdict, written};
use std::fmt::Write;
use std::time::Duration;

/// A row a case, and a line that sums up.
pub fn verdicts(judged: &[Judged]) -> String {
    let mut table = new_table();
    table.set_header(["case", "repetitions", "verdict", "what differs"]);
    for case in judged {
        let (word, why) = match &case.verdict {
            Verdict::Agrees => ("agrees", String::new()),
            Verdict::Differs(differences) => ("differs", lines(differences)),
            Verdict::Excused(_, stall) => ("excused", format!("{}: {}", stall.what, stall.evidence)),
        };
        table.add_row([case.name.clone(), case.sides.repetitions().to_string(), word.to_owned(), why]);
    }
    format!("{table}\n{}\n", summary(judged))
}

fn lines(differences: &[crate::conformance::Difference]) -> String {
    differences.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n")
}

/// How many cases agree, in all and by what was recorded.
pub fn summary(judged: &[Judged]) -> String {
    let agree = |cases: &[&Judged]| cases.iter().filter(|case| case.verdict == Verdict::Agrees).count();
    let all: Vec<&Judged> = judged.iter().collect();
    let mut text = format!("{} of {} cases agree", agree(&all), all.len());
    let mut parts: Vec<(&str, Vec<&Judged>)> = SETS.map(|set| (set, Vec::new())).to_vec();
    for case in judged {
        let of_set = parts.iter_mut().find(|(set, _)| *set == set_of(case));
        of_set.expect("every case belongs to a set").1.push(case);
    }
    parts.retain(|(_, cases)| !cases.is_empty());
    if parts.len() > 1 {
        let told = |(set, cases): &(&str, Vec<&Judged>)| format!("{set} {} of {}", agree(cases), cases.len());
        let parts: Vec<String> = parts.iter().map(told).collect();
        let _ = write!(text, " ({})", parts.join(", "));
    }
    let excused = judged.iter().filter(|case| matches!(case.verdict, Verdict::Excused(..))).count();
    if excused > 0 {
        let _ = write!(text, "; {excused} excused");
    }
    text
}

const BALANCERS: &str = "balancers";
const SETS: [&str; 4] = [Set::Kubernetes.name(), Set::Swarmkit.name(), Set::Swarm.name(), BALANCERS];

fn set_of(case: &Judged) -> &'static str {
    match &case.sides {
        Sides::Rollout(set, _) => set.name(),
        Sides::Balancer(_) => BALANCERS,
    }
}

/// What was recorded of a case beside what was simulated.
pub fn side_by_side(case: &Judged) -> String {
    match &case.sides {
        Sides::Rollout(set, pairs) => states(&case.name, *set, pairs),
        Sides::Balancer(compared) => figures(&case.name, compared),
    }
}

/// The figures of a load balancer beside those of its simulations.
fn figures(name: &str, compared: &[Compared]) -> String {
    let mut table = new_table();
    let repetitions = compared.first().map_or(&[][..], |figure| &figure.recorded);
    let recorded = repetitions.iter().map(|(repetition, _)| format!("r{repetition}"));
    let simulated = ["simulated 1 %", "median", "99 %"].map(str::to_owned);
    table.set_header([format!("{name}, recorded:")].into_iter().chain(recorded).chain(simulated));
    for figure in compared {
        let value = |value: Option<f64>| value.map_or_else(|| "-".to_owned(), |value| figure.unit.write(value));
        let recorded = figure.recorded.iter().map(|(_, recorded)| value(*recorded));
        let (low, high) = figure.range.unzip();
        let simulated = [low, figure.median, high].map(value);
        table.add_row([figure.name.clone()].into_iter().chain(recorded).chain(simulated));
    }
    format!("{table}\n")
}

/// The states of a case, each repetition beside its replay, leaving out what is held for a moment only.
fn states(name: &str, set: Set, pairs: &[Pair]) -> String {
    let mut text = String::new();
    for Pair { repetition, recorded, simulated } in pairs {
        let _ = writeln!(text, "{name} r{repetition}: {} at (seconds), for (seconds)", set.state());
        let mut table = new_table();
        table.set_header(["recorded", "at", "for", "simulated", "at", "for"]);
        let (left, right) = (held(&recorded.plateaus), held(&simulated.plateaus));
        for place in 0..left.len().max(right.len()) {
            let cells = |side: &[&Plateau]| {
                let seconds = |span: Duration| format!("{:.2}", span.as_secs_f64());
                side.get(place).map_or_else(Default::default, |plateau| {
                    [written(&plateau.state), seconds(plateau.from), seconds(plateau.held)]
                })
            };
            table.add_row([cells(&left), cells(&right)].concat());
        }
        let _ = writeln!(text, "{table}");
        let ended = |outcome: &str, duration: Option<Duration>| {
            duration.map_or_else(|| outcome.to_owned(), |span| format!("{outcome} after {:.2} s", span.as_secs_f64()))
        };
        let (was, is) = (ended(&recorded.outcome, recorded.duration), ended(&simulated.outcome, simulated.duration));
        let _ = writeln!(text, "recorded: {was}; simulated: {is}");
        for (was, is) in recorded.figures.iter().zip(&simulated.figures) {
            let to = if is.low == is.high { String::new() } else { format!(" to {}", is.high) };
            let _ = writeln!(text, "{}: recorded {}, simulated {}{to}", was.name, was.low, is.low);
        }
    }
    text
}

fn held(plateaus: &[Plateau]) -> Vec<&Plateau> {
    let last = plateaus.len().saturating_sub(1);
    let shown = |(place, plateau): &(usize, &Plateau)| *place == last || plateau.held >= Duration::from_millis(200);
    plateaus.iter().enumerate().filter(shown).map(|(_, plateau)| plateau).collect()
}

/// The lines that hold the constants of a set.
pub fn fitted(set: Set, fit: &Fit) -> String {
    let name = set.name().to_uppercase();
    format!(
        "// misfit {:.3}, before {:.3}\nconst {name}: Constants = {};\n",
        fit.misfit, fit.misfit_before, fit.constants,
    )
}
