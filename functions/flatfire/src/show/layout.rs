//! Rows as text that fits the screen.

use comfy_table::{Cell, CellAlignment, ContentArrangement, Table, presets};
use flatten::TableRow;

use super::cells::{Printed, PrintedKind, cut, printed, printed_value, width};
use super::columns::ShownColumn;

/// What a column takes beside its text: a blank on each side, and a line.
const FRAME: usize = 3;
/// A text is not cut below this to make room for another column.
const GOOD_WIDTH: usize = 11;
/// No text is longer in a table of columns.
const MAX_WIDTH: usize = 60;

/// The texts of a table, column by column.
struct Grid<'a> {
    columns: Vec<GridColumn<'a>>,
    rows: usize,
}

struct GridColumn<'a> {
    shown: &'a ShownColumn,
    cells: Vec<Printed>,
    /// What the longest of its texts takes.
    natural: usize,
}

/// Returns the table of the columns that fit, and below it the headings of the others.
pub(super) fn fitting(rows: &[TableRow], columns: &[ShownColumn], width: usize) -> String {
    let mut grid = Grid::of(rows, columns);
    let count = grid.fitting(width);
    let others: Vec<&str> = grid.columns.drain(count..).map(|column| column.shown.heading.as_str()).collect();
    let table = grid.table(width);
    if others.is_empty() {
        return table;
    }
    let noun = if others.len() == 1 { "column" } else { "columns" };
    let line = format!("{} more {noun} (--columns, --all): {}", others.len(), others.join(", "));
    format!("{table}\n{}", cut(&line, width))
}

/// Returns the table of all these columns, however short their texts become.
pub(super) fn whole(rows: &[TableRow], columns: &[ShownColumn], width: usize) -> String {
    Grid::of(rows, columns).table(width)
}

/// Returns every column of each row on a line of its own.
pub(super) fn lists(rows: &[TableRow], screen: usize) -> String {
    let names = rows.iter().flat_map(|row| &row.columns).map(|(name, _)| width(name));
    let longest = names.max().unwrap_or_default().min(screen / 2);
    let mut lines = Vec::new();
    for row in rows {
        lines.push(format!("\n{}", cut(&row.key, screen)));
        for (name, value) in &row.columns {
            let name = cut(name, longest);
            let padding = " ".repeat(longest.saturating_sub(width(&name)));
            lines.push(cut(&format!("  {name}{padding}  {}", printed_value(value).text), screen));
        }
    }
    lines.join("\n")
}

impl<'a> Grid<'a> {
    fn of(rows: &[TableRow], columns: &'a [ShownColumn]) -> Self {
        let column = |shown: &'a ShownColumn| {
            let cells: Vec<Printed> = rows.iter().map(|row| printed(row, shown)).collect();
            let longest = cells.iter().map(|cell| width(&cell.text)).max().unwrap_or_default();
            GridColumn { shown, natural: longest.max(width(&shown.heading)).min(MAX_WIDTH), cells }
        };
        Self { columns: columns.iter().map(column).collect(), rows: rows.len() }
    }

    /// Returns how many columns fit, at least one.
    fn fitting(&self, width: usize) -> usize {
        let mut taken = 1;
        let fitting = self.columns.iter().take_while(|column| {
            taken += column.least() + FRAME;
            taken <= width
        });
        fitting.count().max(1)
    }

    fn table(&self, width: usize) -> String {
        let widths = self.widths(width);
        let mut table = Table::new();
        table.load_style(presets::UTF8_FULL_CONDENSED).set_content_arrangement(ContentArrangement::Disabled);
        let headings = self.columns.iter().zip(&widths);
        table.set_header(headings.map(|(column, width)| cut(&column.shown.heading, *width)));
        for row in 0..self.rows {
            let cells = self.columns.iter().zip(&widths);
            let cells = cells.filter_map(|(column, width)| {
                let cell = column.cells.get(row)?;
                let is_number = cell.kind == PrintedKind::Number;
                let alignment = if is_number { CellAlignment::Right } else { CellAlignment::Left };
                Some(Cell::new(cell.cut(*width)).set_alignment(alignment))
            });
            table.add_row(cells.collect::<Vec<_>>());
        }
        table.to_string()
    }

    /// Returns the widths of the columns: the widest texts are cut until everything fits.
    fn widths(&self, width: usize) -> Vec<usize> {
        let mut widths: Vec<usize> = self.columns.iter().map(|column| column.natural).collect();
        let room = width.saturating_sub(1 + FRAME * widths.len());
        while widths.iter().sum::<usize>() > room {
            let cuttable = |(index, width): &(usize, &mut usize)| {
                let least = self.columns.get(*index).map_or(0, GridColumn::least);
                (**width > least, **width)
            };
            // What can be cut without harm comes before moments and short texts.
            match widths.iter_mut().enumerate().max_by_key(cuttable) {
                Some((_, widest)) if *widest > 1 => *widest -= 1,
                _ => break,
            }
        }
        widths
    }
}

