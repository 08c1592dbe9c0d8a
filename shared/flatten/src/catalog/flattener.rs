//! Flattens resources by a catalog: each becomes rows or goes to the archive.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::check::{StructuralCounts, is_fhir_id};
use crate::defect::Defect;
use crate::dictionary::{Dictionary, ScopeId, Tally};
use crate::fhirpath::{Context, Scratch, Unanswered};
use crate::links::Links;
use crate::resource::Resource;
use crate::row::{NameList, Rows, RowsPool};
use crate::view::Evaluator;

use super::compiled::Catalog;
use super::pool::{FlattenerState, OfType};

/// What became of a resource.
#[derive(Debug)]
pub enum Flattened {
    /// Its rows were appended. Each view that could not take it is named with the defect.
    Rows(Vec<(String, Defect)>),
    /// It goes to the archive, whole.
    Archived,
    /// A view, a check or an archive rule needs the key of an entry that may follow in the Bundle. Nothing was
    /// appended: the resource is to be flattened once the links are closed.
    KeyComesLater,
}

/// Flattens parsed resources by a catalog, for one worker.
#[derive(Debug)]
pub struct CatalogFlattener {
    catalog: Arc<Catalog>,
    state: FlattenerState,
    evaluator: Evaluator,
    scratch: Scratch,
    tally: Tally,
    dictionary: Dictionary,
    findings: Vec<(String, u64)>,
}

/// A larger cache is dropped: hostile input could make up names without end.
const MAX_STATE_BYTES: usize = 32 << 20;

impl CatalogFlattener {
    /// Returns a flattener, with the cache of an earlier one of the same catalog.
    #[must_use]
    pub fn new(catalog: Arc<Catalog>) -> Self {
        let state = catalog.pool.take().unwrap_or_else(|| new_state(&catalog));
        Self {
            catalog,
            state,
            evaluator: Evaluator::default(),
            scratch: Scratch::default(),
            tally: Tally::default(),
            dictionary: Dictionary::default(),
            findings: Vec::new(),
        }
    }

    /// Keeps the cache for the next flattener of the catalog.
    pub fn recycle(self) {
        self.catalog.pool.keep(self.state);
    }

    /// Returns the memory of arenas that were dropped.
    #[must_use]
    pub const fn rows_pool(&self) -> &RowsPool {
        &self.state.rows_pool
    }

    /// Appends all rows of a resource in all of its tables, unless it is archived. After a defect the rows are as they
    /// were.
    pub fn flatten(
        &mut self,
        resource: &Resource<'_>,
        key: &str,
        links: &Links,
        rows: &mut Rows,
    ) -> Result<Flattened, Defect> {
        self.findings.clear();
        let of_type = self.of_type(resource.resource_type());
        let (catalog, context) = (Arc::clone(&self.catalog), Context { key, links: Some(links) });
        let is_archived = match self.is_archived(&of_type, resource, &context) {
            Ok(is_archived) => is_archived,
            Err(Unanswered::Defect(defect)) => return Err(defect),
            Err(Unanswered::KeyComesLater) => return Ok(Flattened::KeyComesLater),
        };
        if is_archived {
            self.check_archived(&of_type, resource, &context, rows);
            return Ok(Flattened::Archived);
        }
        let mut refusal = None;
        // All of them are asked, so that each is counted where several do not hold.
        for check in of_type.checks.iter().filter_map(|&index| catalog.checks().get(index)) {
            let Some(passes) = check.passes(resource.node(), &context, &mut self.scratch) else {
                self.findings.clear();
                return Ok(Flattened::KeyComesLater);
            };
            if !passes {
                self.findings.push((check.name().to_owned(), 1));
                refusal = refusal.or_else(|| check.refusal());
            }
        }
        if let Some(defect) = refusal {
            return Err(defect);
        }
        let savepoint = rows.savepoint();
        self.fill_automatic(resource, &context, rows)?;
        let (evaluator, views) = (&mut self.evaluator, &self.state.views);
        let Ok(evaluated) = evaluator.run_all(views, resource.node(), &context, rows) else {
            rows.rewind(savepoint);
            self.findings.clear();
            return Ok(Flattened::KeyComesLater);
        };
        Ok(Flattened::Rows(evaluated.defects))
    }

