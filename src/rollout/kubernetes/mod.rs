//! What a Kubernetes Deployment decides: RollingUpdate and Recreate.
//!
//! Sources: `pkg/controller/deployment/{rolling,recreate,progress,sync}.go`, `util/deployment_util.go` and
//! `pkg/controller/replicaset/replica_set.go`, `controller_utils.go` of kubernetes/kubernetes (1.36); KEP-3973 and
//! KEP-5882 for the replacement policy. Instances on their way out belong to no set and are not counted, so more than
//! desired + surge can exist.
//!
//! Two controllers work here, each on what the API server tells it. The *Deployment controller* makes passes: each
//! looks at the sizes and the `status` of the ReplicaSets and makes one kind of change to the sizes. Each
//! *ReplicaSet's controller* creates and deletes instances one by one until there are as many as the set's size says,
//! and then writes the set's `status`. Both are woken by events and take their time ([`ControlPlane`]).

mod client;
mod endpoints;
mod pods;
mod progress;
mod rolling;
mod scaling;
mod sets;

pub use client::{Client, Limit, Tokens};
pub use endpoints::{Conditions, Endpoint, TrafficPolicy};
pub use pods::{Pod, PodPhase, batch_after};
pub use progress::{Condition, Counts, Reason};
pub use rolling::{Bound, Bounds, NoShare, clean_up, resolve_fenceposts};
pub use scaling::Scale;
use sets::Sync;
pub use sets::{Note, ReplicaSet, Status as SetStatus};

use super::{Action, Command, Decision, Facts, Restart, Status, View, earlier};
use crate::fleet::{Instance, Phase, Version, available_at};
use crate::time::SimTime;
use pods::first_to_go;
use std::cmp::Ordering;
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

/// How fast the controllers work.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct ControlPlane {
    /// From a change of an object until a controller that watches it begins to work.
    pub watch: Duration,
    /// What a pass of the Deployment controller takes.
    pub pass: Duration,
    /// What a batch of requests takes, those of a batch being made at the same time.
    pub call: Duration,
    /// What each pod that is created adds to that.
    pub create: Duration,
    /// The limit on the requests of each controller; `None`: none.
    pub limit: Option<Limit>,
}

impl ControlPlane {
    /// Everything happens at once.
    pub const AT_ONCE: ControlPlane = ControlPlane {
        watch: Duration::ZERO,
        pass: Duration::ZERO,
        call: Duration::ZERO,
        create: Duration::ZERO,
        limit: None,
    };

    /// A controller's writes where nothing else is said: `--kube-api-qps` and `--kube-api-burst` of
    /// kube-controller-manager.
    pub const LIMIT: Limit = Limit { qps: 20.0, burst: 30 };
}

impl Default for ControlPlane {
    /// A small idle cluster: from a pod's readiness to the smaller size of an old set 9 ms, and to the next pod 32 ms,
    /// as measured on kube-controller-manager 1.36 (medians 10 ms and 29 ms).
    fn default() -> Self {
        ControlPlane {
            watch: Duration::from_millis(2),
            pass: Duration::from_millis(5),
            call: Duration::from_millis(8),
            create: Duration::from_millis(5),
            limit: Some(Self::LIMIT),
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
    /// The Deployment's `status`.
    counts: Counts,
    condition: Condition,
    /// It was complete since it was last changed. Instances that die later do not undo that.
    complete: bool,
    /// Instances of other versions than the target exist.
    old_exist: bool,
    /// When the next pass is due.
    pass_at: Option<SimTime>,
    /// When the last one has made its writes.
    busy_until: SimTime,
    /// The Deployment controller's limit, and the one of the ReplicaSets'.
    deployment_client: Client,
    set_client: Client,
    /// Events on pods that wait to be written, one after the other by the same client.
    events: u32,
    /// When the first of them is written.
    event_at: Option<SimTime>,
}

/// What the Deployment asks for: `spec` as far as it changes while a rollout is under way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Asked {
    revision: u32,
    target: Version,
    desired: u32,
    paused: bool,
}

impl Memory {
    fn new_set(&self) -> Option<usize> {
        self.sets.iter().position(|set| set.version == self.asked.target)
    }

