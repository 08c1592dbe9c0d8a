//! What people ask of a store: rejects, the archive, the documents of a resource, erasures, schemas, indexes.
//!
//! The command line asks; a load never does. So nothing here is fast at the cost of being simple, and a method that reads
//! every row says so. What a method returns may be outdated as soon as it returns: loads go on meanwhile.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Debug;
use std::ops::ControlFlow;

use async_trait::async_trait;
use flatten::TableRow;
use flatten::indexes::Indexes;
use thiserror::Error;

use crate::erasure::ErasureMarks;
use crate::ledger::load::{Load, LoadFilter, Status};
use crate::retention::RetentionPolicy;

use super::ColumnEntry;
use super::exports::{FileSelection, FileVisitor, ManifestVisitor};
use super::outdated::{MadeUpTable, Outdated};
use super::overview::{Folder, LoadPeriod, LoadSums, Maker};
use super::references::ReferenceElement;
use super::schema::FieldSchema;
use super::standing::{RowOrigin, Standing, StoredSource};

/// Receives references: who refers, in which element, and to whom.
pub type ReferenceVisitor<'a> = dyn FnMut(&str, ReferenceElement, &str) + Send + 'a;

/// Receives rows, until it breaks.
pub type RowVisitor<'a> = dyn FnMut(TableRow) -> ControlFlow<()> + Send + 'a;

/// Receives archived resources, until it breaks.
pub type ArchiveVisitor<'a> = dyn FnMut(ArchivedEntry) -> ControlFlow<()> + Send + 'a;

/// Receives the id of a load, and when its object was made, in milliseconds since 1970-01-01T00:00:00Z, until it
/// breaks.
pub type LoadVisitor<'a> = dyn FnMut(&str, i64) -> ControlFlow<()> + Send + 'a;

/// Receives loads, until it breaks.
pub type WholeLoadVisitor<'a> = dyn FnMut(Load) -> ControlFlow<()> + Send + 'a;

/// Why a store did not do what it was asked. The words of drivers and servers quote data, so they are not kept.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum StoreError {
    /// No server answers.
    #[error("no database answers there; is it running, and does the address end in the right host and port?")]
    Unreachable,
    /// The store refuses until an operator changes something.
    #[error("the database refuses to work ({code}); {remedy}")]
    Refused {
        /// The server's error code with its name, and what it refused.
        code: String,
        /// What to do about it.
        remedy: String,
    },
    /// The store did not do it this time.
    #[error("the database failed ({code}); try again")]
    Failed {
        /// The server's error code, or the kind of failure.
        code: String,
    },
    /// A store of this kind does not have what was asked for.
    #[error("a store of this kind has no {what}")]
    Unsupported {
        /// What it does not have.
        what: &'static str,
    },
}

/// Answers what people ask of a store.
///
/// Every method fails with [`StoreError::Unreachable`], [`StoreError::Refused`] or [`StoreError::Failed`] when the
/// database does. Methods with a default body need something that not every store has; without it they fail with
/// [`StoreError::Unsupported`].
#[async_trait]
pub trait Admin: Debug + Send + Sync {
    /// Returns the name of the database, for messages.
    fn database(&self) -> &str;

    /// Returns the name of the archive's database, for messages.
    fn archive_database(&self) -> &str;

    /// Waits until the store answers.
    async fn ping(&self) -> Result<(), StoreError>;

    /// Returns, once, why tables that were written to lack indexes: a sentence each, at most a hundred.
    fn take_index_notices(&self) -> Vec<String> {
        Vec::new()
    }

    /// Returns the load with this id, or all loads of the object with this key, the latest first.
    async fn loads_named(&self, name: &str) -> Result<Vec<Load>, StoreError>;

    /// Returns the status of each of these loads at a moment, in milliseconds since 1970-01-01T00:00:00Z. Unknown loads
    /// are left out.
    async fn load_outlines(
        &self,
        loads: &[String],
        now: i64,
    ) -> Result<BTreeMap<String, LoadOutline>, StoreError>;

