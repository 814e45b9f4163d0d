//! What balancers believe: news of instances on their way to each of them, health checks, ejections.

use super::requests::Knock;
use super::{Engine, Event};
use crate::balancer::{Ejected, Endpoint};
use crate::fault::key;
use crate::fleet::{InstanceId, Phase, Version};
use crate::random::{GOLDEN, Purpose, below, mix, unit};
use crate::scenario::{Discovery, FirstCheck, HealthCheck};
use crate::time::nanos;
use std::time::Duration;

/// What balancers ought to do with an endpoint.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Listing {
    /// Send requests there.
    In,
    /// Send none, unless there is nobody else: it is on its way out, and serves still.
    Leaving,
    /// Send none.
    #[default]
    Out,
}

/// What balancers were told of an endpoint.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Told {
    listing: Listing,
    /// How many news were sent.
    sent: u32,
}

/// What a balancer has heard of an endpoint.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Heard {
    /// The latest of the news.
    news: u32,
    /// How often it has listed the endpoint.
    listings: u32,
}

impl Engine<'_> {
    /// Where requests for an instance go.
    pub(super) fn endpoint_of(&self, id: InstanceId) -> Endpoint {
        match self.scenario.balancer.discovery {
            Discovery::Service => Endpoint(id.0),
            Discovery::Static => Endpoint(self.fleet[id].slot.0),
        }
    }

    /// Who stands at an endpoint.
    pub(super) fn occupant(&self, endpoint: Endpoint) -> Option<InstanceId> {
        match self.scenario.balancer.discovery {
            Discovery::Service => Some(InstanceId(endpoint.0)),
            Discovery::Static => self.occupants.get(endpoint.index()).copied().flatten(),
        }
    }

    /// An instance takes its place.
    pub(super) fn occupy(&mut self, id: InstanceId) {
        if self.scenario.balancer.discovery == Discovery::Static {
            let place = self.fleet[id].slot.0 as usize;
            if place >= self.occupants.len() {
                self.occupants.resize(place + 1, None);
            }
            self.occupants[place] = Some(id);
        }
    }

    /// What balancers ought to do with the endpoint of an instance.
    fn listing_of(&self, id: InstanceId) -> Listing {
        let instance = &self.fleet[id];
        match self.scenario.balancer.discovery {
            Discovery::Service if self.strategy.facts().lists(instance) => Listing::In,
            Discovery::Service if instance.phase() == Phase::Draining && !instance.held_out => Listing::Leaving,
            Discovery::Service => Listing::Out,
            // Configured places stay, whoever stands there, unless the service gives them up.
            Discovery::Static if instance.held_out => Listing::Out,
            Discovery::Static if instance.phase() == Phase::Gone && instance.slot.0 >= self.rollout.desired => {
                Listing::Out
            }
            Discovery::Static => Listing::In,
        }
    }

    /// Sends news where they are any.
    pub(super) fn tell_the_balancers(&mut self, id: InstanceId) {
        let (endpoint, listing) = (self.endpoint_of(id), self.listing_of(id));
        if self.occupant(endpoint) != Some(id) {
            return; // Somebody else stands there by now.
        }
        let told = self.told(endpoint);
        if told.listing == listing {
            return;
        }
        told.listing = listing;
        told.sent += 1;
        let news = told.sent;
        let luck = self.streams.of(Purpose::Propagation, key(&self.fleet[id])).bits();
        for (balancer, pool) in self.pools_of(id) {
            let own = mix(luck.wrapping_add(GOLDEN.wrapping_mul(u64::from(news) << 16 | u64::from(balancer))));
            let heard_at = self.now + self.scenario.balancer.propagation.by_luck(own);
            self.control.schedule(heard_at, Event::EndpointHeard { balancer: pool, endpoint, news, listing });
        }
    }

    fn told(&mut self, endpoint: Endpoint) -> &mut Told {
        if endpoint.index() >= self.told.len() {
            let endpoints = endpoint.index() + 1;
            self.told.resize(endpoints, Told::default());
            self.heard.resize(endpoints * self.scenario.balancer.count.get() as usize, Heard::default());
        }
        &mut self.told[endpoint.index()]
    }

    /// What the balancer of a pool has heard of an endpoint that somebody was told of.
    fn heard(&mut self, pool: u16, endpoint: Endpoint) -> &mut Heard {
        let balancers = self.scenario.balancer.count.get() as usize;
        &mut self.heard[endpoint.index() * balancers + self.pools.behind(pool)]
    }

    /// Before the run every balancer knows an instance.
    pub(super) fn is_known_from_the_start(&mut self, id: InstanceId) {
        let endpoint = self.endpoint_of(id);
        self.told(endpoint).listing = Listing::In;
        for (_, pool) in self.pools_of(id) {
            self.list(pool, endpoint, false);
        }
    }

    pub(super) fn hear(&mut self, balancer: u16, endpoint: Endpoint, news: u32, listing: Listing) {
        let heard = self.heard(balancer, endpoint);
        if news < heard.news {
            return; // Overtaken by later news.
        }
        heard.news = news;
        let believes = self.balancers[usize::from(balancer)].believes_in(endpoint);
        match (listing, believes) {
            (Listing::In, false) => self.list(balancer, endpoint, true),
            (Listing::Leaving | Listing::Out, true) => {
                self.balancers[usize::from(balancer)].unlist(endpoint, listing == Listing::Leaving);
                if !self.scenario.balancer.draining {
                    self.cut_open_requests(balancer, endpoint);
                }
            }
            (Listing::In, true) | (Listing::Leaving | Listing::Out, false) => {}
        }
        if listing == Listing::Out {
            self.balancers[usize::from(balancer)].forget(endpoint);
        }
        if let Some(id) = self.occupant(endpoint) {
            self.may_end_the_drain(id);
        }
    }

    fn list(&mut self, balancer: u16, endpoint: Endpoint, is_new: bool) {
        let version = self.occupant(endpoint).map_or(Version::OLD, |id| self.fleet[id].version);
        let weight = if version > Version::OLD { self.scenario.balancer.new_weight } else { 1.0 };
        let now = self.now.nanos();
        self.balancers[usize::from(balancer)].list(endpoint, weight, is_new, now);
        let heard = self.heard(balancer, endpoint);
        heard.listings += 1;
        let listing = heard.listings;
        if let Some(check) = &self.scenario.balancer.health_check {
            let first_after = self.first_check(check, balancer, endpoint, listing);
            self.control.schedule(self.now + first_after, Event::CheckDue { balancer, endpoint, listing });
        }
        self.serve_queue(balancer);
    }

    /// The luck of one balancer with one endpoint.
    fn own_luck(&self, purpose: Purpose, balancer: u16, endpoint: Endpoint, count: u64) -> u64 {
        let subject = u64::from(balancer) << 32 | u64::from(endpoint.0);
        mix(self.streams.of(purpose, subject).bits().wrapping_add(GOLDEN.wrapping_mul(count)))
    }

    // --- health checks
    // -----------------------------------------------------------------------------------------------

    /// From the listing of an endpoint to its first check.
    fn first_check(&self, check: &HealthCheck, balancer: u16, endpoint: Endpoint, listing: u32) -> Duration {
        match check.first {
            FirstCheck::After(span) => span,
            FirstCheck::AtRandom => {
                let luck = self.own_luck(Purpose::HealthCheck, balancer, endpoint, u64::from(listing));
                check.period.mul_f64(unit(luck))
            }
            FirstCheck::Spread => {
                let (period, instances) = (nanos(check.period), self.scenario.service.instances.get());
                let luck =
                    self.streams.of(Purpose::HealthCheck, u64::from(balancer) << 32 | u64::from(u32::MAX)).bits();
                let own = f64::from(endpoint.0 % instances) / f64::from(instances);
                let moment = check.period.mul_f64((unit(luck) + own).fract());
                Duration::from_nanos((nanos(moment) + period - self.now.nanos() % period) % period)
            }
        }
    }

    /// A balancer checks an endpoint, as long as it goes by this listing of it.
    pub(super) fn check(&mut self, balancer: u16, endpoint: Endpoint, listing: u32) {
        let is_listed = self.balancers[usize::from(balancer)].believes_in(endpoint);
        if !is_listed || self.heard(balancer, endpoint).listings != listing {
            return;
        }
        let check = self.scenario.balancer.health_check.as_ref().expect("somebody checks");
        self.control.schedule(self.now + check.period, Event::CheckDue { balancer, endpoint, listing });
        if !self.balancers[usize::from(balancer)].uses(endpoint) {
            return;
        }
        if check.false_failures > 0.0 {
            let luck = self.own_luck(Purpose::HealthCheck, balancer, endpoint, self.now.nanos() << 1 | 1);
            if unit(luck) < check.false_failures {
                self.check_failed(balancer, endpoint);
                return;
            }
        }
        match (self.knock(endpoint), check.work) {
            (Knock::Taken(_), None) => self.check_passed(balancer, endpoint),
            (Knock::Taken(instance), Some(work)) => match self.send_check(balancer, endpoint, instance, nanos(work)) {
                Some((place, generation)) => {
                    let late = Event::CheckLate { balancer, endpoint, place, generation };
                    self.control.schedule(self.now + check.timeout, late);
                }
                None => self.check_failed(balancer, endpoint),
            },
            (Knock::Refused(_), _) => self.check_failed(balancer, endpoint),
            (Knock::Silence(_), _) => {
                let known_at = self.now + check.timeout;
                self.control.schedule(known_at, Event::CheckUnanswered { balancer, endpoint, listing });
            }
        }
    }

    fn check_passed(&mut self, balancer: u16, endpoint: Endpoint) {
        if self.balancers[usize::from(balancer)].note_check(endpoint, true) {
            self.serve_queue(balancer);
        }
    }

    pub(super) fn check_failed(&mut self, balancer: u16, endpoint: Endpoint) {
        if self.balancers[usize::from(balancer)].believes_in(endpoint) {
            self.balancers[usize::from(balancer)].note_check(endpoint, false);
        }
    }

    /// Nobody answered a check of this listing.
    pub(super) fn check_unanswered(&mut self, balancer: u16, endpoint: Endpoint, listing: u32) {
        if self.heard(balancer, endpoint).listings == listing {
            self.check_failed(balancer, endpoint);
        }
    }

    /// An answer to a check that waited like a request.
    pub(super) fn check_answered(&mut self, balancer: u16, endpoint: Endpoint) {
        if self.balancers[usize::from(balancer)].believes_in(endpoint) {
            self.check_passed(balancer, endpoint);
        }
    }

    // --- ejections
    // ---------------------------------------------------------------------------------------------------

    pub(super) fn eject(&mut self, balancer: u16, endpoint: Endpoint, ejected: Ejected) {
        let settings = self.scenario.balancer.ejection.as_ref().expect("somebody ejects");
        let luck = self.own_luck(Purpose::Ejection, balancer, endpoint, self.now.nanos());
        let factor = if settings.grows { ejected.times } else { 1 };
        let lasts = settings.lasts.by_luck(luck).saturating_mul(factor);
        let over_at = if settings.whole_seconds {
            (self.now.whole_second() + lasts).whole_second() + Duration::from_secs(1)
        } else {
            self.now + lasts
        };
        self.control.schedule(over_at, Event::EjectionOver { balancer, endpoint, ejection: ejected.ejection });
    }

    pub(super) fn ejection_over(&mut self, balancer: u16, endpoint: Endpoint, ejection: u32) {
        self.balancers[usize::from(balancer)].readmit(endpoint, ejection);
        self.serve_queue(balancer);
    }

    // --- drains and idle instances
    // -----------------------------------------------------------------------------------

    /// A deregistration delay that may end early does so once nobody would send anything and nothing is open.
    pub(super) fn may_end_the_drain(&mut self, id: InstanceId) {
        let is_over = !self.scenario.release.drain_ends_when_idle || self.runtimes[id.index()].drain_is_over;
        if is_over || self.fleet[id].phase() != Phase::Draining || !self.desks[id.index()].server.is_idle() {
            return;
        }
        let endpoint = self.endpoint_of(id);
        // Earlier news may still be on their way, that it is ready.
        let mut pools = self.pools_of(id);
        let sent = self.told(endpoint).sent;
        let balancers = self.scenario.balancer.count.get() as usize;
        let heard = &self.heard[endpoint.index() * balancers..][..balancers];
        let all_heard = heard.iter().all(|heard| heard.news == sent);
        if all_heard && !pools.any(|(_, pool)| self.balancers[usize::from(pool)].believes_in(endpoint)) {
            self.drained(id);
        }
    }

    /// An instance that has nothing to do tells one of the balancers that know it.
    pub(super) fn tell_of_idleness(&mut self, id: InstanceId) {
        if !self.is_told_of_idleness {
            return;
        }
        let endpoint = self.endpoint_of(id);
        let luck = (mix(self.now.nanos() ^ mix(key(&self.fleet[id]))) >> 32) as u32;
        let mut pools = self.pools_of(id);
        let (_, pool) = pools.nth(below(luck, pools.len() as u32) as usize).expect("it is one of them");
        let balancer = &mut self.balancers[usize::from(pool)];
        if balancer.believes_in(endpoint) {
            balancer.became_idle(endpoint);
        }
    }
}

/// How many checks a run makes at the most.
pub(super) fn most_checks(scenario: &crate::scenario::Scenario) -> u64 {
    let Some(check) = &scenario.balancer.health_check else { return 0 };
    let run = scenario.study.ends_at() + scenario.study.window;
    let rounds = u64::try_from(run.as_nanos() / check.period.as_nanos().max(1)).unwrap_or(u64::MAX);
    let each = u64::from(scenario.balancer.count.get()) * u64::from(scenario.service.instances.get());
    // Twice the fleet may be there at once; a check may have a second event.
    rounds.saturating_add(1).saturating_mul(each).saturating_mul(4)
}
