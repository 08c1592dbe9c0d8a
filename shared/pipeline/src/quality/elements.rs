//! The elements that the columns of a table stand for: what a data check looks at, derived from the dictionary of columns.

use std::collections::{BTreeMap, BTreeSet};

use flatten::column_type::ColumnType;
use flatten::model::{Datatype, Primitive, TypeId, is_resource_type, type_named};

use crate::store::ColumnEntry;
use crate::store::quality::{MOMENT_SUFFIX, RowCondition};

/// The tables of resources, with their columns.
#[derive(Debug, Default)]
pub(super) struct CheckedTables {
    tables: Vec<CheckedTable>,
}

/// A table of resources, of contained resources, or of the items of one of their lists.
#[derive(Debug)]
pub(super) struct CheckedTable {
    /// Its name.
    pub(super) name: String,
    /// The type of the resources.
    pub(super) resource_type: String,
    columns: Vec<TableColumn>,
    /// Names of lists, and of the tables of their items behind this table's own name.
    item_tables: BTreeSet<String>,
}

/// A column, and the element that it stands for.
#[derive(Debug)]
struct TableColumn {
    name: String,
    path: String,
    derived: Option<String>,
    datatype: Option<String>,
    column_type: Option<ColumnType>,
    is_extension: bool,
}

/// Where an element's columns stand: in the row, or in the records of lists.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct ElementPlace {
    lists: Vec<String>,
    prefix: String,
}

/// A complex element: its columns in each place where it stands.
#[derive(Debug)]
pub(super) struct ComplexElement {
    /// Its FHIRPath, from the resource.
    pub(super) path: String,
    /// Its datatype.
    pub(super) datatype: &'static str,
    /// How the element is called among the columns: `code`, `component.code`.
    pub(super) name: String,
    places: BTreeMap<ElementPlace, BTreeSet<String>>,
}

/// A scalar element: its columns in each place where it stands.
#[derive(Debug)]
pub(super) struct ScalarElement {
    /// Its FHIRPath, from the resource.
    pub(super) path: String,
    /// Its datatype.
    pub(super) datatype: Primitive,
    /// The column, or the first of several.
    pub(super) name: String,
    /// The columns behind lists, and whether they are lists of texts.
    columns: Vec<(Vec<String>, String, bool)>,
}

impl CheckedTables {
    /// Sorts columns by table. Those of views are left out: their columns can mean anything.
    pub(super) fn new(entries: &[ColumnEntry]) -> Self {
        let mut by_table: BTreeMap<&str, Vec<&ColumnEntry>> = BTreeMap::new();
        for entry in entries {
            by_table.entry(&entry.table).or_default().push(entry);
        }
        let names: BTreeSet<&str> = by_table.keys().copied().collect();
        let tables = by_table.iter().filter_map(|(name, entries)| CheckedTable::new(name, entries, &names));
        Self { tables: tables.collect() }
    }

    /// Returns the tables in the order of their names.
    pub(super) fn iter(&self) -> impl Iterator<Item = &CheckedTable> {
        self.tables.iter()
    }

    /// Returns the table of a name.
    pub(super) fn named(&self, name: &str) -> Option<&CheckedTable> {
        self.tables.iter().find(|table| table.name == name)
    }
}

impl CheckedTable {
    fn new(name: &str, entries: &[&ColumnEntry], tables: &BTreeSet<&str>) -> Option<Self> {
        let begin = name.split('_').next().filter(|begin| is_resource_type(begin))?;
        let columns: Vec<TableColumn> = entries.iter().filter_map(|entry| TableColumn::new(entry)).collect();
        let behind = format!("{name}_");
        let items = tables.iter().filter_map(|table| table.strip_prefix(&behind)).map(str::to_owned);
        Some(Self {
            name: name.to_owned(),
            resource_type: begin.to_owned(),
            columns,
            item_tables: items.collect(),
        })
    }

    /// Returns whether it has a row for each resource of the type that is not contained in another one.
    pub(super) fn is_of_resources(&self) -> bool {
        self.name == self.resource_type
    }

    /// Returns whether the row, not a list of it, has the column.
    pub(super) fn has(&self, column: &str) -> bool {
        self.columns.iter().any(|known| known.name == column)
    }

