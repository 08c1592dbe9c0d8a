//! `flatfire forget`

use std::fs;

use mongodb::bson::Document;

use crate::database::{Content, TestDatabase};
use crate::program::{path_of, run};

const LINES: [&str; 7] = [
    r#"{"resourceType":"Patient","id":"1","name":[{"family":"canary"}],"contact":[{"gender":"other"}],"contained":[{"resourceType":"Organization","id":"c","name":"canary"}]}"#,
    r#"{"resourceType":"Patient","id":"11","name":[{"family":"Other"}]}"#,
    r#"{"resourceType":"Observation","id":"a","status":"final","subject":{"reference":"Patient/1"}}"#,
    r#"{"resourceType":"Observation","id":"b","status":"final","subject":{"reference":"Patient/11"}}"#,
    r#"{"resourceType":"Appointment","id":"c","participant":[{"actor":{"reference":"Patient/11"}},{"actor":{"reference":"Patient/1"}}]}"#,
    r#"{"resourceType":"AuditEvent","id":"d","entity":[{"what":{"reference":"Patient/1"}}]}"#,
    r#"{"resourceType":"Patient","id":"1","multipleBirthInteger":99999999999}"#,
];

const VIEW: &str = r#"{"name":"family","resource":"Patient","select":[{"forEach":"name","column":[{"name":"family","path":"family"}]}]}"#;

async fn loaded(test: &str) -> (TestDatabase, tempfile::TempDir) {
    let database = TestDatabase::of(test).await;
    let folder = tempfile::tempdir().unwrap();
    let (file, view) = (path_of(&folder, "day.ndjson"), path_of(&folder, "family.json"));
    fs::write(&file, LINES.join("\n")).unwrap();
    fs::write(&view, VIEW).unwrap();
    load(&database, &folder);
    (database, folder)
}

fn load(database: &TestDatabase, folder: &tempfile::TempDir) {
    let (file, view) = (path_of(folder, "day.ndjson"), path_of(folder, "family.json"));
    let settings = ["--again", "--arrays", "tables", "--inactive", "AuditEvent", "--views", &view];
    let ran = run(&[&["load", "--to", &database.uri], &settings[..], &[&file]].concat());
    assert_eq!(ran.code, 2, "{}", ran.stderr);
}

/// The `_id`s of all rows and archived resources.
fn ids(content: &Content) -> Vec<&str> {
    let tables =
        content.iter().filter(|(name, _)| !name.starts_with('_')).flat_map(|(_, documents)| documents);
    tables.map(|document| document.get_str("_id").unwrap()).collect()
}

#[tokio::test]
async fn nothing_of_a_forgotten_resource_is_left_but_its_tombstone() {
    let (database, folder) = loaded("forget").await;
    let before = database.content().await;
    assert!(ids(&before).iter().filter(|id| id.starts_with("Patient/1#")).count() >= 3, "{:?}", ids(&before));

    let dry = run(&["forget", "--to", &database.uri, "--dry-run", "Patient/1"]);
    assert_eq!(dry.code, 0, "{}", dry.stderr);
    assert!(
        dry.stdout.contains("Patient/1: would be forgotten; ") && dry.stdout.contains("1 in _rejects"),
        "{dry:?}"
    );
    assert_eq!(database.content().await, before);

    let ran = run(&["forget", "--to", &database.uri, "Patient/1"]);
    assert_eq!((ran.code, ran.stderr.as_str()), (0, ""));
    let after = database.content().await;
    assert!(
        ids(&after).iter().all(|id| *id != "Patient/1" && !id.starts_with("Patient/1#")),
        "{:?}",
        ids(&after)
    );
    assert!(ids(&after).contains(&"Patient/11") && ids(&after).contains(&"Observation/a"));
    assert!(after["_rejects"].is_empty());
    assert!(!format!("{after:?}").contains("canary"));
    let of_patient = |tombstone: &&Document| tombstone.get_str("_id").unwrap() == "Patient/1";
    let tombstone = after["_tombstones"].iter().find(of_patient).unwrap();
    assert_eq!(tombstone.get_str("fate").unwrap(), "deleted");

    // The same bytes once more: they are older than the forgetting.
    load(&database, &folder);
    let reloaded = database.content().await;
    assert!(!ids(&reloaded).contains(&"Patient/1"), "{:?}", ids(&reloaded));
    let unknown = run(&["forget", "--to", &database.uri, "Patient/2"]);
    assert!(unknown.stdout.contains("nothing of it stands anywhere"), "{unknown:?}");
    assert_eq!(run(&["forget", "--to", &database.uri, "Patient"]).code, 1);
    database.remove().await;
}

#[tokio::test]
async fn who_refers_to_it_goes_too_when_asked_for() {
    let (database, _folder) = loaded("forget_referring").await;
    let ran = run(&["forget", "--to", &database.uri, "--referring", "Patient/1"]);
    assert_eq!(ran.code, 0, "{}", ran.stderr);
    let mut forgotten: Vec<_> = ran.stdout.lines().map(|line| line.split(':').next().unwrap()).collect();
    forgotten.sort_unstable();
    assert_eq!(forgotten, ["Appointment/c", "AuditEvent/d", "Observation/a", "Patient/1"]);
    let (rows, archived) = (database.content().await, database.archived().await);
    let mut left: Vec<_> = ids(&rows).into_iter().filter(|id| !id.contains('#')).collect();
    left.sort_unstable();
    assert_eq!(left, ["Observation/b", "Patient/11"]);
    assert!(ids(&archived).is_empty());
    database.remove().await;
}
