//! The elements of FHIR's types: the union of DSTU2, STU3, R4, R4B, R5 and R6, so that no release need be named. R6 is
//! not published yet: it adds types, elements and uses, and where it differs the newest published release decides.
//!
//! ```
//! use flatten::model::{self, Datatype, Primitive};
//!
//! let patient = model::type_named("Patient").unwrap();
//! let birth_date = patient.element("birthDate").unwrap();
//! assert_eq!(birth_date.newest().datatype, Datatype::Primitive(Primitive::Date));
//!
//! let deceased: Vec<&str> = patient.choices("deceased").map(|element| element.name).collect();
//! assert_eq!(deceased, ["deceasedBoolean", "deceasedDateTime"]);
//! ```
//!
//! The table is text that `cargo xtask model` makes. A type is indexed when it is first asked for, so that a cold
//! start pays for no more than the input needs.

mod primitive;
mod release;
mod resource_types;
mod table;

pub mod extensions;

#[cfg(test)]
pub(crate) mod tests;

use std::sync::LazyLock;

pub use primitive::Primitive;
pub use release::{Release, Releases};
pub use resource_types::{ResourceTypes, UNKNOWN_TYPE};

/// A type that has elements: a datatype, a resource, or the path of a backbone element (`Patient.contact`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TypeId(u16);

/// What kind of thing a type is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TypeKind {
    /// A resource: what `resourceType` can name.
    Resource,
    /// A datatype with elements.
    Datatype,
    /// The path of an element that has elements of its own.
    Backbone,
    /// A primitive datatype as DSTU2 lists it, with `id` and `extension`; [`Primitive`] has them all.
    Primitive,
    /// A type that stands only for its specialisations: `Resource`, `DomainResource`, `Element` …
    Abstract,
}

/// The kind of an element's value.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Datatype {
    /// A scalar of JSON.
    Primitive(Primitive),
    /// An object with the elements of that type; a recursion is the type of the backbone element it repeats.
    Complex(TypeId),
    /// Any resource.
    Resource,
}

/// What some releases say of an element.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Use {
    /// The kind of its value.
    pub datatype: Datatype,
    /// Whether it is a JSON array.
    pub many: bool,
    /// The base of the choice that it is one of: `value` for `valueQuantity`.
    pub choice: Option<&'static str>,
    /// The releases that say so.
    pub releases: Releases,
}

/// An element of a type, by its JSON name; choices are spelled out (`valueQuantity`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Element {
    /// The JSON name.
    pub name: &'static str,
    /// The base of the choice that the newest release which knows the element makes it one of.
    pub choice: Option<&'static str>,
    /// What the releases say, newest first and R6 last: at least one, and every release at most once.
    pub uses: &'static [Use],
}

impl Element {
    /// Returns what the newest release says that knows the element.
    #[must_use]
    pub fn newest(&self) -> Use {
        self.uses.first().copied().unwrap_or(table::NO_USE)
    }

    /// Returns the element of that JSON name below it, in the newest release that has it there: a datatype that changed
    /// with the releases has the elements of each.
    #[must_use]
    pub fn member(&self, json_key: &str) -> Option<Self> {
        self.uses.iter().find_map(|known| match known.datatype {
            Datatype::Complex(complex) => complex.element(json_key),
            Datatype::Primitive(_) | Datatype::Resource => None,
        })
    }

    /// Returns whether some release makes it one of the choice `base`.
    #[must_use]
    pub fn is_choice_of(&self, base: &str) -> bool {
        self.uses.iter().any(|known| known.choice == Some(base))
    }
}

impl TypeId {
    /// Returns the name of the type, or the path of the backbone element.
    #[must_use]
    pub fn name(self) -> &'static str {
        table::name(self)
    }

    /// Returns what kind of thing it is.
    #[must_use]
    pub fn kind(self) -> TypeKind {
        table::kind(self)
    }

    /// Returns whether `resourceType` can name it.
    #[must_use]
    pub fn is_resource(self) -> bool {
        self.kind() == TypeKind::Resource
    }

    /// Returns whether it is an element that has elements of its own.
    #[must_use]
    pub fn is_backbone(self) -> bool {
        self.kind() == TypeKind::Backbone
    }

    /// Returns its elements, by name; `id`, `extension` and the others that it inherits are among them.
    pub fn elements(self) -> impl Iterator<Item = Element> {
        table::elements(self)
    }

    /// Returns the element of that JSON name, without the `_` of a primitive's companion.
    #[must_use]
    pub fn element(self, json_key: &str) -> Option<Element> {
        table::element(self, json_key)
    }

    /// Returns the members of a choice in any release, by name: `valueQuantity`, `valueString` … for `value`. None for
    /// what is not a choice.
    pub fn choices(self, base: &str) -> impl Iterator<Item = Element> {
        table::elements_after(self, base).filter(move |element| element.is_choice_of(base))
    }
}

impl Datatype {
    /// Returns the datatype of that name: a primitive, a type with elements, or `Resource`.
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        match (name, Primitive::named(name)) {
            ("Resource", _) => Some(Self::Resource),
            (_, Some(primitive)) => Some(Self::Primitive(primitive)),
            _ => type_named(name).map(Self::Complex),
        }
    }

    /// Returns the name in the specification; a backbone element's is its path.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Primitive(primitive) => primitive.name(),
            Self::Complex(complex) => complex.name(),
            Self::Resource => "Resource",
        }
    }
}

/// Returns the type of that name in any release. The profiles `SimpleQuantity` and `MoneyQuantity` are `Quantity`.
#[must_use]
pub fn type_named(name: &str) -> Option<TypeId> {
    match name {
        "SimpleQuantity" | "MoneyQuantity" => table::type_named("Quantity"),
        _ => table::type_named(name),
    }
}

/// Returns the datatype `Coding`, which stands in most resources.
pub(crate) fn coding() -> Option<TypeId> {
    static CODING: LazyLock<Option<TypeId>> = LazyLock::new(|| type_named("Coding"));
    *CODING
}

/// Returns whether some release has a resource of that name.
#[must_use]
pub fn is_resource_type(name: &str) -> bool {
    type_named(name).is_some_and(TypeId::is_resource)
}

/// Returns whether some type of some release has an element of that JSON name, so that it says nothing about anybody.
/// A primitive's companion (`_birthDate`), `resourceType` and DSTU2's `fhir_comments` count.
#[must_use]
pub fn is_known_element_name(name: &str) -> bool {
    let bare = name.strip_prefix('_').unwrap_or(name);
    matches!(name, "resourceType" | "fhir_comments") || table::is_element_name(bare)
}
