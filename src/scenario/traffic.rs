//! How offered load is written: a rate, steps, a cosine over the day, or a trace.

use super::bounds::{at_least_one, factor, positive, span_or};
use super::delays::{Sources, delay};
use super::place::{Checked, Place};
use super::trace::{HIGHEST_RATE, Trace};
use super::units::{Count, Named, Number, Span, Table, WordOr};
use super::words::ArrivalsWord;
use super::{Arrivals, Bursts, Class, Load, Piece, Profile, Traffic, raw_delay, raw_traffic as raw};
use crate::distribution::Delay;
use std::f64::consts::TAU;
use std::time::Duration;

/// A cosine is cut into so many pieces of constant rate: minutes of a day.
const PIECES_A_PERIOD: u32 = 1_440;

/// The traffic of a run that lasts `run`; whatever takes longer than `target` is late, where the traffic says nothing else.
pub(super) fn traffic(
    place: &Place,
    raw: raw::Traffic,
    run: Duration,
    target: Option<Duration>,
    sources: &mut Sources<'_>,
) -> Checked<Traffic> {
    let raw::Traffic { rate, steps, diurnal, trace, users, think, arrivals, work, target: own_target, class } = raw;
    place.key("think").holds(think.is_none() || users.is_some(), "only users think")?;
    place
        .key("arrivals")
        .holds(arrivals.is_none() || users.is_none(), "must be left out, for users come when they wish")?;
    let profile = match (rate, steps, diurnal, trace, users) {
        (Some(rate), None, None, None, None) => Some(constant(&place.key("rate"), rate)?),
        (None, Some(steps), None, None, None) => Some(stepped(&place.key("steps"), &steps)?),
        (None, None, Some(Table(diurnal)), None, None) => Some(cosine(&place.key("diurnal"), &diurnal)?),
        (None, None, None, Some(Table(trace)), None) => Some(traced(&place.key("trace"), &trace, run, sources)?),
        (None, None, None, None, Some(_)) => None,
        _ => return Err(place.breaks("must hold exactly one of rate, steps, diurnal, trace, users")),
    };
    let load = match (profile, users) {
        (Some(profile), _) => Load::Open { profile, arrivals: how_they_come(&place.key("arrivals"), arrivals)? },
        (None, users) => closed(place, users.expect("there is a profile or users"), think, sources)?,
    };
    let work_at = place.key("work");
    let work = work.map(|work| working(&work_at, work, sources)).transpose()?;
    let target = own_target.map(|span| positive(&place.key("target"), span)).transpose()?.or(target);
    let classes = if class.0.is_empty() {
        let work = work.ok_or_else(|| work_at.breaks("must be given"))?;
        vec![Class { name: "all".to_owned(), share: 1.0, work, target }]
    } else {
        classes(&place.key("class"), class, work.as_ref(), target, sources)?
    };
    Ok(Traffic { load, classes })
}

/// What a request costs.
fn working(place: &Place, written: raw_delay::Delay, sources: &mut Sources<'_>) -> Checked<Delay> {
    let work = delay(place, written, sources)?;
    place.holds(work.mean_s() > 0.0, "must take time")?;
    Ok(work)
}

fn closed(place: &Place, users: Count, think: Option<raw_delay::Delay>, sources: &mut Sources<'_>) -> Checked<Load> {
    let think_at = place.key("think");
    let think = think.ok_or_else(|| think_at.breaks("must be given with users"))?;
    let think = delay(&think_at, think, sources)?;
    think_at
        .holds(think.mean_s() > 0.0, "must take time, or users whose requests fail at once would ask without end")?;
    Ok(Load::Closed { users: at_least_one(&place.key("users"), users, 1_000_000)?, think })
}

fn how_they_come(place: &Place, written: Option<WordOr<ArrivalsWord, raw::Arrivals>>) -> Checked<Arrivals> {
    let Table(raw::Bursts { peak, lasts, every }) = match written {
        None => return Ok(Arrivals::Poisson),
        Some(WordOr::Word(word)) => return Ok(word.0),
        Some(WordOr::Table(Table(raw::Arrivals { bursty }))) => bursty,
    };
    let place = place.key("bursty");
    place.key("peak").holds(peak.0 > 1.0 && peak.0 <= 1e6, "must be above 1 and at most 1,000,000")?;
    let lasts = positive(&place.key("lasts"), lasts)?;
    let holds = every.0 > lasts && peak.0 * lasts.as_secs_f64() <= every.0.as_secs_f64();
    place.key("every").holds(holds, "must be at least peak × lasts, or the lulls could not make up for the bursts")?;
    Ok(Arrivals::Bursty(Bursts { peak: peak.0, lasts, every: every.0 }))
}

/// The most kinds of requests; each has its own figures.
const MOST_CLASSES: usize = 100;

fn classes(
    place: &Place,
    raw: Named<raw::Class>,
    work: Option<&Delay>,
    target: Option<Duration>,
    sources: &mut Sources<'_>,
) -> Checked<Vec<Class>> {
    place.holds(raw.0.len() <= MOST_CLASSES, "must be at most 100 classes")?;
    let mut classes = Vec::with_capacity(raw.0.len());
    for (name, raw::Class { share, work: own_work, target: own_target }) in raw.0 {
        let place = place.key(&name);
        let is_good = (1..=60).contains(&name.len())
            && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"._-".contains(&byte));
        place.holds(is_good, "must be named with at most 60 letters, digits, dots, dashes and underscores")?;
        place.key("share").holds(share.0 > 0.0, "must exceed 0%")?;
        let own_work = own_work.map(|own| working(&place.key("work"), own, sources)).transpose()?;
        let work = own_work.or_else(|| work.cloned());
        let work = work.ok_or_else(|| place.key("work").breaks("must be given, here or for all traffic"))?;
        let own_target = own_target.map(|span| positive(&place.key("target"), span)).transpose()?;
        classes.push(Class { name, share: share.0, work, target: own_target.or(target) });
    }
    let all: f64 = classes.iter().map(|class| class.share).sum();
    place.holds((all - 1.0).abs() < 1e-9, "must have shares that come to 100%")?;
    Ok(classes)
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
