//! The memory of the function while it loads two objects at once, by the operating system's account.

#![cfg(target_os = "linux")]
#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test stops where something is wrong")]
#![allow(clippy::print_stdout, reason = "what was measured is shown")]

#[path = "../../../shared/pipeline/tests/common/bomb.rs"]
mod bomb;
#[path = "../../../shared/pipeline/tests/common/endpoint.rs"]
mod endpoint;
mod lambda;
#[path = "../../../shared/pipeline/tests/common/objects.rs"]
mod objects;

use std::time::Duration;

use endpoint::Endpoint;
use mongodb::bson::{Document, doc};
use mongodb::{Client, Database};
use serde_json::json;

use lambda::{Answer, FOR_EVER, invoke_and_look};
use objects::{Object, serve};

/// In bytes.
const MEGABYTE: usize = 1 << 20;
const KEYS: [&str; 2] = ["in/a.ndjson", "in/b.ndjson"];

/// Returns a batch of the queue that announces both objects.
fn batch() -> String {
    let message = |key: &str| {
        let object = json!({"key": key, "size": 1000, "versionId": "v1", "sequencer": "0055AED6DCD90281E5"});
        let body = json!({"Records": [{
            "eventVersion": "2.1", "eventSource": "aws:s3", "eventName": "ObjectCreated:Put",
            "eventTime": "2026-01-05T10:21:07.412Z", "s3": {"bucket": {"name": "clinic"}, "object": object},
        }]});
        json!({"messageId": key, "body": body.to_string(), "eventSource": "aws:sqs"})
    };
    json!({"Records": KEYS.map(message)}).to_string()
}

/// What the function held at most, in bytes, what it answered, and the database that it has filled.
struct Measured {
    peak: usize,
    answer: Answer,
    rows: Database,
    _server: Endpoint,
}

