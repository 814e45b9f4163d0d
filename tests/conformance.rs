//! Does the simulator do what real orchestrators and load balancers did? The recordings in `tests/recordings/` are replayed, or
//! simulated with other luck.

use rollsim::conformance::balancers::{self, Figure, compare, simulate};
use rollsim::conformance::{Case, Contents, Difference, Pair, Set, Sides, Verdict, cases, fit, hold, judge, read};
use std::fmt::Write;
use std::path::PathBuf;

/// Fewer than a command has, for time.
const REPETITIONS: u32 = 100;

fn recordings() -> Vec<Case> {
    cases(&[PathBuf::from("tests/recordings")]).expect("the recordings are there")
}

#[test]
fn every_recording_is_reproduced() {
    let cases = recordings();
    assert!(cases.len() >= 18, "{} cases", cases.len());
    let judged = hold(&cases, REPETITIONS).expect("they hold");
    let mut differing = String::new();
    for case in &judged {
        if let Verdict::Differs(differences) = &case.verdict {
            for difference in differences {
                let _ = writeln!(differing, "{}: {difference}", case.name);
            }
        }
    }
    assert!(differing.is_empty(), "{differing}");
    assert!(judged.iter().all(|case| case.verdict == Verdict::Agrees));
    assert!(judged.iter().all(|case| case.sides.repetitions() >= 3), "several repetitions each");
}

/// A judge that finds everything alike would agree, too: against the recording of another rollout nothing may hold.
#[test]
fn a_recording_of_another_rollout_is_not_reproduced() {
    let replayed = |name: &str| {
        let found = cases(&[PathBuf::from("tests/recordings/kubernetes").join(name)]).expect("the recording is there");
        let judged = hold(&found, REPETITIONS).expect("it holds");
        match judged.into_iter().next().expect("one case").sides {
            Sides::Rollout(_, pairs) => pairs,
            Sides::Balancer(_) => panic!("it is a rollout"),
        }
    };
    let (one, other) = (replayed("roll-r10-25p-25p-mr0"), replayed("undo-r10-25p-25p-t1000"));
    let mixed: Vec<_> =
        one.into_iter().zip(other).map(|(one, other)| Pair { simulated: other.simulated, ..one }).collect();
    let differences = judge(&mixed, true);
    let kinds: Vec<&str> = differences.iter().map(Difference::kind).collect();
    for kind in ["plateaus", "duration"] {
        assert!(kinds.contains(&kind), "{kind} is missing in {kinds:?}");
    }
}

#[test]
fn a_search_of_the_constants_makes_nothing_worse() {
    let mut all = Vec::new();
    for case in recordings() {
        if let Contents::Rollout(recording) = read(&case.folder).expect("it holds") {
            all.push(*recording);
        }
    }
    for set in [Set::Kubernetes, Set::Swarmkit, Set::Swarm] {
        let found = fit(set, &all).expect("the set has durations");
        assert!(found.misfit <= found.misfit_before, "{found:?}");
        assert!(found.misfit < 1.0, "what is left is less than what is allowed: {found:?}");
        assert_eq!(fit(set, &[]), None);
    }
}

// --- load balancers
// ------------------------------------------------------------------------------------------------------------

fn balancer(name: &str) -> balancers::Recording {
    let folder = PathBuf::from("tests/recordings/balancers").join(name);
    match read(&folder).expect("it holds") {
        Contents::Balancer(recording) => *recording,
        Contents::Rollout(_) => panic!("it is a load balancer"),
    }
}

/// A figure in each of some simulated repetitions.
fn simulated(name: &str, figure: &str) -> Vec<f64> {
    let of = |figures: &Vec<Figure>| {
        let found = figures.iter().find(|found| found.name == figure);
        found.unwrap_or_else(|| panic!("{figure} is a figure")).value.unwrap_or(0.0)
    };
    simulate(&balancer(name), 20).iter().map(of).collect()
}

#[track_caller]
fn comes_to(name: &str, figure: &str, low: f64, high: f64) {
    let values = simulated(name, figure);
    assert!(values.iter().all(|value| (low..=high).contains(value)), "{name}, {figure}: {values:?}");
}

/// What the mechanisms bring about by themselves, whatever a recording says of it.
#[test]
fn balancers_do_what_they_are_known_for() {
    // Drained restarts lose nothing.
    for drained in ["haproxy-rr-w4-drain-maxconn2", "nginx-lc-w2-drain"] {
        for failure in ["502", "503", "504", "timed out", "failed otherwise"] {
            comes_to(drained, &format!("during: {failure}"), 0.0, 0.0);
        }
    }
    // A dead server is tried again after a second, and after two; nothing is lost by that.
    comes_to("haproxy-rr-w2-term", "during: 503", 0.0, 0.0);
    comes_to("haproxy-rr-w2-term", "during: p95", 1_000.0, 1_200.0);
    comes_to("haproxy-rr-w2-term", "during: p99", 2_000.0, 2_200.0);
    // Another server at once: nobody waits, but of eight servers four are dead, and four tries may meet them. Round robin
    // meets them rarely, fewest connections often, for a dead server looks idle.
    comes_to("haproxy-rr-w4-term-redispatch", "during: p99", 80.0, 300.0);
    comes_to("haproxy-rr-w4-term-redispatch", "during: 503", 15.0, 120.0);
    comes_to("haproxy-lc-w4-term-redispatch", "during: 503", 150.0, 450.0);
    // Ten seconds are longer than a restart takes: in the end everybody is left out.
    comes_to("nginx-rr-w2-term-tail15", "during: 502", 700.0, 1_400.0);
}

/// A judge that finds everything alike would agree, too: with another balancer nothing may hold.
#[test]
fn another_balancer_does_not_do_what_was_recorded() {
    let recorded = balancer("haproxy-rr-w4-term-redispatch");
    for (other, figures) in [
        ("haproxy-rr-w2-term", ["during: p95", "during: 503"]),
        ("haproxy-lc-w4-term-redispatch", ["during: answered", "during: 503"]),
        ("nginx-rr-w2-term-tail15", ["during: 502", "after: answered"]),
    ] {
        let changed = balancers::Recording {
            balancer: balancer(other).balancer,
            product: balancer(other).product,
            ..recorded.clone()
        };
        let compared = compare(&changed, &simulate(&changed, REPETITIONS));
        for figure in figures {
            let figure = compared.iter().find(|compared| compared.name == figure).expect("it is a figure");
            assert_eq!(figure.differences().len(), 3, "{other}: {figure:?}");
        }
    }
}

#[test]
fn simulations_of_a_recording_are_the_same_on_any_number_of_threads() {
    let recorded = balancer("haproxy-rr-w4-term-redispatch");
    let on = |threads| {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().expect("threads");
        pool.install(|| simulate(&recorded, 10))
    };
    assert_eq!(on(1), on(3));
}
