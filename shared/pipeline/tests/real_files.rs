//! Real files through the whole pipeline: every record has one fate, what is rejected is broken, and every leaf of the JSON
//! stands in a document that would be written, as BSON holds it.
//!
//! The project's own samples and the resources of its cases are always there; the feature `corpus` adds public samples.

#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::panic,
    missing_docs,
    reason = "a test stops where something is wrong"
)]

#[cfg(feature = "corpus")]
#[path = "common/corpus.rs"]
mod corpus;

use std::collections::{BTreeMap, BTreeSet};
use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use bson::{Bson, Document};
use flatten::catalog::{Catalog, Choices, Tables};
use flatten::json::{JsonKind, Limits, Node, Tape};
use mongodb_store::simulation::{SimulatedMongo, State};
use pipeline::load::{Pipeline, PipelineLimits, ReadOutcome};
use pipeline::object::{ObjectRef, Pin};
use pipeline::source::Storage;
use pipeline::summary::Summary;

/// What is broken in the public samples, by the code of the reject:
///
/// - nine ids that are no FHIR ids and could be no key, and five resources of a type `Resource-1`;
/// - nine texts that are no JSON: commas and brackets missing, a raw line break in a string, a name twice, no JSON at
///   all;
/// - ninety JSON documents without a `resourceType`: npm packages, indexes and snippets among the resources;
/// - two observations with a string as their narrative;
/// - eight DELETE entries by search (`Patient?identifier=…`), which name no resource: what they delete only a server
///   knows;
/// - three PATCH entries of HL7's own examples: what they change is not applied.
#[cfg(feature = "corpus")]
const BROKEN: [(&str, u64); 10] = [
    ("control-character", 1),
    ("duplicate-name", 1),
    ("invalid-id", 9),
    ("invalid-json", 6),
    ("invalid-resource-type", 5),
    ("not-a-resource", 90),
    ("not-json", 1),
    ("object-expected", 2),
    ("patch-not-applied", 3),
    ("unresolvable-deletion", 8),
];

async fn load(path: &Path, catalog: &Arc<Catalog>) -> (State, Summary) {
    let store = Arc::new(SimulatedMongo::default());
    let (storage, catalog) = (Storage::File(path.to_owned()), Arc::clone(catalog));
    let pipeline = Pipeline { storage, catalog, store: store.clone(), limits: PipelineLimits::default() };
    let (bucket, key) = ("file".to_owned(), path.display().to_string());
    let object = ObjectRef { bucket, key, pin: Pin::Latest, sequencer: None, created: 0, size: None };
    let read = pipeline.run(&Arc::new(object), None, None, &|_| {}).await.unwrap();
    let ReadOutcome::Whole(summary) = read else { panic!("{read:?}") };
    (store.state(), summary)
}

/// The values of all documents, as text: numbers by their digits and exponent, moments behind an `@`.
#[derive(Default)]
struct Values {
    values: BTreeSet<String>,
    /// Texts that hold several values: labels, unknown elements, archived resources.
    texts: Vec<String>,
}

impl Values {
    fn of(state: &State) -> Self {
        let mut values = Self::default();
        for collection in state.tables.values().chain(state.archive.values()) {
            for document in collection.values() {
                values.add_document(document);
            }
        }
        values
    }

    fn add_document(&mut self, document: &Document) {
        for (name, value) in document {
            match value {
                Bson::String(text) if name == "json" || name == "_unknown" => self.add_json(text),
                _ if ["_source", "_load", "_version", "_received"].contains(&name.as_str()) => {}
                value => self.add(value),
            }
        }
    }

    fn add(&mut self, value: &Bson) {
        let text = match value {
            Bson::Document(document) => return self.add_document(document),
            Bson::Array(items) => return items.iter().for_each(|item| self.add(item)),
            Bson::String(text) => {
                if let Some((system, code)) = text.split_once('|') {
                    self.values.extend([system.to_owned(), code.to_owned()]);
                }
                if text.starts_with(['{', '[']) {
                    self.add_json(text);
                }
                // Codes of a number stand as text.
                self.values.extend(number(text));
                text.clone()
            }
            Bson::Boolean(truth) => truth.to_string(),
            Bson::Int32(integer) => number(&integer.to_string()).unwrap(),
            Bson::Int64(integer) => number(&integer.to_string()).unwrap(),
            Bson::Decimal128(decimal) => match number(&decimal.to_string()) {
                Some(number) => number,
                None => return,
            },
            Bson::DateTime(moment) => format!("@{}", moment.timestamp_millis()),
            Bson::Null => return,
            other => panic!("no row has {:?}", other.element_type()),
        };
        self.values.insert(text);
    }

