//! Items: what runs through a program. They are small copies that point into the resource, the pool or the
//! scratch text, so that navigation allocates nothing.

use std::borrow::Cow;

use thiserror::Error;

use crate::defect::{Defect, DefectCode};
use crate::json::Node;

use super::decimal::Decimal;
use super::quantity::Quantity;
use super::temporal::{Temporal, TemporalKind};
use super::types::SetId;

/// One item of a collection.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Item {
    /// `$this` outside of a function; it is never on the stack.
    Nothing,
    /// A value of the resource.
    Element(ElementRef),
    /// A literal or a constant of the pool.
    Literal(u32),
    Boolean(bool),
    /// A count, an index.
    Whole(u32),
    /// A number that an operator or a function made, by its place in the scratch memory: sixteen bytes and more
    /// would make every item as large.
    Number(u32),
    /// Text that a function made.
    Text(ScratchSpan),
    /// A date, dateTime or time that a function made.
    Temporal(ScratchSpan, TemporalKind),
    /// The key of the resource's row.
    Key,
    /// A reference's target whose key is not known yet: the URN.
    Pending(ScratchSpan),
}

/// A value of the resource, by its places on the tape.
#[derive(Debug, Clone, Copy)]
pub(crate) struct ElementRef {
    /// The value; [`NO_NODE`] where there is only a companion.
    pub(crate) node: u32,
    /// The companion of a primitive (`_birthDate`); [`NO_NODE`] if there is none, or if the path does not need it.
    pub(crate) companion: u32,
    pub(crate) set: SetId,
}

/// No node.
pub(crate) const NO_NODE: u32 = u32::MAX;

/// The items that a path led to.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct PathMatch {
    /// The first item.
    pub(crate) node: u32,
    /// How many there are; two stands for any number above.
    pub(crate) count: u32,
}

/// A part of the scratch text.
#[derive(Debug, Clone, Copy)]
pub(crate) struct ScratchSpan {
    pub(crate) start: u32,
    pub(crate) end: u32,
}

/// An item as what it means.
#[derive(Debug, Clone)]
pub(crate) enum ItemValue<'v> {
    Boolean(bool),
    Number(Decimal),
    Text(Cow<'v, str>),
    Temporal(Cow<'v, str>, Temporal),
    Quantity(Quantity<'v>),
    /// An element with elements of its own.
    Object(Node<'v>),
}

/// Why a path cannot be run on this resource; [`Unanswered`] once the caller names the view and the column.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct PathError {
    pub(crate) cause: PathErrorCause,
    /// Byte offset of the value that is to blame, where one is.
    pub(crate) offset: Option<usize>,
}

/// The two causes of a [`PathError`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum PathErrorCause {
    /// The data breaks this rule.
    Defect(DefectCode),
    /// The result depends on a key that is not known yet.
    KeyComesLater,
}

/// Why a path or a view has no result for a resource.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum Unanswered {
    /// The resource does not fit.
    #[error("{0}")]
    Defect(Defect),
    /// The result depends on the key of an entry that may follow in the Bundle
    /// ([`Link::Later`](crate::links::Link::Later)). Ask again once the [`Links`](crate::links::Links) are closed.
    #[error("the result depends on an entry that may follow in the Bundle")]
    KeyComesLater,
}

impl PathError {
    pub(crate) const OPERAND: Self = Self::of(DefectCode::InvalidOperand);
    pub(crate) const TOO_LARGE: Self = Self::of(DefectCode::TooLarge);
    pub(crate) const KEY_COMES_LATER: Self = Self { cause: PathErrorCause::KeyComesLater, offset: None };

    pub(crate) const fn of(code: DefectCode) -> Self {
        Self { cause: PathErrorCause::Defect(code), offset: None }
    }

    pub(crate) fn at(self, offset: Option<usize>) -> Self {
        Self { offset, ..self }
    }

    /// Names the part of the view or the condition that met the fault.
    pub(crate) fn named(self, path: String) -> Unanswered {
        match self.cause {
            PathErrorCause::Defect(code) => Unanswered::Defect(Defect { code, path, offset: self.offset }),
            PathErrorCause::KeyComesLater => Unanswered::KeyComesLater,
        }
    }
}

impl Item {
    /// Returns a count or an index.
    pub(crate) fn integer(value: usize) -> Self {
        Self::Whole(u32::try_from(value).unwrap_or(u32::MAX))
    }
}
