//! Meanings of columns: from an object path back to FHIR path, extension URL and datatype, for the dictionary.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use crate::automatic::naming::ExtensionNaming;
use crate::automatic::object_kind::ObjectKind;
use crate::column_type::{CellType, ColumnType};
use crate::decimals::Decimals;
use crate::dictionary::{Meaning, cut};
use crate::model::extensions::without_version;
use crate::model::{Datatype, Element, type_named};
use crate::row::ColumnId;

use super::columns::Derived;
use super::field::{Field, ScalarKinds, TELECOM_SYSTEMS};
use super::lookup::PathCache;
use super::member::{FieldId, Member, ObjectPathId};
use super::object_path::ObjectPath;

/// Where a name space of columns begins, and what is known on the way there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Namespace {
    path: ObjectPathId,
    context: PathContext,
}

impl Namespace {
    /// Returns the name space of a resource's row.
    pub(crate) fn of_resource(path: ObjectPathId, resource_type: &str) -> Self {
        let fhir_path = Arc::from(resource_type);
        Self {
            path,
            context: PathContext {
                fhir_path,
                url: None,
                is_unknown: false,
                is_clash: false,
                is_open: false,
                is_extension_value: false,
            },
        }
    }
}

/// What the steps from a resource to an object or a field say.
#[expect(clippy::struct_excessive_bools, reason = "independent facts about one path")]
#[derive(Debug, Clone, PartialEq, Eq)]
struct PathContext {
    fhir_path: Arc<str>,
    url: Option<Arc<str>>,
    is_unknown: bool,
    is_clash: bool,
    /// Whether objects of any type may stand here, so that a column has no type of its own.
    is_open: bool,
    /// Whether it is an extension's value, whose columns stand under the extension's name whatever its type.
    is_extension_value: bool,
}

impl PathContext {
    fn step(&self, step: &str) -> Self {
        let fhir_path = cut(&format!("{}.{step}", self.fhir_path)).into();
        Self { fhir_path, is_extension_value: false, ..self.clone() }
    }

    fn meaning(&self, derived: Option<&'static str>, column_type: ColumnType) -> Meaning {
        Meaning {
            url: self.url.clone(),
            derived,
            is_unknown: self.is_unknown,
            is_clash: self.is_clash,
            ..Meaning::of(Some(Arc::clone(&self.fhir_path)), column_type)
        }
    }
}

/// The items of an element: what a list of records in a column, or a child table, consists of.
#[derive(Debug)]
pub(crate) struct ListItems {
    /// The name of the list's column.
    pub(crate) name: Box<str>,
    pub(crate) column: ColumnId,
    pub(crate) namespace: Namespace,
}

const TEXT: ColumnType = ColumnType::One(CellType::Text);
const TEXTS: ColumnType = ColumnType::List(CellType::Text);

/// The meanings of the columns of one name space, or of several that share a table.
#[derive(Debug)]
pub(crate) struct Meanings<'c> {
    cache: &'c PathCache,
    decimals: Decimals,
    elements: BTreeMap<ColumnId, Meaning>,
    derived: BTreeMap<ColumnId, Meaning>,
    /// Objects that no release has in an array: only a deviating sender fills their own column.
    single_objects: BTreeMap<ColumnId, Meaning>,
    items: Vec<ListItems>,
}

impl<'c> Meanings<'c> {
    /// Returns an empty set of meanings, of rows whose decimals are written like that.
    pub(crate) const fn new(cache: &'c PathCache, decimals: Decimals) -> Self {
        Self {
            cache,
            decimals,
            elements: BTreeMap::new(),
            derived: BTreeMap::new(),
            single_objects: BTreeMap::new(),
            items: Vec::new(),
        }
    }

    /// Returns what a column means. An element's own column comes before one that is derived from another element.
    pub(crate) fn get(&self, column: ColumnId) -> Option<&Meaning> {
        let all = [&self.elements, &self.derived, &self.single_objects];
        all.into_iter().find_map(|meanings| meanings.get(&column))
    }

    /// Takes the lists of records that were found.
    pub(crate) fn take_items(&mut self) -> Vec<ListItems> {
        std::mem::take(&mut self.items)
    }

    /// Adds all columns of a name space.
    pub(crate) fn add(&mut self, namespace: &Namespace) {
        let (object, context) = (self.cache.object(namespace.path), &namespace.context);
        self.add_object_columns(object, context);
        let mut described = BTreeSet::new();
        for (key, member) in object.members.used_since(self.cache.load()) {
            let (key, field) = match member {
                // A companion is described with its primitive.
                Member::Companion(field) => (key.strip_prefix('_').unwrap_or(key), Some(field)),
                _ => (key, member.field()),
            };
            let Some(field) = field.filter(|field| described.insert(*field)) else { continue };
            let is_label = matches!(member, Member::Labels(_));
            self.add_member(object, context, key, (field, is_label));
        }
        for &naming in ExtensionNaming::ALL {
            let clashes = self.clashes(object, naming);
            for (url, field) in object.extensions(naming).used_since(self.cache.load()) {
                let is_clash = naming.is_clash() || clashes.contains(&self.cache.field(field).columns.value);
                let mut context = extension_context(context, url, naming);
                context.is_clash |= is_clash;
                self.add_extension(field, &context);
            }
        }
    }

