//! What of a scenario explains its losses: the settings that a reader of the results compares with each other.

use crate::distribution::Delay;
use crate::scenario::{Discovery, Load, NamedStrategy, Scenario, WarmUpOver};
use serde::{Deserialize, Serialize};

/// Settings of a scenario, resolved. Times are seconds.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Context {
    /// Workers that the highest offered load keeps busy in the mean, where all instances are old and warm (erlangs).
    pub offered_load: f64,
    /// Workers of one instance.
    pub workers: u32,
    /// Failure domains.
    pub zones: u32,
    /// The highest 99 % quantile of the classes' work.
    pub work_p99_s: f64,
    /// The deregistration delay.
    pub drain_s: f64,
    /// The preStop hook.
    pub pre_stop_s: f64,
    /// Whether open requests may finish where a balancer removes an instance.
    pub draining: bool,
    /// The 99 % quantile of the time that news take to a balancer.
    pub propagation_p99_s: f64,
    /// Balancers are told of instances.
    pub is_told: bool,
    /// How long a health check takes at the most to notice that an instance is down; nothing without one.
    pub noticed_within_s: Option<f64>,
    /// How long balancers leave out whoever failed, in the mean; nothing where they do not.
    pub ejection_s: Option<f64>,
    /// The share of healthy instances below which health is ignored.
    pub panic_threshold: f64,
    /// The pause before a further try to connect to the same instance; nothing where there is none.
    pub connect_pause_s: Option<f64>,
    /// How many times as long requests take right after a start; nothing without a warm-up.
    pub warm_up_factor: Option<f64>,
    /// How long that lasts; nothing where it is counted in requests.
    pub warm_up_s: Option<f64>,
    /// What clients wait for one attempt.
    pub timeout_s: Option<f64>,
    /// How many attempts they make.
    pub attempts: u32,
    /// How long they wait in queues, in the mean.
    pub patience_s: Option<f64>,
    /// After which wait requests are dropped.
    pub shed_after_s: Option<f64>,
    /// Whether a rollback brings the old schema back.
    pub schema_can_go_back: bool,
    /// The lowest target of the classes.
    pub target_s: Option<f64>,
}

impl Context {
    /// What explains this scenario's losses.
    pub(super) fn of(scenario: &Scenario) -> Context {
        let Scenario { service, traffic, client, balancer, release, .. } = scenario;
        let work_s: f64 = traffic.classes.iter().map(|class| class.share * class.work.mean_s()).sum();
        let offered_load = match &traffic.load {
            Load::Open { profile, .. } => profile.peak() * work_s,
            Load::Closed { users, think } => f64::from(users.get()) * work_s / (think.mean_s() + work_s),
        };
        let check = balancer.health_check.as_ref();
        let warm_up = release.warm_up.as_ref();
        let targets = traffic.classes.iter().filter_map(|class| class.target);
        Context {
            offered_load,
            workers: service.workers.get(),
            zones: service.zones.get(),
            work_p99_s: traffic.classes.iter().map(|class| p99_s(&class.work)).fold(0.0, f64::max),
            schema_can_go_back: release.database.as_ref().is_none_or(|database| database.undo.is_some()),
            drain_s: release.drain.as_secs_f64(),
            pre_stop_s: release.pre_stop.as_secs_f64(),
            draining: balancer.draining,
            propagation_p99_s: p99_s(&balancer.propagation),
            is_told: balancer.discovery == Discovery::Service,
            noticed_within_s: check.map(|check| (check.period * check.failure_threshold.get()).as_secs_f64()),
            ejection_s: balancer.ejection.as_ref().map(|ejection| ejection.lasts.mean_s()),
            panic_threshold: balancer.panic_threshold,
            connect_pause_s: (!balancer.connect.pause.is_zero()).then_some(balancer.connect.pause.as_secs_f64()),
            warm_up_factor: warm_up.map(|warm_up| warm_up.factor),
            warm_up_s: warm_up.and_then(|warm_up| match warm_up.over {
                WarmUpOver::Time(over) => Some(over.as_secs_f64()),
                WarmUpOver::Requests(_) => None,
            }),
            timeout_s: client.timeout.map(|timeout| timeout.as_secs_f64()),
            attempts: client.retries.attempts.get(),
            patience_s: client.patience.as_ref().map(Delay::mean_s),
            shed_after_s: service.shed_after.map(|limit| limit.as_secs_f64()),
            target_s: targets.min().map(|target| target.as_secs_f64()),
        }
    }
}

/// How long a process gets between preStop and the kill.
pub(super) fn grace_s(scenario: &Scenario, strategy: &NamedStrategy) -> f64 {
    let facts = strategy.strategy.facts();
    let grace = scenario.release.grace.or(facts.grace()).expect("a scenario gives it where the orchestrator has none");
    grace.saturating_sub(scenario.release.pre_stop).max(facts.least_time_to_stop()).as_secs_f64()
}

fn p99_s(delay: &Delay) -> f64 {
    delay.quantile(0.99).as_secs_f64()
}
