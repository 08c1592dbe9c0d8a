//! The ledger's promises, on the one in memory and on the one in the database.

use std::sync::Arc;

use futures::future::join_all;
use pipeline::interrupted::Interrupted;
use pipeline::ledger::{
    Attempt, AttemptEnd, AttemptTraces, BeginOutcome, Checkpoint, EarlierAttempt, Ending, Interruption,
    Lease, Ledger, LoadFilter, MAX_EARLIER_ATTEMPTS, PriorState, Status,
};
use pipeline::object::{ObjectRef, Pin};
use pipeline::requester::Requester;
use pipeline::summary::{Drift, Summary};

use crate::database::Server;

pub(crate) fn object(key: &str) -> ObjectRef {
    let pin = Pin::VersionId("v1".into());
    ObjectRef { bucket: "clinic".into(), key: key.into(), pin, sequencer: None, created: 5, size: Some(99) }
}

pub(crate) fn attempt(owner: &str, now: i64) -> Attempt {
    let lease = Lease { owner: owner.into(), until: now + 1_000 };
    Attempt { now, lease, again: false, code: "0.1.0".into(), catalog: "abc".into(), by: None }
}

pub(crate) fn ending<'a>(
    status: Status,
    summary: &'a Summary,
    problem: Option<&'a str>,
    now: i64,
) -> Ending<'a> {
    Ending { status, summary, problem, created: Some(6), now }
}

const fn deadline(at: i64) -> Interruption<'static> {
    Interruption { by: &Interrupted::Deadline, at }
}

fn summary() -> Summary {
    Summary {
        bytes: 1 << 40,
        inflated_bytes: 1 << 41,
        records: 10,
        loaded: 3,
        unchanged: 3,
        superseded: 2,
        deleted: 1,
        delete_entries: 2,
        archived: 1,
        rejected: 3,
        rows: 12,
        view_defects: 1,
        types: [("Patient".to_owned(), 3)].into(),
        codes: [("too-deep".to_owned(), 3), ("several-values".to_owned(), 1)].into(),
        checks: [("date".to_owned(), 2)].into(),
        drift: Drift {
            new_columns: 3,
            unlisted: 9,
            unknown_elements: 1,
            clashes: 1,
            names: ["Patient.id".to_owned()].into(),
        },
    }
}

pub(crate) async fn each(check: impl AsyncFn(&Ledger)) {
    check(&Ledger::memory()).await;
    let server = Server::get().await;
    let scratch = server.scratch().await;
    check(&Ledger::new(Arc::new(scratch.store().await))).await;
    scratch.discard().await;
}

fn run(attempt: u32, object: &ObjectRef, checkpoint: Option<Checkpoint>) -> BeginOutcome {
    // In these tests the first attempt leaves the checkpoint.
    let reading = if checkpoint.is_some() { 1 } else { attempt };
    // Every later attempt takes over from one that never said how it ended.
    let prior = PriorState { may_have_rows: attempt > 1, ..PriorState::default() };
    BeginOutcome::Run { attempt, edition: 0, reading, object: Arc::new(object.clone()), checkpoint, prior }
}

#[tokio::test]
async fn a_load_runs_once_from_beginning_to_end() {
    each(async |ledger| {
        let object = object("a");
        let id = object.load_id();
        let first = run(1, &object, None);
        assert_eq!(ledger.begin(&object, &attempt("one", 0)).await, Ok(first.clone()));
        assert_eq!(ledger.begin(&object, &attempt("two", 10)).await, Ok(BeginOutcome::Busy));
        assert_eq!(ledger.begin(&object, &attempt("one", 20)).await, Ok(first), "the answer was lost");
        ledger.finish(&id, 1, &ending(Status::Partial, &summary(), None, 30)).await.unwrap();
        ledger.finish(&id, 1, &ending(Status::Partial, &summary(), None, 30)).await.unwrap();
        let begun = ledger.begin(&object, &attempt("two", 40)).await;
        assert_eq!(begun, Ok(BeginOutcome::AlreadyDone(Status::Partial)));
        let load = ledger.find(&id).await.unwrap().unwrap();
        assert_eq!((load.status, load.attempts, load.begun, load.ended), (Status::Partial, 1, 0, Some(30)));
        assert_eq!(load.created, 6, "what S3 said, not what the message said");
        assert_eq!(
            (load.bucket.as_str(), load.key.as_str(), load.version_id.as_deref()),
            ("clinic", "a", Some("v1"))
        );
        assert_eq!((load.code.as_str(), load.catalog.as_str(), load.lease), ("0.1.0", "abc", None));
        assert_eq!(load.summary, summary());
        assert_eq!(ledger.find("clinic/b@v1").await, Ok(None));
    })
    .await;
}

