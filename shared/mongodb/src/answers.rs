//! Commands that are run as they are, and what their answers say.

use bson::{Bson, Document, RawDocumentBuf};
use pipeline::interrupted::Interrupted;

use crate::Trouble;
use crate::codes::DatabaseFault;
use crate::connection::Connection;
use crate::trouble::write_errors;

/// Runs a command on the database of the rows.
pub(crate) async fn run(connection: &Connection, command: &Document) -> Result<Document, Interrupted> {
    let invalid = |_| Interrupted::Write { code: DatabaseFault::UnwritableEntry.as_str().to_owned() };
    let command = RawDocumentBuf::try_from(command).map_err(invalid)?;
    Ok(connection.run(connection.database(), command).await?)
}

/// Returns the documents of an answer to `find` or `aggregate`.
pub(crate) fn first_batch(mut answer: Document) -> impl Iterator<Item = Document> {
    let found = match answer.remove("cursor") {
        Some(Bson::Document(mut cursor)) => cursor.remove("firstBatch"),
        _ => None,
    };
    let found = if let Some(Bson::Array(found)) = found { found } else { Vec::new() };
    found.into_iter().filter_map(|document| match document {
        Bson::Document(document) => Some(document),
        _ => None,
    })
}

/// Checks that every statement was carried out. A duplicate key means that the document stands.
pub(crate) fn carried_out(answer: &Document) -> Result<(), Trouble> {
    let troubles = write_errors(answer).map(|(_, code)| Trouble::of_code(code));
    troubles.filter(|trouble| *trouble != Trouble::Duplicate).try_for_each(Err)
}

/// Returns whether another writer inserted a document at the same moment.
pub(crate) fn met_duplicates(answer: &Document) -> bool {
    write_errors(answer).any(|(_, code)| Trouble::of_code(code) == Trouble::Duplicate)
}
