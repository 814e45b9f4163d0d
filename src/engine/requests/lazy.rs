//! Services whose ends are no events: nobody acts on them when they come, so an instance is brought up to now when it is
//! next looked at, and what ended meanwhile is counted then, at its own moment.
//!
//! When a service is lazy is decided as it begins, and all that could make its end matter is either ruled out by the
//! scenario ([`Lazy::new`]) or seen then: a free worker, a plain instance, an answer in time that is not an error. An
//! instance that ceases to be plain (a request has to wait there, it changes its phase, a balancer cuts it off) has its
//! services made attempts with departures like all others. So whichever services are lazy, a run comes to the same bits:
//! ends of one instance and moment commute, and ends at different instances meet only in sums.
//!
//! Ends, marks (what is counted at the end) and the rest (what a loss would need) lie apart, a row of workers an instance,
//! because they are looked at ever more rarely.

use super::records::{Answered, Part};
use super::table::{Attempt, Mark, Request, State};
use super::{Departure, Engine};
use crate::balancer::Endpoint;
use crate::client::{LuckOf, luck};
use crate::fleet::{InstanceId, Phase};
use crate::history::Harm;
use crate::random::unit;
use crate::scenario::{Choice, Discipline, Discovery, Load, Scenario};
use crate::server::{Server, Slowing};
use crate::time::SimTime;
use std::cmp::Reverse;

/// Services of instances with more workers are events: a row is searched from end to end.
const MOST_WORKERS: u32 = 64;

/// Later than every lazy service ends; half the range, so that differences have a sign (292 years).
const NEVER: u64 = u64::MAX / 2;

/// Every service that is lazy now.
#[derive(Debug, Default)]
pub(super) struct Lazy {
    /// Places in a row, one a worker; 0: no service is lazy.
    workers: usize,
    /// By instance.
    rows: Vec<Row>,
    /// When each service ends, nanoseconds; row by row, as the following.
    ends: Vec<u64>,
    marks: Vec<Mark>,
    rests: Vec<Rest>,
}

/// The services at one instance.
#[derive(Clone, Copy, Debug)]
struct Row {
    /// The first end; [`NEVER`] while there is none.
    next: u64,
    /// The places that are taken, a bit each.
    taken: u64,
    /// Of these, those whose request ends later than its target, and those of each window.
    late: u64,
    baseline: u64,
    observed: u64,
}

impl Row {
    const EMPTY: Row = Row { next: NEVER, taken: 0, late: 0, baseline: 0, observed: 0 };
}

/// What is looked at only where something is lost or late.
#[derive(Clone, Copy, Debug)]
struct Rest {
    number: u64,
    work: u64,
    luck: u64,
    /// When it was sent and begun, nanoseconds.
    sent: u64,
    slowing: Slowing,
}

impl Rest {
    const NONE: Rest = Rest { number: 0, work: 0, luck: 0, sent: 0, slowing: Slowing::None };
}

impl Lazy {
    /// No service yet. Services are lazy unless it matters in which order they end, or to whom at that moment: what a
    /// policy, an ejection, a retry budget or a client's memory learns from answers, whoever waits for an answer to go on,
    /// and the log.
    pub(super) fn new(scenario: &Scenario) -> Self {
        let balancer = &scenario.balancer;
        let is_told_of_choices_only =
            matches!(balancer.policy, Choice::Random | Choice::RoundRobin | Choice::LeastRequest(_));
        let is_plain = is_told_of_choices_only
            && balancer.discovery == Discovery::Service
            && balancer.max_connections.is_none()
            && balancer.ejection.is_none()
            && scenario.service.discipline == Discipline::Fifo
            && scenario.service.workers.get() <= MOST_WORKERS
            && scenario.client.retries.budget.is_none()
            && scenario.release.database.is_none()
            && scenario.release.skew.is_none()
            && matches!(scenario.traffic.load, Load::Open { .. })
            && !scenario.study.keeps_log;
        Lazy { workers: if is_plain { scenario.service.workers.get() as usize } else { 0 }, ..Lazy::default() }
    }

