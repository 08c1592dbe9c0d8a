//! The two pages: that of the last days and that of a month.

use pipeline::report::{ActivityCounts, DatabaseReport, ExportCompleteness, OpenFile};

use crate::explain;

use super::failures;
use super::page::{Figure, NumberSource, Page, PageBlock, PageCell, PageTable, Section, headers};
use super::plot::{BarPlot, Series, Tone, of_numbers};
use super::quality;
use super::summary::{Answer, answer};
use super::tables;
use super::words::{
    bytes, counted, date, grouped, length, minute, month_name, plain, short_bytes, short_date, short_month,
    short_number,
};

/// Exports that are listed.
const LISTED_EXPORTS: usize = 20;
/// Files that are listed of one export.
const LISTED_FILES: usize = 40;

/// How files end, with the words in the ledger that count as that.
const ENDS: [(&str, Tone, &[&str]); 4] = [
    ("wholly in", Tone::Good, &["done", "superseded"]),
    ("in without some records", Tone::Warning, &["partial"]),
    ("failed or refused", Tone::Bad, &["failed", "refused"]),
    ("running or deleted before", Tone::Quiet, &["running", "gone"]),
];

/// Days or months with what came, as plots and tables take them.
struct Times<'a> {
    /// `day` or `month`.
    unit: &'static str,
    head: &'static str,
    /// Below the bars.
    labels: Vec<String>,
    names: Vec<&'a str>,
    counts: Vec<&'a ActivityCounts>,
}

/// Returns the page of the last days.
pub(super) fn of_days(report: &DatabaseReport) -> anyhow::Result<Page> {
    let days = Times::of_days(report);
    let status = format!("flatfire status --since {} --json", date(report.since));
    let (status, json) = (status.as_str(), json_command(report));
    let failed = ["flatfire status --status failed", "flatfire status --status partial"];
    let schema = ["flatfire schema --as columns --to URI", json.as_str()];
    let parts = [
        ("loads", "How loading goes", vec![days.files()?], vec![status]),
        ("failures", "What needs a look", failures(report), failed.into()),
        ("volume", "Volume", days.volume()?, vec![status]),
        ("rejects", "Records that were set aside", rejects(report, &days)?, vec![status, "flatfire explain"]),
        ("exports", "Exports", exports(report), vec!["flatfire status --exports"]),
        ("erasures", "Erasures", vec![erasures(report)], vec![json.as_str()]),
        ("quality", "Data quality", quality::blocks(report), vec!["flatfire quality"]),
        ("tables", "Tables and columns", tables::blocks(report), schema.into()),
    ];
    let time = match report.days.len() {
        1 => "today".to_owned(),
        days => format!("the last {days} days"),
    };
    let title = format!("Flatfire report of {}", report.database);
    Ok(page(report, title, &time, sections(report, parts)))
}

/// Returns the page of a month, for the board.
pub(super) fn of_month(report: &DatabaseReport) -> anyhow::Result<Page> {
    let (days, months) = (Times::of_days(report), Times::of_months(report));
    let month = month_name(report.since);
    let json = json_command(report);
    let json = || vec![json.as_str()];
    let mut trend = vec![months.files()?];
    trend.extend(months.volume()?);
    trend.push(months.rejected()?);
    let mut became = failures(report);
    if !report.failures.is_empty() {
        became.insert(0, failures::outcomes(report));
    }
    let open = match report.open_rejects.values().sum::<u64>() {
        0 => PageBlock::Paragraph("No reject is open.".to_owned()),
        _ => codes(report),
    };
    let parts = [
        ("loads", "How loading went", vec![days.files()?], json()),
        ("failures", "Failures and what became of them", became, json()),
        ("exports", "Completeness of exports", exports(report), vec!["flatfire status --exports"]),
        ("rejects", "Open rejects", vec![open], json()),
        ("erasures", "Erasures", vec![erasures(report)], json()),
        ("trend", "Twelve months", trend, json()),
    ];
    Ok(page(report, format!("{month}: files and tables"), &month, sections(report, parts)))
}

