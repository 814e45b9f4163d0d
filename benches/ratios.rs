//! What a simulated request costs, as ratios that a machine's mood does not change: `RATIO <name> <value> <bound>`, smaller is
//! better, each the median of interleaved pairs.
//!
//! *Floor*: the draws of one request by the plain libraries. *Growth*: the same load on more instances. *Rollout*: of a hundred
//! thousand instances without traffic, against a second and against that of a tenth. *Peer*: the
//! same model on simcore, whose mean and p99 are printed beside ours. *Parallel*: a study on two threads and on one.

#![expect(
    clippy::disallowed_methods,
    reason = "a bench reads the clock, and the floor is what the plain libraries cost"
)]

use hdrhistogram::Histogram;
use rand::rngs::Xoshiro256PlusPlus;
use rand::{Rng, SeedableRng};
use rand_distr::{Distribution, Exp1, StandardNormal};
use rollsim::engine;
use rollsim::history::History;
use rollsim::scenario::{Scenario, parse};
use rollsim::study::replicate;
use simcore::{Event, EventHandler, Simulation, SimulationContext, cast};
use std::cell::RefCell;
use std::collections::VecDeque;
use std::hint::black_box;
use std::path::Path;
use std::rc::Rc;
use std::time::Instant;

const WORKERS: u32 = 8;
/// 70 % of eight workers at a mean of 30 ms.
const RATE_OF_ONE: f64 = 186.667;

/// The reference: instances with 8 workers each, lognormal work, 70 % load, all metrics on, as many simulated
/// milliseconds as that. Stretched, all of it is so many times slower: no more than ten million requests a second can be asked
/// for.
fn reference(instances: u32, policy: &str, millis: u64, stretch: f64, release: &str, more: &str) -> Scenario {
    let rate = RATE_OF_ONE * f64::from(instances) / stretch;
    let [median, p95] = [21_200.0, 84_600.0].map(|micros| (micros * stretch) as u64);
    let text = format!(
        r#"
[service]
instances = {instances}
workers = {WORKERS}
queue = 64
[traffic]
rate = {rate}
work = {{ lognormal = {{ median = "{median}us", p95 = "{p95}us" }} }}
[client]
timeout = "10s"
retries = {{ attempts = 2, backoff = "100ms" }}
{release}
[study]
replications = 2
warm_up = "0s"
baseline = "{half}ms"
window = "{half}ms"
interval = "{half}ms"
[balancer]
policy = "{policy}"
{more}
"#,
        half = millis / 2,
    );
    parse(&text, Path::new("reference.toml")).expect("the reference is sound")
}

/// No rollout comes in the way.
const NO_ROLLOUT: &str = r#"[release]
start = "1s"
[strategy.none.kubernetes]
control_plane = { pass = "1h" }
"#;

/// A tenth of the fleet at a time, drained and warming up.
const ROLLOUT: &str = r#"[release]
start = "1s"
pre_stop = "2s"
warm_up = { factor = 2.0, over = "2s" }
[strategy.rolling.kubernetes]
max_surge = "10%"
max_unavailable = 0
"#;

/// Everything on that a request can meet on its way.
const FEATURES: &str = r#"count = 3
propagation = { exponential = { mean = "1s" } }
health_check = { period = "1s" }
slow_start = { window = "2s" }
"#;

fn run(scenario: &Scenario) -> (f64, History) {
    let begun = Instant::now();
    let history = engine::run(black_box(scenario), &scenario.strategies[0].strategy, 0);
    (begun.elapsed().as_secs_f64(), history)
}

/// Seconds a request.
fn cost(scenario: &Scenario) -> f64 {
    let (seconds, history) = run(scenario);
    seconds / history.ledger.arrivals as f64
}

fn cost_of_draws(count: u64) -> f64 {
    let begun = Instant::now();
    let mut streams = [1, 2, 3].map(Xoshiro256PlusPlus::seed_from_u64);
    let mut sum = 0.0;
    for _ in 0..black_box(count) {
        let gap: f64 = Exp1.sample(&mut streams[0]);
        let normal: f64 = StandardNormal.sample(&mut streams[1]);
        sum += gap + (0.84 * normal).exp() + (streams[2].next_u64() >> 40) as f64;
    }
    black_box(sum);
    begun.elapsed().as_secs_f64() / count as f64
}

