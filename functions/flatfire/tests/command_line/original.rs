//! `flatfire original`: the bytes that are printed are those of the file, in any form and any compression.

use std::fs;
use std::process::Command;

use mongodb::bson::{Document, doc};

use crate::database::TestDatabase;
use crate::objects::{self, Object};
use crate::program::{Ran, flatfire, path_of, run};

const PATIENT: &str = r#"{ "resourceType" : "Patient","id":"1",  "name":[{"family":"A"},{"family":"B"}] }"#;
const ACTIVE: &str = r#"{"resourceType":"Patient","id":"2","active":true}"#;

fn original(database: &TestDatabase, arguments: &[&str]) -> Ran {
    run(&[&["original", "--to", &database.uri], arguments].concat())
}

/// Returns the same two resources in every form of file.
fn forms() -> Vec<(&'static str, String)> {
    vec![
        ("lines.ndjson", format!("{ACTIVE}\n{PATIENT}\r\n")),
        ("array.json", format!("\u{feff}[{ACTIVE} , {PATIENT}]")),
        ("behind.json", format!("{PATIENT}{ACTIVE}")),
        (
            "bundle.json",
            format!(
                r#"{{"resourceType":"Bundle","type":"collection","entry":[{{"resource":{ACTIVE}}},{{"fullUrl":"urn:x","resource":{PATIENT}}}]}}"#
            ),
        ),
    ]
}

#[tokio::test]
async fn exactly_the_bytes_of_a_row_come_out_of_every_form() {
    let database = TestDatabase::of("original").await;
    let folder = tempfile::tempdir().unwrap();
    for (name, text) in forms() {
        for compression in ["", "gzip", "zstd"] {
            let mut path = path_of(&folder, name);
            fs::write(&path, &text).unwrap();
            if !compression.is_empty() {
                let bytes = match compression {
                    "gzip" => {
                        assert!(Command::new("gzip").args(["-kf", &path]).status().unwrap().success());
                        fs::read(format!("{path}.gz")).unwrap()
                    }
                    _ => zstd::encode_all(text.as_bytes(), 3).unwrap(),
                };
                path = path_of(&folder, &format!("{name}.{compression}"));
                fs::write(&path, bytes).unwrap();
            }
            let loaded = run(&[
                "load",
                "--to",
                &database.uri,
                "--arrays",
                "tables",
                "--catalog-differs-ok",
                "--again",
                &path,
            ]);
            assert_eq!(loaded.code, 0, "{}", loaded.stderr);
            let of = |id: &str| original(&database, &[id]);
            for (id, expected) in [("Patient/1", PATIENT), ("Patient/2", ACTIVE)] {
                let ran = of(id);
                assert_eq!((ran.code, ran.stdout.as_str()), (0, expected), "{path}: {}", ran.stderr);
            }
            let named = original(&database, &["--where", "Patient/1"]).stdout;
            let first = text.find(PATIENT).unwrap();
            let bytes = format!("bytes {first}-{}", first + PATIENT.len() - 1);
            assert!(named.contains(&bytes) && named.contains(name), "{path}: {named}");
        }
    }
    // A row of a child table came from the same bytes.
    let children = database.rows.collection::<Document>("Patient_name");
    let child = children.find_one(doc! {}).await.unwrap().unwrap();
    assert_eq!(original(&database, &[child.get_str("_id").unwrap()]).stdout, PATIENT);
    let digest = original(&database, &["--sha256", "Patient/2"]).stdout;
    let sum = path_of(&folder, "sum");
    fs::write(&sum, ACTIVE).unwrap();
    let oracle = Command::new("sha256sum").arg(&sum).output().unwrap();
    assert_eq!(digest.trim(), String::from_utf8(oracle.stdout).unwrap().split(' ').next().unwrap());
    database.remove().await;
}

#[tokio::test]
async fn bytes_that_are_not_there_any_more_are_said_to_be_so() {
    let database = TestDatabase::of("original_gone").await;
    let folder = tempfile::tempdir().unwrap();
    let path = path_of(&folder, "a.ndjson");
    fs::write(&path, format!("{PATIENT}\n{ACTIVE}\n")).unwrap();
    run(&["load", "--to", &database.uri, &path]);
    let unknown = original(&database, &["Patient/9"]);
    assert!(unknown.code == 2 && unknown.stderr.contains("no table has a row Patient/9"), "{unknown:?}");
    fs::write(&path, format!("{PATIENT}\n{ACTIVE} \n")).unwrap();
    let changed = original(&database, &["Patient/1"]);
    assert_eq!((changed.code, changed.stdout.as_str()), (2, ""));
    assert!(changed.stderr.contains("has other bytes than those that were loaded"), "{}", changed.stderr);
    fs::remove_file(&path).unwrap();
    let gone = original(&database, &["Patient/1"]);
    assert!(gone.code == 2 && gone.stderr.contains("is not there any more"), "{gone:?}");
    database.remove().await;
}

/// Of a bucket the version that was loaded counts, not the latest one.
#[tokio::test]
async fn the_version_that_was_loaded_is_read() {
    let database = TestDatabase::of("original_s3").await;
    let lines = |first: &str| format!("{ACTIVE}\n{first}\n").into_bytes();
    let other = r#"{"resourceType":"Patient","id":"3"}"#;
    let bucket = objects::serve(vec![
        Object { key: "in/a.ndjson", version: "v2", bytes: lines(other) },
        Object { key: "in/a.ndjson", version: "v1", bytes: lines(PATIENT) },
    ]);
    let rows = database.rows.collection::<Document>("Patient");
    let number = |length: usize| i64::try_from(length).unwrap();
    for (id, load, record) in
        [("Patient/1", "v1", PATIENT), ("Patient/4", "v2", other), ("Patient/5", "v3", PATIENT)]
    {
        let source = doc! {
            "bucket": "clinic", "key": "in/a.ndjson", "versionId": load, "ordinal": 1_i64,
            "offset": number(ACTIVE.len() + 1), "length": number(record.len()),
        };
        let load = format!("clinic/in/a.ndjson@{load}");
        rows.insert_one(doc! { "_id": id, "_version": "1", "_source": source, "_load": load }).await.unwrap();
    }
    let of = |id: &str| -> Ran {
        let mut command = flatfire(&["original", "--to", &database.uri, id]);
        command.envs([("AWS_ENDPOINT_URL", bucket.as_str()), ("AWS_REGION", "eu-central-1")]);
        command.envs([("AWS_ACCESS_KEY_ID", "id"), ("AWS_SECRET_ACCESS_KEY", "secret")]);
        command.output().unwrap().into()
    };
    let ran = of("Patient/1");
    assert_eq!((ran.code, ran.stdout.as_str()), (0, PATIENT), "{}", ran.stderr);
    let changed = of("Patient/4");
    assert!(changed.code == 2 && changed.stderr.contains("has other bytes"), "{changed:?}");
    let gone = of("Patient/5");
    assert!(
        gone.code == 2 && gone.stderr.contains("version v3 of s3://clinic/in/a.ndjson is gone"),
        "{gone:?}"
    );
    database.remove().await;
}
