//! Sets of small numbers, a bit each.

/// The places of the bits that are set, the lowest first.
#[inline(always)]
pub fn places(mut bits: u64) -> impl Iterator<Item = usize> + Clone {
    std::iter::from_fn(move || {
        let place = bits.trailing_zeros() as usize;
        bits &= bits.wrapping_sub(1);
        (place < 64).then_some(place)
    })
}

/// A set of numbers that is looked through without meeting all that are not in it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Numbers {
    /// A bit each.
    words: Vec<u64>,
    /// Which words hold any, a bit each.
    held: Vec<u64>,
}

impl Numbers {
    /// Whether it is in.
    pub fn contains(&self, number: u32) -> bool {
        self.words.get(number as usize / 64).is_some_and(|word| word >> (number % 64) & 1 == 1)
    }

    /// A number comes in, if it is not there.
    pub fn insert(&mut self, number: u32) {
        let word = number as usize / 64;
        if word >= self.words.len() {
            self.words.resize(word + 1, 0);
            self.held.resize(word / 64 + 1, 0);
        }
        self.words[word] |= 1 << (number % 64);
        self.held[word / 64] |= 1 << (word % 64);
    }

    /// A number goes, if it is there.
    pub fn remove(&mut self, number: u32) {
        let place = number as usize / 64;
        let Some(word) = self.words.get_mut(place) else { return };
        *word &= !(1 << (number % 64));
        if *word == 0 {
            self.held[place / 64] &= !(1 << (place % 64));
        }
    }

    /// The least one goes.
    pub fn pop_first(&mut self) -> Option<u32> {
        let first = self.iter().next()?;
        self.remove(first);
        Some(first)
    }

    /// All of them, the least first.
    pub fn iter(&self) -> impl Iterator<Item = u32> + Clone {
        let words = std::iter::successors(first_from(&self.held, 0), |word| first_from(&self.held, word + 1));
        words.flat_map(|word| places(self.words[word]).map(move |place| (word * 64 + place) as u32))
    }
}

impl Extend<u32> for Numbers {
    fn extend<I: IntoIterator<Item = u32>>(&mut self, numbers: I) {
        numbers.into_iter().for_each(|number| self.insert(number));
    }
}

impl FromIterator<u32> for Numbers {
    fn from_iter<I: IntoIterator<Item = u32>>(numbers: I) -> Self {
        let mut set = Numbers::default();
        set.extend(numbers);
        set
    }
}

/// The first place from this one on whose bit is set in these words.
pub fn first_from(words: &[u64], from: usize) -> Option<usize> {
    let word = from / 64;
    let here = words.get(word)? & u64::MAX << (from % 64);
    let (word, bits) = if here != 0 {
        (word, here)
    } else {
        let later = words[word + 1..].iter().position(|bits| *bits != 0)?;
        (word + 1 + later, words[word + 1 + later])
    };
    Some(word * 64 + bits.trailing_zeros() as usize)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::random::{GOLDEN, mix};
    use std::collections::BTreeSet;

    #[test]
    fn numbers_are_a_set() {
        let (mut numbers, mut set) = (Numbers::default(), BTreeSet::new());
        let mut luck = 5;
        for step in 0..4000 {
            luck = mix(luck ^ GOLDEN);
            // Few of many, many of few, and none at last.
            let number = (luck >> 8) as u32 % if step < 2000 { 100_000 } else { 200 };
            if luck % 16 < if step < 3000 { 9 } else { 2 } {
                numbers.insert(number);
                set.insert(number);
            } else {
                numbers.remove(number);
                set.remove(&number);
            }
            if step % 16 == 0 {
                assert!(numbers.iter().eq(set.iter().copied()));
                assert_eq!(numbers.contains(number), set.contains(&number));
            }
        }
        for number in set {
            assert_eq!(numbers.pop_first(), Some(number));
        }
        assert_eq!(numbers.pop_first(), None);
    }

    #[test]
    fn the_first_bit_from_a_place_on_is_found() {
        let words = [0, 1 << 3 | 1 << 63, 0, 0, 1];
        for from in 0..400 {
            let expected = [67, 127, 256].into_iter().find(|place| *place >= from);
            assert_eq!(first_from(&words, from), expected, "from {from}");
        }
    }

    #[test]
    fn each_bit_is_found_once_and_in_order() {
        for bits in [0, 1, 1 << 63, u64::MAX, 0x8040_2010_0804_0201] {
            let expected: Vec<usize> = (0..64).filter(|place| bits >> place & 1 == 1).collect();
            assert_eq!(places(bits).collect::<Vec<_>>(), expected);
        }
    }
}
