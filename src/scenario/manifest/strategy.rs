//! `manifest =` in a strategy: the words that the scenario leaves out are the manifest's, and what of the manifest the
//! scenario says otherwise is told.

use super::release::{ReleaseSays, Said};
use super::rollout_words::{Element, Origin, Word, Words};
use super::section::Setting;
use super::swarm::UpdateSettings;
use super::values::{CountOrPercent, Seconds};
use super::{Manifest, Note, Notes, Supported, Workload};
use crate::probe::Thresholds;
use crate::rollout::ecs::ThresholdType;
use crate::rollout::nomad::{DelayFunction, HealthCheck, OnUpdate};
use crate::rollout::{ecs, kubernetes, nomad, swarm};
use crate::scenario::delays::Sources;
use crate::scenario::place::{Checked, Mistake, Place, on_one_line};
use crate::scenario::units::{Count, CountOrShare, Number, Span, Table};
use crate::scenario::words::{
    ConditionWord, DelayFunctionWord, DeploymentType, DeploymentWord, FailureWord, HealthCheckWord, OnUpdateWord,
    OrderWord, ReplacementWord, RollbackFailureWord, ThresholdWord,
};
use crate::scenario::{InputError, Probe, Release, Service, raw, raw_argo, raw_ecs, raw_nomad};
use humantime::format_duration;
use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

/// A workload that a strategy takes its settings from.
#[derive(Debug)]
pub(in crate::scenario) struct Used {
    file: PathBuf,
    workload: Workload,
    /// The settings that were taken, those of the orchestrator's defaults included.
    taken: Vec<Taken>,
    /// The settings that are written and were not.
    overridden: Vec<Taken>,
}

/// A setting and its place in the scenario.
#[derive(Debug)]
struct Taken {
    place: Place,
    /// Without a line for a default.
    note: Note,
}

/// The words of a Deployment strategy, completed by those of its manifest if it names one.
pub(in crate::scenario) fn fill_kubernetes(
    place: &Place,
    mut raw: raw::Kubernetes,
    sources: &mut Sources<'_>,
) -> Checked<raw::Kubernetes> {
    let Some(mut used) = Used::named(place, raw.manifest.as_deref(), raw.name.as_deref(), "Deployment", sources)?
    else {
        return Ok(raw);
    };
    let Supported::Kubernetes(deployment) = used.supported()? else {
        return Err(used.breaks("must be a Deployment here"));
    };
    let deployment = deployment.clone();
    used.take(&place.key("type"), &mut raw.kind, &deployment.kind, DeploymentWord);
    let is_rolling = raw.kind.is_none_or(|kind| kind.0 == DeploymentType::RollingUpdate);
    let bound = |CountOrPercent(bound)| CountOrShare(bound);
    if is_rolling {
        used.take(&place.key("max_surge"), &mut raw.max_surge, &deployment.max_surge, bound);
        used.take(&place.key("max_unavailable"), &mut raw.max_unavailable, &deployment.max_unavailable, bound);
    } else {
        // Whoever writes another type beside the manifest overrides its bounds, too.
        used.override_by(&place.key("type"), &deployment.max_surge);
        used.override_by(&place.key("type"), &deployment.max_unavailable);
    }
    let seconds = |Seconds(span)| Count(span.as_secs());
    used.take(&place.key("min_ready_seconds"), &mut raw.min_ready_seconds, &deployment.min_ready, seconds);
    let deadline_at = place.key("progress_deadline_seconds");
    used.take(&deadline_at, &mut raw.progress_deadline_seconds, &deployment.progress_deadline, seconds);
    let policy_at = place.key("pod_replacement_policy");
    used.take(&policy_at, &mut raw.pod_replacement_policy, &deployment.replacement, ReplacementWord);
    sources.manifests.push(used);
    Ok(raw)
}

