//! What a rollout in waves decides: instances are replaced in their places, wave by wave, and the next wave begins only
//! when the whole wave before is done.
//!
//! These are words of our own, for what restart scripts and simple deployment tools do and what the other orchestrators
//! cannot say. Their models: Ansible's documentation of `serial` (a batch runs to its end before the next one begins; a
//! count or a share); the Kubernetes documentation of a StatefulSet's `partition`, here a number of places and from the
//! other end; Amazon's Builders' Library, "Automating safe, hands-off deployments" (waves that grow, one zone after the
//! other, a bake time after each, tests, and the rollback of what does not pass).
//!
//! A place goes through these steps, by itself or in step with its wave, as with Ansible's strategies `free` and `linear`: its instance is taken out of the balancers, drains and stops; after a gap a new one
//! starts there, and is put back once it is ready. A wave whose places are all done is tested, then it soaks, then a human
//! may have to let the rollout go on. An instance fails when its process ends unasked before its wave is over, or when it
//! does not pass the test. Without either, one that does not become ready is waited for for ever.
//!
//! A version that is asked for meanwhile takes over at once. The wave under way is given up: what it leaves empty, or on its
//! way to that version, is a wave of its own and the first one; what does not serve comes next; and only places that do not
//! run that version are touched at all. A rollback goes in the same waves, from the first one on, but nobody tests it, lets
//! it soak or keeps it waiting. Places that the service gains are filled at once, beside the waves. A place under repair is
//! left for when it is back.

mod moves;
mod order;

use super::{Action, Command, Decision, Facts, OnFailure, Resolved, Status, Test, View, as_written, earlier};
use crate::distribution::Delay;
use crate::fleet::{Instance, InstanceId, Phase, Slot, Version};
use crate::random::{mix, unit};
use crate::time::SimTime;
use moves::{Move, Moves, Step};
use order::Order;
use std::fmt;
use std::num::NonZeroU32;
use std::time::Duration;

/// A number of instances, or a share of the service in percent, which rounds up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Portion {
    /// So many.
    Count(u32),
    /// So many of a hundred.
    Percent(u32),
}

impl Portion {
    /// How many instances of so many that is.
    pub fn of(self, desired: u32) -> u32 {
        match self {
            Portion::Count(count) => count,
            Portion::Percent(percent) => {
                let rounded_up = (u64::from(percent) * u64::from(desired)).div_ceil(100);
                u32::try_from(rounded_up).unwrap_or(u32::MAX)
            }
        }
    }
}

impl fmt::Display for Portion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Portion::Count(count) => count.fmt(f),
            Portion::Percent(percent) => write!(f, "{percent}%"),
        }
    }
}

/// How many waves are told of one by one.
const MOST_WAVES_TOLD: usize = 12;

/// A human who must let the rollout go on.
#[derive(Clone, Debug, PartialEq)]
pub struct Gate {
    /// After which wave, counted from 1; after the last one nobody is asked.
    pub after_wave: NonZeroU32,
    /// From the end of that wave to the answer.
    pub answers_after: Delay,
}

/// The settings of a rollout in waves.
#[derive(Clone, Debug, PartialEq)]
pub struct Settings {
    /// Instances in the first wave; at least one is.
    pub size: Portion,
    /// Each wave is so many times as large as the one before, rounded up; at least 1.
    pub growth: f64,
    /// Each step begins only when the whole wave is done with the one before; otherwise each place goes on by itself.
    pub in_step: bool,
    /// Zones that are gone through one after the other; 1: nobody looks at zones.
    pub zones: NonZeroU32,
    /// So many places, those with the highest numbers, keep what they have.
    pub partition: Portion,
    /// How long taking an instance out of the balancers takes, before it drains; `None`: it is stopped while it is in use.
    pub take_out: Option<Duration>,
    /// How long putting one back takes. It happens only where it was taken out.
    pub put_back: Duration,
    /// Between a process's exit and the start of the next one in its place.
    pub gap: Duration,
    /// The test of each wave; `None`: there is none.
    pub test: Option<Test>,
    /// How long each wave is watched before the next one begins.
    pub soak: Duration,
    /// Who must let it go on; `None`: nobody.
    pub gate: Option<Gate>,
    /// What happens when an instance fails.
    pub on_failure: OnFailure,
    /// What is typed while the rollout is under way.
    pub commands: Vec<Command>,
}

