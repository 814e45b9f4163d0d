//! Files of a recording: bounded in size, and every mistake in them told with its line.

use crate::scenario::{InputError, LoadError};
use serde::Deserialize;
use serde::de::{DeserializeOwned, Deserializer, Error, Visitor};
use std::fmt;
use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::time::Duration;

/// The largest file that is read.
const MOST_BYTES: u64 = 4 << 20;
/// The most rows of a table.
const MOST_ROWS: usize = 50_000;
/// The longest recording.
pub(super) const LONGEST: Duration = Duration::from_hours(1);

fn mistake(file: &Path, line: usize, field: &str, problem: impl Into<String>) -> LoadError {
    let (file, field, problem) = (file.to_owned(), field.to_owned(), problem.into());
    LoadError::Input(InputError { file, line: line.max(1), field, problem })
}

/// The text of a file that is not too large.
fn text(path: &Path) -> Result<String, LoadError> {
    let refused = |error: io::Error| LoadError::Io(path.to_owned(), error);
    // A pipe in the place of a file would be waited for.
    if !path.metadata().map_err(refused)?.is_file() {
        return Err(mistake(path, 1, "", "must be a file"));
    }
    let file = File::open(path).map_err(refused)?;
    let mut bytes = Vec::new();
    file.take(MOST_BYTES + 1).read_to_end(&mut bytes).map_err(refused)?;
    if bytes.len() as u64 > MOST_BYTES {
        return Err(mistake(path, 1, "", "must be at most 4 MiB"));
    }
    String::from_utf8(bytes).map_err(|error| {
        let before = &error.as_bytes()[..error.utf8_error().valid_up_to()];
        let line = before.split(|byte| *byte == b'\n').count();
        mistake(path, line, "", "must be UTF-8")
    })
}

/// A JSON file: its text is kept so that it can be read in several ways.
pub(crate) struct Json {
    path: PathBuf,
    text: String,
}

impl Json {
    pub(crate) fn open(path: &Path) -> Result<Self, LoadError> {
        Ok(Json { path: path.to_owned(), text: text(path)? })
    }

    /// A text as if it stood in such a file.
    pub(crate) fn of(path: &Path, text: &str) -> Self {
        Json { path: path.to_owned(), text: text.to_owned() }
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    pub(crate) fn read<T: DeserializeOwned>(&self) -> Result<T, LoadError> {
        let mut json = serde_json::Deserializer::from_str(&self.text);
        let read = serde_path_to_error::deserialize(&mut json).map_err(|error| {
            let at = error.path().to_string();
            let error = error.inner();
            // Where the text itself is broken no field is concerned.
            let field = if at == "." || !error.is_data() { "" } else { &at };
            mistake(&self.path, error.line(), field, problem(error))
        })?;
        let ended = json.end();
        ended.map_err(|error| mistake(&self.path, error.line(), "", "must hold one value and nothing after it"))?;
        Ok(read)
    }

    pub(crate) fn mistake(&self, field: &str, problem: &str) -> LoadError {
        let key = field.rsplit('.').next().unwrap_or(field);
        mistake(&self.path, self.line_of(key), field, problem)
    }

    /// The first line in which something stands in quotes; 1 where it stands nowhere.
    pub(crate) fn line_of(&self, word: &str) -> usize {
        let quoted = format!("\"{word}\"");
        self.text.lines().position(|line| line.contains(&quoted)).map_or(1, |place| place + 1)
    }
}

/// The parser's words in ours.
fn problem(error: &serde_json::Error) -> String {
    let message = error.to_string();
    let message = message.rsplit_once(" at line ").map_or(&*message, |(message, _)| message);
    if !error.is_data() {
        return format!("must be JSON: {message}");
    }
    if let Some((given, expected)) =
        message.strip_prefix("invalid type: ").and_then(|rest| rest.split_once(", expected "))
    {
        let expected = match expected {
            "f64" | "u32" => "a number",
            other if other.starts_with("struct ") => "an object",
            other => other,
        };
        return format!("must be {expected}, not {given}");
    }
    if let Some(key) = message.strip_prefix("missing field ") {
        return format!("{key} must be given");
    }
    message.to_owned()
}

/// A CSV file with a header.
pub(super) struct Table {
    path: PathBuf,
    columns: csv::StringRecord,
    rows: Vec<csv::StringRecord>,
}

/// A row of a table.
#[derive(Clone, Copy)]
pub(super) struct Row<'a> {
    table: &'a Table,
    record: &'a csv::StringRecord,
}

impl Table {
    pub(super) fn read(path: &Path, needed: &[&str]) -> Result<Self, LoadError> {
        let text = text(path)?;
        let mut reader = csv::Reader::from_reader(text.as_bytes());
        let broken = |error: csv::Error| {
            let line = error.position().map_or(1, csv::Position::line) as usize;
            mistake(path, line, "", "must have as many fields as the header")
        };
        let columns = reader.headers().map_err(broken)?.clone();
        if let Some(missing) = needed.iter().find(|column| !columns.iter().any(|name| name == **column)) {
            return Err(mistake(path, 1, missing, "must be a column"));
        }
        let mut rows = Vec::new();
        for record in reader.records() {
            rows.push(record.map_err(broken)?);
            if rows.len() > MOST_ROWS {
                return Err(mistake(path, 1, "", "must have at most 50,000 rows"));
            }
        }
        Ok(Table { path: path.to_owned(), columns, rows })
    }

