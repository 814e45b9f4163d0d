//! Docker stack files: the services of a Compose file as `docker stack deploy` reads them.
//!
//! Sources: `cli/compose/convert/service.go` of docker/cli, `api/defaults/service.go` of moby/swarmkit and
//! `daemon/health.go` of moby/moby. A variable with a default (`${NAME:-3}`) stands for it; nobody's environment is looked at. Of
//! `deploy.restart_policy` and `restart` the former wins, and `restart: "no"` says nothing.

use super::pods::fact;
use super::section::{Note, Notes, Section, Setting};
use super::sets::map;
use super::tree::{EXPRESSION, Entry, Node, Scalar, Value};
use super::values::{Seconds, duration, loose_count, meaning, word};
use super::{Spec, Workload};
use crate::rollout::swarm::{Condition, FailureAction, Order};
use serde_json::{Map, Value as Json, json};
use std::fmt;

/// `stop_grace_period` where none is given.
const GRACE: Seconds = Seconds::whole(10);

/// `retries` of a health check where none are given.
const RETRIES: u32 = 3;

/// A service.
#[derive(Clone, Debug, PartialEq)]
pub struct SwarmService {
    /// `deploy.mode`.
    pub mode: Setting<&'static str>,
    /// `deploy.replicas`; none in a global service.
    pub replicas: Setting<u32>,
    /// `deploy.update_config`.
    pub update: UpdateSettings,
    /// `deploy.rollback_config`.
    pub rollback: UpdateSettings,
    /// `stop_grace_period`.
    pub grace: Setting<Seconds>,
    /// `deploy.restart_policy`.
    pub restart: RestartSettings,
    /// `healthcheck`.
    pub health_check: Option<HealthCheck>,
}

/// `update_config` or `rollback_config`.
#[derive(Clone, Debug, PartialEq)]
pub struct UpdateSettings {
    /// Whether it is there.
    pub written: bool,
    /// `parallelism`.
    pub parallelism: Setting<u32>,
    /// `delay`.
    pub delay: Setting<Seconds>,
    /// `monitor`.
    pub monitor: Setting<Seconds>,
    /// `max_failure_ratio`.
    pub max_failure_ratio: Setting<f64>,
    /// `failure_action`.
    pub failure_action: Setting<FailureWord>,
    /// `order`.
    pub order: Setting<OrderWord>,
}

/// `restart_policy`.
#[derive(Clone, Debug, PartialEq)]
pub struct RestartSettings {
    /// `condition`.
    pub condition: Setting<ConditionWord>,
    /// `delay`.
    pub delay: Setting<Seconds>,
    /// `max_attempts`; none: without end.
    pub max_attempts: Setting<u32>,
    /// `window`.
    pub window: Setting<Seconds>,
}

/// `healthcheck`.
#[derive(Clone, Debug, PartialEq)]
pub struct HealthCheck {
    /// The line of the check, counted from 1.
    pub line: usize,
    /// `interval`.
    pub interval: Setting<Seconds>,
    /// `timeout`.
    pub timeout: Setting<Seconds>,
    /// `retries`.
    pub retries: Setting<u32>,
    /// `start_period`.
    pub start_period: Setting<Seconds>,
    /// `start_interval`; without effect where `start_period` is 0.
    pub start_interval: Setting<Seconds>,
}

