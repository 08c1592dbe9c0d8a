//! A Bulk Data export arrives file by file: the manifest says what is missing, and when it is complete.

use flatfire_tests::{Stack, text};
use serde_json::{Value, json};

fn manifest(observations: u64) -> String {
    let output = |resource_type: &str, count: u64| {
        let url = format!("https://ehr.example.org/CANARY/{resource_type}%201.ndjson?sig=CANARY");
        json!({ "type": resource_type, "url": url, "count": count })
    };
    let url = "https://ehr.example.org/CANARY/deleted.ndjson";
    json!({
        "transactionTime": "2020-01-05T10:00:00Z",
        "request": "https://ehr.example.org/Group/CANARY/$export",
        "requiresAccessToken": true,
        "output": [output("Patient", 2), output("Observation", observations)],
        "deleted": [{ "type": "Bundle", "url": url, "count": 1 }],
        "error": [],
    })
    .to_string()
}

fn lines(resource_type: &str, count: u64) -> String {
    (0..count)
        .map(|id| json!({ "resourceType": resource_type, "id": id.to_string() }).to_string() + "\n")
        .collect()
}

/// Asks for all exports; returns the exit code and what each waits for.
async fn open(stack: &Stack) -> (i32, Vec<Value>) {
    let ran = stack.flatfire(&["status", "--exports", "--json", "--to", &stack.uri()]).await;
    let reports = ran.stdout.lines().map(|line| serde_json::from_str::<Value>(line).unwrap()["open"].clone());
    (ran.code, reports.collect())
}

#[tokio::test]
async fn an_export_arrives_by_the_function() {
    let stack = Stack::deploy("exports").await;
    assert_eq!(open(&stack).await, (0, Vec::new()));
    let manifest = manifest(3);
    let upload = stack.upload("export/manifest.json", manifest.clone()).await;
    let load = stack.settled(&upload).await;
    assert_eq!((text(&load, "status"), text(&load, "problem")), ("done", "manifest"));
    assert_eq!(open(&stack).await, (2, vec![json!({ "missing": 3 })]));

    stack.settled(&stack.upload("export/Patient 1.ndjson", lines("Patient", 2)).await).await;
    stack.settled(&stack.upload("export/deep/Observation 1.ndjson", lines("Observation", 2)).await).await;
    assert_eq!(open(&stack).await, (2, vec![json!({ "missing": 1, "fewer records": 1 })]));

    let deletion = json!({ "request": { "method": "DELETE", "url": "Patient/9" } });
    let bundle = json!({ "resourceType": "Bundle", "type": "transaction", "entry": [deletion] });
    stack.settled(&stack.upload("export/deleted.ndjson", bundle.to_string()).await).await;
    stack.settled(&stack.upload("export/deep/Observation 1.ndjson", lines("Observation", 3)).await).await;
    assert_eq!(open(&stack).await, (0, vec![json!({})]));

    // The sender corrects the manifest.
    let corrected = manifest.replace("\"count\":3", "\"count\":4");
    stack.settled(&stack.upload("export/manifest.json", corrected).await).await;
    assert_eq!(open(&stack).await, (2, vec![json!({ "fewer records": 1 })]));
    let tables = stack.tables().await;
    assert_eq!(tables.rows("_exports").count(), 1);
    let kept: Vec<_> = tables.rows("_exports").collect();
    assert!(!format!("{kept:?}").contains("CANARY"), "a URL was kept: {kept:?}");
}
