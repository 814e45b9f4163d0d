//! From a client to an instance: which balancer, which endpoint, and what happens when nobody takes it.

use super::table::{Attempt, Knock, Request, State};
use super::{Ending, Engine};
use crate::balancer::{Ask, Endpoint, Pick, Trouble};
use crate::client::{LuckOf, luck};
use crate::fleet::InstanceId;
use crate::history::Cause;
use crate::random::{GOLDEN, mix};
use crate::scenario::Redispatch;
use crate::server::Admission;
use crate::time::nanos;
use std::cmp::Reverse;

/// Where an attempt goes.
#[derive(Debug)]
enum Route {
    /// This instance takes it.
    Taken { endpoint: Endpoint, instance: InstanceId, admission: Admission },
    /// It was refused there, and tries again at that moment.
    Again { endpoint: Endpoint, at: u64 },
    /// There is no answer, which is known at that moment; it has tried those before.
    Silence { endpoint: Endpoint, at: u64, tried: Vec<Endpoint> },
    /// Everybody has as much as allowed.
    Queue,
    /// Nobody takes it.
    Lost { cause: Cause, instance: Option<InstanceId> },
}

impl Engine<'_> {
    /// One attempt: to whom, and what becomes of it there.
    pub(super) fn send(&mut self, mut request: Request) {
        request.attempts += 1;
        self.history.attempts.sent += 1;
        let balancer = self.balancer_of(&request);
        let first = self.choose(&request, balancer, 0, &[]);
        // Nearly all attempts are taken by the first choice.
        if let Pick::To(endpoint) = first
            && let Knock::Taken(instance) = self.knock(endpoint)
        {
            let admission = self.admission(instance);
            if admission == Admission::Serve && self.serve_lazily(&request, balancer, instance) {
                return;
            }
            if admission == Admission::Refuse {
                self.note_trouble_at(balancer, endpoint, Trouble::Other);
                self.attempt_failed(request, balancer, Cause::QueueFull, Some(instance));
                return;
            }
            let now = self.now.nanos();
            let taken = Attempt { endpoint, instance, state: State::Waiting, ..Attempt::new(request, balancer, now) };
            let place = self.requests.attempts.keep(taken);
            self.balancers[usize::from(balancer)].opened(endpoint);
            self.enter_instance(place, admission);
            self.watch_the_clock(place);
            return;
        }
        self.send_on(request, balancer, first);
    }

    /// An attempt that the first choice does not take.
    #[cold]
    fn send_on(&mut self, request: Request, balancer: u16, first: Pick) {
        let mut attempt = Attempt::new(request, balancer, self.now.nanos());
        match self.route(&mut attempt, Some(first), Vec::new()) {
            Route::Lost { cause, instance } => self.attempt_failed(request, balancer, cause, instance),
            route => {
                let place = self.requests.attempts.keep(attempt);
                self.follow(place, route);
                self.watch_the_clock(place);
            }
        }
    }

    /// What would become of one more attempt at an instance.
    pub(super) fn admission(&self, instance: InstanceId) -> Admission {
        let lazy = self.requests.lazy.open(instance, self.now.nanos());
        self.desks[instance.index()].server.admission(&self.scenario.service, lazy)
    }

    /// Where a balancer sends an attempt that so many instances have refused.
    fn choose(&mut self, request: &Request, balancer: u16, refusals: u8, tried: &[Endpoint]) -> Pick {
        let choice = luck(request.luck, LuckOf::Choice, request.attempts);
        let luck = if refusals == 0 { choice } else { mix(choice ^ u64::from(refusals)) };
        let ask = Ask { luck, key: request.luck, tried };
        let (lazy, now) = (&self.requests.lazy, self.now.nanos());
        let more = |endpoint: Endpoint| lazy.open_through(balancer, InstanceId(endpoint.0), now);
        self.balancers[usize::from(balancer)].choose_by(&ask, now, more)
    }

    fn balancer_of(&self, request: &Request) -> u16 {
        self.pools.drawn(request.luck, request.attempts)
    }

    /// How an endpoint answers.
    pub(in crate::engine) fn knock(&self, endpoint: Endpoint) -> Knock {
        let Some(id) = self.occupant(endpoint) else { return Knock::Refused(None) };
        let desk = &self.desks[id.index()];
        if desk.phase.accepts() {
            Knock::Taken(id)
        } else if desk.is_silent {
            Knock::Silence(id)
        } else {
            Knock::Refused(Some(id))
        }
    }

    /// Chooses until somebody takes the attempt, as often as the balancer may; the first choice may have been made.
    fn route(&mut self, attempt: &mut Attempt, mut first: Option<Pick>, mut tried: Vec<Endpoint>) -> Route {
        let now = self.now.nanos();
        let connect = self.scenario.balancer.connect;
        let mut last = None;
        loop {
            let pick = first.take();
            let pick =
                pick.unwrap_or_else(|| self.choose(&attempt.request, attempt.balancer, attempt.refusals, &tried));
            let endpoint = match pick {
                Pick::To(endpoint) => endpoint,
                Pick::Full => return Route::Queue,
                Pick::Nobody if tried.is_empty() => return Route::Lost { cause: Cause::NoEndpoint, instance: None },
                Pick::Nobody => return Route::Lost { cause: Cause::StaleEndpoint, instance: last },
            };
            let refused_by = match self.knock(endpoint) {
                Knock::Taken(instance) => return self.admit(attempt, endpoint, instance),
                Knock::Silence(_) => return self.wait_in_vain(endpoint, tried),
                Knock::Refused(by) => by,
            };
            last = refused_by;
            if !self.may_try_again(attempt, endpoint) {
                return Route::Lost { cause: Cause::StaleEndpoint, instance: last };
            }
            if connect.redispatch == Redispatch::Same {
                return Route::Again { endpoint, at: now.saturating_add(nanos(connect.pause)) };
            }
            tried.push(endpoint);
        }
    }

    /// An endpoint did not take an attempt. Whether it may be tried again, there or elsewhere.
    fn may_try_again(&mut self, attempt: &mut Attempt, endpoint: Endpoint) -> bool {
        self.note_trouble_at(attempt.balancer, endpoint, Trouble::Connect);
        let connect = &self.scenario.balancer.connect;
        // At one and the same moment the same instance says the same again.
        let is_futile = connect.redispatch == Redispatch::Same && connect.pause.is_zero();
        attempt.refusals += 1;
        u32::from(attempt.refusals) <= connect.retries && !is_futile
    }

    fn admit(&mut self, attempt: &Attempt, endpoint: Endpoint, instance: InstanceId) -> Route {
        let admission = self.admission(instance);
        if admission == Admission::Refuse {
            self.note_trouble_at(attempt.balancer, endpoint, Trouble::Other);
            return Route::Lost { cause: Cause::QueueFull, instance: Some(instance) };
        }
        Route::Taken { endpoint, instance, admission }
    }

    /// What a route means for an attempt that has a place.
    fn follow(&mut self, place: u32, route: Route) {
        let attempt = &mut self.requests.attempts[place];
        let (balancer, which) = (usize::from(attempt.balancer), attempt.which(place));
        match route {
            Route::Taken { endpoint, instance, admission } => {
                (attempt.endpoint, attempt.instance, attempt.state) = (endpoint, instance, State::Waiting);
                self.balancers[balancer].opened(endpoint);
                self.enter_instance(place, admission);
            }
            Route::Again { endpoint, at } => {
                (attempt.endpoint, attempt.state) = (endpoint, State::Connecting);
                self.balancers[balancer].opened(endpoint);
                self.requests.tries.push(Reverse((at, which)));
            }
            Route::Silence { endpoint, at, tried } => {
                (attempt.endpoint, attempt.state) = (endpoint, State::Connecting);
                self.balancers[balancer].opened(endpoint);
                if !tried.is_empty() {
                    self.requests.tried.insert(place, tried);
                }
                self.requests.endings.push(Reverse((at, Ending::Silence, which)));
            }
            Route::Queue => {
                let (queue, waiting) = &mut self.requests.queues[balancer];
                if *waiting >= self.scenario.balancer.queue {
                    self.lose(place, Cause::QueueFull, None);
                    return;
                }
                attempt.state = State::Queued;
                queue.push_back(place);
                *waiting += 1;
                self.count_waiting(1);
            }
            Route::Lost { cause, instance } => self.lose(place, cause, instance),
        }
    }

    /// An attempt that is nowhere is over.
    fn lose(&mut self, place: u32, cause: Cause, instance: Option<InstanceId>) {
        let Attempt { request, balancer, .. } = self.requests.attempts[place];
        self.forget_time(place);
        self.requests.attempts.release(place);
        self.attempt_failed(request, balancer, cause, instance);
    }

    /// A further try at the same endpoint.
    pub(super) fn try_again(&mut self) {
        let Reverse((_, (_, place, generation))) = self.requests.tries.pop().expect("it was seen");
        let mut attempt = self.requests.attempts[place];
        if attempt.generation != generation || attempt.state != State::Connecting {
            return; // Its client has given up, or it was cut off.
        }
        let endpoint = attempt.endpoint;
        self.leave_endpoint(&attempt);
        let route = match self.knock(endpoint) {
            Knock::Taken(instance) => self.admit(&attempt, endpoint, instance),
            Knock::Silence(_) => self.wait_in_vain(endpoint, Vec::new()),
            Knock::Refused(instance) => self.after_refusal(&mut attempt, instance, Vec::new()),
        };
        self.requests.attempts[place] = attempt;
        self.follow(place, route);
    }

    /// Its balancer has waited long enough for an instance that does not even refuse.
    pub(super) fn silence_over(&mut self, place: u32) {
        let mut attempt = self.requests.attempts[place];
        self.leave_endpoint(&attempt);
        let instance = self.occupant(attempt.endpoint);
        let tried = self.requests.tried.remove(&place).unwrap_or_default();
        let route = self.after_refusal(&mut attempt, instance, tried);
        self.requests.attempts[place] = attempt;
        self.follow(place, route);
    }

    fn wait_in_vain(&self, endpoint: Endpoint, tried: Vec<Endpoint>) -> Route {
        let timeout = nanos(self.scenario.balancer.connect.timeout);
        Route::Silence { endpoint, at: self.now.nanos().saturating_add(timeout), tried }
    }

    /// Where an attempt goes that has waited for an endpoint in vain.
    fn after_refusal(&mut self, attempt: &mut Attempt, by: Option<InstanceId>, mut tried: Vec<Endpoint>) -> Route {
        let endpoint = attempt.endpoint;
        if !self.may_try_again(attempt, endpoint) {
            return Route::Lost { cause: Cause::StaleEndpoint, instance: by };
        }
        let connect = self.scenario.balancer.connect;
        if connect.redispatch == Redispatch::Same {
            return Route::Again { endpoint, at: self.now.nanos().saturating_add(nanos(connect.pause)) };
        }
        tried.push(endpoint);
        self.route(attempt, None, tried)
    }

    /// An attempt is not open at its endpoint any more.
    pub(super) fn leave_endpoint(&mut self, attempt: &Attempt) {
        self.balancers[usize::from(attempt.balancer)].closed(attempt.endpoint);
    }

    /// Sends on what waits in a balancer, as far as somebody may take it.
    pub(in crate::engine) fn serve_queue(&mut self, balancer: u16) {
        let index = usize::from(balancer);
        while let Some(place) = self.requests.queues[index].0.front().copied() {
            let mut attempt = self.requests.attempts[place];
            if attempt.state == State::QueuedForNobody {
                self.requests.queues[index].0.pop_front();
                self.requests.attempts.release(place);
                continue;
            }
            let refusals = attempt.refusals;
            let route = self.route(&mut attempt, None, Vec::new());
            let nobody = matches!(route, Route::Lost { cause: Cause::NoEndpoint, .. }) && attempt.refusals == refusals;
            if nobody || matches!(route, Route::Queue) {
                return; // It waits on.
            }
            self.requests.queues[index].0.pop_front();
            self.requests.queues[index].1 -= 1;
            self.count_waiting(-1);
            self.requests.attempts[place] = attempt;
            self.follow(place, route);
        }
    }

    /// Notes that an endpoint gave its balancer trouble, which may leave it out for a while.
    pub(in crate::engine) fn note_trouble_at(&mut self, balancer: u16, endpoint: Endpoint, trouble: Trouble) {
        let now = self.now.nanos();
        if let Some(ejected) = self.balancers[usize::from(balancer)].note_trouble(endpoint, trouble, now) {
            self.eject(balancer, endpoint, ejected);
        }
    }

    /// Whoever waits somewhere may see its time end, or its client's patience.
    fn watch_the_clock(&mut self, place: u32) {
        let attempt = &mut self.requests.attempts[place];
        if attempt.state == State::Free {
            return; // It was lost at once.
        }
        let due = attempt.due(self.requests.timeout);
        let waits = !attempt.state.is_in_service();
        // Where workers are shared nobody knows yet when a service ends.
        let ends_late = attempt.departs > due || self.shares_workers;
        if self.requests.timeout.is_some() && (waits || ends_late) {
            attempt.is_timed = true;
            self.requests.due.push(place);
        }
        if let Some(patience) = self.scenario.client.patience.as_ref().filter(|_| waits) {
            let own = luck(attempt.request.luck, LuckOf::Patience, attempt.request.attempts);
            let at = attempt.sent.saturating_add(nanos(patience.by_luck(own.wrapping_mul(GOLDEN | 1))));
            self.requests.endings.push(Reverse((at, Ending::Patience, attempt.which(place))));
        }
    }
}
