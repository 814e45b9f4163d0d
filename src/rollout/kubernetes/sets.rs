//! ReplicaSets: one version's group of instances each, as the API server holds it.

use super::syncs::Sync;
use crate::fleet::{Fleet, Phase, Version};
use crate::time::SimTime;

/// Events about one object that a client writes in a burst; a further one comes free only after five minutes
/// (`EventSourceObjectSpamFilter` of client-go).
pub(super) const MOST_EVENTS: u32 = 25;

/// A ReplicaSet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReplicaSet {
    /// What its instances run.
    pub version: Version,
    /// `spec.replicas`.
    pub size: u32,
    /// What its controller last wrote of its instances.
    pub status: Status,
    /// What the Deployment was when it sized this set last.
    pub note: Option<Note>,
    /// The `revision` annotation: the newest version that was asked for by it.
    pub(super) revision: u32,
    /// How often its object was written (`resourceVersion`): who writes what was read before is refused.
    pub(super) edition: u32,
    /// How often its size was written (`generation`).
    pub(super) generation: u32,
    /// The generation that its status tells of (`status.observedGeneration`).
    pub(super) observed: u32,
    /// What its controller is at; `None`: it has nothing to do, or waits.
    pub(super) sync: Option<Sync>,
    /// Creations in a row that were refused.
    pub(super) refusals: u32,
    /// When they are tried again.
    pub(super) retry_at: Option<SimTime>,
    /// Events about this set that its controller may still write: more are dropped as spam.
    pub(super) events_left: u32,
}

/// A ReplicaSet's `status`: how many instances it has, those on their way out apart.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Status {
    /// Not on their way out.
    pub replicas: u32,
    /// Ready.
    pub ready: u32,
    /// Ready for `minReadySeconds`.
    pub available: u32,
    /// On their way out.
    pub terminating: u32,
}

/// The annotations by which a ReplicaSet remembers the Deployment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Note {
    /// `desired-replicas`.
    pub desired: u32,
    /// `max-replicas`: desired and surge.
    pub most: u32,
    /// `replicaset-replicas-before-scale`: the size from which it is still on its way to its share (KEP-3973).
    pub before_scale: Option<u32>,
}

impl ReplicaSet {
    /// A set that was just created.
    pub fn new(version: Version, size: u32) -> Self {
        ReplicaSet {
            version,
            size,
            status: Status::default(),
            note: None,
            revision: 0,
            edition: 0,
            generation: 0,
            observed: 0,
            sync: None,
            refusals: 0,
            retry_at: None,
            events_left: MOST_EVENTS,
        }
    }

    /// Gives it a size, and notes what the Deployment is.
    pub fn resize(&mut self, size: u32, desired: u32, most: u32) {
        self.size = size;
        self.note = Some(Note { desired, most, before_scale: None });
    }

    /// Whether it is as large and as available as the Deployment wants it (`IsSaturated`).
    pub fn is_saturated(&self, desired: u32) -> bool {
        let noted = self.note.is_some_and(|note| note.desired == desired);
        noted && self.size == desired && self.status.available == desired
    }
}

/// The place of the target's set among sets, oldest first: the oldest one that runs what is asked for
/// (`FindNewReplicaSet`).
pub fn find_new(sets: &[ReplicaSet], target: Version) -> Option<usize> {
    sets.iter().position(|set| set.version == target)
}

/// The places of all sets but the target's, oldest first (`FindOldReplicaSets`).
pub fn find_old(sets: &[ReplicaSet], target: Version) -> impl Iterator<Item = usize> + use<> {
    let new = find_new(sets, target);
    (0..sets.len()).filter(move |place| Some(*place) != new)
}

impl Status {
    /// What there is of a version.
    pub(super) fn of(fleet: &Fleet, version: Version, available: u32) -> Self {
        Status {
            replicas: fleet.live(version),
            ready: fleet.count(version, Phase::Ready),
            available,
            terminating: fleet.count(version, Phase::Draining) + fleet.count(version, Phase::Stopping),
        }
    }
}
