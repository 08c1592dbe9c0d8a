//! Keys of references whose entry comes later in the Bundle: what a view says of them is what it would say if the
//! entry had come first, whichever the order of the entries.

#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    missing_docs,
    reason = "a test stops where something is wrong"
)]

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use bson::Document;
use flatten::catalog::{Catalog, Choices};
use mongodb_store::simulation::SimulatedMongo;
use pipeline::ledger::Checkpoint;
use pipeline::load::{Pipeline, PipelineLimits, ReadOutcome};
use pipeline::object::{ObjectRef, Pin};
use pipeline::source::Storage;
use pipeline::summary::Summary;
use serde_json::{Value as Json, json};

fn view(name: &str, rest: &Json) -> (String, String) {
    let mut view = json!({"resourceType": "ViewDefinition", "name": name, "resource": "Observation"});
    view.as_object_mut().unwrap().extend(rest.as_object().unwrap().clone());
    (format!("{name}.json"), view.to_string())
}

/// Views that use keys in every way.
fn views() -> Vec<(String, String)> {
    let column = |name: &str, path: &str| json!({"name": name, "path": path});
    let id = &column("id", "id");
    vec![
        view(
            "asked",
            &json!({"select": [{"column": [
                id, column("is_patient", "subject.getReferenceKey(Patient).exists()"),
                column("is_group", "subject.getReferenceKey() = 'Group/g'"),
                column("keys", "focus.getReferenceKey().count()"),
                column("joined", "focus.getReferenceKey().join('+')"),
                column("text", "'<' & subject.getReferenceKey() & '>'"),
                column("first", "focus.getReferenceKey().first()"),
            ]}]}),
        ),
        view(
            "plain",
            &json!({"select": [{"column": [
                id, column("subject_key", "subject.getReferenceKey()"),
                column("patient_key", "subject.getReferenceKey(Patient)"),
            ]}]}),
        ),
        view(
            "listed",
            &json!({"select": [{"column": [
                id, {"name": "keys", "path": "focus.getReferenceKey()", "collection": true},
            ]}]}),
        ),
        view(
            "each",
            &json!({"select": [
                {"column": [id]}, {"forEach": "focus.getReferenceKey()", "column": [column("key", "$this")]},
            ]}),
        ),
        view(
            "each_or_null",
            &json!({"select": [
                {"column": [id]}, {"forEachOrNull": "subject.getReferenceKey(Patient)", "column": [column("key", "$this")]},
            ]}),
        ),
        view(
            "filtered",
            &json!({
                "where": [{"path": "subject.getReferenceKey(Group).exists()"}], "select": [{"column": [id]}],
            }),
        ),
        view("several", &json!({"select": [{"column": [id, column("key", "focus.getReferenceKey()")]}]})),
    ]
}

fn urn(number: usize) -> String {
    format!("urn:uuid:00000000-0000-4000-8000-{number:012}")
}

/// Returns a URL whose end is the id of no resource.
fn url(number: usize) -> String {
    let kind = ["Observation", "Observation", "Observation", "Group", "Patient", "Observation"];
    format!("https://s.example/fhir/{}/000{number}", kind.get(number).unwrap_or(&"Patient"))
}

/// Returns the same as it is written in a reference that starts from the server of its own entry.
fn relative(number: usize) -> String {
    url(number).replace("https://s.example/fhir/", "")
}

type Name = fn(usize) -> String;

/// Returns two observations, of a Group and of a Patient; they refer to both, to an entry that is missing, and to each
/// other.
fn entries(full_url: Name, reference: Name) -> Vec<Json> {
    let observation = |id: &str, subject: usize, focus: &[usize]| {
        let focus: Vec<Json> = focus.iter().map(|&number| json!({"reference": reference(number)})).collect();
        json!({"resourceType": "Observation", "id": id, "status": "final", "code": {"text": "x"},
            "subject": {"reference": reference(subject)}, "focus": focus})
    };
    let entry = |number: usize, resource: Json| json!({"fullUrl": full_url(number), "resource": resource});
    vec![
        entry(1, observation("a", 3, &[9, 4, 3])),
        entry(2, observation("b", 4, &[9])),
        entry(3, json!({"resourceType": "Group", "id": "g", "type": "person", "actual": true})),
        entry(4, json!({"resourceType": "Patient", "id": "p"})),
        entry(5, observation("c", 9, &[1, 9])),
    ]
}

