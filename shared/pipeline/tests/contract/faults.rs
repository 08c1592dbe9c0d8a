//! Failures of the real protocol: each is tried again, told apart, or blamed on one document.

use mongodb::bson::doc;
use pipeline::interrupted::Interrupted;
use pipeline::sink::Sink;

use crate::database::Server;
use crate::harness::Harness;
use crate::spec::{batch, counts, deleted, rows};
use crate::tables::outline;

/// Broken connections, step-downs and unknown outcomes in the middle of a replacement change nothing in the end.
#[tokio::test]
async fn transient_failures_are_overcome() {
    let server = Server::get().await;
    let faults = [
        doc! { "failCommands": ["insert"], "closeConnection": true },
        doc! { "failCommands": ["update"], "closeConnection": true },
        doc! { "failCommands": ["delete"], "closeConnection": true },
        doc! { "failCommands": ["find"], "closeConnection": true },
        doc! { "failCommands": ["update"], "errorCode": 10107 },
        doc! { "failCommands": ["insert"], "writeConcernError": { "code": 64, "errmsg": "waiting for replication timed out" } },
        doc! { "failCommands": ["update"], "writeConcernError": { "code": 64, "errmsg": "waiting for replication timed out" } },
    ];
    for fault in faults {
        let harness = Harness::mongodb(&server).await;
        harness.write(batch([rows("Patient/1", 1, 2), rows("Patient/2", 2, 1)]).build()).await.unwrap();
        server.fail_command(1, fault.clone()).await;
        let newer = batch([rows("Patient/1", 3, 1), deleted("Patient/2", 4), rows("Patient/3", 5, 0)]);
        let summary = harness.write(newer.build()).await;
        assert_eq!(summary.map(|summary| counts(&summary)), Ok([2, 0, 1, 0, 0]), "{fault}");
        let expected = [
            "Patient Patient/1 @3",
            "Patient Patient/3 @5",
            "_tombstones Patient/2 @4 \"deleted\"",
            "names Patient/1#0 @3",
        ];
        assert_eq!(outline(&harness.tables().await), expected, "{fault}");
    }
}

#[tokio::test]
async fn a_database_that_refuses_everything_stops_the_load() {
    let server = Server::get().await;
    let harness = Harness::mongodb(&server).await;
    server.fail_command(1, doc! { "failCommands": ["insert"], "errorCode": 13 }).await;
    let refused = harness.write(batch([rows("Patient/1", 1, 0)]).build()).await;
    assert_eq!(refused, Err(Interrupted::Stopped { code: "13 Unauthorized".into() }));
}

/// A validator refuses one resource; it becomes a reject, the others stand, and nothing half written stays.
#[tokio::test]
async fn one_documents_fault_is_one_reject() {
    let server = Server::get().await;
    let scratch = server.scratch().await;
    let validator = doc! { "n": { "$ne": 2 } };
    scratch.database().create_collection("Patient").validator(validator).await.unwrap();
    let sink = scratch.sink().await;
    let three = batch([rows("Patient/1", 1, 1), rows("Patient/2", 2, 1), rows("Patient/3", 3, 1)]);
    for _ in 0..2 {
        let summary = sink.write(three.build()).await.unwrap();
        assert_eq!(counts(&summary), [2, 0, 0, 0, 1]);
        assert_eq!(summary.codes.get("refused-by-database"), Some(&1));
    }
    let tables = scratch.read().await;
    assert!(tables["_rejects"].values().all(|reject| reject.contains("\"status\":121")));
    let expected = [
        "Patient Patient/1 @1",
        "Patient Patient/3 @3",
        "_rejects clinic/in/day 1.ndjson@v1#2/refused-by-database/Patient",
        "names Patient/1#0 @1",
        "names Patient/3#0 @3",
    ];
    assert_eq!(outline(&tables), expected);
}

/// A refusal of a whole message is traced to its document.
#[tokio::test]
async fn a_refused_message_is_sent_again_document_by_document() {
    let server = Server::get().await;
    let harness = Harness::mongodb(&server).await;
    server.fail_command(2, doc! { "failCommands": ["insert"], "errorCode": 121 }).await;
    let three = batch([rows("Patient/1", 1, 0), rows("Patient/2", 2, 0), rows("Patient/3", 3, 0)]);
    let summary = harness.write(three.build()).await.unwrap();
    assert_eq!(counts(&summary), [2, 0, 0, 0, 1]);
    let expected = [
        "Patient Patient/2 @2",
        "Patient Patient/3 @3",
        "_rejects clinic/in/day 1.ndjson@v1#1/refused-by-database/Patient",
    ];
    assert_eq!(outline(&harness.tables().await), expected);
}

#[tokio::test]
async fn a_database_that_is_not_there_is_an_interruption() {
    let uri = "mongodb://patient:geheim@127.0.0.1:1/?serverSelectionTimeoutMS=200";
    let connection = pipeline::sink::mongodb::connect(uri, Some("rows")).await.unwrap();
    assert!(!format!("{connection:?}").contains("geheim"));
    let sink = pipeline::sink::mongodb::MongoSink::new(connection, "archive");
    let failed = sink.write(batch([rows("Patient/1", 1, 0)]).build()).await;
    assert_eq!(failed, Err(Interrupted::Write { code: "no server reachable".into() }));
}

#[tokio::test]
async fn a_connection_string_that_is_none_is_not_repeated() {
    let error =
        pipeline::sink::mongodb::connect("mongodb//user:geheim@host", Some("rows")).await.unwrap_err();
    assert!(!format!("{error:?} {error}").contains("geheim"));
    let error = pipeline::sink::mongodb::connect("mongodb://user:geheim@host/", None).await.unwrap_err();
    assert_eq!(error, pipeline::sink::mongodb::ConnectError::NoDatabase);
}
