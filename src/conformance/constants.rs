//! What the control planes of the recordings take for their own work: fitted once for a whole set, never for a case,
//! by `rollsim conformance --fit FOLDER…`, which prints these lines.

use super::recording::Set;
use crate::rollout::Strategy;
use std::time::Duration;

/// Latencies of the controllers of a set.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Constants {
    /// From an event until the Deployment controller has acted on it.
    pub pass: Duration,
    /// From a new size of a ReplicaSet until its controller begins to create or delete.
    pub watch: Duration,
    /// What each pod created or deleted takes.
    pub object: Duration,
}

impl Constants {
    /// In microseconds.
    pub const fn micros(pass: u64, watch: u64, object: u64) -> Self {
        Constants {
            pass: Duration::from_micros(pass),
            watch: Duration::from_micros(watch),
            object: Duration::from_micros(object),
        }
    }

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
            settings.control_plane.pass = self.pass;
            settings.control_plane.watch = self.watch;
            settings.control_plane.object = self.object;
        }
        strategy
    }
}

/// kube-controller-manager 1.36 on a shared machine with two processors.
const KUBERNETES: Constants = Constants::micros(12_000, 15_000, 2_000);
