//! How long it takes health checks to find out, and what is lost until then.

use super::draft::{PAUSED, Times, share, span};
use super::station::room_for;
use super::{Figure, Reader, Reading};
use crate::history::Cause;

/// Reads what is about health checks.
pub(super) fn read(reader: &mut Reader<'_>) -> Reading {
    if reader.params.has("p_fail_each") {
        return false_alarm(reader);
    }
    if reader.params.has("period_s") && reader.params.has("failure_threshold") {
        return detection(reader);
    }
    Ok(None)
}

/// Requests a second by which time is told where none are asked for.
const TICKS: f64 = 50.0;

/// An instance goes down, and its balancer, who knows it by configuration, has to find out by itself. Whatever is sent
/// there until then is lost.
fn detection(reader: &mut Reader<'_>) -> Reading {
    let params = &mut *reader.params;
    params.pass_over(&["failure"]); // Whoever is down refuses at once.
    let (Some(period), Some(threshold)) = (params.positive("period_s")?, params.at_least_one("failure_threshold")?)
    else {
        return Ok(None);
    };
    let timeout = params.number("timeout_s")?.unwrap_or(0.0);
    let phase = match params.text("phase") {
        Some(text) if text == "uniform" => String::new(),
        Some(_) => return Ok(None),
        None => params.number("phase")?.map_or_else(String::new, |phase| format!(", phase = {}", span(phase))),
    };
    let nodes = params.at_least_one("nodes")?.unwrap_or(1);
    let rate = params.positive("lambda_total")?;
    let retries = params.count("client_retries")?.unwrap_or(0);
    let (figure, arrivals) = if reader.asks_for(&["time from crash to ejection"]) {
        // Even arrivals count the time.
        (Figure::LostBy { cause: Cause::StaleEndpoint, each: TICKS / f64::from(nodes) }, "deterministic")
    } else if reader.asks_for(&["failed requests until ejection"]) && rate.is_some() {
        (Figure::LostBy { cause: Cause::StaleEndpoint, each: 1.0 }, "poisson")
    } else {
        return Ok(None);
    };
    if timeout < 0.0 || retries > 99 {
        return Ok(None);
    }
    let rate = rate.filter(|_| arrivals == "poisson").unwrap_or(TICKS);
    let work = 0.001;
    let times = Times::tenths(period, period * f64::from(threshold + 1) + timeout + 1.0, 16);
    let text = format!(
        "[service]\ninstances = {nodes}\nworkers = {}\nqueue = 0\n\
         [traffic]\nrate = {rate:?}\narrivals = \"{arrivals}\"\nwork = {}\n\
         [client]\nretries = {{ attempts = {} }}\n\
         [balancer]\ndiscovery = \"static\"\n\
         health_check = {{ period = {}, timeout = {}, failure_threshold = {threshold}{phase} }}\n{PAUSED}\
         [faults]\noutage = {{ at = \"0s\", instances = 1, repair = \"300d\", silent = {} }}\n{}",
        room_for(rate * work),
        span(work),
        retries + 1,
        span(period),
        span(timeout),
        // Only silence makes a check wait for its time-out.
        timeout > 0.0,
        times.study(),
    );
    reader.simulate(text, vec![figure])
}

/// Checks of a sound instance fail by chance, until enough of them in a row do. It is the only one, so the first request after
/// that is lost; one comes between any two checks.
fn false_alarm(reader: &mut Reader<'_>) -> Reading {
    let (Some(chance), Some(row)) = (reader.params.share("p_fail_each")?, reader.params.at_least_one("k")?) else {
        return Ok(None);
    };
    if !reader.asks_for(&["mean checks until"]) || chance <= 0.0 || chance >= 1.0 {
        return Ok(None);
    }
    // It ends about when 1 / p^k / (1 − p) checks have been made; hardly ever thirty times later.
    let about = 1.0 / libm::pow(chance, f64::from(row)) / (1.0 - chance);
    let times = Times::tenths(0.0, 30.0 * about, 32);
    let text = format!(
        "[service]\ninstances = 1\nworkers = 1\nqueue = 0\n\
         [traffic]\nrate = 1\narrivals = \"deterministic\"\nwork = \"1ms\"\n\
         [balancer]\nhealth_check = {{ period = \"1s\", phase = \"500ms\", failure_threshold = {row}, false_failures = {} }}\n\
         {PAUSED}{}",
        share(chance),
        times.study(),
    );
    reader.simulate(text, vec![Figure::PeriodsToFirstLoss { period_s: 1.0 }])
}
