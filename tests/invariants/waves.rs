//! Rollouts in waves: how one is drawn, and what it promises. The waves are worked out here once more, from the settings alone.

use super::check::{Checked, Checker};
use super::luck::Luck;
use rollsim::fleet::Version;
use rollsim::time::SimTime;
use std::collections::BTreeMap;
use std::fmt::Write;
use std::time::Duration;

/// The settings that promises follow from; times in milliseconds.
#[derive(Clone, Copy)]
pub(super) struct Waves {
    size: Portion,
    /// Tenths.
    growth: u32,
    zones: u32,
    partition: Portion,
    pub(super) takes_out: bool,
    test: u64,
    soak: u64,
    gate: Option<(u32, u64)>,
}

/// A count, or a share in percent that rounds up.
#[derive(Clone, Copy)]
enum Portion {
    Count(u32),
    Share(u32),
}

impl Portion {
    fn draw(luck: &mut Luck, least: u32, most: u32) -> (Portion, String) {
        if luck.percent(50) {
            let count = luck.count(least, most);
            return (Portion::Count(count), count.to_string());
        }
        let share = luck.count(least, 100);
        (Portion::Share(share), format!("\"{share}%\""))
    }

    fn of(self, desired: u32) -> u32 {
        match self {
            Portion::Count(count) => count,
            Portion::Share(share) => (share * desired).div_ceil(100),
        }
    }
}

/// The words of a rollout in waves, what follows from them, and what a wave takes beside starts and stops.
pub(super) fn draw(luck: &mut Luck, desired: u32, zones: u32) -> (String, Waves, u64) {
    let mut words = "[strategy.case.waves]\n".to_owned();
    let mut line = |line: String| writeln!(words, "{line}").expect("a string takes any line");
    let (size, written) = Portion::draw(luck, 1, desired + 2);
    line(format!("size = {written}"));
    let growth = if luck.percent(50) { 10 } else { luck.count(10, 30) };
    line(format!("growth = {}.{}", growth / 10, growth % 10));
    if luck.percent(30) {
        line("in_step = true".to_owned());
    }
    let by_zone = zones > 1 && luck.percent(50);
    if by_zone {
        line("by_zone = true".to_owned());
    }
    let mut partition = Portion::Count(0);
    if luck.percent(25) {
        let (drawn, written) = Portion::draw(luck, 0, desired);
        line(format!("partition = {written}"));
        partition = drawn;
    }
    let takes_out = luck.percent(60);
    let [going, coming, gap, test, soak] = [5_000, 5_000, 3_000, 20_000, 30_000].map(|longest| luck.millis(longest));
    if takes_out {
        line(format!("take_out = \"{going}ms\"\nput_back = \"{coming}ms\""));
    }
    line(format!("gap = \"{gap}ms\""));
    let is_tested = luck.percent(40);
    if is_tested {
        let finds = luck.within(0, 100);
        line(format!("test = {{ takes = \"{test}ms\", finds = \"{finds}%\" }}"));
    }
    let is_soaked = luck.percent(40);
    if is_soaked {
        line(format!("soak = \"{soak}ms\""));
    }
    let gate = luck.percent(30).then(|| (luck.count(1, 3), luck.millis(60_000)));
    if let Some((wave, answers)) = gate {
        line(format!("gate = {{ after_wave = {wave}, answers_after = \"{answers}ms\" }}"));
    }
    let on_failure = luck.pick(&["stop", "roll-back", "continue"]);
    line(format!("on_failure = \"{on_failure}\""));
    let (test, soak) = (if is_tested { test } else { 0 }, if is_soaked { soak } else { 0 });
    let zones = if by_zone { zones } else { 1 };
    let waves = Waves { size, growth, zones, partition, takes_out, test, soak, gate };
    let takes = going + coming + gap + test + soak + gate.map_or(0, |(_, answers)| answers);
    (words, waves, takes)
}

impl Waves {
    /// How many places keep what they have.
    pub(super) fn kept(&self, desired: u32) -> u32 {
        self.partition.of(desired).min(desired)
    }

