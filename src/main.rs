//! The command line of rollsim.

mod cli;

use std::process::ExitCode;

fn main() -> ExitCode {
    cli::main()
}
