//! What is remembered, and no more of it than is bounded.
use std::collections::{HashMap, VecDeque};

/// A map of bounded size that forgets what was inserted first.
pub struct BoundedMap<K, V> {
    map: HashMap<K, V>,
    order: VecDeque<K>,
    most: usize,
}

impl<K: std::hash::Hash + Eq + Copy, V> BoundedMap<K, V> {
    pub fn new(most: usize) -> Self {
        Self { map: HashMap::new(), order: VecDeque::new(), most }
    }

    pub fn get(&self, key: &K) -> Option<&V> {
        self.map.get(key)
    }

    pub fn get_mut(&mut self, key: &K) -> Option<&mut V> {
        self.map.get_mut(key)
    }

    pub fn insert(&mut self, key: K, value: V) {
        self.make_room(key);
        self.map.insert(key, value);
    }

    pub fn entry(&mut self, key: K) -> &mut V
    where
        V: Default,
    {
        self.make_room(key);
        self.map.entry(key).or_default()
    }

    /// Forgets what came first, if there is no room for another key.
    fn make_room(&mut self, key: K) {
        if self.map.contains_key(&key) {
            return;
        }
        if self.order.len() == self.most
            && let Some(oldest) = self.order.pop_front()
        {
            self.map.remove(&oldest);
        }
        self.order.push_back(key);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_came_first_goes_first() {
        let mut recent = BoundedMap::new(2);
        for key in 1..=3 {
            recent.insert(key, key);
        }
        recent.insert(3, 4);
        assert_eq!([1, 2, 3].map(|key| recent.get(&key).copied()), [None, Some(2), Some(4)]);
    }
}
