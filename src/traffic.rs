//! When requests arrive.

use crate::distribution::{exponential, exponentials, to_nanos};
use crate::random::Stream;
use crate::scenario::{Arrivals, Bursts, Profile};
use crate::time::{SimTime, nanos};

/// The moments at which requests arrive, one after the other.
///
/// A rate that changes is met by a change of time: gaps are drawn (or, for even arrivals, set to 1) in expected
/// requests, and laid along the integral of the rate (Çinlar, Introduction to Stochastic Processes, 1975, 4.7). It is
/// exact for pieces of constant rate. Bursts and lulls cut these pieces further.
#[derive(Clone, Debug)]
pub struct ArrivalTimes<'a> {
    profile: &'a Profile,
    arrivals: Arrivals,
    stream: Stream,
    /// Gaps in expected requests, drawn ahead, and how many of them are used up.
    gaps: [f64; AHEAD],
    used: usize,
    modulation: Option<Modulation>,
    piece: usize,
    /// When the current repetition of the profile began.
    cycle_at: u64,
    /// When the current piece of the profile ends, and when its rate does, which a burst or lull may do earlier.
    piece_ends: u64,
    rate_ends: u64,
    /// Nanoseconds a request at the current rate.
    spacing: f64,
    at: u64,
    /// What the last moment lost when it was cut to whole nanoseconds, in [`PARTS`].
    fraction: u64,
    /// There is a piece with a rate above 0.
    is_loaded: bool,
}

/// Gaps drawn at once.
const AHEAD: usize = 64;

/// Parts of a nanosecond in which gaps are added up: whole numbers, for a processor adds them sooner than it rounds.
const PARTS: u64 = 1 << 12;

/// Gaps of as many nanoseconds (13 days) fit; longer ones are cut to whole nanoseconds.
const LONGEST_IN_PARTS: f64 = (1u64 << 50) as f64;

/// Where all gaps are shorter than that (5 hours), nanoseconds, their sum fits in parts.
const LONGEST_OF_ALL: f64 = (1u64 << 44) as f64;

/// A gap, nanoseconds, in [`PARTS`].
#[inline(always)]
fn in_parts(gap: f64) -> u64 {
    // Signed, which is the conversion that processors have.
    (gap * PARTS as f64) as i64 as u64
}

/// Bursts and lulls by turns, each of exponential length; the first state is drawn as in the long run.
#[derive(Clone, Debug)]
struct Modulation {
    bursts: Bursts,
    stream: Stream,
    is_burst: bool,
    /// When the current state ends, nanoseconds.
    ends: u64,
}

impl Modulation {
    fn new(bursts: Bursts, mut stream: Stream) -> Self {
        let share = bursts.lasts.as_secs_f64() / bursts.every.as_secs_f64();
        let is_burst = stream.unit() < share;
        let mut modulation = Modulation { bursts, stream, is_burst, ends: 0 };
        modulation.ends = modulation.length();
        modulation
    }

    /// How long the state that begins now lasts; never no time at all.
    fn length(&mut self) -> u64 {
        let mean = if self.is_burst { self.bursts.lasts } else { self.bursts.every.saturating_sub(self.bursts.lasts) };
        to_nanos(mean.as_secs_f64() * exponential(&mut self.stream)).max(1)
    }

    fn turn(&mut self) {
        self.is_burst = !self.is_burst;
        self.ends = self.ends.saturating_add(self.length());
    }

    /// The rate compared with the mean.
    fn factor(&self) -> f64 {
        if self.is_burst { self.bursts.peak } else { self.bursts.lull() }
    }
}

impl<'a> ArrivalTimes<'a> {
    /// The arrivals of a profile from the start of the run; `bursts` is drawn from where there are any.
    pub fn new(profile: &'a Profile, arrivals: Arrivals, stream: Stream, bursts: Stream) -> Self {
        let modulation = match arrivals {
            Arrivals::Bursty(settings) => Some(Modulation::new(settings, bursts)),
            Arrivals::Poisson | Arrivals::Deterministic => None,
        };
        let mut times = ArrivalTimes {
            profile,
            arrivals,
            stream,
            gaps: [1.0; AHEAD],
            used: AHEAD,
            modulation,
            piece: 0,
            cycle_at: 0,
            piece_ends: 0,
            rate_ends: 0,
            spacing: 0.0,
            at: 0,
            fraction: 0,
            is_loaded: profile.peak() > 0.0,
        };
        times.enter_piece();
        times
    }

