//! The exponential and the logarithm with the same bits on every platform and in every build: sums, products and one
//! quotient, each rounded by IEEE 754, over the tables of FreeBSD's msun (Sun Microsystems, `e_exp.c` and `e_log.c`).
//!
//! Two of them are drawn upon for every simulated request. So they leave out what draws never meet (zero, infinities,
//! subnormal numbers, signs), and branch on nothing that chance decides.

#![expect(clippy::excessive_precision, reason = "the coefficients of the source")]
#![expect(clippy::many_single_char_names, reason = "the names of the source")]

const LN2_HI: f64 = 6.931_471_803_691_238_164_90e-01;
const LN2_LO: f64 = 1.908_214_929_270_587_700_02e-10;

/// The natural logarithm of a normal number above 0: the bits of `libm::log`, which are within one unit in the last place.
#[inline]
pub fn ln(x: f64) -> f64 {
    const SQRT_HALF: u64 = 0x3fe6_a09e << 32;
    const ONE: u64 = 0x3ff0_0000 << 32;
    const MANTISSA: u64 = (1 << 52) - 1;
    debug_assert!(x.is_normal() && x > 0.0, "the logarithm of {x}");
    // x is 2^k times a number from about √½ to √2.
    let shifted = x.to_bits() + (ONE - SQRT_HALF);
    let k = (shifted >> 52) as i32 - 0x3ff;
    let f = f64::from_bits((shifted & MANTISSA) + SQRT_HALF) - 1.0;
    let half_square = 0.5 * f * f;
    let s = f / (2.0 + f);
    let z = s * s;
    let w = z * z;
    let even =
        w * (3.999_999_999_940_941_908e-01 + w * (2.222_219_843_214_978_396e-01 + w * 1.531_383_769_920_937_332e-01));
    let odd = z
        * (6.666_666_666_666_735_130e-01
            + w * (2.857_142_874_366_239_149e-01
                + w * (1.818_357_216_161_805_012e-01 + w * 1.479_819_860_511_658_591e-01)));
    let k = f64::from(k);
    s * (half_square + (odd + even)) + k * LN2_LO - half_square + f + k * LN2_HI
}

/// `e` to this power, to within one unit in the last place or so; nearly always the bits of `libm::exp`.
#[inline]
pub fn exp(x: f64) -> f64 {
    if is_plain_power(x) { exp_of_plain(x) } else { libm::exp(x) }
}

/// Whether a power is a normal number by far.
#[inline]
pub fn is_plain_power(x: f64) -> bool {
    x.abs() <= 700.0
}

/// [`exp`] where [`is_plain_power`] holds; anything else otherwise. It branches on nothing.
#[inline]
pub fn exp_of_plain(x: f64) -> f64 {
    const INVERSE_LN2: f64 = std::f64::consts::LOG2_E;
    /// Adding it rounds to whole numbers, which stand in the lowest bits then.
    const ROUNDING: f64 = 6_755_399_441_055_744.0;
    let rounded = x * INVERSE_LN2 + ROUNDING;
    let k = rounded - ROUNDING;
    let (high, low) = (x - k * LN2_HI, k * LN2_LO);
    let r = high - low;
    let square = r * r;
    let c = r - square
        * (1.666_666_666_666_660_190_37e-01
            + square
                * (-2.777_777_777_701_559_338_42e-03
                    + square
                        * (6.613_756_321_437_934_361_17e-05
                            + square
                                * (-1.653_390_220_546_525_153_90e-06 + square * 4.138_136_797_057_238_460_39e-08))));
    let y = 1.0 + (r * c / (2.0 - c) - low + high);
    f64::from_bits(y.to_bits().wrapping_add(rounded.to_bits() << 52))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::random::{mix, unit};

    #[test]
    fn the_logarithm_has_the_bits_of_the_library() {
        for number in 0..1_000_000u64 {
            let u = unit(mix(number));
            for x in [u, 1.0 - u, u * u * u * u * u, 1.0 / u, 1e300 * u, 1e-300 * u] {
                if x.is_normal() {
                    assert_eq!(ln(x).to_bits(), libm::log(x).to_bits(), "of {x}");
                }
            }
        }
        assert_eq!(ln(1.0).to_bits(), 0);
    }

    #[test]
    fn the_exponential_is_within_a_unit_of_the_last_place() {
        let mut others = 0;
        for number in 0..1_000_000u64 {
            let u = unit(mix(number));
            for x in [u - 0.5, 4.0 * (u - 0.5), 60.0 * (u - 0.5), 1_400.0 * (u - 0.5), 1e-9 * (u - 0.5)] {
                let difference = exp(x).to_bits().abs_diff(libm::exp(x).to_bits());
                assert!(difference <= 1, "exp({x}) differs by {difference} units");
                others += difference;
            }
        }
        assert!(others < 500, "{others} of five million differ");
        for x in [0.0, -0.0, 700.0, -700.0, 701.0, -750.0, 800.0, f64::INFINITY, f64::NEG_INFINITY] {
            assert!(exp(x).to_bits().abs_diff(libm::exp(x).to_bits()) <= 1, "exp({x})");
        }
        assert!(exp(f64::NAN).is_nan());
    }
}
