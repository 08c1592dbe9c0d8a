//! What the function may do in the database: with the role of `docs/security.md` it loads, archives and validates, and
//! without one of its actions it says which one is missing.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    reason = "a test stops where something is wrong"
)]

mod lambda;
#[path = "../../../shared/pipeline/tests/common/objects.rs"]
mod objects;
#[path = "../../../shared/pipeline/tests/common/replica_set.rs"]
mod replica_set;
#[path = "../../../shared/pipeline/tests/common/secured.rs"]
mod secured;

use mongodb::bson::{Bson, doc};
use serde_json::json;

use lambda::invoke;
use objects::Object;
use replica_set::find_mongod;
use secured::{ARCHIVE, ROWS, Secured, documented_roles};

const OLD: &str = r#"{"resourceType":"Patient","id":"p","meta":{"lastUpdated":"2026-01-03T10:00:00Z"},"contact":[{"gender":"male"}]}
{"resourceType":"AuditEvent","id":"a","recorded":"2026-01-03T10:00:00Z"}"#;
const NEW: &str = r#"{"resourceType":"Patient","id":"p","meta":{"lastUpdated":"2026-01-04T10:00:00Z"}}
{"resourceType":"AuditEvent","id":"b","recorded":"2026-01-04T10:00:00Z"}"#;

/// Settings, one deployment after the other: archived resources stay for ever, then for some days, then for others, and
/// so do rows and entries of the ledger; the validators are set, switched off and set again.
const DEPLOYMENTS: [[(&str, &str); 4]; 4] = [
    [("ARCHIVE_DAYS", "0"), ("VALIDATE_VIEWS", "error"), ("RETENTION_DAYS", ""), ("LEDGER_DAYS", "")],
    [("ARCHIVE_DAYS", "5"), ("VALIDATE_VIEWS", "off"), ("RETENTION_DAYS", "*=24000"), ("LEDGER_DAYS", "40")],
    [("ARCHIVE_DAYS", "6"), ("VALIDATE_VIEWS", "off"), ("RETENTION_DAYS", "*=24001"), ("LEDGER_DAYS", "41")],
    [("ARCHIVE_DAYS", "6"), ("VALIDATE_VIEWS", "error"), ("RETENTION_DAYS", ""), ("LEDGER_DAYS", "0")],
];

fn notification(key: &str, version: &str) -> String {
    let object = json!({"key": key, "size": 1000, "versionId": version, "sequencer": version});
    json!({"Records": [{
        "eventVersion": "2.1", "eventSource": "aws:s3", "eventName": "ObjectCreated:Put",
        "eventTime": "2026-01-05T10:21:07.412Z", "s3": {"bucket": {"name": "clinic"}, "object": object},
    }]})
    .to_string()
}

/// Loads both files again under each deployment, and returns the answers and what the function printed.
fn load(uri: &str, bucket: &str) -> Vec<(Vec<String>, String)> {
    let load = |(number, settings): (usize, &[(&str, &str); 4])| {
        let events = [
            notification("in/old.ndjson", &format!("0{number}")),
            notification("in/new.ndjson", &format!("1{number}")),
        ];
        let mut variables = vec![
            ("MONGODB_URI", uri),
            ("MONGODB_DATABASE", ROWS),
            ("AWS_ENDPOINT_URL", bucket),
            ("AWS_ACCESS_KEY_ID", "id"),
            ("AWS_SECRET_ACCESS_KEY", "secret"),
            ("FLATTEN_ARRAYS", "tables"),
            ("INACTIVE_TYPES", "AuditEvent"),
            ("SQL_SCHEMAS", "on"),
        ];
        variables.extend(settings);
        let (answers, printed) = invoke(&variables, &[&events[0], &events[1]]);
        assert!(!printed.contains("CANARY") && !printed.contains("mongodb://"), "{printed}");
        (answers.into_iter().map(|answer| answer.body).collect(), printed)
    };
    DEPLOYMENTS.iter().enumerate().map(load).collect()
}

/// Returns whether a line tells of a refusal. A load goes on where it may not look for indexes, and says so.
fn is_refusal(line: &str) -> bool {
    line.contains("object interrupted") || line.contains("indexes are missing")
}

fn serve() -> String {
    let versions = ["00", "01", "02", "03"].into_iter().map(|version| ("in/old.ndjson", version, OLD));
    let versions = versions.chain(["10", "11", "12", "13"].map(|version| ("in/new.ndjson", version, NEW)));
    let objects = versions.map(|(key, version, text)| Object { key, version, bytes: text.into() });
    objects::serve(objects.collect())
}

#[tokio::test(flavor = "multi_thread")]
async fn the_function_works_with_the_role_of_the_page_and_names_what_is_missing_without() {
    #[allow(clippy::disallowed_methods, reason = "a test's server is named in the environment")]
    let given = std::env::var("FLATFIRE_MONGOD").ok();
    let Some(mongod) = find_mongod(given.as_deref()) else { return };
    let (server, bucket) = (Secured::start(&mongod).await, serve());
    server.add_user("flatfire", vec!["flatfire".into()]).await;
    let uri = server.uri("flatfire", "");
    for (answers, printed) in load(&uri, &bucket) {
        assert!(answers.iter().all(|answer| answer.contains("done")), "{answers:?}\n{printed}");
    }
    let role = documented_roles().remove(0);
    for action in role.actions() {
        server.empty().await;
        server.change_role(&role, Some(&action)).await;
        let printed: String = load(&uri, &bucket).into_iter().map(|(_, printed)| printed).collect();
        let refusals: Vec<&str> = printed.lines().filter(|line| is_refusal(line)).collect();
        let told = |line: &&&str| {
            ["13 Unauthorized", "docs/security.md", &action].iter().all(|part| line.contains(part))
        };
        assert!(
            refusals.iter().any(|line| told(&line)),
            "nothing needs {action}, or nobody says so: {refusals:#?}"
        );
    }
    server.change_role(&role, None).await;

    server.empty().await;
    let roles = [ROWS, ARCHIVE].map(|database| Bson::from(doc! { "role": "readWrite", "db": database }));
    server.add_user("plain", roles.into()).await;
    let loads = load(&server.uri("plain", ""), &bucket);
    assert!(loads[0].0.iter().all(|answer| answer.contains("done")), "{:?}", loads[0]);
    let changed = &loads[1].1;
    let refusal =
        "grant the database user the action collMod on the database fhir, by the role of docs/security.md";
    assert!(
        changed.contains("collMod on patients in the database fhir") && changed.contains(refusal),
        "{changed}"
    );
    let wrong = load(&server.wrong_uri("flatfire"), &bucket);
    assert!(
        wrong[0].1.contains("18 AuthenticationFailed") && wrong[0].1.contains("check the user"),
        "{wrong:?}"
    );
}
