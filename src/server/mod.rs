//! The queue inside one instance: how its workers share what it was sent.

mod sharing;
mod speed;

pub use sharing::Sharing;
pub use speed::{Slowing, Speed, warm_up_factor};

use crate::scenario::{Discipline, Service};
use std::collections::VecDeque;

/// What becomes of a request that reaches an instance.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Admission {
    /// It is served from now on.
    Serve,
    /// It waits.
    Wait,
    /// Every place is taken.
    Refuse,
}

/// What is in one instance; attempts are known by their place in the engine's table.
#[derive(Clone, Debug)]
pub enum Server {
    /// First come, first served.
    Fifo(Fifo),
    /// Everybody at once.
    Sharing(Sharing),
}

impl Server {
    /// An instance with nothing to do.
    pub fn new(discipline: Discipline) -> Self {
        match discipline {
            Discipline::Fifo => Server::Fifo(Fifo::default()),
            Discipline::ProcessorSharing => Server::Sharing(Sharing::default()),
        }
    }

    /// What would become of one more request while so many are there that it was not told of, of whom no more are served than there
    /// are free workers.
    pub fn admission(&self, service: &Service, more: u32) -> Admission {
        let workers = service.workers.get();
        match self {
            Server::Fifo(fifo) => fifo.admission(workers, service.queue, more),
            Server::Sharing(sharing) if (sharing.len() as u64) < u64::from(workers) + u64::from(service.queue) => {
                Admission::Serve
            }
            Server::Sharing(_) => Admission::Refuse,
        }
    }

    /// Whether it has nothing left to do.
    pub fn is_idle(&self) -> bool {
        match self {
            Server::Fifo(fifo) => fifo.is_idle(),
            Server::Sharing(sharing) => sharing.is_empty(),
        }
    }

    /// Drops everything; those who left the queue, too.
    pub fn clear(&mut self) {
        match self {
            Server::Fifo(fifo) => *fifo = Fifo::default(),
            Server::Sharing(sharing) => sharing.clear(),
        }
    }

    /// How many of so many workers are at work.
    pub fn busy(&self, workers: u32) -> u32 {
        match self {
            Server::Fifo(fifo) => fifo.busy,
            Server::Sharing(sharing) => (sharing.len() as u32).min(workers),
        }
    }
}

/// How many are being served, and who waits. An attempt that leaves the queue from the middle keeps its entry until its turn
/// comes, but no longer counts.
#[derive(Clone, Debug, Default)]
pub struct Fifo {
    busy: u32,
    waiting: VecDeque<u32>,
    /// Entries of those who left.
    left: u32,
}

impl Fifo {
    fn admission(&self, workers: u32, queue: u32, more: u32) -> Admission {
        let there = self.busy + more;
        if there < workers {
            debug_assert_eq!(self.waiting(), 0, "nobody waits while a worker is free");
            Admission::Serve
        } else if self.waiting() + (there - workers) < queue {
            Admission::Wait
        } else {
            Admission::Refuse
        }
    }

    /// How many wait.
    pub fn waiting(&self) -> u32 {
        self.waiting.len() as u32 - self.left
    }

    /// How many workers are at work.
    #[inline]
    pub fn busy(&self) -> u32 {
        self.busy
    }

    /// A worker begins with an attempt.
    pub fn begin(&mut self) {
        self.busy += 1;
    }

    /// A worker ends with an attempt.
    pub fn end(&mut self) {
        debug_assert!(self.busy > 0, "somebody was served");
        self.busy -= 1;
    }

    /// Puts an attempt at the end of the queue.
    pub fn wait(&mut self, attempt: u32) {
        self.waiting.push_back(attempt);
    }

    /// Puts an attempt at the head of the queue.
    pub fn wait_first(&mut self, attempt: u32) {
        self.waiting.push_front(attempt);
    }

    /// Takes the first entry out of the queue; `has_left` tells of an attempt whether it left, and learns of each entry that is
    /// gone with that.
    pub fn take_next(&mut self, mut has_left: impl FnMut(u32) -> bool) -> Option<u32> {
        while let Some(next) = self.waiting.pop_front() {
            if !has_left(next) {
                return Some(next);
            }
            self.left -= 1;
        }
        None
    }

    /// One who waits leaves. Its entry goes now only if more than half of all are such.
    pub fn leave(&mut self, mut has_left: impl FnMut(u32) -> bool) {
        self.left += 1;
        if self.left > 32 && self.left * 2 > self.waiting.len() as u32 {
            self.waiting.retain(|attempt| !has_left(*attempt));
            self.left = 0;
        }
    }

    fn is_idle(&self) -> bool {
        self.busy == 0 && self.waiting() == 0
    }

    /// Whether there are entries in the queue, of those who left or of others.
    pub fn has_entries(&self) -> bool {
        !self.waiting.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::Admission::{Refuse, Serve, Wait};
    use super::*;

    #[test]
    fn a_server_serves_then_lets_wait_then_refuses() {
        let mut server = Fifo::default();
        let mut admissions = Vec::new();
        for attempt in 0..4 {
            let admission = server.admission(2, 1, 0);
            admissions.push(admission);
            match admission {
                Serve => server.begin(),
                Wait => server.wait(attempt),
                Refuse => {}
            }
        }
        assert_eq!(admissions, [Serve, Serve, Wait, Refuse]);
        server.end();
        assert_eq!(server.take_next(|_| false), Some(2));
        assert!(!server.is_idle());
    }

    #[test]
    fn whoever_left_the_queue_takes_no_place_in_it() {
        let mut server = Fifo::default();
        server.begin();
        for attempt in 0..100 {
            server.wait(attempt);
        }
        let mut gone = [false; 100];
        for attempt in (0..100).filter(|attempt| attempt % 3 > 0) {
            gone[attempt as usize] = true;
            server.leave(|attempt| gone[attempt as usize]);
        }
        assert_eq!(server.waiting(), 34);
        assert!(server.waiting.len() < 80, "entries of those who left are cleared away");
        let mut order = Vec::new();
        while let Some(next) = server.take_next(|attempt| gone[attempt as usize]) {
            order.push(next);
        }
        assert_eq!(order, (0..100).step_by(3).collect::<Vec<u32>>());
        server.end();
        assert!(server.is_idle());
    }
}
