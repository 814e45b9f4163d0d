//! What comes at a later moment, in order: a hierarchical timing wheel (G. Varghese and T. Lauck, "Hashed and hierarchical timing
//! wheels", 1987). A thing moves a few times from a wide slot to a narrower one, and is sorted only among those of its
//! narrowest slot: a heap of all would be searched far and wide in memory.

use crate::bits::first_from;
use std::cmp::Reverse;
use std::collections::BinaryHeap;

const BITS: u32 = 8;

/// Slots of a level; each is as wide as all of the level below.
const SLOTS: usize = 1 << BITS;

/// Moments have 64 bits.
const LEVELS: usize = 8;

/// How many things may be said to be near at once: as much as is known of them ought to stay at hand until they come.
const MOST_NEAR: usize = 1024;

/// Moments in nanoseconds, each with what comes then; equal ones come in the order of that.
#[derive(Clone, Debug)]
pub struct Wheel<T> {
    /// The narrowest slot is 2 to the power of this wide, nanoseconds.
    shift: u32,
    /// The slot that has come, and what was in it by then, the first one last.
    now: u64,
    due: Vec<(u64, T)>,
    /// What was put in later and comes no later than in that slot.
    early: BinaryHeap<Reverse<(u64, T)>>,
    /// By level and slot.
    slots: Vec<Vec<(u64, T)>>,
    /// Which of these hold anything, a bit each.
    held: [[u64; SLOTS / 64]; LEVELS],
    /// What came near last, unless somebody has asked.
    near: Vec<T>,
}

impl<T: Copy + Ord> Wheel<T> {
    /// Nothing yet. It is at its fastest where one thing in so many nanoseconds comes.
    pub fn new(apart: f64) -> Self {
        Wheel {
            shift: apart.clamp(1.0, 1e9).log2() as u32,
            now: 0,
            due: Vec::new(),
            early: BinaryHeap::new(),
            slots: vec![Vec::new(); LEVELS * SLOTS],
            held: [[0; SLOTS / 64]; LEVELS],
            near: Vec::new(),
        }
    }

    /// Something comes at a moment.
    #[inline]
    pub fn insert(&mut self, at: u64, what: T) {
        let unit = at >> self.shift;
        if unit <= self.now {
            self.early.push(Reverse((at, what)));
            return;
        }
        let level = (unit ^ self.now).ilog2() / BITS;
        let slot = (unit >> (level * BITS)) as usize % SLOTS;
        self.slots[level as usize * SLOTS + slot].push((at, what));
        self.held[level as usize][slot / 64] |= 1 << (slot % 64);
    }

    /// The next thing.
    pub fn pop(&mut self) -> Option<(u64, T)> {
        self.pop_until(u64::MAX)
    }

    /// Things that come within the next few hundred slots, in no order, each once: a hint for whoever wishes to make ready for
    /// them. What is put in later than that is not among them.
    pub fn pop_near(&mut self) -> Option<T> {
        self.near.pop()
    }

    /// The next thing, if it has come by a moment.
    pub fn pop_until(&mut self, moment: u64) -> Option<(u64, T)> {
        while self.due.is_empty() && self.early.is_empty() {
            if !self.turn(moment >> self.shift) {
                return None;
            }
        }
        if let Some(Reverse(early)) = self.early.peek()
            && self.due.last().is_none_or(|due| early < due)
        {
            return Some(*early).filter(|(at, _)| *at <= moment).inspect(|_| _ = self.early.pop());
        }
        self.due.pop_if(|(at, _)| *at <= moment)
    }

    /// Goes on to the next slot that holds anything; whether there is one up to such a unit of time.
    fn turn(&mut self, last: u64) -> bool {
        for level in 0..LEVELS {
            let shift = level as u32 * BITS;
            let here = (self.now >> shift) as usize % SLOTS;
            let Some(slot) = first_from(&self.held[level], here + 1) else { continue };
            let above = if level + 1 < LEVELS { self.now >> (shift + BITS) << (shift + BITS) } else { 0 };
            let begins = above | (slot as u64) << shift;
            if begins > last {
                return false;
            }
            self.now = begins;
            self.held[level][slot / 64] &= !(1 << (slot % 64));
            let place = level * SLOTS + slot;
            if level == 0 {
                std::mem::swap(&mut self.due, &mut self.slots[place]);
                self.due.sort_unstable_by(|one, other| other.cmp(one));
            } else {
                let mut all = std::mem::take(&mut self.slots[place]);
                if level == 1 {
                    self.near.clear();
                    self.near.extend(all.iter().take(MOST_NEAR).map(|(_, what)| *what));
                }
                all.drain(..).for_each(|(at, what)| self.insert(at, what));
                self.slots[place] = all;
            }
            return true;
        }
        false
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::random::{GOLDEN, mix};
    use std::collections::BTreeSet;

    #[test]
    fn what_is_near_comes_soon_and_is_told_once() {
        let (mut wheel, mut told) = (Wheel::new(1.0), BTreeSet::new());
        let moment = |number: u32| u64::from(number) * 97;
        (1..2000).for_each(|number| wheel.insert(moment(number), number));
        for number in 1..2000 {
            let next = wheel.pop_until(moment(number));
            assert_eq!(next, Some((moment(number), number)));
            while let Some(near) = wheel.pop_near() {
                assert!((number..number + 256).contains(&near), "{near} at {number}");
                assert!(told.insert(near), "{near} is told of twice");
            }
        }
        assert!(told.len() > 1900, "{} are told of", told.len());
    }

    #[test]
    fn things_come_in_order_however_far_apart() {
        for apart in [1.0, 300.0, 1e7] {
            let (mut wheel, mut set) = (Wheel::new(apart), BTreeSet::new());
            let (mut luck, mut now) = (3, 0);
            for number in 0..20_000_u32 {
                luck = mix(luck ^ GOLDEN);
                let later = now + (luck >> 8) % (1 << (luck % 40));
                wheel.insert(later, (luck as u8 % 4, number));
                set.insert((later, (luck as u8 % 4, number)));
                luck = mix(luck ^ GOLDEN);
                now += (luck >> 8) % (1 << (luck % 24));
                while let Some(next) = wheel.pop_until(now) {
                    assert_eq!(Some(next), set.pop_first());
                }
                assert!(set.first().is_none_or(|first| first.0 > now), "it was left in");
                if number % 100 == 0 {
                    let next = wheel.pop();
                    assert_eq!(next, set.pop_first()); // What comes before it may follow.
                }
            }
            assert!(set.len() < 20_000, "some came");
        }
    }
}
