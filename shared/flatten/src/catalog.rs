//! The catalog: which tables a resource becomes; compiled once at start, the only thing the pipeline holds.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::sync::Arc;

use sha2::{Digest, Sha256};

use crate::automatic::{Automatic, Settings};
use crate::check::{Check, Gates};
use crate::defect::Defect;
use crate::dictionary::{Dictionary, ScopeId, Tally};
use crate::fhirpath::{Context, Predicate, Scratch};
use crate::links::Links;
use crate::model;
use crate::reference::is_type;
use crate::resource::Resource;
use crate::row::{NameList, Names, Rows};
use crate::view::{Evaluator, InvalidView, Plan, ViewNames};

/// What a deployment asks for, as it is written.
#[derive(Debug, Clone, Default)]
pub struct Choices {
    /// Which tables are filled.
    pub tables: Tables,
    /// How automatic rows are made.
    pub automatic: Settings,
    /// `ViewDefinition`s, each with a name to call it by in errors (its file).
    pub views: Vec<(String, String)>,
    /// What goes whole to the archive instead of the tables: `Type` or `Type where <FHIRPath>`.
    pub inactive: Vec<String>,
    /// Checks of the deployment's own, JSON arrays as [`crate::check`] reads them, each with a name to call it by.
    pub checks: Vec<(String, String)>,
    /// What an object must be as a whole, as JSON: `{max_reject_ratio, min_resources, required_types}`.
    pub gates: Option<String>,
}

/// Which tables are filled.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Tables {
    /// One table a resource type, by `docs/flattening.md`.
    Automatic,
    /// One table a view.
    Views,
    /// Both.
    #[default]
    Both,
}

/// What a deployment makes of resources.
#[derive(Debug, Default)]
pub struct Catalog {
    tables: Tables,
    automatic: Settings,
    plans: Vec<Plan>,
    inactive: Vec<Inactive>,
    checks: Vec<Check>,
    gates: Gates,
    version: String,
}

#[derive(Debug)]
struct Inactive {
    resource_type: String,
    condition: Option<Predicate>,
}

/// Everything that is wrong with a deployment's choices, all at once.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InvalidCatalog {
    /// Views that cannot be compiled, by the name of their file.
    pub views: Vec<(String, InvalidView)>,
    /// Everything else, in words.
    pub others: Vec<String>,
}

impl fmt::Display for InvalidCatalog {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let views = self.views.iter().map(|(file, view)| format!("{file}: {view}"));
        let lines: Vec<String> = views.chain(self.others.iter().cloned()).collect();
        formatter.write_str(&lines.join("\n"))
    }
}

impl std::error::Error for InvalidCatalog {}

impl Catalog {
    /// Compiles a deployment's choices.
    pub fn compile(choices: Choices) -> Result<Self, InvalidCatalog> {
        let mut invalid = InvalidCatalog { views: Vec::new(), others: Vec::new() };
        let version = fingerprint(&choices);
        let plans = compile_views(&choices.views, &mut invalid);
        let inactive = choices.inactive.iter().filter_map(|rule| match Inactive::read(rule) {
            Ok(rule) => Some(rule),
            Err(problem) => {
                invalid.others.push(format!("inactive rule `{rule}`: {problem}"));
                None
            }
        });
        let inactive = inactive.collect();
        let checks = compile_checks(&choices.checks, &mut invalid.others);
        let gates = choices.gates.map_or_else(Gates::default, |text| Gates::read(&text, &mut invalid.others));
        if invalid.views.is_empty() && invalid.others.is_empty() {
            Ok(Self {
                tables: choices.tables,
                automatic: choices.automatic,
                plans,
                inactive,
                checks,
                gates,
                version,
            })
        } else {
            Err(invalid)
        }
    }

    /// The compiled views, in the order in which they were given.
    #[must_use]
    pub fn plans(&self) -> &[Plan] {
        &self.plans
    }

    /// The checks of the deployment's own.
    #[must_use]
    pub fn checks(&self) -> &[Check] {
        &self.checks
    }

    /// What an object must be before anything of it is written.
    #[must_use]
    pub const fn gates(&self) -> &Gates {
        &self.gates
    }

    /// Sixteen hex digits that differ between any two choices: rows of one version can be told from another's.
    #[must_use]
    pub fn version(&self) -> &str {
        &self.version
    }

    fn has_automatic(&self) -> bool {
        self.tables != Tables::Views
    }

    fn has_views(&self) -> bool {
        self.tables != Tables::Automatic
    }
}

impl Inactive {
    fn read(rule: &str) -> Result<Self, String> {
        let (name, condition) =
            rule.split_once(" where ").map_or((rule, None), |(name, path)| (name, Some(path)));
        let resource_type = name.trim().to_owned();
        if !is_type(&resource_type) {
            return Err("it should be `Type` or `Type where <FHIRPath>`".to_owned());
        }
        let condition = condition.map(|path| Predicate::compile(&resource_type, path.trim())).transpose();
        Ok(Self { resource_type, condition: condition.map_err(|invalid| invalid.to_string())? })
    }
}

