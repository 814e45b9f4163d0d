//! Nomad: adapters for the reconciler, the deployment watcher, and what clients say of health. A vector that knows more of
//! an allocation or group than is told here is not answered, rather than answered in part.

use rollsim::fleet::{Fleet, Launch, Phase, Slot, Version};
use rollsim::rollout::nomad::{
    Alloc, Annotations, Change, CheckStatus, Client, Deployment, Group, GroupState, HealthCheck, Invalid, Node,
    OnUpdate, Part, Plan, ReschedulePolicy, RestartPolicy, Revert, Settings, Standing, Tracker, Unhealthy, Update,
    checks_pass, progress_cutoff, promotes_itself, reconcile, revert, unhealthy,
};
use rollsim::rollout::nomad::{DelayFunction, EVALUATION_BATCH, Limit};
use rollsim::rollout::{Answers, Status, View};
use rollsim::scenario::parse;
use rollsim::time::SimTime;
use serde_json::{Map, Value, json};
use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

pub(crate) const NOT_KEPT: &[(&str, &str)] = &[
    (
        "reconcile",
        "of batch and system jobs, and of nodes that come back: services on nodes that are up, drained or lost are",
    ),
    ("starts_paused", "of jobs in several regions: a fleet is in one"),
    ("deployment_watch", "beyond health, promotion and deadlines: there is always a stable version"),
];

pub(crate) fn answer(function: &str, inputs: &Value) -> Option<Value> {
    match function {
        "reconcile" => reconciled(inputs),
        "starts_paused" => starts_paused(inputs),
        "deployment_watch" => deployment_watch(inputs),
        "progress_cutoff" => cutoff(inputs),
        "validate_update" => validate_update(inputs),
        "evaluate_checks" => evaluate_checks(inputs),
        _ => None,
    }
}

/// Whether a table has no other keys than these.
fn has_only(table: &Value, keys: &[&str]) -> bool {
    table.as_object().is_some_and(|table| table.keys().all(|key| keys.contains(&key.as_str())))
}

fn count(table: &Value, key: &str) -> Option<u32> {
    match &table[key] {
        Value::Null => Some(0),
        number => u32::try_from(number.as_u64()?).ok(),
    }
}

fn flag(table: &Value, key: &str) -> Option<bool> {
    match &table[key] {
        Value::Null => Some(false),
        flag => flag.as_bool(),
    }
}

fn seconds(table: &Value, key: &str) -> Option<Duration> {
    Duration::try_from_secs_f64(table[key].as_f64()?).ok()
}

fn at(seconds: Duration) -> SimTime {
    SimTime::START + seconds
}

// --- the reconciler
// -----------------------------------------------------------------------------------------------------

/// What the originals' jobs say where a vector says nothing (`mock.Job`).
const MOCK: ReschedulePolicy = ReschedulePolicy {
    delay: Duration::from_secs(5),
    delay_function: DelayFunction::Constant,
    max_delay: Duration::ZERO,
    limit: Some(Limit { attempts: 2, interval: Duration::from_mins(10) }),
};

fn reconciled(inputs: &Value) -> Option<Value> {
    if !has_only(inputs, &["job_type", "groups", "deployment"]) || inputs["job_type"] != "service" {
        return None;
    }
    let (mut totals, mut annotations) = (BTreeMap::<&str, Vec<u32>>::new(), Map::new());
    let (mut creates, mut needs_promotion, mut is_complete) = (Map::new(), false, true);
    for written in inputs["groups"].as_array()? {
        let name = written["name"].as_str()?;
        let group = group(written)?;
        let deployment = deployment(&inputs["deployment"], name)?;
        let allocs = allocs(written)?;
        let plan = reconcile(&group, deployment.as_ref(), &allocs);
        let indexes = |of: &[usize]| of.iter().map(|alloc| allocs[*alloc].index).collect::<Vec<_>>();
        let mut add = |key, indexes: Vec<u32>| totals.entry(key).or_default().extend(indexes);
        add("place", plan.place.iter().map(|place| place.index).collect());
        add("destructive", indexes(&plan.destructive));
        add("in_place", indexes(&plan.in_place));
        add("stop", indexes(&plan.stop));
        annotations.insert(name.to_owned(), annotated(&plan));
        if let Some(state) = plan.creates {
            needs_promotion |= state.awaits_promotion();
            let groups = json!({ "desired_total": state.desired_total, "desired_canaries": state.desired_canaries });
            creates.insert(name.to_owned(), groups);
        }
        is_complete &= plan.is_complete;
    }
    let creation = match (creates.is_empty(), needs_promotion) {
        (true, _) => Value::Null,
        (false, true) => json!({ "needs_promotion": true, "groups": creates }),
        (false, false) => json!({ "groups": creates }),
    };
    let mut answer = json!({
        "per_group": annotations,
        "create_deployment": creation,
        "deployment_updates": updates(&inputs["deployment"], is_complete),
    });
    for (key, indexes) in totals {
        answer[key] = indexes.len().into();
        answer[format!("{key}_indexes")] = indexes.into();
    }
    Some(answer)
}

