//! A decision under way: how a registration, news of clients and people's commands become evaluations, and what becomes of
//! the reconciler's plan.

use super::health::{Seen, Verdict};
use super::policies::Restarts;
use super::reconciler::{Alloc, Change, Client, Group, Node, Part, Place, Plan, reconcile};
use super::{
    Deployment, GroupState, Job, Memory, NODE_DOWN_AFTER, Outline, Record, Revert, Settings, Spec, Standing, Unhealthy,
    Update, progress_cutoff, promotes_itself, revert, unhealthy,
};
use crate::fleet::{InstanceId, Phase, Slot, Version};
use crate::rollout::{Action, Decision, Status, View, earlier};
use crate::time::SimTime;

pub(super) struct Turn<'a> {
    settings: &'a Settings,
    view: &'a View<'a>,
    memory: &'a mut Memory,
    before: Outline,
    /// What is known of an allocation has changed.
    has_recorded: bool,
    actions: Vec<Action>,
    ask_again: Option<SimTime>,
    launched: u32,
    /// How many allocations of each version there are beyond those of the fleet, by the actions so far.
    more: [i64; Version::COUNT],
    roll_back: bool,
}

impl<'a> Turn<'a> {
    pub(super) fn new(settings: &'a Settings, view: &'a View<'a>, memory: &'a mut Memory) -> Self {
        let (actions, ask_again, launched, roll_back) = (Vec::new(), None, 0, false);
        let (before, has_recorded) = (memory.outline(), false);
        Turn {
            settings,
            view,
            memory,
            before,
            has_recorded,
            actions,
            ask_again,
            launched,
            more: [0; Version::COUNT],
            roll_back,
        }
    }

    /// Whether a moment has come; until then the servers wish to be asked again.
    fn has_come(&mut self, at: SimTime) -> bool {
        let has_come = self.view.now >= at;
        if !has_come {
            self.ask_again = earlier(self.ask_again, Some(at));
        }
        has_come
    }

    fn evaluate_at(&mut self, at: SimTime) {
        self.memory.evaluate_at = earlier(self.memory.evaluate_at, Some(at));
    }

    fn evaluate_soon(&mut self) {
        self.evaluate_at(self.view.now + self.settings.evaluation_batch);
    }

    fn record(&self, alloc: InstanceId) -> &Record {
        static NOTHING: Record = Record::NOTHING;
        self.memory.records.get(alloc.index()).unwrap_or(&NOTHING)
    }

    fn record_mut(&mut self, alloc: InstanceId) -> &mut Record {
        self.has_recorded = true;
        if alloc.index() >= self.memory.records.len() {
            self.memory.records.resize(alloc.index() + 1, Record::NOTHING);
        }
        &mut self.memory.records[alloc.index()]
    }

    // --- the job
    // -------------------------------------------------------------------------------------------------------

    /// Somebody may have asked for another version or count since: that is another registration.
    pub(super) fn register(&mut self) {
        let View { target, revision, desired, .. } = *self.view;
        let (before, spec) = (self.memory.job, Spec { version: target, count: desired });
        if (before.revision, before.spec) == (revision, spec) {
            return;
        }
        if before.revision != revision {
            self.memory.promotions = 0;
        }
        self.memory.job = Job { registration: before.registration + 1, revision, spec };
        self.memory.look_at_nothing();
        if let Some((_, standing, _)) = &mut self.memory.deployment
            && standing.is_active()
        {
            *standing = Standing::Cancelled;
        }
        self.evaluate_at(self.view.now);
    }

    /// The deployment of the job as it is registered, while it is active.
    fn active(&mut self) -> Option<(&mut Standing, &mut GroupState)> {
        let registration = self.memory.job.registration;
        let (of, standing, state) = self.memory.deployment.as_mut()?;
        (*of == registration && standing.is_active()).then_some((standing, state))
    }

    fn is_of_active(&mut self, alloc: InstanceId) -> bool {
        let registration = self.memory.job.registration;
        self.active().is_some() && self.record(alloc).deployment == registration
    }

    // --- clients
    // -------------------------------------------------------------------------------------------------------

