//! The parser: strict RFC 8259, bounded in depth, one pass, spans only.

use thiserror::Error;

use super::node::{Entry, Kind};
use super::{escape, scan};

/// How deep and how large a document may be.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// Objects and arrays inside one another; FHIR's deepest published example has 29.
    pub depth: usize,
    /// Bytes of one document. At most `u32::MAX`, because spans are 32 bits wide.
    pub bytes: usize,
    /// Values of one document, those inside others included. Names of members do not count.
    pub values: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self { depth: 64, bytes: 64 << 20, values: 2_000_000 }
    }
}

/// What is wrong with the text, and at which byte of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("{kind} at byte {offset}")]
pub struct JsonError {
    /// What is wrong.
    pub kind: JsonErrorKind,
    /// Byte offset in the parsed text.
    pub offset: usize,
}

/// The ways a text is not an acceptable JSON document.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum JsonErrorKind {
    /// The bytes are not UTF-8.
    #[error("invalid UTF-8")]
    InvalidUtf8,
    /// A value should begin here.
    #[error("a value is missing")]
    ValueExpected,
    /// A quoted member name should stand here.
    #[error("a member name is missing")]
    NameExpected,
    /// A colon should stand here.
    #[error("a colon is missing")]
    ColonExpected,
    /// A comma or the end of the object or array should stand here.
    #[error("a comma or a closing bracket is missing")]
    CommaExpected,
    /// The text ends inside a value.
    #[error("the text ends too early")]
    Truncated,
    /// Something follows the value.
    #[error("more text follows the value")]
    Trailing,
    /// A control character stands unescaped in a string.
    #[error("a control character stands in a string")]
    ControlCharacter,
    /// An escape that JSON does not have, or half of a surrogate pair.
    #[error("an invalid escape or a lone surrogate")]
    InvalidEscape,
    /// A number that JSON does not have, such as `01`, `1.` or `+1`.
    #[error("an invalid number")]
    InvalidNumber,
    /// An object has the same member twice.
    #[error("a duplicate member name")]
    DuplicateName,
    /// Nested deeper than [`Limits::depth`].
    #[error("nested too deeply")]
    TooDeep,
    /// Longer than [`Limits::bytes`], or of more values than [`Limits::values`].
    #[error("too large")]
    TooLarge,
}

/// Fills `entries` with the tape of `bytes` and returns the bytes as text.
pub(super) fn fill<'a>(
    entries: &mut Vec<Entry>,
    bytes: &'a [u8],
    limits: Limits,
) -> Result<&'a str, JsonError> {
    entries.clear();
    if bytes.len() > limits.bytes.min(u32::MAX as usize) {
        return Err(JsonError { kind: JsonErrorKind::TooLarge, offset: 0 });
    }
    let text = match simdutf8::compat::from_utf8(bytes) {
        Ok(text) => text,
        Err(error) => {
            return Err(JsonError { kind: JsonErrorKind::InvalidUtf8, offset: error.valid_up_to() });
        }
    };
    let mut parser = Parser { text, bytes, at: 0, room: limits.depth, values: limits.values, entries };
    parser.skip_space();
    parser.value()?;
    parser.skip_space();
    if parser.at < bytes.len() { Err(parser.error(JsonErrorKind::Trailing)) } else { Ok(text) }
}

struct Parser<'a, 'e> {
    text: &'a str,
    bytes: &'a [u8],
    at: usize,
    /// How many more levels may open.
    room: usize,
    /// How many more values may come.
    values: usize,
    entries: &'e mut Vec<Entry>,
}

/// Objects with more members than this are checked for duplicates by sorting, at their end.
const MANY_MEMBERS: usize = 64;

impl Parser<'_, '_> {
    fn value(&mut self) -> Result<(), JsonError> {
        let Some(values) = self.values.checked_sub(1) else {
            return Err(self.error(JsonErrorKind::TooLarge));
        };
        self.values = values;
        match self.peek() {
            Some(b'"') => self.string(),
            Some(b'{') => self.nested(Kind::Object),
            Some(b'[') => self.nested(Kind::Array),
            Some(b'-' | b'0'..=b'9') => self.number(),
            Some(b't') => self.literal("true", Kind::True),
            Some(b'f') => self.literal("false", Kind::False),
            Some(b'n') => self.literal("null", Kind::Null),
            Some(_) => Err(self.error(JsonErrorKind::ValueExpected)),
            None => Err(self.error(JsonErrorKind::Truncated)),
        }
    }

