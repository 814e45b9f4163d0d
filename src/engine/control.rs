//! The control plane: lives of instances, news to the balancer, faults, decisions and the judge.

use super::{DECISIONS_IN_A_MOMENT, Desk, Engine, Event, Runtime};
use crate::distribution::Delay;
use crate::fault::{key, time_to_crash, victims};
use crate::fleet::{Instance, InstanceId, Launch, Phase, Slot, Version};
use crate::history::{Asked, Cause, Outcome, Report, Wanted};
use crate::random::{Purpose, unit};
use crate::rollback::{Evidence, Policy, Verdict};
use crate::rollout::{Action, Status, View, What, When};
use crate::scenario::{Hits, Whom};
use crate::server::{Server, Speed};
use crate::time::{SimTime, nanos};
use std::time::Duration;

impl Engine<'_> {
    /// Facts change the fleet and the history.
    pub(super) fn apply(&mut self, event: Event) {
        match event {
            Event::EndpointHeard { instance, news, listed } => self.hear(instance, news, listed),
            Event::PullFinished { instance, life } if self.lives(instance, life) => self.prepared(instance),
            Event::StartFinished { instance, life } if self.lives(instance, life) => self.started(instance),
            Event::ProbePassed { instance, life } if self.lives(instance, life) => self.become_ready(instance),
            Event::ReadinessLapsed { instance, life } if self.lives(instance, life) => self.lapse(instance),
            Event::HealthGivenUp { instance, life } if self.lives(instance, life) => self.give_up(instance),
            Event::ProcessEnded { instance, life } if self.lives(instance, life) => self.process_ended(instance, None),
            Event::PlaceCrashed { instance, life } if self.lives(instance, life) => {
                let repair = &self.scenario.faults.crash.as_ref().expect("it was scheduled").repair;
                self.place_crashed(instance, repair);
            }
            Event::RestartDue { instance, life } if self.lives(instance, life) => self.start_process(instance),
            Event::Exited { instance, life } if self.lives(instance, life) => self.gone(instance),
            // News of a life that is over: the process ended, or the instance was sent away, in the meantime. And a
            // command whose moment has come is typed before the next decision.
            Event::CommandDue
            | Event::PullFinished { .. }
            | Event::StartFinished { .. }
            | Event::ProbePassed { .. }
            | Event::ReadinessLapsed { .. }
            | Event::HealthGivenUp { .. }
            | Event::ProcessEnded { .. }
            | Event::PlaceCrashed { .. }
            | Event::RestartDue { .. }
            | Event::Exited { .. } => {}
            Event::DrainFinished { instance } => self.drained(instance),
            Event::PreStopFinished { instance } => self.told_to_stop(instance),
            Event::GraceOver { instance } => self.killed(instance),
            Event::ShareCrashed { count } => self.share_crashed(count),
            Event::OutageBegan => self.outage_began(),
            Event::IntervalWatched => self.interval_watched(),
            Event::RolloutBegan => {
                self.watched = (0, 0); // The first interval that is watched begins now.
                self.aim_at(Version::NEW, false);
            }
            Event::OperatorActed => self.operator_acted(),
            Event::AskedAgain => {
                self.rollout.asked.remove(&self.now);
            }
            Event::WindowEnded => self.end_the_window(),
            Event::RunEnded => self.ended = true,
        }
    }

    /// What became of the rollout is settled here; only requests that arrived in time are followed on.
    fn end_the_window(&mut self) {
        self.history.outcome = Outcome::of(self.rollout.status, self.rollout.target < self.rollout.newest);
        self.window_over = true;
        self.requests.close();
    }

    fn lives(&self, id: InstanceId, life: u32) -> bool {
        self.runtimes[id.index()].life == life
    }

    fn enter(&mut self, id: InstanceId, phase: Phase) {
        self.fleet.enter(id, phase, self.now);
        self.desks[id.index()].phase = phase;
        self.note(id);
        self.tell_the_balancer(id);
    }

    // --- the life of an instance
    // -------------------------------------------------------------------------------------

    /// A new instance with its own luck, keyed by its version and ordinal.
    pub(super) fn create(&mut self, launch: Launch) -> InstanceId {
        let ordinal = self.fleet.launched(launch.version);
        let subject = u64::from(launch.version.0) << 32 | u64::from(ordinal);
        let rank = self.streams.of(Purpose::Rank, subject).bits();
        let id = self.fleet.launch(self.now, Launch { rank, ..launch });
        debug_assert_eq!(key(&self.fleet[id]), subject);
        let mut defect = self.streams.of(Purpose::Defect, subject);
        let carries = defect.unit();
        let release = &self.scenario.release;
        let is_new = launch.version == Version::NEW;
        let defective = is_new && release.defect.as_ref().is_some_and(|defect| carries < defect.chance);
        let recorded = release.recorded.as_ref().map(|recorded| {
            let slot = self.fleet[id].slot;
            let same = |instance: &Instance| instance.slot == slot && instance.version == launch.version;
            let nth_in_slot = self.fleet.all().filter(|(_, instance)| same(instance)).count() as u32 - 1;
            recorded.life(launch.version, ordinal, slot, nth_in_slot)
        });
        self.runtimes.push(Runtime {
            life: 0,
            may_start: true,
            news_sent: 0,
            news_heard: 0,
            listed: false,
            defective,
            recorded,
            failures_in_a_row: 0,
            up_at: self.now,
            start: self.streams.of(Purpose::Start, subject),
            defect,
            crash: self.streams.of(Purpose::Crash, subject),
            propagation: self.streams.of(Purpose::Propagation, subject),
            stop: self.streams.of(Purpose::Stop, subject),
        });
        self.desks.push(Desk {
            server: Server::default(),
            speed: Speed::WARM,
            error_rate: 0.0,
            version: launch.version,
            phase: self.fleet[id].phase(),
        });
        id
    }

    fn launch(&mut self, version: Version, slot: Option<Slot>, hold: bool, held_out: bool) {
        let id = self.create(Launch { version, slot, rank: 0, held_out });
        self.note(id);
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

    fn prepared(&mut self, id: InstanceId) {
        self.enter(id, Phase::Prepared);
        if self.runtimes[id.index()].may_start {
            self.start_process(id);
        }
    }

    fn may_start(&mut self, id: InstanceId) {
        self.runtimes[id.index()].may_start = true;
        if self.fleet[id].phase() == Phase::Prepared {
            self.start_process(id);
        }
    }

    fn start_process(&mut self, id: InstanceId) {
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
        let started_at = self.now + release.start.sample(&mut runtime.start);
        self.control.schedule(started_at, Event::StartFinished { instance: id, life });
        if let Some(probe) = release.ready_probe.filter(|_| self.strategy.facts().kills_unhealthy()) {
            let failures = probe.period.saturating_mul(probe.failure_threshold.get() - 1);
            let given_up_at = self.now + probe.initial_delay + failures;
            self.control.schedule(given_up_at, Event::HealthGivenUp { instance: id, life });
        }
    }

    /// The process is up, unless the release's defect kept it from that.
    fn started(&mut self, id: InstanceId) {
        let release = &self.scenario.release;
        let runtime = &mut self.runtimes[id.index()];
        let life = runtime.life;
        let is_recorded = runtime.recorded.is_some();
        let defect = release.defect.as_ref().filter(|_| runtime.defective);
        if defect.is_some_and(|defect| runtime.defect.unit() < defect.failed_start) {
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
        desk.speed = Speed {
            slowdown: if is_new { release.slowdown } else { 1.0 },
            up_at: up_at.nanos(),
            warm_at: Speed::warm_at(release.warm_up.as_ref(), up_at.nanos()),
            misbehaves_from: misbehaves_from.map_or(u64::MAX, SimTime::nanos),
            defect_slowdown: defect.map_or(1.0, |defect| defect.slowdown),
        };
        if let Some(crash_after) = defect.and_then(|defect| defect.crash_after.as_ref()) {
            let ends_at = up_at + crash_after.sample(&mut runtime.defect);
            self.control.schedule(ends_at, Event::ProcessEnded { instance: id, life });
        }
        self.fleet.note_started(id, up_at, misbehaves_from);
        self.schedule_crash(id);
        if defect.is_some_and(|defect| defect.never_ready) {
            return;
        }
        match release.ready_probe.filter(|_| !is_recorded) {
            None => self.become_ready(id),
            Some(probe) => {
                // Probes come at fixed moments after the process began, whether or not it is up yet.
                let age = nanos(up_at.since(self.fleet[id].since()));
                let waited = age.saturating_sub(nanos(probe.initial_delay));
                let first_pass = waited.div_ceil(nanos(probe.period));
                let passes = first_pass + u64::from(probe.success_threshold.get() - 1);
                let passed_after =
                    probe.initial_delay + Duration::from_nanos(nanos(probe.period).saturating_mul(passes));
                let passed_at = self.fleet[id].since() + passed_after;
                self.control.schedule(passed_at, Event::ProbePassed { instance: id, life });
            }
        }
    }

    fn become_ready(&mut self, id: InstanceId) {
        self.enter(id, Phase::Ready);
        if let Some(after) = self.ready_for(id) {
            let life = self.runtimes[id.index()].life;
            self.control.schedule(self.now + after, Event::ReadinessLapsed { instance: id, life });
        }
    }

    /// How long an instance that is ready now stays so; `None`: for good. A recorded one lapses once.
    fn ready_for(&mut self, id: InstanceId) -> Option<Duration> {
        let runtime = &mut self.runtimes[id.index()];
        if let Some(recorded) = &runtime.recorded {
            return recorded.unready.map(|(after, _)| after);
        }
        let defect = self.scenario.release.defect.as_ref().filter(|_| runtime.defective)?;
        Some(defect.unready.as_ref()?.after.sample(&mut runtime.defect))
    }

    /// A ready instance stops passing its readiness probe, or an unready one passes it again.
    fn lapse(&mut self, id: InstanceId) {
        match self.fleet[id].phase() {
            Phase::Ready => {
                self.enter(id, Phase::Unready);
                let runtime = &mut self.runtimes[id.index()];
                let recorded = runtime.recorded.as_mut().and_then(|life| life.unready.take());
                let lasts = recorded.map(|(_, lasts)| lasts).or_else(|| {
                    let lapses = self.scenario.release.defect.as_ref()?.unready.as_ref()?;
                    Some(lapses.lasts.sample(&mut runtime.defect))
                });
                let lasts = lasts.expect("whoever lapses was told how long");
                self.control.schedule(self.now + lasts, Event::ReadinessLapsed { instance: id, life: runtime.life });
            }
            Phase::Unready => self.become_ready(id),
            _ => {}
        }
    }

    /// As many probes in a row have failed as make a starting instance unhealthy: it is stopped, and counts as
    /// failed. A process that was up at the last of them passed it.
    fn give_up(&mut self, id: InstanceId) {
        let is_starting = self.fleet[id].phase() == Phase::Starting;
        let runtime = &self.runtimes[id.index()];
        let came_up = self.fleet[id].first_started.is_some() && runtime.up_at >= self.fleet[id].since();
        let never_ready =
            runtime.defective && self.scenario.release.defect.as_ref().is_some_and(|defect| defect.never_ready);
        if is_starting && (!came_up || never_ready) {
            self.process_ended(id, None);
        }
    }

    /// The process ended unasked: what is open there is lost, and it starts again by the rules, or after a repair.
    fn process_ended(&mut self, id: InstanceId, repair: Option<&Delay>) {
        let now = self.now;
        self.runtimes[id.index()].life += 1;
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
        let delay = match (repair, restart) {
            (Some(repair), _) => Some(repair.sample(&mut runtime.crash)),
            (None, Some(rule)) => {
                let was_sound = ran_since.is_some_and(|up_at| now.since(up_at) >= rule.reset_after);
                let sound_before = was_sound && !rule.reset_after.is_zero();
                runtime.failures_in_a_row = if sound_before { 1 } else { runtime.failures_in_a_row + 1 };
                Some(rule.delay(runtime.failures_in_a_row))
            }
            (None, None) => None,
        };
        if repair.is_some() {
            self.fleet.note_repair(id);
        }
        if let Some(delay) = delay {
            self.control.schedule(now + delay, Event::RestartDue { instance: id, life });
        }
        if self.rollout.has_begun() && self.fleet[id].version > Version::OLD {
            self.note_trouble();
            self.consider(Evidence { instance_failed: true, ..Evidence::default() });
        }
    }

    /// Sends an instance away.
    fn terminate(&mut self, id: InstanceId, drain: bool) {
        let latency = self.strategy.facts().stop_latency();
        match self.fleet[id].phase() {
            Phase::Down => self.gone(id),
            phase @ (Phase::Pulling | Phase::Prepared) => {
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
    fn drained(&mut self, id: InstanceId) {
        if self.fleet[id].phase() != Phase::Draining {
            return;
        }
        let pre_stop = self.scenario.release.pre_stop.min(self.grace());
        if pre_stop.is_zero() {
            self.told_to_stop(id);
        } else {
            self.control.schedule(self.now + pre_stop, Event::PreStopFinished { instance: id });
        }
    }

    fn told_to_stop(&mut self, id: InstanceId) {
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
            None => self.scenario.release.stop.sample(&mut runtime.stop),
        };
        self.control.schedule(told_at + stop, Event::Exited { instance: id, life });
    }

    fn killed(&mut self, id: InstanceId) {
        if self.fleet[id].phase() == Phase::Stopping {
            self.gone_with(id, Cause::CutOff);
        }
    }

    fn gone(&mut self, id: InstanceId) {
        debug_assert!(self.desks[id.index()].server.is_idle(), "{id:?} leaves with work at {:?}", self.now);
        self.gone_with(id, Cause::CutOff);
    }

    fn gone_with(&mut self, id: InstanceId, cause: Cause) {
        self.runtimes[id.index()].life += 1;
        self.enter(id, Phase::Gone);
        self.lose_all_at(id, cause);
    }

    // --- news to the balancer
    // ----------------------------------------------------------------------------------------

    /// Sends news where the instance's listing has changed.
    fn tell_the_balancer(&mut self, id: InstanceId) {
        let listed = self.fleet[id].is_listed();
        let runtime = &mut self.runtimes[id.index()];
        if listed == runtime.listed {
            return;
        }
        runtime.listed = listed;
        runtime.news_sent += 1;
        let news = runtime.news_sent;
        let heard_at = self.now + self.scenario.balancer.propagation.sample(&mut runtime.propagation);
        self.control.schedule(heard_at, Event::EndpointHeard { instance: id, news, listed });
    }

    fn hear(&mut self, id: InstanceId, news: u32, listed: bool) {
        let runtime = &mut self.runtimes[id.index()];
        if news < runtime.news_heard {
            return; // Overtaken by later news.
        }
        runtime.news_heard = news;
        match (listed, self.balancer.believes_in(id)) {
            (true, false) => self.balancer.list(id),
            (false, true) => {
                self.balancer.unlist(id);
                if !self.scenario.balancer.draining {
                    self.cut_open_requests(id);
                }
            }
            (true, true) | (false, false) => {}
        }
    }

    fn hold_out(&mut self, id: InstanceId, held_out: bool) {
        self.fleet.hold_out(id, held_out);
        self.note(id);
        self.tell_the_balancer(id);
    }

    // --- faults
    // ------------------------------------------------------------------------------------------------------

    pub(super) fn schedule_crash(&mut self, id: InstanceId) {
        if let Some(crash) = self.scenario.faults.crash.as_ref().filter(|crash| crash.hits == Hits::Instance) {
            let runtime = &mut self.runtimes[id.index()];
            let at = self.now + time_to_crash(crash.mtbf, &mut runtime.crash);
            self.control.schedule(at, Event::PlaceCrashed { instance: id, life: runtime.life });
        }
    }

    pub(super) fn schedule_shared_crash(&mut self, count: u32) {
        if let Some(crash) = self.scenario.faults.crash.as_ref().filter(|crash| crash.hits != Hits::Instance) {
            let at = self.now + time_to_crash(crash.mtbf, &mut self.share_crash);
            self.control.schedule(at, Event::ShareCrashed { count });
        }
    }

    fn share_crashed(&mut self, count: u32) {
        let crash = self.scenario.faults.crash.as_ref().expect("it was scheduled");
        let Hits::Share(share) = crash.hits else { unreachable!("an instance's own crash is another event") };
        let luck = self.streams.of(Purpose::SharedCrash, u64::from(count) + 1).bits();
        for id in victims(&self.fleet, Whom::Share(share), luck) {
            self.place_crashed(id, &crash.repair);
        }
        self.schedule_shared_crash(count + 1);
    }

    fn outage_began(&mut self) {
        let outage = self.scenario.faults.outage.as_ref().expect("it was scheduled");
        let luck = self.streams.of(Purpose::Outage, 0).bits();
        for id in victims(&self.fleet, outage.whom, luck) {
            self.place_crashed(id, &outage.repair);
        }
    }

    fn place_crashed(&mut self, id: InstanceId, repair: &Delay) {
        use Phase::{Draining, Ready, Starting, Stopping, Unready};
        if matches!(self.fleet[id].phase(), Starting | Ready | Unready | Draining | Stopping) {
            self.process_ended(id, Some(repair));
        }
    }

    // --- the orchestrator
    // --------------------------------------------------------------------------------------------

    /// The orchestrator is told which version to bring about.
    fn aim_at(&mut self, target: Version, rolling_back: bool) {
        let rollout = &mut self.rollout;
        let most = self.strategy.most_desired(self.scenario.service.instances.get());
        let recorded = self.scenario.release.recorded.as_ref();
        let recorded = recorded.and_then(|recorded| recorded.slot_orders.get(rollout.revision as usize));
        rollout.slot_order = recorded.cloned().unwrap_or_else(|| {
            let order = self.streams.of(Purpose::SlotOrder, u64::from(target.0)).order(most);
            order.into_iter().map(Slot).collect()
        });
        rollout.previous = Some(rollout.target);
        rollout.target = target;
        rollout.newest = rollout.newest.max(target);
        rollout.revision += 1;
        rollout.rolling_back = rolling_back;
        rollout.halted = false;
        rollout.status = Status::Progressing;
        self.history.ended_at = None;
        self.history.asked.push(Asked { at: self.now, version: target });
        if target < self.rollout.newest {
            self.history.rollback_at = Some(self.now);
            let served = self.history.window.served_by.iter().skip(1).sum();
            self.history.new_served_before_rollback = Some(served);
        }
    }

    /// Types every command whose moment has come; what is typed after the observation window is of no interest.
    pub(super) fn type_commands(&mut self) {
        if self.window_over {
            return;
        }
        let rollout_at = SimTime::START + self.scenario.study.rollout_at();
        while let Some(command) = self.strategy.facts().commands().get(self.rollout.typed) {
            let is_due = match command.when {
                When::After(after) => self.now >= rollout_at + after,
                When::Ready(count) => self.fleet.count(self.rollout.target, Phase::Ready) >= count,
                When::Stuck => self.rollout.status == Status::Stuck,
            };
            if !is_due {
                return;
            }
            self.rollout.typed += 1;
            match command.what {
                What::Pause => self.rollout.halted = true,
                What::Resume => self.rollout.halted = false,
                What::Undo => {
                    if let Some(previous) = self.rollout.previous {
                        self.aim_at(previous, true);
                    }
                }
                What::Deploy(version) if version != self.rollout.target => self.aim_at(version, false),
                What::Deploy(_) => {} // It is under way already.
                What::Scale(count) => self.rollout.desired = count,
            }
        }
    }

    /// Asks the orchestrator until it is content.
    pub(super) fn decide(&mut self) {
        for _ in 0..DECISIONS_IN_A_MOMENT {
            let view = View {
                now: self.now,
                fleet: &self.fleet,
                desired: self.rollout.desired,
                target: self.rollout.target,
                revision: self.rollout.revision,
                rolling_back: self.rollout.rolling_back,
                halted: self.rollout.halted,
                slot_order: &self.rollout.slot_order,
            };
            let decision = self.strategy.decide(&view, &self.rollout.memory);
            let content = decision.actions.is_empty() && decision.memory == self.rollout.memory;
            self.rollout.memory = decision.memory;
            if !decision.actions.is_empty() {
                self.rollout.step += 1;
            }
            let wants_otherwise = self.history.wanted.last().is_none_or(|last| last.desired != decision.desired);
            if wants_otherwise && !self.window_over {
                self.history.wanted.push(Wanted { at: self.now, desired: decision.desired });
            }
            let reports_otherwise = self.history.reported.last().is_none_or(|last| last.word != decision.reported);
            if reports_otherwise && !self.window_over {
                self.history.reported.push(Report { at: self.now, word: decision.reported });
            }
            for action in decision.actions {
                self.perform(action);
            }
            self.note_status(decision.status);
            if let Some(at) = decision.ask_again {
                debug_assert!(at >= self.now, "a wish for the past");
                if at > self.now && self.rollout.asked.insert(at) {
                    self.control.schedule(at, Event::AskedAgain);
                }
            }
            let typed = self.rollout.typed;
            self.type_commands();
            if decision.roll_back && !self.rollout.rolling_back {
                self.roll_back();
            } else if content && typed == self.rollout.typed {
                return;
            }
        }
        self.cut_short();
    }

    /// The one place where an action meets the queue and the random streams.
    fn perform(&mut self, action: Action) {
        match action {
            Action::Launch { version, slot, hold, held_out } => self.launch(version, slot, hold, held_out),
            Action::Start(id) => self.may_start(id),
            Action::Terminate { instance, drain } => self.terminate(instance, drain),
            Action::TakeOut(id) => self.hold_out(id, true),
            Action::PutBack(id) => self.hold_out(id, false),
        }
    }

    fn note_status(&mut self, status: Status) {
        if status == self.rollout.status {
            return;
        }
        self.rollout.status = status;
        if self.window_over {
            return;
        }
        self.history.ended_at = (status != Status::Progressing).then_some(self.now);
        if matches!(status, Status::Stuck | Status::Failed) && !self.rollout.rolling_back {
            self.note_trouble();
            self.consider(Evidence { rollout_failed: true, ..Evidence::default() });
        }
    }

    /// The version before is asked for, unless that was done already. As Swarm forgets what it rolled back from, no
    /// undo leads there again.
    fn roll_back(&mut self) {
        if let Some(previous) = self.rollout.previous.filter(|_| !self.rollout.rolling_back && !self.window_over) {
            self.aim_at(previous, true);
            self.rollout.previous = None;
        }
    }

    // --- the judge
    // ---------------------------------------------------------------------------------------------------

    /// The first moment at which something could have been noticed.
    pub(super) fn note_trouble(&mut self) {
        self.history.trouble_at.get_or_insert(self.now);
    }

    fn consider(&mut self, evidence: Evidence) {
        let rolls_out = self.rollout.has_begun() && !self.rollout.rolling_back;
        if self.rollout.alarmed || !rolls_out || !self.scenario.rollback.is_alarmed(&evidence) {
            return;
        }
        self.rollout.alarmed = true;
        match &self.scenario.rollback {
            Policy::Pause => self.rollout.halted = true,
            Policy::Operator(operator) => {
                let acts_at = self.now + operator.notices_after.sample(&mut self.operator);
                self.control.schedule(acts_at, Event::OperatorActed);
            }
            Policy::None | Policy::Orchestrator => unreachable!("nobody watches"),
        }
    }

    fn interval_watched(&mut self) {
        let (all, lost) = std::mem::take(&mut self.watched);
        if all > 0 {
            let lost_share = lost as f64 / all as f64;
            self.consider(Evidence { lost_share, ..Evidence::default() });
        }
        self.control.schedule(self.now + self.scenario.study.interval, Event::IntervalWatched);
    }

    fn operator_acted(&mut self) {
        let Policy::Operator(operator) = &self.scenario.rollback else { unreachable!("only an operator acts") };
        if self.rollout.rolling_back {
            return; // It is being rolled back already.
        }
        match operator.then {
            Verdict::Pause => self.rollout.halted = true,
            Verdict::RollBack => self.roll_back(),
        }
    }

    /// Whether an attempt fails by the defect of the instance that served it.
    pub(super) fn is_defect_hit(&self, id: InstanceId, luck: u64) -> bool {
        let desk = &self.desks[id.index()];
        desk.error_rate > 0.0 && self.now.nanos() >= desk.speed.misbehaves_from && unit(luck) < desk.error_rate
    }
}
