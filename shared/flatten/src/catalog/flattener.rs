//! The catalog at work: one resource at a time becomes rows, or goes to the archive.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use crate::automatic::Automatic;
use crate::check::{Structural, is_fhir_id};
use crate::defect::Defect;
use crate::dictionary::{Dictionary, ScopeId, Tally};
use crate::fhirpath::{Context, Scratch, Unanswered};
use crate::links::Links;
use crate::resource::Resource;
use crate::row::{NameList, Names, Rows, Spare};
use crate::view::{Evaluator, ViewSet};

use super::Catalog;

/// What became of a resource.
#[derive(Debug)]
pub enum Flattened {
    /// Its rows were appended. Each view that could not take it is named with the defect.
    Rows(Vec<(String, Defect)>),
    /// It goes to the archive, whole.
    Archived,
    /// A view, a check or an archive rule needs the key of an entry that may follow in the Bundle. Nothing was appended:
    /// the resource is to be flattened once the links are closed.
    KeyComesLater,
}

/// One worker's flattener: the catalog, and what it has learned of names.
#[derive(Debug)]
pub struct Flattener {
    catalog: Arc<Catalog>,
    learned: PathCache,
    evaluator: Evaluator,
    scratch: Scratch,
    /// The type of the last resource: mostly the next one's too.
    last_type: Option<Arc<OfType>>,
    tally: Tally,
    dictionary: Dictionary,
    findings: Vec<(String, u64)>,
}

/// What outlasts a load: it changes nothing but speed.
#[derive(Debug)]
struct PathCache {
    automatic: Automatic,
    /// The same for what goes to the archive, whose names are no matter of the dictionary.
    archived: Automatic,
    names: Names,
    views: ViewSet,
    of_type: BTreeMap<Arc<str>, Arc<OfType>>,
    spare: Spare,
}

/// What flatteners of a catalog have learned whose loads are over.
#[derive(Debug, Default)]
pub(super) struct FlattenerPool(Mutex<Vec<PathCache>>);

/// As many as loads run at once in one process.
const RESTED: usize = 8;

/// Hostile input could make up names without end; past so many bytes all are forgotten.
const LEARNED_BYTES: usize = 32 << 20;

/// What loads of any common data leave behind: HL7's examples of all five releases together take a third.
const KEPT_BYTES: usize = 16 << 20;

/// What is known of a resource type.
#[derive(Debug)]
struct OfType {
    name: Arc<str>,
    tables: Arc<[String]>,
    rules: Vec<usize>,
    checks: Vec<usize>,
    known: bool,
}

impl Flattener {
    /// A flattener, which goes on with what another of the same catalog has learned.
    #[must_use]
    pub fn new(catalog: Arc<Catalog>) -> Self {
        let learned = catalog.rested.take().unwrap_or_else(|| PathCache::nothing(&catalog));
        Self {
            catalog,
            learned,
            evaluator: Evaluator::default(),
            scratch: Scratch::default(),
            last_type: None,
            tally: Tally::default(),
            dictionary: Dictionary::default(),
            findings: Vec::new(),
        }
    }

    /// Leaves what it has learned to the next one.
    pub fn rest(self) {
        if self.learned.bytes() <= KEPT_BYTES {
            self.catalog.rested.keep(self.learned);
        }
    }

