//! A simulation of MongoDB for tests: every statement of the replacement protocol is atomic, other writers have their turn
//! between any two, and one can be made to fail.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;
use bson::{Bson, Document as BsonDocument};

use pipeline::batch::{Completion, Reject, ResourceWrite, WriteBatch};
use pipeline::content::ContentHash;
use pipeline::erasure::{ErasureMarks, SECRET_BYTES};
use pipeline::interrupted::Interrupted;
use pipeline::store::RowStore;
use pipeline::store::schema::FieldSchema;
use pipeline::summary::Summary;

use crate::encode::{BsonWriter, HASH_FIELD, RowEncoder};
use crate::replacement::{
    BatchDocument, CommandAnswer, DocumentPlace, Expectations, FoundDocument, KnownTables, Note, Removal,
    RemovedVersions, Replacement, ReplacementCommand, RowKind, WriteOutcome,
};
use crate::sql_schema::{KnownSchema, schemas_of};
use crate::{ids_with_suffix, records};

/// Documents by `_id`.
pub type Collection = BTreeMap<String, BsonDocument>;

/// Everything that the simulation holds, in order.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct State {
    /// The tables by name.
    pub tables: BTreeMap<String, Collection>,
    /// The archive by resource type.
    pub archive: BTreeMap<String, Collection>,
    /// The markers of resources that have no row of their own.
    pub tombstones: Collection,
    /// What was set aside.
    pub rejects: Collection,
    /// Resource types, each with a table that has held rows of it, and what kind of rows.
    pub noted: BTreeSet<(String, String, RowKind)>,
}

/// The secret of the marks: only tests see it.
const SECRET: [u8; SECRET_BYTES] = [7; SECRET_BYTES];

/// A store whose tables are ordered maps.
#[derive(Debug, Default)]
pub struct SimulatedMongo {
    inner: Mutex<Inner>,
}

#[derive(Debug, Default)]
struct Inner {
    state: State,
    operations: u64,
    fault: Option<Fault>,
    expectations: Expectations,
    /// The SQL schemas by table, if they are kept.
    sql_schemas: Option<BTreeMap<String, KnownSchema>>,
}

/// A failure to be injected: at the `operation`-th statement from now on, counted from 0.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Fault {
    /// Which statement.
    pub operation: u64,
    /// Whether the statement still takes effect: its acknowledgement is lost, not the write.
    pub takes_effect: bool,
}

impl SimulatedMongo {
    /// Returns a simulation that keeps SQL schemas as well.
    #[must_use]
    pub fn with_sql_schemas() -> Self {
        Self { inner: Mutex::new(Inner { sql_schemas: Some(BTreeMap::new()), ..Inner::default() }) }
    }

    /// Returns the SQL schemas by table.
    #[must_use]
    pub fn sql_schemas(&self) -> BTreeMap<String, FieldSchema> {
        let inner = self.lock();
        let schemas = inner.sql_schemas.iter().flatten();
        schemas.map(|(table, schema)| (table.clone(), schema.root().clone())).collect()
    }

    /// Returns what stands. Empty tables are left out.
    #[must_use]
    pub fn state(&self) -> State {
        let mut state = self.lock().state.clone();
        state.tables.retain(|_, table| !table.is_empty());
        state.archive.retain(|_, table| !table.is_empty());
        state
    }

    /// Makes one of the next statements fail, as if the connection had broken.
    pub fn fail(&self, fault: Fault) {
        let mut inner = self.lock();
        let operation = inner.operations + fault.operation;
        inner.fault = Some(Fault { operation, ..fault });
    }

    /// Returns what makes the marks of erased resources.
    #[must_use]
    pub fn marks(&self) -> ErasureMarks {
        ErasureMarks::new(&SECRET)
    }

    /// Takes the mark of an erased resource away: it may be written again. `false`: there is none.
    pub fn lift(&self, key: &str) -> bool {
        self.lock().state.tombstones.remove(&ErasureMarks::new(&SECRET).of_resource(key)).is_some()
    }

    /// Returns how many statements have run so far.
    #[must_use]
    pub fn operations(&self) -> u64 {
        self.lock().operations
    }

