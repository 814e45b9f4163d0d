//! Is every choice legal? Thousands of random operations, judged by a plain model that looks through everybody each
//! time.

use super::*;
use crate::scenario::{HealthCheck, SlowStart};
use std::collections::BTreeSet;

/// What the model knows of one endpoint.
#[derive(Clone, Debug)]
struct Known {
    role: Role,
    open: u32,
    weight: f64,
    /// When its slow start began.
    new_since: Option<u64>,
    checks: Vec<bool>,
    /// Since the last answer or the last full row.
    failures: Vec<u64>,
    ejection: Option<Ejected>,
    ejections: u32,
    /// It must prove itself with one request; whether that is under way.
    trial: Option<bool>,
    /// For join-idle-queue: it told so, and was not chosen since.
    is_idle: bool,
}

const STRANGER: Known = Known {
    role: Role::Stranger,
    open: 0,
    weight: 1.0,
    new_since: None,
    checks: Vec::new(),
    failures: Vec::new(),
    ejection: None,
    ejections: 0,
    trial: None,
    is_idle: false,
};

/// Everything by search.
struct Model<'a> {
    settings: &'a scenario::Balancer,
    known: Vec<Known>,
}

impl Model<'_> {
    fn listed(&self) -> Vec<Endpoint> {
        self.all(|known| known.role >= Role::Listed)
    }

    fn members(&self) -> Vec<Endpoint> {
        self.all(|known| known.role == Role::Member)
    }

    fn all(&self, holds: impl Fn(&Known) -> bool) -> Vec<Endpoint> {
        (0..).map(Endpoint).zip(&self.known).filter(|(_, known)| holds(known)).map(|(endpoint, _)| endpoint).collect()
    }

    /// Who is listed changed: whoever is a member now and was not before begins anew.
    fn choose_members(&mut self) {
        let members: BTreeSet<Endpoint> = match self.settings.subset {
            None => self.listed().into_iter().collect(),
            Some(size) => {
                let mut subset = Subset::new(size, 3);
                let mut members = BTreeSet::new();
                for endpoint in self.listed() {
                    let change = subset.list(endpoint);
                    members.extend(change.enters);
                    members.retain(|member| Some(*member) != change.leaves);
                }
                members
            }
        };
        for (place, known) in (0..).zip(&mut self.known) {
            let is_member = members.contains(&Endpoint(place));
            if is_member && known.role != Role::Member {
                (known.checks, known.failures) = (Vec::new(), Vec::new());
                (known.ejection, known.ejections, known.trial, known.is_idle) = (None, 0, None, true);
            }
            if known.role >= Role::Listed {
                known.role = if is_member { Role::Member } else { Role::Listed };
            }
        }
    }

    fn is_healthy(&self, known: &Known) -> bool {
        let Some(settings) = &self.settings.health_check else { return true };
        let mut healthy = settings.assume_healthy;
        for end in 1..=known.checks.len() {
            let checks = &known.checks[..end];
            let result = checks[end - 1];
            let threshold = if result { settings.success_threshold } else { settings.failure_threshold };
            let row = checks.iter().rev().take_while(|check| **check == result).count();
            let first_pass = !settings.assume_healthy && result && !checks[..end - 1].contains(&true);
            if row >= threshold.get() as usize || first_pass {
                healthy = result;
            }
        }
        healthy
    }

    fn is_good(&self, known: &Known) -> bool {
        self.is_healthy(known) && known.ejection.is_none() && known.trial != Some(true)
    }

    fn usable(&self) -> Vec<Endpoint> {
        let members = self.members();
        let good = self.all(|known| known.role == Role::Member && self.is_good(known));
        let panics = (good.len() as f64) < self.settings.panic_threshold * members.len() as f64 - 1e-9;
        if panics { members } else { good }
    }

    /// Those that a request may go to if they are not full and were not tried.
    fn candidates(&self) -> Vec<Endpoint> {
        let usable = self.usable();
        let falls_back = usable.is_empty() && self.settings.fallback_to_terminating;
        if falls_back { self.all(|known| known.role == Role::Departing) } else { usable }
    }

    fn is_full(&self, endpoint: Endpoint) -> bool {
        self.settings.max_connections.is_some_and(|most| self.known[endpoint.index()].open >= most.get())
    }

    /// Those that a request may go to, or why there are none.
    fn allowed(&self, tried: &[Endpoint]) -> Result<Vec<Endpoint>, Pick> {
        let candidates = self.candidates();
        let free: Vec<Endpoint> = candidates.iter().copied().filter(|endpoint| !self.is_full(*endpoint)).collect();
        let without = |excluded: &[Endpoint], all: &[Endpoint]| -> Vec<Endpoint> {
            all.iter().copied().filter(|endpoint| !excluded.contains(endpoint)).collect()
        };
        let (candidates, allowed) = match (self.settings.connect.redispatch, tried.last()) {
            (Redispatch::Other, Some(last)) => {
                let others = without(&[*last], &free);
                (candidates, if others.is_empty() { free } else { others })
            }
            (_, _) => (without(tried, &candidates), without(tried, &free)),
        };
        match (candidates.is_empty(), allowed.is_empty()) {
            (true, _) => Err(Pick::Nobody),
            (false, true) => Err(Pick::Full),
            (false, false) => Ok(allowed),
        }
    }

    fn weight(&self, endpoint: Endpoint, now: u64) -> f64 {
        let known = &self.known[endpoint.index()];
        let share = match (self.settings.slow_start, known.new_since) {
            (Some(SlowStart { window, aggression, least }), Some(since)) if now - since < window.as_nanos() as u64 => {
                let seconds = ((now - since) / SECOND).max(1) as f64;
                libm::pow(seconds / window.as_secs_f64(), 1.0 / aggression).max(least).min(1.0)
            }
            _ => 1.0,
        };
        known.weight * share
    }

    fn cost(&self, endpoint: Endpoint, now: u64) -> f64 {
        (f64::from(self.known[endpoint.index()].open) + 1.0) / self.weight(endpoint, now)
    }

    /// Whether the policy could have chosen this one of those that are allowed.
    fn check_policy(&self, chosen: Endpoint, allowed: &[Endpoint], now: u64) {
        let least = allowed.iter().map(|endpoint| self.cost(*endpoint, now)).fold(f64::INFINITY, f64::min);
        let is_least = self.cost(chosen, now) <= least * (1.0 + 1e-6);
        match self.settings.policy {
            Choice::LeastConnections(_) => assert!(is_least),
            Choice::LeastRequest(choices) if choices.get() as usize >= allowed.len() => assert!(is_least),
            Choice::JoinIdleQueue => {
                let is_idle = |endpoint: &Endpoint| self.known[endpoint.index()].is_idle;
                assert!(is_idle(&chosen) || !allowed.iter().any(is_idle), "somebody is idle");
            }
            Choice::ConsistentHash { bound, .. } => {
                let usable = self.usable();
                let open: u32 = usable.iter().map(|endpoint| self.known[endpoint.index()].open).sum();
                let weight: f64 = usable.iter().map(|endpoint| self.weight(*endpoint, now)).sum();
                let has_room = |endpoint: Endpoint, rounding: f64| {
                    let most = bound * f64::from(open + 1) * self.weight(endpoint, now) / weight;
                    f64::from(self.known[endpoint.index()].open) < (most + rounding).ceil()
                };
                let gives_way = allowed.iter().all(|endpoint| !has_room(*endpoint, -1e-6));
                assert!(gives_way || has_room(chosen, 1e-6), "beyond its bound");
            }
            Choice::RoundRobin | Choice::Random | Choice::LeastRequest(_) | Choice::PeakEwma { .. } => {}
        }
    }

    /// Whether this failure ejects the endpoint.
    fn fails(&mut self, endpoint: Endpoint, trouble: Trouble, now: u64) -> bool {
        let Some(settings) = &self.settings.ejection else { return false };
        let members = self.members().len();
        let ejected = self.all(|known| known.role == Role::Member && known.ejection.is_some()).len();
        let known = &mut self.known[endpoint.index()];
        let counts = settings.counts == Failures::All || trouble == Trouble::Connect;
        if !counts || known.role != Role::Member {
            known.trial = None;
            return false;
        }
        if known.ejection.is_some() {
            return false;
        }
        let within = settings.within.map_or(u64::MAX, |within| within.as_nanos() as u64);
        if known.failures.first().is_some_and(|first| now - first > within) {
            known.failures.clear();
        }
        known.failures.push(now);
        if known.failures.len() < settings.consecutive_errors.get() as usize && known.trial.is_none() {
            return false;
        }
        known.failures.clear();
        let most = (settings.most * members as f64 + 1e-9).floor() as usize;
        let is_ejected = ejected < most.max(1);
        known.trial = known.trial.filter(|_| !is_ejected).map(|_| false);
        is_ejected
    }
}

