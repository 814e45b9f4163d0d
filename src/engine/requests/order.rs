//! Requests of a balancer that is told of each end of a service, in the order of these ends: it must know who has the fewest
//! open requests. Nobody knows where one goes before those before it were sent, so nothing is fetched ahead. Instead all that is
//! looked at is small: per instance what is taken (a byte a block), its place in the balancer's order and its count.
//!
//! Whether an arrival or an end comes next falls to chance, so no processor foretells a branch on it. As long as no service ends on the day
//! on which it began, all ends of a day are known beforehand, so arrivals and ends become steps of one kind: which of the two it is
//! chooses between numbers ([`interleave`]). That takes a sixth off a request at 10,000 instances.

use super::calendar::{Calendar, RestOfDay};
use super::look::{BLOCK, Block, Survey};
use super::plain::{Begun, Row, Served};
use super::rows::{First, Manner};
use super::source::{BATCH, Batch};
use crate::balancer::{Balancer, Endpoint, Fewest};
use crate::client::{LuckOf, luck};
use crate::fleet::InstanceId;
use std::hint::select_unpredictable;

/// The services that go on, and their ends in order.
#[derive(Debug)]
pub(super) struct Order {
    /// The places, by their end.
    ends: Calendar,
    /// At how many of these nothing ends any more, for it became an attempt.
    void: u32,
    /// By block: the places where something goes on of which a balancer was told, a bit each.
    taken: Vec<u8>,
    /// The last end of which a balancer was told.
    told: (u64, u32),
    /// Of an instance.
    workers: u32,
}

impl Order {
    /// None yet; ends are so many nanoseconds apart, and each of so many instances has so many workers.
    pub(super) fn new(apart: f64, instances: u32, workers: u32) -> Self {
        let ends = Calendar::new(apart, f64::from(instances) * f64::from(workers));
        Order { ends, void: 0, taken: Vec::new(), told: (0, 0), workers }
    }

    /// Makes room for so many blocks.
    pub(super) fn resize(&mut self, blocks: usize) {
        self.taken.resize(blocks, 0);
    }

    /// A balancer was told of a service, and will be of its end.
    #[inline(always)]
    pub(super) fn note(&mut self, place: usize, ends: u64) {
        self.ends.insert(ends, place as u32);
        self.taken[place / BLOCK] |= 1 << (place % BLOCK);
    }

    /// A service became an attempt.
    pub(super) fn forget(&mut self, place: usize) {
        self.void += 1;
        self.taken[place / BLOCK] &= !(1 << (place % BLOCK));
    }

    /// The services of an instance that go on, where balancers have been told of all ends by now.
    #[inline(always)]
    pub(super) fn survey(&self, id: InstanceId, blocks: usize) -> Survey {
        let first = id.index() * blocks;
        let all = self.taken.get(first..first + blocks).unwrap_or(&[]);
        let taken = all.iter().rev().fold(0, |taken, block| taken << BLOCK | u64::from(*block));
        Survey { open: taken.count_ones(), taken }
    }

    /// The place of the next service that ends up to a moment, and up to a place at that moment. `ends`: when they end, by place.
    #[inline(always)]
    fn next_by(&mut self, until: (u64, u32), ends: &[Block]) -> Option<usize> {
        while let Some(end) = self.ends.pop_by(until) {
            let place = end.1 as usize;
            // Where one service became an attempt, another one may end at the same moment.
            if self.void > 0 && (ends[place / BLOCK].0[place % BLOCK] != end.0 || self.told == end) {
                self.void -= 1;
                continue;
            }
            self.told = end;
            self.taken[place / BLOCK] &= !(1 << (place % BLOCK));
            return Some(place);
        }
        None
    }

    /// Tells balancers of what ends up to a moment, and up to a place at that moment. `through`: the pool of each service, by
    /// place, if there are several.
    pub(super) fn close_by(
        &mut self,
        balancers: &mut [Balancer],
        until: (u64, u32),
        (ends, through, blocks): (&[Block], &[[u8; BLOCK]], usize),
    ) {
        while let Some(place) = self.next_by(until, ends) {
            let pool = through.get(place / BLOCK).map_or(0, |block| block[place % BLOCK]);
            let id = place / BLOCK / blocks;
            balancers[usize::from(pool)].closed(Endpoint(id as u32));
        }
    }
}

