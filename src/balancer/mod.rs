//! Which endpoint gets a request: one balancer with a view of its own, and whom it chooses.
//!
//! What a balancer believes lags behind the fleet; the engine brings it the news, the answers, the failures and the
//! results of its checks, and asks it. A balancer draws nothing: every request brings its own luck.
//!
//! | who | are |
//! |---|---|
//! | listed | those that it was told of |
//! | members | its subset of these (`subset`); all of them without one |
//! | good | members that pass its checks, are not ejected, and are not busy with the one request that tries them afterwards (`health`) |
//! | usable | the good ones; all members while it panics |
//! | chosen from | usable ones with fewer open requests than `max_connections`, by its `policy` |
//!
//! It panics while a smaller share of the members than `panic_threshold` is good (Envoy, "Panic threshold"). While
//! nobody is usable, endpoints on their way out can be a last resort (Kubernetes' kube-proxy, KEP-1669 "Proxy
//! terminating endpoints"): any of them, at random.
//!
//! Policies, a file each: `turns` (round robin), `lots` (random, and the candidates of least-request and peak-EWMA),
//! `least` and `line` (least connections, ties at random
//! or in turns), `idle` (join-idle-queue), `ewma` (peak EWMA), `ring` (consistent hashing). `weight`
//! and `slow_start` say how much of the traffic an endpoint gets.

mod ewma;
mod health;
mod idle;
mod least;
mod line;
mod lots;
mod policy;
mod ring;
mod slow_start;
mod subset;
#[cfg(test)]
mod tests;
mod turns;
mod usable;
mod weight;

use crate::random::{GOLDEN, mix};
use crate::scenario::{self, Failures, Redispatch};
use crate::wide::{Compare, fetch, fetch_whole};
pub(crate) use least::Fewest;
use lots::{Lots, Peers};
use policy::Policy;
use slow_start::Newcomers;
pub(crate) use slow_start::share as slow_start_share;
use std::collections::BTreeSet;
use subset::{Change, Subset};
use usable::{Role, Standing};
use weight::{Cost, Weight};

/// Where a balancer sends requests: an instance or, with static discovery, a place of the service, whoever stands
/// there.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Endpoint(pub u32);

impl Endpoint {
    /// The position in a table by endpoint.
    pub const fn index(self) -> usize {
        self.0 as usize
    }
}

/// What a request shows a balancer.
#[derive(Clone, Copy, Debug)]
pub struct Ask<'a> {
    /// 64 random bits of this attempt.
    pub luck: u64,
    /// 64 random bits of the request, the same for all its attempts: its key.
    pub key: u64,
    /// Endpoints that this attempt has tried already, the last one last.
    pub tried: &'a [Endpoint],
}

/// Where a request goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pick {
    /// There.
    To(Endpoint),
    /// Everybody usable has as many open requests as allowed.
    Full,
    /// Nobody is usable.
    Nobody,
}

/// Why an attempt at an endpoint failed, as its balancer sees it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Trouble {
    /// It did not take the request.
    Connect,
    /// Anything else.
    Other,
}

/// An endpoint is left out for a while.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ejected {
    /// How many times it has been by now since it was listed; 1 is the first.
    pub times: u32,
    /// Which ejection this is, for [`Balancer::readmit`].
    pub ejection: u32,
}

/// One balancer.
#[derive(Clone, Debug)]
pub struct Balancer {
    settings: scenario::Balancer,
    loads: Loads,
    /// By endpoint.
    standings: Vec<Standing>,
    /// `None`: it keeps to everybody listed.
    subset: Option<Subset>,
    newcomers: Newcomers,
    policy: Policy,
    /// Whether the policy, who is full, or whose trial is over depends on each change of the open requests.
    follows_loads: bool,
    /// It does so itself, and not just its policy.
    minds_loads: bool,
    /// Those on their way out that may still serve; `None`: they are no last resort.
    departing: Option<Lots>,
    members: u32,
    /// Members that are not good.
    bad: BTreeSet<Endpoint>,
    /// How many of them are ejected.
    ejected: u32,
    panics: bool,
    usable: u32,
    /// How many ejections there have been.
    ejections: u32,
}

