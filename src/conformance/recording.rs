//! A recorded rollout, checked: the orchestrator's settings, and for each repetition the delays of its instances and
//! what was seen. How the files look is told in README.md.

use super::balancers;
use super::constants::KUBELET;
use super::files::{CountOrPercent, Json, Millis, Row, Seconds, Share, Table, Whole, span};
use super::seen::{Keep, Seen, Watcher};
use super::tasks::tasks;
use crate::fleet::Version;
use crate::rollout::swarm::{self, FailureAction, Order, UpdateConfig};
use crate::rollout::{Command, Strategy, What, When, kubernetes};
use crate::scenario::{Key, Life, LoadError, Recorded};
use serde::Deserialize;
use serde::de::{Deserializer, Error};
use std::collections::BTreeMap;
use std::num::NonZeroU32;
use std::path::Path;
use std::time::Duration;

/// The largest fleet of a recording.
const MOST_INSTANCES: u32 = 1_000;
/// A replay may last so many instance-seconds.
const MOST_INSTANCE_SECONDS: u64 = 100_000;
const MOST_REPETITIONS: usize = 20;
const MOST_ACTIONS: usize = 100;

type Instances = Whole<1, MOST_INSTANCES>;

/// What was recorded, which decides what is compared and which constants hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Set {
    /// Kubernetes' own controllers.
    Kubernetes,
    /// Swarm's own orchestrator with an agent that does not run containers.
    Swarmkit,
    /// A Docker daemon with real containers on a busy machine: its durations are not judged.
    Swarm,
}

impl Set {
    /// Whether durations are held against those of the recordings.
    pub fn judges_duration(self) -> bool {
        self != Set::Swarm
    }

    /// Its name.
    pub const fn name(self) -> &'static str {
        match self {
            Set::Kubernetes => "kubernetes",
            Set::Swarmkit => "swarmkit",
            Set::Swarm => "swarm",
        }
    }

    /// The counts that are judged.
    pub(super) fn figures(self) -> &'static [(&'static str, Keep)] {
        match self {
            Set::Kubernetes => &[
                ("final old", Keep::Last),
                ("final new", Keep::Last),
                ("final ready", Keep::Last),
                ("least ready", Keep::Least),
                ("most without terminating", Keep::Most),
                ("most with terminating", Keep::Most),
            ],
            Set::Swarmkit | Set::Swarm => &[
                ("final running old", Keep::Last),
                ("final running new", Keep::Last),
                ("least running", Keep::Least),
                ("most running", Keep::Most),
                ("most with stopping", Keep::Most),
            ],
        }
    }

    /// What the numbers of a state count.
    pub fn state(self) -> &'static str {
        match self {
            Set::Kubernetes => "(old spec, new spec, old ready, new ready, old total, new total)",
            Set::Swarmkit | Set::Swarm => "(running old, running new, starting new)",
        }
    }
}

/// One case: the same rollout, several times.
#[derive(Clone, Debug)]
pub struct Recording {
    /// What was recorded.
    pub set: Set,
    /// Instances at the beginning.
    pub instances: NonZeroU32,
    /// The orchestrator with its settings, and with controllers that take no time.
    pub strategy: Strategy,
    /// Its repetitions, at least one.
    pub repetitions: Vec<Repetition>,
}

/// One repetition.
#[derive(Clone, Debug)]
pub struct Repetition {
    /// Its number.
    pub number: u32,
    /// How long after a whole second of the wall's clock the rollout began.
    pub begins: Duration,
    /// How long it was watched.
    pub lasts: Duration,
    /// When each command of the strategy was really typed after the rollout began, as far as it was noted.
    pub typed: Vec<Duration>,
    /// The delays of its instances.
    pub recorded: Recorded,
    /// What was seen.
    pub seen: Seen,
}

/// What a folder holds.
#[derive(Clone, Debug)]
pub enum Contents {
    /// A recorded rollout.
    Rollout(Box<Recording>),
    /// A recorded load balancer.
    Balancer(Box<balancers::Recording>),
}

