//! Object kinds: which objects are written differently from their members one by one.

use crate::model::TypeId;

/// Tells how the members of an object are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ObjectKind {
    /// Each member has its own columns.
    Plain,
    /// The resource itself.
    Resource,
    /// `coding` gives its columns to the concept.
    Concept,
    /// A concept's primary coding, whose columns carry the concept's name.
    ElidedCoding,
    /// `reference` gives a key and a type.
    Reference,
    /// `tag` and `security` become `system|code`.
    Meta,
    /// `div` is left out unless asked for.
    Narrative,
    /// The representative of an array is the official, usual or current one.
    HumanName,
    /// The representative of an array is at home, or current.
    Address,
    /// The representative of an array is the one that a user selected.
    Coding,
    /// The representative of an array is official or usual; all are listed as `system|value`.
    Identifier,
    /// An array gives a column to each system.
    ContactPoint,
    /// `value[x]` gives its columns to the extension; `url` is in the name already.
    Extension,
    /// The same as an item of a list, where a primitive value needs the name `value`.
    ExtensionItem,
    /// The companion (`_birthDate`) of a primitive: its id and extensions.
    PrimitiveCompanion,
}

impl ObjectKind {
    /// Returns whether a list of the row has what identifies all items of an array: their codes, values or keys.
    pub(crate) const fn is_listed(self) -> bool {
        matches!(self, Self::Concept | Self::Coding | Self::Identifier | Self::Reference)
    }

    /// Returns the kind of the objects of a type.
    pub(crate) fn of(type_id: Option<TypeId>) -> Self {
        match type_id.map(TypeId::name) {
            Some("CodeableConcept") => Self::Concept,
            Some("Reference") => Self::Reference,
            Some("Meta") => Self::Meta,
            Some("Narrative") => Self::Narrative,
            Some("HumanName") => Self::HumanName,
            Some("Address") => Self::Address,
            Some("Coding") => Self::Coding,
            Some("Identifier") => Self::Identifier,
            Some("ContactPoint") => Self::ContactPoint,
            Some("Extension") => Self::Extension,
            _ => Self::Plain,
        }
    }
}
