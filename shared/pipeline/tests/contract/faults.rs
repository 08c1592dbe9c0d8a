//! Failures of the real protocol: each is tried again, told apart, or blamed on one document.

use std::time::{Duration, Instant};

use futures::future::join_all;
use mongodb::bson::{Document, doc};
use mongodb_store::{MongoStore, connect};
use pipeline::interrupted::Interrupted;
use pipeline::store::RowStore;

use crate::database::Server;
use crate::spec::{batch, counts, deleted, rows};
use crate::tables::outline;

/// One test, because the server has one point of failure for all.
#[tokio::test]
async fn failing_commands_are_told_apart() {
    let server = Server::get().await;
    for fault in [
        doc! { "failCommands": ["insert"], "closeConnection": true },
        doc! { "failCommands": ["update"], "closeConnection": true },
        doc! { "failCommands": ["delete"], "closeConnection": true },
        doc! { "failCommands": ["find"], "closeConnection": true },
        doc! { "failCommands": ["update"], "errorCode": 10107 },
        doc! { "failCommands": ["insert"], "writeConcernError": { "code": 64, "errmsg": "too slow" } },
        doc! { "failCommands": ["update"], "writeConcernError": { "code": 64, "errmsg": "too slow" } },
    ] {
        a_transient_failure_is_overcome(&server, fault).await;
    }
    a_database_that_refuses_everything_stops_the_load(&server).await;
    a_refused_message_is_sent_again_document_by_document(&server).await;
    a_failure_after_lost_answers_is_told_late(&server).await;
    a_write_that_hangs_does_not_hold_up_others(&server).await;
    a_write_that_was_given_up_is_not_sent(&server).await;
}

/// Broken connections, step-downs and unknown outcomes in the middle of a replacement change nothing in the end.
async fn a_transient_failure_is_overcome(server: &Server, fault: Document) {
    let scratch = server.scratch().await;
    let store = scratch.store().await;
    store.write(batch([rows("Patient/1", 1, 2), rows("Patient/2", 2, 1)]).build()).await.unwrap();
    server.fail_command(&scratch, 1, fault.clone()).await;
    let newer = batch([rows("Patient/1", 3, 1), deleted("Patient/2", 4), rows("Patient/3", 5, 0)]);
    let summary = store.write(newer.build()).await;
    assert_eq!(summary.map(|summary| counts(&summary)), Ok([2, 0, 1, 0, 0]), "{fault}");
    let expected = [
        "Patient Patient/1 @3",
        "Patient Patient/3 @5",
        "_tombstones Patient/2 @4 \"deleted\"",
        "names Patient/1#0 @3",
    ];
    assert_eq!(outline(&scratch.read().await), expected, "{fault}");
}

async fn a_database_that_refuses_everything_stops_the_load(server: &Server) {
    let scratch = server.scratch().await;
    let store = scratch.store().await;
    server.fail_command(&scratch, 1, doc! { "failCommands": ["insert"], "errorCode": 13 }).await;
    let refused = store.write(batch([rows("Patient/1", 1, 0)]).build()).await;
    let Err(Interrupted::Stopped { code, .. }) = refused else { panic!("{refused:?}") };
    // The server of these tests wants no user, and the connection string names none.
    assert_eq!(code, "13 Unauthorized: the connection string names no user");
    assert_eq!(outline(&scratch.read().await), [""; 0]);
}

/// A server that did not answer may still carry a write out, so the failure is told ten seconds after the last try: the
/// tries themselves end within thirteen seconds, and take six at least.
async fn a_failure_after_lost_answers_is_told_late(server: &Server) {
    let scratch = server.scratch().await;
    let store = scratch.store().await;
    server.fail_command(&scratch, 7, doc! { "failCommands": ["insert"], "closeConnection": true }).await;
    let begun = Instant::now();
    let failed = store.write(batch([rows("Patient/1", 1, 0)]).build()).await;
    assert!(matches!(failed, Err(Interrupted::Write { .. })), "{failed:?}");
    assert!(begun.elapsed() > Duration::from_secs(15), "told after {:?}", begun.elapsed());
    scratch.discard().await;
}

