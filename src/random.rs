//! By what luck: one random stream per (seed, replication, purpose, subject). The strategy is never in the key, so
//! every strategy meets the same traffic and the same luck (common random numbers).

use rand::rngs::Xoshiro256PlusPlus;
use rand::{Rng, SeedableRng};

/// What a stream is drawn for. The numbers are part of published results: never renumber, only add.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u64)]
pub enum Purpose {
    /// Gaps between requests.
    Arrivals = 1,
    /// Work of each request.
    Work = 2,
    /// The luck of each request on its way: balancer choices, errors, jitter.
    Luck = 3,
    /// Image pull of one launch.
    Pull = 4,
    /// Start of one launch's process, and of its restarts.
    Start = 5,
    /// Whether and how one launch carries the release's defect.
    Defect = 6,
    /// News of one launch's endpoint on their way to the balancers.
    Propagation = 7,
    /// Crashes of one launch.
    Crash = 8,
    /// Crashes that hit a share of the fleet at once: when, and whom.
    SharedCrash = 9,
    /// The order in which an orchestrator takes slots where the original's order is random.
    SlotOrder = 10,
    /// A launch's place among equals where the original breaks ties at random.
    Rank = 11,
    /// Time that one launch's process needs to exit.
    Stop = 12,
    /// Human delays: when the operator notices.
    Operator = 13,
    /// Whom an outage at a given moment hits.
    Outage = 14,
    /// The requests of one user, and the pauses between them.
    User = 15,
    /// When bursts begin and end.
    Bursts = 16,
    /// When one balancer checks one endpoint, and which checks fail for reasons of their own.
    HealthCheck = 17,
    /// How long ejections of one balancer last.
    Ejection = 18,
    /// Whom a slowness hits.
    Slow = 19,
    /// News of how requests are split, on their way to the balancers.
    Split = 20,
    /// How long a step of the database takes.
    Database = 21,
}

/// All streams of one replication.
#[derive(Clone, Copy, Debug)]
pub struct Streams {
    seed: u64,
    replication: u64,
}

impl Streams {
    /// The streams of this seed and replication.
    pub const fn new(seed: u64, replication: u32) -> Self {
        Streams { seed, replication: replication as u64 }
    }

    /// The stream of one subject, the same whichever strategy is on trial.
    ///
    /// Every step of the mix is a bijection of the four words, so two keys never share a state; two rounds spread
    /// each key bit over all of it.
    pub fn of(&self, purpose: Purpose, subject: u64) -> Stream {
        let mut words = [self.seed, self.replication, purpose as u64, subject];
        for round in 0..2u64 {
            for here in 0..4 {
                let before = words[(here + 3) % 4];
                let constant = GOLDEN.wrapping_mul(round * 4 + here as u64 + 1);
                words[here] = mix(words[here] ^ mix(before.wrapping_add(constant)));
            }
        }
        let mut state = [0u8; 32];
        for (bytes, word) in state.chunks_exact_mut(8).zip(words) {
            bytes.copy_from_slice(&word.to_le_bytes());
        }
        Stream(Xoshiro256PlusPlus::from_seed(state))
    }
}

/// The fractional part of the golden ratio in 64 bits: the increment of SplitMix64.
pub const GOLDEN: u64 = 0x9e37_79b9_7f4a_7c15;

