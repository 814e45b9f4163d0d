//! What comes at a later moment, in order, where moments are many and close together: a hierarchical timing wheel (G. Varghese
//! and T. Lauck, "Hashed and hierarchical timing wheels", 1987). Nothing is put in before what was taken out last, so a
//! thing moves a few times from a wide slot to a narrower one, and is sorted only among those of its narrowest slot.

use std::cmp::Reverse;

/// Slots of a level; each is as wide as all of the level below.
const SLOTS: usize = 1 << BITS;
const BITS: u32 = 8;

/// Moments have 64 bits.
const LEVELS: usize = 8;

/// Moments in nanoseconds, each with what comes then; equal ones come in the order of that.
#[derive(Debug)]
pub(super) struct Wheel {
    /// The narrowest slot is 2 to the power of this wide, nanoseconds.
    shift: u32,
    /// The slot that has come, and what is left in it, the first one last.
    now: u64,
    current: Vec<(u64, u32)>,
    /// By level and slot.
    slots: Vec<Vec<(u64, u32)>>,
    /// Which of these hold anything, a bit each.
    held: [[u64; SLOTS / 64]; LEVELS],
}

impl Wheel {
    /// Nothing yet. It is at its fastest where one thing in so many nanoseconds comes.
    pub(super) fn new(apart: f64) -> Self {
        Wheel {
            shift: apart.clamp(1.0, 1e9).log2() as u32,
            now: 0,
            current: Vec::new(),
            slots: vec![Vec::new(); LEVELS * SLOTS],
            held: [[0; SLOTS / 64]; LEVELS],
        }
    }

    /// Something comes at a moment, later than all that was taken out.
    #[inline]
    pub(super) fn insert(&mut self, at: u64, what: u32) {
        let unit = at >> self.shift;
        debug_assert!(unit >= self.now, "nothing comes before what has come");
        let ahead = unit ^ self.now;
        if ahead == 0 {
            let place = self.current.partition_point(|other| *other > (at, what));
            self.current.insert(place, (at, what));
            return;
        }
        let level = ahead.ilog2() / BITS;
        let slot = (unit >> (level * BITS)) as usize % SLOTS;
        self.slots[level as usize * SLOTS + slot].push((at, what));
        self.held[level as usize][slot / 64] |= 1 << (slot % 64);
    }

    /// The next thing, if it comes before this one or is this one.
    #[inline]
    pub(super) fn next(&mut self, last: (u64, u32)) -> Option<(u64, u32)> {
        while self.current.is_empty() {
            if !self.turn(last.0 >> self.shift) {
                return None;
            }
        }
        self.current.pop_if(|next| *next <= last)
    }

    /// Goes on to the next slot that holds anything; whether there is one that has come.
    fn turn(&mut self, last: u64) -> bool {
        for level in 0..LEVELS {
            let shift = level as u32 * BITS;
            let here = (self.now >> shift) as usize % SLOTS;
            let Some(slot) = self.first_held_after(level, here) else { continue };
            let above = if level + 1 < LEVELS { self.now >> (shift + BITS) << (shift + BITS) } else { 0 };
            let begins = above | (slot as u64) << shift;
            if begins > last {
                return false;
            }
            self.now = begins;
            self.held[level][slot / 64] &= !(1 << (slot % 64));
            let place = level * SLOTS + slot;
            if level == 0 {
                std::mem::swap(&mut self.current, &mut self.slots[place]);
                self.current.sort_unstable_by_key(|next| Reverse(*next));
            } else {
                let mut all = std::mem::take(&mut self.slots[place]);
                all.drain(..).for_each(|(at, what)| self.insert(at, what));
                self.slots[place] = all;
            }
            return true;
        }
        false
    }

    fn first_held_after(&self, level: usize, slot: usize) -> Option<usize> {
        let first = slot + 1;
        let words = self.held[level].iter().enumerate().skip(first / 64);
        let left = |(number, word): (usize, &u64)| {
            let from = if number == first / 64 { u64::MAX << (first % 64) } else { u64::MAX };
            let left = word & from;
            (left != 0).then(|| number * 64 + left.trailing_zeros() as usize)
        };
        words.filter_map(left).next()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::random::{GOLDEN, mix};
    use std::collections::BTreeSet;

    #[test]
    fn things_come_in_order_however_far_apart() {
        for apart in [1.0, 300.0, 1e7] {
            let (mut wheel, mut set) = (Wheel::new(apart), BTreeSet::new());
            let (mut luck, mut now) = (3, 0);
            for _ in 0..20_000 {
                luck = mix(luck ^ GOLDEN);
                let later = now + 1 + (luck >> 8) % (1 << (luck % 40));
                wheel.insert(later, luck as u32 % 4);
                set.insert((later, luck as u32 % 4, set.len()));
                luck = mix(luck ^ GOLDEN);
                now += (luck >> 8) % (1 << (luck % 24));
                let last = (now, luck as u32 % 4);
                while let Some(next) = wheel.next(last) {
                    let first = set.pop_first().expect("there is one");
                    assert_eq!(next, (first.0, first.1));
                }
                assert!(set.first().is_none_or(|first| (first.0, first.1) > last), "it was left in");
            }
            assert!(set.len() < 20_000, "some came");
        }
    }
}
