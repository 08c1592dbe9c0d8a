//! One object, from its first byte to its last row, and its entry in the ledger.

mod lease;
mod survey;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use flatten::catalog::Catalog;
use flatten::dictionary::Dictionary;

use crate::assemble::{Assembler, BatchLimits};
use crate::decode::{self, Decoder};
use crate::interrupted::Interrupted;
use crate::ledger::{Attempt, Begun, Checkpoint, Ending, Filled, Lease, Ledger, Status};
use crate::object::ObjectRef;
use crate::sink::Sink;
use crate::source::{ReadFailure, Storage};
use crate::summary::Summary;
use crate::writes::Writes;

/// Where objects come from, what they become, where the rows go.
#[derive(Debug)]
pub struct Line<S> {
    /// Where objects are read.
    pub storage: Storage,
    /// What resources become.
    pub catalog: Arc<Catalog>,
    /// Where rows go.
    pub sink: Arc<S>,
    /// How large batches are, and how many are written at once.
    pub pace: Pace,
}

/// How much of an object is in memory at once.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Pace {
    /// When a batch is full.
    pub batch: BatchLimits,
    /// Batches that are being written while the next is assembled.
    pub writes_at_once: usize,
    /// The largest resource.
    pub decode: decode::Limits,
}

impl Default for Pace {
    fn default() -> Self {
        Self { batch: BatchLimits::default(), writes_at_once: 3, decode: decode::Limits::default() }
    }
}

/// Who loads, until when, and what shows how far it is.
pub struct Job<'a> {
    /// Different for every attempt anywhere.
    pub owner: String,
    /// Load it even if the ledger calls it done.
    pub again: bool,
    /// Work stops here, with a checkpoint. Writes under way are still waited for.
    pub deadline: Option<Instant>,
    /// Milliseconds since 1970-01-01T00:00:00Z; the clock is read where the process begins.
    pub clock: fn() -> i64,
    /// Told the bytes read so far.
    pub progress: Progress<'a>,
}

/// Whoever shows how far a load is: told the bytes read so far.
pub type Progress<'a> = &'a (dyn Fn(u64) + Send + Sync);

/// What became of an object.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Loaded {
    /// As in the ledger.
    pub status: Status,
    /// What became of its records; nothing if the ledger called it done.
    pub summary: Summary,
}

/// How the reading of an object ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Read {
    /// Everything in it is durable.
    Whole(Summary),
    /// The deadline came; everything before the checkpoint is durable.
    UpTo(Checkpoint),
    /// The pinned bytes exist no more.
    Gone,
}

/// One attempt at reading an object.
struct Reading {
    read: Read,
    /// The columns that this attempt has filled.
    columns: Dictionary,
    /// When the object was made, as its keeper says.
    created: Option<i64>,
}

/// What a reading stops at.
#[derive(Debug, Clone, Copy)]
struct Limit<'a> {
    deadline: Option<Instant>,
    /// Whether a later attempt has taken the object over.
    is_lost: Option<&'a AtomicBool>,
}

impl Limit<'_> {
    fn is_reached(self) -> bool {
        self.deadline.is_some_and(|deadline| Instant::now() >= deadline)
    }

    fn is_lost(self) -> bool {
        self.is_lost.is_some_and(|is_lost| is_lost.load(Ordering::Relaxed))
    }
}

/// What tells rows and rejects from those of earlier attempts at the same object.
#[derive(Debug, Clone, Copy, Default)]
struct Making {
    edition: u32,
    reading: u32,
}

/// Completions are kept until the rows that they complete are durable; when there are this many times the resources
/// of a batch, the writes are waited for.
const COMPLETIONS_PER_RESOURCE: usize = 10;

/// How long a load without a deadline holds its object against others, in milliseconds, unless it renews the lease.
const LEASE_MILLISECONDS: i64 = 60 * 60 * 1000;

/// How often it does.
const RENEW_EVERY: Duration = Duration::from_mins(15);

/// What a lease outlasts its deadline by: the time that writes under way may take.
const LEASE_RESERVE_MILLISECONDS: i64 = 30 * 1000;

