//! When: moments of the simulated run. Wall-clock time is absent on purpose.

use std::fmt;
use std::num::NonZeroU64;
use std::ops::Add;
use std::time::Duration;

/// Nanoseconds in a second.
pub const SECOND: u64 = 1_000_000_000;

/// A moment of the simulated run, counted in whole nanoseconds since its start.
///
/// Integers make equality, ordering and ties exact. `moment + span` and `later.since(earlier)` are the only
/// arithmetic; two moments cannot be added.
///
/// One more than that is kept, so that a moment that may be missing takes no more room: instances have five of them.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SimTime(NonZeroU64);

impl SimTime {
    /// The start of the run.
    pub const START: SimTime = SimTime(NonZeroU64::MIN);
    /// Later than every moment of a run.
    pub const NEVER: SimTime = SimTime(NonZeroU64::MAX);

    /// The moment that many nanoseconds after the start; there is none later than [`SimTime::NEVER`].
    pub const fn from_nanos(nanos: u64) -> Self {
        SimTime(NonZeroU64::MIN.saturating_add(nanos))
    }

    /// Nanoseconds since the start.
    pub const fn nanos(self) -> u64 {
        self.0.get() - 1
    }

    /// Seconds since the start, for reports.
    pub fn as_secs_f64(self) -> f64 {
        self.nanos() as f64 / SECOND as f64
    }

    /// The span from `earlier` to here.
    ///
    /// # Panics
    /// When `earlier` is later: time never goes back.
    pub fn since(self, earlier: SimTime) -> Duration {
        let nanos = self.nanos().checked_sub(earlier.nanos());
        Duration::from_nanos(nanos.expect("time never goes back"))
    }

    /// This moment cut to the whole second, as a timestamp that is stored in whole seconds shows it.
    #[must_use]
    pub const fn whole_second(self) -> SimTime {
        SimTime::from_nanos(self.nanos() - self.nanos() % SECOND)
    }
}

impl Default for SimTime {
    fn default() -> Self {
        SimTime::START
    }
}

impl fmt::Debug for SimTime {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "SimTime({})", self.nanos())
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
    fn a_moment_that_may_be_missing_takes_no_more_room() {
        assert_eq!(size_of::<Option<SimTime>>(), size_of::<SimTime>());
        assert_eq!(SimTime::START.nanos(), 0);
        assert_eq!(SimTime::from_nanos(u64::MAX), SimTime::NEVER);
        assert_eq!(SimTime::NEVER + Duration::MAX, SimTime::NEVER);
    }

    #[test]
    #[should_panic(expected = "time never goes back")]
    fn an_earlier_moment_is_not_since_a_later_one() {
        let later = SimTime::START + Duration::from_secs(1);
        let _ = SimTime::START.since(later);
    }
}
