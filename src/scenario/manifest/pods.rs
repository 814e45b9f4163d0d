//! The pod template of a Kubernetes workload: grace, containers, probes, and what happens before a stop.
//!
//! Sources: `pkg/apis/core/v1/defaults.go` and `pkg/apis/core/validation/validation.go` of kubernetes/kubernetes (1.36);
//! KEP-3960 for the sleep action. A probe setting of 0 is one that is not set.

use super::section::{Notes, Section, Setting};
use super::tree::{Entry, Node, Scalar};
use super::values::{Seconds, count, seconds};
use serde_json::{Value as Json, json};

/// `terminationGracePeriodSeconds` where none is given.
const GRACE: Seconds = Seconds::whole(30);

/// How many containers are read. Several Rollouts may refer to the same ones.
const MOST_CONTAINERS: usize = 200;

/// How many commands of a script are looked at.
const MOST_COMMANDS: usize = 100;

/// What a pod template says of starting and stopping.
#[derive(Clone, Debug, PartialEq)]
pub struct PodTemplate {
    /// `terminationGracePeriodSeconds`.
    pub grace: Setting<Seconds>,
    /// How many readiness gates there are: conditions that something outside the pod must set.
    pub readiness_gates: usize,
    /// The containers, in the order of the file, without init containers.
    pub containers: Vec<Container>,
}

/// A container.
#[derive(Clone, Debug, PartialEq)]
pub struct Container {
    /// Its name.
    pub name: Option<String>,
    /// Whether it has an image: a patch need not.
    pub has_image: bool,
    /// When it is ready.
    pub readiness: Option<Probe>,
    /// When it is killed.
    pub liveness: Option<Probe>,
    /// Until when the other two wait.
    pub startup: Option<Probe>,
    /// What it does before it is told to stop.
    pub pre_stop: Option<PreStop>,
}

/// A probe.
#[derive(Clone, Debug, PartialEq)]
pub struct Probe {
    /// The line of the probe, counted from 1.
    pub line: usize,
    /// How it asks: `httpGet`, `tcpSocket`, `exec`, `grpc`.
    pub handler: Option<String>,
    /// `initialDelaySeconds`.
    pub initial_delay: Setting<Seconds>,
    /// `periodSeconds`.
    pub period: Setting<Seconds>,
    /// `timeoutSeconds`.
    pub timeout: Setting<Seconds>,
    /// `successThreshold`.
    pub success_threshold: Setting<u32>,
    /// `failureThreshold`.
    pub failure_threshold: Setting<u32>,
}

/// A preStop hook.
#[derive(Clone, Debug, PartialEq)]
pub struct PreStop {
    /// The line of the hook, counted from 1.
    pub line: usize,
    /// What it does: `exec`, `httpGet`, `sleep`, `tcpSocket`.
    pub kind: Option<String>,
    /// How long it sleeps, where that can be told.
    pub sleep: Option<Seconds>,
}

const HANDLERS: [&str; 4] = ["httpGet", "tcpSocket", "exec", "grpc"];
const HOOKS: [&str; 4] = ["sleep", "exec", "httpGet", "tcpSocket"];

impl PodTemplate {
    /// The template in a `template` section, or what its defaults are.
    pub(super) fn read(template: &mut Section<'_>, notes: &mut Notes) -> Self {
        let mut spec = template.section("spec", notes);
        let grace = spec.setting("terminationGracePeriodSeconds", Some(GRACE), seconds, notes);
        let readiness_gates = spec.list("readinessGates", notes);
        if let Some(gate) = readiness_gates.first() {
            notes.ignores(gate.line, spec.key("readinessGates"), readiness_gates.len().to_string());
        }
        let place = spec.key("containers");
        let containers = spec.list("containers", notes);
        if containers.len() > MOST_CONTAINERS {
            notes.breaks(spec.line, &place, "must be at most 200 containers");
        }
        let containers = containers.iter().take(MOST_CONTAINERS).enumerate();
        let containers = containers.map(|(index, node)| Container::read(&place, index, node, notes)).collect();
        spec.ignore_rest(notes);
        template.ignore_rest(notes);
        PodTemplate { grace, readiness_gates: readiness_gates.len(), containers }
    }

