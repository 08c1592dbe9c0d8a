//! The store that prints: rows as JSON lines or as CSV, to any writer.

mod cells;
mod csv;
mod error;
mod fill;
mod json;
mod run;

use std::collections::BTreeMap;
use std::fmt;
use std::io::{self, BufWriter, Write};
use std::sync::{Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;
use flatten::row::Row;

use crate::batch::{Fate, Reject, ResourceWrite, WriteBatch};
use crate::interrupted::Interrupted;
use crate::store::RowStore;
use crate::summary::Summary;

pub use cells::{archived_line, row_line};
pub use error::PrintError;

use csv::CsvTable;
use json::{Hole, JsonWriter, MemberNames};
use run::{AddedRows, KeyHash, KeyHasher, PrintRun, Stored};

/// What is printed, and how.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Format {
    /// A JSON object a line: `_table`, `_id`, then the cells of a row.
    JsonLines {
        /// The only table whose rows are printed; `None`: all of them.
        table: Option<String>,
    },
    /// Everything that a database would hold, as JSON lines: rows end in `_version`, `_source`, `_load` and
    /// `_received`, and there are lines of the tables `_tombstones` and `_archive`.
    History,
    /// One table with a header: `_id`, then the columns in the order in which they first appear.
    Csv {
        /// The table; `None`: the only one that there is.
        table: Option<String>,
        /// Columns that are known before the first row.
        header: Vec<String>,
    },
}

/// Prints rows: exact decimals as they were written, doubles by their shortest text, moments as RFC 3339 text in UTC
/// with milliseconds, lists and records nested.
///
/// Nothing that was printed can be taken back. So the rows of a run wait, in memory at first and then in a nameless
/// temporary file, until [`finish`](Self::finish) prints those of the newest version of each resource, with the keys
/// that came after their rows, and nothing of what was deleted or archived.
pub struct Printer {
    state: Mutex<PrinterState>,
}

struct PrinterState {
    format: Format,
    hasher: KeyHasher,
    run: PrintRun,
    csv: CsvTable,
    /// Where only one table is printed as JSON lines: how many rows each table has had.
    tables: BTreeMap<String, u64>,
    on_reject: Box<dyn FnMut(&Reject) + Send>,
}

/// What is written at once.
const OUTPUT_BYTES: usize = 64 << 10;

impl Printer {
    /// Prepares a run; every reject is handed to `on_reject` when it comes.
    pub fn new(format: Format, on_reject: impl FnMut(&Reject) + Send + 'static) -> Self {
        let csv = match &format {
            Format::Csv { table, header } => CsvTable::new(table.clone(), header),
            Format::JsonLines { .. } | Format::History => CsvTable::new(None, &[]),
        };
        let (hasher, run, on_reject) = (KeyHasher::default(), PrintRun::default(), Box::new(on_reject));
        let tables = BTreeMap::new();
        Self { state: Mutex::new(PrinterState { format, hasher, run, csv, tables, on_reject }) }
    }

    /// Ends the run and prints what stands at its end.
    ///
    /// # Errors
    /// If the rows cannot be one CSV table, if none of them is of the table that was asked for, or if they cannot be
    /// written.
    pub fn finish(self, output: impl Write) -> Result<(), PrintError> {
        let PrinterState { format, run, csv, tables, .. } =
            self.state.into_inner().unwrap_or_else(PoisonError::into_inner);
        let mut output = BufWriter::with_capacity(OUTPUT_BYTES, output);
        match format {
            Format::Csv { .. } => csv.print(run.decide()?, &mut output)?,
            Format::JsonLines { table: Some(table) }
                if !tables.is_empty() && !tables.contains_key(&table) =>
            {
                return Err(PrintError::NoSuchTable { table, tables });
            }
            Format::JsonLines { .. } | Format::History => print_lines(run, &mut output)?,
        }
        Ok(output.flush()?)
    }

