//! What an Octopus rolling step decides: a window that slides over the targets, and the child steps on each of them.
//!
//! Sources: the Octopus documentation of rolling deployments, guided failures, steps' conditions (run conditions,
//! execution time-outs), transient targets and deployment target triggers; issues of OctopusDeploy/Issues: 4968 and
//! 7743 (targets go by name), 7078 (a failure starts no further target), 8170 (parallelism), 1452 (guidance is per
//! child step: Ignore goes on with the next one), 2885 (the tenth Retry is the last), 4669 and 5891 (Exclude: no
//! further step runs on that target). Octopus has no balancer and no health gate of its own: draining and testing are
//! child steps, and the rollout goes by their success. Packages are fetched within the deploy step.
//!
//! Every child step runs on the target: it fails where the target cannot be reached because its place is under repair,
//! and where it takes longer than the time-out. A process that merely ended leaves the target within reach. Deploying
//! fails when the process ends, and is done when it is up; a test fails when the target is not ready at its end.
//! Without a time-out, a process that neither comes up nor ends is waited for for ever.
//!
//! While a human is asked about one target, no further target starts, and those in flight run to their end: the task is
//! paused once what executes in parallel has completed (issue 10041 on interruptions, which is what requests for
//! guidance are; 92 on the word).
//!
//! A release that was asked for later waits until the targets in flight are done; the others are left to it, for
//! whoever asks for it cancels the task before. A target that is added is deployed to when all others were, and one
//! that is removed is stopped: that is how a service on targets is scaled, with a deployment target trigger.

use super::agenda::Agenda;
use super::{Action, Command, Decision, Facts, Resolved, Status, Test, View, as_written, earlier};
use crate::distribution::Delay;
use crate::fleet::{Instance, InstanceId, Phase, Slot, Version};
use crate::random::{GOLDEN, mix, unit};
use crate::time::SimTime;
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

/// Targets in flight where no window size is given: the step is then not a rolling one and runs on ten at a time.
pub const WITHOUT_WINDOW: u32 = 10;

/// How often a child step may be retried at most.
pub const MOST_RETRIES: u32 = 10;

/// Guided failure: whenever a child step fails, a human is asked.
#[derive(Clone, Debug, PartialEq)]
pub struct Guidance {
    /// From the failure to the answer.
    pub answers_after: Delay,
    /// What the answer is.
    pub answer: Answer,
}

/// What a human answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Answer {
    /// Fail, as without being asked.
    Fail,
    /// Run the child step again, so often at most; then fail.
    Retry {
        /// How often.
        most: u32,
    },
    /// Go on with the next child step.
    Ignore,
    /// Leave the target as it is, and go on with the others.
    Exclude,
}

/// A rolling step's settings.
#[derive(Clone, Debug, PartialEq)]
pub struct Settings {
    /// Targets in flight at once.
    pub window_size: u32,
    /// How long taking a target out of the balancer takes; `None`: there is no such child step, and a target is
    /// stopped while it is in use.
    pub take_out: Option<Duration>,
    /// The test; `None`: there is no such child step.
    pub test: Option<Test>,
    /// How long putting a target back takes. It happens only where a target was taken out.
    pub put_back: Duration,
    /// The put-back step has the run condition "always": it runs on a target whose child step failed, too.
    pub put_back_always: bool,
    /// How long one child step may take on one target; `None`: for ever.
    pub step_timeout: Option<Duration>,
    /// Who is asked when a child step fails; `None`: nobody.
    pub guidance: Option<Guidance>,
    /// A target that cannot be reached when its turn comes is left for when it is back; otherwise it fails.
    pub skip_unavailable: bool,
    /// What is typed while the rollout is under way.
    pub commands: Vec<Command>,
}

/// What the server holds between two decisions.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Memory {
    deployment: Option<Deployment>,
    /// How many targets there are.
    targets: u32,
    /// How many of them hold each version, or are about to.
    wanted: [u32; Version::COUNT],
}

/// One run of the step over all targets.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Deployment {
    /// Which release it is of those that were asked for.
    revision: u32,
    target: Version,
    /// The next slot in the order of names.
    next: u32,
    in_flight: BTreeMap<Slot, InFlight>,
    /// Targets in flight that are to be looked at.
    agenda: Agenda<Slot>,
    /// Targets in flight of which a human is asked.
    questions: BTreeSet<Slot>,
    /// Left out because they could not be reached, and those of them that can be now.
    skipped: BTreeSet<Slot>,
    back: BTreeSet<Slot>,
    failed: bool,
}

