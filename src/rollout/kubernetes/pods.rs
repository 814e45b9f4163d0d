//! What a ReplicaSet's controller does with single instances: which goes first, and how many creations it tries
//! (`controller_utils.go`, `replica_set.go`).

use super::super::View;
use crate::fleet::{InstanceId, Phase, Version};
use std::cmp::{Ordering, Reverse};
use std::time::Duration;

/// How far a pod has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum PodPhase {
    /// Not running yet.
    Pending,
    /// Its node does not answer.
    Unknown,
    /// Running.
    Running,
}

/// What decides which of two pods is deleted first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pod {
    /// It has a node.
    pub assigned: bool,
    /// How far it has come.
    pub phase: PodPhase,
    /// It passes its readiness probe.
    pub ready: bool,
    /// `pod-deletion-cost`.
    pub deletion_cost: i32,
    /// How many pods of the same owner share its node.
    pub doubled_up: u32,
    /// For how long it has been ready; `None`: the time was never written.
    pub ready_age: Option<Duration>,
    /// Restarts of its container.
    pub restarts: u32,
    /// For how long it has existed; `None`: the time was never written.
    pub created_age: Option<Duration>,
}

impl Pod {
    /// Whether this one is deleted before the other (`ActivePodsWithRanks.Less`): less if so, equal where chance
    /// decides. With `by_magnitude`, ages count by powers of two (the feature LogarithmicScaleDown).
    pub fn goes_before(&self, other: &Pod, by_magnitude: bool) -> Ordering {
        let first = (self.assigned, self.phase, self.ready, self.deletion_cost, Reverse(self.doubled_up));
        let second = (other.assigned, other.phase, other.ready, other.deletion_cost, Reverse(other.doubled_up));
        let by_kind = first.cmp(&second);
        if by_kind.is_ne() {
            return by_kind;
        }
        if self.ready && self.ready_age != other.ready_age {
            return younger(self.ready_age, other.ready_age, by_magnitude);
        }
        let by_restarts = other.restarts.cmp(&self.restarts);
        by_restarts.then_with(|| younger(self.created_age, other.created_age, by_magnitude))
    }
}

/// The younger goes first, and first of all one without a time.
fn younger(first: Option<Duration>, second: Option<Duration>, by_magnitude: bool) -> Ordering {
    let age = |age: Option<Duration>| age.map(|age| if by_magnitude { magnitude(age) } else { age.as_nanos() });
    age(first).cmp(&age(second))
}

fn magnitude(age: Duration) -> u128 {
    age.as_nanos().checked_ilog2().map_or(0, |log| u128::from(log) + 1)
}

/// The instances of a set that go first, as [`Pod::goes_before`] has it. Nodes and deletion costs are unknown here.
/// Two instances are never ready since the same moment with different numbers of restarts, so chance decides among
/// ready ones of the same magnitude.
pub(super) fn first_to_go(view: &View<'_>, version: Version, count: usize) -> Vec<InstanceId> {
    let mut order: Vec<_> = view
        .fleet
        .all_live()
        .filter(|(_, instance)| instance.version == version)
        .map(|(id, instance)| {
            let is_running = instance.phase() >= Phase::Starting;
            let ready = instance.ready_since.map(|since| magnitude(view.now.since(since)));
            let unready =
                ready.is_none().then(|| (Reverse(instance.failures), magnitude(view.now.since(instance.launched_at))));
            (is_running, ready, unready, instance.rank, id)
        })
        .collect();
    if count < order.len() {
        order.select_nth_unstable(count);
    }
    order.truncate(count);
    order.sort_unstable();
    order.into_iter().map(|(.., id)| id).collect()
}

/// How many pods are created at once after a batch of so many, where so many are missing: twice as many, and one to
/// begin with (`slowStartBatch`). The batch in which one fails is the last.
pub fn batch_after(created: u32, missing: u32) -> u32 {
    created.saturating_mul(2).max(1).min(missing)
}
