//! Closed forms that a rollout is planned with: binomials, fleets in the limit, tests of a canary, budgets.

use crate::distribution::normal_quantile;

/// The chance that at least so many of `n` independent events happen, each of which does with chance `p`: the upper tail of
/// the binomial distribution.
pub fn at_least(k: u32, n: u32, p: f64) -> f64 {
    if k == 0 {
        return 1.0;
    }
    let ln = |x: f64| if x > 0.0 { libm::log(x) } else { f64::NEG_INFINITY };
    let ln_choose = |i: f64| {
        let n = f64::from(n);
        libm::lgamma(n + 1.0) - libm::lgamma(i + 1.0) - libm::lgamma(n - i + 1.0)
    };
    // 0 × ln 0 is 0 here: an event that cannot happen need not.
    let power = |times: f64, ln_p: f64| if times == 0.0 { 0.0 } else { times * ln_p };
    let term = |i: u32| {
        let (hits, misses) = (f64::from(i), f64::from(n - i));
        libm::exp(ln_choose(hits) + power(hits, ln(p)) + power(misses, ln(1.0 - p)))
    };
    (k..=n).map(term).sum::<f64>().min(1.0)
}

/// Mean response in units of work of infinitely many servers, where each request joins the shortest queue of `choices`
/// random ones: Σ λ^((dⁱ − d) / (d − 1)) over i ≥ 1, for d of at least 2 and a load below 1 (Mitzenmacher, The Power of Two
/// Choices in Randomized Load Balancing, IEEE TPDS 12, 2001).
pub fn supermarket_response(load: f64, choices: u32) -> f64 {
    let d = f64::from(choices);
    let mut sum = 0.0;
    let mut power = d;
    loop {
        let term = libm::pow(load, (power - d) / (d - 1.0));
        sum += term;
        power *= d;
        if term < 1e-17 || !power.is_finite() {
            return sum;
        }
    }
}

/// Requests that each of two versions must serve so that a difference between two error rates is found with this power
/// at this two-sided significance: (z(1 − α/2) + z(power))² (p (1 − p) + q (1 − q)) / (p − q)² (the unpooled normal
/// approximation; Fleiss, Statistical Methods for Rates and Proportions, 1981, 3.2).
pub fn sample_size(p: f64, q: f64, significance: f64, power: f64) -> f64 {
    let z = normal_quantile(1.0 - significance / 2.0) + normal_quantile(power);
    z * z * (p * (1.0 - p) + q * (1.0 - q)) / ((p - q) * (p - q))
}

/// Wald's sequential test of an error rate (Wald, Sequential Analysis, 1947): after each request the log-likelihood ratio of
/// the bad rate to the good one is held against ln((1 − β) / α), where the version is rejected, and ln(β / (1 − α)),
/// where it is accepted.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct SequentialTest {
    /// The error rate of a good version, above 0.
    pub good: f64,
    /// That of a bad one, above it and below 1.
    pub bad: f64,
    /// The chance to reject a good one that is aimed at.
    pub alpha: f64,
    /// The chance to accept a bad one that is aimed at.
    pub beta: f64,
}

/// What a sequential test comes to.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Decided {
    /// Mean requests until it is decided.
    pub requests: f64,
    /// The chance that the version is rejected.
    pub rejected: f64,
}

impl SequentialTest {
    /// The chance that it is still open below which nothing is worked out any more.
    const NEGLIGIBLE: f64 = 1e-12;
    /// Requests after which it is given up.
    const LONGEST: u32 = 10_000_000;

    /// What comes out for a version of this error rate, worked out request by request over the number of errors so far: Wald's
    /// own approximations leave out by how much a boundary is crossed, which here is a lot.
    pub fn decide(&self, rate: f64) -> Decided {
        let by_error = libm::log(self.bad / self.good);
        let by_success = libm::log((1.0 - self.bad) / (1.0 - self.good));
        let (upper, lower) = (libm::log((1.0 - self.beta) / self.alpha), libm::log(self.beta / (1.0 - self.alpha)));
        // The chance to be undecided with so many errors.
        let mut open = vec![1.0];
        let (mut requests, mut rejected) = (0.0, 0.0);
        for request in 1..=Self::LONGEST {
            let undecided: f64 = open.iter().sum();
            if undecided < Self::NEGLIGIBLE {
                break;
            }
            requests += undecided;
            let mut next = vec![0.0; open.len() + 1];
            for (errors, chance) in open.iter().enumerate().filter(|(_, chance)| **chance > 0.0) {
                next[errors] += chance * (1.0 - rate);
                next[errors + 1] += chance * rate;
            }
            for (errors, chance) in next.iter_mut().enumerate() {
                let successes = f64::from(request) - errors as f64;
                let ratio = errors as f64 * by_error + successes * by_success;
                if ratio >= upper {
                    rejected += *chance;
                }
                if ratio >= upper || ratio <= lower {
                    *chance = 0.0;
                }
            }
            while next.last().is_some_and(|chance| *chance == 0.0) {
                next.pop();
            }
            open = next;
        }
        Decided { requests, rejected }
    }
}

