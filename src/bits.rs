//! Sets of small numbers, a bit each.

/// The places of the bits that are set, the lowest first.
#[inline(always)]
pub fn places(mut bits: u64) -> impl Iterator<Item = usize> {
    std::iter::from_fn(move || {
        let place = bits.trailing_zeros() as usize;
        bits &= bits.wrapping_sub(1);
        (place < 64).then_some(place)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_bit_is_found_once_and_in_order() {
        for bits in [0, 1, 1 << 63, u64::MAX, 0x8040_2010_0804_0201] {
            let expected: Vec<usize> = (0..64).filter(|place| bits >> place & 1 == 1).collect();
            assert_eq!(places(bits).collect::<Vec<_>>(), expected);
        }
    }
}
