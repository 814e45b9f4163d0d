//! The request plane: arrival → balancer → instance queue → fate, one event at a time.

use super::Engine;
use crate::client::{DueList, LuckOf, luck, pause_nanos};
use crate::distribution::Delay;
use crate::fleet::{InstanceId, Phase, Version};
use crate::history::{Cause, LossKey};
use crate::random::{Purpose, Stream, Streams};
use crate::scenario::Scenario;
use crate::server::Admission;
use crate::time::{SimTime, nanos};
use crate::traffic::ArrivalTimes;
use std::cmp::Reverse;
use std::collections::BinaryHeap;

/// A request that is under way, and its current attempt. After a time-out the instance works on at what its client
/// gave up, so one request can have several attempts open.
#[derive(Clone, Copy, Debug)]
#[repr(align(64))] // One cache line: an attempt is looked up at random.
struct Attempt {
    request: Request,
    /// When its time is over, nanoseconds.
    due: u64,
    /// When its service ends, nanoseconds; only while it is in service.
    departs: u64,
    instance: InstanceId,
    state: State,
    /// It stands in the list of those whose time may be over before they are served.
    is_timed: bool,
}

/// What lasts over the attempts of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Request {
    /// Its number in the order of arrival.
    number: u64,
    /// When it arrived, nanoseconds.
    arrived: u64,
    /// What it costs, nanoseconds.
    work: u64,
    /// Its luck; see [`luck`].
    luck: u64,
    /// The interval of the time series in which it arrived; `WARM_UP` before the first one.
    interval: u32,
    /// Attempts made, the current one included.
    attempts: u8,
}

/// Arrived before the time series begins.
const WARM_UP: u32 = u32::MAX;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// Nobody's: its place can be used again.
    Free,
    /// In an instance's queue.
    Waiting,
    /// Being served.
    InService,
    /// In an instance's queue, and its client has given up.
    WaitingForNobody,
    /// Being served, and its client has given up.
    ServedForNobody,
}

impl State {
    fn has_client(self) -> bool {
        matches!(self, State::Waiting | State::InService)
    }
}

/// The end of a service: moment, instance and attempt in one number, which compares in their order at once.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Departure(u128);

impl Departure {
    fn new(at: u64, instance: InstanceId, attempt: u32) -> Self {
        Departure(u128::from(at) << 64 | u128::from(instance.0) << 32 | u128::from(attempt))
    }

    fn at(self) -> u64 {
        (self.0 >> 64) as u64
    }

    fn instance(self) -> InstanceId {
        InstanceId((self.0 >> 32) as u32)
    }

    fn attempt(self) -> u32 {
        self.0 as u32
    }
}

/// Everything on its way.
#[derive(Debug)]
pub(super) struct Requests<'a> {
    arrivals: ArrivalTimes<'a>,
    next_arrival: u64,
    work: Stream,
    work_delay: &'a Delay,
    luck: Stream,
    arrived: u64,
    attempts: Vec<Attempt>,
    free: Vec<u32>,
    /// An entry whose attempt is not in service there, or not until then, is out of date: its instance was killed.
    departures: BinaryHeap<Reverse<Departure>>,
    due: DueList,
    /// (moment, request).
    retries: BinaryHeap<Reverse<(u64, Request)>>,
    timeout: Option<u64>,
    /// Where the time series stands: the interval of the next arrival, and when it ends, nanoseconds.
    interval: u32,
    interval_ends: u64,
    baseline_from: u64,
    window_from: u64,
}

impl<'a> Requests<'a> {
    pub(super) fn new(scenario: &'a Scenario, streams: &Streams) -> Self {
        let study = &scenario.study;
        let mut arrivals =
            ArrivalTimes::new(&scenario.traffic.profile, scenario.traffic.arrivals, streams.of(Purpose::Arrivals, 0));
        let next_arrival = arrivals.advance().nanos();
        Requests {
            arrivals,
            next_arrival,
            work: streams.of(Purpose::Work, 0),
            work_delay: &scenario.traffic.work,
            luck: streams.of(Purpose::Luck, 0),
            arrived: 0,
            attempts: Vec::new(),
            free: Vec::new(),
            departures: BinaryHeap::new(),
            due: DueList::new(),
            retries: BinaryHeap::new(),
            timeout: scenario.client.timeout.map(nanos),
            interval: WARM_UP,
            interval_ends: nanos(study.series_from()),
            baseline_from: nanos(study.warm_up),
            window_from: nanos(study.rollout_at()),
        }
    }

