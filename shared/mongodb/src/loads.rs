//! The collection `_loads`, and the store of loads and columns over it.

mod document;
mod fields;
mod history;

use async_trait::async_trait;
use bson::{DateTime, Document, RawDocumentBuf, doc};
use pipeline::interrupted::Interrupted;
use pipeline::ledger::{Load, LoadFilter, Status};
use pipeline::store::{ColumnChange, ColumnEntry, LoadStore, LoadWriteError};

use crate::answers::{first_batch, run};
use crate::collections::LOADS;
use crate::columns;
use crate::{Connection, MongoStore, Trouble};

pub(crate) use document::load as load_of;

/// `BadValue`.
const BAD_VALUE: i32 = 2;

#[async_trait]
impl LoadStore for MongoStore {
    async fn find_load(&self, id: &str) -> Result<Option<Load>, Interrupted> {
        find(self.connection(), id).await
    }

    async fn list_loads(&self, filter: Option<LoadFilter>, limit: u32) -> Result<Vec<Load>, Interrupted> {
        list(self.connection(), filter, limit).await
    }

    async fn write_load(&self, load: &Load, replaces: Option<u64>) -> Result<bool, LoadWriteError> {
        write(self.connection(), load, replaces).await.map_err(|trouble| match trouble {
            trouble @ Trouble::Unreachable(_) => LoadWriteError::NothingSent(trouble.into()),
            trouble => LoadWriteError::Unanswered(trouble.into()),
        })
    }

    async fn is_durable(&self, id: &str, revision: u64) -> Result<bool, Interrupted> {
        is_durable(self.connection(), id, revision).await
    }

    async fn find_columns(&self, ids: &[String]) -> Result<Vec<ColumnEntry>, Interrupted> {
        columns::find(self.connection(), ids).await
    }

    async fn count_columns(&self, table: &str, most: usize) -> Result<usize, Interrupted> {
        columns::count(self.connection(), table, most).await
    }

    async fn write_columns(&self, changes: &[ColumnChange]) -> Result<(), Interrupted> {
        columns::write(self.connection(), changes).await
    }
}

async fn find(connection: &Connection, id: &str) -> Result<Option<Load>, Interrupted> {
    let command = doc! { "find": LOADS, "filter": { "_id": id }, "limit": 1, "singleBatch": true };
    Ok(loads_in(run(connection, &command).await?).next())
}

async fn list(
    connection: &Connection,
    wanted: Option<LoadFilter>,
    limit: u32,
) -> Result<Vec<Load>, Interrupted> {
    let filter = wanted.map(filter_of).unwrap_or_default();
    let command = doc! {
        "find": LOADS, "filter": filter, "sort": { "begun": -1, "_id": 1 },
        "limit": i64::from(limit), "batchSize": i64::from(limit), "singleBatch": true,
    };
    Ok(loads_in(run(connection, &command).await?).collect())
}

/// Returns the filter of the loads of a kind.
pub(crate) fn filter_of(wanted: LoadFilter) -> Document {
    match wanted {
        LoadFilter::Of(status) => doc! { "status": status.as_str() },
        LoadFilter::Stuck { now } => doc! {
            "status": Status::Running.as_str(), "problem": { "$exists": false },
            "lease.until": { "$lte": DateTime::from_millis(now) },
        },
    }
}

/// Writes an entry in place of that revision. Without one it is inserted; a concurrent insert is met as a
/// duplicate key, which is no failure here.
async fn write(connection: &Connection, load: &Load, revision: Option<u64>) -> Result<bool, Trouble> {
    let document = document::of(load);
    let majority = doc! { "w": "majority", "wtimeout": 20_000 };
    let command = match revision {
        None => {
            doc! { "insert": LOADS, "documents": [document], "ordered": false, "writeConcern": majority }
        }
        Some(revision) => {
            let revision = i64::try_from(revision).unwrap_or(i64::MAX);
            let update = doc! { "q": { "_id": &load.id, "revision": revision }, "u": document };
            doc! { "update": LOADS, "updates": [update], "ordered": false, "writeConcern": majority }
        }
    };
    // Entries are small and have no fields but ours: a document that cannot be encoded does not occur.
    let command = RawDocumentBuf::try_from(&command).map_err(|_| Trouble::Document(BAD_VALUE))?;
    let answer = connection.run_in_group(connection.database(), command).await?;
    Ok(answer.get_i32("n").unwrap_or_default() == 1)
}

/// Writes a revision over itself. That changes nothing, and the server answers once a majority has everything that
/// stood before; a query could be answered from what is rolled back later.
async fn is_durable(connection: &Connection, id: &str, revision: u64) -> Result<bool, Interrupted> {
    let revision = i64::try_from(revision).unwrap_or(i64::MAX);
    let same = doc! { "q": { "_id": id, "revision": revision }, "u": { "$set": { "revision": revision } } };
    let majority = doc! { "w": "majority", "wtimeout": 20_000 };
    let command = doc! { "update": LOADS, "updates": [same], "writeConcern": majority };
    Ok(run(connection, &command).await?.get_i32("n").unwrap_or_default() == 1)
}

fn loads_in(answer: Document) -> impl Iterator<Item = Load> {
    first_batch(answer).filter_map(|found| document::load(&found))
}
