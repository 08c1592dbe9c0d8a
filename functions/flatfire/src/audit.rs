//! `flatfire audit`: a bucket compared with the ledger. Is everything in?

mod expected;
mod report;
mod tally;

use std::collections::BTreeSet;
use std::num::NonZeroU32;
use std::sync::Arc;

use anyhow::{Context as _, bail};
use clap::Args;
use indicatif::{HumanCount, ProgressBar};

use crate::cloud::Cloud;
use crate::comparison::{Compared, compare};
use crate::console;
use crate::known_loads::KnownLoads;
use crate::listing::{Objects, Selection};
use crate::outcome::Outcome;
use crate::progress::spinner;
use crate::queue_sender::{QueueSender, SendReason};
use crate::run_by::RunBy;
use crate::settings::Destination;
use expected::Expected;
use report::{AuditReport, Finding};
use tally::{AuditSums, AuditVerdict};

/// Compare a bucket with the ledger: is everything in?
#[derive(Debug, Args)]
#[command(after_help = NOTES)]
pub(crate) struct AuditArguments {
    #[command(flatten)]
    objects: Objects,
    #[command(flatten)]
    destination: Destination,
    /// What the sender says it has sent: the manifest of a Bulk Data export, or a text with a file name a line, in a
    /// file or in S3
    #[arg(long, value_name = "MANIFEST")]
    expect: Option<String>,
    /// Send what is missing, stuck or failed to the function; needs its queue
    #[arg(long)]
    send: bool,
    /// The function's queue
    #[arg(long, value_name = "QUEUE_URL", env = "QUEUE_URL")]
    queue_url: Option<String>,
    /// Send so many messages a second at most
    #[arg(long, value_name = "N")]
    rate: Option<NonZeroU32>,
    #[command(flatten)]
    run_by: RunBy,
    /// Print JSON, an object a line: one for each finding, at the end one with the sums
    #[arg(long)]
    json: bool,
}

const NOTES: &str = "\
Each finding is printed, then the sums by day and status. missing: the ledger does not know the version, or calls it gone
although it is there. stuck: the function was killed. failed, refused: nothing of it is in the tables. running: not in
yet. gone: it was deleted before it was loaded. A file of `--expect` that the bucket does not hold is not-sent.

What came within the last minutes may still be on its way: `--until` leaves it out.

Credentials and region of AWS are found where the AWS command line finds them. They need s3:ListBucketVersions; to read
an inventory s3:GetObject and s3:GetBucketVersioning; with --send sqs:SendMessage.

Exit codes: 0 everything is in, 2 something is missing, stuck, failed, refused, running or was not sent, 1 the audit
failed.";

/// What an audit has seen so far.
struct BucketAudit {
    selection: Selection,
    is_from_report: bool,
    tally: AuditSums,
    report: AuditReport,
    expected: Expected,
    sender: Option<QueueSender>,
    /// Versions that are listed and that the ledger calls gone.
    listed_gone: BTreeSet<String>,
    bar: ProgressBar,
}

/// Audits what the arguments select.
pub(crate) async fn run(arguments: AuditArguments) -> anyhow::Result<Outcome> {
    let selection = arguments.objects.selection()?;
    if arguments.send && arguments.queue_url.is_none() {
        bail!("--queue-url: name the function's queue");
    }
    let loads = KnownLoads::new(arguments.destination.connect().await?);
    let cloud = Arc::new(Cloud::new().await);
    let expected = match &arguments.expect {
        Some(place) => Expected::read(&cloud, place).await?,
        None => Expected::default(),
    };
    let in_ledger = loads.count(&selection).await?;
    let mut pages = arguments.objects.pages(&cloud, &selection).await?;
    let sender = if arguments.send {
        let queue = arguments.queue_url.clone().context("--queue-url: name the function's queue")?;
        Some(QueueSender::new(&cloud, queue, arguments.rate).by(arguments.run_by.requester()))
    } else {
        None
    };
    let mut auditor = BucketAudit {
        selection,
        is_from_report: pages.are_from_report,
        tally: AuditSums::new(in_ledger),
        report: AuditReport::new(arguments.json),
        expected,
        sender,
        listed_gone: BTreeSet::new(),
        bar: spinner(),
    };
    while let Some(page) = pages.next().await? {
        for compared in compare(page, &loads).await? {
            auditor.judge(compared).await?;
        }
        auditor.bar.set_position(auditor.tally.total());
        auditor.bar.set_message(format!("{} looked at", HumanCount(auditor.tally.total())));
    }
    auditor.finish(&loads).await
}

impl BucketAudit {
    async fn judge(&mut self, compared: Compared) -> anyhow::Result<()> {
        let object = &compared.version.object;
        self.expected.meet(&object.key, &self.selection.prefix);
        if compared.version.is_skipped() {
            return Ok(());
        }
        let is_gone = compared.is_gone();
        let verdict = AuditVerdict::of(compared.state, !self.is_from_report);
        self.tally.add(object.created, verdict, compared.state.is_some());
        if is_gone {
            let other = compared.version.other_load_id.clone();
            self.listed_gone.extend(other.into_iter().chain([object.load_id()]));
        }
        if verdict.is_finding() {
            let finding = Finding { verdict, is_archived: compared.version.is_archived, object };
            self.bar.suspend(|| self.report.print(&finding))?;
        }
        let can_be_sent = verdict.is_sent() && !compared.version.is_archived;
        if let (true, Some(sender)) = (can_be_sent, &mut self.sender) {
            let reason = if is_gone { SendReason::WrongInLedger } else { SendReason::NotLoaded };
            sender.send(compared.version.object, reason).await?;
        }
        Ok(())
    }

    /// Adds what the listing cannot show, and prints the sums.
    async fn finish(mut self, loads: &KnownLoads) -> anyhow::Result<Outcome> {
        let Self { selection, tally, report, listed_gone, bar, .. } = &mut self;
        let visit = |id: &str, created: i64| {
            if listed_gone.contains(id) {
                return Ok(());
            }
            tally.add(created, AuditVerdict::Gone, true);
            bar.suspend(|| report.print_gone(id, created))
        };
        loads.visit_gone(selection, visit).await?;
        let mut sent = 0;
        if let Some(sender) = &mut self.sender {
            sender.finish().await?;
            sent = sender.sent();
        }
        self.bar.finish_and_clear();
        let not_sent = self.expected.not_met();
        for name in &not_sent {
            self.report.print_not_sent(name)?;
        }
        let is_complete = self.tally.is_complete() && not_sent.is_empty();
        self.report.print_sums(&self.selection, &self.tally, not_sent.len(), is_complete)?;
        if sent > 0 {
            console::line(&format!(
                "flatfire: {sent} sent to the function; audit again once it has loaded them"
            ));
        }
        Ok(if is_complete { Outcome::Done } else { Outcome::Partial })
    }
}
