//! The parser: strict RFC 8259, bounded in depth, one pass, spans only.

use thiserror::Error;

use super::node::{Entry, JsonKind};
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
    let error = JsonError { kind: JsonErrorKind::Truncated, offset: 0 };
    let mut parser = Parser { text, bytes, room: limits.depth, values: limits.values, entries, error };
    let end = parser.value(parser.space_end(0)).map(|end| parser.space_end(end));
    match end {
        Some(end) if end == bytes.len() => Ok(text),
        Some(end) => Err(JsonError { kind: JsonErrorKind::Trailing, offset: end }),
        None => Err(parser.error),
    }
}

/// Reads values. Positions go from function to function in registers; `None` means that `error` says what is wrong.
struct Parser<'a, 'e> {
    text: &'a str,
    bytes: &'a [u8],
    /// How many more levels may open.
    room: usize,
    /// How many more values may come.
    values: usize,
    entries: &'e mut Vec<Entry>,
    error: JsonError,
}

/// Objects with more members than this are checked for duplicates by sorting, at their end.
const MANY_MEMBERS: usize = 64;

impl Parser<'_, '_> {
    /// Reads the value at a position and returns the position behind it, as all of these functions do.
    fn value(&mut self, at: usize) -> Option<usize> {
        let Some(values) = self.values.checked_sub(1) else {
            return self.fail(JsonErrorKind::TooLarge, at);
        };
        self.values = values;
        match self.byte(at) {
            Some(b'"') => self.string(at),
            Some(b'{') => self.nested(JsonKind::Object, at),
            Some(b'[') => self.nested(JsonKind::Array, at),
            Some(b'-' | b'0'..=b'9') => self.number(at),
            Some(b't') => self.literal("true", JsonKind::True, at),
            Some(b'f') => self.literal("false", JsonKind::False, at),
            Some(b'n') => self.literal("null", JsonKind::Null, at),
            Some(_) => self.fail(JsonErrorKind::ValueExpected, at),
            None => self.fail(JsonErrorKind::Truncated, at),
        }
    }

    fn nested(&mut self, kind: JsonKind, start: usize) -> Option<usize> {
        let Some(room) = self.room.checked_sub(1) else { return self.fail(JsonErrorKind::TooDeep, start) };
        self.room = room;
        let index = self.entries.len();
        self.push(kind, false, start, start);
        let end = match kind {
            JsonKind::Object => self.object(index, start + 1)?,
            _ => self.array(start + 1)?,
        };
        let next = narrow(self.entries.len());
        if let Some(entry) = self.entries.get_mut(index) {
            entry.end = narrow(end);
            entry.next = next;
        }
        self.room += 1;
        Some(end)
    }

    #[inline]
    fn object(&mut self, index: usize, at: usize) -> Option<usize> {
        let mut at = self.space_end(at);
        if self.byte(at) == Some(b'}') {
            return Some(at + 1);
        }
        let mut seen = 0u64;
        let mut count = 0;
        loop {
            if self.byte(at) != Some(b'"') {
                return self.missing(JsonErrorKind::NameExpected, at);
            }
            let name = self.entries.len();
            at = self.string(at)?;
            if count < MANY_MEMBERS {
                self.check_name(index, name, &mut seen)?;
            }
            count += 1;
            at = self.space_end(at);
            if self.byte(at) != Some(b':') {
                return self.missing(JsonErrorKind::ColonExpected, at);
            }
            at = self.value(self.space_end(at + 1))?;
            at = self.space_end(at);
            match self.byte(at) {
                Some(b',') => at = self.space_end(at + 1),
                Some(b'}') => break,
                _ => return self.missing(JsonErrorKind::CommaExpected, at),
            }
        }
        if count > MANY_MEMBERS {
            self.check_many_names(index)?;
        }
        Some(at + 1)
    }

    #[inline]
    fn array(&mut self, at: usize) -> Option<usize> {
        let mut at = self.space_end(at);
        if self.byte(at) == Some(b']') {
            return Some(at + 1);
        }
        loop {
            at = self.value(at)?;
            at = self.space_end(at);
            match self.byte(at) {
                Some(b',') => at = self.space_end(at + 1),
                Some(b']') => return Some(at + 1),
                _ => return self.missing(JsonErrorKind::CommaExpected, at),
            }
        }
    }

    #[inline]
    fn string(&mut self, at: usize) -> Option<usize> {
        let start = at + 1;
        match scan::string_stop(self.bytes, start) {
            Some(stop) if self.byte(stop) == Some(b'"') => {
                self.push(JsonKind::String, false, start, stop);
                Some(stop + 1)
            }
            stop => self.escaped_string(start, stop),
        }
    }

    /// Reads a string that does not stop at a quote first.
    #[inline(never)]
    fn escaped_string(&mut self, start: usize, mut stop: Option<usize>) -> Option<usize> {
        loop {
            let Some(at) = stop else { return self.fail(JsonErrorKind::Truncated, self.bytes.len()) };
            match self.byte(at) {
                Some(b'"') => {
                    self.push(JsonKind::String, true, start, at);
                    return Some(at + 1);
                }
                Some(b'\\') => {
                    let escape = self.text.get(at + 1..).unwrap_or_default();
                    let Some((_, length)) = escape::decode(escape) else {
                        return self.fail(JsonErrorKind::InvalidEscape, at);
                    };
                    stop = scan::string_stop(self.bytes, at + 1 + length);
                }
                _ => return self.fail(JsonErrorKind::ControlCharacter, at),
            }
        }
    }

