//! What a rollout will do, before any traffic: numbers resolved, steps, durations, and warnings.
//!
//! Nothing is told by rules of its own: every figure comes from runs of the ordinary engine in which nobody asks for
//! anything. *Typical* is the run with each delay at its median, *best* one with each delay at its 5 % quantile and
//! nothing wrong; *expected* is the mean of runs with the scenario's own luck, defects and faults.

pub mod assumed;
mod plan;
pub mod shown;
mod warnings;

pub use plan::{Moment, What};
pub use warnings::{Kind, Warning};

use crate::distribution::Delay;
use crate::engine;
use crate::history::{History, Outcome};
use crate::metrics::{FleetPoint, fleet_points};
use crate::rollout::{self, Command, Resolved, Strategy, When};
use crate::scenario::{Client, Faults, NamedStrategy, Scenario, Traffic};
use crate::stats::{Estimate, Sample};
use crate::time::SimTime;
use rayon::prelude::*;
use serde::Serialize;
use std::time::Duration;

/// What one scenario's strategies will do.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Explanation {
    /// The scenario's name.
    pub scenario: String,
    /// Desired instances.
    pub instances: u32,
    /// How long the rollout is watched, seconds.
    pub window_s: f64,
    /// Each strategy, in the order of the file.
    pub strategies: Vec<Explained>,
}

/// What one strategy will do.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Explained {
    /// Its name.
    pub name: String,
    /// The orchestrator's.
    pub orchestrator: &'static str,
    /// Its settings as numbers.
    pub resolved: Vec<Resolved>,
    /// How the typical rollout ends.
    pub outcome: &'static str,
    /// What the orchestrator reports of it in the end.
    pub reported: Option<&'static str>,
    /// How long it takes, seconds; nothing where it does not come to its end. So it is below.
    pub typical_s: Option<f64>,
    /// How long it takes where all goes well and fast.
    pub best_s: Option<f64>,
    /// How long it takes in the mean; nothing where not all runs come to their end.
    pub expected_s: Option<Estimate>,
    /// How long taking it back takes, once it is done.
    pub rollback_s: Option<f64>,
    /// The fewest ready instances at any moment of any run.
    pub least_ready: u32,
    /// The most instances at any moment of any run, those on their way out left aside.
    pub most_beside_leaving: u32,
    /// The most instances at any moment of any run.
    pub most_instances: u32,
    /// The typical rollout, moment by moment.
    pub steps: Vec<Moment>,
    /// What ought to be thought over first.
    pub warnings: Vec<Warning>,
}

/// Runs with the scenario's own luck: so many of a small service, and fewer where that would be long.
const RUNS: u32 = 40;
const INSTANCES_OF_ALL_RUNS: u32 = 100_000;

/// What the scenario's strategies will do.
pub fn explain(scenario: &Scenario) -> Explanation {
    let quiet = without_traffic(scenario);
    let unasked = |strategy: &NamedStrategy| {
        let NamedStrategy { name, strategy } = strategy.clone();
        NamedStrategy { name, strategy: strategy.without_requests() }
    };
    let one = |strategy| Case::of(scenario, &quiet, &unasked(strategy)).explained();
    let strategies = scenario.strategies.par_iter().map(one);
    Explanation {
        scenario: scenario.name.clone(),
        instances: scenario.service.instances.get(),
        window_s: scenario.study.window.as_secs_f64(),
        strategies: strategies.collect(),
    }
}

/// The same rollout while nobody asks for anything, and with it all that only watches requests.
fn without_traffic(scenario: &Scenario) -> Scenario {
    let mut quiet = scenario.clone();
    (quiet.traffic, quiet.client) = (Traffic::none(), Client::PATIENT);
    (quiet.balancer.health_check, quiet.balancer.ejection) = (None, None);
    quiet.study.warm_up = Duration::ZERO;
    quiet.study.baseline = Duration::from_secs(1);
    quiet.study.interval = quiet.study.window.max(Duration::from_secs(1));
    quiet
}

/// Where nothing is wrong, and each delay is at one of its quantiles.
fn sound(quiet: &Scenario, quantile: f64) -> Scenario {
    let mut sound = quiet.clone();
    sound.faults = Faults::default();
    sound.release.defect = None;
    at_quantile(&mut sound, quantile);
    sound
}

fn at_quantile(scenario: &mut Scenario, quantile: f64) {
    let release = &mut scenario.release;
    for delay in [&mut release.pull, &mut release.start, &mut release.stop] {
        *delay = Delay::Fixed(delay.quantile(quantile));
    }
}

