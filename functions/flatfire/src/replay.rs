//! `flatfire replay`: what did not work the first time is tried again.

mod arguments;
mod dead_letters;
mod outdated;
mod record;
mod rejects;
mod whole;

pub(crate) use arguments::ReplayArguments;
pub(crate) use dead_letters::failure as queue_failure;
pub(crate) use record::record_bytes;

use std::path::PathBuf;
use std::sync::Arc;

use anyhow::{Context as _, bail};
use pipeline::ledger::Load;
use pipeline::store::Store;
use pipeline::store::admin::RejectFilter;

use crate::console;
use crate::console::unreadable;
use crate::database;
use crate::load::{LoadAgain, load_again};
use crate::other_catalogs;
use crate::outcome::Outcome;
use crate::settings::Destination;

use arguments::described;

const NOTHING_CHOSEN: &str = "say what to replay: loads, --status, --outdated, --rejects or --dead-letter";

/// How many loads of a status are replayed at once.
const MAX_LOADS: u32 = 1_000;

/// Replays what is asked for.
pub(crate) async fn run(arguments: ReplayArguments) -> anyhow::Result<Outcome> {
    if let Some(dead_letter) = &arguments.dead_letter {
        let queue = arguments.queue_url.as_deref();
        return dead_letters::send_back(dead_letter, queue, arguments.form.is_json).await;
    }
    let to = arguments.to.clone().context("--to: say which database the ledger is in")?;
    let catalog = arguments.settings.catalog()?;
    let loading = arguments.settings.loading(&catalog);
    let destination = Destination { to, archive: arguments.archive.clone() };
    let store = destination.connect_to_load(&loading).await?;
    if arguments.outdated {
        return outdated::replay(&arguments, store, catalog).await;
    }
    let loads = chosen(&arguments, &store).await?;
    let is_json = arguments.form.is_json;
    if arguments.form.is_dry {
        return list(loads.as_deref(), is_json);
    }
    let writes_here = arguments.rejects || loads.iter().flatten().any(|load| load.bucket == "file");
    if writes_here {
        other_catalogs::check_tables(&*store, &catalog, arguments.other_catalogs).await?;
    }
    if arguments.rejects {
        let ids = |loads: Vec<Load>| loads.into_iter().map(|load| load.id).collect();
        let filter = RejectFilter { loads: loads.map(ids), code: arguments.code.clone() };
        return rejects::replay(store, catalog, &filter, is_json).await;
    }
    let loads = loads.context(NOTHING_CHOSEN)?;
    let (files, objects): (Vec<Load>, Vec<Load>) = loads.into_iter().partition(|load| load.bucket == "file");
    let mut outcome = whole::send(&objects, &arguments).await?;
    if !files.is_empty() {
        let files: Vec<PathBuf> = files.into_iter().map(|load| PathBuf::from(load.key)).collect();
        let again = LoadAgain { by: arguments.run_by.requester(), is_json };
        outcome = outcome.max(load_again(&files, catalog, store, again).await);
    }
    Ok(outcome)
}

/// Prints what would be replayed.
fn list(loads: Option<&[Load]>, is_json: bool) -> anyhow::Result<Outcome> {
    for load in loads.context(NOTHING_CHOSEN)? {
        if is_json { console::print_json(&described(load))? } else { console::print(&load.id)? }
    }
    Ok(Outcome::Done)
}

/// Returns the loads that the arguments name, or `None` if they name none.
async fn chosen(arguments: &ReplayArguments, store: &Arc<dyn Store>) -> anyhow::Result<Option<Vec<Load>>> {
    if let Some(status) = arguments.status {
        let ledger = database::ledger(store);
        let loads = ledger.list(Some(status.wanted()), MAX_LOADS).await.map_err(unreadable)?;
        return Ok(Some(loads));
    }
    if arguments.loads.is_empty() {
        return Ok(None);
    }
    let mut loads = Vec::new();
    for name in &arguments.loads {
        match crate::input::loads_named(&**store, name).await? {
            found if found.is_empty() => bail!("the ledger knows no load `{name}`"),
            found => loads.extend(found),
        }
    }
    Ok(Some(loads))
}
