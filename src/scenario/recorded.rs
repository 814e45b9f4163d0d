//! Delays that were recorded instead of drawn: what a replay of a recorded rollout gives to each instance.

use crate::fleet::{Slot, Version};
use std::collections::BTreeMap;
use std::time::Duration;

/// What one instance does, as it was recorded. All times are counted from the step before.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Life {
    /// From its launch until it has its image.
    pub pull: Duration,
    /// From leave to start until its process is up, and ready; `None`: it never comes up.
    pub start: Option<Duration>,
    /// From leave to start until its process ends unasked; `None`: it does not.
    pub fails_after: Option<Duration>,
    /// How long it is ready before it is not for a while, and how long that is.
    pub unready: Option<(Duration, Duration)>,
    /// From being told to stop until it is gone.
    pub stop: Duration,
    /// The same where it has its image and was never left to start.
    pub stop_unstarted: Duration,
}

/// Which launches a life belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Key {
    /// The n-th launch of a version, counted from 0.
    Ordinal(Version, u32),
    /// The n-th launch of a version in a slot, counted from 0.
    InSlot(Version, Slot, u32),
}

/// The delays of a recorded rollout.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Recorded {
    /// Lives by launch.
    pub lives: BTreeMap<Key, Life>,
    /// The life of every launch of a version that was not recorded.
    pub otherwise: BTreeMap<Version, Life>,
    /// The order in which the slots were taken, for each version that was asked for, in turn. What is not given is
    /// drawn.
    pub slot_orders: Vec<Vec<Slot>>,
}

impl Recorded {
    /// The life of a launch: the n-th of its version, and the n-th of its version in its slot.
    pub fn life(&self, version: Version, ordinal: u32, slot: Slot, nth_in_slot: u32) -> Life {
        let by_ordinal = self.lives.get(&Key::Ordinal(version, ordinal));
        let life = by_ordinal.or_else(|| self.lives.get(&Key::InSlot(version, slot, nth_in_slot)));
        life.or_else(|| self.otherwise.get(&version)).cloned().unwrap_or_default()
    }
}
