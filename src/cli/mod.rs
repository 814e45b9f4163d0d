//! The flags as typed, one file a command, and the exit codes.

mod check;
mod conformance;
mod explain;
mod import;
mod progress;
mod run;
mod schema;
mod validate;

use clap::{Args, Parser, Subcommand};
use rollsim::report::files::WriteError;
use rollsim::scenario::{InputError, LoadError, Scenario, Study};
use std::fmt;
use std::io;
use std::num::NonZeroU32;
use std::path::PathBuf;
use std::process::ExitCode;

/// Predict what a rollout does to users before it happens.
///
/// rollsim simulates a fleet behind a load balancer while a new version is rolled out, request by request, and
/// replays the same traffic and the same bad luck under every strategy of a scenario file.
#[derive(Debug, Parser)]
#[command(version, about, after_help = EXIT_CODES)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

const EXIT_CODES: &str = "\
Exit codes: 0 done; 1 a verdict is negative (check: a budget is missed; conformance, validate: something differs);
2 the input is wrong; 3 not enough evidence to decide (check); 4 a file could not be read or written. Results go to
stdout, progress and remarks to stderr.

Start with: rollsim run scenarios/quickstart.toml";

#[derive(Debug, Subcommand)]
enum Command {
    /// Replay every strategy of a scenario and compare them: a table, data files and plots.
    Run(run::Run),
    /// Tell what a rollout will do before any traffic: numbers, steps, durations, warnings.
    Explain(explain::Explain),
    /// Run a scenario and fail (exit code 1) when a strategy misses the scenario's budget.
    Check(check::Check),
    /// Hold the simulator against recordings of real orchestrators, and fail (exit code 1) where it does otherwise.
    Conformance(conformance::Conformance),
    /// Turn a real orchestrator's file into a scenario, with a comment on where each value comes from.
    Import(import::Import),
    /// Hold the simulator against theory and published measurements, and fail (exit code 1) where it says otherwise.
    Validate(validate::Validate),
    /// Print the JSON Schema of scenario files, for editors.
    Schema,
}

/// What is studied, and how.
#[derive(Debug, Args)]
struct StudyArgs {
    /// The scenario file (TOML).
    scenario: PathBuf,
    /// Runs of each strategy, in place of the scenario's.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(2..=100_000))]
    replications: Option<u32>,
    /// The seed of all luck, in place of the scenario's.
    #[arg(long, value_name = "N")]
    seed: Option<u64>,
    /// Threads to use, at most 256; by default one a processor. The results do not depend on it.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=256))]
    threads: Option<u32>,
    /// Show no progress and make no remarks.
    #[arg(long, short)]
    quiet: bool,
}

/// Why a command came to no result.
#[derive(Debug)]
enum Failure {
    /// The user's mistake.
    Input(String),
    /// The world's refusal.
    World(String),
}

impl From<LoadError> for Failure {
    fn from(error: LoadError) -> Self {
        match error {
            LoadError::Input(_) => Failure::Input(error.to_string()),
            LoadError::Io(..) => Failure::World(error.to_string()),
        }
    }
}

impl From<InputError> for Failure {
    fn from(error: InputError) -> Self {
        LoadError::from(error).into()
    }
}

impl From<WriteError> for Failure {
    fn from(error: WriteError) -> Self {
        Failure::World(error.to_string())
    }
}

impl From<io::Error> for Failure {
    fn from(error: io::Error) -> Self {
        // Whoever closes the pipe has seen enough, and needs no remark.
        let is_closed = error.kind() == io::ErrorKind::BrokenPipe;
        Failure::World(if is_closed { String::new() } else { format!("standard output: {error}") })
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Failure::Input(message) | Failure::World(message) => f.write_str(message),
        }
    }
}

/// Exit code 1: a verdict is negative.
const NEGATIVE: u8 = 1;
/// Exit code 2: the input is wrong.
const WRONG_INPUT: u8 = 2;
/// Exit code 3: not enough evidence to decide.
const UNDECIDED: u8 = 3;
/// Exit code 4: the world refused.
const WORLD: u8 = 4;

/// Does what the command line says.
pub(crate) fn main() -> ExitCode {
    let cli = Cli::parse();
    let done = match cli.command {
        Command::Run(run) => run.execute(),
        Command::Explain(explain) => explain.execute(),
        Command::Check(check) => check.execute(),
        Command::Conformance(conformance) => conformance.execute(),
        Command::Import(import) => import.execute(),
        Command::Validate(validate) => validate.execute(),
        Command::Schema => schema::execute(),
    };
    done.unwrap_or_else(|failure| {
        let message = failure.to_string();
        if !message.is_empty() {
            eprintln!("{message}");
        }
        match failure {
            Failure::Input(_) => ExitCode::from(WRONG_INPUT),
            Failure::World(_) => ExitCode::from(WORLD),
        }
    })
}

impl StudyArgs {
    /// Loads the scenario with what the command line puts in place of its values.
    fn load(&self) -> Result<Scenario, Failure> {
        let mut scenario = rollsim::scenario::load(&self.scenario)?;
        if !self.quiet {
            scenario.remarks.iter().for_each(|remark| eprintln!("{remark}"));
        }
        if let Some(replications) = self.replications.and_then(NonZeroU32::new) {
            scenario.study.replications = replications;
            let intervals = scenario.study.intervals_of_all_runs(scenario.strategies.len());
            if intervals > Study::MOST_INTERVALS_OF_ALL_RUNS {
                let most = "--replications: must come to at most 50,000,000 intervals over all runs";
                return Err(Failure::Input(most.to_owned()));
            }
        }
        if let Some(seed) = self.seed {
            scenario.study.seed = seed;
        }
        Ok(scenario)
    }

    /// Runs the study on as many threads as asked for, showing progress.
    fn study(&self, scenario: &Scenario) -> Result<rollsim::study::Results, Failure> {
        let threads = self.threads.map_or(0, |threads| threads as usize);
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build();
        let pool = pool.map_err(|error| Failure::World(format!("threads: {error}")))?;
        let runs = u64::from(scenario.study.replications.get()) * scenario.strategies.len() as u64;
        let bar = progress::bar(runs, "rollouts", self.quiet);
        let results = pool.install(|| rollsim::study::replicate(scenario, &|| bar.inc(1)));
        bar.finish_and_clear();
        Ok(results)
    }
}
