//! Sinks: where batches go. One trait, one contract suite that every sink passes.

use std::future::Future;

use crate::batch::WriteBatch;
use crate::interrupted::Interrupted;
use crate::summary::Summary;

/// A destination of rows.
pub trait Sink: Send + Sync {
    /// Writes a batch. `Ok` means that every row, deletion and reject of it is durable; writing the same batch
    /// again, wholly or after a failure in the middle, leads to the same tables.
    ///
    /// The returned summary counts the batch's resources by fate (`loaded`, `superseded`, `deleted`,
    /// `archived`), its rejects, and its rows.
    fn write(&self, batch: WriteBatch) -> impl Future<Output = Result<Summary, Interrupted>> + Send;
}
