//! An open stream of requests, drawn a batch ahead: each of its three streams is read in a row, which costs a fraction of
//! reading them by turns. The draws are the same ones, so nothing shows it.

use super::source::class;
use crate::random::{Purpose, Stream, Streams};
use crate::scenario::{Arrivals, Class, Profile};
use crate::traffic::ArrivalTimes;

/// Requests drawn at once.
const BATCH: usize = 64;

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
    at: [u64; BATCH],
    lucks: [u64; BATCH],
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
            at: [0; BATCH],
            lucks: [0; BATCH],
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

    #[inline]
    pub(super) fn is_used_up(&self) -> bool {
        self.next == BATCH
    }

    /// Draws a batch. `cumulated` holds the chances of the classes before each one, and its own.
    #[inline(never)]
    pub(super) fn fill(&mut self, classes: &[Class], cumulated: &[f64]) {
        self.before += self.next as u64;
        self.next = 0;
        let mut last = 0;
        for at in &mut self.at {
            last = if last < FAR { self.arrivals.advance().nanos() } else { u64::MAX };
            *at = last;
        }
        for luck in &mut self.lucks {
            *luck = self.luck.bits();
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
