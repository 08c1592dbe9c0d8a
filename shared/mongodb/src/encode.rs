//! BSON written straight from cells to bytes: no tree of values in between.

use std::ffi::CStr;
use std::sync::Arc;

use flatten::row::{Cells, ITEM, Name, NameList, Row, Value};

use pipeline::batch::ResourceWrite;
use pipeline::object::{ObjectRef, Pin, Source};

use super::decimal::decimal128;

/// What the rows of a resource follow from: a [`ContentHash`](pipeline::content::ContentHash).
pub(crate) const HASH_FIELD: &str = "_hash";

/// When the object of a row was created: from then its retention counts, the same at every attempt.
pub(crate) const RECEIVED: &str = "_received";

const DOUBLE: u8 = 0x01;
const DOCUMENT: u8 = 0x03;
const ARRAY: u8 = 0x04;
const BINARY: u8 = 0x05;
const BOOLEAN: u8 = 0x08;
const TEXT: u8 = 0x02;
const DATE: u8 = 0x09;
const NULL: u8 = 0x0A;
const INT32: u8 = 0x10;
const INT64: u8 = 0x12;
const DECIMAL: u8 = 0x13;

/// A document being written. What is opened must be closed; the length then stands at its head.
#[derive(Debug, Default)]
pub struct BsonWriter {
    bytes: Vec<u8>,
}

/// A document or array that has been opened and must be closed.
#[derive(Debug)]
#[must_use = "what is opened must be closed"]
pub struct OpenDocument(usize);

impl BsonWriter {
    /// Begins a document that is no element of another.
    pub fn open(&mut self) -> OpenDocument {
        let start = self.bytes.len();
        self.bytes.extend_from_slice(&[0; 4]);
        OpenDocument(start)
    }

    /// Begins a sub-document.
    pub fn open_document(&mut self, name: impl ElementName) -> OpenDocument {
        self.element(DOCUMENT, name);
        self.open()
    }

    /// Begins an array, whose elements are named `0`, `1`, ….
    pub fn open_array(&mut self, name: impl ElementName) -> OpenDocument {
        self.element(ARRAY, name);
        self.open()
    }

    /// Ends a document or array.
    #[expect(clippy::needless_pass_by_value, reason = "a document closes once")]
    pub fn close(&mut self, opened: OpenDocument) {
        self.bytes.push(0);
        let length = length_of(self.bytes.len() - opened.0);
        if let Some(head) = self.bytes.get_mut(opened.0..opened.0 + 4) {
            head.copy_from_slice(&length);
        }
    }

    /// Adds text.
    pub fn text(&mut self, name: impl ElementName, value: &str) {
        self.element(TEXT, name);
        self.bytes.extend_from_slice(&length_of(value.len() + 1));
        self.bytes.extend_from_slice(value.as_bytes());
        self.bytes.push(0);
    }

    /// Adds bytes of the generic subtype.
    pub fn binary(&mut self, name: impl ElementName, value: &[u8]) {
        self.element(BINARY, name);
        self.bytes.extend_from_slice(&length_of(value.len()));
        self.bytes.push(0);
        self.bytes.extend_from_slice(value);
    }

    /// Adds a truth value.
    pub fn boolean(&mut self, name: impl ElementName, value: bool) {
        self.element(BOOLEAN, name);
        self.bytes.push(u8::from(value));
    }

    /// Adds a 32-bit integer.
    pub fn int32(&mut self, name: impl ElementName, value: i32) {
        self.element(INT32, name);
        self.bytes.extend_from_slice(&value.to_le_bytes());
    }

    /// Adds a 64-bit integer.
    pub fn int64(&mut self, name: impl ElementName, value: i64) {
        self.element(INT64, name);
        self.bytes.extend_from_slice(&value.to_le_bytes());
    }

    /// Adds a count or an offset as a 64-bit integer: one type in the whole column.
    pub fn count(&mut self, name: impl ElementName, value: u64) {
        self.int64(name, i64::try_from(value).unwrap_or(i64::MAX));
    }

    /// Adds a decimal by its digits as written.
    pub fn decimal(&mut self, name: impl ElementName, digits: &str) {
        self.element(DECIMAL, name);
        self.bytes.extend_from_slice(&decimal128(digits));
    }

