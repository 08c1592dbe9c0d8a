//! One object, from its first byte to its last row, and its entry in the ledger.

mod deadline;
mod ends;
mod lease;
mod pipeline;
mod read;
mod survey;

use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::{Duration, Instant};

use tokio::sync::Semaphore;
use tokio::time::timeout_at;

use crate::decode::BrokenFrame;
use crate::interrupted::Interrupted;
use crate::ledger::{
    Attempt, AttemptTraces, BeginOutcome, Checkpoint, Ending, FilledColumns, Interruption, Lease, Ledger,
    PriorState, Status,
};
use crate::object::ObjectRef;
use crate::requester::Requester;
use crate::summary::{Drift, Summary};

pub use deadline::Deadline;
pub use pipeline::{Pipeline, PipelineLimits, Progress};

use deadline::AttemptLimit;
use ends::{AttemptIdentity, CheckpointNotes, ReadEnd, ReadOptions, ReadReport};

/// The attempt: who asks, its deadline, its progress.
pub struct Job<'a> {
    /// Different for every attempt anywhere.
    pub owner: String,
    /// Load it even if the ledger calls it done.
    pub again: bool,
    /// Who asks for it.
    pub by: Option<Requester>,
    /// When work stops, with a checkpoint; without one the lease is renewed for as long as it takes.
    pub deadline: Option<Deadline>,
    /// Set to ask for an end: what is under way is finished, and noted.
    pub is_cancelled: Option<&'a AtomicBool>,
    /// The turns of those that read at the same time. A small object gives its turn back before its rows stand.
    pub read_turns: Option<&'a Semaphore>,
    /// Milliseconds since 1970-01-01T00:00:00Z; the clock is read where the process begins.
    pub clock: fn() -> i64,
    /// Gets the bytes read so far.
    pub progress: Progress<'a>,
}

/// What became of an object.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Loaded {
    /// As in the ledger.
    pub status: Status,
    /// What became of its records; nothing if the ledger called it done.
    pub summary: Summary,
}

/// How the work on an object ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ReadOutcome {
    /// Everything in it is durable.
    Whole(Summary),
    /// The deadline came; everything before the checkpoint is durable.
    UpTo(Checkpoint),
    /// The pinned bytes no longer exist, and nothing was read.
    Gone,
    /// What was read is durable; the rest is out of reach, and a reject says so.
    Cut(Summary),
}

/// How long a lease outlasts the end of work: the time that writes under way may take.
const LEASE_RESERVE_MILLISECONDS: i64 = 30 * 1000;

/// How long a lease outlasts the moment at which writes are abandoned: the database may still work on them.
const LEASE_BEHIND_MILLISECONDS: i64 = 10 * 1000;

/// The most attempts in a row that may have an invocation's time and get no record further. Then the rest is set aside:
/// every attempt reads from the beginning, and would never get there.
const MOST_STALLS: u32 = 3;

/// Why a load is done although it has no rows in the tables.
const MANIFEST: &str = "manifest";

/// Why the load of an object that is gone is partial.
const OBJECT_GONE: &str = "the object is gone; what was read of it before stands";

/// An attempt that the ledger has let begin.
struct BegunAttempt<'a> {
    ledger: &'a Ledger,
    /// How long it may work.
    limit: AttemptLimit<'a>,
    id: String,
    attempt: u32,
    identity: AttemptIdentity,
    object: Arc<ObjectRef>,
    checkpoint: Option<Checkpoint>,
    prior: PriorState,
    clock: fn() -> i64,
}

impl Pipeline {
    /// Loads an object and keeps the ledger. An object that is done is not loaded again, two attempts never load it at
    /// once, and an interrupted attempt leaves a checkpoint to the next one.
    ///
    /// It ends in time for any object and any database. What is under way then is abandoned and keeps its lease, so
    /// that no other attempt begins while the database may still work on it.
    pub async fn load(
        &self,
        ledger: &Ledger,
        object: &Arc<ObjectRef>,
        job: &Job<'_>,
    ) -> Result<Loaded, Interrupted> {
        let load = Box::pin(self.load_under_lease(ledger, object, job));
        match job.deadline {
            None => load.await,
            Some(deadline) => {
                timeout_at(deadline.give_up.into(), load).await.unwrap_or(Err(Interrupted::Deadline))
            }
        }
    }

