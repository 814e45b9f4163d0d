//! Whether what the simulator comes to is what the source says, within what the point tolerates.

use super::experiment::{Effort, Outcome};
use super::points::{Expected, Fate, Tolerance};

/// How many standard errors an estimate may be off.
const STANDARD_ERRORS: f64 = 4.0;
/// Values are printed with six digits or more, so they may be off by half of the last one: at most this share.
const UNPRINTED: f64 = 5e-6;
/// The largest standard error, as a share of the value, where a point tolerates nothing but standard errors.
const LARGEST_RELATIVE_ERROR: f64 = 0.02;
/// Whoever recovers serves at least this share of the last requests, and whoever stays down at most the other one.
const RECOVERED: f64 = 0.99;
const DOWN: f64 = 0.5;

/// An estimate of one number.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Estimate {
    /// The mean over the runs.
    pub mean: f64,
    /// Its standard error; 0 where chance plays no part.
    pub standard_error: f64,
}

impl Estimate {
    /// A number that is computed.
    pub fn exactly(number: f64) -> Self {
        Estimate { mean: number, standard_error: 0.0 }
    }
}

/// What one seed came to.
#[derive(Clone, Debug, PartialEq)]
pub struct Trial {
    /// The seed; `None` where nothing was simulated.
    pub seed: Option<u64>,
    /// How many runs.
    pub runs: usize,
    /// An estimate of each number of the point.
    pub estimates: Vec<Estimate>,
}

impl Trial {
    pub(super) fn of(seed: u64, outcome: &Outcome) -> Self {
        let estimate =
            |sample: &crate::stats::Sample| Estimate { mean: sample.mean(), standard_error: sample.standard_error() };
        Trial { seed: Some(seed), runs: outcome.runs, estimates: outcome.samples.iter().map(estimate).collect() }
    }
}

/// What became of a point.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It holds on every seed.
    Holds,
    /// It does not, on at least one.
    Differs,
    /// An estimate is too coarse to tell.
    TooCoarse,
    /// A run did not come to what was to be measured.
    NotMeasured,
    /// No model understands it.
    NotUnderstood,
}

impl Verdict {
    /// The words for it.
    pub const fn name(self) -> &'static str {
        match self {
            Verdict::Holds => "holds",
            Verdict::Differs => "differs",
            Verdict::TooCoarse => "too coarse to tell",
            Verdict::NotMeasured => "not measured",
            Verdict::NotUnderstood => "not understood",
        }
    }

    /// Whether it speaks against the program.
    pub const fn is_negative(self) -> bool {
        !matches!(self, Verdict::Holds)
    }
}

/// By how much each number of a point may be off.
pub(super) fn allowed(expected: &Expected, tolerance: Tolerance) -> Vec<f64> {
    let Expected::Numbers(values) = expected else { return vec![0.0] };
    let of = |value: &f64| match tolerance {
        Tolerance::Exact | Tolerance::StandardErrors | Tolerance::Word => UNPRINTED * value.abs(),
        Tolerance::Within { relative, absolute } => (relative * value.abs()).max(absolute),
    };
    values.iter().map(of).collect()
}

/// The largest standard error of each number that proves something. Nothing is too coarse where a word is asked for, or where
/// the number must be met exactly.
pub(super) fn limits(expected: &Expected, tolerance: Tolerance, effort: Effort) -> Vec<f64> {
    let Expected::Numbers(values) = expected else { return vec![f64::INFINITY] };
    let tolerated = |value: &f64, allowed: f64| match tolerance {
        Tolerance::Exact | Tolerance::Word => f64::INFINITY,
        Tolerance::StandardErrors => LARGEST_RELATIVE_ERROR * value.abs(),
        Tolerance::Within { .. } => allowed,
    };
    let allowed = allowed(expected, tolerance);
    values.iter().zip(allowed).map(|(value, allowed)| effort.limit() * tolerated(value, allowed)).collect()
}

/// The verdict on a point after all trials at it.
pub fn judge(expected: &Expected, tolerance: Tolerance, trials: &[Trial], effort: Effort) -> Verdict {
    let limits = limits(expected, tolerance, effort);
    let (mut differs, mut is_coarse) = (trials.is_empty(), false);
    for trial in trials {
        differs |= !holds(expected, tolerance, &trial.estimates);
        is_coarse |= trial.estimates.iter().zip(&limits).any(|(estimate, limit)| estimate.standard_error > *limit);
    }
    match (differs, is_coarse) {
        (true, _) => Verdict::Differs,
        (false, true) => Verdict::TooCoarse,
        (false, false) => Verdict::Holds,
    }
}

fn holds(expected: &Expected, tolerance: Tolerance, estimates: &[Estimate]) -> bool {
    match expected {
        Expected::Fate(fate) => estimates.iter().all(|estimate| match fate {
            Fate::Recovers => estimate.mean >= RECOVERED,
            Fate::StaysDown => estimate.mean <= DOWN,
        }),
        Expected::Numbers(values) => {
            let mut each = values.iter().zip(allowed(expected, tolerance)).zip(estimates);
            let all_hold = each.all(|((value, allowed), estimate)| {
                let off = (estimate.mean - value).abs();
                let by_chance = tolerance != Tolerance::Exact && off < STANDARD_ERRORS * estimate.standard_error;
                off <= allowed || by_chance
            });
            estimates.len() == values.len() && all_hold
        }
    }
}