    /// Locks the state. A panic in another thread leaves whole statements behind, as a killed function does.
    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Runs one statement, with the fault that was asked for.
    fn statement<T>(&self, run: impl FnOnce(&mut State) -> T) -> Result<T, Interrupted> {
        let mut inner = self.lock();
        let number = inner.operations;
        inner.operations += 1;
        let fault = inner.fault.filter(|fault| fault.operation == number);
        let broken = Interrupted::Write { code: "injected fault".to_owned() };
        match fault {
            None => Ok(run(&mut inner.state)),
            Some(Fault { takes_effect, .. }) => {
                inner.fault = None;
                if takes_effect {
                    run(&mut inner.state);
                }
                Err(broken)
            }
        }
    }

    fn run(
        &self,
        batch: &WriteBatch,
        command: &ReplacementCommand<'_>,
    ) -> Result<CommandAnswer, Interrupted> {
        match command {
            ReplacementCommand::Insert { place, documents } => (documents.iter())
                .map(|&document| self.statement(|state| state.insert(batch, *place, document)))
                .collect::<Result<_, _>>()
                .map(CommandAnswer::Written),
            ReplacementCommand::Replace { place, documents } => (documents.iter())
                .map(|&document| self.statement(|state| state.replace(batch, *place, document)))
                .collect::<Result<_, _>>()
                .map(CommandAnswer::Written),
            ReplacementCommand::Versions { place, documents } => (documents.iter())
                .map(|&document| self.statement(|state| state.read(batch, *place, document)))
                .collect::<Result<_, _>>()
                .map(CommandAnswer::Versions),
            ReplacementCommand::Standing { place, documents } => (documents.iter())
                .map(|&document| self.statement(|state| state.find(batch, *place, document)))
                .collect::<Result<_, _>>()
                .map(CommandAnswer::Found),
            ReplacementCommand::Delete { place, removals } => {
                for &removal in removals {
                    self.statement(|state| state.remove(batch, *place, removal))?;
                }
                Ok(CommandAnswer::Done)
            }
            ReplacementCommand::DeleteSuffixed { table, removals } => {
                for &removal in removals {
                    self.statement(|state| state.remove_suffixed(batch, table, removal))?;
                }
                Ok(CommandAnswer::Done)
            }
            ReplacementCommand::VersionsIn { table, documents } => (documents.iter())
                .map(|&document| {
                    self.statement(|state| state.version(batch, DocumentPlace::Table(table), document))
                })
                .collect::<Result<_, _>>()
                .map(CommandAnswer::Versions),
            ReplacementCommand::DeleteIn { table, removals } => {
                for &removal in removals {
                    self.statement(|state| state.remove(batch, DocumentPlace::Table(table), removal))?;
                }
                Ok(CommandAnswer::Done)
            }
            ReplacementCommand::NoteTables { notes } => {
                for &note in notes {
                    self.statement(|state| state.note(note))?;
                }
                Ok(CommandAnswer::Done)
            }
            ReplacementCommand::FindTables { types, .. } => {
                self.statement(|state| CommandAnswer::Tables(state.find_tables(types)))
            }
        }
    }

    /// Adds to the SQL schemas what the documents of a batch need, before they are written.
    fn extend_sql_schemas(&self, batch: &WriteBatch) {
        if let Some(schemas) = &mut self.lock().sql_schemas {
            for (table, wanted) in schemas_of(batch) {
                let known = schemas.entry(table).or_default();
                let additions = known.additions(&wanted, usize::MAX);
                known.enter(&additions);
            }
        }
    }

    /// Runs a replacement. Other writers have their turn between any two commands, as they have with a database.
    async fn replace_rows(&self, batch: &WriteBatch) -> Result<(Summary, Vec<Reject>), Interrupted> {
        loop {
            let expectations = self.lock().expectations.clone();
            let mut replacement = Replacement::new(batch).expecting(expectations);
            while let Some(commands) = replacement.commands() {
                for command in &commands {
                    let answer = self.run(batch, command)?;
                    replacement.answer(command, answer);
                    tokio::task::yield_now().await;
                }
            }
            replacement.teach(&mut self.lock().expectations);
            if !replacement.is_contended() {
                return Ok(replacement.outcome());
            }
        }
    }
}