    /// Counts the loads of some objects.
    async fn count_loads(&self, selection: &LoadSelection) -> Result<u64, StoreError>;

    /// Visits the loads of some objects in the order of their ids. Memory stays bounded.
    async fn visit_loads(
        &self,
        selection: &LoadSelection,
        visit: &mut LoadVisitor<'_>,
    ) -> Result<(), StoreError>;

    /// Visits the loads of objects, in any order. Reads all of them.
    async fn visit_files(
        &self,
        selection: &FileSelection<'_>,
        visit: &mut FileVisitor<'_>,
    ) -> Result<(), StoreError>;

    /// Visits the manifests of Bulk Data exports, the latest export first.
    async fn visit_manifests(&self, visit: &mut ManifestVisitor<'_>) -> Result<(), StoreError>;

    /// Sums the loads of a period. Reads each of them.
    async fn sum_loads(&self, period: &LoadPeriod) -> Result<LoadSums, StoreError>;

    /// Returns the loads of a period that began last, latest first: those that one of the filters includes, or all
    /// without a filter.
    async fn latest_loads(
        &self,
        period: &LoadPeriod,
        filters: &[LoadFilter],
        limit: u32,
    ) -> Result<Vec<Load>, StoreError>;

    /// Returns when the last load of each folder ended that has rows in the tables, of the loads of a period, in
    /// milliseconds since 1970-01-01T00:00:00Z. At most [`MAX_FOLDERS`](super::overview::MAX_FOLDERS) folders, those of
    /// the latest successes. Reads each load.
    async fn last_successes(&self, period: &LoadPeriod) -> Result<BTreeMap<Folder, i64>, StoreError>;

    /// Visits the loads that [`Maker::is_outdated`] finds, in the order of their ids, from the first one after an id
    /// on. Reads the ledger; memory stays bounded.
    async fn visit_outdated_loads(
        &self,
        maker: &Maker,
        after: &str,
        visit: &mut WholeLoadVisitor<'_>,
    ) -> Result<(), StoreError>;

    /// Returns a settled load that was made under none of these catalogs, if there is one.
    async fn load_of_other_catalogs(&self, catalogs: &[&str]) -> Result<Option<Load>, StoreError>;

    /// Returns the tables that hold rows under the keys of their resources, with the type of these resources. Tables
    /// that are empty by now may be among them.
    async fn noted_tables(&self) -> Result<Vec<NotedTable>, StoreError>;

    /// Counts the documents that each of these loads has written and that still exist: rows, archived resources and
    /// rejects. Loads without any are left out. May read every table.
    async fn count_documents(&self, loads: &[&str]) -> Result<BTreeMap<String, u64>, StoreError>;

    /// Returns how many records each of these loads has read, as the ledger says. Unknown loads are left out.
    async fn count_records(&self, loads: &[&str]) -> Result<BTreeMap<String, u64>, StoreError>;

    /// Returns rejects, ordered by load and by their place in the object.
    async fn rejects(&self, filter: &RejectFilter) -> Result<Vec<StoredReject>, StoreError>;

    /// Removes a reject; nothing happens if it is not there.
    async fn remove_reject(&self, id: &str) -> Result<(), StoreError>;

    /// Returns the newest archived resource of a key.
    async fn find_archived(&self, key: &str) -> Result<Option<ArchivedResource>, StoreError>;

    /// Removes an archived resource, unless another version has taken its place.
    async fn remove_archived(&self, archived: &ArchivedResource) -> Result<(), StoreError>;

    /// Counts the archived resources of each table of the archive; empty ones are left out. Reads an index of each.
    async fn count_archived(&self) -> Result<BTreeMap<String, u64>, StoreError>;

    /// Visits the archived resources of a type, in the order of their keys. Memory stays bounded.
    async fn visit_archived(
        &self,
        resource_type: &str,
        visit: &mut ArchiveVisitor<'_>,
    ) -> Result<(), StoreError>;

    /// Returns whether loads have archived resources and the archive of this store has never held any: then theirs is
    /// another one.
    async fn is_other_archive(&self) -> Result<bool, StoreError>;

    /// Returns the documents under each of these keys: rows, with those of contained resources and child tables,
    /// archived forms, tombstones, and rejects that name the key. Keys without documents are left out. Asks every
    /// table, by its primary key.
    async fn standing(&self, keys: &BTreeSet<String>) -> Result<BTreeMap<String, Standing>, StoreError>;

    /// Visits the rows of these resources, those of contained resources and child tables included, table by table. A
    /// row has the cells of its resource, and where it came from as `_source`; none of the other technical columns.
    /// Asks every table, by its primary key.
    async fn visit_rows(&self, keys: &BTreeSet<String>, visit: &mut RowVisitor<'_>)
    -> Result<(), StoreError>;

    /// Returns how many rows each table has; tables without rows are left out. The count is the store's own: it may be
    /// off after the server was killed.
    async fn count_rows(&self) -> Result<BTreeMap<String, u64>, StoreError>;

    /// Visits the rows of a table in the order of their keys, each as [`Admin::visit_rows`] does.
    async fn visit_table(&self, table: &str, visit: &mut RowVisitor<'_>) -> Result<(), StoreError>;

    /// Returns where the row of any table with this id, or the archived resource with it as its key, came from. Of
    /// several versions the newest counts. Asks every table, by its primary key.
    async fn row_origin(&self, id: &str) -> Result<Option<RowOrigin>, StoreError>;

    /// Visits every reference from one resource to another, in rows and in archived resources. Reads everything.
    async fn visit_references(&self, visit: &mut ReferenceVisitor<'_>) -> Result<(), StoreError>;

    /// Returns the mark that keeps a resource out, if it was erased.
    async fn kept_out(&self, key: &str) -> Result<Option<KeptOut>, StoreError>;

    /// Returns what makes the marks of this store. Makes its secret if there is none.
    async fn erasure_marks(&self) -> Result<ErasureMarks, StoreError>;

    /// Removes the mark of an erased resource, so that it may be written again. Returns `false` if there is none.
    async fn remove_mark(&self, key: &str) -> Result<bool, StoreError>;

    /// Returns who is connected, as the database says.
    async fn user(&self) -> Result<DatabaseUser, StoreError> {
        Err(StoreError::Unsupported { what: "users" })
    }

    /// Returns an identifier for an erasure, or for a command that erases several resources.
    fn new_erasure_id(&self) -> String;

    /// Notes that an erasure begins. The note must be durable before anything is removed.
    async fn begin_erasure(&self, erasure: &Erasure) -> Result<(), StoreError>;

    /// Notes that nothing of the erased resource stands any more. `at` is in milliseconds since 1970-01-01T00:00:00Z.
    async fn end_erasure(&self, id: &str, at: i64) -> Result<(), StoreError>;

    /// Notes on all erasures with this mark that it was removed.
    async fn lift_erasures(&self, mark: &str, lift: &Lift) -> Result<(), StoreError>;

    /// Replaces the key of a load's object by a mark, in the ledger, in manifests and wherever the load is named.
    /// Returns `false`, and changes nothing, while the object is being loaded. Nothing else may point to the load.
    async fn rename_object(&self, load: &str, object: &ObjectName, mark: &str) -> Result<bool, StoreError>;

    /// Returns the schemas of tables that the store keeps, by table.
    async fn table_schemas(&self) -> Result<BTreeMap<String, FieldSchema>, StoreError>;

    /// Returns all entries of the dictionary of columns, ordered by [`ColumnEntry::id`].
    async fn columns(&self) -> Result<Vec<ColumnEntry>, StoreError>;

    /// Returns the tables that indexes are made for, in the order of their names.
    async fn tables_to_index(&self) -> Result<Vec<String>, StoreError> {
        Err(StoreError::Unsupported { what: "indexes" })
    }

    /// Returns how many of its indexes a table lacks.
    async fn missing_indexes(&self, table: &str, wanted: Indexes) -> Result<MissingIndexes, StoreError> {
        let _ = (table, wanted);
        Err(StoreError::Unsupported { what: "indexes" })
    }

    /// Builds the indexes that a table lacks, and waits for them, however long it takes. Returns `false` if another
    /// index of the same name or fields is in the way; then none was built.
    async fn build_indexes(&self, table: &str, wanted: Indexes) -> Result<bool, StoreError> {
        let _ = (table, wanted);
        Err(StoreError::Unsupported { what: "indexes" })
    }

    /// Returns the collections that can have a retention, each with the types of its rows; those that are no tables
    /// have none.
    async fn collections_to_keep(&self) -> Result<BTreeMap<String, BTreeSet<String>>, StoreError> {
        Err(StoreError::Unsupported { what: "retention" })
    }

    /// Puts a policy into force in a collection, and waits for it, however long it takes. Returns whether anything had
    /// to change.
    async fn keep(
        &self,
        policy: &RetentionPolicy,
        collection: &str,
        types: &BTreeSet<String>,
    ) -> Result<bool, StoreError> {
        let _ = (policy, collection, types);
        Err(StoreError::Unsupported { what: "retention" })
    }

    /// Returns the tables and notes that earlier versions of the program made and this one would not. `resource_types`
    /// are those that have tables besides FHIR's.
    async fn find_outdated(&self, resource_types: &[String]) -> Result<Outdated, StoreError> {
        let _ = resource_types;
        Err(StoreError::Unsupported { what: "tables of earlier versions" })
    }

    /// Notes the tables without a note, and takes over the notes of earlier versions. Comes before any removal.
    async fn note_tables(&self, outdated: &Outdated) -> Result<(), StoreError> {
        let _ = outdated;
        Err(StoreError::Unsupported { what: "tables of earlier versions" })
    }

    /// Moves the documents of a table to where they belong today, or removes them, and drops the table. Returns `false`
    /// if others write to it.
    async fn remove_made_up(&self, table: &MadeUpTable) -> Result<bool, StoreError> {
        let _ = table;
        Err(StoreError::Unsupported { what: "tables of earlier versions" })
    }

    /// Removes the notes and the columns of tables that were removed. Comes after all removals.
    async fn forget_made_up(&self, outdated: &Outdated) -> Result<(), StoreError> {
        let _ = outdated;
        Err(StoreError::Unsupported { what: "tables of earlier versions" })
    }
}

/// Which loads are asked for: those of the objects of a bucket that fulfil every condition.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct LoadSelection {
    /// The bucket.
    pub bucket: String,
    /// What the keys begin with.
    pub prefix: String,
    /// What the keys end with.
    pub suffix: String,
    /// From when on the objects were made, in milliseconds since 1970-01-01T00:00:00Z.
    pub since: Option<i64>,
    /// Before when the objects were made, in milliseconds since 1970-01-01T00:00:00Z.
    pub until: Option<i64>,
    /// The status of the loads; `None`: any.
    pub status: Option<Status>,
}

/// The status of a load.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LoadOutline {
    /// Its status.
    pub status: Status,
    /// Whether its last attempt was killed and none has begun since.
    pub is_stuck: bool,
    /// What its first notification stated to order versions of equal times.
    pub sequencer: Option<String>,
}

/// Which rejects are asked for.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct RejectFilter {
    /// The ids of loads; `None`: of all.
    pub loads: Option<Vec<String>>,
    /// A code; `None`: with any.
    pub code: Option<String>,
}

impl RejectFilter {
    /// Returns the filter of all rejects of a load.
    #[must_use]
    pub fn of_load(load: &str) -> Self {
        Self { loads: Some(vec![load.to_owned()]), code: None }
    }
}

/// A reject as it stands in a store. Fields that an earlier version did not write are empty.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct StoredReject {
    /// Its id: [`Reject::id`](crate::batch::Reject::id).
    pub id: String,
    /// The load that met it.
    pub load: String,
    /// Where the record stood.
    pub source: StoredSource,
    /// The line on which the record began, from 1.
    pub line: Option<u64>,
    /// SHA-256 of the record's bytes in hex; `None`: they could not be cut out of the object.
    pub sha256: Option<String>,
    /// The place in the order of versions that the record has once it is loaded.
    pub version: Option<String>,
    /// The key of the resource, where it may be named.
    pub resource: Option<String>,
    /// What is wrong.
    pub code: String,
    /// The place of the defect in the record; `None`: the record could not be read.
    pub path: Option<String>,
    /// The byte of the record at which the defect stands.
    pub offset_in_record: Option<u64>,
    /// The view that could not take the resource.
    pub view: Option<String>,
    /// The table that the database refused a row of, and the server's error code.
    pub refused: Option<(String, i32)>,
    /// The latest reading of the object that met it.
    pub reading: u32,
}

