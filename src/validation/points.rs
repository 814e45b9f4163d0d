//! Validation points: what a source says comes out under which parameters, and how far off an estimate may be.
//!
//! A file of them is a JSON list of objects. Each has `id`, `source`, `quantity` (in words), `params`, `value` (a number, a
//! list of numbers, or a word), `kind`, and how far off is allowed: `tol_rel` and `tol_abs` (either is enough; 0 alone
//! means exactly), `z_only` (by the estimate's own standard error), or `ordinal` (only the word counts). Further keys are
//! notes for people. Whether a model knows what a point says is none of this module's business.

use crate::conformance::Json;
use crate::scenario::{InputError, LoadError};
use serde::Deserialize;
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

/// The points that are checked when no file is named.
const BUILT_IN: &str = include_str!("points.json");
/// Under which name their mistakes would be told.
const BUILT_IN_NAME: &str = "points.json";
/// The most points that one file may hold.
const MOST_POINTS: usize = 10_000;
/// The most numbers that one value may hold.
const MOST_NUMBERS: usize = 10;
/// The largest count that a parameter may be.
const LARGEST_COUNT: f64 = 1e6;

/// What a source says comes out.
#[derive(Clone, Debug)]
pub struct Point {
    /// Its name, unique within its file.
    pub id: String,
    /// Who says so.
    pub source: String,
    /// What is meant, in words.
    pub quantity: String,
    /// Under which parameters.
    pub params: Params,
    /// What comes out.
    pub value: Expected,
    /// How far off an estimate may be.
    pub tolerance: Tolerance,
    /// What is to be checked.
    pub kind: Kind,
}

/// What comes out.
#[derive(Clone, Debug, PartialEq)]
pub enum Expected {
    /// Numbers, at least one.
    Numbers(Vec<f64>),
    /// What becomes of a system.
    Fate(Fate),
}

/// What becomes of a system after a disturbance.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fate {
    /// It serves as before.
    Recovers,
    /// It serves hardly anybody, although nothing disturbs it any more.
    StaysDown,
}

/// How far off an estimate may be.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Tolerance {
    /// Not at all, apart from digits that were not printed.
    Exact,
    /// By one of these or the other; 0 where it is not given.
    Within {
        /// A share of the value.
        relative: f64,
        /// In the value's own unit.
        absolute: f64,
    },
    /// As far as its own standard error explains.
    StandardErrors,
    /// The word must be the same.
    Word,
}

/// What is to be checked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    /// Runs of an ordinary scenario.
    Scenario,
    /// An orchestrator's arithmetic.
    Rule,
    /// A closed form.
    Formula,
}

impl Kind {
    /// The word for it in files.
    pub const fn name(self) -> &'static str {
        match self {
            Kind::Scenario => "scenario",
            Kind::Rule => "rule",
            Kind::Formula => "formula",
        }
    }
}

/// The parameters of a point, and where they stand. A model takes out what it reads; what is left was not looked at.
#[derive(Clone, Debug)]
pub struct Params {
    file: PathBuf,
    line: usize,
    id: String,
    left: BTreeMap<String, Value>,
}

impl Params {
    /// A mistake in one of them, or in all of them together where none is named.
    pub fn mistake(&self, key: &str, problem: &str) -> InputError {
        let field = if key.is_empty() { format!("{}.params", self.id) } else { format!("{}.params.{key}", self.id) };
        InputError { file: self.file.clone(), line: self.line, field, problem: problem.to_owned() }
    }

    /// Whether there is such a parameter that is not null.
    pub fn has(&self, key: &str) -> bool {
        self.left.get(key).is_some_and(|value| !value.is_null())
    }

    /// The names of those that nobody has taken.
    pub fn left(&self) -> impl Iterator<Item = &str> {
        self.left.keys().map(String::as_str)
    }

    /// Takes out what only says in words what others or the model say.
    pub fn pass_over(&mut self, keys: &[&str]) {
        self.left.retain(|key, _| !keys.contains(&key.as_str()));
    }

    /// Takes out a number.
    ///
    /// # Errors
    /// When it is something else.
    pub fn number(&mut self, key: &str) -> Result<Option<f64>, InputError> {
        match self.left.remove(key) {
            None | Some(Value::Null) => Ok(None),
            // Text may be what another model reads.
            Some(value) => match value.as_f64() {
                Some(number) => Ok(Some(number)),
                None => Err(self.mistake(key, "must be a number")),
            },
        }
    }

    /// Takes out a number above 0.
    ///
    /// # Errors
    /// When it is something else.
    pub fn positive(&mut self, key: &str) -> Result<Option<f64>, InputError> {
        let number = self.number(key)?;
        self.holds(key, number, |number| number > 0.0, "must exceed 0")
    }

    /// Takes out a number from 0 to 1.
    ///
    /// # Errors
    /// When it is something else.
    pub fn share(&mut self, key: &str) -> Result<Option<f64>, InputError> {
        let number = self.number(key)?;
        self.holds(key, number, |number| (0.0..=1.0).contains(&number), "must be from 0 to 1")
    }

    /// Takes out a whole number from 0 to 1,000,000.
    ///
    /// # Errors
    /// When it is something else.
    pub fn count(&mut self, key: &str) -> Result<Option<u32>, InputError> {
        let number = self.number(key)?;
        let is_count = |number: f64| number.fract() == 0.0 && (0.0..=LARGEST_COUNT).contains(&number);
        let count = self.holds(key, number, is_count, "must be a whole number from 0 to 1,000,000")?;
        Ok(count.map(|number| number as u32))
    }