/// Small writes wait for one another only for a second: here the first waits eight for its answer.
async fn a_write_that_hangs_does_not_hold_up_others(server: &Server) {
    let scratch = server.scratch().await;
    let store = scratch.store().await;
    store.write(batch([rows("Patient/1", 1, 0)]).build()).await.unwrap();
    let hang = doc! { "failCommands": ["insert"], "blockConnection": true, "blockTimeMS": 8_000 };
    server.fail_command(&scratch, 1, hang).await;
    let begun = Instant::now();
    let timed = async |key: &str| {
        store.write(batch([rows(key, 2, 0)]).build()).await.unwrap();
        begun.elapsed()
    };
    let others = async {
        tokio::time::sleep(Duration::from_millis(100)).await;
        join_all(["Patient/3", "Patient/4"].map(timed)).await
    };
    let (first, others) = tokio::join!(timed("Patient/2"), others);
    assert!(first >= Duration::from_secs(8), "the first ended after {first:?}");
    assert!(others.iter().all(|ended| *ended < Duration::from_secs(7)), "the others ended after {others:?}");
    assert_eq!(outline(&scratch.read().await).len(), 4);
}

/// A write waits for a connection, and its caller gives up meanwhile: it never comes, not even when the connection is
/// free again. The only connection waits for its answer for four seconds.
async fn a_write_that_was_given_up_is_not_sent(server: &Server) {
    let scratch = server.scratch().await;
    let store = scratch.store_of_one_connection().await;
    store.write(batch([rows("Patient/1", 1, 0)]).build()).await.unwrap();
    let hang = doc! { "failCommands": ["insert"], "blockConnection": true, "blockTimeMS": 4_000 };
    server.fail_command(&scratch, 1, hang).await;
    let first = store.write(batch([rows("Patient/2", 2, 0)]).build());
    let given_up = async {
        tokio::time::sleep(Duration::from_millis(100)).await;
        let write = store.write(batch([rows("Patient/3", 2, 0)]).build());
        tokio::time::timeout(Duration::from_secs(2), write).await
    };
    let (first, given_up) = tokio::join!(first, given_up);
    first.unwrap();
    assert!(given_up.is_err(), "it was given up");
    tokio::time::sleep(Duration::from_secs(2)).await;
    assert_eq!(outline(&scratch.read().await), ["Patient Patient/1 @1", "Patient Patient/2 @2"]);
}

/// A refusal of a whole message is traced to its document.
async fn a_refused_message_is_sent_again_document_by_document(server: &Server) {
    let scratch = server.scratch().await;
    let store = scratch.store().await;
    server.fail_command(&scratch, 2, doc! { "failCommands": ["insert"], "errorCode": 2 }).await;
    let three = batch([rows("Patient/1", 1, 0), rows("Patient/2", 2, 0), rows("Patient/3", 3, 0)]);
    let summary = store.write(three.build()).await.unwrap();
    assert_eq!(counts(&summary), [2, 0, 0, 0, 1]);
    let expected = [
        "Patient Patient/2 @2",
        "Patient Patient/3 @3",
        "_rejects clinic/in/day 1.ndjson@v1#1:100/refused-by-database/Patient",
    ];
    assert_eq!(outline(&scratch.read().await), expected);
}

/// A validator refuses one resource; it becomes a reject, the others stand, and nothing half written stays.
#[tokio::test]
async fn one_documents_fault_is_one_reject() {
    let server = Server::get().await;
    let scratch = server.scratch().await;
    let validator = doc! { "n": { "$ne": 2 } };
    scratch.database().create_collection("Patient").validator(validator).await.unwrap();
    let store = scratch.store().await;
    let three = batch([rows("Patient/1", 1, 1), rows("Patient/2", 2, 1), rows("Patient/3", 3, 1)]);
    for _ in 0..2 {
        let summary = store.write(three.build()).await.unwrap();
        assert_eq!(counts(&summary), [2, 0, 0, 0, 1]);
        assert_eq!(summary.codes.get("refused-by-database"), Some(&1));
    }
    let tables = scratch.read().await;
    assert!(tables["_rejects"].values().all(|reject| reject.contains("\"status\":121")));
    let expected = [
        "Patient Patient/1 @1",
        "Patient Patient/3 @3",
        "_rejects clinic/in/day 1.ndjson@v1#2:200/refused-by-database/Patient",
        "_tombstones Patient/2 @2 \"no rows\"",
        "names Patient/1#0 @1",
        "names Patient/3#0 @3",
    ];
    assert_eq!(outline(&tables), expected);
}

