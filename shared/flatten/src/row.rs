//! Rows: the ordered, typed cells of flattened resources, many rows in one arena.
//!
//! An arena is filled resource by resource, handed on with its batch, and its memory used again ([`Spare`]); a row
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
mod cells;
mod repeats;
mod size;
mod spare;

use std::ops::Range;

use crate::json::Node;

use repeats::Repeats;

pub(crate) use cells::Outline;
pub use cells::{Cells, Row};
pub use names::{Name, NameList, Names};
pub use spare::Spare;

/// A column, by its place in [`Names`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct ColumnId(u32);

impl ColumnId {
    /// Returns the column's place in its [`NameList`]; `None` for [`ITEM`].
    #[must_use]
    #[inline]
    pub fn index(self) -> Option<usize> {
        (self != ITEM).then_some(self.0 as usize)
    }
}

/// A table, by its place in [`Names`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct TableId(u32);

/// The column of a list's items, which have no name.
pub const ITEM: ColumnId = ColumnId(u32::MAX);

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
    /// The key of a reference to `urn:…` within the Bundle whose target has not been seen yet: the text is
    /// the URN. It becomes [`Value::Text`] of the target's key, or the cell is left out.
    Pending(&'a str),
    /// The same in a view's row, which has all of its columns: it becomes the target's key, or null.
    PendingOrNull(&'a str),
    /// Items, each a cell of column [`ITEM`].
    List(Cells<'a>),
    /// A sub-document.
    Record(Cells<'a>),
}

#[derive(Debug, Clone, Copy)]
struct Span {
    start: u32,
    end: u32,
}

#[derive(Debug, Clone, Copy)]
enum Stored {
    Null,
    Boolean(bool),
    Integer(i32),
    Long(i64),
    Decimal(Span),
    Double(f64),
    Text(Span),
    Instant(i64),
    Pending(Span),
    PendingOrNull(Span),
    /// The index behind the last cell inside.
    List(u32),
    Record(u32),
}

#[derive(Debug, Clone, Copy)]
struct Cell {
    column: ColumnId,
    value: Stored,
}

#[derive(Debug, Clone, Copy)]
struct Head {
    table: TableId,
    key: Span,
    start: u32,
    end: u32,
}

/// The arena: rows in the order they were begun.
#[derive(Debug, Default)]
pub struct Rows {
    text: String,
    cells: Vec<Cell>,
    heads: Vec<Head>,
    pendings: usize,
    repeats: Repeats,
    /// Where the memory goes that is no longer needed.
    spare: Option<Spare>,
}

/// A row, list or record that has been opened and must be closed.
#[derive(Debug)]
#[must_use = "what is opened must be closed"]
pub struct Open(usize);

/// A place in the arena to go back to when a resource turns out to be a defect.
#[derive(Debug, Clone, Copy)]
pub struct Mark {
    text: usize,
    cells: usize,
    heads: usize,
}

impl Rows {
    /// Begins a row. Rows do not nest; another may begin once this one has ended.
    pub fn begin_row(&mut self, table: TableId, key: &str) -> Open {
        let key = self.push_text(|text| text.push_str(key));
        let start = narrow(self.cells.len());
        self.heads.push(Head { table, key, start, end: start });
        Open(self.heads.len() - 1)
    }

    /// Ends the row.
    #[expect(clippy::needless_pass_by_value, reason = "a row ends once")]
    pub fn end_row(&mut self, row: Open) {
        let end = narrow(self.cells.len());
        if let Some(head) = self.heads.get_mut(row.0) {
            head.end = end;
        }
    }

    /// Opens a list in a column.
    pub fn open_list(&mut self, column: ColumnId) -> Open {
        self.push(column, Stored::List(0))
    }

    /// Opens a record in a column.
    pub fn open_record(&mut self, column: ColumnId) -> Open {
        self.push(column, Stored::Record(0))
    }

    /// Closes a list or record.
    #[expect(clippy::needless_pass_by_value, reason = "a list closes once")]
    pub fn close(&mut self, open: Open) {
        let end = narrow(self.cells.len());
        if let Some(Stored::List(stop) | Stored::Record(stop)) =
            self.cells.get_mut(open.0).map(|cell| &mut cell.value)
        {
            *stop = end;
        }
    }

    /// Adds an empty cell.
    pub fn null(&mut self, column: ColumnId) {
        let _ = self.push(column, Stored::Null);
    }

    /// Adds a truth value.
    pub fn boolean(&mut self, column: ColumnId, value: bool) {
        let _ = self.push(column, Stored::Boolean(value));
    }

    /// Adds a 32-bit integer.
    pub fn integer(&mut self, column: ColumnId, value: i32) {
        let _ = self.push(column, Stored::Integer(value));
    }

    /// Adds a 64-bit integer.
    pub fn long(&mut self, column: ColumnId, value: i64) {
        let _ = self.push(column, Stored::Long(value));
    }

    /// Adds a moment, in milliseconds since 1970-01-01T00:00:00Z.
    pub fn instant(&mut self, column: ColumnId, milliseconds: i64) {
        let _ = self.push(column, Stored::Instant(milliseconds));
    }

    /// Adds a decimal by its digits as written.
    pub fn decimal(&mut self, column: ColumnId, digits: &str) {
        let span = self.push_text(|text| text.push_str(digits));
        let _ = self.push(column, Stored::Decimal(span));
    }

    /// Adds a decimal as a finite double.
    pub fn double(&mut self, column: ColumnId, value: f64) {
        debug_assert!(value.is_finite(), "JSON has neither infinity nor NaN");
        let _ = self.push(column, Stored::Double(value));
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
        let _ = self.push(column, Stored::Text(span));
    }

    /// Adds the key of a target that is not known yet; see [`Value::Pending`].
    pub fn pending(&mut self, column: ColumnId, urn: &str) {
        self.pendings += 1;
        let span = self.push_text(|text| text.push_str(urn));
        let _ = self.push(column, Stored::Pending(span));
    }

    /// Adds the key of a target that is not known yet; see [`Value::PendingOrNull`].
    pub fn pending_or_null(&mut self, column: ColumnId, urn: &str) {
        self.pendings += 1;
        let span = self.push_text(|text| text.push_str(urn));
        let _ = self.push(column, Stored::PendingOrNull(span));
    }

    /// Adds the type of a target that is not known yet: [`PENDING_TYPE`] follows the URN.
    pub fn pending_type(&mut self, column: ColumnId, urn: &str) {
        self.pendings += 1;
        let span = self.push_text(|text| text.extend([urn, PENDING_TYPE]));
        let _ = self.push(column, Stored::Pending(span));
    }

    /// How many cells wait for a key since the arena was cleared, those that were rewound included.
    #[must_use]
    pub const fn pendings(&self) -> usize {
        self.pendings
    }

    /// Where the arena stands now.
    #[must_use]
    pub fn mark(&self) -> Mark {
        Mark { text: self.text.len(), cells: self.cells.len(), heads: self.heads.len() }
    }

    /// Forgets everything since the mark.
    pub fn rewind(&mut self, mark: Mark) {
        self.text.truncate(mark.text);
        self.cells.truncate(mark.cells);
        self.heads.truncate(mark.heads);
    }

    /// Empties the arena and keeps its memory.
    pub fn clear(&mut self) {
        self.rewind(Mark { text: 0, cells: 0, heads: 0 });
        self.pendings = 0;
    }

    /// How many rows there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.heads.len()
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.heads.is_empty()
    }

    /// Bytes of memory in use, to decide when a batch is full.
    #[must_use]
    pub fn bytes(&self) -> usize {
        self.text.len() + self.cells.len() * size_of::<Cell>() + self.heads.len() * size_of::<Head>()
    }

    /// The rows, in the order they were begun.
    #[must_use]
    pub fn iter(&self) -> impl ExactSizeIterator<Item = Row<'_>> {
        self.heads.iter().map(|&head| Row { rows: self, head })
    }

    /// Some of the rows, by index.
    #[must_use]
    pub fn range(&self, range: Range<usize>) -> impl ExactSizeIterator<Item = Row<'_>> {
        self.heads.get(range).unwrap_or_default().iter().map(|&head| Row { rows: self, head })
    }

    fn push(&mut self, column: ColumnId, value: Stored) -> Open {
        self.cells.push(Cell { column, value });
        Open(self.cells.len() - 1)
    }

    fn push_text(&mut self, write: impl FnOnce(&mut String)) -> Span {
        let start = narrow(self.text.len());
        write(&mut self.text);
        Span { start, end: narrow(self.text.len()) }
    }

    fn str(&self, span: Span) -> &str {
        self.text.get(span.start as usize..span.end as usize).unwrap_or_default()
    }
}

/// A batch is closed long before it reaches 4 GiB.
#[expect(clippy::cast_possible_truncation, reason = "a batch is closed at some megabytes")]
const fn narrow(position: usize) -> u32 {
    position as u32
}
