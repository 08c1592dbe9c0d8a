//! What a report shows, gathered from a store: counts, dates, codes and names of columns, never a value of a row.
//!
//! Names of files may name patients, so a report has them only on request: [`FileLabel`].

mod activity;
mod completeness;
mod failures;
mod findings;
mod label;
mod request;
mod tables;

use std::collections::BTreeMap;

use serde::Serialize;

use crate::quality::QualityFinding;
use crate::store::report::{ErasureOutline, moment};
use crate::store::{Store, StoreError};

pub use activity::{ActivityCounts, DayActivity, MonthActivity};
pub use completeness::{ExportCompleteness, OpenFile};
pub use failures::{FailureOutcome, FileFailure, MAX_FAILURES};
pub use findings::UNNAMED_COLUMN;
pub use label::FileLabel;
pub use request::{ReportProgress, ReportRequest, ReportScope};
pub use tables::{ColumnFill, MAX_REPORTED_COLUMNS, SAMPLED_ROWS, TableFill, WHOLE_TABLE_ROWS};

/// Everything that a report shows.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct DatabaseReport {
    /// When it was made.
    #[serde(serialize_with = "moment")]
    pub made: i64,
    /// The database of the rows.
    pub database: String,
    /// What is reported.
    pub scope: ReportScope,
    /// From when on loads count.
    #[serde(serialize_with = "moment")]
    pub since: i64,
    /// Before when loads count.
    #[serde(serialize_with = "moment")]
    pub until: i64,
    /// The sums of that time.
    pub total: ActivityCounts,
    /// Each day of that time.
    pub days: Vec<DayActivity>,
    /// The month and the eleven before it, of a report of a month.
    pub months: Vec<MonthActivity>,
    /// The files of that time that left something out, the latest first.
    pub failures: Vec<FileFailure>,
    /// Whether there are more than [`MAX_FAILURES`].
    pub has_more_failures: bool,
    /// The rejects that stand, by code, however old they are.
    pub open_rejects: BTreeMap<String, u64>,
    /// Exports, the latest first; of a report of a month those of the month.
    pub exports: Vec<ExportCompleteness>,
    /// The erasures of that time.
    pub erasures: Vec<ErasureOutline>,
    /// The tables, of a report of days.
    pub tables: Vec<TableFill>,
    /// What the checks of data quality found, of a report of days.
    pub findings: Vec<QualityFinding>,
    /// The tables that were not checked to the end in [`ReportRequest::check_time`].
    pub unchecked: Vec<String>,
}

/// Gathers a report. Counts rows of every table, and checks them, if the tables are part of it.
///
/// # Errors
/// When the store fails.
pub async fn gather(
    store: &dyn Store,
    request: &ReportRequest,
    progress: &ReportProgress<'_>,
) -> Result<DatabaseReport, StoreError> {
    let ReportRequest { now, since, until, scope, .. } = *request;
    progress("loads", 0, 0);
    let (days, months) = activity::read(store, request).await?;
    progress("failures", 0, 0);
    let (failures, has_more_failures) = failures::read(store, request).await?;
    let open_rejects = store.count_rejects().await?;
    progress("exports", 0, 0);
    let exports = completeness::read(store, request).await?;
    let erasures = store.erasures(since, until).await?;
    let (tables, (findings, unchecked)) = match scope {
        ReportScope::Days => {
            let tables = tables::read(store, progress).await?;
            (tables, findings::read(store, request, progress).await?)
        }
        ReportScope::Month => (Vec::new(), (Vec::new(), Vec::new())),
    };
    let total = ActivityCounts::sum(days.iter().map(|day| &day.sums));
    Ok(DatabaseReport {
        made: now,
        database: store.database().to_owned(),
        scope,
        since,
        until,
        total,
        days,
        months,
        failures,
        has_more_failures,
        open_rejects,
        exports,
        erasures,
        tables,
        findings,
        unchecked,
    })
}
