//! `flatfire backfill`: the objects that a bucket already holds are sent to the function, or loaded here.

mod direct;

use std::num::NonZeroU32;
use std::path::PathBuf;
use std::sync::Arc;

use anyhow::{Context as _, bail};
use clap::Args;
use flatten::catalog::Catalog;
use indicatif::{HumanCount, ProgressBar};
use pipeline::store::Store;
use serde_json::json;

use crate::archived::ArchivedObjects;
use crate::cloud::Cloud;
use crate::comparison::{Compared, compare};
use crate::console;
use crate::known_loads::KnownLoads;
use crate::listing::Objects;
use crate::outcome::Outcome;
use crate::progress::spinner;
use crate::queue_sender::{QueueSender, SendReason};
use crate::run_by::RunBy;
use crate::settings::Destination;
use direct::{Direct, DirectLoader, is_open};

/// Load what a bucket already holds: every object version that the ledger does not know.
#[derive(Debug, Args)]
#[command(after_help = NOTES)]
pub(crate) struct BackfillArguments {
    #[command(flatten)]
    objects: Objects,
    #[command(flatten)]
    destination: Destination,
    /// The function's queue; --dry-run and --direct need none
    #[arg(long, value_name = "QUEUE_URL", env = "QUEUE_URL")]
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
    /// Print JSON, an object a line: each `load` of --dry-run, each `restore` command for an object in Glacier, at the
    /// end the sums
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    run_by: RunBy,
    #[command(flatten)]
    direct: Direct,
}

const NOTES: &str = "\
Every version of every object is sent once, the oldest of a key first; empty objects and folders are not. The function
does nothing for a version that is loaded by then, so this command may be stopped at any moment and run again.

With --direct no function and no queue are needed: the objects are loaded here, with the settings given here, and so are
those whose function was killed. Ctrl-C ends it behind the writes under way.

Objects in Glacier are not sent. The command that restores each is printed.

Credentials and region of AWS are found where the AWS command line finds them. They need s3:ListBucketVersions,
sqs:SendMessage, with --direct s3:GetObject and s3:GetObjectVersion, and to read an inventory s3:GetObject and s3:GetBucketVersioning.

Exit codes: 0 done, 2 partial (objects in Glacier were not sent; with --direct also: some records were set aside),
1 failed, 130 ended by Ctrl-C.";

/// Where object versions go.
enum Destiny {
    /// Nowhere: their ids are printed.
    Printed,
    /// To the function.
    Queue(QueueSender),
    /// Into the database.
    Direct(DirectLoader),
}

/// What a run does and has seen.
struct BackfillRun {
    destiny: Destiny,
    archived: ArchivedObjects,
    /// A report may be older than the ledger: what the ledger calls gone is gone.
    is_from_report: bool,
    counts: BackfillCounts,
    bar: ProgressBar,
    is_json: bool,
}

/// Object versions between two changes of the progress line.
const SHOWN_EVERY: u64 = 100;

#[derive(Debug, Default)]
struct BackfillCounts {
    looked_at: u64,
    sent: u64,
    known: u64,
    skipped: u64,
}

/// Sends or loads what the arguments select.
pub(crate) async fn run(arguments: BackfillArguments) -> anyhow::Result<Outcome> {
    let selection = arguments.objects.selection()?;
    if arguments.queue_url.is_none() && !arguments.dry_run && !arguments.direct.is_wanted {
        bail!("--queue-url: name the function's queue");
    }
    let catalog = if arguments.direct.is_wanted { Some(arguments.direct.settings.catalog()?) } else { None };
    let store = match &catalog {
        Some(catalog) => {
            arguments.destination.connect_to_load(&arguments.direct.settings.loading(catalog)).await?
        }
        None => arguments.destination.connect().await?,
    };
    let loads = KnownLoads::new(store.clone());
    let cloud = Arc::new(Cloud::new().await);
    let mut pages = arguments.objects.pages(&cloud, &selection).await?;
    let mut run = BackfillRun {
        destiny: arguments.destiny(&cloud, store, catalog).await?,
        archived: ArchivedObjects::new(arguments.archived.as_deref(), arguments.json)?,
        is_from_report: pages.are_from_report,
        counts: BackfillCounts::default(),
        bar: spinner(),
        is_json: arguments.json,
    };
    while let Some(page) = pages.next().await? {
        for compared in compare(page, &loads).await? {
            if let Some(outcome) = run.stopped() {
                console::line("flatfire: ended before all objects were begun; run it again");
                return Ok(run.finish().await?.max(outcome));
            }
            run.handle(compared).await?;
        }
    }
    run.finish().await
}

