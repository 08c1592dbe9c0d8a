//! Parts: the commands of a stage as messages, and the answers to messages as answers to commands.

use std::ops::Range;

use bson::Document as BsonDocument;

use crate::collections::{TABLES, TOMBSTONES};
use crate::encode::RowEncoder;
use crate::replacement::{CommandAnswer, DocumentPlace, Removal, ReplacementCommand, WriteOutcome};
use pipeline::batch::{ResourceWrite, WriteBatch};

use super::chunks::{Chunk, DELETE, INSERT, UPDATE, cut};
use super::statements;
use crate::trouble::{Trouble, write_errors};

/// Keys asked for at once.
pub(super) const KEYS_PER_FIND: usize = 1_000;

/// Part of a command: its place among the commands of a stage, and some of its statements.
pub(super) type Part = (usize, Chunk);

/// Returns all messages of a stage, each encoded when its turn comes.
pub(super) fn parts<'a>(
    commands: &'a [ReplacementCommand<'a>],
    batch: &'a WriteBatch,
) -> Box<dyn Iterator<Item = Part> + Send + 'a> {
    Box::new(commands.iter().enumerate().flat_map(move |(index, command)| parts_of(index, command, batch)))
}

pub(super) fn collection_of(place: DocumentPlace<'_>) -> &str {
    match place {
        DocumentPlace::Table(name) | DocumentPlace::Archive(name) => name,
        DocumentPlace::Tombstones => TOMBSTONES,
    }
}

fn parts_of<'a>(
    index: usize,
    command: &'a ReplacementCommand<'a>,
    batch: &'a WriteBatch,
) -> Box<dyn Iterator<Item = Part> + Send + 'a> {
    let statements = match command {
        ReplacementCommand::Versions { documents, .. }
        | ReplacementCommand::VersionsIn { documents, .. }
        | ReplacementCommand::Standing { documents, .. } => {
            let reads = (0..documents.len()).step_by(KEYS_PER_FIND).map(move |first| {
                let count = KEYS_PER_FIND.min(documents.len() - first);
                (index, Chunk { first, count, body: None })
            });
            return Box::new(reads);
        }
        ReplacementCommand::Insert { documents, .. } | ReplacementCommand::Replace { documents, .. } => {
            documents.len()
        }
        ReplacementCommand::Delete { removals, .. }
        | ReplacementCommand::DeleteIn { removals, .. }
        | ReplacementCommand::DeleteSuffixed { removals, .. } => removals.len(),
        ReplacementCommand::NoteTables { notes } => notes.len(),
        ReplacementCommand::FindTables { .. } => {
            return Box::new(std::iter::once((index, Chunk { first: 0, count: 1, body: None })));
        }
    };
    Box::new(statements_of(command, batch, 0..statements, Guard::Update).map(move |chunk| (index, chunk)))
}

/// Where a replacement compares versions.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Guard {
    /// In the update: quick, but the answer does not say which documents were left as they were.
    Update,
    /// In the query: a document of the same or a newer version is met as a duplicate.
    Query,
}

/// Returns some statements of a command that writes, as messages.
pub(super) fn statements_of<'a>(
    command: &'a ReplacementCommand<'a>,
    batch: &'a WriteBatch,
    range: Range<usize>,
    guard: Guard,
) -> Box<dyn Iterator<Item = Chunk> + Send + 'a> {
    let mut encoder = RowEncoder::new(&batch.names);
    match command {
        ReplacementCommand::Insert { place, documents } => {
            Box::new(cut(INSERT, collection_of(*place), range, move |statement, writer| {
                if let Some(document) = documents.get(statement) {
                    document.encode(batch, &mut encoder, writer);
                }
            }))
        }
        ReplacementCommand::Replace { place, documents } => {
            Box::new(cut(UPDATE, collection_of(*place), range, move |statement, writer| {
                let Some(&document) = documents.get(statement) else { return };
                match guard {
                    Guard::Update => statements::quick_replace(writer, &mut encoder, batch, document),
                    Guard::Query => statements::guarded_replace(writer, &mut encoder, batch, document),
                }
            }))
        }
        ReplacementCommand::Delete { place, removals } => {
            Box::new(cut(DELETE, collection_of(*place), range, move |statement, writer| {
                if let Some((resource, removal)) = removal_of(batch, removals, statement) {
                    statements::removal(writer, resource, removal);
                }
            }))
        }
        ReplacementCommand::DeleteIn { table, removals } => {
            Box::new(cut(DELETE, table, range, move |statement, writer| {
                if let Some((resource, removal)) = removal_of(batch, removals, statement) {
                    statements::removal(writer, resource, removal);
                }
            }))
        }
        ReplacementCommand::DeleteSuffixed { table, removals } => {
            Box::new(cut(DELETE, table, range, move |statement, writer| {
                if let Some((resource, removal)) = removal_of(batch, removals, statement) {
                    statements::removal_of_suffixed(writer, resource, removal);
                }
            }))
        }
        ReplacementCommand::NoteTables { notes } => {
            Box::new(cut(UPDATE, TABLES, range, |statement, writer| {
                if let Some(&note) = notes.get(statement) {
                    statements::note(writer, note);
                }
            }))
        }
        ReplacementCommand::Versions { .. }
        | ReplacementCommand::VersionsIn { .. }
        | ReplacementCommand::Standing { .. }
        | ReplacementCommand::FindTables { .. } => Box::new(std::iter::empty()),
    }
}

