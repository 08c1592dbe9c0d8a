//! `flatfire report`: the page, that of a month, and what is not on them.

use std::fs;
use std::time::{SystemTime, UNIX_EPOCH};

use mongodb::bson::{DateTime, Document, doc};
use serde_json::{Value, json};

use crate::canary;
use crate::database::TestDatabase;
use crate::program::{Ran, flatfire, path_of, run, sample};
use crate::terminal::Terminal;

const DAY: i64 = 24 * 60 * 60 * 1_000;

#[allow(clippy::disallowed_methods, reason = "the page is of today")]
fn now() -> i64 {
    i64::try_from(SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_millis()).unwrap()
}

/// Returns an entry as the function leaves it, of a load that began at a moment.
fn entry(key: &str, begun: i64, status: &str, more: Document) -> Document {
    let mut entry = doc! {
        "_id": format!("clinic/{key}@v1"), "bucket": "clinic", "key": key, "versionId": "v1",
        "created": DateTime::from_millis(begun), "status": status, "attempts": 1_i64, "reading": 1_i64,
        "begun": DateTime::from_millis(begun), "ended": DateTime::from_millis(begun + 2_000),
        "bytes": 100_i64, "inflatedBytes": 100_i64,
        "counts": { "records": 10_i64, "loaded": 9_i64, "rejected": 1_i64, "rows": 12_i64 },
        "types": {}, "codes": {}, "checks": {}, "drift": {}, "code": "0.1.0", "catalog": "c", "revision": 1_i64,
    };
    entry.extend(more);
    entry
}

fn failed_before(begun: i64) -> Document {
    let (begun, ended) = (DateTime::from_millis(begun), DateTime::from_millis(begun + 2_000));
    let attempt = doc! { "attempt": 1_i64, "begun": begun, "ended": ended, "end": "failed", "code": "0.1.0" };
    doc! { "history": [attempt], "attempts": 2_i64, "firstEnded": ended }
}

/// Runs the command and returns the page that it writes.
fn page(database: &TestDatabase, options: &[&str]) -> String {
    let folder = tempfile::tempdir().unwrap();
    let out = path_of(&folder, "report.html");
    let ran = run(&[&["report", "--to", &database.uri, "--out", &out], options].concat());
    assert_eq!((ran.code, ran.stdout.as_str()), (0, ""), "{ran:?}");
    fs::read_to_string(out).unwrap()
}

fn printed(database: &TestDatabase, options: &[&str]) -> Value {
    let ran = run(&[&["report", "--to", &database.uri, "--json"], options].concat());
    assert_eq!(ran.code, 0, "{ran:?}");
    serde_json::from_str(&ran.stdout).unwrap()
}

fn contains(page: &str, parts: &[&str]) {
    for part in parts {
        let body = page.split("<body>").last().unwrap_or_default();
        assert!(page.contains(part), "{part} is missing in:\n{}", &body[..body.floor_char_boundary(6_000)]);
    }
}

