//! Whether the simulator does what real systems did. Recordings of rollouts are replayed, each repetition with its own
//! delays, and compared with what was recorded; recordings of load balancers are simulated many times. Fitting to single cases is absent on purpose: what a control
//! plane takes is a constant of its whole set.

pub mod balancers;
mod constants;
mod files;
mod fit;
mod judge;
mod recording;
mod replay;
mod seen;
mod stalls;
mod tasks;

pub use constants::Constants;
pub(crate) use files::Json;
pub use fit::{Fit, fit};
pub use judge::{Difference, Pair, judge, written};
pub use recording::{Contents, Recording, Repetition, Set, read};
pub use replay::replay;
pub use seen::{Figure, Keep, Plateau, Seen, State, Watcher};
pub use stalls::{STALLS, Stall};

use crate::scenario::LoadError;
use rayon::prelude::*;
use std::fs;
use std::path::{Path, PathBuf};

/// The most cases that one command holds.
const MOST_CASES: usize = 10_000;
/// How many folders deep cases are looked for.
const DEEPEST: u32 = 2;

/// A folder that holds a recording.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Case {
    /// Its path below the folder that was searched.
    pub name: String,
    /// The folder.
    pub folder: PathBuf,
}

/// What became of a case.
#[derive(Clone, Debug, PartialEq)]
pub enum Verdict {
    /// All of it is reproduced.
    Agrees,
    /// Something is not.
    Differs(Vec<Difference>),
    /// Something is not, and the recording machine is to blame.
    Excused(Vec<Difference>, &'static Stall),
}

/// A case, judged.
#[derive(Clone, Debug)]
pub struct Judged {
    /// Its name.
    pub name: String,
    /// What was recorded, beside what the simulation did.
    pub sides: Sides,
    /// How they compare.
    pub verdict: Verdict,
}

/// What was recorded, beside what the simulation did.
#[derive(Clone, Debug)]
pub enum Sides {
    /// Of a rollout: each repetition beside its replay.
    Rollout(Set, Vec<Pair>),
    /// Of a load balancer: each figure.
    Balancer(Vec<balancers::Compared>),
}

impl Sides {
    /// How many repetitions were recorded.
    pub fn repetitions(&self) -> usize {
        match self {
            Sides::Rollout(_, pairs) => pairs.len(),
            Sides::Balancer(compared) => compared.first().map_or(0, |figure| figure.recorded.len()),
        }
    }
}

/// All cases in some folders, in the order of their names: a folder is a case when it holds a
/// `meta.json`, and is searched for cases otherwise.
///
/// # Errors
/// When a folder cannot be read.
pub fn cases(folders: &[PathBuf]) -> Result<Vec<Case>, LoadError> {
    let mut found = Vec::new();
    for folder in folders {
        search(folder, String::new(), DEEPEST, &mut found)?;
    }
    found.sort();
    found.dedup_by(|a, b| a.folder == b.folder);
    Ok(found)
}

fn search(folder: &Path, name: String, deeper: u32, found: &mut Vec<Case>) -> Result<(), LoadError> {
    let refused = |error| LoadError::Io(folder.to_owned(), error);
    let entries = fs::read_dir(folder).map_err(refused)?;
    if folder.join("meta.json").exists() {
        let name = if name.is_empty() { last_name(folder) } else { name };
        found.push(Case { name, folder: folder.to_owned() });
        return Ok(());
    }
    let mut folders = Vec::new();
    for entry in entries {
        let path = entry.map_err(refused)?.path();
        if deeper > 0 && path.is_dir() {
            folders.push(path);
        }
        if folders.len() + found.len() > MOST_CASES {
            let problem = format!("at most {MOST_CASES} cases are held at once");
            return Err(refused(std::io::Error::other(problem)));
        }
    }
    folders.sort();
    folders.iter().try_for_each(|below| {
        let name = if name.is_empty() { last_name(below) } else { format!("{name}/{}", last_name(below)) };
        search(below, name, deeper - 1, found)
    })
}

fn last_name(folder: &Path) -> String {
    folder.file_name().unwrap_or(folder.as_os_str()).to_string_lossy().into_owned()
}

/// Judges every case, in parallel; results come in the order of the cases. Load balancers are simulated so many times.
///
/// # Errors
/// Of the first case whose files cannot be read or do not hold.
pub fn hold(cases: &[Case], repetitions: u32) -> Result<Vec<Judged>, LoadError> {
    let one = |case: &Case| match read(&case.folder)? {
        Contents::Rollout(recording) => Ok(hold_rollout(case, *recording)),
        Contents::Balancer(recording) => Ok(hold_balancer(case, &recording, repetitions)),
    };
    let judged: Vec<Result<Judged, LoadError>> = cases.par_iter().with_max_len(1).map(one).collect();
    judged.into_iter().collect()
}

fn hold_balancer(case: &Case, recording: &balancers::Recording, repetitions: u32) -> Judged {
    let compared = balancers::compare(recording, &balancers::simulate(recording, repetitions));
    let differences = compared.iter().flat_map(balancers::Compared::differences).collect();
    let verdict = verdict(case, differences);
    Judged { name: case.name.clone(), sides: Sides::Balancer(compared), verdict }
}

fn hold_rollout(case: &Case, recording: Recording) -> Judged {
    let strategy = Constants::of(recording.set).put_into(&recording.strategy);
    let simulated: Vec<Seen> =
        recording.repetitions.iter().map(|repetition| replay(&recording, &strategy, repetition)).collect();
    let pair = |(repetition, simulated): (Repetition, Seen)| Pair {
        repetition: repetition.number,
        recorded: repetition.seen,
        simulated,
    };
    let set = recording.set;
    let pairs: Vec<Pair> = recording.repetitions.into_iter().zip(simulated).map(pair).collect();
    let differences = judge(&pairs, set.judges_duration());
    let verdict = verdict(case, differences);
    Judged { name: case.name.clone(), sides: Sides::Rollout(set, pairs), verdict }
}

fn verdict(case: &Case, differences: Vec<Difference>) -> Verdict {
    if differences.is_empty() {
        return Verdict::Agrees;
    }
    let stall = stalls::of(&last_name(&case.folder));
    let explains = |stall: &&Stall| differences.iter().all(|difference| stall.explains(difference));
    match stall.filter(explains) {
        Some(stall) => Verdict::Excused(differences, stall),
        None => Verdict::Differs(differences),
    }
}
