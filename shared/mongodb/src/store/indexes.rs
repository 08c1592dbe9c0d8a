//! The indexes of automatic tables and of the bookkeeping, made while a collection is small.
//!
//! An index that is built on a large collection takes minutes, and a load does not wait for that: `flatfire index` builds
//! it. Nothing that goes wrong here changes a row, so only what may go away by itself interrupts a load.

use std::collections::BTreeSet;
use std::sync::PoisonError;

use bson::{Bson, Document as BsonDocument, doc};
use flatten::indexes::{Indexes, MAX_COLUMNS};
use flatten::row::TableId;
use futures::stream::{self, StreamExt};
use tokio::sync::Mutex;

use pipeline::batch::{Fate, WriteBatch};
use pipeline::interrupted::Interrupted;

use crate::Connection;
use crate::answers::first_batch;
use crate::codes::named;
use crate::collections::{LOADS, REJECTS};
use crate::refusal::Refusal;
use crate::trouble::Trouble;

use super::views::ViewTables;

/// A collection of more documents than this is left to `flatfire index`.
pub const MAX_DOCUMENTS: u64 = 10_000;
/// Collections whose indexes are made at the same time.
const AT_ONCE: usize = 4;
/// Tables that a process remembers.
const MAX_REMEMBERED: usize = 10_000;
/// Notices for the caller of `take_index_notices`; the log has all of them. The function never asks.
const MAX_NOTICES: usize = 100;
/// `NamespaceNotFound`, for a collection that is not there yet.
const NOT_THERE: i32 = 26;
/// `BadValue`: a server without a replica set takes no commit quorum.
const BAD_VALUE: i32 = 2;

/// An index of a collection, by its fields and their directions.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct CollectionIndex(BsonDocument);

/// What a store knows of indexes.
#[derive(Debug, Default)]
pub(super) struct TableIndexes {
    /// `None`: this store makes no indexes.
    wanted: Option<Indexes>,
    prepared: Mutex<Prepared>,
    notices: std::sync::Mutex<Vec<String>>,
}

#[derive(Debug, Default)]
struct Prepared {
    collections: BTreeSet<String>,
    /// Whether the database does not let this process look for indexes or make them.
    is_refused: bool,
}

/// What keeps a collection without indexes.
enum Obstacle {
    /// It has so many documents.
    Large(u64),
    /// The server does not make these indexes: another one is in the way, for instance.
    Failed(i32),
    /// The database refuses it to this user.
    Refused(Refusal),
}

impl CollectionIndex {
    fn ascending(column: &str) -> Self {
        Self(doc! { column: 1 })
    }

    fn specification(&self) -> BsonDocument {
        let name = self.0.iter().map(|(field, direction)| format!("{field}_{direction}"));
        doc! { "key": &self.0, "name": name.collect::<Vec<_>>().join("_") }
    }

    /// Returns whether an index begins with these fields, so that it answers the same questions.
    fn is_served_by(&self, other: &BsonDocument) -> bool {
        let Ok(key) = other.get_document("key") else { return false };
        let is_like = |(mine, others): ((&String, &Bson), (&String, &Bson))| {
            mine.0 == others.0 && (direction(mine.1) == direction(others.1) || self.0.len() == 1)
        };
        let is_ordered = key.values().take(self.0.len()).all(|value| direction(value).is_some());
        is_ordered && key.len() >= self.0.len() && self.0.iter().zip(key).all(is_like)
    }
}

/// Returns the sign of a direction; `None` for other kinds of indexes, such as `hashed`.
fn direction(value: &Bson) -> Option<bool> {
    let number = match value {
        Bson::Int32(number) => f64::from(*number),
        Bson::Double(number) => *number,
        Bson::Int64(number) => return Some(*number > 0),
        _ => return None,
    };
    Some(number > 0.0)
}

/// Returns the indexes that a collection should have: those that the ledger and the rejects are asked by, or those of
/// an automatic table.
pub(crate) fn wanted_indexes(collection: &str, indexes: Indexes) -> Vec<CollectionIndex> {
    let keys = match (collection, indexes) {
        (_, Indexes::None) => Vec::new(),
        (LOADS, _) => vec![
            doc! { "key": 1, "begun": -1 },
            doc! { "status": 1, "begun": -1, "_id": 1 },
            doc! { "begun": -1, "_id": 1 },
        ],
        (REJECTS, _) => vec![doc! { "_load": 1, "ordinal": 1 }, doc! { "resource": 1 }],
        (table, indexes) => {
            return indexes.columns(table).iter().map(|column| CollectionIndex::ascending(column)).collect();
        }
    };
    keys.into_iter().map(CollectionIndex).collect()
}

