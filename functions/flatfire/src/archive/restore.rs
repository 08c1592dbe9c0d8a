//! The way back: an archived resource becomes rows, with the key and the provenance that it had.

use std::sync::Arc;

use clap::Args;
use flatten::catalog::Catalog;
use flatten::dictionary::Dictionary;
use mongodb::bson::{Document, doc};
use pipeline::assemble::{Assembler, BatchLimits};
use pipeline::batch::{Fate, Reason, Reject, WriteBatch};
use pipeline::decode::Place;
use pipeline::object::ObjectRef;
use pipeline::sink::Sink as _;
use pipeline::sink::mongodb::MongoSink;

use crate::console;
use crate::database::{Database, DatabaseError, archived_text};
use crate::dictionary::{self, Apart};
use crate::needs_bundle;
use crate::origin;
use crate::outcome::Outcome;
use crate::reject;
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
) -> anyhow::Result<Result<u64, String>> {
    let Some(archived) = database.archived(key).await? else {
        return Ok(Err("not in the archive".to_owned()));
    };
    let made = archived_text(&archived)
        .and_then(|text| Some((made(&archived, key, &text, catalog)?, needs_bundle::refers_by_urn(&text))));
    let Some((Made { batch, columns, ordinal }, refers_by_urn)) = made else {
        return Ok(Err("the archive holds it in a form that this version does not read".to_owned()));
    };
    if let Some(reject) = batch.rejects.iter().find(|reject| is_whole(reject)) {
        return Ok(Err(format!("it is rejected: {}", reject::reason(&reject.reason))));
    }
    match batch.resources.first().map(|resource| &resource.fate) {
        Some(Fate::Rows(_)) => {}
        Some(Fate::Archived(_) | Fate::Deleted) | None => {
            let reason = "it is inactive by the settings, or of a type that FHIR does not have";
            return Ok(Err(reason.to_owned()));
        }
    }
    let load = archived.get_str("_load").unwrap_or_default();
    let written = sink.write(batch).await;
    let written = written.map_err(|error| anyhow::Error::msg(console::explained(&error)))?;
    if written.rejected > 0 {
        let codes: Vec<_> = written.codes.into_keys().collect();
        return Ok(Err(format!("it is rejected: {}", codes.join(", "))));
    }
    if written.loaded == 0 {
        return Ok(Err("a newer version of it stands in the tables, or was deleted".to_owned()));
    }
    dictionary::fill(database, load, Apart::Restored, ordinal, &columns).await?;
    // Where no table had taken its type before, there is no tombstone that would have led the sink to it.
    let version = archived.get_str("_version").unwrap_or_default();
    database
        .archive_of(key)
        .delete_one(doc! { "_id": key, "_version": version })
        .await
        .map_err(DatabaseError::from)?;
    if refers_by_urn {
        console::line(&format!(
            "flatfire: {key}: it refers to others by urn, which only its Bundle tells the keys of; to have them, run \
             `flatfire replay '{load}'` with its type active"
        ));
    }
    Ok(Ok(written.rows))
}

/// Those of a view leave the resource as it is.
const fn is_whole(reject: &Reject) -> bool {
    !matches!(reject.reason, Reason::Defect { view: Some(_), .. })
}

/// A resource on its way back.
struct Made {
    batch: WriteBatch,
    columns: Dictionary,
    ordinal: u64,
}

/// What the line makes of the resource, under the key that it had and standing where it stood.
fn made(archived: &Document, key: &str, text: &[u8], catalog: &Arc<Catalog>) -> Option<Made> {
    let source = archived.get_document("_source").ok()?;
    let number = |name| source.get_i64(name).ok().and_then(|number| u64::try_from(number).ok());
    let created = origin::nanoseconds(archived.get_str("_version").ok()?)? / 1_000_000;
    let object = ObjectRef {
        sequencer: Some(LAST_SEQUENCER.to_owned()),
        ..origin::object(source, archived.get_str("_load").ok()?, i64::try_from(created).ok()?)?
    };
    let (ordinal, offset, length) = (number("ordinal")?, number("offset")?, number("length")?);
    let mut assembler = Assembler::new(Arc::new(object), Arc::clone(catalog), BatchLimits::default());
    assembler.take_alone(Place { ordinal, offset, length, line: 1 }, key, text);
    let batch = assembler.take_batch()?;
    Some(Made { batch, columns: assembler.take_dictionary(), ordinal })
}
