//! How the commands are written that people type while a rollout is under way.

use super::bounds::count;
use super::place::{Checked, Place};
use super::raw;
use super::units::Table;
use super::words::CommandKind;
use crate::fleet::Version;
use crate::rollout::{Command, What, When};

const MOST_COMMANDS: usize = 1_000;

/// The commands of a strategy, in the order of the file.
pub(super) fn commands(place: &Place, raw: Option<Vec<Table<raw::Command>>>) -> Checked<Vec<Command>> {
    let raw = raw.unwrap_or_default();
    place.holds(raw.len() <= MOST_COMMANDS, "must hold at most 1,000 commands")?;
    raw.into_iter().enumerate().map(|(index, Table(raw))| command(&place.index(index), &raw)).collect()
}

fn command(place: &Place, raw: &raw::Command) -> Checked<Command> {
    let when = match (raw.after, raw.when_ready, raw.when_stuck, raw.when_paused) {
        (Some(span), None, None, None) => When::After(span.0),
        (None, Some(written), None, None) => When::Ready(count(&place.key("when_ready"), written, 1..=100_000)?),
        (None, None, Some(true), None) => When::Stuck,
        (None, None, None, Some(true)) => When::Paused,
        _ => {
            return Err(
                place.breaks("must hold exactly one of after, when_ready, when_stuck = true and when_paused = true")
            );
        }
    };
    let kind = raw.what.0;
    let belongs = |key, given, holder, with| {
        place.key(key).holds(given || kind != holder, &format!("must be given with do = {with:?}"))?;
        place.key(key).holds(!given || kind == holder, &format!("must be absent unless do = {with:?}"))
    };
    belongs("instances", raw.instances.is_some(), CommandKind::Scale, "scale")?;
    belongs("version", raw.version.is_some(), CommandKind::Deploy, "deploy")?;
    let what = match (kind, raw.instances, raw.version) {
        (CommandKind::Scale, Some(written), _) => What::Scale(count(&place.key("instances"), written, 1..=100_000)?),
        (CommandKind::Deploy, _, Some(written)) => {
            let number = count(&place.key("version"), written, 1..=Version::COUNT as u32)?;
            What::Deploy(Version(number as u8 - 1))
        }
        (CommandKind::Pause, ..) => What::Pause,
        (CommandKind::Resume, ..) => What::Resume,
        (CommandKind::Promote, ..) => What::Promote,
        (CommandKind::Abort, ..) => What::Abort,
        (CommandKind::Undo, ..) => What::Undo,
        (CommandKind::Scale | CommandKind::Deploy, ..) => unreachable!("checked above"),
    };
    Ok(Command { when, what })
}
