//! Rows of one Bundle find each other: every `subject_key`, `patient_key` and `encounter_key` that points into the
//! Bundle is the `_id` of a row, wherever in the Bundle its resource stands.
//!
//! What points where is read from the JSON a second time, by other means. The Bundles are a small one, the project's
//! sample and, with the feature `corpus`, Synthea's.

#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    missing_docs,
    reason = "a test stops where something is wrong"
)]

#[cfg(feature = "corpus")]
#[path = "common/corpus.rs"]
mod corpus;

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use flatten::catalog::{Catalog, Choices, Tables};
use mongodb_store::simulation::{SimulatedMongo, State};
use pipeline::load::{Pipeline, PipelineLimits, ReadOutcome};
use pipeline::object::{ObjectRef, Pin};
use pipeline::source::Storage;
use serde_json::{Value as Json, json};

/// The elements of a resource that say whose it is and when it came about.
const ELEMENTS: [&str; 3] = ["subject", "patient", "encounter"];

async fn load(path: &Path) -> State {
    let store = Arc::new(SimulatedMongo::default());
    let choices = Choices { tables: Tables::Automatic, ..Choices::default() };
    let catalog = Arc::new(Catalog::compile(choices).unwrap());
    let (storage, limits) = (Storage::File(path.to_owned()), PipelineLimits::default());
    let pipeline = Pipeline { storage, catalog, store: store.clone(), limits };
    let (bucket, key) = ("file".to_owned(), path.display().to_string());
    let object = ObjectRef { bucket, key, pin: Pin::Latest, sequencer: None, created: 0, size: None };
    let read = pipeline.run(&Arc::new(object), None, None, &|_| {}).await.unwrap();
    assert!(matches!(read, ReadOutcome::Whole(_)), "{read:?}");
    store.state()
}

/// Returns the key of an entry's resource: by its id, or else by the last part of its URN.
fn key_of(entry: &Json) -> Option<String> {
    let resource = &entry["resource"];
    let urn = || entry["fullUrl"].as_str()?.strip_prefix("urn:uuid:");
    Some(format!("{}/{}", resource["resourceType"].as_str()?, resource["id"].as_str().or_else(urn)?))
}

/// Returns the keys of a Bundle's resources, by everything that they can be referred to by.
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

/// Returns how many references of a Bundle point into it; each of them has found its row.
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

async fn load_bundle(bundle: &Json) -> State {
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), bundle.to_string()).unwrap();
    load(file.path()).await
}

fn bundle(entries: &[Json]) -> Json {
    json!({"resourceType": "Bundle", "type": "collection", "entry": entries})
}

fn text<'s>(state: &'s State, key: &str, column: &str) -> Option<&'s str> {
    state.tables[key.split('/').next().unwrap()][key].get_str(column).ok()
}

fn keys(state: &State, key: &str, column: &str) -> Vec<String> {
    let row = &state.tables[key.split('/').next().unwrap()][key];
    row.get_array(column).unwrap().iter().map(|key| key.as_str().unwrap().to_owned()).collect()
}

