//! Running a plan over a resource: the rows of a select are the product of its own columns, of every select
//! inside it, and of the concatenated branches of its union.

use std::fmt::Write as _;

use crate::defect::{Defect, DefectCode};
use crate::fhirpath::{Context, Fault, Found, Item, Machine, Marks, Scratch, Unanswered};
use crate::json::Node;
use crate::row::Rows;

use super::emit;
use super::plan::{Plan, ViewNames};
use super::select::{Cell, Child, Foci, Program, Select};
use super::set::ViewSet;
use super::slot::{self, LastReference, Slot};

/// More bytes of rows than this, for one resource and one view, are a defect and not a table.
const ROW_BYTES: usize = 64 << 20;
/// More items of one `repeat` than this are a mistake of the view that its data happens to show.
const REPEATED: usize = 1 << 20;

/// The memory of a worker's views, used again for every resource.
#[derive(Debug, Default)]
pub struct Evaluator {
    scratch: Scratch,
    memory: Memory,
}

/// A view of a set needs the key of an entry that may follow in the Bundle.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct KeyComesLater;

#[derive(Debug, Default)]
struct Memory {
    slots: Vec<Slot>,
    repeated: Vec<Item>,
    found: Vec<Found>,
    marks: Marks,
    last: LastReference,
    key: String,
}

impl Evaluator {
    /// Appends the rows that a view has for a resource and says how many they are; none for a resource of another
    /// type. Where it fails, nothing of the resource is left in `rows`; a defect's path is the view and the column.
    pub fn run(
        &mut self,
        plan: &Plan,
        names: &ViewNames,
        resource: Node<'_>,
        context: &Context<'_>,
        rows: &mut Rows,
    ) -> Result<usize, Unanswered> {
        if !resource.get("resourceType").is_some_and(|kind| kind.is(&plan.resource_type)) {
            return Ok(0);
        }
        self.memory.found.clear();
        self.memory.last.clear();
        plan.root.harvest.gather(resource, &mut self.memory.found, &mut self.memory.marks);
        self.run_found(plan, names, resource, context, rows, 0)
    }

    /// Runs every view of a set that is for the resource's type, in one pass over the resource, and says how many
    /// rows there are. A defect rejects the resource for the view that it is named with; the rows of the others are there.
    /// Fails if a view needs a key that comes later. What was appended until then is for the caller to rewind.
    pub fn run_all(
        &mut self,
        views: &ViewSet,
        resource: Node<'_>,
        context: &Context<'_>,
        rows: &mut Rows,
        defects: &mut Vec<(String, Defect)>,
    ) -> Result<usize, KeyComesLater> {
        let Some(group) = resource.get_text("resourceType").and_then(|kind| views.group(&kind)) else {
            return Ok(0);
        };
        self.memory.found.clear();
        self.memory.last.clear();
        group.harvest.gather(resource, &mut self.memory.found, &mut self.memory.marks);
        let mut count = 0;
        for member in &group.members {
            match self.run_found(&member.plan, &member.names, resource, context, rows, member.leaf) {
                Ok(written) => count += written,
                Err(Unanswered::Defect(defect)) => defects.push((member.plan.name.clone(), defect)),
                Err(Unanswered::KeyComesLater) => return Err(KeyComesLater),
            }
        }
        Ok(count)
    }

    /// Runs a view whose leaves have been found and begin at `leaf`.
    fn run_found(
        &mut self,
        plan: &Plan,
        names: &ViewNames,
        resource: Node<'_>,
        context: &Context<'_>,
        rows: &mut Rows,
        leaf: usize,
    ) -> Result<usize, Unanswered> {
        let mark = rows.mark();
        // Every slot is filled before a row is complete, so nothing is left of the resource before.
        self.memory.slots.resize(plan.columns.len(), Slot::Null);
        self.memory.repeated.clear();
        let machine = Machine::new(&plan.pool, resource, plan.resource, *context, &mut self.scratch);
        let limit = rows.bytes() + ROW_BYTES;
        let memory = &mut self.memory;
        let mut runner = Runner { plan, names, machine, rows: &mut *rows, memory, written: 0, limit };
        match runner.resource(leaf) {
            Ok(()) => Ok(runner.written),
            Err(stop) => {
                rows.rewind(mark);
                Err(stop.fault.named(stop.place.describe(plan)))
            }
        }
    }
}

/// A fault and the part of the view that met it.
struct Stop<'m> {
    fault: Fault,
    place: Place<'m>,
}

