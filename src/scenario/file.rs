//! How a scenario file becomes a [`Scenario`]: read, taken apart by serde, checked by `convert`.

use super::convert;
use super::delays::Sources;
use super::fingerprint::Fingerprint;
use super::place::{Mistake, line_at, on_one_line};
use super::{InputError, LoadError, Scenario, raw};
use schemars::generate::SchemaSettings;
use schemars::transform::{Transform, transform_subschemas};
use std::fs::File;
use std::io::Read;
use std::path::Path;

/// The largest scenario file, 1 MiB.
const MOST_BYTES: usize = 1 << 20;

/// Reads the scenario in a file, and the files that it names.
///
/// # Errors
/// When a file cannot be read, or with the first mistake in it.
pub fn load(path: &Path) -> Result<Scenario, LoadError> {
    parse(&load_text(path)?, path)
}

/// The text of a scenario file.
///
/// # Errors
/// When the file cannot be read, is too large, or is no text.
pub fn load_text(path: &Path) -> Result<String, LoadError> {
    let unreadable = |error| LoadError::Io(path.to_owned(), error);
    let file = File::open(path).map_err(unreadable)?;
    let mut bytes = Vec::new();
    file.take(MOST_BYTES as u64 + 1).read_to_end(&mut bytes).map_err(unreadable)?;
    refuse_excess(bytes.len(), path)?;
    let text = std::str::from_utf8(&bytes).map_err(|error| {
        let line = line_at(&bytes, error.valid_up_to());
        in_text(path, line, "must be UTF-8")
    })?;
    Ok(text.to_owned())
}

/// Reads the scenario in a text that stands in `file`, and the files that it names, relative to that one's folder.
///
/// # Errors
/// When a file cannot be read, or with the first mistake in it.
pub fn parse(text: &str, file: &Path) -> Result<Scenario, LoadError> {
    refuse_excess(text.len(), file)?;
    let mut fingerprint = Fingerprint::new();
    fingerprint.add(text.as_bytes());
    let folder = file.parent().unwrap_or(Path::new(""));
    let mut sources = Sources { folder, fingerprint, manifests: Vec::new() };
    let deserializer = toml::Deserializer::parse(text).map_err(|error| {
        // What is missing at the end of the file is missing behind its last word.
        let at = error.span().map_or(0, |span| span.start.min(text.trim_end().len()));
        let line = line_at(text.as_bytes(), at);
        in_text(file, line, &on_one_line(error.message()))
    })?;
    let name = file.file_stem().map_or_else(String::new, |stem| stem.to_string_lossy().into_owned());
    let raw: Result<raw::Scenario, _> = serde_path_to_error::deserialize(deserializer);
    let scenario = raw.map_err(Mistake::from).and_then(|raw| convert::scenario(raw, name, &mut sources));
    scenario.map_err(|mistake| mistake.in_file(text, file))
}

fn refuse_excess(bytes: usize, file: &Path) -> Result<(), LoadError> {
    if bytes > MOST_BYTES { Err(in_text(file, 1, "must be a file of at most 1 MiB")) } else { Ok(()) }
}

/// A mistake that concerns no field.
fn in_text(file: &Path, line: usize, problem: &str) -> LoadError {
    InputError { file: file.to_owned(), line, field: String::new(), problem: problem.to_owned() }.into()
}

/// The JSON Schema (2020-12) of scenario files, for editors. It knows each field, not the rules across fields.
pub fn schema() -> schemars::Schema {
    let settings = SchemaSettings::draft2020_12().with_transform(WithoutNull);
    let mut schema = settings.into_generator().into_root_schema_for::<raw::Scenario>();
    // serde does not ask for it, because `convert` has better words for a file without one.
    if let Some(required) = schema.get_mut("required").and_then(|required| required.as_array_mut()) {
        required.push("strategy".into());
    }
    schema
}

/// TOML has no null: what may be left out is not therefore null.
#[derive(Clone)]
struct WithoutNull;

impl Transform for WithoutNull {
    fn transform(&mut self, schema: &mut schemars::Schema) {
        transform_subschemas(self, schema);
        let null = serde_json::json!({ "type": "null" });
        if let Some(types) = schema.get_mut("type").and_then(|types| types.as_array_mut()) {
            types.retain(|kind| kind != "null");
            if let [only] = types.as_slice() {
                let only = only.clone();
                schema.insert("type".to_owned(), only);
            }
        }
        if let Some(words) = schema.get_mut("enum").and_then(|words| words.as_array_mut()) {
            words.retain(|word| !word.is_null());
        }
        let choices = schema.get_mut("anyOf").and_then(|choices| choices.as_array_mut());
        if let Some(choices) = choices.filter(|choices| choices.contains(&null)) {
            choices.retain(|choice| *choice != null);
            if let [only] = choices.as_slice() {
                let only = only.as_object().cloned().unwrap_or_default();
                schema.remove("anyOf");
                for (key, value) in only {
                    schema.ensure_object().entry(key).or_insert(value);
                }
            }
        }
    }
}

#[cfg(test)]
mod tests;
