//! `flatfire report`: what stands in the database and how loading goes, as one page for people.

mod failures;
mod page;
mod plot;
mod quality;
mod sections;
mod summary;
mod tables;
mod words;

use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::Context as _;
use askama::Template as _;
use clap::Args;
use jiff::Timestamp;
use jiff::ToSpan as _;
use jiff::civil::Date;
use jiff::tz::TimeZone;
use pipeline::report::{ReportRequest, ReportScope, gather};
use pipeline::store::report::{DAY_MILLISECONDS, day_of};
use process::milliseconds_now;

use crate::console;
use crate::outcome::Outcome;
use crate::progress::{bar_of_tables, show_table};
use crate::settings::Destination;

/// Write a page about the database: loads, failures, exports, erasures, tables and how full their columns are.
#[derive(Debug, Args)]
#[command(after_help = NOTES)]
pub(crate) struct ReportArguments {
    #[command(flatten)]
    destination: Destination,
    /// Where the page is written
    #[arg(long, value_name = "FILE", default_value = "report.html", conflicts_with = "json")]
    out: PathBuf,
    /// Report the loads of so many days, today included
    #[arg(long, value_name = "N", default_value_t = 30, value_parser = clap::value_parser!(u32).range(1..=366))]
    days: u32,
    /// Report a month for the board instead: files, failures and what became of them, exports, erasures, a year's trend
    #[arg(long, value_name = "YYYY-MM", value_parser = month, conflicts_with = "days")]
    month: Option<Date>,
    /// Write the names of files: without it they are a folder and a short hash, because a name may be that of a patient
    #[arg(long)]
    file_names: bool,
    /// Check the data for so many seconds at most, small tables first; 0: as long as it takes
    #[arg(long, value_name = "N", default_value_t = 50)]
    check_seconds: u64,
    /// Print everything that the page shows as one JSON object instead
    #[arg(long)]
    json: bool,
}

const NOTES: &str = "\
The page is one HTML file. It needs no network and holds no value of a patient: counts, dates, codes, names of tables and
columns, and folders. Columns of extensions and of elements that FHIR does not know are counted, not named.

A month counts a file on the day of its first attempt, the other report on that of its latest, as `flatfire status` does.
Of tables with more than 250,000 rows 10,000 rows are looked at, chosen at random.

Exit codes: 0 written, 1 failed.";

/// Reads the first day of a month.
fn month(text: &str) -> Result<Date, String> {
    let date = format!("{text}-01").parse::<Date>();
    date.map_err(|_| "write a year and a month, such as 2026-11".to_owned())
}

/// Gathers the report and writes it.
pub(crate) async fn run(arguments: ReportArguments) -> anyhow::Result<Outcome> {
    let store = arguments.destination.connect().await?;
    let request = arguments.request(milliseconds_now());
    let bar = bar_of_tables();
    let report = gather(&*store, &request, &|what, done, all| show_table(&bar, what, done, all)).await;
    bar.finish_and_clear();
    let report = report?;
    if arguments.json {
        console::print_json(&serde_json::to_value(&report)?)?;
        return Ok(Outcome::Done);
    }
    let page = match request.scope {
        ReportScope::Days => sections::of_days(&report)?,
        ReportScope::Month => sections::of_month(&report)?,
    };
    write(&arguments.out, &console::harmless(&page.render()?))?;
    console::line(&format!("flatfire: written to {}", arguments.out.display()));
    Ok(Outcome::Done)
}

/// Writes a file.
fn write(path: &Path, text: &str) -> anyhow::Result<()> {
    std::fs::write(path, text).with_context(|| format!("{} cannot be written", path.display()))
}

impl ReportArguments {
    fn request(&self, now: i64) -> ReportRequest {
        let has_file_names = self.file_names;
        let check_time = (self.check_seconds > 0).then(|| Duration::from_secs(self.check_seconds));
        if let Some(first) = self.month {
            let (since, until) = (midnight(first), midnight(first.saturating_add(1.month())));
            let scope = ReportScope::Month;
            return ReportRequest { now, since, until, scope, has_file_names, check_time };
        }
        let today = day_of(now);
        let since = today - i64::from(self.days - 1) * DAY_MILLISECONDS;
        let until = today + DAY_MILLISECONDS;
        ReportRequest { now, since, until, scope: ReportScope::Days, has_file_names, check_time }
    }
}

fn midnight(date: Date) -> i64 {
    let midnight = date.to_zoned(TimeZone::UTC).map(|midnight| midnight.timestamp());
    midnight.unwrap_or(Timestamp::UNIX_EPOCH).as_millisecond()
}

#[cfg(test)]
mod tests {
    use super::{midnight, month};

    #[test]
    fn a_month_is_a_year_and_a_month() {
        let november = month("2026-11").unwrap();
        assert_eq!(midnight(november), 1_793_491_200_000);
        for wrong in ["2026", "2026-13", "2026-11-02", "November", ""] {
            assert!(month(wrong).is_err(), "{wrong}");
        }
    }
}
