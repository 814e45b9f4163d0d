//! Latencies in bounded memory, counted at the cost of an addition and turned into histograms once a run is over.

use hdrhistogram::Histogram;
use std::collections::BTreeMap;

/// Cells that are looked at together.
const CHUNK: usize = 32;

/// Counts of whole numbers, to so many significant bits: the cells of an [`hdrhistogram::Histogram`] without what it
/// keeps beside them.
#[derive(Clone, Debug)]
pub struct Tally {
    digits: u8,
    /// Numbers below two to this power have a cell of their own; from there on a cell holds two, four, eight, …
    bits: u32,
    /// Narrow, for twice as many fit into the processor's cache.
    cells: Vec<u32>,
    /// How often a cell has begun anew at 0: each time stands for 2^32.
    carried: BTreeMap<usize, u64>,
}

impl Tally {
    /// Without numbers; cells are those of a histogram of so many significant digits, 1 to 5.
    pub fn new(digits: u8) -> Self {
        let exact = 2 * 10u64.pow(u32::from(digits));
        Tally { digits, bits: exact.next_power_of_two().ilog2(), cells: Vec::new(), carried: BTreeMap::new() }
    }

    /// Counts a number.
    #[inline]
    pub fn record(&mut self, number: u64) {
        let cell = self.cell(number);
        match self.cells.get_mut(cell) {
            Some(count) => {
                *count = count.wrapping_add(1);
                if *count == 0 {
                    self.carry(cell);
                }
            }
            None => self.grow(cell),
        }
    }

    /// Counts numbers in a row.
    #[inline(always)]
    pub fn record_all(&mut self, numbers: &[u64]) {
        let bits = self.bits;
        let mut cells = &mut self.cells[..];
        for number in numbers {
            let cell = cell_of(bits, *number);
            match cells.get_mut(cell) {
                Some(count) if *count < u32::MAX => *count += 1,
                _ => {
                    self.record(*number);
                    cells = &mut self.cells[..];
                }
            }
        }
    }

    /// Counts a number so many times.
    pub fn record_n(&mut self, number: u64, times: u64) {
        let cell = self.cell(number);
        if cell >= self.cells.len() {
            self.grow(cell);
            self.cells[cell] = 0;
        }
        let count = u64::from(self.cells[cell]) + (times & u64::from(u32::MAX));
        self.cells[cell] = count as u32;
        let carried = (times >> 32) + (count >> 32);
        if carried > 0 {
            *self.carried.entry(cell).or_default() += carried;
        }
    }

    /// Hands over each number, as the least one of its cell, with how often it was counted, and forgets it.
    pub fn take_all(&mut self, mut told: impl FnMut(u64, u64)) {
        let all = std::mem::take(&mut self.cells);
        let carried = std::mem::take(&mut self.carried);
        for (chunk, cells) in all.chunks(CHUNK).enumerate() {
            if cells.iter().fold(0, |any, count| any | count) == 0 && carried.is_empty() {
                continue; // Nearly all of them.
            }
            for (cell, count) in (chunk * CHUNK..).zip(cells) {
                let count = u64::from(*count) + (carried.get(&cell).copied().unwrap_or(0) << 32);
                if count > 0 {
                    told(self.least(cell), count);
                }
            }
        }
        self.cells = all;
        self.cells.fill(0);
    }

    #[cold]
    fn carry(&mut self, cell: usize) {
        *self.carried.entry(cell).or_default() += 1;
    }

    /// Takes a number back that was counted before.
    pub fn take_back(&mut self, number: u64) {
        let cell = self.cell(number);
        debug_assert!(cell < self.cells.len() && self.count_of(cell) > 0, "{number} was not counted");
        if self.cells[cell] == 0 {
            *self.carried.get_mut(&cell).expect("it was counted") -= 1;
        }
        self.cells[cell] = self.cells[cell].wrapping_sub(1);
    }

    /// Counts a number, or takes it back.
    #[inline]
    pub fn count<const BACK: bool>(&mut self, number: u64) {
        if BACK { self.take_back(number) } else { self.record(number) }
    }

    #[cold]
    fn grow(&mut self, cell: usize) {
        self.cells.resize((cell + 1).next_multiple_of(1 << (self.bits - 1)), 0);
        self.cells[cell] = 1;
    }

    #[inline]
    fn cell(&self, number: u64) -> usize {
        cell_of(self.bits, number)
    }

    /// The least number of a cell.
    fn least(&self, cell: usize) -> u64 {
        let half = 1 << (self.bits - 1);
        let shift = (cell / half).saturating_sub(1);
        ((cell - shift * half) as u64) << shift
    }

    fn count_of(&self, cell: usize) -> u64 {
        u64::from(self.cells[cell]) + (self.carried.get(&cell).copied().unwrap_or(0) << 32)
    }

