//! In which order places are taken: one after the other, or zone by zone, and before them those that go first.

use crate::fleet::Slot;
use std::collections::BTreeSet;
use std::num::NonZeroU32;

/// Where a rollout stands in the order of places.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Order {
    /// How many places there are.
    places: u32,
    /// Go before the others: did not serve when the release was asked for, or were under repair when their turn came.
    first: BTreeSet<Slot>,
    /// How many places had their turn, those included that go first.
    passed: u32,
}

impl Order {
    pub(super) fn new(places: u32) -> Self {
        Order { places, first: BTreeSet::new(), passed: 0 }
    }

    pub(super) fn places(&self) -> u32 {
        self.places
    }

    /// How many places had their turn.
    pub(super) fn passed(&self) -> u32 {
        self.passed
    }

    pub(super) fn begin_anew(&mut self) {
        self.passed = 0;
        self.first.clear();
    }

    /// There are so many places now. Who had its turn is looked at once more, for the order may be another one.
    pub(super) fn resize(&mut self, places: u32) {
        self.places = places;
        self.passed = 0;
        self.first.retain(|slot| slot.0 < places);
    }

    pub(super) fn go_first(&mut self, slot: Slot) {
        self.first.insert(slot);
    }

    /// Passes over places that are done.
    pub(super) fn skip(&mut self, zones: NonZeroU32, is_done: impl Fn(Slot) -> bool) {
        self.first.retain(|slot| !is_done(*slot));
        while self.passed < self.places {
            let slot = self.turn(self.passed, zones);
            if !is_done(slot) && !self.first.contains(&slot) {
                return;
            }
            self.passed += 1;
        }
    }

    /// Whether every place was passed.
    pub(super) fn is_done(&self) -> bool {
        self.first.is_empty() && self.passed == self.places
    }

    /// The next places, of one zone and at most so many; those that cannot be taken go first once they can.
    pub(super) fn next(
        &mut self,
        most: u32,
        zones: NonZeroU32,
        is_behind: impl Fn(Slot) -> bool,
        is_away: impl Fn(Slot) -> bool,
    ) -> Vec<Slot> {
        let mut taken: Vec<Slot> = Vec::new();
        let fits = |taken: &[Slot], slot: Slot| {
            let is_same_zone = taken.first().is_none_or(|first| (first.0 % zones) == (slot.0 % zones));
            (taken.len() as u64) < u64::from(most) && is_same_zone
        };
        self.first.retain(|slot| {
            let goes = is_behind(*slot) && !is_away(*slot) && fits(&taken, *slot);
            if goes {
                taken.push(*slot);
            }
            !goes && is_behind(*slot)
        });
        // Whoever went first is passed by later, and stands in the order of the set.
        let early = taken.len();
        while self.passed < self.places {
            let slot = self.turn(self.passed, zones);
            let had_its_turn = self.first.contains(&slot) || taken[..early].binary_search(&slot).is_ok();
            let waits = is_behind(slot) && !had_its_turn;
            if waits && is_away(slot) {
                self.first.insert(slot);
            } else if waits {
                if !fits(&taken, slot) {
                    break;
                }
                taken.push(slot);
            }
            self.passed += 1;
        }
        taken
    }

    /// Whose turn is the n-th, counted from 0: by number within a zone, zone by zone. A place stands in the zone of its
    /// number's remainder, so the first zones may have one place more.
    fn turn(&self, nth: u32, zones: NonZeroU32) -> Slot {
        let zones = zones.get();
        let (each, more) = (self.places / zones, self.places % zones);
        let in_larger = more * (each + 1);
        let (zone, within) = if nth < in_larger {
            (nth / (each + 1), nth % (each + 1))
        } else {
            (more + (nth - in_larger) / each, (nth - in_larger) % each)
        };
        Slot(within * zones + zone)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn zones(zones: u32) -> NonZeroU32 {
        NonZeroU32::new(zones).expect("not 0")
    }

    fn turns(places: u32, of: u32) -> Vec<u32> {
        let order = Order::new(places);
        (0..places).map(|nth| order.turn(nth, zones(of)).0).collect()
    }

    #[test]
    fn zones_have_their_turns_one_after_the_other() {
        assert_eq!(turns(5, 1), [0, 1, 2, 3, 4]);
        assert_eq!(turns(8, 3), [0, 3, 6, 1, 4, 7, 2, 5]);
        assert_eq!(turns(6, 3), [0, 3, 1, 4, 2, 5]);
        assert_eq!(turns(2, 3), [0, 1], "the service has shrunk below one a zone");
    }

    #[test]
    fn a_wave_ends_with_its_zone() {
        let mut order = Order::new(8);
        let mut next = |most| {
            let taken = order.next(most, zones(3), |_| true, |_| false);
            taken.into_iter().map(|slot| slot.0).collect::<Vec<_>>()
        };
        assert_eq!(
            [next(2), next(2), next(9), next(9), next(9)],
            [vec![0, 3], vec![6], vec![1, 4, 7], vec![2, 5], vec![]]
        );
    }

    #[test]
    fn who_goes_first_and_who_is_away() {
        let mut order = Order::new(6);
        order.go_first(Slot(4));
        let taken = order.next(2, zones(1), |_| true, |slot| slot == Slot(1));
        assert_eq!(taken, [Slot(4), Slot(0)]);
        let taken = order.next(2, zones(1), |slot| slot != Slot(4), |slot| slot == Slot(1));
        assert_eq!(taken, [Slot(2), Slot(3)]);
        let behind = |slot| slot == Slot(1) || slot == Slot(5);
        let taken = order.next(9, zones(1), behind, |_| false);
        assert_eq!(taken, [Slot(1), Slot(5)]);
        order.skip(zones(1), |_| true);
        assert!(order.is_done());
    }
}
