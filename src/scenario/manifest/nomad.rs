//! Nomad job files: the groups of the jobs in an HCL file.
//!
//! Sources: `api/jobs.go` and `api/tasks.go` (`Canonicalize`, `DefaultUpdateStrategy`) and `nomad/structs/structs.go`
//! (`UpdateStrategy.Validate`) of hashicorp/nomad. The job's `update` block holds for each group, whose own block wins
//! setting by setting; a service job without one has the default one.

use super::pods::fact;
use super::section::{Note, Notes, Section, Setting};
use super::sets::map;
use super::tree::{Entry, Node, Value};
use super::values::{Seconds, duration_or_nanoseconds, loose_boolean, loose_count, word};
use super::{Spec, Workload};
use serde_json::{Map, Value as Json, json};

/// A task group.
#[derive(Clone, Debug, PartialEq)]
pub struct NomadGroup {
    /// The job's `type`.
    pub job_type: Setting<&'static str>,
    /// `count`.
    pub count: Setting<u32>,
    /// The least and most that `scaling` allows.
    pub scaling: Option<(Setting<u32>, Setting<u32>)>,
    /// The `update` block after the job's and the group's were merged.
    pub update: NomadUpdate,
    /// The longest `kill_timeout` of a task.
    pub kill_timeout: Option<Seconds>,
    /// The longest `shutdown_delay` of the group and its tasks.
    pub shutdown_delay: Option<Seconds>,
    /// How many service checks there are.
    pub service_checks: usize,
}

/// An `update` block.
#[derive(Clone, Debug, PartialEq)]
pub struct NomadUpdate {
    /// Whether there is one, at the job or at the group.
    pub is_written: bool,
    /// The settings that are written, in order, those of the job first.
    pub written: Vec<String>,
    /// `max_parallel`.
    pub max_parallel: Setting<u32>,
    /// `canary`.
    pub canary: Setting<u32>,
    /// `health_check`.
    pub health_check: Setting<&'static str>,
    /// `min_healthy_time`.
    pub min_healthy: Setting<Seconds>,
    /// `healthy_deadline`.
    pub healthy_deadline: Setting<Seconds>,
    /// `progress_deadline`.
    pub progress_deadline: Setting<Seconds>,
    /// `auto_revert`.
    pub auto_revert: Setting<bool>,
    /// `auto_promote`.
    pub auto_promote: Setting<bool>,
    /// `stagger`.
    pub stagger: Setting<Seconds>,
}

const JOB_TYPES: [&str; 4] = ["service", "batch", "system", "sysbatch"];
const HEALTH_CHECKS: [&str; 3] = ["checks", "task_states", "manual"];

/// The settings of an `update` block.
const SETTINGS: [&str; 9] = [
    "max_parallel",
    "canary",
    "health_check",
    "min_healthy_time",
    "healthy_deadline",
    "progress_deadline",
    "auto_revert",
    "auto_promote",
    "stagger",
];

/// Whether a file holds jobs.
pub(super) fn is_job_file(body: &Node) -> bool {
    body.get("job").is_some()
}

/// What of the jobs nobody looks at.
pub(super) fn ignored(body: &Node) -> Vec<Note> {
    let mut notes = Notes::default();
    for job in body.entries().iter().filter(|entry| entry.key == "job") {
        let name = job.node.tag.clone().unwrap_or_default();
        let mut section = Section::of(format!("job.{name}"), &job.node);
        for key in ["type", "update", "group"] {
            section.entry(key);
        }
        section.ignore_rest(&mut notes);
    }
    notes.ignored
}

/// The groups of all jobs.
pub(super) fn read(body: &Node) -> Vec<Workload> {
    let jobs = body.entries().iter().filter(|entry| entry.key == "job");
    let groups = |job: &'_ Entry| {
        let groups = job.node.entries().iter().filter(|entry| entry.key == "group");
        groups.map(|group| workload(job, group)).collect::<Vec<_>>()
    };
    jobs.flat_map(groups).collect()
}

