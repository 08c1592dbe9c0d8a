//! `flatfire index`, and the indexes that loads make.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::fs;

use futures::TryStreamExt as _;
use mongodb::bson::{Bson, Document, doc};
use tempfile::TempDir;

use crate::database::TestDatabase;
use crate::program::{Ran, path_of, run};
use crate::replica_set::find_mongod;
use crate::secured::{ARCHIVE, ROWS, Secured, documented_roles};

const PATIENTS: u64 = 50;

/// Writes Observations that are spread over patients.
fn observations(folder: &TempDir, count: u64) -> String {
    let mut lines = String::new();
    for number in 0..count {
        let (patient, code) = (number % PATIENTS, number % 7);
        writeln!(
            lines,
            r#"{{"resourceType":"Observation","id":"o{number}","subject":{{"reference":"Patient/p{patient}"}},"code":{{"coding":[{{"system":"s","code":"{code}"}}]}},"component":[{{"valueInteger":{number}}}]}}"#
        )
        .unwrap();
    }
    let path = path_of(folder, "observations.ndjson");
    fs::write(&path, lines).unwrap();
    path
}

fn load(database: &TestDatabase, more: &[&str]) -> Ran {
    let ran = run(&[&["load", "--tables", "automatic", "--to", &database.uri], more].concat());
    assert_eq!(ran.code, 0, "{ran:?}");
    ran
}

/// Returns the fields of all indexes but that on `_id`, those of one index with a `+` between them.
async fn indexes(database: &TestDatabase, table: &str) -> BTreeSet<String> {
    let indexes = database.rows.collection::<Document>(table).list_indexes().await.unwrap();
    let indexes: Vec<_> = indexes.try_collect().await.unwrap();
    let fields = indexes.iter().map(|index| index.keys.keys().cloned().collect::<Vec<_>>().join("+"));
    fields.filter(|fields| fields != "_id").collect()
}

fn set(names: &[&str]) -> BTreeSet<String> {
    names.iter().map(|name| (*name).to_owned()).collect()
}

/// Asks a table by one column, and returns how: the plan, the documents that were looked at, and those that were found.
async fn explain(database: &TestDatabase, table: &str, filter: Document) -> (String, i64, i64) {
    let command = doc! { "explain": { "find": table, "filter": filter }, "verbosity": "executionStats" };
    let answer = database.rows.run_command(command).await.unwrap();
    let plan = answer.get_document("queryPlanner").unwrap().get_document("winningPlan").unwrap().to_string();
    let stats = answer.get_document("executionStats").unwrap();
    let number = |name: &str| match stats.get(name) {
        Some(Bson::Int32(number)) => i64::from(*number),
        Some(Bson::Int64(number)) => *number,
        other => panic!("{name} is {other:?}"),
    };
    (plan, number("totalDocsExamined"), number("nReturned"))
}

#[tokio::test]
async fn a_first_load_makes_the_indexes_that_queries_use() {
    let database = TestDatabase::of("index_keys").await;
    let folder = tempfile::tempdir().unwrap();
    let file = observations(&folder, 4_000);
    let ran = load(&database, &["--arrays", "tables", &file]);
    assert!(!ran.stderr.contains("indexes"), "{ran:?}");
    let found = indexes(&database, "Observation").await;
    for column in ["_load", "subject_key", "encounter_key", "identifier_values", "code_codings"] {
        assert!(found.contains(column), "{column} is missing in {found:?}");
    }
    assert_eq!(indexes(&database, "Observation_component").await, set(&["_load", "_parent", "code_codings"]));
    let loads = set(&["begun+_id", "key+begun", "status+begun+_id"]);
    assert_eq!(indexes(&database, "_loads").await, loads);
    for (table, filter, expected) in [
        ("Observation", doc! { "subject_key": "Patient/p7" }, 80),
        ("Observation", doc! { "code_codings": "s|3" }, 571),
        ("Observation_component", doc! { "_parent": "Observation/o9" }, 1),
    ] {
        let (plan, examined, returned) = explain(&database, table, filter).await;
        assert!(plan.contains("IXSCAN"), "{plan}");
        assert_eq!((examined, returned), (expected, expected), "{plan}");
    }
    let (plan, ..) = explain(&database, "_loads", doc! { "status": "done" }).await;
    assert!(plan.contains("IXSCAN"), "{plan}");
    database.remove().await;
}

