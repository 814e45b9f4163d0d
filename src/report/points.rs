//! How validation points came out, for a terminal and as JSON.

use super::table::new_table;
use crate::validation::{Estimate, Expected, Fate, Judged, Tolerance, Trial, Verdict, z};
use serde::Serialize;
use std::fmt::Write;

/// How wide a column of words may become.
const WORDS_WIDTH: usize = 40;

/// A row a point, and a line that sums up.
pub fn points(judged: &[Judged]) -> String {
    let mut table = new_table();
    table.set_header(["point", "source", "expected", "estimate", "standard error", "furthest seed", "verdict"]);
    for one in judged {
        let point = &one.point;
        let mean = together(&one.trials);
        let column = |cell: fn(Estimate) -> String| lines(mean.iter().map(|estimate| cell(*estimate)));
        table.add_row([
            format!("{}\n{}", point.id, wrapped(&point.quantity)),
            wrapped(&point.source),
            expected(&point.value, point.tolerance),
            column(|estimate| number(estimate.mean, estimate.standard_error)),
            column(|estimate| error(estimate.standard_error)),
            furthest(one),
            verdict(one),
        ]);
    }
    format!("{table}\n{}\n", summary(judged))
}

/// Each seed of each point.
pub fn seeds(judged: &[Judged]) -> String {
    let mut text = String::new();
    for one in judged {
        for trial in &one.trials {
            let seed = trial.seed.map_or_else(|| "computed".to_owned(), |seed| format!("seed {seed}"));
            let estimates = trial.estimates.iter().map(|estimate| {
                format!("{} ± {}", number(estimate.mean, estimate.standard_error), error(estimate.standard_error))
            });
            let estimates = estimates.collect::<Vec<_>>().join(", ");
            let _ = writeln!(text, "{}, {seed}, {} runs: {estimates}", one.point.id, trial.runs);
        }
    }
    text
}

/// How many points hold, and which do not.
pub fn summary(judged: &[Judged]) -> String {
    let count = |verdict: Verdict| judged.iter().filter(|one| one.verdict == verdict).count();
    let mut text = format!("{} of {} points hold", count(Verdict::Holds), judged.len());
    for verdict in [Verdict::Differs, Verdict::TooCoarse, Verdict::NotMeasured, Verdict::NotUnderstood] {
        let ids: Vec<&str> =
            judged.iter().filter(|one| one.verdict == verdict).map(|one| one.point.id.as_str()).collect();
        if !ids.is_empty() {
            let _ = write!(text, "\n{}: {} ({})", verdict.name(), ids.len(), ids.join(", "));
        }
    }
    text
}

/// A point as it is told to other programs.
#[derive(Serialize)]
struct Told<'a> {
    id: &'a str,
    source: &'a str,
    quantity: &'a str,
    kind: &'static str,
    verdict: &'static str,
    trials: Vec<ToldTrial>,
    unread_params: &'a [String],
}

#[derive(Serialize)]
struct ToldTrial {
    seed: Option<u64>,
    runs: usize,
    mean: Vec<f64>,
    standard_error: Vec<f64>,
}

/// The same as JSON: a list of objects.
pub fn json(judged: &[Judged]) -> String {
    let trial = |trial: &Trial| ToldTrial {
        seed: trial.seed,
        runs: trial.runs,
        mean: trial.estimates.iter().map(|estimate| estimate.mean).collect(),
        standard_error: trial.estimates.iter().map(|estimate| estimate.standard_error).collect(),
    };
    let told: Vec<Told<'_>> = judged
        .iter()
        .map(|one| Told {
            id: &one.point.id,
            source: &one.point.source,
            quantity: &one.point.quantity,
            kind: one.point.kind.name(),
            verdict: one.verdict.name(),
            trials: one.trials.iter().map(trial).collect(),
            unread_params: &one.unread,
        })
        .collect();
    serde_json::to_string_pretty(&told).expect("words and numbers are plain JSON")
}

/// The estimates of all seeds taken together.
fn together(trials: &[Trial]) -> Vec<Estimate> {
    let numbers = trials.first().map_or(0, |trial| trial.estimates.len());
    let seeds = trials.len() as f64;
    let of = |place: usize| {
        let each = trials.iter().map(|trial| trial.estimates[place]);
        let mean = each.clone().map(|estimate| estimate.mean).sum::<f64>() / seeds;
        let squares: f64 = each.map(|estimate| estimate.standard_error * estimate.standard_error).sum();
        Estimate { mean, standard_error: squares.sqrt() / seeds }
    };
    (0..numbers).map(of).collect()
}

