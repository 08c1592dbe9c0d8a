//! Dates and times plus a quantity of time, FHIRPath section 6.6.7: by the calendar, at the precision that is there.

use crate::time::{civil_from_days, days_from_civil, days_of_month};

use super::decimal::Decimal;
use super::temporal::{DAY, NANOSECONDS, Precision, Temporal, TemporalKind};

/// How far a date or a time is moved.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Amount {
    /// Years and months, which the calendar makes longer or shorter.
    Months(i128),
    /// Units of fixed length, in nanoseconds.
    Nanoseconds(i128),
}

/// A time of day has no days, months or years to add.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct NotApplicable;

/// Units by their UCUM code and the word of the calendar, and how many nanoseconds they last.
const CLOCK: [(&str, &str, i128); 6] = [
    ("ms", "millisecond", NANOSECONDS / 1_000),
    ("s", "second", NANOSECONDS),
    ("min", "minute", 60 * NANOSECONDS),
    ("h", "hour", 3_600 * NANOSECONDS),
    ("d", "day", DAY),
    ("wk", "week", 7 * DAY),
];

impl Amount {
    /// Reads a quantity; `None` where its unit is not a unit of time. Only seconds and milliseconds have fractions: of
    /// larger units the whole part counts.
    pub(super) fn of(value: Decimal, unit: &str) -> Option<Self> {
        let is = |code: &str, word: &str| {
            unit == code || unit == word || unit.strip_suffix('s').is_some_and(|singular| singular == word)
        };
        let whole = value.truncated();
        if is("a", "year") {
            return Some(Self::Months(whole.checked_mul(12)?));
        }
        if is("mo", "month") {
            return Some(Self::Months(whole));
        }
        let (_, _, length) = CLOCK.iter().find(|(code, word, _)| is(code, word))?;
        let amount = if *length <= NANOSECONDS {
            value.multiply(Decimal::integer(*length))?.truncated()
        } else {
            whole.checked_mul(*length)?
        };
        Some(Self::Nanoseconds(amount))
    }
}

impl Temporal {
    /// Moves what `text` says of time, and keeps its precision and its zone. A month that is too short ends on its last
    /// day. `Ok(None)` is beyond the years 1 to 9999.
    pub(super) fn plus(self, text: &str, amount: Amount) -> Result<Option<String>, NotApplicable> {
        match (self.kind, amount) {
            (TemporalKind::Time, Amount::Nanoseconds(amount))
                if amount.unsigned_abs() < DAY.unsigned_abs() =>
            {
                // Midnight follows the last moment of the day.
                let moved = (self.low + whole_units(amount, self.length)).rem_euclid(DAY);
                Ok(Some(clock(moved, text.strip_prefix('T').unwrap_or(text))))
            }
            (TemporalKind::Time, _) => Err(NotApplicable),
            (_, Amount::Months(months)) => Ok(self.plus_months(text, months)),
            (_, Amount::Nanoseconds(amount)) => Ok(self.plus_time(text, amount)),
        }
    }

    fn plus_months(self, text: &str, months: i128) -> Option<String> {
        let (date, time) = text.split_once('T').map_or((text, None), |(date, time)| (date, Some(time)));
        let (year, month, day) = self.civil()?;
        let months = if self.precision == Precision::Year { months / 12 * 12 } else { months };
        let moved = (i128::from(year) * 12 + i128::from(month) - 1).checked_add(months)?;
        let year = i64::try_from(moved.div_euclid(12)).ok().filter(|year| (1..=9999).contains(year))?;
        let month = i64::try_from(moved.rem_euclid(12) + 1).ok()?;
        let date = day_text(year, month, day.min(days_of_month(year, month)), date.len());
        Some(match time {
            Some(time) => format!("{date}T{time}"),
            None => date,
        })
    }

    fn plus_time(self, text: &str, amount: i128) -> Option<String> {
        match self.precision {
            // A year has 365 days and a month has 30, where the text does not say which.
            Precision::Year => return self.plus_months(text, (amount / DAY / 365).checked_mul(12)?),
            Precision::Month => return self.plus_months(text, amount / DAY / 30),
            Precision::Day | Precision::Minute | Precision::Second => {}
        }
        let moved = self.low.checked_add(whole_units(amount, self.length))?;
        let days = i64::try_from(moved.div_euclid(DAY)).ok()?;
        let (year, month, day) =
            Some(days).filter(|days| days.unsigned_abs() < 4_000_000).map(civil_from_days)?;
        if !(1..=9999).contains(&year) {
            return None;
        }
        let date = day_text(year, month, day, 10);
        let Some((_, time)) = text.split_once('T').filter(|_| self.precision != Precision::Day) else {
            return Some(date);
        };
        let (time, zone) = time.split_at_checked(time.find(['Z', '+', '-']).unwrap_or(time.len()))?;
        Some(format!("{date}T{}{zone}", clock(moved.rem_euclid(DAY), time)))
    }

