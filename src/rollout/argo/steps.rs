//! The steps of a canary (`utils/replicaset/canary.go`).

use super::analysis::Metric;
use super::counts::MAX_WEIGHT;
use std::time::Duration;

/// A step.
#[derive(Clone, Debug, PartialEq)]
pub enum Step {
    /// `setWeight`: the canary's share of the requests in hundredths.
    SetWeight(u32),
    /// `pause`; `None`: until somebody promotes it.
    Pause(Option<Duration>),
    /// `setCanaryScale`.
    SetCanaryScale(CanaryScale),
    /// `analysis`: it passes, or the update is aborted.
    Analysis(Vec<Metric>),
}

/// How large the canary is, whatever its weight.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CanaryScale {
    /// So many.
    Replicas(u32),
    /// So many hundredths of the desired instances; more than 100 are possible.
    Weight(u32),
    /// As large as its weight needs, again.
    MatchTrafficWeight,
}

/// The weight in force at a step, or all after the last one (`GetCurrentSetWeight`).
pub fn weight_at(steps: &[Step], at: usize) -> u32 {
    if at >= steps.len() {
        return MAX_WEIGHT;
    }
    weight_before(steps, at + 1)
}

/// The weight of the last `setWeight` before a step.
pub fn weight_before(steps: &[Step], at: usize) -> u32 {
    weights(&steps[..at.min(steps.len())]).next_back().unwrap_or(0)
}

/// The `setCanaryScale` in force at a step (`UseSetCanaryScale`); none after the last one.
pub fn scale_at(steps: &[Step], at: usize) -> Option<CanaryScale> {
    let passed = if at < steps.len() { &steps[..=at] } else { &[] };
    let scale = passed.iter().rev().find_map(|step| match step {
        Step::SetCanaryScale(scale) => Some(*scale),
        _ => None,
    });
    scale.filter(|scale| *scale != CanaryScale::MatchTrafficWeight)
}

/// The weights of all `setWeight` steps, in order.
pub(super) fn weights(steps: &[Step]) -> impl DoubleEndedIterator<Item = u32> {
    steps.iter().filter_map(|step| match step {
        Step::SetWeight(weight) => Some(*weight),
        _ => None,
    })
}
