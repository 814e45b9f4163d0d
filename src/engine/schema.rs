//! Versions that cannot live together: the database's schema and who can read it, and clients of one version that meet an
//! instance of the other.
//!
//! Schema changes come as Sadalage and Ambler describe them ("Refactoring Databases", 2006; Sato, "ParallelChange"): an
//! expansion that old code can live with goes first, a contraction last. A step takes its time, and what it brings
//! is in force from its end on, as with transactional DDL.

use super::{Engine, Event};
use crate::client::{LuckOf, luck};
use crate::fleet::{InstanceId, Version};
use crate::history::Cause;
use crate::random::{Purpose, unit};
use crate::rollout::Status;
use crate::scenario::{Database, DatabaseStep, Skew};
use crate::time::{SimTime, nanos};

/// The schema, and what clients were served by.
#[derive(Debug)]
pub(super) struct Schema {
    is_new: bool,
    /// A step is under way.
    is_changing: bool,
    /// How many steps have begun.
    steps: u64,
    /// The share of the clients that a newer version than the old one served last, and when that was known.
    newer_clients: f64,
    served_at: SimTime,
}

impl Schema {
    /// The old one, and clients of the old version.
    pub(super) fn old() -> Self {
        Schema { is_new: false, is_changing: false, steps: 0, newer_clients: 0.0, served_at: SimTime::START }
    }
}

impl Engine<'_> {
    /// Whether the rollout waits for a step of the database; it begins now.
    pub(super) fn begins_with_the_database(&mut self) -> bool {
        let waits =
            self.scenario.release.database.as_ref().is_some_and(|database| database.step == DatabaseStep::Before);
        if waits {
            self.change_the_schema();
        }
        waits
    }

    /// Begins with a step of the database where it is time for one.
    pub(super) fn follow_the_schema(&mut self) {
        let Some(Database { step, undo, .. }) = &self.scenario.release.database else { return };
        if self.schema.is_changing || self.is_window_over() {
            return;
        }
        let is_done = self.rollout.status == Status::Completed;
        let goes_forth = self.rollout.target > Version::OLD;
        let is_due = match (goes_forth, step) {
            (true, DatabaseStep::Before | DatabaseStep::During) => !self.schema.is_new,
            (true, DatabaseStep::After) => !self.schema.is_new && is_done,
            // The last step forth is the first one back.
            (false, DatabaseStep::Before) => self.schema.is_new && undo.is_some() && is_done,
            (false, DatabaseStep::During | DatabaseStep::After) => self.schema.is_new && undo.is_some(),
        };
        if is_due {
            self.change_the_schema();
        }
    }

    fn change_the_schema(&mut self) {
        let database = self.scenario.release.database.as_ref().expect("there is a database");
        let takes =
            if self.schema.is_new { database.undo.as_ref().expect("it can be taken back") } else { &database.takes };
        let luck = self.streams.of(Purpose::Database, self.schema.steps).bits();
        self.schema.is_changing = true;
        self.schema.steps += 1;
        self.control.schedule(self.now + takes.by_luck(luck), Event::SchemaChanged);
    }

    pub(super) fn schema_changed(&mut self) {
        self.schema.is_changing = false;
        self.schema.is_new = !self.schema.is_new;
        if self.is_window_over() {
            return;
        }
        self.history.schema_changed.push(self.now);
        if !self.rollout.has_begun() {
            self.begin_the_rollout();
        }
    }

    /// Why an attempt fails at an instance though both work: its version cannot read the schema, or its client's version is
    /// another one.
    #[inline]
    pub(super) fn misfit(&self, id: InstanceId, request: u64, attempt: u8) -> Option<Cause> {
        let release = &self.scenario.release;
        if release.database.is_none() && release.skew.is_none() {
            return None;
        }
        let is_newer = self.desks[id.index()].version > Version::OLD;
        let hits = |share: f64, of: LuckOf| share > 0.0 && unit(luck(request, of, attempt)) < share;
        if let Some(Database { old_fails, new_fails, .. }) = release.database {
            let fails = match (is_newer, self.schema.is_new) {
                (false, true) => old_fails,
                (true, false) => new_fails,
                _ => 0.0,
            };
            if hits(fails, LuckOf::Schema) {
                return Some(Cause::WrongSchema);
            }
        }
        if let Some(Skew { old_meets_new, new_meets_old, .. }) = release.skew {
            // The client is the same for all attempts.
            let client_is_newer = unit(luck(request, LuckOf::ClientVersion, 1)) < self.schema.newer_clients;
            let fails = match (client_is_newer, is_newer) {
                (false, true) => old_meets_new,
                (true, false) => new_meets_old,
                _ => 0.0,
            };
            if hits(fails, LuckOf::Skew) {
                return Some(Cause::WrongVersion);
            }
        }
        None
    }

    /// A client was served by a version, and remembers it: a low-pass filter whose memory is that of the clients.
    #[inline]
    pub(super) fn remember_version(&mut self, version: Version) {
        let Some(Skew { memory, .. }) = self.scenario.release.skew else { return };
        let Schema { newer_clients, served_at, .. } = &mut self.schema;
        let passed = nanos(self.now.since(*served_at)) as f64;
        let weight = passed / (nanos(memory) as f64 + passed);
        let now = if version > Version::OLD { 1.0 } else { 0.0 };
        *newer_clients += weight * (now - *newer_clients);
        *served_at = self.now;
    }
}