/// Random settings of this policy.
fn settings(policy: Choice, luck: u64) -> scenario::Balancer {
    let bit = |place: u32| mix(luck ^ 0x5e77) >> place & 1 == 1;
    let small = |salt: u64, most: u64| times((mix(luck ^ salt) % most) as u32 + 1);
    let health_check = HealthCheck {
        success_threshold: small(1, 3),
        failure_threshold: small(2, 3),
        assume_healthy: bit(0),
        ..health_check()
    };
    let slow_start = SlowStart { window: Duration::from_millis(20_500), aggression: 1.5, least: 0.2 };
    let ejection = Ejection {
        consecutive_errors: small(3, 3),
        within: bit(1).then(|| Duration::from_secs(2)),
        trial: bit(9),
        ..ejection([0.0, 0.3, 0.5, 1.0][mix(luck) as usize % 4], if bit(2) { Failures::All } else { Failures::Connect })
    };
    let redispatch = [Redispatch::Same, Redispatch::Other, Redispatch::Untried][mix(luck ^ 4) as usize % 3];
    scenario::Balancer {
        subset: bit(3).then(|| small(5, 8)),
        slow_start: bit(4).then_some(slow_start),
        health_check: bit(5).then_some(health_check),
        ejection: bit(6).then_some(ejection),
        panic_threshold: [0.0, 0.3, 0.5, 1.0][mix(luck ^ 6) as usize % 4],
        fallback_to_terminating: bit(7),
        connect: Connect { redispatch, ..Connect::ONCE },
        max_connections: bit(8).then(|| small(7, 4)),
        ..plain(policy)
    }
}

