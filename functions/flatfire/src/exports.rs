//! `flatfire status --exports`: is everything in that the manifests of Bulk Data exports list?

use anyhow::bail;
use clap::Args;
use comfy_table::{CellAlignment, ContentArrangement, Table, presets};
use indicatif::HumanCount;
use pipeline::exports::{ExportReport, FileReport, FileState, Sums, reports};
use pipeline::manifest::FileRole;
use pipeline::store::Store;
use process::milliseconds_now;
use serde_json::{Map, Value, json};

use crate::console::{self, moment};
use crate::outcome::Outcome;

/// Whether exports are shown instead of loads.
#[derive(Debug, Clone, Copy, Args)]
pub(crate) struct ExportOptions {
    /// Show Bulk Data exports instead: is everything in that their manifests list? LOAD is an export, or its folder
    #[arg(long, conflicts_with = "wanted")]
    pub(crate) exports: bool,
}

/// How exports are printed.
#[derive(Debug, Clone, Copy)]
pub(crate) struct ExportForm {
    /// As JSON, an object a line.
    pub(crate) is_json: bool,
    /// At most so many rows of a table.
    pub(crate) limit: usize,
}

/// Open files of an export that are listed without its name.
const MAX_LISTED_FILES: usize = 20;

/// Prints the exports, those that are not complete first, or one of them. Returns [`Outcome::Partial`] if one of these
/// is not complete.
pub(crate) async fn run(store: &dyn Store, form: ExportForm, name: Option<&str>) -> anyhow::Result<Outcome> {
    let mut all = reports(store, milliseconds_now()).await?;
    if let Some(name) = name {
        all.retain(|report| is_named(report, name));
        if all.is_empty() {
            bail!("there is no such export; `flatfire status --exports` lists all");
        }
    }
    all.sort_by_key(ExportReport::is_complete);
    let is_complete = all.iter().all(ExportReport::is_complete);
    if form.is_json {
        for report in &all {
            console::print(&as_json(report, name.is_some()).to_string())?;
        }
    } else if name.is_some() {
        for report in &all {
            console::print(&explained(report))?;
        }
    } else {
        console::print(&listed(&all, form.limit))?;
    }
    Ok(if is_complete { Outcome::Done } else { Outcome::Partial })
}

fn is_named(report: &ExportReport, name: &str) -> bool {
    let folder = format!("{}/{}", report.bucket, report.folder);
    report.export == name
        || [report.folder.as_str(), folder.as_str()]
            .iter()
            .any(|of| of.trim_end_matches('/') == name.trim_end_matches('/'))
        || report.manifests.iter().any(|load| load == name)
}

/// Returns a table with a row for each export, and the answer in a sentence.
fn listed(all: &[ExportReport], limit: usize) -> String {
    if all.is_empty() {
        return "no exports: no manifest was loaded".to_owned();
    }
    let mut table = new_table(["export", "folder", "files", "records", "deletions", "errors", "state"]);
    for report in all.iter().take(limit) {
        let [output, deleted, outcome] =
            [FileRole::Output, FileRole::Deleted, FileRole::Outcome].map(|role| report.sum_of(role));
        let files = Sums {
            files: output.files + deleted.files,
            loaded_files: output.loaded_files + deleted.loaded_files,
            ..Sums::default()
        };
        table.add_row([
            report.export.clone(),
            format!("{}/{}", report.bucket, report.folder),
            of(files.loaded_files, files.files),
            records(output),
            records(deleted),
            HumanCount(outcome.files).to_string(),
            state(report),
        ]);
    }
    for column in table.column_iter_mut().skip(2).take(4) {
        column.set_cell_alignment(CellAlignment::Right);
    }
    let open = all.iter().filter(|report| !report.is_complete()).count();
    let mut lines = vec![table.to_string()];
    if all.len() > limit {
        lines.push(format!("and {} more; --limit shows more", all.len() - limit));
    }
    lines.push(match open {
        0 => format!("complete: all of {} exports", all.len()),
        open => format!(
            "not complete: {open} of {} exports; `flatfire status --exports EXPORT` names the files",
            all.len()
        ),
    });
    lines.join("\n")
}