fn group(written: &Value) -> Option<Group> {
    if !has_only(written, &["name", "count", "removed", "update", "allocs", "reschedule"]) {
        return None;
    }
    let update = &written["update"];
    if !update.is_null() && !has_only(update, &["max_parallel", "canary"]) {
        return None;
    }
    let is_removed = flag(written, "removed")?;
    let count_of_group = if is_removed { 0 } else { u32::try_from(written["count"].as_u64()?).ok()? };
    let (max_parallel, canary) = (count(update, "max_parallel")?, count(update, "canary")?);
    Some(Group { count: count_of_group, max_parallel, canary, state: GroupState::default() })
}

#[expect(clippy::option_option, reason = "not understood, or none")]
fn deployment(written: &Value, group: &str) -> Option<Option<Deployment>> {
    if written.is_null() {
        return Some(None);
    }
    let standing = match written["status"].as_str()? {
        "running" => Standing::Running,
        "paused" => Standing::Paused,
        "successful" => Standing::Successful,
        "failed" => Standing::Failed,
        "cancelled" => Standing::Cancelled,
        _ => return None,
    };
    if !has_only(written, &["status", "for_current_version", "groups"]) {
        return None;
    }
    let state = match &written["groups"][group] {
        Value::Null => None,
        state => {
            let keys = ["desired_total", "placed_allocs", "promoted", "desired_canaries", "healthy_allocs"];
            let healthy = count(state, "healthy_allocs")?;
            has_only(state, &keys).then_some(())?;
            Some(GroupState {
                desired_total: count(state, "desired_total")?,
                desired_canaries: count(state, "desired_canaries")?,
                promoted: flag(state, "promoted")?,
                healthy,
                ..GroupState::default()
            })
        }
    };
    Some(Some(Deployment { standing, is_of_job: written["for_current_version"].as_bool()?, state }))
}

/// What happens to the deployment that is there.
fn updates(deployment: &Value, is_complete: bool) -> Value {
    let is_active = matches!(deployment["status"].as_str(), Some("running" | "paused"));
    let is_of_job = deployment["for_current_version"] == true;
    match (is_of_job, is_active) {
        (false, true) => json!([{ "target": "current", "status": "cancelled", "reason": "newer_job" }]),
        (true, _) if is_complete => json!([{ "target": "current", "status": "successful", "reason": "successful" }]),
        _ => json!([]),
    }
}

