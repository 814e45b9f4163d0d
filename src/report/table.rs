//! The league table and the paired differences, for a terminal.

use super::why;
use crate::history::Outcome;
use crate::stats::{Estimate, upper_bound_of_none};
use crate::study::{BudgetLine, Differences, Header, Results, StrategyResults, Summary, Verdict};
use comfy_table::presets::UTF8_FULL_CONDENSED;
use comfy_table::{CellAlignment, ContentArrangement, Table};
use std::fmt::Write;

/// Everything that `run` prints: what was studied, a row a strategy, the differences, and why requests were lost or late.
pub fn league(results: &Results) -> String {
    let header = &results.header;
    let mut text = headline(header);
    let mut table = new_table();
    let has_budget = results.strategies.iter().any(|strategy| !strategy.summary.budget.is_empty());
    let mut columns = vec![
        "strategy",
        "availability",
        "lost per rollout",
        "p50 / p95 / p99 ms",
        "duration",
        "least ready",
        "extra",
        "outcome",
    ];
    if has_budget {
        columns.push("budget");
    }
    table.set_header(&columns);
    for strategy in &results.strategies {
        table.add_row(row(strategy, header, has_budget));
    }
    for column in 1..columns.len() {
        align_right(&mut table, column);
    }
    let _ = writeln!(text, "{table}");
    let _ = writeln!(text, "{}", baseline_line(results));
    if results.strategies.iter().any(|strategy| strategy.summary.lost.high <= 0.0) {
        let _ = writeln!(text, "lost none: {}", nothing_seen(header.replications, header.confidence));
    }
    if results.strategies.len() > 1 {
        let _ = writeln!(text, "\nPaired differences to {} (same traffic, same luck):", header.against);
        let _ = writeln!(text, "{}", differences(results));
    }
    let sentences = why::sentences(results);
    if !sentences.is_empty() {
        text.push('\n');
    }
    for sentence in sentences {
        let _ = writeln!(text, "{sentence}");
    }
    text
}

fn headline(header: &Header) -> String {
    format!(
        "{}: {} instances, {} replications, seed {}, {} observed from the start of each rollout; ± and ≥ are {} intervals\n",
        header.scenario,
        header.instances,
        header.replications,
        header.seed,
        seconds(header.window_s),
        percent(header.confidence, 0),
    )
}

pub(crate) fn new_table() -> Table {
    let mut table = Table::new();
    table.load_style(UTF8_FULL_CONDENSED.with_rounded_corners());
    // Fits into the terminal, and takes the room that it needs where there is none.
    table.set_content_arrangement(ContentArrangement::Dynamic);
    table
}

fn align_right(table: &mut Table, column: usize) {
    if let Some(column) = table.column_mut(column) {
        column.set_cell_alignment(CellAlignment::Right);
    }
}

fn row(strategy: &StrategyResults, header: &Header, has_budget: bool) -> Vec<String> {
    let summary = &strategy.summary;
    let quantiles = [&summary.p50_ms, &summary.p95_ms, &summary.p99_ms].map(|quantile| millis(quantile.mean));
    let mut row = vec![
        strategy.name.clone(),
        availability(&summary.availability),
        lost(summary),
        format!("{}\n{}", quantiles.join(" / "), changes(summary)),
        duration(summary, header.replications),
        format!("{} of {}", summary.least_ready, header.instances),
        instance_time(summary.extra_instance_s.mean),
        outcomes(&summary.outcomes),
    ];
    if has_budget {
        row.push(budget(&summary.budget));
    }
    row
}

/// What can be said where no rollout lost anything: losses come by the rollout, so it is rollouts that are counted.
fn nothing_seen(replications: u32, confidence: f64) -> String {
    let most = percent(upper_bound_of_none(u64::from(replications), confidence), 0);
    format!(
        "in {replications} rollouts; at most {most} of rollouts lose anything, at {} confidence",
        percent(confidence, 0)
    )
}

/// How many times longer each quantile is than before the rollout.
fn changes(summary: &Summary) -> String {
    let pairs = [
        (&summary.p50_ms, &summary.baseline_p50_ms),
        (&summary.p95_ms, &summary.baseline_p95_ms),
        (&summary.p99_ms, &summary.baseline_p99_ms),
    ];
    let change = |(now, before): (&Estimate, &Estimate)| match before.mean {
        before if before > 0.0 => format!("×{:.1}", now.mean / before),
        _ => "-".to_owned(),
    };
    pairs.map(change).join(" / ")
}

fn baseline_line(results: &Results) -> String {
    // Before the rollout all strategies are the same fleet under the same luck.
    let summary = &results.strategies[0].summary;
    let quantiles = [&summary.baseline_p50_ms, &summary.baseline_p95_ms, &summary.baseline_p99_ms];
    let quantiles = quantiles.map(|quantile| millis(quantile.mean)).join(" / ");
    format!("×: against before the rollout, {quantiles} ms. extra: instance-time beyond the desired instances")
}

