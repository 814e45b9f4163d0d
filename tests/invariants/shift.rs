//! Rollouts by traffic shifting: how one is drawn, and what it promises.

use super::check::{Checked, Checker};
use super::luck::Luck;
use rollsim::fleet::{Phase, Version};
use rollsim::history::Cause;
use std::collections::BTreeMap;
use std::fmt::Write;
use std::time::Duration;

/// The settings that promises follow from; times in milliseconds.
pub(super) struct Shift {
    /// Percent.
    steps: Vec<u32>,
    capacity: &'static str,
    soak: u64,
    keep_old: u64,
}

/// The words of a rollout by traffic shifting, what follows from them, what it takes beside starts and stops, and whether
/// it may fail though nothing is broken.
pub(super) fn draw(luck: &mut Luck) -> (String, Shift, u64, bool) {
    let mut words = "[strategy.case.shift]\n".to_owned();
    let mut line = |line: String| writeln!(words, "{line}").expect("a string takes any line");
    let mut steps: Vec<u32> = (0..luck.count(0, 3)).map(|_| luck.count(1, 99)).collect();
    steps.push(100);
    steps.sort_unstable();
    steps.dedup();
    let written: Vec<String> = steps.iter().map(|share| format!("\"{share}%\"")).collect();
    line(format!("steps = [{}]", written.join(", ")));
    let capacity = ["double", "grown", "exchanged"][luck.count(0, 2) as usize];
    line(format!("capacity = \"{capacity}\""));
    let [test, soak, keep_old] = [20_000, 30_000, 40_000].map(|longest| luck.millis(longest));
    line(format!("keep_old = \"{keep_old}ms\"\nsoak = \"{soak}ms\""));
    let is_tested = luck.percent(40);
    if is_tested {
        let finds = luck.within(0, 100);
        line(format!("test = {{ takes = \"{test}ms\", finds = \"{finds}%\" }}"));
    }
    let gate = luck.percent(30).then(|| (luck.count(1, 3), luck.millis(60_000)));
    if let Some((step, answers)) = gate {
        line(format!("gate = {{ after_step = {step}, answers_after = \"{answers}ms\" }}"));
    }
    let is_analysed = soak > 0 && luck.percent(30);
    if is_analysed {
        let (failed, late, at_least) = (luck.within(0, 100), luck.within(0, 100), luck.within(0, 20));
        let every =
            if luck.percent(50) { format!(", every = \"{}ms\"", luck.within(1, 20_000)) } else { String::new() };
        line(format!(
            "analysis = {{ max_failed = \"{failed}%\", max_late = \"{late}%\", at_least = {at_least}{every} }}"
        ));
    }
    let has_deadline = luck.percent(20);
    if has_deadline {
        line(format!("deadline = \"{}ms\"", luck.within(1, 60_000)));
    }
    let on_failure = luck.pick(&["stop", "roll-back", "continue"]);
    line(format!("on_failure = \"{on_failure}\""));
    let takes =
        test + keep_old + gate.map_or(0, |(_, answers)| answers) + u64::try_from(steps.len()).expect("four") * soak;
    (words, Shift { steps, capacity, soak, keep_old }, takes, is_analysed || has_deadline)
}

/// A share of so many, rounded up.
fn part(percent: u32, of: u32) -> u32 {
    (percent * of).div_ceil(100)
}

impl Shift {
    pub(super) fn count(&self) -> u64 {
        self.steps.len() as u64
    }

    /// How many new instances a step needs.
    fn size(&self, share: u32, desired: u32) -> u32 {
        if self.capacity == "double" { desired } else { part(share, desired) }
    }

    /// The most live instances.
    fn most(&self, desired: u32) -> u32 {
        match self.capacity {
            "double" => 2 * desired,
            "grown" => desired + part(100, desired),
            _ => {
                let mut before = 0;
                let grows = self.steps.iter().map(|share| {
                    let grows = part(*share, desired) - part(before, desired);
                    before = *share;
                    grows + 1
                });
                desired + grows.max().unwrap_or(0)
            }
        }
    }
}

/// Shares rise as written, each when enough new instances are ready and after the soak of the one before; no more
/// instances live than there is room for; and no request goes to a version that nobody serves.
pub(super) fn requests_follow_the_fleet(checker: &Checker<'_>, shift: &Shift) -> Checked {
    let Checker { case, history, .. } = checker;
    let desired = case.desired;
    let is_undone = history.rollback_at;
    let mut live = BTreeMap::new();
    let mut changes = history.changes.iter().peekable();
    let mut last = None;
    let steps = shift.steps.iter().map(Some).chain(std::iter::repeat(None));
    let ahead = history.splits.iter().filter(|(at, _)| is_undone.is_none_or(|undone_at| *at < undone_at));
    for ((at, split), expected) in ahead.zip(steps) {
        while let Some(change) = changes.next_if(|change| change.at <= *at) {
            live.insert(change.instance.0, (change.version, change.to));
        }
        let Some(expected) = expected else { return Err(format!("a share too many: {split:?} at {at:?}")) };
        let share = (split.share(Version::NEW) * 100.0).round() as u32;
        demand!(share == *expected, "at {at:?} the new version gets {share} %, not {expected} %");
        let ready = live.values().filter(|state| **state == (Version::NEW, Phase::Ready)).count();
        // Who has become unready at this very moment was ready when it was decided.
        let needed = if case.is_sound { shift.size(share, desired) } else { 0 };
        demand!(ready as u64 >= u64::from(needed), "{ready} of {needed} are ready for {share} % at {at:?}");
        let soaked = last.is_none_or(|last| *at >= last + Duration::from_millis(shift.soak));
        demand!(soaked, "the share at {at:?} follows the one at {last:?}");
        last = Some(*at);
    }
    live.clear();
    for moment in history.changes.chunk_by(|a, b| a.at == b.at) {
        for change in moment {
            live.insert(change.instance.0, (change.version, change.to));
        }
        let is_live = |phase: Phase| !matches!(phase, Phase::Draining | Phase::Stopping | Phase::Gone);
        let (there, most) = (live.values().filter(|(_, phase)| is_live(*phase)).count(), shift.most(desired));
        demand!(
            there as u64 <= u64::from(most) || is_undone.is_some(),
            "{there} are live at {:?}, and {most} may be",
            moment[0].at
        );
    }
    let nobody = history.attempts.failed[Cause::NoEndpoint.index()];
    let hears_in_time = case.news_within.is_some_and(|longest| longest <= shift.keep_old);
    demand!(
        !(case.is_sound && hears_in_time) || nobody == 0,
        "{nobody} attempts were for a version that nobody serves"
    );
    Ok(())
}