/// The allocations that nobody stopped so far.
fn allocs(written: &Value) -> Option<Vec<Alloc>> {
    let policy = policy(&written["reschedule"])?;
    let mut allocs = Vec::new();
    for run in written["allocs"].as_array()? {
        let keys = [
            "index_from",
            "index_to",
            "copies",
            "change",
            "node",
            "client",
            "desired",
            "in_deployment",
            "canary",
            "healthy",
            "reschedule_requested",
            "failed_s_ago",
            "canary_of",
            "of_deployment",
            "older_version",
            "older_job_incarnation",
        ];
        if !has_only(run, &keys) {
            return None;
        }
        let word = |key: &str, default| if run[key].is_null() { Some(default) } else { run[key].as_str() };
        let client = match word("client", "running")? {
            "pending" | "running" => Client::Running,
            "failed" => Client::Failed,
            "complete" => Client::Complete,
            _ => return None,
        };
        let is_of_old = match (word("canary_of", "")?, word("of_deployment", "")?) {
            ("", "") => false,
            ("previous_deployment", "") | ("", "previous") => true,
            _ => return None,
        };
        let canary = flag(run, "canary")?;
        let is_part = flag(run, "in_deployment")? || canary;
        // The deployment that a vector tells of is the one before where its version is.
        let is_told_of = is_part || is_of_old;
        let alloc = Alloc {
            index: 0,
            change: match word("change", "none")? {
                "none" => Change::None,
                "in_place" => Change::InPlace,
                "destructive" => Change::Destructive,
                _ => return None,
            },
            node: match word("node", "up")? {
                "up" => Node::Up,
                "draining" => Node::Draining,
                "down" => Node::Down,
                _ => return None,
            },
            client,
            part: if is_told_of { Part::OfDeployment } else { Part::None },
            canary,
            healthy: if run["healthy"].is_null() { None } else { Some(run["healthy"].as_bool()?) },
            may_reschedule: flag(run, "reschedule_requested")?,
            reschedule_in: reschedule_in(&policy, client, &run["failed_s_ago"])?,
            is_of_job: !flag(run, "older_version")? && !flag(run, "older_job_incarnation")?,
        };
        let is_wanted = match word("desired", "run")? {
            "run" => true,
            "stop" => false,
            _ => return None,
        };
        let copies = if run["copies"].is_null() { 1 } else { count(run, "copies")? };
        for _ in 0..copies {
            let range = count(run, "index_from")?..=count(run, "index_to")?;
            allocs.extend(range.filter(|_| is_wanted).map(|index| Alloc { index, ..alloc }));
        }
    }
    Some(allocs)
}

fn policy(written: &Value) -> Option<ReschedulePolicy> {
    if written.is_null() {
        return Some(MOCK);
    }
    has_only(written, &["delay_function", "delay_s", "interval_s", "max_delay_s", "attempts", "unlimited"])
        .then_some(())?;
    let delay_function = match written["delay_function"].as_str()? {
        "constant" => DelayFunction::Constant,
        "exponential" => DelayFunction::Exponential,
        "fibonacci" => DelayFunction::Fibonacci,
        _ => return None,
    };
    let limit = if flag(written, "unlimited")? {
        None
    } else {
        Some(Limit { attempts: count(written, "attempts")?, interval: seconds(written, "interval_s")? })
    };
    let max_delay = seconds(written, "max_delay_s").unwrap_or(Duration::MAX);
    Some(ReschedulePolicy { delay: seconds(written, "delay_s")?, delay_function, max_delay, limit })
}

#[expect(clippy::option_option, reason = "not understood, or never")]
/// Where it is not said when an allocation failed, that was long ago.
fn reschedule_in(policy: &ReschedulePolicy, client: Client, failed_s_ago: &Value) -> Option<Option<Duration>> {
    if client != Client::Failed {
        return Some(None);
    }
    let (now, tracker) = (at(Duration::from_hours(24)), Tracker::default());
    let ago =
        if failed_s_ago.is_null() { Duration::from_hours(24) } else { Duration::from_secs(failed_s_ago.as_u64()?) };
    let failed_at = SimTime::from_nanos(now.nanos().checked_sub(rollsim::time::nanos(ago))?);
    let due = failed_at + tracker.delay(policy, failed_at);
    Some(tracker.is_eligible(policy, failed_at).then(|| due.max(now).since(now)))
}

fn annotated(plan: &Plan) -> Value {
    let Annotations { ignore, place, stop, migrate, in_place, destructive, canary, reschedule_later } =
        plan.annotations;
    let all = [
        ("ignore", ignore),
        ("place", place),
        ("stop", stop),
        ("migrate", migrate),
        ("in_place", in_place),
        ("destructive", destructive),
        ("canary", canary),
        ("reschedule_later", reschedule_later),
    ];
    all.into_iter().filter(|(_, count)| *count > 0).map(|(key, count)| (key, json!(count))).collect()
}