    fn add_object_columns(&mut self, object: &ObjectPath, context: &PathContext) {
        match object.kind {
            ObjectKind::Concept | ObjectKind::Coding => {
                if let Some(codings) = object.columns.derived(Derived::Codings) {
                    self.add_derived(codings, context, "codings", TEXTS);
                }
            }
            ObjectKind::Reference => {
                if let Some(key) = object.columns.derived(Derived::Key) {
                    self.add_derived(key, context, "key", TEXT);
                }
                if let Some(identifier) = object.columns.derived(Derived::Identifier) {
                    self.add_derived(identifier, context, "identifier", TEXT);
                }
                if let Some(column) = object.columns.derived(Derived::Type) {
                    self.add_element(column, type_of_target(object, context));
                }
            }
            _ => {}
        }
    }

    /// Returns the columns that extensions of several URLs share.
    fn clashes(&self, object: &ObjectPath, naming: ExtensionNaming) -> BTreeSet<ColumnId> {
        let (mut first, mut clashes) = (BTreeMap::new(), BTreeSet::new());
        for (url, field) in object.extensions(naming).used_since(self.cache.load()) {
            let (url, column) = (without_version(url), self.cache.field(field).columns.value);
            if *first.entry(column).or_insert(url) != url {
                clashes.insert(column);
            }
        }
        clashes
    }

    fn add_member(
        &mut self,
        object: &ObjectPath,
        context: &PathContext,
        key: &str,
        (field, is_label): (FieldId, bool),
    ) {
        let field = self.cache.field(field);
        let element = object.type_id.and_then(|type_id| type_id.element(key));
        let base = element.as_ref().and_then(|element| element.choice);
        let in_extension = matches!(object.kind, ObjectKind::Extension | ObjectKind::ExtensionItem);
        let on_primitive = object.kind == ObjectKind::PrimitiveCompanion;
        let mut here = match (base, &element) {
            (Some("value"), _) if in_extension => context.step("value"),
            (Some(base), Some(element)) => context.step(&format!("{base}.ofType({})", datatype_of(element))),
            _ => context.step(key),
        };
        here.is_unknown |= element.is_none() && !on_primitive;
        let type_of = match &element {
            Some(_) if in_extension || here.is_open => ColumnType::Any,
            Some(_) if context.is_extension_value => type_in_extension(key, self.decimals),
            Some(element) => ColumnType::of_element(element, self.decimals),
            None => ColumnType::Any,
        };
        // The value of an extension stands in the column that the extension has described.
        if !(base == Some("value") && object.kind == ObjectKind::Extension) {
            let mut meaning = here.meaning(None, type_of);
            meaning.datatype = element.as_ref().filter(|_| !in_extension).map(datatype_of);
            if is_label {
                meaning.column_type = TEXTS;
            }
            let is_single_object = meaning.column_type == ColumnType::Records
                && element.as_ref().is_some_and(|element| !element.uses.iter().any(|used| used.many));
            if is_single_object {
                keep_first(&mut self.single_objects, field.columns.value, meaning);
            } else {
                self.add_element(field.columns.value, meaning);
            }
        }
        if let (Some(choice), Some(base)) = (field.choice, base) {
            let context = context.step(base);
            self.add_derived(choice.type_column, &context, "type", TEXT);
            if let Some(at) = choice.at {
                self.add_derived(at, &context, "at", ColumnType::One(CellType::Timestamp));
            }
            if let Some(yes_or_no) = choice.yes_or_no {
                self.add_derived(yes_or_no.column, &context, "holds", ColumnType::One(CellType::Boolean));
            }
        }
        here.is_extension_value = in_extension && base == Some("value");
        self.add_field(field, &here);
    }

    fn add_extension(&mut self, field: FieldId, context: &PathContext) {
        let field = self.cache.field(field);
        self.add_element(field.columns.value, context.meaning(None, ColumnType::Any));
        self.add_field(field, context);
    }

