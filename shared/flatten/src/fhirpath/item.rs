//! Items: what runs through a program. They are small copies that point into the resource, the pool or the
//! scratch text, so that navigation allocates nothing.

use std::borrow::Cow;

use crate::defect::{Defect, DefectCode};
use crate::json::Node;

use super::decimal::Decimal;
use super::quantity::Quantity;
use super::temporal::{Temporal, TemporalKind};
use super::types::SetId;

/// One item of a collection.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Item {
    /// `$this` where there is none; it is never on the stack.
    Nothing,
    /// A value of the resource.
    Element(Element),
    /// A literal or a constant of the pool.
    Literal(u32),
    Boolean(bool),
    /// A count, an index.
    Whole(u32),
    /// A number that an operator or a function made, by its place in the scratch memory: sixteen bytes and more
    /// would make every item as large.
    Number(u32),
    /// Text that a function made.
    Text(Span),
    /// A date, dateTime or time that a function made.
    Temporal(Span, TemporalKind),
    /// The key of the resource's row.
    Key,
    /// A reference's target whose key is not known yet: the URN.
    Pending(Span),
}

/// A value of the resource, by its places on the tape.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Element {
    /// The value; [`NOWHERE`] where there is only a companion.
    pub(crate) node: u32,
    /// The companion of a primitive (`_birthDate`), [`NOWHERE`] where there is none or nobody asked.
    pub(crate) companion: u32,
    pub(crate) set: SetId,
}

/// A place that is none.
pub(crate) const NOWHERE: u32 = u32::MAX;

/// A part of the scratch text.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Span {
    pub(crate) start: u32,
    pub(crate) end: u32,
}

/// An item as what it means.
#[derive(Debug, Clone)]
pub(crate) enum Value<'v> {
    Boolean(bool),
    Number(Decimal),
    Text(Cow<'v, str>),
    Temporal(Cow<'v, str>, Temporal),
    Quantity(Quantity<'v>),
    /// An element with elements of its own.
    Object(Node<'v>),
    /// A key that is not known yet.
    Pending,
}

/// Why a path cannot be run on this resource; a [`Defect`] once somebody names the view and the column.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Fault {
    pub(crate) code: DefectCode,
    /// Byte offset of the value that is to blame, where one is.
    pub(crate) offset: Option<usize>,
}

impl Fault {
    pub(crate) const OPERAND: Self = Self { code: DefectCode::InvalidOperand, offset: None };
    pub(crate) const TOO_LARGE: Self = Self { code: DefectCode::TooLarge, offset: None };

    pub(crate) fn into_defect(self, path: String) -> Defect {
        Defect { code: self.code, path, offset: self.offset }
    }
}

impl Item {
    /// A count or an index.
    pub(crate) fn integer(value: usize) -> Self {
        Self::Whole(u32::try_from(value).unwrap_or(u32::MAX))
    }
}
