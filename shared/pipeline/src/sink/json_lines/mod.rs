//! The sink that prints: one JSON object a row and line, to any writer.

mod held;
mod line;

use std::fmt;
use std::io::{self, Write};
use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::batch::{Fate, Reject, ResourceWrite, WriteBatch};
use crate::interrupted::Interrupted;
use crate::summary::Summary;

use super::replacement::{self, Replacement};
use super::{Sink, add_rejects};
use held::Held;
use line::Line;

/// What is printed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Lines {
    /// The rows: `_table`, `_id`, then the cells.
    Rows,
    /// Everything that a database would be told: rows end in `_version`, `_source` and `_load`, and there are
    /// lines of the tables `_tombstones` and `_archive`. Of all lines of one key, `key` and `key#…`, those with
    /// the highest `_version` are what stands in the end.
    History,
}

/// Rows as JSON lines: decimals as they were written, moments as RFC 3339 text in UTC with milliseconds, lists
/// and records nested.
///
/// Nothing that was printed can be replaced, so all versions of a resource appear, except those of one batch:
/// of these only the newest. A row with a key that is not known yet is held back until the key arrives or
/// [`finish`](Self::finish) is called; beyond 8 MiB held rows wait in a nameless temporary file.
pub struct JsonLines<W> {
    printer: Mutex<Printer<W>>,
    lines: Lines,
}

struct Printer<W> {
    output: W,
    held: Held,
    on_reject: Box<dyn FnMut(&Reject) + Send>,
}

impl<W: Write + Send> JsonLines<W> {
    /// Prints to `output` and hands every reject to `on_reject`.
    pub fn new(output: W, lines: Lines, on_reject: impl FnMut(&Reject) + Send + 'static) -> Self {
        let printer = Printer { output, held: Held::default(), on_reject: Box::new(on_reject) };
        Self { printer: Mutex::new(printer), lines }
    }

    /// Prints the rows that are still held, without the keys that never arrived, and gives the writer back.
    pub fn finish(self) -> Result<W, Interrupted> {
        let mut printer = self.printer.into_inner().unwrap_or_else(PoisonError::into_inner);
        printer.held.release_all(&mut printer.output).map_err(|error| interrupted(&error))?;
        printer.output.flush().map_err(|error| interrupted(&error))?;
        Ok(printer.output)
    }

    fn lock(&self) -> MutexGuard<'_, Printer<W>> {
        self.printer.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn print(&self, batch: &WriteBatch) -> io::Result<()> {
        let mut printer = self.lock();
        for standing in replacement::standing(batch) {
            printer.resource(batch, standing.resource, self.lines)?;
            if standing.by_tombstone && self.lines == Lines::History {
                printer.line(&Line::tombstone(standing.resource))?;
            }
        }
        for completion in &batch.completions {
            let Printer { output, held, .. } = &mut *printer;
            held.complete(completion, output)?;
        }
        for reject in &batch.rejects {
            (printer.on_reject)(reject);
        }
        Ok(())
    }
}

impl<W: Write> Printer<W> {
    fn resource(&mut self, batch: &WriteBatch, resource: &ResourceWrite, lines: Lines) -> io::Result<()> {
        match &resource.fate {
            Fate::Rows(rows) => {
                for row in batch.rows.range(rows.clone()) {
                    let line = Line::row(&batch.names, row, resource, lines);
                    if line.holes.is_empty() {
                        self.line(&line)?;
                    } else {
                        self.held.hold(batch.names.table(row.table()), row.key(), &resource.version, line)?;
                    }
                }
                Ok(())
            }
            Fate::Archived(text) if lines == Lines::History => self.line(&Line::archived(resource, text)),
            Fate::Archived(_) | Fate::Deleted | Fate::Erased { .. } => Ok(()),
        }
    }

    fn line(&mut self, line: &Line) -> io::Result<()> {
        self.output.write_all(&line.bytes)
    }
}

