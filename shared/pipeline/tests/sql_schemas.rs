//! The SQL schemas of tables: each document is as the schema of its table says, no field is missing from the schema, and
//! none is in it that no document has.
//!
//! The project's own samples and cases are always looked at; the feature `corpus` adds public samples.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test stops where something is wrong; clippy's own exception covers test functions alone"
)]

#[path = "common/endpoint.rs"]
mod endpoint;
#[path = "common/shapes.rs"]
mod shapes;

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use flatten::automatic::{Arrays, Settings};
use flatten::catalog::{Catalog, Choices, Tables};
use flatten::decimals::Decimals;
use futures::TryStreamExt as _;
use mongodb::Client;
use mongodb::bson::{Document, doc};
use mongodb_store::simulation::{SimulatedMongo, State};
use mongodb_store::sql_schema::table_document;
use mongodb_store::{MongoStore, connect};
use pipeline::load::{Pipeline, PipelineLimits, ReadOutcome};
use pipeline::object::{ObjectRef, Pin};
use pipeline::source::Storage;
use pipeline::store::RowStore;
use pipeline::store::schema::FieldSchema;
use pipeline::summary::Summary;

use endpoint::Endpoint;
use shapes::{Shape, add_document, add_schema, json_schema};

type Schemas = BTreeMap<String, FieldSchema>;

/// Larger files hold thousands of resources of one kind, and take minutes in a debug build; so do compressed ones that
/// are a tenth as large. They are read where `FLATFIRE_SAMPLES` is `all`.
const MAX_BYTES: u64 = 128 << 10;

fn catalog(arrays: Arrays, decimals: Decimals) -> Arc<Catalog> {
    let views = files_in(&["views"]);
    let views = views.iter().map(|path| (path.display().to_string(), std::fs::read_to_string(path).unwrap()));
    let choices = Choices {
        tables: Tables::Both,
        automatic: Settings { arrays, decimals, ..Settings::default() },
        views: views.collect(),
        ..Choices::default()
    };
    Arc::new(Catalog::compile(choices).unwrap())
}

fn files_in(folders: &[&str]) -> Vec<PathBuf> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let mut folders: Vec<PathBuf> = folders.iter().map(|folder| root.join(folder)).collect();
    let mut files = Vec::new();
    while let Some(folder) = folders.pop() {
        for path in std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()) {
            let name = path.display().to_string();
            if path.is_dir() {
                folders.push(path);
            } else if [".json", ".ndjson", ".gz"].iter().any(|end| name.ends_with(end)) {
                files.push(path);
            }
        }
    }
    files.sort();
    files
}

/// Returns the samples up to that size, and the resources of the cases: not what rows they become.
fn samples() -> Vec<PathBuf> {
    let mut folders = vec!["samples", "shared/flatten/tests/cases"];
    if cfg!(feature = "corpus") {
        folders.push("../shared/fhir/samples");
    }
    let mut files = files_in(&folders);
    files.retain(|path| !path.ends_with("rows.json") && !path.ends_with("settings.json"));
    #[expect(clippy::disallowed_methods, reason = "a long run is asked for by hand")]
    let all = std::env::var("FLATFIRE_SAMPLES").is_ok_and(|which| which == "all");
    files.retain(|path| {
        let is_compressed = path.extension().is_some_and(|extension| extension == "gz");
        all || std::fs::metadata(path).unwrap().len()
            <= if is_compressed { MAX_BYTES / 10 } else { MAX_BYTES }
    });
    assert!(files.len() > 100, "the cases are not there");
    files
}

async fn load<S: RowStore + 'static>(path: &Path, catalog: &Arc<Catalog>, store: &Arc<S>) -> Summary {
    let (storage, catalog) = (Storage::File(path.to_owned()), Arc::clone(catalog));
    let pipeline = Pipeline { storage, catalog, store: store.clone(), limits: PipelineLimits::default() };
    let (bucket, key) = ("file".to_owned(), path.display().to_string());
    // Some have versions and some have none.
    let pin = if key.len().is_multiple_of(2) { Pin::Latest } else { Pin::VersionId("v".to_owned()) };
    let object = ObjectRef { bucket, key, pin, sequencer: None, created: 0, size: None };
    match pipeline.run(&Arc::new(object), None, None, &|_| {}).await.unwrap() {
        ReadOutcome::Whole(summary) => summary,
        read => panic!("{read:?}"),
    }
}