#[derive(Clone, Copy)]
enum Place<'m> {
    Column(usize),
    Condition(&'m str),
    Foci(&'m Select),
    Rows,
}

impl Place<'_> {
    fn describe(self, plan: &Plan) -> String {
        let view = &plan.name;
        match self {
            Self::Column(slot) => {
                format!("{view}.{}", plan.columns.get(slot).map_or("", |column| &column.name))
            }
            Self::Condition(element) => format!("{view}.{element}"),
            Self::Foci(select) => format!("{view}.{}", select.foci.element(&select.place)),
            Self::Rows => view.clone(),
        }
    }
}

struct Runner<'m, 'r> {
    plan: &'m Plan,
    names: &'m ViewNames,
    machine: Machine<'m>,
    rows: &'r mut Rows,
    memory: &'r mut Memory,
    written: usize,
    limit: usize,
}

/// Where a select stands: an item, its index, and where what was found there begins.
#[derive(Clone, Copy)]
struct Focus {
    item: Item,
    index: usize,
    found: usize,
}

/// What is still to be done for a row: the children of a select from one on, and then what `then` says.
#[derive(Clone, Copy)]
struct Next<'n, 'm> {
    select: &'m Select,
    child: usize,
    focus: Focus,
    then: Option<&'n Next<'n, 'm>>,
}

type Step<'m> = Result<(), Stop<'m>>;

