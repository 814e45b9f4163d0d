//! The ends of services in their order, where balancers are told of each: a calendar queue (R. Brown, "Calendar queues: a fast O(1)
//! priority queue implementation for the simulation event set problem", 1988).
//!
//! A day holds the ends of some dozens of services, which are sorted as it comes. That is cheaper than keeping all in order
//! ([`crate::wheel`]): an end is written once, as one number, and read when it has come.

use crate::bits::first_from;

/// Days of a year.
const YEAR: u64 = 1 << 12;

/// The fewest ends of a usual day: as many as a sort is worth while for.
const SHORTEST: f64 = 32.0;

/// Moments in nanoseconds, each with the place of the service that ends then; equal ones come in the order of places.
#[derive(Clone, Debug)]
pub(super) struct Calendar {
    /// A day is 2 to the power of this long, nanoseconds; at most 32 bits.
    shift: u32,
    /// The day that has come, and what it holds in order, of which so many have been taken. Each is its moment within the day, above
    /// the place.
    today: u64,
    due: Vec<u64>,
    taken: usize,
    /// The days before this one, by their place in the year.
    until: u64,
    days: Days,
    /// Which of these hold anything, a bit each.
    held: [u64; (YEAR / 64) as usize],
    /// What comes later.
    far: Vec<(u64, u32)>,
    /// Room to sort in.
    spare: Vec<u64>,
}

impl Calendar {
    /// Nothing yet. It is at its fastest where ends are so many nanoseconds apart, and about so many are to come.
    pub(super) fn new(apart: f64, count: f64) -> Self {
        // At most a quarter of the year for the services that go on now, for some take longer than others.
        let day = apart * (count * 4.0 / YEAR as f64).max(SHORTEST);
        Calendar {
            shift: day.clamp(1.0, 1e9).log2().ceil() as u32,
            today: 0,
            due: Vec::new(),
            taken: 0,
            until: YEAR,
            days: Days::new(),
            held: [0; (YEAR / 64) as usize],
            far: Vec::new(),
            spare: Vec::new(),
        }
    }

    /// A service ends at a moment, on no day that is over.
    #[inline(always)]
    pub(super) fn insert(&mut self, at: u64, place: u32) {
        let day = at >> self.shift;
        debug_assert!(day >= self.today, "day {day} is over on day {}", self.today);
        let within = (at & ((1 << self.shift) - 1)) << 32 | u64::from(place);
        if day > self.today && day < self.until {
            let day = (day % YEAR) as usize;
            if self.days.push(day, within) {
                self.held[day / 64] |= 1 << (day % 64);
            }
        } else {
            self.insert_otherwise(at, place, within);
        }
    }

    #[inline(never)] // So that the usual case is short.
    fn insert_otherwise(&mut self, at: u64, place: u32, within: u64) {
        if at >> self.shift >= self.until {
            self.far.push((at, place));
        } else {
            let later = self.due[self.taken..].partition_point(|other| *other < within);
            self.due.insert(self.taken + later, within);
        }
    }

    /// The next end and its place, if that is not after such a moment and place.
    #[inline(always)]
    pub(super) fn pop_by(&mut self, last: (u64, u32)) -> Option<(u64, u32)> {
        loop {
            if let Some(within) = self.due.get(self.taken) {
                let end = ((self.today << self.shift) + (within >> 32), *within as u32);
                let has_come = end <= last;
                self.taken += usize::from(has_come);
                return has_come.then_some(end);
            }
            if !self.turn(last.0 >> self.shift) {
                return None;
            }
        }
    }