/// How far off an estimate is, in its own standard errors; `None` where chance plays no part.
pub fn z(estimate: Estimate, value: f64) -> Option<f64> {
    (estimate.standard_error > 0.0).then(|| (estimate.mean - value) / estimate.standard_error)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn verdict(value: f64, tolerance: Tolerance, estimates: &[(f64, f64)]) -> Verdict {
        let trial = |(mean, standard_error): &(f64, f64)| Trial {
            seed: Some(1),
            runs: 9,
            estimates: vec![Estimate { mean: *mean, standard_error: *standard_error }],
        };
        let trials: Vec<Trial> = estimates.iter().map(trial).collect();
        judge(&Expected::Numbers(vec![value]), tolerance, &trials, Effort::Full)
    }

    #[test]
    fn an_estimate_holds_within_the_tolerance_or_by_its_own_error() {
        let two_percent = Tolerance::Within { relative: 0.02, absolute: 0.0 };
        //        value  tolerance    (estimate, standard error)...            then
        for (value, tolerance, estimates, then) in [
            (5.0, two_percent, vec![(5.09, 0.001)], Verdict::Holds),
            (5.0, two_percent, vec![(5.11, 0.001)], Verdict::Differs),
            (5.0, two_percent, vec![(5.11, 0.05)], Verdict::Holds),
            (5.0, two_percent, vec![(5.0, 0.05), (5.0, 0.05), (4.5, 0.05)], Verdict::Differs),
            (5.0, two_percent, vec![(5.0, 0.11)], Verdict::TooCoarse),
            (5.0, two_percent, vec![(6.0, 0.11)], Verdict::Differs),
            (5.0, Tolerance::Within { relative: 0.0, absolute: 0.3 }, vec![(5.29, 0.0)], Verdict::Holds),
            (5.0, Tolerance::StandardErrors, vec![(5.3, 0.08)], Verdict::Holds),
            (5.0, Tolerance::StandardErrors, vec![(5.3, 0.07)], Verdict::Differs),
            (5.0, Tolerance::StandardErrors, vec![(5.3, 0.2)], Verdict::TooCoarse),
            (600.0, Tolerance::Exact, vec![(600.0, 0.0)], Verdict::Holds),
            (600.0, Tolerance::Exact, vec![(601.0, 9.0)], Verdict::Differs),
            (0.577_350, Tolerance::Exact, vec![(1.0 / 3f64.sqrt(), 0.0)], Verdict::Holds),
            (5.0, two_percent, vec![], Verdict::Differs),
        ] {
            assert_eq!(verdict(value, tolerance, &estimates), then, "{value}, {tolerance:?}: {estimates:?}");
        }
    }

    #[test]
    fn a_quick_look_may_be_coarser() {
        let (expected, tolerance) = (Expected::Numbers(vec![5.0]), Tolerance::Within { relative: 0.02, absolute: 0.0 });
        let coarse = Estimate { mean: 5.0, standard_error: 0.3 };
        let trials = [Trial { seed: Some(1), runs: 9, estimates: vec![coarse] }];
        assert_eq!(judge(&expected, tolerance, &trials, Effort::Quick), Verdict::Holds);
        assert_eq!(judge(&expected, tolerance, &trials, Effort::Full), Verdict::TooCoarse);
    }

    #[test]
    fn every_number_of_a_point_must_hold() {
        let expected = Expected::Numbers(vec![2.0, 8.0]);
        let of = |numbers: &[f64]| {
            let estimates = numbers.iter().map(|number| Estimate::exactly(*number)).collect();
            judge(&expected, Tolerance::Exact, &[Trial { seed: None, runs: 0, estimates }], Effort::Full)
        };
        assert_eq!(of(&[2.0, 8.0]), Verdict::Holds);
        assert_eq!(of(&[2.0, 9.0]), Verdict::Differs);
        assert_eq!(of(&[2.0]), Verdict::Differs);
    }

    #[test]
    fn a_fate_is_told_by_the_last_requests() {
        let of = |fate, served| {
            let trials = [Trial { seed: Some(1), runs: 2, estimates: vec![Estimate::exactly(served)] }];
            judge(&Expected::Fate(fate), Tolerance::Word, &trials, Effort::Full)
        };
        assert_eq!((of(Fate::Recovers, 1.0), of(Fate::StaysDown, 0.0)), (Verdict::Holds, Verdict::Holds));
        assert_eq!((of(Fate::Recovers, 0.0), of(Fate::StaysDown, 1.0)), (Verdict::Differs, Verdict::Differs));
        assert_eq!((of(Fate::Recovers, 0.8), of(Fate::StaysDown, 0.8)), (Verdict::Differs, Verdict::Differs));
    }
}
