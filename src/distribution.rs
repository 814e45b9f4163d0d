//! How long things take: distributions of spans, sampled with the same bits on every platform and in every build.
//!
//! All transforms are written out here over `elementary`, `libm` and the four operations. The well-known crates are not used for
//! them because their bits change when another crate of the same build turns on a feature of `num-traits`. Every
//! transform but the gamma and the hyperexponential one is an inversion: one draw a variate, and a higher draw is a
//! longer span, which keeps strategies that are compared on the same draws as alike as they can be.

use crate::bits::places;
use crate::elementary::{exp, exp_of_plain, is_plain_power, ln};
use crate::random::{Stream, unit};
use std::sync::Arc;
use std::time::Duration;

/// The longest span that a draw can give, in seconds (about 31 years); longer ones are cut to it.
pub const LONGEST_S: f64 = 1e9;

/// A distribution of spans. Parameters are in seconds and, as `scenario` checks, finite and positive.
#[derive(Clone, Debug, PartialEq)]
pub enum Distribution {
    /// Equally likely between two bounds.
    Uniform {
        /// Lower bound, seconds.
        low: f64,
        /// Upper bound, seconds.
        high: f64,
    },
    /// Memoryless.
    Exponential {
        /// Mean, seconds.
        mean: f64,
    },
    /// One of two exponentials, chosen anew each time.
    Hyperexponential {
        /// The chance of the shorter one.
        chance: f64,
        /// Mean of the shorter one, seconds.
        short: f64,
        /// Mean of the longer one, seconds.
        long: f64,
    },
    /// `median · exp(sigma · Z)`.
    LogNormal {
        /// Median, seconds.
        median: f64,
        /// Standard deviation of the logarithm.
        sigma: f64,
    },
    /// Sum of `shape` exponentials of mean `scale`, for any positive shape.
    Gamma {
        /// Shape.
        shape: f64,
        /// Scale, seconds.
        scale: f64,
    },
    /// `scale · E^(1/shape)` with a unit exponential E.
    Weibull {
        /// Shape.
        shape: f64,
        /// Scale, seconds.
        scale: f64,
    },
    /// Heavy tail: P(X > x) = (minimum / x)^shape.
    Pareto {
        /// Smallest value, seconds.
        minimum: f64,
        /// Tail index; at 1 or below the mean is infinite.
        shape: f64,
    },
    /// One of these values, each equally likely (the bootstrap of what was measured). Sorted, seconds, not empty.
    Empirical(Arc<[f64]>),
}

/// The 95 % quantile of the standard normal distribution.
const Z95: f64 = 1.644_853_626_951_472_7;

impl Distribution {
    /// The lognormal distribution with this median and 95 % quantile, both in seconds, `p95 > median > 0`.
    pub fn log_normal(median: f64, p95: f64) -> Self {
        Distribution::LogNormal { median, sigma: libm::log(p95 / median) / Z95 }
    }

    /// The hyperexponential distribution with this mean, in seconds, and squared coefficient of variation above 1 whose
    /// two exponentials contribute equally to the mean: balanced means (Whitt: Approximating a point process by a renewal
    /// process, Operations Research 30, 1982).
    pub fn balanced_hyperexponential(mean: f64, scv: f64) -> Self {
        let chance = f64::midpoint(1.0, ((scv - 1.0) / (scv + 1.0)).sqrt());
        Distribution::Hyperexponential { chance, short: mean / (2.0 * chance), long: mean / (2.0 * (1.0 - chance)) }
    }

    /// One span, in seconds.
    pub fn sample(&self, stream: &mut Stream) -> f64 {
        match self {
            Distribution::Uniform { low, high } => low + (high - low) * stream.unit(),
            Distribution::Exponential { mean } => mean * exponential(stream),
            Distribution::Hyperexponential { chance, short, long } => {
                let mean = if stream.unit() < *chance { short } else { long };
                mean * exponential(stream)
            }
            Distribution::LogNormal { median, sigma } => median * exp(sigma * normal(stream)),
            Distribution::Gamma { shape, scale } => scale * gamma(stream, *shape),
            Distribution::Weibull { shape, scale } => scale * exp(ln(exponential(stream)) / shape),
            Distribution::Pareto { minimum, shape } => minimum * exp(exponential(stream) / shape),
            Distribution::Empirical(values) => {
                let place = (stream.unit() * values.len() as f64) as usize;
                values[place.min(values.len() - 1)]
            }
        }
    }

