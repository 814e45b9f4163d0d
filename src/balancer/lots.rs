//! Random draws of endpoints, by weight and without taking one twice: what most policies begin with.
//!
//! A draw of a member of the ordinary weight is a multiplication and a look into a vector. One of another weight is found in a tree
//! of partial sums (Wong, Easton: An Efficient Method for Weighted Sampling without Replacement, SIAM Journal on Computing 9,
//! 1980): exact for any weights, in a time that grows with the logarithm of the fleet.

use super::weight::Weight;
use super::{Endpoint, further};
use crate::random::below;
use crate::wide::{Compare, OneByOne};
use std::collections::BTreeSet;
use std::hint::select_unpredictable;

/// Endpoints that can be drawn.
#[derive(Clone, Debug, Default)]
pub(super) struct Lots {
    /// All of them, in the order of joining; until somebody is drawn, those that have left, too.
    members: Vec<Endpoint>,
    /// Who has left since somebody was drawn last: many may leave in a row, and all others move once.
    leaving: BTreeSet<Endpoint>,
    /// Each one's share of the draws, by endpoint, in units of weight; 0 for those who are no members or cannot be
    /// drawn.
    shares: Vec<u64>,
    /// Those with the ordinary share, in any order.
    ordinary: Vec<Endpoint>,
    /// By endpoint: where it stands there, if it does.
    positions: Vec<u32>,
    /// The shares of all others.
    sums: Sums,
    /// Members whose share is not the ordinary one.
    odd: usize,
    /// Members whose share is above 0.
    drawable: usize,
    /// How often a share has been set.
    changes: u64,
    /// Taken out for the length of one choice, and their shares.
    aside: Vec<(Endpoint, u64)>,
}

/// The share of a member of the ordinary weight.
const ORDINARY: u64 = Weight::ONE.units();

/// Two or more members, each as likely as any other.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Peers<'a>(&'a [Endpoint]);

impl Peers<'_> {
    /// Two distinct ones.
    #[inline(always)]
    pub(crate) fn pair(self, luck: u64) -> (Endpoint, Endpoint) {
        let count = self.0.len() as u32;
        let first = below((luck >> 32) as u32, count);
        let other = below(luck as u32, count - 1);
        let second = other + u32::from(other >= first);
        (self.0[first as usize], self.0[second as usize])
    }
}

impl Lots {
    /// A member joins.
    pub(super) fn join(&mut self, endpoint: Endpoint, weight: Weight) {
        if endpoint.index() >= self.shares.len() {
            self.shares.resize(endpoint.index() + 1, 0);
            self.positions.resize(endpoint.index() + 1, 0);
            self.sums.grow(endpoint.index() + 1);
        }
        if self.leaving.contains(&endpoint) {
            self.let_leave();
        }
        self.members.push(endpoint);
        self.odd += 1;
        self.set(endpoint, weight.units());
    }

    /// A member leaves. The others keep their order: published results rest on it.
    pub(super) fn leave(&mut self, endpoint: Endpoint) {
        self.set(endpoint, 0);
        self.odd -= 1;
        let is_new = self.leaving.insert(endpoint);
        debug_assert!(is_new, "{endpoint:?} leaves once");
    }

    #[inline]
    fn let_leave_if_any(&mut self) {
        if !self.leaving.is_empty() {
            self.let_leave();
        }
    }

    #[cold]
    fn let_leave(&mut self) {
        let leaving = std::mem::take(&mut self.leaving);
        self.members.retain(|member| !leaving.contains(member));
    }

    /// A member cannot be drawn until its weight is set again.
    pub(super) fn pause(&mut self, endpoint: Endpoint) {
        self.set(endpoint, 0);
    }

    /// A member has this weight from now on.
    pub(super) fn weigh(&mut self, endpoint: Endpoint, weight: Weight) {
        self.set(endpoint, weight.units());
    }

    fn set(&mut self, endpoint: Endpoint, share: u64) {
        let before = std::mem::replace(&mut self.shares[endpoint.index()], share);
        self.odd += usize::from(before == ORDINARY);
        self.odd -= usize::from(share == ORDINARY);
        self.drawable += usize::from(share > 0);
        self.drawable -= usize::from(before > 0);
        self.remove(endpoint, before);
        if share == ORDINARY {
            self.positions[endpoint.index()] = self.ordinary.len() as u32;
            self.ordinary.push(endpoint);
        } else {
            self.sums.change(endpoint.index(), 0, share);
        }
        self.changes += 1;
    }

