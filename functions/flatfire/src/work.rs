//! `flatfire work`: the function without Lambda, for objects that take longer than fifteen minutes and for servers that
//! stand elsewhere.

use std::sync::Arc;
use std::time::Duration;

use clap::Args;
use ingest::worker::{self, Options, Stop};
use ingest::{FunctionSettings, start_log};

use crate::console;

use crate::outcome::Outcome;
use crate::settings::{LoadSettings, Loading, TABLE_VARIABLES, Uri};
use crate::signals::asked_to_end;

/// Load the objects that a queue announces, until it is stopped.
#[derive(Debug, Args)]
#[command(after_help = NOTES)]
pub(crate) struct WorkArguments {
    /// The queue of the notifications
    #[arg(long, value_name = "QUEUE_URL", env = "QUEUE_URL")]
    queue_url: String,
    /// The database, as `mongodb://host:27017/database`; or `MONGODB_SECRET_ARN` names a secret that holds it.
    /// `MONGODB_DATABASE` comes before the name in it
    #[arg(long, value_name = "URI", env = "MONGODB_URI", hide_env_values = true)]
    to: Option<Uri>,
    /// The database of archived resources; by default that of the rows with `_archive` behind its name
    #[arg(long, value_name = "DB", env = "ARCHIVE_DATABASE")]
    archive: Option<String>,
    #[command(flatten)]
    settings: LoadSettings,
    /// Load so many objects at once
    #[arg(long, value_name = "N", default_value_t = 2, value_parser = clap::value_parser!(u16).range(1..=64))]
    concurrency: u16,
    /// How long a message stays hidden from others while its worker does not say that it is alive
    #[arg(long, value_name = "SECONDS", default_value_t = 120, value_parser = clap::value_parser!(u16).range(3..=3600))]
    hidden: u16,
    /// Stop once the queue has no messages, hidden ones included; needs sqs:GetQueueAttributes
    #[arg(long)]
    until_empty: bool,
}

const NOTES: &str = "\
It does what the function does, with the settings of the function: options, or the same variables of the environment (see
\"Settings\" in the README). A load takes as long as it takes. Each message stays
hidden from others while its object is loaded; it is deleted when the rows stand, and comes again when it failed.

SIGTERM and Ctrl-C stop it: no message is taken any more, loads stop at a checkpoint, and others go on there. Of a worker
that is killed, the messages come again after the time of --hidden, and its loads begin again with them.

The log is one line of JSON an object, as the function's.

Exit codes: 0 stopped, 1 failed.";

/// Handles messages until it is stopped.
pub(crate) async fn run(arguments: WorkArguments) -> anyhow::Result<Outcome> {
    let catalog = arguments.settings.catalog()?;
    let Loading { validation, sql_schemas, indexes, policy, .. } = arguments.settings.loading(&catalog);
    let mut given = vec![
        ("QUEUE_URL", Some(arguments.queue_url)),
        ("MONGODB_URI", arguments.to.map(|uri| uri.0)),
        ("ARCHIVE_DATABASE", arguments.archive),
    ];
    // The options have read these, and may have got them from elsewhere.
    given.extend(TABLE_VARIABLES.map(|name| (name, Some(String::new()))));
    let settings = FunctionSettings::from_environment_and(&given)?;
    let settings = settings.with_tables(catalog, validation, sql_schemas, indexes).with_policy(policy);
    start_log(settings.log_level)?;
    let stop = Arc::new(Stop::default());
    let options = Options {
        concurrency: arguments.concurrency.into(),
        hidden: Duration::from_secs(arguments.hidden.into()),
        until_empty: arguments.until_empty,
    };
    let work = worker::run(settings, options, &stop);
    tokio::select! {
        outcome = work => outcome?,
        () = stop_on_signals(&stop) => {}
    }
    Ok(Outcome::Done)
}

/// Asks the worker to stop at the first signal, and returns at the second.
async fn stop_on_signals(stop: &Stop) {
    asked_to_end().await;
    console::line("flatfire: finishing what is under way; ask again to end at once");
    stop.set();
    asked_to_end().await;
}
