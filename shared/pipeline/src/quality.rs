//! Data quality: what in the tables, and in the ledger, is probably wrong.
//!
//! [`check_quality`] counts; a [`QualityFinding`] never has a value of a patient. [`describe`] has the words of a check.

mod catalogue;

pub use catalogue::{Check, CheckDescription, describe};

use crate::store::overview::LoadPeriod;
use crate::store::{Store, StoreError};

const DAY: i64 = 86_400_000;

/// What one data check counted: never a value of a patient.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct QualityFinding {
    /// The code of the check, such as `code-without-system`: [`describe`] explains it.
    pub check: &'static str,
    /// The table, or `_loads`.
    pub table: String,
    /// The column, or the element whose columns were looked at together; the folder in `_loads`.
    pub column: String,
    /// How many rows, days or records have the defect.
    pub count: u64,
    /// Of how many.
    pub of: u64,
    /// More about it, such as the type that is referred to.
    pub detail: Option<String>,
}

/// How far the checks are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct QualityProgress<'a> {
    /// Steps that are done.
    pub done: usize,
    /// Steps in all.
    pub of: usize,
    /// The table that is looked at.
    pub table: &'a str,
}

/// Counts the defects in the tables of a store and in its ledger, by reading all of it. `today` is any moment of the day
/// on which it is asked, in milliseconds since 1970-01-01T00:00:00Z. Findings are in the order of checks, tables and
/// columns; checks that count nothing are left out.
pub async fn check_quality(
    store: &(impl Store + ?Sized),
    today: i64,
    progress: &(impl Fn(QualityProgress<'_>) + Sync),
) -> Result<Vec<QualityFinding>, StoreError> {
    let mut findings = Vec::new();
    progress(QualityProgress { done: 0, of: 1, table: "_loads" });
    let until = today - today.rem_euclid(DAY) + DAY;
    let period = LoadPeriod { since: Some(until - 7 * DAY), until: Some(until), keys: None };
    let sums = store.sum_loads(&period).await?;
    let rejected = sums.codes.values().sum::<u64>();
    if rejected * 100 > sums.records {
        findings.push(QualityFinding {
            check: Check::HighRejectShare.code(),
            table: "_loads".to_owned(),
            column: String::new(),
            count: rejected,
            of: sums.records,
            detail: None,
        });
    }
    progress(QualityProgress { done: 1, of: 1, table: "_loads" });
    findings.sort();
    Ok(findings)
}
