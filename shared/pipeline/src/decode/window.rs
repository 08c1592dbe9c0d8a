//! The stretch of the inflated stream that is still needed, addressed by offsets in the stream.

use memchr::memchr_iter;

/// Beyond this capacity an emptied buffer is given back: a giant resource has passed.
const KEPT_BYTES: usize = 4 << 20;
/// What the buffer grows by at least.
pub(super) const ROOM_BYTES: usize = 128 << 10;

/// A sliding buffer. Offsets are absolute, so that nothing needs adjusting when it slides.
#[derive(Debug)]
pub(super) struct Window {
    bytes: Vec<u8>,
    /// The offset of `bytes`' first byte.
    base: u64,
    /// Everything before this offset may be dropped at the next append.
    released: u64,
    /// Newlines are counted up to this offset.
    counted: u64,
    line: u64,
    max_resource_bytes: usize,
}

impl Window {
    pub(super) const fn new(max_resource_bytes: usize) -> Self {
        Self { bytes: Vec::new(), base: 0, released: 0, counted: 0, line: 1, max_resource_bytes }
    }

    /// Returns a window that begins in the middle of a stream.
    pub(super) fn begin_at(offset: u64, line: u64, max_resource_bytes: usize) -> Self {
        Self { base: offset, released: offset, counted: offset, line, ..Self::new(max_resource_bytes) }
    }

    /// Returns how many bytes are still needed.
    pub(super) fn held(&self) -> u64 {
        self.end().saturating_sub(self.released)
    }

    /// Returns the offset behind the last byte.
    pub(super) fn end(&self) -> u64 {
        self.base + self.bytes.len() as u64
    }

    /// Returns what the buffer holds now.
    pub(super) fn view(&self) -> View<'_> {
        View { bytes: &self.bytes, base: self.base }
    }

    /// Says that nothing before `to` is needed any more. The bytes stay readable until the next append.
    pub(super) fn release(&mut self, to: u64) {
        self.line_at(to);
        self.released = self.released.max(to);
    }

    /// Returns the line of the byte at `at`, from 1. Ask in rising order: lines are counted once.
    pub(super) fn line_at(&mut self, at: u64) -> u64 {
        if at > self.counted {
            self.line += memchr_iter(b'\n', self.view().slice(self.counted, at)).count() as u64;
            self.counted = at;
        }
        self.line
    }

    /// Returns the line behind the newline at `newline_at`, if the lines up to there are counted.
    pub(super) fn line_behind(&self, newline_at: u64) -> Option<u64> {
        (self.counted == newline_at).then_some(self.line + 1)
    }

    /// Says that one newline stands between `newline_at` and `to`, at the beginning, and nothing before `to` is needed.
    pub(super) fn release_line(&mut self, newline_at: u64, to: u64) {
        if self.counted == newline_at {
            self.line += 1;
            self.counted = to;
        }
        self.release(to);
    }

    pub(super) fn append(&mut self, bytes: &[u8]) {
        self.make_room(bytes.len());
        self.bytes.extend_from_slice(bytes);
    }

    /// Returns the buffer with room behind its last byte, for a decompressor to write into.
    pub(super) fn room(&mut self) -> &mut Vec<u8> {
        self.make_room(ROOM_BYTES);
        &mut self.bytes
    }

    /// Drops what was released, gives a giant buffer back and grows by doubling, but never far beyond
    /// the largest resource: the allocation is as bounded as what it holds.
    fn make_room(&mut self, more: usize) {
        let released = self.view().index(self.released).min(self.bytes.len());
        if released > 0 {
            self.bytes.drain(..released);
            self.base += released as u64;
        }
        let needed = self.bytes.len() + more;
        if self.bytes.capacity() > KEPT_BYTES && needed < self.bytes.capacity() / 8 {
            self.bytes.shrink_to(needed);
        }
        if needed > self.bytes.capacity() {
            let doubled = (self.bytes.capacity() * 2).min(self.max_resource_bytes.saturating_add(ROOM_BYTES));
            self.bytes.reserve_exact(needed.max(doubled).max(ROOM_BYTES) - self.bytes.len());
        }
    }

    #[cfg(test)]
    pub(super) fn capacity(&self) -> usize {
        self.bytes.capacity()
    }
}

/// A look at the buffer: bytes addressed by their offset in the stream.
#[derive(Debug, Clone, Copy)]
pub(super) struct View<'a> {
    bytes: &'a [u8],
    base: u64,
}

impl<'a> View<'a> {
    /// Returns a stream of its own, from offset 0.
    pub(super) const fn of(bytes: &'a [u8]) -> Self {
        Self { bytes, base: 0 }
    }

    /// Returns the bytes from `from` up to `to`; empty where they are gone or not yet here.
    pub(super) fn slice(self, from: u64, to: u64) -> &'a [u8] {
        self.bytes.get(self.index(from)..self.index(to)).unwrap_or_default()
    }

    /// Returns the bytes from `at` to the end of the buffer.
    pub(super) fn from(self, at: u64) -> &'a [u8] {
        self.bytes.get(self.index(at)..).unwrap_or_default()
    }

    fn index(self, at: u64) -> usize {
        at.checked_sub(self.base).and_then(|index| usize::try_from(index).ok()).unwrap_or(usize::MAX)
    }
}
