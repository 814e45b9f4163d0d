//! What the user asked for, checked: once a [`Scenario`] exists, every value in it is valid and nobody checks again.

mod argo;
mod balancer;
mod bounds;
mod client;
mod commands;
mod convert;
mod delays;
mod ecs;
mod file;
mod fingerprint;
mod load;
pub mod manifest;
mod nomad;
mod place;
mod raw;
mod raw_argo;
mod raw_balancer;
mod raw_client;
mod raw_delay;
mod raw_ecs;
mod raw_nomad;
mod raw_shift;
mod raw_traffic;
mod raw_waves;
mod recorded;
mod strategies;
mod trace;
mod traffic;
mod units;
mod words;

pub use balancer::{
    Balancer, Choice, Connect, Discovery, Ejection, Failures, FirstCheck, HealthCheck, Redispatch, SlowStart, Ties,
};
pub use client::{Client, Retries, RetryBudget};
pub use file::{load, load_text, parse, schema};
pub use load::{Arrivals, Bursts, Class, Load, Piece, Profile, Traffic};
pub use recorded::{Key, Life, Recorded};

use crate::distribution::Delay;
use crate::probe::Thresholds;
use crate::rollback::Policy;
use crate::rollout::{Restart, Strategy};
use crate::time::nanos;
use std::fmt;
use std::num::NonZeroU32;
use std::path::PathBuf;
use std::time::Duration;

/// A fleet, its traffic, a release, and the strategies to compare.
#[derive(Clone, Debug)]
pub struct Scenario {
    /// The file's name without its ending.
    pub name: String,
    /// FNV-1a hash of everything that was read: the scenario file and the files that it names.
    pub hash: u64,
    /// The fleet.
    pub service: Service,
    /// What is asked of it.
    pub traffic: Traffic,
    /// Who asks.
    pub client: Client,
    /// Who distributes.
    pub balancer: Balancer,
    /// What is rolled out.
    pub release: Release,
    /// What breaks.
    pub faults: Faults,
    /// Who judges the release.
    pub rollback: Policy,
    /// What every strategy is held to.
    pub budget: Budget,
    /// How it is measured.
    pub study: Study,
    /// The strategies, in the order of the file; at least one.
    pub strategies: Vec<NamedStrategy>,
    /// What the author says will come out.
    pub expectations: Vec<Expectation>,
    /// What the author should know of how the files were read, a line each.
    pub remarks: Vec<String>,
}

/// A strategy under the name that the file gives it.
#[derive(Clone, Debug, PartialEq)]
pub struct NamedStrategy {
    /// Its name.
    pub name: String,
    /// The orchestrator and its settings.
    pub strategy: Strategy,
}

/// The fleet before the rollout.
#[derive(Clone, Debug, PartialEq)]
pub struct Service {
    /// Desired instances, 1 to 100,000.
    pub instances: NonZeroU32,
    /// Requests that one instance serves at once.
    pub workers: NonZeroU32,
    /// Requests that may wait in one instance; the next one is refused.
    pub queue: u32,
    /// Failure domains over which instances are spread.
    pub zones: NonZeroU32,
    /// How an instance's workers share its requests.
    pub discipline: Discipline,
    /// A request that has waited longer in an instance when a worker becomes free is dropped; `None`: none is.
    pub shed_after: Option<Duration>,
    /// The share of requests that any instance answers with an error, 0 to 1.
    pub error_rate: f64,
}

impl Service {
    /// So many instances of one worker each, without a queue.
    pub fn plain(instances: NonZeroU32) -> Self {
        Service {
            instances,
            workers: NonZeroU32::MIN,
            queue: 0,
            zones: NonZeroU32::MIN,
            discipline: Discipline::Fifo,
            shed_after: None,
            error_rate: 0.0,
        }
    }
}

