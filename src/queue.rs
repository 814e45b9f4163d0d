//! What next: the queue of control-plane events, ordered by a rule of the domain.

use crate::time::SimTime;
use crate::wheel::Wheel;

/// How far apart events are in a large fleet, nanoseconds: much less or much more only takes longer.
const APART: f64 = 1e5;

/// Events in the order (time, event). Events of one moment come in the order of the event type itself (kind, then
/// subject), not in the order of scheduling, so that any engine can keep the same order.
#[derive(Clone, Debug)]
pub struct EventQueue<E> {
    /// The next one, once somebody has asked when it comes.
    next: Option<(u64, E)>,
    later: Wheel<E>,
}

impl<E: Copy + Ord> EventQueue<E> {
    /// A queue without events.
    pub fn new() -> Self {
        EventQueue { next: None, later: Wheel::new(APART) }
    }

    /// Adds an event.
    pub fn schedule(&mut self, at: SimTime, event: E) {
        let event = (at.nanos(), event);
        let (at, what) = match &mut self.next {
            Some(next) if event < *next => std::mem::replace(next, event),
            _ => event,
        };
        self.later.insert(at, what);
    }

    /// The moment of the next event; `SimTime::NEVER` when there is none.
    #[inline]
    pub fn next_time(&mut self) -> SimTime {
        if self.next.is_none() {
            self.next = self.later.pop();
        }
        self.next.map_or(SimTime::NEVER, |(at, _)| SimTime::from_nanos(at))
    }

    /// Events that are near, in no order, each once; not all of them.
    pub fn pop_near(&mut self) -> Option<E> {
        self.later.pop_near()
    }

    /// The next event if it is due at `now` or before. What comes later is left alone, for more may be added before it.
    pub fn pop_due(&mut self, now: SimTime) -> Option<E> {
        let next = match self.next {
            Some(_) => self.next.take_if(|(at, _)| *at <= now.nanos()),
            None => self.later.pop_until(now.nanos()),
        };
        next.map(|(_, event)| event)
    }
}

impl<E: Copy + Ord> Default for EventQueue<E> {
    fn default() -> Self {
        EventQueue::new()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn events_of_one_moment_come_in_their_own_order() {
        let at = SimTime::from_nanos(5);
        let mut queue = EventQueue::new();
        for event in [3, 1, 2] {
            queue.schedule(at, event);
        }
        queue.schedule(SimTime::from_nanos(4), 9);
        let order: Vec<i32> = std::iter::from_fn(|| queue.pop_due(at)).collect();
        assert_eq!(order, [9, 1, 2, 3]);
        assert_eq!(queue.next_time(), SimTime::NEVER);
    }
}
