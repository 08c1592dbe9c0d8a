//! Object paths: the position of an object in a row, and the fields of its members.

use crate::automatic::naming::{self, ExtensionNaming, joined};
use crate::automatic::object_kind::ObjectKind;
use crate::automatic::settings::Settings;
use crate::check;
use crate::model::{Element, TypeId};
use crate::row::Names;

use super::columns::{ChoiceColumns, Columns};
use super::field::{Field, ScalarKinds};
use super::member::{FieldId, Member};
use super::name_cache::NameCache;

/// Below a longer name only elements that FHIR knows have columns of their own: a chain of made-up names has no end.
const MAX_PREFIX_BYTES: usize = 512;

/// The position of an object in a row, such as `Patient.name`.
#[derive(Debug)]
pub(super) struct ObjectPath {
    /// What the names of the members' columns begin with; empty in a row or an item.
    pub(super) prefix: Box<str>,
    /// The same for the ids and extensions of an elided coding, which do not carry the concept's name.
    pub(super) outer_prefix: Box<str>,
    pub(super) type_id: Option<TypeId>,
    /// The types that the element is in any release: an extension's name may not be mistaken for one of their elements.
    pub(super) types_in_other_releases: Box<[TypeId]>,
    pub(super) kind: ObjectKind,
    /// Whether FHIR or the settings name every step of the path, so that a table may be called by it.
    pub(super) may_name_table: bool,
    /// Where the object is the value of an extension, or its companion, the name of that extension's columns.
    pub(super) value_of_extension: Option<Box<str>>,
    /// The columns that belong to the object itself, such as `code_codings`.
    pub(super) columns: Columns,
    pub(super) members: NameCache<Member>,
    /// By [`ExtensionNaming`].
    pub(super) extensions: [NameCache<FieldId>; 4],
}

impl ObjectPath {
    /// Returns a path without members.
    pub(super) fn of(prefix: &str, type_id: Option<TypeId>, kind: ObjectKind, names: &mut Names) -> Self {
        Self {
            prefix: prefix.into(),
            outer_prefix: prefix.into(),
            type_id,
            types_in_other_releases: Box::default(),
            kind,
            may_name_table: false,
            value_of_extension: None,
            columns: Columns::of(prefix, names),
            members: NameCache::default(),
            extensions: Default::default(),
        }
    }

    /// Returns whether extensions have columns here. They have none where the names above are long already.
    pub(super) fn has_extensions(&self) -> bool {
        self.outer_prefix.len() <= MAX_PREFIX_BYTES
    }

    /// Returns whether a member has columns of its own.
    pub(super) fn has_column(&self, key: &str) -> bool {
        let is_unknown = self.type_id.is_none_or(|type_id| type_id.element(key).is_none());
        !(is_unknown && self.prefix.len() > MAX_PREFIX_BYTES)
            && naming::has_column(self.kind, self.type_id, key)
    }

    /// Returns what a member is that has no field, or a field that depends on the member's name; `None` for all others.
    pub(super) fn reserved_member(&self, key: &str, settings: &Settings) -> Option<Member> {
        Some(match (key, self.kind) {
            ("extension", _) => Member::Extensions,
            ("modifierExtension", _) => Member::ModifierExtensions,
            ("contained", ObjectKind::Resource) => Member::Contained,
            ("resourceType", ObjectKind::Resource)
            | ("url", ObjectKind::Extension | ObjectKind::ExtensionItem) => Member::Skipped,
            ("div", ObjectKind::Narrative) if !settings.narrative => Member::Skipped,
            _ => return None,
        })
    }

    /// Returns the member of that name, whose field is known.
    pub(super) fn member_with_field(&self, key: &str, field: FieldId) -> Member {
        match (key, self.kind) {
            ("coding", ObjectKind::Concept) => Member::Codings(field),
            ("reference", ObjectKind::Reference) => Member::Target(field),
            ("tag" | "security", ObjectKind::Meta) => Member::Labels(field),
            _ => Member::Element(field),
        }
    }

    /// Returns the fields of extensions with names of one kind.
    pub(super) const fn extensions(&self, naming: ExtensionNaming) -> &NameCache<FieldId> {
        let [plain, clashing, modifier, clashing_modifier] = &self.extensions;
        match naming {
            ExtensionNaming::Plain => plain,
            ExtensionNaming::Clashing => clashing,
            ExtensionNaming::Modifier => modifier,
            ExtensionNaming::ClashingModifier => clashing_modifier,
        }
    }

