//! Analysis runs: metrics that are measured again and again, and the verdict (`analysis/analysis.go`).
//!
//! The original asks monitoring systems, and starts jobs. Here a measurement looks at what the new version answered since
//! the one before, or since the canary's last weight was reached; or it is a test of the new version.

use crate::fleet::{Phase as Life, Version};
use crate::random::{mix, unit};
use crate::rollout::{Answers, Test, View, earlier};
use crate::time::SimTime;
use std::time::Duration;

/// `consecutiveErrorLimit` where none is given (`DefaultConsecutiveErrorLimit`).
pub const CONSECUTIVE_ERRORS: u32 = 4;

/// A measurement that ended in an error is repeated after that (`DefaultErrorRetryInterval`).
const RETRY: Duration = Duration::from_secs(10);

/// A metric of an analysis.
#[derive(Clone, Debug, PartialEq)]
pub struct Metric {
    /// What is measured.
    pub measures: Measures,
    /// `initialDelay`.
    pub initial_delay: Duration,
    /// `interval` between measurements; `None`: there is one.
    pub interval: Option<Duration>,
    /// `count`: after so many measurements the metric is done; `None`: one, or with an interval as long as the analysis
    /// goes on.
    pub count: Option<u32>,
    /// When it is given up.
    pub limits: Limits,
}

/// What a measurement looks at.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Measures {
    /// What the new version answered: without a single attempt that is an error, as a query that finds nothing is.
    Answers {
        /// The largest share of attempts that may fail, 0 to 1.
        max_failed: f64,
        /// The largest share of answers that may be later than the target of their class, 0 to 1.
        max_late: f64,
        /// With fewer attempts it is inconclusive; with none needed nothing at all is a success.
        at_least: u64,
    },
    /// A job that tests the new version, and fails when it finds a defect or nothing that is ready.
    Test(Test),
}

/// When a metric is given up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// `failureLimit`: more failures fail it; `None`, written as a negative one: they do not.
    pub failures: Option<u32>,
    /// `inconclusiveLimit`: more inconclusive measurements leave it to a human.
    pub inconclusive: u32,
    /// `consecutiveErrorLimit`: more errors in a row are an error.
    pub consecutive_errors: u32,
    /// `consecutiveSuccessLimit`: so many successes in a row pass it; 0: that is not asked for.
    pub consecutive_successes: u32,
}

impl Default for Limits {
    fn default() -> Self {
        Limits { failures: Some(0), inconclusive: 0, consecutive_errors: CONSECUTIVE_ERRORS, consecutive_successes: 0 }
    }
}

/// What was measured so far.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Measurements without the errors.
    pub count: u32,
    /// Failures.
    pub failed: u32,
    /// Inconclusive ones.
    pub inconclusive: u32,
    /// Errors in a row.
    pub consecutive_errors: u32,
    /// Successes in a row.
    pub consecutive_successes: u32,
}

/// How a measurement, a metric or an analysis stands; of several the worst counts, which is the last one here.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Phase {
    /// Under way.
    Running,
    /// Passed.
    Successful,
    /// A human must decide.
    Inconclusive,
    /// Could not be measured.
    Error,
    /// Failed.
    Failed,
}

impl Limits {
    /// How a metric stands (`assessMetricStatus`): whatever is beyond its limit, of several the last one named there;
    /// enough successes in a row; or the last measurement. Whoever demanded successes in a row and did not get them
    /// fails, or where failures within a limit were allowed leaves it to a human. Terminated early it passes.
    pub fn phase(&self, count: Option<u32>, counts: &Counts, terminating: bool) -> Phase {
        let demands_successes = self.consecutive_successes > 0;
        let beyond = [
            (self.failures.is_some_and(|limit| counts.failed > limit), Phase::Failed),
            (counts.inconclusive > self.inconclusive, Phase::Inconclusive),
            (counts.consecutive_errors > self.consecutive_errors, Phase::Error),
        ];
        if let Some((_, phase)) = beyond.into_iter().rev().find(|(is_beyond, _)| *is_beyond) {
            return phase;
        }
        if demands_successes && counts.consecutive_successes >= self.consecutive_successes {
            return Phase::Successful;
        }
        match count {
            Some(count) if counts.count >= count => match self.failures {
                _ if !demands_successes => Phase::Successful,
                Some(_) => Phase::Inconclusive,
                None => Phase::Failed,
            },
            _ if terminating => Phase::Successful,
            _ => Phase::Running,
        }
    }
}

impl Counts {
    fn note(&mut self, measured: Phase) {
        self.count += u32::from(measured != Phase::Error);
        self.failed += u32::from(measured == Phase::Failed);
        self.inconclusive += u32::from(measured == Phase::Inconclusive);
        self.consecutive_errors = if measured == Phase::Error { self.consecutive_errors + 1 } else { 0 };
        self.consecutive_successes = if measured == Phase::Successful { self.consecutive_successes + 1 } else { 0 };
    }
}

