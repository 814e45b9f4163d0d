//! Lines from rows: pieces without gaps, thinned so that a long study stays a small picture, and the time that is
//! worth showing.

use crate::study::{Results, SeriesRow, StrategyResults};

/// Points of one line at most.
const MOST_POINTS: usize = 1_500;

/// The time that the pictures of a study show, seconds since the beginning of the rollout: a part of the baseline
/// window, and the observation window until nothing happens any more in any strategy.
pub(super) fn horizon(results: &Results) -> (f64, f64) {
    let interval = interval(results);
    let mut end: f64 = 0.0;
    let mut first: f64 = 0.0;
    let mut last: f64 = 0.0;
    for strategy in &results.strategies {
        let lossy = |row: &&SeriesRow| row.availability_p05.or(row.availability).is_some_and(|share| share < 1.0);
        let row = strategy.series.iter().rev().find(lossy).map_or(0.0, |row| row.t_s + interval);
        let change = strategy.timeline.iter().map(|row| row.t_s).fold(row, f64::max);
        end = strategy.runs.iter().filter_map(|run| run.duration_s).fold(end.max(change), f64::max);
        first = strategy.series.iter().map(|row| row.t_s).fold(first, f64::min);
        last = strategy.series.iter().map(|row| row.t_s + interval).fold(last, f64::max);
        last = strategy.spans.iter().map(|span| span.to_s).fold(last, f64::max);
    }
    last = if last > 0.0 { last } else { results.header.window_s.max(1.0) };
    let end = if end > 0.0 { (end * 1.08).min(last.max(end)) } else { last };
    (first.max(-0.15 * end), end)
}

/// Length of an interval of the series, 0 where the header does not say.
fn interval(results: &Results) -> f64 {
    let interval = results.header.interval_s;
    if interval.is_finite() && interval > 0.0 { interval } else { 0.0 }
}

/// The rows of a strategy within a time, each with the middle of its interval.
fn rows<'a>(
    results: &Results,
    strategy: &'a StrategyResults,
    (low, high): (f64, f64),
) -> impl Iterator<Item = (f64, &'a SeriesRow)> {
    let half = interval(results) / 2.0;
    let middles = strategy.series.iter().map(move |row| (row.t_s + half, row));
    middles.filter(move |(t, _)| (low..=high).contains(t))
}

/// One figure over time, as pieces without gaps.
pub(super) fn pieces(
    results: &Results,
    strategy: &StrategyResults,
    time: (f64, f64),
    figure: impl Fn(&SeriesRow) -> Option<f64>,
) -> Vec<Vec<(f64, f64)>> {
    let values = rows(results, strategy, time)
        .map(|(t, row)| figure(row).filter(|value| value.is_finite()).map(|value| (t, value)));
    split(values)
}

/// The lower and the upper edge of the availability over time, as pieces without gaps: time, lower, upper.
pub(super) fn band(results: &Results, strategy: &StrategyResults, time: (f64, f64)) -> Vec<Vec<(f64, f64, f64)>> {
    let edges = |row: &SeriesRow| Some((row.availability_p05?, row.availability_p95?));
    let known = |edges: &(f64, f64)| edges.0.is_finite() && edges.1.is_finite();
    let values = rows(results, strategy, time)
        .map(|(t, row)| edges(row).filter(known).map(|(lower, upper)| (t, lower.min(upper), upper.max(lower))));
    split(values)
}

fn split<T>(values: impl Iterator<Item = Option<T>>) -> Vec<Vec<T>> {
    let mut pieces = vec![Vec::new()];
    for value in values {
        match value {
            Some(value) => pieces.last_mut().expect("one is always there").push(value),
            None => pieces.push(Vec::new()),
        }
    }
    pieces.retain(|piece| !piece.is_empty());
    pieces
}

/// The points of a line, at most two for each of `room` pixels: the lowest and the highest of a bucket, so that no
/// peak is lost.
pub(super) fn thinned(points: &[(f64, f64)], room: f64) -> Vec<(f64, f64)> {
    let most = ((2.0 * room) as usize).clamp(8, MOST_POINTS);
    if points.len() <= most {
        return points.to_vec();
    }
    let size = points.len().div_ceil(most / 2);
    let buckets = points.chunks(size).flat_map(|bucket| {
        let mut low = 0;
        let mut high = 0;
        for (place, point) in bucket.iter().enumerate() {
            low = if point.1 < bucket[low].1 { place } else { low };
            high = if point.1 > bucket[high].1 { place } else { high };
        }
        let pair = [bucket[low.min(high)], bucket[low.max(high)]];
        pair.into_iter().take(if low == high { 1 } else { 2 })
    });
    buckets.collect()
}

/// The edges of a band, at most one pair for each of `room` pixels: the lowest and the highest of a bucket.
pub(super) fn thinned_band(edges: &[(f64, f64, f64)], room: f64) -> Vec<(f64, f64, f64)> {
    let most = (room as usize).clamp(8, MOST_POINTS / 2);
    if edges.len() <= most {
        return edges.to_vec();
    }
    let widest = |bucket: &[(f64, f64, f64)]| {
        let edges = (bucket[0].0, f64::INFINITY, f64::NEG_INFINITY);
        bucket.iter().fold(edges, |(t, low, high), edge| (t, low.min(edge.1), high.max(edge.2)))
    };
    edges.chunks(edges.len().div_ceil(most)).map(widest).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn thinning_keeps_every_dip_and_every_peak() {
        let mut points: Vec<(f64, f64)> = (0..10_000).map(|n| (f64::from(n), 0.5)).collect();
        points[4_321].1 = 0.0;
        points[8_765].1 = 1.0;
        let few = thinned(&points, 100.0);
        assert!(few.len() <= 200, "{}", few.len());
        assert!(few.contains(&(4_321.0, 0.0)) && few.contains(&(8_765.0, 1.0)));
        assert!(few.windows(2).all(|pair| pair[0].0 < pair[1].0), "time never goes back");
        assert_eq!(thinned(&points[..50], 100.0), points[..50]);
    }

    #[test]
    fn gaps_part_a_line() {
        let pieces = split([None, Some(1), Some(2), None, None, Some(3), None].into_iter());
        assert_eq!(pieces, [vec![1, 2], vec![3]]);
    }
}
