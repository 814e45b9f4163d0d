//! What people look at: tables, files and plots, all drawn from a study's [`Results`](crate::study::Results) and from
//! nothing else.

pub mod files;
pub mod plot;
pub mod table;
