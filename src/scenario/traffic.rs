//! How offered load is written: a rate, steps, a cosine over the day, or a trace.

use super::bounds::{factor, positive, span_or};
use super::delays::{Sources, delay};
use super::place::{Checked, Place};
use super::trace::{HIGHEST_RATE, Trace};
use super::units::{Number, Span, Table};
use super::{Arrivals, Piece, Profile, Traffic, raw};
use std::f64::consts::TAU;
use std::time::Duration;

/// A cosine is cut into so many pieces of constant rate: minutes of a day.
const PIECES_A_PERIOD: u32 = 1_440;

/// The traffic of a run that lasts `run`.
pub(super) fn traffic(place: &Place, raw: raw::Traffic, run: Duration, sources: &mut Sources<'_>) -> Checked<Traffic> {
    let raw::Traffic { rate, steps, diurnal, trace, arrivals, work } = raw;
    let profile = match (rate, steps, diurnal, trace) {
        (Some(rate), None, None, None) => constant(&place.key("rate"), rate)?,
        (None, Some(steps), None, None) => stepped(&place.key("steps"), &steps)?,
        (None, None, Some(Table(diurnal)), None) => cosine(&place.key("diurnal"), &diurnal)?,
        (None, None, None, Some(Table(trace))) => traced(&place.key("trace"), &trace, run, sources)?,
        _ => return Err(place.breaks("must hold exactly one of rate, steps, diurnal, trace")),
    };
    let work_at = place.key("work");
    let work = delay(&work_at, work, sources)?;
    work_at.holds(work.mean_s() > 0.0, "must take time")?;
    Ok(Traffic { profile, arrivals: arrivals.map_or(Arrivals::Poisson, |word| word.0), work })
}

fn constant(place: &Place, rate: Number) -> Checked<Profile> {
    let rate = positive_rate(place, rate)?;
    Ok(Profile::constant(rate).expect("the rate was checked"))
}

fn positive_rate(place: &Place, rate: Number) -> Checked<f64> {
    let holds = rate.0 > 0.0 && rate.0 <= HIGHEST_RATE;
    place.holds(holds, "must be above 0 and at most 10,000,000 requests per second")?;
    Ok(rate.0)
}

