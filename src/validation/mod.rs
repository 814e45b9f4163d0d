//! Whether the simulator says what theory and published measurements say: points, each with its source, are run as ordinary
//! scenarios through the ordinary engine, or computed where they are but arithmetic, and judged.
//!
//! A point holds when, on each of five seeds, the estimate is off by no more than it tolerates, or by fewer than four of
//! its own standard errors; and these must be small enough to prove something: no larger than what is tolerated, or
//! than 2 % of the value where nothing is. No seed was chosen.

mod experiment;
mod figures;
mod formulas;
mod judge;
mod models;
mod points;

pub use experiment::{Effort, Experiment};
pub use formulas::{
    Decided, SequentialTest, at_least, budget_used, metastable_loads, sample_size, spare_servers, supermarket_response,
};
pub use judge::{Estimate, Trial, Verdict, judge, z};
pub use models::{Task, Understanding, understand};
pub use points::{Expected, Fate, Kind, Params, Point, Tolerance, built_in, parse, read};

use crate::scenario::InputError;
use rayon::prelude::*;

/// A point, judged.
#[derive(Clone, Debug)]
pub struct Judged {
    /// The point.
    pub point: Point,
    /// What each seed came to; one without a seed where the point is computed.
    pub trials: Vec<Trial>,
    /// Parameters that the model did not look at.
    pub unread: Vec<String>,
    /// What became of it.
    pub verdict: Verdict,
}

/// Told after each trial, from whichever thread made it.
pub type Progress<'a> = &'a (dyn Fn() + Sync);

/// What is to be done about each of some points.
///
/// # Errors
/// When a parameter of one is not what the model of its family needs.
pub fn understand_all(points: &[Point], effort: Effort) -> Result<Vec<Option<Understanding>>, InputError> {
    points.iter().map(|point| understand(point, effort)).collect()
}

/// How many trials there will be.
pub fn trials(understood: &[Option<Understanding>], effort: Effort) -> usize {
    let is_simulated = |understanding: &&Option<Understanding>| {
        understanding.as_ref().is_some_and(|understanding| matches!(understanding.task, Task::Simulate(_)))
    };
    understood.iter().filter(is_simulated).count() * effort.seeds().len()
}

/// Tries and judges every point, in parallel; results come in the order of the points.
pub fn validate(
    points: &[Point],
    understood: Vec<Option<Understanding>>,
    effort: Effort,
    progress: Progress<'_>,
) -> Vec<Judged> {
    let pairs: Vec<(&Point, Option<Understanding>)> = points.iter().zip(understood).collect();
    pairs.into_par_iter().with_max_len(1).map(|(point, how)| one(point, how, effort, progress)).collect()
}

fn one(point: &Point, how: Option<Understanding>, effort: Effort, progress: Progress<'_>) -> Judged {
    let point = point.clone();
    let Some(Understanding { task, unread }) = how else {
        return Judged { point, trials: Vec::new(), unread: Vec::new(), verdict: Verdict::NotUnderstood };
    };
    let trials = match task {
        Task::Computed(estimates) => Some(vec![Trial { seed: None, runs: 0, estimates }]),
        Task::Simulate(experiment) => simulated(&point, &experiment, effort, progress),
    };
    match trials {
        Some(trials) => {
            let verdict = judge(&point.value, point.tolerance, &trials, effort);
            Judged { point, trials, unread, verdict }
        }
        None => Judged { point, trials: Vec::new(), unread, verdict: Verdict::NotMeasured },
    }
}

fn simulated(point: &Point, experiment: &Experiment, effort: Effort, progress: Progress<'_>) -> Option<Vec<Trial>> {
    let limits = judge::limits(&point.value, point.tolerance, effort);
    let seeds: Vec<u64> = effort.seeds().to_vec();
    let trials = seeds.into_par_iter().with_max_len(1).map(|seed| {
        let outcome = experiment.estimate(seed, &limits, effort);
        progress();
        Some(Trial::of(seed, &outcome?))
    });
    trials.collect()
}
