//! The ledger: what became of each request.

use super::Engine;
use super::records::{Answered, Part};
use super::table::{Attempt, Mark, Request, State, WARM_UP};
use crate::client::{LuckOf, luck, pause_nanos};
use crate::fleet::{InstanceId, Version};
use crate::history::{Cause, ClassCounts, Delayed, End, Ended, Harm, HarmKey, Ledger, Window};
use crate::server::Slowing;
use crate::time::SimTime;
use std::cmp::Reverse;

impl Engine<'_> {
    pub(super) fn count_arrival(&mut self, request: &Request) {
        self.history.ledger.arrivals += 1;
        self.count(request, |ledger| ledger.arrivals += 1);
    }

    /// Counts something of a request wherever requests of its time and class are counted.
    fn count(&mut self, request: &Request, count: impl Fn(&mut Ledger)) {
        if let Some(window) = self.window_of(request.arrived) {
            count(&mut window.all.ledger);
            if let Some(class) = window.classes.get_mut(usize::from(request.class)) {
                count(&mut class.ledger);
            }
        }
        if request.interval != WARM_UP {
            count(&mut self.history.intervals[request.interval as usize].ledger);
        }
    }

    fn window_of(&mut self, arrived: u64) -> Option<&mut Window> {
        if arrived >= self.requests.window_from {
            Some(&mut self.history.window)
        } else if arrived >= self.requests.baseline_from {
            Some(&mut self.history.baseline)
        } else {
            None
        }
    }

    /// The service of an attempt of the observation window began after such a wait.
    pub(super) fn count_wait(&mut self, waited: u64) {
        let waits = &mut self.history.window.waits;
        waits.begun += 1;
        if waited > 0 {
            waits.waited += 1;
            waits.sum += u128::from(waited);
            waits.waits.record((waited + 500) / 1000).expect("the histogram grows");
        }
    }

    /// A request was answered well.
    pub(super) fn served(&mut self, attempt: &Attempt) {
        let request = &attempt.request;
        let version = self.desks[attempt.instance.index()].version;
        let latency = self.now.nanos() - request.arrived;
        let (part, is_late) = (self.part_of(request.arrived), self.is_late(request.class, latency));
        self.remember_version(version);
        self.requests.restraint.note_served();
        if request.attempts > 1 {
            self.requests.restraint.end_retry();
        }
        self.measure::<false>(&request.mark(), latency, is_late);
        self.count_answered(version, &Answered { late: u64::from(is_late), ..Answered::of(part, 1) });
        if is_late && part == Some(Part::Observed) {
            self.note_harm(Harm::Late(self.delayed_by(attempt)), request, Some(attempt.instance));
        }
        self.log(request, Ok(attempt.instance));
        self.requests.ask_again(request, self.now.nanos());
    }

    /// Which window a request belongs to that arrived at that moment.
    #[inline]
    pub(super) fn part_of(&self, arrived: u64) -> Option<Part> {
        self.requests.part_of(arrived)
    }

    /// Whether a request of a class that took so long is later than its target.
    #[inline]
    pub(super) fn is_late(&self, class: u8, latency: u64) -> bool {
        latency > self.requests.targets[usize::from(class)]
    }

    /// Counts how long a request took that is answered well; `BACK`: takes that back.
    #[inline]
    pub(super) fn measure<const BACK: bool>(&mut self, request: &Mark, latency: u64, is_late: bool) {
        let micros = (latency + 500) / 1000;
        if let Some(part) = self.part_of(request.arrived) {
            let window = match part {
                Part::Observed => &mut self.history.window,
                Part::Baseline => &mut self.history.baseline,
            };
            let count = |counts: &mut ClassCounts| {
                if BACK {
                    counts.late -= u64::from(is_late);
                    counts.latency_sum -= u128::from(latency);
                } else {
                    counts.late += u64::from(is_late);
                    counts.latency_sum += u128::from(latency);
                }
            };
            count(&mut window.all);
            if let Some(class) = window.classes.get_mut(usize::from(request.class)) {
                count(class);
            }
            self.requests.records.record::<BACK>(part, request.class, micros);
        }
        if request.interval != WARM_UP {
            self.requests.records.record_in::<BACK>(request.interval, micros);
        }
    }

    /// Counts requests that a version has answered well.
    #[inline]
    pub(super) fn count_answered(&mut self, version: Version, answered: &Answered) {
        self.history.ledger.served += answered.all;
        let answers = &mut self.answers[version.index()];
        answers.good += answered.all;
        answers.late += answered.late;
        self.history.baseline.served_by[version.index()] += answered.baseline;
        self.history.window.served_by[version.index()] += answered.observed;
    }

    /// Takes that back.
    pub(super) fn discount_answered(&mut self, version: Version, answered: &Answered) {
        self.history.ledger.served -= answered.all;
        let answers = &mut self.answers[version.index()];
        answers.good -= answered.all;
        answers.late -= answered.late;
        self.history.baseline.served_by[version.index()] -= answered.baseline;
        self.history.window.served_by[version.index()] -= answered.observed;
    }

    /// What took most of a request's time, which ends now.
    pub(super) fn delayed_by(&self, attempt: &Attempt) -> Delayed {
        let Attempt { request, sent, begun, departs, slowing, .. } = attempt;
        let alone = departs - begun;
        let slowed = alone.saturating_sub(request.work);
        let shared = (self.now.nanos() - begun).saturating_sub(alone);
        let waited = begun - sent;
        let was_refused = attempt.refusals > 0;
        let parts = [
            (sent - request.arrived, Delayed::Retried),
            (if was_refused { waited } else { 0 }, Delayed::Connecting),
            (if was_refused { shared } else { waited + shared }, Delayed::Waiting),
            (slowed, if *slowing == Slowing::Cold { Delayed::Cold } else { Delayed::Slow }),
            (alone - slowed, Delayed::Work),
        ];
        let most = parts.into_iter().fold((0, Delayed::Work), |most, part| if part.0 > most.0 { part } else { most });
        most.1
    }

    /// An attempt failed: it is repeated after a pause, or the request is lost.
    pub(super) fn attempt_failed(&mut self, request: Request, pool: u16, cause: Cause, id: Option<InstanceId>) {
        self.history.attempts.failed[cause.index()] += 1;
        let served_by = id.map(|id| self.desks[id.index()].version);
        if let Some(version) = self.pools.version_of(pool).or(served_by) {
            self.answers[version.index()].failed += 1;
        }
        if request.attempts > 1 {
            self.requests.restraint.end_retry();
        }
        self.requests.restraint.note_failed();
        let retries = &self.scenario.client.retries;
        if u32::from(request.attempts) < retries.attempts.get() && self.may_retry() {
            let jitter = luck(request.luck, LuckOf::Jitter, request.attempts);
            let at = self.now.nanos().saturating_add(pause_nanos(retries, request.attempts, jitter));
            self.requests.retries.push(Reverse((at, request)));
            return;
        }
        self.history.ledger.lost[cause.index()] += 1;
        self.count(&request, |ledger| ledger.lost[cause.index()] += 1);
        if request.arrived >= self.requests.window_from {
            self.history.first_lost_at.get_or_insert(self.now);
            self.note_harm(Harm::Lost(cause), &request, id);
        }
        self.log(&request, Err(cause));
        self.requests.ask_again(&request, self.now.nanos());
    }

    /// Writes down who served a request, or why it was lost, if anybody wants to know.
    fn log(&mut self, request: &Request, served_by: Result<InstanceId, Cause>) {
        if !self.scenario.study.keeps_log {
            return;
        }
        let how = match served_by {
            Ok(id) => End::Served(self.fleet[id].slot),
            Err(cause) => End::Lost(cause),
        };
        self.history.log.push(Ended { arrived: SimTime::from_nanos(request.arrived), at: self.now, how });
    }

    fn may_retry(&mut self) -> bool {
        let ledger = &self.history.ledger;
        let open = ledger.arrivals - ledger.served - ledger.lost_in_all();
        self.requests.restraint.allows(open)
    }

    pub(super) fn note_harm(&mut self, harm: Harm, request: &Request, id: Option<InstanceId>) {
        let instance = id.map(|id| &self.fleet[id]);
        let key = HarmKey {
            harm,
            version: instance.map(|instance| instance.version),
            step: self.rollout.step,
            zone: instance.map(|instance| instance.zone),
            class: request.class,
        };
        *self.history.harm.entry(key).or_default() += 1;
    }

    /// What has not ended is open.
    pub(in crate::engine) fn close_the_ledger(&mut self) {
        self.sample_load((SimTime::START + self.scenario.study.ends_at()).nanos());
        let open_now = self.requests.attempts.count(|attempt| attempt.state.has_client());
        self.history.attempts.open = open_now as u64;
        self.requests.records.add_to(&mut self.history);
        self.history.attempts.succeeded = self.history.ledger.served;
        let close = |ledger: &mut Ledger| {
            ledger.open = ledger.arrivals - ledger.served - ledger.lost_in_all();
        };
        close(&mut self.history.ledger);
        for window in [&mut self.history.baseline, &mut self.history.window] {
            close(&mut window.all.ledger);
            window.classes.iter_mut().for_each(|class| close(&mut class.ledger));
        }
        for interval in &mut self.history.intervals {
            close(&mut interval.ledger);
        }
        if cfg!(debug_assertions) {
            self.check_the_books(open_now);
        }
    }

    /// Every request has one fate, every worker serves one attempt, and no work is lost or done twice.
    fn check_the_books(&mut self, open_now: usize) {
        let now = self.now.nanos();
        for place in self.requests.attempts.all(|attempt| attempt.state.is_in_service()) {
            let attempt = self.requests.attempts[place];
            self.requests.note_work(attempt.begun, now);
        }
        let requests = &self.requests;
        let open_requests = open_now + requests.retries.len();
        debug_assert_eq!(self.history.ledger.open, open_requests as u64, "every request has one fate");
        debug_assert!(self.history.attempts.balances(), "every attempt has one end");
        let in_service = requests.attempts.count(|attempt| attempt.state.is_in_service()) as u64;
        debug_assert!(self.shares_workers || in_service == requests.busy, "a worker serves one attempt");
        let busy = requests.busy_time + i128::from(requests.busy) * i128::from(now);
        let served = requests.served_time;
        debug_assert!(self.shares_workers || busy == served, "workers served for {busy} ns, attempts for {served}");
        let waits = |state: State| state == State::Queued || state.waits_at_instance();
        let waiting = requests.attempts.count(|attempt| waits(attempt.state)) as u64;
        debug_assert_eq!(waiting, requests.waiting, "whoever waits is counted once");
        if let (Some(thinking), Some(users)) = (requests.source.thinking(), requests.source.users()) {
            debug_assert_eq!(thinking as u64 + open_requests as u64, users, "a user thinks or is served");
        }
    }
}
