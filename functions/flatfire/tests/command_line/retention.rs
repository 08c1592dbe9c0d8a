//! How long rows are kept: `--retention-days` of `load` and `index`, with a database that deletes by itself.

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::time::{Duration, SystemTime};

use futures::TryStreamExt as _;
use mongodb::bson::{Document, doc};
use mongodb::{Client, Database};
use tempfile::TempDir;

use crate::program::{Ran, path_of, run};
use crate::replica_set::{ReplicaSet, find_mongod};

/// 2001-09-09T01:46:40Z
const OLD: i64 = 1_000_000_000_000;

/// Returns resources whose rows stand in tables of every kind, each with this word in its id.
fn resources(word: &str) -> String {
    [
        r#"{"resourceType":"Patient","id":"p-WORD","name":[{"family":"F"}],"contained":[{"resourceType":"Practitioner","id":"c","gender":"male","name":[{"family":"C"}]}]}"#,
        r##"{"resourceType":"Observation","id":"o-WORD","status":"final","code":{"text":"c"},"subject":{"reference":"Patient/p-WORD"},"component":[{"code":{"text":"d"},"valueInteger":7}],"contained":[{"resourceType":"Practitioner","id":"c","gender":"female","name":[{"family":"C"}]}],"performer":[{"reference":"#c"}]}"##,
        r#"{"resourceType":"Observation","id":"u-WORD","status":"final","code":{"text":"c"},"unknownElement":{"a":[1]}}"#,
    ]
    .join("\n")
    .replace("WORD", word)
}

/// Writes a file, and makes it old if it is to be.
fn write(folder: &TempDir, word: &str, is_old: bool) -> String {
    let path = path_of(folder, &format!("{word}.ndjson"));
    fs::write(&path, resources(word)).unwrap();
    if is_old {
        let modified = SystemTime::UNIX_EPOCH + Duration::from_millis(OLD.cast_unsigned());
        File::options().write(true).open(&path).unwrap().set_modified(modified).unwrap();
    }
    path
}

/// Returns every row as `table _id`, with when it was received.
async fn rows(database: &Database) -> Vec<(String, Option<i64>)> {
    let mut found = Vec::new();
    let names = database.list_collection_names().await.unwrap();
    for table in names.iter().filter(|name| !name.starts_with('_')) {
        let collection = database.collection::<Document>(table);
        let rows: Vec<Document> = collection.find(doc! {}).await.unwrap().try_collect().await.unwrap();
        found.extend(rows.iter().map(|row| {
            let received = row.get_datetime("_received").ok().map(|moment| moment.timestamp_millis());
            (format!("{table} {}", row.get_str("_id").unwrap()), received)
        }));
    }
    found
}

async fn names(database: &Database) -> BTreeSet<String> {
    rows(database).await.into_iter().map(|(name, _)| name).collect()
}

/// Waits until rows with a part in their name are gone, and returns what is left.
async fn without(database: &Database, part: &str) -> BTreeSet<String> {
    for _ in 0..600 {
        let left = names(database).await;
        if !left.iter().any(|name| name.contains(part)) {
            return left;
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    panic!("{part} stays: {:?}", names(database).await);
}

fn done(arguments: &[&str]) -> Ran {
    let ran = run(arguments);
    assert_eq!(ran.code, 0, "{ran:?}");
    ran
}

#[tokio::test]
async fn rows_of_every_kind_of_table_go_with_their_resource() {
    #[allow(clippy::disallowed_methods, reason = "a test's server is named in the environment")]
    let given = std::env::var("FLATFIRE_MONGOD").ok();
    let Some(mongod) = find_mongod(given.as_deref()) else { return };
    let set = ReplicaSet::start(&mongod, 1, None);
    let uri = set.uri_of_nobody("fhir");
    let database = Client::with_uri_str(&uri).await.unwrap().database("fhir");
    let folder = tempfile::tempdir().unwrap();
    let files = [write(&folder, "old", true), write(&folder, "new", false)];
    let load = |more: &[&str]| {
        let files = files.iter().map(String::as_str);
        let arguments: Vec<&str> = ["load", "--to", &uri, "--arrays", "tables"]
            .into_iter()
            .chain(more.iter().copied())
            .chain(files)
            .collect();
        done(&arguments)
    };
    load(&[]);
    let all = rows(&database).await;
    for (name, received) in &all {
        let received = received.unwrap_or_else(|| panic!("{name} does not say when it was received"));
        assert_eq!(received == OLD, name.contains("-old"), "{name}: {received}");
    }
    let has = |part: &str| all.iter().any(|(name, _)| name.starts_with(part));
    for table in [
        "Observation_component Obs",
        "Practitioner_contained Pat",
        "Practitioner_contained_name Obs",
        "patients Pat",
    ] {
        assert!(has(table), "{table}: {all:?}");
    }
    tokio::time::sleep(Duration::from_secs(3)).await;
    assert_eq!(rows(&database).await, all, "without a setting everything stays");

    load(&["--again", "--retention-days", "Observation=10"]);
    let left = without(&database, "Observation/o-old").await;
    let expected = all
        .iter()
        .map(|(name, _)| name)
        .filter(|name| !name.contains("Observation/u-old") && !name.contains("Observation/o-old"));
    assert_eq!(left, expected.cloned().collect(), "and nothing else");

    // The changed setting holds for tables that nobody loads into.
    let ran = done(&[
        "index",
        "--to",
        &uri,
        "--retention-days",
        "Patient=11,*=0",
        "--ledger-days",
        "400",
        "--json",
    ]);
    for table in ["Patient", "Observation_component", "Practitioner_contained", "patients", "_loads"] {
        assert!(ran.stdout.contains(&format!(r#"{{"table":"{table}","retention":"changed"}}"#)), "{ran:?}");
    }
    let left = without(&database, "Patient/p-old").await;
    assert_eq!(
        left,
        all.iter().map(|(name, _)| name).filter(|name| !name.contains("-old")).cloned().collect()
    );
    let again = done(&["index", "--to", &uri, "--retention-days", "Patient=11,*=0", "--ledger-days", "400"]);
    assert_eq!(again.stdout, "", "everything is as it should be");

    // What has expired comes back as it was, and expires again; with no setting it stays.
    let ran = load(&["--again", "--retention-days", "*=0", "--ledger-days", "0"]);
    assert_eq!(names(&database).await.len(), all.len(), "{ran:?}");
    tokio::time::sleep(Duration::from_secs(3)).await;
    assert_eq!(names(&database).await.len(), all.len());
}

#[test]
fn wrong_settings_are_told_before_anything_is_done() {
    let uri = "mongodb://127.0.0.1:9/fhir";
    for (option, value, message) in [
        ("--retention-days", "Observation", "a rule is TYPE=DAYS"),
        ("--retention-days", "Nothing=1", "no resource type of that name has tables"),
        ("--retention-days", "*=1,*=2", "two rules"),
        ("--ledger-days", "29", "from 30 days: messages live 14 days"),
        ("--reject-days", "x", "a whole number of days"),
    ] {
        for command in [&["index"][..], &["load", "no/such/file"]] {
            let ran = run(&[command, &["--to", uri, option, value]].concat());
            assert_eq!(ran.code, 1, "{ran:?}");
            assert!(ran.stderr.contains(message) && ran.stderr.contains(option), "{option} {value}: {ran:?}");
        }
    }
}