    /// From now on every service is an event.
    pub(super) fn switch_off(&mut self) {
        debug_assert!(self.rows.is_empty(), "nothing has begun");
        self.workers = 0;
    }

    pub(super) fn is_on(&self) -> bool {
        self.workers > 0
    }

    /// When the first service at an instance ends, [`NEVER`] where none is lazy.
    fn next_end(&self, id: InstanceId) -> u64 {
        self.rows.get(id.index()).map_or(NEVER, |row| row.next)
    }

    #[inline]
    fn add(&mut self, id: InstanceId, end: u64, mark: Mark, rest: Rest, part: Option<Part>, is_late: bool) {
        if id.index() >= self.rows.len() {
            let rows = id.index() + 1;
            self.rows.resize(rows, Row::EMPTY);
            self.ends.resize(rows * self.workers, NEVER);
            self.marks.resize(rows * self.workers, Mark::NONE);
            self.rests.resize(rows * self.workers, Rest::NONE);
        }
        let row = &mut self.rows[id.index()];
        let free = (!row.taken).trailing_zeros() as usize;
        debug_assert!(free < self.workers, "{id:?} has a free worker");
        let bit = |is_set: bool| u64::from(is_set) << free;
        row.taken |= bit(true);
        row.late = row.late & !bit(true) | bit(is_late);
        row.baseline = row.baseline & !bit(true) | bit(part == Some(Part::Baseline));
        row.observed = row.observed & !bit(true) | bit(part == Some(Part::Observed));
        row.next = row.next.min(end);
        let place = id.index() * self.workers + free;
        self.ends[place] = end;
        self.marks[place] = mark;
        self.rests[place] = rest;
    }

    /// Frees the places of an instance whose services have ended by then: as they were, with the places that are free now
    /// as `taken`. Which of them have ended is a matter of chance, so nothing branches on it.
    #[inline]
    fn take_ended(&mut self, id: InstanceId, moment: u64) -> Row {
        let first = id.index() * self.workers;
        let (mut over, mut next) = (0, NEVER);
        for (column, end) in self.ends[first..first + self.workers].iter_mut().enumerate() {
            let is_over = u64::from(*end <= moment);
            over |= is_over << column;
            *end |= is_over.wrapping_neg() & NEVER;
            let difference = end.wrapping_sub(next).cast_signed();
            next = next.wrapping_add((difference & (difference >> 63)).cast_unsigned());
        }
        let row = &mut self.rows[id.index()];
        let ended = Row { taken: row.taken & over, ..*row };
        row.taken &= !over;
        row.next = next;
        ended
    }

    /// The attempt that a place stands for, which ends then.
    fn attempt(&self, id: InstanceId, place: usize, departs: u64) -> Attempt {
        let (Mark { arrived, interval, balancer, attempts, class }, rest) = (self.marks[place], self.rests[place]);
        let Rest { number, work, luck, sent, slowing } = rest;
        let request = Request { number, arrived, work, luck, interval, attempts, class };
        let (begun, endpoint) = (sent, Endpoint(id.0));
        let state = State::InService;
        Attempt { begun, departs, endpoint, instance: id, state, slowing, ..Attempt::new(request, balancer, sent) }
    }
}

/// The columns whose bits are set.
fn columns(mut bits: u64) -> impl Iterator<Item = usize> {
    std::iter::from_fn(move || {
        let column = bits.trailing_zeros() as usize;
        (bits != 0).then(|| {
            bits &= bits - 1;
            column
        })
    })
}

