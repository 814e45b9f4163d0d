//! A controller's requests to the API server: the limit on them (`flowcontrol.NewTokenBucketRateLimiter` of client-go),
//! and the events that take their share of it (`tools/record`).

use crate::time::SimTime;
use std::time::Duration;

/// A controller's client: a bucket of tokens, each good for one request, and the events that wait for some. Events are
/// written one after the other, while the controller goes on.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Client {
    /// When the bucket is full again.
    full_at: SimTime,
    /// Events that wait.
    events: u32,
    /// When the one that is being written is answered.
    event_at: Option<SimTime>,
}

/// The rate at which tokens come, and how many the bucket holds.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Limit {
    /// Tokens a second; above 0.
    pub qps: f64,
    /// The most tokens; at least 1.
    pub burst: u32,
}

/// Tokens that requests made at the same moment have reserved, in the order of time.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tokens {
    next: SimTime,
    gap: Duration,
    left: u32,
}

impl Tokens {
    /// From when on the next request may be made; the moment may be over.
    pub fn pop(&mut self) -> Option<SimTime> {
        self.left = self.left.checked_sub(1)?;
        let at = self.next;
        self.next = self.next + self.gap;
        Some(at)
    }

    /// From when on the next request may be made.
    pub fn peek(&self) -> Option<SimTime> {
        (self.left > 0).then_some(self.next)
    }

    /// Whether all are used.
    pub fn is_empty(&self) -> bool {
        self.left == 0
    }
}

impl Client {
    /// Reserves tokens for so many requests at a moment.
    pub fn reserve(&mut self, limit: Option<Limit>, at: SimTime, count: u32) -> Tokens {
        let Some(Limit { qps, burst }) = limit else {
            return Tokens { next: at, gap: Duration::ZERO, left: count };
        };
        let gap = Duration::from_secs_f64(1.0 / qps);
        let first_full_at = self.full_at.max(at) + gap;
        self.full_at = first_full_at + gap.saturating_mul(count.saturating_sub(1));
        let whole = gap.saturating_mul(burst).as_nanos() as u64;
        Tokens { next: SimTime::from_nanos(first_full_at.nanos().saturating_sub(whole)), gap, left: count }
    }

    /// Takes one token at a moment or as soon after it as there is one, and tells when.
    pub fn take(&mut self, limit: Option<Limit>, at: SimTime) -> SimTime {
        self.reserve(limit, at, 1).pop().map_or(at, |token| token.max(at))
    }

    /// Something is told as so many events.
    pub(super) fn tell(&mut self, count: u32) {
        self.events += count;
    }

    /// Begins with the next event if the one before is answered; a request takes `call`. Without a limit nobody waits
    /// for events.
    pub(super) fn write_events(&mut self, limit: Option<Limit>, call: Duration, now: SimTime) {
        if limit.is_none() {
            self.events = 0;
        }
        if self.event_at.is_some_and(|at| at <= now) {
            self.event_at = None;
        }
        if self.event_at.is_none() && self.events > 0 {
            self.events -= 1;
            self.event_at = Some(self.take(limit, now) + call);
        }
    }

    /// When the event that is being written is answered; `None`: none is.
    pub(super) fn event_answered_at(&self) -> Option<SimTime> {
        self.event_at
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_burst_is_free_and_the_rest_waits() {
        let limit = Some(Limit { qps: 20.0, burst: 3 });
        let start = SimTime::START + Duration::from_secs(5);
        let waits = |at: SimTime| at.max(start).since(start).as_millis();
        let mut client = Client::default();
        let one_by_one: Vec<u128> = (0..6).map(|_| waits(client.take(limit, start))).collect();
        assert_eq!(one_by_one, [0, 0, 0, 50, 100, 150]);
        let mut tokens = Client::default().reserve(limit, start, 6);
        let at_once: Vec<u128> = std::iter::from_fn(|| tokens.pop()).map(waits).collect();
        assert_eq!((at_once, tokens.is_empty()), (one_by_one, true));
        let later = start + Duration::from_secs(10);
        assert_eq!(client.take(limit, later), later);
        assert_eq!(client.take(None, start), start);
    }
}
