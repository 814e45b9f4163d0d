//! Numbers to estimates: means and paired differences with intervals. No mean leaves here without one.

use serde::{Deserialize, Serialize};

/// A mean over replications with its confidence interval.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Estimate {
    /// The mean.
    pub mean: f64,
    /// Lower end of the interval.
    pub low: f64,
    /// Upper end of the interval.
    pub high: f64,
}

/// At least two finite values.
#[derive(Clone, Debug, PartialEq)]
pub struct Sample(Vec<f64>);

impl Sample {
    /// `None` below two values, or when one is not finite.
    pub fn new(values: Vec<f64>) -> Option<Self> {
        let holds = values.len() >= 2 && values.iter().all(|value| value.is_finite());
        holds.then_some(Sample(values))
    }

    /// The differences between pairs, this one minus the other.
    ///
    /// # Panics
    /// When the samples differ in length: pairs were promised.
    #[must_use]
    pub fn minus(&self, other: &Sample) -> Sample {
        assert_eq!(self.0.len(), other.0.len(), "one pair a replication");
        Sample(self.0.iter().zip(&other.0).map(|(a, b)| a - b).collect())
    }

    /// The arithmetic mean.
    pub fn mean(&self) -> f64 {
        self.0.iter().sum::<f64>() / self.0.len() as f64
    }

    /// The standard error of the mean, from the sample variance with n − 1.
    pub fn standard_error(&self) -> f64 {
        let mean = self.mean();
        let squares: f64 = self.0.iter().map(|value| (value - mean) * (value - mean)).sum();
        let n = self.0.len() as f64;
        (squares / (n - 1.0) / n).sqrt()
    }

    /// The mean with Student's t interval (Student 1908): mean ± t · standard error with n − 1 degrees of freedom.
    pub fn estimate(&self, confidence: f64) -> Estimate {
        let mean = self.mean();
        let t = student_t_quantile(0.5 + confidence / 2.0, self.0.len() as f64 - 1.0);
        let half = t * self.standard_error();
        Estimate { mean, low: mean - half, high: mean + half }
    }
}

/// The highest probability of an event that was seen in none of `trials`, at this confidence: 1 − (1 − c)^(1/n),
/// about 3/n at 95 % (the rule of three; Hanley, Lippman-Hand 1983). 1 where there were no trials.
pub fn upper_bound_of_none(trials: u64, confidence: f64) -> f64 {
    if trials == 0 {
        return 1.0;
    }
    1.0 - libm::exp(libm::log(1.0 - confidence) / trials as f64)
}

/// The quantile of Student's t distribution, 0.5 ≤ p < 1, by bisection of its distribution function to full
/// precision.
pub fn student_t_quantile(p: f64, degrees: f64) -> f64 {
    debug_assert!((0.5..1.0).contains(&p) && degrees >= 1.0, "p = {p}, {degrees} degrees");
    let (mut low, mut high) = (0.0, 1.0);
    while student_t_cdf(high, degrees) < p && high < 1e15 {
        high *= 2.0;
    }
    // Until no number lies between the two.
    loop {
        let middle = low + (high - low) / 2.0;
        if middle <= low || middle >= high {
            return middle;
        }
        if student_t_cdf(middle, degrees) < p { low = middle } else { high = middle }
    }
}

/// P(T ≤ t) for t ≥ 0: 1 − I(ν/(ν + t²); ν/2, 1/2) / 2 (Abramowitz, Stegun 26.7.1).
fn student_t_cdf(t: f64, degrees: f64) -> f64 {
    1.0 - 0.5 * regularized_beta(degrees / (degrees + t * t), degrees / 2.0, 0.5)
}

/// The regularized incomplete beta function by its continued fraction (Abramowitz, Stegun 26.5.8), evaluated by
/// Lentz's method.
#[expect(clippy::many_single_char_names, reason = "the letters of the formula")]
fn regularized_beta(x: f64, a: f64, b: f64) -> f64 {
    if x <= 0.0 || x >= 1.0 {
        return x.clamp(0.0, 1.0);
    }
    // The fraction converges fast below this; above it the symmetry I(x; a, b) = 1 − I(1 − x; b, a) helps.
    if x > (a + 1.0) / (a + b + 2.0) {
        return 1.0 - regularized_beta(1.0 - x, b, a);
    }
    let ln_beta = libm::lgamma(a) + libm::lgamma(b) - libm::lgamma(a + b);
    let front = libm::exp(a * libm::log(x) + b * libm::log1p(-x) - ln_beta) / a;
    let tiny = 1e-300;
    let (mut c, mut d) = (1.0, 1.0 - (a + b) * x / (a + 1.0));
    d = 1.0 / if d.abs() < tiny { tiny } else { d };
    let mut fraction = d;
    for m in 1..=300 {
        let m = f64::from(m);
        let even = m * (b - m) * x / ((a + 2.0 * m - 1.0) * (a + 2.0 * m));
        let odd = -(a + m) * (a + b + m) * x / ((a + 2.0 * m) * (a + 2.0 * m + 1.0));
        let mut change = 1.0;
        for term in [even, odd] {
            d = 1.0 + term * d;
            d = 1.0 / if d.abs() < tiny { tiny } else { d };
            c = 1.0 + term / c;
            if c.abs() < tiny {
                c = tiny;
            }
            change = d * c;
            fraction *= change;
        }
        if (change - 1.0).abs() < 1e-16 {
            break;
        }
    }
    front * fraction
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Two-sided 95 % and 99 % points of Student's t as printed in tables (Fisher, Yates).
    #[test]
    fn t_quantiles_meet_the_tables() {
        for (p, degrees, t) in [
            (0.975, 1.0, 12.706),
            (0.975, 2.0, 4.303),
            (0.975, 5.0, 2.571),
            (0.975, 10.0, 2.228),
            (0.975, 30.0, 2.042),
            (0.975, 120.0, 1.980),
            (0.975, 1e9, 1.960),
            (0.995, 1.0, 63.657),
            (0.995, 10.0, 3.169),
            (0.5, 7.0, 0.0),
        ] {
            let found = student_t_quantile(p, degrees);
            assert!((found - t).abs() < 5.1e-4, "t({p}; {degrees}) = {found}, printed {t}");
        }
    }

    #[test]
    fn an_estimate_is_worked_out_by_hand() {
        // 1, 2, 3: mean 2, variance 1, standard error 1/sqrt(3), t(0.975; 2) = 4.3027.
        let estimate = Sample::new(vec![1.0, 2.0, 3.0]).expect("three values").estimate(0.95);
        assert!((estimate.mean - 2.0).abs() < 1e-12);
        assert!((estimate.high - 2.0 - 4.302_652_729_9 / 3f64.sqrt()).abs() < 1e-8);
        assert!((estimate.mean - estimate.low - (estimate.high - estimate.mean)).abs() < 1e-12);
    }

    #[test]
    fn too_little_or_unusable_evidence_is_no_sample() {
        assert_eq!(Sample::new(vec![1.0]), None);
        assert_eq!(Sample::new(vec![1.0, f64::NAN]), None);
    }

    #[test]
    fn nothing_seen_is_not_nothing_possible() {
        let bound = upper_bound_of_none(300, 0.95);
        assert!((bound - 3.0 / 300.0).abs() < 1e-4, "{bound}");
        assert!((upper_bound_of_none(0, 0.95) - 1.0).abs() < 1e-12);
    }
}