    /// Returns the tables that hold one set of rows for each resource of a type: its own and its views'. Child tables
    /// (`<Type>_<path>`) and contained resources (`<Type>_contained`) come besides.
    pub fn tables(&mut self, resource_type: &str) -> Arc<[String]> {
        Arc::clone(&self.of_type(resource_type).tables)
    }

    /// Returns the type's name as a shared text; [`UNKNOWN_TYPE`](crate::model::UNKNOWN_TYPE) for every type that
    /// neither FHIR nor the deployment has.
    pub fn type_name(&mut self, resource_type: &str) -> Arc<str> {
        Arc::clone(&self.of_type(resource_type).name)
    }

    /// Returns the names that the rows refer to.
    #[must_use]
    pub fn names(&self) -> NameList {
        self.state.names.list()
    }

    /// Returns the checks that the last resource did not pass, and how often. Structural checks also run for rejected
    /// and archived resources and where only views are filled, except where automatic flattening would fail.
    #[must_use]
    pub fn findings(&self) -> &[(String, u64)] {
        &self.findings
    }

    /// Appends the automatic rows of a resource, if the catalog has them, and makes the structural checks, if the
    /// caller reads them: they are made on the way through a resource.
    fn fill_automatic(
        &mut self,
        resource: &Resource<'_>,
        context: &Context<'_>,
        rows: &mut Rows,
    ) -> Result<(), Defect> {
        let is_kept = self.catalog.has_automatic();
        if !is_kept && self.catalog.is_for_rows_only() {
            return Ok(());
        }
        let savepoint = rows.savepoint();
        let FlattenerState { automatic, names, .. } = &mut self.state;
        let outcome = automatic.flatten(resource, context, names, rows);
        if !is_kept || outcome.is_err() {
            rows.rewind(savepoint);
        }
        match outcome {
            Ok(()) => self.findings.extend(named(automatic.findings())),
            Err(defect) if is_kept => return Err(defect),
            // If automatic flattening fails, views still run.
            Err(_) => {}
        }
        Ok(())
    }

    /// Makes the structural checks of a resource that goes to the archive; its rows are dropped.
    fn check_archived(
        &mut self,
        of_type: &OfType,
        resource: &Resource<'_>,
        context: &Context<'_>,
        rows: &mut Rows,
    ) {
        if self.catalog.is_for_rows_only() {
            return;
        }
        if !of_type.is_known {
            // Of an unknown type, only the id can be checked.
            let ids = u64::from(resource.id().is_some_and(|id| !is_fhir_id(id)));
            self.findings.extend(named(StructuralCounts { ids, ..StructuralCounts::default() }));
            return;
        }
        let savepoint = rows.savepoint();
        let FlattenerState { archived, names, .. } = &mut self.state;
        let outcome = archived.flatten(resource, context, names, rows);
        rows.rewind(savepoint);
        if outcome.is_ok() {
            self.findings.extend(named(archived.findings()));
        }
    }

    /// Counts rows that will be written, for the dictionary.
    pub fn count(&mut self, rows: &Rows) {
        if !self.catalog.is_for_rows_only() {
            self.tally.count(rows);
        }
    }

    /// Counts a row for a column whose [pending](crate::row::Value::Pending) value is known now.
    pub fn count_late(&mut self, table: &str, column: &str) {
        if self.catalog.is_for_rows_only() {
            return;
        }
        let names = &mut self.state.names;
        let (table, column) = (names.table(table), names.column(column));
        self.tally.count_late(table, column);
    }

    /// Takes the columns of all rows that were counted since the last call, and how many were not listed.
    pub fn take_dictionary(&mut self) -> Dictionary {
        self.describe();
        std::mem::take(&mut self.dictionary)
    }

