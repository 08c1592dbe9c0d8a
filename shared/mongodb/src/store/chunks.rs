//! Chunks: commands cut into messages that the server takes, encoded one at a time as they are sent.

use bson::RawDocumentBuf;

use crate::encode::BsonWriter;

/// A message is closed once it has grown to this.
const CHUNK_BYTES: usize = 4 << 20;
/// More statements than this make the driver and the server slower, not faster.
const CHUNK_STATEMENTS: usize = 1_000;
/// The server's limit of a document (MongoDB manual, "MongoDB Limits and Thresholds").
const MAX_DOCUMENT_BYTES: usize = 16 << 20;
/// A command is a document that may be 16 KiB longer than others.
const MAX_COMMAND_BYTES: usize = MAX_DOCUMENT_BYTES + (16 << 10);
/// What the driver adds to a command: session, cluster time, database.
const DRIVER_BYTES: usize = 2 << 10;
/// How long the server waits for a majority before it says that it does not know.
const MAJORITY_WITHIN_MS: i32 = 20_000;

/// A command of several statements.
#[derive(Debug, Clone, Copy)]
pub(super) struct Verb {
    name: &'static str,
    statements: &'static str,
}

pub(super) const INSERT: Verb = Verb { name: "insert", statements: "documents" };
pub(super) const UPDATE: Verb = Verb { name: "update", statements: "updates" };
pub(super) const DELETE: Verb = Verb { name: "delete", statements: "deletes" };

/// Some of a command's statements.
#[derive(Debug)]
pub(super) struct Chunk {
    /// The first of them.
    pub(super) first: usize,
    /// How many.
    pub(super) count: usize,
    /// The command; `None` for a single statement that is larger than the server takes.
    pub(super) body: Option<RawDocumentBuf>,
}

/// Cuts the statements `range` of a command. `encode` writes one statement as a document.
pub(super) fn cut<'a>(
    verb: Verb,
    collection: &'a str,
    range: std::ops::Range<usize>,
    mut encode: impl FnMut(usize, &mut BsonWriter) + Send + 'a,
) -> impl Iterator<Item = Chunk> + Send + 'a {
    let mut next = range.start;
    std::iter::from_fn(move || {
        (next < range.end).then(|| {
            let chunk = one(verb, collection, next..range.end, &mut encode);
            next += chunk.count;
            chunk
        })
    })
}

fn one(
    verb: Verb,
    collection: &str,
    range: std::ops::Range<usize>,
    encode: &mut impl FnMut(usize, &mut BsonWriter),
) -> Chunk {
    let mut writer = BsonWriter::default();
    let command = writer.open();
    head(&mut writer, verb, collection);
    let statements = writer.open_array(verb.statements);
    let first = range.start;
    let mut count = 0;
    for statement in range.take(CHUNK_STATEMENTS) {
        let before = writer.len();
        writer.document_item(count);
        encode(statement, &mut writer);
        if writer.len() + DRIVER_BYTES > MAX_COMMAND_BYTES {
            writer.truncate(before);
            break;
        }
        count += 1;
        if writer.len() > CHUNK_BYTES {
            break;
        }
    }
    if count == 0 {
        return Chunk { first, count: 1, body: None };
    }
    writer.close(statements);
    writer.close(command);
    Chunk { first, count, body: RawDocumentBuf::from_bytes(writer.into_bytes()).ok() }
}

fn head(writer: &mut BsonWriter, verb: Verb, collection: &str) {
    writer.text(verb.name, collection);
    writer.boolean("ordered", false);
    let concern = writer.open_document("writeConcern");
    writer.text("w", "majority");
    writer.int32("wtimeout", MAJORITY_WITHIN_MS);
    writer.close(concern);
}

#[cfg(test)]
mod tests {
    use super::{BsonWriter, CHUNK_BYTES, Chunk, INSERT, cut};

    fn chunks(sizes: &[usize]) -> Vec<Chunk> {
        let encode = |index: usize, writer: &mut BsonWriter| {
            let document = writer.open();
            writer.binary("x", &vec![0; sizes[index]]);
            writer.close(document);
        };
        cut(INSERT, "c", 0..sizes.len(), encode).collect()
    }

    fn shape(sizes: &[usize]) -> Vec<(usize, usize, bool)> {
        chunks(sizes).into_iter().map(|chunk| (chunk.first, chunk.count, chunk.body.is_some())).collect()
    }

    #[test]
    fn chunks_are_bounded_in_number_and_bytes() {
        assert_eq!(shape(&[]), []);
        assert_eq!(shape(&[10; 2_001]), [(0, 1_000, true), (1_000, 1_000, true), (2_000, 1, true)]);
        assert_eq!(shape(&[CHUNK_BYTES, 1, 1]), [(0, 1, true), (1, 2, true)]);
    }

    #[test]
    fn a_document_that_no_message_takes_stands_alone_without_one() {
        let huge = 17 << 20;
        assert_eq!(shape(&[1, huge, 1]), [(0, 1, true), (1, 1, false), (2, 1, true)]);
        let large = 15 << 20;
        assert_eq!(shape(&[3 << 20, large, large]), [(0, 1, true), (1, 1, true), (2, 1, true)]);
    }

    #[test]
    fn a_chunk_is_a_whole_command() {
        let body = chunks(&[1, 2]).remove(0).body.unwrap();
        let command = bson::Document::try_from(&body).unwrap();
        assert_eq!(command.get_str("insert").unwrap(), "c");
        assert!(!command.get_bool("ordered").unwrap());
        assert_eq!(command.get_document("writeConcern").unwrap().get_str("w").unwrap(), "majority");
        assert_eq!(command.get_array("documents").unwrap().len(), 2);
    }
}
