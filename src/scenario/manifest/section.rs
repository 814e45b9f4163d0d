//! How a table of a manifest is read: each setting as it is written and as it is in effect, and notes of what was
//! taken, assumed and ignored.

use super::tree::{Entry, Node, Scalar, Value};
use super::{Obstacle, Problem};
use crate::scenario::place::on_one_line;
use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt;
use std::path::Path;

/// How many notes a sentence names.
const MOST_NOTES: usize = 200;

/// A setting of a workload.
#[derive(Clone, Debug, PartialEq)]
pub struct Setting<T> {
    /// The path of keys to it, in the manifest's own words.
    pub field: String,
    /// What the manifest says; `None` where it says nothing.
    pub written: Option<Scalar>,
    /// The line of the setting, or of the table that could hold it, counted from 1.
    pub line: usize,
    /// What is in effect after the orchestrator's defaults; `None` where there is none, or where what is written is no
    /// such setting.
    pub effective: Option<T>,
}

impl<T> Setting<T> {
    /// Whether the manifest says it.
    pub fn is_written(&self) -> bool {
        self.written.is_some()
    }
}

/// One thing that was taken, assumed or ignored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Note {
    /// The line of the manifest; `None` for what is assumed.
    pub line: Option<usize>,
    /// The path of keys in the manifest's own words.
    pub field: String,
    /// The value; empty where it does not matter.
    pub value: String,
}

/// Notes in a sentence: those of one table together, in the order in which the tables came up. Lines stand in
/// parentheses.
pub(super) fn listed(notes: &[Note]) -> String {
    let mut tables: Vec<(&str, Vec<String>)> = Vec::new();
    let mut places = BTreeMap::new();
    for note in notes.iter().take(MOST_NOTES) {
        let (table, key) = note.field.rsplit_once('.').unwrap_or(("", &note.field));
        let value = if note.value.is_empty() { String::new() } else { format!(" = {}", note.value) };
        let line = note.line.map_or_else(String::new, |line| format!(" ({line})"));
        let place = *places.entry(table).or_insert_with(|| {
            tables.push((table, Vec::new()));
            tables.len() - 1
        });
        tables[place].1.push(format!("{}{line}", on_one_line(&format!("{key}{value}"))));
    }
    let more = notes.len().saturating_sub(MOST_NOTES);
    let of_table = |(table, keys): &(&str, Vec<String>)| match *table {
        "" => keys.join(", "),
        table => format!("{}: {}", on_one_line(table), keys.join(", ")),
    };
    let mut parts: Vec<String> = tables.iter().map(of_table).collect();
    if more > 0 {
        parts.push(format!("and {more} more"));
    }
    parts.join("; ")
}

/// What was done with a workload's manifest.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Notes {
    /// What the manifest says and is used.
    pub taken: Vec<Note>,
    /// What it leaves to the orchestrator's defaults.
    pub assumed: Vec<Note>,
    /// What it says and nobody looks at.
    pub ignored: Vec<Note>,
    /// The first reason why the workload cannot be used.
    pub problem: Option<Problem>,
}

impl Notes {
    /// What was taken, assumed and ignored of a file, a line each.
    pub(super) fn sentences(&self, file: &Path) -> Vec<String> {
        let lists = [("took", &self.taken), ("assumed", &self.assumed), ("ignored", &self.ignored)];
        let lists = lists.into_iter().filter(|(_, notes)| !notes.is_empty());
        lists.map(|(verb, notes)| format!("{}: {verb} {}", file.display(), listed(notes))).collect()
    }

    /// The field must hold something that it does not hold. Only the first of these is kept.
    pub(super) fn breaks(&mut self, line: usize, field: &str, problem: impl Into<String>) {
        self.stops(Obstacle::Refused, line, field, problem);
    }

    /// The workload cannot be used.
    pub(super) fn stops(&mut self, why: Obstacle, line: usize, field: &str, problem: impl Into<String>) {
        let problem = Problem { why, line, field: field.to_owned(), problem: problem.into() };
        self.problem.get_or_insert(problem);
    }

    pub(super) fn ignores(&mut self, line: usize, field: impl Into<String>, value: impl Into<String>) {
        self.ignored.push(Note { line: Some(line), field: field.into(), value: value.into() });
    }

    fn takes(&mut self, line: usize, field: &str, value: &Scalar) {
        self.taken.push(Note { line: Some(line), field: field.to_owned(), value: value.to_string() });
    }

    fn assumes(&mut self, field: &str, value: String) {
        self.assumed.push(Note { line: None, field: field.to_owned(), value });
    }
}

/// A table that is being read, or the place of one that is not there.
#[derive(Clone, Debug)]
pub(super) struct Section<'a> {
    /// The path of keys to it.
    pub(super) place: String,
    /// The line of its key, or of the table around it.
    pub(super) line: usize,
    node: Option<&'a Node>,
    read: Vec<&'static str>,
    spelling: Spelling,
}

/// How the keys of a table begin.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Spelling {
    /// As they are asked for.
    Same,
    /// With a small letter, whatever they are asked for with.
    SmallFirst,
}