/// The rows by table and key, without what tells where they came from, and the rejects.
type Outcome = (BTreeMap<String, BTreeMap<String, Document>>, Vec<String>);

async fn load(path: &Path, from: u64) -> Outcome {
    let store = Arc::new(SimulatedMongo::default());
    let catalog = Catalog::compile(Choices { views: views(), ..Choices::default() }).unwrap();
    let (storage, limits) = (Storage::File(path.to_owned()), PipelineLimits::default());
    let pipeline = Pipeline { storage, catalog: Arc::new(catalog), store: store.clone(), limits };
    let (bucket, key) = ("file".to_owned(), path.display().to_string());
    let object = ObjectRef { bucket, key, pin: Pin::Latest, sequencer: None, created: 0, size: None };
    let checkpoint = Checkpoint { offset: 1, ordinal: from, line: None, summary: Summary::default() };
    let checkpoint = (from > 0).then_some(checkpoint);
    let read = pipeline.run(&Arc::new(object), checkpoint, None, &|_| {}).await.unwrap();
    assert!(matches!(read, ReadOutcome::Whole(_)), "{read:?}");
    let state = store.state();
    let tables = state.tables.iter().filter(|(name, _)| !name.starts_with('_'));
    let tables = tables.map(|(name, rows)| {
        let rows = rows.iter().map(|(key, row)| {
            let own = row.iter().filter(|(name, _)| !name.starts_with('_'));
            (key.clone(), own.map(|(name, value)| (name.clone(), value.clone())).collect())
        });
        (name.clone(), rows.collect())
    });
    let mut rejects: Vec<String> = state
        .rejects
        .values()
        .map(|reject| format!("{:?} {:?}", reject.get("resource"), reject.get("code")))
        .collect();
    rejects.sort();
    (tables.collect(), rejects)
}

async fn outcome(entries: &[Json]) -> Outcome {
    outcome_from(entries, 0).await
}

/// Returns what an attempt makes that goes on at this ordinal.
async fn outcome_from(entries: &[Json], from: u64) -> Outcome {
    let bundle = json!({"resourceType": "Bundle", "type": "collection", "entry": entries});
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), bundle.to_string()).unwrap();
    load(file.path(), from).await
}

fn permutations(items: &[Json]) -> Vec<Vec<Json>> {
    if items.is_empty() {
        return vec![Vec::new()];
    }
    let without = |index: usize| [&items[..index], &items[index + 1..]].concat();
    let with = |index: usize| {
        permutations(&without(index)).into_iter().map(move |mut rest| {
            rest.push(items[index].clone());
            rest
        })
    };
    (0..items.len()).flat_map(with).collect()
}

#[tokio::test]
async fn rows_are_the_same_in_every_order_of_the_entries() {
    let entries = entries(urn, urn);
    let targets_first: Vec<Json> = [2, 3, 0, 1, 4].map(|index: usize| entries[index].clone()).into();
    let (tables, rejects) = outcome(&targets_first).await;
    let asked = &tables["asked"]["Observation/a"];
    assert!(!asked.get_bool("is_patient").unwrap());
    assert!(asked.get_bool("is_group").unwrap());
    assert_eq!(asked.get_i32("keys").unwrap(), 2, "a reference that leads nowhere is not counted");
    assert_eq!(asked.get_str("joined").unwrap(), "Patient/p+Group/g");
    assert_eq!(asked.get_str("first").unwrap(), "Patient/p");
    assert_eq!(tables["asked"]["Observation/c"].get_str("text").unwrap(), "<>");
    assert_eq!(tables["filtered"].keys().collect::<Vec<_>>(), ["Observation/a"]);
    assert_eq!(tables["each"].len(), 3);
    assert_eq!(tables["listed"]["Observation/b"].get_array("keys").unwrap().len(), 0);
    assert!(tables["plain"]["Observation/c"]["subject_key"].as_null().is_some());
    assert_eq!(rejects.len(), 1, "two focuses of one observation are two values: {rejects:?}");
    for entries in permutations(&entries) {
        let order: Vec<_> = entries.iter().map(|entry| entry["resource"]["id"].clone()).collect();
        assert_eq!(outcome(&entries).await, (tables.clone(), rejects.clone()), "{order:?}");
    }
}

