//! `flatfire replay`, of files. What it does with buckets and queues is tested where there is a cloud.

use std::fs;
use std::process::Command;

use crate::database::{Content, TestDatabase};
use crate::program::{Ran, path_of, run};

const CHECK: &str = r#"[{"type":"Patient","path":"birthDate.exists()","severity":"reject","message":"a patient has a birth date"}]"#;
const LINES: [&str; 5] = [
    r#"{"resourceType":"Patient","id":"1","birthDate":"1970-01-01"}"#,
    r#"{"resourceType":"Patient","id":"2","active":true}"#,
    r#"{"resourceType":"Patient","active":false}"#,
    r#"{"resourceType":"Patient","id":"#,
    r#"{"resourceType":"Patient","id":"3","birthDate":"1970-01-02"}"#,
];

fn ids(content: &Content, table: &str) -> Vec<String> {
    content[table].iter().map(|document| document.get_str("_id").unwrap().to_owned()).collect()
}

fn replay(database: &TestDatabase, arguments: &[&str]) -> Ran {
    run(&[&["replay", "--to", &database.uri], arguments].concat())
}

/// Loads the lines with a check that refuses some, plain or compressed.
async fn rejected(test: &str, compress: bool) -> (TestDatabase, tempfile::TempDir, String) {
    let database = TestDatabase::of(test).await;
    let folder = tempfile::tempdir().unwrap();
    let (mut file, checks) = (path_of(&folder, "day.ndjson"), path_of(&folder, "checks.json"));
    fs::write(&file, LINES.join("\n")).unwrap();
    fs::write(&checks, CHECK).unwrap();
    if compress {
        assert!(Command::new("gzip").arg(&file).status().unwrap().success());
        file.push_str(".gz");
    }
    let ran = run(&["load", "--to", &database.uri, "--checks", &checks, &file]);
    assert_eq!(ran.code, 2, "{}", ran.stderr);
    let content = database.content().await;
    assert_eq!((ids(&content, "Patient").len(), ids(&content, "_rejects").len()), (2, 3));
    (database, folder, file)
}

#[tokio::test]
async fn rejected_records_are_loaded_by_their_bytes_once_nothing_speaks_against_them() {
    for compress in [false, true] {
        let (database, folder, file) = rejected("replay_rejects", compress).await;
        let checks = path_of(&folder, "checks.json");
        let again = replay(&database, &["--rejects", "--checks", &checks]);
        assert_eq!((again.code, again.stdout.as_str()), (2, "0 records replayed, 3 still rejected\n"));
        assert!(
            again.stderr.contains("check-failed") && again.stderr.contains(": rejected again"),
            "{again:?}"
        );

        let ran = replay(&database, &["--rejects", "--code", "check-failed", &file]);
        assert_eq!((ran.code, ran.stdout.as_str()), (2, "1 records replayed, 1 still rejected\n"), "{ran:?}");
        assert!(ran.stderr.contains("replay the whole load"), "{}", ran.stderr);
        let content = database.content().await;
        assert_eq!(ids(&content, "Patient"), ["Patient/1", "Patient/2", "Patient/3"]);
        assert_eq!(ids(&content, "_rejects").len(), 2);
        let rows = &content["Patient"];
        assert_eq!(rows[1].get_document("_source").unwrap().get_i64("ordinal").unwrap(), 1);
        assert_eq!(rows[0].get("_load"), rows[1].get("_load"));
        database.remove().await;
    }
}

#[tokio::test]
async fn a_changed_file_is_not_taken_for_what_it_was() {
    let (database, _folder, file) = rejected("replay_changed", false).await;
    fs::write(&file, LINES.join("\n").replace("active", "inactive")).unwrap();
    let ran = replay(&database, &["--rejects"]);
    assert_eq!((ran.code, ran.stdout.as_str()), (2, "0 records replayed, 3 still rejected\n"));
    assert!(ran.stderr.contains("no longer what it was"), "{}", ran.stderr);
    fs::remove_file(&file).unwrap();
    assert!(replay(&database, &["--rejects"]).stderr.contains("its object is gone"));
    database.remove().await;
}

