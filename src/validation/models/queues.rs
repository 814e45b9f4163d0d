//! Single queueing systems, and fleets of servers behind a balancer: response, wait, loss and occupancy in the long run.
//!
//! Sources of the closed forms that these points hold: Kleinrock, Queueing Systems, volume 1, 1975 (M/M/c, M/M/c/K, M/G/1,
//! G/M/1, M/M/∞); Erlang 1917; Palm 1957 (patience); Eick, Massey, Whitt 1993 (M(t)/G/∞).

use super::draft::{PAUSED, Times, share, span};
use super::station::{Station, room_for};
use super::work::Work;
use super::{Figure, Reader, Reading, numbers};
use crate::history::Cause;

/// Intervals in which occupancy is sampled.
const SAMPLES: f64 = 1_000.0;
/// Requests beyond a quantile that one run measures: far fewer would put it too low.
const BEYOND_A_QUANTILE: f64 = 2_000.0;
/// The most requests that one run measures for its sake.
const MOST_FOR_A_QUANTILE: f64 = 1e6;

/// Reads a queueing system.
pub(super) fn read(reader: &mut Reader<'_>) -> Reading {
    if reader.params.has("lambda_t") {
        return sinusoid(reader);
    }
    if reader.source.contains("/infinity") || reader.source.contains("/inf") {
        return without_queue(reader);
    }
    let Some(station) = Station::read(reader)? else { return Ok(None) };
    let Some(figure) = figure(reader, &station) else { return Ok(None) };
    if !station.is_stable() {
        return Err(reader.params.mistake("", "must bring less than the servers can serve"));
    }
    let requests = match figure {
        Figure::ResponseQuantile { quantile, .. } | Figure::WaitQuantile { quantile, .. } => {
            (BEYOND_A_QUANTILE / (1.0 - quantile)).min(MOST_FOR_A_QUANTILE)
        }
        _ => 0.0,
    };
    let mut times = station.times(requests, reader.effort);
    if matches!(figure, Figure::Utilisation | Figure::MeanWaiting | Figure::MeanWait { .. }) {
        times.interval = times.window / SAMPLES;
    }
    reader.simulate(station.scenario(PAUSED, &times), vec![figure])
}

/// What is asked for of a station.
fn figure(reader: &Reader<'_>, station: &Station) -> Option<Figure> {
    let quantity = &reader.quantity;
    let unit_s = unit_s(quantity, station.unit_s);
    let asks = |words: &[&str]| reader.asks_for(words);
    if let Some(quantile) = percentile(quantity) {
        let waits = asks(&["wait"]);
        return Some(if waits {
            Figure::WaitQuantile { quantile, unit_s }
        } else {
            Figure::ResponseQuantile { quantile, unit_s }
        });
    }
    if asks(&["answered within", "served within", "within"]) {
        return numbers(quantity).first().map(|limit| Figure::ServedWithin { seconds: limit * unit_s });
    }
    if asks(&["aband"]) {
        return Some(Figure::LostShare(Cause::Abandoned));
    }
    if asks(&["blocking", "loss", "refused", "p_block"]) {
        return Some(Figure::LostShare(Cause::QueueFull));
    }
    if asks(&[
        "probability of waiting",
        "probability of delay",
        "p_wait",
        "pwait",
        "p(wait",
        "delayed",
        "fraction waiting",
        "had to wait",
    ]) {
        return Some(Figure::WaitedShare);
    }
    if asks(&["util", "occupancy"]) {
        return Some(Figure::Utilisation);
    }
    if asks(&["queue_len", "queue len", "number waiting", "number in queue"]) {
        return Some(Figure::MeanWaiting);
    }
    if asks(&["mean wait", "mean_wait", "wait_s", "wait_min", "asa", "average speed of answer"]) {
        // Whoever is turned away at once has no wait.
        return station.places.is_none().then_some(Figure::MeanWait { rate: station.rate, unit_s });
    }
    if asks(&["mean response"]) {
        let class = station.tagged.map(|_| 0);
        return Some(Figure::MeanResponse { unit_s, class });
    }
    None
}

/// The unit that a quantity ends with, in seconds, or that of the parameters.
fn unit_s(quantity: &str, default: f64) -> f64 {
    let units = [(" s", 1.0), ("_s", 1.0), (" min", 60.0), ("_min", 60.0), (" h", 3600.0), ("_h", 3600.0)];
    units.into_iter().find(|(unit, _)| quantity.ends_with(unit)).map_or(default, |(_, seconds)| seconds)
}

