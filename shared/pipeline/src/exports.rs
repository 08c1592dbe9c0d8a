//! Is a Bulk Data export complete? Manifests say what was sent, the ledger says what is in.
//!
//! Nothing is kept but what manifests say, so nothing needs to change when a file arrives: the answer is worked out when
//! a caller asks. [`reports`] reads a store, [`Exports`] has the rules.

mod report;
mod state;

use std::ops::ControlFlow;

use crate::manifest::ExportManifest;
use crate::store::StoreError;
use crate::store::admin::Admin;
use crate::store::exports::FileSelection;

pub use report::{ExportReport, FileReport, FileState, Sums};
pub use state::{EARLY_MILLISECONDS, Exports};

/// The most manifests that are compared with the ledger: the latest.
pub const MAX_MANIFESTS: usize = 10_000;
/// The most files that are compared with the ledger.
pub const MAX_FILES: usize = 2_000_000;

/// Returns the state of every export at a moment, in milliseconds since 1970-01-01T00:00:00Z, the latest first.
///
/// Reads the loads below the folders of all manifests, and of a whole bucket where none of an export's files lies in
/// the folder of its manifest.
///
/// # Errors
/// When the store fails.
pub async fn reports(store: &dyn Admin, now: i64) -> Result<Vec<ExportReport>, StoreError> {
    let mut exports = Exports::new(manifests(store).await?);
    for (bucket, prefix) in exports.folders() {
        let selection = FileSelection { bucket: &bucket, prefix: &prefix, now };
        store.visit_files(&selection, &mut |file| exports.add(&bucket, file)).await?;
    }
    for bucket in exports.buckets_of_displaced() {
        let selection = FileSelection { bucket: &bucket, prefix: "", now };
        store.visit_files(&selection, &mut |file| exports.add(&bucket, file)).await?;
    }
    Ok(exports.reports())
}

async fn manifests(store: &dyn Admin) -> Result<Vec<ExportManifest>, StoreError> {
    let (mut manifests, mut files) = (Vec::new(), 0);
    let mut visit = |manifest: ExportManifest| {
        files += manifest.files.len();
        manifests.push(manifest);
        let has_room = manifests.len() < MAX_MANIFESTS && files < MAX_FILES;
        if has_room { ControlFlow::Continue(()) } else { ControlFlow::Break(()) }
    };
    store.visit_manifests(&mut visit).await?;
    Ok(manifests)
}
