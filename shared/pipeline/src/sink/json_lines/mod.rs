//! The sink that prints: one JSON object a row and line, to any writer.

mod fill;
mod line;
mod run;

use std::fmt;
use std::io::{self, Write};
use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::batch::{Fate, Reject, ResourceWrite, WriteBatch};
use crate::interrupted::Interrupted;
use crate::summary::Summary;

use super::replacement::{self, Replacement};
use super::{Sink, add_rejects};
use line::Line;
use run::Run;

/// What is printed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Lines {
    /// The rows: `_table`, `_id`, then the cells.
    Rows,
    /// Everything that a database would hold: rows end in `_version`, `_source` and `_load`, and there are lines of the
    /// tables `_tombstones` and `_archive`.
    History,
}

/// Rows as JSON lines: exact decimals as they were written, doubles by their shortest text, moments as RFC 3339 text in
/// UTC with milliseconds, lists and records nested.
///
/// Nothing that was printed can be taken back. So the lines of a run wait, in memory at first and then in a nameless
/// temporary file, until [`finish`](Self::finish) prints the newest version of each resource, with the keys that came
/// after their rows, and nothing of what was deleted or archived.
pub struct JsonLines<W> {
    printer: Mutex<Printer<W>>,
    lines: Lines,
}

struct Printer<W> {
    output: W,
    run: Run,
    on_reject: Box<dyn FnMut(&Reject) + Send>,
}

impl<W: Write + Send> JsonLines<W> {
    /// Prints to `output` and hands every reject to `on_reject`.
    pub fn new(output: W, lines: Lines, on_reject: impl FnMut(&Reject) + Send + 'static) -> Self {
        let printer = Printer { output, run: Run::default(), on_reject: Box::new(on_reject) };
        Self { printer: Mutex::new(printer), lines }
    }

    /// Prints what stands at the end of the run, and gives the writer back.
    pub fn finish(self) -> Result<W, Interrupted> {
        let Printer { mut output, run, .. } =
            self.printer.into_inner().unwrap_or_else(PoisonError::into_inner);
        run.print(&mut output).map_err(|error| interrupted(&error))?;
        output.flush().map_err(|error| interrupted(&error))?;
        Ok(output)
    }

    fn lock(&self) -> MutexGuard<'_, Printer<W>> {
        self.printer.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn take(&self, batch: &WriteBatch) -> io::Result<()> {
        let mut printer = self.lock();
        for standing in replacement::standing(batch) {
            let ResourceWrite { key, version, .. } = standing.resource;
            let lines = lines_of(batch, standing.resource, self.lines);
            let tombstone = (standing.by_tombstone && self.lines == Lines::History)
                .then(|| ("_tombstones", key.as_str(), Line::tombstone(standing.resource)));
            printer.run.add(key, version, lines.chain(tombstone))?;
        }
        for completion in &batch.completions {
            printer.run.complete(completion)?;
        }
        for reject in &batch.rejects {
            (printer.on_reject)(reject);
        }
        Ok(())
    }
}

/// The lines of a resource, each with its table and the row's `_id`.
fn lines_of<'b>(
    batch: &'b WriteBatch,
    resource: &'b ResourceWrite,
    lines: Lines,
) -> impl Iterator<Item = (&'b str, &'b str, Line)> {
    let rows = if let Fate::Rows(rows) = &resource.fate { rows.clone() } else { 0..0 };
    let rows = batch.rows.range(rows).map(move |row| {
        (batch.names.table(row.table()), row.key(), Line::row(&batch.names, row, resource, lines))
    });
    let archived = match &resource.fate {
        Fate::Archived(text) if lines == Lines::History => Some(Line::archived(resource, text)),
        _ => None,
    };
    rows.chain(archived.map(|line| ("_archive", resource.key.as_str(), line)))
}

impl<W: Write + Send> Sink for JsonLines<W> {
    async fn write(&self, batch: WriteBatch) -> Result<Summary, Interrupted> {
        self.take(&batch).map_err(|error| interrupted(&error))?;
        let (mut summary, _) = Replacement::new(&batch).outcome();
        add_rejects(&mut summary, &batch, &[]);
        Ok(summary)
    }

    /// Rejects were handed on.
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

    fn completion(number: usize, version: Version) -> Completion {
        let (table, path) = ("Patient".to_owned(), "general_key".to_owned());
        Completion { table, row: format!("Patient/{number}"), version, path, key: "Practitioner/9".into() }
    }

    #[tokio::test]
    async fn table_and_key_come_first_and_rows_keep_their_order() {
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
        assert_eq!(lines, [line(0, ""), line(1, key), line(2, "")].concat());
    }

    /// However far apart the versions of a resource stand; a deleted one is not printed.
    #[tokio::test]
    async fn only_the_newest_version_of_a_run_is_printed() {
        let sink = JsonLines::new(Vec::new(), Lines::Rows, |_| {});
        let order = crate::version::ObjectOrder::of(&ObjectRef {
            bucket: "b".to_owned(),
            key: "k".to_owned(),
            pin: Pin::Latest,
            sequencer: None,
            created: 0,
            size: None,
        });
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
            sink.write(rows).await.unwrap();
        }
        let lines = String::from_utf8(sink.finish().unwrap()).unwrap();
        let count = |text: &str| lines.lines().filter(|line| line.contains(text)).count();
        assert_eq!((count("newest"), count("\"older\""), count("oldest")), (10_000, 0, 9_999));
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
        assert!(lines.len() > super::run::LINE_BYTES, "{} bytes fit into memory", lines.len());
        assert_eq!(lines.lines().filter(|line| line.contains("Practitioner/9")).count(), PATIENTS);
    }
}
