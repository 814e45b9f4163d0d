//! Services whose ends are no events: nobody acts on them when they come, so all that is kept of them is when they end, and
//! whoever wants to know how many an instance has counts those that end later than now.
//!
//! When a service is lazy is decided as it begins, and all that could make its end matter is either ruled out by the
//! scenario ([`Lazy::new`]) or seen then: an instance that takes requests, whose drain does not wait for the last one, a free worker or a
//! [line](super::lines), an answer in time that is neither late nor an error. It is counted as answered at once; whoever reads a
//! count before its end takes those off that go on ([`Engine::unfinished`]). Where somebody waits who is an attempt, the first end is an
//! event, a *call*: then whoever waits goes on. An instance that is told to stop or fails, or that a balancer cuts off, has its services
//! made attempts with departures like all others, and they are counted when they end. So whichever services are
//! lazy, a run comes to the same bits: ends of one instance and moment commute, and ends at
//! different instances meet only in sums. Least-connections, for which they do not, is told of them in their order before
//! whatever happens next ([`Engine::hear_of_ends`]).

use super::lines::{Foretold, Lines};
use super::look::{BLOCK, Block, NEVER, Survey};
use super::order::Order;
use super::records::{Answered, Part};
use super::rows::{
    First, MOST, MOST_WORKERS, Manner, Rest, Rests, Rows, SLOW, Servers, foretold, room, seen_through, survey,
};
use super::table::{Attempt, Request, State};
use super::{Departure, Engine, Requests};
use crate::balancer::{Balancer, Endpoint};
use crate::bits::places;
use crate::client::{LuckOf, luck};
use crate::fleet::{InstanceId, Phase, Version};
use crate::scenario::{Choice, Discipline, Discovery, Load, Scenario};
use crate::server::{Server, Slowing};
use crate::wide::OneByOne;
use std::cmp::Reverse;

/// Where requests go through more pools their services are events: a batch is looked through once a pool.
const MOST_POOLS: u32 = 64;

/// Every service that is lazy now.
#[derive(Debug, Default)]
pub(super) struct Lazy {
    /// Workers of an instance; 0: no service is lazy.
    workers: u32,
    /// Whether requests go in rows.
    has_rows: bool,
    /// Blocks of places of an instance, of which the workers use the first places.
    blocks: usize,
    /// How many pools there are.
    pools: usize,
    /// By instance.
    manners: Vec<Manner>,
    /// When each service ends or ended, nanoseconds; a row of blocks an instance. Two rows are looked at a request.
    ends: Vec<Block>,
    /// By block, the pool that each service went through. Empty where there is one pool.
    through: Vec<[u8; BLOCK]>,
    /// By place: what is looked at only where a service becomes an attempt, and why it takes longer than its work, if it
    /// does.
    rests: Rests,
    slowings: Vec<Slowing>,
    /// No service ends later; and whether one does end then, if it has not become an attempt since.
    latest: u64,
    is_latest_exact: bool,
    /// Where balancers are told of each end.
    order: Option<Order>,
    /// Who waits for a worker, where that is lazy, too.
    pub(super) lines: Lines,
    /// By instance where somebody waited: when the queue is looked at next because a service ends; 0: that is over.
    calls: Vec<u64>,
}

impl Lazy {
    /// No service yet. Services are lazy unless it matters to whom they end at that moment: what a policy, an ejection, a
    /// retry budget or a client's memory learns from answers, whoever waits for an answer to go on, and the log.
    pub(super) fn new(scenario: &Scenario, pools: u32) -> Self {
        let balancer = &scenario.balancer;
        let is_told_of_ends = matches!(balancer.policy, Choice::LeastConnections(_));
        let is_told_of_choices_only =
            matches!(balancer.policy, Choice::Random | Choice::RoundRobin | Choice::LeastRequest(_));
        let is_plain = (is_told_of_choices_only || is_told_of_ends)
            && balancer.discovery == Discovery::Service
            && balancer.max_connections.is_none()
            && balancer.ejection.is_none()
            && scenario.service.discipline == Discipline::Fifo
            && scenario.service.workers.get() <= MOST_WORKERS
            && scenario.client.retries.budget.is_none()
            && scenario.release.database.is_none()
            && scenario.release.skew.is_none()
            && matches!(scenario.traffic.load, Load::Open { .. })
            && !scenario.study.keeps_log
            && pools <= MOST_POOLS;
        if !is_plain {
            return Lazy::default();
        }
        let workers = scenario.service.workers.get();
        let apart = 1e9 / scenario.traffic.load.peak();
        let draws_pairs = matches!(balancer.policy, Choice::LeastRequest(choices) if choices.get() == 2);
        let order = is_told_of_ends.then(|| Order::new(apart, scenario.service.instances.get(), workers));
        let lines = if draws_pairs { Lines::new(scenario) } else { Lines::default() };
        Lazy {
            workers,
            has_rows: is_told_of_ends || draws_pairs,
            lines,
            blocks: (workers as usize).div_ceil(BLOCK),
            rests: Rests::new(workers),
            pools: pools as usize,
            order,
            ..Lazy::default()
        }
    }