    /// What is known to end on the day of a moment, nothing of which has come by then: as it stands in order, for [`Calendar::take`].
    #[inline(always)]
    pub(super) fn rest_of_day(&self, now: u64) -> RestOfDay<'_> {
        let day = now >> self.shift;
        debug_assert!(day >= self.today && (day == self.today || self.taken == self.due.len()), "{now} is yet to come");
        RestOfDay { ends: &self.due[self.taken..], begins: day << self.shift, is_over_at: (day + 1) << self.shift }
    }

    /// So many more of these have come. The last one.
    #[inline(always)]
    pub(super) fn take(&mut self, count: usize) -> Option<(u64, u32)> {
        self.taken += count;
        debug_assert!(self.taken <= self.due.len(), "they were there");
        let last = self.due[..self.taken].last().filter(|_| count > 0)?;
        Some(((self.today << self.shift) + (last >> 32), *last as u32))
    }

    /// Goes on to the next day that holds anything; whether there is one up to such a day.
    #[inline(never)]
    fn turn(&mut self, last: u64) -> bool {
        debug_assert_eq!(self.taken, self.due.len(), "today is over");
        let next = self.next_held().or_else(|| self.far.iter().map(|(at, _)| at >> self.shift).min());
        let Some(day) = next.filter(|day| *day <= last) else { return false };
        if self.until.saturating_sub(day) < YEAR / 2 {
            self.today = day - 1;
            self.begin_year();
        }
        self.today = day;
        let place = (day % YEAR) as usize;
        self.held[place / 64] &= !(1 << (place % 64));
        self.due.clear();
        self.taken = 0;
        self.days.take(place, &mut self.due);
        sort(&mut self.due, &mut self.spare, self.shift + 32);
        true
    }

    /// The days until a year from today have their place.
    fn begin_year(&mut self) {
        self.until = self.today + YEAR;
        let mut far = std::mem::take(&mut self.far);
        far.retain(|(at, place)| {
            let is_far = at >> self.shift >= self.until;
            if !is_far {
                self.insert(*at, *place);
            }
            is_far
        });
        debug_assert!(self.far.is_empty(), "what was not far has its day");
        self.far = far;
    }

    /// The next day that holds anything.
    fn next_held(&self) -> Option<u64> {
        let tomorrow = self.today + 1;
        let begins = (tomorrow % YEAR) as usize;
        let place = first_from(&self.held, begins).or_else(|| first_from(&self.held, 0))?;
        Some(tomorrow + (place as u64 + YEAR - begins as u64) % YEAR)
    }
}

/// Numbers of a sheet.
const SHEET: usize = 16;

/// What the days of a year hold, in no order: on sheets, which days that are over leave to those that come. So all that is written
/// stays at hand for the processor.
#[derive(Clone, Debug)]
struct Days {
    /// By day: where its next number is written, on its last sheet; that is full, or there is none, where this is the beginning of one.
    ends: Vec<u32>,
    sheets: Vec<[u64; SHEET]>,
    /// By sheet: where the sheet before it of its day ends, if there is one.
    before: Vec<u32>,
    /// The sheets that no day has.
    free: Vec<u32>,
}

impl Days {
    fn new() -> Self {
        Days { ends: vec![0; YEAR as usize], sheets: Vec::new(), before: Vec::new(), free: Vec::new() }
    }

    /// A number more on a day; whether it is the first one of a sheet.
    #[inline(always)]
    fn push(&mut self, day: usize, number: u64) -> bool {
        let mut end = self.ends[day];
        let is_first = (end as usize).is_multiple_of(SHEET);
        if is_first {
            end = self.begin_sheet(end);
        }
        self.sheets.as_flattened_mut()[end as usize] = number;
        self.ends[day] = end + 1;
        is_first
    }

    /// Where a sheet begins that follows on one that ends there, if there is one.
    #[inline(never)] // So that the usual case is short.
    fn begin_sheet(&mut self, before: u32) -> u32 {
        let sheet = self.free.pop().unwrap_or_else(|| {
            self.before.push(0);
            self.sheets.push([0; SHEET]);
            self.before.len() as u32 - 1
        });
        self.before[sheet as usize] = before;
        sheet * SHEET as u32
    }

    /// Adds what a day holds to a list, and it holds nothing any more.
    fn take(&mut self, day: usize, list: &mut Vec<u64>) {
        let mut end = std::mem::take(&mut self.ends[day]) as usize;
        while end > 0 {
            let (sheet, rest) = (end.div_ceil(SHEET) - 1, end % SHEET);
            list.extend_from_slice(&self.sheets[sheet]); // Of a length that is known where it is compiled.
            if rest > 0 {
                list.truncate(list.len() - (SHEET - rest));
            }
            end = self.before[sheet] as usize;
            self.free.push(sheet as u32);
        }
    }
}

/// What is left of a day.
pub(super) struct RestOfDay<'a> {
    /// In order.
    ends: &'a [u64],
    begins: u64,
    /// Later ones are not among them.
    pub(super) is_over_at: u64,
}

impl RestOfDay<'_> {
    /// A moment of this day as ends are compared with it.
    #[inline(always)]
    pub(super) fn within(&self, now: u64) -> u64 {
        (now - self.begins) << 32 | u64::from(u32::MAX)
    }

    /// The place of the one after so many of them, and whether it has come by a moment [within](RestOfDay::within) this day.
    #[inline(always)]
    pub(super) fn next(&self, count: usize, within: u64) -> (u32, bool) {
        let end = self.ends.get(count).copied().unwrap_or(u64::MAX << 32);
        (end as u32, end <= within)
    }
}

