//! From a manifest to a scenario: what it says, and for the rest assumptions that are marked as such.
//!
//! Each value has a comment with the line of the manifest that it comes from, or says that it is the orchestrator's
//! default or assumed. The scenario is loaded before it is handed out, so it loads.

use super::release::{ReleaseSays, Said};
use super::rollout_words::{self, Word, Words};
use super::section::{Setting, listed};
use super::strategy::shown;
use super::swarm::{SwarmService, UpdateSettings};
use super::values::{CountOrPercent, Seconds};
use super::{Deployment, EcsService, Manifest, NomadGroup, Rollout, Supported, Workload};
use crate::rollout::ecs::HEALTHY_WITHOUT_CHECK;
use crate::rollout::nomad::{CHECK_LOOKUP, EVALUATION_BATCH};
use crate::rollout::swarm::STOP_LATENCY;
use crate::scenario::place::on_one_line;
use crate::scenario::words::DeploymentType;
use crate::scenario::{InputError, LoadError, file};
use humantime::format_duration;
use std::fmt;
use std::path::Path;
use std::time::Duration;

/// Whose defaults they are.
const KUBERNETES: &str = "Kubernetes'";
const SWARM: &str = "Swarm's";
const NOMAD: &str = "Nomad's";
const ARGO: &str = "Argo Rollouts'";
const ECS: &str = "ECS's";

/// From the process's start to where it could serve, and what fetching it takes first. No manifest says it.
const START: Duration = Duration::from_secs(5);
const PULL: Duration = Duration::from_secs(2);
/// What stopping takes beside what the manifest says.
const STOP: Duration = Duration::from_millis(500);
/// Until the balancers have heard of a change.
const PROPAGATION: Duration = Duration::from_secs(1);
/// Requests a second for each instance: 4 workers with a mean of about 35 ms are 45 % busy.
const RATE: f64 = 50.0;
const WORKERS: u32 = 4;
/// Nodes of a cluster whose manifest cannot say how many there are.
const NODES: u32 = 3;
/// How often a rollout is replayed, as long as not too many requests come of it.
const REPLICATIONS: u32 = 20;
const MOST_REQUESTS: f64 = 20e6;
/// How wide comments are.
const WIDTH: usize = 118;
/// The observation window: at least this, and twice what the rollout may take.
const LEAST_WINDOW: Duration = Duration::from_mins(5);
const LONGEST_WINDOW: Duration = Duration::from_hours(300 * 24);

/// The scenario of a workload: TOML with comments. `name` says which, where the manifest has several.
///
/// # Errors
/// When the workload cannot be found, used, or simulated, at the manifest's own place.
pub fn import(manifest: &Manifest, name: Option<&str>) -> Result<Import, InputError> {
    let workload = manifest.workload(name, "Deployment")?;
    let supported = workload.supported(&manifest.file)?;
    let mut draft = Draft::new(manifest);
    draft.head(manifest, workload);
    let plan = Plan::of(manifest, workload, supported);
    draft.service(&plan);
    draft.release(&plan.release, plan.comes_up);
    draft.strategy(workload, supported);
    draft.study(&plan);
    let text = draft.text();
    match file::parse(&text, Path::new("import.toml")) {
        Ok(_) => Ok(Import { text, workload: workload.clone() }),
        Err(LoadError::Input(mistake)) => Err(draft.at_its_origin(mistake)),
        Err(error @ LoadError::Io(..)) => unreachable_file(&error),
    }
}

/// A scenario that names no files reads none.
fn unreachable_file(error: &LoadError) -> ! {
    panic!("the imported scenario names a file: {error}")
}

/// A scenario and the workload that it is of.
#[derive(Clone, Debug)]
pub struct Import {
    /// The scenario, TOML with comments.
    pub text: String,
    /// The workload.
    pub workload: Workload,
}

impl Import {
    /// What was taken, assumed and ignored, a line each.
    pub fn remarks(&self, file: &Path) -> Vec<String> {
        self.workload.notes.sentences(file)
    }
}

/// A value and the comment on where it comes from.
#[derive(Debug)]
struct Origin {
    /// The line of the manifest, counted from 1, where it is said there.
    line: Option<usize>,
    field: String,
    comment: String,
}

/// What the figures of the scenario follow from.
#[derive(Debug)]
struct Plan {
    instances: u32,
    origin: Origin,
    release: ReleaseSays,
    /// What fetching the image and starting the process are assumed to take.
    comes_up: (Duration, Duration),
    window: Duration,
}

