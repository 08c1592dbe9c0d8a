//! Typed columns: every cell of every row has its column's type, and the types follow from FHIR's element tables.

#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    missing_docs,
    reason = "a test stops where something is wrong"
)]

#[cfg(feature = "corpus")]
#[path = "corpus/mod.rs"]
mod corpus;
#[path = "lossless/mutate.rs"]
mod mutate;

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use flatten::automatic::{Arrays, Settings};
use flatten::catalog::{Catalog, CatalogFlattener, Choices, Flattened, Tables};
use flatten::column_type::ColumnType;
use flatten::decimals::Decimals;
use flatten::json::{Limits, Tape};
use flatten::links::Links;
use flatten::resource::Resource;
use flatten::row::{Cells, ITEM, NameList, Rows, Value};

/// The types of columns by table and name.
type Types = BTreeMap<String, ColumnType>;

/// Checks the cells of rows against the types of their columns.
struct Check<'a> {
    names: &'a NameList,
    types: &'a Types,
    cells: usize,
    wrong: BTreeMap<String, String>,
}

impl Check<'_> {
    fn cells(&mut self, place: &str, separator: &str, cells: Cells<'_>) {
        for (column, value) in cells.filter(|(column, _)| *column != ITEM) {
            let name = format!("{place}{separator}{}", self.names.column(column));
            self.cell(&name, value);
            self.inside(&name, value);
        }
    }

    fn cell(&mut self, name: &str, value: Value<'_>) {
        self.cells += 1;
        let is_filled = !matches!(value, Value::Null | Value::Pending(_) | Value::PendingOrNull(_));
        let Some(column_type) = self.types.get(name) else {
            // An empty value, or a list of them, fills no column.
            if is_filled && !is_empty(value) {
                self.wrong.insert(name.to_owned(), "a cell without a type".to_owned());
            }
            return;
        };
        if !column_type.accepts(value) {
            let shown: String = show(value).chars().take(90).collect();
            self.wrong.insert(name.to_owned(), format!("{column_type}: {shown}"));
        }
    }

    /// Checks the records of a list, which have columns of their own.
    fn inside(&mut self, name: &str, value: Value<'_>) {
        match value {
            Value::Record(cells) => self.cells(name, ".", cells),
            Value::List(items) => items.for_each(|(_, item)| self.inside(name, item)),
            _ => {}
        }
    }
}

fn is_empty(value: Value<'_>) -> bool {
    match value {
        Value::Null => true,
        Value::List(mut items) => items.all(|(_, item)| is_empty(item)),
        _ => false,
    }
}

fn show(value: Value<'_>) -> String {
    match value {
        Value::List(items) => format!("{:?}", items.map(|(_, item)| show(item)).collect::<Vec<_>>()),
        Value::Record(_) => "a record".to_owned(),
        value => format!("{value:?}"),
    }
}

fn catalog(settings: Settings) -> Arc<Catalog> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../views");
    let mut views = Vec::new();
    for path in fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()) {
        if path.extension().is_some_and(|extension| extension == "json") {
            views.push((path.display().to_string(), fs::read_to_string(&path).unwrap()));
        }
    }
    assert!(views.len() > 5);
    let choices = Choices { automatic: settings, views, tables: Tables::Both, ..Choices::default() };
    Arc::new(Catalog::compile(choices).unwrap())
}