/// The words of a Swarm strategy, completed by those of its manifest if it names one.
pub(in crate::scenario) fn fill_swarm(
    place: &Place,
    mut raw: raw::Swarm,
    sources: &mut Sources<'_>,
) -> Checked<raw::Swarm> {
    let named = Used::named(place, raw.manifest.as_deref(), raw.name.as_deref(), "swarm service", sources)?;
    let Some(mut used) = named else { return Ok(raw) };
    let Supported::Swarm(service) = used.supported()? else {
        return Err(used.breaks("must be a service of a Docker stack here"));
    };
    let service = service.clone();
    let update = raw.update.take();
    raw.update = Some(used.fill_update(&place.key("update"), update, &service.update, FailureWord));
    let rollback = raw.rollback.take();
    raw.rollback = Some(used.fill_update(&place.key("rollback"), rollback, &service.rollback, RollbackFailureWord));
    let restart = &service.restart;
    let span = |Seconds(span)| Span(span);
    let condition = |super::ConditionWord(condition)| ConditionWord(condition);
    used.take(&place.key("restart_condition"), &mut raw.restart_condition, &restart.condition, condition);
    used.take(&place.key("restart_delay"), &mut raw.restart_delay, &restart.delay, span);
    let attempts = |count: u32| Count(count.into());
    used.take(&place.key("restart_max_attempts"), &mut raw.restart_max_attempts, &restart.max_attempts, attempts);
    used.take(&place.key("restart_window"), &mut raw.restart_window, &restart.window, span);
    sources.manifests.push(used);
    Ok(raw)
}

/// The words of a Nomad strategy, completed by those of its manifest if it names one.
pub(in crate::scenario) fn fill_nomad(
    place: &Place,
    mut raw: raw_nomad::Nomad,
    sources: &mut Sources<'_>,
) -> Checked<raw_nomad::Nomad> {
    let named = Used::named(place, raw.manifest.as_deref(), raw.name.as_deref(), "nomad group", sources)?;
    let Some(mut used) = named else { return Ok(raw) };
    let Supported::Nomad(group) = used.supported()? else {
        return Err(used.breaks("must be a group of a Nomad job here"));
    };
    let group = group.clone();
    let (update, restart, reschedule) = (&group.update, &group.restart, &group.reschedule);
    let count = |count: u32| Count(count.into());
    let span = |Seconds(span)| Span(span);
    used.take(&place.key("max_parallel"), &mut raw.max_parallel, &update.max_parallel, count);
    used.take(&place.key("canary"), &mut raw.canary, &update.canary, count);
    let health = |word: &str| HealthCheckWord(of_name(word, HealthCheck::ALL, HealthCheck::name));
    used.take(&place.key("health_check"), &mut raw.health_check, &update.health_check, health);
    if let Some(on_update) = group.on_update() {
        let word = |word: &str| OnUpdateWord(of_name(word, OnUpdate::ALL, OnUpdate::name));
        used.take(&place.key("on_update"), &mut raw.on_update, on_update, word);
    }
    used.take(&place.key("min_healthy_time"), &mut raw.min_healthy_time, &update.min_healthy, span);
    used.take(&place.key("healthy_deadline"), &mut raw.healthy_deadline, &update.healthy_deadline, span);
    used.take(&place.key("progress_deadline"), &mut raw.progress_deadline, &update.progress_deadline, span);
    used.take(&place.key("auto_revert"), &mut raw.auto_revert, &update.auto_revert, |yes| yes);
    used.take(&place.key("auto_promote"), &mut raw.auto_promote, &update.auto_promote, |yes| yes);
    used.take(&place.key("restart_attempts"), &mut raw.restart_attempts, &restart.attempts, count);
    used.take(&place.key("restart_interval"), &mut raw.restart_interval, &restart.interval, span);
    used.take(&place.key("restart_delay"), &mut raw.restart_delay, &restart.delay, span);
    used.take(&place.key("reschedule_delay"), &mut raw.reschedule_delay, &reschedule.delay, span);
    let function = |word: &str| DelayFunctionWord(of_name(word, DelayFunction::ALL, DelayFunction::name));
    let function_at = place.key("reschedule_delay_function");
    used.take(&function_at, &mut raw.reschedule_delay_function, &reschedule.delay_function, function);
    used.take(&place.key("reschedule_max_delay"), &mut raw.reschedule_max_delay, &reschedule.max_delay, span);
    used.take(&place.key("reschedule_attempts"), &mut raw.reschedule_attempts, &reschedule.attempts, count);
    used.take(&place.key("reschedule_interval"), &mut raw.reschedule_interval, &reschedule.interval, span);
    used.take(&place.key("shutdown_delay"), &mut raw.shutdown_delay, &group.shutdown_delay, span);
    sources.manifests.push(used);
    Ok(raw)
}