/// How far off the seed is that is furthest off.
fn furthest(one: &Judged) -> String {
    let Expected::Numbers(values) = &one.point.value else { return String::new() };
    let of = |(place, value): (usize, &f64)| {
        let off = |estimate: &Estimate| (estimate.mean - value).abs();
        let each = one.trials.iter().map(|trial| trial.estimates[place]);
        let most = each.max_by(|a, b| off(a).total_cmp(&off(b)))?;
        let by = if *value == 0.0 {
            format!("{:+}", most.mean)
        } else {
            format!("{:+.2} %", (most.mean - value) / value * 100.0)
        };
        Some(z(most, *value).map_or(by.clone(), |z| format!("{by}, {z:+.1} SE")))
    };
    lines(values.iter().enumerate().filter_map(of))
}

fn verdict(one: &Judged) -> String {
    let unread =
        if one.unread.is_empty() { String::new() } else { format!("\nnot looked at: {}", one.unread.join(", ")) };
    format!("{}{unread}", one.verdict.name())
}

fn expected(value: &Expected, tolerance: Tolerance) -> String {
    let values = match value {
        Expected::Fate(Fate::Recovers) => return "recovers".to_owned(),
        Expected::Fate(Fate::StaysDown) => return "stays down".to_owned(),
        Expected::Numbers(values) => values,
    };
    let within = match tolerance {
        Tolerance::Exact => " exactly".to_owned(),
        Tolerance::StandardErrors | Tolerance::Word => String::new(),
        Tolerance::Within { relative, absolute } => {
            let percent = |share: f64| format!(" ± {} %", number(share * 100.0, 0.0));
            let relative = if relative > 0.0 { percent(relative) } else { String::new() };
            let absolute = if absolute > 0.0 { format!(" ± {absolute}") } else { String::new() };
            format!("{relative}{absolute}")
        }
    };
    lines(values.iter().map(|value| format!("{value}{within}")))
}

fn lines(cells: impl Iterator<Item = String>) -> String {
    cells.collect::<Vec<_>>().join("\n")
}

/// A number to the second digit of its standard error; to six digits where it has none.
fn number(number: f64, standard_error: f64) -> String {
    let digits = if standard_error > 0.0 { decimals(standard_error, 2) } else { decimals(number, 6) };
    let text = format!("{number:.digits$}");
    if standard_error > 0.0 || !text.contains('.') {
        return text;
    }
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

fn error(standard_error: f64) -> String {
    if standard_error > 0.0 { format!("{standard_error:.*}", decimals(standard_error, 2)) } else { String::new() }
}

/// How many decimals show so many significant digits.
fn decimals(number: f64, significant: i32) -> usize {
    if number == 0.0 {
        return 0;
    }
    let magnitude = libm::floor(libm::log10(number.abs())) as i32;
    (significant - 1 - magnitude).clamp(0, 12) as usize
}

/// A text broken at spaces into lines of a bearable width.
fn wrapped(text: &str) -> String {
    let mut wrapped = String::new();
    let mut width = 0;
    for word in text.split_whitespace() {
        let length = word.chars().count();
        if width > 0 && width + 1 + length > WORDS_WIDTH {
            wrapped.push('\n');
            width = 0;
        } else if width > 0 {
            wrapped.push(' ');
            width += 1;
        }
        wrapped.push_str(word);
        width += length;
    }
    wrapped
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_show_what_their_error_lets_them_say() {
        for (value, standard_error, text) in [
            (5.012_345, 0.021, "5.012"),
            (150.4, 12.0, "150"),
            (0.018_384_6, 0.000_12, "0.01838"),
            (600.0, 0.0, "600"),
            (0.577_350_3, 0.0, "0.57735"),
            (0.0, 0.0, "0"),
        ] {
            assert_eq!(number(value, standard_error), text);
        }
    }

    #[test]
    fn words_are_broken_at_spaces() {
        let text = "one two three four five six seven eight nine ten eleven";
        let wrapped = wrapped(text);
        assert_eq!(wrapped.replace('\n', " "), text);
        assert!(wrapped.lines().count() == 2 && wrapped.lines().all(|line| line.len() <= WORDS_WIDTH), "{wrapped}");
    }
}