/// Where a validator refuses a newer version, the older one does not stay without some of its rows, and the next
/// version that the database takes stands whole.
#[tokio::test]
async fn a_refused_version_leaves_no_part_of_the_older_one() {
    assert_eq!(standing_after([1, 2]).await, ["_tombstones Patient/1 @2 \"no rows\""]);
    let third = ["Patient Patient/1 @3", "names Patient/1#0 @3", "names Patient/1#1 @3"];
    assert_eq!(standing_after([1, 2, 3]).await, third);
}

/// Returns what stands, but for the rejects, after these versions of a resource of which a validator refuses the
/// second.
async fn standing_after(versions: impl IntoIterator<Item = u64>) -> Vec<String> {
    let server = Server::get().await;
    let scratch = server.scratch().await;
    let validator = doc! { "n": { "$ne": 2 } };
    scratch.database().create_collection("Patient").validator(validator).await.unwrap();
    let store = scratch.store().await;
    for version in versions {
        store.write(batch([rows("Patient/1", version, 2)]).build()).await.unwrap();
    }
    let tables = scratch.read().await;
    outline(&tables).into_iter().filter(|line| !line.starts_with("_rejects")).collect()
}

#[tokio::test]
async fn a_database_that_is_not_there_is_an_interruption() {
    let uri = "mongodb://patient:geheim@127.0.0.1:1/?serverSelectionTimeoutMS=200";
    let connection = connect(uri, Some("rows")).await.unwrap();
    assert!(!format!("{connection:?}").contains("geheim"));
    let store = MongoStore::new(connection, "archive");
    let failed = store.write(batch([rows("Patient/1", 1, 0)]).build()).await;
    assert_eq!(failed, Err(Interrupted::Write { code: "no server reachable".into() }));
}

#[tokio::test]
async fn a_connection_string_that_is_none_is_not_repeated() {
    let error = connect("mongodb//user:geheim@host", Some("rows")).await.unwrap_err();
    assert!(!format!("{error:?} {error}").contains("geheim"));
}

#[tokio::test]
async fn a_connection_string_without_a_database_means_fhir() {
    for (uri, database, expected) in [
        ("mongodb://host/", None, "fhir"),
        ("mongodb://host/?tls=true", Some(""), "fhir"),
        ("mongodb://host/clinic", None, "clinic"),
        ("mongodb://host/clinic", Some("rows"), "rows"),
    ] {
        assert_eq!(connect(uri, database).await.unwrap().database(), expected, "{uri} {database:?}");
    }
}

/// Small writes of several loads at the same moment go to the server together, and each load is told what became of its
/// own: of forty resources a validator refuses one, and two loads have the same resource.
#[tokio::test]
async fn writes_at_once_go_together_and_each_is_told_its_own() {
    let server = Server::get().await;
    let scratch = server.scratch().await;
    let validator = doc! { "n": { "$ne": 7 } };
    scratch.database().create_collection("Patient").validator(validator).await.unwrap();
    let store = scratch.store().await;
    // What is done once for a table is done before.
    store.write(batch([rows("Patient/0", 1, 0)]).build()).await.unwrap();
    let database = scratch.database();
    database.run_command(doc! { "profile": 2 }).await.unwrap();
    let of = |number: u64| batch([rows(&format!("Patient/{}", number.min(39)), number, 0)]);
    let written = join_all((1..=40).map(|number| store.write(of(number).build()))).await;
    database.run_command(doc! { "profile": 0 }).await.unwrap();
    let profile = database.collection::<Document>("system.profile");
    let inserts = doc! { "op": "insert", "ns": format!("{}.Patient", database.name()) };
    let inserts = profile.count_documents(inserts).await.unwrap();
    assert!((1..=10).contains(&inserts), "{inserts} commands inserted forty rows");
    profile.drop().await.unwrap();
    for (number, summary) in (1..).zip(written) {
        let counts = counts(&summary.unwrap());
        let is_right = match number {
            7 => counts == [0, 0, 0, 0, 1],
            39 => counts == [1, 0, 0, 0, 0] || counts == [0, 1, 0, 0, 0],
            _ => counts == [1, 0, 0, 0, 0],
        };
        assert!(is_right, "load {number}: {counts:?}");
    }
    let tables = scratch.read().await;
    let versions: Vec<String> =
        outline(&tables).into_iter().filter(|line| line.starts_with("Patient ")).collect();
    assert_eq!(versions.len(), 39, "{versions:?}");
    assert!(versions.contains(&"Patient Patient/39 @40".to_owned()), "{versions:?}");
    assert!(!versions.iter().any(|line| line.starts_with("Patient Patient/7 ")), "{versions:?}");
}
