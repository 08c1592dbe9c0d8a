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

mod element;
mod primitive;
mod release;
mod resource_types;
mod table;

pub mod extensions;

#[cfg(test)]
pub(crate) mod tests;

use std::sync::LazyLock;

pub use element::{Datatype, Element, TypeId, TypeKind, Use};
pub use primitive::Primitive;
pub use release::{Release, Releases};
pub use resource_types::{ResourceTypes, UNKNOWN_TYPE};

impl Element {
    /// Returns the element of that JSON name below it, in the newest release that has it there: a datatype that changed
    /// with the releases has the elements of each.
    #[must_use]
    pub fn member(&self, json_key: &str) -> Option<Self> {
        self.uses.iter().find_map(|known| match known.datatype {
            Datatype::Complex(complex) => complex.element(json_key),
            Datatype::Primitive(_) | Datatype::Resource => None,
        })
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
