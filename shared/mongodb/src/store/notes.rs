//! Notes: which tables have ever held rows of a resource type, in the collection `_tables`.

use std::collections::BTreeSet;
use std::sync::{Mutex, PoisonError};
use std::time::Instant;

use bson::{Document as BsonDocument, doc};
use tokio::sync::OnceCell;

use crate::Connection;
use crate::collections::{SIDE_TABLES, TABLES};
use crate::replacement::{KnownTables, NOTES_ARE_CURRENT_FOR, Note, RowKind};
use pipeline::interrupted::Interrupted;

use crate::answers::first_batch;

/// Notes of one answer: each is shorter than a kilobyte, and an answer may have 16 MiB.
const NOTES_OF_AN_ANSWER: i32 = 10_000;

/// What a store knows of notes.
#[derive(Debug, Default)]
pub(super) struct NoteCache {
    /// The notes that certainly exist: none is removed while writers run.
    written: Mutex<BTreeSet<(String, String, RowKind)>>,
    /// All notes, as they were at some moment.
    read: Mutex<Option<(Instant, KnownTables)>>,
    /// The notes of earlier versions of this program.
    earlier: OnceCell<KnownTables>,
}

impl NoteCache {
    /// Returns whether all of these notes stand for certain.
    pub(super) fn all_stand(&self, notes: &[Note<'_>]) -> bool {
        let written = self.written.lock().unwrap_or_else(PoisonError::into_inner);
        notes.iter().all(|note| written.contains(&owned(note)))
    }

    /// Remembers notes that were written.
    pub(super) fn remember(&self, notes: &[Note<'_>]) {
        let mut written = self.written.lock().unwrap_or_else(PoisonError::into_inner);
        written.extend(notes.iter().map(owned));
    }

    /// Reads which tables have ever held rows of some types.
    pub(super) async fn find_tables(
        &self,
        connection: &Connection,
        types: &[&str],
        may_be_remembered: bool,
    ) -> Result<KnownTables, Interrupted> {
        if !may_be_remembered {
            let mut found = self.earlier_notes(connection).await?.only(types);
            read_notes(connection, TABLES, Some(types), &mut found).await?;
            return Ok(found);
        }
        {
            let read = self.read.lock().unwrap_or_else(PoisonError::into_inner);
            let current = read.as_ref().filter(|(at, _)| at.elapsed() < NOTES_ARE_CURRENT_FOR);
            if let Some((_, tables)) = current {
                return Ok(tables.only(types));
            }
        }
        // Before they are read, so that they are never older than they seem.
        let at = Instant::now();
        let mut tables = self.earlier_notes(connection).await?.clone();
        read_notes(connection, TABLES, None, &mut tables).await?;
        let found = tables.only(types);
        *self.read.lock().unwrap_or_else(PoisonError::into_inner) = Some((at, tables));
        Ok(found)
    }

    async fn earlier_notes(&self, connection: &Connection) -> Result<&KnownTables, Interrupted> {
        let read = || async {
            let mut tables = KnownTables::default();
            read_notes(connection, SIDE_TABLES, None, &mut tables).await?;
            Ok(tables)
        };
        self.earlier.get_or_try_init(read).await
    }
}

fn owned(note: &Note<'_>) -> (String, String, RowKind) {
    (note.resource_type.to_owned(), note.table.to_owned(), note.kind)
}

/// Reads the notes of some types or of all, in the order of their `_id`s.
async fn read_notes(
    connection: &Connection,
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
        let answer = connection.answer(&command).await?;
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

fn add(note: &BsonDocument, collection: &str, tables: &mut KnownTables) {
    let (Ok(resource_type), Ok(table)) = (note.get_str("type"), note.get_str("table")) else { return };
    for &kind in RowKind::ALL {
        let is_of_kind = if collection == TABLES {
            note.get_bool(kind.field()).unwrap_or_default()
        } else {
            kind == RowKind::Suffixed
        };
        if is_of_kind {
            tables.add(Note { resource_type, table, kind });
        }
    }
}
