//! The checker: what a history must keep, told without a rule of the engine's.

use super::promises::{Case, Orchestrator, fenceposts};
use super::shift::requests_follow_the_fleet;
use super::waves::waves_are_kept_apart;
use rollsim::fleet::{Phase, Version};
use rollsim::history::{Cause, Change, History, Outcome};
use rollsim::scenario::Scenario;
use rollsim::time::SimTime;
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

/// What a case brought about, so that the whole can be shown not to be empty.
pub(super) struct Seen {
    pub(super) outcome: Outcome,
    pub(super) lost: [u64; Cause::COUNT],
    pub(super) requests: u64,
    pub(super) live: bool,
    /// How many commands could be typed.
    pub(super) commands: usize,
    pub(super) asks_a_human: bool,
    pub(super) breaks_the_circuit: bool,
}

pub(super) struct Checker<'a> {
    pub(super) case: &'a Case,
    pub(super) scenario: &'a Scenario,
    pub(super) history: &'a History,
}

pub(super) type Checked = Result<(), String>;

impl Checker<'_> {
    pub(super) fn check(&self) -> Result<Seen, String> {
        demand!(self.history.outcome != Outcome::CutShort, "the run was cut short");
        self.the_books_balance()?;
        self.intervals_add_up()?;
        self.the_log_agrees()?;
        self.losses_have_a_place()?;
        self.causes_have_a_reason()?;
        self.loads_fit()?;
        self.waits_and_retries_have_bounds()?;
        self.lives_are_legal()?;
        self.nothing_is_asked_for_beyond_the_surge()?;
        self.places_hold_one_process()?;
        self.the_promise_is_kept()?;
        self.the_controller_keeps_the_floor()?;
        self.workers_are_as_many_as_allowed()?;
        self.what_serves_is_replaced_first()?;
        self.targets_go_by_name()?;
        self.waves_come_one_after_the_other()?;
        self.requests_go_where_they_are_served()?;
        if let Orchestrator::Nomad(nomad) = &self.case.orchestrator {
            self.nomad_keeps_its_promises(nomad)?;
        }
        if let Orchestrator::Argo(argo) = &self.case.orchestrator {
            self.argo_keeps_its_promises(argo)?;
        }
        if let Orchestrator::Ecs(ecs) = &self.case.orchestrator {
            self.ecs_keeps_its_promises(ecs)?;
        }
        self.what_has_stopped_stays_stopped()?;
        self.the_outcome_fits_the_fleet()?;
        let live = self.must_end_well();
        if live {
            self.it_ends_well()?;
        }
        let History { outcome, attempts, ledger, .. } = self.history;
        Ok(Seen {
            outcome: *outcome,
            lost: attempts.failed,
            requests: ledger.arrivals,
            live,
            commands: self.case.commands.count,
            asks_a_human: self.is_reported("Paused"),
            breaks_the_circuit: self.is_reported("ROLLBACK_REQUESTED"),
        })
    }

    fn is_reported(&self, word: &str) -> bool {
        self.history.reported.iter().any(|report| report.word == word)
    }

    pub(super) fn rollout_at(&self) -> SimTime {
        SimTime::START + self.scenario.study.rollout_at()
    }

    pub(super) fn ends_at(&self) -> SimTime {
        SimTime::START + self.scenario.study.ends_at()
    }

    fn lives_are_legal(&self) -> Checked {
        let mut last: BTreeMap<u32, Change> = BTreeMap::new();
        let mut now = SimTime::START;
        for change in &self.history.changes {
            demand!(change.at >= now && change.at <= self.ends_at(), "{change:?} comes out of order");
            now = change.at;
            demand!(!change.listed || change.to == Phase::Ready, "{change:?}: only who is ready is listed");
            match last.insert(change.instance.0, *change) {
                None => {
                    let is_first_fleet = change.at == SimTime::START && change.version == Version::OLD;
                    let born = if is_first_fleet { Phase::Ready } else { Phase::Pulling };
                    demand!(change.to == born, "{change:?} begins a life");
                    demand!(
                        is_first_fleet || change.at >= self.rollout_at(),
                        "{change:?}: launched before the rollout"
                    );
                }
                Some(before) => {
                    let same = (before.version, before.slot) == (change.version, change.slot);
                    demand!(same, "{change:?} is somebody else than {before:?}");
                    let is_note = before.to == change.to && before.to != Phase::Gone;
                    demand!(is_note || is_legal(before.to, change.to), "{change:?} after {:?}", before.to);
                }
            }
        }
        Ok(())
    }

    fn nothing_is_asked_for_beyond_the_surge(&self) -> Checked {
        let mut now = SimTime::START;
        let Orchestrator::Kubernetes { surge, unavailable, at_once, .. } = self.case.orchestrator else {
            return Ok(());
        };
        let most = self.case.commands.sizes.1;
        let most = most + fenceposts(surge, unavailable, most).0;
        for wanted in &self.history.wanted {
            demand!(wanted.at >= now, "{wanted:?} comes out of order");
            now = wanted.at;
            demand!(wanted.desired.iter().sum::<u32>() <= most, "{wanted:?} is more than {most}");
        }
        self.at_every_moment(|at, fleet| {
            let live = fleet.values().filter(|change| is_live(change.to)).count() as u32;
            // A set's controller may create before another one has deleted.
            demand!(!at_once || live <= most, "{live} live instances at {at:?}, more than {most}");
            Ok(())
        })
    }

    fn places_hold_one_process(&self) -> Checked {
        let of_a_kind: fn(Phase) -> bool = match self.case.orchestrator {
            Orchestrator::Kubernetes { .. }
            | Orchestrator::Shift(_)
            | Orchestrator::Nomad(_)
            | Orchestrator::Argo(_)
            | Orchestrator::Ecs(_) => return Ok(()),
            // A place is empty before the next version is put there.
            Orchestrator::Octopus { .. } | Orchestrator::Waves(_) => |phase| phase != Phase::Gone,
            Orchestrator::Swarm { update, .. } => {
                let waits = !update.start_first
                    && self.case.stops_within_a_minute
                    && !self.is_another_version_asked_for()
                    && !self.case.commands.scales();
                if !waits {
                    return Ok(());
                }
                |phase| !matches!(phase, Phase::Gone | Phase::Pulling | Phase::Prepared)
            }
        };
        self.at_every_moment(|at, fleet| {
            let mut slots: Vec<u32> =
                fleet.values().filter(|change| of_a_kind(change.to)).map(|change| change.slot.0).collect();
            slots.sort_unstable();
            let shared = slots.windows(2).find(|pair| pair[0] == pair[1]);
            demand!(shared.is_none(), "two processes at {at:?} in slot {shared:?}");
            Ok(())
        })
    }

    /// Looks at the fleet as each moment leaves it.
    pub(super) fn at_every_moment(&self, mut look: impl FnMut(SimTime, &BTreeMap<u32, Change>) -> Checked) -> Checked {
        let mut fleet: BTreeMap<u32, Change> = BTreeMap::new();
        for moment in self.history.changes.chunk_by(|a, b| a.at == b.at) {
            for change in moment {
                fleet.insert(change.instance.0, *change);
                if change.to == Phase::Gone {
                    fleet.remove(&change.instance.0);
                }
            }
            look(moment[0].at, &fleet)?;
        }
        Ok(())
    }

    /// When instances become available (+1) and cease to be (-1).
    fn availability(&self) -> BTreeMap<SimTime, i64> {
        let min_ready = match self.case.orchestrator {
            Orchestrator::Kubernetes { min_ready, .. } => min_ready,
            _ => 0,
        };
        let available_from = |ready: SimTime| available_from(ready, min_ready);
        let mut steps: BTreeMap<SimTime, i64> = BTreeMap::new();
        let mut listed_since: BTreeMap<u32, SimTime> = BTreeMap::new();
        for change in &self.history.changes {
            if change.listed {
                listed_since.entry(change.instance.0).or_insert(change.at);
            } else if let Some(since) = listed_since.remove(&change.instance.0).map(available_from)
                && since < change.at
            {
                *steps.entry(since).or_default() += 1;
                *steps.entry(change.at).or_default() -= 1;
            }
        }
        for since in listed_since.into_values() {
            *steps.entry(available_from(since)).or_default() += 1;
        }
        steps
    }

    fn the_promise_is_kept(&self) -> Checked {
        // Scaling takes from all sets of a Deployment in proportion, available or not.
        let takes_more =
            matches!(self.case.orchestrator, Orchestrator::Kubernetes { .. }) && self.case.commands.scales();
        if !self.case.is_sound || takes_more {
            return Ok(());
        }
        let (fewest, most) = self.case.commands.sizes;
        // Scaling begins a Swarm update, and a Nomad deployment, anew.
        let begins_anew = matches!(self.case.orchestrator, Orchestrator::Swarm { .. } | Orchestrator::Nomad(_));
        let is_another = begins_anew && self.case.commands.scales();
        let is_moved = is_another || self.case.commands.retargets && !self.case.commands.is_one_undo;
        let moved = if is_moved { self.case.commands.count as u32 } else { 0 };
        let floor = |undone| {
            let floors = (fewest..=most).map(|desired| (desired, self.case.orchestrator.floor(desired, undone, moved)));
            // A wave that is out stays so when the service shrinks, as large as it was.
            if let Orchestrator::Waves(_) = self.case.orchestrator {
                let out = floors.map(|(desired, floor)| desired - floor).max();
                return i64::from(fewest.saturating_sub(out.unwrap_or(0)));
            }
            floors.map(|(_, floor)| floor).min().map_or(0, i64::from)
        };
        let mut available = 0;
        for (at, step) in self.availability() {
            available += step;
            let undone = !is_moved && self.history.rollback_at.is_some_and(|undone_at| undone_at <= at);
            demand!(available >= floor(undone), "{available} available at {at:?}, promised are {}", floor(undone));
        }
        Ok(())
    }

    fn live_at_the_end(&self) -> BTreeMap<u32, Change> {
        let mut fleet: BTreeMap<u32, Change> = BTreeMap::new();
        for change in &self.history.changes {
            fleet.insert(change.instance.0, *change);
        }
        fleet.retain(|_, change| change.to != Phase::Gone);
        fleet
    }

    fn is_another_version_asked_for(&self) -> bool {
        self.case.commands.retargets || self.history.rollback_at.is_some()
    }

    /// Whatever breaks, Kubernetes sends nobody away who is available where too few would be left. Only where an
    /// instance that is not available yet has been ready about as long, their ages being compared by powers of two, the
    /// other one may go in its place.
    fn the_controller_keeps_the_floor(&self) -> Checked {
        let Orchestrator::Kubernetes { surge, unavailable, min_ready, recreates, at_once } = self.case.orchestrator
        else {
            return Ok(());
        };
        if !at_once || recreates || self.case.commands.scales() {
            return Ok(());
        }
        let floor = i64::from(self.case.desired - fenceposts(surge, unavailable, self.case.desired).1);
        let steps = self.availability();
        let mut serving: BTreeMap<u32, Change> = BTreeMap::new();
        for moment in self.history.changes.chunk_by(|a, b| a.at == b.at) {
            let at = moment[0].at;
            let left = |change: &&Change| serving.contains_key(&change.instance.0) && change.to == Phase::Draining;
            let sent_away: Vec<Change> = moment.iter().filter(left).map(|change| serving[&change.instance.0]).collect();
            let lapsed = moment.iter().any(|change| matches!(change.to, Phase::Down | Phase::Unready));
            for change in moment {
                if change.to == Phase::Ready {
                    serving.insert(change.instance.0, *change);
                } else {
                    serving.remove(&change.instance.0);
                }
            }
            if !sent_away.is_empty() && !lapsed {
                let available: i64 = steps.range(..=at).map(|(_, step)| step).sum();
                // Who has only just become ready is sent away as one that never was available.
                let before: i64 = steps.range(..at).map(|(_, step)| step).sum();
                let is_available = |change: &Change| available_from(change.at, min_ready) < at;
                let spared = serving.values().filter(|other| {
                    let is_equal = |gone: &&Change| {
                        gone.version == other.version && magnitude(at, gone.at) == magnitude(at, other.at)
                    };
                    !is_available(other) && sent_away.iter().filter(is_equal).any(is_available)
                });
                let spared = i64::try_from(spared.count()).expect("a fleet is smaller");
                demand!(
                    available + spared >= floor || available >= before,
                    "{} sent away at {at:?}, {available} of {floor} are left",
                    sent_away.len()
                );
            }
        }
        Ok(())
    }

    /// Swarm has no more new tasks on their way at once than it has workers.
    fn workers_are_as_many_as_allowed(&self) -> Checked {
        let Orchestrator::Swarm { update, .. } = self.case.orchestrator else { return Ok(()) };
        let most = if update.parallelism == 0 { u32::MAX } else { update.parallelism };
        // The restart supervisor and the reconciler create tasks of their own, for what failed and what is missing.
        if !self.case.is_sound || self.is_another_version_asked_for() || self.case.commands.scales() {
            return Ok(());
        }
        let mut on_their_way: BTreeMap<u32, Phase> = BTreeMap::new();
        for change in &self.history.changes {
            match change.to {
                Phase::Pulling => {
                    on_their_way.insert(change.instance.0, change.to);
                }
                Phase::Prepared | Phase::Starting => {}
                _ => {
                    on_their_way.remove(&change.instance.0);
                }
            }
            let count = on_their_way.len();
            demand!(count as u64 <= u64::from(most), "{count} new tasks at {:?}, for {most} workers", change.at);
        }
        Ok(())
    }

    /// With start-first, a healthy old task of Swarm goes after a new one of its slot has run.
    fn what_serves_is_replaced_first(&self) -> Checked {
        let Orchestrator::Swarm { update, .. } = self.case.orchestrator else { return Ok(()) };
        // Where a slot has a replacement of a failed task already, the old one goes at once.
        let is_plain = self.case.is_sound && !self.is_another_version_asked_for() && !self.case.commands.scales();
        if !update.start_first || !is_plain {
            return Ok(());
        }
        let mut ran: BTreeSet<u32> = BTreeSet::new();
        for change in &self.history.changes {
            if change.version == Version::OLD {
                let is_early = change.to == Phase::Draining && !ran.contains(&change.slot.0);
                demand!(!is_early, "{change:?}, and no new task has run");
            } else if change.to == Phase::Ready {
                ran.insert(change.slot.0);
            }
        }
        Ok(())
    }

    /// When the turn of each Octopus target came: its old instance leaves the balancer. Only where nothing breaks.
    fn turns(&self) -> Vec<(SimTime, u32)> {
        let mut listed: BTreeSet<u32> = BTreeSet::new();
        let mut turns = Vec::new();
        for change in self.history.changes.iter().filter(|change| change.version == Version::OLD) {
            if change.listed {
                listed.insert(change.instance.0);
            } else if listed.remove(&change.instance.0) {
                turns.push((change.at, change.slot.0));
            }
        }
        turns
    }

    /// When a new process ended before it was up for the first time. Only where being up is being ready.
    fn first_start_that_fails(&self) -> Option<SimTime> {
        let mut came_up: BTreeSet<u32> = BTreeSet::new();
        let is_probed = self.scenario.release.ready_probe.is_some();
        let is_readied = self.scenario.release.defect.as_ref().is_none_or(|defect| !defect.never_ready);
        let of_new = self.history.changes.iter().filter(|change| change.version > Version::OLD);
        for change in of_new.filter(|_| !is_probed && is_readied) {
            if change.to == Phase::Ready {
                came_up.insert(change.instance.0);
            } else if change.to == Phase::Down && !came_up.contains(&change.instance.0) {
                return Some(change.at);
            }
        }
        None
    }

    /// The targets of an Octopus deployment go by name, no more at once than the window holds, and none after a
    /// failure.
    fn targets_go_by_name(&self) -> Checked {
        let Orchestrator::Octopus { window, takes_out, is_guided, leaves_out, .. } = self.case.orchestrator else {
            return Ok(());
        };
        if self.is_another_version_asked_for() || self.case.commands.scales() || self.case.has_fault {
            return Ok(());
        }
        let turns = self.turns();
        for (place, (at, slot)) in turns.iter().enumerate() {
            demand!(*slot as usize == place, "the turn of target {slot} at {at:?} is the {place}th");
        }
        let reported = &self.history.reported;
        for (place, report) in reported.iter().enumerate() {
            if !matches!(report.word, "Failed" | "Paused") {
                continue;
            }
            let until = reported.get(place + 1).map_or(self.ends_at(), |next| next.at);
            let late = turns.iter().find(|(at, _)| report.at < *at && *at < until);
            demand!(late.is_none(), "{report:?}, and the turn of (at, target) {late:?} comes");
        }
        if let Some(failed_at) = self.first_start_that_fails().filter(|_| !is_guided) {
            let late = turns.iter().find(|(at, _)| *at > failed_at);
            demand!(late.is_none(), "a start failed at {failed_at:?}, and the turn of (at, target) {late:?} comes");
        }
        // A target is back when it serves again; one that failed is not, and stops the others.
        let returns = takes_out && !leaves_out && !self.case.has_defect;
        let mut out: BTreeSet<u32> = BTreeSet::new();
        for moment in self.history.changes.chunk_by(|a, b| a.at == b.at) {
            for change in moment {
                if change.listed {
                    out.remove(&change.slot.0);
                } else if change.version == Version::OLD && matches!(change.to, Phase::Ready | Phase::Draining) {
                    out.insert(change.slot.0);
                }
            }
            let (at, count) = (moment[0].at, out.len());
            let serves_late = self.scenario.release.ready_probe.is_some();
            let is_kept = !returns || serves_late || count <= window as usize;
            demand!(is_kept, "{count} targets are out at {at:?}, with a window of {window}");
        }
        Ok(())
    }

    fn waves_come_one_after_the_other(&self) -> Checked {
        let Orchestrator::Waves(waves) = &self.case.orchestrator else { return Ok(()) };
        if self.is_another_version_asked_for() || self.case.commands.scales() || self.case.has_fault {
            return Ok(());
        }
        waves_are_kept_apart(self, waves)
    }

    fn requests_go_where_they_are_served(&self) -> Checked {
        match &self.case.orchestrator {
            Orchestrator::Shift(shift) if self.case.commands.count == 0 => requests_follow_the_fleet(self, shift),
            _ => Ok(()),
        }
    }

    /// A rollout that was paused or has failed goes on only when somebody acts.
    fn what_has_stopped_stays_stopped(&self) -> Checked {
        let stops =
            |word: &str| matches!(word, "DeploymentPaused" | "paused" | "rollback_paused" | "Failed" | "failed");
        let History { reported, wanted, .. } = self.history;
        for (place, report) in reported.iter().enumerate().filter(|(_, report)| stops(report.word)) {
            let next = reported.get(place + 1);
            let nobody_acts = self.case.commands.count == 0 && self.case.is_left_to_itself;
            demand!(next.is_none() || !nobody_acts, "{report:?}, then {next:?}, and nobody acted");
            // A paused Deployment goes on to share out its surge, and drops the old sets once the new one is whole.
            if self.case.commands.scales() || report.word == "DeploymentPaused" {
                continue;
            }
            // Nomad replaces who is lost all the same, by what was asked for last; and canaries that are promoted while
            // the deployment is paused take the places of the others.
            if matches!(&self.case.orchestrator, Orchestrator::Nomad(n) if self.case.has_fault || n.canary > 0) {
                continue;
            }
            let until = next.map(|next| next.at);
            // Nor does it leave a task that has failed for good.
            let is_nomad = matches!(self.case.orchestrator, Orchestrator::Nomad(_));
            let fails = self.history.changes.iter().find(|change| change.to == Phase::Down).map(|change| change.at);
            let is_late = |at: SimTime| at > report.at && until.is_none_or(|until| at < until);
            let is_own = |at: SimTime| is_nomad && fails.is_some_and(|fails| fails <= at);
            let late = wanted.iter().find(|wanted| is_late(wanted.at) && !is_own(wanted.at));
            demand!(late.is_none(), "{report:?}, and {late:?} is wanted");
        }
        Ok(())
    }

    /// What was reported as done is there.
    fn the_outcome_fits_the_fleet(&self) -> Checked {
        if self.case.commands.count > 0 && !self.case.commands.is_one_undo {
            return Ok(()); // What was typed by then is not told; `it_ends_well` knows it where all was.
        }
        let History { outcome, ended_at, rollback_at, .. } = self.history;
        let target = match outcome {
            Outcome::Completed => Version::NEW,
            Outcome::RolledBack => Version::OLD,
            Outcome::Unfinished => {
                demand!(ended_at.is_none(), "what is unfinished has no end: {ended_at:?}");
                return Ok(());
            }
            Outcome::Paused | Outcome::Stuck | Outcome::Failed | Outcome::CutShort => {
                demand!(ended_at.is_some(), "{outcome:?} since when?");
                return Ok(());
            }
        };
        demand!(rollback_at.is_some() == (target == Version::OLD), "{outcome:?}, asked for at {rollback_at:?}");
        let ended_at = ended_at.ok_or("done, but when?")?;
        demand!(ended_at >= self.rollout_at() && ended_at <= self.ends_at(), "done at {ended_at:?}");
        // Whoever was excluded or ignored stays as it is.
        let may_be_left_out = matches!(self.case.orchestrator, Orchestrator::Octopus { leaves_out: true, .. });
        if may_be_left_out && !self.case.is_sound {
            return Ok(());
        }
        let live = |version: Version| {
            self.live_at_the_end().values().filter(|change| is_live(change.to) && change.version == version).count()
        };
        let (there, others) = (live(target), target.others().map(live).sum::<usize>());
        // Where replacements are limited, Swarm leaves a slot empty in the end, and calls that done, too.
        let gives_up = matches!(self.case.orchestrator, Orchestrator::Swarm { gives_slots_up: true, .. });
        // Nomad takes its time to replace who fails after it was healthy, and ECS waits for room.
        let is_late = matches!(self.case.orchestrator, Orchestrator::Nomad(_) | Orchestrator::Ecs(_));
        let may_lack = (gives_up || is_late) && !self.case.is_sound;
        let (desired, kept) = (self.case.desired as usize, self.kept(self.case.desired));
        // Where it has room, ECS has replacements beside the unhealthy.
        let may_exceed = matches!(self.case.orchestrator, Orchestrator::Ecs(_)) && !self.case.is_sound;
        let is_enough =
            (desired - kept..=desired).contains(&there) || may_lack && there < desired || may_exceed && there > desired;
        demand!(is_enough, "{outcome:?} with {there} of {desired}");
        // Swarm keeps the old task of a slot whose new one did not run.
        let may_keep_others = matches!(self.case.orchestrator, Orchestrator::Swarm { .. }) && !self.case.is_sound;
        // A set that got requests until now is kept for a while after the end.
        let keeps = matches!(&self.case.orchestrator, Orchestrator::Argo(argo) if argo.keeps_old());
        demand!(keeps || may_keep_others || others <= kept, "{outcome:?}, but {others} others live");
        Ok(())
    }

    /// How many of so many instances may keep what they run.
    fn kept(&self, desired: u32) -> usize {
        match &self.case.orchestrator {
            Orchestrator::Waves(waves) => waves.kept(desired) as usize,
            _ => 0,
        }
    }

    fn must_end_well(&self) -> bool {
        // Where some keep what they run, what waits for all of them to be replaced may never be typed.
        let is_typed = self.kept(self.case.desired) == 0 || !self.case.text.contains("when_ready");
        let waits = match &self.case.orchestrator {
            Orchestrator::Nomad(nomad) => nomad.is_never_promoted,
            Orchestrator::Ecs(ecs) => !ecs.can_move(self.case.commands.sizes),
            _ => false,
        };
        !waits && self.case.is_sound && self.case.is_left_alone && self.case.has_time && is_typed
    }

    fn it_ends_well(&self) -> Checked {
        let commands = self.case.commands;
        let expected = if commands.target < commands.newest { Outcome::RolledBack } else { Outcome::Completed };
        let outcome = self.history.outcome;
        if commands.stays_paused && outcome == Outcome::Paused {
            return Ok(());
        }
        demand!(outcome == expected, "{outcome:?}, not {expected:?}");
        let (target, size) = (Version(commands.target), commands.size as usize);
        let fleet = self.live_at_the_end();
        let serving: Vec<&Change> =
            fleet.values().filter(|change| change.to == Phase::Ready && change.listed).collect();
        let moved = serving.iter().filter(|change| change.version == target).count();
        let serving = serving.len();
        // Nothing leaves while a Rollout is paused, not even what it has replaced.
        let keeps = matches!(&self.case.orchestrator, Orchestrator::Argo(argo) if argo.keeps_old());
        if commands.stays_paused && keeps {
            return Ok(());
        }
        demand!(serving == size, "{serving} of {size} serve in the end");
        demand!(moved + self.kept(commands.size) >= size, "{moved} of {size} serve in version {target} in the end");
        demand!(fleet.len() == serving, "{} exist in the end, {serving} serve", fleet.len());
        Ok(())
    }
}

