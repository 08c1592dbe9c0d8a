//! An independent oracle of the automatic rows: a second, small program that follows `docs/flattening.md` and shares no
//! code with the flattener. Both get the same resources; their rows must have the same columns with the same values.
//!
//! Not compared: the order of rows and columns, which the snapshot cases hold, and `_version`, `_source` and `_load`,
//! which the pipeline adds.

#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::print_stderr,
    missing_docs,
    reason = "a test stops where something is wrong, and says how much it compared"
)]

#[cfg(feature = "corpus")]
#[path = "../corpus/mod.rs"]
mod corpus;
mod extensions;
mod json;
mod model;
#[path = "../lossless/mutate.rs"]
mod mutate;
mod oracle;
mod resource;
mod values;
mod vary;

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use flatten::automatic::{Automatic, Settings};
use flatten::fhirpath::Context;
use flatten::json::{Limits, Tape};
use flatten::resource::Resource;
use flatten::row::{Cells, NameList, Names, Rows, Value as Cell};
use serde_json::{Value, json};

use model::Model;
use oracle::Object;

/// Larger real files are generated and repeat themselves: they are compared where `FLATFIRE_SAMPLES` is `all`.
const LARGEST_FILE: u64 = 256 << 10;

/// Rows by table and key.
type ByKey = BTreeMap<(String, String), Object>;

/// Returns the flattener's rows, or the code of the defect.
fn judged(text: &str, automatic: &mut Automatic, names: &mut Names) -> Option<Result<ByKey, String>> {
    let (mut tape, mut rows) = (Tape::default(), Rows::default());
    let document = tape.parse(text.as_bytes(), Limits::default()).ok()?;
    let made = Resource::read(document.root()).and_then(|resource| {
        automatic.flatten(&resource, &Context::of(&resource.key(None, None)), names, &mut rows)
    });
    if let Err(defect) = made {
        return Some(Err(format!("{:?} at {}", defect.code, defect.path)));
    }
    let list = names.list();
    let by_key = rows.iter().map(|row| {
        let key = (list.table(row.table()).to_owned(), row.key().to_owned());
        (key, record(&list, row.cells()))
    });
    Some(Ok(by_key.collect()))
}

fn record(names: &NameList, cells: Cells<'_>) -> Object {
    cells.map(|(column, value)| (names.column(column).to_owned(), cell(names, value))).collect()
}

fn cell(names: &NameList, value: Cell<'_>) -> Value {
    match value {
        Cell::Null => Value::Null,
        Cell::Boolean(truth) => truth.into(),
        Cell::Integer(number) => number.into(),
        Cell::Long(number) => json!({"$numberLong": number.to_string()}),
        Cell::Decimal(digits) => json!({"$numberDecimal": digits}),
        Cell::Double(number) => number.into(),
        Cell::Text(text) => text.into(),
        Cell::Instant(milliseconds) => values::date(milliseconds),
        Cell::Pending(urn) | Cell::PendingOrNull(urn) => json!({"$pending": urn}),
        Cell::List(cells) => cells.map(|(_, value)| cell(names, value)).collect(),
        Cell::Record(cells) => record(names, cells).into(),
    }
}

/// Returns what differs between the rows of both, if anything does.
fn differences(expected: Option<ByKey>, found: Result<ByKey, String>) -> Vec<String> {
    let (expected, found) = match (expected, found) {
        (None, Err(_)) => return Vec::new(),
        (None, Ok(_)) => return vec!["a defect by the rules, rows by the flattener".to_owned()],
        (Some(_), Err(defect)) => return vec![format!("rows by the rules, {defect} by the flattener")],
        (Some(expected), Ok(found)) => (expected, found),
    };
    let (mut expected, mut found) = (expected, found);
    let keys: Vec<_> = expected.keys().chain(found.keys()).cloned().collect();
    let mut differences = Vec::new();
    for (table, key) in keys {
        let row = (table.clone(), key.clone());
        let pair = (expected.remove(&row), found.remove(&row));
        let (one, other) = (pair.0.unwrap_or_default(), pair.1.unwrap_or_default());
        let columns: std::collections::BTreeSet<_> = one.keys().chain(other.keys()).collect();
        for column in columns {
            let (rules, flattener) = (one.get(column), other.get(column).map(|cell| as_json(column, cell)));
            if rules != flattener.as_ref() {
                let shown = |cell: Option<&Value>| cell.map_or("nothing".to_owned(), Value::to_string);
                differences.push(format!(
                    "{table} {key} {column}: {} by the rules, {} by the flattener",
                    shown(rules),
                    shown(flattener.as_ref())
                ));
            }
        }
    }
    differences
}

/// Returns a cell as it is compared: `_unknown` as JSON.
fn as_json(column: &str, cell: &Value) -> Value {
    let text = cell.as_str().filter(|_| column == "_unknown");
    text.and_then(json::read).unwrap_or_else(|| cell.clone())
}

struct Judge {
    model: Model,
    automatic: Automatic,
    names: Names,
    compared: u64,
    /// Those that both set aside.
    defects: u64,
    wrong: Vec<String>,
}

