//! What single tasks of a recorded Swarm service did: how long each stage of them took, and in which order their slots
//! were taken.

use super::files::{Row, Table, span};
use super::recording::{Set, SwarmScenario, version_of};
use crate::fleet::{Slot, Version};
use crate::rollout::swarm::{AGENT_BACK_OFF, STOP_LATENCY};
use crate::scenario::{Key, Life, LoadError, Recorded};
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::time::Duration;

/// Two times of one change of the manager's store lie no further apart.
const SAME_CHANGE: Duration = Duration::from_micros(250);

/// When a task reached each of its stages, milliseconds since the update began.
struct Task {
    slot: Slot,
    version: Version,
    created: f64,
    prepared: Option<f64>,
    /// It was let start.
    wanted: Option<f64>,
    running: Option<f64>,
    told_to_stop: Option<f64>,
    ended: Option<f64>,
    has_failed: bool,
}

impl Task {
    const COLUMNS: [&'static str; 9] = [
        "slot",
        "version",
        "created_ms",
        "ready_ms",
        "desired_running_ms",
        "running_ms",
        "desired_shutdown_ms",
        "final_state",
        "final_ms",
    ];

    fn read(row: Row<'_>, replicas: u32) -> Result<Task, LoadError> {
        let slot = row.count("slot", replicas)?;
        let slot = slot.checked_sub(1).map(Slot).ok_or_else(|| row.mistake("slot", "must be counted from 1"))?;
        let version = version_of(row.text("version")).filter(|version| *version <= Version::NEW);
        Ok(Task {
            slot,
            version: version.ok_or_else(|| row.mistake("version", "must be v1 or v2"))?,
            created: row.millis("created_ms")?.ok_or_else(|| row.mistake("created_ms", "must be given"))?,
            prepared: row.millis("ready_ms")?,
            wanted: row.millis("desired_running_ms")?,
            running: row.millis("running_ms")?,
            told_to_stop: row.millis("desired_shutdown_ms")?,
            ended: row.millis("final_ms")?,
            has_failed: row.text("final_state") == "FAILED",
        })
    }

    /// When the restart supervisor let go of it, if it failed before anybody told it to stop.
    fn let_go_at(&self) -> Option<f64> {
        self.told_to_stop.filter(|told| self.has_failed && self.ended.is_some_and(|ended| ended <= *told))
    }

    /// What it took for each stage; one that was not recorded takes what meta.json says.
    fn life(&self, otherwise: Life, ready_after: Duration) -> Life {
        let mut life = otherwise;
        let prepared = self.prepared.unwrap_or(self.created).max(self.created);
        life.pull = span(prepared - self.created);
        let Some(began) = self.wanted.map(|wanted| wanted.max(prepared)) else {
            if let Some((told, ended)) = self.told_to_stop.zip(self.ended) {
                life.stop_unstarted = span(ended - told);
            }
            return life;
        };
        match (self.running, self.ended) {
            // What had not happened when the recorder left does not happen.
            (None, None) => (life.start, life.fails_after) = (None, None),
            (None, Some(_)) => {}
            (Some(running), _) => {
                life.start = Some(span(running - began));
                // It fails so long after its process began, which was seen only by its running.
                let begun_after = span(running - began).saturating_sub(ready_after);
                life.fails_after = life.fails_after.map(|after| begun_after + after);
            }
        }
        let Some(ended) = self.ended else { return life };
        if self.has_failed {
            life.fails_after = Some(span(ended - began));
        }
        match self.told_to_stop.filter(|told| *told <= ended) {
            Some(told) if began <= told => {
                life.stop = span(ended - told);
                // It would have taken longer to start than it was let.
                let let_for = span(told - began);
                life.start = life.start.map(|start| if self.running.is_none() { start.max(let_for) } else { start });
            }
            Some(told) => life.stop_unstarted = span(ended - told),
            None => {}
        }
        life
    }
}

/// The delays of the tasks, by version, slot and order of creation, and the order in which slots were taken.
pub(super) fn tasks(path: &Path, scenario: &SwarmScenario, set: Set) -> Result<Recorded, LoadError> {
    let table = Table::read(path, &Task::COLUMNS)?;
    let replicas = scenario.replicas.0;
    let tasks: Vec<Task> = table.rows().map(|row| Task::read(row, replicas)).collect::<Result<_, LoadError>>()?;
    let mut recorded = Recorded::default();
    for version in [Version::OLD, Version::NEW] {
        for slot in (0..replicas).map(Slot) {
            recorded.lives.insert(Key::InSlot(version, slot, 0), nominal(scenario, set, version, slot));
        }
        recorded.otherwise.insert(version, nominal(scenario, set, version, Slot(0)));
    }
    let mut created: BTreeMap<(Version, Slot), u32> = BTreeMap::new();
    for task in &tasks {
        let nth = created.entry((task.version, task.slot)).or_insert(0);
        let otherwise = nominal(scenario, set, task.version, task.slot);
        let life = task.life(otherwise, scenario.ready_s.0);
        recorded.lives.insert(Key::InSlot(task.version, task.slot, *nth), life);
        *nth += 1;
    }
    recorded.slot_orders = vec![slot_order(&tasks, Version::NEW, replicas), slot_order(&tasks, Version::OLD, replicas)];
    Ok(recorded)
}

