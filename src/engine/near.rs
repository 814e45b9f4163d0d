//! What is known of an instance lies far from the processor in a large fleet, and each of its events looks at a dozen places. So
//! they are fetched some milliseconds before: as many as stay at hand until then.

use super::{Engine, Event};
use crate::balancer::Endpoint;
use crate::fleet::InstanceId;
use crate::wide::{fetch, fetch_whole};

/// Whom an event looks at.
enum Subject {
    Instance(InstanceId),
    /// Of one balancer.
    Endpoint(Endpoint, u16),
}

/// What more balancers than these hold of an instance is not fetched.
const FEW: usize = 4;

impl Event {
    /// `None`: nobody, or too many.
    fn subject(self) -> Option<Subject> {
        match self {
            Event::EndpointHeard { balancer, endpoint, .. }
            | Event::CheckDue { balancer, endpoint, .. }
            | Event::CheckUnanswered { balancer, endpoint, .. }
            | Event::CheckLate { balancer, endpoint, .. }
            | Event::EjectionOver { balancer, endpoint, .. } => Some(Subject::Endpoint(endpoint, balancer)),
            Event::PullFinished { instance, .. }
            | Event::StartFinished { instance, .. }
            | Event::Probed { instance, .. }
            | Event::ReadinessLapsed { instance, .. }
            | Event::ProcessEnded { instance, .. }
            | Event::PlaceCrashed { instance, .. }
            | Event::RestartDue { instance, .. }
            | Event::DrainFinished { instance }
            | Event::PreStopFinished { instance }
            | Event::Exited { instance, .. }
            | Event::GraceOver { instance }
            | Event::Repaired { instance, .. } => Some(Subject::Instance(instance)),
            Event::SplitHeard { .. }
            | Event::ShareCrashed { .. }
            | Event::OutageBegan
            | Event::SlowBegan { .. }
            | Event::SlowEnded { .. }
            | Event::IntervalWatched
            | Event::SchemaChanged
            | Event::RolloutBegan
            | Event::CommandDue
            | Event::OperatorActed
            | Event::AskedAgain
            | Event::WindowEnded
            | Event::RunEnded => None,
        }
    }
}

impl Engine<'_> {
    /// Fetches what events that are near will look at. By `cargo bench --bench ratios -- rollout-100000` it buys a tenth.
    pub(super) fn fetch_what_is_near(&mut self) {
        for subject in self.control.near().filter_map(Event::subject) {
            let endpoint = match subject {
                Subject::Instance(id) => {
                    fetch_whole(&self.fleet[id]);
                    fetch_whole(&self.runtimes[id.index()]);
                    fetch_whole(&self.desks[id.index()]);
                    let endpoint = Endpoint(id.0); // As balancers know it, unless they know places.
                    self.balancers.iter().take(FEW).for_each(|balancer| balancer.fetch(endpoint));
                    endpoint
                }
                Subject::Endpoint(endpoint, balancer) => {
                    self.balancers[usize::from(balancer)].fetch(endpoint);
                    endpoint
                }
            };
            if let Some(told) = self.told.get(endpoint.index()) {
                fetch(told);
            }
            let balancers = self.scenario.balancer.count.get() as usize;
            if let Some(heard) = self.heard.get(endpoint.index() * balancers) {
                fetch(heard);
            }
        }
    }
}