/// A target in the window.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct InFlight {
    slot: Slot,
    step: ChildStep,
    since: SimTime,
    /// What the deploy step has launched.
    instance: Option<InstanceId>,
    /// How often this child step has failed so far.
    failures: u32,
    /// A human is asked, and answers then.
    answered_at: Option<SimTime>,
    /// A child step failed, and the rest is skipped but for what runs always.
    failed: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum ChildStep {
    TakeOut,
    Stop,
    Deploy,
    Test,
    PutBack,
}

/// How a child step stands.
enum Standing {
    /// Runs until something happens, or until then.
    Running(Option<SimTime>),
    Passed,
    Failed,
}

/// Where a target stands after a look at it.
enum Next {
    /// Stays until something happens, or until then.
    Stay(Option<SimTime>),
    /// Begins this child step, perhaps once more.
    Begin(ChildStep),
    /// Leaves the window.
    Leave,
}

/// A decision under way.
struct Draft<'a> {
    view: &'a View<'a>,
    /// What the deployment brings.
    target: Version,
    actions: Vec<Action>,
    launched: u32,
    /// Nothing that is remembered has changed.
    settled: bool,
}

impl Draft<'_> {
    fn target_in(&self, slot: Slot) -> Option<&Instance> {
        self.view.fleet.live_in_slot(slot).last().map(|(_, instance)| instance)
    }

    /// Whether child steps can run on a target at all.
    fn can_reach(&self, slot: Slot) -> bool {
        !self.view.fleet.in_slot(slot).any(|(_, instance)| instance.under_repair)
    }

    fn on_all_in(&mut self, slot: Slot, action: impl Fn(InstanceId) -> Action) {
        self.actions.extend(self.view.fleet.live_in_slot(slot).map(|(id, _)| action(id)));
    }
}

impl Facts for Settings {
    fn name(&self) -> &'static str {
        "octopus"
    }

    fn commands(&self) -> &[Command] {
        &self.commands
    }

    fn commands_mut(&mut self) -> &mut Vec<Command> {
        &mut self.commands
    }

    fn resolves(&self, desired: u32) -> Vec<Resolved> {
        let at_once = self.window_size.min(desired);
        let mut all =
            vec![Resolved::new("window size", self.window_size, format!("{at_once} of {desired} targets at once"))];
        if let Some(takes) = self.take_out {
            all.push(Resolved::new(
                "take out",
                as_written(takes),
                "out of the balancer for that long before the old one stops",
            ));
        }
        if let Some(test) = self.test {
            let finds = format!("finds a defect with a chance of {:.0} %", test.finds * 100.0);
            all.push(Resolved::new("test", as_written(test.takes), finds));
        }
        if self.take_out.is_some() {
            all.push(Resolved::new("put back", as_written(self.put_back), "back into the balancer after that"));
        }
        if let Some(limit) = self.step_timeout {
            all.push(Resolved::new("step time-out", as_written(limit), "a child step that takes longer has failed"));
        }
        let failed = if self.guidance.is_some() { "a human is asked" } else { "no further target begins" };
        all.push(Resolved::new(
            "guided failure",
            if self.guidance.is_some() { "on" } else { "off" },
            format!("when a step fails {failed}"),
        ));
        all
    }

    fn out_before_stop(&self) -> Duration {
        self.take_out.unwrap_or_default()
    }

    fn keeps_places(&self) -> bool {
        true
    }
}

impl Settings {
    /// What is remembered before the rollout: all old.
    pub fn memory(&self, desired: u32) -> Memory {
        let mut wanted = [0; Version::COUNT];
        wanted[Version::OLD.index()] = desired;
        Memory { deployment: None, targets: desired, wanted }
    }

