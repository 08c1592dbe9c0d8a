//! Values by name: few names are searched one by one, many (which hostile input makes up) through an index.

use std::collections::BTreeMap;

use crate::json::Ends;

/// Up to this many names are searched one by one.
const FEW: usize = 64;

/// The number of a resource. Entries that were last used before the first resource of a load do not belong to the load.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub(super) struct ResourceNumber(u64);

impl ResourceNumber {
    pub(super) const fn next(self) -> Self {
        Self(self.0 + 1)
    }
}

/// Values by name, in the order in which they were added.
#[derive(Debug)]
pub(super) struct NameCache<T> {
    list: Vec<CachedName<T>>,
    names: Vec<Box<str>>,
    /// The index of a name; empty as long as there are few.
    index: BTreeMap<Box<str>, usize>,
}

/// A value, and the ends of its name, which tell most names apart.
#[derive(Debug)]
struct CachedName<T> {
    ends: Ends,
    value: T,
    last_used: ResourceNumber,
}

/// Returns the memory that a name takes, also in the index.
pub(super) const fn bytes_of<T>(name: &str) -> usize {
    size_of::<CachedName<T>>() + 3 * size_of::<Box<str>>() + 2 * name.len()
}

/// A value that was found under a name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct CachedValue<T> {
    /// The index of the name.
    pub(super) index: usize,
    pub(super) value: T,
    /// Whether the current resource uses the name for the first time.
    pub(super) is_first_use: bool,
}

impl<T> Default for NameCache<T> {
    fn default() -> Self {
        Self { list: Vec::new(), names: Vec::new(), index: BTreeMap::new() }
    }
}

impl<T: Copy> CachedName<T> {
    #[inline]
    fn look_up(&mut self, index: usize, now: ResourceNumber) -> CachedValue<T> {
        let is_first_use = self.last_used != now;
        self.last_used = now;
        CachedValue { index, value: self.value, is_first_use }
    }
}

impl<T: Copy> NameCache<T> {
    /// Returns the value at an index, if the name is this one.
    #[inline]
    pub(super) fn at(&mut self, index: usize, name: &[u8], now: ResourceNumber) -> Option<CachedValue<T>> {
        let entry = self.list.get_mut(index).filter(|entry| entry.ends == Ends::of(name))?;
        if !entry.ends.are_all() && self.names.get(index).is_none_or(|known| known.as_bytes() != name) {
            return None;
        }
        Some(entry.look_up(index, now))
    }

    /// Returns the value of a name.
    pub(super) fn find(&mut self, name: &str, now: ResourceNumber) -> Option<CachedValue<T>> {
        let index = if self.list.len() <= FEW {
            let ends = Ends::of(name.as_bytes());
            let mut entries = self.list.iter().zip(&self.names);
            entries.position(|(entry, known)| entry.ends == ends && **known == *name)?
        } else {
            *self.index.get(name)?
        };
        Some(self.list.get_mut(index)?.look_up(index, now))
    }

    /// Adds a name that was not known, and returns its index.
    pub(super) fn push(&mut self, name: &str, value: T, now: ResourceNumber) -> usize {
        let at = self.list.len();
        self.list.push(CachedName { ends: Ends::of(name.as_bytes()), value, last_used: now });
        self.names.push(name.into());
        if at == FEW {
            let indexed = self.names.iter().enumerate().map(|(index, name)| (name.clone(), index));
            self.index = indexed.collect();
        } else if at > FEW {
            self.index.insert(name.into(), at);
        }
        at
    }

    /// Returns the names that were used since a resource.
    pub(super) fn used_since(&self, since: ResourceNumber) -> impl Iterator<Item = (&str, T)> {
        let all = self.list.iter().zip(&self.names).filter(move |(entry, _)| entry.last_used >= since);
        all.map(|(entry, name)| (&**name, entry.value))
    }
}

#[cfg(test)]
mod tests {
    use super::{CachedValue, FEW, NameCache, ResourceNumber};

    #[test]
    fn many_names_are_found_like_few() {
        let (mut cache, now) = (NameCache::default(), ResourceNumber::default());
        for number in 0..3 * FEW {
            assert_eq!(cache.find(&number.to_string(), now), None);
            assert_eq!(cache.push(&number.to_string(), number, now), number);
            for known in [0, number / 2, number] {
                let found = Some(CachedValue { index: known, value: known, is_first_use: false });
                assert_eq!(cache.find(&known.to_string(), now), found);
                assert_eq!(cache.at(known, known.to_string().as_bytes(), now), found);
                assert_eq!(cache.at(known, b"x", now), None);
            }
        }
        assert_eq!(cache.used_since(now).count(), 3 * FEW);
    }

    #[test]
    fn names_that_were_looked_up_belong_to_the_load() {
        let (mut cache, before) = (NameCache::default(), ResourceNumber::default());
        for name in ["a", "b", "a name of more than sixteen bytes", "c"] {
            cache.push(name, name.len(), before);
        }
        let now = before.next();
        assert_eq!(cache.used_since(now).count(), 0);
        assert_eq!(cache.at(2, b"a name of more then sixteen bytes", now), None);
        let first = |index, value| Some(CachedValue { index, value, is_first_use: true });
        assert_eq!(cache.at(2, b"a name of more than sixteen bytes", now), first(2, 33));
        assert_eq!(cache.find("b", now), first(1, 1));
        assert!(!cache.find("b", now).unwrap().is_first_use);
        assert_eq!(cache.used_since(now).map(|(_, length)| length).collect::<Vec<_>>(), [1, 33]);
    }
}
