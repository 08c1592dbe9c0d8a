//! What the checks of data quality found, without names that follow from data.

use crate::quality::{QualityAnswer, QualityFinding, QualityProgress, check_quality};
use crate::store::{ColumnEntry, Store, StoreError};

use super::request::{ReportProgress, ReportRequest};

/// Stands in place of a column whose name follows from data.
pub const UNNAMED_COLUMN: &str = "a column of an extension or of an unknown element";

/// Checks the tables and the ledger. Returns the findings, and the tables that were not checked to the end.
pub(super) async fn read(
    store: &dyn Store,
    request: &ReportRequest,
    progress: &ReportProgress<'_>,
) -> Result<(Vec<QualityFinding>, Vec<String>), StoreError> {
    let show = |at: QualityProgress<'_>| progress(at.table, at.done, at.of);
    let answer = check_quality(store, request.now, request.check_time, &show).await?;
    let QualityAnswer { findings, unfinished } = answer;
    let unfinished = unfinished.into_iter().collect();
    if findings.is_empty() {
        return Ok((Vec::new(), unfinished));
    }
    let columns = store.columns().await?;
    let is_of_data = |entry: &&ColumnEntry| entry.is_unknown || entry.url.is_some();
    let (of_data, known): (Vec<&ColumnEntry>, Vec<&ColumnEntry>) = columns.iter().partition(is_of_data);
    let name = |finding: &QualityFinding| {
        let is_in = |entries: &[&ColumnEntry]| entries.iter().any(|entry| is_column_of(entry, finding));
        let is_named = is_in(&known) || !is_in(&of_data);
        if is_named { finding.column.clone() } else { UNNAMED_COLUMN.to_owned() }
    };
    let reported = findings.into_iter().map(|finding| QualityFinding { column: name(&finding), ..finding });
    Ok((reported.collect(), unfinished))
}

/// Returns whether a column is the one of a finding, or one of its element.
fn is_column_of(entry: &ColumnEntry, finding: &QualityFinding) -> bool {
    let rest = entry.column.strip_prefix(finding.column.as_str());
    entry.table == finding.table && rest.is_some_and(|rest| rest.is_empty() || rest.starts_with(['_', '.']))
}
