//! How the functions of kubernetes.json are called: inputs from the vector's words, results back into them.

use rollsim::fleet::{Fleet, Launch, Phase, Version};
use rollsim::probe::{Kind, Probing, Thresholds};
use rollsim::rollout::kubernetes::{
    Bound, Bounds, Condition, Conditions, ControlPlane, Counts, Endpoint, Kind as Strategy, Memory, Note, Pod,
    PodPhase, Reason, ReplicaSet, Scale, SetStatus, Settings, TrafficPolicy, batch_after, clean_up, find_new, find_old,
    resolve_fenceposts,
};
use rollsim::rollout::{Answers, View};
use rollsim::time::SimTime;
use serde_json::{Value, json};
use std::cmp::Ordering;
use std::num::NonZeroU32;
use std::time::Duration;

/// Functions without a counterpart, and why.
pub(crate) const NOT_KEPT: &[(&str, &str)] =
    &[("revision_history_cleanup", "sets without pods are kept: nothing depends on their number")];

/// What this project's function of that name makes of the inputs; `None`: it has none.
pub(crate) fn answer(function: &str, inputs: &Value) -> Option<Value> {
    let input = Input(inputs);
    Some(match function {
        "int_or_percent" => int_or_percent(&input),
        "resolve_fenceposts" => fenceposts(&input),
        "max_unavailable" => json!({ "max_unavailable": input.bounds()?.unavailable }),
        "min_available" => {
            let kind = input.strategy()?;
            let least =
                if kind == Strategy::Recreate { 0 } else { kind.bounds(input.count("replicas")).least_available() };
            json!({ "min_available": least })
        }
        "new_rs_new_replicas" => {
            let (new, total) = (input.count("new_rs_replicas"), input.count("total_replicas_all_rs"));
            let size = match input.strategy()? {
                Strategy::RollingUpdate { .. } => input.bounds()?.new_set_may_have(new, total),
                Strategy::Recreate => input.count("replicas"),
            };
            json!({ "new_rs_replicas": size })
        }
        "reconcile_new_replica_set" => {
            let (new, old) = (input.count("new_rs_replicas"), input.count("old_rs_replicas"));
            let size = input.bounds()?.new_set_after_pass(new, new + old);
            json!({ "scaled": size != new, "new_rs_replicas": size })
        }
        "reconcile_old_replica_sets" => {
            let mut old = [set(0, input.count("old_rs_replicas"), input.count("old_rs_available"))];
            let new = (input.count("new_rs_replicas"), input.count("new_rs_available"));
            let resized = input.bounds()?.shrink_old_sets(&mut old, new);
            json!({ "scaled": !resized.is_empty(), "old_rs_replicas": old[0].size })
        }
        "cleanup_unhealthy_replicas" => {
            let cleaned = clean_up(&mut input.sets("old_rs"), input.count("max_cleanup"), &mut Vec::new());
            json!({ "cleaned": cleaned.unwrap_or(0) })
        }
        "scale_down_old_rs_for_rolling_update" => {
            let mut sets = input.sets("old_rs");
            let gone = input.bounds()?.scale_down(&mut sets, input.count("total_available"), &mut Vec::new());
            json!({ "scaled": gone > 0, "old_rs_replicas": sizes(&sets) })
        }
        "max_scaled_down" => {
            let may_go = input.bounds()?.may_go(input.count("all_pods"), input.count("new_rs_unavailable"));
            json!({ "max_scaled_down": may_go })
        }
        "rolling_sequence" => json!({ "steps": rolling_sequence(&input) }),
        "deployment_complete" => {
            let counts = Counts { replicas: input.count("status_replicas"), ..input.counts() };
            json!({ "complete": counts.is_complete(input.count("desired")) })
        }
        "deployment_progressing" => {
            let (old, new) = (Input(&inputs["old"]).counts(), Input(&inputs["new"]).counts());
            json!({ "progressing": new.has_progressed(&old) })
        }
        "deployment_timed_out" => json!({ "timed_out": timed_out(&input) }),
        "requeue_stuck" => json!({ "requeue_after_s": requeue(&input) }),
        _ => return answer_of_sets_and_pods(function, &input),
    })
}

