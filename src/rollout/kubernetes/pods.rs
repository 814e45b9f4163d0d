//! What a ReplicaSet's controller does with single instances: which goes first, and how many creations it tries
//! (`controller_utils.go`, `replica_set.go`).

use super::super::View;
use crate::fleet::{Instance, InstanceId, Phase, Second, Version, second_of};
use crate::time::SimTime;
use std::cmp::{Ordering, Reverse};
use std::time::Duration;

/// How far a pod has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum PodPhase {
    /// Not running yet.
    Pending,
    /// Its node does not answer.
    Unknown,
    /// Running.
    Running,
}

/// What decides which of two pods is deleted first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pod {
    /// It has a node.
    pub assigned: bool,
    /// How far it has come.
    pub phase: PodPhase,
    /// It passes its readiness probe.
    pub ready: bool,
    /// `pod-deletion-cost`.
    pub deletion_cost: i32,
    /// How many pods of the same owner share its node.
    pub doubled_up: u32,
    /// For how long it has been ready; `None`: the time was never written.
    pub ready_age: Option<Duration>,
    /// Restarts of its container.
    pub restarts: u32,
    /// For how long it has existed; `None`: the time was never written.
    pub created_age: Option<Duration>,
}

impl Pod {
    /// What decides of an instance. Nodes and deletion costs are unknown here, and timestamps are kept in whole seconds.
    /// Whatever is there from the start of the run on has been ready for long.
    fn of(instance: &Instance, now: SimTime) -> Self {
        let is_running = instance.phase() >= Phase::Starting;
        Pod {
            assigned: true,
            phase: if is_running { PodPhase::Running } else { PodPhase::Pending },
            ready: instance.ready_since.is_some(),
            deletion_cost: 0,
            doubled_up: 0,
            ready_age: instance.ready_since.map(|since| age(second_of(since), now)),
            restarts: instance.failures,
            created_age: Some(age(second_of(instance.launched_at), now)),
        }
    }

    /// Whether this one is deleted before the other (`ActivePodsWithRanks.Less`): less if so, equal where chance
    /// decides. With `by_magnitude`, ages count by powers of two (the feature LogarithmicScaleDown).
    pub fn goes_before(&self, other: &Pod, by_magnitude: bool) -> Ordering {
        let first = (self.assigned, self.phase, self.ready, self.deletion_cost, Reverse(self.doubled_up));
        let second = (other.assigned, other.phase, other.ready, other.deletion_cost, Reverse(other.doubled_up));
        let by_kind = first.cmp(&second);
        if by_kind.is_ne() {
            return by_kind;
        }
        if self.ready && self.ready_age != other.ready_age {
            return younger(self.ready_age, other.ready_age, by_magnitude);
        }
        let by_restarts = other.restarts.cmp(&self.restarts);
        by_restarts.then_with(|| younger(self.created_age, other.created_age, by_magnitude))
    }
}

/// The younger goes first, and first of all one without a time.
fn younger(first: Option<Duration>, second: Option<Duration>, by_magnitude: bool) -> Ordering {
    let age = |age: Option<Duration>| age.map(|age| if by_magnitude { magnitude(age) } else { age.as_nanos() });
    age(first).cmp(&age(second))
}

fn magnitude(age: Duration) -> u128 {
    age.as_nanos().checked_ilog2().map_or(0, |log| u128::from(log) + 1)
}

/// How long ago a second was; what has been so from the start of the run on has been so for long.
fn age(second: Second, now: SimTime) -> Duration {
    second.map_or(Duration::MAX, |second| now.since(second))
}