impl Judge {
    fn new() -> Self {
        let (automatic, names) = (Automatic::new(Settings::default()), Names::default());
        Self { model: Model::read(), automatic, names, compared: 0, defects: 0, wrong: Vec::new() }
    }

    fn compare(&mut self, label: &str, text: &str) {
        // A key can be made of the bytes: both get the same ones.
        let Some(resource) = json::read(text) else { return };
        let text = json::write(&resource);
        let Some(found) = judged(&text, &mut self.automatic, &mut self.names) else { return };
        self.compared += 1;
        let expected = resource::rows(&self.model, &resource);
        self.defects += u64::from(expected.is_none());
        let differences = differences(expected, found);
        if !differences.is_empty() {
            let text: String = text.chars().take(4000).collect();
            self.wrong.push(format!("{label}: {}\n{text}", differences.join("\n  ")));
        }
    }

    /// Asserts that at least `least` resources with rows were compared, and no row differs.
    fn finish(self, least: u64) {
        assert!(
            self.compared - self.defects >= least,
            "{} compared, {} defects",
            self.compared,
            self.defects
        );
        let count = self.wrong.len();
        let shown: Vec<String> = self.wrong.into_iter().take(20).collect();
        assert!(count == 0, "{count} of {} resources differ:\n{}", self.compared, shown.join("\n\n"));
    }
}

#[test]
fn the_cases_have_the_rows_of_the_rules() {
    let mut judge = Judge::new();
    let cases = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/cases/automatic");
    for folder in fs::read_dir(cases).unwrap().map(|entry| entry.unwrap().path()) {
        let text = fs::read_to_string(folder.join("resource.json")).unwrap();
        judge.compare(&folder.file_name().unwrap().display().to_string(), &text);
    }
    judge.finish(150);
}

#[test]
fn made_up_resources_have_the_rows_of_the_rules() {
    let mut judge = Judge::new();
    let bases = mutate::bases();
    let (first, count) = (number("FLATFIRE_SEED").unwrap_or(1), number("FLATFIRE_MUTATIONS").unwrap_or(3000));
    for seed in first..first + count {
        let plain = json::read(&mutate::resource(&bases, seed).to_string()).unwrap();
        judge.compare(&format!("seed {seed}"), &json::write(&plain));
        let mut varied = plain;
        vary::vary(&mut varied, "", &mut vary::Dice(seed));
        judge.compare(&format!("seed {seed} varied"), &json::write(&varied));
    }
    judge.finish(count + count / 2);
}

#[expect(clippy::disallowed_methods, reason = "how a developer asks for more resources, or for one seed")]
fn number(name: &str) -> Option<u64> {
    std::env::var(name).ok()?.parse().ok()
}

#[test]
fn the_projects_samples_have_the_rows_of_the_rules() {
    files_have_the_rows_of_the_rules(&Path::new(env!("CARGO_MANIFEST_DIR")).join("../../samples"), 15);
}

#[cfg(feature = "corpus")]
#[test]
fn public_samples_have_the_rows_of_the_rules() {
    files_have_the_rows_of_the_rules(&corpus::public_samples(), 5_000);
}

/// Compares the resources of a folder's files: at least `least` of them have rows.
fn files_have_the_rows_of_the_rules(folder: &Path, least: u64) {
    let mut files = Vec::new();
    find(folder, &mut files);
    let mut judge = Judge::new();
    #[expect(clippy::disallowed_methods, reason = "how a developer asks for all files")]
    let all = std::env::var("FLATFIRE_SAMPLES").is_ok_and(|which| which == "all");
    files.retain(|path| all || fs::metadata(path).unwrap().len() <= LARGEST_FILE);
    for path in files {
        let Ok(text) = fs::read_to_string(&path) else { continue };
        let is_lines = path.extension().is_some_and(|extension| extension == "ndjson");
        let texts: Vec<&str> = if is_lines { text.lines().collect() } else { vec![&text] };
        for (n, text) in texts.iter().enumerate() {
            let Some(document) = json::read(text) else { continue };
            let mut found = Vec::new();
            resources(document, &mut found);
            for resource in found {
                judge.compare(&format!("{} {n}", path.display()), &json::write(&resource));
            }
        }
    }
    eprintln!("{} resources compared", judge.compared);
    judge.finish(least);
}

fn find(folder: &Path, found: &mut Vec<PathBuf>) {
    for path in fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()) {
        if path.is_dir() {
            find(&path, found);
        } else if path.extension().is_some_and(|extension| extension == "json" || extension == "ndjson") {
            found.push(path);
        }
    }
}

/// Collects the resources of a document that are records of their own.
fn resources(value: Value, found: &mut Vec<Value>) {
    match value {
        Value::Array(items) => items.into_iter().for_each(|item| resources(item, found)),
        Value::Object(mut members) if members.get("resourceType").is_some_and(|kind| kind == "Bundle") => {
            let entries = members.shift_remove("entry").unwrap_or_default();
            for entry in json::many(&entries) {
                resources(entry["resource"].clone(), found);
            }
            found.push(members.into());
        }
        resource => found.push(resource),
    }
}
