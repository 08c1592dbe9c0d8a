//! Compiled selects: what they go over, their columns by slot, what stands inside them.

use std::ops::Range;

use crate::fhirpath::{Op, PathTrie, Shortcut};

/// A compiled select.
#[derive(Debug)]
pub(super) struct Select {
    /// Where it stands in the definition, for defects.
    pub(super) place: String,
    pub(super) foci: Foci,
    /// Its own columns, which fill the slots from `slots.start` on.
    pub(super) columns: Vec<SelectColumn>,
    pub(super) children: Vec<Child>,
    /// The slots that it and everything inside it fill.
    pub(super) slots: Range<usize>,
    /// What its paths and those of the selects on the same item look for there, all in one pass. Empty where the
    /// item is that of the select around.
    pub(super) trie: PathTrie,
}

/// A path, and which leaf of a trie its leading names are.
#[derive(Debug)]
pub(super) struct PathProgram {
    pub(super) op: Op,
    pub(super) leaf: Option<usize>,
    /// How the result can be read off the leaf.
    pub(super) shortcut: Option<Shortcut>,
}

/// What a select goes over.
#[derive(Debug)]
pub(super) enum Foci {
    /// The item that it stands in.
    Same,
    /// The items of a path.
    Each(PathProgram),
    /// The items of a path, or a row of nulls.
    EachOrNull(PathProgram),
    /// Everything that the paths lead to, over and over.
    Repeat(Vec<PathProgram>),
}

/// What fills one slot.
#[derive(Debug)]
pub(super) struct SelectColumn {
    pub(super) program: PathProgram,
    pub(super) collection: bool,
}

/// What stands inside a select, after its own columns.
#[derive(Debug)]
pub(super) enum Child {
    Select(Select),
    /// The branches of a `unionAll`, all of which fill the same slots.
    Union(Vec<Select>),
}

impl PathProgram {
    pub(super) fn new(op: Op) -> Self {
        Self { leaf: None, shortcut: op.shortcut(), op }
    }

    /// Has the leading names of the path looked for together with those of others.
    pub(super) fn join(&mut self, trie: &mut PathTrie) {
        self.leaf = self.op.leading_walk().map(|keys| trie.add(keys));
    }
}

impl Select {
    /// Decides which paths are looked for in one pass: those on the same item, whichever select they stand in.
    pub(super) fn join(&mut self, around: &mut PathTrie) {
        match &mut self.foci {
            Foci::Same => return self.join_inside(around),
            Foci::Each(program) | Foci::EachOrNull(program) => program.join(around),
            Foci::Repeat(_) => {}
        }
        let mut own = PathTrie::default();
        self.join_inside(&mut own);
        self.trie = own;
    }

    pub(super) fn join_inside(&mut self, trie: &mut PathTrie) {
        for cell in &mut self.columns {
            cell.program.join(trie);
        }
        for child in &mut self.children {
            match child {
                Child::Select(select) => select.join(trie),
                Child::Union(branches) => branches.iter_mut().for_each(|branch| branch.join(trie)),
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
