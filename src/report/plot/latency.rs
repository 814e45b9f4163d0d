//! Latency over the rollout, one panel a strategy.

use super::Picture;
use super::availability::{before, rollout};
use super::axis::Axis;
use super::format::latency;
use super::palette::{ALARM, BLUE, INK, Paint, SKY, VERMILION};
use super::panel::{Mark, axis_titles, grid, legend, sheet};
use super::series::{horizon, pieces, thinned};
use crate::study::{Results, SeriesRow, Summary};

/// A quantile: its figure in a row and in the baseline window, its colour and the width of its line.
type Quantile = (fn(&SeriesRow) -> Option<f64>, fn(&Summary) -> f64, Paint, f64);

const QUANTILES: [Quantile; 3] = [
    (|row| row.p50_ms, |summary| summary.baseline_p50_ms.mean, SKY, 1.5),
    (|row| row.p95_ms, |summary| summary.baseline_p95_ms.mean, BLUE, 1.5),
    (|row| row.p99_ms, |summary| summary.baseline_p99_ms.mean, VERMILION, 1.9),
];

/// Three quantiles of latency, with those of the time before the rollout.
pub(super) fn draw(results: &Results) -> Picture {
    let (height, panels) = grid(results.strategies.len());
    let mut canvas = sheet(results, "Latency of served requests while the new version is rolled out", height);
    let mut entries = vec![
        (Mark::Line(VERMILION, 1.9), "99 % quantile"),
        (Mark::Line(BLUE, 1.5), "95 % quantile"),
        (Mark::Line(SKY, 1.5), "median"),
        (Mark::Dashes(VERMILION), "99 % quantile before the rollout"),
        (Mark::Line(INK, 4.0), "rollout (mean duration)"),
    ];
    if results.strategies.iter().any(|strategy| strategy.summary.duration_s.is_none()) {
        entries.push((Mark::Line(ALARM, 4.0), "rollout that never came to its end"));
    }
    legend(&mut canvas, &entries);
    let time = horizon(results);
    let (low, high) = range(results, time);
    let y = Axis::latency(low, high);
    for (strategy, panel) in results.strategies.iter().zip(&panels) {
        let room = panel.x.1 - panel.x.0;
        let x = Axis::time(time.0, time.1, (room / 62.0) as usize);
        before(&mut canvas, panel, &x);
        panel.axes(&mut canvas, &x, &y);
        let up = |ms: f64| y.place(ms, panel.y.1, panel.y.0);
        let reference = strategy.summary.baseline_p99_ms.mean;
        if reference > 0.0 {
            canvas.dashed_level(panel.x, up(reference), 1.0, VERMILION);
        }
        for (figure, _, paint, width) in QUANTILES {
            for piece in pieces(results, strategy, time, |row| figure(row).filter(|ms| *ms > 0.0)) {
                let points =
                    thinned(&piece, room).into_iter().map(|(t, ms)| (x.place(t, panel.x.0, panel.x.1), up(ms)));
                canvas.line(points.collect(), width, paint);
            }
        }
        panel.base(&mut canvas);
        rollout(&mut canvas, panel, &x, strategy);
        panel.title(&mut canvas, strategy, &format!("99 %: {}", latency(strategy.summary.p99_ms.mean)));
    }
    axis_titles(&mut canvas, &panels, "time since the beginning of the rollout", "latency (logarithmic)");
    canvas.finish("latency")
}

/// The lowest and the highest latency of all panels; an unusable range where there is none.
fn range(results: &Results, time: (f64, f64)) -> (f64, f64) {
    let mut range = (f64::INFINITY, 0.0_f64);
    for strategy in &results.strategies {
        for (figure, baseline, _, _) in QUANTILES {
            let rows = strategy.series.iter().filter(|row| (time.0..=time.1).contains(&row.t_s));
            let values = rows.filter_map(figure).chain([baseline(&strategy.summary)]);
            for ms in values.filter(|ms| ms.is_finite() && *ms > 0.0) {
                range = (range.0.min(ms), range.1.max(ms));
            }
        }
    }
    range
}
