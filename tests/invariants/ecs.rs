//! Amazon ECS: how a service is drawn, and what it promises.

use super::check::{Checked, Checker};
use super::luck::Luck;
use rollsim::fleet::{Phase, Version};
use rollsim::history::Change;
use std::collections::BTreeSet;
use std::fmt::Write;

/// The settings that promises follow from; times in milliseconds.
#[derive(Clone, Copy)]
pub(super) struct Ecs {
    minimum: u32,
    maximum: u32,
    quota: Option<u32>,
    /// Tasks have no health check.
    pub(super) is_blind: bool,
    /// The threshold of the circuit breaker: its type and value.
    breaker: Option<(&'static str, u32)>,
    rolls_back: bool,
}

/// The words of a service, and what follows from them.
pub(super) struct Drawn {
    pub(super) words: String,
    pub(super) ecs: Ecs,
    /// What a task takes beside its start and stop.
    pub(super) takes: u64,
    pub(super) bakes: u64,
    /// Failures of sound tasks' checks may be minded, or the alarm may go on.
    pub(super) fails_sound_releases: bool,
}

/// When the health check of a task that starts may find it unhealthy, and when it is ready, both at the latest and from
/// RUNNING on.
#[derive(Clone, Copy)]
pub(super) struct Check {
    pub(super) gives_up_after: u64,
    pub(super) starts_within: u64,
    pub(super) ready_within: u64,
}

pub(super) fn draw(luck: &mut Luck, desired: u32, check: Option<Check>) -> Drawn {
    let mut words = "[strategy.case.ecs]\n".to_owned();
    let mut line = |line: String| writeln!(words, "{line}").expect("a string takes any line");
    let (mut minimum, mut maximum) = (100, 200);
    if luck.percent(80) {
        minimum = if luck.percent(40) { 100 } else { luck.count(0, 100) };
        maximum = luck.count(if minimum == 100 { 101 } else { 100 }, 250);
        line(format!("minimum_healthy_percent = {minimum}\nmaximum_percent = {maximum}"));
    }
    let grace_s = if luck.percent(50) { luck.within(0, 60) } else { 0 };
    line(format!("health_check_grace_period_seconds = {grace_s}"));
    let (mut breaker, mut rolls_back) = (None, false);
    if luck.percent(60) {
        let of = ["BOUNDED_PERCENT", "UNBOUNDED_PERCENT", "COUNT"][luck.count(0, 2) as usize];
        let value = luck.count(1, if of == "COUNT" { 6 } else { 120 });
        let (rollback, resets) = (luck.percent(50), luck.percent(70));
        line(format!(
            "circuit_breaker = {{ threshold_type = \"{of}\", threshold_value = {value}, rollback = {rollback}, reset_on_healthy_task = {resets} }}"
        ));
        (breaker, rolls_back) = (Some((of, value)), rollback);
    }
    let has_alarm = luck.percent(20);
    if has_alarm {
        let (failed, period, datapoints) = (luck.within(0, 50), luck.within(1_000, 60_000), luck.count(1, 3));
        let rollback = luck.percent(50);
        line(format!(
            "alarm = {{ max_failed = \"{failed}%\", period = \"{period}ms\", datapoints = {datapoints}, rollback = {rollback} }}"
        ));
        rolls_back |= rollback;
    }
    let minutes = u64::from(luck.percent(20));
    line(format!("bake_time_in_minutes = {minutes}"));
    let quota = luck.percent(20).then(|| luck.count(desired, desired + 6));
    if let Some(quota) = quota {
        line(format!("quota = {quota}"));
    }
    let is_minded = check.is_some_and(|check| {
        check.gives_up_after <= check.starts_within && grace_s * 1000 <= check.starts_within + check.ready_within
    });
    Drawn {
        words,
        ecs: Ecs { minimum, maximum, quota, is_blind: check.is_none(), breaker, rolls_back },
        takes: if check.is_none() { 41_000 } else { 1_000 },
        bakes: minutes * 60_000,
        fails_sound_releases: is_minded || has_alarm,
    }
}

impl Ecs {
    /// The fewest healthy tasks, of so many.
    pub(super) fn least(&self, desired: u32) -> u32 {
        (self.minimum * desired).div_ceil(100)
    }

    /// The most tasks that it starts up to, of so many.
    fn most(&self, desired: u32) -> u32 {
        (self.maximum * desired / 100).min(self.quota.unwrap_or(u32::MAX))
    }

    /// Whether a task may start before any stops, of so many.
    pub(super) fn starts_first(&self, desired: u32) -> bool {
        self.most(desired) > desired
    }

