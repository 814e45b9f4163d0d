//! Where requests come from: an open stream of arrivals, or users who ask again once they have been answered.

use super::ahead::{Ahead, Drawn};
pub(super) use super::ahead::{BATCH, Batch};
use super::table::{Request, WARM_UP};
use crate::client::{LuckOf, luck};
use crate::distribution::Delay;
use crate::random::{GOLDEN, Purpose, Streams, mix, unit};
use crate::scenario::{Class, Load, Scenario};
use crate::time::nanos;
use std::cmp::Reverse;
use std::collections::BinaryHeap;

/// A piece of the time series.
#[derive(Clone, Copy, Debug)]
pub(super) struct Stretch {
    pub(super) number: u32,
    /// Nanoseconds.
    pub(super) ends: u64,
}

/// Where requests come from.
#[derive(Debug)]
pub(super) struct Source<'a> {
    kind: Kind<'a>,
    next_arrival: u64,
    classes: &'a [Class],
    /// The chances of the classes before each one, and its own.
    cumulated: Vec<f64>,
    /// Where the time series stands: the interval of the next arrival, and when it ends, nanoseconds.
    interval: u32,
    interval_ends: u64,
    interval_length: u64,
    /// When the time series begins, nanoseconds.
    series_from: u64,
    is_closed: bool,
}

#[derive(Debug)]
enum Kind<'a> {
    Open(Box<Ahead<'a>>),
    Closed {
        users: u64,
        think: &'a Delay,
        /// When each user who is thinking asks, and the number of that request.
        thinking: BinaryHeap<Reverse<(u64, u64)>>,
        streams: Streams,
    },
}

impl<'a> Source<'a> {
    pub(super) fn new(scenario: &'a Scenario, streams: &Streams) -> Self {
        let classes = &scenario.traffic.classes[..];
        let kind = match &scenario.traffic.load {
            Load::Open { profile, arrivals } => {
                Kind::Open(Box::new(Ahead::new(profile, *arrivals, classes.len(), streams)))
            }
            Load::Closed { users, think } => Kind::Closed {
                users: u64::from(users.get()),
                think,
                thinking: BinaryHeap::with_capacity(users.get() as usize),
                streams: *streams,
            },
        };
        let cumulated = classes.iter().scan(0.0, |sum, class| {
            *sum += class.share;
            Some(*sum)
        });
        let mut source = Source {
            kind,
            next_arrival: u64::MAX,
            classes,
            cumulated: cumulated.collect(),
            interval: WARM_UP,
            interval_ends: nanos(scenario.study.series_from()),
            series_from: nanos(scenario.study.series_from()),
            interval_length: nanos(scenario.study.interval),
            is_closed: false,
        };
        source.begin();
        source
    }

    fn begin(&mut self) {
        match &mut self.kind {
            Kind::Open(ahead) => {
                ahead.fill(self.classes, &self.cumulated);
                self.next_arrival = ahead.next_at();
            }
            Kind::Closed { users, .. } => {
                for user in 0..*users {
                    self.think(user, 0);
                }
            }
        }
    }

    /// When the next request comes; `u64::MAX`: never.
    pub(super) fn next_arrival(&self) -> u64 {
        self.next_arrival
    }

    /// The interval of the next arrival; `None` where users ask.
    pub(super) fn interval(&mut self) -> Option<Stretch> {
        self.follow_intervals();
        matches!(self.kind, Kind::Open(_)).then_some(Stretch { number: self.interval, ends: self.interval_ends })
    }

