//! The figures of one repetition, recorded or simulated: what was answered, what failed and how, latencies before, during
//! and after the restart, and each backend's share.

use super::config::Product;
use super::recording::{Measured, Mode, Phase, Recording};
use crate::conformance::constants::PROXY;
use crate::history::{Cause, End, Ended, History};
use crate::time::{SimTime, nanos};
use std::time::Duration;

/// Nothing of this long from the beginning is looked at but the shares: connections are opened then.
pub(super) const FIRST: Duration = Duration::from_secs(1);

/// In what a figure is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unit {
    /// Requests.
    Requests,
    /// Milliseconds.
    Millis,
    /// A share from 0 to 1.
    Share,
}

impl Unit {
    /// A value as people write it.
    pub fn write(self, value: f64) -> String {
        match self {
            Unit::Requests => format!("{value:.0}"),
            Unit::Millis => format!("{value:.1} ms"),
            Unit::Share => format!("{:.2} %", value * 100.0),
        }
    }
}

/// One figure under its name.
#[derive(Clone, Debug, PartialEq)]
pub struct Figure {
    /// Its name.
    pub name: String,
    /// Its unit.
    pub unit: Unit,
    /// Its value; `None` where there is none, as of latencies where nothing was answered.
    pub value: Option<f64>,
}

/// How a request failed, as its client saw it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Failure {
    BadGateway,
    Unavailable,
    GatewayTimeout,
    ClientTimeout,
    Other,
}

impl Failure {
    const ALL: [Failure; 5] =
        [Failure::BadGateway, Failure::Unavailable, Failure::GatewayTimeout, Failure::ClientTimeout, Failure::Other];

    fn name(self) -> &'static str {
        match self {
            Failure::BadGateway => "502",
            Failure::Unavailable => "503",
            Failure::GatewayTimeout => "504",
            Failure::ClientTimeout => "timed out",
            Failure::Other => "failed otherwise",
        }
    }

    /// What a balancer says where a request is lost.
    fn of(product: Product, cause: Cause) -> Failure {
        match (cause, product) {
            (Cause::NoEndpoint | Cause::StaleEndpoint | Cause::QueueFull, Product::HaProxy) => Failure::Unavailable,
            (Cause::NoEndpoint | Cause::StaleEndpoint, Product::Nginx) | (Cause::CutOff | Cause::Crash, _) => {
                Failure::BadGateway
            }
            (Cause::TimedOutWaiting | Cause::TimedOutInService, _) => Failure::ClientTimeout,
            _ => Failure::Other,
        }
    }
}

/// What one phase comes to: answered, failed by kind, and mean and quantiles of the latency.
struct Summary {
    answered: f64,
    failed: [f64; Failure::ALL.len()],
    latencies: Option<[f64; 4]>,
}

const LATENCIES: [&str; 4] = ["mean", "p50", "p95", "p99"];

/// The figures of a repetition in an order that is the same for all of a mode and size.
fn listed(mode: Mode, phases: [Summary; 3], shares: &[f64]) -> Vec<Figure> {
    let mut figures = Vec::new();
    let watched = if mode == Mode::None { 1 } else { phases.len() };
    for (name, phase) in ["before", "during", "after"].into_iter().zip(phases).take(watched) {
        let mut add = |what: &str, unit, value| figures.push(Figure { name: format!("{name}: {what}"), unit, value });
        add("answered", Unit::Requests, Some(phase.answered));
        // What becomes of requests that a kill cuts off depends on the client, too, which repeats some.
        if mode != Mode::Kill9 {
            for (failure, count) in Failure::ALL.into_iter().zip(phase.failed) {
                add(failure.name(), Unit::Requests, Some(count));
            }
        }
        for (place, what) in LATENCIES.into_iter().enumerate() {
            add(what, Unit::Millis, phase.latencies.map(|latencies| latencies[place]));
        }
    }
    let all: f64 = shares.iter().sum();
    for (backend, answered) in shares.iter().enumerate() {
        let value = (all > 0.0).then_some(answered / all);
        figures.push(Figure { name: format!("share of backend {backend}"), unit: Unit::Share, value });
    }
    figures
}

/// The recorded figures.
pub(super) fn recorded(mode: Mode, measured: &Measured) -> Vec<Figure> {
    let summary = |phase: &Phase| {
        let Phase { ok, errors, e502, e503, e504, client_timeouts, .. } = *phase;
        let other = errors - e502 - e503 - e504 - client_timeouts;
        let latencies = [phase.mean_ms, phase.p50_ms, phase.p95_ms, phase.p99_ms];
        Summary {
            answered: ok,
            failed: [e502, e503, e504, client_timeouts, other],
            latencies: (ok > 0.0).then_some(latencies),
        }
    };
    let phases = &measured.phases;
    let phases = [&phases.before, &phases.during, &phases.after].map(summary);
    listed(mode, phases, &measured.ok_per_backend)
}

