//! How single values are written in a scenario file: durations, shares, counts, numbers and words.
//!
//! Each type reads itself and, where it cannot, says what must hold. Bounds that depend on the field are not known
//! here.

use crate::rollout::kubernetes::Bound;
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::de::value::{MapAccessDeserializer, StrDeserializer};
use serde::de::{Deserialize, Deserializer, Error, MapAccess, Visitor};
use std::borrow::Cow;
use std::fmt;
use std::marker::PhantomData;
use std::time::Duration;

/// The longest duration that can be written.
pub(super) const LONGEST: Duration = Duration::from_hours(366 * 24);

/// What a written duration must be.
const A_SPAN: &str = r#"a duration such as "250ms", "30s" or "5m""#;

/// What a written share must be.
const A_SHARE: &str = r#"a share such as "25%""#;

/// What a written count or share must be.
const A_BOUND: &str = r#"a count, or a whole percentage such as "25%""#;

/// The largest count or percentage that Kubernetes can hold.
const LARGEST_BOUND: u32 = i32::MAX as u32;

/// A duration such as `"1m 30s"`, at most 366 days.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Span(pub(super) Duration);

impl Span {
    fn read(text: &str) -> Result<Self, String> {
        let is_written_well = has_units(text) && text.len() <= 100;
        let span = humantime::parse_duration(text).ok().filter(|_| is_written_well);
        match span {
            Some(span) if span > LONGEST => Err("must be at most 366 days".to_owned()),
            Some(span) => Ok(Span(span)),
            None => Err(format!("must be {A_SPAN}")),
        }
    }
}

/// Whether there is a unit, and no two numbers stand side by side: humantime reads `"0"` as no time and `"1 2s"` as
/// 12 s.
fn has_units(text: &str) -> bool {
    let is_number = |word: &str| word.chars().all(|c| c.is_ascii_digit() || c == '.');
    let words: Vec<&str> = text.split_whitespace().collect();
    let followed_by_unit =
        |place: usize| words.get(place + 1).is_some_and(|next| next.starts_with(|c: char| !c.is_ascii_digit()));
    words.iter().enumerate().all(|(place, word)| !is_number(word) || followed_by_unit(place))
}

/// A share such as `"99.95%"`, 0 to 1.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Share(pub(super) f64);

impl Share {
    fn read(text: &str) -> Result<Self, String> {
        let digits = text.strip_suffix('%').filter(|digits| is_decimal(digits));
        // The exponent shifts the point before anything is rounded: 99.95 / 100 need not be the nearest number to
        // 0.9995.
        let share = digits.and_then(|digits| format!("{digits}e-2").parse().ok());
        match share {
            Some(share) if share > 1.0 => Err("must be at most 100%".to_owned()),
            Some(share) => Ok(Share(share)),
            None => Err(format!("must be {A_SHARE}")),
        }
    }
}

/// Whether these are digits, with at most one point that has digits on both sides.
fn is_decimal(text: &str) -> bool {
    let is_whole = |part: &str| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit());
    match text.split_once('.') {
        Some((whole, fraction)) => is_whole(whole) && is_whole(fraction),
        None => is_whole(text),
    }
}

/// A count such as `3`, or a whole percentage such as `"25%"`, in Kubernetes' own notation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct CountOrShare(pub(super) Bound);

impl CountOrShare {
    fn within(value: Option<u32>, bound: fn(u32) -> Bound) -> Result<Self, String> {
        let value = value.filter(|value| *value <= LARGEST_BOUND);
        value.map(|value| CountOrShare(bound(value))).ok_or_else(|| "must be at most 2,147,483,647".to_owned())
    }

    fn read(text: &str) -> Result<Self, String> {
        match text.strip_suffix('%') {
            Some(digits) if is_decimal(digits) && !digits.contains('.') => {
                CountOrShare::within(digits.parse().ok(), Bound::Percent)
            }
            _ => Err(format!("must be {A_BOUND}")),
        }
    }

    fn count(count: u64) -> Result<Self, String> {
        CountOrShare::within(u32::try_from(count).ok(), Bound::Count)
    }
}

