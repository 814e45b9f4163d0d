//! The loop: one run, a pure function of (scenario, strategy, seed, replication). It reads no clock and no file, and
//! computes no statistic.
//!
//! Two planes share the clock. The *control plane* (`control`, `lives`, `probes`) holds the rare events: the orchestrator's decisions,
//! the lives of instances, news on their way to the balancer, faults, the judge. The *request plane* (`requests`)
//! runs in a tight loop up to the next control event. There are nearly always far more requests than anything else, so what one of
//! them costs is what a run costs.
//!
//! # Where the time goes
//!
//! In the plain form a request is an event at its arrival and at its departure ([`run_event_by_event`]). Most of its cost is then a
//! queue of all departures, and memory that is looked at once. Four things avoid that; whatever is not as plain as each of
//! them asks for falls back to the next one, and all come to the same bits:
//!
//! - *The end of a service is no event* (`requests/lazy`) where nobody acts on it. All that is kept of it is when it is, in a row of
//!   eight numbers an instance, which is one cache line. How many requests are open somewhere is counted when somebody
//!   asks: those of the row that are later than now. What would be needed if the end mattered after all lies elsewhere,
//!   half a cache line a service, written and hardly ever read.
//! - *Waiting is no event* (`requests/lines`) where nothing can end it otherwise: first come, first served, whoever finds all workers at
//!   work is served by the one that is free first, and takes its place in the row. What was there goes on in a line, at which nobody
//!   looks unless an instance without a free worker is chosen.
//! - *Arrivals go in rows* (`requests/plain`) as long as nothing else comes first. What they have in common (balancers, window, interval,
//!   counts) is looked up once a row. Up to 64 at a time are given their candidates, whose rows are fetched where they are many, then
//!   they are sent, then what a loss would need is written. A request at 10,000 instances costs 1.4 times what it costs at 100, and
//!   at 100,000 2.1 times.
//! - *Draws come ahead in batches* of 64 (`requests/ahead`), a stream at a time, without branches that chance decides: a processor
//!   computes two, four or eight at once. One that computes eight looks at a row in one step, too ([`crate::wide`]).
//!
//! Least-connections must know of each end before it chooses, and nobody knows where a request goes before those before it were
//! sent, so nothing can be fetched ahead. Still nothing is an event (`requests/order`): ends wait in a calendar, each written once as
//! one number, and a balancer is told of them in their order. Members stand in one array by how many they have open, so
//! each beginning and each end moves one of them past its equals. Beginnings and ends are steps of one kind, so that nothing branches
//! on which of the two comes next. At 10,000 instances a request costs 1.6 to 1.8 times what a choice between two does, by
//! how busy others keep the memory.
//!
//! On the reference workload of `benches/ratios.rs` (1,000 instances, 70 % load) two fifths of the time are draws, and the rest is rows, their
//! counts of latencies included. There a request costs two and a half times the draws of the plain libraries. With three
//! balancers, slow start, checks, warm-up and a rollout under way it costs four and a half times these draws: one request in sixteen
//! waits, rows are shorter, and candidates are drawn by weight, of which those of the ordinary weight are found by a division.
//!
//! What remains an event: requests that wait where their wait may end otherwise; retries, time-outs, errors, late answers; checks; the
//! end of what an instance does that stops or fails; and everything under policies that learn from answers.
//!
//! The control plane costs what happens there, of the order of a microsecond an event, whatever the size of the fleet: orchestrators look at
//! what has changed ([`Fleet::changed`]) and at what they wished to look at by now, and ask indices of the fleet for the rest
//! ([`crate::fleet::Ready`]). Nomad's reconciler alone looks at all allocations, once an evaluation. Ten times the fleet takes 10.1 times the
//! instructions, and about twelve times the time, for what is known of a hundred thousand instances lies far from the processor.
//! Some of that is hidden: what events will look at is fetched some milliseconds before (`near`).
//!
//! What happens at one and the same moment happens in the order of a rule, not of scheduling: departures, then
//! time-outs, then control events (by kind, then by instance), then decisions until the orchestrator is content, then
//! retries, then arrivals. So a request that ends when its time is over was served; a decision sees all facts of its
//! moment; and new work meets its outcome.

mod control;
mod faults;
mod lives;
mod luck;
mod near;
mod pools;
mod probes;
mod requests;
mod schema;
mod views;