/// The words of a Rollout strategy, completed by those of its manifest if it names one.
pub(in crate::scenario) fn fill_argo(
    place: &Place,
    mut raw: raw_argo::Argo,
    sources: &mut Sources<'_>,
) -> Checked<raw_argo::Argo> {
    let named = Used::named(place, raw.manifest.as_deref(), raw.name.as_deref(), "Rollout", sources)?;
    let Some(mut used) = named else { return Ok(raw) };
    let Supported::Argo(rollout) = used.supported()? else {
        return Err(used.breaks("must be a Rollout here"));
    };
    let words = Words::of(rollout);
    let own: raw_argo::Argo = read_words(&words.own);
    let mut fill = Filling { used: &mut used, place, words: &words.own };
    fill.word("min_ready_seconds", &mut raw.min_ready_seconds, own.min_ready_seconds);
    fill.word("progress_deadline_seconds", &mut raw.progress_deadline_seconds, own.progress_deadline_seconds);
    fill.word("progress_deadline_abort", &mut raw.progress_deadline_abort, own.progress_deadline_abort);
    fill.word("rollback_window", &mut raw.rollback_window, own.rollback_window);
    // Whoever writes the other kind beside the manifest overrides all of the manifest's own.
    let is_canary = words.kind == "canary";
    let is_same_kind = if is_canary { raw.blue_green.is_none() } else { raw.canary.is_none() };
    if is_same_kind {
        let delay = &mut raw.scale_down_delay_seconds;
        fill.word("scale_down_delay_seconds", delay, own.scale_down_delay_seconds);
        let delay = &mut raw.abort_scale_down_delay_seconds;
        fill.word("abort_scale_down_delay_seconds", delay, own.abort_scale_down_delay_seconds);
        let of_kind = place.key(words.kind);
        let fill = Filling { used: &mut used, place: &of_kind, words: &words.of_kind };
        if is_canary {
            raw.canary = Some(fill.canary(raw.canary.take(), &words.steps));
        } else {
            raw.blue_green = Some(fill.blue_green(raw.blue_green.take()));
        }
    }
    sources.manifests.push(used);
    Ok(raw)
}

/// The words of an ECS strategy, completed by those of its manifest if it names one.
pub(in crate::scenario) fn fill_ecs(
    place: &Place,
    mut raw: raw_ecs::Ecs,
    sources: &mut Sources<'_>,
) -> Checked<raw_ecs::Ecs> {
    let named = Used::named(place, raw.manifest.as_deref(), raw.name.as_deref(), "AWS::ECS::Service", sources)?;
    let Some(mut used) = named else { return Ok(raw) };
    let Supported::Ecs(service) = used.supported()? else {
        return Err(used.breaks("must be an ECS service here"));
    };
    let service = service.clone();
    let count = |count: u32| Count(count.into());
    let seconds = |Seconds(span)| Count(span.as_secs());
    let (minimum, maximum) = (&service.minimum_healthy_percent, &service.maximum_percent);
    used.take(&place.key("minimum_healthy_percent"), &mut raw.minimum_healthy_percent, minimum, count);
    used.take(&place.key("maximum_percent"), &mut raw.maximum_percent, maximum, count);
    let grace_at = place.key("health_check_grace_period_seconds");
    used.take(&grace_at, &mut raw.health_check_grace_period_seconds, &service.health_check_grace, seconds);
    used.take(&place.key("bake_time_in_minutes"), &mut raw.bake_time_in_minutes, &service.bake_time, count);
    if let Some(settings) = &service.circuit_breaker {
        let place = place.key("circuit_breaker");
        let mut breaker = raw.circuit_breaker.take().map_or_else(Default::default, |Table(breaker)| breaker);
        used.take(&place.key("enable"), &mut breaker.enable, &settings.enable, |yes| yes);
        used.take(&place.key("rollback"), &mut breaker.rollback, &settings.rollback, |yes| yes);
        let word = |word: &str| ThresholdWord(of_name(word, ThresholdType::ALL, ThresholdType::name));
        used.take(&place.key("threshold_type"), &mut breaker.threshold_type, &settings.threshold_type, word);
        used.take(&place.key("threshold_value"), &mut breaker.threshold_value, &settings.threshold_value, count);
        let reset_at = place.key("reset_on_healthy_task");
        used.take(&reset_at, &mut breaker.reset_on_healthy_task, &settings.reset_on_healthy_task, |yes| yes);
        raw.circuit_breaker = Some(Table(breaker));
    }
    sources.manifests.push(used);
    Ok(raw)
}

/// A table that words of a Rollout are put into.
struct Filling<'a> {
    used: &'a mut Used,
    place: &'a Place,
    words: &'a [Word],
}

