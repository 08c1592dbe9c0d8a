//! Deletions that wait for what their Bundle says of its time.

use crate::decode::FramePlace;

use crate::spool::{Spool, SpoolReader};

/// Bytes of waiting deletions that are kept in memory; more of them go to a temporary file.
const MEMORY_BYTES: usize = 1 << 20;

/// The deletions of the Bundle at hand, in order.
#[derive(Debug)]
pub(super) struct Deletions {
    held: Spool,
}

/// A deletion that waited.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct HeldDeletion {
    pub(super) place: FramePlace,
    pub(super) key: String,
    /// Its number within its frame.
    pub(super) inside: u64,
    pub(super) newest_first: bool,
}

impl Default for Deletions {
    fn default() -> Self {
        Self { held: Spool::new(MEMORY_BYTES) }
    }
}

impl Deletions {
    pub(super) fn hold(&mut self, place: FramePlace, key: &str, inside: u64, newest_first: bool) {
        let FramePlace { ordinal, offset, length, line } = place;
        let mut record = Vec::with_capacity(48 + key.len());
        for number in [ordinal, offset, length, line, inside] {
            record.extend_from_slice(&number.to_le_bytes());
        }
        record.push(u8::from(newest_first));
        record.extend_from_slice(key.as_bytes());
        self.held.push(&record);
    }

    /// Returns whether the disk has failed.
    pub(super) const fn is_broken(&self) -> bool {
        self.held.is_broken()
    }

    pub(super) const fn is_empty(&self) -> bool {
        self.held.is_empty()
    }

    /// Hands out all that wait.
    pub(super) fn take(&mut self) -> HeldDeletions {
        HeldDeletions { records: std::mem::take(self).held.into_reader() }
    }
}

/// The deletions that waited, one after the other.
#[derive(Debug)]
pub(super) struct HeldDeletions {
    records: SpoolReader,
}

impl HeldDeletions {
    pub(super) fn next(&mut self) -> Option<HeldDeletion> {
        let record = self.records.next_record()?;
        let (numbers, rest) = record.split_at_checked(40)?;
        let mut numbers = numbers
            .chunks_exact(8)
            .map(|bytes| bytes.first_chunk().map_or(0, |bytes| u64::from_le_bytes(*bytes)));
        let mut number = || numbers.next().unwrap_or_default();
        let place = FramePlace { ordinal: number(), offset: number(), length: number(), line: number() };
        let inside = number();
        let (newest_first, key) = rest.split_first()?;
        let key = String::from_utf8_lossy(key).into_owned();
        Some(HeldDeletion { place, key, inside, newest_first: *newest_first == 1 })
    }

    /// Returns whether the disk has failed.
    pub(super) const fn is_broken(&self) -> bool {
        self.records.is_broken()
    }
}
