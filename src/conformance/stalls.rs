//! Cases in which the simulation is right to differ, because the machine that recorded them stalled. Each names its
//! evidence; "the simulation says otherwise" is none.

use super::recording::Set;

/// A case that does not count.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stall {
    /// The set that it belongs to.
    pub set: Set,
    /// The case: the name of its folder.
    pub case: &'static str,
    /// What differs.
    pub what: &'static str,
    /// Where the recording itself shows the stall.
    pub evidence: &'static str,
}

/// All of them.
pub const STALLS: &[Stall] = &[
    Stall {
        set: Set::Swarmkit,
        case: "fail-part-r10-p2-start-m5-f0.0-rollback",
        what: "most with stopping",
        evidence: "in trace.r2.csv nothing happens from 1,032.5 to 1,047.5 ms and from 1,052.7 to 1,072.3 ms, while workers are at \
                   slots that take them 1 ms elsewhere; meanwhile the first stops came to their end",
    },
    Stall {
        set: Set::Swarmkit,
        case: "fail-all-r10-p1-start-m5-f0.5-rollback",
        what: "outcome and duration",
        evidence: "by tasks.r3.csv six tasks fail from 502.1 to 503.1 ms and are let go at 505.0 to 509.7 ms, in r1 and r2 \
                   within 0.5 ms; the rollback, at 503.1 ms, came before all of their replacements",
    },
];

/// The stall of a case.
pub(super) fn of(set: Set, case: &str) -> Option<&'static Stall> {
    STALLS.iter().find(|stall| stall.set == set && stall.case == case)
}
