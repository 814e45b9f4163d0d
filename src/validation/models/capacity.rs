//! What becomes of a service while its capacity is not what it was: a dip and the backlog it leaves, machines under repair,
//! a bad release on a part of the traffic.

use super::draft::{PAUSED, Times, share, span};
use super::station::room_for;
use super::work::Work;
use super::{Figure, Reader, Reading, numbers};
use crate::history::Cause;
use std::time::Duration;

/// Reads what is about capacity.
pub(super) fn read(reader: &mut Reader<'_>) -> Reading {
    if reader.params.has("capacity") && reader.params.has("lambda_") {
        return dip(reader);
    }
    if reader.params.has("mttf") && reader.params.has("mttr") {
        return repair(reader);
    }
    if reader.params.has("canary_fraction") && reader.params.has("detect_s") {
        return bad_release(reader);
    }
    Ok(None)
}

/// Parts of a dip that are told apart.
const PARTS: f64 = 300.0;

/// Even arrivals, even work, and a worker that is slow for a while: a fluid queue in single requests.
fn dip(reader: &mut Reader<'_>) -> Reading {
    let params = &mut *reader.params;
    let (Some(rate), Some(capacity)) = (params.positive("lambda_")?, params.positive("capacity")?) else {
        return Ok(None);
    };
    // A backlog may be given in place of the dip that leaves it.
    let during = params.positive("capacity_during")?.unwrap_or(rate / 2.0);
    let backlog = params.positive("backlog")?;
    let lasts = params.positive("dip_s")?.or(backlog.map(|backlog| backlog / (rate - during)));
    let Some(lasts) = lasts.filter(|lasts| during < rate && rate < capacity && *lasts > 0.0) else { return Ok(None) };
    // Everything happens at whole parts of the dip, and its end where an interval begins.
    let part = (lasts * 1e9 / PARTS).ceil();
    let ends = 1.05 * PARTS * part / 1e9;
    let moment = Duration::from_nanos(ends.mul_add(1e9, 0.5) as u64);
    let figure = if reader.asks_for(&["peak backlog"]) {
        Figure::MostWaiting
    } else if reader.asks_for(&["to empty backlog"]) {
        Figure::EmptyAfter { moment, unit_s: 1.0 }
    } else if reader.asks_for(&["arrives when the dip ends"]) {
        Figure::WaitAt { moment, work_s: 1.0 / capacity, unit_s: 1.0 }
    } else {
        return Ok(None);
    };
    let recovery = lasts * (rate - during) / (capacity - rate);
    let times = Times { warm_up: 10.0 / rate, window: ends + 2.0 * recovery, interval: part / 1e9, runs: 2 };
    let text = format!(
        "[service]\ninstances = 1\nworkers = 1\nqueue = 1000000\n\
         [traffic]\nrate = {rate:?}\narrivals = \"deterministic\"\nwork = {}\n{PAUSED}\
         [faults]\nslow = [{{ at = {}, lasts = {}, factor = {:?}, instances = 1 }}]\n{}",
        span(1.0 / capacity),
        span(ends - lasts),
        span(lasts),
        capacity / during,
        times.study(),
    );
    reader.simulate(text, vec![figure])
}

/// Machines that break and crews that repair them (the machine-repair model: Palm 1947; M/M/c//N).
fn repair(reader: &mut Reader<'_>) -> Reading {
    let params = &mut *reader.params;
    let times = (params.positive("mttf")?, params.positive("mttr")?);
    let counts = (params.at_least_one("nodes")?, params.at_least_one("repair_crews")?);
    let ((Some(to_failure), Some(to_repair)), (Some(nodes), crews)) = (times, counts) else { return Ok(None) };
    let figure = if reader.asks_for(&["all nodes up"]) {
        Figure::TimeWithReady(nodes)
    } else if reader.asks_for(&["at least"]) {
        let Some(least) = numbers(&reader.quantity).first().copied() else { return Ok(None) };
        Figure::TimeWithReady(least as u32)
    } else if reader.asks_for(&["number up", "nodes up"]) {
        Figure::MeanReady { of: 1.0 }
    } else if reader.asks_for(&["number down", "nodes down"]) {
        Figure::MeanMissing
    } else if reader.asks_for(&["availability", "fraction of nodes", "fraction up"]) {
        Figure::MeanReady { of: f64::from(nodes) }
    } else {
        return Ok(None);
    };
    let crews = crews.map_or_else(String::new, |crews| format!(", crews = {crews}"));
    let steady = 20.0 * to_repair + to_failure;
    let times = Times::tenths(steady, 10.0 * steady / reader.effort.shortening(), 16);
    let text = format!(
        "[service]\ninstances = {nodes}\nworkers = 1\nqueue = 0\n\
         [traffic]\nrate = 0.001\nwork = \"1ms\"\n{PAUSED}\
         [faults]\ncrash = {{ mtbf = {}, repair = {}{crews} }}\n{}",
        span(to_failure),
        Work::exponential(to_repair).written(),
        times.study(),
    );
    reader.simulate(text, vec![figure])
}

/// Old instances beside the one new one.
const OLD: u32 = 20;

/// A new version that fails a share of its requests gets a fraction of the traffic, by its weight. It is undone when it
/// is noticed, and balancers hear of that when the rollback is through.
fn bad_release(reader: &mut Reader<'_>) -> Reading {
    let params = &mut *reader.params;
    let shares = (params.share("canary_fraction")?, params.share("error_rate")?);
    let spans = (params.positive("detect_s")?, params.number("rollback_s")?, params.positive("lambda_total")?);
    let ((Some(fraction), Some(errors)), (Some(detect), Some(back), Some(rate))) = (shares, spans) else {
        return Ok(None);
    };
    let is_part = 0.0 < fraction && fraction < 1.0 && back >= 0.0;
    if !is_part || !reader.asks_for(&["failed requests of a bad release"]) {
        return Ok(None);
    }
    // It serves from where balancers hear of it, `back` after its start, to where they hear that it is gone.
    let undone = back + detect;
    let work = 0.001;
    let times = Times::tenths(1.0, undone + back + 2.0, 16);
    let text = format!(
        "[service]\ninstances = {OLD}\nworkers = {}\nqueue = 0\n[traffic]\nrate = {rate:?}\nwork = {}\n\
         [balancer]\npolicy = \"random\"\nnew_weight = {:?}\npropagation = {}\n\
         [release]\nstart = \"0s\"\npre_stop = {}\ngrace = {}\ndefect = {{ error_rate = {} }}\n\
         [strategy.canary.kubernetes]\ncontrol_plane = {{ at_once = true }}\nmax_surge = 1\nmax_unavailable = 0\n\
         commands = [{{ when_ready = 1, do = \"pause\" }}, {{ after = {}, do = \"undo\" }}]\n{}",
        room_for(rate * work),
        span(work),
        fraction / (1.0 - fraction) * f64::from(OLD),
        span(back),
        span(back + 1.0),
        span(back + 10.0),
        share(errors),
        span(undone),
        times.study(),
    );
    reader.simulate(text, vec![Figure::LostBy { cause: Cause::Defect, each: 1.0 }])
}
