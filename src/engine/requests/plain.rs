//! Nearly all requests of nearly all runs: arrivals in a row that are lazy, from a balancer that chooses between two, or knows who
//! has the fewest open. What they have in common is looked up once for all of them, and what is counted of them is added once.
//!
//! Between whom a request chooses is drawn for up to 64 of them, and holds until the members or weights of a balancer change. The
//! plainest way, to a free worker of an instance where work takes just its time, is a loop over what fits into
//! registers. Whoever waits, or goes to an instance that is slow, is sent by [`Service::send_otherwise`]; then
//! the loop goes on.
//!
//! Each comes to what [`Engine::send`] makes of it. The first one that is not even as plain as that ends the row before
//! anything of it has happened.

use super::Engine;
use super::lazy::Lazy;
use super::look::BLOCK;
use super::records::{Answered, Part};
use super::rows::{First, MOST, Rest, Rows, Servers};
use super::source::{BATCH, Batch};
use super::table::WARM_UP;
use crate::balancer::{Balancer, Endpoint};
use crate::bits;
use crate::engine::pools::Pools;
use crate::fleet::{InstanceId, Version};
use crate::tally::Tally;
use crate::time::SimTime;
#[cfg(target_arch = "x86_64")]
use crate::wide::AtOnce;
use crate::wide::{Compare, OneByOne};
use std::hint::select_unpredictable;

/// What such arrivals have in common.
pub(super) struct Row<'a> {
    pub(super) balancers: &'a mut [Balancer],
    pub(super) pools: &'a Pools,
    pub(super) service: Service<'a>,
}

/// How they are served, and counted.
pub(super) struct Service<'a> {
    pub(super) lazy: &'a mut Lazy,
    pub(super) servers: Servers<'a>,
    latencies: &'a mut Tally,
    /// How many wait in all queues, if that is counted.
    waiting: Option<u64>,
    /// What those sent came to: the sum of their latencies, nanoseconds, how many of them wait, and how many each version serves.
    latency_sum: u128,
    in_line: u64,
    by_version: [u64; Version::COUNT],
}

/// The pool that each request of a batch meets, and between whom it chooses. It holds until something changes that such a
/// choice rests on.
#[derive(Debug)]
pub(super) struct Drawn {
    /// The number of the first of these requests, and how many they are.
    first: u64,
    count: usize,
    /// How often that had changed.
    changes: u64,
    pools: [u16; BATCH],
    pairs: [Pair; BATCH],
}

/// Two endpoints of which a request takes one.
type Pair = (Endpoint, Endpoint);

impl Drawn {
    /// Nothing yet.
    pub(super) fn new() -> Self {
        Drawn { first: 0, count: 0, changes: 0, pools: [0; BATCH], pairs: [(Endpoint(0), Endpoint(0)); BATCH] }
    }

    /// Whether something was drawn for a request that still holds.
    #[inline]
    fn holds(&self, number: u64, changes: u64) -> bool {
        changes == self.changes && (self.first..self.first + self.count as u64).contains(&number)
    }

    /// What was drawn for the first requests of a batch.
    #[inline(always)]
    fn of(&self, batch: &Batch<'_>) -> (&[u16], &[Pair]) {
        let from = (batch.number - self.first) as usize;
        let until = self.count.min(from + batch.at.len());
        (&self.pools[from..until], &self.pairs[from..until])
    }
}

/// Where the requests of a batch are served, how long, nanoseconds, and by which version.
pub(super) struct Served {
    pub(super) count: usize,
    places: [usize; BATCH],
    lasting: [u64; BATCH],
    versions: [Version; BATCH],
}

/// Where a request is served, how long, and by which version.
pub(super) type Begun = (usize, u64, Version);

impl Served {
    /// The request at this place of its batch is served, as those before it are.
    #[inline(always)]
    pub(super) fn note(&mut self, number: usize, (place, lasts, version): Begun) {
        (self.places[number], self.lasting[number], self.versions[number]) = (place, lasts, version);
        self.count = number + 1;
    }

    pub(super) const NOTHING: Served =
        Served { count: 0, places: [0; BATCH], lasting: [0; BATCH], versions: [Version::OLD; BATCH] };
}

