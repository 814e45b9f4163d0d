//! Least connections: the endpoint with the fewest open requests for its weight, found without a search.
//!
//! Members of the ordinary weight stand in the order of their counts. A count moves by one at a time, so whoever has one more or one
//! fewer changes places with the last or the first one of its count: constant time, and nobody else moves. The others,
//! those in their slow start and those of another weight, stand in an ordered map by the cost of one more request there.

use super::weight::{Cost, Weight};
use super::{Endpoint, Loads};
use crate::random::below;
use std::cmp::Ordering;
use std::collections::BTreeMap;
use std::hint::select_unpredictable;
use std::ops::Range;

/// Members by what one more request costs at them.
#[derive(Clone, Debug, Default)]
pub(super) struct LeastOpen {
    /// Those of the ordinary weight, whoever has the fewest open requests first.
    order: Vec<Endpoint>,
    /// By endpoint: where it stands there, or [`NOWHERE`].
    positions: Vec<u32>,
    /// By count: how many of them have fewer open. It is longer than any count, and its end counts all of them.
    fewer: Vec<u32>,
    /// The others by their cost.
    others: BTreeMap<Cost, Vec<Endpoint>>,
    /// Of each of the others: its cost, and its place among those of that cost.
    costs: BTreeMap<Endpoint, (Cost, u32)>,
}

/// The position of those who do not stand in the order.
const NOWHERE: u32 = u32::MAX;

impl LeastOpen {
    /// A member joins.
    pub(super) fn join(&mut self, member: Endpoint, loads: &Loads) {
        let (weight, open) = (loads.weight(member), loads.open(member));
        if weight == Weight::ONE {
            self.enter(member, open);
        } else {
            let cost = weight.cost(open);
            let peers = self.others.entry(cost).or_default();
            self.costs.insert(member, (cost, peers.len() as u32));
            peers.push(member);
        }
    }

    /// Somebody leaves. Returns whether it was a member.
    pub(super) fn leave(&mut self, member: Endpoint) -> bool {
        if let Some(position) = self.position(member) {
            self.depart(member, position);
            return true;
        }
        let Some((cost, place)) = self.costs.remove(&member) else { return false };
        let peers = self.others.get_mut(&cost).expect("it stood there");
        peers.swap_remove(place as usize);
        if let Some(moved) = peers.get(place as usize) {
            self.costs.insert(*moved, (cost, place));
        } else if peers.is_empty() {
            self.others.remove(&cost);
        }
        true
    }

    /// Where a member of the ordinary weight stands.
    fn position(&self, member: Endpoint) -> Option<u32> {
        self.positions.get(member.index()).copied().filter(|position| *position != NOWHERE)
    }

    /// Somebody enters the order at its end, and passes all that have more open.
    fn enter(&mut self, member: Endpoint, open: u32) {
        if member.index() >= self.positions.len() {
            self.positions.resize(member.index() + 1, NOWHERE);
        }
        self.make_room(open);
        self.positions[member.index()] = self.order.len() as u32;
        self.order.push(member);
        let counts = self.fewer.len() as u32;
        let mut ranks = self.ranks();
        for count in (open + 1..counts).rev() {
            ranks.lower(member, ranks.positions[member.index()], count);
        }
    }

    /// Somebody passes all that have as many or more open, and leaves the order at its end.
    fn depart(&mut self, member: Endpoint, position: u32) {
        let higher = self.fewer.partition_point(|fewer| *fewer <= position) as u32;
        let counts = self.fewer.len() as u32;
        let mut ranks = self.ranks();
        for count in higher..counts {
            ranks.raise(member, ranks.positions[member.index()], count - 1);
        }
        self.order.pop();
        self.positions[member.index()] = NOWHERE;
    }

    /// Somebody has so many open, and may have one more.
    fn make_room(&mut self, open: u32) {
        let counts = open as usize + 3;
        if counts > self.fewer.len() {
            self.fewer.resize(counts.next_power_of_two(), self.order.len() as u32);
        }
    }