impl Plan {
    fn of(manifest: &Manifest, workload: &Workload, supported: Supported<'_>) -> Self {
        let (replicas, orchestrator) = match supported {
            Supported::Kubernetes(deployment) => (&deployment.replicas, KUBERNETES),
            Supported::Swarm(service) => (&service.replicas, SWARM),
            Supported::Nomad(group) => (&group.count, NOMAD),
            Supported::Argo(rollout) => (&rollout.replicas, ARGO),
            Supported::Ecs(service) => (&service.desired, ECS),
        };
        let (instances, origin) = instances(manifest, workload, replicas, orchestrator);
        let release = ReleaseSays::of(supported);
        let window = window(instances, &release, supported);
        let comes_up = comes_up(&release, supported);
        Plan { instances, origin, release, comes_up, window }
    }

    fn rate(&self) -> f64 {
        RATE * f64::from(self.instances)
    }

    /// As many replications as are affordable, at least two.
    fn replications(&self) -> u32 {
        let affordable = MOST_REQUESTS / (self.rate() * self.window.as_secs_f64()).max(1.0);
        (affordable as u32).clamp(2, REPLICATIONS)
    }
}

/// How many instances there are, and who says so.
fn instances(manifest: &Manifest, workload: &Workload, replicas: &Setting<u32>, of: &str) -> (u32, Origin) {
    let scaled = manifest.autoscaler(workload);
    let (line, field) = (replicas.line, replicas.field.clone());
    match (replicas.effective, scaled) {
        (None, _) => {
            let comment = format!("assumed: one on each of {NODES} nodes, as the mode is global");
            (NODES, Origin { line: None, field, comment })
        }
        (Some(count), _) if replicas.is_written() => {
            (count, Origin { line: Some(line), field, comment: String::new() })
        }
        (Some(count), Some((other, autoscaler))) => {
            let least = autoscaler.min_replicas.effective.unwrap_or(count).max(count);
            let comment = format!("assumed: minReplicas of {} (line {})", other.title(), other.line);
            (least, Origin { line: None, field, comment })
        }
        (Some(count), None) => (count, Origin { line: None, field, comment: format!("{of} default") }),
    }
}

/// What fetching and starting may take: no manifest is written for instances that miss its own deadlines.
fn comes_up(release: &ReleaseSays, supported: Supported<'_>) -> (Duration, Duration) {
    if let (Supported::Ecs(service), Some(Said { value: probe, .. })) = (supported, &release.ready_probe) {
        let failures = probe.thresholds.failure.get() - 1;
        let given_up_after = probe.initial_delay + probe.period.saturating_mul(failures);
        let grace = service.health_check_grace.effective.map_or(Duration::ZERO, |grace| grace.0);
        let left = given_up_after.max(grace);
        return (PULL, if left > START * 2 { START } else { left / 4 });
    }
    let Supported::Nomad(group) = supported else { return (PULL, START) };
    let span = |setting: &Setting<Seconds>| setting.effective.map_or(Duration::MAX, |span| span.0);
    let progress = Some(span(&group.update.progress_deadline)).filter(|deadline| !deadline.is_zero());
    let deadline = span(&group.update.healthy_deadline).min(progress.unwrap_or(Duration::MAX));
    let min_healthy = group.update.min_healthy.effective.map_or(Duration::ZERO, |span| span.0);
    let probe = release.ready_probe.as_ref().map_or(Duration::ZERO, |said| said.value.period);
    let left = deadline.saturating_sub(min_healthy).saturating_sub(probe);
    if left > (PULL + START) * 2 { (PULL, START) } else { (left / 8, left / 4) }
}

