//! What a case may demand of its runs.

use super::argo::Argo;
use super::ecs::Ecs;
use super::nomad::Nomad;
use super::plane::Facts;
use super::shift::Shift;
use super::together::Together;
use super::waves::Waves;

/// A scenario, and what may be demanded of its runs.
#[expect(clippy::struct_excessive_bools, reason = "each says what may be demanded, and they are independent")]
pub(super) struct Case {
    pub(super) text: String,
    pub(super) desired: u32,
    pub(super) orchestrator: Orchestrator,
    /// Nothing is broken and nothing breaks.
    pub(super) is_sound: bool,
    /// Nobody but the orchestrator and its user has a say.
    pub(super) is_left_alone: bool,
    /// There is no judge at all but the orchestrator.
    pub(super) is_left_to_itself: bool,
    /// Something breaks.
    pub(super) has_fault: bool,
    /// What people type, and what that comes to once all of it is typed.
    pub(super) commands: Commands,
    /// The window is long enough for any rollout that can end.
    pub(super) has_time: bool,
    pub(super) has_defect: bool,
    pub(super) together: Together,
    pub(super) has_timeout: bool,
    pub(super) attempts: u32,
    /// Whoever is listed still serves when the last balancer has heard that it is not.
    pub(super) never_stale: bool,
    /// How long news are on their way to the balancers, milliseconds; `None`: they go by more than news, or that is drawn.
    pub(super) news_within: Option<u64>,
    /// An old task of Swarm is surely gone before its worker stops waiting for it.
    pub(super) stops_within_a_minute: bool,
    /// Of the request plane.
    pub(super) facts: Facts,
}

/// What people type while the rollout is under way.
#[derive(Clone, Copy)]
pub(super) struct Commands {
    /// How many of them.
    pub(super) count: usize,
    /// Another version is asked for, at least once.
    pub(super) retargets: bool,
    /// The old version is asked for again, and nothing else.
    pub(super) is_one_undo: bool,
    /// The fewest and the most instances that are asked for.
    pub(super) sizes: (u32, u32),
    /// In the end: the version, the newest one until then, how many instances, and whether it is paused.
    pub(super) target: u8,
    pub(super) newest: u8,
    pub(super) size: u32,
    pub(super) stays_paused: bool,
}

impl Commands {
    /// Nothing but the rollout itself.
    pub(super) fn none(desired: u32) -> Self {
        Commands {
            count: 0,
            retargets: false,
            is_one_undo: false,
            sizes: (desired, desired),
            target: 1,
            newest: 1,
            size: desired,
            stays_paused: false,
        }
    }

    pub(super) fn scales(&self) -> bool {
        self.sizes.0 != self.sizes.1
    }
}

/// The settings that promises follow from.
pub(super) enum Orchestrator {
    Kubernetes { surge: Bound, unavailable: Bound, min_ready: u64, recreates: bool, at_once: bool },
    Swarm { update: Swarm, rollback: Swarm, gives_slots_up: bool },
    Octopus { window: u32, waits_for_ready: bool, takes_out: bool, is_guided: bool, leaves_out: bool },
    Waves(Waves),
    Shift(Shift),
    Nomad(Nomad),
    Argo(Argo),
    Ecs(Ecs),
}

/// A count, or a share in percent.
#[derive(Clone, Copy)]
pub(super) enum Bound {
    Count(u32),
    Share(u32),
}

/// Kubernetes' surge and unavailable instances, of so many: the surge's share rounds up, the other one down; where both
/// come to nothing, one may go.
pub(super) fn fenceposts(surge: Bound, unavailable: Bound, desired: u32) -> (u32, u32) {
    let surge = match surge {
        Bound::Count(count) => count,
        Bound::Share(share) => (share * desired).div_ceil(100),
    };
    let unavailable = match unavailable {
        Bound::Count(count) => count.min(desired),
        Bound::Share(share) => share * desired / 100,
    };
    (surge, if surge == 0 && unavailable == 0 { 1 } else { unavailable })
}

#[derive(Clone, Copy)]
pub(super) struct Swarm {
    pub(super) parallelism: u32,
    pub(super) start_first: bool,
}

impl Swarm {
    /// Slots that the workers may be at.
    fn in_work(self, slots: u32) -> u32 {
        if self.parallelism == 0 { slots } else { self.parallelism.min(slots) }
    }

    /// Slots that the workers may have stopped at once.
    fn stopped(self, slots: u32) -> u32 {
        if self.start_first { 0 } else { self.in_work(slots) }
    }
}

impl Orchestrator {
    pub(super) fn name(&self) -> &'static str {
        match self {
            Orchestrator::Kubernetes { .. } => "kubernetes",
            Orchestrator::Swarm { .. } => "swarm",
            Orchestrator::Octopus { .. } => "octopus",
            Orchestrator::Waves(_) => "waves",
            Orchestrator::Shift(_) => "shift",
            Orchestrator::Nomad(_) => "nomad",
            Orchestrator::Argo(_) => "argo",
            Orchestrator::Ecs(_) => "ecs",
        }
    }

    /// The fewest available instances, where the old version was asked for again, or any other one so often.
    pub(super) fn floor(&self, desired: u32, undone: bool, moved: u32) -> u32 {
        let missing = match *self {
            // Octopus takes a process that is up for a target that serves, unless a test tells it otherwise.
            Orchestrator::Kubernetes { recreates: true, .. } | Orchestrator::Octopus { waits_for_ready: false, .. } => {
                desired
            }
            // Who goes first is told by powers of two of ages: one that is available may go before one that is only
            // ready.
            Orchestrator::Kubernetes { min_ready: 1.., .. } if undone || moved > 0 => desired,
            // A pass between the resizing of an old set and its next status counts instances that are about to go, more
            // than once where the writes are slow. The original does so, too: a recorded scale-down went two below.
            Orchestrator::Kubernetes { at_once: false, .. } => desired,
            Orchestrator::Kubernetes { surge, unavailable, .. } => fenceposts(surge, unavailable, desired).1,
            // An update takes its own slots while those of the ones before are still on their way. Where it finds a new
            // task of its version, left by one of those, it stops the others at once, whatever the order, and whether or
            // not that task is ready by then (`useExistingTask`).
            Orchestrator::Swarm { update, rollback, .. } => {
                let left = update.in_work(desired).max(rollback.in_work(desired));
                update.stopped(desired) + if undone { rollback.stopped(desired) } else { moved * left }
            }
            Orchestrator::Octopus { window, .. } => window,
            Orchestrator::Waves(ref waves) => waves.largest(desired, undone || moved > 0),
            // Whatever leaves is stood in for.
            Orchestrator::Shift(_) => 0,
            Orchestrator::Nomad(ref nomad) => nomad.missing(desired, moved + u32::from(undone)),
            Orchestrator::Argo(ref argo) => argo.missing(desired, undone || moved > 0),
            // Without a check tasks count as healthy that are not up yet.
            Orchestrator::Ecs(ref ecs) if ecs.is_blind => desired,
            Orchestrator::Ecs(ref ecs) => desired - ecs.least(desired),
        };
        desired.saturating_sub(missing)
    }
}
