//! Prints the rows of a `ViewDefinition` (SQL on FHIR) as CSV.
//!
//! ```text
//! cargo run -p flatfire-flatten --example view
//! ```

use std::io::{Write as _, stdout};

use flatten::{CellValue, Flattener};
use serde_json::json;

const RESOURCES: [&[u8]; 2] = [
    br#"{"resourceType": "Observation", "id": "1", "status": "final", "valueQuantity": {"value": 177.50},
         "subject": {"reference": "Patient/p1"}}"#,
    br#"{"resourceType": "Observation", "id": "2", "status": "entered-in-error"}"#,
];

pub(crate) fn main() -> Result<(), Box<dyn std::error::Error>> {
    let view = json!({
        "name": "measured",
        "resource": "Observation",
        "where": [{"path": "status = 'final'"}],
        "select": [{"column": [
            {"name": "patient", "path": "subject.getReferenceKey(Patient)"},
            {"name": "value", "path": "value.ofType(Quantity).value", "type": "decimal"},
        ]}],
    });
    let mut flattener = Flattener::for_views([&view])?;
    let mut out = stdout().lock();
    let mut lines = Vec::new();
    for resource in RESOURCES {
        for row in flattener.flatten_json(resource)? {
            let cells: Vec<&str> = row.columns.iter().map(|(_, value)| text(value)).collect();
            lines.push(cells.join(","));
        }
    }
    writeln!(out, "patient,value\n{}", lines.join("\n"))?;
    assert_eq!(lines, ["Patient/p1,177.50"]);
    Ok(())
}

fn text(value: &CellValue) -> &str {
    match value {
        CellValue::Text(text) | CellValue::Decimal(text) => text,
        _ => "",
    }
}