/// Twice what the rollout may take, in whole minutes.
fn window(instances: u32, release: &ReleaseSays, supported: Supported<'_>) -> Duration {
    let probe = release.ready_probe.as_ref().map_or(Duration::ZERO, |said| {
        said.value.initial_delay
            + said.value.period.saturating_mul(said.value.thresholds.success.get().saturating_add(1))
    });
    let pre_stop = release.pre_stop.as_ref().map_or(Duration::ZERO, |said| said.value);
    let ready = PULL + START + probe + PROPAGATION;
    let step = match supported {
        Supported::Kubernetes(deployment) => {
            let at_once =
                deployment.bounds().map_or(instances, |bounds| bounds.surge.saturating_add(bounds.unavailable));
            let min_ready = deployment.min_ready.effective.map_or(Duration::ZERO, |span| span.0);
            (at_once, ready + min_ready + pre_stop + STOP)
        }
        Supported::Swarm(service) => {
            let update = &service.update;
            let at_once = update.at_once(instances).unwrap_or(1);
            let delay = update.delay.effective.map_or(Duration::ZERO, |span| span.0);
            let monitor = update.monitor.effective.map_or(Duration::ZERO, |span| span.0);
            (at_once, ready.saturating_add(delay).saturating_add(monitor) + STOP_LATENCY + STOP)
        }
        Supported::Argo(rollout) => {
            let min_ready = rollout.min_ready.effective.map_or(Duration::ZERO, |span| span.0);
            (rollout.at_once(), ready + min_ready + pre_stop + STOP)
        }
        Supported::Nomad(group) => {
            let span = |setting: &Setting<Seconds>| setting.effective.map_or(Duration::ZERO, |span| span.0);
            let takes =
                ready.saturating_add(span(&group.update.min_healthy)).saturating_add(span(&group.shutdown_delay));
            (group.max_unavailable().unwrap_or(1), takes + CHECK_LOOKUP + EVALUATION_BATCH + STOP)
        }
        Supported::Ecs(service) => {
            let least = service.minimum_healthy().unwrap_or(instances).min(instances);
            let at_once = service.maximum().unwrap_or(instances).saturating_sub(least);
            let unchecked = if release.ready_probe.is_none() { HEALTHY_WITHOUT_CHECK } else { Duration::ZERO };
            let drain = release.drain.as_ref().map_or(Duration::ZERO, |said| said.value);
            let bake = Duration::from_mins(service.bake_time.effective.unwrap_or(0).into());
            (at_once, ready.saturating_add(unchecked).saturating_add(drain).saturating_add(bake) + STOP)
        }
    };
    let (at_once, takes) = step;
    // A last step is for what the orchestrator waits for when all are replaced.
    let steps = instances.div_ceil(at_once.max(1)).saturating_add(1);
    let waits = if let Supported::Argo(rollout) = supported { rollout.waits() } else { Duration::ZERO };
    let twice = takes.saturating_mul(steps).saturating_add(waits).saturating_mul(2).clamp(LEAST_WINDOW, LONGEST_WINDOW);
    Duration::from_mins(twice.as_secs().div_ceil(60))
}

/// Lines of a scenario, each with its origin in the manifest.
struct Draft {
    file: String,
    path: std::path::PathBuf,
    lines: Vec<(String, Option<(usize, String)>)>,
}

impl Draft {
    fn new(manifest: &Manifest) -> Self {
        let file = manifest.file.file_name().map_or_else(String::new, |name| name.to_string_lossy().into_owned());
        Draft { file: on_one_line(&file), path: manifest.file.clone(), lines: Vec::new() }
    }

    fn text(&self) -> String {
        let lines: Vec<&str> = self.lines.iter().map(|(line, _)| line.as_str()).collect();
        lines.join("\n") + "\n"
    }

    /// A mistake in the scenario, told where the manifest says the wrong value.
    fn at_its_origin(&self, mistake: InputError) -> InputError {
        let origin = self.lines.get(mistake.line.saturating_sub(1)).and_then(|(_, origin)| origin.clone());
        let (line, field) = origin.unwrap_or((1, mistake.field));
        InputError { file: self.path.clone(), line, field, problem: mistake.problem }
    }

    fn line(&mut self, line: impl Into<String>) {
        self.lines.push((line.into(), None));
    }

    /// A comment of as many lines as it takes. Its words are the manifest's in part, so none may end the line.
    fn comment(&mut self, text: &str) {
        let mut line = "#".to_owned();
        let printed: String = text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
        for word in printed.split_whitespace() {
            if line.len() + word.len() >= WIDTH && line.len() > 1 {
                self.line(std::mem::replace(&mut line, "#".to_owned()));
            }
            line.push(' ');
            line.push_str(word);
        }
        self.line(line);
    }

    fn table(&mut self, name: &str) {
        self.line("");
        self.line(format!("[{name}]"));
    }

    fn value(&mut self, key: &str, value: impl fmt::Display, origin: Origin) {
        let Origin { line, field, comment } = origin;
        let field_comment = match (line, comment.is_empty()) {
            (Some(line), true) => format!("{}:{line} {}", self.file, on_one_line(&field)),
            (Some(line), false) => format!("{}:{line} {}: {comment}", self.file, on_one_line(&field)),
            (None, _) => comment,
        };
        let text = format!("{:<44} # {field_comment}", format!("{key} = {value}"));
        self.lines.push((text, line.map(|line| (line, field))));
    }