impl<S: Sink + 'static> Line<S> {
    /// Loads an object and keeps the ledger: nothing is done for one that is done, two never load one at once, and
    /// an attempt that is interrupted leaves the next one where to go on.
    pub async fn load(
        &self,
        ledger: &Ledger,
        object: &Arc<ObjectRef>,
        job: &Job<'_>,
    ) -> Result<Loaded, Interrupted> {
        let id = object.load_id();
        let (attempt, making, object, checkpoint) = match ledger.begin(object, &self.attempt(job)).await? {
            Begun::Run { attempt, edition, reading, object, checkpoint } => {
                (attempt, Making { edition, reading }, object, checkpoint)
            }
            Begun::AlreadyDone(status) => return Ok(Loaded { status, summary: Summary::default() }),
            Begun::Busy => return Err(Interrupted::Busy),
        };
        if checkpoint.is_none() && !self.catalog.gates().is_open() {
            let (storage, catalog) = (&self.storage, &self.catalog);
            match survey::refuse(storage, catalog, self.pace, &object, job.deadline).await {
                Ok(None) => {}
                Ok(Some((closed, summary))) => {
                    let (status, now) = (Status::Refused, (job.clock)());
                    let closed = closed.iter().map(|gate| gate.as_str()).collect::<Vec<_>>().join(", ");
                    let ending =
                        Ending { status, summary: &summary, problem: Some(&closed), created: None, now };
                    ledger.finish(&id, attempt, &ending).await?;
                    return Ok(Loaded { status, summary });
                }
                Err(interrupted) => return release(ledger, &id, attempt, interrupted).await,
            }
        }
        let part = checkpoint.as_ref().map_or(0, |checkpoint| checkpoint.ordinal);
        let is_lost = AtomicBool::new(false);
        let limit = Limit { deadline: job.deadline, is_lost: Some(&is_lost) };
        let read = self.read(&object, making, checkpoint, limit, job.progress);
        let renew = || ledger.renew(&id, attempt, (job.clock)() + LEASE_MILLISECONDS);
        let read = match job.deadline {
            Some(_) => read.await,
            None => Box::pin(lease::renewing(RENEW_EVERY, renew, &is_lost, read)).await,
        };
        let now = (job.clock)();
        let filled = |columns| Filled { load: &id, attempt, part, columns, now };
        let (status, summary, created) = match read {
            Ok(Reading { read: Read::Whole(mut summary), columns, created }) => {
                summary.drift += ledger.fill(&filled(&columns)).await?;
                if making.reading > 1
                    && let Err(interrupted) = self.sink.forget_rejects(&id, making.reading).await
                {
                    return release(ledger, &id, attempt, interrupted).await;
                }
                (status_of(&summary), summary, created)
            }
            Ok(Reading { read: Read::Gone, .. }) => (Status::Gone, Summary::default(), None),
            Ok(Reading { read: Read::UpTo(mut checkpoint), columns, .. }) => {
                checkpoint.summary.drift += ledger.fill(&filled(&columns)).await?;
                ledger.checkpoint(&id, attempt, &checkpoint, now).await?;
                ledger.release(&id, attempt, &Interrupted::Deadline).await?;
                return Err(Interrupted::Deadline);
            }
            Err(interrupted) => return release(ledger, &id, attempt, interrupted).await,
        };
        let problem = (!summary.adds_up()).then_some("the sums do not add up");
        let ending = Ending { status, summary: &summary, problem, created, now };
        ledger.finish(&id, attempt, &ending).await?;
        Ok(Loaded { status, summary })
    }

    /// Reads an object and writes all of its rows and rejects. Every attempt gets further than the one before,
    /// however little time it has.
    pub async fn run(
        &self,
        object: &Arc<ObjectRef>,
        checkpoint: Option<Checkpoint>,
        deadline: Option<Instant>,
        progress: Progress<'_>,
    ) -> Result<Read, Interrupted> {
        Ok(self
            .read(object, Making::default(), checkpoint, Limit { deadline, is_lost: None }, progress)
            .await?
            .read)
    }

    async fn read(
        &self,
        object: &Arc<ObjectRef>,
        making: Making,
        checkpoint: Option<Checkpoint>,
        limit: Limit<'_>,
        progress: Progress<'_>,
    ) -> Result<Reading, Interrupted> {
        let mut bytes = match self.storage.open(object, 0).await {
            Ok(opened) => opened,
            Err(ReadFailure::Gone) => return Ok(Reading::gone()),
            Err(ReadFailure::Interrupted(interrupted)) => return Err(interrupted),
        };
        // Whoever sends to the queue can write any time into a message.
        let created = bytes.modified();
        let object = Arc::new(ObjectRef { created: created.unwrap_or(object.created), ..(**object).clone() });
        let mut decoder = Decoder::new(self.pace.decode);
        let mut assembler = Assembler::new(object, Arc::clone(&self.catalog), self.pace.batch)
            .in_edition(making.edition)
            .in_reading(making.reading);
        let mut writes = Writes::new(Arc::clone(&self.sink), self.pace.writes_at_once);
        let first = checkpoint.as_ref().map_or(0, |checkpoint| checkpoint.ordinal);
        if let Some(checkpoint) = checkpoint {
            assembler.go_on_at(checkpoint.ordinal, checkpoint.summary.records);
            writes.go_on_with(checkpoint.summary);
        }
        let completions = COMPLETIONS_PER_RESOURCE * self.pace.batch.resources;
        let mut read = 0;
        loop {
            match bytes.next_chunk().await {
                Ok(Some(chunk)) => {
                    read += chunk.len() as u64;
                    decoder.push(&chunk);
                }
                Ok(None) => break,
                Err(ReadFailure::Gone) => return Ok(Reading::gone()),
                Err(ReadFailure::Interrupted(interrupted)) => return Err(interrupted),
            }
            drain(&mut decoder, &mut assembler, &mut writes, completions).await?;
            progress(read);
            if limit.is_lost() {
                writes.settle().await?;
                return Err(Interrupted::Busy);
            }
            let is_further = assembler.next_record().1 > first;
            if is_further && limit.is_reached() {
                let checkpoint = stop(&decoder, &mut assembler, writes).await?;
                let columns = assembler.take_dictionary();
                assembler.rest();
                return Ok(Reading { read: Read::UpTo(checkpoint), columns, created });
            }
        }
        decoder.finish();
        drain(&mut decoder, &mut assembler, &mut writes, completions).await?;
        assembler.end();
        hand_on(&mut assembler, &mut writes, completions).await?;
        let summary = settle(&decoder, &mut assembler, &mut writes).await?;
        let columns = assembler.take_dictionary();
        assembler.rest();
        Ok(Reading { read: Read::Whole(summary), columns, created })
    }

    fn attempt(&self, job: &Job<'_>) -> Attempt {
        let now = (job.clock)();
        let left =
            job.deadline.map(|deadline| deadline.saturating_duration_since(Instant::now()).as_millis());
        let left =
            left.map(|left| i64::try_from(left).unwrap_or(LEASE_MILLISECONDS) + LEASE_RESERVE_MILLISECONDS);
        Attempt {
            now,
            lease: Lease { owner: job.owner.clone(), until: now + left.unwrap_or(LEASE_MILLISECONDS) },
            again: job.again,
            code: env!("CARGO_PKG_VERSION").to_owned(),
            catalog: self.catalog.version().to_owned(),
        }
    }
}

