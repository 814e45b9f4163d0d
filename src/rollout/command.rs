//! What people type while a rollout is under way: pause, resume, undo, scale, or ask for yet another version.

use crate::fleet::Version;
use std::time::Duration;

/// One thing that is typed. Commands are typed in order: each waits for its moment and for those before it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Command {
    /// When.
    pub when: When,
    /// What.
    pub what: What,
}

/// The moment at which a command is typed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum When {
    /// So long after the rollout began.
    After(Duration),
    /// As soon as so many instances of the version that was asked for last are ready.
    Ready(u32),
    /// As soon as the orchestrator reports that the rollout is stuck.
    Stuck,
    /// As soon as the orchestrator reports that it waits for somebody.
    Paused,
}

/// What a command asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum What {
    /// Stop where it is.
    Pause,
    /// Go on.
    Resume,
    /// Let the new version out of its trial, where the orchestrator has one.
    Promote,
    /// Give the new version up while it is still asked for, where the orchestrator can.
    Abort,
    /// Back to the version that was asked for before the last one; or to whatever was asked for before, where scaling
    /// is a change like any other.
    Undo,
    /// Roll out this version, whatever is under way.
    Deploy(Version),
    /// So many instances, at least one.
    Scale(u32),
}
