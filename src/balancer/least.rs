//! Least connections: the endpoint with the fewest open requests for its weight, found without a search.
//!
//! Members of the ordinary weight stand in buckets by their count, which moves by one at a time: constant time. The
//! others, those in their slow start and those of another weight, stand in an ordered map by the cost of one more
//! request there.

use super::weight::{Cost, Weight};
use super::{Endpoint, Loads};
use crate::random::below;
use std::cmp::Ordering;
use std::collections::BTreeMap;

/// Members by what one more request costs at them.
#[derive(Clone, Debug, Default)]
pub(super) struct LeastOpen {
    /// Those of the ordinary weight, by open requests.
    buckets: Vec<Vec<Endpoint>>,
    /// No bucket below this holds anybody.
    fewest: usize,
    /// The others by their cost.
    others: BTreeMap<Cost, Vec<Endpoint>>,
    /// By endpoint.
    places: Vec<Place>,
    /// The costs of the others.
    costs: BTreeMap<Endpoint, Cost>,
}

/// Where a member stands, and at which position there.
#[derive(Clone, Copy, Debug)]
struct Place {
    bucket: u32,
    position: u32,
}

impl Place {
    /// The place of those who are no members.
    const NONE: Place = Place { bucket: u32::MAX, position: 0 };

    /// The bucket of those who stand in none, for their weight is another one.
    const OTHERS: u32 = u32::MAX - 1;
}

impl LeastOpen {
    /// A member joins.
    pub(super) fn join(&mut self, member: Endpoint, loads: &Loads) {
        let (weight, open) = (loads.weight(member), loads.open(member));
        if weight == Weight::ONE {
            self.enter(member, open);
            return;
        }
        let cost = weight.cost(open);
        let peers = self.others.entry(cost).or_default();
        let position = peers.len() as u32;
        peers.push(member);
        self.costs.insert(member, cost);
        self.note_place(member, Place { bucket: Place::OTHERS, position });
    }

    /// Somebody leaves. Returns whether it was a member.
    pub(super) fn leave(&mut self, member: Endpoint) -> bool {
        let Some(place) = self.places.get_mut(member.index()) else { return false };
        let Place { bucket, position } = std::mem::replace(place, Place::NONE);
        if bucket < Place::OTHERS {
            self.depart(bucket, position);
        } else if bucket == Place::OTHERS {
            let cost = self.costs.remove(&member).expect("it is one of the others");
            let peers = self.others.get_mut(&cost).expect("it stood there");
            peers.swap_remove(position as usize);
            if let Some(moved) = peers.get(position as usize) {
                self.places[moved.index()].position = position;
            } else if peers.is_empty() {
                self.others.remove(&cost);
            }
        }
        bucket != u32::MAX
    }

    /// Somebody of the ordinary weight enters a bucket.
    #[inline]
    fn enter(&mut self, member: Endpoint, open: u32) {
        let bucket = open as usize;
        if bucket >= self.buckets.len() {
            self.buckets.resize_with(bucket + 1, Vec::new);
        }
        self.fewest = self.fewest.min(bucket);
        let peers = &mut self.buckets[bucket];
        let position = peers.len() as u32;
        peers.push(member);
        self.note_place(member, Place { bucket: open, position });
    }

    /// Whoever stands at a position of a bucket leaves it.
    #[inline]
    fn depart(&mut self, bucket: u32, position: u32) {
        let peers = &mut self.buckets[bucket as usize];
        peers.swap_remove(position as usize);
        if let Some(moved) = peers.get(position as usize) {
            self.places[moved.index()].position = position;
        }
    }

    #[inline]
    fn note_place(&mut self, member: Endpoint, place: Place) {
        if member.index() >= self.places.len() {
            self.places.resize(member.index() + 1, Place::NONE);
        }
        self.places[member.index()] = place;
    }

    /// Somebody's count or weight changed; nothing happens where it is no member.
    pub(super) fn update(&mut self, member: Endpoint, loads: &Loads) {
        if self.leave(member) {
            self.join(member, loads);
        }
    }

    /// Somebody's count changed, and nothing else: [`LeastOpen::update`], faster.
    #[inline]
    pub(super) fn recount(&mut self, member: Endpoint, loads: &Loads) {
        match self.places.get(member.index()) {
            Some(Place { bucket, position }) if *bucket < Place::OTHERS => {
                debug_assert_eq!(loads.weight(member), Weight::ONE, "{member:?} stands in a bucket");
                self.depart(*bucket, *position);
                self.enter(member, loads.open(member));
            }
            _ => self.update(member, loads),
        }
    }

    /// One of those where a request costs least, but none of these; ties by luck.
    pub(super) fn choose(&mut self, luck: u64, excluded: &[Endpoint], loads: &Loads) -> Option<Endpoint> {
        let mut aside = Vec::new();
        for endpoint in excluded {
            if self.leave(*endpoint) {
                aside.push(*endpoint);
            }
        }
        let chosen = self.least((luck >> 32) as u32);
        for endpoint in aside {
            self.join(endpoint, loads);
        }
        chosen
    }

    /// One of those where a request costs least; ties by luck.
    #[inline]
    pub(super) fn least(&mut self, luck: u32) -> Option<Endpoint> {
        while self.buckets.get(self.fewest).is_some_and(Vec::is_empty) {
            self.fewest += 1;
        }
        let ordinary = self.buckets.get(self.fewest).map_or(&[][..], Vec::as_slice);
        let cheapest = self.others.first_key_value();
        let others = cheapest.map_or(&[][..], |(_, all)| all);
        let order = match cheapest {
            _ if ordinary.is_empty() => Ordering::Greater,
            None => Ordering::Less,
            Some((cost, _)) => Weight::ONE.cost(self.fewest as u32).cmp(cost),
        };
        let (ordinary, others) = match order {
            Ordering::Less => (ordinary, &[][..]),
            Ordering::Equal => (ordinary, others),
            Ordering::Greater => (&[][..], others),
        };
        let count = ordinary.len() + others.len();
        let place = below(luck, count as u32) as usize;
        ordinary.get(place).or_else(|| others.get(place - ordinary.len())).copied()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::random::mix;

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
}
