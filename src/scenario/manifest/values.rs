//! How single values are written in manifests: counts, shares, durations, words.

use super::tree::Scalar;
use crate::rollout::kubernetes::Bound;
use crate::scenario::units::one_of;
use std::fmt;
use std::time::Duration;

/// The largest count that an orchestrator's 32 bits hold.
const LARGEST: i64 = i32::MAX as i64;

const A_COUNT: &str = "must be a whole number from 0 to 2,147,483,647";

/// A count. A text of digits is none.
pub(super) fn count(scalar: &Scalar) -> Result<u32, String> {
    match scalar {
        Scalar::Whole(number) if (0..=LARGEST).contains(number) => Ok(*number as u32),
        _ => Err(A_COUNT.to_owned()),
    }
}

/// A count, in quotes or not.
pub(super) fn loose_count(scalar: &Scalar) -> Result<u32, String> {
    match scalar {
        Scalar::Text(text) => {
            let whole = text.parse().ok().filter(|_| text.bytes().all(|byte| byte.is_ascii_digit()));
            whole.ok_or_else(|| A_COUNT.to_owned()).and_then(|number| count(&Scalar::Whole(number)))
        }
        other => count(other),
    }
}

/// Yes or no.
pub(super) fn boolean(scalar: &Scalar) -> Result<bool, String> {
    if let Scalar::Bool(yes) = scalar { Ok(*yes) } else { Err("must be true or false".to_owned()) }
}

/// Yes or no, in quotes or not.
pub(super) fn loose_boolean(scalar: &Scalar) -> Result<bool, String> {
    match scalar {
        Scalar::Text(text) if text == "true" => Ok(true),
        Scalar::Text(text) if text == "false" => Ok(false),
        other => boolean(other),
    }
}

/// What one of several words stands for.
pub(super) fn meaning<T: Copy>(scalar: &Scalar, words: &[(&str, T)]) -> Result<T, String> {
    let known = if let Scalar::Text(text) = scalar { words.iter().find(|(word, _)| word == text) } else { None };
    let all = || words.iter().map(|(word, _)| *word).collect::<Vec<_>>();
    known.map(|(_, meaning)| *meaning).ok_or_else(|| format!("must be {}", one_of(&all())))
}

/// One of several words.
pub(super) fn word(scalar: &Scalar, words: &[&'static str]) -> Result<&'static str, String> {
    meaning(scalar, &words.iter().map(|word| (*word, *word)).collect::<Vec<_>>())
}

/// A count, or a whole percentage (`IntOrString` of Kubernetes).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CountOrPercent(pub Bound);

impl fmt::Display for CountOrPercent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Bound::Count(count) => write!(f, "{count}"),
            Bound::Percent(percent) => write!(f, "{percent}%"),
        }
    }
}

impl CountOrPercent {
    /// As it would be written.
    pub(super) fn scalar(self) -> Scalar {
        match self.0 {
            Bound::Count(count) => Scalar::Whole(count.into()),
            Bound::Percent(_) => Scalar::Text(self.to_string()),
        }
    }
}

/// A count, or a whole percentage.
pub(super) fn count_or_percent(scalar: &Scalar) -> Result<CountOrPercent, String> {
    const WHAT: &str = "must be a count, or a whole percentage such as \"25%\"";
    let bound = match scalar {
        Scalar::Text(text) => text.parse().ok(),
        other => count(other).ok().map(Bound::Count),
    };
    bound.map(CountOrPercent).ok_or_else(|| WHAT.to_owned())
}

/// A length of time, whose text is its seconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Seconds(pub Duration);

impl Seconds {
    /// So many whole seconds.
    pub(super) const fn whole(seconds: u64) -> Self {
        Seconds(Duration::from_secs(seconds))
    }

    /// The number of seconds, whole if it is.
    pub(super) fn scalar(self) -> Scalar {
        Scalar::number(self.0.as_secs_f64())
    }
}

impl fmt::Display for Seconds {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}s", self.scalar())
    }
}