    /// The next arrival; `SimTime::NEVER` when there will be none.
    #[inline]
    pub fn advance(&mut self) -> SimTime {
        if self.used == AHEAD {
            self.draw_gaps();
        }
        let mut expected = self.gaps[self.used];
        self.used += 1;
        loop {
            let gap = expected * self.spacing;
            let left = self.rate_ends - self.at;
            // Nothing is laid along a rate of 0, whose spacing is infinite.
            if gap < LONGEST_IN_PARTS {
                let parts = in_parts(gap) + self.fraction;
                if parts / PARTS < left {
                    (self.at, self.fraction) = (self.at + parts / PARTS, parts % PARTS);
                    return SimTime::from_nanos(self.at);
                }
            } else if gap < left as f64 {
                (self.at, self.fraction) = (self.at + gap as u64, 0);
                return SimTime::from_nanos(self.at);
            }
            if self.rate_ends == u64::MAX || !self.is_loaded {
                return SimTime::NEVER;
            }
            expected -= (left as f64 - self.fraction as f64 / PARTS as f64) / self.spacing;
            self.at = self.rate_ends;
            self.fraction = 0;
            if self.at == self.piece_ends {
                self.piece += 1;
                if self.piece == self.profile.pieces().len() {
                    self.piece = 0;
                    self.cycle_at = self.at;
                }
                self.enter_piece();
            } else {
                self.modulation.as_mut().expect("only bursts end within a piece").turn();
                self.set_rate();
            }
        }
    }

    /// The next arrivals, as many as there is room for, nanoseconds: those of [`ArrivalTimes::advance`], at a fraction of the
    /// cost where the rate stays as it is.
    #[inline(always)]
    pub fn advance_all(&mut self, moments: &mut [u64; AHEAD]) {
        if self.used == AHEAD {
            self.draw_gaps();
        }
        if self.used == 0 {
            let mut gaps = self.gaps;
            for gap in &mut gaps {
                *gap = (*gap * self.spacing).min(LONGEST_OF_ALL);
            }
            let is_short = gaps.iter().all(|gap| *gap < LONGEST_OF_ALL);
            let parts = gaps.map(in_parts);
            let mut sum = self.fraction;
            for (moment, parts) in moments.iter_mut().zip(parts) {
                sum += parts;
                *moment = sum;
            }
            for moment in &mut *moments {
                *moment = self.at + *moment / PARTS;
            }
            if is_short && moments[AHEAD - 1] < self.rate_ends {
                (self.at, self.fraction, self.used) = (moments[AHEAD - 1], sum % PARTS, AHEAD);
                return;
            }
        }
        for moment in moments {
            *moment = self.advance().nanos();
        }
    }

    #[inline(always)]
    fn draw_gaps(&mut self) {
        self.used = 0;
        match self.arrivals {
            Arrivals::Poisson | Arrivals::Bursty(_) => exponentials(&mut self.stream, &mut self.gaps),
            Arrivals::Deterministic => {} // They stay 1.
        }
    }

    fn enter_piece(&mut self) {
        let pieces = self.profile.pieces();
        let ends_after = pieces.get(self.piece + 1).map(|next| next.starts).or(self.profile.period());
        self.piece_ends = ends_after.map_or(u64::MAX, |span| self.cycle_at + nanos(span));
        self.set_rate();
    }

    fn set_rate(&mut self) {
        let (factor, ends) = self.modulation.as_ref().map_or((1.0, u64::MAX), |state| (state.factor(), state.ends));
        self.rate_ends = self.piece_ends.min(ends);
        // A rate of 0 makes the spacing infinite, and no gap fits.
        self.spacing = 1e9 / (self.profile.pieces()[self.piece].rate * factor);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::random::{Purpose, Streams};
    use crate::scenario::Piece;
    use std::time::Duration;

    fn times(profile: &Profile, arrivals: Arrivals, seed: u64) -> ArrivalTimes<'_> {
        let streams = Streams::new(seed, 0);
        ArrivalTimes::new(profile, arrivals, streams.of(Purpose::Arrivals, 0), streams.of(Purpose::Bursts, 0))
    }

    fn steps(pieces: &[(u64, f64)], period_s: Option<u64>) -> Profile {
        let piece = |&(starts, rate): &(u64, f64)| Piece { starts: Duration::from_secs(starts), rate };
        Profile::new(pieces.iter().map(piece).collect(), period_s.map(Duration::from_secs)).expect("a good profile")
    }

