//! The scan for the few bytes that matter: brackets and quotes at shallow depth, and line breaks.

use super::blocks::{BLOCK_BYTES, Masks, escaped, parity};
use super::window::View;

/// What the scan stopped at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum ScanEvent {
    /// `{` or `[`; the depth is the one outside of it.
    Open,
    /// `}` or `]`; the depth is the one outside of it.
    Close,
    /// The quote that begins a string.
    StringStart,
    /// The quote that ends a string.
    StringEnd,
    /// A newline, in a string or not.
    Newline,
    /// A `{` directly behind a newline, in a string or not. Outside of strings its `Open` may follow.
    BraceAtLineStart {
        /// Whether the scan believes to be in a string there.
        in_string: bool,
    },
}

/// An event, where it is, and at which depth.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct SeenEvent {
    pub(super) at: u64,
    pub(super) event: ScanEvent,
    pub(super) depth: u32,
}

/// Which line breaks are events.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Watch {
    /// None: the value may run over as many lines as it likes.
    Nothing,
    /// Those before a `{` in the first column: the value's line may have been cut.
    BracesAtLineStart,
    /// All: in NDJSON a line ends the value.
    Newlines,
}

/// A resumable scan from one offset on. It never looks at a byte twice, and a block deeper than what is
/// asked for costs two population counts.
#[derive(Debug, Clone)]
pub(super) struct Scanner {
    /// The offset behind the last byte that was classified.
    classified: u64,
    depth: u32,
    pub(super) watch: Watch,
    /// All ones inside a string, else zero.
    in_string: u64,
    escape_before: u64,
    newline_before: u64,
    block: BlockEvents,
}

/// The events of the current block that are still to come.
#[derive(Debug, Clone, Copy, Default)]
struct BlockEvents {
    base: u64,
    open: u64,
    close: u64,
    quote: u64,
    /// Inside a string, its first quote included.
    inside: u64,
    newline: u64,
    brace_at_line_start: u64,
}

impl Scanner {
    /// Returns a scan that begins outside of strings at `at`, within `depth` brackets.
    pub(super) fn new(at: u64, depth: u32, watch: Watch) -> Self {
        let block = BlockEvents::default();
        Self { classified: at, depth, watch, in_string: 0, escape_before: 0, newline_before: 0, block }
    }

    /// Returns the offset up to which every event has been reported.
    pub(super) const fn scanned_to(&self) -> u64 {
        self.classified
    }

    /// Returns the next line break that is watched, bracket with at most `floor` brackets around it, or quote within at
    /// most `floor` brackets; `None` when the view holds no more.
    #[inline]
    pub(super) fn next(&mut self, view: View<'_>, floor: u32) -> Option<SeenEvent> {
        loop {
            if let Some(seen) = self.next_in_block(floor) {
                return Some(seen);
            }
            if !self.next_block(view) {
                return None;
            }
        }
    }

    #[inline]
    fn next_in_block(&mut self, floor: u32) -> Option<SeenEvent> {
        let watched = self.watched();
        if watched == 0 && self.depth > floor + self.block.close.count_ones() {
            self.depth += self.block.open.count_ones();
            self.depth -= self.block.close.count_ones();
            (self.block.open, self.block.close, self.block.quote) = (0, 0, 0);
            return None;
        }
        self.walk(watched, floor)
    }

    fn walk(&mut self, watched: u64, floor: u32) -> Option<SeenEvent> {
        loop {
            let quotes = if self.depth <= floor { self.block.quote } else { 0 };
            let all = self.block.open | self.block.close | quotes | watched;
            if all == 0 {
                self.block.quote = 0;
                return None;
            }
            let bit = all & all.wrapping_neg();
            let at = self.block.base + u64::from(all.trailing_zeros());
            if watched & bit != 0 {
                return Some(self.line_break(bit, at));
            }
            if let Some(event) = self.bracket_or_quote(bit, floor) {
                return Some(SeenEvent {
                    at,
                    event,
                    depth: self.depth - u32::from(event == ScanEvent::Open),
                });
            }
        }
    }

