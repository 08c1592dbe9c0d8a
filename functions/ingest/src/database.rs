//! The store that the function loads into. No other file of the function names MongoDB; another database is another arm
//! here.

use std::sync::Arc;

use flatten::catalog::Catalog;
use flatten::indexes::Indexes;
use mongodb_store::{ConnectError, MongoStore, connect};
use pipeline::interrupted::Interrupted;
use pipeline::retention::RetentionPolicy;
use pipeline::store::Store;

pub(crate) use mongodb_store::{Retention, Validation};

/// What a deployment can choose of its store.
#[derive(Debug)]
pub(crate) struct StoreSettings {
    /// `MONGODB_DATABASE`: the database that receives the rows; the one that the connection string names, or `fhir`.
    pub(crate) database: Option<String>,
    /// `ARCHIVE_DATABASE`: the one that receives inactive resources; that of the rows with `_archive` behind it.
    pub(crate) archive_database: Option<String>,
    /// `ARCHIVE_DAYS`: how long archived resources are kept, counted from the creation of their object; for ever.
    pub(crate) retention: Retention,
    /// `RETENTION_DAYS`, `LEDGER_DAYS`, `REJECT_DAYS`: how long rows by type, settled entries of the ledger and rejects are
    /// kept; for ever.
    pub(crate) policy: RetentionPolicy,
    /// `VALIDATE_VIEWS`: what the database does with a document that is not what its view says, off, warn or error;
    /// error. With `warn` the server's own log quotes the document.
    pub(crate) validation: Validation,
    /// `SQL_SCHEMAS`: whether the schema of each table is kept for MongoDB's SQL interface; off.
    pub(crate) sql_schemas: bool,
    /// The indexes that automatic tables get.
    pub(crate) indexes: Indexes,
}

/// What a connection string must be.
pub(crate) const URI_RULE: &str = "a string that begins with mongodb:// or mongodb+srv://";

/// Returns whether a text is a connection string of a database that the function knows.
pub(crate) fn is_uri(text: &str) -> bool {
    text.starts_with("mongodb://") || text.starts_with("mongodb+srv://")
}

/// Returns whether a database can have this name: MongoDB manual, "Naming Restrictions"; those of Windows, as the
/// stricter ones.
pub(crate) fn is_database_name(text: &str) -> bool {
    text.len() <= 63 && !text.contains(['/', '\\', '.', '"', '$', '*', '<', '>', ':', '|', '?', ' ', '\0'])
}

/// Opens the store at a connection string, for the views of a catalog.
///
/// # Errors
/// When the string is not one, or the database cannot be reached.
pub(crate) async fn open(
    uri: &str,
    settings: &StoreSettings,
    catalog: &Catalog,
) -> Result<Arc<dyn Store>, Interrupted> {
    let connection = connect(uri, settings.database.as_deref()).await.map_err(interruption)?;
    let archive = archive(connection.database(), settings.archive_database.as_deref())?;
    let store = MongoStore::new(connection, &archive)
        .with_retention(settings.retention)
        .with_policy(settings.policy.clone())
        .with_views(settings.validation, catalog.plans())
        .with_sql_schemas(settings.sql_schemas)
        .with_indexes(settings.indexes);
    Ok(Arc::new(store))
}

/// Returns the archive beside a database of rows. The settings cannot know that database: a secret may name it.
fn archive(rows: &str, named: Option<&str>) -> Result<String, Interrupted> {
    let archive = named.map_or_else(|| format!("{rows}_archive"), str::to_owned);
    if archive == rows || !is_database_name(&archive) {
        return Err(Interrupted::Stopped {
            code: "archive database".to_owned(),
            remedy: "give ARCHIVE_DATABASE a name of its own, of up to 63 bytes".to_owned(),
        });
    }
    Ok(archive)
}

fn interruption(error: ConnectError) -> Interrupted {
    match error {
        ConnectError::Interrupted(interrupted) => interrupted,
        ConnectError::InvalidUri => Interrupted::Stopped {
            code: "invalid connection string".to_owned(),
            remedy: "it looks like mongodb+srv://USER:PASSWORD@HOST/".to_owned(),
        },
    }
}

#[cfg(test)]
mod tests {
    use super::archive;

    #[test]
    fn the_archive_stands_beside_the_rows() {
        assert_eq!(archive("clinic", None), Ok("clinic_archive".to_owned()));
        assert_eq!(archive("clinic", Some("attic")), Ok("attic".to_owned()));
        let long = "x".repeat(60);
        assert_eq!(archive(&long, Some("attic")), Ok("attic".to_owned()));
        for (rows, named) in [("attic", Some("attic")), (&*long, None)] {
            let refused = archive(rows, named).unwrap_err().to_string();
            assert!(refused.contains("ARCHIVE_DATABASE"), "{refused}");
        }
    }
}
