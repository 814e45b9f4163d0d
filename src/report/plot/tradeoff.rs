//! How long rollouts take against how many requests they lose, all strategies at once.

use super::Picture;
use super::axis::Axis;
use super::canvas::{Canvas, Point};
use super::font;
use super::palette::{FADED, FRAME, GRID, INK, PALE, PAPER, Paint, SHADE, orchestrator};
use super::panel::{MARGIN, PLAIN, Panel, SIZE, SMALL, STRONG, TOP, axis_titles, sheet};
use crate::history::Outcome;
use crate::stats::Estimate;
use crate::study::{Results, StrategyResults};

/// Half the size of a mark.
const RADIUS: f64 = 6.5;
/// The size of labels.
const LABEL: f64 = 12.0;

/// A rectangle: left, top, right, bottom.
type Area = (f64, f64, f64, f64);

/// Both figures of every strategy with their intervals; strategies whose rollouts never ended stand in a strip at the
/// right.
pub(super) fn draw(results: &Results) -> Picture {
    let mut canvas = sheet(results, "Duration of a rollout against the requests that it loses", SIZE.1);
    legend(&mut canvas, results);
    let ended = |strategy: &&StrategyResults| strategy.summary.duration_s.is_some();
    let strip = if results.strategies.iter().all(|strategy| ended(&strategy)) { 0.0 } else { 236.0 };
    let panel =
        Panel { x: (MARGIN + 62.0, SIZE.0 - MARGIN - strip), y: (TOP, SIZE.1 - 60.0), is_first: true, is_last: true };
    let (x, y) = axes(results);
    // Zero lies above the frame, so that a mark there is whole.
    let floor = panel.y.1 - 18.0;
    let up = |lost: f64| y.place(lost, floor, panel.y.0 + 8.0);
    backdrop(&mut canvas, &panel, (&x, &y), up);
    let across = |seconds: f64| x.place(seconds, panel.x.0, panel.x.1);
    let mut labels = Labels { taken: front(&mut canvas, results, across, up) };

    let strip_area: Area = (panel.x.1 + 14.0, panel.y.0, SIZE.0 - MARGIN, panel.y.1);
    if strip > 0.0 {
        canvas.rect((strip_area.0, strip_area.1), (strip_area.2, strip_area.3), SHADE.with_alpha(0.75));
        let middle = f64::midpoint(strip_area.0, strip_area.2);
        canvas.text((middle, panel.y.1 + 17.0), SMALL.centred(), "not completed");
    }
    if !results.strategies.iter().any(|strategy| ended(&strategy)) {
        let middle = (f64::midpoint(panel.x.0, panel.x.1), f64::midpoint(panel.y.0, panel.y.1));
        canvas.text(middle, STRONG.centred(), "no rollout came to its end");
    }
    let main_area: Area = (panel.x.0 + 4.0, panel.y.0, panel.x.1 - 2.0, panel.y.1 - 2.0);
    let mut places = Vec::new();
    for strategy in &results.strategies {
        let lost = strategy.summary.lost;
        let (at, area) = match strategy.summary.duration_s {
            Some(duration) => ((across(duration.mean), up(lost.mean)), main_area),
            None => ((strip_area.0 + 20.0, up(lost.mean)), strip_area),
        };
        let paint = orchestrator(&strategy.orchestrator);
        let tall = (up(lost.high), up(lost.low.max(0.0)));
        let wide = strategy.summary.duration_s.map(|Estimate { low, high, .. }| (across(low.max(0.0)), across(high)));
        labels.taken.push((at.0 - RADIUS, at.1 - RADIUS, at.0 + RADIUS, at.1 + RADIUS));
        whiskers(&mut canvas, &mut labels, at, (wide.unwrap_or((at.0, at.0)), tall), paint);
        places.push((at, area, paint, strategy));
    }
    for (at, _, paint, strategy) in &places {
        mark(&mut canvas, *at, &strategy.orchestrator, *paint, all_completed(strategy));
    }
    for (at, area, _, strategy) in places {
        labels.put(&mut canvas, at, area, &strategy.name);
    }
    let y_title =
        if y.is_logarithmic() { "requests lost in one rollout (logarithmic)" } else { "requests lost in one rollout" };
    let x_title = if x.is_logarithmic() { "duration of the rollout (logarithmic)" } else { "duration of the rollout" };
    axis_titles(&mut canvas, &[panel], x_title, y_title);
    canvas.finish("tradeoff")
}

/// Grid lines, labels and the frame; the horizontal lines reach into the strip.
fn backdrop(canvas: &mut Canvas, panel: &Panel, (x, y): (&Axis, &Axis), up: impl Fn(f64) -> f64) {
    for tick in &y.ticks {
        canvas.level((panel.x.0, SIZE.0 - MARGIN), up(tick.at), GRID);
        canvas.text((panel.x.0 - 7.0, up(tick.at) + 4.0), SMALL.right(), &tick.label);
    }
    panel.time_axis(canvas, x);
    panel.base(canvas);
    canvas.plumb(panel.x.0, panel.y, FRAME);
}

