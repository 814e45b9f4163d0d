//! Who distributes the requests: what the engine takes, and how it is made of what was written.

use super::bounds::{at_least_one, count, positive, share_or, span_or};
use super::delays::{Sources, delay, delay_or_none};
use super::place::{Checked, Place};
use super::units::{Count, Number, Table, WordOr};
use super::{NamedStrategy, raw_balancer as raw};
use crate::distribution::Delay;
use std::num::NonZeroU32;
use std::time::Duration;

/// Who distributes the requests: several balancers alike, each with a view of its own.
#[derive(Clone, Debug, PartialEq)]
pub struct Balancer {
    /// How many; each request meets one of them, equally likely. 1 to 1,000.
    pub count: NonZeroU32,
    /// How an instance is chosen.
    pub policy: Choice,
    /// How much of the traffic an instance of the new version gets, compared with one of the old version, above 0.
    pub new_weight: f64,
    /// Whom they know of.
    pub discovery: Discovery,
    /// How long news of an instance take to reach a balancer; drawn for each balancer.
    pub propagation: Delay,
    /// Whether requests that are open at an instance when a balancer removes it may finish; otherwise they are cut
    /// off.
    pub draining: bool,
    /// How many instances each balancer keeps to; `None`: all.
    pub subset: Option<NonZeroU32>,
    /// Newcomers get less at first; `None`: they do not.
    pub slow_start: Option<SlowStart>,
    /// How balancers find out by themselves whether an instance answers; `None`: they do not.
    pub health_check: Option<HealthCheck>,
    /// Whom they leave out for a while because of failed requests; `None`: nobody.
    pub ejection: Option<Ejection>,
    /// Health is ignored while a smaller share of those listed than this is healthy and not ejected, 0 to 1; at 0 it never is.
    pub panic_threshold: f64,
    /// Whether instances on their way out are used while none is listed that is not.
    pub fallback_to_terminating: bool,
    /// What happens when an instance does not take a request.
    pub connect: Connect,
    /// Requests that one balancer has open at one instance at most; `None`: any number.
    pub max_connections: Option<NonZeroU32>,
    /// Requests that wait in one balancer, first come first served, while all its instances have that many.
    pub queue: u32,
}

impl Balancer {
    /// One balancer that believes what it is told, and tries once.
    pub fn plain(policy: Choice) -> Self {
        Balancer {
            count: NonZeroU32::MIN,
            policy,
            new_weight: 1.0,
            discovery: Discovery::Service,
            propagation: Delay::NONE,
            draining: true,
            subset: None,
            slow_start: None,
            health_check: None,
            ejection: None,
            panic_threshold: 0.0,
            fallback_to_terminating: false,
            connect: Connect::ONCE,
            max_connections: None,
            queue: 0,
        }
    }
}

/// How an instance is chosen among those that a balancer may use.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Choice {
    /// One after the other; with unequal weights the earliest deadline first, an instance's deadlines being one over its
    /// weight apart.
    RoundRobin,
    /// Any, by weight.
    Random,
    /// One with the fewest open requests for its weight.
    LeastConnections(Ties),
    /// The one with the fewest open requests for its weight among so many distinct random ones, drawn by weight; ties at
    /// random. At least 2.
    LeastRequest(NonZeroU32),
    /// An instance that has nothing to do and has told this balancer so, else any, by weight (Lu et al., Join-Idle-Queue,
    /// Performance Evaluation 68, 2011).
    JoinIdleQueue,
    /// Of two distinct random ones the one with the lower load: its latency, averaged with exponential weights in time and
    /// following peaks at once, times its open requests and this one (Finagle's `p2cPeakEwma`).
    PeakEwma {
        /// The time constant of the average.
        decay: Duration,
    },
    /// The request's key on a ring of points, going on to the next instance while one has more than its bound (Mirrokni,
    /// Thorup, Zadimoghaddam: Consistent Hashing with Bounded Loads, SODA 2018).
    ConsistentHash {
        /// How many different keys requests have, equally likely.
        keys: NonZeroU32,
        /// An instance has at most this times its even share of the balancer's open requests, rounded up; above 1.
        bound: f64,
    },
}

