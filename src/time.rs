//! When: moments of the simulated run. Wall-clock time is absent on purpose.

use std::ops::Add;
use std::time::Duration;

/// Nanoseconds in a second.
pub const SECOND: u64 = 1_000_000_000;

/// A moment of the simulated run, counted in whole nanoseconds since its start.
///
/// Integers make equality, ordering and ties exact. `moment + span` and `later.since(earlier)` are the only
/// arithmetic; two moments cannot be added.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SimTime(u64);

impl SimTime {
    /// The start of the run.
    pub const START: SimTime = SimTime(0);
    /// Later than every moment of a run.
    pub const NEVER: SimTime = SimTime(u64::MAX);

    /// The moment that many nanoseconds after the start.
    pub const fn from_nanos(nanos: u64) -> Self {
        SimTime(nanos)
    }

    /// Nanoseconds since the start.
    pub const fn nanos(self) -> u64 {
        self.0
    }

    /// Seconds since the start, for reports.
    pub fn as_secs_f64(self) -> f64 {
        self.0 as f64 / SECOND as f64
    }

    /// The span from `earlier` to here.
    ///
    /// # Panics
    /// When `earlier` is later: time never goes back.
    pub fn since(self, earlier: SimTime) -> Duration {
        let nanos = self.0.checked_sub(earlier.0);
        Duration::from_nanos(nanos.expect("time never goes back"))
    }

    /// This moment cut to the whole second, as a timestamp that is stored in whole seconds shows it.
    #[must_use]
    pub const fn whole_second(self) -> SimTime {
        SimTime(self.0 - self.0 % SECOND)
    }
}

impl Add<Duration> for SimTime {
    type Output = SimTime;

    fn add(self, span: Duration) -> SimTime {
        SimTime(self.0.saturating_add(nanos(span)))
    }
}

/// A span in nanoseconds; spans beyond 584 years are cut to that.
pub fn nanos(span: Duration) -> u64 {
    u64::try_from(span.as_nanos()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_timestamp_in_whole_seconds_loses_the_fraction() {
        let ready = SimTime::from_nanos(2_650_000_000);
        assert_eq!(ready.whole_second(), SimTime::START + Duration::from_secs(2));
    }

    #[test]
    #[should_panic(expected = "time never goes back")]
    fn an_earlier_moment_is_not_since_a_later_one() {
        let later = SimTime::START + Duration::from_secs(1);
        let _ = SimTime::START.since(later);
    }
}
