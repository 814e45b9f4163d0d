//! What a file of strategies alone leaves open: a fleet, a release and a window, assumed.

use std::fmt::Write;

/// The tables that a scenario must have, and what is assumed of each where it is missing.
const TABLES: [(&str, &str); 4] = [
    ("service", "instances = 10\nworkers = 4\nqueue = 100"),
    ("traffic", "rate = 1.0\nwork = \"20ms\""),
    ("release", "start = \"10s\"\ngrace = \"30s\""),
    ("study", "window = \"1h\"\nreplications = 20"),
];

/// The text with what is missing added at its end, so that lines stay where they are, and which tables that are.
/// A text that is no TOML, or has no strategies, is left as it is: the scenario's own errors are the better ones.
pub fn completed(text: &str) -> (String, Vec<&'static str>) {
    let Ok(table) = text.parse::<toml::Table>() else { return (text.to_owned(), Vec::new()) };
    let missing = || TABLES.iter().filter(|(name, _)| !table.contains_key(*name));
    // Who describes a fleet or its traffic writes a scenario, and is to be told what of it is missing.
    let is_of_strategies_alone = table.contains_key("strategy") && missing().count() == TABLES.len();
    if !is_of_strategies_alone {
        return (text.to_owned(), Vec::new());
    }
    let mut text = text.to_owned();
    for (name, assumed) in missing() {
        let _ = write!(text, "\n[{name}]\n{assumed}\n");
    }
    (text, missing().map(|(name, _)| *name).collect())
}