    fn nested(&mut self, kind: Kind) -> Result<(), JsonError> {
        let Some(room) = self.room.checked_sub(1) else { return Err(self.error(JsonErrorKind::TooDeep)) };
        self.room = room;
        let index = self.entries.len();
        let start = self.at;
        self.push(kind, false, start, start);
        self.at += 1;
        match kind {
            Kind::Object => self.object(index)?,
            _ => self.array()?,
        }
        let (end, next) = (narrow(self.at), narrow(self.entries.len()));
        if let Some(entry) = self.entries.get_mut(index) {
            entry.end = end;
            entry.next = next;
        }
        self.room += 1;
        Ok(())
    }

    fn object(&mut self, index: usize) -> Result<(), JsonError> {
        self.skip_space();
        if self.take(b'}') {
            return Ok(());
        }
        let mut seen = 0u64;
        let mut count = 0;
        loop {
            if self.peek() != Some(b'"') {
                return Err(self.missing(JsonErrorKind::NameExpected));
            }
            let name = self.entries.len();
            self.string()?;
            self.check_name(index, name, count, &mut seen)?;
            count += 1;
            self.skip_space();
            if !self.take(b':') {
                return Err(self.missing(JsonErrorKind::ColonExpected));
            }
            self.skip_space();
            self.value()?;
            self.skip_space();
            if self.take(b',') {
                self.skip_space();
            } else if self.take(b'}') {
                break;
            } else {
                return Err(self.missing(JsonErrorKind::CommaExpected));
            }
        }
        if count > MANY_MEMBERS { self.check_many_names(index) } else { Ok(()) }
    }

    fn array(&mut self) -> Result<(), JsonError> {
        self.skip_space();
        if self.take(b']') {
            return Ok(());
        }
        loop {
            self.value()?;
            self.skip_space();
            if self.take(b',') {
                self.skip_space();
            } else if self.take(b']') {
                return Ok(());
            } else {
                return Err(self.missing(JsonErrorKind::CommaExpected));
            }
        }
    }

    fn string(&mut self) -> Result<(), JsonError> {
        let start = self.at + 1;
        let mut from = start;
        let mut escaped = false;
        loop {
            let Some(stop) = scan::string_stop(self.bytes, from) else {
                self.at = self.bytes.len();
                return Err(self.error(JsonErrorKind::Truncated));
            };
            match self.bytes.get(stop) {
                Some(b'"') => {
                    self.push(Kind::String, escaped, start, stop);
                    self.at = stop + 1;
                    return Ok(());
                }
                Some(b'\\') => {
                    escaped = true;
                    let escape = self.text.get(stop + 1..).unwrap_or_default();
                    let Some((_, length)) = escape::decode(escape) else {
                        return Err(JsonError { kind: JsonErrorKind::InvalidEscape, offset: stop });
                    };
                    from = stop + 1 + length;
                }
                _ => return Err(JsonError { kind: JsonErrorKind::ControlCharacter, offset: stop }),
            }
        }
    }

    fn number(&mut self) -> Result<(), JsonError> {
        let start = self.at;
        self.take(b'-');
        let valid = if self.take(b'0') { true } else { self.digits() };
        let valid = valid && (!self.take(b'.') || self.digits());
        let valid = valid
            && (!(self.take(b'e') || self.take(b'E')) || {
                let _sign = self.take(b'+') || self.take(b'-');
                self.digits()
            });
        if !valid || matches!(self.peek(), Some(b'0'..=b'9')) {
            return Err(JsonError { kind: JsonErrorKind::InvalidNumber, offset: start });
        }
        self.push(Kind::Number, false, start, self.at);
        Ok(())
    }

    /// Takes one digit or more.
    fn digits(&mut self) -> bool {
        let start = self.at;
        while matches!(self.peek(), Some(b'0'..=b'9')) {
            self.at += 1;
        }
        self.at > start
    }

    fn literal(&mut self, word: &str, kind: Kind) -> Result<(), JsonError> {
        let end = self.at + word.len();
        if self.bytes.get(self.at..end) != Some(word.as_bytes()) {
            return Err(self.error(JsonErrorKind::ValueExpected));
        }
        self.push(kind, false, self.at, end);
        self.at = end;
        Ok(())
    }