    /// One decision of the server.
    pub fn decide(&self, view: &View<'_>, memory: &mut Memory) -> Decision {
        let taken = memory.deployment.take();
        let under_way = taken.filter(|taken| taken.revision == view.revision || !taken.in_flight.is_empty());
        let settled = under_way.is_some();
        let mut deployment = under_way.unwrap_or_else(|| Deployment::new(view.revision, view.target));
        deployment.hear(view);
        let mut draft = Draft { view, target: deployment.target, actions: Vec::new(), launched: 0, settled };
        self.remove_targets(&mut draft, &mut deployment, memory);
        deployment.look_at_skipped(&draft);
        let superseded = deployment.revision != view.revision;
        // A target that leaves frees its place at once, so look again until nothing moves.
        loop {
            self.advance(&mut draft, &mut deployment, memory);
            let may_start = !deployment.failed && !superseded && !view.halted && deployment.questions.is_empty();
            if !may_start || !self.enter_targets(&mut draft, &mut deployment, memory) {
                break;
            }
        }
        let (status, reported) = match () {
            () if !deployment.questions.is_empty() => (Status::Paused, "Paused"),
            () if superseded => (Status::Progressing, "Cancelling"),
            () if !deployment.in_flight.is_empty() => (Status::Progressing, "Executing"),
            () if deployment.failed => (Status::Failed, "Failed"),
            () if deployment.next == view.desired => (Status::Completed, "Success"),
            () => (Status::Paused, "Paused"),
        };
        let desired = memory.wanted;
        let ask_again = deployment.agenda.wakes_next(view.now);
        memory.deployment = Some(deployment);
        let Draft { actions, settled, .. } = draft;
        Decision { actions, settled, ask_again, status, reported, desired, roll_back: false }
    }

    /// Targets that are no more are stopped, whatever the deployment does.
    fn remove_targets(&self, draft: &mut Draft<'_>, deployment: &mut Deployment, memory: &mut Memory) {
        let desired = draft.view.desired;
        if desired == memory.targets {
            return;
        }
        for slot in (desired..memory.targets).map(Slot) {
            let is_in_flight = deployment.in_flight.contains_key(&slot);
            let held = draft.target_in(slot).map(|instance| instance.version);
            if let Some(version) = if is_in_flight { Some(deployment.target) } else { held } {
                memory.wanted[version.index()] -= 1;
            }
            self.stop(draft, slot);
        }
        deployment.in_flight.split_off(&Slot(desired));
        for slots in [&mut deployment.questions, &mut deployment.skipped, &mut deployment.back] {
            slots.split_off(&Slot(desired));
        }
        deployment.next = deployment.next.min(desired);
        memory.targets = desired;
        draft.settled = false;
    }

    /// Brings the targets in flight forward that are to be looked at.
    fn advance(&self, draft: &mut Draft<'_>, deployment: &mut Deployment, memory: &mut Memory) {
        while let Some(slot) = deployment.agenda.next(draft.view.now) {
            let Some(before) = deployment.in_flight.get(&slot).copied() else { continue };
            let mut flight = before;
            let until = loop {
                match self.look(draft, &mut flight) {
                    Next::Stay(until) => break Some(until),
                    Next::Begin(step) => self.begin(draft, &mut flight, step),
                    Next::Leave => break None,
                }
            };
            deployment.failed |= flight.failed;
            draft.settled &= flight == before && until.is_some();
            if let Some(until) = until {
                until.inspect(|until| deployment.agenda.wake_at(*until, slot));
                deployment.note_question(&flight);
                deployment.in_flight.insert(slot, flight);
                continue;
            }
            deployment.in_flight.remove(&slot);
            deployment.questions.remove(&slot);
            if flight.instance.is_none() {
                memory.wanted[draft.target.index()] -= 1;
                if let Some(instance) = draft.target_in(slot) {
                    memory.wanted[instance.version.index()] += 1;
                }
            }
        }
    }

    /// The next targets enter the window, by name, and after them those that are back; whether there was one.
    fn enter_targets(&self, draft: &mut Draft<'_>, deployment: &mut Deployment, memory: &mut Memory) -> bool {
        let before = deployment.in_flight.len();
        while deployment.in_flight.len() < self.window_size as usize {
            let slot = if deployment.next < draft.view.desired {
                let slot = Slot(deployment.next);
                deployment.next += 1;
                draft.settled = false;
                if self.skip_unavailable && !draft.can_reach(slot) {
                    deployment.skipped.insert(slot);
                    continue;
                }
                slot
            } else {
                let Some(slot) = deployment.back.pop_first() else { break };
                deployment.skipped.remove(&slot);
                slot
            };
            if let Some(instance) = draft.target_in(slot) {
                memory.wanted[instance.version.index()] -= 1;
            }
            memory.wanted[draft.target.index()] += 1;
            let first = if self.take_out.is_some() { ChildStep::TakeOut } else { ChildStep::Stop };
            let mut flight = InFlight {
                slot,
                step: first,
                since: draft.view.now,
                instance: None,
                failures: 0,
                answered_at: None,
                failed: false,
            };
            self.begin(draft, &mut flight, first);
            deployment.in_flight.insert(slot, flight);
            deployment.agenda.call(slot);
            draft.settled = false;
        }
        deployment.in_flight.len() > before
    }