/// As many parts as a day has where it is sorted.
const PARTS: usize = 1 << 7;

/// Sorts numbers of so many bits, the highest of which are spread evenly: first by these, then each is moved past the few that are
/// above it. A general sort of a usual day costs a request of least-connections 2.5 ns more.
fn sort(numbers: &mut Vec<u64>, spare: &mut Vec<u64>, bits: u32) {
    if !(16..2 * PARTS).contains(&numbers.len()) {
        numbers.sort_unstable();
        return;
    }
    let part = |number: u64| (number >> (bits - PARTS.ilog2())) as usize % PARTS;
    let mut begins = [0_u16; PARTS];
    for number in &*numbers {
        begins[part(*number)] += 1;
    }
    let mut before = 0;
    for begin in &mut begins {
        before += std::mem::replace(begin, before);
    }
    spare.clear();
    spare.resize(numbers.len(), 0);
    for number in &*numbers {
        let begin = &mut begins[part(*number)];
        spare[usize::from(*begin)] = *number;
        *begin += 1;
    }
    for mut place in 1..spare.len() {
        let number = spare[place];
        while place > 0 && spare[place - 1] > number {
            spare[place] = spare[place - 1];
            place -= 1;
        }
        spare[place] = number;
    }
    std::mem::swap(numbers, spare);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::random::{GOLDEN, mix};
    use std::collections::BTreeSet;

    #[test]
    fn ends_come_in_order_however_far_apart() {
        for (apart, count) in [(1.0, 1.0), (300.0, 1e6), (1e7, 10.0), (1e12, 1e9), (f64::INFINITY, 1.0)] {
            let (mut calendar, mut set) = (Calendar::new(apart, count), BTreeSet::new());
            let (mut luck, mut now) = (3, 0);
            for place in 0..20_000 {
                luck = mix(luck ^ GOLDEN);
                let end = (now + 1 + (luck >> 8) % (1 << (luck % 50)), ((luck >> 20) as u32 % 16) << 20 | place);
                calendar.insert(end.0, end.1);
                set.insert(end);
                if place % 3 == 0 {
                    now += (luck >> 4) % (1 << (luck % 45));
                    let last = (now, (luck >> 32) as u32);
                    let due = set.range(..=last).copied().collect::<Vec<_>>();
                    for first in due {
                        assert_eq!(calendar.pop_by(last), Some(first), "{apart}");
                        set.remove(&first);
                    }
                    assert_eq!(calendar.pop_by(last), None, "{apart}");

                    // What is left of the day, half of which comes out of turn.
                    let day = calendar.rest_of_day(now);
                    let by = day.is_over_at - 1;
                    let comes = |count| Some(day.next(count, day.within(by))).filter(|(_, has_come)| *has_come);
                    let known: Vec<u32> = (0..).map_while(comes).map(|(place, _)| place).collect();
                    let left: Vec<(u64, u32)> = set.range(..=(by, u32::MAX)).copied().collect();
                    assert!(known.iter().eq(left.iter().map(|(_, place)| place)), "{apart}");
                    let taken = &left[..left.len() / 2];
                    assert_eq!(calendar.take(taken.len()), taken.last().copied());
                    for end in taken {
                        assert!(set.remove(end));
                    }
                }
            }
            for end in set {
                assert_eq!(calendar.pop_by((u64::MAX, u32::MAX)), Some(end));
            }
            assert_eq!(calendar.pop_by((u64::MAX, u32::MAX)), None);
        }
    }

    #[test]
    fn sorting_keeps_every_number() {
        let mut spare = Vec::new();
        let mut luck = 9;
        for length in 0..3 * PARTS {
            // Spread evenly, all in one part, and few distinct ones.
            for (bits, mask) in [(32, u64::MAX), (63, u64::MAX), (63, 0xffff_ffff), (63, 0x7000_0000_0000_0003)] {
                let mut numbers: Vec<u64> = (0..length)
                    .map(|_| {
                        luck = mix(luck ^ GOLDEN);
                        luck >> (64 - bits) & mask
                    })
                    .collect();
                let mut expected = numbers.clone();
                expected.sort_unstable();
                sort(&mut numbers, &mut spare, bits);
                assert_eq!(numbers, expected);
            }
        }
    }
}
