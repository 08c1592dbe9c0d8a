//! The databases of histories.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use futures::TryStreamExt;
use mongodb::Client;
use mongodb::bson::{Document, doc};
use mongodb_store::{Connection, MongoStore, connect};

use crate::compare::{Written, text};
use crate::elections::Elections;
use crate::endpoint::Endpoint;
use crate::settings::database_uri;
use crate::shapes::json_schema;

/// A running database.
pub(crate) struct Server {
    /// The connection string of the test's own commands.
    quiet_uri: String,
    /// What the lines add to it.
    options: &'static str,
    /// Where histories are played, in words.
    pub(crate) name: &'static str,
    /// Longer than it takes to carry out a command that was sent.
    pub(crate) longest_command: Duration,
    /// Whether fail points refuse commands for good.
    pub(crate) refuses: bool,
    /// Ends with this value, if the test started it.
    _endpoint: Option<Endpoint>,
}

/// Two databases of a history's own within the server, gone afterwards.
#[derive(Debug)]
pub(crate) struct Scratch {
    /// Commands of this connection fail, of the other they do not.
    uri: String,
    quiet_uri: String,
    name: String,
    client: Client,
    /// [`Server::longest_command`]
    pub(crate) longest_command: Duration,
}

/// What the lines call themselves, so that only their commands fail. After a step-down a driver waits for the next
/// heartbeat: half a second is the least that it takes.
const OPTIONS: &str = "heartbeatFrequencyMS=500&serverSelectionTimeoutMS=30000";

/// Lines on a replica set give up soon where there is no primary, so that this happens often.
const ELECTION_OPTIONS: &str = "serverSelectionTimeoutMS=300";

/// How long the test's own commands are repeated: a replica set may be electing a primary.
const ANSWERS_WITHIN: Duration = Duration::from_mins(2);
const ASK_AGAIN_AFTER: Duration = Duration::from_millis(100);

impl Server {
    /// Starts a database.
    ///
    /// # Panics
    /// Where there is no database: a test without its server fails.
    pub(crate) fn start() -> Self {
        let endpoint = Endpoint::get(database_uri(), OPTIONS);
        Self {
            quiet_uri: endpoint.uri.clone(),
            options: "",
            name: "in the database",
            // Those that a fail point holds up included.
            longest_command: Duration::from_millis(500),
            refuses: true,
            _endpoint: Some(endpoint),
        }
    }

    /// Returns a replica set that elects one primary after the other.
    pub(crate) fn with_elections(elections: &Elections) -> Self {
        Self {
            quiet_uri: format!("{}&{OPTIONS}", elections.uri()),
            options: ELECTION_OPTIONS,
            name: "on the replica set",
            longest_command: Duration::from_secs(1),
            refuses: false,
            _endpoint: None,
        }
    }

    /// Returns the name of the application whose commands may fail.
    pub(crate) fn application() -> String {
        format!("flatfire_oracle_{}", std::process::id())
    }

    /// Returns a client of the test's own, whose commands do not fail.
    pub(crate) async fn client(&self) -> Client {
        Client::with_uri_str(&self.quiet_uri).await.expect("MONGODB_URI is a connection string")
    }
}

/// Repeats a command of the test's own until the database answers.
async fn patiently<T>(mut ask: impl AsyncFnMut() -> mongodb::error::Result<T>) -> T {
    let begun = Instant::now();
    loop {
        match ask().await {
            Ok(answer) => return answer,
            Err(error) => assert!(begun.elapsed() < ANSWERS_WITHIN, "the database does not answer: {error}"),
        }
        tokio::time::sleep(ASK_AGAIN_AFTER).await;
    }
}

impl Scratch {
    pub(crate) async fn new(server: &Server, seed: u64) -> Self {
        let name = format!("{}_{seed}", Server::application());
        let application = Server::application();
        let uri = match server.options {
            "" => format!("{}&appName={application}", server.quiet_uri),
            // The driver takes an option once.
            options => {
                let others = server.quiet_uri.replace("&serverSelectionTimeoutMS=30000", "");
                format!("{others}&{options}&appName={application}")
            }
        };
        let (quiet_uri, client) = (server.quiet_uri.clone(), server.client().await);
        let scratch = Self { uri, quiet_uri, name, client, longest_command: server.longest_command };
        scratch.drop().await;
        scratch
    }

    pub(crate) async fn connection(&self) -> Connection {
        connect(&self.uri, Some(&self.name)).await.unwrap()
    }

    pub(crate) async fn quiet_connection(&self) -> Connection {
        connect(&self.quiet_uri, Some(&self.name)).await.unwrap()
    }

    pub(crate) async fn store(&self) -> MongoStore {
        MongoStore::new(self.connection().await, &self.archive())
    }

    pub(crate) async fn quiet_store(&self) -> MongoStore {
        MongoStore::new(self.quiet_connection().await, &self.archive())
    }

