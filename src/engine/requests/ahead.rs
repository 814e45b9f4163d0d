//! An open stream of requests, drawn a batch ahead: each of its three streams is read in a row, which costs a fraction of
//! reading them by turns. The draws are the same ones, so nothing shows it.

use super::source::class;
use crate::client::{LuckOf, luck};
use crate::random::{Purpose, Stream, Streams};
use crate::scenario::{Arrivals, Class, Profile};
use crate::traffic::ArrivalTimes;
use crate::wide::Width;

/// Requests drawn at once.
pub(super) const BATCH: usize = 64;

/// No arrival later than this can fall into a run (146 years), and none is drawn after it.
const FAR: u64 = 1 << 62;

/// What is drawn for a request.
#[derive(Clone, Copy, Debug)]
pub(super) struct Drawn {
    /// Its number in the order of arrival.
    pub(super) number: u64,
    pub(super) luck: u64,
    pub(super) work: u64,
    pub(super) class: u8,
}

/// Requests in a row, and the number of the first one.
#[derive(Clone, Copy, Debug)]
pub(super) struct Batch<'a> {
    pub(super) number: u64,
    pub(super) at: &'a [u64],
    pub(super) lucks: &'a [u64],
    /// The luck of each first attempt in whom a balancer chooses.
    pub(super) choices: &'a [u64],
    pub(super) works: &'a [u64],
}

/// The stream, and the batch at hand.
#[derive(Debug)]
pub(super) struct Ahead<'a> {
    arrivals: ArrivalTimes<'a>,
    luck: Stream,
    /// Of each class.
    works: Vec<Stream>,
    /// Which one of the batch comes next, and how many came before the batch.
    next: usize,
    before: u64,
    /// No later one falls into a run.
    is_over: bool,
    at: [u64; BATCH],
    lucks: [u64; BATCH],
    choices: [u64; BATCH],
    work: [u64; BATCH],
    classes: [u8; BATCH],
}

impl<'a> Ahead<'a> {
    /// The stream from its start; [`Ahead::fill`] draws the first batch.
    pub(super) fn new(profile: &'a Profile, arrivals: Arrivals, classes: usize, streams: &Streams) -> Self {
        let (gaps, bursts) = (streams.of(Purpose::Arrivals, 0), streams.of(Purpose::Bursts, 0));
        Ahead {
            arrivals: ArrivalTimes::new(profile, arrivals, gaps, bursts),
            luck: streams.of(Purpose::Luck, 0),
            works: (0..classes as u64).map(|class| streams.of(Purpose::Work, class)).collect(),
            next: 0,
            before: 0,
            is_over: false,
            at: [0; BATCH],
            lucks: [0; BATCH],
            choices: [0; BATCH],
            work: [0; BATCH],
            classes: [0; BATCH],
        }
    }

    /// When the next request comes; `u64::MAX`: never.
    #[inline]
    pub(super) fn next_at(&self) -> u64 {
        self.at[self.next % BATCH]
    }

    /// The next request, which is taken from the batch; where that was the last one, `fill` must follow.
    #[inline]
    pub(super) fn take(&mut self) -> Drawn {
        let place = self.next % BATCH;
        self.next += 1;
        let number = self.before + place as u64;
        Drawn { number, luck: self.lucks[place], work: self.work[place], class: self.classes[place] }
    }

