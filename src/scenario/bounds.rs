//! Bounds on single values: each function turns a written value into its checked form.

use super::place::{Checked, Place};
use super::units::{Count, Number, Share, Span};
use std::num::NonZeroU32;
use std::ops::RangeInclusive;
use std::time::Duration;

/// The highest factor on the work of a request.
const HIGHEST_FACTOR: f64 = 1e6;

/// A duration that is not 0.
pub(super) fn positive(place: &Place, span: Span) -> Checked<Duration> {
    place.holds(!span.0.is_zero(), "must exceed 0")?;
    Ok(span.0)
}

/// A count between bounds that themselves count.
pub(super) fn count(place: &Place, count: Count, bounds: RangeInclusive<u32>) -> Checked<u32> {
    let within = u32::try_from(count.0).ok().filter(|count| bounds.contains(count));
    within
        .ok_or_else(|| place.breaks(format!("must be from {} to {}", grouped(*bounds.start()), grouped(*bounds.end()))))
}

/// A count from 1 to a bound.
pub(super) fn at_least_one(place: &Place, written: Count, most: u32) -> Checked<NonZeroU32> {
    let count = count(place, written, 1..=most)?;
    Ok(NonZeroU32::new(count).expect("the bounds begin at 1"))
}

/// A factor on the work of a request, or on a rate.
pub(super) fn factor(place: &Place, number: Number) -> Checked<f64> {
    let holds = number.0 > 0.0 && number.0 <= HIGHEST_FACTOR;
    place.holds(holds, "must be above 0 and at most 1,000,000")?;
    Ok(number.0)
}

/// A duration that may be left out.
pub(super) fn span_or(span: Option<Span>, default: Duration) -> Duration {
    span.map_or(default, |span| span.0)
}

/// A share that may be left out.
pub(super) fn share_or(share: Option<Share>, default: f64) -> f64 {
    share.map_or(default, |share| share.0)
}

/// A number with its thousands set apart.
fn grouped(number: u32) -> String {
    let digits = number.to_string();
    let mut text = String::new();
    for (place, digit) in digits.chars().enumerate() {
        if place > 0 && (digits.len() - place).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::grouped;

    #[test]
    fn thousands_are_set_apart() {
        let numbers = [0, 100, 1000, 10_000_000];
        assert_eq!(numbers.map(grouped), ["0", "100", "1,000", "10,000,000"]);
    }
}