/// An attempt whose lease has ended may still be at work; nothing it reports counts any more.
#[tokio::test]
async fn a_later_attempt_fences_off_the_earlier() {
    each(async |ledger| {
        let object = object("a");
        let id = object.load_id();
        ledger.begin(&object, &attempt("one", 0)).await.unwrap();
        let here = Checkpoint { offset: 1 << 33, ordinal: 7, line: Some(8), summary: summary() };
        ledger.renew(&id, 1, 2_000).await.unwrap();
        ledger.checkpoint(&id, 1, &here).await.unwrap();
        assert_eq!(
            ledger.begin(&object, &attempt("two", 1_999)).await,
            Ok(BeginOutcome::Busy),
            "the lease was extended"
        );
        let begun = ledger.begin(&object, &attempt("two", 2_000)).await;
        assert_eq!(begun, Ok(run(2, &object, Some(here.clone()))));
        assert_eq!(ledger.checkpoint(&id, 1, &here).await, Err(Interrupted::Busy));
        let late = ledger.finish(&id, 1, &ending(Status::Done, &summary(), None, 2_500)).await;
        assert_eq!(late, Err(Interrupted::Busy));
        ledger.finish(&id, 2, &ending(Status::Done, &Summary::default(), None, 3_000)).await.unwrap();
        let late = ledger.finish(&id, 1, &ending(Status::Done, &summary(), None, 3_500)).await;
        assert_eq!(late, Err(Interrupted::Busy));
        let load = ledger.find(&id).await.unwrap().unwrap();
        assert_eq!((load.attempts, load.summary, load.checkpoint), (2, Summary::default(), None));
    })
    .await;
}

#[tokio::test]
async fn a_lease_is_renewed_by_who_holds_it() {
    each(async |ledger| {
        let object = object("a");
        let id = object.load_id();
        ledger.begin(&object, &attempt("one", 0)).await.unwrap();
        ledger.renew(&id, 1, 5_000).await.unwrap();
        assert_eq!(ledger.begin(&object, &attempt("two", 4_999)).await, Ok(BeginOutcome::Busy));
        let begun = ledger.begin(&object, &attempt("two", 5_000)).await;
        assert_eq!(begun, Ok(run(2, &object, None)));
        assert_eq!(ledger.renew(&id, 1, 9_000).await, Err(Interrupted::Busy), "it is another's by now");
    })
    .await;
}