/// The figures of a run that began to look at `SimTime::START` + `begins`.
pub(super) fn simulated(recording: &Recording, history: &History, begins: Duration) -> Vec<Figure> {
    let begins = SimTime::START + begins;
    let rollout_at = begins + recording.before;
    let ended_at = history.ended_at.unwrap_or(SimTime::NEVER);
    let over_at = ended_at + recording.after;
    let within = |from: SimTime, to: SimTime| {
        let is_there = move |ended: &&Ended| from <= ended.arrived && ended.arrived < to;
        summary(recording.product, history.log.iter().filter(is_there))
    };
    let phases = [within(begins + FIRST, rollout_at), within(rollout_at, ended_at), within(ended_at, over_at)];
    let mut answered = vec![0.0; recording.backends.get() as usize];
    for ended in history.log.iter().filter(|ended| begins <= ended.arrived && ended.arrived < over_at) {
        if let End::Served(slot) = ended.how {
            answered[slot.0 as usize] += 1.0;
        }
    }
    listed(recording.mode, phases, &answered)
}

fn summary<'a>(product: Product, requests: impl Iterator<Item = &'a Ended>) -> Summary {
    let mut latencies = Vec::new();
    let mut failed = [0.0; Failure::ALL.len()];
    for ended in requests {
        match ended.how {
            End::Served(_) => latencies.push(nanos(ended.at.since(ended.arrived) + PROXY)),
            End::Lost(cause) => failed[Failure::of(product, cause) as usize] += 1.0,
        }
    }
    latencies.sort_unstable();
    let answered = latencies.len() as f64;
    let millis = |nanos: u64| nanos as f64 / 1e6;
    let quantile = |share: f64| millis(latencies[(share * (answered - 1.0)).round() as usize]);
    let mean = latencies.iter().map(|nanos| millis(*nanos)).sum::<f64>() / answered;
    let latencies = (answered > 0.0).then(|| [mean, quantile(0.5), quantile(0.95), quantile(0.99)]);
    Summary { answered, failed, latencies }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fleet::Slot;

    #[test]
    fn a_phase_comes_to_its_counts_and_latencies() {
        let ended = |arrived_ms: u64, took_ms: u64, how| {
            let arrived = SimTime::START + Duration::from_millis(arrived_ms);
            Ended { arrived, at: arrived + Duration::from_millis(took_ms), how }
        };
        let served = (1..=101).map(|ms| ended(ms, ms, End::Served(Slot(0))));
        let lost = [Cause::NoEndpoint, Cause::StaleEndpoint, Cause::CutOff, Cause::TimedOutWaiting, Cause::Error];
        let log: Vec<Ended> = served.chain(lost.map(|cause| ended(1, 1, End::Lost(cause)))).collect();
        let of = |product| summary(product, log.iter());
        let haproxy = of(Product::HaProxy);
        let proxy = PROXY.as_secs_f64() * 1000.0;
        assert_eq!(haproxy.latencies, Some([51.0, 51.0, 96.0, 100.0].map(|ms| ms + proxy)));
        assert_eq!(haproxy.answered.to_bits(), 101f64.to_bits());
        //                             502  503  504  timed out  otherwise
        let counts = |summary: &Summary| summary.failed.map(|count| format!("{count}"));
        assert_eq!(counts(&haproxy), ["1", "2", "0", "1", "1"]);
        assert_eq!(counts(&of(Product::Nginx)), ["3", "0", "0", "1", "1"]);
        assert_eq!(summary(Product::Nginx, [].iter()).latencies, None);
    }

    #[test]
    fn kills_and_runs_without_a_restart_have_fewer_figures() {
        let names = |mode| {
            let phase = || Summary { answered: 1.0, failed: [0.0; 5], latencies: None };
            let figures = listed(mode, [phase(), phase(), phase()], &[3.0, 1.0]);
            assert_eq!(figures.last().and_then(|figure| figure.value), Some(0.25));
            figures.into_iter().map(|figure| figure.name).collect::<Vec<_>>()
        };
        assert_eq!(names(Mode::Term).len(), 3 * (1 + 5 + 4) + 2);
        assert_eq!(names(Mode::Kill9).len(), 3 * (1 + 4) + 2);
        assert!(names(Mode::None).iter().all(|name| name.starts_with("before") || name.starts_with("share")));
    }
}
