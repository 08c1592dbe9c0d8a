//! The binary as Lambda starts it, against the runtime interface that Lambda offers.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test's helpers fail by panicking")]

mod lambda;

use lambda::{NO_DATABASE, function, invoke};

#[test]
fn the_function_starts_and_acknowledges_a_test_event_though_no_database_is_there() {
    let event = r#"{"Service": "Amazon S3", "Event": "s3:TestEvent", "Bucket": "clinic"}"#;
    let batch =
        r#"{"Records": [{"messageId": "m1", "body": "{\"Records\": []}", "eventSource": "aws:sqs"}]}"#;
    let (answers, printed) = invoke(&[("MONGODB_URI", NO_DATABASE)], &[event, batch]);
    assert!(answers.iter().all(|answer| answer.path.ends_with("/r1/response")), "{answers:?}\n{printed}");
    assert_eq!(answers[0].body, r#"{"loads":[]}"#);
    assert_eq!(answers[1].body, r#"{"batchItemFailures":[]}"#);
    assert!(printed.contains("events ignored"), "{printed}");
}

#[test]
fn what_is_no_notification_is_an_error_that_quotes_nothing() {
    let event = r#"{"CANARY": "CANARY"}"#;
    let (answers, printed) = invoke(&[("MONGODB_URI", NO_DATABASE), ("LOG_LEVEL", "debug")], &[event]);
    assert!(answers[0].path.ends_with("/r1/error"), "{answers:?}");
    assert!(answers[0].body.contains("InvalidNotification"), "{answers:?}");
    assert!(!answers[0].body.contains("CANARY") && !printed.contains("CANARY"), "{answers:?}\n{printed}");
}

#[test]
fn invalid_settings_end_the_function_with_every_mistake_listed() {
    let wrong = [("MONGODB_URI", "CANARY"), ("LOG_LEVEL", "trace"), ("BATCH_MEGABYTES", "0")];
    let output = function(&wrong).output().unwrap();
    assert!(!output.status.success());
    let printed = String::from_utf8(output.stderr).unwrap();
    for name in wrong.map(|(name, _)| name) {
        assert!(printed.contains(name), "{printed}");
    }
    assert!(!printed.contains("CANARY"), "{printed}");
}
