//! The fleet: instances, versions, zones, phases, and which phase may follow which. What an orchestrator wants of it
//! and how long anything takes is absent here.

mod ready;

pub use ready::{Group, Ready, Second, second_of};

use crate::bits::Numbers;
use crate::time::SimTime;
use crate::wide::{fetch, fetch_whole};
use std::fmt;
use std::ops::Index;
use std::time::Duration;

/// A version of the service, by age: higher is newer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Version(pub u8);

impl Version {
    /// The version that runs before the rollout.
    pub const OLD: Version = Version(0);
    /// The version that the rollout brings.
    pub const NEW: Version = Version(1);
    /// How many versions a run may know: the old one, the new one, and those that overtake it.
    pub const COUNT: usize = 8;

    /// All versions, oldest first.
    pub fn all() -> impl DoubleEndedIterator<Item = Version> + Clone {
        (0..Self::COUNT as u8).map(Version)
    }

    /// All versions but this one, oldest first: those that a rollout to this one replaces.
    pub fn others(self) -> impl DoubleEndedIterator<Item = Version> + Clone {
        Version::all().filter(move |version| *version != self)
    }

    /// The position of this version in a table by version.
    pub const fn index(self) -> usize {
        self.0 as usize
    }
}

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Version::OLD => f.pad("old"),
            Version::NEW => f.pad("new"),
            Version(later) => f.pad(&format!("v{}", later + 1)),
        }
    }
}

/// An instance: a position in the fleet, and the only way to it. Never used again, so no generation is needed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct InstanceId(pub u32);

impl From<u32> for InstanceId {
    fn from(number: u32) -> Self {
        InstanceId(number)
    }
}

impl From<InstanceId> for u32 {
    fn from(InstanceId(number): InstanceId) -> Self {
        number
    }
}

impl InstanceId {
    /// The position.
    pub const fn index(self) -> usize {
        self.0 as usize
    }
}

/// A lasting place of the service that instances follow one another in: a Swarm slot, an Octopus target.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Slot(pub u32);

impl From<u32> for Slot {
    fn from(number: u32) -> Self {
        Slot(number)
    }
}

impl From<Slot> for u32 {
    fn from(Slot(number): Slot) -> Self {
        number
    }
}

/// What an instance is doing, as its users and its orchestrator would tell it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Phase {
    /// Fetching its image or package.
    Pulling,
    /// Has its image and waits for leave to start.
    Prepared,
    /// Its process boots, or runs without having passed its readiness probe yet. Refuses requests.
    Starting,
    /// Serves.
    Ready,
    /// Serves whatever reaches it, but does not pass its readiness probe any more.
    Unready,
    /// Its process is gone unasked, and waits to be started again, or for ever.
    Down,
    /// On its way out of every balancer, and still serving whatever reaches it: deregistration delay and preStop.
    Draining,
    /// Told to stop (SIGTERM): refuses new requests, finishes what it has until it is done or killed.
    Stopping,
    /// Does not exist any more.
    Gone,
}

impl Phase {
    /// How many phases there are.
    pub const COUNT: usize = 9;

    /// All phases, in the order of a life.
    pub const ALL: [Phase; Self::COUNT] = [
        Phase::Pulling,
        Phase::Prepared,
        Phase::Starting,
        Phase::Ready,
        Phase::Unready,
        Phase::Down,
        Phase::Draining,
        Phase::Stopping,
        Phase::Gone,
    ];

    /// Whether an instance may go from this phase to `next`.
    pub const fn may_become(self, next: Phase) -> bool {
        use Phase::{Down, Draining, Gone, Prepared, Pulling, Ready, Starting, Stopping, Unready};
        matches!(
            (self, next),
            (Pulling, Prepared | Down | Stopping | Gone)
                | (Prepared, Starting | Down | Stopping | Gone)
                | (Starting, Ready | Down | Stopping | Gone)
                | (Ready, Unready | Down | Draining | Stopping | Gone)
                | (Unready, Ready | Down | Draining | Stopping | Gone)
                | (Down, Pulling | Prepared | Starting | Gone)
                | (Draining, Stopping | Gone)
                | (Stopping, Gone)
        )
    }

    /// Whether a request that reaches the instance is taken in.
    pub const fn accepts(self) -> bool {
        matches!(self, Phase::Ready | Phase::Unready | Phase::Draining)
    }

    /// Whether the instance is on its way out.
    pub const fn is_terminating(self) -> bool {
        matches!(self, Phase::Draining | Phase::Stopping)
    }

    /// Whether the instance counts among those that its orchestrator keeps: it exists and is not on its way out.
    pub const fn is_live(self) -> bool {
        !self.is_terminating() && !matches!(self, Phase::Gone)
    }

