//! Loads by day and by month.

use std::collections::BTreeMap;

use jiff::civil::Date;
use jiff::tz::TimeZone;
use jiff::{Timestamp, ToSpan as _};
use serde::Serialize;

use crate::ledger::load::Status;
use crate::store::overview::LoadSums;
use crate::store::report::{DAY_MILLISECONDS, LoadSpan, ReportStore};
use crate::store::{Store, StoreError};

use super::request::{ReportRequest, ReportScope};

/// Months of a trend: a month and those before it.
const MONTHS: i32 = 12;

/// What came in a time.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ActivityCounts {
    /// Files.
    pub files: u64,
    /// Files by the status of their load, as it is now.
    pub statuses: BTreeMap<&'static str, u64>,
    /// Records read.
    pub records: u64,
    /// Rows written.
    pub rows: u64,
    /// Records set aside.
    pub rejected: u64,
    /// Bytes of the files as stored.
    pub bytes: u64,
    /// The time from a file to its rows that half of the files did not exceed, in milliseconds.
    pub median_lag: Option<i64>,
    /// The longest such time, in milliseconds.
    pub worst_lag: Option<i64>,
    /// Rejects and view defects, by code.
    pub codes: BTreeMap<String, u64>,
}

/// What came on a day.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct DayActivity {
    /// The day (UTC): `2026-11-30`.
    pub day: String,
    /// What came.
    #[serde(flatten)]
    pub counts: ActivityCounts,
    #[serde(skip)]
    pub(super) sums: LoadSums,
}

/// What came in a month.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct MonthActivity {
    /// The month (UTC): `2026-11`.
    pub month: String,
    /// What came.
    #[serde(flatten)]
    pub counts: ActivityCounts,
}

impl From<&LoadSums> for ActivityCounts {
    fn from(sums: &LoadSums) -> Self {
        Self {
            files: sums.loads(),
            statuses: sums.statuses.iter().map(|(status, count)| (status.as_str(), *count)).collect(),
            records: sums.records,
            rows: sums.rows,
            rejected: sums.rejected,
            bytes: sums.bytes,
            median_lag: sums.median_lag(),
            worst_lag: sums.worst_lag,
            codes: sums.codes.clone(),
        }
    }
}

impl ActivityCounts {
    pub(super) fn sum<'a>(parts: impl Iterator<Item = &'a LoadSums>) -> Self {
        let mut all = LoadSums::default();
        for part in parts {
            all += part.clone();
        }
        Self::from(&all)
    }

    /// Returns how many files have a status.
    #[must_use]
    pub fn of(&self, status: Status) -> u64 {
        self.statuses.get(status.as_str()).copied().unwrap_or_default()
    }
}

/// Returns every day of the time, and of a report of a month its trend.
pub(super) async fn read(
    store: &dyn Store,
    request: &ReportRequest,
) -> Result<(Vec<DayActivity>, Vec<MonthActivity>), StoreError> {
    let first = date_of(request.since);
    let since = match request.scope {
        ReportScope::Days => first,
        ReportScope::Month => first.saturating_sub((MONTHS - 1).months()),
    };
    let span = LoadSpan { since: milliseconds_of(since), ..request.span() };
    let mut sums = ReportStore::sum_days(store, &span).await?;
    let months = match request.scope {
        ReportScope::Days => Vec::new(),
        ReportScope::Month => months(since, &sums),
    };
    let mut days = Vec::new();
    let mut day = request.since;
    while day < request.until {
        let sums = sums.remove(&day).unwrap_or_default();
        days.push(DayActivity { day: date_of(day).to_string(), counts: (&sums).into(), sums });
        day += DAY_MILLISECONDS;
    }
    Ok((days, months))
}

fn months(since: Date, days: &BTreeMap<i64, LoadSums>) -> Vec<MonthActivity> {
    let name = |date: Date| format!("{:04}-{:02}", date.year(), date.month());
    let months = (0..MONTHS).map(|months| name(since.saturating_add(months.months())));
    let of_month = |month: &String| {
        let days = days.iter().filter(|(day, _)| name(date_of(**day)) == *month);
        ActivityCounts::sum(days.map(|(_, sums)| sums))
    };
    months.map(|month| MonthActivity { counts: of_month(&month), month }).collect()
}

fn date_of(milliseconds: i64) -> Date {
    let moment = Timestamp::from_millisecond(milliseconds).unwrap_or_default();
    moment.to_zoned(TimeZone::UTC).date()
}

fn milliseconds_of(date: Date) -> i64 {
    date.to_zoned(TimeZone::UTC).map_or(0, |midnight| midnight.timestamp().as_millisecond())
}
