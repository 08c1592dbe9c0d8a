//! What is no JSON: text between values, behind them, and instead of them.

use memchr::memchr;

use super::frame::BrokenFrame;
use super::framer::{Framer, Gap, Span, State, Step, What};
use super::window::Window;

/// So many lines of text in a row are a frame each; those that follow are one frame, up to the next line
/// that begins like a value. A file of another format shall not fill the rejects with its lines.
const GARBAGE_LINES: u32 = 16;

/// White space behind a value that is looked through for text at most.
const TRAILING_SPACE_BYTES: u64 = 4096;

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
    start: u64,
    line: u64,
    at: u64,
    /// At a line's beginning, while it is open whether this line is text as well.
    between_lines: bool,
}

impl Garbage {
    pub(super) const fn new(start: u64, line: u64) -> Self {
        Self { start, line, at: start, between_lines: false }
    }
}

/// A number, a literal or other text where an array has its elements.
#[derive(Debug)]
pub(super) struct Token {
    pub(super) start: u64,
    pub(super) line: u64,
    pub(super) at: u64,
}

impl Framer {
    /// Text behind an object makes a broken line of both: half a line must not pass for a whole resource.
    pub(super) fn after(&mut self, mut after: After, window: &mut Window, at_end: bool) -> Step {
        let rest = window.view().from(after.at);
        let space = rest.iter().take_while(|byte| matches!(byte, b' ' | b'\t' | b'\r')).count();
        after.at += space as u64;
        match rest.get(space) {
            _ if after.at - after.span.end > TRAILING_SPACE_BYTES => {}
            None if !at_end => return self.wait(State::After(after)),
            // 0xEF may begin a byte order mark, as in files that were joined.
            None | Some(b'\n' | b'{' | b'[' | b',' | 0xEF) => {}
            Some(_) => {
                let garbage = Garbage { at: after.at, ..Garbage::new(after.span.start, after.span.line) };
                return self.go_on(State::Garbage(garbage));
            }
        }
        self.emit_object(after.what, after.span, window)
    }

    pub(super) fn garbage(&mut self, mut garbage: Garbage, window: &mut Window, at_end: bool) -> Step {
        loop {
            let rest = window.view().from(garbage.at);
            if garbage.between_lines {
                let space = rest.iter().take_while(|byte| is_space_or_mark(**byte)).count();
                garbage.at += space as u64;
                match rest.get(space) {
                    None if !at_end => break,
                    None | Some(b'{' | b'[') => return self.garbage_ends(&garbage, window),
                    Some(_) => garbage.between_lines = false,
                }
            } else if let Some(length) = memchr(b'\n', rest) {
                garbage.at += length as u64;
                if self.garbage_lines < GARBAGE_LINES {
                    return self.garbage_ends(&garbage, window);
                }
                garbage.between_lines = true;
            } else {
                garbage.at += rest.len() as u64;
                if at_end {
                    return self.garbage_ends(&garbage, window);
                }
                break;
            }
        }
        window.release(garbage.at);
        self.wait(State::Garbage(garbage))
    }

    fn garbage_ends(&mut self, garbage: &Garbage, window: &mut Window) -> Step {
        self.garbage_lines += 1;
        let span = Span { start: garbage.start, end: garbage.at, line: garbage.line };
        self.emit(What::Broken(BrokenFrame::NotJson), span, Gap::behind(garbage.at), window)
    }

    /// What ends a token is what the gap knows, and nothing else: a token holds at least one byte.
    pub(super) fn token(&mut self, mut token: Token, window: &mut Window, at_end: bool) -> Step {
        let rest = window.view().from(token.at);
        let ends_token =
            |byte: &u8| matches!(byte, b',' | b']' | b'{' | b'[' | b'"' | b' ' | b'\t' | b'\r' | b'\n');
        let length = rest.iter().position(ends_token);
        token.at += length.unwrap_or(rest.len()) as u64;
        if length.is_none() && !at_end {
            window.release(token.at);
            return self.wait(State::Token(token));
        }
        let span = Span { start: token.start, end: token.at, line: token.line };
        self.emit(What::Broken(BrokenFrame::NotObject), span, Gap::behind(token.at), window)
    }

    pub(super) fn unreadable(&mut self, window: &mut Window, at_end: bool) -> Step {
        let end = window.end();
        window.release(end);
        if !at_end {
            return self.wait(State::Unreadable);
        }
        let span = Span { start: 0, end, line: 1 };
        self.emit(What::Broken(BrokenFrame::NotJson), span, Gap::behind(end), window)
    }
}

/// White space, newlines and the bytes of a byte order mark.
const fn is_space_or_mark(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t' | b'\r' | b'\n' | 0xEF | 0xBB | 0xBF)
}
