//! FHIR dates and times (R5, section 2.1.28 "Primitive Types") to moments in UTC, without inventing anything.

/// What a date, dateTime or instant says, reduced to its earliest moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Moment {
    /// Nanoseconds since 1970-01-01T00:00:00Z; a partial date counts from its beginning, a time without a
    /// zone as UTC.
    pub nanoseconds: i128,
}

impl Moment {
    /// Milliseconds since 1970-01-01T00:00:00Z, rounded down.
    #[must_use]
    pub fn milliseconds(self) -> i64 {
        i64::try_from(self.nanoseconds.div_euclid(1_000_000)).unwrap_or_default()
    }
}

/// Reads `YYYY`, `YYYY-MM`, `YYYY-MM-DD` or `YYYY-MM-DDThh:mm[:ss[.fff…]][zone]`. `None` for anything else,
/// and for days that no month has. A leap second counts as the last millisecond of its minute.
///
/// ```
/// use flatten::time::moment;
/// assert_eq!(moment("1974-12").map(|m| m.milliseconds()), moment("1974-12-01T00:00:00Z").map(|m| m.milliseconds()));
/// assert_eq!(moment("2023-02-29"), None);
/// ```
#[must_use]
pub fn moment(text: &str) -> Option<Moment> {
    let mut reader = DateReader { rest: text.as_bytes() };
    let year = reader.two_digits()? * 100 + reader.two_digits()?;
    let month = if reader.skip(b'-') { reader.two_digits()? } else { 1 };
    let has_month = text.len() > 4;
    let day = if has_month && reader.skip(b'-') { reader.two_digits()? } else { 1 };
    let midnight = days_from_civil(year, month, day)? * 86_400;
    if reader.rest.is_empty() {
        return Some(Moment { nanoseconds: i128::from(midnight) * NANOSECONDS });
    }
    if text.len() < 16 || !reader.skip(b'T') {
        return None;
    }
    let time = reader.time_of_day()?;
    let seconds = midnight + time.seconds - reader.zone()? * 60;
    Some(Moment { nanoseconds: i128::from(seconds) * NANOSECONDS + i128::from(time.nanoseconds) })
}

/// Returns whether a text is `hh:mm[:ss[.fff…]]`, a time of day that clocks show.
#[must_use]
pub fn is_time(text: &str) -> bool {
    let mut reader = DateReader { rest: text.as_bytes() };
    reader.time_of_day().is_some() && reader.rest.is_empty()
}

/// Returns a moment in milliseconds since 1970-01-01T00:00:00Z as RFC 3339 text in UTC, with milliseconds where there are
/// some.
#[must_use]
pub fn rfc3339(milliseconds: i64) -> String {
    let (days, of_day) = (milliseconds.div_euclid(86_400_000), milliseconds.rem_euclid(86_400_000));
    let (year, month, day) = civil_from_days(days);
    let (hour, minute, second) = (of_day / 3_600_000, of_day / 60_000 % 60, of_day / 1000 % 60);
    match of_day % 1000 {
        0 => format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}Z"),
        rest => format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}.{rest:03}Z"),
    }
}

const NANOSECONDS: i128 = 1_000_000_000;

/// A time of day, since midnight.
struct TimeOfDay {
    seconds: i64,
    nanoseconds: u32,
}

struct DateReader<'a> {
    rest: &'a [u8],
}

impl DateReader<'_> {
    /// Skips this byte, if it comes next. Returns whether it did.
    fn skip(&mut self, byte: u8) -> bool {
        match self.rest.split_first() {
            Some((&first, rest)) if first == byte => {
                self.rest = rest;
                true
            }
            _ => false,
        }
    }

    fn two_digits(&mut self) -> Option<i64> {
        let (digits, rest) = self.rest.split_first_chunk::<2>()?;
        self.rest = rest;
        let [tens, ones] = digits.map(|digit| digit.wrapping_sub(b'0'));
        (tens < 10 && ones < 10).then(|| i64::from(tens * 10 + ones))
    }

    fn time_of_day(&mut self) -> Option<TimeOfDay> {
        let hour = self.two_digits()?;
        let minute = if self.skip(b':') { self.two_digits()? } else { return None };
        let second = if self.skip(b':') { self.two_digits()? } else { 0 };
        // A leap second is the last one of a day in UTC; zones differ by quarters of an hour.
        let last = if minute % 15 == 14 { 60 } else { 59 };
        if hour > 23 || minute > 59 || second > last {
            return None;
        }
        let fraction = if self.skip(b'.') { self.fraction()? } else { 0 };
        let (second, nanoseconds) = if second == 60 { (59, 999_000_000) } else { (second, fraction) };
        Some(TimeOfDay { seconds: hour * 3600 + minute * 60 + second, nanoseconds })
    }

    /// Nanoseconds; digits beyond the ninth are ignored.
    fn fraction(&mut self) -> Option<u32> {
        let (mut nanoseconds, mut unit, length) = (0, 100_000_000, self.rest.len());
        while let Some((digit, rest)) = self.rest.split_first().filter(|(digit, _)| digit.is_ascii_digit()) {
            nanoseconds += u32::from(digit - b'0') * unit;
            unit /= 10;
            self.rest = rest;
        }
        (self.rest.len() < length).then_some(nanoseconds)
    }

    /// Minutes east of UTC; 0 where the text names no zone.
    fn zone(&mut self) -> Option<i64> {
        if self.rest.is_empty() {
            return Some(0);
        }
        if self.skip(b'Z') {
            return self.rest.is_empty().then_some(0);
        }
        let sign = if self.skip(b'+') {
            1
        } else if self.skip(b'-') {
            -1
        } else {
            return None;
        };
        let hours = self.two_digits()?;
        let minutes = if self.skip(b':') { self.two_digits()? } else { return None };
        (self.rest.is_empty() && hours <= 14 && minutes <= 59).then_some(sign * (hours * 60 + minutes))
    }
}

