//! Served requests and their latencies while the run goes on; the history gets them at its end.

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
pub(super) struct Answered {
    pub(super) all: u64,
    pub(super) late: u64,
    pub(super) baseline: u64,
    pub(super) observed: u64,
}

/// Latencies in microseconds.
#[derive(Debug)]
pub(super) struct Records {
    /// Of each window: all requests, then those of each class where there are several.
    windows: [Vec<Tally>; 2],
    intervals: Vec<Tally>,
}

impl Records {
    pub(super) fn new(scenario: &Scenario) -> Self {
        let classes = scenario.traffic.classes.len();
        let kinds = if classes > 1 { 1 + classes } else { 1 };
        Records { windows: [0, 1].map(|_| vec![Tally::new(3); kinds]), intervals: Vec::new() }
    }

    /// Of a request of a window; `BACK`: it is taken back.
    #[inline]
    pub(super) fn record<const BACK: bool>(&mut self, part: Part, class: u8, micros: u64) {
        let kinds = &mut self.windows[part as usize];
        kinds[0].count::<BACK>(micros);
        if let Some(own) = kinds.get_mut(1 + usize::from(class)) {
            own.count::<BACK>(micros);
        }
    }

    /// Of a request of an interval of the time series; `BACK`: it is taken back.
    #[inline]
    pub(super) fn record_in<const BACK: bool>(&mut self, interval: u32, micros: u64) {
        let place = interval as usize;
        if place >= self.intervals.len() {
            self.add_intervals(place);
        }
        self.intervals[place].count::<BACK>(micros);
    }

    #[cold]
    fn add_intervals(&mut self, place: usize) {
        self.intervals.resize(place + 1, Tally::new(2));
    }

    /// Hands everything over: latencies, and how many were served.
    pub(super) fn add_to(&self, history: &mut History) {
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