/// What an entry is called decides what a reference leads to, whatever the resource's own id.
#[tokio::test]
async fn references_go_by_full_urls() {
    let observation = |id: &str, subject: &str| json!({"resourceType": "Observation", "id": id, "status": "final", "code": {"text": "x"}, "subject": {"reference": subject}});
    let state = load_bundle(&bundle(&[
        json!({"fullUrl": "https://s.example/fhir/Patient/00003", "resource": {"resourceType": "Patient", "id": "3"}}),
        json!({"fullUrl": "https://s.example/patients/third", "resource": {"resourceType": "Patient", "id": "odd"}}),
        json!({"fullUrl": "https://s.example/fhir/Observation/a", "resource": observation("a", "https://s.example/fhir/Patient/00003")}),
        json!({"fullUrl": "https://s.example/fhir/Observation/b", "resource": observation("b", "Patient/00003")}),
        json!({"fullUrl": "https://t.example/fhir/Observation/c", "resource": observation("c", "Patient/00003")}),
        json!({"fullUrl": "https://s.example/fhir/Observation/d", "resource": observation("d", "https://s.example/patients/third")}),
        json!({"fullUrl": "https://s.example/fhir/Observation/e", "resource": observation("e", "https://s.example/patients/fourth")}),
        json!({"fullUrl": "https://s.example/fhir/Observation/f", "resource": observation("f", "https://s.example/fhir/R4/patient-example.json")}),
        json!({"fullUrl": "https://s.example/fhir/Observation/g", "resource": observation("g", "Patient/00004")}),
        json!({"fullUrl": "https://s.example/fhir/Observation/h", "resource": observation("h", "https://s.example/fhir/Patient/00004/_history/2#x")}),
        json!({"fullUrl": "https://t.example/fhir/Observation/i", "resource": observation("i", "Patient/00004")}),
        json!({"fullUrl": "https://s.example/patients/fourth", "resource": {"resourceType": "Patient", "id": "late"}}),
        json!({"fullUrl": "https://s.example/fhir/Patient/00004", "resource": {"resourceType": "Patient", "id": "4"}}),
    ]))
    .await;
    let subjects = ["a", "b", "c", "d", "e", "f", "g", "h", "i"]
        .map(|id| text(&state, &format!("Observation/{id}"), "subject_key"));
    let expected = [
        Some("Patient/3"),
        Some("Patient/3"),
        Some("Patient/00003"),
        Some("Patient/odd"),
        Some("Patient/late"),
        None,
        Some("Patient/4"),
        Some("Patient/4"),
        Some("Patient/00004"),
    ];
    assert_eq!(subjects, expected);
}

/// SMART Health Cards call their entries `resource:0`, `resource:1` … (SMART Health Cards Framework, "Health Cards are
/// Small").
#[tokio::test]
async fn uris_of_any_scheme_join() {
    let state = load_bundle(&bundle(&[
        json!({"fullUrl": "resource:1", "resource": {"resourceType": "Immunization", "id": "i", "status": "completed", "patient": {"reference": "resource:0"}}}),
        json!({"fullUrl": "resource:0", "resource": {"resourceType": "Patient", "id": "p"}}),
    ]))
    .await;
    assert_eq!(text(&state, "Immunization/i", "patient_key"), Some("Patient/p"));
    assert_eq!(text(&state, "Immunization/i", "patient_type"), Some("Patient"));
}

#[tokio::test]
async fn resources_without_id_are_called_by_their_entry() {
    let state = load_bundle(&bundle(&[
        json!({"fullUrl": "https://s.example/fhir/Patient/77", "resource": {"resourceType": "Patient", "id": null}}),
        json!({"request": {"method": "PUT", "url": "Patient/78"}, "resource": {"resourceType": "Patient"}}),
        json!({"request": {"method": "POST", "url": "Patient/79"}, "resource": {"resourceType": "Patient", "active": true}}),
        json!({"fullUrl": "https://s.example/fhir/Group/80", "resource": {"resourceType": "Patient", "active": false}}),
    ]))
    .await;
    let rows: Vec<&String> = state.tables["Patient"].keys().collect();
    assert_eq!(rows.len(), 4);
    assert!(has_row(&state, "Patient/77") && has_row(&state, "Patient/78"));
    assert_eq!(rows.iter().filter(|key| key.starts_with("Patient/~")).count(), 2);
}

