//! Nearly all requests of nearly all runs: arrivals in a row that go the plainest way there is, from a balancer that
//! chooses between two, or knows who has the fewest open, to a free worker of a plain instance. What they have in common is
//! looked up once for all of them, and what is counted of them is added once.
//!
//! Each comes to what [`Engine::send`] makes of it. The first one that is not as plain as that ends the row before
//! anything of it has happened.

use super::Engine;
#[cfg(target_arch = "x86_64")]
use super::lazy::AtOnce;
use super::lazy::{Lazy, Look, OneByOne, Rest, Survey};
use super::records::{Answered, Part};
use super::source::Batch;
use super::table::WARM_UP;
use crate::balancer::{Balancer, Endpoint};
use crate::client::{LuckOf, luck};
use crate::engine::pools::Pools;
use crate::fleet::{InstanceId, Version};
use crate::tally::Tally;
use crate::time::SimTime;
use std::hint::select_unpredictable;

/// Requests whose instances are looked at before the first of them is sent, so that their memory is on its way.
const AHEAD: usize = 16;

/// What such arrivals have in common.
struct Row<'a> {
    balancers: &'a mut [Balancer],
    pools: &'a Pools,
    service: Service<'a>,
}

/// How they are served, and counted.
struct Service<'a> {
    lazy: &'a mut Lazy,
    /// The longest service that is plain, nanoseconds.
    longest: u64,
    latencies: &'a mut Tally,
    /// What those sent came to: the sum of their latencies, nanoseconds, and how many each version serves.
    latency_sum: u128,
    by_version: [u64; Version::COUNT],
}

/// The pool that a request meets, and between whom it chooses.
type Drawn = (u16, Endpoint, Endpoint);

/// Where the requests of a batch are served.
type Places = [usize; AHEAD];

impl Row<'_> {
    /// Sends requests until one is not plain. How many were sent.
    fn send(&mut self, batch: &Batch<'_>) -> usize {
        let mut places = [0; AHEAD];
        let sent = if self.service.lazy.is_ordered() {
            self.send_one_by_one(batch, &mut places)
        } else {
            self.send_ahead(batch, &mut places)
        };
        let requests = batch.at.iter().zip(batch.lucks).zip(batch.works).zip(&places[..sent]);
        for (number, (((arrived, luck), work), place)) in (batch.number..).zip(requests) {
            self.service.lazy.note_rest(*place, &Rest { number, arrived: *arrived, work: *work, luck: *luck });
        }
        sent
    }

    /// All are looked at before the first is sent. How many were sent, and where each is served.
    fn send_ahead(&mut self, batch: &Batch<'_>, places: &mut Places) -> usize {
        #[cfg(target_arch = "x86_64")]
        if let Some(by) = AtOnce::if_here() {
            // SAFETY: the processor has what the function is compiled for. What it buys is told at [`super::width::Width`]; its
            // checked twin is the run event by event, with which random scenarios agree to the bit.
            #[expect(unsafe_code, reason = "see above")]
            return unsafe { self.send_at_once(batch, places, by) };
        }
        self.send_ahead_by(batch, places, OneByOne)
    }

    /// The same to the bit.
    #[cfg(target_arch = "x86_64")]
    #[target_feature(enable = "avx512f,avx512vl,avx512dq,bmi1,lzcnt,popcnt")]
    fn send_at_once(&mut self, batch: &Batch<'_>, places: &mut Places, by: AtOnce) -> usize {
        self.send_ahead_by(batch, places, by)
    }

    #[inline(always)] // So that it is compiled for either.
    fn send_ahead_by(&mut self, batch: &Batch<'_>, places: &mut Places, by: impl Look) -> usize {
        let Row { balancers, pools, service } = self;
        if let [only] = &**balancers
            && let Some(peers) = only.idle_peers()
        {
            let draw = |request| {
                let (one, other) = peers.pair(luck(request, LuckOf::Choice, 1));
                Some((0, one, other))
            };
            return service.send_drawn(batch, places, by, draw, |_, [here, there]| there < here);
        }
        let draw = |request| {
            let pool = pools.drawn(request, 1);
            let (one, other) = balancers[usize::from(pool)].pair(luck(request, LuckOf::Choice, 1))?;
            Some((pool, one, other))
        };
        let is_other = |(pool, one, other): Drawn, [here, there]: [u32; 2]| {
            balancers[usize::from(pool)].is_lesser((other, there), (one, here))
        };
        service.send_drawn(batch, places, by, draw, is_other)
    }

    /// Nobody knows where one goes before those before it were sent. How many were sent, and where each is served.
    fn send_one_by_one(&mut self, batch: &Batch<'_>, places: &mut Places) -> usize {
        let mut sent = 0;
        for (((now, work), luck), place) in batch.at.iter().zip(batch.works).zip(batch.lucks).zip(places) {
            let Some(begun_at) = self.send_to_the_least(*now, *work, *luck) else { break };
            *place = begun_at;
            sent += 1;
        }
        sent
    }

    /// Sends a request to whom a balancer tells to have the fewest open ones. The place that it is served at; `None`: it is not
    /// plain.
    #[inline]
    fn send_to_the_least(&mut self, now: u64, work: u64, request: u64) -> Option<usize> {
        self.service.lazy.close_by(self.balancers, now);
        let pool = self.pools.drawn(request, 1);
        let balancer = &mut self.balancers[usize::from(pool)];
        let least = balancer.least(luck(request, LuckOf::Choice, 1))?;
        let id = InstanceId(least.0);
        let seen = self.service.lazy.survey_told(id, now);
        let place = self.service.serve(now, work, pool, id, seen)?;
        self.service.lazy.note_end(id, place, now + work.max(1));
        balancer.opened(least);
        Some(place)
    }
}

