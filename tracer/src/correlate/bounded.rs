//! What is remembered, and no more of it than is bounded.
use std::{collections::hash_map::RandomState, hash::Hash};

use lru::LruCache;

/// A map of bounded size that forgets what was not used for longest, and counts what it forgot.
pub struct BoundedMap<K: Hash + Eq, V> {
    map: LruCache<K, V, RandomState>,
    capacity: usize,
    evicted: u64,
}

impl<K: Hash + Eq, V> BoundedMap<K, V> {
    pub fn new(capacity: usize) -> Self {
        // `LruCache::new` would reserve all of it at once.
        Self { map: LruCache::unbounded_with_hasher(RandomState::new()), capacity, evicted: 0 }
    }

    /// The value of a key, which counts as a use of it.
    pub fn get(&mut self, key: &K) -> Option<&V> {
        self.map.get(key)
    }

    /// The value of a key, which counts as a use of it.
    pub fn get_mut(&mut self, key: &K) -> Option<&mut V> {
        self.map.get_mut(key)
    }

    /// The value of a key, which counts for nothing.
    pub fn peek(&self, key: &K) -> Option<&V> {
        self.map.peek(key)
    }

    pub fn insert(&mut self, key: K, value: V) {
        self.make_room(&key);
        self.map.put(key, value);
    }

    /// Takes the value of a key out.
    pub fn remove(&mut self, key: &K) -> Option<V> {
        self.map.pop(key)
    }

    /// Forgets the values that `gone` names; not for want of room.
    pub fn remove_all(&mut self, gone: impl Fn(&V) -> bool)
    where
        K: Clone,
    {
        let gone = self.map.iter().filter(|(_, value)| gone(value)).map(|(key, _)| key.clone());
        for key in gone.collect::<Vec<_>>() {
            self.map.pop(&key);
        }
    }

    /// All values, which counts for nothing.
    pub fn values(&self) -> impl Iterator<Item = &V> {
        self.map.iter().map(|(_, value)| value)
    }

    /// All values, which counts for nothing.
    pub fn values_mut(&mut self) -> impl Iterator<Item = &mut V> {
        self.map.iter_mut().map(|(_, value)| value)
    }

    /// The value of a key, its default if it has none yet.
    pub fn entry(&mut self, key: K) -> &mut V
    where
        V: Default,
    {
        self.make_room(&key);
        self.map.get_or_insert_mut(key, V::default)
    }

    /// How many keys were forgotten so far for want of room.
    pub fn evicted(&self) -> u64 {
        self.evicted
    }

    /// Makes room for a key; gives what was forgotten for it.
    pub fn make_room(&mut self, key: &K) -> Option<V> {
        if self.map.len() < self.capacity || self.map.contains(key) {
            return None;
        }
        let (_, forgotten) = self.map.pop_lru()?;
        self.evicted += 1;
        Some(forgotten)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn values(map: &BoundedMap<u32, u32>) -> [Option<u32>; 4] {
        [1, 2, 3, 4].map(|key| map.peek(&key).copied())
    }

    #[test]
    fn what_was_not_used_for_longest_goes_first() {
        let mut map = BoundedMap::new(2);
        for key in 1..=3 {
            map.insert(key, key);
        }
        map.insert(3, 4);
        assert_eq!(values(&map), [None, Some(2), Some(4), None]);
        assert_eq!(map.get(&2), Some(&2));
        *map.entry(4) += 1;
        assert_eq!(values(&map), [None, Some(2), None, Some(1)]);
        assert_eq!(map.evicted(), 2);
    }

    #[test]
    fn a_glance_is_no_use() {
        let mut map = BoundedMap::new(2);
        map.insert(1, 1);
        map.insert(2, 2);
        assert_eq!(map.peek(&1), Some(&1));
        map.insert(3, 3);
        assert_eq!(values(&map), [None, Some(2), Some(3), None]);
    }
}
