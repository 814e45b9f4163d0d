//! Join-idle-queue: an endpoint that has nothing to do tells one balancer so, and that balancer sends it its next
//! request (Lu, Xie, Kliot, Geller, Larus, Greenberg: Join-Idle-Queue, Performance Evaluation 68, 2011). Whom an
//! endpoint tells, the engine decides; whom a balancer chooses while nobody has told it anything, its policy.

use super::Endpoint;
use std::collections::BTreeMap;

/// Endpoints that have told a balancer that they are idle; first told, first used.
#[derive(Clone, Debug, Default)]
pub(super) struct IdleQueue {
    queue: BTreeMap<u64, Endpoint>,
    /// By endpoint.
    states: Vec<State>,
    /// How many ever entered the queue.
    entered: u64,
}

#[derive(Clone, Copy, Debug, Default)]
struct State {
    /// It can be chosen.
    is_member: bool,
    /// It has told so and was not chosen since.
    is_idle: bool,
    /// Its place in the queue, while both hold.
    place: Option<u64>,
}

impl IdleQueue {
    /// An endpoint has nothing to do. It need not be a member; it waits in the queue while it is one.
    pub(super) fn tell(&mut self, endpoint: Endpoint) {
        self.change(endpoint, |state| state.is_idle = true);
    }

    /// An endpoint can be chosen.
    pub(super) fn join(&mut self, endpoint: Endpoint) {
        self.change(endpoint, |state| state.is_member = true);
    }

    /// An endpoint cannot be chosen until it joins again. If it is idle, it enters the queue at its end then.
    pub(super) fn leave(&mut self, endpoint: Endpoint) {
        self.change(endpoint, |state| state.is_member = false);
    }

    /// The one that has waited longest and is none of these.
    pub(super) fn first(&self, excluded: &[Endpoint]) -> Option<Endpoint> {
        self.queue.values().find(|endpoint| !excluded.contains(endpoint)).copied()
    }

    /// An endpoint is chosen: as far as this balancer knows it has something to do.
    pub(super) fn use_up(&mut self, endpoint: Endpoint) {
        self.change(endpoint, |state| state.is_idle = false);
    }

    fn change(&mut self, endpoint: Endpoint, change: impl FnOnce(&mut State)) {
        if endpoint.index() >= self.states.len() {
            self.states.resize(endpoint.index() + 1, State::default());
        }
        let state = &mut self.states[endpoint.index()];
        change(state);
        match (state.is_member && state.is_idle, state.place) {
            (true, None) => {
                self.queue.insert(self.entered, endpoint);
                state.place = Some(self.entered);
                self.entered += 1;
            }
            (false, Some(place)) => {
                self.queue.remove(&place);
                state.place = None;
            }
            (true, Some(_)) | (false, None) => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn queue(told: &[u32]) -> IdleQueue {
        let mut queue = IdleQueue::default();
        for endpoint in 0..4 {
            queue.join(Endpoint(endpoint));
        }
        for endpoint in told {
            queue.tell(Endpoint(*endpoint));
        }
        queue
    }

    #[track_caller]
    fn check(mut queue: IdleQueue, expected: &[u32]) {
        let mut order = Vec::new();
        while let Some(first) = queue.first(&[]) {
            queue.use_up(first);
            order.push(first.0);
        }
        assert_eq!(order, expected);
    }

    #[test]
    fn who_told_first_is_used_first_and_once() {
        check(queue(&[]), &[]);
        check(queue(&[2, 0, 2, 3]), &[2, 0, 3]);
        assert_eq!(queue(&[2, 0, 3]).first(&[Endpoint(2), Endpoint(0)]), Some(Endpoint(3)));
    }

    #[test]
    fn who_cannot_be_chosen_waits_outside_the_queue() {
        let mut gone = queue(&[2, 0, 3]);
        gone.leave(Endpoint(2));
        check(gone.clone(), &[0, 3]);
        gone.join(Endpoint(2));
        check(gone.clone(), &[0, 3, 2]);
        gone.leave(Endpoint(1));
        gone.tell(Endpoint(1));
        check(gone.clone(), &[0, 3, 2]);
        gone.join(Endpoint(1));
        check(gone, &[0, 3, 2, 1]);
    }
}