impl Service<'_> {
    /// Sends requests for which `draw` finds two instances each: to the second one if that `is_other`, by how many requests are
    /// open at either.
    #[inline(always)]
    fn send_drawn(
        &mut self,
        batch: &Batch<'_>,
        places: &mut Places,
        by: impl Look,
        draw: impl Fn(u64) -> Option<Drawn>,
        is_other: impl Fn(Drawn, [u32; 2]) -> bool,
    ) -> usize {
        let mut drawn = [(0, Endpoint(0), Endpoint(0)); AHEAD];
        let mut count = 0;
        for (drawn, luck) in drawn.iter_mut().zip(batch.lucks) {
            let Some(pair) = draw(*luck) else { break };
            *drawn = pair;
            self.lazy.fetch(InstanceId(pair.1.0));
            self.lazy.fetch(InstanceId(pair.2.0));
            count += 1;
        }
        let mut sent = 0;
        for ((now, work), (drawn, place)) in batch.at.iter().zip(batch.works).zip(drawn[..count].iter().zip(places)) {
            let (pool, one, other) = *drawn;
            let here = (InstanceId(one.0), self.lazy.survey_by(InstanceId(one.0), *now, by));
            let there = (InstanceId(other.0), self.lazy.survey_by(InstanceId(other.0), *now, by));
            let open = [here, there].map(|(id, seen)| self.lazy.seen_through(pool, id, seen));
            // Chance decides it, so nothing branches on it.
            let (id, seen) = select_unpredictable(is_other(*drawn, open), there, here);
            let Some(begun_at) = self.serve(*now, *work, pool, id, seen) else { break };
            *place = begun_at;
            sent += 1;
        }
        sent
    }

    /// A request is served at an instance. The place; `None`: it is not plain.
    #[inline(always)]
    fn serve(&mut self, now: u64, work: u64, pool: u16, id: InstanceId, seen: Survey) -> Option<usize> {
        let service = work.max(1);
        if service > self.longest {
            return None;
        }
        let (place, version) = self.lazy.begin_plainly(id, seen, pool, now + service)?;
        self.by_version[version.index()] += 1;
        self.latency_sum += u128::from(service);
        self.latencies.record((service + 500) / 1000);
        Some(place)
    }
}

impl Engine<'_> {
    /// Sends the arrivals before such a moment, until one of them is not plain.
    pub(super) fn send_plain_arrivals(&mut self, until: u64) {
        let requests = &mut self.requests;
        let is_plain = requests.lazy.is_on()
            && self.scenario.service.error_rate == 0.0
            && self.scenario.traffic.classes.len() == 1;
        let first = requests.source.next_arrival();
        if first >= until || !is_plain {
            return;
        }
        let Some(interval) = requests.source.interval() else { return };
        let part = requests.part_of(first);
        let part_ends = [requests.baseline_from, requests.window_from].into_iter().find(|from| *from > first);
        let weights_change_at = self.balancers.iter().map(Balancer::weights_change_at).min();
        let ends = [part_ends, weights_change_at].map(|end| end.unwrap_or(u64::MAX));
        let until = ends.into_iter().fold(until.min(interval.ends), u64::min);
        if first >= until {
            return; // A balancer must follow the time first, as its next request comes.
        }
        let latencies = requests.records.row(part, interval.number);
        let longest = requests.patience.min(requests.targets[0]);
        let service =
            Service { lazy: &mut requests.lazy, longest, latencies, latency_sum: 0, by_version: [0; Version::COUNT] };
        let mut row = Row { balancers: &mut self.balancers, pools: &self.pools, service };
        let mut last = None;
        while requests.source.next_arrival() < until {
            let batch = requests.source.batch(until, AHEAD);
            let sent = row.send(&batch);
            last = batch.at[..sent].last().copied().or(last);
            let is_over = sent < batch.at.len();
            requests.source.skip(sent);
            if is_over {
                break;
            }
        }
        let Service { latency_sum, by_version, .. } = row.service;
        if let Some(last) = last {
            self.now = SimTime::from_nanos(last);
            self.count_row(interval.number, part, latency_sum, &by_version);
        }
    }

    /// Counts plain requests of one interval and part.
    fn count_row(&mut self, interval: u32, part: Option<Part>, latency_sum: u128, by_version: &[u64; Version::COUNT]) {
        let count: u64 = by_version.iter().sum();
        self.history.events += 2 * count; // Arrivals and ends.
        self.history.attempts.sent += count;
        self.history.ledger.arrivals += count;
        if let Some(part) = part {
            let window = match part {
                Part::Baseline => &mut self.history.baseline,
                Part::Observed => &mut self.history.window,
            };
            window.all.ledger.arrivals += count;
            window.all.latency_sum += latency_sum;
            if part == Part::Observed {
                window.waits.begun += count;
            }
        }
        if interval != WARM_UP {
            self.history.intervals[interval as usize].ledger.arrivals += count;
        }
        for (version, count) in Version::all().zip(by_version) {
            self.count_answered(version, &Answered::of(part, *count));
        }
    }
}
