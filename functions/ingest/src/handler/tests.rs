//! Every shape of invocation with a load whose outcome the case decides, and a queue that speaks SQS's protocol.

mod audits;
mod doubles;
mod neighbours;

use std::time::{Duration, Instant};

use pipeline::interrupted::Interrupted;
use pipeline::ledger::Status;
use pipeline::notification::{self, Cause, Event, HOP_LIMIT, form_encode};
use serde_json::{Value, json};

use super::{Failure, InvocationFailure};
use crate::log_names::LogKeys;
use crate::settings::LogLevel;
use doubles::{Bench, LARGE_OBJECT_QUEUE, LoadScript, VERSION, s3_record};

/// Returns a batch of messages that are delivered for the first time, each with an identifier and a body.
fn batch(messages: &[(&str, Value)]) -> Value {
    delivered(1, messages)
}

/// Returns a batch of messages that are delivered for that time.
fn delivered(times: u32, messages: &[(&str, Value)]) -> Value {
    let records: Vec<_> = messages
        .iter()
        .map(|(id, body)| {
            let body = body.as_str().map_or_else(|| body.to_string(), str::to_owned);
            json!({
                "messageId": id, "receiptHandle": format!("receipt of {id}"), "body": body,
                "attributes": {"ApproximateReceiveCount": times.to_string()}, "messageAttributes": {}, "md5OfBody": "",
                "eventSource": "aws:sqs", "eventSourceARN": "arn:aws:sqs:eu-central-1:1:q", "awsRegion": "eu-central-1",
            })
        })
        .collect();
    json!({"Records": records})
}

fn put(key: &str) -> Value {
    json!({"Records": [s3_record(key)]})
}

fn failed(response: &Value) -> Vec<&str> {
    let failures = response["batchItemFailures"].as_array().unwrap();
    failures.iter().map(|failure| failure["itemIdentifier"].as_str().unwrap()).collect()
}

fn interrupted() -> Interrupted {
    Interrupted::Write { code: "91 ShutdownInProgress".into() }
}

fn keys(events: &[Event]) -> Vec<&str> {
    events.iter().map(|event| event.object.key.as_str()).collect()
}

#[tokio::test]
async fn exactly_the_failed_messages_are_named() {
    let bench = Bench::new(&[
        ("in/b", LoadScript::Interrupted(interrupted())),
        ("in/d", LoadScript::Panic),
        ("in/e", LoadScript::Done(Status::Failed)),
        ("in/f", LoadScript::Done(Status::Gone)),
    ])
    .await;
    let messages = ["a", "b", "c", "d", "e", "f"].map(|id| (id, put(&format!("in/{id}"))));
    let response = bench.handle(batch(&messages)).await.unwrap();
    assert_eq!(failed(&response), ["b", "d"]);
    let mut loaded = bench.loaded();
    loaded.sort_by(|one, other| one.object.key.cmp(&other.object.key));
    assert_eq!(keys(&loaded), ["in/a", "in/b", "in/c", "in/d", "in/e", "in/f"]);
}

#[tokio::test]
async fn a_failed_message_is_hidden_for_a_shorter_time_and_no_other() {
    let bench = Bench::new(&[("in/b", LoadScript::Interrupted(interrupted()))]).await;
    bench.handle(batch(&[("a", put("in/a"))])).await.unwrap();
    bench.handle(delivered(2, &[("b", put("in/b"))])).await.unwrap();
    let calls = bench.calls();
    assert_eq!(calls.len(), 1);
    let (operation, body) = &calls[0];
    assert_eq!(
        (operation.as_str(), &body["ReceiptHandle"]),
        ("ChangeMessageVisibility", &json!("receipt of b"))
    );
    // The second delivery.
    assert!((60..=75).contains(&body["VisibilityTimeout"].as_i64().unwrap()), "{body}");
}