impl Filling<'_> {
    /// Lets a word of the manifest stand where the scenario says nothing.
    fn word<T>(&mut self, key: &str, slot: &mut Option<T>, value: Option<T>) {
        let Some(word) = self.words.iter().find(|word| word.key == key) else { return };
        let is_given = slot.is_some();
        if !is_given {
            *slot = value;
        }
        self.used.note(is_given, self.place.key(key), &word.origin, word.value.clone());
    }

    fn canary(mut self, raw: Option<Table<raw_argo::Canary>>, steps: &[Element]) -> Table<raw_argo::Canary> {
        let mut canary = raw.map(|Table(raw)| raw).unwrap_or_default();
        let own: raw_argo::Canary = read_words(self.words);
        self.word("max_surge", &mut canary.max_surge, own.max_surge);
        self.word("max_unavailable", &mut canary.max_unavailable, own.max_unavailable);
        self.word("traffic_routing", &mut canary.traffic_routing, own.traffic_routing);
        self.word("dynamic_stable_scale", &mut canary.dynamic_stable_scale, own.dynamic_stable_scale);
        self.word("min_pods_per_replica_set", &mut canary.min_pods_per_replica_set, own.min_pods_per_replica_set);
        let threshold = &mut canary.replica_progress_threshold;
        self.word("replica_progress_threshold", threshold, own.replica_progress_threshold);
        self.word("analysis", &mut canary.analysis, own.analysis);
        self.word("analysis_starting_step", &mut canary.analysis_starting_step, own.analysis_starting_step);
        let steps_at = self.place.key("steps");
        let is_given = canary.steps.is_some();
        for (index, (text, origin)) in steps.iter().enumerate() {
            let at = if is_given { steps_at.clone() } else { steps_at.index(index).key("set_weight") };
            self.used.note(is_given, at, origin, text.clone());
        }
        if !is_given {
            let step =
                |(text, _): &Element| toml::from_str::<OneStep>(&format!("step = {text}")).expect("our own words").step;
            canary.steps = Some(steps.iter().map(step).collect());
        }
        Table(canary)
    }

    fn blue_green(mut self, raw: Option<Table<raw_argo::BlueGreen>>) -> Table<raw_argo::BlueGreen> {
        let mut all = raw.map(|Table(raw)| raw).unwrap_or_default();
        let own: raw_argo::BlueGreen = read_words(self.words);
        self.word("auto_promotion_enabled", &mut all.auto_promotion_enabled, own.auto_promotion_enabled);
        self.word("auto_promotion_seconds", &mut all.auto_promotion_seconds, own.auto_promotion_seconds);
        self.word("preview_replica_count", &mut all.preview_replica_count, own.preview_replica_count);
        self.word("pre_promotion_analysis", &mut all.pre_promotion_analysis, own.pre_promotion_analysis);
        self.word("post_promotion_analysis", &mut all.post_promotion_analysis, own.post_promotion_analysis);
        let limit = &mut all.scale_down_delay_revision_limit;
        self.word("scale_down_delay_revision_limit", limit, own.scale_down_delay_revision_limit);
        Table(all)
    }
}

#[derive(serde::Deserialize)]
struct OneStep {
    step: Table<raw_argo::Step>,
}

/// What words of our own say.
fn read_words<T: serde::de::DeserializeOwned>(words: &[Word]) -> T {
    let lines: Vec<String> = words.iter().map(|word| format!("{} = {}", word.key, word.value)).collect();
    let lines = lines.join("\n");
    toml::from_str(&lines).unwrap_or_else(|error| panic!("our own words: {error}\n{lines}"))
}

/// What a word of the orchestrator's stands for.
fn of_name<T: Copy>(word: &str, all: [T; 3], name: impl Fn(T) -> &'static str) -> T {
    let named = all.into_iter().find(|one| name(*one) == word);
    named.expect("the manifest was read with these words")
}

impl Used {
    /// The workload of the manifest at a strategy's `manifest`, by its `name`. None where there is no manifest.
    fn named(
        place: &Place,
        path: Option<&str>,
        name: Option<&str>,
        kind: &str,
        sources: &mut Sources<'_>,
    ) -> Checked<Option<Self>> {
        let Some(path) = path else {
            place.key("name").holds(name.is_none(), "must be absent without manifest")?;
            return Ok(None);
        };
        let manifest_at = place.key("manifest");
        manifest_at.holds(!path.is_empty(), "must be the path of a file")?;
        let manifest = manifest_at.reading(read(path, sources))?;
        let workload = manifest.workload(name, kind).map_err(elsewhere)?.clone();
        Ok(Some(Used { file: manifest.file, workload, taken: Vec::new(), overridden: Vec::new() }))
    }

