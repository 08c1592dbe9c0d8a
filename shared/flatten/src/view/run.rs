//! Running a plan over a resource: the rows of a select are the product of its own columns, of every select
//! inside it, and of the concatenated branches of its union.

use std::fmt::Write as _;

use crate::defect::{Defect, DefectCode};
use crate::fhirpath::{
    Context, Item, Machine, PathError, PathMatch, PathTrie, Scratch, TrieScratch, Unanswered,
};
use crate::json::Node;
use crate::row::Rows;

use super::emit::CellEmitter;
use super::plan::{NamedPlan, Plan};
use super::select::{Child, Foci, PathProgram, Select, SelectColumn};
use super::set::{GroupedView, ViewSet};
use super::slot::{self, ReferenceCache, Slot};

/// The most bytes of rows that one view may make of one resource. More are a defect.
const MAX_VIEW_BYTES: usize = 64 << 20;
/// The most items of one `repeat`. More are a mistake of the view that its data happens to show.
const MAX_REPEATED: usize = 1 << 20;

/// The memory of a worker's views, used again for every resource.
#[derive(Debug, Default)]
pub struct Evaluator {
    scratch: Scratch,
    memory: EvaluatorMemory,
}

/// A view of a set needs the key of an entry that may follow in the Bundle.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct KeyComesLater;

#[derive(Debug, Default)]
struct EvaluatorMemory {
    slots: Vec<Slot>,
    repeated: Vec<Item>,
    found: Vec<PathMatch>,
    trie: TrieScratch,
    last: ReferenceCache,
    key: String,
}

/// What the views of a set have made of a resource.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Evaluated {
    /// How many rows were appended.
    pub rows: usize,
    /// The views that reject the resource, each by its name. The rows of the other views were appended.
    pub defects: Vec<(String, Defect)>,
}

impl Evaluator {
    /// Appends the rows that a view has for a resource, and returns how many they are; none for a resource of another
    /// type. After an error nothing of the resource is left in `rows`. A defect's path is the view and the column.
    pub fn run(
        &mut self,
        view: &NamedPlan,
        resource: Node<'_>,
        context: &Context<'_>,
        rows: &mut Rows,
    ) -> Result<usize, Unanswered> {
        if !resource.get("resourceType").is_some_and(|name| name.is(&view.plan.resource_type)) {
            return Ok(0);
        }
        self.find_paths(&view.plan.root.trie, resource);
        self.run_found((view, 0), resource, context, rows)
    }

    /// Runs every view of a set that is for the resource's type, in one pass over the resource. Fails if a view needs a
    /// key that comes later; the caller then rewinds the rows.
    pub fn run_all(
        &mut self,
        views: &ViewSet,
        resource: Node<'_>,
        context: &Context<'_>,
        rows: &mut Rows,
    ) -> Result<Evaluated, KeyComesLater> {
        let mut evaluated = Evaluated::default();
        let Some(group) = resource.get_text("resourceType").and_then(|name| views.group(&name)) else {
            return Ok(evaluated);
        };
        self.find_paths(&group.trie, resource);
        for GroupedView { view, first_path } in &group.views {
            match self.run_found((view, *first_path), resource, context, rows) {
                Ok(written) => evaluated.rows += written,
                Err(Unanswered::Defect(defect)) => evaluated.defects.push((view.plan.name.clone(), defect)),
                Err(Unanswered::KeyComesLater) => return Err(KeyComesLater),
            }
        }
        Ok(evaluated)
    }

    fn find_paths(&mut self, trie: &PathTrie, resource: Node<'_>) {
        self.memory.found.clear();
        self.memory.last.clear();
        trie.gather(resource, &mut self.memory.found, &mut self.memory.trie);
    }

