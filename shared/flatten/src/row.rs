//! Rows: the ordered, typed cells of flattened resources, many rows in one arena.
//!
//! An arena is filled resource by resource, handed on with its batch, and its memory used again ([`RowsPool`]); a row
//! costs no allocation of its own. Lists and records (sub-documents) nest inside a row.
//!
//! ```
//! use flatten::row::{Names, Rows, Value};
//! let mut names = Names::default();
//! let (table, id, given) = (names.table("Patient"), names.column("id"), names.column("name_given"));
//! let mut rows = Rows::default();
//! let row = rows.begin_row(table, "Patient/p1");
//! rows.text(id, "p1");
//! let list = rows.open_list(given);
//! rows.text(flatten::row::ITEM, "Peter");
//! rows.close(list);
//! rows.end_row(row);
//! let first = rows.iter().next().map(|row| row.cells().count());
//! assert_eq!(first, Some(2));
//! ```

mod names;

#[cfg(test)]
mod tests;

use std::mem;
use std::ops::Range;
use std::sync::{Arc, Mutex, PoisonError};

use crate::json::Node;

pub(crate) use names::is_portable_name;
pub use names::{ColumnId, ITEM, Name, NameList, Names, TableId};

/// What follows the URN in a [`Value::Pending`] that waits for the target's type instead of its key.
pub const PENDING_TYPE: &str = "#type";

