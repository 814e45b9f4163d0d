//! `rollsim check`.

use super::{Failure, NEGATIVE, StudyArgs, UNDECIDED};
use clap::Args;
use rollsim::report::table::budget_sentence;
use rollsim::scenario::{Budget, InputError};
use rollsim::study::{Verdict, check};
use std::io::Write;
use std::process::ExitCode;

/// Run a scenario and judge every strategy by its budget.
#[derive(Debug, Args)]
pub(crate) struct Check {
    #[command(flatten)]
    study: StudyArgs,
}

impl Check {
    pub(crate) fn execute(&self) -> Result<ExitCode, Failure> {
        let scenario = self.study.load()?;
        if scenario.budget == Budget::default() && scenario.expectations.is_empty() {
            let problem = "must be given, or there is nothing to check".to_owned();
            let error = InputError { file: self.study.scenario.clone(), line: 1, field: "budget".to_owned(), problem };
            return Err(Failure::Input(error.to_string()));
        }
        let results = self.study.study(&scenario)?;
        let surprises = check::surprises(&scenario, &results);
        let mut stdout = std::io::stdout().lock();
        for strategy in &results.strategies {
            for line in &strategy.summary.budget {
                writeln!(stdout, "{}", budget_sentence(&strategy.name, line, results.header.confidence))?;
            }
        }
        for surprise in &surprises {
            writeln!(stdout, "{surprise}")?;
        }
        if surprises.is_empty() && !scenario.expectations.is_empty() {
            writeln!(stdout, "all that the scenario expects came out")?;
        }
        stdout.flush()?;
        Ok(match check::verdict(&results) {
            Verdict::Missed => ExitCode::from(NEGATIVE),
            _ if !surprises.is_empty() => ExitCode::from(NEGATIVE),
            Verdict::Undecided => ExitCode::from(UNDECIDED),
            Verdict::Holds => ExitCode::SUCCESS,
        })
    }
}