    /// Whether this says what is to run, and not only what is to be changed of it.
    pub(super) fn is_whole(&self, selects: bool) -> bool {
        let has_images = self.containers.iter().all(|container| container.has_image);
        !self.containers.is_empty() && (selects || has_images)
    }

    /// The container that is ready last, as far as its readiness probe decides it, and that probe.
    pub fn slowest_readiness(&self) -> Option<(&Container, &Probe)> {
        let probed = self.containers.iter().filter_map(|container| Some((container, container.readiness.as_ref()?)));
        probed.reduce(|slowest, next| if next.1.passes_after() > slowest.1.passes_after() { next } else { slowest })
    }

    /// The longest sleep before a stop, and where it stands.
    pub fn longest_sleep(&self) -> Option<(&PreStop, Seconds)> {
        let hooks = self.containers.iter().filter_map(|container| container.pre_stop.as_ref());
        let sleeps = hooks.filter_map(|hook| Some((hook, hook.sleep?)));
        sleeps.reduce(|longest, next| if next.1 > longest.1 { next } else { longest })
    }

    /// What is read, in the words of [`super::Workload::facts`].
    pub(super) fn facts(&self, facts: &mut serde_json::Map<String, Json>) {
        facts.insert("termination_grace_seconds".to_owned(), fact(&self.grace));
        facts.insert("termination_grace_written".to_owned(), self.grace.is_written().into());
        facts.insert("readiness_gates".to_owned(), self.readiness_gates.into());
        facts.insert("containers".to_owned(), self.containers.iter().map(Container::facts).collect());
    }
}

/// A number of seconds.
pub(super) fn fact(setting: &Setting<Seconds>) -> Json {
    json!(setting.effective.map(Seconds::scalar))
}

impl Container {
    fn read(list: &str, index: usize, node: &Node, notes: &mut Notes) -> Self {
        let name = node.text_at("name").map(ToOwned::to_owned);
        let place = name.as_ref().map_or_else(|| format!("{list}[{index}]"), |name| format!("{list}.{name}"));
        let mut container = Section::of(place, node);
        container.entry("name");
        let has_image = node.get("image").is_some();
        let readiness = Probe::read(&mut container, "readinessProbe", notes);
        // What decides about restarts is read, but nobody looks at it.
        let mut unused = Notes::default();
        let mut ignored_probe = |key: &'static str, notes: &mut Notes| {
            let probe = Probe::read(&mut container, key, &mut unused);
            if let Some(probe) = &probe {
                notes.ignores(probe.line, container.key(key), "");
            }
            probe
        };
        let liveness = ignored_probe("livenessProbe", notes);
        let startup = ignored_probe("startupProbe", notes);
        notes.problem = notes.problem.take().or(unused.problem);
        let mut lifecycle = container.section("lifecycle", notes);
        let place = lifecycle.key("preStop");
        let pre_stop = lifecycle.entry("preStop").map(|entry| PreStop::read(entry, &place, node, notes));
        lifecycle.ignore_rest(notes);
        container.ignore_rest(notes);
        Container { name, has_image, readiness, liveness, startup, pre_stop }
    }

    fn facts(&self) -> Json {
        let mut facts = serde_json::Map::new();
        facts.insert("container".to_owned(), json!(self.name));
        for (key, probe) in [("readiness", &self.readiness), ("liveness", &self.liveness), ("startup", &self.startup)] {
            if let Some(probe) = probe {
                facts.insert(key.to_owned(), probe.facts());
            }
        }
        if let Some(hook) = &self.pre_stop {
            let hook = json!({ "kind": hook.kind, "sleep_seconds": hook.sleep.map(Seconds::scalar) });
            facts.insert("pre_stop".to_owned(), hook);
        }
        facts.into()
    }
}

/// Seconds; 0 stands for the default.
fn unless_zero(scalar: &Scalar, default: u64) -> Result<Seconds, String> {
    seconds(scalar).map(|span| if span.0.is_zero() { Seconds::whole(default) } else { span })
}

/// A count; 0 stands for the default.
fn threshold(scalar: &Scalar, default: u32) -> Result<u32, String> {
    count(scalar).map(|count| if count == 0 { default } else { count })
}