/// An archived resource with its text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ArchivedResource {
    /// `AuditEvent/123`
    pub key: String,
    /// The table of the archive that it stands in.
    pub table: String,
    /// Its place in the order of versions.
    pub version: String,
    /// The load that wrote it.
    pub load: String,
    /// Where it came from; `None`: in a form that this version of the program does not read.
    pub source: Option<StoredSource>,
    /// When its object was made, in milliseconds since 1970-01-01T00:00:00Z; `None`: it does not say.
    pub created: Option<i64>,
    /// Its text as it came; `None`: in a form that this version of the program does not read.
    pub text: Option<Vec<u8>>,
}

/// An archived resource without its text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ArchivedEntry {
    /// `AuditEvent/123`
    pub key: String,
    /// Where it came from.
    pub source: StoredSource,
}

/// A table that holds rows of resources of a type.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct NotedTable {
    /// The type.
    pub resource_type: String,
    /// The table.
    pub table: String,
}

/// What keeps an erased resource out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeptOut {
    /// Its mark.
    pub mark: String,
    /// When its last erasure began, in milliseconds since 1970-01-01T00:00:00Z, where a record says it.
    pub since: Option<i64>,
}

/// Who is connected to a database.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct DatabaseUser {
    /// The users, as `name@database`.
    pub users: Vec<String>,
    /// The address that the connection comes from, where the server says it.
    pub address: Option<String>,
}

