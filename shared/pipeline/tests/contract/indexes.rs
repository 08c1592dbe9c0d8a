//! The indexes of automatic tables and of the bookkeeping.

use std::collections::BTreeSet;

use flatten::indexes::Indexes;
use futures::TryStreamExt;
use mongodb::bson::{Document, doc};
use mongodb_store::MAX_DOCUMENTS_TO_INDEX;
use pipeline::store::RowStore;

use crate::database::{Scratch, Server};
use crate::spec::{batch, rows};

/// Returns the first field of each index.
async fn indexes(scratch: &Scratch, table: &str) -> BTreeSet<String> {
    let indexes = scratch.database().collection::<Document>(table).list_indexes().await.unwrap();
    let indexes: Vec<_> = indexes.try_collect().await.unwrap();
    indexes.iter().map(|index| index.keys.keys().next().unwrap().clone()).collect()
}

#[tokio::test]
async fn processes_that_write_at_once_make_the_same_indexes() {
    let server = Server::get().await;
    let scratch = server.scratch().await;
    let writes = (0..8).map(|number| {
        let scratch = &scratch;
        async move {
            let store = scratch.store().await.with_indexes(Indexes::All);
            let batch = batch([rows(&format!("Patient/{number}"), 1, 2)]);
            store.write(batch.build()).await.unwrap();
            assert!(store.take_index_notices().is_empty());
        }
    });
    futures::future::join_all(writes).await;
    let found = indexes(&scratch, "Patient").await;
    for column in ["_id", "_load", "identifier_values", "managingOrganization_key", "birthDate_at"] {
        assert!(found.contains(column), "{column} is missing in {found:?}");
    }
    assert_eq!(
        indexes(&scratch, "_loads").await,
        ["_id", "begun", "key", "status"].map(str::to_owned).into()
    );
    scratch.discard().await;
}

#[tokio::test]
async fn a_store_makes_indexes_only_if_it_is_told_to() {
    let server = Server::get().await;
    let scratch = server.scratch().await;
    for store in [scratch.store().await, scratch.store().await.with_indexes(Indexes::None)] {
        store.write(batch([rows("Patient/1", 1, 2)]).build()).await.unwrap();
    }
    assert_eq!(indexes(&scratch, "Patient").await, ["_id".to_owned()].into());
    scratch.discard().await;
}

#[tokio::test]
async fn a_large_collection_is_left_as_it_is() {
    let server = Server::get().await;
    let scratch = server.scratch().await;
    let patients = scratch.database().collection::<Document>("Patient");
    let documents = (0..=MAX_DOCUMENTS_TO_INDEX).map(|number| doc! { "_id": format!("Patient/x{number}") });
    patients.insert_many(documents).await.unwrap();
    let store = scratch.store().await.with_indexes(Indexes::Keys);
    for version in [1, 2] {
        store.write(batch([rows("Patient/1", version, 2)]).build()).await.unwrap();
    }
    assert_eq!(store.take_index_notices().len(), 1, "it is told once");
    assert_eq!(indexes(&scratch, "Patient").await, ["_id".to_owned()].into());
    patients.delete_many(doc! { "_id": { "$gt": "Patient/x5" } }).await.unwrap();
    let next = scratch.store().await.with_indexes(Indexes::Keys);
    next.write(batch([rows("Patient/1", 3, 2)]).build()).await.unwrap();
    assert!(indexes(&scratch, "Patient").await.contains("identifier_values"));
    scratch.discard().await;
}