// --- the deployment watcher
// -------------------------------------------------------------------------------------------

fn settings(update: Update) -> Settings {
    Settings {
        update,
        restart: RestartPolicy::default(),
        reschedule: ReschedulePolicy::default(),
        shutdown_delay: Duration::ZERO,
        evaluation_batch: EVALUATION_BATCH,
        commands: Vec::new(),
    }
}

/// A deployment that begins, seen right after.
fn starts_paused(inputs: &Value) -> Option<Value> {
    let keys = ["job_type", "multiregion", "periodic", "parameterized"];
    has_only(inputs, &keys).then_some(())?;
    if inputs["multiregion"] == true && inputs["periodic"] != true && inputs["parameterized"] != true {
        return None;
    }
    let settings = settings(Update::default());
    let mut fleet = Fleet::new(1);
    let launch = Launch { version: Version::OLD, slot: Some(Slot(0)), rank: 0, held_out: false };
    let id = fleet.launch(SimTime::START, launch);
    for phase in [Phase::Prepared, Phase::Starting, Phase::Ready] {
        fleet.enter(id, phase, SimTime::START);
    }
    let view = View {
        now: SimTime::START,
        fleet: &fleet,
        desired: 1,
        target: Version::NEW,
        revision: 1,
        rolling_back: false,
        halted: false,
        promotions: 0,
        aborts: 0,
        answers: &Answers::NONE,
        slot_order: &[],
    };
    let decision = settings.decide(&view, &mut settings.memory(1));
    Some(json!({ "paused": decision.status == Status::Paused }))
}

fn deployment_watch(inputs: &Value) -> Option<Value> {
    if inputs["timeline"].is_array() {
        return watched(inputs);
    }
    if inputs["groups"].is_object() {
        return promoted(inputs);
    }
    let keys = [
        "progress_deadline_s",
        "auto_revert",
        "stable_version_exists",
        "spec_differs_from_stable",
        "unhealthy",
        "healthy_first",
        "desired_canaries",
        "healthy_canaries",
        "promoted",
        "observe_at_s",
        "deadline_set_after_start",
    ];
    if !has_only(inputs, &keys) || inputs["stable_version_exists"] == false {
        return None;
    }
    let mut state = GroupState {
        auto_revert: flag(inputs, "auto_revert")?,
        progress_deadline: seconds(inputs, "progress_deadline_s")?,
        desired_canaries: count(inputs, "desired_canaries")?,
        promoted: flag(inputs, "promoted")?,
        ..GroupState::default()
    };
    let now = SimTime::START;
    state.placed(now);
    (0..count(inputs, "healthy_canaries")?).for_each(|_| state.became_healthy(true, now));
    (0..count(inputs, "healthy_first")?).for_each(|_| state.became_healthy(false, now));
    if count(inputs, "unhealthy")? > 0 {
        return Some(match unhealthy(&state, true) {
            Unhealthy::MayReschedule => json!({ "reschedule_requested": true, "status": "running" }),
            Unhealthy::FailsTheDeployment => {
                let stable = u32::from(inputs["spec_differs_from_stable"] != true);
                let (then, back) = match revert(&[state], stable, &1) {
                    Revert::No => ("", None),
                    Revert::Noop => ("_rollback_noop", None),
                    Revert::To(stable) => ("", Some(stable)),
                };
                json!({ "status": "failed", "reason": format!("failed_allocations{then}"), "rollback_to": back })
            }
        });
    }
    let observed = at(seconds(inputs, "observe_at_s")?);
    let is_past = progress_cutoff(&[(state, false)]).is_some_and(|(_, cutoff)| cutoff <= observed);
    Some(match (is_past && state.has_too_few(), state.can_be_promoted()) {
        (true, _) => json!({ "status": "failed", "reason": "progress_deadline", "rollback_to": null }),
        (false, true) => json!({ "status": "running", "reason": "needs_promotion" }),
        (false, false) => json!({ "status": "running" }),
    })
}

