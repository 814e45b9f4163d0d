//! The progress bar, on stderr and only where that is a terminal.

use indicatif::{HumanDuration, ProgressBar, ProgressDrawTarget, ProgressState, ProgressStyle};
use std::fmt::Write;
use std::time::Duration;

/// A bar over the runs of a study.
pub(crate) fn bar(runs: u64, quiet: bool) -> ProgressBar {
    let target = if quiet { ProgressDrawTarget::hidden() } else { ProgressDrawTarget::stderr() };
    let style = ProgressStyle::with_template("{bar:40} {pos}/{len} rollouts, {elapsed} elapsed, {left} left");
    let left = |state: &ProgressState, text: &mut dyn Write| {
        // Before the first rollout is done nobody knows.
        let known = if state.pos() == 0 { "?".to_owned() } else { format!("{:#}", HumanDuration(state.eta())) };
        let _ = text.write_str(&known);
    };
    let bar = ProgressBar::with_draw_target(Some(runs), target)
        .with_style(style.expect("the template is sound").with_key("left", left));
    // The bar lives even while the first long run is under way.
    bar.enable_steady_tick(Duration::from_millis(200));
    bar
}