/// Reads a case.
///
/// # Errors
/// When a file is missing, or what it says does not hold.
pub fn read(folder: &Path) -> Result<Contents, LoadError> {
    let meta = Json::open(&folder.join("meta.json"))?;
    let kind: Kind = meta.read()?;
    let orchestrator = kind.orchestrator.unwrap_or_default();
    let recording = if kind.scenario.is_some_and(|scenario| scenario.lb.is_some()) {
        return Ok(Contents::Balancer(Box::new(balancers::read(&meta)?)));
    } else if orchestrator.contains("kubernetes") {
        kubernetes_case(folder, &meta)?
    } else if orchestrator.contains("swarm") {
        let set = if kind.docker_version.is_some() { Set::Swarm } else { Set::Swarmkit };
        swarm_case(folder, &meta, set)?
    } else {
        return Err(meta.mistake("orchestrator", "must name kubernetes or swarm"));
    };
    Ok(Contents::Rollout(Box::new(recording)))
}

#[derive(Deserialize)]
struct Kind {
    orchestrator: Option<String>,
    docker_version: Option<String>,
    scenario: Option<KindScenario>,
}

#[derive(Deserialize)]
struct KindScenario {
    lb: Option<String>,
}

fn check_size(meta: &Json, instances: u32, lasts: &[Duration], actions: usize) -> Result<(), LoadError> {
    if lasts.is_empty() || lasts.len() > MOST_REPETITIONS {
        return Err(meta.mistake("results", "must hold 1 to 20 repetitions"));
    }
    if actions > MOST_ACTIONS {
        return Err(meta.mistake("scenario.actions", "must hold at most 100 actions"));
    }
    if lasts.iter().any(|lasts| u64::from(instances) * lasts.as_secs() > MOST_INSTANCE_SECONDS) {
        return Err(meta.mistake("end_ms", "must come to at most 100,000 instance-seconds"));
    }
    Ok(())
}

// --- Kubernetes
// -----------------------------------------------------------------------------------------------------------

#[derive(Deserialize)]
struct KubernetesMeta {
    #[serde(default)]
    control_plane: String,
    scenario: KubernetesScenario,
    results: Vec<KubernetesResult>,
}

#[derive(Deserialize)]
struct KubernetesScenario {
    replicas: Instances,
    #[serde(default)]
    strategy: KubernetesKind,
    max_surge: Option<CountOrPercent>,
    max_unavailable: Option<CountOrPercent>,
    #[serde(default)]
    min_ready_seconds: Seconds,
    progress_deadline_seconds: Option<Whole<1, { i32::MAX as u32 }>>,
    versions: BTreeMap<Written, VersionMeta>,
    #[serde(default)]
    actions: Vec<Action>,
}

#[derive(Default, Deserialize)]
enum KubernetesKind {
    #[default]
    RollingUpdate,
    Recreate,
}

/// `v1` and on.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Written(Version);

/// The version that a recording calls `v1` and on.
pub(super) fn version_of(text: &str) -> Option<Version> {
    Written::parse(text)
}

impl Written {
    fn parse(text: &str) -> Option<Version> {
        let number: u8 = text.strip_prefix('v')?.parse().ok()?;
        (1..=Version::COUNT as u8).contains(&number).then(|| Version(number - 1))
    }
}

impl<'de> Deserialize<'de> for Written {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        Written::parse(&text).map(Written).ok_or_else(|| Error::custom("must be a version from v1 to v8"))
    }
}

#[derive(Deserialize)]
struct VersionMeta {
    ready_ms: Millis,
    term_ms: Millis,
    #[serde(default)]
    never_ready: bool,
    #[serde(default)]
    fail_ordinals: Vec<u32>,
    #[serde(default)]
    late_ordinals: Vec<u32>,
    #[serde(default)]
    late_ready_ms: Millis,
    #[serde(default)]
    flap_ordinals: Vec<u32>,
    #[serde(default)]
    flap_after_ms: Millis,
    #[serde(default)]
    flap_down_ms: Millis,
}