    /// The word for it in tables and charts.
    pub const fn name(self) -> &'static str {
        match self {
            Phase::Pulling => "pulling",
            Phase::Prepared => "prepared",
            Phase::Starting => "starting",
            Phase::Ready => "ready",
            Phase::Unready => "unready",
            Phase::Down => "down",
            Phase::Draining => "draining",
            Phase::Stopping => "stopping",
            Phase::Gone => "gone",
        }
    }
}

/// One instance.
#[derive(Clone, Debug)]
#[expect(clippy::struct_excessive_bools, reason = "each may be so whatever the others are")]
pub struct Instance {
    /// What it runs.
    pub version: Version,
    /// How many of its version were launched before it. The key of its luck.
    pub ordinal: u32,
    /// Its place in the service; instances without lasting places are numbered as they are launched.
    pub slot: Slot,
    /// Its failure domain.
    pub zone: u32,
    /// Random order among equals.
    pub rank: u64,
    /// When it was launched.
    pub launched_at: SimTime,
    /// When it became ready last; `None` while it is not.
    pub ready_since: Option<SimTime>,
    /// When it became ready for the first time.
    pub first_ready: Option<SimTime>,
    /// When its process ended unasked for the first time.
    pub first_failure: Option<SimTime>,
    /// How often its process ended unasked.
    pub failures: u32,
    /// When its process was up for the first time, whether or not a probe has seen it.
    pub first_started: Option<SimTime>,
    /// From when on it fails or delays requests by a defect. Orchestrators cannot see this; a test of the instance
    /// can.
    pub misbehaves_from: Option<SimTime>,
    /// Kept out of the balancers by its orchestrator.
    pub held_out: bool,
    /// It starts, and its probes have found often enough that it is not ready.
    pub fails_checks: bool,
    /// Its place is under repair: it is down, and comes back by itself.
    pub under_repair: bool,
    phase: Phase,
    since: SimTime,
    /// Its place among all that became ready, while it is.
    ready_place: u32,
    /// It is one of those that have changed.
    has_changed: bool,
    /// The next one in its slot that is not gone, oldest first.
    next_in_slot: Option<InstanceId>,
}

impl Instance {
    /// What it is doing.
    pub fn phase(&self) -> Phase {
        self.phase
    }

    /// Since when.
    pub fn since(&self) -> SimTime {
        self.since
    }

    /// Whether balancers ought to send requests to it.
    pub fn is_listed(&self) -> bool {
        self.phase == Phase::Ready && !self.held_out
    }

    /// When it is available; see [`available_at`].
    pub fn available_at(&self, min_ready: Duration, whole_seconds: bool) -> Option<SimTime> {
        Some(available_at(self.ready_since?, min_ready, whole_seconds))
    }
}

/// When an instance that is ready since a moment is available: ready for `min_ready` without a break. A timestamp
/// that the orchestrator keeps in whole seconds is cut to them first. Whatever is ready at the start of the run has
/// been so for long.
pub fn available_at(ready_since: SimTime, min_ready: Duration, whole_seconds: bool) -> SimTime {
    if min_ready.is_zero() || ready_since == SimTime::START {
        return ready_since;
    }
    let counted_from = if whole_seconds { ready_since.whole_second() } else { ready_since };
    (counted_from + min_ready).max(ready_since)
}

/// What a launch needs to know.
#[derive(Clone, Copy, Debug)]
pub struct Launch {
    /// What it runs.
    pub version: Version,
    /// Its place, or `None` to take the next number.
    pub slot: Option<Slot>,
    /// Random order among equals.
    pub rank: u64,
    /// Kept out of the balancers until it is put back.
    pub held_out: bool,
}

/// All instances of a run, those that are gone included.
#[derive(Clone, Debug)]
pub struct Fleet {
    instances: Vec<Instance>,
    /// Those that are not gone.
    existing: Numbers,
    /// Those of them that are not on their way out.
    live: Numbers,
    /// By slot, the oldest of them there, which [knows the next one](Instance::next_in_slot).
    first_in_slot: Vec<Option<InstanceId>>,
    /// Those of each version that are ready.
    ready: [Ready; Version::COUNT],
    /// Those of each version that are not, and not on their way out.
    not_ready: [Numbers; Version::COUNT],
    launched: [u32; Version::COUNT],
    failures: [u32; Version::COUNT],
    counts: [[u32; Phase::COUNT]; Version::COUNT],
    changed: Vec<InstanceId>,
    zones: u32,
}