fn stepped(place: &Place, steps: &[Table<raw::LoadStep>]) -> Checked<Profile> {
    let mut pieces: Vec<Piece> = Vec::with_capacity(steps.len());
    for (index, Table(step)) in steps.iter().enumerate() {
        let place = place.index(index);
        let starts = step.from.0;
        match pieces.last() {
            None => place.key("from").holds(starts.is_zero(), r#"must be "0s" for the first step"#)?,
            Some(previous) => {
                place.key("from").holds(previous.starts < starts, "must be later than the step before")?;
            }
        }
        let holds = (0.0..=HIGHEST_RATE).contains(&step.rate.0);
        place.key("rate").holds(holds, "must be from 0 to 10,000,000 requests per second")?;
        pieces.push(Piece { starts, rate: step.rate.0 });
    }
    place.holds(pieces.iter().any(|piece| piece.rate > 0.0), "must hold at least one rate above 0")?;
    Ok(Profile::new(pieces, None).expect("the steps ascend from 0"))
}

fn cosine(place: &Place, diurnal: &raw::Diurnal) -> Checked<Profile> {
    let mean = positive_rate(&place.key("mean"), diurnal.mean)?;
    let amplitude = diurnal.amplitude.0;
    let holds = mean * (1.0 + amplitude) <= HIGHEST_RATE;
    place.key("amplitude").holds(holds, "must leave the peak at 10,000,000 requests per second or less")?;
    let period = span_or(diurnal.period, Duration::from_hours(24));
    place.key("period").holds(period >= Duration::from_mins(1), "must be at least 1m")?;
    for (key, Span(moment)) in [("peak_at", diurnal.peak_at), ("starts_at", diurnal.starts_at)] {
        place.key(key).holds(moment < period, "must be within the period")?;
    }
    let starts = |piece: u32| period * piece / PIECES_A_PERIOD;
    let since_peak = (diurnal.starts_at.0.as_secs_f64() - diurnal.peak_at.0.as_secs_f64()) / period.as_secs_f64();
    let sine = |piece: u32| libm::sin(TAU * (since_peak + f64::from(piece) / f64::from(PIECES_A_PERIOD)));
    // The mean of a cosine over a piece is the difference of sines at its ends over the angle between them.
    let angle = TAU / f64::from(PIECES_A_PERIOD);
    let rate = |piece: u32| mean * (1.0 + amplitude * (sine(piece + 1) - sine(piece)) / angle).max(0.0);
    let pieces = (0..PIECES_A_PERIOD).map(|piece| Piece { starts: starts(piece), rate: rate(piece) }).collect();
    Ok(Profile::new(pieces, Some(period)).expect("a 1,440th of a minute is more than a nanosecond"))
}

fn traced(place: &Place, raw: &raw::Trace, run: Duration, sources: &mut Sources<'_>) -> Checked<Profile> {
    place.key("path").holds(!raw.path.is_empty(), "must be the path of a CSV file")?;
    let interval = positive(&place.key("interval"), raw.interval)?;
    let scale = raw.scale.map_or(Ok(1.0), |scale| factor(&place.key("scale"), scale))?;
    let trace = place.key("path").reading(sources.source(&raw.path).read_trace(interval, scale))?;
    let from = span_or(raw.from, Duration::ZERO);
    let lasts = humantime::format_duration(trace.lasts);
    let begins_within = format!("must be within the trace, which lasts {lasts}");
    place.key("from").holds(from < trace.lasts, &begins_within)?;
    let repeats = raw.repeat.unwrap_or(false);
    let left = trace.lasts.saturating_sub(from);
    let covers = format!(
        "must cover the run of {}, but {} are left of it; shorten the run, or set repeat = true",
        humantime::format_duration(run),
        humantime::format_duration(left),
    );
    place.holds(repeats || left >= run, &covers)?;
    let profile = if repeats { repeated(&trace, from) } else { cut(&trace, from, run) };
    place.key("path").holds(profile.peak() > 0.0, "must hold at least one value above 0 within the run")?;
    Ok(profile)
}

/// The pieces from a moment of the trace on, told from that moment.
fn pieces_from(trace: &Trace, from: Duration) -> impl Iterator<Item = Piece> {
    let current = trace.pieces.partition_point(|piece| piece.starts <= from) - 1;
    trace.pieces[current..].iter().map(move |piece| Piece { starts: piece.starts.saturating_sub(from), ..*piece })
}

fn cut(trace: &Trace, from: Duration, run: Duration) -> Profile {
    let pieces = pieces_from(trace, from).take_while(|piece| piece.starts < run).collect();
    Profile::new(pieces, None).expect("the rows of a trace ascend")
}

fn repeated(trace: &Trace, from: Duration) -> Profile {
    let wrapped = trace.pieces.iter().take_while(|piece| piece.starts < from);
    let wrapped = wrapped.map(|piece| Piece { starts: piece.starts + trace.lasts.saturating_sub(from), ..*piece });
    let pieces = pieces_from(trace, from).chain(wrapped).collect();
    Profile::new(pieces, Some(trace.lasts)).expect("the rows of a trace ascend")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scenario::units::Share;

    fn hours(hours: u64) -> Duration {
        Duration::from_secs(hours * 3600)
    }

    fn day(peak_at: u64, starts_at: u64) -> Profile {
        let diurnal = raw::Diurnal {
            mean: Number(900.0),
            amplitude: Share(0.4),
            period: None,
            peak_at: Span(hours(peak_at)),
            starts_at: Span(hours(starts_at)),
        };
        cosine(&Place::default(), &diurnal).expect("a good day")
    }

    #[test]
    fn a_day_has_its_mean_and_its_peak() {
        let profile = day(14, 10);
        assert_eq!(profile.period(), Some(hours(24)));
        let rates: Vec<f64> = profile.pieces().iter().map(|piece| piece.rate).collect();
        assert_eq!(rates.len(), 1440);
        let mean = rates.iter().sum::<f64>() / 1440.0;
        assert!((mean - 900.0).abs() < 1e-9, "mean {mean}");
        // Four hours after the start it is 14 h: the two pieces beside the peak are equal and the highest.
        assert!((rates[239] - rates[240]).abs() < 1e-9);
        assert!((rates[240] - 1260.0).abs() < 1e-2 && (profile.peak() - rates[240]).abs() < 1e-9);
        assert_eq!(profile.pieces()[240].starts, hours(4));
        // Six hours off the peak, the cosine passes through 0.
        assert!((f64::midpoint(rates[599], rates[600]) - 900.0).abs() < 1e-9);
    }

    fn trace() -> Trace {
        let piece = |(starts, rate): &(u64, f64)| Piece { starts: Duration::from_secs(*starts), rate: *rate };
        Trace { pieces: [(0, 1.0), (10, 2.0), (20, 3.0)].iter().map(piece).collect(), lasts: Duration::from_secs(30) }
    }

    fn told(profile: &Profile) -> Vec<(u64, f64)> {
        profile.pieces().iter().map(|piece| (piece.starts.as_secs(), piece.rate)).collect()
    }

    #[test]
    fn a_run_can_start_within_a_trace() {
        let seconds = Duration::from_secs;
        //    from run    then
        for (from, run, then) in [
            (0, 30, vec![(0, 1.0), (10, 2.0), (20, 3.0)]),
            (5, 25, vec![(0, 1.0), (5, 2.0), (15, 3.0)]),
            (10, 20, vec![(0, 2.0), (10, 3.0)]),
            (10, 10, vec![(0, 2.0)]),
        ] {
            assert_eq!(told(&cut(&trace(), seconds(from), seconds(run))), then, "from {from}");
        }
        for (from, then) in [
            (0, vec![(0, 1.0), (10, 2.0), (20, 3.0)]),
            (10, vec![(0, 2.0), (10, 3.0), (20, 1.0)]),
            (15, vec![(0, 2.0), (5, 3.0), (15, 1.0), (25, 2.0)]),
        ] {
            let profile = repeated(&trace(), seconds(from));
            assert_eq!((told(&profile), profile.period()), (then, Some(seconds(30))), "from {from}");
        }
    }
}
