//! What the Deployment controller does: pass after pass (`syncDeployment`; `rolloutRolling`, `rolloutRecreate`, `sync`,
//! `getNewReplicaSet`, `syncRolloutStatus`).
//!
//! A pass reads the Deployment and its ReplicaSets *once*, and writes one object after the other by what it read. A
//! write is refused where somebody else wrote the object since; whoever did that wakes the controller again.

use super::progress::{Condition, Counts, Reason};
use super::rolling::Bounds;
use super::scaling::{self, Scale};
use super::sets::{Note, ReplicaSet, find_new, find_old};
use super::{Asked, ControlPlane, Kind, Memory, PodReplacement, Settings};
use crate::fleet::Version;
use crate::time::SimTime;
use std::collections::VecDeque;

/// A pass under way: writes that wait for one another.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Pass {
    /// When the next one is in force; without one, when the last is answered.
    pub at: SimTime,
    writes: VecDeque<Write>,
    /// What the Deployment asked for when it was read.
    asked: Asked,
    /// The pass itself has written the Deployment since it was read: its status will be refused.
    is_stale: bool,
}

/// One request of a pass.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Write {
    /// The target's set is created.
    Create { size: u32, note: Option<Note>, revision: u32 },
    /// A set is the target again.
    Revise { version: Version, edition: u32, revision: u32 },
    /// A set gets a size and a note.
    Resize { version: Version, edition: u32, size: u32, note: Option<Note>, or: Refused },
    /// The Deployment's revision and condition, ahead of its status.
    Announce { revision: u32, condition: Condition },
    /// The Deployment's status.
    Tell { counts: Counts, condition: Condition, is_complete: bool },
}

/// What a pass does when a set's resizing is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Refused {
    /// It ends there.
    EndsPass,
    /// It resizes no further old set, but still writes its status (`reconcileOldReplicaSets` drops the error).
    EndsResizing,
}

/// What a pass has read, and what it will write.
struct Plan {
    sets: Vec<ReplicaSet>,
    asked: Asked,
    bounds: Bounds,
    condition: Condition,
    writes: VecDeque<Write>,
}

impl Plan {
    fn new_set(&self) -> Option<usize> {
        find_new(&self.sets, self.asked.target)
    }

    fn old_sets(&self) -> Vec<usize> {
        find_old(&self.sets, self.asked.target).collect()
    }

    fn total(&self) -> u32 {
        self.sets.iter().map(|set| set.size).sum()
    }

    /// A set is written with a size, and with what the Deployment is.
    fn resize(&mut self, place: usize, size: u32, or: Refused) {
        let set = &mut self.sets[place];
        set.resize(size, self.bounds.desired, self.bounds.most());
        let ReplicaSet { version, edition, note, .. } = *set;
        self.writes.push_back(Write::Resize { version, edition, size, note, or });
    }

    /// The target's set is created (`getNewReplicaSet`).
    fn create(&mut self, now: SimTime, size: u32) -> usize {
        let mut set = ReplicaSet::new(self.asked.target, 0);
        set.resize(size, self.bounds.desired, self.bounds.most());
        set.revision = self.sets.iter().map(|set| set.revision).max().unwrap_or(0) + 1;
        self.condition = Condition::new(Reason::NewReplicaSetCreated, now);
        self.writes.push_back(Write::Create { size, note: set.note, revision: set.revision });
        self.writes.push_back(Write::Announce { revision: set.revision, condition: self.condition });
        self.sets.push(set);
        self.sets.len() - 1
    }

    /// The target's set is the newest one again, and then the Deployment says so, too (`getNewReplicaSet`).
    fn revise(&mut self, announced: u32) {
        let Some(new) = self.new_set() else { return };
        let newest = self.old_sets().into_iter().map(|place| self.sets[place].revision).max().unwrap_or(0);
        let ReplicaSet { version, edition, revision, .. } = self.sets[new];
        if revision <= newest {
            self.writes.push_back(Write::Revise { version, edition, revision: newest + 1 });
        } else if revision != announced {
            self.writes.push_back(Write::Announce { revision, condition: self.condition });
        }
    }
}

impl Settings {
    /// What is due of the Deployment controller's work; whether anything is.
    pub(super) fn run_passes(&self, now: SimTime, memory: &mut Memory) -> bool {
        let mut goes_on = false;
        loop {
            if let Some(pass) = memory.pass.take_if(|pass| pass.at <= now) {
                memory.pass = self.go_on(now, memory, pass);
            } else if memory.pass.is_none() && memory.woken_at.take_if(|at| *at <= now).is_some() {
                memory.pass = self.begin(now, memory);
            } else {
                return goes_on;
            }
            goes_on = true;
        }
    }

