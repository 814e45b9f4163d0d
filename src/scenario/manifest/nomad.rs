//! Nomad job files: the groups of the jobs in an HCL file.
//!
//! Sources: `api/jobs.go` and `api/tasks.go` (`Canonicalize`, `DefaultUpdateStrategy`) and `nomad/structs/structs.go`
//! (`UpdateStrategy.Validate`) of hashicorp/nomad. The job's `update` block holds for each group, whose own block wins
//! setting by setting; so does its `reschedule` block. A service job without one has the default one.

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
    /// `restart`.
    pub restart: NomadRestart,
    /// The `reschedule` block after the job's and the group's were merged.
    pub reschedule: NomadReschedule,
    /// The longest `kill_timeout` of a task.
    pub kill_timeout: Setting<Seconds>,
    /// The longest `shutdown_delay` of the group and its tasks.
    pub shutdown_delay: Setting<Seconds>,
    /// The service checks.
    pub checks: Vec<NomadCheck>,
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

/// A `restart` block, whose mode nobody looks at.
#[derive(Clone, Debug, PartialEq)]
pub struct NomadRestart {
    /// `attempts`.
    pub attempts: Setting<u32>,
    /// `interval`.
    pub interval: Setting<Seconds>,
    /// `delay`.
    pub delay: Setting<Seconds>,
}

/// A `reschedule` block.
#[derive(Clone, Debug, PartialEq)]
pub struct NomadReschedule {
    /// `delay`.
    pub delay: Setting<Seconds>,
    /// `delay_function`.
    pub delay_function: Setting<&'static str>,
    /// `max_delay`.
    pub max_delay: Setting<Seconds>,
    /// `attempts`; without effect where they are unlimited.
    pub attempts: Setting<u32>,
    /// `interval`; without effect where attempts are unlimited.
    pub interval: Setting<Seconds>,
}

/// A check of a service.
#[derive(Clone, Debug, PartialEq)]
pub struct NomadCheck {
    /// Its line, counted from 1.
    pub line: usize,
    /// `interval`.
    pub interval: Setting<Seconds>,
    /// `on_update`, its own or its service's.
    pub on_update: Setting<&'static str>,
    /// `success_before_passing`.
    pub success_before_passing: Setting<u32>,
    /// `failures_before_critical`.
    pub failures_before_critical: Setting<u32>,
}

const JOB_TYPES: [&str; 4] = ["service", "batch", "system", "sysbatch"];
const HEALTH_CHECKS: [&str; 3] = ["checks", "task_states", "manual"];
const ON_UPDATES: [&str; 3] = ["require_healthy", "ignore_warnings", "ignore"];
const DELAY_FUNCTIONS: [&str; 3] = ["constant", "exponential", "fibonacci"];

/// The settings of a `reschedule` block.
const RESCHEDULE: [&str; 6] = ["delay", "delay_function", "max_delay", "attempts", "interval", "unlimited"];

