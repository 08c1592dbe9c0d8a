//! What a check found.

use serde::Serialize;

/// What one data check counted: never a value of a patient.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct QualityFinding {
    /// The code of the check, such as `code-without-system`: [`describe`](super::describe) explains it.
    pub check: &'static str,
    /// The table, or `_loads`.
    pub table: String,
    /// The column, or the element whose columns were looked at together; the folder or the type in `_loads`.
    pub column: String,
    /// How many rows, references, days or records have the defect.
    pub count: u64,
    /// Of how many.
    pub of: u64,
    /// More about it, such as the type that is referred to.
    pub detail: Option<String>,
}
