//! How many numbers of 64 bits this processor computes at once.

/// What is compiled more than once, for it comes to the same bits: draws ([`super::ahead`]) and rows ([`super::plain`]).
///
/// Each use asks for `unsafe`, for a processor must have what a function is compiled for. By `cargo bench --bench ratios -- floor`,
/// draws of four bought 18 % over plain ones. With draws and looks of eight a request costs 2.80 where it costs 3.59 with draws of
/// four: 22 % less (medians of three interleaved runs).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Width {
    /// One or two, as any processor of its kind.
    Plain,
    /// AVX2.
    Four,
    /// AVX-512, with the instructions for single bits that each such processor has.
    Eight,
}

impl Width {
    /// What may be used here.
    #[inline]
    pub(super) fn of_this_processor() -> Self {
        #[cfg(target_arch = "x86_64")]
        {
            use std::arch::is_x86_feature_detected as has;
            let has_eight = has!("avx512f") && has!("avx512vl") && has!("avx512dq") && has!("avx512bw");
            if has_eight && has!("bmi1") && has!("lzcnt") && has!("popcnt") {
                return Width::Eight;
            }
            if has!("avx2") {
                return Width::Four;
            }
        }
        Width::Plain
    }

    /// All that may be used here.
    #[cfg(test)]
    pub(super) fn all_of_this_processor() -> impl Iterator<Item = Width> {
        [Width::Plain, Width::Four, Width::Eight].into_iter().filter(|width| *width <= Width::of_this_processor())
    }
}
