//! What people look at: tables, files and plots, all drawn from a study's [`Results`](crate::study::Results), from
//! [`Judged`](crate::conformance::Judged) recordings or from [`Judged`](crate::validation::Judged) points, and from nothing
//! else.

pub mod files;
pub mod plot;
pub mod points;
pub mod table;
pub mod verdicts;
pub mod why;
