//! The facts of one run: what the fleet did, and the fate of every request. No statistic is computed here.

use crate::fleet::{InstanceId, Phase, Slot, Version};
use crate::rollout::Split;
use crate::rollout::Status;
use crate::time::SimTime;
use hdrhistogram::Histogram;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// Why an attempt failed, or a request was lost.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Cause {
    /// The balancer believed in no instance at all.
    NoEndpoint,
    /// Sent to an instance that did not take it: stopped, down, or not up yet.
    StaleEndpoint,
    /// Open at an instance that was killed at the end of its grace period, or that a balancer without draining
    /// removed.
    CutOff,
    /// Every waiting place of the instance, or of the balancer, was taken.
    QueueFull,
    /// The client's time was over while it waited in a queue.
    TimedOutWaiting,
    /// The client's time was over while it was being served.
    TimedOutInService,
    /// The client lost patience while it waited.
    Abandoned,
    /// Dropped when its turn came, because it had waited too long.
    Shed,
    /// Answered with an error such as instances of all versions give.
    Error,
    /// Answered with an error by a defect of the new version.
    Defect,
    /// Open at an instance whose process ended unasked.
    Crash,
    /// The version that served it cannot read the schema of the database.
    WrongSchema,
    /// Its client was of another version than the instance that served it.
    WrongVersion,
}

impl Cause {
    /// How many causes there are.
    pub const COUNT: usize = 13;

    /// All causes, in the order of the files.
    pub const ALL: [Cause; Self::COUNT] = [
        Cause::NoEndpoint,
        Cause::StaleEndpoint,
        Cause::CutOff,
        Cause::QueueFull,
        Cause::TimedOutWaiting,
        Cause::TimedOutInService,
        Cause::Abandoned,
        Cause::Shed,
        Cause::Error,
        Cause::Defect,
        Cause::Crash,
        Cause::WrongSchema,
        Cause::WrongVersion,
    ];

    /// The position in a table by cause.
    pub const fn index(self) -> usize {
        self as usize
    }

    /// The word for it in files.
    pub const fn name(self) -> &'static str {
        match self {
            Cause::NoEndpoint => "no_endpoint",
            Cause::StaleEndpoint => "stale_endpoint",
            Cause::CutOff => "cut_off",
            Cause::QueueFull => "queue_full",
            Cause::TimedOutWaiting => "timed_out_waiting",
            Cause::TimedOutInService => "timed_out_in_service",
            Cause::Abandoned => "abandoned",
            Cause::Shed => "shed",
            Cause::Error => "error",
            Cause::Defect => "defect",
            Cause::Crash => "crash",
            Cause::WrongSchema => "wrong_schema",
            Cause::WrongVersion => "wrong_version",
        }
    }

    /// The words for it in tables and charts.
    pub const fn label(self) -> &'static str {
        match self {
            Cause::NoEndpoint => "no endpoint",
            Cause::StaleEndpoint => "stale endpoint",
            Cause::CutOff => "cut off",
            Cause::QueueFull => "queue full",
            Cause::TimedOutWaiting => "timed out waiting",
            Cause::TimedOutInService => "timed out in service",
            Cause::Abandoned => "abandoned",
            Cause::Shed => "shed",
            Cause::Error => "error",
            Cause::Defect => "defect",
            Cause::Crash => "crash",
            Cause::WrongSchema => "wrong schema",
            Cause::WrongVersion => "wrong version",
        }
    }
}

/// What took most of the time of a request that was served, but late.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Delayed {
    /// Attempts that failed, and the pauses after them.
    Retried,
    /// Its balancer waited for an instance that did not take it.
    Connecting,
    /// It waited in queues, or shared workers with others.
    Waiting,
    /// It met an instance that was not warm yet.
    Cold,
    /// It met a slow version, a defect, or an instance that was slowed down.
    Slow,
    /// Its own work.
    Work,
}

impl Delayed {
    /// All of them, in the order of the files.
    pub const ALL: [Delayed; 6] =
        [Delayed::Retried, Delayed::Connecting, Delayed::Waiting, Delayed::Cold, Delayed::Slow, Delayed::Work];

