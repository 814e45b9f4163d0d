//! What an orchestrator decides: one file an orchestrator, each a function of a view of the fleet, and of nothing else, to
//! actions. It has no clock, queue, generator or log; what it remembers between two decisions is its [`Memory`], handed in to
//! be changed.
//!
//! To add an orchestrator:
//! 1. Write its file here, or a folder of files: `Settings`, all that its users may set, resolved; `Memory`, what it
//!    remembers between two decisions; `Settings::memory`, what that is before the rollout; and `Settings::decide`, which
//!    is asked after every event that an orchestrator could see, and again at once after its own actions, until it
//!    changes nothing any more ([`Decision::settled`]). It names its sources, and reads like its specification. What happens
//!    later it asks for by `ask_again`. Whoever has thousands of places in hand looks at those that have changed
//!    ([`Fleet::changed`]) or are due (`agenda`), for a decision must not cost what the fleet is large.
//! 2. Implement [`Facts`] for its `Settings`: what the engine must know of it beside its decisions.
//! 3. Add its line to `orchestrators!` below: a variant, and the module.
//! 4. Give it a table in the scenario file: its words in `scenario/raw.rs` (the comments there are the published schema),
//!    its defaults and bounds in `scenario/strategies.rs`.
//! 5. Let `tests/invariants` draw it, with what it promises, and answer its own test tables in `tests/vectors.rs`.
//!
//! Nothing else knows orchestrators apart: neither the engine nor the reports need a line.

mod agenda;
pub mod argo;
mod command;
pub mod ecs;
pub mod kubernetes;
pub mod nomad;
pub mod octopus;
pub mod shift;
pub mod swarm;
pub mod waves;

pub use command::{Command, What, When};

use crate::fleet::{Fleet, Instance, InstanceId, Phase, Slot, Version};
use crate::random::below;
use crate::time::SimTime;
use humantime::format_duration;
use serde::Serialize;
use std::fmt;
use std::time::Duration;

/// All that an orchestrator may know.
#[derive(Clone, Copy, Debug)]
pub struct View<'a> {
    /// Now.
    pub now: SimTime,
    /// The fleet as it is now. Whoever has much to look at goes by [`Fleet::changed`]: what has changed since the decision
    /// before, all of it at the first one.
    pub fleet: &'a Fleet,
    /// How many instances the service is to have.
    pub desired: u32,
    /// The version that the orchestrator was told to bring about.
    pub target: Version,
    /// How many versions it was told to bring about so far, this one included; 0 before the rollout.
    pub revision: u32,
    /// The target is brought back: by an undo, or by the orchestrator's own failure rule.
    pub rolling_back: bool,
    /// Somebody paused the rollout.
    pub halted: bool,
    /// By version: what became of the requests so far, as monitoring at the balancers counts them.
    pub answers: &'a [Answers; Version::COUNT],
    /// How often somebody promoted it, since the target was asked for.
    pub promotions: u32,
    /// How often somebody aborted it, since the target was asked for.
    pub aborts: u32,
    /// All slots in random order, drawn once for each target; some are beyond `desired` when the service is scaled.
    pub slot_order: &'a [Slot],
}

/// One thing that an orchestrator does to the fleet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Action {
    /// Create an instance.
    Launch {
        /// What it runs.
        version: Version,
        /// Its place; `None` where the orchestrator knows no places.
        slot: Option<Slot>,
        /// Only prepare it; it starts after [`Action::Start`].
        hold: bool,
        /// Keep it out of the balancers until [`Action::PutBack`].
        held_out: bool,
    },
    /// Let a prepared instance start as soon as it can.
    Start(InstanceId),
    /// Send an instance away.
    Terminate {
        /// Which.
        instance: InstanceId,
        /// Whether the deregistration delay is waited for first.
        drain: bool,
    },
    /// Take an instance out of the balancers without stopping it.
    TakeOut(InstanceId),
    /// Put an instance into the balancers.
    PutBack(InstanceId),
    /// Tell the balancers how to split requests among versions; see [`Facts::splits_requests`].
    Split(Split),
}

/// How many parts of the requests go to each version, of as many as they are in all: at least one, at most 2³².
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Split([u32; Version::COUNT]);

impl Split {
    /// All requests go to one version.
    pub fn all_to(version: Version) -> Self {
        let mut parts = [0; Version::COUNT];
        parts[version.index()] = 1;
        Split(parts)
    }