/// What is remembered between two decisions.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Memory {
    /// Which release it is of those that were asked for.
    revision: u32,
    order: Order,
    /// How many waves have begun, and how large the next one may be.
    begun: u32,
    size: u32,
    wave: Option<Wave>,
    /// Places that are filled beside the waves.
    beside: Moves,
    failed: bool,
}

/// What a decision may change that the next one, of the same moment, could go by, but for the steps of places.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Outline {
    revision: u32,
    begun: u32,
    stage: Option<Stage>,
    passed: u32,
    failed: bool,
}

impl Memory {
    fn outline(&self) -> Outline {
        let stage = self.wave.as_ref().map(|wave| wave.stage);
        let Memory { revision, begun, failed, .. } = *self;
        Outline { revision, begun, stage, passed: self.order.passed(), failed }
    }

    /// Something has happened to instances.
    fn hear(&mut self, view: &View<'_>) {
        if let Some(wave) = &mut self.wave {
            wave.moves.hear(view.fleet);
        }
        self.beside.hear(view.fleet);
    }
}

/// The wave under way.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Wave {
    moves: Moves,
    stage: Stage,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    Replacing,
    /// Since when.
    Testing(SimTime),
    /// Since when.
    Soaking(SimTime),
    /// Until when.
    Gated(SimTime),
}

/// How the step of a place stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Standing {
    Running,
    Passed,
    Failed,
    /// The place cannot be reached any more.
    Away,
}

/// A decision under way.
struct Draft<'a> {
    view: &'a View<'a>,
    actions: Vec<Action>,
    launched: u32,
    ask_again: Option<SimTime>,
    /// Who is stopped for good by this very decision.
    removed: Vec<InstanceId>,
    /// Some place has gone on.
    moves: bool,
}

impl Draft<'_> {
    fn instance_in(&self, slot: Slot) -> Option<(InstanceId, &Instance)> {
        self.view.fleet.live_in_slot(slot).last()
    }

    /// Whether a place runs another version than the one that was asked for.
    fn is_behind(&self, slot: Slot) -> bool {
        self.instance_in(slot).is_some_and(|(_, instance)| instance.version != self.view.target)
    }

    fn is_under_repair(&self, slot: Slot) -> bool {
        self.instance_in(slot).is_some_and(|(_, instance)| instance.under_repair)
    }

    fn on_all_in(&mut self, slot: Slot, action: impl Fn(InstanceId) -> Action) {
        self.actions.extend(self.view.fleet.live_in_slot(slot).map(|(id, _)| action(id)));
    }

    /// Whether this moment has come; else the orchestrator is asked again then.
    fn has_come(&mut self, at: SimTime) -> bool {
        if self.view.now < at {
            self.ask_again = earlier(self.ask_again, Some(at));
        }
        self.view.now >= at
    }
}

impl Facts for Settings {
    fn name(&self) -> &'static str {
        "waves"
    }

    fn commands(&self) -> &[Command] {
        &self.commands
    }

    fn commands_mut(&mut self) -> &mut Vec<Command> {
        &mut self.commands
    }

    fn resolves(&self, desired: u32) -> Vec<Resolved> {
        let movable = self.movable(desired);
        let mut sizes = Vec::new();
        let (mut left, mut size) = (movable, self.size.of(desired).max(1));
        while left > 0 && sizes.len() < MOST_WAVES_TOLD {
            sizes.push(size.min(left).to_string());
            left -= size.min(left);
            size = self.grown(size);
        }
        let rest = if left > 0 { ", …" } else { "" };
        let by_zone = if self.zones.get() > 1 { "; zone by zone, so that some may be smaller" } else { "" };
        let mut all = vec![Resolved::new("size", self.size, format!("waves of {}{rest}{by_zone}", sizes.join(", ")))];
        if self.growth > 1.0 {
            all.push(Resolved::new("growth", self.growth, "times as large as the one before, rounded up"));
        }
        if movable < desired {
            all.push(Resolved::new("partition", self.partition, format!("{} instances stay old", desired - movable)));
        }
        if let Some(test) = self.test {
            let finds = format!("after each wave; finds a defect with a chance of {:.0} %", test.finds * 100.0);
            all.push(Resolved::new("test", as_written(test.takes), finds));
        }
        for (setting, span, means) in [
            ("soak", self.soak, "watched after each wave"),
            ("gap", self.gap, "from the end of an old instance to the start of the new one in its place"),
        ] {
            if !span.is_zero() {
                all.push(Resolved::new(setting, as_written(span), means));
            }
        }
        if let Some(gate) = &self.gate {
            all.push(Resolved::new("gate", gate.after_wave, "after that wave a human must let it go on"));
        }
        all
    }

    fn out_before_stop(&self) -> Duration {
        self.take_out.unwrap_or_default()
    }

    fn keeps_places(&self) -> bool {
        true
    }

    fn ignore_failures(&mut self) {
        self.on_failure = OnFailure::Continue;
    }
}