/// Open requests and weights, by endpoint.
#[derive(Clone, Debug, Default)]
struct Loads {
    open: Vec<u32>,
    weights: Vec<Weight>,
}

impl Loads {
    fn of(&self, endpoint: Endpoint) -> Option<(&u32, &Weight)> {
        self.open.get(endpoint.index()).zip(self.weights.get(endpoint.index()))
    }

    fn open(&self, endpoint: Endpoint) -> u32 {
        self.open[endpoint.index()]
    }

    fn weight(&self, endpoint: Endpoint) -> Weight {
        self.weights[endpoint.index()]
    }

    /// What one more request costs where so many are open beside those counted here; see [`Weight::cost`].
    fn cost(&self, endpoint: Endpoint, more: u32) -> Cost {
        self.weight(endpoint).cost(self.open(endpoint) + more)
    }
}

/// Further random bits of a request; number 0 are its luck itself.
fn further(luck: u64, number: u32) -> u64 {
    if number == 0 { luck } else { mix(luck.wrapping_add(GOLDEN.wrapping_mul(u64::from(number)))) }
}

impl Balancer {
    /// The balancer of this number, which knows of nobody. The number says which subset it keeps to.
    pub fn new(settings: &scenario::Balancer, number: u32) -> Self {
        let policy = Policy::new(settings);
        let has_trials = settings.ejection.as_ref().is_some_and(|ejection| ejection.trial);
        Balancer {
            settings: settings.clone(),
            loads: Loads::default(),
            standings: Vec::new(),
            subset: settings.subset.map(|size| Subset::new(size, number)),
            newcomers: Newcomers::new(settings.slow_start),
            follows_loads: policy.follows_loads() || settings.max_connections.is_some() || has_trials,
            minds_loads: settings.max_connections.is_some() || has_trials,
            policy,
            departing: settings.fallback_to_terminating.then(Lots::default),
            members: 0,
            bad: BTreeSet::new(),
            ejected: 0,
            panics: false,
            usable: 0,
            ejections: 0,
        }
    }

    // --- whom it knows of

    /// From now on requests may be sent to an endpoint that is not listed. Its health, ejection and averages begin
    /// anew. The weight is relative, above 0, and 1 for an ordinary endpoint; where it is new, its slow start begins
    /// now.
    pub fn list(&mut self, endpoint: Endpoint, weight: f64, is_new: bool, now: u64) {
        debug_assert!(!self.believes_in(endpoint), "{endpoint:?} is listed already");
        self.make_room(endpoint);
        self.forget(endpoint);
        let share = if is_new { self.newcomers.begin(endpoint, now) } else { 1.0 };
        let standing = &mut self.standings[endpoint.index()];
        standing.role = Role::Listed;
        standing.full_weight = weight;
        self.loads.weights[endpoint.index()] = Weight::new(weight * share);
        let change = match &mut self.subset {
            Some(subset) => subset.list(endpoint),
            None => Change { enters: Some(endpoint), leaves: None },
        };
        self.follow(change);
    }

    /// No more requests to a listed endpoint, except as a last resort while it may serve.
    pub fn unlist(&mut self, endpoint: Endpoint, may_serve: bool) {
        debug_assert!(self.believes_in(endpoint), "{endpoint:?} is not listed");
        self.newcomers.end(endpoint);
        let change = match &mut self.subset {
            Some(subset) => subset.unlist(endpoint),
            None => Change { enters: None, leaves: Some(endpoint) },
        };
        self.follow(change);
        let is_full = self.is_full(endpoint);
        let role = &mut self.standings[endpoint.index()].role;
        *role = Role::Stranger;
        if let Some(departing) = self.departing.as_mut().filter(|_| may_serve) {
            *role = Role::Departing;
            departing.join(endpoint, Weight::ONE);
            if is_full {
                departing.pause(endpoint);
            }
        }
    }

    /// An endpoint will not serve any more: it is no last resort either.
    pub fn forget(&mut self, endpoint: Endpoint) {
        if let (Role::Departing, Some(departing)) = (self.role(endpoint), &mut self.departing) {
            departing.leave(endpoint);
            self.standings[endpoint.index()].role = Role::Stranger;
        }
    }

    /// Whether an endpoint is listed, healthy or not, in the subset or not.
    pub fn believes_in(&self, endpoint: Endpoint) -> bool {
        self.role(endpoint) >= Role::Listed
    }

