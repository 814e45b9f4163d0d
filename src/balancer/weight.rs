//! How much of the traffic an endpoint gets, compared with an ordinary one.

use std::cmp::Ordering;

/// A weight of 1 as a whole number.
const UNIT: u64 = 1 << 30;

/// A relative share of the traffic, above zero. It is held in whole 2^-30ths: sums of weights are exact then, and do
/// not depend on the order in which endpoints came and went. Ten million endpoints of a weight of 1,000 still fit.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Weight(u64);

impl Weight {
    /// The weight of an ordinary endpoint.
    pub(super) const ONE: Weight = Weight(UNIT);

    /// This weight, to the nearest 2^-30th and at least one of them.
    pub(super) fn new(weight: f64) -> Self {
        debug_assert!(weight > 0.0, "a weight of {weight}");
        Weight(((weight * UNIT as f64).round() as u64).max(1))
    }

    /// In 2^-30ths.
    pub(super) const fn units(self) -> u64 {
        self.0
    }

    /// What one more request costs where so many are open: (open + 1) / weight, the *shortest expected delay* of the
    /// Linux Virtual Server's schedulers.
    #[inline]
    pub(super) fn cost(self, open: u32) -> Cost {
        Cost { requests: u64::from(open) + 1, weight: self }
    }

    /// From one turn to the next: one over the weight, in 2^-40ths.
    pub(super) fn interval(self) -> u128 {
        (1 << 70) / u128::from(self.0)
    }
}

/// Requests for a weight: a fraction, compared exactly.
#[derive(Clone, Copy, Debug)]
pub(super) struct Cost {
    requests: u64,
    weight: Weight,
}

impl Ord for Cost {
    #[inline]
    fn cmp(&self, other: &Self) -> Ordering {
        let crosswise = |one: &Cost, other: &Cost| u128::from(one.requests) * u128::from(other.weight.0);
        crosswise(self, other).cmp(&crosswise(other, self))
    }
}

impl PartialOrd for Cost {
    #[inline]
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for Cost {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other).is_eq()
    }
}

impl Eq for Cost {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn weights_are_exact_where_it_matters() {
        assert_eq!(Weight::new(1.0), Weight::ONE);
        assert_eq!(Weight::new(1e-12).units(), 1, "never nothing");
        assert_eq!(Weight::new(0.1).units() + Weight::new(0.9).units(), UNIT);
        assert_eq!(Weight::new(4.0).interval() * 4, Weight::ONE.interval());
    }

    #[test]
    fn a_request_costs_more_where_more_are_open_and_less_where_the_weight_is_higher() {
        assert!(Weight::ONE.cost(1) > Weight::ONE.cost(0));
        assert!(Weight::new(0.5).cost(0) > Weight::ONE.cost(0));
        assert_eq!(Weight::new(2.0).cost(1), Weight::ONE.cost(0), "twice the weight carries twice as many");
        let odd = Weight::new(0.3);
        assert!(odd.cost(u32::MAX - 1) < odd.cost(u32::MAX), "however many there are");
    }
}
