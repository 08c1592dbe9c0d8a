//! One table as CSV (RFC 4180): cells wait until all columns are known.
//!
//! A row waits as the number of its table and a field of cells: of each the number of its column and its text as CSV
//! has it. A row with keys that are still to come waits as JSON instead; its cells are read from there once the keys
//! are filled in.

use std::collections::BTreeMap;
use std::io::{self, Write};

use flatten::json::{JsonKind, Limits, Node, Tape, has_any};
use flatten::row::{ColumnId, NameList, Row, Value};

use super::error::PrintError;
use super::json::{Hole, JsonWriter, MemberNames, moment, plain};
use super::run::{Decided, Stored};
use crate::spool::{Fields, push_field_with};

/// The rows of one table, under a header.
#[derive(Debug)]
pub(super) struct CsvTable {
    /// The table that is wanted; `None`: the only one that there is.
    wanted: Option<String>,
    tables: Numbers,
    columns: Numbers,
    /// The columns that are known before the first row.
    header: Vec<u32>,
    /// What the rows so far consist of, if all of them are printed as they are.
    contents: Contents,
    /// The numbers of the columns of the batch at hand, by their place in its names.
    of_batch: Vec<Option<u32>>,
    /// JSON that becomes a cell.
    nested: Vec<u8>,
}

/// What the printed rows consist of.
#[derive(Debug, Default)]
struct Contents {
    /// The columns in the order in which they first appear.
    order: Vec<u32>,
    /// The place of each column in that order, by its number.
    places: Vec<Option<usize>>,
    /// How many rows each table has, by its number.
    rows: Vec<u64>,
}

/// Names with a number each, in the order in which they came.
#[derive(Debug, Default)]
struct Numbers {
    names: Vec<String>,
    index: BTreeMap<String, u32>,
}

impl CsvTable {
    /// Prepares the table of this name, or the only one that there is.
    pub(super) fn new(wanted: Option<String>, header: &[String]) -> Self {
        let mut columns = Numbers::default();
        let header = header.iter().map(|name| columns.of(name)).collect();
        let mut table = Self {
            wanted,
            tables: Numbers::default(),
            columns,
            header,
            contents: Contents::default(),
            of_batch: Vec::new(),
            nested: Vec::new(),
        };
        table.contents = table.no_rows();
        table
    }

    /// Begins a batch, which has names of its own.
    pub(super) fn begin_batch(&mut self) {
        self.of_batch.clear();
    }

    /// Appends a row as it waits: its cells, or JSON if it has holes.
    pub(super) fn push_row(
        &mut self,
        row: Row<'_>,
        names: &mut MemberNames,
        holes: &mut Vec<Hole>,
        out: &mut Vec<u8>,
    ) {
        let list = names.list().clone();
        let (table, start) = (list.table(row.table()), out.len());
        let number = self.tables.of(table);
        out.extend_from_slice(&number.to_le_bytes());
        let is_wanted = self.wanted.as_ref().is_none_or(|wanted| wanted == table);
        push_field_with(out, |out| {
            if is_wanted {
                self.push_cells(row, names, holes, out);
            }
        });
        if holes.is_empty() {
            count(&mut self.contents.rows, number);
        } else {
            holes.clear();
            out.truncate(start);
            let mut json = JsonWriter::new(out, names, holes);
            json.row(table, row);
            json.end();
        }
    }

    fn push_cells(
        &mut self,
        row: Row<'_>,
        names: &mut MemberNames,
        holes: &mut Vec<Hole>,
        out: &mut Vec<u8>,
    ) {
        let id = self.columns.of("_id");
        self.contents.add(id);
        push_cell(out, id, |out| quoted(out, row.key().as_bytes()));
        for (column, value) in row.cells() {
            let number = self.number_of(column, names.list());
            self.contents.add(number);
            let nested = &mut self.nested;
            push_cell(out, number, |out| match value {
                Value::Text(text) => quoted(out, text.as_bytes()),
                Value::Instant(milliseconds) => moment(out, milliseconds),
                Value::List(_) | Value::Record(_) | Value::Pending(_) | Value::PendingOrNull(_) => {
                    nested.clear();
                    JsonWriter::new(nested, names, holes).value_of(column, value);
                    quoted(out, nested);
                }
                scalar => plain(out, scalar),
            });
        }
    }