    /// Tasks that failed are started again, so often; then their allocation has failed. Of those whose node is down nobody
    /// hears anything, until they are lost.
    pub(super) fn hear_of_tasks(&mut self) {
        let fleet = self.view.fleet;
        for id in fleet.down() {
            let alloc = &fleet[id];
            let answered = self.record(id).failures;
            if alloc.under_repair {
                if self.has_come(alloc.since() + NODE_DOWN_AFTER) {
                    self.evaluate_at(self.view.now);
                } else if answered < alloc.failures {
                    self.record_mut(id).failures = alloc.failures;
                }
            } else if answered < alloc.failures {
                let (policy, now) = (self.settings.restart, self.view.now);
                let record = self.record_mut(id);
                record.failures = alloc.failures;
                let restarts = record.restarts.get_or_insert(Restarts::new(alloc.launched_at));
                if !restarts.after_failure(&policy, now) {
                    self.has_failed(id);
                }
            }
        }
    }

    /// An allocation has failed: it runs no more, and is not replaced before that is allowed.
    fn has_failed(&mut self, alloc: InstanceId) {
        let now = self.view.now;
        self.record_mut(alloc).failed_at = Some(now);
        if self.is_of_active(alloc) && self.record(alloc).healthy.is_none() {
            self.became_unhealthy(alloc);
        }
        self.memory.unknown.remove(alloc);
        self.memory.agenda.strike(alloc);
        let place = self.memory.failed.partition_point(|other| *other < alloc);
        self.memory.failed.insert(place, alloc);
        self.terminate(alloc, false);
        self.evaluate_at(now);
    }

    pub(super) fn hear_of_health(&mut self) {
        let (now, fleet, update) = (self.view.now, self.view.fleet, self.settings.update);
        let mut unknown = std::mem::take(&mut self.memory.unknown);
        let mut agenda = std::mem::take(&mut self.memory.agenda);
        fleet.changed().iter().filter(|id| unknown.contains(**id)).for_each(|id| agenda.call(*id));
        while let Some(id) = agenda.next(now) {
            let Some(mut seen) = unknown.remove(id).filter(|_| fleet[id].phase().is_live()) else { continue };
            match seen.look(&update, &fleet[id], now) {
                Verdict::Healthy => self.became_healthy(id),
                Verdict::Unhealthy => self.became_unhealthy(id),
                Verdict::Unknown(until) => {
                    unknown.insert(id, seen);
                    until.inspect(|until| agenda.wake_at(*until, id));
                }
            }
        }
        // A deployment that is over waits for nobody.
        if self.active().is_some() {
            (self.memory.unknown, self.memory.agenda) = (unknown, agenda);
        }
    }

    fn became_healthy(&mut self, alloc: InstanceId) {
        let now = self.view.now;
        let record = self.record_mut(alloc);
        record.healthy = Some(true);
        let is_canary = record.canary;
        if let Some((_, state)) = self.active() {
            state.became_healthy(is_canary, now);
        }
        self.evaluate_soon();
    }

    /// The deployment watcher either gives up, or lets the allocation be replaced once it has failed.
    fn became_unhealthy(&mut self, alloc: InstanceId) {
        let policy = self.settings.reschedule;
        let now = self.view.now;
        let record = self.record_mut(alloc);
        record.healthy = Some(false);
        let can_be_rescheduled = record.tracker.is_eligible(&policy, now);
        let Some((_, state)) = self.active() else { return };
        state.unhealthy += 1;
        match unhealthy(state, can_be_rescheduled) {
            Unhealthy::FailsTheDeployment => self.fail_the_deployment(),
            Unhealthy::MayReschedule => {
                self.record_mut(alloc).may_reschedule = true;
                self.evaluate_soon();
            }
        }
    }

    // --- the deployment watcher
    // ----------------------------------------------------------------------------------------