    /// Many spans in a row, in seconds: those of [`Distribution::sample`], at a fraction of the cost for the usual ones.
    #[inline(always)]
    pub fn sample_all(&self, stream: &mut Stream, spans: &mut [f64]) {
        match self {
            Distribution::Exponential { mean } => {
                exponentials(stream, spans);
                for span in spans {
                    *span *= mean;
                }
            }
            Distribution::LogNormal { median, sigma } => {
                normals(stream, spans);
                if spans.iter().all(|normal| is_plain_power(sigma * normal)) {
                    for span in spans {
                        *span = median * exp_of_plain(sigma * *span);
                    }
                } else {
                    for span in spans {
                        *span = median * exp(sigma * *span);
                    }
                }
            }
            _ => spans.fill_with(|| self.sample(stream)),
        }
    }

    /// The mean, in seconds; infinite for a Pareto tail with shape 1 or below.
    pub fn mean(&self) -> f64 {
        match self {
            Distribution::Uniform { low, high } => (low + high) / 2.0,
            Distribution::Exponential { mean } => *mean,
            Distribution::Hyperexponential { chance, short, long } => chance * short + (1.0 - chance) * long,
            Distribution::LogNormal { median, sigma } => median * libm::exp(sigma * sigma / 2.0),
            Distribution::Gamma { shape, scale } => shape * scale,
            Distribution::Weibull { shape, scale } => scale * libm::tgamma(1.0 + 1.0 / shape),
            Distribution::Pareto { shape, .. } if *shape <= 1.0 => f64::INFINITY,
            Distribution::Pareto { minimum, shape } => minimum * shape / (shape - 1.0),
            Distribution::Empirical(values) => values.iter().sum::<f64>() / values.len() as f64,
        }
    }
}

/// How long something takes. A certain delay is its own variant, because `exp(ln(30))` is not 30 and runs that are
/// worked out by hand need exact ties.
#[derive(Clone, Debug, PartialEq)]
pub enum Delay {
    /// Always the same.
    Fixed(Duration),
    /// Drawn anew each time.
    Drawn(Distribution),
}

impl Delay {
    /// No delay at all.
    pub const NONE: Delay = Delay::Fixed(Duration::ZERO);

    /// One span, in whole nanoseconds.
    pub fn sample_nanos(&self, stream: &mut Stream) -> u64 {
        match self {
            Delay::Fixed(span) => crate::time::nanos(*span),
            Delay::Drawn(distribution) => to_nanos(distribution.sample(stream)),
        }
    }

    /// Many spans in a row, in whole nanoseconds: those of [`Delay::sample_nanos`].
    #[inline(always)]
    pub fn sample_all_nanos<const COUNT: usize>(&self, stream: &mut Stream, spans: &mut [u64; COUNT]) {
        match self {
            Delay::Fixed(span) => spans.fill(crate::time::nanos(*span)),
            Delay::Drawn(distribution) => {
                let mut seconds = [0.0; COUNT];
                distribution.sample_all(stream, &mut seconds);
                spans.iter_mut().zip(seconds).for_each(|(span, seconds)| *span = to_nanos(seconds));
            }
        }
    }

    /// One span.
    pub fn sample(&self, stream: &mut Stream) -> Duration {
        Duration::from_nanos(self.sample_nanos(stream))
    }

    /// The span that a number drawn elsewhere stands for: always the same one for the same number.
    pub fn by_luck(&self, luck: u64) -> Duration {
        self.sample(&mut Stream::from_luck(luck))
    }

