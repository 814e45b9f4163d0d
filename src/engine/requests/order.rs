//! Requests of a balancer that is told of each end of a service, in the order of these ends: it must know who has the fewest
//! open requests. Nobody knows where one goes before those before it were sent, so nothing is fetched ahead. Instead all that is
//! looked at is small: per instance what is taken (a byte a block), its place in the balancer's order and its count. That
//! ends and arrivals come by chance is left to branches: computed without any, each waits for the one before, which costs a quarter more.

use super::calendar::Calendar;
use super::look::{BLOCK, Block, Survey};
use super::plain::{Begun, Row, Served};
use super::rows::First;
use super::source::Batch;
use crate::balancer::{Balancer, Endpoint};
use crate::client::{LuckOf, luck};
use crate::fleet::InstanceId;

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
        let (rows, Some(order)) = service.lazy.rows_in_order(service.servers.again()) else { return };
        if !rows.are_short() || order.void > 0 {
            return;
        }
        let rows = rows.shortly::<false>();
        let all = u8::MAX >> (BLOCK as u32 - order.workers);
        let requests = batch.at.iter().zip(batch.works).zip(batch.choices).enumerate().skip(served.count);
        for (number, ((now, work), choice)) in requests {
            let now = *now;
            while let Some(ended) = order.next_by((now, u32::MAX), rows.ends) {
                fewest.closed(Endpoint((ended / BLOCK) as u32));
            }
            let Some(chosen) = fewest.choose(*choice) else { return };
            let id = InstanceId(chosen.0.0);
            let (manner, lasts) = (rows.manner(id), (*work).max(1));
            let Some(taken) = order.taken.get_mut(id.index()) else { return };
            // Nobody is at work there on what is not lazy, somebody is free, and it does not take too long.
            if u32::from(manner.room()) != order.workers || *taken == all || lasts > rows.servers.longest {
                return;
            }
            let worker = taken.trailing_ones() as usize;
            *taken |= 1 << worker;
            let place = id.index() * BLOCK + worker;
            debug_assert!(rows.ends[id.index()].0[worker] <= now, "the place is free");
            rows.ends[id.index()].0[worker] = now + lasts;
            order.ends.insert(now + lasts, place as u32);
            fewest.opened(chosen);
            served.note(number, (place, lasts, manner.version()));
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
