//! The database of these tests: the one of `MONGODB_URI`, else one that the test starts for itself.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use futures::TryStreamExt;
use mongodb::Client;
use mongodb::bson::{Document, doc};
use pipeline::sink::mongodb::{Connection, MongoSink, connect};

use crate::compare::{Written, text};
use crate::settings::database_uri;

/// A running database.
pub(crate) struct Server {
    uri: String,
    /// Ends with the test that started it.
    own: Option<(Child, tempfile::TempDir)>,
}

/// Two databases of a history's own within the server, gone afterwards.
pub(crate) struct Scratch {
    /// Commands of this connection fail, of the other they do not.
    uri: String,
    quiet_uri: String,
    name: String,
    client: Client,
}

/// What the lines call themselves, so that only their commands fail. After a step-down a driver waits for the next
/// heartbeat: half a second is the least that it takes.
const OPTIONS: &str = "heartbeatFrequencyMS=500&serverSelectionTimeoutMS=30000";

impl Server {
    /// # Panics
    /// Where there is no database: a test without its server fails.
    pub(crate) fn start() -> Self {
        let (uri, own) = match database_uri() {
            Some(uri) => (uri, None),
            None => start(),
        };
        let separator = if uri.contains('?') { '&' } else { '?' };
        Self { uri: format!("{uri}{separator}{OPTIONS}"), own }
    }

    /// The name of the application whose commands may fail.
    pub(crate) fn application() -> String {
        format!("flatfire_oracle_{}", std::process::id())
    }

    /// A client of the test's own, whose commands do not fail.
    pub(crate) async fn client(&self) -> Client {
        Client::with_uri_str(&self.uri).await.expect("MONGODB_URI is a connection string")
    }
}

impl Scratch {
    pub(crate) async fn new(server: &Server, seed: u64) -> Self {
        let name = format!("{}_{seed}", Server::application());
        let uri = format!("{}&appName={}", server.uri, Server::application());
        let scratch = Self { uri, quiet_uri: server.uri.clone(), name, client: server.client().await };
        scratch.drop().await;
        scratch
    }

    pub(crate) async fn connection(&self) -> Connection {
        connect(&self.uri, Some(&self.name)).await.unwrap()
    }

    pub(crate) async fn quiet_connection(&self) -> Connection {
        connect(&self.quiet_uri, Some(&self.name)).await.unwrap()
    }

    pub(crate) async fn sink(&self) -> MongoSink {
        MongoSink::new(self.connection().await, &self.archive())
    }

    /// Tables, archive, tombstones and rejects.
    pub(crate) async fn written(&self) -> Written {
        let mut written = Written::new();
        for (database, prefix) in [(self.name.clone(), ""), (self.archive(), "_archive/")] {
            let names = self.client.database(&database).list_collection_names().await.unwrap();
            let beside = ["_loads", "_columns", "_side_tables"];
            for name in names.into_iter().filter(|name| !beside.contains(&name.as_str())) {
                let documents = self.documents_in(&database, &name).await;
                let documents = documents.iter();
                let documents: std::collections::BTreeMap<_, _> = documents
                    .map(|document| (document.get_str("_id").unwrap().to_owned(), text(document)))
                    .collect();
                if !documents.is_empty() {
                    written.insert(format!("{prefix}{name}"), documents);
                }
            }
        }
        written
    }

    /// Resource types with the tables that have held rows aside of their keys.
    pub(crate) async fn side_tables(&self) -> BTreeSet<(String, String)> {
        let notes = self.documents("_side_tables").await;
        let word = |note: &Document, name: &str| note.get_str(name).unwrap().to_owned();
        notes.iter().map(|note| (word(note, "type"), word(note, "table"))).collect()
    }

    /// The entries of the dictionary.
    pub(crate) async fn columns(&self) -> BTreeSet<String> {
        let columns = self.documents("_columns").await;
        columns.iter().map(|column| column.get_str("_id").unwrap().to_owned()).collect()
    }

    pub(crate) async fn discard(self) {
        self.drop().await;
    }

    /// Everything in a collection of the tables' database.
    pub(crate) async fn documents(&self, collection: &str) -> Vec<Document> {
        self.documents_in(&self.name, collection).await
    }

    async fn documents_in(&self, database: &str, collection: &str) -> Vec<Document> {
        let collection = self.client.database(database).collection::<Document>(collection);
        collection.find(doc! {}).await.unwrap().try_collect().await.unwrap()
    }

    async fn drop(&self) {
        self.client.database(&self.name).drop().await.expect("the database answers");
        self.client.database(&self.archive()).drop().await.expect("the database answers");
    }

    fn archive(&self) -> String {
        format!("{}_archive", self.name)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        if let Some((child, _)) = &mut self.own {
            child.kill().and_then(|()| child.wait()).ok();
        }
    }
}

fn start() -> (String, Option<(Child, tempfile::TempDir)>) {
    let program = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../.tools/cloud/bin/secantusd-py");
    assert!(program.exists(), "no database: run `cargo xtask test`, or set MONGODB_URI");
    let directory = tempfile::tempdir().unwrap();
    let port = free_port();
    let mut command = Command::new(program);
    command.args([
        "--host",
        "127.0.0.1",
        "--port",
        &port.to_string(),
        "--enable-test-commands",
        "--storage-path",
    ]);
    command.arg(directory.path().join("data")).env("HOME", directory.path());
    let child = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    wait_for(port, Duration::from_mins(1));
    (format!("mongodb://127.0.0.1:{port}/?directConnection=true"), Some((child, directory)))
}

fn free_port() -> u16 {
    std::net::TcpListener::bind(("127.0.0.1", 0)).and_then(|listener| listener.local_addr()).unwrap().port()
}

/// The server says nothing when it is ready; it takes connections then.
fn wait_for(port: u16, within: Duration) {
    let begun = std::time::Instant::now();
    while std::net::TcpStream::connect(("127.0.0.1", port)).is_err() {
        assert!(begun.elapsed() < within, "the database takes no connections");
        std::thread::sleep(Duration::from_millis(50));
    }
}