/// How an instance's workers share its requests.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Discipline {
    /// One request a worker, in the order in which they came.
    Fifo,
    /// All requests at once, each at full speed while there are no more of them than workers, and else at an equal share.
    ProcessorSharing,
}

/// What is rolled out, and how long each step of it takes.
#[derive(Clone, Debug, PartialEq)]
pub struct Release {
    /// Fetching the image or package, on each launch.
    pub pull: Delay,
    /// From the process's start to where it could serve.
    pub start: Delay,
    /// How readiness is found out; `None`: at once.
    pub ready_probe: Option<Probe>,
    /// A started process is slow at first; `None`: it is not.
    pub warm_up: Option<WarmUp>,
    /// Deregistration delay: an instance on its way out serves this much longer, before preStop and TERM.
    pub drain: Duration,
    /// Whether that ends as soon as the instance has no request left and no balancer would send one.
    pub drain_ends_when_idle: bool,
    /// The preStop hook: further time in which it still serves, within the grace period.
    pub pre_stop: Duration,
    /// From the beginning of preStop to the kill; `None`: the orchestrator's own default.
    pub grace: Option<Duration>,
    /// What the process needs to exit once it was told to stop and has no request left.
    pub stop: Delay,
    /// How crashed processes are started again; `None`: by the orchestrator's own rule.
    pub restart: Option<Restart>,
    /// How the new version's requests cost compared with the old one's: a factor on their work.
    pub slowdown: f64,
    /// What is wrong with the new version.
    pub defect: Option<Defect>,
    /// The change of the database's schema that belongs to it.
    pub database: Option<Database>,
    /// What happens where a client of one version meets the other; `None`: nothing.
    pub skew: Option<Skew>,
    /// Recorded delays in place of drawn ones: they stand in for pull, start, ready_probe, stop and defect.
    pub recorded: Option<Recorded>,
}

/// A readiness probe.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Probe {
    /// From the process's start to the first probe.
    pub initial_delay: Duration,
    /// Between two probes; positive.
    pub period: Duration,
    /// Passes in a row that make an instance ready, and failures in a row that make a ready one unready. An
    /// orchestrator that watches health kills a starting instance after so many failures.
    pub thresholds: Thresholds,
}

/// Service time right after a start, as a factor on the work.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct WarmUp {
    /// The factor at the start, 1 or more.
    pub factor: f64,
    /// How long it takes to come down to 1: all of it for a linear curve, the time constant of an exponential one.
    pub over: WarmUpOver,
    /// How it comes down.
    pub shape: WarmUpShape,
}

/// In what a warm-up is counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WarmUpOver {
    /// Time since the process was up; positive.
    Time(Duration),
    /// Requests that the process has begun with.
    Requests(NonZeroU32),
}

/// How the warm-up factor comes down.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WarmUpShape {
    /// In a straight line.
    Linear,
    /// Exponentially; cut off at 1 after ten time constants.
    Exponential,
}

/// What is wrong with instances of the new version.
#[derive(Clone, Debug, PartialEq)]
pub struct Defect {
    /// The chance that an instance carries it, 0 to 1.
    pub chance: f64,
    /// How long after its process is up it begins to show in requests.
    pub appears_after: Duration,
    /// The share of requests that it answers with an error, 0 to 1.
    pub error_rate: f64,
    /// A factor on the work of its requests.
    pub slowdown: f64,
    /// The chance that a start ends with the process gone instead of serving, 0 to 1.
    pub failed_start: f64,
    /// It never passes its readiness probe.
    pub never_ready: bool,
    /// Its process ends unasked this long after it was up, each time.
    pub crash_after: Option<Delay>,
    /// It stops passing its readiness probe for a while.
    pub unready: Option<Unready>,
}

