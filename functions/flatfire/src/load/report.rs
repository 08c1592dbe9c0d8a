//! What became of the files, as a table.

use std::time::Duration;

use comfy_table::{CellAlignment, Table};
use pipeline::ledger::Status;
use pipeline::summary::Summary;
use serde_json::{Map, Value, json};

use crate::console;
use crate::input::Input;
use crate::outcome::Outcome;

/// What became of one file.
#[derive(Debug)]
pub(super) struct FileEntry {
    /// As in the ledger.
    pub(super) status: Status,
    /// Whether it had been loaded before, so that nothing was done now.
    pub(super) is_known: bool,
    /// What became of its records, now or before.
    pub(super) summary: Summary,
}

/// How a report is printed.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct ReportForm {
    /// Every file is listed, however many there are.
    pub(super) lists_all: bool,
    /// As one JSON object on standard output.
    pub(super) is_json: bool,
}

/// What became of all files.
#[derive(Debug, Default)]
pub(super) struct LoadReport {
    form: ReportForm,
    files: Vec<File>,
    /// Files that were not loaded, and why.
    failures: Vec<(String, String)>,
    sum: Summary,
}

#[derive(Debug)]
struct File {
    name: String,
    entry: FileEntry,
    took: Duration,
}

/// A number of a summary and its name in the table.
type Count = (&'static str, fn(&Summary) -> u64);

/// More files than this are not all listed unless that is asked for.
const LISTED: usize = 20;

const COUNTS: [Count; 8] = [
    ("records", |summary| summary.records),
    ("loaded", |summary| summary.loaded),
    ("unchanged", |summary| summary.unchanged),
    ("superseded", |summary| summary.superseded),
    ("deleted", |summary| summary.deleted),
    ("archived", |summary| summary.archived),
    ("rejected", |summary| summary.rejected),
    ("rows", |summary| summary.rows),
];

/// What has a column although it is zero everywhere.
const ALWAYS_SHOWN: [&str; 4] = ["records", "loaded", "rejected", "rows"];

impl FileEntry {
    pub(super) const fn outcome(&self) -> Outcome {
        match self.status {
            Status::Done | Status::Superseded => Outcome::Done,
            Status::Partial => Outcome::Partial,
            Status::Running | Status::Failed | Status::Gone | Status::Refused => Outcome::Failed,
        }
    }
}

impl LoadReport {
    pub(super) fn new(form: ReportForm, failures: Vec<(String, String)>) -> Self {
        Self { form, failures, ..Self::default() }
    }

    pub(super) fn add(&mut self, input: &Input, entry: FileEntry, took: Duration) {
        self.sum += entry.summary.clone();
        self.files.push(File { name: input.name.clone(), entry, took });
    }

    /// Adds a file that was not loaded. Why not has been told.
    pub(super) fn add_failure(&mut self, name: String, reason: String) {
        self.failures.push((name, reason));
    }

    /// Prints what became of the files, and what is now in the database.
    pub(super) fn print(self, database: &str, not_begun: u64) {
        if self.form.is_json {
            // A reader who leaves has seen enough.
            console::print_json(&self.described(database, not_begun)).ok();
            return;
        }
        if self.files.is_empty() {
            return;
        }
        console::line(&self.table().to_string());
        if self.files.len() > LISTED {
            console::line(&self.counts());
        }
        let types = self.sum.types.iter().map(|(name, count)| format!("{count} {name}"));
        let types: Vec<_> = types.collect();
        if !types.is_empty() {
            console::line(&format!("In database {database}: {}", types.join(", ")));
        }
    }

    fn described(&self, database: &str, not_begun: u64) -> Value {
        let file = |file: &File| {
            let mut file_json = json!({
                "file": file.name, "status": file.entry.status.as_str(), "isKnown": file.entry.is_known,
                "seconds": file.took.as_secs_f64(),
            });
            if let Some(members) = file_json.as_object_mut() {
                members.extend(counts(&file.entry.summary));
            }
            file_json
        };
        let failure = |(name, reason): &(String, String)| json!({ "file": name, "reason": reason });
        json!({
            "database": database,
            "files": self.files.iter().map(file).collect::<Vec<_>>(),
            "failures": self.failures.iter().map(failure).collect::<Vec<_>>(),
            "notBegun": not_begun, "sums": counts(&self.sum), "types": self.sum.types,
        })
    }

    /// Returns how many files came to what.
    fn counts(&self) -> String {
        let count = |is_counted: &dyn Fn(&FileEntry) -> bool| {
            self.files.iter().filter(|file| is_counted(&file.entry)).count()
        };
        let known = count(&|entry| entry.is_known);
        let partial = count(&|entry| !entry.is_known && entry.outcome() == Outcome::Partial);
        let failed = count(&|entry| !entry.is_known && entry.outcome() > Outcome::Partial);
        let whole = self.files.len() - known - partial - failed;
        format!(
            "{} files: {whole} loaded, {partial} loaded in part, {failed} failed, {known} known before",
            self.files.len()
        )
    }

    fn table(&self) -> Table {
        let shown = COUNTS.iter().filter(|(name, of)| ALWAYS_SHOWN.contains(name) || of(&self.sum) > 0);
        let shown: Vec<_> = shown.collect();
        let line = |name: &str, status: String, summary: &Summary, seconds: String| {
            let counts = shown.iter().map(|(_, of)| of(summary).to_string());
            [name.to_owned(), status].into_iter().chain(counts).chain([seconds]).collect::<Vec<_>>()
        };
        let mut table = console::table();
        table.use_stderr();
        let names = shown.iter().map(|(name, _)| *name);
        table.set_header(["file", "status"].into_iter().chain(names).chain(["seconds"]));
        let lists_all = self.form.lists_all || self.files.len() <= LISTED;
        for File { name, entry, took } in &self.files {
            if lists_all || entry.outcome() != Outcome::Done {
                let before = if entry.is_known { ", before" } else { "" };
                let status = format!("{}{before}", entry.status.as_str());
                table.add_row(line(name, status, &entry.summary, format!("{:.1}", took.as_secs_f64())));
            }
        }
        if self.files.len() > 1 {
            table.add_row(line("all", String::new(), &self.sum, String::new()));
        }
        for column in table.column_iter_mut().skip(2) {
            column.set_cell_alignment(CellAlignment::Right);
        }
        table
    }
}

/// Returns the counts of a summary by the names that JSON has for them.
fn counts(summary: &Summary) -> Map<String, Value> {
    let counts = COUNTS.iter().map(|(name, of)| ((*name).to_owned(), of(summary).into()));
    counts.chain([("viewDefects".to_owned(), summary.view_defects.into())]).collect()
}
