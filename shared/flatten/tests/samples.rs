//! Automatic rows over real files: nothing but broken data is a defect, no row names a column twice, and every
//! leaf of the JSON is found again or is on the written list of what is left out.
//!
//! The project's own samples and cases are always there; the feature `corpus` adds the public samples.

#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    missing_docs,
    reason = "a test stops where something is wrong"
)]

#[cfg(feature = "corpus")]
mod corpus;

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use flatten::automatic::{Automatic, Settings};
use flatten::catalog::{Catalog, CatalogFlattener, Choices, Tables};
use flatten::fhirpath::Context;
use flatten::json::{JsonKind, Limits, Node, Tape};
use flatten::links::Links;
use flatten::resource::Resource;
use flatten::row::{Cells, NameList, Names, Rows, Value};

/// What is broken in the public samples, all of it on purpose or no FHIR at all: nine ids that are no FHIR ids,
/// five resources of a type `Resource-1`, nine texts that are no JSON, ninety JSON documents that are no resources, and
/// two observations with `text` where a narrative belongs.
#[cfg(feature = "corpus")]
const BROKEN: [(&str, usize); 5] = [
    ("invalid-id /id", 9),
    ("invalid-resource-type /resourceType", 5),
    ("json", 9),
    ("not-a-resource ", 90),
    ("object-expected /text", 2),
];

fn files(folder: &Path, found: &mut Vec<PathBuf>) {
    for path in fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()) {
        if path.is_dir() {
            files(&path, found);
        } else if path.file_name().is_some_and(|name| name == "rows.json" || name == "settings.json") {
            // What a case expects, and how it is set up.
        } else if path.extension().is_some_and(|ext| ext == "json" || ext == "ndjson") {
            found.push(path);
        }
    }
}

/// Collects the resources of a document: itself, or those of its entries, parameters and items.
fn resources<'a>(node: Node<'a>, found: &mut Vec<Node<'a>>) {
    match node.kind() {
        JsonKind::Array => node.items().for_each(|item| resources(item, found)),
        JsonKind::Object if node.get("resourceType").is_some_and(|name| name.is("Bundle")) => {
            let entries = node.get("entry").into_iter().flat_map(Node::items);
            entries.filter_map(|entry| entry.get("resource")).for_each(|resource| resources(resource, found));
        }
        JsonKind::Object => found.push(node),
        _ => {}
    }
}

fn no_column_twice(names: &NameList, cells: Cells<'_>, path: &str, twice: &mut BTreeSet<String>) {
    let mut seen = BTreeSet::new();
    for (column, value) in cells {
        let name = names.column(column);
        if !name.is_empty() && !seen.insert(name) {
            twice.insert(format!("{path}.{name}"));
        }
        if let Value::Record(inner) | Value::List(inner) = value {
            no_column_twice(names, inner, &format!("{path}.{name}"), twice);
        }
    }
}

/// Of the project's samples, one line is broken on purpose. Of its cases, some are defects on purpose, and say so
/// themselves.
#[test]
fn own_files_become_rows() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let (mut samples, mut cases) = (Vec::new(), Vec::new());
    files(&root.join("../../samples"), &mut samples);
    files(&root.join("tests/cases/automatic"), &mut cases);
    let (count, defects) = flatten_all(samples);
    assert!(count > 10, "{count} resources were read");
    let defects: Vec<(&str, usize)> =
        defects.iter().map(|(code, paths)| (code.as_str(), paths.len())).collect();
    assert_eq!(defects, [("json", 1)]);
    let (count, defects) = flatten_all(cases);
    let defects: usize = defects.values().map(Vec::len).sum();
    assert!(count > 150 && defects < 20, "{count} resources were read, {defects} are defects");
}

#[cfg(feature = "corpus")]
#[test]
fn public_files_become_rows() {
    let mut found = Vec::new();
    files(&corpus::public_samples(), &mut found);
    let (_, defects) = flatten_all(found);
    let codes: Vec<(&str, usize)> =
        defects.iter().map(|(code, paths)| (code.as_str(), paths.len())).collect();
    assert_eq!(codes, BROKEN, "{defects:#?}");
}

