//! What is on its way: requests, and the attempts at them.

use crate::balancer::Endpoint;
use crate::fleet::InstanceId;
use crate::server::Slowing;
use std::ops::{Index, IndexMut};

/// What lasts over the attempts of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Request {
    /// Its number: in the order of arrival, or, of a user, that one's number and so many times the number of users.
    pub(super) number: u64,
    /// When it arrived, nanoseconds.
    pub(super) arrived: u64,
    /// What it costs, nanoseconds.
    pub(super) work: u64,
    /// Its luck; see [`crate::client::luck`].
    pub(super) luck: u64,
    /// The interval of the time series in which it arrived; `WARM_UP` before the first one.
    pub(super) interval: u32,
    /// Attempts made, the current one included.
    pub(super) attempts: u8,
    /// Its class: the place in the list.
    pub(super) class: u8,
}

/// What is counted at the end of a request.
#[derive(Clone, Copy, Debug)]
pub(super) struct Mark {
    pub(super) arrived: u64,
    pub(super) interval: u32,
    pub(super) class: u8,
}

impl Request {
    /// What is counted at its end.
    pub(super) fn mark(&self) -> Mark {
        let Request { arrived, interval, class, .. } = *self;
        Mark { arrived, interval, class }
    }
}

/// Arrived before the time series begins.
pub(super) const WARM_UP: u32 = u32::MAX;

/// A request that is under way, and its current attempt. After a time-out the instance may work on at what its client
/// gave up, so one request can have several attempts open. A health check that waits like a request is an attempt, too.
#[derive(Clone, Copy, Debug)]
pub(super) struct Attempt {
    pub(super) request: Request,
    /// When it was sent, nanoseconds.
    pub(super) sent: u64,
    /// When its service began; only while it is in service.
    pub(super) begun: u64,
    /// When its service ends, or would end if it were alone; only while it is in service.
    pub(super) departs: u64,
    /// Where its balancer sent it.
    pub(super) endpoint: Endpoint,
    /// Who took it; not while it is connecting or queued.
    pub(super) instance: InstanceId,
    /// Tells it from others that had its place before.
    pub(super) generation: u32,
    pub(super) balancer: u16,
    pub(super) state: State,
    /// What slows its service down.
    pub(super) slowing: Slowing,
    /// Instances that did not take it.
    pub(super) refusals: u8,
    /// It stands in the list of those whose time may be over before they are served.
    pub(super) is_timed: bool,
}

impl Attempt {
    pub(super) fn new(request: Request, balancer: u16, sent: u64) -> Self {
        Attempt {
            request,
            sent,
            begun: 0,
            departs: 0,
            endpoint: Endpoint(u32::MAX),
            instance: InstanceId(u32::MAX),
            generation: 0,
            balancer,
            state: State::Queued,
            slowing: Slowing::None,
            refusals: 0,
            is_timed: false,
        }
    }

    /// How it is known while it has this place.
    pub(super) fn which(&self, place: u32) -> (u64, u32, u32) {
        (self.request.number, place, self.generation)
    }

    /// When its time is over.
    pub(super) fn due(&self, timeout: Option<u64>) -> u64 {
        timeout.map_or(u64::MAX, |timeout| self.sent.saturating_add(timeout))
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum State {
    /// Nobody's: its place can be used again.
    Free,
    /// Open at an endpoint that did not take it, until a further try or the end of the wait.
    Connecting,
    /// In its balancer's queue.
    Queued,
    /// The same, and its client has given up.
    QueuedForNobody,
    /// In an instance's queue.
    Waiting,
    /// Being served.
    InService,
    /// In an instance's queue, and its client has given up.
    WaitingForNobody,
    /// Being served, and its client has given up.
    ServedForNobody,
    /// Left an instance's queue; its entry is still there.
    Left,
    /// A check in an instance's queue.
    CheckWaiting,
    /// A check being served.
    CheckInService,
}

impl State {
    pub(super) fn has_client(self) -> bool {
        matches!(self, State::Connecting | State::Queued | State::Waiting | State::InService)
    }

    /// Whether it is, or its entry is, in an instance.
    pub(super) fn is_at_instance(self) -> bool {
        use State::{CheckInService, CheckWaiting, InService, Left, ServedForNobody, Waiting, WaitingForNobody};
        matches!(self, Waiting | InService | WaitingForNobody | ServedForNobody | Left | CheckWaiting | CheckInService)
    }

    pub(super) fn is_in_service(self) -> bool {
        matches!(self, State::InService | State::ServedForNobody | State::CheckInService)
    }

    pub(super) fn waits_at_instance(self) -> bool {
        matches!(self, State::Waiting | State::WaitingForNobody | State::CheckWaiting)
    }
}

/// How an endpoint answers whoever wants to connect.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::engine) enum Knock {
    /// This instance takes it.
    Taken(InstanceId),
    /// Refused; by this instance, if somebody stands there.
    Refused(Option<InstanceId>),
    /// No answer at all.
    Silence(InstanceId),
}

/// All attempts, by place.
#[derive(Debug, Default)]
pub(super) struct Attempts {
    attempts: Vec<Attempt>,
    free: Vec<u32>,
}

impl Attempts {
    /// A place for an attempt.
    pub(super) fn keep(&mut self, attempt: Attempt) -> u32 {
        if let Some(place) = self.free.pop() {
            let here = &mut self.attempts[place as usize];
            debug_assert_eq!(here.state, State::Free);
            *here = Attempt { generation: here.generation.wrapping_add(1), ..attempt };
            return place;
        }
        self.attempts.push(attempt);
        self.attempts.len() as u32 - 1
    }

    /// The place is free again.
    pub(super) fn release(&mut self, place: u32) {
        debug_assert_ne!(self[place].state, State::Free, "a place is released once");
        self[place].state = State::Free;
        self.free.push(place);
    }

    /// All that this holds of, in the order of their requests' arrival. It looks through everything that is open.
    pub(super) fn all(&self, holds: impl Fn(&Attempt) -> bool) -> Vec<u32> {
        let all = self.attempts.iter().zip(0..).filter(|(attempt, _)| attempt.state != State::Free && holds(attempt));
        let mut places: Vec<(u64, u8, u32)> =
            all.map(|(attempt, place)| (attempt.request.number, attempt.request.attempts, place)).collect();
        places.sort_unstable();
        places.into_iter().map(|(_, _, place)| place).collect()
    }

    /// How many this holds of.
    pub(super) fn count(&self, holds: impl Fn(&Attempt) -> bool) -> usize {
        self.attempts.iter().filter(|attempt| attempt.state != State::Free && holds(attempt)).count()
    }
}

impl Index<u32> for Attempts {
    type Output = Attempt;

    fn index(&self, place: u32) -> &Attempt {
        &self.attempts[place as usize]
    }
}

impl IndexMut<u32> for Attempts {
    fn index_mut(&mut self, place: u32) -> &mut Attempt {
        &mut self.attempts[place as usize]
    }
}