    /// Takes the bit off the masks. A closing bracket too many leaves the depth at 0.
    fn bracket_or_quote(&mut self, bit: u64, floor: u32) -> Option<ScanEvent> {
        // The quotes that were passed over at greater depth go too.
        self.block.quote &= !(bit | (bit - 1));
        if self.block.open & bit != 0 {
            self.block.open ^= bit;
            self.depth += 1;
            (self.depth <= floor + 1).then_some(ScanEvent::Open)
        } else if self.block.close & bit != 0 {
            self.block.close ^= bit;
            self.depth = self.depth.saturating_sub(1);
            (self.depth <= floor).then_some(ScanEvent::Close)
        } else if self.block.inside & bit != 0 {
            Some(ScanEvent::StringStart)
        } else {
            Some(ScanEvent::StringEnd)
        }
    }

    const fn line_break(&mut self, bit: u64, at: u64) -> SeenEvent {
        let event = if matches!(self.watch, Watch::Newlines) {
            ScanEvent::Newline
        } else {
            ScanEvent::BraceAtLineStart { in_string: self.block.inside & bit != 0 }
        };
        self.block.newline &= !(bit | (bit - 1));
        self.block.brace_at_line_start &= !(bit | (bit - 1));
        SeenEvent { at, event, depth: self.depth }
    }

    const fn watched(&self) -> u64 {
        match self.watch {
            Watch::Nothing => 0,
            Watch::BracesAtLineStart => self.block.brace_at_line_start,
            Watch::Newlines => self.block.newline,
        }
    }

    /// Classifies up to 64 more bytes. The last block of the view is filled up with zero bytes, which
    /// are nothing; the next one then begins behind its last true byte.
    #[inline]
    fn next_block(&mut self, view: View<'_>) -> bool {
        let bytes = view.from(self.classified);
        let lines = self.watch != Watch::Nothing;
        let (masks, length) = if let Some(block) = bytes.first_chunk::<BLOCK_BYTES>() {
            (Masks::of(block, lines), BLOCK_BYTES)
        } else if bytes.is_empty() {
            return false;
        } else {
            let mut block = [0; BLOCK_BYTES];
            block.iter_mut().zip(bytes).for_each(|(slot, byte)| *slot = *byte);
            (Masks::of(&block, lines), bytes.len())
        };
        let line_starts = masks.open & (masks.newline << 1 | self.newline_before);
        let braces = if line_starts == 0 { 0 } else { braces_of(line_starts, bytes) };
        self.set_block(&masks, braces, length - 1);
        self.classified += length as u64;
        true
    }

    #[inline]
    fn set_block(&mut self, masks: &Masks, braces: u64, last_bit: usize) {
        let (escaped, escaping) = escaped(masks.backslash, self.escape_before);
        let quote = masks.quote & !escaped;
        let inside = parity(quote) ^ self.in_string;
        self.block = BlockEvents {
            base: self.classified,
            open: masks.open & !inside,
            close: masks.close & !inside,
            quote,
            inside,
            newline: masks.newline,
            brace_at_line_start: braces,
        };
        self.in_string = 0_u64.wrapping_sub(inside >> last_bit & 1);
        self.escape_before = escaping >> last_bit & 1;
        self.newline_before = masks.newline >> last_bit & 1;
    }
}

/// Returns those bits of a mask whose bytes are `{` and not `[`.
fn braces_of(mut mask: u64, bytes: &[u8]) -> u64 {
    let mut braces = 0;
    while mask != 0 {
        let bit = mask & mask.wrapping_neg();
        if bytes.get(mask.trailing_zeros() as usize) == Some(&b'{') {
            braces |= bit;
        }
        mask ^= bit;
    }
    braces
}