fn page(report: &DatabaseReport, title: String, time: &str, sections: Vec<Section>) -> Page {
    let Answer { headline, tone, sentences } = answer(report, time);
    let failed = report.failures.iter().map(|failure| &failure.file);
    let open = report.exports.iter().flat_map(|export| &export.open).map(|open| &open.file);
    let names = if failed.chain(open).any(|file| file.name.is_some()) {
        "The names of files are on this page, which may name patients: whoever gets it should be allowed to know them."
    } else {
        "Files are shown by their folder and a short hash, because a name may be that of a patient; `--file-names` shows \
         the names and the same hashes."
    };
    let counted = "A file counts on the day of its latest attempt, or on the page of a month on that of its first. Days are \
                   those of UTC.";
    let values = "No value of a patient is on this page: it has counts, dates, codes, folders, and names of tables and columns.";
    Page {
        title,
        subtitle: format!(
            "Database {} · {} to {} · made {} UTC",
            report.database,
            date(report.since),
            date(last_moment(report)),
            minute(report.made)
        ),
        headline,
        tone,
        summary: sentences,
        sections,
        notes: [values, names, counted].map(str::to_owned).into(),
        version: env!("CARGO_PKG_VERSION"),
    }
}

/// Returns the last moment that the page is about: the end of its time, or now if that is before.
fn last_moment(report: &DatabaseReport) -> i64 {
    let end = report.until - 1;
    if report.made < report.since { end } else { end.min(report.made) }
}

/// A section before it has its source: its id, its heading, what stands in it, and the commands.
type PagePart<'a> = (&'static str, &'static str, Vec<PageBlock>, Vec<&'a str>);

fn sections<const N: usize>(report: &DatabaseReport, parts: [PagePart<'_>; N]) -> Vec<Section> {
    let section = |(id, heading, blocks, commands): PagePart<'_>| {
        let commands = commands.into_iter().map(str::to_owned).collect();
        Section { id, heading, blocks, source: NumberSource { moment: minute(report.made), commands } }
    };
    parts.into_iter().map(section).collect()
}

/// Returns the command that prints the numbers of this page.
fn json_command(report: &DatabaseReport) -> String {
    if report.months.is_empty() {
        return format!("flatfire report --days {} --json", report.days.len());
    }
    format!("flatfire report --month {} --json", date(report.since).get(..7).unwrap_or_default())
}

fn failures(report: &DatabaseReport) -> Vec<PageBlock> {
    if report.failures.is_empty() {
        return vec![PageBlock::Paragraph("No file failed, and none lacked records.".to_owned())];
    }
    vec![failures::list(report)]
}

fn rejects(report: &DatabaseReport, days: &Times<'_>) -> anyhow::Result<Vec<PageBlock>> {
    let mut blocks = vec![days.rejected()?];
    if !report.total.codes.is_empty() || !report.open_rejects.is_empty() {
        blocks.push(codes(report));
    }
    Ok(blocks)
}

/// Returns the codes of rejects with their words: how often in the time, and how many stand.
fn codes(report: &DatabaseReport) -> PageBlock {
    let count =
        |of: &std::collections::BTreeMap<String, u64>, code: &str| of.get(code).copied().unwrap_or_default();
    let mut all: Vec<&String> = report.total.codes.keys().chain(report.open_rejects.keys()).collect();
    all.sort();
    all.dedup();
    all.sort_by_key(|code| {
        std::cmp::Reverse(count(&report.total.codes, code) + count(&report.open_rejects, code))
    });
    let rows = all.into_iter().map(|code| {
        let remedy = explain::remedy_of(code).map(failures::to_do);
        vec![
            PageCell::code(code),
            PageCell::text(explain::meaning_of(code).map_or_else(|| "–".to_owned(), plain))
                .with_detail(remedy),
            PageCell::number(grouped(count(&report.total.codes, code))),
            PageCell::number(grouped(count(&report.open_rejects, code))),
        ]
    });
    PageBlock::Table(PageTable {
        caption: "Rejects and resources that a view refused, by code".to_owned(),
        headers: headers(&["Code", "What it means", "In this time#", "Still open#"]),
        rows: rows.collect(),
        is_stacked: true,
        remark: Some("Open are all that stand, however old; of one file at most 10,000 are kept.".to_owned()),
    })
}

