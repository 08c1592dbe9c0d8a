//! CSV from printed lines: they wait in a nameless temporary file until all columns are known.
//!
//! The cells come from the very lines that `--format ndjson` prints, so both formats say the same.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, BufRead, BufReader, BufWriter, Seek, Write};
use std::sync::Arc;

use flatten::json::{Document, Kind, Limits, Node, Tape};
use flatten::view::Plan;
use thiserror::Error;

use super::output::{OutputError, table_of};

/// The lines of one table, and what was seen of the others.
#[derive(Debug)]
pub(super) struct Spool {
    /// The table that is wanted; `None` until the first row says it.
    table: Option<String>,
    lines: BufWriter<File>,
    columns: Columns,
    /// How many rows each table has.
    tables: BTreeMap<String, u64>,
    tape: Tape,
    is_named: bool,
}

/// Columns in the order of their first appearance.
#[derive(Debug, Default)]
struct Columns {
    names: Vec<String>,
    index: BTreeMap<String, usize>,
}

/// Why the rows cannot be one CSV.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub(super) enum Unprintable {
    /// Each table has columns of its own.
    #[error("CSV holds one table, and the input yields several; choose one with --table:{}", listed(.0))]
    SeveralTables(BTreeMap<String, u64>),
    /// Nothing to print, and no columns to print it under.
    #[error("the input yields no row of the table {table}; it yields:{}", listed(.tables))]
    NoSuchTable {
        /// The table that was asked for.
        table: String,
        /// Those that there are.
        tables: BTreeMap<String, u64>,
    },
}

fn listed(tables: &BTreeMap<String, u64>) -> String {
    let line = |(name, rows): (&String, &u64)| format!("\n  {name} ({rows} rows)");
    if tables.is_empty() { "\n  nothing".to_owned() } else { tables.iter().map(line).collect() }
}

impl Spool {
    /// A spool for the rows of a table, or of the only one that there is. The columns of a view are known before
    /// its first row.
    pub(super) fn new(table: Option<String>, views: &[Arc<Plan>]) -> io::Result<Self> {
        let mut columns = Columns::default();
        if let Some(view) = views.iter().find(|view| table.as_deref() == Some(view.name())) {
            columns.add("_id");
            view.columns().iter().for_each(|column| columns.add(&column.name));
        }
        Ok(Self {
            is_named: table.is_some(),
            table,
            lines: BufWriter::with_capacity(256 << 10, tempfile::tempfile()?),
            columns,
            tables: BTreeMap::new(),
            tape: Tape::default(),
        })
    }

    /// Takes a row as a line of JSON.
    pub(super) fn line(&mut self, line: &[u8]) -> io::Result<()> {
        let name = String::from_utf8_lossy(table_of(line));
        let is_wanted = *self.table.get_or_insert_with(|| name.clone().into_owned()) == name;
        *self.tables.entry(name.into_owned()).or_default() += 1;
        if !is_wanted || self.is_several() {
            return Ok(());
        }
        for (column, _) in cells(&row(&mut self.tape, line)?) {
            self.columns.add(&column);
        }
        self.lines.write_all(line)
    }

    /// Prints the table.
    pub(super) fn print(&mut self, output: impl Write) -> Result<(), OutputError> {
        self.refuse_what_is_no_table()?;
        self.lines.flush()?;
        let file = self.lines.get_mut();
        file.rewind()?;
        let mut lines = BufReader::with_capacity(256 << 10, file);
        let mut csv = csv::WriterBuilder::new().terminator(csv::Terminator::CRLF).from_writer(output);
        if !self.columns.names.is_empty() {
            csv.write_record(&self.columns.names).map_err(io_error)?;
        }
        let (mut line, mut record) = (Vec::new(), vec![String::new(); self.columns.names.len()]);
        while lines.read_until(b'\n', &mut line)? > 0 {
            record.iter_mut().for_each(String::clear);
            for (column, value) in cells(&row(&mut self.tape, &line)?) {
                let place = self.columns.index.get(&*column).and_then(|&index| record.get_mut(index));
                if let Some(cell) = place {
                    write_cell(cell, value);
                }
            }
            csv.write_record(&record).map_err(io_error)?;
            line.clear();
        }
        csv.flush()?;
        Ok(())
    }

    /// Whether the rows are of several tables and nobody has chosen one.
    fn is_several(&self) -> bool {
        !self.is_named && self.tables.len() > 1
    }

    fn refuse_what_is_no_table(&self) -> Result<(), Unprintable> {
        if self.is_several() {
            return Err(Unprintable::SeveralTables(self.tables.clone()));
        }
        match &self.table {
            Some(table) if self.columns.names.is_empty() && self.is_named => {
                Err(Unprintable::NoSuchTable { table: table.clone(), tables: self.tables.clone() })
            }
            _ => Ok(()),
        }
    }
}