impl Fleet {
    /// A fleet without instances, spread over `zones` failure domains.
    pub fn new(zones: u32) -> Self {
        debug_assert!(zones > 0, "an instance stands in some zone");
        Fleet {
            instances: Vec::new(),
            existing: Numbers::default(),
            live: Numbers::default(),
            first_in_slot: Vec::new(),
            ready: Default::default(),
            not_ready: Default::default(),
            launched: [0; Version::COUNT],
            failures: [0; Version::COUNT],
            counts: [[0; Phase::COUNT]; Version::COUNT],
            changed: Vec::new(),
            zones,
        }
    }

    /// Adds an instance in its first phase.
    pub fn launch(&mut self, now: SimTime, launch: Launch) -> InstanceId {
        let id = InstanceId(self.instances.len() as u32);
        let ordinal = self.launched[launch.version.index()];
        let slot = launch.slot.unwrap_or(Slot(id.0));
        self.instances.push(Instance {
            version: launch.version,
            ordinal,
            slot,
            zone: slot.0 % self.zones,
            rank: launch.rank,
            launched_at: now,
            ready_since: None,
            first_ready: None,
            first_failure: None,
            failures: 0,
            first_started: None,
            misbehaves_from: None,
            held_out: launch.held_out,
            fails_checks: false,
            under_repair: false,
            phase: Phase::Pulling,
            since: now,
            ready_place: 0,
            has_changed: false,
            next_in_slot: None,
        });
        self.launched[launch.version.index()] += 1;
        self.counts[launch.version.index()][Phase::Pulling as usize] += 1;
        self.not_ready[launch.version.index()].insert(id.0);
        self.existing.insert(id.0);
        self.live.insert(id.0);
        if slot.0 as usize >= self.first_in_slot.len() {
            self.first_in_slot.resize(slot.0 as usize + 1, None);
        }
        match self.in_slot(slot).last() {
            Some((youngest, _)) => self.instances[youngest.index()].next_in_slot = Some(id),
            None => self.first_in_slot[slot.0 as usize] = Some(id),
        }
        self.note_change(id);
        id
    }

    /// What is known of an instance is fetched, for it will be looked at soon.
    pub fn fetch(&self, id: InstanceId) {
        fetch_whole(&self.instances[id.index()]);
        // Where orchestrators know no places each instance has its own, of the same number.
        if let Some(first) = self.first_in_slot.get(id.index()) {
            fetch(first);
        }
    }

    /// How many of a version were launched so far.
    pub fn launched(&self, version: Version) -> u32 {
        self.launched[version.index()]
    }

    /// How often processes of a version ended unasked so far.
    pub fn failures(&self, version: Version) -> u32 {
        self.failures[version.index()]
    }

    /// Moves an instance to another phase: the one place where phases change.
    ///
    /// # Panics
    /// When the step is not legal: our own mistake.
    pub fn enter(&mut self, id: InstanceId, next: Phase, now: SimTime) {
        self.note_change(id);
        let instance = &mut self.instances[id.index()];
        let from = instance.phase;
        assert!(from.may_become(next), "{id:?} cannot go from {from:?} to {next:?} at {now:?}");
        let counts = &mut self.counts[instance.version.index()];
        counts[from as usize] -= 1;
        counts[next as usize] += 1;
        instance.phase = next;
        instance.since = now;
        instance.fails_checks = false;
        let ready = &mut self.ready[instance.version.index()];
        if let Some(since) = instance.ready_since {
            ready.leave(id, instance, since, instance.ready_place);
        }
        if next == Phase::Ready {
            instance.ready_place = ready.enter(id, instance, now);
        }
        let not_ready = &mut self.not_ready[instance.version.index()];
        match (from != Phase::Ready, next.is_live() && next != Phase::Ready) {
            (false, true) => not_ready.insert(id.0),
            (true, false) => not_ready.remove(id.0),
            _ => {}
        }
        if !next.is_live() {
            self.live.remove(id.0);
        }
        instance.ready_since = (next == Phase::Ready).then_some(now);
        match next {
            Phase::Ready => {
                instance.first_ready.get_or_insert(now);
            }
            Phase::Down => {
                instance.failures += 1;
                self.failures[instance.version.index()] += 1;
                instance.first_failure.get_or_insert(now);
            }
            Phase::Starting => instance.under_repair = false,
            Phase::Gone => {
                self.existing.remove(id.0);
                let Instance { slot, next_in_slot, .. } = self.instances[id.index()];
                let before =
                    self.in_slot(slot).find(|(_, other)| other.next_in_slot == Some(id)).map(|(before, _)| before);
                match before {
                    Some(before) => self.instances[before.index()].next_in_slot = next_in_slot,
                    None => self.first_in_slot[slot.0 as usize] = next_in_slot,
                }
            }
            _ => {}
        }
    }