impl Row<'_> {
    /// Draws for the requests of a batch, until a choice is not plain.
    fn draw(&self, batch: &Batch<'_>, changes: u64, drawn: &mut Drawn) {
        #[cfg(target_arch = "x86_64")]
        if let Some(by) = AtOnce::if_here() {
            // SAFETY: the processor has what the function is compiled for. What it buys is told at [`Width`](crate::wide::Width); its
            // checked twin is the run event by event, with which random scenarios agree to the bit.
            #[expect(unsafe_code, reason = "see above")]
            return unsafe { self.draw_at_once(batch, changes, drawn, by) };
        }
        self.draw_by(batch, changes, drawn, OneByOne);
    }

    /// The same to the bit.
    #[cfg(target_arch = "x86_64")]
    #[target_feature(enable = "avx512f,avx512vl,avx512dq,avx512bw,bmi1,lzcnt,popcnt")]
    fn draw_at_once(&self, batch: &Batch<'_>, changes: u64, drawn: &mut Drawn, by: AtOnce) {
        self.draw_by(batch, changes, drawn, by);
    }

    #[inline(always)] // So that it is compiled for either.
    fn draw_by(&self, batch: &Batch<'_>, changes: u64, drawn: &mut Drawn, by: impl Compare) {
        (drawn.first, drawn.count, drawn.changes) = (batch.number, batch.at.len(), changes);
        if let [only] = &*self.balancers
            && let Some(peers) = only.peers()
        {
            for (pair, choice) in drawn.pairs.iter_mut().zip(batch.choices).take(drawn.count) {
                *pair = peers.pair(*choice);
            }
            return;
        }
        self.pools.draw_all(batch.lucks, &mut drawn.pools);
        let by_place = drawn.pools.map(|pool| pool as u8); // Where requests are sent in a row there are no more pools.
        for (pool, balancer) in self.balancers.iter().enumerate() {
            let mut own = 0;
            for (block, pools) in by_place.as_chunks::<BLOCK>().0.iter().enumerate() {
                own |= by.equal(*pools, pool as u8) << (block * BLOCK);
            }
            for place in bits::places(own).take_while(|place| *place < drawn.count) {
                let Some(pair) = balancer.pair(batch.choices[place], by) else {
                    drawn.count = place;
                    break;
                };
                drawn.pairs[place] = pair;
            }
        }
    }

    /// Sends requests until one is not plain. How many were sent.
    fn send(&mut self, batch: &Batch<'_>, drawn: &Drawn) -> usize {
        if self.service.lazy.is_ordered() {
            return self.send_in_order(batch);
        }
        #[cfg(target_arch = "x86_64")]
        if let Some(by) = AtOnce::if_here() {
            // SAFETY: as above.
            #[expect(unsafe_code, reason = "see above")]
            return unsafe { self.send_at_once(batch, drawn, by) };
        }
        self.send_drawn(batch, drawn, OneByOne)
    }

    /// The same to the bit.
    #[cfg(target_arch = "x86_64")]
    #[target_feature(enable = "avx512f,avx512vl,avx512dq,avx512bw,bmi1,lzcnt,popcnt")]
    fn send_at_once(&mut self, batch: &Batch<'_>, drawn: &Drawn, by: AtOnce) -> usize {
        self.send_drawn(batch, drawn, by)
    }

    #[inline(always)] // So that it is compiled for either.
    fn send_drawn(&mut self, batch: &Batch<'_>, drawn: &Drawn, by: impl Compare) -> usize {
        let Row { balancers, service, .. } = self;
        let (pools, pairs) = drawn.of(batch);
        let mut served = Served::NOTHING;
        let mut noted = 0;
        let rows = service.lazy.rows(service.servers.again());
        if rows.are_far() {
            for (one, other) in pairs {
                rows.fetch(InstanceId(one.0));
                rows.fetch(InstanceId(other.0));
            }
        }
        loop {
            let rows = service.lazy.rows(service.servers.again());
            if let [only] = &**balancers
                && only.peers().is_some()
            {
                let told = only.open_at_all();
                let is_other = |_, (one, here): Sight, (other, there): Sight| {
                    told[other.index()] + there < told[one.index()] + here
                };
                if rows.are_short() {
                    send_to_the_lesser(rows.shortly::<false>(), batch, (pools, pairs), &mut served, by, is_other);
                } else {
                    send_to_the_lesser(rows, batch, (pools, pairs), &mut served, by, is_other);
                }
            } else {
                let is_other = |pool: u16, one, other| balancers[usize::from(pool)].is_lesser(other, one);
                if rows.are_short() && rows.is_split {
                    send_to_the_lesser(rows.shortly::<true>(), batch, (pools, pairs), &mut served, by, is_other);
                } else {
                    send_to_the_lesser(rows, batch, (pools, pairs), &mut served, by, is_other);
                }
            }
            // Whoever leaves a line may take a place that one of these has left by then.
            service.note_rests(batch, &served, noted);
            noted = served.count;
            let place = served.count;
            let Some((pool, pair)) = pools.get(place).zip(pairs.get(place)) else { break };
            let balancer = &balancers[usize::from(*pool)];
            let Some(begun) = service.send_otherwise(balancer, *pool, *pair, batch, place, by) else { break };
            served.note(place, begun);
        }
        debug_assert_eq!(noted, served.count, "all are written down");
        service.note(batch, &served)
    }
}

