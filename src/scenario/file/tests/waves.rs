//! How a rollout in waves is written, and the mistakes that can be made in it.

use super::{SMALL, fixed, problem, read, seconds};
use crate::distribution::{Delay, Distribution};
use crate::rollout::waves::{Gate, Portion, Settings};
use crate::rollout::{Command, OnFailure, Strategy, Test, What, When};
use std::num::NonZeroU32;
use std::time::Duration;

const WAVES: &str = r#"size = 2
growth = 1.5
in_step = true
by_zone = true
partition = "30%"
take_out = "2s"
put_back = "1s"
gap = "200ms"
soak = "5m"
test = { takes = "10s", finds = "90%" }
gate = { after_wave = 1, answers_after = "10m" }
on_failure = "roll-back"
commands = [{ after = "1h", do = "undo" }]
"#;

/// A small file with a strategy in waves that has these settings.
fn with(settings: &str) -> String {
    let waves = SMALL.replace("kubernetes]\n", &format!("waves]\n{settings}"));
    waves.replace("\"8s\"", "\"8s\"\ngrace = \"9s\"").replace("queue = 0", "queue = 0\nzones = 2")
}

fn settings(written: &str) -> Settings {
    let Strategy::Waves(settings) = read(&with(written)).strategies[0].strategy.clone() else {
        panic!("waves were written")
    };
    settings
}

fn count(count: u32) -> NonZeroU32 {
    NonZeroU32::new(count).expect("not 0")
}

#[test]
fn waves_are_as_written() {
    let expected = Settings {
        size: Portion::Count(2),
        growth: 1.5,
        in_step: true,
        zones: count(2),
        partition: Portion::Percent(30),
        take_out: Some(seconds(2)),
        put_back: seconds(1),
        gap: Duration::from_millis(200),
        test: Some(Test { takes: seconds(10), finds: 0.9 }),
        soak: seconds(300),
        gate: Some(Gate { after_wave: count(1), answers_after: fixed(600) }),
        on_failure: OnFailure::RollBack,
        commands: vec![Command { when: When::After(seconds(3_600)), what: What::Undo }],
    };
    assert_eq!(settings(WAVES), expected);
    let drawn = WAVES.replace("\"10m\"", "{ exponential = { mean = \"10m\" } }").replace("size = 2", "size = \"25%\"");
    let written = settings(&drawn);
    assert_eq!(written.size, Portion::Percent(25));
    let answers_after = Delay::Drawn(Distribution::Exponential { mean: 600.0 });
    assert_eq!(written.gate, Some(Gate { after_wave: count(1), answers_after }));
}

#[test]
fn what_is_left_out_of_waves_has_its_default() {
    let expected = Settings {
        size: Portion::Count(1),
        growth: 1.0,
        in_step: false,
        zones: NonZeroU32::MIN,
        partition: Portion::Count(0),
        take_out: None,
        put_back: Duration::ZERO,
        gap: Duration::ZERO,
        test: None,
        soak: Duration::ZERO,
        gate: None,
        on_failure: OnFailure::Stop,
        commands: Vec::new(),
    };
    assert_eq!(settings(""), expected);
}

/// One edit of the settings is refused with exactly this, at the line of that edit.
#[track_caller]
fn refuses(from: &str, to: &str, then: &str) {
    assert_eq!(WAVES.matches(from).count(), 1, "`{from}` must stand in the settings exactly once");
    let text = with(&WAVES.replace(from, to));
    let key = then.split([':', '.']).next().expect("a key");
    let line = text.lines().position(|line| line.starts_with(key)).expect("the key was written") + 1;
    assert_eq!(problem(&text), format!("fleet.toml:{line}: strategy.default.waves.{then}"));
}

#[test]
fn waves_hold_together() {
    let too_many = "must be at most 100,000, or at most 100%";
    refuses("size = 2", "size = 0", "size: must exceed 0");
    refuses("size = 2", "size = \"0%\"", "size: must exceed 0");
    refuses("size = 2", "size = 100001", &format!("size: {too_many}"));
    refuses("size = 2", "size = \"2.5%\"", "size: must be a count, or a whole percentage such as \"25%\"");
    refuses("growth = 1.5", "growth = 0.9", "growth: must be from 1 to 1,000");
    refuses("growth = 1.5", "growth = 1001", "growth: must be from 1 to 1,000");
    refuses("\"30%\"", "\"101%\"", &format!("partition: {too_many}"));
    refuses("take_out = \"2s\"\n", "", "put_back: must be absent without take_out");
    refuses("finds = \"90%\"", "finds = \"190%\"", "test.finds: must be at most 100%");
    refuses("after_wave = 1", "after_wave = 0", "gate.after_wave: must be from 1 to 100,000");
    refuses("\"roll-back\"", "\"shrug\"", "on_failure: must be one of \"stop\", \"roll-back\", \"continue\"");
    refuses("gap =", "gaps =", "gaps: unknown key, did you mean `gap`?");
    let one_zone = with(WAVES).replace("zones = 2\n", "");
    let line = one_zone.lines().position(|line| line == "by_zone = true").expect("it was written") + 1;
    let problem_told = "by_zone: only a service with several zones has an order of them";
    assert_eq!(problem(&one_zone), format!("fleet.toml:{line}: strategy.default.waves.{problem_told}"));
    let graceless = with(WAVES).replace("grace = \"9s\"\n", "");
    let problem_told = "release.grace: must be given, for Octopus, waves and shift have no default of their own";
    assert_eq!(problem(&graceless), format!("fleet.toml:9: {problem_told}"));
}