    fn lock(&self) -> MutexGuard<'_, PrinterState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl PrinterState {
    /// Prints the rows and rejects of a batch.
    fn print(&mut self, batch: &WriteBatch) -> io::Result<Summary> {
        let mut summary = Summary::default();
        let hashes: Vec<_> = batch.resources.iter().map(|resource| self.hasher.hash(&resource.key)).collect();
        let repeated = repeated(batch, &hashes);
        let mut names = MemberNames::new(batch.names.clone());
        self.csv.begin_batch();
        for ((resource, hash), is_repeated) in batch.resources.iter().zip(hashes).zip(repeated) {
            if is_repeated {
                summary.superseded += 1;
                continue;
            }
            resource.count(&mut summary);
            let (format, names) = (&self.format, &mut names);
            let (csv, tables) = (&mut self.csv, &mut self.tables);
            self.run.add(hash, &resource.version, |out, added| {
                RowWriter { format, batch, names, holes: Vec::new(), csv, tables, out, added }
                    .resource(resource);
            })?;
        }
        for completion in &batch.completions {
            self.run.complete(&self.hasher, completion)?;
        }
        batch.rejects.iter().for_each(|reject| (self.on_reject)(reject));
        batch.count_rejects(&[], &mut summary);
        Ok(summary)
    }
}

/// Says of each resource of a batch whether a newer version, or the same, stands in it too.
fn repeated(batch: &WriteBatch, hashes: &[KeyHash]) -> Vec<bool> {
    let mut repeated = vec![false; hashes.len()];
    // Halves of the hashes are sorted faster, and mostly no two of them are the same.
    let mut halves: Vec<u64> =
        hashes.iter().map(|hash| u64::try_from(hash >> 64).unwrap_or_default()).collect();
    halves.sort_unstable();
    if halves.is_sorted_by(|one, next| one < next) {
        return repeated;
    }
    let mut sorted: Vec<(KeyHash, usize)> = hashes.iter().copied().zip(0..).collect();
    sorted.sort_unstable();
    for same in sorted.chunk_by(|one, other| one.0 == other.0).filter(|same| same.len() > 1) {
        let version = |index: usize| batch.resources.get(index).map(|resource| &resource.version);
        // Of equal versions the first counts.
        let newest = same.iter().rev().map(|(_, index)| *index).max_by_key(|index| version(*index));
        for (_, index) in same {
            if let Some(place) = repeated.get_mut(*index) {
                *place = Some(*index) != newest;
            }
        }
    }
    repeated
}

/// Appends the rows of a resource to those that wait.
struct RowWriter<'w> {
    format: &'w Format,
    batch: &'w WriteBatch,
    names: &'w mut MemberNames,
    holes: Vec<Hole>,
    csv: &'w mut CsvTable,
    tables: &'w mut BTreeMap<String, u64>,
    out: &'w mut Vec<u8>,
    added: &'w mut AddedRows,
}

impl RowWriter<'_> {
    fn resource(&mut self, resource: &ResourceWrite) {
        if let Fate::Rows(rows) = &resource.fate {
            for row in self.batch.rows.range(rows.clone()) {
                self.row(resource, row);
            }
        }
        if *self.format == Format::History {
            if let Fate::Archived(text) = &resource.fate {
                self.line("_archive", &resource.key, |json| json.archived(resource, text));
            }
            if self.batch.needs_tombstone(resource) {
                self.line("_tombstones", &resource.key, |json| json.tombstone(resource));
            }
        }
    }

    fn row(&mut self, resource: &ResourceWrite, row: Row<'_>) {
        let (format, batch) = (self.format, self.batch);
        let table = batch.names.table(row.table());
        if matches!(format, Format::JsonLines { table: Some(_) }) {
            match self.tables.get_mut(table) {
                Some(rows) => *rows += 1,
                None => drop(self.tables.insert(table.to_owned(), 1)),
            }
        }
        match format {
            Format::JsonLines { table: Some(wanted) } if wanted != table => {}
            Format::JsonLines { .. } => self.line(table, row.key(), |json| json.row(table, row)),
            Format::History => self.line(table, row.key(), |json| {
                json.row(table, row);
                json.origin(resource);
                json.received(resource);
            }),
            Format::Csv { .. } => {
                let before = self.out.len();
                self.csv.push_row(row, self.names, &mut self.holes, self.out);
                self.added.push(self.out.len() - before, table, row.key(), &mut self.holes);
            }
        }
    }

    fn line(&mut self, table: &str, row: &str, write: impl FnOnce(&mut JsonWriter<'_>)) {
        let before = self.out.len();
        let mut json = JsonWriter::new(self.out, self.names, &mut self.holes);
        write(&mut json);
        json.end();
        self.added.push(self.out.len() - before, table, row, &mut self.holes);
    }
}

