//! The framer: where one value ends and the next begins, at the top, in an array and in a Bundle.

use std::mem;

use super::frame::{BrokenFrame, FramePlace, ResumePoint, Shape};
use super::scan::Watch;
use super::unit::{Role, Unit, UnitStart};
use super::window::Window;

pub(super) const BYTE_ORDER_MARK: &[u8] = b"\xEF\xBB\xBF";

/// White space behind a value that is looked through for text at most.
pub(super) const TRAILING_SPACE_BYTES: u64 = 4096;

/// A frame that is ready; its bytes are those at its place.
#[derive(Debug, Clone, Copy)]
pub(super) struct Ready {
    pub(super) place: FramePlace,
    pub(super) what: What,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum What {
    Resource,
    Entry {
        bundle: u64,
    },
    /// The envelope is `Framer::envelope`.
    BundleEnd {
        bundle: u64,
    },
    Broken(BrokenFrame),
}

/// How far a step got.
#[derive(Debug)]
pub(super) enum FramerStep {
    /// It needs more bytes; at the end of the stream there is nothing more.
    More,
    Again,
    Frame(Ready),
}

/// A stretch of the stream, and the line on which it begins.
#[derive(Debug, Clone, Copy)]
pub(super) struct Span {
    pub(super) start: u64,
    pub(super) end: u64,
    pub(super) line: u64,
}

/// What is being read. Exactly one of these at any time.
#[derive(Debug)]
pub(super) enum FramerState {
    /// Before the first byte: is it text at all?
    Start,
    Gap(Gap),
    Unit(Box<Unit>),
    After(After),
    Garbage(Garbage),
    Token(Token),
    /// Another format, or text in an encoding that JSON does not allow: passed over to the end.
    Unreadable(BrokenFrame),
}

/// Between two values.
#[derive(Debug, Clone, Copy)]
pub(super) struct Gap {
    pub(super) at: u64,
    /// Only a newline, or nothing at all, stands before `at`.
    pub(super) at_line_start: bool,
    pub(super) after_comma: bool,
}

impl Gap {
    pub(super) const fn behind(at: u64) -> Self {
        Self { at, at_line_start: false, after_comma: false }
    }

    pub(super) const fn at_line_start(at: u64) -> Self {
        Self { at, at_line_start: true, after_comma: false }
    }

    pub(super) const fn first_element(at: u64) -> Self {
        Self { at, at_line_start: false, after_comma: true }
    }
}

/// A top-level object has ended; what stands behind it on its line?
#[derive(Debug)]
pub(super) struct After {
    pub(super) what: What,
    pub(super) span: Span,
    pub(super) at: u64,
}

/// Text to the end of its line, or of a run of lines.
#[derive(Debug)]
pub(super) struct Garbage {
    pub(super) start: u64,
    pub(super) line: u64,
    pub(super) at: u64,
    /// At a line's beginning, while it is open whether this line is text as well.
    pub(super) between_lines: bool,
    /// The format of the file that the text belongs to; `None`: single lines of no format.
    pub(super) format: Option<BrokenFrame>,
}

impl Garbage {
    pub(super) const fn new(start: u64, line: u64) -> Self {
        Self { start, line, at: start, between_lines: false, format: None }
    }

    /// Begins a file of another format, at its first byte.
    pub(super) const fn of_format(format: BrokenFrame) -> Self {
        Self { format: Some(format), ..Self::new(0, 1) }
    }

    /// Returns whether a line that begins with these bytes is a value; `None` while there is too little of it. In a
    /// file of another format a brace or a bracket alone says little.
    pub(super) fn begins_value(&self, line: &[u8]) -> Option<bool> {
        if self.format.is_none() {
            return Some(matches!(line.first(), Some(b'{' | b'[')));
        }
        let Some(inside) = line.strip_prefix(b"{") else { return Some(false) };
        let space = inside.iter().take_while(|byte| byte.is_ascii_whitespace()).count();
        match inside.get(space) {
            _ if space as u64 > TRAILING_SPACE_BYTES => Some(false),
            None => None,
            Some(first) => Some(*first == b'"'),
        }
    }
}

/// A number, a literal or other text where an array has its elements.
#[derive(Debug)]
pub(super) struct Token {
    pub(super) start: u64,
    pub(super) line: u64,
    pub(super) at: u64,
}

/// What the next value is an element of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Level {
    Top,
    Array,
    Entries,
}

