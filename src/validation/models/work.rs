//! How points write distributions of times: "exp mean 1", "lognormal mean 1 SCV 4", "H2 SCV 4", "deterministic 1".

use super::draft::span;

/// How a time is distributed.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Law {
    Fixed,
    Exponential,
    Hyperexponential { scv: f64 },
    LogNormal { scv: f64 },
    Gamma { scv: f64 },
}

/// A time with its distribution.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Work {
    law: Law,
    /// Seconds.
    pub(super) mean: f64,
}

/// The 95 % quantile of the standard normal distribution.
const Z95: f64 = 1.644_853_626_951_472_7;

impl Work {
    /// Always the same.
    pub(super) fn fixed(mean: f64) -> Self {
        Work { law: Law::Fixed, mean }
    }

    /// Memoryless.
    pub(super) fn exponential(mean: f64) -> Self {
        Work { law: Law::Exponential, mean }
    }

    /// What a text says, in units of so many seconds; `None` where it says something else.
    pub(super) fn read(text: &str, unit_s: f64) -> Option<Self> {
        let text = text.to_lowercase();
        let words: Vec<&str> =
            text.split(|c: char| c.is_whitespace() || c == ',' || c == '=').filter(|word| !word.is_empty()).collect();
        let after = |name: &str| {
            let place = words.iter().position(|word| *word == name)?;
            words.get(place + 1)?.parse::<f64>().ok()
        };
        let number = words.get(1).and_then(|word| word.parse().ok());
        let mean = after("mean").or(number).unwrap_or(1.0) * unit_s;
        let scv = after("scv");
        let law = match *words.first()? {
            "deterministic" | "constant" | "fixed" | "det" => Law::Fixed,
            "exp" | "exponential" => Law::Exponential,
            "h2" | "hyperexponential" => Law::Hyperexponential { scv: scv.filter(|scv| *scv > 1.0)? },
            "lognormal" => Law::LogNormal { scv: scv.filter(|scv| *scv > 0.0)? },
            "gamma" => Law::Gamma { scv: scv.filter(|scv| *scv > 0.0)? },
            _ => return None,
        };
        (mean > 0.0 && mean.is_finite()).then_some(Work { law, mean })
    }

    /// The same with another mean.
    pub(super) fn with_mean(self, mean: f64) -> Self {
        Work { mean, ..self }
    }

    /// Variance ÷ mean².
    pub(super) fn scv(&self) -> f64 {
        match self.law {
            Law::Fixed => 0.0,
            Law::Exponential => 1.0,
            Law::Hyperexponential { scv } | Law::LogNormal { scv } | Law::Gamma { scv } => scv,
        }
    }

    /// How it is written in a scenario file.
    pub(super) fn written(&self) -> String {
        let mean = span(self.mean);
        match self.law {
            Law::Fixed => mean,
            Law::Exponential => format!("{{ exponential = {{ mean = {mean} }} }}"),
            Law::Hyperexponential { scv } => format!("{{ hyperexponential = {{ mean = {mean}, scv = {scv} }} }}"),
            Law::Gamma { scv } => format!("{{ gamma = {{ shape = {}, mean = {mean} }} }}", 1.0 / scv),
            Law::LogNormal { scv } => {
                // The logarithm has the variance ln(1 + scv), and the mean is median × exp(variance / 2).
                let deviation = libm::sqrt(libm::log1p(scv));
                let median = self.mean / libm::sqrt(1.0 + scv);
                let p95 = median * libm::exp(Z95 * deviation);
                format!("{{ lognormal = {{ median = {}, p95 = {} }} }}", span(median), span(p95))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn distributions_are_read_as_points_write_them() {
        for (text, law, mean) in [
            ("deterministic 1", Law::Fixed, 1.0),
            ("deterministic 1.25", Law::Fixed, 1.25),
            ("exp mean 2", Law::Exponential, 2.0),
            ("H2 SCV 4", Law::Hyperexponential { scv: 4.0 }, 1.0),
            ("lognormal mean 1 SCV 2", Law::LogNormal { scv: 2.0 }, 1.0),
            ("gamma mean 3, SCV 0.5", Law::Gamma { scv: 0.5 }, 3.0),
        ] {
            assert_eq!(Work::read(text, 1.0), Some(Work { law, mean }), "{text}");
        }
        for text in ["", "H2", "H2 SCV 1", "lognormal mean 1", "zeta mean 1", "exp mean 0", "exp mean -1"] {
            assert_eq!(Work::read(text, 1.0), None, "{text}");
        }
    }

    #[test]
    fn a_lognormal_keeps_its_mean() {
        // SCV 2: variance of the logarithm ln 3, median 1 / √3, p95 = median × exp(1.6449 × √(ln 3)).
        let written = Work::read("lognormal mean 1 SCV 2", 1.0).expect("it is one").written();
        assert_eq!(written, r#"{ lognormal = { median = "577ms 350us 269ns", p95 = "3s 237ms 308us 815ns" } }"#);
    }
}
