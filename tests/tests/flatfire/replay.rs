//! `flatfire replay` against a bucket, a queue and the dead-letter queue of a deployment.

use flatfire_tests::{Runner, eventually, number, text, with_function_and_worker};

const CHECKS: &str = r#"[{"type":"Patient","path":"birthDate.exists()","severity":"reject","message":"a patient has a birth date"}]"#;
const LINES: &str = concat!(
    r#"{"resourceType":"Patient","id":"1","birthDate":"1970-01-01"}"#,
    "\n",
    r#"{"resourceType":"Patient","id":"2","active":true}"#,
    "\n",
);

with_function_and_worker! {
    dead_letters_come_back_and_are_loaded,
    rejected_records_are_read_again_from_the_bucket,
    a_load_is_sent_to_the_function_again,
}

async fn dead_letters_come_back_and_are_loaded(runner: Runner) {
    let stack = runner.deploy("letters").await;
    let upload = stack.upload("patients.ndjson", LINES).await;
    stack.settled(&upload).await;
    // As if the notification had never led to anything.
    stack.database().drop().await.unwrap();
    stack.bury(&stack.notification(&upload, "01")).await;
    let poison = r#"{"this": "is no notification"}"#;
    stack.bury(poison).await;

    // The local cloud does not know `ListDeadLetterSourceQueues`, by which the queue would be found.
    let outputs = &stack.deployment.outputs;
    let from_to = ["--dead-letter", &outputs.dead_letter_queue_url, "--queue-url", &outputs.queue_url];
    let ran = stack.flatfire(&[&["replay"], &from_to[..]].concat()).await;
    assert_eq!((ran.code, ran.stdout.as_str()), (0, "2 messages sent back\n"), "{}", ran.stderr);
    assert_eq!(text(&stack.settled(&upload).await, "status"), "done");
    assert_eq!(stack.tables().await.rows("Patient").count(), 2);
    assert_eq!(stack.dead_letter().await, poison, "what is no notification ends there again");
    stack.quiet().await;
}

async fn rejected_records_are_read_again_from_the_bucket(runner: Runner) {
    let stack = runner.deploy_checked("rejects", CHECKS).await;
    let upload = stack.upload("patients.ndjson", LINES).await;
    assert_eq!(text(&stack.settled(&upload).await, "status"), "partial");
    // The bucket holds something else under that key by now.
    stack.upload("patients.ndjson", "").await;

    let ran = stack.flatfire(&["replay", "--to", &stack.uri(), "--rejects"]).await;
    assert_eq!(
        (ran.code, ran.stdout.as_str()),
        (0, "1 records replayed, 0 still rejected\n"),
        "{}",
        ran.stderr
    );
    let tables = stack.tables().await;
    assert_eq!(tables.rows("Patient").count(), 2);
    assert_eq!(tables.rows("_rejects").count(), 0);
    let source = tables.row("Patient", "Patient/2").get_document("_source").unwrap().clone();
    assert_eq!(text(&source, "versionId"), upload.version);
}

async fn a_load_is_sent_to_the_function_again(runner: Runner) {
    let stack = runner.deploy_checked("again", CHECKS).await;
    let upload = stack.upload("patients.ndjson", LINES).await;
    stack.settled(&upload).await;
    let (uri, queue) = (stack.uri(), stack.deployment.outputs.queue_url.clone());
    let to = ["replay", "--to", &uri, "--queue-url", &queue];
    let ran = stack.flatfire(&[&to[..], &["--status", "partial"]].concat()).await;
    assert_eq!(ran.code, 0, "{}", ran.stderr);
    eventually("another attempt", async || {
        let load = stack.load(&upload).await?;
        (number(&load, "attempts") == 2 && text(&load, "status") == "partial").then_some(())
    })
    .await;
    stack.quiet().await;

    stack.remove(&upload).await;
    let ran = stack.flatfire(&[&to[..], &[upload.key.as_str()]].concat()).await;
    assert_eq!(ran.code, 1);
    assert!(ran.stderr.contains("the object is gone"), "{}", ran.stderr);
}
