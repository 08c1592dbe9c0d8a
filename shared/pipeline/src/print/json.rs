//! A row as a JSON object, with holes where keys are still to come.

use std::io::Write as _;

use flatten::json::escape_position;
use flatten::row::{Cells, ColumnId, NameList, Row, Value};

use crate::batch::{Fate, ResourceWrite};
use crate::object::Pin;

/// Appends JSON to a buffer and notes the holes in it.
#[derive(Debug)]
pub(super) struct JsonWriter<'a> {
    out: &'a mut Vec<u8>,
    /// Where the row begins in `out`.
    start: usize,
    names: &'a mut MemberNames,
    holes: &'a mut Vec<Hole>,
    /// Where the writing is: names of records and positions in lists.
    path: Vec<CellStep>,
}

/// A step from a row or record to what stands in it.
#[derive(Debug, Clone, Copy)]
enum CellStep {
    Member(ColumnId),
    Item(usize),
}

/// A key that is not known yet.
#[derive(Debug)]
pub(super) struct Hole {
    /// Before which byte of the row it stands.
    pub(super) at: usize,
    /// The cell as completions name it: `component.3.valueReference_key`.
    pub(super) path: String,
    /// The member's name; `None` for the item of a list, and for the value of a member that is `null` when no key
    /// comes.
    pub(super) member: Option<String>,
    /// The key, once it is known.
    pub(super) key: Option<String>,
}

/// The names of a batch as they stand in JSON, each written once: quoted, with the colon behind.
#[derive(Debug, Default)]
pub(super) struct MemberNames {
    list: NameList,
    written: Vec<Option<Box<[u8]>>>,
}

impl MemberNames {
    pub(super) fn new(list: NameList) -> Self {
        Self { list, written: Vec::new() }
    }

    /// Returns the batch's names.
    pub(super) const fn list(&self) -> &NameList {
        &self.list
    }

    fn push(&mut self, column: ColumnId, out: &mut Vec<u8>) {
        let Some(index) = column.index() else { return };
        if index >= self.written.len() {
            self.written.resize(index + 1, None);
        }
        let Some(place) = self.written.get_mut(index) else { return };
        let written = place.get_or_insert_with(|| {
            let mut name = Vec::new();
            text(&mut name, self.list.column(column));
            name.push(b':');
            name.into_boxed_slice()
        });
        out.extend_from_slice(written);
    }
}

impl<'a> JsonWriter<'a> {
    /// Begins to write at the end of `out`.
    pub(super) const fn new(
        out: &'a mut Vec<u8>,
        names: &'a mut MemberNames,
        holes: &'a mut Vec<Hole>,
    ) -> Self {
        let start = out.len();
        Self { out, start, names, holes, path: Vec::new() }
    }

    /// Writes a row without its closing brace: `_table`, `_id`, then the cells.
    pub(super) fn row(&mut self, table: &str, row: Row<'_>) {
        self.begin(table, row.key());
        self.members(row.cells(), true);
    }

    pub(super) fn tombstone(&mut self, resource: &ResourceWrite) {
        self.begin("_tombstones", &resource.key);
        self.text_member("_version", resource.version.as_str());
        let fate = match resource.fate {
            Fate::Deleted => "deleted",
            Fate::Archived(_) => "archived",
            Fate::Rows(_) => "no rows",
            Fate::Erased { .. } => "erased",
        };
        self.text_member("fate", fate);
    }

    pub(super) fn archived(&mut self, resource: &ResourceWrite, text: &[u8]) {
        self.begin("_archive", &resource.key);
        self.text_member("resourceType", resource.own_type());
        self.text_member("json", &String::from_utf8_lossy(text));
        self.origin(resource);
    }

    /// Writes where a resource came from.
    pub(super) fn origin(&mut self, resource: &ResourceWrite) {
        let source = &resource.source;
        self.text_member("_version", resource.version.as_str());
        self.out.extend_from_slice(b",\"_source\":{\"bucket\":");
        text(self.out, &source.object.bucket);
        self.text_member("key", &source.object.key);
        if let Pin::VersionId(version) = &source.object.pin {
            self.text_member("versionId", version);
        }
        self.push(format_args!(
            ",\"ordinal\":{},\"offset\":{},\"length\":{}}}",
            source.ordinal, source.offset, source.length
        ));
        self.text_member("_load", &source.object.load_id());
    }

    /// Writes when the object of a row was created.
    pub(super) fn received(&mut self, resource: &ResourceWrite) {
        self.out.extend_from_slice(b",\"_received\":\"");
        moment(self.out, resource.source.object.created);
        self.out.push(b'"');
    }

