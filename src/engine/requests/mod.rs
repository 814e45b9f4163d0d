//! The request plane: arrival → balancer → instance queue → fate.

mod ahead;
mod calendar;
mod dispatch;
mod fates;
mod lazy;
mod lines;
mod look;
mod order;
mod plain;
mod records;
mod rows;
mod serve;
mod source;
mod table;

use super::Engine;
use crate::client::{DueList, Restraint};
use crate::fleet::InstanceId;
use crate::history::Load;
use crate::random::Streams;
use crate::scenario::Scenario;
use crate::time::{SimTime, nanos};
use lazy::Lazy;
use plain::Drawn;
use records::{Part, Records};
use source::Source;
use std::cmp::Reverse;
use std::collections::{BTreeMap, BinaryHeap, VecDeque};
pub(super) use table::Knock;
use table::{Attempts, Request};

/// The end of a service: moment, instance and what ends in one number, which compares in their order at once. What ends
/// is an attempt; where workers are shared it is whoever is first, and the number is that of the change since which this has
/// been foretold.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Departure(u128);

impl Departure {
    /// No attempt: a lazy service ends where somebody waits.
    const CALL: u32 = u32::MAX;

    fn new(at: u64, instance: InstanceId, what: u32) -> Self {
        Departure(u128::from(at) << 64 | u128::from(instance.0) << 32 | u128::from(what))
    }

    fn at(self) -> u64 {
        (self.0 >> 64) as u64
    }

    fn instance(self) -> InstanceId {
        InstanceId((self.0 >> 32) as u32)
    }

    fn what(self) -> u32 {
        self.0 as u32
    }
}

/// What ends while an attempt waits for something else. The order of the variants is the order within one moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Ending {
    /// The wait for an instance that does not even refuse.
    Silence,
    /// Its client's patience.
    Patience,
}

/// An attempt: the number of its request, which orders those of one moment; its place; and its generation, without which
/// news of an earlier one could reach it.
type Which = (u64, u32, u32);

/// Everything on its way.
#[derive(Debug)]
pub(super) struct Requests<'a> {
    source: Source<'a>,
    /// Whom the next of them may go to.
    drawn: Drawn,
    attempts: Attempts,
    /// Attempts whose ends are no events.
    lazy: Lazy,
    /// An entry whose attempt is not in service there, or not until then, is out of date: its instance was killed, say.
    departures: BinaryHeap<Reverse<Departure>>,
    due: DueList,
    endings: BinaryHeap<Reverse<(u64, Ending, Which)>>,
    /// Further tries at an instance that did not take an attempt.
    tries: BinaryHeap<Reverse<(u64, Which)>>,
    /// (moment, request).
    retries: BinaryHeap<Reverse<(u64, Request)>>,
    restraint: Restraint,
    records: Records,
    /// Attempts that wait in each balancer, those that left included, and how many of them wait.
    queues: Vec<(VecDeque<u32>, u32)>,
    /// Which endpoints an attempt that waits for a connection has tried, by its place.
    tried: BTreeMap<u32, Vec<crate::balancer::Endpoint>>,
    timeout: Option<u64>,
    /// The longest service that a client waits for, nanoseconds.
    patience: u64,
    /// Attempts that wait in queues, and workers that serve.
    waiting: u64,
    busy: u64,
    /// Time that workers served, their begun services counting from the start of the run and below 0, and time that
    /// attempts were served, nanoseconds; kept where assertions are.
    busy_time: i128,
    served_time: i128,
    /// When the load is written down next, nanoseconds, and for which interval.
    next_sample: u64,
    sampled: usize,
    baseline_from: u64,
    window_from: u64,
    targets: Vec<u64>,
}

impl<'a> Requests<'a> {
    pub(super) fn new(scenario: &'a Scenario, streams: &Streams, pools: u32) -> Self {
        let study = &scenario.study;
        let classes = &scenario.traffic.classes;
        Requests {
            source: Source::new(scenario, streams),
            drawn: Drawn::new(),
            attempts: Attempts::default(),
            lazy: Lazy::new(scenario, pools),
            departures: BinaryHeap::new(),
            due: DueList::new(),
            endings: BinaryHeap::new(),
            tries: BinaryHeap::new(),
            retries: BinaryHeap::new(),
            records: Records::new(scenario),
            restraint: Restraint::new(scenario.client.retries.budget),
            queues: vec![Default::default(); pools as usize],
            tried: BTreeMap::new(),
            timeout: scenario.client.timeout.map(nanos),
            patience: scenario.client.timeout.map_or(u64::MAX, nanos),
            waiting: 0,
            busy: 0,
            busy_time: 0,
            served_time: 0,
            next_sample: nanos(study.series_from()),
            sampled: 0,
            baseline_from: nanos(study.warm_up),
            window_from: nanos(study.rollout_at()),
            targets: classes.iter().map(|class| class.target.map_or(u64::MAX, nanos)).collect(),
        }
    }

    /// From now on nothing arrives.
    pub(super) fn close(&mut self) {
        self.source.close();
    }

    /// From now on every end of a service is an event.
    pub(super) fn foresee_everything(&mut self) {
        self.lazy.switch_off();
    }

