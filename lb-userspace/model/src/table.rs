//! Ordered maps of which several versions are held at once.

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::{
    borrow::Borrow,
    collections::{BTreeMap, HashSet},
    fmt,
    ops::Index,
    slice,
    sync::Arc,
};

/// Entries of a part; one with more becomes two.
const PART_MAX: usize = 64;

/// Two parts beside each other with no more than this together become one.
const PART_MIN: usize = 16;

type Part<K, V> = Arc<Vec<(K, V)>>;

/// An ordered map in parts. A clone shares all of them, a change copies the one that it is in, and
/// where two versions differ is found without a look at what they share: what follows changes costs
/// as much as has changed, however much there is.
pub struct Table<K, V> {
    /// In the order of their keys; none is empty.
    parts: Arc<Vec<Part<K, V>>>,
    len: usize,
}

/// An entry that two versions of a [`Table`] do not agree about.
#[derive(Debug)]
pub struct Change<'a, K, V> {
    /// Its key.
    pub key: &'a K,
    /// As it was; `None` = it was not there.
    pub before: Option<&'a V>,
    /// As it is; `None` = it is not there any more.
    pub after: Option<&'a V>,
}

impl<K, V> Table<K, V> {
    /// One without entries.
    pub fn new() -> Self {
        Self { parts: Arc::new(Vec::new()), len: 0 }
    }

    /// How many entries there are.
    pub const fn len(&self) -> usize {
        self.len
    }

    /// Whether there are none.
    pub const fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Whether both are the same version, not only equal.
    pub fn is_same(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.parts, &other.parts)
    }

    /// The entries in the order of their keys.
    pub fn iter(&self) -> Iter<'_, K, V> {
        Iter { parts: self.parts.iter(), part: [].iter(), left: self.len }
    }

    /// The keys in order.
    pub fn keys(&self) -> impl Iterator<Item = &K> + Clone {
        self.iter().map(|(key, _)| key)
    }

    /// The values in the order of their keys.
    pub fn values(&self) -> impl Iterator<Item = &V> + Clone {
        self.iter().map(|(_, value)| value)
    }

    /// Forgets all entries.
    pub fn clear(&mut self) {
        *self = Self::new();
    }

    /// The first entry.
    pub fn first_key_value(&self) -> Option<(&K, &V)> {
        self.iter().next()
    }

    /// What differs from `before`, in the order of the keys. `is_same` tells whether a value of both
    /// is to count as one that did not change; it is asked only about parts that are not shared.
    pub fn changes<'a>(
        &'a self,
        before: &'a Self,
        is_same: impl Fn(&V, &V) -> bool,
    ) -> Vec<Change<'a, K, V>>
    where
        K: Ord,
    {
        let mut changes = Vec::new();
        if self.is_same(before) {
            return changes;
        }
        let (known, own) = (before.places(), self.places());
        let mut old = before.entries_beyond(&own).peekable();
        let mut new = self.entries_beyond(&known).peekable();
        loop {
            let order = match (old.peek(), new.peek()) {
                (Some(old), Some(new)) => old.0.cmp(&new.0),
                (Some(_), None) => std::cmp::Ordering::Less,
                (None, Some(_)) => std::cmp::Ordering::Greater,
                (None, None) => return changes,
            };
            let old = if order.is_le() { old.next() } else { None };
            let new = if order.is_ge() { new.next() } else { None };
            let Some((key, _)) = new.or(old) else { return changes };
            let (before, after) = (old.map(|it| &it.1), new.map(|it| &it.1));
            let is_other = match (before, after) {
                (Some(before), Some(after)) => !is_same(before, after),
                _ => true,
            };
            if is_other {
                changes.push(Change { key, before, after });
            }
        }
    }

    fn places(&self) -> HashSet<*const Vec<(K, V)>> {
        self.parts.iter().map(Arc::as_ptr).collect()
    }

    /// Entries of parts that are at none of these places.
    fn entries_beyond<'a>(
        &'a self,
        known: &HashSet<*const Vec<(K, V)>>,
    ) -> impl Iterator<Item = &'a (K, V)> {
        self.parts.iter().filter(|it| !known.contains(&Arc::as_ptr(it))).flat_map(|it| it.iter())
    }
}

impl<K: Ord, V> Table<K, V> {
    /// The value of a key.
    pub fn get<Q: Ord + ?Sized>(&self, key: &Q) -> Option<&V>
    where
        K: Borrow<Q>,
    {
        self.get_key_value(key).map(|(_, value)| value)
    }

    /// The entry of a key.
    pub fn get_key_value<Q: Ord + ?Sized>(&self, key: &Q) -> Option<(&K, &V)>
    where
        K: Borrow<Q>,
    {
        let (part, place) = self.find(key).ok()?;
        self.parts.get(part)?.get(place).map(|(key, value)| (key, value))
    }

    /// Whether there is an entry of a key.
    pub fn contains_key<Q: Ord + ?Sized>(&self, key: &Q) -> bool
    where
        K: Borrow<Q>,
    {
        self.find(key).is_ok()
    }