fn answer_of_sets_and_pods(function: &str, input: &Input<'_>) -> Option<Value> {
    let inputs = input.0;
    Some(match function {
        "proportional_scale" => proportional_scale(input),
        "proportional_scale_with_terminating" => json!({ "sizes": scale_with_terminating(input) }),
        "replica_set_fraction" => {
            let mut set = set(0, input.count("rs_replicas"), 0);
            let most = input.some("max_replicas_annotation").map(|value| value.as_u64().expect("a count") as u32);
            set.note = most.map(|most| Note { desired: most, most, before_scale: None });
            json!({ "fraction": input.scale(input.count("replicas"), 0).fraction(&set) })
        }
        "is_saturated" => {
            let mut set = set(0, input.count("rs_replicas"), input.count("rs_available"));
            let noted = input.some("rs_desired_annotation").map(|value| value.as_u64().expect("a count") as u32);
            set.note = noted.map(|desired| Note { desired, most: desired, before_scale: None });
            json!({ "saturated": set.is_saturated(input.count("deployment_replicas")) })
        }
        "pod_deletion_less" => {
            let (a, b) = (pod(&inputs["a"], input), pod(&inputs["b"], input));
            let by_magnitude = input.is("log_scale_down");
            let before = |a: &Pod, b: &Pod| a.goes_before(b, by_magnitude) == Ordering::Less;
            json!({ "a_before_b": before(&a, &b), "b_before_a": before(&b, &a) })
        }
        "pod_deletion_sort" => {
            let pods = inputs["pods"].as_array()?;
            let mut order: Vec<(Pod, &Value)> = pods.iter().map(|one| (pod(one, input), &one["name"])).collect();
            order.sort_by(|(a, _), (b, _)| a.goes_before(b, input.is("log_scale_down")));
            json!({ "order": order.into_iter().map(|(_, name)| name).collect::<Vec<_>>() })
        }
        "replica_counts" => {
            let each = |value: &Value| {
                let mut one = set(0, Input(value).count("spec"), 0);
                one.status.replicas = Input(value).count("status");
                one
            };
            let sets: Vec<ReplicaSet> = inputs["replica_sets"].as_array()?.iter().map(each).collect();
            let status_total = Counts::of(&sets, Version::NEW).replicas;
            json!({ "spec_total": sizes(&sets).iter().sum::<u32>(), "status_total": status_total })
        }
        "replicas_annotation_needs_update" => {
            let note = |input: &Input<'_>| Note {
                desired: input.count("desired"),
                most: input.count("max"),
                before_scale: None,
            };
            let noted = input.some("annotation").map(|annotation| note(&Input(annotation)));
            json!({ "needs_update": noted != Some(note(input)) })
        }
        "scale_down_old_for_recreate" => {
            let old = inputs["old_rs"].as_array()?;
            let total = old.iter().map(|size| size.as_u64().expect("a size") as u32).sum();
            let memory = recreate(&Fleet::new(1), total, total);
            // One old version is as good as several: all of them go at once.
            json!({ "old_rs": old.iter().map(|_| memory.sets[0].size).collect::<Vec<_>>() })
        }
        "old_pods_running" => {
            let mut fleet = Fleet::new(1);
            for pod in inputs["replica_sets"].as_array()?.iter().flat_map(|set| set["pods"].as_array().expect("pods")) {
                stand_up(&mut fleet, pod);
            }
            let memory = recreate(&fleet, 0, input.count("status_replicas"));
            let is_created = memory.sets.iter().any(|set| set.version == Version::NEW && set.size > 0);
            json!({ "running": !is_created })
        }
        "slow_start_batch" => slow_start(input),
        "find_new_rs" => {
            let (sets, names) = templates(inputs);
            json!({ "found": find_new(&sets, template(&inputs["template"])).map(|place| names[place]) })
        }
        "find_old_rs" => {
            let (sets, names) = templates(inputs);
            let places: Vec<usize> = find_old(&sets, template(&inputs["template"])).collect();
            let with_pods = places.iter().filter(|place| sets[**place].size > 0);
            json!({
                "old": places.iter().map(|place| names[*place]).collect::<Vec<_>>(),
                "old_with_pods": with_pods.map(|place| names[*place]).collect::<Vec<_>>(),
            })
        }
        "active_pods" => {
            let mut fleet = Fleet::new(1);
            for phase in inputs["phases"].as_array()? {
                stand_up(&mut fleet, &json!({ "phase": phase }));
            }
            json!({ "active": fleet.live(Version::OLD) })
        }
        _ => return answer_of_probes_and_endpoints(function, input),
    })
}