impl Settings {
    /// What is remembered before the rollout.
    pub fn memory(&self, desired: u32) -> Memory {
        let order = Order::new(desired);
        Memory { revision: 0, order, begun: 0, size: 0, wave: None, beside: Moves::default(), failed: false }
    }

    /// One decision.
    pub fn decide(&self, view: &View<'_>, memory: &mut Memory) -> Decision {
        let before = memory.outline();
        let (actions, removed) = (Vec::new(), Vec::new());
        let mut draft = Draft { view, actions, launched: 0, ask_again: None, removed, moves: false };
        memory.hear(view);
        if memory.revision != view.revision {
            self.begin_anew(&mut draft, memory);
        }
        self.follow_the_size(&mut draft, memory);
        let had_failed = memory.failed;
        self.advance_beside(&mut draft, memory);
        // A wave may be done as soon as it has begun, so look again until nothing moves.
        loop {
            self.advance_wave(&mut draft, memory);
            self.skip_what_is_done(&draft, memory);
            let may_begin = memory.wave.is_none() && !memory.failed && !view.halted;
            if !may_begin || !self.begin_wave(&mut draft, memory) {
                break;
            }
        }
        // Demanded once: where there is nothing to go back to it has failed.
        let roll_back = memory.failed && !had_failed && self.on_failure == OnFailure::RollBack && !view.rolling_back;
        let (status, reported) =
            if roll_back { (Status::Progressing, "rolling back") } else { status_of(view, memory) };
        let desired = wanted(&draft, memory);
        let of_wave = memory.wave.as_mut().and_then(|wave| wave.moves.wakes_next(view.now));
        let ask_again = earlier(draft.ask_again, earlier(of_wave, memory.beside.wakes_next(view.now)));
        let Draft { actions, moves, .. } = draft;
        Decision {
            actions,
            settled: !moves && memory.outline() == before,
            ask_again,
            status,
            reported,
            desired,
            roll_back,
        }
    }

    /// The size of the wave after one of this size.
    fn grown(&self, size: u32) -> u32 {
        // What a factor lost when it was written in binary is not rounded up to one more.
        (f64::from(size) * self.growth - 1e-9).ceil() as u32
    }

    /// How many places are to run the version that was asked for: those below this one.
    fn movable(&self, desired: u32) -> u32 {
        desired.saturating_sub(self.partition.of(desired))
    }

    // --- what changes the plan
    // ---------------------------------------------------------------------------------------

    /// Another version was asked for: the wave under way is given up.
    fn begin_anew(&self, draft: &mut Draft<'_>, memory: &mut Memory) {
        let view = draft.view;
        let movable = self.movable(view.desired);
        let mut moves = Moves::default();
        memory.order.begin_anew();
        for (id, instance) in view.fleet.all_live() {
            let Instance { slot, version, held_out, .. } = *instance;
            let is_behind = slot.0 < movable && version != view.target;
            if is_behind && !instance.is_listed() {
                memory.order.go_first(slot);
            } else if !is_behind && is_on_its_way(instance) {
                let (step, instance) = (Step::Start, Some(id));
                moves.push(Move { slot, version, step, since: view.now, instance, is_out: held_out }, view.fleet);
            } else if !is_behind && held_out {
                draft.actions.push(Action::PutBack(id));
            }
        }
        let of_wave = memory.wave.take().map(|wave| wave.moves).unwrap_or_default();
        let beside = std::mem::take(&mut memory.beside);
        let given_up = of_wave.all().chain(beside.all()).map(|place| place.slot);
        for slot in given_up.filter(|slot| draft.instance_in(*slot).is_none() && slot.0 < view.desired) {
            moves.push(self.filling(draft, slot), view.fleet);
        }
        memory.begun = u32::from(!moves.is_empty());
        memory.wave = (!moves.is_empty()).then_some(Wave { moves, stage: Stage::Replacing });
        memory.size = self.size.of(view.desired).max(1);
        (memory.revision, memory.failed) = (view.revision, false);
    }