    /// The entries from a key on, whether it is there or not, in the order of their keys.
    pub fn iter_from<Q: Ord + ?Sized>(&self, key: &Q) -> impl Iterator<Item = (&K, &V)>
    where
        K: Borrow<Q>,
    {
        let (Ok((part, place)) | Err((part, place))) = self.find(key);
        let first = self.parts.get(part).and_then(|it| it.get(place..)).unwrap_or_default();
        let others = self.parts.get(part.saturating_add(1)..).unwrap_or_default();
        let entries = first.iter().chain(others.iter().flat_map(|it| it.iter()));
        entries.map(|(key, value)| (key, value))
    }

    /// Part and place of a key, or where it belongs.
    fn find<Q: Ord + ?Sized>(&self, key: &Q) -> Result<(usize, usize), (usize, usize)>
    where
        K: Borrow<Q>,
    {
        let begins = |it: &Part<K, V>| it.first().is_some_and(|it| it.0.borrow() <= key);
        let part = self.parts.partition_point(begins).saturating_sub(1);
        let Some(entries) = self.parts.get(part) else { return Err((0, 0)) };
        let found = entries.binary_search_by(|it| it.0.borrow().cmp(key));
        found.map(|place| (part, place)).map_err(|place| (part, place))
    }

    fn of_sorted(entries: Vec<(K, V)>) -> Self {
        let len = entries.len();
        let mut parts = Vec::with_capacity(len.div_ceil(PART_MAX));
        let mut entries = entries.into_iter().peekable();
        while entries.peek().is_some() {
            parts.push(Arc::new(entries.by_ref().take(PART_MAX).collect()));
        }
        Self { parts: Arc::new(parts), len }
    }
}

impl<K: Ord + Clone, V: Clone> Table<K, V> {
    /// Puts a value in; the one that the key had before.
    pub fn insert(&mut self, key: K, value: V) -> Option<V> {
        let found = self.find(&key);
        let parts = Arc::make_mut(&mut self.parts);
        let (Ok((part, place)) | Err((part, place))) = found;
        let last = parts.len().saturating_sub(1);
        let Some(entries) = parts.get_mut(part) else {
            parts.push(Arc::new(vec![(key, value)]));
            self.len += 1;
            return None;
        };
        if let Ok((_, place)) = found {
            let entry = Arc::make_mut(entries).get_mut(place)?;
            return Some(std::mem::replace(&mut entry.1, value));
        }
        self.len += 1;
        if entries.len() < PART_MAX {
            Arc::make_mut(entries).insert(place, (key, value));
        } else if part == last && place == entries.len() {
            // Sorted input makes full parts.
            parts.push(Arc::new(vec![(key, value)]));
        } else {
            let entries = Arc::make_mut(entries);
            let mut tail = entries.split_off(PART_MAX / 2);
            match place.checked_sub(PART_MAX / 2) {
                Some(place) => tail.insert(place, (key, value)),
                None => entries.insert(place, (key, value)),
            }
            parts.insert(part + 1, Arc::new(tail));
        }
        None
    }

    /// Takes an entry out.
    pub fn remove<Q: Ord + ?Sized>(&mut self, key: &Q) -> Option<V>
    where
        K: Borrow<Q>,
    {
        let (part, place) = self.find(key).ok()?;
        let parts = Arc::make_mut(&mut self.parts);
        let entries = Arc::make_mut(parts.get_mut(part)?);
        let (_, value) = entries.remove(place);
        let left = entries.len();
        self.len -= 1;
        if left == 0 {
            parts.remove(part);
        } else if let Some(next) = parts.get(part + 1)
            && left + next.len() <= PART_MIN
        {
            let next = parts.remove(part + 1);
            if let Some(entries) = parts.get_mut(part) {
                Arc::make_mut(entries).extend(Arc::unwrap_or_clone(next));
            }
        }
        Some(value)
    }

    /// The value of a key, to be changed; if there is none, `make` makes it.
    pub fn get_or_insert_with(&mut self, key: K, make: impl FnOnce() -> V) -> Option<&mut V> {
        if self.contains_key(&key) {
            return self.get_mut(&key);
        }
        let place = key.clone();
        self.insert(key, make());
        self.get_mut(&place)
    }

    /// The value of a key, to be changed.
    pub fn get_mut<Q: Ord + ?Sized>(&mut self, key: &Q) -> Option<&mut V>
    where
        K: Borrow<Q>,
    {
        let (part, place) = self.find(key).ok()?;
        let entries = Arc::make_mut(&mut self.parts).get_mut(part)?;
        Arc::make_mut(entries).get_mut(place).map(|it| &mut it.1)
    }

    /// All entries, their values to be changed: nothing is shared any more.
    pub fn iter_mut(&mut self) -> impl Iterator<Item = (&K, &mut V)> {
        let parts = Arc::make_mut(&mut self.parts).iter_mut();
        parts.flat_map(|it| Arc::make_mut(it).iter_mut().map(|(key, value)| (&*key, value)))
    }

