//! What happens to requests when an instance goes: cut off at the end of the grace period, or sent where nobody serves any
//! more.
//!
//! What is open at an instance that gets no more requests is an M/G/∞ queue whose arrivals have ended: λ E[(S − D)⁺] are open
//! after D (residual life; Cox, Renewal Theory, 1962).

use super::draft::{Times, span};
use super::station::room_for;
use super::work::Work;
use super::{Figure, Reader, Reading};
use crate::history::Cause;

/// Reads what is about instances that go.
pub(super) fn read(reader: &mut Reader<'_>) -> Reading {
    if reader.params.has("lambda_to_node") {
        return cut_off(reader);
    }
    if reader.params.has("connection_life") {
        return long_lived(reader);
    }
    if reader.params.has("endpoint_propagation_s") {
        return stale(reader);
    }
    Ok(None)
}

/// All instances go at once, and each counts for itself.
const NODES: u32 = 20;
/// Requests a second to one of them where only the share of those that are cut off counts.
const CONNECTIONS: f64 = 50.0;

fn cut_off(reader: &mut Reader<'_>) -> Reading {
    let Some(work) = reader.params.text("service").and_then(|text| Work::read(&text, 1.0)) else { return Ok(None) };
    let (Some(rate), Some(grace)) = (reader.params.positive("lambda_to_node")?, reader.params.number("grace")?) else {
        return Ok(None);
    };
    if !reader.asks_for(&["requests cut"]) || grace < 0.0 {
        return Ok(None);
    }
    let text = stopping(&work, rate, grace);
    reader.simulate(text, vec![Figure::LostBy { cause: Cause::CutOff, each: f64::from(NODES) }])
}

fn long_lived(reader: &mut Reader<'_>) -> Reading {
    let (Some(life), Some(drain)) = (reader.params.positive("connection_life")?, reader.params.positive("drain")?)
    else {
        return Ok(None);
    };
    if !reader.asks_for(&["still open"]) {
        return Ok(None);
    }
    let is_exponential =
        reader.source.contains("exp") || reader.params.text("life").is_some_and(|life| life.contains("exp"));
    let work = if is_exponential { Work::exponential(life) } else { Work::fixed(life) };
    let text = stopping(&work, CONNECTIONS / life, drain);
    reader.simulate(text, vec![Figure::LostOfOpen(Cause::CutOff)])
}

/// A fleet that is told to stop at one moment, and killed after a grace period.
fn stopping(work: &Work, rate: f64, grace: f64) -> String {
    // The more work varies, the longer it takes until as much as ever is open. The kill is within the window.
    let steady = work.mean * (12.0 + 20.0 * work.scv());
    let times = Times::tenths(steady, grace + 0.1 * work.mean, 16);
    format!(
        "[service]\ninstances = {NODES}\nworkers = {}\nqueue = 0\n[traffic]\nrate = {:?}\nwork = {}\n\
         [balancer]\npolicy = \"random\"\n[release]\nstart = \"0s\"\ngrace = {}\n\
         [strategy.all-at-once.octopus]\nwindow_size = {NODES}\n{}",
        room_for(rate * work.mean),
        rate * f64::from(NODES),
        work.written(),
        span(grace),
        times.study(),
    )
}

/// Instances stop, one after the other, after preStop, and balancers hear of it late.
fn stale(reader: &mut Reader<'_>) -> Reading {
    let params = &mut *reader.params;
    let spans = (params.number("endpoint_propagation_s")?, params.number("prestop_s")?);
    let rest = (params.positive("lambda_total")?, params.at_least_one("nodes")?);
    let ((Some(propagation), Some(pre_stop)), (Some(rate), Some(nodes))) = (spans, rest) else { return Ok(None) };
    if !reader.asks_for(&["requests sent to a stopped node"]) || propagation < 0.0 || pre_stop < 0.0 || nodes < 2 {
        return Ok(None);
    }
    // The next one goes when balancers have long heard of the one before and of its replacement.
    let apart = (propagation + pre_stop).ceil() + 2.0;
    let times = Times::tenths(1.0, apart * f64::from(nodes + 1), 2);
    let work = 0.001;
    let text = format!(
        "[service]\ninstances = {nodes}\nworkers = {}\nqueue = 0\n[traffic]\nrate = {rate:?}\nwork = {}\n\
         [balancer]\npropagation = {}\n[release]\nstart = \"0s\"\npre_stop = {}\ngrace = {}\n\
         [strategy.one-by-one.kubernetes]\ncontrol_plane = {{ at_once = true }}\nmax_surge = 0\nmax_unavailable = 1\n\
         min_ready_seconds = {apart}\n{}",
        room_for(rate * work),
        span(work),
        span(propagation),
        span(pre_stop),
        span(pre_stop + 10.0),
        times.study(),
    );
    reader.simulate(text, vec![Figure::LostBy { cause: Cause::StaleEndpoint, each: f64::from(nodes) }])
}