    /// Returns the same to be added to.
    pub(super) const fn extensions_mut(&mut self, naming: ExtensionNaming) -> &mut NameCache<FieldId> {
        let [plain, clashing, modifier, clashing_modifier] = &mut self.extensions;
        match naming {
            ExtensionNaming::Plain => plain,
            ExtensionNaming::Clashing => clashing,
            ExtensionNaming::Modifier => modifier,
            ExtensionNaming::ClashingModifier => clashing_modifier,
        }
    }

    /// Makes the field of a member.
    pub(super) fn field_of(&self, key: &str, names: &mut Names) -> Field {
        match self.type_id.and_then(|type_id| Some((type_id, type_id.element(key)?))) {
            Some((type_id, element)) => self.element_field(type_id, &element, names),
            None => self.unknown_field(key, names),
        }
    }

    /// Makes the field of an extension.
    pub(super) fn extension_field(
        &self,
        url: &str,
        naming: ExtensionNaming,
        settings: &Settings,
        names: &mut Names,
    ) -> Field {
        let carrier = naming::ExtensionCarrier {
            kind: self.kind,
            type_id: self.type_id,
            types_in_other_releases: &self.types_in_other_releases,
        };
        let tail = naming::extension_name(carrier, url, naming, settings);
        let prefix = if naming.is_modifier() {
            &joined(&self.outer_prefix, "modifierExtension")
        } else {
            &*self.outer_prefix
        };
        let may_name_table = self.may_name_table && naming::is_given(url, settings);
        Field { is_extension: true, may_name_table, ..Field::of(&joined(prefix, &tail), names) }
    }

    fn element_field(&self, type_id: TypeId, element: &Element, names: &mut Names) -> Field {
        let key = element.name;
        let in_extension = matches!(self.kind, ObjectKind::Extension | ObjectKind::ExtensionItem);
        let of_value = in_extension && element.choice == Some("value");
        let name = match (of_value, self.kind) {
            (true, _) => self.prefix.to_string(),
            // An id is the object's own, which lends its columns to another, or has another's.
            (false, ObjectKind::ElidedCoding) if key == "id" => joined(&self.outer_prefix, key),
            (false, _) => self.value_id(key).unwrap_or_else(|| joined(&self.prefix, key)),
        };
        // What repeats in the newest release may be one of a choice in another, where it does not repeat.
        let base = element.choice.or_else(|| element.uses.iter().find_map(|used| used.choice));
        let choice = base.filter(|_| !of_value);
        let choice = choice.map(|base| ChoiceColumns::of((type_id, base), element, &self.prefix, names));
        let mut field = Field { may_name_table: self.may_name_table, choice, ..Field::of(&name, names) };
        field.add_element(type_id, element);
        if self.kind == ObjectKind::Resource {
            let base = element.uses.iter().find_map(|used| used.choice);
            field.mandatory_bits = check::met_by(type_id.name(), key, base);
        }
        if in_extension {
            // An extension may have a value of any type.
            field.column_type = None;
            field.is_array = element.uses.iter().all(|used| used.many);
        }
        if of_value {
            if self.kind == ObjectKind::ExtensionItem && !field.scalars.none() {
                field.name = "value".into();
            }
            field.columns = Columns::of_extension_value(&field.name, &self.prefix, names);
            field.value_of_extension = Some(self.prefix.clone());
        } else {
            field.columns = field.columns.without_clashes(element, &self.types_in_other_releases);
        }
        field
    }

    /// Makes the field of an element that no release knows, or of an id on a primitive.
    fn unknown_field(&self, key: &str, names: &mut Names) -> Field {
        let is_id = self.kind == ObjectKind::PrimitiveCompanion && key == "id";
        let name = match self.kind {
            ObjectKind::ElidedCoding => joined(&self.outer_prefix, key),
            _ => self.value_id(key).unwrap_or_else(|| joined(&self.prefix, key)),
        };
        Field { scalars: ScalarKinds::UNKNOWN, is_known: is_id, ..Field::of(&name, names) }
    }

    /// Returns the column of the id of an extension's value, because the extension may have an id itself.
    fn value_id(&self, key: &str) -> Option<String> {
        self.value_of_extension.as_ref().filter(|_| key == "id").map(|extension| joined(extension, "valueId"))
    }
}
