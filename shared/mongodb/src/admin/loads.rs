//! Loads as people look for them, and which documents and tables they left.

use std::collections::BTreeMap;

use bson::{Document, doc};
use futures::TryStreamExt as _;
use pipeline::ledger::{Load, Status};
use pipeline::store::admin::NotedTable;

use crate::collections::{LOADS, REJECTS, TABLES};
use crate::loads::load_of;

use super::databases::{Databases, number, text};
use super::failure::DriverFailure;

/// Loads that are asked for at once.
const LOADS_AT_ONCE: usize = 1_000;

pub(super) async fn named(databases: &Databases, name: &str) -> Result<Vec<Load>, DriverFailure> {
    let filter = doc! { "$or": [{ "_id": name }, { "key": name }] };
    let found = databases.own(LOADS).find(filter).sort(doc! { "begun": -1 }).await?;
    let found: Vec<Document> = found.try_collect().await?;
    Ok(found.iter().filter_map(load_of).collect())
}

pub(super) async fn of_other_catalogs(
    databases: &Databases,
    catalogs: &[&str],
) -> Result<Option<Load>, DriverFailure> {
    let settled = Status::ALL.iter().copied().filter(|status| status.is_settled()).map(Status::as_str);
    let filter = doc! {
        "catalog": { "$nin": catalogs },
        "status": { "$in": settled.collect::<Vec<_>>() },
    };
    let found = databases.own(LOADS).find_one(filter).await?;
    Ok(found.as_ref().and_then(load_of))
}

pub(super) async fn noted_tables(databases: &Databases) -> Result<Vec<NotedTable>, DriverFailure> {
    let with_rows = doc! { "$or": [{ "anchors": true }, { "keys": true }] };
    let notes: Vec<Document> = databases.own(TABLES).find(with_rows).await?.try_collect().await?;
    let noted = |note: &Document| {
        Some(NotedTable { resource_type: text(note, "type")?, table: text(note, "table")? })
    };
    Ok(notes.iter().filter_map(noted).collect())
}

/// Counts documents. No index helps: every table is read.
pub(super) async fn count_documents(
    databases: &Databases,
    loads: &[&str],
) -> Result<BTreeMap<String, u64>, DriverFailure> {
    let mut counts: BTreeMap<String, u64> = BTreeMap::new();
    let mut tables = databases.tables().await?;
    tables.push((REJECTS.to_owned(), &databases.rows));
    for loads in loads.chunks(LOADS_AT_ONCE) {
        for (name, place) in &tables {
            let stages = [
                doc! { "$match": { "_load": { "$in": loads } } },
                doc! { "$group": { "_id": "$_load", "documents": { "$sum": 1_i64 } } },
            ];
            let mut counted = place.collection::<Document>(name).aggregate(stages).await?;
            while let Some(counted) = counted.try_next().await? {
                if let Ok(load) = counted.get_str("_id") {
                    *counts.entry(load.to_owned()).or_default() +=
                        number(&counted, "documents").unwrap_or_default();
                }
            }
        }
    }
    Ok(counts)
}

pub(super) async fn count_records(
    databases: &Databases,
    loads: &[&str],
) -> Result<BTreeMap<String, u64>, DriverFailure> {
    let mut counts = BTreeMap::new();
    for loads in loads.chunks(LOADS_AT_ONCE) {
        let entries = databases.own(LOADS);
        let entries = entries.find(doc! { "_id": { "$in": loads } });
        let entries: Vec<Document> =
            entries.projection(doc! { "counts.records": 1 }).await?.try_collect().await?;
        counts.extend(entries.iter().filter_map(|entry| {
            let records = number(entry.get_document("counts").ok()?, "records")?;
            Some((text(entry, "_id")?, records))
        }));
    }
    Ok(counts)
}