    /// Ends the line.
    pub(super) fn end(self) {
        self.out.extend_from_slice(b"}\n");
    }

    fn begin(&mut self, table: &str, id: &str) {
        self.out.extend_from_slice(b"{\"_table\":");
        text(self.out, table);
        self.out.extend_from_slice(b",\"_id\":");
        text(self.out, id);
    }

    fn text_member(&mut self, name: &str, value: &str) {
        self.out.push(b',');
        text(self.out, name);
        self.out.push(b':');
        text(self.out, value);
    }

    /// Writes the members of a record. A hole brings its own comma when it is filled.
    fn members(&mut self, cells: Cells<'_>, mut comma: bool) {
        for (column, value) in cells {
            if let Value::Pending(_) = value {
                let member = Some(self.names.list.column(column).to_owned());
                self.hole(CellStep::Member(column), member);
            } else {
                if comma {
                    self.out.push(b',');
                }
                self.names.push(column, self.out);
                self.value(value, CellStep::Member(column));
            }
            comma = true;
        }
    }

    fn items(&mut self, items: Cells<'_>) {
        let (mut known, mut waits) = (0, false);
        for (_, value) in items {
            if let Value::Pending(_) = value {
                waits = true;
                continue;
            }
            if known > 0 {
                self.out.push(b',');
            }
            self.value(value, CellStep::Item(known));
            known += 1;
        }
        if waits {
            let all = items.enumerate().filter(|(_, (_, value))| matches!(value, Value::Pending(_)));
            all.for_each(|(index, _)| self.hole(CellStep::Item(index), None));
        }
    }

    /// Writes the value of a cell.
    pub(super) fn value_of(&mut self, column: ColumnId, value: Value<'_>) {
        self.value(value, CellStep::Member(column));
    }

    fn value(&mut self, value: Value<'_>, step: CellStep) {
        match value {
            Value::Null => self.out.extend_from_slice(b"null"),
            Value::Pending(_) | Value::PendingOrNull(_) => self.hole(step, None),
            Value::List(items) => {
                self.out.push(b'[');
                self.path.push(step);
                self.items(items);
                self.path.pop();
                self.out.push(b']');
            }
            Value::Record(cells) => {
                self.out.push(b'{');
                self.path.push(step);
                self.members(cells, false);
                self.path.pop();
                self.out.push(b'}');
            }
            Value::Text(value) => text(self.out, value),
            Value::Instant(milliseconds) => {
                self.out.push(b'"');
                moment(self.out, milliseconds);
                self.out.push(b'"');
            }
            scalar => plain(self.out, scalar),
        }
    }

    fn hole(&mut self, step: CellStep, member: Option<String>) {
        let mut path = String::new();
        for (index, step) in self.path.iter().chain([&step]).enumerate() {
            if index > 0 {
                path.push('.');
            }
            match step {
                CellStep::Member(column) => path.push_str(self.names.list.column(*column)),
                CellStep::Item(index) => path.push_str(&index.to_string()),
            }
        }
        self.holes.push(Hole { at: self.out.len() - self.start, path, member, key: None });
    }

    /// Appends text. Writing into memory does not fail.
    fn push(&mut self, arguments: std::fmt::Arguments<'_>) {
        self.out.write_fmt(arguments).ok();
    }
}

/// Appends a value that needs no quotes in JSON; nothing for any other.
pub(super) fn plain(out: &mut Vec<u8>, value: Value<'_>) {
    let written = match value {
        Value::Boolean(true) => out.write_all(b"true"),
        Value::Boolean(false) => out.write_all(b"false"),
        Value::Integer(value) => write!(out, "{value}"),
        Value::Long(value) => write!(out, "{value}"),
        Value::Decimal(digits) => out.write_all(digits.as_bytes()),
        // The shortest text that reads back as the double: `80.0`, `1e-7`.
        Value::Double(value) => write!(out, "{value:?}"),
        Value::Null
        | Value::Text(_)
        | Value::Instant(_)
        | Value::Pending(_)
        | Value::PendingOrNull(_)
        | Value::List(_)
        | Value::Record(_) => Ok(()),
    };
    // Writing into memory does not fail.
    written.ok();
}

