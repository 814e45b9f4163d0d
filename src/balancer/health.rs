//! What a balancer thinks of one endpoint: active checks, and ejection because of failed requests.
//!
//! Checks count passes and failures in a row (HAProxy's `rise` and `fall`, Envoy's thresholds). Ejections follow
//! Envoy's outlier detection of consecutive errors: failures at an endpoint that is ejected do not count, and a full
//! row begins anew whether or not it led to an ejection. Failures count within a time as in nginx (`fail_timeout`): a
//! failure that comes later than that after the first of its row begins a new one. The trial after an ejection is
//! nginx's, too: a peer that was left out gets one request, whose end without a failure lets it in again
//! (`src/http/ngx_http_upstream_round_robin.c`, `checked` and `accessed`).

use crate::scenario::{Ejection, HealthCheck};
use crate::time::nanos;

/// One endpoint's health, and its failures.
#[derive(Clone, Copy, Debug)]
pub(super) struct Health {
    is_healthy: bool,
    has_passed: bool,
    /// Results in a row that speak against its present health.
    against: u32,
    /// Failures in a row, and when the first of them happened.
    failures: u32,
    since: u64,
    /// The ejection under way.
    ejection: Option<u32>,
    /// How many times it has been ejected.
    times: u32,
    trial: Trial,
}

/// Whether an endpoint that was ejected must first prove itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Trial {
    None,
    /// It may be sent one request.
    Due,
    /// That request is under way, and nothing else may be sent there.
    UnderWay,
}

impl Health {
    /// Nothing has happened yet, and nobody checks.
    pub(super) const NEW: Health = Health {
        is_healthy: true,
        has_passed: false,
        against: 0,
        failures: 0,
        since: 0,
        ejection: None,
        times: 0,
        trial: Trial::None,
    };

    /// Nothing has happened yet.
    pub(super) fn new(check: Option<&HealthCheck>) -> Self {
        Health { is_healthy: check.is_none_or(|check| check.assume_healthy), ..Health::NEW }
    }

    /// Whether it is healthy and neither ejected nor busy with its trial.
    pub(super) fn is_good(&self) -> bool {
        self.is_healthy && !self.is_ejected() && self.trial != Trial::UnderWay
    }

    /// Whether it is left out for a while.
    pub(super) fn is_ejected(&self) -> bool {
        self.ejection.is_some()
    }

    /// The result of a check. Returns whether the endpoint became healthy by it, or ceased to be. Where an endpoint
    /// is not assumed to be healthy, its first pass is enough.
    pub(super) fn note_check(&mut self, passed: bool, settings: &HealthCheck) -> bool {
        let is_awaited = passed && !self.has_passed && !settings.assume_healthy;
        self.has_passed |= passed;
        if passed == self.is_healthy {
            self.against = 0;
            return false;
        }
        self.against += 1;
        let threshold = if passed { settings.success_threshold } else { settings.failure_threshold };
        if self.against < threshold.get() && !is_awaited {
            return false;
        }
        self.is_healthy = passed;
        self.against = 0;
        true
    }

    /// An answer ends a row of failures.
    pub(super) fn note_answer(&mut self) {
        self.failures = 0;
    }

    /// A request goes there. Returns whether that is its trial.
    pub(super) fn begin_trial(&mut self) -> bool {
        let begins = self.trial == Trial::Due;
        if begins {
            self.trial = Trial::UnderWay;
        }
        begins
    }

    /// A request ended there with nothing to be said of it: the trial may be repeated. Returns whether one was under way.
    pub(super) fn end_trial(&mut self) -> bool {
        let ends = self.trial == Trial::UnderWay;
        if ends {
            self.trial = Trial::Due;
        }
        ends
    }

    /// A request ended there without a failure that counts: it needs no trial any more. Returns whether one was under way.
    pub(super) fn pass_trial(&mut self) -> bool {
        std::mem::replace(&mut self.trial, Trial::None) == Trial::UnderWay
    }

    /// A failure that counts. Returns whether it completes a row.
    pub(super) fn note_failure(&mut self, settings: &Ejection, now: u64) -> bool {
        if self.is_ejected() {
            return false;
        }
        let is_old = settings.within.is_some_and(|within| now - self.since > nanos(within));
        if self.failures == 0 || is_old {
            (self.failures, self.since) = (0, now);
        }
        self.failures += 1;
        let is_full = self.failures >= settings.consecutive_errors.get() || self.trial != Trial::None;
        if is_full {
            self.failures = 0;
        }
        is_full
    }