    /// Takes out a whole number from 1 to 1,000,000.
    ///
    /// # Errors
    /// When it is something else.
    pub fn at_least_one(&mut self, key: &str) -> Result<Option<u32>, InputError> {
        let number = self.count(key)?;
        self.holds(key, number, |number| number > 0, "must be a whole number from 1 to 1,000,000")
    }

    fn holds<T: Copy>(
        &self,
        key: &str,
        value: Option<T>,
        holds: impl Fn(T) -> bool,
        problem: &str,
    ) -> Result<Option<T>, InputError> {
        if value.is_none_or(holds) { Ok(value) } else { Err(self.mistake(key, problem)) }
    }

    /// Takes out a text, in small letters; a number stays where it is.
    pub fn text(&mut self, key: &str) -> Option<String> {
        let text = self.left.get(key)?.as_str()?.to_lowercase();
        self.left.remove(key);
        Some(text)
    }

    /// Takes out a whole number, or a text, as it would be typed.
    pub fn typed(&mut self, key: &str) -> Option<String> {
        let typed = match self.left.get(key)? {
            Value::Number(number) => number.to_string(),
            Value::String(text) => text.clone(),
            _ => return None,
        };
        self.left.remove(key);
        Some(typed)
    }

    /// Takes out whether something is so.
    pub fn flag(&mut self, key: &str) -> Option<bool> {
        let flag = self.left.get(key)?.as_bool()?;
        self.left.remove(key);
        Some(flag)
    }
}

/// A point as it is written.
#[derive(Deserialize)]
struct Written {
    id: String,
    source: String,
    quantity: String,
    params: BTreeMap<String, Value>,
    value: Value,
    kind: Kind,
    tol_rel: Option<f64>,
    tol_abs: Option<f64>,
    #[serde(default)]
    z_only: bool,
    #[serde(default)]
    ordinal: bool,
}

/// The points that are checked when no file is named.
pub fn built_in() -> Vec<Point> {
    checked(&Json::of(Path::new(BUILT_IN_NAME), BUILT_IN)).expect("a test reads them")
}

/// The points of a file.
///
/// # Errors
/// When it cannot be read, or what it says does not hold.
pub fn read(path: &Path) -> Result<Vec<Point>, LoadError> {
    checked(&Json::open(path)?)
}

/// The points of a text.
///
/// # Errors
/// When what it says does not hold; the text is told of under the name of `path`.
pub fn parse(text: &str, path: &Path) -> Result<Vec<Point>, LoadError> {
    checked(&Json::of(path, text))
}

fn checked(json: &Json) -> Result<Vec<Point>, LoadError> {
    let written: Vec<Written> = json.read()?;
    if written.is_empty() || written.len() > MOST_POINTS {
        return Err(json.mistake("", "must hold 1 to 10,000 points"));
    }
    let mut ids = BTreeSet::new();
    written
        .into_iter()
        .map(|point| {
            let id = point.id.clone();
            let is_new = ids.insert(id.clone());
            let mistake = |problem: &str| json.mistake(&id, problem);
            if !is_new {
                return Err(mistake("must be the only point of that id"));
            }
            point.checked(json).map_err(|problem| mistake(&problem))
        })
        .collect()
}

impl Written {
    fn checked(self, json: &Json) -> Result<Point, String> {
        let value = expected(&self.value)?;
        let tolerance = self.tolerance()?;
        let is_word = matches!(value, Expected::Fate(_));
        if is_word != (tolerance == Tolerance::Word) {
            return Err("must be ordinal if, and only if, its value is a word".to_owned());
        }
        let line = json.line_of(&self.id);
        let params = Params { file: json.path().to_owned(), line, id: self.id.clone(), left: self.params };
        let Written { id, source, quantity, kind, .. } = self;
        Ok(Point { id, source, quantity, params, value, tolerance, kind })
    }

    fn tolerance(&self) -> Result<Tolerance, String> {
        let given = [self.tol_rel, self.tol_abs];
        if given.into_iter().flatten().any(|tolerance| !(tolerance.is_finite() && tolerance >= 0.0)) {
            return Err("must have tolerances of 0 or more".to_owned());
        }
        let [relative, absolute] = given.map(|tolerance| tolerance.unwrap_or(0.0));
        match (given, self.z_only, self.ordinal) {
            ([None, None], true, false) => Ok(Tolerance::StandardErrors),
            ([None, None], false, true) => Ok(Tolerance::Word),
            ([None, None], ..) | (_, true, _) | (_, _, true) => {
                Err("must have exactly one of tol_rel or tol_abs, z_only, ordinal".to_owned())
            }
            _ if relative == 0.0 && absolute == 0.0 => Ok(Tolerance::Exact),
            _ => Ok(Tolerance::Within { relative, absolute }),
        }
    }
}

fn expected(value: &Value) -> Result<Expected, String> {
    let number = |value: &Value| value.as_f64().ok_or_else(|| "must have a value of numbers".to_owned());
    match value {
        Value::Number(_) => Ok(Expected::Numbers(vec![number(value)?])),
        Value::Array(list) if (1..=MOST_NUMBERS).contains(&list.len()) => {
            Ok(Expected::Numbers(list.iter().map(number).collect::<Result<_, _>>()?))
        }
        Value::String(word) if word == "recovers" => Ok(Expected::Fate(Fate::Recovers)),
        Value::String(word) if word == "stays down" => Ok(Expected::Fate(Fate::StaysDown)),
        _ => Err("must have a value that is a number, 1 to 10 numbers, \"recovers\" or \"stays down\"".to_owned()),
    }
}
