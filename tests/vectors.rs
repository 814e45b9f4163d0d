//! Do orchestrators decide as their own unit tests say? A vector is an input and an outcome that such a test asserts,
//! in our words; the project's own copies are in `tests/vectors/`.
//!
//! A vector is answered by an adapter to the function that the simulation uses, or played on a small fleet where its
//! input is prose, or belongs to a function that the simulation has no use for. `ROLLSIM_VECTORS` names a folder with
//! further files: of those, what an adapter answers must come out as it says.

#[path = "vectors/argo.rs"]
mod argo;
#[path = "vectors/kubernetes.rs"]
mod kubernetes;
#[path = "vectors/nomad.rs"]
mod nomad;
#[path = "vectors/swarm.rs"]
mod swarm;

use serde_json::Value;
use std::path::PathBuf;

/// A vector that is played, by id, and what it comes to.
type Played = (&'static str, fn() -> Value);

/// The vectors of one orchestrator and what answers them.
struct Orchestrator {
    file: &'static str,
    /// What the ids of its vectors begin with.
    prefix: &'static str,
    vectors: &'static str,
    /// What a function comes to; `None` where this one is not known, or not for these inputs.
    answer: fn(&str, &Value) -> Option<Value>,
    /// Vectors in prose.
    played: &'static [Played],
    /// Functions without a counterpart, and why.
    not_kept: &'static [(&'static str, &'static str)],
}

const ORCHESTRATORS: &[Orchestrator] = &[
    Orchestrator {
        file: "kubernetes.json",
        prefix: "k8s-",
        vectors: include_str!("vectors/kubernetes.json"),
        answer: kubernetes::answer,
        played: &[],
        not_kept: kubernetes::NOT_KEPT,
    },
    Orchestrator {
        file: "swarm.json",
        prefix: "swarm-",
        vectors: include_str!("vectors/swarm.json"),
        answer: swarm::answer,
        played: swarm::PLAYED,
        not_kept: swarm::NOT_KEPT,
    },
    Orchestrator {
        file: "nomad.json",
        prefix: "nomad-",
        vectors: include_str!("vectors/nomad.json"),
        answer: nomad::answer,
        played: &[],
        not_kept: nomad::NOT_KEPT,
    },
    Orchestrator {
        file: "argo.json",
        prefix: "argo-",
        vectors: include_str!("vectors/argo.json"),
        answer: argo::answer,
        played: &[],
        not_kept: argo::NOT_KEPT,
    },
];

/// What became of a vector.
#[derive(Debug, PartialEq)]
enum Verdict {
    Answered,
    Played,
    NotKept,
    /// Nobody answers it.
    Open,
    /// It came out otherwise.
    Differs(String),
}

fn judge(orchestrator: &Orchestrator, vector: &Value) -> Verdict {
    let text = |key: &str| vector[key].as_str().unwrap_or_else(|| panic!("a vector has a {key}: {vector}"));
    let (id, function) = (text("id"), text("function"));
    let (got, verdict) = if let Some((_, play)) = orchestrator.played.iter().find(|(played, _)| *played == id) {
        (play(), Verdict::Played)
    } else if let Some(got) = (orchestrator.answer)(function, &vector["inputs"]) {
        (got, Verdict::Answered)
    } else if orchestrator.not_kept.iter().any(|(other, _)| *other == function) {
        return Verdict::NotKept;
    } else {
        return Verdict::Open;
    };
    let expected = vector["expected"].as_object().expect("an outcome is a table");
    let is_met = expected.iter().all(|(key, value)| {
        if key.ends_with("_indexes") {
            is_same(&in_order(value), &in_order(&got[key]))
        } else {
            is_same(value, &got[key])
        }
    });
    let expected = &vector["expected"];
    if is_met { verdict } else { Verdict::Differs(format!("{id}: expected {expected}, got {got}")) }
}

/// Whole numbers whose order does not matter.
fn in_order(numbers: &Value) -> Value {
    let mut numbers: Vec<Value> = numbers.as_array().cloned().unwrap_or_else(|| vec![numbers.clone()]);
    numbers.sort_by_key(Value::as_u64);
    numbers.into()
}

/// Numbers are equal by value, however they are written.
fn is_same(a: &Value, b: &Value) -> bool {
    match (a, b) {
        (Value::Number(a), Value::Number(b)) => a.as_f64() == b.as_f64(),
        (Value::Array(a), Value::Array(b)) => a.len() == b.len() && a.iter().zip(b).all(|(a, b)| is_same(a, b)),
        (a, b) => a == b,
    }
}

fn vectors(text: &str) -> Vec<Value> {
    serde_json::from_str(text).expect("a file of vectors is a JSON array")
}

#[test]
fn every_vector_that_is_kept_comes_out_as_it_says() {
    for orchestrator in ORCHESTRATORS {
        let vectors = vectors(orchestrator.vectors);
        let judged: Vec<Verdict> = vectors.iter().map(|vector| judge(orchestrator, vector)).collect();
        let differing: Vec<&String> =
            judged.iter().filter_map(|v| if let Verdict::Differs(how) = v { Some(how) } else { None }).collect();
        assert!(differing.is_empty(), "{}: {differing:#?}", orchestrator.file);
        let open: Vec<&Value> = vectors
            .iter()
            .zip(&judged)
            .filter(|(_, v)| **v == Verdict::Open)
            .map(|(vector, _)| &vector["id"])
            .collect();
        assert!(open.is_empty(), "{}: nobody answers {open:?}", orchestrator.file);
        let count = |verdict| judged.iter().filter(|judged| **judged == verdict).count();
        let (answered, played, not_kept) = (count(Verdict::Answered), count(Verdict::Played), count(Verdict::NotKept));
        assert_eq!(played, orchestrator.played.len(), "{}: what is played is in the file", orchestrator.file);
        println!("{}: {answered} answered, {played} played, {not_kept} not kept", orchestrator.file);
    }
}

#[test]
fn further_vectors_come_out_as_they_say() {
    let Some(folder) = std::env::var_os("ROLLSIM_VECTORS").map(PathBuf::from) else { return };
    let mut differing = Vec::new();
    let entries = std::fs::read_dir(&folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display()));
    let mut files: Vec<PathBuf> = entries.map(|entry| entry.expect("an entry").path()).collect();
    files.sort();
    for file in files.iter().filter(|file| file.extension().is_some_and(|ending| ending == "json")) {
        let text = std::fs::read_to_string(file).unwrap_or_else(|error| panic!("{}: {error}", file.display()));
        let mut answered = 0;
        for vector in vectors(&text) {
            let is_its = |orchestrator: &&Orchestrator| {
                vector["id"].as_str().is_some_and(|id| id.starts_with(orchestrator.prefix))
            };
            let Some(orchestrator) = ORCHESTRATORS.iter().find(is_its) else { continue };
            match judge(orchestrator, &vector) {
                Verdict::Answered | Verdict::Played => answered += 1,
                Verdict::Differs(how) => differing.push(how),
                Verdict::NotKept | Verdict::Open => {}
            }
        }
        println!("{}: {answered} come out as they say", file.display());
    }
    assert!(differing.is_empty(), "{differing:#?}");
}

/// A wrong expectation must not pass, or nothing here says anything.
#[test]
fn a_wrong_expectation_is_noticed() {
    for orchestrator in ORCHESTRATORS {
        let mut wrong = 0;
        for mut vector in vectors(orchestrator.vectors) {
            let judged = judge(orchestrator, &vector);
            for (_, value) in vector["expected"].as_object_mut().expect("an outcome is a table").iter_mut() {
                *value = Value::String("something else".to_owned());
            }
            if matches!(judged, Verdict::Answered | Verdict::Played) {
                let Verdict::Differs(how) = judge(orchestrator, &vector) else { panic!("{vector} passes") };
                assert!(how.contains(vector["id"].as_str().expect("an id")) && how.contains("something else"), "{how}");
                wrong += 1;
            }
        }
        assert!(wrong > 0, "{}: nothing was judged", orchestrator.file);
    }
}