    fn assumed(&mut self, key: &str, value: impl fmt::Display, why: &str) {
        let comment = if why.is_empty() { "assumed".to_owned() } else { format!("assumed: {why}") };
        self.value(key, value, Origin { line: None, field: String::new(), comment });
    }

    /// A setting of the manifest, or the orchestrator's default.
    fn setting<T: Copy, V: fmt::Display>(&mut self, key: &str, setting: &Setting<T>, of: &str, shown: impl Fn(T) -> V) {
        let Some(value) = setting.effective else { return };
        let written = setting.is_written();
        let comment = if written { String::new() } else { format!("{of} default") };
        let line = written.then_some(setting.line);
        self.value(key, shown(value), Origin { line, field: setting.field.clone(), comment });
    }

    fn head(&mut self, manifest: &Manifest, workload: &Workload) {
        let at = format!("{} of {}, line {}", workload.title(), self.file, workload.line);
        self.comment(&format!("{at}, read by rollsim {}.", env!("CARGO_PKG_VERSION")));
        self.comment("What is \"assumed\" stands in no manifest: measure it, or the figures say little.");
        if let Some((other, autoscaler)) = manifest.autoscaler(workload) {
            let bound =
                |setting: &Setting<u32>| setting.effective.map_or_else(|| "?".to_owned(), |count| count.to_string());
            let (least, most) = (bound(&autoscaler.min_replicas), bound(&autoscaler.max_replicas));
            let keeps = format!("{} (line {}) keeps it between {least} and {most}", other.title(), other.line);
            self.comment(&format!("{keeps}; no scaling is simulated."));
        }
        if !workload.notes.ignored.is_empty() {
            self.comment(&format!("Ignored, with lines: {}.", listed(&workload.notes.ignored)));
        }
    }

    fn service(&mut self, plan: &Plan) {
        self.table("service");
        let Origin { line, field, comment } = &plan.origin;
        let origin = Origin { line: *line, field: field.clone(), comment: comment.clone() };
        self.value("instances", plan.instances, origin);
        self.assumed("workers", WORKERS, "requests that one instance serves at once");
        self.assumed("queue", 32, "requests that may wait in one instance");
        self.table("traffic");
        self.assumed("rate", format!("{:.1}", plan.rate()), "requests a second, 50 for each instance");
        let work = "{ lognormal = { median = \"25ms\", p95 = \"90ms\" } }";
        self.assumed("work", work, "what one request costs");
        self.table("client");
        self.assumed("timeout", "\"2s\"", "of one attempt");
        self.table("balancer");
        self.assumed("propagation", quoted(PROPAGATION), "until news of an instance have arrived");
    }

    fn release(&mut self, says: &ReleaseSays, (pull, start): (Duration, Duration)) {
        self.table("release");
        self.assumed("pull", quoted(pull), "fetching the image");
        self.assumed("start", quoted(start), "until the process could serve");
        self.assumed("stop", quoted(STOP), "until an idle process has exited");
        match (&says.pre_stop, says.unknown_pre_stop) {
            (Some(Said { value, line, field }), _) => {
                let origin = Origin { line: *line, field: field.clone(), comment: String::new() };
                self.value("pre_stop", quoted(*value), origin);
            }
            (None, Some(line)) => {
                self.assumed("pre_stop", "\"0s\"", &format!("how long preStop (line {line}) takes is not written"));
            }
            (None, None) => {}
        }
        if let Some(Said { value, line, field }) = &says.drain {
            let comment = if line.is_some() { "" } else { "assumed: Elastic Load Balancing's default" };
            let origin = Origin { line: *line, field: field.clone(), comment: comment.to_owned() };
            self.value("drain", quoted(*value), origin);
            let comment = "Elastic Load Balancing waits no longer".to_owned();
            self.value("drain_ends_when_idle", true, Origin { line: None, field: String::new(), comment });
        }
        if let Some(Said { value, line, field }) = &says.grace {
            let comment = if line.is_some() { String::new() } else { "the orchestrator's default".to_owned() };
            self.value("grace", quoted(*value), Origin { line: *line, field: field.clone(), comment });
        }
        match &says.ready_probe {
            Some(Said { value, line, field }) => {
                let comment = match line {
                    Some(_) => "defaults where it says nothing",
                    None => "assumed: Elastic Load Balancing's defaults, as the file does not have it",
                };
                let comment = comment.to_owned();
                self.value("ready_probe", shown(value), Origin { line: *line, field: field.clone(), comment });
            }
            None => self.comment(
                "Nothing asks whether an instance is ready: the orchestrator sends requests as soon as the container \
                 runs, rollsim only once its process could serve.",
            ),
        }
    }