    /// Adds a text that is JSON, or several of them.
    fn add_json(&mut self, text: &str) {
        let mut tape = Tape::default();
        match tape.parse(text.as_bytes(), Limits { depth: 128, bytes: u32::MAX as usize, values: usize::MAX })
        {
            Ok(document) => self.add_node(document.root()),
            Err(_) => self.texts.push(text.to_owned()),
        }
    }

    fn add_node(&mut self, node: Node<'_>) {
        node.members().for_each(|(_, value)| self.add_node(value));
        node.items().for_each(|item| self.add_node(item));
        if let Some(text) = leaf(node) {
            self.values.insert(text);
        }
    }

    fn has(&self, node: Node<'_>) -> bool {
        let Some(text) = leaf(node) else { return true };
        self.values.contains(&text)
            // R5 writes its long integers as texts.
            || number(&text).is_some_and(|number| self.values.contains(&number))
            || self.texts.iter().any(|texts| texts.contains(node.quoted()))
    }
}

/// Returns a leaf that says something, as [`Values`] holds it.
fn leaf(node: Node<'_>) -> Option<String> {
    match node.kind() {
        JsonKind::Object | JsonKind::Array | JsonKind::Null => None,
        JsonKind::String => node.text().map(std::borrow::Cow::into_owned),
        JsonKind::Number => Some(number(node.raw()).unwrap()),
        _ => Some(node.raw().to_owned()),
    }
}

/// Returns a number by its significant digits and its exponent, so that `1E3`, `1000` and `1.0E+3` are the same;
/// precision is what other tests look at.
fn number(text: &str) -> Option<String> {
    let (mantissa, exponent) =
        text.split_once(['e', 'E']).map_or((text, "0"), |(mantissa, rest)| (mantissa, rest));
    let exponent: i64 = exponent.strip_prefix('+').unwrap_or(exponent).parse().ok()?;
    let (sign, digits) = mantissa.strip_prefix('-').map_or(("", mantissa), |digits| ("-", digits));
    let (whole, fraction) = digits.split_once('.').unwrap_or((digits, ""));
    let all = format!("{whole}{fraction}");
    if all.is_empty() || !all.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let digits = all.trim_start_matches('0');
    let kept = digits.trim_end_matches('0');
    if kept.is_empty() {
        return Some("0e0".to_owned());
    }
    let exponent =
        exponent - i64::try_from(fraction.len()).ok()? + i64::try_from(digits.len() - kept.len()).ok()?;
    Some(format!("{sign}{kept}e{exponent}"))
}

/// Where a node stands, as far as the list of what is left out on purpose asks.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Around {
    Resource,
    Entry,
    Narrative,
    Extension,
    Other,
}

/// Looks for every leaf; those that are not found are told by their names.
fn look(node: Node<'_>, around: Around, path: &str, values: &Values, lost: &mut BTreeMap<String, u64>) {
    let is_bundle = node.get("resourceType").is_some_and(|name| name.is("Bundle"));
    for (key, value) in node.members() {
        let name = key.text().unwrap();
        let inside = match (around, &*name) {
            // What an entry says around its resource is not the resource's.
            (Around::Entry, name) if !["resource", "response"].contains(&name) => continue,
            // The table says it, or the column.
            (_, "resourceType") | (Around::Extension, "url") | (Around::Narrative, "div") => continue,
            (Around::Entry, "response") => {
                if let Some(outcome) = value.get("outcome") {
                    look(outcome, Around::Resource, path, values, lost);
                }
                continue;
            }
            (_, "text") if value.get("div").is_some() => Around::Narrative,
            (_, "entry") if is_bundle => Around::Entry,
            (_, "contained" | "resource") => Around::Resource,
            (_, "extension" | "modifierExtension") => Around::Extension,
            _ => Around::Other,
        };
        look(value, inside, &format!("{path}.{name}"), values, lost);
    }
    node.items().for_each(|item| look(item, around, path, values, lost));
    let is_large = node.raw().len() > 256 << 10;
    if !is_large && !values.has(node) {
        *lost.entry(path.to_owned()).or_default() += 1;
    }
}