    pub(super) fn watch(&mut self) {
        let View { now, halted, promotions, .. } = *self.view;
        if !halted {
            self.memory.has_paused = false;
        }
        let (has_paused, made) = (self.memory.has_paused, self.memory.promotions);
        let Some((standing, state)) = self.active() else { return };
        let is_paused = *standing == Standing::Paused;
        if halted && !has_paused && !is_paused {
            *standing = Standing::Paused;
            self.memory.has_paused = true;
        } else if !halted && is_paused {
            *standing = Standing::Running;
            state.start_the_clock(now);
            self.evaluate_at(now);
        }
        let Some((standing, state)) = self.active() else { return };
        let is_paused = *standing == Standing::Paused;
        if promotes_itself(&[*state]) || promotions > made && state.can_be_promoted() {
            state.promote(now);
            self.memory.promotions = promotions;
            self.memory.settled = self.memory.job;
            self.evaluate_at(now);
            return;
        }
        let state = *state;
        let is_done = !state.awaits_promotion() && !state.has_too_few();
        if let Some((_, cutoff)) = progress_cutoff(&[(state, is_done)]).filter(|_| !is_paused)
            && self.has_come(cutoff)
            && state.has_too_few()
        {
            self.fail_the_deployment();
        }
    }

    fn fail_the_deployment(&mut self) {
        let (stable, current, now) = (self.memory.stable, self.memory.job.spec, self.view.now);
        let Some((standing, state)) = self.active() else { return };
        *standing = Standing::Failed;
        self.roll_back = matches!(revert(&[*state], stable, &current), Revert::To(_));
        self.memory.look_at_nothing();
        self.evaluate_at(now);
    }

    // --- the scheduler
    // -------------------------------------------------------------------------------------------------

    /// Where the job is about to be reverted, that is what is evaluated.
    pub(super) fn evaluate_where_due(&mut self) {
        if let Some(at) = self.memory.evaluate_at
            && self.has_come(at)
            && !self.roll_back
        {
            self.memory.evaluate_at = None;
            self.evaluate();
        }
    }

    fn group(&self) -> Group {
        let update = self.settings.update;
        let Update { max_parallel, auto_promote, auto_revert, progress_deadline, .. } = update;
        let state = GroupState { auto_promote, auto_revert, progress_deadline, ..GroupState::default() };
        let canary = if max_parallel == 0 { 0 } else { update.canary };
        Group { count: self.memory.job.spec.count, max_parallel, canary, state }
    }

    fn evaluate(&mut self) {
        let registration = self.memory.job.registration;
        let deployment = self.memory.deployment.map(|(of, standing, state)| Deployment {
            standing,
            is_of_job: of == registration,
            state: Some(state),
        });
        let (mut ids, mut allocs) = std::mem::take(&mut self.memory.evaluated);
        self.wanted_so_far(&mut ids);
        allocs.clear();
        allocs.extend(ids.iter().map(|id| self.alloc(*id)));
        let plan = reconcile(&self.group(), deployment.as_ref(), &allocs);
        self.ask_for_those_that_wait(&ids, &allocs, &plan);
        self.carry_out(&plan, &ids);
        self.memory.evaluated = (ids, allocs);
        if plan.is_complete
            && let Some((standing, _)) = self.active()
        {
            *standing = Standing::Successful;
            self.memory.stable = self.memory.job.spec;
            self.evaluate_at(self.view.now);
        }
    }

    /// Lists the allocations that nobody stopped: those that exist, but for the ones that this very decision sends away, and
    /// those that have failed.
    fn wanted_so_far(&self, all: &mut Vec<InstanceId>) {
        all.clear();
        all.extend(self.view.fleet.all_live().map(|(id, _)| id));
        if !self.memory.failed.is_empty() {
            all.extend(&self.memory.failed);
            all.sort_unstable();
            all.dedup();
        }
    }

