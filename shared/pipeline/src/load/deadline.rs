//! Limits of an attempt: when it stops by itself, when what is under way is abandoned, and who may hold much memory.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use tokio::sync::{Semaphore, SemaphorePermit};
use tokio::time::timeout_at;

use crate::decode::Frame;

/// When an attempt must stop.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Deadline {
    /// When the time began to run.
    pub began: Instant,
    /// Nothing new is begun; what was read is made durable.
    pub stop: Instant,
    /// Whatever is under way then is abandoned: writes can be repeated.
    pub give_up: Instant,
}

impl Deadline {
    /// Returns the time from now until `stop`, with that reserve to finish.
    #[must_use]
    pub fn new(stop: Instant, reserve: Duration) -> Self {
        Self { began: Instant::now(), stop, give_up: stop + reserve }
    }

    /// Returns until when an attempt reads that gets no record further than the one before.
    fn work_until(self) -> Instant {
        self.stop + self.give_up.saturating_duration_since(self.stop) / 2
    }

    /// Writes under way are waited for until here; the rest is the ledger's.
    fn wait_for_writes_until(self) -> Instant {
        self.stop + self.give_up.saturating_duration_since(self.stop) * 3 / 4
    }
}

/// What an attempt stops at.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct AttemptLimit<'a> {
    pub(super) deadline: Option<Deadline>,
    /// Whether a later attempt has taken the object over.
    pub(super) is_lost: Option<&'a AtomicBool>,
    /// Whether an end was asked for.
    pub(super) is_cancelled: Option<&'a AtomicBool>,
}

impl AttemptLimit<'_> {
    pub(super) fn is_lost(self) -> bool {
        self.is_lost.is_some_and(|is_lost| is_lost.load(Ordering::Relaxed))
    }

    pub(super) fn is_cancelled(self) -> bool {
        self.is_cancelled.is_some_and(|is_cancelled| is_cancelled.load(Ordering::Relaxed))
    }

    /// Returns whether to stop now. An attempt that got no further yet has some more time.
    pub(super) fn is_reached(self, has_progressed: bool) -> bool {
        self.is_lost()
            || self.is_cancelled()
            || self.stop_at(has_progressed).is_some_and(|stop| Instant::now() >= stop)
    }

    pub(super) fn stop_at(self, has_progressed: bool) -> Option<Instant> {
        self.deadline.map(|deadline| if has_progressed { deadline.stop } else { deadline.work_until() })
    }

    pub(super) fn wait_for_writes_until(self) -> Option<Instant> {
        self.deadline.map(Deadline::wait_for_writes_until)
    }

    /// Returns whether nearly all of the time lies ahead.
    pub(super) fn is_early(self) -> bool {
        self.deadline.is_none_or(|Deadline { began, stop, .. }| {
            began.elapsed() * 4 <= stop.saturating_duration_since(began)
        })
    }

    /// Returns how old a checkpoint may be: a minute, or a quarter of the time that is left.
    pub(super) fn checkpoint_every(self) -> Duration {
        const LONGEST: Duration = Duration::from_mins(1);
        self.deadline.map_or(LONGEST, |deadline| {
            LONGEST.min(deadline.stop.saturating_duration_since(Instant::now()) / 4)
        })
    }
}

/// Large resources and large windows take turns in a process: each takes several times its bytes.
static LARGE: Semaphore = Semaphore::const_new(1);

/// The right to hold much memory.
pub(super) type Permit = SemaphorePermit<'static>;

/// Waits for the permit; `None`: until there is no time left.
pub(super) async fn permit(limit: AttemptLimit<'_>) -> Option<Permit> {
    match limit.stop_at(true) {
        Some(stop) => timeout_at(stop.into(), LARGE.acquire()).await.ok()?.ok(),
        None => LARGE.acquire().await.ok(),
    }
}

/// Waits for the permit unless it is held.
pub(super) async fn acquire_permit(held: &mut Option<Permit>, limit: AttemptLimit<'_>) -> bool {
    if held.is_none() {
        *held = permit(limit).await;
    }
    held.is_some()
}

/// Returns the bytes that a frame hands out.
pub(super) const fn bytes_of(frame: &Frame<'_>) -> usize {
    match frame {
        Frame::Resource { bytes, .. } | Frame::Entry { bytes, .. } => bytes.len(),
        Frame::BundleEnd { envelope, .. } => envelope.len(),
        Frame::Broken { .. } => 0,
    }
}
