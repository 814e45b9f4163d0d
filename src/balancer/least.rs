//! The instances with the fewest open requests, found without a search: members stand in buckets by their count.

use crate::fleet::InstanceId;
use crate::random::below;

/// Members by open requests. A count moves by one at a time, so a member moves to the next bucket in constant time.
#[derive(Clone, Debug, Default)]
pub(super) struct LeastOpen {
    buckets: Vec<Vec<InstanceId>>,
    /// Each instance's bucket and its place in it; `None` for those who are no members.
    places: Vec<Option<(u32, u32)>>,
    /// No bucket below this holds anybody.
    fewest: usize,
}

impl LeastOpen {
    /// A member joins with so many open requests.
    pub(super) fn insert(&mut self, member: InstanceId, open: u32) {
        let bucket = open as usize;
        if bucket >= self.buckets.len() {
            self.buckets.resize_with(bucket + 1, Vec::new);
        }
        if member.index() >= self.places.len() {
            self.places.resize(member.index() + 1, None);
        }
        self.places[member.index()] = Some((open, self.buckets[bucket].len() as u32));
        self.buckets[bucket].push(member);
        self.fewest = self.fewest.min(bucket);
    }

    /// A member leaves.
    pub(super) fn remove(&mut self, member: InstanceId) {
        let (bucket, place) = self.places[member.index()].take().expect("only members leave");
        let bucket = &mut self.buckets[bucket as usize];
        bucket.swap_remove(place as usize);
        if let Some(moved) = bucket.get(place as usize) {
            let entry = self.places[moved.index()].as_mut().expect("it stands in a bucket");
            entry.1 = place;
        }
    }

    /// Somebody's count changed; nothing happens where he is no member.
    pub(super) fn update(&mut self, instance: InstanceId, open: u32) {
        if self.places.get(instance.index()).copied().flatten().is_some() {
            self.remove(instance);
            self.insert(instance, open);
        }
    }

    /// One of those with the fewest open requests, by this luck. There must be a member.
    pub(super) fn choose(&mut self, luck: u32) -> InstanceId {
        while self.buckets[self.fewest].is_empty() {
            self.fewest += 1;
        }
        let bucket = &self.buckets[self.fewest];
        bucket[below(luck, bucket.len() as u32) as usize]
    }
}