    /// From now on every service is an event.
    pub(super) fn switch_off(&mut self) {
        debug_assert!(self.ends.is_empty(), "nothing has begun");
        *self = Lazy::default();
    }

    pub(super) fn is_on(&self) -> bool {
        self.workers > 0
    }

    /// The blocks of an instance; none if it has never served lazily.
    #[inline]
    fn row(&self, id: InstanceId) -> &[Block] {
        let first = id.index() * self.blocks;
        self.ends.get(first..first + self.blocks).unwrap_or(&[])
    }

    /// Whether requests go in rows.
    pub(super) fn has_rows(&self) -> bool {
        self.has_rows
    }

    /// The services of an instance that go on.
    #[inline]
    pub(super) fn survey(&self, id: InstanceId, now: u64) -> Survey {
        survey(&self.ends, self.blocks, id, now, OneByOne)
    }

    /// How many wait at an instance that are lazy.
    fn waiting(&self, id: InstanceId, now: u64) -> u32 {
        self.lines.open(id, self.survey(id, now), now)
    }

    /// How many requests are at an instance that are lazy.
    #[inline]
    pub(super) fn open(&self, id: InstanceId, now: u64) -> u32 {
        let seen = self.survey(id, now);
        seen.open + self.lines.open(id, seen, now)
    }

    /// How many of these came through a pool.
    #[inline]
    pub(super) fn open_through(&self, pool: u16, id: InstanceId, now: u64) -> u32 {
        let seen = self.survey(id, now);
        let here = match self.pools {
            0 | 1 => seen.open,
            _ => seen_through(&self.through, self.blocks, pool, id, seen, OneByOne),
        };
        here + self.lines.open_through(pool, id, seen, now, OneByOne)
    }

    /// What requests in a row look at.
    #[inline(always)]
    pub(super) fn rows<'a>(&'a mut self, servers: Servers<'a>) -> Rows<'a> {
        self.rows_in_order(servers).0
    }

    /// The same, and the ends of services in order, where balancers are told of them.
    #[inline(always)]
    pub(super) fn rows_in_order<'a>(&'a mut self, servers: Servers<'a>) -> (Rows<'a>, Option<&'a mut Order>) {
        let rows = Rows {
            servers,
            blocks: self.blocks,
            is_split: self.pools > 1,
            manners: &mut self.manners,
            slowings: &mut self.slowings,
            ends: &mut self.ends,
            through: &mut self.through,
            rests: &mut self.rests,
            lines: &mut self.lines,
        };
        (rows, self.order.as_mut())
    }

    /// Services end up to then.
    #[inline]
    pub(super) fn note_latest(&mut self, ends: u64) {
        self.latest = self.latest.max(ends);
    }

    /// What a service at a place would become.
    #[inline]
    pub(super) fn note_rest(&mut self, place: usize, request: &Rest) {
        self.rests.note(place, request);
    }

    /// Whether balancers are told of the beginnings and ends of services.
    #[inline]
    pub(super) fn is_ordered(&self) -> bool {
        self.order.is_some()
    }

    /// Where balancers are told of ends: they will be of this one.
    #[inline]
    pub(super) fn note_end(&mut self, place: usize, ends: u64) {
        if let Some(order) = &mut self.order {
            order.note(place, ends);
        }
    }

    /// The services of an instance that go on, where balancers have been told of all ends by now: [`Lazy::survey`], without
    /// looking at moments.
    #[inline]
    pub(super) fn survey_told(&self, id: InstanceId, now: u64) -> Survey {
        let seen = self.order.as_ref().map_or(Survey::NOTHING, |order| order.survey(id, self.blocks));
        debug_assert_eq!(seen.taken, self.survey(id, now).taken, "{id:?}");
        seen
    }

    /// Tells balancers of what ends up to a moment, and up to a place at that moment.
    fn close_ended(&mut self, balancers: &mut [Balancer], until: (u64, u32)) {
        if let Some(order) = &mut self.order {
            order.close_by(balancers, until, (&self.ends, &self.through, self.blocks));
        }
    }

    /// Tells balancers of all that has ended by a moment.
    #[inline]
    pub(super) fn close_by(&mut self, balancers: &mut [Balancer], moment: u64) {
        self.close_ended(balancers, (moment, u32::MAX));
    }

    /// An instance may have ceased to be plain.
    pub(super) fn forget(&mut self, id: InstanceId) {
        if let Some(manner) = self.manners.get_mut(id.index()) {
            *manner = manner.with_room(0);
        }
    }

    /// So many workers of an instance are at work on what is not lazy.
    pub(super) fn note_others(&mut self, id: InstanceId, busy: u32) {
        if let Some(manner) = self.manners.get_mut(id.index()).filter(|manner| manner.room() > 0) {
            *manner = manner.with_room(room(self.workers, busy) | manner.room() & SLOW);
        }
    }

    /// Makes room for the services of the first instances, so many.
    #[inline]
    pub(super) fn make_room(&mut self, instances: usize) {
        if instances > self.manners.len() {
            self.add_rows(instances);
        }
    }

    #[cold]
    fn add_rows(&mut self, rows: usize) {
        self.manners.resize(rows, Manner::UNKNOWN);
        let blocks = rows * self.blocks;
        if let Some(order) = &mut self.order {
            order.resize(blocks);
        }
        self.ends.resize(blocks, Block::FREE);
        self.rests.resize(blocks);
        self.slowings.resize(blocks * BLOCK, Slowing::None);
        if self.pools > 1 {
            self.through.resize(blocks, [0; BLOCK]);
        }
    }
}

