//! Does the simulator say what theory and published measurements say? The points that are built in are run as ordinary
//! scenarios, and so are variations of them whose closed forms were worked out elsewhere.

use rollsim::validation::{
    Effort, Expected, Judged, Kind, Point, Task, Verdict, built_in, parse, read, trials, understand, understand_all,
    validate,
};
use std::fmt::Write;
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};

fn judged(points: &[Point]) -> Vec<Judged> {
    let understood = understand_all(points, Effort::Quick).expect("their parameters hold");
    let (expected, done) = (trials(&understood, Effort::Quick), AtomicUsize::new(0));
    let judged = validate(points, understood, Effort::Quick, &|| {
        done.fetch_add(1, Ordering::Relaxed);
    });
    assert_eq!(done.into_inner(), expected, "every trial is told of");
    judged
}

#[track_caller]
fn all_hold(judged: &[Judged]) {
    let mut others = String::new();
    for one in judged.iter().filter(|one| one.verdict.is_negative()) {
        let _ =
            writeln!(others, "{}: {}, {:?} for {:?}", one.point.id, one.verdict.name(), one.trials, one.point.value);
    }
    assert!(others.is_empty(), "{others}");
}

fn variations() -> Vec<Point> {
    read(Path::new("tests/points/variations.json")).expect("the points hold")
}

#[test]
fn every_built_in_point_holds() {
    let judged = judged(&built_in());
    all_hold(&judged);
    assert_eq!(judged.len(), 125);
    let scenarios = judged.iter().filter(|one| one.point.kind == Kind::Scenario);
    let simulated = scenarios.filter(|one| one.trials.iter().any(|trial| trial.seed.is_some()));
    assert_eq!(simulated.count(), 78, "every scenario is one");
    for one in &judged {
        assert!(one.unread.is_empty(), "{}: {:?} was not looked at", one.point.id, one.unread);
    }
}

#[test]
fn points_with_other_parameters_hold_as_well() {
    all_hold(&judged(&variations()));
}

/// A judge that finds everything right would find this right, too.
#[test]
fn a_point_that_is_wrong_by_a_third_differs() {
    let cheap = |point: &Point| !point.id.starts_with("hc-consec") && !point.id.starts_with("machine-repair");
    let mut points: Vec<Point> = variations().into_iter().filter(cheap).collect();
    for point in &mut points {
        if let Expected::Numbers(numbers) = &mut point.value {
            for number in numbers {
                *number = *number * 4.0 / 3.0 + 0.01;
            }
        }
    }
    let judged = judged(&points);
    let right: Vec<&str> =
        judged.iter().filter(|one| one.verdict != Verdict::Differs).map(|one| one.point.id.as_str()).collect();
    assert!(right.is_empty() && judged.len() > 30, "{right:?}");
}

const POINT: &str = r#"[
 {
  "id": "queue",
  "source": "M/M/1",
  "quantity": "mean response time",
  "params": {
   "lambda_": 0.8,
   "mu": 1
  },
  "value": 5.0,
  "kind": "scenario",
  "tol_rel": 0.02
 }
]"#;

fn edited(from: &str, to: &str) -> String {
    assert_eq!(POINT.matches(from).count(), 1, "`{from}` must stand in the file exactly once");
    POINT.replace(from, to)
}

/// The file with one edit is refused with exactly this message.
#[track_caller]
fn rejects(from: &str, to: &str, then: &str) {
    let problem = parse(&edited(from, to), Path::new("points.json")).map(|_| ()).map_err(|error| error.to_string());
    assert_eq!(problem, Err(format!("points.json:{then}")));
}

