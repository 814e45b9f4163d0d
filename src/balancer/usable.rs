//! Who is usable: members that are good, or all of them while the balancer panics. The policy holds these, and
//! follows each change at once, so that a choice need not ask who they are.

use super::health::Health;
use super::subset::Change;
use super::weight::Weight;
use super::{Balancer, Endpoint};

/// What a balancer holds of one endpoint.
#[derive(Clone, Copy, Debug)]
pub(super) struct Standing {
    pub(super) role: Role,
    /// Its weight without a slow start.
    pub(super) full_weight: f64,
    pub(super) health: Health,
}

/// What an endpoint is to a balancer; from `Listed` on each role includes the one before it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Role {
    /// Nothing.
    Stranger,
    /// On its way out, and the last resort.
    Departing,
    /// It may be sent requests, as far as this balancer was told.
    Listed,
    /// It belongs to the subset.
    Member,
    /// It is chosen from.
    Usable,
}

impl Standing {
    /// Of whom nothing is known.
    pub(super) const STRANGER: Standing = Standing { role: Role::Stranger, full_weight: 1.0, health: Health::NEW };
}

impl Balancer {
    /// The subset changed: whoever enters it begins anew.
    pub(super) fn follow(&mut self, change: Change) {
        if let Some(endpoint) = change.leaves {
            self.leave(endpoint);
            let standing = &mut self.standings[endpoint.index()];
            standing.role = Role::Listed;
            self.ejected -= u32::from(standing.health.is_ejected());
            self.members -= 1;
            self.bad.remove(&endpoint);
        }
        let Some(endpoint) = change.enters else { return self.panic_or_calm_down() };
        let standing = &mut self.standings[endpoint.index()];
        standing.role = Role::Member;
        standing.health = Health::new(self.settings.health_check.as_ref());
        self.members += 1;
        self.policy.forget(endpoint);
        self.judge(endpoint);
    }

    /// A member became good, or ceased to be, or is new.
    pub(super) fn judge(&mut self, endpoint: Endpoint) {
        if self.standings[endpoint.index()].health.is_good() {
            self.bad.remove(&endpoint);
        } else {
            self.bad.insert(endpoint);
        }
        self.panic_or_calm_down();
        self.settle(endpoint);
    }

    fn panic_or_calm_down(&mut self) {
        let good = self.members - self.bad.len() as u32;
        let panics = self.members > 0 && f64::from(good) / f64::from(self.members) < self.settings.panic_threshold;
        if panics != self.panics {
            self.panics = panics;
            for endpoint in self.bad.clone() {
                self.settle(endpoint);
            }
        }
    }

    /// Lets a member join the usable ones, or leave them, if it has to.
    fn settle(&mut self, endpoint: Endpoint) {
        if self.panics || self.standings[endpoint.index()].health.is_good() {
            self.join(endpoint);
        } else {
            self.leave(endpoint);
        }
    }

    /// A member is usable from now on.
    fn join(&mut self, endpoint: Endpoint) {
        let role = &mut self.standings[endpoint.index()].role;
        if *role == Role::Member {
            *role = Role::Usable;
            self.usable += 1;
            self.policy.join(endpoint, &self.loads);
            if self.is_full(endpoint) {
                self.policy.pause(endpoint);
            }
        }
    }

    /// A member is not usable from now on.
    fn leave(&mut self, endpoint: Endpoint) {
        let role = &mut self.standings[endpoint.index()].role;
        if *role == Role::Usable {
            *role = Role::Member;
            self.usable -= 1;
            self.policy.leave(endpoint, &self.loads);
        }
    }

    /// Brings the weights of newcomers up to date.
    #[cold]
    pub(super) fn let_newcomers_grow(&mut self, now: u64) {
        while let Some((endpoint, share)) = self.newcomers.step(now) {
            self.reweigh(endpoint, share);
        }
    }

    /// An endpoint gets this share of its weight from now on.
    fn reweigh(&mut self, endpoint: Endpoint, share: f64) {
        let Standing { role, full_weight, .. } = self.standings[endpoint.index()];
        self.loads.weights[endpoint.index()] = Weight::new(full_weight * share);
        if role == Role::Usable && self.is_full(endpoint) {
            self.policy.resume(endpoint, &self.loads);
            self.policy.pause(endpoint);
        } else if role == Role::Usable {
            self.policy.reweigh(endpoint, &self.loads);
        }
    }
}
