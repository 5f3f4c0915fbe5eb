//! A map that keeps the order in which its keys came, as PHP's arrays do, and finds a key at once however
//! many there are.

use std::borrow::Borrow;
use std::collections::HashMap;
use std::hash::Hash;

#[derive(Clone, Debug)]
pub(crate) struct Ordered<K, V> {
    entries: Vec<(K, V)>,
    places: HashMap<K, usize>,
}

impl<K, V> Default for Ordered<K, V> {
    fn default() -> Self {
        Self {
            entries: Vec::new(),
            places: HashMap::new(),
        }
    }
}

impl<K: PartialEq, V: PartialEq> PartialEq for Ordered<K, V> {
    fn eq(&self, other: &Self) -> bool {
        self.entries == other.entries
    }
}

impl<K: Clone + Eq + Hash, V> Ordered<K, V> {
    pub(crate) fn iter(&self) -> impl Iterator<Item = (&K, &V)> {
        self.entries.iter().map(|(key, value)| (key, value))
    }

    pub(crate) fn iter_mut(&mut self) -> impl Iterator<Item = (&K, &mut V)> {
        self.entries.iter_mut().map(|(key, value)| (&*key, value))
    }

    pub(crate) fn into_entries(self) -> Vec<(K, V)> {
        self.entries
    }

    pub(crate) fn len(&self) -> usize {
        self.entries.len()
    }

    pub(crate) fn get<Q>(&self, key: &Q) -> Option<&V>
    where
        K: Borrow<Q>,
        Q: Eq + Hash + ?Sized,
    {
        self.places.get(key).map(|place| &self.entries[*place].1)
    }

    pub(crate) fn get_mut(&mut self, key: &K) -> Option<&mut V> {
        let place = *self.places.get(key)?;
        Some(&mut self.entries[place].1)
    }

    /// The value of a key, made if it is not there.
    pub(crate) fn entry(&mut self, key: K, make: impl FnOnce() -> V) -> &mut V {
        let place = *self.places.entry(key).or_insert_with_key(|key| {
            self.entries.push((key.clone(), make()));
            self.entries.len() - 1
        });
        &mut self.entries[place].1
    }

    /// Removes a key, in time that grows with the size of the map.
    pub(crate) fn remove<Q>(&mut self, key: &Q)
    where
        K: Borrow<Q>,
        Q: Eq + Hash + ?Sized,
    {
        let Some(removed) = self.places.remove(key) else {
            return;
        };
        self.entries.remove(removed);
        for place in self.places.values_mut().filter(|place| **place > removed) {
            *place -= 1;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_stay_in_their_order_and_are_found_after_others_were_removed() {
        let mut map = Ordered::default();
        for key in ["b", "a", "c", "a"] {
            *map.entry(key, || 0) += 1;
        }
        map.remove("b");
        map.remove("none");
        assert_eq!(map.get("c"), Some(&1));
        assert_eq!(map.into_entries(), [("a", 2), ("c", 1)]);
    }
}