#[tokio::test]
async fn a_queue_that_refuses_changes_nothing_of_the_answer() {
    let bench = Bench::new(&[("in/b", LoadScript::Interrupted(interrupted()))]).await.with_a_refusing_queue();
    let response = bench.handle(batch(&[("a", put("in/a")), ("b", put("in/b"))])).await.unwrap();
    assert_eq!(failed(&response), ["b"]);
}

#[tokio::test]
async fn a_poison_message_fails_only_itself() {
    for poison in [json!("CANARY"), json!({"CANARY": 1}), json!(""), json!({"Records": [{"s3": {}}]})] {
        let bench = Bench::new(&[]).await;
        let messages = [("a", put("in/a")), ("poison", poison.clone()), ("c", put("in/c"))];
        let response = bench.handle(batch(&messages)).await.unwrap();
        assert_eq!(failed(&response), ["poison"], "{poison}");
        assert_eq!(bench.loaded().len(), 2);
        assert!(!bench.log().contains("CANARY"), "{}", bench.log());
        assert!(bench.log().contains("message failed"));
    }
}

#[tokio::test]
async fn what_needs_no_load_is_acknowledged() {
    let test = json!({"Service": "Amazon S3", "Event": "s3:TestEvent", "Bucket": "clinic"});
    let mut removal = put("in/a");
    removal["Records"][0]["eventName"] = json!("ObjectRemoved:Delete");
    let mut empty = put("in/a");
    empty["Records"][0]["s3"]["object"]["size"] = json!(0);
    for message in [test, removal, empty, put("in/folder/")] {
        let bench = Bench::new(&[]).await;
        assert_eq!(bench.handle(message.clone()).await, Ok(json!({"loads": []})));
        let response = bench.handle(batch(&[("a", message.clone()), ("b", put("in/b"))])).await.unwrap();
        assert!(failed(&response).is_empty(), "{message}");
        assert_eq!(keys(&bench.loaded()), ["in/b"]);
        assert_eq!(bench.lines("events ignored").len(), 2);
    }
    let bench = Bench::new(&[]).await;
    assert_eq!(bench.handle(json!({"Records": []})).await, Ok(json!({"loads": []})));
}

#[tokio::test]
async fn a_direct_invocation_succeeds_or_fails_as_a_whole() {
    let bench = Bench::new(&[
        ("in/b", LoadScript::Interrupted(interrupted())),
        ("in/d", LoadScript::Done(Status::Partial)),
    ])
    .await;
    assert_eq!(bench.handle(put("in/a")).await, Ok(json!({"loads": ["done"]})));
    assert_eq!(bench.handle(put("in/d")).await, Ok(json!({"loads": ["partial"]})));
    let failure = bench.handle(put("in/b")).await.unwrap_err();
    assert_eq!(failure, InvocationFailure::Direct(Failure::Interrupted(interrupted())));
    assert_eq!((failure.error_type(), failure.to_string()), ("Interrupted", interrupted().to_string()));
    let failure = bench.handle(json!({"CANARY": 1})).await.unwrap_err();
    assert!(matches!(failure, InvocationFailure::Direct(Failure::Invalid(_))));
    assert!(!format!("{failure} {failure:?}").contains("CANARY"));
}

#[tokio::test]
async fn a_panic_of_the_handler_fails_the_invocation_without_its_text() {
    let bench = Bench::new(&[("in/a", LoadScript::PanicOutside)]).await;
    for event in [put("in/a"), batch(&[("a", put("in/a"))])] {
        let failure = bench.handle(event).await.unwrap_err();
        assert_eq!(failure, InvocationFailure::Direct(Failure::Panicked));
        assert_eq!(failure.to_string(), "the program panicked");
        assert!(!bench.log().contains("CANARY"), "{}", bench.log());
    }
}

