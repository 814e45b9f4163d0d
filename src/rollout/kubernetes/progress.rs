//! Whether a Deployment is complete, moves on, or is stuck (`DeploymentComplete`, `DeploymentProgressing`,
//! `DeploymentTimedOut` of `deployment_util.go`, `progress.go`).

use super::sets::ReplicaSet;
use crate::fleet::Version;
use crate::time::SimTime;
use std::time::Duration;

/// A Deployment's `status`: the sums over its sets.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Instances of all sets.
    pub replicas: u32,
    /// Of the new one.
    pub updated: u32,
    /// Ready.
    pub ready: u32,
    /// Available.
    pub available: u32,
    /// On their way out.
    pub terminating: u32,
}

impl Counts {
    /// The sums over sets, of which that of the target is the new one.
    pub fn of(sets: &[ReplicaSet], target: Version) -> Self {
        sets.iter().fold(Counts::default(), |sum, set| Counts {
            replicas: sum.replicas + set.status.replicas,
            updated: sum.updated + if set.version == target { set.status.replicas } else { 0 },
            ready: sum.ready + set.status.ready,
            available: sum.available + set.status.available,
            terminating: sum.terminating + set.status.terminating,
        })
    }

    /// Whether all are new and available.
    pub fn is_complete(&self, desired: u32) -> bool {
        self.updated == desired && self.replicas == desired && self.available == desired
    }

    /// Whether something got better since: more new ones, fewer old ones, more ready or more available.
    pub fn has_progressed(&self, before: &Counts) -> bool {
        let outdated = |counts: &Counts| i64::from(counts.replicas) - i64::from(counts.updated);
        self.updated > before.updated
            || outdated(self) < outdated(before)
            || self.ready > before.ready
            || self.available > before.available
    }
}

/// The reason of the Progressing condition.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reason {
    /// A new set was created.
    NewReplicaSetCreated,
    /// Under way.
    ReplicaSetUpdated,
    /// Paused.
    DeploymentPaused,
    /// Not paused any more.
    DeploymentResumed,
    /// Complete.
    NewReplicaSetAvailable,
    /// Stuck.
    ProgressDeadlineExceeded,
}

impl Reason {
    /// The word for it in the API.
    pub const fn word(self) -> &'static str {
        match self {
            Reason::NewReplicaSetCreated => "NewReplicaSetCreated",
            Reason::ReplicaSetUpdated => "ReplicaSetUpdated",
            Reason::DeploymentPaused => "DeploymentPaused",
            Reason::DeploymentResumed => "DeploymentResumed",
            Reason::NewReplicaSetAvailable => "NewReplicaSetAvailable",
            Reason::ProgressDeadlineExceeded => "ProgressDeadlineExceeded",
        }
    }
}

/// The Progressing condition.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Condition {
    /// Why.
    pub reason: Reason,
    /// `lastUpdateTime`, kept in whole seconds.
    pub at: SimTime,
}

impl Condition {
    /// The condition from a moment on.
    pub fn new(reason: Reason, at: SimTime) -> Self {
        Condition { reason, at: at.whole_second() }
    }

    /// The condition that notes that the Deployment is paused, or is not any more, which stops the clock of the progress
    /// deadline (`checkPausedConditions`); `None`: that is noted, or the lack of progress was reported before.
    pub fn noting_pause(&self, paused: bool, now: SimTime) -> Option<Self> {
        match (paused, self.reason) {
            (true, Reason::DeploymentPaused | Reason::ProgressDeadlineExceeded) => None,
            (true, _) => Some(Condition::new(Reason::DeploymentPaused, now)),
            (false, Reason::DeploymentPaused) => Some(Condition::new(Reason::DeploymentResumed, now)),
            (false, _) => None,
        }
    }

    /// Whether the lack of progress is to be reported (`DeploymentTimedOut`): what is complete never is.
    pub fn is_overdue(&self, deadline: Option<Duration>, now: SimTime) -> bool {
        match (self.reason, deadline) {
            (Reason::NewReplicaSetAvailable, _) | (_, None) => false,
            (Reason::ProgressDeadlineExceeded, _) => true,
            (_, Some(deadline)) => self.at + deadline < now,
        }
    }

    /// How long the controller waits before it looks at a Deployment that makes no progress
    /// (`requeueStuckDeployment`): nothing if less than a second is left, or else what is left; it adds a second, so
    /// that the deadline is surely over. `None`: it does not wait.
    pub fn looks_again_after(&self, deadline: Option<Duration>, now: SimTime) -> Option<Duration> {
        let is_final = matches!(self.reason, Reason::NewReplicaSetAvailable | Reason::ProgressDeadlineExceeded);
        let deadline = deadline.filter(|_| !is_final)?;
        let left = Duration::from_nanos((self.at + deadline).nanos().saturating_sub(now.nanos()));
        Some(if left < Duration::from_secs(1) { Duration::ZERO } else { left })
    }
}
