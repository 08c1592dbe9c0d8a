//! The tables with their columns: types, meanings, and in how many rows each is filled.

use std::collections::BTreeMap;

use futures::{StreamExt as _, TryStreamExt as _};
use serde::Serialize;

use crate::store::report::ReportStore;
use crate::store::{ColumnEntry, Store, StoreError};

use super::request::ReportProgress;

/// Up to so many rows a table is counted as a whole.
pub const WHOLE_TABLE_ROWS: u64 = 250_000;
/// Of larger tables so many rows are looked at. A database finds less than a twentieth of a table without reading it.
pub const SAMPLED_ROWS: u64 = 10_000;
/// So many tables are counted at the same time.
const TABLES_AT_ONCE: usize = 2;
/// So many columns of a table are counted.
pub const MAX_REPORTED_COLUMNS: usize = 400;

/// A table.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct TableFill {
    /// Its name.
    pub table: String,
    /// How many rows it has, as the database's statistics say.
    pub rows: u64,
    /// How many of them were looked at, chosen at random where these are not all.
    pub looked_at: u64,
    /// Whether rows were chosen at random.
    pub is_sample: bool,
    /// Its columns whose names follow from FHIR or from a view.
    pub columns: Vec<ColumnFill>,
    /// How many columns it has besides, of extensions: their names follow from data.
    pub extension_columns: u64,
    /// How many it has besides, of elements that FHIR does not know: their names are data.
    pub unknown_columns: u64,
    /// How many were not counted.
    pub uncounted_columns: u64,
}

/// A column.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ColumnFill {
    /// Its name; `list.item` inside records.
    pub column: String,
    /// The type of its cells.
    pub column_type: Option<String>,
    /// The FHIR element that fills it.
    pub path: Option<String>,
    /// The FHIR datatype of the element.
    pub datatype: Option<String>,
    /// How it follows from its element, such as `key`.
    pub derived: Option<String>,
    /// In how many of the rows that were looked at it is filled.
    pub filled: u64,
}

/// Counts every table.
pub(super) async fn read(
    store: &dyn Store,
    progress: &ReportProgress<'_>,
) -> Result<Vec<TableFill>, StoreError> {
    let mut tables: BTreeMap<String, Vec<ColumnEntry>> = BTreeMap::new();
    for table in store.noted_tables().await? {
        tables.entry(table.table).or_default();
    }
    for entry in store.columns().await? {
        tables.entry(entry.table.clone()).or_default().push(entry);
    }
    let (count, mut counted) = (tables.len(), Vec::new());
    let fills = tables.into_iter().map(|(table, entries)| TableFill::new(table, entries));
    let mut running = futures::stream::iter(fills.map(|fill| fill.count(store))).buffered(TABLES_AT_ONCE);
    while let Some(fill) = running.try_next().await? {
        counted.push(fill);
        let table = counted.last().map_or("", |fill| &fill.table);
        progress(table, counted.len(), count);
    }
    Ok(counted)
}

impl TableFill {
    fn new(table: String, entries: Vec<ColumnEntry>) -> Self {
        let mut fill = Self { table, ..Self::default() };
        for entry in entries {
            if entry.is_unknown {
                fill.unknown_columns += 1;
            } else if entry.url.is_some() {
                fill.extension_columns += 1;
            } else if fill.columns.len() >= MAX_REPORTED_COLUMNS {
                fill.uncounted_columns += 1;
            } else {
                fill.columns.push(ColumnFill::new(entry));
            }
        }
        fill
    }

    async fn count(mut self, store: &dyn Store) -> Result<Self, StoreError> {
        self.rows = store.estimate_rows(&self.table).await?;
        self.is_sample = self.rows > WHOLE_TABLE_ROWS;
        let columns: Vec<String> = self.columns.iter().map(|column| column.column.clone()).collect();
        let rows = self.is_sample.then_some(SAMPLED_ROWS);
        let counts = ReportStore::count_filled(store, &self.table, &columns, rows).await?;
        self.looked_at = counts.rows;
        for (column, filled) in self.columns.iter_mut().zip(counts.filled) {
            column.filled = filled;
        }
        Ok(self)
    }
}

impl ColumnFill {
    fn new(entry: ColumnEntry) -> Self {
        let ColumnEntry { column, column_type, path, datatype, derived, .. } = entry;
        let column_type = column_type.map(|column_type| column_type.to_string());
        Self { column, column_type, path, datatype, derived, filled: 0 }
    }
}
