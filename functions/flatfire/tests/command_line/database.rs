//! The databases of tests: two of its own for each, within the server of `MONGODB_URI` or one that the test starts.

use std::collections::BTreeMap;
use std::time::Duration;

use futures::TryStreamExt as _;
use mongodb::bson::{Document, doc};
use mongodb::{Client, Database};

use crate::endpoint::Endpoint;

/// A database that is empty at first, and its archive.
pub struct TestDatabase {
    /// Its connection string.
    pub uri: String,
    /// It.
    pub rows: Database,
    /// Where archived resources go.
    pub archive: Database,
    /// Ends with the test, if the test started it.
    _server: Endpoint,
}

/// How often a database is dropped before that is a failure.
const DROP_TRIES: usize = 10;

/// All documents of all collections, in order.
pub type Content = BTreeMap<String, Vec<Document>>;

impl TestDatabase {
    /// Returns the empty database of a test.
    pub async fn of(test: &str) -> Self {
        #[allow(clippy::disallowed_methods, reason = "a test's server is named in the environment")]
        let given = std::env::var("MONGODB_URI").ok();
        let server = Endpoint::get(given, "serverSelectionTimeoutMS=30000");
        let name = format!("flatfire_{test}");
        let client = Client::with_uri_str(&server.uri).await.unwrap();
        let (rows, archive) = (client.database(&name), client.database(&format!("{name}_archive")));
        drop_database(&rows).await;
        drop_database(&archive).await;
        Self { uri: with_database(&server.uri, &name), rows, archive, _server: server }
    }

    /// Returns everything in it.
    pub async fn content(&self) -> Content {
        content(&self.rows).await
    }

    /// Returns everything in its archive.
    pub async fn archived(&self) -> Content {
        content(&self.archive).await
    }

    /// Leaves nothing behind.
    pub async fn remove(self) {
        drop_database(&self.rows).await;
        drop_database(&self.archive).await;
    }
}

/// Drops a database. On a busy machine the driver may miss a heartbeat and cut its connections, so it is tried again.
async fn drop_database(database: &Database) {
    for _ in 0..DROP_TRIES {
        if database.drop().await.is_ok() {
            return;
        }
        tokio::time::sleep(Duration::from_secs(1)).await;
    }
    database.drop().await.unwrap();
}

async fn content(database: &Database) -> Content {
    let mut content = Content::new();
    for name in database.list_collection_names().await.unwrap() {
        let collection = database.collection::<Document>(&name);
        let all = collection.find(doc! {}).sort(doc! { "_id": 1 }).await.unwrap();
        let documents: Vec<Document> = all.try_collect().await.unwrap();
        content.insert(name, documents);
    }
    content
}

/// Returns the connection string with another database.
fn with_database(uri: &str, database: &str) -> String {
    let (scheme, rest) = uri.split_once("://").unwrap();
    let (place, options) = rest.split_once('?').unwrap_or((rest, ""));
    let hosts = place.split('/').next().unwrap();
    format!("{scheme}://{hosts}/{database}?{options}")
}
