//! The queue inside one instance: first come, first served by `workers` at once, with bounded waiting.

use crate::scenario::{WarmUp, WarmUpShape};
use crate::time::nanos;
use std::collections::VecDeque;

/// What becomes of a request that reaches an instance.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Admission {
    /// A worker is free.
    Serve,
    /// It waits.
    Wait,
    /// Every waiting place is taken.
    Refuse,
}

/// How fast an instance works: factors on the work of a request.
#[derive(Clone, Copy, Debug)]
pub struct Speed {
    /// Of its version, at any time.
    pub slowdown: f64,
    /// When its process was up, nanoseconds; the warm-up counts from here.
    pub up_at: u64,
    /// When its warm-up is over, nanoseconds.
    pub warm_at: u64,
    /// From when on a defect shows, nanoseconds; `u64::MAX`: never.
    pub misbehaves_from: u64,
    /// The defect's factor.
    pub defect_slowdown: f64,
}

impl Speed {
    /// An instance of the old version that has long been up.
    pub const WARM: Speed =
        Speed { slowdown: 1.0, up_at: 0, warm_at: 0, misbehaves_from: u64::MAX, defect_slowdown: 1.0 };

    /// When the warm-up of a process that is up at `up_at` is over.
    pub fn warm_at(warm_up: Option<&WarmUp>, up_at: u64) -> u64 {
        warm_up.map_or(up_at, |warm_up| {
            let over = nanos(warm_up.over);
            up_at.saturating_add(match warm_up.shape {
                WarmUpShape::Linear => over,
                WarmUpShape::Exponential => over.saturating_mul(10),
            })
        })
    }

    /// How long work that begins now takes, in nanoseconds; never less than one.
    pub fn service_nanos(&self, work: u64, now: u64, warm_up: Option<&WarmUp>) -> u64 {
        let mut factor = self.slowdown;
        if now < self.warm_at
            && let Some(warm_up) = warm_up
        {
            factor *= warm_up_factor(warm_up, now - self.up_at);
        }
        if now >= self.misbehaves_from {
            factor *= self.defect_slowdown;
        }
        // Exact where nothing slows it down: runs that are worked out by hand need it.
        #[expect(clippy::float_cmp, reason = "1.0 stands for: no factor applies")]
        let service = if factor == 1.0 { work } else { (work as f64 * factor + 0.5) as u64 };
        service.max(1)
    }
}

/// The warm-up factor at an age in nanoseconds.
pub fn warm_up_factor(warm_up: &WarmUp, age: u64) -> f64 {
    let share = age as f64 / nanos(warm_up.over) as f64;
    let left = match warm_up.shape {
        WarmUpShape::Linear => (1.0 - share).max(0.0),
        WarmUpShape::Exponential if share >= 10.0 => 0.0,
        WarmUpShape::Exponential => libm::exp(-share),
    };
    1.0 + (warm_up.factor - 1.0) * left
}

/// How many are being served, and who waits; attempts are known by their place in the engine's table.
#[derive(Clone, Debug, Default)]
pub struct Server {
    busy: u32,
    waiting: VecDeque<u32>,
}

impl Server {
    /// What would become of one more request.
    pub fn admission(&self, workers: u32, queue: u32) -> Admission {
        if self.busy < workers {
            debug_assert!(self.waiting.is_empty(), "nobody waits while a worker is free");
            Admission::Serve
        } else if (self.waiting.len() as u32) < queue {
            Admission::Wait
        } else {
            Admission::Refuse
        }
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

    /// Takes the first one out of the queue.
    pub fn take_next(&mut self) -> Option<u32> {
        self.waiting.pop_front()
    }

    /// Whether it has nothing left to do.
    pub fn is_idle(&self) -> bool {
        self.busy == 0 && self.waiting.is_empty()
    }

    /// Drops everything.
    pub fn clear(&mut self) {
        *self = Server::default();
    }
}

#[cfg(test)]
mod tests {
    use super::Admission::{Refuse, Serve, Wait};
    use super::*;
    use std::time::Duration;

    fn warm_up(shape: WarmUpShape) -> WarmUp {
        WarmUp { factor: 3.0, over: Duration::from_mins(1), shape }
    }

    #[test]
    fn a_warm_up_comes_down_to_one() {
        let at = |shape, second: u64| warm_up_factor(&warm_up(shape), second * 1_000_000_000);
        //            0 s  15 s  30 s  60 s  90 s
        let linear = [3.0, 2.5, 2.0, 1.0, 1.0];
        for (second, factor) in [0, 15, 30, 60, 90].into_iter().zip(linear) {
            assert!((at(WarmUpShape::Linear, second) - factor).abs() < 1e-12);
        }
        let after_one_constant = 1.0 + 2.0 * 0.367_879_441_171_442_33;
        assert!((at(WarmUpShape::Exponential, 60) - after_one_constant).abs() < 1e-12);
        assert!((at(WarmUpShape::Exponential, 600) - 1.0).abs() < 1e-12);
    }

    #[test]
    fn factors_multiply_and_no_factor_is_exact() {
        let work = 20_000_000;
        assert_eq!(Speed::WARM.service_nanos(work, 5, None), work);
        let warm_up = warm_up(WarmUpShape::Linear);
        let up_at = 1_000_000_000;
        let warm_at = Speed::warm_at(Some(&warm_up), up_at);
        let speed = Speed { slowdown: 2.0, up_at, warm_at, misbehaves_from: up_at, defect_slowdown: 1.5 };
        assert_eq!(speed.service_nanos(work, up_at, Some(&warm_up)), work * 9);
        assert_eq!(speed.service_nanos(work, warm_at, Some(&warm_up)), work * 3);
        assert_eq!(Speed::WARM.service_nanos(0, 5, None), 1, "time passes");
    }

    #[test]
    fn a_server_serves_then_lets_wait_then_refuses() {
        let mut server = Server::default();
        let mut admissions = Vec::new();
        for attempt in 0..4 {
            let admission = server.admission(2, 1);
            admissions.push(admission);
            match admission {
                Admission::Serve => server.begin(),
                Admission::Wait => server.wait(attempt),
                Admission::Refuse => {}
            }
        }
        assert_eq!(admissions, [Serve, Serve, Wait, Refuse]);
        server.end();
        assert_eq!(server.take_next(), Some(2));
        assert!(!server.is_idle());
    }
}
