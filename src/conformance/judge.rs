//! Whether replays reproduce what was recorded, and by how much they do not. Pure: from what was seen to differences.
//!
//! Real systems do not repeat themselves either, so the bounds come from several repetitions of the same rollout, and
//! what changes within moments is not looked at.

use super::balancers::Unit;
use super::seen::{Figure, Plateau, Seen, State};
use std::fmt;
use std::time::Duration;

/// A state held so long must be found on the other side.
const HELD: Duration = Duration::from_millis(600);
/// It is found where it was held so long.
const FOUND: Duration = Duration::from_millis(400);
/// A duration may lie so far outside the recorded range, or this share of its bound, whichever is more.
const SLACK: Duration = Duration::from_millis(300);
const SLACK_DIVISOR: u32 = 20;

/// One recorded repetition beside its replay.
#[derive(Clone, Debug)]
pub struct Pair {
    /// The repetition's number.
    pub repetition: u32,
    /// What was recorded.
    pub recorded: Seen,
    /// What the simulation did with the same delays.
    pub simulated: Seen,
}

/// Something that the simulation does otherwise.
#[derive(Clone, Debug, PartialEq)]
pub enum Difference {
    /// A count outside the recorded range.
    Figure {
        /// Its name.
        name: &'static str,
        /// The value furthest outside.
        simulated: u32,
        /// Least and most in the recordings.
        recorded: (u32, u32),
        /// In how many replays.
        replays: usize,
    },
    /// A last word that none of the repetitions ended with.
    Outcome {
        /// The simulation's.
        simulated: String,
        /// The repetitions'.
        recorded: Vec<String>,
    },
    /// No replay went through the states of its repetition; this is where the first one parts.
    Plateaus {
        /// Which repetition.
        repetition: u32,
        /// The state that has no counterpart.
        state: State,
        /// How long it was held.
        held: Duration,
        /// It is the simulation's; otherwise the recording's.
        in_simulation: bool,
        /// It is where that side ended.
        is_last: bool,
    },
    /// A figure of a load balancer outside what its simulations do.
    Range {
        /// Its name.
        name: String,
        /// Its unit.
        unit: Unit,
        /// Of which repetition.
        repetition: u32,
        /// What was recorded; `None`: there was nothing to measure.
        recorded: Option<f64>,
        /// 1 % and 99 % quantile of the simulations; `None`: there was hardly anything to measure.
        simulated: Option<(f64, f64)>,
    },
    /// A rollout that takes too long or too short, or ends where it should not, or does not where it should.
    Duration {
        /// The duration furthest outside; `None`: it does not end.
        simulated: Option<Duration>,
        /// Shortest and longest in the recordings; `None`: it never ended there.
        recorded: Option<(Duration, Duration)>,
        /// In how many replays.
        replays: usize,
    },
}

/// All differences between the repetitions of a case and their replays; none: it is reproduced.
pub fn judge(pairs: &[Pair], judges_duration: bool) -> Vec<Difference> {
    let mut differences = figures(pairs);
    differences.extend(outcome(pairs));
    differences.extend(plateaus(pairs));
    if judges_duration {
        differences.extend(duration(pairs));
    }
    differences
}

fn figures(pairs: &[Pair]) -> Vec<Difference> {
    let Some(first) = pairs.first() else { return Vec::new() };
    let mut differences = Vec::new();
    for (place, figure) in first.recorded.figures.iter().enumerate() {
        let recorded = || pairs.iter().map(|pair| pair.recorded.figures[place]);
        let low = recorded().map(|figure| figure.low).min().unwrap_or(0);
        let high = recorded().map(|figure| figure.high).max().unwrap_or(0);
        let outside = |value: u32| low.saturating_sub(value).max(value.saturating_sub(high));
        // The value nearest to what was recorded.
        let nearest = |figure: Figure| low.clamp(figure.low, figure.high);
        let simulated = pairs.iter().map(|pair| nearest(pair.simulated.figures[place]));
        let off: Vec<u32> = simulated.filter(|value| outside(*value) > 0).collect();
        if let Some(simulated) = off.iter().copied().max_by_key(|value| outside(*value)) {
            let replays = off.len();
            differences.push(Difference::Figure { name: figure.name, simulated, recorded: (low, high), replays });
        }
    }
    differences
}

