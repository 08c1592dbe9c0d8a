//! One object, from its first byte to its last row.

use std::sync::Arc;
use std::time::{Duration, Instant};

use flatten::catalog::Catalog;

use crate::assemble::{Assembler, BatchLimits};
use crate::decode::{self, Decoder};
use crate::interrupted::Interrupted;
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

/// How a load went on so far, for whoever shows it.
pub type Progress<'a> = &'a (dyn Fn(u64) + Send + Sync);

/// Completions are kept until the rows that they complete are durable; at this many the writes are waited for.
const COMPLETIONS: usize = 50_000;

/// Time that is left untouched before a deadline: for the writes under way and the ledger.
const RESERVE: Duration = Duration::from_secs(10);

impl<S: Sink + 'static> Line<S> {
    /// Reads an object and writes all of its rows and rejects. `None`: the object is gone.
    ///
    /// When this returns a summary, everything that the object holds is durable, and the summary adds up.
    pub async fn run(
        &self,
        object: &Arc<ObjectRef>,
        deadline: Option<Instant>,
        progress: Progress<'_>,
    ) -> Result<Option<Summary>, Interrupted> {
        let mut bytes = match self.storage.open(object, 0).await {
            Ok(opened) => opened,
            Err(ReadFailure::Gone) => return Ok(None),
            Err(ReadFailure::Interrupted(interrupted)) => return Err(interrupted),
        };
        let mut decoder = Decoder::new(self.pace.decode);
        let mut assembler = Assembler::new(Arc::clone(object), Arc::clone(&self.catalog), self.pace.batch);
        let mut writes = Writes::new(Arc::clone(&self.sink), self.pace.writes_at_once);
        let mut read = 0;
        loop {
            match bytes.next_chunk().await {
                Ok(Some(chunk)) => {
                    read += chunk.len() as u64;
                    decoder.push(&chunk);
                }
                Ok(None) => break,
                Err(ReadFailure::Gone) => return Ok(None),
                Err(ReadFailure::Interrupted(interrupted)) => return Err(interrupted),
            }
            drain(&mut decoder, &mut assembler, &mut writes).await?;
            progress(read);
            if deadline.is_some_and(|deadline| Instant::now() + RESERVE > deadline) {
                return Err(Interrupted::Deadline);
            }
        }
        decoder.finish();
        drain(&mut decoder, &mut assembler, &mut writes).await?;
        finish(&decoder, assembler, writes).await.map(Some)
    }
}

/// Everything that the bytes so far allow: frames into the batch, full batches onto their way.
async fn drain<S: Sink + 'static>(
    decoder: &mut Decoder,
    assembler: &mut Assembler,
    writes: &mut Writes<S>,
) -> Result<(), Interrupted> {
    while let Some(frame) = decoder.next() {
        assembler.take(&frame);
        if assembler.is_full()
            && let Some(batch) = assembler.take_batch()
        {
            writes.send(batch).await?;
        }
        if assembler.completions() > COMPLETIONS {
            complete(assembler, writes).await?;
        }
    }
    Ok(())
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
    if let Some(completions) = assembler.take_completions() {
        writes.send(completions).await?;
    }
    Ok(())
}

async fn finish<S: Sink + 'static>(
    decoder: &Decoder,
    mut assembler: Assembler,
    mut writes: Writes<S>,
) -> Result<Summary, Interrupted> {
    complete(&mut assembler, &mut writes).await?;
    writes.settle().await?;
    let decoded = decoder.summary();
    let mut summary = writes.take_summary();
    summary.bytes = decoded.bytes_in;
    summary.inflated_bytes = decoded.bytes_out;
    summary.records = assembler.records();
    Ok(summary)
}