impl Service<'_> {
    /// Sends a request that may have to wait, or that goes to an instance where it takes longer than its work;
    /// `None`: it is not even as plain as that.
    #[inline(always)]
    fn send_otherwise(
        &mut self,
        balancer: &Balancer,
        pool: u16,
        (one, other): Pair,
        batch: &Batch<'_>,
        place: usize,
        by: impl Compare,
    ) -> Option<Begun> {
        let first = First { now: batch.at[place], work: batch.works[place], luck: batch.lucks[place] };
        let mut rows = self.lazy.rows(self.servers.again());
        let [here, there] = [one, other].map(|endpoint| {
            let id = InstanceId(endpoint.0);
            let seen = rows.survey_by(id, first.now, by);
            ((endpoint, rows.open_through(pool, id, seen, first.now, by)), id, seen)
        });
        let (_, id, seen) = if balancer.is_lesser(there.0, here.0) { there } else { here };
        if let Some((lasts, version)) = rows.service(id, seen, first) {
            return Some((rows.begin(id, seen, pool, first.now, first.now + lasts), lasts, version));
        }
        let begun = rows.wait((id, pool), first, self.waiting)?;
        self.in_line += 1;
        Some(begun)
    }

    /// What those served would become is written down, from this one on.
    #[inline(always)]
    pub(super) fn note_rests(&mut self, batch: &Batch<'_>, served: &Served, from: usize) {
        let count = served.count.min(BATCH);
        let (at, works, lucks) = (&batch.at[..count], &batch.works[..count], &batch.lucks[..count]);
        for place in from..count {
            let number = batch.number + place as u64;
            let rest = Rest { number, arrived: at[place], work: works[place], luck: lucks[place] };
            self.lazy.note_rest(served.places[place], &rest);
        }
    }

    /// What is not needed to send the next one is written down for all of them. How many they are.
    #[inline(always)]
    pub(super) fn note(&mut self, batch: &Batch<'_>, served: &Served) -> usize {
        let Served { count, lasting, versions, .. } = served;
        let (mut latest, mut sum, mut micros) = (0, 0, [0; BATCH]);
        for ((arrived, lasts), micros) in batch.at.iter().zip(lasting).zip(&mut micros[..*count]) {
            latest = latest.max(arrived + lasts);
            sum += u128::from(*lasts);
            *micros = (lasts + 500) / 1000;
        }
        self.latencies.record_all(&micros[..*count]);
        self.latency_sum += sum;
        self.lazy.note_latest(latest);
        // Mostly all are served by one version.
        let versions = &versions[..*count];
        if versions.iter().all(|version| *version == versions[0]) {
            let first = versions.first().map_or(0, |version| version.index());
            self.by_version[first] += *count as u64;
        } else {
            for version in versions {
                self.by_version[version.index()] += 1;
            }
        }
        *count
    }
}

/// An endpoint, and how many requests are open there beside those that balancers were told of.
type Sight = (Endpoint, u32);

