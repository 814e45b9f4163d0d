//! The whole study at a glance: availability, fleet and figures, one row a strategy.

use super::Picture;
use super::availability::{axis, before, lines, rollout};
use super::axis::Axis;
use super::canvas::{Canvas, Type};
use super::fleet::{most, stack};
use super::font;
use super::format::{count, duration, share};
use super::palette::{ALARM, FADED, GREEN, GRID, INK, ORANGE, PURPLE, SKY, VERMILION, orchestrator};
use super::panel::{MARGIN, Mark, PLAIN, Panel, SIZE, SMALL, STRONG, legend, sheet};
use super::series::horizon;
use crate::history::Outcome;
use crate::stats::Estimate;
use crate::study::{Results, StrategyResults};

/// Where the rows begin, and the space below them.
const ROWS: f64 = 116.0;
const BOTTOM: f64 = 46.0;
/// Left and right edges of the columns.
const NAME: (f64, f64) = (MARGIN, 186.0);
const AVAILABILITY: (f64, f64) = (244.0, 522.0);
const FLEET: (f64, f64) = (560.0, 778.0);
/// Left edges of the columns of figures.
const FIGURES: [f64; 4] = [800.0, 908.0, 1_006.0, 1_094.0];

/// Figures that matter most.
const VALUE: Type = Type::new(13.5, INK);
/// Intervals below them.
const INTERVAL: Type = Type::new(10.5, FADED);

/// Every strategy in one row.
pub(super) fn draw(results: &Results) -> Picture {
    let number = results.strategies.len().max(1) as f64;
    let height = SIZE.1.max(ROWS + BOTTOM + 66.0 * number).round();
    let mut canvas = sheet(results, "What each strategy does to users while it rolls out", height);
    entries(&mut canvas);
    let room = (height - ROWS - BOTTOM) / number;
    let time = horizon(results);
    let within = room - 22.0;
    let axes = Axes {
        time: Axis::time(time.0, time.1, 5),
        share: axis(results, time, if within < 90.0 { 2 } else { 4 }),
        fleet_time: Axis::time(0.0, time.1, 4),
        instances: Axis::count(most(results) * 1.04, if within < 90.0 { 2 } else { 4 }),
    };
    heads(&mut canvas, results, axes.share.is_logarithmic());
    for (place, strategy) in results.strategies.iter().enumerate() {
        let top = (ROWS + place as f64 * room).round();
        let bottom = (ROWS + (place as f64 + 1.0) * room).round();
        canvas.level((MARGIN, SIZE.0 - MARGIN), top, GRID);
        name(&mut canvas, strategy, f64::midpoint(top, bottom), results.header.against == strategy.name);
        let is_last = place + 1 == results.strategies.len();
        panels(&mut canvas, (results, strategy), &axes, ((top + 11.0, bottom - 11.0), is_last));
        figures(&mut canvas, strategy, f64::midpoint(top, bottom));
    }
    let middle = |column: (f64, f64)| f64::midpoint(column.0, column.1);
    for column in [AVAILABILITY, FLEET] {
        let words = "time since the beginning of the rollout";
        canvas.text((middle(column), height - 12.0), SMALL.centred(), words);
    }
    canvas.finish("overview")
}

/// The axes that all rows share.
struct Axes {
    time: Axis,
    share: Axis,
    fleet_time: Axis,
    instances: Axis,
}

fn entries(canvas: &mut Canvas) {
    let entries = [
        (Mark::Band(FADED), "availability: mean, and 5–95 % of the replications"),
        (Mark::Line(INK, 4.0), "rollout"),
        (Mark::Patch(GREEN), "new, ready"),
        (Mark::Patch(SKY), "old, ready"),
        (Mark::Patch(ORANGE), "new, not ready"),
        (Mark::Patch(VERMILION), "old, not ready"),
        (Mark::Patch(PURPLE), "terminating"),
        (Mark::Dashes(INK), "desired"),
    ];
    legend(canvas, &entries);
}

fn heads(canvas: &mut Canvas, results: &Results, is_logarithmic: bool) {
    let y = ROWS - 8.0;
    canvas.text((NAME.0, y), PLAIN, "strategy");
    let served = if is_logarithmic { "requests served (logarithmic towards 100 %)" } else { "requests served" };
    canvas.text((AVAILABILITY.0, y), PLAIN, served);
    canvas.text((FLEET.0, y), PLAIN, "fleet (first replication)");
    for (x, words) in FIGURES.into_iter().zip(["availability", "lost", "duration", "outcome"]) {
        canvas.text((x, y), PLAIN, words);
    }
    let words = format!("{:.0} % intervals below the means", results.header.confidence * 100.0);
    canvas.text((SIZE.0 - MARGIN, 57.0), PLAIN.right(), &words);
}