#[derive(Debug, Clone, Copy)]
pub(super) struct BundleFrame {
    pub(super) number: u64,
    /// It is pretty-printed: its first line is a lone brace.
    pub(super) lone_brace: bool,
    pub(super) envelope_too_large: bool,
}

/// What the lines of the top-level values say about the file.
#[derive(Debug, Default)]
pub(super) struct Lines {
    /// Two values stood on a line each: from here on a newline ends a value.
    pub(super) ndjson: bool,
    /// A pretty-printed value stands amid NDJSON all the same: its newlines are its own.
    pub(super) exception: bool,
    /// The line on which the current value began.
    value_line: u64,
    /// The line of the value before, if it kept to one.
    previous: Option<u64>,
}

/// Bytes in order, frames in order. It holds no bytes but the envelope of the open Bundle.
#[derive(Debug)]
pub(super) struct Framer {
    pub(super) max_bytes: u64,
    pub(super) state: FramerState,
    pub(super) in_array: bool,
    pub(super) bundle: Option<BundleFrame>,
    /// Where the last frame ended, or the open array or Bundle began, and on which line.
    pub(super) tail: (u64, u64),
    pub(super) lines: Lines,
    /// Set at the end of the stream, if it ends too early, until it has been reported.
    pub(super) fault: Option<BrokenFrame>,
    has_ended: bool,
    pub(super) envelope: Vec<u8>,
    pub(super) garbage_lines: u32,
    pub(super) frames: u64,
    /// Behind the last frame, if reading could begin there.
    pub(super) resume_point: Option<ResumePoint>,
    pub(super) bundles: u64,
    pub(super) reread_bytes: u64,
    values: u64,
    first: Shape,
}

impl Framer {
    pub(super) fn new(max_resource_bytes: usize) -> Self {
        Self {
            max_bytes: max_resource_bytes as u64,
            state: FramerState::Start,
            in_array: false,
            bundle: None,
            tail: (0, 1),
            lines: Lines::default(),
            fault: None,
            has_ended: false,
            envelope: Vec::new(),
            garbage_lines: 0,
            frames: 0,
            resume_point: None,
            bundles: 0,
            reread_bytes: 0,
            values: 0,
            first: Shape::Empty,
        }
    }

    pub(super) const fn shape(&self) -> Shape {
        match self.values {
            0 | 1 => self.first,
            _ if self.lines.ndjson => Shape::Ndjson,
            _ => Shape::Concatenated,
        }
    }

    /// Returns a framer that goes on behind a line of NDJSON.
    pub(super) fn resume(max_resource_bytes: usize, point: ResumePoint) -> Self {
        Self {
            state: FramerState::Gap(Gap::behind(point.offset)),
            tail: (point.offset, point.line),
            lines: Lines { ndjson: true, ..Lines::default() },
            frames: point.ordinal,
            values: 2,
            first: Shape::Resource,
            ..Self::new(max_resource_bytes)
        }
    }

    /// Returns whether [`Framer::resume`] would give the same frames from here on: not outside of NDJSON, in a Bundle
    /// or an array, or amid lines of text.
    fn is_resumable(&self) -> bool {
        self.newline_ends_value() && self.level() == Level::Top && self.garbage_lines == 0
    }

    /// Returns the next frame within the window. `None`: more bytes are needed, or, `at_end`, there are no more frames.
    #[inline]
    pub(super) fn next(&mut self, window: &mut Window, at_end: bool) -> Option<Ready> {
        loop {
            let step = match mem::replace(&mut self.state, FramerState::Start) {
                FramerState::Start => self.start(window, at_end),
                FramerState::Gap(gap) => self.gap(gap, window, at_end),
                FramerState::Unit(unit) => self.unit(unit, window, at_end),
                FramerState::After(after) => self.after(after, window, at_end),
                FramerState::Garbage(garbage) => self.garbage(garbage, window, at_end),
                FramerState::Token(token) => self.token(token, window, at_end),
                FramerState::Unreadable(reason) => self.unreadable(reason, window, at_end),
            };
            match step {
                FramerStep::More => return None,
                FramerStep::Again => {}
                FramerStep::Frame(ready) => return Some(ready),
            }
        }
    }

