//! How the work of an attempt begins and ends.

use flatten::dictionary::Dictionary;
use tokio::sync::SemaphorePermit;

use crate::decode::BrokenFrame;
use crate::interrupted::Interrupted;
use crate::ledger::{Checkpoint, Ledger};
use crate::summary::Summary;

use super::deadline::AttemptLimit;

/// How an attempt ended.
#[derive(Debug)]
pub(super) enum ReadEnd {
    /// Everything in it is durable.
    Whole(Summary),
    /// Everything before the checkpoint is durable, and nothing is under way.
    Stopped(Checkpoint),
    /// The time was up with writes under way. Everything before the checkpoint is durable.
    Abandoned(Option<Checkpoint>),
    /// The time was up before it got any further.
    Stalled {
        /// Whether it had the time of an invocation.
        had_time: bool,
    },
    /// The pinned bytes exist no more; nothing was read.
    Gone,
    /// Everything before some place is durable, and what follows is out of reach: a reject says so.
    Cut(Summary, BrokenFrame),
}

/// How an attempt ended, and what it has filled.
pub(super) struct ReadReport {
    pub(super) end: Result<ReadEnd, Interrupted>,
    /// The columns that were filled since the last checkpoint.
    pub(super) columns: Dictionary,
    /// The ordinal of the first record that has filled them.
    pub(super) first_ordinal: u64,
    pub(super) has_written: bool,
    pub(super) has_manifest: bool,
    /// When the object was made, as S3 says.
    pub(super) created: Option<i64>,
}

/// What tells rows and rejects from those of earlier attempts at the same object.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct AttemptIdentity {
    pub(super) edition: u32,
    pub(super) reading: u32,
    /// When the attempt began.
    pub(super) begun: i64,
}

/// How an attempt reads: until when, from where, and what it notes on its way.
#[derive(Default)]
pub(super) struct ReadOptions<'a> {
    /// How long it may work.
    pub(super) limit: AttemptLimit<'a>,
    pub(super) identity: AttemptIdentity,
    pub(super) checkpoint: Option<Checkpoint>,
    /// Whether attempts before were stopped at the same place so often that this is the last one.
    pub(super) is_last: bool,
    pub(super) notes: Option<CheckpointNotes<'a>>,
    /// The turn of an attempt that shares its turns with others.
    pub(super) turn: Option<SemaphorePermit<'a>>,
}

/// Where checkpoints are noted.
#[derive(Clone, Copy)]
pub(super) struct CheckpointNotes<'a> {
    pub(super) ledger: &'a Ledger,
    pub(super) id: &'a str,
    pub(super) attempt: u32,
    pub(super) clock: fn() -> i64,
}
