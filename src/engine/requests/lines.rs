//! Requests that wait at plain instances. Nothing but what is there decides when they are served: so that is foretold as they
//! come, and nothing happens when it comes true.
//!
//! First come, first served by so many workers: whoever comes is served by the worker that is the first to have served all who came
//! before (Kiefer and Wolfowitz: On the Theory of Queues with Many Servers, 1955). So a place says when its worker will be free, and
//! what it held until somebody waits for it goes on in the instance's *line*. As long as anything does, all workers are at work, and as
//! many wait as there are services in the line.

use super::look::{BLOCK, Block, Survey};
use super::rows::{MOST_WORKERS, Rest};
use crate::fleet::InstanceId;
use crate::scenario::{Discipline, Scenario};
use crate::server::Slowing;
use crate::wide::Compare;
use std::cmp::Reverse;
use std::collections::BinaryHeap;

/// Services in the line of an instance; where more wait they are attempts.
const LONGEST: usize = BLOCK;

/// All lines.
#[derive(Debug, Default)]
pub(super) struct Lines {
    /// Workers of an instance; 0: nobody waits here.
    workers: usize,
    /// So many may wait at an instance.
    queue: usize,
    all: Vec<Line>,
    /// Those that are nobody's.
    free: Vec<u32>,
    /// By instance.
    of: Vec<Own>,
    /// Who waits, by when that is over; some for whom it is.
    waiting: BinaryHeap<Reverse<Wait>>,
    /// Waits that are over, nanoseconds, since these were [taken](Lines::take_counts).
    over: Vec<u64>,
    /// The most that waited at once, others included.
    most: u64,
    /// How many waited when all were looked at last.
    known: usize,
}

/// An instance's line, and what is looked at with it.
#[derive(Clone, Copy, Debug)]
struct Own {
    /// Which one it is; `u32::MAX`: there is none.
    line: u32,
    /// The pools that the services there came through.
    pools: [u8; LONGEST],
}

impl Own {
    const NONE: Own = Own { line: u32::MAX, pools: [0; LONGEST] };
}

/// Services at an instance for whose ends somebody waits, or did. Where an end has come there is room.
#[derive(Clone, Debug)]
struct Line {
    instance: InstanceId,
    /// When they end, nanoseconds.
    ends: Block,
    rests: [Rest; LONGEST],
    slowings: [Slowing; LONGEST],
}

impl Line {
    fn of(instance: InstanceId) -> Self {
        let (rests, slowings) = ([Rest::NONE; LONGEST], [Slowing::None; LONGEST]);
        Line { instance, ends: Block::FREE, rests, slowings }
    }

    /// The services that go on after a moment, by the pools that they came through.
    fn all_after(&self, moment: u64, pools: [u8; LONGEST]) -> impl Iterator<Item = Foretold> {
        let spots = (0..LONGEST).filter(move |spot| self.ends.0[*spot] > moment);
        spots.map(move |spot| {
            let (pool, slowing) = (pools[spot].into(), self.slowings[spot]);
            Foretold { ends: self.ends.0[spot], pool, rest: self.rests[spot], slowing }
        })
    }
}

/// A wait at an instance until a moment, nanoseconds, and how long it lasts; whether it is counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Wait {
    until: u64,
    instance: InstanceId,
    lasts: u64,
    is_counted: bool,
}

/// A service whose end is known.
#[derive(Clone, Copy, Debug)]
pub(super) struct Foretold {
    pub(super) ends: u64,
    pub(super) pool: u16,
    pub(super) rest: Rest,
    pub(super) slowing: Slowing,
}

impl Foretold {
    /// When it begins. Whoever is slowed down has not waited.
    pub(super) fn begins(&self) -> u64 {
        if self.slowing == Slowing::None { self.ends - self.rest.work.max(1) } else { self.rest.arrived }
    }
}

