//! From definition to plan: paths compiled, columns resolved, unions matched, every mistake collected.

use std::collections::BTreeMap;
use std::ops::Range;

use serde_json::Value as Json;

use crate::fhirpath::{CompiledPath, Compiler, PathTrie, Pool, StaticType, TypeSet, can_be_boolean};
use crate::model::{Datatype, ResourceTypes, type_named};

use super::column::{KeyColumn, Tag, ViewColumn, resolve};
use super::constant;
use super::definition::{
    ColumnDefinition, Definition, DefinitionPath, DefinitionReader, Iteration, SelectDefinition,
};
use super::invalid::{InvalidView, Mistake};
use super::plan::{CellFormat, Condition, Plan};
use super::select::{Child, Foci, PathProgram, Select, SelectColumn};

impl Plan {
    /// Compiles a ViewDefinition. Every mistake that needs no data is found here, all of them at once.
    pub fn compile(view: &Json) -> Result<Self, InvalidView> {
        Self::compile_for(view, &ResourceTypes::default())
    }

    /// Compiles a ViewDefinition that may be for a type that a deployment adds.
    pub fn compile_for(view: &Json, types: &ResourceTypes) -> Result<Self, InvalidView> {
        let mut reader = DefinitionReader::of(types);
        let definition = reader.definition(view);
        let form = reader.mistakes;
        let (plan, again) = build(&definition, form.clone(), false)?;
        if again { Ok(build(&definition, form, true)?.0) } else { Ok(plan) }
    }
}

/// Returns the plan, and whether it has to be built again with the companions of primitives carried along.
fn build(definition: &Definition, form: Vec<Mistake>, carry: bool) -> Result<(Plan, bool), InvalidView> {
    let mut mistakes = form;
    let mut pool = Pool::default();
    let constants = constant::bind(&definition.constants, &mut pool, &mut mistakes);
    let resource = pool.set(TypeSet::of(type_named(&definition.resource).map(Datatype::Complex)));
    let compiler = Compiler {
        pool: &mut pool,
        constants: &constants,
        resource: StaticType { sets: vec![resource], single: true },
        has_rows: true,
        carry,
        wants_carry: false,
        unknown: Vec::new(),
    };
    let mut builder = Builder { compiler, mistakes, notices: Vec::new() };
    let mut conditions = builder.conditions(&definition.conditions);
    let focus = builder.compiler.resource.clone();
    let mut columns = Vec::new();
    let selects = definition.selects.iter().map(|select| builder.select(select, &focus, &mut columns));
    let children = selects.collect();
    let notices = std::mem::take(&mut builder.notices);
    let again = builder.compiler.wants_carry && !carry;
    let mistakes = builder.finish(&columns);
    if !mistakes.is_empty() {
        let view = if definition.name.is_empty() { "?" } else { &definition.name };
        return Err(InvalidView { view: view.to_owned(), mistakes });
    }
    let root = root_of(children, 0..columns.len(), &mut conditions);
    let plan = Plan {
        name: definition.name.clone(),
        resource_type: definition.resource.clone(),
        formats: columns
            .iter()
            .map(|slot| CellFormat { cell: slot.column.cell, collection: slot.column.collection })
            .collect(),
        columns: columns.into_iter().map(|slot| slot.column).collect(),
        notices,
        pool,
        resource,
        conditions,
        many: !root.at_most_one_row(),
        root,
    };
    Ok((plan, again))
}

/// Returns the select around all others. Its trie also has the paths of the conditions.
fn root_of(children: Vec<Child>, slots: Range<usize>, conditions: &mut [Condition]) -> Select {
    let mut trie = PathTrie::default();
    for condition in conditions {
        condition.program.join(&mut trie);
    }
    let (place, foci, columns) = (String::new(), Foci::Same, Vec::new());
    let mut root = Select { place, foci, columns, children, slots, trie: PathTrie::default() };
    root.join_inside(&mut trie);
    root.trie = trie;
    root
}

/// A column and where it was first defined.
struct CompiledColumn {
    place: String,
    column: ViewColumn,
}

struct Builder<'b> {
    compiler: Compiler<'b>,
    mistakes: Vec<Mistake>,
    notices: Vec<Mistake>,
}