impl Spelling {
    fn of(self, key: &str) -> Cow<'_, str> {
        match key.chars().next() {
            Some(first) if self == Spelling::SmallFirst => {
                Cow::Owned(format!("{}{}", first.to_ascii_lowercase(), &key[first.len_utf8()..]))
            }
            _ => Cow::Borrowed(key),
        }
    }
}

/// How a scalar becomes a setting, or what it must be instead.
pub(super) type Read<T> = fn(&Scalar) -> Result<T, String>;

impl<'a> Section<'a> {
    /// The table of a node, under a path.
    pub(super) fn of(place: impl Into<String>, node: &'a Node) -> Self {
        Section { place: place.into(), line: node.line, node: Some(node), read: Vec::new(), spelling: Spelling::Same }
    }

    /// The same table with keys that are spelt in this way.
    pub(super) fn spelt(self, spelling: Spelling) -> Self {
        Section { spelling, ..self }
    }

    /// A table that nobody wrote.
    pub(super) fn absent(place: impl Into<String>, line: usize) -> Self {
        Section { place: place.into(), line, node: None, read: Vec::new(), spelling: Spelling::Same }
    }

    /// How its keys are spelt.
    pub(super) fn spelling(&self) -> Spelling {
        self.spelling
    }

    /// Whether the table is there.
    pub(super) fn is_written(&self) -> bool {
        self.node.is_some()
    }

    /// The path of an entry.
    pub(super) fn key(&self, key: &str) -> String {
        let key = self.spelling.of(key);
        if self.place.is_empty() { key.into_owned() } else { format!("{}.{key}", self.place) }
    }

    /// The entry under a key. It counts as read.
    pub(super) fn entry(&mut self, key: &'static str) -> Option<&'a Entry> {
        self.read.push(key);
        self.node?.entry(&self.spelling.of(key))
    }

    /// All entries under a key. They count as read.
    pub(super) fn entries(&mut self, key: &'static str) -> impl Iterator<Item = &'a Entry> {
        self.read.push(key);
        let entries = self.node.map_or(&[][..], Node::entries);
        entries.iter().filter(move |entry| entry.key == key && entry.node.value != Value::Null)
    }

    /// The table under a key.
    pub(super) fn section(&mut self, key: &'static str, notes: &mut Notes) -> Section<'a> {
        let place = self.key(key);
        match self.entry(key) {
            Some(entry) if matches!(entry.node.value, Value::Table(_)) => {
                Section { line: entry.line, spelling: self.spelling, ..Section::of(place, &entry.node) }
            }
            Some(entry) => {
                notes.breaks(entry.line, &place, "must be a table");
                Section::absent(place, entry.line)
            }
            None => Section::absent(place, self.line),
        }
    }

    /// The elements of the list under a key.
    pub(super) fn list(&mut self, key: &'static str, notes: &mut Notes) -> &'a [Node] {
        match self.entry(key) {
            Some(entry) if matches!(entry.node.value, Value::List(_)) => entry.node.elements(),
            Some(entry) => {
                notes.breaks(entry.line, &self.key(key), "must be a list");
                &[]
            }
            None => &[],
        }
    }

    /// The setting under a key, with the orchestrator's default where it has one.
    pub(super) fn setting<T: fmt::Display>(
        &mut self,
        key: &'static str,
        default: Option<T>,
        read: Read<T>,
        notes: &mut Notes,
    ) -> Setting<T> {
        let place = self.key(key);
        let Some(entry) = self.entry(key) else {
            if let Some(default) = &default {
                notes.assumes(&place, default.to_string());
            }
            return Setting { field: place, written: None, line: self.line, effective: default };
        };
        let line = entry.line;
        let Some(scalar) = entry.node.scalar() else {
            let what = if entry.node.is_expression() {
                "must have a value: nothing here says what the variable or function comes to"
            } else {
                "must be a single value"
            };
            notes.breaks(line, &place, what);
            return Setting { field: place, written: None, line, effective: None };
        };
        let effective = match read(scalar) {
            Ok(value) => {
                notes.takes(line, &place, scalar);
                Some(value)
            }
            Err(problem) => {
                notes.breaks(line, &place, problem);
                None
            }
        };
        Setting { field: place, written: Some(scalar.clone()), line, effective }
    }

    /// The same, of a setting that is read and not simulated: it counts as ignored.
    pub(super) fn unused_setting<T: fmt::Display>(
        &mut self,
        key: &'static str,
        default: Option<T>,
        read: Read<T>,
        notes: &mut Notes,
    ) -> Setting<T> {
        let mut unused = Notes::default();
        let setting = self.setting(key, default, read, &mut unused);
        notes.problem = notes.problem.take().or(unused.problem);
        notes.ignored.extend(unused.taken);
        setting
    }

    /// Notes what of the table nobody looked at.
    pub(super) fn ignore_rest(&self, notes: &mut Notes) {
        for entry in self.node.map_or(&[][..], Node::entries) {
            let is_read = self.read.iter().any(|key| self.spelling.of(key) == entry.key);
            if !is_read && entry.node.value != Value::Null {
                notes.ignores(entry.line, self.key(&entry.key), "");
            }
        }
    }
}