    /// The span that so many of all, 0 to 1, do not exceed: from ten thousand draws of a stream of its own, which is good to a
    /// few per cent, as words need it.
    pub fn quantile(&self, share: f64) -> Duration {
        let mut stream = Stream::from_luck(0x0099);
        let distribution = match self {
            Delay::Fixed(span) => return *span,
            Delay::Drawn(distribution) => distribution,
        };
        let mut draws: Vec<f64> = (0..10_000).map(|_| distribution.sample(&mut stream)).collect();
        draws.sort_unstable_by(f64::total_cmp);
        let place = ((share * 10_000.0) as usize).clamp(1, draws.len()) - 1;
        Duration::from_nanos(to_nanos(draws[place]))
    }

    /// The mean, in seconds.
    pub fn mean_s(&self) -> f64 {
        match self {
            Delay::Fixed(span) => span.as_secs_f64(),
            Delay::Drawn(distribution) => distribution.mean(),
        }
    }
}

/// Seconds to whole nanoseconds, rounded once, cut at [`LONGEST_S`].
#[inline]
pub fn to_nanos(seconds: f64) -> u64 {
    // No span is negative, and the longest one fits: the signed conversion is the one that processors have.
    (seconds.min(LONGEST_S) * 1e9 + 0.5) as i64 as u64
}

/// A unit exponential: −ln U.
#[inline]
pub fn exponential(stream: &mut Stream) -> f64 {
    -ln(stream.unit())
}

/// As many unit exponentials as there is room for, those of [`exponential`].
#[inline(always)]
pub fn exponentials(stream: &mut Stream, variates: &mut [f64]) {
    units(stream, variates);
    for variate in variates {
        *variate = -ln(*variate);
    }
}

/// As many uniform numbers as there is room for, those of [`Stream::unit`]: a stream is read one by one, and what it gives is
/// made numbers of at once.
#[inline(always)]
fn units(stream: &mut Stream, variates: &mut [f64]) {
    for some in variates.chunks_mut(64) {
        let mut bits = [0; 64];
        bits[..some.len()].fill_with(|| stream.bits());
        for (variate, bits) in some.iter_mut().zip(bits) {
            *variate = unit(bits);
        }
    }
}

/// As many standard normal variates as there is room for, those of [`normal`].
#[inline(always)]
fn normals(stream: &mut Stream, variates: &mut [f64]) {
    units(stream, variates);
    for some in variates.chunks_mut(64) {
        let mut units = [0.5; 64];
        units[..some.len()].copy_from_slice(some);
        // First as if all were central, then those that are not, a seventh of all, in a row: chance decides which, so
        // nothing branches on it.
        for variate in &mut *some {
            *variate = central_quantile(*variate - 0.5);
        }
        let mut tails = 0u64;
        for (place, unit) in units.iter().enumerate() {
            tails |= u64::from((unit - 0.5).abs() > CENTRAL) << place;
        }
        let mut quantiles = [0.01; 64];
        for (quantile, place) in quantiles.iter_mut().zip(places(tails)) {
            *quantile = units[place];
        }
        for quantile in &mut quantiles[..(tails.count_ones() as usize).next_multiple_of(8)] {
            *quantile = middle_quantile(*quantile);
        }
        for (quantile, place) in quantiles.iter().zip(places(tails)) {
            some[place] = if quantile.abs() <= MIDDLE { *quantile } else { tail_quantile(units[place]) };
        }
    }
}

/// A standard normal variate, by inversion.
pub fn normal(stream: &mut Stream) -> f64 {
    normal_quantile(stream.unit())
}

/// Marsaglia, Tsang: A Simple Method for Generating Gamma Variables (ACM TOMS 26, 2000); below shape 1 by their note
/// that `gamma(a) = gamma(a + 1) · U^(1/a)`.
fn gamma(stream: &mut Stream, shape: f64) -> f64 {
    if shape < 1.0 {
        let boost = exp(-exponential(stream) / shape);
        return gamma(stream, shape + 1.0) * boost;
    }
    let d = shape - 1.0 / 3.0;
    let c = 1.0 / (9.0 * d).sqrt();
    loop {
        let x = normal(stream);
        let v = 1.0 + c * x;
        if v <= 0.0 {
            continue;
        }
        let v = v * v * v;
        if libm::log(stream.unit()) < 0.5 * x * x + d - d * v + d * libm::log(v) {
            return d * v;
        }
    }
}

