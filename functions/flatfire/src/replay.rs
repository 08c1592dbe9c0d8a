//! `flatfire replay`: what did not work the first time is tried again.

mod dead_letters;
mod outdated;
mod record;
mod rejects;
mod whole;

pub(crate) use dead_letters::failure as queue_failure;
pub(crate) use record::record_bytes;

use std::path::PathBuf;
use std::sync::Arc;

use anyhow::{Context as _, bail};
use clap::Args;
use pipeline::ledger::Load;
use pipeline::store::Store;
use pipeline::store::admin::RejectFilter;
use serde_json::{Value, json};

use crate::console;
use crate::console::unreadable;
use crate::database;
use crate::other_catalogs;
use crate::outcome::Outcome;
use crate::run_by::RunBy;
use crate::settings::{Destination, LoadSettings, OtherCatalogs, Uri};
use crate::status::{LoadKind, status};

/// Load again: whole loads, rejected records, or the messages of a dead-letter queue.
#[derive(Debug, Args)]
#[command(after_help = NOTES)]
pub(crate) struct ReplayArguments {
    /// The database, as `mongodb://host:27017/database`
    #[arg(long, value_name = "URI", env = "MONGODB_URI", hide_env_values = true)]
    #[arg(help_heading = "Database")]
    to: Option<Uri>,
    /// The database of archived resources; by default that of the rows with `_archive` behind its name
    #[arg(long, value_name = "DB", env = "ARCHIVE_DATABASE", help_heading = "Database")]
    archive: Option<String>,
    #[command(flatten)]
    settings: LoadSettings,
    #[command(flatten)]
    other_catalogs: OtherCatalogs,
    #[command(flatten)]
    run_by: RunBy,
    /// Replay the rejected records alone, each by its exact bytes
    #[arg(long, conflicts_with = "dead_letter")]
    rejects: bool,
    /// Replay rejects of this code only
    #[arg(long, requires = "rejects")]
    code: Option<String>,
    /// Replay the loads of this status
    #[arg(long, value_parser = status(), conflicts_with_all = ["loads", "dead_letter"])]
    status: Option<LoadKind>,
    /// Replay what another version of the program, or other views or settings than those given here, have made
    #[arg(long, conflicts_with_all = ["loads", "status", "rejects", "dead_letter"])]
    outdated: bool,
    #[command(flatten)]
    dry_run: DryRun,
    /// Send the messages of this dead-letter queue back to the function's queue
    #[arg(long, value_name = "QUEUE_URL", conflicts_with = "loads")]
    dead_letter: Option<String>,
    /// The function's queue: it gets loads of buckets, and what comes back from the dead-letter queue
    #[arg(long, value_name = "QUEUE_URL", env = "QUEUE_URL")]
    queue_url: Option<String>,
    /// Loads, by id or by the key of their object
    #[arg(value_name = "LOAD")]
    loads: Vec<String>,
}

/// Whether loads are listed and not replayed, and how.
#[derive(Debug, Args)]
struct DryRun {
    /// Replay nothing: print the loads that would be, one a line
    #[arg(long = "dry-run", id = "dry_run", conflicts_with_all = ["rejects", "dead_letter"])]
    is_chosen: bool,
    /// Print JSON, an object a line: `load`, `code`, `catalog`, and `by`, which is `here` or `function`
    #[arg(long = "json", requires = "dry_run")]
    is_json: bool,
}

const NOTES: &str = "\
Whole loads: those of files are loaded here, those of buckets by the function, which gets a message for each. Rows are
made anew where the program, views or settings have changed since; else a replay fills gaps.

Outdated loads (--outdated) are what a changed view, setting or program asks for: give this command the settings that the
function has now. It may be stopped and run again; what is made anew by then is not outdated. Loads of a newer program
are left. `--dry-run` lists what would be replayed, and by whom it was made.

Rejected records (--rejects) are read again by their exact bytes, flattened with the settings given here, and written;
their rejects go away. The ledger keeps what the load met. A record that refers to others by urn, or has no id, needs
its Bundle around it: replay the whole load.

Credentials and region of AWS are found where the AWS command line finds them.

Exit codes: 0 done, 2 partial (something is still rejected, or with --outdated gone, changed or in Glacier), 1 failed.";

const NOTHING_CHOSEN: &str = "say what to replay: loads, --status, --outdated, --rejects or --dead-letter";

/// How many loads of a status are replayed at once.
const MAX_LOADS: u32 = 1_000;

/// Replays what is asked for.
pub(crate) async fn run(arguments: ReplayArguments) -> anyhow::Result<Outcome> {
    if let Some(dead_letter) = &arguments.dead_letter {
        return dead_letters::send_back(dead_letter, arguments.queue_url.as_deref()).await;
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
    if arguments.dry_run.is_chosen {
        return list(loads.as_deref(), arguments.dry_run.is_json);
    }
    let writes_here = arguments.rejects || loads.iter().flatten().any(|load| load.bucket == "file");
    if writes_here {
        other_catalogs::check_tables(&*store, &catalog, arguments.other_catalogs).await?;
    }
    if arguments.rejects {
        let ids = |loads: Vec<Load>| loads.into_iter().map(|load| load.id).collect();
        let filter = RejectFilter { loads: loads.map(ids), code: arguments.code.clone() };
        return rejects::replay(store, catalog, &filter).await;
    }
    let loads = loads.context(NOTHING_CHOSEN)?;
    let (files, objects): (Vec<Load>, Vec<Load>) = loads.into_iter().partition(|load| load.bucket == "file");
    let by = arguments.run_by.requester();
    let mut outcome = whole::send(&objects, arguments.queue_url.as_deref(), by.as_ref()).await?;
    if !files.is_empty() {
        let files: Vec<PathBuf> = files.into_iter().map(|load| PathBuf::from(load.key)).collect();
        outcome = outcome.max(crate::load::load_again(&files, catalog, store, by).await);
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

/// Describes a load that would be replayed.
fn described(load: &Load) -> Value {
    let by = if load.bucket == "file" { "here" } else { "function" };
    json!({ "load": load.id, "code": load.code, "catalog": load.catalog, "by": by })
}

/// The loads that the arguments name; `None`: none in particular.
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