/// Which of several with equally few open requests is chosen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ties {
    /// Any.
    Random,
    /// The one where longest nothing began or ended (HAProxy's `leastconn`).
    Turns,
}

impl Choice {
    /// The better of two.
    pub const POWER_OF_TWO: Choice = Choice::LeastRequest(NonZeroU32::new(2).expect("two is not zero"));
}

/// Whom balancers know of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Discovery {
    /// They are told of each instance when it becomes ready and when it ceases to be.
    Service,
    /// They know the places of the service by configuration, whoever stands there, and are told only when an orchestrator
    /// takes a place out or puts it back.
    Static,
}

/// Newcomers get less at first: weight × max(least, (age / window) ^ (1 / aggression)), ages below a second counting as one
/// (Envoy, slow start mode).
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct SlowStart {
    /// How long it takes; positive.
    pub window: Duration,
    /// 1: linear in time; above it faster at first. Positive.
    pub aggression: f64,
    /// The least share of the full weight, above 0 and at most 1.
    pub least: f64,
}

/// How a balancer finds out by itself whether an instance answers.
#[derive(Clone, Debug, PartialEq)]
pub struct HealthCheck {
    /// Between two checks of one instance by one balancer; positive.
    pub period: Duration,
    /// How long an answer may take.
    pub timeout: Duration,
    /// When the first one comes after an instance is listed.
    pub first: FirstCheck,
    /// Passes in a row after which an instance is healthy.
    pub success_threshold: NonZeroU32,
    /// Failures in a row after which it is not.
    pub failure_threshold: NonZeroU32,
    /// Whether an instance counts as healthy until its checks say otherwise; if not, its first pass makes it so.
    pub assume_healthy: bool,
    /// What a check costs the instance, where it waits like a request; `None`: it is answered beside the queue.
    pub work: Option<Duration>,
    /// The share of checks that fail for reasons of their own, 0 to 1.
    pub false_failures: f64,
}

/// When the first check of an instance comes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FirstCheck {
    /// At a random moment of the first period.
    AtRandom,
    /// So long after it was listed.
    After(Duration),
    /// All instances have their own moment in every period, evenly spread in the order of their numbers (HAProxy,
    /// `start_check_task` in `src/check.c`).
    Spread,
}

/// Whom a balancer leaves out for a while because of failed requests.
#[derive(Clone, Debug, PartialEq)]
pub struct Ejection {
    /// Failures in a row that eject an instance.
    pub consecutive_errors: NonZeroU32,
    /// A failure later than this after the first of its row begins a new row; `None`: none does.
    pub within: Option<Duration>,
    /// How long it is left out.
    pub lasts: Delay,
    /// Whether moments count in whole seconds of the clock: it ends with the first whole second that is more than that
    /// later than the second of the failure (nginx, `fail_timeout`).
    pub whole_seconds: bool,
    /// Whether the n-th ejection lasts n times as long.
    pub grows: bool,
    /// Whether one request at a time is let through afterwards, until one has ended without a failure that counts: the
    /// first such failure ejects it anew (nginx; the half-open state of a circuit breaker).
    pub trial: bool,
    /// Which failures count.
    pub counts: Failures,
    /// The share of those listed that may be left out at once, 0 to 1; one always may.
    pub most: f64,
}

/// Which failures count against an instance.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Failures {
    /// It did not take the request.
    Connect,
    /// Any: also errors, full queues, time-outs and cut connections.
    All,
}

/// What happens when an instance does not take a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Connect {
    /// How long a balancer waits for an instance that does not even refuse.
    pub timeout: Duration,
    /// Further tries of one request.
    pub retries: u32,
    /// Pause before a further try at the same instance.
    pub pause: Duration,
    /// Where a further try goes.
    pub redispatch: Redispatch,
}

impl Connect {
    /// One try.
    pub const ONCE: Connect =
        Connect { timeout: Duration::from_secs(1), retries: 0, pause: Duration::ZERO, redispatch: Redispatch::Same };
}

/// Where a further try goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Redispatch {
    /// To the same instance, after the pause.
    Same,
    /// At once to another choice, if possible not the one just tried.
    Other,
    /// At once to one that this request has not tried; without any it fails.
    Untried,
}