    /// A child step begins, perhaps once more.
    fn begin(&self, draft: &mut Draft<'_>, flight: &mut InFlight, step: ChildStep) {
        if step != flight.step {
            flight.failures = 0;
        }
        flight.step = step;
        flight.since = draft.view.now;
        // A target that cannot be reached notices nothing of it.
        if !draft.can_reach(flight.slot) {
            return;
        }
        match step {
            ChildStep::TakeOut => draft.on_all_in(flight.slot, Action::TakeOut),
            ChildStep::Stop => self.stop(draft, flight.slot),
            ChildStep::Deploy => {
                // Whatever an earlier step has left there goes first.
                flight.instance = None;
                self.stop(draft, flight.slot);
            }
            ChildStep::Test | ChildStep::PutBack => {}
        }
    }

    /// Stops what runs on a target; it is drained only where a child step has taken it out.
    fn stop(&self, draft: &mut Draft<'_>, slot: Slot) {
        let drain = self.take_out.is_some();
        draft.on_all_in(slot, |instance| Action::Terminate { instance, drain });
    }

    /// What becomes of a target in the window.
    fn look(&self, draft: &mut Draft<'_>, flight: &mut InFlight) -> Next {
        let now = draft.view.now;
        if let Some(answered_at) = flight.answered_at {
            if now < answered_at {
                return Next::Stay(Some(answered_at));
            }
            flight.answered_at = None;
            return match self.guidance.as_ref().map(|guidance| guidance.answer) {
                Some(Answer::Retry { most }) if flight.failures <= most => Next::Begin(flight.step),
                Some(Answer::Ignore) => self.after(flight.step),
                Some(Answer::Exclude) => Next::Leave,
                Some(Answer::Fail | Answer::Retry { .. }) | None => self.fail(flight),
            };
        }
        let timed_out_at = self.step_timeout.map(|timeout| flight.since + timeout);
        match self.standing(draft, flight) {
            Standing::Passed if flight.failed => Next::Leave,
            Standing::Passed => self.after(flight.step),
            Standing::Running(until) if timed_out_at.is_none_or(|at| now < at) => {
                Next::Stay(earlier(until, timed_out_at))
            }
            Standing::Running(_) | Standing::Failed => self.ask(draft, flight),
        }
    }

    /// How the child step of a target stands.
    fn standing(&self, draft: &mut Draft<'_>, flight: &mut InFlight) -> Standing {
        if !draft.can_reach(flight.slot) {
            return Standing::Failed;
        }
        let (view, slot) = (draft.view, flight.slot);
        let takes = match flight.step {
            ChildStep::Stop | ChildStep::Deploy => Duration::ZERO,
            ChildStep::TakeOut => self.take_out.expect("the step exists"),
            ChildStep::Test => self.test.expect("the step exists").takes,
            ChildStep::PutBack => self.put_back,
        };
        let done_at = flight.since + takes;
        if view.now < done_at {
            return Standing::Running(Some(done_at));
        }
        match flight.step {
            // Actions of this very decision are not performed yet: whoever lives is about to be stopped.
            ChildStep::Stop if view.fleet.in_slot(slot).next().is_some() => Standing::Running(None),
            ChildStep::TakeOut | ChildStep::Stop => Standing::Passed,
            ChildStep::Deploy => self.deploying(draft, flight),
            ChildStep::Test => {
                let finds = self.test.expect("the step exists").finds;
                // The instance's own luck decides, not a draw: the same instance passes or fails under every
                // strategy.
                let passes = draft.target_in(slot).is_some_and(|instance| {
                    let shows = instance.misbehaves_from.is_some_and(|from| from <= view.now);
                    let found = shows && unit(luck(instance.rank, flight.failures)) < finds;
                    instance.phase() == Phase::Ready && !found
                });
                if passes { Standing::Passed } else { Standing::Failed }
            }
            ChildStep::PutBack => {
                draft.on_all_in(slot, Action::PutBack);
                Standing::Passed
            }
        }
    }