    /// Tables, archive, tombstones and rejects.
    pub(crate) async fn written(&self) -> Written {
        let mut written = Written::new();
        for (database, prefix) in [(self.name.clone(), ""), (self.archive(), "_archive/")] {
            let names = self.collections(&database).await;
            let beside = ["_loads", "_columns", "_tables", "_erasures", "_exports", "__sql_schemas"];
            for name in names.into_iter().filter(|name| !beside.contains(&name.as_str())) {
                let documents = self.documents_in(&database, &name).await;
                let documents = documents.iter();
                let documents: BTreeMap<_, _> = documents
                    .map(|document| (document.get_str("_id").unwrap().to_owned(), text(document)))
                    .collect();
                if !documents.is_empty() {
                    written.insert(format!("{prefix}{name}"), documents);
                }
            }
        }
        written
    }

    /// Returns the tables that hold rows of a resource, or `None` if nothing of it stands anywhere.
    pub(crate) async fn standing(&self, key: &str) -> Option<BTreeSet<String>> {
        let suffixed = doc! { "_id": { "$gte": format!("{key}#"), "$lt": format!("{key}$") } };
        let of_key = doc! { "$or": [{ "_id": key }, suffixed] };
        let (mut tables, mut stands) = (BTreeSet::new(), false);
        for database in [self.name.clone(), self.archive()] {
            let is_of_tables = database == self.name;
            for name in self.collections(&database).await {
                let query = match name.as_str() {
                    "_rejects" => doc! { "resource": key },
                    "_tombstones" => of_key.clone(),
                    _ if name.starts_with('_') => continue,
                    _ => of_key.clone(),
                };
                let collection = self.client.database(&database).collection::<Document>(&name);
                if patiently(async || collection.find_one(query.clone()).await).await.is_some() {
                    stands = true;
                    tables.extend((is_of_tables && !name.starts_with('_')).then_some(name));
                }
            }
        }
        stands.then_some(tables)
    }

    /// Returns resource types with the tables that have held rows whose `_id` has a suffix.
    pub(crate) async fn side_tables(&self) -> BTreeSet<(String, String)> {
        let notes = self.documents("_tables").await;
        let word = |note: &Document, name: &str| note.get_str(name).unwrap().to_owned();
        let notes = notes.iter().filter(|note| note.get_bool("parts").unwrap_or_default());
        notes.map(|note| (word(note, "type"), word(note, "table"))).collect()
    }

    /// Returns the entries of the dictionary.
    pub(crate) async fn columns(&self) -> BTreeSet<String> {
        let columns = self.documents("_columns").await;
        columns.iter().map(|column| column.get_str("_id").unwrap().to_owned()).collect()
    }

    /// Returns the JSON schemas of `__sql_schemas`, by table.
    pub(crate) async fn sql_schemas(&self) -> BTreeMap<String, Document> {
        let documents = self.documents("__sql_schemas").await;
        let schema = |document: &Document| {
            (document.get_str("_id").unwrap().to_owned(), json_schema(document).clone())
        };
        documents.iter().map(schema).collect()
    }

    /// Returns the documents of some tables.
    pub(crate) async fn tables(
        &self,
        names: impl Iterator<Item = &String>,
    ) -> BTreeMap<String, Vec<Document>> {
        let mut tables = BTreeMap::new();
        for name in names {
            tables.insert(name.clone(), self.documents(name).await);
        }
        tables
    }

    /// Returns the tables with documents that are not of their schema, as the database reads it.
    pub(crate) async fn not_of_schema(&self, schemas: &BTreeMap<String, Document>) -> Vec<String> {
        let mut wrong = Vec::new();
        for (table, schema) in schemas {
            let others = doc! { "$nor": [{ "$jsonSchema": schema }] };
            let table = self.client.database(&self.name).collection::<Document>(table);
            if patiently(async || table.count_documents(others.clone()).await).await > 0 {
                wrong.push(format!("documents of {} are not of its schema", table.name()));
            }
        }
        wrong
    }

    pub(crate) async fn discard(self) {
        self.drop().await;
    }

    /// Returns everything in a collection of the tables' database.
    pub(crate) async fn documents(&self, collection: &str) -> Vec<Document> {
        self.documents_in(&self.name, collection).await
    }

    async fn documents_in(&self, database: &str, collection: &str) -> Vec<Document> {
        let collection = self.client.database(database).collection::<Document>(collection);
        patiently(async || collection.find(doc! {}).await?.try_collect().await).await
    }

    async fn collections(&self, database: &str) -> Vec<String> {
        let database = self.client.database(database);
        patiently(async || database.list_collection_names().await).await
    }

    async fn drop(&self) {
        for name in [self.name.clone(), self.archive()] {
            let database = self.client.database(&name);
            patiently(async || database.drop().await).await;
        }
    }

    fn archive(&self) -> String {
        format!("{}_archive", self.name)
    }
}
