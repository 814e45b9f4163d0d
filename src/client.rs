//! What clients do when an answer is late or bad: time-outs and retries.

use crate::random::{GOLDEN, mix, unit};
use crate::scenario::{Retries, RetryBudget};
use crate::time::nanos;

/// What a request's luck is read for. Every use of it gets its own number from the same 64 bits, so that the same
/// request meets the same luck under every strategy.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LuckOf {
    /// The balancer's choice.
    Choice,
    /// An error by a defect.
    Error,
    /// The jitter of the pause after it failed.
    Jitter,
    /// Which of several balancers it meets.
    Balancer,
    /// How long it waits before its client loses patience.
    Patience,
    /// An error such as all versions give.
    CommonError,
    /// The class of the request: of its first attempt.
    Class,
    /// The version that it is for, where requests are split.
    Version,
    /// Whether it fails by the schema.
    Schema,
    /// The version that its client was served by: of its first attempt.
    ClientVersion,
    /// Whether it fails by that.
    Skew,
}

/// 64 random bits of one attempt (counted from 1, at most 255) for one use.
#[inline]
pub fn luck(request: u64, of: LuckOf, attempt: u8) -> u64 {
    let (row, column) = (of as u64 / 4, of as u64 % 4);
    let place = row * 1024 + u64::from(attempt) * 4 + column;
    mix(request.wrapping_add(GOLDEN.wrapping_mul(place)))
}

/// The pause after that many attempts, in nanoseconds: the full one, less a random part of the jittered share.
pub fn pause_nanos(retries: &Retries, attempts_made: u8, luck: u64) -> u64 {
    let full = nanos(retries.pause(attempts_made));
    if retries.jitter > 0.0 { full - (full as f64 * retries.jitter * unit(luck)) as u64 } else { full }
}

/// What keeps all clients together from too many retries, with what it remembers.
#[derive(Clone, Copy, Debug)]
pub struct Restraint {
    budget: Option<RetryBudget>,
    tokens: f64,
    /// Retries under way, those that still pause included.
    retries: u64,
}

impl Restraint {
    /// At the start of a run.
    pub fn new(budget: Option<RetryBudget>) -> Self {
        let tokens = match budget {
            Some(RetryBudget::Tokens { size, .. } | RetryBudget::Throttle { size, .. }) => size,
            Some(RetryBudget::Active { .. }) | None => 0.0,
        };
        Restraint { budget, tokens, retries: 0 }
    }

    /// An attempt was served.
    pub fn note_served(&mut self) {
        if let Some(RetryBudget::Tokens { size, deposit } | RetryBudget::Throttle { size, deposit }) = self.budget {
            self.tokens = (self.tokens + deposit).min(size);
        }
    }

    /// An attempt failed.
    pub fn note_failed(&mut self) {
        if let Some(RetryBudget::Throttle { .. }) = self.budget {
            self.tokens = (self.tokens - 1.0).max(0.0);
        }
    }

    /// Whether one more retry is allowed while so many requests are under way, the one to be retried included; if so, it
    /// is under way from now on.
    pub fn allows(&mut self, requests: u64) -> bool {
        let allowed = match self.budget {
            None => true,
            Some(RetryBudget::Active { share, at_least }) => self.retries < retries_allowed(requests, share, at_least),
            Some(RetryBudget::Tokens { .. }) => self.tokens >= 1.0,
            Some(RetryBudget::Throttle { size, .. }) => self.tokens > size / 2.0,
        };
        if allowed {
            self.retries += 1;
            if let Some(RetryBudget::Tokens { .. }) = self.budget {
                self.tokens -= 1.0;
            }
        }
        allowed
    }

    /// A retry came to its end, well or badly.
    pub fn end_retry(&mut self) {
        debug_assert!(self.retries > 0, "it was under way");
        self.retries -= 1;
    }
}

/// Retries that may be under way among so many active requests (Envoy, retry budgets: the share, cut to whole retries, or
/// `at_least`).
pub fn retries_allowed(requests: u64, share: f64, at_least: u32) -> u64 {
    // What the share lost when it was written in binary is no retry less.
    ((requests as f64 * share + 1e-9) as u64).max(at_least.into())
}

/// No entry of a [`DueList`].
const NOBODY: u32 = u32::MAX;

/// Attempts in the order in which their time is over. As every attempt has the same time, that is the order of
/// sending, and a doubly linked list over the attempts' places does what a heap would, in constant time, cancellation
/// included.
#[derive(Clone, Debug)]
pub struct DueList {
    links: Vec<Link>,
    first: u32,
    last: u32,
}

#[derive(Clone, Copy, Debug)]
struct Link {
    before: u32,
    after: u32,
}

impl DueList {
    /// An empty list.
    pub fn new() -> Self {
        DueList { links: Vec::new(), first: NOBODY, last: NOBODY }
    }

    /// The attempt whose time is over first.
    pub fn first(&self) -> Option<u32> {
        (self.first != NOBODY).then_some(self.first)
    }

    /// Adds an attempt that is due no earlier than all others.
    pub fn push(&mut self, attempt: u32) {
        self.insert(attempt, |_| false);
    }

