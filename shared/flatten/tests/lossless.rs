//! Nothing is lost: every leaf of every resource stands in a cell whose name is the leaf's path, or is on the
//! short list of what is left out on purpose.
//!
//! The list: `resourceType` (the table says it), the `url` of an extension (the column says it), `null`, the
//! narrative's `div`, base64 data above the limit (its size and SHA-256 stay), empty objects and arrays. What an
//! entry says about its resource (`fullUrl`, `request`, `response`, `search`) is not the resource's.

#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    missing_docs,
    reason = "a test stops where something is wrong"
)]

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

use flatten::automatic::{Arrays, Automatic, Settings};
use flatten::json::{Kind, Limits, Node, Tape};
use flatten::links::Links;
use flatten::model::UNKNOWN_TYPE;
use flatten::model::extensions;
use flatten::resource::Resource;
use flatten::row::{Cells, NameList, Names, Rows, Value};

/// A cell as text: dates and numbers by what they mean, so that a leaf can be compared with it.
type Found = BTreeMap<String, BTreeSet<String>>;

fn cells(names: &NameList, prefix: &str, row: Cells<'_>, found: &mut Found) {
    for (column, value) in row {
        let name = match (prefix, names.column(column)) {
            (prefix, "") => prefix.to_owned(),
            ("", name) => name.to_owned(),
            (prefix, name) => format!("{prefix}_{name}"),
        };
        let text = match value {
            Value::Null => continue,
            Value::Boolean(truth) => truth.to_string(),
            Value::Integer(number) => number.to_string(),
            Value::Long(number) => number.to_string(),
            Value::Decimal(text) | Value::Text(text) | Value::Pending(text) => text.to_owned(),
            Value::Instant(milliseconds) => format!("@{milliseconds}"),
            Value::List(inner) | Value::Record(inner) => {
                cells(names, &name, inner, found);
                continue;
            }
        };
        found.entry(name).or_default().insert(text);
    }
}

/// The names a leaf's cell may have: one, or two where a coding stands both at its concept and in a list.
fn extend(paths: &[String], step: &str) -> Vec<String> {
    let mut longer: Vec<String> = paths
        .iter()
        .map(|path| if path.is_empty() { step.to_owned() } else { format!("{path}_{step}") })
        .collect();
    if step == "coding" {
        longer.extend(paths.iter().cloned());
    }
    longer
}

struct Leaves<'f> {
    found: &'f Found,
    lost: Vec<String>,
    count: usize,
}

