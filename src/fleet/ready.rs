//! Who of a version is ready, and since when, so that nobody has to look through a fleet for the few that an orchestrator
//! asks about: each question costs the logarithm of how many there are.

use super::{Instance, InstanceId};
use crate::bits::places;
use crate::time::SimTime;
use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};

/// A moment as the API server keeps it: a whole second; `None`: the start of the run, from before which on it has been so.
pub type Second = Option<SimTime>;

/// That of a moment.
pub fn second_of(moment: SimTime) -> Second {
    (moment != SimTime::START).then(|| moment.whole_second())
}

/// The ready instances of a version.
#[derive(Clone, Debug, Default)]
pub struct Ready {
    groups: BTreeMap<Second, Group>,
    log: Log,
}

impl Ready {
    /// An instance becomes ready, later than those before; its place in the log.
    pub(super) fn enter(&mut self, id: InstanceId, instance: &Instance, now: SimTime) -> u32 {
        let group = self.groups.entry(second_of(now)).or_insert(Group::EMPTY);
        group.least_rank = group.least_rank.min(instance.rank);
        group.in_order.insert(Place::of(id, instance));
        self.log.push(now)
    }

    /// One that is ready since a moment, with that place, is so no longer.
    pub(super) fn leave(&mut self, id: InstanceId, instance: &Instance, since: SimTime, place: u32) {
        let second = second_of(since);
        let group = self.groups.get_mut(&second).expect("it was ready since then");
        group.in_order.remove(&Place::of(id, instance));
        if group.in_order.is_empty() {
            self.groups.remove(&second);
        } else if instance.rank == group.least_rank {
            group.least_rank = group.firsts().map(|first| first.rank).min().expect("somebody is left");
        }
        self.log.remove(place);
    }

    /// How many became ready too late for something, and when the first of these did. Whoever became ready before one that
    /// is early enough is so, too.
    pub fn later(&self, is_early: impl Fn(SimTime) -> bool) -> (u32, Option<SimTime>) {
        self.log.later(is_early)
    }

    /// Those that became ready in the same second, the latest ones first.
    pub fn groups(&self) -> impl Iterator<Item = (Second, &Group)> {
        self.groups.iter().rev().map(|(second, group)| (*second, group))
    }
}

/// Instances that became ready in the same second.
#[derive(Clone, Debug)]
pub struct Group {
    least_rank: u64,
    in_order: BTreeSet<Place>,
}

/// The place of an instance among those of its group: the one that failed more often is before the others, then the one
/// that was launched in a later second.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Place {
    failures: Reverse<u32>,
    launched: Reverse<Second>,
    rank: u64,
    id: InstanceId,
}

impl Place {
    fn of(id: InstanceId, instance: &Instance) -> Self {
        let launched = Reverse(second_of(instance.launched_at));
        Place { failures: Reverse(instance.failures), launched, rank: instance.rank, id }
    }

    /// The last one that this could be of those that failed as often and were launched in the same second.
    fn last_of_its_kind(self) -> Self {
        Place { rank: u64::MAX, id: InstanceId(u32::MAX), ..self }
    }
}

impl Group {
    const EMPTY: Group = Group { least_rank: u64::MAX, in_order: BTreeSet::new() };

    /// The least rank of them.
    pub fn least_rank(&self) -> u64 {
        self.least_rank
    }

    /// The first one of each that failed as often and were launched in the same second.
    fn firsts(&self) -> impl Iterator<Item = Place> {
        std::iter::successors(self.in_order.first().copied(), |first| self.after(*first))
    }

    /// The first one of those after all of its kind.
    fn after(&self, place: Place) -> Option<Place> {
        let last = place.last_of_its_kind();
        self.in_order.range(last..).find(|place| **place != last).copied()
    }

    /// The first ones: those that failed more often, then those of a later launch, as far as `alike` tells seconds apart, then
    /// those of a lower rank.
    pub fn first(&self, count: usize, alike: impl Fn(Second, Second) -> bool) -> Vec<InstanceId> {
        let mut first = Vec::new();
        let mut next = self.in_order.first().copied();
        while let Some(Place { failures, launched: Reverse(second), .. }) = next.filter(|_| first.len() < count) {
            let left = count - first.len();
            let mut equals = Vec::new();
            while let Some(place) = next
                && place.failures == failures
                && alike(place.launched.0, second)
            {
                let last = place.last_of_its_kind();
                equals.extend(self.in_order.range(place..=last).take(left).map(|place| (place.rank, place.id)));
                next = self.after(place);
            }
            equals.sort_unstable();
            first.extend(equals.into_iter().take(left).map(|(_, id)| id));
        }
        first
    }
}