    /// So many parts of `of` go to one version, the rest to another; more than all is all.
    pub fn between(version: Version, parts: u32, of: u32, other: Version) -> Self {
        debug_assert!(version != other && of > 0, "a share of something, beside something else");
        let mut all = [0; Version::COUNT];
        all[version.index()] = parts.min(of);
        all[other.index()] = of - parts.min(of);
        Split(all)
    }

    /// The share of a version, 0 to 1.
    pub fn share(&self, version: Version) -> f64 {
        f64::from(self.0[version.index()]) / f64::from(self.0.iter().sum::<u32>())
    }

    /// The version of a request with this luck.
    pub fn drawn(&self, luck: u64) -> Version {
        let mut left = below((luck >> 32) as u32, self.0.iter().sum());
        let has_it = |version: &Version| {
            let parts = self.0[version.index()];
            let is_it = left < parts;
            left = left.wrapping_sub(if is_it { 0 } else { parts });
            is_it
        };
        Version::all().find(has_it).expect("there are parts")
    }
}

/// What became of attempts that were for one version.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Answers {
    /// Answered well; the late ones too.
    pub good: u64,
    /// Of these, requests that were answered later than the target of their class.
    pub late: u64,
    /// Failed, for whatever reason.
    pub failed: u64,
}

impl Answers {
    /// Nothing was asked yet.
    pub const NONE: [Answers; Version::COUNT] = [Answers { good: 0, late: 0, failed: 0 }; Version::COUNT];
}

/// What the orchestrator itself says of the rollout.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Status {
    /// Under way.
    Progressing,
    /// Done.
    Completed,
    /// Stopped until somebody acts.
    Paused,
    /// Past its deadline; still tries.
    Stuck,
    /// Given up.
    Failed,
}

/// What to do now, and when to be asked again even if nothing happens.
#[derive(Clone, Debug)]
pub struct Decision {
    /// To be performed at once, in this order.
    pub actions: Vec<Action>,
    /// Nothing that is remembered has changed that another decision of this moment could go by.
    pub settled: bool,
    /// When to be asked again at the latest.
    pub ask_again: Option<SimTime>,
    /// How the rollout stands.
    pub status: Status,
    /// What the orchestrator's own tools report, in its own word.
    pub reported: &'static str,
    /// How many instances of each version are wanted now.
    pub desired: [u32; Version::COUNT],
    /// The orchestrator's own failure rule demands the version before.
    pub roll_back: bool,
}

/// A test of instances of the new version.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Test {
    /// How long it runs. An instance must be ready when it ends.
    pub takes: Duration,
    /// The chance that it finds a defect that shows by then.
    pub finds: f64,
}

/// What happens when the new version fails, in words of our own.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum OnFailure {
    /// What was begun comes to its end, and nothing further begins.
    #[default]
    Stop,
    /// The version before is asked for.
    RollBack,
    /// It is passed over.
    Continue,
}

/// How processes that end unasked are started again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Restart {
    /// Delay before the first restart; doubled for each further one.
    pub initial: Duration,
    /// The delay grows up to this.
    pub longest: Duration,
    /// A process that ran this long counts as sound: the next delay is the initial one again.
    pub reset_after: Duration,
}

impl Restart {
    /// The delay before the restart that follows `failures` failures in a row.
    pub fn delay(&self, failures: u32) -> Duration {
        let doublings = failures.saturating_sub(1).min(30);
        self.initial.saturating_mul(1 << doublings).min(self.longest)
    }
}

/// A setting, and the number that it comes to.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Resolved {
    /// The orchestrator's own word for it.
    pub setting: &'static str,
    /// What is written, or the default.
    pub written: String,
    /// What that comes to, and how.
    pub means: String,
}

impl Resolved {
    fn new(setting: &'static str, written: impl fmt::Display, means: impl Into<String>) -> Self {
        Resolved { setting, written: written.to_string(), means: means.into() }
    }
}

/// What the engine must know of an orchestrator beside its decisions.
pub trait Facts {
    /// Its name in tables.
    fn name(&self) -> &'static str;

    /// What is typed while the rollout is under way, in order.
    fn commands(&self) -> &[Command];

    /// The same, to be changed.
    fn commands_mut(&mut self) -> &mut Vec<Command>;

    /// The settings as numbers, against so many desired instances.
    fn resolves(&self, desired: u32) -> Vec<Resolved>;

    /// How a process that ended unasked is started again in its place, where the scenario gives this rule or none;
    /// `None`: it is not.
    fn restarts_in_place(&self, given: Option<Restart>) -> Option<Restart> {
        given
    }

