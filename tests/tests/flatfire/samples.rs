//! The project's own samples, all of them: rows, references, rejects, the ledger; and that doing it again is safe.

use std::collections::{BTreeMap, BTreeSet};

use flatfire_tests::{Runner, Stack, Tables, Upload, number, plain, text, with_function_and_worker};
use mongodb::bson::{Bson, Document};
use serde_json::{Value, json};
use xtask::demo::sample_files;
use xtask::workspace;

const BUNDLE: &str = "incoming/patient-bundle.json";
const OBSERVATIONS: &str = "incoming/observations.ndjson.gz";
const INTAKE: &str = "incoming/intake form ü+1.json";
const BROKEN_LINE: &str = "incoming/patients-with-a-broken-line.ndjson";

/// In the Bundle's `fullUrl`s.
const ID: &str = "6f1d2c00-0000-4000-8000-0000000000";

async fn upload_samples(stack: &Stack) -> BTreeMap<String, (Upload, Document)> {
    let mut uploads = Vec::new();
    for file in sample_files().unwrap() {
        let name = file.file_name().unwrap().to_str().unwrap();
        uploads.push(stack.upload(name, std::fs::read(&file).unwrap()).await);
    }
    let mut loads = BTreeMap::new();
    for upload in uploads {
        let load = stack.settled(&upload).await;
        loads.insert(upload.key.clone(), (upload, load));
    }
    loads
}

with_function_and_worker! {
    every_sample_becomes_rows_and_doing_it_again_changes_nothing,
}

async fn every_sample_becomes_rows_and_doing_it_again_changes_nothing(runner: Runner) {
    let stack = runner.deploy("samples").await;
    let loads = upload_samples(&stack).await;
    stack.quiet().await;
    let tables = stack.tables().await;
    the_ledger_adds_up(&loads);
    let types = plain(loads[BUNDLE].1.get("types").unwrap());
    assert_eq!((&types["Observation"], &types["Patient"]), (&long(2), &long(1)), "{types}");
    the_tables_are_complete(&tables);
    the_rows_say_what_the_files_say(&tables);
    references_join(&tables);
    sources_point_at_the_bytes(&tables);
    the_reject_has_a_place(&tables, &loads);

    let (bundle, _) = &loads[BUNDLE];
    stack.announce_again(bundle, "00").await;
    stack.announce_again(&loads[BROKEN_LINE].0, "FF").await;
    stack.quiet().await;
    assert_eq!(stack.tables().await, tables, "a notification that comes again changes nothing");

    let again = upload_samples(&stack).await;
    the_ledger_adds_up(&again);
    let tables_again = stack.tables().await;
    assert_eq!(tables_again.without_origin(), tables.without_origin());
    assert_eq!(tables_again.rows("_loads").count(), 8, "an entry an object version");
    let source = tables_again.row("Patient", &format!("Patient/{ID}01")).get_document("_source").unwrap();
    assert_eq!(
        text(source, "versionId"),
        again[BUNDLE].0.version,
        "what has no time is as new as its upload"
    );
    let observations = &again[OBSERVATIONS].1;
    assert_eq!(
        number(observations, "counts.unchanged"),
        200,
        "the same content of the same time: {observations}"
    );
}

fn the_ledger_adds_up(loads: &BTreeMap<String, (Upload, Document)>) {
    let expected = [
        (BUNDLE, "done", 13, 0, json!({})),
        (OBSERVATIONS, "done", 200, 0, json!({})),
        (INTAKE, "done", 1, 0, json!({})),
        (BROKEN_LINE, "partial", 9, 1, json!({ "truncated": long(1) })),
    ];
    assert_eq!(loads.len(), expected.len());
    for (key, status, records, rejected, codes) in expected {
        let (upload, load) = &loads[key];
        assert_eq!(text(load, "status"), status, "{load}");
        let count = |name: &str| number(load, &format!("counts.{name}"));
        assert_eq!((count("records"), count("rejected")), (records, rejected), "{load}");
        let fates = ["loaded", "unchanged", "superseded", "archived", "deleted", "rejected"].map(count);
        assert_eq!(fates.iter().sum::<i64>(), records, "{load}");
        assert_eq!(count("loaded") + count("unchanged"), records - rejected, "{load}");
        assert_eq!(plain(load.get("codes").unwrap()), codes);
        assert_eq!(number(load, "bytes").cast_unsigned(), upload.size, "{load}");
        assert!(load.get_datetime("begun").unwrap() <= load.get_datetime("ended").unwrap(), "{load}");
    }
}

fn long(value: i64) -> Value {
    plain(&Bson::Int64(value))
}

fn the_tables_are_complete(tables: &Tables) {
    let expected = [
        ("AllergyIntolerance", 1),
        ("Bundle", 1),
        ("Condition", 1),
        ("DiagnosticReport", 1),
        ("Encounter", 1),
        ("Immunization", 1),
        ("MedicationRequest", 1),
        ("Observation", 202),
        ("Organization", 1),
        ("Patient", 9),
        ("Practitioner", 1),
        ("Procedure", 1),
        ("QuestionnaireResponse", 1),
        ("Specimen_contained", 1),
    ];
    assert_eq!(tables.automatic().counts(), BTreeMap::from(expected));
}