    fn supported(&self) -> Checked<Supported<'_>> {
        self.workload.supported(&self.file).map_err(elsewhere)
    }

    fn breaks(&self, problem: &str) -> Mistake {
        elsewhere(super::at(&self.file, self.workload.line, problem))
    }

    /// Lets a setting stand where the scenario says nothing.
    fn take<T: Copy + fmt::Display, W>(
        &mut self,
        place: &Place,
        word: &mut Option<W>,
        setting: &Setting<T>,
        as_word: impl Fn(T) -> W,
    ) {
        let Some(value) = setting.effective else { return };
        if word.is_some() {
            self.override_by(place, setting);
            return;
        }
        *word = Some(as_word(value));
        let line = setting.is_written().then_some(setting.line);
        let written = setting.written.as_ref().map(ToString::to_string);
        let note = Note { line, field: setting.field.clone(), value: written.unwrap_or_else(|| value.to_string()) };
        self.taken.push(Taken { place: place.clone(), note });
    }

    /// Notes that a word of the manifest stands at a place, or that the scenario's does.
    fn note(&mut self, is_given: bool, place: Place, origin: &Origin, value: String) {
        let note = Note { line: origin.line, field: origin.field.clone(), value };
        match (is_given, origin.line) {
            (false, _) => self.taken.push(Taken { place, note }),
            (true, Some(_)) => self.overridden.push(Taken { place, note }),
            (true, None) => {}
        }
    }

    /// Notes that the scenario's word at a place stands instead of what is written in the manifest.
    fn override_by<T>(&mut self, place: &Place, setting: &Setting<T>) {
        if let Some(written) = &setting.written {
            let note = Note { line: Some(setting.line), field: setting.field.clone(), value: written.to_string() };
            self.overridden.push(Taken { place: place.clone(), note });
        }
    }

    fn fill_update<A>(
        &mut self,
        place: &Place,
        raw: Option<Table<raw::SwarmUpdate<A>>>,
        settings: &UpdateSettings,
        action: impl Fn(swarm::FailureAction) -> A,
    ) -> Table<raw::SwarmUpdate<A>> {
        let nothing = raw::SwarmUpdate {
            parallelism: None,
            delay: None,
            monitor: None,
            max_failure_ratio: None,
            failure_action: None,
            order: None,
        };
        let mut raw = raw.map_or(nothing, |Table(raw)| raw);
        let span = |Seconds(span)| Span(span);
        let count = |count: u32| Count(count.into());
        self.take(&place.key("parallelism"), &mut raw.parallelism, &settings.parallelism, count);
        self.take(&place.key("delay"), &mut raw.delay, &settings.delay, span);
        self.take(&place.key("monitor"), &mut raw.monitor, &settings.monitor, span);
        self.take(&place.key("max_failure_ratio"), &mut raw.max_failure_ratio, &settings.max_failure_ratio, Number);
        let word = |super::FailureWord(word)| action(word);
        self.take(&place.key("failure_action"), &mut raw.failure_action, &settings.failure_action, word);
        self.take(&place.key("order"), &mut raw.order, &settings.order, |super::OrderWord(order)| OrderWord(order));
        Table(raw)
    }

    /// A mistake in a value that the manifest says, at the manifest's own place.
    fn own_mistake(&self, place: &Place, problem: &str) -> Option<InputError> {
        let taken = self.taken.iter().find(|taken| taken.place == *place)?;
        let (line, field, problem) = (taken.note.line?, taken.note.field.clone(), problem.to_owned());
        Some(InputError { file: self.file.clone(), line, field, problem })
    }

    /// What the reader should know: what was taken, assumed and ignored, and what is not used.
    fn remarks(&self, service: &Service, release: &Release) -> Vec<String> {
        let file = self.file.display();
        let (taken, assumed) = self.taken.iter().map(|taken| taken.note.clone()).partition(|note| note.line.is_some());
        let notes = Notes { taken, assumed, ignored: self.workload.notes.ignored.clone(), problem: None };
        let mut remarks = notes.sentences(&self.file);
        let unused = |line: usize, field: &str, value: &str, instead: &str| {
            format!("{file}:{line}: {field} = {value} is not used: {instead}")
        };
        for Taken { place, note } in &self.overridden {
            let Some(line) = note.line else { continue };
            remarks.push(unused(line, &note.field, &on_one_line(&note.value), &format!("the scenario says {place}")));
        }
        let Ok(supported) = self.workload.supported(&self.file) else { return remarks };
        let (replicas, default_grace) = match supported {
            Supported::Kubernetes(deployment) => (&deployment.replicas, kubernetes::GRACE),
            Supported::Swarm(service) => (&service.replicas, swarm::GRACE),
            Supported::Nomad(group) => (&group.count, nomad::KILL_TIMEOUT),
            Supported::Argo(rollout) => (&rollout.replicas, kubernetes::GRACE),
            Supported::Ecs(service) => (&service.desired, ecs::STOP_TIMEOUT),
        };
        let written = replicas.effective.filter(|_| replicas.is_written());
        if let Some(count) = written.filter(|count| *count != service.instances.get()) {
            let instead = format!("service.instances is {}", service.instances);
            remarks.push(unused(replicas.line, &replicas.field, &count.to_string(), &instead));
        }
        remarks.extend(unused_release(&ReleaseSays::of(supported), release, default_grace, &unused));
        remarks
    }
}