/// The intervals of both figures, which no label may cover.
fn whiskers(canvas: &mut Canvas, labels: &mut Labels, at: Point, (wide, tall): ((f64, f64), (f64, f64)), paint: Paint) {
    canvas.rect((at.0 - 0.7, tall.0), (at.0 + 0.7, tall.1), paint);
    canvas.rect((wide.0, at.1 - 0.7), (wide.1, at.1 + 0.7), paint);
    labels.taken.push((at.0 - 2.0, tall.0, at.0 + 2.0, tall.1));
    labels.taken.push((wide.0, at.1 - 2.0, wide.1, at.1 + 2.0));
}

/// The ranges over all strategies, whiskers included.
fn axes(results: &Results) -> (Axis, Axis) {
    let durations = results.strategies.iter().filter_map(|strategy| strategy.summary.duration_s);
    let (mut shortest, mut longest) = (f64::INFINITY, 0.0_f64);
    for duration in durations.filter(|duration| duration.high.is_finite()) {
        shortest = shortest.min(duration.mean);
        longest = longest.max(duration.high).max(duration.mean);
    }
    let longest = if longest > 0.0 { longest } else { results.header.window_s.max(1.0) };
    let losses = results.strategies.iter().map(|strategy| strategy.summary.lost);
    let (mut least, mut most) = (f64::INFINITY, 0.0_f64);
    for lost in losses.filter(|lost| lost.high.is_finite()) {
        least = if lost.mean > 0.0 { least.min(lost.mean) } else { least };
        most = most.max(lost.high).max(lost.mean);
    }
    (Axis::duration(shortest, longest * 1.1, 9), Axis::wide_count(least, most * 1.12, 7))
}

/// The line below which nothing lies, through the strategies that no other beats in both figures; returns where it
/// runs.
fn front(canvas: &mut Canvas, results: &Results, across: impl Fn(f64) -> f64, up: impl Fn(f64) -> f64) -> Vec<Area> {
    let figures =
        results.strategies.iter().filter_map(|one| Some((one.summary.duration_s?.mean, one.summary.lost.mean)));
    let mut figures: Vec<(f64, f64)> =
        figures.filter(|(duration, lost)| duration.is_finite() && lost.is_finite()).collect();
    figures.sort_by(|a, b| a.0.total_cmp(&b.0).then(a.1.total_cmp(&b.1)));
    let mut least = f64::INFINITY;
    let mut line: Vec<Point> = Vec::new();
    for (duration, lost) in figures {
        if lost < least {
            if let Some((_, y)) = line.last().copied() {
                line.push((across(duration), y));
            }
            line.push((across(duration), up(lost)));
            least = lost;
        }
    }
    let along = |pair: &[Point]| {
        let (from, to) = (pair[0], pair[1]);
        (from.0.min(to.0) - 1.0, from.1.min(to.1) - 1.0, from.0.max(to.0) + 1.0, from.1.max(to.1) + 1.0)
    };
    let areas = line.windows(2).map(along).collect();
    if line.len() >= 2 {
        canvas.line(line, 1.3, PALE);
    }
    areas
}

fn all_completed(strategy: &StrategyResults) -> bool {
    strategy.summary.outcomes.iter().all(|(outcome, runs)| *runs == 0 || *outcome == Outcome::Completed)
}

/// An orchestrator's mark; hollow where some rollout did not complete.
fn mark(canvas: &mut Canvas, at: Point, name: &str, paint: Paint, is_whole: bool) {
    // White around it keeps marks apart that touch.
    shape(canvas, at, name, PAPER, RADIUS + 1.5);
    shape(canvas, at, name, paint, RADIUS);
    if !is_whole {
        shape(canvas, at, name, PAPER, RADIUS - 2.6);
    }
}

fn shape(canvas: &mut Canvas, (x, y): Point, name: &str, paint: Paint, radius: f64) {
    match name {
        "kubernetes" => canvas.circle((x, y), radius, paint),
        "swarm" => canvas.rect((x - radius * 0.9, y - radius * 0.9), (x + radius * 0.9, y + radius * 0.9), paint),
        "octopus" => {
            let (half, low) = (radius * 1.15, y + radius * 0.85);
            canvas.polygon(vec![(x, y - radius * 1.2), (x + half, low), (x - half, low)], paint);
        }
        _ => {
            let reach = radius * 1.2;
            canvas.polygon(vec![(x, y - reach), (x + reach, y), (x, y + reach), (x - reach, y)], paint);
        }
    }
}

