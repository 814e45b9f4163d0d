//! `rollsim conformance`.

use super::{Failure, NEGATIVE};
use clap::Args;
use rollsim::conformance::balancers::REPETITIONS;
use rollsim::conformance::{Case, Contents, Recording, Set, Verdict, cases, fit, hold, read};
use rollsim::report::verdicts;
use std::io::Write;
use std::path::PathBuf;
use std::process::ExitCode;

/// Hold the simulator against recordings of real orchestrators and load balancers.
#[derive(Debug, Args)]
pub(crate) struct Conformance {
    /// Folders of recordings: a folder with a meta.json is a case, any other one is searched for cases.
    #[arg(required = true, value_name = "FOLDER")]
    folders: Vec<PathBuf>,
    /// Show the states of each repetition beside those of its replay, or its figures beside the simulated ones.
    #[arg(long, short)]
    verbose: bool,
    /// Search the constants of the control planes that fit the recorded durations best, and print them as they stand
    /// in the source.
    #[arg(long, conflicts_with = "verbose")]
    fit: bool,
    /// Threads to use, at most 256; by default one a processor. The results do not depend on it.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=256))]
    threads: Option<u32>,
}

impl Conformance {
    pub(crate) fn execute(&self) -> Result<ExitCode, Failure> {
        let cases = cases(&self.folders)?;
        if cases.is_empty() {
            let folder = self.folders[0].display();
            return Err(Failure::Input(format!("{folder}: must hold a meta.json, or folders that do")));
        }
        let threads = self.threads.map_or(0, |threads| threads as usize);
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build();
        let pool = pool.map_err(|error| Failure::World(format!("threads: {error}")))?;
        if self.fit {
            return pool.install(|| search(&cases));
        }
        let judged = pool.install(|| hold(&cases, REPETITIONS))?;
        let mut stdout = std::io::stdout().lock();
        if self.verbose {
            for case in &judged {
                writeln!(stdout, "{}", verdicts::side_by_side(case))?;
            }
        }
        write!(stdout, "{}", verdicts::verdicts(&judged))?;
        stdout.flush()?;
        let differs = judged.iter().any(|case| matches!(case.verdict, Verdict::Differs(_)));
        Ok(if differs { ExitCode::from(NEGATIVE) } else { ExitCode::SUCCESS })
    }
}

fn search(cases: &[Case]) -> Result<ExitCode, Failure> {
    let mut recordings: Vec<Recording> = Vec::new();
    for case in cases {
        if let Contents::Rollout(recording) = read(&case.folder)? {
            recordings.push(*recording);
        }
    }
    let mut stdout = std::io::stdout().lock();
    let mut found = false;
    for set in [Set::Kubernetes, Set::Swarmkit, Set::Swarm] {
        if let Some(fit) = fit(set, &recordings) {
            found = true;
            write!(stdout, "{}", verdicts::fitted(set, &fit))?;
        }
    }
    stdout.flush()?;
    if found { Ok(ExitCode::SUCCESS) } else { Err(Failure::Input("no case has constants to fit".to_owned())) }
}
