//! Many runs: every strategy replayed over the same traffic and the same luck, and what can be said of them together.

pub mod check;
mod context;
mod replicate;
mod rows;

pub use context::Context;
pub use replicate::{Progress, replicate};

use crate::history::{Cause, Outcome};
use crate::metrics::RunMetrics;
use crate::stats::Estimate;
use serde::{Deserialize, Serialize};

/// What a study found. Everything that is printed, written or drawn is taken from here.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Results {
    /// Enough to repeat the study.
    pub header: Header,
    /// By strategy, in the order of the file.
    pub strategies: Vec<StrategyResults>,
}

/// Enough to repeat a study.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Header {
    /// The program's version.
    pub version: String,
    /// The scenario's name.
    pub scenario: String,
    /// Hash of the scenario file and of all files that it names, 16 hexadecimal digits.
    pub scenario_hash: String,
    /// The seed of all luck.
    pub seed: u64,
    /// Runs of each strategy.
    pub replications: u32,
    /// Confidence of all intervals, 0 to 1.
    pub confidence: f64,
    /// Desired instances.
    pub instances: u32,
    /// Length of the baseline window, seconds.
    pub baseline_s: f64,
    /// Length of the observation window, seconds.
    pub window_s: f64,
    /// Length of an interval of the time series, seconds.
    pub interval_s: f64,
    /// The strategy that the others are compared with.
    pub against: String,
    /// The settings that explain losses.
    pub context: Context,
}

/// What a study found of one strategy.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct StrategyResults {
    /// The strategy's name.
    pub name: String,
    /// Its orchestrator: `kubernetes`, `swarm`, `octopus` or `waves`.
    pub orchestrator: String,
    /// How long a process gets between preStop and the kill, seconds.
    pub grace_s: f64,
    /// Estimates over the replications.
    pub summary: Summary,
    /// One row a replication, in order.
    pub runs: Vec<RunMetrics>,
    /// One row an interval, from the start of the baseline window on.
    pub series: Vec<SeriesRow>,
    /// Where requests were lost or late, most frequent first.
    pub losses: Vec<LossRow>,
    /// One row a class of requests, in the order of the scenario.
    pub classes: Vec<ClassRow>,
    /// The fleet at every change, in replication 0, from the beginning of the rollout on.
    pub timeline: Vec<TimelineRow>,
    /// What each instance did and when, in replication 0.
    pub spans: Vec<Span>,
}

/// Estimates of one strategy over its replications.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Summary {
    /// Share of requests served, 0 to 1.
    pub availability: Estimate,
    /// Lowest availability of a whole minute.
    pub worst_minute_availability: Estimate,
    /// Requests lost in one rollout.
    pub lost: Estimate,
    /// Requests served later than their target in one rollout.
    pub late: Estimate,
    /// The most frequent cause of loss and its share of all losses; nothing when nothing was lost.
    pub main_cause: Option<(Cause, f64)>,
    /// Median latency, milliseconds.
    pub p50_ms: Estimate,
    /// 95 % quantile of latency, milliseconds.
    pub p95_ms: Estimate,
    /// 99 % quantile of latency, milliseconds.
    pub p99_ms: Estimate,
    /// 99.9 % quantile of latency, milliseconds.
    pub p999_ms: Estimate,
    /// Median latency in the baseline window, milliseconds.
    pub baseline_p50_ms: Estimate,
    /// 95 % quantile of latency in the baseline window, milliseconds.
    pub baseline_p95_ms: Estimate,
    /// 99 % quantile of latency in the baseline window, milliseconds.
    pub baseline_p99_ms: Estimate,
    /// Duration of the rollouts that came to their end, seconds; nothing when none did.
    pub duration_s: Option<Estimate>,
    /// The fewest ready instances over all replications.
    pub least_ready: u32,
    /// The fewest ready instances of a replication as a share of the desired ones.
    pub least_ready_share: Estimate,
    /// The most instances at once over all replications.
    pub most_instances: u32,
    /// Instance-seconds beyond the desired number.
    pub extra_instance_s: Estimate,
    /// How long both versions served side by side, seconds.
    pub mixed_version_s: Estimate,
    /// How many replications ended how, most frequent first.
    pub outcomes: Vec<(Outcome, u32)>,
    /// Differences to the strategy that all are compared with, run by run over the same luck; nothing for that one
    /// itself.
    pub against: Option<Differences>,
    /// The budget's lines; empty without a budget.
    pub budget: Vec<BudgetLine>,
}

/// Paired differences to another strategy: this one minus the other.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Differences {
    /// Of the availability.
    pub availability: Estimate,
    /// Of the number of requests lost.
    pub lost: Estimate,
    /// Of the 99 % quantile of latency, milliseconds.
    pub p99_ms: Estimate,
    /// Of the rollout's duration, seconds, over the replications in which both came to their end; nothing below two.
    pub duration_s: Option<Estimate>,
    /// Of the instance-seconds beyond the desired number.
    pub extra_instance_s: Estimate,
}

/// One line of a budget, judged.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct BudgetLine {
    /// What is held to a limit, in the scenario's word.
    pub what: String,
    /// The limit, in the unit of the estimate.
    pub limit: f64,
    /// The estimate; nothing where no run gave a value.
    pub estimate: Option<Estimate>,
    /// The judgement.
    pub verdict: Verdict,
}

/// Whether a limit is kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    /// The whole interval keeps it.
    Holds,
    /// The whole interval misses it.
    Missed,
    /// The interval holds the limit: more replications are needed to tell.
    Undecided,
}