    /// Runs a view whose paths have been found, from an index on.
    fn run_found(
        &mut self,
        (view, first_path): (&NamedPlan, usize),
        resource: Node<'_>,
        context: &Context<'_>,
        rows: &mut Rows,
    ) -> Result<usize, Unanswered> {
        let savepoint = rows.savepoint();
        let plan = &*view.plan;
        // Every slot is filled before a row is complete, so nothing is left of the resource before.
        self.memory.slots.resize(plan.columns.len(), Slot::Null);
        self.memory.repeated.clear();
        let machine = Machine::new(&plan.pool, (resource, plan.resource), *context, &mut self.scratch);
        let limit = rows.bytes() + MAX_VIEW_BYTES;
        let memory = &mut self.memory;
        let mut runner = Runner { view, machine, rows: &mut *rows, memory, written: 0, limit };
        match runner.resource(first_path) {
            Ok(()) => Ok(runner.written),
            Err(error) => {
                rows.rewind(savepoint);
                Err(error.cause.named(error.location.describe(plan)))
            }
        }
    }
}

/// An error and the part of the view in which it arose.
struct RunError<'m> {
    cause: PathError,
    location: PlanLocation<'m>,
}

#[derive(Clone, Copy)]
enum PlanLocation<'m> {
    Column(usize),
    Condition(&'m str),
    Foci(&'m Select),
    Rows,
}

impl PlanLocation<'_> {
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
    view: &'m NamedPlan,
    machine: Machine<'m>,
    rows: &'r mut Rows,
    memory: &'r mut EvaluatorMemory,
    written: usize,
    limit: usize,
}

/// The position of a select: an item, its index, and the beginning of what was found there.
#[derive(Clone, Copy)]
struct Focus {
    item: Item,
    index: usize,
    found: usize,
}

/// What is still to be done for a row: the children of a select from one on, and then what `then` says.
#[derive(Clone, Copy)]
struct Continuation<'n, 'm> {
    select: &'m Select,
    child: usize,
    focus: Focus,
    then: Option<&'n Continuation<'n, 'm>>,
}

type RunResult<'m> = Result<(), RunError<'m>>;

