//! Consistent hashing with bounded loads: the same endpoint for the same key, unless it has more than its share to do.
//!
//! Endpoints and keys have positions on a ring of 64 bits; a key belongs to the endpoint with the next point (Karger
//! et al.: Consistent Hashing and Random Trees, STOC 1997). An endpoint of the ordinary weight has 100 points,
//! another one as many as its weight says, and at least one. While an endpoint has its bound of open requests, keys
//! go on to the next one (Mirrokni, Thorup, Zadimoghaddam: Consistent Hashing with Bounded Loads, SODA 2018): the
//! bound is so many times its share, by weight, of the balancer's open requests and this one, rounded up, as in Envoy
//! (`hash_balance_factor`). Where everybody who is left has its bound, because others are full or were tried, the
//! bound gives way.

use super::weight::Weight;
use super::{Endpoint, Loads};
use crate::random::{GOLDEN, mix};
use std::collections::BTreeSet;
use std::num::NonZeroU32;

/// Points of an endpoint of the ordinary weight.
const POINTS: u64 = 100;

/// Who stands where.
#[derive(Clone, Debug)]
pub(super) struct Ring {
    /// How many different keys there are.
    keys: NonZeroU32,
    /// How many times its share an endpoint may have.
    bound: f64,
    points: BTreeSet<(u64, Endpoint)>,
    /// How many points each has on the ring, by endpoint.
    counts: Vec<u64>,
    /// By endpoint; `None` for those who are no members.
    weights: Vec<Option<Weight>>,
    /// The sum of these weights, in their units.
    weight: u64,
    /// Open requests at all members.
    open: u64,
}

impl Ring {
    /// An empty ring for so many keys.
    pub(super) fn new(keys: NonZeroU32, bound: f64) -> Self {
        Ring { keys, bound, points: BTreeSet::new(), counts: Vec::new(), weights: Vec::new(), weight: 0, open: 0 }
    }

    /// A member joins.
    pub(super) fn join(&mut self, endpoint: Endpoint, loads: &Loads) {
        if endpoint.index() >= self.counts.len() {
            self.counts.resize(endpoint.index() + 1, 0);
            self.weights.resize(endpoint.index() + 1, None);
        }
        self.open += u64::from(loads.open(endpoint));
        self.resume(endpoint, loads.weight(endpoint));
    }

    /// A member leaves.
    pub(super) fn leave(&mut self, endpoint: Endpoint, loads: &Loads) {
        self.weigh(endpoint, None);
        self.open -= u64::from(loads.open(endpoint));
        self.pause(endpoint);
    }

    /// A member's points leave the ring until it resumes.
    pub(super) fn pause(&mut self, endpoint: Endpoint) {
        self.place(endpoint, 0);
    }

    /// A member's points return to the ring, as many as this weight says from now on.
    pub(super) fn resume(&mut self, endpoint: Endpoint, weight: Weight) {
        self.weigh(endpoint, Some(weight));
        let points = POINTS as f64 * weight.units() as f64 / Weight::ONE.units() as f64;
        self.place(endpoint, (points.round() as u64).max(1));
    }

    fn weigh(&mut self, endpoint: Endpoint, weight: Option<Weight>) {
        let before = std::mem::replace(&mut self.weights[endpoint.index()], weight);
        self.weight += weight.map_or(0, Weight::units);
        self.weight -= before.map_or(0, Weight::units);
    }

    fn place(&mut self, endpoint: Endpoint, points: u64) {
        let before = std::mem::replace(&mut self.counts[endpoint.index()], points);
        for number in before..points {
            self.points.insert((point(endpoint, number), endpoint));
        }
        for number in points..before {
            self.points.remove(&(point(endpoint, number), endpoint));
        }
    }

    /// One more request is open at an endpoint; nothing happens where it is no member.
    pub(super) fn opened(&mut self, endpoint: Endpoint) {
        self.open += u64::from(self.has(endpoint));
    }

    /// One fewer is.
    pub(super) fn closed(&mut self, endpoint: Endpoint) {
        self.open -= u64::from(self.has(endpoint));
    }

    fn has(&self, endpoint: Endpoint) -> bool {
        self.weights.get(endpoint.index()).is_some_and(Option::is_some)
    }

    /// The endpoint for a request whose key these bits stand for, but none of these.
    pub(super) fn choose(&self, key: u64, excluded: &[Endpoint], loads: &Loads) -> Option<Endpoint> {
        let start = (self.position(key), Endpoint(0));
        let clockwise = self.points.range(start..).chain(self.points.range(..start)).map(|(_, endpoint)| *endpoint);
        let mut allowed = clockwise.filter(|endpoint| !excluded.contains(endpoint));
        let has_room = |endpoint: &Endpoint| u64::from(loads.open(*endpoint)) < self.most(loads.weight(*endpoint));
        allowed.clone().find(has_room).or_else(|| allowed.next())
    }

    /// The open requests that an endpoint of this weight may have together with this one.
    fn most(&self, weight: Weight) -> u64 {
        let bound = self.bound * (self.open + 1) as f64;
        (bound * weight.units() as f64 / self.weight as f64).ceil() as u64
    }

    /// Where on the ring the key stands that these bits stand for, all keys equally likely.
    fn position(&self, bits: u64) -> u64 {
        let key = (u128::from(bits) * u128::from(self.keys.get())) >> 64;
        mix(mix(key as u64).wrapping_add(GOLDEN))
    }
}