    /// Whether nobody looks at zones.
    pub(super) fn goes_by_number(&self) -> bool {
        self.zones == 1
    }

    /// Whether a wave that is back is still watched for a while.
    pub(super) fn soaks(&self) -> bool {
        self.soak > 0
    }

    /// Each wave's places.
    fn plan(&self, desired: u32) -> Vec<Vec<u32>> {
        let moving = desired - self.kept(desired);
        let mut size = self.size.of(desired).max(1);
        let mut plan = Vec::new();
        for zone in 0..self.zones {
            let mut left: Vec<u32> = (0..moving).filter(|slot| slot % self.zones == zone).collect();
            while !left.is_empty() {
                let rest = left.split_off(left.len().min(size as usize));
                plan.push(std::mem::replace(&mut left, rest));
                size = (size * self.growth).div_ceil(10);
            }
        }
        plan
    }

    /// The most instances that are away at once.
    pub(super) fn largest(&self, desired: u32, is_moved: bool) -> u32 {
        if is_moved && self.growth > 10 {
            return desired; // What is left of one plan may come in other waves of the next.
        }
        self.plan(desired).iter().map(|wave| wave.len() as u32).max().unwrap_or(0)
    }
}

/// The waves of a rollout come in their order, each as a whole and when the one before is done; the places that are kept are
/// not touched.
pub(super) fn waves_are_kept_apart(checker: &Checker<'_>, waves: &Waves) -> Checked {
    let mut turn_of = vec![None; checker.case.desired as usize];
    let mut back_at = BTreeMap::new();
    let mut is_listed = vec![true; checker.case.desired as usize];
    for change in &checker.history.changes {
        let slot = change.slot.0;
        if change.version > Version::OLD && change.listed {
            back_at.entry(slot).or_insert(change.at);
        } else if change.version == Version::OLD && is_listed[slot as usize] != change.listed {
            is_listed[slot as usize] = change.listed;
            turn_of[slot as usize].get_or_insert(change.at);
        }
    }
    let plan = waves.plan(checker.case.desired);
    let is_in_plan = |slot: u32| plan.iter().flatten().any(|other| *other == slot);
    let touched = (0..checker.case.desired).find(|slot| turn_of[*slot as usize].is_some() && !is_in_plan(*slot));
    demand!(touched.is_none(), "the turn of place {touched:?} comes, and it is kept");
    let mut may_begin = SimTime::START + checker.scenario.study.rollout_at();
    for (number, wave) in (1..).zip(&plan) {
        let turns: Vec<Option<SimTime>> = wave.iter().map(|slot| turn_of[*slot as usize]).collect();
        let together = turns.iter().all(|turn| *turn == turns[0]);
        demand!(together, "places {wave:?} are one wave, and have their turns at {turns:?}");
        let Some(turn) = turns[0] else {
            let late = plan[number as usize..].iter().flatten().find(|slot| turn_of[**slot as usize].is_some());
            demand!(late.is_none(), "the turn of place {late:?} comes, and that of wave {number} never did");
            break;
        };
        demand!(turn >= may_begin, "wave {number} begins at {turn:?}, before {may_begin:?}");
        if !checker.case.has_defect {
            let back: Option<Vec<SimTime>> = wave.iter().map(|slot| back_at.get(slot).copied()).collect();
            let Some(back) = back else {
                may_begin = SimTime::from_nanos(u64::MAX / 2); // It is not done, and nothing follows it.
                continue;
            };
            let done_at = back.into_iter().max().unwrap_or(turn);
            let asked = waves.gate.filter(|(wave, _)| *wave == number).map_or(0, |(_, answers)| answers);
            may_begin = done_at + Duration::from_millis(waves.test + waves.soak + asked);
        }
    }
    let failed_at = checker.history.reported.iter().find(|report| report.word == "failed").map(|report| report.at);
    let late = turn_of.iter().flatten().find(|turn| failed_at.is_some_and(|failed_at| **turn > failed_at));
    demand!(late.is_none(), "the rollout failed at {failed_at:?}, and a turn comes at {late:?}");
    Ok(())
}
