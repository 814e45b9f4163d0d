//! ReplicaSets: one version's group of instances each, as the API server holds it.

use super::client::Tokens;
use crate::fleet::{Fleet, Phase, Version};
use crate::time::SimTime;
use std::time::Duration;

/// Events about one object that a client writes in a burst; a further one comes free only after five minutes
/// (`EventSourceObjectSpamFilter` of client-go).
const MOST_EVENTS: u32 = 25;

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
    /// What its controller is at; `None`: it has nothing to do.
    pub(super) sync: Option<Sync>,
    /// It was resized since its controller read it last.
    pub(super) is_stale: bool,
    /// Creations in a row that were refused.
    pub(super) refusals: u32,
    /// Events about this set that its controller may still write: more are dropped as spam.
    pub(super) events_left: u32,
}

/// A ReplicaSet's controller brings the number of pods in line, batch by batch, and then writes the set's status
/// (`syncReplicaSet`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Sync {
    /// When its next request is made, or the next batch begins.
    pub at: SimTime,
    /// The requests of the batch that wait for their tokens; none: the next batch begins.
    pub tokens: Tokens,
    /// How many pods it created at once last.
    pub created: u32,
    /// What the batch takes.
    pub takes: Duration,
}

impl Sync {
    /// The next batch begins at a moment.
    pub(super) fn from(at: SimTime) -> Self {
        Sync { at, tokens: Tokens::default(), created: 0, takes: Duration::ZERO }
    }
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
            sync: None,
            is_stale: false,
            refusals: 0,
            events_left: MOST_EVENTS,
        }
    }

    /// Gives it a size, and notes what the Deployment is. Its controller hears of another size at once, however long
    /// it would have waited after a refusal.
    pub fn resize(&mut self, size: u32, desired: u32, most: u32) {
        if size != self.size && self.refusals > 0 {
            self.sync = None;
        }
        self.is_stale |= size != self.size;
        self.size = size;
        self.note = Some(Note { desired, most, before_scale: None });
    }

    /// Whether it is as large and as available as the Deployment wants it (`IsSaturated`).
    pub fn is_saturated(&self, desired: u32) -> bool {
        let noted = self.note.is_some_and(|note| note.desired == desired);
        noted && self.size == desired && self.status.available == desired
    }
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