/// A change of the database's schema that belongs to the release.
#[derive(Clone, Debug, PartialEq)]
pub struct Database {
    /// When it comes.
    pub step: DatabaseStep,
    /// How long it takes; the new schema is in force from its end on.
    pub takes: Delay,
    /// The share of the old version's requests that fail with the new schema, 0 to 1; 0: it is backward compatible.
    pub old_fails: f64,
    /// The share of other versions' requests that fail with the old schema, 0 to 1.
    pub new_fails: f64,
    /// How long taking it back takes, which belongs to a rollback; `None`: it cannot be taken back.
    pub undo: Option<Delay>,
}

/// When the schema changes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DatabaseStep {
    /// The rollout begins when it is done. A rollback takes it back when that is done.
    Before,
    /// Both begin together, as do both ways back.
    During,
    /// It begins when the rollout is done. A rollback begins together with taking it back.
    After,
}

/// Clients that were served by one version and meet the other.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Skew {
    /// The share of the requests of the old version's clients that fail at a newer instance, 0 to 1; 0: the new version is
    /// backward compatible.
    pub old_meets_new: f64,
    /// The share of the requests of newer versions' clients that fail at an old instance, 0 to 1; 0: the old version is
    /// forward compatible.
    pub new_meets_old: f64,
    /// How long ago a client was served last, in the mean; positive.
    pub memory: Duration,
}

/// A lapse of readiness: the process runs and serves what reaches it.
#[derive(Clone, Debug, PartialEq)]
pub struct Unready {
    /// How long it is ready first, each time.
    pub after: Delay,
    /// How long it is not.
    pub lasts: Delay,
}

/// What breaks, whatever is rolled out.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Faults {
    /// Crashes at random.
    pub crash: Option<Crash>,
    /// A share of the fleet that goes down at a given moment.
    pub outage: Option<Outage>,
    /// Instances that are slow for a while.
    pub slow: Vec<Slow>,
}

/// Instances that are slow for a while.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Slow {
    /// When it begins, after the rollout did.
    pub at: Duration,
    /// How long it lasts; positive.
    pub lasts: Duration,
    /// A factor on the work of requests that begin with it, or are being served together with others.
    pub factor: f64,
    /// Which.
    pub whom: Whom,
}

/// Crashes at random, by mean time between failures.
#[derive(Clone, Debug, PartialEq)]
pub struct Crash {
    /// Mean time between failures (exponential), of one instance or, with a share, of the fleet as a whole.
    pub mtbf: Duration,
    /// How long until a place that crashed can be started again.
    pub repair: Delay,
    /// Whom one crash hits.
    pub hits: Hits,
    /// How many places can be under repair at once, the others waiting for their turn; `None`: all.
    pub crews: Option<NonZeroU32>,
}

/// Whom a crash hits.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Hits {
    /// One instance; each has its own clock.
    Instance,
    /// A share of all instances at once, rounded up, 0 to 1; the fleet has one clock.
    Share(f64),
}

/// A share of the fleet that goes down together.
#[derive(Clone, Debug, PartialEq)]
pub struct Outage {
    /// When, after the rollout began.
    pub at: Duration,
    /// Which.
    pub whom: Whom,
    /// How long until they can be started again.
    pub repair: Delay,
    /// Whether they do not even refuse connections.
    pub silent: bool,
}

/// Which instances an outage takes.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Whom {
    /// A share of all, rounded up, 0 to 1, chosen at random.
    Share(f64),
    /// So many, chosen at random.
    Count(NonZeroU32),
    /// All in this zone, counted from 0.
    Zone(u32),
}

/// What every strategy is held to.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Budget {
    /// Least availability, 0 to 1.
    pub availability: Option<f64>,
    /// Highest 99 % quantile of latency over the observation window.
    pub p99: Option<Duration>,
    /// Longest rollout; one that does not complete misses it.
    pub duration: Option<Duration>,
    /// Most requests lost in the observation window.
    pub lost: Option<u64>,
    /// Least ready capacity as a share of the desired instances, 0 to 1.
    pub least_ready: Option<f64>,
}

