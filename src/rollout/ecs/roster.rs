//! The tasks of a service by how they are, and who of them stops first.

use crate::bits::Numbers;
use crate::by_number::ByNumber;
use crate::fleet::{Fleet, Instance, InstanceId, Version};
use std::collections::BTreeSet;

/// How the scheduler finds a task.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Health {
    Healthy,
    /// PENDING, not checked often enough, or forgiven for now.
    Undecided,
    Unhealthy,
}

/// The side of a deployment that a task is on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Side {
    /// It is of the version that is asked for.
    Wanted,
    Other,
}

impl Side {
    fn of(task: &Instance, target: Version) -> Self {
        if task.version == target { Side::Wanted } else { Side::Other }
    }
}

/// All tasks that are not on their way out.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Roster {
    /// Those that have not ended are with others like them.
    tasks: ByNumber<InstanceId, Option<(Side, Health)>>,
    /// By side and health.
    alike: [[Tasks; 3]; 2],
    /// How many there are in each zone.
    in_zone: Vec<u32>,
}

/// Tasks, and those of each zone in the order in which chance has them stopped.
#[derive(Clone, Debug, Default, PartialEq)]
struct Tasks {
    all: Numbers,
    count: u32,
    by_zone: Vec<BTreeSet<(u64, InstanceId)>>,
}

impl Roster {
    /// A task is like this; `None`: it has ended.
    pub(super) fn put(&mut self, id: InstanceId, task: &Instance, target: Version, health: Option<Health>) {
        let zone = task.zone as usize;
        if zone >= self.in_zone.len() {
            self.in_zone.resize(zone + 1, 0);
        }
        let kind = health.map(|health| (Side::of(task, target), health));
        match self.tasks.insert(id, kind) {
            None => self.in_zone[zone] += 1,
            Some(before) if before == kind => return,
            Some(before) => self.part(id, task, before),
        }
        if let Some((side, health)) = kind {
            let tasks = &mut self.alike[side as usize][health as usize];
            if zone >= tasks.by_zone.len() {
                tasks.by_zone.resize_with(zone + 1, BTreeSet::new);
            }
            tasks.all.insert(id.0);
            tasks.count += 1;
            tasks.by_zone[zone].insert((task.rank, id));
        }
    }

    /// A task is on its way out.
    pub(super) fn remove(&mut self, id: InstanceId, task: &Instance) {
        if let Some(before) = self.tasks.remove(id) {
            self.in_zone[task.zone as usize] -= 1;
            self.part(id, task, before);
        }
    }

    fn part(&mut self, id: InstanceId, task: &Instance, kind: Option<(Side, Health)>) {
        let Some((side, health)) = kind else { return };
        let tasks = &mut self.alike[side as usize][health as usize];
        tasks.all.remove(id.0);
        tasks.count -= 1;
        tasks.by_zone[task.zone as usize].remove(&(task.rank, id));
    }

    /// All of them.
    pub(super) fn ids(&self) -> impl Iterator<Item = InstanceId> + '_ {
        self.tasks.keys()
    }

    pub(super) fn count(&self, side: Side, health: Health) -> u32 {
        self.alike[side as usize][health as usize].count
    }

    /// Who stops of some that are alike: each time somebody in a zone with the most tasks, at random.
    pub(super) fn first_to_stop(&self, fleet: &Fleet, side: Side, health: Health, most: u32) -> Vec<InstanceId> {
        if most == 0 {
            return Vec::new();
        }
        let tasks = &self.alike[side as usize][health as usize];
        if most >= tasks.count {
            return tasks.all.iter().map(InstanceId).collect();
        }
        let mut in_zone = self.in_zone.clone();
        let mut left: Vec<_> = tasks.by_zone.iter().map(|zone| zone.iter().peekable()).collect();
        let mut chosen = Vec::new();
        for _ in 0..most {
            let firsts = left.iter_mut().filter_map(|zone| zone.peek().copied());
            let first = firsts.max_by_key(|first| (in_zone[fleet[first.1].zone as usize], std::cmp::Reverse(**first)));
            let (_, id) = *first.expect("fewer are chosen than there are");
            let zone = fleet[id].zone as usize;
            left[zone].next();
            in_zone[zone] -= 1;
            chosen.push(id);
        }
        chosen
    }
}
