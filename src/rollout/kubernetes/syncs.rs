//! What a ReplicaSet's controller does: sync after sync of one set (`syncReplicaSet`, `manageReplicas`,
//! `slowStartBatch` of `replica_set.go`, `updateReplicaSetStatus` of `replica_set_utils.go`).
//!
//! A sync reads the set and its instances *once*. By what it read it creates or deletes as many as are missing or too
//! many, and in the end writes the status of what it read, so a status is always a little late. What happens in the
//! meantime is the next sync's. A set has one sync at a time, and while it waits for its client nothing of that set is
//! told to anybody.

use super::client::{Limit, Tokens};
use super::pods::{batch_after, first_to_go};
use super::sets::{ReplicaSet, Status};
use super::{ControlPlane, Memory, REFUSED, Settings};
use crate::fleet::{InstanceId, Phase};
use crate::rollout::{Action, View};
use crate::time::SimTime;
use std::cmp::Ordering;
use std::collections::VecDeque;

/// The most instances that one sync creates or deletes (`BurstReplicas`).
const MOST_AT_ONCE: u32 = 500;

/// Where a sync stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Sync {
    /// When its next step is due.
    pub at: SimTime,
    step: Step,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Step {
    /// It reads the set and its instances.
    Read,
    /// The next instance of a batch is created.
    Create(Seen, Batch),
    /// The next instances are deleted.
    Delete(Seen, Deletions),
    /// The status is written.
    Write(Seen),
    /// The set is read once more, for its object was another one than the one read.
    ReadAgain(Seen),
}

/// What a sync goes by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Seen {
    edition: u32,
    generation: u32,
    status: Status,
    /// The status was refused once.
    is_second_try: bool,
    /// A creation was refused.
    is_short: bool,
}

/// Instances that are created at the same time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Batch {
    size: u32,
    /// How many of it are still to be created.
    left: u32,
    /// How many are missing after it.
    after: u32,
    tokens: Tokens,
    /// When the API server is done with those so far.
    served: SimTime,
}

/// Instances that are deleted at the same time.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Deletions {
    victims: VecDeque<InstanceId>,
    tokens: Tokens,
    /// When they were asked for.
    since: SimTime,
}

impl Batch {
    /// The batch after one of `before`, its requests made at a moment.
    fn after(before: u32, missing: u32, made_at: SimTime, memory: &mut Memory, limit: Option<Limit>) -> Self {
        let size = batch_after(before, missing);
        let tokens = memory.set_client.reserve(limit, made_at, size);
        Batch { size, left: size, after: missing - size, tokens, served: made_at }
    }

    /// When its next creation is in force: they share the API server.
    fn next(&mut self, control_plane: &ControlPlane) -> SimTime {
        let token = self.tokens.pop().expect("a token was reserved for each of the batch");
        self.served = self.served.max(token) + control_plane.create;
        self.served + control_plane.half_call()
    }
}

impl Settings {
    /// What the status of a set ought to say.
    pub(super) fn status(&self, view: &View<'_>, set: &ReplicaSet) -> Status {
        Status::of(view.fleet, set.version, self.available(view, set.version))
    }

    /// Whether a set's controller has something to do now. Whoever was refused waits, unless something happens to the
    /// set.
    fn has_work(&self, view: &View<'_>, set: &ReplicaSet) -> bool {
        let is_told = set.status == self.status(view, set) && set.observed == set.generation;
        let is_complete = set.size == view.fleet.live(set.version);
        let waits = set.retry_at.is_some_and(|retry_at| retry_at > view.now);
        !is_told || !is_complete && !waits
    }

    /// Wakes a set's controller if there is something to do; whether it does.
    pub(super) fn wake_set(&self, view: &View<'_>, set: &mut ReplicaSet) -> bool {
        let wakes = set.sync.is_none() && self.has_work(view, set);
        if wakes {
            set.sync = Some(Sync { at: view.now + self.control_plane.watch, step: Step::Read });
        }
        wakes
    }

    /// What is due of a set's sync; whether anything is.
    pub(super) fn sync_set(
        &self,
        view: &View<'_>,
        memory: &mut Memory,
        place: usize,
        actions: &mut Vec<Action>,
    ) -> bool {
        let mut goes_on = false;
        // Nothing is read before what was just done to the fleet is seen there.
        let is_due =
            |sync: &Sync, actions: &[Action]| sync.at <= view.now && (sync.step != Step::Read || actions.is_empty());
        while let Some(sync) = memory.sets[place].sync.take_if(|sync| is_due(sync, actions)) {
            let next = match sync.step {
                Step::Read => self.read(view, memory, place),
                Step::Create(seen, batch) => Some(self.create(view, memory, place, seen, batch, actions)),
                Step::Delete(seen, deletions) => Some(self.delete(view, memory, place, seen, deletions, actions)),
                Step::Write(seen) => Some(self.write_status(view, memory, place, seen)),
                Step::ReadAgain(seen) => {
                    let seen = Seen { edition: memory.sets[place].edition, is_second_try: true, ..seen };
                    Some(self.request(self.answered_at(view), memory, Step::Write(seen)))
                }
            };
            memory.sets[place].sync = next;
            goes_on = true;
        }
        goes_on
    }

    /// A request that is made at a moment, and what happens when it is in force.
    fn request(&self, made_at: SimTime, memory: &mut Memory, step: Step) -> Sync {
        let token = memory.set_client.take(self.control_plane.limit, made_at);
        Sync { at: token + self.control_plane.half_call(), step }
    }