    /// Whether an endpoint is listed and belongs to the subset: whom this balancer checks.
    pub fn uses(&self, endpoint: Endpoint) -> bool {
        self.role(endpoint) >= Role::Member
    }

    /// What it holds of an endpoint is fetched, for it will be looked at soon.
    pub fn fetch(&self, endpoint: Endpoint) {
        if let Some(standing) = self.standings.get(endpoint.index()) {
            fetch_whole(standing);
        }
        if let Some((open, weight)) = self.loads.of(endpoint) {
            fetch(open);
            fetch(weight);
        }
        self.policy.fetch(endpoint);
    }

    fn role(&self, endpoint: Endpoint) -> Role {
        self.standings.get(endpoint.index()).map_or(Role::Stranger, |standing| standing.role)
    }

    /// How many endpoints it could send requests to now, those included that have as many open requests as allowed,
    /// and those on their way out not.
    pub fn usable(&self) -> usize {
        self.usable as usize
    }

    // --- whom it chooses

    /// The endpoint for a request. `now` is in nanoseconds and never goes back.
    pub fn choose(&mut self, ask: &Ask<'_>, now: u64) -> Pick {
        self.choose_by(ask, now, |_| 0)
    }

    /// The same where least-request counts so many requests as open beside those that this balancer was told of.
    pub fn choose_by(&mut self, ask: &Ask<'_>, now: u64, more: impl Fn(Endpoint) -> u32) -> Pick {
        self.follow_the_time(now);
        if self.usable > 0
            && ask.tried.is_empty()
            && let Some(endpoint) = self.policy.choose(ask, &[], &self.loads, &more, now)
        {
            debug_assert!(self.can_take(endpoint), "{endpoint:?} must not be chosen");
            return self.to(endpoint);
        }
        self.choose_otherwise(ask, now, &more)
    }

    /// The weights are those of this moment from now on, in nanoseconds.
    #[inline]
    pub fn follow_the_time(&mut self, now: u64) {
        if self.newcomers.are_due(now) {
            self.let_newcomers_grow(now);
        }
    }

    /// When weights change next by time alone, nanoseconds; `u64::MAX`: never.
    pub fn weights_change_at(&self) -> u64 {
        self.newcomers.next_change()
    }

    /// The two endpoints of which a request takes the one with fewer open requests, by weight, where a choice is as plain
    /// as that.
    #[inline(always)]
    pub(crate) fn pair(&self, luck: u64, by: impl Compare) -> Option<(Endpoint, Endpoint)> {
        self.policy.pair(luck, by)
    }

    /// How often something has changed that [`Balancer::pair`] rests on.
    #[inline]
    pub(crate) fn changes(&self) -> u64 {
        self.policy.changes()
    }

