//! What a Kubernetes Deployment decides: RollingUpdate and Recreate.
//!
//! Sources: `pkg/controller/deployment/{rolling,recreate,progress,sync}.go`, `util/deployment_util.go` and
//! `pkg/controller/replicaset/replica_set.go`, `controller_utils.go` of kubernetes/kubernetes (1.36). A set here is
//! the ReplicaSet of one version; its size is `spec.replicas`. Instances on their way out belong to no set and are
//! not counted, so more than desired + surge can exist. A pass makes one kind of change: it grows the target's set,
//! or else shrinks the others.

use super::{Action, Command, Decision, Restart, Status, View, earlier};
use crate::fleet::{Instance, InstanceId, Phase, Version};
use crate::time::SimTime;
use std::cmp::Reverse;
use std::time::Duration;

/// `terminationGracePeriodSeconds` where none is given.
pub const GRACE: Duration = Duration::from_secs(30);

/// What the kubelet adds where the preStop hook used up the grace period.
pub const PRE_STOP_EXTENSION: Duration = Duration::from_secs(2);

/// The kubelet's crash loop back-off: 10 s, doubled up to 5 min, forgotten after 10 min of running.
pub const RESTART: Restart =
    Restart { initial: Duration::from_secs(10), longest: Duration::from_mins(5), reset_after: Duration::from_mins(10) };

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

/// A Deployment's settings, resolved.
#[derive(Clone, Debug, PartialEq)]
pub struct Settings {
    /// `spec.strategy`.
    pub kind: Kind,
    /// `minReadySeconds`.
    pub min_ready: Duration,
    /// `progressDeadlineSeconds`; `None`: never.
    pub progress_deadline: Option<Duration>,
    /// Which pods hold the room that surge leaves.
    pub replacement: PodReplacement,
    /// How many pods the namespace may hold, terminating ones included; `None`: as many as are asked for.
    pub quota: Option<u32>,
    /// How fast the controllers work.
    pub control_plane: ControlPlane,
    /// What is typed while the rollout is under way.
    pub commands: Vec<Command>,
}

/// `podReplacementPolicy` (KEP-3973).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum PodReplacement {
    /// A terminating pod is replaced at once: it holds no room.
    #[default]
    TerminationStarted,
    /// A terminating pod is replaced once it is gone: it holds room until then.
    TerminationComplete,
}

/// How fast the controllers work.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct ControlPlane {
    /// From an event until the Deployment controller has acted on it.
    pub pass: Duration,
    /// From a new size of a ReplicaSet until its controller begins to create or delete.
    pub watch: Duration,
    /// What each pod created or deleted takes.
    pub object: Duration,
    /// Writes a second that a controller's client may make on the average; `None`: no limit.
    pub qps: Option<f64>,
    /// Writes that a client may make at once after a pause.
    pub burst: u32,
}

impl ControlPlane {
    /// Everything happens at once.
    pub const AT_ONCE: ControlPlane =
        ControlPlane { pass: Duration::ZERO, watch: Duration::ZERO, object: Duration::ZERO, qps: None, burst: 1 };
}

/// What the Deployment's objects hold between two passes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Memory {
    /// `spec.replicas` of each version's ReplicaSet.
    pub sizes: [u32; Version::COUNT],
    target: Version,
    next_pass: SimTime,
    progress: Progress,
    complete: bool,
}

/// The counts whose improvement the progress deadline waits for, and when they last improved.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Progress {
    at: SimTime,
    updated: u32,
    outdated: u32,
    ready: u32,
    available: u32,
}

impl Memory {
    /// Before the rollout: all old.
    pub fn new(desired: u32) -> Self {
        let mut sizes = [0; Version::COUNT];
        sizes[Version::OLD.index()] = desired;
        Memory { sizes, target: Version::OLD, next_pass: SimTime::START, progress: Progress::default(), complete: true }
    }
}

/// `maxSurge` and `maxUnavailable` as counts against `desired`: the surge's share rounds up, the other one down, it
/// is at most
/// `desired`, and where both come to nothing it is 1, or no step would be possible (`ResolveFenceposts`).
pub fn resolve_fenceposts(max_surge: Bound, max_unavailable: Bound, desired: u32) -> (u32, u32) {
    let surge = max_surge.of(desired, true);
    let unavailable = max_unavailable.of(desired, false);
    let unavailable = if surge == 0 && unavailable == 0 { 1 } else { unavailable };
    (surge, unavailable.min(desired))
}