fn answer_of_probes_and_endpoints(function: &str, input: &Input<'_>) -> Option<Value> {
    let inputs = input.0;
    Some(match function {
        "probe_threshold" => {
            // Whoever begins with a success is a liveness probe's, but none of these is ended by a failure.
            let thresholds = input.thresholds();
            let mut probing = Probing::new(Kind::Readiness);
            if inputs["initial"] == "success" {
                probing.note(true, thresholds.success.get().into(), thresholds);
            }
            let published = inputs["results"].as_array()?.iter().map(|result| {
                probing.note(result == "success", 1, thresholds);
                word(probing.published())
            });
            json!({ "published": published.collect::<Vec<_>>() })
        }
        "probe_initial" => {
            let mut probing = Probing::new(probe_kind(&inputs["kind"]));
            if !input.is("within_initial_delay") {
                probing.note(true, 1, input.thresholds());
            }
            json!({ "published": word(probing.published()) })
        }
        "probe_hold" => {
            let mut probing = Probing::new(probe_kind(&inputs["kind"]));
            let after = |event: &Value| {
                match event.as_str() {
                    Some("new_container") => probing = Probing::new(probe_kind(&inputs["kind"])),
                    Some(result) => probing.note(result == "probe_success", 1, input.thresholds()),
                    None => panic!("an event is a word: {event}"),
                }
                // Of a container that was not probed nothing is published.
                let published = if event == "new_container" { Value::Null } else { word(probing.published()) };
                (published, probing.is_on_hold())
            };
            let (published, on_hold): (Vec<Value>, Vec<bool>) = inputs["events"].as_array()?.iter().map(after).unzip();
            json!({ "published": published, "on_hold": on_hold })
        }
        "endpoint_conditions" => {
            let publish = input.is("publish_not_ready_addresses");
            let Conditions { ready, serving, terminating } =
                Conditions::new(input.is("pod_ready"), input.is("pod_terminating"), publish);
            json!({ "ready": ready, "serving": serving, "terminating": terminating })
        }
        "proxy_endpoints" => proxy_endpoints(input),
        _ => return None,
    })
}

fn probe_kind(word: &Value) -> Kind {
    match word.as_str() {
        Some("readiness") => Kind::Readiness,
        Some("liveness") => Kind::Liveness,
        Some("startup") => Kind::Startup,
        other => panic!("no probe is of the kind {other:?}"),
    }
}

fn word(published: Option<bool>) -> Value {
    match published {
        Some(true) => json!("success"),
        Some(false) => json!("failure"),
        None => json!("unknown"),
    }
}

fn proxy_endpoints(input: &Input<'_>) -> Value {
    let endpoints = input.0["endpoints"].as_array().expect("a list of endpoints");
    let one = |value: &Value| {
        let is = |key| Input(value).is(key);
        let conditions = Conditions { ready: is("ready"), serving: is("serving"), terminating: is("terminating") };
        Endpoint { conditions, is_local: is("local") }
    };
    let seen: Vec<Endpoint> = endpoints.iter().map(one).collect();
    let policy = TrafficPolicy {
        internal_stays_local: input.0["internal_policy"] == "local",
        external_stays_local: input.0["external_policy"] == "local",
        is_reachable_from_outside: input.is("externally_reachable"),
    };
    let names = |places: Option<Vec<usize>>| {
        places.map(|places| places.into_iter().map(|place| &endpoints[place]["name"]).collect::<Vec<_>>())
    };
    json!({
        "cluster_endpoints": names(policy.cluster_endpoints(&seen)),
        "local_endpoints": names(policy.local_endpoints(&seen)),
    })
}

/// Templates by letter, `A` the first version.
fn template(letter: &Value) -> Version {
    Version(letter.as_str().expect("a letter").as_bytes()[0] - b'A')
}

/// Sets by template, oldest first, and their names.
fn templates(inputs: &Value) -> (Vec<ReplicaSet>, Vec<&str>) {
    let mut given: Vec<&Value> = inputs["replica_sets"].as_array().expect("a list of sets").iter().collect();
    given.sort_by_key(|set| set["created"].as_u64());
    let sets = given.iter().map(|each| ReplicaSet::new(template(&each["template"]), Input(each).count("replicas")));
    (sets.collect(), given.iter().map(|set| set["name"].as_str().expect("a name")).collect())
}