/// Prints rows that wait as JSON lines.
fn print_lines(run: PrintRun, output: &mut impl Write) -> io::Result<()> {
    let mut run = run.decide()?;
    let (mut ready, mut line) = (0, Vec::new());
    run.each(|reader, stored| match stored {
        Stored::Plain { bytes } => {
            ready += bytes;
            Ok(())
        }
        Stored::Replaced { bytes } => {
            reader.copy(std::mem::take(&mut ready), output)?;
            reader.skip(bytes)
        }
        Stored::WithHoles(rows) => {
            reader.copy(std::mem::take(&mut ready), output)?;
            for row in rows {
                reader.read(row.bytes(), &mut line)?;
                output.write_all(row.filled(&line).as_ref().unwrap_or(&line))?;
            }
            Ok(())
        }
    })?;
    run.copy(ready, output)
}

#[async_trait]
impl RowStore for Printer {
    async fn write(&self, batch: WriteBatch) -> Result<Summary, Interrupted> {
        let written = self.lock().print(&batch);
        written.map_err(|error| Interrupted::Write { code: error.kind().to_string() })
    }

    /// Does nothing: rejects were handed on.
    async fn forget_rejects(&self, _load: &str, _reading: u32) -> Result<(), Interrupted> {
        Ok(())
    }
}

impl fmt::Debug for Printer {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Printer").finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use flatten::row::{Names, Rows};

    use super::{Format, Printer};
    use crate::batch::{Completion, Fate, ResourceWrite, WriteBatch};
    use crate::object::{ObjectRef, Pin, Source};
    use crate::store::RowStore;
    use crate::version::Version;

    fn object() -> ObjectRef {
        let (bucket, key) = ("b".to_owned(), "k".to_owned());
        ObjectRef { bucket, key, pin: Pin::Latest, sequencer: None, created: 0, size: None }
    }

    /// Patients with a text, each pointing at a key that is not known yet.
    fn batch(patients: usize, text: &str) -> WriteBatch {
        let source = Source { object: Arc::new(object()), ordinal: 0, offset: 0, length: 0, line: 1 };
        let (mut names, mut rows) = (Names::default(), Rows::default());
        let resources = (0..patients).map(|number| {
            let key = format!("Patient/{number}");
            let row = rows.begin_row(names.table("Patient"), &key);
            rows.decimal(names.column("score"), "1.50");
            rows.pending(names.column("general_key"), "urn:uuid:1");
            rows.text(names.column("text"), text);
            rows.end_row(row);
            ResourceWrite {
                hash: None,
                key,
                resource_type: "Patient".into(),
                version: Version::new(None, &source),
                source: source.clone(),
                tables: Arc::from(["Patient".to_owned()]),
                fate: Fate::Rows(number..number + 1),
            }
        });
        let resources = resources.collect();
        WriteBatch { names: names.list(), rows, resources, ..WriteBatch::default() }
    }

    fn printer(format: Format) -> Printer {
        Printer::new(format, |_| {})
    }

    fn printed(printer: Printer) -> String {
        let mut output = Vec::new();
        printer.finish(&mut output).unwrap();
        String::from_utf8(output).unwrap()
    }

    fn completion(number: usize, version: Version) -> Completion {
        let (table, path) = ("Patient".to_owned(), "general_key".to_owned());
        Completion { table, row: format!("Patient/{number}"), version, path, key: "Practitioner/9".into() }
    }

    #[tokio::test]
    async fn table_and_key_come_first_and_rows_keep_their_order() {
        let printer = printer(Format::JsonLines { table: None });
        let rows = batch(3, "a");
        let version = rows.resources[0].version.clone();
        printer.write(rows).await.unwrap();
        let completions = vec![completion(1, version)];
        printer.write(WriteBatch { completions, ..WriteBatch::default() }).await.unwrap();
        let lines = printed(printer);
        let line = |number, key| {
            format!(
                "{{\"_table\":\"Patient\",\"_id\":\"Patient/{number}\",\"score\":1.50{key},\"text\":\"a\"}}\n"
            )
        };
        let key = ",\"general_key\":\"Practitioner/9\"";
        assert_eq!(lines, [line(0, ""), line(1, key), line(2, "")].concat());
    }