#[test]
fn mistakes_in_points_are_told_with_their_line() {
    rejects("\"queue\"", "7", "3: [0].id: must be a string, not integer `7`");
    rejects("  \"source\": \"M/M/1\",\n", "", "12: [0]: `source` must be given");
    rejects(
        "5.0",
        "null",
        "3: queue: must have a value that is a number, 1 to 10 numbers, \"recovers\" or \"stays down\"",
    );
    rejects(
        "5.0",
        "[]",
        "3: queue: must have a value that is a number, 1 to 10 numbers, \"recovers\" or \"stays down\"",
    );
    rejects("5.0", "[\"a\"]", "3: queue: must have a value of numbers");
    rejects("5.0", "\"recovers\"", "3: queue: must be ordinal if, and only if, its value is a word");
    rejects("\"tol_rel\": 0.02", "\"ordinal\": true", "3: queue: must be ordinal if, and only if, its value is a word");
    rejects("0.02", "-1", "3: queue: must have tolerances of 0 or more");
    let one_of = "3: queue: must have exactly one of tol_rel or tol_abs, z_only, ordinal";
    rejects(",\n  \"tol_rel\": 0.02", "", one_of);
    rejects("0.02", "0.02, \"z_only\": true", one_of);
    rejects(
        "\"kind\": \"scenario\"",
        "\"kind\": \"guess\"",
        "11: [0].kind: unknown variant `guess`, expected one of `scenario`, `rule`, `formula`",
    );
    rejects("\n]", "]]", "13: must hold one value and nothing after it");
    let twice = POINT.trim_start_matches('[').trim_end_matches(']');
    let problem = parse(&format!("[{twice},{twice}]"), Path::new("points.json")).map(|_| ());
    let problem = problem.map_err(|error| error.to_string());
    assert_eq!(problem, Err("points.json:3: queue: must be the only point of that id".to_owned()));
    let problem = parse("[]", Path::new("points.json")).map(|_| ()).map_err(|error| error.to_string());
    assert_eq!(problem, Err("points.json:1: must hold 1 to 10,000 points".to_owned()));
}

/// What a model makes of the file with one edit: the message, or whether it understands the point.
fn understood(from: &str, to: &str) -> Result<bool, String> {
    let points = parse(&edited(from, to), Path::new("points.json")).map_err(|error| error.to_string())?;
    let understanding = understand(&points[0], Effort::Quick).map_err(|error| error.to_string())?;
    Ok(understanding.is_some())
}

#[test]
fn mistakes_in_parameters_are_told_and_what_is_unknown_is_not_guessed_at() {
    assert_eq!(understood("0.8", "0.7"), Ok(true));
    assert_eq!(understood("mean response time", "colour of the queue"), Ok(false));
    assert_eq!(understood("\"lambda_\": 0.8,\n", ""), Ok(false));
    assert_eq!(understood("\"mu\": 1", "\"mu\": 1, \"policy\": \"lottery\""), Ok(false));
    let told = |problem: &str| Err(format!("points.json:3: queue.params{problem}"));
    assert_eq!(understood("0.8", "\"fast\""), told(".lambda_: must be a number"));
    assert_eq!(understood("0.8", "0"), told(".lambda_: must exceed 0"));
    assert_eq!(
        understood("\"mu\": 1", "\"mu\": 1, \"servers\": 1.5"),
        told(".servers: must be a whole number from 0 to 1,000,000")
    );
    assert_eq!(
        understood("\"mu\": 1", "\"mu\": 1, \"servers\": 200000"),
        told(": must come to a scenario that holds: service.workers must be from 1 to 100,000")
    );
}

/// What is validated is the path that users take.
#[test]
fn a_point_is_an_ordinary_scenario_file() {
    let points = built_in();
    let mut read = 0;
    for point in &points {
        let understanding = understand(point, Effort::Full).expect("its parameters hold").expect("it is understood");
        if let Task::Simulate(experiment) = understanding.task {
            let scenario = rollsim::scenario::parse(&experiment.text, Path::new("point.toml")).expect("it holds");
            assert_eq!(scenario.strategies.len(), 1, "{}", point.id);
            read += 1;
        }
    }
    assert!(read > 80, "{read} points are run");
}