    /// A pass reads, and makes its first request.
    fn begin(&self, now: SimTime, memory: &mut Memory) -> Option<Pass> {
        let writes = self.plan(now, memory);
        if writes.is_empty() {
            return None;
        }
        let at = self.requested(now + self.control_plane.pass, memory);
        Some(Pass { at, writes, asked: memory.asked, is_stale: false })
    }

    /// When a request that is made at a moment is in force.
    fn requested(&self, made_at: SimTime, memory: &mut Memory) -> SimTime {
        memory.deployment_client.take(self.control_plane.limit, made_at) + self.control_plane.half_call()
    }

    /// What a pass writes by what it reads now (`syncDeployment`).
    fn plan(&self, now: SimTime, memory: &Memory) -> VecDeque<Write> {
        let asked = memory.asked;
        let mut plan = Plan {
            sets: memory.sets.clone(),
            asked,
            bounds: self.kind.bounds(asked.desired),
            condition: memory.condition,
            writes: VecDeque::new(),
        };
        if let Some(noted) = memory.condition.noting_pause(asked.paused, now) {
            plan.condition = noted;
            plan.writes.push_back(Write::Announce { revision: memory.revision, condition: noted });
        }
        plan.revise(memory.revision);
        let rolls_out = !asked.paused && !scaling::is_due(&plan.sets, asked.desired);
        if !rolls_out {
            self.scale(memory, &mut plan);
        } else if self.kind == Kind::Recreate {
            self.recreate(now, memory, &mut plan);
        } else {
            self.roll(now, &mut plan);
        }
        self.sum_up(now, memory, &mut plan, rolls_out);
        plan.writes
    }

    /// Whether terminating pods hold room.
    fn terminating_hold_room(&self) -> bool {
        self.replacement == Some(PodReplacement::TerminationComplete)
    }

    fn scale(&self, memory: &Memory, plan: &mut Plan) {
        let scale = Scale {
            desired: plan.bounds.desired,
            most: plan.bounds.most(),
            replicas: memory.counts.replicas,
            terminating: if self.terminating_hold_room() { terminating(&plan.sets) } else { 0 },
            is_rolling: matches!(self.kind, Kind::RollingUpdate { .. }),
        };
        let new = plan.new_set();
        scale.apply(&mut plan.sets, new);
        for (set, before) in plan.sets.iter().zip(&memory.sets) {
            if (set.size, set.note) != (before.size, before.note) {
                let ReplicaSet { version, edition, size, note, .. } = *set;
                plan.writes.push_back(Write::Resize { version, edition, size, note, or: Refused::EndsPass });
            }
        }
    }

    /// `rolloutRolling`: the new set grows, or else the old ones shrink.
    fn roll(&self, now: SimTime, plan: &mut Plan) {
        let bounds = plan.bounds;
        let held = if self.terminating_hold_room() { held_room(&plan.sets) } else { 0 };
        let new = match plan.new_set() {
            Some(new) => new,
            None => plan.create(now, bounds.new_set_may_have(0, plan.total() + held)),
        };
        let size = plan.sets[new].size;
        let grown = bounds.new_set_after_pass(size, plan.total() + held);
        if grown != size {
            plan.resize(new, grown, Refused::EndsPass);
            return;
        }
        let figures = (size, plan.sets[new].status.available);
        let places = plan.old_sets();
        let mut old: Vec<ReplicaSet> = places.iter().map(|place| plan.sets[*place].clone()).collect();
        for (place, size) in bounds.shrink_old_sets(&mut old, figures) {
            plan.resize(places[place], size, Refused::EndsResizing);
        }
    }

    /// `rolloutRecreate`: the new set is created once nothing of an old one exists, or, where terminating pods hold
    /// no room, once all of it is on its way out.
    fn recreate(&self, now: SimTime, memory: &Memory, plan: &mut Plan) {
        let old = plan.old_sets();
        let shrinking: Vec<usize> = old.iter().copied().filter(|place| plan.sets[*place].size > 0).collect();
        for place in &shrinking {
            plan.resize(*place, 0, Refused::EndsPass);
        }
        let starts_early = self.replacement == Some(PodReplacement::TerminationStarted);
        let replicas_left = old.iter().any(|place| plan.sets[*place].status.replicas > 0);
        if !shrinking.is_empty() || replicas_left || (memory.old_exist && !starts_early) {
            return;
        }
        let desired = plan.bounds.desired;
        match plan.new_set() {
            Some(new) if plan.sets[new].size != desired => plan.resize(new, desired, Refused::EndsPass),
            Some(_) => {}
            None => {
                plan.create(now, desired);
            }
        }
    }

