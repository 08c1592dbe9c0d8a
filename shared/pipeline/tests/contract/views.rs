//! The tables of views: their validators and indexes.

use std::sync::Arc;

use flatten::view::Plan;
use futures::TryStreamExt;
use mongodb::bson::{Document, doc};
use mongodb_store::Validation;
use pipeline::store::RowStore;

use crate::database::{Scratch, Server};
use crate::spec::{batch, counts, rows};

/// Returns a view called as one of the tables that batches write to, where its second column is another type.
fn plan() -> Arc<Plan> {
    let view = serde_json::json!({
        "name": "active", "resource": "Patient",
        "select": [{"column": [
            {"name": "patient_key", "path": "getResourceKey()"},
            {"name": "value", "path": "active", "type": "boolean"},
        ]}],
    });
    Arc::new(Plan::compile(&view).unwrap())
}

/// Writes a resource of one more version, twice by two processes, and says what became of it.
async fn write(scratch: &Scratch, validation: Validation, version: u64) -> [u64; 5] {
    let mut outcome = [0; 5];
    for _ in 0..2 {
        let store = scratch.store().await.with_views(validation, &[plan()]);
        outcome = counts(&store.write(batch([rows("Patient/1", version, 3)]).build()).await.unwrap());
    }
    outcome
}

async fn options(scratch: &Scratch) -> Document {
    let command = doc! { "listCollections": 1, "filter": { "name": "active" } };
    let answer = scratch.database().run_command(command).await.unwrap();
    let found = answer.get_document("cursor").unwrap().get_array("firstBatch").unwrap();
    found[0].as_document().unwrap().get_document("options").unwrap().clone()
}

async fn indexes(scratch: &Scratch) -> Vec<Document> {
    let collection = scratch.database().collection::<Document>("active");
    let indexes: Vec<_> = collection.list_indexes().await.unwrap().try_collect().await.unwrap();
    indexes.into_iter().map(|index| index.keys).collect()
}

#[tokio::test]
async fn the_tables_of_views_have_their_validator_and_the_indexes_that_joins_need() {
    let server = Server::get().await;
    for stands_before in [false, true] {
        let scratch = server.scratch().await;
        if stands_before {
            scratch.database().create_collection("active").await.unwrap();
        }
        assert_eq!(write(&scratch, Validation::Error, 1).await, [0, 0, 0, 0, 1], "it is refused");
        let made = options(&scratch).await;
        let schema = made.get_document("validator").unwrap().get_document("$jsonSchema").unwrap();
        assert_eq!(schema.get_str("title").unwrap(), "active");
        assert_eq!(indexes(&scratch).await, [doc! { "_id": 1 }, doc! { "patient_key": 1 }]);

        assert_eq!(write(&scratch, Validation::Off, 2).await, [1, 0, 0, 0, 0]);
        assert_eq!(options(&scratch).await.get_str("validationLevel").unwrap(), "off");
        assert_eq!(write(&scratch, Validation::Warn, 3).await, [1, 0, 0, 0, 0]);
        assert_eq!(options(&scratch).await.get_str("validationAction").unwrap(), "warn");
        assert_eq!(write(&scratch, Validation::Error, 4).await, [0, 0, 0, 0, 1]);
        assert_eq!(options(&scratch).await.get_str("validationAction").unwrap(), "error");
        scratch.discard().await;
    }
}

/// An index of that name over something else is the user's own: it is left, and loading goes on.
#[tokio::test]
async fn an_index_of_the_users_own_stays() {
    let server = Server::get().await;
    let scratch = server.scratch().await;
    let own = doc! { "key": { "patient_key": 1, "n": 1 }, "name": "patient_key_1" };
    let command = doc! { "createIndexes": "active", "indexes": [own] };
    scratch.database().run_command(command).await.unwrap();
    assert_eq!(write(&scratch, Validation::Off, 1).await, [1, 0, 0, 0, 0]);
    assert_eq!(indexes(&scratch).await, [doc! { "_id": 1 }, doc! { "patient_key": 1, "n": 1 }]);
    scratch.discard().await;
}
