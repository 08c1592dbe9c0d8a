//! Types and elements, as their table has them.

use super::primitive::Primitive;
use super::release::Releases;

/// A type that has elements: a datatype, a resource, or the path of a backbone element (`Patient.contact`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TypeId(pub(super) u16);

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
        self.uses.first().copied().unwrap_or(NO_USE)
    }

    /// Returns whether some release makes it one of the choice `base`.
    #[must_use]
    pub fn is_choice_of(&self, base: &str) -> bool {
        self.uses.iter().any(|known| known.choice == Some(base))
    }
}

/// What an element without uses would say. The table has none; a test holds it to that.
pub(super) const NO_USE: Use = Use {
    datatype: Datatype::Primitive(Primitive::String),
    many: false,
    choice: None,
    releases: Releases::ALL,
};
