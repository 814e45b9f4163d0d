//! Whether an allocation is healthy, as its client finds out (`client/allochealth`).

use super::{HealthCheck, Update};
use crate::fleet::{Instance, Phase};
use crate::time::{SimTime, nanos};
use std::time::Duration;

/// How often the client asks Consul for the checks of an allocation (`consulCheckLookupInterval`).
pub const CHECK_LOOKUP: Duration = Duration::from_millis(500);

/// What a check found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CheckStatus {
    /// All is well.
    Passing,
    /// All is well so far.
    Warning,
    /// It is not.
    Critical,
}

/// `on_update`: what a check means for the health of an allocation.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum OnUpdate {
    /// It must pass.
    #[default]
    RequireHealthy,
    /// It must not be critical.
    IgnoreWarnings,
    /// Nothing, once it is registered.
    Ignore,
}

impl OnUpdate {
    /// All of them.
    pub const ALL: [OnUpdate; 3] = [OnUpdate::RequireHealthy, OnUpdate::IgnoreWarnings, OnUpdate::Ignore];

    /// The original's word.
    pub const fn name(self) -> &'static str {
        match self {
            OnUpdate::RequireHealthy => "require_healthy",
            OnUpdate::IgnoreWarnings => "ignore_warnings",
            OnUpdate::Ignore => "ignore",
        }
    }

    /// Whether an allocation can be healthy with this status; without one, the check is not registered yet.
    pub fn accepts(self, status: Option<CheckStatus>) -> bool {
        match status {
            None => false,
            Some(CheckStatus::Passing) => true,
            Some(CheckStatus::Warning) => self >= OnUpdate::IgnoreWarnings,
            Some(CheckStatus::Critical) => self == OnUpdate::Ignore,
        }
    }
}

/// Whether the checks of all services allow an allocation to be healthy.
pub fn checks_pass(checks: impl IntoIterator<Item = (OnUpdate, Option<CheckStatus>)>) -> bool {
    checks.into_iter().all(|(on_update, status)| on_update.accepts(status))
}

/// What the client has seen of an allocation since it began to look.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Seen {
    /// Since when it looks.
    pub(super) since: SimTime,
    /// Since when all that must be so has been so.
    well_since: Option<SimTime>,
}

/// What the client says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    Healthy,
    Unhealthy,
    /// Not known before that moment, if nothing happens.
    Unknown(Option<SimTime>),
}

impl Seen {
    pub(super) fn new(since: SimTime) -> Self {
        Seen { since, well_since: None }
    }

    /// Looks at an allocation; what it says is the last word.
    pub(super) fn look(&mut self, update: &Update, instance: &Instance, now: SimTime) -> Verdict {
        let wants = match update.health_check {
            HealthCheck::Manual => return Verdict::Unknown(None),
            HealthCheck::TaskStates => runs(instance),
            HealthCheck::Checks => runs(instance) && checks_pass([(update.on_update, check_of(instance))]),
        };
        let since = instance.since().max(self.since);
        self.well_since = if wants { self.well_since.or(Some(since)) } else { None };
        let noticed = self.well_since.map(|since| match update.health_check {
            HealthCheck::Checks => self.next_lookup(since),
            HealthCheck::TaskStates | HealthCheck::Manual => since,
        });
        let healthy_at = noticed.map(|at| at + update.min_healthy_time);
        let deadline = self.since + update.healthy_deadline;
        match healthy_at {
            Some(at) if at <= now && at <= deadline => Verdict::Healthy,
            _ if now >= deadline => Verdict::Unhealthy,
            at => Verdict::Unknown(Some(at.unwrap_or(deadline).min(deadline))),
        }
    }

    /// The first lookup from a moment on.
    fn next_lookup(&self, from: SimTime) -> SimTime {
        let passed = from.since(self.since).as_nanos();
        let lookups = passed.div_ceil(u128::from(nanos(CHECK_LOOKUP)));
        self.since + CHECK_LOOKUP * u32::try_from(lookups).unwrap_or(u32::MAX)
    }
}

/// Whether its task runs: for the client a process that boots does.
fn runs(instance: &Instance) -> bool {
    matches!(instance.phase(), Phase::Starting | Phase::Ready | Phase::Unready)
}

/// What a check of an instance finds: its service is registered when its task runs.
fn check_of(instance: &Instance) -> Option<CheckStatus> {
    match instance.phase() {
        Phase::Ready => Some(CheckStatus::Passing),
        Phase::Starting | Phase::Unready => Some(CheckStatus::Critical),
        _ => None,
    }
}
