//! Writing items as cells of a column's type.

use crate::decimals::NearestDouble;
use crate::defect::DefectCode;
use crate::fhirpath::{Decimal, Fault, Item, Machine, Value};
use crate::json::Kind;
use crate::row::{ColumnId, ITEM, Rows};
use crate::time::moment;

use super::column::CellType;
use super::plan::Form;
use super::slot::Slot;

/// Writes one cell of a row.
#[inline]
pub(super) fn cell(
    machine: &Machine<'_>,
    rows: &mut Rows,
    name: ColumnId,
    form: Form,
    slot: Slot,
) -> Result<(), Fault> {
    if form.collection && !matches!(slot, Slot::Null) {
        return list(machine, rows, name, form.cell, slot);
    }
    match slot {
        Slot::Element(element) => {
            if form.cell == CellType::Text
                && let Some(text) = machine.node(element).plain_text()
            {
                rows.text(name, text);
                return Ok(());
            }
            item(machine, rows, name, form.cell, Item::Element(element))
        }
        Slot::Key if form.cell == CellType::Text => {
            rows.text(name, machine.context().key);
            Ok(())
        }
        Slot::Key => item(machine, rows, name, form.cell, Item::Key),
        Slot::Items { start, end } if start < end => {
            item(machine, rows, name, form.cell, machine.at(start as usize))
        }
        Slot::Items { .. } | Slot::Null => {
            rows.null(name);
            Ok(())
        }
        Slot::Zero => item(machine, rows, name, form.cell, Item::integer(0)),
    }
}

fn list(
    machine: &Machine<'_>,
    rows: &mut Rows,
    name: ColumnId,
    cell: CellType,
    slot: Slot,
) -> Result<(), Fault> {
    let list = rows.open_list(name);
    match slot {
        Slot::Items { start, end } => {
            (start..end).try_for_each(|index| item(machine, rows, ITEM, cell, machine.at(index as usize)))?;
        }
        Slot::Element(element) => item(machine, rows, ITEM, cell, Item::Element(element))?,
        Slot::Zero => item(machine, rows, ITEM, cell, Item::integer(0))?,
        Slot::Key => item(machine, rows, ITEM, cell, Item::Key)?,
        Slot::Null => {}
    }
    rows.close(list);
    Ok(())
}

fn item(
    machine: &Machine<'_>,
    rows: &mut Rows,
    name: ColumnId,
    cell: CellType,
    item: Item,
) -> Result<(), Fault> {
    let fault = Fault { offset: machine.offset(item), ..Fault::OPERAND };
    if let Item::Pending(urn) = item {
        if !matches!(cell, CellType::Text | CellType::Binary) {
            return Err(Fault::KEY_COMES_LATER);
        }
        rows.pending_or_null(name, machine.kept(urn));
        return Ok(());
    }
    match cell {
        CellType::Text | CellType::Binary => text(machine, rows, name, item),
        CellType::Boolean => match machine.value(item)? {
            Value::Boolean(value) => {
                rows.boolean(name, value);
                Ok(())
            }
            _ => Err(fault),
        },
        CellType::Integer | CellType::Long => {
            let number = number(machine, item)?.and_then(Decimal::as_integer).ok_or(fault)?;
            let out_of_range = Fault::of(DefectCode::IntegerOutOfRange).at(fault.offset);
            if cell == CellType::Integer {
                rows.integer(name, i32::try_from(number).map_err(|_| out_of_range)?);
            } else {
                rows.long(name, i64::try_from(number).map_err(|_| out_of_range)?);
            }
            Ok(())
        }
        CellType::Decimal => decimal(machine, rows, name, item, exact),
        CellType::Double => decimal(machine, rows, name, item, double),
        CellType::Timestamp => {
            let moment = match machine.value(item)? {
                Value::Temporal(text, _) | Value::Text(text) => moment(&text),
                _ => None,
            };
            rows.instant(name, moment.ok_or(fault)?.milliseconds());
            Ok(())
        }
    }
}

fn number(machine: &Machine<'_>, item: Item) -> Result<Option<Decimal>, Fault> {
    Ok(match machine.value(item)? {
        Value::Number(number) => Some(number),
        // An integer64 is a text in JSON.
        Value::Text(text) => Decimal::parse(&text),
        _ => None,
    })
}

/// Hands a decimal's digits to `write`: those of the resource as they were written.
fn decimal(
    machine: &Machine<'_>,
    rows: &mut Rows,
    name: ColumnId,
    item: Item,
    write: impl FnOnce(&mut Rows, ColumnId, &str),
) -> Result<(), Fault> {
    let fault = Fault { offset: machine.offset(item), ..Fault::OPERAND };
    if let Item::Element(element) = item
        && let Some(digits) = machine.node(element).number()
    {
        write(rows, name, digits);
        return Ok(());
    }
    let number = number(machine, item)?.ok_or(fault)?;
    write(rows, name, &number.to_string());
    Ok(())
}

/// Writes a number that no Decimal128 holds exactly as text.
fn exact(rows: &mut Rows, name: ColumnId, digits: &str) {
    if fits_decimal128(digits) { rows.decimal(name, digits) } else { rows.text(name, digits) }
}

/// Writes a number as the nearest double, and as text where no finite double is near.
fn double(rows: &mut Rows, name: ColumnId, digits: &str) {
    match NearestDouble::of(digits) {
        Some(nearest) => rows.double(name, nearest.value),
        None => rows.text(name, digits),
    }
}

/// Returns whether a Decimal128 holds a JSON number with all of its digits: at most 34 of them, and an exponent
/// from -6176 to 6111 (IEEE 754-2008, decimal128).
fn fits_decimal128(digits: &str) -> bool {
    if digits.len() <= 34 && !digits.contains(['e', 'E']) {
        return true;
    }
    let (mantissa, exponent) = digits.split_once(['e', 'E']).unwrap_or((digits, "0"));
    let significant = mantissa.bytes().filter(u8::is_ascii_digit).skip_while(|digit| *digit == b'0').count();
    let behind_point = mantissa.split_once('.').map_or(0, |(_, fraction)| fraction.len());
    let exponent = exponent.parse::<i64>().ok().zip(i64::try_from(behind_point).ok());
    let exponent = exponent.and_then(|(exponent, behind)| exponent.checked_sub(behind));
    significant <= 34 && exponent.is_some_and(|exponent| (-6176..=6111).contains(&exponent))
}

fn text(machine: &Machine<'_>, rows: &mut Rows, name: ColumnId, item: Item) -> Result<(), Fault> {
    match item {
        Item::Element(element) => {
            let node = machine.node(element);
            match node.kind() {
                Kind::String => rows.text_of(name, node),
                Kind::Number | Kind::True | Kind::False => rows.text(name, node.raw()),
                Kind::Object | Kind::Array | Kind::Null => {
                    return Err(Fault { offset: Some(node.span().start), ..Fault::OPERAND });
                }
            }
        }
        Item::Text(span) | Item::Temporal(span, _) | Item::Pending(span) => {
            rows.text(name, machine.kept(span));
        }
        Item::Key => rows.text(name, machine.context().key),
        Item::Nothing => rows.null(name),
        Item::Boolean(_) | Item::Whole(_) | Item::Number(_) | Item::Literal(_) => {
            rows.text(name, &machine.text_of(item)?)
        }
    }
    Ok(())
}