/// The name on one or two lines, the orchestrator below.
fn name(canvas: &mut Canvas, strategy: &StrategyResults, middle: f64, is_reference: bool) {
    let room = NAME.1 - NAME.0 - 16.0;
    let lines = broken(&strategy.name, STRONG.size, room);
    let mut y = middle - 8.0 * (lines.len() as f64 - 1.0) - 2.0;
    canvas.circle((NAME.0 + 5.0, y - 4.5), 5.0, orchestrator(&strategy.orchestrator));
    for line in &lines {
        canvas.text((NAME.0 + 16.0, y), STRONG, line);
        y += 16.0;
    }
    let tag =
        if is_reference { format!("{} · reference", strategy.orchestrator) } else { strategy.orchestrator.clone() };
    canvas.text((NAME.0 + 16.0, y - 1.0), SMALL, &font::fit(&tag, SMALL.size, room));
}

/// A text on at most two lines, parted after a hyphen or blank where possible.
fn broken(text: &str, size: f64, room: f64) -> Vec<String> {
    if font::width(text, size) <= room {
        return vec![text.to_owned()];
    }
    let fits = |end: &usize| font::width(&text[..*end], size) <= room;
    let ends = text.char_indices().map(|(at, character)| (at + character.len_utf8(), character));
    let ends: Vec<(usize, char)> = ends.filter(|(end, _)| fits(end)).collect();
    let gap = ends.iter().rev().find(|(_, character)| matches!(character, '-' | ' ' | '_' | '.' | '/'));
    let end = gap.or(ends.last()).map_or(0, |(end, _)| *end);
    vec![text[..end].trim_end().to_owned(), font::fit(text[end..].trim_start(), size, room)]
}

fn panels(
    canvas: &mut Canvas,
    (results, strategy): (&Results, &StrategyResults),
    axes: &Axes,
    (y, is_last): ((f64, f64), bool),
) {
    let panel = Panel { x: AVAILABILITY, y, is_first: true, is_last };
    before(canvas, &panel, &axes.time);
    panel.axes(canvas, &axes.time, &axes.share);
    lines(canvas, &panel, (&axes.time, &axes.share), results, strategy);
    panel.base(canvas);
    rollout(canvas, &panel, &axes.time, strategy);
    let panel = Panel { x: FLEET, ..panel };
    panel.axes(canvas, &axes.fleet_time, &axes.instances);
    stack(canvas, &panel, (&axes.fleet_time, &axes.instances), strategy, results.header.instances);
    panel.base(canvas);
}

fn figures(canvas: &mut Canvas, strategy: &StrategyResults, middle: f64) {
    let summary = &strategy.summary;
    let replications = summary.outcomes.iter().map(|(_, runs)| runs).sum::<u32>();
    let (outcome, runs) = summary.outcomes.first().copied().unwrap_or((Outcome::Unfinished, 0));
    let percent = |value: f64| share(value.clamp(0.0, 1.0)).trim_end_matches(" %").to_owned();
    let Estimate { low, high, .. } = summary.availability;
    let lost = summary.lost;
    let pairs = [
        (share(summary.availability.mean), format!("{}–{}", percent(low), percent(high)), INK),
        (count(lost.mean), format!("{}–{}", count(lost.low.max(0.0)), count(lost.high)), INK),
        match summary.duration_s {
            Some(Estimate { mean, high, .. }) => (duration(mean), format!("± {}", duration(high - mean)), INK),
            None => ("–".to_owned(), "never ended".to_owned(), ALARM),
        },
        (
            outcome.name().to_owned(),
            format!("{runs} of {replications}"),
            if outcome == Outcome::Completed { INK } else { ALARM },
        ),
    ];
    for (place, (value, interval, paint)) in pairs.into_iter().enumerate() {
        let x = FIGURES[place];
        let room = FIGURES.get(place + 1).map_or(SIZE.0 - MARGIN, |next| next - 8.0) - x;
        canvas.text((x, middle - 2.0), Type { paint, ..VALUE }, &font::fit(&value, VALUE.size, room));
        canvas.text((x, middle + 13.0), INTERVAL, &font::fit(&interval, INTERVAL.size, room));
    }
}
