//! What people look at: tables, files and plots, all drawn from a study's [`Results`](crate::study::Results) or from
//! [`Judged`](crate::conformance::Judged) recordings, and from nothing else.

pub mod files;
pub mod plot;
pub mod table;
pub mod verdicts;
pub mod why;
