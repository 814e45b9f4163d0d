//! Does a balancer keep its rules? Examples by hand, shares, and luck that must not change its meaning.

mod queues;
mod reference;

use super::*;
use crate::scenario::{Choice, Connect, Ejection, SlowStart, Ties};
use crate::time::SECOND;
use std::collections::BTreeMap;
use std::num::NonZeroU32;
use std::time::Duration;

fn times(count: u32) -> NonZeroU32 {
    NonZeroU32::new(count).expect("not zero")
}

fn plain(policy: Choice) -> scenario::Balancer {
    scenario::Balancer::plain(policy)
}

const POLICIES: [Choice; 9] = [
    Choice::RoundRobin,
    Choice::Random,
    Choice::LeastConnections(Ties::Random),
    Choice::LeastConnections(Ties::Turns),
    Choice::POWER_OF_TWO,
    Choice::LeastRequest(NonZeroU32::new(3).expect("not zero")),
    Choice::JoinIdleQueue,
    Choice::PeakEwma { decay: Duration::from_secs(10) },
    Choice::ConsistentHash { keys: NonZeroU32::new(1_000_000).expect("not zero"), bound: 1.25 },
];

/// A balancer that knows endpoints of these weights, none of them new.
fn balancer(settings: &scenario::Balancer, weights: &[f64]) -> Balancer {
    let mut balancer = Balancer::new(settings, 0);
    for (endpoint, weight) in (0..).zip(weights) {
        balancer.list(Endpoint(endpoint), *weight, false, 0);
    }
    balancer
}

/// The request of this number, which has tried these.
fn ask(number: u64, tried: &[Endpoint]) -> Ask<'_> {
    Ask { luck: mix(number), key: mix(number ^ GOLDEN), tried }
}

/// How often each endpoint is picked by so many requests; they are answered at once.
fn picks(balancer: &mut Balancer, requests: u64, now: u64) -> BTreeMap<u32, u32> {
    let mut counts = BTreeMap::new();
    for number in 0..requests {
        let Pick::To(endpoint) = balancer.choose(&ask(number, &[]), now) else { panic!("nobody is full or gone") };
        *counts.entry(endpoint.0).or_default() += 1;
    }
    counts
}

/// Four standard deviations of a binomial count.
fn allowance(requests: u64, share: f64) -> f64 {
    4.0 * (requests as f64 * share * (1.0 - share)).sqrt()
}

#[test]
fn nobody_to_choose_is_no_choice() {
    for policy in POLICIES {
        assert_eq!(Balancer::new(&plain(policy), 0).choose(&ask(5, &[]), 0), Pick::Nobody);
        let mut balancer = balancer(&plain(policy), &[1.0]);
        assert_eq!(balancer.choose(&ask(5, &[]), 0), Pick::To(Endpoint(0)));
        balancer.unlist(Endpoint(0), true);
        assert_eq!(balancer.choose(&ask(5, &[]), 0), Pick::Nobody, "{policy:?} has no last resort");
    }
}

#[test]
fn luck_means_what_it_meant_in_published_results() {
    let endpoints = [4, 7, 1, 9, 3].map(Endpoint);
    for number in 0..1_000 {
        let luck = mix(number);
        let (high, low) = ((luck >> 32) as u32, luck as u32);
        let with = |policy| {
            let mut balancer = Balancer::new(&plain(policy), 0);
            for endpoint in endpoints {
                balancer.list(endpoint, 1.0, false, 0);
            }
            for _ in 0..3 {
                balancer.opened(Endpoint(7));
            }
            balancer.unlist(Endpoint(4), false);
            balancer
        };
        let scaled = |bits: u32, count: u64| ((u64::from(bits) * count) >> 32) as usize;
        let left = [7, 1, 9, 3].map(Endpoint);
        assert_eq!(with(Choice::Random).choose(&ask(number, &[]), 0), Pick::To(left[scaled(high, 4)]));
        let first = scaled(high, 4);
        let second = scaled(low, 3) + usize::from(scaled(low, 3) >= first);
        let pick = if first == 0 { second } else { first };
        assert_eq!(with(Choice::POWER_OF_TWO).choose(&ask(number, &[]), 0), Pick::To(left[pick]));
        let idle = [9, 3, 1].map(Endpoint); // The last one takes the place of one that leaves.
        assert_eq!(
            with(Choice::LeastConnections(Ties::Random)).choose(&ask(number, &[]), 0),
            Pick::To(idle[scaled(high, 3)])
        );
    }
}

