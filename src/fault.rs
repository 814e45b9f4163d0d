//! What breaks, and whom it hits. Only chance and the instances' own keys decide, so that the same instances are hit
//! at the same moments under every strategy.

use crate::distribution::{Distribution, to_nanos};
use crate::fleet::{Fleet, Instance, InstanceId, Phase};
use crate::random::{Stream, mix};
use crate::scenario::Whom;
use std::time::Duration;

/// The key of an instance's luck: its version and its ordinal among the launches of that version.
pub fn key(instance: &Instance) -> u64 {
    u64::from(instance.version.0) << 32 | u64::from(instance.ordinal)
}

/// From one moment to the next crash, by mean time between failures.
pub fn time_to_crash(mtbf: Duration, stream: &mut Stream) -> Duration {
    Duration::from_nanos(to_nanos(Distribution::Exponential { mean: mtbf.as_secs_f64() }.sample(stream)))
}

/// A share of so many, rounded up; what the share lost when it was written in binary is not rounded up to one more.
fn rounded_up(share: f64, count: usize) -> usize {
    (share * count as f64 - 1e-9).ceil().max(0.0) as usize
}

/// The instances that a crash of several takes down, among those whose process runs. `luck` tells one such crash from
/// another.
pub fn victims(fleet: &Fleet, whom: Whom, luck: u64) -> Vec<InstanceId> {
    let runs = |instance: &Instance| {
        use Phase::{Draining, Ready, Starting, Stopping, Unready};
        matches!(instance.phase(), Starting | Ready | Unready | Draining | Stopping)
    };
    let running = fleet.existing().filter(|(_, instance)| runs(instance));
    if let Whom::Zone(zone) = whom {
        return running.filter(|(_, instance)| instance.zone == zone).map(|(id, _)| id).collect();
    }
    let mut order: Vec<_> = running.map(|(id, instance)| (mix(luck ^ mix(key(instance))), id)).collect();
    let count = match whom {
        Whom::Share(share) => rounded_up(share, order.len()),
        Whom::Count(count) => count.get() as usize,
        Whom::Zone(_) => unreachable!("returned above"),
    };
    order.sort_unstable();
    order.truncate(count);
    order.into_iter().map(|(_, id)| id).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_share_rounds_up_but_not_beyond_itself() {
        for (percent, count, victims) in [(7, 100, 7), (14, 100, 14), (25, 10, 3), (1, 3, 1), (0, 9, 0), (100, 9, 9)] {
            assert_eq!(rounded_up(f64::from(percent) / 100.0, count), victims, "{percent} % of {count}");
        }
    }
}
