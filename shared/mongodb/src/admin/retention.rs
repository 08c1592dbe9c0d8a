//! The collections that can have a retention.

use std::collections::{BTreeMap, BTreeSet};

use bson::{Document, doc};
use futures::TryStreamExt as _;

use crate::collections::{EXPORTS, LOADS, REJECTS, SIDE_TABLES, TABLES};

use super::databases::Databases;
use super::failure::DriverFailure;

/// Returns the tables that stand and have ever held rows, with the types of these, and the collections beside them.
pub(super) async fn collections(
    databases: &Databases,
) -> Result<BTreeMap<String, BTreeSet<String>>, DriverFailure> {
    let standing = databases.rows.list_collection_names().filter(doc! { "type": "collection" }).await?;
    let standing: BTreeSet<String> = standing.into_iter().collect();
    let mut collections: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for own in [LOADS, REJECTS, EXPORTS] {
        collections.insert(own.to_owned(), BTreeSet::new());
    }
    for notes in [TABLES, SIDE_TABLES] {
        let mut notes = databases.own(notes).find(Document::new()).await?;
        while let Some(note) = notes.try_next().await? {
            if let (Ok(resource_type), Ok(table)) = (note.get_str("type"), note.get_str("table")) {
                collections.entry(table.to_owned()).or_default().insert(resource_type.to_owned());
            }
        }
    }
    collections.retain(|name, _| standing.contains(name));
    Ok(collections)
}
