//! One pass of a rolling update over the sizes of the ReplicaSets (`rolling.go`, `NewRSNewReplicas` and
//! `ResolveFenceposts` of `deployment_util.go`).

use super::sets::ReplicaSet;
use std::fmt;
use std::str::FromStr;

/// A count, or a share of the desired count in percent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Bound {
    /// So many.
    Count(u32),
    /// So many in a hundred.
    Percent(u32),
}

impl Bound {
    /// The count of it; a share rounds up or down, and is cut off at the largest count there is.
    pub fn of(self, total: u32, round_up: bool) -> u32 {
        match self {
            Bound::Count(count) => count,
            Bound::Percent(percent) => {
                let hundredfold = u64::from(percent) * u64::from(total);
                let count = if round_up { hundredfold.div_ceil(100) } else { hundredfold / 100 };
                u32::try_from(count).unwrap_or(u32::MAX)
            }
        }
    }
}

impl fmt::Display for Bound {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Bound::Count(count) => count.fmt(f),
            Bound::Percent(percent) => write!(f, "{percent}%"),
        }
    }
}

/// What is no share: anything but a whole number followed by `%`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NoShare;

impl fmt::Display for NoShare {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("must be a count, or a whole percentage such as \"25%\"")
    }
}

impl std::error::Error for NoShare {}

impl FromStr for Bound {
    type Err = NoShare;

    /// A share: a count in quotes is an error here, as it is in the original.
    fn from_str(text: &str) -> Result<Self, NoShare> {
        let digits = text.strip_suffix('%').filter(|digits| digits.bytes().all(|byte| byte.is_ascii_digit()));
        digits.and_then(|digits| digits.parse().ok()).map(Bound::Percent).ok_or(NoShare)
    }
}

/// `maxSurge` and `maxUnavailable` as counts against `desired`: the surge's share rounds up, the other one down, and
/// where both come to nothing the latter is 1, or no step would be possible (`ResolveFenceposts`).
pub fn resolve_fenceposts(max_surge: Bound, max_unavailable: Bound, desired: u32) -> (u32, u32) {
    let surge = max_surge.of(desired, true);
    let unavailable = max_unavailable.of(desired, false);
    (surge, if surge == 0 && unavailable == 0 { 1 } else { unavailable })
}

/// How far a rolling update may go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bounds {
    /// `spec.replicas`.
    pub desired: u32,
    /// How many more than that may be asked for.
    pub surge: u32,
    /// How many fewer than that may be available.
    pub unavailable: u32,
}

impl Bounds {
    /// The bounds for so many desired instances; the unavailable ones are at most all (`MaxUnavailable`).
    pub fn resolve(max_surge: Bound, max_unavailable: Bound, desired: u32) -> Self {
        let (surge, unavailable) = resolve_fenceposts(max_surge, max_unavailable, desired);
        Bounds { desired, surge, unavailable: unavailable.min(desired) }
    }

    /// The most that all sets together may ask for; nothing where nothing is desired.
    pub fn most(&self) -> u32 {
        if self.desired == 0 { 0 } else { self.desired.saturating_add(self.surge) }
    }

    /// The fewest that must be available (`MinAvailable`).
    pub fn least_available(&self) -> u32 {
        self.desired - self.unavailable
    }

    /// The size that the new set may have now, of the room that all sets together leave (`NewRSNewReplicas`). `total`
    /// counts the new set, too.
    pub fn new_set_may_have(&self, new: u32, total: u32) -> u32 {
        let room = self.desired.saturating_add(self.surge).saturating_sub(total);
        new + room.min(self.desired.saturating_sub(new))
    }

    /// The new set's size after a pass: no more than desired, or else grown into the room that there is
    /// (`reconcileNewReplicaSet`).
    pub fn new_set_after_pass(&self, new: u32, total: u32) -> u32 {
        if new > self.desired { self.desired } else { self.new_set_may_have(new, total) }
    }

    /// How many old instances may go: what is asked for beyond the least available ones and those new ones that are
    /// not available yet.
    pub fn may_go(&self, total: u32, new_unavailable: u32) -> u32 {
        total.saturating_sub(self.least_available()).saturating_sub(new_unavailable)
    }

    /// Shrinks the old sets, oldest first: instances that do not work go first, even below the bound of availability,
    /// for a broken old version must not block the way out of it; then healthy ones down to the bound
    /// (`reconcileOldReplicaSets`). Nothing more goes while a set has not caught up with its last size. `new`: size and
    /// available instances of the new set. Tells in order which place got which size: a set may get two.
    pub fn shrink_old_sets(&self, old: &mut [ReplicaSet], new: (u32, u32)) -> Vec<(usize, u32)> {
        let (new_size, new_available) = new;
        let old_size: u32 = old.iter().map(|set| set.size).sum();
        let may_go = self.may_go(new_size + old_size, new_size.saturating_sub(new_available));
        let mut resized = Vec::new();
        if old_size > 0 && may_go > 0 && clean_up(old, may_go, &mut resized).is_ok() {
            let available = new_available + old.iter().map(|set| set.status.available).sum::<u32>();
            self.scale_down(old, available, &mut resized);
        }
        resized
    }

    /// Takes the surplus of available instances from the old sets, oldest first, and tells how many that are
    /// (`scaleDownOldReplicaSetsForRollingUpdate`); `resized`: the same as places and sizes, in order.
    pub fn scale_down(&self, old: &mut [ReplicaSet], available: u32, resized: &mut Vec<(usize, u32)>) -> u32 {
        let surplus = available.saturating_sub(self.least_available());
        let mut left = surplus;
        for (place, set) in old.iter_mut().enumerate() {
            left -= shrink(place, set, left, resized);
        }
        surplus - left
    }
}

/// A set's status tells of more available instances than the set is to have: its controller has not caught up with its
/// last size. The original finds an "invalid request to scale down" there, and leaves it at that.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Lags;

/// Takes instances that are not available from the old sets, oldest first, and tells how many
/// (`cleanupUnhealthyReplicas`); `resized`: the same as places and sizes, in order.
///
/// # Errors
/// When it comes upon a set that [lags](Lags); those before it keep their new sizes.
pub fn clean_up(old: &mut [ReplicaSet], most: u32, resized: &mut Vec<(usize, u32)>) -> Result<u32, Lags> {
    let mut left = most;
    for (place, set) in old.iter_mut().enumerate().filter(|(_, set)| set.size > 0) {
        if left == 0 {
            break;
        }
        let unhealthy = set.size.checked_sub(set.status.available).ok_or(Lags)?;
        left -= shrink(place, set, unhealthy.min(left), resized);
    }
    Ok(most - left)
}

/// Takes at most so many from a set, and tells how many.
fn shrink(place: usize, set: &mut ReplicaSet, most: u32, resized: &mut Vec<(usize, u32)>) -> u32 {
    let goes = set.size.min(most);
    set.size -= goes;
    if goes > 0 {
        resized.push((place, set.size));
    }
    goes
}
