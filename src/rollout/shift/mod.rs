//! What a rollout by traffic shifting decides: a second fleet is built beside the first one, and requests move over to it
//! in steps. One step of 100 % is blue/green; several are a weighted canary, linear or not.
//!
//! These are words of our own, for what meshes, ingresses and cloud balancers are used for by scripts. Their models: AWS
//! CodeDeploy, "Working with deployment configurations" (canary: one small step, then all; linear: equal steps; all at
//! once) and "Deployments on an Amazon ECS compute platform" (tests before traffic, the old fleet kept until a
//! termination wait is over, reverting by routing back to it); Martin Fowler, "BlueGreenDeployment"; Google, Site
//! Reliability Workbook, chapter 16, "Canarying releases" (a share of the traffic, judged against a criterion).
//!
//! A step goes like this: the new fleet grows to what the step needs; before the first request it is tested; the requests'
//! share is set; it soaks, and what the new version answered meanwhile is analysed; a human may have to let it go on.
//! After the last step the old fleet is kept for a while, and leaves.
//!
//! Instances that are gone are replaced. The rollout fails when a process of the new version ends unasked, when a test or
//! an analysis finds something, or when the new fleet takes too long. What is asked for meanwhile takes over at once: the
//! version that got requests before gets all of them back in one step, as soon as its fleet is as large as it was asked to
//! be; another one is rolled out beside the one that has most of the requests, once that has all of them. Nobody
//! tests, analyses or gates a rollback.

use super::{
    Action, Answers, Command, Decision, Facts, OnFailure, Resolved, Split, Status, Test, View, as_written, earlier,
};
use crate::distribution::Delay;
use crate::fleet::{Instance, InstanceId, Phase, Version};
use crate::random::{mix, unit};
use crate::time::SimTime;
use std::num::NonZeroU32;
use std::time::Duration;

/// How long the old fleet is kept where nobody says: until balancers have heard of the last step (Argo Rollouts,
/// `scaleDownDelaySeconds`).
pub const KEEP_OLD: Duration = Duration::from_secs(30);

/// How large the two fleets are.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Capacity {
    /// Both as large as the service, until the old one leaves: room for twice as many.
    #[default]
    Double,
    /// The new fleet is as large as its share needs, rounded up; the old one stays whole until the end.
    Grown,
    /// Both are as large as their shares need, rounded up; the old one shrinks when the next step begins.
    Exchanged,
}

/// The criterion for what the new version answered during a soak.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Analysis {
    /// The largest share of attempts that may fail, 0 to 1.
    pub max_failed: f64,
    /// The largest share of answers that may be later than the target of their class, 0 to 1.
    pub max_late: f64,
    /// With fewer attempts nothing is concluded.
    pub at_least: u64,
    /// How often it is judged, by what was answered since the time before; positive. `None`: when the soak ends.
    pub every: Option<Duration>,
}

impl Analysis {
    /// Whether what was answered between two moments passes; `None`: that is too little to tell.
    pub fn passes(&self, before: Answers, after: Answers) -> Option<bool> {
        let (good, failed, late) = (after.good - before.good, after.failed - before.failed, after.late - before.late);
        let all = good + failed;
        let share = |part: u64, of: u64| if of == 0 { 0.0 } else { part as f64 / of as f64 };
        let passes = || share(failed, all) <= self.max_failed && share(late, good) <= self.max_late;
        (all >= self.at_least.max(1)).then(passes)
    }
}

/// A human who must let the rollout go on.
#[derive(Clone, Debug, PartialEq)]
pub struct Gate {
    /// After which step, counted from 1; after the last one nobody is asked.
    pub after_step: NonZeroU32,
    /// From the end of that step to the answer.
    pub answers_after: Delay,
}

/// The settings of a rollout by traffic shifting.
#[derive(Clone, Debug, PartialEq)]
pub struct Settings {
    /// The share of the requests that the new version gets, step by step, in percent: rising, the last one 100.
    pub steps: Vec<u32>,
    /// How large the fleets are.
    pub capacity: Capacity,
    /// How long the new fleet of a step may take to become ready; `None`: for ever.
    pub deadline: Option<Duration>,
    /// The test of the new fleet before its first request; `None`: there is none.
    pub test: Option<Test>,
    /// How long each step is watched.
    pub soak: Duration,
    /// What it is watched for; `None`: nothing but ends of processes.
    pub analysis: Option<Analysis>,
    /// Who must let it go on; `None`: nobody.
    pub gate: Option<Gate>,
    /// How long the old fleet is kept after the last step.
    pub keep_old: Duration,
    /// What happens when it fails.
    pub on_failure: OnFailure,
    /// What is typed while the rollout is under way.
    pub commands: Vec<Command>,
}

