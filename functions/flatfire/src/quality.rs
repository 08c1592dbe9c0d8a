//! `flatfire quality`: what is probably wrong in the tables and in the ledger.

use clap::Args;
use comfy_table::CellAlignment;
use indicatif::HumanCount;
use pipeline::quality::{QualityFinding, QualityProgress, check_quality, describe};
use serde_json::{Value, json};

use crate::console;
use crate::outcome::Outcome;
use crate::progress::spinner;
use crate::settings::Destination;

/// Count what is probably wrong in the tables and in the ledger.
#[derive(Debug, Args)]
#[command(after_help = NOTES)]
pub(crate) struct QualityArguments {
    #[command(flatten)]
    destination: Destination,
    /// Print JSON, an object a line: one for each finding
    #[arg(long)]
    json: bool,
}

const NOTES: &str = "\
Every check reads whole tables; the database does the counting. No finding has a value of a patient. `docs/quality.md` has
all checks, and `flatfire explain CODE` says what to do.

Exit codes: 0 nothing was found, 2 something was found, 1 it could not be counted.";

/// Counts and prints.
pub(crate) async fn run(arguments: QualityArguments) -> anyhow::Result<Outcome> {
    let store = arguments.destination.connect().await?;
    let spinner = spinner();
    let progress = |step: QualityProgress<'_>| {
        spinner.set_position(step.done as u64);
        spinner.set_message(format!("{} of {} questions  {}", step.done, step.of, step.table));
    };
    let findings = check_quality(&*store, process::milliseconds_now(), None, &progress).await;
    spinner.finish_and_clear();
    let findings = findings?.findings;
    if arguments.json {
        findings.iter().try_for_each(|finding| console::print_json(&object(finding)))?;
    } else if !findings.is_empty() {
        console::print(&table(&findings))?;
    }
    console::line(&format!("flatfire: {}", sum(&findings)));
    Ok(if findings.is_empty() { Outcome::Done } else { Outcome::Partial })
}

fn object(finding: &QualityFinding) -> Value {
    let QualityFinding { check, table, column, count, of, detail } = finding;
    let description = describe(check);
    let (title, remedy) = (description.map(|words| words.title), description.map(|words| words.remedy));
    json!({
        "check": check, "title": title, "table": table, "column": column, "count": count, "of": of,
        "detail": detail, "remedy": remedy,
    })
}

fn table(findings: &[QualityFinding]) -> String {
    let mut table = console::table();
    table.set_header(["check", "table", "column", "count", "of", "detail"]);
    for QualityFinding { check, table: name, column, count, of, detail } in findings {
        let (count, of) = (HumanCount(*count).to_string(), HumanCount(*of).to_string());
        let detail = detail.clone().unwrap_or_default();
        table.add_row([(*check).to_owned(), name.clone(), column.clone(), count, of, detail]);
    }
    for index in [3, 4] {
        if let Some(column) = table.column_mut(index) {
            column.set_cell_alignment(CellAlignment::Right);
        }
    }
    table.to_string()
}

fn sum(findings: &[QualityFinding]) -> String {
    match findings.len() {
        0 => "nothing was found".to_owned(),
        1 => "1 finding".to_owned(),
        count => format!("{count} findings"),
    }
}
