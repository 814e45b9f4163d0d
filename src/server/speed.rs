//! How fast an instance works: factors on the work of a request.

use crate::scenario::{WarmUp, WarmUpOver, WarmUpShape};
use crate::time::nanos;

/// The factors of one instance.
#[derive(Clone, Copy, Debug)]
pub struct Speed {
    /// Of its version, at any time.
    pub slowdown: f64,
    /// When its process was up, nanoseconds; the warm-up counts from here.
    pub up_at: u64,
    /// When its warm-up is over, nanoseconds; `u64::MAX` where it is counted in requests.
    pub warm_at: u64,
    /// How many requests its process has begun with.
    pub begun: u32,
    /// From when on a defect shows, nanoseconds; `u64::MAX`: never.
    pub misbehaves_from: u64,
    /// The defect's factor.
    pub defect_slowdown: f64,
    /// The factor of what slows it down from outside, 1 if nothing does.
    pub hindrance: f64,
}

/// What made a request take longer than its work: the largest factor above 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Slowing {
    /// Nothing.
    None,
    /// The instance was not warm yet.
    Cold,
    /// Its version is slower.
    Version,
    /// A defect.
    Defect,
    /// Something outside.
    Hindrance,
}

impl Speed {
    /// An instance of the old version that has long been up.
    pub const WARM: Speed = Speed {
        slowdown: 1.0,
        up_at: 0,
        warm_at: 0,
        begun: 0,
        misbehaves_from: u64::MAX,
        defect_slowdown: 1.0,
        hindrance: 1.0,
    };

    /// When the warm-up of a process that is up at `up_at` is over.
    pub fn warm_at(warm_up: Option<&WarmUp>, up_at: u64) -> u64 {
        warm_up.map_or(up_at, |warm_up| match (warm_up.over, warm_up.shape) {
            (WarmUpOver::Requests(_), _) => u64::MAX,
            (WarmUpOver::Time(over), WarmUpShape::Linear) => up_at.saturating_add(nanos(over)),
            (WarmUpOver::Time(over), WarmUpShape::Exponential) => up_at.saturating_add(nanos(over).saturating_mul(10)),
        })
    }

    /// How long work that began now would take, in nanoseconds, never less than one; and why it is not just the work.
    pub fn service(&self, work: u64, now: u64, warm_up: Option<&WarmUp>) -> (u64, Slowing) {
        let warmth =
            if now < self.warm_at { warm_up.map_or(1.0, |warm_up| self.warm_up_factor(warm_up, now)) } else { 1.0 };
        let defect = if now >= self.misbehaves_from { self.defect_slowdown } else { 1.0 };
        let factor = self.slowdown * warmth * defect * self.hindrance;
        // Exact where nothing slows it down: runs that are worked out by hand need it.
        #[expect(clippy::float_cmp, reason = "1.0 stands for: no factor applies")]
        if factor == 1.0 {
            return (work.max(1), Slowing::None);
        }
        let service = (work as f64 * factor + 0.5) as u64;
        let factors = [
            (warmth, Slowing::Cold),
            (self.slowdown, Slowing::Version),
            (defect, Slowing::Defect),
            (self.hindrance, Slowing::Hindrance),
        ];
        let largest =
            factors.into_iter().fold((1.0, Slowing::None), |most, next| if next.0 > most.0 { next } else { most });
        (service.max(1), largest.1)
    }

    /// Whether work takes just its time from this moment on, however much of it, until something else happens.
    #[expect(clippy::float_cmp, reason = "1.0 stands for: no factor applies")]
    pub fn is_plain(&self, now: u64) -> bool {
        now >= self.warm_at && self.slowdown == 1.0 && self.defect_slowdown == 1.0 && self.hindrance == 1.0
    }

    /// It begins with one more request.
    pub fn note_begun(&mut self) {
        self.begun = self.begun.saturating_add(1);
    }

