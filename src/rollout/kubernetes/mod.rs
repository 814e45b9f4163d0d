//! What a Kubernetes Deployment decides: RollingUpdate and Recreate.
//!
//! Sources: `pkg/controller/deployment/{rolling,recreate,progress,sync}.go`, `util/deployment_util.go` and
//! `pkg/controller/replicaset/replica_set.go`, `controller_utils.go` of kubernetes/kubernetes (1.36); KEP-3973 and
//! KEP-5882 for the replacement policy. Instances on their way out belong to no set and are not counted, so more than
//! desired + surge can exist.
//!
//! Two controllers work here, each on what the API server tells it. The *Deployment controller* makes passes
//! (`passes`): each looks at the sizes and the `status` of the ReplicaSets and makes one kind of change to the sizes.
//! The *ReplicaSets' controller* makes syncs (`syncs`): each creates or deletes instances until there are as many as a
//! set's size says, and then writes the set's `status`. Both are woken by events, go by what they read when they began,
//! and take their time ([`ControlPlane`]).

mod client;
mod endpoints;
mod passes;
mod pods;
mod progress;
mod rolling;
mod scaling;
mod sets;
mod syncs;

pub use client::{Client, Limit, Tokens};
pub use endpoints::{Conditions, Endpoint, TrafficPolicy};
pub(super) use pods::first_to_go;
pub use pods::{Pod, PodPhase, batch_after};
pub use progress::{Condition, Counts, Reason};
pub use rolling::{Bound, Bounds, Lags, NoShare, clean_up, resolve_fenceposts};
pub use scaling::Scale;
use sets::MOST_EVENTS;
pub use sets::{Note, ReplicaSet, Status as SetStatus, find_new, find_old};

use super::{Command, Decision, Facts, Resolved, Restart, Status, View};
use crate::fleet::{Instance, Phase, Version, available_at};
use crate::time::{SimTime, nanos};
use passes::Pass;
use std::fmt;
use std::time::Duration;

/// `terminationGracePeriodSeconds` where none is given.
pub const GRACE: Duration = Duration::from_secs(30);

/// What the kubelet adds where the preStop hook used up the grace period.
pub const PRE_STOP_EXTENSION: Duration = Duration::from_secs(2);

/// The kubelet's crash loop back-off: 10 s, doubled up to 5 min, forgotten after 10 min of running.
pub const RESTART: Restart =
    Restart { initial: Duration::from_secs(10), longest: Duration::from_mins(5), reset_after: Duration::from_mins(10) };

/// How a ReplicaSet whose creations are refused is tried again: 5 ms, doubled up to 1000 s
/// (`DefaultControllerRateLimiter` of client-go).
pub const REFUSED: Restart =
    Restart { initial: Duration::from_millis(5), longest: Duration::from_secs(1000), reset_after: Duration::ZERO };

/// `progressDeadlineSeconds` where none is given.
pub const PROGRESS_DEADLINE: Duration = Duration::from_mins(10);

/// How old instances give way to new ones.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A few at a time, within bounds on the totals.
    RollingUpdate {
        /// How many more than desired may be asked for.
        max_surge: Bound,
        /// How many fewer than desired may be available.
        max_unavailable: Bound,
    },
    /// All old ones first, then all new ones.
    Recreate,
}

impl Kind {
    /// How far a rolling update may go; a Recreate knows neither surge nor a least availability.
    pub fn bounds(self, desired: u32) -> Bounds {
        match self {
            Kind::RollingUpdate { max_surge, max_unavailable } => Bounds::resolve(max_surge, max_unavailable, desired),
            Kind::Recreate => Bounds { desired, surge: 0, unavailable: 0 },
        }
    }
}

/// A Deployment's settings.
#[derive(Clone, Debug, PartialEq)]
pub struct Settings {
    /// `spec.strategy`.
    pub kind: Kind,
    /// `minReadySeconds`.
    pub min_ready: Duration,
    /// `progressDeadlineSeconds`; `None`: never.
    pub progress_deadline: Option<Duration>,
    /// `podReplacementPolicy`; `None`: a rollout replaces terminating pods at once, a Recreate once they are gone.
    pub replacement: Option<PodReplacement>,
    /// How many pods the namespace may hold, terminating ones included; `None`: as many as are asked for.
    pub quota: Option<u32>,
    /// How fast the controllers work.
    pub control_plane: ControlPlane,
    /// What is typed while the rollout is under way.
    pub commands: Vec<Command>,
}

/// `podReplacementPolicy` (KEP-3973).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PodReplacement {
    /// A terminating pod is replaced at once: it holds no room.
    TerminationStarted,
    /// A terminating pod is replaced once it is gone: it holds room until then, and delays completion.
    TerminationComplete,
}