/// A run and what follows from it.
struct Run {
    history: History,
    points: Vec<FleetPoint>,
    begins: SimTime,
    ends: SimTime,
}

impl Run {
    fn of(scenario: &Scenario, strategy: &Strategy, replication: u32) -> Run {
        let history = engine::run(scenario, strategy, replication);
        let points = fleet_points(&history, strategy);
        let begins = SimTime::START + scenario.study.rollout_at();
        Run { history, points, begins, ends: SimTime::START + scenario.study.ends_at() }
    }

    /// The fleet from the beginning of the rollout on.
    fn watched(&self) -> &[FleetPoint] {
        let first = self.points.partition_point(|point| point.at <= self.begins).saturating_sub(1);
        &self.points[first..]
    }

    fn ended_well(&self) -> bool {
        matches!(self.history.outcome, Outcome::Completed | Outcome::RolledBack)
    }

    fn duration(&self) -> Option<Duration> {
        self.history.ended_at.filter(|_| self.ended_well()).map(|at| at.since(self.begins))
    }

    fn least_ready(&self) -> u32 {
        self.watched().iter().map(FleetPoint::all_ready).min().unwrap_or(0)
    }

    fn most(&self, count: impl Fn(&FleetPoint) -> u32) -> u32 {
        self.watched().iter().map(count).max().unwrap_or(0)
    }
}

/// Instances that are not on their way out.
fn staying(point: &FleetPoint) -> u32 {
    point.total.iter().sum()
}

/// One strategy, and the runs that tell of it.
struct Case<'a> {
    scenario: &'a Scenario,
    quiet: &'a Scenario,
    strategy: &'a NamedStrategy,
    typical: Run,
    runs: Vec<Run>,
}

impl<'a> Case<'a> {
    fn of(scenario: &'a Scenario, quiet: &'a Scenario, strategy: &'a NamedStrategy) -> Self {
        let mut median = quiet.clone();
        at_quantile(&mut median, 0.5);
        median.faults = Faults::default();
        let typical = Run::of(&median, &strategy.strategy, 0);
        let count = (INSTANCES_OF_ALL_RUNS / quiet.service.instances).clamp(3, RUNS);
        let runs = (0..count).into_par_iter().map(|replication| Run::of(quiet, &strategy.strategy, replication));
        Case { scenario, quiet, strategy, typical, runs: runs.collect() }
    }

    fn all_runs(&self) -> impl Iterator<Item = &Run> {
        std::iter::once(&self.typical).chain(&self.runs)
    }

    fn explained(&self) -> Explained {
        let facts = self.strategy.strategy.facts();
        let durations: Option<Vec<f64>> = self.runs.iter().map(|run| Some(run.duration()?.as_secs_f64())).collect();
        let best = Run::of(&sound(self.quiet, 0.05), &self.strategy.strategy, 0);
        let seconds = |duration: Duration| duration.as_secs_f64();
        let rollback = self.rollback();
        Explained {
            name: self.strategy.name.clone(),
            orchestrator: facts.name(),
            resolved: facts.resolves(self.quiet.service.instances.get()),
            outcome: self.typical.history.outcome.name(),
            reported: self.typical.history.reported.last().map(|report| report.word),
            typical_s: self.typical.duration().map(seconds),
            best_s: best.duration().map(seconds),
            expected_s: durations
                .and_then(Sample::new)
                .map(|durations| durations.estimate(self.scenario.study.confidence)),
            rollback_s: rollback.map(seconds),
            least_ready: self.all_runs().map(Run::least_ready).min().unwrap_or(0),
            most_beside_leaving: self.all_runs().map(|run| run.most(staying)).max().unwrap_or(0),
            most_instances: self.all_runs().map(|run| run.most(FleetPoint::existing)).max().unwrap_or(0),
            steps: plan::moments(&self.typical),
            warnings: self.warnings(rollback),
        }
    }

    /// How long an undo takes that is typed a second after the rollout is done, where nothing is wrong and nobody types
    /// anything else.
    fn rollback(&self) -> Option<Duration> {
        let strategy = &self.strategy.strategy;
        if !strategy.facts().commands().is_empty() {
            return None;
        }
        let mut sound = sound(self.quiet, 0.5);
        let forward = Run::of(&sound, strategy, 0).duration()? + Duration::from_secs(1);
        let undo = Command { when: When::After(forward), what: rollout::What::Undo };
        sound.study.window += forward;
        let run = Run::of(&sound, &strategy.clone().with_commands(vec![undo]), 0);
        let asked = run.history.rollback_at.filter(|_| run.history.outcome == Outcome::RolledBack)?;
        run.history.ended_at.map(|at| at.since(asked))
    }
}
