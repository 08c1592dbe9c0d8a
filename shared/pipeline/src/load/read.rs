//! The work of one attempt: the bytes of an object from where it begins, to rows and rejects that are durable.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Instant;

use bytes::Bytes;
use tokio::sync::SemaphorePermit;
use tokio::time::timeout_at;

use crate::assemble::Assembler;
use crate::decode::{BrokenFrame, Decoder, Frame, FramePlace, LARGE_BYTES, ResumePoint, Step};
use crate::interrupted::Interrupted;
use crate::ledger::{Checkpoint, FilledColumns};
use crate::object::{ObjectRef, Pin};
use crate::source::{Opened, ReadFailure};
use crate::summary::Summary;
use crate::writes::{BatchEnd, Writes};

use super::deadline::{AttemptLimit, Permit, acquire_permit, bytes_of};
use super::ends::{AttemptIdentity, CheckpointNotes, ReadEnd, ReadOptions, ReadReport};
use super::pipeline::{Pipeline, Progress};

/// Completions are kept until the rows that they complete are durable; when there are this many times the resources
/// of a batch, the writes are waited for.
const COMPLETIONS_PER_RESOURCE: usize = 10;

/// What an attempt reads at least, even if its time is up: the next one reads from the beginning again, and would get no
/// further.
const MIN_READ_BYTES: u64 = 256 << 10;

/// An object of so many bytes at most gives its turn back before its rows stand: it holds little while it waits for the
/// database, and small objects that wait at the same moment share their commands.
const SMALL_BYTES: u64 = 64 << 10;

/// What comes next of an object.
enum NextChunk {
    Bytes(Bytes),
    /// The object's end.
    End,
    /// The time is up.
    TimeIsUp,
}

/// What a step asked for that could not go on.
enum Drained {
    NeedsBytes,
    Stop,
}

struct ReadRun<'a> {
    object: &'a Arc<ObjectRef>,
    identity: AttemptIdentity,
    created: Option<i64>,
    limit: AttemptLimit<'a>,
    notes: Option<CheckpointNotes<'a>>,
    turn: Option<SemaphorePermit<'a>>,
    checkpoint: Option<Checkpoint>,
    is_last: bool,
    decoder: Decoder,
    assembler: Assembler,
    writes: Writes,
    max_completions: usize,
    /// Ordinal of the record at which this attempt goes on.
    start_ordinal: u64,
    /// Ordinal of the record that the last checkpoint names.
    checkpoint_ordinal: u64,
    next_note: Instant,
    permit: Option<Permit>,
    /// Whether the permit was waited for in vain.
    is_waiting: bool,
}

/// Reads an object and writes all of its rows and rejects.
pub(super) async fn read(
    pipeline: &Pipeline,
    object: &Arc<ObjectRef>,
    options: ReadOptions<'_>,
    progress: Progress<'_>,
) -> ReadReport {
    let limit = options.limit;
    let mut run = ReadRun::new(pipeline, object, options);
    let work = run.run(pipeline, progress);
    let end = match limit.wait_for_writes_until() {
        None => work.await,
        Some(until) => match timeout_at(until.into(), work).await {
            Ok(end) => end,
            Err(_) if run.writes.is_running() => Ok(run.abandon()),
            Err(_) => Ok(ReadEnd::Stalled { had_time: false }),
        },
    };
    run.ended(end)
}

impl<'a> ReadRun<'a> {
    fn new(pipeline: &Pipeline, object: &'a Arc<ObjectRef>, options: ReadOptions<'a>) -> Self {
        let ReadOptions { limit, identity, checkpoint, is_last, notes, turn } = options;
        let limits = pipeline.limits;
        let mut writes = Writes::new(Arc::clone(&pipeline.store), limits.writes_at_once, limits.batch.bytes);
        if let Some(checkpoint) = &checkpoint {
            writes.go_on_with(checkpoint.summary.clone());
        }
        let start_ordinal = checkpoint.as_ref().map_or(0, |checkpoint| checkpoint.ordinal);
        let point = checkpoint.as_ref().and_then(|checkpoint| resume_point(object, checkpoint));
        Self {
            object,
            identity,
            created: None,
            limit,
            notes,
            turn,
            is_last,
            decoder: point
                .map_or_else(|| Decoder::new(limits.decode), |point| Decoder::resume(limits.decode, point)),
            // Made again in `begin_at`, where the time of the object is known.
            assembler: Assembler::new(Arc::clone(object), Arc::clone(&pipeline.catalog), limits.batch),
            writes,
            max_completions: COMPLETIONS_PER_RESOURCE * limits.batch.resources,
            start_ordinal,
            checkpoint_ordinal: start_ordinal,
            next_note: Instant::now() + limit.checkpoint_every(),
            checkpoint,
            permit: None,
            is_waiting: false,
        }
    }

