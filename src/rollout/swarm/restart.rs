//! Which failed tasks are replaced: the restart supervisor's policy, and its history of each slot.

use crate::fleet::Version;
use crate::time::SimTime;
use std::time::Duration;

/// `--restart-delay` where none is given.
pub const RESTART_DELAY: Duration = Duration::from_secs(5);

/// `--restart-condition`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Condition {
    /// Whatever has ended.
    Any,
    /// Whatever has not ended well.
    OnFailure,
    /// Nothing.
    None,
}

/// `--restart-*`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RestartPolicy {
    /// Which tasks are replaced.
    pub condition: Condition,
    /// From the failure until the replacement may start.
    pub delay: Duration,
    /// Replacements of a slot after which it is given up; 0: never.
    pub max_attempts: u32,
    /// Only replacements this young count; zero: all of them.
    pub window: Duration,
}

impl Default for RestartPolicy {
    /// The original's defaults.
    fn default() -> Self {
        RestartPolicy { condition: Condition::Any, delay: RESTART_DELAY, max_attempts: 0, window: Duration::ZERO }
    }
}

/// The replacements of one slot, kept only where their number is limited.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SlotHistory {
    /// What the replacements ran; `None` before the first.
    version: Option<Version>,
    /// How many there were.
    total: u32,
    /// When each was created; empty without a window.
    at: Vec<SimTime>,
}

impl SlotHistory {
    /// Notes a replacement. One of another version begins a new history.
    pub fn record(&mut self, policy: &RestartPolicy, version: Version, now: SimTime) {
        if self.version != Some(version) {
            *self = SlotHistory { version: Some(version), ..SlotHistory::default() };
        }
        self.total += 1;
        if !policy.window.is_zero() {
            self.at.push(now);
        }
    }
}

impl RestartPolicy {
    /// Whether a task of this version that ended at this moment is replaced.
    pub fn replaces(
        &self,
        ended_well: bool,
        version: Version,
        ended_at: SimTime,
        history: Option<&SlotHistory>,
    ) -> bool {
        let by_condition = match self.condition {
            Condition::Any => true,
            Condition::OnFailure => !ended_well,
            Condition::None => false,
        };
        let Some(history) = history.filter(|history| self.max_attempts > 0 && history.version == Some(version)) else {
            return by_condition;
        };
        let count = |at: &[SimTime]| at.iter().filter(|at| **at + self.window > ended_at).count() as u32;
        let attempts = if self.window.is_zero() { history.total } else { count(&history.at) };
        by_condition && attempts < self.max_attempts
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(second: u64) -> SimTime {
        SimTime::START + Duration::from_secs(second)
    }

    #[test]
    fn attempts_are_counted_for_each_version_and_within_the_window() {
        let twice = RestartPolicy { max_attempts: 2, ..RestartPolicy::default() };
        let lately = RestartPolicy { window: Duration::from_secs(10), ..twice };
        for (policy, later) in [(twice, false), (lately, true)] {
            let mut history = SlotHistory::default();
            assert!(policy.replaces(false, Version::NEW, at(0), None));
            for second in [1, 2] {
                assert!(policy.replaces(false, Version::NEW, at(second), Some(&history)));
                history.record(&policy, Version::NEW, at(second));
            }
            assert!(!policy.replaces(false, Version::NEW, at(3), Some(&history)));
            assert_eq!(policy.replaces(false, Version::NEW, at(12), Some(&history)), later, "at the window's end");
            assert!(policy.replaces(false, Version(2), at(3), Some(&history)), "another version");
        }
    }

    #[test]
    fn the_condition_tells_failures_apart() {
        for (condition, failed, completed) in
            [(Condition::Any, true, true), (Condition::OnFailure, true, false), (Condition::None, false, false)]
        {
            let policy = RestartPolicy { condition, ..RestartPolicy::default() };
            let replaces = |well| policy.replaces(well, Version::OLD, at(0), None);
            assert_eq!((replaces(false), replaces(true)), (failed, completed), "{condition:?}");
        }
    }
}