impl Probe {
    fn read(container: &mut Section<'_>, key: &'static str, notes: &mut Notes) -> Option<Self> {
        let mut probe = container.section(key, notes);
        if !probe.is_written() {
            return None;
        }
        let handler = HANDLERS.into_iter().filter(|handler| probe.entry(handler).is_some()).last();
        let initial_delay = probe.setting("initialDelaySeconds", Some(Seconds::whole(0)), seconds, notes);
        let period = probe.setting("periodSeconds", Some(Seconds::whole(10)), |scalar| unless_zero(scalar, 10), notes);
        let timeout = Some(Seconds::whole(1));
        let timeout = probe.unused_setting("timeoutSeconds", timeout, |scalar| unless_zero(scalar, 1), notes);
        let success_threshold = probe.setting("successThreshold", Some(1), |scalar| threshold(scalar, 1), notes);
        let failure_threshold = probe.setting("failureThreshold", Some(3), |scalar| threshold(scalar, 3), notes);
        if key != "readinessProbe" && success_threshold.effective.is_some_and(|count| count != 1) {
            notes.breaks(success_threshold.line, &probe.key("successThreshold"), "must be 1");
        }
        probe.ignore_rest(notes);
        Some(Probe {
            line: probe.line,
            handler: handler.map(ToOwned::to_owned),
            initial_delay,
            period,
            timeout,
            success_threshold,
            failure_threshold,
        })
    }

    /// How long after the start of its container it passes at the earliest; none where a setting is wrong.
    fn passes_after(&self) -> Option<Seconds> {
        let further = self.success_threshold.effective?.saturating_sub(1);
        Some(Seconds(self.initial_delay.effective?.0 + self.period.effective?.0 * further))
    }

    fn facts(&self) -> Json {
        let seconds = [
            ("initialDelaySeconds", &self.initial_delay),
            ("periodSeconds", &self.period),
            ("timeoutSeconds", &self.timeout),
        ];
        let counts = [("successThreshold", &self.success_threshold), ("failureThreshold", &self.failure_threshold)];
        let written = seconds.iter().filter(|(_, setting)| setting.is_written()).map(|(key, _)| *key);
        let counted = counts.iter().filter(|(_, setting)| setting.is_written()).map(|(key, _)| *key);
        json!({
            "handler": self.handler,
            "initial_delay": fact(&self.initial_delay),
            "period": fact(&self.period),
            "timeout": fact(&self.timeout),
            "success_threshold": self.success_threshold.effective,
            "failure_threshold": self.failure_threshold.effective,
            "written": written.chain(counted).collect::<Vec<_>>(),
        })
    }
}

impl PreStop {
    fn read(entry: &Entry, place: &str, container: &Node, notes: &mut Notes) -> Self {
        let hook = &entry.node;
        let kind = HOOKS.into_iter().find(|kind| hook.get(kind).is_some());
        let sleep = match kind {
            Some("sleep") => hook.get("sleep").and_then(|sleep| sleep.get("seconds")?.scalar().map(seconds)),
            Some("exec") => {
                let command: Vec<&str> = hook
                    .get("exec")
                    .and_then(|exec| exec.get("command"))
                    .map_or_else(Vec::new, |command| command.elements().iter().filter_map(Node::text).collect());
                sleep_of_command(&command, container).map(Ok)
            }
            _ => None,
        };
        let sleep = sleep.transpose().unwrap_or_else(|problem| {
            notes.breaks(entry.line, &format!("{place}.sleep.seconds"), problem);
            None
        });
        match sleep {
            Some(sleep) => {
                notes.taken.push(super::Note {
                    line: Some(entry.line),
                    field: place.to_owned(),
                    value: format!("sleeps {sleep}"),
                });
            }
            None => notes.ignores(entry.line, place, "how long it takes is not written"),
        }
        PreStop { line: entry.line, kind: kind.map(ToOwned::to_owned), sleep }
    }
}