/// A whole number, 0 or more.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Count(pub(super) u64);

/// A finite number, whole or not.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Number(pub(super) f64);

impl Number {
    fn read(number: f64) -> Result<Self, String> {
        if number.is_finite() { Ok(Number(number)) } else { Err("must be finite".to_owned()) }
    }
}

/// Implements reading of a leaf: what it must be, and how each kind of value is turned into it.
macro_rules! leaf {
    ($name:ident, $what:expr, { $($visit:ident($value:ident: $kind:ty) => $read:expr),+ $(,)? }) => {
        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                struct Leaf;
                impl Visitor<'_> for Leaf {
                    type Value = $name;
                    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                        f.write_str($what)
                    }
                    $(fn $visit<E: Error>(self, $value: $kind) -> Result<$name, E> {
                        $read.map_err(E::custom)
                    })+
                }
                deserializer.deserialize_any(Leaf)
            }
        }
    };
}

leaf!(Span, A_SPAN, { visit_str(text: &str) => Span::read(text) });
leaf!(Share, A_SHARE, { visit_str(text: &str) => Share::read(text) });
leaf!(CountOrShare, A_BOUND, {
    visit_str(text: &str) => CountOrShare::read(text),
    visit_u64(count: u64) => CountOrShare::count(count),
    visit_i64(count: i64) => u64::try_from(count).map_err(|_| format!("must be {A_BOUND}")).and_then(CountOrShare::count),
});
leaf!(Count, "a whole number, 0 or more", {
    visit_u64(count: u64) => Ok::<Count, &str>(Count(count)),
    visit_i64(count: i64) => u64::try_from(count).map(Count).map_err(|_| "must be a whole number, 0 or more"),
});
leaf!(Number, "a number", {
    visit_u64(number: u64) => Number::read(number as f64),
    visit_i64(number: i64) => Number::read(number as f64),
    visit_f64(number: f64) => Number::read(number),
});

/// Implements the schema of a leaf.
macro_rules! leaf_schema {
    ($name:ident, $schema:tt) => {
        impl JsonSchema for $name {
            fn inline_schema() -> bool {
                true
            }
            fn schema_name() -> Cow<'static, str> {
                stringify!($name).into()
            }
            fn json_schema(_: &mut SchemaGenerator) -> Schema {
                json_schema!($schema)
            }
        }
    };
}

leaf_schema!(Span, {
    "type": "string",
    "pattern": r"^\s*([0-9]+(\.[0-9]+)?\s*[A-Za-zµ]+\s*)+$",
    "examples": ["250ms", "30s", "5m", "1h 30m"]
});
leaf_schema!(Share, { "type": "string", "pattern": r"^[0-9]+(\.[0-9]+)?%$", "examples": ["25%", "99.95%"] });
leaf_schema!(CountOrShare, {
    "type": ["integer", "string"],
    "minimum": 0,
    "pattern": "^[0-9]+%$",
    "examples": [1, "25%"]
});
leaf_schema!(Count, { "type": "integer", "minimum": 0 });
leaf_schema!(Number, { "type": "number" });

/// A table: unlike a bare struct it cannot be written as a list of values without names.
#[derive(Clone, Debug)]
pub(super) struct Table<T>(pub(super) T);

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Table<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Entries<T>(PhantomData<T>);
        impl<'de, T: Deserialize<'de>> Visitor<'de> for Entries<T> {
            type Value = Table<T>;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a table")
            }
            fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Table<T>, A::Error> {
                T::deserialize(MapAccessDeserializer::new(map)).map(Table)
            }
        }
        deserializer.deserialize_any(Entries(PhantomData))
    }
}

impl<T: JsonSchema> JsonSchema for Table<T> {
    fn inline_schema() -> bool {
        T::inline_schema()
    }
    fn schema_name() -> Cow<'static, str> {
        T::schema_name()
    }
    fn schema_id() -> Cow<'static, str> {
        T::schema_id()
    }
    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        T::json_schema(generator)
    }
}

