//! What requests that are sent in a row look at: of each instance what it serves lazily, and how.

use super::lines::{Foretold, Lines};
use super::look::{BLOCK, Block, Survey};
use crate::client::{LuckOf, luck};
use crate::engine::Desk;
use crate::fleet::{InstanceId, Version};
use crate::scenario::WarmUp;
use crate::server::{Server, Slowing};
use crate::wide::{Compare, fetch};
use std::hint::select_unpredictable;

/// Services of instances with more workers are events: a row is searched from end to end.
pub(super) const MOST_WORKERS: u32 = 64;

/// No lazy service takes longer (73 years).
pub(super) const MOST: u64 = 1 << 61;

/// Blocks that a processor has at hand: 256 KiB.
const FEW: usize = 4096;

/// What is known of an instance, in one number: in the lower byte its *room*, in the higher one its version.
///
/// The room is how many lazy services it can have: workers that are not at work on what is not lazy; more by [`SLOW`] where it has
/// a defect or work does not take just its time. 0: nothing is known, for something about it has changed.
#[derive(Clone, Copy, Debug)]
pub(super) struct Manner(u16);

/// More than the workers of any instance that are looked at.
pub(super) const SLOW: u8 = 128;

impl Manner {
    pub(super) const UNKNOWN: Manner = Manner(0);

    pub(super) fn room(self) -> u8 {
        self.0 as u8
    }

    pub(super) fn with_room(self, room: u8) -> Self {
        Manner(self.0 & !0xff | u16::from(room))
    }

    #[inline(always)]
    pub(super) fn version(self) -> Version {
        Version((self.0 >> 8) as u8)
    }

    pub(super) fn with_version(self, version: Version) -> Self {
        Manner(self.0 & 0xff | u16::from(version.0) << 8)
    }
}

/// What makes a service an attempt: all that cannot be told from the rest. Half a cache line, and never parts of two.
#[derive(Clone, Copy, Debug)]
#[repr(align(32))]
pub(super) struct Rest {
    pub(super) number: u64,
    pub(super) arrived: u64,
    pub(super) work: u64,
    pub(super) luck: u64,
}

impl Rest {
    pub(super) const NONE: Rest = Rest { number: 0, arrived: 0, work: 0, luck: 0 };
}

/// The rest of each service. Instances whose workers do not fill a block have one a worker: of a large fleet that is most of what
/// is kept.
#[derive(Debug, Default)]
pub(super) struct Rests {
    all: Vec<Rest>,
    /// Rests of a block.
    columns: usize,
}

impl Rests {
    /// Those of instances with so many workers.
    pub(super) fn new(workers: u32) -> Self {
        Rests { all: Vec::new(), columns: (workers as usize).min(BLOCK) }
    }

    /// Makes room for so many blocks.
    pub(super) fn resize(&mut self, blocks: usize) {
        self.all.resize(blocks * self.columns, Rest::NONE);
    }

    #[inline(always)]
    fn index(&self, place: usize) -> usize {
        debug_assert!(place % BLOCK < self.columns, "a worker serves at {place}");
        place / BLOCK * self.columns + place % BLOCK
    }

    /// That at a place.
    pub(super) fn at(&self, place: usize) -> Rest {
        self.all[self.index(place)]
    }

    /// A service begins at a place.
    #[inline(always)]
    pub(super) fn note(&mut self, place: usize, rest: &Rest) {
        let index = self.index(place);
        debug_assert!(index < self.all.len(), "it has a place");
        if let Some(at) = self.all.get_mut(index) {
            *at = *rest;
        }
    }
}

/// What serves.
pub(super) struct Servers<'a> {
    pub(super) desks: &'a mut [Desk],
    pub(super) warm_up: Option<&'a WarmUp>,
    /// The longest service that is plain, nanoseconds.
    pub(super) longest: u64,
}

impl Servers<'_> {
    /// The same, borrowed for less long.
    #[inline(always)]
    pub(super) fn again(&mut self) -> Servers<'_> {
        Servers { desks: self.desks, warm_up: self.warm_up, longest: self.longest }
    }
}

/// A request that is sent for the first time: when, for how much work, and its luck.
#[derive(Clone, Copy)]
pub(super) struct First {
    pub(super) now: u64,
    pub(super) work: u64,
    pub(super) luck: u64,
}

/// What requests in a row look at: borrowed for the length of one, so that it stays in the processor's registers.
pub(super) struct Rows<'a> {
    pub(super) servers: Servers<'a>,
    pub(super) blocks: usize,
    /// Requests come through several pools.
    pub(super) is_split: bool,
    pub(super) manners: &'a mut [Manner],
    pub(super) slowings: &'a mut [Slowing],
    pub(super) ends: &'a mut [Block],
    pub(super) through: &'a mut [[u8; BLOCK]],
    pub(super) rests: &'a mut Rests,
    pub(super) lines: &'a mut Lines,
}