/// A count, or a share of the desired count in percent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Bound {
    /// So many.
    Count(u32),
    /// So many in a hundred.
    Percent(u32),
}

impl Bound {
    fn of(self, total: u32, round_up: bool) -> u32 {
        match self {
            Bound::Count(count) => count,
            Bound::Percent(percent) => {
                let hundredfold = u64::from(percent) * u64::from(total);
                let count = if round_up { hundredfold.div_ceil(100) } else { hundredfold / 100 };
                u32::try_from(count).unwrap_or(u32::MAX)
            }
        }
    }
}

impl Settings {
    /// One decision: a pass of the Deployment controller if one is due, then the ReplicaSets make the fleet follow.
    pub fn decide(&self, view: &View<'_>, before: &Memory) -> Decision<Memory> {
        let mut memory = before.clone();
        if memory.target != view.target {
            memory.target = view.target;
            memory.complete = false;
            memory.progress = Progress { at: view.now, ..self.counts(view) };
        }
        if !view.halted && view.now >= memory.next_pass {
            let sizes = match self.kind {
                Kind::RollingUpdate { max_surge, max_unavailable } => {
                    let (max_surge, max_unavailable) = resolve_fenceposts(max_surge, max_unavailable, view.desired);
                    self.rolling_pass(view, memory.sizes, max_surge, max_unavailable)
                }
                Kind::Recreate => recreate_pass(view, memory.sizes),
            };
            if sizes != memory.sizes {
                memory.sizes = sizes;
                memory.next_pass = view.now + self.control_plane.pass;
            }
        }
        let actions = replica_set_actions(view, memory.sizes);
        self.note_progress(view, &mut memory);
        let overdue_at = self.overdue_at(&memory);
        let status = match overdue_at {
            _ if memory.complete => Status::Completed,
            _ if view.halted => Status::Paused,
            Some(at) if at <= view.now => Status::Stuck,
            _ => Status::Progressing,
        };
        let later = |at: Option<SimTime>| at.filter(|at| *at > view.now);
        let deadline = if memory.complete || view.halted { None } else { overdue_at };
        let ask_again = earlier(self.next_available(view), earlier(later(Some(memory.next_pass)), later(deadline)));
        let desired = memory.sizes;
        let reported = match status {
            Status::Completed => "NewReplicaSetAvailable",
            Status::Paused => "DeploymentPaused",
            Status::Stuck => "ProgressDeadlineExceeded",
            Status::Progressing | Status::Failed => "ReplicaSetUpdated",
        };
        Decision { actions, memory, ask_again, status, reported, desired, roll_back: false }
    }

    /// One pass of `rolloutRolling`: sizes of the sets after it.
    fn rolling_pass(
        &self,
        view: &View<'_>,
        mut sizes: [u32; Version::COUNT],
        max_surge: u32,
        max_unavailable: u32,
    ) -> [u32; Version::COUNT] {
        let (new, old) = (view.target.index(), old_version(view).index());
        let total: u32 = sizes.iter().sum();
        let room = (view.desired + max_surge).saturating_sub(total);
        let grown =
            if sizes[new] > view.desired { view.desired } else { sizes[new] + room.min(view.desired - sizes[new]) };
        if grown != sizes[new] {
            sizes[new] = grown;
            return sizes;
        }
        let available = |version: Version| self.available(view, version);
        let min_available = view.desired - max_unavailable;
        let new_unavailable = sizes[new].saturating_sub(available(view.target));
        let may_go = total.saturating_sub(min_available).saturating_sub(new_unavailable);
        if sizes[old] == 0 || may_go == 0 {
            return sizes;
        }
        // Old instances that do not work go first, even below the availability bound: a broken old version must not
        // block the way out of it.
        let broken = sizes[old].saturating_sub(available(old_version(view)));
        sizes[old] -= broken.min(may_go);
        let all_available = available(view.target) + available(old_version(view));
        sizes[old] -= all_available.saturating_sub(min_available).min(sizes[old]);
        sizes
    }

