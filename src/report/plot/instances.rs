//! What each instance of one strategy did and when.

use super::Picture;
use super::axis::Axis;
use super::font;
use super::palette::{STATES, state};
use super::panel::{MARGIN, Mark, PLAIN, Panel, SIZE, SMALL, TOP, axis_titles, legend, sheet};
use crate::study::{Results, Span, StrategyResults};
use std::collections::BTreeMap;

/// Rows drawn at most.
const MOST_ROWS: usize = 400;
/// Rectangles drawn at most, so that the SVG stays small.
const MOST_RUNS: usize = 8_000;

/// A stay of an instance in a state: from, to, and the state's position in the legend.
type Run = (f64, f64, usize);

/// The chart of instances of one strategy, under this name.
pub(super) fn draw(results: &Results, strategy: &StrategyResults, name: &str) -> Picture {
    let title = format!("{} ({}): what each instance does (first replication)", strategy.name, strategy.orchestrator);
    let mut canvas = sheet(results, &title, SIZE.1);
    let all = rows(&strategy.spans);
    let shown = &all[..all.len().min(MOST_ROWS)];
    let used: Vec<usize> = shown.iter().flat_map(|(_, runs)| runs.iter().map(|run| run.2)).collect();
    let states = STATES.iter().enumerate().filter(|(place, _)| used.contains(place));
    let entries: Vec<(Mark, &str)> = states.map(|(_, (words, paint))| (Mark::Patch(*paint), *words)).collect();
    legend(&mut canvas, &entries);

    let panel = Panel { x: (MARGIN + 62.0, SIZE.0 - MARGIN), y: (TOP, SIZE.1 - 60.0), is_first: true, is_last: true };
    let x = Axis::time(0.0, end(&strategy.spans), 12);
    panel.time_axis(&mut canvas, &x);
    let height = ((panel.y.1 - panel.y.0) / shown.len().max(1) as f64).min(34.0);
    // Rows meet on whole device pixels and thin ones without a gap, or their edges would make stripes of their own.
    let gap = if height >= 6.0 { 1.0 } else { 0.0 };
    let edge =
        |place: usize| panel.y.0 + (place as f64 * height * f64::from(font::SCALE)).round() / f64::from(font::SCALE);
    let every = [1, 2, 5, 10, 20, 50, 100].into_iter().find(|every| height * f64::from(*every) >= 13.0).unwrap_or(200);
    let across = |t: f64| x.place(t, panel.x.0, panel.x.1);
    let mut cell = 1.0;
    while shown.iter().map(|(_, runs)| pixels(runs, across, cell).len()).sum::<usize>() > MOST_RUNS {
        cell *= 2.0;
    }
    for (place, (instance, runs)) in shown.iter().enumerate() {
        let (top, bottom) = (edge(place), edge(place + 1));
        for (from, to, state) in pixels(runs, across, cell) {
            canvas.rect((from, top), (to, bottom - gap), STATES[state].1);
        }
        if place % every as usize == 0 {
            let baseline = top + height / 2.0 + 4.0;
            canvas.text((panel.x.0 - 7.0, baseline), SMALL.right(), &instance.to_string());
        }
    }
    panel.base(&mut canvas);
    if shown.is_empty() {
        let middle = (f64::midpoint(panel.x.0, panel.x.1), f64::midpoint(panel.y.0, panel.y.1));
        canvas.text(middle, PLAIN.centred(), "no instance was recorded");
    }
    let y_title = "instance, by first appearance";
    axis_titles(&mut canvas, &[panel], "time since the beginning of the rollout", y_title);
    if shown.len() < all.len() {
        let caption = format!("first {} of {} instances", shown.len(), all.len());
        let room = font::width(&caption, PLAIN.size);
        canvas.text((SIZE.0 - MARGIN - room, 57.0), PLAIN, &caption);
    }
    canvas.finish(name)
}

/// Each instance with its runs, by first appearance; spans of the same state that meet are one run.
fn rows(spans: &[Span]) -> Vec<(u32, Vec<Run>)> {
    let mut rows: BTreeMap<u32, Vec<Run>> = BTreeMap::new();
    for span in spans.iter().filter(|span| span.from_s.is_finite() && span.to_s.is_finite()) {
        rows.entry(span.instance).or_default().push((span.from_s, span.to_s, state(&span.version, &span.phase)));
    }
    for runs in rows.values_mut() {
        runs.sort_by(|a, b| a.0.total_cmp(&b.0).then(a.1.total_cmp(&b.1)));
        runs.dedup_by(|next, run| {
            let meets = next.2 == run.2 && next.0 <= run.1;
            run.1 = if meets { run.1.max(next.1) } else { run.1 };
            meets
        });
    }
    let mut rows: Vec<(u32, Vec<Run>)> = rows.into_iter().collect();
    rows.sort_by(|a, b| a.1[0].0.total_cmp(&b.1[0].0).then(a.0.cmp(&b.0)));
    rows
}

/// Runs on whole cells of pixels, so that neighbours share an edge; a run shorter than half a cell is dropped where
/// another covers the place.
fn pixels(runs: &[Run], across: impl Fn(f64) -> f64, cell: f64) -> Vec<Run> {
    let mut placed: Vec<Run> = Vec::new();
    for (from, to, state) in runs {
        let (from, to) = ((across(*from) / cell).round() * cell, (across(*to) / cell).round() * cell);
        let from = placed.last().map_or(from, |before| before.1.max(from));
        match placed.last_mut() {
            Some(before) if before.2 == *state && before.1 >= from => before.1 = before.1.max(to),
            _ if to > from => placed.push((from, to, *state)),
            _ => {}
        }
    }
    placed
}

/// Until when anything changes, and a little more.
fn end(spans: &[Span]) -> f64 {
    let last = spans.iter().map(|span| span.to_s).filter(|t| t.is_finite()).fold(0.0, f64::max);
    let begun = spans.iter().map(|span| span.from_s);
    let ended = spans.iter().map(|span| span.to_s).filter(|t| *t < last);
    let change = begun.chain(ended).filter(|t| t.is_finite()).fold(0.0, f64::max);
    if change > 0.0 { (change * 1.08).min(last) } else { last }
}
