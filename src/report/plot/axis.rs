//! Axes: which ticks a range gets, how numbers read, and where a value lies between two edges. Nothing is drawn here.

use super::format::{count, decimals_of, duration, latency, trimmed};

/// A labelled place on an axis.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Tick {
    /// The value, in the unit of the axis.
    pub at: f64,
    /// What is written there.
    pub label: String,
}

/// How values are spread along an axis.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Spread {
    /// Evenly.
    Even,
    /// By their logarithm.
    Log,
    /// Evenly up to a threshold, by their logarithm beyond: for values that may be 0 and range over decades.
    SymLog(f64),
    /// Shares by what is missing to 1, spread like [`Spread::SymLog`]: 99.9, 99 and 90 % are as far apart.
    Nines(f64),
}

/// A range of values with its ticks.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Axis {
    /// The lowest value shown.
    pub low: f64,
    /// The highest value shown, always above the lowest.
    pub high: f64,
    /// In rising order, all within the range.
    pub ticks: Vec<Tick>,
    spread: Spread,
}

/// Steps that people count time in, seconds.
const TIME_STEPS: [f64; 29] = [
    0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0, 15.0, 30.0, 60.0, 120.0, 180.0, 300.0,
    600.0, 900.0, 1_200.0, 1_800.0, 3_600.0, 7_200.0, 10_800.0, 21_600.0, 43_200.0, 86_400.0,
];

/// Moments that a logarithmic time axis names, seconds.
const TIME_MARKS: [f64; 16] = [
    1.0, 2.0, 5.0, 10.0, 30.0, 60.0, 120.0, 300.0, 600.0, 1_800.0, 3_600.0, 7_200.0, 21_600.0, 43_200.0, 86_400.0,
    172_800.0,
];

impl Axis {
    /// Time in seconds, with at most about `most` ticks.
    pub(super) fn time(low: f64, high: f64, most: usize) -> Self {
        let (low, high) = widened(low, high, 1.0);
        let rough = (high - low) / most.max(1) as f64;
        let step = TIME_STEPS.into_iter().find(|step| *step >= rough).unwrap_or_else(|| nice_step(rough));
        let ticks = multiples(low, high, step).into_iter().map(|at| Tick { at, label: moment(at, step) }).collect();
        Axis { low, high, ticks, spread: Spread::Even }
    }

    /// Durations: from 0, or by their logarithm when the longest is more than twenty times the shortest.
    pub(super) fn duration(shortest: f64, longest: f64, most: usize) -> Self {
        let usable = shortest.is_finite() && longest.is_finite() && shortest > 0.0;
        if !usable || longest / shortest <= 20.0 {
            return Axis::time(0.0, if longest.is_finite() { longest } else { 1.0 }, most);
        }
        let (low, high) = (shortest / 1.3, longest * 1.15);
        let marks = TIME_MARKS.into_iter().filter(|at| (low..=high).contains(at));
        let ticks = marks.map(|at| Tick { at, label: duration(at) }).collect();
        Axis { low, high, ticks, spread: Spread::Log }
    }

    /// Shares from somewhere below `lowest` up to exactly 1, in percent. Shows 99.9 to 100 % when there is nothing to
    /// show.
    pub(super) fn share(lowest: f64, most: usize) -> Self {
        let lowest = if lowest.is_finite() { lowest.clamp(0.0, 1.0) } else { 1.0 };
        let depth = (1.0 - lowest).max(0.001 / 1.04);
        let step = nice_step(depth * 1.04 / most.max(1) as f64);
        let low = (1.0 - (depth * 1.04 / step).ceil() * step).max(0.0);
        let low = if lowest - low < 1e-9 && low > 0.0 { (low - step).max(0.0) } else { low };
        let decimals = decimals_of(step * 100.0);
        let ticks = (0..).map(|n| 1.0 - f64::from(n) * step).take_while(|at| *at >= low - step / 1e6);
        let mut ticks: Vec<Tick> =
            ticks.map(|at| Tick { at: at.max(0.0), label: format!("{:.decimals$} %", at.max(0.0) * 100.0) }).collect();
        ticks[0].label = "100 %".into();
        ticks.reverse();
        Axis { low, high: 1.0, ticks, spread: Spread::Even }
    }

