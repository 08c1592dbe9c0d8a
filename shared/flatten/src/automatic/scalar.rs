//! Scalars: a value by its FHIR primitive type, exact where the cell can be exact, with its text beside it where it
//! cannot.

use std::borrow::Cow;

use sha2::{Digest, Sha256};

use crate::decimals::{Decimals, NearestDouble};
use crate::defect::{Defect, DefectCode};
use crate::json::{Kind, Node};
use crate::row::{ColumnId, ITEM};
use crate::time::{is_time, moment};

use super::place::{Derived, Scalars, SpotId, items_kind};
use super::walk::Walk;

/// The digits that a Decimal128 holds exactly (IEEE 754-2008, decimal128).
const DECIMAL_DIGITS: usize = 34;

impl<'a> Walk<'_, 'a> {
    /// One scalar and what is derived from it.
    pub(super) fn scalar(&mut self, spot: SpotId, value: Node<'a>) -> Result<(), Defect> {
        let (plain, scalars) = (self.places.plain(spot), self.places.field_flags(spot).scalars);
        match value.kind() {
            Kind::String => {
                if scalars.has(Scalars::CODED) && !self.places.codes(spot).iter().any(|code| value.is(code)) {
                    self.findings.codes += 1;
                }
                self.string(spot, scalars, value)
            }
            Kind::Number => self.number(spot, scalars, value),
            _ => {
                match value.boolean().filter(|_| scalars.has(Scalars::BOOLEAN) || scalars.none()) {
                    Some(truth) => self.rows.boolean(plain, truth),
                    None => self.misfit(spot, value),
                }
                Ok(())
            }
        }
    }

    /// An array of scalars: a list, and the lists that are derived from it.
    pub(super) fn scalars(&mut self, spot: SpotId, array: Node<'a>) -> Result<(), Defect> {
        let (plain, scalars) = (self.places.plain(spot), self.places.field_flags(spot).scalars);
        let list = self.rows.open_list(plain);
        for item in array.as_items() {
            self.list_item(spot, item)?;
        }
        self.rows.close(list);
        if scalars.has(Scalars::MOMENT) && items_kind(array) == Some(Kind::String) {
            let at = self.derived(spot, Derived::At);
            let list = self.rows.open_list(at);
            for item in array.as_items() {
                if let Some(moment) = item.text().and_then(|text| moment(&text)) {
                    self.rows.instant(ITEM, moment.milliseconds());
                } else {
                    let is_doubtful = !scalars.has(Scalars::TEXT) && item.kind() == Kind::String;
                    self.findings.dates += u64::from(is_doubtful);
                    self.rows.null(ITEM);
                }
            }
            self.rows.close(list);
        }
        Ok(())
    }

    /// One scalar as an item of a list; what has no column of its own there keeps its text.
    pub(super) fn list_item(&mut self, spot: SpotId, value: Node<'a>) -> Result<(), Defect> {
        let scalars = self.places.field_flags(spot).scalars;
        match value.kind() {
            Kind::Null => self.rows.null(ITEM),
            Kind::String if scalars.has(Scalars::BINARY) && self.is_large(value) => {
                let record = self.rows.open_record(ITEM);
                let [size, sha256] = ["dataSize", "dataSha256"].map(|name| self.names.column(name));
                self.replaced(value, size, sha256);
                self.rows.close(record);
            }
            Kind::String => {
                if scalars != Scalars::TEXT {
                    self.doubt_text(scalars, value);
                }
                match if scalars.has(Scalars::LONG) { self.whole(value)? } else { None } {
                    Some(number) => self.rows.long(ITEM, number),
                    None => self.rows.text_of(ITEM, value),
                }
            }
            Kind::True | Kind::False => {
                self.findings.values += u64::from(!scalars.has(Scalars::BOOLEAN) && !scalars.none());
                self.rows.boolean(ITEM, value.kind() == Kind::True);
            }
            Kind::Number => {
                let is_whole = scalars.has(Scalars::INTEGER) && !scalars.has(Scalars::DECIMAL);
                let is_long = scalars.has(Scalars::LONG) && !scalars.has(Scalars::INTEGER);
                if let Some(number) = if is_long { self.whole(value)? } else { None } {
                    self.rows.long(ITEM, number);
                } else if !is_whole || !self.integer(ITEM, scalars, value)? {
                    let fits = scalars.has(Scalars::DECIMAL.and(Scalars::LONG)) || scalars.none();
                    self.findings.values += u64::from(!fits);
                    self.decimal_item(value.raw());
                }
            }
            Kind::Array => {
                let list = self.rows.open_list(ITEM);
                for item in value.items() {
                    self.list_item(spot, item)?;
                }
                self.rows.close(list);
            }
            Kind::Object => {
                let carrier = self.places.shape(spot, Node::once(value));
                let place = self.places.item(spot, carrier, self.names);
                self.record(place, value)?;
            }
        }
        Ok(())
    }

    fn derived(&mut self, spot: SpotId, derived: Derived) -> ColumnId {
        self.places.derived(spot, derived, self.names)
    }

    /// Counts a date in a list of extensions' values that is none.
    pub(super) fn doubt_date(&mut self, spot: SpotId, value: Node<'a>) {
        if self.places.field_flags(spot).scalars.has(Scalars::MOMENT) {
            let is_doubtful = value.text().is_some_and(|text| moment(&text).is_none());
            self.findings.dates += u64::from(is_doubtful);
        }
    }

    /// Counts a text in a list that is none of the texts that may stand there. Dates are counted by who makes moments
    /// of them.
    fn doubt_text(&mut self, scalars: Scalars, value: Node<'a>) {
        if scalars.none() || scalars.has(Scalars::TEXT.and(Scalars::BINARY).and(Scalars::MOMENT)) {
            return;
        }
        let text = value.text().unwrap_or_default();
        if scalars.has(Scalars::TIME) {
            self.findings.dates += u64::from(!is_time(&text));
        } else {
            self.findings.values += u64::from(!scalars.has(Scalars::LONG));
        }
    }

    /// Keeps a value of the wrong primitive type as text.
    fn misfit(&mut self, spot: SpotId, value: Node<'a>) {
        self.findings.values += 1;
        let text = self.derived(spot, Derived::Text);
        match value.kind() {
            Kind::String => self.rows.text_of(text, value),
            _ => self.rows.text(text, value.raw()),
        }
    }

    fn string(&mut self, spot: SpotId, scalars: Scalars, value: Node<'a>) -> Result<(), Defect> {
        if scalars.has(Scalars::MOMENT) {
            self.rows.text_of(self.places.plain(spot), value);
            match value.text().and_then(|text| moment(&text)) {
                Some(moment) => self
                    .rows
                    .instant(self.places.derived(spot, Derived::At, self.names), moment.milliseconds()),
                // Where some release has text instead, it may be anything.
                None => self.findings.dates += u64::from(!scalars.has(Scalars::TEXT)),
            }
        } else if scalars.has(Scalars::LONG) {
            return self.long(spot, value);
        } else if scalars.has(Scalars::BINARY) && self.is_large(value) {
            self.binary(spot, value);
        } else if scalars.has(Scalars::TEXT) || scalars.has(Scalars::BINARY) || scalars.none() {
            self.rows.text_of(self.places.plain(spot), value);
        } else if scalars.has(Scalars::TIME) {
            self.findings.dates += u64::from(!value.text().is_some_and(|text| is_time(&text)));
            self.rows.text_of(self.places.plain(spot), value);
        } else {
            self.misfit(spot, value);
        }
        Ok(())
    }

    fn number(&mut self, spot: SpotId, scalars: Scalars, value: Node<'a>) -> Result<(), Defect> {
        if scalars.has(Scalars::DECIMAL) || scalars.none() {
            self.decimal(spot, value.raw());
        } else if scalars.has(Scalars::INTEGER) {
            if !self.integer(self.places.plain(spot), scalars, value)? {
                self.misfit(spot, value);
            }
        } else if scalars.has(Scalars::LONG) {
            return self.long(spot, value);
        } else {
            self.misfit(spot, value);
        }
        Ok(())
    }

    /// Writes a whole number, of 64 bits where it needs them and some release has so many here. Whether it is one.
    fn integer(&mut self, column: ColumnId, scalars: Scalars, value: Node<'a>) -> Result<bool, Defect> {
        let Some(number) = self.whole(value)? else { return Ok(false) };
        let is_too_small =
            number < 0 && !scalars.has(Scalars::NEGATIVE) || number == 0 && !scalars.has(Scalars::ZERO);
        self.findings.values += u64::from(is_too_small);
        match i32::try_from(number) {
            Ok(number) => self.rows.integer(column, number),
            Err(_) if scalars.has(Scalars::LONG) => self.rows.long(column, number),
            Err(_) => return Err(self.defect(DefectCode::IntegerOutOfRange, value)),
        }
        Ok(true)
    }

    /// A whole number of at most 64 bits; `None` for one with a fraction or an exponent.
    fn whole(&self, value: Node<'a>) -> Result<Option<i64>, Defect> {
        let digits = value.text().unwrap_or(Cow::Borrowed(value.raw()));
        let unsigned = digits.strip_prefix(['-', '+']).unwrap_or(&digits);
        if unsigned.is_empty() || !unsigned.bytes().all(|byte| byte.is_ascii_digit()) {
            return Ok(None);
        }
        digits.parse().map(Some).map_err(|_| self.defect(DefectCode::IntegerOutOfRange, value))
    }

    /// `integer64`, which JSON writes as a string (R5, section 2.1.28.0.1).
    fn long(&mut self, spot: SpotId, value: Node<'a>) -> Result<(), Defect> {
        match self.whole(value)? {
            Some(number) => self.rows.long(self.places.plain(spot), number),
            // Some release has a text here.
            None if self.places.field_flags(spot).scalars.has(Scalars::TEXT)
                && value.kind() == Kind::String =>
            {
                self.rows.text_of(self.places.plain(spot), value);
            }
            None => self.misfit(spot, value),
        }
        Ok(())
    }

    fn decimal(&mut self, spot: SpotId, digits: &str) {
        match self.settings.decimals {
            Decimals::Exact => self.exact(spot, digits),
            Decimals::Double => self.double(spot, digits),
        }
    }

    fn exact(&mut self, spot: SpotId, digits: &str) {
        match fit(digits) {
            Fit::Exact => self.rows.decimal(self.places.plain(spot), digits),
            Fit::Rounded => {
                self.rows.decimal(self.places.plain(spot), digits);
                self.rows.text(self.places.derived(spot, Derived::Text, self.names), digits);
            }
            Fit::OutOfRange => self.rows.text(self.places.derived(spot, Derived::Text, self.names), digits),
        }
    }

    /// Writes the nearest double, if there is one, and the text beside it where the two are not the same number.
    fn double(&mut self, spot: SpotId, digits: &str) {
        let nearest = NearestDouble::of(digits);
        if let Some(nearest) = nearest {
            self.rows.double(self.places.plain(spot), nearest.value);
        }
        if !nearest.is_some_and(|nearest| nearest.is_same) {
            self.rows.text(self.places.derived(spot, Derived::Text, self.names), digits);
        }
    }

    /// An item of a list has no text beside it: what the number's type cannot hold stands as its text.
    fn decimal_item(&mut self, digits: &str) {
        match self.settings.decimals {
            Decimals::Exact => match fit(digits) {
                Fit::Exact => self.rows.decimal(ITEM, digits),
                Fit::Rounded | Fit::OutOfRange => self.rows.text(ITEM, digits),
            },
            Decimals::Double => match NearestDouble::of(digits) {
                Some(NearestDouble { value, is_same: true }) => self.rows.double(ITEM, value),
                _ => self.rows.text(ITEM, digits),
            },
        }
    }

    fn is_large(&self, binary: Node<'a>) -> bool {
        binary.raw().len() > self.settings.inline_binary_bytes
    }

    /// Large base64 text: the bytes stay reachable through `_source`.
    fn binary(&mut self, spot: SpotId, value: Node<'a>) {
        let [size, sha256] = [Derived::Size, Derived::Sha256].map(|derived| self.derived(spot, derived));
        self.replaced(value, size, sha256);
    }

    fn replaced(&mut self, value: Node<'a>, size: ColumnId, sha256: ColumnId) {
        let text = value.text().unwrap_or_default();
        self.rows.long(size, i64::try_from(text.len()).unwrap_or(i64::MAX));
        self.hash(sha256, &text);
    }

    fn hash(&mut self, column: ColumnId, text: &str) {
        let digest = Sha256::digest(text.as_bytes());
        self.rows.text_with(column, |out| {
            out.extend(
                digest
                    .iter()
                    .flat_map(|byte| [byte >> 4, byte & 15])
                    .filter_map(|digit| char::from_digit(digit.into(), 16)),
            );
        });
    }
}

/// How a number fits into a Decimal128.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Fit {
    Exact,
    Rounded,
    OutOfRange,
}

fn fit(number: &str) -> Fit {
    let (mantissa, exponent) = number.split_once(['e', 'E']).unwrap_or((number, "0"));
    // Far inside the range of decimal128, whose exponents go from -6176 to 6111.
    let in_range =
        exponent.parse::<i32>().is_ok_and(|exponent| exponent.unsigned_abs() < 6_000) && mantissa.len() < 100;
    let is_short = number.len() <= DECIMAL_DIGITS || significant_digits(mantissa) <= DECIMAL_DIGITS;
    match (in_range, is_short) {
        (true, true) => Fit::Exact,
        (true, false) => Fit::Rounded,
        (false, _) => Fit::OutOfRange,
    }
}

fn significant_digits(mantissa: &str) -> usize {
    mantissa.bytes().filter(u8::is_ascii_digit).skip_while(|digit| *digit == b'0').count()
}