#[async_trait]
impl RowStore for SimulatedMongo {
    async fn write(&self, batch: WriteBatch) -> Result<Summary, Interrupted> {
        self.extend_sql_schemas(&batch);
        let (mut summary, refused) = self.replace_rows(&batch).await?;
        for completion in &batch.completions {
            self.statement(|state| state.complete(completion))?;
        }
        for reject in batch.rejects_to_store(&refused) {
            self.statement(|state| state.reject(reject, &batch))?;
            if reject.resource.is_some() {
                self.statement(|state| state.unname(reject))?;
            }
        }
        for key in batch.erased_keys() {
            self.statement(|state| {
                state.rejects.retain(|_, reject| reject.get_str("resource").ok() != Some(key))
            })?;
        }
        batch.count_rejects(&refused, &mut summary);
        Ok(summary)
    }

    async fn forget_rejects(&self, load: &str, reading: u32) -> Result<(), Interrupted> {
        self.statement(|state| {
            let is_of_load = |reject: &BsonDocument| reject.get_str("_load").is_ok_and(|of| of == load);
            state.rejects.retain(|_, reject| !is_of_load(reject) || reading_of(reject) >= i64::from(reading));
        })
    }
}

/// The statements of the database, each atomic.
impl State {
    pub(super) fn insert(
        &mut self,
        batch: &WriteBatch,
        place: DocumentPlace<'_>,
        document: BatchDocument,
    ) -> WriteOutcome {
        let id = document.id(batch);
        let collection = self.collection(place);
        if collection.contains_key(id) {
            return WriteOutcome::Exists;
        }
        collection.insert(id.to_owned(), encoded(batch, document));
        WriteOutcome::Done
    }

    pub(super) fn replace(
        &mut self,
        batch: &WriteBatch,
        place: DocumentPlace<'_>,
        document: BatchDocument,
    ) -> WriteOutcome {
        let new = document.write_of(batch).map_or("", |resource| resource.version.as_str());
        let standing = self.version(batch, place, document);
        if standing.is_some_and(|standing| standing.as_str() >= new) {
            return WriteOutcome::Exists;
        }
        self.collection(place).insert(document.id(batch).to_owned(), encoded(batch, document));
        WriteOutcome::Done
    }

    pub(super) fn version(
        &mut self,
        batch: &WriteBatch,
        place: DocumentPlace<'_>,
        document: BatchDocument,
    ) -> Option<String> {
        self.collection(place).get(document.id(batch)).map(|document| version_of(document).to_owned())
    }

    /// Returns the version of a document, or of its resource's mark among the tombstones.
    fn read(
        &mut self,
        batch: &WriteBatch,
        place: DocumentPlace<'_>,
        document: BatchDocument,
    ) -> Option<String> {
        let standing = self.version(batch, place, document);
        standing.max(if place == DocumentPlace::Tombstones { self.mark(batch, document) } else { None })
    }

    /// Returns the version of the mark that keeps a document's resource out.
    pub(super) fn mark(&self, batch: &WriteBatch, document: BatchDocument) -> Option<String> {
        let mark = ErasureMarks::new(&SECRET).of_resource(&document.write_of(batch)?.key);
        self.tombstones.get(&mark).map(|mark| version_of(mark).to_owned())
    }

    pub(super) fn remove(&mut self, batch: &WriteBatch, place: DocumentPlace<'_>, removal: Removal) {
        let Some(resource) = batch.resources.get(removal.resource) else { return };
        let collection = self.collection(place);
        if collection.get(&resource.key).is_some_and(|document| is_meant(document, resource, removal)) {
            collection.remove(&resource.key);
        }
    }

    pub(super) fn remove_suffixed(&mut self, batch: &WriteBatch, table: &str, removal: Removal) {
        let Some(resource) = batch.resources.get(removal.resource) else { return };
        let collection = self.collection(DocumentPlace::Table(table));
        let gone: Vec<String> = (collection.range(ids_with_suffix(&resource.key)))
            .filter(|(_, document)| is_meant(document, resource, removal))
            .map(|(id, _)| id.clone())
            .collect();
        for id in gone {
            collection.remove(&id);
        }
    }

    pub(super) fn find(
        &mut self,
        batch: &WriteBatch,
        place: DocumentPlace<'_>,
        document: BatchDocument,
    ) -> Option<FoundDocument> {
        let found = self.collection(place).get(document.id(batch))?;
        let hash = match found.get(HASH_FIELD) {
            Some(Bson::String(hash)) => ContentHash::from_text(hash),
            _ => None,
        };
        Some(FoundDocument { version: version_of(found).to_owned(), hash })
    }

    pub(super) fn note(&mut self, Note { resource_type, table, kind }: Note<'_>) {
        self.noted.insert((resource_type.to_owned(), table.to_owned(), kind));
    }

