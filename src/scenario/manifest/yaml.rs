//! From YAML or JSON to a tree: everything that is known here of the YAML library stands in [`parse_yaml`].
//!
//! JSON is read as the YAML that it is, because lines are known there, once it is known to be JSON.

use super::tree::{Entry, Node, Scalar, Value};
use crate::scenario::place::on_one_line;
use serde::de::{self, Deserialize, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde_saphyr::budget::BudgetBreach;
use serde_saphyr::options::DuplicateKeyPolicy;
use serde_saphyr::{Error, Spanned, Tagged};
use std::fmt;

/// How deep values may be nested. Deeper ones would need too much of the stack.
const DEEPEST: usize = 128;
/// How many values a file may hold, those included that aliases repeat.
const MOST_VALUES: usize = 200_000;

/// Why a text is no tree.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct SyntaxError {
    /// The line, counted from 1.
    pub(super) line: usize,
    /// What must hold.
    pub(super) problem: String,
    /// Whether the text breaks a bound, not the grammar.
    pub(super) is_excess: bool,
}

/// What becomes of a key that stands twice in a table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Twice {
    /// It is an error.
    Error,
    /// The first one counts.
    First,
}

/// The documents of a YAML file that say anything. Anchors are resolved and `<<` is merged.
pub(super) fn parse_yaml(text: &str, twice: Twice) -> Result<Vec<Node>, SyntaxError> {
    let budget = serde_saphyr::budget! {
        max_depth: DEEPEST,
        flow_nesting_limit: DEEPEST,
        max_nodes: MOST_VALUES,
        // A value has at most a beginning and an end.
        max_events: 2 * MOST_VALUES,
        max_recorded_anchor_events: 2 * MOST_VALUES,
    };
    let duplicate_keys = match twice {
        Twice::Error => DuplicateKeyPolicy::Error,
        Twice::First => DuplicateKeyPolicy::FirstWins,
    };
    let options = serde_saphyr::options! {
        budget: budget,
        duplicate_keys: duplicate_keys,
        // Keys such as `null` are words here.
        null_as_string: true,
        with_snippet: false,
    };
    serde_saphyr::from_multiple_with_options(text, options).map_err(|error| syntax_error(text, &error))
}

/// The value of a JSON file.
pub(super) fn parse_json(text: &str) -> Result<Vec<Node>, SyntaxError> {
    serde_json::from_str::<IgnoredAny>(text).map_err(|error| SyntaxError {
        line: error.line().max(1),
        problem: format!("must be JSON: {}", on_one_line(&error.to_string())),
        is_excess: false,
    })?;
    parse_yaml(text, Twice::Error)
}

fn syntax_error(text: &str, error: &Error) -> SyntaxError {
    let lines = text.lines().count().max(1);
    let line = error.location().map_or(1, |location| location.line() as usize).clamp(1, lines);
    let error = error.without_snippet();
    let excess = match error {
        Error::Budget { breach, .. } => Some(excess(breach)),
        Error::AliasReplayLimitExceeded { .. } | Error::AliasReplayStackDepthExceeded { .. } => Some(TOO_MANY_ALIASES),
        // Within an alias whatever is too much is too much by aliases.
        Error::AliasError { error, .. } if matches!(error.without_snippet(), Error::Budget { .. }) => {
            Some(TOO_MANY_ALIASES)
        }
        _ => None,
    };
    let message = described(error);
    // The parser has a bound of its own, and no kind for it that the library passes on.
    let excess = excess.or((message == "recursion limit exceeded").then_some(TOO_DEEP));
    let problem = excess.map_or_else(|| format!("must be YAML: {message}"), ToOwned::to_owned);
    SyntaxError { line, problem, is_excess: excess.is_some() }
}

const TOO_DEEP: &str = "must be nested at most 128 levels deep";
const TOO_MANY_ALIASES: &str = "must repeat less by aliases";

fn excess(breach: &BudgetBreach) -> &'static str {
    match breach {
        BudgetBreach::Depth { .. } => TOO_DEEP,
        BudgetBreach::Documents { .. } => "must hold at most 1,024 documents",
        BudgetBreach::Nodes { .. } | BudgetBreach::Events { .. } => "must hold at most 200,000 values",
        _ => TOO_MANY_ALIASES,
    }
}

/// The library's words without the place, which the error names by itself, and without advice to programmers.
fn described(error: &Error) -> String {
    if let Error::DuplicateMappingKey { key: Some(key), .. } = error {
        return format!("the key `{}` must stand only once", on_one_line(key));
    }
    let message = on_one_line(&error.to_string());
    let end = message.find(" at line ").unwrap_or(message.len());
    message[..end].to_owned()
}

impl<'de> Deserialize<'de> for Node {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let Spanned { value: Tagged(value, tag), defined, .. } = Spanned::<Tagged<Value>>::deserialize(deserializer)?;
        Ok(Node { line: defined.line() as usize, tag, value })
    }
}

impl<'de> Deserialize<'de> for Value {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(AnyValue)
    }
}

struct AnyValue;

impl<'de> Visitor<'de> for AnyValue {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a value")
    }

    fn visit_unit<E: de::Error>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_none<E: de::Error>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_bool<E: de::Error>(self, yes: bool) -> Result<Value, E> {
        Ok(Value::Scalar(Scalar::Bool(yes)))
    }

    fn visit_i64<E: de::Error>(self, number: i64) -> Result<Value, E> {
        Ok(Value::Scalar(Scalar::Whole(number)))
    }

    fn visit_u64<E: de::Error>(self, number: u64) -> Result<Value, E> {
        let whole = i64::try_from(number).map(Scalar::Whole);
        Ok(Value::Scalar(whole.unwrap_or(Scalar::Number(number as f64))))
    }

    fn visit_i128<E: de::Error>(self, number: i128) -> Result<Value, E> {
        self.visit_f64(number as f64)
    }

    fn visit_u128<E: de::Error>(self, number: u128) -> Result<Value, E> {
        self.visit_f64(number as f64)
    }

    fn visit_f64<E: de::Error>(self, number: f64) -> Result<Value, E> {
        Ok(Value::Scalar(Scalar::Number(number)))
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<Value, E> {
        Ok(Value::Scalar(Scalar::Text(text.to_owned())))
    }

    fn visit_bytes<E: de::Error>(self, bytes: &[u8]) -> Result<Value, E> {
        self.visit_str(&String::from_utf8_lossy(bytes))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut elements: A) -> Result<Value, A::Error> {
        let mut list = Vec::new();
        while let Some(node) = elements.next_element()? {
            list.push(node);
        }
        Ok(Value::List(list))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Value, A::Error> {
        let mut entries = Vec::new();
        while let Some(Spanned { value: key, defined, .. }) = map.next_key::<Spanned<String>>()? {
            entries.push(Entry { key, line: defined.line() as usize, node: map.next_value()? });
        }
        Ok(Value::Table(entries))
    }
}
