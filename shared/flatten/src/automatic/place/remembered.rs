//! What was met under a name: found by looking through a few, through an index where hostile input made up many.

use std::collections::BTreeMap;

use crate::json::Ends;

/// Past so many names a list is no longer looked through.
const FEW: usize = 64;

/// The number of a resource. What was met before the first resource of a load is remembered, but is not the load's.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub(super) struct LoadGeneration(u64);

impl LoadGeneration {
    pub(super) const fn next(self) -> Self {
        Self(self.0 + 1)
    }
}

/// Values by name, in the order in which they came.
#[derive(Debug)]
pub(super) struct Remembered<T> {
    list: Vec<Entry<T>>,
    names: Vec<Box<str>>,
    /// Where a name stands; empty as long as there are few.
    index: BTreeMap<Box<str>, usize>,
}

/// A value, and the ends of its name: most names are told by them.
#[derive(Debug)]
struct Entry<T> {
    ends: Ends,
    value: T,
    met: LoadGeneration,
}

/// What it takes to remember a name, also in the index.
pub(super) const fn bytes_of<T>(name: &str) -> usize {
    size_of::<Entry<T>>() + 3 * size_of::<Box<str>>() + 2 * name.len()
}

/// What was found under a name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Met<T> {
    /// Where the name stands.
    pub(super) index: usize,
    pub(super) value: T,
    /// Whether the resource at hand had not met it before.
    pub(super) is_first: bool,
}

impl<T> Default for Remembered<T> {
    fn default() -> Self {
        Self { list: Vec::new(), names: Vec::new(), index: BTreeMap::new() }
    }
}

impl<T: Copy> Entry<T> {
    #[inline]
    fn meet(&mut self, index: usize, now: LoadGeneration) -> Met<T> {
        let is_first = self.met != now;
        self.met = now;
        Met { index, value: self.value, is_first }
    }
}

impl<T: Copy> Remembered<T> {
    /// The value at an index, if the name is this one.
    #[inline]
    pub(super) fn at(&mut self, index: usize, name: &[u8], now: LoadGeneration) -> Option<Met<T>> {
        let entry = self.list.get_mut(index).filter(|entry| entry.ends == Ends::of(name))?;
        if !entry.ends.are_all() && self.names.get(index).is_none_or(|known| known.as_bytes() != name) {
            return None;
        }
        Some(entry.meet(index, now))
    }

    /// The value of a name.
    pub(super) fn find(&mut self, name: &str, now: LoadGeneration) -> Option<Met<T>> {
        let index = if self.list.len() <= FEW {
            let ends = Ends::of(name.as_bytes());
            let mut entries = self.list.iter().zip(&self.names);
            entries.position(|(entry, known)| entry.ends == ends && **known == *name)?
        } else {
            *self.index.get(name)?
        };
        Some(self.list.get_mut(index)?.meet(index, now))
    }

    /// Remembers a name that was not known; where it stands.
    pub(super) fn push(&mut self, name: &str, value: T, now: LoadGeneration) -> usize {
        let at = self.list.len();
        self.list.push(Entry { ends: Ends::of(name.as_bytes()), value, met: now });
        self.names.push(name.into());
        if at == FEW {
            let indexed = self.names.iter().enumerate().map(|(index, name)| (name.clone(), index));
            self.index = indexed.collect();
        } else if at > FEW {
            self.index.insert(name.into(), at);
        }
        at
    }

    /// What was met since a resource.
    pub(super) fn met(&self, since: LoadGeneration) -> impl Iterator<Item = (&str, T)> {
        let all = self.list.iter().zip(&self.names).filter(move |(entry, _)| entry.met >= since);
        all.map(|(entry, name)| (&**name, entry.value))
    }
}

#[cfg(test)]
mod tests {
    use super::{FEW, LoadGeneration, Met, Remembered};

    #[test]
    fn many_names_are_found_like_few() {
        let (mut remembered, now) = (Remembered::default(), LoadGeneration::default());
        for number in 0..3 * FEW {
            assert_eq!(remembered.find(&number.to_string(), now), None);
            assert_eq!(remembered.push(&number.to_string(), number, now), number);
            for known in [0, number / 2, number] {
                let found = Some(Met { index: known, value: known, is_first: false });
                assert_eq!(remembered.find(&known.to_string(), now), found);
                assert_eq!(remembered.at(known, known.to_string().as_bytes(), now), found);
                assert_eq!(remembered.at(known, b"x", now), None);
            }
        }
        assert_eq!(remembered.met(now).count(), 3 * FEW);
    }

    #[test]
    fn a_load_has_met_what_it_has_looked_for() {
        let (mut remembered, before) = (Remembered::default(), LoadGeneration::default());
        for name in ["a", "b", "a name of more than sixteen bytes", "c"] {
            remembered.push(name, name.len(), before);
        }
        let now = before.next();
        assert_eq!(remembered.met(now).count(), 0);
        assert_eq!(remembered.at(2, b"a name of more then sixteen bytes", now), None);
        let first = |index, value| Some(Met { index, value, is_first: true });
        assert_eq!(remembered.at(2, b"a name of more than sixteen bytes", now), first(2, 33));
        assert_eq!(remembered.find("b", now), first(1, 1));
        assert!(!remembered.find("b", now).unwrap().is_first);
        assert_eq!(remembered.met(now).map(|(_, length)| length).collect::<Vec<_>>(), [1, 33]);
    }
}