/// A vector's inputs.
struct Input<'a>(&'a Value);

impl Input<'_> {
    fn some(&self, key: &str) -> Option<&Value> {
        self.0.get(key).filter(|value| !value.is_null())
    }

    /// A count; 0 where none is given.
    fn count(&self, key: &str) -> u32 {
        let written = self.some(key).map_or(0, |value| value.as_u64().unwrap_or_else(|| panic!("{key}: {value}")));
        u32::try_from(written).expect("counts are small")
    }

    fn is(&self, key: &str) -> bool {
        self.some(key) == Some(&Value::Bool(true))
    }

    /// A count or a share; nothing where none is given.
    fn bound(&self, key: &str) -> Result<Bound, ()> {
        match self.some(key) {
            None => Ok(Bound::Count(0)),
            Some(Value::String(text)) => text.parse().map_err(|_| ()),
            Some(_) => Ok(Bound::Count(self.count(key))),
        }
    }

    /// The strategy; `None`: not one of a Deployment.
    fn strategy(&self) -> Option<Strategy> {
        match self.some("strategy").map_or("rolling_update", |word| word.as_str().unwrap_or("")) {
            "rolling_update" => Some(Strategy::RollingUpdate {
                max_surge: self.bound("max_surge").ok()?,
                max_unavailable: self.bound("max_unavailable").ok()?,
            }),
            "recreate" => Some(Strategy::Recreate),
            _ => None,
        }
    }

    fn bounds(&self) -> Option<Bounds> {
        Some(self.strategy()?.bounds(self.count("replicas")))
    }

    fn sets(&self, key: &str) -> Vec<ReplicaSet> {
        let one = |(age, value): (usize, &Value)| {
            let each = Input(value);
            let available =
                if value.get("available").is_some() { each.count("available") } else { each.count("replicas") };
            set(age, each.count("replicas"), available)
        };
        self.0[key].as_array().expect("a list of sets").iter().enumerate().map(one).collect()
    }

    /// Of a probe; 1 where none is given.
    fn thresholds(&self) -> Thresholds {
        let of = |key| NonZeroU32::new(self.count(key)).unwrap_or(NonZeroU32::MIN);
        Thresholds { success: of("success_threshold"), failure: of("failure_threshold") }
    }

    fn counts(&self) -> Counts {
        Counts {
            replicas: self.count("replicas"),
            updated: self.count("updated"),
            ready: self.count("ready"),
            available: self.count("available"),
            terminating: 0,
        }
    }

    /// The Deployment that is scaled to so many, its surge given as a count.
    fn scale(&self, desired: u32, terminating: u32) -> Scale {
        let most = if desired == 0 { 0 } else { desired + self.count("max_surge") };
        Scale { desired, most, replicas: self.count("status_replicas"), terminating, is_rolling: true }
    }
}

/// A set by age, 0 the oldest.
fn set(age: usize, size: u32, available: u32) -> ReplicaSet {
    let mut set = ReplicaSet::new(Version(age as u8), size);
    set.status = SetStatus { replicas: size, ready: available, available, terminating: 0 };
    set
}

fn sizes(sets: &[ReplicaSet]) -> Vec<u32> {
    sets.iter().map(|set| set.size).collect()
}

fn int_or_percent(input: &Input<'_>) -> Value {
    match input.bound("value") {
        Ok(bound) => json!({ "value": bound.of(input.count("total"), input.is("round_up")), "error": false }),
        Err(()) => json!({ "value": null, "error": true }),
    }
}

fn fenceposts(input: &Input<'_>) -> Value {
    let (surge, unavailable, error) = match (input.bound("max_surge"), input.bound("max_unavailable")) {
        (Ok(surge), Ok(unavailable)) => {
            let (surge, unavailable) = resolve_fenceposts(surge, unavailable, input.count("desired"));
            (surge, unavailable, false)
        }
        _ => (0, 0, true),
    };
    json!({ "max_surge": surge, "max_unavailable": unavailable, "error": error })
}