/// The beginning of a SHA-256 over everything that was chosen.
fn fingerprint(choices: &Choices) -> String {
    let digest = Sha256::digest(format!("{choices:?}").as_bytes());
    format!("{:016x}", digest.first_chunk().map_or(0, |first| u64::from_be_bytes(*first)))
}

/// Checks of all files; names are told apart over all of them.
fn compile_checks(files: &[(String, String)], mistakes: &mut Vec<String>) -> Vec<Check> {
    let (mut checks, mut names) = (Vec::new(), BTreeSet::new());
    for (file, text) in files {
        for check in Check::read_all(file, text, mistakes) {
            if names.insert(check.name().to_owned()) {
                checks.push(check);
            } else {
                mistakes.push(format!("{file}: two checks are called `{}`", check.name()));
            }
        }
    }
    checks
}

fn compile_views(views: &[(String, String)], invalid: &mut InvalidCatalog) -> Vec<Plan> {
    let (mut plans, mut names) = (Vec::new(), BTreeSet::new());
    for (file, text) in views {
        let view = match serde_json::from_str(text) {
            Ok(view) => view,
            Err(error) => {
                invalid.others.push(format!(
                    "{file}: no JSON at line {}, column {}",
                    error.line(),
                    error.column()
                ));
                continue;
            }
        };
        match Plan::compile(&view) {
            Ok(plan) if model::is_resource_type(plan.name()) => {
                invalid
                    .others
                    .push(format!("{file}: `{}` is the name of a resource type's own table", plan.name()));
            }
            Ok(plan) if !names.insert(plan.name().to_owned()) => {
                invalid.others.push(format!("{file}: another view is called `{}`", plan.name()));
            }
            Ok(plan) => plans.push(plan),
            Err(view) => invalid.views.push((file.clone(), view)),
        }
    }
    plans
}

/// What became of a resource.
#[derive(Debug)]
pub enum Flattened {
    /// Its rows were appended. Each view that could not take it is named with the defect.
    Rows(Vec<(String, Defect)>),
    /// It goes to the archive, whole.
    Archived,
}

/// One worker's flattener: the catalog, and what it remembers of names.
#[derive(Debug)]
pub struct Flattener {
    catalog: Arc<Catalog>,
    automatic: Automatic,
    evaluator: Evaluator,
    scratch: Scratch,
    names: Names,
    view_names: Vec<ViewNames>,
    of_type: BTreeMap<String, OfType>,
    tally: Tally,
    dictionary: Dictionary,
    findings: Vec<(String, u64)>,
}

/// What is known of a resource type.
#[derive(Debug, Clone)]
struct OfType {
    tables: Arc<[String]>,
    plans: Arc<[usize]>,
    rules: Arc<[usize]>,
    checks: Arc<[usize]>,
    known: bool,
}

impl Flattener {
    /// A flattener that has met nothing yet.
    #[must_use]
    pub fn new(catalog: Arc<Catalog>) -> Self {
        let automatic = Automatic::new(catalog.automatic.clone());
        let mut names = Names::default();
        let view_names = catalog.plans.iter().map(|plan| ViewNames::new(plan, &mut names)).collect();
        let (evaluator, scratch, of_type) = (Evaluator::default(), Scratch::default(), BTreeMap::new());
        let (tally, dictionary) = (Tally::default(), Dictionary::default());
        Self {
            catalog,
            automatic,
            evaluator,
            scratch,
            names,
            view_names,
            of_type,
            tally,
            dictionary,
            findings: Vec::new(),
        }
    }

    /// Appends all rows of a resource in all of its tables, or says that it is archived. After a defect the rows
    /// are as they were.
    pub fn flatten(
        &mut self,
        resource: &Resource<'_>,
        key: &str,
        links: &Links,
        rows: &mut Rows,
    ) -> Result<Flattened, Defect> {
        self.findings.clear();
        let of_type = self.of_type(resource.resource_type());
        if self.is_archived(&of_type, resource, key, links)? {
            return Ok(Flattened::Archived);
        }
        let (catalog, context) = (Arc::clone(&self.catalog), Context { key, links: Some(links) });
        for check in of_type.checks.iter().filter_map(|&index| catalog.checks.get(index)) {
            if !check.passes(resource.node(), &context, &mut self.scratch)? {
                self.findings.push((check.name().to_owned(), 1));
            }
        }
        let mark = rows.mark();
        if self.catalog.has_automatic() {
            let outcome = self.automatic.flatten(resource, key, links, &mut self.names, rows);
            outcome.inspect_err(|_| rows.rewind(mark))?;
            let found = self.automatic.doubts().counts();
            self.findings.extend(found.map(|(name, count)| (name.to_owned(), count)));
        }
        let mut defects = Vec::new();
        for &index in of_type.plans.iter() {
            let (Some(plan), Some(names)) = (catalog.plans.get(index), self.view_names.get(index)) else {
                continue;
            };
            if let Err(defect) = self.evaluator.run(plan, names, resource.node(), &context, rows) {
                defects.push((plan.name().to_owned(), defect));
            }
        }
        Ok(Flattened::Rows(defects))
    }

