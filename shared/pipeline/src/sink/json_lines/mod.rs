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
/// [`finish`](Self::finish) is called; beyond 32 MiB held rows wait in a nameless temporary file.
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
            Fate::Archived(_) | Fate::Deleted => Ok(()),
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
}

impl<W> fmt::Debug for JsonLines<W> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("JsonLines").field("lines", &self.lines).finish_non_exhaustive()
    }
}

fn interrupted(error: &io::Error) -> Interrupted {
    Interrupted::Write { code: error.kind().to_string() }
}