/// The finaliser of SplitMix64 (Steele, Lea, Flood: Fast Splittable Pseudorandom Number Generators, OOPSLA 2014): a
/// bijection in which every input bit moves about half of the output bits.
#[inline]
pub const fn mix(word: u64) -> u64 {
    let word = (word ^ (word >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let word = (word ^ (word >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    word ^ (word >> 31)
}

/// A uniform number in the open interval (0, 1) from 52 of the bits: never 0 and never 1, so its logarithm and its
/// normal quantile are finite.
#[inline]
pub fn unit(bits: u64) -> f64 {
    // 52 bits fit either way; the signed conversion is the one that processors have.
    ((bits >> 12).cast_signed() as f64 + 0.5) * (1.0 / (1u64 << 52) as f64)
}

/// A number below `bound` from 32 bits, by multiplication (Lemire 2019, without the rejection step: with bounds below
/// 2^20 the bias stays below 2^-12 of one choice's share).
#[inline]
pub fn below(bits: u32, bound: u32) -> u32 {
    ((u64::from(bits) * u64::from(bound)) >> 32) as u32
}

/// One stream of random numbers.
#[derive(Clone, Debug)]
pub struct Stream(Xoshiro256PlusPlus);

impl Stream {
    /// The stream that a number drawn elsewhere stands for.
    pub fn from_luck(luck: u64) -> Self {
        Stream(Xoshiro256PlusPlus::seed_from_u64(luck))
    }

    /// 64 random bits.
    #[inline]
    pub fn bits(&mut self) -> u64 {
        self.0.next_u64()
    }

    /// A uniform number in the open interval (0, 1).
    #[inline]
    pub fn unit(&mut self) -> f64 {
        unit(self.bits())
    }

    /// The numbers from 0 to `count` − 1 in random order (Fisher–Yates).
    pub fn order(&mut self, count: u32) -> Vec<u32> {
        let mut order: Vec<u32> = (0..count).collect();
        for last in (1..order.len()).rev() {
            let pick = below((self.bits() >> 32) as u32, last as u32 + 1) as usize;
            order.swap(last, pick);
        }
        order
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn the_first_draws_of_a_stream_are_golden() {
        let mut stream = Streams::new(1, 0).of(Purpose::Arrivals, 0);
        let drawn: Vec<u64> = (0..3).map(|_| stream.bits()).collect();
        assert_eq!(drawn, GOLDEN_DRAWS, "{drawn:#x?}");
    }

    const GOLDEN_DRAWS: [u64; 3] = [0x21c2_13ec_d9a2_0a54, 0x177f_3780_47fd_a754, 0x090a_24a6_e423_c120];

    #[test]
    fn neighbouring_keys_have_unlike_streams() {
        let mut first = BTreeSet::new();
        let mut bits_moved = 0;
        let mut pairs = 0;
        for seed in 0..10 {
            for replication in 0..10 {
                for purpose in [Purpose::Arrivals, Purpose::Work, Purpose::Pull] {
                    let mut last = None;
                    for subject in 0..100 {
                        let draw = Streams::new(seed, replication).of(purpose, subject).bits();
                        assert!(first.insert(draw), "two streams begin alike");
                        if let Some(before) = last.replace(draw) {
                            bits_moved += u64::from((draw ^ before).count_ones());
                            pairs += 1;
                        }
                    }
                }
            }
        }
        // Binomial(64, 1/2) per pair: mean 32, standard deviation 4.
        let mean = bits_moved as f64 / f64::from(pairs);
        assert!((mean - 32.0).abs() < 4.0 * 4.0 / f64::from(pairs).sqrt(), "{mean} bits of 64 move");
    }

    #[test]
    fn neighbouring_streams_are_not_correlated() {
        let count = 100_000;
        let draw = |subject| Streams::new(7, 3).of(Purpose::Start, subject).unit() - 0.5;
        let product: f64 = (0..count).map(|subject| draw(subject) * draw(subject + 1)).sum();
        // The product of two independent centred uniforms has standard deviation 1/12.
        let z = product / (count as f64).sqrt() * 12.0;
        assert!(z.abs() < 4.0, "z = {z}");
    }

    #[test]
    fn a_unit_number_is_never_zero_nor_one() {
        assert!(unit(0) > 0.0);
        assert!(unit(u64::MAX) < 1.0);
    }

    #[test]
    fn an_order_holds_every_number_once() {
        let mut order = Streams::new(1, 0).of(Purpose::SlotOrder, 0).order(50);
        assert_ne!(order, (0..50).collect::<Vec<_>>());
        order.sort_unstable();
        assert_eq!(order, (0..50).collect::<Vec<_>>());
    }
}