    /// Somebody's count or weight changed; nothing happens where it is no member.
    pub(super) fn update(&mut self, member: Endpoint, loads: &Loads) {
        if self.leave(member) {
            self.join(member, loads);
        }
    }

    /// One more is open at somebody.
    pub(super) fn opened(&mut self, member: Endpoint, loads: &Loads) {
        if let Some(position) = self.position(member) {
            let open = loads.open(member);
            self.make_room(open);
            self.ranks().raise(member, position, open - 1);
        } else if !self.costs.is_empty() {
            self.update(member, loads);
        }
    }

    /// One fewer is open at somebody.
    pub(super) fn closed(&mut self, member: Endpoint, loads: &Loads) {
        if let Some(position) = self.position(member) {
            self.ranks().lower(member, position, loads.open(member) + 1);
        } else if !self.costs.is_empty() {
            self.update(member, loads);
        }
    }

    fn ranks(&mut self) -> Ranks<'_> {
        Ranks { order: &mut self.order, positions: &mut self.positions, fewer: &mut self.fewer }
    }

    /// For requests in a row, as long as all members are of the ordinary weight. `open`: how many are open, by endpoint.
    #[inline]
    pub(super) fn fewest<'a>(&'a mut self, open: &'a mut [u32]) -> Option<Fewest<'a>> {
        if !self.costs.is_empty() {
            return None;
        }
        let count = open[self.order.first()?.index()];
        self.positions.resize(open.len(), NOWHERE);
        Some(Fewest { ranks: self.ranks(), open, count })
    }

    /// One of those where a request costs least, but none of these; ties by luck.
    pub(super) fn choose(&self, luck: u64, excluded: &[Endpoint], loads: &Loads) -> Option<Endpoint> {
        let (count, ordinary) = self.fewest_but(excluded, loads).unzip();
        let (cost, others) = self.cheapest_but(excluded).unzip();
        let order = match (count, cost) {
            (Some(count), Some(cost)) => Weight::ONE.cost(count).cmp(cost),
            (_, None) => Ordering::Less,
            (None, _) => Ordering::Greater,
        };
        let ordinary = ordinary.filter(|_| order.is_le()).unwrap_or_default();
        let others = others.filter(|_| order.is_ge()).unwrap_or_default();
        let place = below((luck >> 32) as u32, (ordinary.count() + others.count()) as u32) as usize;
        ordinary.get(place).or_else(|| others.get(place - ordinary.count()))
    }

    /// The fewest open requests that anybody of the ordinary weight has, but these; and who has so many.
    fn fewest_but(&self, excluded: &[Endpoint], loads: &Loads) -> Option<(u32, Group<'_>)> {
        let mut begins = 0;
        while let Some(first) = self.order.get(begins) {
            let count = loads.open(*first);
            let ends = self.fewer[count as usize + 1] as usize;
            let those = Group::but(&self.order, begins..ends, excluded.iter().filter_map(|one| self.position(*one)));
            if those.count() > 0 {
                return Some((count, those));
            }
            begins = ends;
        }
        None
    }

    /// The least cost of the others, but these; and whose it is.
    fn cheapest_but(&self, excluded: &[Endpoint]) -> Option<(&Cost, Group<'_>)> {
        let mut groups = self.others.iter().map(|(cost, all)| {
            let standing = excluded.iter().filter_map(|one| self.costs.get(one));
            let places = standing.filter(|(other, _)| other == cost).map(|(_, place)| *place);
            (cost, Group::but(all, 0..all.len(), places))
        });
        groups.find(|(_, those)| those.count() > 0)
    }
}

/// Some of a list.
#[derive(Default)]
struct Group<'a> {
    all: &'a [Endpoint],
    within: Range<usize>,
    /// The places of those that do not count, in order.
    but: Vec<usize>,
}

impl<'a> Group<'a> {
    /// Those within a range but those at such places.
    fn but(all: &'a [Endpoint], within: Range<usize>, places: impl Iterator<Item = u32>) -> Self {
        let mut but: Vec<usize> = places.map(|place| place as usize).filter(|place| within.contains(place)).collect();
        but.sort_unstable();
        but.dedup();
        Group { all, within, but }
    }

