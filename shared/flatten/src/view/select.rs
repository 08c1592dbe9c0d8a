//! Compiled selects: what they go over, their columns by slot, what stands inside them.

use std::ops::Range;

use crate::fhirpath::Op;

/// A compiled select.
#[derive(Debug)]
pub(super) struct Select {
    /// Where it stands in the definition, for defects.
    pub(super) place: String,
    pub(super) foci: Foci,
    /// Its own columns, which fill the slots from `slots.start` on.
    pub(super) columns: Vec<Cell>,
    pub(super) children: Vec<Child>,
    /// The slots that it and everything inside it fill.
    pub(super) slots: Range<usize>,
}

/// What a select goes over.
#[derive(Debug)]
pub(super) enum Foci {
    /// The item that it stands in.
    Same,
    /// The items of a path.
    Each(Op),
    /// The items of a path, or a row of nulls.
    EachOrNull(Op),
    /// Everything that the paths lead to, over and over.
    Repeat(Vec<Op>),
}

/// What fills one slot.
#[derive(Debug)]
pub(super) struct Cell {
    pub(super) op: Op,
    pub(super) collection: bool,
}

/// What stands inside a select, after its own columns.
#[derive(Debug)]
pub(super) enum Child {
    Select(Select),
    /// The branches of a `unionAll`, all of which fill the same slots.
    Union(Vec<Select>),
}

impl Select {
    pub(super) fn at_most_one_row(&self) -> bool {
        let children = self.children.iter().all(|child| match child {
            Child::Select(select) => select.at_most_one_row(),
            Child::Union(branches) => branches.len() < 2 && branches.iter().all(Self::at_most_one_row),
        });
        children && matches!(self.foci, Foci::Same)
    }
}
