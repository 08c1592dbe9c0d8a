//! Walking a parsed document: objects, arrays and leaves as small copyable cursors.

use std::borrow::Cow;
use std::ops::Range;

use super::escape;
use super::short::same;

/// What a JSON value is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum JsonKind {
    /// `{…}`
    Object,
    /// `[…]`
    Array,
    /// `"…"`
    String,
    /// digits as written
    Number,
    /// `true`
    True,
    /// `false`
    False,
    /// `null`
    Null,
}

/// One value of the tape. `next` is the tape index behind the value and all that it contains.
#[derive(Debug, Clone, Copy)]
pub(super) struct Entry {
    pub(super) kind: JsonKind,
    pub(super) escaped: bool,
    pub(super) start: u32,
    pub(super) end: u32,
    pub(super) next: u32,
}

/// A parsed document: the text and its tape.
#[derive(Debug, Clone, Copy)]
pub struct Document<'a> {
    text: &'a str,
    entries: &'a [Entry],
}

impl<'a> Document<'a> {
    pub(super) const fn new(text: &'a str, entries: &'a [Entry]) -> Self {
        Self { text, entries }
    }

    /// Returns the outermost value.
    #[must_use]
    pub const fn root(&'a self) -> Node<'a> {
        Node { document: self, index: 0 }
    }

    /// Returns the value at an index that [`Node::index`] gave.
    pub(crate) const fn node(&'a self, index: u32) -> Node<'a> {
        Node { document: self, index }
    }

    fn slice(&self, entry: Entry) -> &'a str {
        self.text.get(entry.start as usize..entry.end as usize).unwrap_or_default()
    }

    /// Returns its bytes: a slice of text looks for the borders of characters.
    #[inline]
    fn bytes(&self, entry: Entry) -> &'a [u8] {
        self.text.as_bytes().get(entry.start as usize..entry.end as usize).unwrap_or_default()
    }

    #[inline]
    fn entry(&self, index: u32) -> Entry {
        const NOTHING: Entry =
            Entry { kind: JsonKind::Null, escaped: false, start: 0, end: 0, next: u32::MAX };
        self.entries.get(index as usize).copied().unwrap_or(NOTHING)
    }
}

/// One value of a document: two words, which pass in registers.
#[derive(Debug, Clone, Copy)]
pub struct Node<'a> {
    document: &'a Document<'a>,
    index: u32,
}

impl<'a> Node<'a> {
    /// Returns what the value is.
    #[must_use]
    #[inline]
    pub fn kind(self) -> JsonKind {
        self.entry().kind
    }

    /// Returns where the value stands, in bytes of the parsed text; a string's span is without its quotes.
    #[must_use]
    pub fn span(self) -> Range<usize> {
        let entry = self.entry();
        entry.start as usize..entry.end as usize
    }