/// Returns whether all rows that were written still stand.
fn has_all(state: &State, summary: &Summary) -> bool {
    let keys = state.tables.values().flat_map(|table| table.keys()).filter(|key| !key.contains('#'));
    let keys: BTreeSet<&String> = keys.collect();
    keys.len() as u64 == summary.loaded && summary.deleted + summary.superseded == 0
}

fn shapes_of<'a>(documents: impl IntoIterator<Item = &'a Document>) -> BTreeSet<Shape> {
    let mut shapes = BTreeSet::new();
    documents.into_iter().for_each(|document| add_document(document, "", &mut shapes));
    shapes
}

fn shapes_of_schema(schema: &FieldSchema) -> BTreeSet<Shape> {
    let mut shapes = BTreeSet::new();
    add_schema(json_schema(&table_document("t", schema)), "", &mut shapes);
    shapes
}

/// Loads each sample into a store of its own and compares, and returns the union of all schemas.
async fn schemas_of_samples(files: &[PathBuf], catalog: &Arc<Catalog>) -> Schemas {
    let (mut all, mut exact) = (Schemas::new(), 0);
    for path in files {
        let store = Arc::new(SimulatedMongo::with_sql_schemas());
        let summary = load(path, catalog, &store).await;
        let (state, schemas, name) = (store.state(), store.sql_schemas(), path.display());
        let is_exact = has_all(&state, &summary);
        exact += u32::from(is_exact);
        for (table, documents) in &state.tables {
            let found = shapes_of(documents.values());
            let schema = schemas.get(table).map(shapes_of_schema).unwrap_or_default();
            let missing: Vec<_> = found.difference(&schema).collect();
            assert!(missing.is_empty(), "{name}: the schema of {table} lacks {missing:?}");
            // The key of a view is null until its Bundle's end.
            let was_null = |(path, kind): &&Shape| {
                kind == "null" && found.contains(&(path.clone(), "string".to_owned()))
            };
            let extra: Vec<_> = schema.difference(&found).filter(|_| is_exact).collect();
            let extra: Vec<_> = extra.into_iter().filter(|shape| !was_null(shape)).collect();
            assert!(extra.is_empty(), "{name}: no document of {table} has {extra:?}");
        }
        for (table, schema) in &schemas {
            assert!(!is_exact || state.tables.contains_key(table), "{name}: {table} has no document");
            all.entry(table.clone()).or_default().unite(schema);
        }
    }
    assert!(exact > 100, "nearly every sample replaces its own rows");
    all
}

#[tokio::test]
async fn schemas_of_embedded_arrays_are_what_documents_are() {
    Box::pin(compare_all(Arrays::Embedded, Decimals::Exact)).await;
}

#[tokio::test]
async fn schemas_of_child_tables_are_what_documents_are() {
    Box::pin(compare_all(Arrays::Tables, Decimals::Exact)).await;
}

#[tokio::test]
async fn schemas_of_doubles_are_what_documents_are() {
    let schemas = Box::pin(compare_all(Arrays::Embedded, Decimals::Double)).await;
    let types = schemas.values().flat_map(shapes_of_schema).map(|(_, kind)| kind);
    let types: BTreeSet<String> = types.collect();
    assert!(types.contains("double") && !types.contains("decimal"), "{types:?}");
}