fn the_rows_say_what_the_files_say(tables: &Tables) {
    let patient = row_of(tables, "Patient", &format!("Patient/{ID}01"));
    assert_eq!(patient, written(include_str!("rows/patient.json")));
    let blood_pressure = row_of(tables, "Observation", &format!("Observation/{ID}06"));
    assert_eq!(blood_pressure, written(include_str!("rows/blood-pressure.json")));
    let glucose = row_of(tables, "Observation", &format!("Observation/{ID}07"));
    assert_eq!(glucose["valueQuantity_value"], json!({ "$numberDecimal": "95.40" }));
    assert_eq!(
        glucose["referenceRange"],
        json!([{
            "low_value": { "$numberDecimal": "70.0" }, "low_unit": "mg/dL",
            "low_system": "http://unitsofmeasure.org", "low_code": "mg/dL",
            "high_value": { "$numberDecimal": "99.0" }, "high_unit": "mg/dL",
            "high_system": "http://unitsofmeasure.org", "high_code": "mg/dL",
        }])
    );
    let weight = row_of(tables, "QuestionnaireResponse", "QuestionnaireResponse/intake-1");
    assert_eq!(
        weight["item"][1]["answer"],
        json!([{
            "valueQuantity_value": { "$numberDecimal": "82.30" }, "valueQuantity_unit": "kg",
            "valueQuantity_system": "http://unitsofmeasure.org", "valueQuantity_code": "kg",
            "value_type": "Quantity",
        }])
    );
}

fn written(row: &str) -> Value {
    serde_json::from_str(row).unwrap()
}

/// Returns a row without what tells one upload from another.
fn row_of(tables: &Tables, table: &str, id: &str) -> Value {
    let mut row = plain(&Bson::Document(tables.row(table, id).clone()));
    let fields = row.as_object_mut().unwrap();
    for name in ["_version", "_source", "_load", "_received"] {
        assert!(fields.remove(name).is_some(), "{name}");
    }
    // It is not there where a reference waited for a later entry.
    fields.remove("_hash");
    row
}

/// Checks that every key of a reference is the `_id` of a row; in this Bundle some references point forward.
fn references_join(tables: &Tables) {
    let tables = tables.automatic();
    let ids: BTreeSet<&String> = tables.0.values().flat_map(BTreeMap::keys).collect();
    let mut joined = 0;
    for row in tables.0.values().flat_map(BTreeMap::values) {
        for key in keys_of_references(&Bson::Document(row.clone())) {
            assert!(ids.contains(&key), "{key} of {row}");
            joined += 1;
        }
    }
    // 22 within the Bundle and one to a contained resource, 200 observations, one questionnaire.
    assert_eq!(joined, 224);
}

fn keys_of_references(value: &Bson) -> Vec<String> {
    match value {
        Bson::Document(fields) => {
            let own = fields.iter().filter(|(name, _)| name.ends_with("_key"));
            let own = own.filter_map(|(_, key)| key.as_str().map(str::to_owned));
            own.chain(fields.values().flat_map(keys_of_references)).collect()
        }
        Bson::Array(items) => items.iter().flat_map(keys_of_references).collect(),
        _ => Vec::new(),
    }
}

/// The bytes that a row names are the resource that it was made of.
fn sources_point_at_the_bytes(tables: &Tables) {
    let file = std::fs::read(workspace::root().join("samples/patient-bundle.json")).unwrap();
    let row = tables.row("Observation", &format!("Observation/{ID}07"));
    let source = row.get_document("_source").unwrap();
    assert_eq!(text(source, "key"), BUNDLE);
    let resource = cut(&file, source);
    assert_eq!(resource["code"]["text"], "Glucose");
    assert_eq!(text(tables.row("_loads", text(row, "_load")), "key"), BUNDLE);
}

fn cut(file: &[u8], place: &Document) -> Value {
    let place = |name: &str| usize::try_from(number(place, name)).unwrap();
    serde_json::from_slice(&file[place("offset")..place("offset") + place("length")]).unwrap()
}

fn the_reject_has_a_place(tables: &Tables, loads: &BTreeMap<String, (Upload, Document)>) {
    let rejects: Vec<&Document> = tables.rows("_rejects").collect();
    let [reject] = rejects[..] else { panic!("{rejects:?}") };
    let file = std::fs::read(workspace::root().join("samples/patients-with-a-broken-line.ndjson")).unwrap();
    let lines: Vec<&[u8]> = file.split(|byte| *byte == b'\n').collect();
    let offset = lines[..4].iter().map(|line| line.len() + 1).sum::<usize>();
    assert_eq!((text(reject, "key"), text(reject, "code")), (BROKEN_LINE, "truncated"));
    assert_eq!(text(reject, "versionId"), loads[BROKEN_LINE].0.version);
    assert_eq!((number(reject, "line"), number(reject, "ordinal")), (5, 4));
    let place = ["offset", "length"].map(|name| usize::try_from(number(reject, name)).unwrap());
    assert_eq!(place, [offset, lines[4].len()]);
    assert_eq!(text(tables.row("_loads", text(reject, "_load")), "key"), BROKEN_LINE);
}