    /// The word for it in files.
    pub const fn name(self) -> &'static str {
        match self {
            Delayed::Retried => "retried",
            Delayed::Connecting => "connecting",
            Delayed::Waiting => "waiting",
            Delayed::Cold => "cold",
            Delayed::Slow => "slow",
            Delayed::Work => "work",
        }
    }
}

/// How a request ended badly.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Harm {
    /// It was lost.
    Lost(Cause),
    /// It was served, later than its target.
    Late(Delayed),
}

impl Harm {
    /// `lost` or `late`.
    pub const fn fate(self) -> &'static str {
        match self {
            Harm::Lost(_) => "lost",
            Harm::Late(_) => "late",
        }
    }

    /// Why, in the word of the files.
    pub const fn cause(self) -> &'static str {
        match self {
            Harm::Lost(cause) => cause.name(),
            Harm::Late(delayed) => delayed.name(),
        }
    }
}

/// An instance entered a phase, or was taken out of the balancers or put back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Change {
    /// When.
    pub at: SimTime,
    /// Which instance.
    pub instance: InstanceId,
    /// What it runs.
    pub version: Version,
    /// Its place.
    pub slot: Slot,
    /// What it does from now on.
    pub to: Phase,
    /// Whether balancers ought to send requests to it from now on.
    pub listed: bool,
}

/// How many instances of each version are wanted from a moment on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Wanted {
    /// When.
    pub at: SimTime,
    /// By version.
    pub desired: [u32; Version::COUNT],
}

/// A version is asked for: by the rollout itself, by a command, or by a rollback.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Asked {
    /// When.
    pub at: SimTime,
    /// Which version.
    pub version: Version,
}

/// What the orchestrator's own tools report from a moment on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Report {
    /// When.
    pub at: SimTime,
    /// The orchestrator's own word.
    pub word: &'static str,
}

/// Every request that arrived in some stretch of time, by fate. Arrivals = served + lost + open.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Ledger {
    /// Requests that arrived.
    pub arrivals: u64,
    /// Answered well, after however many attempts.
    pub served: u64,
    /// Lost, by the cause of the last attempt.
    pub lost: [u64; Cause::COUNT],
    /// Not ended when the run did.
    pub open: u64,
}

impl Ledger {
    /// Requests lost, of all causes.
    pub fn lost_in_all(&self) -> u64 {
        self.lost.iter().sum()
    }

    /// Whether nothing is open while the run goes on.
    pub fn is_settled(&self) -> bool {
        self.arrivals == self.served + self.lost_in_all()
    }

    /// Whether every request has one fate.
    pub fn balances(&self) -> bool {
        self.arrivals == self.served + self.lost_in_all() + self.open
    }

    /// Adds another stretch of time.
    pub fn add(&mut self, other: &Ledger) {
        self.arrivals += other.arrivals;
        self.served += other.served;
        self.open += other.open;
        for (sum, lost) in self.lost.iter_mut().zip(other.lost) {
            *sum += lost;
        }
    }
}

/// Attempts as the instances and balancers saw them. Sent = succeeded + failed + open.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Attempts {
    /// Attempts made, first ones included.
    pub sent: u64,
    /// Answered well in time.
    pub succeeded: u64,
    /// Failed, by cause.
    pub failed: [u64; Cause::COUNT],
    /// Not ended when the run did.
    pub open: u64,
}

impl Attempts {
    /// Whether every attempt has one end.
    pub fn balances(&self) -> bool {
        self.sent == self.succeeded + self.failed.iter().sum::<u64>() + self.open
    }
}

/// Latencies of served requests, in microseconds.
pub type Latencies = Histogram<u64>;

/// A histogram for latencies that keeps `digits` significant digits.
pub fn latencies(digits: u8) -> Latencies {
    Histogram::new(digits).expect("1 to 5 digits are allowed")
}

/// How one request ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ended {
    /// When it arrived.
    pub arrived: SimTime,
    /// When it ended.
    pub at: SimTime,
    /// How.
    pub how: End,
}

/// The end of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// Answered well, by whoever stood at that place.
    Served(Slot),
    /// Lost.
    Lost(Cause),
}