/// Compares each sample in memory, and all of them in the database, where two processes load one half each at the same
/// time: what they make of one table is united.
async fn compare_all(arrays: Arrays, decimals: Decimals) -> Schemas {
    #[expect(
        clippy::disallowed_methods,
        reason = "this is the one place where these tests read the environment"
    )]
    let endpoint = Endpoint::get(std::env::var("MONGODB_URI").ok(), "serverSelectionTimeoutMS=30000");
    let (catalog, files) = (catalog(arrays, decimals), samples());
    let expected = schemas_of_samples(&files, &catalog).await;
    let client = Client::with_uri_str(&endpoint.uri).await.unwrap();
    let name = format!("flatfire_schemas_{}_{arrays:?}_{decimals:?}", std::process::id());
    let archive = format!("{name}_archive");
    let half = async |first: usize| {
        let connection = connect(&endpoint.uri, Some(&name)).await.unwrap();
        let store = Arc::new(MongoStore::new(connection, &archive).with_sql_schemas(true));
        for path in files.iter().skip(first).step_by(2) {
            load(path, &catalog, &store).await;
        }
    };
    tokio::join!(half(0), half(1));
    compare(&client.database(&name), &expected).await;
    client.database(&name).drop().await.unwrap();
    client.database(&archive).drop().await.unwrap();
    expected
}

async fn compare(database: &mongodb::Database, expected: &Schemas) {
    let stored = database.collection::<Document>("__sql_schemas");
    let stored: Vec<Document> = stored.find(doc! {}).await.unwrap().try_collect().await.unwrap();
    let stored: BTreeMap<&str, &Document> =
        stored.iter().map(|document| (document.get_str("_id").unwrap(), document)).collect();
    assert!(stored.keys().copied().eq(expected.keys().map(String::as_str)), "{:?}", stored.keys());
    for (table, document) in stored {
        let schema = json_schema(document);
        let mut found = BTreeSet::new();
        add_schema(schema, "", &mut found);
        assert_eq!(found, expected.get(table).map(shapes_of_schema).unwrap(), "{table}");
        let collection = database.collection::<Document>(table);
        let others = doc! { "$nor": [{ "$jsonSchema": schema.clone() }] };
        assert_eq!(collection.count_documents(others).await.unwrap(), 0, "{table}");
        let documents: Vec<Document> = collection.find(doc! {}).await.unwrap().try_collect().await.unwrap();
        let missing: Vec<_> = shapes_of(&documents).difference(&found).cloned().collect();
        assert!(missing.is_empty(), "the schema of {table} lacks {missing:?}");
    }
}

/// Another program has described a table in a form of its own: single types, one that no row has, no items.
#[tokio::test]
async fn a_schema_in_another_form_is_extended() {
    #[expect(
        clippy::disallowed_methods,
        reason = "this is the one place where these tests read the environment"
    )]
    let endpoint = Endpoint::get(std::env::var("MONGODB_URI").ok(), "serverSelectionTimeoutMS=30000");
    let client = Client::with_uri_str(&endpoint.uri).await.unwrap();
    let name = format!("flatfire_schemas_{}_other", std::process::id());
    let database = client.database(&name);
    let properties = doc! { "_id": { "bsonType": "string" }, "name": { "bsonType": "array" } };
    let other = doc! { "bsonType": "object", "required": ["_id"], "properties": properties };
    let other = doc! { "_id": "Patient", "schema": { "version": 1, "jsonSchema": other } };
    database.collection::<Document>("__sql_schemas").insert_one(other).await.unwrap();
    let store = async || {
        let connection = connect(&endpoint.uri, Some(&name)).await.unwrap();
        Arc::new(MongoStore::new(connection, &format!("{name}_archive")).with_sql_schemas(true))
    };
    let (catalog, files) = (catalog(Arrays::Embedded, Decimals::Exact), files_in(&["samples"]));
    let (first, second) = (store().await, store().await);
    for path in &files {
        tokio::join!(load(path, &catalog, &first), load(path, &catalog, &second));
    }
    let expected = schemas_of_samples_unchecked(&files, &catalog).await;
    compare(&database, &expected).await;
    database.drop().await.unwrap();
    client.database(&format!("{name}_archive")).drop().await.unwrap();
}

async fn schemas_of_samples_unchecked(files: &[PathBuf], catalog: &Arc<Catalog>) -> Schemas {
    let store = Arc::new(SimulatedMongo::with_sql_schemas());
    for path in files {
        load(path, catalog, &store).await;
    }
    store.sql_schemas()
}
