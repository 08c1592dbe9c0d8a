//! Slots: where the values of a row's columns stand until the row is written.

use crate::fhirpath::{ElementRef, Item, Machine, NO_NODE, Op, PathMatch, Shortcut, plain_reference};

use super::select::{Child, PathProgram, Select};

/// What stands in a slot: items on the machine's stack, one element, or what a row of nulls has.
#[derive(Debug, Clone, Copy)]
pub(super) enum Slot {
    Items {
        start: u32,
        end: u32,
    },
    Element(ElementRef),
    /// The key of the resource.
    Key,
    Null,
    Zero,
}

impl Slot {
    /// Returns a range of the stack, whose length fits into 32 bits: it has fewer items than the resource has bytes.
    pub(super) fn items(start: usize, end: usize) -> Self {
        let narrow = |index: usize| u32::try_from(index).unwrap_or(u32::MAX);
        Self::Items { start: narrow(start), end: narrow(end) }
    }
}

/// The last reference, because every view of a resource asks for its patient.
#[derive(Debug, Default)]
pub(super) struct ReferenceCache {
    object: Option<u32>,
    literal: u32,
    type_bytes: usize,
}

impl ReferenceCache {
    /// Forgets the resource before.
    pub(super) const fn clear(&mut self) {
        self.object = None;
    }

    /// Returns the result of a path that need not be run, because the match of its names is the result.
    pub(super) fn shortcut(
        &mut self,
        machine: &Machine<'_>,
        program: &PathProgram,
        focus: Item,
        found: Option<&PathMatch>,
    ) -> Option<Slot> {
        const EMPTY: Slot = Slot::Items { start: 0, end: 0 };
        let shortcut = program.shortcut?;
        if let Shortcut::ResourceKey = shortcut {
            return machine.is_resource(focus).then_some(Slot::Key);
        }
        let found = found?;
        match (found.count, shortcut) {
            (0, _) => Some(EMPTY),
            (1, Shortcut::Element(set)) => {
                Some(Slot::Element(ElementRef { node: found.node, companion: NO_NODE, set }))
            }
            (1, Shortcut::ReferenceKey { set, wanted }) if !machine.context().looks_up_urls() => {
                let element = ElementRef { node: found.node, companion: NO_NODE, set };
                let (node, resource_type) = self.plain(machine, element)?;
                let fits = wanted.is_none_or(|wanted| wanted == resource_type);
                Some(if fits { Slot::Element(ElementRef { node, ..element }) } else { EMPTY })
            }
            _ => None,
        }
    }

    /// Returns the node and the type of a literal that is a key already; `None` for any other reference.
    fn plain<'m>(&mut self, machine: &Machine<'m>, reference: ElementRef) -> Option<(u32, &'m str)> {
        let literal = if self.object == Some(reference.node) {
            machine.node(ElementRef { node: self.literal, ..reference })
        } else {
            let (literal, resource_type) = plain_reference(machine.node(reference))?;
            *self = Self {
                object: Some(reference.node),
                literal: literal.index(),
                type_bytes: resource_type.len(),
            };
            literal
        };
        Some((self.literal, literal.plain_text()?.get(..self.type_bytes)?))
    }
}

/// Fills the slots of a select and of all inside it with nulls; a column that is `%rowIndex` has 0.
pub(super) fn fill_with_nulls(slots: &mut [Slot], select: &Select) {
    if let Some(slots) = slots.get_mut(select.slots.clone()) {
        slots.fill(Slot::Null);
    }
    zero_indexes(slots, select);
}

fn zero_indexes(slots: &mut [Slot], select: &Select) {
    for (slot, cell) in (select.slots.start..).zip(&select.columns) {
        if let (Op::RowIndex, Some(slot)) = (&cell.program.op, slots.get_mut(slot)) {
            *slot = Slot::Zero;
        }
    }
    for child in &select.children {
        match child {
            Child::Select(select) => zero_indexes(slots, select),
            Child::Union(branches) => branches.iter().take(1).for_each(|branch| zero_indexes(slots, branch)),
        }
    }
}
