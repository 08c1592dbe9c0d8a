//! `flatfire archive`

use std::fs;

use crate::database::TestDatabase;
use crate::program::{path_of, run};

const AUDIT: &str = r#"{"resourceType":"AuditEvent", "id":"a", "recorded":"2026-01-05T10:00:00Z"}"#;
const UPDATED: &str =
    r#"{"resourceType":"AuditEvent","id":"b","meta":{"lastUpdated":"2026-01-05T10:00:00Z"}}"#;
const UNKNOWN: &str = r#"{"resourceType":"Astrology","id":"c"}"#;

#[tokio::test]
async fn archived_resources_are_listed_printed_and_restored() {
    let database = TestDatabase::of("archive").await;
    let folder = tempfile::tempdir().unwrap();
    let file = path_of(&folder, "day.ndjson");
    fs::write(&file, [AUDIT, UPDATED, UNKNOWN].join("\n")).unwrap();
    let archive = |arguments: &[&str]| {
        let (command, rest) = arguments.split_first().unwrap();
        run(&[&["archive", command, "--to", &database.uri], rest].concat())
    };
    assert_eq!(archive(&["list"]).stdout, "nothing is archived\n");
    assert_eq!(run(&["load", "--to", &database.uri, "--inactive", "AuditEvent", &file]).code, 0);

    let types = archive(&["list"]).stdout;
    assert!(types.contains("AuditEvent ┆         2") && types.contains("Unknown"), "{types}");
    assert!(!types.contains("Astrology"), "{types}");
    let unknown = format!("Astrology/c\tfile/{file}\trecord 2\n");
    assert_eq!(archive(&["list", "Astrology"]).stdout, unknown);
    assert_eq!(archive(&["list", "Unknown"]).stdout, unknown);
    assert_eq!(archive(&["list", "Alchemy"]).stdout, "");
    assert_eq!(archive(&["show", "Astrology/c"]).stdout, format!("{UNKNOWN}\n"));
    let archived = database.archived().await;
    assert_eq!(archived.keys().collect::<Vec<_>>(), ["AuditEvent", "Unknown"]);
    assert_eq!(archived["Unknown"][0].get_str("resourceType").unwrap(), "Astrology");
    let listed = archive(&["list", "AuditEvent"]).stdout;
    assert_eq!(listed, format!("AuditEvent/a\tfile/{file}\trecord 0\nAuditEvent/b\tfile/{file}\trecord 1\n"));
    assert_eq!(archive(&["show", "AuditEvent/b", "AuditEvent/a"]).stdout, format!("{UPDATED}\n{AUDIT}\n"));

    let archived = database.archived().await["AuditEvent"].clone();
    let restored = archive(&["restore", "AuditEvent/a", "AuditEvent/b"]);
    assert_eq!(restored.code, 0, "{}", restored.stderr);
    assert_eq!(restored.stdout, "AuditEvent/a: restored; 1 rows\nAuditEvent/b: restored; 1 rows\n");
    assert!(database.archived().await["AuditEvent"].is_empty());
    let rows = database.content().await;
    assert!(rows.get("_tombstones").is_none_or(Vec::is_empty), "{rows:?}");
    assert!(!rows.contains_key("Astrology"), "{rows:?}");
    for (row, before) in rows["AuditEvent"].iter().zip(&archived) {
        for column in ["_id", "_source", "_load"] {
            assert_eq!(row.get(column), before.get(column), "{column}");
        }
    }

    let again = archive(&["restore", "AuditEvent/a"]);
    assert_eq!(again.code, 1);
    assert!(again.stderr.contains("AuditEvent/a: not in the archive"), "{}", again.stderr);
    let unknown = archive(&["restore", "Astrology/c"]);
    assert!(
        unknown.code == 1 && unknown.stderr.contains("a type that neither FHIR nor --resource-types has"),
        "{}",
        unknown.stderr
    );
    let named = archive(&["restore", "--resource-types", "Astrology", "Astrology/c"]);
    assert_eq!(named.stdout, "Astrology/c: restored; 1 rows\n", "{}", named.stderr);
    assert!(database.archived().await["Unknown"].is_empty());
    assert_eq!(database.content().await["Astrology"][0].get_str("_id").unwrap(), "Astrology/c");
    database.remove().await;
}

