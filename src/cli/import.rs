//! `rollsim import`.

use super::Failure;
use clap::Args;
use rollsim::scenario::manifest;
use std::fs::OpenOptions;
use std::io::{ErrorKind, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

/// Turn a real orchestrator's file into a scenario.
#[derive(Debug, Args)]
pub(crate) struct Import {
    /// The file: Kubernetes objects, a Docker stack file, a Nomad job file, an ECS service, a CloudFormation template.
    file: PathBuf,
    /// Which of its workloads; as `KIND/NAME` where several kinds have the name.
    #[arg(long)]
    name: Option<String>,
    /// A new file for the scenario; by default standard output.
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
    /// Print what was read of every workload as JSON instead, whether or not it can be simulated; of a template, what is
    /// literal in it.
    #[arg(long, conflicts_with_all = ["name", "out"])]
    json: bool,
    /// Do not tell what was taken, assumed and ignored.
    #[arg(long, short)]
    quiet: bool,
}

impl Import {
    pub(crate) fn execute(&self) -> Result<ExitCode, Failure> {
        let manifest = manifest::load(&self.file)?;
        if self.json {
            let text = serde_json::to_string_pretty(&manifest.to_json()).expect("what was read is plain JSON");
            writeln!(std::io::stdout(), "{text}")?;
            manifest.whole()?;
            return Ok(ExitCode::SUCCESS);
        }
        let imported = manifest::import(&manifest, self.name.as_deref())?;
        match &self.out {
            Some(path) => write_new(path, &imported.text)?,
            None => write!(std::io::stdout(), "{}", imported.text)?,
        }
        if !self.quiet {
            for remark in imported.remarks(&self.file) {
                eprintln!("{remark}");
            }
            if let Some(path) = &self.out {
                eprintln!("wrote {}", path.display());
            }
        }
        Ok(ExitCode::SUCCESS)
    }
}

/// Writes a file that does not exist yet: a scenario that somebody has worked on is not lost.
fn write_new(path: &Path, text: &str) -> Result<(), Failure> {
    let written = OpenOptions::new().write(true).create_new(true).open(path).and_then(|mut file| {
        file.write_all(text.as_bytes())?;
        file.sync_all()
    });
    written.map_err(|error| match error.kind() {
        ErrorKind::AlreadyExists => Failure::Input(format!("--out: {} must not exist yet", path.display())),
        _ => Failure::World(format!("{}: {error}", path.display())),
    })
}