    /// Returns the elements of complex types, by path.
    pub(super) fn complex_elements(&self) -> Vec<ComplexElement> {
        let mut places: BTreeMap<&str, BTreeMap<ElementPlace, BTreeSet<String>>> = BTreeMap::new();
        for column in self.columns.iter().filter(|column| column.derived.is_none() && !column.is_extension) {
            let Some((parent, leaf)) = column.path.rsplit_once('.') else { continue };
            let (lists, own) = column.split();
            if let Some(prefix) = own.strip_suffix(leaf).filter(|prefix| is_prefix(prefix)) {
                let place = ElementPlace { lists, prefix: prefix.to_owned() };
                places.entry(parent).or_default().entry(place).or_default().insert(leaf.to_owned());
            }
        }
        let elements = places.into_iter().filter_map(|(path, mut places)| {
            let datatype = datatype_at(path, &places)?;
            let name = places.keys().next()?.name().unwrap_or_else(|| last_step(path).to_owned());
            places.retain(|place, _| !self.is_copied(place, path));
            let is_there = !places.is_empty();
            let path = path.to_owned();
            is_there.then(|| ComplexElement { path, datatype: datatype.name(), name, places })
        });
        elements.collect()
    }

    /// Returns the scalar elements, by path.
    pub(super) fn scalar_elements(&self) -> Vec<ScalarElement> {
        let mut elements: BTreeMap<&str, ScalarElement> = BTreeMap::new();
        for column in self.columns.iter().filter(|column| column.derived.is_none()) {
            let named = column.datatype.as_deref().and_then(Primitive::named);
            // The value of an extension is a text or something else, whatever it was first.
            let Some(datatype) = named.filter(|_| !column.is_extension) else { continue };
            let is_list = match column.column_type {
                Some(ColumnType::One(_)) => false,
                Some(ColumnType::List(_)) => true,
                _ => continue,
            };
            let (lists, own) = column.split();
            let (parent, leaf) = column.path.rsplit_once('.').unwrap_or_default();
            let prefix = own.strip_suffix(leaf).filter(|prefix| is_prefix(prefix)).unwrap_or(own);
            let place = ElementPlace { lists: lists.clone(), prefix: prefix.to_owned() };
            let element = elements.entry(&column.path).or_insert_with(|| ScalarElement {
                path: column.path.clone(),
                datatype,
                name: column.name.clone(),
                columns: Vec::new(),
            });
            if !column.name.contains('.') && element.name.contains('.') {
                element.name.clone_from(&column.name);
            }
            if !self.is_copied(&place, parent) {
                element.columns.push((lists, own.to_owned(), is_list));
            }
        }
        elements.into_values().filter(|element| !element.columns.is_empty()).collect()
    }

    /// Returns the columns of the keys of references, one for each place where references stand.
    pub(super) fn key_columns(&self) -> Vec<String> {
        let keys = self.columns.iter().filter(|column| match column.derived.as_deref() {
            Some("keys") => !column.is_extension,
            Some("key") => !column.is_extension && !self.has_keys_beside(column),
            _ => false,
        });
        let own = keys.filter(|column| {
            let (lists, own) = column.split();
            let prefix = own.trim_end_matches("keys").trim_end_matches("key").to_owned();
            !self.is_copied(&ElementPlace { lists, prefix }, &column.path)
        });
        own.map(|column| column.name.clone()).collect()
    }

    /// Returns whether another column has all keys of the list whose first key, or each of whose keys, stands in this one.
    fn has_keys_beside(&self, column: &TableColumn) -> bool {
        let (lists, own) = column.split();
        // In the records of the list itself: the list of keys stands beside the list.
        let in_records = !lists.is_empty() && own == "key";
        let name = if in_records { format!("{}_keys", lists.join(".")) } else { format!("{}s", column.name) };
        self.has(&name)
    }

    /// Returns the condition that an element of the resource has something, whatever columns it fills; `None` if no row
    /// has ever had it.
    pub(super) fn has_element(&self, element: &str) -> Option<RowCondition> {
        let path = format!("{}.{element}", self.resource_type);
        let inside = format!("{path}.");
        let is_of_it = |column: &&TableColumn| {
            !column.name.contains('.') && (column.path == path || column.path.starts_with(&inside))
        };
        let columns: Vec<RowCondition> = self
            .columns
            .iter()
            .filter(is_of_it)
            .map(|column| RowCondition::Present(column.name.clone()))
            .collect();
        (!columns.is_empty()).then_some(RowCondition::Any(columns))
    }

