//! The path cache, and how a resource looks up its paths in it.

use std::collections::BTreeMap;

use crate::automatic::naming::{ExtensionNaming, MAX_NAME_BYTES, joined};
use crate::automatic::object_kind::ObjectKind;
use crate::automatic::settings::Settings;
use crate::check;
use crate::json::Node;
use crate::model::{self, TypeId};
use crate::row::{ColumnId, Names, TableId};

use super::columns::{ChoiceColumns, Derived};
use super::field::{Field, FieldFlags, TELECOM_SYSTEMS, TelecomColumns};
use super::member::{FieldId, Member, ObjectPathId};
use super::name_cache::{CachedValue, ResourceNumber, bytes_of};
use super::object_path::ObjectPath;
use super::object_types::ObjectType;

/// How many names one resource may bring that the model does not have: unknown elements and extension URLs, each at
/// its path. A path takes about a kilobyte.
pub(crate) const MAX_UNKNOWN_NAMES: usize = 20_000;

/// How many paths of members one resource may bring, known or not: below extensions there is any number.
const MAX_PATHS: usize = 100_000;

/// A longer member name has no column, and is not cached. It may begin with an underscore.
const MAX_MEMBER_BYTES: usize = 1 + MAX_NAME_BYTES;

/// All object paths and fields so far.
#[derive(Debug, Default)]
pub(crate) struct PathCache {
    objects: Vec<ObjectPath>,
    fields: Vec<Field>,
    /// By field: what every value asks for lies close together.
    flags: Vec<FieldFlags>,
    resources: BTreeMap<Box<str>, ResourceRoot>,
    /// The paths of items by type, which all lists of that type share.
    items: BTreeMap<TypeId, ObjectPathId>,
    /// The current resource.
    now: ResourceNumber,
    /// The first resource of the load.
    load: ResourceNumber,
    new_names: NewNames,
    bytes: usize,
}

/// How many names the current resource has brought, each counted once.
#[derive(Debug, Clone, Copy, Default)]
struct NewNames {
    unknown: usize,
    paths: usize,
}

/// Where the resources of a type go.
#[derive(Debug, Clone, Copy)]
pub(crate) struct ResourceRoot {
    pub(crate) path: ObjectPathId,
    pub(crate) table: TableId,
    /// The mandatory elements, as [`check::required`] has them.
    pub(crate) required: u8,
}

impl PathCache {
    /// Returns roughly how many bytes the cache takes, to bound the memory that hostile input can fill.
    pub(crate) const fn bytes(&self) -> usize {
        self.bytes
    }

    /// Begins a load. Paths of earlier loads stay cached, but are no longer described.
    pub(crate) const fn begin_load(&mut self) {
        self.now = self.now.next();
        self.load = self.now;
    }

    /// Begins a resource, whose names are counted from 0.
    pub(crate) const fn begin_resource(&mut self) {
        self.now = self.now.next();
        self.new_names = NewNames { unknown: 0, paths: 0 };
    }

    /// Returns the first resource of the load.
    pub(super) const fn load(&self) -> ResourceNumber {
        self.load
    }

    /// Returns the resource types so far, each with its path.
    pub(crate) fn resource_types(&self) -> impl Iterator<Item = (&str, ObjectPathId)> {
        self.resources.iter().map(|(name, root)| (&**name, root.path))
    }

    /// Returns the path that the items of a type share.
    pub(super) fn shared_item(&self, type_id: TypeId) -> Option<ObjectPathId> {
        self.items.get(&type_id).copied()
    }

    fn count_member(&mut self, found: CachedValue<Member>) {
        if found.is_first_use {
            self.new_names.paths += 1;
            let is_known = match found.value {
                Member::Unknown => false,
                member => member.field().is_none_or(|field| self.flags(field).is_modelled()),
            };
            self.new_names.unknown += usize::from(!is_known);
        }
    }
}

#[expect(
    clippy::indexing_slicing,
    reason = "ids are indices that this module handed out, and its lists only grow"
)]
impl PathCache {
    pub(super) fn object(&self, path: ObjectPathId) -> &ObjectPath {
        &self.objects[path.0 as usize]
    }

    pub(super) fn field(&self, field: FieldId) -> &Field {
        &self.fields[field.0 as usize]
    }

    fn flags(&self, field: FieldId) -> FieldFlags {
        self.flags[field.0 as usize]
    }

    fn object_mut(&mut self, path: ObjectPathId) -> &mut ObjectPath {
        &mut self.objects[path.0 as usize]
    }

    fn field_mut(&mut self, field: FieldId) -> &mut Field {
        &mut self.fields[field.0 as usize]
    }
}