/// Every pod is available at once.
fn rolling_sequence(input: &Input<'_>) -> Vec<String> {
    let bounds = input.bounds().expect("a rolling update");
    let (mut old, mut new) = (bounds.desired, 0);
    let mut steps = Vec::new();
    while (old, new) != (0, bounds.desired) {
        let grown = bounds.new_set_after_pass(new, new + old);
        if grown == new {
            let mut left = [set(0, old, old)];
            bounds.shrink_old_sets(&mut left, (new, new));
            assert!(left[0].size < old, "stands still at {steps:?}");
            steps.push(format!("old-{}", old - left[0].size));
            old = left[0].size;
        } else {
            steps.push(format!("new+{}", grown - new));
            new = grown;
        }
    }
    steps
}

fn seconds(value: &Value) -> Duration {
    Duration::from_secs_f64(value.as_f64().expect("seconds"))
}

/// `progressDeadlineSeconds`; the largest one means none.
fn deadline(input: &Input<'_>) -> Option<Duration> {
    input.some("progress_deadline_s").map(seconds).filter(|deadline| deadline.as_secs() < i32::MAX as u64)
}

fn reason(word: &str) -> Reason {
    match word {
        "new_rs_available" => Reason::NewReplicaSetAvailable,
        "deadline_exceeded" => Reason::ProgressDeadlineExceeded,
        "new_rs_created" => Reason::NewReplicaSetCreated,
        _ => Reason::ReplicaSetUpdated,
    }
}

fn timed_out(input: &Input<'_>) -> bool {
    let at = |key| SimTime::START + input.some(key).map_or(Duration::ZERO, seconds);
    let word = input.some("progressing_reason").and_then(Value::as_str).unwrap_or("");
    let condition = Condition { reason: reason(word), at: at("last_update_s") };
    condition.is_overdue(deadline(input), at("now_s"))
}

fn requeue(input: &Input<'_>) -> i64 {
    let counts = Counts { replicas: input.count("status_replicas"), ..input.counts() };
    let Some(condition) = input.some("progressing_condition") else { return -1 };
    if counts.is_complete(input.count("spec_replicas")) {
        return -1;
    }
    let age = condition.get("age_s").filter(|age| !age.is_null()).map_or(Duration::ZERO, seconds);
    let now = SimTime::START + Duration::from_secs(1_000_000);
    let at = SimTime::from_nanos(now.nanos() - age.as_nanos() as u64);
    let condition = Condition { reason: reason(condition["reason"].as_str().unwrap_or("")), at };
    condition.looks_again_after(deadline(input), now).map_or(-1, |after| after.as_secs().cast_signed())
}

fn proportional_scale(input: &Input<'_>) -> Value {
    let newest_first = input.0["old_rs_newest_first"].as_array().expect("a list of sizes");
    let stale = input.some("stale_max_replicas");
    let (before, surge) = (input.count("old_replicas"), input.count("old_max_surge"));
    let noted = |age: usize, size: u32, newest_first_place: Option<usize>| {
        let mut one = set(age, size, size);
        // Stale notes are told in the order of the old sets, or of all of them.
        let most = match (stale, newest_first_place) {
            (Some(Value::Array(list)), Some(place)) => list.get(place).and_then(Value::as_u64).map(|most| most as u32),
            (Some(Value::Number(most)), _) => most.as_u64().map(|most| most as u32),
            _ => None,
        };
        one.note = Some(Note { desired: before, most: most.unwrap_or(before + surge), before_scale: None });
        one
    };
    let count = newest_first.len();
    let mut sets: Vec<ReplicaSet> = (0..count)
        .map(|age| {
            let place = count - 1 - age;
            noted(age, newest_first[place].as_u64().expect("a size") as u32, Some(place))
        })
        .collect();
    let new = input.some("new_rs").map(|size| {
        let mut new = noted(count, size.as_u64().expect("a size") as u32, None);
        if input.some("new_rs_available").is_some() {
            new.status.available = input.count("new_rs_available");
        }
        sets.push(new);
        count
    });
    input.scale(input.count("replicas"), 0).apply(&mut sets, new);
    let old: Vec<u32> = sets[..count].iter().rev().map(|set| set.size).collect();
    json!({ "new_rs": new.map(|new| sets[new].size), "old_rs_newest_first": old })
}