    /// From now on nothing arrives.
    pub(super) fn close(&mut self) {
        self.next_arrival = u64::MAX;
    }

    fn next_departure(&self) -> u64 {
        self.departures.peek().map_or(u64::MAX, |Reverse(departure)| departure.at())
    }

    fn next_due(&self) -> u64 {
        self.due.first().map_or(u64::MAX, |attempt| self.attempts[attempt as usize].due)
    }

    fn next_retry(&self) -> u64 {
        self.retries.peek().map_or(u64::MAX, |Reverse((at, _))| *at)
    }

    /// A place for an attempt.
    fn keep(&mut self, attempt: Attempt) -> u32 {
        if let Some(place) = self.free.pop() {
            self.attempts[place as usize] = attempt;
            return place;
        }
        self.attempts.push(attempt);
        self.attempts.len() as u32 - 1
    }

    fn release(&mut self, attempt: u32) {
        self.attempts[attempt as usize].state = State::Free;
        self.free.push(attempt);
    }

    /// All attempts at an instance, in the order of their requests' arrival. It looks through everything that is
    /// open, which only a kill with work left or a removal without draining asks for.
    fn at(&self, instance: InstanceId) -> Vec<u32> {
        let is_there = |attempt: &Attempt| attempt.state != State::Free && attempt.instance == instance;
        let all = self.attempts.iter().zip(0..).filter(|(attempt, _)| is_there(attempt));
        let mut places: Vec<(u64, u8, u32)> =
            all.map(|(attempt, place)| (attempt.request.number, attempt.request.attempts, place)).collect();
        places.sort_unstable();
        places.into_iter().map(|(_, _, place)| place).collect()
    }

    /// The next request of the traffic, and the draw of the one after it.
    fn arrive(&mut self, interval_length: u64) -> Request {
        let arrived = self.next_arrival;
        self.next_arrival = self.arrivals.advance().nanos();
        while arrived >= self.interval_ends {
            self.interval = self.interval.wrapping_add(1);
            self.interval_ends += interval_length;
        }
        let number = self.arrived;
        self.arrived += 1;
        Request {
            number,
            arrived,
            work: self.work_delay.sample_nanos(&mut self.work),
            luck: self.luck.bits(),
            interval: self.interval,
            attempts: 0,
        }
    }
}

