//! Loads as a table that fits the terminal.

use comfy_table::{CellAlignment, Table, presets};
use pipeline::ledger::Load;

use super::words::{object_name, word};
use crate::console::moment;

/// What stands in the table besides the object. The first ones have room in any terminal.
const COLUMNS: [ListColumn; 7] = [
    ListColumn { name: "begun", is_number: false, cell: |load| short_moment(load.begun) },
    ListColumn { name: "status", is_number: false, cell: |load| word(load).to_owned() },
    ListColumn { name: "rejected", is_number: true, cell: |load| load.summary.rejected.to_string() },
    ListColumn { name: "rows", is_number: true, cell: |load| load.summary.rows.to_string() },
    ListColumn { name: "records", is_number: true, cell: |load| load.summary.records.to_string() },
    ListColumn { name: "attempts", is_number: true, cell: |load| load.attempts.to_string() },
    ListColumn { name: "problem", is_number: false, cell: |load| load.problem.clone().unwrap_or_default() },
];

struct ListColumn {
    name: &'static str,
    is_number: bool,
    cell: fn(&Load) -> String,
}

/// Columns that are shown however narrow the terminal is.
const LEAST_COLUMNS: usize = 4;
/// What a column takes beside its text: a blank on each side, and a line.
const FRAME: usize = 3;
/// A name is not shortened below this.
const LEAST_NAME: usize = 12;
/// What a name has before another column is shown.
const GOOD_NAME: usize = 40;

/// Returns the table, as wide as the terminal at the most. Without a terminal nothing is shortened.
pub(super) fn table(loads: &[Load]) -> String {
    let width = Table::new().width().map(usize::from);
    table_of(loads, width)
}

fn table_of(loads: &[Load], width: Option<usize>) -> String {
    let names: Vec<String> = loads.iter().map(object_name).collect();
    let cells: Vec<Vec<String>> =
        loads.iter().map(|load| COLUMNS.iter().map(|column| (column.cell)(load)).collect()).collect();
    let longest = names.iter().map(|name| name.chars().count()).max().unwrap_or_default().max(6);
    let (columns, room) = fit(&column_widths(&cells), longest, width);
    let mut table = Table::new();
    table.load_style(presets::UTF8_FULL_CONDENSED);
    let shown = |mut line: Vec<String>, name: String| {
        line.truncate(columns);
        line.insert(2, name);
        line
    };
    let header = COLUMNS.iter().map(|column| column.name.to_owned()).collect();
    table.set_header(shown(header, "object".to_owned()));
    for (name, line) in names.iter().zip(cells) {
        table.add_row(shown(line, shortened(name, room)));
    }
    let numbers = COLUMNS.iter().take(columns).enumerate().filter(|(_, column)| column.is_number);
    for (index, _) in numbers {
        if let Some(column) = table.column_mut(index + 1) {
            column.set_cell_alignment(CellAlignment::Right);
        }
    }
    table.to_string()
}

fn column_widths(cells: &[Vec<String>]) -> Vec<usize> {
    let widest = |index: usize| cells.iter().filter_map(|line| line.get(index)?.chars().count().into()).max();
    let header = COLUMNS.iter().enumerate();
    header.map(|(index, column)| widest(index).unwrap_or_default().max(column.name.len())).collect()
}

/// Returns how many columns are shown and how long names are.
fn fit(widths: &[usize], longest: usize, width: Option<usize>) -> (usize, usize) {
    let Some(width) = width else { return (widths.len(), longest) };
    let taken = |columns: usize| {
        let text: usize = widths.iter().take(columns).sum();
        text + columns * FRAME + FRAME + 1
    };
    let wanted = longest.min(GOOD_NAME);
    let columns = (LEAST_COLUMNS..=widths.len()).rev().find(|columns| taken(*columns) + wanted <= width);
    let columns = columns.unwrap_or(LEAST_COLUMNS);
    (columns, width.saturating_sub(taken(columns)).max(LEAST_NAME))
}

/// Returns a name with its middle left out, so many characters at the most. Its end says more than its beginning.
fn shortened(name: &str, most: usize) -> String {
    let length = name.chars().count();
    if length <= most {
        return name.to_owned();
    }
    let before = most.saturating_sub(1) / 3;
    let behind = most.saturating_sub(1) - before;
    let end: String = name.chars().skip(length - behind).collect();
    name.chars().take(before).chain(['…']).chain(end.chars()).collect()
}

/// Returns a moment as `2026-01-05 10:21`.
fn short_moment(milliseconds: i64) -> String {
    moment(milliseconds).get(..16).unwrap_or_default().replace('T', " ")
}

#[cfg(test)]
mod tests {
    use pipeline::ledger::{Attempt, Lease, Ledger, Load};
    use pipeline::object::{ObjectRef, Pin};

    use super::{shortened, table_of};

    async fn load(key: &str) -> Load {
        let (bucket, key, pin) = ("clinic".to_owned(), key.to_owned(), Pin::Latest);
        let object = ObjectRef { bucket, key, pin, sequencer: None, created: 0, size: None };
        let (ledger, lease) = (Ledger::memory(), Lease { owner: "o".into(), until: i64::MAX });
        let (code, catalog) = ("1".into(), "c".into());
        let attempt = Attempt { now: 1_767_607_267_000, lease, again: false, code, catalog, by: None };
        ledger.begin(&object, &attempt).await.unwrap();
        let load = ledger.find(&object.load_id()).await.unwrap().unwrap();
        Load { problem: Some("the database refuses to work (13 Unauthorized)".into()), ..load }
    }

    #[tokio::test]
    async fn a_table_is_as_wide_as_the_terminal_at_the_most() {
        let long = format!("incoming/{}/day-1.ndjson", "ward".repeat(30));
        let loads = [load("a.json").await, load(&long).await, load("ü🔥.json").await];
        for width in [70, 80, 100, 120, 160, 250, 400] {
            let table = table_of(&loads, Some(width));
            let widest = table.lines().map(|line| line.chars().count()).max().unwrap();
            assert!(widest <= width, "{width}:\n{table}");
            assert!(
                table.contains("day-1.ndjson") && table.contains("2026-01-05 10:01"),
                "{width}:\n{table}"
            );
            assert_eq!(table.contains("Unauthorized"), width >= 250, "{width}:\n{table}");
        }
        assert!(table_of(&loads, None).contains(&format!("clinic/{long}")));
    }

    #[test]
    fn a_name_is_shortened_in_its_middle() {
        assert_eq!(shortened("incoming/day.ndjson", 19), "incoming/day.ndjson");
        assert_eq!(shortened("incoming/day.ndjson", 13), "inco…y.ndjson");
        assert_eq!(shortened("üüüüüüüüüüüüüüüü", 4), "ü…üü");
    }
}
