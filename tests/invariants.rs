//! What holds whatever is asked for? Ten thousand random small scenarios are judged from their histories by a checker
//! that shares no rule with the engine: the books balance, lives are legal, promises are kept, and sound rollouts
//! come to their end.
//!
//! `ROLLSIM_CASES` says how many scenarios, `ROLLSIM_FIRST_CASE` which is the first; a case depends on its number
//! alone.

#[path = "invariants/check.rs"]
mod check;
#[path = "invariants/generate.rs"]
mod generate;

use check::{Checker, Seen};
use generate::Case;
use rayon::prelude::*;
use rollsim::engine;
use rollsim::history::{Cause, Outcome};
use rollsim::scenario::parse;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;

const CASES: u64 = 10_000;

#[test]
fn thousands_of_rollouts_keep_the_rules() {
    let (first, cases) = (number("ROLLSIM_FIRST_CASE").unwrap_or(0), number("ROLLSIM_CASES").unwrap_or(CASES));
    let judged: Vec<Result<Seen, String>> = (first..first + cases).into_par_iter().map(judge).collect();
    let failures: Vec<&String> = judged.iter().filter_map(|judged| judged.as_ref().err()).collect();
    if let Some(first) = failures.first() {
        for failure in &failures {
            println!("{}", failure.lines().next().unwrap_or_default());
        }
        panic!("{} of {cases} cases fail; the first one is {first}", failures.len());
    }
    if cases >= CASES {
        let seen: Vec<Seen> = judged.into_iter().flatten().collect();
        let share = |is: fn(&Seen) -> bool| seen.iter().filter(|seen| is(seen)).count() as f64 / seen.len() as f64;
        let lively = share(|seen| seen.live);
        assert!(lively > 0.2, "too few cases had to end well: {lively}");
        for outcome in Outcome::ALL.into_iter().filter(|outcome| *outcome != Outcome::CutShort) {
            assert!(seen.iter().any(|seen| seen.outcome == outcome), "no case ended {}", outcome.name());
        }
        for cause in Cause::ALL {
            let lost = seen.iter().filter(|seen| seen.lost[cause.index()] > 0).count();
            assert!(lost >= 100, "only {lost} cases lost requests by {}", cause.name());
        }
        let requests = seen.iter().map(|seen| seen.requests).sum::<u64>() / cases;
        println!("{requests} requests a case, {lively:.2} had to end well");
    }
}

fn number(variable: &str) -> Option<u64> {
    let text = std::env::var(variable).ok()?;
    Some(text.parse().unwrap_or_else(|_| panic!("{variable} must be a number, not `{text}`")))
}

fn judge(number: u64) -> Result<Seen, String> {
    let case = Case::draw(number);
    let judged = catch_unwind(AssertUnwindSafe(|| {
        let scenario = parse(&case.text, Path::new("case.toml")).map_err(|error| error.to_string())?;
        let history = engine::run(&scenario, &scenario.strategies[0].strategy, 0);
        Checker { case: &case, scenario: &scenario, history: &history }.check()
    }));
    let judged = judged.unwrap_or_else(|_| Err("a panic, see above".to_owned()));
    judged.map_err(|problem| format!("ROLLSIM_FIRST_CASE={number}: {problem}\n{}", case.text))
}
