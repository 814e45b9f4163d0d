//! The CloudWatch alarm that a deployment is watched by (`alarms`). Its metrics are those of the service, whatever
//! version answered; periods without requests are well.

use crate::fleet::Version;
use crate::rollout::{Answers, as_written};
use crate::time::SimTime;
use std::fmt;
use std::time::Duration;

/// An alarm.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Alarm {
    /// The largest share of attempts that may fail in a period, 0 to 1.
    pub max_failed: f64,
    /// The largest share of answers that may be later than the target of their class, 0 to 1.
    pub max_late: f64,
    /// How long each datapoint is counted; positive.
    pub period: Duration,
    /// So many datapoints in a row must be too high; positive.
    pub datapoints: u32,
    /// The last completed deployment's version is asked for again.
    pub rollback: bool,
}

impl Alarm {
    /// How far back it looks, which the bake time is where nothing else is said.
    pub fn looks_back(&self) -> Duration {
        self.period.saturating_mul(self.datapoints)
    }

    fn is_breached(&self, before: Answers, after: Answers) -> bool {
        let (good, failed, late) = (after.good - before.good, after.failed - before.failed, after.late - before.late);
        let exceeds = |part: u64, of: u64, most: f64| of > 0 && part as f64 / of as f64 > most;
        exceeds(failed, good + failed, self.max_failed) || exceeds(late, good, self.max_late)
    }

    /// What follows from it, in words.
    pub(super) fn means(&self) -> String {
        let then = if self.rollback { "the last completed deployment comes back" } else { "it stops where it is" };
        let (count, period) = (self.datapoints, as_written(self.period));
        format!("of what all versions answer, {count} times {period} in a row: the deployment fails, and {then}")
    }
}

impl fmt::Display for Alarm {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let held = [("failed", self.max_failed), ("late", self.max_late)];
        let held = held.into_iter().filter(|(_, most)| *most < 1.0);
        let held: Vec<_> = held.map(|(what, most)| format!("{what} above {} %", most * 100.0)).collect();
        f.write_str(&held.join(" or "))
    }
}

/// How an alarm stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct State {
    /// Since when the datapoint under way is counted.
    since: SimTime,
    /// What was answered until then.
    before: Answers,
    /// How many datapoints in a row were too high.
    breached: u32,
    pub(super) is_on: bool,
}

impl State {
    /// Nothing is known before this moment.
    pub(super) fn new(now: SimTime, answers: &[Answers; Version::COUNT]) -> Self {
        State { since: now, before: all(answers), breached: 0, is_on: false }
    }

    /// When the datapoint under way is complete.
    pub(super) fn next(&self, alarm: &Alarm) -> SimTime {
        self.since + alarm.period
    }

    /// A datapoint is complete.
    pub(super) fn measured(&self, alarm: &Alarm, now: SimTime, answers: &[Answers; Version::COUNT]) -> Self {
        let answers = all(answers);
        let breached = if alarm.is_breached(self.before, answers) { self.breached.saturating_add(1) } else { 0 };
        State { since: now, before: answers, breached, is_on: breached >= alarm.datapoints }
    }
}

fn all(answers: &[Answers; Version::COUNT]) -> Answers {
    let sum = |of: fn(&Answers) -> u64| answers.iter().map(of).sum();
    Answers { good: sum(|it| it.good), late: sum(|it| it.late), failed: sum(|it| it.failed) }
}
