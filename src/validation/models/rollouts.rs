//! How long rollouts last whose single deployments take random or constant times.

use super::draft::{Times, share};
use super::work::Work;
use super::{Figure, Reader, Reading};

/// Reads what is about the duration of rollouts over nodes.
pub(super) fn read(reader: &mut Reader<'_>) -> Reading {
    if !reader.asks_for(&["rollout duration"]) || reader.params.has("replicas") {
        return Ok(None);
    }
    let params = &mut *reader.params;
    let Some(nodes) = params.at_least_one("nodes")? else { return Ok(None) };
    // Batches wait for their last node; a window slides over them.
    let is_batch = params.has("batch");
    let width = params.at_least_one(if is_batch { "batch" } else { "window" })?;
    let Some(window) = width else { return Ok(None) };
    let key = if params.has("deploy_time") { "deploy_time" } else { "attempt" };
    let deploying = match params.text(key) {
        Some(text) => Work::read(&text, 1.0),
        None => params.positive(key)?.map(Work::fixed),
    };
    let Some(deploying) = deploying else { return Ok(None) };
    let failures = match params.share("p_fail")? {
        Some(chance) => chance,
        None => params.share("failures")?.unwrap_or(0.0),
    };
    if failures >= 1.0 {
        return Ok(None);
    }
    // An attempt that fails ends with the process gone; it is started anew at once, and the target waits for that.
    if is_batch && failures > 0.0 {
        return Ok(None); // What fails in a wave is not begun again.
    }
    let strategy = if is_batch { "batches.waves]\nsize" } else { "sliding.octopus]\nwindow_size" };
    let (defect, again) = if failures > 0.0 {
        let again = "guided_failure = { answers_after = \"0s\", answer = \"retry\" }\n";
        (format!("defect = {{ failed_start = {} }}\n", share(failures)), again)
    } else {
        (String::new(), "")
    };
    let rounds = f64::from(nodes.div_ceil(window)) + 5.0 * libm::log(f64::from(window) + 1.0);
    let slowest = if is_batch { 1.0 + libm::log(f64::from(window)) } else { 1.0 };
    let longest = 4.0 * deploying.mean * slowest / (1.0 - failures) * rounds;
    let times = Times::tenths(0.0, longest, 16);
    let text = format!(
        "[service]\ninstances = {nodes}\nworkers = 1\nqueue = 0\n\
         [traffic]\nrate = 0.001\nwork = \"1ms\"\n\
         [release]\nstart = {}\ngrace = \"30s\"\n{defect}\
         [strategy.{strategy} = {window}\n{again}{}",
        deploying.written(),
        times.study(),
    );
    reader.simulate(text, vec![Figure::Duration { unit_s: 1.0 }])
}