    /// Returns whether the columns of a place say again what stands in all items of a list, or in a table of these items.
    fn is_copied(&self, place: &ElementPlace, path: &str) -> bool {
        let ElementPlace { lists, prefix } = place;
        let is_in_coding_table = lists.is_empty()
            && last_step(path) == "coding"
            && self.item_tables.contains(&format!("{prefix}coding"));
        let steps = lists.iter().chain([prefix]).enumerate();
        is_in_coding_table
            || steps.into_iter().any(|(depth, step)| {
                let around = lists.get(..depth).unwrap_or_default();
                let ends = step.match_indices('_').map(|(end, _)| end).filter(|end| *end > 0);
                ends.filter_map(|end| Some((step.get(..end)?, step.get(end + 1..)?)))
                    .any(|(list, inside)| self.has_all_items(around, list, inside))
            })
    }

    /// Returns whether all items of a list have records, or rows in a table. A single concept, coding, identifier or
    /// reference has no record: its only place is the row. What R5 makes a `CodeableReference`, as the name `inside` the
    /// list says, has one.
    fn has_all_items(&self, around: &[String], list: &str, inside: &str) -> bool {
        const MAY_BE_MISSING: [&str; 5] =
            ["CodeableConcept", "CodeableReference", "Coding", "Identifier", "Reference"];
        let has_both = ["concept_", "reference_"].iter().any(|part| inside.starts_with(part));
        if around.is_empty() && self.item_tables.contains(list) {
            return true;
        }
        let steps = around.iter().map(String::as_str).chain([list]);
        let name = steps.collect::<Vec<_>>().join(".");
        let mut columns = self.columns.iter().filter(|column| column.name == name);
        columns.any(|column| {
            column.column_type == Some(ColumnType::Records)
                && (has_both || !MAY_BE_MISSING.contains(&column.datatype.as_deref().unwrap_or_default()))
        })
    }
}

impl TableColumn {
    fn new(entry: &ColumnEntry) -> Option<Self> {
        Some(Self {
            name: entry.column.clone(),
            path: entry.path.clone().filter(|_| !entry.is_unknown)?,
            derived: entry.derived.clone(),
            datatype: entry.datatype.clone(),
            column_type: entry.column_type,
            is_extension: entry.url.is_some(),
        })
    }

    /// Returns the lists around the column, and its own name.
    fn split(&self) -> (Vec<String>, &str) {
        let mut steps: Vec<&str> = self.name.split('.').collect();
        let own = steps.pop().unwrap_or_default();
        (steps.into_iter().map(str::to_owned).collect(), own)
    }
}

impl ElementPlace {
    fn name(&self) -> Option<String> {
        let own = self.prefix.trim_end_matches('_');
        let steps = self.lists.iter().map(String::as_str).chain([own]).filter(|step| !step.is_empty());
        let name = steps.collect::<Vec<_>>().join(".");
        (!name.is_empty()).then_some(name)
    }
}

impl ComplexElement {
    /// Returns the condition that some place fulfils what `condition` makes of its fields; `None` if it makes nothing of
    /// any.
    pub(super) fn condition(
        &self,
        condition: impl Fn(&ElementFields<'_>) -> Option<RowCondition>,
    ) -> Option<RowCondition> {
        let places = self.places.iter().filter_map(|(place, fields)| {
            let inside = condition(&ElementFields { place, fields })?;
            Some(inside_lists(&place.lists, inside))
        });
        any(places.collect())
    }
}

/// The fields of a complex element in one place.
#[derive(Debug)]
pub(super) struct ElementFields<'a> {
    place: &'a ElementPlace,
    fields: &'a BTreeSet<String>,
}

impl ElementFields<'_> {
    /// Returns the column of a field, if any row has ever filled it.
    pub(super) fn column(&self, field: &str) -> Option<String> {
        self.fields.contains(field).then(|| format!("{}{field}", self.place.prefix))
    }

    /// Returns the condition that one of some fields has a value; `None` if no row has ever filled any.
    pub(super) fn any_of(&self, fields: &[&str]) -> Option<RowCondition> {
        any(fields.iter().filter_map(|field| self.column(field)).map(RowCondition::Present).collect())
    }

    /// Returns the condition that an element inside this one has something.
    pub(super) fn inside(&self, table: &CheckedTable, element: &str) -> Option<RowCondition> {
        let begin = format!("{}{element}_", self.place.prefix);
        let columns = table.columns.iter().filter_map(|column| {
            let (around, own) = column.split();
            (around == self.place.lists && own.starts_with(&begin))
                .then(|| RowCondition::Present(own.to_owned()))
        });
        any(columns.collect())
    }

    /// Returns the condition that one of some fields has a value, and none of the others.
    pub(super) fn one_without(&self, one: &[&str], others: &[&str]) -> Option<RowCondition> {
        Some(without(self.any_of(one)?, self.any_of(others)))
    }
}

