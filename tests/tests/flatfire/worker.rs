//! `flatfire work` with a queue of its own: killed, stopped, and beside the function as the loader of large objects. In
//! place of the function it runs in the tests of the other modules.

use std::time::Duration;

use flatfire_tests::{Stack, ended, environment, eventually, number, text};
use mongodb::bson::Document;

/// Beside what the function watches.
const PREFIX: &str = "elsewhere/";
const FILES: usize = 60;
const KILLS: u32 = 12;
/// Records of the file that takes long.
const OBSERVATIONS: usize = 80_000;

fn patient(number: usize) -> String {
    format!(
        r#"{{"resourceType":"Patient","id":"w{number}","meta":{{"lastUpdated":"2026-01-05T10:00:00Z"}}}}"#
    )
}

/// Returns a deployment with a queue that only workers read, and a message in it for every file beside the watched
/// prefix.
async fn queue_of(stack: &Stack, name: &str) -> String {
    let queue = stack.make_queue(name).await;
    let place = format!("s3://{}/{PREFIX}", stack.bucket());
    let ran = stack.flatfire(&["backfill", &place, "--to", &stack.uri(), "--queue-url", &queue]).await;
    assert_eq!(ran.code, 0, "{}", ran.stderr);
    queue
}

fn worker(stack: &Stack, queue: &str, options: &[&str]) -> tokio::process::Command {
    let uri = stack.uri();
    let arguments = ["work", "--queue-url", queue, "--to", &uri, "--hidden", "6"];
    let mut command = stack.flatfire_command(&[&arguments[..], options].concat());
    command.env("WATCHED_PREFIX", PREFIX);
    command
}

async fn loads(stack: &Stack) -> Vec<Document> {
    stack.tables().await.rows("_loads").cloned().collect()
}

#[tokio::test]
async fn workers_that_are_killed_again_and_again_lose_nothing() {
    let stack = Stack::deploy("worker").await;
    for number in 0..FILES {
        stack.put(&format!("{PREFIX}day {}/ü+{number}.json", number % 7), patient(number)).await;
    }
    let queue = queue_of(&stack, "flatfire-test-worker-killed").await;
    let mut random = u64::from(std::process::id()) | 1;
    for _ in 0..KILLS {
        random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        let mut first = worker(&stack, &queue, &["--concurrency", "3"]).spawn().unwrap();
        let mut second = worker(&stack, &queue, &[]).spawn().unwrap();
        tokio::time::sleep(Duration::from_millis(random >> 54)).await;
        first.kill().await.unwrap();
        second.kill().await.unwrap();
    }
    let last = ended(worker(&stack, &queue, &["--concurrency", "4", "--until-empty"]).spawn().unwrap()).await;
    assert!(last.status.success(), "{}", String::from_utf8_lossy(&last.stderr));
    let loads = loads(&stack).await;
    assert_eq!(loads.len(), FILES);
    assert!(loads.iter().all(|load| text(load, "status") == "done"), "{loads:?}");
    assert_eq!(stack.tables().await.rows("Patient").count(), FILES);
    let place = format!("s3://{}/{PREFIX}", stack.bucket());
    assert_eq!(stack.flatfire(&["audit", &place, "--to", &stack.uri()]).await.code, 0);
}

