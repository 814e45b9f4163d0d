//! The progress bar, on stderr and only where that is a terminal.

use indicatif::{HumanDuration, ProgressBar, ProgressDrawTarget, ProgressState, ProgressStyle};
use std::fmt::Write;
use std::time::Duration;

/// A bar over so many of something.
pub(crate) fn bar(runs: u64, what: &str, quiet: bool) -> ProgressBar {
    let target = if quiet { ProgressDrawTarget::hidden() } else { ProgressDrawTarget::stderr() };
    let template = format!("{{bar:40}} {{pos}}/{{len}} {what}, {{elapsed}} elapsed, {{left}} left");
    let style = ProgressStyle::with_template(&template);
    let left = |state: &ProgressState, text: &mut dyn Write| {
        // Before the first one is done nobody knows.
        let known = if state.pos() == 0 { "?".to_owned() } else { format!("{:#}", HumanDuration(state.eta())) };
        let _ = text.write_str(&known);
    };
    let bar = ProgressBar::with_draw_target(Some(runs), target)
        .with_style(style.expect("the template is sound").with_key("left", left));
    // The bar lives even while the first long run is under way.
    bar.enable_steady_tick(Duration::from_millis(200));
    bar
}
