//! The way back: an archived resource becomes rows, with the key and the provenance that it had.

use std::sync::Arc;

use clap::Args;
use flatten::catalog::Catalog;
use mongodb::bson::{Document, doc};
use pipeline::assemble::{Assembler, BatchLimits};
use pipeline::batch::{Fate, WriteBatch};
use pipeline::decode::{Frame, Place};
use pipeline::object::ObjectRef;
use pipeline::sink::Sink as _;
use pipeline::sink::mongodb::MongoSink;

use crate::console;
use crate::database::{Database, DatabaseError, archived_text};
use crate::origin;
use crate::outcome::Outcome;
use crate::settings::{Destination, Flattening};

/// Put archived resources back into the tables.
#[derive(Debug, Args)]
#[command(after_help = "Exit codes: 0 all of them are rows now, 1 some are not.")]
pub(super) struct Restore {
    #[command(flatten)]
    flattening: Flattening,
    #[command(flatten)]
    destination: Destination,
    /// The resources, as `AuditEvent/123`
    #[arg(required = true, value_name = "TYPE/ID")]
    keys: Vec<String>,
}

/// Behind every sequencer of S3, so that what comes back is newer than the same version in the archive, and older than
/// any that was updated later.
const LAST_SEQUENCER: &str = "FFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFF";

/// Restores resource by resource; one that cannot be restored stays where it is.
pub(super) async fn run(arguments: Restore) -> anyhow::Result<Outcome> {
    let catalog = arguments.flattening.catalog(None)?;
    let database = arguments.destination.connect().await?;
    let sink = MongoSink::new(database.connection.clone(), database.archive.name());
    let mut outcome = Outcome::Done;
    for key in &arguments.keys {
        match restore(&database, &sink, &catalog, key).await? {
            Ok(rows) => console::print(&format!("{key}: restored; {rows} rows"))?,
            Err(reason) => {
                console::line(&format!("flatfire: {key}: {reason}"));
                outcome = Outcome::Failed;
            }
        }
    }
    Ok(outcome)
}

/// The number of rows, or why there are none.
async fn restore(
    database: &Database,
    sink: &MongoSink,
    catalog: &Arc<Catalog>,
    key: &str,
) -> anyhow::Result<Result<u64, &'static str>> {
    let Some(archived) = database.archived(key).await? else { return Ok(Err("not in the archive")) };
    let Some(batch) = archived_text(&archived).and_then(|text| batch(&archived, &text, catalog)) else {
        return Ok(Err("the archive holds it in a form that this version does not read"));
    };
    match batch.resources.first().map(|resource| &resource.fate) {
        Some(Fate::Rows(_)) => {}
        Some(Fate::Archived(_)) => {
            return Ok(Err("it is inactive by the settings, or of a type that FHIR does not have"));
        }
        Some(Fate::Deleted) | None => return Ok(Err("it is rejected by the settings; see --checks")),
    }
    let written = sink.write(batch).await;
    let written = written.map_err(|error| anyhow::Error::msg(console::explained(&error)))?;
    if written.loaded == 0 {
        return Ok(Err("a newer version of it stands in the tables, or was deleted"));
    }
    // Where no table had taken its type before, there is no tombstone that would have led the sink to it.
    let version = archived.get_str("_version").unwrap_or_default();
    database
        .archive_of(key)
        .delete_one(doc! { "_id": key, "_version": version })
        .await
        .map_err(DatabaseError::from)?;
    Ok(Ok(written.rows))
}

/// What the line makes of the resource, standing where it stood.
fn batch(archived: &Document, text: &[u8], catalog: &Arc<Catalog>) -> Option<WriteBatch> {
    let source = archived.get_document("_source").ok()?;
    let number = |name| source.get_i64(name).ok().and_then(|number| u64::try_from(number).ok());
    let created = origin::nanoseconds(archived.get_str("_version").ok()?)? / 1_000_000;
    let object = ObjectRef {
        sequencer: Some(LAST_SEQUENCER.to_owned()),
        ..origin::object(source, archived.get_str("_load").ok()?, i64::try_from(created).ok()?)?
    };
    let (ordinal, offset, length) = (number("ordinal")?, number("offset")?, number("length")?);
    let mut assembler = Assembler::new(Arc::new(object), Arc::clone(catalog), BatchLimits::default());
    assembler.take(&Frame::Resource { place: Place { ordinal, offset, length, line: 1 }, bytes: text });
    assembler.take_batch()
}
