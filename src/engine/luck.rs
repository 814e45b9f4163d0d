//! The luck of one instance in what happens to it more than once.

use crate::distribution::Delay;
use crate::random::{Purpose, Stream, Streams};
use std::time::Duration;

/// A stream a purpose, seeded when it is asked for first: most never are.
#[derive(Debug)]
pub(super) struct Luck {
    /// The instance, as a key.
    subject: u64,
    start: Option<Box<Stream>>,
    defect: Option<Box<Stream>>,
    crash: Option<Box<Stream>>,
    stop: Option<Box<Stream>>,
}

impl Luck {
    /// That of an instance.
    pub(super) fn new(subject: u64) -> Self {
        Luck { subject, start: None, defect: None, crash: None, stop: None }
    }

    /// A span for a purpose; one that is always the same needs no luck.
    pub(super) fn span(&mut self, delay: &Delay, purpose: Purpose, streams: &Streams) -> Duration {
        if let Delay::Fixed(span) = delay { *span } else { delay.sample(self.of(purpose, streams)) }
    }

    /// The stream of a purpose.
    pub(super) fn of(&mut self, purpose: Purpose, streams: &Streams) -> &mut Stream {
        let stream = match purpose {
            Purpose::Start => &mut self.start,
            Purpose::Defect => &mut self.defect,
            Purpose::Crash => &mut self.crash,
            Purpose::Stop => &mut self.stop,
            _ => unreachable!("{purpose:?} is not asked for more than once"),
        };
        stream.get_or_insert_with(|| Box::new(streams.of(purpose, self.subject)))
    }
}