    /// Clears the cache if hostile input has made up too many names. The rows so far must have been handed on.
    pub fn begin_batch(&mut self) {
        if self.state.bytes() > MAX_STATE_BYTES || self.tally.is_bloated() {
            let dictionary = self.take_dictionary();
            *self = Self { dictionary, ..Self::new(Arc::clone(&self.catalog)) };
        }
    }

    /// Moves what was counted into the dictionary, with what it means.
    fn describe(&mut self) {
        let (tally, names) = (std::mem::take(&mut self.tally), self.state.names.list());
        let mut tables: BTreeMap<&str, ScopeId> =
            tally.tables().map(|(table, scope)| (names.table(table), scope)).collect();
        self.state.views.describe(&tally, &mut tables, &mut self.dictionary);
        self.state.automatic.describe(&tally, &names, tables, &mut self.dictionary);
    }

    fn is_archived(
        &mut self,
        of_type: &OfType,
        resource: &Resource<'_>,
        context: &Context<'_>,
    ) -> Result<bool, Unanswered> {
        if !of_type.is_known {
            return Ok(true);
        }
        for &index in &of_type.rules {
            match self.catalog.inactive.get(index).and_then(|rule| rule.condition.as_ref()) {
                None => return Ok(true),
                Some(condition) => {
                    if condition.holds(resource.node(), context, &mut self.scratch)? == Some(true) {
                        return Ok(true);
                    }
                }
            }
        }
        Ok(false)
    }

    fn of_type(&mut self, resource_type: &str) -> Arc<OfType> {
        if let Some(known) = self.state.types.get(resource_type) {
            return Arc::clone(known);
        }
        let resource_type = self.catalog.automatic.resource_types.table_of(resource_type);
        let known = self.state.types.get(resource_type).map(Arc::clone);
        known.unwrap_or_else(|| self.add_type(resource_type))
    }

    fn add_type(&mut self, resource_type: &str) -> Arc<OfType> {
        let catalog = &self.catalog;
        let is_known = catalog.automatic.resource_types.contains(resource_type);
        let own = (is_known && catalog.has_automatic()).then(|| resource_type.to_owned());
        let views = self.state.views.plans(resource_type).map(|plan| plan.name().to_owned());
        let rules =
            catalog.inactive.iter().enumerate().filter(|(_, rule)| rule.resource_type == resource_type);
        let checks =
            catalog.checks().iter().enumerate().filter(|(_, check)| check.resource_type() == resource_type);
        let of_type = Arc::new(OfType {
            name: resource_type.into(),
            checks: checks.map(|(index, _)| index).collect(),
            tables: own.into_iter().chain(views).collect(),
            rules: rules.map(|(index, _)| index).collect(),
            is_known,
        });
        self.state.types.insert(Arc::clone(&of_type.name), Arc::clone(&of_type));
        of_type
    }
}

fn new_state(catalog: &Catalog) -> FlattenerState {
    let plans = if catalog.has_views() { catalog.plans() } else { &[] };
    FlattenerState::new(&catalog.automatic, plans)
}

