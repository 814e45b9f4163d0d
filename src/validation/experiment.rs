//! A point as an ordinary scenario: how often it is run, and what the runs come to.

use super::figures::{Figure, Run};
use crate::engine;
use crate::metrics::{fleet_points, measure};
use crate::scenario::{self, LoadError, Scenario};
use crate::stats::Sample;
use rayon::prelude::*;
use std::path::Path;

/// How much is simulated.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Effort {
    /// Enough to tell an error of the size of the tolerance.
    Full,
    /// Enough to tell a blunder.
    Quick,
}

/// The seeds on each of which every point must hold. None of them was chosen.
const SEEDS: [u64; 5] = [1, 2, 3, 4, 5];

impl Effort {
    /// The seeds on each of which every point must hold.
    pub const fn seeds(self) -> &'static [u64] {
        match self {
            Effort::Full => &SEEDS,
            Effort::Quick => SEEDS.split_at(1).0,
        }
    }

    /// The largest standard error that proves something, as a share of what the point tolerates.
    pub const fn limit(self) -> f64 {
        match self {
            Effort::Full => 1.0,
            Effort::Quick => 4.0,
        }
    }

    /// The standard error that is aimed at, as a share of that limit, as long as it costs no more than is wished.
    const AIM: f64 = 0.25;

    /// Events that may be simulated for one seed of a point: to come close to what is aimed at, and for the limit itself.
    const fn events(self) -> (u64, u64) {
        match self {
            Effort::Full => (6_000_000, 800_000_000),
            Effort::Quick => (300_000, 6_000_000),
        }
    }

    /// Into how many parts a run is cut: long runs are the cheaper ones, for each has to warm up.
    pub const fn shortening(self) -> f64 {
        match self {
            Effort::Full => 1.0,
            Effort::Quick => 4.0,
        }
    }
}

/// A scenario, and what is read off its runs.
#[derive(Clone, Debug)]
pub struct Experiment {
    /// The scenario file.
    pub text: String,
    scenario: Scenario,
    figures: Vec<Figure>,
}

/// What the runs of one seed come to.
#[derive(Clone, Debug)]
pub(super) struct Outcome {
    /// Of each figure.
    pub(super) samples: Vec<Sample>,
    pub(super) runs: usize,
}

/// What the figures of some runs are, run by run, and what they cost.
#[derive(Default)]
struct Rows {
    rows: Vec<Vec<f64>>,
    events: u64,
}

impl Experiment {
    /// A scenario file with one strategy, and the figures that stand for the numbers of a point.
    ///
    /// # Errors
    /// When the parameters of the point make it a scenario that does not hold.
    pub(super) fn new(text: String, figures: Vec<Figure>) -> Result<Self, LoadError> {
        let scenario = scenario::parse(&text, Path::new("point.toml"))?;
        Ok(Experiment { text, scenario, figures })
    }

    /// Runs it under one seed: first as often as the scenario says, and then as often as it takes to bring the standard
    /// errors below their limits, one for each figure (Stein: A two-sample test for a linear hypothesis whose power is
    /// independent of the variance, Annals of Mathematical Statistics 16, 1945). `None` where a run did not come far enough
    /// to be measured.
    pub(super) fn estimate(&self, seed: u64, limits: &[f64], effort: Effort) -> Option<Outcome> {
        let mut scenario = self.scenario.clone();
        scenario.study.seed = seed;
        let mut rows = Rows::default();
        let mut wanted = scenario.study.replications.get() as usize;
        while rows.rows.len() < wanted {
            self.replicate(&scenario, &mut rows, wanted)?;
            wanted = wanted.max(rows.wanted(limits, effort)?);
        }
        Some(Outcome { samples: rows.samples()?, runs: rows.rows.len() })
    }

    /// Adds runs until there are so many.
    fn replicate(&self, scenario: &Scenario, rows: &mut Rows, until: usize) -> Option<()> {
        let numbers: Vec<u32> = (rows.rows.len() as u32..until as u32).collect();
        let runs: Option<Vec<(Vec<f64>, u64)>> =
            numbers.into_par_iter().map(|replication| self.run(scenario, replication)).collect();
        for (row, events) in runs? {
            rows.rows.push(row);
            rows.events += events;
        }
        Some(())
    }

    fn run(&self, scenario: &Scenario, replication: u32) -> Option<(Vec<f64>, u64)> {
        let named = &scenario.strategies[0];
        let history = engine::run(scenario, &named.strategy, replication);
        let points = fleet_points(&history, &named.strategy);
        let metrics = measure(&history, &points, scenario, named, replication);
        let run = Run { scenario, history: &history, points: &points, metrics: &metrics };
        let row: Option<Vec<f64>> = self.figures.iter().map(|figure| figure.of(run)).collect();
        Some((row?, history.events))
    }
}

impl Rows {
    fn samples(&self) -> Option<Vec<Sample>> {
        let figures = self.rows.first()?.len();
        let sample = |figure: usize| Sample::new(self.rows.iter().map(|row| row[figure]).collect());
        (0..figures).map(sample).collect()
    }

    /// How many runs it takes, as far as can be told from those so far.
    fn wanted(&self, limits: &[f64], effort: Effort) -> Option<usize> {
        let (wished, most) = effort.events();
        let runs = self.rows.len() as f64;
        let affordable = |events: u64| runs * events as f64 / self.events.max(1) as f64;
        let needed = |limit_share: f64| {
            let samples = self.samples()?;
            let each = samples.iter().zip(limits).map(|(sample, limit)| {
                let excess = sample.standard_error() / (limit * limit_share);
                if excess.is_finite() { runs * excess * excess } else { 0.0 }
            });
            Some(each.fold(0.0, f64::max))
        };
        // A little below the limit, for the standard error itself is an estimate.
        let due = needed(0.9)?.min(affordable(most));
        let wish = needed(Effort::AIM)?.min(affordable(wished));
        // No more than eight times as many at once: few runs say little about how many it takes.
        Some(due.max(wish).min(runs * 8.0).ceil() as usize)
    }
}
