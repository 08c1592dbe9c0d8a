//! Functions that convert values, FHIRPath section 5.5, and the boundaries of SQL on FHIR.

use crate::fhirpath::decimal::Decimal;
use crate::fhirpath::item::{Item, ItemValue, PathError};
use crate::fhirpath::machine::Machine;
use crate::fhirpath::program::Call;
use crate::fhirpath::temporal::{Boundary, Temporal, TemporalKind, boundary};

/// The most digits behind the point that a boundary may have.
const BOUNDARY_DIGITS: u8 = 31;

pub(super) fn low_boundary<'m>(
    m: &mut Machine<'m>,
    call: &'m Call,
    base: usize,
    focus: Item,
) -> Result<(), PathError> {
    bound(m, (call, focus), base, Boundary::Low)
}

pub(super) fn high_boundary<'m>(
    m: &mut Machine<'m>,
    call: &'m Call,
    base: usize,
    focus: Item,
) -> Result<(), PathError> {
    bound(m, (call, focus), base, Boundary::High)
}

/// Replaces the input by its boundary. The precision counts digits: those behind the point of a number, those of a date
/// or a time. A precision that does not exist gives an empty result.
fn bound<'m>(
    m: &mut Machine<'m>,
    (call, focus): (&'m Call, Item),
    base: usize,
    which: Boundary,
) -> Result<(), PathError> {
    let value = m.single_value(base)?;
    let precision = if call.arguments.is_empty() { None } else { Some(m.whole(call.op(0), focus)?) };
    m.truncate(base);
    let precision = match precision {
        None => None,
        Some(digits) => match digits.and_then(|digits| u8::try_from(digits).ok()) {
            Some(digits) => Some(digits),
            None => return Ok(()),
        },
    };
    match value {
        Some(ItemValue::Number(number)) => m.push_number(bound_of_number(number, precision, which)),
        Some(ItemValue::Temporal(text, temporal)) => {
            if let Some(bound) = boundary(&text, temporal.kind, which, precision) {
                m.push_temporal(&bound, temporal.kind);
            }
        }
        Some(ItemValue::Object(period)) => {
            // The earliest start and the latest end of a Period.
            let end = if which == Boundary::Low { "start" } else { "end" };
            let text = period.get_text(end);
            let bound = text.and_then(|text| boundary(&text, TemporalKind::DateTime, which, precision));
            if let Some(bound) = bound {
                m.push_temporal(&bound, TemporalKind::DateTime);
            }
        }
        _ => {}
    }
    Ok(())
}

fn bound_of_number(number: Decimal, precision: Option<u8>, which: Boundary) -> Option<Decimal> {
    let bound = if which == Boundary::Low { number.low_boundary() } else { number.high_boundary() }?;
    match (precision, which) {
        (None, _) => Some(bound),
        (Some(digits), _) if digits > BOUNDARY_DIGITS => None,
        (Some(digits), Boundary::Low) => bound.floor(digits),
        (Some(digits), Boundary::High) => bound.ceil(digits),
    }
}

pub(super) fn to_string<'m>(m: &mut Machine<'m>, _: &'m Call, base: usize, _: Item) -> Result<(), PathError> {
    let text = match m.single(base)? {
        None => None,
        // Numbers as they are written, whatever their size.
        Some(item) => match m.text_of(item) {
            Ok(text) => Some(text.into_owned()),
            Err(_) => match m.value(item)? {
                ItemValue::Quantity(quantity) => Some(format!("{} '{}'", quantity.value, quantity.unit)),
                _ => None,
            },
        },
    };
    m.truncate(base);
    if let Some(text) = text {
        m.push_text(&text);
    }
    Ok(())
}

pub(super) fn to_decimal<'m>(
    m: &mut Machine<'m>,
    _: &'m Call,
    base: usize,
    _: Item,
) -> Result<(), PathError> {
    let number = number(m, base)?;
    m.truncate(base);
    m.push_number(number);
    Ok(())
}

/// Converts a text or a boolean to an integer, but no decimal, because it would lose its fraction.
pub(super) fn to_integer<'m>(
    m: &mut Machine<'m>,
    _: &'m Call,
    base: usize,
    _: Item,
) -> Result<(), PathError> {
    let number = number(m, base)?.filter(|number| number.is_written_whole());
    m.truncate(base);
    m.push_number(number);
    Ok(())
}

fn number(m: &Machine<'_>, base: usize) -> Result<Option<Decimal>, PathError> {
    Ok(match m.single_value(base)? {
        Some(ItemValue::Number(number)) => Some(number),
        Some(ItemValue::Boolean(value)) => Some(Decimal::integer(value.into())),
        Some(ItemValue::Text(text)) => Decimal::parse(&text).filter(|_| !text.contains(['e', 'E'])),
        _ => None,
    })
}

/// Converts a date, a dateTime, or a text that is one of them, to its date.
pub(super) fn to_date<'m>(m: &mut Machine<'m>, _: &'m Call, base: usize, _: Item) -> Result<(), PathError> {
    let text = match m.single_value(base)? {
        Some(ItemValue::Text(text) | ItemValue::Temporal(text, _)) => Some(text),
        _ => None,
    };
    m.truncate(base);
    let date = text.as_deref().filter(|text| Temporal::parse(text, TemporalKind::DateTime).is_some());
    if let Some(date) = date.and_then(|text| text.split('T').next()) {
        m.push_temporal(date, TemporalKind::Date);
    }
    Ok(())
}
