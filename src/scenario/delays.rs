//! How distributions of durations are written and checked.

use super::bounds::positive;
use super::fingerprint::Fingerprint;
use super::manifest::Used;
use super::place::{Checked, Place};
use super::raw_delay as raw;
use super::trace::Source;
use super::units::{Number, Span, Table};
use crate::distribution::{Delay, Distribution};
use std::path::Path;
use std::sync::Arc;

/// The files that a scenario names.
pub(super) struct Sources<'a> {
    /// Where relative paths begin.
    pub(super) folder: &'a Path,
    /// Of all that was read so far.
    pub(super) fingerprint: Fingerprint,
    /// The workloads of real orchestrators' files that strategies take their settings from.
    pub(super) manifests: Vec<Used>,
}

impl Sources<'_> {
    /// The file under this path.
    pub(super) fn source(&mut self, path: &str) -> Source<'_> {
        Source { path: self.folder.join(path), fingerprint: &mut self.fingerprint }
    }
}

/// A delay at a place.
pub(super) fn delay(place: &Place, delay: raw::Delay, sources: &mut Sources<'_>) -> Checked<Delay> {
    match delay {
        raw::Delay::Fixed(Span(span)) => Ok(Delay::Fixed(span)),
        raw::Delay::Drawn(drawn) => distribution(place, drawn, sources).map(Delay::Drawn),
    }
}

/// A delay that may be left out: none then.
pub(super) fn delay_or_none(place: &Place, written: Option<raw::Delay>, sources: &mut Sources<'_>) -> Checked<Delay> {
    written.map_or(Ok(Delay::NONE), |written| delay(place, written, sources))
}

fn distribution(place: &Place, drawn: raw::Distribution, sources: &mut Sources<'_>) -> Checked<Distribution> {
    match drawn {
        raw::Distribution::Uniform(Table(raw::Uniform { low, high })) => {
            place.key("uniform").key("high").holds(low < high, "must exceed low")?;
            Ok(Distribution::Uniform { low: low.0.as_secs_f64(), high: high.0.as_secs_f64() })
        }
        raw::Distribution::Exponential(Table(raw::Exponential { mean })) => {
            let mean = positive_s(&place.key("exponential").key("mean"), mean)?;
            Ok(Distribution::Exponential { mean })
        }
        raw::Distribution::Hyperexponential(Table(raw::Hyperexponential { mean, scv })) => {
            let place = place.key("hyperexponential");
            let mean = positive_s(&place.key("mean"), mean)?;
            place.key("scv").holds((1.001..=1e6).contains(&scv.0), "must be from 1.001 to 1,000,000")?;
            Ok(Distribution::balanced_hyperexponential(mean, scv.0))
        }
        raw::Distribution::LogNormal(Table(raw::LogNormal { median, p95 })) => {
            let place = place.key("lognormal");
            let median_s = positive_s(&place.key("median"), median)?;
            place.key("p95").holds(median < p95, "must exceed the median")?;
            Ok(Distribution::log_normal(median_s, p95.0.as_secs_f64()))
        }
        raw::Distribution::Gamma(Table(raw::Gamma { shape, mean })) => {
            let place = place.key("gamma");
            let shape = shape_within(&place.key("shape"), shape)?;
            let mean = positive_s(&place.key("mean"), mean)?;
            Ok(Distribution::Gamma { shape, scale: mean / shape })
        }
        raw::Distribution::Weibull(Table(raw::Weibull { shape, scale })) => {
            let place = place.key("weibull");
            let shape = shape_within(&place.key("shape"), shape)?;
            let scale = positive_s(&place.key("scale"), scale)?;
            Ok(Distribution::Weibull { shape, scale })
        }
        raw::Distribution::Pareto(Table(raw::Pareto { minimum, shape })) => {
            let place = place.key("pareto");
            let minimum = positive_s(&place.key("minimum"), minimum)?;
            let shape = shape_within(&place.key("shape"), shape)?;
            Ok(Distribution::Pareto { minimum, shape })
        }
        raw::Distribution::Empirical(path) => {
            place.key("empirical").holds(!path.is_empty(), "must be the path of a CSV file")?;
            let durations = place.key("empirical").reading(sources.source(&path).read_durations())?;
            Ok(Distribution::Empirical(Arc::from(durations)))
        }
    }
}

fn positive_s(place: &Place, span: Span) -> Checked<f64> {
    positive(place, span).map(|span| span.as_secs_f64())
}

/// Beyond these bounds a draw would be 0 or endless for want of digits.
fn shape_within(place: &Place, shape: Number) -> Checked<f64> {
    place.holds((0.01..=1e6).contains(&shape.0), "must be from 0.01 to 1,000,000")?;
    Ok(shape.0)
}
