//! Summaries: what became of every record of an object. They always add up.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::AddAssign;

/// Counts of one object, or of several added up.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Summary {
    /// Bytes of the object as stored.
    pub bytes: u64,
    /// Bytes after decompression.
    pub inflated_bytes: u64,
    /// Records read: resources, entries that delete, and broken ones.
    pub records: u64,
    /// Resources whose rows are in the tables.
    pub loaded: u64,
    /// Resources that the tables already had, of the same time and with the same content.
    pub unchanged: u64,
    /// Resources of which the tables already had a newer version.
    pub superseded: u64,
    /// Resources that a DELETE entry removed.
    pub deleted: u64,
    /// DELETE entries read, whatever became of them.
    pub delete_entries: u64,
    /// Resources that went to the archive.
    pub archived: u64,
    /// Records that were set aside.
    pub rejected: u64,
    /// Rows written.
    pub rows: u64,
    /// Resources that were loaded but are missing in a view.
    pub view_defects: u64,
    /// Loaded resources by type.
    pub types: BTreeMap<String, u64>,
    /// Rejects and view defects by code.
    pub codes: BTreeMap<String, u64>,
    /// How often checks did not pass, by the name of the check.
    pub checks: BTreeMap<String, u64>,
    /// What was new to the dictionary of columns.
    pub drift: Drift,
}

/// What the dictionary of columns, `_columns`, did not know before.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Drift {
    /// Columns that no load had filled before.
    pub new_columns: u64,
    /// Of these the ones for elements that no FHIR release knows.
    pub unknown_elements: u64,
    /// Columns in which extensions of two URLs with one tail meet, or are kept apart by a suffix, for the first time.
    pub clashes: u64,
    /// How many values had a column that is not in the dictionary, because 20,000 others of the load are.
    pub unlisted: u64,
    /// `<table>.<column>` of the first new ones, at most [`Drift::MAX_NAMES`]. Names that follow from the data alone,
    /// of unknown elements and of extensions, are in `_columns` only: a sender may have made them up.
    pub names: BTreeSet<String>,
}

impl Drift {
    /// The most names that are listed.
    pub const MAX_NAMES: usize = 50;

    /// Returns whether nothing was new.
    #[must_use]
    pub const fn is_none(&self) -> bool {
        self.new_columns == 0 && self.clashes == 0 && self.unlisted == 0
    }
}

impl AddAssign for Drift {
    fn add_assign(&mut self, other: Self) {
        self.new_columns += other.new_columns;
        self.unknown_elements += other.unknown_elements;
        self.clashes += other.clashes;
        self.unlisted += other.unlisted;
        self.names.extend(other.names);
        while self.names.len() > Self::MAX_NAMES {
            self.names.pop_last();
        }
    }
}

impl Summary {
    /// Adds what checks have found.
    pub(crate) fn add_checks(&mut self, checks: BTreeMap<String, u64>) {
        for (name, count) in checks {
            *self.checks.entry(name).or_default() += count;
        }
    }

    /// Returns whether every record read has met exactly one fate.
    #[must_use]
    pub const fn adds_up(&self) -> bool {
        self.records
            == self.loaded + self.unchanged + self.superseded + self.deleted + self.archived + self.rejected
    }
}

impl AddAssign for Summary {
    fn add_assign(&mut self, other: Self) {
        self.bytes += other.bytes;
        self.inflated_bytes += other.inflated_bytes;
        self.records += other.records;
        self.loaded += other.loaded;
        self.unchanged += other.unchanged;
        self.superseded += other.superseded;
        self.deleted += other.deleted;
        self.delete_entries += other.delete_entries;
        self.archived += other.archived;
        self.rejected += other.rejected;
        self.rows += other.rows;
        self.view_defects += other.view_defects;
        for (name, count) in other.types {
            *self.types.entry(name).or_default() += count;
        }
        for (code, count) in other.codes {
            *self.codes.entry(code).or_default() += count;
        }
        self.add_checks(other.checks);
        self.drift += other.drift;
    }
}
