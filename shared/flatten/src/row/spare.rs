//! Spare memory: arenas are megabytes, which an allocator may fetch from the kernel and hand back each time.

use std::mem;
use std::sync::{Arc, Mutex, PoisonError};

use super::{Cell, Head, Rows};

/// The memory of arenas that were read to their end, for those that are filled next. Wherever a batch of rows is
/// dropped, its memory comes back here.
#[derive(Debug, Clone, Default)]
pub struct Spare(Arc<Mutex<Vec<Memory>>>);

#[derive(Debug, Default)]
struct Memory {
    text: String,
    cells: Vec<Cell>,
    heads: Vec<Head>,
}

/// So many are kept: one that is filled, and those that are being written.
const KEPT: usize = 4;

/// An arena that held a resource beyond all measure is given back.
const LARGEST_BYTES: usize = 16 << 20;

impl Spare {
    /// An empty arena.
    #[must_use]
    pub fn rows(&self) -> Rows {
        let Memory { text, cells, heads } =
            self.0.lock().unwrap_or_else(PoisonError::into_inner).pop().unwrap_or_default();
        let mut rows = Rows::default();
        (rows.text, rows.cells, rows.heads, rows.spare) = (text, cells, heads, Some(self.clone()));
        rows
    }

    fn keep(&self, memory: Memory) {
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if kept.len() < KEPT && memory.bytes() <= LARGEST_BYTES {
            kept.push(memory);
        }
    }
}

impl Memory {
    const fn bytes(&self) -> usize {
        self.text.capacity()
            + self.cells.capacity() * size_of::<Cell>()
            + self.heads.capacity() * size_of::<Head>()
    }
}

impl Drop for Rows {
    fn drop(&mut self) {
        if let Some(spare) = self.spare.take() {
            self.clear();
            let (text, cells) = (mem::take(&mut self.text), mem::take(&mut self.cells));
            spare.keep(Memory { text, cells, heads: mem::take(&mut self.heads) });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{KEPT, LARGEST_BYTES, Spare};
    use crate::row::{Names, Rows};

    fn fill(rows: &mut Rows, text: &str) {
        let mut names = Names::default();
        let (table, column) = (names.table("T"), names.column("c"));
        let row = rows.begin_row(table, "T/1");
        rows.text(column, text);
        rows.end_row(row);
    }

    #[test]
    fn memory_is_used_again_and_holds_nothing() {
        let spare = Spare::default();
        let mut rows = spare.rows();
        fill(&mut rows, &"x".repeat(10_000));
        drop(rows);
        let rows = spare.rows();
        assert!(rows.is_empty() && rows.bytes() == 0 && rows.pendings() == 0);
        assert!(rows.text.capacity() >= 10_000);
        assert_eq!(spare.rows().text.capacity(), 0, "it is there once");
    }

    #[test]
    fn a_few_are_kept_and_none_that_is_too_large() {
        let spare = Spare::default();
        let many: Vec<Rows> = (0..2 * KEPT).map(|_| spare.rows()).collect();
        drop(many);
        assert_eq!(spare.0.lock().unwrap().len(), KEPT);
        spare.0.lock().unwrap().clear();
        let mut rows = spare.rows();
        fill(&mut rows, &"x".repeat(LARGEST_BYTES));
        drop(rows);
        assert!(spare.0.lock().unwrap().is_empty());
    }
}
