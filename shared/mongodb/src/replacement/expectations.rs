//! Whether a collection is expected to hold the resources of a batch already. A failed insert costs a server ten times
//! what a read costs, and a read costs a first load something for nothing: so what the batch before has met decides.

use std::collections::BTreeMap;

use super::command::DocumentPlace;

/// What a store has met in each collection, from batch to batch.
#[derive(Debug, Clone, Default)]
pub(crate) struct Expectations {
    tables: BTreeMap<String, bool>,
    archive: BTreeMap<String, bool>,
}

/// What is expected of a collection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Expectation {
    /// No batch has been written there: some of its resources are looked for.
    Unknown,
    /// The last batch met nothing: its resources are inserted at once.
    Nothing,
    /// The last batch met documents: all resources are looked for before they are written.
    Documents,
}

impl Expectations {
    /// Returns what is expected in a collection.
    pub(crate) fn of(&self, place: DocumentPlace<'_>) -> Expectation {
        let known = match place {
            DocumentPlace::Table(name) => self.tables.get(name),
            DocumentPlace::Archive(name) => self.archive.get(name),
            DocumentPlace::Tombstones => None,
        };
        match known {
            None => Expectation::Unknown,
            Some(false) => Expectation::Nothing,
            Some(true) => Expectation::Documents,
        }
    }

    /// Remembers whether a batch met documents in a collection.
    pub(crate) fn learn(&mut self, place: DocumentPlace<'_>, has_met: bool) {
        let (known, name) = match place {
            DocumentPlace::Table(name) => (&mut self.tables, name),
            DocumentPlace::Archive(name) => (&mut self.archive, name),
            DocumentPlace::Tombstones => return,
        };
        match known.get_mut(name) {
            Some(known) => *known = has_met,
            None => drop(known.insert(name.to_owned(), has_met)),
        }
    }
}
