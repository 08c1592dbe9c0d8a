//! The documents of a resource in a store: in which tables they are, and from which objects they came.

use std::collections::{BTreeMap, BTreeSet};

/// Where a stored document came from, as its own columns say.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct StoredSource {
    /// The object's bucket.
    pub bucket: String,
    /// The object's key.
    pub key: String,
    /// The object's version id, where the bucket has versions.
    pub version_id: Option<String>,
    /// Which record of the object, from 0.
    pub ordinal: u64,
    /// First byte of the record in the inflated object.
    pub offset: u64,
    /// Length of the record in bytes.
    pub length: u64,
}

/// Where a row, or an archived resource, came from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RowOrigin {
    /// The load that wrote it.
    pub load: String,
    /// Its record.
    pub source: StoredSource,
}

/// The documents of one resource.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Standing {
    /// How many documents, by place: a table, `archive TYPE`, `_tombstones` or `_rejects`.
    pub places: BTreeMap<String, u64>,
    /// The tables among the places.
    pub tables: BTreeSet<String>,
    /// The records that the documents were made of, by load.
    pub records: BTreeMap<String, RecordsOfObject>,
}

/// The records of a resource in one object.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct RecordsOfObject {
    /// The bucket.
    pub bucket: String,
    /// The key.
    pub key: String,
    /// The version id, where the bucket has versions.
    pub version_id: Option<String>,
    /// Offsets and lengths.
    pub ranges: BTreeSet<(u64, u64)>,
    /// How many documents were made of them.
    pub documents: u64,
}

impl Standing {
    /// Counts a document in a place. `origin` is its load and where it came from; tombstones have none.
    pub fn add(&mut self, place: &str, origin: Option<(&str, StoredSource)>) {
        *self.places.entry(place.to_owned()).or_default() += 1;
        let Some((load, source)) = origin else { return };
        let StoredSource { bucket, key, version_id, offset, length, .. } = source;
        let records = self.records.entry(load.to_owned());
        let records = records.or_insert_with(|| RecordsOfObject {
            bucket,
            key,
            version_id,
            ..RecordsOfObject::default()
        });
        records.ranges.insert((offset, length));
        records.documents += 1;
    }

    /// Counts a document in a table.
    pub fn add_row(&mut self, table: &str, origin: Option<(&str, StoredSource)>) {
        self.add(table, origin);
        self.tables.insert(table.to_owned());
    }

    /// Returns whether nothing stands.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.places.is_empty()
    }

    /// Returns the places as text: `3 in Patient, 1 in _rejects`.
    #[must_use]
    pub fn listed(&self) -> String {
        let places = self.places.iter().map(|(place, count)| format!("{count} in {place}"));
        places.collect::<Vec<_>>().join(", ")
    }
}
