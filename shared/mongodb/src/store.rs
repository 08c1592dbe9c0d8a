//! Rows, tombstones, archived resources and rejects: how batches reach the collections.

mod chunks;
mod expiry;
mod in_flight;
mod indexes;
mod marks;
mod notes;
mod parts;
mod retention;
mod schemas;
mod statements;
mod views;

use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use async_trait::async_trait;
use bson::{Document as BsonDocument, RawDocumentBuf, doc};
use flatten::indexes::Indexes;
use flatten::view::Plan;
use futures::try_join;
use tokio::sync::Semaphore;

use pipeline::batch::{Completion, Reject, WriteBatch};
use pipeline::content::ContentHash;
use pipeline::interrupted::Interrupted;
use pipeline::retention::RetentionPolicy;
use pipeline::store::RowStore;
use pipeline::summary::Summary;

use crate::answers::{carried_out, first_batch, met_duplicates};
use crate::codes::DatabaseFault;
use crate::collections::{REJECTS, TABLES};
use crate::encode::{BsonWriter, HASH_FIELD, RowEncoder};
use crate::replacement::{
    BatchDocument, CommandAnswer, DocumentPlace, Expectations, FoundDocument, Note, Replacement,
    ReplacementCommand, WriteOutcome,
};
use crate::{Connection, Trouble, exports, ids_with_suffix, records};

use chunks::{Chunk, UPDATE, cut};
use expiry::TableExpiry;
use in_flight::run_all;
use indexes::TableIndexes;
use notes::NoteCache;
use parts::{Guard, Part, accounts_for_all, collection_of, enter, statements_of, unanswered, write_outcomes};
use retention::{Archive, ArchiveRetention};
use schemas::SchemaCache;
use views::ViewTables;

pub(crate) use expiry::{ExpiryOutcome, IndexBuilds};
pub(crate) use indexes::wanted_indexes;

pub use indexes::MAX_DOCUMENTS as MAX_DOCUMENTS_TO_INDEX;
pub use retention::Retention;
pub use views::Validation;

/// Cells of a row that one statement sets at most: it must fit into a message with others.
const CELLS_AT_ONCE: usize = 2_000;
/// Messages of one batch on their way at the same time.
const IN_FLIGHT: usize = 4;
/// Messages beyond this take turns in a process: the driver makes several copies of each.
const LARGE_MESSAGE_BYTES: usize = 5 << 20;
/// The right to send a large message.
static LARGE_MESSAGE: Semaphore = Semaphore::const_new(1);
/// How often a batch starts again because other writers came between.
const MAX_CONTENTIONS: usize = 10;
/// `BSONObjectTooLarge`, for documents that no message takes.
const TOO_LARGE: i32 = 10334;

/// Writes batches to MongoDB, each acknowledged by a majority.
#[derive(Debug)]
pub struct MongoStore {
    connection: Connection,
    archive: String,
    /// Whether there has ever been a tombstone, or a mark of an erased resource.
    tombstones_seen: AtomicBool,
    /// Whether there has ever been a mark of an erased resource.
    marks_seen: AtomicBool,
    notes: NoteCache,
    expectations: Mutex<Expectations>,
    retention: ArchiveRetention,
    views: ViewTables,
    sql_schemas: SchemaCache,
    indexes: TableIndexes,
    expiry: TableExpiry,
}

impl MongoStore {
    /// Returns a store in the connection's database; archived resources go into the database `archive`.
    #[must_use]
    pub fn new(connection: Connection, archive: &str) -> Self {
        let (archive, tombstones_seen, marks_seen) =
            (archive.to_owned(), AtomicBool::default(), AtomicBool::default());
        let (notes, expectations) = (NoteCache::default(), Mutex::default());
        let (retention, views) = (ArchiveRetention::default(), ViewTables::default());
        let (sql_schemas, indexes, expiry) =
            (SchemaCache::default(), TableIndexes::default(), TableExpiry::default());
        Self {
            connection,
            archive,
            tombstones_seen,
            marks_seen,
            notes,
            expectations,
            retention,
            views,
            sql_schemas,
            indexes,
            expiry,
        }
    }

