//! What next: the queue of control-plane events, ordered by a rule of the domain.

use crate::time::SimTime;
use std::cmp::Reverse;
use std::collections::BinaryHeap;

/// Events in the order (time, event). Events of one moment come in the order of the event type itself (kind, then
/// subject), not in the order of scheduling, so that any engine can keep the same order.
#[derive(Clone, Debug)]
pub struct EventQueue<E> {
    heap: BinaryHeap<Reverse<(SimTime, E)>>,
}

impl<E: Ord> EventQueue<E> {
    /// A queue without events.
    pub fn new() -> Self {
        EventQueue { heap: BinaryHeap::new() }
    }

    /// Adds an event.
    pub fn schedule(&mut self, at: SimTime, event: E) {
        self.heap.push(Reverse((at, event)));
    }

    /// The moment of the next event; `SimTime::NEVER` when there is none.
    pub fn next_time(&self) -> SimTime {
        self.heap.peek().map_or(SimTime::NEVER, |Reverse((at, _))| *at)
    }

    /// The next event if it is due at `now` or before.
    pub fn pop_due(&mut self, now: SimTime) -> Option<E> {
        if self.next_time() > now {
            return None;
        }
        self.heap.pop().map(|Reverse((_, event))| event)
    }
}

impl<E: Ord> Default for EventQueue<E> {
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
