//! Dates, dateTimes and times of any precision: read, compared and bounded without inventing anything.

use std::cmp::Ordering;

use crate::time::{days_of_month, moment};

/// What a text says about time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Temporal {
    pub(crate) kind: TemporalKind,
    pub(super) precision: Precision,
    /// The earliest moment it can mean, in nanoseconds: since 1970-01-01T00:00 by the clock of its own zone, or
    /// since midnight for a time.
    pub(super) low: i128,
    /// How long that moment may last.
    pub(super) length: i128,
    /// Minutes east of UTC, where the text says.
    offset: Option<i16>,
}

/// The three kinds, FHIRPath section 4.1.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum TemporalKind {
    /// A calendar date or a part of one.
    Date,
    /// A date and, where it is known, the time of day.
    DateTime,
    /// A time of day.
    Time,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Precision {
    Year,
    Month,
    Day,
    Minute,
    /// Seconds, with or without a fraction: FHIRPath compares them as one decimal.
    Second,
}

pub(super) const NANOSECONDS: i128 = 1_000_000_000;
pub(super) const DAY: i128 = 86_400 * NANOSECONDS;

impl Temporal {
    /// Reads a text as the given kind. A dateTime may be as short as a date.
    pub(crate) fn parse(text: &str, kind: TemporalKind) -> Option<Self> {
        match kind {
            TemporalKind::Date => Self::date(text, TemporalKind::Date),
            TemporalKind::Time => Self::time(text.strip_prefix('T').unwrap_or(text)),
            TemporalKind::DateTime => match text.split_once('T') {
                None => Self::date(text, TemporalKind::DateTime),
                Some((date, "")) => Self::date(date, TemporalKind::DateTime),
                Some((date, time)) if date.len() == 10 => Self::date_and_time(text, time),
                Some(_) => None,
            },
        }
    }

    /// Reads the part of a literal behind `@`.
    pub(crate) fn literal(text: &str) -> Option<Self> {
        let kind = match text.find('T') {
            Some(0) => TemporalKind::Time,
            Some(_) => TemporalKind::DateTime,
            None => TemporalKind::Date,
        };
        Self::parse(text, kind)
    }

    fn date(text: &str, kind: TemporalKind) -> Option<Self> {
        let low = moment(text)?.nanoseconds;
        let number =
            |range: std::ops::Range<usize>| text.get(range).and_then(|digits| digits.parse::<i64>().ok());
        let (precision, days) = match text.len() {
            4 => (Precision::Year, 337 + days_of_month(number(0..4)?, 2)),
            7 => (Precision::Month, days_of_month(number(0..4)?, number(5..7)?)),
            10 => (Precision::Day, 1),
            _ => return None,
        };
        Some(Self { kind, precision, low, length: i128::from(days) * DAY, offset: None })
    }

    fn date_and_time(text: &str, time: &str) -> Option<Self> {
        let clock = time.find(['Z', '+', '-']).unwrap_or(time.len());
        let (clock, zone) = time.split_at_checked(clock)?;
        let utc = moment(text)?.nanoseconds;
        let offset = match zone.as_bytes() {
            [] => None,
            b"Z" => Some(0),
            [sign, h1, h2, _, m1, m2] => {
                let digit = |byte: u8| i16::from(byte.wrapping_sub(b'0'));
                let minutes = (digit(*h1) * 10 + digit(*h2)) * 60 + digit(*m1) * 10 + digit(*m2);
                Some(if *sign == b'-' { -minutes } else { minutes })
            }
            _ => return None,
        };
        let low = utc + i128::from(offset.unwrap_or_default()) * 60 * NANOSECONDS;
        let (precision, length) = clock_precision(clock);
        Some(Self { kind: TemporalKind::DateTime, precision, low, length, offset })
    }

    fn time(text: &str) -> Option<Self> {
        if text.contains(['Z', '+', '-', 'T']) {
            return None;
        }
        // The hour alone is a time in FHIRPath's literals only.
        let (full, hour_only) =
            if text.len() == 2 { (format!("{text}:00"), true) } else { (text.to_owned(), false) };
        let low = moment(&format!("1970-01-01T{full}Z"))?.nanoseconds;
        let (precision, length) =
            if hour_only { (Precision::Minute, 3600 * NANOSECONDS) } else { clock_precision(text) };
        Some(Self { kind: TemporalKind::Time, precision, low, length, offset: None })
    }

