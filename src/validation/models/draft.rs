//! What all scenarios of points have in common: how times are written, and a rollout that does nothing.

use std::time::Duration;

/// A rollout that is paused as it begins: what is measured is the fleet as it is.
pub(super) const PAUSED: &str = r#"[release]
start = "0s"
grace = "1m"
[strategy.paused.octopus]
commands = [{ after = "0s", do = "pause" }]
"#;

/// How seconds are written in a scenario file, to the nanosecond.
pub(super) fn span(seconds: f64) -> String {
    let nanos = (seconds * 1e9).round().clamp(0.0, 1e18) as u64;
    format!("\"{}\"", humantime::format_duration(Duration::from_nanos(nanos)))
}

/// How a share is written.
pub(super) fn share(share: f64) -> String {
    // Shares are decimals without an exponent; eighteen digits lose nothing of what was read.
    let digits = format!("{:.15}", share * 100.0);
    format!("\"{}%\"", digits.trim_end_matches('0').trim_end_matches('.'))
}

/// When what is measured. Seconds.
#[derive(Clone, Copy, Debug)]
pub(super) struct Times {
    /// Until the fleet is steady.
    pub(super) warm_up: f64,
    /// The observation window.
    pub(super) window: f64,
    /// The intervals of the time series.
    pub(super) interval: f64,
    /// Runs at the least.
    pub(super) runs: u32,
}

impl Times {
    /// The baseline window comes to nothing: all is measured after the rollout began.
    const BASELINE_S: f64 = 0.001;

    /// Another tenth of the window each.
    pub(super) fn tenths(warm_up: f64, window: f64, runs: u32) -> Self {
        Times { warm_up, window, interval: window / 10.0, runs }
    }

    /// When the rollout begins.
    pub(super) fn rollout_at(&self) -> f64 {
        self.warm_up + Self::BASELINE_S
    }

    /// The table of a scenario file.
    pub(super) fn study(&self) -> String {
        let [warm_up, window, interval, baseline] =
            [self.warm_up, self.window, self.interval, Self::BASELINE_S].map(span);
        format!(
            "[study]\nreplications = {}\nwarm_up = {warm_up}\nbaseline = {baseline}\nwindow = {window}\ninterval = {interval}\n",
            self.runs
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_and_shares_are_written_as_a_scenario_reads_them() {
        for (seconds, written) in [(0.0, "\"0s\""), (1.5, "\"1s 500ms\""), (1.25e-7, "\"125ns\""), (60.0, "\"1m\"")] {
            assert_eq!(span(seconds), written);
        }
        for (value, written) in [(0.35, "\"35%\""), (0.0, "\"0%\""), (1.0, "\"100%\""), (0.001, "\"0.1%\"")] {
            assert_eq!(share(value), written);
        }
    }
}