#[test]
fn of_two_the_one_with_fewer_open_requests_is_chosen() {
    let mut balancer = balancer(&plain(Choice::POWER_OF_TWO), &[1.0; 2]);
    balancer.opened(Endpoint(0));
    assert_eq!(picks(&mut balancer, 100, 0), BTreeMap::from([(1, 100)]));
    balancer.opened(Endpoint(1));
    let ones = picks(&mut balancer, 10_000, 0)[&1];
    assert!(f64::from(ones.abs_diff(5_000)) < allowance(10_000, 0.5), "ties fall to chance: {ones}");
}

#[test]
fn the_faster_of_two_is_chosen_until_it_has_too_much_to_do() {
    let mut balancer = balancer(&plain(Choice::PeakEwma { decay: Duration::from_secs(10) }), &[1.0; 2]);
    let (fast, slow) = (Endpoint(0), Endpoint(1));
    balancer.note_answer(fast, SECOND / 100, SECOND);
    balancer.note_answer(slow, SECOND / 20, SECOND);
    assert_eq!(picks(&mut balancer, 100, SECOND), BTreeMap::from([(0, 100)]));
    for _ in 0..5 {
        balancer.opened(fast);
    }
    assert_eq!(picks(&mut balancer, 100, SECOND), BTreeMap::from([(1, 100)]), "6 × 10 ms against 1 × 50 ms");
    balancer.unlist(slow, false);
    balancer.list(slow, 1.0, true, SECOND);
    balancer.opened(slow);
    assert_eq!(picks(&mut balancer, 100, SECOND), BTreeMap::from([(0, 100)]), "it is unknown again, and one is open");
}

#[test]
fn idle_endpoints_are_used_in_the_order_in_which_they_told() {
    let mut balancer = balancer(&plain(Choice::JoinIdleQueue), &[1.0; 3]);
    let next = |balancer: &mut Balancer, number| balancer.choose(&ask(number, &[]), 0);
    for endpoint in 0..3 {
        assert_eq!(next(&mut balancer, 7), Pick::To(Endpoint(endpoint)), "who is listed counts as idle");
    }
    let requests = 30_000;
    let counts = picks(&mut balancer, requests, 0);
    let is_even = |count: &u32| (f64::from(*count) - 1e4).abs() < allowance(requests, 1.0 / 3.0);
    assert!(counts.values().all(is_even), "without an idle one any: {counts:?}");
    balancer.became_idle(Endpoint(2));
    balancer.became_idle(Endpoint(1));
    assert_eq!([next(&mut balancer, 1), next(&mut balancer, 1)], [Pick::To(Endpoint(2)), Pick::To(Endpoint(1))]);
}

#[test]
fn shares_are_by_weight() {
    // Nine old ones, and a new one of half the weight, idle all the time.
    let weights = [1.0, 1.0, 1.0, 1.0, 1.0, 1.0, 1.0, 1.0, 1.0, 0.5];
    let (requests, share) = (95_000, 0.5 / 9.5);
    for policy in [Choice::RoundRobin, Choice::Random, Choice::JoinIdleQueue] {
        let mut balancer = balancer(&plain(policy), &weights);
        let newcomer = f64::from(picks(&mut balancer, requests, 0)[&9]);
        let allowed = if policy == Choice::RoundRobin { 1.0 } else { allowance(requests, share) };
        assert!((newcomer - requests as f64 * share).abs() <= allowed, "{policy:?}: {newcomer}");
    }
}

#[test]
fn a_newcomer_grows_into_its_share() {
    let slow_start = SlowStart { window: Duration::from_mins(1), aggression: 2.0, least: 0.1 };
    let requests = 95_000;
    for policy in [Choice::RoundRobin, Choice::Random] {
        let settings = scenario::Balancer { slow_start: Some(slow_start), ..plain(policy) };
        let mut balancer = balancer(&settings, &[1.0; 9]);
        balancer.list(Endpoint(9), 1.0, true, SECOND);
        // Envoy's formula, sqrt(age / window), in the first second and after 15, 30 and 60 of them.
        for (age, weight) in [(0, 60f64.sqrt().recip()), (15, 0.5), (30, 0.5f64.sqrt()), (60, 1.0)] {
            let newcomer = f64::from(picks(&mut balancer, requests, (1 + age) * SECOND)[&9]);
            let share = weight / (9.0 + weight);
            let allowed = if policy == Choice::RoundRobin { 10.0 } else { allowance(requests, share) };
            assert!((newcomer - requests as f64 * share).abs() <= allowed, "{policy:?} at {age} s: {newcomer}");
        }
    }
}