    /// The columns are those of the rows that are printed, with the keys that came after them.
    #[tokio::test]
    async fn csv_has_the_columns_of_the_rows_that_are_printed() {
        for (keys, expected) in [
            (
                1,
                "_id,score,text,general_key\r\nPatient/0,1.50,\"a \"\"b\"\", c\",\r\n\
                 Patient/1,1.50,\"a \"\"b\"\", c\",Practitioner/9\r\n",
            ),
            (
                0,
                "_id,score,text\r\nPatient/0,1.50,\"a \"\"b\"\", c\"\r\nPatient/1,1.50,\"a \"\"b\"\", c\"\r\n",
            ),
        ] {
            let printer = printer(Format::Csv { table: None, header: Vec::new() });
            let rows = batch(2, "a \"b\", c");
            let version = rows.resources[1].version.clone();
            printer.write(rows).await.unwrap();
            let completions = (0..keys).map(|_| completion(1, version.clone())).collect();
            printer.write(WriteBatch { completions, ..WriteBatch::default() }).await.unwrap();
            assert_eq!(printed(printer), expected);
        }
    }

    #[tokio::test]
    async fn csv_counts_nothing_that_was_replaced() {
        let order = crate::version::ObjectOrder::of(&object());
        let printer = printer(Format::Csv { table: None, header: Vec::new() });
        for (time, table, column) in [(1, "Old", "gone"), (2, "Patient", "kept")] {
            let (mut names, mut rows) = (Names::default(), Rows::default());
            let row = rows.begin_row(names.table(table), "Patient/0");
            rows.boolean(names.column(column), true);
            rows.end_row(row);
            let mut resources = batch(1, "").resources;
            resources[0].version = order.version(time, crate::version::Position::new(0, 0));
            printer
                .write(WriteBatch { names: names.list(), rows, resources, ..WriteBatch::default() })
                .await
                .unwrap();
        }
        assert_eq!(printed(printer), "_id,kept\r\nPatient/0,true\r\n");
    }

    #[test]
    fn csv_of_nothing_is_an_empty_file_or_a_header() {
        assert_eq!(printed(printer(Format::Csv { table: None, header: Vec::new() })), "");
        let header = vec!["_id".to_owned(), "a,b".to_owned()];
        assert_eq!(printed(printer(Format::Csv { table: Some("v".to_owned()), header })), "_id,\"a,b\"\r\n");
        let missing = printer(Format::Csv { table: Some("v".to_owned()), header: Vec::new() });
        assert!(missing.finish(Vec::new()).unwrap_err().to_string().ends_with("nothing"));
    }

    /// However far apart the versions of a resource stand; a deleted one is not printed.
    #[tokio::test]
    async fn only_the_newest_version_of_a_run_is_printed() {
        let printer = printer(Format::JsonLines { table: None });
        let order = crate::version::ObjectOrder::of(&object());
        for (time, text) in [(2, "newest"), (1, "older"), (0, "oldest")] {
            let mut rows = batch(20_000, text);
            for (number, resource) in rows.resources.iter_mut().enumerate() {
                // The last ones come in the order of their versions, and the very last is deleted.
                let time = if number < 10_000 { time } else { -time };
                resource.version = order.version(time, crate::version::Position::new(0, 0));
                if number == 19_999 && text == "oldest" {
                    resource.fate = Fate::Deleted;
                }
            }
            printer.write(rows).await.unwrap();
        }
        let lines = printed(printer);
        let count = |text: &str| lines.lines().filter(|line| line.contains(text)).count();
        assert_eq!((count("newest"), count("\"older\""), count("oldest")), (10_000, 0, 9_999));
    }

    /// More rows wait than memory is meant to hold; every one is printed with its key.
    #[tokio::test]
    async fn rows_wait_on_disk_for_their_keys() {
        const PATIENTS: usize = 20_000;
        let printer = printer(Format::JsonLines { table: None });
        let rows = batch(PATIENTS, &"long ".repeat(500));
        let version = rows.resources[0].version.clone();
        printer.write(rows).await.unwrap();
        let completions = (0..PATIENTS).map(|number| completion(number, version.clone())).collect();
        printer.write(WriteBatch { completions, ..WriteBatch::default() }).await.unwrap();
        let lines = printed(printer);
        assert!(lines.len() > super::run::ROW_BYTES, "{} bytes fit into memory", lines.len());
        assert_eq!(lines.lines().filter(|line| line.contains("Practitioner/9")).count(), PATIENTS);
    }
}
