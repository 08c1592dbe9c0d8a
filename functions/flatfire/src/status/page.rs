//! The page of the morning: how much came, how late, what was rejected, who has fallen silent, what needs a look.

use std::collections::{BTreeMap, BTreeSet};

use futures::{future, try_join};
use pipeline::ledger::{Load, LoadFilter, Status as LoadStatus};
use pipeline::store::overview::{Folder, LoadPeriod, LoadSums};
use pipeline::store::{Store, StoreError};
use process::milliseconds_now;
use serde_json::{Value, json};

use crate::console::{self, moment};
use crate::outcome::Outcome;

use super::arguments::StatusArguments;
use super::json::{self, object, time};
use super::list;
use super::queues::Depth;
use super::words::{LoadKind, STUCK, length};

const DAY: i64 = 24 * 60 * 60 * 1_000;
const HOUR: f64 = 60.0 * 60.0 * 1_000.0;
/// For how long a folder's success counts without `--since`.
const FOLDERS_WITHIN: i64 = 30 * DAY;
/// Folders that are listed.
const LISTED_FOLDERS: usize = 20;
/// Loads that need a look are counted up to here.
const MOST_COUNTED: u32 = 1_000;

/// What needs attention.
const NEEDS_SOMEBODY: [(LoadKind, &str); 3] = [
    (LoadKind::Of(LoadStatus::Failed), "failed"),
    (LoadKind::Of(LoadStatus::Refused), "refused"),
    (LoadKind::Stuck, STUCK),
];

/// The sums of a time that ends now.
struct PageColumn {
    name: String,
    since: i64,
    sums: LoadSums,
}

/// Everything on the page.
struct StatusPage {
    now: i64,
    columns: Vec<PageColumn>,
    depths: Vec<Depth>,
    folders: BTreeMap<Folder, i64>,
    /// How many loads need attention, by status, however long ago they began.
    open: Vec<(&'static str, usize)>,
    loads: Vec<Load>,
}

/// Prints the page. A queue that cannot be read costs nothing else.
pub(super) async fn print(store: &dyn Store, arguments: &StatusArguments) -> anyhow::Result<Outcome> {
    let (depths, outcome) = match arguments.queues.depths().await {
        Ok(depths) => (depths, Outcome::Done),
        Err(error) => {
            console::error(&error);
            (Vec::new(), Outcome::Failed)
        }
    };
    let page = StatusPage::read(store, arguments, depths).await?;
    if arguments.json {
        console::print(&page.json().to_string())?;
        return Ok(outcome);
    }
    console::print(&page.text())?;
    for (word, count) in page.open.iter().filter(|(_, count)| *count > 0) {
        let more = if *count == MOST_COUNTED as usize { " or more" } else { "" };
        console::line(&format!("flatfire: {count}{more} {word}: see `flatfire status --status {word}`"));
    }
    Ok(outcome)
}

impl StatusPage {
    async fn read(
        store: &dyn Store,
        arguments: &StatusArguments,
        depths: Vec<Depth>,
    ) -> Result<Self, StoreError> {
        let now = milliseconds_now();
        let columns = columns(store, arguments.since, now);
        let folders = period(Some(arguments.since.unwrap_or(now - FOLDERS_WITHIN)));
        let folders = store.last_successes(&folders);
        let (columns, folders, open, loads) =
            try_join!(columns, folders, open(store), loads(store, arguments))?;
        Ok(Self { now, columns, depths, folders: without_dates(folders), open, loads })
    }

    fn text(&self) -> String {
        if self.loads.is_empty() && self.columns.iter().all(|column| column.sums.loads() == 0) {
            return [vec!["no loads".to_owned()], self.queues()].concat().join("\n");
        }
        let mut parts = vec![self.sums()];
        parts.extend([self.rejects(), self.queues(), self.successes()]);
        let mut lines: Vec<String> = Vec::new();
        for part in parts.into_iter().filter(|part| !part.is_empty()) {
            lines.extend(part);
            lines.push(String::new());
        }
        lines.push(list::table(&self.loads));
        lines.join("\n")
    }

    /// Returns a line for each status and measure, a column for each time.
    fn sums(&self) -> Vec<String> {
        let mut lines = vec![(String::new(), self.cells(|column| column.name.clone()))];
        for &status in LoadStatus::ALL {
            let count = |column: &PageColumn| column.sums.statuses.get(&status).copied().unwrap_or_default();
            if self.columns.iter().any(|column| count(column) > 0) {
                lines.push((status.as_str().to_owned(), self.cells(|column| grouped(count(column)))));
            }
        }
        let lag = |lag: Option<i64>| lag.map_or_else(|| "–".to_owned(), length);
        lines.push(("files/h".to_owned(), self.cells(|column| self.rate(column, column.sums.loads()))));
        lines.push(("rows/h".to_owned(), self.cells(|column| self.rate(column, column.sums.rows))));
        lines.push(("lag, median".to_owned(), self.cells(|column| lag(column.sums.median_lag()))));
        lines.push(("lag, worst".to_owned(), self.cells(|column| lag(column.sums.worst_lag))));
        let width = lines.iter().flat_map(|(_, cells)| cells).map(|cell| cell.chars().count()).max();
        let width = width.unwrap_or_default().max(10);
        let line = |(name, cells): (String, Vec<String>)| {
            let cells: Vec<String> = cells.iter().map(|cell| format!("{cell:>width$}")).collect();
            format!("{name:<12}  {}", cells.join("  "))
        };
        lines.into_iter().map(line).collect()
    }

