//! Erasures: nothing of an erased resource stands, whatever came before, comes at the same time or comes later.

use futures::future::join_all;
use mongodb_store::simulation::{Fault, SimulatedMongo};
use pipeline::store::RowStore as _;

use crate::cases::{ARCHIVED, Case, DELETED, LOADED, SUPERSEDED, case};
use crate::database::Server;
use crate::harness::{Harness, of_simulated};
use crate::spec::{BatchSpec, archived, batch, deleted, erased, marked, rows, suffixed};
use crate::tables::outline;

const P: &str = "Patient/1";
const A: &str = "AuditEvent/1";
const MARK: &[&str] = &["_tombstones ~Patient/1 \"erased\""];
/// Later than anything else here.
const LATE: u64 = 1 << 40;

/// Returns the cases of stores that remember.
pub(crate) fn cases() -> Vec<Case> {
    vec![
        case("rows are erased", [batch([rows(P, 1, 3)]), batch([erased(P)])], MARK, &[LOADED, DELETED]),
        case(
            "rows without a main row are erased",
            [batch([suffixed(P, 1, 2)]), batch([erased(P)])],
            MARK,
            &[LOADED, DELETED],
        ),
        case(
            "the latest of all versions is erased",
            [batch([rows(P, LATE, 1)]), batch([erased(P)])],
            MARK,
            &[],
        ),
        case(
            "what comes later stays away, however late it is",
            [
                batch([erased(P)]),
                batch([rows(P, 1, 3)]),
                batch([rows(P, LATE, 1)]),
                batch([suffixed(P, 5, 2)]),
            ],
            MARK,
            &[DELETED, SUPERSEDED, SUPERSEDED, SUPERSEDED],
        ),
        case(
            "a deletion leaves no tombstone of what is erased",
            [batch([deleted(P, 1)]), batch([erased(P)]), batch([deleted(P, 2)]), batch([rows(P, 3, 1)])],
            MARK,
            &[DELETED, DELETED, SUPERSEDED, SUPERSEDED],
        ),
        case(
            "an archived resource is erased, and stays away",
            [batch([archived(P, 1)]), batch([erased(P)]), batch([archived(P, 2)])],
            MARK,
            &[ARCHIVED, DELETED, SUPERSEDED],
        ),
        case(
            "a resource of a type that no table takes is erased, and stays away",
            [batch([archived(A, 1)]), batch([erased(A)]), batch([archived(A, 2)]), batch([deleted(A, 3)])],
            &["_tombstones ~AuditEvent/1 \"erased\""],
            &[ARCHIVED, DELETED, SUPERSEDED, SUPERSEDED],
        ),
        case(
            "an erasure in the middle of a batch",
            [batch([rows(P, 1, 2), erased(P), rows(P, 3, 0)])],
            MARK,
            &[[0, 2, 1, 0, 0]],
        ),
        case(
            "an erasure leaves the neighbours alone",
            [batch([rows(P, 1, 1), rows("Patient/10", 2, 1), deleted("Patient/2", 3)]), batch([erased(P)])],
            &[
                "Patient Patient/10 @2",
                "_tombstones Patient/2 @3 \"deleted\"",
                MARK[0],
                "names Patient/10#0 @2",
            ],
            &[[2, 0, 1, 0, 0], DELETED],
        ),
    ]
}

#[tokio::test]
async fn rejects_do_not_name_what_is_erased() {
    let server = Server::get().await;
    for harness in [Harness::memory(), Harness::simulated(), Harness::mongodb(&server).await] {
        let defective =
            BatchSpec { writes: vec![rows(P, 1, 0)], view_defects: vec![1], ..BatchSpec::default() };
        harness.write(defective.build()).await.unwrap();
        assert_eq!(harness.rejected_keys().await, [Some(P.to_owned())]);
        harness.write(batch([erased(P)]).build()).await.unwrap();
        assert_eq!(harness.rejected_keys().await, []);
        let summary = harness.write(defective.build()).await.unwrap();
        assert_eq!((summary.superseded, summary.view_defects), (1, 1));
        assert_eq!(harness.rejected_keys().await, [None]);
        harness.tables().await;
    }
}

