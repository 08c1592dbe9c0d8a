//! The database that rows stand in: the pipeline's connection, and one to look around with.

use std::borrow::Cow;
use std::sync::Arc;

use flatten::catalog::Catalog;
use flatten::model::{UNKNOWN_TYPE, is_resource_type};
use flatten::reference::is_type;
use futures::TryStreamExt as _;
use mongodb::bson::{Bson, Document, doc};
use mongodb::error::{Error, ErrorKind};
use mongodb::options::ClientOptions;
use mongodb::{Client, Collection, Database as Rows};
use mongodb_store::{ConnectError, Connection, MongoStore, Refusal, Validation, connect};
use pipeline::ledger::Ledger;
use thiserror::Error;

use crate::settings::{Destination, NewIndexes, SqlSchemas};

/// A database that has answered.
#[derive(Debug)]
pub(crate) struct Database {
    /// What the pipeline writes through.
    pub(crate) connection: Connection,
    /// The tables, the ledger and the rejects.
    pub(crate) rows: Rows,
    /// Archived resources.
    pub(crate) archive: Rows,
}

/// Why the database did not do what it was asked. The driver's own words quote data, so they are not kept.
#[derive(Debug, Error)]
pub(crate) enum DatabaseError {
    /// The arguments name none.
    #[error("--to: {0}")]
    Connect(#[from] ConnectError),
    /// The archive would be among the rows.
    #[error("--archive: name another database than that of the rows")]
    SameDatabase,
    /// It is named, but nobody answers.
    #[error("no database answers there; is it running, and does the address end in the right host and port?")]
    Unreachable,
    /// It refuses until somebody changes something.
    #[error("the database refuses to work ({}); {}", .0.code, .0.remedy)]
    Refused(Refusal),
    /// It did not do it this time.
    #[error("the database failed ({0}); try again")]
    Failed(String),
}

impl Destination {
    /// Connects, and waits until the database answers.
    pub(crate) async fn connect(&self) -> Result<Database, DatabaseError> {
        let connection = connect(&self.to.0, None).await?;
        let options = ClientOptions::parse(&self.to.0).await.map_err(|_| ConnectError::InvalidUri)?;
        let client = Client::with_options(options).map_err(|_| ConnectError::InvalidUri)?;
        let rows = client.database(connection.database());
        let archive = self.archive.clone().unwrap_or_else(|| format!("{}_archive", rows.name()));
        if archive == rows.name() {
            return Err(DatabaseError::SameDatabase);
        }
        rows.run_command(doc! { "ping": 1 }).await?;
        Ok(Database { connection, archive: client.database(&archive), rows })
    }
}

impl Database {
    /// Returns a sink of the rows that a catalog makes.
    pub(crate) fn sink(
        &self,
        catalog: &Catalog,
        validation: Validation,
        schemas: SqlSchemas,
        indexes: NewIndexes,
    ) -> MongoStore {
        MongoStore::new(self.connection.clone(), self.archive.name())
            .with_views(validation, catalog.plans())
            .with_sql_schemas(schemas.are_kept)
            .with_indexes(indexes.indexes.into())
    }

    /// Returns the ledger.
    pub(crate) fn ledger(&self) -> Ledger {
        Ledger::new(Arc::new(MongoStore::new(self.connection.clone(), self.archive.name())))
    }

    /// The rejects of a load, in the order of the file.
    pub(crate) async fn rejects(&self, load: &str) -> Result<Vec<Document>, DatabaseError> {
        // Ids are the load's, `#`, and more; `$` follows `#`.
        let of_load = doc! { "_id": { "$gte": format!("{load}#"), "$lt": format!("{load}$") } };
        let found = self.rows.collection::<Document>("_rejects").find(of_load).await?;
        let mut rejects: Vec<Document> = found.try_collect().await?;
        rejects.sort_by_key(|reject| reject.get_i64("ordinal").unwrap_or_default());
        Ok(rejects)
    }
}

impl Database {
    /// Returns the newest archived resource with that key, and the collection that it stands in.
    pub(crate) async fn archived(
        &self,
        key: &str,
    ) -> Result<Option<(Document, Collection<Document>)>, DatabaseError> {
        let mut newest: Option<(Document, Collection<Document>)> = None;
        for collection in self.archives_of(key.split('/').next().unwrap_or_default()) {
            let Some(found) = collection.find_one(doc! { "_id": key }).await? else { continue };
            let version = |document: &Document| document.get_str("_version").unwrap_or_default().to_owned();
            if newest.as_ref().is_none_or(|(newest, _)| version(newest) < version(&found)) {
                newest = Some((found, collection));
            }
        }
        Ok(newest)
    }

    /// The collections that can archive resources of a type: its own, and for one that FHIR does not have also the one
    /// of all unknown types.
    pub(crate) fn archives_of(&self, resource_type: &str) -> Vec<Collection<Document>> {
        let own = is_type(resource_type).then_some(resource_type);
        let unknown =
            (resource_type != UNKNOWN_TYPE && !is_resource_type(resource_type)).then_some(UNKNOWN_TYPE);
        own.into_iter().chain(unknown).map(|name| self.archive.collection(name)).collect()
    }
}

/// The text of an archived resource; `None`: the document is none.
pub(crate) fn archived_text(document: &Document) -> Option<Cow<'_, [u8]>> {
    match (document.get("json"), document.get("json_zstd")) {
        (Some(Bson::String(text)), _) => Some(Cow::Borrowed(text.as_bytes())),
        (_, Some(Bson::Binary(frame))) => zstd::decode_all(frame.bytes.as_slice()).ok().map(Cow::Owned),
        _ => None,
    }
}

impl From<Error> for DatabaseError {
    fn from(error: Error) -> Self {
        if let Some(refusal) = Refusal::of_error(&error) {
            return Self::Refused(refusal);
        }
        match &*error.kind {
            ErrorKind::ServerSelection { .. } | ErrorKind::Io(_) | ErrorKind::DnsResolve { .. } => {
                Self::Unreachable
            }
            ErrorKind::Command(failure) => {
                Self::Failed(format!("error {} {}", failure.code, failure.code_name))
            }
            _ => Self::Failed("driver failure".to_owned()),
        }
    }
}