#[tokio::test]
async fn none_makes_none_and_all_makes_at_most_sixty() {
    let database = TestDatabase::of("index_choices").await;
    let folder = tempfile::tempdir().unwrap();
    let file = observations(&folder, 10);
    load(&database, &["--indexes", "none", &file]);
    for table in ["Observation", "_loads"] {
        assert!(indexes(&database, table).await.is_empty(), "{table}");
    }
    load(&database, &["--indexes", "all", "--again", &file]);
    let found = indexes(&database, "Observation").await;
    assert!(found.contains("effective_at") && found.contains("device_key") && found.len() < 60, "{found:?}");
    database.remove().await;
}

#[tokio::test]
async fn a_large_table_is_left_to_the_command() {
    let database = TestDatabase::of("index_large").await;
    let folder = tempfile::tempdir().unwrap();
    let file = observations(&folder, 10_001);
    load(&database, &["--indexes", "none", &file]);
    let rows = database.rows.collection::<Document>("Observation");
    rows.create_index(
        mongodb::IndexModel::builder().keys(doc! { "subject_key": 1, "issued_at": -1 }).build(),
    )
    .await
    .unwrap();
    let ran = load(&database, &["--again", &file]);
    let notice = "flatfire: Observation lacks indexes and has 10001 documents: `flatfire index` builds them";
    assert!(ran.stderr.contains(notice), "{ran:?}");
    assert_eq!(indexes(&database, "Observation").await.len(), 1);
    let other = doc! { "_id": "Observation/x", "_load": "a", "_version": "1" };
    database.rows.collection::<Document>("Observation_of_mine").insert_one(other).await.unwrap();

    let ran = run(&["index", "--to", &database.uri]);
    assert_eq!(ran.code, 0, "{ran:?}");
    assert!(ran.stdout.contains("Observation\t10001 rows\t"), "{ran:?}");
    assert!(ran.stderr.contains("2 tables looked at"), "{ran:?}");
    let found = indexes(&database, "Observation").await;
    assert!(
        found.contains("code_codings") && !found.contains("subject_key"),
        "an index of others counts: {found:?}"
    );
    assert!(indexes(&database, "Observation_of_mine").await.is_empty(), "it is no table of Flatfire's");
    let ran = run(&["index", "--to", &database.uri]);
    assert_eq!((ran.code, ran.stdout.as_str()), (0, ""), "{ran:?}");
    assert!(load(&database, &["--again", &file]).stderr.lines().all(|line| !line.contains("indexes")));
    database.remove().await;
}

/// Somebody has given the name of an index to another one.
#[tokio::test]
async fn an_index_in_the_way_stops_no_load() {
    let database = TestDatabase::of("index_in_the_way").await;
    let folder = tempfile::tempdir().unwrap();
    let file = observations(&folder, 10);
    let index = doc! { "key": { "mine": 1 }, "name": "subject_key_1" };
    database.rows.run_command(doc! { "createIndexes": "Observation", "indexes": [index] }).await.unwrap();
    let ran = load(&database, &[&file]);
    assert!(ran.stderr.contains("flatfire: Observation lacks indexes (8"), "{ran:?}");
    let ran = run(&["index", "--to", &database.uri]);
    assert_eq!(ran.code, 1, "{ran:?}");
    assert!(ran.stderr.contains("Observation: an index of the same name"), "{ran:?}");
    database.remove().await;
}

#[tokio::test]
async fn a_load_goes_on_without_the_right_to_make_indexes() {
    #[allow(clippy::disallowed_methods, reason = "a test's server is named in the environment")]
    let given = std::env::var("FLATFIRE_MONGOD").ok();
    let Some(mongod) = find_mongod(given.as_deref()) else { return };
    let server = Secured::start(&mongod).await;
    server.add_user("flatfire", vec!["flatfire".into()]).await;
    let (uri, role) = (server.uri("flatfire", ROWS), documented_roles().remove(0));
    let folder = tempfile::tempdir().unwrap();
    let file = observations(&folder, 10);
    for action in ["createIndex", "listIndexes"] {
        server.empty().await;
        server.change_role(&role, Some(action)).await;
        let ran = run(&["load", "--tables", "automatic", "--to", &uri, &file]);
        assert_eq!(ran.code, 0, "{ran:?}");
        let notices: Vec<_> = ran.stderr.lines().filter(|line| line.contains("without indexes")).collect();
        assert_eq!(notices.len(), 1, "{ran:?}");
        for part in ["13 Unauthorized", "docs/security.md", &format!("the action {action} ")] {
            assert!(notices[0].contains(part), "{part} is missing in {}", notices[0]);
        }
        let ran = run(&["index", "--to", &uri]);
        assert!(ran.code == 1 && ran.stderr.contains("13 Unauthorized"), "{ran:?}");
    }
    assert!(server.database(ARCHIVE).list_collection_names().await.unwrap().is_empty());
}
