//! Real files: as many resources as a parser of whole files finds, and the same ones.

use std::fs;
use std::io::Read;
use std::path::{Path, PathBuf};

use serde_json::{Deserializer, Value};

use super::{Owned, check_places, decode_with};
use crate::decode::DecoderLimits;

#[test]
fn own_samples_give_the_resources_that_a_parser_finds() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    // A parser of whole files stops at the broken line of one of the samples.
    let samples = files(&root.join("samples"));
    assert_eq!(compare(&samples), samples.len() - 1);
    let mut cases = files(&root.join("shared/flatten/tests/cases/automatic"));
    cases.retain(|path| path.ends_with("resource.json"));
    // It does not read numbers beyond a double.
    let compared = compare(&cases);
    assert!(compared > 150, "{compared} of {} cases", cases.len());
}

#[cfg(feature = "corpus")]
#[test]
fn public_samples_give_the_resources_that_a_parser_finds() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/fhir/samples");
    assert!(folder.is_dir(), "the feature `corpus` needs the public samples in {}", folder.display());
    let compared = compare(&files(&folder));
    assert!(compared > 2000, "{compared} files were compared");
}

/// Returns how many of the files a parser can read; those have the same resources.
fn compare(paths: &[PathBuf]) -> usize {
    let mut compared = 0;
    for path in paths {
        let raw = fs::read(path).unwrap();
        let plain = inflated(&raw);
        let frames = decode_with(&raw, 64 << 10, DecoderLimits::default());
        check_places(&plain, &frames);
        let Some(expected) = resources(&plain) else { continue };
        let found: Vec<Value> = frames.iter().filter_map(|(_, frame)| content(frame)).collect();
        assert_eq!(found.len(), expected.len(), "{}", path.display());
        assert!(found == expected, "{}", path.display());
        assert!(!frames.iter().any(|(_, frame)| matches!(frame, Owned::Broken(_))), "{}", path.display());
        compared += 1;
    }
    compared
}

fn files(folder: &Path) -> Vec<PathBuf> {
    let mut files = Vec::new();
    for path in fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()) {
        let is_data =
            path.extension().is_some_and(|end| ["json", "ndjson", "gz"].iter().any(|known| end == *known));
        if path.is_dir() {
            files.extend(self::files(&path));
        } else if is_data {
            files.push(path);
        }
    }
    files.sort();
    files
}

fn inflated(raw: &[u8]) -> Vec<u8> {
    let mut plain = Vec::new();
    if raw.starts_with(&[0x1F, 0x8B]) {
        flate2::read::MultiGzDecoder::new(raw).read_to_end(&mut plain).unwrap();
    } else {
        plain.extend_from_slice(raw);
    }
    plain
}

/// Returns what a parser makes of the whole file; `None` where it finds it not to be JSON.
fn resources(plain: &[u8]) -> Option<Vec<Value>> {
    let plain = plain.strip_prefix(b"\xEF\xBB\xBF").unwrap_or(plain);
    let mut found = Vec::new();
    for value in Deserializer::from_slice(plain).into_iter::<Value>() {
        match value.ok()? {
            Value::Array(elements) => found.extend(elements.into_iter().flat_map(entries_or_itself)),
            value @ Value::Object(_) => found.extend(entries_or_itself(value)),
            _ => return None,
        }
    }
    Some(found)
}

fn entries_or_itself(mut value: Value) -> Vec<Value> {
    if value.get("resourceType") != Some(&Value::from("Bundle")) {
        return vec![value];
    }
    match value.get_mut("entry").map(Value::take) {
        Some(Value::Array(entries)) => entries,
        _ => Vec::new(),
    }
}

fn content(frame: &Owned) -> Option<Value> {
    match frame {
        Owned::Resource(text) | Owned::Entry(_, text) => Some(serde_json::from_str(text).unwrap()),
        Owned::BundleEnd(..) | Owned::Broken(_) => None,
    }
}
