//! How large the two ReplicaSets of a canary are (`utils/replicaset/canary.go`).
//!
//! Without a traffic router the sizes themselves are the weights: they move towards what comes closest to the weight,
//! within maxSurge and maxUnavailable. With one the canary is as large as its weight needs, and the stable set stays
//! whole, or shrinks with its own weight.

use crate::rollout::kubernetes::Bounds;

/// All the requests.
pub const MAX_WEIGHT: u32 = 100;

/// A ReplicaSet as the controller sees it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Set {
    /// `spec.replicas`.
    pub size: u32,
    /// `status.availableReplicas`.
    pub available: u32,
    /// `status.replicas`.
    pub created: u32,
}

impl Set {
    /// How many of it count when something is to shrink (`GetReplicasForScaleDown`): of the set that shrinks all that are
    /// asked for, for broken instances must not hold it up; of the other one those that are available.
    pub fn counts(&self, by_size: bool) -> u32 {
        if by_size { self.size } else { self.available.min(self.size) }
    }
}

/// Two sizes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sizes {
    /// Of the new set.
    pub canary: u32,
    /// Of the stable set.
    pub stable: u32,
}

/// So many parts of so many instances, rounded up (`trafficWeightToReplicas`).
pub fn part(replicas: u32, weight: u32, max_weight: u32) -> u32 {
    (u64::from(replicas) * u64::from(weight)).div_ceil(u64::from(max_weight.max(1))) as u32
}

/// The sizes that come closest to a weight (`approximateWeightedCanaryStableReplicaCounts`): the share rounded up or down,
/// of all instances or, where surge allows it, of one more. Neither set is empty for a weight between none and all, unless
/// there is a single instance without surge. The larger canary wins a tie.
pub fn approximate(replicas: u32, weight: u32, max_weight: u32, max_surge: u32) -> Sizes {
    if replicas == 0 {
        return Sizes { canary: 0, stable: 0 };
    }
    let max_weight = max_weight.max(1);
    let up = part(replicas, weight, max_weight);
    let down = (u64::from(replicas) * u64::from(weight) / u64::from(max_weight)) as u32;
    let none_is_allowed = weight >= max_weight || weight == 0 || replicas == 1 && max_surge == 0;
    let is_tied = |total: u32| {
        let share = u64::from(total) * u64::from(weight) % u64::from(max_weight);
        share * 2 == u64::from(max_weight)
    };
    let mut choices = Vec::new();
    if up < replicas || none_is_allowed {
        choices.push((up, replicas));
    }
    let totals = if max_surge > 0 { replicas..=replicas + 1 } else { replicas..=replicas };
    for total in totals {
        if total > replicas {
            choices.push((up, total));
        }
        if !is_tied(total) && (down > 0 || none_is_allowed) {
            choices.push((down, total));
        }
    }
    // How far the share is from the weight, in parts of total × max_weight.
    let distance = |(canary, total): (u32, u32)| {
        (u64::from(canary) * u64::from(max_weight)).abs_diff(u64::from(weight) * u64::from(total))
    };
    let nearer = |best: (u32, u32), other: (u32, u32)| {
        let is_nearer =
            u128::from(distance(other)) * u128::from(best.1) < u128::from(distance(best)) * u128::from(other.1);
        if is_nearer { other } else { best }
    };
    let (canary, total) = choices.into_iter().reduce(nearer).unwrap_or((0, replicas));
    Sizes { canary, stable: total - canary }
}

/// The sizes after one pass without a traffic router (`CalculateReplicaCountsForBasicCanary`). `stable`: absent where the
/// new set is the stable one; `older`: the sizes of all other sets.
///
/// The stable set grows first, then the canary, as far as there is room. While there are other sets nothing shrinks, for
/// those go first.
pub fn basic(bounds: &Bounds, weight: u32, canary: Option<Set>, stable: Option<Set>, older: u32) -> Sizes {
    let (most, least_available) = (bounds.most(), bounds.least_available());
    let wanted = match stable {
        Some(_) => approximate(bounds.desired, weight, MAX_WEIGHT, bounds.surge),
        None => Sizes { canary: bounds.desired, stable: 0 },
    };
    let (new, old) = (canary.unwrap_or_default(), stable.unwrap_or_default());
    let mut room = most.saturating_sub(new.size + old.size + older);
    let mut grown = |set: &Set, wanted: u32| {
        let grows = wanted.saturating_sub(set.size).min(room);
        room -= grows;
        set.size + grows
    };
    let mut sizes = Sizes { stable: 0, canary: 0 };
    sizes.stable = stable.map_or(0, |set| grown(&set, wanted.stable));
    sizes.canary = canary.map_or(0, |set| grown(&set, wanted.canary));
    if older > 0 {
        return sizes;
    }
    let increases = canary.is_none_or(|set| wanted.canary >= set.size);
    let may_go = (new.counts(!increases) + old.counts(increases)).saturating_sub(least_available);
    if may_go == 0 {
        return sizes;
    }
    let shrunk = |set: &Set, size: u32, wanted: u32| {
        if set.size > wanted { wanted.max(set.size.saturating_sub(may_go)) } else { size }
    };
    if !increases {
        sizes.canary = shrunk(&new, sizes.canary, wanted.canary);
        (sizes.canary, sizes.stable) =
            within_limits((sizes.canary, new), (sizes.stable, stable), (most, least_available));
    } else if stable.is_some() {
        sizes.stable = shrunk(&old, sizes.stable, wanted.stable);
        (sizes.stable, sizes.canary) =
            within_limits((sizes.stable, old), (sizes.canary, canary), (most, least_available));
    }
    sizes
}