/// The quantile of "99.9th percentile response".
fn percentile(quantity: &str) -> Option<f64> {
    let before = quantity.split_once("percentile")?.0;
    let percent = numbers(before).first().copied()?;
    (0.0 < percent && percent < 100.0).then_some(percent / 100.0)
}

/// M/G/∞: what is under way is counted far enough apart to forget what it was.
fn without_queue(reader: &mut Reader<'_>) -> Reading {
    let Some(station) = Station::read(reader)? else { return Ok(None) };
    let figure = if reader.asks_for(&["variance"]) {
        Figure::VarianceOfOpen
    } else if reader.asks_for(&["mean number"]) {
        Figure::MeanOpen
    } else {
        return Ok(None);
    };
    let apart = 6.0 * station.work.mean;
    let samples = 200.0 / reader.effort.shortening();
    let times = Times { warm_up: 2.0 * apart, window: samples * apart, interval: apart, runs: 16 };
    let roomy = Station { servers: room_for(station.rate * station.work.mean), ..station };
    reader.simulate(roomy.scenario(PAUSED, &times), vec![figure])
}

/// Mean, amplitude and period of "100+50 sin(2 pi t/24) per h".
fn wave(text: &str) -> Option<[f64; 3]> {
    let (mean, rest) = text.split_once('+')?;
    let (amplitude, rest) = rest.split_once(" sin(2 pi t/")?;
    let number = |text: &str| text.trim().parse().ok().filter(|number: &f64| number.is_finite() && *number >= 0.0);
    Some([number(mean)?, number(amplitude)?, number(rest.strip_suffix(") per h")?)?])
}

/// M(t)/M/∞ with "100+50 sin(2 pi t/24) per h": each interval of the time series begins at the same hour of the day.
fn sinusoid(reader: &mut Reader<'_>) -> Reading {
    let Some(text) = reader.params.text("lambda_t") else { return Ok(None) };
    let (Some(service_rate), Some(hour)) = (reader.params.positive("mu_per_h")?, reader.params.number("t")?) else {
        return Ok(None);
    };
    let Some([mean, amplitude, period]) = wave(&text) else { return Ok(None) };
    if !reader.asks_for(&["number in flight"]) || amplitude > mean || mean == 0.0 || period == 0.0 {
        return Ok(None);
    }
    let seconds = |hours: f64| hours * 3600.0;
    let days = (4_000.0 / period / reader.effort.shortening()).max(1.0);
    // The run starts as the sine does, and the rollout begins at the hour that is asked for, some days later.
    let days_before = (12.0 / service_rate / period).ceil();
    let begins = seconds(hour.rem_euclid(period) + days_before * period);
    let mut times =
        Times { warm_up: begins, window: seconds(period) * days.floor(), interval: seconds(period), runs: 16 };
    times.warm_up -= times.rollout_at() - begins;
    let text = format!(
        "[service]\ninstances = 1\nworkers = {}\nqueue = 0\n\
         [traffic]\ndiurnal = {{ mean = {:?}, amplitude = {}, period = {}, peak_at = {}, starts_at = \"0s\" }}\n\
         work = {}\n{PAUSED}{}",
        room_for((mean + amplitude) / service_rate),
        mean / 3600.0,
        share(amplitude / mean),
        span(seconds(period)),
        span(seconds(period) / 4.0),
        Work::exponential(seconds(1.0 / service_rate)).written(),
        times.study(),
    );
    reader.simulate(text, vec![Figure::MeanOpen])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wave_is_read_as_points_write_it() {
        assert_eq!(wave("100+50 sin(2 pi t/24) per h"), Some([100.0, 50.0, 24.0]));
        for text in ["100", "100+50 cos(2 pi t/24) per h", "100+50 sin(2 pi t/24) per s", "100+x sin(2 pi t/24) per h"]
        {
            assert_eq!(wave(text), None, "{text}");
        }
    }

    #[test]
    fn quantities_name_their_quantile_and_unit() {
        for (quantity, quantile) in [("99th percentile response", 0.99), ("99.9th percentile response", 0.999)] {
            assert!(percentile(quantity).is_some_and(|found| (found - quantile).abs() < 1e-12), "{quantity}");
        }
        assert_eq!(percentile("mean response"), None);
        for (quantity, unit) in [("mean wait, s", 1.0), ("asa_s", 1.0), ("mean wait in queue", 60.0), ("asa_min", 60.0)]
        {
            assert!((unit_s(quantity, 60.0) - unit).abs() < 1e-12, "{quantity}");
        }
        assert!((unit_s("fraction answered within 20 s", 180.0) - 1.0).abs() < 1e-12);
    }
}
