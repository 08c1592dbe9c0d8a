//! `flatfire show`: the rows of a table as people want to see them, or the list of tables.

mod cells;
mod columns;
mod layout;

use std::collections::BTreeMap;
use std::io::IsTerminal as _;
use std::ops::ControlFlow;

use anyhow::bail;
use clap::Args;
use comfy_table::{CellAlignment, Table};
use flatten::TableRow;
use pipeline::print::row_line;
use pipeline::store::Store;
use serde_json::json;

use crate::console;
use crate::outcome::Outcome;
use crate::pager;
use crate::settings::Destination;

use columns::ShownColumn;

/// Print rows of a table, or list the tables.
#[derive(Debug, Args)]
#[command(after_help = NOTES)]
pub(crate) struct ShowArguments {
    #[command(flatten)]
    destination: Destination,
    /// Print so many rows
    #[arg(long, value_name = "N", default_value_t = 20, value_parser = clap::value_parser!(u32).range(1..=10_000))]
    rows: u32,
    /// Print these columns, in this order: names of the table, or headings of what is printed without it
    #[arg(long, value_name = "NAMES", value_delimiter = ',')]
    columns: Vec<String>,
    /// Print every column of every row, a line each
    #[arg(long, conflicts_with = "columns")]
    all: bool,
    /// Print JSON, an object a line, with every column unless --columns names some
    #[arg(long, conflicts_with = "all")]
    json: bool,
    /// Fill so many columns of the screen; by default the terminal, elsewhere 120
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(20..))]
    width: Option<u16>,
    /// The table; without it all tables are listed
    #[arg(value_name = "TABLE")]
    table: Option<String>,
}

const NOTES: &str = "\
Rows come in the order of their keys. What belongs together is one column: `code` prints code_display, or code_text, or
code_code of each row, `subject` the display or the key of a reference, `value` the value of any type. First stand
person, code, value, status and dates, then the rest, then keys; what the screen cannot hold is named below the table.
Lists and bookkeeping (`_load`, `code_system`, `effective_at`) are printed by --all, --columns and --json alone.

Long texts end in `…`, and moments are printed to the minute; --json prints all of them. On a terminal the pager of the variable PAGER prints, or `less -FRX`.

The rows are data of patients: they are printed and go nowhere else.

Exit codes: 0 printed, 1 failed (there is no such table, or no such column).";

/// What a table is as wide as where there is no terminal.
const WIDTH_ELSEWHERE: u16 = 120;

/// Prints what the arguments ask for.
pub(crate) async fn run(arguments: ShowArguments) -> anyhow::Result<Outcome> {
    let store = arguments.destination.connect().await?;
    let counts = store.count_rows().await?;
    let Some(name) = &arguments.table else {
        print_tables(&arguments, store.database(), &counts)?;
        return Ok(Outcome::Done);
    };
    let (table, count) = found(name, &counts)?;
    let rows = first_rows(&*store, table, arguments.rows).await?;
    let columns = columns::of(&rows);
    if arguments.json {
        print_json(&arguments.columns, rows, &columns)?;
        return Ok(Outcome::Done);
    }
    let heading = format!("{table}: {}", counted(count, "row"));
    let text = if arguments.all {
        layout::lists(&rows, arguments.width())
    } else if arguments.columns.is_empty() {
        layout::fitting(&rows, &columns, arguments.width())
    } else {
        let chosen = columns::named(&arguments.columns, &columns, &rows)?;
        layout::whole(&rows, &chosen, arguments.width())
    };
    let more = if (rows.len() as u64) < count {
        format!("\n{} of {count} rows: --rows N prints more", rows.len())
    } else {
        String::new()
    };
    pager::print(&format!("{heading}\n{text}{more}"))?;
    Ok(Outcome::Done)
}

impl ShowArguments {
    fn width(&self) -> usize {
        let terminal = || Table::new().width();
        self.width.or_else(terminal).unwrap_or(WIDTH_ELSEWHERE).into()
    }
}

/// Returns the table of this name, in whatever letters, and how many rows it has.
fn found<'a>(name: &str, counts: &'a BTreeMap<String, u64>) -> anyhow::Result<(&'a str, u64)> {
    let exact = counts.get_key_value(name);
    let alike = || counts.iter().find(|(table, _)| table.eq_ignore_ascii_case(name));
    if let Some((table, count)) = exact.or_else(alike) {
        return Ok((table, *count));
    }
    let tables: Vec<&str> = counts.keys().map(String::as_str).collect();
    if tables.is_empty() {
        bail!("no table has rows yet");
    }
    bail!("no table `{name}` has rows; these have: {}", tables.join(", "))
}

async fn first_rows(store: &dyn Store, table: &str, most: u32) -> anyhow::Result<Vec<TableRow>> {
    let mut rows = Vec::new();
    let mut visit = |row: TableRow| {
        rows.push(row);
        if rows.len() < most as usize { ControlFlow::Continue(()) } else { ControlFlow::Break(()) }
    };
    store.visit_table(table, &mut visit).await?;
    Ok(rows)
}

fn print_json(names: &[String], rows: Vec<TableRow>, columns: &[ShownColumn]) -> anyhow::Result<()> {
    let chosen = columns::named(names, columns, &rows)?;
    for mut row in rows {
        if !names.is_empty() {
            row.columns = cells::cells_of(&row, &chosen);
        }
        console::print(&String::from_utf8_lossy(&row_line(&row)))?;
    }
    Ok(())
}

fn print_tables(
    arguments: &ShowArguments,
    database: &str,
    counts: &BTreeMap<String, u64>,
) -> anyhow::Result<()> {
    if arguments.json {
        for (table, rows) in counts {
            console::print_json(&json!({ "table": table, "rows": rows }))?;
        }
        return Ok(());
    }
    if counts.is_empty() {
        console::print(&format!("no table of database {database} has rows yet"))?;
        return Ok(());
    }
    let mut table = console::table();
    table.set_header(["table", "rows"]);
    for (name, rows) in counts {
        table.add_row([name.clone(), rows.to_string()]);
    }
    if let Some(column) = table.column_mut(1) {
        column.set_cell_alignment(CellAlignment::Right);
    }
    let sum =
        format!("{} with {}", counted(counts.len() as u64, "table"), counted(counts.values().sum(), "row"));
    let hint = if std::io::stdout().is_terminal() { ": name one to see its rows" } else { "" };
    Ok(pager::print(&format!("{table}\n{sum}{hint}"))?)
}

fn counted(count: u64, noun: &str) -> String {
    let ending = if count == 1 { "" } else { "s" };
    format!("{count} {noun}{ending}")
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::{counted, found};

    #[test]
    fn a_table_is_found_in_whatever_letters() {
        let counts = [("Patient", 2), ("Observation", 9), ("patients", 2)];
        let counts: BTreeMap<String, u64> =
            counts.map(|(table, count)| (table.to_owned(), count)).into_iter().collect();
        assert_eq!(found("observation", &counts).unwrap(), ("Observation", 9));
        assert_eq!(found("patients", &counts).unwrap(), ("patients", 2));
        let message = found("Condition", &counts).unwrap_err().to_string();
        assert_eq!(message, "no table `Condition` has rows; these have: Observation, Patient, patients");
        assert_eq!(found("x", &BTreeMap::new()).unwrap_err().to_string(), "no table has rows yet");
    }

    #[test]
    fn one_is_not_many() {
        assert_eq!((counted(1, "row"), counted(0, "row")), ("1 row".to_owned(), "0 rows".to_owned()));
    }
}