    /// Shares up to exactly 1 by what is missing, evenly up to `threshold` and by its logarithm beyond: where one
    /// share is far lower than another that is to be seen too.
    pub(super) fn nines(lowest: f64, threshold: f64) -> Self {
        let threshold = if threshold.is_finite() { threshold.clamp(1e-4, 0.01) } else { 0.01 };
        let threshold = libm::pow(10.0, libm::floor(libm::log10(threshold) + 1e-9));
        let depth = if lowest.is_finite() { (1.0 - lowest).clamp(threshold, 1.0) } else { threshold };
        let decades = libm::ceil(libm::log10(depth / threshold) - 1e-9) as i32;
        let mut missing: Vec<f64> = (0..=decades).map(|n| threshold * libm::pow(10.0, f64::from(n))).collect();
        let deepest = missing[missing.len() - 1].min(1.0);
        if deepest > 0.9 {
            missing.insert(missing.len() - 1, 0.5);
        }
        missing.insert(0, 0.0);
        missing.reverse();
        let label = |missing: f64| format!("{} %", trimmed((1.0 - missing.min(1.0)) * 100.0, 3));
        let ticks = missing.into_iter().map(|one| Tick { at: 1.0 - one.min(1.0), label: label(one) }).collect();
        Axis { low: 1.0 - deepest, high: 1.0, ticks, spread: Spread::Nines(threshold) }
    }

    /// Latency in milliseconds, logarithmic, from one 1-2-5 tick to another.
    pub(super) fn latency(low: f64, high: f64) -> Self {
        let usable = low.is_finite() && high.is_finite() && high > 0.0;
        let (low, high) = if usable { (low.max(high * 1e-9), high) } else { (1.0, 10.0) };
        let mut marks: Vec<f64> = marks_125(low, high);
        // Beyond some decades only whole ones, or every other one, have room.
        let decades = libm::log10(marks[marks.len() - 1] / marks[0]);
        let (low, high) = (marks[0], marks[marks.len() - 1]);
        if decades > 2.7 {
            let every = (decades / 5.0).ceil();
            marks.retain(|mark| {
                let exponent = libm::log10(*mark);
                (exponent - exponent.round()).abs() < 1e-6 && (exponent.round() / every).fract().abs() < 1e-6
            });
        }
        let ticks = marks.into_iter().map(|at| Tick { at, label: latency(at) }).collect();
        Axis { low, high, ticks, spread: Spread::Log }
    }

    /// Counts from 0.
    pub(super) fn count(high: f64, most: usize) -> Self {
        let high = if high.is_finite() && high > 0.0 { high } else { 1.0 };
        let step = nice_step(high / most.max(1) as f64);
        let ticks = multiples(0.0, high, step).into_iter().map(|at| Tick { at, label: count(at) }).collect();
        Axis { low: 0.0, high, ticks, spread: Spread::Even }
    }

    /// Counts from 0 that may range over decades: even up to `least`, the smallest that is not 0, and logarithmic
    /// beyond when the range asks for it.
    pub(super) fn wide_count(least: f64, high: f64, most: usize) -> Self {
        if !(least.is_finite() && high.is_finite() && least > 0.0 && high / least > 20.0) {
            return Axis::count(high, most);
        }
        let threshold = libm::pow(10.0, libm::floor(libm::log10(least))).max(high * 1e-6);
        let decades = libm::log10(high / threshold).ceil() as i32;
        let mut ticks = vec![Tick { at: 0.0, label: "0".into() }];
        for decade in 0..=decades {
            let mark = threshold * libm::pow(10.0, f64::from(decade));
            let factors: &[f64] = if decades <= 3 { &[1.0, 2.0, 5.0] } else { &[1.0] };
            let marks = factors.iter().map(|factor| mark * factor).filter(|at| *at <= high);
            ticks.extend(marks.map(|at| Tick { at, label: count(at) }));
        }
        Axis { low: 0.0, high, ticks, spread: Spread::SymLog(threshold) }
    }

