//! The order of files and of resources is nothing to rows and columns: shuffled, they give the same rows each and
//! the same dictionary.
//!
//! The resources are those of the cases and of the project's samples; with the feature `corpus`, also every third file
//! of HL7's examples of all releases.

#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    missing_docs,
    reason = "a test stops where something is wrong"
)]

#[cfg(feature = "corpus")]
mod corpus;

use std::fs;
use std::path::Path;
use std::sync::Arc;

use flatten::automatic::{Arrays, Settings};
use flatten::catalog::{Catalog, CatalogFlattener, Choices, Tables};
use flatten::dictionary::Dictionary;
use flatten::json::{JsonKind, Limits, Node, Tape};
use flatten::links::Links;
use flatten::resource::Resource;
use flatten::row::{Cells, NameList, Rows, Value};
use proptest::prelude::*;

/// Visits a resource's text, with its members as the file has them.
fn resources(node: Node<'_>, found: &mut Vec<String>) {
    match node.kind() {
        JsonKind::Array => node.items().for_each(|item| resources(item, found)),
        JsonKind::Object if node.get("resourceType").is_some_and(|name| name.is("Bundle")) => {
            let entries = node.get("entry").into_iter().flat_map(Node::items);
            entries.filter_map(|entry| entry.get("resource")).for_each(|resource| resources(resource, found));
        }
        JsonKind::Object => found.push(node.raw().to_owned()),
        _ => {}
    }
}

fn read(folder: &Path, found: &mut Vec<String>, every: usize) {
    let mut paths: Vec<_> = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    paths.sort();
    for path in paths.into_iter().step_by(every) {
        if path.is_dir() {
            read(&path, found, 1);
            continue;
        }
        let name = path.file_name().unwrap().to_str().unwrap();
        if name == "rows.json" || !(name.ends_with("json")) {
            continue;
        }
        for line in fs::read(&path).unwrap().split(|byte| *byte == b'\n' && name.ends_with(".ndjson")) {
            let mut tape = Tape::default();
            if let Ok(document) = tape.parse(line, Limits::default()) {
                resources(document.root(), found);
            }
        }
    }
}

fn shown(names: &NameList, cells: Cells<'_>) -> String {
    let cells = cells.map(|(column, value)| match value {
        Value::List(inner) => format!("{}=[{}]", names.column(column), shown(names, inner)),
        Value::Record(inner) => format!("{}={{{}}}", names.column(column), shown(names, inner)),
        value => format!("{}={value:?}", names.column(column)),
    });
    cells.collect::<Vec<_>>().join(" ")
}

/// Returns the rows of each resource, or its defect, where it stands in the list; and the dictionary of all.
fn flatten(resources: &[String], order: &[usize], arrays: Arrays) -> (Vec<String>, Dictionary) {
    let automatic = Settings { arrays, ..Settings::default() };
    let choices = Choices { automatic, tables: Tables::Automatic, ..Choices::default() };
    let mut flattener = CatalogFlattener::new(Arc::new(Catalog::compile(choices).unwrap()));
    let (mut tape, mut rows) = (Tape::default(), Rows::default());
    let mut all = vec![String::new(); resources.len()];
    for &index in order {
        let document = tape.parse(resources[index].as_bytes(), Limits::default()).unwrap();
        let Ok(resource) = Resource::read(document.root()) else { continue };
        rows.clear();
        let outcome = flattener.flatten(&resource, &resource.key(None, None), &Links::default(), &mut rows);
        flattener.count(&rows);
        let names = flattener.names();
        let lines = rows
            .iter()
            .map(|row| format!("{} {}: {}", names.table(row.table()), row.key(), shown(&names, row.cells())));
        all[index] = format!("{:?} {:#?}", outcome.err(), lines.collect::<Vec<_>>());
    }
    (all, flattener.take_dictionary())
}

fn own() -> Vec<String> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut found = Vec::new();
    read(&root.join("tests/cases/automatic"), &mut found, 1);
    read(&root.join("../../samples"), &mut found, 1);
    assert!(found.len() > 100, "the cases are missing");
    found
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 12, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_order_gives_the_same_rows_and_columns(
        order in Just((0..own().len()).collect::<Vec<usize>>()).prop_shuffle(),
        is_tables: bool,
    ) {
        let (resources, arrays) = (own(), if is_tables { Arrays::Tables } else { Arrays::Embedded });
        let in_order: Vec<usize> = (0..resources.len()).collect();
        let expected = flatten(&resources, &in_order, arrays);
        prop_assert!(expected.1.columns().count() > 500);
        let shuffled = flatten(&resources, &order, arrays);
        prop_assert!(expected.0 == shuffled.0, "rows differ");
        prop_assert!(expected.1 == shuffled.1, "columns differ");
    }
}

#[cfg(feature = "corpus")]
#[test]
fn hl7s_examples_of_all_releases_do_too() {
    let samples = corpus::public_samples();
    let mut resources = own();
    for release in ["dstu2", "stu3", "r4", "r4b", "r5"] {
        read(&samples.join(format!("hl7-{release}-examples")), &mut resources, 3);
    }
    let in_order: Vec<usize> = (0..resources.len()).collect();
    let backward: Vec<usize> = in_order.iter().rev().copied().collect();
    // Every second one first, so that releases mix.
    let (even, odd): (Vec<usize>, Vec<usize>) = in_order.iter().partition(|index| **index % 2 == 0);
    let mixed = [odd, even].concat();
    let expected = flatten(&resources, &in_order, Arrays::Embedded);
    for order in [backward, mixed] {
        let other = flatten(&resources, &order, Arrays::Embedded);
        let differing = expected.0.iter().zip(&other.0).find(|(one, another)| one != another);
        assert_eq!(differing, None);
        let columns: Vec<_> =
            expected.1.columns().zip(other.1.columns()).find(|(a, b)| a != b).into_iter().collect();
        assert_eq!(columns, Vec::new());
        assert_eq!(expected.1, other.1);
    }
}