    async fn load_under_lease(
        &self,
        ledger: &Ledger,
        object: &Arc<ObjectRef>,
        job: &Job<'_>,
    ) -> Result<Loaded, Interrupted> {
        let id = object.load_id();
        let attempt = self.attempt(job);
        let begun = attempt.now;
        let is_lost = AtomicBool::new(false);
        let limit = AttemptLimit { deadline: job.deadline, is_lost: None, is_cancelled: job.is_cancelled };
        let run = match ledger.begin(object, &attempt).await? {
            BeginOutcome::Run { attempt, edition, reading, object, checkpoint, prior } => {
                let (identity, clock) = (AttemptIdentity { edition, reading, begun }, job.clock);
                let limit = AttemptLimit { is_lost: Some(&is_lost), ..limit };
                BegunAttempt { ledger, limit, id, attempt, identity, object, checkpoint, prior, clock }
            }
            BeginOutcome::AlreadyDone(status) => return Ok(Loaded { status, summary: Summary::default() }),
            BeginOutcome::Busy => return Err(Interrupted::Busy),
            BeginOutcome::Unanswered(by) => {
                let interruption = Interruption { by: &by, at: (job.clock)() };
                let withdraw = || ledger.withdraw(&id, &attempt.lease.owner, interruption);
                lease::give_up(limit.wait_for_writes_until(), withdraw).await;
                return Err(by);
            }
        };
        let work = Box::pin(self.carry_out(&run, job));
        let lease = self.limits.lease;
        let renew = || ledger.renew(&run.id, run.attempt, (job.clock)() + milliseconds(lease));
        match job.deadline {
            Some(_) => work.await,
            None => lease::renewing(lease / 4, renew, &is_lost, work).await,
        }
    }

    /// Surveys, reads, and tells the ledger.
    async fn carry_out(&self, run: &BegunAttempt<'_>, job: &Job<'_>) -> Result<Loaded, Interrupted> {
        let &BegunAttempt { ledger, limit, attempt, identity, .. } = run;
        let BegunAttempt { id, object, checkpoint, prior, .. } = run;
        let turn = match job.read_turns {
            Some(turns) => turns.acquire().await.ok(),
            None => None,
        };
        if checkpoint.is_none() && !self.catalog.gates().is_empty() {
            match survey::refuse(self, object, limit).await {
                Ok(None) => {}
                Ok(Some((closed, summary))) => {
                    let (status, now) = (Status::Refused, (job.clock)());
                    let closed = closed.iter().map(|gate| gate.as_str()).collect::<Vec<_>>().join(", ");
                    let ending =
                        Ending { status, summary: &summary, problem: Some(&closed), created: None, now };
                    let finished = ledger.finish(id, attempt, &ending).await;
                    return match finished {
                        Ok(()) => Ok(Loaded { status, summary }),
                        Err(interrupted) => release(run, interrupted, AttemptTraces::default()).await,
                    };
                }
                Err(interrupted) => return release(run, interrupted, AttemptTraces::default()).await,
            }
        }
        let options = ReadOptions {
            identity,
            limit,
            checkpoint: checkpoint.clone(),
            is_last: prior.stalls + 1 >= MOST_STALLS,
            notes: Some(CheckpointNotes { ledger, id, attempt, clock: job.clock }),
            turn,
        };
        let ended = read::read(self, object, options, job.progress).await;
        self.report(run, ended).await
    }

    /// Tells the ledger how an attempt ended.
    async fn report(&self, run: &BegunAttempt<'_>, ended: ReadReport) -> Result<Loaded, Interrupted> {
        let &BegunAttempt { ledger, limit, attempt, clock, .. } = run;
        let ReadReport { end, columns, first_ordinal, has_written, has_manifest, created } = ended;
        let (id, now) = (run.id.as_str(), clock());
        let filled = FilledColumns { load: id, attempt, first_ordinal, columns: &columns, now };
        let stop = if limit.is_cancelled() { Interrupted::Cancelled } else { Interrupted::Deadline };
        let traces = AttemptTraces { has_written, has_stalled: false };
        let (status, summary, problem) = match end {
            Ok(ReadEnd::Whole(summary)) => {
                match self.complete(run, ledger.fill(&filled).await, summary).await {
                    Ok(summary) => (status_of(&summary), summary, has_manifest.then_some(MANIFEST)),
                    Err(interrupted) => return release(run, interrupted, traces).await,
                }
            }
            Ok(ReadEnd::Stopped(mut checkpoint)) => {
                let noted = async {
                    checkpoint.summary.drift += ledger.fill(&filled).await?;
                    ledger.checkpoint(id, attempt, &checkpoint).await
                };
                let by = noted.await.err().unwrap_or(stop);
                return release(run, by, traces).await;
            }
            Ok(ReadEnd::Abandoned(checkpoint)) => {
                // The checkpoint comes first: the database is slow, and the dictionary may lack entries.
                let interruption = Interruption { by: &stop, at: now };
                if ledger.abandon(id, attempt, checkpoint.as_ref(), interruption).await.is_ok() {
                    let _gap = ledger.fill(&filled).await;
                }
                return Err(stop);
            }
            Ok(ReadEnd::Stalled { had_time }) => {
                return release(run, stop, AttemptTraces { has_stalled: had_time, ..traces }).await;
            }
            Ok(ReadEnd::Gone) => match run.prior.settled.clone() {
                Some((status, summary)) => (status, summary, Some(OBJECT_GONE)),
                None if run.prior.may_have_rows => (Status::Partial, Summary::default(), Some(OBJECT_GONE)),
                None => (Status::Gone, Summary::default(), None),
            },
            Ok(ReadEnd::Cut(mut summary, reason)) => {
                summary.drift += ledger.fill(&filled).await.unwrap_or_default();
                match reason {
                    BrokenFrame::ObjectGone => (Status::Partial, summary, Some(OBJECT_GONE)),
                    _ => (status_of(&summary), summary, None),
                }
            }
            Err(interrupted) => return release(run, interrupted, traces).await,
        };
        let problem = if summary.adds_up() { problem } else { Some("the sums do not add up") };
        let ending = Ending { status, summary: &summary, problem, created, now };
        match ledger.finish(id, attempt, &ending).await {
            Ok(()) => Ok(Loaded { status, summary }),
            Err(interrupted) => release(run, interrupted, traces).await,
        }
    }