    fn number(&mut self, start: usize) -> Option<usize> {
        let unsigned = self.behind(b'-', start).unwrap_or(start);
        let whole = self.behind(b'0', unsigned).or_else(|| self.digits_end(unsigned));
        let fraction = whole.and_then(|at| match self.behind(b'.', at) {
            Some(digits) => self.digits_end(digits),
            None => Some(at),
        });
        let exponent = |at| self.behind(b'e', at).or_else(|| self.behind(b'E', at));
        let end = fraction.and_then(|at| match exponent(at) {
            Some(sign) => {
                let digits = self.behind(b'+', sign).or_else(|| self.behind(b'-', sign));
                self.digits_end(digits.unwrap_or(sign))
            }
            None => Some(at),
        });
        match end.filter(|end| !matches!(self.byte(*end), Some(b'0'..=b'9'))) {
            Some(end) => {
                self.push(JsonKind::Number, false, start, end);
                Some(end)
            }
            None => self.fail(JsonErrorKind::InvalidNumber, start),
        }
    }

    /// Returns the position behind a byte, if it stands there.
    fn behind(&self, byte: u8, at: usize) -> Option<usize> {
        (self.byte(at) == Some(byte)).then_some(at + 1)
    }

    /// Returns the position behind one digit or more.
    fn digits_end(&self, start: usize) -> Option<usize> {
        let mut at = start;
        while matches!(self.byte(at), Some(b'0'..=b'9')) {
            at += 1;
        }
        (at > start).then_some(at)
    }

    fn literal(&mut self, word: &str, kind: JsonKind, at: usize) -> Option<usize> {
        let end = at + word.len();
        if self.bytes.get(at..end) != Some(word.as_bytes()) {
            return self.fail(JsonErrorKind::ValueExpected, at);
        }
        self.push(kind, false, at, end);
        Some(end)
    }

    /// Refuses a name that the object has already. A 64-bit filter keeps the usual object free of comparisons.
    #[inline]
    fn check_name(&mut self, object: usize, name: usize, seen: &mut u64) -> Option<()> {
        let entry = *self.entries.get(name)?;
        let bit = 1u64 << fingerprint(self.bytes, entry);
        let suspect = *seen & bit != 0 || entry.escaped;
        *seen |= bit;
        if suspect { self.compare_name(object, name, entry, seen) } else { Some(()) }
    }

    #[inline(never)]
    fn compare_name(&mut self, object: usize, name: usize, entry: Entry, seen: &mut u64) -> Option<()> {
        if entry.escaped {
            // What it is like only decoding tells: every later name is compared.
            *seen = u64::MAX;
        }
        let text = self.name(&entry);
        let mut index = object + 1;
        while index < name {
            match (self.entries.get(index), self.entries.get(index + 1)) {
                (Some(key), _) if self.name(key) == text => return self.fail_at_name(entry),
                (_, Some(value)) => index = value.next as usize,
                _ => break,
            }
        }
        Some(())
    }

    fn check_many_names(&mut self, object: usize) -> Option<()> {
        let mut names = Vec::new();
        let mut index = object + 1;
        while let (Some(key), Some(value)) = (self.entries.get(index), self.entries.get(index + 1)) {
            names.push((self.name(key), key));
            index = value.next as usize;
        }
        names.sort_by(|a, b| a.0.cmp(&b.0).then(a.1.start.cmp(&b.1.start)));
        let pairs = names.iter().zip(names.iter().skip(1));
        let repeated = pairs.filter(|(a, b)| a.0 == b.0).map(|(_, b)| *b.1).min_by_key(|entry| entry.start);
        repeated.map_or(Some(()), |entry| self.fail_at_name(entry))
    }

    fn name(&self, entry: &Entry) -> std::borrow::Cow<'_, str> {
        let raw = self.text.get(entry.start as usize..entry.end as usize).unwrap_or_default();
        if entry.escaped { escape::unescape(raw) } else { std::borrow::Cow::Borrowed(raw) }
    }

    #[inline]
    fn push(&mut self, kind: JsonKind, escaped: bool, start: usize, end: usize) {
        let next = narrow(self.entries.len() + 1);
        self.entries.push(Entry { kind, escaped, start: narrow(start), end: narrow(end), next });
    }

    #[inline]
    fn byte(&self, at: usize) -> Option<u8> {
        self.bytes.get(at).copied()
    }

    /// Returns where the white space ends that may begin at a position.
    #[inline]
    fn space_end(&self, at: usize) -> usize {
        if self.byte(at).is_some_and(|byte| byte <= b' ') { scan::space_end(self.bytes, at) } else { at }
    }

    /// Notes that a token is missing, or that the text ends where it should stand.
    #[cold]
    fn missing<T>(&mut self, kind: JsonErrorKind, at: usize) -> Option<T> {
        self.fail(if at < self.bytes.len() { kind } else { JsonErrorKind::Truncated }, at)
    }

    #[cold]
    fn fail_at_name(&mut self, entry: Entry) -> Option<()> {
        self.fail(JsonErrorKind::DuplicateName, entry.start as usize)
    }

    #[cold]
    const fn fail<T>(&mut self, kind: JsonErrorKind, offset: usize) -> Option<T> {
        self.error = JsonError { kind, offset };
        None
    }
}

/// Returns six bits that tell most names of one object apart.
fn fingerprint(bytes: &[u8], entry: Entry) -> u32 {
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
