//! What the cases are drawn with.

use rollsim::random::{GOLDEN, mix};

/// SplitMix64.
pub(super) struct Luck(u64);

impl Luck {
    pub(super) fn new(seed: u64) -> Self {
        Luck(seed)
    }

    fn bits(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(GOLDEN);
        mix(self.0)
    }

    /// From `low` to `high`, both possible.
    pub(super) fn within(&mut self, low: u64, high: u64) -> u64 {
        low + self.bits() % (high - low + 1)
    }

    pub(super) fn count(&mut self, low: u32, high: u32) -> u32 {
        u32::try_from(self.within(low.into(), high.into())).expect("between two of them")
    }

    pub(super) fn percent(&mut self, percent: u64) -> bool {
        self.within(1, 100) <= percent
    }

    pub(super) fn pick<'a>(&mut self, words: &[&'a str]) -> &'a str {
        words[self.within(0, words.len() as u64 - 1) as usize]
    }

    /// Milliseconds up to a limit; often none at all, and often whole seconds.
    pub(super) fn millis(&mut self, longest: u64) -> u64 {
        match self.within(0, 3) {
            0 => 0,
            1 => self.within(0, longest / 1000) * 1000,
            _ => self.within(0, longest),
        }
    }

    /// A delay as it is written, and milliseconds that it will hardly ever exceed.
    pub(super) fn delay(&mut self, longest: u64) -> Delay {
        let typical = self.within(1, longest);
        match self.within(0, 7) {
            0 => Delay::fixed(0),
            1 => Delay {
                text: format!(r#"{{ uniform = {{ low = "0s", high = "{typical}ms" }} }}"#),
                longest: typical,
                is_fixed: false,
            },
            2 => Delay::drawn(typical, "exponential", &format!(r#"mean = "{typical}ms""#)),
            3 => Delay::drawn(typical, "gamma", &format!(r#"shape = 2.5, mean = "{typical}ms""#)),
            4 => Delay::drawn(typical, "weibull", &format!(r#"shape = 1.5, scale = "{typical}ms""#)),
            5 => Delay::drawn(typical, "lognormal", &format!(r#"median = "{typical}ms", p95 = "{}ms""#, typical * 2)),
            _ => Delay::fixed(self.millis(longest)),
        }
    }
}

pub(super) struct Delay {
    pub(super) text: String,
    pub(super) longest: u64,
    pub(super) is_fixed: bool,
}

impl Delay {
    pub(super) fn fixed(millis: u64) -> Self {
        Delay { text: format!(r#""{millis}ms""#), longest: millis, is_fixed: true }
    }

    fn drawn(typical: u64, name: &str, parameters: &str) -> Self {
        Delay { text: format!("{{ {name} = {{ {parameters} }} }}"), longest: typical * 30, is_fixed: false }
    }
}