    /// Somebody's share is not drawn any more.
    fn remove(&mut self, endpoint: Endpoint, share: u64) {
        if share != ORDINARY {
            self.sums.change(endpoint.index(), share, 0);
            return;
        }
        let position = self.positions[endpoint.index()];
        self.ordinary.swap_remove(position as usize);
        if let Some(moved) = self.ordinary.get(position as usize) {
            self.positions[moved.index()] = position;
        }
    }

    /// The last of those whose share was removed is drawn again, as if nothing had happened.
    fn put_back(&mut self, endpoint: Endpoint, share: u64) {
        if share != ORDINARY {
            self.sums.change(endpoint.index(), 0, share);
            return;
        }
        let (position, last) = (self.positions[endpoint.index()], self.ordinary.len() as u32);
        let moved = self.ordinary.get(position as usize).copied().unwrap_or(endpoint);
        self.ordinary.push(moved);
        self.positions[moved.index()] = last;
        self.ordinary[position as usize] = endpoint;
        self.positions[endpoint.index()] = position;
    }

    /// How often somebody has joined or left, or has another share.
    pub(super) fn changes(&self) -> u64 {
        self.changes
    }

    /// How many members there are, those that cannot be drawn now included.
    pub(super) fn len(&self) -> usize {
        self.members.len() - self.leaving.len()
    }

    /// Whether each member can be drawn, and all are equally likely.
    pub(super) fn are_even(&self) -> bool {
        self.odd == 0
    }

    /// One of the members, but none of these; `None` where there is no other.
    pub(super) fn one(&mut self, luck: u64, excluded: &[Endpoint]) -> Option<Endpoint> {
        if self.are_even() && excluded.is_empty() {
            self.let_leave_if_any();
            let count = self.members.len() as u32;
            return (count > 0).then(|| self.members[below((luck >> 32) as u32, count) as usize]);
        }
        self.best_drawn(1, luck, excluded, |_| 0)
    }

    /// Of so many distinct members, but none of these, the one that costs least; of equals the one that was drawn
    /// first. Fewer are drawn where there are not as many.
    pub(super) fn best_of<C: PartialOrd>(
        &mut self,
        count: u32,
        luck: u64,
        excluded: &[Endpoint],
        mut cost: impl FnMut(Endpoint) -> C,
    ) -> Option<Endpoint> {
        self.let_leave_if_any();
        if count == 2
            && excluded.is_empty()
            && let Some((first, second)) = self.pair(luck, OneByOne)
        {
            return Some(if cost(second) < cost(first) { second } else { first });
        }
        self.best_drawn(count, luck, excluded, cost)
    }

