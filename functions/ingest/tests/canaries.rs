//! What a sender writes, in values and in names, is in no log line, no name of a collection and no field of the
//! bookkeeping but those that the documentation names. The function runs as Lambda runs it, with a database and a
//! bucket that speaks as much of S3 as it asks for.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test stops where something is wrong")]

mod canary;
#[path = "../../../shared/pipeline/tests/common/endpoint.rs"]
mod endpoint;
mod lambda;

use std::net::TcpListener;

use endpoint::Endpoint;
use futures::TryStreamExt as _;
use mongodb::bson::{Document, doc};
use mongodb::{Client, Database};
use serde_json::json;

use canary::{CANARIES, files, leaks};
use lambda::{invoke, read_request, respond};

/// Answers every GET with the file whose name is in the path, if it asks for a version that there is.
fn serve_bucket(listener: TcpListener) {
    std::thread::spawn(move || {
        let files = files();
        for connection in listener.incoming() {
            let mut connection = connection.unwrap();
            let (path, _) = read_request(&mut connection);
            match files.iter().find(|(name, _)| path.contains(*name) && path.contains(VERSION)) {
                Some((_, body)) => {
                    let headers = "etag: \"0\"\r\nlast-modified: Mon, 05 Jan 2026 10:21:07 GMT\r\n";
                    respond(&mut connection, "200 OK", headers, body);
                }
                None => {
                    respond(&mut connection, "404 Not Found", "", "<Error><Code>NoSuchKey</Code></Error>")
                }
            }
        }
    });
}

fn notification(bucket: &str, key: &str, version: &str, sequencer: &str) -> String {
    let object = json!({"key": key, "size": 1000, "versionId": version, "sequencer": sequencer});
    json!({"Records": [{
        "eventVersion": "2.1", "eventSource": "aws:s3", "eventName": "ObjectCreated:Put",
        "eventTime": "2026-01-05T10:21:07.412Z", "s3": {"bucket": {"name": bucket}, "object": object},
    }]})
    .to_string()
}

const VERSION: &str = "3HL4kqtJlcpXroDTDmJ.rmSpXd3dIbrH";

#[tokio::test(flavor = "multi_thread")]
async fn canaries_are_found_where_the_documentation_says_and_nowhere_else() {
    #[allow(clippy::disallowed_methods, reason = "a test's server is named in the environment")]
    let server = Endpoint::get(std::env::var("MONGODB_URI").ok(), "serverSelectionTimeoutMS=30000");
    let client = Client::with_uri_str(&server.uri).await.unwrap();
    for arrays in ["embedded", "tables"] {
        let name = format!("flatfire_canaries_{arrays}");
        let databases = [client.database(&name), client.database(&format!("{name}_archive"))];
        for database in &databases {
            database.drop().await.unwrap();
        }
        // The database refuses the row, and its answer quotes it.
        let validator = doc! { "no_row_has_this": { "$exists": true } };
        databases[0].create_collection("Observation").validator(validator).await.unwrap();
        // The function takes the database that the connection string names.
        let uri = server.uri.replacen("/?", &format!("/{name}?"), 1);
        let log = load(&uri, arrays);
        says_what_it_may(&log);
        every_way_to_fail_was_taken(&databases[0]).await;
        let mut found = leaks(&databases[0]).await;
        found.append(&mut leaks(&databases[1]).await);
        assert!(found.is_empty(), "with {arrays} arrays: {found:#?}");
        for database in &databases {
            database.drop().await.unwrap();
        }
    }
}

/// Loads every file and returns what the function printed and answered.
fn load(uri: &str, arrays: &str) -> String {
    let bucket = TcpListener::bind("127.0.0.1:0").unwrap();
    let endpoint = format!("http://{}", bucket.local_addr().unwrap());
    serve_bucket(bucket);
    let mut events: Vec<_> = files()
        .keys()
        .map(|name| notification("clinic", &format!("in/{name}"), VERSION, "0055AED6DCD90281E5"))
        .collect();
    events.push(notification("clinic", "in/CanaryFile-gone.json", VERSION, "00"));
    // Forged by somebody who may send to the queue.
    events.push(notification("clinic", "in/CanaryFile-letter.txt", "CanaryForged", "CanaryForged"));
    events.push(notification("CanaryForged", "in/CanaryFile.json", "CanaryForged", "CanaryForged"));
    events.push(json!({"CanaryValue": "CanaryValue"}).to_string());
    let events: Vec<&str> = events.iter().map(String::as_str).collect();
    let variables = [
        ("MONGODB_URI", uri),
        ("AWS_ENDPOINT_URL", &endpoint),
        ("AWS_ACCESS_KEY_ID", "id"),
        ("AWS_SECRET_ACCESS_KEY", "secret"),
        ("WATCHED_BUCKET", "clinic"),
        ("LOG_LEVEL", "debug"),
        ("LOG_KEY_SECRET", "secret"),
        ("FLATTEN_ARRAYS", arrays),
    ];
    let (answers, printed) = invoke(&variables, &events);
    for status in ["\"done\"", "\"partial\"", "\"failed\"", "\"gone\"", "\"NotWatched\""] {
        assert!(
            answers.iter().any(|answer| answer.body.contains(status)),
            "no {status}: {answers:?}\n{printed}"
        );
    }
    answers.iter().fold(printed, |text, answer| text + &answer.body)
}

fn says_what_it_may(log: &str) {
    assert!(log.contains("object handled") && log.contains("columns drifted"), "the log was read: {log}");
    for (canary, _) in CANARIES {
        assert!(!log.contains(canary), "{canary} is in the log: {log}");
    }
}

/// The search shows something only if the canaries reached the database, and if what may fail has failed.
async fn every_way_to_fail_was_taken(database: &Database) {
    let patients = database.collection::<Document>("Patient");
    let patient = patients.find_one(doc! { "_id": "Patient/CanaryId-1" }).await.unwrap().unwrap().to_string();
    for canary in ["CanaryValue", "CanarySystem", "canaryElement", "CanaryUrl", "CanaryFile"] {
        assert!(patient.contains(canary), "{canary} did not reach its row: {patient}");
    }
    let rejects = database.collection::<Document>("_rejects").find(doc! {}).await.unwrap();
    let rejects: Vec<Document> = rejects.try_collect().await.unwrap();
    let codes: Vec<&str> = rejects.iter().map(|reject| reject.get_str("code").unwrap()).collect();
    let expected = [
        "invalid-json",
        "duplicate-name",
        "object-expected",
        "invalid-id",
        "invalid-resource-type",
        "not-a-resource",
        "unresolvable-deletion",
        "refused-by-database",
        "truncated",
    ];
    for code in expected {
        assert!(codes.contains(&code), "nothing was rejected as {code}: {codes:?}");
    }
    for name in ["_loads", "_columns", "_tombstones"] {
        let count = database.collection::<Document>(name).count_documents(doc! {}).await.unwrap();
        assert!(count > 0, "{name} is empty");
    }
}