/// A cell's value, borrowed from the arena.
#[derive(Debug, Clone, Copy)]
pub enum Value<'a> {
    /// A column that is there without a value.
    Null,
    /// FHIR `boolean`.
    Boolean(bool),
    /// FHIR `integer`, `positiveInt`, `unsignedInt`.
    Integer(i32),
    /// FHIR `integer64`.
    Long(i64),
    /// FHIR `decimal`, its digits as written.
    Decimal(&'a str),
    /// FHIR `decimal` as the nearest double, which is finite.
    Double(f64),
    /// Text.
    Text(&'a str),
    /// A moment: milliseconds since 1970-01-01T00:00:00Z.
    Instant(i64),
    /// The key of a reference within the Bundle whose target has not been seen yet: the text is the `fullUrl`, a URN or
    /// a URL. It becomes [`Value::Text`] of the target's key, or the cell is left out.
    Pending(&'a str),
    /// The same in a view's row, which has all of its columns: it becomes the target's key, or null.
    PendingOrNull(&'a str),
    /// Items, each a cell of column [`ITEM`].
    List(Cells<'a>),
    /// A sub-document.
    Record(Cells<'a>),
}

#[derive(Debug, Clone, Copy)]
struct TextSpan {
    start: u32,
    end: u32,
}

#[derive(Debug, Clone, Copy)]
enum StoredValue {
    Null,
    Boolean(bool),
    Integer(i32),
    Long(i64),
    Decimal(TextSpan),
    Double(f64),
    Text(TextSpan),
    Instant(i64),
    Pending(TextSpan),
    PendingOrNull(TextSpan),
    /// The index behind the last cell inside.
    List(u32),
    Record(u32),
}

#[derive(Debug, Clone, Copy)]
struct StoredCell {
    column: ColumnId,
    value: StoredValue,
}

#[derive(Debug, Clone, Copy)]
struct RowHeader {
    table: TableId,
    key: TextSpan,
    start: u32,
    end: u32,
}

/// The arena: rows in the order in which they were begun.
#[derive(Debug, Default)]
pub struct Rows {
    text: String,
    cells: Vec<StoredCell>,
    headers: Vec<RowHeader>,
    pending_cells: usize,
    seen: SeenColumns,
    /// Where the memory goes when the arena is dropped.
    pool: Option<RowsPool>,
}

/// A row, list or record that is open and must be closed.
#[derive(Debug)]
#[must_use = "what is opened must be closed"]
pub struct OpenHandle(usize);

/// A position in the arena, to go back to when a resource turns out to be a defect.
#[derive(Debug, Clone, Copy)]
pub struct Savepoint {
    text: usize,
    cells: usize,
    headers: usize,
}

impl Rows {
    /// Begins a row. Rows do not nest; another may begin once this one has ended.
    pub fn begin_row(&mut self, table: TableId, key: &str) -> OpenHandle {
        let key = self.push_text(|text| text.push_str(key));
        let start = narrow(self.cells.len());
        self.headers.push(RowHeader { table, key, start, end: start });
        OpenHandle(self.headers.len() - 1)
    }

    /// Ends the row.
    #[expect(clippy::needless_pass_by_value, reason = "a row ends once")]
    pub fn end_row(&mut self, row: OpenHandle) {
        let end = narrow(self.cells.len());
        if let Some(header) = self.headers.get_mut(row.0) {
            header.end = end;
        }
    }

    /// Opens a list in a column.
    pub fn open_list(&mut self, column: ColumnId) -> OpenHandle {
        self.push(column, StoredValue::List(0))
    }

    /// Opens a record in a column.
    pub fn open_record(&mut self, column: ColumnId) -> OpenHandle {
        self.push(column, StoredValue::Record(0))
    }

    /// Closes a list or record.
    #[expect(clippy::needless_pass_by_value, reason = "a list closes once")]
    pub fn close(&mut self, open: OpenHandle) {
        let end = narrow(self.cells.len());
        if let Some(StoredValue::List(stop) | StoredValue::Record(stop)) =
            self.cells.get_mut(open.0).map(|cell| &mut cell.value)
        {
            *stop = end;
        }
    }

    /// Adds an empty cell.
    pub fn null(&mut self, column: ColumnId) {
        let _ = self.push(column, StoredValue::Null);
    }

    /// Adds a truth value.
    pub fn boolean(&mut self, column: ColumnId, value: bool) {
        let _ = self.push(column, StoredValue::Boolean(value));
    }

    /// Adds a 32-bit integer.
    pub fn integer(&mut self, column: ColumnId, value: i32) {
        let _ = self.push(column, StoredValue::Integer(value));
    }

    /// Adds a 64-bit integer.
    pub fn long(&mut self, column: ColumnId, value: i64) {
        let _ = self.push(column, StoredValue::Long(value));
    }

    /// Adds a moment, in milliseconds since 1970-01-01T00:00:00Z.
    pub fn instant(&mut self, column: ColumnId, milliseconds: i64) {
        let _ = self.push(column, StoredValue::Instant(milliseconds));
    }

    /// Adds a decimal by its digits as written.
    pub fn decimal(&mut self, column: ColumnId, digits: &str) {
        let span = self.push_text(|text| text.push_str(digits));
        let _ = self.push(column, StoredValue::Decimal(span));
    }

    /// Adds a decimal as a finite double.
    pub fn double(&mut self, column: ColumnId, value: f64) {
        debug_assert!(value.is_finite(), "JSON has neither infinity nor NaN");
        let _ = self.push(column, StoredValue::Double(value));
    }

    /// Adds text.
    pub fn text(&mut self, column: ColumnId, value: &str) {
        self.text_with(column, |text| text.push_str(value));
    }

    /// Adds the decoded text of a JSON string.
    pub fn text_of(&mut self, column: ColumnId, node: Node<'_>) {
        self.text_with(column, |text| node.push_text(text));
    }

    /// Adds text that `write` appends to the arena, where it is cheaper to write than to hand over.
    pub fn text_with(&mut self, column: ColumnId, write: impl FnOnce(&mut String)) {
        let span = self.push_text(write);
        let _ = self.push(column, StoredValue::Text(span));
    }

    /// Adds the key of a target that is not known yet; see [`Value::Pending`].
    pub fn pending(&mut self, column: ColumnId, urn: &str) {
        self.pending_cells += 1;
        let span = self.push_text(|text| text.push_str(urn));
        let _ = self.push(column, StoredValue::Pending(span));
    }

    /// Adds the key of a target that is not known yet; see [`Value::PendingOrNull`].
    pub fn pending_or_null(&mut self, column: ColumnId, urn: &str) {
        self.pending_cells += 1;
        let span = self.push_text(|text| text.push_str(urn));
        let _ = self.push(column, StoredValue::PendingOrNull(span));
    }

    /// Adds the type of a target that is not known yet: [`PENDING_TYPE`] follows the URN.
    pub fn pending_type(&mut self, column: ColumnId, urn: &str) {
        self.pending_cells += 1;
        let span = self.push_text(|text| text.extend([urn, PENDING_TYPE]));
        let _ = self.push(column, StoredValue::Pending(span));
    }

    /// Returns how many cells have waited for a key since the arena was cleared, including those that were rewound.
    #[must_use]
    pub const fn pending_cells(&self) -> usize {
        self.pending_cells
    }

    /// Returns the current position in the arena.
    #[must_use]
    pub fn savepoint(&self) -> Savepoint {
        Savepoint { text: self.text.len(), cells: self.cells.len(), headers: self.headers.len() }
    }

    /// Removes everything since the savepoint.
    pub fn rewind(&mut self, savepoint: Savepoint) {
        self.text.truncate(savepoint.text);
        self.cells.truncate(savepoint.cells);
        self.headers.truncate(savepoint.headers);
    }

    /// Empties the arena and keeps its memory.
    pub fn clear(&mut self) {
        self.rewind(Savepoint { text: 0, cells: 0, headers: 0 });
        self.pending_cells = 0;
    }

    /// Returns the number of rows.
    #[must_use]
    pub fn len(&self) -> usize {
        self.headers.len()
    }

    /// Returns whether there are no rows.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.headers.is_empty()
    }

    /// Returns the bytes of memory in use, to decide when a batch is full.
    #[must_use]
    pub fn bytes(&self) -> usize {
        self.text.len()
            + self.cells.len() * size_of::<StoredCell>()
            + self.headers.len() * size_of::<RowHeader>()
    }

    /// Returns the rows, in the order in which they were begun.
    #[must_use]
    pub fn iter(&self) -> impl ExactSizeIterator<Item = Row<'_>> {
        self.headers.iter().map(|&header| Row { rows: self, header })
    }

    /// Returns some of the rows, by index.
    #[must_use]
    pub fn range(&self, range: Range<usize>) -> impl ExactSizeIterator<Item = Row<'_>> {
        self.headers.get(range).unwrap_or_default().iter().map(|&header| Row { rows: self, header })
    }

    /// Detects duplicate columns in the last row, and in the records in it.
    pub fn has_duplicate_column(&mut self) -> bool {
        let mut seen = mem::take(&mut self.seen);
        let is_repeated = self
            .headers
            .last()
            .is_some_and(|header| self.has_duplicates_within(header.start, header.end, &mut seen));
        self.seen = seen;
        is_repeated
    }

    /// Returns whether the last row takes more than so many bytes, including the names that BSON writes at every cell.
    pub(crate) fn last_row_exceeds(&self, limit: usize, names: &Names) -> bool {
        let Some(header) = self.headers.last() else { return false };
        let cells = self.cells.get(header.start as usize..header.end as usize).unwrap_or_default();
        let text = self.text.len().saturating_sub(header.key.start as usize);
        let bytes = text + size_of_val(cells) + size_of::<RowHeader>();
        // Nearly every row is so small that no names could make it too large.
        if bytes + cells.len() * names.longest() <= limit {
            return false;
        }
        let length = |cell: &StoredCell| names.length(cell.column);
        bytes + cells.iter().map(length).sum::<usize>() > limit
    }

    fn push(&mut self, column: ColumnId, value: StoredValue) -> OpenHandle {
        self.cells.push(StoredCell { column, value });
        OpenHandle(self.cells.len() - 1)
    }

    fn push_text(&mut self, write: impl FnOnce(&mut String)) -> TextSpan {
        let start = narrow(self.text.len());
        write(&mut self.text);
        TextSpan { start, end: narrow(self.text.len()) }
    }

    fn str(&self, span: TextSpan) -> &str {
        self.text.get(span.start as usize..span.end as usize).unwrap_or_default()
    }

    fn has_duplicates_within(&self, start: u32, end: u32, columns: &mut SeenColumns) -> bool {
        columns.record += 1;
        let mut nested = false;
        let mut at = start;
        while let Some(cell) = self.cells.get(at as usize).filter(|_| at < end) {
            if cell.column != ITEM {
                let column = cell.column.0 as usize;
                if columns.seen.len() <= column {
                    columns.seen.resize(column + 1, 0);
                }
                if let Some(seen) = columns.seen.get_mut(column)
                    && mem::replace(seen, columns.record) == columns.record
                {
                    return true;
                }
            }
            at = match cell.value {
                StoredValue::List(inside) | StoredValue::Record(inside) => {
                    nested = true;
                    inside.max(at + 1)
                }
                _ => at + 1,
            };
        }
        nested && self.has_nested_duplicates(start, end, columns)
    }

    fn has_nested_duplicates(&self, start: u32, end: u32, seen: &mut SeenColumns) -> bool {
        let mut at = start;
        while let Some(cell) = self.cells.get(at as usize).filter(|_| at < end) {
            at = match cell.value {
                StoredValue::List(inside) | StoredValue::Record(inside) => {
                    if self.has_duplicates_within(at + 1, inside, seen) {
                        return true;
                    }
                    inside.max(at + 1)
                }
                _ => at + 1,
            };
        }
        false
    }
}

/// One row.
#[derive(Debug, Clone, Copy)]
pub struct Row<'a> {
    rows: &'a Rows,
    header: RowHeader,
}

impl<'a> Row<'a> {
    /// Returns the row's table.
    #[must_use]
    pub const fn table(self) -> TableId {
        self.header.table
    }

    /// Returns the key of the row, its `_id`.
    #[must_use]
    pub fn key(self) -> &'a str {
        self.rows.str(self.header.key)
    }

    /// Returns the cells in order.
    #[must_use]
    pub const fn cells(self) -> Cells<'a> {
        Cells { rows: self.rows, at: self.header.start, end: self.header.end }
    }
}

