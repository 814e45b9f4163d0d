//! Points that are computed: by the functions that the engine itself uses, or by the closed forms of `formulas`.

use super::{Reader, Reading, computed};
use crate::client::{Restraint, retries_allowed};
use crate::scenario::{InputError, RetryBudget};
use crate::validation::formulas::{
    SequentialTest, at_least, budget_used, metastable_loads, sample_size, spare_servers, supermarket_response,
};
use crate::validation::points::Params;

/// Reads what is to be computed.
pub(super) fn read(reader: &mut Reader<'_>) -> Reading {
    let formulas = [
        supermarket,
        several_of_many,
        some_of_many,
        canary,
        sequential_test,
        two_proportions,
        error_budget,
        layers,
        copies,
        spare,
        metastable,
        active_retries,
        throttle,
    ];
    for formula in formulas {
        let read = formula(reader)?;
        if read.is_some() {
            return Ok(read);
        }
    }
    Ok(None)
}

type Taken<const N: usize> = Result<Option<[f64; N]>, InputError>;

/// Takes out all of these parameters, or none of them where one is missing.
fn taken<const N: usize>(
    reader: &mut Reader<'_>,
    keys: [&str; N],
    take: fn(&mut Params, &str) -> Result<Option<f64>, InputError>,
) -> Taken<N> {
    if keys.iter().any(|key| !reader.params.has(key)) {
        return Ok(None);
    }
    let mut numbers = [0.0; N];
    for (number, key) in numbers.iter_mut().zip(keys) {
        *number = take(reader.params, key)?.expect("it is there");
    }
    Ok(Some(numbers))
}

fn shares<const N: usize>(reader: &mut Reader<'_>, keys: [&str; N]) -> Taken<N> {
    taken(reader, keys, Params::share)
}

fn positives<const N: usize>(reader: &mut Reader<'_>, keys: [&str; N]) -> Taken<N> {
    taken(reader, keys, Params::positive)
}

fn counts<const N: usize>(reader: &mut Reader<'_>, keys: [&str; N]) -> Taken<N> {
    taken(reader, keys, |params, key| Ok(params.count(key)?.map(f64::from)))
}

fn supermarket(reader: &mut Reader<'_>) -> Reading {
    if !reader.asks_for(&["as n grows"]) || !reader.params.has("d") {
        return Ok(None);
    }
    let Some([load]) = positives(reader, ["lambda_per_server"])? else { return Ok(None) };
    let choices = reader.params.count("d")?.unwrap_or(0);
    reader.params.pass_over(&["servers"]);
    let holds = load < 1.0 && choices > 1;
    Ok(holds.then(|| computed([supermarket_response(load, choices)])))
}

fn several_of_many(reader: &mut Reader<'_>) -> Reading {
    if !reader.asks_for(&["p(at least"]) {
        return Ok(None);
    }
    let (Some([k, n]), Some([chance])) = (counts(reader, ["k", "n"])?, shares(reader, ["a"])?) else { return Ok(None) };
    Ok(Some(computed([at_least(k as u32, n as u32, chance)])))
}

fn some_of_many(reader: &mut Reader<'_>) -> Reading {
    if !reader.asks_for(&["p(at least one"]) {
        return Ok(None);
    }
    for (many, chance) in [("nodes", "p"), ("requests", "p_error")] {
        if let (Some([n]), Some([p])) = (counts(reader, [many])?, shares(reader, [chance])?) {
            return Ok(Some(computed([at_least(1, n as u32, p)])));
        }
    }
    Ok(None)
}

fn canary(reader: &mut Reader<'_>) -> Reading {
    if !reader.asks_for(&["overall error ratio"]) {
        return Ok(None);
    }
    let Some([fraction, errors]) = shares(reader, ["canary_fraction", "error_rate"])? else { return Ok(None) };
    Ok(Some(computed([fraction * errors])))
}

