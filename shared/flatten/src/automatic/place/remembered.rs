//! What was met under a name: found by looking through a few, through an index where hostile input made up many.

use std::collections::BTreeMap;

use crate::json::Ends;

/// Past so many names a list is no longer looked through.
const FEW: usize = 64;

/// Which load it is. What an earlier load has met is remembered, but no matter of this one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Epoch(u32);

impl Epoch {
    pub(super) const fn next(self) -> Self {
        Self(self.0.wrapping_add(1))
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
    met: Epoch,
}

/// What it takes to remember a name.
pub(super) const fn bytes_of<T>(name: &str) -> usize {
    size_of::<Entry<T>>() + size_of::<Box<str>>() + name.len()
}

impl<T> Default for Remembered<T> {
    fn default() -> Self {
        Self { list: Vec::new(), names: Vec::new(), index: BTreeMap::new() }
    }
}

impl<T: Copy> Remembered<T> {
    /// The value at an index, if the name is this one.
    #[inline]
    pub(super) fn at(&mut self, index: usize, name: &[u8], now: Epoch) -> Option<T> {
        let entry = self.list.get_mut(index).filter(|entry| entry.ends == Ends::of(name))?;
        if !entry.ends.are_all() && self.names.get(index).is_none_or(|known| known.as_bytes() != name) {
            return None;
        }
        entry.met = now;
        Some(entry.value)
    }

    /// Where a name stands, and its value.
    pub(super) fn find(&mut self, name: &str, now: Epoch) -> Option<(usize, T)> {
        let index = if self.list.len() <= FEW {
            let ends = Ends::of(name.as_bytes());
            let mut entries = self.list.iter().zip(&self.names);
            entries.position(|(entry, known)| entry.ends == ends && **known == *name)?
        } else {
            *self.index.get(name)?
        };
        let entry = self.list.get_mut(index)?;
        entry.met = now;
        Some((index, entry.value))
    }

    /// Remembers a name that was not known; where it stands.
    pub(super) fn push(&mut self, name: &str, value: T, now: Epoch) -> usize {
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

    /// What this load has met.
    pub(super) fn met(&self, now: Epoch) -> impl Iterator<Item = (&str, T)> {
        let all = self.list.iter().zip(&self.names).filter(move |(entry, _)| entry.met == now);
        all.map(|(entry, name)| (&**name, entry.value))
    }
}

#[cfg(test)]
mod tests {
    use super::{Epoch, FEW, Remembered};

    #[test]
    fn many_names_are_found_like_few() {
        let (mut remembered, now) = (Remembered::default(), Epoch::default());
        for number in 0..3 * FEW {
            assert_eq!(remembered.find(&number.to_string(), now), None);
            assert_eq!(remembered.push(&number.to_string(), number, now), number);
            for known in [0, number / 2, number] {
                assert_eq!(remembered.find(&known.to_string(), now), Some((known, known)));
                assert_eq!(remembered.at(known, known.to_string().as_bytes(), now), Some(known));
                assert_eq!(remembered.at(known, b"x", now), None);
            }
        }
        assert_eq!(remembered.met(now).count(), 3 * FEW);
    }

    #[test]
    fn a_load_has_met_what_it_has_looked_for() {
        let (mut remembered, before) = (Remembered::default(), Epoch::default());
        for name in ["a", "b", "a name of more than sixteen bytes", "c"] {
            remembered.push(name, name.len(), before);
        }
        let now = before.next();
        assert_eq!(remembered.met(now).count(), 0);
        assert_eq!(remembered.at(2, b"a name of more then sixteen bytes", now), None);
        assert_eq!(remembered.at(2, b"a name of more than sixteen bytes", now), Some(33));
        assert_eq!(remembered.find("b", now), Some((1, 1)));
        assert_eq!(remembered.met(now).map(|(_, length)| length).collect::<Vec<_>>(), [1, 33]);
    }
}