    /// The orchestrator's own time between asking a process to stop and killing it; `None`: it has none.
    fn grace(&self) -> Option<Duration> {
        None
    }

    /// What a process gets between SIGTERM and the kill at the least, however long its preStop hook took.
    fn least_time_to_stop(&self) -> Duration {
        Duration::ZERO
    }

    /// How long the orchestrator itself takes from sending away an instance in this phase until its process, if it has one,
    /// is told to stop.
    fn stop_latency(&self, _phase: Phase) -> Duration {
        Duration::ZERO
    }

    /// Whether scaling is a change like a release: an undo, or the orchestrator's own failure rule, takes back the last
    /// change, whichever it was.
    fn scaling_can_be_undone(&self) -> bool {
        false
    }

    /// Whether a starting instance that fails its probe often enough is stopped and counted as failed.
    fn kills_unhealthy(&self) -> bool {
        false
    }

    /// Whether it hears of a starting instance that fails its probe often enough ([`Instance::fails_checks`]), and what
    /// was not probed yet needs but one pass.
    fn hears_of_failing_starts(&self) -> bool {
        false
    }

    /// Whether every new instance starts in the place of an old one that is gone by then.
    fn keeps_places(&self) -> bool {
        false
    }

    /// How long an instance must be ready to count as available, and whether that is counted in whole seconds.
    fn min_ready(&self) -> (Duration, bool) {
        (Duration::ZERO, false)
    }

    /// Whether it says which share of the requests each version gets ([`Action::Split`]). Before the rollout all go to
    /// the old one.
    fn splits_requests(&self) -> bool {
        false
    }

    /// Whether balancers ought to send requests to an instance.
    fn lists(&self, instance: &Instance) -> bool {
        instance.is_listed()
    }

    /// How many instances there may be, those on their way out included; `None`: as many as are asked for.
    fn quota(&self) -> Option<u32> {
        None
    }

    /// Lifts that.
    fn lift_quota(&mut self) {}

    /// How long the rollout may stand still until it counts as stuck; `None`: for ever.
    fn deadline(&self) -> Option<Duration> {
        None
    }

    /// How long an instance is out of the balancers before it is told to stop.
    fn out_before_stop(&self) -> Duration {
        Duration::ZERO
    }

    /// What of it is only as good as the health check of the image, in its own words; `None`: nothing.
    fn relies_on_a_health_check(&self) -> Option<&'static str> {
        None
    }

    /// What its own failure rule goes back to, version and size; `None`: to whatever was asked for before.
    fn reverts_to(&self, _memory: &Memory) -> Option<(Version, u32)> {
        None
    }

    /// Switches its own failure rule off, if it has one that can be.
    fn ignore_failures(&mut self) {}

    /// Whether it looks at [`View::answers`], which nobody else is told.
    fn judges_answers(&self) -> bool {
        false
    }

    /// Lets pass what it judges by answers where there are none: nobody asks for anything.
    fn expect_no_answers(&mut self) {}
}