    fn count(&self) -> usize {
        self.within.len() - self.but.len()
    }

    /// The one after so many of them.
    fn get(&self, number: usize) -> Option<Endpoint> {
        let place = self.but.iter().fold(self.within.start + number, |place, but| place + usize::from(*but <= place));
        self.within.contains(&place).then(|| self.all[place])
    }
}

/// The order of those of the ordinary weight.
struct Ranks<'a> {
    order: &'a mut [Endpoint],
    positions: &'a mut [u32],
    fewer: &'a mut [u32],
}

impl Ranks<'_> {
    /// Whoever stood somewhere with so many open has one more: it becomes the first of those.
    #[inline(always)]
    fn raise(&mut self, member: Endpoint, position: u32, count: u32) {
        let fewer = &mut self.fewer[count as usize + 1];
        *fewer -= 1;
        let last = *fewer;
        self.swap(member, position, last);
    }

    /// Whoever stood somewhere with so many open has one fewer: it becomes the last of those.
    #[inline(always)]
    fn lower(&mut self, member: Endpoint, position: u32, count: u32) {
        let fewer = &mut self.fewer[count as usize];
        let first = *fewer;
        *fewer += 1;
        self.swap(member, position, first);
    }

    /// A member changes places.
    #[inline(always)]
    fn swap(&mut self, member: Endpoint, from: u32, to: u32) {
        debug_assert_eq!(self.order[from as usize], member);
        let other = self.order[to as usize];
        (self.order[from as usize], self.positions[other.index()]) = (other, from);
        (self.order[to as usize], self.positions[member.index()]) = (member, to);
    }
}

/// What a balancer knows of the open requests of its members, all of the ordinary weight: borrowed for requests in a row.
pub(crate) struct Fewest<'a> {
    ranks: Ranks<'a>,
    /// By endpoint.
    open: &'a mut [u32],
    /// So many are open where the fewest are.
    count: u32,
}

impl Fewest<'_> {
    /// How many endpoints are known.
    #[inline]
    pub(crate) fn endpoints(&self) -> usize {
        self.open.len()
    }

    /// The same; how many [endpoints](Fewest::endpoints) there are is known then where it is compiled.
    #[inline(always)]
    pub(crate) fn of(self, endpoints: usize) -> Self {
        let Fewest { ranks: Ranks { order, positions, fewer }, open, count } = self;
        let ranks = Ranks { order, positions: &mut positions[..endpoints], fewer };
        Fewest { ranks, open: &mut open[..endpoints], count }
    }

    /// What happens next: a request ends at this endpoint, or one begins at one of those with the fewest open ones, ties by luck.
    /// Which of the two it is falls to chance, so nothing branches on it. `None`: more must be known.
    #[inline(always)]
    pub(crate) fn next(&self, ends: bool, endpoint: Endpoint, luck: u64) -> Option<Step> {
        let Ranks { order, positions, fewer } = &self.ranks;
        let fewest = self.count as usize + 1;
        let fewer = fewer.get(..fewest + 2)?; // One more has its place, too.
        let chosen = below((luck >> 32) as u32, fewer[fewest]);
        let begun = *order.get(chosen as usize)?;
        let (open, position) = (*self.open.get(endpoint.index())?, *positions.get(endpoint.index())?);
        let position = select_unpredictable(ends, position, chosen);
        let bound = select_unpredictable(ends, open, self.count + 1);
        if position as usize >= order.len() {
            return None; // It is no member.
        }
        Some(Step { member: select_unpredictable(ends, endpoint, begun), position, bound, ends })
    }

    /// What [`Fewest::next`] came to just now happens.
    #[inline(always)]
    pub(crate) fn take(&mut self, Step { member, position, bound, ends }: Step) {
        debug_assert_eq!(self.open[member.index()], bound - u32::from(!ends));
        let open = bound - u32::from(ends);
        self.open[member.index()] = open;
        let fewer = &mut self.ranks.fewer[bound as usize];
        let to = *fewer - u32::from(!ends);
        *fewer = to + u32::from(ends);
        self.ranks.swap(member, position, to);
        self.count = select_unpredictable(ends, self.count.min(open), self.count + u32::from(to == 0));
    }

    /// One fewer is open somewhere.
    #[inline(always)]
    pub(crate) fn closed(&mut self, endpoint: Endpoint) {
        let open = self.open[endpoint.index()];
        debug_assert!(open > 0, "an attempt at {endpoint:?} ended twice");
        self.open[endpoint.index()] = open - 1;
        let Some(position) = self.ranks.positions.get(endpoint.index()).filter(|position| **position != NOWHERE) else {
            return; // It is no member.
        };
        self.ranks.lower(endpoint, *position, open);
        self.count = self.count.min(open - 1);
    }
}