    /// Adds the columns that are derived from a field, and those of the objects in it.
    fn add_field(&mut self, field: &Field, context: &PathContext) {
        self.add_derived_columns(field, context);
        for (system, column) in TELECOM_SYSTEMS.into_iter().zip(field.telecoms.into_iter().flatten()) {
            self.add_derived(column, context, system, TEXT);
        }
        for known in field.types.used_since(self.cache.load()) {
            if let Some(path) = known.in_place {
                let is_open = context.is_open || field.is_resource;
                self.add(&Namespace { path, context: PathContext { is_open, ..context.clone() } });
            }
            let shared_type = known.type_id.filter(|_| !field.is_extension);
            let shared = shared_type.and_then(|type_id| self.cache.shared_item(type_id));
            if let Some(path) = known.item.or(shared) {
                self.items.push(ListItems {
                    name: field.name.clone(),
                    column: field.columns.value,
                    namespace: Namespace { path, context: context.clone() },
                });
            }
        }
        for path in field.companion.into_iter().chain(field.elided_coding) {
            self.add(&Namespace { path, context: context.clone() });
        }
        if let Some(whole) = field.whole_labels {
            let whole = self.cache.field(whole);
            self.add_element(whole.columns.value, context.meaning(None, ColumnType::Records));
            self.add_field(whole, context);
        }
    }

    /// Adds the columns that a field's values may be written to besides their own.
    fn add_derived_columns(&mut self, field: &Field, context: &PathContext) {
        let (columns, scalars) = (&field.columns, field.scalars);
        // Repeated extensions have a list of moments.
        let moments = match field.column_type {
            Some(ColumnType::List(_)) => ColumnType::List(CellType::Timestamp),
            Some(_) => ColumnType::One(CellType::Timestamp),
            None => ColumnType::Any,
        };
        let all = [
            (Derived::At, "at", moments),
            (Derived::Text, "text", TEXT),
            (Derived::Count, "count", ColumnType::One(CellType::Integer)),
            (Derived::Key, "key", TEXT),
            (Derived::Values, "values", TEXTS),
            (Derived::Keys, "keys", TEXTS),
            (Derived::Size, "size", ColumnType::One(CellType::Long)),
            (Derived::Sha256, "sha256", TEXT),
        ];
        for (derived, by, column_type) in all {
            if let Some(column) = columns.derived(derived)
                && (derived != Derived::At || scalars.has(ScalarKinds::MOMENT) || field.is_extension)
            {
                self.add_derived(column, context, by, column_type);
            }
        }
    }

    /// Adds an element. Of two elements in one column, which only extensions can be, the first by path is kept.
    fn add_element(&mut self, column: ColumnId, meaning: Meaning) {
        keep_first(&mut self.elements, column, meaning);
    }

    fn add_derived(
        &mut self,
        column: ColumnId,
        context: &PathContext,
        by: &'static str,
        column_type: ColumnType,
    ) {
        keep_first(&mut self.derived, column, context.meaning(Some(by), column_type));
    }
}

fn keep_first(meanings: &mut BTreeMap<ColumnId, Meaning>, column: ColumnId, meaning: Meaning) {
    let known = meanings.entry(column).or_insert_with(|| meaning.clone());
    if meaning < *known {
        *known = meaning;
    }
}

fn extension_context(carrier: &PathContext, url: &str, naming: ExtensionNaming) -> PathContext {
    let quoted = cut(url).replace('\'', "\\'");
    let mut context = carrier.step(&if naming.is_modifier() {
        format!("modifierExtension.where(url = '{quoted}')")
    } else {
        format!("extension('{quoted}')")
    });
    context.url.get_or_insert_with(|| Arc::from(cut(url)));
    context
}

/// Returns the meaning of `Reference.type`, whether it was written or derived from the reference.
fn type_of_target(object: &ObjectPath, context: &PathContext) -> Meaning {
    let element = object.type_id.and_then(|type_id| type_id.element("type"));
    let mut meaning = context.step("type").meaning(None, TEXT);
    meaning.datatype = element.as_ref().map(datatype_of);
    meaning
}

/// Returns the type of the column that a member of an extension's value fills, if all types of values agree on it. An
/// object has no column of its own.
fn type_in_extension(key: &str, decimals: Decimals) -> ColumnType {
    let values = type_named("Extension").into_iter().flat_map(|extension| extension.choices("value"));
    let types = values.flat_map(|value| value.uses).filter_map(|used| match used.datatype {
        Datatype::Complex(complex) => complex.element(key),
        Datatype::Primitive(_) | Datatype::Resource => None,
    });
    let types = types.map(|member| ColumnType::of_element(&member, decimals));
    let has_scalars = |column_type: &ColumnType| *column_type != ColumnType::Records;
    let agreed =
        types.filter(has_scalars).reduce(|one, other| if one == other { one } else { ColumnType::Any });
    agreed.unwrap_or(ColumnType::Records)
}

fn datatype_of(element: &Element) -> &'static str {
    element.newest().datatype.name()
}