/// What is remembered between two decisions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Memory {
    /// Which release it is of those that were asked for.
    revision: u32,
    /// Who got the requests before.
    from: Version,
    /// Whether its fleet is kept as large as it must be, or only used up: it is what a rollback leaves.
    keeps_from: bool,
    /// Who is to get them.
    to: Version,
    /// Who is rolled out after that: requests were split, and go to one version first.
    then: Option<Version>,
    /// Failures before are none of this rollout's.
    failures_before: u32,
    /// The share of the requests that it gets, percent.
    share: u32,
    /// The same when the last soak was over.
    settled: u32,
    /// Steps that were begun.
    step: usize,
    stage: Stage,
    failed: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    /// Since when.
    Growing(SimTime),
    /// Since when.
    Testing(SimTime),
    /// Since when, when it was judged last, and what the new version had answered then.
    Soaking {
        since: SimTime,
        judged: SimTime,
        before: Answers,
    },
    /// Until when.
    Gated(SimTime),
    /// Since when.
    Keeping(SimTime),
    Done,
}

impl Memory {
    /// Whoever got requests before gets them again. Its successor's fleet is only used up from now on.
    fn turn_back(&mut self) {
        (self.from, self.to, self.keeps_from) = (self.to, self.from, false);
        (self.share, self.settled) = (100 - self.share, 100 - self.share);
    }

    /// Whether all requests go to a version that has served before, at once and without further ado.
    fn goes_back(&self, view: &View<'_>) -> bool {
        view.rolling_back || self.then.is_some()
    }
}

/// A decision under way.
struct Draft<'a> {
    view: &'a View<'a>,
    actions: Vec<Action>,
    ask_again: Option<SimTime>,
}

impl Draft<'_> {
    /// Whether this moment has come; else the orchestrator is asked again then.
    fn has_come(&mut self, at: SimTime) -> bool {
        if self.view.now < at {
            self.ask_again = earlier(self.ask_again, Some(at));
        }
        self.view.now >= at
    }
}

/// A share of so many instances, in percent, rounded up.
fn part(percent: u32, of: u32) -> u32 {
    u32::try_from((u64::from(percent) * u64::from(of)).div_ceil(100)).expect("no more than there are")
}

impl Facts for Settings {
    fn name(&self) -> &'static str {
        "shift"
    }

    fn commands(&self) -> &[Command] {
        &self.commands
    }

    fn commands_mut(&mut self) -> &mut Vec<Command> {
        &mut self.commands
    }

    fn resolves(&self, desired: u32) -> Vec<Resolved> {
        let shares: Vec<String> = self.steps.iter().map(|share| format!("{share}%")).collect();
        let sizes: Vec<String> = self.steps.iter().map(|share| self.size(*share, desired).to_string()).collect();
        let one_by_one =
            if self.steps.len() == 1 { "all requests at once" } else { "of the requests, one after the other" };
        let of_new = match self.capacity {
            Capacity::Double => format!("{desired} new beside {desired} old ones"),
            Capacity::Grown => format!("{} new, step by step, beside {desired} old ones", sizes.join(", ")),
            Capacity::Exchanged => {
                format!("{} new, step by step, and as many fewer old ones a step later", sizes.join(", "))
            }
        };
        let capacity = match self.capacity {
            Capacity::Double => "double",
            Capacity::Grown => "grown",
            Capacity::Exchanged => "exchanged",
        };
        let mut all =
            vec![Resolved::new("steps", shares.join(", "), one_by_one), Resolved::new("capacity", capacity, of_new)];
        if let Some(test) = self.test {
            let finds =
                format!("before the first request; finds a defect with a chance of {:.0} %", test.finds * 100.0);
            all.push(Resolved::new("test", as_written(test.takes), finds));
        }
        if !self.soak.is_zero() {
            all.push(Resolved::new("soak", as_written(self.soak), "watched after each step"));
        }
        if let Some(Analysis { max_failed, max_late, at_least, every }) = self.analysis {
            let held = [("failed", max_failed), ("late", max_late)].into_iter().filter(|(_, most)| *most < 1.0);
            let held = held.map(|(what, most)| format!("{what} at most {} %", most * 100.0)).collect::<Vec<_>>();
            let when =
                every.map_or_else(|| "when the soak ends".to_owned(), |every| format!("every {}", as_written(every)));
            let means = format!("of what the new version answers; {when}, from {at_least} requests on");
            all.push(Resolved::new("analysis", held.join(", "), means));
        }
        if let Some(gate) = &self.gate {
            all.push(Resolved::new("gate", gate.after_step, "after that step a human must let it go on"));
        }
        all.push(Resolved::new("keep_old", as_written(self.keep_old), "from the last step until the old ones leave"));
        all
    }

    fn splits_requests(&self) -> bool {
        true
    }

    fn deadline(&self) -> Option<Duration> {
        self.deadline
    }

    fn judges_answers(&self) -> bool {
        self.analysis.is_some()
    }

    fn ignore_failures(&mut self) {
        self.on_failure = OnFailure::Continue;
    }
}