    /// Whether there is a first step, for services of each of these sizes.
    pub(super) fn can_move(&self, sizes: (u32, u32)) -> bool {
        (sizes.0..=sizes.1).all(|desired| {
            let most = self.most(desired);
            most >= desired && (self.starts_first(desired) || self.least(desired) < desired)
        })
    }

    /// Whether it has a circuit breaker.
    pub(super) fn breaks_the_circuit(&self) -> bool {
        self.breaker.is_some()
    }

    /// So many failed tasks are too many.
    fn threshold(&self, desired: u32) -> Option<u32> {
        let (of, value) = self.breaker?;
        let share = (value * desired).div_ceil(100);
        Some(match of {
            "COUNT" => value,
            "BOUNDED_PERCENT" => share.clamp(3, 200),
            _ => share.max(1),
        })
    }
}

impl Checker<'_> {
    pub(super) fn ecs_keeps_its_promises(&self, ecs: &Ecs) -> Checked {
        let (fewest, largest) = self.case.commands.sizes;
        let most = (fewest..=largest).map(|desired| ecs.most(desired)).max().unwrap_or(0).max(self.case.desired);
        self.at_every_moment(|at, fleet| {
            let count = fleet.len() as u32;
            demand!(count <= most, "{count} tasks exist at {at:?}, more than {most}");
            Ok(())
        })?;
        if !ecs.is_blind && fewest == largest {
            self.healthy_tasks_stop_only_above_the_minimum(ecs)?;
        }
        let nobody_acts = self.case.is_left_to_itself && self.case.commands.count == 0;
        if nobody_acts {
            self.what_is_given_up_moves_nothing()?;
        }
        if nobody_acts && !ecs.is_blind && !self.case.has_fault {
            self.too_many_failures_break_the_circuit(ecs)?;
        }
        let requested = self.history.reported.iter().find(|report| report.word == "ROLLBACK_REQUESTED");
        demand!(requested.is_none() || ecs.rolls_back, "{requested:?}, and nobody asked for it");
        let is_done = requested.is_none() || self.history.rollback_at.is_some();
        demand!(is_done, "{requested:?}, and the version before was not asked for");
        Ok(())
    }

    /// Whatever breaks: where a healthy task is sent away, enough of them are left.
    fn healthy_tasks_stop_only_above_the_minimum(&self, ecs: &Ecs) -> Checked {
        let least = ecs.least(self.case.desired) as usize;
        let mut healthy: BTreeSet<u32> = BTreeSet::new();
        for moment in self.history.changes.chunk_by(|a, b| a.at == b.at) {
            let mut sent_away = 0;
            for change in moment {
                if change.to == Phase::Ready {
                    healthy.insert(change.instance.0);
                } else if healthy.remove(&change.instance.0) && change.to == Phase::Draining {
                    sent_away += 1;
                }
            }
            let (at, left) = (moment[0].at, healthy.len());
            demand!(sent_away == 0 || left >= least, "{sent_away} sent away at {at:?}, {left} of {least} are left");
        }
        Ok(())
    }

    fn what_is_given_up_moves_nothing(&self) -> Checked {
        let Some(failed) = self.history.reported.iter().find(|report| report.word == "FAILED") else { return Ok(()) };
        let is_later =
            |change: &&Change| change.at > failed.at && matches!(change.to, Phase::Pulling | Phase::Draining);
        let moved = self.history.changes.iter().find(is_later);
        demand!(moved.is_none(), "{failed:?}, and then {moved:?}");
        Ok(())
    }

    /// Where no new task was ever healthy, those that ended by themselves were counted.
    fn too_many_failures_break_the_circuit(&self, ecs: &Ecs) -> Checked {
        let Some(threshold) = ecs.threshold(self.case.desired) else { return Ok(()) };
        let of_new = |to: Phase| {
            self.history.changes.iter().filter(move |change| change.version == Version::NEW && change.to == to)
        };
        let failed = of_new(Phase::Down).count() as u32;
        let is_broken = self.history.reported.iter().any(|it| matches!(it.word, "FAILED" | "ROLLBACK_REQUESTED"));
        let is_due = failed >= threshold && of_new(Phase::Ready).next().is_none() && !self.is_without_rules();
        demand!(is_broken || !is_due, "{failed} tasks failed, of {threshold}, and nothing came of it");
        Ok(())
    }

    /// The judge has switched the orchestrator's own failure rule off.
    fn is_without_rules(&self) -> bool {
        self.case.text.contains(r#"policy = "none""#)
    }
}