fn scale_with_terminating(input: &Input<'_>) -> Vec<Vec<u32>> {
    let start = input.0["start"].as_array().expect("sizes, the newest set first");
    let steps = input.0["steps"].as_array().expect("steps");
    let desired = |step: &Value| step["replicas"].as_u64().expect("a count") as u32;
    let first = desired(&steps[0]);
    let mut sets: Vec<ReplicaSet> = start
        .iter()
        .rev()
        .enumerate()
        .map(|(age, size)| {
            let size = size.as_u64().expect("a size") as u32;
            let mut set = set(age, size, size);
            set.note = Some(Note { desired: first, most: first + input.count("max_surge"), before_scale: None });
            set
        })
        .collect();
    let new = sets.len() - 1;
    let each = |step: &Value| {
        let terminating = step["terminating"].as_u64().expect("a count") as u32;
        let is_due = sets.iter().any(|set| set.note.is_some_and(|note| note.desired != desired(step)));
        let holds = sets.iter().map(|set| set.size).sum::<u32>() + terminating;
        let scale = input.scale(desired(step), terminating);
        // A pass scales when a set is sized for another Deployment, or when room has come free since.
        if is_due || holds < scale.most {
            scale.apply(&mut sets, Some(new));
        }
        sizes(&sets).into_iter().rev().collect()
    };
    steps.iter().map(each).collect()
}

/// What a Recreate's first pass makes of an old set of a size and what its status says.
fn recreate(fleet: &Fleet, size: u32, status_replicas: u32) -> Memory {
    let desired = 3;
    let settings = Settings {
        kind: Strategy::Recreate,
        min_ready: Duration::ZERO,
        progress_deadline: None,
        replacement: None,
        quota: None,
        control_plane: ControlPlane::AT_ONCE,
        commands: Vec::new(),
    };
    let mut before = settings.memory(desired);
    before.sets[0].size = size;
    before.sets[0].status = SetStatus { replicas: status_replicas, ..SetStatus::default() };
    let view = View {
        now: SimTime::START,
        fleet,
        desired,
        target: Version::NEW,
        revision: 1,
        rolling_back: false,
        halted: false,
        answers: &Answers::NONE,
        promotions: 0,
        aborts: 0,
        slot_order: &[],
    };
    settings.decide(&view, &mut before);
    before
}

/// A pod of the old version: one that failed or succeeded is gone here.
fn stand_up(fleet: &mut Fleet, pod: &Value) {
    let launch = Launch { version: Version::OLD, slot: None, rank: 0, held_out: false };
    let id = fleet.launch(SimTime::START, launch);
    let life: &[Phase] = match (pod["phase"].as_str(), &pod["terminating"]) {
        (Some("failed" | "succeeded"), _) => &[Phase::Gone],
        (Some("pending"), _) => &[],
        (_, Value::Bool(true)) => &[Phase::Prepared, Phase::Starting, Phase::Ready, Phase::Draining],
        _ => &[Phase::Prepared, Phase::Starting, Phase::Ready],
    };
    for phase in life {
        fleet.enter(id, *phase, SimTime::START);
    }
}

/// Batch after batch, until one fails in part.
fn slow_start(input: &Input<'_>) -> Value {
    let (count, allowed) = (input.count("count"), input.count("successes_allowed"));
    let mut batch = input.count("initial_batch").min(count);
    let (mut successes, mut calls) = (0, 0);
    while batch > 0 && successes == calls {
        calls += batch;
        successes = calls.min(allowed);
        batch = batch_after(batch, count - calls);
    }
    json!({ "successes": successes, "calls": calls, "error": calls > successes })
}

fn pod(value: &Value, input: &Input<'_>) -> Pod {
    let each = Input(value);
    let age = |key| each.some(key).map(seconds);
    let costs = input.is("deletion_cost_enabled");
    Pod {
        assigned: each.is("assigned"),
        phase: match value["phase"].as_str() {
            Some("pending") => PodPhase::Pending,
            Some("unknown") => PodPhase::Unknown,
            _ => PodPhase::Running,
        },
        ready: each.is("ready"),
        deletion_cost: if costs { value["deletion_cost"].as_i64().unwrap_or(0) as i32 } else { 0 },
        doubled_up: each.count("rank"),
        ready_age: age("ready_age_s"),
        restarts: each.count("restarts"),
        created_age: age("created_age_s"),
    }
}
