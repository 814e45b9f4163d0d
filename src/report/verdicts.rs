//! How recordings and their replays compare, for a terminal.

use super::table::new_table;
use crate::conformance::{Fit, Judged, Pair, Plateau, Set, Verdict, written};
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
            Verdict::NotSupported => ("not supported yet", String::new()),
        };
        table.add_row([case.name.clone(), case.pairs.len().to_string(), word.to_owned(), why]);
    }
    format!("{table}\n{}\n", summary(judged))
}

fn lines(differences: &[crate::conformance::Difference]) -> String {
    differences.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n")
}

/// How many cases agree, in all and by set.
pub fn summary(judged: &[Judged]) -> String {
    let agreeing = |set: Set| {
        let of_set = judged.iter().filter(|case| case.set == Some(set));
        let agree = of_set.clone().filter(|case| case.verdict == Verdict::Agrees).count();
        (agree, of_set.count())
    };
    let sets = [Set::Kubernetes, Set::Swarmkit, Set::Swarm];
    let (agree, all) = sets.map(agreeing).iter().fold((0, 0), |sum, set| (sum.0 + set.0, sum.1 + set.1));
    let mut text = format!("{agree} of {all} cases agree");
    let parts: Vec<String> = sets
        .into_iter()
        .map(|set| (set, agreeing(set)))
        .filter(|(_, (_, all))| *all > 0)
        .map(|(set, (agree, all))| format!("{} {agree} of {all}", set.name()))
        .collect();
    if parts.len() > 1 {
        let _ = write!(text, " ({})", parts.join(", "));
    }
    let excused = judged.iter().filter(|case| matches!(case.verdict, Verdict::Excused(..))).count();
    if excused > 0 {
        let _ = write!(text, "; {excused} excused");
    }
    let left_out = judged.iter().filter(|case| case.verdict == Verdict::NotSupported).count();
    if left_out > 0 {
        let _ = write!(text, "; {left_out} not supported yet");
    }
    text
}

/// The states of a case, each repetition beside its replay, leaving out what is held for a moment only.
pub fn side_by_side(case: &Judged) -> String {
    let mut text = String::new();
    let Some(set) = case.set else { return text };
    for Pair { repetition, recorded, simulated } in &case.pairs {
        let _ = writeln!(text, "{} r{repetition}: {} at (seconds), for (seconds)", case.name, set.state());
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