    /// Places that the service gains are filled, those that it gives up are emptied.
    fn follow_the_size(&self, draft: &mut Draft<'_>, memory: &mut Memory) {
        let (before, desired) = (memory.order.places(), draft.view.desired);
        if before == desired {
            return;
        }
        for slot in (desired..before).map(Slot) {
            draft.removed.extend(draft.view.fleet.live_in_slot(slot).map(|(id, _)| id));
            self.stop(draft, slot);
        }
        memory.order.resize(desired);
        memory.beside.keep_below(Slot(desired));
        if let Some(wave) = &mut memory.wave {
            wave.moves.keep_below(Slot(desired));
        }
        for slot in (before..desired).map(Slot) {
            memory.beside.push(self.filling(draft, slot), draft.view.fleet);
        }
    }

    /// A place that nobody is in, or nobody who stays. One that keeps what it has gets the oldest version that is there.
    fn filling(&self, draft: &Draft<'_>, slot: Slot) -> Move {
        let Draft { view, .. } = draft;
        let oldest = || Version::all().find(|version| view.fleet.live(*version) > 0);
        let keeps = slot.0 >= self.movable(view.desired);
        let version = if keeps { oldest().unwrap_or(view.target) } else { view.target };
        Move { slot, version, step: Step::Stop, since: view.now, instance: None, is_out: false }
    }

    fn advance_beside(&self, draft: &mut Draft<'_>, memory: &mut Memory) {
        for number in memory.beside.due(draft.view.now) {
            self.advance(draft, &mut memory.beside, &[number]);
            if memory.beside.get(number).is_settled() {
                memory.beside.remove(number);
            }
        }
    }

    // --- waves
    // -------------------------------------------------------------------------------------------------------

    /// Passes over places that run what they are to run.
    fn skip_what_is_done(&self, draft: &Draft<'_>, memory: &mut Memory) {
        let movable = self.movable(draft.view.desired);
        memory.order.skip(self.zones, |slot| slot.0 >= movable || !draft.is_behind(slot));
    }

    /// The next wave begins; whether there was one.
    fn begin_wave(&self, draft: &mut Draft<'_>, memory: &mut Memory) -> bool {
        let movable = self.movable(draft.view.desired);
        let is_behind = |slot: Slot| slot.0 < movable && draft.is_behind(slot);
        let slots = memory.order.next(memory.size, self.zones, is_behind, |slot| draft.is_under_repair(slot));
        if slots.is_empty() {
            return false;
        }
        memory.begun += 1;
        memory.size = self.grown(memory.size);
        let (version, since, is_out) = (draft.view.target, draft.view.now, self.take_out.is_some());
        let mut moves = Moves::default();
        for slot in slots {
            let step = if is_out { Step::TakeOut } else { Step::Stop };
            match step {
                Step::TakeOut => draft.on_all_in(slot, Action::TakeOut),
                _ => self.stop(draft, slot),
            }
            moves.push(Move { slot, version, step, since, instance: None, is_out }, draft.view.fleet);
        }
        memory.wave = Some(Wave { moves, stage: Stage::Replacing });
        true
    }

    /// Stops what runs in a place; it is drained only where it was taken out.
    fn stop(&self, draft: &mut Draft<'_>, slot: Slot) {
        let drain = self.take_out.is_some();
        draft.on_all_in(slot, |instance| Action::Terminate { instance, drain });
    }

    /// Brings the wave under way forward, and ends it when it is done.
    fn advance_wave(&self, draft: &mut Draft<'_>, memory: &mut Memory) {
        let Some(mut wave) = memory.wave.take() else { return };
        let due = wave.moves.due(draft.view.now);
        // Where all go in step, one that is through may have waited for another one.
        let due = if self.in_step { wave.moves.numbers() } else { due };
        self.advance(draft, &mut wave.moves, &due);
        for number in due {
            let Move { slot, step, .. } = wave.moves.get(number);
            if step == Step::Left {
                memory.order.go_first(slot);
                wave.moves.remove(number);
            }
            memory.failed |= step == Step::Failed && self.on_failure != OnFailure::Continue;
        }
        let is_over = wave.moves.are_settled() && self.pass_stages(draft, &mut wave, memory);
        if !is_over {
            memory.wave = Some(wave);
        }
    }

