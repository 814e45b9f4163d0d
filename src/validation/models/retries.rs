//! What retries cost and what they hide.

use super::draft::{PAUSED, Times, share};
use super::{Figure, Reader, Reading};

/// Requests that one run sends: the first tokens of a bucket are a small part of what is spent.
const REQUESTS: f64 = 100_000.0;
const RATE: f64 = 1_000.0;

/// Reads what is about clients that try again.
pub(super) fn read(reader: &mut Reader<'_>) -> Reading {
    if !reader.params.has("p_fail") {
        return Ok(None);
    }
    let params = &mut *reader.params;
    let attempts = match (params.at_least_one("max_attempts")?, params.count("max_retries")?) {
        (Some(attempts), None) => attempts,
        (None, Some(retries)) => retries + 1,
        _ => return Ok(None),
    };
    let Some(chance) = params.share("p_fail")? else { return Ok(None) };
    let Some(budget) = budget(reader)? else { return Ok(None) };
    let figure = if reader.asks_for(&["attempts per request"]) {
        Figure::AttemptsPerRequest
    } else if reader.asks_for(&["success fraction"]) {
        Figure::Availability
    } else {
        return Ok(None);
    };
    let times = Times::tenths(0.0, REQUESTS / RATE / reader.effort.shortening(), 16);
    let text = format!(
        "[service]\ninstances = 1\nworkers = 100\nqueue = 0\nerror_rate = {}\n\
         [traffic]\nrate = {RATE:?}\nwork = \"1ms\"\n\
         [client]\nretries = {{ attempts = {attempts}{budget} }}\n{PAUSED}{}",
        share(chance),
        times.study(),
    );
    reader.simulate(text, vec![figure])
}

/// The budget of the retries as it is written: nothing where there is none, `None` where it is not known.
fn budget(reader: &mut Reader<'_>) -> Result<Option<String>, crate::scenario::InputError> {
    let params = &mut *reader.params;
    if params.has("budget") {
        return Ok(None);
    }
    params.pass_over(&["budget"]); // Null: none.
    let (Some(deposit), Some(size)) = (params.positive("deposit")?, params.positive("bucket_cap")?) else {
        return Ok(Some(String::new()));
    };
    // A bucket in units of what one retry takes.
    let cost = params.positive("retry_cost")?.unwrap_or(1.0);
    let (size, deposit) = (size / cost, deposit / cost);
    Ok(Some(format!(", budget = {{ tokens = {{ size = {size:?}, deposit = {deposit:?} }} }}")))
}
