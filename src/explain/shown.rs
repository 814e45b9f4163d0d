//! An explanation for a terminal: tables, and a small picture of the fleet over time.

use super::{Explained, Explanation, Moment};
use crate::report::table::{new_table, seconds};
use comfy_table::CellAlignment;
use std::fmt::Write;

/// How many steps are told one by one: so many from the beginning, and so many up to the end.
const FIRST_STEPS: usize = 16;
const LAST_STEPS: usize = 4;
/// How wide the picture is, characters.
const WIDTH: u64 = 72;
const LEVELS: [char; 9] = [' ', '▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'];

/// The whole explanation.
pub fn explanation(explanation: &Explanation) -> String {
    let Explanation { scenario, instances, window_s, strategies } = explanation;
    let mut text = format!(
        "{scenario}: {instances} instances, {} from the start of each rollout, no traffic\n",
        seconds(*window_s)
    );
    for strategy in strategies {
        let _ = write!(text, "\n{}", one(strategy, *window_s));
    }
    text
}

fn one(explained: &Explained, window_s: f64) -> String {
    let mut text = format!("{} ({})\n", explained.name, explained.orchestrator);
    let mut resolved = new_table();
    resolved.set_header(["setting", "written", "comes to"]);
    for row in &explained.resolved {
        resolved.add_row([row.setting, &row.written, &row.means]);
    }
    let _ = writeln!(text, "{resolved}");
    let _ = writeln!(text, "{}", ending(explained));
    let Explained { least_ready, most_instances, most_beside_leaving, .. } = explained;
    let leaving = format!("{most_instances} with those on their way out");
    let _ = writeln!(text, "at the least {least_ready} ready; at the most {most_beside_leaving} instances, {leaving}");
    let _ = writeln!(text, "\n{}", steps(&explained.steps));
    let _ = writeln!(text, "{}", picture(explained, window_s));
    for warning in &explained.warnings {
        let _ = writeln!(text, "warning: {}", warning.text);
    }
    text
}

/// How it ends, and after what time.
fn ending(explained: &Explained) -> String {
    let Explained { outcome, reported, typical_s, best_s, expected_s, rollback_s, .. } = explained;
    let mut parts = vec![match typical_s {
        Some(typical_s) => format!("{outcome} after {}", seconds(*typical_s)),
        None => format!("{outcome}, reported as \"{}\"", reported.unwrap_or("nothing")),
    }];
    parts.extend(best_s.map(|best_s| format!("at best {}", seconds(best_s))));
    parts.extend(expected_s.map(|expected| format!("{} in the mean", seconds(expected.mean))));
    parts.extend(rollback_s.map(|rollback_s| format!("taken back in {}", seconds(rollback_s))));
    parts.join("; ")
}

fn steps(moments: &[Moment]) -> String {
    let mut table = new_table();
    table.set_header(["after", "what happens", "old ready", "new ready", "coming", "leaving"]);
    let left_out = moments.len().saturating_sub(FIRST_STEPS + LAST_STEPS);
    for (place, moment) in moments.iter().enumerate() {
        if left_out > 0 && place == FIRST_STEPS {
            table.add_row([String::new(), format!("… {left_out} more steps …")]);
        }
        if left_out == 0 || place < FIRST_STEPS || place >= FIRST_STEPS + left_out {
            table.add_row([
                seconds(moment.at_ms as f64 / 1e3),
                happens(moment),
                moment.old_ready.to_string(),
                moment.new_ready.to_string(),
                moment.coming.to_string(),
                moment.leaving.to_string(),
            ]);
        }
    }
    for column in [0, 2, 3, 4, 5] {
        if let Some(column) = table.column_mut(column) {
            column.set_cell_alignment(CellAlignment::Right);
        }
    }
    table.to_string()
}

fn happens(moment: &Moment) -> String {
    let what = &moment.what;
    let parts = [
        (what.new_created, "new created"),
        (what.old_created, "old created"),
        (what.new_ready, "new ready"),
        (what.old_ready, "old ready"),
        (what.new_leave, "new sent away"),
        (what.old_leave, "old sent away"),
        (what.taken_out, "taken out"),
        (what.failed, "failed"),
        (what.gone, "gone"),
    ];
    let parts = parts.iter().filter(|(count, _)| *count > 0).map(|(count, what)| format!("{count} {what}"));
    let split = what.new_share.map(|share| format!("{share} % of the requests to the new version"));
    parts.chain(split).collect::<Vec<_>>().join(", ")
}

/// So many instances of a kind.
type Count = fn(&Moment) -> u32;

/// A row of columns a kind of instance: as high as there are such instances, of all that there are at the most.
fn picture(explained: &Explained, window_s: f64) -> String {
    let ends_ms = explained.typical_s.unwrap_or(window_s) * 1e3;
    let ends_ms = (ends_ms as u64).max(1);
    let at = |column: u64| {
        let at_ms = column * ends_ms / (WIDTH - 1);
        let place = explained.steps.partition_point(|step| step.at_ms <= at_ms);
        &explained.steps[place.saturating_sub(1)]
    };
    let counts: [(&str, Count); 4] = [
        ("old ready", |moment| moment.old_ready),
        ("new ready", |moment| moment.new_ready),
        ("coming", |moment| moment.coming),
        ("leaving", |moment| moment.leaving),
    ];
    let most = counts.iter().flat_map(|(_, count)| explained.steps.iter().map(count)).max().unwrap_or(0).max(1);
    let mut text = String::new();
    for (name, count) in counts.into_iter().filter(|_| !explained.steps.is_empty()) {
        let highest = LEVELS.len() - 1;
        let level = |count: u32| (count as usize * highest).div_ceil(most as usize);
        let row: String = (0..WIDTH).map(|column| LEVELS[level(count(at(column)))]).collect();
        let peak = explained.steps.iter().map(count).max().unwrap_or(0);
        let _ = writeln!(text, "{name:>9} ▏{row}▏ {peak} at the most");
    }
    let end = seconds(ends_ms as f64 / 1e3);
    let _ = writeln!(text, "{:>9}  0{end:>width$}", "", width = WIDTH as usize - 1);
    text
}
