//! The name indexes of a group: which are taken, and which come next.

use crate::bits::Numbers;
use std::collections::BTreeSet;

/// The indexes in use (`allocNameIndex`).
#[derive(Clone, Debug)]
pub(super) struct NameIndex {
    count: u32,
    used: Numbers,
}

impl NameIndex {
    pub(super) fn new(count: u32, used: impl IntoIterator<Item = u32>) -> Self {
        NameIndex { count, used: used.into_iter().collect() }
    }

    /// The highest names in use, so many at most; they are free from now on.
    pub(super) fn highest(&mut self, most: usize) -> BTreeSet<u32> {
        let used: Vec<u32> = self.used.iter().collect();
        let highest = &used[used.len().saturating_sub(most)..];
        for index in highest {
            self.used.remove(*index);
        }
        highest.iter().copied().collect()
    }

    pub(super) fn free(&mut self, index: u32) {
        self.used.remove(index);
    }

    /// Names for placements: the lowest free ones, and then names that are in use already.
    pub(super) fn next(&mut self, most: usize) -> Vec<u32> {
        let mut next: Vec<u32> = (0..self.count).filter(|index| !self.used.contains(*index)).take(most).collect();
        next.extend((0..).take(most - next.len()));
        self.used.extend(next.iter().copied());
        next
    }

    /// Names for canaries: of those that they may replace, then free ones, then names beyond the count.
    pub(super) fn next_canaries(
        &mut self,
        most: usize,
        existing: &BTreeSet<u32>,
        destructive: &BTreeSet<u32>,
    ) -> Vec<u32> {
        let within = |index: &u32| *index < self.count && !existing.contains(index);
        let mut next: Vec<u32> = destructive.iter().copied().filter(within).take(most).collect();
        self.used.extend(next.iter().copied());
        let free = (0..self.count).filter(|index| within(index) && !self.used.contains(*index));
        next.extend(free.take(most - next.len()).collect::<Vec<_>>());
        next.extend((self.count..).take(most - next.len()));
        self.used.extend(next.iter().copied());
        next
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn placements_fill_gaps_and_then_overlap() {
        let mut names = NameIndex::new(4, [1, 3]);
        assert_eq!(names.next(1), [0]);
        assert_eq!(names.next(3), [2, 0, 1]);
        assert_eq!(names.highest(2), BTreeSet::from([2, 3]));
        assert_eq!(names.next(1), [2]);
    }

    #[test]
    fn canaries_take_the_names_of_those_they_replace_first() {
        let mut names = NameIndex::new(4, [0, 2, 3]);
        let (existing, destructive) = (BTreeSet::from([0]), BTreeSet::from([0, 3]));
        assert_eq!(names.next_canaries(4, &existing, &destructive), [3, 1, 4, 5]);
    }
}