    /// The tables that hold one set of rows for each resource of a type: its own and its views'. Child tables
    /// (`<Type>_<path>`) and contained resources (`<Type>_contained`) come besides.
    pub fn tables(&mut self, resource_type: &str) -> Arc<[String]> {
        self.of_type(resource_type).tables
    }

    /// The names that the rows refer to.
    #[must_use]
    pub fn names(&self) -> NameList {
        self.names.list()
    }

    /// The checks that the last resource did not pass, and how often; structural ones are made with automatic rows.
    #[must_use]
    pub fn findings(&self) -> &[(String, u64)] {
        &self.findings
    }

    /// Enters rows that this worker has made, and that will be written, into the dictionary.
    pub fn count(&mut self, rows: &Rows) {
        self.tally.count(rows);
    }

    /// The columns of all rows that were counted since this was last asked.
    pub fn take_dictionary(&mut self) -> Dictionary {
        self.describe();
        std::mem::take(&mut self.dictionary)
    }

    /// Forgets all names if hostile input has made up too many. The rows so far must have been handed on.
    pub fn begin_batch(&mut self) {
        if self.automatic.is_bloated() || self.tally.is_bloated() {
            let dictionary = self.take_dictionary();
            *self = Self { dictionary, ..Self::new(Arc::clone(&self.catalog)) };
        }
    }

    /// Moves what was counted into the dictionary, with what it means.
    fn describe(&mut self) {
        let (tally, names) = (std::mem::take(&mut self.tally), self.names.list());
        let mut tables: BTreeMap<&str, ScopeId> =
            tally.tables().map(|(table, scope)| (names.table(table), scope)).collect();
        for (plan, columns) in self.catalog.plans.iter().zip(&self.view_names) {
            if let Some(scope) = tables.remove(plan.name()) {
                columns.describe(plan, &tally, scope, &mut self.dictionary);
            }
        }
        self.automatic.describe(&tally, &names, tables, &mut self.dictionary);
    }

    fn is_archived(
        &mut self,
        of_type: &OfType,
        resource: &Resource<'_>,
        key: &str,
        links: &Links,
    ) -> Result<bool, Defect> {
        if !of_type.known {
            return Ok(true);
        }
        let context = Context { key, links: Some(links) };
        for &index in of_type.rules.iter() {
            match self.catalog.inactive.get(index).and_then(|rule| rule.condition.as_ref()) {
                None => return Ok(true),
                Some(condition) => {
                    if condition.holds(resource.node(), &context, &mut self.scratch)? == Some(true) {
                        return Ok(true);
                    }
                }
            }
        }
        Ok(false)
    }

    fn of_type(&mut self, resource_type: &str) -> OfType {
        if let Some(known) = self.of_type.get(resource_type) {
            return known.clone();
        }
        let catalog = &self.catalog;
        let plans = catalog
            .plans
            .iter()
            .enumerate()
            .filter(|(_, plan)| catalog.has_views() && plan.resource_type() == resource_type);
        let plans: Vec<(usize, &Plan)> = plans.collect();
        let own = catalog.has_automatic().then(|| resource_type.to_owned());
        let rules =
            catalog.inactive.iter().enumerate().filter(|(_, rule)| rule.resource_type == resource_type);
        let checks =
            catalog.checks.iter().enumerate().filter(|(_, check)| check.resource_type() == resource_type);
        let of_type = OfType {
            checks: checks.map(|(index, _)| index).collect(),
            tables: own.into_iter().chain(plans.iter().map(|(_, plan)| plan.name().to_owned())).collect(),
            plans: plans.iter().map(|(index, _)| *index).collect(),
            rules: rules.map(|(index, _)| index).collect(),
            known: model::is_resource_type(resource_type),
        };
        self.of_type.insert(resource_type.to_owned(), of_type.clone());
        of_type
    }
}

#[cfg(test)]
mod tests {
    use super::{Catalog, Choices};

    #[test]
    fn every_mistake_is_told_at_once() {
        let view = |name: &str, path: &str| {
            format!(
                r#"{{"name":"{name}","resource":"Patient","select":[{{"column":[{{"name":"a","path":"{path}"}}]}}]}}"#
            )
        };
        let views = vec![
            ("good.json".to_owned(), view("good", "id")),
            ("twin.json".to_owned(), view("good", "id")),
            ("own.json".to_owned(), view("Patient", "id")),
            ("path.json".to_owned(), view("path", "name.nosuch()")),
            ("json.json".to_owned(), "{".to_owned()),
        ];
        let inactive = vec!["Patient".to_owned(), "patient".to_owned(), "Patient where (".to_owned()];
        let invalid = Catalog::compile(Choices { views, inactive, ..Choices::default() }).unwrap_err();
        let text = invalid.to_string();
        for part in [
            "twin.json",
            "own.json",
            "path.json",
            "nosuch",
            "json.json: no JSON at line 1",
            "`patient`",
            "`Patient where (`",
        ] {
            assert!(text.contains(part), "{part} is missing in:\n{text}");
        }
        assert!(!text.contains("good.json"), "{text}");
    }
}
