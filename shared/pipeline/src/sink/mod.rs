//! Sinks: where batches go. One trait, one contract suite that every sink passes.

pub mod bson;
pub mod decimal;
pub mod memory;
pub mod mongodb;
pub mod print;
mod records;
mod replacement;
pub mod sql_schema;

use std::future::Future;
use std::ops::Range;

use crate::batch::Unstored;
use crate::batch::{Fate, Reason, Reject, WriteBatch};
use crate::interrupted::Interrupted;
use crate::summary::Summary;

pub use replacement::RowKind;

/// A destination of rows.
pub trait Sink: Send + Sync {
    /// Writes a batch. `Ok` means that every row, deletion and reject of it is durable; writing the same batch
    /// again, wholly or after a failure in the middle, leads to the same tables. Several writes may run at once.
    ///
    /// The returned summary counts the batch's resources by fate (`loaded`, `unchanged`, `superseded`, `deleted`,
    /// `archived`), its rejects with those that the database refused, and the rows of the loaded resources. The
    /// counts of what was read (`records`, `bytes`) are the reader's.
    fn write(&self, batch: WriteBatch) -> impl Future<Output = Result<Summary, Interrupted>> + Send;

    /// Removes what readings of a load before this one rejected and this one did not, once it is complete. A reject
    /// is of the latest reading that met it, so whoever is late with an earlier one takes nothing away.
    fn forget_rejects(
        &self,
        load: &str,
        reading: u32,
    ) -> impl Future<Output = Result<(), Interrupted>> + Send;
}

/// The rejects of a batch that are stored, and those that the database made of its documents while there is room.
fn stored<'a>(batch: &'a WriteBatch, refused: &'a [Reject]) -> Vec<&'a Reject> {
    batch.rejects.iter().chain(refused.iter().filter(|_| batch.room.take())).collect()
}

/// Counts rejects, stored or not: those of a view leave their resource loaded.
fn add_rejects(summary: &mut Summary, batch: &WriteBatch, refused: &[Reject]) {
    let Unstored { rejected, view_defects, codes } = &batch.unstored;
    summary.rejected += rejected;
    summary.view_defects += view_defects;
    for (code, count) in codes {
        *summary.codes.entry((*code).to_owned()).or_default() += count;
    }
    for reject in batch.rejects.iter().chain(refused) {
        match &reject.reason {
            Reason::Defect { view: Some(_), .. } => summary.view_defects += 1,
            Reason::Defect { view: None, .. } | Reason::Frame(_) | Reason::Refused { .. } => {
                summary.rejected += 1;
            }
        }
        *summary.codes.entry(reject.reason.code().to_owned()).or_default() += 1;
    }
}

/// Returns the keys of the resources that a batch erases.
fn erased_keys(batch: &WriteBatch) -> impl Iterator<Item = &str> {
    let erased = batch.resources.iter().filter(|resource| matches!(resource.fate, Fate::Erased { .. }));
    erased.map(|resource| resource.key.as_str())
}

/// The `_id`s of the rows aside of a key, or of the rejects of a load: everything that goes on with `#`, which `$`
/// follows.
fn aside_of(key: &str) -> Range<String> {
    format!("{key}#")..format!("{key}$")
}
