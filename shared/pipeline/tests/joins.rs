//! Rows of one Bundle find each other: every `subject_key`, `patient_key` and `encounter_key` that points into the
//! Bundle is the `_id` of a row, wherever in the Bundle its resource stands.
//!
//! What points where is read from the JSON a second time, by other means. The Bundles are a small one, the project's
//! sample, and Synthea's where they are available.

#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    missing_docs,
    reason = "a test stops where something is wrong"
)]

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use flatten::catalog::{Catalog, Choices, Tables};
use pipeline::load::{Line, Pace, Read};
use pipeline::object::{ObjectRef, Pin};
use pipeline::sink::memory::{MemorySink, State};
use pipeline::source::Storage;
use serde_json::{Value as Json, json};

/// The elements of a resource that say whose it is and when it came about.
const ELEMENTS: [&str; 3] = ["subject", "patient", "encounter"];

async fn load(path: &Path) -> State {
    let sink = Arc::new(MemorySink::default());
    let choices = Choices { tables: Tables::Automatic, ..Choices::default() };
    let catalog = Arc::new(Catalog::compile(choices).unwrap());
    let (storage, pace) = (Storage::File(path.to_owned()), Pace::default());
    let line = Line { storage, catalog, sink: Arc::clone(&sink), pace };
    let (bucket, key) = ("file".to_owned(), path.display().to_string());
    let object = ObjectRef { bucket, key, pin: Pin::Latest, sequencer: None, created: 0, size: None };
    let read = line.run(&Arc::new(object), None, None, &|_| {}).await.unwrap();
    assert!(matches!(read, Read::Whole(_)), "{read:?}");
    sink.state()
}

/// The key of an entry's resource: by its id, or else by the last part of its URN.
fn key_of(entry: &Json) -> Option<String> {
    let resource = &entry["resource"];
    let urn = || entry["fullUrl"].as_str()?.strip_prefix("urn:uuid:");
    Some(format!("{}/{}", resource["resourceType"].as_str()?, resource["id"].as_str().or_else(urn)?))
}

/// The keys of a Bundle's resources, by everything that they can be referred to by.
fn targets(bundle: &Json) -> BTreeMap<String, String> {
    let mut targets = BTreeMap::new();
    for entry in bundle["entry"].as_array().into_iter().flatten() {
        let Some(key) = key_of(entry) else { continue };
        if let Some(url) = entry["fullUrl"].as_str() {
            targets.insert(url.to_owned(), key.clone());
        }
        targets.insert(key.clone(), key);
    }
    targets
}

fn has_row(state: &State, key: &str) -> bool {
    let table = key.split('/').next().unwrap();
    state.tables.get(table).is_some_and(|rows| rows.contains_key(key))
}

/// How many references of a Bundle point into it; each of them has found its row.
fn joins(bundle: &Json, state: &State, name: &str) -> usize {
    let targets = targets(bundle);
    let mut count = 0;
    for entry in bundle["entry"].as_array().into_iter().flatten() {
        let (resource, Some(key)) = (&entry["resource"], key_of(entry)) else { continue };
        for element in ELEMENTS {
            let Some(target) = resource[element]["reference"].as_str().and_then(|url| targets.get(url))
            else {
                continue;
            };
            let row = &state.tables[resource["resourceType"].as_str().unwrap()][&key];
            let written = row.get_str(format!("{element}_key"));
            assert_eq!(written.ok(), Some(target.as_str()), "{name}: {key} {element}");
            assert_eq!(
                row.get_str(format!("{element}_type")).ok(),
                target.split('/').next(),
                "{name}: {key}"
            );
            assert!(has_row(state, target), "{name}: {key} {element} points at no row");
            count += 1;
        }
    }
    count
}

async fn joins_of(path: &Path) -> usize {
    let Ok(bundle) = serde_json::from_slice::<Json>(&std::fs::read(path).unwrap()) else { return 0 };
    if bundle["resourceType"] != "Bundle" {
        return 0;
    }
    joins(&bundle, &load(path).await, &path.display().to_string())
}

#[tokio::test]
async fn rows_of_a_small_bundle_find_each_other() {
    let urn = |number: u8| format!("urn:uuid:00000000-0000-4000-8000-0000000000{number:02}");
    let entry = |number: u8, resource: Json| json!({"fullUrl": urn(number), "resource": resource});
    let bundle = json!({"resourceType": "Bundle", "type": "transaction", "entry": [
        entry(1, json!({"resourceType": "Observation", "id": "o", "status": "final", "code": {"text": "x"},
            "subject": {"reference": urn(4)}, "encounter": {"reference": urn(3)}})),
        entry(2, json!({"resourceType": "Claim", "id": "c", "status": "active", "patient": {"reference": urn(4)},
            "item": [{"sequence": 1, "encounter": [{"reference": urn(3)}]}]})),
        entry(3, json!({"resourceType": "Encounter", "id": "e", "status": "finished",
            "subject": {"reference": urn(4), "type": "Patient"}})),
        entry(4, json!({"resourceType": "Patient", "id": "p"})),
        entry(5, json!({"resourceType": "Condition", "id": "k", "subject": {"reference": "Patient/p"},
            "encounter": {"reference": "Encounter/elsewhere"}})),
        entry(6, json!({"resourceType": "Condition", "id": "l", "subject": {"reference": urn(9)}})),
    ]});
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), bundle.to_string()).unwrap();
    let state = load(file.path()).await;
    assert_eq!(joins(&bundle, &state, "small"), 5);
    let conditions = &state.tables["Condition"];
    // What is not in the Bundle has its key if the reference says it, and none if only the Bundle could.
    assert_eq!(conditions["Condition/k"].get_str("encounter_key").ok(), Some("Encounter/elsewhere"));
    assert!(!conditions["Condition/l"].contains_key("subject_key"));
    let items = state.tables["Claim"]["Claim/c"].get_array("item").unwrap();
    let item = items.first().and_then(|item| item.as_document()).unwrap();
    assert_eq!(item.get_str("encounter_key").ok(), Some("Encounter/e"), "inside a list too");
}

#[tokio::test]
async fn rows_of_real_bundles_find_each_other() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    assert!(joins_of(&root.join("samples/patient-bundle.json")).await >= 8);
    let public = root.join("../shared/fhir/samples");
    let folders = std::fs::read_dir(&public).into_iter().flatten().map(|entry| entry.unwrap().path());
    let synthea = folders.filter(|folder| folder.file_name().unwrap().to_str().unwrap().contains("synthea"));
    let mut paths: Vec<PathBuf> = synthea
        .flat_map(|folder| std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()))
        .collect();
    paths.retain(|path| path.extension().is_some_and(|extension| extension == "json"));
    let mut count = 0;
    for path in &paths {
        count += joins_of(path).await;
    }
    assert!(paths.is_empty() || count > 10_000, "{count} joins in {} files", paths.len());
}
