//! Requests that wait at plain instances. Nothing but what is there decides when they are served: so that is foretold as they
//! come, and nothing happens when it comes true.
//!
//! First come, first served by so many workers: whoever finds *n* requests at an instance begins when all but one fewer than the
//! workers of these have ended (Kiefer and Wolfowitz: On the Theory of Queues with Many Servers, 1955). All ends are known, those of the
//! ones that wait included.

use super::look::BLOCK;
use super::rows::{First, MOST_WORKERS, Rest};
use crate::fleet::InstanceId;
use crate::scenario::{Discipline, Scenario};
use std::cmp::Reverse;
use std::collections::BinaryHeap;

/// Requests in the line of an instance; where more wait they are attempts.
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
    /// By instance: which one is its; `NONE`: it has none.
    of: Vec<u32>,
    /// Who waits, by when that is over.
    waiting: BinaryHeap<Reverse<Wait>>,
    /// Waits that are over, nanoseconds, and the most that waited at once, since these were [taken](Lines::take_counts).
    over: Vec<u64>,
    most: u64,
}

const NONE: u32 = u32::MAX;

/// Who waits at an instance, or did a short time ago. Where an end has come there is room.
#[derive(Clone, Debug)]
struct Line {
    instance: InstanceId,
    /// When services end, and when they begin, nanoseconds.
    ends: [u64; LONGEST],
    begins: [u64; LONGEST],
    pools: [u8; LONGEST],
    rests: [Rest; LONGEST],
}

