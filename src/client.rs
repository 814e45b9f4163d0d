//! What clients do when an answer is late or bad: time-outs and retries.

use crate::random::{GOLDEN, mix, unit};
use crate::scenario::Retries;
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
}

/// 64 random bits of one attempt (counted from 1) for one use.
pub fn luck(request: u64, of: LuckOf, attempt: u8) -> u64 {
    let place = u64::from(attempt) * 4 + of as u64;
    mix(request.wrapping_add(GOLDEN.wrapping_mul(place)))
}

/// The pause after that many attempts, in nanoseconds: the full one, less a random part of the jittered share.
pub fn pause_nanos(retries: &Retries, attempts_made: u8, luck: u64) -> u64 {
    let full = nanos(retries.pause(attempts_made));
    if retries.jitter > 0.0 { full - (full as f64 * retries.jitter * unit(luck)) as u64 } else { full }
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
        let place = attempt as usize;
        if place >= self.links.len() {
            self.links.resize(place + 1, Link { before: NOBODY, after: NOBODY });
        }
        self.links[place] = Link { before: self.last, after: NOBODY };
        match self.last {
            NOBODY => self.first = attempt,
            last => self.links[last as usize].after = attempt,
        }
        self.last = attempt;
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
        Retries { attempts, backoff, backoff_limit, jitter }
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