#[tokio::test]
async fn a_bundle_with_entries_is_a_target_too() {
    let urn = |number: u8| format!("urn:uuid:00000000-0000-4000-8000-0000000000{number:02}");
    let inner = |id: Option<&str>| json!({"resourceType": "Bundle", "id": id, "type": "collection", "entry": [{"resource": {"resourceType": "Patient", "id": "in"}}]});
    let header = |id: &str, focus: [String; 3]| {
        let focus = focus.map(|urn| json!({"reference": urn}));
        json!({"resourceType": "MessageHeader", "id": id, "eventUri": "urn:e", "source": {"endpoint": "urn:s"}, "focus": focus})
    };
    let state = load_bundle(&bundle(&[
        json!({"fullUrl": urn(1), "resource": header("early", [urn(2), urn(3), urn(9)])}),
        json!({"fullUrl": urn(2), "resource": inner(Some("inner"))}),
        json!({"fullUrl": urn(3), "resource": inner(None)}),
        json!({"fullUrl": urn(4), "resource": header("late", [urn(2), urn(3), urn(9)])}),
    ]))
    .await;
    let unnamed = "Bundle/00000000-0000-4000-8000-000000000003";
    assert!(has_row(&state, "Bundle/inner") && has_row(&state, unnamed));
    for header in ["MessageHeader/early", "MessageHeader/late"] {
        assert_eq!(text(&state, header, "focus_key"), Some("Bundle/inner"));
        // Dangling references leave no trace in a list of keys.
        assert_eq!(keys(&state, header, "focus_keys"), ["Bundle/inner", unnamed], "{header}");
    }
}

/// A second server's resource under a key that the Bundle has already is set aside: references to it lead nowhere.
#[tokio::test]
async fn references_to_what_was_set_aside_lead_nowhere() {
    let patient = |server: &str, family: &str| json!({"fullUrl": format!("https://{server}.example/fhir/Patient/1"), "resource": {"resourceType": "Patient", "id": "1", "name": [{"family": family}]}});
    let condition = |server: &str, id: &str| json!({"fullUrl": format!("https://{server}.example/fhir/Condition/{id}"), "resource": {"resourceType": "Condition", "id": id, "subject": {"reference": "Patient/1"}}});
    let entries = [patient("a", "Ada"), patient("b", "Bo"), condition("a", "of-a"), condition("b", "of-b")];
    let state = load_bundle(&bundle(&entries)).await;
    assert_eq!(text(&state, "Patient/1", "name_family"), Some("Ada"));
    assert_eq!(text(&state, "Condition/of-a", "subject_key"), Some("Patient/1"));
    assert_eq!(text(&state, "Condition/of-b", "subject_key"), None);
    let [first, second, of_a, of_b] = entries;
    let state = load_bundle(&bundle(&[of_b, of_a, first, second])).await;
    assert_eq!(text(&state, "Condition/of-a", "subject_key"), Some("Patient/1"));
    assert_eq!(text(&state, "Condition/of-b", "subject_key"), None, "also if it stands in front of it");
}

/// The `fullUrl`s of what a server answers are the URLs of its resources: nothing waits for them, and an odd one counts
/// from its entry on.
#[tokio::test]
async fn answers_of_a_server_do_not_wait_for_urls() {
    let observation = |id: &str| json!({"fullUrl": format!("https://s.example/fhir/Observation/{id}"), "resource": {"resourceType": "Observation", "id": id, "subject": {"reference": "Patient/00003"}}});
    let odd = json!({"fullUrl": "https://s.example/fhir/Patient/00003", "resource": {"resourceType": "Patient", "id": "3"}});
    let mut answer = bundle(&[observation("a"), odd, observation("b")]);
    answer["type"] = "searchset".into();
    let state = load_bundle(&answer).await;
    assert_eq!(text(&state, "Observation/a", "subject_key"), Some("Patient/00003"));
    assert_eq!(text(&state, "Observation/b", "subject_key"), Some("Patient/3"));
}

#[tokio::test]
async fn rows_of_real_bundles_find_each_other() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    assert!(joins_of(&root.join("samples/patient-bundle.json")).await >= 8);
}

#[cfg(feature = "corpus")]
#[tokio::test]
async fn rows_of_public_bundles_find_each_other() {
    let folders = std::fs::read_dir(corpus::public_samples()).unwrap().map(|entry| entry.unwrap().path());
    let synthea = folders.filter(|folder| folder.file_name().unwrap().to_str().unwrap().contains("synthea"));
    let mut paths: Vec<std::path::PathBuf> = synthea
        .flat_map(|folder| std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()))
        .collect();
    paths.retain(|path| path.extension().is_some_and(|extension| extension == "json"));
    let mut count = 0;
    for path in &paths {
        count += joins_of(path).await;
    }
    assert!(count > 10_000, "{count} joins in {} files", paths.len());
}