    async fn run(&mut self, pipeline: &Pipeline, progress: Progress<'_>) -> Result<ReadEnd, Interrupted> {
        let is_early = self.limit.is_early();
        let mut read = self.decoder.summary().bytes_in;
        let mut bytes = match pipeline.storage.open(self.object, read).await {
            Ok(opened) => opened,
            Err(ReadFailure::Gone) => return Ok(self.gone()),
            Err(ReadFailure::Interrupted(interrupted)) => return Err(interrupted),
        };
        self.begin_at(bytes.modified(), pipeline);
        loop {
            match self.next_chunk(&mut bytes).await {
                Ok(NextChunk::Bytes(chunk)) => {
                    read += chunk.len() as u64;
                    self.decoder.push(&chunk);
                }
                Ok(NextChunk::End) => break,
                Ok(NextChunk::TimeIsUp) => return self.stop(is_early).await,
                Err(ReadFailure::Gone) if read == 0 => return Ok(self.gone()),
                Err(ReadFailure::Gone) => return self.cut(BrokenFrame::ObjectGone).await,
                Err(ReadFailure::Interrupted(interrupted)) => return self.fail(interrupted).await,
            }
            if let Drained::Stop = self.drain().await? {
                return self.stop(is_early).await;
            }
            progress(read);
            if self.limit.is_reached(self.has_progressed()) {
                return self.stop(is_early).await;
            }
            if Instant::now() >= self.next_note && self.has_progressed() {
                self.note().await?;
            }
        }
        self.decoder.finish();
        if let Drained::Stop = self.drain().await? {
            return self.stop(is_early).await;
        }
        self.assembler.end();
        self.hand_on(false).await?;
        if self.decoder.summary().bytes_out <= SMALL_BYTES {
            self.turn = None;
        }
        Ok(ReadEnd::Whole(self.make_durable().await?))
    }

    /// Makes the assembler of the object with the time that S3 gives: a sender to the queue can write any time into a
    /// message.
    fn begin_at(&mut self, created: Option<i64>, pipeline: &Pipeline) {
        let made = created.unwrap_or(self.object.created);
        let object = Arc::new(ObjectRef { created: made, ..(**self.object).clone() });
        self.assembler = Assembler::new(object, Arc::clone(&pipeline.catalog), pipeline.limits.batch)
            .in_edition(self.identity.edition)
            .in_reading(self.identity.reading, self.identity.begun);
        self.created = created;
        if let Some(checkpoint) = &self.checkpoint {
            let Summary { records, rejected, view_defects, .. } = checkpoint.summary;
            self.assembler.resume_from(checkpoint.ordinal, records, rejected + view_defects);
        }
    }

    /// Reads the next chunk, if there is time for one.
    async fn next_chunk(&self, opened: &mut Opened) -> Result<NextChunk, ReadFailure> {
        let chunk = match self.limit.stop_at(self.has_progressed()) {
            None => opened.next_chunk().await,
            Some(stop) => match timeout_at(stop.into(), opened.next_chunk()).await {
                Ok(chunk) => chunk,
                Err(_) => return Ok(NextChunk::TimeIsUp),
            },
        };
        Ok(chunk?.map_or(NextChunk::End, NextChunk::Bytes))
    }