/// Gives the lease up. The interruption is what matters; a ledger that cannot be reached either lets it run out.
async fn release(ledger: &Ledger, id: &str, attempt: u32, by: Interrupted) -> Result<Loaded, Interrupted> {
    let _ledger_is_down_too = ledger.release(id, attempt, &by).await;
    Err(by)
}

impl Reading {
    fn gone() -> Self {
        Self { read: Read::Gone, columns: Dictionary::default(), created: None }
    }
}

/// Partial as soon as something was set aside, failed if nothing else came of it.
fn status_of(summary: &Summary) -> Status {
    match summary {
        _ if summary.rejected == 0 && summary.view_defects == 0 && summary.adds_up() => Status::Done,
        _ if summary.rejected == summary.records && summary.records > 0 => Status::Failed,
        _ => Status::Partial,
    }
}

/// Everything that the bytes so far allow: frames into the batch, full batches onto their way.
async fn drain<S: Sink + 'static>(
    decoder: &mut Decoder,
    assembler: &mut Assembler,
    writes: &mut Writes<S>,
    completions: usize,
) -> Result<(), Interrupted> {
    while let Some(frame) = decoder.next() {
        assembler.come_to(&frame);
        if assembler.is_waiting() {
            hand_on(assembler, writes, completions).await?;
        }
        assembler.take(&frame);
        hand_on(assembler, writes, completions).await?;
    }
    Ok(())
}

/// Hands on what is full, and what has waited for the end of a Bundle.
async fn hand_on<S: Sink + 'static>(
    assembler: &mut Assembler,
    writes: &mut Writes<S>,
    completions: usize,
) -> Result<(), Interrupted> {
    loop {
        if assembler.is_full()
            && let Some(batch) = assembler.take_batch()
        {
            writes.send(batch).await?;
        }
        if assembler.completions() > completions {
            complete(assembler, writes).await?;
        }
        if !assembler.is_waiting() {
            return assembler.fault();
        }
        assembler.take_waiting();
    }
}

/// Completions follow the rows that they complete.
async fn complete<S: Sink + 'static>(
    assembler: &mut Assembler,
    writes: &mut Writes<S>,
) -> Result<(), Interrupted> {
    if let Some(batch) = assembler.take_batch() {
        writes.send(batch).await?;
    }
    writes.settle().await?;
    match assembler.take_completions() {
        Some(completions) => writes.send(completions).await,
        None => Ok(()),
    }
}

/// Makes everything durable that was read, and says what it was.
async fn settle<S: Sink + 'static>(
    decoder: &Decoder,
    assembler: &mut Assembler,
    writes: &mut Writes<S>,
) -> Result<Summary, Interrupted> {
    complete(assembler, writes).await?;
    writes.settle().await?;
    let decoded = decoder.summary();
    let mut summary = writes.take_summary();
    summary.bytes = decoded.bytes_in;
    summary.inflated_bytes = decoded.bytes_out;
    summary.records = assembler.records();
    summary.add_checks(assembler.take_checks());
    Ok(summary)
}

/// Stops at a place from which the next attempt can go on. It reads the object from its beginning, because neither
/// a compressed stream nor a Bundle can be entered in the middle, but writes nothing a second time.
async fn stop<S: Sink + 'static>(
    decoder: &Decoder,
    assembler: &mut Assembler,
    mut writes: Writes<S>,
) -> Result<Checkpoint, Interrupted> {
    let summary = settle(decoder, assembler, &mut writes).await?;
    let (offset, ordinal, line) = assembler.next_record();
    Ok(Checkpoint { offset, ordinal, line, summary })
}