/// How many requests wait in a balancer whose author does not say.
const DEFAULT_QUEUE: u32 = 1_000;
/// The most instances that all balancers together may know of; each takes some hundred bytes.
const MOST_ENDPOINTS: u64 = 10_000_000;

/// The balancers that these words say, in front of so many instances.
pub(super) fn balancer(
    place: &Place,
    raw: Option<Table<raw::Balancer>>,
    instances: NonZeroU32,
    strategies: &[NamedStrategy],
    sources: &mut Sources<'_>,
) -> Checked<Balancer> {
    let raw = raw.map_or_else(raw::Balancer::default, |Table(raw)| raw);
    let balancers =
        raw.count.map_or(Ok(NonZeroU32::MIN), |written| at_least_one(&place.key("count"), written, 1_000))?;
    let subset = raw.subset.map(|written| at_least_one(&place.key("subset"), written, 100_000)).transpose()?;
    let known = u64::from(subset.unwrap_or(instances).get()) * u64::from(balancers.get());
    let problem = "count × instances must be at most 10,000,000, or their views could exhaust the memory";
    place.key("count").holds(known <= MOST_ENDPOINTS, problem)?;
    let discovery = raw.discovery.map_or(Discovery::Service, |word| word.0);
    let keeps_places = strategies.iter().all(|named| named.strategy.facts().keeps_places());
    let problem =
        r#"must be "service" where a strategy's orchestrator does not start instances in the places of old ones"#;
    place.key("discovery").holds(discovery == Discovery::Service || keeps_places, problem)?;
    let max_connections_at = place.key("max_connections");
    let max_connections =
        raw.max_connections.map(|most| at_least_one(&max_connections_at, most, 100_000)).transpose()?;
    let queue_at = place.key("queue");
    queue_at
        .holds(raw.queue.is_none() || max_connections.is_some(), "only with max_connections do requests wait here")?;
    let queue = raw.queue.map_or(Ok(DEFAULT_QUEUE), |written| count(&queue_at, written, 0..=1_000_000))?;
    Ok(Balancer {
        count: balancers,
        policy: raw.policy.map_or(Ok(Choice::RoundRobin), |policy| choice(&place.key("policy"), policy))?,
        new_weight: weight(&place.key("new_weight"), raw.new_weight)?,
        discovery,
        propagation: delay_or_none(&place.key("propagation"), raw.propagation, sources)?,
        draining: raw.draining.unwrap_or(true),
        subset,
        slow_start: raw.slow_start.map(|Table(raw)| slow_start(&place.key("slow_start"), &raw)).transpose()?,
        health_check: raw.health_check.map(|Table(raw)| health_check(&place.key("health_check"), &raw)).transpose()?,
        ejection: raw.ejection.map(|Table(raw)| ejection(&place.key("ejection"), raw, sources)).transpose()?,
        panic_threshold: share_or(raw.panic_threshold, 0.0),
        fallback_to_terminating: raw.fallback_to_terminating.unwrap_or(false),
        connect: raw.connect.map_or(Ok(Connect::ONCE), |Table(raw)| connect(&place.key("connect"), &raw))?,
        max_connections,
        queue,
    })
}

fn weight(place: &Place, written: Option<Number>) -> Checked<f64> {
    let weight = written.map_or(1.0, |number| number.0);
    place.holds((0.001..=1_000.0).contains(&weight), "must be from 0.001 to 1,000")?;
    Ok(weight)
}

