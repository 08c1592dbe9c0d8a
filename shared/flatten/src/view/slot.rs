//! Slots: where the values of a row's columns stand until the row is written.

use crate::fhirpath::{Element, Found, Glance, Item, Machine, NOWHERE, Op, plain_reference};

use super::select::{Child, Program, Select};

/// What stands in a slot: items on the machine's stack, one element, or what a row of nulls has.
#[derive(Debug, Clone, Copy)]
pub(super) enum Slot {
    Items {
        start: u32,
        end: u32,
    },
    Element(Element),
    /// The key of the resource.
    Key,
    Null,
    Zero,
}

impl Slot {
    /// The stack holds fewer items than the resource has bytes, which 32 bits count.
    pub(super) fn items(start: usize, end: usize) -> Self {
        let narrow = |index: usize| u32::try_from(index).unwrap_or(u32::MAX);
        Self::Items { start: narrow(start), end: narrow(end) }
    }
}

/// The result of a path that needs no running, because what its names led to says it all.
pub(super) fn glance(
    machine: &Machine<'_>,
    program: &Program,
    focus: Item,
    found: Option<&Found>,
    last: &mut LastReference,
) -> Option<Slot> {
    const EMPTY: Slot = Slot::Items { start: 0, end: 0 };
    let glance = program.glance?;
    if let Glance::ResourceKey = glance {
        return machine.is_resource(focus).then_some(Slot::Key);
    }
    let found = found?;
    match (found.count, glance) {
        (0, _) => Some(EMPTY),
        (1, Glance::Element(set)) => {
            Some(Slot::Element(Element { node: found.node, companion: NOWHERE, set }))
        }
        (1, Glance::ReferenceKey { set, wanted }) if !machine.context().looks_up_urls() => {
            let element = Element { node: found.node, companion: NOWHERE, set };
            let (node, kind) = last.plain(machine, element)?;
            let fits = wanted.is_none_or(|wanted| wanted == kind);
            Some(if fits { Slot::Element(Element { node, ..element }) } else { EMPTY })
        }
        _ => None,
    }
}

/// The reference that was looked at last: every view of a resource asks for its patient.
#[derive(Debug, Default)]
pub(super) struct LastReference {
    object: Option<u32>,
    literal: u32,
    kind_bytes: usize,
}

impl LastReference {
    /// Forgets the resource before.
    pub(super) const fn clear(&mut self) {
        self.object = None;
    }

    /// Where the literal of a reference stands that is a key already, and its type; `None` for any other.
    fn plain<'m>(&mut self, machine: &Machine<'m>, reference: Element) -> Option<(u32, &'m str)> {
        let literal = if self.object == Some(reference.node) {
            machine.node(Element { node: self.literal, ..reference })
        } else {
            let (literal, kind) = plain_reference(machine.node(reference))?;
            *self = Self { object: Some(reference.node), literal: literal.index(), kind_bytes: kind.len() };
            literal
        };
        Some((self.literal, literal.plain_text()?.get(..self.kind_bytes)?))
    }
}

/// A row of nulls for a select and all inside it; a column that is `%rowIndex` has 0.
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
