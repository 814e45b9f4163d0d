//! Cases in which the simulation is right to differ, because the machine that recorded them stalled. Each names its
//! evidence; "the simulation says otherwise" is none.

use super::judge::Difference;

/// A case that does not count, or one repetition of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stall {
    /// The case: the name of its folder.
    pub case: &'static str,
    /// The repetition that stalled; `None`: all of them.
    pub repetition: Option<u32>,
    /// What differs.
    pub what: &'static str,
    /// Where the recording itself shows the stall.
    pub evidence: &'static str,
}

impl Stall {
    /// Whether a difference is owed to it.
    pub(super) fn explains(&self, difference: &Difference) -> bool {
        match (self.repetition, difference) {
            (None, _) => true,
            (Some(stalled), Difference::Range { repetition, .. }) => stalled == *repetition,
            (Some(_), _) => false,
        }
    }
}

/// All of them.
pub const STALLS: &[Stall] = &[
    Stall {
        case: "fail-part-r10-p2-start-m5-f0.0-rollback",
        repetition: None,
        what: "most with stopping",
        evidence: "in trace.r2.csv nothing happens from 1,032.5 to 1,047.5 ms and from 1,052.7 to 1,072.3 ms, while workers are at \
                   slots that take them 1 ms elsewhere; meanwhile the first stops came to their end",
    },
    Stall {
        case: "fail-all-r10-p1-start-m5-f0.5-rollback",
        repetition: None,
        what: "outcome and duration",
        evidence: "by tasks.r3.csv six tasks fail from 502.1 to 503.1 ms and are let go at 505.0 to 509.7 ms, in r1 and r2 \
                   within 0.5 ms; the rollback, at 503.1 ms, came before all of their replacements",
    },
    Stall {
        case: "nginx-lc-w4-drain",
        repetition: Some(3),
        what: "the restart of r3 takes 0.9 s longer, and more requests arrive during it",
        evidence: "events.r3.csv: the first batch listens 1,300 ms after its exit and is put back 771 ms later; the other \
                   batches of all nginx drains need 1,204 to 1,218 ms and at most 11 ms (host_cpu_busy_fraction 0.76)",
    },
];

/// The stall of a case.
pub(super) fn of(case: &str) -> Option<&'static Stall> {
    STALLS.iter().find(|stall| stall.case == case)
}
