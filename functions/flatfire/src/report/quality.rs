//! What the checks of data quality found.

use pipeline::quality::{QualityFinding, describe};
use pipeline::report::DatabaseReport;

use super::page::{PageBlock, PageCell, PageTable, headers};
use super::words::{grouped, percent, plain};

/// Findings that are listed.
const LISTED: usize = 200;

/// Returns the findings with their words.
pub(super) fn blocks(report: &DatabaseReport) -> Vec<PageBlock> {
    unfinished(&report.unchecked).into_iter().chain(found(report)).collect()
}

/// Names the tables that were not checked to the end.
fn unfinished(tables: &[String]) -> Option<PageBlock> {
    (!tables.is_empty()).then(|| {
        let tables = tables.join(", ");
        PageBlock::Paragraph(format!(
            "These tables were not checked to the end in the time that a report has for it: {tables}. The command \
             flatfire quality takes as long as it needs."
        ))
    })
}

fn found(report: &DatabaseReport) -> Vec<PageBlock> {
    if report.findings.is_empty() {
        let which = if report.unchecked.is_empty() { "The checks" } else { "The checks that were done" };
        return vec![PageBlock::Paragraph(format!("{which} found nothing."))];
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

fn row(finding: &QualityFinding) -> Vec<PageCell> {
    let QualityFinding { check, table, column, count, of, detail } = finding;
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

#[cfg(test)]
mod tests {
    use super::unfinished;
    use crate::report::page::PageBlock;

    #[test]
    fn tables_that_are_not_checked_to_the_end_are_named() {
        assert!(unfinished(&[]).is_none());
        let tables = ["Condition".to_owned(), "Observation".to_owned()];
        let Some(PageBlock::Paragraph(text)) = unfinished(&tables) else { panic!("no paragraph") };
        assert!(text.contains("Condition, Observation"), "{text}");
    }
}
