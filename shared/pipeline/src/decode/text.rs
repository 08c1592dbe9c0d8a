//! What is not JSON: text between values, behind them, and instead of them.

use memchr::memchr;

use super::frame::BrokenFrame;
use super::framer::{
    After, Framer, FramerState, FramerStep, Gap, Garbage, RECORD_SEPARATOR, Span, TRAILING_SPACE_BYTES,
    Token, What,
};
use super::window::Window;

/// The most lines of text in a row that are a frame each. Those that follow are one frame, up to the next line that
/// begins like a value: a file of another format must not fill the rejects with its lines.
const GARBAGE_LINES: u32 = 16;

impl Framer {
    /// Reads the text behind an object on its line. Both are one broken line: half a line must not pass for a whole
    /// resource.
    pub(super) fn after(&mut self, mut after: After, window: &mut Window, at_end: bool) -> FramerStep {
        let rest = window.view().from(after.at);
        let space = rest.iter().take_while(|byte| matches!(byte, b' ' | b'\t' | b'\r')).count();
        after.at += space as u64;
        match rest.get(space).copied() {
            _ if after.at - after.span.end > TRAILING_SPACE_BYTES => {}
            None if !at_end => return self.wait(FramerState::After(after)),
            // 0xEF may begin a byte order mark, as in files that were joined.
            None | Some(b'\n' | b'{' | b'[' | b',' | 0xEF | RECORD_SEPARATOR) => {}
            Some(_) => {
                let garbage = Garbage { at: after.at, ..Garbage::new(after.span.start, after.span.line) };
                return self.go_on(FramerState::Garbage(garbage));
            }
        }
        self.emit_object(after.what, after.span, window)
    }

    pub(super) fn garbage(&mut self, mut garbage: Garbage, window: &mut Window, at_end: bool) -> FramerStep {
        loop {
            let rest = window.view().from(garbage.at);
            if garbage.between_lines {
                let space = rest.iter().take_while(|byte| is_space_or_mark(**byte)).count();
                garbage.at += space as u64;
                match rest.get(space..).unwrap_or_default() {
                    [] if !at_end => break,
                    [] => return self.garbage_ends(&garbage, window),
                    line => match (garbage.begins_value(line), at_end) {
                        (Some(true), _) => return self.garbage_ends(&garbage, window),
                        (None, false) => break,
                        (Some(false), _) | (None, true) => garbage.between_lines = false,
                    },
                }
            } else if let Some(length) = memchr(b'\n', rest) {
                garbage.at += length as u64;
                if self.garbage_lines < GARBAGE_LINES && garbage.format.is_none() {
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
        self.wait(FramerState::Garbage(garbage))
    }

    fn garbage_ends(&mut self, garbage: &Garbage, window: &mut Window) -> FramerStep {
        self.garbage_lines += 1;
        let span = Span { start: garbage.start, end: garbage.at, line: garbage.line };
        let reason = garbage.format.unwrap_or(BrokenFrame::NotJson);
        self.emit(What::Broken(reason), span, Gap::behind(garbage.at), window)
    }

    /// Reads a token to its end, which is any byte that a gap knows. A token has at least one byte.
    pub(super) fn token(&mut self, mut token: Token, window: &mut Window, at_end: bool) -> FramerStep {
        let rest = window.view().from(token.at);
        let ends_token =
            |byte: &u8| matches!(byte, b',' | b']' | b'{' | b'[' | b'"' | b' ' | b'\t' | b'\r' | b'\n');
        let length = rest.iter().position(ends_token);
        token.at += length.unwrap_or(rest.len()) as u64;
        if length.is_none() && !at_end {
            window.release(token.at);
            return self.wait(FramerState::Token(token));
        }
        let span = Span { start: token.start, end: token.at, line: token.line };
        self.emit(What::Broken(BrokenFrame::NotObject), span, Gap::behind(token.at), window)
    }

    pub(super) fn unreadable(
        &mut self,
        reason: BrokenFrame,
        window: &mut Window,
        at_end: bool,
    ) -> FramerStep {
        let end = window.end();
        window.release(end);
        if !at_end {
            return self.wait(FramerState::Unreadable(reason));
        }
        let span = Span { start: 0, end, line: 1 };
        self.emit(What::Broken(reason), span, Gap::behind(end), window)
    }
}

/// Returns whether a byte is white space, a newline, of a byte order mark, or a record separator.
const fn is_space_or_mark(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t' | b'\r' | b'\n' | 0xEF | 0xBB | 0xBF | RECORD_SEPARATOR)
}
