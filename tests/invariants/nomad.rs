//! Nomad: how a group is drawn, and what it promises.

use super::check::{Checked, Checker};
use super::luck::Luck;
use rollsim::fleet::{Phase, Version};
use rollsim::history::{Change, Outcome};
use rollsim::time::SimTime;
use std::collections::BTreeMap;
use std::fmt::Write;
use std::time::Duration;

/// The settings that promises follow from; times in milliseconds.
#[derive(Clone, Copy)]
pub(super) struct Nomad {
    /// 0: all at once.
    pub(super) max_parallel: u32,
    pub(super) canary: u32,
    /// Canaries wait for somebody, and nobody comes.
    pub(super) is_never_promoted: bool,
    /// Nobody looks whether an allocation is ready.
    is_blind: bool,
    min_healthy: u64,
    auto_revert: bool,
}

/// The words of a group, and what follows from them.
pub(super) struct Drawn {
    pub(super) words: String,
    pub(super) nomad: Nomad,
    /// What an allocation takes beside its start and stop.
    pub(super) takes: u64,
    pub(super) shutdown_delay: u64,
    /// Sound allocations may be late for it.
    pub(super) fails_sound_releases: bool,
    /// Somebody promotes canaries as soon as that is allowed, and types nothing else.
    pub(super) is_promoted: bool,
}

/// A group whose allocations are ready within a time.
pub(super) fn draw(luck: &mut Luck, desired: u32, ready_within: u64) -> Drawn {
    let mut words = "[strategy.case.nomad]\n".to_owned();
    let mut line = |line: String| writeln!(words, "{line}").expect("a string takes any line");
    let least = u32::from(luck.percent(90));
    let max_parallel = luck.count(least, desired + 1);
    let canary = if luck.percent(40) { luck.count(1, desired + 1) } else { 0 };
    let auto_promote = canary > 0 && luck.percent(50);
    let is_promoted = canary > 0 && !auto_promote && luck.percent(50);
    let auto_revert = luck.percent(50);
    line(format!("max_parallel = {max_parallel}\ncanary = {canary}"));
    line(format!("auto_promote = {auto_promote}\nauto_revert = {auto_revert}"));
    let health_check = match luck.within(0, 9) {
        0 => "manual",
        1 | 2 => "task_states",
        _ => "checks",
    };
    let on_update = if luck.percent(20) { "ignore" } else { "require_healthy" };
    line(format!("health_check = \"{health_check}\"\non_update = \"{on_update}\""));
    let min_healthy = luck.millis(15_000);
    let [batch, shutdown_delay, restart_delay] = [3_000, 5_000, 10_000].map(|longest| luck.millis(longest));
    let healthy_within = ready_within + min_healthy + 500;
    // Enough, or not.
    let [mut least, mut more] = [true; 2].map(|_| if luck.percent(70) { 10 * healthy_within } else { 20_000 });
    (least, more) = (luck.within(0, least), luck.within(0, more));
    let (healthy_deadline, more) = (min_healthy + 1 + least, 1 + more);
    let progress_deadline = if luck.percent(20) { 0 } else { healthy_deadline + more };
    line(format!(
        "min_healthy_time = \"{min_healthy}ms\"\nhealthy_deadline = \"{healthy_deadline}ms\"\nprogress_deadline = \"{progress_deadline}ms\""
    ));
    line(format!("evaluation_batch = \"{batch}ms\"\nshutdown_delay = \"{shutdown_delay}ms\""));
    let attempts = luck.within(0, 3);
    line(format!("restart_attempts = {attempts}\nrestart_interval = \"2m\"\nrestart_delay = \"{restart_delay}ms\""));
    let function = luck.pick(&["constant", "exponential", "fibonacci"]);
    line(format!("reschedule_delay = \"{}s\"\nreschedule_delay_function = \"{function}\"", luck.within(5, 60)));
    if luck.percent(30) {
        line(format!("reschedule_attempts = {}\nreschedule_interval = \"10m\"", luck.within(0, 3)));
    }
    let is_in_force = max_parallel > 0;
    let is_late = healthy_deadline <= healthy_within
        || progress_deadline > 0 && progress_deadline <= healthy_within + batch + 1_000;
    Drawn {
        words,
        nomad: Nomad {
            max_parallel,
            canary: if is_in_force { canary } else { 0 },
            is_never_promoted: is_in_force && canary > 0 && !auto_promote && !is_promoted,
            is_blind: health_check != "checks" || on_update == "ignore",
            min_healthy,
            auto_revert: auto_revert && is_in_force,
        },
        takes: min_healthy + batch + 1_000,
        shutdown_delay,
        fails_sound_releases: is_in_force && (is_late || health_check == "manual"),
        is_promoted: is_promoted && is_in_force,
    }
}