/// Returns what structural checks have found, as findings.
fn named(findings: StructuralCounts) -> impl Iterator<Item = (String, u64)> {
    findings.counts().map(|(name, count)| (name.to_owned(), count))
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::CatalogFlattener;
    use crate::catalog::pool::MAX_KEPT_BYTES;
    use crate::catalog::{Catalog, Choices, Tables};
    use crate::json::{Limits, Tape};
    use crate::links::Links;
    use crate::resource::Resource;
    use crate::row::Rows;

    fn flatten(flattener: &mut CatalogFlattener, text: &str) {
        let mut tape = Tape::default();
        let document = tape.parse(text.as_bytes(), Limits::default()).unwrap();
        let resource = Resource::read(document.root()).unwrap();
        flattener.flatten(&resource, "Basic/1", &Links::default(), &mut Rows::default()).unwrap();
    }

    fn bytes_kept(catalog: &Catalog) -> Vec<usize> {
        catalog.pool.kept_bytes()
    }

    #[test]
    fn what_was_learned_is_kept_unless_it_is_too_much() {
        let catalog = Arc::new(Catalog::default());
        let mut flattener = CatalogFlattener::new(Arc::clone(&catalog));
        flatten(&mut flattener, r#"{"resourceType":"Basic","id":"1","code":{"text":"x"}}"#);
        flattener.recycle();
        assert!(bytes_kept(&catalog).iter().all(|bytes| (1_000..10_000).contains(bytes)));
        let mut flattener = CatalogFlattener::new(Arc::clone(&catalog));
        for number in 0..40_000 {
            let made_up = format!(r#"{{"resourceType":"Basic","id":"1","madeUp{number}x":{{"a":1}}}}"#);
            flatten(&mut flattener, &made_up);
        }
        assert!(flattener.state.bytes() > MAX_KEPT_BYTES);
        flattener.recycle();
        assert_eq!(bytes_kept(&catalog), [0; 0]);
    }

    /// A caller that reads rows only gets the same rows, outcomes and defects.
    #[test]
    fn rows_are_the_same_where_nobody_reads_findings() {
        let view =
            r#"{"name":"v","resource":"Basic","select":[{"column":[{"name":"a","path":"code.text"}]}]}"#;
        let check =
            r#"[{"name":"c","type":"Basic","path":"code.exists()","severity":"reject","message":"m"}]"#;
        for tables in [Tables::Automatic, Tables::Views, Tables::Both] {
            let catalog = || {
                let views = vec![("v.json".to_owned(), view.to_owned())];
                let checks = vec![("c.json".to_owned(), check.to_owned())];
                let inactive = vec!["Basic where id = 'archived'".to_owned()];
                Catalog::compile(Choices { tables, views, inactive, checks, ..Choices::default() }).unwrap()
            };
            for text in [
                r#"{"resourceType":"Basic","id":"1","code":{"text":"x"},"created":"2026-13-99"}"#,
                r#"{"resourceType":"Basic","id":"1"}"#,
                r#"{"resourceType":"Basic","id":"1","code":{"text":["x","y"]}}"#,
                r#"{"resourceType":"Basic","id":"1","code":"x"}"#,
                r#"{"resourceType":"Basic","id":"archived","code":{}}"#,
                r#"{"resourceType":"MadeUp","id":"1"}"#,
            ] {
                let outcome = |catalog| {
                    let (mut flattener, mut rows) =
                        (CatalogFlattener::new(Arc::new(catalog)), Rows::default());
                    let mut tape = Tape::default();
                    let document = tape.parse(text.as_bytes(), Limits::default()).unwrap();
                    let resource = Resource::read(document.root()).unwrap();
                    let outcome = flattener.flatten(&resource, "Basic/1", &Links::default(), &mut rows);
                    let names = flattener.names();
                    let cells = rows.iter().flat_map(|row| row.cells().map(move |cell| (row.table(), cell)));
                    let cells = cells.map(|(table, (column, value))| {
                        // Of a list only that it is one: the rest of what it shows is the arena around it.
                        let value = format!("{value:?}").chars().take(20).collect::<String>();
                        format!("{}.{} {value}", names.table(table), names.column(column))
                    });
                    (format!("{outcome:?}"), cells.collect::<Vec<_>>())
                };
                assert_eq!(outcome(catalog()), outcome(catalog().for_rows_only()), "{tables:?} {text}");
            }
        }
    }

    #[test]
    fn a_name_that_no_column_can_have_is_not_remembered() {
        let catalog = Arc::new(Catalog::default());
        let mut flattener = CatalogFlattener::new(Arc::clone(&catalog));
        let long = "x".repeat(1 << 20);
        flatten(&mut flattener, &format!(r#"{{"resourceType":"Basic","id":"1","{long}":1,"_{long}":2}}"#));
        assert!(flattener.state.bytes() < 10_000);
    }
}