    /// The next requests before such a moment, as many as are at hand.
    #[inline]
    pub(super) fn batch(&self, until: u64) -> Batch<'_> {
        let count = self.at[self.next..].partition_point(|at| *at < until);
        let these = self.next..self.next + count;
        Batch {
            number: self.before + self.next as u64,
            at: &self.at[these.clone()],
            lucks: &self.lucks[these.clone()],
            choices: &self.choices[these.clone()],
            works: &self.work[these],
        }
    }

    /// So many of them are taken; where that was the last one, `fill` must follow.
    #[inline]
    pub(super) fn skip(&mut self, count: usize) {
        self.next += count;
    }

    #[inline]
    pub(super) fn is_used_up(&self) -> bool {
        self.next == BATCH
    }

    /// Draws a batch. `cumulated` holds the chances of the classes before each one, and its own.
    pub(super) fn fill(&mut self, classes: &[Class], cumulated: &[f64]) {
        self.fill_by(Width::of_this_processor(), classes, cumulated);
    }

    fn fill_by(&mut self, width: Width, classes: &[Class], cumulated: &[f64]) {
        match width {
            // SAFETY: the processor has what the function is compiled for. What it buys is told at [`Width`]; its checked twin is
            // the test below.
            #[cfg(target_arch = "x86_64")]
            #[expect(unsafe_code, reason = "see above")]
            Width::Eight => unsafe { self.fill_eight_at_once(classes, cumulated) },
            // SAFETY: as above.
            #[cfg(target_arch = "x86_64")]
            #[expect(unsafe_code, reason = "see above")]
            Width::Four => unsafe { self.fill_four_at_once(classes, cumulated) },
            _ => self.fill_plainly(classes, cumulated),
        }
    }

    /// The same to the bit, for each operation is: processors of today compute eight numbers at once.
    #[cfg(target_arch = "x86_64")]
    #[target_feature(enable = "avx512f,avx512vl,avx512dq,avx512bw,bmi1,lzcnt,popcnt")]
    fn fill_eight_at_once(&mut self, classes: &[Class], cumulated: &[f64]) {
        self.fill_plainly(classes, cumulated);
    }

    /// And those of some years ago four.
    #[cfg(target_arch = "x86_64")]
    #[target_feature(enable = "avx2")]
    fn fill_four_at_once(&mut self, classes: &[Class], cumulated: &[f64]) {
        self.fill_plainly(classes, cumulated);
    }

    #[inline(always)] // So that it is compiled for either.
    fn fill_plainly(&mut self, classes: &[Class], cumulated: &[f64]) {
        self.before += self.next as u64;
        self.next = 0;
        if self.is_over {
            self.at = [u64::MAX; BATCH];
            return;
        }
        self.arrivals.advance_all(&mut self.at);
        self.is_over = self.at[BATCH - 1] >= FAR;
        for luck in &mut self.lucks {
            *luck = self.luck.bits();
        }
        for (choice, own) in self.choices.iter_mut().zip(&self.lucks) {
            *choice = luck(*own, LuckOf::Choice, 1);
        }
        if let ([only], [stream]) = (classes, &mut self.works[..]) {
            only.work.sample_all_nanos(stream, &mut self.work);
            return;
        }
        for ((work, luck), own) in self.work.iter_mut().zip(&self.lucks).zip(&mut self.classes) {
            *own = class(cumulated, *luck);
            let class = usize::from(*own);
            *work = classes[class].work.sample_nanos(&mut self.works[class]);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scenario::parse;
    use std::path::Path;

    #[test]
    fn many_at_once_are_drawn_as_one_by_one() {
        let works = [
            "work = { lognormal = { median = \"20ms\", p95 = \"80ms\" } }",
            "work = { exponential = { mean = \"20ms\" } }",
            "work = { gamma = { mean = \"20ms\", shape = 0.7 } }",
        ];
        for work in works {
            let text = format!(
                "[service]\ninstances = 2\nworkers = 2\nqueue = 2\n[traffic]\nrate = 500.0\n{work}\n[release]\nstart = \"1s\"\n\
                 [strategy.s.kubernetes]\n[study]\nreplications = 2\nwarm_up = \"1s\"\nbaseline = \"1s\"\nwindow = \"9s\"\n"
            );
            let scenario = parse(&text, Path::new("drawn.toml")).expect("a sound scenario");
            let crate::scenario::Load::Open { profile, arrivals } = &scenario.traffic.load else {
                unreachable!("it is open")
            };
            let streams = Streams::new(7, 1);
            let new = || Ahead::new(profile, *arrivals, 1, &streams);
            for width in Width::all_of_this_processor() {
                let (mut one, mut other) = (new(), new());
                for _ in 0..2_000 {
                    one.fill_by(width, &scenario.traffic.classes, &[1.0]);
                    other.fill_plainly(&scenario.traffic.classes, &[1.0]);
                    assert_eq!((one.at, one.lucks, one.work), (other.at, other.lucks, other.work), "{width:?}");
                    assert_eq!(one.choices, other.choices, "{width:?}");
                    one.skip(BATCH);
                    other.skip(BATCH);
                }
            }
        }
    }
}
