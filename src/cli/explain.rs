//! `rollsim explain`.

use super::Failure;
use clap::Args;
use rollsim::explain::{assumed, explain, shown};
use rollsim::scenario::manifest::{Format, export};
use rollsim::scenario::{LoadError, Scenario, load, load_text, manifest, parse};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

/// Tell what a rollout will do, before any traffic.
#[derive(Debug, Args)]
pub(crate) struct Explain {
    /// A scenario (TOML), a file of strategies alone (TOML), or a real orchestrator's file.
    file: PathBuf,
    /// Only this strategy.
    #[arg(long, value_name = "NAME")]
    strategy: Option<String>,
    /// Which workload of a real orchestrator's file; as `KIND/NAME` where several kinds have the name.
    #[arg(long)]
    name: Option<String>,
    /// Print the settings of the one strategy as a file of its orchestrator's instead, to be pasted from.
    #[arg(long, value_name = "ORCHESTRATOR", value_parser = format_of, conflicts_with = "json")]
    r#as: Option<Format>,
    /// Print everything as JSON instead.
    #[arg(long)]
    json: bool,
    /// Do not tell what was taken, assumed and ignored.
    #[arg(long, short)]
    quiet: bool,
}

impl Explain {
    pub(crate) fn execute(&self) -> Result<ExitCode, Failure> {
        let (mut scenario, remarks) = self.load()?;
        if let Some(name) = &self.strategy {
            let names: Vec<&str> = scenario.strategies.iter().map(|strategy| strategy.name.as_str()).collect();
            if !names.contains(&name.as_str()) {
                let names = names.join(", ");
                return Err(Failure::Input(format!("--strategy: must be one of {names}, not `{name}`")));
            }
            scenario.strategies.retain(|strategy| strategy.name == *name);
            scenario.study.against = 0;
        }
        if !self.quiet {
            for remark in &remarks {
                eprintln!("{remark}");
            }
        }
        if let Some(format) = self.r#as {
            write!(std::io::stdout(), "{}", exported(&scenario, format)?)?;
            return Ok(ExitCode::SUCCESS);
        }
        let explanation = explain(&scenario);
        let mut stdout = std::io::stdout().lock();
        if self.json {
            let text = serde_json::to_string_pretty(&explanation).expect("an explanation is plain JSON");
            writeln!(stdout, "{text}")?;
        } else {
            write!(stdout, "{}", shown::explanation(&explanation))?;
        }
        stdout.flush()?;
        Ok(ExitCode::SUCCESS)
    }

    /// The scenario, and what there is to know of how it came about.
    fn load(&self) -> Result<(Scenario, Vec<String>), Failure> {
        if !is_toml(&self.file) {
            let manifest = manifest::load(&self.file)?;
            let imported = manifest::import(&manifest, self.name.as_deref())?;
            let remarks = imported.remarks(&self.file);
            let mut scenario = parse(&imported.text, &self.file)?;
            if let Some(name) = imported.workload.name {
                scenario.name = name;
            }
            return Ok((scenario, remarks));
        }
        if self.name.is_some() {
            return Err(Failure::Input("--name: must be absent where the file is a scenario".to_owned()));
        }
        let text = load_text(&self.file)?;
        let (completed, assumed) = assumed::completed(&text);
        if assumed.is_empty() {
            let scenario = load(&self.file)?;
            let remarks = scenario.remarks.clone();
            return Ok((scenario, remarks));
        }
        let scenario = parse(&completed, &self.file).map_err(within(&text, &self.file))?;
        let mut remarks =
            vec![format!("{}: assumed: 10 instances that start in 10 s, and a window of 1 h", self.file.display())];
        remarks.extend(scenario.remarks.iter().cloned());
        Ok((scenario, remarks))
    }
}

/// The settings of the one strategy of an orchestrator.
fn exported(scenario: &Scenario, format: Format) -> Result<String, Failure> {
    let all: Vec<(&str, String)> = scenario
        .strategies
        .iter()
        .filter_map(|strategy| Some((strategy.name.as_str(), export(scenario, strategy, format)?)))
        .collect();
    match all.as_slice() {
        [(_, text)] => Ok(text.clone()),
        [] => Err(Failure::Input(format!("--as: no strategy here is one of {}", format.name()))),
        several => {
            let names: Vec<&str> = several.iter().map(|(name, _)| *name).collect();
            Err(Failure::Input(format!("--as: --strategy must say which one of {}", names.join(", "))))
        }
    }
}

fn format_of(name: &str) -> Result<Format, String> {
    let names = || Format::ALL.map(Format::name).join(", ");
    Format::ALL.into_iter().find(|format| format.name() == name).ok_or_else(|| format!("must be one of {}", names()))
}

fn is_toml(path: &Path) -> bool {
    path.extension().is_some_and(|ending| ending.eq_ignore_ascii_case("toml"))
}

/// A mistake beyond the user's own lines is told at the last one.
fn within(text: &str, file: &Path) -> impl Fn(LoadError) -> LoadError {
    let lines = text.lines().count().max(1);
    let file = file.to_owned();
    move |error| match error {
        LoadError::Input(mut mistake) if mistake.file == file => {
            mistake.line = mistake.line.min(lines);
            LoadError::Input(mistake)
        }
        other => other,
    }
}