/// The quantile of the standard normal distribution, 0 < p < 1: PPND16 of Wichura, Algorithm AS 241 (Applied
/// Statistics 37, 1988), good to about one part in 10^16.
pub fn normal_quantile(p: f64) -> f64 {
    let q = p - 0.5;
    if q.abs() <= CENTRAL { central_quantile(q) } else { tail_quantile(p) }
}

/// How far from a half `p` is central.
const CENTRAL: f64 = 0.425;

/// Quantiles up to here are surely not those of the far tail, which begins at 6.66.
const MIDDLE: f64 = 6.5;

#[inline]
fn central_quantile(q: f64) -> f64 {
    let r = 0.180_625 - q * q;
    q * polynomial(&CENTRE_ABOVE, r) / polynomial(&CENTRE_BELOW, r)
}

fn tail_quantile(p: f64) -> f64 {
    let r = (-ln(p.min(1.0 - p))).sqrt();
    if r <= 5.0 {
        return middle_quantile(p);
    }
    let z = polynomial(&TAIL_ABOVE, r - 5.0) / polynomial(&TAIL_BELOW, r - 5.0);
    z.copysign(p - 0.5)
}

/// The quantile of what is neither central nor further out than [`MIDDLE`].
#[inline]
fn middle_quantile(p: f64) -> f64 {
    let r = (-ln(p.min(1.0 - p))).sqrt();
    let z = polynomial(&MIDDLE_ABOVE, r - 1.6) / polynomial(&MIDDLE_BELOW, r - 1.6);
    z.copysign(p - 0.5)
}

/// Horner's rule; plain products and sums, so no fused operation can change the bits.
#[inline]
fn polynomial(coefficients: &[f64; 8], x: f64) -> f64 {
    coefficients.iter().rev().fold(0.0, |sum, coefficient| sum * x + coefficient)
}

const CENTRE_ABOVE: [f64; 8] = [
    3.387_132_872_796_366_5,
    133.141_667_891_784_38,
    1_971.590_950_306_551_3,
    13_731.693_765_509_46,
    45_921.953_931_549_87,
    67_265.770_927_008_7,
    33_430.575_583_588_13,
    2_509.080_928_730_122_7,
];
const CENTRE_BELOW: [f64; 8] = [
    1.0,
    42.313_330_701_600_91,
    687.187_007_492_057_9,
    5_394.196_021_424_751,
    21_213.794_301_586_597,
    39_307.895_800_092_71,
    28_729.085_735_721_943,
    5_226.495_278_852_854,
];
const MIDDLE_ABOVE: [f64; 8] = [
    1.423_437_110_749_683_5,
    4.630_337_846_156_546,
    5.769_497_221_460_691,
    3.647_848_324_763_204_5,
    1.270_458_252_452_368_4,
    0.241_780_725_177_450_6,
    0.022_723_844_989_269_184,
    0.000_774_545_014_278_341_4,
];
const MIDDLE_BELOW: [f64; 8] = [
    1.0,
    2.053_191_626_637_759,
    1.676_384_830_183_803_8,
    0.689_767_334_985_1,
    0.148_103_976_427_480_08,
    0.015_198_666_563_616_457,
    0.000_547_593_808_499_534_5,
    1.050_750_071_644_416_9e-9,
];
const TAIL_ABOVE: [f64; 8] = [
    6.657_904_643_501_103,
    5.463_784_911_164_114,
    1.784_826_539_917_291_3,
    0.296_560_571_828_504_87,
    0.026_532_189_526_576_124,
    0.001_242_660_947_388_078_4,
    2.711_555_568_743_487_6e-5,
    2.010_334_399_292_288_1e-7,
];
const TAIL_BELOW: [f64; 8] = [
    1.0,
    0.599_832_206_555_888,
    0.136_929_880_922_735_8,
    0.014_875_361_290_850_615,
    0.000_786_869_131_145_613_3,
    1.846_318_317_510_054_8e-5,
    1.421_511_758_316_446e-7,
    2.044_263_103_389_939_8e-15,
];

#[cfg(test)]
mod tests {
    use super::*;
    use crate::random::{Purpose, Streams};
    use std::f64::consts::LN_2;