    /// Returns how two moments stand to each other; `None` where their precisions leave it open, or where one is a time
    /// of day and the other is not. A dateTime without a zone is taken to be in the zone of the other.
    pub(crate) fn compare(self, other: Self) -> Option<Ordering> {
        if (self.kind == TemporalKind::Time) != (other.kind == TemporalKind::Time) {
            return None;
        }
        let shift = |value: Self| match (self.offset, other.offset, value.offset) {
            (Some(_), Some(_), Some(own)) => i128::from(own) * 60 * NANOSECONDS,
            _ => 0,
        };
        let (low, other_low) = (self.low - shift(self), other.low - shift(other));
        if self.precision == other.precision && self.precision != Precision::Year {
            // Equal precision is decided by what is written; a month is not shorter than another.
            return Some(low.cmp(&other_low));
        }
        if low + self.length <= other_low {
            Some(Ordering::Less)
        } else if other_low + other.length <= low {
            Some(Ordering::Greater)
        } else {
            (self.precision == other.precision).then_some(low.cmp(&other_low))
        }
    }
}

/// Returns the precision of `hh:mm[:ss[.fff]]`, and how long it leaves open.
fn clock_precision(clock: &str) -> (Precision, i128) {
    if clock.len() < 8 { (Precision::Minute, 60 * NANOSECONDS) } else { (Precision::Second, 1) }
}

/// Which end of what a text leaves open.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Boundary {
    /// The earliest.
    Low,
    /// The latest.
    High,
}

/// Returns the earliest or latest moment that `text` can mean, at full precision: a date as a day, a time to the
/// millisecond, a dateTime with its zone, or with the zone where that day begins first (+14:00) or ends
/// last (-12:00). With a precision, that many digits of it; `None` where a date or a time cannot end there.
pub(crate) fn boundary(
    text: &str,
    kind: TemporalKind,
    which: Boundary,
    precision: Option<u8>,
) -> Option<String> {
    Temporal::parse(text, kind)?;
    match kind {
        TemporalKind::Date => cut(&day(text, which)?, &DATE, precision),
        TemporalKind::Time => cut(&clock(text.strip_prefix('T').unwrap_or(text), which), &TIME, precision),
        TemporalKind::DateTime => {
            let (date, time) = text.split_once('T').unwrap_or((text, ""));
            let zone_at = time.find(['Z', '+', '-']).unwrap_or(time.len());
            let (time, zone) = time.split_at_checked(zone_at)?;
            let zone = match (zone, which) {
                ("", Boundary::Low) => "+14:00",
                ("", Boundary::High) => "-12:00",
                (zone, _) => zone,
            };
            let date = day(date, which)?;
            match precision {
                Some(..=8) => cut(&date, &DATE, precision),
                precision => {
                    let time = cut(&clock(time, which), &TIME, precision.map(|digits| digits - 8))?;
                    // An hour alone is no time of a dateTime.
                    (time.len() > 2).then(|| format!("{date}T{time}{zone}"))
                }
            }
        }
    }
}

/// The digits of a date by its parts, and how many characters they take.
const DATE: [(u8, usize); 3] = [(4, 4), (6, 7), (8, 10)];
/// The same of a time.
const TIME: [(u8, usize); 4] = [(2, 2), (4, 5), (6, 8), (9, 12)];

/// Returns a text that is cut behind so many digits.
fn cut(text: &str, parts: &[(u8, usize)], precision: Option<u8>) -> Option<String> {
    let Some(precision) = precision else { return Some(text.to_owned()) };
    let (_, length) = parts.iter().find(|(digits, _)| *digits == precision)?;
    text.get(..*length).map(str::to_owned)
}

fn day(text: &str, which: Boundary) -> Option<String> {
    let year = text.get(0..4)?;
    let month = text.get(5..7).unwrap_or(if which == Boundary::Low { "01" } else { "12" });
    let last = days_of_month(year.parse().ok()?, month.parse().ok()?);
    Some(match (text.get(8..10), which) {
        (Some(day), _) => format!("{year}-{month}-{day}"),
        (None, Boundary::Low) => format!("{year}-{month}-01"),
        (None, Boundary::High) => format!("{year}-{month}-{last}"),
    })
}

