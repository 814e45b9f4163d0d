//! Points: what holds, what does not, and what mistakes in them are told as.

use super::desk::{Desk, exits, stderr, stdout};
use std::fs;

/// A queue, a formula, and something that no model understands.
const POINTS: &str = r#"[
 { "id": "queue", "source": "M/M/1", "quantity": "mean response time", "params": { "lambda_": 0.5, "mu": 1 },
   "value": 2.0, "kind": "scenario", "tol_rel": 0.05 },
 { "id": "copies", "source": "independent copies", "quantity": "P(both copies slow)",
   "params": { "p_slow": 0.01, "copies": 2 }, "value": 0.0001, "kind": "formula", "z_only": true }
]
"#;

#[test]
fn points_that_hold_exit_0_and_others_1() {
    let desk = Desk::with("points.json", POINTS);
    let holds = desk.rollsim(&["validate", "--quick", "points.json"]);
    exits(&holds, 0);
    assert!(stdout(&holds).ends_with("\n2 of 2 points hold\n"), "{}", stdout(&holds));
    assert_eq!(stderr(&holds), "");
    let shown = desk.rollsim(&["validate", "--quick", "--verbose", "points.json"]);
    assert!(stdout(&shown).starts_with("queue, seed 1, "), "{}", stdout(&shown));
    let threads = |count| stdout(&desk.rollsim(&["validate", "--quick", "--json", "points.json", "--threads", count]));
    assert_eq!(threads("1"), threads("3"));
    assert!(threads("1").contains("\"verdict\": \"holds\""), "{}", threads("1"));

    let differs = Desk::with("points.json", &POINTS.replace("2.0", "3.0"));
    let differs = differs.rollsim(&["validate", "--quick", "points.json"]);
    exits(&differs, 1);
    assert!(stdout(&differs).ends_with("\n1 of 2 points hold\ndiffers: 1 (queue)\n"), "{}", stdout(&differs));
    let unknown =
        Desk::with("points.json", &POINTS.replace("P(both copies slow)", "P(both)").replace("copies\": 2", "c\": 2"));
    let unknown = unknown.rollsim(&["validate", "--quick", "points.json"]);
    exits(&unknown, 1);
    assert!(stdout(&unknown).ends_with("\nnot understood: 1 (copies)\n"), "{}", stdout(&unknown));
}

#[test]
fn a_point_can_be_had_as_a_scenario_file() {
    let desk = Desk::with("points.json", POINTS);
    let scenario = desk.rollsim(&["validate", "points.json", "--scenario", "queue"]);
    exits(&scenario, 0);
    fs::write(desk.path("queue.toml"), stdout(&scenario)).expect("a file");
    exits(&desk.rollsim(&["run", "queue.toml", "--replications", "2", "--no-plots"]), 0);
    let computed = desk.rollsim(&["validate", "points.json", "--scenario", "copies"]);
    exits(&computed, 2);
    assert_eq!(stderr(&computed), "--scenario: copies is not run as a scenario\n");
    let absent = desk.rollsim(&["validate", "points.json", "--scenario", "absent"]);
    exits(&absent, 2);
    assert_eq!(stderr(&absent), "--scenario: no point is called \"absent\"\n");
}

#[test]
fn mistakes_in_points_exit_2_and_files_that_cannot_be_read_4() {
    let desk = Desk::with("points.json", &POINTS.replace("0.5", "\"half\""));
    let mistake = desk.rollsim(&["validate", "points.json"]);
    exits(&mistake, 2);
    assert_eq!(stderr(&mistake), "points.json:2: queue.params.lambda_: must be a number\n");
    let absent = desk.rollsim(&["validate", "absent.json"]);
    exits(&absent, 4);
    assert!(stderr(&absent).starts_with("absent.json: "), "{}", stderr(&absent));
}
