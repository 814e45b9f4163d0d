//! What breaks, whatever is rolled out.

use super::{Engine, Event};
use crate::distribution::Delay;
use crate::fault::{time_to_crash, victims};
use crate::fleet::{InstanceId, Phase};
use crate::random::Purpose;
use crate::scenario::{Hits, Whom};
use std::time::Duration;

impl Engine<'_> {
    pub(super) fn schedule_crash(&mut self, id: InstanceId) {
        if let Some(crash) = self.scenario.faults.crash.as_ref().filter(|crash| crash.hits == Hits::Instance) {
            let runtime = &mut self.runtimes[id.index()];
            let at = self.now + time_to_crash(crash.mtbf, runtime.luck.of(Purpose::Crash, &self.streams));
            self.control.schedule(at, Event::PlaceCrashed { instance: id, life: runtime.life });
        }
    }

    pub(super) fn schedule_shared_crash(&mut self, count: u32) {
        if let Some(crash) = self.scenario.faults.crash.as_ref().filter(|crash| crash.hits != Hits::Instance) {
            let at = self.now + time_to_crash(crash.mtbf, &mut self.share_crash);
            self.control.schedule(at, Event::ShareCrashed { count });
        }
    }

    pub(super) fn share_crashed(&mut self, count: u32) {
        let crash = self.scenario.faults.crash.as_ref().expect("it was scheduled");
        let Hits::Share(share) = crash.hits else { unreachable!("an instance's own crash is another event") };
        let luck = self.streams.of(Purpose::SharedCrash, u64::from(count) + 1).bits();
        for id in victims(&self.fleet, Whom::Share(share), luck) {
            self.place_crashed(id, &crash.repair);
        }
        self.schedule_shared_crash(count + 1);
    }

    pub(super) fn outage_began(&mut self) {
        let outage = self.scenario.faults.outage.as_ref().expect("it was scheduled");
        let luck = self.streams.of(Purpose::Outage, 0).bits();
        for id in victims(&self.fleet, outage.whom, luck) {
            self.desks[id.index()].is_silent = outage.silent;
            self.place_crashed(id, &outage.repair);
        }
    }

    // --- slowness
    // ----------------------------------------------------------------------------------------------------

    pub(super) fn slow_began(&mut self, which: u32) {
        let luck = self.streams.of(Purpose::Slow, which.into()).bits();
        let whom = self.scenario.faults.slow[which as usize].whom;
        let victims = victims(&self.fleet, whom, luck);
        self.slow[which as usize].clone_from(&victims);
        self.hinder(&victims);
    }

    pub(super) fn slow_ended(&mut self, which: u32) {
        let victims = std::mem::take(&mut self.slow[which as usize]);
        self.hinder(&victims);
    }

    /// Sets how slow instances are now: by all that slows each of them down.
    fn hinder(&mut self, instances: &[InstanceId]) {
        for id in instances {
            self.foresee_lines(*id);
            let slows = self.slow.iter().zip(&self.scenario.faults.slow);
            let factors = slows.filter(|(victims, _)| victims.contains(id)).map(|(_, slow)| slow.factor);
            self.desks[id.index()].speed.hindrance = factors.product();
            self.requests.forget_plainness(*id);
        }
    }

    // --- repairs
    // -----------------------------------------------------------------------------------------------------

    /// A place is to be repaired: now, or when a crew is free.
    pub(super) fn call_a_crew(&mut self, instance: InstanceId, life: u32, takes: Duration) {
        let crews = self.scenario.faults.crash.as_ref().and_then(|crash| crash.crews);
        if crews.is_some_and(|crews| self.crews_at_work >= crews.get()) {
            self.repairs.push_back((instance, life, takes));
            return;
        }
        self.crews_at_work += 1;
        self.control.schedule(self.now + takes, Event::Repaired { instance, life });
    }

    /// A crew has done its work, and goes on to the next place.
    pub(super) fn repaired(&mut self, instance: InstanceId, life: u32) {
        self.crews_at_work -= 1;
        while let Some((next, its_life, takes)) = self.repairs.pop_front() {
            if self.lives(next, its_life) {
                self.call_a_crew(next, its_life, takes);
                break;
            }
        }
        if self.lives(instance, life) {
            self.start_process(instance);
        }
    }

    pub(super) fn place_crashed(&mut self, id: InstanceId, repair: &Delay) {
        use Phase::{Draining, Ready, Starting, Stopping, Unready};
        if matches!(self.fleet[id].phase(), Starting | Ready | Unready | Draining | Stopping) {
            self.process_ended(id, Some(repair));
        }
    }
}
