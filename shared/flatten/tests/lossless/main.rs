//! Nothing is lost: every leaf of every resource stands in a cell of its own whose name is the leaf's path, or is on
//! the short list of what is left out on purpose. A leaf that stands twice needs two cells.
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

#[cfg(feature = "corpus")]
#[path = "../corpus/mod.rs"]
mod corpus;
mod leaves;
mod mutate;

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use flatten::automatic::{Arrays, Automatic, Settings};
use flatten::defect::Defect;
use flatten::json::{JsonKind, Limits, Node, Tape};
use flatten::row::Names;

use leaves::{Looked, look_for_leaves, look_in_tables};

fn files(folder: &Path, found: &mut Vec<PathBuf>) {
    for path in fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()) {
        if path.is_dir() {
            files(&path, found);
        } else if path.extension().is_some_and(|extension| extension == "json" || extension == "ndjson") {
            found.push(path);
        }
    }
}

fn resources<'a>(node: Node<'a>, found: &mut Vec<Node<'a>>) {
    match node.kind() {
        JsonKind::Array => node.items().for_each(|item| resources(item, found)),
        JsonKind::Object if node.get("resourceType").is_some_and(|name| name.is("Bundle")) => {
            let entries = node.get("entry").into_iter().flat_map(Node::items);
            entries.filter_map(|entry| entry.get("resource")).for_each(|resource| resources(resource, found));
        }
        // A resource among parameters is a record of its own.
        JsonKind::Object if !node.get("resourceType").is_some_and(|name| name.is("Parameters")) => {
            found.push(node);
        }
        _ => {}
    }
}

/// Returns the project's own cases and samples.
fn own() -> [PathBuf; 2] {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    [root.join("tests/cases/automatic"), root.join("../../samples")]
}

fn child_tables() -> Settings {
    Settings { arrays: Arrays::Tables, ..Settings::default() }
}

#[test]
fn every_leaf_is_found_again() {
    every_leaf(&own(), 1_500, Settings::default(), look_for_leaves);
}

#[test]
fn every_leaf_is_found_again_in_child_tables() {
    every_leaf(&own(), 1_500, child_tables(), look_in_tables);
}

#[cfg(feature = "corpus")]
#[test]
fn every_leaf_of_public_samples_is_found_again() {
    every_leaf(&[corpus::public_samples()], 1_000_000, Settings::default(), look_for_leaves);
}

#[cfg(feature = "corpus")]
#[test]
fn every_leaf_of_public_samples_is_found_again_in_child_tables() {
    every_leaf(&[corpus::public_samples()], 1_000_000, child_tables(), look_in_tables);
}

/// Looks for every leaf of the folders' resources, of which there are at least `least`.
fn every_leaf(
    folders: &[PathBuf],
    least: usize,
    settings: Settings,
    look: impl Fn(Node<'_>, &mut Automatic, &mut Names) -> Result<Looked, Defect>,
) {
    let mut paths = Vec::new();
    for folder in folders {
        files(folder, &mut paths);
    }
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
                // Why a file is a reject is told elsewhere.
                let Ok((leaves, missing)) = look(node, &mut automatic, &mut names) else { continue };
                count += leaves;
                let kind = node.get_text("resourceType").unwrap_or_default();
                for name in missing {
                    lost.entry(format!("{kind}.{name}")).or_default().push(path.display().to_string());
                }
            }
        }
    }
    assert!(count >= least, "only {count} leaves were looked for");
    let shown: Vec<String> = lost
        .iter()
        .map(|(name, paths)| format!("{name}: {} times, first in {}", paths.len(), paths[0]))
        .collect();
    assert!(lost.is_empty(), "of {count} leaves, these were not found:\n{}", shown.join("\n"));
}

/// Changes resources of all types and releases at random: each leaf is found again at its place, as often as it stands
/// there, because almost every value is made to stand once.
fn mutated(
    settings: &Settings,
    look: impl Fn(Node<'_>, &mut Automatic, &mut Names) -> Result<Looked, Defect>,
) {
    #[expect(clippy::disallowed_methods, reason = "how a developer asks for more resources, or for one seed")]
    let number = |name: &str| std::env::var(name).ok().and_then(|text| text.parse::<u64>().ok());
    let first = number("FLATFIRE_SEED").unwrap_or(1);
    let count = number("FLATFIRE_MUTATIONS").unwrap_or(3_000);
    let bases = mutate::bases();
    let (mut automatic, mut names) = (Automatic::new(settings.clone()), Names::default());
    let (mut leaves, mut rejects) = (0, BTreeMap::<String, u64>::new());
    for seed in first..first + count {
        if seed % 500 == 0 {
            (automatic, names) = (Automatic::new(settings.clone()), Names::default());
        }
        let text = mutate::resource(&bases, seed).to_string();
        let mut tape = Tape::default();
        let Ok(document) = tape.parse(text.as_bytes(), Limits::default()) else {
            *rejects.entry("limits".to_owned()).or_default() += 1;
            continue;
        };
        match look(document.root(), &mut automatic, &mut names) {
            Ok((looked, missing)) => {
                assert!(missing.is_empty(), "seed {seed}: {missing:?} of\n{text}");
                leaves += looked;
            }
            Err(defect) => *rejects.entry(format!("{:?}", defect.code)).or_default() += 1,
        }
    }
    let rejected: u64 = rejects.values().sum();
    assert!(rejected < count / 5 && leaves as u64 > count * 8, "{leaves} leaves, {rejects:?}");
    let allowed = ["IntegerOutOfRange", "InvalidId", "NotAResource", "ObjectExpected", "limits"];
    assert!(rejects.keys().all(|code| allowed.contains(&&**code)), "{rejects:?}");
}

#[test]
fn every_leaf_of_mutated_resources_is_found_again() {
    mutated(&Settings::default(), look_for_leaves);
}

#[test]
fn every_leaf_of_mutated_resources_is_found_again_in_child_tables() {
    mutated(&child_tables(), look_in_tables);
}
