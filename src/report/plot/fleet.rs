//! The fleet by version and phase over the rollout, one panel a strategy.

use super::Picture;
use super::axis::Axis;
use super::canvas::Canvas;
use super::format::count;
use super::palette::{GREEN, INK, ORANGE, PURPLE, Paint, SKY, VERMILION};
use super::panel::{Mark, Panel, axis_titles, grid, legend, sheet};
use super::series::horizon;
use crate::study::{Results, StrategyResults, TimelineRow};

/// What is counted: its words, its colour and its figure in a row.
type Layer = (&'static str, Paint, fn(&TimelineRow) -> u32);

/// What is stacked, from the bottom: what serves first, so that its upper edge is to be compared with what is
/// desired.
const LAYERS: [Layer; 5] = [
    ("new, ready", GREEN, |row| row.new_ready),
    ("old, ready", SKY, |row| row.old_ready),
    ("new, not ready", ORANGE, |row| row.new_total.saturating_sub(row.new_ready)),
    ("old, not ready", VERMILION, |row| row.old_total.saturating_sub(row.old_ready)),
    ("terminating", PURPLE, |row| row.terminating),
];

/// The fleet of the first replication.
pub(super) fn draw(results: &Results) -> Picture {
    let (height, panels) = grid(results.strategies.len());
    let mut canvas = sheet(results, "The fleet while the new version is rolled out (first replication)", height);
    let mut entries: Vec<(Mark, &str)> = LAYERS.iter().map(|(words, paint, _)| (Mark::Patch(*paint), *words)).collect();
    entries.push((Mark::Dashes(INK), "desired"));
    legend(&mut canvas, &entries);
    let high = horizon(results).1;
    let y = Axis::count(most(results) * 1.04, 4);
    for (strategy, panel) in results.strategies.iter().zip(&panels) {
        let x = Axis::time(0.0, high, ((panel.x.1 - panel.x.0) / 62.0) as usize);
        panel.axes(&mut canvas, &x, &y);
        stack(&mut canvas, panel, (&x, &y), strategy, results.header.instances);
        panel.base(&mut canvas);
        let least = strategy.timeline.iter().map(|row| row.old_ready + row.new_ready).min();
        panel.title(
            &mut canvas,
            strategy,
            &least.map(|least| format!("least ready: {}", count(f64::from(least)))).unwrap_or_default(),
        );
    }
    axis_titles(&mut canvas, &panels, "time since the beginning of the rollout", "instances");
    canvas.finish("fleet")
}

/// The most instances at once in any panel, and at least those desired.
pub(super) fn most(results: &Results) -> f64 {
    let rows = results.strategies.iter().flat_map(|strategy| &strategy.timeline);
    let most = rows.map(total).max().unwrap_or(0);
    f64::from(most.max(results.header.instances).max(1))
}

fn total(row: &TimelineRow) -> u32 {
    LAYERS.iter().map(|(_, _, figure)| figure(row)).sum()
}

/// The stacked layers in a panel, and what is desired.
pub(super) fn stack(
    canvas: &mut Canvas,
    panel: &Panel,
    (x, y): (&Axis, &Axis),
    strategy: &StrategyResults,
    desired: u32,
) {
    let rows = visible(&strategy.timeline, x, panel.x);
    let up = |instances: u32| y.place(f64::from(instances), panel.y.1, panel.y.0);
    // From the top of the stack down, each layer to the bottom: neighbours share an edge without a gap.
    for layers in (1..=LAYERS.len()).rev() {
        let height = |row: &TimelineRow| LAYERS[..layers].iter().map(|(_, _, figure)| figure(row)).sum::<u32>();
        let below = |row: &TimelineRow| LAYERS[..layers - 1].iter().map(|(_, _, figure)| figure(row)).sum::<u32>();
        if rows.iter().all(|(_, row)| height(row) == below(row)) {
            continue;
        }
        let mut edges: Vec<(f64, f64, f64)> = Vec::new();
        for (at, row) in &rows {
            let top = up(height(row));
            match edges.last() {
                Some((_, before, _)) if (before - top).abs() < 1e-9 => {}
                Some((_, before, _)) => {
                    edges.push((*at, *before, panel.y.1));
                    edges.push((*at, top, panel.y.1));
                }
                None => edges.push((*at, top, panel.y.1)),
            }
        }
        if let Some((_, top, _)) = edges.last().copied() {
            edges.push((panel.x.1, top, panel.y.1));
        }
        canvas.band(edges, LAYERS[layers - 1].1);
    }
    canvas.dashed_level(panel.x, up(desired), 1.4, INK);
}

/// The rows with their places, at most two a pixel: the one with the fewest ready instances, and the last one, which
/// holds on.
fn visible<'a>(rows: &'a [TimelineRow], x: &Axis, (left, right): (f64, f64)) -> Vec<(f64, &'a TimelineRow)> {
    let ready = |row: &TimelineRow| row.old_ready + row.new_ready;
    let placed: Vec<(f64, &TimelineRow)> = rows.iter().map(|row| (x.place(row.t_s, left, right), row)).collect();
    let mut visible = Vec::new();
    for pixel in placed.chunk_by(|a, b| a.0.floor().total_cmp(&b.0.floor()).is_eq()) {
        let fewest = pixel.iter().min_by_key(|(_, row)| ready(row)).expect("a chunk is never empty");
        let final_one = pixel.last().expect("a chunk is never empty");
        visible.push(*fewest);
        if !std::ptr::eq(fewest.1, final_one.1) {
            visible.push(*final_one);
        }
    }
    visible
}