impl Builder<'_> {
    /// Returns the mistakes, once the names of the columns have been compared.
    fn finish(mut self, columns: &[CompiledColumn]) -> Vec<Mistake> {
        let mut seen = BTreeMap::new();
        for slot in columns {
            // Databases fold case, so that `a` and `A` are one column there.
            let known = seen.insert(slot.column.name.to_ascii_lowercase(), &slot.place);
            if let Some(first) = known {
                let expected = format!("a name that no other column has; {first} has it");
                self.mistakes.push(Mistake::new(format!("{}.name", slot.place), expected));
            }
        }
        self.mistakes
    }

    fn conditions(&mut self, paths: &[DefinitionPath]) -> Vec<Condition> {
        let focus = self.compiler.resource.clone();
        let mut conditions = Vec::new();
        for path in paths {
            let Some(CompiledPath { op, of }) = self.path(path, &focus) else { continue };
            if !can_be_boolean(self.compiler.pool, &of) {
                self.mistakes.push(Mistake::new(&path.element, "a condition, which is true or false"));
            }
            conditions.push(Condition { element: path.element.clone(), program: PathProgram::new(op) });
        }
        conditions
    }

    fn path(&mut self, path: &DefinitionPath, focus: &StaticType) -> Option<CompiledPath> {
        let compiled = self.compiler.compile(&path.text, focus);
        for unknown in std::mem::take(&mut self.compiler.unknown) {
            let notice = Mistake::of_path(path.element.clone(), unknown);
            // A repeat is compiled until its types no longer change; what is noticed first is said once.
            let same =
                |known: &Mistake| known.element == notice.element && known.character == notice.character;
            if !self.notices.iter().any(same) {
                self.notices.push(notice);
            }
        }
        match compiled {
            Ok(outcome) => Some(outcome),
            Err(error) => {
                self.mistakes.push(Mistake::of_path(path.element.clone(), error));
                None
            }
        }
    }

    fn select(
        &mut self,
        definition: &SelectDefinition,
        focus: &StaticType,
        columns: &mut Vec<CompiledColumn>,
    ) -> Child {
        Child::Select(self.select_alone(definition, focus, columns))
    }

    fn select_alone(
        &mut self,
        definition: &SelectDefinition,
        focus: &StaticType,
        columns: &mut Vec<CompiledColumn>,
    ) -> Select {
        let first = columns.len();
        let (foci, focus) = self.foci(&definition.iteration, focus);
        let mut cells = Vec::new();
        for column in &definition.columns {
            if let Some((cell, slot)) = self.column(column, &focus) {
                cells.push(cell);
                columns.push(slot);
            }
        }
        let mut children: Vec<Child> =
            definition.selects.iter().map(|select| self.select(select, &focus, columns)).collect();
        if !definition.branches.is_empty() {
            children.push(self.union(definition, &focus, columns));
        }
        let slots = first..columns.len();
        Select {
            place: definition.place.clone(),
            foci,
            columns: cells,
            children,
            slots,
            trie: PathTrie::default(),
        }
    }

    /// Compiles the branches of a union, which fill the slots of the first one.
    fn union(
        &mut self,
        definition: &SelectDefinition,
        focus: &StaticType,
        columns: &mut Vec<CompiledColumn>,
    ) -> Child {
        let first = columns.len();
        let mut branches = Vec::new();
        for (index, branch) in definition.branches.iter().enumerate() {
            if index == 0 {
                branches.push(self.select_alone(branch, focus, columns));
                continue;
            }
            // The branch is compiled at the place of the first, and its columns compared with the first's.
            let known: Vec<CompiledColumn> = columns.drain(first..).collect();
            branches.push(self.select_alone(branch, focus, columns));
            let other: Vec<CompiledColumn> = columns.drain(first..).collect();
            columns.extend(self.matched(&branch.place, known, &other));
        }
        Child::Union(branches)
    }

    fn matched(
        &mut self,
        place: &str,
        mut known: Vec<CompiledColumn>,
        other: &[CompiledColumn],
    ) -> Vec<CompiledColumn> {
        let names =
            |slots: &[CompiledColumn]| slots.iter().map(|slot| slot.column.name.clone()).collect::<Vec<_>>();
        if names(&known) != names(other) {
            let expected =
                format!("the columns of the first branch in their order: {}", names(&known).join(", "));
            self.mistakes.push(Mistake::new(place, expected));
            return known;
        }
        for (slot, other) in known.iter_mut().zip(other) {
            let column = &mut slot.column;
            if column.collection != other.column.collection {
                let expected = format!("`collection` to be {} as in the first branch", column.collection);
                self.mistakes.push(Mistake::new(format!("{}.collection", other.place), expected));
            }
            if let Some(cell) = column.cell.widen(other.column.cell) {
                column.cell = cell;
            } else {
                let expected = format!("a {} as in the first branch", column.cell.name());
                self.mistakes.push(Mistake::new(format!("{}.type", other.place), expected));
            }
            if column.datatype != other.column.datatype {
                column.datatype = None;
            }
            if column.key != other.column.key {
                column.key = column.key.and(other.column.key).map(|_| KeyColumn::Reference);
            }
        }
        known
    }

    fn foci(&mut self, iteration: &Iteration, focus: &StaticType) -> (Foci, StaticType) {
        let each = |builder: &mut Self, path: &DefinitionPath, foci: fn(PathProgram) -> Foci| {
            let unknown = || StaticType { sets: vec![], single: true };
            match builder.path(path, focus) {
                Some(CompiledPath { op, of }) => {
                    (foci(PathProgram::new(op)), StaticType { single: true, ..of })
                }
                None => (Foci::Same, unknown()),
            }
        };
        match iteration {
            Iteration::Once => (Foci::Same, focus.clone()),
            Iteration::Each(path) => each(self, path, Foci::Each),
            Iteration::EachOrNull(path) => each(self, path, Foci::EachOrNull),
            Iteration::Repeat(paths) => self.repeat(paths, focus),
        }
    }

    /// Compiles a repeat. Its paths are run on the focus and on all that they lead to, so their types are followed until
    /// nothing new comes.
    fn repeat(&mut self, paths: &[DefinitionPath], focus: &StaticType) -> (Foci, StaticType) {
        let mut from = StaticType { single: true, ..focus.clone() };
        let (before, noticed) = (self.mistakes.len(), self.notices.len());
        loop {
            // Only the last round, which knows all types, can say what is known.
            self.notices.truncate(noticed);
            let outcomes: Vec<CompiledPath> =
                paths.iter().filter_map(|path| self.path(path, &from)).collect();
            let mut found = StaticType { sets: Vec::new(), single: true };
            for outcome in &outcomes {
                found = found.join(&outcome.of, true);
            }
            let is_known = |set: &crate::fhirpath::SetId| !self.compiler.pool.datatypes(*set).is_unknown();
            if found.sets.iter().any(is_known) {
                found.sets.retain(is_known);
            }
            let wider = from.clone().join(&found, true);
            if wider == from || self.mistakes.len() > before {
                return (
                    Foci::Repeat(outcomes.into_iter().map(|outcome| PathProgram::new(outcome.op)).collect()),
                    found,
                );
            }
            from = wider;
        }
    }

    fn column(
        &mut self,
        definition: &ColumnDefinition,
        focus: &StaticType,
    ) -> Option<(SelectColumn, CompiledColumn)> {
        let Some(CompiledPath { op, of }) = self.path(&definition.path, focus) else {
            if let Some(mistake) = self.mistakes.last_mut() {
                mistake.expected = format!("{} (column `{}`)", mistake.expected, definition.name);
            }
            return None;
        };
        let ansi =
            definition.tags.iter().find(|(name, _)| name == "ansi/type").map(|(_, value)| value.as_str());
        let resolved = match resolve(self.compiler.pool, &of, definition.declared.as_deref(), ansi) {
            Ok(resolved) => resolved,
            Err((member, expected)) => {
                let expected = format!("{expected} (column `{}`)", definition.name);
                self.mistakes.push(Mistake::new(format!("{}.{member}", definition.place), expected));
                return None;
            }
        };
        let tags =
            definition.tags.iter().map(|(name, value)| Tag { name: name.clone(), value: value.clone() });
        let column = ViewColumn {
            name: definition.name.clone(),
            path: definition.path.text.clone(),
            datatype: resolved.datatype,
            collection: definition.collection,
            cell: resolved.cell,
            ansi_type: ansi.map(str::to_owned),
            key: op
                .last_key()
                .map(|reference| if reference { KeyColumn::Reference } else { KeyColumn::Resource }),
            tags: tags.collect(),
        };
        let slot = CompiledColumn { place: definition.place.clone(), column };
        Some((SelectColumn { program: PathProgram::new(op), collection: definition.collection }, slot))
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::Plan;

    #[test]
    fn an_element_that_no_release_has_is_noticed_and_not_refused() {
        let view = json!({
            "name": "v", "resource": "Patient",
            "select": [
                {"column": [{"name": "a", "path": "name.famly"}, {"name": "b", "path": "name.family"}]},
                {"forEach": "item", "column": [{"name": "c", "path": "text"}]},
            ],
        });
        let notices: Vec<String> =
            Plan::compile(&view).unwrap().notices().iter().map(ToString::to_string).collect();
        let expected = [
            "select[0].column[0].path, character 6: expected an element that some release has; HumanName has no `famly`",
            "select[1].forEach, character 1: expected an element that some release has; Patient has no `item`",
        ];
        assert_eq!(notices, expected);
    }

    #[test]
    fn absurd_lengths_are_refused_or_run_flat() {
        let view = |path: String| json!({"name": "v", "resource": "Patient", "select": [{"column": [{"name": "a", "path": path}]}]});
        let steps = |count: usize| vec!["a"; count].join(".");
        assert!(Plan::compile(&view(steps(100))).is_ok());
        assert!(Plan::compile(&view(steps(101))).is_err());
        assert!(Plan::compile(&view(steps(100_000))).is_err());
        let nested = (0..90).fold(steps(90), |path, _| format!("({path}).{}", steps(90)));
        assert!(Plan::compile(&view(nested)).is_ok());
        assert!(Plan::compile(&view("(".repeat(100_000))).is_err());
        for (first, next) in
            [("1", "+1"), ("'a'", "&'a'"), ("active", " or active"), ("active", " and active")]
        {
            assert!(Plan::compile(&view(format!("{first}{}", next.repeat(100_000)))).is_ok());
        }
        assert!(Plan::compile(&view(format!("{}1{}", "(".repeat(120), "+1)".repeat(120)))).is_err());
        assert!(Plan::compile(&view(format!("{}1", "-".repeat(100_000)))).is_err());
    }
}