/// A request ends or begins at a member.
#[derive(Clone, Copy)]
pub(crate) struct Step {
    pub(crate) member: Endpoint,
    /// Where it stands.
    position: u32,
    /// How many are open there with this one.
    bound: u32,
    ends: bool,
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::random::mix;
    use std::collections::BTreeSet;

    /// Members of these weights with so many open requests each, and how often each of them is chosen.
    #[track_caller]
    fn check(members: &[(f64, u32)], excluded: &[u32], expected: &[f64]) {
        let loads = Loads {
            open: members.iter().map(|(_, open)| *open).collect(),
            weights: members.iter().map(|(weight, _)| Weight::new(*weight)).collect(),
        };
        let mut least = LeastOpen::default();
        for endpoint in (0..members.len() as u32).map(Endpoint) {
            least.join(endpoint, &loads);
        }
        let excluded: Vec<Endpoint> = excluded.iter().copied().map(Endpoint).collect();
        let mut counts = vec![0u32; members.len()];
        for number in 0..10_000 {
            let chosen = least.choose(mix(number), &excluded, &loads);
            counts[chosen.expect("there are others").index()] += 1;
        }
        for (count, share) in counts.iter().zip(expected) {
            let allowance = 4.0 * (1e4 * share * (1.0 - share)).sqrt();
            assert!((f64::from(*count) - 1e4 * share).abs() <= allowance, "{counts:?}");
        }
    }

    #[test]
    fn the_fewest_for_their_weight_are_chosen_and_ties_fall_to_chance() {
        let third = 1.0 / 3.0;
        //     (weight, open)                             excluded  shares
        check(&[(1.0, 3), (1.0, 0), (1.0, 1)], &[], &[0.0, 1.0, 0.0]);
        check(&[(1.0, 2), (1.0, 2), (1.0, 2)], &[], &[third; 3]);
        check(&[(1.0, 2), (1.0, 2), (1.0, 2)], &[1], &[0.5, 0.0, 0.5]);
        check(&[(1.0, 0), (0.5, 0), (1.0, 1)], &[], &[1.0, 0.0, 0.0]); // 1 against 2.
        check(&[(1.0, 1), (0.5, 0), (1.0, 1)], &[], &[third; 3]); // 2 for each.
        check(&[(1.0, 2), (0.5, 0), (1.0, 2)], &[], &[0.0, 1.0, 0.0]); // 3 against 2.
        check(&[(1.0, 0), (2.0, 1), (4.0, 2)], &[], &[0.0, 0.0, 1.0]); // 3 / 4.
        check(&[(1.0, 0), (2.0, 1), (4.0, 2)], &[2], &[0.5, 0.5, 0.0]);
        check(&[(0.3, 7), (0.3, 7)], &[], &[0.5; 2]);
    }

