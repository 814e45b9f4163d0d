//! What an Octopus rolling step decides: a window that slides over the targets, and the child steps on each of them.
//!
//! Sources: the Octopus documentation of rolling deployments, and the issues 4968, 7078, 7743 and 8170 of
//! OctopusDeploy/Issues. Octopus has no balancer and no health gate of its own: draining and testing are child steps,
//! and the rollout goes by their success. Packages are fetched within the deploy step.

use super::{Action, Command, Decision, Status, View, earlier};
use crate::fleet::{InstanceId, Phase, Slot, Version};
use crate::random::{mix, unit};
use crate::time::SimTime;
use std::time::Duration;

/// Targets in flight where no window size is given: the step is then not a rolling one and runs on ten at a time.
pub const WITHOUT_WINDOW: u32 = 10;

/// The child step that tests a target before it is put back.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Test {
    /// How long it runs. The target must be ready when it ends.
    pub takes: Duration,
    /// The chance that it finds a defect that shows by then.
    pub finds: f64,
}

/// A rolling step's settings.
#[derive(Clone, Debug, PartialEq)]
pub struct Settings {
    /// Targets in flight at once.
    pub window_size: u32,
    /// How long taking a target out of the balancer takes; `None`: there is no such child step, and a target is
    /// stopped while it is in use.
    pub take_out: Option<Duration>,
    /// The test; `None`: there is no such child step.
    pub test: Option<Test>,
    /// How long putting a target back takes. It happens only where a target was taken out.
    pub put_back: Duration,
    /// The put-back step has the run condition "always": it runs on a target whose child step failed, too.
    pub put_back_always: bool,
    /// What is typed while the rollout is under way.
    pub commands: Vec<Command>,
}

/// What the server holds between two decisions.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Memory {
    deployment: Option<Deployment>,
}

/// One run of the step over all targets.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Deployment {
    target: Version,
    next: u32,
    in_flight: Vec<InFlight>,
    failed: bool,
}

/// A target in the window.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct InFlight {
    slot: Slot,
    step: ChildStep,
    since: SimTime,
    /// A child step failed, and the rest is skipped but for what runs always.
    failed: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum ChildStep {
    TakeOut,
    Stop,
    Deploy(InstanceId),
    Test(InstanceId),
    PutBack(InstanceId),
}

/// Where a target stands after a look at it.
enum Next {
    /// Stays until something happens, or until then.
    Stay(Option<SimTime>),
    /// Goes on to this child step.
    Go(ChildStep),
    /// Leaves the window.
    Leave,
}

impl Settings {
    /// One decision of the server.
    pub fn decide(&self, view: &View<'_>, before: &Memory) -> Decision<Memory> {
        // A deployment that is superseded starts no further target, and those in flight run to the end; then the next begins.
        let mut deployment = match &before.deployment {
            Some(deployment) if deployment.target == view.target || !deployment.in_flight.is_empty() => {
                deployment.clone()
            }
            _ => Deployment { target: view.target, next: 0, in_flight: Vec::new(), failed: false },
        };
        let superseded = deployment.target != view.target;
        let target = deployment.target;
        let mut actions = Vec::new();
        let mut ask_again = None;
        let mut launched = 0;
        // A target that leaves frees its place at once, so look again until nothing moves.
        loop {
            let mut moved = false;
            let mut in_flight = std::mem::take(&mut deployment.in_flight);
            in_flight.retain_mut(|flight| {
                loop {
                    match self.look(view, target, flight, &mut actions, &mut launched) {
                        Next::Stay(until) => {
                            ask_again = earlier(ask_again, until);
                            return true;
                        }
                        Next::Go(step) => {
                            flight.step = step;
                            flight.since = view.now;
                        }
                        Next::Leave => {
                            deployment.failed |= flight.failed;
                            moved = true;
                            return false;
                        }
                    }
                }
            });
            deployment.in_flight = in_flight;
            deployment.failed |= deployment.in_flight.iter().any(|flight| flight.failed);
            while !deployment.failed
                && !superseded
                && !view.halted
                && deployment.next < view.desired
                && deployment.in_flight.len() < self.window_size as usize
            {
                let slot = Slot(deployment.next);
                deployment.next += 1;
                moved = true;
                deployment.in_flight.push(self.enter(view, slot, &mut actions));
            }
            if !moved {
                break;
            }
        }
        let status = if superseded || !deployment.in_flight.is_empty() {
            Status::Progressing
        } else if deployment.failed {
            Status::Failed
        } else if deployment.next == view.desired {
            Status::Completed
        } else {
            Status::Paused
        };
        let mut desired = [0; Version::COUNT];
        desired[target.index()] = deployment.next;
        desired[target.others().next().expect("there are several").index()] = view.desired - deployment.next;
        Decision {
            actions,
            memory: Memory { deployment: Some(deployment) },
            ask_again,
            status,
            reported: match status {
                Status::Completed => "Success",
                Status::Failed => "Failed",
                Status::Progressing | Status::Paused | Status::Stuck => "Executing",
            },
            desired,
            roll_back: false,
        }
    }

    /// A target enters the window.
    fn enter(&self, view: &View<'_>, slot: Slot, actions: &mut Vec<Action>) -> InFlight {
        let step = if self.take_out.is_some() {
            let serving = view.fleet.live_in_slot(slot);
            actions.extend(serving.map(|(id, _)| Action::TakeOut(id)));
            ChildStep::TakeOut
        } else {
            self.stop(view, slot, actions);
            ChildStep::Stop
        };
        InFlight { slot, step, since: view.now, failed: false }
    }