    /// Where a value lies between two edges; values beyond the range lie on its ends.
    pub(super) fn place(&self, value: f64, from: f64, to: f64) -> f64 {
        let value = if value.is_finite() { value.clamp(self.low, self.high) } else { self.low };
        let wide = |value: f64, threshold: f64| {
            if value <= threshold { value / threshold } else { 1.0 + libm::log10(value / threshold) }
        };
        let spread = |value: f64| match self.spread {
            Spread::Even => value,
            Spread::Log => libm::log10(value.max(f64::MIN_POSITIVE)),
            Spread::SymLog(threshold) => wide(value, threshold),
            Spread::Nines(threshold) => -wide(1.0 - value, threshold),
        };
        let (low, high) = (spread(self.low), spread(self.high));
        from + (to - from) * (spread(value) - low) / (high - low)
    }

    /// Whether the axis is not evenly spread, which readers must be told.
    pub(super) fn is_logarithmic(&self) -> bool {
        self.spread != Spread::Even
    }
}

/// A range of at least some width, whatever was measured.
fn widened(low: f64, high: f64, least: f64) -> (f64, f64) {
    let low = if low.is_finite() { low } else { 0.0 };
    let high = if high.is_finite() { high } else { low };
    if high - low > least * 1e-6 { (low, high) } else { (low, low + least) }
}

/// The smallest of 1, 2, 5 times a power of ten that is not below `rough`.
pub(super) fn nice_step(rough: f64) -> f64 {
    if !(rough.is_finite() && rough > 0.0) {
        return 1.0;
    }
    let decade = libm::pow(10.0, libm::floor(libm::log10(rough)));
    [1.0, 2.0, 5.0, 10.0]
        .into_iter()
        .map(|factor| factor * decade)
        .find(|step| *step >= rough * 0.999_999)
        .unwrap_or(10.0 * decade)
}

/// The multiples of a step within a range; a division, not a sum, so that no error grows.
fn multiples(low: f64, high: f64, step: f64) -> Vec<f64> {
    let first = libm::ceil(low / step - 1e-9) as i64;
    let last = libm::floor(high / step + 1e-9) as i64;
    (first..=last.min(first + 200)).map(|n| n as f64 * step).collect()
}

/// The 1-2-5 series from the last one not above `low` to the first one not below `high`; at least two.
fn marks_125(low: f64, high: f64) -> Vec<f64> {
    let first = libm::floor(libm::log10(low)) as i32 - 1;
    let last = libm::ceil(libm::log10(high)) as i32 + 1;
    let all: Vec<f64> = (first..=last)
        .flat_map(|exponent| [1.0, 2.0, 5.0].map(|factor| factor * libm::pow(10.0, f64::from(exponent))))
        .collect();
    let from = all.iter().rposition(|mark| *mark <= low * 1.000_001).unwrap_or(0);
    let to = all.iter().position(|mark| *mark >= high * 0.999_999).unwrap_or(all.len() - 1);
    all[from..=to.max(from + 1).min(all.len() - 1)].to_vec()
}