use crate::balancer::{Balancer, Endpoint};
use crate::fleet::{Fleet, InstanceId, Launch, Phase, Slot, Version};
use crate::history::{Change, Effort, History, Interval, Ledger, Outcome, Wanted, Window};
use crate::queue::EventQueue;
use crate::random::{Purpose, Stream, Streams, unit};
use crate::rollback::Policy;
use crate::rollout::{Answers, Memory, Status, Strategy, What, When};
use crate::scenario::{Choice, Discipline, Life, Scenario};
use crate::server::{Server, Speed};
use crate::time::SimTime;
use luck::Luck;
use pools::Pools;
use probes::Probes;
use requests::Requests;
use schema::Schema;
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::time::Duration;
use views::{Heard, Listing, Told, most_checks};

/// Control events after which a run is cut short: far beyond any sensible rollout (ten a second for each instance), and few
/// enough that the history of a run whose processes start and end without a pause fits into memory.
fn most_control_events(scenario: &Scenario) -> u64 {
    let instances = u64::from(scenario.service.instances.get());
    let instance_seconds = instances * scenario.study.ends_at().as_secs();
    (1_000_000 + 200 * instances + 10 * instance_seconds).min(25_000_000).saturating_add(most_checks(scenario))
}

/// Decisions within one moment after which an orchestrator that is never content ends the run.
const DECISIONS_IN_A_MOMENT: u32 = 10_000;

/// A fact of the control plane. The order of the variants is the order within one moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Event {
    /// A balancer heard what to do with an endpoint; of two such news the later sent counts.
    EndpointHeard {
        balancer: u16,
        endpoint: Endpoint,
        news: u32,
        listing: Listing,
    },
    /// A balancer heard how to split requests among versions.
    SplitHeard {
        balancer: u16,
        news: u32,
    },
    /// A balancer checks an endpoint, as long as it goes by this listing of it.
    CheckDue {
        balancer: u16,
        endpoint: Endpoint,
        listing: u32,
    },
    /// Nobody answered a check in time.
    CheckUnanswered {
        balancer: u16,
        endpoint: Endpoint,
        listing: u32,
    },
    /// The time for an answer to a check that waits like a request is over. Places come last: they are no rule of the domain.
    CheckLate {
        balancer: u16,
        endpoint: Endpoint,
        place: u32,
        generation: u32,
    },
    EjectionOver {
        balancer: u16,
        endpoint: Endpoint,
        ejection: u32,
    },
    PullFinished {
        instance: InstanceId,
        life: u32,
    },
    StartFinished {
        instance: InstanceId,
        life: u32,
    },
    /// Enough probes in a row may have found the same.
    Probed {
        instance: InstanceId,
        life: u32,
    },
    /// It stops passing its readiness probe, or passes it again.
    ReadinessLapsed {
        instance: InstanceId,
        life: u32,
    },
    /// The process ended by the release's own defect.
    ProcessEnded {
        instance: InstanceId,
        life: u32,
    },
    /// A fault of the place that the instance runs on.
    PlaceCrashed {
        instance: InstanceId,
        life: u32,
    },
    RestartDue {
        instance: InstanceId,
        life: u32,
    },
    DrainFinished {
        instance: InstanceId,
    },
    PreStopFinished {
        instance: InstanceId,
    },
    Exited {
        instance: InstanceId,
        life: u32,
    },
    GraceOver {
        instance: InstanceId,
    },
    /// A share of the fleet crashed, for the n-th time.
    ShareCrashed {
        count: u32,
    },
    OutageBegan,
    /// Instances become slow, as the n-th slowness of the scenario says, or are so no longer.
    SlowBegan {
        which: u32,
    },
    SlowEnded {
        which: u32,
    },
    /// A place that was under repair is whole again.
    Repaired {
        instance: InstanceId,
        life: u32,
    },
    /// An interval ended whose requests somebody watches.
    IntervalWatched,
    /// A step of the database is done.
    SchemaChanged,
    RolloutBegan,
    /// The moment of a command has come.
    CommandDue,
    OperatorActed,
    /// The orchestrator wished to be asked.
    AskedAgain,
    /// The observation window is over: nothing arrives any more, and what is open comes to its end.
    WindowEnded,
    /// What is open now stays open.
    RunEnded,
}

