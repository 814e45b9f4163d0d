//! rollsim predicts what a rollout does to users before it happens.
//!
//! One idea carries the program: **a run is a pure function of (scenario, strategy, seed, replication) and returns a
//! history.** Reading files comes before it, measuring and drawing come after it, and nothing else touches it. Four
//! stages, four vocabularies: *file → scenario → history → report*. The modules in reading order, each using only
//! those above it:
//!
//! | module | answers |
//! |---|---|
//! | [`time`], [`random`], [`wheel`], [`queue`] | when, by what luck, what next |
//! | [`elementary`], [`distribution`] | how long things take |
//! | [`probe`] | what probes in a row come to |
//! | [`fleet`] | instances, versions, zones, phases, and which phase may follow which |
//! | [`rollout`] | what an orchestrator decides: one file an orchestrator, functions of a view |
//! | [`rollback`] | who judges the new version, on what evidence, and what happens then |
//! | [`scenario`] | what the user wrote, checked |
//! | [`traffic`], [`client`], [`balancer`], [`server`] | arrivals; time-outs and retries; choice; the queue inside one instance |
//! | [`fault`] | what breaks, and whom it hits |
//! | [`tally`], [`history`] | the facts of one run |
//! | [`engine`] | the loop |
//! | [`metrics`], [`stats`] | history → numbers; numbers → estimates with intervals |
//! | [`conformance`] | whether real orchestrators did the same: recordings, replayed and judged |
//! | [`study`] | many runs, and what can be said of them together |
//! | [`validation`] | whether theory and published measurements are met: points, run as scenarios and judged |
//! | [`report`] | what people look at: tables, files, plots |
//! | [`explain`] | what a rollout will do, before any traffic |
//!
//! ```
//! use rollsim::{scenario, study};
//!
//! let text = r#"
//!     [service]
//!     instances = 4
//!     workers = 2
//!     queue = 16
//!     [traffic]
//!     rate = 50.0
//!     work = "20ms"
//!     [release]
//!     start = "5s"
//!     [strategy.one-by-one.kubernetes]
//!     max_surge = 1
//!     max_unavailable = 0
//!     [study]
//!     replications = 2
//!     window = "1m"
//! "#;
//! let scenario = scenario::parse(text, "fleet.toml".as_ref())?;
//! let results = study::replicate(&scenario, &|| {});
//! let rollout = &results.strategies[0].summary;
//! // Four starts of 5 s, and a few milliseconds of the controllers for each.
//! assert!(rollout.duration_s.is_some_and(|duration| (20.0..20.5).contains(&duration.mean)));
//! assert_eq!(rollout.least_ready, 4);
//! # Ok::<(), scenario::LoadError>(())
//! ```
//!
//! What always holds: time never goes back; the engine never reads a clock or a file; orchestrators never draw; every
//! request has one fate and the ledger balances; the report never simulates; the same scenario, strategy, seed and
//! version give the same bytes on any number of threads.

pub mod time;

pub mod random;

pub mod bits;

pub mod by_number;

pub mod wheel;

pub mod queue;

pub mod wide;

pub mod elementary;

pub mod distribution;

pub mod probe;

pub mod fleet;

pub mod rollout;

pub mod rollback;

pub mod scenario;

pub mod traffic;

pub mod client;

pub mod balancer;

pub mod server;

pub mod fault;

pub mod tally;

pub mod history;

pub mod engine;

pub mod stats;

pub mod metrics;

pub mod conformance;

pub mod study;

pub mod validation;

pub mod report;

pub mod explain;