/// Returns everything about one export.
fn explained(report: &ExportReport) -> String {
    let mut lines = vec![report.export.clone(), format!("  {}", state(report))];
    lines.extend(report.time.map(|time| format!("  transactionTime {}", moment(time))));
    lines.extend(report.manifests.iter().map(|load| format!("  manifest {load}")));
    let mut table = new_table(["list", "type", "files", "records"]);
    for ((role, resource_type), sums) in report.sums() {
        table.add_row([
            role.as_str().to_owned(),
            resource_type.to_owned(),
            of(sums.loaded_files, sums.files),
            records(sums),
        ]);
    }
    for column in table.column_iter_mut().skip(2) {
        column.set_cell_alignment(CellAlignment::Right);
    }
    lines.push(table.to_string());
    lines.extend(report.files.iter().filter(|file| file.is_open()).map(file_line));
    lines.join("\n")
}

/// Returns an open file in a line: what is wrong, its name, and its load.
fn file_line(file: &FileReport) -> String {
    let FileReport { expected, load, state } = file;
    let name = if expected.name.is_empty() { "(no name)" } else { &expected.name };
    let resource_type = expected.resource_type.as_deref().unwrap_or("-");
    let what = format!("  {}\t{resource_type}\t{name}", state.as_str());
    let Some(load) = load else { return what };
    let loaded = file.loaded_records();
    let records = expected.count.map_or_else(|| HumanCount(loaded).to_string(), |count| of(loaded, count));
    format!("{what}\t{records} records\t{}", load.load)
}

/// Returns the state in words: `complete`, or what is missing.
fn state(report: &ExportReport) -> String {
    if report.is_complete() {
        return "complete".to_owned();
    }
    let open = report
        .open_files()
        .into_iter()
        .map(|(state, count)| format!("{} {}", HumanCount(count), words(state)));
    let beyond = (report.beyond > 0).then(|| format!("{} files beyond the limit", HumanCount(report.beyond)));
    let pages = report.lacks_manifests.then(|| "another manifest is missing".to_owned());
    open.chain(beyond).chain(pages).collect::<Vec<_>>().join(", ")
}

/// Returns the state as it stands behind a number of files.
const fn words(state: FileState) -> &'static str {
    match state {
        FileState::Fewer => "with fewer records",
        FileState::More => "with more records",
        FileState::OtherTypes => "with other types",
        other => other.as_str(),
    }
}

fn records(sums: Sums) -> String {
    match sums.records {
        0 => HumanCount(sums.loaded_records).to_string(),
        expected => of(sums.loaded_records, expected),
    }
}

fn of(count: u64, all: u64) -> String {
    format!("{} of {}", HumanCount(count), HumanCount(all))
}

/// Makes a table that fits the terminal.
fn new_table<const N: usize>(header: [&str; N]) -> Table {
    let mut table = Table::new();
    table.load_style(presets::UTF8_FULL_CONDENSED).set_content_arrangement(ContentArrangement::Dynamic);
    table.set_header(header);
    table
}

fn as_json(report: &ExportReport, has_all_files: bool) -> Value {
    let open: Map<String, Value> = report
        .open_files()
        .into_iter()
        .map(|(state, count)| (state.as_str().to_owned(), count.into()))
        .collect();
    let sums = report.sums().into_iter().map(|((role, resource_type), sums)| {
        json!({
            "list": role.as_str(), "type": resource_type, "files": sums.files, "loadedFiles": sums.loaded_files,
            "records": sums.records, "loadedRecords": sums.loaded_records,
        })
    });
    let listed = report.files.iter().filter(|file| has_all_files || file.is_open());
    let most = if has_all_files { usize::MAX } else { MAX_LISTED_FILES };
    json!({
        "export": report.export, "bucket": report.bucket, "folder": report.folder,
        "transactionTime": report.time.map(moment), "manifests": report.manifests,
        "isComplete": report.is_complete(), "open": open, "beyond": report.beyond,
        "lacksManifests": report.lacks_manifests, "sums": sums.collect::<Vec<_>>(),
        "files": listed.take(most).map(file_as_json).collect::<Vec<_>>(),
    })
}

fn file_as_json(file: &FileReport) -> Value {
    let FileReport { expected, load, state } = file;
    json!({
        "list": expected.role.as_str(), "type": expected.resource_type, "name": expected.name,
        "records": expected.count, "state": state.as_str(), "load": load.as_ref().map(|load| &load.load),
        "loadedRecords": load.as_ref().map(|_| file.loaded_records()),
        "rejected": load.as_ref().map(|load| load.rejected),
    })
}