    /// Does what is left to do when everything is durable.
    async fn complete(
        &self,
        run: &BegunAttempt<'_>,
        drift: Result<Drift, Interrupted>,
        mut summary: Summary,
    ) -> Result<Summary, Interrupted> {
        summary.drift += drift?;
        if run.identity.reading > 1 {
            self.store.forget_rejects(&run.id, run.identity.reading).await?;
        }
        Ok(summary)
    }

    /// Reads an object and writes all of its rows and rejects, without a ledger.
    pub async fn run(
        &self,
        object: &Arc<ObjectRef>,
        checkpoint: Option<Checkpoint>,
        deadline: Option<Deadline>,
        progress: Progress<'_>,
    ) -> Result<ReadOutcome, Interrupted> {
        let limit = AttemptLimit { deadline, ..AttemptLimit::default() };
        let options = ReadOptions { limit, checkpoint, ..ReadOptions::default() };
        match read::read(self, object, options, progress).await.end? {
            ReadEnd::Whole(summary) => Ok(ReadOutcome::Whole(summary)),
            ReadEnd::Stopped(checkpoint) | ReadEnd::Abandoned(Some(checkpoint)) => {
                Ok(ReadOutcome::UpTo(checkpoint))
            }
            ReadEnd::Abandoned(None) | ReadEnd::Stalled { .. } => Err(Interrupted::Deadline),
            ReadEnd::Gone => Ok(ReadOutcome::Gone),
            ReadEnd::Cut(summary, _) => Ok(ReadOutcome::Cut(summary)),
        }
    }

    fn attempt(&self, job: &Job<'_>) -> Attempt {
        let now = (job.clock)();
        let left =
            job.deadline.map_or(milliseconds(self.limits.lease), |Deadline { stop, give_up, .. }| {
                let until = |end: Instant| milliseconds(end.saturating_duration_since(Instant::now()));
                let (stop, give_up) = (until(stop), until(give_up));
                (stop + LEASE_RESERVE_MILLISECONDS).max(give_up + LEASE_BEHIND_MILLISECONDS)
            });
        Attempt {
            now,
            lease: Lease { owner: job.owner.clone(), until: now + left },
            again: job.again,
            code: env!("CARGO_PKG_VERSION").to_owned(),
            catalog: self.catalog.fingerprint().to_owned(),
            by: job.by.clone(),
        }
    }
}

fn milliseconds(time: Duration) -> i64 {
    i64::try_from(time.as_millis()).unwrap_or(i64::MAX)
}

/// Gives the lease up. The interruption is what matters.
async fn release(
    run: &BegunAttempt<'_>,
    by: Interrupted,
    traces: AttemptTraces,
) -> Result<Loaded, Interrupted> {
    let interruption = Interruption { by: &by, at: (run.clock)() };
    let release = || run.ledger.release(&run.id, run.attempt, interruption, traces);
    lease::give_up(run.limit.wait_for_writes_until(), release).await;
    Err(by)
}

/// Returns partial as soon as something was set aside, failed if nothing was loaded.
fn status_of(summary: &Summary) -> Status {
    match summary {
        _ if summary.rejected == 0 && summary.view_defects == 0 && summary.adds_up() => Status::Done,
        _ if summary.rejected == summary.records && summary.records > 0 => Status::Failed,
        _ => Status::Partial,
    }
}
