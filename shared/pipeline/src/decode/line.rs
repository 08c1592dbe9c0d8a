//! Whole lines of NDJSON, for callers that parse every line anyway.
//!
//! The framer looks for quotes and brackets to find out where a value ends. Amid NDJSON the line says so already, if it
//! is one JSON object: the parser of the line finds that out and needs no framer. All other lines are read by the
//! framer, so that what is broken is broken in the same way.

use memchr::memchr;

use super::Decoder;
use super::frame::FramePlace;
use super::framer::{Framer, FramerState, Gap, Level, Span, What};
use super::window::Window;

/// Longer lines are left to the framer, which asks for permission before it holds much.
const MOST_BYTES: usize = 1 << 20;

impl Decoder {
    /// Returns the next line of NDJSON, if it may be an object. [`consume_line`](Self::consume_line) takes it if the
    /// line is one JSON object whose first member is `resourceType`, and that is not `Bundle`; otherwise the next frame
    /// is what [`step`](Self::step) says, and that must be asked.
    #[must_use]
    pub fn line_ahead(&self) -> Option<(FramePlace, &[u8])> {
        self.framer.line_ahead(&self.window)
    }

    /// Takes the line whose place [`line_ahead`](Self::line_ahead) has returned last as a frame that is a resource.
    pub fn consume_line(&mut self, place: FramePlace) {
        self.framer.consume_line(place, &mut self.window);
        self.paused_at = self.window.end();
    }
}

impl Framer {
    fn line_ahead<'w>(&self, window: &'w Window) -> Option<(FramePlace, &'w [u8])> {
        let FramerState::Gap(gap) = self.state else { return None };
        if !self.newline_ends_value() || self.level() != Level::Top {
            return None;
        }
        let line = window.view().from(gap.at).strip_prefix(b"\n")?;
        if line.first() != Some(&b'{') {
            return None;
        }
        let end = memchr(b'\n', line.get(..MOST_BYTES.min(line.len()))?)?;
        let bytes = line.get(..end).filter(|bytes| bytes.ends_with(b"}"))?;
        let length = bytes.len() as u64;
        if length > self.max_bytes {
            return None;
        }
        let place = FramePlace {
            ordinal: self.frames,
            offset: gap.at + 1,
            length,
            line: window.line_behind(gap.at)?,
        };
        Some((place, bytes))
    }

    fn consume_line(&mut self, place: FramePlace, window: &mut Window) {
        let FramePlace { offset, length, line, .. } = place;
        window.release_line(offset - 1, offset + length);
        self.value_begins(b'{', line);
        let span = Span { start: offset, end: offset + length, line };
        self.emit(What::Resource, span, Gap::behind(span.end), window);
    }
}