/// One line an orchestrator: its variant of [`Strategy`] and of [`Memory`], and its module.
macro_rules! orchestrators {
    ($($(#[$doc:meta])* $variant:ident: $module:ident,)*) => {
        /// An orchestrator with its settings, resolved against the size of the service.
        #[derive(Clone, Debug, PartialEq)]
        pub enum Strategy {
            $($(#[$doc])* $variant($module::Settings),)*
        }

        /// What an orchestrator remembers between two decisions.
        #[derive(Clone, Debug, PartialEq)]
        pub enum Memory {
            $($(#[$doc])* $variant(Box<$module::Memory>),)*
        }

        $(impl From<$module::Settings> for Strategy {
            fn from(settings: $module::Settings) -> Self {
                Strategy::$variant(settings)
            }
        })*

        impl Strategy {
            /// What is remembered before the rollout begins, in a fleet of `desired` old instances.
            pub fn memory(&self, desired: u32) -> Memory {
                match self {
                    $(Strategy::$variant(settings) => Memory::$variant(Box::new(settings.memory(desired))),)*
                }
            }

            /// What to do now.
            ///
            /// # Panics
            /// When the memory is another orchestrator's: our own mistake.
            pub fn decide(&self, view: &View<'_>, memory: &mut Memory) -> Decision {
                match (self, memory) {
                    $((Strategy::$variant(settings), Memory::$variant(memory)) => {
                        settings.decide(view, memory)
                    })*
                    (strategy, memory) => unreachable!("{strategy:?} was handed {memory:?}"),
                }
            }

            /// What else there is to know of the orchestrator.
            pub fn facts(&self) -> &dyn Facts {
                match self {
                    $(Strategy::$variant(settings) => settings,)*
                }
            }

            fn facts_mut(&mut self) -> &mut dyn Facts {
                match self {
                    $(Strategy::$variant(settings) => settings,)*
                }
            }
        }
    };
}

orchestrators! {
    /// A Kubernetes Deployment.
    Kubernetes: kubernetes,
    /// A Docker Swarm service update.
    Swarm: swarm,
    /// An Octopus rolling step.
    Octopus: octopus,
    /// A rollout in waves, in words of our own.
    Waves: waves,
    /// A rollout by traffic shifting, in words of our own.
    Shift: shift,
    /// A group of a Nomad service job.
    Nomad: nomad,
    /// An Argo Rollout.
    Argo: argo,
    /// A rolling update of an Amazon ECS service.
    Ecs: ecs,
}

impl Strategy {
    /// The most instances that the service is ever to have, starting from `desired`.
    pub fn most_desired(&self, desired: u32) -> u32 {
        let scaled = self.facts().commands().iter().filter_map(|command| match command.what {
            What::Scale(count) => Some(count),
            What::Pause | What::Resume | What::Undo | What::Promote | What::Abort | What::Deploy(_) => None,
        });
        scaled.fold(desired, u32::max)
    }

    /// The same strategy with these commands in place of its own.
    #[must_use]
    pub fn with_commands(mut self, commands: Vec<Command>) -> Strategy {
        *self.facts_mut().commands_mut() = commands;
        self
    }

    /// The same strategy where instances have all the room there is.
    #[must_use]
    pub fn without_quota(mut self) -> Strategy {
        self.facts_mut().lift_quota();
        self
    }

    /// The same strategy where nobody asks for anything.
    #[must_use]
    pub fn without_requests(mut self) -> Strategy {
        self.facts_mut().expect_no_answers();
        self
    }

    /// The same strategy with its own failure rule switched off where it has one that can be.
    #[must_use]
    pub fn without_failure_rule(mut self) -> Strategy {
        self.facts_mut().ignore_failures();
        self
    }
}

/// A span as it is written in files.
fn as_written(span: Duration) -> String {
    format_duration(span).to_string()
}

/// The earlier of two wishes to be asked again.
fn earlier(a: Option<SimTime>, b: Option<SimTime>) -> Option<SimTime> {
    match (a, b) {
        (Some(a), Some(b)) => Some(a.min(b)),
        (a, b) => a.or(b),
    }
}

/// What tests show an orchestrator of a fleet, a minute after the start.
#[cfg(test)]
fn shown<'a>(fleet: &'a Fleet, desired: u32, slots: &'a [Slot]) -> View<'a> {
    View {
        now: SimTime::START + Duration::from_mins(1),
        fleet,
        desired,
        target: Version::NEW,
        revision: 1,
        rolling_back: false,
        halted: false,
        answers: &Answers::NONE,
        promotions: 0,
        aborts: 0,
        slot_order: slots,
    }
}

/// Actions as tests write them.
#[cfg(test)]
fn written(actions: &[Action]) -> String {
    let word = |action: &Action| match action {
        Action::Launch { version: Version::NEW, hold: false, .. } => "+".to_owned(),
        Action::Launch { version: Version::NEW, hold: true, .. } => "+held".to_owned(),
        Action::Launch { .. } => "+old".to_owned(),
        Action::Start(id) => format!("start{}", id.0),
        Action::Terminate { instance, .. } => format!("-{}", instance.0),
        Action::TakeOut(id) => format!("out{}", id.0),
        Action::PutBack(id) => format!("in{}", id.0),
        Action::Split(split) => format!("split{:?}", &split.0[..2]),
    };
    actions.iter().map(word).collect::<Vec<_>>().join(" ")
}

/// What tests show an orchestrator step by step: a fleet that does at once what it is told, but for starting.
#[cfg(test)]
struct Walk {
    strategy: Strategy,
    fleet: Fleet,
    memory: Memory,
    now: SimTime,
    desired: u32,
    target: Version,
    revision: u32,
    rolling_back: bool,
    halted: bool,
    promotions: u32,
    aborts: u32,
    answers: [Answers; Version::COUNT],
    status: Status,
    reported: &'static str,
    wanted: [u32; Version::COUNT],
}

#[cfg(test)]
impl Walk {
    fn new(letters: &str, settings: impl Into<Strategy>) -> Self {
        let (desired, strategy) = (letters.len() as u32, settings.into());
        Walk {
            memory: strategy.memory(desired),
            strategy,
            fleet: crate::fleet::drawn::fleet(letters),
            now: SimTime::START,
            desired,
            target: Version::NEW,
            revision: 1,
            rolling_back: false,
            halted: false,
            promotions: 0,
            aborts: 0,
            answers: Answers::NONE,
            status: Status::Progressing,
            reported: "",
            wanted: [0; Version::COUNT],
        }
    }

    /// What the orchestrator does at a moment, until it is content; it then stays so.
    fn at(&mut self, second: u64) -> String {
        self.now = SimTime::START + Duration::from_secs(second);
        let mut done = Vec::new();
        let mut was_content = false;
        loop {
            let shown = shown(&self.fleet, self.desired, &[]);
            let (target, revision, rolling_back, halted) = (self.target, self.revision, self.rolling_back, self.halted);
            let (promotions, aborts) = (self.promotions, self.aborts);
            let told = View { target, revision, rolling_back, halted, promotions, aborts, ..shown };
            let view = View { now: self.now, answers: &self.answers, ..told };
            let decision = self.strategy.decide(&view, &mut self.memory);
            let is_content = decision.actions.is_empty() && decision.settled;
            self.fleet.forget_changes();
            (self.status, self.reported, self.wanted) = (decision.status, decision.reported, decision.desired);
            assert!(is_content || !was_content, "it was content before");
            if decision.roll_back && !self.rolling_back {
                (self.target, self.revision, self.rolling_back) = (Version::OLD, self.revision + 1, true);
            } else if was_content {
                return written(&done);
            }
            was_content = is_content;
            for action in decision.actions {
                self.perform(action);
                done.push(action);
            }
        }
    }

    fn perform(&mut self, action: Action) {
        match action {
            Action::Launch { version, slot, held_out, .. } => {
                self.fleet.launch(self.now, crate::fleet::Launch { version, slot, rank: 0, held_out });
            }
            Action::Terminate { instance, .. } => self.fleet.enter(instance, crate::fleet::Phase::Gone, self.now),
            Action::TakeOut(id) => self.fleet.hold_out(id, true),
            Action::PutBack(id) => self.fleet.hold_out(id, false),
            Action::Split(_) => {}
            Action::Start(_) => unreachable!("nothing is held that stands in a place of its own"),
        }
    }

    /// The process of an instance comes up.
    fn starts(&mut self, id: u32) {
        for phase in [crate::fleet::Phase::Prepared, crate::fleet::Phase::Starting, crate::fleet::Phase::Ready] {
            self.fleet.enter(InstanceId(id), phase, self.now);
        }
        self.fleet.note_started(InstanceId(id), self.now, None);
    }

    /// The process of an instance ends.
    fn ends(&mut self, id: u32) {
        self.fleet.enter(InstanceId(id), crate::fleet::Phase::Down, self.now);
    }

    /// The place of an instance goes down.
    fn breaks(&mut self, id: u32) {
        self.ends(id);
        self.fleet.note_repair(InstanceId(id));
    }

    #[track_caller]
    fn stands(&self, status: Status, reported: &str, old: u32, new: u32) {
        assert_eq!((self.status, self.reported), (status, reported));
        assert_eq!(self.wanted[..2], [old, new]);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_split_gives_each_version_its_share() {
        let counted = |split: Split| {
            let mut counts = [0; Version::COUNT];
            for tenth in 0..10 {
                counts[split.drawn(u64::MAX / 20 * (2 * tenth + 1)).index()] += 1;
            }
            counts[..3].to_vec()
        };
        assert_eq!(counted(Split::all_to(Version::NEW)), [0, 10, 0]);
        assert_eq!(counted(Split::between(Version(2), 30, 100, Version::NEW)), [0, 7, 3]);
        assert_eq!(counted(Split::between(Version::NEW, 0, 100, Version::OLD)), [10, 0, 0]);
        assert_eq!(counted(Split::between(Version::NEW, 150, 100, Version::OLD)), [0, 10, 0]);
    }

    #[test]
    fn back_off_doubles_up_to_its_limit() {
        let seconds: Vec<u64> = (1..=7).map(|failures| kubernetes::RESTART.delay(failures).as_secs()).collect();
        assert_eq!(seconds, [10, 20, 40, 80, 160, 300, 300]);
    }
}
