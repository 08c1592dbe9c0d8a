//! Notes: which tables have ever held rows of a resource type, in the collection `_tables`.

use std::collections::BTreeSet;
use std::sync::{Mutex, PoisonError};
use std::time::Instant;

use bson::{Document as BsonDocument, RawDocumentBuf, doc};
use tokio::sync::OnceCell;

use crate::replacement::{DocumentPlace, KnownTables, NOTES_ARE_CURRENT_FOR, Note, RowKind};
use pipeline::interrupted::Interrupted;

use super::MongoStore;
use super::chunks::Chunk;
use crate::answers::first_batch;
use crate::trouble::Trouble;

/// `{_id: "Patient/patient", type, table}`, and `true` for each [kind](RowKind::field) of rows.
pub(super) const TABLES: &str = "_tables";
/// What earlier versions of this program kept instead: tables of rows aside of the key alone.
const TABLES_OF_EARLIER_VERSIONS: &str = "_side_tables";
/// Notes of one answer: each is shorter than a kilobyte, and an answer may have 16 MiB.
const NOTES_OF_AN_ANSWER: i32 = 10_000;

/// What a store knows of notes.
#[derive(Debug, Default)]
pub(super) struct NoteCache {
    /// What stands for certain: notes never go away while somebody writes.
    written: Mutex<BTreeSet<(String, String, RowKind)>>,
    /// All notes, as they were at some moment.
    read: Mutex<Option<(Instant, KnownTables)>>,
    /// The notes of earlier versions of this program.
    earlier: OnceCell<KnownTables>,
}

impl MongoStore {
    pub(super) async fn note_tables(&self, notes: &[Note<'_>], chunk: Chunk) -> Result<(), Interrupted> {
        let owned = |note: &Note<'_>| (note.resource_type.to_owned(), note.table.to_owned(), note.kind);
        let all_stand = {
            let written = self.notes.written.lock().unwrap_or_else(PoisonError::into_inner);
            notes.iter().all(|note| written.contains(&owned(note)))
        };
        if !all_stand {
            self.carry_out(DocumentPlace::Table(TABLES), chunk).await?;
            let mut written = self.notes.written.lock().unwrap_or_else(PoisonError::into_inner);
            written.extend(notes.iter().map(owned));
        }
        Ok(())
    }

    /// Reads which tables have ever held rows of some types.
    pub(super) async fn find_tables(
        &self,
        types: &[&str],
        may_be_remembered: bool,
    ) -> Result<KnownTables, Interrupted> {
        if !may_be_remembered {
            let mut found = self.earlier_notes().await?.only(types);
            self.read_notes(TABLES, Some(types), &mut found).await?;
            return Ok(found);
        }
        {
            let read = self.notes.read.lock().unwrap_or_else(PoisonError::into_inner);
            let current = read.as_ref().filter(|(at, _)| at.elapsed() < NOTES_ARE_CURRENT_FOR);
            if let Some((_, tables)) = current {
                return Ok(tables.only(types));
            }
        }
        // Before they are read, so that they are never older than they seem.
        let at = Instant::now();
        let mut tables = self.earlier_notes().await?.clone();
        self.read_notes(TABLES, None, &mut tables).await?;
        let found = tables.only(types);
        *self.notes.read.lock().unwrap_or_else(PoisonError::into_inner) = Some((at, tables));
        Ok(found)
    }

    async fn earlier_notes(&self) -> Result<&KnownTables, Interrupted> {
        let read = || async {
            let mut tables = KnownTables::default();
            self.read_notes(TABLES_OF_EARLIER_VERSIONS, None, &mut tables).await?;
            Ok(tables)
        };
        self.notes.earlier.get_or_try_init(read).await
    }

    /// Reads the notes of some types or of all, in the order of their `_id`s.
    async fn read_notes(
        &self,
        collection: &str,
        types: Option<&[&str]>,
        tables: &mut KnownTables,
    ) -> Result<(), Interrupted> {
        let mut after = String::new();
        loop {
            let mut filter = doc! { "_id": { "$gt": &after } };
            if let Some(types) = types {
                filter.insert("type", doc! { "$in": types });
            }
            let command = doc! {
                "find": collection, "filter": filter, "sort": { "_id": 1 },
                "limit": NOTES_OF_AN_ANSWER, "batchSize": NOTES_OF_AN_ANSWER, "singleBatch": true,
            };
            let command = RawDocumentBuf::try_from(&command).map_err(|_| Trouble::Document(0))?;
            let answer = self.connection.run(self.connection.database(), command).await?;
            let (mut count, mut last) = (0, None);
            for note in first_batch(answer) {
                add(&note, collection, tables);
                count += 1;
                last = note.get_str("_id").ok().map(str::to_owned);
            }
            match last {
                Some(last) if count == NOTES_OF_AN_ANSWER => after = last,
                _ => return Ok(()),
            }
        }
    }
}

fn add(note: &BsonDocument, collection: &str, tables: &mut KnownTables) {
    let (Ok(resource_type), Ok(table)) = (note.get_str("type"), note.get_str("table")) else { return };
    for kind in RowKind::ALL {
        let is_of_kind = if collection == TABLES {
            note.get_bool(kind.field()).unwrap_or_default()
        } else {
            kind == RowKind::Aside
        };
        if is_of_kind {
            tables.add(Note { resource_type, table, kind });
        }
    }
}