    fn alloc(&self, id: InstanceId) -> Alloc {
        let (record, instance) = (self.record(id), &self.view.fleet[id]);
        let Job { registration, spec, .. } = self.memory.job;
        let is_of_job = record.registration == registration;
        let has_failed = record.failed_at.is_some();
        let change = match () {
            () if is_of_job => Change::None,
            () if instance.version != spec.version => Change::Destructive,
            () if has_failed => Change::None,
            () => Change::InPlace,
        };
        let is_down = !has_failed && instance.under_repair && instance.since() + NODE_DOWN_AFTER <= self.view.now;
        let of = self.memory.deployment.map(|(of, ..)| of);
        Alloc {
            index: instance.slot.0,
            change,
            node: if is_down { Node::Down } else { Node::Up },
            client: if has_failed { Client::Failed } else { Client::Running },
            part: if of == Some(record.deployment) { Part::OfDeployment } else { Part::None },
            canary: record.canary,
            healthy: record.healthy,
            may_reschedule: record.may_reschedule,
            reschedule_in: self.reschedules_at(record).map(|at| at.max(self.view.now).since(self.view.now)),
            is_of_job,
        }
    }

    /// When a failed allocation may be replaced; `None`: never.
    fn reschedules_at(&self, record: &Record) -> Option<SimTime> {
        let policy = &self.settings.reschedule;
        let failed_at = record.failed_at?;
        record.tracker.is_eligible(policy, failed_at).then(|| failed_at + record.tracker.delay(policy, failed_at))
    }

    /// Whoever is to be replaced later is looked at again then. Those of an active deployment that may not are not, for
    /// whatever allows it asks for an evaluation of its own.
    fn ask_for_those_that_wait(&mut self, ids: &[InstanceId], allocs: &[Alloc], plan: &Plan) {
        let waits = |place: &usize| {
            let alloc = &allocs[*place];
            alloc.client == Client::Failed && !plan.stop.contains(place) && !plan.destructive.contains(place)
        };
        for place in (0..allocs.len()).filter(waits) {
            let at = self.reschedules_at(self.record(ids[place]));
            if let Some(at) = at.filter(|at| *at > self.view.now) {
                self.evaluate_at(at);
            }
        }
    }

    /// A plan is applied as a whole: whoever is stopped by it is, whether or not what is placed instead can start.
    fn carry_out(&mut self, plan: &Plan, ids: &[InstanceId]) {
        let job = self.memory.job;
        if let Some(state) = plan.creates {
            self.memory.deployment = Some((job.registration, Standing::Running, state));
            if state.desired_canaries == 0 {
                self.memory.settled = job;
            }
        }
        let is_deployed = self.active().is_some();
        let mut trackers = Vec::with_capacity(plan.place.len());
        for place in &plan.place {
            trackers.push(place.reschedules.map(|failed| self.inherited(ids[failed])));
        }
        plan.stop.iter().for_each(|alloc| self.stop(ids[*alloc]));
        for alloc in &plan.destructive {
            let index = self.view.fleet[ids[*alloc]].slot.0;
            self.stop(ids[*alloc]);
            self.place(&Place { index, canary: false, downgrade: false, reschedules: None }, is_deployed);
        }
        for (place, tracker) in plan.place.iter().zip(trackers) {
            let placed = self.place(place, is_deployed);
            if let Some(tracker) = tracker {
                self.record_mut(placed).tracker = tracker;
            }
        }
        plan.in_place.iter().for_each(|alloc| self.update_in_place(ids[*alloc], is_deployed));
        let has_placed = !(plan.place.is_empty() && plan.destructive.is_empty() && plan.in_place.is_empty());
        let now = self.view.now;
        if let Some((_, state)) = self.active().filter(|_| has_placed) {
            state.placed(now);
        }
    }

    /// What whoever replaces a failed allocation inherits of it.
    fn inherited(&self, failed: InstanceId) -> super::Tracker {
        let (policy, now) = (&self.settings.reschedule, self.view.now);
        let record = self.record(failed);
        let delay = record.tracker.delay(policy, record.failed_at.expect("it has failed"));
        let mut tracker = record.tracker.clone();
        tracker.note(now, delay);
        tracker
    }