/// Flattens resources and checks their cells. Returns how many cells there were.
fn check(settings: &Settings, texts: impl Iterator<Item = Vec<u8>>) -> usize {
    let catalog = catalog(settings.clone());
    let (mut cells, mut wrong) = (0, BTreeMap::new());
    for text in texts {
        let (mut tape, mut rows) = (Tape::default(), Rows::default());
        let Ok(document) = tape.parse(&text, Limits::default()) else { continue };
        let Ok(resource) = Resource::read(document.root()) else { continue };
        let mut flattener = CatalogFlattener::new(Arc::clone(&catalog));
        let key = resource.key(None, None);
        let outcome = flattener.flatten(&resource, &key, &Links::default(), &mut rows);
        // Why a resource is a reject is told elsewhere.
        if !matches!(outcome, Ok(Flattened::Rows(_))) {
            flattener.recycle();
            continue;
        }
        flattener.count(&rows);
        let names = flattener.names();
        let dictionary = flattener.take_dictionary();
        let types = dictionary
            .columns()
            .map(|column| (format!("{}/{}", column.table, column.name), column.meaning.column_type));
        let types = types.collect();
        let mut check = Check { names: &names, types: &types, cells: 0, wrong: BTreeMap::new() };
        for row in rows.iter() {
            check.cells(names.table(row.table()), "/", row.cells());
        }
        cells += check.cells;
        wrong.append(&mut check.wrong);
        flattener.recycle();
    }
    let shown: Vec<String> = wrong.iter().map(|(name, why)| format!("{name}: {why}")).collect();
    assert!(
        wrong.is_empty(),
        "of {cells} cells, {} columns hold other types:\n{}",
        wrong.len(),
        shown.join("\n")
    );
    cells
}

fn all_settings() -> Vec<Settings> {
    let arrays = [Arrays::Embedded, Arrays::Tables];
    let both = arrays.into_iter().flat_map(|arrays| {
        [Decimals::Exact, Decimals::Double].map(|decimals| Settings {
            arrays,
            decimals,
            ..Settings::default()
        })
    });
    both.collect()
}

fn files(folder: &Path, found: &mut Vec<PathBuf>) {
    for path in fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()) {
        if path.is_dir() {
            files(&path, found);
        } else if path.extension().is_some_and(|extension| extension == "json" || extension == "ndjson") {
            found.push(path);
        }
    }
}

/// Returns the resources of files; those of Bundles one by one.
fn resources(folders: &[PathBuf]) -> impl Iterator<Item = Vec<u8>> {
    let mut paths = Vec::new();
    for folder in folders {
        files(folder, &mut paths);
    }
    paths.into_iter().flat_map(|path| {
        let text = fs::read_to_string(&path).unwrap_or_default();
        let texts = if path.extension().is_some_and(|extension| extension == "ndjson") {
            text.lines().map(str::to_owned).collect()
        } else {
            vec![text]
        };
        texts.into_iter().flat_map(|text| parts(text.trim_start_matches('\u{feff}')))
    })
}

/// Returns a resource, and the resources in it if it is a Bundle.
fn parts(text: &str) -> Vec<Vec<u8>> {
    let mut tape = Tape::default();
    let Ok(document) = tape.parse(text.as_bytes(), Limits::default()) else { return Vec::new() };
    let entries =
        document.root().get("entry").into_iter().flat_map(|entry| entry.items().collect::<Vec<_>>());
    let inner = entries.filter_map(|entry| entry.get("resource")).map(|node| node.raw().as_bytes().to_vec());
    inner.chain([text.as_bytes().to_vec()]).collect()
}

/// Returns the project's own cases and samples.
fn own() -> [PathBuf; 2] {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    [root.join("tests/cases/automatic"), root.join("../../samples")]
}

#[test]
fn every_cell_has_its_columns_type() {
    for settings in all_settings() {
        let cells = check(&settings, resources(&own()));
        assert!(cells > 2_000, "{cells}");
    }
}

#[test]
fn every_cell_of_mutated_resources_has_its_columns_type() {
    let bases = mutate::bases();
    for settings in all_settings() {
        let cells =
            check(&settings, (1..1_500).map(|seed| mutate::resource(&bases, seed).to_string().into_bytes()));
        assert!(cells > 20_000, "{cells}");
    }
}

#[cfg(feature = "corpus")]
#[test]
fn every_cell_of_public_samples_has_its_columns_type() {
    for settings in [Settings::default(), Settings { arrays: Arrays::Tables, ..Settings::default() }] {
        let cells = check(&settings, resources(&[corpus::public_samples()]));
        assert!(cells > 100_000, "{cells}");
    }
}