    /// Does all that the bytes so far allow: puts frames into the batch, sends full batches.
    async fn drain(&mut self) -> Result<Drained, Interrupted> {
        loop {
            if self.limit.is_reached(self.has_read_minimum()) {
                return Ok(Drained::Stop);
            }
            if self.add_whole_line() {
                self.hand_on(false).await?;
                continue;
            }
            let is_large = match self.decoder.step() {
                Step::NeedsBytes => return Ok(Drained::NeedsBytes),
                Step::Pause => false,
                Step::NeedsPermit => {
                    if !acquire_permit(&mut self.permit, self.limit).await {
                        self.is_waiting = true;
                        return Ok(Drained::Stop);
                    }
                    self.decoder.allow_large(true);
                    continue;
                }
                Step::Frame(frame) => {
                    let is_large = bytes_of(&frame) > LARGE_BYTES;
                    if is_large && !acquire_permit(&mut self.permit, self.limit).await {
                        self.is_waiting = true;
                        return Ok(Drained::Stop);
                    }
                    self.assembler.add_frame(&frame);
                    is_large
                }
            };
            if is_large {
                self.assembler.shrink();
            }
            self.hand_on(is_large).await?;
            if self.permit.is_some() && !self.decoder.is_large() {
                self.writes.wait_for_all().await?;
                self.decoder.allow_large(false);
                self.permit = None;
            }
        }
    }

    /// Takes the next line of NDJSON if it is a frame by itself, which spares the decoder to look for its end.
    fn add_whole_line(&mut self) -> bool {
        if let Some((place, line)) = self.decoder.line_ahead().filter(|_| self.permit.is_none())
            && self.assembler.add_line(place, line)
        {
            self.decoder.consume_line(place);
            return true;
        }
        false
    }

    /// Hands on what is full, and what has waited for the end of a Bundle.
    async fn hand_on(&mut self, is_large: bool) -> Result<(), Interrupted> {
        loop {
            if self.assembler.is_full() || is_large {
                self.send().await?;
            }
            if self.assembler.completions() > self.max_completions {
                self.complete().await?;
            }
            if !self.assembler.is_waiting() {
                return self.assembler.fault();
            }
            self.assembler.flush_waiting();
        }
    }

    /// Returns whether it got so far that it may stop before the chunk ends.
    fn has_read_minimum(&self) -> bool {
        let from = self.checkpoint.as_ref().map_or(0, |checkpoint| checkpoint.offset);
        self.has_progressed() && self.assembler.next_record().0.saturating_sub(from) >= MIN_READ_BYTES
    }

    fn has_progressed(&self) -> bool {
        self.assembler.next_record().1 > self.start_ordinal
    }

    async fn send(&mut self) -> Result<(), Interrupted> {
        let Some(batch) = self.assembler.take_batch() else { return Ok(()) };
        let (checks, end) = (self.assembler.take_checks(), self.batch_end());
        let sent = self.writes.send(batch, checks, end).await;
        self.or_end(sent).await
    }

    /// Returns the place behind what was taken; `None` while something before it waits.
    fn batch_end(&self) -> Option<BatchEnd> {
        let (offset, ordinal) = self.assembler.next_record();
        let line = self.decoder.resume_point().filter(|point| point.ordinal == ordinal);
        let line = line.map(|point| point.line);
        let end = BatchEnd { offset, ordinal, line, records: self.assembler.records() };
        (self.assembler.completions() == 0 && !self.assembler.is_waiting()).then_some(end)
    }

    /// Completions follow the rows that they complete.
    async fn complete(&mut self) -> Result<(), Interrupted> {
        self.send().await?;
        let durable = self.writes.wait_for_all().await;
        self.or_end(durable).await?;
        let Some(completions) = self.assembler.take_completions() else { return Ok(()) };
        let end = self.batch_end();
        let sent = self.writes.send(completions, BTreeMap::new(), end).await;
        self.or_end(sent).await
    }

    /// Makes everything durable that was read, and says what it was.
    async fn make_durable(&mut self) -> Result<Summary, Interrupted> {
        self.complete().await?;
        let durable = self.writes.wait_for_all().await;
        self.or_end(durable).await?;
        self.writes.add_checks(self.assembler.take_checks());
        let decoded = self.decoder.summary();
        Ok(Summary {
            bytes: decoded.bytes_in,
            inflated_bytes: decoded.bytes_out,
            records: self.assembler.records(),
            ..self.writes.summary().clone()
        })
    }

    /// Waits for the other writes after a failed one: the lease is given up only when nothing is under way.
    async fn or_end(&mut self, outcome: Result<(), Interrupted>) -> Result<(), Interrupted> {
        if outcome.is_err() {
            self.writes.end().await;
        }
        outcome
    }

    async fn fail(&mut self, interrupted: Interrupted) -> Result<ReadEnd, Interrupted> {
        self.writes.end().await;
        Err(interrupted)
    }

