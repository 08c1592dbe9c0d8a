//! `flatfire status`: what the ledger knows of loads.

mod explained;
mod json;
mod list;
mod page;
mod queues;

use clap::Args;
use clap::builder::{PossibleValuesParser, TypedValueParser};
use pipeline::ledger::{self, Load, LoadFilter};
use pipeline::store::Store;
use pipeline::store::overview::{KeyPattern, LoadPeriod};
use process::milliseconds_now;

use crate::console;
use crate::exports::{self, ExportForm, ExportOptions};
use crate::listing;
use crate::outcome::Outcome;
use crate::settings::Destination;
use queues::Queues;

/// Show how loading goes and the latest loads, or explain one.
#[derive(Debug, Args)]
#[command(after_help = NOTES)]
pub(crate) struct StatusArguments {
    #[command(flatten)]
    destination: Destination,
    /// Show loads of this status only
    #[arg(long = "status", value_parser = status())]
    wanted: Option<LoadKind>,
    /// Show loads only whose latest attempt began since: `24h`, `7d`, `90m`, a date or an instant
    #[arg(long, value_name = "TIME", value_parser = listing::moment)]
    since: Option<i64>,
    /// Show so many loads at most
    #[arg(long, value_name = "N", default_value_t = 20, value_parser = clap::value_parser!(u32).range(1..=1000))]
    limit: u32,
    #[command(flatten)]
    exports: ExportOptions,
    #[command(flatten)]
    queues: Queues,
    /// Print JSON: one object for the page, or an object a line for loads
    #[arg(long)]
    json: bool,
    /// A load, by its id or by the key of its object: explain it. Else the loads with this text in their key, or whose
    /// whole key matches, where it has `*` or `?`
    #[arg(value_name = "LOAD")]
    load: Option<String>,
}

const NOTES: &str = "\
The sums are of the loads whose latest attempt began today (UTC) and within seven days, or since `--since`. The lag is
the time from an object's making to its rows in the tables; a replay has none. Folders are those with a success within 30
days, or since `--since`; the one that has been silent longest comes first. Folders below a year, such as `2026/01`,
count as one.

With --queue-url, credentials and region of AWS are found where the AWS command line finds them. They need
sqs:GetQueueAttributes on both queues.

Exit codes: 0 shown, 1 failed (the ledger knows no such load, or a queue cannot be read).";

/// The word for loads whose function was killed.
const STUCK: &str = "stuck";

/// Loads of one kind.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum LoadKind {
    /// Of a status.
    Of(ledger::Status),
    /// Killed, and not begun again.
    Stuck,
}

impl LoadKind {
    /// The kind, as of now.
    pub(crate) fn wanted(self) -> LoadFilter {
        match self {
            Self::Of(status) => LoadFilter::Of(status),
            Self::Stuck => LoadFilter::Stuck { now: milliseconds_now() },
        }
    }
}

/// A status by its word in the ledger, or `stuck`.
pub(crate) fn status() -> impl TypedValueParser<Value = LoadKind> {
    let words = ledger::Status::ALL.map(ledger::Status::as_str).into_iter().chain([STUCK]);
    PossibleValuesParser::new(words).try_map(|word| match ledger::Status::from_word(&word) {
        Some(status) => Ok(LoadKind::Of(status)),
        None if word == STUCK => Ok(LoadKind::Stuck),
        None => Err("no such status"),
    })
}

/// Prints what is asked for.
pub(crate) async fn run(arguments: StatusArguments) -> anyhow::Result<Outcome> {
    let store = arguments.destination.connect().await?;
    if arguments.exports.exports {
        let form = ExportForm { is_json: arguments.json, limit: arguments.limit as usize };
        return exports::run(&*store, form, arguments.load.as_deref()).await;
    }
    if let Some(name) = &arguments.load {
        let mut loads = crate::input::loads_named(&*store, name).await?;
        let wanted = arguments.wanted.map(LoadKind::wanted);
        loads.retain(|load| wanted.is_none_or(|wanted| wanted.includes(load)));
        if !loads.is_empty() {
            for load in &loads {
                let text = if arguments.json {
                    json::load(load).to_string()
                } else {
                    explained::explained(&*store, load).await?
                };
                console::print(&text)?;
            }
            return Ok(Outcome::Done);
        }
    }
    if arguments.load.is_some() || arguments.wanted.is_some() {
        return arguments.list(&*store).await;
    }
    page::print(&*store, &arguments).await
}

impl StatusArguments {
    /// Prints the loads that the arguments ask for.
    async fn list(&self, store: &dyn Store) -> anyhow::Result<Outcome> {
        let period =
            LoadPeriod { since: self.since, until: None, keys: self.load.as_deref().map(KeyPattern::new) };
        let kinds: Vec<LoadFilter> = self.wanted.map(LoadKind::wanted).into_iter().collect();
        let loads = store.latest_loads(&period, &kinds, self.limit).await?;
        if loads.is_empty() && self.load.is_some() {
            anyhow::bail!(
                "the ledger knows no such load; give the `_id` of one, the key of its object, or a part of the key"
            );
        }
        if self.json {
            for load in &loads {
                console::print(&json::load(load).to_string())?;
            }
        } else {
            console::print(&if loads.is_empty() { "no loads".to_owned() } else { list::table(&loads) })?;
        }
        Ok(Outcome::Done)
    }
}

/// The word for where a load stands.
fn word(load: &Load) -> &'static str {
    if load.is_stuck(milliseconds_now()) { STUCK } else { load.status.as_str() }
}

/// The name of a load's object for people: a path, or bucket and key.
fn object_name(load: &Load) -> String {
    if load.bucket == "file" { load.key.clone() } else { format!("{}/{}", load.bucket, load.key) }
}

/// Returns a length of time in its largest unit.
fn length(milliseconds: i64) -> String {
    let seconds = milliseconds / 1_000;
    match seconds {
        ..120 => format!("{seconds} s"),
        120..7_200 => format!("{} min", seconds / 60),
        7_200..172_800 => format!("{} h", seconds / 3_600),
        172_800.. => format!("{} d", seconds / 86_400),
    }
}