    fn stream(seed: u64) -> Stream {
        Streams::new(seed, 0).of(Purpose::Work, 0)
    }

    /// Quantiles as printed in tables: z(0.975) = 1.959963985, z(0.95), z(0.999), z(10^-10) of Wichura's own check.
    #[test]
    fn many_spans_in_a_row_are_those_drawn_one_by_one() {
        let distributions = [
            Distribution::Exponential { mean: 0.3 },
            Distribution::log_normal(0.02, 0.09),
            Distribution::LogNormal { median: 1.0, sigma: 400.0 },
            Distribution::Gamma { shape: 2.0, scale: 1.0 },
        ];
        for distribution in distributions {
            let delay = Delay::Drawn(distribution);
            let streams = crate::random::Streams::new(5, 0);
            let mut one = streams.of(crate::random::Purpose::Work, 0);
            let mut many = one.clone();
            for _ in 0..200 {
                let mut spans = [0; 50];
                delay.sample_all_nanos(&mut many, &mut spans);
                assert_eq!(spans, [0; 50].map(|_: u64| delay.sample_nanos(&mut one)), "{delay:?}");
            }
        }
    }

    #[test]
    fn the_normal_quantile_meets_the_tables() {
        for (p, z) in [
            (0.5, 0.0),
            (0.95, Z95),
            (0.975, 1.959_963_984_540_054),
            (0.25, -0.674_489_750_196_081_7),
            (0.001, -3.090_232_306_167_813_5),
            (1e-20, -9.262_340_089_798_409),
        ] {
            let error = (normal_quantile(p) - z).abs();
            assert!(error <= 1e-14 * (1.0 + z.abs()), "p = {p}: off by {error:e}");
        }
    }