/// Who erases, or lifts an erasure.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Operator {
    /// Who is connected.
    pub database: DatabaseUser,
    /// The name that was given, such as that of the user of the machine.
    pub name: Option<String>,
}

/// The record of an erasure. It does not say the resource's key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Erasure {
    /// [`Admin::new_erasure_id`]
    pub id: String,
    /// The same for all erasures of one command: [`Admin::new_erasure_id`].
    pub command: String,
    /// The mark of the resource.
    pub mark: String,
    /// Why.
    pub reason: String,
    /// By whom.
    pub by: Operator,
    /// When it began, in milliseconds since 1970-01-01T00:00:00Z.
    pub begun: i64,
    /// How many documents stood, by place.
    pub counts: BTreeMap<String, u64>,
    /// The objects that held the resource.
    pub objects: Vec<ErasedObject>,
    /// The version of the program.
    pub program: String,
}

/// An object that held an erased resource.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ErasedObject {
    /// The bucket.
    pub bucket: String,
    /// The key, or its mark if the object held nothing else.
    pub key: String,
    /// The version id, where the bucket has versions.
    pub version_id: Option<String>,
    /// Offset and length of each record.
    pub ranges: Vec<(u64, u64)>,
}

/// The name of an object.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct ObjectName {
    /// The bucket.
    pub bucket: String,
    /// The key.
    pub key: String,
}

/// The removal of a mark.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Lift {
    /// When, in milliseconds since 1970-01-01T00:00:00Z.
    pub at: i64,
    /// By whom.
    pub by: Operator,
    /// Why.
    pub reason: String,
}

/// The indexes that a table lacks.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct MissingIndexes {
    /// How many it lacks and has room for.
    pub count: usize,
    /// About how many rows they are built over; 0 if it lacks none.
    pub rows: u64,
}