/// The settings of an `update` block.
const UPDATE: [&str; 9] = [
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
        for key in ["type", "update", "reschedule", "group"] {
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
    let updated = merged(in_job.entry("update"), in_group.entry("update"), &UPDATE);
    let update = NomadUpdate::read(updated.as_ref(), &in_group, group.line, &mut notes);
    let restart = NomadRestart::read(&mut in_group, &mut notes);
    let rescheduled = merged(in_job.entry("reschedule"), in_group.entry("reschedule"), &RESCHEDULE);
    let reschedule = NomadReschedule::read(rescheduled.as_ref(), &in_group, &mut notes);
    let tasks: Vec<&Entry> = in_group.entries("task").collect();
    let kill_timeout = longest(None, &tasks, "kill_timeout", Seconds::whole(5), &mut notes);
    let none = Seconds::whole(0);
    let own_delay = in_group.setting("shutdown_delay", Some(none), duration_or_nanoseconds, &mut notes);
    let shutdown_delay = longest(Some(own_delay), &tasks, "shutdown_delay", none, &mut notes);
    let own = checks(&in_group.place, &group.node, &mut notes);
    let of_tasks = tasks.iter().flat_map(|task| checks(&format!("task.{}", name(task)), &task.node, &mut notes));
    let checks = own.into_iter().chain(of_tasks).collect();
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
            restart,
            reschedule,
            kill_timeout,
            shutdown_delay,
            checks,
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
fn merged(job: Option<&Entry>, group: Option<&Entry>, settings: &[&str]) -> Option<Node> {
    let own = group.map_or(&[][..], |group| group.node.entries());
    let inherited = job.map_or(&[][..], |job| job.node.entries()).iter();
    let inherited = inherited.filter(|entry| settings.contains(&entry.key.as_str()));
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

impl NomadRestart {
    fn read(group: &mut Section<'_>, notes: &mut Notes) -> Self {
        let mut restart = group.section("restart", notes);
        let read = NomadRestart {
            attempts: restart.setting("attempts", Some(2), loose_count, notes),
            interval: restart.setting("interval", Some(Seconds::whole(1800)), duration_or_nanoseconds, notes),
            delay: restart.setting("delay", Some(Seconds::whole(15)), duration_or_nanoseconds, notes),
        };
        restart.ignore_rest(notes);
        read
    }
}

impl NomadReschedule {
    fn read(block: Option<&Node>, group: &Section<'_>, notes: &mut Notes) -> Self {
        let place = group.key("reschedule");
        let mut block = block.map_or_else(|| Section::absent(&place, group.line), |node| Section::of(&place, node));
        let mut span = |block: &mut Section<'_>, key, default: Option<u64>| {
            block.setting(key, default.map(Seconds::whole), duration_or_nanoseconds, notes)
        };
        let delay = span(&mut block, "delay", Some(30));
        let max_delay = span(&mut block, "max_delay", Some(3600));
        let mut interval = span(&mut block, "interval", None);
        let mut attempts = block.setting("attempts", None, loose_count, notes);
        let exponential = Some("exponential");
        let delay_function =
            block.setting("delay_function", exponential, |scalar| word(scalar, &DELAY_FUNCTIONS), notes);
        let unlimited = block.setting("unlimited", Some(true), loose_boolean, notes);
        if unlimited.effective == Some(true) {
            (attempts.effective, interval.effective) = (None, None);
        } else {
            attempts.effective.get_or_insert(0);
            interval.effective.get_or_insert(Seconds::whole(0));
        }
        block.ignore_rest(notes);
        NomadReschedule { delay, delay_function, max_delay, attempts, interval }
    }
}

/// The longest time under a key of the group, if it is one of the group's, and of the tasks; none where one is wrong.
fn longest(
    own: Option<Setting<Seconds>>,
    tasks: &[&Entry],
    key: &'static str,
    default: Seconds,
    notes: &mut Notes,
) -> Setting<Seconds> {
    let of_task = |task: &&Entry| {
        let name = task.node.tag.clone().unwrap_or_default();
        Section::of(format!("task.{name}"), &task.node).setting(key, Some(default), duration_or_nanoseconds, notes)
    };
    let all: Vec<Setting<Seconds>> = own.into_iter().chain(tasks.iter().map(of_task)).collect();
    // A wrong one hides the others; of equal ones the first that is written counts.
    let rank = |setting: &Setting<Seconds>| (setting.effective.is_none(), setting.effective, setting.is_written());
    let longest = all.into_iter().reduce(|longest, next| if rank(&next) > rank(&longest) { next } else { longest });
    longest.unwrap_or_else(|| Setting { field: key.to_owned(), written: None, line: 1, effective: Some(default) })
}

/// The checks of the services of a group or task.
fn checks(place: &str, node: &Node, notes: &mut Notes) -> Vec<NomadCheck> {
    let services = node.entries().iter().filter(|entry| entry.key == "service");
    let mut all = Vec::new();
    for service in services {
        let name = service.node.text_at("name").or(service.node.tag.as_deref()).unwrap_or_default();
        let place = format!("{place}.service.{name}");
        let of_service = service.node.entry("on_update");
        for check in service.node.entries().iter().filter(|entry| entry.key == "check") {
            let mut section = Section::of(format!("{place}.check"), &check.node);
            let read = |scalar: &super::Scalar| word(scalar, &ON_UPDATES);
            let mut on_update = section.setting("on_update", Some("require_healthy"), read, notes);
            if let Some(inherited) = of_service.filter(|_| !on_update.is_written())
                && let Some(Ok(value)) = inherited.node.scalar().map(read)
            {
                let (line, written) = (inherited.line, inherited.node.scalar().cloned());
                on_update = Setting { field: format!("{place}.on_update"), written, line, effective: Some(value) };
            }
            all.push(NomadCheck {
                line: check.line,
                interval: section.setting("interval", None, duration_or_nanoseconds, notes),
                on_update,
                success_before_passing: section.setting("success_before_passing", Some(0), loose_count, notes),
                failures_before_critical: section.setting("failures_before_critical", Some(0), loose_count, notes),
            });
        }
    }
    all
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

    /// `on_update` of the strictest check.
    pub fn on_update(&self) -> Option<&Setting<&'static str>> {
        let place = |setting: &Setting<&str>| ON_UPDATES.iter().position(|word| setting.effective == Some(*word));
        self.checks.iter().map(|check| &check.on_update).min_by_key(|setting| place(setting))
    }

    /// The check that is asked least often.
    pub fn slowest_check(&self) -> Option<&NomadCheck> {
        let asked = self.checks.iter().filter(|check| check.interval.effective.is_some_and(|span| !span.0.is_zero()));
        asked.reduce(|slowest, next| if next.interval.effective > slowest.interval.effective { next } else { slowest })
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
            "kill_timeout_seconds": fact(&self.kill_timeout),
            "shutdown_delay_seconds": fact(&self.shutdown_delay),
            "service_checks": self.checks.len(),
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
