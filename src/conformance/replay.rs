//! A repetition in the simulator: the same settings, the same delays of each instance, no traffic.

use super::constants::late;
use super::judge::slack;
use super::recording::{Recording, Repetition, Set};
use super::seen::{Seen, Watcher};
use crate::distribution::Delay;
use crate::engine;
use crate::fleet::{InstanceId, Phase, Version};
use crate::history::{Change, History};
use crate::rollback::Policy;
use crate::rollout::swarm::Order;
use crate::rollout::{Strategy, When};
use crate::scenario::{
    Balancer, Budget, Choice, Client, Faults, NamedStrategy, Release, Scenario, Service, Study, Traffic,
};
use crate::time::SimTime;
use std::collections::{BTreeMap, BTreeSet};
use std::num::NonZeroU32;
use std::time::Duration;

/// The fleet stands for so long before the second in which the rollout begins.
const BEFORE: Duration = Duration::from_secs(2);

/// What the simulator does with the delays of a repetition, under a strategy that is the recording's own with its
/// constants.
pub fn replay(recording: &Recording, strategy: &Strategy, repetition: &Repetition) -> Seen {
    // A command was typed when the recorder saw its condition, which a few milliseconds decide: the moment is the
    // repetition's own.
    let mut strategy = strategy.clone();
    if let Strategy::Kubernetes(settings) = &mut strategy {
        for (command, typed) in settings.commands.iter_mut().zip(&repetition.typed) {
            if matches!(command.when, When::After(_) | When::Stuck) {
                command.when = When::After(*typed);
            }
        }
    }
    let scenario = scenario(recording, &strategy, repetition);
    let history = engine::run(&scenario, &strategy, 0);
    watch(recording.set, &strategy, &scenario.study, &history)
}

fn scenario(recording: &Recording, strategy: &Strategy, repetition: &Repetition) -> Scenario {
    let none = Delay::Fixed(Duration::ZERO);
    // What may end a little later may also be seen to do so; an agent's recorded times end with the recording.
    let window = match recording.set {
        Set::Kubernetes => repetition.lasts + slack(repetition.lasts),
        // An interval must exceed 0.
        Set::Swarmkit | Set::Swarm => repetition.lasts.max(Duration::from_millis(1)),
    };
    Scenario {
        name: "replay".to_owned(),
        hash: 0,
        service: Service::plain(recording.instances),
        traffic: Traffic::none(),
        client: Client::PATIENT,
        balancer: Balancer::plain(Choice::RoundRobin),
        release: Release {
            pull: none.clone(),
            start: none.clone(),
            ready_probe: None,
            warm_up: None,
            drain: Duration::ZERO,
            drain_ends_when_idle: false,
            pre_stop: Duration::ZERO,
            // Recorded stops take as long as they took.
            grace: Some(2 * super::files::LONGEST),
            stop: none,
            restart: None,
            slowdown: 1.0,
            defect: None,
            database: None,
            skew: None,
            recorded: Some(repetition.recorded.clone()),
        },
        faults: Faults::default(),
        rollback: Policy::Orchestrator,
        budget: Budget::default(),
        study: Study {
            replications: NonZeroU32::MIN,
            seed: u64::from(repetition.number),
            warm_up: BEFORE,
            baseline: repetition.begins,
            window,
            interval: window,
            confidence: 0.95,
            against: 0,
            keeps_log: false,
        },
        strategies: vec![NamedStrategy { name: recording.set.name().to_owned(), strategy: strategy.clone() }],
        expectations: Vec::new(),
        remarks: Vec::new(),
    }
}

/// The fleet as the recordings count it.
struct Eye {
    set: Set,
    /// A task that was just created may start at once.
    starts_first: bool,
    wanted: [u32; Version::COUNT],
    target: Version,
    instances: BTreeMap<InstanceId, Change>,
    /// What runs, or ran when it was told to stop.
    ran: BTreeSet<InstanceId>,
}

impl Eye {
    fn note(&mut self, change: &Change) {
        if Eye::is_running(change) {
            self.ran.insert(change.instance);
        }
        if change.to == Phase::Gone {
            self.instances.remove(&change.instance);
        } else {
            self.instances.insert(change.instance, *change);
        }
    }

    fn count(&self, of: impl Fn(&Change) -> bool) -> u32 {
        self.instances.values().filter(|change| of(change)).count() as u32
    }

    fn is_running(change: &Change) -> bool {
        matches!(change.to, Phase::Ready | Phase::Unready)
    }

    fn is_starting(&self, change: &Change) -> bool {
        match change.to {
            Phase::Starting => true,
            // What is held has its image soon, and then waits.
            Phase::Pulling => self.starts_first,
            _ => false,
        }
    }

    fn figures(&self) -> Vec<u32> {
        match self.set {
            Set::Kubernetes => {
                let [_, _, old_ready, new_ready, old, new] = self.kubernetes_state();
                let terminating = self.count(|change| change.to.is_terminating());
                let (ready, total) = (old_ready + new_ready, old + new);
                vec![old, new, ready, ready, total, total + terminating]
            }
            Set::Swarmkit | Set::Swarm => {
                let [old, new, _] = self.swarm_state();
                let is_stopping = |change: &Change| change.to.is_terminating() && self.ran.contains(&change.instance);
                let live = self.count(|change| is_stopping(change) || self.is_starting(change));
                vec![old, new, old + new, old + new, old + new + live]
            }
        }
    }