impl Event {
    /// Orchestrators see neither the balancers' views nor requests.
    fn concerns_the_orchestrator(self) -> bool {
        !matches!(
            self,
            Event::EndpointHeard { .. }
                | Event::SplitHeard { .. }
                | Event::CheckDue { .. }
                | Event::CheckUnanswered { .. }
                | Event::CheckLate { .. }
                | Event::EjectionOver { .. }
                | Event::SlowBegan { .. }
                | Event::SlowEnded { .. }
                | Event::IntervalWatched
        )
    }
}

/// What the engine knows of an instance beyond what an orchestrator may see.
#[derive(Debug)]
struct Runtime {
    /// Counts the beginnings and ends of its process, so that news of an earlier life find that it is over.
    life: u32,
    /// It may start as soon as it has its image.
    may_start: bool,
    /// It carries the release's defect.
    defective: bool,
    /// Its recorded delays, in a replay: most runs are none.
    recorded: Option<Box<Life>>,
    /// Failures since its process last ran long enough to count as sound.
    failures_in_a_row: u32,
    /// When its process was up last.
    up_at: SimTime,
    /// Its deregistration delay is over.
    drain_is_over: bool,
    /// Its readiness probes.
    probes: Probes,
    luck: Luck,
}

/// What a request meets at an instance: all that the request plane looks at, kept together and small, for it is
/// looked at often.
#[derive(Debug)]
struct Desk {
    server: Server,
    speed: Speed,
    /// The share of requests that it answers with an error while its defect shows.
    error_rate: f64,
    version: Version,
    /// A copy of the instance's phase.
    phase: Phase,
    /// While it takes nothing it does not even refuse.
    is_silent: bool,
}

impl Desk {
    /// Whether it answers an attempt of such luck with an error while its defect shows.
    #[inline]
    fn may_fail(&self, luck: u64) -> bool {
        self.error_rate > 0.0 && unit(luck) < self.error_rate
    }

    /// Whether it has no defect, and work takes just its time there from this moment on, nanoseconds.
    fn is_plain(&self, now: u64) -> bool {
        self.error_rate == 0.0 && self.speed.is_plain(now)
    }
}

/// What was asked for before.
#[derive(Clone, Copy, Debug)]
struct Former {
    version: Version,
    desired: u32,
}

/// The rollout as the engine sees it.
#[derive(Debug)]
struct Rollout {
    target: Version,
    /// What an undo goes back to; `None` before the rollout, and after a rollback that was not typed.
    previous: Option<Former>,
    /// The newest version that was asked for.
    newest: Version,
    revision: u32,
    rolling_back: bool,
    halted: bool,
    /// How often somebody promoted it since its target was asked for.
    promotions: u32,
    /// How often somebody aborted the rollout to the target.
    aborts: u32,
    /// How many instances the service is to have.
    desired: u32,
    /// How many commands were typed.
    typed: usize,
    slot_order: Vec<Slot>,
    memory: Memory,
    status: Status,
    /// Decisions that changed something.
    step: u32,
    /// Somebody has been alarmed; once is enough.
    alarmed: bool,
    asked: BTreeSet<SimTime>,
}

impl Rollout {
    fn has_begun(&self) -> bool {
        self.revision > 0
    }
}

/// How many versions requests are split among; 0: they are not.
fn versions_split(strategy: &Strategy) -> usize {
    let facts = strategy.facts();
    let deployed = facts.commands().iter().map(|command| match command.what {
        What::Deploy(version) => version,
        _ => Version::NEW,
    });
    if facts.splits_requests() { deployed.fold(Version::NEW, Version::max).index() + 1 } else { 0 }
}

/// How far a run is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Stage {
    /// Within the observation window.
    Observed,
    /// What became of the rollout is written down; requests that arrived in time are followed on.
    Settling,
    Ended,
}

struct Engine<'a> {
    scenario: &'a Scenario,
    strategy: &'a Strategy,
    streams: Streams,
    now: SimTime,
    control: EventQueue<Event>,
    fleet: Fleet,
    runtimes: Vec<Runtime>,
    desks: Vec<Desk>,
    /// By pool.
    balancers: Vec<Balancer>,
    pools: Pools,
    /// By endpoint.
    told: Vec<Told>,
    /// By endpoint, and within that by balancer.
    heard: Vec<Heard>,
    /// Who stands at each place, where balancers know places.
    occupants: Vec<Option<InstanceId>>,
    rollout: Rollout,
    schema: Schema,
    requests: Requests<'a>,
    history: History,
    /// Workers of an instance share its requests.
    shares_workers: bool,
    /// Balancers wish to know who has nothing to do.
    is_told_of_idleness: bool,
    /// Whom each slowness of the scenario hits, while it lasts.
    slow: Vec<Vec<InstanceId>>,
    /// Repair crews at work, and what waits for one: the instance, its life, and how long the repair takes.
    crews_at_work: u32,
    repairs: VecDeque<(InstanceId, u32, Duration)>,
    share_crash: Stream,
    operator: Stream,
    /// Requests that had ended when the interval that is being watched began: (all, lost).
    watched: (u64, u64),
    /// By version: what became of the attempts so far.
    answers: [Answers; Version::COUNT],
    stage: Stage,
}

