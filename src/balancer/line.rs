//! Least connections where equals take turns: the endpoint with the fewest open requests for its weight, and of several
//! such the one that has waited longest since a request began or ended there.
//!
//! So does HAProxy's `leastconn` (`src/lb_fwlc.c`: servers stand in an ordered tree, and whichever takes or drops a
//! connection goes behind its equals), and nearly so nginx's `least_conn` ("If there are several such servers, they are
//! tried in turn using a weighted round-robin balancing method"). An endpoint that refuses requests at once goes
//! behind its equals as well, but it stays among the fewest.

use super::weight::{Cost, Weight};
use super::{Endpoint, Loads};
use std::collections::BTreeSet;

/// Members in the order in which they come next.
#[derive(Clone, Debug, Default)]
pub(super) struct Line {
    /// By the cost of one more request, then by number.
    queue: BTreeSet<(Cost, u64, Endpoint)>,
    /// By endpoint; `None` for those who are no members.
    entries: Vec<Option<(Cost, u64)>>,
    /// How many numbers have been given.
    given: u64,
}

impl Line {
    /// A member joins with so many open requests, behind its equals.
    pub(super) fn join(&mut self, member: Endpoint, weight: Weight, open: u32) {
        if member.index() >= self.entries.len() {
            self.entries.resize(member.index() + 1, None);
        }
        let (cost, number) = (weight.cost(open), self.given);
        self.given += 1;
        self.queue.insert((cost, number, member));
        self.entries[member.index()] = Some((cost, number));
    }

    /// Somebody leaves. Returns whether it was a member.
    pub(super) fn leave(&mut self, member: Endpoint) -> bool {
        let entry = self.entries.get_mut(member.index()).and_then(Option::take);
        let Some((cost, number)) = entry else { return false };
        self.queue.remove(&(cost, number, member))
    }

    /// Somebody's count or weight changed; nothing happens where it is no member.
    pub(super) fn update(&mut self, member: Endpoint, weight: Weight, open: u32) {
        if self.leave(member) {
            self.join(member, weight, open);
        }
    }

    /// The first that is none of these; it goes behind its equals.
    pub(super) fn choose(&mut self, excluded: &[Endpoint], loads: &Loads) -> Option<Endpoint> {
        let (_, _, chosen) = self.queue.iter().find(|(_, _, member)| !excluded.contains(member)).copied()?;
        self.update(chosen, loads.weight(chosen), loads.open(chosen));
        Some(chosen)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(members: &[(f64, u32)]) -> (Line, Loads) {
        let loads = Loads {
            open: members.iter().map(|(_, open)| *open).collect(),
            weights: members.iter().map(|(weight, _)| Weight::new(*weight)).collect(),
        };
        let mut line = Line::default();
        for member in (0..members.len() as u32).map(Endpoint) {
            line.join(member, loads.weight(member), loads.open(member));
        }
        (line, loads)
    }

    fn next(line: &mut Line, loads: &Loads, count: usize, excluded: &[Endpoint]) -> Vec<u32> {
        (0..count).map(|_| line.choose(excluded, loads).expect("there are others").0).collect()
    }

    #[test]
    fn equals_take_turns_and_others_wait() {
        let (mut of_three, loads) = line(&[(1.0, 0), (1.0, 0), (1.0, 1)]);
        assert_eq!(next(&mut of_three, &loads, 4, &[]), [0, 1, 0, 1]);
        assert_eq!(next(&mut of_three, &loads, 2, &[Endpoint(0)]), [1, 1], "who is excluded keeps its turn");
        assert_eq!(next(&mut of_three, &loads, 3, &[]), [0, 1, 0]);
        let (mut weighted, loads) = line(&[(0.5, 0), (1.0, 1), (1.0, 2)]);
        assert_eq!(next(&mut weighted, &loads, 3, &[]), [0, 1, 0], "2 for the first two, 3 for the third");
        assert_eq!(weighted.choose(&[Endpoint(0), Endpoint(1), Endpoint(2)], &loads), None);
    }

    #[test]
    fn whoever_takes_or_drops_a_request_goes_behind_its_equals() {
        let (mut line, loads) = line(&[(1.0, 0), (1.0, 0), (1.0, 0)]);
        line.update(Endpoint(0), Weight::ONE, 1);
        line.update(Endpoint(0), Weight::ONE, 0);
        assert_eq!(next(&mut line, &loads, 3, &[]), [1, 2, 0]);
        assert!(line.leave(Endpoint(2)) && !line.leave(Endpoint(2)));
        assert_eq!(next(&mut line, &loads, 3, &[]), [1, 0, 1]);
        line.update(Endpoint(2), Weight::ONE, 0);
        assert_eq!(next(&mut line, &loads, 2, &[]), [0, 1], "it is no member");
    }
}
