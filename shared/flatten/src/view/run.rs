//! Running a plan over a resource: the rows of a select are the product of its own columns, of every select
//! inside it, and of the concatenated branches of its union.

use std::fmt::Write as _;

use crate::defect::{Defect, DefectCode};
use crate::fhirpath::{Context, Fault, Item, Machine, Op, Scratch};
use crate::json::Node;
use crate::row::Rows;

use super::emit;
use super::plan::{Plan, ViewNames};
use super::select::{Child, Foci, Select};

/// More bytes of rows than this, for one resource and one view, are a defect and not a table.
const ROW_BYTES: usize = 64 << 20;
/// More items of one `repeat` than this are a mistake of the view that its data happens to show.
const REPEATED: usize = 1 << 20;

/// The memory of a worker's views, used again for every resource.
#[derive(Debug, Default)]
pub struct Evaluator {
    scratch: Scratch,
    slots: Vec<Slot>,
    repeated: Vec<Item>,
    key: String,
}

/// What stands in a slot: items on the machine's stack, or what a row of nulls has.
#[derive(Debug, Clone, Copy)]
pub(super) enum Slot {
    Items { start: usize, end: usize },
    Null,
    Zero,
}

impl Evaluator {
    /// Appends the rows that a view has for a resource and says how many they are; none for a resource of another
    /// type. After a defect nothing of the resource is left in `rows`; its path is the view and the column.
    pub fn run(
        &mut self,
        plan: &Plan,
        names: &ViewNames,
        resource: Node<'_>,
        context: &Context<'_>,
        rows: &mut Rows,
    ) -> Result<usize, Defect> {
        if !resource.get("resourceType").is_some_and(|kind| kind.is(&plan.resource_type)) {
            return Ok(0);
        }
        let mark = rows.mark();
        self.slots.clear();
        self.slots.resize(plan.columns.len(), Slot::Null);
        self.repeated.clear();
        let machine = Machine::new(&plan.pool, resource, plan.resource, *context, &mut self.scratch);
        let mut runner = Runner {
            plan,
            names,
            machine,
            limit: rows.bytes() + ROW_BYTES,
            rows: &mut *rows,
            slots: &mut self.slots,
            repeated: &mut self.repeated,
            key: &mut self.key,
            many: !plan.at_most_one_row(),
            written: 0,
        };
        let outcome = runner.resource();
        let written = runner.written;
        match outcome {
            Ok(()) => Ok(written),
            Err(stop) => {
                rows.rewind(mark);
                Err(stop.fault.into_defect(stop.place.describe(plan)))
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
    slots: &'r mut [Slot],
    repeated: &'r mut Vec<Item>,
    key: &'r mut String,
    many: bool,
    written: usize,
    limit: usize,
}

/// What is still to be done for a row: the children of a select from one on, and then what `then` says.
#[derive(Clone, Copy)]
struct Next<'n, 'm> {
    select: &'m Select,
    child: usize,
    focus: Item,
    index: usize,
    then: Option<&'n Next<'n, 'm>>,
}

type Step<'m> = Result<(), Stop<'m>>;

impl<'m> Runner<'m, '_> {
    fn resource(&mut self) -> Step<'m> {
        let focus = self.machine.resource();
        for condition in &self.plan.conditions {
            let answer = self.machine.verdict(&condition.op, focus);
            let place = Place::Condition(&condition.element);
            if answer.map_err(|fault| Stop { fault, place })? != Some(true) {
                return Ok(());
            }
        }
        self.advance(&Next { select: &self.plan.root, child: 0, focus, index: 0, then: None })
    }

    /// Runs the next child, or what comes after the select; with nothing left to do the row is complete.
    fn advance(&mut self, next: &Next<'_, 'm>) -> Step<'m> {
        let after = Next { child: next.child + 1, ..*next };
        match (next.select.children.get(next.child), next.then) {
            (Some(Child::Select(select)), _) => self.enter(select, next.focus, next.index, &after),
            (Some(Child::Union(branches)), _) => {
                branches.iter().try_for_each(|branch| self.enter(branch, next.focus, next.index, &after))
            }
            (None, Some(then)) => self.advance(then),
            (None, None) => self.emit(),
        }
    }

