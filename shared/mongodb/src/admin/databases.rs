//! The databases of a store, and what their documents have in common.

use bson::Document;
use mongodb::{Collection, Database};
use pipeline::store::standing::StoredSource;

use super::failure::DriverFailure;

/// The databases of a store.
pub(super) struct Databases {
    pub(super) rows: Database,
    pub(super) archive: Database,
}

impl Databases {
    /// Returns a collection beside the tables.
    pub(super) fn own(&self, name: &str) -> Collection<Document> {
        self.rows.collection(name)
    }

    /// Returns all tables and all collections of the archive, each with its database.
    pub(super) async fn tables(&self) -> Result<Vec<(String, &Database)>, DriverFailure> {
        let mut tables = Vec::new();
        for place in [&self.rows, &self.archive] {
            tables.extend(table_names(place).await?.into_iter().map(|name| (name, place)));
        }
        Ok(tables)
    }
}

/// Returns the collections of a database that hold rows or archived resources, in the order of their names.
pub(super) async fn table_names(database: &Database) -> Result<Vec<String>, DriverFailure> {
    let mut names = database.list_collection_names().await?;
    names.retain(|name| !name.starts_with('_') && !name.starts_with("system."));
    names.sort();
    Ok(names)
}

/// Returns the key of the resource that a document belongs to.
pub(super) fn owner_of(document: &Document) -> Option<String> {
    document.get_str("_id").ok()?.split('#').next().map(str::to_owned)
}

pub(super) fn text(document: &Document, name: &str) -> Option<String> {
    document.get_str(name).ok().map(str::to_owned)
}

pub(super) fn number(document: &Document, name: &str) -> Option<u64> {
    document.get_i64(name).ok().and_then(|number| u64::try_from(number).ok())
}

/// Reads where a document came from; what is missing stays empty.
pub(super) fn source_of(pointer: &Document) -> StoredSource {
    StoredSource {
        bucket: text(pointer, "bucket").unwrap_or_default(),
        key: text(pointer, "key").unwrap_or_default(),
        version_id: text(pointer, "versionId"),
        ordinal: number(pointer, "ordinal").unwrap_or_default(),
        offset: number(pointer, "offset").unwrap_or_default(),
        length: number(pointer, "length").unwrap_or_default(),
    }
}