/// Where on the ring an endpoint's point of this number stands, the same for every balancer.
fn point(endpoint: Endpoint, number: u64) -> u64 {
    mix(mix(u64::from(endpoint.0) << 32 | number).wrapping_sub(GOLDEN))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A ring with members of these weights, numbered from `first` on, and nothing open.
    fn ring(keys: u32, bound: f64, first: u32, weights: &[f64]) -> (Ring, Loads) {
        let mut ring = Ring::new(NonZeroU32::new(keys).expect("there are keys"), bound);
        let places = first as usize + weights.len();
        let mut loads = Loads { open: vec![0; places], weights: vec![Weight::ONE; places] };
        for (endpoint, weight) in (first..).map(Endpoint).zip(weights) {
            loads.weights[endpoint.index()] = Weight::new(*weight);
            ring.join(endpoint, &loads);
        }
        (ring, loads)
    }

    fn owners(ring: &Ring, loads: &Loads, requests: u64) -> Vec<Endpoint> {
        (0..requests).map(|number| ring.choose(mix(number), &[], loads).expect("there are members")).collect()
    }

    const MANY: u32 = 1_000_000;

    #[test]
    fn few_keys_move_when_an_endpoint_leaves_and_all_return_with_it() {
        let (mut ring, loads) = ring(MANY, 1.25, 0, &[1.0; 20]);
        let before = owners(&ring, &loads, 20_000);
        ring.leave(Endpoint(7), &loads);
        let after = owners(&ring, &loads, 20_000);
        let moved = before.iter().zip(&after).filter(|(before, after)| before != after).count();
        let owned = before.iter().filter(|owner| **owner == Endpoint(7)).count();
        assert_eq!(moved, owned, "only its own keys move");
        let heirs: BTreeSet<&Endpoint> =
            after.iter().zip(&before).filter(|(_, before)| before.0 == 7).map(|(heir, _)| heir).collect();
        assert!(heirs.len() > 15, "to many others: {heirs:?}");
        ring.join(Endpoint(7), &loads);
        assert_eq!(owners(&ring, &loads, 20_000), before);
    }

    #[test]
    fn keys_are_shared_by_weight() {
        // A share of the ring is the sum of 100 w of about 1,000 gaps: its standard deviation is its mean / sqrt(100
        // w).
        let (rings, weights) = (100, [1.0, 1.0, 1.0, 1.0, 0.25, 2.0, 1.0, 1.0, 1.0, 1.0]);
        let total: f64 = weights.iter().sum();
        let mut counts = [0u32; 10];
        for number in 0..rings {
            let (ring, loads) = ring(MANY, 1e6, number * 10, &weights);
            for owner in owners(&ring, &loads, 2_000) {
                counts[owner.index() % 10] += 1;
            }
        }
        for (count, weight) in counts.iter().zip(weights) {
            let share = f64::from(*count) / (f64::from(rings) * 2_000.0);
            let deviation = weight / total / (100.0 * weight * f64::from(rings)).sqrt();
            assert!((share - weight / total).abs() < 4.0 * deviation, "{share} for a weight of {weight}");
        }
    }

    #[test]
    fn no_endpoint_exceeds_its_bound() {
        let weights = [1.0, 1.0, 1.0, 1.0, 0.25, 2.0, 1.0, 1.0, 1.0, 1.0];
        let total: f64 = weights.iter().sum();
        // Few keys: without the bound, some endpoints would get nothing and others most of it.
        let (mut ring, mut loads) = ring(5, 1.25, 0, &weights);
        for number in 0..2_000u32 {
            let chosen = ring.choose(mix(u64::from(number)), &[], &loads).expect("there are members");
            ring.opened(chosen);
            loads.open[chosen.index()] += 1;
            let bound = (1.25 * f64::from(number + 1) * weights[chosen.index()] / total).ceil();
            assert!(f64::from(loads.open(chosen)) <= bound, "{chosen:?} has {}", loads.open(chosen));
        }
    }

    #[test]
    fn the_same_key_goes_to_the_same_endpoint_and_there_are_so_many_keys() {
        let (ring, loads) = ring(3, 1e6, 0, &[1.0; 50]);
        let owners: BTreeSet<Endpoint> = owners(&ring, &loads, 1_000).into_iter().collect();
        assert_eq!(owners.len(), 3);
    }

    #[test]
    fn the_bound_gives_way_where_nobody_else_is_left() {
        let (mut ring, mut loads) = ring(MANY, 1.25, 0, &[1.0; 2]);
        for _ in 0..5 {
            ring.opened(Endpoint(0));
            loads.open[0] += 1;
        }
        for number in 0..50 {
            assert_eq!(ring.choose(mix(number), &[], &loads), Some(Endpoint(1)), "5 of 6 are beyond 1.25 × 3");
            assert_eq!(ring.choose(mix(number), &[Endpoint(1)], &loads), Some(Endpoint(0)));
            assert_eq!(ring.choose(mix(number), &[Endpoint(0), Endpoint(1)], &loads), None);
        }
        ring.pause(Endpoint(1));
        assert_eq!(ring.choose(5, &[], &loads), Some(Endpoint(0)));
        ring.resume(Endpoint(1), Weight::ONE);
        assert_eq!(ring.choose(5, &[], &loads), Some(Endpoint(1)));
    }
}
