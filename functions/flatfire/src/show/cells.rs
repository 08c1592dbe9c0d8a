//! What one cell prints.

use flatten::{CellValue, TableRow};
use jiff::Timestamp;
use unicode_width::{UnicodeWidthChar as _, UnicodeWidthStr as _};

use super::columns::{CellSource, ShownColumn};

/// What stands in one place of a printed table.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Printed {
    pub(super) text: String,
    pub(super) kind: PrintedKind,
}

/// What a printed text is.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) enum PrintedKind {
    #[default]
    Text,
    /// Stands at the right.
    Number,
    /// Its end tells more than its beginning.
    Key,
}

impl Printed {
    fn text(text: String) -> Self {
        Self { text, kind: PrintedKind::Text }
    }

    fn number(text: String) -> Self {
        Self { text, kind: PrintedKind::Number }
    }
}

/// Returns the cell of a row by the name of its column.
pub(super) fn cell<'a>(row: &'a TableRow, column: &str) -> Option<&'a CellValue> {
    row.columns.iter().find(|(name, _)| name == column).map(|(_, value)| value)
}

/// Returns the cells that a column of the printed table has in a row, under its heading: for JSON.
pub(super) fn cells_of(row: &TableRow, columns: &[ShownColumn]) -> Vec<(String, CellValue)> {
    let of = |column: &ShownColumn| {
        let value = column.sources.iter().find_map(|source| match source {
            CellSource::Cell(name) => cell(row, name).cloned(),
            CellSource::Compared { number, .. } => cell(row, number).cloned(),
            CellSource::Name(_) => printed_by(row, source).map(|printed| CellValue::Text(printed.text)),
            CellSource::Key => None,
        });
        Some((column.heading.clone(), value?))
    };
    columns.iter().filter_map(of).collect()
}

/// Returns what a column prints of a row: the first of its sources that has something.
pub(super) fn printed(row: &TableRow, column: &ShownColumn) -> Printed {
    column.sources.iter().find_map(|source| printed_by(row, source)).unwrap_or_default()
}

fn printed_by(row: &TableRow, source: &CellSource) -> Option<Printed> {
    match source {
        CellSource::Key => Some(Printed { text: one_line(&row.key), kind: PrintedKind::Key }),
        CellSource::Cell(name) => {
            let mut printed = printed_value(cell(row, name)?);
            if name.ends_with("_key") || name.ends_with("_reference") {
                printed.kind = PrintedKind::Key;
            }
            (!printed.text.is_empty()).then_some(printed)
        }
        CellSource::Compared { number, comparator } => {
            let number = printed_by(row, &CellSource::Cell(number.clone()))?;
            let Some(sign) = printed_by(row, &CellSource::Cell(comparator.clone())) else {
                return Some(number);
            };
            Some(Printed { text: format!("{} {}", sign.text, number.text), ..number })
        }
        CellSource::Name(element) => {
            let part = |part: &str| Some(printed_value(cell(row, &format!("{element}_{part}"))?).text);
            let parts: Vec<String> = ["given", "family"].into_iter().filter_map(part).collect();
            (!parts.is_empty()).then(|| Printed::text(parts.join(" ")))
        }
    }
}

/// Returns what a value prints: lists and records in full.
pub(super) fn printed_value(value: &CellValue) -> Printed {
    match value {
        CellValue::Boolean(value) => Printed::text(value.to_string()),
        CellValue::Integer(value) => Printed::number(value.to_string()),
        CellValue::Long(value) => Printed::number(value.to_string()),
        CellValue::Double(value) => Printed::number(value.to_string()),
        CellValue::Decimal(digits) => Printed::number(digits.clone()),
        CellValue::Text(text) => Printed::text(short_moment(&one_line(text))),
        CellValue::Instant(milliseconds) => {
            let moment = Timestamp::from_millisecond(*milliseconds).map(|moment| moment.to_string());
            Printed::text(short_moment(&moment.unwrap_or_default()))
        }
        CellValue::List(items) => {
            let separator =
                if items.iter().any(|item| matches!(item, CellValue::Record(_))) { "; " } else { " " };
            let items: Vec<String> = items.iter().map(|item| printed_value(item).text).collect();
            Printed::text(items.join(separator))
        }
        CellValue::Record(cells) => {
            let cells = cells.iter().map(|(name, value)| format!("{name} {}", printed_value(value).text));
            Printed::text(cells.collect::<Vec<_>>().join(", "))
        }
        _ => Printed::default(),
    }
}