    #[test]
    fn nobody_is_chosen_where_nobody_is_left() {
        let mut least = LeastOpen::default();
        let loads = Loads { open: vec![3], weights: vec![Weight::ONE] };
        assert_eq!(least.choose(1, &[], &loads), None);
        least.join(Endpoint(0), &loads);
        assert_eq!(least.choose(1, &[Endpoint(0), Endpoint(0), Endpoint(5)], &loads), None);
        assert_eq!(least.choose(1, &[], &loads), Some(Endpoint(0)));
        assert!(least.leave(Endpoint(0)));
        assert!(!least.leave(Endpoint(0)));
        assert_eq!(least.choose(1, &[], &loads), None);
    }

    #[test]
    fn whoever_has_the_fewest_is_found_as_by_a_search_through_all() {
        let mut least = LeastOpen::default();
        let mut loads = Loads { open: vec![0; 40], weights: vec![Weight::ONE; 40] };
        let mut members = BTreeSet::new();
        let mut luck = 11;
        for step in 0..20_000 {
            luck = mix(luck);
            let endpoint = Endpoint((luck >> 8) as u32 % 40);
            let open = &mut loads.open[endpoint.index()];
            // All of one weight for a while, then some of others.
            match luck % 16 {
                0 => {
                    if members.insert(endpoint) {
                        least.join(endpoint, &loads);
                    }
                }
                1 => assert_eq!(least.leave(endpoint), members.remove(&endpoint)),
                2 if step > 10_000 => {
                    loads.weights[endpoint.index()] = [Weight::ONE, Weight::new(0.5)][(luck >> 16) as usize % 2];
                    least.update(endpoint, &loads);
                }
                3..8 if *open > 0 => {
                    *open -= 1;
                    least.closed(endpoint, &loads);
                }
                _ => {
                    *open += 1;
                    least.opened(endpoint, &loads);
                }
            }
            let excluded = [1, 2, 3].map(|shift| Endpoint((luck >> (8 * shift)) as u32 % 40));
            let excluded = &excluded[..(luck >> 40) as usize % 4];
            let allowed = || members.iter().filter(|one| !excluded.contains(one));
            let cost = |endpoint: &Endpoint| loads.cost(*endpoint, 0);
            let cheapest = allowed().map(cost).min();
            let chosen = least.choose(luck, excluded, &loads);
            assert_eq!(chosen.map(|chosen| cost(&chosen)), cheapest);
            assert!(chosen.is_none_or(|chosen| allowed().any(|one| *one == chosen)), "{chosen:?}");
            if excluded.is_empty() {
                check_steps(&least, &loads, endpoint, luck);
            }
        }
    }

    /// Steps in a row come to what requests come to one by one.
    #[track_caller]
    fn check_steps(least: &LeastOpen, loads: &Loads, endpoint: Endpoint, luck: u64) {
        let (mut by_steps, mut open) = (least.clone(), loads.open.clone());
        let (mut by_one, mut loads) = (least.clone(), loads.clone());
        let Some(fewest) = by_steps.fewest(&mut open) else { return };
        let endpoints = fewest.endpoints();
        let mut fewest = fewest.of(endpoints);
        for luck in [luck, mix(luck)] {
            let chosen = by_one.choose(luck, &[], &loads).expect("there are members");
            let Some(begins) = fewest.next(false, endpoint, luck) else {
                assert!(fewest.count as usize + 3 > fewest.ranks.fewer.len(), "all is known");
                break;
            };
            assert_eq!(begins.member, chosen);
            fewest.take(begins);
            loads.open[chosen.index()] += 1;
            by_one.opened(chosen, &loads);
            if loads.open[endpoint.index()] > 0
                && let Some(ends) = fewest.next(true, endpoint, luck)
            {
                assert_eq!(ends.member, endpoint);
                fewest.take(ends);
                loads.open[endpoint.index()] -= 1;
                by_one.closed(endpoint, &loads);
            }
        }
        assert_eq!(fewest.count, loads.open(by_one.order[0]));
        assert_eq!((&open, &by_steps.order), (&loads.open, &by_one.order));
        // One by one they make room.
        assert_eq!(by_steps.fewer[..], by_one.fewer[..by_steps.fewer.len()]);
        assert_eq!(by_steps.positions[..by_one.positions.len()], by_one.positions);
    }
}