    /// The sizes of the sets by version.
    fn sizes(&self) -> [u32; Version::COUNT] {
        let mut sizes = [0; Version::COUNT];
        for set in &self.sets {
            sizes[set.version.index()] = set.size;
        }
        sizes
    }

    /// The Deployment controller hears of something now.
    fn wake(&mut self, now: SimTime, control_plane: &ControlPlane) {
        let begins = (now + control_plane.watch).max(self.busy_until);
        self.pass_at.get_or_insert(begins + control_plane.pass);
    }
}

impl Settings {
    /// What is remembered before the rollout: all old.
    pub fn memory(&self, desired: u32) -> Memory {
        let mut old = ReplicaSet::new(Version::OLD, 0);
        old.resize(desired, desired, self.kind.bounds(desired).most());
        old.status = SetStatus { replicas: desired, ready: desired, available: desired, terminating: 0 };
        let sets = vec![old];
        Memory {
            counts: Counts::of(&sets, Version::OLD),
            sets,
            asked: Asked { revision: 0, target: Version::OLD, desired, paused: false },
            typed: None,
            condition: Condition::new(Reason::NewReplicaSetAvailable, SimTime::START),
            complete: true,
            old_exist: false,
            pass_at: None,
            busy_until: SimTime::START,
            deployment_client: Client::default(),
            set_client: Client::default(),
            events: 0,
            event_at: None,
        }
    }

    /// One decision: whatever of the controllers' work is due.
    pub fn decide(&self, view: &View<'_>, before: &Memory) -> Decision<Memory> {
        let mut memory = before.clone();
        self.hear(view, &mut memory);
        let mut actions = Vec::new();
        for place in 0..memory.sets.len() {
            self.work_on_set(view, &mut memory, place, &mut actions);
        }
        while memory.pass_at.is_some_and(|at| at <= view.now) {
            self.pass(view, &mut memory);
        }
        for set in &mut memory.sets {
            self.wake_set(view, set);
        }
        self.write_events(view.now, &mut memory);
        let deadline_at = self.looks_at(&memory);
        let requests = memory.sets.iter().filter_map(|set| set.sync).map(|sync| sync.at).min();
        let heard_at = memory.typed.map(|(_, heard_at)| heard_at);
        let wishes = [memory.pass_at, heard_at, requests, memory.event_at, deadline_at, self.next_available(view)];
        let ask_again = wishes.into_iter().fold(None, earlier).map(|at| at.max(view.now));
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
        Decision { actions, memory, ask_again, status, reported, desired, roll_back: false }
    }

