//! `--json`: what commands say to other programs.

use std::fs;

use mongodb::bson::{Document, doc};
use serde_json::{Value, json};

use crate::database::TestDatabase;
use crate::program::{path_of, run, sample};

/// Runs a command and returns its exit code and the objects that it prints, one a line.
fn objects(arguments: &[&str]) -> (i32, Vec<Value>) {
    let ran = run(&[arguments, &["--json"]].concat());
    let objects =
        ran.stdout.lines().map(|line| serde_json::from_str(line).unwrap_or_else(|_| panic!("{ran:?}")));
    (ran.code, objects.collect())
}

#[test]
fn views_and_codes_are_printed_as_json() {
    let views = format!("{}/../../views/patients.json", env!("CARGO_MANIFEST_DIR"));
    let (code, printed) = objects(&["check", &views]);
    let view = &printed[0][0];
    assert_eq!((code, printed.len(), &view["name"]), (0, 1, &json!("patients")));
    assert_eq!((&view["resourceType"], &view["atMostOneRow"]), (&json!("Patient"), &json!(true)));
    let columns = view["columns"].as_array().unwrap();
    let born = columns.iter().find(|column| column["name"] == "birth_date").unwrap();
    let expected = json!({"name": "birth_date", "type": "text", "isList": false, "fhirType": "date", "path": "birthDate"});
    assert_eq!(born, &expected);

    let (code, printed) = objects(&["explain", "truncated"]);
    assert_eq!((code, &printed[0]["code"], &printed[0]["kind"]), (0, &json!("truncated"), &json!("file")));
    let (code, all) = objects(&["explain"]);
    assert!(code == 0 && all[0].as_array().unwrap().contains(&printed[0]), "{all:?}");
}

#[tokio::test]
async fn a_load_is_one_json_object() {
    let database = TestDatabase::of("json_load").await;
    let (whole, broken) = (sample("patient-bundle.json"), sample("patients-with-a-broken-line.ndjson"));
    let load =
        ["load", "--to", &database.uri, "--tables", "automatic", &whole, &broken, "no/such/file.json", "-"];
    let (code, printed) = objects(&load);
    let [printed] = &printed[..] else { panic!("{printed:?}") };
    assert_eq!((code, &printed["database"]), (1, &json!(database.rows.name())));
    let files = printed["files"].as_array().unwrap();
    assert_eq!(files.len(), 2);
    let of = |file: &Value, name: &str| file[name].clone();
    let names = ["file", "status", "isKnown", "records", "loaded", "rejected", "viewDefects"];
    let expected = [
        [json!(whole), json!("done"), json!(false), json!(13), json!(13), json!(0), json!(0)],
        [json!(broken), json!("partial"), json!(false), json!(9), json!(8), json!(1), json!(0)],
    ];
    for (file, expected) in files.iter().zip(expected) {
        assert_eq!(names.map(|name| of(file, name)), expected);
    }
    assert_eq!((&printed["sums"]["records"], &printed["types"]["Patient"]), (&json!(22), &json!(9)));
    assert_eq!(printed["failures"][0]["file"], "no/such/file.json");
    assert_eq!(printed["failures"][1]["file"], "-");
    let (code, printed) = objects(&load[..6]);
    assert_eq!((code, &printed[0]["files"][0]["isKnown"]), (0, &json!(true)));
    database.remove().await;
}

