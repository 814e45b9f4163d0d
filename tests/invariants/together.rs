//! Whether the versions of a case can live together.

use super::luck::Luck;
use std::fmt::Write;

/// Whether the versions can live together; times in milliseconds, shares in percent.
#[derive(Clone, Copy)]
pub(super) struct Together {
    /// When the schema changes, how long that takes, whom it fails, and how long it takes to go back.
    pub(super) database: Option<(&'static str, u64, [u64; 2], Option<u64>)>,
    /// Whom a meeting fails, and what clients remember.
    pub(super) skew: Option<([u64; 2], u64)>,
}

impl Together {
    pub(super) fn draw(luck: &mut Luck) -> Self {
        let step = ["before", "during", "after"][luck.count(0, 2) as usize];
        let shares = [luck.within(0, 100), luck.within(0, 100)];
        let undo = luck.percent(50).then(|| luck.millis(60_000));
        let database = luck.percent(15).then_some((step, luck.millis(60_000), shares, undo));
        let shares = [luck.within(0, 100), luck.within(0, 100)];
        let skew = luck.percent(15).then_some((shares, luck.within(1, 120_000)));
        Together { database, skew }
    }

    pub(super) fn words(&self) -> String {
        let mut words = String::new();
        if let Some((step, takes, [old, new], undo)) = self.database {
            let undo = undo.map_or_else(String::new, |undo| format!(", undo = \"{undo}ms\""));
            let shares = format!("old_fails = \"{old}%\", new_fails = \"{new}%\"");
            let line = format!("database = {{ step = \"{step}\", takes = \"{takes}ms\", {shares}{undo} }}");
            writeln!(words, "{line}").expect("a string takes any line");
        }
        if let Some(([old, new], memory)) = self.skew {
            let shares = format!("old_meets_new = \"{old}%\", new_meets_old = \"{new}%\"");
            writeln!(words, "skew = {{ {shares}, memory = \"{memory}ms\" }}").expect("a string takes any line");
        }
        words
    }

    /// How long the rollout waits.
    pub(super) fn waits(&self) -> u64 {
        self.database.map_or(0, |(step, takes, ..)| if step == "before" { takes } else { 0 })
    }
}
