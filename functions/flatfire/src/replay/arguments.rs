//! The arguments of `flatfire replay`.

use clap::Args;
use pipeline::ledger::Load;
use serde_json::{Value, json};

use crate::run_by::RunBy;
use crate::settings::{LoadSettings, OtherCatalogs, Uri};
use crate::status::{LoadKind, status};

/// Load again: whole loads, rejected records, or the messages of a dead-letter queue.
#[derive(Debug, Args)]
#[command(after_help = NOTES)]
pub(crate) struct ReplayArguments {
    /// The database, as `mongodb://host:27017/database`
    #[arg(long, value_name = "URI", env = "MONGODB_URI", hide_env_values = true)]
    #[arg(help_heading = "Database")]
    pub(super) to: Option<Uri>,
    /// The database of archived resources; by default that of the rows with `_archive` behind its name
    #[arg(long, value_name = "DB", env = "ARCHIVE_DATABASE", help_heading = "Database")]
    pub(super) archive: Option<String>,
    #[command(flatten)]
    pub(super) settings: LoadSettings,
    #[command(flatten)]
    pub(super) other_catalogs: OtherCatalogs,
    #[command(flatten)]
    pub(super) run_by: RunBy,
    /// Replay the rejected records alone, each by its exact bytes
    #[arg(long, conflicts_with = "dead_letter")]
    pub(super) rejects: bool,
    /// Replay rejects of this code only
    #[arg(long, requires = "rejects")]
    pub(super) code: Option<String>,
    /// Replay the loads of this status
    #[arg(long, value_parser = status(), conflicts_with_all = ["loads", "dead_letter"])]
    pub(super) status: Option<LoadKind>,
    /// Replay what another version of the program, or other views or settings than those given here, have made
    #[arg(long, conflicts_with_all = ["loads", "status", "rejects", "dead_letter"])]
    pub(super) outdated: bool,
    #[command(flatten)]
    pub(super) form: ReplayForm,
    /// Send the messages of this dead-letter queue back to the function's queue
    #[arg(long, value_name = "QUEUE_URL", conflicts_with = "loads")]
    pub(super) dead_letter: Option<String>,
    /// The function's queue: it gets loads of buckets, and what comes back from the dead-letter queue
    #[arg(long, value_name = "QUEUE_URL", env = "QUEUE_URL")]
    pub(super) queue_url: Option<String>,
    /// Loads, by id or by the key of their object
    #[arg(value_name = "LOAD")]
    pub(super) loads: Vec<String>,
}

/// Whether loads are listed and not replayed, and how that is told.
#[derive(Debug, Clone, Copy, Args)]
pub(super) struct ReplayForm {
    /// Replay nothing: print the loads that would be, one a line
    #[arg(long = "dry-run", id = "dry_run", conflicts_with_all = ["rejects", "dead_letter"])]
    pub(super) is_dry: bool,
    /// Print JSON, an object a line. With --dry-run `load`, `code`, `catalog`, and `by`, which is `here` or `function`; else
    /// a load with its `outcome`, `sent`, `gone` or `in-glacier`; what `load --json` prints, of files; and counts
    #[arg(long = "json")]
    pub(super) is_json: bool,
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

/// Describes a load that would be replayed.
pub(super) fn described(load: &Load) -> Value {
    let by = if load.bucket == "file" { "here" } else { "function" };
    json!({ "load": load.id, "code": load.code, "catalog": load.catalog, "by": by })
}
