//! What the checks of data quality found.

use pipeline::quality::describe;
use pipeline::report::{DatabaseReport, ReportedFinding};

use super::page::{PageBlock, PageCell, PageTable, headers};
use super::words::{grouped, percent, plain};

/// Findings that are listed.
const LISTED: usize = 200;

/// Returns the findings with their words.
pub(super) fn blocks(report: &DatabaseReport) -> Vec<PageBlock> {
    if report.findings.is_empty() {
        return vec![PageBlock::Paragraph("The checks of the data found nothing.".to_owned())];
    }
    let more = report.findings.len().saturating_sub(LISTED);
    let table = PageTable {
        caption: "What is probably wrong in the tables and in the ledger".to_owned(),
        headers: headers(&["What", "Where", "How often#", "What to do"]),
        rows: report.findings.iter().take(LISTED).map(row).collect(),
        is_stacked: true,
        remark: (more > 0).then(|| format!("And {} more.", grouped(more as u64))),
    };
    vec![PageBlock::Table(table)]
}

fn row(finding: &ReportedFinding) -> Vec<PageCell> {
    let ReportedFinding { check, table, column, count, of, detail } = finding;
    let words = describe(check);
    let title = words.map_or(*check, |words| words.title);
    let place = if column.is_empty() { table.clone() } else { format!("{table}: {column}") };
    let share = format!("of {} ({})", grouped(*of), percent(*count, *of));
    vec![
        PageCell::text(title).with_detail(words.map(|words| plain(words.meaning))),
        PageCell::code(place).with_detail(detail.clone()),
        PageCell::number(grouped(*count)).with_detail(Some(share)),
        PageCell::text(words.map_or_else(|| "–".to_owned(), |words| plain(words.remedy))),
    ]
}
