//! When the deployment circuit breaker gives a deployment up (`deploymentCircuitBreaker`).

use std::fmt;

/// `thresholdConfiguration.type`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ThresholdType {
    /// A share of the desired count, from 3 to 200 tasks.
    #[default]
    BoundedPercent,
    /// A share of the desired count.
    UnboundedPercent,
    /// So many tasks.
    Count,
}

impl ThresholdType {
    /// All of them.
    pub const ALL: [ThresholdType; 3] =
        [ThresholdType::BoundedPercent, ThresholdType::UnboundedPercent, ThresholdType::Count];

    /// The original's word.
    pub const fn name(self) -> &'static str {
        match self {
            ThresholdType::BoundedPercent => "BOUNDED_PERCENT",
            ThresholdType::UnboundedPercent => "UNBOUNDED_PERCENT",
            ThresholdType::Count => "COUNT",
        }
    }
}

/// How many failed tasks are too many.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Threshold {
    /// What the value counts.
    pub of: ThresholdType,
    /// Tasks, or percent of the desired count; positive.
    pub value: u32,
}

impl Default for Threshold {
    fn default() -> Self {
        Threshold { of: ThresholdType::default(), value: 50 }
    }
}

impl Threshold {
    /// So many failed tasks fail the deployment of a service of this size. Shares round up.
    pub fn tasks(self, desired: u32) -> u32 {
        let share = (u64::from(self.value) * u64::from(desired)).div_ceil(100);
        let share = u32::try_from(share).unwrap_or(u32::MAX);
        match self.of {
            ThresholdType::BoundedPercent => share.clamp(3, 200),
            ThresholdType::UnboundedPercent => share.max(1),
            ThresholdType::Count => self.value,
        }
    }
}

impl fmt::Display for Threshold {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.of.name(), self.value)
    }
}

/// A circuit breaker that is on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CircuitBreaker {
    /// How many failed tasks it takes.
    pub threshold: Threshold,
    /// A task that becomes healthy sets the count back to none.
    pub reset_on_healthy_task: bool,
    /// The last completed deployment's version is asked for again.
    pub rollback: bool,
}

impl Default for CircuitBreaker {
    fn default() -> Self {
        CircuitBreaker { threshold: Threshold::default(), reset_on_healthy_task: true, rollback: false }
    }
}

impl CircuitBreaker {
    /// What that comes to, in words.
    pub(super) fn means(&self, desired: u32) -> String {
        let count = self.threshold.tasks(desired);
        let counted = if self.reset_on_healthy_task { "without a healthy one between them" } else { "in all" };
        let then = if self.rollback { "the last completed deployment comes back" } else { "it stops where it is" };
        format!("{count} failed tasks {counted} fail the deployment, and {then}")
    }
}
