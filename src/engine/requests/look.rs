//! The ends of services by blocks of eight, and which of them are yet to come: looked at one by one, or all at once where a processor
//! can.

#[cfg(target_arch = "x86_64")]
use super::width::Width;

/// Places come in blocks of so many: a cache line, and no loop with a rest.
pub(super) const BLOCK: usize = 8;

/// Later than every lazy service ends; half the range, so that differences have a sign (292 years).
pub(super) const NEVER: u64 = u64::MAX / 2;

/// Services of an instance that go on.
#[derive(Clone, Copy, Debug)]
pub(super) struct Survey {
    /// How many.
    pub(super) open: u32,
    /// Their places, a bit each.
    pub(super) taken: u64,
}

impl Survey {
    pub(super) const NOTHING: Survey = Survey { open: 0, taken: 0 };
}

/// How a block is looked at.
pub(super) trait Look: Copy {
    /// The services of a block that go on.
    fn look(self, block: &[u64; BLOCK], now: u64) -> Survey;

    /// At which places of a block a pool stands, a bit each.
    fn places_of(self, block: [u8; BLOCK], pool: u8) -> u64;
}

/// By any processor.
#[derive(Clone, Copy)]
pub(super) struct OneByOne;

impl Look for OneByOne {
    /// They are counted in the lowest byte of a sum and marked in the next one: so processors that add two numbers at once
    /// can do it.
    #[inline(always)]
    fn look(self, block: &[u64; BLOCK], now: u64) -> Survey {
        let mut sum = 0;
        for (column, end) in block.iter().enumerate() {
            sum += is_later(*end, now).wrapping_neg() & (0x100 << column | 1);
        }
        Survey { open: sum as u32 & 0xff, taken: sum >> 8 }
    }

    /// All eight bytes are compared in one number (Warren, Hacker's Delight, 6–1).
    #[inline(always)]
    fn places_of(self, block: [u8; BLOCK], pool: u8) -> u64 {
        const LOW: u64 = 0x7f7f_7f7f_7f7f_7f7f;
        let differs = u64::from_le_bytes(block) ^ (u64::from(pool) * 0x0101_0101_0101_0101);
        let is_equal = !((((differs & LOW) + LOW) | differs) | LOW);
        is_equal.wrapping_mul(0x0002_0408_1020_4081) >> 56
    }
}

/// By processors that compare eight numbers at once and mark each. Only there is one of these.
#[cfg(target_arch = "x86_64")]
#[derive(Clone, Copy)]
pub(super) struct AtOnce(());

#[cfg(target_arch = "x86_64")]
impl AtOnce {
    /// If this is such a processor.
    #[inline]
    pub(super) fn if_here() -> Option<Self> {
        (Width::of_this_processor() == Width::Eight).then_some(AtOnce(()))
    }
}

#[cfg(target_arch = "x86_64")]
impl Look for AtOnce {
    #[inline(always)]
    fn look(self, block: &[u64; BLOCK], now: u64) -> Survey {
        // SAFETY: there is one of these, so the processor has what the function is compiled for.
        #[expect(unsafe_code, reason = "see above")]
        unsafe {
            look_at_once(block, now)
        }
    }

    #[inline(always)]
    fn places_of(self, block: [u8; BLOCK], pool: u8) -> u64 {
        // SAFETY: as above.
        #[expect(unsafe_code, reason = "see above")]
        unsafe {
            places_at_once(block, pool)
        }
    }
}

#[cfg(target_arch = "x86_64")]
#[inline]
#[target_feature(enable = "avx512f,popcnt")]
fn look_at_once(block: &[u64; BLOCK], now: u64) -> Survey {
    use std::arch::x86_64::{_mm512_cmpgt_epu64_mask, _mm512_set_epi64, _mm512_set1_epi64};
    let ends = block.map(u64::cast_signed);
    // One load.
    let ends = _mm512_set_epi64(ends[7], ends[6], ends[5], ends[4], ends[3], ends[2], ends[1], ends[0]);
    let taken = _mm512_cmpgt_epu64_mask(ends, _mm512_set1_epi64(now.cast_signed()));
    Survey { open: taken.count_ones(), taken: taken.into() }
}

#[cfg(target_arch = "x86_64")]
#[inline]
#[target_feature(enable = "avx512vl,avx512bw")]
fn places_at_once(block: [u8; BLOCK], pool: u8) -> u64 {
    use std::arch::x86_64::{_mm_cmpeq_epi8_mask, _mm_set_epi64x, _mm_set1_epi8};
    let pools = _mm_set_epi64x(0, u64::from_le_bytes(block).cast_signed());
    u64::from(_mm_cmpeq_epi8_mask(pools, _mm_set1_epi8(pool.cast_signed())) & 0xff)
}

/// 1 if a moment is later than another, both before [`NEVER`]; nothing branches on it.
#[inline]
fn is_later(end: u64, now: u64) -> u64 {
    now.wrapping_sub(end) >> 63
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::random::{GOLDEN, mix};

    #[test]
    fn a_pool_stands_where_its_number_does() {
        let mut luck = 5;
        for _ in 0..10_000 {
            luck = mix(luck ^ GOLDEN);
            let block = luck.to_le_bytes().map(|byte| if byte < 200 { byte % 3 } else { byte });
            for pool in [0, 1, 2, 63, 255] {
                let expected: u64 = (0..BLOCK).filter(|place| block[*place] == pool).map(|place| 1 << place).sum();
                assert_eq!(OneByOne.places_of(block, pool), expected, "{block:?}");
                #[cfg(target_arch = "x86_64")]
                if let Some(at_once) = AtOnce::if_here() {
                    assert_eq!(at_once.places_of(block, pool), expected, "{block:?}");
                }
            }
        }
    }

    #[cfg(target_arch = "x86_64")]
    #[test]
    fn at_once_the_same_go_on_as_one_by_one() {
        let Some(at_once) = AtOnce::if_here() else { return };
        let mut luck = 1;
        for _ in 0..100_000 {
            let now = 1000;
            let block = [0; BLOCK].map(|_: u64| {
                luck = mix(luck ^ GOLDEN);
                [0, now - 1, now, now + 1, NEVER - 1, luck >> 1][(luck % 6) as usize]
            });
            let (one, other) = (OneByOne.look(&block, now), at_once.look(&block, now));
            assert_eq!((one.open, one.taken), (other.open, other.taken), "{block:?}");
            let expected = block.iter().filter(|end| **end > now).count();
            assert_eq!(one.open as usize, expected);
        }
    }
}