impl ScalarElement {
    /// Returns the condition that the text of some place fulfils what `condition` makes of its column and of whether it is
    /// a list.
    pub(super) fn condition(&self, condition: impl Fn(String, bool) -> RowCondition) -> Option<RowCondition> {
        let columns = self
            .columns
            .iter()
            .map(|(lists, own, is_list)| inside_lists(lists, condition(own.clone(), *is_list)));
        any(columns.collect())
    }

    /// Returns the column in the row itself.
    pub(super) fn row_column(&self) -> Option<&str> {
        let mut rows = self.columns.iter().filter(|(lists, _, is_list)| lists.is_empty() && !is_list);
        rows.next().map(|(_, own, _)| &**own)
    }

    /// Returns the column in the row itself of a date with a moment.
    pub(super) fn date_column(&self, table: &CheckedTable) -> Option<&str> {
        let is_date = matches!(self.datatype, Primitive::Date | Primitive::DateTime | Primitive::Instant);
        self.row_column().filter(|column| is_date && table.has(&format!("{column}{MOMENT_SUFFIX}")))
    }
}

/// Returns `condition`, and not `other`.
pub(super) fn without(condition: RowCondition, other: Option<RowCondition>) -> RowCondition {
    match other {
        Some(other) => RowCondition::All(vec![condition, RowCondition::Not(Box::new(other))]),
        None => condition,
    }
}

/// Returns the condition that one of some holds; `None` if there are none.
pub(super) fn any(mut conditions: Vec<RowCondition>) -> Option<RowCondition> {
    match conditions.len() {
        0 | 1 => conditions.pop(),
        _ => Some(RowCondition::Any(conditions)),
    }
}

fn inside_lists(lists: &[String], condition: RowCondition) -> RowCondition {
    lists.iter().rev().fold(condition, |inside, list| RowCondition::AnyItem(list.clone(), Box::new(inside)))
}

fn is_prefix(prefix: &str) -> bool {
    prefix.is_empty() || prefix.ends_with('_')
}

fn last_step(path: &str) -> &str {
    path.rsplit('.').next().unwrap_or(path)
}

/// Returns the complex datatype of the element at a FHIRPath without extensions: of those that the releases give it, the
/// one that knows most of its fields, the newest before others.
fn datatype_at(path: &str, places: &BTreeMap<ElementPlace, BTreeSet<String>>) -> Option<TypeId> {
    let mut steps = path.split('.');
    let mut datatypes = vec![Datatype::Complex(type_named(steps.next()?)?)];
    for step in steps {
        datatypes = match step.strip_prefix("ofType(").and_then(|rest| rest.strip_suffix(')')) {
            Some(chosen) => vec![Datatype::named(chosen)?],
            None => datatypes.into_iter().flat_map(|carrier| datatypes_inside(carrier, step)).collect(),
        };
    }
    let fields: BTreeSet<&String> = places.values().flatten().collect();
    let known = |datatype: TypeId| fields.iter().filter(|field| datatype.element(field).is_some()).count();
    let complex = datatypes.into_iter().filter_map(|datatype| match datatype {
        Datatype::Complex(datatype) => Some(datatype),
        Datatype::Primitive(_) | Datatype::Resource => None,
    });
    complex.rev().max_by_key(|datatype| known(*datatype))
}

/// Returns the datatypes of an element in all releases, the newest first. The base of a choice is the carrier still: the
/// next step says which.
fn datatypes_inside(carrier: Datatype, step: &str) -> Vec<Datatype> {
    let Datatype::Complex(of) = carrier else { return Vec::new() };
    match of.element(step) {
        Some(element) => element.uses.iter().map(|known| known.datatype).collect(),
        None if of.choices(step).next().is_some() => vec![carrier],
        None => Vec::new(),
    }
}