/// From the page alone: which file failed, why, what to do, what became of it, and how full columns are.
#[tokio::test]
async fn the_page_says_what_failed_and_what_is_in() {
    let database = TestDatabase::of("report_page").await;
    let empty = page(&database, &[]);
    contains(
        &empty,
        &["No file came in the last 30 days.", "Nothing was erased in this time.", "There is no table yet."],
    );
    let to_come = page(&database, &["--month", "2099-01"]);
    contains(&to_come, &["No file came in January 2099.", "2099-01-01 to 2099-01-31"]);
    run(&["load", "--to", &database.uri, &sample("patient-bundle.json"), &sample("observations.ndjson.gz")]);
    let yesterday = now() - DAY;
    let entries = [
        entry("in/lab/müller <b>.json", yesterday, "failed", doc! { "codes": { "looks-like-csv": 1_i64 } }),
        entry("in/lab/b.json", yesterday, "done", failed_before(yesterday - 5_000)),
        entry("in/ward/c.json", yesterday, "running", doc! { "problem": "the deadline is near" }),
    ];
    database.rows.collection::<Document>("_loads").insert_many(entries).await.unwrap();

    let hidden = page(&database, &["--days", "7"]);
    contains(
        &hidden,
        &[
            "3 of 5 files of the last 7 days are wholly in. One needs attention. 1 is being loaded.",
            "2 files failed, one is still open; none lacked records.",
            "looks-like-csv: the file is a table of separated values",
            "To do: send FHIR JSON",
            "clinic/in/lab/…",
            "loaded again, wholly in",
            "Observation.value.ofType(Quantity).value",
        ],
    );
    assert!(!hidden.contains("müller") && !hidden.contains("b.json"), "names are there on request only");
    let shown = page(&database, &["--file-names"]);
    contains(&shown, &["clinic/in/lab/müller &#60;b&#62;.json", "whoever gets it should be allowed"]);

    let report = printed(&database, &["--days", "7"]);
    let table =
        report["tables"].as_array().unwrap().iter().find(|table| table["table"] == "Observation").unwrap();
    assert_eq!(
        (&table["rows"], &table["lookedAt"], &table["isSample"]),
        (&json!(202), &json!(202), &json!(false))
    );
    let column =
        table["columns"].as_array().unwrap().iter().find(|column| column["column"] == "status").unwrap();
    let expected = json!({"column": "status", "columnType": "text", "path": "Observation.status", "datatype": "code",
        "derived": null, "filled": 202});
    assert_eq!(column, &expected);
    let since = report["since"].as_str().unwrap();
    let status = run(&["status", "--to", &database.uri, "--json", "--since", since]).stdout;
    let status: Value = serde_json::from_str(&status).unwrap();
    for (name, of_report) in
        [("loads", "files"), ("records", "records"), ("rows", "rows"), ("bytes", "bytes")]
    {
        assert_eq!(status["periods"][0][name], report["total"][of_report], "{name}");
    }
    every_command_of(&hidden, &database);
    database.remove().await;
}

/// Runs every command that a page names as the source of its numbers.
fn every_command_of(page: &str, database: &TestDatabase) {
    let commands: Vec<&str> =
        page.split("<code>flatfire ").skip(1).map(|rest| rest.split("</code>").next().unwrap()).collect();
    assert!(commands.len() > 4, "{commands:?}");
    for command in commands {
        let words = command.split(' ').map(|word| if word == "URI" { database.uri.as_str() } else { word });
        let ran: Ran =
            flatfire(&words.collect::<Vec<_>>()).env("MONGODB_URI", &database.uri).output().unwrap().into();
        assert!([0, 2].contains(&ran.code) && !ran.stdout.is_empty(), "{command}: {ran:?}");
    }
}

