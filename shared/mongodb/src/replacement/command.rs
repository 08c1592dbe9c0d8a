//! Commands to a database and their answers. Each statement in a command is atomic; the command is not.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::encode::{BsonWriter, RowEncoder};
use crate::records;
use pipeline::batch::{Fate, ResourceWrite, WriteBatch};
use pipeline::content::ContentHash;

use super::known_tables::{KnownTables, Note};

/// Where a document stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum DocumentPlace<'b> {
    /// A table of the database.
    Table(&'b str),
    /// The collection of a resource type in the archive database.
    Archive(&'b str),
    /// The markers of resources without an anchor row.
    Tombstones,
}

/// A document of a batch.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum BatchDocument {
    /// A row, by its index in the batch's arena.
    Row {
        /// Its resource, by its index in the batch.
        resource: usize,
        /// The row.
        row: usize,
    },
    /// The whole resource, for the archive.
    Archived {
        /// The resource.
        resource: usize,
    },
    /// The resource's tombstone.
    Tombstone {
        /// The resource.
        resource: usize,
    },
    /// The mark that keeps the erased resource out.
    Mark {
        /// The resource.
        resource: usize,
    },
}

/// The commands of one stage that write or read documents, by collection.
pub(super) type Documents<'b> = BTreeMap<DocumentPlace<'b>, Vec<BatchDocument>>;

/// Statements on one collection.
#[derive(Debug, Clone)]
pub(crate) enum ReplacementCommand<'b> {
    /// Insert each document unless its `_id` is there.
    Insert {
        /// The collection.
        place: DocumentPlace<'b>,
        /// The documents.
        documents: Vec<BatchDocument>,
    },
    /// Replace the document of that `_id` if its `_version` is lower, insert it if there is none.
    Replace {
        /// The collection.
        place: DocumentPlace<'b>,
        /// The documents.
        documents: Vec<BatchDocument>,
    },
    /// Read the `_version` that stands under the `_id` of each document. Among the tombstones, the mark of its resource
    /// is looked for too, and the newer of both is the answer.
    Versions {
        /// The collection.
        place: DocumentPlace<'b>,
        /// The documents.
        documents: Vec<BatchDocument>,
    },
    /// Read what stands under the `_id` of each document, before anything is written.
    Standing {
        /// The collection.
        place: DocumentPlace<'b>,
        /// The documents.
        documents: Vec<BatchDocument>,
    },
    /// Remove the document whose `_id` is the key of a resource.
    Delete {
        /// The collection.
        place: DocumentPlace<'b>,
        /// The statements.
        removals: Vec<Removal>,
    },
    /// Note tables that are about to hold rows.
    NoteTables {
        /// The notes.
        notes: Vec<Note<'b>>,
    },
    /// Read which tables have ever held rows of some resource types.
    FindTables {
        /// The types.
        types: Vec<&'b str>,
        /// Whether an answer from memory is good enough, if it is not too old.
        may_be_remembered: bool,
    },
    /// Read the `_version` that stands under the `_id` of each document in a table that was noted.
    VersionsIn {
        /// The table.
        table: Arc<str>,
        /// The documents.
        documents: Vec<BatchDocument>,
    },
    /// Remove the row whose `_id` is the key of a resource from a table that was noted.
    DeleteIn {
        /// The table.
        table: Arc<str>,
        /// The statements.
        removals: Vec<Removal>,
    },
    /// Remove the rows of a resource whose `_id` is its key and a suffix.
    DeleteSuffixed {
        /// The table.
        table: Arc<str>,
        /// The statements.
        removals: Vec<Removal>,
    },
}

/// Which versions of a resource go.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Removal {
    /// The resource.
    pub(crate) resource: usize,
    /// Compared with the version of the resource in this batch.
    pub(crate) versions: RemovedVersions,
}

/// The versions that a removal takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum RemovedVersions {
    /// Those before the batch's.
    Older,
    /// The batch's own and those before it.
    UpToOwn,
    /// The batch's own.
    Own,
}

