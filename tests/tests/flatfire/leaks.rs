//! Nothing that a resource says is in a log, the ledger or a reject, whichever way a load goes wrong.

use flatfire_tests::{Runner, Stack, Upload, environment, eventually, text, with_function_and_worker};
use mongodb::bson::{Document, doc};

#[path = "../../../functions/ingest/tests/canary/mod.rs"]
mod canary;

/// Stands in every value of the files of this test.
const CANARY: &str = "CANARY";

/// Whole resources: their values must reach the tables, or this test would prove nothing.
const WHOLE: [&str; 2] = [
    r#"{"resourceType":"Patient","id":"leak-1","name":[{"family":"CANARY-family"}],"birthDate":"CANARY-date","extension":[{"url":"urn:CANARY:url","valueString":"CANARY-value"}]}"#,
    r#"{"resourceType":"Observation","id":"leak-2","status":"CANARY-status","valueQuantity":{"value":"CANARY-number"},"effectiveDateTime":"CANARY-moment","subject":{"reference":"CANARY/CANARY"}}"#,
];

/// One a defect, and its code.
const DEFECTS: [(&str, &[u8]); 11] = [
    ("truncated", br#"{"resourceType":"Patient","id":"CANARY-1","name":[{"family":"CANARY"#),
    ("invalid-json", br#"{"resourceType":"Patient","id":"CANARY-2","CANARY-name":CANARY}"#),
    ("invalid-number", br#"{"resourceType":"Patient","id":"CANARY-3","CANARY-name":1.e,"x":"CANARY"}"#),
    ("duplicate-name", br#"{"resourceType":"Patient","id":"CANARY-4","CANARY":"CANARY","CANARY":"CANARY"}"#),
    ("invalid-escape", br#"{"resourceType":"Patient","id":"CANARY-5","text":"CANARY\q"}"#),
    ("control-character", b"{\"resourceType\":\"Patient\",\"id\":\"CANARY-6\",\"text\":\"CANARY\x01\"}"),
    ("invalid-utf8", b"{\"resourceType\":\"Patient\",\"id\":\"CANARY-7\",\"text\":\"CANARY\xFF\"}"),
    ("object-expected", br#"{"resourceType":"Patient","id":"leak-8","name":"CANARY"}"#),
    ("invalid-id", br#"{"resourceType":"Patient","id":"CANARY is no id!","active":true}"#),
    ("invalid-resource-type", br#"{"resourceType":"CANARY is no type!","id":"leak-9"}"#),
    ("not-a-resource", br#"{"CANARY":"CANARY"}"#),
];

fn lines() -> Vec<u8> {
    let defects = DEFECTS.iter().map(|(_, line)| *line);
    defects.chain(WHOLE.map(str::as_bytes)).flat_map(|line| [line, b"\n"].concat()).collect()
}

const BUNDLE: &str = r#"{"resourceType":"Bundle","id":"leak-bundle","type":"transaction","entry":[
    {"request":{"method":"DELETE","url":"Patient?name=CANARY"}},
    {"fullUrl":"urn:uuid:CANARY","resource":{"resourceType":"Basic","id":"leak-3","code":{"text":"CANARY-refused"}}},
    {"resource":{"resourceType":"Patient","id":"CANARY-cut","name":[{"family":"CANARY"#;

with_function_and_worker! {
    nothing_that_a_file_says_is_in_a_log_the_ledger_or_a_reject,
}

async fn nothing_that_a_file_says_is_in_a_log_the_ledger_or_a_reject(runner: Runner) {
    let uri = environment().await.servers.database.uri();
    let stack = runner.deploy_with("leaks", uri, &[("LogLevel", "debug")]).await;
    refuse_documents(&stack).await;
    let uploads = [
        stack.upload("CANARY-lines.ndjson", lines()).await,
        stack.upload("CANARY-bundle.json", BUNDLE).await,
        stack.upload("CANARY-letter.txt", "CANARY: this is a letter, not FHIR").await,
    ];
    let mut named = Vec::new();
    for (name, content) in canary::files() {
        named.push(stack.upload(name, content).await);
    }
    stack.send(r#"{"CANARY": "CANARY"}"#).await;
    for upload in &named {
        stack.settled(upload).await;
    }
    let mut loads = Vec::new();
    for upload in &uploads {
        loads.push(stack.settled(upload).await);
    }
    stack.dead_letter().await;
    stack.quiet().await;
    every_way_to_fail_was_taken(&stack, &uploads, &loads).await;

    let tables = stack.tables().await;
    let whole = format!(
        "{:?}{:?}",
        tables.row("Patient", "Patient/leak-1"),
        tables.row("Observation", "Observation/leak-2")
    );
    for value in ["CANARY-family", "CANARY-value", "CANARY-status", "CANARY-moment"] {
        assert!(
            whole.contains(value),
            "{value} did not reach its row, so its absence elsewhere shows nothing"
        );
    }
    // Those of the other files are searched field by field.
    for name in ["_loads", "_rejects"] {
        let documents = tables.rows(name).filter(|document| text(document, "key").contains(CANARY));
        documents.for_each(|document| says_nothing(name, &without_the_key(document.clone())));
    }
    for database in [stack.database(), stack.archive()] {
        let leaks = canary::leaks(database).await;
        assert!(leaks.is_empty(), "{leaks:#?}");
    }
    let cloud = environment().await.directory().join("ministack.log");
    says_nothing_of_the_function(&std::fs::read_to_string(cloud).unwrap());
    let log = stack.log().await;
    assert!(log.iter().any(|line| line.contains("object handled")), "the log was read");
    for line in &log {
        says_nothing("the function's log", line);
    }
}

/// Makes the database refuse every row of one table; its answer quotes the whole row.
async fn refuse_documents(stack: &Stack) {
    let validator = doc! { "no_row_has_this": { "$exists": true } };
    stack.database().create_collection("Basic").validator(validator).await.unwrap();
}

async fn every_way_to_fail_was_taken(stack: &Stack, uploads: &[Upload], loads: &[Document]) {
    let all = DEFECTS.map(|(code, _)| code);
    let expected: [&[&str]; 3] =
        [&all, &["refused-by-database", "truncated", "unresolvable-deletion"], &["not-json"]];
    for ((upload, load), expected) in uploads.iter().zip(loads).zip(expected) {
        let codes = load.get_document("codes").unwrap();
        for code in expected {
            assert!(codes.contains_key(code), "{} has no {code}: {codes}", upload.key);
        }
    }
    eventually("the log of the poison message", async || {
        stack.log_lines("message failed").await.into_iter().next()
    })
    .await;
}

/// Returns a document without the file's name: the ledger and the rejects have it, because its uploader chose it.
fn without_the_key(mut document: Document) -> String {
    let key = text(&document, "key").to_owned();
    document.remove("key");
    format!("{document:?}").replace(&key, "")
}

fn says_nothing(place: &str, text: &str) {
    assert!(!text.contains(CANARY), "in {place}: {text}");
    for (canary, _) in canary::CANARIES {
        assert!(!text.contains(canary), "{canary} in {place}: {text}");
    }
}

/// The cloud logs its own requests, whose paths hold keys; of the function it repeats what that printed.
fn says_nothing_of_the_function(log: &str) {
    let printed = log.lines().filter(|line| line.trim_start().starts_with('{'));
    printed.for_each(|line| says_nothing("what the function printed", line));
}

/// A metric's dimensions would be made of log lines: it has none, so that it can say nothing but how many.
#[test]
fn the_metric_of_the_log_has_no_dimensions() {
    let template = std::fs::read_to_string(xtask::workspace::root().join("template.yaml")).unwrap();
    let mut filters = template.split("Type: AWS::Logs::MetricFilter").skip(1).peekable();
    assert!(filters.peek().is_some(), "the template has no metric filter");
    for filter in filters {
        let filter = filter.split("\n\n").next().unwrap();
        assert!(filter.contains("MetricTransformations") && !filter.contains("Dimensions"), "{filter}");
    }
}