/// The cells of a row, list or record, in order.
#[derive(Debug, Clone, Copy)]
pub struct Cells<'a> {
    rows: &'a Rows,
    at: u32,
    end: u32,
}

#[expect(clippy::copy_iterator, reason = "a cursor of sixteen bytes; copying it to look ahead is the point")]
impl<'a> Iterator for Cells<'a> {
    type Item = (ColumnId, Value<'a>);

    fn next(&mut self) -> Option<Self::Item> {
        if self.at >= self.end {
            return None;
        }
        let rows = self.rows;
        let cell = *rows.cells.get(self.at as usize)?;
        let inside = self.at + 1;
        self.at = inside;
        let value = match cell.value {
            StoredValue::Null => Value::Null,
            StoredValue::Boolean(value) => Value::Boolean(value),
            StoredValue::Integer(value) => Value::Integer(value),
            StoredValue::Long(value) => Value::Long(value),
            StoredValue::Instant(value) => Value::Instant(value),
            StoredValue::Decimal(span) => Value::Decimal(rows.str(span)),
            StoredValue::Double(value) => Value::Double(value),
            StoredValue::Text(span) => Value::Text(rows.str(span)),
            StoredValue::Pending(span) => Value::Pending(rows.str(span)),
            StoredValue::PendingOrNull(span) => Value::PendingOrNull(rows.str(span)),
            StoredValue::List(end) => Value::List(self.skip_to(inside, end)),
            StoredValue::Record(end) => Value::Record(self.skip_to(inside, end)),
        };
        Some((cell.column, value))
    }
}

/// The kind of a cell, for readers that do not need its value.
pub(crate) enum CellKind<'a> {
    /// Nothing.
    Null,
    /// A key that is not known yet.
    Pending,
    /// One value.
    Scalar,
    /// Items.
    List(Cells<'a>),
    /// A sub-document.
    Record(Cells<'a>),
}

impl<'a> Cells<'a> {
    /// Returns the next cell without its value.
    pub(crate) fn next_kind(&mut self) -> Option<(ColumnId, CellKind<'a>)> {
        if self.at >= self.end {
            return None;
        }
        let cell = *self.rows.cells.get(self.at as usize)?;
        self.at += 1;
        let kind = match cell.value {
            StoredValue::Null => CellKind::Null,
            StoredValue::Pending(_) | StoredValue::PendingOrNull(_) => CellKind::Pending,
            StoredValue::List(end) => CellKind::List(self.skip_to(self.at, end)),
            StoredValue::Record(end) => CellKind::Record(self.skip_to(self.at, end)),
            _ => CellKind::Scalar,
        };
        Some((cell.column, kind))
    }

    fn skip_to(&mut self, at: u32, end: u32) -> Cells<'a> {
        self.at = end.max(at);
        Cells { rows: self.rows, at, end }
    }
}

/// The memory of arenas that were dropped, for those that are filled next. Arenas are megabytes, which an allocator may
/// fetch from the kernel and hand back each time.
#[derive(Debug, Clone, Default)]
pub struct RowsPool(Arc<Mutex<Vec<RowsMemory>>>);

#[derive(Debug, Default)]
struct RowsMemory {
    text: String,
    cells: Vec<StoredCell>,
    headers: Vec<RowHeader>,
}

/// So many are pooled: one that is filled, and those that are being written.
const MAX_POOLED: usize = 4;

/// A larger arena, which held an unusual resource, is given back to the allocator.
const MAX_POOLED_BYTES: usize = 16 << 20;

impl RowsPool {
    /// Returns an empty arena.
    #[must_use]
    pub fn rows(&self) -> Rows {
        let RowsMemory { text, cells, headers } =
            self.0.lock().unwrap_or_else(PoisonError::into_inner).pop().unwrap_or_default();
        let mut rows = Rows::default();
        (rows.text, rows.cells, rows.headers, rows.pool) = (text, cells, headers, Some(self.clone()));
        rows
    }

    fn keep(&self, memory: RowsMemory) {
        let mut pooled = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if pooled.len() < MAX_POOLED && memory.bytes() <= MAX_POOLED_BYTES {
            pooled.push(memory);
        }
    }
}

impl RowsMemory {
    const fn bytes(&self) -> usize {
        self.text.capacity()
            + self.cells.capacity() * size_of::<StoredCell>()
            + self.headers.capacity() * size_of::<RowHeader>()
    }
}

impl Drop for Rows {
    fn drop(&mut self) {
        if let Some(pool) = self.pool.take() {
            self.clear();
            let (text, cells) = (mem::take(&mut self.text), mem::take(&mut self.cells));
            pool.keep(RowsMemory { text, cells, headers: mem::take(&mut self.headers) });
        }
    }
}

/// The columns seen so far, by the record in which they were seen last.
#[derive(Debug, Default)]
pub(super) struct SeenColumns {
    seen: Vec<u32>,
    record: u32,
}

/// Returns a position as 32 bits: a batch is closed long before it reaches 4 GiB.
#[expect(clippy::cast_possible_truncation, reason = "a batch is closed at some megabytes")]
const fn narrow(position: usize) -> u32 {
    position as u32
}
