//! The limit on a controller's requests to the API server (`flowcontrol.NewTokenBucketRateLimiter` of client-go).

use crate::time::SimTime;
use std::time::Duration;

/// A bucket of tokens, each good for one request.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Client {
    /// When the bucket is full again.
    full_at: SimTime,
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
