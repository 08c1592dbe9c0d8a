//! Snapshot cases of automatic rows: a folder a case, `resource.json` in, `rows.json` out.
//!
//! A new case is a new folder with a `resource.json`. Running the test with `UPDATE_CASES=1` writes `rows.json`;
//! read it before committing it.

#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    missing_docs,
    reason = "a test stops where something is wrong"
)]

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use flatten::automatic::{Arrays, Automatic, Settings};
use flatten::decimals::Decimals;
use flatten::fhirpath::Context;
use flatten::json::{Limits, Tape};
use flatten::model::ResourceTypes;
use flatten::resource::Resource;
use flatten::row::{Cells, NameList, Names, Row, Rows, Value};
use flatten::time::rfc3339;
use serde_json::{Map, Value as Json, json};

fn rows_of(text: &[u8], settings: Settings) -> Json {
    let (mut tape, mut names, mut rows) = (Tape::default(), Names::default(), Rows::default());
    let document = tape.parse(text, Limits::default()).unwrap();
    let resource = Resource::read(document.root()).unwrap();
    let key = resource.key(None, None);
    let outcome = Automatic::new(settings).flatten(&resource, &Context::of(&key), &mut names, &mut rows);
    match outcome {
        Ok(()) => Json::Array(rows.iter().map(|row| row_json(&names.list(), row)).collect()),
        Err(defect) => json!({"defect": defect.code.as_str(), "path": defect.path, "offset": defect.offset}),
    }
}

fn row_json(names: &NameList, row: Row<'_>) -> Json {
    let mut object = Map::new();
    object.insert("_table".into(), names.table(row.table()).into());
    object.insert("_id".into(), row.key().into());
    object.extend(record(names, row.cells()));
    Json::Object(object)
}

fn record(names: &NameList, cells: Cells<'_>) -> Map<String, Json> {
    let mut object = Map::new();
    for (column, value) in cells {
        let name = names.column(column).to_owned();
        assert!(!object.contains_key(&name), "two cells of one row are called {name}");
        object.insert(name, cell(names, value));
    }
    object
}

fn cell(names: &NameList, value: Value<'_>) -> Json {
    match value {
        Value::Null => Json::Null,
        Value::Boolean(truth) => truth.into(),
        Value::Integer(number) => number.into(),
        Value::Long(number) => json!({"$numberLong": number.to_string()}),
        Value::Decimal(digits) => json!({"$numberDecimal": digits}),
        Value::Double(number) => json!({"$numberDouble": format!("{number:?}")}),
        Value::Text(text) => text.into(),
        Value::Instant(milliseconds) => json!({"$date": rfc3339(milliseconds)}),
        Value::Pending(urn) | Value::PendingOrNull(urn) => json!({"$pending": urn}),
        Value::List(cells) => cells.map(|(_, value)| cell(names, value)).collect(),
        Value::Record(cells) => Json::Object(record(names, cells)),
    }
}

fn settings_of(folder: &Path) -> Settings {
    let Ok(text) = fs::read_to_string(folder.join("settings.json")) else { return Settings::default() };
    let given: Json = serde_json::from_str(&text).unwrap();
    let arrays = if given["arrays"] == "tables" { Arrays::Tables } else { Arrays::Embedded };
    let names = given["extension_names"].as_object().cloned().unwrap_or_default();
    let extension_names =
        names.into_iter().map(|(url, name)| (url, name.as_str().unwrap().to_owned())).collect();
    let inline_binary_bytes =
        given["inline_binary_bytes"].as_u64().map_or(256 << 10, |bytes| usize::try_from(bytes).unwrap());
    let narrative = given["narrative"] == true;
    let resource_types = ResourceTypes::read(given["resource_types"].as_str().unwrap_or_default());
    let decimals = if given["decimals"] == "double" { Decimals::Double } else { Decimals::Exact };
    Settings { arrays, decimals, narrative, extension_names, inline_binary_bytes, resource_types }
}

#[test]
fn every_case_gives_its_rows() {
    let cases = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/cases/automatic");
    #[expect(clippy::disallowed_methods, reason = "how a developer asks for new snapshots")]
    let update = std::env::var_os("UPDATE_CASES").is_some();
    let mut wrong = Vec::new();
    let mut folders: Vec<_> = fs::read_dir(cases).unwrap().map(|entry| entry.unwrap().path()).collect();
    folders.sort();
    assert!(folders.len() >= 2, "the cases are missing");
    for folder in folders {
        let rows = rows_of(&fs::read(folder.join("resource.json")).unwrap(), settings_of(&folder));
        let expected = folder.join("rows.json");
        if update {
            fs::write(&expected, serde_json::to_string_pretty(&rows).unwrap() + "\n").unwrap();
        }
        let text = fs::read_to_string(&expected).unwrap_or_default();
        // Compared as text: the order of columns is part of the promise.
        if text.trim_end() != serde_json::to_string_pretty(&rows).unwrap() {
            wrong.push(format!("{}:\n{}", folder.display(), serde_json::to_string_pretty(&rows).unwrap()));
        }
    }
    assert!(wrong.is_empty(), "{} cases differ:\n{}", wrong.len(), wrong.join("\n"));
}

#[test]
fn no_table_has_two_rows_of_one_key() {
    let cases = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/cases/automatic");
    for folder in fs::read_dir(cases).unwrap().map(|entry| entry.unwrap().path()) {
        let settings = Settings { arrays: Arrays::Tables, ..settings_of(&folder) };
        let rows = rows_of(&fs::read(folder.join("resource.json")).unwrap(), settings);
        let mut keys = BTreeSet::new();
        for row in rows.as_array().into_iter().flatten() {
            let (table, key) = (row["_table"].to_string(), row["_id"].to_string());
            assert!(keys.insert((table.clone(), key.clone())), "{}: {key} of {table}", folder.display());
        }
    }
}