    pub(super) fn find_tables(&self, types: &[&str]) -> KnownTables {
        let mut found = KnownTables::default();
        for (resource_type, table, kind) in &self.noted {
            if types.contains(&resource_type.as_str()) {
                found.add(Note { resource_type, table, kind: *kind });
            }
        }
        found
    }

    fn complete(&mut self, completion: &Completion) {
        let row = self.tables.get_mut(&completion.table).and_then(|table| table.get_mut(&completion.row));
        if let Some(row) = row
            && version_of(row) == completion.version.as_str()
        {
            set(
                row,
                completion.list().unwrap_or(&completion.path),
                completion.list().is_some(),
                &completion.key,
            );
        }
    }

    fn reject(&mut self, reject: &Reject, batch: &WriteBatch) {
        let reading = i64::from(batch.reading);
        if self.rejects.get(&reject.id()).is_some_and(|standing| reading_of(standing) > reading) {
            return;
        }
        let names = flatten::row::NameList::default();
        let mut writer = BsonWriter::default();
        records::reject(&mut writer, &mut RowEncoder::new(&names), reject, batch);
        self.rejects.insert(reject.id(), parsed(writer));
    }

    /// Takes the key of an erased resource from a reject.
    fn unname(&mut self, reject: &Reject) {
        let mark = reject.resource.as_deref().map(|key| ErasureMarks::new(&SECRET).of_resource(key));
        if mark.is_some_and(|mark| self.tombstones.contains_key(&mark))
            && let Some(reject) = self.rejects.get_mut(&reject.id())
        {
            reject.remove("resource");
        }
    }

    fn collection(&mut self, place: DocumentPlace<'_>) -> &mut Collection {
        match place {
            DocumentPlace::Table(name) => self.tables.entry(name.to_owned()).or_default(),
            DocumentPlace::Archive(name) => self.archive.entry(name.to_owned()).or_default(),
            DocumentPlace::Tombstones => &mut self.tombstones,
        }
    }
}

fn encoded(batch: &WriteBatch, document: BatchDocument) -> BsonDocument {
    let mut writer = BsonWriter::default();
    document.encode(batch, &mut RowEncoder::new(&batch.names), &mut writer);
    parsed(writer)
}

/// Parses the encoder's bytes; the tests of the encoder show that they are BSON.
fn parsed(writer: BsonWriter) -> BsonDocument {
    bson::RawDocumentBuf::from_bytes(writer.into_bytes())
        .and_then(|document| BsonDocument::try_from(&document))
        .unwrap_or_default()
}

fn is_meant(document: &BsonDocument, resource: &ResourceWrite, removal: Removal) -> bool {
    let (version, own) = (version_of(document), resource.version.as_str());
    match removal.versions {
        RemovedVersions::Older => version < own,
        RemovedVersions::UpToOwn => version <= own,
        RemovedVersions::Own => version == own,
    }
}

fn version_of(document: &BsonDocument) -> &str {
    document.get_str("_version").unwrap_or_default()
}

fn reading_of(reject: &BsonDocument) -> i64 {
    reject.get_i64(records::READING).unwrap_or_default()
}

/// Does what `$set` does with a dotted path: names in documents, positions in arrays.
/// Sets the cell at a path, or adds to the list there what it does not have.
fn set(document: &mut BsonDocument, path: &str, adds: bool, key: &str) {
    let (head, rest) = path.split_once('.').map_or((path, None), |(head, rest)| (head, Some(rest)));
    match (document.get_mut(head), rest) {
        (Some(inside), Some(rest)) => set_inside(inside, rest, adds, key),
        (Some(Bson::Array(items)), None) if adds => {
            let key = Bson::String(key.to_owned());
            if !items.contains(&key) {
                items.push(key);
            }
        }
        (_, None) => drop(document.insert(head, key)),
        (None, Some(_)) => {}
    }
}

fn set_inside(value: &mut Bson, path: &str, adds: bool, key: &str) {
    match value {
        Bson::Document(document) => set(document, path, adds, key),
        Bson::Array(items) => {
            let Some((head, rest)) = path.split_once('.') else { return };
            if let Some(item) = head.parse().ok().and_then(|index: usize| items.get_mut(index)) {
                set_inside(item, rest, adds, key);
            }
        }
        _ => {}
    }
}
