//! `flatfire status`

use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use mongodb::bson::{DateTime, Document, doc};
use serde_json::Value;

use crate::database::TestDatabase;
use crate::program::{Ran, path_of, run, sample};
use crate::terminal::Terminal;

#[tokio::test]
async fn loads_are_listed_filtered_and_explained() {
    let database = TestDatabase::of("status").await;
    let status =
        |arguments: &[&str]| -> Ran { run(&[&["status", "--to", &database.uri], arguments].concat()) };
    assert_eq!(status(&[]).stdout, "no loads\n");
    let (broken, whole) = (sample("patients-with-a-broken-line.ndjson"), sample("patient-bundle.json"));
    run(&["load", "--to", &database.uri, "--operator", "tester", "--tables", "automatic", &broken, &whole]);

    let all = status(&[]);
    assert_eq!((all.code, all.stderr.as_str()), (0, ""));
    assert!(all.stdout.contains(&broken) && all.stdout.contains(&whole), "{}", all.stdout);
    let partial = status(&["--status", "partial"]);
    assert!(partial.stdout.contains(&broken) && !partial.stdout.contains(&whole), "{}", partial.stdout);
    let one = status(&["--limit", "1"]).stdout;
    assert!(
        one.contains("patients-with") && !one.contains("patient-bundle"),
        "what needs a look first:\n{one}"
    );
    for part in [
        "today",
        "done",
        "files/h",
        "lag, median",
        "rejects, 7 days",
        "1  truncated",
        "last success by folder",
    ] {
        assert!(all.stdout.contains(part), "{part} is missing in:\n{}", all.stdout);
    }
    for (pattern, found) in [("bundle", 1), ("patient", 2), ("*.ndjson", 1), ("*", 2)] {
        let lines = status(&[pattern, "--json"]).stdout;
        assert_eq!(lines.lines().count(), found, "{pattern}: {lines}");
    }
    assert_eq!(status(&["bundle", "--since", "24h"]).code, 0);
    assert_eq!(status(&["bundle", "--since", "2999-01-01"]).code, 1);

    let explained = status(&[&broken]).stdout;
    for part in [
        "partial: everything but what was rejected is in the tables",
        "9 records: 8 loaded, 1 rejected; 8 rows",
        "8 Patient",
        "rejects: 1 truncated: ",
        "by tester@",
        "patients-with-a-broken-line.ndjson:5: record 4: byte 960: truncated",
    ] {
        assert!(explained.contains(part), "{part} is missing in:\n{explained}");
    }
    let id = explained.lines().next().unwrap();
    assert_eq!(status(&[id]).stdout, explained);
    let unknown = status(&["no/such/key"]);
    assert_eq!((unknown.code, unknown.stdout.as_str()), (1, ""));
    database.remove().await;
}

/// Returns an entry as the function leaves it.
fn entry(number: i64, now: i64, status: &str, more: Document) -> Document {
    let (minute, key) = (60_000, format!("in/lab/2026/{:02}/day-{number}.ndjson", number % 28));
    let (created, begun) = (now - number * minute, now - number * minute + 3_000);
    let mut entry = doc! {
        "_id": format!("clinic/{key}@v1"), "bucket": "clinic", "key": key, "versionId": "v1",
        "created": DateTime::from_millis(created), "status": status, "attempts": 1_i64, "reading": 1_i64,
        "begun": DateTime::from_millis(begun), "ended": DateTime::from_millis(begun + 2_000),
        "bytes": 100_i64, "inflatedBytes": 100_i64,
        "counts": { "records": 10_i64, "loaded": 9_i64, "rejected": 1_i64, "rows": 12_i64 },
        "types": {}, "codes": { "truncated": 1_i64 }, "checks": {}, "drift": {},
        "code": "0.1.0", "catalog": "c", "revision": 1_i64,
    };
    entry.extend(more);
    entry
}

#[allow(clippy::disallowed_methods, reason = "the page is of today")]
fn now() -> i64 {
    i64::try_from(SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_millis()).unwrap()
}