fn outcome(pairs: &[Pair]) -> Option<Difference> {
    let mut recorded: Vec<String> = pairs.iter().map(|pair| pair.recorded.outcome.clone()).collect();
    recorded.sort();
    recorded.dedup();
    let other = pairs.iter().map(|pair| &pair.simulated.outcome).find(|outcome| !recorded.contains(outcome))?;
    Some(Difference::Outcome { simulated: other.clone(), recorded })
}

/// One replay that agrees is enough.
fn plateaus(pairs: &[Pair]) -> Option<Difference> {
    let mut first = None;
    for pair in pairs {
        let (recorded, simulated) = (&pair.recorded.plateaus, &pair.simulated.plateaus);
        let missing = unmatched(recorded, simulated).map(|plateau| (plateau, false, recorded.last()));
        let parted =
            missing.or_else(|| unmatched(simulated, recorded).map(|plateau| (plateau, true, simulated.last())));
        let (plateau, in_simulation, last) = parted?;
        first.get_or_insert_with(|| Difference::Plateaus {
            repetition: pair.repetition,
            state: plateau.state.clone(),
            held: plateau.held,
            in_simulation,
            is_last: last == Some(plateau),
        });
    }
    first
}

/// The first state that is held on one side and has no counterpart on the other, in order; the last states must be
/// the same.
fn unmatched<'a>(held: &'a [Plateau], other: &[Plateau]) -> Option<&'a Plateau> {
    let found = long(other, FOUND);
    let mut left = found.iter();
    let missing = long(held, HELD).into_iter().find(|plateau| !left.any(|other| other.state == plateau.state));
    let last_differs = held.last().map(|plateau| &plateau.state) != other.last().map(|plateau| &plateau.state);
    missing.or_else(|| held.last().filter(|_| last_differs))
}

/// The states that are held for so long, and the last one; neighbours that are equal then count as one.
fn long(plateaus: &[Plateau], at_least: Duration) -> Vec<&Plateau> {
    let last = plateaus.len().saturating_sub(1);
    let is_long = |(place, plateau): &(usize, &Plateau)| plateau.held >= at_least || *place == last;
    let mut long: Vec<&Plateau> = plateaus.iter().enumerate().filter(is_long).map(|(_, plateau)| plateau).collect();
    long.dedup_by(|later, earlier| later.state == earlier.state);
    long
}

fn duration(pairs: &[Pair]) -> Option<Difference> {
    let recorded: Vec<Duration> = pairs.iter().filter_map(|pair| pair.recorded.duration).collect();
    let range = recorded.iter().min().copied().zip(recorded.iter().max().copied());
    let may_stay_open = recorded.len() < pairs.len();
    let outside = |simulated: Option<Duration>| match (simulated, range) {
        (None, _) => {
            if may_stay_open {
                Duration::ZERO
            } else {
                Duration::MAX
            }
        }
        (Some(_), None) => Duration::MAX,
        (Some(simulated), Some((low, high))) => {
            let below = low.saturating_sub(slack(low)).saturating_sub(simulated);
            below.max(simulated.saturating_sub(high + slack(high)))
        }
    };
    let off: Vec<Option<Duration>> =
        pairs.iter().map(|pair| pair.simulated.duration).filter(|simulated| !outside(*simulated).is_zero()).collect();
    let simulated = *off.iter().max_by_key(|simulated| outside(**simulated))?;
    Some(Difference::Duration { simulated, recorded: range, replays: off.len() })
}

/// How far beyond a recorded bound a duration may lie.
pub(super) fn slack(bound: Duration) -> Duration {
    SLACK.max(bound / SLACK_DIVISOR)
}

