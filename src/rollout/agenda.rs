//! What an orchestrator still has to look at. Whoever has thousands of places in hand looks at those alone to which
//! something has happened, or whose time has come: a decision must not cost what the fleet is large.

use crate::bits::Numbers;
use crate::time::SimTime;
use std::collections::BTreeSet;
use std::marker::PhantomData;

/// Things that were called, and things that wake up later, each at one moment at the most. They are known by small numbers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Agenda<K> {
    called: Numbers,
    wakes: BTreeSet<(SimTime, u32)>,
    /// By number.
    wakes_at: Vec<Option<SimTime>>,
    of: PhantomData<K>,
}

impl<K> Default for Agenda<K> {
    fn default() -> Self {
        Agenda { called: Numbers::default(), wakes: BTreeSet::new(), wakes_at: Vec::new(), of: PhantomData }
    }
}

impl<K: Into<u32> + From<u32>> Agenda<K> {
    /// Something has happened to it: it is looked at next.
    pub(super) fn call(&mut self, what: K) {
        self.called.insert(what.into());
    }

    /// It is looked at then even if nothing happens to it, and not when it wanted that before.
    pub(super) fn wake_at(&mut self, at: SimTime, what: K) {
        let what = what.into();
        if what as usize >= self.wakes_at.len() {
            self.wakes_at.resize(what as usize + 1, None);
        }
        if let Some(before) = self.wakes_at[what as usize].replace(at) {
            self.wakes.remove(&(before, what));
        }
        self.wakes.insert((at, what));
    }

    /// Nobody looks at it any more.
    pub(super) fn strike(&mut self, what: K) {
        let what = what.into();
        self.called.remove(what);
        if let Some(at) = self.wakes_at.get_mut(what as usize).and_then(Option::take) {
            self.wakes.remove(&(at, what));
        }
    }

    /// The next thing to look at, in their own order.
    pub(super) fn next(&mut self, now: SimTime) -> Option<K> {
        self.wake_up(now);
        self.called.pop_first().map(K::from)
    }

    /// When the next one wakes up, later than now.
    pub(super) fn wakes_next(&mut self, now: SimTime) -> Option<SimTime> {
        self.wake_up(now);
        self.wakes.first().map(|(at, _)| *at)
    }

    fn wake_up(&mut self, now: SimTime) {
        while let Some((_, what)) = self.wakes.first().copied().filter(|(at, _)| *at <= now) {
            self.wakes.pop_first();
            self.wakes_at[what as usize] = None;
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
        agenda.wake_at(at(7), 1_u32);
        agenda.wake_at(at(5), 3);
        agenda.wake_at(at(6), 2);
        agenda.wake_at(at(4), 2);
        agenda.call(4);
        assert_eq!(agenda.wakes_next(at(0)), Some(at(4)));
        let mut due = |now| std::iter::from_fn(|| agenda.next(at(now))).collect::<Vec<u32>>();
        assert_eq!([due(0), due(5), due(6)], [vec![4], vec![2, 3], vec![]]);
        agenda.call(1);
        agenda.strike(1);
        assert_eq!((agenda.next(at(9)), agenda.wakes_next(at(0))), (None, None));
    }
}