/// A whole number of seconds.
pub(super) fn seconds(scalar: &Scalar) -> Result<Seconds, String> {
    count(scalar).map(|count| Seconds::whole(count.into()))
}

/// A whole number of seconds, in quotes or not.
pub(super) fn loose_seconds(scalar: &Scalar) -> Result<Seconds, String> {
    loose_count(scalar).map(|count| Seconds::whole(count.into()))
}

const A_DURATION: &str = "must be a duration such as \"10s\" or \"1m30s\"";

/// A duration in Go's notation.
pub(super) fn duration(scalar: &Scalar) -> Result<Seconds, String> {
    let span = if let Scalar::Text(text) = scalar { go_duration(text) } else { None };
    span.map(Seconds).ok_or_else(|| A_DURATION.to_owned())
}

/// A duration in Go's notation, or whole seconds.
pub(super) fn duration_or_seconds(scalar: &Scalar) -> Result<Seconds, String> {
    loose_seconds(scalar).or_else(|_| duration(scalar))
}

/// A duration in Go's notation, or whole nanoseconds.
pub(super) fn duration_or_nanoseconds(scalar: &Scalar) -> Result<Seconds, String> {
    match scalar {
        Scalar::Whole(number) => {
            let nanoseconds = u64::try_from(*number).map_err(|_| A_DURATION.to_owned())?;
            Ok(Seconds(Duration::from_nanos(nanoseconds)))
        }
        other => duration(other),
    }
}

/// What Go's `time.ParseDuration` makes of a text, as long as it is not negative: numbers with a unit each, or 0.
fn go_duration(text: &str) -> Option<Duration> {
    let mut rest = text.strip_prefix('+').unwrap_or(text);
    if rest == "0" {
        return Some(Duration::ZERO);
    }
    let mut seconds = 0.0;
    loop {
        let digits = rest.find(|c: char| !c.is_ascii_digit() && c != '.')?;
        let number: f64 = rest[..digits].parse().ok()?;
        rest = &rest[digits..];
        let unit = rest.find(|c: char| c.is_ascii_digit() || c == '.').unwrap_or(rest.len());
        seconds += number * seconds_of(&rest[..unit])?;
        rest = &rest[unit..];
        if rest.is_empty() {
            // Nanoseconds are what Go counts in; sums of decimal fractions miss them by far less than one.
            let nanoseconds = (seconds * 1e9).round();
            return (nanoseconds < i64::MAX as f64).then(|| Duration::from_nanos(nanoseconds as u64));
        }
    }
}

fn seconds_of(unit: &str) -> Option<f64> {
    match unit {
        "ns" => Some(1e-9),
        "us" | "µs" | "μs" => Some(1e-6),
        "ms" => Some(1e-3),
        "s" => Some(1.0),
        "m" => Some(60.0),
        "h" => Some(3600.0),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_read_as_go_reads_them() {
        for (text, then) in [
            ("1m30s", Some(90_000_000_000)),
            ("1.5h", Some(5_400_000_000_000)),
            ("250ms", Some(250_000_000)),
            ("1h2m3s4ms5us6ns", Some(3_723_004_005_006)),
            ("0", Some(0)),
            ("0s", Some(0)),
            ("10", None),
            ("1d", None),
            ("-1s", None),
            ("s", None),
            ("1.2.3s", None),
            ("", None),
            ("99999999999999999999h", None),
        ] {
            assert_eq!(go_duration(text).map(|span| span.as_nanos()), then, "{text}");
        }
    }

    #[test]
    fn counts_and_percentages_keep_apart() {
        let text = |text: &str| count_or_percent(&Scalar::Text(text.to_owned())).map(|bound| bound.0);
        assert_eq!(text("25%"), Ok(Bound::Percent(25)));
        assert_eq!(count_or_percent(&Scalar::Whole(3)).map(|bound| bound.0), Ok(Bound::Count(3)));
        for wrong in ["25", "%", "-1%", "1.5%", "maxSurgeValue", ""] {
            assert!(text(wrong).is_err(), "{wrong}");
        }
        assert!(count_or_percent(&Scalar::Whole(-1)).is_err());
    }
}
