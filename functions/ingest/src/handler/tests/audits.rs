//! Audits that are asked for by an event or a message.

use pipeline::audit::AuditVerdict;
use pipeline::interrupted::Interrupted;
use serde_json::{Value, json};

use super::doubles::Bench;
use super::{batch, failed, put};
use crate::audit::{AuditRequest, AuditStep};
use pipeline::audit::VerdictCounts;

fn request() -> Value {
    json!({"audit": {"olderThanMinutes": 360}})
}

fn sums(counts: &[(AuditVerdict, u64)]) -> VerdictCounts {
    counts.iter().copied().collect()
}

#[tokio::test]
async fn an_event_asks_for_an_audit_and_the_log_says_what_it_found() {
    let found = sums(&[
        (AuditVerdict::Done, 7),
        (AuditVerdict::Failed, 1),
        (AuditVerdict::Missing, 2),
        (AuditVerdict::Stuck, 1),
    ]);
    let bench = Bench::new(&[]).await.auditing(Ok(AuditStep::Finished(found)));
    assert_eq!(bench.handle(request()).await.unwrap(), json!({"audit": "finished"}));
    assert_eq!(bench.audits(), [AuditRequest::of(&request()).unwrap()]);
    let lines = bench.lines("bucket audited");
    let [line] = &lines[..] else { panic!("{lines:?}") };
    assert_eq!((&line["level"], &line["missing"]), (&json!("ERROR"), &json!(3)));
    assert_eq!(line["versions"], "done=7 failed=1 missing=2 stuck=1");
    assert!(bench.loaded().is_empty());
}

#[tokio::test]
async fn an_audit_whose_time_is_up_goes_on_by_a_message() {
    let next = json!({"audit": {"olderThanMinutes": 360, "progress": {
        "began": 5, "marker": {"key": "in/ü", "version": "v"}, "sums": {"done": 1000},
    }}});
    let next = AuditRequest::of(&next).unwrap();
    let bench = Bench::new(&[]).await.auditing(Ok(AuditStep::Stopped(next.clone())));
    assert_eq!(bench.handle(request()).await.unwrap(), json!({"audit": "continued"}));
    let calls = bench.calls();
    let [(operation, call)] = &calls[..] else { panic!("{calls:?}") };
    assert!(operation.ends_with("SendMessage"), "{operation}");
    let body = call["MessageBody"].as_str().unwrap();
    assert_eq!(AuditRequest::of_body(body), Some(next.clone()));
    assert!(bench.lines("bucket audited").is_empty());

    // The message arrives in a batch, beside a notification.
    let bench = Bench::new(&[]).await;
    let response = bench.handle(batch(&[("a", json!(body)), ("b", put("in/b"))])).await.unwrap();
    assert!(failed(&response).is_empty(), "{response}");
    assert_eq!((bench.audits(), bench.loaded().len()), (vec![next], 1));
    let lines = bench.lines("bucket audited");
    assert_eq!((lines.len(), &lines[0]["level"]), (1, &json!("INFO")));
}

#[tokio::test]
async fn an_audit_that_fails_is_tried_again() {
    let denied = Interrupted::Denied { code: "s3:ListBucketVersions".into() };
    let bench = Bench::new(&[]).await.auditing(Err(denied));
    assert!(bench.handle(request()).await.is_err());
    let response = bench.handle(batch(&[("a", request()), ("b", put("in/b"))])).await.unwrap();
    assert_eq!(failed(&response), ["a"]);
    assert_eq!(bench.lines("audit interrupted").len(), 2);

    let stopped = AuditStep::Stopped(AuditRequest::of(&request()).unwrap());
    let bench = Bench::new(&[]).await.with_a_refusing_queue().auditing(Ok(stopped));
    assert!(bench.handle(request()).await.is_err());
}