fn ratio(name: &str, bound: f64, pairs: usize, mut pair: impl FnMut() -> (f64, f64)) {
    // `cargo bench --bench ratios -- floor` measures only what it names.
    let mut names = std::env::args().skip(1).filter(|argument| !argument.starts_with("--")).peekable();
    if names.peek().is_some() && !names.any(|wanted| wanted == name) {
        return;
    }
    let mut measured: Vec<(f64, f64)> = (0..pairs).map(|_| pair()).collect();
    measured.sort_by(|one, other| (one.0 / one.1).total_cmp(&(other.0 / other.1)));
    let (ours, theirs) = measured[pairs / 2];
    eprintln!("{name}: {ours:.3e} s against {theirs:.3e} s");
    println!("RATIO {name} {:.3} {bound}", ours / theirs);
}

// --- the peer
// -----------------------------------------------------------------------------------------------------------

#[derive(Clone, serde::Serialize)]
struct Arrival;

#[derive(Clone, serde::Serialize)]
struct Departure {
    instance: u32,
    arrived: f64,
}

/// The reference on simcore: every arrival and every end of a service an event.
struct Fleet {
    context: SimulationContext,
    /// Requests in service, and those that wait.
    instances: Vec<(u32, VecDeque<(f64, f64)>)>,
    gaps: Xoshiro256PlusPlus,
    works: Xoshiro256PlusPlus,
    choices: Xoshiro256PlusPlus,
    rate: f64,
    ends_at: f64,
    latencies: Histogram<u64>,
    sum: f64,
}

impl Fleet {
    fn arrive(&mut self) {
        let now = self.context.time();
        let gap: f64 = Exp1.sample(&mut self.gaps);
        if now + gap / self.rate < self.ends_at {
            self.context.emit_self(Arrival, gap / self.rate);
        }
        let normal: f64 = StandardNormal.sample(&mut self.works);
        // Of a median of 21.2 ms and a p95 of 84.6 ms.
        let work = 0.0212 * ((84.6_f64 / 21.2).ln() / 1.644_853_627 * normal).exp();
        let luck = self.choices.next_u64();
        let count = self.instances.len() as u64;
        let first = (((luck >> 32) * count) >> 32) as usize;
        let second = (((luck & 0xffff_ffff) * (count - 1)) >> 32) as usize;
        let second = second + usize::from(second >= first);
        let load = |place: usize| self.instances[place].0 as usize + self.instances[place].1.len();
        let chosen = if load(second) < load(first) { second } else { first };
        let (busy, queue) = &mut self.instances[chosen];
        if *busy < WORKERS {
            *busy += 1;
            self.context.emit_self(Departure { instance: chosen as u32, arrived: now }, work);
        } else {
            queue.push_back((now, work));
        }
    }

    fn depart(&mut self, instance: u32, arrived: f64) {
        let latency = self.context.time() - arrived;
        self.sum += latency;
        self.latencies.record((latency * 1e6).round() as u64).expect("the histogram grows");
        let (busy, queue) = &mut self.instances[instance as usize];
        match queue.pop_front() {
            Some((arrived, work)) => {
                self.context.emit_self(Departure { instance, arrived }, work);
            }
            None => *busy -= 1,
        }
    }
}

impl EventHandler for Fleet {
    fn on(&mut self, event: Event) {
        cast!(match event.data {
            Arrival {} => {
                self.arrive()
            }
            Departure { instance, arrived } => {
                self.depart(instance, arrived)
            }
        });
    }
}

/// Seconds a request, the mean and the p99 in milliseconds.
fn peer(instances: u32, millis: u64) -> (f64, f64, f64) {
    let begun = Instant::now();
    let mut simulation = Simulation::new(1);
    let context = simulation.create_context("fleet");
    let [gaps, works, choices] = [1, 2, 3].map(Xoshiro256PlusPlus::seed_from_u64);
    let fleet = Rc::new(RefCell::new(Fleet {
        context,
        instances: vec![(0, VecDeque::new()); instances as usize],
        gaps,
        works,
        choices,
        rate: RATE_OF_ONE * f64::from(instances),
        ends_at: millis as f64 / 1e3,
        latencies: Histogram::new(3).expect("three digits"),
        sum: 0.0,
    }));
    simulation.add_handler("fleet", fleet.clone());
    fleet.borrow().context.emit_self_now(Arrival);
    simulation.step_until_no_events();
    let seconds = begun.elapsed().as_secs_f64();
    let fleet = fleet.borrow();
    let count = fleet.latencies.len() as f64;
    (seconds / count, fleet.sum / count * 1e3, fleet.latencies.value_at_quantile(0.99) as f64 / 1e3)
}