impl Difference {
    /// Which kind it is.
    pub fn kind(&self) -> &'static str {
        match self {
            Difference::Figure { .. } => "counts",
            Difference::Outcome { .. } => "outcome",
            Difference::Plateaus { .. } => "plateaus",
            Difference::Duration { .. } => "duration",
            Difference::Range { .. } => "range",
        }
    }
}

impl fmt::Display for Difference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let seconds = |span: &Duration| format!("{:.2} s", span.as_secs_f64());
        match self {
            Difference::Figure { name, simulated, recorded: (low, high), replays } => {
                let recorded = if low == high { low.to_string() } else { format!("{low} to {high}") };
                write!(f, "{name} {simulated} instead of {recorded} ({replays} replays)")
            }
            Difference::Outcome { simulated, recorded } => {
                let named = |word: &str| if word.is_empty() { "nothing".to_owned() } else { word.to_owned() };
                let recorded: Vec<String> = recorded.iter().map(|word| named(word)).collect();
                write!(f, "outcome {} instead of {}", named(simulated), recorded.join(" or "))
            }
            Difference::Plateaus { repetition, state, held, in_simulation, is_last } => {
                let state = written(state);
                let held = seconds(held);
                match (in_simulation, is_last) {
                    (false, true) => write!(f, "plateaus: r{repetition} does not end at {state}"),
                    (false, false) => write!(f, "plateaus: r{repetition} lacks {state}, held {held}"),
                    (true, true) => write!(f, "plateaus: r{repetition} ends at {state}"),
                    (true, false) => write!(f, "plateaus: r{repetition} adds {state}, held {held}"),
                }
            }
            Difference::Range { name, unit, repetition, recorded, simulated } => {
                let recorded = recorded.map_or_else(|| "nothing".to_owned(), |value| unit.write(value));
                let simulated = simulated.map_or_else(
                    || "nothing".to_owned(),
                    |(low, high)| format!("{} to {}", unit.write(low), unit.write(high)),
                );
                write!(f, "{name}: r{repetition} has {recorded}, simulated is {simulated}")
            }
            Difference::Duration { simulated, recorded, replays } => match (simulated, recorded) {
                (Some(simulated), Some((low, high))) => {
                    let (bound, sign) = if simulated < low { (low, "-") } else { (high, "+") };
                    let off = simulated.abs_diff(*bound).as_secs_f64() / bound.as_secs_f64().max(1e-9);
                    let (simulated, low, high) = (seconds(simulated), seconds(low), seconds(high));
                    write!(
                        f,
                        "duration {simulated} instead of {low} to {high} ({sign}{:.0} %, {replays} replays)",
                        off * 100.0
                    )
                }
                (Some(simulated), None) => write!(f, "ends after {} and never should", seconds(simulated)),
                (None, Some((low, high))) => {
                    write!(f, "does not end, instead of after {} to {}", seconds(low), seconds(high))
                }
                (None, None) => f.write_str("does not end"),
            },
        }
    }
}

/// A state as people write it.
pub fn written(state: &[u32]) -> String {
    let counts: Vec<String> = state.iter().map(u32::to_string).collect();
    format!("({})", counts.join(" "))
}

#[cfg(test)]
mod tests {
    use super::*;
    /// States by one letter, and for how many tenths of a second each is held: "a6 b30".
    fn seen(text: &str) -> Seen {
        let mut from = Duration::ZERO;
        let plateau = |word: &str| {
            let held = Duration::from_millis(100 * word[1..].parse::<u64>().expect("tenths of a second"));
            let plateau = Plateau { state: vec![u32::from(word.as_bytes()[0])], from, held };
            from += held;
            plateau
        };
        let plateaus = text.split(' ').map(plateau).collect();
        let figures = vec![Figure { name: "least ready", low: 3, high: 3 }];
        Seen { plateaus, figures, outcome: "completed".to_owned(), duration: Some(Duration::from_secs(10)) }
    }