/// Returns what HL7's own tables say of the primitives of resources, by resource and element: datatype and whether it
/// repeats, the newest published release first and R6 last.
#[cfg(feature = "corpus")]
fn primitives_by_hl7() -> BTreeMap<(String, String), Vec<(String, bool)>> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/fhir/model");
    let mut all: BTreeMap<(String, String), Vec<(String, bool)>> = BTreeMap::new();
    for release in ["R5", "R4B", "R4", "STU3", "DSTU2", "R6"] {
        let table = fs::read_to_string(folder.join(format!("elements-{release}.tsv"))).unwrap();
        for line in table.lines().skip(1) {
            let fields: Vec<&str> = line.split('\t').collect();
            let key = (fields[0].to_owned(), fields[1].to_owned());
            all.entry(key).or_default().push((fields[2].to_owned(), fields[3] == "*"));
        }
    }
    all.retain(|_, uses| {
        uses.iter().all(|(datatype, _)| datatype.starts_with(|c: char| c.is_ascii_lowercase()))
    });
    all
}

/// Returns a value of a primitive datatype as JSON, and the type of its column.
#[cfg(feature = "corpus")]
fn sample(datatype: &str) -> (&'static str, &'static str) {
    match datatype {
        "boolean" => ("true", "boolean"),
        "integer" | "positiveInt" | "unsignedInt" => ("7", "integer"),
        "integer64" => ("\"7\"", "long"),
        "decimal" => ("1.50", "decimal"),
        "base64Binary" => ("\"AAAA\"", "binary"),
        "date" | "dateTime" | "instant" => ("\"2026-01-05T10:00:00Z\"", "text"),
        _ => ("\"x\"", "text"),
    }
}

/// Returns the type where releases disagree: numbers are of the type that holds all, anything else is text.
#[cfg(feature = "corpus")]
fn expected(uses: &[(String, bool)]) -> String {
    let mut words: Vec<&str> = uses.iter().map(|(datatype, _)| sample(datatype).1).collect();
    words.sort_unstable();
    words.dedup();
    let word = match words.as_slice() {
        [only] => only,
        ["integer", "long"] => "long",
        ["decimal", "integer"] => "decimal",
        _ => "text",
    };
    format!("{word}{}", if uses[0].1 { "[]" } else { "" })
}

/// Flattens a resource for each primitive of each resource type, and compares the type of its column with HL7's tables,
/// which this test reads itself.
#[cfg(feature = "corpus")]
#[test]
fn the_types_of_columns_are_those_of_hl7s_tables() {
    let mut members: BTreeMap<String, Vec<(String, String, String)>> = BTreeMap::new();
    for ((resource_type, element), uses) in primitives_by_hl7() {
        let is_resource = flatten::model::is_resource_type(&resource_type) && element != "id";
        if is_resource {
            let (value, many) = (sample(&uses[0].0).0, uses[0].1);
            let value = if many { format!("[{value}]") } else { value.to_owned() };
            members.entry(resource_type).or_default().push((element, value, expected(&uses)));
        }
    }
    let mut compared = 0;
    let catalog = Arc::new(Catalog::default());
    for (resource_type, members) in members {
        // One element a resource: those of several releases may not stand together.
        for (element, value, expected) in members {
            let text = format!("{{\"resourceType\":\"{resource_type}\",\"id\":\"x\",\"{element}\":{value}}}");
            let (mut tape, mut rows) = (Tape::default(), Rows::default());
            let document = tape.parse(text.as_bytes(), Limits::default()).unwrap();
            let resource = Resource::read(document.root()).unwrap();
            let mut flattener = CatalogFlattener::new(Arc::clone(&catalog));
            let key = resource.key(None, None);
            let outcome = flattener.flatten(&resource, &key, &Links::default(), &mut rows);
            assert!(matches!(outcome, Ok(Flattened::Rows(_))), "{outcome:?} {text}");
            flattener.count(&rows);
            let columns = flattener.take_dictionary();
            let mut own =
                columns.columns().filter(|column| column.table == resource_type && column.name == element);
            let found = own.next().map(|column| column.meaning.column_type.to_string());
            assert_eq!(found, Some(expected), "{text}");
            flattener.recycle();
            compared += 1;
        }
    }
    assert!(compared > 1_500, "{compared}");
}