/// Takes what is beyond the most there may be from the set whose availability counts, unless too few would be available
/// then, and what is still too much from the one that shrinks (`adjustReplicaWithinLimits`).
fn within_limits(shrinking: (u32, Set), other: (u32, Option<Set>), (most, least_available): (u32, u32)) -> (u32, u32) {
    let ((shrinking, of_shrinking), (mut size, Some(set))) = (shrinking, other) else {
        return (shrinking.0, other.0);
    };
    size = size.saturating_sub((size + shrinking).saturating_sub(most));
    let available = of_shrinking.available.min(shrinking) + set.available.min(size);
    let taken = set.available.saturating_sub(size);
    size += taken.min(least_available.saturating_sub(available));
    (shrinking.saturating_sub((size + shrinking).saturating_sub(most)), size)
}

/// How a canary with a traffic router is sized.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Routed {
    /// The desired instances.
    pub replicas: u32,
    /// `setCanaryScale`, where one is in force: so many instances.
    pub scale: Option<u32>,
    /// The weight that is sought, in hundredths; that of a `setCanaryScale` may exceed 100.
    pub weight: u32,
    /// The weight of the canary that is in force, where `dynamicStableScale` is set; `None`: it is not.
    pub dynamic: Option<u32>,
    /// The update is aborted.
    pub aborted: bool,
    /// `minPodsPerReplicaSet`.
    pub min_pods: u32,
}

impl Routed {
    /// The sizes (`CalculateReplicaCountsForTrafficRoutedCanary`).
    pub fn sizes(&self) -> Sizes {
        let of = |weight| part(self.replicas, weight, MAX_WEIGHT);
        let canary = self.scale.unwrap_or_else(|| self.at_least(of(self.weight)));
        let Some(actual) = self.dynamic else { return Sizes { canary, stable: self.replicas } };
        let rest = |weight: u32| of(MAX_WEIGHT.saturating_sub(weight));
        let stable = rest(self.weight).max(rest(actual));
        // Nothing of an aborted canary goes before its requests do.
        let canary = if self.aborted { canary.max(of(actual)) } else { canary };
        Sizes { canary: self.at_least(canary), stable: self.at_least(stable) }
    }

    /// `CheckMinPodsPerReplicaSet`: never more than there are to be in all.
    fn at_least(&self, size: u32) -> u32 {
        if size == 0 { 0 } else { size.max(self.min_pods.min(self.replicas)) }
    }
}

/// The weight that an aborted update with `dynamicStableScale` makes for: the stable set grows through the listed weights
/// back down, each reached once the stable set is available for it and the canary is no larger than it needs. Whoever
/// keeps the canary for a while looks at the stable set only, or would wait for ever.
pub fn weight_on_abort(
    replicas: u32,
    weights: impl DoubleEndedIterator<Item = u32>,
    canary: Set,
    stable: Set,
    keeps_canary: bool,
) -> u32 {
    let is_reached = |weight: &u32| {
        let of_stable = part(replicas, MAX_WEIGHT.saturating_sub(*weight), MAX_WEIGHT);
        let of_canary = part(replicas, *weight, MAX_WEIGHT);
        stable.available >= of_stable && (keeps_canary || canary.available <= of_canary)
    };
    weights.rev().find(|weight| !is_reached(weight)).unwrap_or(0)
}

/// `replicaProgressThreshold`: how many available instances are enough for a step to be done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Enough {
    /// So many.
    Pods(u32),
    /// So many in a hundred.
    Percent(u32),
}

impl Enough {
    /// Whether so many of so many are enough.
    pub fn is_met(self, available: u32, desired: u32) -> bool {
        match self {
            Enough::Pods(pods) => available >= pods,
            Enough::Percent(percent) => u64::from(available) * 100 >= u64::from(percent) * u64::from(desired),
        }
    }
}

/// Whether the sets are as large as sought and enough of the new one is available (`AtDesiredReplicaCountsForCanary`).
/// Of the stable set, if it matters, it is enough that its instances were created; sets beside the two must be out of
/// service where they would get requests.
pub fn at_desired(
    sizes: Sizes,
    canary: Set,
    stable: Option<Set>,
    enough: Option<Enough>,
    others_available: u32,
) -> bool {
    let is_whole = stable.is_none_or(|set| set.size == sizes.stable && set.created == sizes.stable);
    is_there(canary, sizes.canary, enough) && is_whole && others_available == 0
}

/// Whether a set is as large as desired, and enough of it is available (`AllDesiredAreAvailable`).
pub fn is_there(set: Set, desired: u32, enough: Option<Enough>) -> bool {
    set.size == desired && enough.map_or(set.available == desired, |enough| enough.is_met(set.available, desired))
}