/// A reference to a URL leads to the entry with that `fullUrl`, whatever the entry's id and wherever it stands. If
/// there is none, it leads where the URL says.
#[tokio::test]
async fn urls_wait_for_their_entries_too() {
    for reference in [url, relative] {
        let entries = entries(url, reference);
        let targets_first: Vec<Json> = [2, 3, 0, 1, 4].map(|index: usize| entries[index].clone()).into();
        let (tables, rejects) = outcome(&targets_first).await;
        let asked = |id: &str| &tables["asked"][&format!("Observation/{id}")];
        assert!(asked("a").get_bool("is_group").unwrap());
        assert_eq!(asked("a").get_str("joined").unwrap(), "Patient/0009+Patient/p+Group/g");
        assert_eq!(asked("c").get_str("joined").unwrap(), "Observation/a+Patient/0009");
        assert_eq!(asked("c").get_str("text").unwrap(), "<Patient/0009>");
        assert_eq!(tables["plain"]["Observation/b"].get_str("patient_key").unwrap(), "Patient/p");
        assert_eq!(tables["each"].len(), 6);
        assert_eq!(rejects.len(), 2, "{rejects:?}");
        for entries in permutations(&entries) {
            let order: Vec<_> = entries.iter().map(|entry| entry["resource"]["id"].clone()).collect();
            assert_eq!(outcome(&entries).await, (tables.clone(), rejects.clone()), "{order:?}");
        }
    }
}

/// An attempt that goes on in the middle of a Bundle makes the rows that the earlier one was still holding: here all of
/// them, because each observation refers to something behind it.
#[tokio::test]
async fn held_resources_are_not_lost_between_attempts() {
    for name in [urn, url] {
        let entries = entries(name, name);
        let observations_first: Vec<Json> = [0, 1, 4, 2, 3].map(|index: usize| entries[index].clone()).into();
        let of_observations = |(mut tables, rejects): Outcome| {
            // The attempt before has handed these on.
            tables.retain(|name, _| !matches!(name.as_str(), "Group" | "Patient"));
            (tables, rejects)
        };
        let whole = of_observations(outcome(&observations_first).await);
        for from in 1..=5 {
            let rest = of_observations(outcome_from(&observations_first, from).await);
            assert_eq!(rest, whole, "from {from}");
        }
    }
}

#[tokio::test]
async fn archive_rules_and_checks_wait_for_keys_too() {
    let check = r#"[{"type":"Observation","name":"known","severity":"reject","message":"m",
        "path":"subject.getReferenceKey().exists()"}]"#;
    let choices = || Choices {
        inactive: vec!["Observation where subject.getReferenceKey(Group).exists()".to_owned()],
        checks: vec![("checks.json".to_owned(), check.to_owned())],
        ..Choices::default()
    };
    for entries in permutations(&entries(urn, urn)) {
        let store = Arc::new(SimulatedMongo::default());
        let catalog = Arc::new(Catalog::compile(choices()).unwrap());
        let file = tempfile::NamedTempFile::new().unwrap();
        let bundle = json!({"resourceType": "Bundle", "type": "collection", "entry": entries});
        std::fs::write(file.path(), bundle.to_string()).unwrap();
        let storage = Storage::File(file.path().to_owned());
        let pipeline = Pipeline { storage, catalog, store: store.clone(), limits: PipelineLimits::default() };
        let (bucket, key) = ("file".to_owned(), "k".to_owned());
        let object = ObjectRef { bucket, key, pin: Pin::Latest, sequencer: None, created: 0, size: None };
        pipeline.run(&Arc::new(object), None, None, &|_| {}).await.unwrap();
        let state = store.state();
        let observations: Vec<&String> = state.tables["Observation"].keys().collect();
        assert_eq!(observations, ["Observation/b"], "a is archived, and c has no subject");
        assert_eq!(state.rejects.len(), 1);
    }
}