/// Appends a moment by RFC 3339, section 5.6, always with milliseconds and `Z`.
pub(super) fn moment(out: &mut Vec<u8>, milliseconds: i64) {
    let (year, month, day) = date_of(milliseconds.div_euclid(86_400_000));
    let rest = milliseconds.rem_euclid(86_400_000);
    // Formatting takes longer than all the rest of a small row.
    if (0..10_000).contains(&year) {
        out.extend_from_slice(&digits::<4>(year));
    } else {
        write!(out, "{year:04}").ok();
    }
    let (hour, minute, second) = (rest / 3_600_000, rest / 60_000 % 60, rest / 1_000 % 60);
    let parts = [(b'-', month), (b'-', day), (b'T', hour), (b':', minute), (b':', second)];
    let parts = parts.map(|(separator, part)| {
        let [tens, ones] = digits(part);
        [separator, tens, ones]
    });
    out.extend_from_slice(parts.as_flattened());
    let [hundreds, tens, ones] = digits(rest % 1_000);
    out.extend_from_slice(&[b'.', hundreds, tens, ones, b'Z']);
}

/// Returns the last digits of a number that is not negative.
fn digits<const DIGITS: usize>(number: i64) -> [u8; DIGITS] {
    let (mut digits, mut number) = ([b'0'; DIGITS], u32::try_from(number).unwrap_or_default());
    for digit in digits.iter_mut().rev() {
        *digit += u8::try_from(number % 10).unwrap_or_default();
        number /= 10;
    }
    digits
}

/// Returns year, month and day of the proleptic Gregorian calendar, from days since 1970-01-01.
///
/// Years are counted from March here, so that the leap day is the last of its year: then the months before a day are a
/// linear function of it, and 400 years always have 146,097 days.
const fn date_of(days: i64) -> (i64, i64, i64) {
    let since_march_of_year_0 = days + 719_468;
    let era = since_march_of_year_0.div_euclid(146_097);
    let day_of_era = since_march_of_year_0.rem_euclid(146_097);
    let year_of_era = (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month_from_march = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month_from_march + 2) / 5 + 1;
    let month = if month_from_march < 10 { month_from_march + 3 } else { month_from_march - 9 };
    let year = era * 400 + year_of_era + if month <= 2 { 1 } else { 0 };
    (year, month, day)
}

/// Appends a JSON string (RFC 8259, section 7).
pub(super) fn text(out: &mut Vec<u8>, value: &str) {
    let bytes = value.as_bytes();
    out.push(b'"');
    let mut written = 0;
    while let Some(at) = escape_position(bytes, written) {
        out.extend_from_slice(bytes.get(written..at).unwrap_or_default());
        bytes.get(at).into_iter().for_each(|byte| escape(out, *byte));
        written = at + 1;
    }
    out.extend_from_slice(bytes.get(written..).unwrap_or_default());
    out.push(b'"');
}

fn escape(out: &mut Vec<u8>, byte: u8) {
    match byte {
        b'"' => out.extend_from_slice(b"\\\""),
        b'\\' => out.extend_from_slice(b"\\\\"),
        b'\n' => out.extend_from_slice(b"\\n"),
        b'\r' => out.extend_from_slice(b"\\r"),
        b'\t' => out.extend_from_slice(b"\\t"),
        _ => out.extend_from_slice(format!("\\u{byte:04x}").as_bytes()),
    }
}

#[cfg(test)]
mod tests {
    use super::{moment, text};

    #[test]
    fn moments_are_rfc_3339_in_utc_with_milliseconds() {
        let cases = [
            (0, "1970-01-01T00:00:00.000Z"),
            (-1, "1969-12-31T23:59:59.999Z"),
            (951_782_400_000, "2000-02-29T00:00:00.000Z"),
            (1_767_607_200_123, "2026-01-05T10:00:00.123Z"),
            (-62_135_596_800_000, "0001-01-01T00:00:00.000Z"),
            (-62_167_219_200_001, "-001-12-31T23:59:59.999Z"),
            (253_402_300_799_999, "9999-12-31T23:59:59.999Z"),
            (253_402_300_800_000, "10000-01-01T00:00:00.000Z"),
        ];
        for (milliseconds, expected) in cases {
            let mut out = Vec::new();
            moment(&mut out, milliseconds);
            assert_eq!(String::from_utf8(out).unwrap(), expected);
        }
    }

    #[test]
    fn strings_are_read_back_as_they_were() {
        let value: String =
            (0..0x180).filter_map(char::from_u32).chain("\u{2028}\u{1F600}".chars()).collect();
        let mut out = Vec::new();
        text(&mut out, &value);
        assert_eq!(serde_json::from_slice::<String>(&out).unwrap(), value);
    }
}
