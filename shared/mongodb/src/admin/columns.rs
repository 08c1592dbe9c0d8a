//! The schemas of tables and the dictionary of columns, read as a whole.

use std::collections::BTreeMap;

use bson::{Document, doc};
use futures::TryStreamExt as _;
use pipeline::store::ColumnEntry;
use pipeline::store::schema::FieldSchema;

use crate::collections::{COLUMNS, SQL_SCHEMAS};
use crate::columns::entry;
use crate::sql_schema::read_table;

use super::databases::{Databases, text};
use super::failure::DriverFailure;

pub(super) async fn schemas(databases: &Databases) -> Result<BTreeMap<String, FieldSchema>, DriverFailure> {
    let mut schemas = BTreeMap::new();
    let mut documents = databases.own(SQL_SCHEMAS).find(doc! {}).await?;
    while let Some(document) = documents.try_next().await? {
        if let (Some(table), Some(schema)) = (text(&document, "_id"), read_table(&document)) {
            schemas.insert(table, schema);
        }
    }
    Ok(schemas)
}

pub(super) async fn all(databases: &Databases) -> Result<Vec<ColumnEntry>, DriverFailure> {
    let found = databases.own(COLUMNS).find(doc! {}).sort(doc! { "_id": 1 }).await?;
    let entries: Vec<Document> = found.try_collect().await?;
    Ok(entries.iter().filter_map(entry).collect())
}