    /// How the deploy step of a target stands; it launches once nothing is left there.
    fn deploying(&self, draft: &mut Draft<'_>, flight: &mut InFlight) -> Standing {
        let fleet = draft.view.fleet;
        let Some(id) = flight.instance else {
            if fleet.in_slot(flight.slot).next().is_none() {
                let (slot, held_out) = (Some(flight.slot), self.take_out.is_some());
                draft.actions.push(Action::Launch { version: draft.target, slot, hold: false, held_out });
                flight.instance = Some(InstanceId(fleet.len() as u32 + draft.launched));
                draft.launched += 1;
            }
            return Standing::Running(None);
        };
        if id.index() >= fleet.len() {
            return Standing::Running(None);
        }
        match (fleet[id].first_failure, fleet[id].first_started) {
            (Some(_), _) => Standing::Failed,
            (None, Some(_)) => Standing::Passed,
            (None, None) => Standing::Running(None),
        }
    }

    /// The child step after one that passed or was ignored.
    fn after(&self, step: ChildStep) -> Next {
        match step {
            ChildStep::TakeOut => Next::Begin(ChildStep::Stop),
            ChildStep::Stop => Next::Begin(ChildStep::Deploy),
            ChildStep::Deploy if self.test.is_some() => Next::Begin(ChildStep::Test),
            ChildStep::Deploy | ChildStep::Test if self.take_out.is_some() => Next::Begin(ChildStep::PutBack),
            ChildStep::Deploy | ChildStep::Test | ChildStep::PutBack => Next::Leave,
        }
    }

    /// A child step failed: a human is asked, if there is one.
    fn ask(&self, draft: &Draft<'_>, flight: &mut InFlight) -> Next {
        let Some(guidance) = self.guidance.as_ref().filter(|_| !flight.failed) else {
            return self.fail(flight);
        };
        let rank = draft.target_in(flight.slot).map_or(mix(flight.slot.0.into()), |instance| instance.rank);
        // Another luck than the test's, which is the same number of failures away from this one.
        let luck = mix(luck(rank, flight.failures) ^ flight.step as u64);
        flight.failures += 1;
        let answered_at = draft.view.now + guidance.answers_after.by_luck(luck);
        flight.answered_at = Some(answered_at);
        Next::Stay(Some(answered_at))
    }

    /// The target stays as it is, out of the balancer, unless it is put back all the same.
    fn fail(&self, flight: &mut InFlight) -> Next {
        let tries_to_put_back = flight.failed || flight.step == ChildStep::PutBack;
        flight.failed = true;
        let puts_back = self.put_back_always && self.take_out.is_some() && !tries_to_put_back;
        if puts_back { Next::Begin(ChildStep::PutBack) } else { Next::Leave }
    }
}

impl Deployment {
    fn new(revision: u32, target: Version) -> Self {
        Deployment {
            revision,
            target,
            next: 0,
            in_flight: BTreeMap::new(),
            agenda: Agenda::default(),
            questions: BTreeSet::new(),
            skipped: BTreeSet::new(),
            back: BTreeSet::new(),
            failed: false,
        }
    }

    /// Something has happened to targets in flight.
    fn hear(&mut self, view: &View<'_>) {
        for slot in view.fleet.changed().iter().map(|id| view.fleet[*id].slot) {
            if self.in_flight.contains_key(&slot) {
                self.agenda.call(slot);
            }
        }
    }

    /// Which of the targets that were left out are within reach.
    fn look_at_skipped(&mut self, draft: &Draft<'_>) {
        if self.skipped.is_empty() {
            return;
        }
        for id in draft.view.fleet.changed() {
            let slot = draft.view.fleet[*id].slot;
            if !self.skipped.contains(&slot) || !draft.can_reach(slot) {
                self.back.remove(&slot);
            } else {
                self.back.insert(slot);
            }
        }
    }

    /// Whether a human is asked about a target.
    fn note_question(&mut self, flight: &InFlight) {
        if flight.answered_at.is_some() {
            self.questions.insert(flight.slot);
        } else {
            self.questions.remove(&flight.slot);
        }
    }
}

/// The luck of an instance's n-th repetition of something, the first one being its 0th.
fn luck(rank: u64, repetition: u32) -> u64 {
    mix(rank.wrapping_add(GOLDEN.wrapping_mul(repetition.into())))
}

#[cfg(test)]
mod tests;