/// The instances of a set that go first, by chance where [`Pod::goes_before`] leaves it to that. Those ready since the
/// same second stay together, or their order could go round in a circle.
pub(in crate::rollout) fn first_to_go(view: &View<'_>, version: Version, count: usize) -> Vec<InstanceId> {
    let not_ready = view.fleet.not_ready(version);
    let mut order: Vec<(Pod, u64, InstanceId)> =
        not_ready.map(|(id, instance)| (Pod::of(instance, view.now), instance.rank, id)).collect();
    order.sort_unstable_by(|(pod, rank, id), (other, other_rank, other_id)| {
        pod.goes_before(other, true).then((rank, id).cmp(&(other_rank, other_id)))
    });
    let mut going: Vec<InstanceId> = order.into_iter().take(count).map(|(.., id)| id).collect();
    // Ready ones: the youngest by magnitude first, of equal ones the group with the luckiest member.
    let of_second = |second| magnitude(age(second, view.now));
    let mut groups = view.fleet.ready(version).groups().peekable();
    while going.len() < count
        && let Some((second, _)) = groups.peek()
    {
        let of_first = of_second(*second);
        let mut equals = Vec::new();
        while let Some((second, group)) = groups.next_if(|(second, _)| of_second(*second) == of_first) {
            equals.push((group.least_rank(), age(second, view.now), group));
        }
        equals.sort_unstable_by_key(|(luck, age, _)| (*luck, *age));
        for (.., group) in equals {
            going.extend(group.first(count - going.len(), |one, other| of_second(one) == of_second(other)));
        }
    }
    going
}