    /// Adds a double.
    pub fn double(&mut self, name: impl ElementName, value: f64) {
        self.element(DOUBLE, name);
        self.bytes.extend_from_slice(&value.to_le_bytes());
    }

    /// Adds a moment, in milliseconds since 1970-01-01T00:00:00Z.
    pub fn date(&mut self, name: impl ElementName, milliseconds: i64) {
        self.element(DATE, name);
        self.bytes.extend_from_slice(&milliseconds.to_le_bytes());
    }

    /// Adds an empty value.
    pub fn null(&mut self, name: impl ElementName) {
        self.element(NULL, name);
    }

    /// Begins a document as an item of an array; [`open`](Self::open) must follow.
    pub(crate) fn document_item(&mut self, index: usize) {
        self.element(DOCUMENT, ItemNumber(index));
    }

    /// Adds text as an item of an array.
    pub(crate) fn text_item(&mut self, index: usize, value: &str) {
        self.text(ItemNumber(index), value);
    }

    /// Begins a document as an element; [`open`](Self::open) must follow.
    pub(crate) fn document_element(&mut self, name: impl ElementName) {
        self.element(DOCUMENT, name);
    }

    /// Returns the number of bytes.
    #[must_use]
    pub const fn len(&self) -> usize {
        self.bytes.len()
    }

    /// Returns whether nothing has been written.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.bytes.is_empty()
    }

    /// Returns the bytes so far.
    #[must_use]
    pub fn as_slice(&self) -> &[u8] {
        &self.bytes
    }

    /// Returns the bytes.
    #[must_use]
    pub fn into_bytes(self) -> Vec<u8> {
        self.bytes
    }

    /// Forgets what was written and keeps the memory.
    pub fn clear(&mut self) {
        self.bytes.clear();
    }

    /// Forgets everything behind the first `length` bytes.
    pub fn truncate(&mut self, length: usize) {
        self.bytes.truncate(length);
    }

    fn element(&mut self, element_type: u8, name: impl ElementName) {
        self.bytes.push(element_type);
        name.write(&mut self.bytes);
    }
}

/// The name of an element.
pub trait ElementName {
    /// Appends the name and the NUL that ends it.
    fn write(self, bytes: &mut Vec<u8>);
}

impl ElementName for &CStr {
    fn write(self, bytes: &mut Vec<u8>) {
        bytes.extend_from_slice(self.to_bytes_with_nul());
    }
}

impl ElementName for Option<&Name> {
    #[inline]
    fn write(self, bytes: &mut Vec<u8>) {
        match self {
            Some(name) => name.push_terminated(bytes),
            None => bytes.push(0),
        }
    }
}

impl ElementName for &str {
    /// Writes the name up to its first NUL, which would shift what follows.
    fn write(self, bytes: &mut Vec<u8>) {
        let end = memchr::memchr(0, self.as_bytes()).unwrap_or(self.len());
        bytes.extend_from_slice(self.as_bytes().get(..end).unwrap_or_default());
        bytes.push(0);
    }
}

/// The place of an item in its array.
#[derive(Debug, Clone, Copy)]
struct ItemNumber(usize);

impl ElementName for ItemNumber {
    fn write(self, bytes: &mut Vec<u8>) {
        if let (0..10, Ok(digit)) = (self.0, u8::try_from(self.0)) {
            bytes.extend_from_slice(&[b'0' + digit, 0]);
        } else {
            bytes.extend_from_slice(self.0.to_string().as_bytes());
            bytes.push(0);
        }
    }
}

/// Rows as documents: `_id`, the cells, then `_hash`, `_version`, `_source`, `_load` and `_received`.
#[derive(Debug)]
pub struct RowEncoder<'a> {
    names: &'a NameList,
    /// What all rows of one object share, written once.
    provenance: Option<Provenance>,
}

#[derive(Debug)]
struct Provenance {
    object: Arc<ObjectRef>,
    /// `bucket`, `key` and `versionId` as elements.
    place: Vec<u8>,
    load: String,
}

impl<'a> RowEncoder<'a> {
    /// Returns an encoder of rows whose columns have these names.
    #[must_use]
    pub const fn new(names: &'a NameList) -> Self {
        Self { names, provenance: None }
    }