    /// Replaced is a wave: it is tested, it soaks, and a human lets it go on. Whether all that is over.
    fn pass_stages(&self, draft: &mut Draft<'_>, wave: &mut Wave, memory: &mut Memory) -> bool {
        let now = draft.view.now;
        let is_trusted = draft.view.rolling_back;
        loop {
            if memory.failed || wave.moves.is_empty() {
                return true;
            }
            wave.stage = match wave.stage {
                Stage::Replacing if self.test.is_some() && !is_trusted => Stage::Testing(now),
                Stage::Replacing => Stage::Soaking(now),
                Stage::Testing(since) => {
                    let test = self.test.expect("there is a test");
                    if !draft.has_come(since + test.takes) {
                        return false;
                    }
                    let found = find_defects(draft.view, wave, test.finds);
                    memory.failed |= found && self.on_failure != OnFailure::Continue;
                    Stage::Soaking(now)
                }
                Stage::Soaking(since) => {
                    let soak = if is_trusted { Duration::ZERO } else { self.soak };
                    if !draft.has_come(since + soak) {
                        return false;
                    }
                    self.skip_what_is_done(draft, memory);
                    let is_last = memory.order.is_done();
                    let gate = self.gate.as_ref().filter(|gate| gate.after_wave.get() == memory.begun);
                    let Some(gate) = gate.filter(|_| !is_trusted && !is_last) else { return true };
                    Stage::Gated(now + gate.answers_after.by_luck(luck(draft.view, wave)))
                }
                Stage::Gated(until) => return draft.has_come(until),
            };
        }
    }

    // --- places
    // ------------------------------------------------------------------------------------------------------

    /// Brings these places forward as far as they go now.
    fn advance(&self, draft: &mut Draft<'_>, moves: &mut Moves, due: &[u32]) {
        loop {
            let places: Vec<Move> = due.iter().map(|number| moves.get(*number)).collect();
            let standings: Vec<Standing> = places.iter().map(|place| self.standing(draft, place)).collect();
            let runs = |(place, standing): (&Move, &Standing)| {
                (*standing == Standing::Running && !place.is_settled()).then_some(place.step)
            };
            let slowest = places.iter().zip(&standings).filter_map(runs).min();
            let mut goes_on = false;
            for ((number, mut place), standing) in due.iter().zip(places).zip(standings) {
                let waits = self.in_step && slowest.is_some_and(|step| step <= place.step);
                if standing == Standing::Running || standing == Standing::Passed && waits {
                    continue;
                }
                (place.step, place.since) = (self.leave_step(draft, &mut place, standing), draft.view.now);
                moves.put(*number, place);
                goes_on = true;
            }
            draft.moves |= goes_on;
            if !goes_on {
                break;
            }
        }
        for number in due {
            let ends = self.ends_at(&moves.get(*number));
            ends.filter(|at| *at > draft.view.now).inspect(|at| moves.wake_at(*at, *number));
        }
    }

    /// When the step of a place is over, where that is a matter of time.
    fn ends_at(&self, place: &Move) -> Option<SimTime> {
        let takes = match place.step {
            Step::TakeOut => self.take_out.unwrap_or_default(),
            Step::Gap => self.gap,
            Step::PutBack => self.put_back,
            Step::Stop | Step::Start | Step::Done | Step::Failed | Step::Left => return None,
        };
        Some(place.since + takes)
    }

    fn standing(&self, draft: &Draft<'_>, place: &Move) -> Standing {
        let passed = |passed| if passed { Standing::Passed } else { Standing::Running };
        let instance = launched(draft.view, place).map(|(_, instance)| instance);
        let has_failed = instance.is_some_and(|instance| instance.first_failure.is_some());
        match place.step {
            Step::TakeOut if draft.is_under_repair(place.slot) => Standing::Away,
            Step::TakeOut | Step::Gap | Step::PutBack => {
                passed(self.ends_at(place).is_some_and(|at| at <= draft.view.now))
            }
            Step::Stop => passed(draft.view.fleet.in_slot(place.slot).next().is_none()),
            Step::Start | Step::Done if has_failed => Standing::Failed,
            Step::Start => passed(instance.is_some_and(|instance| instance.phase() == Phase::Ready)),
            Step::Done | Step::Failed | Step::Left => Standing::Running,
        }
    }

