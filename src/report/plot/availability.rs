//! Availability over the rollout, one panel a strategy.

use super::Picture;
use super::axis::Axis;
use super::canvas::Canvas;
use super::format::share;
use super::palette::{ALARM, FADED, INK, SHADE, orchestrator};
use super::panel::{Mark, Panel, axis_titles, grid, legend, sheet};
use super::series::{band, horizon, pieces, thinned, thinned_band};
use crate::study::{Results, StrategyResults};

/// Availability with the range of nine tenths of the replications.
pub(super) fn draw(results: &Results) -> Picture {
    let (height, panels) = grid(results.strategies.len());
    let mut canvas = sheet(results, "Availability while the new version is rolled out", height);
    let mut entries = vec![
        (Mark::Band(FADED), "mean, and 5–95 % of the replications"),
        (Mark::Dashes(INK), "the rollout begins"),
        (Mark::Line(INK, 4.0), "rollout (mean duration)"),
    ];
    if results.strategies.iter().any(|strategy| strategy.summary.duration_s.is_none()) {
        entries.push((Mark::Line(ALARM, 4.0), "rollout that never came to its end"));
    }
    legend(&mut canvas, &entries);
    let time = horizon(results);
    let y = axis(results, time, 4);
    for (strategy, panel) in results.strategies.iter().zip(&panels) {
        let x = Axis::time(time.0, time.1, ((panel.x.1 - panel.x.0) / 62.0) as usize);
        before(&mut canvas, panel, &x);
        panel.axes(&mut canvas, &x, &y);
        lines(&mut canvas, panel, (&x, &y), results, strategy);
        panel.base(&mut canvas);
        rollout(&mut canvas, panel, &x, strategy);
        panel.title(&mut canvas, strategy, &share(strategy.summary.availability.mean));
    }
    let y_title = if y.is_logarithmic() { "requests served (logarithmic towards 100 %)" } else { "requests served" };
    axis_titles(&mut canvas, &panels, "time since the beginning of the rollout", y_title);
    canvas.finish("availability")
}

/// From the lowest availability that any strategy's mean or band reaches. Where another strategy's lowest would be no
/// more than a scratch on that scale, what is lost is spread by its logarithm.
pub(super) fn axis(results: &Results, time: (f64, f64), most: usize) -> Axis {
    let lowest = |strategy: &StrategyResults| {
        let shown = strategy.series.iter().filter(|row| (time.0..=time.1).contains(&row.t_s));
        shown.flat_map(|row| [row.availability, row.availability_p05]).flatten().fold(1.0, f64::min)
    };
    let lowest: Vec<f64> = results.strategies.iter().map(lowest).collect();
    let least_lost = lowest.iter().map(|lowest| 1.0 - lowest).filter(|lost| *lost > 1e-9).fold(1.0, f64::min);
    let lowest = lowest.into_iter().fold(1.0, f64::min);
    if 1.0 - lowest > 12.0 * least_lost { Axis::nines(lowest, least_lost) } else { Axis::share(lowest, most) }
}

/// The band and the mean in a panel.
pub(super) fn lines(
    canvas: &mut Canvas,
    panel: &Panel,
    (x, y): (&Axis, &Axis),
    results: &Results,
    strategy: &StrategyResults,
) {
    let paint = orchestrator(&strategy.orchestrator);
    let room = panel.x.1 - panel.x.0;
    let across = |t: f64| x.place(t, panel.x.0, panel.x.1);
    let up = |share: f64| y.place(share, panel.y.1, panel.y.0);
    for piece in band(results, strategy, (x.low, x.high)) {
        let edges = thinned_band(&piece, room).into_iter().map(|(t, low, high)| (across(t), up(high), up(low)));
        canvas.band(edges.collect(), paint.with_alpha(0.25));
    }
    for piece in pieces(results, strategy, (x.low, x.high), |row| row.availability) {
        let points = thinned(&piece, room).into_iter().map(|(t, share)| (across(t), up(share)));
        canvas.line(points.collect(), 1.8, paint);
    }
}

/// Grey for the time before the rollout.
pub(super) fn before(canvas: &mut Canvas, panel: &Panel, x: &Axis) {
    if x.low < 0.0 {
        let begin = x.place(0.0, panel.x.0, panel.x.1);
        canvas.rect((panel.x.0, panel.y.0), (begin, panel.y.1), SHADE);
    }
}

/// When the rollout begins, and how long it lasts as a bar on the time axis.
pub(super) fn rollout(canvas: &mut Canvas, panel: &Panel, x: &Axis, strategy: &StrategyResults) {
    let (end, paint) = strategy.summary.duration_s.map_or((x.high, ALARM), |duration| (duration.mean, INK));
    let across = |t: f64| x.place(t, panel.x.0, panel.x.1);
    if x.low < 0.0 {
        canvas.dashed_plumb(across(0.0), panel.y, 1.0, INK);
    }
    canvas.rect((across(0.0), panel.y.1 - 1.5), (across(end), panel.y.1 + 2.5), paint);
}