impl Connection {
    /// Returns those of some indexes that a collection lacks and has room for. `None`: there is no such collection.
    pub(crate) async fn missing_indexes(
        &self,
        collection: &str,
        wanted: Vec<CollectionIndex>,
    ) -> Result<Option<Vec<CollectionIndex>>, Interrupted> {
        let standing = self.standing_indexes(collection).await?;
        Ok(standing.map(|standing| missing(wanted, &standing)))
    }

    /// Builds indexes and waits for them, however long it takes. `false`: an index of the same name or the same fields
    /// with other options is in the way, and none was built.
    pub(crate) async fn build_indexes(
        &self,
        collection: &str,
        indexes: &[CollectionIndex],
    ) -> Result<bool, Interrupted> {
        match self.create_indexes(collection, indexes).await {
            Err(Trouble::Document(_)) => Ok(false),
            outcome => Ok(outcome.map(|()| true)?),
        }
    }

    pub(super) async fn standing_indexes(
        &self,
        collection: &str,
    ) -> Result<Option<Vec<BsonDocument>>, Trouble> {
        match self.answer(&doc! { "listIndexes": collection }).await {
            Err(Trouble::Document(NOT_THERE)) => Ok(None),
            answer => Ok(Some(first_batch(answer?).collect())),
        }
    }

    /// Makes indexes. A majority of the members suffices: one that is down would otherwise keep everybody waiting.
    async fn create_indexes(&self, collection: &str, indexes: &[CollectionIndex]) -> Result<(), Trouble> {
        let indexes: Vec<BsonDocument> = indexes.iter().map(CollectionIndex::specification).collect();
        let command = doc! {
            "createIndexes": collection, "indexes": indexes,
            "writeConcern": { "w": "majority", "wtimeout": 20_000 },
        };
        let mut with_quorum = command.clone();
        with_quorum.insert("commitQuorum", "majority");
        match self.answer(&with_quorum).await {
            Err(Trouble::Document(BAD_VALUE)) => self.answer(&command).await.map(drop),
            made => made.map(drop),
        }
    }

    /// Returns how many documents a collection has, as its metadata say.
    pub(super) async fn estimated_count(&self, collection: &str) -> Result<u64, Trouble> {
        let answer = self.answer(&doc! { "count": collection }).await?;
        let count = match answer.get("n") {
            Some(Bson::Int32(count)) => i64::from(*count),
            Some(Bson::Int64(count)) => *count,
            _ => 0,
        };
        Ok(u64::try_from(count).unwrap_or_default())
    }
}

/// Returns the indexes that do not stand, as many as there is room for.
fn missing(mut wanted: Vec<CollectionIndex>, standing: &[BsonDocument]) -> Vec<CollectionIndex> {
    wanted.retain(|index| !standing.iter().any(|standing| index.is_served_by(standing)));
    wanted.truncate((MAX_COLUMNS + 1).saturating_sub(standing.len()));
    wanted
}

impl TableIndexes {
    /// Prepares to make these indexes.
    pub(super) fn new(indexes: Indexes) -> Self {
        let wanted = Some(indexes).filter(|indexes| *indexes != Indexes::None);
        Self { wanted, ..Self::default() }
    }