const BUNDLE: &str = r#"{"resourceType":"Bundle","id":"b","type":"transaction","entry":[
    {"fullUrl":"urn:uuid:9b2f0000-0000-4000-8000-000000000001","resource":{"resourceType":"Patient"}},
    {"fullUrl":"urn:uuid:9b2f0000-0000-4000-8000-000000000002","resource":{"resourceType":"Observation",
     "status":"final","subject":{"reference":"urn:uuid:9b2f0000-0000-4000-8000-000000000001"}}}]}"#;

/// What only the Bundle told of it is its key, which the archive knows; of others' keys it is said that they are missing.
#[tokio::test]
async fn what_has_its_key_from_a_bundle_comes_back_under_it() {
    let database = TestDatabase::of("archive_urn").await;
    let folder = tempfile::tempdir().unwrap();
    let file = path_of(&folder, "bundle.json");
    fs::write(&file, BUNDLE).unwrap();
    assert_eq!(
        run(&["load", "--to", &database.uri, "--tables", "automatic", "--inactive", "Observation", &file])
            .code,
        0
    );
    let key = "Observation/9b2f0000-0000-4000-8000-000000000002";
    let restored = run(&["archive", "restore", "--to", &database.uri, "--tables", "automatic", key]);
    assert_eq!((restored.code, restored.stdout), (0, format!("{key}: restored; 1 rows\n")));
    assert!(restored.stderr.contains("refers to others by urn"), "{}", restored.stderr);
    let content = database.content().await;
    assert_eq!(content["Observation"][0].get_str("_id").unwrap(), key);
    assert!(content["_tombstones"].is_empty() && database.archived().await["Observation"].is_empty());
    // The dictionary knows what it brought.
    let columns: Vec<_> = content["_columns"].iter().map(|column| column.get_str("_id").unwrap()).collect();
    assert!(columns.contains(&"Observation.status"), "{columns:?}");

    // As the message says.
    assert_eq!(run(&["replay", "--to", &database.uri, "--tables", "automatic", &file]).code, 0);
    let content = database.content().await;
    let subject = content["Observation"][0].get_str("subject_key").unwrap();
    assert_eq!(subject, "Patient/9b2f0000-0000-4000-8000-000000000001");

    // There and back, and there again under the settings of the first time: it stands in one place only.
    let archive = |database: &str| {
        run(&["replay", "--to", database, "--tables", "automatic", "--inactive", "Observation", &file])
    };
    assert_eq!(archive(&database.uri).code, 0);
    assert_eq!(run(&["archive", "restore", "--to", &database.uri, "--tables", "automatic", key]).code, 0);
    assert_eq!(archive(&database.uri).code, 0);
    assert_eq!(database.archived().await["Observation"].len(), 1);
    assert!(database.content().await.get("Observation").is_none_or(Vec::is_empty));
    database.remove().await;
}

/// Another resource in it is no reason to call it restored.
#[tokio::test]
async fn what_cannot_be_restored_stays_in_the_archive() {
    const PARAMETERS: &str = r#"{"resourceType":"Parameters","id":"p","meta":5,"parameter":[
        {"name":"a","resource":{"resourceType":"Basic","id":"inner"}}]}"#;
    let database = TestDatabase::of("archive_rejected").await;
    let folder = tempfile::tempdir().unwrap();
    let file = path_of(&folder, "parameters.json");
    fs::write(&file, PARAMETERS).unwrap();
    assert_eq!(run(&["load", "--to", &database.uri, "--inactive", "Parameters", &file]).code, 0);
    let restored = run(&["archive", "restore", "--to", &database.uri, "Parameters/p"]);
    assert_eq!(restored.code, 1);
    assert!(restored.stderr.contains("it is rejected: object-expected at /meta"), "{}", restored.stderr);
    assert_eq!(database.archived().await["Parameters"].len(), 1);
    database.remove().await;
}