    /// The sums, and, of a rollout, what they mean (`syncDeploymentStatus`, `syncRolloutStatus`).
    fn sum_up(&self, now: SimTime, memory: &Memory, plan: &mut Plan, rolls_out: bool) {
        let counts = Counts::of(&plan.sets, plan.asked.target);
        let waits_for_terminating = self.terminating_hold_room() && counts.terminating > 0;
        let is_complete = counts.is_complete(plan.bounds.desired) && !waits_for_terminating;
        let mut condition = plan.condition;
        let was_available = condition.reason == Reason::NewReplicaSetAvailable;
        let fewer_terminating = self.terminating_hold_room() && counts.terminating < memory.counts.terminating;
        if !rolls_out || was_available && counts.replicas == counts.updated {
            // Nothing is said of progress where the Deployment is paused or scaled, nor after it was complete.
        } else if is_complete {
            condition = Condition::new(Reason::NewReplicaSetAvailable, now);
        } else if counts.has_progressed(&memory.counts) || fewer_terminating {
            condition = Condition::new(Reason::ReplicaSetUpdated, now);
        } else if condition.is_overdue(self.progress_deadline, now) {
            condition.reason = Reason::ProgressDeadlineExceeded;
        }
        let is_complete = is_complete && !plan.asked.paused;
        let says_something = (counts, condition, plan.asked) != (memory.counts, plan.condition, memory.observed);
        if says_something || is_complete && !memory.complete {
            plan.writes.push_back(Write::Tell { counts, condition, is_complete });
        }
    }

    /// A pass's request is in force or refused, and the next one is made when it is answered.
    fn go_on(&self, now: SimTime, memory: &mut Memory, mut pass: Pass) -> Option<Pass> {
        let write = pass.writes.pop_front()?;
        let is_done = memory.apply(write, &mut pass);
        if is_done {
            memory.wake(now, &self.control_plane);
        } else {
            match write {
                Write::Resize { or: Refused::EndsResizing, .. } => {
                    pass.writes.retain(|write| !matches!(write, Write::Resize { .. }));
                }
                _ => pass.writes.clear(),
            }
        }
        let answered_at = now + self.control_plane.half_call();
        pass.at = if pass.writes.is_empty() { answered_at } else { self.requested(answered_at, memory) };
        Some(pass)
    }
}

impl Memory {
    /// The Deployment controller hears of something now.
    pub(super) fn wake(&mut self, now: SimTime, control_plane: &ControlPlane) {
        self.woken_at.get_or_insert(now + control_plane.watch);
    }

    /// The API server takes a write, or refuses it.
    fn apply(&mut self, write: Write, pass: &mut Pass) -> bool {
        match write {
            Write::Create { size, note, revision } => {
                let set = ReplicaSet::new(pass.asked.target, size);
                self.sets.push(ReplicaSet { note, revision, generation: 1, ..set });
                self.tell_of_scaling(size > 0);
                true
            }
            Write::Revise { version, edition, revision } => {
                let Some(set) = self.set_to_write(version, edition) else { return false };
                set.revision = revision;
                pass.has_written(version, set.edition);
                true
            }
            Write::Resize { version, edition, size, note, .. } => {
                let Some(set) = self.set_to_write(version, edition) else { return false };
                let is_scaled = size != set.size;
                (set.size, set.note) = (size, note);
                set.generation += u32::from(is_scaled);
                pass.has_written(version, set.edition);
                self.tell_of_scaling(is_scaled);
                true
            }
            Write::Announce { revision, condition } => {
                (self.revision, self.condition, pass.is_stale) = (revision, condition, true);
                true
            }
            Write::Tell { counts, condition, is_complete } => {
                if pass.is_stale || self.typed.is_some() || self.asked != pass.asked {
                    return false;
                }
                (self.counts, self.condition, self.observed) = (counts, condition, pass.asked);
                self.complete |= is_complete;
                true
            }
        }
    }

    /// The set of a version, if its object is still the one that was read; it is another one from now on.
    fn set_to_write(&mut self, version: Version, edition: u32) -> Option<&mut ReplicaSet> {
        let set = self.sets.iter_mut().find(|set| set.version == version && set.edition == edition)?;
        set.edition += 1;
        Some(set)
    }

    /// A set's scaling is told as an event about the Deployment.
    fn tell_of_scaling(&mut self, is_scaled: bool) {
        if is_scaled && self.events_left > 0 {
            self.events_left -= 1;
            self.deployment_client.tell(1);
        }
    }
}

impl Pass {
    /// It goes on with a set's object as it wrote it.
    fn has_written(&mut self, written: Version, now: u32) {
        for write in &mut self.writes {
            if let Write::Resize { version, edition, .. } = write
                && *version == written
            {
                *edition = now;
            }
        }
    }
}

fn terminating(sets: &[ReplicaSet]) -> u32 {
    sets.iter().map(|set| set.status.terminating).sum()
}

/// Room that is held beyond the sets' sizes: by instances on their way out, and by those that will be.
fn held_room(sets: &[ReplicaSet]) -> u32 {
    terminating(sets) + sets.iter().map(|set| set.status.replicas.saturating_sub(set.size)).sum::<u32>()
}
