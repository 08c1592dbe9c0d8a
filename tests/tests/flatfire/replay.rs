//! `flatfire replay` against a bucket, a queue and the dead-letter queue of a deployment.

use flatfire_tests::{Runner, Stack, eventually, number, text, with_function_and_worker};
use mongodb::bson::{Document, doc};

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
    let ran = stack.flatfire(&[&to[..], &["--status", "partial", "--json"]].concat()).await;
    let sent = format!(
        "{{\"load\":\"{}\",\"outcome\":\"sent\"}}\n",
        text(&stack.load(&upload).await.unwrap(), "_id")
    );
    assert_eq!((ran.code, ran.stdout), (0, sent), "{}", ran.stderr);
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

/// What an older program made goes through the function once more; the ledger says who sent the object, who asked again,
/// and how the first attempt ended. The page shows the depth of the queues.
#[tokio::test]
async fn an_outdated_load_goes_through_the_function_and_the_ledger_says_who_asked() {
    let stack = Stack::deploy("outdated").await;
    let upload = stack.upload("patients.ndjson", LINES).await;
    stack.settled(&upload).await;
    let (uri, queue) = (stack.uri(), stack.deployment.outputs.queue_url.clone());
    let older = doc! { "$set": { "code": "0.0.9" } };
    stack.database().collection::<Document>("_loads").update_one(doc! {}, older).await.unwrap();
    let to = ["replay", "--to", &uri, "--queue-url", &queue, "--operator", "tester", "--outdated"];
    // The catalog of the function is its own, so what it made is outdated here by its code or its catalog.
    let dry = stack.flatfire(&[&to[..], &["--dry-run"]].concat()).await;
    assert_eq!(dry.code, 0, "{}", dry.stderr);
    assert!(dry.stdout.contains(&upload.key) && dry.stdout.contains("code 0.0.9"), "{}", dry.stdout);
    let ran = stack.flatfire(&to).await;
    assert_eq!(ran.code, 0, "{}", ran.stderr);
    assert!(ran.stderr.contains("1 sent to the function"), "{}", ran.stderr);
    let load = eventually("another attempt", async || {
        let load = stack.load(&upload).await?;
        (number(&load, "attempts") == 2 && text(&load, "status") == "done").then_some(load)
    })
    .await;
    assert_ne!(text(&load, "code"), "0.0.9");
    stack.quiet().await;
    let dry = stack.flatfire(&[&to[..], &["--dry-run"]].concat()).await;
    assert!(dry.stdout.is_empty() && !dry.stderr.contains("latest load"), "{dry:?}");
    // With other settings than the function's it is outdated however often it is loaded again.
    let dry = stack.flatfire(&[&to[..], &["--dry-run", "--arrays", "tables"]].concat()).await;
    assert!(dry.stdout.contains(&upload.key), "{}", dry.stdout);
    let told = format!("the latest load of the function was made by catalog {}", text(&load, "catalog"));
    assert!(dry.stderr.contains(&told), "{}", dry.stderr);

    let status = stack.flatfire(&["status", "--to", &uri, "--queue-url", &queue, "--json"]).await;
    assert_eq!(status.code, 0, "{}", status.stderr);
    let names: Vec<&str> = status.stdout.matches(r#""waiting":0"#).collect();
    assert_eq!(names.len(), 2, "the queue and its dead letters: {}", status.stdout);
    let row = stack.flatfire(&["original", "--to", &uri, "Patient/2"]).await;
    assert_eq!((row.code, row.stdout.as_str()), (0, LINES.lines().last().unwrap()), "{}", row.stderr);

    let operator = load.get_document("by").unwrap().get_str("operator").unwrap();
    assert!(operator.starts_with("tester@"), "{operator}");
    let first = load.get_array("history").unwrap()[0].as_document().unwrap().clone();
    assert_eq!((text(&first, "end"), text(&first, "code")), ("done", "0.0.9"));
}