    /// It is left out from now on. Returns how many times it has been by now.
    pub(super) fn eject(&mut self, ejection: u32) -> u32 {
        self.ejection = Some(ejection);
        self.trial = Trial::None;
        self.times += 1;
        self.times
    }

    /// The end of an ejection, after which there may be a trial. Returns whether it was under way.
    pub(super) fn readmit(&mut self, ejection: u32, has_trial: bool) -> bool {
        let is_over = self.ejection == Some(ejection);
        if is_over {
            self.ejection = None;
            self.trial = if has_trial { Trial::Due } else { Trial::None };
        }
        is_over
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::distribution::Delay;
    use crate::scenario::{Failures, FirstCheck};
    use std::num::NonZeroU32;
    use std::time::Duration;

    fn times(count: u32) -> NonZeroU32 {
        NonZeroU32::new(count).expect("not zero")
    }

    /// The health after each check: `+` passed or healthy, `-` failed or not.
    #[track_caller]
    fn check(assume_healthy: bool, rise: u32, fall: u32, results: &str, expected: &str) {
        let settings = HealthCheck {
            period: Duration::from_secs(1),
            timeout: Duration::from_secs(1),
            first: FirstCheck::AtRandom,
            success_threshold: times(rise),
            failure_threshold: times(fall),
            assume_healthy,
            work: None,
            false_failures: 0.0,
        };
        let mut health = Health::new(Some(&settings));
        let mut seen = String::new();
        for result in results.chars() {
            let before = health.is_good();
            let changed = health.note_check(result == '+', &settings);
            assert_eq!(changed, before != health.is_good());
            seen.push(if health.is_good() { '+' } else { '-' });
        }
        assert_eq!(seen, expected, "after {results}");
    }

    #[test]
    fn health_changes_after_results_in_a_row() {
        //    healthy rise fall results        health
        check(true, 1, 3, "+--+---+", "++++++-+");
        check(true, 2, 2, "--+-++-+", "+----+++");
        check(false, 1, 1, "--+-+", "--+-+");
        check(false, 3, 2, "--+--+++", "--++---+"); // The first pass is enough, later ones take three.
    }

    fn ejection(consecutive_errors: u32, within_s: Option<u64>) -> Ejection {
        Ejection {
            consecutive_errors: times(consecutive_errors),
            within: within_s.map(Duration::from_secs),
            lasts: Delay::Fixed(Duration::from_secs(30)),
            whole_seconds: false,
            grows: false,
            trial: false,
            counts: Failures::All,
            most: 1.0,
        }
    }

    /// Which of the failures at these seconds complete a row.
    #[track_caller]
    fn check_rows(consecutive_errors: u32, within_s: Option<u64>, failures: &[u64], expected: &[u64]) {
        let settings = ejection(consecutive_errors, within_s);
        let mut health = Health::NEW;
        let complete = |second: &u64| health.note_failure(&settings, second * crate::time::SECOND);
        let complete: Vec<u64> = failures.iter().copied().filter(complete).collect();
        assert_eq!(complete, expected);
    }

    #[test]
    fn a_row_is_full_in_time_or_begins_anew() {
        check_rows(1, None, &[1, 2, 9], &[1, 2, 9]);
        check_rows(3, None, &[1, 50, 99, 100, 200, 300], &[99, 300]);
        check_rows(3, Some(10), &[1, 5, 11], &[11]);
        check_rows(3, Some(10), &[1, 5, 12, 20, 22], &[22]);
    }

    #[test]
    fn an_answer_ends_a_row_and_an_ejected_endpoint_has_none() {
        let settings = ejection(2, None);
        let mut health = Health::NEW;
        assert!(!health.note_failure(&settings, 1));
        health.note_answer();
        assert!(!health.note_failure(&settings, 2));
        assert!(health.note_failure(&settings, 3));
        assert_eq!(health.eject(7), 1);
        assert!(!health.is_good());
        assert!(!health.note_failure(&settings, 4) && !health.note_failure(&settings, 5));
        assert!(!health.readmit(6, false), "another ejection");
        assert!(health.readmit(7, false) && health.is_good());
        assert!(!health.note_failure(&settings, 6));
        assert!(health.note_failure(&settings, 7));
        assert_eq!(health.eject(8), 2);
    }
}
