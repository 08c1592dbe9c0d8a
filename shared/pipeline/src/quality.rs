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

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use futures::{StreamExt as _, TryStreamExt as _};
use tokio::time::{Instant, timeout_at};

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

/// What the checks counted.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct QualityAnswer {
    /// In the order of the codes of checks, of tables and of columns; checks that count nothing are left out.
    pub findings: Vec<QualityFinding>,
    /// The tables of which some checks did not end in time.
    pub unfinished: BTreeSet<String>,
}

/// Counts the defects in the tables of a store and in its ledger, by reading all of it. `today` is any moment of the day
/// on which it is asked, in milliseconds since 1970-01-01T00:00:00Z.
///
/// With a `limit` what is not counted by then is left out, and its tables are named. Small tables come first.
///
/// # Errors
/// When the store fails.
pub async fn check_quality(
    store: &dyn Store,
    today: i64,
    limit: Option<Duration>,
    progress: &(impl Fn(QualityProgress<'_>) + Sync),
) -> Result<QualityAnswer, StoreError> {
    let end = limit.map(|limit| Instant::now() + limit);
    let tables = CheckedTables::new(&store.columns().await?);
    let archived = store.count_archived().await?;
    let steps = by_size(store, QualityStep::all(&tables, today)).await?;
    let mut is_done = vec![false; steps.len()];
    let mut findings = Vec::new();
    let archived = &archived;
    let running = steps.iter().enumerate();
    let running = running.map(|(number, step)| async move { Ok((number, step.run(store, archived).await?)) });
    let mut answers = futures::stream::iter(running).buffer_unordered(STEPS_AT_ONCE);
    while let Some((number, found)) = until(end, answers.try_next()).await.transpose()?.flatten() {
        findings.extend(found);
        let (Some(done), Some(step)) = (is_done.get_mut(number), steps.get(number)) else { continue };
        *done = true;
        let done = is_done.iter().filter(|done| **done).count();
        progress(QualityProgress { done, of: steps.len(), table: step.table() });
    }
    findings.sort();
    let unfinished = steps.iter().zip(is_done).filter(|(_, done)| !done);
    Ok(QualityAnswer { findings, unfinished: unfinished.map(|(step, _)| step.table().to_owned()).collect() })
}

/// Sorts steps by the size of their tables, so that one large table does not keep small ones waiting. Of a table the longest
/// steps come first: at the end others run beside them.
async fn by_size<'t>(
    store: &dyn Store,
    mut steps: Vec<QualityStep<'t>>,
) -> Result<Vec<QualityStep<'t>>, StoreError> {
    let mut sizes = BTreeMap::new();
    for step in &steps {
        if !sizes.contains_key(step.table()) {
            sizes.insert(step.table().to_owned(), store.estimate_rows(step.table()).await?);
        }
    }
    steps.sort_by_key(|step| (sizes.get(step.table()).copied(), !step.reads_every_text()));
    Ok(steps)
}

/// Waits until a moment at the latest.
async fn until<T>(end: Option<Instant>, answer: impl Future<Output = T>) -> Option<T> {
    match end {
        // An answer that is ready at once would be taken even when the time is up.
        Some(end) if Instant::now() >= end => None,
        Some(end) => timeout_at(end, answer).await.ok(),
        None => Some(answer.await),
    }
}