#[tokio::test]
async fn whole_loads_fill_their_gaps() {
    let (database, _folder, file) = rejected("replay_whole", false).await;
    let ran = replay(&database, &["--status", "partial"]);
    assert_eq!(ran.code, 2, "{}", ran.stderr);
    let content = database.content().await;
    assert_eq!(ids(&content, "Patient").len(), 4);
    // What nothing speaks against any more is no reject any more, and is not listed as one.
    let codes: Vec<_> = content["_rejects"].iter().map(|reject| reject.get_str("code").unwrap()).collect();
    assert_eq!(codes, ["truncated"]);
    assert!(!ran.stderr.contains("check-failed"), "{}", ran.stderr);
    assert_eq!(content["_loads"].len(), 1);
    assert_eq!(content["_loads"][0].get_i64("attempts").unwrap(), 2);
    assert_eq!(replay(&database, &[&file]).code, 2);

    assert_eq!(replay(&database, &[]).code, 1);
    let unknown = replay(&database, &["no/such/load"]);
    assert!(unknown.code == 1 && unknown.stderr.contains("no load `no/such/load`"), "{}", unknown.stderr);
    database.remove().await;
}

/// What another program or other views have made is made again, once, and nothing else.
#[tokio::test]
async fn outdated_loads_are_made_again() {
    const VIEW: &str = r#"{"resourceType":"ViewDefinition","name":"patients","status":"active","resource":"Patient",
        "select":[{"column":[{"name":"id","path":"getResourceKey()"},{"name":"born","path":"birthDate"}]}]}"#;
    let database = TestDatabase::of("replay_outdated").await;
    let folder = tempfile::tempdir().unwrap();
    let (views, one, two) =
        (path_of(&folder, "view.json"), path_of(&folder, "one.ndjson"), path_of(&folder, "two.ndjson"));
    fs::write(&views, VIEW).unwrap();
    fs::write(&one, LINES[0]).unwrap();
    fs::write(&two, LINES[4]).unwrap();
    let load =
        |path: &str| run(&["load", "--to", &database.uri, "--views", &views, "--catalog-differs-ok", path]);
    assert_eq!(load(&one).code, 0);
    fs::write(&views, VIEW.replace("\"born\"", "\"birth\"")).unwrap();
    assert_eq!(load(&two).code, 0);
    let outdated =
        |arguments: &[&str]| replay(&database, &[&["--outdated", "--views", &views], arguments].concat());
    let columns = async || {
        let content = database.content().await;
        let rows = content["patients"].iter();
        rows.map(|row| (row.contains_key("born"), row.contains_key("birth"))).collect::<Vec<_>>()
    };
    let dry = outdated(&["--dry-run"]);
    assert_eq!(dry.code, 0, "{}", dry.stderr);
    assert_eq!(dry.stdout.lines().count(), 1, "{}", dry.stdout);
    assert!(dry.stdout.contains("one.ndjson") && dry.stdout.contains("load again here"), "{}", dry.stdout);
    assert!(dry.stderr.contains("1 made by code "), "{}", dry.stderr);
    let json = outdated(&["--dry-run", "--json"]);
    let told: serde_json::Value = serde_json::from_str(&json.stdout).unwrap();
    let named = replay(&database, &["--dry-run", "--json", &one]);
    assert_eq!(told, serde_json::from_str::<serde_json::Value>(&named.stdout).unwrap());
    assert!(told["load"].as_str().unwrap().contains("one.ndjson"), "{told}");
    assert_eq!((&told["code"], &told["by"]), (&env!("CARGO_PKG_VERSION").into(), &"here".into()));
    assert_eq!(columns().await, [(true, false), (false, true)], "a dry run changes nothing");

    let ran = outdated(&[]);
    assert_eq!(ran.code, 0, "{}", ran.stderr);
    assert_eq!(columns().await, [(false, true), (false, true)]);
    let again = outdated(&[]);
    assert!(again.code == 0 && again.stderr.contains("all loads were made by"), "{}", again.stderr);
    let content = database.content().await;
    let attempts: Vec<i64> = content["_loads"].iter().map(|load| load.get_i64("attempts").unwrap()).collect();
    assert_eq!(attempts, [2, 1]);

    let loads = database.rows.collection::<mongodb::bson::Document>("_loads");
    let of = |path: &str| mongodb::bson::doc! { "key": path };
    let made_by = |code: &str| mongodb::bson::doc! { "$set": { "code": code } };
    loads.update_one(of(&one), made_by("99.0.0")).await.unwrap();
    loads.update_one(of(&two), made_by("0.0.9")).await.unwrap();
    fs::write(&two, LINES[1]).unwrap();
    let ran = outdated(&[]);
    assert_eq!(ran.code, 2, "{}", ran.stderr);
    for part in
        ["1 made by code 0.0.9", "1 left: a newer program", "1 left: their object is gone, or their file"]
    {
        assert!(ran.stderr.contains(part), "{part} is missing in:\n{}", ran.stderr);
    }
    database.remove().await;
}
