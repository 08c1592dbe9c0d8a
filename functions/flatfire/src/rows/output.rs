//! Standard output: whole lines, of one table or of all, and a reader who may leave.

use std::io::{self, BufWriter, ErrorKind, Stdout, Write};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use thiserror::Error;

use super::spool::{Spool, Unprintable};

/// Where rows go. Cloning shares it.
#[derive(Debug, Clone)]
pub(super) struct Output(Arc<Mutex<Printer>>);

#[derive(Debug)]
struct Printer {
    form: Form,
    /// The beginning of a line whose end has not come yet.
    begun: Vec<u8>,
    is_closed: bool,
}

#[derive(Debug)]
enum Form {
    Ndjson { stdout: BufWriter<Stdout>, table: Option<String> },
    Csv(Spool),
}

/// Why rows could not be printed.
#[derive(Debug, Error)]
pub(super) enum OutputError {
    /// Nobody reads on.
    #[error("standard output is closed")]
    Closed,
    /// The rows cannot be one CSV.
    #[error(transparent)]
    Unprintable(#[from] Unprintable),
    /// The device is full, or a disk failed.
    #[error("the rows cannot be written")]
    Write(#[source] io::Error),
}

const BUFFER_BYTES: usize = 64 << 10;

impl Output {
    /// Prints lines as they come.
    pub(super) fn ndjson(table: Option<String>) -> Self {
        let stdout = BufWriter::with_capacity(BUFFER_BYTES, io::stdout());
        Self::new(Form::Ndjson { stdout, table })
    }

    /// Keeps lines until all columns are known.
    pub(super) fn csv(spool: Spool) -> Self {
        Self::new(Form::Csv(spool))
    }

    fn new(form: Form) -> Self {
        Self(Arc::new(Mutex::new(Printer { form, begun: Vec::new(), is_closed: false })))
    }

    /// Whether the reader of standard output has left.
    pub(super) fn is_closed(&self) -> bool {
        self.lock().is_closed
    }

    /// Prints what is left.
    pub(super) fn finish(&self) -> Result<(), OutputError> {
        match &mut self.lock().form {
            Form::Ndjson { stdout, .. } => stdout.flush().map_err(OutputError::from),
            Form::Csv(spool) => spool.print(BufWriter::with_capacity(BUFFER_BYTES, io::stdout())),
        }
    }

    fn lock(&self) -> MutexGuard<'_, Printer> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Printer {
    fn take(&mut self, mut bytes: &[u8]) -> io::Result<()> {
        while let Some(end) = bytes.iter().position(|byte| *byte == b'\n') {
            let (line, rest) = bytes.split_at(end + 1);
            if self.begun.is_empty() {
                self.form.line(line)?;
            } else {
                self.begun.extend_from_slice(line);
                self.form.line(&std::mem::take(&mut self.begun))?;
            }
            bytes = rest;
        }
        self.begun.extend_from_slice(bytes);
        Ok(())
    }
}

impl Form {
    fn line(&mut self, line: &[u8]) -> io::Result<()> {
        match self {
            Self::Ndjson { table: Some(table), .. } if table_of(line) != table.as_bytes() => Ok(()),
            Self::Ndjson { stdout, .. } => stdout.write_all(line),
            Self::Csv(spool) => spool.line(line),
        }
    }
}

impl Write for Output {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let mut printer = self.lock();
        let taken = printer.take(bytes);
        if taken.as_ref().is_err_and(|error| error.kind() == ErrorKind::BrokenPipe) {
            printer.is_closed = true;
        }
        taken.map(|()| bytes.len())
    }

    /// Nothing: each file's rows end with a flush, standard output is flushed when all have ended.
    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl From<io::Error> for OutputError {
    fn from(error: io::Error) -> Self {
        if error.kind() == ErrorKind::BrokenPipe { Self::Closed } else { Self::Write(error) }
    }
}

/// The table of a line that begins with `{"_table":"…"`. Names of tables have nothing to escape.
pub(super) fn table_of(line: &[u8]) -> &[u8] {
    let name = line.strip_prefix(br#"{"_table":""#).unwrap_or_default();
    name.split(|byte| *byte == b'"').next().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    #[test]
    fn a_line_names_its_table_first() {
        assert_eq!(super::table_of(br#"{"_table":"Patient","_id":"Patient/1"}"#), b"Patient");
        assert_eq!(super::table_of(b"{}\n"), b"");
    }
}