    /// Writes one row of a resource as a document.
    pub fn row(&mut self, writer: &mut BsonWriter, row: Row<'_>, resource: &ResourceWrite) {
        let document = writer.open();
        writer.text(c"_id", row.key());
        record(writer, self.names, row.cells());
        if is_anchor(self.names, row, resource)
            && let Some(hash) = &resource.hash
        {
            writer.text(HASH_FIELD, &hash.to_string());
        }
        self.origin(writer, resource);
        writer.date(RECEIVED, resource.source.object.created);
        writer.close(document);
    }

    /// Writes where a resource comes from: `_version`, `_source`, `_load`.
    pub(crate) fn origin(&mut self, writer: &mut BsonWriter, resource: &ResourceWrite) {
        writer.text(c"_version", resource.version.as_str());
        let inside = writer.open_document(c"_source");
        self.pointer(writer, &resource.source);
        writer.close(inside);
        writer.text(c"_load", &self.provenance(&resource.source).load);
    }

    /// Writes `bucket`, `key`, `versionId`, `ordinal`, `offset` and `length`.
    pub(crate) fn pointer(&mut self, writer: &mut BsonWriter, source: &Source) {
        writer.bytes.extend_from_slice(&self.provenance(source).place);
        writer.count(c"ordinal", source.ordinal);
        writer.count(c"offset", source.offset);
        writer.count(c"length", source.length);
    }

    fn provenance(&mut self, source: &Source) -> &Provenance {
        if self.provenance.as_ref().is_some_and(|known| !Arc::ptr_eq(&known.object, &source.object)) {
            self.provenance = None;
        }
        self.provenance.get_or_insert_with(|| Provenance::of(source))
    }
}

/// Returns whether a row decides which version of its resource stands.
pub(crate) fn is_anchor(names: &NameList, row: Row<'_>, resource: &ResourceWrite) -> bool {
    row.key() == resource.key
        && resource.tables.first().is_some_and(|first| **first == *names.table(row.table()))
}

impl Provenance {
    fn of(source: &Source) -> Self {
        let mut writer = BsonWriter::default();
        writer.text("bucket", &source.object.bucket);
        writer.text("key", &source.object.key);
        if let Pin::VersionId(version) = &source.object.pin {
            writer.text("versionId", version);
        }
        Self { object: Arc::clone(&source.object), place: writer.into_bytes(), load: source.object.load_id() }
    }
}

fn record(writer: &mut BsonWriter, names: &NameList, cells: Cells<'_>) {
    for (column, value) in cells {
        // A completion sets the cell once the target is known.
        if !matches!(value, Value::Pending(_)) {
            element(writer, names, names.name(column), value);
        }
    }
}

fn list(writer: &mut BsonWriter, names: &NameList, cells: Cells<'_>) {
    // A completion adds an item that waits once it is known.
    let known = cells.filter(|(_, value)| !matches!(value, Value::Pending(_)));
    for (index, (column, value)) in known.enumerate() {
        debug_assert_eq!(column, ITEM, "the items of a list have no name");
        element(writer, names, ItemNumber(index), value);
    }
}

fn element(writer: &mut BsonWriter, names: &NameList, name: impl ElementName, value: Value<'_>) {
    match value {
        Value::Null | Value::Pending(_) | Value::PendingOrNull(_) => writer.null(name),
        Value::Boolean(value) => writer.boolean(name, value),
        Value::Integer(value) => writer.int32(name, value),
        Value::Long(value) => writer.int64(name, value),
        Value::Decimal(digits) => writer.decimal(name, digits),
        Value::Double(value) => writer.double(name, value),
        Value::Text(value) => writer.text(name, value),
        Value::Instant(milliseconds) => writer.date(name, milliseconds),
        Value::List(items) => {
            let inside = writer.open_array(name);
            list(writer, names, items);
            writer.close(inside);
        }
        Value::Record(cells) => {
            let inside = writer.open_document(name);
            record(writer, names, cells);
            writer.close(inside);
        }
    }
}

/// Returns a length as BSON writes it. Documents near 2 GiB are refused by their size long before they are sent.
fn length_of(bytes: usize) -> [u8; 4] {
    i32::try_from(bytes).unwrap_or(i32::MAX).to_le_bytes()
}
