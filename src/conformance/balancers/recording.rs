//! A recorded rolling restart behind a load balancer, checked. How the files look is told in README.md.

use super::config::{self, Product};
use super::figures::Figure;
use crate::conformance::constants::OVERSLEPT;
use crate::conformance::files::{Json, Millis, Seconds, Whole};
use crate::distribution::{Delay, Distribution};
use crate::scenario::{Balancer, LoadError};
use serde::Deserialize;
use std::num::NonZeroU32;
use std::time::Duration;

/// The most requests of one repetition.
const MOST_REQUESTS: f64 = 1e6;
const MOST_REPETITIONS: usize = 20;

/// How a backend is restarted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Mode {
    /// It is not.
    None,
    /// The balancer is told first, and told again when it is back.
    Drain,
    /// SIGTERM: it stops listening, and finishes what it has.
    Term,
    /// SIGKILL.
    Kill9,
}

/// One case: the same restart, several times.
#[derive(Clone, Debug)]
pub struct Recording {
    /// Whose balancer it was.
    pub product: Product,
    /// The balancer.
    pub balancer: Balancer,
    /// Backends behind it.
    pub backends: NonZeroU32,
    /// Requests that a backend serves at once.
    pub workers: NonZeroU32,
    /// What a request costs a backend.
    pub work: Delay,
    /// Requests per second, above 0.
    pub rate: f64,
    /// How long a client waits for an answer.
    pub timeout: Duration,
    /// How backends are restarted.
    pub mode: Mode,
    /// How many at once; `None`: all.
    pub window: Option<NonZeroU32>,
    /// The longest that a backend drains.
    pub drain: Duration,
    /// From a process's exit to the start of the next one.
    pub gap: Duration,
    /// How long that one takes until it listens.
    pub start: Duration,
    /// The pause after each batch.
    pub settle: Duration,
    /// From the beginning to the restart, more than a second.
    pub before: Duration,
    /// From the end of the restart on.
    pub after: Duration,
    /// Its repetitions, at least one.
    pub repetitions: Vec<Repetition>,
}

/// What was recorded of one repetition.
#[derive(Clone, Debug)]
pub struct Repetition {
    /// Its number.
    pub number: u32,
    /// Its figures.
    pub figures: Vec<Figure>,
}

#[derive(Deserialize)]
struct Meta {
    #[serde(default)]
    client: String,
    lb_config: String,
    scenario: Scenario,
    results: Vec<Measured>,
}

#[derive(Deserialize)]
struct Scenario {
    lb: String,
    backends: Whole<1, 1_000>,
    concurrency_per_backend: Whole<1, 100_000>,
    service_mean_ms: Millis,
    service_dist: ServiceWord,
    rate_rps: f64,
    window: Whole<0, 1_000>,
    mode: Mode,
    drain_timeout_s: Seconds,
    gap_before_start_s: Seconds,
    startup_delay_s: Seconds,
    settle_after_ready_s: Seconds,
    pre_s: Seconds,
    post_s: Seconds,
}

/// How long services last.
#[derive(Clone, Copy, Deserialize)]
#[serde(rename_all = "lowercase")]
enum ServiceWord {
    Det,
    Exp,
    /// With sigma 1.
    Lognormal,
}

/// The results of one repetition.
#[derive(Deserialize)]
pub(super) struct Measured {
    rep: Whole<1, 1_000>,
    pub(super) ok_per_backend: Vec<f64>,
    pub(super) phases: Phases,
}

#[derive(Deserialize)]
pub(super) struct Phases {
    pub(super) before: Phase,
    pub(super) during: Phase,
    pub(super) after: Phase,
}

/// Requests that arrived in one phase, and the latencies of those that were answered, milliseconds.
#[derive(Deserialize)]
pub(super) struct Phase {
    pub(super) ok: f64,
    pub(super) errors: f64,
    pub(super) e502: f64,
    pub(super) e503: f64,
    pub(super) e504: f64,
    pub(super) client_timeouts: f64,
    pub(super) mean_ms: f64,
    pub(super) p50_ms: f64,
    pub(super) p95_ms: f64,
    pub(super) p99_ms: f64,
}