    /// How long work takes that begins now; see [`Speed::service`].
    pub fn begin(&mut self, work: u64, now: u64, warm_up: Option<&WarmUp>) -> (u64, Slowing) {
        let service = self.service(work, now, warm_up);
        self.note_begun();
        service
    }

    fn warm_up_factor(&self, warm_up: &WarmUp, now: u64) -> f64 {
        let share = match warm_up.over {
            WarmUpOver::Time(over) => (now - self.up_at) as f64 / nanos(over) as f64,
            WarmUpOver::Requests(requests) => f64::from(self.begun) / f64::from(requests.get()),
        };
        warm_up_factor(warm_up, share)
    }
}

/// The warm-up factor once this share of the warm-up is over, which may exceed 1.
pub fn warm_up_factor(warm_up: &WarmUp, share: f64) -> f64 {
    let left = match warm_up.shape {
        WarmUpShape::Linear => (1.0 - share).max(0.0),
        WarmUpShape::Exponential if share >= 10.0 => 0.0,
        WarmUpShape::Exponential => libm::exp(-share),
    };
    1.0 + (warm_up.factor - 1.0) * left
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::num::NonZeroU32;
    use std::time::Duration;

    const MINUTE: WarmUpOver = WarmUpOver::Time(Duration::from_mins(1));

    fn warm_up(shape: WarmUpShape, over: WarmUpOver) -> WarmUp {
        WarmUp { factor: 3.0, over, shape }
    }

    #[test]
    fn a_warm_up_comes_down_to_one() {
        let at = |shape, share| warm_up_factor(&warm_up(shape, MINUTE), share);
        let linear = [(0.0, 3.0), (0.25, 2.5), (0.5, 2.0), (1.0, 1.0), (1.5, 1.0)];
        for (share, factor) in linear {
            assert!((at(WarmUpShape::Linear, share) - factor).abs() < 1e-12);
        }
        let after_one_constant = 1.0 + 2.0 * 0.367_879_441_171_442_33;
        assert!((at(WarmUpShape::Exponential, 1.0) - after_one_constant).abs() < 1e-12);
        assert!((at(WarmUpShape::Exponential, 10.0) - 1.0).abs() < 1e-12);
    }

    #[test]
    fn factors_multiply_and_no_factor_is_exact() {
        let work = 20_000_000;
        let mut warm = Speed::WARM;
        assert_eq!(warm.begin(work, 5, None), (work, Slowing::None));
        assert_eq!(warm.begin(0, 5, None).0, 1, "time passes");
        let warm_up = warm_up(WarmUpShape::Linear, MINUTE);
        let up_at = 1_000_000_000;
        let warm_at = Speed::warm_at(Some(&warm_up), up_at);
        let mut speed =
            Speed { slowdown: 2.0, up_at, warm_at, misbehaves_from: up_at, defect_slowdown: 1.5, ..Speed::WARM };
        assert_eq!(speed.begin(work, up_at, Some(&warm_up)), (work * 9, Slowing::Cold));
        assert_eq!(speed.begin(work, warm_at, Some(&warm_up)), (work * 3, Slowing::Version));
        speed.hindrance = 4.0;
        assert_eq!(speed.begin(work, warm_at, Some(&warm_up)), (work * 12, Slowing::Hindrance));
    }

    #[test]
    fn a_warm_up_can_be_counted_in_requests() {
        let over = WarmUpOver::Requests(NonZeroU32::new(4).expect("four is not zero"));
        let warm_up = warm_up(WarmUpShape::Linear, over);
        let mut speed = Speed { warm_at: Speed::warm_at(Some(&warm_up), 7), up_at: 7, ..Speed::WARM };
        let services: Vec<u64> = (0..6).map(|n| speed.begin(100, 7 + n, Some(&warm_up)).0).collect();
        assert_eq!(services, [300, 250, 200, 150, 100, 100]);
    }
}