    fn state(&self) -> Vec<u32> {
        match self.set {
            Set::Kubernetes => self.kubernetes_state().to_vec(),
            Set::Swarmkit | Set::Swarm => self.swarm_state().to_vec(),
        }
    }

    fn kubernetes_state(&self) -> [u32; 6] {
        let is_new = |change: &Change| change.version == self.target;
        let spec: u32 = self.wanted.iter().sum();
        let new_spec = self.wanted[self.target.index()];
        let ready = |change: &Change| change.to == Phase::Ready;
        let lives = |change: &Change| change.to.is_live();
        [
            spec - new_spec,
            new_spec,
            self.count(|change| ready(change) && !is_new(change)),
            self.count(|change| ready(change) && is_new(change)),
            self.count(|change| lives(change) && !is_new(change)),
            self.count(|change| lives(change) && is_new(change)),
        ]
    }

    fn swarm_state(&self) -> [u32; 3] {
        let is_new = |change: &Change| change.version >= Version::NEW;
        [
            self.count(|change| Eye::is_running(change) && !is_new(change)),
            self.count(|change| Eye::is_running(change) && is_new(change)),
            self.count(|change| self.is_starting(change) && is_new(change)),
        ]
    }
}

/// What is seen only after a manager's reaction.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Late {
    /// New tasks.
    Ups,
    /// Ends of tasks, and their being told to stop.
    Downs,
}

/// The extremes of a run whose manager takes its time: it does at once here what it does one after the other there.
fn see_late(late: Late, reaction: Duration, mut eye: Eye, history: &History, began: SimTime, watcher: &mut Watcher) {
    let mut last: BTreeMap<InstanceId, SimTime> = BTreeMap::new();
    let mut changes: Vec<(SimTime, &Change)> = Vec::with_capacity(history.changes.len());
    for change in &history.changes {
        let is_up = change.to.is_live() && change.to != Phase::Down;
        let is_late = change.at >= began && is_up == (late == Late::Ups);
        let at = if is_late { change.at + reaction } else { change.at };
        let at = last.get(&change.instance).map_or(at, |last| at.max(*last));
        last.insert(change.instance, at);
        changes.push((at, change));
    }
    changes.sort_by_key(|(at, _)| *at);
    for (at, change) in changes {
        eye.note(change);
        if at >= began {
            watcher.pass_extremes(&eye.figures());
        }
    }
}

/// What a recorder would have written of a run.
fn watch(set: Set, strategy: &Strategy, study: &Study, history: &History) -> Seen {
    let began = SimTime::START + study.rollout_at();
    let since_began = |at: SimTime| at.max(began).since(began);
    let starts_first = matches!(strategy, Strategy::Swarm(settings) if settings.update.order == Order::StartFirst);
    let mut eye = Eye {
        set,
        starts_first,
        wanted: [0; Version::COUNT],
        target: Version::NEW,
        instances: BTreeMap::new(),
        ran: BTreeSet::new(),
    };
    let mut watcher = Watcher::new(set.figures());
    let mut moments: Vec<SimTime> = history.changes.iter().map(|change| change.at).collect();
    moments.extend(history.wanted.iter().map(|wanted| wanted.at));
    moments.extend(history.asked.iter().map(|asked| asked.at));
    moments.sort_unstable();
    moments.dedup();
    let (mut changes, mut wanted) = (history.changes.iter().peekable(), history.wanted.iter().peekable());
    let mut asked = history.asked.iter().peekable();
    let reaction = late(set);
    for (place, at) in moments.iter().copied().enumerate() {
        let is_watched = at >= began;
        while let Some(asked) = asked.next_if(|asked| asked.at <= at) {
            eye.target = asked.version;
        }
        while let Some(wanted) = wanted.next_if(|wanted| wanted.at <= at) {
            eye.wanted = wanted.desired;
        }
        while let Some(change) = changes.next_if(|change| change.at <= at) {
            eye.note(change);
            // A pass of Kubernetes' controllers writes one object after the other; a change of Swarm's store is one.
            if is_watched && set == Set::Kubernetes {
                watcher.pass(&eye.figures());
            }
        }
        let lasts = moments.get(place + 1).is_none_or(|next| next.since(at) > reaction || !is_watched);
        let see = if lasts { Watcher::settle } else { Watcher::enter };
        see(&mut watcher, since_began(at), &eye.state(), &eye.figures());
    }
    if !reaction.is_zero() {
        for late in [Late::Ups, Late::Downs] {
            let blank = Eye {
                set,
                starts_first,
                wanted: eye.wanted,
                target: eye.target,
                instances: BTreeMap::new(),
                ran: BTreeSet::new(),
            };
            see_late(late, reaction, blank, history, began, &mut watcher);
        }
    }
    let outcome = history.reported.last().map_or("", |report| report.word);
    watcher.end(study.window, outcome, duration(set, history).map(since_began))
}

/// When the rollout was over by the orchestrator's own words.
fn duration(set: Set, history: &History) -> Option<SimTime> {
    match set {
        // The first moment at which the version asked for last was everywhere.
        Set::Kubernetes => {
            let asked_at = history.asked.last()?.at;
            let done = |word: &str| word.eq_ignore_ascii_case("NewReplicaSetAvailable");
            history.reported.iter().find(|report| report.at >= asked_at && done(report.word)).map(|report| report.at)
        }
        // Whatever it said last, unless it is under way.
        Set::Swarmkit | Set::Swarm => {
            let under_way = ["updating", "rollback_started"];
            history.reported.last().filter(|report| !under_way.contains(&report.word)).map(|report| report.at)
        }
    }
}
