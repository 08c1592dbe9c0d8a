//! Reading: rows and their cells, borrowed from the arena.

use super::{ColumnId, Head, Rows, Stored, TableId, Value};

/// One row.
#[derive(Debug, Clone, Copy)]
pub struct Row<'a> {
    pub(super) rows: &'a Rows,
    pub(super) head: Head,
}

impl<'a> Row<'a> {
    /// The table it belongs to.
    #[must_use]
    pub const fn table(self) -> TableId {
        self.head.table
    }

    /// Its key, the `_id` of the row.
    #[must_use]
    pub fn key(self) -> &'a str {
        self.rows.str(self.head.key)
    }

    /// Its cells in order.
    #[must_use]
    pub const fn cells(self) -> Cells<'a> {
        Cells { rows: self.rows, at: self.head.start, end: self.head.end }
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
            Stored::Null => Value::Null,
            Stored::Boolean(value) => Value::Boolean(value),
            Stored::Integer(value) => Value::Integer(value),
            Stored::Long(value) => Value::Long(value),
            Stored::Instant(value) => Value::Instant(value),
            Stored::Decimal(span) => Value::Decimal(rows.str(span)),
            Stored::Double(value) => Value::Double(value),
            Stored::Text(span) => Value::Text(rows.str(span)),
            Stored::Pending(span) => Value::Pending(rows.str(span)),
            Stored::PendingOrNull(span) => Value::PendingOrNull(rows.str(span)),
            Stored::List(end) => Value::List(self.skip_to(inside, end)),
            Stored::Record(end) => Value::Record(self.skip_to(inside, end)),
        };
        Some((cell.column, value))
    }
}

/// What kind of thing a cell holds, for whoever need not read its value.
pub(crate) enum Outline<'a> {
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
    /// The next cell without its value.
    pub(crate) fn next_outline(&mut self) -> Option<(ColumnId, Outline<'a>)> {
        if self.at >= self.end {
            return None;
        }
        let cell = *self.rows.cells.get(self.at as usize)?;
        self.at += 1;
        let outline = match cell.value {
            Stored::Null => Outline::Null,
            Stored::Pending(_) | Stored::PendingOrNull(_) => Outline::Pending,
            Stored::List(end) => Outline::List(self.skip_to(self.at, end)),
            Stored::Record(end) => Outline::Record(self.skip_to(self.at, end)),
            _ => Outline::Scalar,
        };
        Some((cell.column, outline))
    }

    fn skip_to(&mut self, at: u32, end: u32) -> Cells<'a> {
        self.at = end.max(at);
        Cells { rows: self.rows, at, end }
    }
}