/// A month counts files on the day of their first attempt, and says what became of failures later.
#[tokio::test]
async fn a_month_stays_as_it_was_but_for_what_became_of_it() {
    let database = TestDatabase::of("report_month").await;
    let first = "2026-02-01T00:00:00Z".parse::<jiff::Timestamp>().unwrap().as_millisecond();
    let day = |days: i64| first + days * DAY;
    let later_version = doc! { "_id": "clinic/in/d.json@v2", "versionId": "v2" };
    let entries = [
        entry("in/a.json", day(0), "done", doc! {}),
        // Of the last day before the month, and of the first behind it.
        entry("in/before.json", day(0) - 1, "done", doc! {}),
        entry("in/after.json", day(28), "done", doc! {}),
        // Mended in the next month.
        entry("in/b.json", day(40), "done", failed_before(day(3))),
        entry("in/c.json", day(5), "refused", doc! {}),
        entry("in/d.json", day(6), "failed", doc! {}),
        entry("in/d.json", day(30), "done", later_version),
    ];
    database.rows.collection::<Document>("_loads").insert_many(entries).await.unwrap();
    let erasure = doc! { "begun": DateTime::from_millis(day(9)), "command": "x", "mark": "~1", "counts": { "Patient": 3_i64 } };
    database.rows.collection::<Document>("_erasures").insert_one(erasure).await.unwrap();
    let reject = doc! { "_id": "r", "_load": "l", "code": "too-deep" };
    database.rows.collection::<Document>("_rejects").insert_one(reject).await.unwrap();

    let report = printed(&database, &["--month", "2026-02"]);
    let days = report["days"].as_array().unwrap();
    assert_eq!((report["total"]["files"].as_u64(), days.len()), (Some(4), 28));
    assert_eq!((&days[3]["files"], &days[3]["statuses"]), (&json!(1), &json!({"done": 1})));
    let months = report["months"].as_array().unwrap();
    let names: Vec<&str> = months.iter().map(|month| month["month"].as_str().unwrap()).collect();
    assert_eq!((names[0], names[11], months[10]["files"].as_u64()), ("2025-03", "2026-02", Some(1)));
    let fates: Vec<_> =
        report["failures"].as_array().unwrap().iter().map(|failure| &failure["outcome"]).collect();
    assert_eq!(fates, ["later-version", "open", "loaded-again"]);

    let page = page(&database, &["--month", "2026-02"]);
    contains(
        &page,
        &[
            "February 2026: files and tables",
            "2026-02-01 to 2026-02-28",
            "3 of 4 files of February 2026 are wholly in. One needs attention.",
            "3 files failed, one is still open",
            "1 resource was erased on request; 1 is not finished",
            "too-deep",
            "Twelve months",
        ],
    );
    every_command_of(&page, &database);
    for wrong in [&["--month", "2026-13"][..], &["--month", "2026-02", "--days", "3"], &["--days", "0"]] {
        assert_eq!(run(&[&["report", "--to", &database.uri], wrong].concat()).code, 1, "{wrong:?}");
    }
    let nowhere = run(&["report", "--to", &database.uri, "--out", "no/such/folder/report.html"]);
    assert!(nowhere.code == 1 && nowhere.stderr.contains("cannot be written"), "{nowhere:?}");
    database.remove().await;
}

/// Everything that a sender chooses is a canary, and none is on a page: not in a value, a name, a key or a reason.
#[tokio::test]
async fn no_value_of_a_patient_is_on_the_page() {
    let database = TestDatabase::of("report_canaries").await;
    let folder = tempfile::tempdir().unwrap();
    let observation = r#"{"resourceType":"Observation","id":"CanaryId-20","status":"CanaryValue","subject":{"reference":"Patient/CanaryId-21","display":"CanaryValue"},"code":{"coding":[{"system":"urn:CanarySystem","code":"CanaryValue","display":"CanaryValue"}],"text":"CanaryValue"},"effectiveDateTime":"CanaryValue","valueQuantity":{"value":1.5,"unit":"CanaryValue","system":"urn:CanarySystem","code":"CanaryValue"},"component":[{"code":{"text":"CanaryValue"},"valueString":"CanaryValue","canaryElement":{"canaryElement2":"CanaryValue"}}],"modifierExtension":[{"url":"http://CanaryUrl.example/CanaryUrl2","valueString":"CanaryValue"}]}"#;
    // The page of a month has the exports that were made in it.
    let today = jiff::Timestamp::from_millisecond(now()).unwrap().to_string();
    let manifest = r#"{"transactionTime":"NOW","request":"https://x.example/CanaryQuery","requiresAccessToken":false,"output":[{"type":"CanaryType","url":"https://x.example/CanaryFile-1.ndjson"},{"type":"Patient","url":"https://x.example/CanaryFile-2.ndjson","count":3}],"error":[]}"#;
    let manifest = manifest.replace("NOW", &today);
    let mut files: Vec<(&str, String)> = canary::files().into_iter().collect();
    files.push(("CanaryFile-observation.json", observation.to_owned()));
    files.push(("CanaryFile-manifest.json", manifest));
    let mut paths = Vec::new();
    for (name, text) in files {
        let path = path_of(&folder, name);
        fs::write(&path, text).unwrap();
        paths.push(path);
    }
    let paths: Vec<&str> = paths.iter().map(String::as_str).collect();
    let loaded = run(&[&["load", "--to", &database.uri], &paths[..]].concat());
    assert_eq!(loaded.code, 1, "some files are no FHIR at all: {loaded:?}");
    let forget = ["forget", "--to", &database.uri, "Patient/CanaryId-10", "--reason", "CanaryValue", "--yes"];
    assert_eq!(run(&forget).code, 0);
    let rows = format!("{:?}", database.content().await);
    for (canary, _) in
        canary::CANARIES.iter().filter(|(canary, _)| !["CanaryForged", "CanaryQuery"].contains(canary))
    {
        assert!(
            rows.contains(canary),
            "{canary} is not in the database, so its absence on the page shows nothing"
        );
    }
    for options in [&[][..], &["--month", &today[..7]]] {
        for text in [page(&database, options), printed(&database, options).to_string()] {
            contains(&text, &["Patient", "truncated", "missing"]);
            let text = text.to_lowercase();
            let found = text.find("canary").map(|at| &text[at.saturating_sub(60)..(at + 60).min(text.len())]);
            assert_eq!(found, None);
        }
    }
    let named = page(&database, &["--file-names"]);
    contains(&named, &["CanaryFile-lines.ndjson", "CanaryFile-2.ndjson"]);
    assert!(!named.replace("CanaryFile", "").to_lowercase().contains("canary"), "names of files only");
    database.remove().await;
}