    pub(super) fn rows(&self) -> impl Iterator<Item = Row<'_>> {
        self.rows.iter().map(|record| Row { table: self, record })
    }

    /// A mistake of the table as a whole.
    pub(super) fn mistake(&self, problem: &str) -> LoadError {
        mistake(&self.path, 1, "", problem)
    }
}

impl<'a> Row<'a> {
    /// A field's text; empty where there is no such column.
    pub(super) fn text(self, column: &str) -> &'a str {
        let place = self.table.columns.iter().position(|name| name == column);
        place.and_then(|place| self.record.get(place)).unwrap_or("")
    }

    pub(super) fn mistake(self, column: &str, problem: &str) -> LoadError {
        let line = self.record.position().map_or(1, csv::Position::line) as usize;
        mistake(&self.table.path, line, column, problem)
    }

    /// A whole number up to a bound.
    pub(super) fn count(self, column: &str, most: u32) -> Result<u32, LoadError> {
        let count = self.text(column).trim().parse().ok().filter(|count| *count <= most);
        count.ok_or_else(|| self.mistake(column, &format!("must be a whole number from 0 to {most}")))
    }

    /// Milliseconds of the recording, negative before the rollout; `None` where the field is empty.
    pub(super) fn millis(self, column: &str) -> Result<Option<f64>, LoadError> {
        let text = self.text(column).trim();
        if text.is_empty() {
            return Ok(None);
        }
        let most = LONGEST.as_secs_f64() * 1000.0;
        let value = text.parse().ok().filter(|value: &f64| value.abs() <= most);
        value.map(Some).ok_or_else(|| self.mistake(column, "must be milliseconds within an hour"))
    }

    /// A moment of the recording, which begins at 0.
    pub(super) fn moment(self, column: &str) -> Result<Duration, LoadError> {
        let millis = self.millis(column)?.filter(|millis| *millis >= 0.0);
        millis.map(span).ok_or_else(|| self.mistake(column, "must be milliseconds from 0 to 3,600,000"))
    }
}

/// So many milliseconds, to the microsecond; none where they are negative.
pub(super) fn span(millis: f64) -> Duration {
    Duration::from_micros((millis.max(0.0) * 1000.0).round() as u64)
}

/// A whole number between bounds.
#[derive(Clone, Copy, Debug)]
pub(super) struct Whole<const LOW: u32, const HIGH: u32>(pub(super) u32);

impl<'de, const LOW: u32, const HIGH: u32> Deserialize<'de> for Whole<LOW, HIGH> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let number = f64::deserialize(deserializer)?;
        let holds = number.fract() == 0.0 && number >= f64::from(LOW) && number <= f64::from(HIGH);
        if !holds {
            return Err(Error::custom(format!("must be a whole number from {LOW} to {HIGH}")));
        }
        Ok(Whole(number as u32))
    }
}

/// Milliseconds, up to the longest recording.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Millis(pub(super) Duration);

impl<'de> Deserialize<'de> for Millis {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let number = f64::deserialize(deserializer)?;
        if !(0.0..=LONGEST.as_secs_f64() * 1000.0).contains(&number) {
            return Err(Error::custom("must be milliseconds from 0 to 3,600,000"));
        }
        Ok(Millis(span(number)))
    }
}

/// Seconds, up to the longest recording.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Seconds(pub(super) Duration);

impl<'de> Deserialize<'de> for Seconds {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let number = f64::deserialize(deserializer)?;
        if !(0.0..=LONGEST.as_secs_f64()).contains(&number) {
            return Err(Error::custom("must be seconds from 0 to 3,600"));
        }
        Ok(Seconds(span(number * 1000.0)))
    }
}

/// A share from 0 to 1.
#[derive(Clone, Copy, Debug)]
pub(super) struct Share(pub(super) f64);

impl<'de> Deserialize<'de> for Share {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let number = f64::deserialize(deserializer)?;
        if !(0.0..=1.0).contains(&number) {
            return Err(Error::custom("must be from 0 to 1"));
        }
        Ok(Share(number))
    }
}

/// A count, or a share in percent: `2`, `"2"` or `"25%"`.
#[derive(Clone, Copy, Debug)]
pub(super) enum CountOrPercent {
    Count(u32),
    Percent(u32),
}

impl<'de> Deserialize<'de> for CountOrPercent {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Written;
        impl Visitor<'_> for Written {
            type Value = CountOrPercent;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a count such as 2 or a share such as \"25%\"")
            }

            fn visit_u64<E: Error>(self, number: u64) -> Result<Self::Value, E> {
                self.visit_str(&number.to_string())
            }

            fn visit_str<E: Error>(self, text: &str) -> Result<Self::Value, E> {
                let number = |text: &str, most: u32| text.trim().parse().ok().filter(|number| *number <= most);
                let read = match text.strip_suffix('%') {
                    Some(percent) => number(percent, 1_000).map(CountOrPercent::Percent),
                    None => number(text, 5_000).map(CountOrPercent::Count),
                };
                read.ok_or_else(|| E::custom("must be a count such as 2 or a share such as \"25%\""))
            }
        }
        deserializer.deserialize_any(Written)
    }
}