const ENDPOINTS: u64 = 12;

/// One run of random operations: the balancer, the model, and what is under way.
struct Run<'a> {
    balancer: Balancer,
    model: Model<'a>,
    open: Vec<Endpoint>,
    now: u64,
}

impl Run<'_> {
    fn step(&mut self, luck: u64) {
        self.now += mix(luck ^ 1) % (SECOND / 2);
        let now = self.now;
        let endpoint = Endpoint((mix(luck ^ 2) % ENDPOINTS) as u32);
        let known = &mut self.model.known[endpoint.index()];
        match luck % 16 {
            0 | 1 if known.role < Role::Listed => {
                let is_new = luck & 64 == 0;
                known.weight = [1.0, 1.0, 0.3, 2.0][(luck >> 8) as usize % 4];
                known.role = Role::Listed;
                known.new_since = is_new.then_some(now);
                self.balancer.list(endpoint, known.weight, is_new, now);
                self.model.choose_members();
            }
            2 if known.role >= Role::Listed => {
                let may_serve = luck & 64 == 0;
                known.role = if may_serve { Role::Departing } else { Role::Stranger };
                self.balancer.unlist(endpoint, may_serve);
                self.model.choose_members();
            }
            3 if known.role < Role::Listed => {
                known.role = Role::Stranger;
                self.balancer.forget(endpoint);
            }
            4..=8 => self.send(luck),
            9..=11 if !self.open.is_empty() => self.end(luck),
            12 if known.role >= Role::Listed => {
                let trouble = if luck & 64 == 0 { Trouble::Connect } else { Trouble::Other };
                self.fail(endpoint, trouble);
            }
            13 if known.ejection.is_some() => {
                let ejection = known.ejection.take().expect("it is ejected").ejection;
                known.trial =
                    self.model.settings.ejection.as_ref().and_then(|settings| settings.trial.then_some(false));
                self.balancer.readmit(endpoint, ejection);
            }
            14 if known.role == Role::Member && self.model.settings.health_check.is_some() => {
                let before = self.model.is_healthy(&self.model.known[endpoint.index()]);
                self.model.known[endpoint.index()].checks.push(luck & 64 == 0);
                let after = self.model.is_healthy(&self.model.known[endpoint.index()]);
                assert_eq!(self.balancer.note_check(endpoint, luck & 64 == 0), before != after);
            }
            15 if known.open == 0 && known.role >= Role::Listed => {
                known.is_idle = true;
                self.balancer.became_idle(endpoint);
            }
            _ => {}
        }
        assert_eq!(self.balancer.usable(), self.model.usable().len());
        let known = &self.model.known[endpoint.index()];
        assert_eq!(self.balancer.believes_in(endpoint), known.role >= Role::Listed);
        assert_eq!(self.balancer.uses(endpoint), known.role == Role::Member);
        assert_eq!(self.balancer.open(endpoint), known.open);
    }

    fn send(&mut self, luck: u64) {
        let tried: Vec<Endpoint> = match self.model.settings.connect.redispatch {
            Redispatch::Same => Vec::new(),
            Redispatch::Other | Redispatch::Untried => {
                (0..luck >> 8 & 3).map(|n| Endpoint((mix(luck ^ n) % ENDPOINTS) as u32)).collect()
            }
        };
        let pick = self.balancer.choose(&ask(luck, &tried), self.now);
        match (pick, self.model.allowed(&tried)) {
            (Pick::To(chosen), Ok(allowed)) => {
                assert!(allowed.contains(&chosen), "{chosen:?} is none of {allowed:?}");
                if !self.model.usable().is_empty() {
                    self.model.check_policy(chosen, &allowed, self.now);
                }
                let known = &mut self.model.known[chosen.index()];
                known.is_idle = false;
                known.open += 1;
                known.trial = known.trial.map(|_| true);
                self.balancer.opened(chosen);
                self.open.push(chosen);
            }
            (pick, allowed) => assert_eq!(Err(pick), allowed, "tried {tried:?}"),
        }
    }

    fn end(&mut self, luck: u64) {
        let ended = self.open.swap_remove(mix(luck ^ 3) as usize % self.open.len());
        let known = &mut self.model.known[ended.index()];
        known.open -= 1;
        known.trial = known.trial.map(|_| false);
        self.balancer.closed(ended);
        if luck & 64 == 0 {
            let known = &mut self.model.known[ended.index()];
            known.failures.clear();
            known.trial = None;
            self.balancer.note_answer(ended, mix(luck ^ 5) % SECOND, self.now);
        } else {
            self.fail(ended, Trouble::Other);
        }
    }

    fn fail(&mut self, endpoint: Endpoint, trouble: Trouble) {
        let is_ejected = self.model.fails(endpoint, trouble, self.now);
        let ejected = self.balancer.note_trouble(endpoint, trouble, self.now);
        assert_eq!(ejected.is_some(), is_ejected);
        if let Some(ejected) = ejected {
            let known = &mut self.model.known[endpoint.index()];
            known.ejections += 1;
            assert_eq!(ejected.times, known.ejections);
            known.ejection = Some(ejected);
        }
    }
}

#[test]
fn every_choice_is_legal() {
    let mut chosen = 0;
    for policy in POLICIES {
        for seed in 0..100 {
            let settings = settings(policy, mix(seed));
            let model = Model { settings: &settings, known: vec![STRANGER; ENDPOINTS as usize] };
            let mut run = Run { balancer: Balancer::new(&settings, 3), model, open: Vec::new(), now: 0 };
            for number in 0..2_000 {
                let state = std::panic::AssertUnwindSafe(|| run.step(mix(seed << 32 | number)));
                let result = std::panic::catch_unwind(state);
                assert!(result.is_ok(), "{policy:?}, seed {seed}, operation {number}");
            }
            chosen += run.open.len();
        }
    }
    assert!(chosen > 1_000, "requests were sent: {chosen}");
}