impl Engine<'_> {
    /// A first attempt whose way is the plainest there is, and whose end can be left to be looked up: it is sent. Whether
    /// it was; else nothing has happened. [`Engine::send`] comes to the same.
    #[inline]
    pub(super) fn send_lazily(&mut self, request: &mut Request) -> bool {
        if !self.requests.lazy.is_on() {
            return false;
        }
        let balancer = self.pools.drawn(request.luck, 1);
        let pair = self.balancers[usize::from(balancer)].pair(luck(request.luck, LuckOf::Choice, 1), self.now.nanos());
        let Some((one, other)) = pair else { return false };
        self.bring_up(InstanceId(one.0));
        self.bring_up(InstanceId(other.0));
        let id = InstanceId(self.balancers[usize::from(balancer)].lesser(one, other).0);
        let desk = &self.desks[id.index()];
        let has_free_worker = matches!(&desk.server, Server::Fifo(fifo) if fifo.busy() < self.requests.workers);
        if desk.phase != Phase::Ready || !has_free_worker {
            return false;
        }
        request.attempts = 1;
        let is_sent = self.serve_lazily(request, balancer, id);
        self.history.attempts.sent += u64::from(is_sent);
        request.attempts = u8::from(is_sent);
        is_sent
    }

    /// An instance with a free worker begins with an attempt, if its end can be left to be looked up; the attempt is open
    /// at the endpoint of that instance from now on. Whether it did.
    #[inline]
    pub(super) fn serve_lazily(&mut self, request: &Request, balancer: u16, id: InstanceId) -> bool {
        if !self.requests.lazy.is_on() {
            return false;
        }
        let now = self.now.nanos();
        let desk = &mut self.desks[id.index()];
        let is_suspect =
            desk.error_rate > 0.0 && unit(luck(request.luck, LuckOf::Error, request.attempts)) < desk.error_rate;
        let is_suspect = is_suspect || self.scenario.service.error_rate > 0.0 || request.attempts > 1;
        let (service, slowing) = desk.speed.service(request.work, now, self.scenario.release.warm_up.as_ref());
        let ends = now.saturating_add(service);
        if desk.phase != Phase::Ready || service > self.requests.patience || ends >= NEVER || is_suspect {
            return false;
        }
        desk.speed.note_begun();
        let Server::Fifo(fifo) = &mut desk.server else { unreachable!("workers that are shared are not lazy") };
        fifo.begin();
        self.requests.count_busy(1, now);
        self.balancers[usize::from(balancer)].opened(Endpoint(id.0));
        let Request { number, work, luck, .. } = *request;
        let mark = request.mark(balancer);
        let (part, is_late) = (self.part_of(request.arrived), self.is_late(request.class, service));
        debug_assert_eq!(request.arrived, now, "a first attempt is sent at once");
        self.measure::<false>(&mark, service, is_late);
        let rest = Rest { number, work, luck, sent: now, slowing };
        self.requests.lazy.add(id, ends, mark, rest, part, is_late);
        if part == Some(Part::Observed) {
            self.count_wait(0);
        }
        true
    }

    /// Counts what has ended at an instance by now.
    #[inline]
    pub(super) fn bring_up(&mut self, id: InstanceId) {
        self.bring_up_to(id, self.now.nanos());
    }

    #[inline]
    fn bring_up_to(&mut self, id: InstanceId, moment: u64) {
        if self.requests.lazy.next_end(id) <= moment {
            self.end_services(id, moment);
        }
    }

    /// Counts everything that has ended until such a moment, itself included.
    pub(in crate::engine) fn bring_all_up_to(&mut self, moment: u64) {
        for id in (0..self.requests.lazy.rows.len() as u32).map(InstanceId) {
            self.bring_up_to(id, moment);
        }
    }

    fn end_services(&mut self, id: InstanceId, moment: u64) {
        let first = id.index() * self.requests.lazy.workers;
        let row = &self.requests.lazy.rows[id.index()];
        let has_late = row.taken & row.late & row.observed != 0;
        let late_at = if has_late { self.late_ends(id, moment) } else { Vec::new() };
        if cfg!(debug_assertions) {
            self.note_lazy_work(id, moment);
        }
        let ended = self.requests.lazy.take_ended(id, moment);
        let count = ended.taken.count_ones();
        // Nearly always all of them or none.
        let of = |places: u64| match ended.taken & places {
            0 => 0,
            all if all == ended.taken => u64::from(count),
            some => u64::from(some.count_ones()),
        };
        self.history.events += u64::from(count);
        let desk = &mut self.desks[id.index()];
        let version = desk.version;
        let Server::Fifo(fifo) = &mut desk.server else { unreachable!("it serves lazily") };
        fifo.end_all(count);
        self.requests.busy -= u64::from(count);
        let (late, baseline, observed) = (of(ended.late), of(ended.baseline), of(ended.observed));
        self.count_answered(version, &Answered { all: u64::from(count), late, baseline, observed });
        if let [balancer] = &mut self.balancers[..] {
            balancer.closed_at_once(Endpoint(id.0), count);
        } else {
            for column in columns(ended.taken) {
                let balancer = self.requests.lazy.marks[first + column].balancer;
                self.balancers[usize::from(balancer)].closed_at_once(Endpoint(id.0), 1);
            }
        }
        for (place, at) in late_at {
            self.note_lateness(id, place, at);
        }
    }

    /// The places of requests of the observation window that end late by such a moment, and when.
    #[cold]
    fn late_ends(&self, id: InstanceId, moment: u64) -> Vec<(usize, u64)> {
        let lazy = &self.requests.lazy;
        let (row, first) = (lazy.rows[id.index()], id.index() * lazy.workers);
        let late =
            columns(row.taken & row.late & row.observed).map(|column| (first + column, lazy.ends[first + column]));
        late.filter(|(_, end)| *end <= moment).collect()
    }

    /// What the books are checked by.
    fn note_lazy_work(&mut self, id: InstanceId, moment: u64) {
        let first = id.index() * self.requests.lazy.workers;
        for place in columns(self.requests.lazy.rows[id.index()].taken).map(|column| first + column) {
            let end = self.requests.lazy.ends[place];
            if end <= moment {
                self.requests.busy_time += i128::from(end);
                self.requests.note_work(self.requests.lazy.rests[place].sent, end);
            }
        }
    }

    #[cold]
    fn note_lateness(&mut self, id: InstanceId, place: usize, at: u64) {
        let present = std::mem::replace(&mut self.now, SimTime::from_nanos(at));
        let attempt = self.requests.lazy.attempt(id, place, at);
        self.note_harm(Harm::Late(self.delayed_by(&attempt)), &attempt.request, Some(id));
        self.now = present;
    }

    /// From now on the ends of all services at an instance are events, those begun until now.
    pub(in crate::engine) fn foresee_departures(&mut self, id: InstanceId) {
        if self.requests.lazy.next_end(id) == NEVER {
            return;
        }
        self.bring_up(id);
        let Lazy { workers, rows, .. } = &mut self.requests.lazy;
        let first = id.index() * *workers;
        let row = std::mem::replace(&mut rows[id.index()], Row::EMPTY);
        for column in columns(row.taken) {
            let end = std::mem::replace(&mut self.requests.lazy.ends[first + column], NEVER);
            let attempt = self.requests.lazy.attempt(id, first + column, end);
            let is_late = row.late >> column & 1 == 1;
            self.measure::<true>(&attempt.request.mark(attempt.balancer), end - attempt.request.arrived, is_late);
            let place = self.requests.attempts.keep(attempt);
            self.requests.departures.push(Reverse(Departure::new(end, id, place)));
        }
    }

    /// The same at all instances.
    pub(in crate::engine) fn foresee_all_departures(&mut self) {
        for id in (0..self.requests.lazy.rows.len() as u32).map(InstanceId) {
            self.foresee_departures(id);
        }
    }
}