impl Engine<'_> {
    /// Runs requests up to the next control event: departures and time-outs of its moment included, new work of it
    /// excluded.
    pub(super) fn run_requests(&mut self) {
        let interval_length = nanos(self.scenario.study.interval);
        loop {
            // A departure can schedule a control event, so the bound is looked up anew.
            let bound = self.control.next_time().nanos();
            let departure = self.requests.next_departure();
            let due = self.requests.next_due();
            let retry = self.requests.next_retry();
            let arrival = self.requests.next_arrival;
            let work_ends = departure.min(due);
            let new_work = retry.min(arrival);
            if work_ends <= new_work {
                if work_ends > bound {
                    return;
                }
                self.now = SimTime::from_nanos(work_ends);
                self.history.events += 1;
                if departure <= due { self.depart() } else { self.time_out() }
            } else {
                if new_work >= bound {
                    return;
                }
                self.now = SimTime::from_nanos(new_work);
                self.history.events += 1;
                if retry <= arrival {
                    let Some(Reverse((_, request))) = self.requests.retries.pop() else { unreachable!("it was seen") };
                    self.send(request);
                } else {
                    let request = self.requests.arrive(interval_length);
                    self.count_arrival(&request);
                    self.send(request);
                }
            }
        }
    }

    /// One attempt: to whom, and what becomes of it there.
    fn send(&mut self, mut request: Request) {
        request.attempts += 1;
        self.history.attempts.sent += 1;
        let Some(id) = self.balancer.choose(luck(request.luck, LuckOf::Choice, request.attempts)) else {
            self.attempt_failed(request, Cause::NoEndpoint, None);
            return;
        };
        debug_assert!(self.balancer.believes_in(id), "{id:?} is not believed in");
        if !self.desks[id.index()].phase.accepts() {
            self.attempt_failed(request, Cause::StaleEndpoint, Some(id));
            return;
        }
        let service = &self.scenario.service;
        let now = self.now.nanos();
        let admission = self.desks[id.index()].server.admission(service.workers.get(), service.queue);
        if admission == Admission::Refuse {
            self.attempt_failed(request, Cause::QueueFull, Some(id));
            return;
        }
        let due = self.requests.timeout.map_or(u64::MAX, |timeout| now.saturating_add(timeout));
        let attempt = self.requests.keep(Attempt {
            request,
            due,
            departs: 0,
            instance: id,
            state: State::Waiting,
            is_timed: false,
        });
        self.balancer.opened(id);
        match admission {
            Admission::Serve => self.serve(attempt),
            Admission::Wait => self.desks[id.index()].server.wait(attempt),
            Admission::Refuse => unreachable!("returned above"),
        }
        // A time-out can only strike who waits, or whose service ends after it: nobody else is watched. Whoever is
        // watched is listed at the moment of sending, so the list is in the order of time.
        let attempt_now = &mut self.requests.attempts[attempt as usize];
        let may_be_late = admission == Admission::Wait || attempt_now.departs > due;
        if self.requests.timeout.is_some() && may_be_late {
            attempt_now.is_timed = true;
            self.requests.due.push(attempt);
        }
    }

    /// A worker begins with an attempt.
    fn serve(&mut self, place: u32) {
        let now = self.now.nanos();
        let attempt = &mut self.requests.attempts[place as usize];
        let desk = &mut self.desks[attempt.instance.index()];
        let service = desk.speed.service_nanos(attempt.request.work, now, self.scenario.release.warm_up.as_ref());
        attempt.departs = now.saturating_add(service);
        desk.server.begin();
        attempt.state = match attempt.state {
            State::Waiting => State::InService,
            State::WaitingForNobody => State::ServedForNobody,
            other => unreachable!("an attempt in state {other:?} cannot be served"),
        };
        self.requests.departures.push(Reverse(Departure::new(attempt.departs, attempt.instance, place)));
    }

    /// A service ends.
    fn depart(&mut self) {
        let Reverse(departure) = self.requests.departures.pop().expect("it was seen");
        let (at, id, place) = (departure.at(), departure.instance(), departure.attempt());
        let attempt = self.requests.attempts[place as usize];
        let is_current = matches!(attempt.state, State::InService | State::ServedForNobody)
            && attempt.departs == at
            && attempt.instance == id;
        if !is_current {
            return; // Its instance was killed, and the place may be another attempt's by now.
        }
        let server = &mut self.desks[id.index()].server;
        server.end();
        let next = server.take_next();
        self.requests.release(place);
        if attempt.state == State::InService {
            self.left_by_client(place, id);
            let request = attempt.request;
            if self.is_defect_hit(id, luck(request.luck, LuckOf::Error, request.attempts)) {
                self.note_trouble();
                self.attempt_failed(request, Cause::Defect, Some(id));
            } else {
                self.served(&request, id);
            }
        }
        if let Some(next) = next {
            self.serve(next);
        } else if self.desks[id.index()].phase == Phase::Stopping && self.desks[id.index()].server.is_idle() {
            self.finished_last_request(id);
        }
    }

    /// A client gives up; the instance does not notice.
    fn time_out(&mut self) {
        let place = self.requests.due.first().expect("it was seen");
        let attempt = &mut self.requests.attempts[place as usize];
        let (cause, state) = match attempt.state {
            State::Waiting => (Cause::TimedOutWaiting, State::WaitingForNobody),
            State::InService => (Cause::TimedOutInService, State::ServedForNobody),
            other => unreachable!("an attempt in state {other:?} has no client"),
        };
        attempt.state = state;
        let (request, id) = (attempt.request, attempt.instance);
        self.left_by_client(place, id);
        self.attempt_failed(request, cause, Some(id));
    }

    /// An attempt is over for its client and for the balancer.
    fn left_by_client(&mut self, place: u32, id: InstanceId) {
        if std::mem::take(&mut self.requests.attempts[place as usize].is_timed) {
            self.requests.due.remove(place);
        }
        self.balancer.closed(id);
    }

    /// Everything at an instance is lost: its process is gone.
    pub(super) fn lose_all_at(&mut self, id: InstanceId, cause: Cause) {
        if self.desks[id.index()].server.is_idle() {
            return;
        }
        self.desks[id.index()].server.clear();
        for place in self.requests.at(id) {
            let attempt = self.requests.attempts[place as usize];
            self.requests.release(place);
            if attempt.state.has_client() {
                self.left_by_client(place, id);
                self.attempt_failed(attempt.request, cause, Some(id));
            }
        }
    }

    /// The balancer closes what is open at an instance; the instance works on for nobody.
    pub(super) fn cut_open_requests(&mut self, id: InstanceId) {
        if self.balancer.open(id) == 0 {
            return;
        }
        for place in self.requests.at(id) {
            let attempt = &mut self.requests.attempts[place as usize];
            attempt.state = match attempt.state {
                State::Waiting => State::WaitingForNobody,
                State::InService => State::ServedForNobody,
                State::WaitingForNobody | State::ServedForNobody => continue,
                State::Free => unreachable!("a free place is at no instance"),
            };
            let request = attempt.request;
            self.left_by_client(place, id);
            self.attempt_failed(request, Cause::CutOff, Some(id));
        }
    }

    // --- the ledger
    // --------------------------------------------------------------------------------------------------

    fn count_arrival(&mut self, request: &Request) {
        self.history.ledger.arrivals += 1;
        if request.arrived >= self.requests.window_from {
            self.history.window.ledger.arrivals += 1;
        } else if request.arrived >= self.requests.baseline_from {
            self.history.baseline.ledger.arrivals += 1;
        }
        if request.interval != WARM_UP {
            self.history.intervals[request.interval as usize].ledger.arrivals += 1;
        }
    }

    fn served(&mut self, request: &Request, id: InstanceId) {
        self.history.attempts.succeeded += 1;
        self.history.ledger.served += 1;
        self.watched.0 += 1;
        let latency = self.now.nanos() - request.arrived;
        let micros = (latency + 500) / 1000;
        let version = self.desks[id.index()].version;
        let window = if request.arrived >= self.requests.window_from {
            Some(&mut self.history.window)
        } else if request.arrived >= self.requests.baseline_from {
            Some(&mut self.history.baseline)
        } else {
            None
        };
        if let Some(window) = window {
            window.ledger.served += 1;
            window.latency_sum += u128::from(latency);
            window.served_by[version.index()] += 1;
            window.latency.record(micros).expect("the histogram grows");
        }
        if request.interval != WARM_UP {
            let interval = &mut self.history.intervals[request.interval as usize];
            interval.ledger.served += 1;
            interval.latency.record(micros).expect("the histogram grows");
        }
    }

    /// An attempt failed: it is repeated after a pause, or the request is lost.
    fn attempt_failed(&mut self, request: Request, cause: Cause, id: Option<InstanceId>) {
        self.history.attempts.failed[cause.index()] += 1;
        let retries = &self.scenario.client.retries;
        if u32::from(request.attempts) < retries.attempts.get() {
            let jitter = luck(request.luck, LuckOf::Jitter, request.attempts);
            let at = self.now.nanos().saturating_add(pause_nanos(retries, request.attempts, jitter));
            self.requests.retries.push(Reverse((at, request)));
            return;
        }
        self.history.ledger.lost[cause.index()] += 1;
        self.watched.0 += 1;
        self.watched.1 += 1;
        if request.arrived >= self.requests.window_from {
            self.history.window.ledger.lost[cause.index()] += 1;
            let version: Option<Version> = id.map(|id| self.fleet[id].version);
            let key = LossKey { cause, version, step: self.rollout.step };
            *self.history.losses.entry(key).or_default() += 1;
        } else if request.arrived >= self.requests.baseline_from {
            self.history.baseline.ledger.lost[cause.index()] += 1;
        }
        if request.interval != WARM_UP {
            self.history.intervals[request.interval as usize].ledger.lost[cause.index()] += 1;
        }
    }

    /// What has not ended is open.
    pub(super) fn close_the_ledger(&mut self) {
        let open_now = self.requests.attempts.iter().filter(|attempt| attempt.state.has_client()).count();
        self.history.attempts.open = open_now as u64;
        let close = |ledger: &mut crate::history::Ledger| {
            ledger.open = ledger.arrivals - ledger.served - ledger.lost_in_all();
        };
        close(&mut self.history.ledger);
        close(&mut self.history.baseline.ledger);
        close(&mut self.history.window.ledger);
        for interval in &mut self.history.intervals {
            close(&mut interval.ledger);
        }
        let open_requests = open_now + self.requests.retries.len();
        debug_assert_eq!(self.history.ledger.open, open_requests as u64, "every request has one fate");
        debug_assert!(self.history.attempts.balances(), "every attempt has one end");
    }
}
