//! `rollsim run`.

use super::{Failure, StudyArgs};
use clap::Args;
use rollsim::report::{files, table};
use std::io::{IsTerminal, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

/// Replay every strategy of a scenario and compare them.
#[derive(Debug, Args)]
pub(crate) struct Run {
    #[command(flatten)]
    study: StudyArgs,
    /// The folder for the files; by default `output/` and the scenario's name.
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
    /// Print `summary.json` instead of the table.
    #[arg(long)]
    json: bool,
    /// Write the data files only.
    #[arg(long)]
    no_plots: bool,
}

/// The width of the table where it goes to no terminal.
const WIDTH_ELSEWHERE: u16 = 160;

impl Run {
    pub(crate) fn execute(&self) -> Result<ExitCode, Failure> {
        let scenario = self.study.load()?;
        let folder = self.out.clone().unwrap_or_else(|| Path::new("output").join(&scenario.name));
        let results = self.study.study(&scenario)?;
        let written = files::write(&results, &folder, !self.no_plots)?;
        let mut stdout = std::io::stdout().lock();
        if self.json {
            write!(stdout, "{}", files::summary_json(&results))?;
        } else {
            let width = if stdout.is_terminal() { None } else { Some(WIDTH_ELSEWHERE) };
            writeln!(stdout, "{}", table::league(&results, width))?;
        }
        stdout.flush()?;
        if !self.study.quiet {
            name_files(&folder, &written);
        }
        Ok(ExitCode::SUCCESS)
    }
}

/// Tells what was written, data one by one and pictures together.
fn name_files(folder: &Path, written: &[PathBuf]) {
    let names: Vec<&str> = written.iter().filter_map(|path| path.file_name()?.to_str()).collect();
    let data: Vec<&str> = names.iter().copied().filter(|name| !name.ends_with(".svg") && !name.ends_with(".png")).collect();
    let plots: Vec<&str> = names.iter().filter_map(|name| name.strip_suffix(".svg")).collect();
    eprintln!("wrote {}: {}", folder.display(), data.join(", "));
    if !plots.is_empty() {
        eprintln!("plots, each as .svg and .png: {}", plots.join(", "));
        eprintln!("look first at {}", folder.join("overview.png").display());
    }
}
