//! Does a balancer in front of queues give the response times of the literature? Single servers with exponential
//! work, first come first served, in a plain simulation of its own; all times in mean service times.

use super::*;
use crate::random::{Purpose, Stream, Streams};
use std::cmp::Reverse;
use std::collections::{BinaryHeap, VecDeque};

/// A system to be run.
#[derive(Clone, Copy)]
struct System {
    policy: Choice,
    servers: u32,
    /// Requests per server and mean service time.
    load: f64,
    /// One server fails everything at once.
    has_sinkhole: bool,
}

/// What came out of it.
struct Outcome {
    /// Mean response time of what was served.
    mean: f64,
    /// Share of the requests that the first server got.
    first_share: f64,
}

/// A request in a server.
#[derive(Clone, Copy)]
struct Waiting {
    arrived: f64,
    work: f64,
    /// It arrived after the warm-up.
    counts: bool,
}

fn exponential(stream: &mut Stream) -> f64 {
    -libm::log(stream.unit())
}

fn run(system: System, requests: u32, seed: u64) -> Outcome {
    let System { policy, servers, load, has_sinkhole } = system;
    let streams = Streams::new(seed, 0);
    let [mut arrivals, mut works, mut lucks] =
        [Purpose::Arrivals, Purpose::Work, Purpose::Luck].map(|purpose| streams.of(purpose, 0));
    let mut balancer = balancer(&plain(policy), &vec![1.0; servers as usize]);
    let mut queues: Vec<VecDeque<Waiting>> = vec![VecDeque::new(); servers as usize]; // The first one is in service.
    // Times are positive, so their bits have their order.
    let mut ends: BinaryHeap<Reverse<(u64, Endpoint)>> = BinaryHeap::new();
    let (mut arrived, mut sum, mut answered, mut to_first) = (0.0, 0.0, 0u32, 0u32);
    for number in 0..requests {
        arrived += exponential(&mut arrivals) / (load * f64::from(servers));
        while let Some(Reverse((end, server))) = ends.peek().copied().filter(|end| f64::from_bits(end.0.0) <= arrived) {
            ends.pop();
            let end = f64::from_bits(end);
            let queue = &mut queues[server.index()];
            let left = queue.pop_front().expect("somebody was served");
            sum += if left.counts { end - left.arrived } else { 0.0 };
            answered += u32::from(left.counts);
            balancer.closed(server);
            match queue.front() {
                Some(next) => ends.push(Reverse(((end + next.work).to_bits(), server))),
                None => balancer.became_idle(server),
            }
        }
        let ask = Ask { luck: lucks.bits(), key: lucks.bits(), tried: &[] };
        let Pick::To(server) = balancer.choose(&ask, 0) else { panic!("everybody is there") };
        let work = exponential(&mut works);
        to_first += u32::from(server.0 == 0);
        if has_sinkhole && server.0 == 0 {
            continue;
        }
        balancer.opened(server);
        let queue = &mut queues[server.index()];
        queue.push_back(Waiting { arrived, work, counts: number > requests / 10 });
        if queue.len() == 1 {
            ends.push(Reverse(((arrived + work).to_bits(), server)));
        }
    }
    Outcome { mean: sum / f64::from(answered), first_share: f64::from(to_first) / f64::from(requests) }
}

/// Within the tolerance, or four standard errors, on the mean of five stated seeds.
#[track_caller]
fn check(system: System, tolerance: f64, expected: f64, value: impl Fn(&Outcome) -> f64) {
    let values: Vec<f64> = (1..=5).map(|seed| value(&run(system, 300_000, seed))).collect();
    let mean = values.iter().sum::<f64>() / 5.0;
    let error = (values.iter().map(|value| (value - mean).powi(2)).sum::<f64>() / 20.0).sqrt();
    assert!((mean - expected).abs() < tolerance.max(4.0 * error), "{mean} ± {error} instead of {expected}");
}

#[track_caller]
fn check_mean(policy: Choice, servers: u32, load: f64, tolerance: f64, expected: f64) {
    check(System { policy, servers, load, has_sinkhole: false }, tolerance * expected, expected, |outcome| {
        outcome.mean
    });
}

#[test]
fn the_power_of_two_choices_gives_the_published_table() {
    // Mitzenmacher: The Power of Two Choices in Randomized Load Balancing, IEEE TPDS 12, 2001: 100 servers,
    // simulation.
    check_mean(Choice::POWER_OF_TWO, 100, 0.7, 0.005, 1.6202);
    check_mean(Choice::POWER_OF_TWO, 100, 0.9, 0.005, 2.6454);
}

#[test]
fn more_choices_and_all_of_them_are_better() {
    // By an independent program; the limits for many servers are sums of load^((d^i - d) / (d - 1)): 1.1252 with
    // three.
    check_mean(Choice::LeastRequest(times(3)), 100, 0.5, 0.005, 1.127_69);
    check_mean(Choice::LeastConnections(Ties::Random), 10, 0.9, 0.01, 1.919_93);
    // Two servers: the truncated Markov chain, solved.
    check_mean(Choice::LeastConnections(Ties::Random), 2, 0.9, 0.01, 5.474_91);
}

#[test]
fn turns_are_better_than_chance() {
    // Round robin makes each server Er/M/1; at random each is M/M/1.
    check_mean(Choice::RoundRobin, 2, 0.7, 0.01, 2.600_62);
    check_mean(Choice::RoundRobin, 10, 0.7, 0.01, 2.0198);
    check_mean(Choice::Random, 10, 0.7, 0.01, 1.0 / 0.3);
}

#[test]
fn idle_servers_tell_so() {
    check_mean(Choice::JoinIdleQueue, 10, 0.7, 0.005, 1.198_23); // By an independent program.
}

#[test]
fn a_server_that_fails_at_once_attracts_requests() {
    // One of ten has nothing open ever, and least connections prefers it; by an independent program.
    for (arrivals, expected) in [(3.0, 0.142_74), (5.0, 0.193_09)] {
        let system = System {
            policy: Choice::LeastConnections(Ties::Random),
            servers: 10,
            load: arrivals / 10.0,
            has_sinkhole: true,
        };
        check(system, 0.02 * expected, expected, |outcome| outcome.first_share);
    }
}