fn choice(place: &Place, written: WordOr<super::words::ChoiceWord, raw::Choice>) -> Checked<Choice> {
    let Table(raw) = match written {
        WordOr::Word(word) => return Ok(word.0),
        WordOr::Table(table) => table,
    };
    match (raw.least_connections, raw.least_request, raw.peak_ewma, raw.consistent_hash) {
        (Some(Table(raw)), None, None, None) => Ok(Choice::LeastConnections(raw.ties.0)),
        (None, Some(Table(raw)), None, None) => {
            let choices = count(&place.key("least_request").key("choices"), raw.choices, 2..=100)?;
            Ok(Choice::LeastRequest(NonZeroU32::new(choices).expect("there are at least two")))
        }
        (None, None, Some(Table(raw)), None) => {
            let decay = raw.decay.unwrap_or(super::units::Span(Duration::from_secs(10)));
            Ok(Choice::PeakEwma { decay: positive(&place.key("peak_ewma").key("decay"), decay)? })
        }
        (None, None, None, Some(Table(raw))) => {
            let place = place.key("consistent_hash");
            let bound = raw.bound.map_or(1.25, |number| number.0);
            place.key("bound").holds((1.001..=1e6).contains(&bound), "must be from 1.001 to 1,000,000")?;
            Ok(Choice::ConsistentHash { keys: at_least_one(&place.key("keys"), raw.keys, 1_000_000_000)?, bound })
        }
        _ => Err(place.breaks("must hold exactly one of least_connections, least_request, peak_ewma, consistent_hash")),
    }
}

fn slow_start(place: &Place, raw: &raw::SlowStart) -> Checked<SlowStart> {
    let aggression = raw.aggression.map_or(1.0, |number| number.0);
    place.key("aggression").holds((0.01..=100.0).contains(&aggression), "must be from 0.01 to 100")?;
    let least = share_or(raw.least, 0.1);
    place.key("least").holds(least > 0.0, "must exceed 0%")?;
    Ok(SlowStart { window: positive(&place.key("window"), raw.window)?, aggression, least })
}

fn health_check(place: &Place, raw: &raw::HealthCheck) -> Checked<HealthCheck> {
    let threshold = |key: &str, written: Option<Count>, default: u64| {
        at_least_one(&place.key(key), written.unwrap_or(Count(default)), 1_000_000)
    };
    let period = positive(&place.key("period"), raw.period)?;
    let timeout = span_or(raw.timeout, Duration::from_secs(1));
    let first = match (raw.phase, raw.spread.unwrap_or(false)) {
        (Some(_), true) => return Err(place.key("spread").breaks("must be absent with a phase")),
        (Some(span), false) => FirstCheck::After(span.0),
        (None, true) => FirstCheck::Spread,
        (None, false) => FirstCheck::AtRandom,
    };
    Ok(HealthCheck {
        period,
        timeout,
        first,
        success_threshold: threshold("success_threshold", raw.success_threshold, 1)?,
        failure_threshold: threshold("failure_threshold", raw.failure_threshold, 3)?,
        assume_healthy: raw.assume_healthy.unwrap_or(true),
        work: raw.work.map(|span| positive(&place.key("work"), span)).transpose()?,
        false_failures: share_or(raw.false_failures, 0.0),
    })
}

fn ejection(place: &Place, raw: raw::Ejection, sources: &mut Sources<'_>) -> Checked<Ejection> {
    let lasts = raw.lasts.map(|lasts| delay(&place.key("lasts"), lasts, sources)).transpose()?;
    let lasts = lasts.unwrap_or(Delay::Fixed(Duration::from_secs(30)));
    place.key("lasts").holds(lasts.mean_s() > 0.0, "must take time")?;
    let errors = raw.consecutive_errors.unwrap_or(Count(5));
    Ok(Ejection {
        consecutive_errors: at_least_one(&place.key("consecutive_errors"), errors, 1_000_000)?,
        within: raw.within.map(|span| positive(&place.key("within"), span)).transpose()?,
        lasts,
        whole_seconds: raw.whole_seconds.unwrap_or(false),
        grows: raw.grows.unwrap_or(false),
        trial: raw.trial.unwrap_or(false),
        counts: raw.counts.map_or(Failures::All, |word| word.0),
        most: share_or(raw.most, 1.0),
    })
}

fn connect(place: &Place, raw: &raw::Connect) -> Checked<Connect> {
    let redispatch = raw.redispatch.map_or(Redispatch::Same, |word| word.0);
    let problem = r#"only with redispatch = "same" is there a pause"#;
    place.key("pause").holds(raw.pause.is_none() || redispatch == Redispatch::Same, problem)?;
    Ok(Connect {
        timeout: span_or(raw.timeout, Connect::ONCE.timeout),
        retries: raw.retries.map_or(Ok(0), |written| count(&place.key("retries"), written, 0..=100))?,
        pause: span_or(raw.pause, Duration::ZERO),
        redispatch,
    })
}