impl Settings {
    /// What is remembered before the rollout.
    pub fn memory(&self, _desired: u32) -> Memory {
        Memory {
            revision: 0,
            from: Version::NEW,
            keeps_from: false,
            to: Version::OLD,
            then: None,
            failures_before: 0,
            share: 100,
            settled: 100,
            step: 0,
            stage: Stage::Done,
            failed: false,
        }
    }

    /// One decision.
    pub fn decide(&self, view: &View<'_>, memory: &mut Memory) -> Decision {
        let before = *memory;
        let mut draft = Draft { view, actions: Vec::new(), ask_again: None };
        if memory.revision != view.revision {
            self.begin_anew(view, memory);
        }
        let had_failed = memory.failed;
        self.note_failures(&draft, memory);
        while self.advance(&mut draft, memory) {}
        self.follow_the_sizes(&mut draft, memory);
        // Demanded once: where there is nothing to go back to it has failed.
        let roll_back = memory.failed && !had_failed && self.on_failure == OnFailure::RollBack && !view.rolling_back;
        let (status, reported) =
            if roll_back { (Status::Progressing, "rolling back") } else { status_of(view, memory) };
        let mut desired = [0; Version::COUNT];
        for version in Version::all() {
            desired[version.index()] = self.wanted(view, memory, version);
        }
        let Draft { actions, ask_again, .. } = draft;
        Decision { actions, settled: *memory == before, ask_again, status, reported, desired, roll_back }
    }

    /// Another version was asked for.
    fn begin_anew(&self, view: &View<'_>, memory: &mut Memory) {
        memory.then = None;
        if view.target == memory.from && memory.revision > 0 {
            memory.turn_back();
            self.begin(view, memory);
        } else if view.target == memory.to {
            self.begin(view, memory);
        } else {
            if memory.share < 50 {
                memory.turn_back();
            }
            memory.then = Some(view.target);
            if memory.share == 100 {
                self.begin_the_next(view, memory);
            } else {
                self.begin(view, memory);
            }
        }
        (memory.revision, memory.failed) = (view.revision, false);
    }

    /// All requests go to one version: the next one can be rolled out beside it.
    fn begin_the_next(&self, view: &View<'_>, memory: &mut Memory) {
        if let Some(next) = memory.then.take() {
            (memory.from, memory.to, memory.keeps_from) = (memory.to, next, true);
            (memory.share, memory.settled) = (0, 0);
            self.begin(view, memory);
        }
    }

    fn begin(&self, view: &View<'_>, memory: &mut Memory) {
        memory.failures_before = view.fleet.failures(memory.to);
        let next = self.steps.iter().position(|share| *share > memory.share);
        (memory.step, memory.stage) = (next.unwrap_or(self.steps.len() - 1), Stage::Growing(view.now));
    }

    // --- sizes
    // -------------------------------------------------------------------------------------------------------

    /// How large the new fleet must be for a share of the requests.
    fn size(&self, share: u32, desired: u32) -> u32 {
        match self.capacity {
            Capacity::Double => desired,
            Capacity::Grown | Capacity::Exchanged => part(share, desired),
        }
    }

    /// The share of the step under way, and of a rollback all at once.
    fn aim(&self, view: &View<'_>, memory: &Memory) -> u32 {
        if memory.goes_back(view) { 100 } else { self.steps[memory.step] }
    }