    /// Makes durable what was read and notes it, so that whatever happens next, another attempt goes on here.
    async fn note(&mut self) -> Result<(), Interrupted> {
        if let Some(CheckpointNotes { ledger, id, attempt, clock }) = self.notes {
            let summary = self.make_durable().await?;
            let mut checkpoint = self.checkpoint_of(summary);
            let (columns, first_ordinal, now) =
                (self.assembler.take_dictionary(), self.checkpoint_ordinal, clock());
            let drift = ledger
                .fill(&FilledColumns { load: id, attempt, first_ordinal, columns: &columns, now })
                .await?;
            self.writes.add_drift(drift.clone());
            checkpoint.summary.drift += drift;
            ledger.checkpoint(id, attempt, &checkpoint).await?;
            self.checkpoint_ordinal = checkpoint.ordinal;
        }
        self.next_note = Instant::now() + self.limit.checkpoint_every();
        Ok(())
    }

    fn checkpoint_of(&self, summary: Summary) -> Checkpoint {
        let (offset, ordinal) = self.assembler.next_record();
        let line = self.decoder.resume_point().filter(|point| point.ordinal == ordinal);
        Checkpoint { offset, ordinal, line: line.map(|point| point.line), summary }
    }

    /// Stops at a place from which the next attempt can go on.
    async fn stop(&mut self, is_early: bool) -> Result<ReadEnd, Interrupted> {
        if self.limit.is_lost() {
            self.writes.wait_for_all().await?;
            return Err(Interrupted::Busy);
        }
        if self.has_progressed() {
            let summary = self.make_durable().await?;
            return Ok(ReadEnd::Stopped(self.checkpoint_of(summary)));
        }
        let had_time = is_early && !self.is_waiting && !self.limit.is_cancelled();
        if had_time && self.is_last {
            return self.cut(BrokenFrame::TooSlow).await;
        }
        Ok(ReadEnd::Stalled { had_time })
    }

    /// Ends the load early. What was read is kept; one reject says why the rest is missing.
    async fn cut(&mut self, reason: BrokenFrame) -> Result<ReadEnd, Interrupted> {
        let (mut offset, mut ordinal) = self.assembler.next_record();
        if let Some(checkpoint) = self.checkpoint.as_ref().filter(|checkpoint| checkpoint.ordinal > ordinal) {
            (offset, ordinal) = (checkpoint.offset, checkpoint.ordinal);
        }
        let place = FramePlace { ordinal, offset, length: 0, line: self.decoder.line() };
        self.assembler.add_frame(&Frame::Broken { place, reason });
        self.assembler.end();
        self.hand_on(false).await?;
        Ok(ReadEnd::Cut(self.make_durable().await?, reason))
    }

    /// Ends the load of an object that is gone. What an earlier attempt has written is kept.
    fn gone(&mut self) -> ReadEnd {
        let checkpoint = self.checkpoint.take();
        checkpoint
            .map_or(ReadEnd::Gone, |checkpoint| ReadEnd::Cut(checkpoint.summary, BrokenFrame::ObjectGone))
    }

    fn abandon(&mut self) -> ReadEnd {
        let decoded = self.decoder.summary();
        ReadEnd::Abandoned(self.writes.take_checkpoint().map(|mut checkpoint| {
            checkpoint.summary.bytes = decoded.bytes_in;
            checkpoint.summary.inflated_bytes = decoded.bytes_out;
            checkpoint
        }))
    }

    fn ended(self, end: Result<ReadEnd, Interrupted>) -> ReadReport {
        let Self { mut assembler, writes, checkpoint_ordinal: first_ordinal, created, .. } = self;
        let (columns, has_manifest) = (assembler.take_dictionary(), assembler.has_manifest());
        assembler.recycle();
        ReadReport { end, columns, first_ordinal, has_written: writes.has_sent(), has_manifest, created }
    }
}

/// Returns where reading can begin in the middle: only in plain NDJSON whose bytes are pinned.
fn resume_point(object: &ObjectRef, checkpoint: &Checkpoint) -> Option<ResumePoint> {
    let Checkpoint { offset, ordinal, line, .. } = *checkpoint;
    let is_pinned = object.pin != Pin::Latest;
    line.filter(|_| is_pinned).map(|line| ResumePoint { offset, ordinal, line })
}