impl PodReplacement {
    /// The original's word.
    pub const fn name(self) -> &'static str {
        match self {
            PodReplacement::TerminationStarted => "TerminationStarted",
            PodReplacement::TerminationComplete => "TerminationComplete",
        }
    }
}

impl fmt::Display for PodReplacement {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// How fast the controllers work.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct ControlPlane {
    /// From a change of an object until a controller that watches it begins to work.
    pub watch: Duration,
    /// What a pass of the Deployment controller takes before its first request.
    pub pass: Duration,
    /// What a request takes. It is in force half-way through it.
    pub call: Duration,
    /// What each of several pods that are created at the same time adds to that.
    pub create: Duration,
    /// The limit on the requests of each controller; `None`: none.
    pub limit: Option<Limit>,
    /// How many events about the old set its controller has written shortly before the rollout: so many fewer come
    /// through before the rest is dropped as spam.
    pub told_before: u32,
    /// From when a kubelet finds a pod ready until the API server knows it; `minReadySeconds` counts from the former.
    pub kubelet: Duration,
}

impl ControlPlane {
    /// Everything happens at once.
    pub const AT_ONCE: ControlPlane = ControlPlane {
        watch: Duration::ZERO,
        pass: Duration::ZERO,
        call: Duration::ZERO,
        create: Duration::ZERO,
        limit: None,
        told_before: 0,
        kubelet: Duration::ZERO,
    };

    /// A controller's requests where nothing else is said: `--kube-api-qps` and `--kube-api-burst` of
    /// kube-controller-manager.
    pub const LIMIT: Limit = Limit { qps: 20.0, burst: 30 };

    /// From when a request is made until it is in force, and from then until it is answered.
    fn half_call(&self) -> Duration {
        self.call / 2
    }
}

impl Default for ControlPlane {
    /// A small idle cluster: from a pod's readiness to the smaller size of an old set 10 ms, and to the next pod 32 ms,
    /// as measured on kube-controller-manager 1.36 (medians 10 ms and 29 ms).
    fn default() -> Self {
        ControlPlane {
            watch: Duration::from_millis(1),
            pass: Duration::from_millis(1),
            call: Duration::from_millis(7),
            create: Duration::from_millis(2),
            limit: Some(Self::LIMIT),
            ..Self::AT_ONCE
        }
    }
}

/// What the Deployment's and the ReplicaSets' objects hold, and what their controllers are at.
#[derive(Clone, Debug, PartialEq)]
pub struct Memory {
    /// The ReplicaSets, oldest first.
    pub sets: Vec<ReplicaSet>,
    /// What the Deployment asks for, as far as its controller has heard of it.
    asked: Asked,
    /// What was typed since, and when that is heard of.
    typed: Option<(Asked, SimTime)>,
    /// The Deployment's `revision` annotation.
    revision: u32,
    /// What of it its `status` tells of (`status.observedGeneration`).
    observed: Asked,
    /// The Deployment's `status`.
    counts: Counts,
    condition: Condition,
    /// It was complete since it was last changed. Instances that die later do not undo that.
    complete: bool,
    /// Instances of other versions than the target exist.
    old_exist: bool,
    /// The pass under way.
    pass: Option<Pass>,
    /// When the next one begins, if none is under way then.
    woken_at: Option<SimTime>,
    /// Events about the Deployment that its controller may still write: more are dropped as spam.
    events_left: u32,
    /// The Deployment controller's client, and the one of the ReplicaSets'.
    deployment_client: Client,
    set_client: Client,
}

/// What the Deployment asks for: `spec` as far as it changes while a rollout is under way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Asked {
    revision: u32,
    target: Version,
    desired: u32,
    paused: bool,
}

/// What a decision may change where neither a sync nor a pass goes on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Outline {
    asked: Asked,
    typed: Option<(Asked, SimTime)>,
    complete: bool,
    old_exist: bool,
    woken_at: Option<SimTime>,
    clients: [Client; 2],
}

impl Memory {
    fn outline(&self) -> Outline {
        let Memory { asked, typed, complete, old_exist, woken_at, deployment_client, set_client, .. } = *self;
        Outline { asked, typed, complete, old_exist, woken_at, clients: [deployment_client, set_client] }
    }

    /// The sizes of the sets by version.
    fn sizes(&self) -> [u32; Version::COUNT] {
        let mut sizes = [0; Version::COUNT];
        for set in &self.sets {
            sizes[set.version.index()] = set.size;
        }
        sizes
    }
}