fn exports(report: &DatabaseReport) -> Vec<PageBlock> {
    if report.exports.is_empty() {
        return vec![PageBlock::Paragraph("No manifest of a Bulk Data export was loaded.".to_owned())];
    }
    let more = report.exports.len().saturating_sub(LISTED_EXPORTS);
    let table = PageTable {
        caption: "Bulk Data exports, the latest first".to_owned(),
        headers: headers(&["Export", "Time (UTC)", "Files#", "Records#", "State"]),
        rows: report.exports.iter().take(LISTED_EXPORTS).map(export).collect(),
        is_stacked: false,
        remark: (more > 0).then(|| format!("And {} before.", counted(more as u64, "export"))),
    };
    let open = report.exports.iter().take(LISTED_EXPORTS).filter(|export| !export.open.is_empty());
    [PageBlock::Table(table)].into_iter().chain(open.map(missing)).collect()
}

fn export(export: &ExportCompleteness) -> Vec<PageCell> {
    let of = |count: u64, all: u64| format!("{} of {}", grouped(count), grouped(all));
    let records = match export.records {
        0 => grouped(export.loaded_records),
        records => of(export.loaded_records, records),
    };
    let pages = export.lacks_manifests.then(|| "another manifest is missing".to_owned());
    let state = match (export.is_complete, export.open.len() as u64) {
        (true, _) => PageCell { tone: Some(Tone::Good), ..PageCell::text("complete") },
        (false, open) => {
            let text = format!("not complete: {} open", counted(open + export.beyond, "file"));
            PageCell { tone: Some(Tone::Bad), ..PageCell::text(text) }
        }
    };
    vec![
        PageCell::code(&*export.export),
        PageCell::text(export.time.map_or_else(|| "–".to_owned(), minute)),
        PageCell::number(of(export.loaded_files, export.files)),
        PageCell::number(records),
        state.with_detail(pages),
    ]
}

/// Returns the files that an export waits for.
fn missing(export: &ExportCompleteness) -> PageBlock {
    let row = |open: &OpenFile| {
        let expected = open.records.map(|records| format!(" of {}", grouped(records))).unwrap_or_default();
        vec![
            PageCell::text(open.resource_type.as_deref().unwrap_or("–")),
            failures::file(&open.file),
            PageCell::text(open.state),
            PageCell::number(format!("{}{expected}", grouped(open.loaded_records))),
        ]
    };
    let more = export.open.len().saturating_sub(LISTED_FILES);
    PageBlock::Table(PageTable {
        caption: format!("What export {} waits for", export.export),
        headers: headers(&["Type", "File", "State", "Records in#"]),
        rows: export.open.iter().take(LISTED_FILES).map(row).collect(),
        is_stacked: false,
        remark: (more > 0).then(|| format!("And {}.", counted(more as u64, "more file"))),
    })
}

/// Returns the erasures, a row for each command.
fn erasures(report: &DatabaseReport) -> PageBlock {
    if report.erasures.is_empty() {
        return PageBlock::Paragraph("Nothing was erased in this time.".to_owned());
    }
    let mut commands: Vec<&str> = report.erasures.iter().map(|erasure| erasure.command.as_str()).collect();
    commands.dedup();
    let rows = commands.iter().map(|command| {
        let of_command = || report.erasures.iter().filter(move |erasure| erasure.command == *command);
        let begun = of_command().map(|erasure| erasure.begun).min().unwrap_or_default();
        let count = |is: fn(&pipeline::store::report::ErasureOutline) -> bool| {
            PageCell::number(grouped(of_command().filter(|erasure| is(erasure)).count() as u64))
        };
        vec![
            PageCell::text(minute(begun)),
            count(|_| true),
            PageCell::number(grouped(of_command().map(|erasure| erasure.documents).sum())),
            count(|erasure| erasure.ended.is_none()),
            count(|erasure| erasure.lifted.is_some()),
        ]
    });
    PageBlock::Table(PageTable {
        caption: "Erasures on request, a row for each command".to_owned(),
        headers: headers(&[
            "Begun (UTC)",
            "Resources#",
            "Documents removed#",
            "Unfinished#",
            "Lifted later#",
        ]),
        rows: rows.collect(),
        ..PageTable::default()
    })
}