/// Below which load a service is sure to come back from any overload, and the load that it stays under otherwise, where
/// each request is retried so often: capacity / (1 + retries) and load × (1 + retries) (Bronson et al., Metastable Failures
/// in Distributed Systems, HotOS 2021).
pub fn metastable_loads(capacity: f64, load: f64, retries: f64) -> [f64; 2] {
    [capacity / (1.0 + retries), load * (1.0 + retries)]
}

/// How many of so many servers can be out while the others are not overloaded; `None` where all of them are not enough.
pub fn spare_servers(servers: u32, load: f64, rate_of_one: f64) -> Option<u32> {
    // A server at its very limit is overloaded: its queue grows without end.
    let needed = libm::floor(load / rate_of_one * (1.0 + 1e-12)) + 1.0;
    (needed <= f64::from(servers)).then(|| servers - needed as u32)
}

/// The share of an error budget of 30 days that so many failed requests use up.
pub fn budget_used(failed: f64, rate: f64, objective: f64) -> f64 {
    failed / (rate * 30.0 * 86_400.0 * (1.0 - objective))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn binomial_tails_are_worked_out_by_hand() {
        for (k, n, p, chance) in [
            (0, 10, 0.3, 1.0),
            (1, 2, 0.5, 0.75),
            (2, 2, 0.5, 0.25),
            (1, 3, 0.0, 0.0),
            (3, 3, 1.0, 1.0),
            (1, 100, 0.01, 1.0 - 0.99f64.powi(100)),
        ] {
            assert!((at_least(k, n, p) - chance).abs() < 1e-12, "at least {k} of {n} at {p}");
        }
    }

    #[test]
    fn more_choices_shorten_the_response() {
        // The printed limits of Mitzenmacher's table 1, whose last digit is not always the nearest one.
        for (load, printed) in
            [(0.5, 1.2657), (0.7, 1.6145), (0.8, 1.9475), (0.9, 2.6141), (0.95, 3.3830), (0.99, 5.4320)]
        {
            assert!((supermarket_response(load, 2) - printed).abs() < 2e-4, "{load}");
            assert!(supermarket_response(load, 3) < supermarket_response(load, 2));
        }
    }

    #[test]
    fn a_sequential_test_with_one_step_to_each_side_is_a_coin() {
        // One error rejects and one success accepts: a single request decides.
        let test = SequentialTest { good: 0.4, bad: 0.6, alpha: 0.45, beta: 0.45 };
        let decided = test.decide(0.3);
        assert!((decided.requests - 1.0).abs() < 1e-12 && (decided.rejected - 0.3).abs() < 1e-12, "{decided:?}");
        // Two steps to each side, each step ln 1.5: the gambler's ruin from the middle.
        let test = SequentialTest { good: 0.4, bad: 0.6, alpha: 0.32, beta: 0.32 };
        let (p, q) = (0.3f64, 0.7f64);
        let decided = test.decide(p);
        let ruin = p * p / (p * p + q * q);
        assert!((decided.rejected - ruin).abs() < 1e-9, "{decided:?}");
        assert!((decided.requests - 2.0 / (1.0 - 2.0 * p * q)).abs() < 1e-9, "{decided:?}");
    }

    #[test]
    fn a_server_at_its_limit_is_not_enough() {
        for (servers, load, spare) in [(10, 8.0, Some(1)), (10, 7.9, Some(2)), (10, 10.0, None), (10, 9.5, Some(0))] {
            assert_eq!(spare_servers(servers, load, 1.0), spare, "{load}");
        }
    }
}