    /// How many instances of a version are wanted.
    fn wanted(&self, view: &View<'_>, memory: &Memory, version: Version) -> u32 {
        let Memory { from, to, share, settled, stage, .. } = *memory;
        let desired = view.desired;
        if version == to {
            return self.size(self.aim(view, memory).max(share), desired);
        }
        let live = view.fleet.live(version);
        let is_over = stage == Stage::Done;
        if version != from {
            // Balancers may not have heard yet that it gets no requests any more.
            return if is_over || share > 0 { 0 } else { live };
        }
        match self.capacity {
            _ if is_over => 0,
            _ if !memory.keeps_from => live.min(desired),
            // The step that is beginning is paid for by the ones before.
            Capacity::Exchanged if share < 100 => part(100 - settled, desired),
            Capacity::Exchanged => live.min(desired),
            Capacity::Double | Capacity::Grown => desired,
        }
    }

    /// Launches what is missing and sends away what is too many: first what does not serve, then the youngest.
    fn follow_the_sizes(&self, draft: &mut Draft<'_>, memory: &Memory) {
        let view = draft.view;
        for version in Version::all() {
            let (live, wanted) = (view.fleet.live(version), self.wanted(view, memory, version));
            let launch = Action::Launch { version, slot: None, hold: false, held_out: false };
            draft.actions.extend((live..wanted).map(|_| launch));
            if live > wanted {
                let of_version = view.fleet.all_live().filter(|(_, instance)| instance.version == version);
                let mut all: Vec<(bool, std::cmp::Reverse<InstanceId>)> = of_version
                    .map(|(id, instance)| (instance.phase() == Phase::Ready, std::cmp::Reverse(id)))
                    .collect();
                all.sort_unstable();
                let leaving = all.into_iter().take((live - wanted) as usize);
                draft
                    .actions
                    .extend(leaving.map(|(_, std::cmp::Reverse(id))| Action::Terminate { instance: id, drain: true }));
            }
        }
    }

    // --- steps
    // -------------------------------------------------------------------------------------------------------

    /// The process of a new instance ended.
    fn note_failures(&self, draft: &Draft<'_>, memory: &mut Memory) {
        let view = draft.view;
        let is_judged =
            !memory.goes_back(view) && self.on_failure != OnFailure::Continue && memory.stage != Stage::Done;
        memory.failed |= is_judged && view.fleet.failures(memory.to) > memory.failures_before;
    }

    /// Takes the next turn that is due; whether there was one.
    fn advance(&self, draft: &mut Draft<'_>, memory: &mut Memory) -> bool {
        let view = draft.view;
        if memory.failed {
            return false;
        }
        let now = view.now;
        match memory.stage {
            Stage::Growing(since) => {
                if !self.has_grown(view, memory) {
                    let is_late = self.deadline.is_some_and(|deadline| draft.has_come(since + deadline));
                    memory.failed = is_late && !memory.goes_back(view) && self.on_failure != OnFailure::Continue;
                    return false;
                }
                if view.halted {
                    return false;
                }
                match self.test {
                    Some(_) if memory.share == 0 && !memory.goes_back(view) => memory.stage = Stage::Testing(now),
                    _ => self.shift(draft, memory),
                }
            }
            Stage::Testing(since) => {
                let test = self.test.expect("it is tested");
                if !draft.has_come(since + test.takes) {
                    return false;
                }
                memory.failed = self.on_failure != OnFailure::Continue && !passes(test, since, view, memory);
                if memory.failed || view.halted {
                    return false;
                }
                self.shift(draft, memory);
            }
            Stage::Soaking { since, judged, before } => {
                let soak = if view.rolling_back { Duration::ZERO } else { self.soak };
                let is_over = draft.has_come(since + soak);
                if !view.rolling_back && self.analyse(draft, memory, judged, before, is_over) {
                    return false;
                }
                if !is_over || view.halted {
                    return false;
                }
                memory.settled = memory.share;
                match &self.gate {
                    Some(gate) if gate.after_step.get() as usize == memory.step + 1 && memory.share < 100 => {
                        memory.stage = Stage::Gated(now + gate.answers_after.by_luck(luck(view, memory)));
                    }
                    _ => step_on(view, memory),
                }
            }
            Stage::Gated(until) => {
                if !draft.has_come(until) || view.halted {
                    return false;
                }
                step_on(view, memory);
            }
            Stage::Keeping(since) => {
                if !draft.has_come(since + self.keep_old) {
                    return false;
                }
                memory.stage = Stage::Done;
            }
            Stage::Done => return false,
        }
        true
    }

