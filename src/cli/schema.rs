//! `rollsim schema`.

use super::Failure;
use std::io::Write;
use std::process::ExitCode;

pub(crate) fn execute() -> Result<ExitCode, Failure> {
    let text = serde_json::to_string_pretty(&rollsim::scenario::schema()).expect("a schema is plain JSON");
    writeln!(std::io::stdout(), "{text}")?;
    Ok(ExitCode::SUCCESS)
}