/// The objects of these tests have 1,024 bytes.
#[tokio::test]
async fn a_large_object_goes_to_the_queue_of_the_worker() {
    for (above, is_large) in [(1_023, true), (1_024, false)] {
        let bench = Bench::new(&[]).await.with_large_objects(above);
        let response = bench.handle(batch(&[("m", put("in/a"))])).await.unwrap();
        assert!(failed(&response).is_empty());
        assert_eq!(bench.loaded().len(), usize::from(!is_large));
        let calls = bench.calls();
        assert_eq!(calls.len(), usize::from(is_large));
        if let Some((operation, body)) = calls.first() {
            assert_eq!(
                (operation.as_str(), body["QueueUrl"].as_str().unwrap()),
                ("SendMessage", LARGE_OBJECT_QUEUE)
            );
            let message = notification::parse(body["MessageBody"].as_str().unwrap().as_bytes()).unwrap();
            assert_eq!(keys(&message.events), ["in/a"]);
        }
    }
    // An object that is not watched goes nowhere but back, and a message that cannot be sent on comes again.
    let bench = Bench::new(&[]).await.with_large_objects(0);
    bench.handle(batch(&[("m", put("out/a"))])).await.unwrap();
    assert!(!bench.calls().iter().any(|(call, _)| call == "SendMessage"), "{:?}", bench.calls());
    let bench = Bench::new(&[]).await.with_large_objects(0).with_a_refusing_queue();
    assert_eq!(failed(&bench.handle(batch(&[("m", put("in/a"))])).await.unwrap()), ["m"]);
    assert!(bench.loaded().is_empty());
}

#[tokio::test]
async fn every_object_of_a_message_is_tried_though_one_fails() {
    let bench = Bench::new(&[("in/a", LoadScript::Interrupted(interrupted()))]).await;
    let several = json!({"Records": [s3_record("in/a"), s3_record("in/b")]});
    let response = bench.handle(batch(&[("m", several.clone())])).await.unwrap();
    assert_eq!(failed(&response), ["m"]);
    assert_eq!(keys(&bench.loaded()), ["in/a", "in/b"]);
    assert!(bench.handle(several).await.is_err());
}

#[tokio::test]
async fn keys_reach_the_load_decoded() {
    let bench = Bench::new(&[]).await;
    for key in ["in/day 1+2.json", "in/a%2Bb", "in/müller.json", "in/🔥"] {
        bench.handle(put(key)).await.unwrap();
        assert_eq!(bench.loaded().last().unwrap().object.key, key);
        assert_ne!(form_encode(key), key);
    }
}

#[tokio::test]
async fn a_message_for_an_object_that_is_not_watched_fails_and_nothing_is_loaded() {
    let bench = Bench::new(&[]).await;
    let mut elsewhere = put("in/a");
    elsewhere["Records"][0]["s3"]["bucket"]["name"] = json!("other");
    for message in [put("out/a"), put("in"), elsewhere] {
        let failure = bench.handle(message.clone()).await.unwrap_err();
        assert_eq!(
            (&failure, failure.error_type()),
            (&InvocationFailure::Direct(Failure::NotWatched), "NotWatched")
        );
        let response = bench.handle(batch(&[("stray", message), ("m", put("in/b"))])).await.unwrap();
        assert_eq!(failed(&response), ["stray"]);
    }
    assert_eq!(keys(&bench.loaded()), ["in/b"; 3]);
    assert_eq!(bench.lines("object not watched").len(), 6);
    let failed = bench.lines("message failed");
    assert!(failed.iter().all(|line| line["level"] == json!("DEBUG")), "the object's line tells it already");
}

