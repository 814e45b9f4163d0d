//! Least connections: the endpoint with the fewest open requests for its weight, found without a search.
//!
//! Members of the ordinary weight stand in buckets by their count, which moves by one at a time: constant time. The
//! others, those in their slow start and those of another weight, stand in an ordered map by the cost of one more
//! request there.

use super::weight::Weight;
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
    /// The others by the bits of their cost, which have the order of the costs themselves because these are positive.
    others: BTreeMap<u64, Vec<Endpoint>>,
    /// By endpoint; `None` for those who are no members.
    places: Vec<Option<Place>>,
}

/// Where a member stands, and at which position there.
#[derive(Clone, Copy, Debug)]
struct Place {
    among: Among,
    position: u32,
}

#[derive(Clone, Copy, Debug)]
enum Among {
    /// Those of the ordinary weight with so many open requests.
    Ordinary(u32),
    /// Others with a cost of these bits.
    Others(u64),
}

impl Among {
    fn of(weight: Weight, open: u32) -> Self {
        if weight == Weight::ONE { Among::Ordinary(open) } else { Among::Others(weight.cost(open).to_bits()) }
    }
}

impl LeastOpen {
    /// A member joins.
    pub(super) fn join(&mut self, member: Endpoint, loads: &Loads) {
        let among = Among::of(loads.weight(member), loads.open(member));
        let peers = match among {
            Among::Ordinary(open) => {
                let bucket = open as usize;
                if bucket >= self.buckets.len() {
                    self.buckets.resize_with(bucket + 1, Vec::new);
                }
                self.fewest = self.fewest.min(bucket);
                &mut self.buckets[bucket]
            }
            Among::Others(cost) => self.others.entry(cost).or_default(),
        };
        let position = peers.len() as u32;
        peers.push(member);
        if member.index() >= self.places.len() {
            self.places.resize(member.index() + 1, None);
        }
        self.places[member.index()] = Some(Place { among, position });
    }

    /// Somebody leaves. Returns whether it was a member.
    pub(super) fn leave(&mut self, member: Endpoint) -> bool {
        let place = self.places.get_mut(member.index()).and_then(Option::take);
        let Some(Place { among, position }) = place else { return false };
        let peers = match among {
            Among::Ordinary(open) => &mut self.buckets[open as usize],
            Among::Others(cost) => self.others.get_mut(&cost).expect("it stood there"),
        };
        peers.swap_remove(position as usize);
        if let Some(moved) = peers.get(position as usize) {
            let place = self.places[moved.index()].as_mut().expect("it stands there");
            place.position = position;
        }
        if let Among::Others(cost) = among
            && peers.is_empty()
        {
            self.others.remove(&cost);
        }
        true
    }

    /// Somebody's count or weight changed; nothing happens where it is no member.
    pub(super) fn update(&mut self, member: Endpoint, loads: &Loads) {
        if self.leave(member) {
            self.join(member, loads);
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

    fn least(&mut self, luck: u32) -> Option<Endpoint> {
        while self.buckets.get(self.fewest).is_some_and(Vec::is_empty) {
            self.fewest += 1;
        }
        let ordinary = self.buckets.get(self.fewest).map_or(&[][..], Vec::as_slice);
        let (cost, others) = self.others.first_key_value().map_or((u64::MAX, &[][..]), |(cost, all)| (*cost, all));
        let order = if ordinary.is_empty() {
            Ordering::Greater
        } else {
            Weight::ONE.cost(self.fewest as u32).to_bits().cmp(&cost)
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
