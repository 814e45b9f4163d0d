//! Whether a recording lies within what the simulation does with other luck.

use super::figures::{Figure, Unit};
use super::recording::{Recording, Repetition};
use crate::conformance::judge::Difference;

/// The share of the simulated repetitions that may lie beyond a bound on each side.
const TAIL: f64 = 0.01;
/// How far a bound is widened: by this share of itself, or, of a latency, by so many milliseconds if that is more.
const SLACK: f64 = 0.1;
const SLACK_MS: f64 = 5.0;

/// One figure of a recording beside the simulated ones.
#[derive(Clone, Debug, PartialEq)]
pub struct Compared {
    /// Its name.
    pub name: String,
    /// Its unit.
    pub unit: Unit,
    /// The number of each repetition, and what was recorded.
    pub recorded: Vec<(u32, Option<f64>)>,
    /// 1 % and 99 % quantile of the simulated ones; `None` where hardly any has a value.
    pub range: Option<(f64, f64)>,
    /// Their median.
    pub median: Option<f64>,
    /// Whether it is not unusual that there is no value.
    may_be_absent: bool,
}

impl Compared {
    /// Where a recorded value may lie.
    pub fn bounds(&self) -> Option<(f64, f64)> {
        let slack = |bound: f64| match self.unit {
            Unit::Millis => (SLACK * bound).max(SLACK_MS),
            Unit::Requests | Unit::Share => SLACK * bound,
        };
        self.range.map(|(low, high)| (low - slack(low), high + slack(high)))
    }

    /// What differs, repetition by repetition.
    pub fn differences(&self) -> Vec<Difference> {
        let holds = |value: Option<f64>| match (value, self.bounds()) {
            (None, _) => self.may_be_absent,
            (Some(_), None) => false,
            (Some(value), Some((low, high))) => low <= value && value <= high,
        };
        let off = self.recorded.iter().filter(|(_, value)| !holds(*value));
        off.map(|(repetition, recorded)| Difference::Range {
            name: self.name.clone(),
            unit: self.unit,
            repetition: *repetition,
            recorded: *recorded,
            simulated: self.range,
        })
        .collect()
    }
}

/// Each figure of a recording beside the simulated ones; these have the same figures in the same order.
pub fn compare(recording: &Recording, simulated: &[Vec<Figure>]) -> Vec<Compared> {
    compare_repetitions(&recording.repetitions, simulated)
}

fn compare_repetitions(repetitions: &[Repetition], simulated: &[Vec<Figure>]) -> Vec<Compared> {
    let Some(first) = repetitions.first() else { return Vec::new() };
    let compared = |place: usize| {
        let Figure { name, unit, .. } = first.figures[place].clone();
        let recorded =
            repetitions.iter().map(|repetition| (repetition.number, repetition.figures[place].value)).collect();
        let mut values: Vec<f64> = simulated.iter().filter_map(|run| run[place].value).collect();
        values.sort_by(f64::total_cmp);
        let absent = simulated.len() - values.len();
        let enough = |count: usize| count as f64 > TAIL * simulated.len() as f64;
        let present = enough(values.len());
        let last = values.len().saturating_sub(1) as f64;
        let low = values.get((TAIL * last).floor() as usize).copied();
        let high = values.get(((1.0 - TAIL) * last).ceil() as usize).copied();
        let median = values.get(values.len() / 2).copied();
        let range = low.zip(high).filter(|_| present);
        Compared { name, unit, recorded, range, median: median.filter(|_| present), may_be_absent: enough(absent) }
    };
    (0..first.figures.len()).map(compared).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What differs where these were recorded, and the simulations had these values.
    fn differing(unit: Unit, recorded: &[Option<f64>], simulated: &[Option<f64>]) -> Vec<u32> {
        let figure = |value: &Option<f64>| Figure { name: "figure".to_owned(), unit, value: *value };
        let repetitions: Vec<Repetition> =
            (1..).zip(recorded).map(|(number, value)| Repetition { number, figures: vec![figure(value)] }).collect();
        let simulated: Vec<Vec<Figure>> = simulated.iter().map(|value| vec![figure(value)]).collect();
        let compared = compare_repetitions(&repetitions, &simulated);
        let number = |difference: Difference| match difference {
            Difference::Range { repetition, .. } => repetition,
            other => panic!("{other:?} is no range"),
        };
        compared[0].differences().into_iter().map(number).collect()
    }

    /// 100 to 200, each 1 % of the simulations, and one far beyond on each side.
    fn hundred() -> Vec<Option<f64>> {
        (100..=200).map(f64::from).chain([0.0, 1e6]).map(Some).collect()
    }

    #[test]
    fn a_value_lies_within_the_quantiles_and_some_slack() {
        let values = [89.0, 91.0, 150.0, 219.0, 221.0].map(Some);
        for unit in [Unit::Requests, Unit::Share, Unit::Millis] {
            assert_eq!(differing(unit, &values, &hundred()), [1, 5], "{unit:?}");
        }
        let low: Vec<Option<f64>> = hundred().into_iter().map(|value| value.map(|value| value / 10.0)).collect();
        let values = [4.9, 5.1, 24.9, 25.1].map(Some);
        assert_eq!(differing(Unit::Millis, &values, &low), [1, 4], "5 ms are more than a tenth");
        assert_eq!(differing(Unit::Requests, &values, &low), [1, 2, 3, 4]);
        assert_eq!(differing(Unit::Requests, &[Some(0.0), Some(1.0)], &[Some(0.0); 50]), [2], "never is never");
    }

    #[test]
    fn what_is_absent_may_be_so_where_that_is_not_unusual() {
        let mut some = hundred();
        assert_eq!(differing(Unit::Millis, &[None, Some(150.0)], &some), [1]);
        some.extend([None; 10]);
        assert_eq!(differing(Unit::Millis, &[None, Some(150.0)], &some), Vec::<u32>::new());
        assert_eq!(differing(Unit::Millis, &[None, Some(150.0)], &[None; 50]), [2]);
    }

    #[test]
    fn a_difference_says_what_was_recorded_and_simulated() {
        let said = |recorded, simulated| {
            let (name, unit) = ("during: p95".to_owned(), Unit::Millis);
            Difference::Range { name, unit, repetition: 2, recorded, simulated }.to_string()
        };
        let told = said(Some(217.84), Some((75.1, 192.7)));
        assert_eq!(told, "during: p95: r2 has 217.8 ms, simulated is 75.1 ms to 192.7 ms");
        assert_eq!(said(None, None), "during: p95: r2 has nothing, simulated is nothing");
    }
}