impl Line {
    fn foretold(&self, spot: usize) -> Foretold {
        let pool = self.pools[spot].into();
        Foretold { begins: self.begins[spot], ends: self.ends[spot], pool, rest: self.rests[spot] }
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

/// One of a line.
#[derive(Clone, Copy, Debug)]
pub(super) struct Foretold {
    pub(super) begins: u64,
    pub(super) ends: u64,
    pub(super) pool: u16,
    pub(super) rest: Rest,
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

    fn line(&self, id: InstanceId) -> Option<&Line> {
        let line = *self.of.get(id.index())?;
        (line != NONE).then(|| &self.all[line as usize])
    }

    /// How many of an instance's go on, and how many of those came through a pool.
    pub(super) fn open(&self, id: InstanceId, pool: u16, now: u64) -> (u32, u32) {
        let Some(line) = self.line(id) else { return (0, 0) };
        let go_on = line.ends.iter().zip(line.pools).filter(|(end, _)| **end > now);
        go_on.fold((0, 0), |(all, through), (_, own)| (all + 1, through + u32::from(u16::from(own) == pool)))
    }

    /// One of an instance's that is in service by now, and not in line any more.
    pub(super) fn take_begun(&mut self, id: InstanceId, now: u64) -> Option<Foretold> {
        let line = self.line(id)?;
        let spot = (0..LONGEST).find(|spot| line.ends[*spot] > now && line.begins[*spot] <= now)?;
        let begun = line.foretold(spot);
        self.line_for(id).ends[spot] = 0;
        Some(begun)
    }

    /// The ends of an instance's.
    pub(super) fn ends(&self, id: InstanceId) -> &[u64] {
        self.line(id).map_or(&[], |line| &line.ends)
    }

    /// The ends of all that end later than a moment, and the requests and instances.
    pub(super) fn all_after(&self, moment: u64) -> impl Iterator<Item = (u64, &Rest, InstanceId)> {
        self.all.iter().flat_map(move |line| {
            let all = line.ends.iter().zip(&line.rests).filter(move |(end, _)| **end > moment);
            all.map(|(end, rest)| (*end, rest, line.instance))
        })
    }

    /// A request waits where the services of `row` end then, if it can be told until when and it is over in time. How long
    /// it takes in all, nanoseconds. `others`: how many wait elsewhere, if that is counted.
    #[inline(never)]
    pub(super) fn wait(
        &mut self,
        (id, pool): (InstanceId, u16),
        (number, first): (u64, First),
        row: &[[u64; BLOCK]],
        longest: u64,
        others: Option<u64>,
    ) -> Option<u64> {
        let mut ends = [0; MOST_WORKERS as usize + LONGEST];
        let mut count = 0;
        let line = self.line(id);
        let in_line = line.map_or(&[][..], |line| &line.ends);
        for end in row.as_flattened().iter().chain(in_line).filter(|end| **end > first.now) {
            ends[count] = *end;
            count += 1;
        }
        let ahead = count.checked_sub(self.workers).filter(|ahead| self.workers > 0 && *ahead < self.queue)?;
        let spot = line.map_or(Some(0), |line| line.ends.iter().position(|end| *end <= first.now))?;
        let begins = *ends[..count].select_nth_unstable(ahead).1;
        let waits = begins - first.now;
        let lasts = waits + first.work.max(1);
        if lasts > longest {
            return None;
        }
        let line = self.line_for(id);
        (line.begins[spot], line.ends[spot], line.pools[spot]) = (begins, first.now + lasts, pool as u8);
        line.rests[spot] = Rest { number, arrived: first.now, work: first.work, luck: first.luck };
        self.waiting.push(Reverse(Wait { until: begins, instance: id, lasts: waits, is_counted: others.is_some() }));
        let waiting = self.waiting(first.now);
        if let Some(others) = others {
            self.most = self.most.max(others + waiting);
        }
        Some(lasts)
    }

    fn line_for(&mut self, id: InstanceId) -> &mut Line {
        if id.index() >= self.of.len() {
            self.of.resize(id.index() + 1, NONE);
        }
        if self.of[id.index()] == NONE {
            self.of[id.index()] = self.free.pop().unwrap_or_else(|| {
                let (times, pools, rests) = ([0; LONGEST], [0; LONGEST], [Rest::NONE; LONGEST]);
                self.all.push(Line { instance: id, ends: times, begins: times, pools, rests });
                self.all.len() as u32 - 1
            });
        }
        let line = &mut self.all[self.of[id.index()] as usize];
        line.instance = id;
        line
    }

    /// An instance's line, where nothing goes on any more, is nobody's.
    pub(super) fn release(&mut self, id: InstanceId) {
        let line = std::mem::replace(&mut self.of[id.index()], NONE);
        self.free.push(line);
    }

    /// How many wait at a moment, which never goes back.
    pub(super) fn waiting(&mut self, now: u64) -> u64 {
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

    /// Waits that are over, nanoseconds, and the most that waited at once, both since the last time.
    pub(super) fn take_counts(&mut self) -> (Vec<u64>, u64) {
        (std::mem::take(&mut self.over), std::mem::take(&mut self.most))
    }

    /// Whether there is anything to take.
    #[inline]
    pub(super) fn has_counts(&self) -> bool {
        self.most > 0 || !self.over.is_empty()
    }

    /// Nothing is foretold any more of an instance: what goes on there, in the order of beginning.
    pub(super) fn give_up(&mut self, id: InstanceId, now: u64) -> Vec<Foretold> {
        let Some(line) = self.line(id) else { return Vec::new() };
        let spots = (0..LONGEST).filter(|spot| line.ends[*spot] > now);
        let mut all: Vec<Foretold> = spots.map(|spot| line.foretold(spot)).collect();
        all.sort_unstable_by_key(|one| (one.begins, one.rest.number));
        self.waiting(now); // Those who do not wait any more are counted.
        if all.iter().any(|one| one.begins > now) {
            self.waiting.retain(|Reverse(wait)| wait.instance != id);
        }
        self.line_for(id).ends = [0; LONGEST];
        self.release(id);
        all
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ID: InstanceId = InstanceId(3);

    /// By hand: two workers are at work until 10 and 11.
    #[test]
    fn whoever_comes_begins_as_soon_as_a_worker_has_nobody_before_it_to_serve() {
        let mut lines = Lines { workers: 2, queue: 3, ..Lines::default() };
        let row = [[10, 11, 0, 0, 0, 0, 0, 0]];
        let mut wait = |number, now, work, longest| {
            lines.wait((ID, 0), (number, First { now, work, luck: number }), &row, longest, Some(5))
        };
        assert_eq!(wait(1, 2, 10, 100), Some(8 + 10), "from 10 to 20");
        assert_eq!(wait(2, 3, 1, 100), Some(8 + 1), "from 11 to 12");
        assert_eq!(wait(3, 4, 1, 8), None, "it would take until 13, which is too long");
        assert_eq!(wait(3, 4, 1, 9), Some(8 + 1), "from 12 to 13");
        assert_eq!(wait(4, 5, 1, 100), None, "three wait");
        assert_eq!(wait(4, 10, 5, 100), Some(3 + 5), "two wait, and the first to end does so at 13");

        assert_eq!(lines.open(ID, 0, 10), (4, 4));
        assert_eq!((lines.waiting_at(10), lines.waiting_at(11)), (3, 2));
        let begun = lines.take_begun(ID, 10).expect("one is served");
        assert_eq!((begun.begins, begun.ends, begun.rest.number), (10, 20, 1));
        assert!(lines.take_begun(ID, 10).is_none());
        let left: Vec<u64> = lines.give_up(ID, 10).iter().map(|one| one.rest.number).collect();
        assert_eq!(left, [2, 3, 4], "in the order of beginning");
        assert_eq!(lines.take_counts(), (vec![8], 5 + 3), "one wait is over, and at most three waited beside five");
        assert_eq!(lines.open(ID, 0, 10), (0, 0));
    }
}