    /// Returns the same store, which sees to the collections of these views: each gets its validator and the indexes of
    /// its key columns before the first row of this process is written there.
    #[must_use]
    pub fn with_views(self, validation: Validation, plans: &[Arc<Plan>]) -> Self {
        Self { views: ViewTables::new(validation, plans), ..self }
    }

    /// Returns the same store, which keeps a SQL schema for each table if it is on.
    #[must_use]
    pub fn with_sql_schemas(self, is_on: bool) -> Self {
        Self { sql_schemas: SchemaCache::new(is_on), ..self }
    }

    /// Returns the same store with another policy. It is seen to in the collections of a batch before this process
    /// writes there for the first time, and holds for what is in them already. An index that is missing in a collection
    /// of more than [`MAX_DOCUMENTS_TO_INDEX`](crate::MAX_DOCUMENTS_TO_INDEX) documents is left to `flatfire index`. A
    /// store changes nothing of this unless it is told to.
    #[must_use]
    pub fn with_policy(self, policy: RetentionPolicy) -> Self {
        Self { expiry: TableExpiry::new(policy), ..self }
    }

    /// Returns the same store with another retention. It holds for the collection of a type, also for what is in it
    /// already, once a resource of that type is archived.
    #[must_use]
    pub fn with_retention(self, retention: Retention) -> Self {
        Self { retention: ArchiveRetention::new(retention), ..self }
    }

    /// Returns the same store, which makes these indexes: those of an automatic table, of `_loads` and of `_rejects`
    /// before it writes there for the first time, as long as the collection has at most [`MAX_DOCUMENTS_TO_INDEX`]. A
    /// store makes none unless it is told to.
    #[must_use]
    pub fn with_indexes(self, indexes: Indexes) -> Self {
        Self { indexes: TableIndexes::new(indexes), ..self }
    }

    /// Returns, once, what was said about indexes that were not made, in words: the first hundred notices.
    pub fn take_index_notices(&self) -> Vec<String> {
        self.indexes.take_notices()
    }

    /// Returns the connection that the store writes through.
    #[must_use]
    pub const fn connection(&self) -> &Connection {
        &self.connection
    }

    pub(crate) fn archive_name(&self) -> &str {
        &self.archive
    }

    async fn replace_rows(&self, batch: &WriteBatch) -> Result<(Summary, Vec<Reject>), Interrupted> {
        for _ in 0..MAX_CONTENTIONS {
            let expectations = self.expectations.lock().unwrap_or_else(PoisonError::into_inner).clone();
            let mut replacement = Replacement::new(batch).expecting(expectations);
            while let Some(commands) = replacement.commands() {
                for (command, answer) in commands.iter().zip(self.run(batch, &commands).await?) {
                    replacement.answer(command, answer);
                }
            }
            replacement.teach(&mut self.expectations.lock().unwrap_or_else(PoisonError::into_inner));
            if !replacement.is_contended() {
                return Ok(replacement.outcome());
            }
        }
        Err(Interrupted::Write { code: DatabaseFault::OtherWriters.as_str().to_owned() })
    }