/// What there was to do at a moment.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Load {
    /// Requests that had arrived and not ended, those that paused before a retry included.
    pub open: u64,
    /// Attempts that waited in the queues of instances and balancers.
    pub waiting: u64,
    /// Workers that served.
    pub busy: u64,
}

impl Load {
    /// Adds that of another run.
    pub fn add(&mut self, other: &Load) {
        self.open += other.open;
        self.waiting += other.waiting;
        self.busy += other.busy;
    }
}

/// Requests that arrived in one interval of the time series.
#[derive(Clone, Debug)]
pub struct Interval {
    /// Their fates.
    pub ledger: Ledger,
    /// Latencies of those that were served, to two digits.
    pub latency: Latencies,
    /// What there was to do when it began.
    pub load: Load,
}

impl Default for Interval {
    fn default() -> Self {
        Interval { ledger: Ledger::default(), latency: latencies(2), load: Load::default() }
    }
}

/// Requests of one class.
#[derive(Clone, Debug)]
pub struct ClassCounts {
    /// Their fates.
    pub ledger: Ledger,
    /// Served later than their target.
    pub late: u64,
    /// Latencies of those that were served, to three digits.
    pub latency: Latencies,
    /// Sum of these latencies, nanoseconds.
    pub latency_sum: u128,
}

impl Default for ClassCounts {
    fn default() -> Self {
        ClassCounts { ledger: Ledger::default(), late: 0, latency: latencies(3), latency_sum: 0 }
    }
}

/// How long attempts waited before they were served, in the queues of instances and balancers and for connections.
#[derive(Clone, Debug)]
pub struct Waits {
    /// Attempts whose service began.
    pub begun: u64,
    /// Of these, those that had waited.
    pub waited: u64,
    /// Sum of their waits, nanoseconds.
    pub sum: u128,
    /// Their waits, to three digits.
    pub waits: Latencies,
}

impl Default for Waits {
    fn default() -> Self {
        Waits { begun: 0, waited: 0, sum: 0, waits: latencies(3) }
    }
}

/// Requests that arrived in a window that figures are quoted for.
#[derive(Clone, Debug)]
pub struct Window {
    /// All of them.
    pub all: ClassCounts,
    /// Those of each class; empty where there is but one.
    pub classes: Vec<ClassCounts>,
    /// How long their attempts waited.
    pub waits: Waits,
    /// Served by each version.
    pub served_by: [u64; Version::COUNT],
}

impl Window {
    /// Without requests, for so many classes.
    pub fn new(classes: usize) -> Self {
        Window {
            all: ClassCounts::default(),
            classes: if classes > 1 { vec![ClassCounts::default(); classes] } else { Vec::new() },
            waits: Waits::default(),
            served_by: [0; Version::COUNT],
        }
    }
}

/// Where requests were lost or delayed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct HarmKey {
    /// What and why.
    pub harm: Harm,
    /// At an instance of which version; `None` where no instance was concerned.
    pub version: Option<Version>,
    /// How many decisions of the orchestrator had changed something by then; 0 is before the rollout.
    pub step: u32,
    /// In which zone that instance stands.
    pub zone: Option<u32>,
    /// The class of the requests: its place in the list.
    pub class: u8,
}

/// How a rollout ended within the observation window.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// The new version is everywhere.
    Completed,
    /// The old version is everywhere again.
    RolledBack,
    /// Stopped half-way, until somebody acts.
    Paused,
    /// Past its deadline, and still trying.
    Stuck,
    /// Given up half-way.
    Failed,
    /// Still under way when the window ended.
    Unfinished,
    /// The run ended at its limit of events, before the window did.
    CutShort,
}

impl Outcome {
    /// All outcomes.
    pub const ALL: [Outcome; 7] = [
        Outcome::Completed,
        Outcome::RolledBack,
        Outcome::Paused,
        Outcome::Stuck,
        Outcome::Failed,
        Outcome::Unfinished,
        Outcome::CutShort,
    ];