    /// Returns, once, what was said about indexes that were not made, in words: the first hundred notices.
    pub(super) fn take_notices(&self) -> Vec<String> {
        std::mem::take(&mut self.notices.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Makes the indexes of the collections that a batch writes to, of each once in a process; the tables of views have
    /// their own.
    pub(super) async fn prepare(
        &self,
        connection: &Connection,
        batch: &WriteBatch,
        views: &ViewTables,
    ) -> Result<(), Interrupted> {
        let Some(indexes) = self.wanted else { return Ok(()) };
        let mut prepared = self.prepared.lock().await;
        if prepared.is_refused {
            return Ok(());
        }
        let mut collections = collections_of(batch);
        collections.retain(|name| !views.has(name) && !prepared.collections.contains(*name));
        let collections: Vec<_> = collections.into_iter().map(str::to_owned).collect();
        let prepare = |collection: String| async move {
            let outcome = self.prepare_collection(connection, &collection, indexes).await;
            (collection, outcome)
        };
        let mut outcomes = stream::iter(collections).map(prepare).buffered(AT_ONCE);
        while let Some((collection, outcome)) = outcomes.next().await {
            match outcome {
                Ok(()) => {}
                Err(Trouble::Document(code)) => self.tell(&collection, &Obstacle::Failed(code)),
                Err(Trouble::Stop(refusal)) => {
                    self.tell(&collection, &Obstacle::Refused(refusal));
                    prepared.is_refused = true;
                    return Ok(());
                }
                Err(trouble) => return Err(trouble.into()),
            }
            if prepared.collections.len() >= MAX_REMEMBERED {
                prepared.collections.clear();
            }
            prepared.collections.insert(collection);
        }
        Ok(())
    }

    async fn prepare_collection(
        &self,
        connection: &Connection,
        collection: &str,
        indexes: Indexes,
    ) -> Result<(), Trouble> {
        let wanted = wanted_indexes(collection, indexes);
        let standing = connection.standing_indexes(collection).await?;
        let missing = missing(wanted, standing.as_deref().unwrap_or_default());
        if missing.is_empty() {
            return Ok(());
        }
        let documents = if standing.is_some() { connection.estimated_count(collection).await? } else { 0 };
        if documents > MAX_DOCUMENTS {
            self.tell(collection, &Obstacle::Large(documents));
            return Ok(());
        }
        connection.create_indexes(collection, &missing).await
    }

    /// Says in the log and in the notices why a collection lacks indexes.
    fn tell(&self, collection: &str, obstacle: &Obstacle) {
        let notice = match obstacle {
            Obstacle::Large(documents) => format!(
                "{collection} lacks indexes and has {documents} documents: `flatfire index` builds them"
            ),
            Obstacle::Failed(code) => format!(
                "{collection} lacks indexes ({}): an index of the same name or fields with other options is in the way",
                named(*code)
            ),
            Obstacle::Refused(Refusal { code, remedy }) => {
                format!("the load goes on without indexes ({code}); {remedy}, or set INDEXES to none")
            }
        };
        self.tell_notice(notice);
    }

    /// Says something about indexes in the log and in the notices.
    pub(super) fn tell_notice(&self, notice: String) {
        tracing::warn!(reason = notice, "indexes are missing");
        let mut notices = self.notices.lock().unwrap_or_else(PoisonError::into_inner);
        if notices.len() < MAX_NOTICES {
            notices.push(notice);
        }
    }
}

/// Returns the collections that a batch writes to and that may have indexes.
fn collections_of(batch: &WriteBatch) -> BTreeSet<&str> {
    let (mut tables, mut last): (BTreeSet<TableId>, _) = (BTreeSet::new(), None);
    for resource in &batch.resources {
        let Fate::Rows(range) = &resource.fate else { continue };
        for row in batch.rows.range(range.clone()) {
            if last.replace(row.table()) != Some(row.table()) {
                tables.insert(row.table());
            }
        }
    }
    let rejects = Some(REJECTS).filter(|_| !batch.rejects.is_empty());
    tables.into_iter().map(|table| batch.names.table(table)).chain([LOADS]).chain(rejects).collect()
}

#[cfg(test)]
mod tests {
    use bson::{Document, doc};
    use flatten::indexes::Indexes;

    use super::{CollectionIndex, missing, wanted_indexes};

    fn index(key: Document) -> Document {
        doc! { "v": 2, "key": key, "name": "any" }
    }

    #[test]
    fn an_index_that_begins_with_the_same_fields_serves() {
        let one = CollectionIndex(doc! { "subject_key": 1 });
        for key in [
            doc! { "subject_key": 1 },
            doc! { "subject_key": -1.0 },
            doc! { "subject_key": 1_i64, "effective_at": -1 },
        ] {
            assert!(one.is_served_by(&index(key.clone())), "{key}");
        }
        for key in [doc! { "_id": 1 }, doc! { "subject_key": "hashed" }, doc! { "a": 1, "subject_key": 1 }] {
            assert!(!one.is_served_by(&index(key.clone())), "{key}");
        }
        let two = CollectionIndex(doc! { "status": 1, "begun": -1 });
        assert!(two.is_served_by(&index(doc! { "status": 1, "begun": -1, "_id": 1 })));
        assert!(!two.is_served_by(&index(doc! { "status": 1, "begun": 1 })));
        assert!(!two.is_served_by(&index(doc! { "status": 1 })));
        assert_eq!(two.specification().get_str("name").unwrap(), "status_1_begun_-1");
    }

    #[test]
    fn room_is_left_for_the_indexes_of_others() {
        let wanted = wanted_indexes("Encounter", Indexes::All);
        let others: Vec<Document> = (0..55).map(|number| index(doc! { format!("i{number}"): 1 })).collect();
        assert_eq!(missing(wanted.clone(), &others).len(), 5);
        let full: Vec<Document> = (0..64).map(|number| index(doc! { format!("i{number}"): 1 })).collect();
        assert!(missing(wanted.clone(), &full).is_empty());
        let standing: Vec<Document> = wanted.iter().map(CollectionIndex::specification).collect();
        assert!(missing(wanted, &standing).is_empty());
    }

    #[test]
    fn the_bookkeeping_has_indexes_of_its_own() {
        assert_eq!(wanted_indexes("_loads", Indexes::Keys).len(), 3);
        assert_eq!(wanted_indexes("_rejects", Indexes::All).len(), 2);
        assert!(wanted_indexes("_loads", Indexes::None).is_empty());
    }
}