#[derive(Clone, Copy, Deserialize)]
#[serde(try_from = "RawAction")]
struct Action(Command);

#[derive(Deserialize)]
struct RawAction {
    at_ms: Option<Millis>,
    when_new_ready_ge: Option<Instances>,
    when_reason: Option<String>,
    r#do: String,
}

impl TryFrom<RawAction> for Action {
    type Error = &'static str;

    fn try_from(raw: RawAction) -> Result<Self, Self::Error> {
        let when = match (raw.at_ms, raw.when_new_ready_ge, raw.when_reason.as_deref()) {
            (Some(at), None, None) => When::After(at.0),
            (None, Some(count), None) => When::Ready(count.0),
            (None, None, Some("ProgressDeadlineExceeded")) => When::Stuck,
            _ => return Err("must hold one of at_ms, when_new_ready_ge and when_reason: \"ProgressDeadlineExceeded\""),
        };
        let what = match raw.r#do.split_once(':') {
            None if raw.r#do == "pause" => Some(What::Pause),
            None if raw.r#do == "resume" => Some(What::Resume),
            Some(("image", version)) => Written::parse(version).map(What::Deploy),
            Some(("scale", count)) => {
                let count = count.parse().ok().filter(|count| (1..=MOST_INSTANCES).contains(count));
                count.map(What::Scale)
            }
            _ => None,
        };
        let what = what.ok_or("do must be pause, resume, image:v1 to image:v8, or scale:1 to scale:1000")?;
        Ok(Action(Command { when, what }))
    }
}

#[derive(Deserialize)]
struct KubernetesResult {
    rep: Whole<1, 1_000>,
    end_ms: Millis,
    #[serde(default)]
    start_offset_in_second_ms: Millis,
    rollout_complete_ms: Option<Millis>,
    /// What was typed, the first request included.
    #[serde(default)]
    actions: Vec<Typed>,
}

#[derive(Deserialize)]
struct Typed {
    t_ms: Millis,
}

fn kubernetes_case(folder: &Path, json: &Json) -> Result<Recording, LoadError> {
    let meta: KubernetesMeta = json.read()?;
    let scenario = &meta.scenario;
    let lasts: Vec<Duration> = meta.results.iter().map(|result| result.end_ms.0).collect();
    let most = scenario.actions.iter().filter_map(|action| match action.0.what {
        What::Scale(count) => Some(count),
        _ => None,
    });
    let most = most.fold(scenario.replicas.0, u32::max);
    check_size(json, most, &lasts, scenario.actions.len())?;
    let bound = |written: Option<CountOrPercent>| match written {
        Some(CountOrPercent::Count(count)) => kubernetes::Bound::Count(count),
        Some(CountOrPercent::Percent(percent)) => kubernetes::Bound::Percent(percent),
        None => kubernetes::Bound::Percent(25),
    };
    let kind = match scenario.strategy {
        KubernetesKind::RollingUpdate => kubernetes::Kind::RollingUpdate {
            max_surge: bound(scenario.max_surge),
            max_unavailable: bound(scenario.max_unavailable),
        },
        KubernetesKind::Recreate => kubernetes::Kind::Recreate,
    };
    let deadline = scenario.progress_deadline_seconds.map(|seconds| Duration::from_secs(seconds.0.into()));
    let (qps, burst) = client_limit(&meta.control_plane);
    let strategy = Strategy::Kubernetes(kubernetes::Settings {
        kind,
        min_ready: scenario.min_ready_seconds.0,
        progress_deadline: Some(deadline.unwrap_or(kubernetes::PROGRESS_DEADLINE)),
        replacement: None,
        quota: None,
        control_plane: kubernetes::ControlPlane {
            limit: Some(kubernetes::Limit { qps, burst }),
            // The old pods were created seconds before, and each creation was told as an event.
            told_before: scenario.replicas.0,
            kubelet: KUBELET,
            ..kubernetes::ControlPlane::AT_ONCE
        },
        commands: scenario.actions.iter().map(|action| action.0).collect(),
    });
    let repetition = |result: &KubernetesResult| {
        let number = result.rep.0;
        Ok(Repetition {
            number,
            begins: Duration::from_nanos(result.start_offset_in_second_ms.0.subsec_nanos().into()),
            lasts: result.end_ms.0,
            typed: result.actions.iter().skip(1).take(MOST_ACTIONS).map(|action| action.t_ms.0).collect(),
            recorded: pods(&folder.join(format!("pods.r{number}.csv")), scenario)?,
            seen: kubernetes_seen(&folder.join(format!("trace.r{number}.csv")), result)?,
        })
    };
    let repetitions = meta.results.iter().map(repetition).collect::<Result<_, LoadError>>()?;
    let instances = NonZeroU32::new(scenario.replicas.0).expect("the bounds begin at 1");
    Ok(Recording { set: Set::Kubernetes, instances, strategy, repetitions })
}

