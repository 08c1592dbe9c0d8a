//! What was met under a name: found by looking through a few, through an index where hostile input made up many.

use std::collections::BTreeMap;

/// Past so many names a list is no longer looked through.
const FEW: usize = 64;

/// Values by name, in the order in which they came.
#[derive(Debug)]
pub(super) struct Remembered<T> {
    list: Vec<(Box<str>, T)>,
    /// Where a name stands; empty as long as there are few.
    index: BTreeMap<Box<str>, usize>,
}

impl<T> Default for Remembered<T> {
    fn default() -> Self {
        Self { list: Vec::new(), index: BTreeMap::new() }
    }
}

impl<T: Copy> Remembered<T> {
    /// The value at an index, if the name is this one.
    pub(super) fn at(&self, index: usize, name: &str) -> Option<T> {
        self.list.get(index).filter(|(known, _)| **known == *name).map(|(_, value)| *value)
    }

    /// Where a name stands, and its value.
    pub(super) fn find(&self, name: &str) -> Option<(usize, T)> {
        let index = if self.list.len() <= FEW {
            self.list.iter().position(|(known, _)| **known == *name)?
        } else {
            *self.index.get(name)?
        };
        self.list.get(index).map(|(_, value)| (index, *value))
    }

    /// Remembers a name that was not known; where it stands.
    pub(super) fn push(&mut self, name: &str, value: T) -> usize {
        let at = self.list.len();
        self.list.push((name.into(), value));
        if at == FEW {
            let indexed = self.list.iter().enumerate().map(|(index, (name, _))| (name.clone(), index));
            self.index = indexed.collect();
        } else if at > FEW {
            self.index.insert(name.into(), at);
        }
        at
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = (&str, T)> {
        self.list.iter().map(|(name, value)| (&**name, *value))
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
                assert_eq!(remembered.at(known, &known.to_string()), Some(known));
                assert_eq!(remembered.at(known, "x"), None);
            }
        }
        assert_eq!(remembered.iter().count(), 3 * FEW);
    }
}