impl Metric {
    /// `EffectiveCount`.
    fn effective_count(&self) -> Option<u32> {
        self.count.or(if self.interval.is_none() { Some(1) } else { None })
    }

    /// Whether it comes to an end by itself.
    pub fn ends(&self) -> bool {
        self.effective_count().is_some()
    }

    /// Lets it pass where nothing was answered.
    pub(super) fn expect_no_answers(&mut self) {
        if let Measures::Answers { at_least, .. } = &mut self.measures {
            *at_least = 0;
        }
    }

    /// Lets it pass whatever is measured.
    pub(super) fn ignore_failures(&mut self) {
        self.expect_no_answers();
        let never = u32::MAX;
        let passes = Limits { failures: None, inconclusive: never, consecutive_errors: never, ..self.limits };
        self.limits = Limits { consecutive_successes: 0, ..passes };
    }
}

/// An analysis run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Run {
    metrics: Vec<Tally>,
}

/// A metric of a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Tally {
    counts: Counts,
    /// When it is measured next, or the measurement under way ends.
    at: SimTime,
    /// A test is under way.
    tests: bool,
    /// What had been answered at the measurement before.
    before: Answers,
    phase: Phase,
}

impl Run {
    /// A run that begins now. `before`: what had been answered when its first measurement begins to look.
    pub fn begin(metrics: &[Metric], now: SimTime, before: Answers) -> Self {
        let tally = |metric: &Metric| Tally {
            counts: Counts::default(),
            at: now + metric.initial_delay,
            tests: false,
            before,
            phase: Phase::Running,
        };
        Run { metrics: metrics.iter().map(tally).collect() }
    }

    /// Measures what is due of a version, and tells how the run stands: the first metric that does not pass ends it.
    /// `ask_again`: until when nothing is due.
    pub fn measure(
        &mut self,
        metrics: &[Metric],
        version: Version,
        view: &View<'_>,
        ask_again: &mut Option<SimTime>,
    ) -> Phase {
        for (tally, metric) in self.metrics.iter_mut().zip(metrics) {
            while tally.phase == Phase::Running && tally.at <= view.now {
                tally.step(metric, version, view);
            }
            if tally.phase == Phase::Running {
                *ask_again = earlier(*ask_again, Some(tally.at));
            }
        }
        let worst = self.metrics.iter().map(|tally| tally.phase).max().unwrap_or(Phase::Successful);
        let goes_on = self.metrics.iter().any(|tally| tally.phase == Phase::Running);
        if worst <= Phase::Successful && goes_on { Phase::Running } else { worst }
    }
}

impl Tally {
    fn step(&mut self, metric: &Metric, version: Version, view: &View<'_>) {
        let measured = match metric.measures {
            Measures::Test(test) if !self.tests => {
                (self.tests, self.at) = (true, view.now + test.takes);
                return;
            }
            Measures::Test(test) => {
                self.tests = false;
                tested(test, version, view)
            }
            Measures::Answers { max_failed, max_late, at_least } => {
                let after = view.answers[version.index()];
                let measured = judged(self.before, after, max_failed, max_late, at_least);
                // Too little is added to what comes.
                if !matches!(measured, Phase::Error | Phase::Inconclusive) {
                    self.before = after;
                }
                measured
            }
        };
        self.counts.note(measured);
        self.phase = metric.limits.phase(metric.effective_count(), &self.counts, false);
        let pause = metric.interval.filter(|_| measured != Phase::Error).unwrap_or(RETRY);
        self.at = view.now + pause.max(Duration::from_nanos(1));
    }
}

fn judged(before: Answers, after: Answers, max_failed: f64, max_late: f64, at_least: u64) -> Phase {
    let (good, failed, late) = (after.good - before.good, after.failed - before.failed, after.late - before.late);
    let share = |part: u64, of: u64| if of == 0 { 0.0 } else { part as f64 / of as f64 };
    match good + failed {
        0 if at_least > 0 => Phase::Error,
        all if all < at_least => Phase::Inconclusive,
        all if share(failed, all) <= max_failed && share(late, good) <= max_late => Phase::Successful,
        _ => Phase::Failed,
    }
}

fn tested(test: Test, version: Version, view: &View<'_>) -> Phase {
    let mut of_version = view.fleet.all_live().filter(|(_, instance)| instance.version == version);
    let finds = of_version.clone().any(|(_, instance)| {
        let shows = instance.misbehaves_from.is_some_and(|from| from <= view.now);
        shows && unit(mix(instance.rank)) < test.finds
    });
    let serves = of_version.any(|(_, instance)| instance.phase() == Life::Ready);
    if serves && !finds { Phase::Successful } else { Phase::Failed }
}