impl<W: Write + Send> Sink for JsonLines<W> {
    async fn write(&self, batch: WriteBatch) -> Result<Summary, Interrupted> {
        self.print(&batch).map_err(|error| interrupted(&error))?;
        let (mut summary, _) = Replacement::new(&batch).outcome();
        add_rejects(&mut summary, batch.rejects.iter());
        Ok(summary)
    }

    /// What was printed stays printed.
    async fn forget_rejects(&self, _load: &str, _reading: u32) -> Result<(), Interrupted> {
        Ok(())
    }
}

impl<W> fmt::Debug for JsonLines<W> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("JsonLines").field("lines", &self.lines).finish_non_exhaustive()
    }
}

fn interrupted(error: &io::Error) -> Interrupted {
    Interrupted::Write { code: error.kind().to_string() }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use flatten::row::{Names, Rows};

    use super::{JsonLines, Lines};
    use crate::batch::{Completion, Fate, ResourceWrite, WriteBatch};
    use crate::object::{ObjectRef, Pin, Source};
    use crate::sink::Sink;
    use crate::version::Version;

    /// Patients with a text, each pointing at a key that is not known yet.
    fn batch(patients: usize, text: &str) -> WriteBatch {
        let (bucket, key) = ("b".to_owned(), "k".to_owned());
        let object = ObjectRef { bucket, key, pin: Pin::Latest, sequencer: None, created: 0, size: None };
        let source = Source { object: Arc::new(object), ordinal: 0, offset: 0, length: 0, line: 1 };
        let (mut names, mut rows) = (Names::default(), Rows::default());
        let resources = (0..patients).map(|number| {
            let key = format!("Patient/{number}");
            let row = rows.begin_row(names.table("Patient"), &key);
            rows.decimal(names.column("score"), "1.50");
            rows.pending(names.column("general_key"), "urn:uuid:1");
            rows.text(names.column("text"), text);
            rows.end_row(row);
            ResourceWrite {
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

    fn completion(number: usize, version: Version) -> Completion {
        let (table, path) = ("Patient".to_owned(), "general_key".to_owned());
        Completion { table, row: format!("Patient/{number}"), version, path, key: "Practitioner/9".into() }
    }

    #[tokio::test]
    async fn table_and_key_come_first_and_completed_rows_at_once() {
        let sink = JsonLines::new(Vec::new(), Lines::Rows, |_| {});
        let rows = batch(3, "a");
        let version = rows.resources[0].version.clone();
        sink.write(rows).await.unwrap();
        let completions = vec![completion(1, version)];
        sink.write(WriteBatch { completions, ..WriteBatch::default() }).await.unwrap();
        let lines = String::from_utf8(sink.finish().unwrap()).unwrap();
        let line = |number, key| {
            format!(
                "{{\"_table\":\"Patient\",\"_id\":\"Patient/{number}\",\"score\":1.50{key},\"text\":\"a\"}}\n"
            )
        };
        let key = ",\"general_key\":\"Practitioner/9\"";
        assert_eq!(lines, [line(1, key), line(0, ""), line(2, "")].concat());
    }

    /// More rows wait than memory is meant to hold; every one is printed with its key.
    #[tokio::test]
    async fn rows_wait_on_disk_for_their_keys() {
        const PATIENTS: usize = 20_000;
        let sink = JsonLines::new(Vec::new(), Lines::Rows, |_| {});
        let rows = batch(PATIENTS, &"long ".repeat(500));
        let version = rows.resources[0].version.clone();
        sink.write(rows).await.unwrap();
        let completions = (0..PATIENTS).map(|number| completion(number, version.clone())).collect();
        sink.write(WriteBatch { completions, ..WriteBatch::default() }).await.unwrap();
        let lines = String::from_utf8(sink.finish().unwrap()).unwrap();
        assert!(lines.len() > super::held::MEMORY_BYTES, "{} bytes fit into memory", lines.len());
        assert_eq!(lines.lines().filter(|line| line.contains("Practitioner/9")).count(), PATIENTS);
    }
}