    /// Returns the value's text as written; a string's without its quotes and with its escapes.
    #[must_use]
    pub fn raw(self) -> &'a str {
        self.document.text.get(self.span()).unwrap_or_default()
    }

    /// Returns the line breaks before the value in its document.
    #[must_use]
    pub fn lines_before(self) -> usize {
        let before = self.document.text.get(..self.span().start).unwrap_or_default();
        memchr::memchr_iter(b'\n', before.as_bytes()).count()
    }

    /// Returns the value's text as written, a string with its quotes: JSON that can stand by itself.
    #[must_use]
    pub fn quoted(self) -> &'a str {
        let span = self.span();
        let around = usize::from(self.kind() == JsonKind::String);
        self.document.text.get(span.start - around..span.end + around).unwrap_or_default()
    }

    /// Returns one value as a sequence of items.
    #[must_use]
    pub fn once(node: Node<'a>) -> Items<'a> {
        Items { document: node.document, range: node.index..node.entry().next }
    }

    /// Returns the text of a string; `None` for anything else.
    #[must_use]
    pub fn text(self) -> Option<Cow<'a, str>> {
        let entry = self.entry();
        match (entry.kind, entry.escaped) {
            (JsonKind::String, false) => Some(Cow::Borrowed(self.raw())),
            (JsonKind::String, true) => Some(escape::unescape(self.raw())),
            _ => None,
        }
    }

    /// Returns the text of a string that needs no decoding; `None` for anything else.
    #[must_use]
    pub fn plain_text(self) -> Option<&'a str> {
        let entry = self.entry();
        (entry.kind == JsonKind::String && !entry.escaped).then(|| self.document.slice(entry))
    }

    /// Appends the decoded text of a string; nothing for anything else.
    pub fn push_text(self, out: &mut String) {
        let entry = self.entry();
        match (entry.kind, entry.escaped) {
            (JsonKind::String, false) => out.push_str(self.document.slice(entry)),
            (JsonKind::String, true) => escape::unescape_into(self.document.slice(entry), out),
            _ => {}
        }
    }

    /// Returns the digits of a number as written; `None` for anything else.
    #[must_use]
    pub fn number(self) -> Option<&'a str> {
        (self.kind() == JsonKind::Number).then(|| self.raw())
    }

    /// Returns the truth value; `None` for anything that is not a boolean.
    #[must_use]
    pub fn boolean(self) -> Option<bool> {
        match self.kind() {
            JsonKind::True => Some(true),
            JsonKind::False => Some(false),
            _ => None,
        }
    }

    /// Returns whether the value is `null`.
    #[must_use]
    pub fn is_null(self) -> bool {
        self.kind() == JsonKind::Null
    }

    /// Returns the members of an object in written order, as key and value; nothing for anything else.
    #[must_use]
    pub fn members(self) -> Members<'a> {
        Members { document: self.document, range: self.contents(JsonKind::Object) }
    }

    /// Returns the items of an array in order; nothing for anything else.
    #[must_use]
    pub fn items(self) -> Items<'a> {
        Items { document: self.document, range: self.contents(JsonKind::Array) }
    }

    /// Returns the items of an array, or the one object that stands in its place; nothing for anything else.
    pub(crate) fn one_or_more(self) -> Items<'a> {
        if self.kind() == JsonKind::Object { Node::once(self) } else { self.items() }
    }

    /// Returns the items of an array, or the one value that stands in its place.
    pub(crate) fn as_items(self) -> Items<'a> {
        if self.kind() == JsonKind::Array { self.items() } else { Node::once(self) }
    }

    /// Returns the value of an object's member. Keys are unique: the parser refuses duplicates.
    #[must_use]
    pub fn get(self, key: &str) -> Option<Node<'a>> {
        self.members().find(|(name, _)| name.is(key)).map(|(_, value)| value)
    }

    /// Returns the text of an object's string member, where it needs no decoding or is worth copying.
    #[must_use]
    pub fn get_text(self, key: &str) -> Option<Cow<'a, str>> {
        self.get(key)?.text()
    }

    /// Returns whether this string is exactly `text`.
    #[must_use]
    #[inline]
    pub fn is(self, text: &str) -> bool {
        let entry = self.entry();
        if entry.kind != JsonKind::String {
            return false;
        }
        if entry.escaped {
            return escape::unescape(self.document.slice(entry)) == text;
        }
        // Most names differ in their length.
        (entry.end - entry.start) as usize == text.len() && same(self.document.bytes(entry), text.as_bytes())
    }

    /// Returns where the value stands on the tape, to come back to it through [`Document::node`].
    pub(crate) const fn index(self) -> u32 {
        self.index
    }

    /// Returns the bytes of the value as written.
    #[inline]
    pub(crate) fn raw_bytes(self) -> &'a [u8] {
        self.document.bytes(self.entry())
    }

    /// Returns the bytes of a string that needs no decoding; `None` for anything else.
    pub(crate) fn plain_bytes(self) -> Option<&'a [u8]> {
        let entry = self.entry();
        if entry.kind != JsonKind::String || entry.escaped {
            return None;
        }
        Some(self.document.bytes(entry))
    }

    pub(crate) const fn document(self) -> &'a Document<'a> {
        self.document
    }

    #[inline]
    fn entry(self) -> Entry {
        self.document.entry(self.index)
    }

    fn contents(self, kind: JsonKind) -> Range<u32> {
        let entry = self.entry();
        if entry.kind == kind { self.index + 1..entry.next } else { 0..0 }
    }
}

/// The members of an object, in written order.
#[derive(Debug, Clone)]
pub struct Members<'a> {
    document: &'a Document<'a>,
    range: Range<u32>,
}

impl<'a> Iterator for Members<'a> {
    type Item = (Node<'a>, Node<'a>);

    #[inline]
    fn next(&mut self) -> Option<Self::Item> {
        if self.range.is_empty() {
            return None;
        }
        let key = Node { document: self.document, index: self.range.start };
        let value = Node { document: self.document, index: self.range.start + 1 };
        self.range.start = value.entry().next;
        Some((key, value))
    }
}

/// The items of an array, in order.
#[derive(Debug, Clone)]
pub struct Items<'a> {
    document: &'a Document<'a>,
    range: Range<u32>,
}

impl<'a> Iterator for Items<'a> {
    type Item = Node<'a>;

    #[inline]
    fn next(&mut self) -> Option<Self::Item> {
        if self.range.is_empty() {
            return None;
        }
        let item = Node { document: self.document, index: self.range.start };
        self.range.start = item.entry().next;
        Some(item)
    }
}
