//! The choice among those that a balancer may use: one policy, and what it keeps to decide at once.

use super::ewma::Averages;
use super::idle::IdleQueue;
use super::least::{Fewest, LeastOpen};
use super::line::Line;
use super::lots::{Lots, Peers};
use super::ring::Ring;
use super::turns::Turns;
use super::{Ask, Endpoint, Loads};
use crate::scenario::{self, Choice, Ties};
use crate::time::nanos;
use crate::wide::Compare;

/// How an endpoint is chosen, and whom there is to choose from. Members are those that the balancer may use; a paused
/// member has as many open requests as allowed, and is not chosen.
#[derive(Clone, Debug)]
pub(super) enum Policy {
    RoundRobin(Turns),
    Random(Lots),
    LeastConnections(LeastOpen),
    LeastInTurn(Line),
    LeastRequest { lots: Lots, choices: u32 },
    JoinIdleQueue { lots: Lots, idle: IdleQueue },
    PeakEwma { lots: Lots, averages: Averages },
    ConsistentHash(Ring),
}

impl Policy {
    /// The policy of these settings, without members.
    pub(super) fn new(settings: &scenario::Balancer) -> Self {
        let lots = Lots::default();
        match settings.policy {
            Choice::RoundRobin => Policy::RoundRobin(Turns::new(settings.max_connections.is_some())),
            Choice::Random => Policy::Random(lots),
            Choice::LeastConnections(Ties::Random) => Policy::LeastConnections(LeastOpen::default()),
            Choice::LeastConnections(Ties::Turns) => Policy::LeastInTurn(Line::default()),
            Choice::LeastRequest(choices) => Policy::LeastRequest { lots, choices: choices.get() },
            Choice::JoinIdleQueue => Policy::JoinIdleQueue { lots, idle: IdleQueue::default() },
            Choice::PeakEwma { decay } => Policy::PeakEwma { lots, averages: Averages::new(nanos(decay)) },
            Choice::ConsistentHash { keys, bound } => Policy::ConsistentHash(Ring::new(keys, bound)),
        }
    }

    /// Whether it must be told of each request that is opened or closed.
    pub(super) fn follows_loads(&self) -> bool {
        matches!(self, Policy::LeastConnections(_) | Policy::LeastInTurn(_) | Policy::ConsistentHash(_))
    }

    /// An endpoint is new to the balancer, which does not know anything of it yet: it counts as idle.
    pub(super) fn forget(&mut self, endpoint: Endpoint) {
        match self {
            Policy::JoinIdleQueue { idle, .. } => idle.tell(endpoint),
            Policy::PeakEwma { averages, .. } => averages.forget(endpoint),
            _ => {}
        }
    }

    /// What is held of an endpoint is fetched, by the usual policy: of the others nobody has measured what it buys.
    pub(super) fn fetch(&self, endpoint: Endpoint) {
        if let Policy::RoundRobin(turns) = self {
            turns.fetch(endpoint);
        }
    }

    /// A member joins.
    pub(super) fn join(&mut self, endpoint: Endpoint, loads: &Loads) {
        let weight = loads.weight(endpoint);
        match self {
            Policy::RoundRobin(turns) => turns.join(endpoint, weight),
            Policy::Random(lots) | Policy::LeastRequest { lots, .. } | Policy::PeakEwma { lots, .. } => {
                lots.join(endpoint, weight);
            }
            Policy::JoinIdleQueue { lots, idle } => {
                lots.join(endpoint, weight);
                idle.join(endpoint);
            }
            Policy::LeastConnections(least) => least.join(endpoint, loads),
            Policy::LeastInTurn(line) => line.join(endpoint, loads.weight(endpoint), loads.open(endpoint)),
            Policy::ConsistentHash(ring) => ring.join(endpoint, loads),
        }
    }