    fn cells(&self, cell: impl Fn(&PageColumn) -> String) -> Vec<String> {
        self.columns.iter().map(cell).collect()
    }

    fn rate(&self, column: &PageColumn, count: u64) -> String {
        grouped(per_hour(count, self.now - column.since))
    }

    /// Returns the rejects of the longest time, the most frequent first.
    fn rejects(&self) -> Vec<String> {
        let Some(column) = self.columns.last() else { return Vec::new() };
        let mut codes: Vec<_> = column.sums.codes.iter().collect();
        codes.sort_by_key(|(_, count)| std::cmp::Reverse(**count));
        let line = |(code, count): &(&String, &u64)| format!("  {:>10}  {code}", grouped(**count));
        let mut lines: Vec<String> = codes.iter().map(line).collect();
        if !lines.is_empty() {
            lines.insert(0, format!("rejects, {} (flatfire explain CODE)", column.name));
        }
        lines
    }

    fn queues(&self) -> Vec<String> {
        let line = |depth: &Depth| {
            let Depth { name, waiting, in_flight, delayed } = depth;
            format!("{name}: {} waiting, {in_flight} in flight, {delayed} delayed", grouped(*waiting))
        };
        self.depths.iter().map(line).collect()
    }

    /// Returns the folders, those first that have been silent longest.
    fn successes(&self) -> Vec<String> {
        let mut folders: Vec<_> = self.folders.iter().collect();
        folders.sort_by_key(|(_, ended)| **ended);
        let line = |(folder, ended): &(&Folder, &i64)| {
            let age = length((self.now - **ended).max(0));
            format!("  {}  {:>9} ago  {}", moment(**ended / 1_000 * 1_000), age, name_of(folder))
        };
        let mut lines: Vec<String> = folders.iter().take(LISTED_FOLDERS).map(line).collect();
        if !lines.is_empty() {
            lines.insert(0, "last success by folder".to_owned());
        }
        if folders.len() > LISTED_FOLDERS {
            lines.push(format!("  and {} folders with a later one", folders.len() - LISTED_FOLDERS));
        }
        lines
    }

    fn json(&self) -> Value {
        let folders = self.folders.iter().map(|(folder, ended)| {
            object([
                ("bucket", Some(folder.bucket.as_str().into())),
                ("prefix", Some(folder.prefix.as_str().into())),
                ("lastSuccess", time(Some(*ended))),
            ])
        });
        let queues = self.depths.iter().map(|depth| {
            let Depth { name, waiting, in_flight, delayed } = depth;
            json!({ "name": name, "waiting": waiting, "inFlight": in_flight, "delayed": delayed })
        });
        let open: BTreeMap<&str, usize> = self.open.iter().copied().collect();
        object([
            ("now", time(Some(self.now))),
            ("periods", Some(self.columns.iter().map(|column| self.column_json(column)).collect())),
            ("queues", (!self.depths.is_empty()).then(|| queues.collect())),
            ("folders", Some(folders.collect())),
            ("open", Some(json!(open))),
            ("loads", Some(self.loads.iter().map(json::load).collect())),
        ])
    }