/// Moments in the order of time, some of which do not count any more: a Fenwick tree (P. Fenwick, "A new data structure for
/// cumulative frequency tables", 1994) above sets of 64, so that all of it is at hand.
#[derive(Clone, Debug, Default)]
struct Log {
    moments: Vec<SimTime>,
    /// Which ones count, a bit each.
    counts: Vec<u64>,
    /// At `n - 1`: how many count in the `lowest_bit(n)` sets up to the n-th.
    tree: Vec<u32>,
    counting: u32,
}

const fn lowest_bit(n: usize) -> usize {
    n & n.wrapping_neg()
}

impl Log {
    /// The moment's place.
    fn push(&mut self, moment: SimTime) -> u32 {
        debug_assert!(self.moments.last().is_none_or(|last| *last <= moment), "moments come in order");
        let place = self.moments.len();
        self.moments.push(moment);
        if place.is_multiple_of(64) {
            let n = place / 64 + 1;
            let (mut count, mut before) = (0, n - 1);
            while before > n - lowest_bit(n) {
                count += self.tree[before - 1];
                before -= lowest_bit(before);
            }
            self.counts.push(0);
            self.tree.push(count);
        }
        self.counts[place / 64] |= 1 << (place % 64);
        self.count(place, |count| count + 1);
        place as u32
    }

    fn remove(&mut self, place: u32) {
        self.counts[place as usize / 64] &= !(1 << (place % 64));
        self.count(place as usize, |count| count - 1);
    }

    /// One more or fewer counts there.
    fn count(&mut self, place: usize, change: impl Fn(u32) -> u32) {
        let mut n = place / 64 + 1;
        while n <= self.tree.len() {
            self.tree[n - 1] = change(self.tree[n - 1]);
            n += lowest_bit(n);
        }
        self.counting = change(self.counting);
    }

    /// How many of the first `n` count.
    fn counting_before(&self, n: usize) -> u32 {
        let within = self.counts.get(n / 64).map_or(0, |set| (set & ((1 << (n % 64)) - 1)).count_ones());
        let (mut count, mut sets) = (within, n / 64);
        while sets > 0 {
            count += self.tree[sets - 1];
            sets -= lowest_bit(sets);
        }
        count
    }

    /// The one that counts and has so many that count before it.
    fn after(&self, mut count: u32) -> Option<SimTime> {
        let mut sets = 0;
        let mut step = (self.tree.len() + 1).next_power_of_two();
        while step > 0 {
            if let Some(within) = self.tree.get(sets + step - 1).filter(|within| **within <= count) {
                count -= within;
                sets += step;
            }
            step /= 2;
        }
        let place = places(*self.counts.get(sets)?).nth(count as usize)?;
        Some(self.moments[sets * 64 + place])
    }

    fn later(&self, is_early: impl Fn(SimTime) -> bool) -> (u32, Option<SimTime>) {
        let early = self.counting_before(self.moments.partition_point(|moment| is_early(*moment)));
        let later = self.counting - early;
        (later, if later > 0 { self.after(early) } else { None })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::random::{GOLDEN, mix};

    #[test]
    fn the_log_counts_what_a_list_counts() {
        let (mut log, mut list) = (Log::default(), Vec::new());
        let mut luck = 7;
        for step in 0..2000_u64 {
            luck = mix(luck ^ GOLDEN);
            let now = SimTime::from_nanos(step / 3);
            if luck % 3 > 0 {
                list.push((now, log.push(now)));
            } else if !list.is_empty() {
                let (_, place) = list.remove((luck >> 8) as usize % list.len());
                log.remove(place);
            }
            let bound = SimTime::from_nanos((luck >> 20) % (step / 3 + 2));
            let later: Vec<SimTime> = list.iter().map(|(at, _)| *at).filter(|at| *at >= bound).collect();
            assert_eq!(log.later(|at| at < bound), (later.len() as u32, later.first().copied()));
        }
    }
}
