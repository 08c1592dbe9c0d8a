//! What a process remembers of the entries of `_columns`, so that it need not look at them for each load.

use std::collections::BTreeMap;
use std::collections::hash_map::RandomState;
use std::hash::BuildHasher as _;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use flatten::column_type::ColumnType;
use flatten::dictionary::Column;

use crate::store::ColumnEntry;

/// Beyond so many entries all are forgotten.
const MOST: usize = 20_000;

/// All are forgotten after this, because other programs may change or remove entries.
const FORGET_AFTER: Duration = Duration::from_mins(5);

/// What matters of an entry. Texts that senders choose are hashed, so that it is small.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Known {
    /// The type of its cells.
    pub(super) column_type: Option<ColumnType>,
    /// The hash of its extension's URL, see [`KnownColumns::url`].
    pub(super) url: u64,
    pub(super) is_clash: bool,
    /// Which records of which load filled it first, see [`KnownColumns::origin_hash`].
    pub(super) first: u64,
    /// Whether an earlier version of the program has written it.
    pub(super) is_outdated: bool,
}

/// Entries that were read lately.
#[derive(Debug, Default)]
pub(super) struct KnownColumns {
    hasher: RandomState,
    lately: Mutex<Lately>,
}

#[derive(Debug, Default)]
struct Lately {
    /// By the hash of table and column.
    entries: BTreeMap<u64, Known>,
    since: Option<Instant>,
}

impl KnownColumns {
    /// Reads an entry.
    pub(super) fn read(&self, entry: &ColumnEntry) -> Known {
        let first = entry.first.as_ref().map_or(("", 0), |first| (first.load.as_str(), first.first_ordinal));
        Known {
            column_type: entry.column_type,
            url: self.url(entry.url.as_deref()),
            is_clash: entry.is_clash,
            first: self.origin_hash(first.0, first.1),
            is_outdated: entry.is_outdated,
        }
    }

    /// Returns the hash that stands for the URL of an extension, or for none.
    pub(super) fn url(&self, url: Option<&str>) -> u64 {
        self.hasher.hash_one(url)
    }

    /// Returns the hash that stands for the records of a load from an ordinal on.
    pub(super) fn origin_hash(&self, load: &str, first_ordinal: u64) -> u64 {
        self.hasher.hash_one((load, first_ordinal))
    }

    /// Remembers an entry that was read and needs no change. What was only written is not remembered: another load may
    /// have written the same entry at the same moment.
    pub(super) fn remember(&self, column: &Column, known: &Known) {
        let mut lately = self.lock();
        if lately.entries.len() >= MOST {
            lately.entries.clear();
        }
        if lately.entries.is_empty() {
            lately.since = Some(Instant::now());
        }
        lately.entries.insert(self.id(column), known.clone());
    }

    /// Leaves out the columns whose entries are remembered and are complete.
    pub(super) fn without_complete<'c>(
        &self,
        columns: &'c [Column],
        mut is_complete: impl FnMut(&Column, &Known) -> bool,
    ) -> Vec<&'c Column> {
        let mut lately = self.lock();
        if lately.since.is_some_and(|since| since.elapsed() >= FORGET_AFTER) {
            lately.entries.clear();
        }
        let is_open = |column: &&Column| {
            lately.entries.get(&self.id(column)).is_none_or(|known| !is_complete(column, known))
        };
        columns.iter().filter(is_open).collect()
    }

    fn id(&self, column: &Column) -> u64 {
        self.hasher.hash_one((&column.table, &column.name))
    }

    /// Entries are kept whole; a panic in another thread leaves none half written.
    fn lock(&self) -> MutexGuard<'_, Lately> {
        self.lately.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use flatten::column_type::ColumnType;
    use flatten::dictionary::{Column, Meaning};

    use super::{KnownColumns, MOST};
    use crate::store::{ColumnEntry, FirstFilled};

    fn column(name: usize) -> Column {
        let meaning = Meaning {
            path: None,
            url: None,
            derived: None,
            datatype: None,
            column_type: ColumnType::Any,
            is_unknown: true,
            is_clash: false,
        };
        Column { table: "Patient".to_owned(), name: name.to_string(), meaning, rows: 1 }
    }

    #[test]
    fn entries_are_remembered_until_there_are_too_many() {
        let known = KnownColumns::default();
        let first = FirstFilled { load: "a".to_owned(), at: 0, first_ordinal: 3 };
        let entry = known.read(&ColumnEntry::new(&column(0), first));
        assert_eq!(entry.first, known.origin_hash("a", 3));
        assert_ne!(entry.url, known.url(Some("")));
        let first = [column(0)];
        assert_eq!(known.without_complete(&first, |_, _| true).len(), 1);
        for name in 0..MOST {
            known.remember(&column(name), &entry);
        }
        assert!(known.without_complete(&first, |_, found| *found == entry).is_empty());
        assert_eq!(known.without_complete(&first, |_, _| false).len(), 1);
        known.remember(&column(MOST), &entry);
        assert_eq!(known.without_complete(&first, |_, _| true).len(), 1, "all were forgotten");
    }
}