impl Row<'_> {
    /// Sends requests until one is not plain. How many were sent.
    pub(super) fn send_in_order(&mut self, batch: &Batch<'_>) -> usize {
        let mut served = Served::NOTHING;
        loop {
            self.send_to_the_fewest(batch, &mut served);
            let place = served.count;
            if place == batch.at.len() {
                break;
            }
            let first = First { now: batch.at[place], work: batch.works[place], luck: batch.lucks[place] };
            let Some(begun) = self.send_to_the_least(first) else { break };
            served.note(place, begun);
        }
        self.service.note_rests(batch, &served, 0);
        self.service.note(batch, &served)
    }

    /// Sends those that are not served yet, until one does not go the plainest way: through the only balancer, where all weigh the
    /// same, to a free worker of an instance where work takes just its time.
    #[inline(always)]
    fn send_to_the_fewest(&mut self, batch: &Batch<'_>, served: &mut Served) {
        let Row { balancers: [balancer], service, .. } = self else { return };
        let Some(mut fewest) = balancer.fewest() else { return };
        service.lazy.make_room(fewest.endpoints());
        let (rows, Some(order)) = service.lazy.rows_in_order(service.servers.again()) else { return };
        if !rows.are_short() || order.void > 0 {
            return;
        }
        let rows = rows.shortly::<false>();
        let count = batch.at.len().min(BATCH);
        let (at, works, choices) = (&batch.at[..count], &batch.works[..count], &batch.choices[..count]);
        let (mut moments, mut notes) = ([0; BATCH], [(Endpoint(0), 0); BATCH]);
        while served.count < count {
            let first = served.count;
            while let Some(ended) = order.next_by((at[first], u32::MAX), rows.ends) {
                fewest.closed(Endpoint((ended / BLOCK) as u32));
            }
            // Those that come while all ends are known: today's, before any of their own.
            let day = order.ends.rest_of_day(at[first]);
            let (mut last, mut all_known_until) = (first, day.is_over_at);
            while last < count && at[last] < all_known_until && works[last] <= rows.servers.longest {
                moments[last] = day.within(at[last]);
                all_known_until = all_known_until.min(at[last] + works[last].max(1));
                last += 1;
            }
            let seen = Seen { taken: &mut order.taken, manners: rows.manners, workers: order.workers as u8 };
            let counts;
            let arrivals = (&moments[first..last], &choices[first..last], &mut notes[first..last]);
            (fewest, counts) = interleave(fewest, seen, &day, arrivals);
            order.told = order.ends.take(counts.ended).unwrap_or(order.told);
            for (number, (endpoint, worker)) in notes.iter().enumerate().skip(first).take(counts.begun) {
                let place = endpoint.index() * BLOCK + worker.trailing_zeros() as usize;
                let (lasts, version) = (works[number].max(1), rows.manner(InstanceId(endpoint.0)).version());
                let end = &mut rows.ends[place / BLOCK].0[place % BLOCK];
                debug_assert!(*end <= at[number], "the place is free");
                *end = at[number] + lasts;
                order.ends.insert(*end, place as u32);
                served.note(number, (place, lasts, version));
            }
            if counts.begun == 0 {
                return; // The next one is not plain.
            }
        }
    }

    /// Sends a request to whom a balancer tells to have the fewest open ones; `None`: it is not plain.
    fn send_to_the_least(&mut self, first: First) -> Option<Begun> {
        let Row { balancers, pools, service } = self;
        service.lazy.close_by(balancers, first.now);
        let pool = pools.drawn(first.luck, 1);
        let balancer = &mut balancers[usize::from(pool)];
        let least = balancer.least(luck(first.luck, LuckOf::Choice, 1))?;
        let id = InstanceId(least.0);
        let seen = service.lazy.survey_told(id, first.now);
        let mut rows = service.lazy.rows(service.servers.again());
        let (lasts, version) = rows.service(id, seen, first)?;
        let place = rows.begin(id, seen, pool, first.now, first.now + lasts);
        service.lazy.note_end(place, first.now + lasts);
        balancer.opened(least);
        Some((place, lasts, version))
    }
}

/// What is looked at of instances of one block each.
struct Seen<'a> {
    taken: &'a mut [u8],
    manners: &'a [Manner],
    workers: u8,
}

/// How many requests ended and began.
struct Counts {
    ended: usize,
    begun: usize,
}

/// Ends and arrivals in their order, until an arrival is not plain, to a free worker of an instance where work takes just its
/// time, or an end is not a member's. Notes where each begins, and its worker as a bit.
#[inline(never)] // So that what changes stays in registers.
fn interleave<'a>(
    fewest: Fewest<'a>,
    Seen { taken, manners, workers }: Seen<'_>,
    day: &RestOfDay<'_>,
    (moments, choices, notes): (&[u64], &[u64], &mut [(Endpoint, u8)]),
) -> (Fewest<'a>, Counts) {
    // Of all that is looked at there is as much, which is known where it is compiled.
    let endpoints = fewest.endpoints();
    let (taken, manners) = (&mut taken[..endpoints], &manners[..endpoints]);
    let (mut fewest, notes) = (fewest.of(endpoints), &mut notes[..moments.len()]);
    let choices = &choices[..moments.len()];
    let all = u8::MAX >> (BLOCK as u8 - workers);
    let (mut begun, mut ended) = (0, 0);
    while begun < moments.len() {
        let (place, ends) = day.next(ended, moments[begun]);
        let Some(step) = fewest.next(ends, Endpoint(place / BLOCK as u32), choices[begun]) else { break };
        let row = step.member.index();
        if row >= endpoints {
            break;
        }
        let (room, before) = (manners[row].room(), taken[row]);
        // Nobody is at work there on what is not lazy, and whoever begins finds somebody free. What is compared is chosen: of
        // `ends` beside another condition compilers make the very branch that is not to be.
        if (room != workers) | (select_unpredictable(ends, 0, before) == all) {
            break;
        }
        fewest.take(step);
        let worker = select_unpredictable(ends, 1 << (place % BLOCK as u32), !before & before.wrapping_add(1));
        taken[row] = before ^ worker;
        notes[begun] = (step.member, worker);
        begun += usize::from(!ends);
        ended += usize::from(ends);
    }
    (fewest, Counts { ended, begun })
}