    /// The Deployment controller notes what happened outside it.
    fn hear(&self, view: &View<'_>, memory: &mut Memory) {
        let asked = Asked { revision: view.revision, target: view.target, desired: view.desired, paused: view.halted };
        let heard_last = memory.typed.map_or(memory.asked, |(typed, _)| typed);
        if asked != heard_last {
            memory.complete &= asked.revision == heard_last.revision && asked.desired == heard_last.desired;
            // What is typed is a request like any other, and in force half-way through it.
            let in_force_at = view.now + self.control_plane.call / 2;
            memory.typed = Some((asked, in_force_at + self.control_plane.watch));
        }
        if let Some((typed, _)) = memory.typed.take_if(|(_, heard_at)| *heard_at <= view.now) {
            memory.asked = typed;
            let begins = view.now.max(memory.busy_until);
            memory.pass_at.get_or_insert(begins + self.control_plane.pass);
        }
        // A Recreate waits for pods, not for what the sets say of them.
        let exist =
            |version| Phase::ALL.iter().any(|phase| *phase != Phase::Gone && view.fleet.count(version, *phase) > 0);
        let old_exist = memory.asked.target.others().any(exist);
        if old_exist != memory.old_exist {
            memory.old_exist = old_exist;
            memory.wake(view.now, &self.control_plane);
        }
        if self.looks_at(memory).is_some_and(|at| at <= view.now) {
            memory.pass_at = Some(view.now);
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

    // --- the ReplicaSets' controllers
    // --------------------------------------------------------------------------------

    fn status(&self, view: &View<'_>, version: Version) -> SetStatus {
        SetStatus::of(view.fleet, version, self.available(view, version))
    }

    /// Wakes a set's controller if there is something to do.
    fn wake_set(&self, view: &View<'_>, set: &mut ReplicaSet) {
        if set.sync.is_none() && !self.is_content(view, set) {
            set.sync = Some(Sync::from(view.now + self.control_plane.watch));
            set.is_stale = false;
        }
    }

    /// Whether there are as many instances as there are to be, and the status says so.
    fn is_content(&self, view: &View<'_>, set: &ReplicaSet) -> bool {
        set.size == view.fleet.live(set.version) && set.status == self.status(view, set.version)
    }

    /// The requests of a set's controller that are due: instances are created and deleted until there are as many as
    /// its size says, and then its status is written.
    fn work_on_set(&self, view: &View<'_>, memory: &mut Memory, place: usize, actions: &mut Vec<Action>) {
        let (now, limit) = (view.now, self.control_plane.limit);
        let set = &mut memory.sets[place];
        let Some(mut sync) = set.sync.take_if(|sync| sync.at <= now) else { return };
        let (version, live) = (set.version, view.fleet.live(set.version));
        if sync.tokens.is_empty() {
            if self.is_content(view, set) {
                return;
            }
            let creates = batch_after(sync.created, set.size.saturating_sub(live));
            let pods = creates + live.saturating_sub(set.size);
            // A status is refused where the set has changed since it was read; then it is read and written again.
            let requests = if pods > 0 {
                pods
            } else if set.is_stale {
                3
            } else {
                1
            };
            let takes = self.control_plane.call + self.control_plane.create * creates;
            let tokens = memory.set_client.reserve(limit, now, requests);
            sync = Sync { at: now, tokens, created: creates, takes };
        }
        let mut requests = 0;
        while sync.tokens.peek().is_some_and(|at| at <= now) {
            sync.tokens.pop();
            requests += 1;
        }
        sync.at = sync.tokens.peek().unwrap_or(now + sync.takes);
        set.sync = Some(sync);
        if requests == 0 {
            return;
        }
        match live.cmp(&set.size) {
            Ordering::Greater => {
                requests = requests.min(live - set.size);
                let first = first_to_go(view, version, requests as usize);
                actions.extend(first.into_iter().map(|instance| Action::Terminate { instance, drain: true }));
            }
            Ordering::Less => {
                requests = requests.min(set.size - live);
                let launched = actions.iter().filter(|action| matches!(action, Action::Launch { .. })).count();
                let existing = view.fleet.existing().len() + launched;
                let room = self.quota.map_or(u32::MAX, |quota| quota.saturating_sub(existing as u32));
                let launch = Action::Launch { version, slot: None, hold: false, held_out: false };
                actions.extend(std::iter::repeat_n(launch, requests.min(room) as usize));
                set.refusals = if requests > room { set.refusals.saturating_add(1) } else { 0 };
                if set.refusals > 0 {
                    set.sync = Some(Sync::from(now + REFUSED.delay(set.refusals)));
                }
                requests = requests.min(room);
            }
            Ordering::Equal if !sync.tokens.is_empty() => return,
            Ordering::Equal => {
                // What happens later is another sync's.
                set.sync = None;
                let status = self.status(view, version);
                if set.status != status {
                    set.status = status;
                    memory.wake(now, &self.control_plane);
                }
                return;
            }
        }
        self.note_events(now, memory, place, requests);
    }

    /// Each pod created or deleted is told as an event, and events take tokens of the same client.
    fn note_events(&self, now: SimTime, memory: &mut Memory, place: usize, count: u32) {
        if self.control_plane.limit.is_some() {
            let set = &mut memory.sets[place];
            let told = count.min(set.events_left);
            set.events_left -= told;
            memory.events += told;
            self.write_events(now, memory);
        }
    }

    /// Events are written one after the other.
    fn write_events(&self, now: SimTime, memory: &mut Memory) {
        if memory.event_at.is_some_and(|at| at <= now) {
            memory.event_at = None;
        }
        if memory.event_at.is_none() && memory.events > 0 {
            memory.events -= 1;
            let token = memory.set_client.take(self.control_plane.limit, now);
            memory.event_at = Some(token + self.control_plane.call);
        }
    }

    /// How many of a version are available.
    fn available(&self, view: &View<'_>, version: Version) -> u32 {
        let ready = view.fleet.count(version, Phase::Ready);
        ready - self.not_yet_available(view, version).count() as u32
    }

    /// When those ready instances of a version become available that are not yet, the latest first.
    fn not_yet_available(&self, view: &View<'_>, version: Version) -> impl Iterator<Item = SimTime> {
        let (now, min_ready) = (view.now, self.min_ready);
        let ready = view.fleet.ready_times(version).rev().filter(move |_| !min_ready.is_zero());
        ready.map(move |since| available_at(since, min_ready, true)).take_while(move |at| *at > now)
    }

    /// When the next instance becomes available if nothing happens to it.
    fn next_available(&self, view: &View<'_>) -> Option<SimTime> {
        Version::all().filter_map(|version| self.not_yet_available(view, version).last()).min()
    }

    // --- the Deployment controller
    // -----------------------------------------------------------------------------------

    /// One pass (`syncDeployment`).
    fn pass(&self, view: &View<'_>, memory: &mut Memory) {
        let (now, sizes) = (view.now, memory.sizes());
        let mut after = memory.clone();
        after.pass_at = None;
        let Asked { desired, paused, .. } = after.asked;
        Self::note_pause(now, &mut after);
        if paused || scaling::is_due(&after.sets, desired) {
            self.scale(&mut after);
        } else {
            match self.kind {
                Kind::RollingUpdate { .. } => self.roll(now, &mut after),
                Kind::Recreate => self.recreate(now, &mut after),
            }
        }
        self.sync_status(now, &mut after);
        let resized = after.sets.iter().filter(|set| set.size != sizes[set.version.index()]).count();
        let writes =
            (resized + usize::from(after.counts != memory.counts || after.condition != memory.condition)) as u32;
        // A pass whose requests have to wait is made when they may be done. Each resizing is told as an event, too.
        let limit = self.control_plane.limit;
        let granted_at = (0..writes + resized as u32).map(|_| after.deployment_client.take(limit, now)).max();
        if let Some(at) = granted_at.filter(|at| *at > now) {
            memory.pass_at = Some(at);
            return;
        }
        after.busy_until = now + self.control_plane.call * writes;
        if resized > 0 || after.sets.len() != memory.sets.len() {
            after.wake(now, &self.control_plane);
        }
        *memory = after;
    }

    /// Pausing stops the clock of the progress deadline (`checkPausedConditions`).
    fn note_pause(now: SimTime, memory: &mut Memory) {
        let is_noted = memory.condition.reason == Reason::DeploymentPaused;
        let is_stuck = memory.condition.reason == Reason::ProgressDeadlineExceeded;
        if memory.asked.paused && !is_noted && !is_stuck {
            memory.condition = Condition::new(Reason::DeploymentPaused, now);
        } else if !memory.asked.paused && is_noted {
            memory.condition = Condition::new(Reason::DeploymentResumed, now);
        }
    }

    /// Whether terminating pods hold room.
    fn terminating_hold_room(&self) -> bool {
        self.replacement == Some(PodReplacement::TerminationComplete)
    }

    fn scale(&self, memory: &mut Memory) {
        let bounds = self.kind.bounds(memory.asked.desired);
        let scale = Scale {
            desired: bounds.desired,
            most: bounds.most(),
            replicas: memory.counts.replicas,
            terminating: if self.terminating_hold_room() { terminating(&memory.sets) } else { 0 },
            is_rolling: matches!(self.kind, Kind::RollingUpdate { .. }),
        };
        let new = memory.new_set();
        scale.apply(&mut memory.sets, new);
    }

    /// `rolloutRolling`: the new set grows, or else the old ones shrink.
    fn roll(&self, now: SimTime, memory: &mut Memory) {
        let bounds = self.kind.bounds(memory.asked.desired);
        let held = if self.terminating_hold_room() { held_room(&memory.sets) } else { 0 };
        let total = memory.sets.iter().map(|set| set.size).sum::<u32>() + held;
        let new = memory.new_set().unwrap_or_else(|| {
            let size = bounds.new_set_may_have(0, total);
            create_set(now, memory, size, bounds);
            memory.sets.len() - 1
        });
        let total = memory.sets.iter().map(|set| set.size).sum::<u32>() + held;
        let size = memory.sets[new].size;
        let grown = bounds.new_set_after_pass(size, total);
        if grown != size {
            memory.sets[new].resize(grown, bounds.desired, bounds.most());
            return;
        }
        let figures = (size, memory.sets[new].status.available);
        let before = memory.sizes();
        let target = memory.asked.target;
        let mut old: Vec<&mut ReplicaSet> = memory.sets.iter_mut().filter(|set| set.version != target).collect();
        bounds.shrink_old_sets(&mut old, figures);
        for set in old {
            if set.size != before[set.version.index()] {
                set.resize(set.size, bounds.desired, bounds.most());
            }
        }
    }

    /// `rolloutRecreate`: the new set is created once nothing of an old one exists, or, where terminating pods hold
    /// no room, once all of it is on its way out.
    fn recreate(&self, now: SimTime, memory: &mut Memory) {
        let bounds = self.kind.bounds(memory.asked.desired);
        let target = memory.asked.target;
        let mut shrank = false;
        for set in memory.sets.iter_mut().filter(|set| set.version != target && set.size > 0) {
            set.resize(0, bounds.desired, bounds.most());
            shrank = true;
        }
        let starts_early = self.replacement == Some(PodReplacement::TerminationStarted);
        let replicas_left = memory.sets.iter().any(|set| set.version != target && set.status.replicas > 0);
        if shrank || replicas_left || (memory.old_exist && !starts_early) {
            return;
        }
        match memory.new_set() {
            Some(new) => memory.sets[new].resize(bounds.desired, bounds.desired, bounds.most()),
            None => create_set(now, memory, bounds.desired, bounds),
        }
    }

    /// `syncRolloutStatus`: the sums, and what they mean.
    fn sync_status(&self, now: SimTime, memory: &mut Memory) {
        let counts = Counts::of(&memory.sets, memory.asked.target);
        let before = std::mem::replace(&mut memory.counts, counts);
        if memory.asked.paused {
            return;
        }
        let desired = memory.asked.desired;
        let waits_for_terminating = self.terminating_hold_room() && counts.terminating > 0;
        let is_complete = counts.is_complete(desired) && !waits_for_terminating;
        let was_available = memory.condition.reason == Reason::NewReplicaSetAvailable;
        let fewer_terminating = self.terminating_hold_room() && counts.terminating < before.terminating;
        if is_complete {
            memory.complete |= memory.typed.is_none();
            if !was_available {
                memory.condition = Condition::new(Reason::NewReplicaSetAvailable, now);
            }
        } else if was_available && counts.replicas == counts.updated {
            // Complete once, and only scaled or short of instances now.
        } else if counts.has_progressed(&before) || fewer_terminating {
            memory.condition = Condition::new(Reason::ReplicaSetUpdated, now);
        } else if memory.condition.is_overdue(self.progress_deadline, now) {
            memory.condition.reason = Reason::ProgressDeadlineExceeded;
        }
    }
}

impl Facts for Settings {
    fn name(&self) -> &'static str {
        "kubernetes"
    }

    fn commands(&self) -> &[Command] {
        &self.commands
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

/// A new set for the target.
fn create_set(now: SimTime, memory: &mut Memory, size: u32, bounds: Bounds) {
    let mut set = ReplicaSet::new(memory.asked.target, 0);
    set.resize(size, bounds.desired, bounds.most());
    memory.sets.push(set);
    memory.condition = Condition::new(Reason::NewReplicaSetCreated, now);
}

fn terminating(sets: &[ReplicaSet]) -> u32 {
    sets.iter().map(|set| set.status.terminating).sum()
}

/// Room that is held beyond the sets' sizes: by instances on their way out, and by those that will be.
fn held_room(sets: &[ReplicaSet]) -> u32 {
    terminating(sets) + sets.iter().map(|set| set.status.replicas.saturating_sub(set.size)).sum::<u32>()
}

#[cfg(test)]
mod tests;