#[tokio::test]
async fn a_load_that_meets_the_deadline_goes_on_in_a_message_of_its_own() {
    let bench = Bench::new(&[("in/a b", LoadScript::Interrupted(Interrupted::Deadline))]).await;
    let response = bench.handle(batch(&[("a", put("in/a b"))])).await.unwrap();
    assert!(failed(&response).is_empty());
    let calls = bench.calls();
    assert_eq!(calls.len(), 1);
    assert_eq!(calls[0].0, "SendMessage");
    let continuation = calls[0].1["MessageBody"].as_str().unwrap();
    // It comes back, and meets the deadline again.
    bench.handle(batch(&[("b", json!(continuation))])).await.unwrap();
    let loaded = bench.loaded();
    assert_eq!(loaded[0].object, loaded[1].object);
    assert_eq!((loaded[0].cause, loaded[1].cause), (Cause::Created, Cause::Continuation { hops: 1 }));
    assert!(bench.calls()[1].1["MessageBody"].as_str().unwrap().contains("\"hops\":2"));
}

#[tokio::test]
async fn a_continuation_that_cannot_be_sent_is_a_failed_message() {
    let scripts = [("in/a", LoadScript::Interrupted(Interrupted::Deadline))];
    let refused = Bench::new(&scripts).await.with_a_refusing_queue();
    assert_eq!(failed(&refused.handle(batch(&[("a", put("in/a"))])).await.unwrap()), ["a"]);
    let alone = Bench::new(&scripts).await.without_a_queue();
    let failure = alone.handle(put("in/a")).await.unwrap_err();
    assert_eq!(failure, InvocationFailure::Direct(Failure::Interrupted(Interrupted::Deadline)));
}

#[tokio::test]
async fn nothing_is_begun_after_the_deadline_and_a_replay_stays_one() {
    let bench = Bench::new(&[]).await;
    let late = Instant::now();
    let response = bench.handle_until(batch(&[("a", put("in/a"))]), late).await.unwrap();
    assert!(failed(&response).is_empty());
    let replay = r#"{"flatfire":1,"cause":"replay","object":{"bucket":"clinic","key":"in/b","created":0}}"#;
    bench.handle_until(batch(&[("b", json!(replay))]), late).await.unwrap();
    assert!(bench.loaded().is_empty());
    let sent: Vec<_> = bench.calls().into_iter().map(|(_, body)| body["MessageBody"].to_string()).collect();
    assert!(sent[0].contains("continuation") && sent[1].contains("replay"), "{sent:?}");
    // It counts its hops all the same, and ends.
    assert!(sent[1].contains("\\\"hops\\\":1"), "{sent:?}");
    let last = replay.replace("\"replay\"", &format!("\"replay\",\"hops\":{HOP_LIMIT}"));
    let response = bench.handle_until(batch(&[("b", json!(last))]), late).await.unwrap();
    assert_eq!(failed(&response), ["b"]);
}

#[tokio::test]
async fn the_deadline_reaches_the_load() {
    let bench = Bench::new(&[]).await;
    let deadline = Instant::now() + Duration::from_secs(47);
    bench.handle_until(put("in/a"), deadline).await.unwrap();
    assert_eq!(bench.deadlines(), [deadline]);
}

#[tokio::test]
async fn a_failed_message_without_an_identifier_fails_the_batch() {
    let bench = Bench::new(&[]).await;
    let mut event = batch(&[("a", put("in/a")), ("b", json!("poison"))]);
    event["Records"][1]["messageId"] = Value::Null;
    assert_eq!(bench.handle(event).await, Err(InvocationFailure::Unnamed));
    let broken = json!({"Records": [{"eventSource": "aws:sqs", "body": 7}]});
    assert_eq!(bench.handle(broken).await, Err(InvocationFailure::Envelope));
}