    fn number_of(&mut self, column: ColumnId, list: &NameList) -> u32 {
        let index = column.index().unwrap_or_default();
        if index >= self.of_batch.len() {
            self.of_batch.resize(index + 1, None);
        }
        let columns = &mut self.columns;
        self.of_batch
            .get_mut(index)
            .map_or(u32::MAX, |number| *number.get_or_insert_with(|| columns.of(list.column(column))))
    }

    /// Prints the table.
    pub(super) fn print(mut self, mut run: Decided, output: &mut impl Write) -> Result<(), PrintError> {
        if !run.is_as_added() {
            // Rows went, and keys came: only what is printed counts.
            let mut contents = self.no_rows();
            self.each_row(&mut run, |table, cells| {
                count(&mut contents.rows, table);
                cells_of(cells).for_each(|(column, _)| contents.add(column));
                Ok(())
            })?;
            self.contents = contents;
        }
        self.refuse_if_not_one_table()?;
        let contents = std::mem::take(&mut self.contents);
        let mut record = CsvLine::default();
        for column in &contents.order {
            let name = self.columns.names.get(*column as usize).map_or("", String::as_str);
            record.begin_cell();
            quoted(&mut record.line, name.as_bytes());
        }
        record.end(output)?;
        let shown = match &self.wanted {
            Some(wanted) => self.tables.index.get(wanted).copied(),
            None => (0..).zip(&contents.rows).find(|(_, rows)| **rows > 0).map(|(table, _)| table),
        };
        self.each_row(&mut run, |table, cells| {
            if Some(table) == shown { record.print(&contents, cells, output) } else { Ok(()) }
        })?;
        Ok(())
    }

    /// Visits the rows that are printed, each with the number of its table and its cells.
    fn each_row(
        &mut self,
        run: &mut Decided,
        mut visit: impl FnMut(u32, &[u8]) -> io::Result<()>,
    ) -> io::Result<()> {
        let (mut bytes, mut cells, mut tape) = (Vec::new(), Vec::new(), Tape::default());
        run.rewind()?;
        run.each(|reader, stored| match stored {
            Stored::Replaced { bytes } => reader.skip(bytes),
            Stored::Plain { bytes: length } => {
                reader.read(length, &mut bytes)?;
                rows_of(&bytes).try_for_each(|(table, cells)| visit(table, cells))
            }
            Stored::WithHoles(mut rows) => rows.try_for_each(|row| {
                reader.read(row.bytes(), &mut bytes)?;
                let Some(json) = row.filled(&bytes) else {
                    return rows_of(&bytes).try_for_each(|(table, cells)| visit(table, cells));
                };
                cells.clear();
                self.push_json(&mut tape, &json, &mut cells)?;
                rows_of(&cells).try_for_each(|(table, cells)| visit(table, cells))
            }),
        })
    }

    /// Appends a row that was JSON.
    fn push_json(&mut self, tape: &mut Tape, json: &[u8], out: &mut Vec<u8>) -> io::Result<()> {
        // A row may be as large as the database takes, and lists within it as deep as a resource.
        let limits = Limits { depth: 256, bytes: u32::MAX as usize, values: usize::MAX };
        let row = tape.parse(json, limits).map_err(|_| io::ErrorKind::InvalidData)?;
        let mut members = row.root().members();
        let table = members.next().and_then(|(_, table)| table.text()).unwrap_or_default();
        out.extend_from_slice(&self.tables.of(&table).to_le_bytes());
        push_field_with(out, |out| {
            if self.wanted.as_ref().is_some_and(|wanted| *wanted != table) {
                return;
            }
            for (name, value) in members {
                let column = self.columns.of(&name.text().unwrap_or_default());
                push_cell(out, column, |out| push_node(out, value));
            }
        });
        Ok(())
    }

    fn no_rows(&self) -> Contents {
        let mut contents = Contents::default();
        self.header.iter().for_each(|column| contents.add(*column));
        contents
    }

    fn refuse_if_not_one_table(&self) -> Result<(), PrintError> {
        let rows = self.tables.names.iter().zip(&self.contents.rows).filter(|(_, rows)| **rows > 0);
        let tables = || rows.clone().map(|(name, rows)| (name.clone(), *rows)).collect();
        match &self.wanted {
            None if rows.clone().count() > 1 => Err(PrintError::SeveralTables(tables())),
            Some(table) if self.contents.order.is_empty() => {
                Err(PrintError::NoSuchTable { table: table.clone(), tables: tables() })
            }
            _ => Ok(()),
        }
    }
}

