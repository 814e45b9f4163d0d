//! Whether the simulator does what real orchestrators did: recordings of rollouts are replayed, each repetition with
//! its own delays, and compared with what was recorded. Fitting to single cases is absent on purpose: what a control
//! plane takes is a constant of its whole set.

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
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// All of it is reproduced.
    Agrees,
    /// Something is not.
    Differs(Vec<Difference>),
    /// Something is not, and the recording machine is to blame.
    Excused(Vec<Difference>, &'static Stall),
    /// Nothing can be said of such a recording yet.
    NotSupported,
}

/// A case, judged.
#[derive(Clone, Debug)]
pub struct Judged {
    /// Its name.
    pub name: String,
    /// What was recorded; `None` where that is not supported.
    pub set: Option<Set>,
    /// Each repetition beside its replay.
    pub pairs: Vec<Pair>,
    /// How they compare.
    pub verdict: Verdict,
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

/// Replays and judges every case, in parallel; results come in the order of the cases.
///
/// # Errors
/// Of the first case whose files cannot be read or do not hold.
pub fn hold(cases: &[Case]) -> Result<Vec<Judged>, LoadError> {
    let judged: Vec<Result<Judged, LoadError>> = cases.par_iter().with_max_len(1).map(hold_one).collect();
    judged.into_iter().collect()
}

fn hold_one(case: &Case) -> Result<Judged, LoadError> {
    let name = case.name.clone();
    let Contents::Rollout(recording) = read(&case.folder)? else {
        return Ok(Judged { name, set: None, pairs: Vec::new(), verdict: Verdict::NotSupported });
    };
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
    let verdict = match stalls::of(set, &last_name(&case.folder)) {
        _ if differences.is_empty() => Verdict::Agrees,
        Some(stall) => Verdict::Excused(differences, stall),
        None => Verdict::Differs(differences),
    };
    Ok(Judged { name, set: Some(set), pairs, verdict })
}