#[test]
fn a_panicking_balancer_sends_to_all() {
    // Envoy, "Panic threshold": with the default of 50 %, 4 healthy ones of 10 get no more than all the others.
    let check = Some(health_check());
    for (healthy, expected) in [(4, 10), (5, 5)] {
        let settings =
            scenario::Balancer { panic_threshold: 0.5, health_check: check.clone(), ..plain(Choice::RoundRobin) };
        let mut balancer = balancer(&settings, &[1.0; 10]);
        for endpoint in healthy..10 {
            assert!(balancer.note_check(Endpoint(endpoint), false));
        }
        assert_eq!(balancer.usable(), expected);
        assert_eq!(picks(&mut balancer, 100, 0).len(), expected);
        for endpoint in healthy..10 {
            assert!(balancer.note_check(Endpoint(endpoint), true));
        }
        assert_eq!(balancer.usable(), 10);
    }
    let mut calm = balancer(&scenario::Balancer { health_check: check, ..plain(Choice::RoundRobin) }, &[1.0; 2]);
    for endpoint in 0..2 {
        calm.note_check(Endpoint(endpoint), false);
    }
    assert_eq!(calm.choose(&ask(1, &[]), 0), Pick::Nobody, "without a threshold nobody is used");
}

fn health_check() -> scenario::HealthCheck {
    scenario::HealthCheck {
        period: Duration::from_secs(1),
        timeout: Duration::from_secs(1),
        first: scenario::FirstCheck::AtRandom,
        success_threshold: times(1),
        failure_threshold: times(1),
        assume_healthy: true,
        work: None,
        false_failures: 0.0,
    }
}

fn ejection(most: f64, counts: Failures) -> Ejection {
    Ejection {
        consecutive_errors: times(2),
        within: None,
        lasts: crate::distribution::Delay::Fixed(Duration::from_secs(30)),
        whole_seconds: false,
        grows: true,
        trial: false,
        counts,
        most,
    }
}

/// Two failures; who is ejected by them.
fn fails(balancer: &mut Balancer, endpoint: u32) -> Option<Ejected> {
    assert_eq!(balancer.note_trouble(Endpoint(endpoint), Trouble::Connect, SECOND), None);
    balancer.note_trouble(Endpoint(endpoint), Trouble::Connect, SECOND)
}

#[test]
fn no_more_than_their_share_are_ejected_but_one_always_may_be() {
    for (endpoints, most, expected) in
        [(10, 0.0, 1), (10, 0.3, 3), (100, 0.29, 29), (3, 0.5, 1), (4, 0.5, 2), (5, 1.0, 5)]
    {
        let settings = scenario::Balancer { ejection: Some(ejection(most, Failures::All)), ..plain(Choice::Random) };
        let mut balancer = balancer(&settings, &vec![1.0; endpoints]);
        let ejected = (0..endpoints as u32).filter(|endpoint| fails(&mut balancer, *endpoint).is_some()).count();
        assert_eq!(ejected, expected, "of {endpoints} at most {most}");
        assert_eq!(balancer.usable(), endpoints - expected);
    }
}

#[test]
fn an_ejection_ends_once_and_not_for_somebody_listed_anew() {
    let settings = scenario::Balancer { ejection: Some(ejection(1.0, Failures::All)), ..plain(Choice::Random) };
    let mut balancer = balancer(&settings, &[1.0; 3]);
    let first = fails(&mut balancer, 1).expect("two failures eject");
    assert_eq!((first.times, balancer.usable()), (1, 2));
    balancer.readmit(Endpoint(1), first.ejection);
    let second = fails(&mut balancer, 1).expect("two failures eject");
    assert_eq!((second.times, balancer.usable()), (2, 2));
    balancer.readmit(Endpoint(1), first.ejection);
    assert_eq!(balancer.usable(), 2, "that ejection was over already");
    balancer.unlist(Endpoint(1), false);
    balancer.list(Endpoint(1), 1.0, true, SECOND);
    assert_eq!(balancer.usable(), 3);
    let third = fails(&mut balancer, 1).expect("two failures eject");
    assert_eq!((third.times, balancer.usable()), (1, 2));
    balancer.readmit(Endpoint(1), second.ejection);
    assert_eq!(balancer.usable(), 2, "another ejection is under way");
    balancer.readmit(Endpoint(1), third.ejection);
    assert_eq!(balancer.usable(), 3);
}