/// Whether healthy canaries are promoted by themselves.
fn promoted(inputs: &Value) -> Option<Value> {
    let keys = ["auto_promote", "desired_total", "desired_canaries", "placed_canaries", "healthy"];
    let groups = inputs["groups"].as_object()?.values();
    let states: Option<Vec<GroupState>> = groups
        .map(|group| {
            has_only(group, &keys).then_some(())?;
            let healthy = count(group, "healthy")?;
            Some(GroupState {
                auto_promote: flag(group, "auto_promote")?,
                desired_total: count(group, "desired_total")?,
                desired_canaries: count(group, "desired_canaries")?,
                healthy,
                healthy_canaries: healthy,
                ..GroupState::default()
            })
        })
        .collect();
    if !has_only(inputs, &["groups"]) {
        return None;
    }
    Some(json!({ "promoted": promotes_itself(&states?), "status": "running" }))
}

/// Several groups over time.
fn watched(inputs: &Value) -> Option<Value> {
    if !has_only(inputs, &["progress_deadline_s", "groups", "timeline"]) {
        return None;
    }
    let mut groups: BTreeMap<String, GroupState> = BTreeMap::new();
    for (name, group) in inputs["groups"].as_object()? {
        has_only(group, &["desired_total", "desired_canaries"]).then_some(())?;
        let mut state = GroupState {
            progress_deadline: seconds(inputs, "progress_deadline_s")?,
            desired_total: count(group, "desired_total")?,
            desired_canaries: count(group, "desired_canaries")?,
            ..GroupState::default()
        };
        state.placed(SimTime::START);
        groups.insert(name.clone(), state);
    }
    let mut has_failed = false;
    for event in inputs["timeline"].as_array()? {
        let now = at(seconds(event, "at_s")?);
        let open: Vec<(GroupState, bool)> =
            groups.values().map(|state| (*state, !state.awaits_promotion() && !state.has_too_few())).collect();
        let is_past = progress_cutoff(&open).is_some_and(|(_, cutoff)| cutoff < now);
        has_failed |= is_past && groups.values().any(GroupState::has_too_few);
        let many = if event["n"].is_null() { 1 } else { count(event, "n")? };
        match event["event"].as_str()? {
            how @ ("canary_healthy" | "healthy") => {
                let state = groups.get_mut(event["group"].as_str()?)?;
                (0..many).for_each(|_| state.became_healthy(how == "canary_healthy", now));
            }
            "promote_all" => groups.values_mut().filter(|s| s.can_be_promoted()).for_each(|s| s.promote(now)),
            "observe" => {}
            _ => return None,
        }
    }
    let healthy: Map<String, Value> = groups.iter().map(|(name, state)| (name.clone(), state.healthy.into())).collect();
    let unhealthy: u32 = groups.values().map(|state| state.unhealthy).sum();
    let status = if has_failed { "failed" } else { "running" };
    Some(json!({ "status": status, "healthy": healthy, "unhealthy": unhealthy }))
}

fn cutoff(inputs: &Value) -> Option<Value> {
    let healthy = inputs["healthy_groups"].as_array()?;
    let written = inputs["groups"].as_object()?;
    let state = |(name, group): (&String, &Value)| {
        let state =
            GroupState { require_progress_by: Some(at(seconds(group, "require_by_s")?)), ..GroupState::default() };
        Some((state, healthy.iter().any(|healthy| healthy == name.as_str())))
    };
    let groups: Option<Vec<(GroupState, bool)>> = written.iter().map(state).collect();
    let group = progress_cutoff(&groups?).and_then(|(place, _)| written.keys().nth(place));
    Some(json!({ "cutoff_group": group }))
}

// --- validation and health
// --------------------------------------------------------------------------------------------

