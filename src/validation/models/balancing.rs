//! What balancers do to a fleet in which not all are alike: an instance that fails at once and so looks idle, health that is
//! ignored in a panic, subsets that load backends unevenly.

use super::station::{Layout, Station};
use super::{Figure, Reader, Reading, Task, computed};
use crate::balancer::{Ask, Balancer, Endpoint, Pick, slow_start_share};
use crate::distribution::Delay;
use crate::history::Cause;
use crate::random::mix;
use crate::scenario::{self, Choice, FirstCheck, HealthCheck, SlowStart};
use crate::stats::Sample;
use crate::validation::experiment::Effort;
use crate::validation::judge::Estimate;
use std::num::NonZeroU32;
use std::time::Duration;

/// Reads what is about balancers alone.
pub(super) fn read(reader: &mut Reader<'_>) -> Reading {
    if reader.params.has("broken") {
        return sinkhole(reader);
    }
    if reader.params.has("subset") && reader.params.has("backends") {
        return subsets(reader);
    }
    if reader.params.has("panic_threshold") {
        return panic(reader);
    }
    if reader.params.has("window_s") && reader.params.has("aggression") {
        return slow_start(reader);
    }
    Ok(None)
}

/// The share of its weight that a newcomer gets at some age.
fn slow_start(reader: &mut Reader<'_>) -> Reading {
    let params = &mut *reader.params;
    let spans = (params.number("t_s")?, params.positive("window_s")?);
    let rest = (params.positive("aggression")?, params.share("min_weight")?);
    let ((Some(age), Some(window)), (Some(aggression), Some(least))) = (spans, rest) else { return Ok(None) };
    let is_span = |seconds: f64| (0.0..=1e9).contains(&seconds);
    if !reader.asks_for(&["effective weight factor"]) || !is_span(age) || !is_span(window) {
        return Ok(None);
    }
    let settings = SlowStart { window: Duration::from_secs_f64(window), aggression, least };
    Ok(Some(computed([slow_start_share(&settings, (age * 1e9) as u64)])))
}

/// One instance of a new version answers every request at once with an error, and the rollout is paused there.
fn sinkhole(reader: &mut Reader<'_>) -> Reading {
    if !reader.asks_for(&["fraction of requests sent to the broken"]) {
        return Ok(None);
    }
    let fails_at_once = reader.params.text("broken").is_some_and(|text| text == "service time 0, always error");
    let Some(station) = Station::read(reader)? else { return Ok(None) };
    if !fails_at_once || station.layout == Layout::Central || !station.is_stable() {
        return Ok(None);
    }
    let times = station.times(0.0, reader.effort);
    let rollout = r#"[release]
start = "0s"
defect = { error_rate = "100%", slowdown = 0.000001 }
[strategy.one-new.kubernetes]
control_plane = { at_once = true }
max_surge = 0
max_unavailable = 1
commands = [{ when_ready = 1, do = "pause" }]
"#;
    reader.simulate(station.scenario(rollout, &times), vec![Figure::LostShare(Cause::Defect)])
}

/// How unevenly many clients that keep to subsets of the backends load them: the most or the least loaded one against the
/// mean, over several sets of clients.
fn subsets(reader: &mut Reader<'_>) -> Reading {
    let params = &mut *reader.params;
    let counts = [params.at_least_one("clients")?, params.at_least_one("backends")?, params.at_least_one("subset")?];
    let [Some(clients), Some(backends), Some(subset)] = counts else { return Ok(None) };
    let (most, least) = (reader.asks_for(&["most loaded"]), reader.asks_for(&["least loaded"]));
    if most == least {
        return Ok(None);
    }
    let sets = match reader.effort {
        Effort::Full => 24,
        Effort::Quick => 6,
    };
    if u64::from(clients) * u64::from(backends) > 1_000_000 {
        return Err(reader.params.mistake("clients", "must have at most 1,000,000 pairs with backends"));
    }
    let subset = NonZeroU32::new(subset).expect("there is at least one");
    let settings = scenario::Balancer { subset: Some(subset), ..scenario::Balancer::plain(Choice::Random) };
    let ratio = |set: u32| {
        let mut loads = vec![0u32; backends as usize];
        for client in 0..clients {
            let mut balancer = Balancer::new(&settings, set * clients + client);
            (0..backends).for_each(|backend| balancer.list(Endpoint(backend), 1.0, false, 0));
            for (backend, load) in (0..).zip(&mut loads) {
                *load += u32::from(balancer.uses(Endpoint(backend)));
            }
        }
        let extreme = if most { loads.iter().max() } else { loads.iter().min() };
        extreme.copied().map_or(0.0, f64::from) * f64::from(backends)
            / loads.iter().copied().map(f64::from).sum::<f64>()
    };
    let Some(sample) = Sample::new((0..sets).map(ratio).collect()) else { return Ok(None) };
    let estimate = Estimate { mean: sample.mean(), standard_error: sample.standard_error() };
    Ok(Some(Task::Computed(vec![estimate])))
}

/// The share of requests that reach a healthy host, some of which are not.
fn panic(reader: &mut Reader<'_>) -> Reading {
    let params = &mut *reader.params;
    let counts = (params.at_least_one("hosts")?, params.count("healthy")?, params.share("panic_threshold")?);
    let (Some(hosts), Some(healthy), Some(threshold)) = counts else { return Ok(None) };
    if !reader.asks_for(&["success fraction"]) || healthy > hosts || hosts > 10_000 {
        return Ok(None);
    }
    let check = HealthCheck {
        period: Duration::from_secs(1),
        timeout: Duration::ZERO,
        first: FirstCheck::AtRandom,
        success_threshold: NonZeroU32::MIN,
        failure_threshold: NonZeroU32::MIN,
        assume_healthy: true,
        work: None,
        false_failures: 0.0,
    };
    let settings = scenario::Balancer {
        health_check: Some(check),
        panic_threshold: threshold,
        propagation: Delay::NONE,
        ..scenario::Balancer::plain(Choice::RoundRobin)
    };
    let mut balancer = Balancer::new(&settings, 0);
    for host in 0..hosts {
        balancer.list(Endpoint(host), 1.0, false, 0);
        balancer.note_check(Endpoint(host), host < healthy);
    }
    // Rounds that end with each host's last turn, whether all of them or the healthy ones are used.
    let requests = u64::from(hosts) * u64::from(healthy.max(1));
    let served = (0..requests).filter(|request| {
        let ask = Ask { luck: mix(*request), key: *request, tried: &[] };
        matches!(balancer.choose(&ask, 0), Pick::To(host) if host.0 < healthy)
    });
    Ok(Some(computed([served.count() as f64 / requests as f64])))
}