#[tokio::test]
async fn what_is_found_archived_erased_and_tidied_is_printed_as_json() {
    let database = TestDatabase::of("json_others").await;
    let folder = tempfile::tempdir().unwrap();
    let file = path_of(&folder, "all.ndjson");
    let lines = [("Patient", "a"), ("AuditEvent", "b")].map(|(kind, id)| {
        format!(r#"{{"resourceType":"{kind}","id":"{id}","identifier":[{{"value":"1"}}]}}"#)
    });
    fs::write(&file, lines.join("\n")).unwrap();
    let to = ["--to", &database.uri];
    let load = ["load", "--inactive", "AuditEvent", "--indexes", "none", &file];
    assert_eq!(objects(&[&load[..], &to].concat()).0, 0);

    let (code, printed) = objects(&["find", "Patient/a", "--in", &file]);
    let last = lines[0].len() - 1;
    let record = json!({"bucket": "file", "key": file, "versionId": null, "line": 1, "firstByte": 0, "lastByte": last,
        "isDeletion": false});
    let sums = json!({"resource": "Patient/a", "records": 1, "objects": 1, "unreadableRecords": 0,
        "unreadableObjects": 0});
    assert_eq!((code, printed), (0, vec![record, sums]));

    let list = [&["archive", "list"][..], &to].concat();
    assert_eq!(objects(&list), (0, vec![json!({"type": "AuditEvent", "resources": 1})]));
    let entry = json!({"resource": "AuditEvent/b", "bucket": "file", "key": file, "record": 1});
    assert_eq!(objects(&[&list[..], &["AuditEvent"]].concat()), (0, vec![entry]));

    let restore = [&["archive", "restore", "AuditEvent/b", "AuditEvent/c"][..], &to].concat();
    let restored = json!({"resource": "AuditEvent/b", "rows": 1});
    let nowhere = json!({"resource": "AuditEvent/c", "reason": "not in the archive"});
    assert_eq!(objects(&restore), (1, vec![restored, nowhere]));

    let (code, printed) = objects(&[&["index"][..], &to].concat());
    let (sums, tables) = printed.split_last().unwrap();
    assert!(code == 0 && tables.iter().any(|table| table["table"] == "Patient" && table["isBuilt"] == true));
    let built: u64 = tables.iter().map(|table| table["indexes"].as_u64().unwrap()).sum();
    assert_eq!(sums["indexes"], built);

    let side = database.rows.collection::<Document>("_side_tables");
    side.insert_one(doc! { "_id": "Patient/Patient_x", "type": "Patient", "table": "Patient_x" })
        .await
        .unwrap();
    let (code, printed) = objects(&[&["tidy"][..], &to].concat());
    assert_eq!((code, printed.len(), &printed[0]["earlierNotes"]), (0, 1, &json!(1)));

    let forget = ["forget", "Patient/a", "Patient/nobody", "--reason", "asked", "--yes"];
    let (code, printed) = objects(&[&forget[..], &to].concat());
    assert_eq!(code, 2);
    let outcomes: Vec<_> = printed.iter().filter_map(|line| line["outcome"].as_str()).collect();
    assert_eq!(outcomes, ["nowhere", "found", "erased"]);
    assert_eq!(printed[1]["places"]["Patient"], 1);
    let advice: Vec<_> = printed.iter().filter_map(|line| line["advice"].as_str()).collect();
    assert!(matches!(advice[..], [advice] if advice.contains("also holds others")), "{printed:?}");
    let (code, printed) = objects(&[&["forget", "Patient/a", "--lift"][..], &to].concat());
    assert_eq!((code, printed), (0, vec![json!({"resource": "Patient/a", "outcome": "let-in"})]));
    database.remove().await;
}

#[tokio::test]
async fn a_replay_is_printed_as_json() {
    let database = TestDatabase::of("json_replay").await;
    let broken = sample("patients-with-a-broken-line.ndjson");
    assert_eq!(objects(&["load", "--to", &database.uri, &broken]).0, 2);
    let to = ["replay", "--to", &database.uri];
    let (code, printed) = objects(&[&to[..], &["--rejects"]].concat());
    assert_eq!((code, printed), (2, vec![json!({"replayed": 0, "stillRejected": 1})]));
    let (code, printed) = objects(&[&to[..], &[&broken]].concat());
    assert_eq!((code, printed.len(), &printed[0]["files"][0]["status"]), (2, 1, &json!("partial")));
    let (code, printed) = objects(&[&to[..], &["--outdated"]].concat());
    let sums = json!({"outdated": 0, "sent": 0, "newer": 0, "gone": 0, "inGlacier": 0});
    assert_eq!((code, printed), (0, vec![sums]));
    database.remove().await;
}