fn sequential_test(reader: &mut Reader<'_>) -> Reading {
    let Some([good, bad, alpha, beta, rate]) = shares(reader, ["p0", "p1", "alpha", "beta", "p_true"])? else {
        return Ok(None);
    };
    let is_test = 0.0 < good && good < bad && bad < 1.0 && alpha > 0.0 && beta > 0.0 && alpha + beta < 1.0;
    if !is_test || !reader.asks_for(&["requests to a decision"]) {
        return Ok(None);
    }
    let decided = SequentialTest { good, bad, alpha, beta }.decide(rate);
    Ok(Some(computed([decided.requests, decided.rejected])))
}

fn two_proportions(reader: &mut Reader<'_>) -> Reading {
    let Some([p, q, significance, power]) = shares(reader, ["p_base", "p_canary", "alpha", "power"])? else {
        return Ok(None);
    };
    let inside = [p, q, significance, power].iter().all(|share| 0.0 < *share && *share < 1.0);
    let differ = (p - q).abs() > 0.0;
    let is_meant = inside && differ && reader.asks_for(&["requests per arm"]);
    Ok(is_meant.then(|| computed([sample_size(p, q, significance, power)])))
}

fn error_budget(reader: &mut Reader<'_>) -> Reading {
    if !reader.asks_for(&["30-day request budget"]) {
        return Ok(None);
    }
    let (Some([rate, failed]), Some([objective])) =
        (positives(reader, ["lambda_total", "failed"])?, shares(reader, ["slo"])?)
    else {
        return Ok(None);
    };
    Ok((objective < 1.0).then(|| computed([budget_used(failed, rate, objective)])))
}

/// Every layer of a stack repeats what the one above it repeats.
fn layers(reader: &mut Reader<'_>) -> Reading {
    let Some([layers, attempts]) = counts(reader, ["layers", "attempts_per_layer"])? else { return Ok(None) };
    Ok(Some(computed([libm::pow(attempts, layers)])))
}

/// Of independent copies all are slow.
fn copies(reader: &mut Reader<'_>) -> Reading {
    let (Some([chance]), Some([copies])) = (shares(reader, ["p_slow"])?, counts(reader, ["copies"])?) else {
        return Ok(None);
    };
    Ok(Some(computed([libm::pow(chance, copies)])))
}

fn spare(reader: &mut Reader<'_>) -> Reading {
    if !reader.asks_for(&["largest maxunavailable"]) {
        return Ok(None);
    }
    let (Some([servers]), Some([load, rate])) = (counts(reader, ["servers"])?, positives(reader, ["lambda_", "mu"])?)
    else {
        return Ok(None);
    };
    Ok(spare_servers(servers as u32, load, rate).map(|spare| computed([f64::from(spare)])))
}

fn metastable(reader: &mut Reader<'_>) -> Reading {
    let Some([capacity, load]) = positives(reader, ["capacity_qps", "offered_qps"])? else { return Ok(None) };
    let Some([retries]) = counts(reader, ["retries"])? else { return Ok(None) };
    reader.params.pass_over(&["outage_s"]); // However long it was.
    Ok(Some(computed(metastable_loads(capacity, load, retries))))
}

fn active_retries(reader: &mut Reader<'_>) -> Reading {
    let Some([active, percent, least]) = counts(reader, ["active", "budget_pct", "min_concurrency"])? else {
        return Ok(None);
    };
    Ok(Some(computed([retries_allowed(active as u64, percent / 100.0, least as u32) as f64])))
}

/// How many failures in a row it takes until retries are throttled.
fn throttle(reader: &mut Reader<'_>) -> Reading {
    let Some([size, deposit, start]) = positives(reader, ["maxTokens", "tokenRatio", "start_tokens"])? else {
        return Ok(None);
    };
    if !reader.asks_for(&["failures before retries stop"]) || start < size || size > 1e6 {
        return Ok(None);
    }
    let mut restraint = Restraint::new(Some(RetryBudget::Throttle { size, deposit }));
    let mut failures = 0u32;
    loop {
        restraint.note_failed();
        failures += 1;
        if !restraint.allows(1) {
            return Ok(Some(computed([f64::from(failures)])));
        }
    }
}