impl<'m> Runner<'m, '_> {
    fn resource(&mut self, found: usize) -> Step<'m> {
        let focus = Focus { item: self.machine.resource(), index: 0, found };
        for condition in &self.plan.conditions {
            let place = Place::Condition(&condition.element);
            let base = self.machine.len();
            self.run(&condition.program, focus, place)?;
            let answer = self.machine.verdict(base);
            if answer.map_err(|fault| Stop { fault, place })? != Some(true) {
                return Ok(());
            }
        }
        self.advance(&Next { select: &self.plan.root, child: 0, focus, then: None })
    }

    fn run(&mut self, program: &'m Program, focus: Focus, place: Place<'m>) -> Step<'m> {
        let found = program.leaf.and_then(|leaf| self.memory.found.get(focus.found + leaf)).copied();
        let done = match found {
            Some(found) => self.machine.start_from(&program.op, focus.item, found),
            None => self.machine.start(&program.op, focus.item),
        };
        done.map_err(|fault| Stop { fault, place })
    }

    /// Runs the next child, or what comes after the select; with nothing left to do the row is complete.
    fn advance(&mut self, next: &Next<'_, 'm>) -> Step<'m> {
        let after = Next { child: next.child + 1, ..*next };
        match (next.select.children.get(next.child), next.then) {
            (Some(Child::Select(select)), _) => self.enter(select, next.focus, &after),
            (Some(Child::Union(branches)), _) => {
                branches.iter().try_for_each(|branch| self.enter(branch, next.focus, &after))
            }
            (None, Some(then)) => self.advance(then),
            (None, None) => self.emit(),
        }
    }

    fn enter(&mut self, select: &'m Select, focus: Focus, then: &Next<'_, 'm>) -> Step<'m> {
        let base = self.machine.len();
        self.machine.row_index = focus.index;
        match &select.foci {
            Foci::Same => return self.visit(select, focus, then),
            Foci::Each(program) | Foci::EachOrNull(program) => {
                self.run(program, focus, Place::Foci(select))?;
                self.machine
                    .expect_known(base)
                    .map_err(|fault| Stop { fault, place: Place::Foci(select) })?;
                let end = self.machine.len();
                if base == end && matches!(select.foci, Foci::EachOrNull(_)) {
                    slot::fill_with_nulls(&mut self.memory.slots, select);
                    return self.advance(then);
                }
                for place in base..end {
                    self.visit_item(select, self.machine.at(place), place - base, then)?;
                }
                self.machine.truncate(base);
            }
            Foci::Repeat(paths) => {
                let first = self.memory.repeated.len();
                self.gather(select, paths, focus)?;
                for place in first..self.memory.repeated.len() {
                    let item = self.memory.repeated.get(place).copied().unwrap_or(focus.item);
                    self.visit_item(select, item, place - first, then)?;
                }
                self.memory.repeated.truncate(first);
            }
        }
        Ok(())
    }

    /// Puts everything that the paths lead to from the focus, over and over, in document order.
    fn gather(&mut self, select: &'m Select, paths: &'m [Program], focus: Focus) -> Step<'m> {
        let base = self.machine.len();
        for path in paths {
            self.machine.row_index = focus.index;
            self.run(path, focus, Place::Foci(select))?;
            let end = self.machine.len();
            for place in base..end {
                let item = self.machine.at(place);
                // Only what lies inside can be new; a path that stays where it is ends here.
                if !self.machine.lies_inside(item, focus.item) {
                    continue;
                }
                if self.memory.repeated.len() >= REPEATED {
                    return Err(Stop { fault: Fault::TOO_LARGE, place: Place::Foci(select) });
                }
                self.memory.repeated.push(item);
                self.gather(select, paths, Focus { item, ..focus })?;
            }
            self.machine.truncate(base);
        }
        Ok(())
    }

    /// Goes on at an item of a select's own: its paths are looked for in one pass.
    fn visit_item(&mut self, select: &'m Select, item: Item, index: usize, then: &Next<'_, 'm>) -> Step<'m> {
        let found = self.memory.found.len();
        if let (Item::Element(element), 1..) = (item, select.harvest.len()) {
            let node = self.machine.node(element);
            select.harvest.gather(node, &mut self.memory.found, &mut self.memory.marks);
        }
        self.visit(select, Focus { item, index, found }, then)?;
        self.memory.found.truncate(found);
        Ok(())
    }

    /// Fills the select's own columns for one focus and goes on inside it.
    fn visit(&mut self, select: &'m Select, focus: Focus, then: &Next<'_, 'm>) -> Step<'m> {
        let base = self.machine.len();
        self.machine.row_index = focus.index;
        for (slot, cell) in (select.slots.start..).zip(&select.columns) {
            let memory = &mut *self.memory;
            let found = cell.program.leaf.and_then(|leaf| memory.found.get(focus.found + leaf));
            let place = slot::glance(&self.machine, &cell.program, focus.item, found, &mut memory.last);
            if let Some(place) = place {
                self.fill(slot, place);
                continue;
            }
            let start = self.machine.len();
            self.run(&cell.program, focus, Place::Column(slot))?;
            let end = self.machine.len();
            self.check_count(cell, start, slot)?;
            self.fill(slot, Slot::items(start, end));
        }
        self.advance(&Next { select, child: 0, focus, then: Some(then) })?;
        self.machine.truncate(base);
        Ok(())
    }

    /// Checks what a column's path has left on the stack: one item at most where the column is no collection, and no
    /// item that may turn out to be none. A key that comes later may stand alone: the cell waits for it.
    fn check_count(&self, cell: &Cell, start: usize, slot: usize) -> Step<'m> {
        let stop = |fault| Stop { fault, place: Place::Column(slot) };
        let count = self.machine.len() - start;
        if count > 1 || cell.collection {
            self.machine.expect_known(start).map_err(stop)?;
        }
        if count > 1 && !cell.collection {
            let offset = self.machine.offset(self.machine.at(start + 1));
            return Err(stop(Fault::of(DefectCode::SeveralValues).at(offset)));
        }
        Ok(())
    }

    fn fill(&mut self, slot: usize, with: Slot) {
        if let Some(slot) = self.memory.slots.get_mut(slot) {
            *slot = with;
        }
    }

    fn emit(&mut self) -> Step<'m> {
        let mut key = self.machine.context().key;
        if self.plan.many {
            self.memory.key.clear();
            let _ = write!(self.memory.key, "{key}#{}", self.written);
            key = "";
        }
        let key = if key.is_empty() { &self.memory.key } else { key };
        let row = self.rows.begin_row(self.names.table, key);
        let cells = self.plan.forms.iter().zip(&self.names.columns).zip(&self.memory.slots);
        for (index, ((form, name), slot)) in cells.enumerate() {
            let written = emit::cell(&self.machine, self.rows, *name, *form, *slot);
            written.map_err(|fault| Stop { fault, place: Place::Column(index) })?;
        }
        self.rows.end_row(row);
        self.written += 1;
        if self.rows.bytes() > self.limit {
            return Err(Stop { fault: Fault::TOO_LARGE, place: Place::Rows });
        }
        Ok(())
    }
}

impl Foci {
    /// The element of the definition that holds the path.
    fn element(&self, place: &str) -> String {
        let member = match self {
            Self::Same => return place.to_owned(),
            Self::Each(_) => "forEach",
            Self::EachOrNull(_) => "forEachOrNull",
            Self::Repeat(_) => "repeat",
        };
        format!("{place}.{member}")
    }
}