fn differences(results: &Results) -> Table {
    let mut table = new_table();
    table.set_header(["strategy", "availability, points", "lost", "p99, ms", "duration", "extra"]);
    for strategy in &results.strategies {
        let Some(against) = &strategy.summary.against else { continue };
        table.add_row(difference_row(&strategy.name, against));
    }
    for column in 1..6 {
        align_right(&mut table, column);
    }
    table
}

fn difference_row(name: &str, against: &Differences) -> [String; 6] {
    let points = Estimate {
        mean: against.availability.mean * 100.0,
        low: against.availability.low * 100.0,
        high: against.availability.high * 100.0,
    };
    [
        name.to_owned(),
        signed(&points),
        signed(&against.lost),
        signed(&against.p99_ms),
        against.duration_s.map_or_else(|| "-".to_owned(), |duration| format!("{} s", signed(&duration))),
        format!("{} s", signed(&against.extra_instance_s)),
    ]
}

/// The mean, and below it the interval: `± 0.004`, or only its lower end where it reaches 100 %: `≥ 99.9993`.
pub fn availability(estimate: &Estimate) -> String {
    let (below, above) = (estimate.mean - estimate.low, estimate.high - estimate.mean);
    let half = below.max(above) * 100.0;
    let digits = digits_for(half).clamp(2, 6);
    if estimate.high >= 1.0 {
        let mean = if estimate.mean >= 1.0 { "100 %".to_owned() } else { percent(estimate.mean, digits) };
        return format!("{mean}\n≥ {}", percent_bare(estimate.low, digits));
    }
    format!("{}\n± {half:.digits$}", percent(estimate.mean, digits))
}

/// Decimals that show two digits of an interval's half width.
fn digits_for(half: f64) -> usize {
    if half <= 0.0 {
        return 2;
    }
    (1.0 - libm::floor(libm::log10(half))).clamp(0.0, 6.0) as usize
}

fn lost(summary: &Summary) -> String {
    let count = with_half(&summary.lost);
    match summary.main_cause {
        None => "none".to_owned(),
        Some((cause, share)) => format!("{count}\n{} {}", percent(share, 0), cause.label()),
    }
}

fn with_half(estimate: &Estimate) -> String {
    let half = estimate.high - estimate.mean;
    let digits = digits_for(half).min(2);
    format!("{} ± {}", grouped(estimate.mean, digits), grouped(half, digits))
}

fn signed(estimate: &Estimate) -> String {
    let half = estimate.high - estimate.mean;
    let digits = digits_for(half).min(6);
    if estimate.mean == 0.0 && half == 0.0 {
        return "0".to_owned();
    }
    format!("{:+.digits$} ± {half:.digits$}", estimate.mean)
}

/// A number with its thousands set apart.
pub(super) fn grouped(value: f64, digits: usize) -> String {
    let plain = format!("{value:.digits$}");
    let (whole, fraction) = plain.split_once('.').map_or((plain.as_str(), ""), |(whole, fraction)| (whole, fraction));
    let mut text = String::new();
    for (place, digit) in whole.chars().enumerate() {
        let left = whole.len() - place;
        if place > 0 && left % 3 == 0 && !text.ends_with('-') {
            text.push(',');
        }
        text.push(digit);
    }
    if !fraction.is_empty() {
        text.push('.');
        text.push_str(fraction);
    }
    text
}

fn millis(value: f64) -> String {
    match value {
        value if value < 10.0 => format!("{value:.2}"),
        value if value < 100.0 => format!("{value:.1}"),
        value => grouped(value, 0),
    }
}

pub(crate) fn percent(share: f64, digits: usize) -> String {
    format!("{} %", percent_bare(share, digits))
}

/// Rounds towards what is worse: 99.9996 % is not 100 %.
fn percent_bare(share: f64, digits: usize) -> String {
    let text = format!("{:.digits$}", share * 100.0);
    let rounds_to_all = share < 1.0 && text.parse::<f64>().is_ok_and(|rounded| rounded >= 100.0);
    if rounds_to_all {
        let scale = libm::pow(10.0, digits as f64);
        return format!("{:.digits$}", libm::floor(share * 100.0 * scale) / scale);
    }
    text
}

/// The mean duration; where not every rollout came to its end, of how many it is the mean.
fn duration(summary: &Summary, replications: u32) -> String {
    let Some(mean) = &summary.duration_s else { return "-".to_owned() };
    let is_end = |outcome: Outcome| matches!(outcome, Outcome::Completed | Outcome::RolledBack);
    let ended: u32 = summary.outcomes.iter().filter(|(outcome, _)| is_end(*outcome)).map(|(_, runs)| runs).sum();
    if ended < replications {
        return format!("{}\n{ended} of {replications} ended", seconds(mean.mean));
    }
    duration_text(mean)
}

fn duration_text(duration: &Estimate) -> String {
    let half = duration.high - duration.mean;
    if half < 0.05 { seconds(duration.mean) } else { format!("{}\n± {}", seconds(duration.mean), seconds(half)) }
}

