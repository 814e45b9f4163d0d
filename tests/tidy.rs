//! Does the house keep its shape? A module uses only what stands above it in `lib.rs`, and the model keeps off
//! clocks.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

fn sources(folder: &Path) -> Vec<PathBuf> {
    let mut files = Vec::new();
    for entry in fs::read_dir(folder).expect("the folder of sources") {
        let path = entry.expect("an entry").path();
        if path.is_dir() {
            files.extend(sources(&path));
        } else if path.extension().is_some_and(|ending| ending == "rs") {
            files.push(path);
        }
    }
    files.sort();
    files
}

fn reading_order() -> Vec<String> {
    let lib = fs::read_to_string("src/lib.rs").expect("lib.rs");
    let name = |line: &str| Some(line.strip_prefix("pub mod ")?.strip_suffix(';')?.to_owned());
    lib.lines().filter_map(name).collect()
}

/// The module of the library that a source file belongs to.
fn module_of(path: &Path) -> String {
    let inside = path.strip_prefix("src").expect("below src");
    let first = inside.components().next().expect("a name").as_os_str().to_string_lossy().into_owned();
    first.trim_end_matches(".rs").to_owned()
}

/// The modules that a source file names after `crate::`.
fn used_modules(text: &str) -> Vec<String> {
    let code = text.lines().filter(|line| !line.trim_start().starts_with("//")).collect::<Vec<_>>().join("\n");
    let name = |rest: &str| rest.chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect::<String>();
    code.split("crate::").skip(1).map(name).filter(|name| !name.is_empty()).collect()
}

#[test]
fn a_module_uses_only_what_stands_above_it() {
    let order = reading_order();
    assert!(order.len() > 10, "lib.rs lists the modules: {order:?}");
    let place = |module: &str| order.iter().position(|name| name == module);
    let mut uses = 0;
    for path in sources(Path::new("src")) {
        let module = module_of(&path);
        let Some(here) = place(&module) else { continue }; // main, cli and lib itself use everything.
        for used in used_modules(&fs::read_to_string(&path).expect("a source file")) {
            let there = place(&used).unwrap_or_else(|| panic!("{}: crate::{used} is no module", path.display()));
            assert!(there <= here, "{}: `{module}` stands above `{used}` and must not use it", path.display());
            uses += 1;
        }
    }
    assert!(uses > 50, "the sources were read: {uses} uses");
}

#[test]
fn an_orchestrator_knows_no_other_orchestrator() {
    // An orchestrator is a file, or a folder of files.
    let folder = Path::new("src/rollout");
    let orchestrator_of = |path: &Path| {
        let inside = path.strip_prefix(folder).expect("below the folder");
        let first = inside.components().next().expect("a name").as_os_str().to_string_lossy().into_owned();
        first.trim_end_matches(".rs").to_owned()
    };
    let files = sources(folder);
    let is_shared = |name: &String| ["mod", "command", "agenda"].contains(&name.as_str());
    let orchestrators: BTreeSet<String> =
        files.iter().map(|path| orchestrator_of(path)).filter(|name| !is_shared(name)).collect();
    for path in files.iter().filter(|path| orchestrators.contains(&orchestrator_of(path))) {
        let text = fs::read_to_string(path).expect("a source file");
        // A Rollout is made of Kubernetes' ReplicaSets and pods, and changes neither.
        let stands_on = |other: &str| orchestrator_of(path) == "argo" && other == "kubernetes";
        let others = orchestrators.iter().filter(|other| **other != orchestrator_of(path));
        for other in others.filter(|other| !stands_on(other)) {
            assert!(!text.contains(&format!("{other}::")), "{} uses {other}", path.display());
        }
    }
    assert!(orchestrators.len() > 2, "the sources were read: {orchestrators:?}");
}