    #[test]
    fn even_arrivals_are_even_and_follow_the_rate() {
        let profile = steps(&[(0, 2.0), (1, 0.0), (3, 4.0)], None);
        let mut times = times(&profile, Arrivals::Deterministic, 1);
        let first: Vec<f64> = (0..5).map(|_| times.advance().as_secs_f64()).collect();
        // Half of the second request's spacing at 2/s ends at 1 s, where the rate falls to 0; the rest is laid from 3
        // s on.
        assert_eq!(first, [0.5, 3.0, 3.25, 3.5, 3.75]);
    }

    #[test]
    fn even_arrivals_do_not_drift() {
        let profile = Profile::constant(3.0).expect("a good rate");
        let mut times = times(&profile, Arrivals::Deterministic, 1);
        let last = (0..3_000_000).map(|_| times.advance()).last().expect("many");
        assert!((last.as_secs_f64() - 1e6).abs() < 1e-3, "{last:?}");
    }

    #[test]
    fn a_profile_repeats_after_its_period() {
        let profile = steps(&[(0, 1.0), (2, 0.0)], Some(4));
        let mut times = times(&profile, Arrivals::Deterministic, 1);
        let first: Vec<f64> = (0..4).map(|_| times.advance().as_secs_f64()).collect();
        assert_eq!(first, [1.0, 4.0, 5.0, 8.0]);
    }

    #[test]
    fn a_service_that_nobody_asks_has_no_arrivals() {
        for profile in [steps(&[(0, 0.0)], None), steps(&[(0, 0.0)], Some(1))] {
            assert_eq!(times(&profile, Arrivals::Poisson, 1).advance(), SimTime::NEVER);
        }
    }

    /// The number of arrivals in a stretch is Poisson with the integral of the rate as its mean and variance.
    #[test]
    fn poisson_counts_meet_the_integral_of_the_rate() {
        let profile = steps(&[(0, 500.0), (10, 50.0), (20, 2_000.0)], Some(30));
        for seed in 1..=5 {
            let mut times = times(&profile, Arrivals::Poisson, seed);
            let end = SimTime::START + Duration::from_mins(5);
            let count = std::iter::from_fn(|| Some(times.advance()).filter(|at| *at < end)).count() as f64;
            let mean = 10.0 * (5_000.0 + 500.0 + 20_000.0);
            assert!((count - mean).abs() < 4.0 * mean.sqrt(), "seed {seed}: {count} of {mean}");
        }
    }

    /// The index of dispersion for counts of a two-state Markov-modulated Poisson process in the long run, 1 + 2 σ₁ σ₂ (λ₁ −
    /// λ₂)² / ((σ₁ + σ₂)² (λ₁ σ₂ + λ₂ σ₁)), σ being the rates at which the states end (Fischer, Meier-Hellstern 1993, eq. 17).
    #[test]
    fn bursts_keep_the_mean_and_spread_the_counts() {
        let profile = Profile::constant(100.0).expect("a good rate");
        let bursts = Bursts { peak: 4.0, lasts: Duration::from_secs(1), every: Duration::from_secs(10) };
        let (s1, s2) = (1.0, 1.0 / 9.0);
        let (l1, l2) = (400.0, 100.0 * bursts.lull());
        let dispersion = 1.0 + 2.0 * s1 * s2 * (l1 - l2) * (l1 - l2) / ((s1 + s2) * (s1 + s2) * (l1 * s2 + l2 * s1));
        for seed in 1..=5 {
            let mut times = times(&profile, Arrivals::Bursty(bursts), seed);
            let (windows, length) = (2_000, 100_000_000_000);
            let mut counts = vec![0.0; windows];
            while let Some(count) = counts.get_mut((times.advance().nanos() / length) as usize) {
                *count += 1.0;
            }
            let mean = counts.iter().sum::<f64>() / windows as f64;
            let squares: f64 = counts.iter().map(|count| (count - mean) * (count - mean)).sum();
            let variance = squares / (windows as f64 - 1.0);
            let standard_error = (variance / windows as f64).sqrt();
            assert!((mean - 10_000.0).abs() < 4.0 * standard_error, "seed {seed}: mean {mean}");
            // A variance of normal counts has the relative standard error √(2 / n); windows of 100 s are ten cycles.
            let ratio = variance / mean / dispersion;
            assert!((ratio - 1.0).abs() < 0.15, "seed {seed}: {ratio} of {dispersion}");
        }
    }
}