    fn column_json(&self, column: &PageColumn) -> Value {
        let PageColumn { name, since, sums } = column;
        let statuses: BTreeMap<&str, u64> =
            sums.statuses.iter().map(|(status, count)| (status.as_str(), *count)).collect();
        let span = self.now - since;
        json!({
            "name": name, "since": moment(*since), "statuses": statuses, "loads": sums.loads(),
            "records": sums.records, "rows": sums.rows, "bytes": sums.bytes,
            "filesPerHour": per_hour(sums.loads(), span), "rowsPerHour": per_hour(sums.rows, span),
            "lagMilliseconds": { "median": sums.median_lag(), "worst": sums.worst_lag },
            "rejects": sums.codes,
        })
    }
}

const fn period(since: Option<i64>) -> LoadPeriod {
    LoadPeriod { since, until: None, keys: None }
}

/// Sums what came since a moment, or today and within seven days: each load is read once.
async fn columns(store: &dyn Store, since: Option<i64>, now: i64) -> Result<Vec<PageColumn>, StoreError> {
    if let Some(since) = since {
        let sums = store.sum_loads(&period(Some(since))).await?;
        return Ok(vec![PageColumn { name: format!("since {}", moment(since)), since, sums }]);
    }
    let (today, week) = (now - now.rem_euclid(DAY), now - 7 * DAY);
    let before = LoadPeriod { until: Some(today), ..period(Some(week)) };
    let today_alone = period(Some(today));
    let (of_today, mut of_week) = try_join!(store.sum_loads(&today_alone), store.sum_loads(&before))?;
    of_week += of_today.clone();
    Ok(vec![
        PageColumn { name: "today".to_owned(), since: today, sums: of_today },
        PageColumn { name: "7 days".to_owned(), since: week, sums: of_week },
    ])
}

/// Counts what needs somebody, however many others came after it.
async fn open(store: &dyn Store) -> Result<Vec<(&'static str, usize)>, StoreError> {
    future::try_join_all(NEEDS_SOMEBODY.map(async |(kind, word)| {
        let loads = store.latest_loads(&LoadPeriod::default(), &[kind.wanted()], MOST_COUNTED).await?;
        Ok((word, loads.len()))
    }))
    .await
}

/// Returns the latest loads, those before all others that need a look: at most half, if there are enough others.
async fn loads(store: &dyn Store, arguments: &StatusArguments) -> Result<Vec<Load>, StoreError> {
    let (limit, period) = (arguments.limit, period(arguments.since));
    let filters: Vec<LoadFilter> = NEEDS_SOMEBODY
        .iter()
        .map(|(kind, _)| kind.wanted())
        .chain([LoadFilter::Of(LoadStatus::Partial)])
        .collect();
    let (troubled, latest) =
        try_join!(store.latest_loads(&period, &filters, limit), store.latest_loads(&period, &[], limit))?;
    Ok(troubled_first(troubled, latest, limit as usize))
}

fn troubled_first(mut troubled: Vec<Load>, mut latest: Vec<Load>, limit: usize) -> Vec<Load> {
    let known: BTreeSet<String> = troubled.iter().map(|load| load.id.clone()).collect();
    latest.retain(|load| !known.contains(&load.id));
    troubled.truncate(limit.saturating_sub(latest.len()).max(limit.div_ceil(2)));
    latest.truncate(limit - troubled.len());
    // Those that are partial come last: something of them is in the tables.
    troubled.sort_by_key(|load| load.status == LoadStatus::Partial);
    troubled.extend(latest);
    troubled
}

/// Counts folders below a year as one: each day has its own.
fn without_dates(folders: BTreeMap<Folder, i64>) -> BTreeMap<Folder, i64> {
    let mut merged: BTreeMap<Folder, i64> = BTreeMap::new();
    for (Folder { bucket, prefix }, ended) in folders {
        let parts = prefix.split_inclusive('/').take_while(|part| !is_date(part));
        let last = merged.entry(Folder { bucket, prefix: parts.collect() }).or_insert(ended);
        *last = (*last).max(ended);
    }
    merged
}

/// Returns whether the name of a folder is a date: `2026/`, `2026-01-05/`, `20260105/`, `year=2026/`
fn is_date(part: &str) -> bool {
    let part = part.trim_end_matches('/');
    let part = part.rsplit('=').next().unwrap_or(part);
    let digits = part.bytes().take_while(u8::is_ascii_digit).count();
    (part.starts_with("19") || part.starts_with("20")) && [4, 6, 8].contains(&digits)
}

fn name_of(Folder { bucket, prefix }: &Folder) -> String {
    if bucket == "file" { prefix.clone() } else { format!("{bucket}/{prefix}") }
}

#[allow(
    clippy::cast_precision_loss,
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "a rate for people"
)]
fn per_hour(count: u64, milliseconds: i64) -> u64 {
    let hours = milliseconds.max(1) as f64 / HOUR;
    (count as f64 / hours).round() as u64
}

/// Returns a number as `1,234,567`.
fn grouped(count: u64) -> String {
    indicatif::HumanCount(count).to_string()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use pipeline::store::overview::Folder;

    use super::{per_hour, without_dates};

    #[test]
    fn the_folders_of_days_count_as_one() {
        let folders = [
            ("in/lab/2026/01/05/", 5),
            ("in/lab/2026/01/06/", 6),
            ("in/lab/", 1),
            ("in/ward/12/", 2),
            ("in/2026-01-05/a/", 7),
            ("in/year=2026/", 8),
            ("2026/", 3),
            ("in/20260105T10/", 4),
            ("in/20261/", 9),
        ];
        let folder = |prefix: &str| Folder { bucket: "b".to_owned(), prefix: prefix.to_owned() };
        let merged = without_dates(folders.iter().map(|&(prefix, ended)| (folder(prefix), ended)).collect());
        let expected = [("", 3), ("in/", 8), ("in/20261/", 9), ("in/lab/", 6), ("in/ward/12/", 2)];
        let expected: BTreeMap<_, _> =
            expected.iter().map(|&(prefix, ended)| (folder(prefix), ended)).collect();
        assert_eq!(merged, expected);
    }

    #[test]
    fn a_rate_is_rounded() {
        assert_eq!(per_hour(90, 30 * 60 * 1_000), 180);
        assert_eq!(per_hour(1, 7 * 24 * 3_600_000), 0);
    }
}