#[tokio::test]
async fn one_line_an_object_says_what_became_of_it() {
    let bench = Bench::new(&[
        ("in/b", LoadScript::Done(Status::Partial)),
        ("in/c", LoadScript::Interrupted(interrupted())),
    ])
    .await;
    bench.handle(batch(&[("a", put("in/a")), ("b", put("in/b")), ("c", put("in/c"))])).await.unwrap();
    let handled = bench.lines("object handled");
    assert_eq!(handled.len(), 2);
    let line = &handled[0];
    assert_eq!((&line["level"], &line["request_id"]), (&json!("INFO"), &json!("request")));
    assert_eq!((&line["bucket"], &line["version"]), (&json!("clinic"), &json!(VERSION)));
    assert_eq!((&line["status"], &line["cause"]), (&json!("done"), &json!("created")));
    for (field, count) in [("records", 12), ("loaded", 11), ("rejected", 1), ("rows", 22), ("bytes", 1024)] {
        assert_eq!(line[field], json!(count), "{field}");
    }
    assert_eq!(line["codes"], json!("invalid-json=1"));
    assert!(line["milliseconds"].is_u64() && line["key"].is_null());
    assert_eq!(line["key_hash"].as_str().unwrap().len(), 16);
    assert_eq!((&handled[1]["level"], &handled[1]["status"]), (&json!("WARN"), &json!("partial")));
    let interrupted = bench.lines("object interrupted");
    assert_eq!(interrupted.len(), 1);
    assert!(interrupted[0]["error"].as_str().unwrap().contains("91 ShutdownInProgress"));
}

#[tokio::test]
async fn a_key_stands_in_the_log_only_where_the_deployment_says_so() {
    let scripts = [
        ("in/CANARY-1", LoadScript::Done(Status::Done)),
        ("in/CANARY-2", LoadScript::Interrupted(Interrupted::Denied { code: "AccessDenied".into() })),
        ("in/CANARY-3", LoadScript::Interrupted(Interrupted::Deadline)),
        ("in/CANARY-4", LoadScript::Panic),
    ];
    let keys = ["in/CANARY-1", "in/CANARY-2", "in/CANARY-3", "in/CANARY-4", "CANARY-5"];
    let messages = keys.map(|key| (key, put(key)));
    let bench = Bench::new(&scripts).await;
    bench.handle(batch(&messages)).await.unwrap();
    assert_eq!(bench.lines("").len(), 7, "{}", bench.log());
    assert!(!bench.log().contains("CANARY"), "{}", bench.log());
    let plain = Bench::new(&scripts).await.with_log(LogKeys::Plain, LogLevel::Info);
    plain.handle(put("in/CANARY-1")).await.unwrap();
    assert_eq!(plain.lines("object handled")[0]["key"], json!("in/CANARY-1"));
    assert_eq!(plain.lines("object handled")[0]["key_hash"], Value::Null);
}

#[tokio::test]
async fn the_log_level_hides_what_is_below_it() {
    let bench = Bench::new(&[("in/b", LoadScript::Done(Status::Partial))])
        .await
        .with_log(LogKeys::Hash, LogLevel::Warn);
    bench.handle(put("in/a")).await.unwrap();
    bench.handle(put("in/b")).await.unwrap();
    let statuses: Vec<_> = bench.lines("").into_iter().map(|line| line["status"].clone()).collect();
    assert_eq!(statuses, ["partial"]);
}

#[tokio::test]
async fn every_sample_event_of_the_repository_is_handled() {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../../events");
    let mut samples = 0;
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_none_or(|extension| extension != "json") {
            continue;
        }
        samples += 1;
        let event: Value = serde_json::from_slice(&std::fs::read(&path).unwrap()).unwrap();
        let bench = Bench::new(&[]).await.watching("flatfire-local", "incoming/");
        let response = bench.handle(event.clone()).await.unwrap();
        if path.ends_with("sqs-unknown.json") {
            assert_eq!(failed(&response), [event["Records"][0]["messageId"].as_str().unwrap()]);
        } else if let Some(loads) = response["loads"].as_array() {
            assert!(loads.iter().all(|status| status == "done"), "{}", path.display());
        } else {
            assert!(failed(&response).is_empty(), "{}", path.display());
        }
        assert!(keys(&bench.loaded()).iter().all(|key| key.starts_with("incoming/")), "{}", path.display());
    }
    assert!(samples >= 9, "only {samples} sample events");
}
