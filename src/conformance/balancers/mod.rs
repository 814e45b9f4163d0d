//! Recorded rolling restarts behind real load balancers: the balancer's own configuration and the restart script's
//! settings are simulated many times with other luck, and what was recorded must lie within what comes out.

mod config;
mod figures;
mod judge;
mod recording;
mod simulate;

pub use figures::{Figure, Unit};
pub use judge::{Compared, compare};
pub use recording::Recording;
pub use simulate::simulate;

pub(super) use recording::read;

/// How often a recording is simulated.
pub const REPETITIONS: u32 = 500;