/// `--kube-api-qps` and `--kube-api-burst`; the controller manager's own defaults where they are not told.
fn client_limit(text: &str) -> (f64, u32) {
    let flag = |name: &str| {
        let rest = text.split(name).nth(1)?;
        let digits: String = rest.chars().take_while(char::is_ascii_digit).take(6).collect();
        digits.parse::<u32>().ok().filter(|number| *number > 0)
    };
    (flag("--kube-api-qps=").unwrap_or(20).into(), flag("--kube-api-burst=").unwrap_or(30))
}

/// The delays of the pods, by version and order of creation.
fn pods(path: &Path, scenario: &KubernetesScenario) -> Result<Recorded, LoadError> {
    let needed = ["version", "ordinal", "created_ms", "ready_ms", "delete_ms", "gone_ms"];
    let table = Table::read(path, &needed)?;
    let initial = scenario.replicas.0;
    let mut recorded = Recorded::default();
    for (version, meta) in &scenario.versions {
        recorded.otherwise.insert(version.0, nominal_pod(meta, None));
        let first = if version.0 == Version::OLD { initial } else { 0 };
        let special = meta.fail_ordinals.iter().chain(&meta.late_ordinals).chain(&meta.flap_ordinals);
        for ordinal in special {
            let key = Key::Ordinal(version.0, first.saturating_add(*ordinal));
            recorded.lives.insert(key, nominal_pod(meta, Some(*ordinal)));
        }
    }
    let mut initial_pods = 0;
    for row in table.rows() {
        let version = Written::parse(row.text("version"));
        let version = version.filter(|version| scenario.versions.contains_key(&Written(*version)));
        let version = version.ok_or_else(|| row.mistake("version", "must be one of scenario.versions in meta.json"))?;
        let meta = &scenario.versions[&Written(version)];
        let was_there = row.text("ordinal").trim() == "-1";
        let ordinal = if was_there { None } else { Some(row.count("ordinal", 1_000_000)?) };
        let key = match ordinal {
            None => {
                initial_pods += 1;
                Key::Ordinal(Version::OLD, initial_pods - 1)
            }
            Some(ordinal) if version == Version::OLD => Key::Ordinal(version, initial + ordinal),
            Some(ordinal) => Key::Ordinal(version, ordinal),
        };
        if initial_pods > initial {
            return Err(row.mistake("ordinal", "must be -1 for as many pods as there are replicas"));
        }
        let mut life = nominal_pod(meta, ordinal);
        let delay = row.millis("ready_delay_ms")?;
        // A delay that is known counts from when the kubelet saw the pod. What was seen of it includes the recorder's
        // own lag, which a busy machine stretches.
        let seen = row.millis("created_ms")?.zip(row.millis("ready_ms")?);
        if let Some(delay) = delay.filter(|_| ordinal.is_some()) {
            life.start = (delay >= 0.0).then(|| span(delay));
            life.pull = KUBELET;
        } else if let Some((created, ready)) = seen {
            life.start = Some(span(ready - created));
        }
        if let (Some(deleted), Some(gone)) = (row.millis("delete_ms")?, row.millis("gone_ms")?) {
            life.stop = span(gone - deleted);
        }
        recorded.lives.insert(key, life);
    }
    Ok(recorded)
}

