//! One line: a row as a JSON object, with holes where keys are still to come.

use std::io::Write as _;

use flatten::row::{Cells, NameList, Row, Value};

use crate::batch::{Fate, ResourceWrite};
use crate::object::Pin;

use super::Lines;

/// A line with its line feed.
#[derive(Debug, Default)]
pub(super) struct Line {
    pub(super) bytes: Vec<u8>,
    pub(super) holes: Vec<Hole>,
    /// Where the writing is: names of records and positions in lists.
    path: String,
}

/// A key that is not known yet.
#[derive(Debug)]
pub(super) struct Hole {
    /// Before which byte of the line it stands.
    pub(super) at: usize,
    /// The cell as completions name it: `component.3.valueReference_key`.
    pub(super) path: String,
    /// The member's name; `None` for the item of a list, and for the value of a member that is `null` when no key comes.
    pub(super) member: Option<String>,
    /// The key, once it is known.
    pub(super) key: Option<String>,
}

impl Line {
    pub(super) fn row(names: &NameList, row: Row<'_>, resource: &ResourceWrite, lines: Lines) -> Self {
        let mut line = Self::begin(names.table(row.table()), row.key());
        line.members(names, row.cells(), true);
        if lines == Lines::History {
            line.origin(resource);
        }
        line.end()
    }

    pub(super) fn tombstone(resource: &ResourceWrite) -> Self {
        let mut line = Self::begin("_tombstones", &resource.key);
        line.text_member("_version", resource.version.as_str());
        let fate = match resource.fate {
            Fate::Deleted => "deleted",
            Fate::Archived(_) => "archived",
            Fate::Rows(_) => "no rows",
            Fate::Erased { .. } => "erased",
        };
        line.text_member("fate", fate);
        line.end()
    }

    pub(super) fn archived(resource: &ResourceWrite, text: &[u8]) -> Self {
        let mut line = Self::begin("_archive", &resource.key);
        line.text_member("resourceType", resource.own_type());
        line.text_member("json", &String::from_utf8_lossy(text));
        line.origin(resource);
        line.end()
    }

    fn begin(table: &str, id: &str) -> Self {
        let mut line = Self::default();
        line.bytes.extend_from_slice(b"{\"_table\":");
        text(&mut line.bytes, table);
        line.text_member("_id", id);
        line
    }

    fn end(mut self) -> Self {
        self.bytes.extend_from_slice(b"}\n");
        self
    }

    fn origin(&mut self, resource: &ResourceWrite) {
        let source = &resource.source;
        self.text_member("_version", resource.version.as_str());
        self.bytes.extend_from_slice(b",\"_source\":{\"bucket\":");
        text(&mut self.bytes, &source.object.bucket);
        self.text_member("key", &source.object.key);
        if let Pin::Version(version) = &source.object.pin {
            self.text_member("versionId", version);
        }
        self.push(format_args!(
            ",\"ordinal\":{},\"offset\":{},\"length\":{}}}",
            source.ordinal, source.offset, source.length
        ));
        self.text_member("_load", &source.object.load_id());
    }

    fn text_member(&mut self, name: &str, value: &str) {
        self.bytes.push(b',');
        text(&mut self.bytes, name);
        self.bytes.push(b':');
        text(&mut self.bytes, value);
    }

    /// Members of a record. A hole brings its own comma when it is filled.
    fn members(&mut self, names: &NameList, cells: Cells<'_>, mut comma: bool) {
        for (column, value) in cells {
            let name = names.column(column);
            if let Value::Pending(_) = value {
                let path = format!("{}{name}", self.path);
                self.holes.push(Hole {
                    at: self.bytes.len(),
                    path,
                    member: Some(name.to_owned()),
                    key: None,
                });
            } else {
                if comma {
                    self.bytes.push(b',');
                }
                text(&mut self.bytes, name);
                self.bytes.push(b':');
                if let Value::PendingOrNull(_) = value {
                    let path = format!("{}{name}", self.path);
                    self.holes.push(Hole { at: self.bytes.len(), path, member: None, key: None });
                } else {
                    self.value(names, value, |path| path.push_str(name));
                }
            }
            comma = true;
        }
    }