    /// Stops what runs on a target; it is drained only where a child step has taken it out.
    fn stop(&self, view: &View<'_>, slot: Slot, actions: &mut Vec<Action>) {
        let running = view.fleet.live_in_slot(slot);
        let drain = self.take_out.is_some();
        actions.extend(running.map(|(instance, _)| Action::Terminate { instance, drain }));
    }

    /// What becomes of a target in the window.
    fn look(
        &self,
        view: &View<'_>,
        target: Version,
        flight: &mut InFlight,
        actions: &mut Vec<Action>,
        launched: &mut u32,
    ) -> Next {
        match flight.step {
            ChildStep::TakeOut => {
                let done_at = flight.since + self.take_out.expect("the step exists");
                if view.now < done_at {
                    return Next::Stay(Some(done_at));
                }
                self.stop(view, flight.slot, actions);
                Next::Go(ChildStep::Stop)
            }
            ChildStep::Stop => {
                // Actions of this very decision are not performed yet: whoever lives is about to be stopped.
                if view.fleet.in_slot(flight.slot).next().is_some() {
                    return Next::Stay(None);
                }
                let held_out = self.take_out.is_some();
                let slot = Some(flight.slot);
                actions.push(Action::Launch { version: target, slot, hold: false, held_out });
                let id = InstanceId(view.fleet.len() as u32 + *launched);
                *launched += 1;
                Next::Go(ChildStep::Deploy(id))
            }
            ChildStep::Deploy(id) if id.index() >= view.fleet.len() => Next::Stay(None),
            ChildStep::Deploy(id) => {
                let instance = &view.fleet[id];
                if instance.first_failure.is_some() {
                    return self.fail(flight, id);
                }
                match (instance.first_started, self.test) {
                    (None, _) => Next::Stay(None),
                    (Some(_), Some(_)) => Next::Go(ChildStep::Test(id)),
                    (Some(_), None) => self.after_test(id),
                }
            }
            ChildStep::Test(id) => {
                let test = self.test.expect("the step exists");
                let done_at = flight.since + test.takes;
                if view.now < done_at {
                    return Next::Stay(Some(done_at));
                }
                let instance = &view.fleet[id];
                let shows = instance.misbehaves_from.is_some_and(|from| from <= view.now);
                // The instance's own luck decides, not a draw: the same instance passes or fails under every
                // strategy.
                let found = shows && unit(mix(instance.rank)) < test.finds;
                if instance.phase() == Phase::Ready && !found { self.after_test(id) } else { self.fail(flight, id) }
            }
            ChildStep::PutBack(id) => {
                let done_at = flight.since + self.put_back;
                if view.now < done_at {
                    return Next::Stay(Some(done_at));
                }
                actions.push(Action::PutBack(id));
                Next::Leave
            }
        }
    }

    fn after_test(&self, id: InstanceId) -> Next {
        if self.take_out.is_some() { Next::Go(ChildStep::PutBack(id)) } else { Next::Leave }
    }

    /// A child step failed: the target stays as it is, out of the balancer, unless it is put back all the same.
    fn fail(&self, flight: &mut InFlight, id: InstanceId) -> Next {
        flight.failed = true;
        if self.put_back_always && self.take_out.is_some() { Next::Go(ChildStep::PutBack(id)) } else { Next::Leave }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fleet::drawn;
    use crate::rollout::{shown, written};

    fn settings(window_size: u32) -> Settings {
        Settings {
            window_size,
            take_out: Some(Duration::ZERO),
            test: None,
            put_back: Duration::ZERO,
            put_back_always: false,
            commands: Vec::new(),
        }
    }

    fn first_decision(settings: &Settings, letters: &str) -> Decision<Memory> {
        let fleet = drawn::fleet(letters);
        settings.decide(&shown(&fleet, letters.len() as u32, &[]), &Memory::default())
    }

    #[test]
    fn a_window_of_targets_is_taken_in_order() {
        assert_eq!(written(&first_decision(&settings(2), "oooo").actions), "out0 out1 -0 -1");
        let slow = Settings { take_out: Some(Duration::from_secs(1)), ..settings(3) };
        assert_eq!(written(&first_decision(&slow, "oooo").actions), "out0 out1 out2");
        let careless = Settings { take_out: None, ..settings(1) };
        assert_eq!(
            first_decision(&careless, "oo").actions,
            [Action::Terminate { instance: InstanceId(0), drain: false }]
        );
    }

    /// One target in the window, its new instance in a phase.
    fn after_deploy(letter: &str, settings: &Settings) -> Decision<Memory> {
        let fleet = drawn::fleet(letter);
        let flight =
            InFlight { slot: Slot(0), step: ChildStep::Deploy(InstanceId(0)), since: SimTime::START, failed: false };
        let deployment = Deployment { target: Version::NEW, next: 1, in_flight: vec![flight], failed: false };
        settings.decide(&shown(&fleet, 2, &[]), &Memory { deployment: Some(deployment) })
    }

    #[test]
    fn a_failed_child_step_leaves_the_target_out_and_starts_no_other() {
        let decision = after_deploy("x", &settings(1));
        assert_eq!((written(&decision.actions).as_str(), decision.status), ("", Status::Failed));
        let always = Settings { put_back_always: true, ..settings(1) };
        let decision = after_deploy("x", &always);
        assert_eq!((written(&decision.actions).as_str(), decision.status), ("in0", Status::Failed));
    }
}
