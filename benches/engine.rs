//! How fast requests are simulated, beside the cost of drawing the same random numbers alone.
//!
//! The reference: 1,000 instances with 8 workers each, two random choices, lognormal work, 70 % load, all metrics on.
//! The last lines give requests per second and the ratio to the draws of one request by the plain libraries: one
//! `Exp1`, one `StandardNormal` with
//! `f64::exp`, one `u64`, from three generators.

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use rand::rngs::Xoshiro256PlusPlus;
use rand::{Rng, SeedableRng};
use rand_distr::{Distribution, Exp1, StandardNormal};
use rollsim::balancer::{Ask, Balancer, Endpoint, Pick};
use rollsim::engine;
use rollsim::random::mix;
use rollsim::scenario::{self, Choice, Scenario, Ties, parse};
use std::hint::black_box;
use std::num::NonZeroU32;
use std::path::Path;
use std::time::{Duration, Instant};

const REFERENCE: &str = r#"
[service]
instances = 1000
workers = 8
queue = 64

[traffic]
rate = 186667.0                                              # 70 % of 8,000 workers at a mean of 30 ms
work = { lognormal = { median = "21.2ms", p95 = "84.6ms" } }

[client]
timeout = "10s"

[balancer]
policy = "power-of-two"

[release]
start = "1s"

[strategy.none.kubernetes]
control_plane = { pass = "1h" }

[study]
replications = 2
warm_up = "1s"
baseline = "2s"
window = "2s"
interval = "100ms"
"#;

fn reference() -> Scenario {
    parse(REFERENCE, Path::new("reference.toml")).expect("the reference is sound")
}

fn draws(count: u64) -> f64 {
    let mut streams = [1, 2, 3].map(Xoshiro256PlusPlus::seed_from_u64);
    let mut sum = 0.0;
    for _ in 0..count {
        let gap: f64 = Exp1.sample(&mut streams[0]);
        let normal: f64 = StandardNormal.sample(&mut streams[1]);
        #[expect(clippy::disallowed_methods, reason = "the floor is what the plain libraries cost")]
        let work = (0.84 * normal).exp();
        sum += gap + work + (streams[2].next_u64() >> 40) as f64;
    }
    sum
}

fn requests(bench: &mut Criterion) {
    let scenario = reference();
    let strategy = &scenario.strategies[0].strategy;
    let count = engine::run(&scenario, strategy, 0).ledger.arrivals;
    let mut group = bench.benchmark_group("reference");
    group.throughput(Throughput::Elements(count)).sample_size(10).measurement_time(Duration::from_secs(8));
    group.bench_function("requests", |bencher| bencher.iter(|| engine::run(black_box(&scenario), strategy, 0)));
    group.bench_function("draws", |bencher| bencher.iter(|| draws(black_box(count))));
    group.finish();
    ratio(&scenario, count);
}

/// The median over interleaved pairs, so that a machine that changes its speed changes both.
#[expect(clippy::disallowed_methods, reason = "a bench reads the clock")]
fn ratio(scenario: &Scenario, count: u64) {
    let strategy = &scenario.strategies[0].strategy;
    let mut pairs: Vec<(f64, f64)> = (0..5)
        .map(|_| {
            let begun = Instant::now();
            black_box(engine::run(black_box(scenario), strategy, 0));
            let simulated = begun.elapsed().as_secs_f64();
            let begun = Instant::now();
            black_box(draws(black_box(count)));
            (simulated / begun.elapsed().as_secs_f64(), count as f64 / simulated)
        })
        .collect();
    pairs.sort_by(|a, b| a.0.total_cmp(&b.0));
    let (ratio, rate) = pairs[pairs.len() / 2];
    println!("reference: {:.2} million requests per second, {ratio:.1} times the cost of their draws", rate / 1e6);
}

/// What one request costs a balancer, from its choice to its answer, among few endpoints and among many: by policy,
/// and of the unequal weights that a slow start makes.
fn choices(bench: &mut Criterion) {
    let count = |number| NonZeroU32::new(number).expect("not zero");
    let policies = [
        ("round-robin", Choice::RoundRobin),
        ("random", Choice::Random),
        ("least-connections", Choice::LeastConnections(Ties::Random)),
        ("least-connections-in-turn", Choice::LeastConnections(Ties::Turns)),
        ("power-of-two", Choice::POWER_OF_TWO),
        ("least-request-3", Choice::LeastRequest(count(3))),
        ("join-idle-queue", Choice::JoinIdleQueue),
        ("peak-ewma", Choice::PeakEwma { decay: Duration::from_secs(10) }),
        ("consistent-hash", Choice::ConsistentHash { keys: count(1_000_000), bound: 1.25 }),
    ];
    let mut group = bench.benchmark_group("choose");
    group.throughput(Throughput::Elements(1)).sample_size(20);
    group.warm_up_time(Duration::from_millis(500)).measurement_time(Duration::from_secs(1));
    for (name, policy) in policies {
        for endpoints in [100, 10_000] {
            for (weights, last) in [("", 1.0), (" uneven", 0.5)] {
                let mut balancing = Balancing::new(policy, endpoints, last);
                group.bench_function(format!("{name} of {endpoints}{weights}"), |bencher| {
                    bencher.iter(|| balancing.request());
                });
            }
        }
    }
    group.finish();
}

/// A balancer with two requests open for each endpoint.
struct Balancing {
    balancer: Balancer,
    open: Vec<Endpoint>,
    requests: u64,
}

impl Balancing {
    /// All endpoints weigh 1 but the last one.
    fn new(policy: Choice, endpoints: u32, last: f64) -> Self {
        let mut balancer = Balancer::new(&scenario::Balancer::plain(policy), 0);
        for endpoint in 0..endpoints {
            balancer.list(Endpoint(endpoint), if endpoint + 1 == endpoints { last } else { 1.0 }, false, 0);
        }
        let mut balancing = Balancing { balancer, open: Vec::new(), requests: 0 };
        for _ in 0..2 * endpoints {
            let endpoint = balancing.send();
            balancing.open.push(endpoint);
        }
        balancing
    }

    fn send(&mut self) -> Endpoint {
        self.requests += 1;
        let ask = Ask { luck: mix(self.requests), key: mix(!self.requests), tried: &[] };
        let Pick::To(endpoint) = self.balancer.choose(&ask, self.requests) else { unreachable!("nobody is full") };
        self.balancer.opened(endpoint);
        endpoint
    }

    /// One more request, and the end of one of those that are open.
    fn request(&mut self) {
        let sent = self.send();
        let place = (mix(self.requests ^ 5) % self.open.len() as u64) as usize;
        let ended = std::mem::replace(&mut self.open[place], sent);
        self.balancer.closed(ended);
        self.balancer.note_answer(ended, 1_000 + self.requests % 1_000, self.requests);
        if self.balancer.open(ended) == 0 {
            self.balancer.became_idle(ended);
        }
    }
}

criterion_group!(benches, requests, choices);
criterion_main!(benches);