    fn place(&mut self, place: &Place, is_deployed: bool) -> InstanceId {
        let job = if place.downgrade { self.memory.settled } else { self.memory.job };
        let version = job.spec.version;
        self.actions.push(Action::Launch { version, slot: Some(Slot(place.index)), hold: false, held_out: false });
        self.more[version.index()] += 1;
        let id = InstanceId(self.view.fleet.len() as u32 + self.launched);
        self.launched += 1;
        let is_part = is_deployed && !place.downgrade;
        *self.record_mut(id) = Record {
            registration: job.registration,
            deployment: if is_part { job.registration } else { 0 },
            canary: place.canary,
            ..Record::NOTHING
        };
        if is_part {
            self.memory.look_at(id, Seen::new(self.view.now));
        }
        id
    }

    /// It is of the job as it is registered now, and must be healthy once more where there is a deployment.
    fn update_in_place(&mut self, alloc: InstanceId, is_deployed: bool) {
        let registration = self.memory.job.registration;
        let now = self.view.now;
        let record = self.record_mut(alloc);
        (record.registration, record.canary) = (registration, false);
        (record.deployment, record.healthy, record.may_reschedule) = (0, None, false);
        if is_deployed {
            record.deployment = registration;
            self.memory.look_at(alloc, Seen::new(now));
        }
    }

    /// Whoever has failed is only forgotten.
    fn stop(&mut self, alloc: InstanceId) {
        match self.memory.failed.binary_search(&alloc) {
            Ok(place) => {
                self.memory.failed.remove(place);
            }
            Err(_) => self.terminate(alloc, true),
        }
    }

    fn terminate(&mut self, alloc: InstanceId, drain: bool) {
        self.actions.push(Action::Terminate { instance: alloc, drain });
        self.more[self.view.fleet[alloc].version.index()] -= 1;
    }

    // --- the decision
    // --------------------------------------------------------------------------------------------------

    pub(super) fn decision(mut self) -> Decision {
        let (status, reported) = self.status();
        let desired = self.desired();
        if let Some(at) = self.memory.evaluate_at {
            self.has_come(at);
        }
        let ask_again = earlier(self.ask_again, self.memory.agenda.wakes_next(self.view.now));
        let Turn { actions, memory, before, has_recorded, roll_back, .. } = self;
        Decision {
            actions,
            settled: !has_recorded && memory.outline() == before,
            ask_again,
            status,
            reported,
            desired,
            roll_back,
        }
    }

    fn status(&mut self) -> (Status, &'static str) {
        let registration = self.memory.job.registration;
        let of_job = self.memory.deployment.filter(|(of, ..)| *of == registration);
        let Some((_, standing, state)) = of_job else { return self.status_without_deployment() };
        match standing {
            Standing::Running if state.can_be_promoted() => (Status::Paused, "needs promotion"),
            Standing::Running => (Status::Progressing, "running"),
            Standing::Paused => (Status::Paused, "paused"),
            Standing::Successful => (Status::Completed, "successful"),
            Standing::Failed if self.roll_back => (Status::Progressing, "rolling back"),
            Standing::Failed => (Status::Failed, "failed"),
            Standing::Cancelled => (Status::Progressing, "cancelled"),
        }
    }

    /// Nomad itself says nothing beyond that the evaluation is complete: people wait until all are ready.
    fn status_without_deployment(&mut self) -> (Status, &'static str) {
        let Job { registration, spec, .. } = self.memory.job;
        let fleet = self.view.fleet;
        let others: u32 = spec.version.others().map(|version| fleet.live(version)).sum();
        let is_ready = others == 0 && fleet.count(spec.version, Phase::Ready) == spec.count;
        if is_ready && self.actions.is_empty() && self.memory.failed.is_empty() {
            self.memory.done_without = registration;
        }
        if self.memory.done_without == registration {
            return (Status::Completed, "complete");
        }
        (Status::Progressing, "pending")
    }

    /// Who is there, who is placed, and who has failed and is waited for.
    fn desired(&self) -> [u32; Version::COUNT] {
        let fleet = self.view.fleet;
        let mut desired = self.more;
        for alloc in &self.memory.failed {
            desired[fleet[*alloc].version.index()] += 1;
        }
        for version in Version::all() {
            desired[version.index()] += i64::from(fleet.live(version));
        }
        desired.map(|count| u32::try_from(count).expect("nobody is sent away who is not there"))
    }
}