    /// Notes that everything has been pushed and inflated; `fault` says why that is too early. May be called again.
    pub(super) const fn stream_ends(&mut self, fault: Option<BrokenFrame>) {
        if !self.has_ended {
            self.has_ended = true;
            self.fault = fault;
        }
    }

    pub(super) const fn level(&self) -> Level {
        match (self.bundle, self.in_array) {
            (Some(_), _) => Level::Entries,
            (None, true) => Level::Array,
            (None, false) => Level::Top,
        }
    }

    pub(super) fn wait(&mut self, state: FramerState) -> FramerStep {
        self.state = state;
        FramerStep::More
    }

    pub(super) fn go_on(&mut self, state: FramerState) -> FramerStep {
        self.state = state;
        FramerStep::Again
    }

    /// Numbers the frame, lets its bytes go at the next append, and reads on in the gap.
    pub(super) fn emit(&mut self, what: What, span: Span, gap: Gap, window: &mut Window) -> FramerStep {
        window.release(span.end);
        self.tail = (span.end, window.line_at(span.end));
        let (ordinal, length) = (self.frames, span.end.saturating_sub(span.start));
        self.frames += 1;
        self.state = FramerState::Gap(gap);
        let point = ResumePoint { offset: span.end, ordinal: self.frames, line: self.tail.1 };
        self.resume_point = (self.is_resumable() && gap.at == span.end).then_some(point);
        let place = FramePlace { ordinal, offset: span.start, length, line: span.line };
        FramerStep::Frame(Ready { place, what })
    }

    fn gap(&mut self, mut gap: Gap, window: &mut Window, at_end: bool) -> FramerStep {
        loop {
            let rest = window.view().from(gap.at);
            let Some(first) = rest.first().copied() else {
                return self.gap_at_end_of_window(gap, window, at_end);
            };
            match first {
                b'\n' if self.line_ends_container() => return self.cut_container(gap.at, window),
                b'\n' => gap.at_line_start = true,
                b' ' | b'\t' | b'\r' => {
                    gap.at_line_start = false;
                    gap.at += space_bytes(rest);
                    continue;
                }
                b',' => (gap.at_line_start, gap.after_comma) = (false, true),
                RECORD_SEPARATOR if self.level() == Level::Top => {}
                0xEF if rest.starts_with(BYTE_ORDER_MARK) => gap.at += 2,
                0xEF if rest.len() < BYTE_ORDER_MARK.len() && !at_end => {
                    return self.wait(FramerState::Gap(gap));
                }
                _ => return self.begin(first, gap, window),
            }
            gap.at += 1;
        }
    }

    fn gap_at_end_of_window(&mut self, gap: Gap, window: &mut Window, at_end: bool) -> FramerStep {
        window.release(gap.at);
        if !at_end {
            return self.wait(FramerState::Gap(gap));
        }
        if self.level() != Level::Top {
            return self.cut_container(gap.at, window);
        }
        match self.fault.take() {
            Some(reason) => {
                let span = Span { start: gap.at, end: gap.at, line: window.line_at(gap.at) };
                self.emit(What::Broken(reason), span, gap, window)
            }
            None => self.wait(FramerState::Gap(gap)),
        }
    }

    const fn line_ends_container(&self) -> bool {
        self.newline_ends_value() && (self.in_array || self.bundle.is_some())
    }

    pub(super) const fn newline_ends_value(&self) -> bool {
        self.lines.ndjson && !self.lines.exception
    }

