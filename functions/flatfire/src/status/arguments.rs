//! The arguments of `flatfire status`.

use clap::Args;

use super::queues::Queues;
use super::words::{LoadKind, status};
use crate::exports::ExportOptions;
use crate::listing;
use crate::settings::Destination;

/// Show how loading goes and the latest loads, or explain one.
#[derive(Debug, Args)]
#[command(after_help = NOTES)]
pub(crate) struct StatusArguments {
    #[command(flatten)]
    pub(super) destination: Destination,
    /// Show loads of this status only
    #[arg(long = "status", value_parser = status())]
    pub(super) wanted: Option<LoadKind>,
    /// Show loads only whose latest attempt began since: `24h`, `7d`, `90m`, a date or an instant
    #[arg(long, value_name = "TIME", value_parser = listing::moment)]
    pub(super) since: Option<i64>,
    /// Show so many loads at most
    #[arg(long, value_name = "N", default_value_t = 20, value_parser = clap::value_parser!(u32).range(1..=1000))]
    pub(super) limit: u32,
    #[command(flatten)]
    pub(super) exports: ExportOptions,
    #[command(flatten)]
    pub(super) queues: Queues,
    /// Print JSON: one object for the page, or an object a line for loads
    #[arg(long)]
    pub(super) json: bool,
    /// A load, by its id or by the key of its object: explain it. Else the loads with this text in their key, or whose
    /// whole key matches, where it has `*` or `?`
    #[arg(value_name = "LOAD")]
    pub(super) load: Option<String>,
}

const NOTES: &str = "\
The sums are of the loads whose latest attempt began today (UTC) and within seven days, or since `--since`. The lag is
the time from an object's making to its rows in the tables; a replay has none. Folders are those with a success within 30
days, or since `--since`; the one that has been silent longest comes first. Folders below a year, such as `2026/01`,
count as one.

With --queue-url, credentials and region of AWS are found where the AWS command line finds them. They need
sqs:GetQueueAttributes on both queues.

Exit codes: 0 shown, 1 failed (the ledger knows no such load, or a queue cannot be read).";
