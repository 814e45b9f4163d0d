//! The constants of a set that reproduce most of its cases, and bring the simulated durations closest to the recorded
//! ones.

use super::constants::Constants;
use super::judge::{Pair, judge, slack};
use super::recording::{Recording, Repetition, Set};
use super::replay::replay;
use rayon::prelude::*;

/// Steps of the search, microseconds.
const STEPS: [u64; 8] = [8_000, 4_000, 2_000, 1_000, 500, 200, 100, 50];

/// A distance beyond which it does not matter how far off a replay is.
const FAR_OFF: f64 = 3.0;

/// The result of a search.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Fit {
    /// The best constants that were found.
    pub constants: Constants,
    /// How many cases are not reproduced, and added to that the mean distance of a simulated duration from its recorded
    /// one in units of what is allowed, as it was with the constants in force.
    pub misfit_before: f64,
    /// And as it is with these.
    pub misfit: f64,
}

/// Searches the constants of a set, one at a time in steps that become smaller, from those in force. `None` where there is
/// no case of the set with a duration.
pub fn fit(set: Set, recordings: &[Recording]) -> Option<Fit> {
    let recordings: Vec<&Recording> = recordings.iter().filter(|recording| recording.set == set).collect();
    let mut constants = Constants::of(set);
    let misfit_before = misfit(&recordings, constants)?;
    let mut least = misfit_before;
    for step in STEPS {
        loop {
            let before = least;
            for which in 0..constants.values().len() {
                for grows in [true, false] {
                    let tried = moved(constants, which, step, grows);
                    let found = if tried == constants { None } else { misfit(&recordings, tried) };
                    if let Some(found) = found.filter(|found| *found < least) {
                        (constants, least) = (tried, found);
                    }
                }
            }
            if least >= before {
                break;
            }
        }
    }
    Some(Fit { constants, misfit_before, misfit: least })
}

fn moved(mut constants: Constants, which: usize, step: u64, grows: bool) -> Constants {
    let (_, value) = &mut constants.values()[which];
    **value = if grows { **value + step } else { value.saturating_sub(step) };
    constants
}

/// How many cases are not reproduced, and how far the durations are off. Each replay counts the same, by its distance
/// rather than its square, and up to a limit: what is far off is so for another reason, such as a stall of the recording
/// machine, and must not outweigh the others.
fn misfit(recordings: &[&Recording], constants: Constants) -> Option<f64> {
    let of_one = |recording: &&Recording| {
        let strategy = constants.put_into(&recording.strategy);
        let pair = |repetition: &Repetition| Pair {
            repetition: repetition.number,
            recorded: repetition.seen.clone(),
            simulated: replay(recording, &strategy, repetition),
        };
        let pairs: Vec<Pair> = recording.repetitions.iter().map(pair).collect();
        let distance = |pair: &Pair| {
            // A rollout that does not end says nothing of how long things take.
            let (recorded, simulated) = (pair.recorded.duration?, pair.simulated.duration?);
            let distance = simulated.abs_diff(recorded).as_secs_f64() / slack(recorded).as_secs_f64();
            Some(distance.min(FAR_OFF))
        };
        let differs = !judge(&pairs, recording.set.judges_duration()).is_empty();
        (differs, pairs.iter().filter_map(distance).collect::<Vec<f64>>())
    };
    let judged: Vec<(bool, Vec<f64>)> = recordings.par_iter().map(of_one).collect();
    let differing = judged.iter().filter(|(differs, _)| *differs).count();
    let distances: Vec<f64> = judged.into_iter().flat_map(|(_, distances)| distances).collect();
    (!distances.is_empty()).then(|| differing as f64 + distances.iter().sum::<f64>() / distances.len() as f64)
}
