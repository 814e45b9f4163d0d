//! Round robin: one after the other.
//!
//! While all weights are the ordinary one, turns go round a circle. Who joins, or comes back, has its turn after all
//! others, so that those who left together and come back one by one do not stand together any more; HAProxy's
//! `roundrobin` places them one to two rounds ahead (`src/lb_fwrr.c`). With unequal weights the earliest deadline comes
//! first, and an endpoint's deadlines are one over its weight apart (Envoy's weighted round robin, `EdfScheduler`):
//! who joins, or comes back after it was full, has its first deadline one such interval from now, and a new weight
//! counts from the next turn on. Where endpoints can be full, turns go by deadline as well, for a circle would have
//! to be searched for one that is not.

use super::Endpoint;
use super::weight::Weight;
use crate::wide::fetch;
use std::collections::BTreeSet;

/// Whose turn it is.
#[derive(Clone, Debug)]
pub(super) struct Turns {
    /// Whether endpoints can be full.
    is_capped: bool,
    /// By endpoint; `None` for those who are no members.
    weights: Vec<Option<Weight>>,
    /// Members whose weight is not the ordinary one.
    odd: usize,
    order: Order,
}

#[derive(Clone, Debug)]
enum Order {
    Circle(Circle),
    Deadlines(Deadlines),
}

/// All members in the order of their turns: each knows who comes before and after it.
#[derive(Clone, Debug, Default)]
struct Circle {
    /// Whose turn comes next; `None`: there is no member.
    next: Option<Endpoint>,
    /// By endpoint.
    links: Vec<Link>,
}

#[derive(Clone, Copy, Debug)]
struct Link {
    before: Endpoint,
    after: Endpoint,
}

/// Members that are not full, by deadline.
#[derive(Clone, Debug, Default)]
struct Deadlines {
    /// (deadline, number): of equal deadlines the one that was set earlier comes first.
    queue: BTreeSet<(u128, u64, Endpoint)>,
    /// By endpoint.
    entries: Vec<Option<(u128, u64)>>,
    /// Now, in the time of the deadlines: the earliest one of the last choice.
    clock: u128,
    /// How many deadlines have been set.
    set: u64,
}

impl Turns {
    /// Nobody yet. Whether members may be paused must be known in advance.
    pub(super) fn new(is_capped: bool) -> Self {
        let order = if is_capped { Order::Deadlines(Deadlines::default()) } else { Order::Circle(Circle::default()) };
        Turns { is_capped, weights: Vec::new(), odd: 0, order }
    }

    /// A member joins, after all others.
    pub(super) fn join(&mut self, endpoint: Endpoint, weight: Weight) {
        if endpoint.index() >= self.weights.len() {
            self.weights.resize(endpoint.index() + 1, None);
        }
        self.weigh(endpoint, Some(weight));
        match &mut self.order {
            Order::Circle(circle) => circle.join(endpoint),
            Order::Deadlines(deadlines) => deadlines.insert(endpoint, weight),
        }
    }

    /// A member leaves.
    pub(super) fn leave(&mut self, endpoint: Endpoint) {
        match &mut self.order {
            Order::Circle(circle) => circle.remove(endpoint),
            Order::Deadlines(deadlines) => deadlines.remove(endpoint),
        }
        self.weigh(endpoint, None);
    }

    /// What is held of an endpoint is fetched.
    pub(super) fn fetch(&self, endpoint: Endpoint) {
        if let Some(weight) = self.weights.get(endpoint.index()) {
            fetch(weight);
        }
        if let Order::Circle(circle) = &self.order
            && let Some(link) = circle.links.get(endpoint.index())
        {
            fetch(link);
        }
    }

    /// A member gets no turn until it resumes.
    pub(super) fn pause(&mut self, endpoint: Endpoint) {
        if let Order::Deadlines(deadlines) = &mut self.order {
            deadlines.remove(endpoint);
        }
    }

    /// A paused member gets turns again.
    pub(super) fn resume(&mut self, endpoint: Endpoint, weight: Weight) {
        self.weigh(endpoint, Some(weight));
        if let Order::Deadlines(deadlines) = &mut self.order {
            deadlines.insert(endpoint, weight);
        }
    }

    /// A member has this weight from now on.
    pub(super) fn reweigh(&mut self, endpoint: Endpoint, weight: Weight) {
        self.weigh(endpoint, Some(weight));
    }

