//! How long archived resources are kept: the index that says so.

use futures::TryStreamExt;
use mongodb::bson::{Document, doc};
use mongodb_store::Retention;
use pipeline::store::RowStore;

use crate::database::{Scratch, Server};
use crate::spec::{archived, batch};

/// Archives a resource under a retention and reads after how many seconds resources go then.
async fn seconds(scratch: &Scratch, retention: Retention, version: u64) -> Option<i64> {
    let store = scratch.store().await.with_retention(retention);
    for _ in 0..2 {
        store.write(batch([archived("AuditEvent/1", version)]).build()).await.unwrap();
    }
    let collection = scratch.archive_database().collection::<Document>("AuditEvent");
    let kept = collection.find_one(doc! { "_id": "AuditEvent/1" }).await.unwrap().unwrap();
    assert!(kept.get_datetime("_created").is_ok(), "{:?}", kept.keys().collect::<Vec<_>>());
    let indexes: Vec<_> = collection.list_indexes().await.unwrap().try_collect().await.unwrap();
    let options = indexes.into_iter().filter_map(|index| index.options);
    let found = options.filter(|options| options.name.as_deref() == Some("retention"));
    let found: Vec<_> = found.filter_map(|options| options.expire_after).collect();
    assert!(found.len() < 2, "{found:?}");
    found.first().map(|after| i64::try_from(after.as_secs()).unwrap())
}

#[tokio::test]
async fn archived_resources_are_kept_as_long_as_the_settings_say() {
    let server = Server::get().await;
    let scratch = server.scratch().await;
    assert_eq!(seconds(&scratch, Retention::Forever, 1).await, None);
    assert_eq!(seconds(&scratch, Retention::Days(24_000), 2).await, Some(24_000 * 86_400));
    assert_eq!(seconds(&scratch, Retention::Days(24_001), 3).await, Some(24_001 * 86_400), "it is changed");
    assert_eq!(seconds(&scratch, Retention::Unchanged, 4).await, Some(24_001 * 86_400));
    assert_eq!(seconds(&scratch, Retention::Forever, 5).await, None, "nothing goes any more");
    scratch.discard().await;
}