    /// Refuses a name that the object has already. A 64-bit filter keeps the usual object free of comparisons.
    fn check_name(&self, object: usize, name: usize, count: usize, seen: &mut u64) -> Result<(), JsonError> {
        if count >= MANY_MEMBERS {
            return Ok(());
        }
        let Some(entry) = self.entries.get(name) else { return Ok(()) };
        let bit = 1u64 << fingerprint(self.bytes, entry);
        let suspect = *seen & bit != 0 || entry.escaped;
        *seen |= bit;
        if !suspect {
            return Ok(());
        }
        if entry.escaped {
            // What it is like only decoding tells: every later name is compared.
            *seen = u64::MAX;
        }
        let text = self.name(entry);
        let mut index = object + 1;
        while index < name {
            match (self.entries.get(index), self.entries.get(index + 1)) {
                (Some(key), _) if self.name(key) == text => return Err(duplicate(entry)),
                (_, Some(value)) => index = value.next as usize,
                _ => break,
            }
        }
        Ok(())
    }

    fn check_many_names(&self, object: usize) -> Result<(), JsonError> {
        let mut names = Vec::new();
        let mut index = object + 1;
        while let (Some(key), Some(value)) = (self.entries.get(index), self.entries.get(index + 1)) {
            names.push((self.name(key), key));
            index = value.next as usize;
        }
        names.sort_by(|a, b| a.0.cmp(&b.0).then(a.1.start.cmp(&b.1.start)));
        let pairs = names.iter().zip(names.iter().skip(1));
        match pairs.filter(|(a, b)| a.0 == b.0).map(|(_, b)| b.1).min_by_key(|entry| entry.start) {
            Some(entry) => Err(duplicate(entry)),
            None => Ok(()),
        }
    }

    fn name(&self, entry: &Entry) -> std::borrow::Cow<'_, str> {
        let raw = self.text.get(entry.start as usize..entry.end as usize).unwrap_or_default();
        if entry.escaped { escape::unescape(raw) } else { std::borrow::Cow::Borrowed(raw) }
    }

    fn push(&mut self, kind: Kind, escaped: bool, start: usize, end: usize) {
        let next = narrow(self.entries.len() + 1);
        self.entries.push(Entry { kind, escaped, start: narrow(start), end: narrow(end), next });
    }

    fn peek(&self) -> Option<u8> {
        self.bytes.get(self.at).copied()
    }

    fn take(&mut self, byte: u8) -> bool {
        let found = self.peek() == Some(byte);
        self.at += usize::from(found);
        found
    }

    #[inline]
    fn skip_space(&mut self) {
        if self.peek().is_some_and(|byte| byte <= b' ') {
            self.at = scan::space_end(self.bytes, self.at);
        }
    }

    /// Returns the error for a missing token, or for the end of the text where it should stand.
    fn missing(&self, kind: JsonErrorKind) -> JsonError {
        self.error(if self.at < self.bytes.len() { kind } else { JsonErrorKind::Truncated })
    }

    const fn error(&self, kind: JsonErrorKind) -> JsonError {
        JsonError { kind, offset: self.at }
    }
}

const fn duplicate(entry: &Entry) -> JsonError {
    JsonError { kind: JsonErrorKind::DuplicateName, offset: entry.start as usize }
}

/// Returns six bits that tell most names of one object apart.
fn fingerprint(bytes: &[u8], entry: &Entry) -> u32 {
    let (start, end) = (entry.start as usize, entry.end as usize);
    let first = bytes.get(start).copied().unwrap_or_default();
    let last = bytes.get(end.wrapping_sub(1)).copied().unwrap_or_default();
    let mixed = u32::from(first).wrapping_mul(7)
        ^ u32::from(last).wrapping_mul(31)
        ^ (entry.end - entry.start).wrapping_mul(13);
    mixed & 63
}

/// Spans are 32 bits wide; [`fill`] has refused longer texts.
#[expect(clippy::cast_possible_truncation, reason = "the length was checked against u32::MAX")]
const fn narrow(position: usize) -> u32 {
    position as u32
}

#[cfg(test)]
mod tests;