/// An answer, statement by statement in the order of the command.
#[derive(Debug, Clone)]
pub(crate) enum CommandAnswer {
    /// To [`ReplacementCommand::Insert`] and [`ReplacementCommand::Replace`].
    Written(Vec<WriteOutcome>),
    /// To [`ReplacementCommand::Versions`] and [`ReplacementCommand::VersionsIn`]: `None` where there is no such
    /// document.
    Versions(Vec<Option<String>>),
    /// To [`ReplacementCommand::Standing`]: `None` where there is no such document.
    Found(Vec<Option<FoundDocument>>),
    /// To [`ReplacementCommand::FindTables`].
    Tables(KnownTables),
    /// To commands that only say that they were carried out.
    Done,
}

/// A document that stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct FoundDocument {
    /// Its version.
    pub(crate) version: String,
    /// What it follows from, if it was complete when it was written.
    pub(crate) hash: Option<ContentHash>,
}

/// What became of one document.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum WriteOutcome {
    /// It stands.
    Done,
    /// Another document with that `_id` stands, for a replacement one of the same or a newer version; or a
    /// concurrent upsert was faster.
    Exists,
    /// The database refuses this document whatever else it contains: the server's code.
    Refused(i32),
}

impl BatchDocument {
    /// Returns the index of its resource in the batch.
    pub(crate) const fn resource(self) -> usize {
        match self {
            Self::Row { resource, .. }
            | Self::Archived { resource }
            | Self::Tombstone { resource }
            | Self::Mark { resource } => resource,
        }
    }

    /// Its `_id`.
    pub(crate) fn id(self, batch: &WriteBatch) -> &str {
        match self {
            Self::Row { row, .. } => batch.rows.range(row..row + 1).next().map_or("", |row| row.key()),
            Self::Archived { resource } | Self::Tombstone { resource } => {
                batch.resources.get(resource).map_or("", |resource| &resource.key)
            }
            Self::Mark { .. } => match self.write_of(batch).map(|resource| &resource.fate) {
                Some(Fate::Erased { mark }) => mark,
                _ => "",
            },
        }
    }

    /// Returns the write of its resource.
    pub(crate) fn write_of(self, batch: &WriteBatch) -> Option<&ResourceWrite> {
        batch.resources.get(self.resource())
    }

    /// Writes the document.
    pub(crate) fn encode(self, batch: &WriteBatch, encoder: &mut RowEncoder<'_>, writer: &mut BsonWriter) {
        let Some(resource) = self.write_of(batch) else { return };
        match self {
            Self::Row { row, .. } => {
                if let Some(row) = batch.rows.range(row..row + 1).next() {
                    encoder.row(writer, row, resource);
                }
            }
            Self::Tombstone { .. } | Self::Mark { .. } => records::tombstone(writer, resource),
            Self::Archived { .. } => {
                let text = if let Fate::Archived(text) = &resource.fate { text.as_slice() } else { &[] };
                records::archived(writer, encoder, resource, text);
            }
        }
    }
}

/// Makes an [`ReplacementCommand::Insert`] of each collection.
pub(super) fn inserts(documents: Documents<'_>) -> Vec<ReplacementCommand<'_>> {
    documents.into_iter().map(|(place, documents)| ReplacementCommand::Insert { place, documents }).collect()
}

/// Makes a [`ReplacementCommand::Replace`] of each collection.
pub(super) fn replaces(documents: Documents<'_>) -> Vec<ReplacementCommand<'_>> {
    documents.into_iter().map(|(place, documents)| ReplacementCommand::Replace { place, documents }).collect()
}

/// Makes a [`ReplacementCommand::Versions`] of each collection.
pub(super) fn versions(documents: Documents<'_>) -> Vec<ReplacementCommand<'_>> {
    documents
        .into_iter()
        .map(|(place, documents)| ReplacementCommand::Versions { place, documents })
        .collect()
}

/// Makes a [`ReplacementCommand::Standing`] of each collection.
pub(super) fn standing_in(documents: Documents<'_>) -> Vec<ReplacementCommand<'_>> {
    documents
        .into_iter()
        .map(|(place, documents)| ReplacementCommand::Standing { place, documents })
        .collect()
}