fn bytes_of(path: &Path) -> Vec<u8> {
    let bytes = std::fs::read(path).unwrap();
    if !bytes.starts_with(&[0x1f, 0x8b]) {
        return bytes;
    }
    let mut inflated = Vec::new();
    flate2::read::MultiGzDecoder::new(bytes.as_slice()).read_to_end(&mut inflated).unwrap();
    inflated
}

fn files(folders: &[PathBuf]) -> Vec<PathBuf> {
    let (mut folders, mut files) = (folders.to_vec(), Vec::new());
    while let Some(folder) = folders.pop() {
        for path in std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()) {
            let name = path.display().to_string();
            if path.is_dir() {
                folders.push(path);
            } else if name.ends_with("/rows.json") || name.ends_with("/settings.json") {
                // What a case expects, and how it is set up.
            } else if [".json", ".ndjson", ".gz"].iter().any(|end| name.ends_with(end)) {
                files.push(path);
            }
        }
    }
    files.sort();
    files
}

#[tokio::test]
async fn own_files_add_up() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let total = add_up(&[root.join("samples")]).await;
    let codes: Vec<_> = total.codes.iter().map(|(code, count)| (code.as_str(), *count)).collect();
    assert_eq!(codes, [("truncated", 1)], "{total:#?}");
    // Some cases are defects on purpose, and say so themselves.
    let total = add_up(&[root.join("shared/flatten/tests/cases/automatic")]).await;
    assert!(total.loaded > 150 && total.rejected < 20, "{total:#?}");
}

#[cfg(feature = "corpus")]
#[tokio::test]
async fn public_files_add_up() {
    let total = add_up(&[corpus::public_samples()]).await;
    assert!(total.records > 50_000, "{total:#?}");
    let codes: Vec<_> = total.codes.iter().map(|(code, count)| (code.as_str(), *count)).collect();
    assert_eq!((codes.as_slice(), total.archived), (&BROKEN[..], 1), "{total:#?}");
}

/// Loads every file of the folders; every record has one fate and every leaf is found again.
async fn add_up(folders: &[PathBuf]) -> Summary {
    let choices = Choices { tables: Tables::Automatic, ..Choices::default() };
    let catalog = Arc::new(Catalog::compile(choices).unwrap());
    let (mut total, mut lost, mut looked) = (Summary::default(), BTreeMap::new(), 0);
    for path in files(folders) {
        let (state, summary) = load(&path, &catalog).await;
        assert!(summary.adds_up(), "{}: {summary:?}", path.display());
        assert_eq!(summary.bytes, std::fs::metadata(&path).unwrap().len(), "{}", path.display());
        // What is not there is not looked for: rejects, and what a newer version in the same file replaced.
        if summary.rejected + summary.superseded == 0 {
            let (values, bytes) = (Values::of(&state), bytes_of(&path));
            let mut here = BTreeMap::new();
            let lines = bytes.split(|byte| *byte == b'\n');
            let texts: Vec<&[u8]> =
                if path.display().to_string().contains(".ndjson") { lines.collect() } else { vec![&bytes] };
            for text in texts.iter().filter(|text| !text.is_empty()) {
                let mut tape = Tape::default();
                let document =
                    tape.parse(text, Limits { depth: 128, bytes: u32::MAX as usize, values: usize::MAX });
                let Ok(document) = document else { continue };
                looked += 1;
                look(document.root(), Around::Resource, "", &values, &mut here);
            }
            for (leaf, count) in here {
                lost.entry(leaf).or_insert((0, path.clone())).0 += count;
            }
        }
        total += summary;
    }
    assert!(total.loaded > 0 && looked > 0, "no file was found");
    let told: Vec<String> = lost.iter().map(|(leaf, lost)| format!("{leaf} {lost:?}")).collect();
    assert!(lost.is_empty(), "these leaves are nowhere:\n{}", told.join("\n"));
    total
}

#[test]
fn numbers_are_compared_by_what_they_say() {
    for (a, b) in [("1E3", "1000"), ("-0.50", "-5e-1"), ("0.0", "0"), ("12.50", "1.25E+1")] {
        assert_eq!(number(a), number(b), "{a} {b}");
    }
    assert_ne!(
        number("1234567890123456789012345678901234567.5"),
        number("1.234567890123456789012345678901235E+36")
    );
    assert_eq!((number("Infinity"), number("a"), number("")), (None, None, None));
}
