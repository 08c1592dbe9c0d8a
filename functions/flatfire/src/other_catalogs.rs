//! Databases that another catalog has filled: other views, other settings, another version of the views.

use std::collections::BTreeSet;
use std::sync::Arc;

use anyhow::bail;
use flatten::catalog::{Catalog, ResourceFlattener};
use futures::TryStreamExt as _;
use mongodb::bson::{Document, doc};
use pipeline::ledger::{MIXED_CATALOGS, Status};

use crate::database::{Database, DatabaseError};
use crate::settings::OtherCatalogs;

/// Fails if loads of another catalog stand in the database, unless that is fine. The function does not ask: a changed
/// deployment is what it meets every time.
pub(crate) async fn check(
    database: &Database,
    catalog: &Arc<Catalog>,
    others: OtherCatalogs,
) -> anyhow::Result<()> {
    if others.are_fine {
        return Ok(());
    }
    let settled = Status::ALL.into_iter().filter(|status| status.is_settled()).map(Status::as_str);
    let filter = doc! {
        "catalog": { "$nin": [catalog.version(), MIXED_CATALOGS] },
        "status": { "$in": settled.collect::<Vec<_>>() },
    };
    let loads = database.rows.collection::<Document>("_loads");
    let Some(load) = loads.find_one(filter).await.map_err(DatabaseError::from)? else { return Ok(()) };
    let text = |name| load.get_str(name).unwrap_or("?");
    let tables = tables_of_others(database, catalog).await?;
    let tables = if tables.is_empty() {
        String::new()
    } else {
        format!("\ntables in it that this command would not fill: {}", tables.join(", "))
    };
    bail!(
        "other views or settings have filled the database: load {} was made by catalog {} of version {}, and this is \
         catalog {} of version {}{tables}\ngive this command the same settings, or --catalog-differs-ok",
        text("_id"),
        text("catalog"),
        text("code"),
        catalog.version(),
        env!("CARGO_PKG_VERSION"),
    )
}

/// Fails if the database has tables that this catalog does not fill, unless that is fine. It does not ask whose loads
/// stand: records are set right, and archived resources are taken back, because a setting has changed.
pub(crate) async fn check_tables(
    database: &Database,
    catalog: &Arc<Catalog>,
    others: OtherCatalogs,
) -> anyhow::Result<()> {
    let tables = if others.are_fine { Vec::new() } else { tables_of_others(database, catalog).await? };
    if tables.is_empty() {
        return Ok(());
    }
    bail!(
        "the database has tables that this command would not fill: {}\ngive it the same settings, or \
         --catalog-differs-ok",
        tables.join(", ")
    )
}

/// The tables that were noted and that this catalog does not fill.
async fn tables_of_others(database: &Database, catalog: &Arc<Catalog>) -> Result<Vec<String>, DatabaseError> {
    let with_rows = doc! { "$or": [{ "anchors": true }, { "keys": true }] };
    let notes = database.rows.collection::<Document>("_tables").find(with_rows).await?;
    let notes: Vec<Document> = notes.try_collect().await?;
    let mut flattener = ResourceFlattener::new(Arc::clone(catalog));
    let mut others = BTreeSet::new();
    for note in &notes {
        let (Ok(resource_type), Ok(table)) = (note.get_str("type"), note.get_str("table")) else { continue };
        if !flattener.tables(resource_type).iter().any(|own| own == table) {
            others.insert(table.to_owned());
        }
    }
    Ok(others.into_iter().collect())
}