    /// A step of a place ends like this; the next one begins.
    fn leave_step(&self, draft: &mut Draft<'_>, place: &mut Move, standing: Standing) -> Step {
        match (place.step, standing) {
            (_, Standing::Away) => {
                draft.on_all_in(place.slot, Action::PutBack);
                Step::Left
            }
            (_, Standing::Failed) => {
                if place.is_out && self.on_failure == OnFailure::Continue {
                    draft.actions.extend(place.instance.map(Action::PutBack));
                }
                Step::Failed
            }
            (Step::TakeOut, _) => {
                self.stop(draft, place.slot);
                Step::Stop
            }
            (Step::Stop, _) => Step::Gap,
            (Step::Gap, _) => {
                let (version, slot, held_out) = (place.version, Some(place.slot), place.is_out);
                place.instance = Some(InstanceId(draft.view.fleet.len() as u32 + draft.launched));
                draft.launched += 1;
                draft.actions.push(Action::Launch { version, slot, hold: false, held_out });
                Step::Start
            }
            (Step::Start, _) if place.is_out => Step::PutBack,
            (Step::PutBack, _) => {
                draft.actions.extend(place.instance.map(Action::PutBack));
                Step::Done
            }
            (Step::Start | Step::Done | Step::Failed | Step::Left, _) => Step::Done,
        }
    }
}

/// Whether a new process has not come to anything yet.
fn is_on_its_way(instance: &Instance) -> bool {
    instance.first_ready.is_none() && instance.first_failure.is_none()
}

/// What was launched in a place; `None`: it is only about to be.
fn launched<'a>(view: &View<'a>, place: &Move) -> Option<(InstanceId, &'a Instance)> {
    let id = place.instance.filter(|id| id.index() < view.fleet.len())?;
    Some((id, &view.fleet[id]))
}

/// Instances that are not ready, or whose defect is found, fail the test; whether there were any. An instance's own luck decides, not a draw: the
/// same one passes or fails under every strategy.
fn find_defects(view: &View<'_>, wave: &mut Wave, finds: f64) -> bool {
    let mut found = false;
    for number in wave.moves.numbers() {
        let place = wave.moves.get(number);
        let passes = launched(view, &place).is_some_and(|(_, instance)| {
            let shows = instance.misbehaves_from.is_some_and(|from| from <= view.now);
            instance.phase() == Phase::Ready && !(shows && unit(mix(instance.rank)) < finds)
        });
        if place.step == Step::Done && !passes {
            wave.moves.put(number, Move { step: Step::Failed, ..place });
            found = true;
        }
    }
    found
}

/// The luck of a wave: that of its first instance, but another one than the test's.
fn luck(view: &View<'_>, wave: &Wave) -> u64 {
    let first = wave.moves.all().next().and_then(|place| launched(view, place));
    mix(mix(first.map_or(0, |(_, instance)| instance.rank)))
}

fn status_of(view: &View<'_>, memory: &Memory) -> (Status, &'static str) {
    match memory.wave.as_ref().map(|wave| wave.stage) {
        Some(Stage::Replacing) => (Status::Progressing, "replacing"),
        Some(Stage::Testing(_)) => (Status::Progressing, "testing"),
        Some(Stage::Soaking(_)) => (Status::Progressing, "soaking"),
        Some(Stage::Gated(_)) => (Status::Paused, "gated"),
        None if memory.failed => (Status::Failed, "failed"),
        None if memory.order.is_done() && memory.beside.is_empty() => (Status::Completed, "completed"),
        None if view.halted => (Status::Paused, "paused"),
        None => (Status::Progressing, "waiting"),
    }
}

/// How many instances of each version are wanted: what lives, but for the places on their way.
fn wanted(draft: &Draft<'_>, memory: &Memory) -> [u32; Version::COUNT] {
    let fleet = draft.view.fleet;
    let mut wanted = [0; Version::COUNT];
    for moves in memory.wave.iter().map(|wave| &wave.moves).chain([&memory.beside]) {
        for (wanted, more) in wanted.iter_mut().zip(moves.more()) {
            *wanted += more;
        }
    }
    for version in Version::all() {
        wanted[version.index()] += i64::from(fleet.live(version));
    }
    for id in &draft.removed {
        wanted[fleet[*id].version.index()] -= 1;
    }
    wanted.map(|count| u32::try_from(count).expect("nobody is sent away who is not there"))
}

#[cfg(test)]
mod tests;
