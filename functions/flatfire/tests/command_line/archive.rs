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
    assert!(types.contains("AuditEvent ┆         2") && types.contains("Astrology"), "{types}");
    let listed = archive(&["list", "AuditEvent"]).stdout;
    assert_eq!(listed, format!("AuditEvent/a\tfile/{file}\trecord 0\nAuditEvent/b\tfile/{file}\trecord 1\n"));
    assert_eq!(archive(&["show", "AuditEvent/b", "AuditEvent/a"]).stdout, format!("{UPDATED}\n{AUDIT}\n"));

    let archived = database.archived().await["AuditEvent"].clone();
    let restored = archive(&["restore", "AuditEvent/a", "AuditEvent/b"]);
    assert_eq!(restored.code, 0, "{}", restored.stderr);
    assert_eq!(restored.stdout, "AuditEvent/a: restored; 1 rows\nAuditEvent/b: restored; 1 rows\n");
    assert!(database.archived().await["AuditEvent"].is_empty());
    let rows = database.content().await;
    let tombstones: Vec<_> = rows["_tombstones"].iter().map(|one| one.get_str("_id").unwrap()).collect();
    assert_eq!(tombstones, ["Astrology/c"]);
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
        unknown.code == 1 && unknown.stderr.contains("a type that FHIR does not have"),
        "{}",
        unknown.stderr
    );
    database.remove().await;
}
