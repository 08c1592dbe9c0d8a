//! What stands of resources: in which tables, and from which objects it came.

use std::collections::{BTreeMap, BTreeSet};

use futures::TryStreamExt as _;
use mongodb::Database as Rows;
use mongodb::bson::{Document, doc};

use crate::database::{Database, DatabaseError};

/// Keys that are looked for at once.
const KEYS_AT_ONCE: usize = 100;

/// What stands of one resource.
#[derive(Debug, Default)]
pub(super) struct Standing {
    /// How many documents, by table. Collections of the archive are named `archive TYPE`.
    pub(super) places: BTreeMap<String, u64>,
    /// The tables among the places.
    pub(super) tables: BTreeSet<String>,
    /// The records that the documents were made of, by load.
    pub(super) records: BTreeMap<String, Record>,
}

/// The records of a resource in one object.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Record {
    pub(super) bucket: String,
    pub(super) key: String,
    pub(super) version: Option<String>,
    /// Offsets and lengths.
    pub(super) ranges: BTreeSet<(i64, i64)>,
    /// How many documents point to the load.
    pub(super) documents: u64,
}

impl Standing {
    pub(super) fn is_empty(&self) -> bool {
        self.places.is_empty()
    }

    /// Returns `3 in Patient, 1 in _rejects`.
    pub(super) fn listed(&self) -> String {
        let places = self.places.iter().map(|(place, count)| format!("{count} in {place}"));
        places.collect::<Vec<_>>().join(", ")
    }

    fn add(&mut self, place: &str, document: &Document, pointer: Option<&Document>) {
        *self.places.entry(place.to_owned()).or_default() += 1;
        let (Ok(load), Some(pointer)) = (document.get_str("_load"), pointer) else { return };
        let text = |name| pointer.get_str(name).ok().map(str::to_owned);
        let number = |name| pointer.get_i64(name).unwrap_or_default();
        let record = self.records.entry(load.to_owned()).or_insert_with(|| Record {
            bucket: text("bucket").unwrap_or_default(),
            key: text("key").unwrap_or_default(),
            version: text("versionId"),
            ..Record::default()
        });
        record.ranges.insert((number("offset"), number("length")));
        record.documents += 1;
    }
}

/// Looks for everything that stands under some keys: rows, rows aside of the key, archived forms, tombstones, and
/// rejects that name it. A key of which nothing stands is not in the answer.
pub(super) async fn find(
    database: &Database,
    keys: &BTreeSet<String>,
) -> Result<BTreeMap<String, Standing>, DatabaseError> {
    let mut found: BTreeMap<String, Standing> = BTreeMap::new();
    let tables = tables_of(database).await?;
    let keys: Vec<&String> = keys.iter().collect();
    for keys in keys.chunks(KEYS_AT_ONCE) {
        for (name, place) in &tables {
            let is_table = place.name() == database.rows.name();
            let label = if is_table { name.clone() } else { format!("archive {name}") };
            let fields = doc! { "_source": 1, "_load": 1 };
            let mut rows = place.collection::<Document>(name).find(under(keys)).projection(fields).await?;
            while let Some(row) = rows.try_next().await? {
                let Some(standing) = owner_of(&row).map(|owner| found.entry(owner).or_default()) else {
                    continue;
                };
                standing.add(&label, &row, row.get_document("_source").ok());
                if is_table {
                    standing.tables.insert(name.clone());
                }
            }
        }
        let named =
            |field: &str| doc! { field: { "$in": keys.iter().map(|key| key.as_str()).collect::<Vec<_>>() } };
        let mut tombstones = database.rows.collection::<Document>("_tombstones").find(named("_id")).await?;
        while let Some(tombstone) = tombstones.try_next().await? {
            if let Some(owner) = owner_of(&tombstone) {
                found.entry(owner).or_default().add("_tombstones", &tombstone, None);
            }
        }
        let mut rejects = database.rows.collection::<Document>("_rejects").find(named("resource")).await?;
        while let Some(reject) = rejects.try_next().await? {
            if let Ok(key) = reject.get_str("resource") {
                found.entry(key.to_owned()).or_default().add("_rejects", &reject, Some(&reject));
            }
        }
    }
    Ok(found)
}

/// Returns the key of the resource that a row belongs to.
pub(super) fn owner_of(row: &Document) -> Option<String> {
    row.get_str("_id").ok()?.split('#').next().map(str::to_owned)
}

/// What belongs to keys: themselves and everything that goes on with `#`. `$` follows `#`.
fn under(keys: &[&String]) -> Document {
    let aside =
        keys.iter().map(|key| doc! { "_id": { "$gte": format!("{key}#"), "$lt": format!("{key}$") } });
    let themselves = doc! { "_id": { "$in": keys.iter().map(|key| key.as_str()).collect::<Vec<_>>() } };
    let either: Vec<Document> = std::iter::once(themselves).chain(aside).collect();
    doc! { "$or": either }
}

/// Returns all tables and all collections of the archive, each with its database.
pub(super) async fn tables_of(database: &Database) -> Result<Vec<(String, &Rows)>, DatabaseError> {
    let mut tables = Vec::new();
    for place in [&database.rows, &database.archive] {
        let mut names = place.list_collection_names().await?;
        names.retain(|name| !name.starts_with('_') && !name.starts_with("system."));
        names.sort();
        tables.extend(names.into_iter().map(|name| (name, place)));
    }
    Ok(tables)
}
