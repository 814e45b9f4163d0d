//! Peak EWMA: the load of an endpoint as Finagle's `p2cPeakEwma` sees it (`PeakEwma.scala`).
//!
//! Latencies are averaged with weights that decay exponentially in time; a latency above the average replaces it at
//! once, and looking at the average counts as a latency of zero, so that it falls while nothing comes in. The load is
//! the average times the open requests and this one. An endpoint without a latency so far has no load, but more than
//! anybody else as soon as a request is open there.

use super::Endpoint;

/// What an endpoint without any latency costs while requests are open there, in nanoseconds, and one more for each of
/// them: `Long.MaxValue >> 16`, about 39 hours.
const PENALTY: f64 = (i64::MAX >> 16) as f64;

/// The latencies of all endpoints, averaged.
#[derive(Clone, Debug)]
pub(super) struct Averages {
    /// The time constant, nanoseconds.
    decay: f64,
    /// By endpoint.
    averages: Vec<Average>,
}

#[derive(Clone, Copy, Debug, Default)]
struct Average {
    /// When it was brought up to date last.
    at: u64,
    /// Nanoseconds; 0 while nothing is known.
    latency: f64,
}

impl Averages {
    /// Nothing is known. The time constant is in nanoseconds, above 0.
    pub(super) fn new(decay: u64) -> Self {
        Averages { decay: decay as f64, averages: Vec::new() }
    }

    /// Nothing is known of an endpoint any more.
    pub(super) fn forget(&mut self, endpoint: Endpoint) {
        self.make_room(endpoint);
        self.averages[endpoint.index()] = Average::default();
    }

    fn make_room(&mut self, endpoint: Endpoint) {
        if endpoint.index() >= self.averages.len() {
            self.averages.resize(endpoint.index() + 1, Average::default());
        }
    }

    /// An answer came after so many nanoseconds.
    pub(super) fn note(&mut self, endpoint: Endpoint, latency: u64, now: u64) {
        self.make_room(endpoint);
        self.observe(endpoint, latency as f64, now);
    }

    /// The load of an endpoint with so many open requests.
    pub(super) fn load(&mut self, endpoint: Endpoint, open: u32, now: u64) -> f64 {
        let average = self.observe(endpoint, 0.0, now);
        if average > 0.0 || open == 0 { average * (f64::from(open) + 1.0) } else { PENALTY + f64::from(open) }
    }

    fn observe(&mut self, endpoint: Endpoint, latency: f64, now: u64) -> f64 {
        let average = &mut self.averages[endpoint.index()];
        let weight = libm::exp((average.at as f64 - now as f64) / self.decay);
        let averaged = average.latency * weight + latency * (1.0 - weight);
        average.latency = if latency > average.latency { latency } else { averaged };
        average.at = now;
        average.latency
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::time::SECOND;

    const MS: u64 = 1_000_000;

    fn averages() -> Averages {
        let mut averages = Averages::new(10 * SECOND);
        averages.forget(Endpoint(0));
        averages
    }

    #[track_caller]
    fn check(load: f64, expected: f64) {
        assert!((load / expected - 1.0).abs() < 1e-9, "{load} instead of {expected}");
    }

    #[test]
    fn an_unknown_endpoint_is_tried_once() {
        let mut averages = averages();
        assert_eq!(averages.load(Endpoint(0), 0, 5 * SECOND).to_bits(), 0f64.to_bits());
        check(averages.load(Endpoint(0), 2, 5 * SECOND), 140_737_488_355_327.0 + 2.0);
    }

    #[test]
    fn the_load_is_the_average_times_the_open_requests_and_this_one() {
        let mut averages = averages();
        averages.note(Endpoint(0), 20 * MS, SECOND);
        check(averages.load(Endpoint(0), 0, SECOND), 20e6);
        check(averages.load(Endpoint(0), 4, SECOND), 100e6);
    }

    #[test]
    fn a_peak_is_followed_at_once_and_forgotten_slowly() {
        let mut averages = averages();
        averages.note(Endpoint(0), 20 * MS, 0);
        averages.note(Endpoint(0), 500 * MS, SECOND);
        check(averages.load(Endpoint(0), 0, SECOND), 500e6);
        // A time constant later a lower one has the weight 1 - 1/e.
        averages.note(Endpoint(0), 100 * MS, 11 * SECOND);
        let expected = 500e6 * libm::exp(-1.0) + 100e6 * (1.0 - libm::exp(-1.0));
        check(averages.load(Endpoint(0), 0, 11 * SECOND), expected);
    }

    #[test]
    fn an_average_falls_while_nothing_comes_in_however_often_it_is_looked_at() {
        let mut averages = averages();
        averages.note(Endpoint(0), 100 * MS, 0);
        for second in 1..20 {
            averages.load(Endpoint(0), 1, second * SECOND);
        }
        check(averages.load(Endpoint(0), 0, 20 * SECOND), 100e6 * libm::exp(-2.0));
    }

    #[test]
    fn a_forgotten_endpoint_is_unknown_again() {
        let mut averages = averages();
        averages.note(Endpoint(0), 100 * MS, 0);
        averages.forget(Endpoint(0));
        check(averages.load(Endpoint(0), 1, SECOND), 140_737_488_355_327.0 + 1.0);
    }
}
