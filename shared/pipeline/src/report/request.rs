//! What a report is asked for.

use std::time::Duration;

use serde::Serialize;

use crate::store::report::{CountedAttempt, LoadSpan};

/// What is asked for.
#[derive(Debug, Clone, Copy)]
pub struct ReportRequest {
    /// Now, in milliseconds since 1970-01-01T00:00:00Z.
    pub now: i64,
    /// From when on loads count, the first moment of a day.
    pub since: i64,
    /// Before when loads count.
    pub until: i64,
    /// What is reported of this time.
    pub scope: ReportScope,
    /// Whether names of files are part of it.
    pub has_file_names: bool,
    /// How long the data may be checked; `None`: as long as it takes.
    pub check_time: Option<Duration>,
}

/// What is reported.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum ReportScope {
    /// The last days and the tables. Loads count on the day of their latest attempt, as in `flatfire status`.
    Days,
    /// A month and the eleven before it. Loads count on the day of their first attempt.
    Month,
}

/// Is told what is counted, how many things were counted before, and how many there are.
pub type ReportProgress<'a> = dyn Fn(&str, usize, usize) + Sync + 'a;

impl ReportRequest {
    pub(super) fn span(&self) -> LoadSpan {
        let attempt = match self.scope {
            ReportScope::Days => CountedAttempt::Latest,
            ReportScope::Month => CountedAttempt::First,
        };
        LoadSpan { since: self.since, until: self.until, attempt }
    }
}