/// One run of one strategy.
pub fn run(scenario: &Scenario, strategy: &Strategy, replication: u32) -> History {
    run_as(scenario, strategy, replication, true)
}

/// The same run to the same bits, more slowly: each end of a service is an event. What [`run`] is held to.
pub fn run_event_by_event(scenario: &Scenario, strategy: &Strategy, replication: u32) -> History {
    run_as(scenario, strategy, replication, false)
}

fn run_as(scenario: &Scenario, strategy: &Strategy, replication: u32, may_be_lazy: bool) -> History {
    let strategy = match scenario.rollback {
        Policy::None => strategy.clone().without_failure_rule(),
        Policy::Pause | Policy::Orchestrator | Policy::Operator(_) => strategy.clone(),
    };
    let mut engine = Engine::new(scenario, &strategy, replication);
    if !may_be_lazy {
        engine.requests.foresee_everything();
    }
    engine.run();
    engine.finish()
}

impl<'a> Engine<'a> {
    fn new(scenario: &'a Scenario, strategy: &'a Strategy, replication: u32) -> Self {
        let streams = Streams::new(scenario.study.seed, replication);
        let desired = scenario.service.instances.get();
        let pools = Pools::new(scenario.balancer.count.get(), versions_split(strategy));
        let pools_in_all = pools.count();
        let mut engine = Engine {
            scenario,
            strategy,
            streams,
            now: SimTime::START,
            control: EventQueue::new(),
            fleet: Fleet::new(scenario.service.zones.get()),
            // Most rollouts launch as many again.
            runtimes: Vec::with_capacity(2 * desired as usize),
            desks: Vec::with_capacity(2 * desired as usize),
            balancers: (0..pools.count()).map(|n| Balancer::new(&scenario.balancer, n)).collect(),
            pools,
            told: Vec::new(),
            heard: Vec::new(),
            occupants: Vec::new(),
            rollout: Rollout {
                target: Version::OLD,
                previous: None,
                newest: Version::OLD,
                revision: 0,
                rolling_back: false,
                halted: false,
                promotions: 0,
                aborts: 0,
                desired,
                typed: 0,
                slot_order: Vec::new(),
                memory: strategy.memory(desired),
                status: Status::Progressing,
                step: 0,
                alarmed: false,
                asked: BTreeSet::new(),
            },
            schema: Schema::old(),
            requests: Requests::new(scenario, &streams, pools_in_all),
            history: empty_history(scenario),
            shares_workers: scenario.service.discipline == Discipline::ProcessorSharing,
            is_told_of_idleness: scenario.balancer.policy == Choice::JoinIdleQueue,
            slow: vec![Vec::new(); scenario.faults.slow.len()],
            crews_at_work: 0,
            repairs: VecDeque::new(),
            share_crash: streams.of(Purpose::SharedCrash, 0),
            operator: streams.of(Purpose::Operator, 0),
            watched: (0, 0),
            answers: Answers::NONE,
            stage: Stage::Observed,
        };
        engine.stand_up(desired);
        engine.schedule_the_scenario();
        engine
    }

    /// The fleet before the rollout: all old, all warm, all known to the balancer.
    fn stand_up(&mut self, desired: u32) {
        for place in 0..desired {
            let id = self.create(Launch { version: Version::OLD, slot: Some(Slot(place)), rank: 0, held_out: false });
            for phase in [Phase::Prepared, Phase::Starting, Phase::Ready] {
                self.fleet.enter(id, phase, self.now);
            }
            self.desks[id.index()].phase = Phase::Ready;
            self.fleet.note_started(id, self.now, None);
            self.note(id);
            self.is_known_from_the_start(id);
            self.schedule_crash(id);
        }
        let mut desired_by_version = [0; Version::COUNT];
        desired_by_version[Version::OLD.index()] = desired;
        self.history.wanted.push(Wanted { at: self.now, desired: desired_by_version });
    }

