//! The store that a command works on, opened by the kind of its address.

use std::sync::Arc;

use mongodb_store::{ConnectError, MongoStore};
use pipeline::ledger::Ledger;
use pipeline::store::{Store, StoreError};
use thiserror::Error;

use crate::settings::{Destination, Loading};

/// Why there is no store to work on.
#[derive(Debug, Error)]
pub(crate) enum DatabaseError {
    /// The connection failed.
    #[error("--to")]
    Connect(#[from] ConnectError),
    /// No store has addresses of this kind. The address may hold a password, so nothing of it is repeated.
    #[error("--to: no database has such an address; it begins with mongodb:// or mongodb+srv://")]
    UnknownScheme,
    /// The archive would be among the rows.
    #[error("--archive: name another database than that of the rows")]
    SameDatabase,
    /// It does not answer.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl Destination {
    /// Opens the store to ask it, and waits until it answers.
    pub(crate) async fn connect(&self) -> Result<Arc<dyn Store>, DatabaseError> {
        self.open(None).await
    }

    /// Opens the store to load into it, and waits until it answers.
    pub(crate) async fn connect_to_load(
        &self,
        loading: &Loading<'_>,
    ) -> Result<Arc<dyn Store>, DatabaseError> {
        self.open(Some(loading)).await
    }

    /// Opens the store that the address names. A new kind of store is one more arm here.
    async fn open(&self, loading: Option<&Loading<'_>>) -> Result<Arc<dyn Store>, DatabaseError> {
        let store = match self.to.scheme() {
            // Without a scheme the address is not one: the driver's parser says what one looks like.
            Some("mongodb" | "mongodb+srv") | None => self.open_mongodb(loading).await?,
            Some(_) => return Err(DatabaseError::UnknownScheme),
        };
        store.ping().await?;
        Ok(store)
    }

    async fn open_mongodb(&self, loading: Option<&Loading<'_>>) -> Result<Arc<dyn Store>, DatabaseError> {
        let connection = mongodb_store::connect(&self.to.0, None).await?;
        let archive = self.archive.clone().unwrap_or_else(|| format!("{}_archive", connection.database()));
        if archive == connection.database() {
            return Err(DatabaseError::SameDatabase);
        }
        let store = MongoStore::new(connection, &archive);
        Ok(Arc::new(match loading {
            None => store,
            Some(Loading { catalog, validation, sql_schemas, indexes, policy }) => store
                .with_views(*validation, catalog.plans())
                .with_sql_schemas(*sql_schemas)
                .with_indexes(*indexes)
                .with_policy(policy.clone()),
        }))
    }
}

/// Returns the ledger of a store.
pub(crate) fn ledger(store: &Arc<dyn Store>) -> Ledger {
    Ledger::new(store.clone())
}
