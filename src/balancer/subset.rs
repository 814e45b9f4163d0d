//! Subsets: each balancer keeps to some of the endpoints.
//!
//! They are those with the lowest hashes of (balancer, endpoint): rendezvous hashing (Thaler, Ravishankar: Using
//! Name-Based Mappings to Increase Hit Rates, IEEE/ACM Transactions on Networking 6, 1998). So the subsets of
//! different balancers are unlike each other, and when an endpoint comes or goes, at most one place of each subset
//! changes.

use super::Endpoint;
use crate::random::{GOLDEN, mix};
use std::collections::BTreeSet;
use std::num::NonZeroU32;

/// Whom one balancer keeps to.
#[derive(Clone, Debug)]
pub(super) struct Subset {
    size: usize,
    balancer: u32,
    inside: BTreeSet<(u64, Endpoint)>,
    outside: BTreeSet<(u64, Endpoint)>,
}

/// How a subset changed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Change {
    /// Who belongs to it from now on.
    pub(super) enters: Option<Endpoint>,
    /// Who does not any more.
    pub(super) leaves: Option<Endpoint>,
}

impl Subset {
    /// The subset of the balancer with this number, of at most so many endpoints.
    pub(super) fn new(size: NonZeroU32, balancer: u32) -> Self {
        Subset { size: size.get() as usize, balancer, inside: BTreeSet::new(), outside: BTreeSet::new() }
    }

    /// An endpoint is listed.
    pub(super) fn list(&mut self, endpoint: Endpoint) -> Change {
        self.inside.insert(self.ranked(endpoint));
        if self.inside.len() <= self.size {
            return Change { enters: Some(endpoint), leaves: None };
        }
        let last = self.inside.pop_last().expect("it was just filled");
        self.outside.insert(last);
        if last.1 == endpoint { Change::default() } else { Change { enters: Some(endpoint), leaves: Some(last.1) } }
    }

    /// A listed endpoint is not any more.
    pub(super) fn unlist(&mut self, endpoint: Endpoint) -> Change {
        let ranked = self.ranked(endpoint);
        if !self.inside.remove(&ranked) {
            self.outside.remove(&ranked);
            return Change::default();
        }
        let next = self.outside.pop_first();
        self.inside.extend(next);
        Change { enters: next.map(|(_, next)| next), leaves: Some(endpoint) }
    }

    fn ranked(&self, endpoint: Endpoint) -> (u64, Endpoint) {
        let balancer = mix(u64::from(self.balancer).wrapping_add(GOLDEN));
        (mix(balancer ^ mix(u64::from(endpoint.0).wrapping_sub(GOLDEN))), endpoint)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The subsets of so many balancers, numbered from `first` on, among so many endpoints.
    fn subsets(first: u32, balancers: u32, size: u32, endpoints: u32) -> Vec<Subset> {
        let size = NonZeroU32::new(size).expect("a subset is not empty");
        let of = |balancer| {
            let mut subset = Subset::new(size, balancer);
            for endpoint in 0..endpoints {
                subset.list(Endpoint(endpoint));
            }
            subset
        };
        (first..first + balancers).map(of).collect()
    }

    fn inside(subset: &Subset) -> BTreeSet<Endpoint> {
        subset.inside.iter().map(|(_, endpoint)| *endpoint).collect()
    }

    /// How many of 300 balancers have the most popular of 300 endpoints, divided by the mean, over many runs.
    #[track_caller]
    fn check_imbalance(size: u32, expected: f64) {
        let runs = 60;
        let ratios: Vec<f64> = (0..runs)
            .map(|run| {
                let mut popularity = [0u32; 300];
                for subset in subsets(run * 300, 300, size, 300) {
                    for endpoint in inside(&subset) {
                        popularity[endpoint.index()] += 1;
                    }
                }
                f64::from(*popularity.iter().max().expect("there are 300")) / f64::from(size)
            })
            .collect();
        let mean = ratios.iter().sum::<f64>() / f64::from(runs);
        let variance = ratios.iter().map(|ratio| (ratio - mean).powi(2)).sum::<f64>() / f64::from(runs - 1);
        let error = (variance / f64::from(runs)).sqrt();
        assert!((mean - expected).abs() < 4.0 * error, "{mean} instead of {expected}, give or take {error}");
    }

    #[test]
    fn random_subsets_are_as_uneven_as_published() {
        // Site Reliability Engineering (2016), ch. 20, figures 20-3 and 20-4; the values of many runs by an
        // independent program.
        check_imbalance(30, 1.533);
        check_imbalance(90, 1.258);
    }

    #[test]
    fn a_subset_depends_on_who_is_listed_and_not_on_how_it_came_to_be() {
        let mut churned = subsets(3, 1, 10, 100).remove(0);
        let expected: BTreeSet<Endpoint> = inside(&subsets(3, 1, 10, 50)[0]);
        for endpoint in (50..100).rev() {
            churned.unlist(Endpoint(endpoint));
        }
        assert_eq!(inside(&churned), expected);
    }

    #[test]
    fn at_most_one_place_changes_when_an_endpoint_comes_or_goes() {
        let mut subset = subsets(5, 1, 10, 40).remove(0);
        let mut moves = 0;
        for endpoint in (0..40).map(Endpoint) {
            for lists in [false, true] {
                let before = inside(&subset);
                let change = if lists { subset.list(endpoint) } else { subset.unlist(endpoint) };
                let mut after = before.clone();
                after.retain(|member| Some(*member) != change.leaves);
                after.extend(change.enters);
                assert_eq!(inside(&subset), after);
                assert_eq!(after.len(), 10);
                moves += usize::from(before != after);
            }
        }
        assert_eq!(moves, 2 * 10, "only members matter");
    }

    #[test]
    fn a_subset_that_is_not_full_holds_everybody() {
        let mut small = subsets(0, 1, 10, 4).remove(0);
        assert_eq!(inside(&small).len(), 4);
        assert_eq!(small.unlist(Endpoint(2)), Change { enters: None, leaves: Some(Endpoint(2)) });
    }
}