impl Measured {
    /// Lets the function load two objects at once.
    async fn of(test: &str, contents: [Vec<u8>; 2]) -> Self {
        let measured = Self::within(FOR_EVER, test, contents).await;
        assert_eq!(measured.answer.body, r#"{"batchItemFailures":[]}"#);
        measured
    }

    /// Does as [`Measured::of`], with so much time.
    async fn within(time: Duration, test: &str, contents: [Vec<u8>; 2]) -> Self {
        #[allow(clippy::disallowed_methods, reason = "a test's server is named in the environment")]
        let server = Endpoint::get(std::env::var("MONGODB_URI").ok(), "serverSelectionTimeoutMS=30000");
        let client = Client::with_uri_str(&server.uri).await.unwrap();
        let name = format!("flatfire_memory_{test}");
        let rows = client.database(&name);
        rows.drop().await.unwrap();
        let [first, second] = contents;
        let object = |key, bytes| Object { key, version: "v1", bytes };
        let bucket = serve(vec![object(KEYS[0], first), object(KEYS[1], second)]);
        let variables = [
            ("MONGODB_URI", server.uri.as_str()),
            ("MONGODB_DATABASE", &name),
            ("AWS_ENDPOINT_URL", &bucket),
            ("AWS_ACCESS_KEY_ID", "id"),
            ("AWS_SECRET_ACCESS_KEY", "secret"),
        ];
        let mut peak = 0;
        let (mut answers, printed) = invoke_and_look(&variables, &[&batch()], time, |id| peak = peak_of(id));
        println!("{printed}");
        Self { peak, answer: answers.remove(0), rows, _server: server }
    }

    async fn count(&self, table: &str) -> u64 {
        self.rows.collection::<Document>(table).count_documents(doc! {}).await.unwrap()
    }

    async fn has_less_than(self, megabytes: usize) {
        // Shown with `--no-capture`; docs/test-plan.md has the numbers.
        println!("{} MiB", self.peak / MEGABYTE);
        assert!(self.peak < megabytes * MEGABYTE, "{} MiB", self.peak / MEGABYTE);
        self.rows.drop().await.unwrap();
    }
}

/// Returns the most memory that a process has held: `VmHWM` of `proc_pid_status(5)`.
fn peak_of(id: u32) -> usize {
    let status = std::fs::read_to_string(format!("/proc/{id}/status")).unwrap();
    let kilobytes = status.lines().find_map(|line| line.strip_prefix("VmHWM:")?.strip_suffix("kB")).unwrap();
    kilobytes.trim().parse::<usize>().unwrap() * 1024
}

/// Returns one resource of 60 MiB that becomes 3,001 rows.
fn of_contained_resources(id: &str) -> Vec<u8> {
    let note = "n".repeat(20 * 1024);
    let contained = |number| format!(r#"{{"resourceType":"Basic","id":"{number}","language":"{note}"}}"#);
    let contained = (0..3_000).map(contained).collect::<Vec<_>>().join(",");
    format!("{{\"resourceType\":\"Patient\",\"id\":\"{id}\",\"contained\":[{contained}]}}\n").into_bytes()
}

/// Returns one resource of 60 MiB with nearly as many values as a resource may have. Its row would be too large.
fn of_values(id: &str) -> Vec<u8> {
    let given = format!("\"{}\"", "g".repeat(28));
    let given = vec![given.as_str(); 1_999_000].join(",");
    format!("{{\"resourceType\":\"Patient\",\"id\":\"{id}\",\"name\":[{{\"given\":[{given}]}}]}}\n")
        .into_bytes()
}

/// Returns NDJSON of so many bytes, in resources of so many bytes.
fn of_patients(prefix: &str, bytes: usize, bytes_each: usize) -> Vec<u8> {
    let note = "n".repeat(bytes_each);
    let patient = |number| {
        format!(
            "{{\"resourceType\":\"Patient\",\"id\":\"{prefix}{number}\",\"name\":[{{\"family\":\"F\"}}],\
             \"language\":\"{note}\"}}\n"
        )
    };
    (0..bytes / bytes_each).map(patient).collect::<String>().into_bytes()
}

#[tokio::test(flavor = "multi_thread")]
async fn two_large_resources_at_once() {
    let contents = [of_contained_resources("a"), of_values("b")];
    assert!(contents.iter().all(|content| content.len() > 58 * MEGABYTE));
    let measured = Measured::of("large", contents).await;
    assert_eq!((measured.count("Patient").await, measured.count("Basic_contained").await), (1, 3_000));
    assert_eq!(measured.count("_rejects").await, 1);
    measured.has_less_than(700).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn two_large_files_of_smaller_resources_at_once() {
    for (test, bytes_each) in [("ordinary", 2_000), ("just_not_large", 7 * MEGABYTE)] {
        let bytes = 28 * MEGABYTE;
        let measured = Measured::of(test, ["a", "b"].map(|id| of_patients(id, bytes, bytes_each))).await;
        assert_eq!(measured.count("Patient").await, 2 * (bytes / bytes_each) as u64);
        measured.has_less_than(200).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn two_files_that_inflate_to_15_gib_at_once_end_before_the_deadline() {
    let patient = String::from_utf8(of_patients("a", 100, 100)).unwrap();
    let endless_line = format!("{patient}{{\"resourceType\":\"Patient\",\"id\":\"");
    let contents =
        [bomb::of_15_gib(patient.as_bytes(), b' '), bomb::of_15_gib(endless_line.as_bytes(), b'x')];
    let time = Duration::from_secs(8);
    let measured = Measured::within(time, "bombs", contents).await;
    assert!(measured.answer.after < time, "{:?}", measured.answer);
    let loads = measured.rows.collection::<Document>("_loads");
    // It left a checkpoint, or a lease that keeps the next attempt out until the database is idle for certain.
    let interrupted = doc! {
        "status": "running",
        "$or": [{ "checkpoint.counts.records": 1, "lease": null }, { "lease": { "$ne": null } }],
    };
    // A quick machine comes to the bound of what may be inflated: then the load has ended, with a reject.
    let bounded = doc! { "status": "partial", "counts.loaded": 1, "counts.rejected": 1 };
    for key in KEYS {
        // There is no queue to send a continuation to, so an interrupted one comes again.
        let comes_again = measured.answer.body.contains(key);
        let state = if comes_again { &interrupted } else { &bounded };
        let of_key = doc! { "$and": [{ "key": key }, state] };
        let load = loads.find_one(doc! { "key": key }).await.unwrap();
        assert_eq!(loads.count_documents(of_key).await.unwrap(), 1, "{:?} {load:?}", measured.answer);
    }
    measured.has_less_than(700).await;
}