/// Reads a case.
pub(in crate::conformance) fn read(json: &Json) -> Result<Recording, LoadError> {
    let Meta { client, lb_config, scenario, results } = json.read()?;
    let product = match scenario.lb.as_str() {
        "haproxy" => Product::HaProxy,
        "nginx" => Product::Nginx,
        _ => return Err(json.mistake("scenario.lb", "must be haproxy or nginx")),
    };
    let balancer = config::balancer(product, &lb_config).map_err(|problem| json.mistake("lb_config", &problem))?;
    let before = scenario.pre_s.0;
    if before <= super::figures::FIRST {
        return Err(json.mistake("scenario.pre_s", "must be more than the first second, which is not looked at"));
    }
    let rate = scenario.rate_rps;
    if !(rate > 0.0 && rate * (before + scenario.post_s.0).as_secs_f64() <= MOST_REQUESTS) {
        return Err(json.mistake("scenario.rate_rps", "must be above 0, and come to at most a million requests"));
    }
    if results.is_empty() || results.len() > MOST_REPETITIONS {
        return Err(json.mistake("results", "must hold 1 to 20 repetitions"));
    }
    let backends = scenario.backends.0;
    if results.iter().any(|result| result.ok_per_backend.len() != backends as usize) {
        return Err(json.mistake("results.ok_per_backend", "must hold a count for each backend"));
    }
    let window = NonZeroU32::new(scenario.window.0);
    let restarts = scenario.mode != Mode::None;
    if restarts && window.is_none() {
        return Err(json.mistake("scenario.window", "must be at least 1 unless mode is \"none\""));
    }
    let repetition = |result: &Measured| Repetition {
        number: result.rep.0,
        figures: super::figures::recorded(scenario.mode, result),
    };
    Ok(Recording {
        product,
        balancer,
        backends: NonZeroU32::new(backends).expect("the bounds begin at 1"),
        workers: NonZeroU32::new(scenario.concurrency_per_backend.0).expect("the bounds begin at 1"),
        work: work(scenario.service_dist, scenario.service_mean_ms.0),
        rate,
        timeout: client_timeout(&client),
        mode: scenario.mode,
        window,
        drain: scenario.drain_timeout_s.0,
        gap: scenario.gap_before_start_s.0,
        start: scenario.startup_delay_s.0,
        settle: scenario.settle_after_ready_s.0,
        before,
        after: scenario.post_s.0,
        repetitions: results.iter().map(repetition).collect(),
    })
}

/// Services of this mean, which a sleep oversteps a little.
fn work(word: ServiceWord, mean: Duration) -> Delay {
    let mean = mean + OVERSLEPT;
    match word {
        ServiceWord::Det => Delay::Fixed(mean),
        ServiceWord::Exp => Delay::Drawn(Distribution::Exponential { mean: mean.as_secs_f64() }),
        // The mean of exp(N(µ, 1)) is exp(µ + 1/2), and its 95 % quantile exp(µ + 1.645).
        ServiceWord::Lognormal => {
            let median = mean.as_secs_f64() / libm::exp(0.5);
            Delay::Drawn(Distribution::log_normal(median, median * libm::exp(1.644_853_626_951_473)))
        }
    }
}

/// The time-out in a text such as "keep-alive, 8 s timeout"; without one, the recorder's own.
fn client_timeout(text: &str) -> Duration {
    let seconds = text.split(" s timeout").next().filter(|before| before.len() < text.len());
    let seconds = seconds.and_then(|before| before.rsplit(' ').next()?.parse().ok());
    Duration::from_secs(seconds.filter(|seconds| (1..=3_600).contains(seconds)).unwrap_or(8))
}
