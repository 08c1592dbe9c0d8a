//! Scalars: a value by its FHIR primitive type, exact where the database can be exact, as text beside it where
//! it cannot.

use std::borrow::Cow;

use sha2::{Digest, Sha256};

use crate::defect::{Defect, DefectCode};
use crate::json::{Kind, Node};
use crate::row::{ColumnId, ITEM};
use crate::time::moment;

use super::place::{Columns, Scalars, SpotId, items_kind};
use super::walk::Walk;

/// The digits that a Decimal128 holds exactly (IEEE 754-2008, decimal128).
const DECIMAL_DIGITS: usize = 34;

impl<'a> Walk<'_, 'a> {
    /// One scalar and what is derived from it.
    pub(super) fn scalar(&mut self, spot: SpotId, value: Node<'a>) -> Result<(), Defect> {
        let (columns, scalars) = (self.places.columns(spot), self.places.scalars(spot));
        match value.kind() {
            Kind::String => self.string(columns, scalars, value),
            Kind::Number => self.number(columns, scalars, value),
            _ => {
                match value.boolean().filter(|_| scalars.boolean || scalars.none()) {
                    Some(truth) => self.rows.boolean(columns.plain, truth),
                    None => self.rows.text(columns.text, value.raw()),
                }
                Ok(())
            }
        }
    }

    /// An array of scalars: a list, and the lists that are derived from it.
    pub(super) fn scalars(&mut self, spot: SpotId, array: Node<'a>) -> Result<(), Defect> {
        let (columns, scalars) = (self.places.columns(spot), self.places.scalars(spot));
        let list = self.rows.open_list(columns.plain);
        for item in array.items() {
            self.list_item(spot, item)?;
        }
        self.rows.close(list);
        if scalars.moment && items_kind(array) == Some(Kind::String) {
            let list = self.rows.open_list(columns.at);
            for item in array.items() {
                match item.text().and_then(|text| moment(&text)) {
                    Some(moment) => self.rows.instant(ITEM, moment.milliseconds()),
                    None => self.rows.null(ITEM),
                }
            }
            self.rows.close(list);
        }
        Ok(())
    }

    /// One scalar as an item of a list; what has no column of its own there keeps its text.
    pub(super) fn list_item(&mut self, spot: SpotId, value: Node<'a>) -> Result<(), Defect> {
        let scalars = self.places.scalars(spot);
        match value.kind() {
            Kind::Null => self.rows.null(ITEM),
            Kind::String => self.rows.text_of(ITEM, value),
            Kind::True | Kind::False => self.rows.boolean(ITEM, value.kind() == Kind::True),
            Kind::Number => {
                let digits = value.raw();
                if scalars.integer && !scalars.decimal {
                    match self.whole::<i32>(value)? {
                        Some(number) => self.rows.integer(ITEM, number),
                        None => self.rows.decimal(ITEM, digits),
                    }
                } else {
                    self.rows.decimal(ITEM, digits);
                }
            }
            Kind::Object | Kind::Array => {
                let place = {
                    let carrier = self.places.shape(spot, value);
                    self.places.item(spot, carrier, self.names)
                };
                let record = self.rows.open_record(ITEM);
                self.object(place, value)?;
                self.rows.close(record);
            }
        }
        Ok(())
    }

    fn string(&mut self, columns: Columns, scalars: Scalars, value: Node<'a>) -> Result<(), Defect> {
        if scalars.moment {
            self.rows.text_of(columns.plain, value);
            if let Some(moment) = value.text().and_then(|text| moment(&text)) {
                self.rows.instant(columns.at, moment.milliseconds());
            }
        } else if scalars.instant {
            self.instant(columns, value);
        } else if scalars.long {
            return self.long(columns, value);
        } else if scalars.binary && value.raw().len() > self.settings.inline_binary_bytes {
            self.binary(columns, value);
        } else if scalars.text || scalars.binary || scalars.none() {
            self.rows.text_of(columns.plain, value);
        } else {
            self.rows.text_of(columns.text, value);
        }
        Ok(())
    }

    fn number(&mut self, columns: Columns, scalars: Scalars, value: Node<'a>) -> Result<(), Defect> {
        if scalars.decimal || scalars.none() {
            self.decimal(columns, value.raw());
        } else if scalars.integer {
            match self.whole::<i32>(value)? {
                Some(number) => self.rows.integer(columns.plain, number),
                None => self.rows.text(columns.text, value.raw()),
            }
        } else if scalars.long {
            return self.long(columns, value);
        } else {
            self.rows.text(columns.text, value.raw());
        }
        Ok(())
    }

    /// A whole number of its type's range; `None` for one with a fraction or an exponent.
    fn whole<T: std::str::FromStr>(&self, value: Node<'a>) -> Result<Option<T>, Defect> {
        let digits = value.text().unwrap_or(Cow::Borrowed(value.raw()));
        let unsigned = digits.strip_prefix(['-', '+']).unwrap_or(&digits);
        if unsigned.is_empty() || !unsigned.bytes().all(|byte| byte.is_ascii_digit()) {
            return Ok(None);
        }
        digits.parse().map(Some).map_err(|_| self.defect(DefectCode::IntegerOutOfRange, value))
    }

    /// `integer64`, which JSON writes as a string (R5, section 2.1.28.0.1).
    fn long(&mut self, columns: Columns, value: Node<'a>) -> Result<(), Defect> {
        match self.whole::<i64>(value)? {
            Some(number) => self.rows.long(columns.plain, number),
            None => self.rows.text_of(columns.text, value),
        }
        Ok(())
    }

    fn decimal(&mut self, columns: Columns, digits: &str) {
        self.rows.decimal(columns.plain, digits);
        if digits.len() > DECIMAL_DIGITS && significant_digits(digits) > DECIMAL_DIGITS {
            self.rows.text(columns.text, digits);
        }
    }

    fn instant(&mut self, columns: Columns, value: Node<'a>) {
        match value.text().and_then(|text| moment(&text)) {
            Some(moment) => {
                self.rows.instant(columns.plain, moment.milliseconds());
                if !moment.exact {
                    self.rows.text_of(columns.text, value);
                }
            }
            None => self.rows.text_of(columns.text, value),
        }
    }

    /// Large base64 text: the bytes stay reachable through `_source`.
    fn binary(&mut self, columns: Columns, value: Node<'a>) {
        let text = value.text().unwrap_or_default();
        let size = i64::try_from(text.len()).unwrap_or(i64::MAX);
        self.rows.long(columns.size, size);
        self.hash(columns.sha256, &text);
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

fn significant_digits(number: &str) -> usize {
    let mantissa = number.split(['e', 'E']).next().unwrap_or_default();
    mantissa.bytes().filter(u8::is_ascii_digit).skip_while(|digit| *digit == b'0').count()
}