    /// Runs the commands of a stage: several messages at once, each encoded when its turn comes.
    async fn run(
        &self,
        batch: &WriteBatch,
        commands: &[ReplacementCommand<'_>],
    ) -> Result<Vec<CommandAnswer>, Interrupted> {
        let mut answers: Vec<CommandAnswer> = commands.iter().map(unanswered).collect();
        let messages = parts::parts(commands, batch).map(|part| self.run_part(batch, commands, part));
        run_all(messages, IN_FLIGHT, |(index, first, part)| {
            if let Some(answer) = answers.get_mut(index) {
                enter(answer, first, part);
            }
        })
        .await?;
        Ok(answers)
    }

    async fn run_part(
        &self,
        batch: &WriteBatch,
        commands: &[ReplacementCommand<'_>],
        (index, chunk): Part,
    ) -> Result<(usize, usize, CommandAnswer), Interrupted> {
        let first = chunk.first;
        let answer = match commands.get(index) {
            None => CommandAnswer::Done,
            Some(ReplacementCommand::Versions { place, documents }) => {
                let documents = documents.get(first..first + chunk.count).unwrap_or_default();
                CommandAnswer::Versions(self.versions(batch, *place, documents).await?)
            }
            Some(ReplacementCommand::VersionsIn { table, documents }) => {
                let documents = documents.get(first..first + chunk.count).unwrap_or_default();
                CommandAnswer::Versions(self.versions(batch, DocumentPlace::Table(table), documents).await?)
            }
            Some(ReplacementCommand::Standing { place, documents }) => {
                let documents = documents.get(first..first + chunk.count).unwrap_or_default();
                CommandAnswer::Found(self.found(batch, *place, documents).await?)
            }
            Some(ReplacementCommand::FindTables { types, may_be_remembered }) => {
                let tables = self.notes.find_tables(&self.connection, types, *may_be_remembered).await?;
                CommandAnswer::Tables(tables)
            }
            Some(ReplacementCommand::NoteTables { notes }) => {
                let notes = notes.get(first..first + chunk.count).unwrap_or_default();
                // Both come before the first row of a table, and neither needs the other.
                let prepared = self.indexes.prepare(&self.connection, batch, &self.views);
                try_join!(self.note_tables(notes, chunk), prepared)?;
                CommandAnswer::Done
            }
            Some(ReplacementCommand::Delete { place, .. }) => self.carry_out(*place, chunk).await?,
            Some(
                ReplacementCommand::DeleteIn { table, .. } | ReplacementCommand::DeleteSuffixed { table, .. },
            ) => self.carry_out(DocumentPlace::Table(table), chunk).await?,
            Some(
                command @ (ReplacementCommand::Insert { place, .. }
                | ReplacementCommand::Replace { place, .. }),
            ) => CommandAnswer::Written(self.written(batch, command, *place, chunk).await?),
        };
        Ok((index, first, answer))
    }

    async fn note_tables(&self, notes: &[Note<'_>], chunk: Chunk) -> Result<(), Interrupted> {
        if !self.notes.all_stand(notes) {
            self.carry_out(DocumentPlace::Table(TABLES), chunk).await?;
            self.notes.remember(notes);
        }
        Ok(())
    }

    /// Writes documents. A message that is refused as a whole because of one document is sent again document by
    /// document, and one whose answer leaves open what became of some is sent again with the guard in the query.
    async fn written(
        &self,
        batch: &WriteBatch,
        command: &ReplacementCommand<'_>,
        place: DocumentPlace<'_>,
        chunk: Chunk,
    ) -> Result<Vec<WriteOutcome>, Interrupted> {
        if place == DocumentPlace::Tombstones {
            self.tombstones_seen.store(true, Ordering::Relaxed);
            self.marks_seen.fetch_or(batch.erased_keys().next().is_some(), Ordering::Relaxed);
        }
        let (first, count) = (chunk.first, chunk.count);
        let is_told = |answer: &BsonDocument| {
            matches!(command, ReplacementCommand::Insert { .. }) || accounts_for_all(answer, count)
        };
        match self.send(place, chunk).await {
            Ok(answer) if is_told(&answer) => Ok(write_outcomes(&answer, count)?),
            // What has just been replaced is met as a document of the same version, as after a lost answer.
            Ok(_) => self.written_again(batch, command, place, first..first + count).await,
            Err(Trouble::Document(code)) if count == 1 => Ok(vec![WriteOutcome::Refused(code)]),
            Err(Trouble::Document(_)) => {
                let mut outcomes = Vec::with_capacity(count);
                for statement in first..first + count {
                    let again = self.written_again(batch, command, place, statement..statement + 1).await?;
                    outcomes.extend(again);
                }
                Ok(outcomes)
            }
            Err(trouble) => Err(trouble.into()),
        }
    }

    /// Writes some documents of a command again, with the guard where the answer tells what became of each.
    async fn written_again(
        &self,
        batch: &WriteBatch,
        command: &ReplacementCommand<'_>,
        place: DocumentPlace<'_>,
        statements: Range<usize>,
    ) -> Result<Vec<WriteOutcome>, Interrupted> {
        let mut outcomes = Vec::with_capacity(statements.len());
        for chunk in statements_of(command, batch, statements, Guard::Query) {
            let count = chunk.count;
            match self.send(place, chunk).await {
                Ok(answer) => outcomes.extend(write_outcomes(&answer, count)?),
                Err(Trouble::Document(code)) if count == 1 => outcomes.push(WriteOutcome::Refused(code)),
                Err(trouble) => return Err(trouble.into()),
            }
        }
        Ok(outcomes)
    }

    /// Sends statements that nothing should stand against.
    async fn carry_out(&self, place: DocumentPlace<'_>, chunk: Chunk) -> Result<CommandAnswer, Interrupted> {
        carried_out(&self.send(place, chunk).await?)?;
        Ok(CommandAnswer::Done)
    }

    async fn send(&self, place: DocumentPlace<'_>, chunk: Chunk) -> Result<BsonDocument, Trouble> {
        let body = chunk.body.ok_or(Trouble::Document(TOO_LARGE))?;
        let is_large = body.as_bytes().len() > LARGE_MESSAGE_BYTES;
        let _turn = if is_large { LARGE_MESSAGE.acquire().await.ok() } else { None };
        self.connection.run_write(self.database_of(place), body).await
    }

    /// Returns the versions that stand under the documents' `_id`s.
    async fn versions(
        &self,
        batch: &WriteBatch,
        place: DocumentPlace<'_>,
        documents: &[BatchDocument],
    ) -> Result<Vec<Option<String>>, Interrupted> {
        if place == DocumentPlace::Tombstones {
            return self.tombstones(batch, documents).await;
        }
        let ids = documents.iter().map(|document| document.id(batch));
        let command = statements::find_versions(collection_of(place), ids);
        let answer = self.find(place, command).await?;
        let versions = versions_of(answer);
        Ok(documents.iter().map(|document| versions.get(document.id(batch)).cloned()).collect())
    }

    /// Returns what stands under the documents' `_id`s.
    async fn found(
        &self,
        batch: &WriteBatch,
        place: DocumentPlace<'_>,
        documents: &[BatchDocument],
    ) -> Result<Vec<Option<FoundDocument>>, Interrupted> {
        let ids = documents.iter().map(|document| document.id(batch));
        let command = statements::find_contents(collection_of(place), ids);
        let mut found = contents_of(self.find(place, command).await?);
        Ok(documents.iter().map(|document| found.remove(document.id(batch))).collect())
    }

    async fn find(&self, place: DocumentPlace<'_>, command: BsonWriter) -> Result<BsonDocument, Interrupted> {
        let body = RawDocumentBuf::from_bytes(command.into_bytes()).map_err(|_| Trouble::Document(0))?;
        Ok(self.connection.run(self.database_of(place), body).await?)
    }

    async fn complete(&self, batch: &WriteBatch) -> Result<(), Interrupted> {
        let mut cells: Vec<&Completion> = batch.completions.iter().collect();
        cells.sort_by(|one, other| one.by_row(other));
        let mut tables: BTreeMap<&str, Vec<Vec<&Completion>>> = BTreeMap::new();
        for cells in cells.chunk_by(|one, other| one.by_row(other).is_eq()) {
            let statements = tables.entry(cells.first().map_or("", |cell| cell.table.as_str())).or_default();
            // Cells of the row itself come one by one: several at once would stand in the order of their names, and
            // which come together depends on how a load is cut into batches.
            let (mut inside, own): (Vec<_>, Vec<_>) =
                cells.iter().copied().partition(|cell| cell.path.contains('.'));
            statements.extend(own.into_iter().map(|cell| vec![cell]));
            // A list of thousands is written a few times, and not once for each of its cells.
            inside.sort_by(|one, other| one.in_row_order(other));
            statements.extend(inside.chunks(CELLS_AT_ONCE).map(<[_]>::to_vec));
        }
        let chunks = tables.into_iter().flat_map(|(table, rows)| {
            cut(UPDATE, table, 0..rows.len(), move |statement, writer| {
                if let Some(cells) = rows.get(statement) {
                    statements::completion(writer, cells);
                }
            })
        });
        self.send_all(chunks).await
    }

    async fn write_rejects(&self, batch: &WriteBatch, rejects: &[&Reject]) -> Result<(), Interrupted> {
        let mut encoder = RowEncoder::new(&batch.names);
        let chunks = cut(UPDATE, REJECTS, 0..rejects.len(), move |statement, writer| {
            if let Some(reject) = rejects.get(statement) {
                statements::reject(writer, &mut encoder, reject, batch);
            }
        });
        for chunk in chunks {
            let body = chunk.body.ok_or(Trouble::Document(TOO_LARGE))?;
            let database = self.connection.database();
            let answer = self.connection.run_write(database, body.clone()).await?;
            carried_out(&answer)?;
            if met_duplicates(&answer) {
                carried_out(&self.connection.run_write(database, body).await?)?;
            }
        }
        Ok(())
    }

    /// Sends updates to the database of the tables; none of them is expected to fail.
    async fn send_all(&self, chunks: impl Iterator<Item = Chunk> + Send) -> Result<(), Interrupted> {
        for chunk in chunks {
            let body = chunk.body.ok_or(Trouble::Document(TOO_LARGE))?;
            carried_out(&self.connection.run_write(self.connection.database(), body).await?)?;
        }
        Ok(())
    }

    fn database_of(&self, place: DocumentPlace<'_>) -> &str {
        match place {
            DocumentPlace::Archive(_) => &self.archive,
            DocumentPlace::Table(_) | DocumentPlace::Tombstones => self.connection.database(),
        }
    }
}

/// Returns the versions in an answer to a read, by `_id`.
fn versions_of(answer: BsonDocument) -> BTreeMap<String, String> {
    let version = |mut found: BsonDocument| match (found.remove("_id"), found.remove("_version")) {
        (Some(bson::Bson::String(id)), Some(bson::Bson::String(version))) => Some((id, version)),
        _ => None,
    };
    first_batch(answer).filter_map(version).collect()
}

/// Returns what a read has found, by `_id`.
fn contents_of(answer: BsonDocument) -> BTreeMap<String, FoundDocument> {
    let content = |mut found: BsonDocument| match (found.remove("_id"), found.remove("_version")) {
        (Some(bson::Bson::String(id)), Some(bson::Bson::String(version))) => {
            let hash = match found.get(HASH_FIELD) {
                Some(bson::Bson::String(hash)) => ContentHash::from_text(hash),
                _ => None,
            };
            Some((id, FoundDocument { version, hash }))
        }
        _ => None,
    };
    first_batch(answer).filter_map(content).collect()
}

#[async_trait]
impl RowStore for MongoStore {
    async fn write(&self, batch: WriteBatch) -> Result<Summary, Interrupted> {
        self.views.prepare(&self.connection, &batch).await?;
        self.sql_schemas.extend(&self.connection, &batch).await?;
        self.expiry.prepare(&self.connection, &batch, &self.indexes).await?;
        let (mut summary, refused) = self.replace_rows(&batch).await?;
        // Those of a batch without a row; all others stand already.
        self.indexes.prepare(&self.connection, &batch, &self.views).await?;
        let archive = Archive { connection: &self.connection, database: &self.archive };
        self.retention.retain(archive, &batch).await?;
        self.complete(&batch).await?;
        let rejects = batch.rejects_to_store(&refused);
        self.write_rejects(&batch, &rejects).await?;
        self.unname_erased(&rejects).await?;
        self.erase_rejects(&batch).await?;
        for manifest in &batch.manifests {
            exports::write(&self.connection, manifest, batch.begun).await?;
        }
        batch.count_rejects(&refused, &mut summary);
        Ok(summary)
    }

    async fn forget_rejects(&self, load: &str, reading: u32) -> Result<(), Interrupted> {
        let ids = ids_with_suffix(load);
        // Also those that an earlier version of this program wrote, which say nothing of a reading.
        let earlier = doc! { "$not": { "$gte": i64::from(reading) } };
        let ids = doc! { "$gte": ids.start, "$lt": ids.end };
        // The range is what the index knows; ids of other loads can be within it.
        let query = doc! { "_id": ids, "_load": load, records::READING: earlier };
        let command = doc! {
            "delete": REJECTS,
            "deletes": [{ "q": query, "limit": 0 }],
            "writeConcern": { "w": "majority", "wtimeout": 20_000 },
        };
        let unwritable =
            |_| Interrupted::Write { code: DatabaseFault::UnwritableCommand.as_str().to_owned() };
        let command = RawDocumentBuf::try_from(&command).map_err(unwritable)?;
        carried_out(&self.connection.run(self.connection.database(), command).await?)?;
        Ok(())
    }
}