impl Contents {
    fn add(&mut self, column: u32) {
        let index = column as usize;
        if index >= self.places.len() {
            self.places.resize(index + 1, None);
        }
        if let Some(place @ None) = self.places.get_mut(index) {
            *place = Some(self.order.len());
            self.order.push(column);
        }
    }
}

impl Numbers {
    fn of(&mut self, name: &str) -> u32 {
        if let Some(number) = self.index.get(name) {
            return *number;
        }
        let number = u32::try_from(self.names.len()).unwrap_or(u32::MAX);
        self.index.insert(name.to_owned(), number);
        self.names.push(name.to_owned());
        number
    }
}

/// A line of CSV while it is put together.
#[derive(Debug, Default)]
struct CsvLine {
    line: Vec<u8>,
    cells: usize,
    /// Where the cell of each column stands in the row at hand.
    spans: Vec<(usize, usize)>,
}

impl CsvLine {
    fn print(&mut self, contents: &Contents, cells: &[u8], output: &mut impl Write) -> io::Result<()> {
        self.spans.clear();
        self.spans.resize(contents.order.len(), (0, 0));
        for (column, span) in cells_of(cells) {
            let place = contents.places.get(column as usize).copied().flatten();
            if let Some(place) = place.and_then(|place| self.spans.get_mut(place)) {
                *place = span;
            }
        }
        for (index, (start, end)) in self.spans.iter().enumerate() {
            if index > 0 {
                self.line.push(b',');
            }
            self.line.extend_from_slice(cells.get(*start..*end).unwrap_or_default());
        }
        self.cells = self.spans.len();
        self.end(output)
    }

    fn begin_cell(&mut self) {
        if self.cells > 0 {
            self.line.push(b',');
        }
        self.cells += 1;
    }

    /// Prints the line, if there are columns at all.
    fn end(&mut self, output: &mut impl Write) -> io::Result<()> {
        if self.cells > 0 {
            self.line.extend_from_slice(b"\r\n");
            output.write_all(&self.line)?;
        }
        self.line.clear();
        self.cells = 0;
        Ok(())
    }
}

fn count(rows: &mut Vec<u64>, table: u32) {
    let index = table as usize;
    if index >= rows.len() {
        rows.resize(index + 1, 0);
    }
    if let Some(rows) = rows.get_mut(index) {
        *rows += 1;
    }
}

fn push_cell(out: &mut Vec<u8>, column: u32, write: impl FnOnce(&mut Vec<u8>)) {
    out.extend_from_slice(&column.to_le_bytes());
    push_field_with(out, write);
}

/// Returns the rows that follow each other, each with the number of its table and its cells.
fn rows_of(mut bytes: &[u8]) -> impl Iterator<Item = (u32, &[u8])> {
    std::iter::from_fn(move || {
        let (table, rest) = bytes.split_first_chunk()?;
        let cells = Fields::of(rest).next()?;
        bytes = rest.get(size_of::<u32>() + cells.len()..)?;
        Some((u32::from_le_bytes(*table), cells))
    })
}

/// Returns the cells of a row, each with the number of its column and the span of its text.
fn cells_of(cells: &[u8]) -> impl Iterator<Item = (u32, (usize, usize))> {
    let mut at = 0;
    std::iter::from_fn(move || {
        let (column, rest) = cells.get(at..)?.split_first_chunk()?;
        let (length, _) = rest.split_first_chunk()?;
        let start = at + 2 * size_of::<u32>();
        at = start + u32::from_le_bytes(*length) as usize;
        Some((u32::from_le_bytes(*column), (start, at)))
    })
}

/// Appends text and numbers as they are, nothing for null, lists and records as JSON.
fn push_node(out: &mut Vec<u8>, value: Node<'_>) {
    match value.kind() {
        JsonKind::Null => {}
        JsonKind::String => quoted(out, value.text().unwrap_or_default().as_bytes()),
        JsonKind::Number | JsonKind::True | JsonKind::False | JsonKind::Object | JsonKind::Array => {
            quoted(out, value.raw().as_bytes());
        }
    }
}

/// Appends a cell, in quotes if it must have them.
fn quoted(out: &mut Vec<u8>, cell: &[u8]) {
    if !has_any(cell, *b"\",\r\n") {
        return out.extend_from_slice(cell);
    }
    out.push(b'"');
    for (index, part) in cell.split(|byte| *byte == b'"').enumerate() {
        if index > 0 {
            out.extend_from_slice(b"\"\"");
        }
        out.extend_from_slice(part);
    }
    out.push(b'"');
}