impl<'m> Runner<'m, '_> {
    fn resource(&mut self, found: usize) -> RunResult<'m> {
        let focus = Focus { item: self.machine.resource(), index: 0, found };
        for condition in &self.view.plan.conditions {
            let location = PlanLocation::Condition(&condition.element);
            let base = self.machine.len();
            self.run(&condition.program, focus, location)?;
            let answer = self.machine.filter_result(base);
            if answer.map_err(|cause| RunError { cause, location })? != Some(true) {
                return Ok(());
            }
        }
        self.advance(&Continuation { select: &self.view.plan.root, child: 0, focus, then: None })
    }

    fn run(&mut self, program: &'m PathProgram, focus: Focus, location: PlanLocation<'m>) -> RunResult<'m> {
        let found = program.leaf.and_then(|leaf| self.memory.found.get(focus.found + leaf)).copied();
        let done = match found {
            Some(found) => self.machine.start_from(&program.op, focus.item, found),
            None => self.machine.start(&program.op, focus.item),
        };
        done.map_err(|cause| RunError { cause, location })
    }

    /// Runs the next child, or what comes after the select; with nothing left to do the row is complete.
    fn advance(&mut self, next: &Continuation<'_, 'm>) -> RunResult<'m> {
        let after = Continuation { child: next.child + 1, ..*next };
        match (next.select.children.get(next.child), next.then) {
            (Some(Child::Select(select)), _) => self.enter(select, next.focus, &after),
            (Some(Child::Union(branches)), _) => {
                branches.iter().try_for_each(|branch| self.enter(branch, next.focus, &after))
            }
            (None, Some(then)) => self.advance(then),
            (None, None) => self.emit(),
        }
    }

    fn enter(&mut self, select: &'m Select, focus: Focus, then: &Continuation<'_, 'm>) -> RunResult<'m> {
        let base = self.machine.len();
        self.machine.row_index = focus.index;
        match &select.foci {
            Foci::Same => return self.visit(select, focus, then),
            Foci::Each(program) | Foci::EachOrNull(program) => {
                self.run(program, focus, PlanLocation::Foci(select))?;
                self.machine
                    .expect_known(base)
                    .map_err(|cause| RunError { cause, location: PlanLocation::Foci(select) })?;
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

    /// Appends everything that the paths lead to from the focus, repeatedly, in document order.
    fn gather(&mut self, select: &'m Select, paths: &'m [PathProgram], focus: Focus) -> RunResult<'m> {
        let base = self.machine.len();
        for path in paths {
            self.machine.row_index = focus.index;
            self.run(path, focus, PlanLocation::Foci(select))?;
            let end = self.machine.len();
            for place in base..end {
                let item = self.machine.at(place);
                // Only what lies inside can be new; a path that stays where it is ends here.
                if !self.machine.lies_inside(item, focus.item) {
                    continue;
                }
                if self.memory.repeated.len() >= MAX_REPEATED {
                    return Err(RunError {
                        cause: PathError::TOO_LARGE,
                        location: PlanLocation::Foci(select),
                    });
                }
                self.memory.repeated.push(item);
                self.gather(select, paths, Focus { item, ..focus })?;
            }
            self.machine.truncate(base);
        }
        Ok(())
    }

    /// Goes on at an item of a select's own: its paths are looked for in one pass.
    fn visit_item(
        &mut self,
        select: &'m Select,
        item: Item,
        index: usize,
        then: &Continuation<'_, 'm>,
    ) -> RunResult<'m> {
        let found = self.memory.found.len();
        if let (Item::Element(element), 1..) = (item, select.trie.len()) {
            let node = self.machine.node(element);
            select.trie.gather(node, &mut self.memory.found, &mut self.memory.trie);
        }
        self.visit(select, Focus { item, index, found }, then)?;
        self.memory.found.truncate(found);
        Ok(())
    }

    /// Fills the select's own columns for one focus, and then those of the selects inside it.
    fn visit(&mut self, select: &'m Select, focus: Focus, then: &Continuation<'_, 'm>) -> RunResult<'m> {
        let base = self.machine.len();
        self.machine.row_index = focus.index;
        for (slot, cell) in (select.slots.start..).zip(&select.columns) {
            let memory = &mut *self.memory;
            let found = cell.program.leaf.and_then(|leaf| memory.found.get(focus.found + leaf));
            let place = memory.last.shortcut(&self.machine, &cell.program, focus.item, found);
            if let Some(place) = place {
                self.fill(slot, place);
                continue;
            }
            let start = self.machine.len();
            self.run(&cell.program, focus, PlanLocation::Column(slot))?;
            let end = self.machine.len();
            self.check_count(cell, start, slot)?;
            self.fill(slot, Slot::items(start, end));
        }
        self.advance(&Continuation { select, child: 0, focus, then: Some(then) })?;
        self.machine.truncate(base);
        Ok(())
    }

    /// Verifies what a column's path has left on the stack: one item at most where the column is not a collection, and
    /// no item that may turn out to be none. A key that comes later may stand alone: the cell waits for it.
    fn check_count(&self, cell: &SelectColumn, start: usize, slot: usize) -> RunResult<'m> {
        let error = |cause| RunError { cause, location: PlanLocation::Column(slot) };
        let count = self.machine.len() - start;
        if count > 1 || cell.collection {
            self.machine.expect_known(start).map_err(error)?;
        }
        if count > 1 && !cell.collection {
            let offset = self.machine.offset(self.machine.at(start + 1));
            return Err(error(PathError::of(DefectCode::SeveralValues).at(offset)));
        }
        Ok(())
    }

    fn fill(&mut self, slot: usize, with: Slot) {
        if let Some(slot) = self.memory.slots.get_mut(slot) {
            *slot = with;
        }
    }

    fn emit(&mut self) -> RunResult<'m> {
        let mut key = self.machine.context().key;
        if self.view.plan.many {
            self.memory.key.clear();
            let _ = write!(self.memory.key, "{key}#{}", self.written);
            key = "";
        }
        let key = if key.is_empty() { &self.memory.key } else { key };
        let row = self.rows.begin_row(self.view.table, key);
        let cells = self.view.plan.formats.iter().zip(&self.view.columns).zip(&self.memory.slots);
        for (index, ((form, name), slot)) in cells.enumerate() {
            let written =
                CellEmitter { machine: &self.machine, rows: self.rows, column: *name }.cell(*form, *slot);
            written.map_err(|cause| RunError { cause, location: PlanLocation::Column(index) })?;
        }
        self.rows.end_row(row);
        self.written += 1;
        if self.rows.bytes() > self.limit {
            return Err(RunError { cause: PathError::TOO_LARGE, location: PlanLocation::Rows });
        }
        Ok(())
    }
}

impl Foci {
    /// Returns the element of the definition that holds the path.
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
