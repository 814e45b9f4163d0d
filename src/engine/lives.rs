//! The life of an instance: it is fetched, started, probed, sent away, stopped; and what breaks, whatever is rolled out.

use super::luck::Luck;
use super::probes::Probes;
use super::{Desk, Engine, Event, Runtime};
use crate::distribution::Delay;
use crate::fault::key;
use crate::fleet::{Instance, InstanceId, Launch, Phase, Slot, Version};
use crate::history::Cause;
use crate::probe::Kind;
use crate::random::Purpose;
use crate::rollback::Evidence;
use crate::server::{Server, Speed};
use crate::time::SimTime;
use std::time::Duration;

impl Engine<'_> {
    /// A new instance with its own luck, keyed by its version and ordinal.
    pub(super) fn create(&mut self, launch: Launch) -> InstanceId {
        let ordinal = self.fleet.launched(launch.version);
        let subject = u64::from(launch.version.0) << 32 | u64::from(ordinal);
        let rank = self.streams.of(Purpose::Rank, subject).bits();
        let id = self.fleet.launch(self.now, Launch { rank, ..launch });
        debug_assert_eq!(key(&self.fleet[id]), subject);
        let mut luck = Luck::new(subject);
        let release = &self.scenario.release;
        let defect = release.defect.as_ref().filter(|_| launch.version == Version::NEW);
        let defective = defect.is_some_and(|defect| luck.of(Purpose::Defect, &self.streams).unit() < defect.chance);
        let recorded = release.recorded.as_ref().map(|recorded| {
            let slot = self.fleet[id].slot;
            let same = |instance: &Instance| instance.slot == slot && instance.version == launch.version;
            let nth_in_slot = self.fleet.all().filter(|(_, instance)| same(instance)).count() as u32 - 1;
            recorded.life(launch.version, ordinal, slot, nth_in_slot)
        });
        self.runtimes.push(Runtime {
            life: 0,
            may_start: true,
            defective,
            recorded: recorded.map(Box::new),
            failures_in_a_row: 0,
            up_at: self.now,
            drain_is_over: false,
            probes: Probes::new(Kind::Readiness, self.now),
            luck,
        });
        self.desks.push(Desk {
            server: Server::new(self.scenario.service.discipline),
            speed: Speed::WARM,
            error_rate: 0.0,
            version: launch.version,
            phase: self.fleet[id].phase(),
            is_silent: false,
        });
        self.occupy(id);
        id
    }

    pub(super) fn launch(&mut self, version: Version, slot: Option<Slot>, hold: bool, held_out: bool) {
        let id = self.create(Launch { version, slot, rank: 0, held_out });
        self.note(id);
        self.tell_the_balancers(id);
        let mut pull = self.streams.of(Purpose::Pull, key(&self.fleet[id]));
        let runtime = &mut self.runtimes[id.index()];
        let pull = match &runtime.recorded {
            Some(life) => life.pull,
            None => self.scenario.release.pull.sample(&mut pull),
        };
        let pulled_at = self.now + pull;
        runtime.may_start = !hold;
        self.control.schedule(pulled_at, Event::PullFinished { instance: id, life: runtime.life });
    }

    pub(super) fn prepared(&mut self, id: InstanceId) {
        self.enter(id, Phase::Prepared);
        if self.runtimes[id.index()].may_start {
            self.start_process(id);
        }
    }

    pub(super) fn may_start(&mut self, id: InstanceId) {
        self.runtimes[id.index()].may_start = true;
        if self.fleet[id].phase() == Phase::Prepared {
            self.start_process(id);
        }
    }

    pub(super) fn start_process(&mut self, id: InstanceId) {
        self.enter(id, Phase::Starting);
        let release = &self.scenario.release;
        let runtime = &mut self.runtimes[id.index()];
        runtime.life += 1;
        let life = runtime.life;
        if let Some(recorded) = &runtime.recorded {
            let (start, fails_after) = (recorded.start, recorded.fails_after);
            if let Some(start) = start {
                self.control.schedule(self.now + start, Event::StartFinished { instance: id, life });
            }
            if let Some(fails_after) = fails_after {
                self.control.schedule(self.now + fails_after, Event::ProcessEnded { instance: id, life });
            }
            return;
        }
        let started_at = self.now + runtime.luck.span(&release.start, Purpose::Start, &self.streams);
        self.control.schedule(started_at, Event::StartFinished { instance: id, life });
        self.begin_probing(id);
    }

    /// The process is up, unless the release's defect kept it from that.
    pub(super) fn started(&mut self, id: InstanceId) {
        let release = &self.scenario.release;
        let runtime = &mut self.runtimes[id.index()];
        let life = runtime.life;
        let defect = release.defect.as_ref().filter(|_| runtime.defective);
        if defect.is_some_and(|defect| runtime.luck.of(Purpose::Defect, &self.streams).unit() < defect.failed_start) {
            self.process_ended(id, None);
            return;
        }
        let up_at = self.now;
        runtime.up_at = up_at;
        let is_new = self.fleet[id].version >= Version::NEW;
        let misbehaves_from = defect
            .filter(|defect| defect.error_rate > 0.0 || defect.slowdown > 1.0)
            .map(|defect| up_at + defect.appears_after);
        let desk = &mut self.desks[id.index()];
        desk.error_rate = defect.map_or(0.0, |defect| defect.error_rate);
        desk.is_silent = false;
        desk.speed = Speed {
            slowdown: if is_new { release.slowdown } else { 1.0 },
            up_at: up_at.nanos(),
            warm_at: Speed::warm_at(release.warm_up.as_ref(), up_at.nanos()),
            misbehaves_from: misbehaves_from.map_or(u64::MAX, SimTime::nanos),
            defect_slowdown: defect.map_or(1.0, |defect| defect.slowdown),
            begun: 0,
            hindrance: desk.speed.hindrance,
        };
        self.requests.forget_plainness(id);
        if let Some(crash_after) = defect.and_then(|defect| defect.crash_after.as_ref()) {
            let ends_at = up_at + runtime.luck.span(crash_after, Purpose::Defect, &self.streams);
            self.control.schedule(ends_at, Event::ProcessEnded { instance: id, life });
        }
        self.fleet.note_started(id, up_at, misbehaves_from);
        self.schedule_crash(id);
        if defect.is_none_or(|defect| !defect.never_ready) {
            self.passes(id, true);
        }
    }

    /// The process ended unasked: what is open there is lost, and it starts again by the rules, or after a repair.
    pub(super) fn process_ended(&mut self, id: InstanceId, repair: Option<&Delay>) {
        let now = self.now;
        self.runtimes[id.index()].life += 1;
        self.runtimes[id.index()].probes.end();
        if self.fleet[id].phase().is_terminating() {
            self.gone_with(id, Cause::Crash);
            return;
        }
        let instance = &self.fleet[id];
        let up_at = self.runtimes[id.index()].up_at;
        let was_up = match instance.phase() {
            Phase::Ready | Phase::Unready => true,
            Phase::Starting => instance.first_started.is_some() && up_at >= instance.since(),
            _ => false,
        };
        let ran_since = was_up.then_some(up_at);
        self.enter(id, Phase::Down);
        self.lose_all_at(id, Cause::Crash);
        let restart = self.strategy.facts().restarts_in_place(self.scenario.release.restart);
        let runtime = &mut self.runtimes[id.index()];
        let life = runtime.life;
        match (repair, restart) {
            (Some(repair), _) => {
                let takes = runtime.luck.span(repair, Purpose::Crash, &self.streams);
                self.fleet.note_repair(id);
                self.call_a_crew(id, life, takes);
            }
            (None, Some(rule)) => {
                let was_sound = ran_since.is_some_and(|up_at| now.since(up_at) >= rule.reset_after);
                let sound_before = was_sound && !rule.reset_after.is_zero();
                runtime.failures_in_a_row = if sound_before { 1 } else { runtime.failures_in_a_row + 1 };
                let delay = rule.delay(runtime.failures_in_a_row);
                self.control.schedule(now + delay, Event::RestartDue { instance: id, life });
            }
            (None, None) => {}
        }
        if self.rollout.has_begun() && self.fleet[id].version > Version::OLD {
            self.note_trouble();
            self.consider(Evidence { instance_failed: true, ..Evidence::default() });
        }
    }

    /// Sends an instance away.
    pub(super) fn terminate(&mut self, id: InstanceId, drain: bool) {
        let phase = self.fleet[id].phase();
        let latency = self.strategy.facts().stop_latency(phase);
        match phase {
            Phase::Down => self.gone(id),
            Phase::Pulling | Phase::Prepared => {
                // Nothing runs there yet, but the orchestrator takes its time all the same.
                let recorded = self.runtimes[id.index()].recorded.as_ref().filter(|_| phase == Phase::Prepared);
                let takes = latency + recorded.map_or(Duration::ZERO, |life| life.stop_unstarted);
                if takes.is_zero() {
                    self.gone(id);
                    return;
                }
                let life = self.end_life(id);
                self.enter(id, Phase::Stopping);
                self.control.schedule(self.now + takes, Event::Exited { instance: id, life });
            }
            Phase::Starting if latency.is_zero() => self.told_to_stop_within(id, self.grace()),
            Phase::Starting => {
                self.end_life(id); // It will not be up any more.
                self.enter(id, Phase::Stopping);
                let told_at = self.now + latency;
                self.control.schedule(told_at + self.grace(), Event::GraceOver { instance: id });
                self.exits_after(id, told_at);
            }
            Phase::Ready | Phase::Unready => {
                self.enter(id, Phase::Draining);
                let drain = if drain { self.scenario.release.drain + latency } else { Duration::ZERO };
                self.control.schedule(self.now + drain, Event::DrainFinished { instance: id });
                self.may_end_the_drain(id);
            }
            Phase::Draining | Phase::Stopping | Phase::Gone => {}
        }
    }

    /// News of the life so far will find that it is over.
    fn end_life(&mut self, id: InstanceId) -> u32 {
        let runtime = &mut self.runtimes[id.index()];
        runtime.life += 1;
        runtime.life
    }

    fn grace(&self) -> Duration {
        let own = self.scenario.release.grace.or(self.strategy.facts().grace());
        own.expect("a scenario gives it where the orchestrator has none")
    }

    /// The deregistration delay is over; the grace period begins with preStop.
    pub(super) fn drained(&mut self, id: InstanceId) {
        if self.fleet[id].phase() != Phase::Draining || self.runtimes[id.index()].drain_is_over {
            return;
        }
        self.runtimes[id.index()].drain_is_over = true;
        let pre_stop = self.scenario.release.pre_stop.min(self.grace());
        if pre_stop.is_zero() {
            self.told_to_stop(id);
        } else {
            self.control.schedule(self.now + pre_stop, Event::PreStopFinished { instance: id });
        }
    }

    pub(super) fn told_to_stop(&mut self, id: InstanceId) {
        if self.fleet[id].phase() == Phase::Draining {
            let left = self.grace().saturating_sub(self.scenario.release.pre_stop);
            self.told_to_stop_within(id, left.max(self.strategy.facts().least_time_to_stop()));
        }
    }

    /// SIGTERM: no new request is taken; what is there may finish until the kill.
    fn told_to_stop_within(&mut self, id: InstanceId, left: Duration) {
        if self.fleet[id].phase() == Phase::Starting {
            self.end_life(id); // It will not be up any more.
        }
        self.enter(id, Phase::Stopping);
        self.control.schedule(self.now + left, Event::GraceOver { instance: id });
        if self.desks[id.index()].server.is_idle() {
            self.finished_last_request(id);
        }
    }

    /// A stopping process has nothing left to do.
    pub(super) fn finished_last_request(&mut self, id: InstanceId) {
        self.exits_after(id, self.now);
    }

    /// Its process was told to stop at this moment, and has nothing left to do.
    fn exits_after(&mut self, id: InstanceId, told_at: SimTime) {
        let runtime = &mut self.runtimes[id.index()];
        let life = runtime.life;
        let stop = match &runtime.recorded {
            Some(life) => life.stop,
            None => runtime.luck.span(&self.scenario.release.stop, Purpose::Stop, &self.streams),
        };
        self.control.schedule(told_at + stop, Event::Exited { instance: id, life });
    }

    pub(super) fn killed(&mut self, id: InstanceId) {
        if self.fleet[id].phase() == Phase::Stopping {
            self.gone_with(id, Cause::CutOff);
        }
    }

    pub(super) fn gone(&mut self, id: InstanceId) {
        debug_assert!(self.desks[id.index()].server.is_idle(), "{id:?} leaves with work at {:?}", self.now);
        self.gone_with(id, Cause::CutOff);
    }

    fn gone_with(&mut self, id: InstanceId, cause: Cause) {
        self.runtimes[id.index()].life += 1;
        self.enter(id, Phase::Gone);
        self.lose_all_at(id, cause);
    }
}