#[test]
fn after_an_ejection_one_request_tries_the_endpoint() {
    let settings = Ejection { trial: true, ..ejection(1.0, Failures::Connect) };
    let settings = scenario::Balancer { ejection: Some(settings), ..plain(Choice::RoundRobin) };
    let mut balancer = balancer(&settings, &[1.0; 2]);
    let tried = Endpoint(1);
    let ejected = fails(&mut balancer, 1).expect("two failures eject");
    balancer.readmit(tried, ejected.ejection);
    assert_eq!(balancer.usable(), 2);
    let begin = |balancer: &mut Balancer| {
        while balancer.choose(&ask(1, &[]), 0) != Pick::To(tried) {}
        assert_eq!(balancer.usable(), 1, "nobody else goes there while it is tried");
    };
    begin(&mut balancer);
    let again = balancer.note_trouble(tried, Trouble::Connect, SECOND).expect("one failure is enough now");
    assert_eq!((again.times, balancer.usable()), (2, 1));
    balancer.readmit(tried, again.ejection);
    begin(&mut balancer);
    balancer.opened(tried);
    balancer.closed(tried);
    assert_eq!(balancer.usable(), 2, "nothing is known of it, and another one tries");
    begin(&mut balancer);
    balancer.note_trouble(tried, Trouble::Other, SECOND);
    assert_eq!(
        (balancer.usable(), fails(&mut balancer, 1).map(|ejected| ejected.times)),
        (2, Some(3)),
        "it has passed"
    );
    let third = Ejected { times: 3, ejection: 3 };
    balancer.readmit(tried, third.ejection);
    begin(&mut balancer);
    balancer.note_answer(tried, 1, SECOND);
    assert_eq!((balancer.usable(), picks(&mut balancer, 10, 0).len()), (2, 2));
}

#[test]
fn only_failures_that_count_eject() {
    for (counts, expected) in [(Failures::Connect, 3), (Failures::All, 2)] {
        let settings = scenario::Balancer { ejection: Some(ejection(1.0, counts)), ..plain(Choice::Random) };
        let mut balancer = balancer(&settings, &[1.0; 3]);
        for _ in 0..2 {
            balancer.note_trouble(Endpoint(0), Trouble::Other, 0);
        }
        assert_eq!(balancer.usable(), expected);
    }
}

#[test]
fn those_on_their_way_out_are_the_last_resort() {
    // KEP-1669: endpoints that terminate and still serve are used while there is no other.
    for policy in POLICIES {
        let settings = scenario::Balancer { fallback_to_terminating: true, ..plain(policy) };
        let mut balancer = balancer(&settings, &[1.0; 4]);
        balancer.unlist(Endpoint(0), true);
        balancer.unlist(Endpoint(1), true);
        balancer.unlist(Endpoint(2), false);
        assert_eq!(picks(&mut balancer, 100, 0).len(), 1);
        balancer.unlist(Endpoint(3), false);
        assert_eq!(balancer.usable(), 0);
        let counts = picks(&mut balancer, 10_000, 0);
        assert_eq!(counts.keys().copied().collect::<Vec<_>>(), [0, 1]);
        assert!((f64::from(counts[&0]) - 5e3).abs() < allowance(10_000, 0.5), "at random: {counts:?}");
        balancer.forget(Endpoint(0));
        assert_eq!(picks(&mut balancer, 10, 0).len(), 1);
        balancer.list(Endpoint(1), 1.0, true, 0);
        balancer.forget(Endpoint(1));
        assert_eq!(picks(&mut balancer, 10, 0).len(), 1, "who is listed is no last resort");
    }
}

#[test]
fn who_was_tried_is_avoided() {
    for policy in POLICIES {
        let with = |redispatch, max_connections| {
            let connect = Connect { redispatch, ..Connect::ONCE };
            balancer(&scenario::Balancer { connect, max_connections, ..plain(policy) }, &[1.0; 2])
        };
        let (one, other) = (Endpoint(0), Endpoint(1));
        let mut untried = with(Redispatch::Untried, Some(times(1)));
        assert_eq!(untried.choose(&ask(1, &[one]), 0), Pick::To(other));
        assert_eq!(untried.choose(&ask(1, &[one, other]), 0), Pick::Nobody);
        untried.opened(other);
        assert_eq!(untried.choose(&ask(1, &[one]), 0), Pick::Full);
        assert_eq!(untried.choose(&ask(1, &[one, other]), 0), Pick::Nobody);
        assert_eq!(untried.choose(&ask(1, &[]), 0), Pick::To(one));
        let mut another = with(Redispatch::Other, Some(times(1)));
        assert_eq!(another.choose(&ask(1, &[other, one]), 0), Pick::To(other));
        another.opened(other);
        assert_eq!(another.choose(&ask(1, &[other, one]), 0), Pick::To(one), "{policy:?} has no other");
        another.opened(one);
        assert_eq!(another.choose(&ask(1, &[other, one]), 0), Pick::Full);
        another.closed(other);
        assert_eq!(another.choose(&ask(1, &[one]), 0), Pick::To(other));
    }
}
