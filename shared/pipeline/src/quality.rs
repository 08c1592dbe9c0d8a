//! Data quality: what in the tables, and in the ledger, is probably wrong.
//!
//! [`check_quality`] counts; a [`QualityFinding`] never has a value of a patient. [`describe`] has the words of a check.
//!
//! A check is data: `elements` derives from the dictionary of columns where each element of FHIR stands, `rows` makes
//! conditions for these elements, and the store counts the rows that fulfil them ([`QualityStore`]). `values` and `feeds`
//! judge groups and days that the store counts.
//!
//! [`QualityStore`]: crate::store::QualityStore

mod catalogue;
mod finding;
mod elements;
mod facts;
mod rows;
mod values;
mod feeds;
mod steps;

pub use catalogue::{CheckDescription, QualityCheck, describe};
pub use finding::QualityFinding;

use futures::{StreamExt as _, TryStreamExt as _};

use crate::store::{Store, StoreError};

use elements::CheckedTables;
use steps::QualityStep;

/// Steps that a store works on at the same time.
const STEPS_AT_ONCE: usize = 4;

/// How far the checks are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct QualityProgress<'a> {
    /// Steps that are done.
    pub done: usize,
    /// Steps in all.
    pub of: usize,
    /// The table of the step that was done last.
    pub table: &'a str,
}

/// Counts the defects in the tables of a store and in its ledger, by reading all of it. `today` is any moment of the day
/// on which it is asked, in milliseconds since 1970-01-01T00:00:00Z. Findings are in the order of the codes of checks, of
/// tables and of columns; checks that count nothing are left out.
pub async fn check_quality(
    store: &(impl Store + ?Sized),
    today: i64,
    progress: &(impl Fn(QualityProgress<'_>) + Sync),
) -> Result<Vec<QualityFinding>, StoreError> {
    let tables = CheckedTables::new(&store.columns().await?);
    let archived = store.count_archived().await?;
    let steps = QualityStep::all(&tables, today);
    let (mut findings, mut done, of) = (Vec::new(), 0, steps.len());
    let archived = &archived;
    let running = steps.iter().map(|step| async move { Ok((step, step.run(store, archived).await?)) });
    let mut answers = futures::stream::iter(running).buffer_unordered(STEPS_AT_ONCE);
    while let Some((step, found)) = answers.try_next().await? {
        findings.extend(found);
        done += 1;
        progress(QualityProgress { done, of, table: step.table() });
    }
    findings.sort();
    Ok(findings)
}
