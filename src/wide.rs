//! How many numbers of 64 bits this processor computes at once, and how it compares several with one: one after the other, or all at
//! once where it can. Either comes to the same bits.

/// What is compiled more than once: draws, and requests in a row.
///
/// Each use asks for `unsafe`, for a processor must have what a function is compiled for. By `cargo bench --bench ratios -- floor`,
/// draws of four bought 18 % over plain ones. With draws and looks of eight a request costs 2.80 where it costs 3.59 with draws of
/// four: 22 % less (medians of three interleaved runs).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Width {
    /// One or two, as any processor of its kind.
    Plain,
    /// AVX2.
    Four,
    /// AVX-512, with the instructions for single bits that each such processor has.
    Eight,
}

impl Width {
    /// What may be used here.
    #[inline]
    pub fn of_this_processor() -> Self {
        #[cfg(target_arch = "x86_64")]
        {
            use std::arch::is_x86_feature_detected as has;
            let has_eight = has!("avx512f") && has!("avx512vl") && has!("avx512dq") && has!("avx512bw");
            if has_eight && has!("bmi1") && has!("lzcnt") && has!("popcnt") {
                return Width::Eight;
            }
            if has!("avx2") {
                return Width::Four;
            }
        }
        Width::Plain
    }

    /// All that may be used here.
    #[cfg(test)]
    pub fn all_of_this_processor() -> impl Iterator<Item = Width> {
        [Width::Plain, Width::Four, Width::Eight].into_iter().filter(|width| *width <= Width::of_this_processor())
    }
}

/// The cache line where something begins that will be looked at soon is fetched, if a processor can be told so.
///
/// By `cargo bench --bench ratios -- growth-100000` it buys a third: 43 ns a request where it is 66 (medians of four interleaved runs).
#[inline(always)]
pub fn fetch<T>(what: &T) {
    fetch_at(what, 0);
}

/// All cache lines that it lies in are fetched.
#[inline(always)]
pub fn fetch_whole<T>(what: &T) {
    for line in 0..=size_of::<T>().saturating_sub(1) / LINE {
        fetch_at(what, line * LINE);
    }
    fetch_at(what, size_of::<T>().saturating_sub(1));
}

/// Bytes of a cache line.
const LINE: usize = 64;

#[inline(always)]
fn fetch_at<T>(what: &T, offset: usize) {
    #[cfg(target_arch = "x86_64")]
    {
        use std::arch::x86_64::{_MM_HINT_T0, _mm_prefetch};
        // SAFETY: it is a hint. Whatever lies there, nothing of it comes into the program.
        #[expect(unsafe_code, reason = "see above")]
        unsafe {
            _mm_prefetch(std::ptr::from_ref(what).wrapping_byte_add(offset).cast(), _MM_HINT_T0);
        }
    }
    #[cfg(not(target_arch = "x86_64"))]
    let _ = (what, offset);
}

/// How eight or sixteen numbers are compared with one.
pub trait Compare: Copy {
    /// How many of eight are above a number, and which ones, a bit each. All are below 2^63.
    fn above(self, numbers: &[u64; 8], number: u64) -> (u32, u64);

    /// Which of eight bytes are equal to one, a bit each.
    fn equal(self, bytes: [u8; 8], byte: u8) -> u64;

    /// How many of sixteen are not above a number.
    fn up_to(self, numbers: &[u64; 16], number: u64) -> usize;
}

/// By any processor.
#[derive(Clone, Copy)]
pub struct OneByOne;

impl Compare for OneByOne {
    /// They are counted in the lowest byte of a sum and marked in the next one: so processors that add two numbers at once
    /// can do it.
    #[inline(always)]
    fn above(self, numbers: &[u64; 8], number: u64) -> (u32, u64) {
        let mut sum = 0;
        for (column, one) in numbers.iter().enumerate() {
            let is_above = number.wrapping_sub(*one) >> 63; // Nothing branches on it.
            sum += is_above.wrapping_neg() & (0x100 << column | 1);
        }
        (sum as u32 & 0xff, sum >> 8)
    }

    /// All eight are compared in one number (Warren, Hacker's Delight, 6–1).
    #[inline(always)]
    fn equal(self, bytes: [u8; 8], byte: u8) -> u64 {
        const LOW: u64 = 0x7f7f_7f7f_7f7f_7f7f;
        let differs = u64::from_le_bytes(bytes) ^ (u64::from(byte) * 0x0101_0101_0101_0101);
        let is_equal = !((((differs & LOW) + LOW) | differs) | LOW);
        is_equal.wrapping_mul(0x0002_0408_1020_4081) >> 56
    }