impl Rows<'_> {
    /// Whether instances have one block each.
    #[inline(always)]
    pub(super) fn are_short(&self) -> bool {
        self.blocks == 1
    }

    /// The same where they [are short](Rows::are_short) and requests come through several pools or one, which is known then where it
    /// is compiled.
    #[inline(always)]
    pub(super) fn shortly<const IS_SPLIT: bool>(self) -> Self {
        debug_assert!(self.are_short() && self.is_split == IS_SPLIT, "{} blocks", self.blocks);
        let rows = self.manners.len();
        let through = if IS_SPLIT { &mut self.through[..rows] } else { self.through };
        Rows { blocks: 1, is_split: IS_SPLIT, ends: &mut self.ends[..rows], through, ..self }
    }

    /// [`Lazy::survey`].
    #[inline(always)]
    pub(super) fn survey_by(&self, id: InstanceId, now: u64, by: impl Compare) -> Survey {
        survey(self.ends, self.blocks, id, now, by)
    }

    /// Whether the rows are more than what a processor has at hand.
    #[inline]
    pub(super) fn are_far(&self) -> bool {
        self.ends.len() > FEW
    }

    /// The first block of an instance is fetched; that is all of it unless it has many workers.
    #[inline(always)]
    pub(super) fn fetch(&self, id: InstanceId) {
        if let Some(block) = self.ends.get(id.index() * self.blocks) {
            fetch(block);
        }
    }

    /// Whether there is anything to look at of an instance.
    #[inline(always)]
    pub(super) fn holds(&self, id: InstanceId) -> bool {
        id.index() < self.manners.len()
    }

    /// What is known of an instance.
    #[inline(always)]
    pub(super) fn manner(&self, id: InstanceId) -> Manner {
        let Some(manner) = self.manners.get(id.index()) else { return Manner::UNKNOWN };
        *manner
    }

    /// How long an instance of such a manner, where so many are open, serves a request that begins now, nanoseconds; `None`: it has no
    /// free worker, it does not just take the request's work, or that is longer than what is plain.
    #[inline(always)]
    pub(super) fn plain_service(&self, manner: Manner, open: u32, work: u64) -> Option<u64> {
        let lasts = work.max(1);
        let is_plain = open < u32::from(manner.room()) && manner.room() < SLOW && lasts <= self.servers.longest;
        is_plain.then_some(lasts)
    }

    /// How many of a [survey](Rows::survey_by) and of the instance's line came through a pool.
    pub(super) fn open_through(&self, pool: u16, id: InstanceId, seen: Survey, now: u64, by: impl Compare) -> u32 {
        self.seen_through(pool, id, seen, by) + self.lines.open_through(pool, id, seen, now, by)
    }

    /// A request waits at a plain instance that has no free worker, if it can be told for how long. Its place, for which
    /// [`Lazy::note_rest`] and [`Lazy::note_latest`] must follow; how long it takes in all, nanoseconds; and the instance's version.
    /// `others`: how many wait elsewhere, if that is counted.
    pub(super) fn wait(
        &mut self,
        (id, pool): (InstanceId, u16),
        first: First,
        others: Option<u64>,
    ) -> Option<(usize, u64, Version)> {
        let manner = self.manner(id);
        let Server::Fifo(fifo) = &self.servers.desks[id.index()].server else { return None };
        // Whoever is not lazy, be it in service or waiting, has an end that is not known here.
        if manner.room() == 0 || manner.room() >= SLOW || fifo.busy() > 0 || fifo.waiting() > 0 {
            return None;
        }
        let row = self.ends[id.index() * self.blocks..][..self.blocks].iter().flat_map(|block| &block.0);
        // Chance decides who is the first, so nothing branches on it.
        let (mut worker, mut begins) = (0, u64::MAX);
        for (place, end) in row.take(self.lines.workers()).enumerate() {
            worker = select_unpredictable(*end < begins, place, worker);
            begins = begins.min(*end);
        }
        if begins <= first.now || begins == u64::MAX {
            return None; // A worker is free, but the service is not plain; or nobody waits here.
        }
        let lasts = begins - first.now + first.work.max(1);
        if lasts > self.servers.longest {
            return None;
        }
        let place = id.index() * self.blocks * BLOCK + worker;
        if !self.lines.wait(id, self.foretold(place), first.now, others) {
            return None;
        }
        self.ends[place / BLOCK].0[place % BLOCK] = first.now + lasts;
        self.slowings[place] = Slowing::None;
        if self.is_split {
            self.through[place / BLOCK][place % BLOCK] = pool as u8;
        }
        Some((place, lasts, manner.version()))
    }

    /// What goes on at a place.
    fn foretold(&self, place: usize) -> Foretold {
        foretold(place, self.ends, self.through, self.rests, self.slowings)
    }

    /// How many of those of a [survey](Rows::survey_by) came through a pool.
    #[inline(always)]
    pub(super) fn seen_through(&self, pool: u16, id: InstanceId, seen: Survey, by: impl Compare) -> u32 {
        if self.is_split { seen_through(self.through, self.blocks, pool, id, seen, by) } else { seen.open }
    }

    /// How long an instance serves a request that begins now, nanoseconds, and the instance's version; `None`: it has no free worker,
    /// that takes longer than what is plain, or more must be known to tell.
    pub(super) fn service(&mut self, id: InstanceId, seen: Survey, first: First) -> Option<(u64, Version)> {
        let manner = self.manner(id);
        let version = manner.version();
        if let Some(lasts) = self.plain_service(manner, seen.open, first.work) {
            return Some((lasts, version));
        }
        let room = manner.room().checked_sub(SLOW).filter(|room| seen.open < u32::from(*room))?;
        let desk = &mut self.servers.desks[id.index()];
        let (lasts, slowing) = slow_service(desk, first, self.servers.warm_up, self.servers.longest)?;
        if desk.is_plain(first.now) {
            self.manners[id.index()] = manner.with_room(room);
        }
        self.slowings[self.free_place(id, seen)] = slowing;
        Some((lasts, version))
    }

    /// Where the next service of an instance begins.
    #[inline(always)]
    fn free_place(&self, id: InstanceId, seen: Survey) -> usize {
        let free = (!seen.taken).trailing_zeros() as usize;
        debug_assert!(free < self.blocks * BLOCK, "a worker of {id:?} is free");
        id.index() * self.blocks * BLOCK + free
    }

    /// A free worker begins with a service now. Its place, for which [`Lazy::note_rest`] and [`Lazy::note_latest`] must follow.
    #[inline(always)]
    pub(super) fn begin(&mut self, id: InstanceId, seen: Survey, pool: u16, now: u64, ends: u64) -> usize {
        let place = self.free_place(id, seen);
        debug_assert!(self.ends[place / BLOCK].0[place % BLOCK] <= now, "the place is free");
        self.ends[place / BLOCK].0[place % BLOCK] = ends;
        if self.is_split {
            self.through[place / BLOCK][place % BLOCK] = pool as u8;
        }
        place
    }
}