impl Lines {
    /// Nobody waits yet. Nobody will where a wait may end otherwise, or the service cannot be told before it begins.
    pub(super) fn new(scenario: &Scenario) -> Self {
        let service = &scenario.service;
        let workers = service.workers.get();
        let is_on = service.shed_after.is_none()
            && scenario.client.patience.is_none()
            && service.discipline == Discipline::Fifo
            && workers <= MOST_WORKERS;
        Lines { workers: if is_on { workers as usize } else { 0 }, queue: service.queue as usize, ..Lines::default() }
    }

    /// The line of an instance, and its pools.
    #[inline]
    fn line(&self, id: InstanceId) -> Option<(&Line, [u8; LONGEST])> {
        let own = self.of.get(id.index())?;
        Some((self.all.get(own.line as usize)?, own.pools))
    }

    /// How many workers an instance has; 0: nobody waits here.
    pub(super) fn workers(&self) -> usize {
        self.workers
    }

    /// How many go on in the line of an instance of which so much is seen.
    #[inline]
    pub(super) fn open(&self, id: InstanceId, seen: Survey, now: u64) -> u32 {
        let Some((line, _)) = self.line_behind(id, seen) else { return 0 };
        line.ends.0.iter().map(|end| u32::from(*end > now)).sum()
    }

    /// How many of these came through a pool.
    #[inline(always)]
    pub(super) fn open_through(&self, pool: u16, id: InstanceId, seen: Survey, now: u64, by: impl Compare) -> u32 {
        let Some((line, pools)) = self.line_behind(id, seen) else { return 0 };
        let (_, open) = by.above(&line.ends.0, now);
        (open & by.equal(pools, pool as u8)).count_ones()
    }

    /// The line, if anything can go on there.
    #[inline]
    fn line_behind(&self, id: InstanceId, seen: Survey) -> Option<(&Line, [u8; LONGEST])> {
        let is_full = seen.open as usize == self.workers;
        if is_full { self.line(id) } else { None }
    }

    /// The ends of an instance's.
    pub(super) fn ends(&self, id: InstanceId) -> &[u64] {
        self.line(id).map_or(&[], |(line, _)| &line.ends.0)
    }

    /// All services that end later than a moment, and where.
    pub(super) fn all_after(&self, moment: u64) -> impl Iterator<Item = (Foretold, InstanceId)> {
        self.all.iter().flat_map(move |line| {
            let pools = self.of[line.instance.index()].pools;
            line.all_after(moment, pools).map(|one| (one, line.instance))
        })
    }

    /// A request waits at an instance until this service ends, if it may. `others`: how many wait elsewhere, if that is counted.
    #[inline(never)]
    pub(super) fn wait(&mut self, id: InstanceId, ahead: Foretold, now: u64, others: Option<u64>) -> bool {
        let queue = self.queue;
        let line = self.line_for(id);
        let waiting = line.ends.0.iter().filter(|end| **end > now).count();
        let free = line.ends.0.iter().position(|end| *end <= now);
        let Some(spot) = free.filter(|_| waiting < queue) else { return false };
        let Foretold { ends, pool, rest, slowing } = ahead;
        (line.ends.0[spot], line.rests[spot], line.slowings[spot]) = (ends, rest, slowing);
        self.of[id.index()].pools[spot] = pool as u8;
        self.waiting.push(Reverse(Wait { until: ends, instance: id, lasts: ends - now, is_counted: others.is_some() }));
        // Whose waits are over is looked at only where all of them would be more than ever; and now and then, for the room they take.
        let bound = others.map_or(2 * self.known as u64 + 64, |others| self.most.saturating_sub(others));
        if self.waiting.len() as u64 > bound {
            let waiting = self.waiting(now);
            self.most = self.most.max(others.map_or(0, |others| others + waiting));
        }
        true
    }

    fn line_for(&mut self, id: InstanceId) -> &mut Line {
        if id.index() >= self.of.len() {
            self.of.resize(id.index() + 1, Own::NONE);
        }
        let own = &mut self.of[id.index()];
        if own.line == Own::NONE.line {
            own.line = self.free.pop().unwrap_or_else(|| {
                self.all.push(Line::of(id));
                self.all.len() as u32 - 1
            });
        }
        let line = &mut self.all[own.line as usize];
        line.instance = id;
        line
    }