    /// How many of a set are available.
    fn available(&self, view: &View<'_>, version: Version) -> u32 {
        if self.min_ready.is_zero() {
            return view.fleet.count(version, Phase::Ready);
        }
        let is_available = |instance: &Instance| {
            instance.version == version && instance.available_at(self.min_ready, true).is_some_and(|at| at <= view.now)
        };
        view.fleet.all_live().filter(|(_, instance)| is_available(instance)).count() as u32
    }

    /// When the next instance becomes available if nothing happens to it.
    fn next_available(&self, view: &View<'_>) -> Option<SimTime> {
        if self.min_ready.is_zero() {
            return None;
        }
        let at = |instance: &Instance| instance.available_at(self.min_ready, true);
        view.fleet.all_live().filter_map(|(_, instance)| at(instance)).filter(|at| *at > view.now).min()
    }

    fn counts(&self, view: &View<'_>) -> Progress {
        let outdated = old_version(view);
        let ready = |version| view.fleet.count(version, Phase::Ready);
        Progress {
            at: view.now,
            updated: view.fleet.live(view.target),
            outdated: view.fleet.live(outdated),
            ready: ready(view.target) + ready(outdated),
            available: self.available(view, view.target) + self.available(view, outdated),
        }
    }

    /// `DeploymentComplete` and `DeploymentProgressing`. Complete is final: instances that die later do not undo it.
    fn note_progress(&self, view: &View<'_>, memory: &mut Memory) {
        let counts = self.counts(view);
        let before = memory.progress;
        let progressed = counts.updated > before.updated
            || counts.outdated < before.outdated
            || counts.ready > before.ready
            || counts.available > before.available;
        memory.progress = Progress { at: if progressed { view.now } else { before.at }, ..counts };
        memory.complete |= counts.updated == view.desired
            && counts.outdated == 0
            && counts.available == view.desired
            && memory.sizes[view.target.index()] == view.desired;
    }

    /// When the lack of progress is reported: the timestamp is kept in whole seconds and the controller looks a
    /// second after the deadline.
    fn overdue_at(&self, memory: &Memory) -> Option<SimTime> {
        let deadline = self.progress_deadline?;
        Some(memory.progress.at.whole_second() + deadline + Duration::from_secs(1))
    }
}

fn old_version(view: &View<'_>) -> Version {
    if view.target == Version::OLD { Version::NEW } else { Version::OLD }
}

/// One pass of `rolloutRecreate`: the new set is created once nothing of an old one exists, terminating instances
/// included.
fn recreate_pass(view: &View<'_>, mut sizes: [u32; Version::COUNT]) -> [u32; Version::COUNT] {
    let outdated = old_version(view);
    if sizes[outdated.index()] > 0 {
        sizes[outdated.index()] = 0;
    } else if !view.fleet.existing().any(|(_, instance)| instance.version == outdated) {
        sizes[view.target.index()] = view.desired;
    }
    sizes
}

/// What the ReplicaSets do so that as many instances live as they were sized to.
fn replica_set_actions(view: &View<'_>, sizes: [u32; Version::COUNT]) -> Vec<Action> {
    let mut actions = Vec::new();
    for version in Version::all() {
        let (live, size) = (view.fleet.live(version), sizes[version.index()]);
        if live < size {
            let launch = Action::Launch { version, slot: None, hold: false, held_out: false };
            actions.extend(std::iter::repeat_n(launch, (size - live) as usize));
        } else if live > size {
            let first_to_go = first_to_go(view, version, (live - size) as usize);
            actions.extend(first_to_go.into_iter().map(|instance| Action::Terminate { instance, drain: true }));
        }
    }
    actions
}