    /// Returns the first day that it can mean, by the clock of its own zone.
    fn civil(self) -> Option<(i64, i64, i64)> {
        let (year, month, day) = civil_from_days(i64::try_from(self.low.div_euclid(DAY)).ok()?);
        days_from_civil(year, month, day).map(|_| (year, month, day))
    }
}

/// Returns an amount of whole units; fractions are cut off.
const fn whole_units(amount: i128, unit: i128) -> i128 {
    amount / unit * unit
}

/// Returns a date of so many characters.
fn day_text(year: i64, month: i64, day: i64, length: usize) -> String {
    let mut text = format!("{year:04}-{month:02}-{day:02}");
    text.truncate(length);
    text
}

/// Returns a time of day as precise as `like`; a fraction of a second is written where there is one.
fn clock(of_day: i128, like: &str) -> String {
    let (seconds, rest) = (of_day / NANOSECONDS, of_day % NANOSECONDS);
    let mut text = format!("{:02}:{:02}:{:02}", seconds / 3_600, seconds / 60 % 60, seconds % 60);
    if like.len() < text.len() {
        text.truncate(like.len());
        return text;
    }
    let written = like.len().saturating_sub(text.len() + 1).min(9);
    if rest == 0 && written == 0 {
        return text;
    }
    let fraction = format!("{rest:09}");
    let needed = fraction.trim_end_matches('0').len().max(written).max(if written == 0 { 3 } else { 0 });
    text.push('.');
    text.push_str(fraction.get(..needed).unwrap_or(&fraction));
    text
}

#[cfg(test)]
mod tests {
    use super::{Amount, Decimal, Temporal};

    fn plus(text: &str, value: &str, unit: &str) -> Option<String> {
        let temporal = Temporal::literal(text).unwrap();
        let amount = Amount::of(Decimal::parse(value).unwrap(), unit).unwrap();
        temporal.plus(text, amount).unwrap()
    }

    #[test]
    fn moves_by_the_calendar_at_the_precision_that_is_there() {
        let cases = [
            ("1980-01-31", "18", "years", "1998-01-31"),
            ("2024-01-31", "1", "month", "2024-02-29"),
            ("2024-03-31", "-1", "month", "2024-02-29"),
            ("2024-02-29", "1", "a", "2025-02-28"),
            ("2024-02-29", "-12", "mo", "2023-02-28"),
            ("1973-12-25", "7", "days", "1974-01-01"),
            ("1973-12-25", "7.7", "d", "1974-01-01"),
            ("2024-12-30", "1", "week", "2025-01-06"),
            ("2024-12-30", "36", "hours", "2024-12-31"),
            ("2014", "24", "months", "2016"),
            ("2014", "23", "months", "2015"),
            ("2014", "-23", "months", "2013"),
            ("2014", "364", "days", "2014"),
            ("2014", "365", "days", "2015"),
            ("2014-11", "2", "months", "2015-01"),
            ("2014-11", "61", "days", "2015-01"),
            ("2014-11", "1", "year", "2015-11"),
            ("2012-04-15T10:00", "90", "minutes", "2012-04-15T11:30"),
            ("2012-04-15T10:00", "90", "seconds", "2012-04-15T10:01"),
            ("2012-04-15T23:30:00+02:00", "1", "h", "2012-04-16T00:30:00+02:00"),
            ("2012-01-31T23:30:00.500Z", "1", "month", "2012-02-29T23:30:00.500Z"),
            ("2012-04-15T10:00:00Z", "1.5", "s", "2012-04-15T10:00:01.500Z"),
            ("2012-04-15T10:00:00.25Z", "250", "ms", "2012-04-15T10:00:00.50Z"),
            ("T10:00", "3", "hours", "13:00"),
            ("T23:00:00", "2", "hours", "01:00:00"),
            ("T01:00:00", "-2", "hours", "23:00:00"),
            ("T10:00", "30", "seconds", "10:00"),
            ("0001-01-01", "-1", "day", ""),
            ("9999-12", "1", "month", ""),
            ("2024-01-01", "99999999999999999999", "days", ""),
        ];
        for (text, value, unit, moved) in cases {
            let moved = Some(moved.to_owned()).filter(|moved| !moved.is_empty());
            assert_eq!(plus(text, value, unit), moved, "{text} + {value} {unit}");
        }
    }

    #[test]
    fn other_units_are_refused() {
        assert_eq!(Amount::of(Decimal::integer(1), "kg"), None);
        let midnight = Temporal::literal("T00:00").unwrap();
        for unit in ["day", "month", "year"] {
            let amount = Amount::of(Decimal::integer(1), unit).unwrap();
            assert!(midnight.plus("T00:00", amount).is_err(), "{unit}");
        }
    }
}
