//! Slow start: newcomers get less than their weight at first (Envoy, "Slow start mode").
//!
//! The share of its weight that a newcomer gets is brought up to date once a second of its age and stands still in
//! between, as HAProxy does it (`slowstart`: at most once a second). So between two seconds weights are constants,
//! and whoever orders endpoints by weight need not ask the clock.

use super::Endpoint;
use crate::scenario::SlowStart;
use crate::time::{SECOND, nanos};
use std::collections::BTreeSet;

/// The share of its weight that an endpoint gets that many nanoseconds after it was listed: max(least, (age /
/// window) ^ (1 / aggression)), the age in whole seconds and at least one, and never more than all of it.
pub(crate) fn share(settings: &SlowStart, age: u64) -> f64 {
    if age >= nanos(settings.window) {
        return 1.0;
    }
    let seconds = (age / SECOND).max(1) as f64;
    libm::pow(seconds / settings.window.as_secs_f64(), 1.0 / settings.aggression).max(settings.least).min(1.0)
}

/// The endpoints in their slow start.
#[derive(Clone, Debug)]
pub(super) struct Newcomers {
    settings: Option<SlowStart>,
    /// By endpoint; `None` for those who are no newcomers.
    starts: Vec<Option<Start>>,
    /// When each changes its share next.
    due: BTreeSet<(u64, Endpoint)>,
    /// The first of these moments; `u64::MAX` while there is none.
    next: u64,
}

/// One endpoint's slow start.
#[derive(Clone, Copy, Debug)]
struct Start {
    /// When it began.
    began: u64,
    /// When the share changes next.
    due: u64,
}

impl Newcomers {
    /// Nobody yet; without settings nobody ever.
    pub(super) fn new(settings: Option<SlowStart>) -> Self {
        Newcomers { settings, starts: Vec::new(), due: BTreeSet::new(), next: u64::MAX }
    }

    /// An endpoint's slow start begins. The share of its weight that it gets now.
    pub(super) fn begin(&mut self, endpoint: Endpoint, now: u64) -> f64 {
        let Some(settings) = self.settings else { return 1.0 };
        self.wait(endpoint, now, now, &settings);
        share(&settings, 0)
    }

    /// An endpoint is no newcomer any more, if it was one.
    pub(super) fn end(&mut self, endpoint: Endpoint) {
        if let Some(start) = self.starts.get_mut(endpoint.index()).and_then(Option::take) {
            self.due.remove(&(start.due, endpoint));
            self.look_ahead();
        }
    }

    /// When somebody's share changes next; `u64::MAX`: never.
    pub(super) fn next_change(&self) -> u64 {
        self.next
    }

    /// Whether anybody's share changes by now.
    pub(super) fn are_due(&self, now: u64) -> bool {
        self.next <= now
    }

    /// The next endpoint whose share changes by now, and the share of its weight that it gets from now on.
    pub(super) fn step(&mut self, now: u64) -> Option<(Endpoint, f64)> {
        if !self.are_due(now) {
            return None;
        }
        let settings = self.settings?;
        let (_, endpoint) = self.due.pop_first()?;
        let start = self.starts[endpoint.index()].take().expect("who is due is a newcomer");
        let age = now - start.began;
        if age < nanos(settings.window) {
            self.wait(endpoint, start.began, now, &settings);
        } else {
            self.look_ahead();
        }
        Some((endpoint, share(&settings, age)))
    }

    /// A newcomer waits for its next whole second, or for the end of its slow start.
    fn wait(&mut self, endpoint: Endpoint, began: u64, now: u64, settings: &SlowStart) {
        let age = (((now - began) / SECOND + 1) * SECOND).min(nanos(settings.window));
        let due = began.saturating_add(age);
        if endpoint.index() >= self.starts.len() {
            self.starts.resize(endpoint.index() + 1, None);
        }
        self.starts[endpoint.index()] = Some(Start { began, due });
        self.due.insert((due, endpoint));
        self.look_ahead();
    }

    fn look_ahead(&mut self) {
        self.next = self.due.first().map_or(u64::MAX, |(due, _)| *due);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    fn settings(window_s: f64, aggression: f64) -> SlowStart {
        SlowStart { window: Duration::from_secs_f64(window_s), aggression, least: 0.1 }
    }

    #[track_caller]
    fn check(window_s: f64, aggression: f64, age_s: f64, expected: f64) {
        let share = share(&settings(window_s, aggression), (age_s * SECOND as f64) as u64);
        assert!((share - expected).abs() < 1e-6, "{share} instead of {expected}");
    }

    #[test]
    fn the_share_follows_envoys_formula() {
        //  window aggression age share
        check(60.0, 1.0, 0.0, 0.1); //  the least: 1 / 60 is below it
        check(60.0, 1.0, 15.0, 0.25);
        check(60.0, 2.0, 15.0, 0.5); //  sqrt(1 / 4)
        check(60.0, 2.0, 30.0, 0.5f64.sqrt());
        check(60.0, 0.5, 30.0, 0.25); // (1 / 2) ^ 2
        check(60.0, 1.0, 59.9, 59.0 / 60.0); //  whole seconds
        check(60.0, 1.0, 60.0, 1.0);
        check(5.0, 1.0, 0.0, 0.2); //  below a second counts as one
        check(0.5, 1.0, 0.2, 1.0); //  never more than all
    }

    #[test]
    fn a_newcomer_steps_once_a_second_to_its_full_weight() {
        let mut newcomers = Newcomers::new(Some(settings(2.5, 1.0)));
        assert!((newcomers.begin(Endpoint(3), 7 * SECOND) - 0.4).abs() < 1e-12);
        let mut steps = Vec::new();
        for tenth in 70..120 {
            while let Some((endpoint, share)) = newcomers.step(tenth * SECOND / 10) {
                assert_eq!(endpoint, Endpoint(3));
                steps.push((tenth, share));
            }
        }
        assert_eq!(steps, [(80, 0.4), (90, 0.8), (95, 1.0)]);
    }

    #[test]
    fn who_is_looked_at_late_makes_one_step() {
        let mut newcomers = Newcomers::new(Some(settings(60.0, 1.0)));
        newcomers.begin(Endpoint(0), 0);
        assert_eq!(newcomers.step(30 * SECOND), Some((Endpoint(0), 0.5)));
        assert_eq!(newcomers.step(30 * SECOND), None);
    }

    #[test]
    fn who_left_steps_no_more_and_without_settings_nobody_is_new() {
        let mut newcomers = Newcomers::new(Some(settings(60.0, 1.0)));
        newcomers.begin(Endpoint(0), 0);
        newcomers.end(Endpoint(0));
        assert_eq!(newcomers.step(u64::MAX), None);
        let mut newcomers = Newcomers::new(None);
        assert!(newcomers.begin(Endpoint(0), 0) >= 1.0);
        assert_eq!(newcomers.step(u64::MAX), None);
    }
}