    fn weigh(&mut self, endpoint: Endpoint, weight: Option<Weight>) {
        let is_odd = |weight: Option<Weight>| usize::from(weight.is_some_and(|weight| weight != Weight::ONE));
        let before = std::mem::replace(&mut self.weights[endpoint.index()], weight);
        self.odd = self.odd + is_odd(weight) - is_odd(before);
        let by_deadline = self.is_capped || self.odd > 0;
        match &self.order {
            Order::Circle(circle) if by_deadline => self.order = Order::Deadlines(circle.as_deadlines()),
            Order::Deadlines(deadlines) if !by_deadline => self.order = Order::Circle(deadlines.as_circle()),
            Order::Circle(_) | Order::Deadlines(_) => {}
        }
    }

    /// The next one that is none of these.
    pub(super) fn next(&mut self, excluded: &[Endpoint]) -> Option<Endpoint> {
        match &mut self.order {
            Order::Circle(circle) => circle.next(excluded),
            Order::Deadlines(deadlines) => deadlines.next(excluded, &self.weights),
        }
    }
}

impl Circle {
    /// Its turn comes when all others have had theirs.
    fn join(&mut self, endpoint: Endpoint) {
        let next = *self.next.get_or_insert(endpoint);
        if endpoint.index() >= self.links.len() {
            let alone = (self.links.len()..=endpoint.index()).map(|place| Endpoint(place as u32));
            self.links.extend(alone.map(|alone| Link { before: alone, after: alone }));
        }
        let last = if next == endpoint { endpoint } else { self.links[next.index()].before };
        self.links[endpoint.index()] = Link { before: last, after: next };
        self.links[last.index()].after = endpoint;
        self.links[next.index()].before = endpoint;
    }

    fn remove(&mut self, endpoint: Endpoint) {
        let Link { before, after } = self.links[endpoint.index()];
        self.links[before.index()].after = after;
        self.links[after.index()].before = before;
        if self.next == Some(endpoint) {
            self.next = (after != endpoint).then_some(after);
        }
    }

    /// All members, in the order of their turns.
    fn all(&self) -> impl Iterator<Item = Endpoint> {
        let after =
            |endpoint: &Endpoint| Some(self.links[endpoint.index()].after).filter(|after| Some(*after) != self.next);
        std::iter::successors(self.next, after)
    }

    fn next(&mut self, excluded: &[Endpoint]) -> Option<Endpoint> {
        let chosen = self.all().find(|endpoint| !excluded.contains(endpoint))?;
        self.next = Some(self.links[chosen.index()].after);
        Some(chosen)
    }

    /// The same turns, each with the deadline of an ordinary weight.
    fn as_deadlines(&self) -> Deadlines {
        let mut deadlines = Deadlines::default();
        self.all().for_each(|endpoint| deadlines.insert(endpoint, Weight::ONE));
        deadlines
    }
}

impl Deadlines {
    fn insert(&mut self, endpoint: Endpoint, weight: Weight) {
        self.put(endpoint, self.clock + weight.interval());
    }

    fn put(&mut self, endpoint: Endpoint, deadline: u128) {
        if endpoint.index() >= self.entries.len() {
            self.entries.resize(endpoint.index() + 1, None);
        }
        self.entries[endpoint.index()] = Some((deadline, self.set));
        self.queue.insert((deadline, self.set, endpoint));
        self.set += 1;
    }

    /// Nothing happens where it has no deadline.
    fn remove(&mut self, endpoint: Endpoint) {
        if let Some((deadline, number)) = self.entries.get_mut(endpoint.index()).and_then(Option::take) {
            self.queue.remove(&(deadline, number, endpoint));
        }
    }

    fn next(&mut self, excluded: &[Endpoint], weights: &[Option<Weight>]) -> Option<Endpoint> {
        let entry = self.queue.iter().find(|(_, _, endpoint)| !excluded.contains(endpoint)).copied()?;
        let (deadline, _, endpoint) = entry;
        let weight = weights[endpoint.index()].expect("only members have deadlines");
        self.clock = self.queue.first().map_or(self.clock, |(earliest, _, _)| *earliest);
        self.queue.remove(&entry);
        self.put(endpoint, deadline + weight.interval());
        Some(endpoint)
    }