/// Days since 1970-01-01 of a day in the proleptic Gregorian calendar.
pub(crate) fn days_from_civil(year: i64, month: i64, day: i64) -> Option<i64> {
    if !(1..=12).contains(&month) || day < 1 || day > days_of_month(year, month) {
        return None;
    }
    // The year is counted from March, so that the leap day is its last one.
    let shifted = if month > 2 { year } else { year - 1 };
    let (era, year_of_era) = (shifted.div_euclid(400), shifted.rem_euclid(400));
    let day_of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    Some(era * 146_097 + year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year - 719_468)
}

/// Returns the inverse of [`days_from_civil`].
pub(crate) const fn civil_from_days(days: i64) -> (i64, i64, i64) {
    let shifted = days + 719_468;
    let (era, day_of_era) = (shifted.div_euclid(146_097), shifted.rem_euclid(146_097));
    let year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month_from_march = (5 * day_of_year + 2) / 153;
    let month = if month_from_march < 10 { month_from_march + 3 } else { month_from_march - 9 };
    let year = era * 400 + year_of_era + if month <= 2 { 1 } else { 0 };
    (year, month, day_of_year - (153 * month_from_march + 2) / 5 + 1)
}

/// Returns the length of a month in days.
#[must_use]
pub const fn days_of_month(year: i64, month: i64) -> i64 {
    match month {
        2 if year % 4 == 0 && (year % 100 != 0 || year % 400 == 0) => 29,
        2 => 28,
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::{Moment, is_time, moment, rfc3339};

    proptest! {
        #[test]
        fn reads_what_it_wrote(milliseconds in -62_135_596_800_000i64..253_402_300_800_000) {
            let read = moment(&rfc3339(milliseconds)).unwrap();
            prop_assert_eq!(read.milliseconds(), milliseconds);
        }
    }

    #[test]
    fn reads_moments() {
        let cases = [
            ("1970", 0),
            ("1970-01", 0),
            ("1970-01-02", 86_400_000),
            ("1970-01-01T00:00:00Z", 0),
            ("1970-01-01T00:00Z", 0),
            ("1970-01-01T00:00:00.001000Z", 1),
            ("1970-01-01T00:00:00.0001Z", 0),
            ("1969-12-31T23:59:59.999Z", -1),
            ("1970-01-01T00:00:00+01:00", -3_600_000),
            ("1970-01-01T00:00:00+00:00", 0),
            ("1970-01-01T10:00:00", 36_000_000),
            ("2024-02-29", 1_709_164_800_000),
            ("1974-12-25T14:35:45-05:00", 157_232_145_000),
            ("0001-01-01", -62_135_596_800_000),
            ("2016-12-31T23:59:60Z", 1_483_228_799_999),
            ("2016-12-31T18:59:60.25-05:00", 1_483_228_799_999),
            ("9999-12-31T23:59:59Z", 253_402_300_799_000),
        ];
        for (text, milliseconds) in cases {
            assert_eq!(moment(text).map(Moment::milliseconds), Some(milliseconds), "{text}");
        }
    }

    #[test]
    fn knows_times_of_day() {
        for text in ["00:00", "23:59:59", "08:30:00.125"] {
            assert!(is_time(text), "{text}");
        }
        for text in ["", "8:30", "25:99", "24:00:00", "12:60:00", "12:00:00.", "12:00:00Z", "noon", "１２:00"]
        {
            assert!(!is_time(text), "{text}");
        }
    }

    #[test]
    fn refuses_what_is_no_moment() {
        let cases = [
            "",
            "19",
            "197x",
            "1970-",
            "1970-1",
            "1970-13",
            "1970-02-30",
            "2023-02-29",
            "1970-01-01T",
            "1970-01-01T10",
            "1970-01-01T24:00:00Z",
            "1970-01-01T00:00:60Z",
            "2016-12-31T23:59:61Z",
            "1970-01-01T00:00:00.Z",
            "1970-01-01T00:00:00z",
            "1970-01-01T00:00:00+15:00",
            "1970-01-01T00:00:00Zx",
            "1970T00:00:00Z",
            "1970-01-01 00:00:00Z",
            "１９７０",
        ];
        for text in cases {
            assert_eq!(moment(text), None, "{text}");
        }
    }
}