    fn schedule_the_scenario(&mut self) {
        let study = &self.scenario.study;
        let rollout_at = SimTime::START + study.rollout_at();
        self.control.schedule(rollout_at, Event::RolloutBegan);
        self.control.schedule(SimTime::START + study.ends_at(), Event::WindowEnded);
        self.control.schedule(SimTime::START + study.ends_at() + study.window, Event::RunEnded);
        for command in self.strategy.facts().commands() {
            if let When::After(after) = command.when {
                self.control.schedule(rollout_at + after, Event::CommandDue);
            }
        }
        if let Some(outage) = &self.scenario.faults.outage {
            self.control.schedule(rollout_at + outage.at, Event::OutageBegan);
        }
        for (which, slow) in self.scenario.faults.slow.iter().enumerate() {
            self.control.schedule(rollout_at + slow.at, Event::SlowBegan { which: which as u32 });
            self.control.schedule(rollout_at + slow.at + slow.lasts, Event::SlowEnded { which: which as u32 });
        }
        if self.scenario.rollback.watches_requests() {
            self.control.schedule(rollout_at + study.interval, Event::IntervalWatched);
        }
        self.schedule_shared_crash(0);
    }

    fn run(&mut self) {
        let most_control_events = most_control_events(self.scenario);
        let mut control_events = 0;
        while self.stage < Stage::Ended {
            self.run_requests();
            let at = self.control.next_time();
            self.fetch_what_is_near();
            if self.is_window_over() && self.history.ledger.is_settled() && self.all_have_ended(at.nanos()) {
                self.now = at;
                return;
            }
            debug_assert!(at >= self.now, "time never goes back: {:?} after {:?}", at, self.now);
            self.sample_load(at.nanos());
            self.hear_of_ends(at.nanos(), None);
            self.now = at;
            let mut concerns_the_orchestrator = false;
            while let Some(event) = self.control.pop_due(at) {
                concerns_the_orchestrator |= event.concerns_the_orchestrator();
                self.apply(event);
                control_events += 1;
                self.history.events += 1;
                self.history.effort.control_events += 1;
                if control_events == most_control_events {
                    self.cut_short();
                    break;
                }
            }
            if concerns_the_orchestrator && self.rollout.has_begun() && self.stage < Stage::Ended {
                self.type_commands();
                self.decide();
                self.follow_the_schema();
            }
        }
    }

    fn is_window_over(&self) -> bool {
        self.stage > Stage::Observed
    }

    fn finish(mut self) -> History {
        self.foresee_all_departures();
        self.close_the_ledger();
        self.history
    }

    /// Ends the run here and now.
    fn cut_short(&mut self) {
        if !self.is_window_over() {
            self.history.outcome = Outcome::CutShort;
        }
        self.stage = Stage::Ended;
    }

    /// Writes down what an instance does from now on; after the observation window that is of no interest.
    fn note(&mut self, id: InstanceId) {
        if self.is_window_over() {
            return;
        }
        let instance = &self.fleet[id];
        self.history.changes.push(Change {
            at: self.now,
            instance: id,
            version: instance.version,
            slot: instance.slot,
            to: instance.phase(),
            listed: self.strategy.facts().lists(instance),
        });
    }
}

fn empty_history(scenario: &Scenario) -> History {
    let study = &scenario.study;
    let intervals =
        study.intervals_before_rollout() + study.window.as_nanos().div_ceil(study.interval.as_nanos()) as u64;
    History {
        changes: Vec::new(),
        wanted: Vec::new(),
        asked: Vec::new(),
        splits: Vec::new(),
        schema_changed: Vec::new(),
        reported: Vec::new(),
        ledger: Ledger::default(),
        attempts: crate::history::Attempts::default(),
        baseline: Window::new(scenario.traffic.classes.len()),
        window: Window::new(scenario.traffic.classes.len()),
        intervals: vec![Interval::default(); intervals as usize],
        log: Vec::new(),
        harm: BTreeMap::new(),
        most_waiting: 0,
        first_lost_at: None,
        outcome: Outcome::Unfinished,
        ended_at: None,
        rollback_at: None,
        new_served_before_rollback: None,
        trouble_at: None,
        events: 0,
        effort: Effort::default(),
    }
}