    /// The requests' share of the step under way is set.
    fn shift(&self, draft: &mut Draft<'_>, memory: &mut Memory) {
        let share = self.aim(draft.view, memory);
        if share != memory.share {
            draft.actions.push(Action::Split(Split::between(memory.to, share, 100, memory.from)));
        }
        memory.share = share;
        let (now, before) = (draft.view.now, draft.view.answers[memory.to.index()]);
        memory.stage = Stage::Soaking { since: now, judged: now, before };
        self.begin_the_next(draft.view, memory);
    }

    /// Whether the new fleet is as large as the step needs. A rollback does not wait for what is broken.
    fn has_grown(&self, view: &View<'_>, memory: &Memory) -> bool {
        let needed = self.size(self.aim(view, memory), view.desired);
        if view.fleet.count(memory.to, Phase::Ready) >= needed {
            return true;
        }
        let is_on_its_way = |(_, instance): (InstanceId, &Instance)| {
            let starts = matches!(instance.phase(), Phase::Pulling | Phase::Prepared | Phase::Starting);
            instance.version == memory.to && starts && instance.failures == 0
        };
        memory.goes_back(view) && view.fleet.live(memory.to) >= needed && !view.fleet.all_live().any(is_on_its_way)
    }

    /// Judges what the new version answered since it was judged last, if that is due; whether it fails.
    fn analyse(
        &self,
        draft: &mut Draft<'_>,
        memory: &mut Memory,
        judged: SimTime,
        before: Answers,
        is_over: bool,
    ) -> bool {
        let Some(analysis) = self.analysis.as_ref().filter(|_| self.on_failure != OnFailure::Continue) else {
            return false;
        };
        let is_due = analysis.every.is_some_and(|every| draft.has_come(judged + every));
        let answers = draft.view.answers[memory.to.index()];
        if is_due || is_over {
            let verdict = analysis.passes(before, answers);
            memory.failed = verdict == Some(false);
            if let Stage::Soaking { judged, before, .. } = &mut memory.stage {
                *judged = draft.view.now;
                // Too little to tell is added to what comes.
                *before = if verdict.is_some() { answers } else { *before };
            }
            if let Some(every) = analysis.every.filter(|_| !is_over) {
                draft.ask_again = earlier(draft.ask_again, Some(draft.view.now + every));
            }
        }
        memory.failed
    }
}

fn step_on(view: &View<'_>, memory: &mut Memory) {
    if memory.share == 100 {
        memory.stage = Stage::Keeping(view.now);
    } else {
        memory.step += 1;
        memory.stage = Stage::Growing(view.now);
    }
}

/// Whether all of the new fleet that was ready by the beginning of the test passes it. There may be others that still start: more than
/// the step needs, left from an earlier attempt at the same version.
fn passes(test: Test, since: SimTime, view: &View<'_>, memory: &Memory) -> bool {
    let was_ready = |instance: &Instance| instance.first_ready.is_some_and(|first| first <= since);
    let is_tested = |instance: &Instance| instance.version == memory.to && was_ready(instance);
    let mut tested = view.fleet.all_live().filter(|(_, instance)| is_tested(instance));
    tested.all(|(_, instance)| {
        let shows = instance.misbehaves_from.is_some_and(|from| from <= view.now);
        instance.phase() == Phase::Ready && !(shows && unit(mix(instance.rank)) < test.finds)
    })
}

/// The luck of a gate: that of the first new instance, but another one than the test's.
fn luck(view: &View<'_>, memory: &Memory) -> u64 {
    let first = view.fleet.all_live().find(|(_, instance)| instance.version == memory.to);
    mix(mix(first.map_or(0, |(_, instance)| instance.rank)))
}

fn status_of(view: &View<'_>, memory: &Memory) -> (Status, &'static str) {
    match memory.stage {
        _ if memory.failed => (Status::Failed, "failed"),
        Stage::Done => (Status::Completed, "completed"),
        Stage::Keeping(_) => (Status::Progressing, "keeping"),
        _ if view.halted => (Status::Paused, "paused"),
        Stage::Growing(_) => (Status::Progressing, "growing"),
        Stage::Testing(_) => (Status::Progressing, "testing"),
        Stage::Soaking { .. } => (Status::Progressing, "soaking"),
        Stage::Gated(_) => (Status::Paused, "gated"),
    }
}

#[cfg(test)]
mod tests;
