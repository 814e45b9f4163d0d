//! What a pass does that may not roll out: the Deployment was scaled, or is paused (`scale` of `sync.go`,
//! `GetReplicaSetProportion` of `deployment_util.go`; for terminating instances KEP-3973 and KEP-5882).

use super::sets::{Note, ReplicaSet};
use std::cmp::Reverse;

/// The Deployment that is scaled.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Scale {
    /// `spec.replicas`.
    pub desired: u32,
    /// Desired and surge; 0 where nothing is desired.
    pub most: u32,
    /// `status.replicas`, for sets without a note.
    pub replicas: u32,
    /// Terminating instances that hold room.
    pub terminating: u32,
    /// Whether surge exists: a Recreate shares nothing out.
    pub is_rolling: bool,
}

/// Whether some set was sized for another number of desired instances (`isScalingEvent`).
pub(super) fn is_due(sets: &[ReplicaSet], desired: u32) -> bool {
    let noted = sets.iter().filter(|set| set.size > 0).filter_map(|set| set.note);
    noted.into_iter().any(|note| note.desired != desired)
}

impl Scale {
    /// Scales the sets, oldest first. `new`: the place of the new set, if it exists.
    pub fn apply(&self, sets: &mut [ReplicaSet], new: Option<usize>) {
        let active: Vec<usize> = (0..sets.len()).filter(|place| sets[*place].size > 0).collect();
        // The only one, or the new one, or the newest takes it all.
        let only = match active[..] {
            [] => new.or(sets.len().checked_sub(1)),
            [only] => Some(only),
            _ => None,
        };
        if let Some(only) = only {
            let set = &mut sets[only];
            let grows = self.desired.saturating_sub(set.size);
            let room = self.room(set.size.saturating_add(self.terminating));
            if self.terminating > 0 && grows > room {
                self.resize_partly(set, set.size + room);
            } else {
                set.resize(self.desired, self.desired, self.most);
            }
        } else if let Some(new) = new.filter(|new| sets[*new].is_saturated(self.desired)) {
            for place in active.into_iter().filter(|place| *place != new) {
                sets[place].resize(0, self.desired, self.most);
            }
        } else if self.is_rolling {
            self.share_out(sets, active);
        }
    }

    /// How many more there may be where there are so many.
    fn room(&self, there: u32) -> u32 {
        self.most.saturating_sub(there)
    }

    /// Adds or removes instances in proportion to the sets' sizes; what rounding leaves goes to the largest.
    fn share_out(&self, sets: &mut [ReplicaSet], mut order: Vec<usize>) {
        let total: u32 = order.iter().map(|place| sets[*place].size).sum();
        let wanted = i64::from(self.most) - i64::from(total);
        // Terminating instances hold room for new ones, but nothing is removed on their account.
        let to_add = if wanted > 0 { (wanted - i64::from(self.terminating)).max(0) } else { wanted };
        // The largest first; among equals the newest first when growing, the oldest first when shrinking.
        if to_add > 0 {
            order.sort_by_key(|place| (Reverse(sets[*place].size), Reverse(*place)));
        } else {
            order.sort_by_key(|place| (Reverse(sets[*place].size), *place));
        }
        let mut left = to_add;
        let mut shares = vec![0; order.len()];
        for (share, place) in shares.iter_mut().zip(&order) {
            let set = &sets[*place];
            let fraction = self.fraction(set);
            *share = match to_add {
                0 => 0,
                // A set that waits for its share of an earlier scale gets all of it or nothing.
                1.. if is_waiting(set) && fraction > left => 0,
                1.. => fraction.min(left),
                _ => fraction.max(left),
            };
            left -= *share;
        }
        if let Some(first) = shares.first_mut() {
            *first += left;
        }
        for (share, place) in shares.into_iter().zip(order) {
            let set = &mut sets[place];
            let size = u32::try_from((i64::from(set.size) + share).max(0)).unwrap_or(u32::MAX);
            if to_add >= 0 && self.terminating > 0 && share < self.fraction(set) {
                self.resize_partly(set, size);
            } else {
                set.resize(size, self.desired, self.most);
            }
        }
    }

    /// Gives a set a part of its share, and lets it remember what the share is counted from.
    fn resize_partly(&self, set: &mut ReplicaSet, size: u32) {
        let before_scale = set.note.and_then(|note| note.before_scale).unwrap_or(set.size);
        let (desired, most) = set.note.map_or((self.replicas, self.replicas), |note| (note.desired, note.most));
        set.size = size;
        set.note = Some(Note { desired, most, before_scale: Some(before_scale) });
    }

    /// By how much a set changes in proportion to its size (`getReplicaSetFraction`), halves rounded away from zero.
    pub fn fraction(&self, set: &ReplicaSet) -> i64 {
        if self.desired == 0 {
            return -i64::from(set.size);
        }
        let noted = set.note.map_or(0, |note| note.most);
        let sized_for = if noted == 0 { self.replicas } else { noted };
        if sized_for == 0 {
            return 0;
        }
        let from = set.note.and_then(|note| note.before_scale).unwrap_or(set.size);
        let scaled = f64::from(from) * f64::from(self.most) / f64::from(sized_for);
        scaled.round() as i64 - i64::from(set.size)
    }
}

/// Whether it got only a part of its share of an earlier scale.
fn is_waiting(set: &ReplicaSet) -> bool {
    set.note.is_some_and(|note| note.before_scale.is_some())
}
