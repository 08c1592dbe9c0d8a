//! `flatfire audit`, of a bucket that the test plays and a ledger that it has written. What it sends is tested where
//! there is a cloud, and so is `flatfire backfill`.

use std::collections::BTreeMap;

use mongodb::bson::{DateTime, Document, doc};
use serde_json::Value;

use crate::database::TestDatabase;
use crate::objects::{self, Object};
use crate::program::{Ran, flatfire};

/// A version, what the ledger says (its status, what else), and the word of the audit.
type Case = (&'static str, Option<(&'static str, Document)>, &'static str);

fn cases() -> Vec<Case> {
    let lease = |until: i64| doc! { "lease": { "owner": "o", "until": DateTime::from_millis(until) } };
    vec![
        ("v1", Some(("done", doc! {})), "done"),
        ("v2", Some(("partial", doc! {})), "partial"),
        ("v3", Some(("superseded", doc! {})), "superseded"),
        ("v4", Some(("failed", doc! {})), "failed"),
        ("v5", Some(("refused", doc! { "problem": "min_resources" })), "refused"),
        ("v6", Some(("running", lease(i64::MAX / 1_000_000))), "running"),
        ("v7", Some(("running", lease(1_000))), "stuck"),
        ("v8", Some(("running", doc! { "problem": "reading failed" })), "running"),
        // It is listed, so the ledger is wrong.
        ("v9", Some(("gone", doc! {})), "missing"),
        ("v10", None, "missing"),
    ]
}

fn load(id: &str, status: &str, more: Document) -> Document {
    let created = DateTime::parse_rfc3339_str("2026-01-05T10:21:07Z").unwrap();
    let mut load = doc! { "_id": id, "status": status, "created": created };
    load.extend(more);
    load
}

fn audit(bucket: &str, database: &TestDatabase, arguments: &[&str]) -> Ran {
    let mut command = flatfire(&[&["audit", "s3://clinic/in/", "--to", &database.uri], arguments].concat());
    command.envs([("AWS_ENDPOINT_URL", bucket), ("AWS_REGION", "eu-central-1")]);
    command.envs([("AWS_ACCESS_KEY_ID", "id"), ("AWS_SECRET_ACCESS_KEY", "secret")]);
    command.output().unwrap().into()
}

#[tokio::test]
async fn every_status_of_the_ledger_has_its_word() {
    let database = TestDatabase::of("audit").await;
    let loads = database.rows.collection::<Document>("_loads");
    let object = |version| Object { key: "in/a.ndjson", version, bytes: b"{}".to_vec() };
    let mut bucket: Vec<Object> = cases().iter().map(|(version, ..)| object(version)).collect();
    let empty = Object { key: "in/empty.ndjson", version: "v11", bytes: Vec::new() };
    let other = Object { key: "other/a.ndjson", version: "v12", bytes: b"{}".to_vec() };
    bucket.extend([empty, other]);
    for (version, known, _) in cases() {
        if let Some((status, more)) = known {
            let id = format!("clinic/in/a.ndjson@{version}");
            loads.insert_one(load(&id, status, more)).await.unwrap();
        }
    }
    // Deleted before and after their loads, and of another prefix.
    for (id, status) in [("in/b@v20", "gone"), ("in/c@v21", "done"), ("into/d@v22", "gone")] {
        loads.insert_one(load(&format!("clinic/{id}"), status, doc! {})).await.unwrap();
    }
    let bucket = objects::serve(bucket);

    let ran = audit(&bucket, &database, &["--json"]);
    assert_eq!(ran.code, 2, "{ran:?}");
    let lines: Vec<Value> = ran.stdout.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let (sums, findings) = lines.split_last().unwrap();
    let found: BTreeMap<&str, &str> = findings
        .iter()
        .map(|finding| (finding["load"].as_str().unwrap(), finding["status"].as_str().unwrap()))
        .collect();
    let is_in = |word: &str| matches!(word, "done" | "partial" | "superseded");
    let expected = cases().into_iter().filter(|(.., word)| !is_in(word));
    let expected = expected.map(|(version, _, word)| (format!("clinic/in/a.ndjson@{version}"), word));
    let mut expected: BTreeMap<String, &str> = expected.collect();
    expected.insert("clinic/in/b@v20".to_owned(), "gone");
    assert_eq!(found, expected.iter().map(|(id, word)| (id.as_str(), *word)).collect());
    let count = |word: &str| {
        let listed = cases().into_iter().filter(|(.., other)| *other == word).count();
        listed + usize::from(word == "gone")
    };
    for (word, sum) in sums["statuses"].as_object().unwrap() {
        assert_eq!(sum.as_u64(), Some(count(word) as u64), "{word}");
    }
    assert_eq!(sums["days"]["2026-01-05"], sums["statuses"]);
    assert_eq!((&sums["versions"], &sums["deletedSinceLoaded"]), (&11.into(), &1.into()));

    let ran = audit(&bucket, &database, &[]);
    let (named, table) = ran.stdout.split_once('┌').unwrap();
    assert_eq!(named.lines().count(), findings.len());
    assert!(named.contains("stuck\tclinic/in/a.ndjson@v7\t2026-01-05T10:21:07Z\n"), "{named}");
    assert!(table.contains("1 other loads are of versions that were deleted since"), "{table}");
    let last =
        "not everything is in: 2 missing, 1 stuck, 1 failed, 1 refused, 2 running of 11 object versions\n";
    assert!(table.ends_with(last), "{table}");

    // A time without objects, and another ending.
    let ran = audit(&bucket, &database, &["--until", "2026-01-05"]);
    assert_eq!((ran.code, ran.stdout.as_str()), (0, "everything is in: 0 object versions\n"));
    assert_eq!(audit(&bucket, &database, &["--suffix", ".json"]).code, 0);
    database.remove().await;
}

#[tokio::test]
async fn wrong_arguments_are_named() {
    let database = TestDatabase::of("audit_arguments").await;
    let bucket = objects::serve(Vec::new());
    for (arguments, part) in [
        (["--since", "2026-01-05", "--until", "2026-01-05"].as_slice(), "nothing lies between them"),
        (&["--since", "soon"], "write a date"),
        (&["--send"], "--queue-url"),
        (&["--expect", "no/such/file"], "--expect no/such/file"),
        (&["--inventory", "no/such/file"], "--inventory no/such/file"),
    ] {
        let ran = audit(&bucket, &database, arguments);
        assert!(ran.code == 1 && ran.stderr.contains(part), "{part}: {ran:?}");
    }
    database.remove().await;
}
