//! What an orchestrator still has to look at. Whoever has thousands of places in hand looks at those alone to which
//! something has happened, or whose time has come: a decision must not cost what the fleet is large.

use crate::time::SimTime;
use std::collections::{BTreeMap, BTreeSet};

/// Things that were called, and things that wake up later, each at one moment at the most.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Agenda<K> {
    called: BTreeSet<K>,
    wakes: BTreeSet<(SimTime, K)>,
    wakes_at: BTreeMap<K, SimTime>,
}

impl<K> Default for Agenda<K> {
    fn default() -> Self {
        Agenda { called: BTreeSet::new(), wakes: BTreeSet::new(), wakes_at: BTreeMap::new() }
    }
}

impl<K: Copy + Ord> Agenda<K> {
    /// Something has happened to it: it is looked at next.
    pub(super) fn call(&mut self, what: K) {
        self.called.insert(what);
    }

    /// It is looked at then even if nothing happens to it, and not when it wanted that before.
    pub(super) fn wake_at(&mut self, at: SimTime, what: K) {
        if let Some(before) = self.wakes_at.insert(what, at) {
            self.wakes.remove(&(before, what));
        }
        self.wakes.insert((at, what));
    }

    /// Nobody looks at it any more.
    pub(super) fn strike(&mut self, what: K) {
        self.called.remove(&what);
        if let Some(at) = self.wakes_at.remove(&what) {
            self.wakes.remove(&(at, what));
        }
    }

    /// The next thing to look at, in their own order.
    pub(super) fn next(&mut self, now: SimTime) -> Option<K> {
        self.wake_up(now);
        self.called.pop_first()
    }

    /// When the next one wakes up, later than now.
    pub(super) fn wakes_next(&mut self, now: SimTime) -> Option<SimTime> {
        self.wake_up(now);
        self.wakes.first().map(|(at, _)| *at)
    }

    fn wake_up(&mut self, now: SimTime) {
        while let Some((_, what)) = self.wakes.first().copied().filter(|(at, _)| *at <= now) {
            self.wakes.pop_first();
            self.wakes_at.remove(&what);
            self.called.insert(what);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_is_looked_at_when_it_is_called_or_wakes_up() {
        let at = SimTime::from_nanos;
        let mut agenda = Agenda::default();
        agenda.wake_at(at(7), 'a');
        agenda.wake_at(at(5), 'c');
        agenda.wake_at(at(6), 'b');
        agenda.wake_at(at(4), 'b');
        agenda.call('d');
        assert_eq!(agenda.wakes_next(at(0)), Some(at(4)));
        let mut due = |now| std::iter::from_fn(|| agenda.next(at(now))).collect::<String>();
        assert_eq!([due(0), due(5), due(6)], ["d", "bc", ""]);
        agenda.call('a');
        agenda.strike('a');
        assert_eq!((agenda.next(at(9)), agenda.wakes_next(at(0))), (None, None));
    }
}