    fn every_kind() -> [(&'static str, Distribution); 8] {
        [
            ("uniform", Distribution::Uniform { low: 1.0, high: 3.0 }),
            ("exponential", Distribution::Exponential { mean: 2.0 }),
            ("hyperexponential", Distribution::balanced_hyperexponential(2.0, 4.0)),
            ("lognormal", Distribution::log_normal(8.0, 20.0)),
            ("gamma", Distribution::Gamma { shape: 0.7, scale: 2.0 }),
            ("weibull", Distribution::Weibull { shape: 1.5, scale: 10.0 }),
            ("pareto", Distribution::Pareto { minimum: 1.0, shape: 5.0 }),
            ("empirical", Distribution::Empirical(Arc::from([1.0, 2.0, 4.0, 8.0]))),
        ]
    }

    /// FNV-1a over the bits of the first 1,000 draws: another platform, another set of crates in the build or a
    /// change of a transform shows here at once.
    #[test]
    fn the_first_thousand_draws_of_each_distribution_are_golden() {
        let hashes = every_kind().map(|(name, distribution)| {
            let mut stream = stream(1);
            let hash = (0..1000).fold(0xcbf2_9ce4_8422_2325, |hash: u64, _| {
                let bits = distribution.sample(&mut stream).to_bits();
                (hash ^ bits).wrapping_mul(0x0100_0000_01b3)
            });
            (name, hash)
        });
        assert_eq!(hashes, GOLDEN, "{hashes:#x?}");
    }

    const GOLDEN: [(&str, u64); 8] = [
        ("uniform", 0xd3ac_64b1_99c4_f91c),
        ("exponential", 0xdc2a_1551_2f7d_46c9),
        ("hyperexponential", 0x6a03_cfdb_9927_6a77),
        ("lognormal", 0x8b1b_775b_4b0e_eac3),
        ("gamma", 0x83a6_7e5f_7aff_a8cc),
        ("weibull", 0x797c_57e1_1175_166a),
        ("pareto", 0x7206_fd53_59b3_c196),
        ("empirical", 0x6bf3_3b17_8b17_a745),
    ];

    #[test]
    fn sample_means_meet_the_means() {
        for (name, distribution) in every_kind() {
            for seed in 1..=5 {
                let mut stream = stream(seed);
                let count = 200_000;
                let drawn: Vec<f64> = (0..count).map(|_| distribution.sample(&mut stream)).collect();
                let mean = drawn.iter().sum::<f64>() / f64::from(count);
                let variance = drawn.iter().map(|x| (x - mean) * (x - mean)).sum::<f64>() / f64::from(count);
                let z = (mean - distribution.mean()) / (variance / f64::from(count)).sqrt();
                assert!(z.abs() < 4.0, "{name}, seed {seed}: z = {z}");
            }
        }
    }

    /// Closed quantile functions, each held against the empirical share below it.
    #[test]
    fn quantiles_meet_the_closed_forms() {
        let cases = [
            (Distribution::Exponential { mean: 2.0 }, 0.99, 2.0 * 4.605_170_185_988_091),
            (Distribution::log_normal(8.0, 20.0), 0.95, 20.0),
            (Distribution::Weibull { shape: 1.5, scale: 10.0 }, 0.5, 10.0 * LN_2.cbrt().powi(2)),
            (Distribution::Pareto { minimum: 1.0, shape: 2.0 }, 0.75, 2.0),
            // The gamma distribution with shape 1 is the exponential one.
            (Distribution::Gamma { shape: 1.0, scale: 3.0 }, 0.5, 3.0 * LN_2),
        ];
        for (distribution, p, quantile) in cases {
            for seed in 1..=5 {
                let mut stream = stream(seed);
                let count = 100_000;
                let below = (0..count).filter(|_| distribution.sample(&mut stream) <= quantile).count();
                let share = below as f64 / f64::from(count);
                let z = (share - p) / (p * (1.0 - p) / f64::from(count)).sqrt();
                assert!(z.abs() < 4.0, "{distribution:?}, seed {seed}: {share} below the {p} quantile");
            }
        }
    }

    /// Two unequal exponentials with the same part of the mean each: E[X²] = 2 (p a² + (1 − p) b²).
    #[test]
    fn a_hyperexponential_has_its_mean_its_variation_and_balanced_parts() {
        for (mean, scv) in [(2.0, 4.0), (1.0, 1.5), (0.25, 30.0)] {
            let distribution = Distribution::balanced_hyperexponential(mean, scv);
            let Distribution::Hyperexponential { chance, short, long } = distribution else {
                unreachable!("it is one")
            };
            assert!((chance * short - mean / 2.0).abs() < 1e-12 && short < long);
            assert!((distribution.mean() - mean).abs() < 1e-12);
            let second_moment = 2.0 * (chance * short * short + (1.0 - chance) * long * long);
            assert!((second_moment / (mean * mean) - 1.0 - scv).abs() < 1e-9, "{second_moment}");
        }
    }

    #[test]
    fn a_fixed_delay_is_exact_and_a_wild_one_is_cut() {
        let fixed = Delay::Fixed(Duration::from_millis(100));
        assert_eq!(fixed.sample_nanos(&mut stream(1)) * 10, crate::time::SECOND);
        assert_eq!(to_nanos(f64::INFINITY), 1_000_000_000 * crate::time::SECOND);
    }

    #[test]
    fn luck_drawn_elsewhere_stands_for_one_span_of_the_distribution() {
        for (name, distribution) in every_kind() {
            let delay = Delay::Drawn(distribution);
            assert_eq!(delay.by_luck(7), delay.by_luck(7), "{name}");
            let mean = (0..100_000).map(|luck| delay.by_luck(luck).as_secs_f64()).sum::<f64>() / 1e5;
            assert!((mean / delay.mean_s() - 1.0).abs() < 0.05, "{name}: {mean}");
        }
    }

    #[test]
    fn the_quantile_of_words_is_near_the_exact_one() {
        let exponential = Delay::Drawn(Distribution::Exponential { mean: 2.0 });
        // ln 100 × 2 and ln 2 × 2.
        for (share, exact) in [(0.99, 9.21), (0.5, 1.386)] {
            let quantile = exponential.quantile(share).as_secs_f64();
            assert!((quantile / exact - 1.0).abs() < 0.05, "{quantile} instead of {exact}");
        }
        assert_eq!(Delay::Fixed(Duration::from_secs(3)).quantile(0.99), Duration::from_secs(3));
    }
}