fn clock(text: &str, which: Boundary) -> String {
    let rest = if which == Boundary::Low { "00:00:00.000" } else { "23:59:59.999" };
    let with_point = if text.len() == 8 { format!("{text}.") } else { text.to_owned() };
    let kept = with_point.get(..12).unwrap_or(&with_point);
    format!("{kept}{}", rest.get(kept.len()..).unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::{Boundary, Temporal, TemporalKind, boundary};
    use std::cmp::Ordering::{Equal, Greater, Less};

    #[test]
    fn compares_what_can_be_compared() {
        let cases = [
            ("2012", "2012", Some(Equal)),
            ("2012", "2013", Some(Less)),
            ("2012", "2012-03", None),
            ("2012-01", "2011", Some(Greater)),
            ("2012-02", "2012-02-29", None),
            ("2012-02", "2012-03-01", Some(Less)),
            ("2012-03-01", "2012-03-01T10:00:00Z", None),
            ("2012-03-02", "2012-03-01T23:00:00Z", Some(Greater)),
            ("2012-03-01T10:00:00Z", "2012-03-01T12:00:00+02:00", Some(Equal)),
            ("2012-03-01T10:00:00Z", "2012-03-01T10:00:00.000Z", Some(Equal)),
            ("2012-03-01T10:00Z", "2012-03-01T10:00:30Z", None),
            ("2012-03-01T10:00:00", "2012-03-01T10:00:00+05:00", Some(Equal)),
            ("T10:00", "T10:00:00", None),
            ("T10:00", "T11:00", Some(Less)),
            ("T10:00:00.5", "T10:00:00.500", Some(Equal)),
            ("T10", "2012", None),
        ];
        for (left, right, expected) in cases {
            let (a, b) = (Temporal::literal(left).unwrap(), Temporal::literal(right).unwrap());
            assert_eq!(a.compare(b), expected, "{left} {right}");
            assert_eq!(b.compare(a), expected.map(std::cmp::Ordering::reverse), "{right} {left}");
        }
    }

    #[test]
    fn boundaries_reach_the_real_end() {
        use TemporalKind::{Date, DateTime, Time};
        let cases = [
            ("1970-06", Date, "1970-06-01", "1970-06-30"),
            ("2024-02", Date, "2024-02-01", "2024-02-29"),
            ("2023", Date, "2023-01-01", "2023-12-31"),
            ("2023-05-06", Date, "2023-05-06", "2023-05-06"),
            ("2010-10-10", DateTime, "2010-10-10T00:00:00.000+14:00", "2010-10-10T23:59:59.999-12:00"),
            ("2010-02", DateTime, "2010-02-01T00:00:00.000+14:00", "2010-02-28T23:59:59.999-12:00"),
            ("2010-10-10T08:30Z", DateTime, "2010-10-10T08:30:00.000Z", "2010-10-10T08:30:59.999Z"),
            (
                "2010-10-10T08:30:15+02:00",
                DateTime,
                "2010-10-10T08:30:15.000+02:00",
                "2010-10-10T08:30:15.999+02:00",
            ),
            ("12:34:00", Time, "12:34:00.000", "12:34:00.999"),
            ("12:34", Time, "12:34:00.000", "12:34:59.999"),
            ("12:34:05.5", Time, "12:34:05.500", "12:34:05.599"),
        ];
        for (text, kind, low, high) in cases {
            assert_eq!(boundary(text, kind, Boundary::Low, None).as_deref(), Some(low), "{text}");
            assert_eq!(boundary(text, kind, Boundary::High, None).as_deref(), Some(high), "{text}");
        }
        assert_eq!(boundary("2023-02-30", Date, Boundary::Low, None), None);
    }

    #[test]
    fn refuses_what_is_no_time() {
        for text in ["20", "2012-13", "2012-1", "T25:00", "2012T10:00", "T10:00Z", "2012-01-01T1", "abc"] {
            assert!(Temporal::literal(text).is_none(), "{text}");
        }
    }
}