/// What meta.json says of a pod.
fn nominal_pod(meta: &VersionMeta, ordinal: Option<u32>) -> Life {
    let is_in = |ordinals: &[u32]| ordinal.is_some_and(|ordinal| ordinals.contains(&ordinal));
    let start = match () {
        () if meta.never_ready || is_in(&meta.fail_ordinals) => None,
        () if is_in(&meta.late_ordinals) => Some(meta.late_ready_ms.0),
        () => Some(meta.ready_ms.0),
    };
    let unready = is_in(&meta.flap_ordinals).then_some((meta.flap_after_ms.0, meta.flap_down_ms.0));
    Life { start, unready, stop: meta.term_ms.0, ..Life::default() }
}

fn kubernetes_seen(path: &Path, result: &KubernetesResult) -> Result<Seen, LoadError> {
    let state = ["old_replicas_spec", "new_replicas_spec", "old_ready", "new_ready", "old_total", "new_total"];
    let needed: Vec<&str> = ["t_ms", "terminating", "condition_progressing_reason"].into_iter().chain(state).collect();
    let table = Table::read(path, &needed)?;
    let mut watcher = Watcher::new(Set::Kubernetes.figures());
    let mut reason = "";
    each_moment(&table, |row, at| {
        let mut counts = [0; 6];
        for (count, column) in counts.iter_mut().zip(state) {
            *count = row.count(column, 1_000_000)?;
        }
        let [_, _, old_ready, new_ready, old, new] = counts;
        let (ready, total) = (old_ready + new_ready, old + new);
        let existing = total + row.count("terminating", 1_000_000)?;
        watcher.settle(at, &counts, &[old, new, ready, ready, total, existing]);
        reason = row.text("condition_progressing_reason");
        Ok(())
    })?;
    Ok(watcher.end(result.end_ms.0, reason, result.rollout_complete_ms.map(|at| at.0)))
}

/// Goes through a trace; its moments must be in order.
fn each_moment<'a>(
    table: &'a Table,
    mut visit: impl FnMut(Row<'a>, Duration) -> Result<(), LoadError>,
) -> Result<(), LoadError> {
    let mut last = None;
    for row in table.rows() {
        let at = row.moment("t_ms")?;
        if last.is_some_and(|last| at < last) {
            return Err(row.mistake("t_ms", "must not be earlier than in the row before"));
        }
        last = Some(at);
        visit(row, at)?;
    }
    last.map(|_| ()).ok_or_else(|| table.mistake("must have at least one row"))
}

// --- Swarm
// -----------------------------------------------------------------------------------------------------------

#[derive(Deserialize)]
struct SwarmMeta {
    scenario: SwarmScenario,
    restart_policy: Option<RestartPolicy>,
    results: Vec<SwarmResult>,
}

#[derive(Deserialize)]
struct RestartPolicy {
    delay_s: Whole<1, 3_600>,
}

#[derive(Deserialize)]
pub(super) struct SwarmScenario {
    pub(super) replicas: Instances,
    parallelism: Whole<0, MOST_INSTANCES>,
    delay_s: Seconds,
    order: OrderWord,
    monitor_s: Seconds,
    max_failure_ratio: Share,
    failure_action: ActionWord,
    #[serde(default)]
    pub(super) ready_s: Seconds,
    #[serde(default)]
    pub(super) term_s: Seconds,
    #[serde(default)]
    pub(super) new: NewMeta,
}

#[derive(Clone, Copy, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum OrderWord {
    StopFirst,
    StartFirst,
}

#[derive(Clone, Copy, Deserialize)]
#[serde(rename_all = "lowercase")]
enum ActionWord {
    Pause,
    Continue,
    Rollback,
}