/// Flattens every resource of the files, and returns their number and the files of each defect. No row names a column
/// twice.
fn flatten_all(mut found: Vec<PathBuf>) -> (usize, BTreeMap<String, Vec<String>>) {
    found.sort();
    let (mut automatic, mut names) = (Automatic::new(Settings::default()), Names::default());
    let mut defects: BTreeMap<String, Vec<String>> = BTreeMap::new();
    let mut twice = BTreeSet::new();
    let mut count = 0usize;
    for path in &found {
        let bytes = fs::read(path).unwrap();
        let bytes = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(&bytes);
        let lines: Vec<&[u8]> = if path.extension().is_some_and(|ext| ext == "ndjson") {
            bytes.split(|b| *b == b'\n').collect()
        } else {
            vec![bytes]
        };
        for line in lines.into_iter().filter(|line| !line.trim_ascii().is_empty()) {
            let mut tape = Tape::default();
            let Ok(document) = tape.parse(line, Limits::default()) else {
                defects.entry("json".into()).or_default().push(path.display().to_string());
                continue;
            };
            let mut nodes = Vec::new();
            resources(document.root(), &mut nodes);
            for node in nodes {
                count += 1;
                let mut rows = Rows::default();
                let outcome = Resource::read(node).and_then(|resource| {
                    let key = resource.key(None, None);
                    automatic.flatten(&resource, &Context::of(&key), &mut names, &mut rows)
                });
                match outcome {
                    Ok(()) => rows.iter().for_each(|row| {
                        let table = names.list().table(row.table()).to_owned();
                        no_column_twice(&names.list(), row.cells(), &table, &mut twice);
                    }),
                    Err(defect) => {
                        defects
                            .entry(format!("{} {}", defect.code, defect.path))
                            .or_default()
                            .push(path.display().to_string());
                    }
                }
            }
        }
    }
    assert!(twice.is_empty(), "columns named twice in one row: {twice:#?}");
    (count, defects)
}

/// Resources of the public samples that lack what every release demands, by folder: each was looked at. HL7's own
/// examples lack nothing.
#[cfg(feature = "corpus")]
const LACKING: [(&str, usize); 7] = [
    ("bunsen", 6),
    ("cumulus-etl", 2),
    ("fhir-test-cases", 6),
    ("lantana-fhirjs", 1),
    ("mcode-fixtures", 1),
    ("microsoft-fhir-server", 4),
    ("pacio", 6),
];

#[test]
fn mandatory_elements_are_missed_only_where_they_are_missing() {
    let mut found = Vec::new();
    files(&Path::new(env!("CARGO_MANIFEST_DIR")).join("../../samples"), &mut found);
    assert_eq!(lacking_mandatory_elements(&found), Vec::<PathBuf>::new());
}

#[cfg(feature = "corpus")]
#[test]
fn mandatory_elements_of_public_files_are_missed_only_where_they_are_missing() {
    let public = corpus::public_samples();
    let mut found = Vec::new();
    files(&public, &mut found);
    let mut lacking = BTreeMap::<String, usize>::new();
    for path in lacking_mandatory_elements(&found) {
        let folder = path.strip_prefix(&public).unwrap().iter().next().unwrap();
        *lacking.entry(folder.to_str().unwrap().to_owned()).or_default() += 1;
    }
    assert_eq!(lacking.iter().map(|(folder, count)| (folder.as_str(), *count)).collect::<Vec<_>>(), LACKING);
}

/// Returns the file of each resource that has rows and lacks a mandatory element.
fn lacking_mandatory_elements(found: &[PathBuf]) -> Vec<PathBuf> {
    let choices = Choices { tables: Tables::Automatic, ..Choices::default() };
    let mut flattener = CatalogFlattener::new(Arc::new(Catalog::compile(choices).unwrap()));
    let mut lacking = Vec::new();
    for path in found {
        let bytes = fs::read(path).unwrap();
        let bytes = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(&bytes);
        let is_lines = path.extension().is_some_and(|extension| extension == "ndjson");
        for line in bytes.split(|byte| is_lines && *byte == b'\n') {
            let mut tape = Tape::default();
            let Ok(document) = tape.parse(line, Limits::default()) else { continue };
            let mut nodes = Vec::new();
            resources(document.root(), &mut nodes);
            for resource in nodes.into_iter().filter_map(|node| Resource::read(node).ok()) {
                let mut rows = Rows::default();
                let key = resource.key(None, None);
                let outcome = flattener.flatten(&resource, &key, &Links::default(), &mut rows);
                let is_lacking = flattener.findings().iter().any(|(check, _)| check == "mandatory");
                if outcome.is_ok() && is_lacking {
                    lacking.push(path.clone());
                }
            }
        }
    }
    lacking
}
