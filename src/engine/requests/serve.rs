//! In an instance: the queue, the service, and all ways in which they end.

use super::table::{Attempt, Request, State, WARM_UP};
use super::{Departure, Ending, Engine};
use crate::balancer::{Endpoint, Trouble};
use crate::client::{LuckOf, luck};
use crate::fleet::{InstanceId, Phase};
use crate::history::Cause;
use crate::random::unit;
use crate::server::{Admission, Server, Slowing};
use crate::time::nanos;
use std::cmp::Reverse;

impl Engine<'_> {
    /// An attempt that an instance takes is served at once, or waits.
    pub(super) fn enter_instance(&mut self, place: u32, admission: Admission) {
        match admission {
            Admission::Serve => self.begin(place),
            Admission::Wait => {
                let id = self.requests.attempts[place].instance;
                self.call_at_next_end(id); // Then whoever waits goes on.
                let Server::Fifo(fifo) = &mut self.desks[id.index()].server else {
                    unreachable!("nobody waits where workers are shared")
                };
                fifo.wait(place);
                self.count_waiting(1);
            }
            Admission::Refuse => unreachable!("it was not taken"),
        }
    }

    pub(super) fn count_waiting(&mut self, change: i64) {
        self.requests.waiting = self.requests.waiting.wrapping_add_signed(change);
        if change > 0 && self.now.nanos() >= self.requests.window_from && !self.is_window_over() {
            let waiting = self.requests.waiting + self.requests.lazy.lines.waiting(self.now.nanos());
            self.history.most_waiting = self.history.most_waiting.max(waiting);
        }
    }

    /// The service of an attempt begins.
    fn begin(&mut self, place: u32) {
        let now = self.now.nanos();
        let attempt = &mut self.requests.attempts[place];
        let id = attempt.instance;
        let desk = &mut self.desks[id.index()];
        let warm_up = self.scenario.release.warm_up.as_ref();
        // A check costs what it costs, however warm the instance is.
        let (service, slowing) = match attempt.state {
            State::CheckWaiting => (attempt.request.work, Slowing::None),
            _ => desk.speed.begin(attempt.request.work, now, warm_up),
        };
        attempt.begun = now;
        attempt.departs = now.saturating_add(service);
        attempt.slowing = slowing;
        attempt.state = match attempt.state {
            State::Waiting => State::InService,
            State::WaitingForNobody => State::ServedForNobody,
            State::CheckWaiting => State::CheckInService,
            other => unreachable!("an attempt in state {other:?} cannot be served"),
        };
        let (departs, waited) = (attempt.departs, now - attempt.sent);
        let counts = attempt.state == State::InService && attempt.request.arrived >= self.requests.window_from;
        match &mut desk.server {
            Server::Fifo(fifo) => {
                fifo.begin();
                self.requests.lazy.note_others(id, fifo.busy());
                self.requests.count_busy(1, now);
                self.requests.departures.push(Reverse(Departure::new(departs, id, place)));
            }
            Server::Sharing(sharing) => {
                let workers = self.scenario.service.workers.get();
                sharing.begin(place, service, workers, now);
                self.requests.count_busy(i64::from(sharing.len() as u32 <= workers), now);
                self.foretell(id);
            }
        }
        if counts {
            self.count_wait(waited);
        }
    }

    /// Whoever ends first where workers are shared.
    fn foretell(&mut self, id: InstanceId) {
        let Server::Sharing(sharing) = &self.desks[id.index()].server else { return };
        if let Some(at) = sharing.next_end(self.scenario.service.workers.get()) {
            self.requests.departures.push(Reverse(Departure::new(at, id, sharing.changes())));
        }
    }

    /// A service ends.
    pub(super) fn depart(&mut self) {
        let Reverse(departure) = self.requests.departures.pop().expect("it was seen");
        let (at, id) = (departure.at(), departure.instance());
        if departure.what() == Departure::CALL {
            self.called(id);
            return;
        }
        let workers = self.scenario.service.workers.get();
        let place = match &mut self.desks[id.index()].server {
            Server::Fifo(_) => {
                let attempt = &self.requests.attempts[departure.what()];
                if !attempt.state.is_in_service() || attempt.departs != at || attempt.instance != id {
                    return; // It ended otherwise, and the place may be another attempt's by now.
                }
                departure.what()
            }
            Server::Sharing(sharing) => {
                if departure.what() != sharing.changes() {
                    return; // Somebody came or went since.
                }
                sharing.end(workers, at)
            }
        };
        let attempt = self.requests.attempts[place];
        debug_assert!(attempt.state.is_in_service() && attempt.instance == id, "{id:?} ends {attempt:?}");
        let phase = self.desks[id.index()].phase;
        debug_assert!(phase.accepts() || phase == Phase::Stopping, "{id:?} serves at {:?} and is {phase:?}", self.now);
        self.free_worker(&attempt);
        self.forget_time(place);
        self.requests.attempts.release(place);
        if attempt.state == State::InService {
            self.leave_endpoint(&attempt);
        }
        // Who waits here comes before anybody whom the answer lets in.
        self.go_on(id);
        match attempt.state {
            State::InService => self.answered(&attempt),
            State::CheckInService => self.check_answered(attempt.balancer, attempt.endpoint),
            _ => {}
        }
    }

    /// The service of an attempt is over; where workers are shared, it has left already.
    fn free_worker(&mut self, attempt: &Attempt) {
        let (id, now) = (attempt.instance, self.now.nanos());
        self.requests.note_work(attempt.begun, now);
        match &mut self.desks[id.index()].server {
            Server::Fifo(fifo) => {
                fifo.end();
                self.requests.lazy.note_others(id, fifo.busy());
                self.requests.count_busy(-1, now);
            }
            Server::Sharing(sharing) => {
                let workers = self.scenario.service.workers.get();
                self.requests.count_busy(-i64::from((sharing.len() as u32) < workers), now);
                self.foretell(id);
            }
        }
    }

    /// A worker takes the next one from the queue; or nothing is left to do.
    pub(super) fn go_on(&mut self, id: InstanceId) {
        while let Some(next) = self.take_next(id) {
            let attempt = self.requests.attempts[next];
            let limit = self.scenario.service.shed_after.map_or(u64::MAX, nanos);
            if self.now.nanos() - attempt.sent <= limit || attempt.state == State::CheckWaiting {
                self.begin(next);
                return;
            }
            if attempt.state.has_client() {
                self.left_by_client(next);
                self.note_trouble_at(attempt.balancer, attempt.endpoint, Trouble::Other);
                self.attempt_failed(attempt.request, attempt.balancer, Cause::Shed, Some(id));
            }
            self.requests.attempts.release(next);
        }
        if self.desks[id.index()].server.is_idle() {
            self.became_idle(id);
        }
    }

    fn take_next(&mut self, id: InstanceId) -> Option<u32> {
        let Server::Fifo(fifo) = &mut self.desks[id.index()].server else { return None };
        let attempts = &mut self.requests.attempts;
        let next = fifo.take_next(|place| {
            let has_left = attempts[place].state == State::Left;
            if has_left {
                attempts.release(place);
            }
            has_left
        })?;
        self.count_waiting(-1);
        Some(next)
    }

    fn became_idle(&mut self, id: InstanceId) {
        match self.desks[id.index()].phase {
            Phase::Stopping => self.finished_last_request(id),
            Phase::Draining => self.may_end_the_drain(id),
            _ => self.tell_of_idleness(id),
        }
    }

    /// A service is over, and its client is there.
    fn answered(&mut self, attempt: &Attempt) {
        let id = attempt.instance;
        let request = &attempt.request;
        let failure = if self.is_defect_hit(id, luck(request.luck, LuckOf::Error, request.attempts)) {
            self.note_trouble();
            Some(Cause::Defect)
        } else if self.is_common_error(request) {
            Some(Cause::Error)
        } else {
            self.misfit(id, request.luck, request.attempts)
        };
        if matches!(failure, Some(Cause::WrongSchema | Cause::WrongVersion)) {
            self.note_trouble();
        }
        if let Some(cause) = failure {
            self.note_trouble_at(attempt.balancer, attempt.endpoint, Trouble::Other);
            self.attempt_failed(attempt.request, attempt.balancer, cause, Some(id));
        } else {
            let now = self.now.nanos();
            let balancer = &mut self.balancers[usize::from(attempt.balancer)];
            balancer.note_answer(attempt.endpoint, now - attempt.sent, now);
            self.served(attempt);
        }
        self.room_at(attempt.balancer);
    }

    #[inline]
    pub(super) fn is_common_error(&self, request: &Request) -> bool {
        let rate = self.scenario.service.error_rate;
        rate > 0.0 && unit(luck(request.luck, LuckOf::CommonError, request.attempts)) < rate
    }

    /// Something was closed; a balancer that held requests back may have room for one.
    fn room_at(&mut self, balancer: u16) {
        if self.requests.queues[usize::from(balancer)].1 > 0 {
            self.serve_queue(balancer);
        }
    }

    /// An attempt's time is over.
    pub(super) fn time_out(&mut self) {
        let place = self.requests.due.first().expect("it was seen");
        let cause = match self.requests.attempts[place].state {
            State::Waiting | State::Queued => Cause::TimedOutWaiting,
            State::Connecting => Cause::StaleEndpoint,
            State::InService => Cause::TimedOutInService,
            other => unreachable!("an attempt in state {other:?} has no client"),
        };
        self.client_gives_up(place, cause);
    }

    /// A wait or a client's patience is over.
    pub(super) fn come_to_an_end(&mut self) {
        let Reverse((_, ending, (_, place, generation))) = self.requests.endings.pop().expect("it was seen");
        let attempt = &self.requests.attempts[place];
        if attempt.generation != generation {
            return;
        }
        match (ending, attempt.state) {
            (Ending::Silence, State::Connecting) => self.silence_over(place),
            (Ending::Patience, State::Waiting | State::Queued | State::Connecting) => {
                self.client_gives_up(place, Cause::Abandoned);
            }
            _ => {} // It is being served, or over.
        }
    }

    /// A client gives up. The instance notices only where clients cancel.
    fn client_gives_up(&mut self, place: u32, cause: Cause) {
        let attempt = self.requests.attempts[place];
        let cancels = self.scenario.client.cancels;
        let instance = attempt.state.is_at_instance().then_some(attempt.instance);
        match attempt.state {
            State::Connecting => {
                self.left_by_client(place);
                self.requests.tried.remove(&place);
                self.requests.attempts.release(place);
            }
            State::Queued => {
                self.forget_time(place);
                self.requests.attempts[place].state = State::QueuedForNobody;
                self.requests.queues[usize::from(attempt.balancer)].1 -= 1;
                self.count_waiting(-1);
            }
            State::Waiting => {
                self.left_by_client(place);
                if cancels {
                    self.leave_the_queue(place);
                } else {
                    self.requests.attempts[place].state = State::WaitingForNobody;
                }
            }
            State::InService => {
                self.left_by_client(place);
                if cancels {
                    self.break_off(place);
                } else {
                    self.requests.attempts[place].state = State::ServedForNobody;
                }
            }
            other => unreachable!("an attempt in state {other:?} has no client"),
        }
        if attempt.state.is_at_instance() {
            self.note_trouble_at(attempt.balancer, attempt.endpoint, Trouble::Other);
        }
        self.attempt_failed(attempt.request, attempt.balancer, cause, instance);
        self.room_at(attempt.balancer);
    }

    fn leave_the_queue(&mut self, place: u32) {
        self.requests.attempts[place].state = State::Left;
        let id = self.requests.attempts[place].instance;
        let Server::Fifo(fifo) = &mut self.desks[id.index()].server else {
            unreachable!("nobody waits where workers are shared")
        };
        let attempts = &mut self.requests.attempts;
        fifo.leave(|place| {
            let has_left = attempts[place].state == State::Left;
            if has_left {
                attempts.release(place);
            }
            has_left
        });
        self.count_waiting(-1);
    }

    /// A service ends before its time.
    fn break_off(&mut self, place: u32) {
        let attempt = self.requests.attempts[place];
        let id = attempt.instance;
        if let Server::Sharing(sharing) = &mut self.desks[id.index()].server {
            sharing.leave(place, self.scenario.service.workers.get(), self.now.nanos());
        }
        self.requests.attempts.release(place);
        self.free_worker(&attempt);
        self.go_on(id);
    }

    /// An attempt is over for its client and for the balancer.
    fn left_by_client(&mut self, place: u32) {
        self.forget_time(place);
        let attempt = &self.requests.attempts[place];
        self.balancers[usize::from(attempt.balancer)].closed(attempt.endpoint);
    }

    /// Nobody waits for an attempt's time to be over.
    pub(super) fn forget_time(&mut self, place: u32) {
        if std::mem::take(&mut self.requests.attempts[place].is_timed) {
            self.requests.due.remove(place);
        }
    }

    /// Everything at an instance is lost: its process is gone.
    pub(in crate::engine) fn lose_all_at(&mut self, id: InstanceId, cause: Cause) {
        self.foresee_departures(id);
        if self.desks[id.index()].server.is_idle() && !self.has_entries(id) {
            return;
        }
        let now = self.now.nanos();
        let desk = &mut self.desks[id.index()];
        self.requests.count_busy(-i64::from(desk.server.busy(self.scenario.service.workers.get())), now);
        desk.server.clear();
        self.requests.lazy.note_others(id, 0);
        let there = |attempt: &Attempt| attempt.state.is_at_instance() && attempt.instance == id;
        let mut balancers = Vec::new();
        for place in self.requests.attempts.all(there) {
            let attempt = self.requests.attempts[place];
            if attempt.state.waits_at_instance() {
                self.count_waiting(-1);
            } else if attempt.state.is_in_service() {
                self.requests.note_work(attempt.begun, now);
            }
            if attempt.state.has_client() {
                self.left_by_client(place);
                self.requests.attempts.release(place);
                self.note_trouble_at(attempt.balancer, attempt.endpoint, Trouble::Other);
                self.attempt_failed(attempt.request, attempt.balancer, cause, Some(id));
                balancers.push(attempt.balancer);
            } else {
                self.requests.attempts.release(place);
                if matches!(attempt.state, State::CheckWaiting | State::CheckInService) {
                    self.check_failed(attempt.balancer, attempt.endpoint);
                }
            }
        }
        balancers.sort_unstable();
        balancers.dedup();
        for balancer in balancers {
            self.room_at(balancer);
        }
    }

    /// Whether entries of those who left are still in an instance's queue.
    fn has_entries(&self, id: InstanceId) -> bool {
        matches!(&self.desks[id.index()].server, Server::Fifo(fifo) if fifo.has_entries())
    }

    /// A balancer closes what it has open at an endpoint; the instance works on for nobody.
    pub(in crate::engine) fn cut_open_requests(&mut self, balancer: u16, endpoint: Endpoint) {
        self.foresee_departures(InstanceId(endpoint.0)); // Where endpoints are places, nothing is lazy.
        if self.balancers[usize::from(balancer)].open(endpoint) == 0 {
            return;
        }
        let is_open = |attempt: &Attempt| {
            let at_endpoint = matches!(attempt.state, State::Connecting | State::Waiting | State::InService);
            at_endpoint && attempt.balancer == balancer && attempt.endpoint == endpoint
        };
        for place in self.requests.attempts.all(is_open) {
            let attempt = self.requests.attempts[place];
            self.left_by_client(place);
            match attempt.state {
                State::Waiting => self.requests.attempts[place].state = State::WaitingForNobody,
                State::InService => self.requests.attempts[place].state = State::ServedForNobody,
                _ => {
                    self.requests.tried.remove(&place);
                    self.requests.attempts.release(place);
                }
            }
            let instance = attempt.state.is_at_instance().then_some(attempt.instance);
            self.attempt_failed(attempt.request, attempt.balancer, Cause::CutOff, instance);
        }
        self.room_at(balancer);
    }

    // --- health checks that wait like requests
    // -----------------------------------------------------------------------

    /// Sends a check into an instance's queue. Which attempt it is; `None` where it was refused.
    pub(in crate::engine) fn send_check(
        &mut self,
        balancer: u16,
        endpoint: Endpoint,
        instance: InstanceId,
        work: u64,
    ) -> Option<(u32, u32)> {
        let admission = self.admission(instance);
        if admission == Admission::Refuse {
            return None;
        }
        let now = self.now.nanos();
        let nobody =
            Request { number: u64::MAX, arrived: now, work, luck: 0, interval: WARM_UP, attempts: 0, class: 0 };
        let check = Attempt { endpoint, instance, state: State::CheckWaiting, ..Attempt::new(nobody, balancer, now) };
        let place = self.requests.attempts.keep(check);
        self.enter_instance(place, admission);
        Some((place, self.requests.attempts[place].generation))
    }

    /// An answer to a check has not come in time: whoever works on it works for nobody. Whether that is news.
    pub(in crate::engine) fn check_is_late(&mut self, (place, generation): (u32, u32)) -> Option<(u16, Endpoint)> {
        let attempt = &mut self.requests.attempts[place];
        if attempt.generation != generation {
            return None;
        }
        attempt.state = match attempt.state {
            State::CheckWaiting => State::WaitingForNobody,
            State::CheckInService => State::ServedForNobody,
            _ => return None, // It was answered.
        };
        Some((attempt.balancer, attempt.endpoint))
    }
}
