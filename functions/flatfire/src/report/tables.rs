//! Tables with their columns: types, meanings, and how full they are.

use pipeline::report::{ColumnFill, DatabaseReport, TableFill};

use super::page::{PageBlock, PageCell, PageTable, headers};
use super::words::{counted, grouped, percent};

/// Returns a table of the tables, and of each its columns.
pub(super) fn blocks(report: &DatabaseReport) -> Vec<PageBlock> {
    if report.tables.is_empty() {
        return vec![PageBlock::Paragraph("There is no table yet.".to_owned())];
    }
    let overview = PageTable {
        caption: "Tables, with their rows and columns".to_owned(),
        headers: headers(&["Table", "Rows#", "Columns#"]),
        rows: report.tables.iter().map(overview).collect(),
        ..PageTable::default()
    };
    let folded = report.tables.iter().filter(|table| !table.columns.is_empty()).map(columns);
    [PageBlock::Table(overview)].into_iter().chain(folded).collect()
}

fn overview(table: &TableFill) -> Vec<PageCell> {
    let besides = table.extension_columns + table.unknown_columns + table.uncounted_columns;
    vec![
        PageCell::code(&*table.table),
        PageCell::number(grouped(table.rows)),
        PageCell::number(grouped(table.columns.len() as u64 + besides)),
    ]
}

fn columns(table: &TableFill) -> PageBlock {
    let looked_at = if table.is_sample {
        format!(
            "Filled: in {} of {} rows, chosen at random; a share may be one percent off",
            grouped(table.looked_at),
            grouped(table.rows)
        )
    } else {
        format!("Filled: in all {}", counted(table.looked_at, "row"))
    };
    PageBlock::Folded {
        summary: format!("{}: {}", table.table, counted(table.columns.len() as u64, "column")),
        table: PageTable {
            caption: format!("Columns of {}. {looked_at}.", table.table),
            headers: headers(&["Column", "Type", "FHIR", "Filled#"]),
            rows: table.columns.iter().map(|column| row(table, column)).collect(),
            is_stacked: false,
            remark: besides(table),
        },
    }
}

fn row(table: &TableFill, column: &ColumnFill) -> Vec<PageCell> {
    let ColumnFill { column, column_type, path, datatype, derived, filled } = column;
    let meaning = datatype.iter().chain(derived).map(String::as_str).collect::<Vec<_>>().join(", ");
    let bar = filled.saturating_mul(100).checked_div(table.looked_at);
    vec![
        PageCell::code(column),
        PageCell::text(column_type.as_deref().unwrap_or("–")),
        PageCell::code(path.as_deref().unwrap_or("–"))
            .with_detail(Some(meaning).filter(|text| !text.is_empty())),
        PageCell { bar, ..PageCell::number(percent(*filled, table.looked_at)) },
    ]
}

/// Returns how many columns are not named, and why.
fn besides(table: &TableFill) -> Option<String> {
    let parts = [
        (table.extension_columns, "of extensions"),
        (table.unknown_columns, "of elements that FHIR does not know"),
        (table.uncounted_columns, "beyond the first 400"),
    ];
    let parts: Vec<String> = parts
        .iter()
        .filter(|(count, _)| *count > 0)
        .map(|(count, what)| format!("{} {what}", counted(*count, "column")))
        .collect();
    (!parts.is_empty()).then(|| {
        format!(
            "Besides: {}, whose names may follow from data; the command below names them.",
            parts.join(", ")
        )
    })
}
