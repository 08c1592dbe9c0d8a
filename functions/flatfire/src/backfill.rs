//! `flatfire backfill`: the objects that a bucket already holds are sent to the function.

use std::num::NonZeroU32;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use clap::Args;
use indicatif::{HumanCount, ProgressBar, ProgressStyle};

use crate::archived::ArchivedObjects;
use crate::cloud::Cloud;
use crate::comparison::{Compared, compare};
use crate::console;
use crate::known_loads::KnownLoads;
use crate::listing::Objects;
use crate::outcome::Outcome;
use crate::queue_sender::{QueueSender, Reason};
use crate::settings::Destination;

/// Send what a bucket already holds to the function: every object version that the ledger does not know.
#[derive(Debug, Args)]
#[command(after_help = NOTES)]
pub(crate) struct Backfill {
    #[command(flatten)]
    objects: Objects,
    #[command(flatten)]
    destination: Destination,
    /// The function's queue
    #[arg(long, value_name = "QUEUE_URL", env = "QUEUE_URL", required_unless_present = "dry_run")]
    queue_url: Option<String>,
    /// Send so many messages a second at most
    #[arg(long, value_name = "N")]
    rate: Option<NonZeroU32>,
    /// Send nothing: print what would be sent, a load id a line
    #[arg(long)]
    dry_run: bool,
    /// List all objects that must be restored from Glacier in this file, as a manifest of S3 Batch Operations
    #[arg(long, value_name = "FILE")]
    archived: Option<PathBuf>,
}

const NOTES: &str = "\
Every version of every object is sent once, the oldest of a key first; empty objects and folders are not. The function
does nothing for a version that is loaded by then, so this command may be stopped at any moment and run again.

Objects in Glacier are not sent. The command that restores each is printed.

Credentials and region of AWS are found where the AWS command line finds them. They need s3:ListBucketVersions,
sqs:SendMessage, and to read an inventory s3:GetObject and s3:GetBucketVersioning.

Exit codes: 0 done, 2 partial (objects in Glacier were not sent), 1 failed.";

/// What a run does and has seen.
struct Run {
    sender: Option<QueueSender>,
    archived: ArchivedObjects,
    /// A report may be older than the ledger: what the ledger calls gone is gone.
    is_from_report: bool,
    counts: Counts,
}

#[derive(Debug, Default)]
struct Counts {
    looked_at: u64,
    sent: u64,
    known: u64,
    skipped: u64,
}

/// Sends what the arguments select.
pub(crate) async fn run(arguments: Backfill) -> anyhow::Result<Outcome> {
    let selection = arguments.objects.selection()?;
    let loads = KnownLoads::new(&arguments.destination.connect().await?);
    let cloud = Arc::new(Cloud::new().await);
    let mut pages = arguments.objects.pages(&cloud, &selection).await?;
    let mut run = Run {
        sender: if arguments.dry_run {
            None
        } else {
            let queue = arguments.queue_url.clone().context("--queue-url: name the function's queue")?;
            Some(QueueSender::new(&cloud, queue, arguments.rate))
        },
        archived: ArchivedObjects::new(arguments.archived.as_deref())?,
        is_from_report: pages.are_from_report,
        counts: Counts::default(),
    };
    let bar = spinner();
    while let Some(page) = pages.next().await? {
        for compared in compare(page, &loads).await? {
            run.handle(compared, &bar).await?;
        }
        bar.set_message(run.counts.to_string());
    }
    if let Some(sender) = &mut run.sender {
        sender.finish().await?;
    }
    bar.finish_and_clear();
    run.archived.finish()?;
    let verb = if arguments.dry_run { "would be sent" } else { "sent" };
    console::line(&format!("flatfire: {}", run.counts.sum(verb)));
    Ok(if run.archived.count() > 0 { Outcome::Partial } else { Outcome::Done })
}

impl Run {
    async fn handle(&mut self, compared: Compared, bar: &ProgressBar) -> anyhow::Result<()> {
        self.counts.looked_at += 1;
        let is_wrong_in_ledger = compared.is_gone() && !self.is_from_report;
        let Compared { version, state } = compared;
        if version.is_skipped() {
            self.counts.skipped += 1;
        } else if state.is_some() && !is_wrong_in_ledger {
            self.counts.known += 1;
        } else if version.is_archived {
            bar.suspend(|| self.archived.add(&version.object))?;
        } else {
            self.counts.sent += 1;
            match &mut self.sender {
                Some(sender) => {
                    let reason = if is_wrong_in_ledger { Reason::WrongInLedger } else { Reason::NotLoaded };
                    sender.send(version.object, reason).await?;
                }
                None => bar.suspend(|| console::print(&version.object.load_id()))?,
            }
        }
        Ok(())
    }
}

impl Counts {
    fn sum(&self, verb: &str) -> String {
        let Self { looked_at, sent, known, skipped } = self;
        let skipped = if *skipped > 0 { format!(", {skipped} empty or folders") } else { String::new() };
        format!("{looked_at} object versions: {sent} {verb}, {known} known to the ledger{skipped}")
    }
}

impl std::fmt::Display for Counts {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let [looked_at, sent, known] = [self.looked_at, self.sent, self.known].map(HumanCount);
        write!(formatter, "{looked_at} looked at · {sent} sent · {known} known")
    }
}

/// Nobody knows how many objects a bucket has, so there is no end to draw a bar towards.
pub(crate) fn spinner() -> ProgressBar {
    let template = ProgressStyle::with_template("{spinner} {elapsed_precise} {msg}");
    let spinner = ProgressBar::new_spinner();
    spinner.set_style(template.unwrap_or_else(|_| ProgressStyle::default_spinner()));
    spinner.enable_steady_tick(Duration::from_millis(200));
    spinner
}
