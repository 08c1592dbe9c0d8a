//! Functions that convert values, FHIRPath section 5.5, and the boundaries of SQL on FHIR.

use crate::fhirpath::decimal::Decimal;
use crate::fhirpath::item::{Fault, Item, Value};
use crate::fhirpath::machine::Machine;
use crate::fhirpath::program::Call;
use crate::fhirpath::temporal::{Boundary, Temporal, TemporalKind, boundary};

pub(super) fn low_boundary<'m>(m: &mut Machine<'m>, _: &'m Call, base: usize, _: Item) -> Result<(), Fault> {
    bound(m, base, Boundary::Low)
}

pub(super) fn high_boundary<'m>(m: &mut Machine<'m>, _: &'m Call, base: usize, _: Item) -> Result<(), Fault> {
    bound(m, base, Boundary::High)
}

fn bound(m: &mut Machine<'_>, base: usize, which: Boundary) -> Result<(), Fault> {
    let value = m.single_value(base)?;
    m.truncate(base);
    match value {
        Some(Value::Number(number)) => {
            let bound = if which == Boundary::Low { number.low_boundary() } else { number.high_boundary() };
            m.push_number(bound);
        }
        Some(Value::Temporal(text, temporal)) => {
            if let Some(bound) = boundary(&text, temporal.kind, which) {
                m.push_temporal(&bound, temporal.kind);
            }
        }
        _ => {}
    }
    Ok(())
}

pub(super) fn to_string<'m>(m: &mut Machine<'m>, _: &'m Call, base: usize, _: Item) -> Result<(), Fault> {
    let text = match m.single(base)? {
        None => None,
        Some(item) => match m.value(item)? {
            Value::Object(_) => None,
            Value::Quantity(quantity) => Some(format!("{} '{}'", quantity.value, quantity.unit)),
            _ => Some(m.text_of(item)?.into_owned()),
        },
    };
    m.truncate(base);
    if let Some(text) = text {
        m.push_text(&text);
    }
    Ok(())
}

pub(super) fn to_decimal<'m>(m: &mut Machine<'m>, _: &'m Call, base: usize, _: Item) -> Result<(), Fault> {
    let number = number(m, base)?;
    m.truncate(base);
    m.push_number(number);
    Ok(())
}

/// A text or a boolean becomes an integer; a decimal does not, because it would lose its fraction.
pub(super) fn to_integer<'m>(m: &mut Machine<'m>, _: &'m Call, base: usize, _: Item) -> Result<(), Fault> {
    let number = number(m, base)?.filter(|number| number.is_written_whole());
    m.truncate(base);
    m.push_number(number);
    Ok(())
}

fn number(m: &Machine<'_>, base: usize) -> Result<Option<Decimal>, Fault> {
    Ok(match m.single_value(base)? {
        Some(Value::Number(number)) => Some(number),
        Some(Value::Boolean(value)) => Some(Decimal::integer(value.into())),
        Some(Value::Text(text)) => Decimal::parse(&text).filter(|_| !text.contains(['e', 'E'])),
        _ => None,
    })
}

/// The date of a date, of a dateTime, or of a text that is one of them.
pub(super) fn to_date<'m>(m: &mut Machine<'m>, _: &'m Call, base: usize, _: Item) -> Result<(), Fault> {
    let text = match m.single_value(base)? {
        Some(Value::Text(text) | Value::Temporal(text, _)) => Some(text),
        _ => None,
    };
    m.truncate(base);
    let date = text.as_deref().filter(|text| Temporal::parse(text, TemporalKind::DateTime).is_some());
    if let Some(date) = date.and_then(|text| text.split('T').next()) {
        m.push_temporal(date, TemporalKind::Date);
    }
    Ok(())
}
