//! Who judges the new version, on what evidence, and what happens then.

use crate::distribution::Delay;

/// Who acts on a bad release.
#[derive(Clone, Debug, PartialEq)]
pub enum Policy {
    /// Nobody: the orchestrator's own failure rule is switched off, too, where it has one that can be.
    None,
    /// The rollout is paused at the first evidence.
    Pause,
    /// The orchestrator's own failure rule, as the strategy sets it, and nothing else.
    Orchestrator,
    /// The orchestrator's own failure rule, and a human who notices some time after the first evidence.
    Operator(Operator),
}

/// A human who watches the rollout.
#[derive(Clone, Debug, PartialEq)]
pub struct Operator {
    /// From the first evidence to the act.
    pub notices_after: Delay,
    /// What the human does.
    pub then: Verdict,
    /// The share of requests lost within one interval that counts as evidence; `None`: only instances are watched.
    pub alarm: Option<f64>,
}

/// What is done about a bad release.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Stop where it is.
    Pause,
    /// Bring the old version back by the orchestrator's own means.
    RollBack,
}

/// What can be seen of the new version at a moment.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Evidence {
    /// An instance of the new version ended unasked.
    pub instance_failed: bool,
    /// The orchestrator says that the rollout is stuck or has failed.
    pub rollout_failed: bool,
    /// Share of the requests that ended in the interval just over and were lost.
    pub lost_share: f64,
}

impl Policy {
    /// Whether there is something to see for whoever judges.
    pub fn is_alarmed(&self, evidence: &Evidence) -> bool {
        let sees_instances = evidence.instance_failed || evidence.rollout_failed;
        match self {
            Policy::None | Policy::Orchestrator => false,
            Policy::Pause => sees_instances,
            Policy::Operator(operator) => {
                sees_instances || operator.alarm.is_some_and(|alarm| evidence.lost_share > alarm)
            }
        }
    }

    /// Whether requests are watched.
    pub fn watches_requests(&self) -> bool {
        matches!(self, Policy::Operator(Operator { alarm: Some(_), .. }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[test]
    fn an_operator_sees_what_the_policy_lets_him_see() {
        let nothing = Evidence::default();
        let crashed = Evidence { instance_failed: true, ..nothing };
        let losing = Evidence { lost_share: 0.02, ..nothing };
        let operator = |alarm| {
            let notices_after = Delay::Fixed(Duration::from_mins(1));
            Policy::Operator(Operator { notices_after, then: Verdict::RollBack, alarm })
        };
        //      policy               nothing crashed losing
        let cases = [
            (Policy::None, [false, false, false]),
            (Policy::Orchestrator, [false, false, false]),
            (Policy::Pause, [false, true, false]),
            (operator(None), [false, true, false]),
            (operator(Some(0.01)), [false, true, true]),
            (operator(Some(0.02)), [false, true, false]),
        ];
        for (policy, sees) in cases {
            assert_eq!([nothing, crashed, losing].map(|evidence| policy.is_alarmed(&evidence)), sees, "{policy:?}");
        }
    }
}
