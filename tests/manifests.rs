//! Are real orchestrators' files read as they are meant? `tests/manifests/` holds some of them, with their licences, and
//! `expected.json` says of each what it holds: values as they are written, after defaults, and as counts.
//!
//! `ROLLSIM_MANIFESTS` names a folder with further files and an `expected.json` of the same form.

#[path = "manifests/expected.rs"]
mod expected;
#[path = "manifests/exported.rs"]
mod exported;
#[path = "manifests/hostile.rs"]
mod hostile;
#[path = "manifests/imported.rs"]
mod imported;
#[path = "manifests/strategy.rs"]
mod strategy;
