//! How delays are written: a duration, or a distribution by its name. The comments are the descriptions of the
//! published schema.

use super::units::{Number, Span, Table};
use schemars::JsonSchema;
use serde::Deserialize;
use serde::de::{Deserializer, Error, IgnoredAny, MapAccess, Visitor};
use std::fmt;

/// How long something takes: a duration, always the same, or a distribution.
#[derive(Debug, JsonSchema)]
#[schemars(untagged)]
pub(super) enum Delay {
    /// Always the same.
    Fixed(Span),
    /// Drawn anew each time.
    Drawn(Distribution),
}

/// A distribution of durations, by its name.
#[derive(Debug, JsonSchema)]
#[schemars(rename_all = "lowercase")]
pub(super) enum Distribution {
    /// Equally likely between two bounds.
    Uniform(Table<Uniform>),
    /// Memoryless.
    Exponential(Table<Exponential>),
    /// Mostly short, at times long: one of two exponentials that contribute equally to the mean.
    Hyperexponential(Table<Hyperexponential>),
    /// The logarithm is normal.
    LogNormal(Table<LogNormal>),
    /// Sums of exponentials.
    Gamma(Table<Gamma>),
    /// Ageing (shape above 1) or maturing (below 1).
    Weibull(Table<Weibull>),
    /// A heavy tail.
    Pareto(Table<Pareto>),
    /// What was measured: a CSV file with a header and one column of seconds, relative to the scenario file.
    Empirical(String),
}

/// Equally likely between two bounds.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Uniform {
    /// Lower bound.
    pub low: Span,
    /// Upper bound.
    pub high: Span,
}

/// Memoryless.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Exponential {
    /// Mean.
    pub mean: Span,
}

/// Mostly short, at times long.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Hyperexponential {
    /// Mean.
    pub mean: Span,
    /// Variance ÷ mean², above 1; at 1 it would be an exponential.
    #[schemars(range(min = 1.001, max = 1_000_000))]
    pub scv: Number,
}

/// The logarithm is normal.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct LogNormal {
    /// Median.
    pub median: Span,
    /// 95 % quantile.
    pub p95: Span,
}

/// Sums of exponentials.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Gamma {
    /// Shape; the coefficient of variation is 1 / √shape.
    #[schemars(range(min = 0.01, max = 1_000_000))]
    pub shape: Number,
    /// Mean.
    pub mean: Span,
}

/// Ageing (shape above 1) or maturing (below 1).
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Weibull {
    /// Shape.
    #[schemars(range(min = 0.01, max = 1_000_000))]
    pub shape: Number,
    /// Scale: the 63.2 % quantile.
    pub scale: Span,
}

/// A heavy tail.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Pareto {
    /// Smallest value.
    pub minimum: Span,
    /// Tail index; at 1 or below the mean is infinite.
    #[schemars(range(min = 0.01, max = 1_000_000))]
    pub shape: Number,
}

/// The names of distributions, as a table's only key.
#[derive(Deserialize)]
#[serde(field_identifier, rename_all = "lowercase")]
enum Kind {
    Uniform,
    Exponential,
    Hyperexponential,
    LogNormal,
    Gamma,
    Weibull,
    Pareto,
    Empirical,
}

impl<'de> Deserialize<'de> for Delay {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct FixedOrDrawn;
        impl<'de> Visitor<'de> for FixedOrDrawn {
            type Value = Delay;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(r#"a duration such as "30s", or a distribution such as { exponential = { mean = "30s" } }"#)
            }
            fn visit_str<E: Error>(self, text: &str) -> Result<Delay, E> {
                Span::deserialize(serde::de::value::StrDeserializer::new(text)).map(Delay::Fixed)
            }
            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Delay, A::Error> {
                let exactly_one = || A::Error::custom("must name exactly one distribution");
                let distribution = match map.next_key::<Kind>()?.ok_or_else(exactly_one)? {
                    Kind::Uniform => Distribution::Uniform(map.next_value()?),
                    Kind::Exponential => Distribution::Exponential(map.next_value()?),
                    Kind::Hyperexponential => Distribution::Hyperexponential(map.next_value()?),
                    Kind::LogNormal => Distribution::LogNormal(map.next_value()?),
                    Kind::Gamma => Distribution::Gamma(map.next_value()?),
                    Kind::Weibull => Distribution::Weibull(map.next_value()?),
                    Kind::Pareto => Distribution::Pareto(map.next_value()?),
                    Kind::Empirical => Distribution::Empirical(map.next_value()?),
                };
                match map.next_key::<IgnoredAny>()? {
                    Some(_) => Err(exactly_one()),
                    None => Ok(Delay::Drawn(distribution)),
                }
            }
        }
        deserializer.deserialize_any(FixedOrDrawn)
    }
}