    /// What the orchestrator's last word means; `is_back`: of a version that is not the newest one asked for.
    pub fn of(status: Status, is_back: bool) -> Self {
        match status {
            Status::Completed if is_back => Outcome::RolledBack,
            Status::Completed => Outcome::Completed,
            Status::Paused => Outcome::Paused,
            Status::Stuck => Outcome::Stuck,
            Status::Failed => Outcome::Failed,
            Status::Progressing => Outcome::Unfinished,
        }
    }

    /// The word for it.
    pub const fn name(self) -> &'static str {
        match self {
            Outcome::Completed => "completed",
            Outcome::RolledBack => "rolled back",
            Outcome::Paused => "paused",
            Outcome::Stuck => "stuck",
            Outcome::Failed => "failed",
            Outcome::Unfinished => "unfinished",
            Outcome::CutShort => "cut short",
        }
    }
}

/// The facts of one run.
#[derive(Clone, Debug)]
pub struct History {
    /// Every change of phase, in the order of time.
    pub changes: Vec<Change>,
    /// Every change of what is wanted, in the order of time.
    pub wanted: Vec<Wanted>,
    /// Every version that was asked for, in the order of time.
    pub asked: Vec<Asked>,
    /// How requests were split among versions, and from when on; empty where they were not.
    pub splits: Vec<(SimTime, Split)>,
    /// When a step of the database was done: the first one forth, the next one back, and so on.
    pub schema_changed: Vec<SimTime>,
    /// Every change of what the orchestrator reports, in the order of time.
    pub reported: Vec<Report>,
    /// The whole run, from its start.
    pub ledger: Ledger,
    /// The whole run, attempt by attempt.
    pub attempts: Attempts,
    /// Requests that arrived before the rollout and after the warm-up.
    pub baseline: Window,
    /// Requests that arrived in the observation window.
    pub window: Window,
    /// Requests by the interval in which they arrived, from the start of the baseline window.
    pub intervals: Vec<Interval>,
    /// Every request in the order in which they ended, where the study keeps this log; otherwise none.
    pub log: Vec<Ended>,
    /// Requests of the observation window that were lost or late, by where.
    pub harm: BTreeMap<HarmKey, u64>,
    /// The most attempts that waited at once in the observation window, in the queues of instances and balancers.
    pub most_waiting: u64,
    /// The first request of the observation window that was lost: when that was.
    pub first_lost_at: Option<SimTime>,
    /// How the rollout ended.
    pub outcome: Outcome,
    /// When the rollout reached that end; `None` while it had not.
    pub ended_at: Option<SimTime>,
    /// When the old version was asked for again.
    pub rollback_at: Option<SimTime>,
    /// Requests that the new version served by then, within the observation window.
    pub new_served_before_rollback: Option<u64>,
    /// When the first new instance failed, or the first request was lost to the new version's defect: what could be
    /// noticed.
    pub trouble_at: Option<SimTime>,
    /// Control-plane and request-plane events of the run, whether or not each was handled as one.
    pub events: u64,
    /// What that took.
    pub effort: Effort,
}

/// What the engine did for a run, counted: how fast it is, without a clock. It is not a fact of the run, and two engines that
/// agree on all facts may differ here.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Effort {
    /// Events of the control plane.
    pub control_events: u64,
    /// How often the orchestrator was asked.
    pub decisions: u64,
    /// Ends of services, time-outs and retries that were events.
    pub request_events: u64,
    /// Requests that were sent one by one, not in a row of plain ones.
    pub sent_singly: u64,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_ledger_balances_when_every_request_has_one_fate() {
        let mut ledger = Ledger { arrivals: 10, served: 7, open: 1, ..Ledger::default() };
        assert!(!ledger.balances());
        ledger.lost[Cause::Crash.index()] = 2;
        assert!(ledger.balances());
    }

    #[test]
    fn positions_follow_the_order_of_the_lists() {
        for (place, cause) in Cause::ALL.into_iter().enumerate() {
            assert_eq!(cause.index(), place);
        }
        for (place, delayed) in Delayed::ALL.into_iter().enumerate() {
            assert_eq!(delayed as usize, place);
        }
        for (place, phase) in Phase::ALL.into_iter().enumerate() {
            assert_eq!(phase as usize, place);
        }
    }
}
