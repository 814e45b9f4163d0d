//! Whether an instance is ready: what its probes find, and when enough of them have found the same.
//!
//! A probe's result is certain once it is known from when on the process passes, so probes are not events: they are
//! counted whenever that changes, and when enough of them have agreed.

use super::{Engine, Event};
use crate::fleet::{InstanceId, Phase};
use crate::probe::{Kind, Probing};
use crate::random::Purpose;
use crate::scenario::Probe;
use crate::time::{SimTime, nanos};
use std::time::Duration;

/// The readiness probes of one process.
#[derive(Clone, Copy, Debug)]
pub(super) struct Probes {
    /// When the process began.
    since: SimTime,
    /// It passes them now.
    passes: bool,
    /// Those that were counted.
    counted: Probing,
    /// How many these are.
    count: u64,
}

impl Probes {
    /// Those of a process that begins now, and is not up yet.
    pub(super) fn new(kind: Kind, now: SimTime) -> Self {
        Probes { since: now, passes: false, counted: Probing::new(kind), count: 0 }
    }

    /// The process ended.
    pub(super) fn end(&mut self) {
        self.counted.hold();
    }

    /// Counts the probes before a moment, or those until then, one at that moment included.
    fn count(&mut self, probe: Probe, now: SimTime, includes_now: bool) {
        let age = nanos(now.since(self.since));
        let since_first = age.checked_sub(nanos(probe.initial_delay));
        let (period, begun) = (nanos(probe.period), u64::from(includes_now));
        let so_far = since_first.map_or(0, |since_first| (since_first + begun).div_ceil(period));
        let times = so_far.saturating_sub(self.count);
        self.counted.note(self.passes, times, probe.thresholds);
        self.count += times;
    }

    /// When a probe changes what is believed of the process, if it goes on as it does; `None`: none does.
    fn believed_at(&self, probe: Probe) -> Option<SimTime> {
        let after = self.counted.changes_after(self.passes, probe.thresholds)?;
        let since_first = nanos(probe.period).saturating_mul(self.count + after - 1);
        Some(self.since + probe.initial_delay + Duration::from_nanos(since_first))
    }
}

impl Engine<'_> {
    /// The probe of an instance's readiness; `None`: it is ready as soon as it could serve.
    fn ready_probe(&self, id: InstanceId) -> Option<Probe> {
        let is_recorded = self.runtimes[id.index()].recorded.is_some();
        self.scenario.release.ready_probe.filter(|_| !is_recorded)
    }

    /// A process began, and fails its probes until it is up.
    pub(super) fn begin_probing(&mut self, id: InstanceId) {
        // Where failures end the process, or are told to the orchestrator, they count from the beginning.
        let facts = self.strategy.facts();
        let kind = match (facts.kills_unhealthy(), facts.hears_of_failing_starts()) {
            (true, _) => Kind::Startup,
            (false, true) => Kind::Target,
            (false, false) => Kind::Readiness,
        };
        self.runtimes[id.index()].probes = Probes::new(kind, self.now);
        self.foresee(id);
    }

    /// From now on a process passes its readiness probe, or fails it.
    pub(super) fn passes(&mut self, id: InstanceId, passes: bool) {
        let (now, probe) = (self.now, self.ready_probe(id));
        let probes = &mut self.runtimes[id.index()].probes;
        if let Some(probe) = probe {
            // A probe at this moment finds what is so from now on.
            probes.count(probe, now, false);
        }
        probes.passes = passes;
        match probe {
            Some(_) => self.foresee(id),
            None => self.believe(id, passes),
        }
    }

    /// Probes may have agreed often enough.
    pub(super) fn probed(&mut self, id: InstanceId) {
        let (now, probe) = (self.now, self.ready_probe(id).expect("it was foreseen"));
        let probes = &mut self.runtimes[id.index()].probes;
        probes.count(probe, now, true);
        if let Some(ready) = probes.counted.published() {
            self.believe(id, ready);
        }
    }

    /// Schedules the probe that changes what is believed of a process, if it goes on as it does.
    fn foresee(&mut self, id: InstanceId) {
        let runtime = &self.runtimes[id.index()];
        if let Some(at) = self.ready_probe(id).and_then(|probe| runtime.probes.believed_at(probe)) {
            self.control.schedule(at, Event::Probed { instance: id, life: runtime.life });
        }
    }

    /// An instance counts as ready from now on, or not any more. A starting one that fails is stopped and counts
    /// as failed where the orchestrator watches health so closely; else that is noted.
    fn believe(&mut self, id: InstanceId, ready: bool) {
        match (self.fleet[id].phase(), ready) {
            (Phase::Starting | Phase::Unready, true) => self.become_ready(id),
            (Phase::Ready, false) => self.enter(id, Phase::Unready),
            (Phase::Starting, false) if self.strategy.facts().kills_unhealthy() => self.process_ended(id, None),
            (Phase::Starting, false) => self.fleet.note_failing_checks(id),
            _ => {}
        }
    }

    pub(super) fn become_ready(&mut self, id: InstanceId) {
        self.enter(id, Phase::Ready);
        self.schedule_lapse(id);
    }

    /// A ready instance will stop passing its readiness probe, if that is wrong with it. A recorded one lapses once.
    fn schedule_lapse(&mut self, id: InstanceId) {
        let runtime = &mut self.runtimes[id.index()];
        let after = if let Some(recorded) = &runtime.recorded {
            recorded.unready.map(|(after, _)| after)
        } else {
            let defect = self.scenario.release.defect.as_ref().filter(|_| runtime.defective);
            let unready = defect.and_then(|defect| defect.unready.as_ref());
            unready.map(|unready| runtime.luck.span(&unready.after, Purpose::Defect, &self.streams))
        };
        if let Some(after) = after {
            self.control.schedule(self.now + after, Event::ReadinessLapsed { instance: id, life: runtime.life });
        }
    }

    /// A process stops passing its readiness probe, or passes it again.
    pub(super) fn lapse(&mut self, id: InstanceId) {
        let runtime = &mut self.runtimes[id.index()];
        if runtime.probes.passes {
            let recorded = runtime.recorded.as_mut().and_then(|life| life.unready.take());
            let lasts = recorded.map(|(_, lasts)| lasts).or_else(|| {
                let lapses = self.scenario.release.defect.as_ref()?.unready.as_ref()?;
                Some(runtime.luck.span(&lapses.lasts, Purpose::Defect, &self.streams))
            });
            let lasts = lasts.expect("whoever lapses was told how long");
            self.control.schedule(self.now + lasts, Event::ReadinessLapsed { instance: id, life: runtime.life });
            self.passes(id, false);
        } else {
            // Who was ready all the while lapses again as if it had become so now.
            let was_noticed = self.fleet[id].phase() != Phase::Ready;
            self.passes(id, true);
            if !was_noticed {
                self.schedule_lapse(id);
            }
        }
    }
}