/// When an instance is available that is ready since a moment.
fn available_from(ready: SimTime, min_ready_s: u64) -> SimTime {
    let is_counted_in_seconds = min_ready_s > 0 && ready > SimTime::START;
    if !is_counted_in_seconds {
        return ready;
    }
    (in_whole_seconds(ready) + Duration::from_secs(min_ready_s)).max(ready)
}

/// A timestamp as it is kept.
fn in_whole_seconds(at: SimTime) -> SimTime {
    SimTime::from_nanos(at.nanos() / 1_000_000_000 * 1_000_000_000)
}

/// How long something has been so, by powers of two; what is so from the start on has been so for long.
fn magnitude(now: SimTime, since: SimTime) -> Option<u32> {
    let age = now.since(in_whole_seconds(since)).as_nanos().checked_ilog2().unwrap_or(0);
    (since > SimTime::START).then_some(age)
}

fn is_live(phase: Phase) -> bool {
    !matches!(phase, Phase::Draining | Phase::Stopping | Phase::Gone)
}

/// What an instance may do next, told once more in other words.
fn is_legal(from: Phase, to: Phase) -> bool {
    let next: &[Phase] = match from {
        Phase::Pulling => &[Phase::Prepared, Phase::Stopping, Phase::Gone],
        Phase::Prepared => &[Phase::Starting, Phase::Stopping, Phase::Gone],
        Phase::Down => &[Phase::Starting, Phase::Gone],
        Phase::Starting => &[Phase::Ready, Phase::Down, Phase::Stopping],
        Phase::Ready => &[Phase::Unready, Phase::Draining, Phase::Down],
        Phase::Unready => &[Phase::Ready, Phase::Draining, Phase::Down],
        Phase::Draining => &[Phase::Stopping, Phase::Gone],
        Phase::Stopping => &[Phase::Gone],
        Phase::Gone => &[],
    };
    next.contains(&to)
}