    /// Ends the open array or Bundle that lacks its bracket; its elements have been handed out.
    fn cut_container(&mut self, at: u64, window: &mut Window) -> FramerStep {
        (self.bundle, self.in_array) = (None, false);
        let reason = self.fault.take().unwrap_or(BrokenFrame::Truncated);
        let span = Span { start: self.tail.0, end: at, line: self.tail.1 };
        self.emit(What::Broken(reason), span, Gap::behind(at), window)
    }

    /// Begins a value, or ends the open array.
    fn begin(&mut self, first: u8, gap: Gap, window: &mut Window) -> FramerStep {
        window.release(gap.at);
        let line = window.line_at(gap.at);
        let level = self.level();
        if level == Level::Top && matches!(first, b'{' | b'[') {
            self.value_begins(first, line);
        }
        match (level, first) {
            (Level::Top, b'[') => {
                self.in_array = true;
                self.tail = (gap.at, line);
                self.go_on(FramerState::Gap(Gap::first_element(gap.at + 1)))
            }
            (Level::Array, b']') => {
                self.in_array = false;
                self.value_ends(gap.at + 1, window);
                self.go_on(FramerState::Gap(Gap::behind(gap.at + 1)))
            }
            (Level::Entries, b']') => self.begin_unit(Role::Tail, first, Gap::behind(gap.at + 1), window),
            (Level::Top | Level::Array, b'{') => self.begin_unit(Role::Object, first, gap, window),
            (Level::Entries, b'{') => self.begin_unit(Role::Entry, first, gap, window),
            (Level::Array | Level::Entries, b'[' | b'"') => {
                self.begin_unit(Role::Foreign, first, gap, window)
            }
            (Level::Top, _) => self.go_on(FramerState::Garbage(Garbage::new(gap.at, line))),
            _ => self.go_on(FramerState::Token(Token { start: gap.at, line, at: gap.at })),
        }
    }

    fn begin_unit(&mut self, role: Role, first: u8, gap: Gap, window: &mut Window) -> FramerStep {
        // An entry that shares its line with its Bundle's beginning is cut with the Bundle or not at all.
        let of_bundle = role == Role::Tail || !gap.at_line_start;
        let pretty = of_bundle && self.bundle.is_some_and(|bundle| bundle.lone_brace);
        let watch = match (self.newline_ends_value(), pretty) {
            (true, _) => Watch::Newlines,
            (false, true) => Watch::Nothing,
            (false, false) => Watch::BracesAtLineStart,
        };
        let start = UnitStart { at: gap.at, line: window.line_at(gap.at), first };
        let mut unit = Box::new(Unit::new(role, start, watch));
        (unit.at_line_start, unit.after_comma) = (gap.at_line_start, gap.after_comma);
        self.go_on(FramerState::Unit(unit))
    }

    pub(super) fn value_begins(&mut self, first: u8, line: u64) {
        if self.lines.previous.is_some_and(|previous| line > previous) {
            self.lines.ndjson = true;
        }
        self.lines.previous = None;
        self.lines.exception = false;
        self.lines.value_line = line;
        self.garbage_lines = 0;
        self.values += 1;
        if self.values == 1 {
            self.first = if first == b'[' { Shape::Array } else { Shape::Resource };
        }
    }

    /// Ends a top-level value; in an array it does nothing.
    pub(super) fn value_ends(&mut self, at: u64, window: &mut Window) {
        if !self.lines.ndjson && self.level() == Level::Top {
            let line = window.line_at(at);
            self.lines.previous = (line == self.lines.value_line).then_some(line);
        }
    }

    /// Counts a Bundle that begins, and returns its number.
    pub(super) fn count_bundle(&mut self) -> u64 {
        if self.values == 1 && self.first == Shape::Resource {
            self.first = Shape::Bundle;
        }
        self.bundles += 1;
        self.bundles - 1
    }
}

/// What stands in front of each value of a JSON text sequence (RFC 7464).
pub(super) const RECORD_SEPARATOR: u8 = 0x1E;

/// Returns how many bytes of white space within a line the text begins with.
fn space_bytes(text: &[u8]) -> u64 {
    let other = text.iter().position(|byte| !matches!(byte, b' ' | b'\t' | b'\r'));
    other.unwrap_or(text.len()) as u64
}
