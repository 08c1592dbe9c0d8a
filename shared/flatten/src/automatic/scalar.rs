//! Scalars: a value by its FHIR primitive type, exact where the cell can be exact, with its text beside it where it
//! cannot.

use std::borrow::Cow;
use std::fmt::Write as _;

use sha2::{Digest, Sha256};

use crate::check::StructuralCounts;
use crate::decimals::{DecimalFit, Decimals, NearestDouble};
use crate::defect::{Defect, DefectCode};
use crate::json::{JsonKind, Node};
use crate::row::{ColumnId, ITEM, Rows};
use crate::time::{is_time, moment};

use super::paths::{Derived, FieldFlags, FieldId, Paths, ScalarKinds};
use super::pointer::pointer_at;
use super::settings::Settings;

/// Writes scalars of one resource as cells.
pub(super) struct CellWriter<'w, 'a> {
    pub(super) settings: &'w Settings,
    pub(super) paths: Paths<'w>,
    pub(super) rows: &'w mut Rows,
    /// The outermost resource, which the places of defects are told from.
    pub(super) resource: Node<'a>,
    /// What structural checks have found.
    pub(super) findings: StructuralCounts,
}

impl<'a> CellWriter<'_, 'a> {
    /// Writes a scalar and what is derived from it.
    pub(super) fn scalar(&mut self, field: FieldId, value: Node<'a>) -> Result<(), Defect> {
        let FieldFlags { column, scalars, .. } = self.paths.flags(field);
        match value.kind() {
            JsonKind::Number if scalars.has(ScalarKinds::AS_TEXT) && scalars.has(ScalarKinds::NUMBER) => {
                self.rows.text(column, value.raw());
                Ok(())
            }
            JsonKind::True | JsonKind::False
                if scalars.has(ScalarKinds::AS_TEXT) && scalars.has(ScalarKinds::BOOLEAN) =>
            {
                self.rows.text(column, value.raw());
                Ok(())
            }
            JsonKind::String => {
                if scalars.has(ScalarKinds::CODED)
                    && !self.paths.codes(field).iter().any(|code| value.is(code))
                {
                    self.findings.codes += 1;
                }
                self.string(field, scalars, value)
            }
            JsonKind::Number => self.number(field, scalars, value),
            _ => {
                match value.boolean().filter(|_| scalars.has(ScalarKinds::BOOLEAN) || scalars.none()) {
                    Some(truth) => self.rows.boolean(column, truth),
                    None => self.wrong_type(field, value),
                }
                Ok(())
            }
        }
    }

    /// Writes the list of the moments of an array of dates, and counts items that are not dates.
    pub(super) fn moments(&mut self, field: FieldId, array: Node<'a>) {
        let is_text_allowed = self.paths.flags(field).scalars.has(ScalarKinds::TEXT);
        let list = self.rows.open_list(self.paths.derived_column(field, Derived::At));
        for item in array.as_items() {
            if let Some(moment) = item.text().and_then(|text| moment(&text)) {
                self.rows.instant(ITEM, moment.milliseconds());
            } else {
                self.findings.dates += u64::from(!is_text_allowed && item.kind() == JsonKind::String);
                self.rows.null(ITEM);
            }
        }
        self.rows.close(list);
    }

    /// Writes a scalar or `null` as an item of a list. A scalar that needs a second column is written as text.
    pub(super) fn list_item(&mut self, field: FieldId, value: Node<'a>) -> Result<(), Defect> {
        let scalars = self.paths.flags(field).scalars;
        match value.kind() {
            JsonKind::String => self.string_item(scalars, value)?,
            JsonKind::True | JsonKind::False => {
                self.findings.values += u64::from(!scalars.has(ScalarKinds::BOOLEAN) && !scalars.none());
                self.rows.boolean(ITEM, value.kind() == JsonKind::True);
            }
            JsonKind::Number => self.number_item(scalars, value)?,
            JsonKind::Null | JsonKind::Array | JsonKind::Object => self.rows.null(ITEM),
        }
        Ok(())
    }

    /// Counts an extension's value in a list that is not the date that it should be.
    pub(super) fn check_date(&mut self, field: FieldId, value: Node<'a>) {
        if self.paths.flags(field).scalars.has(ScalarKinds::MOMENT) {
            let is_wrong = value.text().is_some_and(|text| moment(&text).is_none());
            self.findings.dates += u64::from(is_wrong);
        }
    }

    /// Fails at a value if the resource has brought more names than one may.
    #[inline]
    pub(super) fn check_names(&self, value: Node<'_>) -> Result<(), Defect> {
        if self.paths.has_too_many_names() {
            return Err(self.defect(DefectCode::TooManyNames, value));
        }
        Ok(())
    }

    /// Returns a defect at a value.
    pub(super) fn defect(&self, code: DefectCode, value: Node<'_>) -> Defect {
        let offset = value.span().start;
        Defect::at(code, pointer_at(self.resource, offset), offset)
    }

    fn string_item(&mut self, scalars: ScalarKinds, value: Node<'a>) -> Result<(), Defect> {
        if scalars.has(ScalarKinds::BINARY) && self.is_large(value) {
            let record = self.rows.open_record(ITEM);
            let [size, sha256] = ["dataSize", "dataSha256"].map(|name| self.paths.column_named(name));
            self.size_and_hash(value, size, sha256);
            self.rows.close(record);
            return Ok(());
        }
        if scalars != ScalarKinds::TEXT {
            self.check_text_item(scalars, value);
        }
        match if scalars.has(ScalarKinds::LONG) { self.whole(value)? } else { None } {
            Some(number) => self.rows.long(ITEM, number),
            None => self.rows.text_of(ITEM, value),
        }
        Ok(())
    }

    fn number_item(&mut self, scalars: ScalarKinds, value: Node<'a>) -> Result<(), Defect> {
        let is_whole = scalars.has(ScalarKinds::INTEGER) && !scalars.has(ScalarKinds::DECIMAL);
        let is_long = scalars.has(ScalarKinds::LONG) && !scalars.has(ScalarKinds::INTEGER);
        if let Some(number) = if is_long { self.whole(value)? } else { None } {
            self.rows.long(ITEM, number);
        } else if !is_whole || !self.integer(ITEM, scalars, value)? {
            let fits = scalars.has(ScalarKinds::DECIMAL.or(ScalarKinds::LONG)) || scalars.none();
            self.findings.values += u64::from(!fits);
            self.decimal_item(value.raw());
        }
        Ok(())
    }

    /// Counts a text in a list that should be something else. Dates are checked where they are parsed.
    fn check_text_item(&mut self, scalars: ScalarKinds, value: Node<'a>) {
        if scalars.none() || scalars.has(ScalarKinds::TEXT.or(ScalarKinds::BINARY).or(ScalarKinds::MOMENT)) {
            return;
        }
        let text = value.text().unwrap_or_default();
        if scalars.has(ScalarKinds::TIME) {
            self.findings.dates += u64::from(!is_time(&text));
        } else {
            self.findings.values += u64::from(!scalars.has(ScalarKinds::LONG));
        }
    }

    /// Keeps a value of the wrong primitive type as text.
    fn wrong_type(&mut self, field: FieldId, value: Node<'a>) {
        self.findings.values += 1;
        let text = self.paths.derived_column(field, Derived::Text);
        match value.kind() {
            JsonKind::String => self.rows.text_of(text, value),
            _ => self.rows.text(text, value.raw()),
        }
    }

    fn string(&mut self, field: FieldId, scalars: ScalarKinds, value: Node<'a>) -> Result<(), Defect> {
        if scalars.has(ScalarKinds::MOMENT) {
            self.rows.text_of(self.paths.column(field), value);
            match value.text().and_then(|text| moment(&text)) {
                Some(moment) => {
                    self.rows.instant(self.paths.derived_column(field, Derived::At), moment.milliseconds())
                }
                // Where some release has text instead, it may be anything.
                None => self.findings.dates += u64::from(!scalars.has(ScalarKinds::TEXT)),
            }
        } else if scalars.has(ScalarKinds::LONG) && !scalars.has(ScalarKinds::AS_TEXT) {
            return self.long(field, value);
        } else if scalars.has(ScalarKinds::BINARY) && self.is_large(value) {
            self.binary(field, value);
        } else if scalars.has(ScalarKinds::TEXT) || scalars.has(ScalarKinds::BINARY) || scalars.none() {
            self.rows.text_of(self.paths.column(field), value);
        } else if scalars.has(ScalarKinds::TIME) {
            self.findings.dates += u64::from(!value.text().is_some_and(|text| is_time(&text)));
            self.rows.text_of(self.paths.column(field), value);
        } else {
            self.wrong_type(field, value);
        }
        Ok(())
    }

    fn number(&mut self, field: FieldId, scalars: ScalarKinds, value: Node<'a>) -> Result<(), Defect> {
        if scalars.has(ScalarKinds::DECIMAL) || scalars.none() {
            self.decimal(field, value.raw());
        } else if scalars.has(ScalarKinds::INTEGER) {
            if !self.integer(self.paths.column(field), scalars, value)? {
                self.wrong_type(field, value);
            }
        } else if scalars.has(ScalarKinds::LONG) {
            return self.long(field, value);
        } else {
            self.wrong_type(field, value);
        }
        Ok(())
    }

    /// Writes an integer, of 64 bits where it needs them and some release has so many here. Returns `false` if the
    /// value is not an integer.
    fn integer(&mut self, column: ColumnId, scalars: ScalarKinds, value: Node<'a>) -> Result<bool, Defect> {
        let Some(number) = self.whole(value)? else { return Ok(false) };
        let is_too_small = number < 0 && !scalars.has(ScalarKinds::NEGATIVE)
            || number == 0 && !scalars.has(ScalarKinds::ZERO);
        self.findings.values += u64::from(is_too_small);
        match i32::try_from(number) {
            Ok(number) => self.rows.integer(column, number),
            Err(_) if scalars.has(ScalarKinds::LONG) => self.rows.long(column, number),
            Err(_) => return Err(self.defect(DefectCode::IntegerOutOfRange, value)),
        }
        Ok(true)
    }

    /// Returns an integer of at most 64 bits; `None` for a number with a fraction or an exponent.
    fn whole(&self, value: Node<'a>) -> Result<Option<i64>, Defect> {
        let digits = value.text().unwrap_or(Cow::Borrowed(value.raw()));
        let unsigned = digits.strip_prefix(['-', '+']).unwrap_or(&digits);
        if unsigned.is_empty() || !unsigned.bytes().all(|byte| byte.is_ascii_digit()) {
            return Ok(None);
        }
        digits.parse().map(Some).map_err(|_| self.defect(DefectCode::IntegerOutOfRange, value))
    }

    /// Writes an `integer64`, which JSON writes as a string (R5, section 2.1.28.0.1).
    fn long(&mut self, field: FieldId, value: Node<'a>) -> Result<(), Defect> {
        match self.whole(value)? {
            Some(number) => self.rows.long(self.paths.column(field), number),
            None => self.wrong_type(field, value),
        }
        Ok(())
    }

    fn decimal(&mut self, field: FieldId, digits: &str) {
        match self.settings.decimals {
            Decimals::Exact => self.exact(field, digits),
            Decimals::Double => self.double(field, digits),
        }
    }

    fn exact(&mut self, field: FieldId, digits: &str) {
        match DecimalFit::of(digits) {
            DecimalFit::Exact => self.rows.decimal(self.paths.column(field), digits),
            DecimalFit::Rounded => {
                self.rows.decimal(self.paths.column(field), digits);
                self.rows.text(self.paths.derived_column(field, Derived::Text), digits);
            }
            DecimalFit::OutOfRange => self.rows.text(self.paths.derived_column(field, Derived::Text), digits),
        }
    }

    /// Writes the nearest double, if there is one, and the text beside it where the two are not the same number.
    fn double(&mut self, field: FieldId, digits: &str) {
        let nearest = NearestDouble::of(digits);
        if let Some(nearest) = nearest {
            self.rows.double(self.paths.column(field), nearest.value);
        }
        if !nearest.is_some_and(|nearest| nearest.is_same) {
            self.rows.text(self.paths.derived_column(field, Derived::Text), digits);
        }
    }

    /// Writes a decimal as an item of a list, as text if the number's type cannot hold it.
    fn decimal_item(&mut self, digits: &str) {
        match self.settings.decimals {
            Decimals::Exact => match DecimalFit::of(digits) {
                DecimalFit::Exact => self.rows.decimal(ITEM, digits),
                DecimalFit::Rounded | DecimalFit::OutOfRange => self.rows.text(ITEM, digits),
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

    /// Writes size and hash of large base64 text, which stays reachable through `_source`.
    fn binary(&mut self, field: FieldId, value: Node<'a>) {
        let [size, sha256] =
            [Derived::Size, Derived::Sha256].map(|derived| self.paths.derived_column(field, derived));
        self.size_and_hash(value, size, sha256);
    }

    fn size_and_hash(&mut self, value: Node<'a>, size: ColumnId, sha256: ColumnId) {
        let text = value.text().unwrap_or_default();
        self.rows.long(size, i64::try_from(text.len()).unwrap_or(i64::MAX));
        self.hash(sha256, &text);
    }

    fn hash(&mut self, column: ColumnId, text: &str) {
        let digest = Sha256::digest(text.as_bytes());
        self.rows.text_with(column, |out| {
            for byte in digest {
                let _infallible = write!(out, "{byte:02x}");
            }
        });
    }
}