#[tokio::test]
async fn a_killed_attempt_is_counted_and_found() {
    each(async |ledger| {
        let (object, other) = (object("a"), object("b"));
        let id = object.load_id();
        ledger.begin(&object, &attempt("one", 0)).await.unwrap();
        ledger.begin(&other, &attempt("other", 0)).await.unwrap();
        ledger.abandon(&other.load_id(), 1, None, deadline(7)).await.unwrap();
        let load = ledger.find(&id).await.unwrap().unwrap();
        let end = load.lease.as_ref().unwrap().until;
        assert_eq!((load.is_stuck(end - 1), load.is_stuck(end)), (false, true));
        let stuck = async |now| {
            let found = ledger.list(Some(LoadFilter::Stuck { now }), 10).await.unwrap();
            found.into_iter().map(|load| load.id).collect::<Vec<_>>()
        };
        assert_eq!(stuck(end - 1).await, Vec::<String>::new());
        assert_eq!(stuck(end).await, std::slice::from_ref(&id), "what was abandoned has said so");
        ledger.begin(&object, &attempt("two", end)).await.unwrap();
        let load = ledger.find(&id).await.unwrap().unwrap();
        assert_eq!((load.killed, load.last_killed_at, load.may_have_rows), (1, Some(end), true));
        let here = Checkpoint { offset: 1, ordinal: 1, line: None, summary: summary() };
        ledger.abandon(&id, 2, Some(&here), deadline(7)).await.unwrap();
        let held = ledger.begin(&object, &attempt("three", end + 1)).await;
        assert_eq!(held, Ok(BeginOutcome::Busy), "the database may still be at work");
        let begun = ledger.begin(&object, &attempt("three", end + 100_000)).await.unwrap();
        assert!(matches!(begun, BeginOutcome::Run { attempt: 3, checkpoint: Some(_), .. }), "{begun:?}");
        assert_eq!(ledger.find(&id).await.unwrap().unwrap().killed, 1);
    })
    .await;
}

#[tokio::test]
async fn a_load_that_was_settled_tells_how_when_it_is_asked_for_again() {
    each(async |ledger| {
        let object = object("a");
        let id = object.load_id();
        ledger.begin(&object, &attempt("one", 0)).await.unwrap();
        ledger.finish(&id, 1, &ending(Status::Partial, &summary(), None, 1)).await.unwrap();
        let again = Attempt { again: true, ..attempt("two", 2) };
        let begun = ledger.begin(&object, &again).await.unwrap();
        let BeginOutcome::Run { prior, .. } = begun else { panic!("{begun:?}") };
        assert_eq!(prior.settled, Some((Status::Partial, summary())));
        assert!(prior.may_have_rows);
    })
    .await;
}

#[tokio::test]
async fn an_interrupted_load_goes_on_at_once() {
    each(async |ledger| {
        let object = object("a");
        let id = object.load_id();
        ledger.begin(&object, &attempt("one", 0)).await.unwrap();
        let left = AttemptTraces { has_written: true, has_stalled: true };
        ledger.release(&id, 1, deadline(7), left).await.unwrap();
        let load = ledger.find(&id).await.unwrap().unwrap();
        assert_eq!(
            (load.status, load.problem.clone()),
            (Status::Running, Some(Interrupted::Deadline.to_string()))
        );
        assert_eq!(
            (load.stalls, load.killed, load.may_have_rows, load.is_stuck(i64::MAX)),
            (1, 0, true, false)
        );
        let begun = ledger.begin(&object, &attempt("two", 1)).await.unwrap();
        let BeginOutcome::Run { attempt: 2, prior, .. } = begun else { panic!("{begun:?}") };
        assert_eq!(prior, PriorState { stalls: 1, may_have_rows: true, settled: None });
    })
    .await;
}

#[tokio::test]
async fn of_many_at_once_one_begins() {
    each(async |ledger| {
        let object = object("a");
        let attempts: Vec<Attempt> = (0..12).map(|number| attempt(&format!("owner {number}"), 0)).collect();
        let begun = join_all(attempts.iter().map(|attempt| ledger.begin(&object, attempt))).await;
        let running = begun.iter().filter(|begun| matches!(begun, Ok(BeginOutcome::Run { attempt: 1, .. })));
        assert_eq!(running.count(), 1, "{begun:?}");
        assert!(begun.iter().all(Result::is_ok));
    })
    .await;
}