    /// Members of whom each pair is equally likely; `None` where they are not, where there are no two, or where somebody has
    /// left since the last draw of the other kinds.
    #[inline(always)]
    pub(super) fn peers(&self) -> Option<Peers<'_>> {
        let is_plain = self.are_even() && self.members.len() >= 2 && self.leaving.is_empty();
        is_plain.then_some(Peers(&self.members))
    }

    /// Two distinct members, each drawn by its weight from those that are left; `None` where there are no two, or where somebody has
    /// left since the last draw of the other kinds.
    #[inline(always)]
    pub(super) fn pair(&self, luck: u64, by: impl Compare) -> Option<(Endpoint, Endpoint)> {
        if self.are_even() { self.peers().map(|peers| peers.pair(luck)) } else { self.weighed_pair(luck, by) }
    }

    /// The same as [`Lots::best_drawn`] draws them, but nobody is taken out for that.
    #[inline(always)]
    fn weighed_pair(&self, luck: u64, by: impl Compare) -> Option<(Endpoint, Endpoint)> {
        if self.drawable < 2 {
            return None;
        }
        let count = self.ordinary.len() as u64;
        let (target, next) = (share_of(luck, self.total()), further(luck, 1));
        let first = target / ORDINARY;
        if first < count {
            // The last one of the ordinary weight would take its place.
            let (target, last) = (share_of(next, self.total() - ORDINARY), count - 1);
            let second = target / ORDINARY;
            let chosen = self.ordinary[first as usize];
            if second < last {
                let second = select_unpredictable(second == first, last, second);
                return Some((chosen, self.ordinary[second as usize]));
            }
            return Some((chosen, self.sums.find(target - last * ORDINARY, by).0));
        }
        let (first, before) = self.sums.find(target - count * ORDINARY, by);
        let share = self.shares[first.index()];
        let target = share_of(next, self.total() - share);
        if target / ORDINARY < count {
            return Some((first, self.ordinary[(target / ORDINARY) as usize]));
        }
        // The first one's share is skipped.
        let of_the_others = target - count * ORDINARY;
        let target = of_the_others + if of_the_others < before { 0 } else { share };
        Some((first, self.sums.find(target, by).0))
    }

    /// All shares.
    #[inline(always)]
    fn total(&self) -> u64 {
        self.ordinary.len() as u64 * ORDINARY + self.sums.total()
    }

    /// The same where nothing is plain: each one drawn is taken out until the end of this choice. It stays out of the plain choice,
    /// which it would slow down.
    #[inline(never)]
    fn best_drawn<C: PartialOrd>(
        &mut self,
        count: u32,
        luck: u64,
        excluded: &[Endpoint],
        mut cost: impl FnMut(Endpoint) -> C,
    ) -> Option<Endpoint> {
        for endpoint in excluded {
            self.take_out(*endpoint);
        }
        let mut best: Option<(C, Endpoint)> = None;
        for turn in 0..count {
            let Some(drawn) = self.draw(further(luck, turn)) else { break };
            self.take_out(drawn);
            let cost = cost(drawn);
            if best.as_ref().is_none_or(|(least, _)| cost < *least) {
                best = Some((cost, drawn));
            }
        }
        while let Some((endpoint, share)) = self.aside.pop() {
            self.put_back(endpoint, share);
            self.shares[endpoint.index()] = share;
        }
        best.map(|(_, endpoint)| endpoint)
    }

    /// One of those who can be drawn.
    fn draw(&self, luck: u64) -> Option<Endpoint> {
        if self.total() == 0 {
            return None;
        }
        let target = share_of(luck, self.total());
        let ordinary = self.ordinary.get((target / ORDINARY) as usize).copied();
        let odd = || self.sums.find(target - self.ordinary.len() as u64 * ORDINARY, OneByOne).0;
        Some(ordinary.unwrap_or_else(odd))
    }

    /// Takes somebody out until the end of this choice, if it can be drawn at all.
    fn take_out(&mut self, endpoint: Endpoint) {
        let share = self.shares.get(endpoint.index()).copied().unwrap_or(0);
        if share > 0 {
            self.aside.push((endpoint, share));
            self.remove(endpoint, share);
            self.shares[endpoint.index()] = 0;
        }
    }
}

/// A number below the total by 64 random bits.
fn share_of(luck: u64, total: u64) -> u64 {
    ((u128::from(luck) * u128::from(total)) >> 64) as u64
}

/// Numbers by place, and who stands where when they are laid out in a row: a tree whose nodes have sixteen children each.
#[derive(Clone, Debug, Default)]
struct Sums {
    /// From the root to the nodes above places. A node holds, for each child, the sum of those before it that are its children, too.
    levels: Vec<Vec<Node>>,
    total: u64,
}

const CHILDREN: usize = 16;

/// Two cache lines, and never parts of three.
#[derive(Clone, Debug)]
#[repr(align(64))]
struct Node([u64; CHILDREN]);

impl Sums {
    /// Makes room for so many places; new ones hold nothing.
    fn grow(&mut self, places: usize) {
        while CHILDREN.pow(self.levels.len() as u32) < places {
            let mut root = [self.total; CHILDREN];
            root[0] = 0;
            self.levels.insert(0, vec![Node(root)]);
        }
        let mut count = places;
        for level in self.levels.iter_mut().rev() {
            count = count.div_ceil(CHILDREN);
            if level.len() < count {
                level.resize(count, Node([0; CHILDREN]));
            }
        }
    }

