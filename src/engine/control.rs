//! The control plane beside the lives of instances: what happens when, commands and decisions, the judge.

use super::{DECISIONS_IN_A_MOMENT, Engine, Event, Former, Rollout, Stage};
use crate::fleet::{InstanceId, Phase, Slot, Version};
use crate::history::{Asked, Outcome, Report, Wanted};
use crate::random::Purpose;
use crate::rollback::{Evidence, Policy, Verdict};
use crate::rollout::{Action, Answers, Status, View, What, When};
use crate::time::SimTime;

impl Engine<'_> {
    /// Facts change the fleet and the history.
    pub(super) fn apply(&mut self, event: Event) {
        match event {
            Event::EndpointHeard { balancer, endpoint, news, listing } => self.hear(balancer, endpoint, news, listing),
            Event::SplitHeard { balancer, news } => self.hear_split(balancer, news),
            Event::CheckDue { balancer, endpoint, listing } => self.check(balancer, endpoint, listing),
            Event::CheckUnanswered { balancer, endpoint, listing } => {
                self.check_unanswered(balancer, endpoint, listing);
            }
            Event::CheckLate { place, generation, .. } => {
                if let Some((balancer, endpoint)) = self.check_is_late((place, generation)) {
                    self.check_failed(balancer, endpoint);
                }
            }
            Event::EjectionOver { balancer, endpoint, ejection } => self.ejection_over(balancer, endpoint, ejection),
            Event::PullFinished { instance, life } if self.lives(instance, life) => self.prepared(instance),
            Event::StartFinished { instance, life } if self.lives(instance, life) => self.started(instance),
            Event::Probed { instance, life } if self.lives(instance, life) => self.probed(instance),
            Event::ReadinessLapsed { instance, life } if self.lives(instance, life) => self.lapse(instance),
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
            | Event::Probed { .. }
            | Event::ReadinessLapsed { .. }
            | Event::ProcessEnded { .. }
            | Event::PlaceCrashed { .. }
            | Event::RestartDue { .. }
            | Event::Exited { .. } => {}
            Event::DrainFinished { instance } => self.drained(instance),
            Event::PreStopFinished { instance } => self.told_to_stop(instance),
            Event::GraceOver { instance } => self.killed(instance),
            Event::ShareCrashed { count } => self.share_crashed(count),
            Event::OutageBegan => self.outage_began(),
            Event::SlowBegan { which } => self.slow_began(which),
            Event::SlowEnded { which } => self.slow_ended(which),
            Event::Repaired { instance, life } => self.repaired(instance, life),
            Event::IntervalWatched => self.interval_watched(),
            Event::RolloutBegan => {
                self.watched = self.ended(); // The first interval that is watched begins now.
                if !self.begins_with_the_database() {
                    self.begin_the_rollout();
                }
            }
            Event::SchemaChanged => self.schema_changed(),
            Event::OperatorActed => self.operator_acted(),
            Event::AskedAgain => {
                self.rollout.asked.remove(&self.now);
            }
            Event::WindowEnded => self.end_the_window(),
            Event::RunEnded => self.stage = Stage::Ended,
        }
    }

    /// What became of the rollout is settled here; only requests that arrived in time are followed on.
    fn end_the_window(&mut self) {
        self.history.outcome = Outcome::of(self.rollout.status, self.rollout.target < self.rollout.newest);
        self.stage = Stage::Settling;
        self.requests.close();
    }

    pub(super) fn lives(&self, id: InstanceId, life: u32) -> bool {
        self.runtimes[id.index()].life == life
    }

    pub(super) fn enter(&mut self, id: InstanceId, phase: Phase) {
        if !self.ends_unnoticed(phase) {
            self.foresee_departures(id);
        }
        self.fleet.enter(id, phase, self.now);
        self.desks[id.index()].phase = phase;
        self.requests.forget_plainness(id);
        self.note(id);
        self.tell_the_balancers(id);
    }

    fn hold_out(&mut self, id: InstanceId, held_out: bool) {
        self.fleet.hold_out(id, held_out);
        self.note(id);
        self.tell_the_balancers(id);
    }

    // --- the orchestrator
    // --------------------------------------------------------------------------------------------

    pub(super) fn begin_the_rollout(&mut self) {
        self.aim_at(Version::NEW, false);
    }

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
        rollout.previous = Some(Former { version: rollout.target, desired: rollout.desired });
        rollout.target = target;
        rollout.newest = rollout.newest.max(target);
        rollout.revision += 1;
        rollout.rolling_back = rolling_back;
        rollout.halted = false;
        (rollout.promotions, rollout.aborts) = (0, 0);
        rollout.status = Status::Progressing;
        self.history.ended_at = None;
        self.history.asked.push(Asked { at: self.now, version: target });
        if target < self.rollout.newest {
            self.history.rollback_at = Some(self.now);
            let counted = self.history.window.served_by.iter().zip(self.unfinished(self.now.nanos()));
            let served = counted.skip(1).map(|(served, unfinished)| served - unfinished.observed).sum();
            self.history.new_served_before_rollback = Some(served);
        }
    }

    /// Types every command whose moment has come; what is typed after the observation window is of no interest.
    pub(super) fn type_commands(&mut self) {
        if self.is_window_over() {
            return;
        }
        let rollout_at = SimTime::START + self.scenario.study.rollout_at();
        while let Some(command) = self.strategy.facts().commands().get(self.rollout.typed) {
            let is_due = match command.when {
                When::After(after) => self.now >= rollout_at + after,
                When::Ready(count) => self.fleet.count(self.rollout.target, Phase::Ready) >= count,
                When::Stuck => self.rollout.status == Status::Stuck,
                When::Paused => self.rollout.status == Status::Paused,
            };
            if !is_due {
                return;
            }
            self.rollout.typed += 1;
            match command.what {
                What::Pause => self.rollout.halted = true,
                What::Resume => {
                    self.rollout.halted = false;
                    self.goes_on();
                }
                What::Promote => {
                    self.rollout.promotions += 1;
                    self.goes_on();
                }
                What::Abort => self.rollout.aborts += 1,
                What::Undo => {
                    if let Some(previous) = self.rollout.previous {
                        self.go_back_to(previous);
                    }
                }
                What::Deploy(version) if version != self.rollout.target => self.aim_at(version, false),
                What::Deploy(_) => {} // It is under way already.
                What::Scale(count) => {
                    let Rollout { target: version, desired, .. } = self.rollout;
                    if self.strategy.facts().scaling_can_be_undone() {
                        self.rollout.previous = Some(Former { version, desired });
                        self.rollout.rolling_back = false;
                    }
                    self.rollout.desired = count;
                }
            }
        }
    }

    /// Nobody is waited for any more, unless the orchestrator says so again: what is typed next may wait for that.
    fn goes_on(&mut self) {
        if self.rollout.status == Status::Paused {
            self.note_status(Status::Progressing);
        }
    }

    /// Asks the orchestrator until it is content.
    pub(super) fn decide(&mut self) {
        let judges_answers = self.strategy.facts().judges_answers();
        for _ in 0..DECISIONS_IN_A_MOMENT {
            let answers = if judges_answers { self.answers_by_now() } else { Answers::NONE };
            let view = View {
                now: self.now,
                fleet: &self.fleet,
                desired: self.rollout.desired,
                target: self.rollout.target,
                revision: self.rollout.revision,
                rolling_back: self.rollout.rolling_back,
                halted: self.rollout.halted,
                promotions: self.rollout.promotions,
                aborts: self.rollout.aborts,
                slot_order: &self.rollout.slot_order,
                answers: &answers,
            };
            self.history.effort.decisions += 1;
            let decision = self.strategy.decide(&view, &mut self.rollout.memory);
            let content = decision.actions.is_empty() && decision.settled;
            self.fleet.forget_changes();
            if !decision.actions.is_empty() {
                self.rollout.step += 1;
            }
            let wants_otherwise = self.history.wanted.last().is_none_or(|last| last.desired != decision.desired);
            if wants_otherwise && !self.is_window_over() {
                self.history.wanted.push(Wanted { at: self.now, desired: decision.desired });
            }
            let reports_otherwise = self.history.reported.last().is_none_or(|last| last.word != decision.reported);
            if reports_otherwise && !self.is_window_over() {
                self.history.reported.push(Report { at: self.now, word: decision.reported });
            }
            self.perform_all(&decision.actions);
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
                self.revert();
            } else if content && typed == self.rollout.typed {
                return;
            }
        }
        self.cut_short();
    }

    /// The one place where an action meets the queue and the random streams.
    pub(super) fn perform(&mut self, action: Action) {
        match action {
            Action::Launch { version, slot, hold, held_out } => self.launch(version, slot, hold, held_out),
            Action::Start(id) => self.may_start(id),
            Action::Terminate { instance, drain } => self.terminate(instance, drain),
            Action::TakeOut(id) => self.hold_out(id, true),
            Action::PutBack(id) => self.hold_out(id, false),
            Action::Split(split) => self.split(split),
        }
    }

    fn note_status(&mut self, status: Status) {
        if status == self.rollout.status {
            return;
        }
        self.rollout.status = status;
        if self.is_window_over() {
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
        if let Some(previous) = self.rollout.previous.filter(|_| !self.rollout.rolling_back && !self.is_window_over()) {
            self.go_back_to(previous);
            self.rollout.previous = None;
        }
    }

    /// The orchestrator's own failure rule goes back to what it holds for sound, or else to the version before.
    fn revert(&mut self) {
        let own = self.strategy.facts().reverts_to(&self.rollout.memory);
        if let Some(((version, desired), previous)) = own.zip(self.rollout.previous.as_mut()) {
            *previous = Former { version, desired };
        }
        self.roll_back();
    }

    fn go_back_to(&mut self, former: Former) {
        self.aim_at(former.version, true);
        if self.strategy.facts().scaling_can_be_undone() {
            self.rollout.desired = former.desired;
        }
    }

    // --- the judge
    // ---------------------------------------------------------------------------------------------------

    /// The first moment at which something could have been noticed.
    pub(super) fn note_trouble(&mut self) {
        self.history.trouble_at.get_or_insert(self.now);
    }

    pub(super) fn consider(&mut self, evidence: Evidence) {
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

    /// Requests that have ended: (all, lost).
    fn ended(&self) -> (u64, u64) {
        let lost = self.history.ledger.lost_in_all();
        (self.history.ledger.served - self.unfinished_in_all(self.now.nanos()) + lost, lost)
    }

    /// What became of the attempts so far, by version.
    fn answers_by_now(&self) -> [Answers; Version::COUNT] {
        let mut answers = self.answers;
        for (answers, unfinished) in answers.iter_mut().zip(self.unfinished(self.now.nanos())) {
            answers.good -= unfinished.all;
        }
        answers
    }

    fn interval_watched(&mut self) {
        let ended = self.ended();
        let before = std::mem::replace(&mut self.watched, ended);
        let (all, lost) = (ended.0 - before.0, ended.1 - before.1);
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
        self.now.nanos() >= desk.speed.misbehaves_from && desk.may_fail(luck)
    }
}
