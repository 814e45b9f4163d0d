//! `rollsim run`.

use super::{Failure, StudyArgs};
use clap::Args;
use rollsim::report::{files, table};
use std::io::Write;
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

impl Run {
    pub(crate) fn execute(&self) -> Result<ExitCode, Failure> {
        let scenario = self.study.load()?;
        let folder = self.out.clone().unwrap_or_else(|| Path::new("output").join(&scenario.name));
        files::probe(&folder)?;
        let results = self.study.study(&scenario)?;
        let mut stdout = std::io::stdout().lock();
        if self.json {
            write!(stdout, "{}", files::summary_json(&results))?;
        } else {
            writeln!(stdout, "{}", table::league(&results))?;
        }
        stdout.flush()?;
        let written = files::write(&results, &folder, !self.no_plots)?;
        if !self.study.quiet {
            name_files(&folder, &written);
        }
        Ok(ExitCode::SUCCESS)
    }
}

/// Tells what was written, data one by one and pictures together.
fn name_files(folder: &Path, written: &[PathBuf]) {
    let with_ending = |wanted: &[&str]| {
        let of = |path: &&PathBuf| path.extension().is_some_and(|ending| wanted.iter().any(|wanted| ending == *wanted));
        written.iter().filter(of).collect::<Vec<_>>()
    };
    let names = |part: fn(&Path) -> Option<&std::ffi::OsStr>, paths: Vec<&PathBuf>| {
        let names = paths.iter().filter_map(|path| Some(part(path)?.to_string_lossy().into_owned()));
        names.collect::<Vec<_>>().join(", ")
    };
    eprintln!("wrote {}: {}", folder.display(), names(Path::file_name, with_ending(&["json", "csv"])));
    let plots = names(Path::file_stem, with_ending(&["svg"]));
    if !plots.is_empty() {
        eprintln!("plots, each as .svg and .png: {plots}");
        eprintln!("look first at {}", folder.join("overview.png").display());
    }
}
