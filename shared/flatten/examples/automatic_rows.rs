//! Prints the automatic rows of a resource: its own row, and those of its child tables.
//!
//! ```text
//! cargo run -p flatfire-flatten --example automatic_rows
//! ```

use std::io::{Write as _, stdout};

use flatten::Flattener;
use flatten::automatic::{Arrays, Settings};

const PATIENT: &[u8] = br#"{
    "resourceType": "Patient",
    "id": "p1",
    "name": [{"family": "Everywoman", "given": ["Eve", "Anna"]}],
    "birthDate": "1970-05",
    "contact": [{"relationship": [{"text": "sister"}]}]
}"#;

pub(crate) fn main() -> Result<(), Box<dyn std::error::Error>> {
    let settings = Settings { arrays: Arrays::Tables, ..Settings::default() };
    let rows = Flattener::new(settings).flatten_json(PATIENT)?;
    let mut out = stdout().lock();
    for row in &rows {
        writeln!(out, "{} {}", row.table, row.key)?;
        for (column, value) in &row.columns {
            writeln!(out, "    {column} = {value:?}")?;
        }
    }
    let tables: Vec<&str> = rows.iter().map(|row| row.table.as_str()).collect();
    assert_eq!(tables, ["Patient", "Patient_name", "Patient_contact", "Patient_contact_relationship"]);
    Ok(())
}
