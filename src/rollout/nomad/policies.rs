//! How often failed tasks are started again where they are (`client/allocrunner/taskrunner/restarts`), and failed
//! allocations elsewhere (`Allocation.NextRescheduleTime`, `NextDelay`).

use crate::time::SimTime;
use std::time::Duration;

/// The `restart` block with mode "fail".
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RestartPolicy {
    /// How often a task is started again within an interval.
    pub attempts: u32,
    /// How long an interval is.
    pub interval: Duration,
    /// From a failure to the next start. The original adds up to a quarter at random.
    pub delay: Duration,
}

impl Default for RestartPolicy {
    /// The original's defaults for services.
    fn default() -> Self {
        RestartPolicy { attempts: 2, interval: Duration::from_mins(30), delay: Duration::from_secs(15) }
    }
}

/// How often a task was started again lately.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Restarts {
    interval_began: SimTime,
    count: u32,
}

impl Restarts {
    /// A task that begins.
    pub(super) fn new(began: SimTime) -> Self {
        Restarts { interval_began: began, count: 0 }
    }

    /// A task failed: whether it is started again.
    pub(super) fn after_failure(&mut self, policy: &RestartPolicy, now: SimTime) -> bool {
        if now > self.interval_began + policy.interval {
            *self = Restarts::new(now);
        }
        self.count += 1;
        self.count <= policy.attempts
    }
}

/// How the delays of reschedulings grow.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DelayFunction {
    /// They do not.
    Constant,
    /// They double.
    Exponential,
    /// Each is the sum of the two before it.
    Fibonacci,
}

impl DelayFunction {
    /// All of them.
    pub const ALL: [DelayFunction; 3] = [DelayFunction::Constant, DelayFunction::Exponential, DelayFunction::Fibonacci];

    /// The original's word.
    pub const fn name(self) -> &'static str {
        match self {
            DelayFunction::Constant => "constant",
            DelayFunction::Exponential => "exponential",
            DelayFunction::Fibonacci => "fibonacci",
        }
    }
}

/// The `reschedule` block.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ReschedulePolicy {
    /// From the failure to the first replacement.
    pub delay: Duration,
    /// How that grows.
    pub delay_function: DelayFunction,
    /// It grows up to this.
    pub max_delay: Duration,
    /// How often within how long; `None`: without limit.
    pub limit: Option<Limit>,
}

/// `attempts` and `interval`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limit {
    /// So often.
    pub attempts: u32,
    /// Within so long.
    pub interval: Duration,
}

impl Default for ReschedulePolicy {
    /// The original's defaults for services.
    fn default() -> Self {
        ReschedulePolicy {
            delay: Duration::from_secs(30),
            delay_function: DelayFunction::Exponential,
            max_delay: Duration::from_hours(1),
            limit: None,
        }
    }
}

/// A rescheduling: when, and after what delay.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Rescheduled {
    at: SimTime,
    delay: Duration,
}

/// What an allocation inherits of those that it replaces (`RescheduleTracker`).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Tracker(Vec<Rescheduled>);

impl Tracker {
    /// None yet.
    pub const NOTHING: Tracker = Tracker(Vec::new());

    /// Notes a rescheduling.
    pub fn note(&mut self, at: SimTime, delay: Duration) {
        self.0.push(Rescheduled { at, delay });
    }

    /// The delay after a failure.
    pub fn delay(&self, policy: &ReschedulePolicy, failed_at: SimTime) -> Duration {
        let Some(last) = self.0.last() else { return policy.delay };
        let before = self.0.len().checked_sub(2).map(|place| self.0[place]);
        let delay = match (policy.delay_function, before) {
            (DelayFunction::Constant, _) => return policy.delay,
            (DelayFunction::Exponential, _) => last.delay.saturating_mul(2),
            // Once the longest delay was reached and given up, a new series begins.
            (DelayFunction::Fibonacci, Some(before))
                if before.delay == policy.max_delay && last.delay == policy.delay =>
            {
                last.delay
            }
            (DelayFunction::Fibonacci, Some(before)) => last.delay.saturating_add(before.delay),
            (DelayFunction::Fibonacci, None) => policy.delay,
        };
        if delay <= policy.max_delay {
            return delay;
        }
        // Whoever ran longer than the longest delay is as good as new.
        if failed_at.since(last.at) > policy.max_delay { policy.delay } else { policy.max_delay }
    }

    /// Whether an allocation that failed then may be replaced at all.
    pub fn is_eligible(&self, policy: &ReschedulePolicy, failed_at: SimTime) -> bool {
        let Some(Limit { attempts, interval }) = policy.limit else { return true };
        let is_recent = |event: &&Rescheduled| failed_at.since(event.at) < interval;
        (self.0.iter().filter(is_recent).count() as u32) < attempts
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(second: u64) -> SimTime {
        SimTime::START + Duration::from_secs(second)
    }

    #[test]
    fn a_task_is_started_again_so_often_within_an_interval() {
        let policy = RestartPolicy { attempts: 2, interval: Duration::from_secs(100), ..RestartPolicy::default() };
        let mut restarts = Restarts::new(at(0));
        let seen: Vec<bool> =
            [10, 20, 100, 101, 102, 103].map(|second| restarts.after_failure(&policy, at(second))).to_vec();
        assert_eq!(seen, [true, true, false, true, true, false]);
    }

    /// The delays, in seconds, of an allocation that fails again and again, each time so long after it was replaced.
    fn delays(policy: &ReschedulePolicy, runs: u64) -> Vec<u64> {
        let (mut tracker, mut now) = (Tracker::default(), at(0));
        let mut delays = Vec::new();
        for _ in 0..9 {
            now = now + Duration::from_secs(runs);
            let delay = tracker.delay(policy, now);
            now = now + delay;
            tracker.note(now, delay);
            delays.push(delay.as_secs());
        }
        delays
    }

    #[test]
    fn delays_grow_up_to_their_limit_and_begin_anew_for_who_ran_longer_than_that() {
        let exponential = ReschedulePolicy::default();
        assert_eq!(delays(&exponential, 1), [30, 60, 120, 240, 480, 960, 1920, 3600, 3600]);
        assert_eq!(delays(&exponential, 3601), [30, 60, 120, 240, 480, 960, 1920, 30, 60]);
        let fibonacci = ReschedulePolicy { delay_function: DelayFunction::Fibonacci, ..exponential };
        assert_eq!(delays(&fibonacci, 1), [30, 30, 60, 90, 150, 240, 390, 630, 1020]);
        let constant = ReschedulePolicy { delay_function: DelayFunction::Constant, ..exponential };
        assert_eq!(delays(&constant, 1), [30; 9]);
    }

    #[test]
    fn attempts_are_counted_within_the_interval() {
        let limit = Some(Limit { attempts: 1, interval: Duration::from_secs(100) });
        let policy = ReschedulePolicy { limit, ..ReschedulePolicy::default() };
        let mut tracker = Tracker::default();
        assert!(tracker.is_eligible(&policy, at(10)));
        tracker.note(at(40), policy.delay);
        assert!(!tracker.is_eligible(&policy, at(50)));
        assert!(tracker.is_eligible(&policy, at(140)));
    }
}