    /// Keeps an instance out of the balancers, or lets it in.
    pub fn hold_out(&mut self, id: InstanceId, held_out: bool) {
        self.note_change(id);
        self.instances[id.index()].held_out = held_out;
    }

    /// Notes that the probes of a starting instance have failed often enough.
    pub fn note_failing_checks(&mut self, id: InstanceId) {
        debug_assert_eq!(self[id].phase, Phase::Starting);
        self.note_change(id);
        self.instances[id.index()].fails_checks = true;
    }

    /// Notes that an instance is down because its place is, and comes back with it.
    pub fn note_repair(&mut self, id: InstanceId) {
        debug_assert_eq!(self[id].phase, Phase::Down);
        self.note_change(id);
        self.instances[id.index()].under_repair = true;
    }

    /// Notes that an instance's process is up, and from when on a defect of it shows.
    pub fn note_started(&mut self, id: InstanceId, now: SimTime, misbehaves_from: Option<SimTime>) {
        self.note_change(id);
        let instance = &mut self.instances[id.index()];
        instance.first_started.get_or_insert(now);
        instance.misbehaves_from = misbehaves_from;
    }

    fn note_change(&mut self, id: InstanceId) {
        if !std::mem::replace(&mut self.instances[id.index()].has_changed, true) {
            self.changed.push(id);
        }
    }

    /// Every instance of which something has changed since changes were forgotten last, each once.
    pub fn changed(&self) -> &[InstanceId] {
        &self.changed
    }

    /// Somebody has looked at all that has changed.
    pub fn forget_changes(&mut self) {
        for id in self.changed.drain(..) {
            self.instances[id.index()].has_changed = false;
        }
    }

    /// How many instances of a version are in a phase.
    pub fn count(&self, version: Version, phase: Phase) -> u32 {
        self.counts[version.index()][phase as usize]
    }

    /// The ready instances of a version.
    pub fn ready(&self, version: Version) -> &Ready {
        &self.ready[version.index()]
    }

    /// Every instance of a version that exists, is not on its way out and not ready, oldest first.
    pub fn not_ready(&self, version: Version) -> impl Iterator<Item = (InstanceId, &Instance)> + Clone {
        self.each(&self.not_ready[version.index()])
    }

    /// Every instance that is down, oldest first.
    pub fn down(&self) -> Vec<InstanceId> {
        let is_there = |version: &Version| self.count(*version, Phase::Down) > 0;
        let not_ready = Version::all().filter(is_there).flat_map(|version| self.not_ready(version));
        let mut down: Vec<InstanceId> =
            not_ready.filter(|(_, instance)| instance.phase == Phase::Down).map(|(id, _)| id).collect();
        down.sort_unstable();
        down
    }

    /// How many instances of a version exist and are not on their way out.
    pub fn live(&self, version: Version) -> u32 {
        Phase::ALL.iter().filter(|phase| phase.is_live()).map(|phase| self.count(version, *phase)).sum()
    }

    /// Whether an instance of a version exists, on its way out or not.
    pub fn exists(&self, version: Version) -> bool {
        Phase::ALL.iter().any(|phase| *phase != Phase::Gone && self.count(version, *phase) > 0)
    }

    /// How many instances are on their way out.
    pub fn terminating(&self) -> u32 {
        let count = |version| self.count(version, Phase::Draining) + self.count(version, Phase::Stopping);
        Version::all().map(count).sum()
    }

    /// Every instance that is not gone, oldest first.
    pub fn existing(&self) -> impl Iterator<Item = (InstanceId, &Instance)> + Clone {
        self.each(&self.existing)
    }

    /// How many these are.
    pub fn existing_count(&self) -> usize {
        self.instances.len() - Version::all().map(|version| self.count(version, Phase::Gone) as usize).sum::<usize>()
    }

    /// Every instance of a slot that is not gone, oldest first.
    pub fn in_slot(&self, slot: Slot) -> impl Iterator<Item = (InstanceId, &Instance)> + Clone {
        let first = self.first_in_slot.get(slot.0 as usize).copied().flatten();
        let ids = std::iter::successors(first, |id| self.instances[id.index()].next_in_slot);
        ids.map(|id| (id, &self.instances[id.index()]))
    }

    /// Every instance of a slot that exists and is not on its way out, oldest first.
    pub fn live_in_slot(&self, slot: Slot) -> impl Iterator<Item = (InstanceId, &Instance)> + Clone {
        self.in_slot(slot).filter(|(_, instance)| instance.phase.is_live())
    }