#[derive(Default, Deserialize)]
pub(super) struct NewMeta {
    #[serde(default)]
    pub(super) fail: String,
    pub(super) fail_slots: Option<Vec<Instances>>,
    #[serde(default)]
    pub(super) fail_after_s: Seconds,
}

#[derive(Deserialize)]
struct SwarmResult {
    rep: Whole<1, 1_000>,
    end_ms: Millis,
}

fn swarm_case(folder: &Path, json: &Json, set: Set) -> Result<Recording, LoadError> {
    let meta: SwarmMeta = json.read()?;
    let scenario = &meta.scenario;
    let lasts: Vec<Duration> = meta.results.iter().map(|result| result.end_ms.0).collect();
    check_size(json, scenario.replicas.0, &lasts, 0)?;
    let update = UpdateConfig {
        parallelism: scenario.parallelism.0,
        delay: scenario.delay_s.0,
        monitor: scenario.monitor_s.0,
        max_failure_ratio: scenario.max_failure_ratio.0,
        failure_action: match scenario.failure_action {
            ActionWord::Pause => FailureAction::Pause,
            ActionWord::Continue => FailureAction::Continue,
            ActionWord::Rollback => FailureAction::Rollback,
        },
        order: match scenario.order {
            OrderWord::StopFirst => Order::StopFirst,
            OrderWord::StartFirst => Order::StartFirst,
        },
    };
    let rollback = UpdateConfig { failure_action: FailureAction::Pause, ..update };
    let restart_delay = meta.restart_policy.as_ref().map(|policy| Duration::from_secs(policy.delay_s.0.into()));
    let strategy = Strategy::Swarm(swarm::Settings {
        update,
        rollback,
        restart: swarm::RestartPolicy { delay: restart_delay.unwrap_or(swarm::RESTART_DELAY), ..Default::default() },
        change: swarm::Change::default(),
        // Recorded stops hold whatever the daemon itself waits.
        stop_latency: Duration::ZERO,
        manager: swarm::Manager::default(),
        commands: Vec::new(),
    });
    let repetition = |result: &SwarmResult| {
        let number = result.rep.0;
        Ok(Repetition {
            number,
            begins: Duration::ZERO,
            lasts: result.end_ms.0,
            typed: Vec::new(),
            recorded: tasks(&folder.join(format!("tasks.r{number}.csv")), scenario, set)?,
            seen: swarm_seen(&folder.join(format!("trace.r{number}.csv")), set, result)?,
        })
    };
    let repetitions = meta.results.iter().map(repetition).collect::<Result<_, LoadError>>()?;
    let instances = NonZeroU32::new(scenario.replicas.0).expect("the bounds begin at 1");
    Ok(Recording { set, instances, strategy, repetitions })
}

fn swarm_seen(path: &Path, set: Set, result: &SwarmResult) -> Result<Seen, LoadError> {
    let columns = ["running_old", "running_new", "starting_new", "starting_old", "stopping_old", "stopping_new"];
    let needed: Vec<&str> = ["t_ms", "update_state"].into_iter().chain(columns).collect();
    let table = Table::read(path, &needed)?;
    let mut watcher = Watcher::new(set.figures());
    let (mut word, mut since) = ("", Duration::ZERO);
    each_moment(&table, |row, at| {
        let mut counts = [0; 6];
        for (count, column) in counts.iter_mut().zip(columns) {
            *count = row.count(column, 1_000_000)?;
        }
        let [old, new, ..] = counts;
        watcher.settle(at, &counts[..3], &[old, new, old + new, old + new, counts.iter().sum()]);
        let now = row.text("update_state");
        if now != word {
            (word, since) = (now, at);
        }
        Ok(())
    })?;
    let is_under_way = ["", "UPDATING", "ROLLBACK_STARTED"].contains(&word);
    Ok(watcher.end(result.end_ms.0, word, (!is_under_way).then_some(since)))
}