/// A word, or a table for what needs settings.
#[derive(Clone, Debug)]
pub(super) enum WordOr<W, T> {
    /// One without settings.
    Word(W),
    /// One with settings.
    Table(Table<T>),
}

/// A table that can stand in place of a word.
pub(super) trait Tabled {
    /// What must be written.
    const WHAT: &'static str;
}

impl<'de, W: Deserialize<'de>, T: Deserialize<'de> + Tabled> Deserialize<'de> for WordOr<W, T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Either<W, T>(PhantomData<(W, T)>);
        impl<'de, W: Deserialize<'de>, T: Deserialize<'de> + Tabled> Visitor<'de> for Either<W, T> {
            type Value = WordOr<W, T>;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(T::WHAT)
            }
            fn visit_str<E: Error>(self, word: &str) -> Result<WordOr<W, T>, E> {
                W::deserialize(StrDeserializer::new(word)).map(WordOr::Word)
            }
            fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<WordOr<W, T>, A::Error> {
                Table::deserialize(MapAccessDeserializer::new(map)).map(WordOr::Table)
            }
        }
        deserializer.deserialize_any(Either(PhantomData))
    }
}

impl<W: JsonSchema, T: JsonSchema> JsonSchema for WordOr<W, T> {
    fn inline_schema() -> bool {
        true
    }
    fn schema_name() -> Cow<'static, str> {
        format!("{}Or{}", W::schema_name(), T::schema_name()).into()
    }
    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        json_schema!({ "anyOf": [generator.subschema_for::<W>(), generator.subschema_for::<T>()] })
    }
}

/// Tables under names that the author chose, in the order of the file.
#[derive(Clone, Debug)]
pub(super) struct Named<T>(pub(super) Vec<(String, T)>);

impl<T> Default for Named<T> {
    fn default() -> Self {
        Named(Vec::new())
    }
}

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Named<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Entries<T>(PhantomData<T>);
        impl<'de, T: Deserialize<'de>> Visitor<'de> for Entries<T> {
            type Value = Named<T>;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a table")
            }
            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Named<T>, A::Error> {
                let mut entries = Vec::new();
                while let Some(name) = map.next_key::<String>()? {
                    let Table(entry) = map.next_value()?;
                    entries.push((name, entry));
                }
                Ok(Named(entries))
            }
        }
        deserializer.deserialize_any(Entries(PhantomData))
    }
}

impl<T: JsonSchema> JsonSchema for Named<T> {
    fn inline_schema() -> bool {
        true
    }
    fn schema_name() -> Cow<'static, str> {
        format!("Named{}", T::schema_name()).into()
    }
    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": "object", "additionalProperties": generator.subschema_for::<T>() })
    }
}

/// Declares a choice among words, each standing for a value; what is read is that value.
macro_rules! words {
    ($(#[doc = $doc:literal])+ $name:ident: $value:ty { $($word:literal => $stands_for:expr),+ $(,)? }) => {
        $(#[doc = $doc])+
        #[derive(Clone, Copy, Debug)]
        pub(in crate::scenario) struct $name(pub(in crate::scenario) $value);

        impl $name {
            const WORDS: &'static [&'static str] = &[$($word),+];

            fn read(word: &str) -> Result<Self, String> {
                match word {
                    $($word => Ok($name($stands_for)),)+
                    _ => Err(format!("must be {}", $crate::scenario::units::one_of(Self::WORDS))),
                }
            }
        }

        impl<'de> serde::Deserialize<'de> for $name {
            fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                struct Word;
                impl serde::de::Visitor<'_> for Word {
                    type Value = $name;
                    fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                        f.write_str(&$crate::scenario::units::one_of($name::WORDS))
                    }
                    fn visit_str<E: serde::de::Error>(self, word: &str) -> Result<$name, E> {
                        $name::read(word).map_err(E::custom)
                    }
                }
                deserializer.deserialize_any(Word)
            }
        }

        impl schemars::JsonSchema for $name {
            fn inline_schema() -> bool {
                true
            }
            fn schema_name() -> std::borrow::Cow<'static, str> {
                stringify!($name).into()
            }
            fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
                schemars::json_schema!({ "type": "string", "enum": Self::WORDS })
            }
        }
    };
}
pub(super) use words;

