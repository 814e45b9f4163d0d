//! Which ended tasks are replaced: the restart supervisor's policy, and its history of each slot.

use crate::fleet::{InstanceId, Slot};
use crate::time::SimTime;
use std::collections::BTreeMap;
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

impl Condition {
    /// The original's word.
    pub const fn name(self) -> &'static str {
        match self {
            Condition::Any => "any",
            Condition::OnFailure => "on-failure",
            Condition::None => "none",
        }
    }
}

/// `--restart-*`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RestartPolicy {
    /// Which tasks are replaced.
    pub condition: Condition,
    /// From the end of a task until its replacement may start.
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

/// A version of the service's specification: of all that its user may change, the number of its tasks included.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct SpecVersion(pub u32);

/// A task that has ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ended {
    /// Which.
    pub task: InstanceId,
    /// What it was created from.
    pub spec: SpecVersion,
    /// When.
    pub at: SimTime,
    /// Its process said that all was well.
    pub well: bool,
}

/// What replaces a task: it is created at once, so that it can be prepared, and started later.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Replacement {
    /// It starts so long after its creation.
    pub starts_after: Duration,
}

/// The replacements of one slot, kept only where their number is limited.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct SlotHistory {
    /// What the replacements were created from.
    spec: SpecVersion,
    /// How many there were.
    total: u32,
    /// When each was created; empty without a window.
    at: Vec<SimTime>,
}

/// What the supervisor remembers.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Supervisor {
    history: BTreeMap<Slot, SlotHistory>,
    /// The last task of each slot that has none but ended ones, and gets no replacement.
    given_up: BTreeMap<Slot, Ended>,
}

impl Supervisor {
    /// A task has ended: what replaces it, created from this specification now, where the policy demands it.
    pub fn ended(
        &mut self,
        policy: &RestartPolicy,
        slot: Slot,
        ended: Ended,
        spec: SpecVersion,
        now: SimTime,
    ) -> Option<Replacement> {
        if !self.demands(policy, slot, ended) {
            self.given_up.insert(slot, ended);
            return None;
        }
        if policy.max_attempts > 0 {
            let history = self.history.entry(slot).or_default();
            if history.spec != spec {
                // What failed before must not count against another specification.
                *history = SlotHistory { spec, ..SlotHistory::default() };
            }
            history.total += 1;
            if !policy.window.is_zero() {
                history.at.push(now);
            }
        }
        Some(Replacement { starts_after: policy.delay })
    }

    /// Whether the policy demands a replacement.
    fn demands(&self, policy: &RestartPolicy, slot: Slot, ended: Ended) -> bool {
        let by_condition = match policy.condition {
            Condition::Any => true,
            Condition::OnFailure => !ended.well,
            Condition::None => false,
        };
        let of_its_spec = |history: &&SlotHistory| policy.max_attempts > 0 && history.spec == ended.spec;
        let Some(history) = self.history.get(&slot).filter(of_its_spec) else { return by_condition };
        let counts = |at: &&SimTime| **at + policy.window > ended.at && **at < ended.at;
        let attempts =
            if policy.window.is_zero() { history.total } else { history.at.iter().filter(counts).count() as u32 };
        by_condition && attempts < policy.max_attempts
    }

    /// The last task of each slot that was given up: an update takes care of such a slot where the task is outdated.
    /// A rollback does not, so that the reconciler fills it at once: the service is to come to rest in any case.
    pub fn given_up(&self, rolls_back: bool) -> impl Iterator<Item = (Slot, Ended)> + '_ {
        self.given_up.iter().filter(move |_| !rolls_back).map(|(slot, ended)| (*slot, *ended))
    }

    /// A slot has a new task, or is not wanted any more.
    pub fn forget(&mut self, slot: Slot) {
        self.given_up.remove(&slot);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SLOT: Slot = Slot(3);
    const SPEC: SpecVersion = SpecVersion(1);

    fn at(second: u64) -> SimTime {
        SimTime::START + Duration::from_secs(second)
    }

    fn failed(second: u64, spec: SpecVersion) -> Ended {
        Ended { task: InstanceId(0), spec, at: at(second), well: false }
    }

    #[test]
    fn attempts_are_counted_for_each_specification_and_within_the_window() {
        let twice = RestartPolicy { max_attempts: 2, ..RestartPolicy::default() };
        let lately = RestartPolicy { window: Duration::from_secs(10), ..twice };
        for (policy, later) in [(twice, false), (lately, true)] {
            let mut supervisor = Supervisor::default();
            for second in [1, 2] {
                let ended = failed(second, SPEC);
                let replacement = supervisor.ended(&policy, SLOT, ended, SPEC, at(second));
                assert_eq!(replacement, Some(Replacement { starts_after: RESTART_DELAY }));
            }
            assert!(!supervisor.demands(&policy, SLOT, failed(3, SPEC)));
            assert_eq!(supervisor.demands(&policy, SLOT, failed(11, SPEC)), later, "at the window's end");
            assert!(supervisor.demands(&policy, SLOT, failed(3, SpecVersion(2))), "another specification");
            assert!(supervisor.demands(&policy, Slot(4), failed(3, SPEC)), "another slot");
        }
    }

    #[test]
    fn a_replacement_of_another_specification_begins_a_new_history() {
        let once = RestartPolicy { max_attempts: 1, ..RestartPolicy::default() };
        let mut supervisor = Supervisor::default();
        let mut replaced = |ended: SpecVersion, by: SpecVersion, second| {
            supervisor.ended(&once, SLOT, failed(second, ended), by, at(second)).is_some()
        };
        assert!(replaced(SPEC, SPEC, 1));
        assert!(!replaced(SPEC, SPEC, 2));
        assert!(replaced(SpecVersion(2), SpecVersion(2), 3));
        assert!(!replaced(SpecVersion(2), SpecVersion(2), 4));
        assert!(replaced(SPEC, SPEC, 5), "the history is the other specification's");
    }

    #[test]
    fn replacements_that_did_not_come_before_the_end_do_not_count() {
        let once = RestartPolicy { max_attempts: 1, window: Duration::from_secs(10), ..RestartPolicy::default() };
        let mut supervisor = Supervisor::default();
        assert!(supervisor.ended(&once, SLOT, failed(1, SPEC), SPEC, at(1)).is_some());
        assert!(supervisor.demands(&once, SLOT, failed(1, SPEC)), "both at the same moment");
        assert!(!supervisor.demands(&once, SLOT, failed(2, SPEC)));
    }

    #[test]
    fn the_condition_tells_failures_apart() {
        for (condition, failure, completion) in
            [(Condition::Any, true, true), (Condition::OnFailure, true, false), (Condition::None, false, false)]
        {
            let policy = RestartPolicy { condition, ..RestartPolicy::default() };
            let demands = |well| Supervisor::default().demands(&policy, SLOT, Ended { well, ..failed(1, SPEC) });
            assert_eq!((demands(false), demands(true)), (failure, completion), "{condition:?}");
        }
    }

    #[test]
    fn a_slot_that_was_given_up_is_left_to_updates_but_not_to_rollbacks() {
        let never = RestartPolicy { condition: Condition::None, ..RestartPolicy::default() };
        let mut supervisor = Supervisor::default();
        assert_eq!(supervisor.ended(&never, SLOT, failed(1, SPEC), SPEC, at(1)), None);
        assert_eq!(supervisor.given_up(false).collect::<Vec<_>>(), [(SLOT, failed(1, SPEC))]);
        assert_eq!(supervisor.given_up(true).count(), 0);
        supervisor.forget(SLOT);
        assert_eq!(supervisor.given_up(false).count(), 0);
    }
}
