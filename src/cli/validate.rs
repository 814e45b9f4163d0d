//! `rollsim validate`.

use super::{Failure, NEGATIVE, progress};
use clap::Args;
use rollsim::report::points;
use rollsim::validation::{Effort, Point, Task, Understanding, built_in, read, trials, understand_all, validate};
use std::io::Write;
use std::path::PathBuf;
use std::process::ExitCode;

/// Hold the simulator against theory and published measurements.
///
/// Each point is run as an ordinary scenario, or computed where it is but arithmetic. It holds when the estimate is off by
/// no more than the point tolerates, or by fewer than four of its own standard errors, on each of five seeds.
#[derive(Debug, Args)]
#[expect(clippy::struct_excessive_bools, reason = "each is a flag of the command line")]
pub(crate) struct Validate {
    /// Files of points (JSON), in place of those that are built in.
    #[arg(value_name = "FILE")]
    files: Vec<PathBuf>,
    /// Simulate little: one seed, and standard errors four times as large.
    #[arg(long)]
    quick: bool,
    /// Show what each seed came to, too.
    #[arg(long, short)]
    verbose: bool,
    /// Print the results as JSON.
    #[arg(long, conflicts_with = "verbose")]
    json: bool,
    /// Print the scenario file of one point, and simulate nothing.
    #[arg(long, value_name = "POINT", conflicts_with_all = ["verbose", "json"])]
    scenario: Option<String>,
    /// Threads to use, at most 256; by default one a processor. The results do not depend on it.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=256))]
    threads: Option<u32>,
    /// Show no progress.
    #[arg(long, short)]
    quiet: bool,
}

impl Validate {
    pub(crate) fn execute(&self) -> Result<ExitCode, Failure> {
        let effort = if self.quick { Effort::Quick } else { Effort::Full };
        let points = self.points()?;
        let understood = understand_all(&points, effort).map_err(|error| Failure::Input(error.to_string()))?;
        if let Some(id) = &self.scenario {
            return scenario(id, &points, &understood);
        }
        let threads = self.threads.map_or(0, |threads| threads as usize);
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build();
        let pool = pool.map_err(|error| Failure::World(format!("threads: {error}")))?;
        let bar = progress::bar(trials(&understood, effort) as u64, "trials", self.quiet);
        let judged = pool.install(|| validate(&points, understood, effort, &|| bar.inc(1)));
        bar.finish_and_clear();
        let mut stdout = std::io::stdout().lock();
        if self.json {
            writeln!(stdout, "{}", points::json(&judged))?;
        } else {
            if self.verbose {
                writeln!(stdout, "{}", points::seeds(&judged))?;
            }
            write!(stdout, "{}", points::points(&judged))?;
        }
        stdout.flush()?;
        let fails = judged.iter().any(|one| one.verdict.is_negative());
        Ok(if fails { ExitCode::from(NEGATIVE) } else { ExitCode::SUCCESS })
    }

    fn points(&self) -> Result<Vec<Point>, Failure> {
        if self.files.is_empty() {
            return Ok(built_in());
        }
        let mut points = Vec::new();
        for file in &self.files {
            points.extend(read(file)?);
        }
        Ok(points)
    }
}

/// Prints what a point is run as.
fn scenario(id: &str, points: &[Point], understood: &[Option<Understanding>]) -> Result<ExitCode, Failure> {
    let place = points.iter().position(|point| point.id == id);
    let place = place.ok_or_else(|| Failure::Input(format!("--scenario: no point is called {id:?}")))?;
    match understood[place].as_ref().map(|understanding| &understanding.task) {
        Some(Task::Simulate(experiment)) => {
            write!(std::io::stdout(), "{}", experiment.text)?;
            Ok(ExitCode::SUCCESS)
        }
        _ => Err(Failure::Input(format!("--scenario: {id} is not run as a scenario"))),
    }
}