/// The page sums what the ledger says, names what needs somebody first, and says who asked for a load and how often.
#[tokio::test]
async fn the_page_sums_and_shows_what_needs_a_look() {
    let database = TestDatabase::of("status_page").await;
    let loads = database.rows.collection::<Document>("_loads");
    let now = now();
    let by = doc! { "principal": "AWS:AIDAEXAMPLE", "address": "192.0.2.7", "requestId": "C3D13FE58DE4C810" };
    let history = doc! {
        "attempt": 1_i64, "begun": DateTime::from_millis(1_000), "ended": DateTime::from_millis(2_000),
        "end": "killed", "code": "0.0.9", "by": by.clone(),
    };
    let day = 24 * 60;
    let entries = vec![
        entry(1, now, "done", doc! { "codes": {} }),
        entry(2, now, "done", doc! { "created": DateTime::from_millis(now - 3 * 3_600_000) }),
        entry(3, now, "partial", doc! {}),
        entry(4, now, "failed", doc! { "attempts": 2_i64, "by": by, "history": [history], "problem": "p" }),
        entry(5, now, "running", doc! { "lease": { "owner": "o", "until": DateTime::from_millis(now - 1) } }),
        entry(6 * day, now, "done", doc! { "key": "in/ward/a.ndjson" }),
        entry(8 * day, now, "done", doc! {}),
    ];
    loads.insert_many(entries).await.unwrap();
    let status =
        |arguments: &[&str]| -> Ran { run(&[&["status", "--to", &database.uri], arguments].concat()) };
    let page = status(&["--json"]);
    assert_eq!((page.code, page.stderr.as_str()), (0, ""));
    let page: Value = serde_json::from_str(&page.stdout).unwrap();
    let week = &page["periods"][1];
    assert_eq!(week["statuses"], serde_json::json!({"done": 3, "partial": 1, "failed": 1, "running": 1}));
    assert_eq!((week["rows"].as_u64(), week["rejects"]["truncated"].as_u64()), (Some(72), Some(5)));
    let worst = week["lagMilliseconds"]["worst"].as_i64().unwrap();
    assert_eq!(week["lagMilliseconds"]["median"], 5_000);
    assert!((10_600_000..10_800_000).contains(&worst), "{worst}");
    assert_eq!(page["open"], serde_json::json!({"failed": 1, "refused": 0, "stuck": 1}));
    let folders: Vec<&str> =
        page["folders"].as_array().unwrap().iter().map(|folder| folder["prefix"].as_str().unwrap()).collect();
    assert_eq!(folders, ["in/lab/", "in/ward/"]);
    let statuses: Vec<&str> =
        page["loads"].as_array().unwrap().iter().map(|load| load["status"].as_str().unwrap()).collect();
    assert_eq!(statuses, ["failed", "stuck", "partial", "done", "done", "done", "done"]);
    assert_eq!(page["loads"][0]["by"]["principal"], "AWS:AIDAEXAMPLE");
    assert_eq!(page["loads"][0]["history"][0]["end"], "killed");

    let text = status(&[]);
    assert!(text.stderr.contains("1 failed: see") && text.stderr.contains("1 stuck: see"), "{}", text.stderr);
    let places: Vec<usize> =
        ["clinic/in/ward/", "clinic/in/lab/"].iter().map(|name| text.stdout.find(name).unwrap()).collect();
    assert!(places[0] < places[1], "who was silent longest comes first:\n{}", text.stdout);
    let explained = status(&["day-4."]).stdout;
    assert!(explained.contains("day-4.ndjson"), "{explained}");
    let explained = status(&["clinic/in/lab/2026/04/day-4.ndjson@v1"]).stdout;
    for part in [
        "by AWS:AIDAEXAMPLE from 192.0.2.7, request C3D13FE58DE4C810",
        "attempt 1: begun 1970-01-01T00:00:01Z, killed 1970-01-01T00:00:02Z, code 0.0.9, by AWS:AIDAEXAMPLE",
    ] {
        assert!(explained.contains(part), "{part} is missing in:\n{explained}");
    }
    #[cfg(target_os = "linux")]
    {
        let (code, shown) = Terminal::run_in(80, &["status", "--to", &database.uri]).end();
        let widest = shown.lines().map(|line| line.trim_end().chars().count()).max().unwrap();
        assert!(code == 0 && widest <= 80 && shown.contains('…'), "{widest}:\n{shown}");
    }
    database.remove().await;
}

/// A hundred thousand loads, all of them of today: everything that the page sums.
#[tokio::test]
async fn the_page_is_quick_at_a_hundred_thousand_loads() {
    let database = TestDatabase::of("status_quick").await;
    run(&["load", "--to", &database.uri, &sample("patient-bundle.json")]);
    let (loads, now) = (database.rows.collection::<Document>("_loads"), now());
    for part in 0..20_i64 {
        let entries = (0..5_000).map(|number| {
            let (number, age) = (part * 5_000 + number, number * 86);
            let status = ["done", "done", "done", "partial", "failed"][usize::try_from(number % 5).unwrap()];
            let begun = DateTime::from_millis(now - age);
            let ended =
                doc! { "begun": begun, "ended": begun, "created": DateTime::from_millis(now - 2 * age) };
            entry(number, now, status, ended)
        });
        loads.insert_many(entries).await.unwrap();
    }
    let began = Instant::now();
    let page = run(&["status", "--to", &database.uri, "--json"]);
    let took = began.elapsed();
    let page: Value = serde_json::from_str(&page.stdout).unwrap();
    assert_eq!(page["periods"][1]["loads"], 100_001);
    println!("the page of 100,000 loads took {took:?}");
    assert!(took < Duration::from_secs(30), "{took:?}");
    database.remove().await;
}

/// Whoever may upload a file chooses its name: a terminal gets nothing to obey, a program the name as it is.
#[tokio::test]
async fn a_terminal_does_not_obey_the_names_of_files() {
    let database = TestDatabase::of("status_names").await;
    let folder = tempfile::tempdir().unwrap();
    let path = path_of(&folder, "\u{1b}]0;obeyed\u{7}.json");
    std::fs::write(&path, "a letter, not FHIR").unwrap();
    let load = ["load", "--to", &database.uri, &path];
    let status = ["status", "--to", &database.uri];
    for arguments in [&load[..], &status] {
        let (_, shown) = Terminal::run_in(250, arguments).end();
        assert!(shown.contains("·]0;obeyed·.json") && !shown.contains("\u{1b}]0;"), "{shown}");
    }
    let told = run(&load).stderr;
    assert!(!told.contains("\u{1b}]0;"), "{told}");
    let piped = run(&status).stdout;
    assert!(piped.contains("\u{1b}]0;obeyed"), "{piped}");
    database.remove().await;
}
