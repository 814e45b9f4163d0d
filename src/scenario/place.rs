//! Where in a scenario file a value stands, and what to say of it.

use super::units::nearest;
use super::{InputError, LoadError};
use serde_path_to_error::Segment;
use std::fmt;
use std::path::Path;
use toml::de::{DeTable, DeValue};

/// The path of keys to a value, whether or not the value is there.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Place(Vec<Step>);

#[derive(Clone, Debug, PartialEq, Eq)]
enum Step {
    Key(String),
    Index(usize),
}

/// Why a scenario cannot be made of a file.
#[derive(Debug)]
pub(super) enum Mistake {
    /// A value of the scenario file does not hold what it must.
    At(Place, String),
    /// A file that the scenario names is wrong or cannot be read.
    Elsewhere(LoadError),
}

impl Mistake {
    /// The same for the user, who wrote `text` into `file`.
    pub(super) fn in_file(self, text: &str, file: &Path) -> LoadError {
        match self {
            Mistake::At(place, problem) => {
                let line = place.line(text);
                InputError { file: file.to_owned(), line, field: place.to_string(), problem }.into()
            }
            Mistake::Elsewhere(error) => error,
        }
    }
}

/// What becomes of a value: its checked form, or a mistake.
pub(super) type Checked<T> = Result<T, Mistake>;

impl Place {
    /// The place of an entry of the table at this one.
    pub(super) fn key(&self, key: &str) -> Place {
        self.then(Step::Key(key.to_owned()))
    }

    /// The place of an element of the list at this one.
    pub(super) fn index(&self, index: usize) -> Place {
        self.then(Step::Index(index))
    }

    fn then(&self, step: Step) -> Place {
        let mut steps = self.0.clone();
        steps.push(step);
        Place(steps)
    }

    /// The mistake of not holding what must hold here.
    pub(super) fn breaks(&self, problem: impl Into<String>) -> Mistake {
        Mistake::At(self.clone(), problem.into())
    }

    /// What was read from the file that is named here. A file that cannot be read is a mistake of whoever named it.
    pub(super) fn reading<T>(&self, read: Result<T, LoadError>) -> Checked<T> {
        read.map_err(|error| match error {
            LoadError::Io(path, error) => {
                self.breaks(format!("must name a file that can be read: {}: {error}", path.display()))
            }
            input @ LoadError::Input(_) => Mistake::Elsewhere(input),
        })
    }

    /// Nothing if it holds, or else the mistake.
    pub(super) fn holds(&self, holds: bool, problem: &str) -> Checked<()> {
        if holds { Ok(()) } else { Err(self.breaks(problem)) }
    }

    /// The line of the value's key or, if it is absent, of the nearest table around it; 1 for the file as a whole.
    fn line(&self, text: &str) -> usize {
        let Ok(root) = DeTable::parse(text) else { return 1 };
        let mut here = DeValue::Table(root.into_inner());
        let mut at = 0;
        for step in &self.0 {
            let found = match (step, here) {
                (Step::Key(key), DeValue::Table(table)) => {
                    let entry = table.into_iter().find(|(name, _)| name.get_ref() == key);
                    entry.map(|(name, value)| (name.span(), value))
                }
                (Step::Index(index), DeValue::Array(array)) => {
                    array.into_iter().nth(*index).map(|value| (value.span(), value))
                }
                _ => None,
            };
            let Some((span, value)) = found else { break };
            at = span.start;
            here = value.into_inner();
        }
        line_at(text.as_bytes(), at)
    }
}

/// The line of a byte, counted from 1.
pub(super) fn line_at(text: &[u8], byte: usize) -> usize {
    text[..byte].split(|byte| *byte == b'\n').count()
}

/// Longest part of a key or of a foreign message that is repeated.
const LONGEST_QUOTE: usize = 200;

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (depth, step) in self.0.iter().enumerate() {
            match step {
                Step::Key(key) => write!(f, "{}{}", if depth > 0 { "." } else { "" }, shown(key))?,
                Step::Index(index) => write!(f, "[{index}]")?,
            }
        }
        Ok(())
    }
}

/// A key as TOML writes it, cut if it is very long.
fn shown(key: &str) -> String {
    let is_bare = !key.is_empty() && key.chars().all(|c| c.is_ascii_alphanumeric() || c == '-' || c == '_');
    let start: String = key.chars().take(LONGEST_QUOTE).collect();
    let rest = if start.len() < key.len() { "…" } else { "" };
    if is_bare { format!("{start}{rest}") } else { format!("\"{}{rest}\"", start.escape_debug()) }
}

impl From<&serde_path_to_error::Path> for Place {
    fn from(path: &serde_path_to_error::Path) -> Self {
        let step = |segment: &Segment| match segment {
            Segment::Map { key } | Segment::Enum { variant: key } => Some(Step::Key(key.clone())),
            Segment::Seq { index } => Some(Step::Index(*index)),
            Segment::Unknown => None,
        };
        Place(path.iter().filter_map(step).collect())
    }
}

/// serde's and toml's words in ours.
impl From<serde_path_to_error::Error<toml::de::Error>> for Mistake {
    fn from(error: serde_path_to_error::Error<toml::de::Error>) -> Self {
        let mut place = Place::from(error.path());
        let message = error.inner().message();
        // Only our own words follow the last of these; what the user wrote stands before it.
        let expected = message.rsplit_once(", expected ").map(|(_, expected)| expected);
        if let Some(missing) = quoted(message, "missing field `") {
            return place.key(missing).breaks("must be given");
        }
        if message.starts_with("unknown field `") {
            return match place.0.pop() {
                Some(Step::Key(key)) if key.starts_with("$__toml_private") => place.breaks("must not be a date"),
                Some(Step::Key(key)) => place.key(&key).breaks(unknown_key(&key, expected.unwrap_or_default())),
                _ => place.breaks("unknown key"),
            };
        }
        match expected {
            _ if message.starts_with("must ") => place.breaks(message),
            Some("a boolean") => place.breaks("must be true or false"),
            Some("a sequence") => place.breaks("must be a list"),
            Some(expected) => place.breaks(format!("must be {expected}")),
            None if message.contains("overflow") => place.breaks("must fit in 64 bits"),
            None => place.breaks(on_one_line(message)),
        }
    }
}

fn quoted<'a>(message: &'a str, before: &str) -> Option<&'a str> {
    message.strip_prefix(before)?.strip_suffix('`')
}

/// What is wrong with a key, given serde's list of those it knows.
fn unknown_key(key: &str, expected: &str) -> String {
    let names: Vec<&str> = expected.split('`').skip(1).step_by(2).collect();
    match nearest(key, names.iter().copied()) {
        Some(name) => format!("unknown key, did you mean `{name}`?"),
        None => format!("unknown key, expected one of {}", names.join(", ")),
    }
}

/// A foreign message on one line of bearable length.
pub(super) fn on_one_line(message: &str) -> String {
    let line = message.split_whitespace().collect::<Vec<_>>().join(" ");
    line.chars().filter(|c| !c.is_control()).take(LONGEST_QUOTE).collect()
}