#[tokio::test]
async fn loads_are_listed_latest_first() {
    each(async |ledger| {
        for (number, key) in ["a", "b", "c"].into_iter().enumerate() {
            let object = object(key);
            let begun = i64::try_from(number).unwrap();
            ledger.begin(&object, &attempt("one", begun)).await.unwrap();
            if key != "b" {
                let problem = Some("23 Problem");
                ledger
                    .finish(&object.load_id(), 1, &ending(Status::Failed, &summary(), problem, 9))
                    .await
                    .unwrap();
            }
        }
        let keys = async |status, limit| {
            let loads = ledger.list(status, limit).await.unwrap();
            loads.into_iter().map(|load| load.key).collect::<String>()
        };
        assert_eq!(keys(None, 10).await, "cba");
        assert_eq!(keys(None, 2).await, "cb");
        assert_eq!(keys(Some(LoadFilter::Of(Status::Failed)), 10).await, "ca");
        assert_eq!(keys(Some(LoadFilter::Of(Status::Running)), 10).await, "b");
        assert_eq!(keys(Some(LoadFilter::Of(Status::Gone)), 10).await, "");
    })
    .await;
}

/// The first attempt stays, and so do the latest; each says when it was, how it ended, and who asked for it.
#[tokio::test]
async fn earlier_attempts_are_remembered_and_bounded() {
    each(async |ledger| {
        let object = object("a");
        let id = object.load_id();
        let sender = Requester {
            principal: Some("AWS:AIDAJDPLRKLG7UEXAMPLE".into()),
            address: Some("192.0.2.7".into()),
            request_id: Some("C3D13FE58DE4C810".into()),
            operator: None,
        };
        let by = Some(sender.clone());
        ledger.begin(&object, &Attempt { by: by.clone(), ..attempt("one", 0) }).await.unwrap();
        ledger.release(&id, 1, deadline(10), AttemptTraces::default()).await.unwrap();
        ledger.begin(&object, &Attempt { by, ..attempt("two", 20) }).await.unwrap();
        let load = ledger.find(&id).await.unwrap().unwrap();
        assert_eq!((load.by, load.interrupted), (Some(sender.clone()), None));
        let lease_end = load.lease.unwrap().until;
        let operator = Requester::operator("root@ingest-1");
        let third = Attempt { by: Some(operator.clone()), ..attempt("three", lease_end + 5) };
        ledger.begin(&object, &Attempt { code: "0.2.0".into(), ..third }).await.unwrap();
        ledger.finish(&id, 3, &ending(Status::Partial, &summary(), Some("manifest"), 5_000)).await.unwrap();
        let nobody = Requester { principal: Some("Doe, Jane".into()), ..Requester::default() };
        let replay = |number: u32, by| Attempt { again: true, by, ..attempt(&number.to_string(), 6_000) };
        ledger.begin(&object, &replay(4, Some(nobody))).await.unwrap();
        let load = ledger.find(&id).await.unwrap().unwrap();
        let earlier = |number, begun, ended, end| EarlierAttempt {
            number,
            begun,
            ended: Some(ended),
            end,
            problem: None,
            code: "0.1.0".into(),
            by: Some(sender.clone()),
        };
        let first = EarlierAttempt {
            problem: Some(Interrupted::Deadline.to_string()),
            ..earlier(1, 0, 10, AttemptEnd::Interrupted)
        };
        let second = earlier(2, 20, lease_end, AttemptEnd::Killed);
        let third = EarlierAttempt {
            problem: Some("manifest".into()),
            code: "0.2.0".into(),
            by: Some(operator),
            ..earlier(3, lease_end + 5, 5_000, AttemptEnd::Settled(Status::Partial))
        };
        assert_eq!(load.history, [first.clone(), second, third]);
        assert_eq!(
            (load.by, load.ended, load.first_ended),
            (None, None, Some(5_000)),
            "no words of a message"
        );
        for number in 5..=40 {
            ledger.finish(&id, number - 1, &ending(Status::Done, &summary(), None, 7_000)).await.unwrap();
            ledger.begin(&object, &replay(number, None)).await.unwrap();
        }
        let load = ledger.find(&id).await.unwrap().unwrap();
        assert_eq!((load.history.len(), load.first_ended), (MAX_EARLIER_ATTEMPTS, Some(5_000)));
        assert_eq!(load.history[0], first);
        let numbers: Vec<u32> = load.history[1..].iter().map(|attempt| attempt.number).collect();
        assert_eq!(numbers, (21..=39).collect::<Vec<u32>>());
    })
    .await;
}
