//! The steps of one rollout: what happens between two states that last.

use super::Run;
use crate::fleet::{Phase, Version};
use crate::history::Change;
use crate::metrics::FleetPoint;
use crate::time::SimTime;
use serde::Serialize;
use std::time::Duration;

/// A state that lasts less is one of those in passing: controllers do in several small steps what people see as one.
const LASTS: Duration = Duration::from_millis(500);

/// What happened to bring a state about: how many instances of the old version and of others did what.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct What {
    /// New instances that were created.
    pub new_created: u32,
    /// Old instances that were created.
    pub old_created: u32,
    /// New instances that became ready.
    pub new_ready: u32,
    /// Old instances that became ready.
    pub old_ready: u32,
    /// New instances that were sent away.
    pub new_leave: u32,
    /// Old instances that were sent away.
    pub old_leave: u32,
    /// Instances that were taken out of the balancers, and run on.
    pub taken_out: u32,
    /// Instances whose process ended unasked.
    pub failed: u32,
    /// Instances that were gone.
    pub gone: u32,
    /// The share of the requests that go to other versions than the old one from now on, percent; `None`: as before.
    pub new_share: Option<u32>,
}

impl What {
    fn count(&mut self, change: &Change) {
        let is_old = change.version == Version::OLD;
        let by_version = |old, new| if is_old { old } else { new };
        let field = match change.to {
            Phase::Pulling => by_version(&mut self.old_created, &mut self.new_created),
            Phase::Ready if change.listed => by_version(&mut self.old_ready, &mut self.new_ready),
            Phase::Ready => &mut self.taken_out,
            Phase::Draining => by_version(&mut self.old_leave, &mut self.new_leave),
            Phase::Down => &mut self.failed,
            Phase::Gone => &mut self.gone,
            _ => return,
        };
        *field += 1;
    }
}

/// A state of the fleet that lasts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Moment {
    /// When it begins, milliseconds after the rollout does.
    pub at_ms: u64,
    /// What happened since the state before.
    pub what: What,
    /// Old instances that are ready and in the balancer.
    pub old_ready: u32,
    /// New ones, of whatever version.
    pub new_ready: u32,
    /// Instances on their way to that.
    pub coming: u32,
    /// Instances on their way out.
    pub leaving: u32,
}

impl Moment {
    fn of(point: &FleetPoint, begins: SimTime, what: What) -> Self {
        let old_ready = point.ready[Version::OLD.index()];
        let new_ready = point.all_ready() - old_ready;
        let coming = point.total.iter().sum::<u32>() - point.all_ready();
        let at = point.at.max(begins);
        let at_ms = u64::try_from(at.since(begins).as_millis()).unwrap_or(u64::MAX);
        Moment { at_ms, what, old_ready, new_ready, coming, leaving: point.terminating }
    }

    fn counts(&self) -> [u32; 4] {
        [self.old_ready, self.new_ready, self.coming, self.leaving]
    }
}

/// The fleet from the beginning of the rollout on, with a point wherever requests are split anew.
fn with_splits(run: &Run) -> Vec<FleetPoint> {
    let mut points = run.watched().to_vec();
    for (at, _) in &run.history.splits {
        let next = points.partition_point(|point| point.at <= *at);
        if let Some(before) = next.checked_sub(1).map(|before| points[before]).filter(|before| before.at < *at) {
            points.insert(next, FleetPoint { at: *at, ..before });
        }
    }
    points
}

/// The states that last, from the beginning of the rollout to its end.
pub(super) fn moments(run: &Run) -> Vec<Moment> {
    let points = with_splits(run);
    let last = run.history.ended_at.filter(|_| run.ended_well()).unwrap_or(run.ends);
    let mut changes = run.history.changes.iter().filter(|change| change.at >= run.begins).peekable();
    let mut splits = run.history.splits.iter().peekable();
    let mut moments: Vec<Moment> = Vec::new();
    let mut what = What::default();
    for (place, point) in points.iter().enumerate() {
        while let Some(change) = changes.next_if(|change| change.at <= point.at) {
            what.count(change);
        }
        while let Some((_, split)) = splits.next_if(|(at, _)| *at <= point.at) {
            what.new_share = Some(((1.0 - split.share(Version::OLD)) * 100.0).round() as u32);
        }
        let next = points.get(place + 1);
        let lasts = next.is_none_or(|next| next.at.since(point.at.max(run.begins)) >= LASTS);
        let moment = Moment::of(point, run.begins, what);
        let is_news =
            moments.last().is_none_or(|before| before.counts() != moment.counts()) || what.new_share.is_some();
        let is_within = point.at <= last || next.is_none();
        if lasts && is_within && is_news {
            moments.push(moment);
            what = What::default();
        }
    }
    moments
}