#[tokio::test]
async fn what_is_lifted_comes_back() {
    let server = Server::get().await;
    for harness in [Harness::memory(), Harness::simulated(), Harness::mongodb(&server).await] {
        assert!(!harness.lift(P).await);
        harness.write(batch([rows(P, 1, 1), rows("Patient/2", 1, 0)]).build()).await.unwrap();
        harness.write(batch([erased(P), erased("Patient/2")]).build()).await.unwrap();
        assert!(harness.lift(P).await && !harness.lift(P).await);
        harness.write(batch([rows(P, 1, 1), rows("Patient/2", 3, 0)]).build()).await.unwrap();
        let expected = ["Patient Patient/1 @1", "_tombstones ~Patient/2 \"erased\"", "names Patient/1#0 @1"];
        assert_eq!(outline(&harness.tables().await), expected);
    }
}

/// A writer is killed at any statement, and the settings are changed before its load is tried again: then the version
/// has another fate, and what the killed writer left goes all the same.
#[tokio::test]
async fn what_a_killed_writer_left_goes_under_other_settings_as_well() {
    let fates =
        |version| [rows(P, version, 2), suffixed(P, version, 2), deleted(P, version), archived(P, version)];
    for killed in fates(1) {
        for again in fates(2) {
            for operation in 0..12 {
                let store = SimulatedMongo::default();
                let write = async |spec: BatchSpec| store.write(marked(spec.build(), &store.marks())).await;
                write(batch([erased(P)])).await.unwrap();
                store.fail(Fault { operation, takes_effect: true });
                write(batch([killed.clone()])).await.ok();
                store.fail(Fault { operation: u64::MAX / 2, takes_effect: true });
                write(batch([again.clone()])).await.unwrap();
                let left = outline(&of_simulated(&store));
                assert_eq!(left, MARK, "{killed:?}, killed at statement {operation}, then {again:?}");
            }
        }
    }
}

/// Writers that have written for long, and know nothing of erasures, meet one at any moment.
#[tokio::test(flavor = "multi_thread")]
async fn an_erasure_at_any_moment_of_a_load_leaves_nothing() {
    let server = Server::get().await;
    for round in 0..30 {
        let harness = Harness::mongodb(&server).await;
        harness.write(batch([rows("Patient/9", 1, 0), deleted("Patient/8", 1)]).build()).await.unwrap();
        let versions = [rows(P, 1, 2), deleted(P, 2), archived(P, 3), rows(P, 4, 3), suffixed(P, 5, 1)];
        let mut batches: Vec<BatchSpec> = versions.into_iter().map(|version| batch([version])).collect();
        batches.insert(round % 6, batch([erased(P)]));
        let written = join_all(batches.iter().map(|batch| harness.write(batch.build()))).await;
        assert!(written.iter().all(Result::is_ok), "{written:?}");
        let expected = ["Patient Patient/9 @1", "_tombstones Patient/8 @1 \"deleted\"", MARK[0]];
        assert_eq!(outline(&harness.tables().await), expected, "round {round}");
    }
}

/// A database whose marks nobody can recognise takes no rows: what was erased would come back.
#[tokio::test]
async fn without_the_secret_nothing_is_written() {
    let server = Server::get().await;
    let harness = Harness::mongodb(&server).await;
    harness.write(batch([rows(P, 1, 0), erased("Patient/2")]).build()).await.unwrap();
    let Harness::Mongo { scratch, .. } = harness else { unreachable!("it is one") };
    scratch.database().collection::<bson::Document>(pipeline::erasure::ERASURES).drop().await.unwrap();
    let harness = Harness::Mongo { store: scratch.store().await, scratch };
    let refused = harness.write(batch([rows("Patient/2", 3, 0)]).build()).await;
    assert!(matches!(refused, Err(pipeline::interrupted::Interrupted::Stopped { .. })), "{refused:?}");
    harness.tables().await;
}