    fn items(&mut self, names: &NameList, items: Cells<'_>) {
        let mut comma = false;
        let waiting = items.enumerate().filter(|(_, (_, value))| matches!(value, Value::Pending(_)));
        let known = items.filter(|(_, value)| !matches!(value, Value::Pending(_)));
        for (index, (_, value)) in known.enumerate() {
            if comma {
                self.bytes.push(b',');
            }
            self.value(names, value, |path| path.push_str(&index.to_string()));
            comma = true;
        }
        for (index, _) in waiting {
            let path = format!("{}{index}", self.path);
            self.holes.push(Hole { at: self.bytes.len(), path, member: None, key: None });
        }
    }

    fn value(&mut self, names: &NameList, value: Value<'_>, step: impl FnOnce(&mut String)) {
        match value {
            Value::Null | Value::Pending(_) | Value::PendingOrNull(_) => {
                self.bytes.extend_from_slice(b"null")
            }
            Value::Boolean(true) => self.bytes.extend_from_slice(b"true"),
            Value::Boolean(false) => self.bytes.extend_from_slice(b"false"),
            Value::Integer(value) => self.push(format_args!("{value}")),
            Value::Long(value) => self.push(format_args!("{value}")),
            Value::Decimal(digits) => self.bytes.extend_from_slice(digits.as_bytes()),
            // The shortest text that reads back as the double: `80.0`, `1e-7`.
            Value::Double(value) => self.push(format_args!("{value:?}")),
            Value::Text(value) => text(&mut self.bytes, value),
            Value::Instant(milliseconds) => self.moment(milliseconds),
            Value::List(items) => {
                self.bytes.push(b'[');
                self.nested(step, |line| line.items(names, items));
                self.bytes.push(b']');
            }
            Value::Record(cells) => {
                self.bytes.push(b'{');
                self.nested(step, |line| line.members(names, cells, false));
                self.bytes.push(b'}');
            }
        }
    }

    /// Goes one step down the path and comes back.
    fn nested(&mut self, step: impl FnOnce(&mut String), write: impl FnOnce(&mut Self)) {
        let length = self.path.len();
        step(&mut self.path);
        self.path.push('.');
        write(self);
        self.path.truncate(length);
    }

    /// RFC 3339, section 5.6, always with milliseconds and `Z`.
    fn moment(&mut self, milliseconds: i64) {
        let days = milliseconds.div_euclid(86_400_000);
        let rest = milliseconds.rem_euclid(86_400_000);
        let (year, month, day) = date_of(days);
        let (hour, minute) = (rest / 3_600_000, rest / 60_000 % 60);
        let (second, fraction) = (rest / 1_000 % 60, rest % 1_000);
        self.push(format_args!(
            "\"{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}.{fraction:03}Z\""
        ));
    }

    /// Writing into memory does not fail.
    fn push(&mut self, arguments: std::fmt::Arguments<'_>) {
        self.bytes.write_fmt(arguments).ok();
    }
}

/// Year, month and day of the proleptic Gregorian calendar, from days since 1970-01-01.
///
/// Years are counted from March here, so that the leap day is the last of its year: then the months before a
/// day are a linear function of it, and 400 years always have 146,097 days.
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

/// A JSON string (RFC 8259, section 7).
pub(super) fn text(out: &mut Vec<u8>, value: &str) {
    out.push(b'"');
    let mut rest = value.as_bytes();
    while let Some(at) = rest.iter().position(|&byte| byte < 0x20 || byte == b'"' || byte == b'\\') {
        let (plain, special) = rest.split_at(at);
        out.extend_from_slice(plain);
        if let Some((&byte, behind)) = special.split_first() {
            escape(out, byte);
            rest = behind;
        }
    }
    out.extend_from_slice(rest);
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
    use super::{Line, text};

    #[test]
    fn moments_are_rfc_3339_in_utc_with_milliseconds() {
        let cases = [
            (0, "1970-01-01T00:00:00.000Z"),
            (-1, "1969-12-31T23:59:59.999Z"),
            (951_782_400_000, "2000-02-29T00:00:00.000Z"),
            (1_767_607_200_123, "2026-01-05T10:00:00.123Z"),
            (-62_135_596_800_000, "0001-01-01T00:00:00.000Z"),
            (253_402_300_799_999, "9999-12-31T23:59:59.999Z"),
        ];
        for (milliseconds, expected) in cases {
            let mut line = Line::default();
            line.moment(milliseconds);
            assert_eq!(String::from_utf8(line.bytes).unwrap(), format!("\"{expected}\""));
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