impl Settings {
    /// What is remembered before the rollout: all old.
    pub fn memory(&self, desired: u32) -> Memory {
        let mut old = ReplicaSet::new(Version::OLD, 0);
        old.resize(desired, desired, self.kind.bounds(desired).most());
        old.status = SetStatus { replicas: desired, ready: desired, available: desired, terminating: 0 };
        old.revision = 1;
        old.events_left = MOST_EVENTS.saturating_sub(self.control_plane.told_before);
        let sets = vec![old];
        let asked = Asked { revision: 0, target: Version::OLD, desired, paused: false };
        Memory {
            counts: Counts::of(&sets, Version::OLD),
            sets,
            asked,
            typed: None,
            revision: 1,
            observed: asked,
            condition: Condition::new(Reason::NewReplicaSetAvailable, SimTime::START),
            complete: true,
            old_exist: false,
            pass: None,
            woken_at: None,
            events_left: MOST_EVENTS,
            deployment_client: Client::default(),
            set_client: Client::default(),
        }
    }

    /// One decision: whatever of the controllers' work is due.
    pub fn decide(&self, view: &View<'_>, memory: &mut Memory) -> Decision {
        let before = memory.outline();
        self.hear(view, memory);
        let mut actions = Vec::new();
        let mut goes_on = false;
        for place in 0..memory.sets.len() {
            goes_on |= self.sync_set(view, memory, place, &mut actions);
        }
        goes_on |= self.run_passes(view.now, memory);
        for set in &mut memory.sets {
            goes_on |= self.wake_set(view, set);
        }
        for client in [&mut memory.deployment_client, &mut memory.set_client] {
            client.write_events(self.control_plane.limit, self.control_plane.call, view.now);
        }
        let ask_again = self.next_step(view, memory);
        let status = match memory.condition.reason {
            _ if memory.complete => Status::Completed,
            _ if view.halted => Status::Paused,
            Reason::ProgressDeadlineExceeded => Status::Stuck,
            _ => Status::Progressing,
        };
        let reported = match memory.condition.reason {
            // As `kubectl rollout status` says until the controllers have caught up with what is asked for.
            Reason::NewReplicaSetAvailable if !memory.complete => "Waiting",
            reason => reason.word(),
        };
        let desired = memory.sizes();
        Decision {
            actions,
            settled: !goes_on && memory.outline() == before,
            ask_again,
            status,
            reported,
            desired,
            roll_back: false,
        }
    }

    /// The Deployment controller notes what happened outside it.
    fn hear(&self, view: &View<'_>, memory: &mut Memory) {
        let asked = Asked { revision: view.revision, target: view.target, desired: view.desired, paused: view.halted };
        let heard_last = memory.typed.map_or(memory.asked, |(typed, _)| typed);
        if asked != heard_last {
            memory.complete &= asked.revision == heard_last.revision && asked.desired == heard_last.desired;
            // What is typed is a request like any other.
            let in_force_at = view.now + self.control_plane.half_call();
            memory.typed = Some((asked, in_force_at + self.control_plane.watch));
        }
        if let Some((typed, _)) = memory.typed.take_if(|(_, heard_at)| *heard_at <= view.now) {
            memory.asked = typed;
            memory.woken_at = Some(view.now);
        }
        // A Recreate waits for pods, not for what the sets say of them.
        let old_exist = memory.asked.target.others().any(|version| view.fleet.exists(version));
        if old_exist != memory.old_exist {
            memory.old_exist = old_exist;
            memory.wake(view.now, &self.control_plane);
        }
        if self.looks_at(memory).is_some_and(|at| at <= view.now) {
            memory.woken_at = Some(view.now);
        }
    }

    /// When the controller looks at a Deployment that makes no progress.
    fn looks_at(&self, memory: &Memory) -> Option<SimTime> {
        let is_final = matches!(
            memory.condition.reason,
            Reason::NewReplicaSetAvailable | Reason::ProgressDeadlineExceeded | Reason::DeploymentPaused
        );
        let deadline = self.progress_deadline.filter(|_| !is_final)?;
        Some(memory.condition.at + deadline + Duration::from_secs(1))
    }

    /// When there is something to do if nothing happens.
    fn next_step(&self, view: &View<'_>, memory: &Memory) -> Option<SimTime> {
        let begins = memory.woken_at.filter(|_| memory.pass.is_none());
        let answered = memory.pass.as_ref().map(|pass| pass.at);
        let syncs = memory.sets.iter().filter_map(|set| set.sync.as_ref().map(|sync| sync.at)).min();
        let retries = memory.sets.iter().filter_map(|set| set.retry_at.filter(|_| set.sync.is_none())).min();
        let heard_at = memory.typed.map(|(_, heard_at)| heard_at);
        let events = [memory.deployment_client.event_answered_at(), memory.set_client.event_answered_at()];
        let wishes = [begins, answered, syncs, retries, heard_at, self.looks_at(memory), self.next_available(view)];
        wishes.into_iter().chain(events).flatten().filter(|at| *at > view.now).min()
    }

