//! Places on their way. A decision looks at those alone to which something has happened, or whose time has come.

use crate::fleet::{Fleet, InstanceId, Slot, Version};
use crate::rollout::agenda::Agenda;
use crate::time::SimTime;
use std::collections::BTreeMap;

/// A place on its way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Move {
    pub(super) slot: Slot,
    pub(super) version: Version,
    pub(super) step: Step,
    pub(super) since: SimTime,
    /// What was launched there.
    pub(super) instance: Option<InstanceId>,
    /// It was taken out of the balancers first.
    pub(super) is_out: bool,
}

/// The order of the variants is that of a life.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Step {
    TakeOut,
    Stop,
    Gap,
    Start,
    PutBack,
    Done,
    Failed,
    /// Its place is under repair.
    Left,
}

impl Move {
    pub(super) fn is_settled(&self) -> bool {
        matches!(self.step, Step::Done | Step::Failed)
    }
}

/// Places on their way, in the order in which they began, numbered by it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Moves {
    by_number: BTreeMap<u32, Move>,
    begun: u32,
    unsettled: u32,
    in_slot: BTreeMap<Slot, u32>,
    agenda: Agenda<u32>,
    /// What lives in their slots, by number; and how many of each version are wanted beyond all that.
    living: BTreeMap<u32, [u32; Version::COUNT]>,
    more: [i64; Version::COUNT],
}

impl Moves {
    /// A place begins; it is looked at next.
    pub(super) fn push(&mut self, place: Move, fleet: &Fleet) {
        let number = self.begun;
        self.begun += 1;
        self.unsettled += u32::from(!place.is_settled());
        self.in_slot.insert(place.slot, number);
        self.more[place.version.index()] += 1;
        self.by_number.insert(number, place);
        self.count_living(number, fleet);
        self.agenda.call(number);
    }

    pub(super) fn remove(&mut self, number: u32) {
        let Some(place) = self.by_number.remove(&number) else { return };
        self.unsettled -= u32::from(!place.is_settled());
        self.in_slot.remove(&place.slot);
        self.more[place.version.index()] -= 1;
        self.put_living(number, [0; Version::COUNT]);
        self.living.remove(&number);
        self.agenda.strike(number);
    }

    /// The others are not wanted any more.
    pub(super) fn keep_below(&mut self, slot: Slot) {
        let beyond: Vec<u32> = self.in_slot.range(slot..).map(|(_, number)| *number).collect();
        for number in beyond {
            self.remove(number);
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.by_number.is_empty()
    }

    /// Whether nothing is under way any more.
    pub(super) fn are_settled(&self) -> bool {
        self.unsettled == 0
    }

    pub(super) fn all(&self) -> impl Iterator<Item = &Move> {
        self.by_number.values()
    }

    pub(super) fn numbers(&self) -> Vec<u32> {
        self.by_number.keys().copied().collect()
    }

    pub(super) fn get(&self, number: u32) -> Move {
        self.by_number[&number]
    }

    pub(super) fn put(&mut self, number: u32, place: Move) {
        let before = self.by_number.insert(number, place).expect("it is on its way");
        debug_assert_eq!((before.slot, before.version), (place.slot, place.version));
        self.unsettled += u32::from(!place.is_settled());
        self.unsettled -= u32::from(!before.is_settled());
    }

    /// Something has happened to instances.
    pub(super) fn hear(&mut self, fleet: &Fleet) {
        for id in fleet.changed() {
            if let Some(number) = self.in_slot.get(&fleet[*id].slot).copied() {
                self.count_living(number, fleet);
                self.agenda.call(number);
            }
        }
    }

    /// Those to look at now.
    pub(super) fn due(&mut self, now: SimTime) -> Vec<u32> {
        std::iter::from_fn(|| self.agenda.next(now)).collect()
    }

    pub(super) fn wake_at(&mut self, at: SimTime, number: u32) {
        self.agenda.wake_at(at, number);
    }

    pub(super) fn wakes_next(&mut self, now: SimTime) -> Option<SimTime> {
        self.agenda.wakes_next(now)
    }

    /// How many instances of each version are wanted beyond those that live.
    pub(super) fn more(&self) -> [i64; Version::COUNT] {
        self.more
    }

    fn count_living(&mut self, number: u32, fleet: &Fleet) {
        let mut living = [0; Version::COUNT];
        for (_, instance) in fleet.live_in_slot(self.by_number[&number].slot) {
            living[instance.version.index()] += 1;
        }
        self.put_living(number, living);
    }

    fn put_living(&mut self, number: u32, living: [u32; Version::COUNT]) {
        let before = self.living.insert(number, living).unwrap_or_default();
        for (more, (before, now)) in self.more.iter_mut().zip(before.into_iter().zip(living)) {
            *more += i64::from(before) - i64::from(now);
        }
    }
}
