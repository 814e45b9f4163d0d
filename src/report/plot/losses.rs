//! Requests lost in one rollout by cause, one bar a strategy.

use super::Picture;
use super::axis::Axis;
use super::canvas::Canvas;
use super::font;
use super::format::count;
use super::palette::orchestrator;
use super::palette::{FADED, GREEN, cause};
use super::panel::{MARGIN, Mark, PLAIN, Panel, SIZE, SMALL, STRONG, TOP, legend, sheet};
use crate::history::Cause;
use crate::metrics::RunMetrics;
use crate::study::{Results, StrategyResults};

/// Mean losses by cause, with the interval of their sum.
pub(super) fn draw(results: &Results) -> Picture {
    let number = results.strategies.len().max(1) as f64;
    let height = SIZE.1.max(TOP + 70.0 + 30.0 * number).round();
    let mut canvas = sheet(results, "Requests lost in one rollout, by cause", height);
    let means: Vec<[f64; Cause::COUNT]> = results.strategies.iter().map(|strategy| means(&strategy.runs)).collect();
    let longest = means.iter().map(|means| means.iter().sum::<f64>()).fold(0.0, f64::max);
    let present = Cause::ALL.into_iter().filter(|cause| means.iter().any(|means| means[cause.index()] > 0.0));
    let entries: Vec<(Mark, &str)> = present.map(|one| (Mark::Patch(cause(one)), one.label())).collect();
    legend(&mut canvas, &entries);

    let widest =
        results.strategies.iter().map(|strategy| font::width(&strategy.name, STRONG.size)).fold(60.0, f64::max);
    let left = (MARGIN + widest.min(300.0) + 24.0).round();
    let values: Vec<String> = results.strategies.iter().map(value).collect();
    let right = values.iter().map(|value| font::width(value, SMALL.size)).fold(0.0, f64::max) + 14.0;
    let panel = Panel { x: (left, SIZE.0 - MARGIN - right), y: (TOP, height - 56.0), is_first: true, is_last: true };
    let x = Axis::count(longest, 8);
    if longest > 0.0 {
        panel.time_axis(&mut canvas, &x);
        let middle = f64::midpoint(panel.x.0, panel.x.1);
        let confidence = results.header.confidence * 100.0;
        let words =
            format!("requests lost in one rollout: mean over the replications, with its {confidence:.0} % interval");
        canvas.text((middle, height - 14.0), PLAIN.centred(), &words);
    } else {
        let middle = (f64::midpoint(panel.x.0, SIZE.0 - MARGIN), f64::midpoint(panel.y.0, panel.y.1));
        canvas.text(middle, STRONG.centred(), "no request was lost");
    }
    let room = ((panel.y.1 - panel.y.0) / number).min(76.0);
    for (place, (strategy, means)) in results.strategies.iter().zip(&means).enumerate() {
        let middle = panel.y.0 + (place as f64 + 0.5) * room;
        name(&mut canvas, strategy, (panel.x.0 - 12.0, middle), (room, longest > 0.0));
        if longest > 0.0 {
            let end = bar(&mut canvas, (&panel, &x), (middle, room * 0.62), means);
            canvas.text((end + 8.0, middle + 4.0), SMALL, &values[place]);
        }
    }
    canvas.plumb(panel.x.0, panel.y, FADED);
    canvas.finish("losses")
}

/// Mean of each cause over the runs.
fn means(runs: &[RunMetrics]) -> [f64; Cause::COUNT] {
    let mut sums = [0_u64; Cause::COUNT];
    for run in runs {
        for cause in Cause::ALL {
            sums[cause.index()] = sums[cause.index()].saturating_add(run.lost_to(cause));
        }
    }
    sums.map(|sum| sum as f64 / runs.len().max(1) as f64)
}

/// The mean with its interval, in words.
fn value(strategy: &StrategyResults) -> String {
    let lost = strategy.summary.lost;
    if lost.mean > 0.0 {
        format!("{}  ({}–{})", count(lost.mean), count(lost.low.max(0.0)), count(lost.high))
    } else {
        "none".into()
    }
}

/// The strategy's name and orchestrator, ending left of the bars.
fn name(
    canvas: &mut Canvas,
    strategy: &StrategyResults,
    (x, middle): (f64, f64),
    (room, with_orchestrator): (f64, bool),
) {
    let text = font::fit(&strategy.name, STRONG.size, x - MARGIN);
    let has_room = room >= 36.0 && with_orchestrator;
    canvas.text((x, middle + if has_room { -1.0 } else { 4.5 }), STRONG.right(), &text);
    if has_room {
        canvas.text((x, middle + 13.0), SMALL.right(), &strategy.orchestrator);
        let dot = x - font::width(&strategy.orchestrator, SMALL.size) - 8.0;
        canvas.circle((dot, middle + 9.0), 3.5, orchestrator(&strategy.orchestrator));
    }
}

/// A stacked bar; returns where it ends.
fn bar(
    canvas: &mut Canvas,
    (panel, x): (&Panel, &Axis),
    (middle, height): (f64, f64),
    means: &[f64; Cause::COUNT],
) -> f64 {
    let across = |lost: f64| x.place(lost, panel.x.0, panel.x.1);
    let (top, bottom) = ((middle - height / 2.0).round(), (middle + height / 2.0).round());
    let mut sum = 0.0;
    for one in Cause::ALL {
        let from = across(sum);
        sum += means[one.index()];
        canvas.rect((from, top), (across(sum), bottom), cause(one));
    }
    if sum <= 0.0 {
        canvas.circle((panel.x.0 + 8.0, middle), 4.0, GREEN);
        return panel.x.0 + 10.0;
    }
    across(sum)
}
