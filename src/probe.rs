//! What probes in a row come to. How long a probe takes, and what it looks at, is absent here.
//!
//! Source: `doProbe` of kubernetes/kubernetes' `pkg/kubelet/prober/worker.go`. Docker's health check and the active
//! checks of load balancers count in the same way; of a target group AWS says that whoever is new needs but one pass
//! ("Health checks for Application Load Balancer target groups").

use std::num::NonZeroU32;

/// How many results in a row are believed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Thresholds {
    /// Passes.
    pub success: NonZeroU32,
    /// Failures.
    pub failure: NonZeroU32,
}

impl Thresholds {
    fn of(self, passed: bool) -> u64 {
        let threshold = if passed { self.success } else { self.failure };
        threshold.get().into()
    }
}

/// What a failure is to lead to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// No traffic. Whoever was not probed yet counts as failing.
    Readiness,
    /// The end of the process. Whoever was not probed yet counts as passing.
    Liveness,
    /// The end of the process, until it has passed once; no traffic from then on. Of whoever was not probed yet nothing
    /// is known.
    Startup,
    /// No traffic, as from a load balancer's target group. Of whoever was not probed yet nothing is known, and then one
    /// pass is enough.
    Target,
}

/// The probes of one process, counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Probing {
    kind: Kind,
    published: Option<bool>,
    last: Option<bool>,
    in_a_row: u64,
    is_on_hold: bool,
}

impl Probing {
    /// Those of a process that was not probed yet.
    pub fn new(kind: Kind) -> Self {
        let published = match kind {
            Kind::Readiness => Some(false),
            Kind::Liveness => Some(true),
            Kind::Startup | Kind::Target => None,
        };
        Probing { kind, published, last: None, in_a_row: 0, is_on_hold: false }
    }

    /// What is believed of the process; `None`: nothing is known.
    pub fn published(&self) -> Option<bool> {
        self.published
    }

    /// Whether further results are ignored: the process is being ended.
    pub fn is_on_hold(&self) -> bool {
        self.is_on_hold
    }

    /// Further results are ignored: the process has ended, or is being ended.
    pub fn hold(&mut self) {
        self.is_on_hold = true;
    }

    /// So many results of the same kind in a row.
    pub fn note(&mut self, passed: bool, times: u64, thresholds: Thresholds) {
        if self.is_on_hold || times == 0 {
            return;
        }
        let before = if self.last == Some(passed) { self.in_a_row } else { 0 };
        (self.last, self.in_a_row) = (Some(passed), before.saturating_add(times));
        if self.in_a_row >= self.threshold(passed, thresholds) {
            self.published = Some(passed);
            self.is_on_hold = !passed && matches!(self.kind, Kind::Liveness | Kind::Startup);
            if passed && self.kind == Kind::Startup {
                self.kind = Kind::Readiness;
            }
        }
    }

    /// How many such results in a row change what is believed; `None`: none does.
    pub fn changes_after(&self, passed: bool, thresholds: Thresholds) -> Option<u64> {
        if self.is_on_hold || self.published == Some(passed) {
            return None;
        }
        let before = if self.last == Some(passed) { self.in_a_row } else { 0 };
        Some(self.threshold(passed, thresholds).saturating_sub(before).max(1))
    }

    fn threshold(&self, passed: bool, thresholds: Thresholds) -> u64 {
        let is_first = self.kind == Kind::Target && self.published.is_none();
        if passed && is_first { 1 } else { thresholds.of(passed) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn thresholds(success: u32, failure: u32) -> Thresholds {
        let at_least_one = |count| NonZeroU32::new(count).expect("a threshold is positive");
        Thresholds { success: at_least_one(success), failure: at_least_one(failure) }
    }

    /// Results and what is published after each: `+` passed, `-` failed, `?` nothing is known.
    fn published(kind: Kind, results: &str, thresholds: Thresholds) -> String {
        let mut probing = Probing::new(kind);
        let mut after = |result: char| {
            probing.note(result == '+', 1, thresholds);
            match probing.published() {
                Some(true) => '+',
                Some(false) => '-',
                None => '?',
            }
        };
        results.chars().map(&mut after).collect()
    }

    #[test]
    fn only_so_many_results_in_a_row_are_believed() {
        assert_eq!(published(Kind::Readiness, "++-+-+--+--++", thresholds(2, 2)), "-++++++-----+");
        assert_eq!(published(Kind::Readiness, "+--+---+", thresholds(1, 3)), "++++++-+");
        assert_eq!(published(Kind::Startup, "--+-++---++", thresholds(2, 3)), "?????+++--+");
    }

    #[test]
    fn whoever_is_being_ended_is_not_probed_any_more() {
        assert_eq!(published(Kind::Liveness, "+-+--++", thresholds(1, 2)), "++++---");
        assert_eq!(published(Kind::Readiness, "+--++", thresholds(1, 2)), "++-++");
        let mut probing = Probing::new(Kind::Readiness);
        probing.hold();
        probing.note(true, 9, thresholds(1, 1));
        assert_eq!((probing.published(), probing.changes_after(true, thresholds(1, 1))), (Some(false), None));
    }

    #[test]
    fn what_is_foretold_comes_about() {
        let (bounds, mut luck) = (thresholds(3, 2), 0b1011_0010_1110_0011_0101_1100_0110_1011_u32);
        let mut probing = Probing::new(Kind::Readiness);
        for _ in 0..32 {
            let passed = luck & 1 == 1;
            luck >>= 1;
            if let Some(after) = probing.changes_after(passed, bounds) {
                let (mut before, mut then) = (probing, probing);
                before.note(passed, after - 1, bounds);
                then.note(passed, after, bounds);
                assert_eq!(before.published(), probing.published());
                assert_eq!(then.published(), Some(passed));
            }
            let (mut at_once, mut one_by_one) = (probing, probing);
            at_once.note(passed, 2, bounds);
            one_by_one.note(passed, 1, bounds);
            one_by_one.note(passed, 1, bounds);
            assert_eq!(at_once, one_by_one);
            probing.note(passed, 1, bounds);
        }
    }

    #[test]
    fn a_new_target_needs_one_pass_and_an_unhealthy_one_five() {
        assert_eq!(published(Kind::Target, "+--+++++", thresholds(5, 2)), "++-----+");
        assert_eq!(published(Kind::Target, "-+", thresholds(5, 2)), "?+");
        assert_eq!(published(Kind::Target, "--+++++-", thresholds(5, 2)), "?-----++");
        let mut probing = Probing::new(Kind::Target);
        assert_eq!(probing.changes_after(true, thresholds(5, 2)), Some(1));
        probing.note(false, 2, thresholds(5, 2));
        assert_eq!(probing.changes_after(true, thresholds(5, 2)), Some(5));
    }
}
