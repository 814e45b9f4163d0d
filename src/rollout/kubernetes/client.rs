//! The limit on a controller's writes to the API server (`flowcontrol.NewTokenBucketRateLimiter` of client-go).

use crate::time::SimTime;
use std::time::Duration;

/// A bucket of tokens, each good for one write.
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

impl Client {
    /// Takes a token at a moment or as soon after it as there is one, and tells when.
    pub fn take(&mut self, limit: Option<Limit>, at: SimTime) -> SimTime {
        let Some(Limit { qps, burst }) = limit else { return at };
        let gap = Duration::from_secs_f64(1.0 / qps);
        let full_at = self.full_at.max(at) + gap;
        self.full_at = full_at;
        let whole = gap.saturating_mul(burst);
        SimTime::from_nanos(full_at.nanos().saturating_sub(whole.as_nanos() as u64)).max(at)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_burst_is_free_and_the_rest_waits() {
        let limit = Some(Limit { qps: 20.0, burst: 3 });
        let start = SimTime::START + Duration::from_secs(5);
        let mut client = Client::default();
        let waits: Vec<u128> = (0..6).map(|_| client.take(limit, start).since(start).as_millis()).collect();
        assert_eq!(waits, [0, 0, 0, 50, 100, 150]);
        let later = start + Duration::from_secs(10);
        assert_eq!(client.take(limit, later), later);
        assert_eq!(client.take(None, start), start);
    }
}
