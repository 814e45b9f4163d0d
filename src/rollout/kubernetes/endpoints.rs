//! Which pods a Service's traffic may go to: the conditions of their endpoints, and whom kube-proxy chooses by them.
//!
//! Sources: `podToEndpoint` of kubernetes/kubernetes' `staging/src/k8s.io/endpointslice/utils.go` (KEP-1672);
//! `CategorizeEndpoints` of `pkg/proxy/topology.go`, `UsesClusterEndpoints` and `UsesLocalEndpoints` of
//! `pkg/proxy/serviceport.go` (KEP-1669). Zones (topology hints) are absent here.

use crate::fleet::{Instance, Phase};

/// The conditions of a pod's endpoint in its EndpointSlice.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Conditions {
    /// New traffic may go there.
    pub ready: bool,
    /// It passes its readiness probe, whether or not it is on its way out.
    pub serving: bool,
    /// It is on its way out.
    pub terminating: bool,
}

impl Conditions {
    /// Those of a pod. With `publish_not_ready`, a Service's `publishNotReadyAddresses`, every endpoint is ready.
    pub fn new(pod_ready: bool, terminating: bool, publish_not_ready: bool) -> Self {
        Conditions { ready: publish_not_ready || pod_ready && !terminating, serving: pod_ready, terminating }
    }

    /// Those of an instance. One that drains keeps the readiness that it left with, which is not kept apart: it is taken
    /// as ready.
    pub fn of(instance: &Instance) -> Self {
        let pod_ready = matches!(instance.phase(), Phase::Ready | Phase::Draining);
        Conditions::new(pod_ready, instance.phase().is_terminating(), false)
    }

    /// Whether traffic may go there where nobody is ready.
    fn is_last_resort(self) -> bool {
        self.serving && self.terminating
    }
}

/// An endpoint as the proxy of a node sees it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Endpoint {
    /// Its conditions.
    pub conditions: Conditions,
    /// It is on the proxy's own node.
    pub is_local: bool,
}

/// How far a Service's traffic may go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TrafficPolicy {
    /// `internalTrafficPolicy: Local`.
    pub internal_stays_local: bool,
    /// `externalTrafficPolicy: Local`.
    pub external_stays_local: bool,
    /// It has an address outside the cluster: a node port, a load balancer's or an external address.
    pub is_reachable_from_outside: bool,
}

impl TrafficPolicy {
    /// The endpoints of the whole cluster that a node's proxy sends traffic to, as places in the list; `None`: it uses
    /// none but its own. Traffic from outside that must stay on its node still reaches all of them from within.
    pub fn cluster_endpoints(&self, endpoints: &[Endpoint]) -> Option<Vec<usize>> {
        let is_used = !self.internal_stays_local || self.is_reachable_from_outside;
        is_used.then(|| usable(endpoints, |_| true))
    }

    /// The endpoints of its own node that a node's proxy sends traffic to that must stay there; `None`: none must.
    pub fn local_endpoints(&self, endpoints: &[Endpoint]) -> Option<Vec<usize>> {
        let is_used = self.internal_stays_local || self.external_stays_local && self.is_reachable_from_outside;
        is_used.then(|| usable(endpoints, |endpoint| endpoint.is_local))
    }
}

/// The ready endpoints among some; only where there is none at all, those on their way out that still serve.
fn usable(endpoints: &[Endpoint], among: impl Fn(&Endpoint) -> bool) -> Vec<usize> {
    let places = |is: fn(Conditions) -> bool| -> Vec<usize> {
        let is_one = |(_, endpoint): &(usize, &Endpoint)| among(endpoint) && is(endpoint.conditions);
        endpoints.iter().enumerate().filter(is_one).map(|(place, _)| place).collect()
    };
    let ready = places(|conditions| conditions.ready);
    if ready.is_empty() { places(Conditions::is_last_resort) } else { ready }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fleet::drawn;

    /// Endpoints by letters, large ones on the proxy's own node: `r` ready, `t` terminating and serving, `x` neither.
    fn drawn_endpoints(letters: &str) -> Vec<Endpoint> {
        let one = |letter: char| {
            let (pod_ready, terminating) = match letter.to_ascii_lowercase() {
                'r' => (true, false),
                't' => (true, true),
                'x' => (false, false),
                other => panic!("no endpoint is drawn as {other:?}"),
            };
            let conditions = Conditions::new(pod_ready, terminating, false);
            Endpoint { conditions, is_local: letter.is_ascii_uppercase() }
        };
        letters.chars().map(one).collect()
    }

    #[test]
    fn who_leaves_is_used_where_nobody_is_ready() {
        let everywhere = TrafficPolicy {
            internal_stays_local: false,
            external_stays_local: false,
            is_reachable_from_outside: false,
        };
        let cluster = |letters| everywhere.cluster_endpoints(&drawn_endpoints(letters));
        assert_eq!(cluster("rtxr"), Some(vec![0, 3]));
        assert_eq!(cluster("xttx"), Some(vec![1, 2]));
        assert_eq!(cluster("xx"), Some(vec![]));
        assert_eq!(everywhere.local_endpoints(&drawn_endpoints("RT")), None);
        // A node without a ready endpoint of its own uses its leaving ones, whoever is ready elsewhere.
        let stays = TrafficPolicy { internal_stays_local: true, ..everywhere };
        assert_eq!(stays.local_endpoints(&drawn_endpoints("rTX")), Some(vec![1]));
        assert_eq!(stays.cluster_endpoints(&drawn_endpoints("rTX")), None);
    }

    #[test]
    fn an_instance_is_listed_where_its_endpoint_is_ready() {
        for (letter, (ready, serving, terminating)) in [
            ("o", (true, true, false)),
            ("w", (false, false, false)),
            ("d", (false, true, true)),
            ("b", (false, false, false)),
        ] {
            let fleet = drawn::fleet(letter);
            let (_, instance) = fleet.existing().next().expect("one instance");
            let conditions = Conditions::of(instance);
            assert_eq!(conditions, Conditions { ready, serving, terminating }, "{letter}");
            assert_eq!(conditions.ready, instance.is_listed());
        }
        assert!(Conditions::new(false, true, true).ready, "as the Service says");
    }
}