/// What each setting must be by itself is asked of the scenario file; of what must hold between spans only their order
/// counts, so that negative ones are told as if all were longer.
fn validate_update(inputs: &Value) -> Option<Value> {
    let keys = [
        "max_parallel",
        "health_check",
        "min_healthy_time_ns",
        "healthy_deadline_ns",
        "progress_deadline_ns",
        "auto_revert",
        "auto_promote",
        "canary",
    ];
    has_only(inputs, &keys).then_some(())?;
    let span = |key: &str| inputs[key].as_i64();
    let spans = [span("min_healthy_time_ns")?, span("healthy_deadline_ns")?, span("progress_deadline_ns")?];
    let mut errors = Vec::new();
    let mut alone = |setting: String, error: &'static str| {
        if is_refused(&setting) {
            errors.push(error);
        }
    };
    alone(format!("health_check = {}", inputs["health_check"]), "health_check_unknown");
    alone(format!("max_parallel = {}", inputs["max_parallel"]), "max_parallel_negative");
    alone(format!("canary = {}", inputs["canary"]), "canary_negative");
    // Beside spans that allow it, or not, for another reason than their order.
    let beside = "healthy_deadline = \"10000h\"\nprogress_deadline = \"0s\"";
    alone(format!("{beside}\nmin_healthy_time = \"{}ns\"", spans[0]), "min_healthy_time_negative");
    let beside = "min_healthy_time = \"0s\"\nprogress_deadline = \"0s\"";
    alone(format!("{beside}\nhealthy_deadline = \"{}ns\"", spans[1]), "healthy_deadline_not_positive");
    let beside = "min_healthy_time = \"0s\"\nhealthy_deadline = \"1ns\"";
    let last = if (0..=1).contains(&spans[2]) { 2 } else { spans[2] };
    alone(format!("{beside}\nprogress_deadline = \"{last}ns\""), "progress_deadline_negative");
    let longer = |nanos: i64| Some(Duration::from_nanos(u64::try_from(nanos.checked_add(1 << 60)?).ok()?));
    let update = Update {
        max_parallel: 1,
        canary: u32::try_from(inputs["canary"].as_i64()?).unwrap_or(0),
        health_check: HealthCheck::Checks,
        min_healthy_time: longer(spans[0])?,
        healthy_deadline: longer(spans[1])?,
        progress_deadline: if spans[2] == 0 { Duration::ZERO } else { longer(spans[2])? },
        auto_promote: flag(inputs, "auto_promote")?,
        ..Update::default()
    };
    let between = update.invalid().into_iter().map(|invalid| match invalid {
        Invalid::HealthyDeadlineNotPositive => "healthy_deadline_not_positive",
        Invalid::MinHealthyTimeNotBelowHealthyDeadline => "min_healthy_time_not_below_healthy_deadline",
        Invalid::HealthyDeadlineNotBelowProgressDeadline => "healthy_deadline_not_below_progress_deadline",
        Invalid::AutoPromoteWithoutCanary => "auto_promote_without_canary",
    });
    errors.extend(between);
    Some(json!({ "errors": errors }))
}

/// Whether a scenario with these settings is refused.
fn is_refused(settings: &str) -> bool {
    let text = format!(
        "[service]\ninstances = 1\nworkers = 1\nqueue = 1\n[traffic]\nrate = 1.0\nwork = \"1ms\"\n[release]\nstart = \"1s\"\n\
         [study]\nreplications = 2\nwindow = \"1m\"\n[strategy.it.nomad]\n{settings}\n"
    );
    parse(&text, Path::new("update.toml")).is_err()
}

fn evaluate_checks(inputs: &Value) -> Option<Value> {
    if !has_only(inputs, &["services"]) {
        return None;
    }
    let check = |service: &Value| {
        has_only(service, &["scope", "check", "on_update", "status"]).then_some(())?;
        if service["check"].is_null() {
            return Some(None); // A service without checks has nothing to pass.
        }
        let on_update = match &service["on_update"] {
            Value::Null => OnUpdate::default(),
            word => OnUpdate::ALL.into_iter().find(|on_update| word == on_update.name())?,
        };
        let status = match &service["status"] {
            Value::Null => None,
            word => Some(match word.as_str()? {
                "passing" => CheckStatus::Passing,
                "warning" => CheckStatus::Warning,
                "critical" => CheckStatus::Critical,
                _ => return None,
            }),
        };
        Some(Some((on_update, status)))
    };
    let checks: Option<Vec<_>> = inputs["services"].as_array()?.iter().map(check).collect();
    Some(json!({ "healthy": checks_pass(checks?.into_iter().flatten()) }))
}