    /// Every instance that exists and is not on its way out, oldest first.
    pub fn all_live(&self) -> impl Iterator<Item = (InstanceId, &Instance)> + Clone {
        self.each(&self.live)
    }

    fn each<'a>(&'a self, ids: &'a Numbers) -> impl Iterator<Item = (InstanceId, &'a Instance)> + Clone {
        ids.iter().map(InstanceId).map(|id| (id, &self[id]))
    }

    /// Every instance of the run, in the order of launch.
    pub fn all(&self) -> impl ExactSizeIterator<Item = (InstanceId, &Instance)> {
        self.instances.iter().enumerate().map(|(place, instance)| (InstanceId(place as u32), instance))
    }

    /// How many instances the run has launched.
    pub fn len(&self) -> usize {
        self.instances.len()
    }

    /// Whether nothing was launched yet.
    pub fn is_empty(&self) -> bool {
        self.instances.is_empty()
    }
}

impl Index<InstanceId> for Fleet {
    type Output = Instance;

    fn index(&self, id: InstanceId) -> &Instance {
        &self.instances[id.index()]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn second(s: u64) -> SimTime {
        SimTime::START + Duration::from_secs(s)
    }

    fn one() -> (Fleet, InstanceId) {
        let mut fleet = Fleet::new(2);
        let id = fleet.launch(second(0), Launch { version: Version::NEW, slot: None, rank: 0, held_out: false });
        (fleet, id)
    }

    #[test]
    fn a_life_is_counted_phase_by_phase() {
        let (mut fleet, id) = one();
        for (at, phase) in [(1, Phase::Prepared), (2, Phase::Starting), (5, Phase::Ready), (9, Phase::Down)] {
            fleet.enter(id, phase, second(at));
            assert_eq!(fleet.count(Version::NEW, phase), 1);
            assert_eq!(fleet.live(Version::NEW), 1);
        }
        assert_eq!(fleet[id].first_ready, Some(second(5)));
        assert_eq!(fleet[id].first_failure, Some(second(9)));
        assert_eq!(fleet[id].ready_since, None);
        fleet.enter(id, Phase::Gone, second(10));
        assert_eq!((fleet.live(Version::NEW), fleet.existing().count()), (0, 0));
    }

    #[test]
    #[should_panic(expected = "cannot go from Pulling to Ready")]
    fn an_instance_cannot_serve_before_it_started() {
        let (mut fleet, id) = one();
        fleet.enter(id, Phase::Ready, second(1));
    }

    #[test]
    fn availability_counts_from_the_whole_second() {
        let (mut fleet, id) = one();
        fleet.enter(id, Phase::Prepared, second(0));
        fleet.enter(id, Phase::Starting, second(0));
        let ready = SimTime::from_nanos(2_650_000_000);
        fleet.enter(id, Phase::Ready, ready);
        let min_ready = Duration::from_secs(2);
        assert_eq!(fleet[id].available_at(min_ready, true), Some(second(4)));
        assert_eq!(fleet[id].available_at(min_ready, false), Some(ready + min_ready));
        assert_eq!(fleet[id].available_at(Duration::ZERO, true), Some(ready));
    }
}

/// Fleets for tests, drawn one letter an instance.
#[cfg(test)]
pub(crate) mod drawn {
    use super::*;

    /// Old instances: `o` ready, `w` down, `d` draining. New ones: `n` ready, `b` starting, `x` down. `.`: gone. Each
    /// in a slot of its own, in the order of the letters; all since the start of the run.
    pub(crate) fn fleet(letters: &str) -> Fleet {
        let mut fleet = Fleet::new(1);
        for (place, letter) in letters.chars().enumerate() {
            use Phase::{Down, Draining, Gone, Prepared, Ready, Starting};
            let (version, life): (Version, &[Phase]) = match letter {
                'o' => (Version::OLD, &[Prepared, Starting, Ready]),
                'w' => (Version::OLD, &[Prepared, Starting, Ready, Down]),
                'd' => (Version::OLD, &[Prepared, Starting, Ready, Draining]),
                'n' => (Version::NEW, &[Prepared, Starting, Ready]),
                'b' => (Version::NEW, &[Prepared, Starting]),
                'x' => (Version::NEW, &[Prepared, Starting, Down]),
                '.' => (Version::OLD, &[Gone]),
                other => panic!("no instance is drawn as {other:?}"),
            };
            let slot = Some(Slot(place as u32));
            let id = fleet.launch(SimTime::START, Launch { version, slot, rank: 0, held_out: false });
            for phase in life {
                fleet.enter(id, *phase, SimTime::START);
            }
        }
        fleet
    }
}
