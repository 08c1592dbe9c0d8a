//! Repeats: whether a row says one column twice, which nobody could read.

use super::{ITEM, Rows, Stored};

/// Which columns have been seen, by the record in which they were seen last.
#[derive(Debug, Default)]
pub(super) struct Repeats {
    seen: Vec<u32>,
    record: u32,
}

impl Rows {
    /// Whether a column stands twice in the last row, or in a record of it.
    pub fn has_repeated_column(&mut self) -> bool {
        let mut repeats = std::mem::take(&mut self.repeats);
        let is_repeated =
            self.heads.last().is_some_and(|head| self.repeats_within(head.start, head.end, &mut repeats));
        self.repeats = repeats;
        is_repeated
    }

    fn repeats_within(&self, start: u32, end: u32, repeats: &mut Repeats) -> bool {
        repeats.record += 1;
        let mut nested = false;
        let mut at = start;
        while let Some(cell) = self.cells.get(at as usize).filter(|_| at < end) {
            if cell.column != ITEM {
                let column = cell.column.0 as usize;
                if repeats.seen.len() <= column {
                    repeats.seen.resize(column + 1, 0);
                }
                if let Some(seen) = repeats.seen.get_mut(column)
                    && std::mem::replace(seen, repeats.record) == repeats.record
                {
                    return true;
                }
            }
            at = match cell.value {
                Stored::List(inside) | Stored::Record(inside) => {
                    nested = true;
                    inside.max(at + 1)
                }
                _ => at + 1,
            };
        }
        nested && self.nested_repeats(start, end, repeats)
    }

    fn nested_repeats(&self, start: u32, end: u32, repeats: &mut Repeats) -> bool {
        let mut at = start;
        while let Some(cell) = self.cells.get(at as usize).filter(|_| at < end) {
            at = match cell.value {
                Stored::List(inside) | Stored::Record(inside) => {
                    if self.repeats_within(at + 1, inside, repeats) {
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