    /// Those among whom [`Balancer::pair`] chooses where each pair is equally likely: of two it takes the first one, unless fewer are
    /// open at the other.
    #[inline]
    pub(crate) fn peers(&self) -> Option<Peers<'_>> {
        self.policy.peers()
    }

    /// How many requests are open that this balancer was told of, by endpoint.
    #[inline]
    pub(crate) fn open_at_all(&self) -> &[u32] {
        &self.loads.open
    }

    /// The endpoint that a request takes, where a choice is the one with the fewest open requests, by weight.
    #[inline]
    pub fn least(&self, luck: u64) -> Option<Endpoint> {
        self.policy.least(luck, &self.loads).filter(|_| self.usable > 0)
    }

    /// What it knows of open requests, for those in a row: each takes whom [`Balancer::least`] comes to. `None`: more than that
    /// decides, or must be told.
    #[inline]
    pub(crate) fn fewest(&mut self) -> Option<Fewest<'_>> {
        if self.usable == 0 || self.minds_loads {
            return None;
        }
        self.policy.fewest(&mut self.loads.open)
    }

    /// Whether one more request costs less at the first one; so many are open there beside those that this balancer was told
    /// of.
    #[inline(always)]
    pub fn is_lesser(&self, (one, more): (Endpoint, u32), (other, more_there): (Endpoint, u32)) -> bool {
        if self.policy.weighs_alike() {
            self.loads.open(one) + more < self.loads.open(other) + more_there
        } else {
            self.loads.cost(one, more) < self.loads.cost(other, more_there)
        }
    }

    /// A request goes there; it may be the one that tries the endpoint after an ejection.
    fn to(&mut self, endpoint: Endpoint) -> Pick {
        let ejects = self.settings.ejection.is_some();
        if ejects && self.uses(endpoint) && self.standings[endpoint.index()].health.begin_trial() {
            self.judge(endpoint);
        }
        Pick::To(endpoint)
    }

    /// The endpoint for a further try, or where nobody can be chosen as usual.
    #[cold]
    fn choose_otherwise(&mut self, ask: &Ask<'_>, now: u64, more: &dyn Fn(Endpoint) -> u32) -> Pick {
        let redispatch = self.settings.connect.redispatch;
        debug_assert!(redispatch != Redispatch::Same || ask.tried.is_empty(), "a further try goes to the same one");
        if redispatch == Redispatch::Other {
            let last = &ask.tried[ask.tried.len().saturating_sub(1)..];
            let pick = self.pick(ask, last, now, more).or_else(|| self.pick(ask, &[], now, more));
            return match pick {
                Some(endpoint) => self.to(endpoint),
                None => self.no_pick(&[]),
            };
        }
        match self.pick(ask, ask.tried, now, more) {
            Some(endpoint) => self.to(endpoint),
            None => self.no_pick(ask.tried),
        }
    }

    /// One of the candidates that is neither full nor one of these.
    fn pick(
        &mut self,
        ask: &Ask<'_>,
        excluded: &[Endpoint],
        now: u64,
        more: &dyn Fn(Endpoint) -> u32,
    ) -> Option<Endpoint> {
        let pick = if self.usable > 0 {
            self.policy.choose(ask, excluded, &self.loads, more, now)
        } else {
            self.departing.as_mut()?.one(ask.luck, excluded)
        };
        debug_assert!(pick.is_none_or(|endpoint| self.can_take(endpoint)), "{pick:?} must not be chosen");
        pick
    }

    /// Why there is nobody to pick but these: others are full, or there are none.
    fn no_pick(&self, excluded: &[Endpoint]) -> Pick {
        let candidates = if self.usable > 0 { self.usable() } else { self.departing.as_ref().map_or(0, Lots::len) };
        let is_first = |place: usize| !excluded[..place].contains(&excluded[place]);
        let of_these = |place: &usize| is_first(*place) && self.is_candidate(excluded[*place]);
        if candidates > (0..excluded.len()).filter(of_these).count() { Pick::Full } else { Pick::Nobody }
    }

    /// Whether requests could go to this endpoint if it were not full.
    fn is_candidate(&self, endpoint: Endpoint) -> bool {
        self.role(endpoint) == if self.usable > 0 { Role::Usable } else { Role::Departing }
    }

    fn can_take(&self, endpoint: Endpoint) -> bool {
        self.is_candidate(endpoint) && !self.is_full(endpoint)
    }

    // --- what it sees of its requests

    /// One more attempt is open at an endpoint, which must have been listed before.
    #[inline]
    pub fn opened(&mut self, endpoint: Endpoint) {
        self.loads.open[endpoint.index()] += 1;
        if self.follows_loads {
            self.policy.opened(endpoint, &self.loads);
            if self.minds_loads {
                self.mind_opened(endpoint);
            }
        }
    }

    #[inline(never)] // So that the plain case is an addition.
    fn mind_opened(&mut self, endpoint: Endpoint) {
        if self.most_open() == Some(self.loads.open(endpoint)) {
            match (self.role(endpoint), &mut self.departing) {
                (Role::Usable, _) => self.policy.pause(endpoint),
                (Role::Departing, Some(departing)) => departing.pause(endpoint),
                _ => {}
            }
        }
    }

    /// One fewer is open, well or badly. The endpoint may be unlisted by now.
    #[inline]
    pub fn closed(&mut self, endpoint: Endpoint) {
        let open = &mut self.loads.open[endpoint.index()];
        debug_assert!(*open > 0, "an attempt at {endpoint:?} ended twice");
        *open -= 1;
        if self.follows_loads {
            self.policy.closed(endpoint, &self.loads);
            if self.minds_loads {
                self.mind_closed(endpoint);
            }
        }
    }

    #[inline(never)]
    fn mind_closed(&mut self, endpoint: Endpoint) {
        if self.most_open() == Some(self.loads.open(endpoint) + 1) {
            match (self.role(endpoint), &mut self.departing) {
                (Role::Usable, _) => self.policy.resume(endpoint, &self.loads),
                (Role::Departing, Some(departing)) => departing.weigh(endpoint, Weight::ONE),
                _ => {}
            }
        }
        self.end_trial(endpoint);
    }

    /// Open attempts at an endpoint.
    pub fn open(&self, endpoint: Endpoint) -> u32 {
        self.loads.open.get(endpoint.index()).copied().unwrap_or(0)
    }

    /// An answer came from an endpoint after so many nanoseconds. It ends a row of failures.
    pub fn note_answer(&mut self, endpoint: Endpoint, latency: u64, now: u64) {
        self.policy.note_answer(endpoint, latency, now);
        self.standings[endpoint.index()].health.note_answer();
        self.pass_trial(endpoint);
    }

    /// Its trial, if one was under way, has told nothing.
    fn end_trial(&mut self, endpoint: Endpoint) {
        if self.standings[endpoint.index()].health.end_trial() && self.uses(endpoint) {
            self.judge(endpoint);
        }
    }

    fn pass_trial(&mut self, endpoint: Endpoint) {
        if self.standings[endpoint.index()].health.pass_trial() && self.uses(endpoint) {
            self.judge(endpoint);
        }
    }

    /// An attempt at an endpoint failed. If that ejects the endpoint: which ejection it is.
    pub fn note_trouble(&mut self, endpoint: Endpoint, trouble: Trouble, now: u64) -> Option<Ejected> {
        let settings = self.settings.ejection.as_ref()?;
        let counts = match settings.counts {
            Failures::All => true,
            Failures::Connect => trouble == Trouble::Connect,
        };
        if !counts || !self.uses(endpoint) {
            self.pass_trial(endpoint);
            return None;
        }
        let health = &mut self.standings[endpoint.index()].health;
        let share = f64::from(self.ejected + 1) / f64::from(self.members);
        let is_full = health.note_failure(settings, now);
        if !is_full || (self.ejected > 0 && share > settings.most) {
            self.end_trial(endpoint);
            return None;
        }
        self.ejections += 1;
        let times = health.eject(self.ejections);
        self.ejected += 1;
        self.judge(endpoint);
        Some(Ejected { times, ejection: self.ejections })
    }

    /// The end of an ejection; does nothing if the endpoint was listed anew since.
    pub fn readmit(&mut self, endpoint: Endpoint, ejection: u32) {
        let has_trial = self.settings.ejection.as_ref().is_some_and(|settings| settings.trial);
        if self.standings[endpoint.index()].health.readmit(ejection, has_trial) && self.uses(endpoint) {
            self.ejected -= 1;
            self.judge(endpoint);
        }
    }

    /// The result of an active check of an endpoint. Returns whether this changed its health.
    pub fn note_check(&mut self, endpoint: Endpoint, passed: bool) -> bool {
        let Some(settings) = self.settings.health_check.as_ref().filter(|_| self.uses(endpoint)) else { return false };
        let changed = self.standings[endpoint.index()].health.note_check(passed, settings);
        if changed {
            self.judge(endpoint);
        }
        changed
    }

    /// For join-idle-queue: an endpoint has nothing to do and tells this balancer so.
    pub fn became_idle(&mut self, endpoint: Endpoint) {
        self.policy.became_idle(endpoint);
    }

    fn most_open(&self) -> Option<u32> {
        self.settings.max_connections.map(std::num::NonZero::get)
    }

    fn is_full(&self, endpoint: Endpoint) -> bool {
        self.most_open().is_some_and(|most| self.loads.open(endpoint) >= most)
    }

    fn make_room(&mut self, endpoint: Endpoint) {
        if endpoint.index() < self.standings.len() {
            return;
        }
        self.standings.resize(endpoint.index() + 1, Standing::STRANGER);
        self.loads.open.resize(endpoint.index() + 1, 0);
        self.loads.weights.resize(endpoint.index() + 1, Weight::ONE);
    }
}
