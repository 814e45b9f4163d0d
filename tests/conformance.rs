//! Does the simulator do what real orchestrators did? The recordings in `tests/recordings/` are replayed.

use rollsim::conformance::{Case, Contents, Difference, Pair, Set, Verdict, cases, fit, hold, judge, read};
use std::fmt::Write;
use std::path::PathBuf;

fn recordings() -> Vec<Case> {
    cases(&[PathBuf::from("tests/recordings")]).expect("the recordings are there")
}

#[test]
fn every_recording_is_reproduced() {
    let cases = recordings();
    assert!(cases.len() >= 12, "{} cases", cases.len());
    let judged = hold(&cases).expect("they hold");
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
    assert!(judged.iter().all(|case| case.pairs.len() >= 3), "several repetitions each");
}

/// A judge that finds everything alike would agree, too: against the recording of another rollout nothing may hold.
#[test]
fn a_recording_of_another_rollout_is_not_reproduced() {
    let replayed = |name: &str| {
        let found = cases(&[PathBuf::from("tests/recordings/kubernetes").join(name)]).expect("the recording is there");
        let judged = hold(&found).expect("it holds");
        judged.into_iter().next().expect("one case").pairs
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