/// Services that are counted as answered and go on, by version.
pub(in crate::engine) type Unfinished = [Answered; Version::COUNT];

impl Engine<'_> {
    /// A first attempt whose way is the plainest there is, and whose end can be left to be looked up: it is sent. Whether
    /// it was; else nothing has happened. [`Engine::send`] comes to the same.
    #[inline]
    pub(super) fn send_lazily(&mut self, request: &mut Request) -> bool {
        if !self.requests.lazy.is_on() {
            return false;
        }
        let now = self.now.nanos();
        let pool = self.pools.drawn(request.luck, 1);
        let balancer = &mut self.balancers[usize::from(pool)];
        balancer.follow_the_time(now);
        let Some((one, other)) = balancer.pair(luck(request.luck, LuckOf::Choice, 1), OneByOne) else { return false };
        let lazy = &self.requests.lazy;
        let [open_there, open_at_other] =
            [one, other].map(|endpoint| lazy.open_through(pool, InstanceId(endpoint.0), now));
        let chosen = if balancer.is_lesser((other, open_at_other), (one, open_there)) { other } else { one };
        let id = InstanceId(chosen.0);
        request.attempts = 1;
        let is_sent = self.serve_lazily(request, pool, id);
        self.history.attempts.sent += u64::from(is_sent);
        request.attempts = u8::from(is_sent);
        is_sent
    }

    /// Whether it matters to nobody when a service ends at an instance in such a phase.
    pub(in crate::engine) fn ends_unnoticed(&self, phase: Phase) -> bool {
        match phase {
            Phase::Ready | Phase::Unready => true,
            Phase::Draining => !self.scenario.release.drain_ends_when_idle,
            _ => false,
        }
    }

    /// An instance begins with an attempt, if its end can be left to be looked up. Whether it did.
    #[inline]
    pub(super) fn serve_lazily(&mut self, request: &Request, pool: u16, id: InstanceId) -> bool {
        if !self.requests.lazy.is_on() || !self.ends_unnoticed(self.desks[id.index()].phase) {
            return false;
        }
        let now = self.now.nanos();
        let is_suspect = request.attempts > 1 || self.is_common_error(request);
        let longest = self.requests.patience.min(self.requests.targets[usize::from(request.class)]).min(MOST);
        let lazy = &mut self.requests.lazy;
        lazy.make_room(self.desks.len());
        let desk = &self.desks[id.index()];
        let Server::Fifo(fifo) = &desk.server else { unreachable!("workers that are shared are not lazy") };
        let slow = if desk.is_plain(now) { 0 } else { SLOW };
        let room = room(lazy.workers, fifo.busy()) | slow;
        let manner = &mut lazy.manners[id.index()];
        *manner = manner.with_room(room).with_version(desk.version);
        if is_suspect {
            return false;
        }
        debug_assert_eq!(request.arrived, now, "a first attempt is sent at once");
        let Request { number, arrived, work, luck, .. } = *request;
        let warm_up = self.scenario.release.warm_up.as_ref();
        let mut rows = lazy.rows(Servers { desks: &mut self.desks, warm_up, longest });
        let seen = rows.survey_by(id, now, OneByOne);
        let first = First { now, work, luck };
        let Some((service, version)) = rows.service(id, seen, first) else { return false };
        let ends = now + service;
        let place = rows.begin(id, seen, pool, now, ends);
        lazy.note_latest(ends);
        lazy.note_rest(place, &Rest { number, arrived, work, luck });
        let part = self.part_of(arrived);
        self.measure::<false>(&request.mark(), service, false);
        if self.requests.lazy.is_ordered() {
            self.requests.lazy.note_end(place, ends);
            self.balancers[usize::from(pool)].opened(Endpoint(id.0));
        }
        self.count_answered(version, &Answered::of(part, 1));
        self.history.events += 1;
        if part == Some(Part::Observed) {
            self.count_wait(0);
        }
        true
    }

    /// Balancers that must know of ends hear of those before whatever happens now, in the order of moments and, within one, of
    /// instances: `departing` is the one where an attempt ends; else it is something that comes after all ends.
    pub(in crate::engine) fn hear_of_ends(&mut self, moment: u64, departing: Option<InstanceId>) {
        let lazy = &mut self.requests.lazy;
        let places = (lazy.blocks * BLOCK) as u32;
        let last = departing.map_or(u32::MAX, |id| id.0 * places + (places - 1));
        lazy.close_ended(&mut self.balancers, (moment, last));
    }

    /// Somebody waits at an instance: the first end of a service there is an event, if it is none yet.
    pub(super) fn call_at_next_end(&mut self, id: InstanceId) {
        let now = self.now.nanos();
        let lazy = &mut self.requests.lazy;
        let in_line = lazy.lines.ends(id);
        let later = lazy.row(id).iter().flat_map(|block| &block.0).chain(in_line).filter(|end| **end > now);
        let Some(first) = later.min().copied() else { return };
        if id.index() >= lazy.calls.len() {
            lazy.calls.resize(id.index() + 1, 0);
        }
        let call = &mut lazy.calls[id.index()];
        if *call <= now || first < *call {
            *call = first;
            self.requests.departures.push(Reverse(Departure::new(first, id, Departure::CALL)));
        }
    }

    /// A service of an instance ends where somebody waited.
    pub(super) fn called(&mut self, id: InstanceId) {
        self.history.events -= 1; // That end was counted when the service began.
        let now = self.now.nanos();
        let call = &mut self.requests.lazy.calls[id.index()];
        if *call != now {
            return; // There was another reason to look before.
        }
        *call = 0;
        loop {
            let busy = self.requests.lazy.open(id, now); // Those in line come first.
            let Server::Fifo(fifo) = &self.desks[id.index()].server else { unreachable!("it serves lazily") };
            if fifo.waiting() == 0 {
                return;
            }
            if fifo.busy() + busy >= self.scenario.service.workers.get() {
                break;
            }
            self.go_on(id);
        }
        self.call_at_next_end(id);
    }

    /// What is counted as answered and will end only after this moment.
    pub(in crate::engine) fn unfinished(&self, moment: u64) -> Unfinished {
        let mut unfinished = [Answered::NONE; Version::COUNT];
        let lazy = &self.requests.lazy;
        if lazy.latest <= moment {
            return unfinished;
        }
        for (place, _) in lazy.ends.iter().flat_map(|block| block.0).enumerate().filter(|(_, end)| *end > moment) {
            let part = self.part_of(lazy.rests.at(place).arrived);
            unfinished[self.desks[place / BLOCK / lazy.blocks].version.index()].add(&Answered::of(part, 1));
        }
        for (Foretold { rest, .. }, id) in lazy.lines.all_after(moment) {
            let part = self.part_of(rest.arrived);
            unfinished[self.desks[id.index()].version.index()].add(&Answered::of(part, 1));
        }
        unfinished
    }

    /// The same of all versions.
    pub(in crate::engine) fn unfinished_in_all(&self, moment: u64) -> u64 {
        self.unfinished(moment).iter().map(|version| version.all).sum()
    }

    /// Whether all that is counted as answered has ended by such a moment, after which nothing begins.
    pub(in crate::engine) fn all_have_ended(&mut self, moment: u64) -> bool {
        let lazy = &mut self.requests.lazy;
        if lazy.latest > moment && !lazy.is_latest_exact {
            let in_lines = lazy.lines.all_after(moment).map(|(one, _)| one.ends);
            lazy.latest = lazy.ends.iter().flat_map(|block| block.0).chain(in_lines).max().unwrap_or(0);
            lazy.is_latest_exact = true;
        }
        lazy.latest <= moment
    }

    /// From now on the ends of all services at an instance are events, those begun until now and those who wait for these.
    pub(in crate::engine) fn foresee_departures(&mut self, id: InstanceId) {
        let now = self.now.nanos();
        let lazy = &mut self.requests.lazy;
        let mut all = Vec::new();
        let first = id.index() * lazy.blocks * BLOCK;
        for place in places(lazy.survey(id, now).taken).map(|column| first + column) {
            all.push(foretold(place, &lazy.ends, &lazy.through, &lazy.rests, &lazy.slowings));
            lazy.ends[place / BLOCK].0[place % BLOCK] = 0;
            if let Some(order) = &mut lazy.order {
                order.forget(place);
            }
        }
        lazy.lines.give_up(id, now, &mut all);
        // Who is an attempt and waits has come later.
        all.sort_unstable_by_key(|one| Reverse((one.begins(), one.rest.number)));
        for one in all {
            self.make_an_attempt(id, &one);
        }
    }

    /// A lazy service becomes an attempt, in service or waiting before all others: it is not counted any more.
    fn make_an_attempt(&mut self, id: InstanceId, foretold: &Foretold) {
        let (begins, slowing) = (foretold.begins(), foretold.slowing);
        let attempt = self.forget_answer(id, foretold);
        if begins <= self.now.nanos() {
            self.go_on_as_event(Attempt { begun: begins, departs: foretold.ends, slowing, ..attempt });
            return;
        }
        self.balancers[usize::from(attempt.balancer)].opened(attempt.endpoint);
        let place = self.requests.attempts.keep(Attempt { state: State::Waiting, ..attempt });
        let Server::Fifo(fifo) = &mut self.desks[id.index()].server else { unreachable!("it serves lazily") };
        fifo.wait_first(place);
        self.requests.waiting += 1; // It has been counted among the most that waited.
        if let Some(timeout) = self.requests.timeout {
            let Requests { attempts, due, .. } = &mut self.requests;
            attempts[place].is_timed = true;
            let rank = |place: u32| (attempts[place].due(Some(timeout)), attempts[place].request.number);
            due.insert(place, |other| rank(other) > rank(place));
        }
    }

    /// What was counted as answered is not any more: an attempt in service.
    fn forget_answer(&mut self, id: InstanceId, foretold: &Foretold) -> Attempt {
        let Foretold { ends, pool, rest: Rest { number, arrived, work, luck }, .. } = *foretold;
        let (interval, class) = (self.requests.source.interval_of(arrived), self.requests.source.class_of(luck));
        let request = Request { number, arrived, work, luck, interval, attempts: 1, class };
        self.measure::<true>(&request.mark(), ends - arrived, false);
        self.discount_answered(self.desks[id.index()].version, &Answered::of(self.part_of(arrived), 1));
        self.history.events -= 1;
        self.requests.lazy.is_latest_exact = false;
        let (endpoint, instance, state) = (Endpoint(id.0), id, State::InService);
        Attempt { endpoint, instance, state, ..Attempt::new(request, pool, arrived) }
    }

    /// The end of an attempt in service is an event.
    fn go_on_as_event(&mut self, attempt: Attempt) {
        let id = attempt.instance;
        self.requests.count_busy(1, attempt.begun);
        let Server::Fifo(fifo) = &mut self.desks[id.index()].server else { unreachable!("it serves lazily") };
        fifo.begin();
        self.requests.lazy.note_others(id, fifo.busy());
        if !self.requests.lazy.is_ordered() {
            self.balancers[usize::from(attempt.balancer)].opened(attempt.endpoint);
        }
        let place = self.requests.attempts.keep(attempt);
        self.requests.departures.push(Reverse(Departure::new(attempt.departs, id, place)));
    }

    /// Services at an instance take another time from now on: who has waited for one until now has been told too much.
    pub(in crate::engine) fn foresee_lines(&mut self, id: InstanceId) {
        if self.requests.lazy.waiting(id, self.now.nanos()) > 0 {
            self.foresee_departures(id);
        }
    }

    /// Waits in line that are over are counted.
    pub(super) fn count_waits(&mut self) {
        let (over, most) = self.requests.lazy.lines.take_counts();
        for waited in over {
            self.count_wait(waited);
        }
        self.history.most_waiting = self.history.most_waiting.max(most);
    }

    /// The same at all instances.
    pub(in crate::engine) fn foresee_all_departures(&mut self) {
        debug_assert!(self.now.nanos() < NEVER, "a run ends");
        for id in (0..self.requests.lazy.manners.len() as u32).map(InstanceId) {
            self.foresee_departures(id);
        }
        self.requests.lazy.lines.waiting(self.now.nanos());
        self.count_waits();
    }
}