/// One interval of the time series: a row of `timeseries.csv`. Counts are means over the replications; latencies are
/// quantiles over the requests of all replications.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct SeriesRow {
    /// The strategy's name.
    pub strategy: String,
    /// Start of the interval, seconds since the beginning of the rollout; negative in the baseline window.
    pub t_s: f64,
    /// Requests that arrived.
    pub arrivals: f64,
    /// Of these, served.
    pub served: f64,
    /// Lost because no endpoint was known.
    pub lost_no_endpoint: f64,
    /// Lost because they were sent to an instance that did not take them.
    pub lost_stale_endpoint: f64,
    /// Lost because they were cut off.
    pub lost_cut_off: f64,
    /// Lost because a queue was full.
    pub lost_queue_full: f64,
    /// Lost because the client gave up while they waited.
    pub lost_timed_out_waiting: f64,
    /// Lost because the client gave up while they were served.
    pub lost_timed_out_in_service: f64,
    /// Lost because the client lost patience while they waited.
    pub lost_abandoned: f64,
    /// Lost because they were dropped after they had waited too long.
    pub lost_shed: f64,
    /// Lost to errors such as all versions give.
    pub lost_error: f64,
    /// Lost to a defect of the new version.
    pub lost_defect: f64,
    /// Lost in a crash.
    pub lost_crash: f64,
    /// Lost because the version that served them cannot read the schema of the database.
    pub lost_wrong_schema: f64,
    /// Lost because their clients were of another version than the instances that served them.
    pub lost_wrong_version: f64,
    /// Availability over all replications; empty where no request ended.
    pub availability: Option<f64>,
    /// Availability of the worst twentieth of the replications.
    pub availability_p05: Option<f64>,
    /// Availability of the best twentieth of the replications.
    pub availability_p95: Option<f64>,
    /// Median latency, milliseconds; empty where no request was served.
    pub p50_ms: Option<f64>,
    /// 95 % quantile of latency, milliseconds.
    pub p95_ms: Option<f64>,
    /// 99 % quantile of latency, milliseconds.
    pub p99_ms: Option<f64>,
    /// Ready instances, averaged over the interval.
    pub ready: f64,
    /// The fewest ready instances at any moment of the interval in any replication.
    pub least_ready: u32,
    /// Requests that had not ended when the interval began.
    pub open: f64,
    /// Attempts that waited in queues then.
    pub waiting: f64,
    /// Workers that served then.
    pub busy: f64,
}

/// Requests lost or late in the observation window by where: a row of `losses.csv`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct LossRow {
    /// The strategy's name.
    pub strategy: String,
    /// `lost`, or `late`: served, but later than the target.
    pub fate: String,
    /// Why, in the words of [`Cause::name`] and [`crate::history::Delayed::name`].
    pub cause: String,
    /// At an instance of which version: `old`, `new`, or `none` where no instance was concerned.
    pub version: String,
    /// How many decisions of the orchestrator had changed something by then.
    pub step: u32,
    /// In which zone that instance stands, counted from 0; empty where no instance was concerned.
    pub zone: Option<u32>,
    /// The class of the requests.
    pub class: String,
    /// In all replications together.
    pub requests: u64,
    /// The same for one replication.
    pub requests_per_rollout: f64,
}

/// What became of one class of requests in the observation window: a row of `classes.csv`. Counts are means over the
/// replications; latencies are over the requests of all replications.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ClassRow {
    /// The strategy's name.
    pub strategy: String,
    /// The class; `all` where there is but one.
    pub class: String,
    /// Requests that arrived.
    pub arrivals: f64,
    /// Of these, served.
    pub served: f64,
    /// Lost.
    pub lost: f64,
    /// Served later than the target.
    pub late: f64,
    /// Served ÷ (served + lost).
    pub availability: f64,
    /// The target, milliseconds; empty without one.
    pub target_ms: Option<f64>,
    /// Mean latency, milliseconds; empty where no request was served.
    pub mean_ms: Option<f64>,
    /// Median latency, milliseconds.
    pub p50_ms: Option<f64>,
    /// 95 % quantile of latency, milliseconds.
    pub p95_ms: Option<f64>,
    /// 99 % quantile of latency, milliseconds.
    pub p99_ms: Option<f64>,
    /// 99.9 % quantile of latency, milliseconds.
    pub p999_ms: Option<f64>,
}

/// The fleet from a moment on: a row of `timeline.csv`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct TimelineRow {
    /// The strategy's name.
    pub strategy: String,
    /// Seconds since the beginning of the rollout.
    pub t_s: f64,
    /// Old instances wanted.
    pub old_desired: u32,
    /// New instances wanted.
    pub new_desired: u32,
    /// Old instances ready.
    pub old_ready: u32,
    /// New instances ready.
    pub new_ready: u32,
    /// Old instances that exist and are not on their way out.
    pub old_total: u32,
    /// New instances that exist and are not on their way out.
    pub new_total: u32,
    /// Instances on their way out.
    pub terminating: u32,
    /// Instances that the orchestrator counts as available.
    pub available: u32,
}

/// One stay of one instance in one phase, for the chart of instances.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Span {
    /// The instance, numbered as launched.
    pub instance: u32,
    /// Its lasting place; the instance's own number where the orchestrator knows no places.
    pub slot: u32,
    /// `old` or `new`.
    pub version: String,
    /// The phase, in the words of [`crate::fleet::Phase::name`], or `taken out` while it is ready but kept out of the
    /// balancers; never `gone`.
    pub phase: String,
    /// From, seconds since the beginning of the rollout; not before 0.
    pub from_s: f64,
    /// To, seconds since the beginning of the rollout; not beyond the window.
    pub to_s: f64,
}