    fn strategy(&mut self, workload: &Workload, supported: Supported<'_>) {
        let name = table_key(workload.name.as_deref().unwrap_or("imported"));
        match supported {
            Supported::Kubernetes(deployment) => self.kubernetes(&name, deployment),
            Supported::Swarm(service) => self.swarm(&name, service),
            Supported::Nomad(group) => self.nomad(&name, group),
            Supported::Argo(rollout) => self.argo(&name, rollout),
            Supported::Ecs(service) => self.ecs(&name, service),
        }
    }

    fn kubernetes(&mut self, name: &str, deployment: &Deployment) {
        self.table(&format!("strategy.{name}.kubernetes"));
        let of = KUBERNETES;
        self.setting("type", &deployment.kind, of, |kind| format!("\"{kind}\""));
        if deployment.kind.effective == Some(DeploymentType::RollingUpdate) {
            self.setting("max_surge", &deployment.max_surge, of, bound);
            self.setting("max_unavailable", &deployment.max_unavailable, of, bound);
        }
        let seconds = |Seconds(span)| span.as_secs();
        self.setting("min_ready_seconds", &deployment.min_ready, of, seconds);
        self.setting("progress_deadline_seconds", &deployment.progress_deadline, of, seconds);
        self.setting("pod_replacement_policy", &deployment.replacement, of, |policy| format!("\"{policy}\""));
    }

    fn swarm(&mut self, name: &str, service: &SwarmService) {
        let table = format!("strategy.{name}.swarm");
        let of = SWARM;
        self.table(&table);
        let restart = &service.restart;
        self.setting("restart_condition", &restart.condition, of, |word| format!("\"{word}\""));
        self.setting("restart_delay", &restart.delay, of, |span| quoted(span.0));
        self.setting("restart_max_attempts", &restart.max_attempts, of, |count| count);
        self.setting("restart_window", &restart.window, of, |span| quoted(span.0));
        self.update(&format!("{table}.update"), &service.update);
        self.update(&format!("{table}.rollback"), &service.rollback);
    }

    fn nomad(&mut self, name: &str, group: &NomadGroup) {
        let of = NOMAD;
        let (update, restart, reschedule) = (&group.update, &group.restart, &group.reschedule);
        let span = |Seconds(span)| quoted(span);
        let word = |word: &'static str| format!("\"{word}\"");
        self.table(&format!("strategy.{name}.nomad"));
        self.setting("max_parallel", &update.max_parallel, of, |count| count);
        self.setting("canary", &update.canary, of, |count| count);
        self.setting("health_check", &update.health_check, of, word);
        if let Some(on_update) = group.on_update() {
            self.setting("on_update", on_update, of, word);
        }
        self.setting("min_healthy_time", &update.min_healthy, of, span);
        self.setting("healthy_deadline", &update.healthy_deadline, of, span);
        self.setting("progress_deadline", &update.progress_deadline, of, span);
        self.setting("auto_revert", &update.auto_revert, of, |yes| yes);
        self.setting("auto_promote", &update.auto_promote, of, |yes| yes);
        self.setting("restart_attempts", &restart.attempts, of, |count| count);
        self.setting("restart_interval", &restart.interval, of, span);
        self.setting("restart_delay", &restart.delay, of, span);
        self.setting("reschedule_delay", &reschedule.delay, of, span);
        self.setting("reschedule_delay_function", &reschedule.delay_function, of, word);
        self.setting("reschedule_max_delay", &reschedule.max_delay, of, span);
        self.setting("reschedule_attempts", &reschedule.attempts, of, |count| count);
        self.setting("reschedule_interval", &reschedule.interval, of, span);
        self.setting("shutdown_delay", &group.shutdown_delay, of, span);
        let canaries = group.max_surge().filter(|canaries| *canaries > 0);
        if let Some(canaries) = canaries.filter(|_| update.auto_promote.effective == Some(false)) {
            let promoted = format!("[{{ when_ready = {canaries}, do = \"promote\" }}]");
            self.assumed("commands", promoted, "somebody promotes canaries that are healthy");
        }
    }

