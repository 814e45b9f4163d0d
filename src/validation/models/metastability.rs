//! Whether a service that was overloaded for a while comes back: retries can keep it down when nothing disturbs it any more.
//!
//! Huang et al., Metastable Failures in the Wild (OSDI 2022), with the scripts of its retry experiment: an even stream of
//! requests with a time-out and resends, a server whose processors are limited for some seconds. What the server
//! can do is not published. One capacity stands for it in all cases.

use super::draft::{PAUSED, Times, span};
use super::work::Work;
use super::{Figure, Reader, Reading};

/// Requests a second that the server can answer with all of its processors. All four published cases come out as they
/// did for any capacity from 34,000 to 36,500, and not beyond: this is the middle.
const CAPACITY: f64 = 35_250.0;

/// How long the stream goes on after the trigger. Without it nobody could tell whether the service stays down.
const AFTERMATH_S: f64 = 40.0;
/// Whether it came back is told by the last requests.
const LAST_S: f64 = 10.0;

/// Reads what becomes of a server under retries.
pub(super) fn read(reader: &mut Reader<'_>) -> Reading {
    if !reader.params.has("cpu_limit_during") || !reader.asks_for(&["outcome after the trigger ends"]) {
        return Ok(None);
    }
    let params = &mut *reader.params;
    // The load of the experiment ends so soon after the trigger that it is taken to go on.
    params.pass_over(&["requests", "servers"]);
    let processors = (params.positive("cpu_normal")?, params.positive("cpu_limit_during")?);
    let spans = (params.positive("trigger_s")?, params.number("warmup_s")?, params.positive("timeout_s")?);
    let rest = (params.positive("request_interval_us")?, params.count("resends")?);
    let ((Some(all), Some(limited)), (Some(trigger), Some(warm_up), Some(timeout)), (Some(interval), Some(resends))) =
        (processors, spans, rest)
    else {
        return Ok(None);
    };
    let rate = 1e6 / interval;
    let case = Case { rate, processors: all, limited, trigger, warm_up, timeout, resends };
    reader.simulate(meltdown(&case, CAPACITY), vec![Figure::AvailabilityOfLast { seconds: LAST_S }])
}

/// A case of the experiment. Times are seconds.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Case {
    /// Requests a second.
    rate: f64,
    /// Processors.
    processors: f64,
    /// Processors during the trigger.
    limited: f64,
    /// How long that lasts.
    trigger: f64,
    /// How long the server runs before that.
    warm_up: f64,
    /// How long an attempt may take.
    timeout: f64,
    /// How often a request is sent again.
    resends: u32,
}

/// The scenario of a case on a server of this capacity, requests a second.
fn meltdown(case: &Case, capacity: f64) -> String {
    let times = Times { warm_up: case.warm_up, window: case.trigger + AFTERMATH_S, interval: 1.0, runs: 2 };
    let workers = case.processors.ceil();
    format!(
        "[service]\ninstances = 1\nworkers = {workers}\nqueue = 1000000\n\
         [traffic]\nrate = {:?}\narrivals = \"deterministic\"\nwork = {}\n\
         [client]\ntimeout = {}\nretries = {{ attempts = {} }}\n{PAUSED}\
         [faults]\nslow = [{{ at = \"0s\", lasts = {}, factor = {:?}, instances = 1 }}]\n{}",
        case.rate,
        Work::exponential(workers / capacity).written(),
        span(case.timeout),
        case.resends + 1,
        span(case.trigger),
        case.processors / case.limited,
        times.study(),
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::validation::experiment::{Effort, Experiment};

    /// Which share of the last requests is served.
    fn served_in_the_end(capacity: f64, limited: f64, trigger: f64) -> f64 {
        let case = Case { rate: 1e6 / 75.0, processors: 2.0, limited, trigger, warm_up: 1.0, timeout: 3.0, resends: 4 };
        let last = Figure::AvailabilityOfLast { seconds: LAST_S };
        let experiment = Experiment::new(meltdown(&case, capacity), vec![last]).expect("it holds");
        let outcome = experiment.estimate(1, &[f64::INFINITY], Effort::Quick).expect("something arrives");
        outcome.samples[0].mean()
    }

    #[test]
    fn the_published_fates_leave_little_choice_of_the_capacity() {
        //   capacity  processors  trigger  comes back
        for (capacity, limited, trigger, comes_back) in [
            (33_500.0, 0.4, 9.0, false),
            (34_000.0, 0.4, 9.0, true),
            (34_000.0, 0.45, 10.0, true),
            (36_500.0, 0.4, 10.0, false),
            (37_000.0, 0.4, 10.0, true),
        ] {
            let served = served_in_the_end(capacity, limited, trigger);
            assert_eq!(served > 0.5, comes_back, "{capacity}/s, {limited} for {trigger} s: {served}");
        }
    }
}