/// `"a"`, `"a" or "b"`, `one of "a", "b", "c"`.
pub(super) fn one_of(words: &[&str]) -> String {
    let quoted: Vec<String> = words.iter().map(|word| format!("{word:?}")).collect();
    match quoted.as_slice() {
        [first, second] => format!("{first} or {second}"),
        [only] => only.clone(),
        several => format!("one of {}", several.join(", ")),
    }
}

/// The name that was probably meant: the nearest one, if no more than a third of it is different.
pub(super) fn nearest<'a>(written: &str, names: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let alike = |name: &str| name.len().abs_diff(written.len()) * 3 <= name.len();
    let candidates = names.into_iter().filter(|name| alike(name));
    let (distance, name) = candidates.map(|name| (strsim::osa_distance(written, name), name)).min_by_key(|it| it.0)?;
    (distance * 3 <= name.chars().count()).then_some(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spans_are_written_with_units() {
        let millis = |text: &str| Span::read(text).map(|span| span.0.as_millis());
        let unlike = Err(r#"must be a duration such as "250ms", "30s" or "5m""#.to_owned());
        for (text, then) in [
            ("250ms", Ok(250)),
            ("1m 30s", Ok(90_000)),
            ("1m30s", Ok(90_000)),
            ("30 s", Ok(30_000)),
            ("1.5s", Ok(1_500)),
            ("0s", Ok(0)),
            ("366d", Ok(366 * 86_400_000)),
            ("366d 1ns", Err("must be at most 366 days".to_owned())),
            ("999999999999999999y", unlike.clone()),
            ("0", unlike.clone()),
            ("30", unlike.clone()),
            ("1 2s", unlike.clone()),
            ("-5s", unlike.clone()),
            ("30 parsecs", unlike.clone()),
            ("", unlike.clone()),
        ] {
            assert_eq!(millis(text), then, "{text}");
        }
    }

    #[test]
    fn shares_are_the_nearest_numbers() {
        let unlike = Err(r#"must be a share such as "25%""#.to_owned());
        for (text, then) in [
            ("25%", Ok(Share(0.25))),
            ("99.95%", Ok(Share(0.9995))),
            ("0%", Ok(Share(0.0))),
            ("100%", Ok(Share(1.0))),
            ("100.01%", Err("must be at most 100%".to_owned())),
            ("0.25", unlike.clone()),
            ("-1%", unlike.clone()),
            (".5%", unlike.clone()),
            ("1e1%", unlike.clone()),
            ("NaN%", unlike.clone()),
            ("%", unlike.clone()),
        ] {
            assert_eq!(Share::read(text), then, "{text}");
        }
    }

    #[test]
    fn bounds_are_counts_or_whole_percentages() {
        let unlike = Err(r#"must be a count, or a whole percentage such as "25%""#.to_owned());
        for (text, then) in [
            ("25%", Ok(CountOrShare(Bound::Percent(25)))),
            ("250%", Ok(CountOrShare(Bound::Percent(250)))),
            ("2147483648%", Err("must be at most 2,147,483,647".to_owned())),
            ("99999999999999999999%", Err("must be at most 2,147,483,647".to_owned())),
            ("2.5%", unlike.clone()),
            ("3", unlike.clone()),
        ] {
            assert_eq!(CountOrShare::read(text), then, "{text}");
        }
    }

    #[test]
    fn the_nearest_name_is_near() {
        let names = ["max_surge", "max_unavailable", "queue"];
        for (written, then) in [
            ("max_srge", Some("max_surge")),
            ("maxSurge", Some("max_surge")),
            ("maxUnavailable", Some("max_unavailable")),
            ("qeueu", None),
            ("queu", Some("queue")),
            ("workers", None),
        ] {
            assert_eq!(nearest(written, names), then, "{written}");
        }
    }
}