    /// How many of a version are available.
    fn available(&self, view: &View<'_>, version: Version) -> u32 {
        view.fleet.count(version, Phase::Ready) - self.not_yet_available(view, version).0
    }

    /// How many ready instances of a version are not available yet, and when the first of them is.
    fn not_yet_available(&self, view: &View<'_>, version: Version) -> (u32, Option<SimTime>) {
        if self.min_ready.is_zero() {
            return (0, None);
        }
        let kubelet = nanos(self.control_plane.kubelet);
        let found_ready = |since: SimTime| SimTime::from_nanos(since.nanos().saturating_sub(kubelet));
        let available = |since: SimTime| available_at(found_ready(since), self.min_ready, true).max(since);
        let (count, first) = view.fleet.ready(version).later(|since| available(since) <= view.now);
        (count, first.map(available))
    }

    /// When the next instance becomes available if nothing happens to it.
    fn next_available(&self, view: &View<'_>) -> Option<SimTime> {
        Version::all().filter_map(|version| self.not_yet_available(view, version).1).min()
    }
}

impl Facts for Settings {
    fn name(&self) -> &'static str {
        "kubernetes"
    }

    fn commands(&self) -> &[Command] {
        &self.commands
    }

    fn commands_mut(&mut self) -> &mut Vec<Command> {
        &mut self.commands
    }

    fn resolves(&self, desired: u32) -> Vec<Resolved> {
        let mut all = match self.kind {
            Kind::RollingUpdate { max_surge, max_unavailable } => {
                let bounds = self.kind.bounds(desired);
                let of = |bound: Bound, count: u32, rounded: &str| match bound {
                    Bound::Count(_) => count.to_string(),
                    Bound::Percent(percent) => format!("{count}: {percent} % of {desired}, rounded {rounded}"),
                };
                let Bounds { surge, unavailable, .. } = bounds;
                let by_rule = max_unavailable.of(desired, false).min(desired) != unavailable;
                let why = if by_rule { ", but one where both come to none" } else { "" };
                vec![
                    Resolved::new(
                        "strategy",
                        "RollingUpdate",
                        format!(
                            "{} to {} pods, {} of them available",
                            bounds.least_available(),
                            bounds.most(),
                            bounds.least_available()
                        ),
                    ),
                    Resolved::new("maxSurge", max_surge, of(max_surge, surge, "up")),
                    Resolved::new("maxUnavailable", max_unavailable, of(max_unavailable, unavailable, "down") + why),
                ]
            }
            Kind::Recreate => {
                let means = format!("all {desired} old pods go before the first new one comes");
                vec![Resolved::new("strategy", "Recreate", means)]
            }
        };
        let seconds = |span: Duration| span.as_secs();
        if !self.min_ready.is_zero() {
            let means = "a pod counts as available that long after the whole second in which it was ready";
            all.push(Resolved::new("minReadySeconds", seconds(self.min_ready), means));
        }
        all.push(match self.progress_deadline {
            Some(deadline) => Resolved::new(
                "progressDeadlineSeconds",
                seconds(deadline),
                "it is reported that late that nothing moves; nothing is taken back",
            ),
            None => Resolved::new("progressDeadlineSeconds", i32::MAX, "never"),
        });
        if let Some(quota) = self.quota {
            let most = self.kind.bounds(desired).most();
            all.push(Resolved::new(
                "quota",
                quota,
                format!("{most} are asked for at the most, beside those that terminate"),
            ));
        }
        all
    }

    fn quota(&self) -> Option<u32> {
        self.quota
    }

    fn lift_quota(&mut self) {
        self.quota = None;
    }

    fn deadline(&self) -> Option<Duration> {
        self.progress_deadline
    }

    fn restarts_in_place(&self, given: Option<Restart>) -> Option<Restart> {
        given.or(Some(RESTART))
    }

    fn grace(&self) -> Option<Duration> {
        Some(GRACE)
    }

    fn least_time_to_stop(&self) -> Duration {
        PRE_STOP_EXTENSION
    }

    fn min_ready(&self) -> (Duration, bool) {
        (self.min_ready, true)
    }

    fn lists(&self, instance: &Instance) -> bool {
        Conditions::of(instance).ready
    }
}

#[cfg(test)]
mod tests;