/// How long a command sleeps, whatever else it does. `None` where it does not, or where a shell decides how often.
fn sleep_of_command(command: &[&str], container: &Node) -> Option<Seconds> {
    let program = |path: &str| path.rsplit('/').next().unwrap_or_default().to_owned();
    let (first, arguments) = command.split_first()?;
    match program(first).as_str() {
        "sleep" => arguments.iter().map(|word| sleep_argument(word, container)).sum::<Option<_>>().map(Seconds),
        "sh" | "bash" | "ash" | "dash" => {
            let (flag, script) = arguments.split_first()?;
            let runs_script = flag.starts_with('-') && flag.ends_with('c');
            script.first().filter(|_| runs_script).and_then(|script| sleep_of_script(script, container))
        }
        _ => None,
    }
}

/// How long a shell script sleeps that is a plain sequence of commands.
fn sleep_of_script(script: &str, container: &Node) -> Option<Seconds> {
    const BRANCHES: [&str; 9] = ["if", "then", "else", "for", "while", "until", "do", "case", "function"];
    let mut total = None;
    for (index, command) in script.split([';', '\n', '&']).enumerate() {
        if index >= MOST_COMMANDS {
            return None;
        }
        let words: Vec<&str> = command.split_whitespace().collect();
        let (Some(first), arguments) = (words.first(), words.get(1..).unwrap_or_default()) else { continue };
        if BRANCHES.contains(first) || command.contains('|') || command.contains("$(") {
            return None;
        }
        if first.rsplit('/').next() == Some("sleep") {
            let slept: std::time::Duration =
                arguments.iter().map(|word| sleep_argument(word, container)).sum::<Option<_>>()?;
            total = Some(total.unwrap_or_default() + slept);
        }
    }
    total.map(Seconds)
}

/// An argument of `sleep`: seconds, a number with a unit, or a variable that the container's environment sets.
fn sleep_argument(word: &str, container: &Node) -> Option<std::time::Duration> {
    let word = word.trim_matches(['"', '\'']);
    let value = match word.strip_prefix('$') {
        Some(variable) => environment(variable.trim_matches(['{', '}', '(', ')']), container)?,
        None => word.to_owned(),
    };
    let unit = value.find(|c: char| c.is_ascii_alphabetic()).unwrap_or(value.len());
    let number: f64 = value[..unit].parse().ok().filter(|number: &f64| number.is_finite() && *number >= 0.0)?;
    let factor = match &value[unit..] {
        "" | "s" => 1.0,
        "m" => 60.0,
        "h" => 3600.0,
        "d" => 86_400.0,
        _ => return None,
    };
    std::time::Duration::try_from_secs_f64(number * factor).ok()
}

/// What the container's own environment says of a variable.
fn environment(variable: &str, container: &Node) -> Option<String> {
    let mut entries = container.get("env")?.elements().iter();
    let entry = entries.find(|entry| entry.text_at("name") == Some(variable))?;
    entry.get("value")?.scalar().map(Scalar::to_string)
}

#[cfg(test)]
mod tests {
    use super::super::yaml::{Twice, parse_yaml};
    use super::*;

    #[test]
    fn sleeps_are_found_in_commands() {
        let container =
            &parse_yaml("env: [{ name: DRAIN, value: \"15\" }, { name: FROM, valueFrom: {} }]\n", Twice::Error)
                .expect("YAML")[0];
        let sleeps = |command: &[&str]| sleep_of_command(command, container).map(|sleep| sleep.0.as_millis());
        for (command, then) in [
            (&["sleep", "5"][..], Some(5_000)),
            (&["/bin/sleep", "1m"], Some(60_000)),
            (&["sh", "-c", "sleep 10"], Some(10_000)),
            (&["/bin/sh", "-c", "sleep 2 && nginx -s quit; sleep 0.5"], Some(2_500)),
            (&["/bin/bash", "-ec", "sleep ${DRAIN}"], Some(15_000)),
            (&["sh", "-c", "sleep $DRAIN"], Some(15_000)),
            (&["sh", "-c", "sleep $UNKNOWN"], None),
            (&["sh", "-c", "sleep $FROM"], None),
            (&["sh", "-c", "while true; do sleep 1; done"], None),
            (&["sh", "-c", "nginx -s quit"], None),
            (&["sh", "/scripts/stop.sh"], None),
            (&["nginx", "-s", "quit"], None),
            (&["sleep", "inf"], None),
            (&[], None),
        ] {
            assert_eq!(sleeps(command), then, "{command:?}");
        }
    }
}
