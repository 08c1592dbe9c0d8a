//! Formats that are not JSON, recognised by a file's first bytes.

use memchr::memchr_iter;

use super::frame::BrokenFrame;
use super::framer::{BYTE_ORDER_MARK, Framer, FramerState, FramerStep, Gap, Garbage};
use super::window::Window;

/// So many bytes are looked at.
const HEAD_BYTES: usize = 4096;

/// What a file's first bytes say.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum FileStart {
    /// JSON, or nothing that is known.
    Json,
    /// Binary data, or text whose lines cannot be read: one broken frame for the whole file.
    Binary(BrokenFrame),
    /// Text: one broken frame as well, but a line that begins like a resource is read.
    Text(BrokenFrame),
}

impl Framer {
    /// Decides by the first bytes how the file is read.
    pub(super) fn start(&mut self, window: &mut Window, at_end: bool) -> FramerStep {
        let head = window.view().from(0);
        let is_value = matches!(text_of(head).first(), Some(b'{' | b'['));
        let needed = if is_value { 4 } else { HEAD_BYTES };
        if head.len() < needed && !at_end {
            return self.wait(FramerState::Start);
        }
        let is_whole = head.len() <= HEAD_BYTES && at_end;
        match format_of(head.get(..HEAD_BYTES).unwrap_or(head), is_whole) {
            FileStart::Json => self.go_on(FramerState::Gap(Gap::at_line_start(0))),
            FileStart::Binary(reason) => self.go_on(FramerState::Unreadable(reason)),
            FileStart::Text(reason) => self.go_on(FramerState::Garbage(Garbage::of_format(reason))),
        }
    }
}

/// Returns the text behind a byte order mark and white space.
fn text_of(head: &[u8]) -> &[u8] {
    head.strip_prefix(BYTE_ORDER_MARK).unwrap_or(head).trim_ascii_start()
}

/// Returns the format of a file that begins with `head`; `is_whole`: nothing follows.
fn format_of(head: &[u8], is_whole: bool) -> FileStart {
    if is_wide(head) {
        return FileStart::Binary(BrokenFrame::Utf16);
    }
    let text = text_of(head);
    let begins = |magics: &[&[u8]]| magics.iter().any(|magic| text.starts_with(magic));
    match text {
        [b'{' | b'[', ..] | [] => FileStart::Json,
        _ if begins(&[b"\x1F\x8B", b"\x28\xB5\x2F\xFD"]) => FileStart::Binary(BrokenFrame::CompressedTwice),
        _ if begins(&[b"PK\x03\x04", b"PK\x05\x06", b"PK\x07\x08"]) => {
            FileStart::Binary(BrokenFrame::LooksLikeZip)
        }
        _ if begins(&[b"%PDF-"]) => FileStart::Binary(BrokenFrame::LooksLikePdf),
        // A message on its own, or within a file or batch; on a socket a vertical tab stands before it.
        _ if begins(&[b"MSH|", b"\x0BMSH|", b"FHS|", b"BHS|"]) => {
            FileStart::Text(BrokenFrame::LooksLikeHl7V2)
        }
        [b'<', b'?' | b'!' | b'A'..=b'Z' | b'a'..=b'z', ..] => FileStart::Text(BrokenFrame::LooksLikeXml),
        _ if is_table(text, is_whole) => FileStart::Text(BrokenFrame::LooksLikeCsv),
        _ => FileStart::Json,
    }
}

/// Returns whether the first four bytes show UTF-16 or UTF-32.
fn is_wide(head: &[u8]) -> bool {
    let is_marked = head.starts_with(b"\xFF\xFE") || head.starts_with(b"\xFE\xFF");
    let is_empty = head.iter().take(4).all(|byte| *byte == 0);
    is_marked || (!is_empty && matches!(head, [_, 0, _, 0, ..] | [0, _, 0, _, ..]))
}

/// Returns whether the first two lines have the same separators and nothing of JSON. A line alone needs two of them.
fn is_table(text: &[u8], is_whole: bool) -> bool {
    let mut lines = text.split_inclusive(|byte| *byte == b'\n');
    let is_complete = |line: &[u8]| line.ends_with(b"\n") || is_whole;
    let Some(first) = lines.next().filter(|line| is_complete(line)) else { return false };
    let second = lines.map(<[u8]>::trim_ascii).find(|line| !line.is_empty());
    [b',', b';', b'\t'].into_iter().any(|separator| {
        let of = |line: &[u8]| memchr_iter(separator, line).count();
        let is_row = |line: &[u8], least: usize| is_plain(line) && of(line) >= least;
        match second {
            None => is_row(first, 2),
            Some(second) => is_row(first, 1) && is_row(second, 1),
        }
    })
}

/// Returns whether a line is text in which nothing is an object, an array or a member.
fn is_plain(line: &[u8]) -> bool {
    let is_control = |byte: &u8| *byte < b' ' && !matches!(byte, b'\t' | b'\r' | b'\n');
    let is_bracket = |byte: &u8| matches!(byte, b'{' | b'}' | b'[' | b']');
    let has_member = line.windows(2).any(|pair| pair == b"\":");
    !has_member && !line.iter().any(|byte| is_control(byte) || is_bracket(byte))
}