/// Declares a word of the file for each value of a type.
macro_rules! file_words {
    ($(#[doc = $doc:literal])+ $name:ident: $value:ident { $($word:literal => $stands_for:ident),+ $(,)? }) => {
        $(#[doc = $doc])+
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub struct $name(pub $value);

        impl $name {
            fn read(scalar: &Scalar) -> Result<Self, String> {
                meaning(scalar, &[$(($word, $value::$stands_for)),+]).map($name)
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(match self.0 { $($value::$stands_for => $word),+ })
            }
        }
    };
}

file_words! {
    /// What happens when an update fails.
    FailureWord: FailureAction { "pause" => Pause, "continue" => Continue, "rollback" => Rollback }
}
file_words! {
    /// Which task of a slot moves first.
    OrderWord: Order { "stop-first" => StopFirst, "start-first" => StartFirst }
}
file_words! {
    /// Which tasks that ended are replaced.
    ConditionWord: Condition { "any" => Any, "on-failure" => OnFailure, "none" => None }
}

const MODES: [&str; 4] = ["replicated", "global", "replicated-job", "global-job"];

/// Whether a document is a stack file.
pub(super) fn is_stack(document: &Node) -> bool {
    document.get("services").is_some_and(|services| matches!(services.value, Value::Table(_)))
}

/// What of a stack file beside its services nobody looks at.
pub(super) fn ignored(document: &Node) -> Vec<Note> {
    let mut notes = Notes::default();
    let mut top = Section::of("", document);
    for key in ["services", "version", "name"] {
        top.entry(key);
    }
    top.ignore_rest(&mut notes);
    notes.ignored
}

/// The services of a stack file.
pub(super) fn read(document: &Node) -> Vec<Workload> {
    let services = document.get("services").map_or(&[][..], Node::entries);
    services.iter().map(service).collect()
}

fn service(entry: &Entry) -> Workload {
    let mut notes = Notes::default();
    let interpolated = interpolate(&entry.node);
    let mut service = Section::of(format!("services.{}", entry.key), &interpolated);
    let mut deploy = service.section("deploy", &mut notes);
    let mode = deploy.setting("mode", Some("replicated"), |scalar| word(scalar, &MODES), &mut notes);
    let is_replicated = mode.effective.is_none_or(|mode| mode.starts_with("replicated"));
    let replicas = deploy.setting("replicas", is_replicated.then_some(1), loose_count, &mut notes);
    if !is_replicated && replicas.is_written() {
        notes.breaks(replicas.line, &deploy.key("replicas"), "must be absent unless mode is replicated");
    }
    let update = UpdateSettings::read(deploy.section("update_config", &mut notes), FailureWord::read, &mut notes);
    let rollback_words = |scalar: &Scalar| {
        word(scalar, &["pause", "continue"])?;
        FailureWord::read(scalar)
    };
    let rollback = UpdateSettings::read(deploy.section("rollback_config", &mut notes), rollback_words, &mut notes);
    let restart = RestartSettings::read(&mut service, &mut deploy, &mut notes);
    let grace = service.setting("stop_grace_period", Some(GRACE), duration, &mut notes);
    let health_check = HealthCheck::read(service.section("healthcheck", &mut notes), &mut notes);
    deploy.ignore_rest(&mut notes);
    service.ignore_rest(&mut notes);
    Workload {
        name: Some(entry.key.clone()),
        namespace: None,
        kind: "swarm service".to_owned(),
        api_version: None,
        line: entry.line,
        spec: Spec::SwarmService(SwarmService { mode, replicas, update, rollback, grace, restart, health_check }),
        notes,
    }
}

impl UpdateSettings {
    fn read(mut section: Section<'_>, action: super::section::Read<FailureWord>, notes: &mut Notes) -> Self {
        let read = UpdateSettings {
            written: section.is_written(),
            parallelism: section.setting("parallelism", Some(1), loose_count, notes),
            delay: section.setting("delay", Some(Seconds::whole(0)), duration, notes),
            monitor: section.setting("monitor", Some(Seconds::whole(5)), |scalar| unless_zero(scalar, 5), notes),
            max_failure_ratio: section.setting("max_failure_ratio", Some(0.0), ratio, notes),
            failure_action: section.setting("failure_action", Some(FailureWord(FailureAction::Pause)), action, notes),
            order: section.setting("order", Some(OrderWord(Order::StopFirst)), OrderWord::read, notes),
        };
        section.ignore_rest(notes);
        read
    }

    /// How many tasks are replaced at once.
    pub fn at_once(&self, replicas: u32) -> Option<u32> {
        self.parallelism.effective.map(|workers| if workers == 0 { replicas } else { workers.min(replicas) })
    }

    fn facts(&self) -> Json {
        json!({
            "written": self.written,
            "parallelism": self.parallelism.effective,
            "delay_seconds": fact(&self.delay),
            "monitor_seconds": fact(&self.monitor),
            "max_failure_ratio": self.max_failure_ratio.effective,
            "failure_action": self.failure_action.effective.map(|word| word.to_string()),
            "order": self.order.effective.map(|word| word.to_string()),
        })
    }
}

/// A duration; 0 stands for the default.
fn unless_zero(scalar: &Scalar, default: u64) -> Result<Seconds, String> {
    duration(scalar).map(|span| if span.0.is_zero() { Seconds::whole(default) } else { span })
}

/// How many failed checks make a task unhealthy; 0 stands for the default.
fn retries(scalar: &Scalar) -> Result<u32, String> {
    loose_count(scalar).map(|count| if count == 0 { RETRIES } else { count })
}

fn ratio(scalar: &Scalar) -> Result<f64, String> {
    let number = match scalar {
        Scalar::Whole(number) => Some(*number as f64),
        Scalar::Number(number) => Some(*number),
        Scalar::Text(text) => text.parse().ok(),
        Scalar::Bool(_) => None,
    };
    number.filter(|number| (0.0..=1.0).contains(number)).ok_or_else(|| "must be a number from 0 to 1".to_owned())
}

impl RestartSettings {
    fn read(service: &mut Section<'_>, deploy: &mut Section<'_>, notes: &mut Notes) -> Self {
        let mut policy = deploy.section("restart_policy", notes);
        let legacy = if policy.is_written() { None } else { service.entry("restart") };
        let place = service.key("restart");
        let legacy = legacy.and_then(|entry| Some((entry, legacy_restart(entry, &place, notes)?)));
        let (condition, max_attempts) = match legacy {
            Some((entry, (condition, attempts))) => {
                let (written, line) = (entry.node.scalar().cloned(), entry.line);
                let attempts = Setting { field: place.clone(), written: written.clone(), line, effective: attempts };
                (Setting { field: place, written, line, effective: Some(condition) }, attempts)
            }
            None => (
                policy.setting("condition", Some(ConditionWord(Condition::Any)), ConditionWord::read, notes),
                policy.setting("max_attempts", None, loose_count, notes),
            ),
        };
        let settings = RestartSettings {
            condition,
            delay: policy.setting("delay", Some(Seconds::whole(5)), duration, notes),
            max_attempts,
            window: policy.setting("window", Some(Seconds::whole(0)), duration, notes),
        };
        policy.ignore_rest(notes);
        settings
    }

    fn facts(&self) -> Json {
        json!({
            "condition": self.condition.effective.map(|word| word.to_string()),
            "delay_seconds": fact(&self.delay),
            "max_attempts": self.max_attempts.effective,
            "window_seconds": fact(&self.window),
        })
    }
}

/// What `restart` says where there is no policy: a condition, and how many attempts. None where it says nothing.
fn legacy_restart(entry: &Entry, place: &str, notes: &mut Notes) -> Option<(ConditionWord, Option<u32>)> {
    let text = entry.node.scalar().map(ToString::to_string).unwrap_or_default();
    let (word, attempts) = text.split_once(':').unwrap_or((&text, "0"));
    let condition = match word {
        "always" | "unless-stopped" => Some(Condition::Any),
        "on-failure" => Some(Condition::OnFailure),
        _ => None,
    };
    match (condition, attempts.parse()) {
        (Some(condition), Ok(attempts)) => Some((ConditionWord(condition), Some(attempts).filter(|count| *count > 0))),
        // YAML reads a bare `no` as false.
        (None, Ok(0)) if matches!(word, "no" | "false") => None,
        _ => {
            notes.breaks(entry.line, place, "must be one of \"no\", \"always\", \"on-failure\", \"unless-stopped\"");
            None
        }
    }
}

impl HealthCheck {
    fn read(mut section: Section<'_>, notes: &mut Notes) -> Option<Self> {
        let is_disabled =
            section.entry("disable").is_some_and(|entry| entry.node.scalar() == Some(&Scalar::Bool(true)));
        let test = section.entry("test").map(|entry| &entry.node);
        let test = test.and_then(|test| test.elements().first().unwrap_or(test).text());
        if !section.is_written() || is_disabled || test == Some("NONE") {
            return None;
        }
        let read = HealthCheck {
            line: section.line,
            interval: section.setting("interval", Some(Seconds::whole(30)), |scalar| unless_zero(scalar, 30), notes),
            timeout: section.unused_setting(
                "timeout",
                Some(Seconds::whole(30)),
                |scalar| unless_zero(scalar, 30),
                notes,
            ),
            retries: section.setting("retries", Some(RETRIES), retries, notes),
            start_period: section.setting("start_period", Some(Seconds::whole(0)), duration, notes),
            start_interval: section.setting("start_interval", None, duration, notes),
        };
        section.ignore_rest(notes);
        Some(read)
    }

    fn facts(&self) -> Json {
        json!({
            "interval": fact(&self.interval),
            "timeout": fact(&self.timeout),
            "retries": self.retries.effective,
            "start_period": fact(&self.start_period),
            "start_interval": fact(&self.start_interval),
        })
    }
}

impl SwarmService {
    pub(super) fn facts(&self) -> Map<String, Json> {
        let mut facts = map(json!({
            "mode": self.mode.effective,
            "replicas": self.replicas.effective,
            "replicas_written": self.replicas.written,
            "strategy_type": "update_config",
            "update": self.update.facts(),
            "rollback": self.rollback.facts(),
            "stop_grace_seconds": fact(&self.grace),
            "restart": self.restart.facts(),
        }));
        if let Some(check) = &self.health_check {
            facts.insert("healthcheck".to_owned(), check.facts());
        }
        if let Some(at_once) = self.replicas.effective.and_then(|replicas| self.update.at_once(replicas)) {
            facts.insert("at_once".to_owned(), at_once.into());
        }
        facts
    }
}

/// The same with variables replaced by their defaults; a text in which one has none becomes an expression.
fn interpolate(node: &Node) -> Node {
    let (tag, value) = match &node.value {
        Value::Scalar(Scalar::Text(text)) if text.contains('$') => match substitute(text) {
            Some(text) => (node.tag.clone(), Value::Scalar(typed(text))),
            None => (Some(EXPRESSION.to_owned()), node.value.clone()),
        },
        Value::List(elements) => (node.tag.clone(), Value::List(elements.iter().map(interpolate).collect())),
        Value::Table(entries) => {
            let entry = |entry: &Entry| Entry { node: interpolate(&entry.node), ..entry.clone() };
            (node.tag.clone(), Value::Table(entries.iter().map(entry).collect()))
        }
        other => (node.tag.clone(), other.clone()),
    };
    Node { line: node.line, tag, value }
}

/// A text that came about by substitution is what it looks like (`interpolateTypeCastMapping` of docker/cli).
fn typed(text: String) -> Scalar {
    match text.as_str() {
        "true" => Scalar::Bool(true),
        "false" => Scalar::Bool(false),
        number => number.parse().map_or(Scalar::Text(text), Scalar::Whole),
    }
}

/// The text with `${NAME:-default}` and `${NAME-default}` replaced, and `$$` for `$`. `None`: a variable has no default.
fn substitute(text: &str) -> Option<String> {
    let mut result = String::new();
    let mut rest = text;
    while let Some(start) = rest.find('$') {
        result.push_str(&rest[..start]);
        rest = &rest[start + 1..];
        if let Some(after) = rest.strip_prefix('$') {
            result.push('$');
            rest = after;
        } else {
            let inside = rest.strip_prefix('{')?;
            let end = inside.find('}')?;
            let (_, default) = inside[..end].split_once('-')?;
            result.push_str(default);
            rest = &inside[end + 1..];
        }
    }
    result.push_str(rest);
    Some(result)
}

#[cfg(test)]
mod tests {
    use super::substitute;

    #[test]
    fn variables_stand_for_their_defaults() {
        for (text, then) in [
            ("${N:-3}", Some("3")),
            ("a${N-b}c", Some("abc")),
            ("$$N", Some("$N")),
            ("${A:-}", Some("")),
            ("$N", None),
            ("${N}", None),
            ("${N:?must be set}", None),
            ("${N", None),
        ] {
            assert_eq!(substitute(text).as_deref(), then, "{text}");
        }
    }
}
