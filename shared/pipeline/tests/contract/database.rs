//! The databases of cases.

use std::path::PathBuf;
use std::sync::atomic::{AtomicU32, Ordering};

use futures::TryStreamExt;
use mongodb::Client;
use mongodb::bson::{Document, doc};
use mongodb_store::{Connection, MongoStore, connect};
use pipeline::erasure::ERASURES;

use crate::endpoint::Endpoint;
use crate::harness::canonical_document;
use crate::replica_set::find_mongod;
use crate::tables::Tables;

/// A running database.
pub(crate) struct Server {
    endpoint: Endpoint,
    client: Client,
}

/// A database of its own within the server, gone afterwards.
pub(crate) struct Scratch {
    uri: String,
    name: String,
    client: Client,
}

impl Server {
    /// Returns a database of its own.
    ///
    /// # Panics
    /// Where there is no database: a test without its server fails.
    pub(crate) async fn get() -> Self {
        let given = variable("MONGODB_URI");
        // After a step-down the driver waits for the next heartbeat, 10 s at the most.
        Self::of(Endpoint::get(given, "serverSelectionTimeoutMS=30000")).await
    }

    /// Returns a server that a test has started.
    pub(crate) async fn at(uri: &str) -> Self {
        Self::of(Endpoint::get(Some(uri.to_owned()), "serverSelectionTimeoutMS=30000")).await
    }

    async fn of(endpoint: Endpoint) -> Self {
        let client = Client::with_uri_str(&endpoint.uri).await.expect("MONGODB_URI is a connection string");
        client.database("admin").run_command(doc! { "ping": 1 }).await.expect("the database answers");
        Self { endpoint, client }
    }

    pub(crate) async fn scratch(&self) -> Scratch {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let number = COUNT.fetch_add(1, Ordering::Relaxed);
        let name = format!("flatfire_contract_{}_{number}", std::process::id());
        let uri = format!("{}&appName={name}", self.endpoint.uri);
        let scratch = Scratch { uri, name, client: self.client.clone() };
        scratch.drop().await;
        scratch
    }

    /// Makes commands of one scratch database's connections fail, as the server's documentation of `failCommand`
    /// says. A server has one such point: only one test sets it, one case after the other.
    pub(crate) async fn fail_command(&self, of: &Scratch, times: i32, mut data: Document) {
        data.insert("appName", &of.name);
        let command = doc! { "configureFailPoint": "failCommand", "mode": { "times": times }, "data": data };
        self.client.database("admin").run_command(command).await.expect("the server allows test commands");
    }
}

impl Scratch {
    pub(crate) async fn connection(&self) -> Connection {
        connect(&self.uri, Some(&self.name)).await.unwrap()
    }

    pub(crate) async fn store(&self) -> MongoStore {
        MongoStore::new(self.connection().await, &self.archive())
    }

    /// Returns a store that has one connection to the server.
    pub(crate) async fn store_of_one_connection(&self) -> MongoStore {
        let uri = format!("{}&maxPoolSize=1", self.uri);
        MongoStore::new(connect(&uri, Some(&self.name)).await.unwrap(), &self.archive())
    }

    pub(crate) fn database(&self) -> mongodb::Database {
        self.client.database(&self.name)
    }

    pub(crate) fn archive_database(&self) -> mongodb::Database {
        self.client.database(&self.archive())
    }

    /// Returns everything in both databases, which are dropped then.
    pub(crate) async fn read(self) -> Tables {
        let mut tables = Tables::new();
        for (database, prefix) in [(self.name.clone(), ""), (self.archive(), "_archive/")] {
            let database = self.client.database(&database);
            let names = database.list_collection_names().await.unwrap();
            // Notes of where rows have ever stood outlast the rows, and the secret of the marks is another one each time.
            let left_out = ["_tables", ERASURES];
            for name in names.into_iter().filter(|name| !left_out.contains(&name.as_str())) {
                let cursor = database.collection::<Document>(&name).find(doc! {}).await.unwrap();
                let documents: Vec<Document> = cursor.try_collect().await.unwrap();
                let documents = (documents.iter()).map(|document| {
                    (document.get_str("_id").unwrap().to_owned(), canonical_document(document))
                });
                tables.insert(format!("{prefix}{name}"), documents.collect());
            }
        }
        self.drop().await;
        tables
    }

    /// Returns whether somebody has erased anything.
    pub(crate) async fn has_erasures(&self) -> bool {
        self.database().list_collection_names().await.unwrap().iter().any(|name| name == ERASURES)
    }

    /// Drops both databases unread.
    pub(crate) async fn discard(self) {
        self.drop().await;
    }

    async fn drop(&self) {
        self.client.database(&self.name).drop().await.unwrap();
        self.client.database(&self.archive()).drop().await.unwrap();
    }

    fn archive(&self) -> String {
        format!("{}_archive", self.name)
    }
}

/// Returns the `mongod` that tests may start; `None`: the caller says that none runs on this machine.
pub(crate) fn mongod() -> Option<PathBuf> {
    find_mongod(variable("FLATFIRE_MONGOD").as_deref())
}

#[expect(clippy::disallowed_methods, reason = "this is the one place where these tests read the environment")]
fn variable(name: &str) -> Option<String> {
    std::env::var(name).ok()
}
