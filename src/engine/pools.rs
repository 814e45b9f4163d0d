//! Requests by version: behind each balancer stands a pool of endpoints for each version, and every request draws its
//! pool by the shares that the balancer last heard of. Where no strategy splits requests, all endpoints are one pool.
//!
//! It is how service meshes and ingresses do it (Istio, "Traffic Management": a route's weighted destinations are drawn
//! first, the destination's own load balancing follows), so that a share goes to a version even if nobody serves it.

use super::{Engine, Event};
use crate::client::{LuckOf, luck};
use crate::fleet::{InstanceId, Version};
use crate::random::{GOLDEN, Purpose, below, mix};
use crate::rollout::Split;

/// The pools behind all balancers, and what these were told.
#[derive(Debug)]
pub(super) struct Pools {
    /// So many behind each balancer, by version; 1: requests are not split.
    each: u16,
    /// Each split that was asked for, the first one first.
    told: Vec<Split>,
    /// By balancer: which of them it goes by.
    heard: Vec<u32>,
    /// How often a balancer has heard of one.
    changes: u64,
}

impl Pools {
    /// Pools for so many versions, 0: one for all; all requests go to the old one.
    pub(super) fn new(balancers: u32, versions: usize) -> Self {
        let each = versions.max(1) as u16;
        Pools { each, told: vec![Split::all_to(Version::OLD)], heard: vec![0; balancers as usize], changes: 0 }
    }

    /// How many there are behind all balancers.
    pub(super) fn count(&self) -> u32 {
        self.heard.len() as u32 * u32::from(self.each)
    }

    /// The pool of a version behind each balancer, beside the balancer's own number.
    fn of(&self, version: Version) -> impl ExactSizeIterator<Item = (u16, u16)> + Clone + use<> {
        let (each, own) = (self.each, if self.each > 1 { u16::from(version.0) } else { 0 });
        (0..self.heard.len() as u16).map(move |balancer| (balancer, balancer * each + own))
    }

    /// The pool that a request meets: any balancer, and the version by its shares.
    #[inline(always)]
    pub(super) fn drawn(&self, request: u64, attempt: u8) -> u16 {
        let balancers = self.heard.len() as u32;
        if balancers == 1 && self.each == 1 {
            return 0;
        }
        let balancer = below((luck(request, LuckOf::Balancer, attempt) >> 32) as u32, balancers) as u16;
        if self.each == 1 {
            return balancer;
        }
        let split = &self.told[self.heard[usize::from(balancer)] as usize];
        balancer * self.each + u16::from(split.drawn(luck(request, LuckOf::Version, attempt)).0)
    }

    /// The pools that such requests meet with their first attempts.
    #[inline(always)]
    pub(super) fn draw_all(&self, requests: &[u64], pools: &mut [u16]) {
        if self.each == 1 {
            let balancers = self.heard.len() as u32;
            for (pool, request) in pools.iter_mut().zip(requests) {
                *pool = below((luck(*request, LuckOf::Balancer, 1) >> 32) as u32, balancers) as u16;
            }
            return;
        }
        for (pool, request) in pools.iter_mut().zip(requests) {
            *pool = self.drawn(*request, 1);
        }
    }

    /// How often something has changed that [`Pools::drawn`] rests on.
    pub(super) fn changes(&self) -> u64 {
        self.changes
    }

    /// The number of the balancer in front of a pool.
    pub(super) fn behind(&self, pool: u16) -> usize {
        usize::from(pool / self.each)
    }

    /// The version whose requests meet this pool; `None`: those of all versions do.
    pub(super) fn version_of(&self, pool: u16) -> Option<Version> {
        (self.each > 1).then(|| Version((pool % self.each) as u8))
    }
}

impl Engine<'_> {
    /// The pools in which an instance may be an endpoint, one behind each balancer, beside the balancer's own number.
    pub(super) fn pools_of(&self, id: InstanceId) -> impl ExactSizeIterator<Item = (u16, u16)> + Clone + use<> {
        self.pools.of(self.fleet[id].version)
    }

    /// The orchestrator asks for another split; the news are as long on their way as those of endpoints.
    pub(super) fn split(&mut self, split: Split) {
        debug_assert!(self.pools.each > 1, "whoever splits requests says so before");
        let news = self.pools.told.len() as u32;
        self.pools.told.push(split);
        if !self.is_window_over() {
            self.history.splits.push((self.now, split));
        }
        let luck = self.streams.of(Purpose::Split, u64::from(news)).bits();
        for balancer in 0..self.pools.heard.len() as u16 {
            let own = mix(luck.wrapping_add(GOLDEN.wrapping_mul(u64::from(balancer))));
            let heard_at = self.now + self.scenario.balancer.propagation.by_luck(own);
            self.control.schedule(heard_at, Event::SplitHeard { balancer, news });
        }
    }

    pub(super) fn hear_split(&mut self, balancer: u16, news: u32) {
        let heard = &mut self.pools.heard[usize::from(balancer)];
        *heard = (*heard).max(news);
        self.pools.changes += 1;
    }
}
