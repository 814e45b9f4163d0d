//! The ends of services by blocks of eight, and which of them are yet to come.

use crate::wide::Compare;

/// Places come in blocks of so many: a cache line, and no loop with a rest.
pub(super) const BLOCK: usize = 8;

/// When the services at eight places end, nanoseconds: one cache line, and never parts of two.
#[derive(Clone, Copy, Debug)]
#[repr(align(64))]
pub(super) struct Block(pub(super) [u64; BLOCK]);

impl Block {
    pub(super) const FREE: Block = Block([0; BLOCK]);
}

/// Later than every lazy service ends; half the range, so that differences have a sign (292 years).
pub(super) const NEVER: u64 = u64::MAX / 2;

/// Services of an instance that go on.
#[derive(Clone, Copy, Debug)]
pub(super) struct Survey {
    /// How many.
    pub(super) open: u32,
    /// Their places, a bit each.
    pub(super) taken: u64,
}

impl Survey {
    pub(super) const NOTHING: Survey = Survey { open: 0, taken: 0 };

    /// Those of a block.
    #[inline(always)]
    pub(super) fn of(block: &Block, now: u64, by: impl Compare) -> Self {
        let (open, taken) = by.above(&block.0, now);
        Survey { open, taken }
    }
}