    fn enter(&mut self, select: &'m Select, focus: Item, index: usize, then: &Next<'_, 'm>) -> Step<'m> {
        let base = self.machine.len();
        match &select.foci {
            Foci::Same => return self.visit(select, focus, index, then),
            Foci::Each(op) | Foci::EachOrNull(op) => {
                self.run_foci(select, op, focus, index)?;
                let end = self.machine.len();
                if base == end && matches!(select.foci, Foci::EachOrNull(_)) {
                    self.fill_with_nulls(select);
                    return self.advance(then);
                }
                for place in base..end {
                    self.visit(select, self.machine.at(place), place - base, then)?;
                }
                self.machine.truncate(base);
            }
            Foci::Repeat(paths) => {
                let first = self.repeated.len();
                self.gather(select, paths, focus, index)?;
                for place in first..self.repeated.len() {
                    let item = self.repeated.get(place).copied().unwrap_or(focus);
                    self.visit(select, item, place - first, then)?;
                }
                self.repeated.truncate(first);
            }
        }
        Ok(())
    }

    /// Puts everything that the paths lead to from `focus`, over and over, in document order.
    fn gather(&mut self, select: &'m Select, paths: &'m [Op], focus: Item, index: usize) -> Step<'m> {
        let base = self.machine.len();
        for path in paths {
            self.run_foci(select, path, focus, index)?;
            let end = self.machine.len();
            for place in base..end {
                let item = self.machine.at(place);
                // Only what lies inside can be new; a path that stays where it is ends here.
                if !self.machine.lies_inside(item, focus) {
                    continue;
                }
                if self.repeated.len() >= REPEATED {
                    return Err(Stop { fault: Fault::TOO_LARGE, place: Place::Foci(select) });
                }
                self.repeated.push(item);
                self.gather(select, paths, item, index)?;
            }
            self.machine.truncate(base);
        }
        Ok(())
    }

    fn run_foci(&mut self, select: &'m Select, op: &'m Op, focus: Item, index: usize) -> Step<'m> {
        self.machine.row_index = index;
        self.machine.start(op, focus).map_err(|fault| Stop { fault, place: Place::Foci(select) })
    }

    /// Fills the select's own columns for one focus and goes on inside it.
    fn visit(&mut self, select: &'m Select, focus: Item, index: usize, then: &Next<'_, 'm>) -> Step<'m> {
        let base = self.machine.len();
        self.machine.row_index = index;
        for (slot, cell) in (select.slots.start..).zip(&select.columns) {
            let start = self.machine.len();
            let fault = |fault| Stop { fault, place: Place::Column(slot) };
            self.machine.start(&cell.op, focus).map_err(fault)?;
            let end = self.machine.len();
            if end - start > 1 && !cell.collection {
                let offset = self.machine.offset(self.machine.at(start + 1));
                return Err(fault(Fault { code: DefectCode::SeveralValues, offset }));
            }
            if let Some(place) = self.slots.get_mut(slot) {
                *place = Slot::Items { start, end };
            }
        }
        self.advance(&Next { select, child: 0, focus, index, then: Some(then) })?;
        self.machine.truncate(base);
        Ok(())
    }

    /// A row of nulls for the select and all inside it; a column that is `%rowIndex` has 0.
    fn fill_with_nulls(&mut self, select: &'m Select) {
        if let Some(slots) = self.slots.get_mut(select.slots.clone()) {
            slots.fill(Slot::Null);
        }
        self.zero_indexes(select);
    }

    fn zero_indexes(&mut self, select: &'m Select) {
        for (slot, cell) in (select.slots.start..).zip(&select.columns) {
            if let (Op::RowIndex, Some(slot)) = (&cell.op, self.slots.get_mut(slot)) {
                *slot = Slot::Zero;
            }
        }
        for child in &select.children {
            match child {
                Child::Select(select) => self.zero_indexes(select),
                Child::Union(branches) => {
                    branches.iter().take(1).for_each(|branch| self.zero_indexes(branch));
                }
            }
        }
    }

    fn emit(&mut self) -> Step<'m> {
        let key = self.machine.context().key;
        let row = if self.many {
            self.key.clear();
            let _ = write!(self.key, "{key}#{}", self.written);
            self.rows.begin_row(self.names.table, self.key)
        } else {
            self.rows.begin_row(self.names.table, key)
        };
        let cells = self.plan.columns.iter().zip(&self.names.columns).zip(&*self.slots).enumerate();
        for (index, ((column, name), slot)) in cells {
            let written = emit::cell(&self.machine, self.rows, *name, column, *slot);
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
