//! Who asks: what the engine takes, and how it is made of what was written.

use super::bounds::{at_least_one, count, positive, share_or, span_or};
use super::delays::{Sources, delay};
use super::place::{Checked, Place};
use super::raw_client as raw;
use super::units::{Number, Table};
use crate::distribution::Delay;
use std::num::NonZeroU32;
use std::time::Duration;

/// What clients do when an answer is late or bad.
#[derive(Clone, Debug, PartialEq)]
pub struct Client {
    /// How long one attempt may take; `None`: for ever.
    pub timeout: Option<Duration>,
    /// Whether the end of a client's patience ends the work, too; otherwise the instance works on for nobody.
    pub cancels: bool,
    /// How long an attempt waits in queues before its client gives up, drawn for each; one that is being served stays.
    /// `None`: for ever.
    pub patience: Option<Delay>,
    /// Further attempts.
    pub retries: Retries,
}

impl Client {
    /// Clients that wait for ever and try once.
    pub const PATIENT: Client = Client { timeout: None, cancels: false, patience: None, retries: Retries::NONE };
}

/// When and how often a failed attempt is repeated.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Retries {
    /// Attempts in all, the first one included: 1 means no retry. At most 100.
    pub attempts: NonZeroU32,
    /// Pause before the second attempt; doubled for each further one.
    pub backoff: Duration,
    /// Longest pause.
    pub backoff_limit: Duration,
    /// The share of the pause that is drawn at random, 0 to 1: at 1 the pause is uniform from 0 to its full length.
    pub jitter: f64,
    /// What keeps all clients together from too many retries; `None`: nothing.
    pub budget: Option<RetryBudget>,
}

impl Retries {
    /// One attempt.
    pub const NONE: Retries = Retries {
        attempts: NonZeroU32::MIN,
        backoff: Duration::ZERO,
        backoff_limit: Duration::from_mins(1),
        jitter: 0.0,
        budget: None,
    };

    /// The full pause after that many attempts: the back-off, doubled for each attempt but the first, up to its limit.
    pub fn pause(&self, attempts_made: u8) -> Duration {
        let doublings = u32::from(attempts_made.saturating_sub(1)).min(30);
        self.backoff.saturating_mul(1 << doublings).min(self.backoff_limit)
    }

    /// All pauses of a request that is retried as often as it may be.
    pub fn longest_wait(&self) -> Duration {
        let attempts = u8::try_from(self.attempts.get()).unwrap_or(u8::MAX);
        (1..attempts).map(|made| self.pause(made)).sum()
    }
}

/// What keeps clients from too many retries. All clients together have one.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum RetryBudget {
    /// Retries under way are at most this share of the requests under way, or so many (Envoy, retry budgets).
    Active {
        /// The share, 0 to 1.
        share: f64,
        /// So many are always allowed.
        at_least: u32,
    },
    /// A retry takes a token, a served attempt puts a part of one back (AWS SDKs' adaptive retries).
    Tokens {
        /// The most tokens, and how many there are at the start.
        size: f64,
        /// What a served attempt puts back.
        deposit: f64,
    },
    /// A failed attempt takes a token, a served one puts a part of one back; retries are allowed while more than half of
    /// the tokens are left (gRPC, retry throttling: proposal A6).
    Throttle {
        /// The most tokens, and how many there are at the start.
        size: f64,
        /// What a served attempt puts back.
        deposit: f64,
    },
}

/// The clients that these words say.
pub(super) fn client(place: &Place, raw: Option<Table<raw::Client>>, sources: &mut Sources<'_>) -> Checked<Client> {
    let Some(Table(raw)) = raw else { return Ok(Client::PATIENT) };
    let timeout = raw.timeout.map(|span| positive(&place.key("timeout"), span)).transpose()?;
    let patience = raw.patience.map(|patience| delay(&place.key("patience"), patience, sources)).transpose()?;
    let problem = "only clients with a timeout or patience give up";
    place.key("cancels").holds(raw.cancels.is_none() || timeout.is_some() || patience.is_some(), problem)?;
    let retries = raw.retries.map_or(Ok(Retries::NONE), |Table(raw)| retries(&place.key("retries"), raw))?;
    Ok(Client { timeout, cancels: raw.cancels.unwrap_or(false), patience, retries })
}

fn retries(place: &Place, raw: raw::Retries) -> Checked<Retries> {
    let retries = Retries {
        attempts: at_least_one(&place.key("attempts"), raw.attempts, 100)?,
        backoff: span_or(raw.backoff, Retries::NONE.backoff),
        backoff_limit: span_or(raw.backoff_limit, Retries::NONE.backoff_limit),
        jitter: share_or(raw.jitter, Retries::NONE.jitter),
        budget: raw.budget.map(|Table(raw)| budget(&place.key("budget"), raw)).transpose()?,
    };
    let holds = retries.backoff_limit >= retries.backoff;
    place.key("backoff_limit").holds(holds, "must be at least the backoff")?;
    Ok(retries)
}

fn budget(place: &Place, raw: raw::RetryBudget) -> Checked<RetryBudget> {
    match (raw.active, raw.tokens, raw.throttle) {
        (Some(Table(raw)), None, None) => {
            let at_least_at = place.key("active").key("at_least");
            let at_least = raw.at_least.map_or(Ok(3), |written| count(&at_least_at, written, 0..=1_000_000))?;
            Ok(RetryBudget::Active { share: raw.share.0, at_least })
        }
        (None, Some(Table(raw)), None) => {
            let (size, deposit) = bucket(&place.key("tokens"), &raw)?;
            Ok(RetryBudget::Tokens { size, deposit })
        }
        (None, None, Some(Table(raw))) => {
            let (size, deposit) = bucket(&place.key("throttle"), &raw)?;
            Ok(RetryBudget::Throttle { size, deposit })
        }
        _ => Err(place.breaks("must hold exactly one of active, tokens, throttle")),
    }
}

fn bucket(place: &Place, raw: &raw::Bucket) -> Checked<(f64, f64)> {
    let within = |key: &str, Number(number): Number, least: f64| {
        let problem = format!("must be from {least} to 1,000,000");
        place.key(key).holds((least..=1e6).contains(&number), &problem).map(|()| number)
    };
    Ok((within("size", raw.size, 1.0)?, within("deposit", raw.deposit, 0.0)?))
}