    /// How many wait at a moment, which never goes back.
    pub(super) fn waiting(&mut self, now: u64) -> u64 {
        let count = self.waiting.len();
        if count > self.known + self.known / 4 {
            // Many have come: all are looked at, and ordered anew.
            let over = &mut self.over;
            self.waiting.retain(|Reverse(wait)| {
                let is_over = wait.until <= now;
                if is_over && wait.is_counted {
                    over.push(wait.lasts);
                }
                !is_over
            });
            self.known = self.waiting.len();
            return self.known as u64;
        }
        while let Some(Reverse(wait)) = self.waiting.peek()
            && wait.until <= now
        {
            if wait.is_counted {
                self.over.push(wait.lasts);
            }
            self.waiting.pop();
        }
        self.waiting.len() as u64
    }

    /// How many wait at a moment that need not be the present one, but is no earlier than the last wait's beginning.
    pub(super) fn waiting_at(&self, moment: u64) -> u64 {
        self.waiting.iter().filter(|Reverse(wait)| wait.until > moment).count() as u64
    }

    /// Waits that are over, nanoseconds, since the last time, and the most that ever waited at once.
    pub(super) fn take_counts(&mut self) -> (Vec<u64>, u64) {
        (std::mem::take(&mut self.over), self.most)
    }

    /// Whether there is anything to take.
    #[inline]
    pub(super) fn has_counts(&self) -> bool {
        !self.over.is_empty()
    }

    /// Nothing is foretold any more of an instance: adds what goes on in its line to `all`.
    pub(super) fn give_up(&mut self, id: InstanceId, now: u64, all: &mut Vec<Foretold>) {
        let Some((line, pools)) = self.line(id) else { return };
        let others = all.len();
        all.extend(line.all_after(now, pools));
        self.waiting(now); // Those who do not wait any more are counted.
        if all.len() > others {
            self.waiting.retain(|Reverse(wait)| wait.instance != id);
        }
        self.line_for(id).ends = Block::FREE;
        let own = std::mem::replace(&mut self.of[id.index()], Own::NONE);
        self.free.push(own.line);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ID: InstanceId = InstanceId(3);

    /// By hand: two workers are at work until 10 and 11.
    #[test]
    fn as_many_wait_as_services_go_on_in_the_line() {
        let mut lines = Lines { workers: 2, queue: 2, ..Lines::default() };
        let full = Survey { open: 2, taken: 3 };
        let mut wait = |number, now, ends, work| {
            let rest = Rest { number, arrived: ends - work, work, luck: number };
            let ahead = Foretold { ends, pool: number as u16, rest, slowing: Slowing::None };
            lines.wait(ID, ahead, now, Some(5))
        };
        assert!(wait(1, 2, 10, 9), "from 10 on");
        assert!(wait(2, 3, 11, 9), "from 11 on");
        assert!(!wait(3, 4, 12, 1), "two wait");
        assert!(wait(3, 10, 12, 1), "one waits");

        assert_eq!((lines.open(ID, full, 10), lines.open(ID, Survey::NOTHING, 10)), (2, 0));
        assert_eq!([1, 2, 3].map(|pool| lines.open_through(pool, ID, full, 10, crate::wide::OneByOne)), [0, 1, 1]);
        assert_eq!([10, 11].map(|moment| lines.waiting_at(moment)), [2, 1]);
        let mut left = Vec::new();
        lines.give_up(ID, 10, &mut left);
        assert_eq!(left.iter().map(|one| (one.rest.number, one.begins())).collect::<Vec<_>>(), [(3, 11), (2, 2)]);
        assert_eq!(lines.take_counts(), (vec![8], 5 + 2), "one wait is over, and at most two waited beside five");
        assert_eq!(lines.open(ID, full, 10), 0);
    }
}