/// A moment on a time axis with this step: `−30 s`, `0`, `2 min`, `1 h`.
fn moment(at: f64, step: f64) -> String {
    let (unit, name) = match step {
        step if step >= 3_600.0 => (3_600.0, "h"),
        step if step >= 60.0 => (60.0, "min"),
        _ => (1.0, "s"),
    };
    if at.abs() < step * 1e-6 {
        return "0".into();
    }
    let sign = if at < 0.0 { "−" } else { "" };
    format!("{sign}{} {name}", trimmed(at.abs() / unit, decimals_of(step / unit)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn labels(axis: &Axis) -> String {
        axis.ticks.iter().map(|tick| tick.label.as_str()).collect::<Vec<_>>().join(" | ")
    }

    #[test]
    fn ticks_are_numbers_that_people_count_in() {
        for (axis, expected) in [
            (Axis::time(-30.0, 125.0, 6), "−30 s | 0 | 30 s | 60 s | 90 s | 120 s"),
            (Axis::time(0.0, 600.0, 6), "0 | 2 min | 4 min | 6 min | 8 min | 10 min"),
            (Axis::time(-60.0, 900.0, 5), "0 | 5 min | 10 min | 15 min"),
            (Axis::time(0.0, 7_200.0, 5), "0 | 30 min | 60 min | 90 min | 120 min"),
            (Axis::time(0.0, 0.0, 5), "0 | 0.2 s | 0.4 s | 0.6 s | 0.8 s | 1 s"),
            (Axis::duration(30.0, 200.0, 4), "0 | 1 min | 2 min | 3 min"),
            (Axis::duration(30.0, 3_700.0, 4), "30 s | 1 min | 2 min | 5 min | 10 min | 30 min | 1 h"),
            (Axis::share(0.93, 4), "92 % | 94 % | 96 % | 98 % | 100 %"),
            (Axis::share(0.999_2, 4), "99.90 % | 99.95 % | 100 %"),
            (Axis::share(1.0, 4), "99.90 % | 99.95 % | 100 %"),
            (Axis::share(0.0, 4), "0 % | 50 % | 100 %"),
            (Axis::nines(0.2, 0.003), "0 % | 50 % | 90 % | 99 % | 99.9 % | 100 %"),
            (Axis::nines(0.93, 0.000_4), "90 % | 99 % | 99.9 % | 99.99 % | 100 %"),
            (Axis::latency(30.0, 700.0), "20 ms | 50 ms | 100 ms | 200 ms | 500 ms | 1 s"),
            (Axis::latency(40.0, 40.0), "20 ms | 50 ms"),
            (Axis::latency(0.3, 9_000.0), "1 ms | 10 ms | 100 ms | 1 s | 10 s"),
            (Axis::count(13.0, 5), "0 | 5 | 10"),
            (Axis::count(0.0, 5), "0 | 0.2 | 0.4 | 0.6 | 0.8 | 1"),
            (Axis::wide_count(3.0, 70_000.0, 5), "0 | 1 | 10 | 100 | 1,000 | 10,000"),
            (Axis::wide_count(3.0, 30.0, 5), "0 | 10 | 20 | 30"),
        ] {
            assert_eq!(labels(&axis), expected, "{axis:?}");
        }
    }

    #[test]
    fn every_value_has_a_finite_place() {
        let axes = [
            Axis::time(f64::NAN, f64::INFINITY, 5),
            Axis::time(5.0, 5.0, 0),
            Axis::duration(0.0, 0.0, 5),
            Axis::share(f64::NAN, 0),
            Axis::nines(f64::NAN, f64::NAN),
            Axis::nines(-1.0, 0.0),
            Axis::latency(0.0, 0.0),
            Axis::latency(f64::NAN, 3.0),
            Axis::latency(0.0, 1e9),
            Axis::count(f64::NAN, 0),
            Axis::wide_count(1e-9, 1e9, 5),
        ];
        for axis in axes {
            for value in [f64::NAN, f64::NEG_INFINITY, -1.0, 0.0, 1.0, 1e300, f64::INFINITY] {
                let place = axis.place(value, 100.0, 200.0);
                assert!((100.0..=200.0).contains(&place), "{value} lies at {place} on {axis:?}");
            }
        }
    }
}