#[tokio::test]
async fn a_worker_keeps_its_message_and_stops_at_a_checkpoint() {
    let stack = Stack::deploy("worker-stop").await;
    let lines = (0..OBSERVATIONS).map(|number| {
        format!(r#"{{"resourceType":"Observation","id":"o{number}","status":"final","code":{{"text":"t"}}}}"#)
            + "\n"
    });
    let upload = stack.put(&format!("{PREFIX}large.ndjson"), lines.collect::<String>()).await;
    let queue = queue_of(&stack, "flatfire-test-worker-stopped").await;
    let begun = worker(&stack, &queue, &[]).spawn().unwrap();
    let rows = async || {
        let rows = stack.database().collection::<Document>("Observation");
        rows.estimated_document_count().await.unwrap()
    };
    eventually("rows of the large file", async || (rows().await > 2_000).then_some(())).await;
    // Its message would have come again by now, were it not kept hidden.
    tokio::time::sleep(Duration::from_secs(7)).await;
    let process = begun.id().unwrap().to_string();
    let asked = tokio::process::Command::new("kill").args(["-TERM", &process]).status().await.unwrap();
    assert!(asked.success());
    let stopped = ended(begun).await;
    let log = String::from_utf8_lossy(&stopped.stdout).into_owned();
    assert!(stopped.status.success(), "{log}");
    let load = stack.load(&upload).await.unwrap();
    assert_eq!(number(&load, "attempts"), 1, "{load}");
    assert!(text(&load, "status") == "done" || load.contains_key("checkpoint"), "{load} {log}");
    let next = ended(worker(&stack, &queue, &["--until-empty"]).spawn().unwrap()).await;
    assert!(next.status.success());
    let load = stack.load(&upload).await.unwrap();
    let records = i64::try_from(OBSERVATIONS).unwrap();
    assert_eq!((text(&load, "status"), number(&load, "counts.records")), ("done", records), "{load}");
    assert_eq!(rows().await, OBSERVATIONS as u64);
}

/// As the function flattens with `FLATTEN_ARRAYS=tables` and `FLATTEN_TABLES=automatic`.
#[tokio::test]
async fn a_worker_takes_its_settings_from_a_profile() {
    let stack = Stack::deploy("worker-profile").await;
    let patient = r#"{"resourceType":"Patient","id":"p","name":[{"family":"A"},{"family":"B"}]}"#;
    stack.put(&format!("{PREFIX}patient.json"), patient.to_owned()).await;
    let queue = queue_of(&stack, "flatfire-test-worker-profile").await;
    let folder = tempfile::tempdir().unwrap();
    let profile = folder.path().join("p.toml");
    let text = format!(
        "uri = \"{}\"\nqueue = \"{queue}\"\narrays = \"embedded\"\nresource-types = []\n\
         [profile.tables]\narrays = \"tables\"\ntables = \"automatic\"\n",
        stack.uri()
    );
    std::fs::write(&profile, text).unwrap();
    let profile = profile.display().to_string();
    let arguments = ["work", "--until-empty", "--profile", &profile, "--profile-name", "tables"];
    let ran = ended(stack.flatfire_command(&arguments).spawn().unwrap()).await;
    assert!(ran.status.success(), "{ran:?}");
    let tables = stack.tables().await;
    assert_eq!(tables.rows("Patient_name").count(), 2);
    assert_eq!(tables.rows("patients").count(), 0);
}

#[tokio::test]
async fn a_worker_that_cannot_read_its_queue_says_so() {
    let stack = Stack::deploy("worker-none").await;
    let queue = stack.make_queue("flatfire-test-worker-none").await.replace("worker-none", "no-such-queue");
    let ran = ended(worker(&stack, &queue, &[]).spawn().unwrap()).await;
    let told = String::from_utf8_lossy(&ran.stderr).into_owned();
    assert_eq!(ran.status.code(), Some(1), "{told}");
    assert!(told.contains("the queue cannot be read"), "{told}");
}

/// Patients, with blank lines at the end up to exactly this size.
fn patients_of_size(first: usize, bytes: usize) -> String {
    let text: String = (first..first + 100).map(|number| patient(number) + "\n").collect();
    let blank = bytes - text.len();
    text + &"\n".repeat(blank)
}

#[tokio::test]
async fn an_object_above_the_limit_is_handed_over_by_the_function_and_loaded_by_the_worker() {
    let uri = environment().await.servers.database.uri();
    let stack = Stack::deploy_with("large", uri, &[("LargeObjectMegabytes", "1")]).await;
    let small = stack.upload("ü small.ndjson", patients_of_size(0, 1_000_000)).await;
    let large = stack.upload("ü large.ndjson", patients_of_size(100, 1_000_001)).await;
    let load = stack.settled(&small).await;
    assert_eq!((text(&load, "status"), number(&load, "counts.records")), ("done", 100), "{load}");
    stack.quiet().await;
    assert_eq!(stack.large_object_messages().await, 1, "it waits for a worker: {:?}", stack.log().await);
    assert_eq!(stack.load(&large).await, None);

    stack.start_worker_of_large_objects().await;
    let load = stack.settled(&large).await;
    assert_eq!((text(&load, "status"), number(&load, "counts.records")), ("done", 100), "{load}");
    eventually("an empty queue of large objects", async || {
        (stack.large_object_messages().await == 0).then_some(())
    })
    .await;
    assert_eq!(stack.tables().await.rows("Patient").count(), 200);
    let lines = async |message| {
        (stack.log_lines(message).await.len(), stack.large_object_log_lines(message).await.len())
    };
    assert_eq!(lines("object handed over").await, (1, 0));
    assert_eq!(lines("object handled").await, (1, 1));
    assert_eq!(stack.dead_letters().await, 0);
}