/// The slots in the order in which the updater took them on the way to a version, and then those that it never did.
fn slot_order(tasks: &[Task], target: Version, replicas: u32) -> Vec<Slot> {
    let let_go: BTreeSet<(Slot, Duration)> =
        tasks.iter().filter_map(|task| Some((task.slot, span(task.let_go_at()?)))).collect();
    // The supervisor lets go of a task and creates another one in one change.
    let is_restart = |task: &Task| {
        let (from, to) = (span(task.created).saturating_sub(SAME_CHANGE), span(task.created) + SAME_CHANGE);
        let_go.range((task.slot, from)..=(task.slot, to)).next().is_some()
    };
    let mut taken: Vec<(f64, Slot)> = Vec::new();
    for task in tasks {
        if task.version == target && task.created >= 0.0 && !is_restart(task) {
            taken.push((task.created, task.slot));
        } else if task.version > target && task.let_go_at().is_none() {
            // Where a slot holds a task of the old version already, a rollback only stops the others.
            taken.extend(task.told_to_stop.map(|told| (told, task.slot)));
        }
    }
    taken.sort_by(|a, b| a.0.total_cmp(&b.0));
    let mut is_in = vec![false; replicas as usize];
    let all = taken.into_iter().map(|(_, slot)| slot).chain((0..replicas).map(Slot));
    all.filter(|slot| !std::mem::replace(&mut is_in[slot.0 as usize], true)).collect()
}

/// What meta.json says of a task.
fn nominal(scenario: &SwarmScenario, set: Set, version: Version, slot: Slot) -> Life {
    let new = &scenario.new;
    let is_listed = new.fail_slots.as_ref().is_some_and(|slots| slots.iter().any(|listed| listed.0 == slot.0 + 1));
    let fails = version == Version::NEW && (new.fail == "all" || is_listed);
    // What the daemon waits is a part of the stops that were recorded, and belongs to those that were not.
    let daemon = if set == Set::Swarm { STOP_LATENCY } else { Duration::ZERO };
    Life {
        start: Some(scenario.ready_s.0),
        fails_after: fails.then_some(new.fail_after_s.0),
        stop: scenario.term_s.0 + daemon,
        stop_unstarted: daemon.saturating_sub(AGENT_BACK_OFF),
        ..Life::default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn task(slot: u32, version: Version, created: f64) -> Task {
        let (prepared, wanted, running) = (None, None, None);
        Task {
            slot: Slot(slot),
            version,
            created,
            prepared,
            wanted,
            running,
            told_to_stop: None,
            ended: None,
            has_failed: false,
        }
    }

    fn millis(millis: u64) -> Duration {
        Duration::from_millis(millis)
    }

    #[test]
    fn a_rollback_takes_slots_by_what_the_updater_does_and_not_the_supervisor() {
        let (old, new) = (Version::OLD, Version::NEW);
        let stopped = |slot, told| Task { told_to_stop: Some(told), ended: Some(told), ..task(slot, new, 1.0) };
        let failed = |slot, at| Task { has_failed: true, ended: Some(at - 0.3), ..stopped(slot, at) };
        let tasks = [
            task(0, old, -1.0),
            failed(0, 100.0),
            task(0, old, 100.1), // The supervisor's.
            stopped(1, 102.0),   // Where an old task was there.
            task(2, old, 101.0),
            task(0, old, 103.0),
        ];
        assert_eq!(slot_order(&tasks, old, 4), [2, 1, 0, 3].map(Slot));
        assert_eq!(slot_order(&tasks, new, 4), [0, 1, 2, 3].map(Slot));
    }

    #[test]
    fn stages_take_what_was_recorded_of_them() {
        let otherwise = Life { start: Some(millis(7)), fails_after: Some(millis(500)), ..Life::default() };
        let ran = Task { prepared: Some(12.0), wanted: Some(11.0), running: Some(15.0), ..task(0, Version::NEW, 10.0) };
        let life = ran.life(otherwise.clone(), millis(1));
        assert_eq!((life.pull, life.start, life.fails_after), (millis(2), Some(millis(3)), Some(millis(502))));
        let failed = Task { has_failed: true, ended: Some(112.0), told_to_stop: Some(92.0), ..ran };
        let life = failed.life(otherwise.clone(), millis(1));
        assert_eq!((life.fails_after, life.stop), (Some(millis(100)), millis(20)), "it fails while it stops");
        let stopped = Task { has_failed: false, running: None, ..failed };
        assert_eq!(stopped.life(otherwise.clone(), millis(1)).start, Some(millis(80)), "it had not started by then");
        let held = Task { wanted: None, ..stopped };
        let life = held.life(otherwise.clone(), millis(1));
        assert_eq!((life.stop_unstarted, life.start), (millis(20), otherwise.start));
    }
}