/// How many pods are created at once after a batch of so many, where so many are missing: twice as many, and one to
/// begin with (`slowStartBatch`). The batch in which one fails is the last.
pub fn batch_after(created: u32, missing: u32) -> u32 {
    created.saturating_mul(2).max(1).min(missing)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fleet::{Fleet, Launch};
    use crate::random::{GOLDEN, mix};
    use crate::rollout::shown;
    use std::collections::BTreeMap;

    /// A fleet a minute after the start: what each instance went through, seconds before now; and its luck.
    fn fleet(lives: &[(&[(Phase, u64)], u64)]) -> Fleet {
        let mut fleet = Fleet::new(1);
        let ago = |seconds| SimTime::START + Duration::from_secs(60 - seconds);
        let mut changes = Vec::new();
        for (life, rank) in lives {
            let launch = Launch { version: Version::OLD, slot: None, rank: *rank, held_out: false };
            let id = fleet.launch(ago(life[0].1), launch);
            changes.extend(life[1..].iter().map(|(phase, seconds)| (ago(*seconds), id, *phase)));
        }
        changes.sort_by_key(|(at, ..)| *at);
        for (at, id, phase) in changes {
            fleet.enter(id, phase, at);
        }
        fleet
    }

    #[test]
    fn who_came_last_or_fails_goes_first() {
        use Phase::{Down, Prepared, Pulling, Ready, Starting};
        let since = |seconds| [(Pulling, seconds), (Prepared, seconds), (Starting, seconds), (Ready, seconds)];
        let (long, younger, older) = (since(60), since(9), since(30));
        let starting = [(Pulling, 5), (Prepared, 5), (Starting, 5)];
        let restarted = [(Pulling, 30), (Prepared, 30), (Starting, 30), (Ready, 30), (Down, 3)];
        let lives: [(&[(Phase, u64)], u64); 7] = [
            (&long, 1),
            (&older, 3),
            (&younger, 2),
            (&since(28), 2), // Of the same magnitude as the other one: chance decides.
            (&starting, 1),
            (&restarted, 9),
            (&[(Pulling, 40)], 9),
        ];
        let fleet = fleet(&lives);
        let going = first_to_go(&shown(&fleet, 7, &[]), Version::OLD, 9);
        // Pending; not ready, restarted ones first; ready ones, the latest first; and who was there from the start on.
        assert_eq!(going, [6, 5, 4, 2, 3, 1, 0].map(InstanceId));
        assert_eq!(first_to_go(&shown(&fleet, 7, &[]), Version::OLD, 1), [InstanceId(6)]);
    }

    /// What the index spares: all of a set, sorted.
    fn all_sorted(view: &View<'_>, version: Version) -> Vec<InstanceId> {
        let of_set = view.fleet.all_live().filter(|(_, instance)| instance.version == version);
        let mut order: Vec<(Pod, u64, InstanceId)> =
            of_set.map(|(id, instance)| (Pod::of(instance, view.now), instance.rank, id)).collect();
        let mut luck: BTreeMap<Option<Duration>, u64> = BTreeMap::new();
        for (pod, rank, _) in &order {
            let first = luck.entry(pod.ready_age).or_insert(*rank);
            *first = (*first).min(*rank);
        }
        order.sort_unstable_by(|(pod, rank, id), (other, other_rank, other_id)| {
            let together = (luck[&pod.ready_age], pod.ready_age).cmp(&(luck[&other.ready_age], other.ready_age));
            pod.goes_before(other, true).then(together).then((rank, id).cmp(&(other_rank, other_id)))
        });
        order.into_iter().map(|(.., id)| id).collect()
    }

    #[test]
    fn the_index_of_the_ready_ones_knows_the_order() {
        use Phase::{Down, Gone, Prepared, Ready, Starting, Unready};
        let mut luck = 1;
        let mut drawn = |below: u64| {
            luck = mix(luck ^ GOLDEN);
            luck % below
        };
        for _ in 0..300 {
            let mut fleet = Fleet::new(1);
            let spread = 1 + drawn(60_000);
            let mut lives = Vec::new();
            for _ in 0..drawn(40) {
                lives.push((drawn(3) * drawn(spread) / 3, drawn(5), drawn(6)));
            }
            lives.sort_unstable();
            for (launched, rank, _) in &lives {
                let launch = Launch { version: Version::OLD, slot: None, rank: *rank, held_out: false };
                fleet.launch(SimTime::START + Duration::from_millis(*launched), launch);
            }
            let mut at = lives.last().map_or(0, |(launched, ..)| *launched);
            for step in 0..6 {
                for (place, (.., steps)) in lives.iter().enumerate() {
                    at += drawn(2) * drawn(1 + spread / 40);
                    let (id, now) = (InstanceId(place as u32), SimTime::START + Duration::from_millis(at.min(59_000)));
                    let next = match (fleet[id].phase(), drawn(8)) {
                        _ if step >= *steps => continue,
                        (_, 0) if fleet[id].phase() != Gone => Gone,
                        (Phase::Pulling, _) => Prepared,
                        (Prepared | Down, _) => Starting,
                        (Starting | Unready, 1..=5) | (Unready, _) => Ready,
                        (Ready, 1) => Unready,
                        (Ready | Starting, _) => Down,
                        _ => continue,
                    };
                    fleet.enter(id, next, now);
                }
            }
            let view = shown(&fleet, 7, &[]);
            let all = all_sorted(&view, Version::OLD);
            for count in [0, 1, 2, 5, all.len(), 99] {
                let expected = &all[..count.min(all.len())];
                assert_eq!(first_to_go(&view, Version::OLD, count), expected, "{count} of {fleet:?}");
            }
        }
    }

    #[test]
    fn among_those_ready_since_the_same_second_restarts_decide_before_chance() {
        use Phase::{Down, Prepared, Pulling, Ready, Starting};
        let once = [(Pulling, 30), (Prepared, 30), (Starting, 30), (Ready, 20)];
        let twice = [(Pulling, 30), (Prepared, 30), (Starting, 30), (Down, 25), (Starting, 22), (Ready, 20)];
        let other = [(Pulling, 30), (Prepared, 30), (Starting, 30), (Ready, 21)];
        // One by one chance would have them in a circle: 1 before 0 by its restarts, 0 before 2 and 2 before 1 by luck.
        let fleet = fleet(&[(&once, 1), (&twice, 3), (&other, 2)]);
        let going = first_to_go(&shown(&fleet, 3, &[]), Version::OLD, 3);
        assert_eq!(going, [1, 0, 2].map(InstanceId));
    }
}