/// How it is measured.
#[derive(Clone, Debug, PartialEq)]
pub struct Study {
    /// Runs of each strategy, each with its own luck; 2 to 100,000.
    pub replications: NonZeroU32,
    /// The seed of all luck.
    pub seed: u64,
    /// From the start of a run until it counts as steady.
    pub warm_up: Duration,
    /// The baseline window, before the rollout.
    pub baseline: Duration,
    /// The observation window, from the beginning of the rollout; the same for all strategies.
    pub window: Duration,
    /// Length of one interval of the time series.
    pub interval: Duration,
    /// Confidence of all intervals, 0 to 1.
    pub confidence: f64,
    /// The strategy that the others are compared with: its place in the list.
    pub against: usize,
    /// Whether the end of each request is kept: some 24 bytes each.
    pub keeps_log: bool,
}

impl Study {
    /// The most intervals that all runs of all strategies may have together: the availability of each is kept.
    pub const MOST_INTERVALS_OF_ALL_RUNS: u128 = 50_000_000;

    /// How many intervals all runs of so many strategies have together.
    pub fn intervals_of_all_runs(&self, strategies: usize) -> u128 {
        let intervals = (self.baseline + self.window).as_nanos().div_ceil(self.interval.as_nanos());
        intervals * u128::from(self.replications.get()) * strategies as u128
    }

    /// When the rollout begins.
    pub fn rollout_at(&self) -> Duration {
        self.warm_up + self.baseline
    }

    /// Whole intervals of the time series within the baseline window. The series begins that many before the
    /// rollout, so that one interval begins exactly with it.
    pub fn intervals_before_rollout(&self) -> u64 {
        (self.baseline.as_nanos() / self.interval.as_nanos()) as u64
    }

    /// When the time series begins.
    pub fn series_from(&self) -> Duration {
        let before = self.intervals_before_rollout() * nanos(self.interval);
        self.rollout_at().saturating_sub(Duration::from_nanos(before))
    }

    /// When the run ends.
    pub fn ends_at(&self) -> Duration {
        self.rollout_at() + self.window
    }
}

/// What the author of a scenario says will come out for one strategy.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Expectation {
    /// The strategy's place in the list.
    pub strategy: usize,
    /// How every replication ends, in the words of the table.
    pub outcome: Option<String>,
    /// Bounds of the mean rollout duration, seconds.
    pub duration_s: Option<[f64; 2]>,
    /// Bounds of the mean number of requests lost in the observation window.
    pub lost: Option<[f64; 2]>,
    /// The least number of ready instances over all replications.
    pub least_ready: Option<u32>,
    /// The most instances that existed at once over all replications, those on their way out included.
    pub most_instances: Option<u32>,
    /// The most frequent cause of loss, in the words of `losses.csv`.
    pub main_cause: Option<String>,
}

/// A mistake in what the user wrote: where it is and what must hold.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InputError {
    /// The file.
    pub file: PathBuf,
    /// The line, counted from 1.
    pub line: usize,
    /// The field, as a path of keys; empty where no field is concerned.
    pub field: String,
    /// What must hold.
    pub problem: String,
}

impl fmt::Display for InputError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}: ", self.file.display(), self.line)?;
        if !self.field.is_empty() {
            write!(f, "{}: ", self.field)?;
        }
        write!(f, "{}", self.problem)
    }
}

impl std::error::Error for InputError {}

/// Why a scenario could not be loaded.
#[derive(Debug)]
pub enum LoadError {
    /// What the user wrote is wrong.
    Input(InputError),
    /// A file could not be read.
    Io(PathBuf, std::io::Error),
}

impl fmt::Display for LoadError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            LoadError::Input(error) => error.fmt(f),
            LoadError::Io(path, error) => write!(f, "{}: {error}", path.display()),
        }
    }
}

impl std::error::Error for LoadError {}

impl From<InputError> for LoadError {
    fn from(error: InputError) -> Self {
        LoadError::Input(error)
    }
}
