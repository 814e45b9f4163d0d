//! Deployments, and the deployment watcher: when one is promoted, has failed, or is taken back.

use crate::time::SimTime;
use std::time::Duration;

/// How a deployment stands (`Deployment.Status`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Standing {
    /// Under way.
    Running,
    /// Somebody paused it.
    Paused,
    /// All its allocations are healthy.
    Successful,
    /// Given up.
    Failed,
    /// Another version was asked for.
    Cancelled,
}

impl Standing {
    /// Whether it may still come to its end.
    pub const fn is_active(self) -> bool {
        matches!(self, Standing::Running | Standing::Paused)
    }
}

/// A deployment, as the reconciler sees it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Deployment {
    /// How it stands.
    pub standing: Standing,
    /// It is of the version that is asked for.
    pub is_of_job: bool,
    /// Its state of the group, where the group is a part of it.
    pub state: Option<GroupState>,
}

/// A deployment's state of one group (`DeploymentState`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct GroupState {
    /// `auto_promote`.
    pub auto_promote: bool,
    /// `auto_revert`.
    pub auto_revert: bool,
    /// `progress_deadline`; zero: the first unhealthy allocation fails the deployment.
    pub progress_deadline: Duration,
    /// How many allocations it is about.
    pub desired_total: u32,
    /// How many of them are to be canaries first.
    pub desired_canaries: u32,
    /// The canaries were promoted.
    pub promoted: bool,
    /// How many allocations became healthy.
    pub healthy: u32,
    /// How many of those were canaries.
    pub healthy_canaries: u32,
    /// How many became unhealthy.
    pub unhealthy: u32,
    /// When the next allocation must be healthy; `None`: none was placed yet, or there is no deadline.
    pub require_progress_by: Option<SimTime>,
}

impl GroupState {
    /// Whether canaries are wanted that nobody promoted.
    pub fn awaits_promotion(&self) -> bool {
        self.desired_canaries > 0 && !self.promoted
    }

    /// Whether as many are healthy as are wanted in the end.
    pub fn is_complete(&self) -> bool {
        self.healthy >= self.desired_total.max(self.desired_canaries) && !self.awaits_promotion()
    }

    /// Whether there is something to promote, and all of it is healthy.
    pub fn can_be_promoted(&self) -> bool {
        self.awaits_promotion() && self.healthy_canaries >= self.desired_canaries
    }

    /// Whether the deadline finds too few healthy ones (`shouldFail`): canaries that wait for their promotion have time.
    pub fn has_too_few(&self) -> bool {
        if self.awaits_promotion() {
            return self.healthy < self.desired_canaries;
        }
        self.healthy < self.desired_total
    }

    /// Allocations were placed: the first ones start the clock.
    pub fn placed(&mut self, now: SimTime) {
        if self.require_progress_by.is_none() {
            self.start_the_clock(now);
        }
    }

    /// An allocation is healthy, which gives the others time.
    pub fn became_healthy(&mut self, is_canary: bool, now: SimTime) {
        self.healthy += 1;
        self.healthy_canaries += u32::from(is_canary);
        self.start_the_clock(now);
    }

    /// Somebody promoted the canaries, which starts the clock anew.
    pub fn promote(&mut self, now: SimTime) {
        self.promoted = true;
        self.start_the_clock(now);
    }

    /// The next allocation has all the time there is.
    pub fn start_the_clock(&mut self, now: SimTime) {
        if !self.progress_deadline.is_zero() {
            self.require_progress_by = Some(now + self.progress_deadline);
        }
    }
}

/// Whether the groups are promoted without being asked for: the whole job is, or none of it.
pub fn promotes_itself(groups: &[GroupState]) -> bool {
    let mut waiting = groups.iter().filter(|group| group.awaits_promotion()).peekable();
    waiting.peek().is_some() && waiting.all(|group| group.auto_promote && group.can_be_promoted())
}

/// The group whose deadline is next, by position, of those that are not done (`getDeploymentProgressCutoff`).
pub fn progress_cutoff(groups: &[(GroupState, bool)]) -> Option<(usize, SimTime)> {
    let open = groups.iter().enumerate().filter(|(_, (_, is_done))| !is_done);
    let cutoffs = open.filter_map(|(place, (group, _))| Some((place, group.require_progress_by?)));
    cutoffs.min_by_key(|(_, at)| *at)
}

/// Why a deployment has failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Failure {
    /// An allocation is unhealthy that is not waited for.
    FailedAllocations,
    /// No allocation became healthy in time.
    ProgressDeadline,
}

/// What happens with an allocation that became unhealthy.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unhealthy {
    /// The deployment has failed.
    FailsTheDeployment,
    /// It may be rescheduled once it has failed.
    MayReschedule,
}

/// What an unhealthy allocation does (`shouldFailEarly`), which may still be replaced, or not any more.
pub fn unhealthy(group: &GroupState, can_be_rescheduled: bool) -> Unhealthy {
    if group.progress_deadline.is_zero() || !can_be_rescheduled {
        return Unhealthy::FailsTheDeployment;
    }
    Unhealthy::MayReschedule
}

/// What a failed deployment goes back to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Revert<T> {
    /// Nothing: it is not asked for.
    No,
    /// Nothing: that is what is there already.
    Noop,
    /// This one.
    To(T),
}

/// Whether a deployment that has failed is taken back to the latest stable version of the job
/// (`handleRollbackValidity`): not to the same one, which would go on for ever.
pub fn revert<T: PartialEq>(groups: &[GroupState], stable: T, current: &T) -> Revert<T> {
    match (groups.iter().any(|group| group.auto_revert), stable) {
        (false, _) => Revert::No,
        (true, stable) if stable == *current => Revert::Noop,
        (true, stable) => Revert::To(stable),
    }
}