/// What goes on at a place.
pub(super) fn foretold(
    place: usize,
    ends: &[Block],
    through: &[[u8; BLOCK]],
    rests: &Rests,
    slowings: &[Slowing],
) -> Foretold {
    let (ends, rest) = (ends[place / BLOCK].0[place % BLOCK], rests.at(place));
    let pool = through.get(place / BLOCK).map_or(0, |block| u16::from(block[place % BLOCK]));
    // Where nothing slows services down nobody says so, unless they began later.
    let is_plain = ends - rest.arrived == rest.work.max(1);
    Foretold { ends, pool, rest, slowing: if is_plain { Slowing::None } else { slowings[place] } }
}

/// The services of an instance that go on, by the blocks of all instances, so many each.
#[inline(always)]
pub(super) fn survey(ends: &[Block], blocks: usize, id: InstanceId, now: u64, by: impl Compare) -> Survey {
    if blocks == 1 {
        // There are no closures here, which would be compiled for any processor.
        let Some(block) = ends.get(id.index()) else { return Survey::NOTHING };
        return Survey::of(block, now, by);
    }
    let mut all = Survey::NOTHING;
    let first = id.index() * blocks;
    for block in ends.get(first..first + blocks).unwrap_or(&[]).iter().rev() {
        let Survey { open, taken } = Survey::of(block, now, by);
        all = Survey { open: open + all.open, taken: taken | all.taken << BLOCK };
    }
    all
}

/// How many of those that go on came through a pool, by the blocks of all instances, so many each.
#[inline(always)]
pub(super) fn seen_through(
    through: &[[u8; BLOCK]],
    blocks: usize,
    pool: u16,
    id: InstanceId,
    seen: Survey,
    by: impl Compare,
) -> u32 {
    let first = id.index() * blocks;
    let Some(all) = through.get(first..first + blocks) else { return 0 };
    let mut taken = seen.taken;
    let mut count = 0;
    for block in all {
        count += (by.equal(*block, pool as u8) & taken).count_ones();
        taken >>= BLOCK;
    }
    count
}

/// How long an instance serves a first attempt that begins now where it has a defect or work takes longer than its time, or did;
/// and why.
fn slow_service(desk: &mut Desk, first: First, warm_up: Option<&WarmUp>, longest: u64) -> Option<(u64, Slowing)> {
    if desk.may_fail(luck(first.luck, LuckOf::Error, 1)) {
        return None;
    }
    let (lasts, slowing) = desk.speed.service(first.work, first.now, warm_up);
    if lasts > longest {
        return None;
    }
    desk.speed.note_begun();
    Some((lasts, slowing))
}

/// Workers that are not at work on what is not lazy.
pub(super) fn room(workers: u32, others: u32) -> u8 {
    debug_assert!(others <= workers && workers <= MOST_WORKERS, "{others} of {workers} workers");
    (workers - others) as u8
}