impl Nomad {
    /// Whether each allocation waits for the one before to have been ready for a while.
    pub(super) fn goes_one_by_one(&self) -> bool {
        self.max_parallel == 1 && self.canary == 0 && !self.is_blind && self.min_healthy > 0
    }

    /// Instances that may be missing, where other registrations of the job came so often before.
    pub(super) fn missing(&self, desired: u32, registrations: u32) -> u32 {
        if self.max_parallel == 0 || self.is_blind { desired } else { self.max_parallel * (1 + registrations) }
    }
}

impl Checker<'_> {
    pub(super) fn nomad_keeps_its_promises(&self, nomad: &Nomad) -> Checked {
        let most = self.case.commands.sizes.1 + nomad.canary;
        self.at_every_moment(|at, fleet| {
            let live = fleet.values().filter(|change| is_live(change.to)).count() as u32;
            demand!(live <= most, "{live} allocations live at {at:?}, more than {most} with canaries");
            Ok(())
        })?;
        let nobody_acts = self.case.is_left_to_itself && self.case.commands.count == 0;
        if nomad.is_never_promoted && nobody_acts {
            self.only_canaries_come(nomad)?;
        }
        if nomad.canary == 0 && nomad.max_parallel > 0 && nobody_acts && self.case.is_sound && !nomad.is_blind {
            self.few_are_of_unknown_health(nomad)?;
        }
        if nobody_acts && !self.case.has_fault {
            self.a_failed_deployment_moves_nothing()?;
        }
        let reverts = self.history.reported.iter().find(|report| report.word == "rolling back");
        demand!(reverts.is_none() || nomad.auto_revert, "{reverts:?}, and nobody asked for it");
        // Not always another version: a change of the count is reverted, too. And a rollback is not rolled back.
        let asked = |until: SimTime| self.history.asked.iter().filter(|asked| asked.at <= until).count();
        demand!(reverts.is_none_or(|report| asked(report.at) > 1), "{reverts:?}, and nothing was asked for again");
        let is_done = self.history.outcome == Outcome::Completed && self.case.commands.count == 0;
        demand!(!is_done || reverts.is_none(), "{reverts:?}, and the new version is complete");
        Ok(())
    }

    /// Before their promotion nothing but canaries comes, and nobody goes for them.
    fn only_canaries_come(&self, nomad: &Nomad) -> Checked {
        self.at_every_moment(|at, fleet| {
            let is_new = |change: &&Change| change.version > Version::OLD && is_live(change.to);
            let new = fleet.values().filter(is_new).count() as u32;
            demand!(
                new <= nomad.canary,
                "{new} allocations of the new version at {at:?}, for {} canaries",
                nomad.canary
            );
            Ok(())
        })?;
        if self.case.has_fault {
            return Ok(());
        }
        let goes = |change: &&Change| change.version == Version::OLD && change.to == Phase::Draining;
        let gone = self.history.changes.iter().find(goes);
        demand!(gone.is_none(), "{gone:?} before any promotion");
        Ok(())
    }

    /// No more than `max_parallel` new allocations have not been ready for long enough.
    fn few_are_of_unknown_health(&self, nomad: &Nomad) -> Checked {
        let mut ready_at: BTreeMap<u32, SimTime> = BTreeMap::new();
        let min_healthy = Duration::from_millis(nomad.min_healthy);
        self.at_every_moment(|at, fleet| {
            for change in fleet.values().filter(|change| change.to == Phase::Ready) {
                ready_at.entry(change.instance.0).or_insert(change.at);
            }
            let is_unknown = |change: &&Change| {
                let is_known = ready_at.get(&change.instance.0).is_some_and(|ready| *ready + min_healthy <= at);
                change.version > Version::OLD && is_live(change.to) && !is_known
            };
            let unknown = fleet.values().filter(is_unknown).count() as u32;
            demand!(unknown <= nomad.max_parallel, "{unknown} of unknown health at {at:?}, of {}", nomad.max_parallel);
            Ok(())
        })
    }

    fn a_failed_deployment_moves_nothing(&self) -> Checked {
        let Some(failed) = self.history.reported.iter().find(|report| report.word == "failed") else { return Ok(()) };
        // A task that fails for good is rescheduled all the same.
        let fails_at = self.history.changes.iter().find(|change| change.to == Phase::Down).map(|change| change.at);
        let is_move = |change: &&Change| match change.to {
            Phase::Draining => true,
            Phase::Pulling => fails_at.is_none_or(|at| at > change.at),
            _ => false,
        };
        let moved = self.history.changes.iter().filter(|change| change.at > failed.at).find(is_move);
        demand!(moved.is_none(), "{failed:?}, and then {moved:?}");
        Ok(())
    }
}

fn is_live(phase: Phase) -> bool {
    !matches!(phase, Phase::Draining | Phase::Stopping | Phase::Gone)
}
