//! A recorded restart in the simulator: the same settings, other luck.

use super::config::Product;
use super::figures::{Figure, simulated};
use super::recording::{Mode, Recording};
use crate::conformance::constants::{EXIT, START_UP};
use crate::distribution::Delay;
use crate::engine;
use crate::history::History;
use crate::random::{GOLDEN, mix, unit};
use crate::rollback::Policy;
use crate::rollout::OnFailure;
use crate::rollout::Strategy;
use crate::rollout::waves::{self, Portion};
use crate::scenario::{
    Arrivals, Budget, Class, Client, Faults, Load, NamedStrategy, Profile, Release, Scenario, Service, Study, Traffic,
};
use crate::time::SimTime;
use rayon::prelude::*;
use std::num::NonZeroU32;
use std::time::Duration;

/// The figures of so many repetitions with luck of their own.
pub fn simulate(recording: &Recording, repetitions: u32) -> Vec<Vec<Figure>> {
    let scenario = scenario(recording);
    (0..repetitions).into_par_iter().map(|repetition| one(recording, &scenario, repetition)).collect()
}

fn one(recording: &Recording, scenario: &Scenario, repetition: u32) -> Vec<Figure> {
    // Whole seconds of the clock begin at any moment of a recording.
    let begins = Duration::from_secs(1).mul_f64(unit(mix(GOLDEN.wrapping_mul(repetition.into()))));
    let mut scenario = scenario.clone();
    scenario.study.warm_up += begins;
    let [short, long] = windows(recording);
    let mut history = run(&mut scenario, short, repetition);
    // What is simulated beyond the end changes nothing before it.
    let is_watched = |ended_at: SimTime| ended_at + recording.after <= SimTime::START + scenario.study.ends_at();
    if !history.ended_at.is_some_and(is_watched) {
        history = run(&mut scenario, long, repetition);
    }
    simulated(recording, &history, begins)
}

fn run(scenario: &mut Scenario, window: Duration, repetition: u32) -> History {
    (scenario.study.window, scenario.study.interval) = (window, window);
    engine::run(scenario, &scenario.strategies[0].strategy, repetition)
}

fn scenario(recording: &Recording) -> Scenario {
    let profile = Profile::constant(recording.rate).expect("a rate above 0");
    let (name, work, target) = ("all".to_owned(), recording.work.clone(), None);
    let class = Class { name, share: 1.0, work, target };
    let strategy = strategy(recording);
    let [_, window] = windows(recording);
    Scenario {
        name: "recording".to_owned(),
        hash: 0,
        remarks: Vec::new(),
        service: Service {
            workers: recording.workers,
            queue: recording.balancer.queue,
            ..Service::plain(recording.backends)
        },
        traffic: Traffic { load: Load::Open { profile, arrivals: Arrivals::Poisson }, classes: vec![class] },
        client: Client { timeout: Some(recording.timeout), ..Client::PATIENT },
        balancer: recording.balancer.clone(),
        release: release(recording),
        faults: Faults::default(),
        rollback: Policy::Orchestrator,
        budget: Budget::default(),
        study: Study {
            replications: NonZeroU32::MIN,
            seed: 1,
            warm_up: Duration::ZERO,
            baseline: recording.before,
            window,
            interval: window,
            confidence: 0.95,
            against: 0,
            keeps_log: true,
        },
        strategies: vec![NamedStrategy { name: "restart".to_owned(), strategy }],
        expectations: Vec::new(),
    }
}

/// The restart script.
fn strategy(recording: &Recording) -> Strategy {
    let restarts = recording.mode != Mode::None;
    Strategy::Waves(waves::Settings {
        size: recording.window.map_or(Portion::Percent(100), |window| Portion::Count(window.get())),
        growth: 1.0,
        in_step: true,
        zones: NonZeroU32::MIN,
        partition: Portion::Percent(if restarts { 0 } else { 100 }),
        take_out: (recording.mode == Mode::Drain).then_some(Duration::ZERO),
        put_back: Duration::ZERO,
        gap: recording.gap,
        test: None,
        soak: recording.settle,
        gate: None,
        on_failure: OnFailure::Stop,
        commands: Vec::new(),
    })
}

/// What a backend does when it is restarted.
fn release(recording: &Recording) -> Release {
    Release {
        pull: Delay::NONE,
        start: Delay::Fixed(recording.start + START_UP),
        ready_probe: None,
        warm_up: None,
        drain: recording.drain,
        drain_ends_when_idle: ends_when_idle(recording),
        pre_stop: Duration::ZERO,
        // Nobody waits longer for an answer than a client does.
        grace: Some(if recording.mode == Mode::Kill9 { Duration::ZERO } else { 2 * recording.timeout }),
        stop: Delay::Fixed(EXIT),
        restart: None,
        slowdown: 1.0,
        defect: None,
        database: None,
        skew: None,
        recorded: None,
    }
}

/// Long enough for the restart and what follows it: where nothing comes in between, or whatever does.
fn windows(recording: &Recording) -> [Duration; 2] {
    if recording.mode == Mode::None {
        return [Duration::from_millis(1); 2];
    }
    let size = recording.window.map_or(recording.backends, |window| window.min(recording.backends));
    let batches = recording.backends.get().div_ceil(size.get());
    let drain = if recording.mode == Mode::Drain { recording.drain } else { Duration::ZERO };
    let usual = if ends_when_idle(recording) { drain.min(Duration::from_millis(100)) } else { drain };
    let batch = recording.gap + recording.start + recording.settle;
    let short = batches * (usual + batch + Duration::from_millis(150)) + recording.after;
    let long = batches * (drain + batch + Duration::from_secs(1)) + recording.timeout + recording.after;
    [short, long]
}

/// HAProxy tells how many requests are open at a backend; nginx is given its time.
fn ends_when_idle(recording: &Recording) -> bool {
    recording.product == Product::HaProxy
}
