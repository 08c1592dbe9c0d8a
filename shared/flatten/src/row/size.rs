//! How large a row becomes where it is written.

use super::{Cell, Head, Names, Rows};

impl Rows {
    /// Whether the last row takes more than so many bytes, with the names that BSON writes at every cell.
    pub(crate) fn exceeds(&self, limit: usize, names: &Names) -> bool {
        let Some(head) = self.heads.last() else { return false };
        let cells = self.cells.get(head.start as usize..head.end as usize).unwrap_or_default();
        let text = self.text.len().saturating_sub(head.key.start as usize);
        let bytes = text + size_of_val(cells) + size_of::<Head>();
        // Nearly every row is so small that no names could make it too large.
        if bytes + cells.len() * names.longest() <= limit {
            return false;
        }
        let length = |cell: &Cell| names.length(cell.column);
        bytes + cells.iter().map(length).sum::<usize>() > limit
    }
}

#[cfg(test)]
mod tests {
    use crate::row::{Names, Rows};

    #[test]
    fn names_count_at_every_cell_of_the_last_row() {
        let (mut names, mut rows) = (Names::default(), Rows::default());
        let (table, column) = (names.table("T"), names.column(&"n".repeat(1_000)));
        for cells in [1_000, 10] {
            let row = rows.begin_row(table, "T/1");
            (0..cells).for_each(|number| rows.integer(column, number));
            rows.end_row(row);
            let named = usize::try_from(cells).unwrap() * 1_000;
            assert!(rows.exceeds(named, &names) && !rows.exceeds(named + named / 10, &names), "{cells}");
        }
    }
}