// --- parallel
// -----------------------------------------------------------------------------------------------------------

/// A study of long and short strategies.
fn study() -> Scenario {
    let text = r#"
[service]
instances = 20
workers = 8
queue = 64
[traffic]
rate = 2000.0
work = { lognormal = { median = "21.2ms", p95 = "84.6ms" } }
[release]
start = "3s"
grace = "5s"
[strategy.fast.kubernetes]
max_surge = "100%"
[strategy.slow.waves]
size = 1
soak = "2s"
[study]
replications = 64
warm_up = "1s"
baseline = "2s"
window = "20s"
"#;
    parse(text, Path::new("study.toml")).expect("the study is sound")
}

/// A fleet of so many is replaced by default rules where nobody asks for anything.
fn rollout(instances: u32) -> Scenario {
    let text = format!(
        r#"
[service]
instances = {instances}
workers = 1
queue = 1
[traffic]
rate = 0.001
work = "1ms"
[release]
pull = {{ lognormal = {{ median = "4s", p95 = "10s" }} }}
start = {{ lognormal = {{ median = "10s", p95 = "25s" }} }}
pre_stop = "1s"
[strategy.default.kubernetes]
control_plane = {{ at_once = true }}
[study]
replications = 2
window = "4h"
interval = "1m"
"#
    );
    parse(&text, Path::new("rollout.toml")).expect("the rollout is sound")
}

fn study_takes(scenario: &Scenario, threads: usize) -> f64 {
    let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().expect("threads");
    let begun = Instant::now();
    pool.install(|| black_box(replicate(scenario, &|| {})));
    begun.elapsed().as_secs_f64()
}

fn main() {
    // `cargo test --benches` asks only whether it runs.
    let is_test = !std::env::args().any(|argument| argument == "--bench");
    let (pairs, millis) = if is_test { (1, 20) } else { (3, 10_000) };
    let thousand = reference(1_000, "power-of-two", millis, 1.0, NO_ROLLOUT, "");
    ratio("floor", 3.0, pairs, || (cost(&thousand), cost_of_draws(3_000_000)));
    let featured = reference(1_000, "power-of-two", millis, 1.0, ROLLOUT, FEATURES);
    ratio("floor-features", 5.0, pairs, || (cost(&featured), cost_of_draws(3_000_000)));

    // As many requests in each, as far as the work has its time: the fewer instances, the longer.
    let lasts = |instances: u32| (millis / 20 * 10_000 / u64::from(instances)).max(millis / 10) * 3;
    let of = |instances: u32| reference(instances, "power-of-two", lasts(instances), 3.0, NO_ROLLOUT, "");
    let (hundred, ten_thousand) = (of(100), of(10_000));
    ratio("growth-10000", 1.5, pairs, || (cost(&ten_thousand), cost(&hundred)));
    let least = reference(10_000, "least-connections", lasts(10_000), 3.0, NO_ROLLOUT, "");
    ratio("least-connections-10000", 2.0, pairs, || (cost(&least), cost(&ten_thousand)));
    if !is_test {
        let most = of(100_000);
        ratio("growth-100000", 3.0, 1, || (cost(&most), cost(&hundred)));
    }

    let (many, tenth) = if is_test { (1_000, 100) } else { (100_000, 10_000) };
    let (many, tenth) = (rollout(many), rollout(tenth));
    ratio("rollout-100000", 1.0, pairs, || (run(&many).0, 1.0)); // Seconds.
    ratio("rollout-growth", 12.5, pairs, || (run(&many).0, run(&tenth).0)); // n log n of ten times as many.

    let mut said = String::new();
    ratio("simcore", 0.125, pairs, || {
        let (seconds, history) = run(&thousand);
        let (theirs, mean, p99) = peer(1_000, millis);
        let all = &history.window.all;
        let ours = all.latency_sum as f64 / all.ledger.served as f64 / 1e6;
        said = format!(
            "mean and p99: ours {ours:.2} and {:.2} ms in the second half, simcore's {mean:.2} and {p99:.2} ms",
            all.latency.value_at_quantile(0.99) as f64 / 1e3
        );
        (seconds / history.ledger.arrivals as f64, theirs)
    });
    println!("{said}");

    let study = study();
    ratio("parallel", 0.55, pairs, || (study_takes(&study, 2), study_takes(&study, 1)));
}