    /// All values, to be changed: nothing is shared any more.
    pub fn values_mut(&mut self) -> impl Iterator<Item = &mut V> {
        self.iter_mut().map(|(_, value)| value)
    }

    /// Shares with `before` what is equal there.
    pub fn adopt(&mut self, before: Self)
    where
        V: PartialEq,
    {
        let mut shared = before;
        let known = shared.clone();
        for Change { key, after, .. } in self.changes(&known, V::eq) {
            match after {
                Some(value) => drop(shared.insert(key.clone(), value.clone())),
                None => drop(shared.remove(key)),
            }
        }
        *self = shared;
    }

    /// Leaves only the entries that `keep` wants. Parts that lose none stay shared.
    pub fn retain(&mut self, mut keep: impl FnMut(&K, &V) -> bool) {
        let mut removed = Vec::new();
        for (part, entries) in self.parts.iter().enumerate() {
            let kept: Vec<bool> = entries.iter().map(|(key, value)| keep(key, value)).collect();
            if kept.contains(&false) {
                removed.push((part, kept));
            }
        }
        if removed.is_empty() {
            return;
        }
        let parts = Arc::make_mut(&mut self.parts);
        for (part, kept) in removed {
            let Some(entries) = parts.get_mut(part).map(Arc::make_mut) else { continue };
            let mut kept = kept.into_iter();
            entries.retain(|_| kept.next().unwrap_or(true));
        }
        parts.retain(|it| !it.is_empty());
        self.len = parts.iter().map(|it| it.len()).sum();
    }
}

impl<K, V> Default for Table<K, V> {
    fn default() -> Self {
        Self::new()
    }
}

impl<K, V> Clone for Table<K, V> {
    fn clone(&self) -> Self {
        Self { parts: Arc::clone(&self.parts), len: self.len }
    }
}

impl<K: Ord, V: PartialEq> PartialEq for Table<K, V> {
    fn eq(&self, other: &Self) -> bool {
        self.len == other.len && self.changes(other, V::eq).is_empty()
    }
}

impl<K: Ord, V: Eq> Eq for Table<K, V> {}

impl<K: fmt::Debug, V: fmt::Debug> fmt::Debug for Table<K, V> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_map().entries(self).finish()
    }
}

impl<K: Ord + Borrow<Q>, V, Q: Ord + ?Sized> Index<&Q> for Table<K, V> {
    type Output = V;

    #[expect(clippy::expect_used, reason = "as any map does it")]
    fn index(&self, key: &Q) -> &V {
        self.get(key).expect("the key is there")
    }
}

impl<K: Ord, V> FromIterator<(K, V)> for Table<K, V> {
    fn from_iter<I: IntoIterator<Item = (K, V)>>(entries: I) -> Self {
        let entries: BTreeMap<K, V> = entries.into_iter().collect();
        entries.into()
    }
}

impl<K: Ord, V> From<BTreeMap<K, V>> for Table<K, V> {
    fn from(entries: BTreeMap<K, V>) -> Self {
        Self::of_sorted(entries.into_iter().collect())
    }
}

impl<K: Ord, V, const N: usize> From<[(K, V); N]> for Table<K, V> {
    fn from(entries: [(K, V); N]) -> Self {
        entries.into_iter().collect()
    }
}

impl<K: Ord + Clone, V: Clone> Extend<(K, V)> for Table<K, V> {
    fn extend<I: IntoIterator<Item = (K, V)>>(&mut self, entries: I) {
        for (key, value) in entries {
            self.insert(key, value);
        }
    }
}

impl<'a, K, V> IntoIterator for &'a Table<K, V> {
    type Item = (&'a K, &'a V);
    type IntoIter = Iter<'a, K, V>;

    fn into_iter(self) -> Iter<'a, K, V> {
        self.iter()
    }
}

impl<K: Serialize, V: Serialize> Serialize for Table<K, V> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self)
    }
}

impl<'de, K: Ord + Deserialize<'de>, V: Deserialize<'de>> Deserialize<'de> for Table<K, V> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        BTreeMap::deserialize(deserializer).map(Self::from)
    }
}

/// The entries of a [`Table`].
#[derive(Debug)]
pub struct Iter<'a, K, V> {
    parts: slice::Iter<'a, Part<K, V>>,
    part: slice::Iter<'a, (K, V)>,
    left: usize,
}

impl<K, V> Clone for Iter<'_, K, V> {
    fn clone(&self) -> Self {
        Self { parts: self.parts.clone(), part: self.part.clone(), left: self.left }
    }
}

impl<'a, K, V> Iterator for Iter<'a, K, V> {
    type Item = (&'a K, &'a V);

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            if let Some((key, value)) = self.part.next() {
                self.left = self.left.saturating_sub(1);
                return Some((key, value));
            }
            self.part = self.parts.next()?.iter();
        }
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        (self.left, Some(self.left))
    }
}

impl<K, V> ExactSizeIterator for Iter<'_, K, V> {}

#[cfg(test)]
mod tests;
