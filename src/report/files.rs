//! The files of a study, for other programs to read.

use crate::report::{plot, why};
use crate::study::{Header, Results, Summary};
use serde::Serialize;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

/// A file that could not be written.
#[derive(Debug)]
pub struct WriteError {
    /// Which.
    pub path: PathBuf,
    /// Why.
    pub source: io::Error,
}

impl std::fmt::Display for WriteError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}: {}", self.path.display(), self.source)
    }
}

impl std::error::Error for WriteError {}

/// `summary.json`: everything that the table shows, and more, without rounding.
#[derive(Serialize)]
struct SummaryFile<'a> {
    #[serde(flatten)]
    header: &'a Header,
    /// Why requests were lost or late, in sentences.
    why: Vec<String>,
    strategies: Vec<StrategySummary<'a>>,
}

#[derive(Serialize)]
struct StrategySummary<'a> {
    name: &'a str,
    orchestrator: &'a str,
    #[serde(flatten)]
    summary: &'a Summary,
}

/// The content of `summary.json`.
pub fn summary_json(results: &Results) -> String {
    let strategies = results.strategies.iter().map(|strategy| StrategySummary {
        name: &strategy.name,
        orchestrator: &strategy.orchestrator,
        summary: &strategy.summary,
    });
    let why = why::sentences(results);
    let file = SummaryFile { header: &results.header, why, strategies: strategies.collect() };
    let mut text = serde_json::to_string_pretty(&file).expect("numbers and strings can be written");
    text.push('\n');
    text
}

fn csv<'a, Row: Serialize + 'a>(rows: impl Iterator<Item = &'a Row>) -> Vec<u8> {
    let mut writer = csv::Writer::from_writer(Vec::new());
    for row in rows {
        writer.serialize(row).expect("rows of numbers and strings can be written to memory");
    }
    writer.into_inner().expect("memory takes what is written")
}

/// The tables of a study by file name. A file whose rows are none holds nothing but is there.
fn tables(results: &Results) -> Vec<(String, Vec<u8>)> {
    let strategies = || results.strategies.iter();
    vec![
        ("summary.json".to_owned(), summary_json(results).into_bytes()),
        ("replications.csv".to_owned(), csv(strategies().flat_map(|strategy| &strategy.runs))),
        ("timeline.csv".to_owned(), csv(strategies().flat_map(|strategy| &strategy.timeline))),
        ("timeseries.csv".to_owned(), csv(strategies().flat_map(|strategy| &strategy.series))),
        ("losses.csv".to_owned(), losses(results)),
        ("classes.csv".to_owned(), csv(strategies().flat_map(|strategy| &strategy.classes))),
    ]
}

/// Losses keep their header where nothing was lost.
fn losses(results: &Results) -> Vec<u8> {
    let rows: Vec<_> = results.strategies.iter().flat_map(|strategy| &strategy.losses).collect();
    if rows.is_empty() {
        return b"strategy,fate,cause,version,step,zone,class,requests,requests_per_rollout\n".to_vec();
    }
    csv(rows.into_iter())
}

/// Sees that files can be written into the folder, made where it is missing: better before a long study than after it. What it made
/// is gone again, so that a study that is interrupted leaves nothing.
///
/// # Errors
/// When the file system refuses.
pub fn probe(folder: &Path) -> Result<(), WriteError> {
    let failed = |source| WriteError { path: folder.to_owned(), source };
    let is_missing = |path: &&Path| !path.as_os_str().is_empty() && !path.exists();
    let missing: Vec<&Path> = folder.ancestors().take_while(is_missing).collect();
    let staging = staging(folder);
    fs::create_dir_all(&staging).map_err(failed)?;
    fs::remove_dir(&staging).map_err(failed)?;
    for made in missing {
        let _ = fs::remove_dir(made); // Somebody else may have put something there by now.
    }
    Ok(())
}

/// Where files are written before they take their places.
fn staging(folder: &Path) -> PathBuf {
    folder.join(format!(".staging-{}", std::process::id()))
}

/// Writes all files of a study into a folder, made where it is missing, and tells their paths. Everything is written
/// beside its place first, so that a reader never meets half a file, and what stood there before goes only once its
/// successor is complete.
///
/// # Errors
/// When the file system refuses.
pub fn write(results: &Results, folder: &Path, plots: bool) -> Result<Vec<PathBuf>, WriteError> {
    let mut files = tables(results);
    if plots {
        for picture in plot::draw(results) {
            files.push((format!("{}.svg", picture.name), picture.svg.into_bytes()));
            files.push((format!("{}.png", picture.name), picture.png));
        }
    }
    let staging = staging(folder);
    let failed = |path: &Path| {
        let path = path.to_owned();
        move |source| WriteError { path, source }
    };
    fs::create_dir_all(&staging).map_err(failed(&staging))?;
    let written = stage_and_move(&files, folder, &staging);
    // What is left of the staging folder is of no use to anybody; the first error is what the user needs to hear of.
    let _ = fs::remove_dir_all(&staging);
    written?;
    remove_stale_charts(folder, &files);
    Ok(files.iter().map(|(name, _)| folder.join(name)).collect())
}

fn stage_and_move(files: &[(String, Vec<u8>)], folder: &Path, staging: &Path) -> Result<(), WriteError> {
    for (name, content) in files {
        let path = staging.join(name);
        fs::write(&path, content).map_err(|source| WriteError { path, source })?;
    }
    for (name, _) in files {
        let path = folder.join(name);
        fs::rename(staging.join(name), &path).map_err(|source| WriteError { path, source })?;
    }
    Ok(())
}

/// Charts of strategies that an earlier run had and this one has not would mislead.
fn remove_stale_charts(folder: &Path, files: &[(String, Vec<u8>)]) {
    let Ok(entries) = fs::read_dir(folder) else { return };
    for entry in entries.flatten() {
        let name = entry.file_name().to_string_lossy().into_owned();
        let is_picture = [".svg", ".png"].iter().any(|ending| name.ends_with(ending));
        let is_chart = is_picture && name.starts_with("instances-");
        if is_chart && files.iter().all(|(written, _)| *written != name) {
            let _ = fs::remove_file(entry.path());
        }
    }
}