    /// An instance changes its phase or its speed.
    pub(super) fn forget_plainness(&mut self, id: InstanceId) {
        self.lazy.forget(id);
    }

    /// Which window a request belongs to that arrived at that moment.
    #[inline]
    fn part_of(&self, arrived: u64) -> Option<Part> {
        if arrived >= self.window_from {
            Some(Part::Observed)
        } else {
            (arrived >= self.baseline_from).then_some(Part::Baseline)
        }
    }

    fn next_departure(&self) -> u64 {
        self.departures.peek().map_or(u64::MAX, |Reverse(departure)| departure.at())
    }

    fn next_due(&self) -> u64 {
        self.due.first().map_or(u64::MAX, |place| self.attempts[place].due(self.timeout))
    }

    fn next_ending(&self) -> u64 {
        self.endings.peek().map_or(u64::MAX, |Reverse((at, ..))| *at)
    }

    fn next_try(&self) -> u64 {
        self.tries.peek().map_or(u64::MAX, |Reverse((at, _))| *at)
    }

    fn next_retry(&self) -> u64 {
        self.retries.peek().map_or(u64::MAX, |Reverse((at, _))| *at)
    }

    /// Workers begin or end.
    fn count_busy(&mut self, change: i64, now: u64) {
        if cfg!(debug_assertions) {
            self.busy_time -= i128::from(change) * i128::from(now);
        }
        self.busy = self.busy.wrapping_add_signed(change);
    }

    /// A service ends here, well or badly.
    fn note_work(&mut self, begun: u64, now: u64) {
        if cfg!(debug_assertions) {
            self.served_time += i128::from(now - begun);
        }
    }

    /// A user who was answered, if it was one, will ask again.
    fn ask_again(&mut self, request: &Request, now: u64) {
        self.source.ask_again(request, now);
    }
}

impl Engine<'_> {
    /// Runs requests up to the next control event: what ends at its moment included, new work of it excluded.
    pub(super) fn run_requests(&mut self) {
        loop {
            // A departure can schedule a control event, so the bound is looked up anew.
            let bound = self.control.next_time().nanos();
            let departure = self.requests.next_departure();
            let due = self.requests.next_due();
            let ending = self.requests.next_ending();
            let again = self.requests.next_try();
            let retry = self.requests.next_retry();
            let arrival = self.requests.source.next_arrival();
            let work_ends = departure.min(due).min(ending);
            let at = work_ends.min(again).min(retry).min(arrival);
            if at > bound || (at == bound && work_ends > at) {
                return;
            }
            if at >= self.requests.next_sample {
                self.sample_load(at);
            }
            let others = bound.min(work_ends).min(again).min(retry).min(self.requests.next_sample);
            if arrival < others {
                self.take_arrivals(others);
                continue;
            }
            self.now = SimTime::from_nanos(at);
            self.history.events += 1;
            self.history.effort.request_events += 1;
            if self.requests.lazy.is_ordered() {
                let first = self.requests.departures.peek().filter(|_| departure == at);
                self.hear_of_ends(at, first.map(|Reverse(departure)| departure.instance()));
            }
            if departure == at {
                self.depart();
            } else if due == at {
                self.time_out();
            } else if ending == at {
                self.come_to_an_end();
            } else if again == at {
                self.try_again();
            } else if retry == at {
                let Some(Reverse((_, request))) = self.requests.retries.pop() else { unreachable!("it was seen") };
                self.send(request);
            } else {
                unreachable!("arrivals come last within a moment");
            }
        }
    }

    /// The arrival that is due, and those after it as long as nothing else comes first: until `others`, or until one of
    /// them has let something happen.
    fn take_arrivals(&mut self, others: u64) {
        loop {
            self.send_plain_arrivals(others);
            let next = self.requests.source.next_arrival();
            if next >= others {
                return;
            }
            self.now = SimTime::from_nanos(next);
            self.history.events += 1;
            self.history.effort.sent_singly += 1;
            if self.requests.lazy.is_ordered() {
                self.hear_of_ends(next, None);
            }
            let mut request = self.requests.source.arrive();
            self.count_arrival(&request);
            if !self.send_lazily(&mut request) {
                self.send(request);
                return;
            }
        }
    }

    /// Writes down the load at the beginning of every interval that begins at `at` or before.
    pub(super) fn sample_load(&mut self, at: u64) {
        let length = nanos(self.scenario.study.interval);
        while self.requests.next_sample <= at {
            let unfinished = self.unfinished_in_all(self.requests.next_sample.saturating_sub(1));
            let Some(interval) = self.history.intervals.get_mut(self.requests.sampled) else {
                self.requests.next_sample = u64::MAX;
                return;
            };
            let in_lines = self.requests.lazy.lines.waiting_at(self.requests.next_sample.saturating_sub(1));
            let (waiting, busy) = (self.requests.waiting + in_lines, self.requests.busy + unfinished - in_lines);
            let ledger = &self.history.ledger;
            let open = ledger.arrivals - ledger.served - ledger.lost_in_all() + unfinished;
            interval.load = Load { open, waiting, busy };
            self.requests.sampled += 1;
            self.requests.next_sample = self.requests.next_sample.saturating_add(length);
        }
    }
}
