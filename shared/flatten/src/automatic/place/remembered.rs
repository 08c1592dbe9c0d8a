//! What was met under a name: found by looking through a few, through an index where hostile input made up many.

use std::collections::BTreeMap;

use crate::json::Ends;

/// Past so many names a list is no longer looked through.
const FEW: usize = 64;

/// Values by name, in the order in which they came.
#[derive(Debug)]
pub(super) struct Remembered<T> {
    list: Vec<Entry<T>>,
    /// Where a name stands; empty as long as there are few.
    index: BTreeMap<Box<str>, usize>,
}

/// A value and its name, whose ends are at hand: most names are told by them.
#[derive(Debug)]
struct Entry<T> {
    ends: Ends,
    value: T,
    name: Box<str>,
}

impl<T> Default for Remembered<T> {
    fn default() -> Self {
        Self { list: Vec::new(), index: BTreeMap::new() }
    }
}

impl<T: Copy> Remembered<T> {
    /// The value at an index, if the name is this one.
    #[inline]
    pub(super) fn at(&self, index: usize, name: &[u8]) -> Option<T> {
        let entry = self.list.get(index)?;
        let is_same = entry.ends == Ends::of(name) && (entry.ends.are_all() || entry.name.as_bytes() == name);
        is_same.then_some(entry.value)
    }

    /// Where a name stands, and its value.
    pub(super) fn find(&self, name: &str) -> Option<(usize, T)> {
        let index = if self.list.len() <= FEW {
            let ends = Ends::of(name.as_bytes());
            self.list.iter().position(|entry| entry.ends == ends && *entry.name == *name)?
        } else {
            *self.index.get(name)?
        };
        self.list.get(index).map(|entry| (index, entry.value))
    }

    /// Remembers a name that was not known; where it stands.
    pub(super) fn push(&mut self, name: &str, value: T) -> usize {
        let at = self.list.len();
        self.list.push(Entry { ends: Ends::of(name.as_bytes()), value, name: name.into() });
        if at == FEW {
            let indexed = self.list.iter().enumerate().map(|(index, entry)| (entry.name.clone(), index));
            self.index = indexed.collect();
        } else if at > FEW {
            self.index.insert(name.into(), at);
        }
        at
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = (&str, T)> {
        self.list.iter().map(|entry| (&*entry.name, entry.value))
    }
}

#[cfg(test)]
mod tests {
    use super::{FEW, Remembered};

    #[test]
    fn many_names_are_found_like_few() {
        let mut remembered = Remembered::default();
        for number in 0..3 * FEW {
            assert_eq!(remembered.find(&number.to_string()), None);
            assert_eq!(remembered.push(&number.to_string(), number), number);
            for known in [0, number / 2, number] {
                assert_eq!(remembered.find(&known.to_string()), Some((known, known)));
                assert_eq!(remembered.at(known, known.to_string().as_bytes()), Some(known));
                assert_eq!(remembered.at(known, b"x"), None);
            }
        }
        assert_eq!(remembered.iter().count(), 3 * FEW);
    }
}