    fn total(&self) -> u64 {
        self.total
    }

    /// A place that held one number holds another.
    fn change(&mut self, place: usize, before: u64, after: u64) {
        self.total = self.total + after - before;
        let mut child = place;
        for level in self.levels.iter_mut().rev() {
            for sum in &mut level[child / CHILDREN].0[child % CHILDREN + 1..] {
                *sum = *sum + after - before;
            }
            child /= CHILDREN;
        }
    }

    /// Whose number covers this, below the total, when all stand in a row; and the sum of those before.
    #[inline(always)]
    fn find(&self, covered: u64, by: impl Compare) -> (Endpoint, u64) {
        let (mut target, mut place) = (covered, 0);
        for level in &self.levels {
            let node = &level[place].0;
            // Nothing is before the first, so it is counted in any case. No child without a share covers anything: the one after it
            // has as much before it.
            let child = (by.up_to(node, target) - 1) % CHILDREN;
            target -= node[child];
            place = place * CHILDREN + child;
        }
        (Endpoint(place as u32), covered - target)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::random::mix;

    fn lots(weights: &[f64]) -> Lots {
        let mut lots = Lots::default();
        for (place, weight) in (0..).zip(weights) {
            lots.join(Endpoint(place), Weight::new(*weight));
        }
        lots
    }

    /// How often each was drawn; within four standard deviations of its share.
    #[track_caller]
    fn check(seed: u64, shares: &[f64], mut draw: impl FnMut(u64) -> Endpoint) {
        let draws = 40_000;
        let mut counts = vec![0u32; shares.len()];
        for n in 0..draws {
            counts[draw(mix(seed << 32 | n)).index()] += 1;
        }
        for (count, share) in counts.iter().zip(shares) {
            let expected = draws as f64 * share;
            let deviation = (expected * (1.0 - share)).sqrt();
            assert!((f64::from(*count) - expected).abs() <= 4.0 * deviation, "{counts:?} for {shares:?}, seed {seed}");
        }
    }

    #[test]
    fn even_draws_are_even() {
        for seed in 1..=5 {
            let mut lots = lots(&[1.0; 5]);
            assert!(lots.are_even());
            check(seed, &[0.2; 5], |luck| lots.one(luck, &[]).expect("there are five"));
        }
    }

    #[test]
    fn draws_are_by_weight() {
        for seed in 1..=5 {
            let mut lots = lots(&[1.0, 0.1, 5.0, 1.9, 0.001]);
            let shares = [1.0, 0.1, 5.0, 1.9, 0.001].map(|weight| weight / 8.001);
            check(seed, &shares, |luck| lots.one(luck, &[]).expect("there are five"));
        }
    }

    #[test]
    fn a_new_weight_counts_at_once() {
        for seed in 1..=5 {
            let mut lots = lots(&[1000.0, 0.5, 1000.0]);
            lots.weigh(Endpoint(0), Weight::new(0.25));
            lots.weigh(Endpoint(2), Weight::new(0.25));
            check(seed, &[0.25, 0.5, 0.25], |luck| lots.one(luck, &[]).expect("there are three"));
        }
    }

    #[test]
    fn who_is_excluded_or_paused_is_not_drawn_and_comes_back() {
        let mut lots = lots(&[1.0; 4]);
        for seed in 1..=5 {
            let excluded = [Endpoint(1), Endpoint(1), Endpoint(9)];
            check(seed, &[1.0 / 3.0, 0.0, 1.0 / 3.0, 1.0 / 3.0], |luck| {
                lots.one(luck, &excluded).expect("three are left")
            });
            lots.pause(Endpoint(0));
            check(seed, &[0.0, 0.0, 0.5, 0.5], |luck| lots.one(luck, &excluded).expect("two are left"));
            assert!(!lots.are_even());
            lots.weigh(Endpoint(0), Weight::ONE);
            assert!(lots.are_even());
        }
        assert_eq!(lots.one(7, &[Endpoint(0), Endpoint(1), Endpoint(2), Endpoint(3)]), None);
    }

    #[test]
    fn the_best_of_several_are_distinct_and_by_weight() {
        // The cheapest of three out of four: it is missed only when it is not among them, in a quarter of the draws.
        for seed in 1..=5 {
            let mut even = lots(&[1.0; 4]);
            let cost = |endpoint: Endpoint| endpoint.0;
            check(seed, &[0.75, 0.25, 0.0, 0.0], |luck| even.best_of(3, luck, &[], cost).expect("four"));
            check(seed, &[0.5, 1.0 / 3.0, 1.0 / 6.0, 0.0], |luck| even.best_of(2, luck, &[], cost).expect("four"));
            // Of two out of weights 2, 1, 1 by successive draws: the first is missed with 1/2 · 1/3.
            let mut uneven = lots(&[2.0, 1.0, 1.0]);
            check(seed, &[5.0 / 6.0, 1.0 / 6.0, 0.0], |luck| uneven.best_of(2, luck, &[], cost).expect("three"));
        }
    }

    #[test]
    fn pairs_are_drawn_as_if_the_first_were_taken_out() {
        let mut lots = lots(&[1.0; 12]);
        let mut seen = [0; 3];
        for step in 0..20_000u64 {
            let luck = mix(step);
            let endpoint = Endpoint((luck >> 8) as u32 % 12);
            let weight = [1.0, 1.0, 0.3, 2.5][(luck >> 16) as usize % 4];
            match luck % 4 {
                0 => lots.pause(endpoint),
                _ => lots.weigh(endpoint, Weight::new(weight)),
            }
            let pair = lots.weighed_pair(mix(luck), OneByOne);
            let (before, mut drawn) = (lots.ordinary.clone(), Vec::new());
            lots.best_drawn(2, mix(luck), &[], |endpoint| {
                drawn.push(endpoint);
                0
            });
            assert_eq!(pair, (drawn.len() == 2).then(|| (drawn[0], drawn[1])));
            assert_eq!(lots.ordinary, before, "whoever was taken out is back");
            if let Some((first, second)) = pair {
                assert_ne!(first, second);
                seen[[first, second].iter().filter(|one| lots.shares[one.index()] == ORDINARY).count()] += 1;
            }
            // Nobody who does not count changes what was taken out.
            lots.best_drawn(3, luck, &[endpoint, endpoint, Endpoint(99)], |_| 0);
            assert_eq!(lots.ordinary, before);
            let total: u64 = lots.shares.iter().sum();
            assert_eq!(lots.total(), total);
        }
        assert!(seen.iter().all(|count| *count > 1000), "{seen:?}");
    }

    #[test]
    fn of_equals_any_is_chosen() {
        for seed in 1..=5 {
            let mut lots = lots(&[1.0; 4]);
            check(seed, &[0.25; 4], |luck| lots.best_of(2, luck, &[], |_| 0).expect("four"));
            check(seed, &[0.25; 4], |luck| lots.best_of(3, luck, &[], |_| 0).expect("four"));
        }
    }

    #[test]
    fn fewer_are_drawn_where_there_are_fewer() {
        let mut one = lots(&[1.0]);
        assert_eq!(one.best_of(2, 5, &[], |_| 0), Some(Endpoint(0)));
        let mut nobody = lots(&[]);
        assert_eq!(nobody.best_of(2, 5, &[], |_| 0), None);
        assert_eq!(nobody.one(5, &[]), None);
    }

    #[test]
    fn sums_find_what_a_plain_walk_finds() {
        let mut sums = Sums::default();
        let mut plain = vec![0u64; 0];
        for n in 0..3_000u64 {
            let place = (mix(n) % (n / 10 + 1)) as usize;
            if place >= plain.len() {
                plain.resize(place + 1, 0);
                sums.grow(place + 1);
            }
            let amount = mix(n ^ 0xabc) % 4;
            sums.change(place, plain[place], amount);
            plain[place] = amount;
            assert_eq!(sums.total(), plain.iter().sum::<u64>());
            if sums.total() > 0 {
                let target = mix(n ^ 0xdef) % sums.total();
                let mut before = 0;
                let walked = plain.iter().position(|amount| {
                    before += amount;
                    before > target
                });
                let (found, before_it) = sums.find(target, OneByOne);
                let place = found.index();
                assert_eq!(Some(place), walked);
                assert_eq!(before_it, plain[..place].iter().sum::<u64>());
            }
        }
    }
}