impl BackfillArguments {
    async fn destiny(
        &self,
        cloud: &Cloud,
        store: Arc<dyn Store>,
        catalog: Option<Arc<Catalog>>,
    ) -> anyhow::Result<Destiny> {
        if let Some(catalog) = catalog {
            return Ok(Destiny::Direct(
                self.direct.loader(cloud, store, catalog, self.run_by.requester()).await?,
            ));
        }
        if self.dry_run {
            return Ok(Destiny::Printed);
        }
        let queue = self.queue_url.clone().context("--queue-url: name the function's queue")?;
        Ok(Destiny::Queue(QueueSender::new(cloud, queue, self.rate).by(self.run_by.requester())))
    }
}

impl BackfillRun {
    fn stopped(&self) -> Option<Outcome> {
        match &self.destiny {
            Destiny::Direct(loader) => loader.stopped(),
            Destiny::Printed | Destiny::Queue(_) => None,
        }
    }

    async fn handle(&mut self, compared: Compared) -> anyhow::Result<()> {
        self.counts.looked_at += 1;
        let is_wrong_in_ledger = compared.is_gone() && !self.is_from_report;
        let Compared { version, state } = compared;
        let is_open = match &self.destiny {
            Destiny::Direct(_) => is_open(state),
            Destiny::Printed | Destiny::Queue(_) => state.is_none() || is_wrong_in_ledger,
        };
        if version.is_skipped() {
            self.counts.skipped += 1;
        } else if !is_open {
            self.counts.known += 1;
        } else if version.is_archived {
            self.bar.suspend(|| self.archived.add(&version.object))?;
        } else {
            self.counts.sent += 1;
            match &mut self.destiny {
                Destiny::Printed => {
                    let (load, is_json) = (version.object.load_id(), self.is_json);
                    self.bar.suspend(|| {
                        if is_json {
                            console::print_json(&json!({ "load": load }))
                        } else {
                            console::print(&load)
                        }
                    })?;
                }
                Destiny::Queue(sender) => {
                    let reason =
                        if is_wrong_in_ledger { SendReason::WrongInLedger } else { SendReason::NotLoaded };
                    sender.send(version.object, reason).await?;
                }
                Destiny::Direct(loader) => loader.load(version.object, &self.bar).await,
            }
        }
        self.show();
        Ok(())
    }

    /// Prints one load: it takes long enough to show each.
    fn show(&self) {
        let (every, verb) = match &self.destiny {
            Destiny::Printed => (SHOWN_EVERY, "to be sent"),
            Destiny::Queue(_) => (SHOWN_EVERY, "sent"),
            Destiny::Direct(_) => (1, "begun"),
        };
        if self.counts.looked_at.is_multiple_of(every) {
            self.bar.set_position(self.counts.looked_at);
            self.bar.set_message(self.counts.shown(verb));
        }
    }

    /// Waits for everything under way and prints the sums.
    async fn finish(mut self) -> anyhow::Result<Outcome> {
        let (verb, mut outcome) = match &mut self.destiny {
            Destiny::Printed => ("would be sent", Outcome::Done),
            Destiny::Queue(sender) => {
                sender.finish().await?;
                ("sent", Outcome::Done)
            }
            Destiny::Direct(loader) => ("begun", loader.finish(&self.bar).await),
        };
        self.bar.finish_and_clear();
        self.archived.finish()?;
        if self.is_json {
            let BackfillCounts { looked_at, sent, known, skipped } = self.counts;
            let loaded = match &self.destiny {
                Destiny::Direct(loader) => Some(loader.ended()),
                Destiny::Printed | Destiny::Queue(_) => None,
            };
            console::print_json(&json!({
                "versions": looked_at, "sent": sent, "known": known, "skipped": skipped,
                "inGlacier": self.archived.count(), "loaded": loaded,
            }))?;
        }
        console::line(&format!("flatfire: {}", self.counts.sum(verb)));
        if self.archived.count() > 0 {
            outcome = outcome.max(Outcome::Partial);
        }
        Ok(outcome)
    }
}

impl BackfillCounts {
    fn shown(&self, verb: &str) -> String {
        let [looked_at, sent, known] = [self.looked_at, self.sent, self.known].map(HumanCount);
        format!("{looked_at} looked at · {sent} {verb} · {known} known")
    }

    fn sum(&self, verb: &str) -> String {
        let Self { looked_at, sent, known, skipped } = self;
        let skipped = if *skipped > 0 { format!(", {skipped} empty or folders") } else { String::new() };
        format!("{looked_at} object versions: {sent} {verb}, {known} known to the ledger{skipped}")
    }
}
