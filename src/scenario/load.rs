//! Offered load, as the engine takes it.

use crate::distribution::Delay;
use std::num::NonZeroU32;
use std::time::Duration;

/// Requests on their way to the service.
#[derive(Clone, Debug, PartialEq)]
pub struct Traffic {
    /// When requests come.
    pub load: Load,
    /// What they ask for; at least one class, at most 100, with shares that come to 1.
    pub classes: Vec<Class>,
}

impl Traffic {
    /// Nobody asks for anything.
    pub fn none() -> Self {
        let profile = Profile::constant(0.0).expect("no traffic is a profile");
        let all = Class { name: "all".to_owned(), share: 1.0, work: Delay::NONE, target: None };
        Traffic { load: Load::Open { profile, arrivals: Arrivals::Deterministic }, classes: vec![all] }
    }
}

/// When requests come.
#[derive(Clone, Debug, PartialEq)]
pub enum Load {
    /// From so many users that nobody's waiting slows them down.
    Open {
        /// Requests per second over the run.
        profile: Profile,
        /// How the gaps between them behave.
        arrivals: Arrivals,
    },
    /// From so many users, each of whom asks again some time after the last answer.
    Closed {
        /// How many, at most 1,000,000.
        users: NonZeroU32,
        /// From an answer, or from the start of the run, to a user's next request.
        think: Delay,
    },
}

impl Load {
    /// The most requests per second to be expected: of users, as if all answers came at once.
    pub fn peak(&self) -> f64 {
        match self {
            Load::Open { profile, arrivals: Arrivals::Bursty(bursts) } => profile.peak() * bursts.peak,
            Load::Open { profile, .. } => profile.peak(),
            Load::Closed { users, think } => f64::from(users.get()) / think.mean_s(),
        }
    }
}

/// A kind of requests.
#[derive(Clone, Debug, PartialEq)]
pub struct Class {
    /// Its name; `all` where there is but one.
    pub name: String,
    /// The share of requests that are of this class, above 0 and at most 1.
    pub share: f64,
    /// What one request costs a warm instance of the old version.
    pub work: Delay,
    /// A request that takes longer is late; `None`: none is.
    pub target: Option<Duration>,
}

/// How the gaps between requests behave.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Arrivals {
    /// A Poisson process with the profile's rate.
    Poisson,
    /// Evenly spaced at the profile's rate.
    Deterministic,
    /// A Poisson process whose rate switches at random between a burst and a lull, the profile's rate being the mean.
    Bursty(Bursts),
}

/// A Markov-modulated Poisson process with two states (Fischer, Meier-Hellstern: The MMPP cookbook, Performance Evaluation
/// 18, 1993).
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Bursts {
    /// How many times the mean rate a burst has, above 1; `peak` × `lasts` is at most `every`.
    pub peak: f64,
    /// How long a burst lasts in the mean (exponential).
    pub lasts: Duration,
    /// From the beginning of one to that of the next in the mean.
    pub every: Duration,
}

impl Bursts {
    /// The rate of a lull compared with the mean rate: both states together have the mean.
    pub fn lull(&self) -> f64 {
        let (lasts, every) = (self.lasts.as_secs_f64(), self.every.as_secs_f64());
        ((every - self.peak * lasts) / (every - lasts)).max(0.0)
    }
}

/// Requests per second over time: constant within each piece.
#[derive(Clone, Debug, PartialEq)]
pub struct Profile {
    pieces: Vec<Piece>,
    /// The pieces repeat after this long; `None`: the last one lasts.
    period: Option<Duration>,
}

/// A stretch of constant offered load.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Piece {
    /// When it begins, counted from the start of the profile; 0 for the first.
    pub starts: Duration,
    /// Requests per second, finite and not negative.
    pub rate: f64,
}

impl Profile {
    /// A profile of pieces in the order of time. `None` when there is none, when the first does not start at 0, when
    /// one does not start after the one before, when a rate is negative or not finite, or when the period ends before
    /// the last piece starts.
    pub fn new(pieces: Vec<Piece>, period: Option<Duration>) -> Option<Self> {
        let starts_at_zero = pieces.first()?.starts.is_zero();
        let ascending = pieces.windows(2).all(|pair| pair[0].starts < pair[1].starts);
        let rates_hold = pieces.iter().all(|piece| piece.rate.is_finite() && piece.rate >= 0.0);
        let period_holds = period.is_none_or(|period| pieces.iter().all(|piece| piece.starts < period));
        let holds = starts_at_zero && ascending && rates_hold && period_holds;
        holds.then_some(Profile { pieces, period })
    }

    /// The same rate for ever.
    pub fn constant(rate: f64) -> Option<Self> {
        Profile::new(vec![Piece { starts: Duration::ZERO, rate }], None)
    }

    /// The pieces, in the order of time.
    pub fn pieces(&self) -> &[Piece] {
        &self.pieces
    }

    /// After how long the pieces repeat.
    pub fn period(&self) -> Option<Duration> {
        self.period
    }

    /// The highest rate, requests per second.
    pub fn peak(&self) -> f64 {
        self.pieces.iter().map(|piece| piece.rate).fold(0.0, f64::max)
    }
}
