//! What files hold, against what `expected.json` says of them.

use rollsim::scenario::manifest::{self, Manifest};
use serde_json::{Map, Value};
use std::path::{Path, PathBuf};

/// Remarks in prose on how a value came about.
const PROSE: [&str; 4] = ["file", "note", "surge_note", "rounding"];

/// What a folder holds, and what its `expected.json` says of it.
pub(super) struct Collection {
    folder: PathBuf,
    expected: Value,
}

impl Collection {
    fn of(folder: &Path) -> Self {
        let file = folder.join("expected.json");
        let text = std::fs::read_to_string(&file).unwrap_or_else(|error| panic!("{}: {error}", file.display()));
        let expected = serde_json::from_str(&text).unwrap_or_else(|error| panic!("{}: {error}", file.display()));
        Collection { folder: folder.to_owned(), expected }
    }

    fn own() -> Self {
        Collection::of(&Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/manifests"))
    }

    /// The files.
    pub(super) fn paths(&self) -> Vec<PathBuf> {
        self.files().into_iter().map(|(path, ..)| path).collect()
    }

    /// The files, and what is said of each: of itself and of its workloads.
    fn files(&self) -> Vec<(PathBuf, &Value, Vec<&Value>)> {
        let list = |key: &str| self.expected[key].as_array().unwrap_or_else(|| panic!("expected.json: {key}"));
        let mut files = Vec::new();
        for file in list("files") {
            let name = file["file"].as_str().expect("a file has a name");
            let workloads = list("workloads").iter().filter(|workload| workload["file"] == name).collect();
            files.push((self.folder.join(name.strip_prefix("manifests/").unwrap_or(name)), file, workloads));
        }
        files
    }

    /// Everything that came out otherwise.
    fn differences(&self) -> Vec<String> {
        let mut differences = Vec::new();
        for (path, of_file, of_workloads) in self.files() {
            let name = path.file_name().expect("a name").to_string_lossy().into_owned();
            match manifest::load(&path) {
                Ok(manifest) => compare(&name, &manifest, of_file, &of_workloads, &mut differences),
                Err(error) => differences.push(format!("{name}: {error}")),
            }
        }
        differences
    }
}

/// The project's own files, and those of the folder that is named in the environment.
pub(super) fn collections() -> Vec<Collection> {
    let named = std::env::var_os("ROLLSIM_MANIFESTS").map(|folder| Collection::of(Path::new(&folder)));
    std::iter::once(Collection::own()).chain(named).collect()
}

/// How `expected.json` calls what is read.
fn status(manifest: &Manifest) -> &'static str {
    match manifest.status() {
        "refused" => "error_expected",
        status => status,
    }
}

fn compare(name: &str, manifest: &Manifest, of_file: &Value, of_workloads: &[&Value], differences: &mut Vec<String>) {
    let mut differs = |what: String| differences.push(format!("{name}: {what}"));
    if of_file["status"] != status(manifest) {
        differs(format!("status {}, read as {}", of_file["status"], status(manifest)));
    }
    let read = manifest.to_json();
    for key in ["documents", "other_kinds"] {
        if of_file.get(key).is_some_and(|expected| !is_same(expected, &read[key])) {
            differs(format!("{key} {}, read as {}", of_file[key], read[key]));
        }
    }
    if of_workloads.len() != manifest.workloads.len() {
        differs(format!("{} workloads, read as {}", of_workloads.len(), manifest.workloads.len()));
    }
    for (expected, workload) in of_workloads.iter().zip(&manifest.workloads) {
        let facts = workload.facts();
        let title = workload.title();
        for (key, expected) in expected.as_object().expect("a workload is a table") {
            if PROSE.contains(&key.as_str()) {
                continue;
            }
            if key == "error" {
                if !facts.contains_key("problem") {
                    differs(format!("{title}: read without the problem that {expected}"));
                }
                continue;
            }
            let got = facts.get(key).unwrap_or(&Value::Null);
            if !is_same(expected, got) {
                differs(format!("{title}: {key} {expected}, read as {got}"));
            }
        }
    }
}

/// Numbers are equal by value, and prose says nothing.
fn is_same(a: &Value, b: &Value) -> bool {
    let without_prose = |table: &Map<String, Value>| {
        let entries = table.iter().filter(|(key, _)| !PROSE.contains(&key.as_str()));
        entries.map(|(key, value)| (key.clone(), value.clone())).collect::<Vec<_>>()
    };
    match (a, b) {
        (Value::Number(a), Value::Number(b)) => a.as_f64() == b.as_f64(),
        (Value::Array(a), Value::Array(b)) => a.len() == b.len() && a.iter().zip(b).all(|(a, b)| is_same(a, b)),
        (Value::Object(a), Value::Object(b)) => {
            let (expected, read) = (without_prose(a), without_prose(b));
            expected.len() == read.len()
                && expected.iter().all(|(key, value)| b.get(key).is_some_and(|b| is_same(value, b)))
        }
        (a, b) => a == b,
    }
}

#[test]
fn the_projects_own_files_hold_what_is_said_of_them() {
    let own = Collection::own();
    assert!(own.files().len() >= 12, "{} files", own.files().len());
    let differences = own.differences();
    assert!(differences.is_empty(), "{differences:#?}");
}

#[test]
fn further_files_hold_what_is_said_of_them() {
    let Some(folder) = std::env::var_os("ROLLSIM_MANIFESTS").map(PathBuf::from) else { return };
    let further = Collection::of(&folder);
    let differences = further.differences();
    println!("{}: {} files", folder.display(), further.files().len());
    assert!(differences.is_empty(), "{differences:#?}");
}

/// A wrong expectation must not pass, or nothing here says anything.
#[test]
fn a_wrong_expectation_is_noticed() {
    let own = Collection::own();
    let mut wrong = 0;
    for (path, of_file, of_workloads) in own.files() {
        let manifest = manifest::load(&path).expect("a file that is read");
        for (place, expected) in of_workloads.iter().enumerate() {
            for key in expected.as_object().expect("a table").keys() {
                if PROSE.contains(&key.as_str()) || key == "error" {
                    continue;
                }
                let mut edited: Value = (*expected).clone();
                edited[key] = Value::String("something else".to_owned());
                let mut edited_workloads = of_workloads.clone();
                edited_workloads[place] = &edited;
                let mut differences = Vec::new();
                compare("", &manifest, of_file, &edited_workloads, &mut differences);
                assert_eq!(differences.len(), 1, "{}: {key}", path.display());
                wrong += 1;
            }
        }
    }
    assert!(wrong > 100, "{wrong} expectations");
}
