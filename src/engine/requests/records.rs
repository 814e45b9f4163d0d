//! Served requests and their latencies while the run goes on; the history gets them at its end.

use super::table::WARM_UP;
use crate::history::{ClassCounts, History, Window};
use crate::scenario::Scenario;
use crate::tally::Tally;

/// Which window a request belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Part {
    Baseline,
    Observed,
}

/// How many requests were answered well: all, those later than their target, and those of each window.
#[derive(Clone, Copy, Debug)]
pub(in crate::engine) struct Answered {
    pub(in crate::engine) all: u64,
    pub(super) late: u64,
    pub(super) baseline: u64,
    pub(in crate::engine) observed: u64,
}

impl Answered {
    pub(super) const NONE: Answered = Answered { all: 0, late: 0, baseline: 0, observed: 0 };

    /// So many requests of a window, or of none, in time.
    #[inline]
    pub(super) fn of(part: Option<Part>, count: u64) -> Self {
        let [baseline, observed] = [Part::Baseline, Part::Observed].map(|of| u64::from(part == Some(of)) * count);
        Answered { all: count, late: 0, baseline, observed }
    }

    pub(super) fn add(&mut self, other: &Answered) {
        self.all += other.all;
        self.late += other.late;
        self.baseline += other.baseline;
        self.observed += other.observed;
    }
}

/// Latencies in microseconds.
#[derive(Debug)]
pub(super) struct Records {
    /// Of each window: all requests, then those of each class where there are several.
    windows: [Vec<Tally>; 2],
    intervals: Vec<Tally>,
    /// Of requests of one window and interval that were sent in rows, counted once; the others get them when they are looked
    /// at, or when another window or interval begins.
    row: Tally,
    row_of: Option<Of>,
}

/// A window, if any, and an interval.
type Of = (Option<Part>, u32);

impl Records {
    pub(super) fn new(scenario: &Scenario) -> Self {
        let classes = scenario.traffic.classes.len();
        let kinds = if classes > 1 { 1 + classes } else { 1 };
        Records {
            windows: [0, 1].map(|_| vec![Tally::new(3); kinds]),
            intervals: Vec::new(),
            row: Tally::new(3),
            row_of: None,
        }
    }

    /// Of a request of a window; `BACK`: it is taken back.
    #[inline]
    pub(super) fn record<const BACK: bool>(&mut self, part: Part, class: u8, micros: u64) {
        if BACK {
            self.end_row();
        }
        let kinds = &mut self.windows[part as usize];
        kinds[0].count::<BACK>(micros);
        if let Some(own) = kinds.get_mut(1 + usize::from(class)) {
            own.count::<BACK>(micros);
        }
    }

    /// Of a request of an interval of the time series; `BACK`: it is taken back.
    #[inline]
    pub(super) fn record_in<const BACK: bool>(&mut self, interval: u32, micros: u64) {
        if BACK {
            self.end_row();
        }
        let place = interval as usize;
        if place >= self.intervals.len() {
            self.add_intervals(place);
        }
        self.intervals[place].count::<BACK>(micros);
    }

    /// Where requests of a window, if any, and of an interval are counted that are sent in a row, where there is one class.
    pub(super) fn row(&mut self, part: Option<Part>, interval: u32) -> &mut Tally {
        if self.row_of != Some((part, interval)) {
            self.end_row();
            self.row_of = Some((part, interval));
        }
        &mut self.row
    }

    /// What was counted once is counted wherever it ought to be. Cells of fewer digits hold whole ones of more.
    fn end_row(&mut self) {
        let Some((part, interval)) = self.row_of.take() else { return };
        if interval != WARM_UP && interval as usize >= self.intervals.len() {
            self.add_intervals(interval as usize);
        }
        let window = part.map(|part| &mut self.windows[part as usize][0]);
        let of_interval = self.intervals.get_mut(interval as usize); // WARM_UP is beyond all of them.
        let mut tallies: Vec<&mut Tally> = window.into_iter().chain(of_interval).collect();
        self.row.take_all(|number, count| tallies.iter_mut().for_each(|tally| tally.record_n(number, count)));
    }

    #[cold]
    fn add_intervals(&mut self, place: usize) {
        self.intervals.resize(place + 1, Tally::new(2));
    }

    /// Hands everything over: latencies, and how many were served.
    pub(super) fn add_to(&mut self, history: &mut History) {
        self.end_row();
        let [baseline, observed] = &self.windows;
        for (window, kinds) in [(&mut history.baseline, baseline), (&mut history.window, observed)] {
            for (tally, counts) in kinds.iter().zip(counts_of(window)) {
                tally.add_to(&mut counts.latency);
                counts.ledger.served = tally.len();
            }
        }
        for (tally, interval) in self.intervals.iter().zip(&mut history.intervals) {
            tally.add_to(&mut interval.latency);
            interval.ledger.served = tally.len();
        }
    }
}

fn counts_of(window: &mut Window) -> impl Iterator<Item = &mut ClassCounts> {
    std::iter::once(&mut window.all).chain(&mut window.classes)
}
