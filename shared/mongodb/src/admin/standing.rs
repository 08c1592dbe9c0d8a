//! What stands under keys, in all tables, the archive, the tombstones and the rejects.

use std::collections::{BTreeMap, BTreeSet};

use bson::{Document, doc};
use futures::TryStreamExt as _;
use pipeline::store::standing::{RowOrigin, Standing, StoredSource};

use crate::collections::{REJECTS, TOMBSTONES};
use crate::ids_with_suffix;

use super::databases::{Databases, owner_of, source_of, text};
use super::failure::DriverFailure;

/// Keys that are looked for at once.
pub(super) const KEYS_AT_ONCE: usize = 100;

pub(super) async fn find(
    databases: &Databases,
    keys: &BTreeSet<String>,
) -> Result<BTreeMap<String, Standing>, DriverFailure> {
    let mut found: BTreeMap<String, Standing> = BTreeMap::new();
    let tables = databases.tables().await?;
    let keys: Vec<&String> = keys.iter().collect();
    for keys in keys.chunks(KEYS_AT_ONCE) {
        for (name, place) in &tables {
            let is_table = place.name() == databases.rows.name();
            let fields = doc! { "_source": 1, "_load": 1 };
            let mut rows = place.collection::<Document>(name).find(under(keys)).projection(fields).await?;
            while let Some(row) = rows.try_next().await? {
                let Some(owner) = owner_of(&row) else { continue };
                let origin = origin(&row, row.get_document("_source").ok());
                let standing = found.entry(owner).or_default();
                if is_table {
                    standing.add_row(name, origin);
                } else {
                    standing.add(&format!("archive {name}"), origin);
                }
            }
        }
        find_beside(databases, keys, &mut found).await?;
    }
    Ok(found)
}

pub(super) async fn origin_of(databases: &Databases, id: &str) -> Result<Option<RowOrigin>, DriverFailure> {
    let mut newest: Option<(String, RowOrigin)> = None;
    for (name, place) in databases.tables().await? {
        let fields = doc! { "_source": 1, "_load": 1, "_version": 1 };
        let rows = place.collection::<Document>(&name);
        let Some(row) = rows.find_one(doc! { "_id": id }).projection(fields).await? else { continue };
        let (Some(load), Ok(source)) = (text(&row, "_load"), row.get_document("_source")) else { continue };
        let version = text(&row, "_version").unwrap_or_default();
        if newest.as_ref().is_none_or(|(newest, _)| *newest < version) {
            newest = Some((version, RowOrigin { load, source: source_of(source) }));
        }
    }
    Ok(newest.map(|(_, origin)| origin))
}

/// Looks among the tombstones and the rejects.
async fn find_beside(
    databases: &Databases,
    keys: &[&String],
    found: &mut BTreeMap<String, Standing>,
) -> Result<(), DriverFailure> {
    let named = |field: &str| doc! { field: { "$in": keys } };
    let mut tombstones = databases.own(TOMBSTONES).find(named("_id")).await?;
    while let Some(tombstone) = tombstones.try_next().await? {
        if let Some(owner) = owner_of(&tombstone) {
            found.entry(owner).or_default().add(TOMBSTONES, None);
        }
    }
    let mut rejects = databases.own(REJECTS).find(named("resource")).await?;
    while let Some(reject) = rejects.try_next().await? {
        if let Ok(key) = reject.get_str("resource") {
            found.entry(key.to_owned()).or_default().add(REJECTS, origin(&reject, Some(&reject)));
        }
    }
    Ok(())
}

/// Returns the load of a document and where the document came from.
fn origin<'d>(document: &'d Document, pointer: Option<&Document>) -> Option<(&'d str, StoredSource)> {
    Some((document.get_str("_load").ok()?, source_of(pointer?)))
}

/// Returns the filter of what belongs to keys: the keys themselves and everything that goes on with `#`.
pub(super) fn under(keys: &[&String]) -> Document {
    let inside = keys.iter().map(|key| {
        let ids = ids_with_suffix(key);
        doc! { "_id": { "$gte": ids.start, "$lt": ids.end } }
    });
    let themselves = doc! { "_id": { "$in": keys } };
    let either: Vec<Document> = std::iter::once(themselves).chain(inside).collect();
    doc! { "$or": either }
}