    fn pair(recorded: &str, simulated: &str) -> Pair {
        Pair { repetition: 1, recorded: seen(recorded), simulated: seen(simulated) }
    }

    #[track_caller]
    fn parts(recorded: &str, simulated: &str, differs: bool) {
        let differences = judge(&[pair(recorded, simulated)], true);
        let kinds: Vec<&str> = differences.iter().map(Difference::kind).collect();
        assert_eq!(kinds, if differs { &["plateaus"][..] } else { &[] }, "{differences:?}");
    }

    #[test]
    fn states_that_are_held_must_be_found_in_order() {
        //    recorded           simulated          differs
        parts("a10 b20 c10", "a10 b20 c10", false);
        parts("a10 b20 c10", "a10 c10", true); // one is missing
        parts("a10 c10", "a10 b20 c10", true); // one too many
        parts("a10 b20 c10 d10", "a10 c10 b20 d10", true); // another order
        parts("a10 b6 c10", "a10 b3 c10", true); // too short
        parts("a10 b6 c10", "a10 b4 c10", false);
        parts("a10 b5 c10", "a10 c10", false); // nobody looks at what is held for a moment
        parts("a10 b3 c10", "a10 b6 c10", true); // too long
        parts("a10 b20 c1", "a10 b20 c30", false); // the last one always counts
        parts("a10 b20 c1", "a10 b20", true);
        parts("a10 b20", "a10 b20 c1", true);
        parts("a10 b1 a10 c10", "a20 c10", false); // a flicker
    }

    #[test]
    fn one_replay_that_goes_through_the_same_states_is_enough() {
        assert_eq!(judge(&[pair("a10 b10", "a10 c10"), pair("a10 c10", "a10 c10")], true), []);
    }

    fn replayed(simulated: &[Option<u64>], recorded: &[Option<u64>]) -> Vec<Difference> {
        let with = |seconds: Option<u64>| Seen { duration: seconds.map(Duration::from_millis), ..seen("a10") };
        let pair = |(simulated, recorded): (&Option<u64>, &Option<u64>)| Pair {
            repetition: 1,
            recorded: with(*recorded),
            simulated: with(*simulated),
        };
        judge(&simulated.iter().zip(recorded).map(pair).collect::<Vec<_>>(), true)
    }

    #[test]
    fn a_duration_lies_within_the_recorded_range_and_some_slack() {
        let recorded = [Some(2_000), Some(10_000)];
        for (simulated, differs) in [
            ([Some(1_700), Some(10_500)], false),
            ([Some(1_699), Some(5_000)], true),
            ([Some(5_000), Some(10_501)], true),
            ([None, Some(5_000)], true),
        ] {
            assert_eq!(!replayed(&simulated, &recorded).is_empty(), differs, "{simulated:?}");
        }
        assert_eq!(replayed(&[None], &[None]), []);
        assert_eq!(replayed(&[Some(1)], &[None]).len(), 1);
        let said = replayed(&[Some(12_000)], &[Some(10_000)])[0].to_string();
        assert_eq!(said, "duration 12.00 s instead of 10.00 s to 10.00 s (+20 %, 1 replays)");
    }

    #[test]
    fn counts_and_outcomes_are_among_the_recorded_ones() {
        let mut other = pair("a10", "a10");
        other.simulated.figures[0].high = 4;
        assert_eq!(judge(std::slice::from_ref(&other), false), [], "a moment's order is not known");
        other.simulated.figures[0] = Figure { low: 2, high: 2, ..other.simulated.figures[0] };
        other.simulated.outcome = "paused".to_owned();
        let said: Vec<String> =
            judge(&[pair("a10", "a10"), other.clone()], false).iter().map(ToString::to_string).collect();
        assert_eq!(said, ["least ready 2 instead of 3 (1 replays)", "outcome paused instead of completed"]);
        // The same in one of the recordings makes it sound.
        other.recorded = other.simulated.clone();
        assert_eq!(judge(&[pair("a10", "a10"), other], false), []);
    }
}