/// Looks up paths with the settings and names of one flattener.
pub(crate) struct Paths<'p> {
    cache: &'p mut PathCache,
    settings: &'p Settings,
    names: &'p mut Names,
}

impl<'p> Paths<'p> {
    pub(crate) const fn new(cache: &'p mut PathCache, settings: &'p Settings, names: &'p mut Names) -> Self {
        Self { cache, settings, names }
    }

    /// Returns the names of columns and tables.
    pub(crate) const fn names(&self) -> &Names {
        self.names
    }

    /// Returns the column of a technical name, such as `_unknown`.
    pub(crate) fn column_named(&mut self, name: &str) -> ColumnId {
        self.names.column(name)
    }

    /// Returns the table of that name.
    pub(crate) fn table_named(&mut self, name: &str) -> TableId {
        self.names.table(name)
    }

    /// Returns whether the current resource has brought more names than one may.
    #[inline]
    pub(crate) const fn has_too_many_names(&self) -> bool {
        let NewNames { unknown, paths } = self.cache.new_names;
        unknown > MAX_UNKNOWN_NAMES || paths > MAX_PATHS
    }

    /// Returns where a resource of a type goes.
    pub(crate) fn root(&mut self, resource_type: &str) -> ResourceRoot {
        let known = self.cache.resources.get(resource_type).copied();
        known.unwrap_or_else(|| self.add_root(resource_type))
    }

    /// Returns the kind of the objects at a path.
    pub(crate) fn kind(&self, path: ObjectPathId) -> ObjectKind {
        self.cache.object(path).kind
    }

    /// Returns what a member is. `expected_index` is the index behind the last member in the cache: resources of one kind have their
    /// members in one order, so that the next one mostly has the next index.
    pub(crate) fn member(
        &mut self,
        path: ObjectPathId,
        name: Node<'_>,
        expected_index: &mut usize,
    ) -> Member {
        let now = self.cache.now;
        if let Some(found) = self.cache.object_mut(path).members.at(*expected_index, name.raw_bytes(), now) {
            *expected_index += 1;
            self.cache.count_member(found);
            return found.value;
        }
        self.member_named(path, &name.text().unwrap_or_default(), expected_index)
    }

    /// Returns the field of an element; `None` for a member that has none.
    pub(crate) fn element(&mut self, path: ObjectPathId, key: &str) -> Option<FieldId> {
        self.member_named(path, key, &mut 0).field()
    }

    /// Returns the field of an extension.
    pub(crate) fn extension(&mut self, path: ObjectPathId, url: &str, naming: ExtensionNaming) -> FieldId {
        let now = self.cache.now;
        let found = self.cache.object_mut(path).extensions_mut(naming).find(url, now);
        // An extension that was counted under its own name may come again under one with digits.
        let is_new = found.is_none_or(|found| found.is_first_use) && !naming.is_clash();
        self.cache.new_names.unknown += usize::from(is_new);
        if let Some(found) = found {
            return found.value;
        }
        let field = self.cache.object(path).extension_field(url, naming, self.settings, self.names);
        let field = self.add_field(field);
        self.cache.bytes += bytes_of::<FieldId>(url);
        self.cache.object_mut(path).extensions_mut(naming).push(url, field, now);
        field
    }

    /// Returns whether extensions at a path have columns.
    pub(crate) fn has_extensions(&self, path: ObjectPathId) -> bool {
        self.cache.object(path).has_extensions()
    }

    /// Returns the field's flags.
    pub(crate) fn flags(&self, field: FieldId) -> FieldFlags {
        self.cache.flags(field)
    }

    /// Returns the column of the field's value.
    pub(crate) fn column(&self, field: FieldId) -> ColumnId {
        self.flags(field).column
    }

    /// Returns a column that is derived from the field's value.
    pub(crate) fn derived_column(&mut self, field: FieldId, derived: Derived) -> ColumnId {
        self.cache.field_mut(field).columns.derive(derived, self.names)
    }

    /// Returns a derived column that belongs to an object itself, such as `code_codings`.
    pub(crate) fn object_column(&mut self, path: ObjectPathId, derived: Derived) -> ColumnId {
        self.cache.object_mut(path).columns.derive(derived, self.names)
    }

    /// Returns the columns of a telecom's systems, such as `telecom_phone`.
    pub(crate) fn telecom_columns(&mut self, field: FieldId) -> TelecomColumns {
        let (field, names) = (self.cache.field_mut(field), &mut *self.names);
        *field
            .telecoms
            .get_or_insert_with(|| TELECOM_SYSTEMS.map(|system| names.column(&joined(&field.name, system))))
    }

    /// Returns the name of the field's column.
    pub(crate) fn name(&self, field: FieldId) -> &str {
        &self.cache.field(field).name
    }

