//! What is known of each of many things that have small numbers: a place each, so that it is found in one step.

use std::marker::PhantomData;

/// A map whose keys are small numbers: it takes the memory for all up to the highest one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ByNumber<K, V> {
    /// By number.
    values: Vec<Option<V>>,
    count: usize,
    of: PhantomData<K>,
}

impl<K, V> Default for ByNumber<K, V> {
    fn default() -> Self {
        ByNumber { values: Vec::new(), count: 0, of: PhantomData }
    }
}

impl<K: Into<u32> + From<u32>, V> ByNumber<K, V> {
    /// What is known of it.
    pub fn get(&self, key: K) -> Option<&V> {
        self.values.get(key.into() as usize)?.as_ref()
    }

    /// The same, to be changed.
    pub fn get_mut(&mut self, key: K) -> Option<&mut V> {
        self.values.get_mut(key.into() as usize)?.as_mut()
    }

    /// Whether anything is known of it.
    pub fn contains(&self, key: K) -> bool {
        self.get(key).is_some()
    }

    /// What was known of it before.
    pub fn insert(&mut self, key: K, value: V) -> Option<V> {
        let place = key.into() as usize;
        if place >= self.values.len() {
            self.values.resize_with(place + 1, || None);
        }
        let before = self.values[place].replace(value);
        self.count += usize::from(before.is_none());
        before
    }

    /// What was known of it.
    pub fn remove(&mut self, key: K) -> Option<V> {
        let before = self.values.get_mut(key.into() as usize)?.take();
        self.count -= usize::from(before.is_some());
        before
    }

    /// Of how many something is known.
    pub fn len(&self) -> usize {
        self.count
    }

    /// Whether nothing is known of anything.
    pub fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// These, in their own order.
    pub fn keys(&self) -> impl Iterator<Item = K> + '_ {
        (0..).zip(&self.values).filter(|(_, value)| value.is_some()).map(|(number, _)| K::from(number))
    }

    /// What is known of these, in their order.
    pub fn values(&self) -> impl Iterator<Item = &V> {
        self.values.iter().flatten()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::random::{GOLDEN, mix};
    use std::collections::BTreeMap;

    #[test]
    fn it_is_a_map() {
        let (mut by_number, mut map) = (ByNumber::<u32, u64>::default(), BTreeMap::new());
        let mut luck = 9;
        for step in 0..2000 {
            luck = mix(luck ^ GOLDEN);
            let key = (luck >> 8) as u32 % 50;
            assert_eq!(by_number.get(key), map.get(&key));
            if luck % 5 < 3 {
                assert_eq!(by_number.insert(key, step), map.insert(key, step));
            } else {
                assert_eq!(by_number.remove(key), map.remove(&key));
            }
            assert_eq!(by_number.contains(key), map.contains_key(&key));
            assert!(by_number.keys().eq(map.keys().copied()) && by_number.values().eq(map.values()));
            assert_eq!((by_number.len(), by_number.is_empty()), (map.len(), map.is_empty()));
        }
    }
}