    /// The order in which their turns come.
    fn as_circle(&self) -> Circle {
        let mut circle = Circle::default();
        self.queue.iter().for_each(|(_, _, endpoint)| circle.join(*endpoint));
        circle
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn turns(weights: &[f64]) -> Turns {
        let mut turns = Turns::new(false);
        for (place, weight) in (0..).zip(weights) {
            turns.join(Endpoint(place), Weight::new(*weight));
        }
        turns
    }

    fn next(turns: &mut Turns, count: usize) -> Vec<u32> {
        (0..count).map(|_| turns.next(&[]).expect("there are members").0).collect()
    }

    #[test]
    fn turns_go_round_when_members_come_and_go() {
        let mut turns = turns(&[1.0; 3]);
        assert_eq!(next(&mut turns, 4), [0, 1, 2, 0]);
        turns.leave(Endpoint(0));
        assert_eq!(next(&mut turns, 3), [1, 2, 1]);
        turns.join(Endpoint(9), Weight::ONE);
        assert_eq!(next(&mut turns, 4), [2, 1, 9, 2], "after all others");
    }

    #[test]
    fn who_is_excluded_is_passed_over() {
        let mut turns = turns(&[1.0; 3]);
        assert_eq!(turns.next(&[Endpoint(0)]), Some(Endpoint(1)));
        assert_eq!(next(&mut turns, 3), [2, 0, 1]);
        assert_eq!(turns.next(&[Endpoint(0), Endpoint(1), Endpoint(2)]), None);
        turns.reweigh(Endpoint(2), Weight::new(0.5));
        assert_eq!(next(&mut turns, 1), [2], "it was its turn");
        assert_eq!(turns.next(&[Endpoint(0)]), Some(Endpoint(1)));
        assert_eq!(next(&mut turns, 1), [0], "who was passed over is the next one");
        assert_eq!(turns.next(&[Endpoint(0), Endpoint(1), Endpoint(2)]), None);
    }

    #[test]
    fn who_joins_does_not_wait_for_one_that_was_passed_over() {
        let mut turns = turns(&[1.0, 0.1]);
        assert_eq!(turns.next(&[Endpoint(0)]), Some(Endpoint(1)));
        turns.join(Endpoint(2), Weight::ONE);
        assert_eq!(next(&mut turns, 4), [0, 2, 0, 2]);
    }

    #[test]
    fn turns_are_by_weight_and_evenly_spread() {
        let mut turns = turns(&[2.0, 1.0, 1.0]);
        let order = next(&mut turns, 40);
        for round in order.chunks(4) {
            let count = |endpoint| round.iter().filter(|turn| **turn == endpoint).count();
            assert_eq!([count(0), count(1), count(2)], [2, 1, 1], "{order:?}");
        }
        assert!(order.windows(2).all(|pair| pair != [1, 1] && pair != [2, 2]), "{order:?}");
    }

    #[test]
    fn a_newcomers_weight_grows_into_the_circle() {
        let mut turns = turns(&[1.0; 9]);
        turns.join(Endpoint(9), Weight::new(0.1));
        let share = |turns: &mut Turns, count| next(turns, count).iter().filter(|turn| **turn == 9).count();
        assert_eq!(share(&mut turns, 10 * 91), 10);
        let (mut grown, mut full) = (turns.clone(), turns);
        grown.reweigh(Endpoint(9), Weight::new(0.5));
        while next(&mut grown, 1) != [9] {}
        assert_eq!(share(&mut grown, 10 * 19), 10, "from its next turn on one in 19");
        full.reweigh(Endpoint(9), Weight::ONE);
        assert!(matches!(full.order, Order::Circle(_)));
        let mut round = next(&mut full, 10);
        assert_eq!(round, next(&mut full, 10), "the same circle again");
        round.sort_unstable();
        assert_eq!(round, (0..10).collect::<Vec<_>>());
    }

    #[test]
    fn unequal_weights_keep_the_turns_that_are_due() {
        let mut turns = turns(&[1.0; 4]);
        next(&mut turns, 2);
        turns.join(Endpoint(4), Weight::new(0.5));
        assert_eq!(next(&mut turns, 10), [2, 3, 0, 1, 4, 2, 3, 0, 1, 2]);
    }

    #[test]
    fn who_is_full_is_passed_over_until_it_resumes() {
        let mut turns = Turns::new(true);
        for endpoint in 0..3 {
            turns.join(Endpoint(endpoint), Weight::ONE);
        }
        assert_eq!(next(&mut turns, 4), [0, 1, 2, 0]);
        turns.pause(Endpoint(1));
        turns.pause(Endpoint(1));
        assert_eq!(next(&mut turns, 4), [2, 0, 2, 0]);
        turns.resume(Endpoint(1), Weight::ONE);
        assert_eq!(next(&mut turns, 3), [2, 0, 1], "after those who were due already");
        for endpoint in 0..3 {
            turns.pause(Endpoint(endpoint));
        }
        assert_eq!(turns.next(&[]), None);
        turns.leave(Endpoint(0));
        turns.resume(Endpoint(2), Weight::ONE);
        assert_eq!(next(&mut turns, 2), [2, 2]);
    }
}