    /// Returns the columns that the members of a choice share.
    pub(crate) fn choice(&self, field: FieldId) -> Option<ChoiceColumns> {
        self.cache.field(field).choice
    }

    /// Returns the codes that may stand in a field whose scalars are [`ScalarKinds::CODED`](super::ScalarKinds::CODED).
    pub(crate) fn codes(&self, field: FieldId) -> &'static [&'static str] {
        self.cache.field(field).codes
    }

    /// Returns whether some release has such a value here: an object or a scalar.
    pub(crate) fn is_known(&self, field: FieldId, is_object: bool) -> bool {
        let field = self.cache.field(field);
        field.is_known
            && (!is_object || field.types.has_modelled() || field.is_resource || field.is_extension)
    }

    /// Returns whether a table may be called by a field: FHIR or the settings name every step of its path.
    pub(crate) fn may_name_table(&self, field: FieldId) -> bool {
        self.cache.field(field).may_name_table
    }

    /// Returns the type of the objects that stand in a field; they decide together. `None` for one that no release
    /// has.
    pub(crate) fn type_of<'a>(
        &mut self,
        field: FieldId,
        objects: impl Iterator<Item = Node<'a>>,
    ) -> Option<TypeId> {
        let PathCache { fields, bytes, .. } = &mut *self.cache;
        fields.get_mut(field.0 as usize)?.types.best_fit(objects, bytes)
    }

    /// Returns whether an array of this type keeps a representative in the row.
    pub(crate) fn has_primary(&mut self, field: FieldId, type_id: Option<TypeId>) -> bool {
        self.object_type(field, type_id).has_primary
    }

    /// Returns where the members of an object go that is flattened in place.
    pub(crate) fn in_place(&mut self, field: FieldId, type_id: Option<TypeId>) -> ObjectPathId {
        if let Some(path) = self.object_type(field, type_id).in_place {
            return path;
        }
        let holder = self.cache.field(field);
        let kind = if holder.is_extension { ObjectKind::Extension } else { ObjectKind::of(type_id) };
        let may_name_table = holder.may_name_table && type_id.is_some();
        let object = self.object_below(field, type_id, kind);
        let path = self.add_object(ObjectPath { may_name_table, ..object });
        self.object_type(field, type_id).in_place = Some(path);
        path
    }

    /// Returns where the members of an item go, named from its own root. Items of a known type share a path, wherever
    /// they stand.
    pub(crate) fn item(&mut self, field: FieldId, type_id: Option<TypeId>) -> ObjectPathId {
        let known = self.object_type(field, type_id).item;
        let Field { is_extension, may_name_table, .. } = *self.cache.field(field);
        let shared_type = type_id.filter(|_| !is_extension);
        let known = known.or_else(|| self.cache.shared_item(shared_type?));
        if let Some(path) = known {
            return path;
        }
        let kind = if is_extension { ObjectKind::ExtensionItem } else { ObjectKind::of(type_id) };
        // Items that a list holds have no tables.
        let may_name_table = type_id.is_some() && (may_name_table || !is_extension);
        let object = ObjectPath::of("", type_id, kind, self.names);
        let path = self.add_object(ObjectPath { may_name_table, ..object });
        self.object_type(field, type_id).item = Some(path);
        if let Some(shared_type) = shared_type {
            self.cache.items.insert(shared_type, path);
        }
        path
    }

    /// Returns where a concept's primary coding goes: under the concept's own name.
    pub(crate) fn elided_coding(&mut self, field: FieldId, concept: ObjectPathId) -> ObjectPathId {
        if let Some(path) = self.cache.field(field).elided_coding {
            return path;
        }
        let concept = self.cache.object(concept);
        let kind = ObjectKind::ElidedCoding;
        let object = ObjectPath {
            outer_prefix: self.cache.field(field).name.clone(),
            types_in_other_releases: concept.types_in_other_releases.clone(),
            may_name_table: concept.may_name_table,
            ..ObjectPath::of(&concept.prefix, model::coding(), kind, self.names)
        };
        let path = self.add_object(object);
        self.cache.field_mut(field).elided_coding = Some(path);
        path
    }

    /// Returns where the id and the extensions of a primitive go.
    pub(crate) fn companion(&mut self, field: FieldId) -> ObjectPathId {
        let holder = self.cache.field(field);
        if let Some(path) = holder.companion {
            return path;
        }
        let may_name_table = holder.may_name_table;
        let object = self.object_below(field, None, ObjectKind::PrimitiveCompanion);
        let path = self.add_object(ObjectPath { may_name_table, ..object });
        self.cache.field_mut(field).companion = Some(path);
        path
    }

    /// Returns the field of labels that are written whole, beside their list of `system|code`.
    pub(crate) fn whole_labels(&mut self, field: FieldId) -> FieldId {
        let labels = self.cache.field(field);
        if let Some(whole) = labels.whole_labels {
            return whole;
        }
        let (name, may_name_table) = (joined(&labels.name, "coding"), labels.may_name_table);
        let whole = Field { may_name_table, ..Field::of(&name, self.names) };
        let whole = self.add_field(whole);
        self.cache.field_mut(field).whole_labels = Some(whole);
        whole
    }

    fn member_named(&mut self, path: ObjectPathId, key: &str, expected_index: &mut usize) -> Member {
        let now = self.cache.now;
        if let Some(found) = self.cache.object_mut(path).members.find(key, now) {
            *expected_index = found.index + 1;
            self.cache.count_member(found);
            return found.value;
        }
        // A name with a backslash is not cached either: another one, with escapes, may be written like it.
        if key.len() > MAX_MEMBER_BYTES || key.contains('\\') {
            return Member::Unknown;
        }
        let member = self.new_member(path, key);
        self.cache.bytes += bytes_of::<Member>(key);
        let index = self.cache.object_mut(path).members.push(key, member, now);
        *expected_index = index + 1;
        self.cache.count_member(CachedValue { index, value: member, is_first_use: true });
        member
    }

    fn new_member(&mut self, path: ObjectPathId, key: &str) -> Member {
        if let Some(member) = self.cache.object(path).reserved_member(key, self.settings) {
            return member;
        }
        if let Some(primitive) = key.strip_prefix('_') {
            let field = self.element(path, primitive);
            // What no release has as a primitive has its extensions inside.
            let field = field.filter(|&field| !self.flags(field).scalars.none());
            return field.map_or(Member::Unknown, Member::Companion);
        }
        if !self.cache.object(path).has_column(key) {
            return Member::Unknown;
        }
        let field = self.cache.object(path).field_of(key, self.names);
        let field = self.add_field(field);
        self.cache.object(path).member_with_field(key, field)
    }

    fn object_type(&mut self, field: FieldId, type_id: Option<TypeId>) -> &mut ObjectType {
        let now = self.cache.now;
        self.cache.field_mut(field).types.entry(type_id, now)
    }

    /// Makes the path of an object whose columns begin with a field's name.
    fn object_below(&mut self, field: FieldId, type_id: Option<TypeId>, kind: ObjectKind) -> ObjectPath {
        let holder = self.cache.field(field);
        ObjectPath {
            types_in_other_releases: holder.types.modelled().collect(),
            value_of_extension: holder.value_of_extension.clone(),
            ..ObjectPath::of(&holder.name, type_id, kind, self.names)
        }
    }

    fn add_root(&mut self, resource_type: &str) -> ResourceRoot {
        let type_id = model::type_named(resource_type);
        let object = ObjectPath::of("", type_id, ObjectKind::Resource, self.names);
        let path = self.add_object(ObjectPath { may_name_table: type_id.is_some(), ..object });
        let (table, required) = (self.names.table(resource_type), check::required(resource_type));
        let root = ResourceRoot { path, table, required };
        self.cache.bytes += size_of::<ResourceRoot>() + resource_type.len();
        self.cache.resources.insert(resource_type.into(), root);
        root
    }

    fn add_object(&mut self, object: ObjectPath) -> ObjectPathId {
        self.cache.bytes += size_of::<ObjectPath>() + 2 * object.prefix.len();
        self.cache.objects.push(object);
        ObjectPathId(u32::try_from(self.cache.objects.len() - 1).unwrap_or(u32::MAX))
    }

    fn add_field(&mut self, field: Field) -> FieldId {
        self.cache.bytes += size_of::<Field>() + size_of::<FieldFlags>() + 3 * field.name.len();
        self.cache.flags.push(FieldFlags::of(&field));
        self.cache.fields.push(field);
        FieldId(u32::try_from(self.cache.fields.len() - 1).unwrap_or(u32::MAX))
    }
}

#[cfg(test)]
impl Paths<'_> {
    /// Makes the path of an object that stands nowhere.
    pub(crate) fn test_root(&mut self, type_id: TypeId) -> ObjectPathId {
        let is_resource = type_id.is_resource();
        let kind = if is_resource { ObjectKind::Resource } else { ObjectKind::of(Some(type_id)) };
        let object = ObjectPath::of("", Some(type_id), kind, self.names);
        self.add_object(object)
    }

    /// Returns the member of that name.
    pub(super) fn test_member(&mut self, path: ObjectPathId, key: &str) -> Member {
        self.member_named(path, key, &mut 0)
    }
}