    fn argo(&mut self, name: &str, rollout: &Rollout) {
        let words = Words::of(rollout);
        self.table(&format!("strategy.{name}.argo"));
        self.words(&words.own);
        if words.open_pauses > 0 {
            let promotes = vec!["{ when_paused = true, do = \"promote\" }"; words.open_pauses.min(1_000)].join(", ");
            self.assumed("commands", format!("[{promotes}]"), "somebody promotes at once what waits for it");
        }
        self.table(&format!("strategy.{name}.argo.{}", words.kind));
        self.words(&words.of_kind);
        if !words.steps.is_empty() {
            self.line("steps = [");
            for (step, origin) in words.steps {
                let (comment, line) = (self.comment_of(&origin), origin.line.map(|line| (line, origin.field)));
                self.lines.push((format!("{:<44} # {comment}", format!("  {step},")), line));
            }
            self.line("]");
        }
    }

    fn words(&mut self, words: &[Word]) {
        for Word { key, value, origin } in words {
            let (line, field) = (origin.line, origin.field.clone());
            let comment = match line {
                None => format!("{ARGO} default"),
                Some(_) => origin.assumes.clone(),
            };
            self.value(key, value, Origin { line, field, comment });
        }
    }

    fn comment_of(&self, origin: &rollout_words::Origin) -> String {
        let at = origin.line.map_or_else(String::new, |line| format!("{}:{line} ", self.file));
        let assumes = if origin.assumes.is_empty() { String::new() } else { format!(": {}", origin.assumes) };
        on_one_line(&format!("{at}{}{assumes}", origin.field))
    }

    fn ecs(&mut self, name: &str, service: &EcsService) {
        let of = ECS;
        let table = format!("strategy.{name}.ecs");
        let seconds = |Seconds(span)| span.as_secs();
        self.table(&table);
        self.setting("minimum_healthy_percent", &service.minimum_healthy_percent, of, |percent| percent);
        self.setting("maximum_percent", &service.maximum_percent, of, |percent| percent);
        self.setting("health_check_grace_period_seconds", &service.health_check_grace, of, seconds);
        self.setting("bake_time_in_minutes", &service.bake_time, of, |minutes| minutes);
        if let Some(breaker) = &service.circuit_breaker {
            self.table(&format!("{table}.circuit_breaker"));
            self.setting("enable", &breaker.enable, of, |yes| yes);
            self.setting("rollback", &breaker.rollback, of, |yes| yes);
            self.setting("threshold_type", &breaker.threshold_type, of, |word| format!("\"{word}\""));
            self.setting("threshold_value", &breaker.threshold_value, of, |value| value);
            self.setting("reset_on_healthy_task", &breaker.reset_on_healthy_task, of, |yes| yes);
        }
    }

    fn update(&mut self, table: &str, update: &UpdateSettings) {
        let of = SWARM;
        self.table(table);
        self.setting("parallelism", &update.parallelism, of, |count| count);
        self.setting("delay", &update.delay, of, |span| quoted(span.0));
        self.setting("monitor", &update.monitor, of, |span| quoted(span.0));
        self.setting("max_failure_ratio", &update.max_failure_ratio, of, |ratio| format!("{ratio:?}"));
        self.setting("failure_action", &update.failure_action, of, |word| format!("\"{word}\""));
        self.setting("order", &update.order, of, |word| format!("\"{word}\""));
    }

    fn study(&mut self, plan: &Plan) {
        self.table("study");
        self.assumed("replications", plan.replications(), "");
        self.assumed("window", quoted(plan.window), "twice what the rollout may take, or more");
    }
}

fn quoted(span: Duration) -> String {
    format!("\"{}\"", format_duration(span))
}

fn bound(bound: CountOrPercent) -> String {
    let text = bound.to_string();
    if text.ends_with('%') { format!("\"{text}\"") } else { text }
}

/// A workload's name as a key of the scenario: other characters become `-`, and what is too long is cut.
fn table_key(name: &str) -> String {
    let may_stand = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
    let key: String = name.chars().map(|c| if may_stand(c) { c } else { '-' }).take(60).collect();
    match key.as_str() {
        "" => "imported".to_owned(),
        key if key.contains('.') => format!("\"{key}\""),
        key => key.to_owned(),
    }
}