    /// When a request that is in force now is answered.
    fn answered_at(&self, view: &View<'_>) -> SimTime {
        view.now + self.control_plane.half_call()
    }

    /// The sync after one whose last request is in force now: it begins when that is answered and heard of.
    fn next_sync(&self, view: &View<'_>) -> Sync {
        Sync { at: self.answered_at(view).max(view.now + self.control_plane.watch), step: Step::Read }
    }

    fn read(&self, view: &View<'_>, memory: &mut Memory, place: usize) -> Option<Sync> {
        let set = &memory.sets[place];
        if !self.has_work(view, set) {
            return None;
        }
        let status = self.status(view, set);
        let (edition, generation) = (set.edition, set.generation);
        let seen = Seen { edition, generation, status, is_second_try: false, is_short: false };
        let (version, size, live) = (set.version, set.size, status.replicas);
        let limit = self.control_plane.limit;
        Some(match live.cmp(&size) {
            Ordering::Less => {
                let mut batch = Batch::after(0, (size - live).min(MOST_AT_ONCE), view.now, memory, limit);
                Sync { at: batch.next(&self.control_plane), step: Step::Create(seen, batch) }
            }
            Ordering::Greater => {
                let count = (live - size).min(MOST_AT_ONCE);
                let victims = first_to_go(view, version, count as usize).into();
                let tokens = memory.set_client.reserve(limit, view.now, count);
                self.next_deletion(seen, Deletions { victims, tokens, since: view.now })
            }
            Ordering::Equal => self.instances_are_in_line(view, view.now, memory, place, seen),
        })
    }

    fn create(
        &self,
        view: &View<'_>,
        memory: &mut Memory,
        place: usize,
        mut seen: Seen,
        mut batch: Batch,
        actions: &mut Vec<Action>,
    ) -> Sync {
        let existing = || {
            let launched = actions.iter().filter(|action| matches!(action, Action::Launch { .. })).count();
            view.fleet.existing_count() + launched
        };
        if self.quota.is_some_and(|quota| existing() >= quota as usize) {
            seen.is_short = true;
        } else {
            let version = memory.sets[place].version;
            actions.push(Action::Launch { version, slot: None, hold: false, held_out: false });
        }
        self.note_event(view.now, memory, place);
        batch.left -= 1;
        if batch.left == 0 && (seen.is_short || batch.after == 0) {
            return self.instances_are_in_line(view, self.answered_at(view), memory, place, seen);
        }
        if batch.left == 0 {
            let limit = self.control_plane.limit;
            batch = Batch::after(batch.size, batch.after, self.answered_at(view), memory, limit);
        }
        Sync { at: batch.next(&self.control_plane), step: Step::Create(seen, batch) }
    }

    fn next_deletion(&self, seen: Seen, mut deletions: Deletions) -> Sync {
        let token = deletions.tokens.pop().expect("a token was reserved for each of them");
        Sync { at: token.max(deletions.since) + self.control_plane.half_call(), step: Step::Delete(seen, deletions) }
    }

    fn delete(
        &self,
        view: &View<'_>,
        memory: &mut Memory,
        place: usize,
        seen: Seen,
        mut deletions: Deletions,
        actions: &mut Vec<Action>,
    ) -> Sync {
        if let Some(instance) = deletions.victims.pop_front().filter(|id| view.fleet[*id].phase() != Phase::Gone) {
            actions.push(Action::Terminate { instance, drain: true });
            self.note_event(view.now, memory, place);
        }
        if deletions.victims.is_empty() {
            return self.instances_are_in_line(view, self.answered_at(view), memory, place, seen);
        }
        self.next_deletion(seen, deletions)
    }

    /// From now on the status is written if it tells something new.
    fn instances_are_in_line(
        &self,
        view: &View<'_>,
        now: SimTime,
        memory: &mut Memory,
        place: usize,
        seen: Seen,
    ) -> Sync {
        let set = &mut memory.sets[place];
        set.refusals = if seen.is_short { set.refusals.saturating_add(1) } else { 0 };
        // A retry that is due earlier still stands.
        let retry_at = now + REFUSED.delay(set.refusals);
        let stands = set.retry_at.filter(|at| *at > now);
        set.retry_at = seen.is_short.then(|| stands.map_or(retry_at, |at| at.min(retry_at)));
        if set.status == seen.status && set.observed == seen.generation {
            return self.next_sync(view);
        }
        self.request(now, memory, Step::Write(seen))
    }

    /// Refused where the set was written since it was read; that is tried once again.
    fn write_status(&self, view: &View<'_>, memory: &mut Memory, place: usize, seen: Seen) -> Sync {
        let set = &mut memory.sets[place];
        if set.edition == seen.edition {
            set.edition += 1;
            (set.status, set.observed) = (seen.status, seen.generation);
            memory.wake(view.now, &self.control_plane);
        } else if !seen.is_second_try {
            return self.request(self.answered_at(view), memory, Step::ReadAgain(seen));
        }
        self.next_sync(view)
    }

    /// Each instance that is created or deleted is told as an event.
    fn note_event(&self, now: SimTime, memory: &mut Memory, place: usize) {
        let set = &mut memory.sets[place];
        if set.events_left > 0 {
            set.events_left -= 1;
            memory.set_client.tell(1);
            memory.set_client.write_events(self.control_plane.limit, self.control_plane.call, now);
        }
    }
}
