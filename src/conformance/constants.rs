//! What the control planes of the recordings take for their own work: fitted once for a whole set, never for a case,
//! by `rollsim conformance --fit FOLDER…`, which prints these lines.

use super::recording::Set;
use crate::rollout::Strategy;
use crate::rollout::kubernetes::ControlPlane;
use crate::rollout::swarm;
use std::fmt;
use std::time::Duration;

/// Latencies of the control plane of a set, microseconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Constants {
    /// Of Kubernetes' controllers; see [`ControlPlane`].
    Kubernetes {
        /// From a change of an object until a controller that watches it begins to work.
        watch: u64,
        /// What a pass of the Deployment controller takes before its first request.
        pass: u64,
        /// What a request takes.
        call: u64,
        /// What each of several pods that are created at the same time adds to that.
        create: u64,
    },
    /// Of a Swarm manager; see [`swarm::Manager`].
    Swarm {
        /// Until the event loop turns to what has come up.
        event_loop: u64,
        /// Until the updater or its worker does.
        updater: u64,
        /// What a change of the store takes.
        change: u64,
    },
}

impl Constants {
    /// Of a set.
    pub fn of(set: Set) -> Constants {
        match set {
            Set::Kubernetes => KUBERNETES,
            Set::Swarmkit => SWARMKIT,
            Set::Swarm => SWARM,
        }
    }

    /// The strategy with a control plane that takes this long.
    #[must_use]
    pub fn put_into(self, strategy: &Strategy) -> Strategy {
        let mut strategy = strategy.clone();
        match (self, &mut strategy) {
            (Constants::Kubernetes { watch, pass, call, create }, Strategy::Kubernetes(settings)) => {
                let [watch, pass, call, create] = [watch, pass, call, create].map(Duration::from_micros);
                settings.control_plane = ControlPlane { watch, pass, call, create, ..settings.control_plane };
            }
            (Constants::Swarm { event_loop, updater, change }, Strategy::Swarm(settings)) => {
                let [event_loop, updater, change] = [event_loop, updater, change].map(Duration::from_micros);
                settings.manager = swarm::Manager { event_loop, updater, change };
            }
            (constants, strategy) => unreachable!("{constants:?} are not {strategy:?}'s"),
        }
        strategy
    }

    /// Their names and values, in the order in which they stand in the source.
    pub(super) fn values(&mut self) -> Vec<(&'static str, &mut u64)> {
        match self {
            Constants::Kubernetes { watch, pass, call, create } => {
                vec![("watch", watch), ("pass", pass), ("call", call), ("create", create)]
            }
            Constants::Swarm { event_loop, updater, change } => {
                vec![("event_loop", event_loop), ("updater", updater), ("change", change)]
            }
        }
    }
}

/// As they stand in the source.
impl fmt::Display for Constants {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let kind = match self {
            Constants::Kubernetes { .. } => "Kubernetes",
            Constants::Swarm { .. } => "Swarm",
        };
        let mut copy = *self;
        let values: Vec<String> = copy.values().iter().map(|(name, value)| format!("{name}: {value}")).collect();
        write!(f, "Constants::{kind} {{ {} }}", values.join(", "))
    }
}

/// kube-controller-manager 1.36 on a shared machine with two processors.
const KUBERNETES: Constants = Constants::Kubernetes { watch: 1_500, pass: 1_000, call: 14_000, create: 4_000 };

/// The manager's own code with a store in memory, for 60 services at once.
const SWARMKIT: Constants = Constants::Swarm { event_loop: 150, updater: 300, change: 150 };

/// dockerd 20.10, which writes every change to disk, on a busy machine with two processors.
const SWARM: Constants = Constants::Swarm { event_loop: 7_850, updater: 7_850, change: 650 };

// --- load balancers: medians over all of their recordings, whose files tell them request by request and event by event
// -----------------------------------------------------------------------------------------------------------

/// What a backend's sleep takes beyond what it was told to: 0.4 ms of a constant one, 0.6 ms of drawn ones.
pub(super) const OVERSLEPT: Duration = Duration::from_micros(600);
/// What balancer, network and client add to the wait and service in a backend.
pub(super) const PROXY: Duration = Duration::from_millis(1);
/// From the start of a backend's process, beside the delay that it was told, until it listens.
pub(super) const START_UP: Duration = Duration::from_millis(8);
/// From the last answer of a backend that was told to stop, or from its being told, until its process is gone.
pub(super) const EXIT: Duration = Duration::from_millis(1);

// --- rollouts
// -----------------------------------------------------------------------------------------------------------

/// From when the recordings' kubelet found a pod ready until that was seen: the median over all of their pods, and
/// with it what little there is from a pod's creation until the kubelet began with it.
pub(super) const KUBELET: Duration = Duration::from_millis(17);

/// Two things that happen within this time happen in an order that nobody knows but the recording machine: extremes
/// that last no longer may have been seen or not. States that are held and outcomes are judged all the same.
///
/// In the recordings of swarmkit tasks start and fail a tenth of a millisecond apart, and 60 services share one
/// manager: in 99 of 100 cases it tells the predecessor of a task that runs to stop within 6 ms, in the median within
/// 0.3 ms. So the repetitions of one rollout differ among themselves in how many tasks were ever seen to run at once.
/// In those of Kubernetes the controller follows a pod's readiness within 10 ms in the median and 23 ms in 9 of 10
/// cases, so that terminating pods beside the ones that replace them were seen or not by chance. (Whoever recorded them
/// says of all sets not to compare the order of what is less than 100 ms apart.) In the other set nothing depends on
/// it.
pub(super) fn late(set: Set) -> Duration {
    match set {
        Set::Swarmkit => Duration::from_millis(6),
        Set::Kubernetes => Duration::from_millis(23),
        Set::Swarm => Duration::ZERO,
    }
}