    /// How many numbers it has counted.
    pub fn len(&self) -> u64 {
        (0..self.cells.len()).map(|cell| self.count_of(cell)).sum()
    }

    /// Whether it has counted none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Adds all that was counted to a histogram of the same digits.
    pub fn add_to(&self, histogram: &mut Histogram<u64>) {
        debug_assert_eq!(histogram.sigfig(), self.digits, "the cells are the same");
        // The largest first: it makes room for all of them at once.
        for cell in (0..self.cells.len()).rev() {
            let count = self.count_of(cell);
            if count > 0 {
                histogram.record_n(self.least(cell), count).expect("the histogram grows");
            }
        }
    }
}

/// The cell that a number belongs to, where numbers of so many bits have a cell of their own.
#[inline(always)]
fn cell_of(bits: u32, number: u64) -> usize {
    let exact = (1 << bits) - 1;
    let shift = (64 - bits) - (number | exact).leading_zeros();
    ((u64::from(shift) << (bits - 1)) + (number >> shift)) as usize
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::random::mix;

    #[test]
    fn numbers_in_a_row_are_counted_like_one_by_one() {
        let (mut row, mut single) = (Tally::new(3), Tally::new(3));
        for round in 0..50u64 {
            let numbers: Vec<u64> = (0..40).map(|place| (round * place * 7919) << (round % 20)).collect();
            row.record_all(&numbers);
            for number in &numbers {
                single.record(*number);
            }
        }
        row.cells[3] = u32::MAX;
        single.cells[3] = u32::MAX;
        row.record_all(&[3, 3]);
        single.record_n(3, 2);
        assert_eq!((row.cells, row.carried), (single.cells, single.carried));
    }

    #[test]
    fn a_tally_comes_to_the_histogram_of_its_numbers() {
        for digits in [1, 2, 3] {
            let (mut tally, mut direct) = (Tally::new(digits), Histogram::<u64>::new(digits).expect("1 to 5 digits"));
            for number in 0..200_000u64 {
                let value = mix(number) >> (mix(number ^ 0x5555) % 40 + 24);
                tally.record(value);
                tally.record(number);
                tally.take_back(number);
                direct.record(value).expect("the histogram grows");
            }
            let mut told = Histogram::<u64>::new(digits).expect("1 to 5 digits");
            tally.add_to(&mut told);
            assert_eq!(told, direct);
            assert_eq!((told.min(), told.max(), told.len()), (direct.min(), direct.max(), direct.len()));
            assert_eq!((tally.len(), tally.is_empty()), (direct.len(), false));
        }
    }

    #[test]
    fn more_than_four_billion_are_counted() {
        let mut tally = Tally::new(2);
        tally.record(5);
        let cell = tally.cell(5);
        tally.cells[cell] = u32::MAX;
        tally.record(5);
        tally.record(5);
        assert_eq!(tally.len(), (1 << 32) + 1);
        tally.take_back(5);
        tally.take_back(5);
        assert_eq!(tally.len(), u64::from(u32::MAX));
        let mut told = Histogram::<u64>::new(2).expect("1 to 5 digits");
        tally.add_to(&mut told);
        assert_eq!(told.len(), u64::from(u32::MAX));
    }

    #[test]
    fn what_was_counted_finely_comes_to_the_same_in_coarser_cells() {
        let (mut fine, mut again, mut coarse, mut direct) =
            (Tally::new(3), Tally::new(3), Tally::new(2), Tally::new(2));
        for round in 0..3 {
            for number in 0..20_000u64 {
                let value = mix(number + round) >> (mix(number ^ 0x5555) % 40 + 24);
                fine.record(value);
                direct.record(value);
            }
            fine.carry(7);
            direct.carry(7);
            fine.take_all(|number, count| {
                again.record_n(number, count);
                coarse.record_n(number, count);
            });
            assert!(fine.is_empty());
        }
        coarse.record_n(9, (3 << 32) - 1);
        coarse.record_n(9, 2);
        direct.record_n(9, (3 << 32) + 1);
        let told = |tally: &Tally, digits| {
            let mut told = Histogram::<u64>::new(digits).expect("1 to 5 digits");
            tally.add_to(&mut told);
            told
        };
        assert_eq!(told(&coarse, 2), told(&direct, 2));
        assert_eq!(again.len() + (3 << 32) + 1, direct.len());
    }

    #[test]
    fn each_cell_begins_where_the_one_before_ends() {
        for digits in [1, 2, 3] {
            let tally = Tally::new(digits);
            for cell in 0..50 << (tally.bits - 1) {
                assert_eq!(tally.cell(tally.least(cell)), cell);
                assert_eq!(tally.cell(tally.least(cell + 1) - 1), cell);
            }
        }
    }
}