impl Leaves<'_> {
    fn object(&mut self, paths: &[String], node: Node<'_>) {
        for (key, value) in node.members() {
            let name = key.text().unwrap();
            match &*name {
                "resourceType" | "div" => {}
                "extension" => many(value).for_each(|item| self.extension(paths, item, false)),
                "modifierExtension" => {
                    let paths = extend(paths, "modifierExtension");
                    many(value).for_each(|item| self.extension(&paths, item, false));
                }
                "contained" if paths == [String::new()] => {}
                _ => match name.strip_prefix('_') {
                    Some(primitive) => self.on_primitive(&extend(paths, primitive), value),
                    None => self.any(&extend(paths, &name), value),
                },
            }
        }
    }

    fn any(&mut self, paths: &[String], node: Node<'_>) {
        let is_label = paths.iter().any(|path| path == "meta_tag" || path == "meta_security");
        match node.kind() {
            Kind::Object if is_label => self.label(paths, node),
            Kind::Object => self.object(paths, node),
            Kind::Array => node.items().for_each(|item| self.any(paths, item)),
            Kind::Null => {}
            _ => self.leaf(paths, node),
        }
    }

    /// A label's system and code stand together; the rest in the list beside.
    fn label(&mut self, paths: &[String], label: Node<'_>) {
        let is_in_pair = |key: Node<'_>| key.is("system") || key.is("code");
        let is_text = |value: Node<'_>| matches!(value.kind(), Kind::String | Kind::Null);
        if !label.members().all(|(key, value)| is_in_pair(key) && is_text(value)) {
            self.object(&extend(paths, "coding"), label);
        }
        if !label.members().all(|(key, value)| !is_in_pair(key) || is_text(value)) {
            return;
        }
        let part = |name: &str| label.get_text(name).unwrap_or_default().into_owned();
        let pair = format!("{}|{}", part("system"), part("code"));
        self.count += 1;
        if pair != "|"
            && !paths.iter().any(|path| self.found.get(path).is_some_and(|cells| cells.contains(&pair)))
        {
            self.lost.push(paths[0].clone());
        }
    }

    fn on_primitive(&mut self, paths: &[String], node: Node<'_>) {
        match node.kind() {
            Kind::Array => node.items().for_each(|item| self.on_primitive(paths, item)),
            Kind::Object => node.members().for_each(|(key, value)| match &*key.text().unwrap() {
                "extension" => many(value).for_each(|item| self.extension(paths, item, true)),
                name => self.any(&extend(paths, name), value),
            }),
            _ => {}
        }
    }

    fn extension(&mut self, paths: &[String], node: Node<'_>, on_primitive: bool) {
        let Some(url) = node.get_text("url").filter(|url| !url.is_empty()) else { return };
        let tail = extensions::tail(&url).into_owned();
        let mut steps = vec![tail.clone(), extensions::with_digest(&tail, &url)];
        if on_primitive && url.ends_with("data-absent-reason") {
            steps.push("absent".to_owned());
        }
        let paths: Vec<String> = steps.iter().flat_map(|step| extend(paths, step)).collect();
        for (key, value) in node.members() {
            match &*key.text().unwrap() {
                "url" => {}
                "extension" => many(value).for_each(|item| self.extension(&paths, item, false)),
                name => {
                    let (name, on_value) = name.strip_prefix('_').map_or((name, false), |name| (name, true));
                    let mut homes =
                        if name.starts_with("value") { paths.clone() } else { extend(&paths, name) };
                    if name.starts_with("value") {
                        homes.extend(extend(&paths, "value"));
                        homes.extend(extend(&paths, name));
                    }
                    if on_value { self.on_primitive(&homes, value) } else { self.any(&homes, value) }
                }
            }
        }
    }

    fn leaf(&mut self, paths: &[String], node: Node<'_>) {
        self.count += 1;
        let text = node.text().map_or_else(|| node.raw().to_owned(), std::borrow::Cow::into_owned);
        let has = |name: &str, text: &str| self.found.get(name).is_some_and(|cells| cells.contains(text));
        let is_there = paths.iter().any(|path| {
            has(path, &text)
                || has(&format!("{path}_text"), &text)
                || has(&format!("{path}_written"), &text)
                || path.strip_suffix("_id").is_some_and(|value| has(&format!("{value}_valueId"), &text))
                || (text.len() > 256 << 10 && has(&format!("{path}Size"), &text.len().to_string()))
        });
        let is_unknown = || {
            let unknown = self.found.iter().filter(|(name, _)| name.ends_with("_unknown"));
            unknown.flat_map(|(_, texts)| texts).any(|text| text.contains(node.quoted()))
        };
        if !is_there && !is_unknown() {
            self.lost.push(paths[0].clone());
        }
    }
}

/// The items of an array, or one value in its place.
fn many(node: Node<'_>) -> impl Iterator<Item = Node<'_>> {
    node.items().chain((node.kind() == Kind::Object).then_some(node))
}

fn files(folder: &Path, found: &mut Vec<PathBuf>) {
    for path in fs::read_dir(folder).into_iter().flatten().map(|entry| entry.unwrap().path()) {
        if path.is_dir() {
            files(&path, found);
        } else if path.extension().is_some_and(|extension| extension == "json" || extension == "ndjson") {
            found.push(path);
        }
    }
}

fn resources<'a>(node: Node<'a>, found: &mut Vec<Node<'a>>) {
    match node.kind() {
        Kind::Array => node.items().for_each(|item| resources(item, found)),
        Kind::Object if node.get("resourceType").is_some_and(|name| name.is("Bundle")) => {
            let entries = node.get("entry").into_iter().flat_map(Node::items);
            entries.filter_map(|entry| entry.get("resource")).for_each(|resource| resources(resource, found));
        }
        // A resource among parameters is a record of its own.
        Kind::Object if !node.get("resourceType").is_some_and(|name| name.is("Parameters")) => {
            found.push(node);
        }
        _ => {}
    }
}

/// The rows of a resource; none of one that is a reject.
fn rows(node: Node<'_>, automatic: &mut Automatic, names: &mut Names) -> Option<Rows> {
    let mut rows = Rows::default();
    let resource = Resource::read(node).ok()?;
    automatic.flatten(&resource, &resource.key(None, None), &Links::default(), names, &mut rows).ok()?;
    Some(rows)
}