impl<'a> Times<'a> {
    fn of_days(report: &'a DatabaseReport) -> Self {
        let days = || report.days.iter();
        Self {
            unit: "day",
            head: "Day (UTC)",
            labels: days().map(|day| short_date(&day.day)).collect(),
            names: days().map(|day| day.day.as_str()).collect(),
            counts: days().map(|day| &day.counts).collect(),
        }
    }

    fn of_months(report: &'a DatabaseReport) -> Self {
        let months = || report.months.iter();
        Self {
            unit: "month",
            head: "Month (UTC)",
            labels: months().map(|month| short_month(&month.month)).collect(),
            names: months().map(|month| month.month.as_str()).collect(),
            counts: months().map(|month| &month.counts).collect(),
        }
    }

    /// Returns the plot of files by how they ended.
    fn files(&self) -> anyhow::Result<PageBlock> {
        let of = |counts: &ActivityCounts, words: &[&str]| -> u64 {
            words.iter().filter_map(|word| counts.statuses.get(word)).sum()
        };
        let series = ENDS.iter().map(|(name, tone, words)| {
            let values = self.counts.iter().map(|counts| of(counts, words)).collect();
            Series { name, tone: *tone, values }
        });
        let plot = BarPlot { labels: self.labels.clone(), series: series.collect(), number: short_number };
        let numbers = self.table(
            "Files",
            &["Files#", "Wholly in#", "Without some records#", "Failed or refused#", "Other#"],
            |counts| {
                let ends = ENDS.iter().map(|(_, _, words)| grouped(of(counts, words)));
                [grouped(counts.files)].into_iter().chain(ends).collect()
            },
        );
        let caption = format!("How the files of each {} stand now.", self.unit);
        Figure::of(&plot, format!("Files by {}", self.unit), caption, numbers)
    }

    /// Returns the plots of rows, bytes and lag.
    fn volume(&self) -> anyhow::Result<Vec<PageBlock>> {
        let values = |of: fn(&ActivityCounts) -> u64| self.counts.iter().map(|counts| of(counts)).collect();
        let rows = of_numbers(self.labels.clone(), "rows", values(|counts| counts.rows));
        let bytes_plot = BarPlot {
            number: short_bytes,
            ..of_numbers(self.labels.clone(), "bytes", values(|counts| counts.bytes))
        };
        let numbers = self.table("Volume", &["Records#", "Rows#", "Size#", "Lag, median#"], |counts| {
            let lag = counts.median_lag.map_or_else(|| "–".to_owned(), length);
            vec![grouped(counts.records), grouped(counts.rows), bytes(counts.bytes), lag]
        });
        let sizes = self.table("Size of the files", &["Size#"], |counts| vec![bytes(counts.bytes)]);
        Ok(vec![
            Figure::of(
                &rows,
                format!("Rows by {}", self.unit),
                "Rows that were written.".to_owned(),
                numbers,
            )?,
            Figure::of(
                &bytes_plot,
                format!("Size of files by {}", self.unit),
                "Bytes as stored, compressed or not.".to_owned(),
                sizes,
            )?,
        ])
    }

    /// Returns the plot of records that were set aside.
    fn rejected(&self) -> anyhow::Result<PageBlock> {
        let values = self.counts.iter().map(|counts| counts.rejected).collect();
        let series = vec![Series { name: "set aside", tone: Tone::Warning, values }];
        let plot = BarPlot { labels: self.labels.clone(), series, number: short_number };
        let numbers = self.table("Records that were set aside", &["Records#", "Set aside#"], |counts| {
            vec![grouped(counts.records), grouped(counts.rejected)]
        });
        let caption = "Rejects: records that are not in the tables until somebody corrects them.".to_owned();
        Figure::of(&plot, format!("Records set aside by {}", self.unit), caption, numbers)
    }

    fn table(
        &self,
        what: &str,
        heads: &[&'static str],
        cells: impl Fn(&ActivityCounts) -> Vec<String>,
    ) -> PageTable {
        let rows = self.names.iter().zip(&self.counts).map(|(name, counts)| {
            let cells = cells(counts).into_iter().map(PageCell::number);
            [PageCell::text(*name)].into_iter().chain(cells).collect()
        });
        let mut all = headers(&[self.head]);
        all.extend(headers(heads));
        PageTable {
            caption: format!("{what} by {}", self.unit),
            headers: all,
            rows: rows.collect(),
            ..PageTable::default()
        }
    }
}