    /// The memory of arenas that were read.
    #[must_use]
    pub const fn spare(&self) -> &Spare {
        &self.learned.spare
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
        for check in of_type.checks.iter().filter_map(|&index| catalog.checks.get(index)) {
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
        let mark = rows.mark();
        self.fill_automatic(resource, &context, rows)?;
        let mut defects = Vec::new();
        let (evaluator, views) = (&mut self.evaluator, &self.learned.views);
        if evaluator.run_all(views, resource.node(), &context, rows, &mut defects).is_err() {
            rows.rewind(mark);
            self.findings.clear();
            return Ok(Flattened::KeyComesLater);
        }
        Ok(Flattened::Rows(defects))
    }

    /// The tables that hold one set of rows for each resource of a type: its own and its views'. Child tables
    /// (`<Type>_<path>`) and contained resources (`<Type>_contained`) come besides.
    pub fn tables(&mut self, resource_type: &str) -> Arc<[String]> {
        Arc::clone(&self.of_type(resource_type).tables)
    }

    /// The type's name, shared by whoever keeps it; [`UNKNOWN_TYPE`](crate::model::UNKNOWN_TYPE) for every type that
    /// neither FHIR nor the deployment has.
    pub fn type_name(&mut self, resource_type: &str) -> Arc<str> {
        Arc::clone(&self.of_type(resource_type).name)
    }

    /// The names that the rows refer to.
    #[must_use]
    pub fn names(&self) -> NameList {
        self.learned.names.list()
    }

    /// The checks that the last resource did not pass, and how often, also those for which it was set aside.
    /// Structural ones are made of what is not, also where it is archived or only views are filled, unless automatic
    /// rows could not have been made of the resource.
    #[must_use]
    pub fn findings(&self) -> &[(String, u64)] {
        &self.findings
    }

    /// Appends the automatic rows of a resource, if the catalog has them, and makes the structural checks, if somebody
    /// reads them: they are made on the way through a resource.
    fn fill_automatic(
        &mut self,
        resource: &Resource<'_>,
        context: &Context<'_>,
        rows: &mut Rows,
    ) -> Result<(), Defect> {
        let is_kept = self.catalog.has_automatic();
        if !is_kept && self.catalog.only_rows {
            return Ok(());
        }
        let mark = rows.mark();
        let PathCache { automatic, names, .. } = &mut self.learned;
        let outcome = automatic.flatten(resource, context, names, rows);
        if !is_kept || outcome.is_err() {
            rows.rewind(mark);
        }
        match outcome {
            Ok(()) => self.findings.extend(named(automatic.findings())),
            Err(defect) if is_kept => return Err(defect),
            // A resource that cannot be walked through still has its rows of views.
            Err(_) => {}
        }
        Ok(())
    }

    /// Makes the structural checks of a resource that goes to the archive; its rows go nowhere.
    fn check_archived(
        &mut self,
        of_type: &OfType,
        resource: &Resource<'_>,
        context: &Context<'_>,
        rows: &mut Rows,
    ) {
        if self.catalog.only_rows {
            return;
        }
        if !of_type.known {
            // Of a type that nobody knows, only the id can be odd.
            let ids = u64::from(resource.id().is_some_and(|id| !is_fhir_id(id)));
            self.findings.extend(named(Structural { ids, ..Structural::default() }));
            return;
        }
        let mark = rows.mark();
        let PathCache { archived, names, .. } = &mut self.learned;
        let outcome = archived.flatten(resource, context, names, rows);
        rows.rewind(mark);
        if outcome.is_ok() {
            self.findings.extend(named(archived.findings()));
        }
    }

    /// Enters rows that this worker has made, and that will be written, into the dictionary.
    pub fn count(&mut self, rows: &Rows) {
        if !self.catalog.only_rows {
            self.tally.count(rows);
        }
    }

    /// Counts a row for a column whose [pending](crate::row::Value::Pending) value is known now.
    pub fn count_late(&mut self, table: &str, column: &str) {
        if self.catalog.only_rows {
            return;
        }
        let names = &mut self.learned.names;
        let (table, column) = (names.table(table), names.column(column));
        self.tally.count_late(table, column);
    }

    /// The columns of all rows that were counted since this was last asked, and how many were not listed.
    pub fn take_dictionary(&mut self) -> Dictionary {
        self.describe();
        std::mem::take(&mut self.dictionary)
    }

    /// Forgets all names if hostile input has made up too many. The rows so far must have been handed on.
    pub fn begin_batch(&mut self) {
        if self.learned.bytes() > LEARNED_BYTES || self.tally.is_bloated() {
            let dictionary = self.take_dictionary();
            *self = Self { dictionary, ..Self::new(Arc::clone(&self.catalog)) };
        }
    }

    /// Moves what was counted into the dictionary, with what it means.
    fn describe(&mut self) {
        let (tally, names) = (std::mem::take(&mut self.tally), self.learned.names.list());
        let mut tables: BTreeMap<&str, ScopeId> =
            tally.tables().map(|(table, scope)| (names.table(table), scope)).collect();
        self.learned.views.describe(&tally, &mut tables, &mut self.dictionary);
        self.learned.automatic.describe(&tally, &names, tables, &mut self.dictionary);
    }

    fn is_archived(
        &mut self,
        of_type: &OfType,
        resource: &Resource<'_>,
        context: &Context<'_>,
    ) -> Result<bool, Unanswered> {
        if !of_type.known {
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
        if let Some(last) = self.last_type.as_ref().filter(|last| *last.name == *resource_type) {
            return Arc::clone(last);
        }
        let resource_type = self.catalog.automatic.resource_types.table_of(resource_type);
        let known = self.learned.of_type.get(resource_type).map(Arc::clone);
        let of_type = known.unwrap_or_else(|| self.learn(resource_type));
        self.last_type = Some(Arc::clone(&of_type));
        of_type
    }

    fn learn(&mut self, resource_type: &str) -> Arc<OfType> {
        let catalog = &self.catalog;
        let known = catalog.automatic.resource_types.contains(resource_type);
        let own = (known && catalog.has_automatic()).then(|| resource_type.to_owned());
        let views = self.learned.views.plans(resource_type).map(|plan| plan.name().to_owned());
        let rules =
            catalog.inactive.iter().enumerate().filter(|(_, rule)| rule.resource_type == resource_type);
        let checks =
            catalog.checks.iter().enumerate().filter(|(_, check)| check.resource_type() == resource_type);
        let of_type = Arc::new(OfType {
            name: resource_type.into(),
            checks: checks.map(|(index, _)| index).collect(),
            tables: own.into_iter().chain(views).collect(),
            rules: rules.map(|(index, _)| index).collect(),
            known,
        });
        self.learned.of_type.insert(Arc::clone(&of_type.name), Arc::clone(&of_type));
        of_type
    }
}

/// What structural checks have found, as findings.
fn named(findings: Structural) -> impl Iterator<Item = (String, u64)> {
    findings.counts().map(|(name, count)| (name.to_owned(), count))
}

impl PathCache {
    fn nothing(catalog: &Catalog) -> Self {
        let mut names = Names::default();
        let plans = if catalog.has_views() { catalog.plans.as_slice() } else { &[] };
        let views = ViewSet::new(plans.iter().cloned(), &mut names);
        Self {
            automatic: Automatic::new(catalog.automatic.clone()),
            archived: Automatic::new(catalog.automatic.clone()),
            names,
            views,
            of_type: BTreeMap::new(),
            spare: Spare::default(),
        }
    }
}

impl PathCache {
    fn bytes(&self) -> usize {
        let of_types: usize = self.of_type.keys().map(|name| size_of::<OfType>() + 4 * name.len()).sum();
        self.automatic.bytes() + self.archived.bytes() + self.names.bytes() + of_types
    }
}

impl FlattenerPool {
    fn take(&self) -> Option<PathCache> {
        let mut learned = self.0.lock().unwrap_or_else(PoisonError::into_inner).pop()?;
        learned.automatic.begin_load();
        Some(learned)
    }

    fn keep(&self, learned: PathCache) {
        let mut rested = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if rested.len() < RESTED {
            rested.push(learned);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::{Flattener, KEPT_BYTES};
    use crate::catalog::{Catalog, Choices, Tables};
    use crate::json::{Limits, Tape};
    use crate::links::Links;
    use crate::resource::Resource;
    use crate::row::Rows;

    fn flatten(flattener: &mut Flattener, text: &str) {
        let mut tape = Tape::default();
        let document = tape.parse(text.as_bytes(), Limits::default()).unwrap();
        let resource = Resource::read(document.root()).unwrap();
        flattener.flatten(&resource, "Basic/1", &Links::default(), &mut Rows::default()).unwrap();
    }

    fn bytes_kept(catalog: &Catalog) -> Vec<usize> {
        catalog.rested.0.lock().unwrap().iter().map(super::PathCache::bytes).collect()
    }

    #[test]
    fn what_was_learned_is_kept_unless_it_is_too_much() {
        let catalog = Arc::new(Catalog::default());
        let mut flattener = Flattener::new(Arc::clone(&catalog));
        flatten(&mut flattener, r#"{"resourceType":"Basic","id":"1","code":{"text":"x"}}"#);
        flattener.rest();
        assert!(bytes_kept(&catalog).iter().all(|bytes| (1_000..10_000).contains(bytes)));
        let mut flattener = Flattener::new(Arc::clone(&catalog));
        for number in 0..40_000 {
            let made_up = format!(r#"{{"resourceType":"Basic","id":"1","madeUp{number}x":{{"a":1}}}}"#);
            flatten(&mut flattener, &made_up);
        }
        assert!(flattener.learned.bytes() > KEPT_BYTES);
        flattener.rest();
        assert_eq!(bytes_kept(&catalog), [0; 0]);
    }

    /// Whoever reads rows only gets the rows, fates and defects that others get.
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
                    let (mut flattener, mut rows) = (Flattener::new(Arc::new(catalog)), Rows::default());
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
        let mut flattener = Flattener::new(Arc::clone(&catalog));
        let long = "x".repeat(1 << 20);
        flatten(&mut flattener, &format!(r#"{{"resourceType":"Basic","id":"1","{long}":1,"_{long}":2}}"#));
        assert!(flattener.learned.bytes() < 10_000);
    }
}
