//! Databases that another catalog has filled: other views, other settings, another version of the views.

use std::collections::BTreeSet;
use std::sync::Arc;

use anyhow::bail;
use flatten::catalog::{Catalog, CatalogFlattener};
use pipeline::ledger::MIXED_CATALOGS;
use pipeline::store::admin::NotedTable;
use pipeline::store::{Store, StoreError};

use crate::settings::OtherCatalogs;

/// Fails if loads of another catalog stand in the database, unless that is fine. The function does not ask: a changed
/// deployment is what it meets every time.
pub(crate) async fn check(
    store: &dyn Store,
    catalog: &Arc<Catalog>,
    others: OtherCatalogs,
) -> anyhow::Result<()> {
    if others.are_fine {
        return Ok(());
    }
    let own = [catalog.fingerprint(), MIXED_CATALOGS];
    let Some(load) = store.load_of_other_catalogs(&own).await? else { return Ok(()) };
    let tables = tables_of_others(store, catalog).await?;
    let tables = if tables.is_empty() {
        String::new()
    } else {
        format!("\ntables in it that this command would not fill: {}", tables.join(", "))
    };
    bail!(
        "other views or settings have filled the database: load {} was made by catalog {} of version {}, and this is \
         catalog {} of version {}{tables}\ngive this command the same settings, or --catalog-differs-ok",
        load.id,
        load.catalog,
        load.code,
        catalog.fingerprint(),
        env!("CARGO_PKG_VERSION"),
    )
}

/// Fails if the database has tables that this catalog does not fill, unless that is fine. It does not ask whose loads
/// stand: records are set right, and archived resources are taken back, because a setting has changed.
pub(crate) async fn check_tables(
    store: &dyn Store,
    catalog: &Arc<Catalog>,
    others: OtherCatalogs,
) -> anyhow::Result<()> {
    let tables = if others.are_fine { Vec::new() } else { tables_of_others(store, catalog).await? };
    if tables.is_empty() {
        return Ok(());
    }
    bail!(
        "the database has tables that this command would not fill: {}\ngive it the same settings, or \
         --catalog-differs-ok",
        tables.join(", ")
    )
}

/// Returns the tables that were noted and that this catalog does not fill.
async fn tables_of_others(store: &dyn Store, catalog: &Arc<Catalog>) -> Result<Vec<String>, StoreError> {
    let mut flattener = CatalogFlattener::new(Arc::clone(catalog));
    let mut others = BTreeSet::new();
    for NotedTable { resource_type, table } in store.noted_tables().await? {
        if !flattener.tables(&resource_type).contains(&table) {
            others.insert(table);
        }
    }
    Ok(others.into_iter().collect())
}