/// Looks for every leaf of a resource, and of what it contains, in its rows.
fn look_for_leaves(node: Node<'_>, automatic: &mut Automatic, names: &mut Names) -> (usize, Vec<String>) {
    let Some(rows) = rows(node, automatic, names) else { return (0, Vec::new()) };
    let list = names.list();
    let mut by_row = rows.iter().map(|row| {
        let mut found = Found::new();
        cells(&list, "", row.cells(), &mut found);
        found
    });
    let root = vec![String::new()];
    let whole = by_row.next().unwrap();
    let mut leaves = Leaves { found: &whole, lost: Vec::new(), count: 0 };
    leaves.object(&root, node);
    let (mut count, mut missing) = (leaves.count, leaves.lost);
    let contained = node.get("contained").into_iter().flat_map(many);
    for (found, inner) in by_row.zip(contained) {
        let mut leaves = Leaves { found: &found, lost: Vec::new(), count: 0 };
        leaves.object(&root, inner);
        count += leaves.count;
        missing.extend(leaves.lost);
    }
    (count, missing)
}

/// Looks for every leaf of a resource in its row and in those of its child tables together.
fn look_in_tables(node: Node<'_>, automatic: &mut Automatic, names: &mut Names) -> (usize, Vec<String>) {
    let Some(rows) = rows(node, automatic, names) else { return (0, Vec::new()) };
    let (list, resource_type) = (names.list(), node.get_text("resourceType").unwrap_or_default());
    let mut found = Found::new();
    for row in rows.iter() {
        let table = list.table(row.table());
        let path = table.strip_prefix(&*resource_type).or_else(|| table.strip_prefix(UNKNOWN_TYPE));
        let path = path.unwrap_or("_contained");
        if path.starts_with("_contained") {
            continue;
        }
        // An element that stands inside itself shares a table with itself; its address has the whole path.
        let address = row.key().split_once("#/").map_or("", |(_, address)| address);
        let steps: Vec<&str> =
            address.split('/').filter(|step| step.parse::<usize>().is_err() && !step.is_empty()).collect();
        let is_extension = steps.iter().any(|step| step.to_lowercase().ends_with("extension"));
        let prefix = if is_extension { path.trim_start_matches('_').to_owned() } else { steps.join("_") };
        cells(&list, &prefix, row.cells(), &mut found);
    }
    let mut leaves = Leaves { found: &found, lost: Vec::new(), count: 0 };
    leaves.object(&[String::new()], node);
    (leaves.count, leaves.lost)
}

#[test]
fn every_leaf_is_found_again() {
    every_leaf(Settings::default(), look_for_leaves);
}

#[test]
fn every_leaf_is_found_again_in_child_tables() {
    let settings = Settings { arrays: Arrays::Tables, ..Settings::default() };
    every_leaf(settings, look_in_tables);
}

fn every_leaf(
    settings: Settings,
    look: impl Fn(Node<'_>, &mut Automatic, &mut Names) -> (usize, Vec<String>),
) {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut paths = Vec::new();
    files(&root.join("tests/cases/automatic"), &mut paths);
    files(&root.join("../../samples"), &mut paths);
    files(&root.join("../../../shared/fhir/samples"), &mut paths);
    let (mut automatic, mut names) = (Automatic::new(settings), Names::default());
    let (mut count, mut lost) = (0, BTreeMap::<String, Vec<String>>::new());
    for path in &paths {
        let bytes = fs::read(path).unwrap();
        let bytes = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(&bytes);
        let is_lines = path.extension().is_some_and(|extension| extension == "ndjson");
        let texts: Vec<&[u8]> =
            if is_lines { bytes.split(|byte| *byte == b'\n').collect() } else { vec![bytes] };
        for text in texts {
            let mut tape = Tape::default();
            let Ok(document) = tape.parse(text, Limits::default()) else { continue };
            let mut nodes = Vec::new();
            resources(document.root(), &mut nodes);
            for node in nodes {
                let (leaves, missing) = look(node, &mut automatic, &mut names);
                count += leaves;
                let kind = node.get_text("resourceType").unwrap_or_default();
                for name in missing {
                    lost.entry(format!("{kind}.{name}")).or_default().push(path.display().to_string());
                }
            }
        }
    }
    assert!(count > 50, "only {count} leaves were looked for");
    let shown: Vec<String> = lost
        .iter()
        .map(|(name, paths)| format!("{name}: {} times, first in {}", paths.len(), paths[0]))
        .collect();
    assert!(lost.is_empty(), "of {count} leaves, these were not found:\n{}", shown.join("\n"));
}