/// `45.3 s` or `12 min 5 s`.
pub fn seconds(seconds: f64) -> String {
    if seconds < 10.0 {
        return format!("{seconds:.1} s").replace(".0 s", " s");
    }
    let whole = libm::round(seconds) as u64;
    match (whole / 60, whole % 60) {
        _ if whole < 100 => format!("{whole} s"),
        (minutes, 0) => format!("{minutes} min"),
        (minutes, rest) => format!("{minutes} min {rest} s"),
    }
}

fn instance_time(seconds: f64) -> String {
    format!("{} min", grouped(seconds / 60.0, 1))
}

fn outcomes(outcomes: &[(Outcome, u32)]) -> String {
    match outcomes {
        [(only, _)] => only.name().to_owned(),
        several => {
            several.iter().map(|(outcome, runs)| format!("{runs} {}", outcome.name())).collect::<Vec<_>>().join("\n")
        }
    }
}

fn budget(lines: &[BudgetLine]) -> String {
    let of = |verdict: Verdict| {
        let names: Vec<&str> =
            lines.iter().filter(|line| line.verdict == verdict).map(|line| budget_word(&line.what)).collect();
        names.join(", ")
    };
    let (missed, undecided) = (of(Verdict::Missed), of(Verdict::Undecided));
    match (missed.is_empty(), undecided.is_empty()) {
        (true, true) => "holds".to_owned(),
        (true, false) => format!("undecided:\n{undecided}"),
        (false, _) => format!("missed:\n{missed}"),
    }
}

fn budget_word(what: &str) -> &str {
    match what {
        "p99_ms" => "p99",
        "duration_s" => "duration",
        "least_ready" => "least ready",
        other => other,
    }
}

/// A budget's line in words: `k8s-default: availability 99.91 % [99.88, 99.94] misses 99.95 %`.
pub fn budget_sentence(strategy: &str, line: &BudgetLine, confidence: f64) -> String {
    let is_share = matches!(line.what.as_str(), "availability" | "least_ready");
    let number = |value: f64| match line.what.as_str() {
        _ if is_share => percent_bare(value, 4),
        "lost" => grouped(value, 1),
        _ => format!("{value:.1}"),
    };
    let unit = match line.what.as_str() {
        _ if is_share => " %",
        "p99_ms" => " ms",
        "duration_s" => " s",
        _ => "",
    };
    let estimate = line.estimate.map_or_else(
        || "no rollout came to its end".to_owned(),
        |estimate| {
            let interval =
                format!("{} interval {} to {}", percent(confidence, 0), number(estimate.low), number(estimate.high));
            format!("{}{unit} ({interval})", number(estimate.mean))
        },
    );
    let verdict = match line.verdict {
        Verdict::Holds => "holds",
        Verdict::Missed => "misses",
        Verdict::Undecided => "cannot be told from",
    };
    let relation = if is_share { "at least" } else { "at most" };
    format!(
        "{strategy}: {}: {estimate} {verdict} the budget of {relation} {}{unit}",
        budget_word(&line.what),
        number(line.limit)
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn estimate(mean: f64, half: f64) -> Estimate {
        Estimate { mean, low: mean - half, high: mean + half }
    }

    #[test]
    fn an_availability_shows_as_many_digits_as_it_knows() {
        assert_eq!(availability(&estimate(0.999_817, 0.000_042)), "99.9817 %\n± 0.0042");
        assert_eq!(availability(&estimate(0.95, 0.01)), "95.00 %\n± 1.00");
        let nearly_nothing_lost = Estimate { mean: 0.999_998, low: 0.999_997, high: 1.0 };
        assert_eq!(availability(&nearly_nothing_lost), "99.99980 %\n≥ 99.99970");
    }

    #[test]
    fn nearly_all_is_not_all() {
        assert_eq!(percent(0.999_999, 2), "99.99 %");
        assert_eq!(percent(1.0, 2), "100.00 %");
    }

    #[test]
    fn spans_and_counts_read_well() {
        let spans = [0.5, 9.0, 45.3, 99.0, 120.0, 725.0].map(seconds);
        assert_eq!(spans, ["0.5 s", "9 s", "45 s", "99 s", "2 min", "12 min 5 s"]);
        assert_eq!(grouped(1_234_567.891, 2), "1,234,567.89");
        assert_eq!(grouped(-1_234.0, 0), "-1,234");
    }

    #[test]
    fn a_missed_budget_is_said_with_its_figures() {
        let line = BudgetLine {
            what: "availability".to_owned(),
            limit: 0.9995,
            estimate: Some(estimate(0.9990, 0.0001)),
            verdict: Verdict::Missed,
        };
        assert_eq!(
            budget_sentence("k8s", &line, 0.95),
            "k8s: availability: 99.9000 % (95 % interval 99.8900 to 99.9100) misses the budget of at least 99.9500 %"
        );
    }
}