fn workload(job: &Entry, group: &Entry) -> Workload {
    let mut notes = Notes::default();
    let name = |entry: &Entry| entry.node.tag.clone().unwrap_or_default();
    let (job_name, group_name) = (name(job), name(group));
    let mut in_job = Section::of(format!("job.{job_name}"), &job.node);
    let job_type = in_job.setting("type", Some("service"), |scalar| word(scalar, &JOB_TYPES), &mut notes);
    let mut in_group = Section::of(in_job.key(&group_name), &group.node);
    let scaling = scaling(&mut in_group, &mut notes);
    let least = scaling.as_ref().and_then(|(least, _)| least.effective);
    let count = in_group.setting("count", least.or(Some(1)), loose_count, &mut notes);
    refuse_count(&in_group, &count, scaling.as_ref(), &mut notes);
    let merged = merged_update(in_job.entry("update"), in_group.entry("update"));
    let update = NomadUpdate::read(merged.as_ref(), &in_group, group.line, &mut notes);
    let tasks: Vec<&Entry> = in_group.entries("task").collect();
    let kill_timeout = longest(&tasks, "kill_timeout", Seconds::whole(5), &mut notes);
    let own_delay = in_group.setting("shutdown_delay", Some(Seconds::whole(0)), duration_or_nanoseconds, &mut notes);
    let shutdown_delay = longest(&tasks, "shutdown_delay", Seconds::whole(0), &mut notes).max(own_delay.effective);
    let service_checks = checks(&group.node) + tasks.iter().map(|task| checks(&task.node)).sum::<usize>();
    in_group.ignore_rest(&mut notes);
    Workload {
        name: Some(format!("{job_name}/{group_name}")),
        namespace: None,
        kind: "nomad group".to_owned(),
        api_version: None,
        line: group.line,
        spec: Spec::NomadGroup(NomadGroup {
            job_type,
            count,
            scaling,
            update,
            kill_timeout,
            shutdown_delay,
            service_checks,
        }),
        notes,
    }
}

fn scaling(group: &mut Section<'_>, notes: &mut Notes) -> Option<(Setting<u32>, Setting<u32>)> {
    let mut scaling = group.section("scaling", notes);
    if !scaling.is_written() {
        return None;
    }
    let least = scaling.setting("min", None, loose_count, notes);
    let most = scaling.setting("max", None, loose_count, notes);
    scaling.ignore_rest(notes);
    Some((least, most))
}

/// What the server refuses of a count.
fn refuse_count(
    group: &Section<'_>,
    count: &Setting<u32>,
    scaling: Option<&(Setting<u32>, Setting<u32>)>,
    notes: &mut Notes,
) {
    let (Some(number), Some((least, most))) = (count.effective, scaling) else { return };
    if least.effective.is_some_and(|least| number < least) {
        notes.breaks(count.line, &group.key("count"), "must be at least the least that scaling allows");
    }
    if most.effective.is_some_and(|most| number > most) {
        notes.breaks(count.line, &group.key("count"), "must be at most the most that scaling allows");
    }
}

/// One block of two, where the second wins setting by setting. Of the first only settings are kept.
fn merged_update(job: Option<&Entry>, group: Option<&Entry>) -> Option<Node> {
    let own = group.map_or(&[][..], |group| group.node.entries());
    let inherited = job.map_or(&[][..], |job| job.node.entries()).iter();
    let inherited = inherited.filter(|entry| SETTINGS.contains(&entry.key.as_str()));
    let inherited = inherited.filter(|entry| own.iter().all(|own| own.key != entry.key));
    let entries = inherited.chain(own).cloned().collect();
    group.or(job).map(|block| Node { line: block.line, tag: None, value: Value::Table(entries) })
}

impl NomadUpdate {
    fn read(block: Option<&Node>, group: &Section<'_>, line: usize, notes: &mut Notes) -> Self {
        let place = group.key("update");
        let mut update = block.map_or_else(|| Section::absent(&place, line), |node| Section::of(&place, node));
        let span = |update: &mut Section<'_>, key, default, notes: &mut Notes| {
            update.setting(key, Some(Seconds::whole(default)), duration_or_nanoseconds, notes)
        };
        let read = NomadUpdate {
            is_written: block.is_some(),
            written: block.map_or(&[][..], Node::entries).iter().map(|entry| entry.key.clone()).collect(),
            max_parallel: update.setting("max_parallel", Some(1), loose_count, notes),
            canary: update.setting("canary", Some(0), loose_count, notes),
            health_check: update.setting("health_check", Some("checks"), |scalar| word(scalar, &HEALTH_CHECKS), notes),
            min_healthy: span(&mut update, "min_healthy_time", 10, notes),
            healthy_deadline: span(&mut update, "healthy_deadline", 300, notes),
            progress_deadline: span(&mut update, "progress_deadline", 600, notes),
            auto_revert: update.setting("auto_revert", Some(false), loose_boolean, notes),
            auto_promote: update.setting("auto_promote", Some(false), loose_boolean, notes),
            stagger: span(&mut update, "stagger", 30, notes),
        };
        update.ignore_rest(notes);
        read.refuse_impossible(&update, notes);
        read
    }

    /// What the server refuses.
    fn refuse_impossible(&self, update: &Section<'_>, notes: &mut Notes) {
        // Without parallelism the block is switched off, and nobody looks at the rest.
        if self.max_parallel.effective == Some(0) {
            return;
        }
        let exceeds = |shorter: &Setting<Seconds>, longer: &Setting<Seconds>| {
            shorter.effective.zip(longer.effective).is_some_and(|(shorter, longer)| shorter >= longer)
        };
        if exceeds(&self.min_healthy, &self.healthy_deadline) {
            let problem = "must be shorter than healthy_deadline";
            notes.breaks(self.min_healthy.line, &update.key("min_healthy_time"), problem);
        }
        let is_bounded = self.progress_deadline.effective.is_some_and(|span| !span.0.is_zero());
        if is_bounded && exceeds(&self.healthy_deadline, &self.progress_deadline) {
            let problem = "must be shorter than progress_deadline";
            notes.breaks(self.healthy_deadline.line, &update.key("healthy_deadline"), problem);
        }
        if self.auto_promote.effective == Some(true) && self.canary.effective == Some(0) {
            let problem = "must be false unless canary exceeds 0";
            notes.breaks(self.auto_promote.line, &update.key("auto_promote"), problem);
        }
    }
}

