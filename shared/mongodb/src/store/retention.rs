//! Retention: how long archived resources are kept, as a TTL index of each collection of the archive.

use std::collections::BTreeSet;
use std::sync::{Mutex, PoisonError};

use bson::{Document as BsonDocument, RawDocumentBuf, doc};

use crate::records::CREATED;
use pipeline::batch::{Fate, WriteBatch};
use pipeline::interrupted::Interrupted;

use crate::Connection;
use crate::trouble::Trouble;

/// How long archived resources are kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Retention {
    /// As the archive has it: indexes are neither made nor changed.
    #[default]
    Unchanged,
    /// For ever.
    Forever,
    /// So many days from the creation of the object that brought them.
    Days(u32),
}

const INDEX: &str = "retention";
pub(super) const SECONDS_A_DAY: i64 = 24 * 60 * 60;
/// `NamespaceNotFound`, `IndexNotFound`.
const NOTHING_THERE: [i32; 2] = [26, 27];
/// `IndexOptionsConflict`, `IndexKeySpecsConflict`.
const ANOTHER_THERE: [i32; 2] = [85, 86];

/// What a store knows of the retention of its archive.
#[derive(Debug, Default)]
pub(super) struct ArchiveRetention {
    retention: Retention,
    /// Resource types whose archived resources have that retention for certain.
    retained: Mutex<BTreeSet<String>>,
}

/// The archive's collections.
#[derive(Clone, Copy)]
pub(super) struct Archive<'a> {
    pub(super) connection: &'a Connection,
    /// The name of its database.
    pub(super) database: &'a str,
}

impl ArchiveRetention {
    /// Prepares this retention.
    pub(super) const fn new(retention: Retention) -> Self {
        Self { retention, retained: Mutex::new(BTreeSet::new()) }
    }

    /// Sees to the indexes of the types that a batch archives, of each type once.
    pub(super) async fn retain(&self, archive: Archive<'_>, batch: &WriteBatch) -> Result<(), Interrupted> {
        if self.retention == Retention::Unchanged {
            return Ok(());
        }
        let archived = batch.resources.iter().filter(|resource| matches!(resource.fate, Fate::Archived(_)));
        let types: BTreeSet<&str> = archived.map(|resource| &*resource.resource_type).collect();
        for resource_type in types {
            if !self.retained.lock().unwrap_or_else(PoisonError::into_inner).contains(resource_type) {
                self.set(archive, resource_type).await?;
                let mut retained = self.retained.lock().unwrap_or_else(PoisonError::into_inner);
                retained.insert(resource_type.to_owned());
            }
        }
        Ok(())
    }

    async fn set(&self, archive: Archive<'_>, resource_type: &str) -> Result<(), Interrupted> {
        let outcome = match self.retention {
            Retention::Unchanged => return Ok(()),
            Retention::Forever => {
                archive.change(&doc! { "dropIndexes": resource_type, "index": INDEX }).await
            }
            Retention::Days(days) => {
                let seconds = i64::from(days) * SECONDS_A_DAY;
                let index = doc! { "key": { CREATED: 1 }, "name": INDEX, "expireAfterSeconds": seconds };
                let made = archive.change(&doc! { "createIndexes": resource_type, "indexes": [index] }).await;
                match made {
                    Err(Trouble::Document(code)) if ANOTHER_THERE.contains(&code) => {
                        let index = doc! { "name": INDEX, "expireAfterSeconds": seconds };
                        archive.change(&doc! { "collMod": resource_type, "index": index }).await
                    }
                    made => made,
                }
            }
        };
        match outcome {
            Err(Trouble::Document(code)) if NOTHING_THERE.contains(&code) => Ok(()),
            outcome => Ok(outcome?),
        }
    }
}

impl Archive<'_> {
    async fn change(self, command: &BsonDocument) -> Result<(), Trouble> {
        let command = RawDocumentBuf::try_from(command).map_err(|_| Trouble::Document(0))?;
        self.connection.run(self.database, command).await.map(drop)
    }
}