    #[inline(always)]
    fn up_to(self, numbers: &[u64; 16], number: u64) -> usize {
        numbers.iter().map(|one| usize::from(*one <= number)).sum()
    }
}

/// By processors that compare eight numbers at once and mark each. Only there is one of these.
#[cfg(target_arch = "x86_64")]
#[derive(Clone, Copy)]
pub struct AtOnce(());

#[cfg(target_arch = "x86_64")]
impl AtOnce {
    /// If this is such a processor.
    #[inline]
    pub fn if_here() -> Option<Self> {
        (Width::of_this_processor() == Width::Eight).then_some(AtOnce(()))
    }
}

#[cfg(target_arch = "x86_64")]
#[expect(unsafe_code, reason = "there is one of these, so the processor has what the functions are compiled for")]
impl Compare for AtOnce {
    #[inline(always)]
    fn above(self, numbers: &[u64; 8], number: u64) -> (u32, u64) {
        // SAFETY: see above.
        let above = unsafe { at_once::above(numbers, number) };
        (above.count_ones(), above.into())
    }

    #[inline(always)]
    fn equal(self, bytes: [u8; 8], byte: u8) -> u64 {
        // SAFETY: see above.
        unsafe { at_once::equal(bytes, byte) }
    }

    #[inline(always)]
    fn up_to(self, numbers: &[u64; 16], number: u64) -> usize {
        let (low, high) = (numbers.first_chunk(), numbers.last_chunk());
        let up_to = |half: Option<&[u64; 8]>| {
            let half = half.expect("sixteen are twice eight");
            // SAFETY: see above.
            8 - unsafe { at_once::above(half, number) }.count_ones() as usize
        };
        up_to(low) + up_to(high)
    }
}

#[cfg(target_arch = "x86_64")]
mod at_once {
    use std::arch::x86_64::{_mm_cmpeq_epi8_mask, _mm_set_epi64x, _mm_set1_epi8};
    use std::arch::x86_64::{_mm512_cmpgt_epu64_mask, _mm512_set_epi64, _mm512_set1_epi64};

    #[inline]
    #[target_feature(enable = "avx512f,popcnt")]
    pub(super) fn above(numbers: &[u64; 8], number: u64) -> u8 {
        let all = numbers.map(u64::cast_signed);
        // One load.
        let all = _mm512_set_epi64(all[7], all[6], all[5], all[4], all[3], all[2], all[1], all[0]);
        _mm512_cmpgt_epu64_mask(all, _mm512_set1_epi64(number.cast_signed()))
    }

    #[inline]
    #[target_feature(enable = "avx512vl,avx512bw")]
    pub(super) fn equal(bytes: [u8; 8], byte: u8) -> u64 {
        let bytes = _mm_set_epi64x(0, u64::from_le_bytes(bytes).cast_signed());
        u64::from(_mm_cmpeq_epi8_mask(bytes, _mm_set1_epi8(byte.cast_signed())) & 0xff)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::random::{GOLDEN, mix};

    const NUMBER: u64 = 1000;

    /// Numbers of whom many stand just beside [`NUMBER`].
    fn numbers<const COUNT: usize>(luck: &mut u64) -> [u64; COUNT] {
        std::array::from_fn(|_| {
            *luck = mix(*luck ^ GOLDEN);
            [0, NUMBER - 1, NUMBER, NUMBER + 1, (1 << 63) - 1, *luck >> 1][(*luck % 6) as usize]
        })
    }

    fn check(by: impl Compare) {
        let mut luck = 1;
        for _ in 0..100_000 {
            let eight = numbers::<8>(&mut luck);
            let expected: u64 = (0..8).filter(|place| eight[*place] > NUMBER).map(|place| 1 << place).sum();
            assert_eq!(by.above(&eight, NUMBER), (expected.count_ones(), expected), "{eight:?}");

            let sixteen = numbers::<16>(&mut luck);
            let expected = sixteen.iter().filter(|one| **one <= NUMBER).count();
            assert_eq!(by.up_to(&sixteen, NUMBER), expected, "{sixteen:?}");

            let bytes = luck.to_le_bytes().map(|byte| if byte < 200 { byte % 3 } else { byte });
            for byte in [0, 1, 2, 63, 255] {
                let expected: u64 = (0..8).filter(|place| bytes[*place] == byte).map(|place| 1 << place).sum();
                assert_eq!(by.equal(bytes, byte), expected, "{bytes:?}");
            }
        }
    }

    #[test]
    fn one_by_one_they_compare_as_they_should() {
        check(OneByOne);
    }

    #[cfg(target_arch = "x86_64")]
    #[test]
    fn at_once_they_compare_as_they_should() {
        if let Some(by) = AtOnce::if_here() {
            check(by);
        }
    }
}
