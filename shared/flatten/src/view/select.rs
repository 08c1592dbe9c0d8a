//! Compiled selects: what they go over, their columns by slot, what stands inside them.

use std::ops::Range;

use crate::fhirpath::{Glance, Harvest, Op};

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
    /// What its paths and those of the selects on the same item look for there, all in one pass. Empty where the
    /// item is that of the select around.
    pub(super) harvest: Harvest,
}

/// A path, and which leaf of a harvest its leading names are.
#[derive(Debug)]
pub(super) struct Program {
    pub(super) op: Op,
    pub(super) leaf: Option<usize>,
    /// How the result can be read off the leaf.
    pub(super) glance: Option<Glance>,
}

/// What a select goes over.
#[derive(Debug)]
pub(super) enum Foci {
    /// The item that it stands in.
    Same,
    /// The items of a path.
    Each(Program),
    /// The items of a path, or a row of nulls.
    EachOrNull(Program),
    /// Everything that the paths lead to, over and over.
    Repeat(Vec<Program>),
}

/// What fills one slot.
#[derive(Debug)]
pub(super) struct Cell {
    pub(super) program: Program,
    pub(super) collection: bool,
}

/// What stands inside a select, after its own columns.
#[derive(Debug)]
pub(super) enum Child {
    Select(Select),
    /// The branches of a `unionAll`, all of which fill the same slots.
    Union(Vec<Select>),
}

impl Program {
    pub(super) fn new(op: Op) -> Self {
        Self { leaf: None, glance: op.glance(), op }
    }

    /// Has the leading names of the path looked for together with those of others.
    pub(super) fn join(&mut self, harvest: &mut Harvest) {
        self.leaf = self.op.leading_walk().map(|keys| harvest.add(keys));
    }
}

impl Select {
    /// Settles which paths are looked for in one pass: those on the same item, whichever select they stand in.
    pub(super) fn join(&mut self, around: &mut Harvest) {
        match &mut self.foci {
            Foci::Same => return self.join_inside(around),
            Foci::Each(program) | Foci::EachOrNull(program) => program.join(around),
            Foci::Repeat(_) => {}
        }
        let mut own = Harvest::default();
        self.join_inside(&mut own);
        self.harvest = own;
    }

    pub(super) fn join_inside(&mut self, harvest: &mut Harvest) {
        for cell in &mut self.columns {
            cell.program.join(harvest);
        }
        for child in &mut self.children {
            match child {
                Child::Select(select) => select.join(harvest),
                Child::Union(branches) => branches.iter_mut().for_each(|branch| branch.join(harvest)),
            }
        }
    }

    pub(super) fn at_most_one_row(&self) -> bool {
        let children = self.children.iter().all(|child| match child {
            Child::Select(select) => select.at_most_one_row(),
            Child::Union(branches) => branches.len() < 2 && branches.iter().all(Self::at_most_one_row),
        });
        children && matches!(self.foci, Foci::Same)
    }
}