/// The deletion order of `ActivePodsWithRanks` as far as it can tell these instances apart: not ready before ready,
/// ready more recently, more restarts, created more recently; ages are compared by powers of two, and among equals
/// chance decides.
fn first_to_go(view: &View<'_>, version: Version, count: usize) -> Vec<InstanceId> {
    let age = |since: SimTime| view.now.since(since).as_nanos().checked_ilog2();
    let mut order: Vec<_> = view
        .fleet
        .all_live()
        .filter(|(_, instance)| instance.version == version)
        .map(|(id, instance)| {
            let running = instance.phase() >= Phase::Starting;
            let ready_age = instance.ready_since.map(age);
            let key = (
                running,
                ready_age.is_some(),
                ready_age,
                Reverse(instance.failures),
                age(instance.launched_at),
                instance.rank,
            );
            (key, id)
        })
        .collect();
    if count < order.len() {
        order.select_nth_unstable(count);
    }
    order.truncate(count);
    order.sort_unstable();
    order.into_iter().map(|(_, id)| id).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fleet::drawn;
    use crate::rollout::{shown, written};

    fn settings(kind: Kind) -> Settings {
        Settings {
            kind,
            min_ready: Duration::ZERO,
            progress_deadline: Some(PROGRESS_DEADLINE),
            replacement: PodReplacement::default(),
            quota: None,
            control_plane: ControlPlane::AT_ONCE,
            commands: Vec::new(),
        }
    }

    fn decide(letters: &str, desired: u32, kind: Kind) -> String {
        let fleet = drawn::fleet(letters);
        let mut memory = Memory::new(desired);
        memory.target = Version::NEW;
        memory.complete = false;
        memory.sizes = [0; Version::COUNT];
        memory.sizes[..2].copy_from_slice(&[fleet.live(Version::OLD), fleet.live(Version::NEW)]);
        written(&settings(kind).decide(&shown(&fleet, desired, &[]), &memory).actions)
    }

    #[track_caller]
    fn check(letters: &str, max_surge: u32, max_unavailable: u32, then: &str) {
        let desired = 4;
        let (max_surge, max_unavailable) = (Bound::Count(max_surge), Bound::Count(max_unavailable));
        assert_eq!(decide(letters, desired, Kind::RollingUpdate { max_surge, max_unavailable }), then);
    }

    #[test]
    fn a_rolling_pass_makes_one_kind_of_change() {
        //    given    surge unavailable  then
        check("oooo", 1, 0, "+"); // launch one
        check("oooo", 2, 1, "+ +"); // growing comes first
        check("oooob", 1, 0, ""); // wait for it
        check("oooon", 1, 0, "-0"); // one old may go
        check("ooon", 1, 0, "+"); // and makes room
        check("oooonn", 2, 0, "-0 -1");
        check("oooo", 0, 1, "-0"); // no surge: old ones go first
        check("ooob", 0, 1, ""); // one is missing already
        check("oooo", 0, 4, "-0 -1 -2 -3"); // all at once
        check("ddoo", 1, 1, "+ + +"); // who leaves is not counted
        check("nnnn", 1, 0, ""); // content
    }

    #[test]
    fn old_instances_that_do_not_work_go_first_and_below_the_bound() {
        check("wooob", 1, 1, "-0");
        check("wwoo", 0, 1, "-0");
        check("woob", 0, 2, "-0");
        // New ones that do not work do not free anything.
        check("oooox", 1, 0, "");
        check("oooxx", 1, 1, "");
    }

    #[test]
    fn recreate_waits_until_the_last_old_one_is_gone() {
        for (letters, then) in
            [("oooo", "-0 -1 -2 -3"), ("dddd", ""), ("...d", ""), ("....", "+ + + +"), ("....nnnn", "")]
        {
            assert_eq!(decide(letters, 4, Kind::Recreate), then, "{letters}");
        }
    }

    /// The published examples of rounding: surge up, unavailable down, and never both nothing.
    #[test]
    fn fenceposts_round_apart() {
        let quarter = Bound::Percent(25);
        for (desired, surge, unavailable) in
            [(1, 1, 0), (2, 1, 0), (3, 1, 0), (4, 1, 1), (5, 2, 1), (7, 2, 1), (8, 2, 2), (10, 3, 2)]
        {
            assert_eq!(resolve_fenceposts(quarter, quarter, desired), (surge, unavailable), "{desired}");
        }
        assert_eq!(resolve_fenceposts(Bound::Percent(0), Bound::Percent(10), 4), (0, 1));
        assert_eq!(resolve_fenceposts(Bound::Count(1), Bound::Count(9), 4), (1, 4));
    }

    #[test]
    fn the_lack_of_progress_is_reported_a_second_after_the_deadline() {
        let settings = Settings { progress_deadline: Some(Duration::from_secs(10)), ..settings(Kind::Recreate) };
        let mut memory = Memory::new(1);
        memory.progress.at = SimTime::from_nanos(3_950_000_000);
        assert_eq!(settings.overdue_at(&memory), Some(SimTime::START + Duration::from_secs(14)));
    }
}