    /// Adds an attempt before all that are due later.
    pub fn insert(&mut self, attempt: u32, is_later: impl Fn(u32) -> bool) {
        let place = attempt as usize;
        if place >= self.links.len() {
            self.links.resize(place + 1, Link { before: NOBODY, after: NOBODY });
        }
        let (mut before, mut after) = (self.last, NOBODY);
        while before != NOBODY && is_later(before) {
            (before, after) = (self.links[before as usize].before, before);
        }
        self.links[place] = Link { before, after };
        match before {
            NOBODY => self.first = attempt,
            before => self.links[before as usize].after = attempt,
        }
        match after {
            NOBODY => self.last = attempt,
            after => self.links[after as usize].before = attempt,
        }
    }

    /// Takes an attempt out, wherever it stands. It must be in the list.
    pub fn remove(&mut self, attempt: u32) {
        let Link { before, after } = self.links[attempt as usize];
        match before {
            NOBODY => self.first = after,
            before => self.links[before as usize].after = after,
        }
        match after {
            NOBODY => self.last = before,
            after => self.links[after as usize].before = before,
        }
    }
}

impl Default for DueList {
    fn default() -> Self {
        DueList::new()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::num::NonZeroU32;
    use std::time::Duration;

    fn retries(jitter: f64) -> Retries {
        let attempts = NonZeroU32::new(9).expect("not zero");
        let (backoff, backoff_limit) = (Duration::from_millis(100), Duration::from_secs(1));
        Retries { attempts, backoff, backoff_limit, jitter, budget: None }
    }

    #[test]
    fn whoever_is_due_earlier_goes_before_those_due_later() {
        let dues = [50, 10, 30, 30, 60, 20, 40];
        let mut list = DueList::new();
        for attempt in 0..dues.len() as u32 {
            list.insert(attempt, |other| dues[other as usize] > dues[attempt as usize]);
        }
        list.remove(2);
        let mut order = Vec::new();
        while let Some(first) = list.first() {
            order.push(first);
            list.remove(first);
        }
        assert_eq!(order, [1, 5, 3, 6, 0, 4]);
    }

    #[test]
    fn pauses_double_up_to_their_limit() {
        let pauses: Vec<u64> = (1..=6).map(|made| pause_nanos(&retries(0.0), made, 7) / 1_000_000).collect();
        assert_eq!(pauses, [100, 200, 400, 800, 1000, 1000]);
    }

    #[test]
    fn jitter_takes_off_up_to_its_share() {
        let pauses: Vec<f64> = (0..10_000).map(|luck| pause_nanos(&retries(0.5), 1, mix(luck)) as f64 / 1e6).collect();
        assert!(pauses.iter().all(|pause| (50.0..=100.0).contains(pause)));
        let mean = pauses.iter().sum::<f64>() / 1e4;
        // Uniform from 50 to 100: standard deviation 50 / sqrt(12).
        assert!((mean - 75.0).abs() < 4.0 * 50.0 / 12f64.sqrt() / 100.0, "{mean}");
    }

    /// Envoy's worked example: 20 % of 25 active requests are 5 retries; of 2, the minimum of 3.
    #[test]
    fn a_share_of_the_active_requests_may_be_retries() {
        assert_eq!((retries_allowed(25, 0.2, 3), retries_allowed(2, 0.2, 3)), (5, 3));
        let mut restraint = Restraint::new(Some(RetryBudget::Active { share: 0.2, at_least: 3 }));
        assert_eq!((0..9).filter(|_| restraint.allows(25)).count(), 5);
        restraint.end_retry();
        assert_eq!((0..9).filter(|_| restraint.allows(25)).count(), 1);
    }

    /// gRPC: of ten tokens, five failures leave no more than half, and retries stop.
    #[test]
    fn a_throttle_stops_retries_at_half_of_its_tokens() {
        let mut restraint = Restraint::new(Some(RetryBudget::Throttle { size: 10.0, deposit: 0.1 }));
        let mut failures = 0;
        loop {
            restraint.note_failed();
            failures += 1;
            if !restraint.allows(1) {
                break;
            }
        }
        assert_eq!(failures, 5);
        assert!(!restraint.allows(1), "half of the tokens is not more than half");
        restraint.note_served();
        assert!(restraint.allows(1));
    }

    #[test]
    fn tokens_are_spent_and_come_back() {
        let mut restraint = Restraint::new(Some(RetryBudget::Tokens { size: 2.0, deposit: 0.5 }));
        assert_eq!((0..5).filter(|_| restraint.allows(9)).count(), 2);
        restraint.note_served();
        assert!(!restraint.allows(9));
        restraint.note_served();
        assert!(restraint.allows(9));
    }

    #[test]
    fn each_use_of_luck_has_its_own_number() {
        let uses = [
            LuckOf::Choice,
            LuckOf::Error,
            LuckOf::Jitter,
            LuckOf::Balancer,
            LuckOf::Patience,
            LuckOf::CommonError,
            LuckOf::Class,
        ];
        let numbers = uses.iter().flat_map(|of| (1..=u8::MAX).map(|attempt| luck(7, *of, attempt)));
        let distinct: std::collections::BTreeSet<u64> = numbers.collect();
        assert_eq!(distinct.len(), uses.len() * 255);
    }

    #[test]
    fn a_due_list_keeps_the_order_of_sending_whoever_leaves() {
        let mut list = DueList::new();
        for attempt in [4, 0, 2, 7] {
            list.push(attempt);
        }
        list.remove(0);
        list.remove(7);
        list.push(1);
        let mut order = Vec::new();
        while let Some(first) = list.first() {
            order.push(first);
            list.remove(first);
        }
        assert_eq!(order, [4, 2, 1]);
    }
}
