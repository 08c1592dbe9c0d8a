//! `flatfire schema --to`

use mongodb::bson::Document;
use serde_json::Value;

use crate::database::TestDatabase;
use crate::program::{run, sample};

#[tokio::test]
async fn the_tables_of_a_database_have_the_schemas_that_loads_have_kept() {
    let database = TestDatabase::of("schema_kept").await;
    let arguments = ["load", "--to", &database.uri, "--sql-schemas", "--arrays", "tables"];
    let file = sample("patient-bundle.json");
    let ran = run(&[&arguments[..], &[&file]].concat());
    assert_eq!(ran.code, 0, "{}", ran.stderr);
    let stored = database.rows.collection::<Document>("__sql_schemas");
    let count = stored.count_documents(Document::new()).await.unwrap();

    let mongosql = run(&["schema", "--to", &database.uri, "--as", "mongosql"]);
    assert_eq!((mongosql.code, mongosql.stderr.as_str()), (0, ""));
    let documents: Vec<Value> = serde_json::from_str(&mongosql.stdout).unwrap();
    assert_eq!(documents.len() as u64, count);
    let patient = documents.iter().find(|document| document["_id"] == "Patient").unwrap();
    assert_eq!(patient["schema"]["version"], 1);
    let properties = &patient["schema"]["jsonSchema"]["properties"];
    assert_eq!(properties["_id"]["bsonType"], serde_json::json!(["string"]));
    assert_eq!(properties["birthDate_at"]["bsonType"], serde_json::json!(["date"]));

    let validators = run(&["schema", "--to", &database.uri, "--as", "json-schema"]);
    let validators: Value = serde_json::from_str(&validators.stdout).unwrap();
    assert_eq!(validators["Patient"]["required"][0], "_id");
    assert_eq!(validators["Patient"]["properties"], *properties);

    let sql = run(&["schema", "--to", &database.uri, "--as", "sql"]).stdout;
    for part in [
        "CREATE TABLE \"Patient\" (\n  \"_id\" text NOT NULL PRIMARY KEY,",
        "\"birthDate_at\" timestamp with time zone",
        "CREATE TABLE \"Patient_name\" (",
        "\"_n\" integer",
        "\"given\" text[]",
    ] {
        assert!(sql.contains(part), "{part} is missing in:\n{sql}");
    }
    let columns = run(&["schema", "--to", &database.uri, "--as", "columns"]).stdout;
    assert!(columns.contains("Patient\tbirthDate\ttext\tdate\tPatient.birthDate\n"), "{columns}");
    assert!(columns.contains("Patient_name\tgiven\ttext[]\tstring\t"), "{columns}");
    database.remove().await;
}

#[tokio::test]
async fn without_kept_schemas_the_dictionary_says_what_tables_hold() {
    let database = TestDatabase::of("schema_of_columns").await;
    let ran = run(&["load", "--to", &database.uri, &sample("patient-bundle.json")]);
    assert_eq!(ran.code, 0, "{}", ran.stderr);
    let columns = run(&["schema", "--to", &database.uri, "--as", "columns"]);
    assert!(columns.stderr.contains("SQL_SCHEMAS=on (--sql-schemas)"), "{}", columns.stderr);
    assert!(columns.stdout.contains("Patient\tname.given\ttext[]\tstring\t"), "{}", columns.stdout);
    let mongosql = run(&["schema", "--to", &database.uri, "--as", "mongosql"]);
    let documents: Vec<Value> = serde_json::from_str(&mongosql.stdout).unwrap();
    let patient = documents.iter().find(|document| document["_id"] == "Patient").unwrap();
    let name = &patient["schema"]["jsonSchema"]["properties"]["name"];
    assert_eq!(name["items"]["properties"]["given"]["items"]["bsonType"], serde_json::json!(["string"]));
    database.remove().await;
}

#[tokio::test]
async fn a_schema_that_cannot_be_printed_says_why_and_what_to_do() {
    let database = TestDatabase::of("schema_of_nothing").await;
    let empty = run(&["schema", "--to", &database.uri, "--as", "sql"]);
    assert_eq!((empty.code, empty.stdout.as_str()), (1, ""));
    assert!(empty.stderr.contains("load a file first"), "{}", empty.stderr);
    let views = run(&["schema", "--as", "mongosql"]);
    assert_eq!(views.code, 1);
    assert!(views.stderr.contains("add --to mongodb://"), "{}", views.stderr);
    database.remove().await;
}
