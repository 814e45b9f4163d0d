//! A manifest as a tree of values, each with the line that it stands on, whatever language it is written in.

use serde::{Serialize, Serializer};
use std::fmt;

/// A value and where it stands.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Node {
    /// The line, counted from 1.
    pub(super) line: usize,
    /// What the language says of the value beside the value itself: a YAML tag such as `!Ref`, or [`EXPRESSION`].
    pub(super) tag: Option<String>,
    /// The value.
    pub(super) value: Value,
}

/// The tag of a text that is an expression, which would have to be evaluated for its value.
pub(super) const EXPRESSION: &str = "expression";

/// What a manifest can say.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Value {
    /// Nothing: as good as absent.
    Null,
    /// A single value.
    Scalar(Scalar),
    /// Values in order.
    List(Vec<Node>),
    /// Values under keys, in the order of the file. A key may stand several times where the language allows it.
    Table(Vec<Entry>),
}

/// A value under a key.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Entry {
    /// The key.
    pub(super) key: String,
    /// The line of the key, counted from 1.
    pub(super) line: usize,
    /// The value.
    pub(super) node: Node,
}

/// A single value as it is written.
#[derive(Clone, Debug, PartialEq)]
pub enum Scalar {
    /// `true` or `false`.
    Bool(bool),
    /// A whole number.
    Whole(i64),
    /// Another number, finite.
    Number(f64),
    /// A text.
    Text(String),
}

impl Scalar {
    /// A number, whole if it is.
    pub(super) fn number(number: f64) -> Self {
        // Whole numbers up to here are exact in an f64.
        let is_whole = number.fract() == 0.0 && number.abs() < 9e15;
        if is_whole { Scalar::Whole(number as i64) } else { Scalar::Number(number) }
    }
}

impl fmt::Display for Scalar {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Scalar::Bool(yes) => yes.fmt(f),
            Scalar::Whole(number) => number.fmt(f),
            Scalar::Number(number) => number.fmt(f),
            Scalar::Text(text) => f.write_str(text),
        }
    }
}

impl Serialize for Scalar {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Scalar::Bool(yes) => serializer.serialize_bool(*yes),
            Scalar::Whole(number) => serializer.serialize_i64(*number),
            Scalar::Number(number) => serializer.serialize_f64(*number),
            Scalar::Text(text) => serializer.serialize_str(text),
        }
    }
}

impl Node {
    /// The entries of a table; none for anything else.
    pub(super) fn entries(&self) -> &[Entry] {
        if let Value::Table(entries) = &self.value { entries } else { &[] }
    }

    /// The elements of a list; none for anything else.
    pub(super) fn elements(&self) -> &[Node] {
        if let Value::List(elements) = &self.value { elements } else { &[] }
    }

    /// The first entry under a key that says anything.
    pub(super) fn entry(&self, key: &str) -> Option<&Entry> {
        self.entries().iter().find(|entry| entry.key == key && entry.node.value != Value::Null)
    }

    /// The value under a key that says anything.
    pub(super) fn get(&self, key: &str) -> Option<&Node> {
        self.entry(key).map(|entry| &entry.node)
    }

    /// The text of a value that is one.
    pub(super) fn text(&self) -> Option<&str> {
        if let Some(Scalar::Text(text)) = self.scalar() { Some(text) } else { None }
    }

    /// The text under a key.
    pub(super) fn text_at(&self, key: &str) -> Option<&str> {
        self.get(key)?.text()
    }

    /// The single value of a node that is one, and no expression.
    pub(super) fn scalar(&self) -> Option<&Scalar> {
        match &self.value {
            Value::Scalar(scalar) if !self.is_expression() => Some(scalar),
            _ => None,
        }
    }

    /// Whether this is an expression instead of a value.
    pub(super) fn is_expression(&self) -> bool {
        self.tag.as_deref() == Some(EXPRESSION)
    }

    /// The same value as JSON, without tags. The key that stands first wins.
    pub(super) fn to_json(&self) -> serde_json::Value {
        match &self.value {
            Value::Null => serde_json::Value::Null,
            Value::Scalar(scalar) => serde_json::to_value(scalar).unwrap_or_default(),
            Value::List(elements) => elements.iter().map(Node::to_json).collect(),
            Value::Table(entries) => {
                let mut table = serde_json::Map::new();
                for entry in entries {
                    table.entry(entry.key.clone()).or_insert_with(|| entry.node.to_json());
                }
                table.into()
            }
        }
    }
}
