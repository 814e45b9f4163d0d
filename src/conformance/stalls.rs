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
pub const STALLS: &[Stall] = &[];

/// The stall of a case.
pub(super) fn of(set: Set, case: &str) -> Option<&'static Stall> {
    STALLS.iter().find(|stall| stall.set == set && stall.case == case)
}