impl GridColumn<'_> {
    /// Returns what the column takes at least: moments and numbers are not cut.
    fn least(&self) -> usize {
        let is_whole = self.shown.is_whole || self.cells.iter().any(|cell| cell.kind == PrintedKind::Number);
        if is_whole { self.natural } else { self.natural.min(GOOD_WIDTH) }
    }
}

#[cfg(test)]
mod tests {
    use flatten::{CellValue, TableRow};

    use super::super::columns;
    use super::{fitting, lists, whole};

    fn rows() -> Vec<TableRow> {
        let display = [
            "Heart rate",
            "Systolic blood pressure of the left arm while standing",
            "心拍数心拍数心拍数心拍数心拍数",
        ];
        let row = |(number, display): (usize, &&str)| {
            let text = |text: &str| CellValue::Text(text.to_owned());
            let columns = [
                ("subject_key", text(&format!("Patient/pat-{number}"))),
                ("code_display", text(display)),
                (
                    "valueQuantity_value",
                    CellValue::Decimal(format!("{}.5", 10_usize.pow(u32::try_from(number).unwrap()))),
                ),
                ("valueQuantity_unit", text("mmHg")),
                ("value_type", text("Quantity")),
                ("status", text("final")),
                ("effectiveDateTime", text("2026-01-05T08:00:00Z")),
                ("effectiveDateTime_at", CellValue::Instant(0)),
                ("note", text("a\u{1b}[2J\nb")),
            ];
            let columns = columns.map(|(name, value)| (name.to_owned(), value)).to_vec();
            TableRow { table: "Observation".into(), key: format!("Observation/{number}"), columns }
        };
        display.iter().enumerate().map(row).collect()
    }

    fn widest(text: &str) -> usize {
        text.lines().map(super::width).max().unwrap()
    }

    #[test]
    fn a_table_fits_the_screen_and_names_what_does_not() {
        let rows = rows();
        let columns = columns::of(&rows);
        for width in 20..200 {
            let text = fitting(&rows, &columns, width);
            assert!(widest(&text) <= width, "{width}:\n{text}");
            assert!(!text.contains('\u{1b}'), "{text}");
            if width >= 80 {
                for part in ["pat-1", "Heart rate", "Systolic b", "100.5", "mmHg", "2026-01-05 08:00Z"] {
                    assert!(text.contains(part), "{part} is missing at {width}:\n{text}");
                }
            }
            assert_eq!(text.contains("more column"), !text.contains("┆ key"), "{width}:\n{text}");
        }
    }

    #[test]
    fn numbers_stand_at_the_right() {
        let rows = rows();
        let text = fitting(&rows, &columns::of(&rows), 160);
        let lines: Vec<&str> = text.lines().filter(|line| line.contains(".5 ")).collect();
        let ends: Vec<usize> =
            lines.iter().map(|line| super::width(line.split(".5 ").next().unwrap())).collect();
        assert_eq!((ends.len(), ends.iter().min()), (3, ends.iter().max()), "{text}");
    }

    #[test]
    fn columns_that_were_asked_for_are_all_there() {
        let rows = rows();
        let columns = columns::of(&rows);
        let text = whole(&rows, &columns, 60);
        assert!(widest(&text) <= 60, "{text}");
        assert_eq!(text.lines().nth(1).unwrap().matches('┆').count(), columns.len() - 1, "{text}");
    }

    #[test]
    fn a_list_has_every_column_of_a_row() {
        let text = lists(&rows(), 60);
        assert!(widest(&text) <= 60, "{text}");
        assert_eq!(text.lines().filter(|line| !line.is_empty()).count(), 3 * (1 + 9), "{text}");
        assert!(text.contains("  value_type            Quantity"), "{text}");
    }
}
