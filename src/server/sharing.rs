//! Processor sharing: everybody at once, each at the same speed.
//!
//! While n requests share c workers, each gets min(1, c / n) of a worker (Kleinrock, Time-shared Systems, JACM 14, 1967, for one
//! worker). All that are there progress alike, so one clock that runs at that speed orders their ends: a request ends when
//! the clock has gone on by its work since it came.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

/// Requests that share the workers of one instance; attempts are known by their place in the engine's table.
#[derive(Clone, Debug, Default)]
pub struct Sharing {
    /// By where on the shared clock they end, as the bits of a positive number, which compare like it.
    jobs: BinaryHeap<Reverse<(u64, u32)>>,
    /// The shared clock, nanoseconds of work that each request got since the instance was last idle.
    clock: f64,
    /// When it was set, nanoseconds.
    set_at: u64,
    /// Counts the changes, so that an end foretold before one is known to be out of date.
    changes: u32,
}

impl Sharing {
    /// How many there are.
    pub fn len(&self) -> usize {
        self.jobs.len()
    }

    /// Whether nobody is there.
    pub fn is_empty(&self) -> bool {
        self.jobs.is_empty()
    }

    /// Counts the changes so far.
    pub fn changes(&self) -> u32 {
        self.changes
    }

    /// A request begins that takes this long when it is alone.
    pub fn begin(&mut self, attempt: u32, work: u64, workers: u32, now: u64) {
        self.set(workers, now);
        self.jobs.push(Reverse(((self.clock + work as f64).to_bits(), attempt)));
    }

    /// When the next one ends if nothing else happens; `None` when nobody is there.
    pub fn next_end(&self, workers: u32) -> Option<u64> {
        let Reverse((ends, _)) = self.jobs.peek()?;
        let left = (f64::from_bits(*ends) - self.clock).max(0.0);
        Some(self.set_at.saturating_add((left / self.speed(workers)).ceil() as u64))
    }

    /// The one that ends now.
    pub fn end(&mut self, workers: u32, now: u64) -> u32 {
        self.set(workers, now);
        let Reverse((ends, attempt)) = self.jobs.pop().expect("somebody's end was foretold");
        debug_assert!(
            f64::from_bits(ends) - self.clock < 2.0,
            "it ends {} ns early",
            f64::from_bits(ends) - self.clock
        );
        attempt
    }

    /// One leaves before its end. It looks through all that are there.
    pub fn leave(&mut self, attempt: u32, workers: u32, now: u64) {
        self.set(workers, now);
        self.jobs.retain(|Reverse((_, other))| *other != attempt);
    }

    /// Drops everything; what was foretold is out of date.
    pub fn clear(&mut self) {
        self.jobs.clear();
        self.changes = self.changes.wrapping_add(1);
    }

    fn speed(&self, workers: u32) -> f64 {
        (f64::from(workers) / self.jobs.len() as f64).min(1.0)
    }

    fn set(&mut self, workers: u32, now: u64) {
        debug_assert!(now >= self.set_at, "time never goes back");
        // Nobody's end depends on the clock while nobody is there; small numbers are the exact ones.
        self.clock = if self.is_empty() { 0.0 } else { self.clock + (now - self.set_at) as f64 * self.speed(workers) };
        self.set_at = now;
        self.changes = self.changes.wrapping_add(1);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sharing_is_worked_out_by_hand() {
        // Two workers; three requests of 300 from 0, 0 and 150 on. Until 150 all run at full speed; then three share two
        // workers: the first two have 150 left, which take 225; at 375 the last one has had 150 and is alone.
        let mut sharing = Sharing::default();
        sharing.begin(0, 300, 2, 0);
        sharing.begin(1, 300, 2, 0);
        assert_eq!(sharing.next_end(2), Some(300));
        sharing.begin(2, 300, 2, 150);
        assert_eq!(sharing.next_end(2), Some(375));
        assert_eq!(sharing.end(2, 375), 0);
        assert_eq!(sharing.next_end(2), Some(375));
        assert_eq!(sharing.end(2, 375), 1);
        assert_eq!(sharing.next_end(2), Some(525));
        assert_eq!(sharing.end(2, 525), 2);
        assert!(sharing.is_empty() && sharing.next_end(2).is_none());
    }

    #[test]
    fn whoever_leaves_speeds_up_the_others() {
        let mut sharing = Sharing::default();
        sharing.begin(0, 100, 1, 0);
        sharing.begin(1, 100, 1, 0);
        let before = sharing.changes();
        sharing.leave(0, 1, 100);
        assert_ne!(sharing.changes(), before, "what was foretold is out of date");
        assert_eq!((sharing.len(), sharing.next_end(1)), (1, Some(150)));
    }
}