impl Columns {
    fn add(&mut self, name: &str) {
        if !self.index.contains_key(name) {
            self.index.insert(name.to_owned(), self.names.len());
            self.names.push(name.to_owned());
        }
    }
}

/// A printed line.
fn row<'a>(tape: &'a mut Tape, line: &'a [u8]) -> io::Result<Document<'a>> {
    // A row may be as large as the database takes, and lists within it as deep as a resource.
    let limits = Limits { depth: 256, bytes: u32::MAX as usize, values: usize::MAX };
    tape.parse(line, limits).map_err(|_| io::Error::from(io::ErrorKind::InvalidData))
}

/// The cells of a printed line, without the name of its table.
fn cells<'a>(row: &'a Document<'a>) -> impl Iterator<Item = (std::borrow::Cow<'a, str>, Node<'a>)> {
    row.root().members().skip(1).map(|(name, value)| (name.text().unwrap_or_default(), value))
}

/// The library's own conversion hides the kind of an error, and a reader who left is told by it.
fn io_error(error: csv::Error) -> io::Error {
    match error.into_kind() {
        csv::ErrorKind::Io(error) => error,
        _ => io::ErrorKind::InvalidData.into(),
    }
}

/// Text and numbers as they are, an empty cell for null, lists and records as JSON.
fn write_cell(cell: &mut String, value: Node<'_>) {
    match value.kind() {
        Kind::Null => {}
        Kind::String => value.push_text(cell),
        Kind::Number | Kind::True | Kind::False | Kind::Object | Kind::Array => cell.push_str(value.raw()),
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::{Plan, Spool, Unprintable};
    use crate::rows::output::OutputError;

    fn csv(table: Option<&str>, lines: &[&str]) -> Result<String, OutputError> {
        let mut spool = Spool::new(table.map(str::to_owned), &[]).unwrap();
        lines.iter().try_for_each(|line| spool.line(format!("{line}\n").as_bytes())).unwrap();
        let mut printed = Vec::new();
        spool.print(&mut printed).map(|()| String::from_utf8(printed).unwrap())
    }

    const A1: &str = r#"{"_table":"A","_id":"A/1","x":1.50,"y":"say \"hi\",\nu\u00fc"}"#;
    const A2: &str = r#"{"_table":"A","_id":"A/2","z":[{"a":1}, null],"x":null,"w":true,"v":{"b":"c"}}"#;
    const B1: &str = r#"{"_table":"B","_id":"B/1"}"#;

    #[test]
    fn columns_are_those_of_all_rows_and_text_is_quoted_where_it_must_be() {
        assert_eq!(
            csv(None, &[A1, A2]).unwrap(),
            "_id,x,y,z,w,v\r\nA/1,1.50,\"say \"\"hi\"\",\nuü\",,,\r\nA/2,,,\"[{\"\"a\"\":1}, null]\",true,\"{\"\"b\"\":\"\"c\"\"}\"\r\n"
        );
    }

    #[test]
    fn one_of_several_tables_must_be_chosen() {
        let tables = || [("A".to_owned(), 2), ("B".to_owned(), 1)].into();
        let refused = csv(None, &[A1, B1, A2]);
        let Err(OutputError::Unprintable(refused)) = refused else { panic!("{refused:?}") };
        assert_eq!(refused, Unprintable::SeveralTables(tables()));
        assert!(refused.to_string().ends_with(":\n  A (2 rows)\n  B (1 rows)"), "{refused}");
        assert_eq!(csv(Some("B"), &[A1, B1, A2]).unwrap(), "_id\r\nB/1\r\n");
        let refused = csv(Some("C"), &[A1, B1, A2]);
        let Err(OutputError::Unprintable(refused)) = refused else { panic!("{refused:?}") };
        assert_eq!(refused, Unprintable::NoSuchTable { table: "C".into(), tables: tables() });
    }

    #[test]
    fn a_view_without_rows_has_its_header() {
        let view = r#"{"name":"v","resource":"Patient","select":[{"column":[{"name":"a","path":"id"}]}]}"#;
        let plan = Plan::compile(&serde_json::from_str(view).unwrap()).unwrap();
        let mut printed = Vec::new();
        Spool::new(Some("v".to_owned()), &[Arc::new(plan)]).unwrap().print(&mut printed).unwrap();
        assert_eq!(printed, b"_id,a\r\n");
    }

    #[test]
    fn nothing_is_an_empty_file() {
        assert_eq!(csv(None, &[]).unwrap(), "");
    }
}