/// Returns `2026-01-05 08:00Z` of `2026-01-05T08:00:27.000+00:00`: a moment to the minute. Any other text stays.
fn short_moment(text: &str) -> String {
    let Some((date, time)) = text.split_once('T').filter(|(date, _)| is_date(date)) else {
        return text.to_owned();
    };
    let zone_at = time.find(['Z', '+', '-']).unwrap_or(time.len());
    let (clock, zone) = time.split_at(zone_at);
    let is_clock = clock.chars().all(|character| character.is_ascii_digit() || ":.".contains(character));
    match clock.get(..5).filter(|_| is_clock) {
        Some(minute) => format!("{date} {minute}{}", if zone == "+00:00" { "Z" } else { zone }),
        None => text.to_owned(),
    }
}

/// Returns whether a text looks like `2026-01-05`.
fn is_date(text: &str) -> bool {
    let is_part =
        |(at, byte): (usize, u8)| if at == 4 || at == 7 { byte == b'-' } else { byte.is_ascii_digit() };
    text.len() == 10 && text.bytes().enumerate().all(is_part)
}

/// Returns the text without what a terminal would obey: line breaks become blanks, other control characters `·`.
fn one_line(text: &str) -> String {
    let plain = |character: char| match character {
        character if character.is_whitespace() => ' ',
        character if character.is_control() || is_invisible(character) => '·',
        character => character,
    };
    text.chars().map(plain).collect()
}

/// Marks that change the direction of what stands behind them.
const fn is_invisible(character: char) -> bool {
    matches!(character, '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

/// Returns how many columns of a terminal a text takes.
pub(super) fn width(text: &str) -> usize {
    text.width()
}

impl Printed {
    /// Returns the text, or what of it takes at most so many columns of a terminal: of keys the end, of others the
    /// beginning.
    pub(super) fn cut(&self, most: usize) -> String {
        if self.kind == PrintedKind::Key && width(&self.text) > most {
            let end: String = beginning(self.text.chars().rev(), most).chars().rev().collect();
            return format!("…{end}");
        }
        cut(&self.text, most)
    }
}

/// Returns the text, or the beginning of it with `…`, which takes at most so many columns of a terminal.
pub(super) fn cut(text: &str, most: usize) -> String {
    if width(text) <= most {
        return text.to_owned();
    }
    format!("{}…", beginning(text.chars(), most).trim_end())
}

/// Returns the first characters, which leave room for one more column.
fn beginning(characters: impl Iterator<Item = char>, most: usize) -> String {
    let mut taken = 0;
    let fits = |character: &char| {
        taken += character.width().unwrap_or_default();
        taken < most
    };
    characters.take_while(fits).collect()
}

#[cfg(test)]
mod tests {
    use flatten::CellValue;

    use super::{Printed, PrintedKind, cut, printed_value, short_moment, width};

    #[test]
    fn moments_are_printed_to_the_minute() {
        for (text, expected) in [
            ("2026-01-05T08:00:00Z", "2026-01-05 08:00Z"),
            ("2026-01-05T08:00:00.000+01:00", "2026-01-05 08:00+01:00"),
            ("2026-01-05T08:00:07.250+00:00", "2026-01-05 08:00Z"),
            ("2026-01-05T08:00:59", "2026-01-05 08:00"),
            ("2026-01-05", "2026-01-05"),
            ("2026-01", "2026-01"),
            ("2026-01-05Tea", "2026-01-05Tea"),
            ("not a moment", "not a moment"),
        ] {
            assert_eq!(short_moment(text), expected);
        }
        assert_eq!(printed_value(&CellValue::Instant(0)).text, "1970-01-01 00:00Z");
    }

    #[test]
    fn a_terminal_obeys_no_text() {
        let text = printed_value(&CellValue::Text("a\u{1b}[2Jb\r\nc\u{202e}d".to_owned())).text;
        assert_eq!(text, "a·[2Jb  c·d");
    }

    #[test]
    fn texts_are_cut_by_what_they_take() {
        assert_eq!(cut("Heart rate", 10), "Heart rate");
        assert_eq!(cut("Heart rate", 7), "Heart…");
        assert_eq!(cut("心拍数心拍数", 7), "心拍数…");
        for most in 1..20 {
            assert!(width(&cut("ü心a🔥 bc ", most)) <= most, "{most}");
        }
    }

    #[test]
    fn the_end_of_a_key_is_printed() {
        let key = Printed { text: "Patient/ü-心-17".to_owned(), kind: PrintedKind::Key };
        assert_eq!((key.cut(20).as_str(), key.cut(7).as_str()), ("Patient/ü-心-17", "…-心-17"));
    }

    #[test]
    fn numbers_keep_their_digits() {
        let decimal = printed_value(&CellValue::Decimal("1.500".to_owned()));
        assert!(decimal.kind == PrintedKind::Number && decimal.text == "1.500");
        let list = CellValue::List(vec![CellValue::Text("Ada".into()), CellValue::Text("B.".into())]);
        assert_eq!(printed_value(&list).text, "Ada B.");
    }
}