    /// The next requests of an open stream in a row, as many as are at hand, before such a moment.
    pub(super) fn batch(&self, until: u64) -> Batch<'_> {
        let Kind::Open(ahead) = &self.kind else { unreachable!("users' requests come one by one") };
        ahead.batch(until)
    }

    /// So many of them are gone.
    pub(super) fn skip(&mut self, count: usize) {
        let Kind::Open(ahead) = &mut self.kind else { unreachable!("users' requests come one by one") };
        ahead.skip(count);
        if ahead.is_used_up() {
            ahead.fill(self.classes, &self.cumulated);
        }
        self.next_arrival = ahead.next_at();
    }

    /// The interval of the time series that a moment belongs to.
    pub(super) fn interval_of(&self, moment: u64) -> u32 {
        moment.checked_sub(self.series_from).map_or(WARM_UP, |since| (since / self.interval_length) as u32)
    }

    /// The class of a request of an open stream by its luck.
    pub(super) fn class_of(&self, luck: u64) -> u8 {
        class(&self.cumulated, luck)
    }

    fn follow_intervals(&mut self) {
        while self.next_arrival >= self.interval_ends && self.next_arrival < u64::MAX {
            self.interval = self.interval.wrapping_add(1);
            self.interval_ends += self.interval_length;
        }
    }

    /// From now on nothing arrives.
    pub(super) fn close(&mut self) {
        self.is_closed = true;
        self.next_arrival = u64::MAX;
    }

    /// The next request.
    #[inline]
    pub(super) fn arrive(&mut self) -> Request {
        let arrived = self.next_arrival;
        self.follow_intervals();
        let mut request =
            Request { number: 0, arrived, work: 0, luck: 0, interval: self.interval, attempts: 0, class: 0 };
        match &mut self.kind {
            Kind::Open(ahead) => {
                let Drawn { number, luck, work, class } = ahead.take();
                if ahead.is_used_up() {
                    ahead.fill(self.classes, &self.cumulated);
                }
                self.next_arrival = ahead.next_at();
                request = Request { number, work, luck, class, ..request };
            }
            Kind::Closed { thinking, streams, .. } => {
                let Reverse((_, number)) = thinking.pop().expect("it was seen");
                self.next_arrival = thinking.peek().map_or(u64::MAX, |Reverse((at, _))| *at);
                let mut own = streams.of(Purpose::User, number);
                request.number = number;
                request.luck = own.bits();
                request.class = class(&self.cumulated, request.luck);
                request.work = self.classes[usize::from(request.class)].work.sample_nanos(&mut own);
            }
        }
        request
    }

    /// Whoever asked, if it was a user, was answered now, and will ask again.
    pub(super) fn ask_again(&mut self, request: &Request, now: u64) {
        if let Kind::Closed { users, .. } = &self.kind {
            let next = request.number + users;
            self.think(next, now);
        }
    }

    fn think(&mut self, number: u64, now: u64) {
        let Kind::Closed { think, thinking, streams, .. } = &mut self.kind else { unreachable!("only users think") };
        // The pause before a request has a luck of its own beside the request's.
        let luck = mix(streams.of(Purpose::User, number).bits().wrapping_add(GOLDEN));
        thinking.push(Reverse((now.saturating_add(nanos(think.by_luck(luck))), number)));
        if !self.is_closed {
            self.next_arrival = thinking.peek().map_or(u64::MAX, |Reverse((at, _))| *at);
        }
    }

    /// Users who think; `None` in an open stream.
    pub(super) fn thinking(&self) -> Option<usize> {
        match &self.kind {
            Kind::Open(_) => None,
            Kind::Closed { thinking, .. } => Some(thinking.len()),
        }
    }

    /// How many users there are; `None` in an open stream.
    pub(super) fn users(&self) -> Option<u64> {
        match &self.kind {
            Kind::Open(_) => None,
            Kind::Closed { users, .. } => Some(*users),
        }
    }
}

/// The class that a request's luck makes it.
pub(super) fn class(cumulated: &[f64], request: u64) -> u8 {
    if cumulated.len() == 1 {
        return 0;
    }
    let lot = unit(luck(request, LuckOf::Class, 1));
    let place = cumulated.partition_point(|sum| *sum <= lot);
    place.min(cumulated.len() - 1) as u8
}
