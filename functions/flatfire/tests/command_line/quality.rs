//! `flatfire quality`: what is found, and the exit code that says so.

use std::fs;

use serde_json::{Value, json};
use tempfile::TempDir;

use crate::database::TestDatabase;
use crate::program::{path_of, run};

const PATIENT: &str = r#"{"resourceType":"Patient","id":"p","gender":"female","birthDate":"1988-07-01","name":[{"family":"Lindqvist"}]}"#;
const WITHOUT_SYSTEM: &str = r#"{"resourceType":"Condition","id":"c","subject":{"reference":"Patient/p"},"code":{"coding":[{"code":"CANARY"}]}}"#;

fn load(database: &TestDatabase, folder: &TempDir, name: &str, lines: &[&str]) {
    let path = path_of(folder, name);
    fs::write(&path, lines.join("\n")).unwrap();
    let ran = run(&["load", "--tables", "automatic", "--to", &database.uri, &path]);
    assert_eq!(ran.code, 0, "{ran:?}");
}

#[tokio::test]
async fn findings_are_printed_and_exit_with_2() {
    let (database, folder) = (TestDatabase::of("quality").await, TempDir::new().unwrap());
    load(&database, &folder, "clean.ndjson", &[PATIENT]);
    let ran = run(&["quality", "--to", &database.uri]);
    assert_eq!((ran.code, &*ran.stdout), (0, ""), "{ran:?}");
    assert!(ran.stderr.contains("nothing was found"), "{ran:?}");

    load(&database, &folder, "defect.ndjson", &[WITHOUT_SYSTEM]);
    let ran = run(&["quality", "--to", &database.uri]);
    assert_eq!(ran.code, 2, "{ran:?}");
    assert!(ran.stdout.contains("code-without-system") && ran.stdout.contains("Condition"), "{ran:?}");
    let ran = run(&["quality", "--to", &database.uri, "--json"]);
    assert!(ran.code == 2 && !ran.stdout.contains("CANARY"), "{ran:?}");
    let mut found: Value = serde_json::from_str(ran.stdout.trim()).unwrap();
    assert!(found["remedy"].take().as_str().is_some_and(|remedy| remedy.starts_with("Ask the sender")));
    let expected = json!({
        "check": "code-without-system", "title": "Code without a system", "table": "Condition", "column": "code",
        "count": 1, "of": 1, "detail": null, "remedy": null,
    });
    assert_eq!(found, expected);
    let ran = run(&["explain", "code-without-system"]);
    assert!(ran.code == 0 && ran.stdout.contains("coding has a code and no system"), "{ran:?}");
    database.remove().await;
}
