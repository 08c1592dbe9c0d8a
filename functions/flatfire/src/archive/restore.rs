//! The way back: an archived resource becomes rows, with the key and the provenance that it had.

use std::sync::Arc;

use clap::Args;
use flatten::catalog::Catalog;
use flatten::dictionary::Dictionary;
use pipeline::assemble::{Assembler, BatchLimits};
use pipeline::batch::{Fate, Reason, Reject, WriteBatch};
use pipeline::decode::FramePlace;
use pipeline::ledger::Ledger;
use pipeline::object::ObjectRef;
use pipeline::store::Store;
use pipeline::store::admin::ArchivedResource;
use pipeline::store::standing::StoredSource;
use pipeline::version::Version;
use serde_json::json;

use crate::console;
use crate::console::unreadable;
use crate::database;
use crate::dictionary::{self, SingleResource};
use crate::kept_out;
use crate::load::tell_missing_indexes;
use crate::needs_bundle;
use crate::origin;
use crate::other_catalogs;
use crate::outcome::Outcome;
use crate::reject;
use crate::settings::{Destination, LoadSettings, OtherCatalogs};

/// Put archived resources back into the tables.
#[derive(Debug, Args)]
#[command(after_help = "Exit codes: 0 all of them are rows now, 1 some are not.")]
pub(super) struct Restore {
    #[command(flatten)]
    settings: LoadSettings,
    #[command(flatten)]
    destination: Destination,
    #[command(flatten)]
    other_catalogs: OtherCatalogs,
    /// Print JSON, an object a line: `resource`, and `rows` or the `reason` why it has none
    #[arg(long)]
    json: bool,
    /// The resources, as `AuditEvent/123`
    #[arg(required = true, value_name = "TYPE/ID")]
    keys: Vec<String>,
}

/// Restores resource by resource; one that cannot be restored stays where it is.
pub(super) async fn run(arguments: Restore) -> anyhow::Result<Outcome> {
    let catalog = arguments.settings.catalog()?;
    let store = arguments.destination.connect_to_load(&arguments.settings.loading(&catalog)).await?;
    other_catalogs::check_tables(&*store, &catalog, arguments.other_catalogs).await?;
    let mut outcome = Outcome::Done;
    for key in &arguments.keys {
        match restore(&store, &catalog, key).await? {
            Ok(rows) if arguments.json => console::print_json(&json!({ "resource": key, "rows": rows }))?,
            Ok(rows) => console::print(&format!("{key}: restored; {rows} rows"))?,
            Err(reason) => {
                if arguments.json {
                    console::print_json(&json!({ "resource": key, "reason": reason }))?;
                } else {
                    console::line(&format!("flatfire: {key}: {reason}"));
                }
                outcome = Outcome::Failed;
            }
        }
    }
    tell_missing_indexes(&*store);
    Ok(outcome)
}

/// Restores one resource. Returns the number of its rows, or why it has none.
async fn restore(
    store: &Arc<dyn Store>,
    catalog: &Arc<Catalog>,
    key: &str,
) -> anyhow::Result<Result<u64, String>> {
    let Some(archived) = store.find_archived(key).await? else {
        return Ok(Err("not in the archive".to_owned()));
    };
    let ledger = database::ledger(store);
    let origin = origin(&ledger, &archived).await?;
    let made = archived.text.as_ref().zip(origin).and_then(|(text, origin)| {
        Some((made(&archived, text, origin, catalog)?, needs_bundle::refers_by_urn(text)))
    });
    let Some((Made { batch, columns, offset }, refers_by_urn)) = made else {
        return Ok(Err("the archive holds it in a form that this version does not read".to_owned()));
    };
    if let Some(reject) = batch.rejects.iter().find(|reject| is_whole(reject)) {
        return Ok(Err(format!("it is rejected: {}", reject::reason(&reject.reason))));
    }
    match batch.resources.first().map(|resource| &resource.fate) {
        Some(Fate::Rows(_)) => {}
        Some(Fate::Archived(_) | Fate::Deleted | Fate::Erased { .. }) | None => {
            let reason =
                "it is inactive by the settings, or of a type that neither FHIR nor --resource-types has";
            return Ok(Err(reason.to_owned()));
        }
    }
    let written = store.write(batch).await;
    let written = written.map_err(|error| anyhow::Error::msg(console::explained(&error)))?;
    if written.rejected > 0 {
        let codes: Vec<_> = written.codes.into_keys().collect();
        return Ok(Err(format!("it is rejected: {}", codes.join(", "))));
    }
    if written.superseded > 0
        && let Some(reason) = kept_out::reason(&**store, key).await?
    {
        return Ok(Err(reason));
    }
    if written.loaded == 0 {
        return Ok(Err("a newer version of it stands in the tables, or was deleted".to_owned()));
    }
    dictionary::fill(&ledger, &archived.load, SingleResource::Restored { offset }, &columns).await?;
    // Where no table had taken its type before, there is no tombstone that would have led the store to it.
    store.remove_archived(&archived).await?;
    if refers_by_urn {
        console::line(&format!(
            "flatfire: {key}: it refers to others by urn, which only its Bundle tells the keys of; to have them, run \
             `flatfire replay '{}'` with its type active",
            archived.load
        ));
    }
    Ok(Ok(written.rows))
}

/// Returns whether a reject is of the whole resource: those of a view leave the resource as it is.
const fn is_whole(reject: &Reject) -> bool {
    !matches!(reject.reason, Reason::Defect { view: Some(_), .. })
}

/// A resource on its way back.
struct Made {
    batch: WriteBatch,
    columns: Dictionary,
    offset: u64,
}

/// Returns the object that it came in, and an edition of its load above that of the archived form, so that a replay of
/// the load makes it anew like all others. Where the ledger has forgotten the load, the next edition serves.
async fn origin(ledger: &Ledger, archived: &ArchivedResource) -> anyhow::Result<Option<(ObjectRef, u32)>> {
    let (load, version) = (archived.load.as_str(), archived.version.as_str());
    let known = ledger.find(load).await.map_err(unreadable)?;
    if let Some(object) = known.as_ref().and_then(origin::object_of) {
        let edition = ledger.raise_edition(load, Version::edition(version)).await.map_err(unreadable)?;
        return Ok(edition.map(|edition| (object, edition)));
    }
    let forgotten = || {
        let by_version = || i64::try_from(origin::nanoseconds(version)? / 1_000_000).ok();
        let created = archived.created.or_else(by_version)?;
        let object = origin::object(archived.source.as_ref()?, load, created)?;
        Some((object, Version::edition(version) + 1))
    };
    Ok(forgotten())
}

/// Returns what the pipeline makes of the resource, under the key that it had and standing where it stood.
fn made(
    archived: &ArchivedResource,
    text: &[u8],
    (object, edition): (ObjectRef, u32),
    catalog: &Arc<Catalog>,
) -> Option<Made> {
    let &StoredSource { ordinal, offset, length, .. } = archived.source.as_ref()?;
    let assembler =
        Assembler::new(Arc::new(object), Arc::clone(catalog), BatchLimits::default()).in_edition(edition);
    let mut assembler = assembler.with_version(Some(Version::from_token(&archived.version)));
    assembler.add_single(FramePlace { ordinal, offset, length, line: 1 }, &archived.key, text);
    let batch = assembler.take_batch()?;
    Some(Made { batch, columns: assembler.take_dictionary(), offset })
}
