//! What the control planes of the recordings take for their own work: fitted once for a whole set, never for a case,
//! by `rollsim conformance --fit FOLDER…`, which prints these lines.

use super::recording::Set;
use crate::rollout::Strategy;
use crate::rollout::kubernetes::ControlPlane;
use std::time::Duration;

/// Latencies of the controllers of a set, microseconds; see [`ControlPlane`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Constants {
    /// From a change of an object until a controller that watches it begins to work.
    pub watch: u64,
    /// What a pass of the Deployment controller takes.
    pub pass: u64,
    /// What a batch of requests takes.
    pub call: u64,
    /// What each pod that is created adds to that.
    pub create: u64,
}

impl Constants {
    /// Of a set; `None`: its orchestrator has none.
    pub fn of(set: Set) -> Option<Constants> {
        match set {
            Set::Kubernetes => Some(KUBERNETES),
            Set::Swarmkit | Set::Swarm => None,
        }
    }

    /// The strategy with controllers that take this long.
    #[must_use]
    pub fn put_into(self, strategy: &Strategy) -> Strategy {
        let mut strategy = strategy.clone();
        if let Strategy::Kubernetes(settings) = &mut strategy {
            let Constants { watch, pass, call, create } = self;
            let [watch, pass, call, create] = [watch, pass, call, create].map(Duration::from_micros);
            settings.control_plane = ControlPlane { watch, pass, call, create, limit: settings.control_plane.limit };
        }
        strategy
    }
}

/// kube-controller-manager 1.36 on a shared machine with two processors.
const KUBERNETES: Constants = Constants { watch: 0, pass: 14_500, call: 22_000, create: 10_500 };

/// From the creation of a pod until the recordings' kubelet began with it, and from its readiness until that was seen:
/// the median over all of their pods.
pub(super) const KUBELET: Duration = Duration::from_millis(17);

/// What a Swarm manager takes from a task's RUNNING until it tells the task's predecessor to stop, as the recordings of
/// start-first have it; nothing is fitted.
#[derive(Clone, Copy, Debug)]
pub(super) struct Manager {
    /// In the median: each start of a task takes so much longer.
    pub(super) median: Duration,
    /// In 99 of 100 cases: what happens within this time happens in an order that nobody knows.
    pub(super) late: Duration,
}

impl Manager {
    /// Of a set.
    pub(super) fn of(set: Set) -> Manager {
        let (median, late) = match set {
            Set::Kubernetes => (0, 0), // Its control plane is simulated.
            Set::Swarmkit => (300, 6_000),
            Set::Swarm => (2_700, 30_000),
        };
        Manager { median: Duration::from_micros(median), late: Duration::from_micros(late) }
    }
}