    /// A member leaves, paused or not.
    pub(super) fn leave(&mut self, endpoint: Endpoint, loads: &Loads) {
        match self {
            Policy::RoundRobin(turns) => turns.leave(endpoint),
            Policy::Random(lots) | Policy::LeastRequest { lots, .. } | Policy::PeakEwma { lots, .. } => {
                lots.leave(endpoint);
            }
            Policy::JoinIdleQueue { lots, idle } => {
                lots.leave(endpoint);
                idle.leave(endpoint);
            }
            Policy::LeastConnections(least) => {
                least.leave(endpoint);
            }
            Policy::LeastInTurn(line) => {
                line.leave(endpoint);
            }
            Policy::ConsistentHash(ring) => ring.leave(endpoint, loads),
        }
    }

    /// A member is full.
    pub(super) fn pause(&mut self, endpoint: Endpoint) {
        match self {
            Policy::RoundRobin(turns) => turns.pause(endpoint),
            Policy::Random(lots) | Policy::LeastRequest { lots, .. } | Policy::PeakEwma { lots, .. } => {
                lots.pause(endpoint);
            }
            Policy::JoinIdleQueue { lots, idle } => {
                lots.pause(endpoint);
                idle.leave(endpoint);
            }
            Policy::LeastConnections(least) => {
                least.leave(endpoint);
            }
            Policy::LeastInTurn(line) => {
                line.leave(endpoint);
            }
            Policy::ConsistentHash(ring) => ring.pause(endpoint),
        }
    }

    /// A member is not full any more.
    pub(super) fn resume(&mut self, endpoint: Endpoint, loads: &Loads) {
        let weight = loads.weight(endpoint);
        match self {
            Policy::RoundRobin(turns) => turns.resume(endpoint, weight),
            Policy::Random(lots) | Policy::LeastRequest { lots, .. } | Policy::PeakEwma { lots, .. } => {
                lots.weigh(endpoint, weight);
            }
            Policy::JoinIdleQueue { lots, idle } => {
                lots.weigh(endpoint, weight);
                idle.join(endpoint);
            }
            Policy::LeastConnections(least) => least.join(endpoint, loads),
            Policy::LeastInTurn(line) => line.join(endpoint, loads.weight(endpoint), loads.open(endpoint)),
            Policy::ConsistentHash(ring) => ring.resume(endpoint, weight),
        }
    }

    /// The weight of a member that is not paused has changed.
    pub(super) fn reweigh(&mut self, endpoint: Endpoint, loads: &Loads) {
        let weight = loads.weight(endpoint);
        match self {
            Policy::RoundRobin(turns) => turns.reweigh(endpoint, weight),
            Policy::Random(lots)
            | Policy::LeastRequest { lots, .. }
            | Policy::PeakEwma { lots, .. }
            | Policy::JoinIdleQueue { lots, .. } => lots.weigh(endpoint, weight),
            Policy::LeastConnections(least) => least.update(endpoint, loads),
            Policy::LeastInTurn(line) => line.update(endpoint, loads.weight(endpoint), loads.open(endpoint)),
            Policy::ConsistentHash(ring) => ring.resume(endpoint, weight),
        }
    }

    /// One more request is open at an endpoint, which need not be a member.
    #[inline]
    pub(super) fn opened(&mut self, endpoint: Endpoint, loads: &Loads) {
        match self {
            Policy::LeastConnections(least) => least.opened(endpoint, loads),
            Policy::LeastInTurn(line) => line.update(endpoint, loads.weight(endpoint), loads.open(endpoint)),
            Policy::ConsistentHash(ring) => ring.opened(endpoint),
            _ => {}
        }
    }

    /// One fewer is open.
    #[inline]
    pub(super) fn closed(&mut self, endpoint: Endpoint, loads: &Loads) {
        match self {
            Policy::LeastConnections(least) => least.closed(endpoint, loads),
            Policy::LeastInTurn(line) => line.update(endpoint, loads.weight(endpoint), loads.open(endpoint)),
            Policy::ConsistentHash(ring) => ring.closed(endpoint),
            _ => {}
        }
    }

