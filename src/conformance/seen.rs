//! What one repetition looked like, recorded or simulated: the states that it went through and how long each was
//! held, its extremes, how it ended, and how long it took.

use std::time::Duration;

/// A state of the fleet in the words of its set: a few counts, in a fixed order.
pub type State = Vec<u32>;

/// A state and how long it was held.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Plateau {
    /// The state.
    pub state: State,
    /// From when, counted from the beginning of the rollout.
    pub from: Duration,
    /// For how long.
    pub held: Duration,
}

/// What is kept of a count that changes over a repetition.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Keep {
    /// The lowest value.
    Least,
    /// The highest value.
    Most,
    /// The last value.
    Last,
}

/// A count of a repetition under its name. A simulation does in no time what takes a real system some milliseconds, in
/// an order that nobody knows: its extremes lie anywhere between what was passed through and what lasted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Figure {
    /// Its name.
    pub name: &'static str,
    /// Its lowest value.
    pub low: u32,
    /// Its highest value; the same in a recording.
    pub high: u32,
}

/// One repetition.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Seen {
    /// Its states in the order of time; no two neighbours are equal, and the last one lasts until the end.
    pub plateaus: Vec<Plateau>,
    /// Its counts and extremes; the same names in the same order for all repetitions of a set.
    pub figures: Vec<Figure>,
    /// The orchestrator's last word, in lower case.
    pub outcome: String,
    /// How long the rollout took; `None` where it did not come to its end.
    pub duration: Option<Duration>,
}

/// Watches a repetition go by.
#[derive(Debug)]
pub struct Watcher {
    keep: &'static [(&'static str, Keep)],
    /// What was passed through, be it for no time.
    passed: Vec<Option<u32>>,
    /// What lasted.
    lasted: Vec<Option<u32>>,
    states: Vec<(Duration, State)>,
}

impl Watcher {
    /// One that keeps these counts.
    pub fn new(keep: &'static [(&'static str, Keep)]) -> Self {
        Watcher { keep, passed: vec![None; keep.len()], lasted: vec![None; keep.len()], states: Vec::new() }
    }

    /// The counts have these values now, in the order of their names, be it for no time.
    pub fn pass(&mut self, values: &[u32]) {
        keep(self.keep, &mut self.passed, values);
    }

    /// The extremes have these values now and then, in an order that nobody knows.
    pub fn pass_extremes(&mut self, values: &[u32]) {
        for ((how, kept), value) in self.keep.iter().zip(&mut self.passed).zip(values) {
            if how.1 != Keep::Last {
                keep(std::slice::from_ref(how), std::slice::from_mut(kept), std::slice::from_ref(value));
            }
        }
    }

    /// This is the state from a moment on, and the counts have these values; moments come in order.
    pub fn settle(&mut self, at: Duration, state: &[u32], values: &[u32]) {
        self.enter(at, state, values);
        keep(self.keep, &mut self.lasted, values);
    }

    /// The same, but the counts are others within moments.
    pub fn enter(&mut self, at: Duration, state: &[u32], values: &[u32]) {
        self.pass(values);
        while self.states.last().is_some_and(|(from, _)| *from >= at) {
            self.states.pop(); // It was held for no time.
        }
        if self.states.last().is_none_or(|(_, last)| last != state) {
            self.states.push((at, state.to_vec()));
        }
    }

    /// The repetition is over.
    pub fn end(self, end: Duration, outcome: &str, duration: Option<Duration>) -> Seen {
        let ends = self.states.iter().skip(1).map(|(from, _)| *from).chain([end]);
        let plateau = |((from, state), to): (&(Duration, State), Duration)| Plateau {
            state: state.clone(),
            from: *from,
            held: to.saturating_sub(*from),
        };
        let plateaus = self.states.iter().zip(ends).map(plateau).collect();
        let figure = |place: usize| {
            let of = |values: &[Option<u32>]| values[place].unwrap_or_default();
            let (passed, lasted) = (of(&self.passed), of(&self.lasted));
            Figure { name: self.keep[place].0, low: passed.min(lasted), high: passed.max(lasted) }
        };
        let figures = (0..self.keep.len()).map(figure).collect();
        Seen { plateaus, figures, outcome: outcome.to_lowercase(), duration }
    }
}

fn keep(how: &[(&str, Keep)], kept: &mut [Option<u32>], values: &[u32]) {
    debug_assert_eq!(values.len(), how.len(), "a value for each name");
    for ((kept, (_, how)), value) in kept.iter_mut().zip(how).zip(values) {
        let before = kept.unwrap_or(*value);
        *kept = Some(match how {
            Keep::Least => before.min(*value),
            Keep::Most => before.max(*value),
            Keep::Last => *value,
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_watcher_keeps_extremes_and_merges_equal_states() {
        let mut watcher = Watcher::new(&[("least", Keep::Least), ("most", Keep::Most), ("last", Keep::Last)]);
        for (ms, value) in [(0, 4), (10, 3), (10, 7), (500, 7), (700, 5)] {
            watcher.settle(Duration::from_millis(ms), &[value], &[value; 3]);
        }
        watcher.pass(&[9; 3]);
        watcher.settle(Duration::from_millis(900), &[5], &[5; 3]);
        let seen = watcher.end(Duration::from_secs(1), "Done", None);
        let values: Vec<(u32, u32)> = seen.figures.iter().map(|figure| (figure.low, figure.high)).collect();
        assert_eq!(values, [(3, 3), (7, 9), (5, 5)], "what is passed through may or may not have been seen");
        let held: Vec<(u32, u128)> =
            seen.plateaus.iter().map(|plateau| (plateau.state[0], plateau.held.as_millis())).collect();
        assert_eq!(held, [(4, 10), (7, 690), (5, 300)]);
        assert_eq!(seen.outcome, "done");
    }
}