/// Sends those of a batch that are not served yet, as many as were drawn, until one does not go the plainest way: each to the second
/// one of its pair if that `is_other`.
#[inline(always)]
fn send_to_the_lesser(
    mut rows: Rows<'_>,
    batch: &Batch<'_>,
    (pools, pairs): (&[u16], &[Pair]),
    served: &mut Served,
    by: impl Compare,
    is_other: impl Fn(u16, Sight, Sight) -> bool,
) {
    let count = pairs.len().min(BATCH);
    // All as long as that, which is known then where it is compiled.
    let (at, works, pools, pairs) = (&batch.at[..count], &batch.works[..count], &pools[..count], &pairs[..count]);
    for place in served.count..count {
        let (now, work, pool, (one, other)) = (at[place], works[place], pools[place], pairs[place]);
        let [here, there] = [one, other].map(|endpoint| InstanceId(endpoint.0));
        if !rows.holds(here) || !rows.holds(there) {
            return;
        }
        let seen = [rows.survey_by(here, now, by), rows.survey_by(there, now, by)];
        let open = [rows.seen_through(pool, here, seen[0], by), rows.seen_through(pool, there, seen[1], by)];
        // Nobody looks at lines here: only an instance without a free worker has one. If it is chosen, the row ends; if it is not,
        // having more open would not change that. Chance decides it, so nothing branches on it.
        let is_other = is_other(pool, (one, open[0]), (other, open[1]));
        let (id, seen) = select_unpredictable(is_other, (there, seen[1]), (here, seen[0]));
        let manner = rows.manner(id);
        let Some(lasts) = rows.plain_service(manner, seen.open, work) else { return };
        served.note(place, (rows.begin(id, seen, pool, now, now + lasts), lasts, manner.version()));
    }
}

impl Engine<'_> {
    /// Sends the arrivals before such a moment, until one of them is not plain.
    pub(super) fn send_plain_arrivals(&mut self, until: u64) {
        let requests = &mut self.requests;
        let is_plain = requests.lazy.has_rows()
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
        let servers = Servers {
            desks: &mut self.desks,
            warm_up: self.scenario.release.warm_up.as_ref(),
            longest: requests.patience.min(requests.targets[0]).min(MOST),
        };
        let service = Service {
            lazy: &mut requests.lazy,
            servers,
            latencies,
            waiting: (part == Some(Part::Observed)).then_some(requests.waiting),
            latency_sum: 0,
            in_line: 0,
            by_version: [0; Version::COUNT],
        };
        let mut row = Row { balancers: &mut self.balancers, pools: &self.pools, service };
        let mut last = None;
        let changes = row.pools.changes() + row.balancers.iter().map(Balancer::changes).sum::<u64>();
        let is_drawn_ahead = !row.service.lazy.is_ordered();
        while requests.source.next_arrival() < until {
            let batch = requests.source.batch(until);
            if is_drawn_ahead && !requests.drawn.holds(batch.number, changes) {
                let foreseen = requests.source.batch(weights_change_at.unwrap_or(u64::MAX));
                row.draw(&foreseen, changes, &mut requests.drawn);
            }
            let sent = row.send(&batch, &requests.drawn);
            last = batch.at[..sent].last().copied().or(last);
            let is_over = sent < batch.at.len();
            requests.source.skip(sent);
            if is_over {
                break;
            }
        }
        let Service { latency_sum, in_line, by_version, .. } = row.service;
        if let Some(last) = last {
            self.now = SimTime::from_nanos(last);
            self.count_row(interval.number, part, latency_sum, in_line, &by_version);
        }
    }

    /// Counts plain requests of one interval and part.
    fn count_row(
        &mut self,
        interval: u32,
        part: Option<Part>,
        latency_sum: u128,
        in_line: u64,
        by_version: &[u64; Version::COUNT],
    ) {
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
                window.waits.begun += count - in_line; // The others have yet to begin.
            }
        }
        if interval != WARM_UP {
            self.history.intervals[interval as usize].ledger.arrivals += count;
        }
        for (version, count) in Version::all().zip(by_version) {
            self.count_answered(version, &Answered::of(part, *count));
        }
        if self.requests.lazy.lines.has_counts() {
            self.count_waits();
        }
    }
}
