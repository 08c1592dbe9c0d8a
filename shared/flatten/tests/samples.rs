//! Automatic rows over real files: nothing but broken data is a defect, no row names a column twice, and every
//! leaf of the JSON is found again or is on the written list of what is left out.
//!
//! The files stand beside the project where they are available; the project's own `samples/` are always there.

#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    missing_docs,
    reason = "a test stops where something is wrong"
)]

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use flatten::automatic::{Automatic, Settings};
use flatten::catalog::{Catalog, Choices, Flattener, Tables};
use flatten::json::{Kind, Limits, Node, Tape};
use flatten::links::Links;
use flatten::resource::Resource;
use flatten::row::{Cells, NameList, Names, Rows, Value};

/// What is broken in the public samples, all of it on purpose or no FHIR at all: nine ids that are no FHIR ids,
/// five resources of a type `Resource-1`, nine texts that are no JSON, ninety JSON documents that are no resources, and
/// two observations with `text` where a narrative belongs.
const BROKEN: [(&str, usize); 5] = [
    ("invalid-id /id", 9),
    ("invalid-resource-type /resourceType", 5),
    ("json", 9),
    ("not-a-resource ", 90),
    ("object-expected /text", 2),
];

fn files(folder: &Path, found: &mut Vec<PathBuf>) {
    let Ok(entries) = fs::read_dir(folder) else { return };
    for path in entries.map(|entry| entry.unwrap().path()) {
        if path.is_dir() {
            files(&path, found);
        } else if path.extension().is_some_and(|ext| ext == "json" || ext == "ndjson") {
            found.push(path);
        }
    }
}

/// The resources of a document: itself, or those of its entries, parameters and items.
fn resources<'a>(node: Node<'a>, found: &mut Vec<Node<'a>>) {
    match node.kind() {
        Kind::Array => node.items().for_each(|item| resources(item, found)),
        Kind::Object if node.get("resourceType").is_some_and(|name| name.is("Bundle")) => {
            let entries = node.get("entry").into_iter().flat_map(Node::items);
            entries.filter_map(|entry| entry.get("resource")).for_each(|resource| resources(resource, found));
        }
        Kind::Object => found.push(node),
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

#[test]
fn real_files_become_rows() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let mut found = Vec::new();
    files(&root.join("samples"), &mut found);
    files(&root.join("../shared/fhir/samples"), &mut found);
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
                    automatic.flatten(&resource, &key, &Links::default(), &mut names, &mut rows)
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
    assert!(count > 0, "no resource was read");
    assert!(twice.is_empty(), "columns named twice in one row: {twice:#?}");
    let public = root.join("../shared/fhir/samples");
    let counted = |paths: &Vec<String>, is_public: bool| {
        paths.iter().filter(|path| Path::new(path).starts_with(&public) == is_public).count()
    };
    let own: usize = defects.values().map(|paths| counted(paths, false)).sum();
    assert!(own <= 1, "one line of the project's samples is broken, not more: {defects:#?}");
    if public.exists() {
        let codes: BTreeMap<&str, usize> = defects
            .iter()
            .map(|(code, paths)| (code.as_str(), counted(paths, true)))
            .filter(|(_, count)| *count > 0)
            .collect();
        assert_eq!(codes, BTreeMap::from(BROKEN), "defects of the public samples: {defects:#?}");
    }
}

/// Resources of the public samples that lack what every release demands, by folder: each was looked at. HL7's own
/// examples lack nothing.
const LACKING: [(&str, usize); 8] = [
    ("bunsen", 6),
    ("cumulus-etl", 2),
    ("fhir-test-cases", 6),
    ("lantana-fhirjs", 1),
    ("mcode-fixtures", 1),
    ("microsoft-fhir-server", 4),
    ("pacio", 6),
    ("samples", 0),
];

#[test]
fn mandatory_elements_are_missed_only_where_they_are_missing() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let public = root.join("../shared/fhir/samples");
    let mut found = Vec::new();
    files(&root.join("samples"), &mut found);
    files(&public, &mut found);
    let choices = Choices { tables: Tables::Automatic, ..Choices::default() };
    let mut flattener = Flattener::new(Arc::new(Catalog::compile(choices).unwrap()));
    let mut lacking: BTreeMap<String, usize> = BTreeMap::from([("samples".to_owned(), 0)]);
    for path in &found {
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
                    let folder = path.strip_prefix(&public).ok().and_then(|path| path.iter().next());
                    let folder = folder.map_or("samples", |folder| folder.to_str().unwrap());
                    *lacking.entry(folder.to_owned()).or_default() += 1;
                }
            }
        }
    }
    let expected: &[(&str, usize)] = if public.exists() { &LACKING } else { &[("samples", 0)] };
    assert_eq!(lacking.iter().map(|(folder, count)| (folder.as_str(), *count)).collect::<Vec<_>>(), expected);
}