fn removal_of<'a>(
    batch: &'a WriteBatch,
    removals: &[Removal],
    statement: usize,
) -> Option<(&'a ResourceWrite, Removal)> {
    let removal = *removals.get(statement)?;
    Some((batch.resources.get(removal.resource)?, removal))
}

/// Returns what became of each document of a message. Those of which the answer says nothing were written.
pub(super) fn write_outcomes(answer: &BsonDocument, count: usize) -> Result<Vec<WriteOutcome>, Trouble> {
    let mut outcomes = vec![WriteOutcome::Done; count];
    for (index, code) in write_errors(answer) {
        let outcome = match Trouble::of_code(code) {
            Trouble::Duplicate => WriteOutcome::Exists,
            Trouble::Document(code) => WriteOutcome::Refused(code),
            trouble => return Err(trouble),
        };
        if let Some(place) = outcomes.get_mut(index) {
            *place = outcome;
        }
    }
    Ok(outcomes)
}

/// Returns whether the answer to an update accounts for every statement: as an error, a change or an insertion.
/// Otherwise some documents were left as they were.
pub(super) fn accounts_for_all(answer: &BsonDocument, count: usize) -> bool {
    let modified = usize::try_from(answer.get_i32("nModified").unwrap_or_default()).unwrap_or_default();
    let inserted = answer.get_array("upserted").map_or(0, Vec::len);
    write_errors(answer).count() + modified + inserted == count
}

pub(super) fn unanswered(command: &ReplacementCommand<'_>) -> CommandAnswer {
    match command {
        ReplacementCommand::Insert { documents, .. } | ReplacementCommand::Replace { documents, .. } => {
            CommandAnswer::Written(vec![WriteOutcome::Done; documents.len()])
        }
        ReplacementCommand::Versions { documents, .. } | ReplacementCommand::VersionsIn { documents, .. } => {
            CommandAnswer::Versions(vec![None; documents.len()])
        }
        ReplacementCommand::Standing { documents, .. } => CommandAnswer::Found(vec![None; documents.len()]),
        ReplacementCommand::Delete { .. }
        | ReplacementCommand::DeleteIn { .. }
        | ReplacementCommand::DeleteSuffixed { .. }
        | ReplacementCommand::NoteTables { .. }
        | ReplacementCommand::FindTables { .. } => CommandAnswer::Done,
    }
}

/// Enters the answer to some statements into the answer to all.
pub(super) fn enter(whole: &mut CommandAnswer, first: usize, part: CommandAnswer) {
    match (whole, part) {
        (CommandAnswer::Written(whole), CommandAnswer::Written(part)) => {
            whole.iter_mut().skip(first).zip(part).for_each(|(place, outcome)| *place = outcome);
        }
        (CommandAnswer::Versions(whole), CommandAnswer::Versions(part)) => {
            whole.iter_mut().skip(first).zip(part).for_each(|(place, version)| *place = version);
        }
        (CommandAnswer::Found(whole), CommandAnswer::Found(part)) => {
            whole.iter_mut().skip(first).zip(part).for_each(|(place, found)| *place = found);
        }
        (whole, CommandAnswer::Tables(found)) => *whole = CommandAnswer::Tables(found),
        _ => {}
    }
}
