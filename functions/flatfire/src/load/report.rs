//! What became of the files, as a table.

use std::time::Duration;

use comfy_table::{CellAlignment, Table, presets};
use pipeline::ledger::Status;
use pipeline::summary::Summary;

use crate::console;
use crate::input::Input;
use crate::outcome::Outcome;

/// What became of one file.
#[derive(Debug)]
pub(super) struct Entry {
    /// As in the ledger.
    pub(super) status: Status,
    /// Whether it had been loaded before, so that nothing was done now.
    pub(super) is_known: bool,
    /// What became of its records, now or before.
    pub(super) summary: Summary,
}

/// What became of all files.
#[derive(Debug, Default)]
pub(super) struct Report {
    lists_all: bool,
    files: Vec<File>,
    sum: Summary,
}

#[derive(Debug)]
struct File {
    line: [String; COLUMNS],
    needs_a_look: bool,
    outcome: Outcome,
    is_known: bool,
}

/// More files than this are not all listed unless that is asked for.
const LISTED: usize = 20;

const COLUMNS: usize = 11;
const HEADER: [&str; COLUMNS] = [
    "file",
    "status",
    "records",
    "loaded",
    "unchanged",
    "superseded",
    "deleted",
    "archived",
    "rejected",
    "rows",
    "seconds",
];

impl Entry {
    pub(super) const fn outcome(&self) -> Outcome {
        match self.status {
            Status::Done | Status::Superseded => Outcome::Done,
            Status::Partial => Outcome::Partial,
            Status::Running | Status::Failed | Status::Gone | Status::Refused => Outcome::Failed,
        }
    }
}

impl Report {
    pub(super) fn new(lists_all: bool) -> Self {
        Self { lists_all, ..Self::default() }
    }

    pub(super) fn add(&mut self, input: &Input, entry: &Entry, took: Duration) {
        let before = if entry.is_known { ", before" } else { "" };
        let status = format!("{}{before}", entry.status.as_str());
        let outcome = entry.outcome();
        self.files.push(File {
            line: line(&input.name, status, &entry.summary, format!("{:.1}", took.as_secs_f64())),
            needs_a_look: outcome != Outcome::Done,
            outcome,
            is_known: entry.is_known,
        });
        self.sum += entry.summary.clone();
    }

    /// Prints the table, and what is now in the database.
    pub(super) fn print(self, database: &str) {
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

    /// Returns how many files came to what.
    fn counts(&self) -> String {
        let count =
            |is_counted: &dyn Fn(&File) -> bool| self.files.iter().filter(|file| is_counted(file)).count();
        let known = count(&|file| file.is_known);
        let partial = count(&|file| !file.is_known && file.outcome == Outcome::Partial);
        let failed = count(&|file| !file.is_known && file.outcome > Outcome::Partial);
        let whole = self.files.len() - known - partial - failed;
        format!(
            "{} files: {whole} loaded, {partial} loaded in part, {failed} failed, {known} known before",
            self.files.len()
        )
    }

    fn table(&self) -> Table {
        let mut table = Table::new();
        table.use_stderr().load_style(presets::UTF8_FULL_CONDENSED);
        table.set_header(HEADER);
        let lists_all = self.lists_all || self.files.len() <= LISTED;
        let listed = self.files.iter().filter(|file| lists_all || file.needs_a_look);
        table.add_rows(listed.map(|file| &file.line));
        if self.files.len() > 1 {
            table.add_row(line("all", String::new(), &self.sum, String::new()));
        }
        for column in table.column_iter_mut().skip(2) {
            column.set_cell_alignment(CellAlignment::Right);
        }
        table
    }
}

fn line(name: &str, status: String, summary: &Summary, seconds: String) -> [String; COLUMNS] {
    let Summary { records, loaded, unchanged, superseded, deleted, archived, rejected, rows, .. } = summary;
    let [records, loaded, unchanged, superseded, deleted, archived, rejected, rows] =
        [records, loaded, unchanged, superseded, deleted, archived, rejected, rows].map(ToString::to_string);
    [
        name.to_owned(),
        status,
        records,
        loaded,
        unchanged,
        superseded,
        deleted,
        archived,
        rejected,
        rows,
        seconds,
    ]
}
