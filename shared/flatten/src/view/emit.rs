//! Writing items as cells of a column's type.

use crate::column_type::CellType;
use crate::decimals::{NearestDouble, fits_decimal128};
use crate::defect::DefectCode;
use crate::fhirpath::{Decimal, Item, ItemValue, Machine, PathError};
use crate::json::JsonKind;
use crate::row::{ColumnId, ITEM, Rows};
use crate::time::moment;

use super::plan::CellFormat;
use super::slot::Slot;

/// Writes one cell of a row.
pub(super) struct CellEmitter<'e, 'm> {
    pub(super) machine: &'e Machine<'m>,
    pub(super) rows: &'e mut Rows,
    pub(super) column: ColumnId,
}

impl CellEmitter<'_, '_> {
    /// Writes the cell of a slot.
    #[inline]
    pub(super) fn cell(mut self, format: CellFormat, slot: Slot) -> Result<(), PathError> {
        if format.collection && !matches!(slot, Slot::Null) {
            return self.list(format.cell, slot);
        }
        match slot {
            Slot::Element(element) => {
                if format.cell == CellType::Text
                    && let Some(text) = self.machine.node(element).plain_text()
                {
                    self.rows.text(self.column, text);
                    return Ok(());
                }
                self.item(format.cell, Item::Element(element))
            }
            Slot::Key if format.cell == CellType::Text => {
                self.rows.text(self.column, self.machine.context().key);
                Ok(())
            }
            Slot::Key => self.item(format.cell, Item::Key),
            Slot::Items { start, end } if start < end => {
                self.item(format.cell, self.machine.at(start as usize))
            }
            Slot::Items { .. } | Slot::Null => {
                self.rows.null(self.column);
                Ok(())
            }
            Slot::Zero => self.item(format.cell, Item::integer(0)),
        }
    }

    fn list(mut self, cell: CellType, slot: Slot) -> Result<(), PathError> {
        let list = self.rows.open_list(self.column);
        self.column = ITEM;
        match slot {
            Slot::Items { start, end } => {
                (start..end).try_for_each(|index| self.item(cell, self.machine.at(index as usize)))?;
            }
            Slot::Element(element) => self.item(cell, Item::Element(element))?,
            Slot::Zero => self.item(cell, Item::integer(0))?,
            Slot::Key => self.item(cell, Item::Key)?,
            Slot::Null => {}
        }
        self.rows.close(list);
        Ok(())
    }

    fn item(&mut self, cell: CellType, item: Item) -> Result<(), PathError> {
        if let Item::Pending(urn) = item {
            if !matches!(cell, CellType::Text | CellType::Binary) {
                return Err(PathError::KEY_COMES_LATER);
            }
            self.rows.pending_or_null(self.column, self.machine.scratch_text(urn));
            return Ok(());
        }
        match cell {
            CellType::Text | CellType::Binary => self.text(item),
            CellType::Boolean => match self.machine.value(item)? {
                ItemValue::Boolean(value) => {
                    self.rows.boolean(self.column, value);
                    Ok(())
                }
                _ => Err(self.operand_error(item)),
            },
            CellType::Integer | CellType::Long => self.integer(cell, item),
            CellType::Decimal => self.decimal(item, exact),
            CellType::Double => self.decimal(item, double),
            CellType::Timestamp => {
                let moment = match self.machine.value(item)? {
                    ItemValue::Temporal(text, _) | ItemValue::Text(text) => moment(&text),
                    _ => None,
                };
                let moment = moment.ok_or_else(|| self.operand_error(item))?;
                self.rows.instant(self.column, moment.milliseconds());
                Ok(())
            }
        }
    }

    fn integer(&mut self, cell: CellType, item: Item) -> Result<(), PathError> {
        let number = self.number(item)?.and_then(Decimal::as_integer);
        let number = number.ok_or_else(|| self.operand_error(item))?;
        let out_of_range = || PathError::of(DefectCode::IntegerOutOfRange).at(self.machine.offset(item));
        if cell == CellType::Integer {
            self.rows.integer(self.column, i32::try_from(number).map_err(|_| out_of_range())?);
        } else {
            self.rows.long(self.column, i64::try_from(number).map_err(|_| out_of_range())?);
        }
        Ok(())
    }

    fn number(&self, item: Item) -> Result<Option<Decimal>, PathError> {
        Ok(match self.machine.value(item)? {
            ItemValue::Number(number) => Some(number),
            // An integer64 is a text in JSON.
            ItemValue::Text(text) => Decimal::parse(&text),
            _ => None,
        })
    }

    /// Hands a decimal's digits to `write`: those of the resource as they were written.
    fn decimal(
        &mut self,
        item: Item,
        write: impl FnOnce(&mut Rows, ColumnId, &str),
    ) -> Result<(), PathError> {
        if let Item::Element(element) = item
            && let Some(digits) = self.machine.node(element).number()
        {
            write(self.rows, self.column, digits);
            return Ok(());
        }
        let number = self.number(item)?.ok_or_else(|| self.operand_error(item))?;
        write(self.rows, self.column, &number.to_string());
        Ok(())
    }

    fn text(&mut self, item: Item) -> Result<(), PathError> {
        let (machine, column) = (self.machine, self.column);
        match item {
            Item::Element(element) => {
                let node = machine.node(element);
                match node.kind() {
                    JsonKind::String => self.rows.text_of(column, node),
                    JsonKind::Number | JsonKind::True | JsonKind::False => self.rows.text(column, node.raw()),
                    JsonKind::Object | JsonKind::Array | JsonKind::Null => {
                        return Err(PathError { offset: Some(node.span().start), ..PathError::OPERAND });
                    }
                }
            }
            Item::Text(span) | Item::Temporal(span, _) | Item::Pending(span) => {
                self.rows.text(column, machine.scratch_text(span));
            }
            Item::Key => self.rows.text(column, machine.context().key),
            Item::Nothing => self.rows.null(column),
            Item::Boolean(_) | Item::Whole(_) | Item::Number(_) | Item::Literal(_) => {
                self.rows.text(column, &machine.text_of(item)?)
            }
        }
        Ok(())
    }

    fn operand_error(&self, item: Item) -> PathError {
        PathError { offset: self.machine.offset(item), ..PathError::OPERAND }
    }
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
