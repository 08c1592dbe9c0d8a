//! Stores: where rows, the ledger and the dictionary of columns live.
//!
//! A store implements [`RowStore`], [`LoadStore`], [`Admin`], [`ReportStore`] and [`QualityStore`]. Plain structs cross
//! this border, so this crate knows no database. Each store has its own way to keep the promises below; one contract
//! suite (`tests/contract`) checks all of them.

pub mod admin;
mod column;
pub mod memory;
pub mod outdated;
pub mod overview;
pub mod quality;
pub mod references;
pub mod exports;
pub mod report;
pub mod schema;
pub mod standing;

use std::fmt::Debug;

use async_trait::async_trait;

use crate::batch::WriteBatch;
use crate::interrupted::Interrupted;
use crate::ledger::load::{Load, LoadFilter};
use crate::summary::Summary;

pub use admin::{Admin, StoreError};
pub use column::{ColumnChange, ColumnEntry, FirstFilled};
pub use quality::QualityStore;
pub use report::ReportStore;

/// Everything that a store does: loads write through it, people ask it, and reports count in it.
pub trait Store: RowStore + LoadStore + Admin + ReportStore + QualityStore {}

impl<S: RowStore + LoadStore + Admin + ReportStore + QualityStore> Store for S {}

/// Keeps rows, tombstones, archived resources and rejects.
#[async_trait]
pub trait RowStore: Debug + Send + Sync {
    /// Writes a batch. `Ok` means that every row, deletion and reject of it is durable. Writing the same batch again,
    /// wholly or after a failure in the middle, leads to the same tables. Several writes may run at once.
    ///
    /// The returned summary counts the batch's resources by fate (`loaded`, `unchanged`, `superseded`, `deleted`,
    /// `archived`), its rejects with those that the store refused, and the rows of the loaded resources. It leaves
    /// `records` and `bytes`, the counts of what was read, at zero.
    async fn write(&self, batch: WriteBatch) -> Result<Summary, Interrupted>;

    /// Removes the rejects of a load whose reading is before this one, once this reading is complete. A reject carries
    /// the number of the latest reading that met it.
    async fn forget_rejects(&self, load: &str, reading: u32) -> Result<(), Interrupted>;
}

/// Keeps the entries of loads and of columns. [`Ledger`](crate::ledger::Ledger) has the rules; a store compares and sets.
#[async_trait]
pub trait LoadStore: Debug + Send + Sync {
    /// Returns the entry of a load.
    async fn find_load(&self, id: &str) -> Result<Option<Load>, Interrupted>;

    /// Returns the loads that began last, latest first: all, or those of one filter.
    async fn list_loads(&self, filter: Option<LoadFilter>, limit: u32) -> Result<Vec<Load>, Interrupted>;

    /// Writes an entry in place of the one with the revision `replaces`; without a revision, writes it only if the load
    /// has none. Returns `false` if the entry has another revision. The entry is durable when this returns `true`.
    async fn write_load(&self, load: &Load, replaces: Option<u64>) -> Result<bool, LoadWriteError>;

    /// Waits until the entry of that revision outlasts the failure of any server. Returns `false` if the entry has
    /// another revision.
    async fn is_durable(&self, id: &str, revision: u64) -> Result<bool, Interrupted>;

    /// Returns the entries of some columns, by their ids `<table>.<column>`; columns without an entry are left out.
    async fn find_columns(&self, ids: &[String]) -> Result<Vec<ColumnEntry>, Interrupted>;

    /// Counts the entries of a table's columns; a store may stop at `most`.
    async fn count_columns(&self, table: &str, most: usize) -> Result<usize, Interrupted>;

    /// Writes new entries and changes of entries. Each change is atomic and may be repeated.
    async fn write_columns(&self, changes: &[ColumnChange]) -> Result<(), Interrupted>;
}

/// Why an entry of a load was not written, as far as the writer knows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum LoadWriteError {
    /// No server could be reached: nothing was sent.
    NothingSent(Interrupted),
    /// The answer is missing or says that it failed: the entry may have been written.
    Unanswered(Interrupted),
}

impl From<LoadWriteError> for Interrupted {
    fn from(error: LoadWriteError) -> Self {
        match error {
            LoadWriteError::NothingSent(interrupted) | LoadWriteError::Unanswered(interrupted) => interrupted,
        }
    }
}
