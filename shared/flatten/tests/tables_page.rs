//! The page `docs/tables.md` shows what really comes out: every resource on it is flattened and compared with the
//! rows that the page prints behind it.

#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    missing_docs,
    reason = "a test stops where something is wrong"
)]

use std::collections::BTreeSet;

use flatten::automatic::{Arrays, Automatic, Settings};
use flatten::fhirpath::Context;
use flatten::json::{Limits, Tape};
use flatten::resource::Resource;
use flatten::row::{Cells, NameList, Names, Rows, Value};
use flatten::time::rfc3339;

/// The ten commonest types.
const TYPES: [&str; 10] = [
    "Claim",
    "Condition",
    "DiagnosticReport",
    "Encounter",
    "ExplanationOfBenefit",
    "Immunization",
    "MedicationRequest",
    "Observation",
    "Patient",
    "Procedure",
];

/// Returns the blocks of JSON on the page, without white space between tokens and without `.000` in moments.
fn blocks(page: &str) -> Vec<String> {
    let blocks = page.split("```json\n").skip(1).filter_map(|rest| rest.split("```").next());
    blocks.map(|block| without_space(block).replace(".000Z", "Z")).collect()
}

fn without_space(text: &str) -> String {
    let (mut out, mut inside, mut escaped) = (String::new(), false, false);
    for character in text.chars().filter(|character| *character != '\n') {
        if inside || !character.is_whitespace() {
            out.push(character);
        }
        inside ^= character == '"' && !escaped;
        escaped = inside && character == '\\' && !escaped;
    }
    out
}

fn text(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}

fn record(names: &NameList, cells: Cells<'_>) -> Vec<String> {
    cells.map(|(column, value)| format!("{}:{}", text(names.column(column)), cell(names, value))).collect()
}

fn cell(names: &NameList, value: Value<'_>) -> String {
    match value {
        Value::Null => "null".to_owned(),
        Value::Boolean(truth) => truth.to_string(),
        Value::Integer(number) => number.to_string(),
        Value::Long(number) => number.to_string(),
        Value::Double(number) => format!("{number:?}"),
        Value::Decimal(digits) => digits.to_owned(),
        Value::Text(value) | Value::Pending(value) | Value::PendingOrNull(value) => text(value),
        Value::Instant(milliseconds) => text(&rfc3339(milliseconds)),
        Value::List(items) => {
            format!("[{}]", items.map(|(_, item)| cell(names, item)).collect::<Vec<_>>().join(","))
        }
        Value::Record(cells) => format!("{{{}}}", record(names, cells).join(",")),
    }
}

fn rows(resource: &str, arrays: Arrays) -> String {
    let (mut tape, mut names, mut rows) = (Tape::default(), Names::default(), Rows::default());
    let document = tape.parse(resource.as_bytes(), Limits::default()).unwrap();
    let resource = Resource::read(document.root()).unwrap();
    let mut automatic = Automatic::new(Settings { arrays, ..Settings::default() });
    automatic.flatten(&resource, &Context::of(&resource.key(None, None)), &mut names, &mut rows).unwrap();
    let names = names.list();
    let lines = rows.iter().map(|row| {
        let head = [("_table", names.table(row.table())), ("_id", row.key())];
        let head = head.into_iter().map(|(name, value)| format!("{}:{}", text(name), text(value)));
        format!("{{{}}}", head.chain(record(&names, row.cells())).collect::<Vec<_>>().join(","))
    });
    lines.collect::<String>().replace(".000Z", "Z")
}

#[test]
fn every_row_on_the_page_is_what_comes_out() {
    let page = include_str!("../../../docs/tables.md");
    let blocks = blocks(page);
    let (mut resources, mut shown): (Vec<&str>, BTreeSet<String>) = (Vec::new(), BTreeSet::new());
    for block in &blocks {
        if block.starts_with("{\"resourceType\"") {
            resources.push(block);
        } else if let Some(rest) = block.strip_prefix("{\"_table\":\"") {
            let id = rest.split("\"id\":\"").nth(1).and_then(|rest| rest.split('"').next()).unwrap();
            let resource =
                resources.iter().rev().find(|known| known.contains(&format!("\"id\":\"{id}\""))).unwrap();
            let arrays = if block.contains("\"_parent\"") { Arrays::Tables } else { Arrays::Embedded };
            assert_eq!(block, &rows(resource, arrays));
            shown.insert(rest.split('"').next().unwrap().to_owned());
        }
    }
    assert_eq!(shown.iter().map(String::as_str).collect::<Vec<_>>(), TYPES);
}