/// The longest time under a key of the tasks; none where one is wrong.
fn longest(tasks: &[&Entry], key: &'static str, default: Seconds, notes: &mut Notes) -> Option<Seconds> {
    let mut of_task = |task: &&Entry| {
        let name = task.node.tag.clone().unwrap_or_default();
        Section::of(format!("task.{name}"), &task.node)
            .setting(key, Some(default), duration_or_nanoseconds, notes)
            .effective
    };
    let longest = tasks.iter().map(&mut of_task).reduce(|longest, next| Some(longest?.max(next?)));
    longest.unwrap_or(Some(default))
}

fn checks(node: &Node) -> usize {
    let services = node.entries().iter().filter(|entry| entry.key == "service");
    services.map(|service| service.node.entries().iter().filter(|entry| entry.key == "check").count()).sum()
}

impl NomadGroup {
    /// Whether an update is a deployment: a group of a service job, whose number of allocations is its count.
    fn is_deployed(&self) -> bool {
        self.job_type.effective == Some("service")
    }

    /// How many allocations may be replaced at once, all where the block is switched off.
    pub fn max_unavailable(&self) -> Option<u32> {
        let (count, parallel) = (self.count.effective?, self.update.max_parallel.effective?);
        self.is_deployed().then_some(if parallel == 0 { count } else { parallel.min(count) })
    }

    /// How many canaries there may be beside the others.
    pub fn max_surge(&self) -> Option<u32> {
        let (count, canary) = (self.count.effective?, self.update.canary.effective?);
        self.is_deployed().then_some(canary.min(count))
    }

    fn count_source(&self) -> &'static str {
        match (self.job_type.effective, self.count.is_written(), &self.scaling) {
            (Some("system" | "sysbatch"), true, _) => "written, but a system job runs one per node",
            (Some("system" | "sysbatch"), false, _) => "a system job runs one per node",
            (_, true, _) => "written",
            (_, false, Some((least, _))) if least.is_written() => "scaling minimum",
            _ => "default",
        }
    }

    pub(super) fn facts(&self) -> Map<String, Json> {
        let update = &self.update;
        let strategy = match (update.is_written, self.is_deployed()) {
            (true, _) => "update block",
            (false, true) => "default update block",
            (false, false) => "no update block",
        };
        let mut facts = map(json!({
            "job_type": self.job_type.effective,
            "replicas": self.count.effective,
            "replicas_source": self.count_source(),
            "strategy_type": strategy,
            "update_written": update.written,
            "max_parallel": update.max_parallel.effective,
            "canary": update.canary.effective,
            "health_check": update.health_check.effective,
            "min_healthy_time_seconds": fact(&update.min_healthy),
            "healthy_deadline_seconds": fact(&update.healthy_deadline),
            "progress_deadline_seconds": fact(&update.progress_deadline),
            "auto_revert": update.auto_revert.effective,
            "auto_promote": update.auto_promote.effective,
            "stagger_seconds": fact(&update.stagger),
            "kill_timeout_seconds": self.kill_timeout.map(Seconds::scalar),
            "shutdown_delay_seconds": self.shutdown_delay.map(Seconds::scalar),
            "service_checks": self.service_checks,
        }));
        if let Some((least, most)) = &self.scaling {
            facts.insert("scaling".to_owned(), json!({ "min": least.effective, "max": most.effective }));
        }
        for (key, count) in [("max_unavailable_count", self.max_unavailable()), ("max_surge_count", self.max_surge())] {
            if let Some(count) = count {
                facts.insert(key.to_owned(), count.into());
            }
        }
        facts
    }
}