    /// An answer came after so many nanoseconds.
    pub(super) fn note_answer(&mut self, endpoint: Endpoint, latency: u64, now: u64) {
        if let Policy::PeakEwma { averages, .. } = self {
            averages.note(endpoint, latency, now);
        }
    }

    /// An endpoint has nothing to do.
    pub(super) fn became_idle(&mut self, endpoint: Endpoint) {
        if let Policy::JoinIdleQueue { idle, .. } = self {
            idle.tell(endpoint);
        }
    }

    /// Two members of whom one with fewer open requests is chosen, by weight, where nothing else counts.
    #[inline(always)]
    pub(super) fn pair(&self, luck: u64, by: impl Compare) -> Option<(Endpoint, Endpoint)> {
        match self {
            Policy::LeastRequest { lots, choices: 2 } => lots.pair(luck, by),
            _ => None,
        }
    }

    /// How often something has changed that [`Policy::pair`] rests on.
    #[inline]
    pub(super) fn changes(&self) -> u64 {
        match self {
            Policy::LeastRequest { lots, choices: 2 } => lots.changes(),
            _ => 0,
        }
    }

    /// The members of whom those two are any, where they are.
    #[inline(always)]
    pub(super) fn peers(&self) -> Option<Peers<'_>> {
        match self {
            Policy::LeastRequest { lots, choices: 2 } => lots.peers(),
            _ => None,
        }
    }

    /// The member that [`Policy::choose`] comes to, where it is the one with the fewest open requests.
    #[inline]
    pub(super) fn least(&self, luck: u64, loads: &Loads) -> Option<Endpoint> {
        match self {
            Policy::LeastConnections(least) => least.choose(luck, &[], loads),
            _ => None,
        }
    }

    /// The same for requests in a row.
    #[inline]
    pub(super) fn fewest<'a>(&'a mut self, open: &'a mut [u32]) -> Option<Fewest<'a>> {
        match self {
            Policy::LeastConnections(least) => least.fewest(open),
            _ => None,
        }
    }

    /// Whether all members of a plain choice weigh the same.
    #[inline(always)]
    pub(super) fn weighs_alike(&self) -> bool {
        matches!(self, Policy::LeastRequest { lots, .. } if lots.are_even())
    }

    /// One of the members, but not a paused one and none of these. `more`: how many requests are open beside the loads.
    pub(super) fn choose(
        &mut self,
        ask: &Ask<'_>,
        excluded: &[Endpoint],
        loads: &Loads,
        more: &dyn Fn(Endpoint) -> u32,
        now: u64,
    ) -> Option<Endpoint> {
        match self {
            Policy::RoundRobin(turns) => turns.next(excluded),
            Policy::Random(lots) => lots.one(ask.luck, excluded),
            Policy::LeastConnections(least) => least.choose(ask.luck, excluded, loads),
            Policy::LeastInTurn(line) => line.choose(excluded, loads),
            Policy::LeastRequest { lots, choices } if lots.are_even() => {
                lots.best_of(*choices, ask.luck, excluded, |endpoint| loads.open(endpoint) + more(endpoint))
            }
            Policy::LeastRequest { lots, choices } => {
                lots.best_of(*choices, ask.luck, excluded, |endpoint| loads.cost(endpoint, more(endpoint)))
            }
            Policy::JoinIdleQueue { lots, idle } => {
                let chosen = idle.first(excluded);
                if let Some(endpoint) = chosen {
                    idle.use_up(endpoint);
                }
                chosen.or_else(|| lots.one(ask.luck, excluded))
            }
            Policy::PeakEwma { lots, averages } => {
                lots.best_of(2, ask.luck, excluded, |endpoint| averages.load(endpoint, loads.open(endpoint), now))
            }
            Policy::ConsistentHash(ring) => ring.choose(ask.key, excluded, loads),
        }
    }
}