fn legend(canvas: &mut Canvas, results: &Results) {
    let mut x = MARGIN;
    let y = 82.0;
    let mut known: Vec<&str> = Vec::new();
    for strategy in &results.strategies {
        if !known.contains(&strategy.orchestrator.as_str()) {
            known.push(&strategy.orchestrator);
        }
    }
    let mut entry = |canvas: &mut Canvas, words: &str, put: &dyn Fn(&mut Canvas, Point)| {
        put(canvas, (x + 10.0, y - 4.5));
        canvas.text((x + 24.0, y), PLAIN, words);
        x += 24.0 + font::width(words, PLAIN.size) + 22.0;
    };
    for name in known {
        entry(canvas, &font::fit(name, PLAIN.size, 160.0), &|canvas, at| {
            shape(canvas, at, name, orchestrator(name), RADIUS);
        });
    }
    let interval = format!("{:.0} % interval", results.header.confidence * 100.0);
    entry(canvas, &interval, &|canvas, (x, y)| {
        canvas.rect((x - 10.0, y - 0.7), (x + 10.0, y + 0.7), FADED);
        canvas.rect((x - 0.7, y - 8.0), (x + 0.7, y + 8.0), FADED);
    });
    if !results.strategies.iter().all(all_completed) {
        entry(canvas, "hollow: not all completed", &|canvas, at| {
            mark(canvas, at, "kubernetes", INK, false);
        });
    }
    let ended = results.strategies.iter().filter(|strategy| strategy.summary.duration_s.is_some());
    if ended.count() < 2 {
        return;
    }
    entry(canvas, "no strategy is both faster and loses less", &|canvas, (x, y)| {
        canvas.rect((x - 10.0, y - 0.8), (x + 10.0, y + 0.8), PALE);
    });
}

/// Labels next to their marks, none upon another.
struct Labels {
    /// What no label may cover.
    taken: Vec<Area>,
}

impl Labels {
    /// Writes a label at the nearest free place within an area, with a thin line to its mark where that is not next
    /// to it.
    fn put(&mut self, canvas: &mut Canvas, at: Point, area: Area, name: &str) {
        let text = font::fit(name, LABEL, (area.2 - area.0 - 44.0).min(300.0));
        let (width, height) = (font::width(&text, LABEL), LABEL + 3.0);
        let mut best: Option<(f64, Area, f64)> = None;
        for distance in [11.0, 16.0, 24.0, 34.0, 46.0, 60.0, 76.0, 94.0, 114.0, 136.0, 160.0, 190.0, 220.0, 260.0] {
            for (right, down) in [
                (1.0, 0.0),
                (0.9, -0.7),
                (0.9, 0.7),
                (-1.0, 0.0),
                (-0.9, -0.7),
                (-0.9, 0.7),
                (0.0, -1.0),
                (0.0, 1.0),
                (0.5, -1.0),
                (0.5, 1.0),
                (-0.5, -1.0),
                (-0.5, 1.0),
            ] {
                // The near edge of the label lies at the distance; above and below it is centred.
                let anchor = (at.0 + right * distance, at.1 + down * (distance + height / 2.0));
                let share_left = if right > 0.6 {
                    0.0
                } else if right < -0.6 {
                    1.0
                } else {
                    0.5
                };
                let left = anchor.0 - width * share_left;
                let spot = (left, anchor.1 - height / 2.0, left + width, anchor.1 + height / 2.0);
                if spot.0 < area.0 || spot.2 > area.2 || spot.1 < area.1 || spot.3 > area.3 {
                    continue;
                }
                let covered = self.taken.iter().map(|taken| overlap(*taken, spot)).sum::<f64>();
                if best.is_none_or(|(least, _, _)| covered < least) {
                    best = Some((covered, spot, distance));
                }
            }
            if best.is_some_and(|(covered, _, _)| covered <= 0.0) {
                break;
            }
        }
        let Some((_, spot, distance)) = best else { return };
        if distance > 20.0 {
            let end = (at.0.clamp(spot.0, spot.2), at.1.clamp(spot.1 + 2.0, spot.3 - 2.0));
            canvas.line(vec![toward(at, end, RADIUS + 2.0), end], 0.8, FRAME);
        }
        canvas.text((spot.0, spot.3 - 4.5), super::canvas::Type::new(LABEL, INK), &text);
        self.taken.push((spot.0 - 3.0, spot.1, spot.2 + 3.0, spot.3));
    }
}

/// The place at a distance from one point on the way to another.
fn toward(from: Point, to: Point, distance: f64) -> Point {
    let (x, y) = (to.0 - from.0, to.1 - from.1);
    let length = (x * x + y * y).sqrt().max(distance);
    if length > 0.0 { (from.0 + x * distance / length, from.1 + y * distance / length) } else { from }
}

/// The surface that two areas share.
fn overlap(a: Area, b: Area) -> f64 {
    let wide = (a.2.min(b.2) - a.0.max(b.0)).max(0.0);
    let tall = (a.3.min(b.3) - a.1.max(b.1)).max(0.0);
    wide * tall
}