/// The names of files that an export waits for are names of files too.
#[tokio::test]
async fn a_page_with_names_of_files_says_so() {
    let database = TestDatabase::of("report_names").await;
    let folder = tempfile::tempdir().unwrap();
    let today = jiff::Timestamp::from_millisecond(now()).unwrap().to_string();
    let manifest = json!({"transactionTime": today, "request": "https://x.example/$export", "error": [],
        "output": [{"type": "Patient", "url": "https://x.example/day1.ndjson", "count": 3}]});
    let path = path_of(&folder, "manifest.json");
    fs::write(&path, manifest.to_string()).unwrap();
    assert_eq!(run(&["load", "--to", &database.uri, &path]).code, 0);
    let may_be_told = "whoever gets it should be allowed";
    let hidden = page(&database, &[]);
    assert!(!hidden.contains("day1.ndjson") && !hidden.contains(may_be_told));
    contains(&page(&database, &["--file-names"]), &["day1.ndjson", may_be_told]);
    database.remove().await;
}

/// On a terminal a bar shows how far the tables are counted; a pipe gets the place of the page alone.
#[tokio::test]
async fn progress_is_seen_on_a_terminal_alone() {
    let database = TestDatabase::of("report_progress").await;
    assert_eq!(run(&["load", "--to", &database.uri, &sample("patient-bundle.json")]).code, 0);
    let folder = tempfile::tempdir().unwrap();
    let out = path_of(&folder, "report.html");
    let arguments = ["report", "--to", &database.uri, "--out", &out];
    let written = format!("flatfire: written to {out}");
    let piped = run(&arguments);
    assert_eq!((piped.code, piped.stdout.as_str(), piped.stderr.trim_end()), (0, "", written.as_str()));
    let (code, shown) = Terminal::run_in(200, &arguments).end();
    assert_eq!(code, 0, "{shown}");
    for part in ["reading loads", " tables ", &written] {
        assert!(shown.contains(part), "{part} is missing in {shown}");
    }
    assert!(!shown.contains("0 of 0"), "{shown}");
    let (code, shown) = Terminal::run_in(200, &["report", "--to", &database.uri, "--json"]).end();
    assert!(code == 0 && shown.contains("reading loads") && shown.contains("\"database\""), "{shown}");
    database.remove().await;
}