/// What a manifest says of starting and stopping where `[release]` says otherwise.
fn unused_release(
    says: &ReleaseSays,
    release: &Release,
    default_grace: Duration,
    unused: &impl Fn(usize, &str, &str, &str) -> String,
) -> Vec<String> {
    let span = |span: Duration| format_duration(span).to_string();
    let mut remarks = Vec::new();
    if let Some(Said { value, line: Some(line), field }) = &says.ready_probe
        && release.ready_probe != Some(*value)
    {
        let instead = release.ready_probe.map_or_else(
            || "release.ready_probe is absent".to_owned(),
            |probe| format!("release.ready_probe is {}", shown(&probe)),
        );
        remarks.push(unused(*line, field, &shown(value), &instead));
    }
    if let Some(Said { value, line: Some(line), field }) = &says.pre_stop
        && release.pre_stop != *value
    {
        let instead = format!("release.pre_stop is {}", span(release.pre_stop));
        remarks.push(unused(*line, field, &span(*value), &instead));
    }
    if let Some(Said { value, line: Some(line), field }) = &says.drain
        && release.drain != *value
    {
        let instead = format!("release.drain is {}", span(release.drain));
        remarks.push(unused(*line, field, &span(*value), &instead));
    }
    let grace = release.grace.unwrap_or(default_grace);
    if let Some(Said { value, line: Some(line), field }) = &says.grace
        && grace != *value
    {
        let by = if release.grace.is_some() { "" } else { " by default" };
        remarks.push(unused(*line, field, &span(*value), &format!("release.grace is {}{by}", span(grace))));
    }
    remarks
}

/// A probe as the scenario writes it.
pub(super) fn shown(probe: &Probe) -> String {
    let span = |span: Duration| format_duration(span);
    let Probe { initial_delay, period, thresholds: Thresholds { success, failure } } = *probe;
    format!(
        "{{ initial_delay = \"{}\", period = \"{}\", success_threshold = {success}, failure_threshold = {failure} }}",
        span(initial_delay),
        span(period)
    )
}

fn read(path: &str, sources: &mut Sources<'_>) -> Result<Manifest, crate::scenario::LoadError> {
    let path = sources.folder.join(path);
    let bytes = super::bytes(&path)?;
    sources.fingerprint.add(&bytes);
    Ok(super::read_bytes(&bytes, &path)?)
}

fn elsewhere(error: InputError) -> Mistake {
    Mistake::Elsewhere(error.into())
}

/// A mistake at the place of the manifest that says the wrong value, if one does.
pub(in crate::scenario) fn at_its_own_place(mistake: Mistake, manifests: &[Used]) -> Mistake {
    match mistake {
        Mistake::At(place, problem) => {
            let own = manifests.iter().find_map(|used| used.own_mistake(&place, &problem));
            own.map_or(Mistake::At(place, problem), elsewhere)
        }
        elsewhere @ Mistake::Elsewhere(_) => elsewhere,
    }
}

/// What the reader should know of the manifests of a scenario, a line each.
pub(in crate::scenario) fn remarks(manifests: &[Used], service: &Service, release: &Release) -> Vec<String> {
    manifests.iter().flat_map(|used| used.remarks(service, release)).collect()
}
